"""The server's side of the chat page: the files of the page, and all of docs/page-api.md, against `starchat serve` with a
tiny random model made by `starchat init`, whose answers are noise of any length. Standard library only.

Run: python3 tests/cli/test_ui.py [PROGRAM] [NAME...]       Last line: "N passed, N failed"
"""
import gzip
import http.client
import json
import os
import pathlib
import re
import select
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import threading
import time
import traceback
import zlib

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
DIST = ROOT / "web/dist"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-ui-"))
MODEL = str(SCRATCH / "model")
TEMPLATE = str(SCRATCH / "plain.jinja")
WAIT = 240                                      # seconds: also where a tiny model writes five tokens a second
LONG = {"max_tokens": 6000, "temperature": 1.5}         # some seconds of noise
KEY = "a-key-of-this-test-0123456789"


def make_model():
    config = json.loads((BYTES / "config.json").read_text())
    config.update(max_position_embeddings=8192, hidden_size=256, intermediate_size=1024, num_hidden_layers=4)        # a thousand tokens a second or so
    # Noise ends by itself after some hundred tokens unless there is no token for the end.
    del config["eos_token_id"]
    names = (BYTES / "tokenizer.json").read_text().replace("<|endoftext|>", "<|no|>").replace("<|im_end|>", "<|neither|>")
    (SCRATCH / "config.json").write_text(json.dumps(config))
    (SCRATCH / "tokenizer.json").write_text(names)
    pathlib.Path(TEMPLATE).write_text("{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}")
    subprocess.run([PROGRAM, "init", str(SCRATCH / "config.json"), MODEL, "--tokenizer", str(SCRATCH / "tokenizer.json"), "--seed", "1", "-q"], check=True)


def new_home():
    return pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))


def environment(home):
    env = {k: v for k, v in os.environ.items() if k not in ("XDG_DATA_HOME", "HF_HOME", "HF_TOKEN", "STARCHAT_HOME")}
    env.update(STARCHAT_HOME=str(home), HOME=str(home), LC_ALL="C.UTF-8", HF_HUB_OFFLINE="1")
    return env


class Refused(Exception):
    def __init__(self, status, body):
        super().__init__(f"{status} {body}")
        self.status = status
        self.body = body
        try:
            self.message = json.loads(body)["error"]["message"]
        except (ValueError, KeyError, TypeError):
            self.message = ""


class Server:
    """A server with a home of its own. `call` returns the JSON of the answer, or raises Refused."""

    def __init__(self, *args, home=None, key=None, template=TEMPLATE):
        self.home = home or new_home()
        self.key = key
        self.errors = open(tempfile.mkstemp(dir=SCRATCH)[1], "w+")
        line = [PROGRAM, "serve", MODEL, "--port", "0", "--no-prompt-cache", "--threads", "2", *args]
        if template:
            line += ["--template", template]
        self.process = subprocess.Popen(line, env=environment(self.home), stdout=subprocess.PIPE, stderr=self.errors, text=True)
        first = self.process.stdout.readline()
        if not first.startswith("http://"):
            raise AssertionError("no address: " + first + self.log())
        self.port = int(first.strip().rsplit(":", 1)[1])

    def log(self):
        with open(self.errors.name) as f:
            return f.read()

    def __enter__(self):
        return self

    def __exit__(self, kind, *rest):
        self.stop()

    def stop(self, number=signal.SIGTERM):
        """Ends it; a sanitizer's complaint is a failure."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        code = self.process.wait(WAIT)
        self.process.stdout.close()
        self.errors.close()
        log = self.log()
        assert "ERROR: " not in log and "runtime error" not in log, log
        assert number == signal.SIGKILL or code == 0, f"ended with {code}: {log}"

    def ask(self, method, path, body=None, headers=None):
        """Status, headers, bytes."""
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        given = {"Content-Type": "application/json"} if method not in ("GET", "HEAD") else {}
        if self.key:
            given["Authorization"] = "Bearer " + self.key
        given.update(headers or {})
        if body is not None and not isinstance(body, (str, bytes)):
            body = json.dumps(body)
        if isinstance(body, str):
            body = body.encode()
        try:
            c.request(method, path, body, {k: v for k, v in given.items() if v is not None})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def call(self, method, path, body=None, status=200):
        got, _, text = self.ask(method, path, body)
        if got != status:
            raise Refused(got, text.decode(errors="replace"))
        return json.loads(text)

    def refused(self, method, path, body=None):
        got, _, text = self.ask(method, path, body)
        assert got >= 400, (got, text)
        return Refused(got, text.decode())

    # What most tests begin with.
    def conversation(self, text="Hello", **fields):
        c = self.call("POST", "/ui/conversations", fields)
        m = self.call("POST", f"/ui/conversations/{c['id']}/messages", {"parent": None, "content": text})
        return c["id"], m["id"]

    def answer(self, talk, parent, settings=None, **more):
        return self.call("POST", f"/ui/conversations/{talk}/answers", {"parent": parent, "settings": settings or {"max_tokens": 20}, **more}, 202)

    def message(self, talk, mid):
        return next(m for m in self.call("GET", f"/ui/conversations/{talk}")["messages"] if m["id"] == mid)

    def events(self, answer, start=0):
        return Events(self, f"/ui/answers/{answer}/events?from={start}")

    def finish(self, answer):
        """Waits for the end."""
        with self.events(answer) as e:
            return e.all()

    def long_answer(self, talk, parent, settings=None):
        """One that is being written, with some text already, and its listener."""
        a = self.answer(talk, parent, settings or LONG)
        e = self.events(a["id"])
        while len(e.text) < 40:
            assert e.next() is not None and not e.done, f"the answer is too short for this test: {e.done}"
        return a["id"], e


class Events:
    """Listens to an answer. `text`: what came, `done`: the last event."""

    def __init__(self, server, path):
        self.connection = http.client.HTTPConnection("127.0.0.1", server.port, timeout=WAIT)
        self.connection.request("GET", path, headers={"Authorization": "Bearer " + server.key} if server.key else {})
        self.response = self.connection.getresponse()
        if self.response.status != 200:
            raise Refused(self.response.status, self.response.read().decode())
        assert self.response.headers["Content-Type"].startswith("text/event-stream")
        self.text, self.at, self.done, self.events, self.pings = "", None, None, [], 0
        self.end = time.monotonic() + WAIT

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.close()

    def close(self):
        self.response.close()
        self.connection.close()

    def next(self):
        """The next event; None: the stream has ended."""
        while True:
            line = self.response.readline()
            assert time.monotonic() < self.end, f"no end of the events after {WAIT} s"        # pings keep the socket alive
            if not line:
                return None
            if line.startswith(b":"):
                self.pings += 1
            if not line.startswith(b"data: "):
                continue
            e = json.loads(line[6:])
            self.events.append(e)
            if "text" in e:
                if self.at is None:
                    self.at = self.first = e["at"]
                assert e["at"] == self.at, "events do not follow each other"
                self.text += e["text"]
                self.at += len(e["text"].encode())
            if "done" in e:
                self.done = e["done"]
            return e

    def all(self):
        while self.next() is not None:
            pass
        assert self.done, "the stream ended without its last event"
        return self


def rows(home, sql, *values):
    db = sqlite3.connect(home / "conversations.db")
    try:
        return db.execute(sql, values).fetchall()
    finally:
        db.close()


def whole(got):
    """The text of an answer of the API without half a character at its end, which the page's answers do not have: they can go on."""
    return got["choices"][0]["message"]["content"].rstrip("\ufffd")


