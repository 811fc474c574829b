"""Human evaluation as its people use it: the command makes a study and serves it, raters rate over HTTP and in a browser, the owner closes, exports, reports. Standard
library only; the browser's tests need Chromium, those of rank_page.mjs also Node and the packages of web/package.json (npm ci in web), and say so where they are missing.

Run: python3 tests/cli/test_rank.py [PROGRAM] [NAME...]       Last line: "N passed, N failed"
"""
import http.client
import itertools
import json
import math
import os
import pathlib
import re
import shutil
import signal
import sqlite3
import stat
import subprocess
import sys
import tempfile
import time
import traceback
import uuid

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-rank-"))
PAGE = ROOT / "web/rank"
CHROMIUM = os.environ.get("CHROMIUM") or shutil.which("chromium")
WAIT = 120
ATTACK = "<script>window.hacked=1</script>"
MODELS = {"plain-model": "You could use a loop for {}.", "good-model": "Use **slicing** for {}:\n\n```python\nx[::-1]\n```\n\n- short\n- clear", "evil-model": ATTACK + "<img src=x onerror=\"window.hacked=1\">[go](javascript:window.hacked=1) {}"}
PROMPTS = 6
skipped = []


class Skip(Exception):
    pass


def run(*args, code=0, **more):
    done = subprocess.run([PROGRAM, *map(str, args)], cwd=SCRATCH, capture_output=True, text=True, timeout=WAIT * 3, **more)
    assert done.returncode == code, (args, done.returncode, done.stdout[-500:], done.stderr[-2000:])
    assert "ERROR: AddressSanitizer" not in done.stderr and "runtime error" not in done.stderr, done.stderr
    return done


def set_up():
    with open(SCRATCH / "prompts.jsonl", "w") as f:
        for i in range(PROMPTS):
            f.write(json.dumps({"id": f"prompt-{i}", "slice": ["instruction", "feedback"][i % 2], "prompt": f"Task number {i}, please."}) + "\n")
    for name, text in MODELS.items():
        with open(SCRATCH / f"{name}.jsonl", "w") as f:
            for i in range(PROMPTS):
                f.write(json.dumps({"id": f"prompt-{i}", "model": name, "turns": [text.format(i)]}) + "\n")
    with open(SCRATCH / "gold.jsonl", "w") as f:
        for i in range(3):
            f.write(json.dumps({"prompt": f"What is {i} + 1?", "best": f"It is {i + 1}.", "worst": f"It is {i + 7}.", "others": [f"It is perhaps {i + 2}."]}) + "\n")


class Study:
    """A study of its own and the server on it."""

    def __init__(self, *args, raters=3):
        self.path = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH)) / "study.sqlite"
        answers = ",".join(str(SCRATCH / f"{m}.jsonl") for m in MODELS)
        self.start("--prompts", SCRATCH / "prompts.jsonl", "--answers", answers, "--gold", SCRATCH / "gold.jsonl", "--raters", raters, "--duplicates", "0.34", *args)
        self.key, self.links = self.told["key"], [r["link"] for r in self.told["raters"]]
        self.tokens = [r["token"] for r in self.told["raters"]]

    def start(self, *args):
        self.errors = open(tempfile.mkstemp(dir=SCRATCH)[1], "w+")
        self.process = subprocess.Popen([PROGRAM, "rank", "serve", "--out", str(self.path), "--port", "0", "--json", *map(str, args)], stdout=subprocess.PIPE, stderr=self.errors, text=True)
        line = self.process.stdout.readline()
        assert line.startswith("{"), line + self.log()
        self.told = json.loads(line)
        self.address = self.told["address"]
        self.port = int((re.search(r":(\d+)$", self.address) or [0, 0])[1])

    def log(self):
        return pathlib.Path(self.errors.name).read_text()

    def stop(self):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        code = self.process.wait(WAIT)
        self.process.stdout.close()
        log = self.log()
        assert code == 0 and "ERROR: " not in log and "runtime error" not in log, (code, log)

    def __enter__(self):
        return self

    def __exit__(self, *rest):
        self.stop()

    def ask(self, method, path, body=None, token=None, headers=None):
        c = http.client.HTTPConnection("127.0.0.1", self.port, timeout=WAIT)
        given = {"Content-Type": "application/json"} if body is not None else {}
        if token:
            given["Authorization"] = "Bearer " + token
        given.update(headers or {})
        if body is not None and not isinstance(body, (bytes, str)):
            body = json.dumps(body)
        try:
            c.request(method, path, body, {k: v for k, v in given.items() if v is not None})
            r = c.getresponse()
            return r.status, r.headers, r.read()
        finally:
            c.close()

    def call(self, method, path, body=None, token=None, status=200, **more):
        got, h, text = self.ask(method, path, body, token, **more)
        assert got == status, (got, text)
        assert h["Content-Type"] == "application/json" and h["X-Content-Type-Options"] == "nosniff" and (h["Cache-Control"] == "no-store" or status == 413), h
        answer = json.loads(text)
        return answer if status < 400 else answer["error"]["message"]

    def rows(self, sql, *values):
        db = sqlite3.connect(self.path)
        try:
            return db.execute(sql, values).fetchall()
        finally:
            db.close()

    def rate(self, token, position, value, **more):
        """Ranks and scores by value(text of the answer): the larger the better."""
        item = self.call("GET", f"/api/items/{position}", token=token)
        values = [value(a["turns"][0], item["turns"][0]) for a in item["answers"]]
        order = sorted(set(values), reverse=True)
        answers = [{"rank": 1 + order.index(v), "score": max(1, min(7, v)), "flags": ["wrong"] if v == 1 else []} for v in values]
        return self.call("PUT", f"/api/items/{position}", rating(answers, **more), token)

    def rate_all(self, token, value):
        for position in range(1, len(self.call("GET", "/api/study", token=token)["items"]) + 1):
            self.rate(token, position, value)

    def close(self, key=None, code=0):
        return run("rank", "close", self.path, input=(key or self.key) + "\n", code=code)


