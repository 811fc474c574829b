#!/usr/bin/env python3
"""Measures published judgements by itself, with the standard library alone, and compares with `starchat judge audit --json`.

Usage: tools/oracle/judge_stored.py build/starchat ../shared/data/eval
Reads the stored scores and winners, never the texts; the program's own reading of the texts is checked by --differences. Last line: "N equal, N differ".
"""
import collections
import glob
import gzip
import json
import math
import statistics
import subprocess
import sys

program, data = sys.argv[1], sys.argv[2]
equal = differ = 0


def audit(*arguments):
    return json.loads(subprocess.run([program, "judge", "audit", "--json", *arguments], check=True, capture_output=True).stdout)


def compare(what, found, expected, within=1e-9):
    global equal, differ
    same = found is not None and abs(found - expected) <= within
    equal += same
    differ += not same
    if not same:
        print(f"{what}: {found}, expected {expected}")


def rows(pattern):
    for path in sorted(glob.glob(f"{data}/{pattern}")):
        with (gzip.open(path, "rt") if path.endswith(".gz") else open(path)) as f:
            yield from ((path, json.loads(line)) for line in f)


def ranks(x):
    order = sorted(range(len(x)), key=lambda i: x[i])
    out, i = [0.0] * len(x), 0
    while i < len(x):
        end = i
        while end < len(x) and x[order[end]] == x[order[i]]:
            end += 1
        for k in range(i, end):
            out[order[k]] = (i + end + 1) / 2
        i = end
    return out


def pearson(x, y):
    mx, my = statistics.fmean(x), statistics.fmean(y)
    return sum((a - mx) * (b - my) for a, b in zip(x, y)) / math.sqrt(sum((a - mx) ** 2 for a in x) * sum((b - my) ** 2 for b in y))


def tau_b(x, y):
    concordant = tied_x = tied_y = 0
    for i in range(len(x)):
        for k in range(i):
            a, b = (x[i] > x[k]) - (x[i] < x[k]), (y[i] > y[k]) - (y[i] < y[k])
            concordant += a * b
            tied_x += a == 0
            tied_y += b == 0
    n = len(x) * (len(x) - 1) / 2
    return concordant / math.sqrt((n - tied_x) * (n - tied_y))


def kappa(x, y, weight):
    n, classes = len(x), sorted(set(x) | set(y))
    cx, cy = collections.Counter(x), collections.Counter(y)
    seen = sum(weight(a, b) for a, b in zip(x, y)) / n
    chance = sum(cx[a] * cy[b] * weight(a, b) for a in classes for b in classes) / n / n
    return 1 - seen / chance


def nominal(a, b):
    return a != b


def quadratic(a, b):
    return (a - b) ** 2


def agreement(found, a, b, kind):
    for row in found["agreement"]:
        if {row["a"], row["b"]} == {a, b} and row["kind"] == kind:
            return row
    return {}


def single_grades():
    scores = collections.defaultdict(dict)
    for _, row in rows("mt-bench-judged/judgments/*/*/single_grade/*.gz"):
        for turn in (1, 2):
            scores[row["judge_id"]][row["question_id"], row["model_id"], turn] = row[f"score_turn{turn}"]
    found = audit(*glob.glob(f"{data}/mt-bench-judged/judgments/*/*/single_grade"))
    for judge in found["judges"]:
        name, all_of = judge["judge"], scores[judge["judge"]]
        x = [s for s in all_of.values() if s is not None and s >= 0]
        value, count = max(collections.Counter(x).items(), key=lambda item: (item[1], -item[0]))
        bits = -sum(c / len(x) * math.log2(c / len(x)) for c in collections.Counter(x).values())
        for key, expected in {"calls": len(all_of), "ok": len(x), "mean": statistics.fmean(x), "sd": statistics.stdev(x), "median": statistics.median(x), "mode": value, "mode_count": count, "entropy": bits,
                              "extreme_share": sum(s <= 3 or s >= 9 for s in x) / len(x), "middle_share": sum(s in (5, 6) for s in x) / len(x)}.items():
            compare(f"{name} {key}", judge[key], expected)
    names = sorted(scores)
    for i, a in enumerate(names):
        for b in names[:i]:
            keys = [k for k in scores[a] if scores[a][k] >= 0 and scores[b][k] >= 0]
            x, y = [scores[a][k] for k in keys], [scores[b][k] for k in keys]
            row = agreement(found, a, b, "scores")
            for key, expected in {"n": len(keys), "exact": sum(p == q for p, q in zip(x, y)) / len(x), "within_1": sum(abs(p - q) <= 1 for p, q in zip(x, y)) / len(x), "kappa": kappa(x, y, nominal),
                                  "weighted_kappa": kappa(x, y, quadratic), "spearman": pearson(ranks(x), ranks(y)), "kendall": tau_b(x, y)}.items():
                compare(f"{a}, {b} {key}", row.get(key), expected)


def pairs():
    found = audit(*glob.glob(f"{data}/mt-bench-judged/judgments/*/*/pairwise"))
    by_judge = collections.defaultdict(list)
    for _, row in rows("mt-bench-judged/judgments/*/*/pairwise/*.gz"):
        by_judge[row["judge_id"]].append((row["winner_ab"], row["winner_ba"]))
    swapped = {"A": "B", "B": "A", "tie": "tie"}
    for judge in found["judges"]:
        both = [(x, y) for x, y in by_judge[judge["judge"]] if x in swapped and y in swapped]
        count = collections.Counter(w for pair in both for w in pair)
        compare(f"{judge['judge']} pairs", judge["swap"]["pairs"], len(both))
        compare(f"{judge['judge']} consistent", judge["swap"]["consistent"], sum(swapped[y] == x for x, y in both))
        compare(f"{judge['judge']} first", judge["slot"]["first"], count["A"])
        compare(f"{judge['judge']} second", judge["slot"]["second"], count["B"])
        compare(f"{judge['judge']} tie", judge["slot"]["tie"], count["tie"])


def reviews():
    found = audit(f"{data}/vicuna-blog-eval/review")
    for path in sorted(glob.glob(f"{data}/vicuna-blog-eval/review/*/*.jsonl")):
        first, second = path.split("/review_")[1].removesuffix(".jsonl").split("_", 1)
        x = [json.loads(line)["score"] for line in open(path)]
        m = [m for judge in found["judges"] for m in judge["meetings"] if m["first"] == first and m["second"] == second][0]
        for key, expected in {"n": len(x), "first_mean": statistics.fmean(a for a, _ in x), "second_mean": statistics.fmean(b for _, b in x), "first_better": sum(a > b for a, b in x), "second_better": sum(a < b for a, b in x),
                              "tie": sum(a == b for a, b in x)}.items():
            compare(f"{first}, {second} {key}", m[key], expected)


def people():
    found = audit(f"{data}/pandalm/testset-v1.json")
    labels = json.load(open(f"{data}/pandalm/testset-v1.json"))
    for a, b in (("annotator1", "annotator2"), ("annotator1", "annotator3"), ("annotator2", "annotator3")):
        x, y = [int(r[a]) for r in labels], [int(r[b]) for r in labels]
        row = agreement(found, a, b, "verdicts")
        compare(f"{a}, {b} exact", row.get("exact"), sum(p == q for p, q in zip(x, y)) / len(x))
        compare(f"{a}, {b} kappa", row.get("kappa"), kappa(x, y, nominal))


for part in (single_grades, pairs, reviews, people):
    part()
print(f"{equal} equal, {differ} differ")
sys.exit(differ != 0)
