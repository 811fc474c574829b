#!/usr/bin/env python3
"""Small data sets of our own in the columns that the Hub's have, for tests of `starchat eval`: nothing of a benchmark is in them. Unusual characters,
blanks, brackets and doubles stand where renderers go wrong.
Usage: eval_golden_data.py tests/golden/eval/data; then eval_harness.py render --out tests/golden/eval writes what lm-eval asks of them."""
import json
import pathlib
import random
import sys

THINGS = "stone river lamp ladder violin kettle glacier anvil orchard candle bridge compass beetle lantern meadow".split()
DRAW = random.Random(11)
ODD = ["", " ", " [title] part", " [note] of  it", " — naïve “quote”", "\n", " 東京", " İ", " a . b", " 5%"]


def thing():
    return DRAW.choice(THINGS)


def words(n):
    return " ".join(thing() for _ in range(n)) + DRAW.choice(ODD)


def arc(n, name):
    rows = []
    for i in range(n):
        k = DRAW.choice([3, 4, 4, 5])
        labels = ["1", "2", "3", "4", "5"][:k] if i % 7 == 0 else list("ABCDE")[:k]
        rows.append({"id": f"{name}-{i}", "question": f"Which {words(3)} holds a {thing()}?", "choices": {"text": [words(2) for _ in labels], "label": labels}, "answerKey": DRAW.choice(labels)})
    return rows


def hellaswag(n):
    rows = [{"ind": i, "activity_label": f"Carrying a {thing()}", "ctx_a": f"A person lifts the {words(4)}.", "ctx_b": DRAW.choice(["he ", "ÉLAN of  the  Crowd", "", "[step] then they"]), "endings": [words(5) + "." for _ in range(4)], "label": str(DRAW.randrange(4))}
            for i in range(n)]
    for r in rows:
        r["ctx"] = r["ctx_a"] + " " + r["ctx_b"]
        r.update(source_id="s", split="val", split_type="x")
    rows[5] = dict(rows[2])                      # doubles: the sampler leaves them out
    return rows


def winogrande(n):
    rows = []
    for i in range(n):
        a, b = DRAW.sample(THINGS, 2)
        rows.append({"sentence": f"The {a} could not carry the {b} since the _ was{DRAW.choice(ODD)} too small.", "option1": a, "option2": b, "answer": DRAW.choice("12")})
    rows[4] = dict(rows[1])
    return rows


def mmlu(n):
    return [{"question": DRAW.choice(["", "  "]) + f"What is {words(4)}?" + DRAW.choice(["", " \n"]), "subject": "anatomy", "choices": [words(2) for _ in range(4)], "answer": DRAW.randrange(4)} for _ in range(n)]


def truthful(n):
    out = []
    for _ in range(n):
        k = DRAW.randrange(2, 6)
        out.append({"question": f"Is a {words(2)} a {thing()}?", "mc1_targets": {"choices": [words(3) for _ in range(k)], "labels": [1] + [0] * (k - 1)}, "mc2_targets": {"choices": [words(3) for _ in range(k)], "labels": [DRAW.randrange(2) for _ in range(k - 1)] + [1]}})
    return out


def generation(n):
    return [{"type": "x", "category": "y", "question": f" Is a {words(2)} a {thing()}? ", "best_answer": words(3), "correct_answers": [words(3) for _ in range(3)] + [""], "incorrect_answers": [words(3) + "." for _ in range(2)], "source": "z"} for _ in range(n)]


def gsm8k(n):
    return [{"question": f"A {thing()} weighs {i + 2} kilograms.  How much do {DRAW.randrange(2, 9)} of them weigh{DRAW.choice(ODD)}?", "answer": f"It is <<{i + 2}*3={3 * (i + 2)}>>{3 * (i + 2)}.\n#### {3 * (i + 2):,}"} for i in range(n)]


def wikitext():
    pages = []
    for i in range(4):
        pages.append({"page": f" = {thing().capitalize()} = \n \n The {words(6)} @-@ like {thing()} 's 1 @,@ 000 \" {words(2)} \" ( {words(2)} ) , {thing()} ; N 's' 3 @.@ 5 ° . \n \n = = Use = = \n \n {words(30)} . \n "})
    return pages


def main():
    out = pathlib.Path(sys.argv[1])
    sets = {"arc_easy/train": arc(30, "e"), "arc_easy/test": arc(12, "t"), "arc_challenge/train": arc(40, "c"), "arc_challenge/test": arc(12, "u"), "hellaswag/train": hellaswag(24), "hellaswag/validation": hellaswag(12),
            "winogrande/train": winogrande(16), "winogrande/validation": winogrande(12), "mmlu/anatomy/dev": mmlu(5), "mmlu/anatomy/test": mmlu(10), "truthfulqa_mc/validation": truthful(12), "truthfulqa_gen/validation": generation(8),
            "gsm8k/train": gsm8k(30), "gsm8k/test": gsm8k(8), "lambada_openai/test": [{"text": words(9).rstrip() + " " + thing()} for _ in range(12)], "wikitext/test": wikitext()}
    for name, rows in sets.items():
        path = out / f"{name}.jsonl"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("".join(json.dumps(r, ensure_ascii=False) + "\n" for r in rows), encoding="utf-8")


if __name__ == "__main__":
    main()
