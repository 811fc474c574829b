#!/usr/bin/env python3
"""Golden values of BLEU and ROUGE for src/eval/bleu.c and rouge.c, and of CPython's random.sample for src/eval/python_random.c.
Usage: eval_text_scores.py > tests/golden/eval/text_scores.json      needs sacrebleu and rouge_score"""
import json
import random
import sys
from importlib.metadata import version

import sacrebleu
from rouge_score import rouge_scorer

WORDS = "the a cat dog sat on mat quickly ran — over 12 3.5 $5 (yes) no. I've “quoted” naïve Straße İstanbul 東京 x_y e-mail 50% end! . , ; : \n ... C++ #1".split(" ")


def bleu(text, reference):
    return sacrebleu.corpus_bleu([text], [[reference]], smooth_method="exp", smooth_value=0.0, force=False, lowercase=False, tokenize="intl", use_effective_order=False).score


def rouge(text, reference):
    cut = lambda s: s.replace(" . ", ".\n")
    scores = rouge_scorer.RougeScorer(["rouge1", "rouge2", "rougeLsum"]).score(cut(reference), cut(text))
    return [100 * scores[k].fmeasure for k in ("rouge1", "rouge2", "rougeLsum")]


def main():
    draw = random.Random(5)
    pairs = [("", ""), ("a", ""), ("", "a b c d"), ("the cat sat on the mat.", "the cat sat on the mat."), ("the the the the the", "the cat the mat the end of"), (" . ", "a . b . c")]
    for _ in range(300):
        reference = [draw.choice(WORDS) for _ in range(draw.randrange(1, 25))]
        text = [w if draw.random() < 0.7 else draw.choice(WORDS) for w in reference]
        if draw.random() < 0.3:
            draw.shuffle(text)
        pairs.append((" ".join(text[draw.randrange(len(text)):] if draw.random() < 0.3 else text), " ".join(reference)))
    samples = []
    for seed, n, k in [(1234, 7473, 5), (1234, 39905, 11), (1234, 1119, 25), (0, 10, 10), (1, 21, 5), (2, 22, 5), (3, 85, 6), (4, 86, 6), (2**40 + 7, 1000, 3), (7, 1, 1), (7, 5, 0)]:
        r = random.Random(seed)
        samples.append({"seed": seed, "n": n, "k": k, "draws": [r.sample(range(n), k) for _ in range(3)], "unit": r.random()})
    json.dump({"script": "tools/oracle/eval_text_scores.py", "versions": {"python": sys.version.split()[0], **{p: version(p) for p in ("sacrebleu", "rouge_score")}}, "seed": 5,
               "pairs": [{"text": t, "reference": r, "bleu": bleu(t, r), "rouge": rouge(t, r)} for t, r in pairs], "samples": samples}, sys.stdout, ensure_ascii=False, indent=0)
    print()


if __name__ == "__main__":
    main()
