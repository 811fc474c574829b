#!/usr/bin/env python3
"""Runs `starchat eval` on what eval_harness.py ran through lm-eval, and compares: requests byte for byte, log-likelihoods, greedy flags, chosen
answers, scores and standard errors; time and memory beside lm-eval's.
Usage: eval_compare.py STARCHAT MODEL OUT DATA [TASK.SHOTS ...]              OUT, DATA: the directories that eval_harness.py made
       eval_compare.py --requests STARCHAT MODEL OUT DATA [TASK.SHOTS ...]   only what is asked: OUT/*.requests.jsonl of `render`; ends with 1 where something differs"""
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


def asking(name):
    """How a run is asked that its name tells of: arc_easy_chat-single.5"""
    kind = name.split(".")[0].rpartition("_")[2]
    return {"chat": ["--apply-chat-template"], "chat-single": ["--apply-chat-template", "--fewshot-as-multiturn", "false"]}.get(kind, [])


def task_of(name):
    name = name.split(".")[0]
    return name.rpartition("_")[0] if asking(name) else name


def run(program, model, data, tasks, shots, limit, threads, out, how):
    line = [program, "eval", model, "--tasks", ",".join(tasks), "--data", data, "--num-fewshot", str(shots), "--limit", str(limit), "--threads", str(threads), "--out", out, "--quiet", *how]
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


def key(r):
    return (r.get("context"), r.get("continuation", r.get("text")))


def compare_requests(program, model, out, data, wanted):
    differ = 0
    for path in sorted(glob.glob(os.path.join(out, "*.requests.jsonl"))):
        name = os.path.basename(path)[:-len(".requests.jsonl")]
        if wanted and name not in wanted or "openllm" in name:
            continue
        theirs, found = read_lines(path), "/tmp/eval_compare.requests.jsonl"
        line = [program, "eval", model, "--tasks", task_of(name), "--data", data, "--limit", str(max(r["doc_id"] for r in theirs) + 1), "--dry-run", "--requests", found, "--quiet", *asking(name)]
        shots = name.rpartition(".")[2]
        subprocess.run(line + ([] if shots == "None" else ["--num-fewshot", shots]), check=True, stdout=subprocess.DEVNULL)
        ours = {(r["task"], r["doc_id"], r["idx"]): key(r) for r in read_lines(found)}
        others = [r for r in theirs if ours.get((r["task"] if r["task"].startswith("mmlu") else task_of(name), r["doc_id"], r["idx"])) != key(r)]
        differ += len(others) + (len(ours) != len(theirs))
        print(f"{name}: {len(ours)} and {len(theirs)} requests, {len(others)} differ", flush=True)
        for r in others[:1]:
            print(f"    {r['task']} document {r['doc_id']}: {ours.get((task_of(name), r['doc_id'], r['idx']))} and {key(r)}")
    return 1 if differ else 0


def main():
    if sys.argv[1] == "--requests":
        program, model, out, data, *wanted = sys.argv[2:]
        sys.exit(compare_requests(program, model, out, data, wanted))
    program, model, out, data, *wanted = sys.argv[1:]
    for path in sorted(glob.glob(os.path.join(out, "*.run.json"))):
        name = os.path.basename(path)[:-len(".run.json")]
        if wanted and name not in wanted:
            continue
        theirs, about = json.load(open(path.replace(".run.json", ".results.json"))), json.load(open(path))
        samples = {}
        for s in read_lines(path.replace(".run.json", ".samples.jsonl")):
            samples.setdefault("mmlu_" + s["doc"]["subject"] if name.startswith("mmlu") else task_of(name), []).append(s)
        tasks = ["openllm"] if "openllm" in name else ["mmlu"] if name.startswith("mmlu") else [t for t in theirs["results"] if t in samples]
        ours, wall, cpu, rss = run(program, model, data, tasks, about["shots"], about["limit"], about["threads"], "/tmp/eval_compare.json", asking(name))
        compare(name, ours, theirs, samples)
        rows = sum(s["rows"] for s in ours["speed"].values())
        tokens = sum(s["tokens"] for s in ours["speed"].values())
        print(f"    processor time {cpu:.1f} s and {about['cpu_seconds']:.1f} s: {about['cpu_seconds'] / cpu:.2f} times; wall {wall:.1f} and {about['wall_seconds']:.1f}; peak memory {rss / 1e6:.0f} and {about['peak_rss_bytes'] / 1e6:.0f} MB; {tokens} tokens, {rows} rows computed", flush=True)


if __name__ == "__main__":
    main()
