"""What the server's tests share: tiny random models, a running server, requests, streams and figures. Standard library only.

The tokenizer has a token for each byte, so a random model writes broken UTF-8 all the time, which nothing may pass on."""
import http.client
import json
import os
import pathlib
import random
import re
import signal
import socket
import struct
import subprocess
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
BYTES = ROOT / "tests/golden/tokenizers/bytes"
END = 261                                       # <|endoftext|> of that tokenizer
FIM = ("<fim_prefix>", "<fim_middle>", "<fim_suffix>")


def environment(home):
    """Nothing of the user's, unless `home` is None: then the user's own store."""
    if home is None:
        return dict(os.environ)
    env = {k: v for k, v in os.environ.items() if not k.startswith(("STARCHAT_", "HF_")) or k == "STARCHAT_SANITIZED"}
    return {**env, "STARCHAT_HOME": str(home), "HOME": str(home), "LC_ALL": "C.UTF-8", "HF_HUB_OFFLINE": "1"}


def make_model(program, place, name, has_fim=True, **config):
    """A random model; returns its directory."""
    settings = {**json.loads((BYTES / "config.json").read_text()), "max_position_embeddings": 16384, **config}
    tokenizer = json.loads((BYTES / "tokenizer.json").read_text())
    if not has_fim:
        for token in tokenizer["added_tokens"]:
            token["content"] = token["content"].replace("fim_", "other_")
    (place / f"{name}.config.json").write_text(json.dumps(settings))
    (place / f"{name}.tokenizer.json").write_text(json.dumps(tokenizer))
    subprocess.run([program, "init", place / f"{name}.config.json", place / name, "--tokenizer", place / f"{name}.tokenizer.json", "--seed", "1", "-q"],
                   check=True, env=environment(place), stdin=subprocess.DEVNULL)
    return place / name


def make_adapter(directory, seed, layers=2, width=32, rank=4):
    """A random LoRA adapter on q_proj, written without any library: a header of JSON, then floats."""
    directory.mkdir()
    draw, header, data = random.Random(seed), {}, b""
    for layer in range(layers):
        for part, shape in (("A", (rank, width)), ("B", (width, rank))):
            values = [draw.gauss(0, 1) for _ in range(shape[0] * shape[1])]
            packed = struct.pack(f"<{len(values)}f", *values)
            header[f"base_model.model.model.layers.{layer}.self_attn.q_proj.lora_{part}.weight"] = {"dtype": "F32", "shape": list(shape), "data_offsets": [len(data), len(data) + len(packed)]}
            data += packed
    text = json.dumps(header).encode()
    (directory / "adapter_model.safetensors").write_bytes(struct.pack("<Q", len(text)) + text + data)
    (directory / "adapter_config.json").write_text(json.dumps({"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": 8, "target_modules": ["q_proj"], "base_model_name_or_path": "tiny"}))
    return directory


class Answer:
    """Status, headers and body; `json` of the body."""

    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        return json.loads(self.body.decode("utf-8"))            # strictly: no answer is broken UTF-8

    def __repr__(self):
        return f"{self.status} {self.body[:300]!r}"


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path):
        super().__init__("localhost", timeout=60)
        self.path = path

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(60)
        self.sock.connect(self.path)


