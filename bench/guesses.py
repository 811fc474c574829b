#!/usr/bin/env python3
"""What guessing ahead (--speculate) gains: the same prompts with and without, in turn; tokens a second, and whether the texts
are equal. Two kinds of prompts: edits, where the answer repeats most of the code in the prompt (an answer that has begun is continued, so
that a small model really does), and others, which ask for new code.

Usage: guesses.py MODEL HUMANEVALPACK.jsonl.gz [--starchat build/starchat] [--prompts 12] [--tokens 160]
HUMANEVALPACK: lines with "declaration", "buggy_solution", "canonical_solution", "instruction".
"""
import argparse
import gzip
import json
import statistics
import subprocess

EDIT = "```python\n{before}\n```\n\nThe same file with the bug fixed:\n\n```python\n{begun}"


def edit(rows, i):
    """A file of three functions, then the first of them again: what is left to write is the other two."""
    some = [rows[(i + k) % len(rows)] for k in range(3)]
    before = "\n".join(r["declaration"] + r["buggy_solution"] for r in some)
    begun = some[0]["declaration"] + some[0]["canonical_solution"]
    return EDIT.format(before=before, begun=begun), (len(before) - len(begun)) // 4


def complete(args, prompt, tokens, speculate):
    line = [args.starchat, "complete", args.model, "-p", prompt, "--json", "-n", str(tokens), "--speculate", str(speculate), "--ignore-eos"]
    out = json.loads(subprocess.run(line, check=True, capture_output=True, text=True).stdout)
    return out["text"], out["tokens"] / out["seconds"], out["guessed"] / out["tokens"]


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("--starchat", default="build/starchat")
    p.add_argument("--prompts", type=int, default=12)
    p.add_argument("--tokens", type=int, default=160)
    args = p.parse_args()
    with gzip.open(args.data, "rt", encoding="utf-8") as f:
        rows = [json.loads(line) for line, _ in zip(f, range(args.prompts))]
    print("| prompts | plain, tokens/s | guessing, tokens/s | guessed right | ratio, median (least to most) | equal texts |\n|---|---|---|---|---|---|")
    for name in ("edits", "others"):
        ratios, shares, plain, guessing, equal = [], [], [], [], 0
        for i, r in enumerate(rows):
            prompt, tokens = edit(rows, i) if name == "edits" else (r["instruction"], args.tokens)
            (a, slow, _), (b, fast, share) = complete(args, prompt, tokens, 0), complete(args, prompt, tokens, 15)
            ratios.append(fast / slow)
            shares.append(share)
            plain.append(slow)
            guessing.append(fast)
            equal += a == b
        print(f"| {name} | {statistics.median(plain):.1f} | {statistics.median(guessing):.1f} | {100 * statistics.median(shares):.0f} % | {statistics.median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f}) | {equal} of {len(rows)} |", flush=True)


main()
