#!/usr/bin/env python3
"""What clients should not do to a server, and what it does to everybody else: idle and slow connections, malformed requests, clients that leave
at any moment or read slowly. Prints figures; ends with 1 where one misses its bar (a crash, a leaked slot, page or descriptor; memory that
stays). Usage: abuse.py PROGRAM [--model MODEL] [--idle N] [--slow N] [--seconds S] [--malformed N] [--disconnects N]; the default model
is a tiny random one. The full run is --idle 1000 --slow 1000 --seconds 20 --malformed 10000 --disconnects 10000."""

import argparse
import asyncio
import json
import os
import pathlib
import random
import resource
import shutil
import sys
import tempfile
import time

import served

MIB = 1 << 20


def request(body, path="/v1/completions"):
    data = json.dumps(body).encode()
    return b"POST %s HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (path.encode(), len(data), data)


HEALTH = b"GET /health HTTP/1.1\r\nHost: localhost\r\n\r\n"
CHAT = {"messages": [{"role": "user", "content": "Hello"}], "max_tokens": 16, "temperature": 1, "seed": 1, "ignore_eos": True}


async def answer(server, bytes_sent):
    """One request on a connection of its own; status and seconds."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        writer.write(bytes_sent)
        head = await asyncio.wait_for(reader.readuntil(b"\r\n\r\n"), 120)
        length = next((int(line[15:]) for line in head.split(b"\r\n") if line.lower().startswith(b"content-length:")), 0)
        await asyncio.wait_for(reader.readexactly(length), 120)
        return int(head[9:12]), time.monotonic() - began
    finally:
        writer.close()


async def healthy(server, seconds, every=0.05):
    """Health and chats in turn for some seconds; times of both."""
    times, end = {"health": [], "chat": []}, time.monotonic() + seconds
    while time.monotonic() < end:
        for name, sent in (("health", HEALTH), ("chat", request(CHAT, "/v1/chat/completions"))):
            status, took = await answer(server, sent)
            assert status == 200, (name, status)
            times[name].append(took)
        await asyncio.sleep(every)
    return times


def told(times):
    return ", ".join(f"{name} p50 {1e3 * served.percentile(v, 50):.1f} ms, p99 {1e3 * served.percentile(v, 99):.1f} ms ({len(v)})" for name, v in times.items())


# ---- idle and slow ------------------------------------------------------------------------------------------------------------


async def hold(server, n, slow, seconds):
    """n connections that say nothing, or a byte a second; returns how the healthy ones fared. A slow one that is cut comes again."""
    stop, cut = asyncio.Event(), 0

    async def one(i):
        nonlocal cut
        await asyncio.sleep(i / n * min(2, seconds / 2))
        while not stop.is_set():
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                ended = asyncio.ensure_future(reader.read())
                sent = HEALTH[:-2] + b"X: " + b"a" * 100
                for at in range(len(sent)):
                    if slow:
                        writer.write(sent[at:at + 1])
                    done, _ = await asyncio.wait([ended, asyncio.ensure_future(stop.wait())], timeout=1 if slow else None, return_when=asyncio.FIRST_COMPLETED)
                    if done:
                        break
                cut += ended.done()
                ended.cancel()
            except OSError:
                cut += 1
            finally:
                writer.close()

    tasks = [asyncio.ensure_future(one(i)) for i in range(n)]
    await asyncio.sleep(min(2, seconds / 2) + 0.2)
    memory = server.memory()
    times = await healthy(server, seconds)
    stop.set()
    await asyncio.gather(*tasks, return_exceptions=True)
    return times, cut, memory


# ---- malformed -----------------------------------------------------------------------------------------------------------------


LINES = [b"GET / HTTP/1.1", b"POST /v1/completions HTTP/1.1", b"GET  / HTTP/1.1", b"GET / HTTP/9.9", b"GET / HTTP/1.1 ", b"\x00\x01", b"GET /%zz HTTP/1.1", b"OPTIONS * HTTP/1.1", b"GET http://u@b/ HTTP/1.1", b"G@T / HTTP/1.1",
         b"GET /" + b"a" * 9000 + b" HTTP/1.1", b"PRI * HTTP/2.0", b"", b"POST /api/chat HTTP/1.0", b"HEAD /metrics HTTP/1.1", b"DELETE /v1/models/x HTTP/1.1"]
FIELDS = [b"Host: localhost", b"Host: a b", b"Content-Length: 5", b"Content-Length: -1", b"Content-Length: 5, 5", b"Content-Length: 99999999999999999999", b"Content-Length: 0x10", b"Transfer-Encoding: chunked", b"Transfer-Encoding: gzip, chunked",
          b"Transfer-Encoding : chunked", b" folded", b"No colon", b": empty", b"X: \x00", b"X: " + b"b" * 20000, b"Expect: 200-maybe", b"Expect: 100-continue", b"Connection: close", b"Content-Encoding: gzip", b"Content-Type: application/json",
          b"Authorization: Bearer x", b"Origin: null", b"A: b\rC: d", b"A: b\nHost: c", b"X-\xff: 1"]
BODIES = [b"", b"hello", b"5\r\nhello\r\n0\r\n\r\n", b"-1\r\n", b"fffffffffffffff\r\n", b"5\nhello", b"{", b'{"prompt":"a","max_tokens":1}', b"[" * 2000, b'{"prompt":[-1]}', b"0\r\nX: y\r\n\r\n", os.urandom(300)]


def malformed(draw):
    """Parts in any order, then bytes changed, doubled or cut. Most are no request; some are, and those are answered."""
    parts = [draw.choice(LINES), *draw.choice([[], [FIELDS[0]], [FIELDS[0]]]), *(draw.choice(FIELDS) for _ in range(draw.randrange(5)))]
    if draw.random() < 0.3:                      # nearly right
        parts[0] = LINES[draw.randrange(2)]
    end = draw.choice([b"\r\n", b"\r\n", b"\r\n", b"\n", b"\r", b"\r\r\n"])
    data = bytearray(end.join(parts) + end + draw.choice([b"\r\n", b"\r\n", end, b""]) + draw.choice(BODIES))
    for _ in range(draw.choice([0, 0, 1, 3])):
        if data:
            at = draw.randrange(len(data))
            data[at:at + draw.randrange(3)] = draw.randbytes(draw.randrange(3))
    return bytes(data[:draw.randrange(len(data) + 1)] if data and draw.random() < 0.1 else data)


async def send_malformed(server, n, seed):
    draw, statuses, gate = random.Random(seed), {}, asyncio.Semaphore(50)

    async def one(data):
        async with gate:
            reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
            try:
                writer.write(data)
                writer.write_eof()
                got = await asyncio.wait_for(reader.read(), 60)
                key = got[9:12].decode() if got.startswith(b"HTTP/1.1 ") else "closed"
                assert not got or got.startswith(b"HTTP/1.1 "), (data, got)
            except OSError:
                key = "reset"
            finally:
                writer.close()
            statuses[key] = statuses.get(key, 0) + 1

    for first in range(0, n, 500):
        await asyncio.gather(*(one(malformed(draw)) for _ in range(min(500, n - first))))
    return statuses


# ---- leaving -------------------------------------------------------------------------------------------------------------------


async def leave(server, draw, moment):
    """A request whose client leaves: inside the head or the body, at once, after a moment, inside the stream, or reading slowly."""
    body = {"prompt": "a" * draw.choice([1, 50, 900, 3000]), "max_tokens": draw.choice([1, 50, 2000]), "ignore_eos": True, "stream": draw.random() < 0.6, "n": draw.choice([1, 1, 1, 3])}
    data = request(body)
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    try:
        if moment in ("head", "body"):
            end = data.index(b"\r\n\r\n") + 4
            writer.write(data[:draw.randrange(end) if moment == "head" else draw.randrange(end, len(data))])
            await asyncio.sleep(draw.random() * 0.01)
            return
        writer.write(data)
        await writer.drain()
        if moment == "wait":
            await asyncio.sleep(draw.random() * 0.05)
        elif moment == "stream":
            await asyncio.wait_for(reader.read(draw.randrange(1, 3000)), 0.02 + 0.3 * draw.random())
        elif moment == "slow":
            for _ in range(4):
                await asyncio.wait_for(reader.read(64), 0.3)
                await asyncio.sleep(0.05)
    except (OSError, asyncio.TimeoutError):
        pass
    finally:
        if draw.random() < 0.5:
            writer.transport.abort()             # a reset
        else:
            writer.close()


async def send_disconnects(server, n, seed):
    draw, gate, moments = random.Random(seed), asyncio.Semaphore(60), ("head", "body", "now", "wait", "stream", "slow")

    async def one(moment):
        async with gate:
            await leave(server, draw, moment)

    for first in range(0, n, 500):
        await asyncio.gather(*(one(moments[i % len(moments)]) for i in range(min(500, n - first))))
    return server.wait_idle(60)


# ---- all of it --------------------------------------------------------------------------------------------------------------------


class Bars:
    def __init__(self, server):
        self.server, self.missed = server, []

    def check(self, ok, text):
        print(f"  {'ok    ' if ok else 'MISSED'} {text}", flush=True)
        if not ok:
            self.missed.append(text)

    def settle(self):
        """Figures when nobody is there any more."""
        self.server.wait_idle(60)
        for _ in range(100):
            if self.server.metrics()["starchat_http_connections"] <= 1:
                break
            time.sleep(0.1)
        figures = self.server.metrics()
        files = []
        for _ in range(5):                       # the connection that asked for the figures may not be closed yet
            time.sleep(0.05)
            files.append(self.server.files())
        return {"memory": self.server.memory(), "files": min(files), **figures}

    def compare(self, name, before, growth):
        after = self.settle()
        self.check(self.server.process.poll() is None, f"{name}: the server lives")
        self.check(after["starchat_http_connections"] <= 1, f"{name}: {after['starchat_http_connections']:.0f} connections left (this one)")
        self.check(after["starchat_requests_running"] == after["starchat_requests_waiting"] == 0, f"{name}: no slot and no place in the queue leaked")
        self.check(served.leaked_pages(after) == 0, f"{name}: {served.leaked_pages(after):.0f} pages leaked of {after['starchat_cache_pages']:.0f}")
        self.check(after["files"] <= before["files"], f"{name}: {before['files']} descriptors before, {after['files']} after")
        grown = (after["memory"] - before["memory"]) / MIB
        growth *= 100 if os.environ.get("STARCHAT_SANITIZED") else 1         # a sanitizer keeps what is freed for a while
        self.check(grown <= growth, f"{name}: memory {before['memory'] / MIB:.1f} MiB before, {after['memory'] / MIB:.1f} MiB after ({grown:+.1f}, at most {growth})")


async def abuse(server, a):
    bars = Bars(server)
    await send_disconnects(server, min(200, a.disconnects), 0)       # warm: buffers, threads, the cache of beginnings
    await send_malformed(server, min(200, a.malformed), 0)
    base = await healthy(server, max(1, a.seconds / 4))
    print("alone:", told(base), f"(load of the machine {os.getloadavg()[0]:.1f})")
    for name, n, slow in (("idle", a.idle, False), ("slow", a.slow, True)):
        if n:
            before = bars.settle()
            times, cut, memory = await hold(server, n, slow, a.seconds)
            print(f"{n} {name} connections:", told(times), f"; {cut} were cut; {(memory - before['memory']) / 1024 / n:.1f} KiB each (load {os.getloadavg()[0]:.1f})")
            bars.compare(name, before, 8 + n / 100)
    if a.malformed:
        before = bars.settle()
        began = time.monotonic()
        statuses = await send_malformed(server, a.malformed, a.seed)
        print(f"{a.malformed} malformed requests in {time.monotonic() - began:.1f} s:", dict(sorted(statuses.items())))
        bars.check("500" not in statuses, "malformed: none was a fault of the server")
        bars.compare("malformed", before, 4)
    if a.disconnects:
        before = bars.settle()
        began = time.monotonic()
        idle = await send_disconnects(server, a.disconnects, a.seed)
        print(f"{a.disconnects} clients that left in {time.monotonic() - began:.1f} s; all places were free {1e3 * idle:.0f} ms after the last")
        bars.compare("disconnects", before, 8)
        status, _ = await answer(server, request(CHAT, "/v1/chat/completions"))
        bars.check(status == 200, "a chat afterwards")
    return bars.missed


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("--model")
    for name, value in (("idle", 1000), ("slow", 1000), ("malformed", 10000), ("disconnects", 10000), ("seed", 1)):
        p.add_argument(f"--{name}", type=int, default=value)
    p.add_argument("--seconds", type=float, default=20)
    a = p.parse_args()
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 65536), hard))
    place = pathlib.Path(tempfile.mkdtemp(prefix="starchat-abuse-"))
    try:
        program = str(pathlib.Path(a.program).resolve())
        model = a.model or served.make_model(program, place, "tiny")
        # A small cache of beginnings, full after the warm-up: else it would grow and look like a leak.
        options = [*([] if a.model else ["--template", "chatml"]), "--parallel", "8", "--queue", "100", "--context", "4096", "--cache-mib", "64" if not a.model else "512", "--log-level", "error"]
        with served.Server(program, model, *options, home=None if a.model else place) as server:
            missed = asyncio.run(abuse(server, a))
        if server.process.returncode != 0:
            missed.append(f"the server ended with {server.process.returncode}: {''.join(server.log[-20:])}")
    finally:
        shutil.rmtree(place, ignore_errors=True)
    print("missed:" if missed else "all bars held", *missed)
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
