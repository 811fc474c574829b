#!/usr/bin/env python3
"""Time and memory of `starchat eval` beside lm-eval's (`hf`, float32) on the same questions and threads, in alternating rounds; medians and their ratios.

lm-eval runs through tools/oracle/eval_harness.py as it is, without the cache of beginnings that the harness may add; its time begins once Python and torch are
loaded, ours with the process. `share`: how much of the f32 peak (`starchat doctor`, the same minute) the products of the blocks alone account for, at least:
attention and the head are left out. Greedy answers and scores of both are compared, since a faster run with other results would say nothing.

Usage: eval_speed.py MODEL_DIR OUT PYTHON [--starchat build/starchat] [--rounds 2] [--threads 2] [--json FILE] [TASK.SHOTS:DOCUMENTS ...]
MODEL_DIR: in Hugging Face's format, f32; OUT: where `eval_harness.py data` was run; PYTHON: of an environment with tools/oracle/requirements.txt and lm_eval
"""
import argparse
import json
import os
import pathlib
import statistics
import subprocess
import sys
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CASES = ["mmlu.5:1", "arc_easy.0:100", "hellaswag.0:50", "winogrande.0:100", "truthfulqa_mc1.0:50", "lambada_openai.0:200", "wikitext.0:6", "truthfulqa_gen.0:12", "gsm8k.0:8", "gsm8k.5:8"]


def matrices(model):
    """Elements of the blocks' matrices."""
    c = json.loads((pathlib.Path(model) / "config.json").read_text())
    h, f, kv = c["hidden_size"], c["intermediate_size"], c["num_key_value_heads"] * (c.get("head_dim") or c["hidden_size"] // c["num_attention_heads"])
    return c["num_hidden_layers"] * (2 * h * h + 2 * h * kv + 3 * h * f)


def ours(args, task, shots, documents):
    out = pathlib.Path(args.out) / "speed.json"
    out.unlink(missing_ok=True)
    line = [args.starchat, "eval", args.model, "--tasks", task, "--num-fewshot", shots, "--limit", str(documents), "--data", f"{args.out}/data", "--threads", str(args.threads), "--out", str(out), "--quiet"]
    begin = time.time()
    p = subprocess.Popen(line, stdout=subprocess.DEVNULL)
    _, status, usage = os.wait4(p.pid, 0)
    wall = time.time() - begin
    if status:
        sys.exit(f"{line} failed")
    r = json.loads(out.read_text(encoding="utf-8"))
    rows = sum(s["rows"] if s["rows"] else s["tokens"] for s in r["speed"].values())
    return {"wall": wall, "memory": usage.ru_maxrss * 1024, "rows": rows, "results": r}


def theirs(args, task, shots, documents):
    line = [args.python, str(ROOT / "tools/oracle/eval_harness.py"), "run", "--plain", "--out", args.out, "--model", args.model, "--threads", str(args.threads), "--limit", str(documents), f"{task}.{shots}"]
    p = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
    if p.returncode:
        sys.exit(f"{line} failed")
    r = json.loads((pathlib.Path(args.out) / "out" / f"{task}.{shots}.plain.run.json").read_text())
    results = json.loads((pathlib.Path(args.out) / "out" / f"{task}.{shots}.plain.results.json").read_text())
    return {"wall": r["wall_seconds"], "memory": r["peak_rss_bytes"], "results": results}


def scores(r, task):
    return {k: v for k, v in {**r["results"].get(task, {}), **r.get("groups", {}).get(task, {})}.items() if isinstance(v, float) and "stderr" not in k}


def main():
    parser = argparse.ArgumentParser(description="starchat eval beside lm-eval: time, memory, share of the f32 peak")
    parser.add_argument("model")
    parser.add_argument("out")
    parser.add_argument("python")
    parser.add_argument("cases", nargs="*", default=CASES)
    parser.add_argument("--starchat", default=str(ROOT / "build/starchat"))
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--json")
    args = parser.parse_intermixed_args()
    size, table = matrices(args.model), []
    for case in args.cases:
        name, documents = case.split(":")
        task, shots = name.rsplit(".", 1)
        limit = json.loads(subprocess.run([args.starchat, "doctor", "--json", "--threads", str(args.threads)], capture_output=True, text=True).stdout)["limits"]["f32_gflops"]
        pairs = [(ours(args, task, shots, int(documents)), theirs(args, task, shots, int(documents))) for _ in range(args.rounds)]
        a, b = statistics.median(x["wall"] for x, _ in pairs), statistics.median(y["wall"] for _, y in pairs)
        x, y = pairs[-1]
        row = {"task": name, "documents": int(documents), "seconds": round(a, 2), "lm_eval_seconds": round(b, 2), "ratio": round(b / a, 2), "memory_ratio": round(x["memory"] / y["memory"], 2), "memory_mb": round(x["memory"] / 1e6),
               "share": round(2 * size * x["rows"] / a / limit / 1e9, 3), "f32_gflops": round(limit, 1), "scores": scores(x["results"], task), "lm_eval_scores": scores(y["results"], task)}
        table.append(row)
        print(json.dumps(row), flush=True)
    if args.json:
        pathlib.Path(args.json).write_text(json.dumps(table, indent=1))


if __name__ == "__main__":
    main()