class Server:
    """`starchat serve`; ends with the block. `log` holds the lines of standard error."""

    def __init__(self, program, model, *options, home, threads=1):
        self.log = []
        line = [program, "serve", str(model), "--port", "0", "--threads", str(threads), *map(str, options)]
        self.process = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(home), text=True, errors="replace")
        self.reader = threading.Thread(target=lambda: self.log.extend(self.process.stderr), daemon=True)
        self.reader.start()
        self.address = self.process.stdout.readline().strip()
        assert self.address, (line, "".join(self.wait_log()))
        self.port = int(self.address.rpartition(":")[2]) if self.address.startswith("http") else None

    def __enter__(self):
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(40)
            except subprocess.TimeoutExpired:
                self.process.kill()
        self.process.wait()
        self.wait_log()
        self.process.stdout.close()
        self.process.stderr.close()
        found = [line for line in self.log if "Sanitizer" in line or "runtime error:" in line]
        assert not found, "".join(self.log[self.log.index(found[0]) - 1:][:60])

    def wait_log(self):
        self.reader.join(60)
        return self.log

    def connect(self):
        return http.client.HTTPConnection("127.0.0.1", self.port, timeout=120) if self.port else UnixConnection(self.address[5:])

    def raw(self, timeout=60):
        return socket.create_connection(("127.0.0.1", self.port), timeout=timeout)

    def ask(self, method, path, body=None, headers=None):
        connection = self.connect()
        try:
            data = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
            connection.request(method, path, data, {**({"Content-Type": "application/json"} if data is not None else {}), **(headers or {})})
            r = connection.getresponse()
            return Answer(r.status, r.headers, r.read())
        finally:
            connection.close()

    def get(self, path, **headers):
        return self.ask("GET", path, headers={k.replace("_", "-"): v for k, v in headers.items()})

    def post(self, path, body, **headers):
        return self.ask("POST", path, body, {k.replace("_", "-"): v for k, v in headers.items()})

    def good(self, path, **body):
        answer = self.post(path, body)
        assert answer.status == 200, answer
        return answer.json

    def stream(self, path, **body):
        """The events of a stream, decoded; "[DONE]" stays a text. Each event is whole UTF-8."""
        answer = self.post(path, body if "inputs" in body else {**body, "stream": True})
        assert answer.status == 200 and answer.headers["Content-Type"].startswith("text/event-stream"), (answer.status, answer.body[:300])
        return [e if e == "[DONE]" else json.loads(e) for e in events_of(answer.body)]

    def metrics(self):
        return parse_metrics(self.get("/metrics").body.decode())

    def memory(self):
        """Resident bytes."""
        return int(pathlib.Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]) * os.sysconf("SC_PAGE_SIZE")

    def files(self):
        return len(os.listdir(f"/proc/{self.process.pid}/fd"))

    def wait_idle(self, seconds=20):
        """Until nothing runs or waits; returns how long that took."""
        began = time.monotonic()
        while time.monotonic() - began < seconds:
            m = self.metrics()
            if m["starchat_requests_running"] == m["starchat_requests_waiting"] == 0:
                return time.monotonic() - began
            time.sleep(0.02)
        raise AssertionError(f"still busy after {seconds} s: {m}")


def events_of(body):
    text = body.decode("utf-8")
    assert text.endswith("\n\n"), text[-100:]
    for block in text[:-2].split("\n\n"):
        if block.startswith(":"):
            continue
        assert block.startswith("data:") and "\n" not in block, block
        yield block[5:].lstrip(" ")


NAME = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*=\"(?:[^\"\\\n]|\\[\\\"n])*\",?)*\})? (-?[0-9.e+-]+|[+-]Inf|NaN)$")


def parse_metrics(text):
    """Prometheus' text format, strictly: one HELP and one TYPE before the samples of a name, which stand together. Returns {sample: value}."""
    values, kinds, current, seen = {}, {}, None, set()
    assert text.endswith("\n")
    for line in text[:-1].split("\n"):
        if line.startswith("# HELP "):
            current = line.split(" ", 3)[2]
            assert current not in seen, line
            seen.add(current)
        elif line.startswith("# TYPE "):
            _, _, name, kind = line.split(" ")
            assert name == current and name not in kinds and kind in ("counter", "gauge", "histogram"), line
            kinds[name] = kind
        else:
            match = NAME.match(line)
            assert match, line
            name, kind = match[1], kinds[current]
            assert name == current or (kind == "histogram" and name in (current + "_bucket", current + "_sum", current + "_count")), (line, current)
            assert kind != "counter" or (name.endswith("_total") and float(match[3]) >= 0), line
            key = name + (match[2] or "")
            assert key not in values, line
            values[key] = float(match[3])
    for name, kind in kinds.items():
        if kind == "histogram":
            counts = [v for k, v in values.items() if k.startswith(name + "_bucket")]
            assert counts == sorted(counts) and counts[-1] == values[name + "_count"] == values[name + '_bucket{le="+Inf"}'], name
    return values


def leaked_pages(metrics):
    """Pages that neither a running answer nor the cache of beginnings accounts for, when nothing runs."""
    return metrics["starchat_cache_pages_used"] - metrics["starchat_cache_pages_prefix"]


def percentile(values, p):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * p / 100))] if values else float("nan")
