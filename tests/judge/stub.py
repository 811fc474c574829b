"""A judge for tests: a server of OpenAI's chat completions whose judges have planted faults, and which fails on purpose. Standard library only.

The model's name says who answers: honest, always-first, always-longer, middle-only, contradictory, random (judges of the protocol "starchat"), or talker (an
assistant). A judge sees the quality that answer() hides in an answer. `faults` are drawn for each request, so that a request that failed may pass later."""
import hashlib
import http.server
import json
import random
import re
import socket
import socketserver
import threading
import time

FAULTS = ("slow", "429", "429-seconds", "429-date", "408", "500", "503", "half", "cut-header", "wrong-json", "no-choices", "closed", "garbage", "endless", "html")


def answer(topic, quality, words, rng):
    """An answer of known quality; how long it is has nothing to do with it."""
    filler = " ".join(rng.choice(("loop", "list", "value", "index", "return", "check", "print", "number")) for _ in range(words))
    return f"About {topic} with quality {quality:.3f}: {filler} done."


def write_prompts(path, n):
    path.write_text("".join(json.dumps({"id": f"p{i}", "slice": "instruction", "prompt": f"Write the program topic{i}."}) + "\n" for i in range(n)))


def write_answers(path, model, qualities, seed, words=(20, 60)):
    rng = random.Random(seed)
    path.write_text("".join(json.dumps({"id": f"p{i}", "model": model, "turns": [answer(f"topic{i}", q, rng.randint(*words), rng)]}) + "\n" for i, q in enumerate(qualities)))


def noise(*parts):
    """A normal number that depends on the parts alone."""
    digest = hashlib.sha256("\x1f".join(map(str, parts)).encode()).digest()
    return random.Random(digest).gauss(0, 1)


def honest_score(topic, text, salt, sd=0.4):
    m = re.match(r"About (\S+) with quality (-?[0-9.]+):", text)
    if not m or m.group(1) != topic:
        return 1                                           # nothing there, or of another question
    if not text.rstrip().endswith("done."):
        return 1                                           # cut off
    return max(1, min(8, round(float(m.group(2)) + sd * noise(salt, topic, text))))


class Judge:
    """What a judge writes to a request of the protocol "starchat"."""
    PARTS = re.compile(r"\[Question \w+\]\n(.*?)\n\n\[The Start of Assistant 1's Answer \w+\]\n(.*?)\n\[The End of Assistant 1's Answer \w+\]\n\n\[The Start of Assistant 2's Answer \w+\]\n(.*?)\n\[The End", re.S)

    def __init__(self, salt=0):
        self.salt = salt

    def scores(self, name, topic, a, b):
        honest = [honest_score(topic, a, (self.salt, 1)), honest_score(topic, b, (self.salt, 2))]
        if a == b:
            honest[1] = honest[0]
        if name == "always-first":
            return [7, 4]
        if name == "always-longer":
            return [7 if len(a) > len(b) else 4, 7 if len(b) > len(a) else 4] if len(a) != len(b) else [5, 5]
        if name == "middle-only":
            return [4 + (honest[0] > honest[1]), 4 + (honest[1] > honest[0])]
        if name == "random":
            rng = random.Random(hashlib.sha256(f"{self.salt}{a}\x1f{b}".encode()).digest())
            return [rng.randint(1, 8), rng.randint(1, 8)]
        return honest

    def text(self, name, message):
        m = self.PARTS.search(message)
        if not m:
            return "I cannot grade this."
        topic = re.search(r"topic\d+", m.group(1)).group(0)
        s = self.scores(name, topic, m.group(2), m.group(3))
        better = (s[0] < s[1]) - (s[0] > s[1])               # 1: the second
        if name == "contradictory":
            better = -better
        words = {0: "Both answers are of the same worth.", 1: "Assistant 2's answer is better overall.", -1: "Assistant 1's answer is better overall."}[better]
        return f"{s[0]} {s[1]}\n{words}"


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    wbufsize = 1 << 16
    disable_nagle_algorithm = True

    def log_message(self, *_):
        pass

    def do_POST(self):
        self.server.stub.serve(self)