def until(what, wait=WAIT):
    end = time.monotonic() + wait
    while time.monotonic() < end:
        if what():
            return
        time.sleep(0.05)
    raise AssertionError("waited in vain")


# ---- the page's files -------------------------------------------------------------------------------------------------------


def test_page_files(s):
    files = [p for p in DIST.rglob("*") if p.is_file()]
    assert len(files) > 5
    for p in files:
        path = "/" + p.relative_to(DIST).as_posix()
        plain = p.read_bytes()
        status, h, body = s.ask("GET", path)
        assert status == 200 and body == plain, path
        assert h["Content-Encoding"] is None and int(h["Content-Length"]) == len(plain)
        status, h, packed = s.ask("GET", path, headers={"Accept-Encoding": "br, gzip;q=0.8"})
        assert status == 200 and h["Content-Encoding"] == "gzip" and gzip.decompress(packed) == plain and len(packed) <= len(plain) + 40
        assert h["Vary"] == "Accept-Encoding"
        assert ("immutable" in h["Cache-Control"]) == path.startswith("/assets/"), path
        if not path.startswith("/assets/"):
            assert h["Cache-Control"] == "no-cache"
    assert s.ask("GET", "/")[2] == (DIST / "index.html").read_bytes()


def test_page_types(s):
    want = {".html": "text/html; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".css": "text/css; charset=utf-8", ".svg": "image/svg+xml",
            ".webmanifest": "application/manifest+json", ".woff2": "font/woff2"}
    for p in DIST.rglob("*"):
        if p.is_file():
            assert s.ask("GET", "/" + p.relative_to(DIST).as_posix())[1]["Content-Type"] == want[p.suffix]


def test_page_headers(s):
    mock = (ROOT / "web/mock/server.mjs").read_text()
    policy = "".join(re.findall(r'"([^"]*)"', mock[mock.index("export const CSP"):mock.index("const TYPES")]))
    for headers in ({}, {"Accept-Encoding": "gzip"}):
        _, h, _ = s.ask("GET", "/", headers=headers)
        assert h["Content-Security-Policy"] == policy
        assert h["Referrer-Policy"] == "no-referrer" and h["X-Frame-Options"] == "DENY" and h["X-Content-Type-Options"] == "nosniff"
        assert h["Cross-Origin-Opener-Policy"] == "same-origin" and h["Cross-Origin-Resource-Policy"] == "same-origin"


def test_page_tags(s):
    _, h, _ = s.ask("GET", "/", headers={"Accept-Encoding": "gzip"})
    _, plain, _ = s.ask("GET", "/")
    assert h["ETag"] != plain["ETag"]
    for tag in (h["ETag"], "W/" + h["ETag"], '"other", ' + h["ETag"], "*"):
        status, again, body = s.ask("GET", "/", headers={"If-None-Match": tag, "Accept-Encoding": "gzip"})
        assert status == 304 and body == b"" and again["ETag"] == h["ETag"] and "Content-Security-Policy" in again, tag
    assert s.ask("GET", "/", headers={"If-None-Match": '"other"'})[0] == 200


def test_page_encodings(s):
    for accept, packed in (("gzip", True), ("GZIP", True), ("gzip;q=0", False), ("gzip; q=0.0", False), ("gzip;q=0.5", True), ("xgzip", False), ("br", False), ("", False), ("deflate, gzip", True)):
        _, h, body = s.ask("GET", "/", headers={"Accept-Encoding": accept})
        assert (h["Content-Encoding"] == "gzip") == packed, accept


def test_page_head(s):
    _, h, body = s.ask("GET", "/")
    status, again, nothing = s.ask("HEAD", "/")
    assert status == 200 and nothing == b"" and again["Content-Length"] == h["Content-Length"] == str(len(body))


def test_page_other_paths(s):
    for path in ("/index.htm", "/assets/", "/assets/../index.html", "/../index.html", "/index.html/", "/assets", "//index.html", "/%2e%2e/etc/passwd", "/ui", "/ui/"):
        assert s.ask("GET", path)[0] in (400, 404), path
    assert s.ask("POST", "/index.html", "{}")[0] == 405


def test_page_off(s):
    with Server("--page=false") as off:
        for path in ("/", "/index.html", "/ui/info", "/ui/conversations"):
            assert off.ask("GET", path)[0] in (404, 405), path
        assert off.ask("GET", "/v1/models")[0] == 200
        assert not (off.home / "conversations.db").exists()


# ---- conversations ------------------------------------------------------------------------------------------------------------


def test_info(s):
    i = s.call("GET", "/ui/info")
    assert [m["id"] for m in i["models"]] == ["model"] and i["models"][0]["kind"] == "model" and i["models"][0]["has_chat"] is True
    assert i["models"][0]["context"] == 8192 and isinstance(i["models"][0]["notice"], str)
    d = i["defaults"]
    assert (d["temperature"], d["top_p"], d["top_k"], d["repeat_penalty"], d["max_tokens"], d["seed"], d["stop"], d["system"]) == (0.2, 0.95, 50, 1.2, 512, None, [], "")
    assert i["limits"]["body_bytes"] == 8 << 20 and i["filter"] is False and i["kept"] is True and "problem" not in i and i["version"]


