#!/usr/bin/env python3
"""starchat serve beside llama-server on the same GGUF file, same threads, same requests: runs alternate, medians and their ratio.

llama-server is the newest of PyPI's llama-cpp-python source, built for this machine below --cache, unless --llama names one.
Tokens are counted by the usage of each answer; ignore_eos makes all answers equally long; every prompt is a new one.
Times: first token = first text - request; gap = between texts of one answer (one token each without guessing).
A machine that others use distorts seconds more than ratios, so processor seconds a token of each server are told, too.

Cases: load     N clients, each its next request when the last answer is complete
       fair     4 running chats; a prompt of 4,000 tokens comes: gaps while it is read, beside those before; /health meanwhile
       shared   8 requests with the same long system message at once
       editor   a completion every 300 ms, 4 of 5 broken off: until the server computes nothing any more, by /metrics

Usage: serve_load.py MODEL.gguf [--cases load,fair,shared,editor] [--clients 1,4,8,16,64] [--rounds 3] [--starchat build/starchat]
                     [--llama PATH] [--cache DIRECTORY] [--threads 2] [--guess] [--only starchat|llama] [--theirs "-ub 256"] [--ours "--stretch 3"]
"""
import argparse
import asyncio
import glob
import json
import os
import random
import re
import resource
import shlex
import statistics
import subprocess
import sys
import tarfile
import time
import urllib.request

clock = time.perf_counter


# ---- the other server ------------------------------------------------------------------------------------------------------

def build_llama(cache):
    """llama-server of the newest llama-cpp-python; takes up to an hour on two busy cores."""
    os.makedirs(cache, exist_ok=True)
    subprocess.run([sys.executable, "-m", "pip", "download", "-q", "--no-deps", "--no-binary", "llama-cpp-python", "-d", cache, "llama-cpp-python"], check=True)
    archive = max(glob.glob(os.path.join(cache, "llama_cpp_python-*.tar.gz")), key=os.path.getmtime)
    source = archive[:-len(".tar.gz")]
    build, server = source + "-build", source + "-build/bin/llama-server"
    if not os.path.exists(server):
        with tarfile.open(archive) as t:
            t.extractall(cache, **({"filter": "data"} if hasattr(tarfile, "data_filter") else {}))
        on = "GGML_NATIVE LLAMA_BUILD_COMMON LLAMA_BUILD_TOOLS LLAMA_BUILD_SERVER"
        off = "BUILD_SHARED_LIBS LLAMA_BUILD_TESTS LLAMA_BUILD_EXAMPLES LLAMA_BUILD_APP LLAMA_BUILD_UI LLAMA_USE_PREBUILT_UI LLAMA_OPENSSL"
        options = [f"-D{name}=ON" for name in on.split()] + [f"-D{name}=OFF" for name in off.split()]
        print("building llama-server", file=sys.stderr)
        subprocess.run(["nice", "cmake", "-S", source + "/vendor/llama.cpp", "-B", build, "-DCMAKE_BUILD_TYPE=Release", *options], check=True, stdout=subprocess.DEVNULL)
        subprocess.run(["nice", "cmake", "--build", build, "--target", "llama-server", "-j", str(os.cpu_count())], check=True, stdout=subprocess.DEVNULL)
    return server


# ---- servers -----------------------------------------------------------------------------------------------------------------