def rating(answers, **more):
    return {"id": uuid.uuid4().hex, "made": int(time.time() * 1000), "active": 12000, "answers": answers, **more}


def taste(text, prompt):
    """Somebody who likes slicing, and knows sums."""
    m = re.search(r"What is (\d)", prompt)
    if m:
        return 7 if text == f"It is {int(m[1]) + 1}." else 4 if "perhaps" in text else 1
    return 6 if "slicing" in text else 4 if "loop" in text else 1


# ---- making ---------------------------------------------------------------------------------------------------------------------------


def test_what_is_printed_and_kept(s):
    with Study(raters=2) as own:
        t = own.told
        assert t["items"] == PROMPTS and t["gold"] == 3 and t["answers"] == PROMPTS * 3 + 3 * 3
        assert re.fullmatch("owner-[0-9a-f]{64}", t["key"]) and all(re.fullmatch("rater-[0-9a-f]{48}", x) for x in own.tokens) and len(set(own.tokens)) == 2
        assert own.links[0] == f"{own.address}/#{own.tokens[0]}", "the token must not stand where servers and proxies log it"
        assert stat.S_IMODE(own.path.stat().st_mode) == 0o600
        kept = b"".join(p.read_bytes() for p in own.path.parent.glob("study.sqlite*"))
        for secret in (*MODELS, t["key"], t["key"][6:], *own.tokens, own.tokens[0][6:]):
            assert secret.encode() not in kept, secret
            assert not re.fullmatch("[0-9a-f]{40,}", secret) or bytes.fromhex(secret) not in kept, secret
        assert own.rows("PRAGMA journal_mode") == [("wal",)]
    assert "no study" in run("rank", "serve", "--out", "none.sqlite", code=2).stderr
    assert "already there" in run("rank", "serve", "--out", own.path, "--prompts", "prompts.jsonl", code=2).stderr
    assert "--answers" in run("rank", "serve", "--out", "none.sqlite", "--prompts", "prompts.jsonl", code=1).stderr
    assert not (SCRATCH / "none.sqlite").exists()


def test_the_server_has_no_key(s):
    """What was printed is in no memory of the process that serves."""
    with Study(raters=2) as own:
        own.ask("GET", "/")
        secrets = [x for text in (own.key[6:], *(t[6:] for t in own.tokens)) for x in (text.encode(), bytes.fromhex(text))]
        known = own.rows("SELECT value FROM study WHERE name = 'address'")[0][0].encode()
        seen = 0
        try:
            memory = open(f"/proc/{own.process.pid}/mem", "rb", 0)
        except PermissionError:
            raise Skip("this system does not let a process look into its child (kernel.yama.ptrace_scope)")
        with memory, open(f"/proc/{own.process.pid}/maps") as maps:
            for line in maps:
                low, high = (int(x, 16) for x in line.split()[0].split("-"))
                if " rw" not in line or high - low > 1 << 30:
                    continue
                try:
                    memory.seek(low)
                    part = memory.read(high - low)
                except OSError:
                    continue
                seen += known in part
                assert not any(x in part for x in secrets), "the key or a token: " + line
        assert seen, "this test reads no memory"


def test_making_that_is_stopped(s):
    """Ctrl-C while the study is made, and a limit of file sizes: a sentence or silence, but no file."""
    with open(SCRATCH / "many.jsonl", "w") as f:
        f.writelines(json.dumps({"id": f"m{i}", "prompt": "x" * 100}) + "\n" for i in range(4000))
    for name in "ab":
        with open(SCRATCH / f"many-{name}.jsonl", "w") as f:
            f.writelines(json.dumps({"id": f"m{i}", "model": name, "turns": ["y" * 100]}) + "\n" for i in range(4000))
    command = [PROGRAM, "rank", "serve", "--prompts", "many.jsonl", "--answers", "many-a.jsonl,many-b.jsonl", "--out", "stopped.sqlite", "--port", "0", "--raters", "2"]
    p = subprocess.Popen(command, cwd=SCRATCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, start_new_session=True)
    wait_for(lambda: list(SCRATCH.glob("stopped.sqlite.tmp-*")) or p.poll() is not None)
    os.killpg(p.pid, signal.SIGINT)
    out, _ = p.communicate(timeout=WAIT)
    assert p.returncode in (130, -signal.SIGINT) and out == "", (p.returncode, out)
    wait_for(lambda: not list(SCRATCH.glob("stopped.sqlite*")))
    done = subprocess.run(["sh", "-c", "ulimit -f 100; exec \"$@\"", "sh", *command], cwd=SCRATCH, capture_output=True, text=True, timeout=WAIT)
    assert done.returncode == 1 and "stopped.sqlite: cannot" in done.stderr and done.stdout == "" and not list(SCRATCH.glob("stopped.sqlite*")), done


def wait_for(what):
    end = time.monotonic() + WAIT
    while not what():
        assert time.monotonic() < end
        time.sleep(0.01)


