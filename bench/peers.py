#!/usr/bin/env python3
"""Speed of starchat beside its peers on the same GGUF file, same machine, same run: rounds alternate, medians and their ratio.

llama.cpp is the newest of PyPI (llama-cpp-python), which pip builds for this machine's instruction set when it is missing
from --venv. Both use the same number of threads; llama.cpp runs with its default repacking and with flash attention.
Tests: ppN reads N tokens, tgN generates N one by one, tgN@D behind D tokens, bN@D generates 32 tokens for N sequences together.

With --ik, the llama-bench of an ik_llama.cpp that you built yourself is one more column: with flash attention and its
repacking at run time; it has no tests of several sequences.

Usage: peers.py MODEL.gguf... [--starchat build/starchat] [--venv DIRECTORY] [--ik PATH/TO/llama-bench] [--no-llama]
                [--tests pp512,tg64,tg32@4096] [--rounds 3] [--threads 2]
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time


def parse(test):
    """pp512 -> ("pp", 512, 0); tg32@4096 -> ("tg", 32, 4096)"""
    kind, rest = ("b", test[1:]) if test.startswith("b") else (test[:2], test[2:])
    n, _, depth = rest.partition("@")
    return kind, int(n), int(depth or 0)


# ---- llama.cpp: in a process of its own ---------------------------------------------------------------------------------

class Llama:
    def __init__(self, path, threads, context, sequences=1):
        import llama_cpp as l
        self.l = l
        self.silence = l.llama_log_callback(lambda *_: None)      # must live as long as the library
        l.llama_log_set(self.silence, None)
        l.llama_backend_init()
        self.model = l.llama_model_load_from_file(path.encode(), l.llama_model_default_params())
        p = l.llama_context_default_params()
        p.n_ctx, p.n_batch, p.n_ubatch, p.n_threads, p.n_threads_batch, p.n_seq_max = context, 2048, 512, threads, threads, sequences
        if hasattr(p, "flash_attn_type"):
            p.flash_attn_type = 1
        if hasattr(p, "kv_unified"):
            p.kv_unified = True
        self.context = l.llama_init_from_model(self.model, p)
        self.vocab = l.llama_vocab_n_tokens(l.llama_model_get_vocab(self.model))
        self.batch = l.llama_batch_init(2048, 0, sequences)

    def clear(self):
        self.l.llama_memory_clear(self.l.llama_get_memory(self.context), True)

    def decode(self, tokens):
        """tokens: (id, position, sequence, wants logits)"""
        b = self.batch
        b.n_tokens = len(tokens)
        for i, (token, position, sequence, logits) in enumerate(tokens):
            b.token[i], b.pos[i], b.n_seq_id[i], b.logits[i] = token, position, 1, logits
            b.seq_id[i][0] = sequence
        if self.l.llama_decode(self.context, b) != 0:
            raise RuntimeError("llama_decode failed")

    def read(self, first, n, sequence=0):
        for at in range(first, first + n, 512):
            end = min(at + 512, first + n)
            self.decode([((p * 7919 + 13) % self.vocab, p, sequence, p == end - 1) for p in range(at, end)])

    def measure(self, kind, n, depth):
        self.clear()
        if kind == "pp":
            begin = time.perf_counter()
            self.read(0, n)
            return n / (time.perf_counter() - begin)
        sequences = n if kind == "b" else 1
        steps = 32 if kind == "b" else n
        for s in range(sequences):
            self.read(0, depth or 1, s)
        begin = time.perf_counter()
        for i in range(steps):
            self.decode([((i * 31 + s) % self.vocab, (depth or 1) + i, s, True) for s in range(sequences)])
        return steps * sequences / (time.perf_counter() - begin)


def child(args):
    tests = [parse(t) for t in args.tests.split(",")]
    sequences = max([n for kind, n, _ in tests if kind == "b"], default=1)
    context = max((n if kind != "b" else 40 * n) + depth * (n if kind == "b" else 1) for kind, n, depth in tests) + 64
    engine = Llama(args.models[0], args.threads, context, sequences)
    engine.measure("pp", 64, 0)
    print(json.dumps({t: engine.measure(*parse(t)) for t in args.tests.split(",")}))


# ---- both ----------------------------------------------------------------------------------------------------------------

def peer(args, path):
    line = [os.path.join(args.venv, "bin/python"), os.path.abspath(__file__), "--child", path, "--tests", args.tests, "--threads", str(args.threads)]
    out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
    return json.loads(out.splitlines()[-1])


def ours(args, path):
    found = {}
    for test in args.tests.split(","):
        kind, n, depth = parse(test)
        shape = {"pp": ["-p", str(n), "-n", "0"], "tg": ["-p", "0", "-n", str(n)], "b": ["-p", "0", "-n", "32", "--together", str(n)]}[kind]
        line = [args.starchat, "bench", path, "--json", "-r", "1", "-d", str(depth), "--threads", str(args.threads)] + shape
        out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        found[test] = json.loads(out)[0]["tokens_per_second"]
    return found


def ik(args, path):
    """Tokens a second of each test that it has; its rows behind a depth come as one test of both."""
    found = {}
    for test in args.tests.split(","):
        kind, n, depth = parse(test)
        if kind == "b" or (kind == "pp" and depth):
            continue
        shape = ["-p", str(n), "-n", "0"] if kind == "pp" else ["-p", "0", "-n", "0", "-gp", f"{depth},{n}"] if depth else ["-p", "0", "-n", str(n)]
        line = [args.ik, "-m", path, "-t", str(args.threads), "-fa", "1", "-rtr", "1", "-r", "1", "-o", "json"] + shape
        out = subprocess.run(line, check=True, capture_output=True, text=True).stdout
        found[test] = json.loads(out[out.index("["):])[-1]["avg_ts"]
    return found


def prepare(args):
    python = os.path.join(args.venv, "bin/python")
    if not os.path.exists(python):
        subprocess.run([sys.executable, "-m", "venv", args.venv], check=True)
    if subprocess.run([python, "-c", "import llama_cpp"], capture_output=True).returncode != 0:
        print("building llama.cpp from PyPI, which takes some minutes", file=sys.stderr)
        subprocess.run([python, "-m", "pip", "install", "-q", "--no-binary", "llama-cpp-python", "llama-cpp-python"], check=True)
    return subprocess.run([python, "-c", "import llama_cpp; print(llama_cpp.__version__)"], check=True, capture_output=True, text=True).stdout.strip()


def compare(args):
    engines = [("starchat", ours)]
    if not args.no_llama:
        print(f"llama.cpp of llama-cpp-python {prepare(args)}")
        engines.append(("llama.cpp", peer))
    if args.ik:
        engines.append(("ik_llama.cpp", ik))
    names = [name for name, _ in engines]
    print(f"{args.threads} threads, medians of {args.rounds} alternating rounds, tokens/s; ratio: starchat to the one before\n")
    print("| file | test | starchat |" + "".join(f" {name} | ratio |" for name in names[1:]) + "\n" + "|---" * (2 * len(names) + 1) + "|")
    for path in args.models:
        rounds = [[measure(args, path) for _, measure in engines] for _ in range(args.rounds)]
        for test in args.tests.split(","):
            print_row(os.path.basename(path), test, rounds, len(engines))


def print_row(file, test, rounds, n):
    speed = [statistics.median(r[i][test] for r in rounds) if test in rounds[0][i] else None for i in range(n)]
    cells = [f" {s:.1f} | {speed[0] / s:.2f} |" if s else " - | - |" for s in speed[1:]]
    print(f"| {file} | {test} | {speed[0]:.1f} |" + "".join(cells), flush=True)


def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("models", nargs="+")
    p.add_argument("--starchat", default="build/starchat")
    p.add_argument("--venv", default="build/peers")
    p.add_argument("--ik", help="llama-bench of ik_llama.cpp")
    p.add_argument("--no-llama", action="store_true", help="without llama.cpp")
    p.add_argument("--tests", default="pp512,tg64,tg32@4096")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--child", action="store_true", help=argparse.SUPPRESS)
    args = p.parse_args()
    child(args) if args.child else compare(args)


main()
