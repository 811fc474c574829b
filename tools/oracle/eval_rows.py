"""Rows of the local evaluation data, and of our own golden data, in the columns that the Hub has: what eval_harness.py feeds to lm-eval."""
import csv
import gzip
import json
import os
import re

HERE = os.path.dirname(os.path.abspath(__file__))
EVAL = os.path.join(HERE, "..", "..", "shared", "data", "eval")
if not os.path.isdir(EVAL):
    EVAL = os.path.join(HERE, "..", "..", "..", "shared", "data", "eval")


def lines(path):
    opener = gzip.open if path.endswith(".gz") else open
    with opener(os.path.join(EVAL, path), "rt", encoding="utf-8") as f:
        return [json.loads(line) for line in f if line.strip()]


def arc_question(row):
    choices = row["question"]["choices"]
    return {"id": row["id"], "question": row["question"]["stem"],
            "choices": {"text": [c["text"] for c in choices], "label": [c["label"] for c in choices]},
            "answerKey": row["answerKey"]}


def arc_train():
    """The instruction-tuning file says "Answer1: .. Answer2: .." after the question."""
    with open(os.path.join(EVAL, "arc/ARC-Challenge-Train.instruct.json"), encoding="utf-8") as f:
        rows = json.load(f)
    out = []
    for i, row in enumerate(rows):
        m = re.fullmatch(r"Please choose the correct answer to the question: (.*)\n\n(Answer1: .*)\n\n"
                         r"Answer format: (.*)", row["instruction"], re.S)
        parts = re.split(r"(?:^| )Answer\d: ", m[2])[1:]
        names = m[3].split("/")
        assert len(parts) == len(names)
        out.append({"id": f"train-{i}", "question": m[1],
                    "choices": {"text": parts, "label": [chr(65 + k) for k in range(len(parts))]},
                    "answerKey": chr(65 + names.index(row["answer"]))})
    return out


def arc_easy_test():
    out = []
    for i, row in enumerate(lines("arc/ARC-Easy-Test.query-choices-gold.jsonl")):
        assert row["query"].startswith("Question: ")
        out.append({"id": f"easy-{i}", "question": row["query"][len("Question: "):],
                    "choices": {"text": row["choices"],
                                "label": [chr(65 + k) for k in range(len(row["choices"]))]},
                    "answerKey": chr(65 + row["gold"])})
    return out


def hellaswag():
    keys = ("ind", "activity_label", "ctx_a", "ctx_b", "ctx", "endings", "source_id", "split", "split_type")
    return [{**{k: row[k] for k in keys}, "label": str(row["label"])}
            for row in lines("hellaswag/hellaswag_val_1000.raw.jsonl")]


def subjects():
    return sorted(f[:-len("_test.csv")] for f in os.listdir(os.path.join(EVAL, "mmlu", "test")))


def mmlu(subject, split):
    with open(os.path.join(EVAL, "mmlu", split, f"{subject}_{split}.csv"), encoding="utf-8", newline="") as f:
        return [{"question": r["question"], "subject": subject, "choices": [r[f"choice{k}"] for k in range(4)],
                 "answer": int(r["answer"])} for r in csv.DictReader(f)]


def truthful_mc():
    with open(os.path.join(EVAL, "truthfulqa/mc_task.v1-817.json"), encoding="utf-8") as f:
        rows = json.load(f)
    return [{"question": r["question"],
             **{t: {"choices": list(r[t]), "labels": list(r[t].values())} for t in ("mc1_targets", "mc2_targets")}}
            for r in rows]


def truthful_gen():
    with open(os.path.join(EVAL, "truthfulqa/TruthfulQA.csv"), encoding="utf-8", newline="") as f:
        rows = list(csv.DictReader(f))

    def split(text):
        return [part.strip() for part in text.split(";") if part.strip()]
    return [{"type": r["Type"], "category": r["Category"], "question": r["Question"], "best_answer": r["Best Answer"],
             "correct_answers": split(r["Correct Answers"]), "incorrect_answers": split(r["Incorrect Answers"]),
             "source": r["Source"]} for r in rows]


def winogrande(name):
    keys = ("sentence", "option1", "option2", "answer")
    return [{k: r[k] for k in keys} for r in lines(f"winogrande/{name}.jsonl")]


def lambada():
    return [{"text": r["context"] + " " + r["continuation"]} for r in lines("lambada/lambada_openai.jsonl")]


def wikitext():
    """Pages: a line "= Title =" with single signs begins one."""
    with open(os.path.join(EVAL, "wikitext2/test.txt"), encoding="utf-8", newline="") as f:
        rows = f.read().split("\n")
    pages, page = [], []
    for row in rows:
        bare = row.replace("= = =", "===").replace("= =", "==").strip()
        if bare.startswith("= ") and bare.endswith(" ="):
            pages.append("\n".join(page))
            page = []
        page.append(row)
    pages.append("\n".join(page))
    return [{"page": p} for p in pages if p.strip()]


def mbpp():
    """The Hub's test split: tasks 11 to 510."""
    return [r for r in lines("mbpp/mbpp.jsonl") if 11 <= r["task_id"] <= 510]