def test_output_that_cannot_be_written(s):
    """A key that nobody could read: there is no study either."""
    path = SCRATCH / "full.sqlite"
    answers = ",".join(f"{m}.jsonl" for m in MODELS)
    with open("/dev/full", "w") as full:
        done = subprocess.run([PROGRAM, "rank", "serve", "--prompts", "prompts.jsonl", "--answers", answers, "--out", path, "--port", "0", "--raters", "1"], cwd=SCRATCH, stdout=full, stderr=subprocess.PIPE, text=True, timeout=WAIT)
    assert done.returncode == 1 and "could not be printed" in done.stderr and not list(SCRATCH.glob("full.sqlite*")), done


def test_plain_output_and_public_warning(s):
    path = SCRATCH / "public.sqlite"
    answers = ",".join(f"{m}.jsonl" for m in MODELS)
    errors = open(SCRATCH / "public.log", "w+")
    p = subprocess.Popen([PROGRAM, "rank", "serve", "--prompts", "prompts.jsonl", "--answers", answers, "--out", path, "--host", "0.0.0.0", "--port", "0", "--raters", "1"], cwd=SCRATCH, stdout=subprocess.PIPE, stderr=errors, text=True)
    address, key, link = (p.stdout.readline().rstrip("\n") for _ in range(3))
    p.send_signal(signal.SIGTERM)
    assert p.wait(WAIT) == 0
    assert address.startswith("http://") and key.startswith("key\towner-") and link.startswith(f"rater-1\t{address}/#rater-"), (address, key, link)
    assert "0.0.0.0" not in address and "warning: 0.0.0.0 can be reached from other machines" in (SCRATCH / "public.log").read_text()
    (SCRATCH / "key").write_text(key + "\n")                  # the line as it was printed
    assert "is closed: 0 items" in run("rank", "close", path, "--key-file", "key").stderr


def test_a_port_that_is_taken(s):
    """Key and links are printed once: where they cannot be, there is no study either."""
    path = SCRATCH / "taken.sqlite"
    answers = ",".join(f"{m}.jsonl" for m in MODELS)
    done = run("rank", "serve", "--prompts", "prompts.jsonl", "--answers", answers, "--out", path, "--port", s.port, code=1)
    assert f"port {s.port}" in done.stderr and done.stdout == "" and not list(SCRATCH.glob("taken.sqlite*"))


def test_address_behind_a_proxy(s):
    with Study("--url", "https://rank.example.org/", raters=1) as own:
        assert own.links[0].startswith("https://rank.example.org/#rater-")
    own.start("--url", "https://rank.example.org/")
    own.stop()
    assert "expected an address" in run("rank", "serve", "--out", own.path, "--url", "rank.example.org", code=1).stderr


# ---- the page's files and who may ask ----------------------------------------------------------------------------------------------------


def test_page_files(s):
    policy = "default-src 'none'; script-src 'self'; style-src 'self'"
    for p in PAGE.iterdir():
        status, h, body = s.ask("GET", "/" + p.name)
        assert status == 200 and body == p.read_bytes() and policy in h["Content-Security-Policy"] and "frame-ancestors 'none'" in h["Content-Security-Policy"], p
        assert s.ask("GET", "/" + p.name, headers={"If-None-Match": h["ETag"]})[0] == 304
        packed = s.ask("GET", "/" + p.name, headers={"Accept-Encoding": "gzip"})
        assert packed[1]["Content-Encoding"] == "gzip" and packed[2][:2] == b"\x1f\x8b"
        for takes, is_packed in (("br, gzip;q=0.5", True), ("gzip;q=0.0", False), ("x-gzip", False), ("gzip ; q=0", False)):
            assert s.ask("GET", "/" + p.name, headers={"Accept-Encoding": takes})[1]["Content-Encoding"] == ("gzip" if is_packed else None), takes
        source = p.read_text()
        for word in ("innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval(", "new Function", "style=", "onclick=\""):
            assert word not in source, (p, word)
    assert s.ask("GET", "/")[2] == (PAGE / "index.html").read_bytes() and s.ask("HEAD", "/")[2] == b""


def test_refusals_are_json(s):
    token = s.tokens[0]
    s.call("GET", "/nothing", status=404)
    s.call("GET", "/../etc/passwd", status=404)
    s.call("POST", "/", {}, status=405)
    assert s.ask("DELETE", "/api/items/1", token=token)[1]["Allow"] == "GET, HEAD, PUT"
    s.call("GET", "/api/items/0", token=token, status=404)
    s.call("GET", "/api/items/999", token=token, status=404)
    s.call("GET", "/api/items/1x", token=token, status=404)
    s.call("PUT", "/api/items/1", "{}", token, status=415, headers={"Content-Type": "text/plain"})
    s.call("PUT", "/api/items/1", "x" * (300 << 10), token, status=413)
    assert "not valid JSON" in s.call("PUT", "/api/items/1", "{", token, status=400)
    assert "answers" in s.call("PUT", "/api/items/1", {}, token, status=400)
    for bad in ({"rank": 9}, {"rank": 1.5}, {"score": 8}, {"score": 0}, {"flags": ["unknown"]}, {"note": "語" * 4001}, {"note": 5}):
        n = len(s.call("GET", "/api/items/1", token=token)["answers"])
        s.call("PUT", "/api/items/1", rating([bad] + [{}] * (n - 1)), token, status=400)
    assert not s.rows("SELECT 1 FROM revisions v JOIN assignments a ON a.n = v.assignment WHERE a.rater = 1 AND a.position = 1")