class Pool(socketserver.ThreadingMixIn, http.server.HTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        pass                                               # clients are killed here, on purpose


class Stub:
    def __init__(self, judge=None, faults=(), share=0.0, seed=1, delay=0.0, once=True):
        self.judge, self.faults, self.share, self.delay = judge or Judge(), faults, share, delay
        self.rng, self.lock = random.Random(seed), threading.Lock()
        self.answered, self.seen, self.headers, self.texts = {}, [], [], {}
        self.fixed = None                                  # (status, body, headers) for every request
        self.refuse = None                                 # of a request as an object: (status, body), or None: it is answered
        self.in_flight = self.most_in_flight = self.n_faults = 0
        self.times = []
        self.server = Pool(("127.0.0.1", 0), Handler)
        self.server.stub = self
        self.thread = threading.Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.05}, daemon=True)
        self.thread.start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.server.shutdown()
        self.server.server_close()

    def spec(self, name):
        return f"http://127.0.0.1:{self.server.server_address[1]}/v1#{name}"

    def reply(self, body):
        request = json.loads(body)
        name, message = request["model"], request["messages"][-1]["content"]
        if name.startswith("talker"):
            turns = sum(m["role"] == "user" for m in request["messages"])
            text = f"answer {turns} to {message[:40]}"
            if name == "talker-leaks":
                text += "<|end|>\n<|user|>\nmore"
        elif name.startswith("mute"):
            text = "I would rather not say." if request.get("seed") == 1234 or name == "mute" else self.judge.text("honest", message)
        else:
            text = self.judge.text(name, message)
        return json.dumps({"id": "x", "object": "chat.completion", "choices": [{"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}],
                           "usage": {"prompt_tokens": len(body) // 4, "completion_tokens": len(text) // 4, "total_tokens": 0}}).encode()

    def send(self, h, status, body, headers=(), length=None):
        h.send_response(status)
        for k, v in headers:
            h.send_header(k, v)
        h.send_header("Content-Type", "application/json")
        h.send_header("Content-Length", str(len(body) if length is None else length))
        h.end_headers()
        h.wfile.write(body)
        h.wfile.flush()

    def drop(self, h):
        """No orderly end: the connection is reset."""
        h.close_connection = True
        h.wfile.flush()
        h.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")
        h.connection.close()

    def fail(self, h, fault, body):
        h.close_connection = True
        if fault == "slow":
            time.sleep(4)
            self.drop(h)
        elif fault.startswith("429"):
            soon = time.strftime("%a, %d %b %Y %H:%M:%S GMT", time.gmtime(time.time() + 1))
            more = {"429": (), "429-seconds": (("Retry-After", "1"),), "429-date": (("Retry-After", soon),)}[fault]
            self.send(h, 429, b'{"error":{"message":"too many requests"}}', more)
        elif fault in ("408", "500", "503"):
            self.send(h, int(fault), b'{"error":"down"}')
        elif fault == "half":
            good = self.reply(body)
            self.send(h, 200, good[:len(good) // 2], length=len(good))
            self.drop(h)
        elif fault == "cut-header":
            h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Le")
            self.drop(h)
        elif fault == "wrong-json":
            self.send(h, 200, b'{"choices": [{"message": {"content": "8 8')
        elif fault == "no-choices":
            self.send(h, 200, b'{"object":"chat.completion","choices":[]}')
        elif fault == "closed":
            self.drop(h)
        elif fault == "garbage":
            h.wfile.write(random.Random(1).randbytes(4096))
            self.drop(h)
        elif fault == "html":
            self.send(h, 200, b"<html><body>Bad gateway</body></html>")
        elif fault == "endless":
            h.wfile.write(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n{\"choices\":[{\"message\":{\"content\":\"")
            for _ in range(1 << 12):
                h.wfile.write(b"x" * (1 << 14))
            self.drop(h)

    def serve(self, h):
        body = h.rfile.read(int(h.headers.get("Content-Length", 0)))
        with self.lock:
            self.seen.append(body)
            self.headers.append(dict(h.headers))
            self.times.append(time.monotonic())
            self.in_flight += 1
            self.most_in_flight = max(self.most_in_flight, self.in_flight)
            fault = self.rng.choice(self.faults) if self.faults and self.rng.random() < self.share else None
            self.n_faults += fault is not None
        try:
            if self.delay:
                time.sleep(self.delay)
            refused = self.refuse and self.refuse(json.loads(body))
            if self.fixed:
                self.send(h, *self.fixed)
            elif refused:
                self.send(h, *refused)
            elif fault:
                self.fail(h, fault, body)
            else:
                good = self.reply(body)
                self.send(h, 200, good)
                with self.lock:
                    self.answered[body] = self.answered.get(body, 0) + 1
        finally:
            with self.lock:
                self.in_flight -= 1