def test_life_of_a_conversation(s):
    c = s.call("POST", "/ui/conversations", {"title": "One", "system": "Be brief.", "settings": {"temperature": 0.5}})
    assert c["title"] == "One" and c["system"] == "Be brief." and c["settings"] == {"temperature": 0.5} and c["model"] == "model" and c["messages"] == [] and c["leaf"] is None
    assert abs(c["created"] - time.time()) < 100
    p = f"/ui/conversations/{c['id']}"
    m = s.call("POST", p + "/messages", {"parent": None, "content": "First\nline"})
    assert m["role"] == "user" and m["content"] == "First\nline" and m["parent"] is None and m["status"] == "done"
    n = s.call("POST", p + "/messages", {"content": "Another beginning"})
    got = s.call("GET", p)
    assert got["leaf"] == n["id"] and [x["id"] for x in got["messages"]] == [m["id"], n["id"]] and got["title"] == "One"
    changed = s.call("PATCH", p, {"leaf": m["id"], "title": "Two", "settings": {"seed": 7}, "system": "", "model": "x"})
    assert changed["leaf"] == m["id"] and changed["title"] == "Two" and changed["settings"] == {"seed": 7} and "messages" not in changed
    assert s.call("DELETE", p) == {"deleted": True}
    for method, path, body in (("GET", p, None), ("PATCH", p, {"title": "x"}), ("DELETE", p, None), ("POST", p + "/messages", {"content": "x"}), ("POST", p + "/answers", {"parent": m["id"]}), ("GET", p + "/export", None)):
        e = s.refused(method, path, body)
        assert e.status == 404 and e.message, (method, path, e)


def test_title_from_the_first_message(s):
    talk, _ = s.conversation("\n  What is\nthis?")
    assert s.call("GET", f"/ui/conversations/{talk}")["title"] == "What is"


def test_list(s):
    with Server() as own:
        ids = [own.conversation(f"Number {i} of apples" if i % 2 else f"Number {i} of pears")[0] for i in range(6)]
        got = own.call("GET", "/ui/conversations")
        assert [c["id"] for c in got["conversations"]] == ids[::-1] and got["more"] is False and got["conversations"][0]["messages"] == 1
        got = own.call("GET", "/ui/conversations?limit=2")
        assert [c["id"] for c in got["conversations"]] == ids[:3:-1] and got["more"] is True
        before = got["conversations"][-1]["updated"]
        assert [c["id"] for c in own.call("GET", f"/ui/conversations?limit=10&before={before}")["conversations"]] == ids[3::-1]
        got = own.call("GET", "/ui/conversations?q=apples")
        assert [c["id"] for c in got["conversations"]] == ids[::-2] and "apples" in got["conversations"][0]["snippet"]
        assert own.call("GET", "/ui/conversations?q=%C3%A4+nothing")["conversations"] == []
        for q in ("limit=0", "limit=x", "limit=-1", "before=x", "limit=1e9"):
            assert own.refused("GET", "/ui/conversations?" + q).status == 400, q


def test_bad_requests(s):
    talk, m = s.conversation()
    p = f"/ui/conversations/{talk}"
    for method, path, body, status in (
            ("POST", "/ui/conversations", "{", 400), ("POST", "/ui/conversations", "[]", 400), ("POST", "/ui/conversations", {"nonsense": 1}, 400), ("POST", "/ui/conversations", {"title": 5}, 400),
            ("PATCH", p, {"nonsense": 1}, 400), ("PATCH", p, {"leaf": "none-such"}, 400), ("PATCH", p, {"settings": []}, 400), ("PATCH", p, "{", 400),
            ("POST", p + "/messages", {"content": ""}, 400), ("POST", p + "/messages", {}, 400), ("POST", p + "/messages", {"content": 7}, 400), ("POST", p + "/messages", {"content": "x", "parent": "none-such"}, 404),
            ("POST", p + "/messages", {"content": "x", "parent": "not an id"}, 400), ("POST", p + "/messages", {"content": "x", "parent": 3}, 400),
            ("POST", p + "/answers", {}, 400), ("POST", p + "/answers", {"parent": "none-such"}, 404), ("POST", p + "/answers", {"parent": m, "settings": 3}, 400),
            ("POST", p + "/answers", {"parent": m, "settings": {"temperature": 9}}, 400), ("POST", p + "/answers", {"parent": m, "settings": {"stop": 3}}, 400), ("POST", p + "/answers", {"parent": m, "settings": {"max_tokens": "x"}}, 400),
            ("POST", "/ui/answers/none-such/continue", {}, 404), ("POST", "/ui/answers/none-such/stop", {}, 404), ("GET", "/ui/answers/none-such/events", None, 404), ("GET", f"/ui/answers/{m}/events", None, 404),
            ("POST", f"/ui/answers/{m}/continue", {}, 400), ("GET", p + "/export?format=pdf", None, 400), ("POST", "/ui/count", {"content": 3}, 400), ("POST", "/ui/count", {"conversation": "none-such", "content": ""}, 404),
            ("POST", "/ui/import", {"nothing": 1}, 400), ("POST", "/ui/import", "{", 400), ("PUT", p, {}, 405), ("GET", "/ui/count", None, 405), ("GET", "/ui/conversations/" + "a" * 65, None, 404),
            ("GET", "/ui/conversations/a.b", None, 404), ("GET", "/ui/conversations/a%2Fb", None, 404), ("GET", "/ui/conversations//export", None, 404), ("GET", p + "/other", None, 404)):
        e = s.refused(method, path, body)
        assert e.status == status and e.message, (method, path, body, e)
    got = s.call("GET", p)
    assert len(got["messages"]) == 1, "a refused answer leaves no message behind"


def test_json_only(s):
    for method, path in (("POST", "/ui/conversations"), ("POST", "/ui/import"), ("POST", "/ui/answers/x/stop"), ("DELETE", "/ui/conversations/x"), ("PATCH", "/ui/conversations/x")):
        assert s.ask(method, path, "{}", {"Content-Type": "text/plain"})[0] == 415, (method, path)