class Server:
    """A server process of one case."""
    def __init__(self, name, command, port):
        self.name, self.port = name, port
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        end = clock() + 120
        while True:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{port}/health", timeout=5) as r:
                    if r.status == 200:
                        return
            except OSError:
                pass
            if self.process.poll() is not None or clock() > end:
                raise SystemExit(f"{name} does not start: {shlex.join(command)}")
            time.sleep(0.1)

    def cpu(self):
        with open(f"/proc/{self.process.pid}/stat") as f:
            part = f.read().rpartition(")")[2].split()
        return (int(part[11]) + int(part[12])) / os.sysconf("SC_CLK_TCK")

    def memory(self):
        with open(f"/proc/{self.process.pid}/status") as f:
            return int(re.search(r"VmHWM:\s+(\d+)", f.read()).group(1)) / 1024

    def close(self):
        self.process.terminate()
        try:
            self.process.wait(20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()


def free_port():
    import socket
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def start(args, name, sequences, context):
    """Both get room for `sequences` answers of `context` tokens at once; prompts are kept in memory by both, on disk by neither."""
    port = free_port()
    if name == "starchat":
        line = [args.starchat, "serve", args.model, "--port", str(port), "--threads", str(args.threads), "--parallel", str(sequences), "--context", str(context), "--log-level", "none",
                "-q"] + shlex.split(args.ours)
    else:
        line = [args.llama, "-m", args.model, "--host", "127.0.0.1", "--port", str(port), "-t", str(args.threads), "-tb", str(args.threads), "-np", str(sequences),
                "-c", str(sequences * context), "--no-webui", "--metrics", "-cb", "--log-disable"] + shlex.split(args.theirs)
    return Server(name, line, port)


# ---- a request -----------------------------------------------------------------------------------------------------------------

class Answer(asyncio.Protocol):
    """One request. Texts are only noted with their time; JSON is read behind the answer."""
    def connection_made(self, transport):
        self.transport, self.done = transport, None

    def ask(self, path, body):
        data = json.dumps(body).encode() if body is not None else b""
        head = f"{'POST' if body is not None else 'GET'} {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(data)}\r\n\r\n"
        self.buffer, self.head, self.left, self.body, self.at = bytearray(), None, None, bytearray(), []
        self.done = asyncio.get_running_loop().create_future()
        self.sent = clock()
        self.transport.write(head.encode() + data)
        return self.done

    def data_received(self, data):
        self.buffer += data
        now = clock()
        if self.head is None:
            end = self.buffer.find(b"\r\n\r\n")
            if end < 0:
                return
            self.head = bytes(self.buffer[:end]).lower()
            del self.buffer[:end + 4]
            length = re.search(rb"content-length: *(\d+)", self.head)
            self.left = int(length.group(1)) if length else None
        if self.left is not None:
            if len(self.buffer) >= self.left:
                self.body = self.buffer
                self.finish()
            return
        while True:                                    # chunks
            line = self.buffer.find(b"\r\n")
            if line < 0:
                return
            size = int(self.buffer[:line], 16)
            if len(self.buffer) < line + 2 + size + 2:
                return
            chunk = self.buffer[line + 2:line + 2 + size]
            del self.buffer[:line + 2 + size + 2]
            if not size:
                self.finish()
                return
            self.body += chunk
            self.at.append((len(self.body), now))

    def finish(self):
        if self.done and not self.done.done():
            self.done.set_result(clock())

    def connection_lost(self, error):
        if self.done and not self.done.done():
            self.done.set_exception(ConnectionError("the connection was closed"))

    def events(self):
        """(time, event) of the stream that was read: an event counts from when its last byte was here."""
        start, i = 0, 0
        while (end := self.body.find(b"\n\n", start)) >= 0:
            while self.at[i][0] < end + 2:
                i += 1
            if self.body.startswith(b"data: {", start):
                yield self.at[i][1], json.loads(self.body[start + 6:end])
            start = end + 2


async def connect(port):
    return (await asyncio.get_running_loop().create_connection(Answer, "127.0.0.1", port))[1]


class Client:
    """A connection for each request, made before its time begins: llama-server closes some of its own accord behind a stream."""
    def __init__(self, port):
        self.port = port

    async def ask(self, path, body):
        answer = await connect(self.port)
        await answer.ask(path, body)
        answer.transport.close()
        return answer


class Result:
    """What an answer tells: seconds to the first text, times of all texts, tokens."""
    def __init__(self, c):
        self.begin, self.at, self.usage, self.is_complete, self.text = c.sent, [], {}, False, ""
        for now, e in c.events():
            for choice in e.get("choices") or []:
                text = (choice.get("delta") or {}).get("content") or choice.get("text") or ""
                if text:
                    self.at.append(now)
                    self.text += text
                self.is_complete |= choice.get("finish_reason") == "length"
            if e.get("usage"):
                self.usage = e["usage"]
        self.first = self.at[0] - self.begin if self.at else None
        self.prompt, self.tokens = self.usage.get("prompt_tokens", 0), self.usage.get("completion_tokens", 0)
        self.cached = (self.usage.get("prompt_tokens_details") or {}).get("cached_tokens", 0)
        self.gaps = [b - a for a, b in zip(self.at, self.at[1:])]


WORDS = ("time year people way day man thing woman life child world school state family student group country problem hand part place case week company system program question work "
         "government number night point home water room mother area money story fact month lot right study book eye job word business issue side kind head house service friend father "
         "power hour game line end member law car city community name president team minute idea kid body information back parent face others level office door health person art war "
         "history party result change morning reason research girl guy moment air teacher force education").split()


def words(n, seed):
    r = random.Random(seed)
    return " ".join(r.choice(WORDS) for _ in range(n))


def chat(args, text, tokens, system=None, **more):
    messages = ([{"role": "system", "content": system}] if system else []) + [{"role": "user", "content": text}]
    return {"messages": messages, "max_tokens": tokens, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True},
            **({} if args.guess else {"speculate": 0}), **more}