def test_other_sites_and_names(s):
    token = s.tokens[0]
    host = f"127.0.0.1:{s.port}"
    s.call("GET", "/api/study", token=token, headers={"Host": "evil.example"}, status=403)
    s.call("GET", "/", headers={"Host": "evil.example"}, status=403)
    for origin in ("http://evil.example", "null", "http://127.0.0.1:1", f"http://{host}.evil.example"):
        s.call("GET", "/api/study", token=token, headers={"Origin": origin}, status=403)
    s.call("PUT", "/api/items/1", {}, token, headers={"Sec-Fetch-Site": "cross-site"}, status=403)
    s.call("GET", "/api/study", token=token, headers={"Origin": f"http://{host}", "Host": host})
    s.call("GET", "/api/study", token=token, headers={"Host": f"localhost:{s.port}"})


def test_wrong_tokens_are_limited(s):
    with Study(raters=2) as own:
        assert "invitation" in own.call("GET", "/api/study", status=401)
        own.call("GET", "/api/study", token=own.tokens[0])
        for i in range(20):
            own.call("GET", "/api/study", token=f"rater-{i:048x}", status=401)
        assert own.ask("GET", "/api/study", token="rater-" + "0" * 48)[0] == 429
        for token in own.tokens:                                              # behind the same proxy, first seen or not: a valid link always opens
            own.call("GET", "/api/study", token=token)
        assert own.log().count("wrong_token") == 20, "a stranger writes the log"
        assert own.tokens[0] not in own.log() and "wrong_token" in own.log()


# ---- rating ------------------------------------------------------------------------------------------------------------------------------------


def test_raters_are_blind(s):
    for token in s.tokens:
        study = s.call("GET", "/api/study", token=token)
        assert len(study["items"]) == PROMPTS + 3 + 2 and study["closed"] is False and study["scores"] == 7
        whole = json.dumps(study)
        sizes = set()
        for position in range(1, len(study["items"]) + 1):
            item = s.call("GET", f"/api/items/{position}", token=token)
            assert set(item) == {"answers", "position", "turns", "rating"} and all(set(a) == {"turns"} for a in item["answers"])
            whole += json.dumps(item)
            sizes.add(len(item["answers"]))
        assert sizes == {len(MODELS)}, "items that check raters show another number of answers"
        for word in (*MODELS, "gold", "prompt-", "best", "repeat", "duplicate", "slice"):
            assert word not in whole, word


def test_orders_differ_and_repeats_come_later(s):
    rows = s.rows("SELECT rater, position, item, repeats, shown, n FROM assignments ORDER BY rater, position")
    by_n = {r[5]: r for r in rows}
    repeats = [r for r in rows if r[3]]
    assert len(repeats) == 2 * 3
    for r in repeats:
        first = by_n[r[3]]
        assert first[0] == r[0] and first[2] == r[2] and first[1] < r[1] and first[4] != r[4] and sorted(json.loads(first[4])) == sorted(json.loads(r[4]))
    assert len({tuple(x[2] for x in rows if x[0] == k) for k in (1, 2, 3)}) == 3
    gold = {n for n, in s.rows("SELECT n FROM items WHERE is_gold")}
    for k in (1, 2, 3):
        assert gold <= {x[2] for x in rows if x[0] == k}


def test_saving_is_idempotent_and_keeps_all(s):
    with Study(raters=2) as own:
        token = own.tokens[0]
        n = len(own.call("GET", "/api/items/1", token=token)["answers"])
        one = rating([{"rank": 1}] + [{}] * (n - 1))
        first = own.call("PUT", "/api/items/1", one, token)
        again = own.call("PUT", "/api/items/1", one, token)
        assert first == again and not first["is_done"] and first["done"] == 0
        whole = rating([{"rank": 1, "score": 7, "flags": ["unsafe", "wrong"], "note": "hm"}] + [{"rank": 1, "score": 3}] * (n - 1), reason="Grüße \u202e <b>")
        second = own.call("PUT", "/api/items/1", whole, token)
        assert second["is_done"] and second["done"] == 1 and second["saved"] != first["saved"]
        state = own.call("GET", "/api/items/1", token=token)["rating"]
        assert state["reason"] == "Grüße \u202e <b>" and state["answers"][0] == {"rank": 1, "score": 7, "flags": ["wrong", "unsafe"], "note": "hm"}
        assert own.call("GET", "/api/study", token=token)["items"][0] == "done"
        assert own.call("GET", "/api/study", token=own.tokens[1])["done"] == 0
        own.process.kill()                                     # whatever was answered is on the disk
        own.process.wait()
        own.start()
        assert own.call("GET", "/api/items/1", token=token)["rating"] == state
        kept = own.rows("SELECT v.id, v.is_done, v.received FROM revisions v JOIN assignments a ON a.n = v.assignment ORDER BY v.n")
        assert [k[0] for k in kept] == [one["id"], whole["id"]] and [k[1] for k in kept] == [0, 1] and kept[0][2] <= kept[1][2]