def test_other_sites(s):
    """A page of another site may not even read the list."""
    assert s.ask("GET", "/ui/conversations", headers={"Origin": "http://evil.example"})[0] == 403
    assert s.ask("GET", "/ui/conversations", headers={"Host": "evil.example"})[0] == 403
    assert s.ask("GET", "/", headers={"Host": "evil.example"})[0] == 403
    assert s.ask("GET", "/ui/conversations", headers={"Origin": f"http://127.0.0.1:{s.port}"})[0] == 200


def test_ids_of_other_conversations(s):
    a, ma = s.conversation("a")
    b, mb = s.conversation("b")
    assert s.refused("POST", f"/ui/conversations/{a}/messages", {"parent": mb, "content": "x"}).status == 404
    assert s.refused("POST", f"/ui/conversations/{a}/answers", {"parent": mb}).status == 404
    assert s.refused("PATCH", f"/ui/conversations/{a}", {"leaf": mb}).status == 400


# ---- answers ---------------------------------------------------------------------------------------------------------------------


def test_answer(s):
    talk, m = s.conversation()
    a = s.answer(talk, m, {"max_tokens": 30, "seed": 5})
    assert a["role"] == "assistant" and a["status"] == "generating" and a["parent"] == m and a["content"] == "" and a["model"] == "model"
    e = s.finish(a["id"])
    assert e.done["status"] in ("length", "done") and e.first == 0
    st = e.done["stats"]
    assert st["prompt_tokens"] > 5 and 0 < st["tokens"] <= 30 and st["context"] == 8192 and st["seconds"] >= 0 and st["first_seconds"] >= 0 and st["tokens_per_second"] >= 0 and st["cached_tokens"] >= 0
    assert any("prompt" in x and x["prompt"]["done"] == x["prompt"]["tokens"] for x in e.events)
    assert e.done["stats"]["tokens"] >= max(x["tokens"] for x in e.events if "text" in x)
    kept = s.message(talk, a["id"])
    assert kept["content"] == e.text and kept["status"] == e.done["status"] and kept["stats"] == st and kept["parent"] == m
    assert s.call("GET", f"/ui/conversations/{talk}")["leaf"] == a["id"]


def test_answer_without_listeners(s):
    """The server goes on whether or not anybody listens."""
    talk, m = s.conversation()
    a = s.answer(talk, m, {"max_tokens": 40, "seed": 5})
    until(lambda: s.message(talk, a["id"])["status"] != "generating")
    kept = s.message(talk, a["id"])
    assert kept["content"] and kept["stats"]["tokens"] > 0


def test_seed_decides(s):
    talk, m = s.conversation()
    texts = [s.finish(s.answer(talk, m, {"max_tokens": 60, "temperature": 1.5, "seed": seed})["id"]).text for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


def test_settings_precedence(s):
    """Request, then conversation, then the server's; a null of the request is the server's."""
    talk, m = s.conversation(settings={"max_tokens": 7, "seed": 11, "temperature": 1.5})
    def tokens(settings):
        return s.finish(s.call("POST", f"/ui/conversations/{talk}/answers", {"parent": m, "settings": settings}, 202)["id"])
    a, b = tokens({}), tokens({"max_tokens": 9})
    assert a.done["status"] == "length" and a.done["stats"]["tokens"] == 7 and b.done["stats"]["tokens"] == 9 and b.text.startswith(a.text)
    texts = {tokens({"seed": None, "max_tokens": 40}).text for _ in range(3)}
    assert len(texts) > 1, "seed null draws anew"
    assert s.finish(s.call("POST", f"/ui/conversations/{talk}/answers", {"parent": m}, 202)["id"]).text == a.text
    assert s.refused("POST", f"/ui/conversations/{talk}/answers", {"parent": m, "settings": {"top_p": 3}}).message.startswith("top_p")
    s.call("PATCH", f"/ui/conversations/{talk}", {"settings": {"max_tokens": None, "n": 50, "best_of": 60, "logprobs": True, "grammar": "nonsense"}})
    e = tokens({"max_tokens": 3})
    assert e.done["stats"]["tokens"] == 3


def test_same_as_the_api(s):
    """What the page gets is what /v1 gets for the same messages and settings."""
    talk, m = s.conversation("How are you?", system="Be kind.")
    settings = {"temperature": 1.2, "top_p": 0.9, "top_k": 0, "repeat_penalty": 1, "max_tokens": 50, "seed": 77}
    e = s.finish(s.answer(talk, m, settings)["id"])
    got = s.call("POST", "/v1/chat/completions", {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "How are you?"}], **settings})
    assert whole(got) == e.text
    n = s.call("POST", f"/ui/conversations/{talk}/messages", {"parent": s.call("GET", f"/ui/conversations/{talk}")["leaf"], "content": "And now?"})
    f = s.finish(s.answer(talk, n["id"], settings)["id"])
    got = s.call("POST", "/v1/chat/completions", {"messages": [{"role": "system", "content": "Be kind."}, {"role": "user", "content": "How are you?"}, {"role": "assistant", "content": e.text},
                                                               {"role": "user", "content": "And now?"}], **settings})
    assert whole(got) == f.text
    assert got["usage"]["prompt_tokens"] == f.done["stats"]["prompt_tokens"]


def test_stop_strings(s):
    talk, m = s.conversation()
    text = s.finish(s.answer(talk, m, {"max_tokens": 200, "seed": 4, "temperature": 1.5})["id"]).text
    word = text[20:22]
    e = s.finish(s.answer(talk, m, {"max_tokens": 200, "seed": 4, "temperature": 1.5, "stop": [word]})["id"])
    assert e.done["status"] == "done" and e.text == text[:text.index(word)]