def own_sets(folder):
    """The same from DIR/NAME/SPLIT.jsonl, rows that have the Hub's columns already (eval_golden_data.py)."""
    places = {("allenai/ai2_arc", "ARC-Easy"): "arc_easy", ("allenai/ai2_arc", "ARC-Challenge"): "arc_challenge", ("Rowan/hellaswag", None): "hellaswag",
              ("truthfulqa/truthful_qa", "multiple_choice"): "truthfulqa_mc", ("truthfulqa/truthful_qa", "generation"): "truthfulqa_gen", ("allenai/winogrande", "winogrande_xl"): "winogrande",
              ("EleutherAI/lambada_openai", "default"): "lambada_openai", ("openai/gsm8k", "main"): "gsm8k", ("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1"): "wikitext",
              **{("cais/mmlu", s): "mmlu/anatomy" for s in subjects()}}
    out = {}
    for key, name in places.items():
        out[key] = (name, {})
        for file in sorted(os.listdir(os.path.join(folder, name))):
            with open(os.path.join(folder, name, file), encoding="utf-8") as f:
                out[key][1][file.split(".")[0]] = [json.loads(line) for line in f]
        for split in ("train", "validation"):              # some tasks open splits that they do not use
            out[key][1].setdefault(split, next(iter(out[key][1].values()))[:1])
    return out


def data_sets():
    """(Hub path, configuration) -> (name below data/, {split: rows})."""
    if os.environ.get("EVAL_ROWS"):
        return own_sets(os.environ["EVAL_ROWS"])
    hs = hellaswag()
    arc = {"train": arc_train(), "validation": [arc_question(r) for r in lines("arc/ARC-Challenge-Dev.jsonl")]}
    mc, gen, la = truthful_mc(), truthful_gen(), lambada()
    wiki = wikitext()
    sets = {
        ("allenai/ai2_arc", "ARC-Easy"): ("arc_easy", {**arc, "test": arc_easy_test()}),
        ("allenai/ai2_arc", "ARC-Challenge"):
            ("arc_challenge", {**arc, "test": [arc_question(r) for r in lines("arc/ARC-Challenge-Test.jsonl")]}),
        ("Rowan/hellaswag", None): ("hellaswag", {"train": hs, "validation": hs}),
        ("truthfulqa/truthful_qa", "multiple_choice"): ("truthfulqa_mc", {"validation": mc}),
        ("truthfulqa/truthful_qa", "generation"): ("truthfulqa_gen", {"validation": gen}),
        ("allenai/winogrande", "winogrande_xl"):
            ("winogrande", {"train": winogrande("train_s"), "validation": winogrande("dev")}),
        ("EleutherAI/lambada_openai", "default"): ("lambada_openai", {"test": la}),
        ("cimec/lambada", None): ("lambada_standard", {"validation": la[:50], "test": la}),
        ("openai/gsm8k", "main"):
            ("gsm8k", {"train": lines("gsm8k/train.jsonl.gz"), "test": lines("gsm8k/test.jsonl")}),
        ("EleutherAI/wikitext_document_level", "wikitext-2-raw-v1"):
            ("wikitext", {"train": wiki[:2], "validation": wiki[:2], "test": wiki}),
        ("openai/openai_humaneval", None): ("humaneval", {"test": lines("humaneval/HumanEval.jsonl.gz")}),
        ("google-research-datasets/mbpp", "full"): ("mbpp", {"test": mbpp()}),
    }
    for s in subjects():
        sets[("cais/mmlu", s)] = (f"mmlu/{s}", {"dev": mmlu(s, "dev"), "test": mmlu(s, "test")})
    return sets


def features(path):
    from datasets import ClassLabel, List, Value
    s, i32 = Value("string"), Value("int32")
    targets = {"choices": List(s), "labels": List(i32)}
    return {
        "allenai/ai2_arc": {"id": s, "question": s, "choices": {"text": List(s), "label": List(s)}, "answerKey": s},
        "Rowan/hellaswag": {"ind": i32, "activity_label": s, "ctx_a": s, "ctx_b": s, "ctx": s, "endings": List(s),
                            "source_id": s, "split": s, "split_type": s, "label": s},
        "multiple_choice": {"question": s, "mc1_targets": targets, "mc2_targets": targets},
        "generation": {"type": s, "category": s, "question": s, "best_answer": s, "correct_answers": List(s),
                       "incorrect_answers": List(s), "source": s},
        "allenai/winogrande": {"sentence": s, "option1": s, "option2": s, "answer": s},
        "EleutherAI/lambada_openai": {"text": s}, "cimec/lambada": {"text": s},
        "openai/gsm8k": {"question": s, "answer": s},
        "EleutherAI/wikitext_document_level": {"page": s},
        "openai/openai_humaneval": {"task_id": s, "prompt": s, "canonical_solution": s, "test": s, "entry_point": s},
        "google-research-datasets/mbpp": {"task_id": i32, "text": s, "code": s, "test_list": List(s),
                                          "test_setup_code": s, "challenge_test_list": List(s)},
        "cais/mmlu": {"question": s, "subject": s, "choices": List(s),
                      "answer": ClassLabel(names=["A", "B", "C", "D"])},
    }[path]


def data_set(path, name, sets):
    import datasets
    shape = features(name if path == "truthfulqa/truthful_qa" else path)
    return datasets.DatasetDict({split: datasets.Dataset.from_list(rows, features=datasets.Features(shape))
                                 for split, rows in sets[(path, name)][1].items()})


def write_data(out):
    sets = data_sets()
    for (path, name), (where, splits) in sets.items():
        folder = os.path.join(out, "data", where)
        os.makedirs(folder, exist_ok=True)
        for split, rows in splits.items():
            with open(os.path.join(folder, f"{split}.jsonl"), "w", encoding="utf-8") as f:
                for row in rows:
                    f.write(json.dumps(row, ensure_ascii=False) + "\n")
        if where in ("arc_challenge", "hellaswag", "truthfulqa_mc", "gsm8k", "mmlu/anatomy"):
            for split, rows in data_set(path, name, sets).items():
                rows.to_parquet(os.path.join(folder, f"{split}.parquet"))
    print(f"{len(sets)} data sets below {out}/data")
