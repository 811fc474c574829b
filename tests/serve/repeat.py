#!/usr/bin/env python3
"""One seeded prompt at temperature 0.8, asked again and again while others ask for anything else: long and short, cancelled, constrained, of an
adapter, with little memory, so that answers are preempted. There may be one answer only, streamed or not.
Usage: repeat.py PROGRAM [--model MODEL] [--repeats N] [--tokens N]. Prints how many distinct answers there were; ends with 1 if not one."""

import argparse
import concurrent.futures
import hashlib
import json
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

import served

LAYERS = 7                                      # of these, 1 MiB of cache holds hardly more than one whole context
PROMPT = "def fibonacci(n):\n    \"\"\"The n-th number.\"\"\"\n"


def others(server, stop, seed, names, counts):
    """Load until `stop`: each kind of request, many of them given up."""
    draw = random.Random(seed)
    while not stop.is_set():
        text = draw.choice([PROMPT, PROMPT[:20], "x" * draw.randrange(1, 1200), PROMPT + "y" * draw.randrange(400)])
        body = {"model": draw.choice(names), "prompt": text, "max_tokens": draw.choice([1, 8, 60, 300]), "seed": draw.randrange(1000), "temperature": draw.choice([0, 0.8, 2]), "stream": draw.random() < 0.5,
                "n": draw.choice([1, 1, 2]), "cache_prompt": draw.random() < 0.8, "ignore_eos": True, **draw.choice([{}, {}, {"grammar": "root ::= [a-z]*"}, {"logprobs": 2}, {"speculate": 0}])}
        try:
            if draw.random() < 0.3:              # leaves early
                data = json.dumps(body).encode()
                with server.raw() as c:
                    c.sendall(b"POST /v1/completions HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (len(data), data))
                    time.sleep(draw.random() * 0.02)
                counts["left"] += 1
            else:
                answer = server.post("/v1/completions", body)
                assert answer.status in (200, 429), answer
                counts[answer.status] += 1
        except (OSError, AssertionError) as e:
            if not stop.is_set():
                counts["errors"].append(repr(e))
                return


def one(server, body, i):
    if i % 3 == 0:
        return "".join(c["text"] for e in server.stream("/v1/completions", **body)[:-1] for c in e["choices"])
    if i % 3 == 1:
        return server.good("/v1/completions", **body, cache_prompt=False, logprobs=1)["choices"][0]["text"]
    return server.good("/v1/completions", **body)["choices"][0]["text"]


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--model")
    p.add_argument("--repeats", type=int, default=1000)
    p.add_argument("--tokens", type=int, default=60)
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="starchat-repeat-"))
    counts, stop = {"left": 0, 200: 0, 429: 0, "errors": []}, threading.Event()
    try:
        program = str(pathlib.Path(a.program).resolve())
        model = a.model or served.make_model(program, place, "tiny", num_hidden_layers=LAYERS)
        options = ["--name", "base", "--parallel", "8", "--queue", "200", "--context", "2048", "--chunk", "64"]
        # Without a model of the caller's, memory for about three long answers, so that some have to give way.
        options += [] if a.model else ["--adapters", f"tuned={served.make_adapter(place / 'tuned', 5, LAYERS)}", "--cache-mib", "1"]
        names = ["base"] if a.model else ["base", "tuned"]
        with served.Server(program, model, *options, "--log-level", "error", home=None if a.model else place, threads=a.threads) as server:
            body = {"model": "base", "prompt": PROMPT, "seed": 12345, "temperature": 0.8, "max_tokens": a.tokens, "ignore_eos": True}
            alone = one(server, body, 0)
            load = [threading.Thread(target=others, args=(server, stop, seed, names, counts)) for seed in range(6)]
            for t in load:
                t.start()
            began = time.monotonic()
            with concurrent.futures.ThreadPoolExecutor(3) as pool:
                answers = [alone, *pool.map(lambda i: one(server, body, i), range(a.repeats))]
            took = time.monotonic() - began
            stop.set()
            for t in load:
                t.join()
            server.wait_idle(60)
            m = server.metrics()
    finally:
        stop.set()
        shutil.rmtree(place, ignore_errors=True)
    distinct = {hashlib.sha256(x.encode()).hexdigest()[:12] for x in answers}
    print(f"{a.repeats} repeats in {took:.1f} s: {len(distinct)} distinct answers; beside them {counts[200]} other answers, {counts['left']} clients that left, {counts[429]} told to come again; "
          f"{m['starchat_preemptions_total']:.0f} preemptions, {m['starchat_prompt_tokens_cached_total']:.0f} tokens from the cache, {m['starchat_spec_decode_accepted_tokens_total']:.0f} guesses came true; "
          f"{served.leaked_pages(m):.0f} pages leaked; load {os.getloadavg()[0]:.1f}")
    print(*counts["errors"][:5], sep="\n")
    return 0 if len(distinct) == 1 and not counts["errors"] and served.leaked_pages(m) == 0 and server.process.returncode == 0 else 1


if __name__ == "__main__":
    sys.exit(main())
