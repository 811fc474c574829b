#!/usr/bin/env python3
"""Runs `starchat eval` on what eval_harness.py ran through lm-eval, and compares: requests byte for byte, log-likelihoods, greedy flags, chosen
answers, scores and standard errors; time and memory beside lm-eval's.
Usage: eval_compare.py STARCHAT MODEL OUT DATA [TASK.SHOTS ...]     OUT, DATA: the directories that eval_harness.py made"""
import glob
import json
import os
import re
import resource
import subprocess
import sys
import time


def read_lines(path):
    with open(path, encoding="utf-8") as f:
        return [json.loads(line) for line in f]


def run(program, model, data, tasks, shots, limit, threads, out):
    line = [program, "eval", model, "--tasks", ",".join(tasks), "--data", data, "--num-fewshot", str(shots), "--limit", str(limit), "--threads", str(threads), "--out", out, "--quiet"]
    began, before = time.time(), resource.getrusage(resource.RUSAGE_CHILDREN)
    process = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(process.pid, 0)
    assert status == 0, line
    return json.load(open(out, encoding="utf-8")), time.time() - began, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024


def numbers(resp):
    """(log-likelihood, greedy) of one response; greedy None where there is none."""
    while isinstance(resp, list) and len(resp) == 1:
        resp = resp[0]
    if isinstance(resp, str):
        return resp, None
    return float(resp[0]), resp[1]


def compare(name, ours, theirs, samples):
    worst = flags = texts = chosen = pairs = prompts = 0
    where = ""
    for task, list_ours in ours["samples"].items():
        mine = {(s["doc_id"], s["filter"]): s for s in list_ours}
        for s in samples[task]:
            m = mine[s["doc_id"], s["filter"]]
            prompts += json.dumps(m["arguments"]) != json.dumps(s["arguments"]) and m["prompt_hash"] != s["prompt_hash"]
            for a, b in zip(m["resps"], s["resps"]):
                x, y = numbers(a), numbers(b)
                pairs += 1
                if isinstance(x[0], str) and not re.fullmatch(r"-?[0-9.e-]+", x[0]):
                    texts += x[0] != y[0]
                    continue
                d = abs(float(x[0]) - float(y[0]))
                if d > worst:
                    worst, where = d, f"{task} document {s['doc_id']}: {x[0]} and {y[0]}"
                flags += x[1] is not None and x[1] != y[1]
            metrics = [k for k in s["metrics"] if k in m]
            chosen += any(m[k] != s[k] for k in metrics if isinstance(s[k], (int, float)) and s[k] in (0, 1))
    print(f"{name}: {pairs} responses, {prompts} other prompts, largest difference {worst:.1e}, {flags} other greedy flags, {texts} other texts, {chosen} documents with another 0/1 metric" + (f"  ({where})" if worst > 1e-3 else ""))
    for task, r in theirs["results"].items():
        for key, value in r.items():
            if "," not in key:
                continue
            mine = ours["results"].get(task, {}).get(key)
            same = mine == value if isinstance(value, str) or mine is None or isinstance(mine, str) else abs(mine - value) < 5e-5 * max(1, abs(value))
            if not same or "_stderr" not in key and len(theirs["results"]) < 5:
                print(f"    {'' if same else 'DIFFERS '}{task} {key}: {mine if mine is None or isinstance(mine, str) else round(mine, 6)} and {value if isinstance(value, str) else round(value, 6)}")


def main():
    program, model, out, data, *wanted = sys.argv[1:]
    for path in sorted(glob.glob(os.path.join(out, "*.run.json"))):
        name = os.path.basename(path)[:-len(".run.json")]
        if wanted and name not in wanted:
            continue
        theirs, about = json.load(open(path.replace(".run.json", ".results.json"))), json.load(open(path))
        samples = {}
        for s in read_lines(path.replace(".run.json", ".samples.jsonl")):
            samples.setdefault("mmlu_" + s["doc"]["subject"] if name.startswith("mmlu") else name.split(".")[0], []).append(s)
        tasks = ["openllm"] if "openllm" in name else ["mmlu"] if name.startswith("mmlu") else [t for t in theirs["results"] if t in samples]
        ours, wall, cpu, rss = run(program, model, data, tasks, about["shots"], about["limit"], about["threads"], "/tmp/eval_compare.json")
        compare(name, ours, theirs, samples)
        rows = sum(s["rows"] for s in ours["speed"].values())
        tokens = sum(s["tokens"] for s in ours["speed"].values())
        print(f"    processor time {cpu:.1f} s and {about['cpu_seconds']:.1f} s: {about['cpu_seconds'] / cpu:.2f} times; wall {wall:.1f} and {about['wall_seconds']:.1f}; peak memory {rss / 1e6:.0f} and {about['peak_rss_bytes'] / 1e6:.0f} MB; {tokens} tokens, {rows} rows computed", flush=True)


if __name__ == "__main__":
    main()