async def stream(client, body, path="/v1/chat/completions"):
    c = await client.ask(path, body)
    if b" 200 " not in c.head.split(b"\r\n")[0]:
        raise SystemExit(f"refused: {c.head.decode()} {c.body.decode()}")
    return Result(c)


def rank(values, p):
    v = sorted(values)
    return v[min(len(v) - 1, int(p * len(v)))] if v else float("nan")


def ms(x):
    return f"{1000 * x:.1f}" if x == x else "-"


# ---- load ------------------------------------------------------------------------------------------------------------------------

PROMPT_WORDS, NEW_TOKENS = 64, 64            # with the template about 96 tokens


async def load(args, server, clients, each, seed):
    client = Client(server.port)
    results = []

    async def one(i):
        for r in range(each):
            results.append(await stream(client, chat(args, words(PROMPT_WORDS, seed * 100000 + i * 100 + r), NEW_TOKENS)))

    cpu, mine, begin = server.cpu(), resource.getrusage(resource.RUSAGE_SELF), clock()
    await asyncio.gather(*[one(i) for i in range(clients)])
    wall = clock() - begin
    now = resource.getrusage(resource.RUSAGE_SELF)
    tokens = sum(r.tokens for r in results)
    gaps = [g for r in results for g in r.gaps]
    firsts = [r.first for r in results]
    return {"speed": tokens / wall, "cpu_token": (server.cpu() - cpu) / tokens, "first": rank(firsts, 0.5), "first95": rank(firsts, 0.95), "gap": rank(gaps, 0.5), "gap95": rank(gaps, 0.95), "gap99": rank(gaps, 0.99),
            "complete": sum(r.is_complete and r.tokens == NEW_TOKENS for r in results), "requests": len(results), "prompt": statistics.median(r.prompt for r in results),
            "tool": (now.ru_utime + now.ru_stime - mine.ru_utime - mine.ru_stime) / wall, "wall": wall, "texts": results[0].text[:60]}


def alternate(args, sequences, context, measure):
    """Both servers stay up and idle while the other one works; returns {name: [what measure gave, ...]}."""
    servers = {name: start(args, name, sequences, context) for name in args.names}
    try:
        found = {name: [] for name in servers}
        for name, server in servers.items():                   # weights are packed, clocks are up
            asyncio.run(load(args, server, 1, 1, 999))
        for r in range(args.rounds):
            for name in list(servers) if r % 2 == 0 else list(servers)[::-1]:
                found[name].append(measure(servers[name], r))
        return found, {name: s.memory() for name, s in servers.items()}
    finally:
        for s in servers.values():
            s.close()


def middle(found, key):
    return statistics.median(f[key] for f in found)