def test_listeners_late_and_together(s):
    talk, m = s.conversation()
    a, first = s.long_answer(talk, m)
    others = [s.events(a) for _ in range(3)]
    middle = s.events(a, len(first.text.encode()) // 2)
    far = s.events(a, 10 ** 9)
    s.call("POST", f"/ui/answers/{a}/stop", {})
    for e in [first, middle, far] + others:
        e.all()
        e.close()
    for e in others:
        assert e.text == first.text and e.first == 0 and e.done == first.done
    whole = first.text.encode()
    assert middle.first <= len(first.text.encode()) and whole[middle.first:] == middle.text.encode()
    assert far.text == "" or whole.endswith(far.text.encode())


def test_events_of_a_finished_answer(s):
    talk, m = s.conversation()
    a = s.answer(talk, m, {"max_tokens": 200, "seed": 9, "temperature": 1.5})["id"]
    e = s.finish(a)
    whole = e.text.encode()
    for start in (0, 1, 7, len(whole) // 2, len(whole) - 1, len(whole), len(whole) + 5):
        with s.events(a, start) as again:
            again.all()
            assert again.done == e.done
            assert len(again.events) <= 2
            if again.text:
                assert again.first <= start and start - again.first < 4 and whole[again.first:] == again.text.encode()
            else:
                assert start >= len(whole)
    for start in ("x", "-1", "", "1x", "99999999999999999999"):
        assert s.refused("GET", f"/ui/answers/{a}/events?from={start}").status == 400, start
    assert s.ask("HEAD", f"/ui/answers/{a}/events")[0] == 200


def test_reload_in_the_middle(s):
    """As the page does it: what the store has, then the rest from there, without a gap and without anything twice."""
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    e.close()
    for _ in range(5):
        have = s.message(talk, a)
        assert have["status"] == "generating"
        with s.events(a, len(have["content"].encode())) as more:
            more.next()
            text = have["content"] + more.text if not more.text or more.first == len(have["content"].encode()) else None
        time.sleep(0.1)
    s.call("POST", f"/ui/answers/{a}/stop", {})
    kept = s.message(talk, a)["content"]
    assert text is not None and kept.startswith(text)


def test_stop(s):
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    assert s.call("POST", f"/ui/answers/{a}/stop", {}) == {"stopped": True}
    kept = s.message(talk, a)
    assert kept["status"] == "stopped" and len(kept["content"]) >= len(e.text)
    e.all()
    assert e.done["status"] == "stopped" and e.text == kept["content"]
    e.close()
    assert s.call("POST", f"/ui/answers/{a}/stop", {}) == {"stopped": True}, "stopping what has ended does nothing"
    assert s.message(talk, a) == kept


def test_stop_by_several(s):
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    e.close()
    got = []
    threads = [threading.Thread(target=lambda: got.append(s.call("POST", f"/ui/answers/{a}/stop", {}))) for _ in range(8)]
    for t in threads: t.start()
    for t in threads: t.join()
    assert got == [{"stopped": True}] * 8


def test_continue(s):
    talk, m = s.conversation()
    settings = {"max_tokens": 12, "seed": 21, "temperature": 0}
    a = s.answer(talk, m, settings)["id"]
    first = s.finish(a)
    assert first.done["status"] == "length"
    back = s.call("POST", f"/ui/answers/{a}/continue", {"settings": settings}, 202)
    got = back
    assert got["id"] == a and got["status"] == "generating" and got["content"] == first.text
    with s.events(a, len(first.text.encode())) as e:
        e.all()
    kept = s.message(talk, a)
    assert kept["content"] == first.text + e.text and e.text and kept["stats"]["tokens"] == 24 and kept["status"] == "length"
    assert s.call("GET", f"/ui/conversations/{talk}")["leaf"] == a
    # The same as the API's for an answer that is begun.
    got = s.call("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "Hello"}, {"role": "assistant", "content": first.text}], "top_p": 0.95, "top_k": 50, "repeat_penalty": 1.2, **settings})
    assert whole(got) == e.text, (whole(got), e.text)
    assert not kept["content"].endswith("\ufffd")


def test_continue_while_running(s):
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    assert s.refused("POST", f"/ui/answers/{a}/continue", {}).status == 409
    s.call("POST", f"/ui/answers/{a}/stop", {})
    e.close()
    assert s.call("POST", f"/ui/answers/{a}/continue", {"settings": LONG}, 202)["status"] == "generating"
    s.call("POST", f"/ui/answers/{a}/stop", {})
    assert s.message(talk, a)["status"] == "stopped"


def test_delete_while_generating(s):
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    assert s.call("DELETE", f"/ui/conversations/{talk}") == {"deleted": True}
    e.all()
    assert e.done["status"] == "stopped" and "deleted" in e.done["error"]
    e.close()
    assert s.refused("GET", f"/ui/answers/{a}/events").status == 404
    assert s.refused("POST", f"/ui/answers/{a}/stop", {}).status == 404


def test_deleted_by_another_process(s):
    """The answer ends by itself, and its place is free."""
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    db = sqlite3.connect(s.home / "conversations.db", timeout=30)
    db.execute("PRAGMA foreign_keys = ON")
    db.execute("DELETE FROM talks WHERE id = ?", (talk,))
    db.commit()
    db.close()
    e.all()
    assert e.done["status"] == "stopped"
    e.close()


def test_answers_at_once(s):
    """Two below one message, as when comparing; several conversations."""
    talk, m = s.conversation()
    settings = [{"max_tokens": 60, "temperature": 1.5, "seed": i} for i in range(6)]
    together = [s.answer(talk, m, x)["id"] for x in settings]
    texts = [s.finish(a).text for a in together]
    other, n = s.conversation()
    assert texts == [s.finish(s.answer(other, n, x)["id"]).text for x in settings]
    assert {x["parent"] for x in s.call("GET", f"/ui/conversations/{talk}")["messages"][1:]} == {m}


def test_too_long(s):
    talk, m = s.conversation("x" * 9000)
    e = s.refused("POST", f"/ui/conversations/{talk}/answers", {"parent": m})
    assert e.status == 400 and "context" in e.message
    assert len(s.call("GET", f"/ui/conversations/{talk}")["messages"]) == 1


def test_answer_below_an_answer(s):
    talk, m = s.conversation()
    a = s.answer(talk, m)["id"]
    s.finish(a)
    assert s.refused("POST", f"/ui/conversations/{talk}/answers", {"parent": a}).status == 400


def test_regenerate_and_edit(s):
    talk, m = s.conversation()
    a = s.answer(talk, m)["id"]
    s.finish(a)
    b = s.answer(talk, m)["id"]
    s.finish(b)
    edit = s.call("POST", f"/ui/conversations/{talk}/messages", {"parent": None, "content": "Edited"})
    s.finish(s.answer(talk, edit["id"])["id"])
    tree = {x["id"]: x["parent"] for x in s.call("GET", f"/ui/conversations/{talk}")["messages"]}
    assert tree[a] == tree[b] == m and tree[edit["id"]] is None and len(tree) == 5


def test_without_a_template(s):
    with Server(template=None) as plain:
        assert plain.call("GET", "/ui/info")["models"][0]["has_chat"] is False
        talk, m = plain.conversation()
        e = plain.refused("POST", f"/ui/conversations/{talk}/answers", {"parent": m})
        assert e.status == 400 and "chat template" in e.message
        assert plain.call("POST", "/ui/count", {"conversation": None, "parent": None, "content": "abcde"})["tokens"] == 5


def test_pings(s):
    with Server("--ping-seconds", "1", "--parallel", "1") as own:
        talk, m = own.conversation()
        a, e = own.long_answer(talk, m)
        b = own.answer(talk, m, LONG)                        # waits for the first
        with own.events(b["id"]) as waiting:
            assert waiting.next()["prompt"]["done"] == 0
            own.call("POST", f"/ui/answers/{b['id']}/stop", {})
            waiting.all()
            assert waiting.done["status"] == "stopped" and waiting.text == ""
        e.close()
        own.call("POST", f"/ui/answers/{a}/stop", {})


def test_queue_full(s):
    with Server("--parallel", "1", "--queue", "4") as own:
        talk, m = own.conversation()
        answers, refused = [], None
        for i in range(10):
            status, _, body = own.ask("POST", f"/ui/conversations/{talk}/answers", {"parent": m, "settings": LONG})
            if status != 202:
                refused = Refused(status, body.decode())
                break
            answers.append(json.loads(body)["id"])
        assert refused and refused.status == 429 and refused.message and len(answers) >= 4
        for a in answers:
            assert own.call("POST", f"/ui/answers/{a}/stop", {}) == {"stopped": True}
        assert {x["status"] for x in own.call("GET", f"/ui/conversations/{talk}")["messages"][1:]} == {"stopped"}
        own.finish(own.answer(talk, m)["id"])


def test_at_most_64(s):
    with Server("--parallel", "2") as own:
        talk, m = own.conversation()
        answers = []
        while True:
            status, _, body = own.ask("POST", f"/ui/conversations/{talk}/answers", {"parent": m, "settings": LONG})
            if status == 429:
                break
            answers.append(json.loads(body)["id"])
            assert len(answers) <= 64
        assert len(answers) == 64
        assert len(own.call("GET", f"/ui/conversations/{talk}")["messages"]) == 65
        own.stop()
        assert rows(own.home, "SELECT DISTINCT status FROM messages WHERE role = 'assistant'") == [("stopped",)]


def test_listeners_come_and_go(s):
    talk, m = s.conversation()
    a, e = s.long_answer(talk, m)
    for i in range(40):
        one = s.events(a, i)
        if i % 2:
            one.next()
        one.close()
    s.call("POST", f"/ui/answers/{a}/stop", {})
    assert e.all().text == s.message(talk, a)["content"]
    e.close()


def test_clients_that_leave_at_once(s):
    """Whoever asked for an answer may be gone before it is said that it began."""
    import socket
    talk, m = s.conversation()
    before = len(s.call("GET", f"/ui/conversations/{talk}")["messages"])
    body = json.dumps({"parent": m, "settings": {"max_tokens": 5}}).encode()
    for _ in range(10):
        c = socket.create_connection(("127.0.0.1", s.port))
        c.sendall(b"POST /ui/conversations/%s/answers HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (talk.encode(), len(body), body))
        c.close()
    until(lambda: all(x["status"] != "generating" for x in s.call("GET", f"/ui/conversations/{talk}")["messages"]))
    assert len(s.call("GET", f"/ui/conversations/{talk}")["messages"]) >= before


def test_odd_texts(s):
    text = "\u0000 \ufffd \U0001f600 </script> \" \\ \r\n\t \u202e"
    talk, m = s.conversation(text)
    kept = s.message(talk, m)["content"]
    assert kept == text.replace("\0", "\ufffd")
    e = s.finish(s.answer(talk, m)["id"])
    assert e.text == s.message(talk, s.call("GET", f"/ui/conversations/{talk}")["leaf"])["content"]


def test_metrics_and_log(s):
    talk, m = s.conversation("A secret of mine")
    s.finish(s.answer(talk, m)["id"])
    assert s.ask("GET", "/metrics")[0] == 200
    assert "secret" not in s.log() and '"route":"/ui/conversations/*/answers"' in s.log()


# ---- ends ----------------------------------------------------------------------------------------------------------------------------


def test_stopped_by_the_servers_end(s):
    own = Server()
    talk, m = own.conversation()
    a, e = own.long_answer(talk, m)
    b = own.answer(talk, m, LONG)["id"]                      # nobody listens to this one
    began = time.monotonic()
    own.stop()
    assert time.monotonic() - began < WAIT / 3
    e.all()
    assert e.done["status"] == "stopped"
    e.close()
    kept = dict((i, (st, text, owner)) for i, st, text, owner in rows(own.home, "SELECT id, status, content, owner FROM messages"))
    assert kept[a] == ("stopped", e.text, None) and kept[b][0] == "stopped" and kept[b][2] is None
    with Server(home=own.home) as again:
        assert again.call("POST", f"/ui/answers/{a}/continue", {"settings": {"max_tokens": 5}}, 202)["status"] == "generating"
        again.finish(a)
        assert again.message(talk, a)["content"].startswith(e.text)


def test_ended_at_once(s):
    own = Server()
    talk, m = own.conversation()
    a, e = own.long_answer(talk, m)
    own.process.send_signal(signal.SIGTERM)
    own.process.send_signal(signal.SIGTERM)
    own.stop()
    e.close()
    assert rows(own.home, "SELECT status, owner FROM messages WHERE id = ?", a) == [("stopped", None)]


def test_killed(s):
    own = Server()
    talk, m = own.conversation()
    a, e = own.long_answer(talk, m)
    until(lambda: own.message(talk, a)["content"] and rows(own.home, "SELECT content FROM messages WHERE id = ?", a)[0][0] != "")
    own.stop(signal.SIGKILL)
    e.close()
    text = rows(own.home, "SELECT content FROM messages WHERE id = ?", a)[0][0]
    assert text, "it is written while it grows"
    with Server(home=own.home) as again:
        kept = again.message(talk, a)
        assert kept["status"] == "stopped" and kept["content"] == text
        with again.events(a) as f:
            assert f.all().done["status"] == "stopped" and f.text == text
        again.call("POST", f"/ui/answers/{a}/continue", {"settings": {"max_tokens": 5}}, 202)
        assert again.finish(a).text.startswith(text)


def test_two_servers_on_one_store(s):
    """The page of one shows what the other writes."""
    with Server() as one, Server(home=one.home) as two:
        talk, m = one.conversation()
        a, e = one.long_answer(talk, m)
        assert two.message(talk, a)["status"] == "generating"
        with two.events(a) as there:
            while len(there.text) < 10:
                assert there.next() is not None
            assert two.refused("POST", f"/ui/answers/{a}/stop", {}).status == 409
            assert two.refused("POST", f"/ui/answers/{a}/continue", {}).status == 409
            left = two.events(a)
            left.close()
            one.call("POST", f"/ui/answers/{a}/stop", {})
            there.all()
            e.all()
            assert there.text == e.text and there.done == e.done
        e.close()


def test_beside_the_terminal(s):
    """`starchat chat` keeps in the same store, at the same time."""
    with Server() as own:
        talk, m = own.conversation("From the page")
        a, e = own.long_answer(talk, m)
        subprocess.run([PROGRAM, "chat", MODEL, "--template", TEMPLATE, "--max-tokens", "5", "-q"], input=b"From the terminal\n", env=environment(own.home), check=False, stdout=subprocess.DEVNULL, timeout=WAIT)
        assert own.message(talk, a)["status"] == "generating", "the chat ends nobody else's answers"
        own.call("POST", f"/ui/answers/{a}/stop", {})
        e.all()
        e.close()
        made = subprocess.run([sys.executable, str(ROOT / "tests/cli/chat_once.py"), PROGRAM, MODEL, str(own.home)], env=environment(own.home), timeout=WAIT, capture_output=True) if (ROOT / "tests/cli/chat_once.py").exists() else None
        assert made is None or made.returncode == 0
        assert own.message(talk, a)["status"] == "stopped"


def test_written_by_others(s):
    """Another program that writes for a while holds nothing up but the writing."""
    with Server() as own:
        talk, m = own.conversation()
        a, e = own.long_answer(talk, m)
        db = sqlite3.connect(own.home / "conversations.db", timeout=30, isolation_level=None)
        db.execute("BEGIN IMMEDIATE")
        began = time.monotonic()
        got = len(e.text)
        while len(e.text) < got + 200:
            assert e.next() is not None
        assert own.ask("GET", "/v1/models")[0] == 200 and time.monotonic() - began < WAIT / 4
        time.sleep(0.6)
        db.execute("ROLLBACK")
        db.close()
        own.call("POST", f"/ui/answers/{a}/stop", {})
        e.all()
        e.close()
        assert own.message(talk, a)["content"] == e.text


# ---- counting, in and out --------------------------------------------------------------------------------------------------------------


def test_count(s):
    talk, m = s.conversation("Hello", system="Be kind.")
    e = s.finish(s.answer(talk, m, {"max_tokens": 10, "seed": 1})["id"])
    a = s.call("GET", f"/ui/conversations/{talk}")["leaf"]
    got = s.call("POST", "/ui/count", {"conversation": talk, "parent": a, "content": "And now?", "model": "model"})
    assert got["context"] == 8192
    n = s.call("POST", f"/ui/conversations/{talk}/messages", {"parent": a, "content": "And now?"})
    f = s.finish(s.answer(talk, n["id"], {"max_tokens": 1})["id"])
    assert got["tokens"] == f.done["stats"]["prompt_tokens"]
    assert s.call("POST", "/ui/count", {"conversation": talk, "parent": n["id"], "content": ""})["tokens"] == got["tokens"]
    fresh = s.call("POST", "/ui/count", {"conversation": None, "parent": None, "content": "abc", "system": ""})["tokens"]
    assert s.call("POST", "/ui/count", {"content": "abcdef"})["tokens"] == fresh + 3
    assert s.call("POST", "/ui/count", {"conversation": talk, "parent": None, "content": "abc", "system": ""})["tokens"] == fresh
    assert s.call("POST", "/ui/count", {"conversation": talk, "parent": None, "content": "abc"})["tokens"] > fresh
    assert s.call("POST", "/ui/count", {"conversation": None, "parent": None, "content": ""})["tokens"] == fresh - 3
    assert s.refused("POST", "/ui/count", {"conversation": talk, "parent": "none-such", "content": ""}).status == 404


def test_export_and_import(s):
    with Server() as one, Server() as two:
        talk, m = one.conversation("What is a \"heap\"? äöü")
        one.finish(one.answer(talk, m)["id"])
        one.conversation("Another")
        status, h, body = one.ask("GET", f"/ui/conversations/{talk}/export?format=json")
        assert status == 200 and h["Content-Type"] == "application/json" and h["Content-Disposition"] == 'attachment; filename="What-is-a-heap.json"', h["Content-Disposition"]
        assert json.loads(body)["conversations"][0]["id"] == talk
        status, h, text = one.ask("GET", f"/ui/conversations/{talk}/export?format=markdown")
        assert h["Content-Type"] == "text/markdown; charset=utf-8" and h["Content-Disposition"].endswith('.md"') and b"heap" in text
        status, h, everything = one.ask("GET", "/ui/export")
        assert len(json.loads(everything)["conversations"]) == 2 and "attachment" in h["Content-Disposition"]
        got = two.call("POST", "/ui/import", everything.decode())
        assert got["imported"] == 2 and got["skipped"] == 0 and talk in got["ids"]
        assert two.call("GET", f"/ui/conversations/{talk}") == one.call("GET", f"/ui/conversations/{talk}")
        assert two.call("POST", "/ui/import", everything.decode())["skipped"] == 2
        assert two.call("POST", "/ui/import", {"markdown": text.decode()})["skipped"] == 1, "it is there already"
        two.call("DELETE", f"/ui/conversations/{talk}")
        got = two.call("POST", "/ui/import", {"markdown": text.decode()})
        assert got["imported"] == 1
        path = two.call("GET", f"/ui/conversations/{got['ids'][0]}")["messages"]
        assert [x["role"] for x in path] == ["user", "assistant"] and path[0]["content"] == 'What is a "heap"? äöü'
        assert two.call("POST", "/ui/import", json.dumps(json.loads(everything)["conversations"]))["imported"] in (0, 1)
        assert two.refused("POST", "/ui/import", {"markdown": 5}).status == 400


def test_import_of_chatgpt(s):
    nodes = {"r": {"id": "r", "message": None, "parent": None, "children": ["a"]},
             "a": {"id": "a", "parent": "r", "children": ["b"], "message": {"id": "a", "author": {"role": "user"}, "create_time": 1.5, "content": {"content_type": "text", "parts": ["Why?"]}}},
             "b": {"id": "b", "parent": "a", "children": [], "message": {"id": "b", "author": {"role": "assistant"}, "create_time": 2.5, "content": {"content_type": "text", "parts": ["Because."]}}}}
    got = s.call("POST", "/ui/import", [{"title": "Of ChatGPT", "create_time": 1.0, "update_time": 3.0, "mapping": nodes, "current_node": "b"}])
    assert got["imported"] == 1
    c = s.call("GET", f"/ui/conversations/{got['ids'][0]}")
    assert [x["content"] for x in c["messages"]] == ["Why?", "Because."] and c["title"] == "Of ChatGPT"
    s.finish(s.answer(c["id"], c["messages"][0]["id"])["id"])


def test_body_limit(s):
    with Server("--body-mib", "1") as own:
        assert own.call("GET", "/ui/info")["limits"]["body_bytes"] == 1 << 20
        try:
            status = own.ask("POST", "/ui/import", b"[" + b" " * (2 << 20) + b"]")[0]
        except (BrokenPipeError, ConnectionResetError):
            status = 413
        assert status == 413


# ---- keys, homes ---------------------------------------------------------------------------------------------------------------------------


def test_keys(s):
    keys = SCRATCH / "keys"
    keys.write_text(KEY + "\n")
    keys.chmod(0o600)
    with Server("--api-key-file", str(keys), key=KEY) as own:
        talk, m = own.conversation()
        own.finish(own.answer(talk, m)["id"])
        key, own.key = own.key, None
        for p in DIST.rglob("*"):
            if p.is_file():
                assert own.ask("GET", "/" + p.relative_to(DIST).as_posix())[0] == 200
        for method, path in (("GET", "/ui/info"), ("GET", "/ui/conversations"), ("POST", "/ui/conversations"), ("GET", f"/ui/conversations/{talk}"), ("DELETE", f"/ui/conversations/{talk}"), ("PATCH", f"/ui/conversations/{talk}"),
                             ("POST", f"/ui/conversations/{talk}/messages"), ("POST", f"/ui/conversations/{talk}/answers"), ("GET", f"/ui/answers/{m}/events"), ("POST", f"/ui/answers/{m}/stop"), ("POST", f"/ui/answers/{m}/continue"),
                             ("GET", "/ui/export"), ("GET", f"/ui/conversations/{talk}/export"), ("POST", "/ui/import"), ("POST", "/ui/count")):
            for given in (None, "Bearer wrong-key-of-some-length", "Basic x"):
                status, h, body = own.ask(method, path, "{}" if method != "GET" else None, {"Authorization": given})
                assert status == 401 and json.loads(body)["error"]["message"], (method, path, status)
        own.key = key
        assert own.call("GET", f"/ui/conversations/{talk}")["id"] == talk


def test_home_is_private(s):
    talk, m = s.conversation()
    for p in s.home.glob("conversations*"):
        assert not p.stat().st_mode & 0o077, p


def test_nothing_kept(s):
    with Server("--keep-talks=false") as own:
        assert own.call("GET", "/ui/info")["kept"] is False
        talk, m = own.conversation()
        e = own.finish(own.answer(talk, m)["id"])
        assert own.message(talk, own.call("GET", f"/ui/conversations/{talk}")["leaf"])["content"] == e.text
        assert not list(own.home.glob("conversations*"))


def test_no_home(s):
    """Without a place for conversations the API works, and the page can say why it does not."""
    home = SCRATCH / "a-file"
    home.write_text("")
    with Server(home=home) as own:
        i = own.call("GET", "/ui/info")
        assert i["kept"] is False and "a-file" in i["problem"]
        for method, path in (("GET", "/ui/conversations"), ("POST", "/ui/conversations"), ("GET", "/ui/export"), ("GET", "/ui/answers/x/events")):
            e = own.refused(method, path)
            assert e.status == 503 and "a-file" in e.message, e
        assert own.call("POST", "/v1/chat/completions", {"messages": [{"role": "user", "content": "x"}], "max_tokens": 3})["choices"]
        assert "no_conversations" in own.log()


def test_damage_while_running(s):
    own = Server()
    talk, m = own.conversation()
    path = own.home / "conversations.db"
    with open(path, "r+b") as f:
        f.seek(0)
        f.write(b"\xff" * os.path.getsize(path))
    for wal in own.home.glob("conversations.db-wal"):
        with open(wal, "r+b") as f:
            f.write(b"\0" * 64)
    status = own.ask("GET", f"/ui/conversations/{talk}")[0]
    assert status in (200, 503), status                      # what SQLite still has in memory, or a sentence
    own.stop()


def test_many_conversations(s):
    """Lists and answers stay quick beside each other."""
    with Server() as own:
        text = json.dumps([{"id": f"c{i}", "title": f"Title {i}", "created": i + 1, "updated": i + 1, "messages": [{"id": f"m{i}", "parent": None, "role": "user", "content": "word " * 200}], "leaf": f"m{i}"} for i in range(2000)])
        assert own.call("POST", "/ui/import", text)["imported"] == 2000
        began = time.monotonic()
        assert len(own.call("GET", "/ui/conversations?limit=40")["conversations"]) == 40
        assert time.monotonic() - began < WAIT / 10
        assert own.call("GET", "/ui/conversations?q=Title+77&limit=5")["conversations"]


# ---- run -------------------------------------------------------------------------------------------------------------------------------------


def main():
    tests = [(k[5:], v) for k, v in sorted(globals().items(), key=lambda kv: getattr(getattr(kv[1], "__code__", None), "co_firstlineno", 0)) if k.startswith("test_")]
    wanted = sys.argv[2:]
    passed = failed = 0
    make_model()
    shared = Server()
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        try:
            test(shared)
            passed += 1
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Exception:  # noqa: BLE001: whatever it is, it is this test's failure
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
            if shared.process.poll() is not None:
                print(shared.log())
                shared = Server()
    try:
        shared.stop()
    except Exception:  # noqa: BLE001
        failed += 1
        print(f"FAILED end of the server\n{traceback.format_exc()}")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
