#!/usr/bin/env python3
"""Mixed load for minutes or hours on a tiny model: every address, cancels, malformed requests, idle connections. Samples resident memory each
second; behind the warm-up a straight line through the samples says how fast it grows, with a 95 % interval of that slope.
Usage: soak.py PROGRAM [--minutes M] [--warm M] [--csv FILE]. Ends with 1 on a crash, a leak, or a slope whose whole interval is above
1 MiB/h."""

import argparse
import asyncio
import math
import os
import pathlib
import random
import shutil
import sys
import tempfile
import threading
import time

import abuse
import served

KINDS = {
    "chat": ("/v1/chat/completions", lambda d: {"messages": [{"role": "user", "content": "x" * d.randrange(1, 400)}], "stream": d.random() < 0.5, "max_tokens": d.randrange(1, 100), "seed": d.randrange(50)}),
    "completion": ("/v1/completions", lambda d: {"prompt": ["a" * d.randrange(1, 300) for _ in range(d.randrange(1, 4))], "n": d.randrange(1, 4), "logprobs": d.randrange(6), "echo": d.random() < 0.3, "max_tokens": d.randrange(60)}),
    "adapter": ("/v1/completions", lambda d: {"model": "tuned", "prompt": "b" * d.randrange(1, 500), "max_tokens": 40, "stop": ["a", "zz"]}),
    "grammar": ("/v1/completions", lambda d: {"prompt": "c", "max_tokens": 60, "response_format": {"type": "json_schema", "json_schema": {"name": "n", "schema": {"type": "object", "properties": {f"k{d.randrange(500)}": {"type": "integer"}}}}}}),
    "infill": ("/infill", lambda d: {"input_prefix": "d" * d.randrange(300), "input_suffix": "e", "n_predict": d.randrange(40)}),
    "tgi": ("/generate", lambda d: {"inputs": "f" * d.randrange(1, 200), "parameters": {"max_new_tokens": 20, "details": True}}),
    "ollama": ("/api/chat", lambda d: {"messages": [{"role": "user", "content": "g"}], "options": {"num_predict": 20}}),
    "embedding": ("/v1/embeddings", lambda d: {"input": ["h" * d.randrange(1, 300) for _ in range(3)], "encoding_format": d.choice(["float", "base64"])}),
    "tokens": ("/tokenize", lambda d: {"content": "i" * d.randrange(5000), "with_pieces": True}),
    "refused": ("/v1/completions", lambda d: d.choice([{"prompt": [-1]}, {"prompt": "a", "n": 99}, {"prompt": "a" * 9000}, {"prompt": "a", "grammar": "root ::= ("}, {"model": "none", "prompt": "a"}, {}])),
}


def slope(samples):
    """Of a straight line through (seconds, MiB), and half its 95 % interval, in MiB/h. Neighbours are alike, so blocks of 30 s are taken for one."""
    blocks = {}
    for t, y in samples:
        blocks.setdefault(int(t // 30), []).append((t, y))
    points = [(sum(t for t, _ in b) / len(b), sum(y for _, y in b) / len(b)) for b in blocks.values()]
    n = len(points)
    if n < 3:
        return float("nan"), float("inf")
    mt, my = sum(t for t, _ in points) / n, sum(y for _, y in points) / n
    stt = sum((t - mt) ** 2 for t, _ in points)
    k = sum((t - mt) * (y - my) for t, y in points) / stt
    rest = sum((y - my - k * (t - mt)) ** 2 for t, y in points)
    quantile = {1: 12.71, 2: 4.30, 3: 3.18, 4: 2.78, 5: 2.57, 6: 2.45, 7: 2.36, 8: 2.31, 10: 2.23, 15: 2.13, 20: 2.09, 30: 2.04}
    q = next((v for d, v in sorted(quantile.items(), reverse=True) if n - 2 >= d), 12.71)
    return 3600 * k, 3600 * q * math.sqrt(rest / (n - 2) / stt)


async def load(server, end, seed, counts):
    draw = random.Random(seed)
    while time.monotonic() < end:
        kind = draw.choice([*KINDS, "leaves", "malformed"])
        try:
            if kind == "leaves":
                await abuse.leave(server, draw, draw.choice(["head", "body", "now", "wait", "stream", "slow"]))
            elif kind == "malformed":
                await abuse.send_malformed(server, 5, draw.random())
            else:
                path, make = KINDS[kind]
                reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
                writer.write(abuse.request(make(draw), path).replace(b"\r\n", b"\r\nConnection: close\r\n", 1))
                got = await asyncio.wait_for(reader.read(), 120)
                writer.close()
                status = got[9:12].decode()
                assert status in ("200", "429", "503", "400", "404"), (kind, got[:300])
                assert status in ("400", "404") or kind != "refused"
            counts[kind] = counts.get(kind, 0) + 1
        except (OSError, asyncio.TimeoutError, AssertionError) as e:
            counts["errors"] = counts.get("errors", 0) + 1
            print("error:", kind, repr(e)[:300], flush=True)
            if server.process.poll() is not None:
                return


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--minutes", type=float, default=30)
    p.add_argument("--warm", type=float, default=5)
    p.add_argument("--clients", type=int, default=8)
    p.add_argument("--csv")
    a = p.parse_args()
    place = pathlib.Path(tempfile.mkdtemp(prefix="starchat-soak-"))
    counts, samples, stop = {}, [], threading.Event()
    try:
        program = str(pathlib.Path(a.program).resolve())
        model, tuned = served.make_model(program, place, "tiny"), served.make_adapter(place / "tuned", 5)
        with served.Server(program, model, "--template", "chatml", "--adapters", f"tuned={tuned}", "--parallel", "8", "--queue", "50", "--context", "1024", "--cache-mib", "8", "--log-level", "error", home=place, threads=2) as server:
            began = time.monotonic()

            def sample():
                while not stop.wait(1):
                    samples.append((time.monotonic() - began, server.memory() / abuse.MIB, server.files(), len(os.listdir(f"/proc/{server.process.pid}/task"))))

            async def run():
                await asyncio.gather(*(load(server, began + 60 * a.minutes, seed, counts) for seed in range(a.clients)))

            watcher = threading.Thread(target=sample)
            watcher.start()
            try:
                asyncio.run(run())
            finally:
                stop.set()
                watcher.join()
            server.wait_idle(60)
            m = server.metrics()
            later = [s for s in samples if s[0] > 60 * a.warm]
            k, half = slope([s[:2] for s in later])
            threads = {s[3] for s in later}
            files = server.files()
    finally:
        stop.set()
        shutil.rmtree(place, ignore_errors=True)
    if a.csv:
        pathlib.Path(a.csv).write_text("seconds,mib,files,threads\n" + "".join(",".join(f"{x:g}" for x in s) + "\n" for s in samples))
    print(f"{sum(counts.values())} requests in {a.minutes:g} min: {dict(sorted(counts.items()))}")
    print(f"memory {samples[0][1]:.1f} MiB at first, {later[0][1]:.1f} MiB behind the warm-up, {later[-1][1]:.1f} MiB at the end; slope {k:+.2f} MiB/h, 95 % {k - half:+.2f} to {k + half:+.2f}; threads {sorted(threads)}; "
          f"descriptors {min(s[2] for s in later)} to {max(s[2] for s in later)} under load, {files} at the end; {served.leaked_pages(m):.0f} pages leaked; load {os.getloadavg()[0]:.1f}")
    good = not counts.get("errors") and server.process.returncode == 0 and served.leaked_pages(m) == 0 and len(threads) == 1 and not k - half > 1
    print("all bars held" if good else "missed a bar")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