def case_load(args):
    print("| clients | server | tokens/s | ratio | cpu ms a token | ratio | first token ms, median, p95 | gap ms, median, p95, p99 | complete | MiB |\n|" + "---|" * 10)
    for clients in map(int, args.clients.split(",")):
        each = max(1, round(args.requests / clients))
        found, memory = alternate(args, clients, 1024, lambda s, r: asyncio.run(load(args, s, clients, each, 10 * clients + r)))
        base = found.get("llama")
        for name, f in found.items():
            both = base and name == "starchat"
            ratio, cheaper = (middle(f, "speed") / middle(base, "speed"), middle(base, "cpu_token") / middle(f, "cpu_token")) if both else (0, 0)
            print(f"| {clients} | {name} | {middle(f, 'speed'):.1f} | {f'{ratio:.2f}' if both else ''} | {ms(middle(f, 'cpu_token'))} | {f'{cheaper:.2f}' if both else ''} | {ms(middle(f, 'first'))}, {ms(middle(f, 'first95'))} | "
                  f"{ms(middle(f, 'gap'))}, {ms(middle(f, 'gap95'))}, {ms(middle(f, 'gap99'))} | {sum(x['complete'] for x in f)} of {sum(x['requests'] for x in f)} | {memory[name]:.0f} |", flush=True)
            if args.verbose:
                print(f"    speeds {[round(x['speed'], 1) for x in f]}, prompt {middle(f, 'prompt'):.0f} tokens, tool {middle(f, 'tool'):.3f} of a core, load {os.getloadavg()[0]:.1f}, {f[0]['texts']!r}", flush=True)


# ---- a long prompt beside running answers ----------------------------------------------------------------------------------------

LONG_WORDS, QUIET_SECONDS = 3900, 3.0


async def health(server, stop):
    """Seconds of each /health, asked every 20 ms."""
    client, found = Client(server.port), []
    while not stop.is_set():
        begin = clock()                                # with the time to connect
        await client.ask("/health", None)
        found.append(clock() - begin)
        await asyncio.sleep(0.02)
    return found


async def fair(args, server, seed):
    """Long prompt alone, then beside four chats that began before and end after it."""
    client = Client(server.port)
    alone = (await stream(client, chat(args, words(LONG_WORDS, seed), 1))).first
    tasks = [asyncio.create_task(stream(client, chat(args, words(30, seed * 10 + i + 1000), args.running_tokens))) for i in range(4)]
    await asyncio.sleep(QUIET_SECONDS)
    stop = asyncio.Event()
    watch = asyncio.create_task(health(server, stop))
    begin = clock()
    result = await stream(client, chat(args, words(LONG_WORDS, seed + 500), 1))
    end = result.at[0]
    stop.set()
    checks = await watch
    were_running = sum(not t.done() for t in tasks)
    answers = await asyncio.gather(*tasks)
    quiet = [b - a for r in answers for a, b in zip(r.at[4:], r.at[5:]) if b < begin]
    busy = [b - a for r in answers for a, b in zip(r.at, r.at[1:]) if b > begin and a < end]
    return {"quiet": rank(quiet, 0.5), "quiet95": rank(quiet, 0.95), "busy": rank(busy, 0.5), "busy95": rank(busy, 0.95), "longest": max(busy), "stretch": rank(busy, 0.95) / rank(quiet, 0.5), "stretch95": rank(busy, 0.95) / rank(quiet, 0.95),
            "alone": alone, "beside": end - begin, "running": were_running, "health99": rank(checks, 0.99), "health_n": len(checks), "prompt": result.prompt}


def case_fair(args):
    print("| server | prompt | gap quiet ms, median, p95 | while it is read: median, p95, longest | p95 / quiet median, / quiet p95 | s of the prompt alone, beside | /health p99 ms | still running |\n|" + "---|" * 8)
    found, _ = alternate(args, 5, 8192, lambda s, r: asyncio.run(fair(args, s, 7000 + r)))
    for name, f in found.items():
        m = lambda key: middle(f, key)
        print(f"| {name} | {m('prompt'):.0f} | {ms(m('quiet'))}, {ms(m('quiet95'))} | {ms(m('busy'))}, {ms(m('busy95'))}, {ms(m('longest'))} | {m('stretch'):.2f}, {m('stretch95'):.2f} | {m('alone'):.1f}, {m('beside'):.1f} | "
              f"{ms(m('health99'))} | {min(x['running'] for x in f)} of 4 |", flush=True)


# ---- the same beginning ------------------------------------------------------------------------------------------------------------

async def shared(args, server, seed):
    client = Client(server.port)
    system = words(500, seed)
    found = {}
    for turn in ("new", "known"):
        begin = clock()
        r = await asyncio.gather(*[stream(client, chat(args, words(12, seed * 100 + i + (50 if turn == "known" else 0)), 16, system)) for i in range(8)])
        found[turn] = {"cached": sum(x.cached for x in r), "prompt": sum(x.prompt for x in r), "first": rank([x.first for x in r], 0.5), "first95": rank([x.first for x in r], 0.95), "wall": clock() - begin}
    return found