def test_when_it_was_shown(s):
    """Asking for an item is not seeing it: the page asks for the next one early."""
    with Study(raters=1) as own:
        token = own.tokens[0]
        opened = lambda: own.rows("SELECT opened FROM assignments ORDER BY position LIMIT 2")
        for position in (1, 2):
            own.call("GET", f"/api/items/{position}", token=token)
        assert opened() == [(None,), (None,)]
        now = time.time() * 1000
        own.call("PUT", "/api/items/1/shown", {"ago": 60000}, token)          # sent later: there was no connection
        (first,), (second,) = opened()
        assert now - 61000 < first < now - 55000 and second is None
        own.call("PUT", "/api/items/1/shown", {"ago": 0}, token)
        assert opened()[0] == (first,), "the first time is what counts"
        own.call("PUT", "/api/items/99/shown", {"ago": 0}, token, status=404)
        own.call("PUT", "/api/items/1/shown", {"ago": -1}, token, status=400)
        own.call("PUT", "/api/items/1/shown", {"ago": 0}, status=401)
        own.call("GET", "/api/items/1/shown", token=token, status=405)
        assert own.ask("GET", "/api/items/1/shown", token=token)[1]["Allow"] == "PUT"
        own.close()
        own.call("PUT", "/api/items/2/shown", {"ago": 0}, token)
        assert opened()[1] == (None,), "after the end"


def test_what_one_rater_may_write(s):
    with Study(raters=2) as own:
        a, b = own.tokens
        n = len(own.call("GET", "/api/items/1", token=a)["answers"])
        put = lambda token, position=1, status=200: own.call("PUT", f"/api/items/{position}", rating([{}] * n, reason="x" * 1000), token, status=status)

        def change(sql, *values):
            db = sqlite3.connect(own.path)
            with db:
                db.execute(sql, values)
            db.close()

        put(a)
        (revisions, size), = own.rows("SELECT revisions, bytes FROM written WHERE rater = 1")
        assert revisions == 1 and size == own.rows("SELECT length(CAST(rating AS BLOB)) FROM revisions")[0][0] > 1000
        change("UPDATE written SET bytes = ? WHERE rater = 1", (64 << 20) - size)
        put(a)
        assert "64 MiB" in put(a, status=409)
        put(b)                                                 # another's ceiling is another's
        change("UPDATE written SET bytes = 0, revisions = 100000 WHERE rater = 1")
        assert "100000 times" in put(a, status=409)
        change("UPDATE written SET revisions = 0 WHERE rater = 1")
        change("WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 998) INSERT INTO revisions(assignment, id, received, is_done, rating) SELECT 1, 'many-' || i, 1, 0, '{}' FROM k")
        assert "changed 1000 times" in put(a, status=409)
        put(a, 2)
        counted = own.rows("SELECT count(*) FROM revisions")
        change("DROP TABLE written")                           # a study of before there was one: counted anew
        own.stop()
        own.start()
        assert own.rows("SELECT revisions FROM written ORDER BY rater") == [(1001,), (1,)] and counted == [(1002,)]


def test_invitations_while_it_runs(s):
    with Study("--overlap", "2", raters=3) as own:
        assert sorted(n for n, in own.rows("SELECT count(*) FROM assignments a JOIN items i ON i.n = a.item WHERE repeats IS NULL AND NOT is_gold GROUP BY a.item")) == [2] * PROMPTS
        name, link = run("rank", "invite", own.path, "--name", "anna").stdout.strip().split("\t")
        assert name == "anna" and link.startswith(own.address + "/#rater-")
        token = link.split("#")[1]
        study = own.call("GET", "/api/study", token=token)
        assert study["rater"] == "anna" and len(study["items"]) == 4 + 3 + 1
        new = json.loads(run("rank", "invite", own.path, "--name", "anna", "--again", "--json").stdout)
        own.call("GET", "/api/study", token=token, status=401)
        own.call("GET", "/api/study", token=new["token"])
        run("rank", "invite", own.path, "--name", "anna", "--revoke")
        own.call("GET", "/api/study", token=new["token"], status=401)
        assert "no rater bob" in run("rank", "invite", own.path, "--name", "bob", "--revoke", code=1).stderr


def test_several_turns(s):
    """Two turns of a conversation, of which one model answered the first alone."""
    with open(SCRATCH / "turns.jsonl", "w") as f:
        f.write(json.dumps({"id": "t", "turns": ["First?", "And then?"]}) + "\n")
    for name, turns in (("one", ["Only this."]), ("two", ["This.", "And that."])):
        (SCRATCH / f"turns-{name}.jsonl").write_text(json.dumps({"id": "t", "model": name, "turns": turns}) + "\n")
    path = SCRATCH / "turns.sqlite"
    p = subprocess.Popen([PROGRAM, "rank", "serve", "--prompts", "turns.jsonl", "--answers", "turns-one.jsonl,new-name=turns-two.jsonl", "--out", path, "--port", "0", "--raters", "1", "--json", "-q"], cwd=SCRATCH, stdout=subprocess.PIPE, text=True)
    told = json.loads(p.stdout.readline())
    c = http.client.HTTPConnection("127.0.0.1", int(told["address"].rsplit(":", 1)[1]))
    head = {"Authorization": "Bearer " + told["raters"][0]["token"], "Content-Type": "application/json"}
    c.request("GET", "/api/items/1", headers=head)
    item = json.loads(c.getresponse().read())
    assert item["turns"] == ["First?", "And then?"] and sorted(len(a["turns"]) for a in item["answers"]) == [1, 2]
    c.request("PUT", "/api/items/1", json.dumps(rating([{"rank": 3 - len(a["turns"]), "score": 4} for a in item["answers"]])), head)
    assert c.getresponse().status == 200
    c.close()
    p.send_signal(signal.SIGTERM)
    assert p.wait(WAIT) == 0
    run("rank", "close", path, input=told["key"])
    run("rank", "export", path, "--pairs", "turns-pairs.jsonl")
    pair = json.loads((SCRATCH / "turns-pairs.jsonl").read_text())
    assert [m["content"] for m in pair["chosen"]] == ["First?", "This.", "And then?", "And that."] and pair["chosen_model"] == "new-name" and [m["content"] for m in pair["rejected"]] == ["First?", "Only this."]


