#!/usr/bin/env python3
"""deploy/nginx.conf and deploy/haproxy.cfg as they stand (ports apart) before two servers with a tiny random model: streams arrive piece by piece,
a conversation stays on its server and finds its beginning there, and when a server is killed the other takes over. Not part of `make test`.
Usage: tests/serve/proxies.py [PROGRAM]. Last line: "N passed, N failed"."""
import http.client
import json
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-proxies-"))
WAIT = 180
KEYS = ["key-number-one-of-this-test", "key-number-two-of-this-test", "key-number-three-of-this-test", "key-number-four-of-this-test"]


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Server:
    def __init__(self, name):
        self.name, self.port = name, free_port()
        self.start()

    def start(self):
        home = SCRATCH / self.name
        env = {**os.environ, "STARCHAT_HOME": str(home), "HOME": str(home)}
        self.process = subprocess.Popen([PROGRAM, "serve", str(SCRATCH / "model"), "--port", str(self.port), "--threads", "1", "--api-key-file", str(SCRATCH / "keys"), "--log-level", "warn", "-q"],
                                        env=env, stdout=subprocess.PIPE, stderr=open(SCRATCH / f"{self.name}.log", "a"), text=True)
        assert self.process.stdout.readline().startswith("http://"), (SCRATCH / f"{self.name}.log").read_text()

    def answered(self):
        """How many answers it has completed."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        c.request("GET", "/metrics", headers={"Authorization": "Bearer " + KEYS[0]})
        text = c.getresponse().read().decode()
        return sum(int(n) for n in re.findall(r"request_success_total\{[^}]*\} (\d+)", text))

    def kill(self):
        self.process.kill()
        self.process.wait()


def with_ports(text, front, servers):
    for old, new in (("127.0.0.1:8000", f"127.0.0.1:{front}"), ("127.0.0.1:8081", f"127.0.0.1:{servers[0].port}"), ("127.0.0.1:8082", f"127.0.0.1:{servers[1].port}")):
        assert old in text, old
        text = text.replace(old, new)
    return text


class Proxy:
    def __init__(self, kind, servers):
        self.port = free_port()
        config = SCRATCH / f"{kind}.conf"
        if kind == "nginx":
            site = SCRATCH / "site.conf"
            site.write_text(with_ports((ROOT / "deploy/nginx.conf").read_text(), self.port, servers))
            config.write_text(f"daemon off; master_process off; error_log {SCRATCH}/nginx.log; pid {SCRATCH}/nginx.pid; events {{}}\nhttp {{ access_log off; "
                              + " ".join(f"{name}_temp_path {SCRATCH}/{name};" for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")) + f" include {site}; }}\n")
            command = ["nginx", "-c", str(config)]
        else:
            config.write_text(with_ports((ROOT / "deploy/haproxy.cfg").read_text(), self.port, servers))
            command = ["haproxy", "-db", "-f", str(config)]
        self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=open(SCRATCH / f"{kind}.log", "a"))
        end = time.monotonic() + WAIT
        while True:
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                break
            except OSError:
                assert time.monotonic() < end and self.process.poll() is None, (SCRATCH / f"{kind}.log").read_text()
                time.sleep(0.05)

    def ask(self, path, body=None, conversation=None, key=KEYS[0]):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        headers = {"Authorization": "Bearer " + key, "Content-Type": "application/json"}
        if conversation:
            headers["X-Conversation-Id"] = conversation
        c.request("POST" if body else "GET", path, body and json.dumps(body), headers)
        return c.getresponse()

    def complete(self, prompt, **how):
        r = self.ask("/v1/completions", {"prompt": prompt, "max_tokens": 4, "temperature": 0}, **how)
        text = r.read()
        assert r.status == 200, (r.status, text)
        return json.loads(text)

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait(WAIT)


def turns(i):
    first = f"{i} begins in its own way: " + f"{i * 7919} and so on. " * 20
    return first, first + f" Then it goes on, {i}."


def cached(answer):
    return answer["usage"]["prompt_tokens_details"]["cached_tokens"]


def streams_arrive_in_pieces(proxy, servers):
    r = proxy.ask("/v1/completions", {"prompt": "one", "max_tokens": 300, "ignore_eos": True, "stream": True, "temperature": 1, "seed": 3})
    assert r.status == 200 and r.getheader("Content-Type").startswith("text/event-stream"), (r.status, r.getheaders())
    parts = []
    while part := r.read1(1 << 20):
        parts.append(part)
    text = b"".join(parts)
    assert text.count(b"data: ") > 100 and text.endswith(b"data: [DONE]\n\n")
    # A buffer in between would hand on few large parts.
    assert len(parts) > 20 and max(map(len, parts)) < len(text) / 4, (len(text), [len(p) for p in parts][:40])


def conversations_stay(proxy, servers):
    before = [s.answered() for s in servers]
    for i in range(12):
        first, second = turns(i)
        n = proxy.complete(first, conversation=f"talk-{i}")["usage"]["prompt_tokens"]
        found = cached(proxy.complete(second, conversation=f"talk-{i}"))
        assert found > n - 64, (i, found, n)
    share = [s.answered() - b for s, b in zip(servers, before)]
    assert sum(share) == 24 and all(n >= 4 for n in share), share


def without_a_name_the_key_decides(proxy, servers):
    for k, key in enumerate(KEYS):
        first, second = turns(100 + k)
        n = proxy.complete(first, key=key)["usage"]["prompt_tokens"]
        found = cached(proxy.complete(second, key=key))
        assert found > n - 64, (k, found, n)


def errors_come_through(proxy, servers):
    r = proxy.ask("/v1/completions", {"prompt": 1})
    body = json.loads(r.read())
    assert r.status == 400 and body["error"]["param"] == "prompt", (r.status, body)
    r = proxy.ask("/v1/models", key="none of them, whatever it is")
    assert r.status == 401 and json.loads(r.read())["error"]["code"] == "invalid_api_key"
    r = proxy.ask("/health")
    assert r.status == 200 and json.loads(r.read()) == {"status": "ok"}
    assert proxy.ask("/metrics").status == 404


def the_other_takes_over(proxy, servers):
    for i in range(12):
        proxy.complete(turns(i)[0], conversation=f"talk-{i}")
    servers[0].kill()
    before = servers[1].answered()
    for i in range(12):
        proxy.complete(turns(i)[1], conversation=f"talk-{i}")
    assert servers[1].answered() - before == 12
    servers[0].start()
    end = time.monotonic() + 60
    while servers[0].answered() == 0:                            # found again
        for i in range(12):
            proxy.complete(turns(i)[1], conversation=f"talk-{i}")
        assert time.monotonic() < end
        time.sleep(0.5)


def main():
    config = json.loads((BYTES / "config.json").read_text())
    config["max_position_embeddings"] = 4096
    (SCRATCH / "config.json").write_text(json.dumps(config))
    subprocess.run([PROGRAM, "init", str(SCRATCH / "config.json"), str(SCRATCH / "model"), "--tokenizer", str(BYTES / "tokenizer.json"), "--seed", "1", "-q"], check=True)
    keys = SCRATCH / "keys"
    keys.write_text("\n".join(KEYS) + "\n")
    keys.chmod(0o600)
    passed = failed = 0
    for kind in ("nginx", "haproxy"):
        if not shutil.which(kind):
            print(f"skipped: {kind} is not installed")
            continue
        servers = [Server(f"{kind}-one"), Server(f"{kind}-two")]
        proxy = Proxy(kind, servers)
        for test in (streams_arrive_in_pieces, conversations_stay, without_a_name_the_key_decides, errors_come_through, the_other_takes_over):
            try:
                test(proxy, servers)
                passed += 1
                print(f"ok {kind} {test.__name__}")
            except Exception:
                failed += 1
                print(f"FAILED {kind} {test.__name__}")
                traceback.print_exc(file=sys.stdout)
        proxy.stop()
        for s in servers:
            s.kill()
    if failed:
        print(f"what was written is in {SCRATCH}")
    else:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


sys.exit(main())