def case_shared(args):
    print("| server | 8 at once, system message new: cached of prompt tokens | first token ms, median, largest | seconds of all | known: the same |\n|" + "---|" * 5)
    found, _ = alternate(args, 8, 2048, lambda s, r: asyncio.run(shared(args, s, 8000 + r)))
    for name, f in found.items():
        cells = []
        for turn in ("new", "known"):
            m = lambda key: middle([x[turn] for x in f], key)
            cells.append((f"{m('cached'):.0f} of {m('prompt'):.0f}", f"{ms(m('first'))}, {ms(m('first95'))}", f"{m('wall'):.2f}"))
        print(f"| {name} | {' | '.join(cells[0])} | {'; '.join(cells[1])} |", flush=True)


# ---- an editor ------------------------------------------------------------------------------------------------------------------------

CODE = "".join(f"def step_{i}(a, b):\n    \"\"\"Adds {i} to the product.\"\"\"\n    return a * b + {i}\n\n" for i in range(12))


async def computing(client):
    c = await client.ask("/metrics", None)
    return sum(float(x) for x in re.findall(rb"^(?:starchat_requests_running|llamacpp:requests_processing|llamacpp:requests_deferred) ([0-9.]+)", c.body, re.M))


async def editor(args, server, seed):
    r = random.Random(seed)
    watch = Client(server.port)
    free, whole = [], []
    begin = clock()
    for i in range(40):
        await asyncio.sleep(max(0.0, begin + 0.3 * i - clock()))
        c = await connect(server.port)
        body = {"prompt": CODE[:1200] + f"def last_{seed}_{i}(", "max_tokens": 24, "temperature": 0, "ignore_eos": True, "stream": True, "stream_options": {"include_usage": True}, **({} if args.guess else {"speculate": 0})}
        asked = c.ask("/v1/completions", body)
        if i % 5 == 4:
            whole.append(await asked - c.sent)
            c.transport.close()
            continue
        asked.cancel()
        await asyncio.sleep(r.uniform(0.03, 0.15))
        c.transport.abort() if r.random() < 0.5 else c.transport.close()
        left = clock()
        while await computing(watch) > 0:
            await asyncio.sleep(0.001)
        free.append(clock() - left)
    return {"free": rank(free, 0.5), "free95": rank(free, 0.95), "free_max": max(free), "whole": rank(whole, 0.5), "whole95": rank(whole, 0.95)}


def case_editor(args):
    print("| server | until nothing is computed behind an abort ms, median, p95, longest | whole completion ms, median, p95 |\n|" + "---|" * 3)
    found, _ = alternate(args, 2, 2048, lambda s, r: asyncio.run(editor(args, s, 9000 + r)))
    for name, f in found.items():
        m = lambda key: ms(middle(f, key))
        print(f"| {name} | {m('free')}, {m('free95')}, {m('free_max')} | {m('whole')}, {m('whole95')} |", flush=True)


# ---- all -------------------------------------------------------------------------------------------------------------------------------

def main():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("model")
    p.add_argument("--cases", default="load,fair,shared,editor")
    p.add_argument("--clients", default="1,4,8,16,64")
    p.add_argument("--requests", type=int, default=64, help="of a round of the load, all clients together")
    p.add_argument("--running-tokens", type=int, default=1500, help="of the chats beside the long prompt")
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--starchat", default="build/starchat")
    p.add_argument("--llama", help="a llama-server that is there already")
    p.add_argument("--cache", default=os.path.expanduser("~/.cache/starchat-bench"))
    p.add_argument("--only", choices=["starchat", "llama"])
    p.add_argument("--guess", action="store_true", help="starchat guesses ahead, as it does by default")
    p.add_argument("--ours", default="", help="more options of starchat serve")
    p.add_argument("--theirs", default="", help="more options of llama-server")
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    args.names = [args.only] if args.only else ["llama", "starchat"]
    if "llama" in args.names and not args.llama:
        args.llama = build_llama(args.cache)
    cases = {"load": case_load, "fair": case_fair, "shared": case_shared, "editor": case_editor}
    for name in args.cases.split(","):
        print(f"\n{name}: {args.threads} threads, medians of {args.rounds} alternating rounds")
        cases[name](args)


main()