# ---- the end --------------------------------------------------------------------------------------------------------------------------------------


def closed_study():
    """Rated by two people of taste and one who says the opposite; closed."""
    own = Study()
    try:
        own.rate_all(own.tokens[0], taste)
        own.rate_all(own.tokens[1], lambda a, p: 5 if taste(a, p) == 4 else 5 if taste(a, p) == 6 else taste(a, p))      # sees a tie
        own.rate_all(own.tokens[2], lambda a, p: 8 - taste(a, p))
        open_report = json.loads(run("rank", "report", own.path, "--json").stdout)
        assert "models" not in open_report and open_report["raters"][0]["done"] == PROMPTS + 5 and open_report["study"]["models"] == [] and "sealed" in open_report["notes"][0]
        assert "is open" in run("rank", "export", own.path, "--pairs", "x.jsonl", code=1).stderr
        wrong = own.key[:-1] + ("0" if own.key[-1] != "0" else "1")
        assert "does not open" in own.close(wrong, code=1).stderr
        assert "hexadecimal" in own.close("hello", code=1).stderr
        own.close()
        item = own.call("GET", "/api/items/1", token=own.tokens[0])          # the server still runs
        assert "closed" in own.call("PUT", "/api/items/1", rating([{}] * len(item["answers"])), own.tokens[0], status=409)
        assert own.call("GET", "/api/study", token=own.tokens[0])["closed"] is True
    finally:
        own.stop()
    assert "is closed" in run("rank", "serve", "--out", own.path, "--port", "0", code=1).stderr
    return own


made = {}


def closed():
    if "study" not in made:
        made["study"] = closed_study()
    return made["study"]


def test_closing(s):
    closed()


def test_export(s):
    own = closed()
    told = json.loads(run("rank", "export", own.path, "--ratings", "ratings.jsonl", "--pairs", "pairs.jsonl", "--revisions", "--json").stdout)
    assert told["excluded"] == [{"rater": "rater-3", "rules": ["gold"]}], told
    ratings = [json.loads(line) for line in open(SCRATCH / "ratings.jsonl")]
    assert len(ratings) == told["ratings"] == 3 * (PROMPTS + 5)
    for r in ratings:
        assert r["excluded"] == (["gold"] if r["rater"] == "rater-3" else []) and r["seconds"] == 12 and len(r["revision"]) == r["revisions"] == 1
        for a in r["answers"]:
            assert ("model" in a) != r["is_gold"] and (a["gold"] in ("best", "worst", "other") if r["is_gold"] else a["model"] in MODELS)
    own_plain = [r for r in ratings if r["rater"] == "rater-1" and not r["is_gold"] and r["repeats"] is None]
    assert len(own_plain) == PROMPTS and all({a["model"]: a["rank"] for a in r["answers"]} == {"good-model": 1, "plain-model": 2, "evil-model": 3} for r in own_plain)
    pairs = [json.loads(line) for line in open(SCRATCH / "pairs.jsonl")]
    assert len(pairs) == told["pairs"] == PROMPTS * 3 + PROMPTS * 2 and told["ties"] == PROMPTS          # K (K - 1) / 2 less ties
    for p in pairs:
        i = int(p["prompt_id"].split("-")[1])
        assert p["chosen"] == [{"role": "user", "content": f"Task number {i}, please."}, {"role": "assistant", "content": MODELS[p["chosen_model"]].format(i)}]
        assert p["rejected"][1]["content"] == MODELS[p["rejected_model"]].format(i) and p["score_chosen"] > p["score_rejected"]
    everybody = json.loads(run("rank", "export", own.path, "--pairs", "all.jsonl", "--include-excluded", "--json").stdout)
    assert everybody["pairs"] == told["pairs"] + PROMPTS * 3
    assert "give --ratings" in run("rank", "export", own.path, code=2).stderr


def test_training_takes_the_pairs(s):
    own = closed()
    run("rank", "export", own.path, "--pairs", "pairs.jsonl")
    config = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 267, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64,
              "max_position_embeddings": 256, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "initializer_range": 0.1, "bos_token_id": 261, "eos_token_id": 261}
    (SCRATCH / "config.json").write_text(json.dumps(config))
    run("init", "config.json", "model", "--tokenizer", ROOT / "tests/golden/tokenizers/bytes/tokenizer.json", "--seed", "7")
    recipe = {"model_name_or_path": "model", "dataset_name": "pairs.jsonl", "dialogue_template": "no_system", "block_size": 256, "packing": "none", "loss_type": "dpo", "beta": 0.1, "max_steps": 3, "total_train_batch_size": 4, "lora_r": 4,
              "learning_rate": 0.005, "test_size": 0, "logging_steps": 1, "output_dir": "dpo"}
    (SCRATCH / "dpo.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items()))
    run("train", "dpo.yaml", "-q")
    losses = [e["loss"] for e in map(json.loads, open(SCRATCH / "dpo/events.jsonl")) if e["event"] == "step"]
    assert len(losses) == 3 and abs(losses[0] - math.log(2)) < 1e-3, losses
    data = json.loads((SCRATCH / "dpo/data/dataset.json").read_text()) if (SCRATCH / "dpo/data/dataset.json").exists() else None
    assert data is None or sum(i["records"] for i in data["inputs"]) == PROMPTS * 5


def test_report(s):
    own = closed()
    run("rank", "export", own.path, "--ratings", "ratings.jsonl")
    r = json.loads(run("rank", "report", own.path, "--json", "--out", "report.html").stdout)
    counted = [x for x in map(json.loads, open(SCRATCH / "ratings.jsonl")) if not x["is_gold"] and x["repeats"] is None and not x["excluded"]]
    near = lambda a, b: abs(a - b) < 1e-9
    for m in r["models"]:                                      # against a computation of its own
        rows = [(a, x) for x in counted for a in x["answers"] if a["model"] == m["model"]]
        best = worst = rank = 0
        for a, x in rows:
            ranks = [b["rank"] for b in x["answers"]]
            best += (a["rank"] == min(ranks)) / ranks.count(min(ranks))
            worst += (a["rank"] == max(ranks)) / ranks.count(max(ranks))
            rank += sum(q < a["rank"] for q in ranks) + (ranks.count(a["rank"]) + 1) / 2
        assert m["shown"] == len(rows) == 2 * PROMPTS and near(m["best_worst"], (best - worst) / len(rows)) and near(m["mean_rank"], rank / len(rows))
        assert near(m["mean_score"], sum(a["score"] for a, _ in rows) / len(rows)) and m["flags"]["wrong"]["n"] == sum("wrong" in a["flags"] for a, _ in rows)
    strength = {m["model"]: m["strength"] for m in r["models"]}
    assert strength["good-model"] > strength["plain-model"] > strength["evil-model"]
    raters = {x["rater"]: x for x in r["raters"]}
    assert raters["rater-3"]["excluded"] == ["gold"] and raters["rater-3"]["gold"] == {"items": 3, "right": 0, "share": 0.0} and raters["rater-1"]["gold"]["right"] == 3
    assert raters["rater-1"]["repeats"]["share"] == 1 and raters["rater-1"]["contradictions"] == 0
    pair = next(p for p in r["pairs"] if {p["a"], p["b"]} == {"good-model", "plain-model"})
    assert (pair["win"], pair["tie"], pair["loss"]) == (PROMPTS, PROMPTS, 0) and near(pair["win_rate"], 0.75)
    a = r["agreement"]
    assert a["pairs"] == PROMPTS * 3 and near(a["share"], 2 / 3) and near(a["share_without_ties"], 1) and [(x["a"], x["b"]) for x in a["raters"]] == [("rater-1", "rater-2")]
    assert {x["slice"] for x in r["slices"]} == {"instruction", "feedback"}
    page = (SCRATCH / "report.html").read_text()
    assert "good-model" in page and "Krippendorff" in page and "<script" not in page
    run("rank", "report", own.path, "--out", "report.md")
    assert "| good\\-model" in (SCRATCH / "report.md").read_text() or "good-model" in (SCRATCH / "report.md").read_text()
    text = run("rank", "report", own.path).stdout
    assert "good-model" in text and "Raters agree on 66.7 %" in text, text
    assert "no kind of page" in run("rank", "report", own.path, "--out", "report.txt", code=1).stderr
    other = json.loads(run("rank", "report", own.path, "--json", "--seed", "2").stdout)
    assert other["models"][0]["mean_score"] == r["models"][0]["mean_score"]
    assert json.loads(run("rank", "report", own.path, "--json").stdout)["models"] == r["models"], "the same seed gives other intervals"


def test_report_beside_a_judge(s):
    own = closed()
    with open(SCRATCH / "judgements.jsonl", "w") as f:
        for i in range(PROMPTS):
            for a, b in itertools.permutations(MODELS, 2):
                first = max((a, b), key=lambda m: taste(MODELS[m], ""))
                for judge in ("as people", "first slot"):
                    winner = "A" if judge == "first slot" or first == a else "B"
                    f.write(json.dumps({"judge": judge, "protocol": "fastchat-pair", "id": f"prompt-{i}", "turn": 1, "models": [a, b], "winner": winner, "text": f"[[{winner}]]"}) + "\n")
    r = json.loads(run("rank", "report", own.path, "--judgements", "judgements.jsonl", "--json").stdout)
    judges = {j["judge"]: j for j in r["judges"]}
    assert judges["as people"]["with_majority"]["pairs"] == PROMPTS * 3 and judges["as people"]["with_majority"]["share"] == 1 and judges["as people"]["with_majority"]["kappa"] == 1
    assert abs(judges["as people"]["with_each"]["share"] - 5 / 6) < 1e-9        # of two raters one sees a tie in one pair of three
    assert judges["first slot"]["with_majority"]["share"] == 0 and judges["first slot"]["with_majority"]["pairs_without_ties"] == 0      # both orders differ: a tie
    assert "as people: as the majority of people on 100.0 %" in run("rank", "report", own.path, "--judgements", "judgements.jsonl").stdout


# ---- in a browser ---------------------------------------------------------------------------------------------------------------------------------------


def browser():
    if not CHROMIUM:
        raise Skip("no chromium (apt-get install chromium)")
    os.environ.setdefault("STARCHAT_CLIENTS", json.dumps({"url": "", "model": ""}))       # what that folder's scripts want to see
    sys.path.insert(0, str(ROOT / "tests/clients"))
    import page
    return page


def press(b, key, code, shift=False):
    for kind in ("keyDown", "keyUp"):
        b.ask("Input.dispatchKeyEvent", type=kind, key=key, code=code, modifiers=8 if shift else 0, **({"text": "\r"} if key == "Enter" and kind == "keyDown" else {}))


def test_browser_by_keyboard(s):
    """Standard library and Chromium alone: one rater does everything by keyboard, on a phone's screen; nothing of an answer becomes markup or runs."""
    page = browser()
    with Study(raters=1) as own, tempfile.TemporaryDirectory(prefix="starchat-rank-", ignore_cleanup_errors=True) as home:
        b = page.Browser(home)
        try:
            b.session = b.ask("Target.attachToTarget", targetId=b.ask("Target.createTarget", url="about:blank")["targetId"], flatten=True)["sessionId"]
            for domain in ("Page", "Runtime", "Network", "Log"):
                b.ask(domain + ".enable")
            b.ask("Emulation.setDeviceMetricsOverride", width=360, height=640, deviceScaleFactor=1, mobile=True)
            b.ask("Page.navigate", url=own.links[0])
            b.wait("document.querySelector('button.primary')?.textContent === 'Begin'")
            assert "rater-" not in b.value("location.href")
            b.value("document.querySelector('button.primary').focus()")
            press(b, "Enter", "Enter")
            n = len(own.call("GET", "/api/study", token=own.tokens[0])["items"])
            for i in range(1, n + 1):
                b.wait(f"document.querySelector('.item-title')?.textContent === 'Item {i} of {n}'")
                assert b.value("document.documentElement.scrollWidth") <= 360
                allowed = "P UL OL LI EM STRONG S CODE PRE DIV SPAN BR HR BLOCKQUOTE TABLE THEAD TBODY TR TH TD H4 H5 H6"
                assert b.value(f"[...document.querySelectorAll('.prose *')].filter(e => !{json.dumps(allowed.split())}.includes(e.tagName)).length") == 0
                cards = b.value("document.querySelectorAll('.card').length")
                for k in range(cards):
                    press(b, "j", "KeyJ")
                    press(b, str(k + 1), f"Digit{k + 1}")
                    press(b, "&", f"Digit{7 - k}", shift=True)
                b.wait("document.querySelector('.status').dataset.state === 'saved'")
                press(b, "Enter", "Enter")
            b.wait("document.querySelector('h1').textContent.startsWith('All done')")
            assert b.value("window.hacked") is None
            bad = [e for e in b.events if e.get("method") == "Runtime.exceptionThrown" or (e.get("method") == "Log.entryAdded" and e["params"]["entry"]["level"] == "error")
                   or (e.get("method") == "Network.requestWillBeSent" and not e["params"]["request"]["url"].startswith((own.address, "about:", "data:")))]
            assert not bad, bad
            assert own.call("GET", "/api/study", token=own.tokens[0])["done"] == n
            assert all(opened and opened <= received for opened, received in own.rows("SELECT a.opened, min(v.received) FROM assignments a JOIN revisions v ON v.assignment = a.n GROUP BY a.n"))
            got = own.rows("SELECT rating FROM revisions WHERE n = (SELECT max(n) FROM revisions)")[0][0]
            assert [(a["rank"], a["score"]) for a in json.loads(got)["answers"]] == [(k + 1, 7 - k) for k in range(cards)]
        finally:
            b.close()


def test_browser_by_playwright(s):
    modules = next((p for p in (os.environ.get("STARCHAT_NODE_MODULES"), ROOT / "web") if p and (pathlib.Path(p) / "node_modules/@playwright/test").exists()), None)
    if not CHROMIUM:
        raise Skip("no chromium (apt-get install chromium)")
    if not shutil.which("node") or not modules:
        raise Skip("needs node and the packages of web/package.json (npm ci in web, or STARCHAT_NODE_MODULES=DIRECTORY)")
    with Study() as own:
        given = json.dumps({"address": own.address, "links": own.links, "attack": [ATTACK, "javascript:window.hacked=1"], "program": PROGRAM, "study": str(own.path)})
        done = subprocess.run(["node", str(ROOT / "tests/cli/rank_page.mjs"), str(modules), CHROMIUM, given, *([os.environ["STARCHAT_SHOTS"]] if os.environ.get("STARCHAT_SHOTS") else [])], capture_output=True, text=True, timeout=600)
        print(done.stdout, end="")
        assert done.returncode == 0, done.stdout + done.stderr


# ---- run ---------------------------------------------------------------------------------------------------------------------------------------------------


def main():
    tests = [(k[5:], v) for k, v in sorted(globals().items(), key=lambda kv: getattr(getattr(kv[1], "__code__", None), "co_firstlineno", 0)) if k.startswith("test_")]
    wanted = sys.argv[2:]
    passed = failed = 0
    set_up()
    shared = Study()
    for name, test in tests:
        if wanted and name not in wanted:
            continue
        began = time.monotonic()
        try:
            test(shared)
            passed += 1
            print(f"ok {name} ({time.monotonic() - began:.1f} s)", flush=True)
        except Skip as e:
            print(f"skipped: {name}: {e}", flush=True)
        except Exception:  # noqa: BLE001: whatever it is, it is this test's failure
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    try:
        shared.stop()
    except Exception:  # noqa: BLE001
        failed += 1
        print(f"FAILED end of the server\n{traceback.format_exc()}")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    sys.exit(1 if failed else 0)


main()
