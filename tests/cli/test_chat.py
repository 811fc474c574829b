"""`starchat chat` as a person and as a script use it: the first half drives it through a pseudo-terminal, the second runs
it with pipes. The model is a tiny random one made by `starchat init`, whose answers are noise: good enough to stream, to
stop, to count and to show what a terminal must not be told. Standard library only.

Run: python3 tests/cli/test_chat.py [PROGRAM] [NAME...]       Last line: "N passed, N failed"
"""
import json
import os
import pathlib
import pty
import re
import select
import shutil
import signal
import sqlite3
import struct
import subprocess
import sys
import tempfile
import time
import traceback
import fcntl
import termios

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-chat-"))
MODEL = str(SCRATCH / "model")
WAIT = 60
FIGURES = re.compile(rb"\d+ tokens?[^\r\n]* context (\d+) of (\d+) \(\d+ %\)[^\r\n]*")
PROMPT = re.compile(rb">>> (?:\x1b\[0m)?$")
FEW_SHOT = ("Dialogues between a person and a helper.\n\n-----\n\nHuman: Hi.\n\nAssistant: Hello, what can I do for you?\n\n"
            "Human: Add one and one.\n\nAssistant: Two.\n\n-----\n")


def make_model():
    config = json.loads((BYTES / "config.json").read_text())
    config["max_position_embeddings"] = 16384
    (SCRATCH / "config.json").write_text(json.dumps(config))
    (SCRATCH / "few.txt").write_text(FEW_SHOT)
    subprocess.run([PROGRAM, "init", str(SCRATCH / "config.json"), MODEL, "--tokenizer", str(BYTES / "tokenizer.json"), "--seed", "1", "-q"], check=True)


def environment(home, **more):
    env = {k: v for k, v in os.environ.items() if k not in ("NO_COLOR", "EDITOR", "VISUAL", "XDG_DATA_HOME", "HF_HOME", "HF_TOKEN")}
    env.update(STARCHAT_HOME=str(home), HOME=str(home), LC_ALL="C.UTF-8", TERM="xterm-256color", INPUTRC="/dev/null", HF_HUB_OFFLINE="1")
    env.update(more)
    return env


def new_home():
    return pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))


def kept(home):
    """What is kept: for each conversation, the newest first, [text of the leaf, {text: text of its parent}]."""
    db = sqlite3.connect(home / "conversations.db")
    try:
        rows = db.execute("SELECT t.n, m.content FROM talks t LEFT JOIN messages m ON m.n = t.leaf ORDER BY t.updated DESC").fetchall()
        return [[leaf, dict(db.execute("SELECT m.content, p.content FROM messages m LEFT JOIN messages p ON p.n = m.parent WHERE m.talk = ?", (n,)))] for n, leaf in rows]
    finally:
        db.close()


# ---- a person at a terminal ----------------------------------------------------------------------------------------------


class Chat:
    """The program on a pseudo-terminal of 200 columns. `ask` and `command` return what came before the next prompt."""

    def __init__(self, *args, home=None, template=True, env=None):
        self.home = home or new_home()
        line = [PROGRAM, "chat", *args] if "--continue" in args else [PROGRAM, "chat", MODEL, *args]
        if template:
            line += ["--template", "chatml"]
        self.pid, self.fd = pty.fork()
        if self.pid == 0:
            os.chdir(self.home)
            os.execve(PROGRAM, line, environment(self.home, **(env or {})))
        fcntl.ioctl(self.fd, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 200, 0, 0))
        self.seen = b""
        self.at = 0

    def __enter__(self):
        self.greeting = self.until(PROMPT)
        return self

    def __exit__(self, *error):
        os.close(self.fd)
        try:
            os.kill(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
        except (ProcessLookupError, ChildProcessError):
            pass

    def read(self, seconds):
        ready, _, _ = select.select([self.fd], [], [], seconds)
        if not ready:
            return False
        try:
            data = os.read(self.fd, 1 << 16)
        except OSError:
            data = b""
        self.seen += data
        return bool(data)

    def until(self, pattern, wait=WAIT):
        """Reads on until the pattern is found behind what was returned last."""
        end = time.monotonic() + wait
        while True:
            found = pattern.search(self.seen, self.at)
            if found:
                text = self.seen[self.at:found.end()]
                self.at = found.end()
                return text
            if time.monotonic() > end or not self.read(max(0.01, end - time.monotonic())):
                raise AssertionError(f"waited for {pattern.pattern!r}; there is {self.seen[self.at:][-600:]!r}")

    def send(self, data):
        os.write(self.fd, data.encode() if isinstance(data, str) else data)

    def ask(self, text):
        self.send(text + "\r")
        return self.until(FIGURES) + self.until(PROMPT)

    def command(self, text):
        self.send(text + "\r")
        self.until(re.compile(re.escape(text.encode())))
        return self.until(PROMPT)

    def saved(self):
        path = self.home / f"saved-{time.monotonic_ns()}.json"
        assert b"saved" in self.command(f"/save {path}")
        return json.loads(path.read_text())

    def texts(self):
        return [m["content"] for m in self.saved()["messages"]]

    def ended(self):
        """Exit status, once everything was read."""
        end = time.monotonic() + WAIT
        while self.read(max(0.01, end - time.monotonic())):
            pass
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


SHORT = ("--ignore-eos", "-n", "20", "--seed", "7")
LONG = ("--ignore-eos", "-n", "-1", "--seed", "7")


def test_greets_and_counts():
    with Chat(*SHORT) as c:
        assert b"context 8192" in c.greeting and b"/help" in c.greeting
        answer = c.ask("hello")
        used, room = FIGURES.search(answer).groups()
        assert int(room) == 8192 and 30 < int(used) < 60, used
        assert b"/s" in answer
        tokens = c.command("/tokens")
        assert b"last answer      20 tokens" in tokens and b"of 8192 tokens used" in tokens, tokens
        second = FIGURES.search(c.ask("and again")).group()
        assert b"reused" in second, second


def test_ctrl_c_stops_the_answer_only():
    with Chat(*LONG) as c:
        c.send("tell me everything\r")
        c.until(re.compile(rb"everything\r\n.{200}", re.S))
        c.send(b"\x03")
        text = c.until(FIGURES)
        c.until(PROMPT)
        assert b"stopped" in text, text[-300:]
        assert 0 < int(FIGURES.search(text).group(1)) < 8192
        user, answer = c.texts()
        assert user == "tell me everything" and answer, "the part that came stays in the conversation"
        assert b"taken back: tell me everything" in c.command("/undo")
        assert c.texts() == []


def test_ctrl_c_twice_leaves():
    with Chat(*SHORT) as c:
        c.send("half a line")
        c.until(re.compile(b"half a line"))
        c.send(b"\x03")
        c.until(PROMPT)
        c.send(b"\x03")
        assert b"again" in c.until(PROMPT)
        c.ask("still here")
        c.send(b"\x03")
        c.until(PROMPT)
        c.send(b"\x03")
        assert c.ended() == 0


def test_ctrl_d_leaves():
    with Chat(*SHORT) as c:
        c.send(b"\x04")
        assert c.ended() == 0


def test_paste_is_one_message():
    code = "int f(int n)\n{\n\treturn n < 2 ? n : \\\n\t\tf(n - 1) + f(n - 2);\n}"
    with Chat(*SHORT) as c:
        c.send(b"\x1b[200~" + code.replace("\n", "\r").encode() + b"\x1b[201~")
        c.ask("")
        assert c.texts()[0] == code, c.texts()[0]


def test_many_lines_by_hand():
    with Chat(*SHORT) as c:
        for line in ('"""', "one", "two"):
            c.send(line + "\r")
            c.until(re.compile(rb"\.\.\. (\x1b\[0m)?$"))
        c.ask('"""')
        c.send("```c\r")
        c.until(re.compile(rb"\.\.\. (\x1b\[0m)?$"))
        c.send("x;\r")
        c.until(re.compile(rb"x;.*\.\.\. (\x1b\[0m)?$", re.S))
        c.ask("```")
        c.send("a\\\r")
        c.until(re.compile(rb"\.\.\. (\x1b\[0m)?$"))
        c.ask("b")
        c.send("c\x1b\r")
        c.ask("d")
        assert c.texts()[0::2] == ["one\ntwo", "```c\nx;\n```", "a\nb", "c\nd"], c.texts()[0::2]


def shown_safely(text):
    """Takes off what the chat itself may send: styles, bracketed paste, erasing the progress line."""
    text = re.sub(rb"\x1b\[(0|1|2|0;1|0;2|0;36)?m|\x1b\[\?2004[hl]|\r\x1b\[K", b"", text).decode()
    bad = [c for c in text if (ord(c) < 32 and c not in "\r\n\t") or 0x7F <= ord(c) < 0xA0 or c in "\u061c\u200e\u200f\ufeff"
           or 0x202A <= ord(c) <= 0x202E or 0x2066 <= ord(c) <= 0x2069]
    return bad


def test_noise_cannot_touch_the_terminal():
    with Chat("--ignore-eos", "-n", "3000", "--temp", "1", "--top-k", "0", "--top-p", "1", "--seed", "3") as c:
        answer = c.ask("noise please").split(b"\r\n", 1)[1]
        assert b"^[" in answer and b"^G" in answer, "the noise has no control characters to show"
        assert shown_safely(answer) == [], shown_safely(answer)
        raw = c.texts()[1]
        assert "\x1b" in raw, "what is kept is what the model said"


def test_no_color():
    for more, env in ((("--color", "never"), {}), ((), {"NO_COLOR": "1"}), ((), {"TERM": "dumb"})):
        with Chat(*SHORT, *more, env=env) as c:
            text = c.greeting + c.ask("hello") + c.command("/tokens")
            assert not re.search(rb"\x1b\[[0-9;]*m", text), text


def test_commands():
    with Chat(*SHORT) as c:
        assert b"did you mean /regen?" in c.command("/regn")
        assert b"unknown command /frobnicate; /help lists them" in c.command("/frobnicate")
        listed = c.command("/help")
        for name in b"system regen undo edit save load tokens set help".split():
            assert b"/" + name in listed, name
        assert b"nothing to take back" in c.command("/undo")
        assert b"no message to answer" in c.command("/regen")
        c.command("/system be brief")
        assert b"be brief" in c.command("/system")
        assert b"0.9" in c.command("/set temperature 0.9")
        assert b"expected a whole number" in c.command("/set top_k many")
        assert b"did you mean" in c.command("/set temprature 1")
        first = c.ask("hello") and c.texts()
        c.send("/regen\r")
        c.until(FIGURES), c.until(PROMPT)
        second = c.texts()
        assert [len(first), len(second)] == [3, 3] and first[:2] == second[:2] == ["be brief", "hello"]
        assert first[2] != second[2], "another answer"
        c.ask("/usr/bin is a path")
        c.command("/clear")
        assert c.texts() == ["be brief"]


def test_edit():
    home = new_home()
    editor = home / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/wrong/right/ \"$1\"\n")
    editor.chmod(0o755)
    with Chat(*SHORT, home=home, env={"EDITOR": str(editor)}) as c:
        c.ask("this is wrong")
        c.send("/edit\r")
        c.until(FIGURES), c.until(PROMPT)
        texts = c.texts()
        assert len(texts) == 2 and texts[0] == "this is right", texts


def test_save_and_load():
    with Chat(*SHORT) as c:
        c.ask("first question")
        path = c.home / "talk.json"
        c.command(f"/save {path}")
        assert path.stat().st_mode & 0o777 == 0o600
        assert b"is there already" in c.command(f"/save {path}")
        before = c.texts()
        c.command("/clear")
        assert b"first question" in c.command(f"/load {path}")
        assert c.texts() == before
        (c.home / "broken.json").write_text('{"messages": 5}')
        assert b"no list \"messages\"" in c.command(f"/load {c.home}/broken.json")
        assert b"No such file" in c.command("/load nowhere.json")
        assert c.texts() == before, "a failed /load changes nothing"


def test_conversations_are_kept_and_continued():
    home = new_home()
    with Chat(*SHORT, home=home) as c:
        c.ask("first talk")
        c.command("/clear")
        c.ask("second talk")
        listed = c.command("/load")
        assert listed.index(b"second talk") < listed.index(b"first talk"), listed
        assert b"first talk" in c.command("/load 2")
        assert c.texts()[0] == "first talk"
        assert b"there is no conversation 9" in c.command("/load 9")
    assert len(kept(home)) == 2 and all(p.stat().st_mode & 0o777 == 0o600 for p in home.glob("conversations.*"))
    with Chat("--continue", *SHORT, home=home) as c:
        assert b"second talk" in c.greeting, c.greeting
        c.ask("more")
        assert c.texts()[0::2] == ["second talk", "more"]
    assert len(kept(home)) == 2 and "more" in kept(home)[0][1]
    with Chat("--no-save", *SHORT, home=home) as c:
        c.ask("secret")
    assert len(kept(home)) == 2
    assert "secret" not in (home / "chat_history").read_text()


def test_what_is_taken_back_stays_in_the_tree():
    home = new_home()
    editor = home / "editor"
    editor.write_text("#!/bin/sh\nsed -i s/wrong/right/ \"$1\"\n")
    editor.chmod(0o755)
    with Chat(*SHORT, home=home, env={"EDITOR": str(editor)}) as c:
        c.ask("one")
        first = c.texts()[1]
        c.send("/regen\r")
        c.until(FIGURES), c.until(PROMPT)
        again = c.texts()[1]
        c.ask("this is wrong")
        wrong = c.texts()[3]
        c.send("/edit\r")
        c.until(FIGURES), c.until(PROMPT)
        right = c.texts()[3]
        (leaf, parents), = kept(home)
        assert leaf == right and len(parents) == 7, parents
        assert parents[first] == parents[again] == "one" and parents["one"] is None
        assert parents["this is wrong"] == parents["this is right"] == again
        assert parents[wrong] == "this is wrong" and parents[right] == "this is right"
        c.command("/undo")
        (leaf, parents), = kept(home)
        assert leaf == again and len(parents) == 7
        c.command("/undo")
        assert kept(home)[0][0] is None
    with Chat("--continue", *SHORT, home=home) as c:
        assert c.texts() == []
        c.ask("anew")
        (_, parents), = kept(home)
        assert parents["anew"] is None and len(parents) == 9


def test_the_store_is_shared():
    home = new_home()
    with Chat(*SHORT, home=home) as c:
        c.command("/system be brief")
        c.ask("mine")
        with Chat("--continue", *SHORT, home=home) as other:
            assert b"mine" in other.greeting
            other.ask("yours")
        c.ask("and mine")                               # from where this chat is: another branch
        (leaf, parents), = kept(home)
        assert parents["yours"] == parents["and mine"] and leaf == c.texts()[-1]
        db = sqlite3.connect(home / "conversations.db")
        title, model, system, settings = db.execute("SELECT title, model, system, settings FROM talks").fetchone()
        assert (title, model, system) == ("mine", MODEL, "be brief") and json.loads(settings)["max_tokens"] == 20, settings
        assert [row[0] for row in db.execute("SELECT DISTINCT status FROM messages WHERE role = 'assistant'")] == ["length"]
        db.execute("PRAGMA foreign_keys = ON")
        db.execute("DELETE FROM talks")                 # as the page does
        db.commit()
        db.close()
        c.ask("last")
        assert c.texts()[1::2] == ["mine", "and mine", "last"]
        (leaf, parents), = kept(home)
        assert parents["and mine"] and leaf == c.texts()[-1], "it is kept again, whole"


def test_files_of_earlier_versions_are_taken_over():
    home = new_home()
    with Chat(*SHORT, home=home) as c:
        c.ask("from long ago")
        path = home / "talk.json"
        c.command(f"/save {path}")
    shutil.rmtree(home, ignore_errors=True)
    (home / "conversations").mkdir(parents=True)
    saved = {"model": MODEL, "few_shot": None, "settings": {"temperature": 0.5, "top_k": 7},
             "messages": [{"role": "user", "content": "from long ago"}, {"role": "assistant", "content": "yes"}]}
    (home / "conversations/2026-01-01-000000-1-0.json").write_text(json.dumps(saved))
    run = chat("-c", "-p", "go on", *ONCE, home=home, model=None)
    assert run.returncode == 0 and b"1 conversation of" in run.stderr and b"conversations.imported" in run.stderr, run
    (_, parents), = kept(home)
    assert parents["go on"] == "yes" and parents["yes"] == "from long ago"
    assert not (home / "conversations").exists() and len(list((home / "conversations.imported").iterdir())) == 1
    with Chat(*SHORT, home=home) as c:
        assert b"go on" in c.command("/load 1")
        assert b"7" in c.command("/set top_k")


def test_a_store_that_cannot_be_used():
    home = new_home()
    (home / "conversations.db").write_bytes(b"x" * 5000)
    run = chat("-p", "hello", *ONCE, home=home)
    assert run.returncode == 0 and run.stdout and b"is damaged" in run.stderr and b".recover" in run.stderr, run
    assert len(list(home.glob("conversations.db.damaged-*"))) == 1
    assert b"damaged" not in chat("-p", "hello", *ONCE, home=home).stderr and len(kept(home)) == 1
    db = sqlite3.connect(home / "conversations.db")
    db.execute("PRAGMA user_version = 7")
    db.close()
    run = chat("-p", "hello", *ONCE, home=home)
    assert run.returncode == 0 and run.stdout and b"newer starchat (format 7" in run.stderr and b"the chat goes on" in run.stderr, run
    run = chat("-c", "-p", "hello", *ONCE, home=home)
    assert run.returncode == 1 and b"newer starchat" in run.stderr and run.stderr.count(b"\n") == 1, run
    run = chat("-p", "hello", *ONCE, home=pathlib.Path("/proc/nowhere"))
    assert run.returncode == 0 and run.stdout and b"STARCHAT_HOME" in run.stderr, run


def test_history():
    home = new_home()
    with Chat(*SHORT, home=home) as c:
        c.ask("remember me")
        c.send(b"\x04")
        c.ended()
    assert (home / "chat_history").stat().st_mode & 0o777 == 0o600
    with Chat(*SHORT, home=home) as c:
        c.send(b"\x1b[A")
        c.until(re.compile(b"remember me"))
        c.send("\r")
        c.until(FIGURES)


def test_overflow_loses_nothing():
    with Chat("--ignore-eos", "-n", "10", "--context", "200") as c:
        c.ask("short")
        before = c.texts()
        c.send("long " * 40 + "\r")
        refused = c.until(PROMPT)
        assert re.search(rb"has \d+ tokens, and the context of 200 leaves no room", refused), refused
        assert b"/undo" in refused and b"--context" in refused
        assert c.texts() == before
        c.ask("go on")
        assert c.texts()[2] == "go on"


def test_few_shot_prefix_is_read_once():
    with Chat("--few-shot", str(SCRATCH / "few.txt"), "--ignore-eos", "-n", "30", "--seed", "2", template=False) as c:
        c.ask("first")
        c.ask("second")
        figures = c.command("/tokens")
        prefix = int(re.search(rb"few-shot prompt  (\d+) tokens", figures).group(1))
        prompt, reused = map(int, re.search(rb"last prompt      (\d+) tokens, (\d+) of them reused", figures).groups())
        assert prefix > 100 and prompt > reused >= prefix + len("\n\nHuman: first"), figures   # one byte is one token
        assert b"--few-shot" in c.command("/system be brief")


def test_typed_ahead():
    with Chat("--ignore-eos", "-n", "1500", "--seed", "7") as c:
        c.send("one\r")
        c.until(re.compile(rb"one\r\n.{50}", re.S))
        c.send("two\r")
        c.until(FIGURES)
        c.until(re.compile(b"two"))
        c.until(FIGURES)
        c.until(PROMPT)
        assert c.texts()[0::2] == ["one", "two"]


# ---- a script --------------------------------------------------------------------------------------------------------------


def chat(*args, stdin=b"", home=None, model=MODEL, template=True):
    line = [PROGRAM, "chat"] + ([model] if model else []) + list(args) + (["--template", "chatml"] if template else [])
    return subprocess.run(line, input=stdin, capture_output=True, env=environment(home or new_home()), timeout=WAIT)


ONCE = ("--temp", "0", "-n", "20", "--ignore-eos")


def test_one_shot_prints_the_answer_only():
    a = chat("-p", "hello", *ONCE, "--json")
    record = json.loads(a.stdout)
    assert record["tokens"] == 20 and record["stop"] == "length", record
    b = chat("-p", "hello", *ONCE)
    assert b.returncode == 0 and b.stdout.decode() == record["text"] + "\n", (b.stdout, record["text"])
    assert b"cut after 20 tokens" in b.stderr
    assert chat("-p", "hello", *ONCE, "-q").stderr == b""


def test_pipes():
    both = chat("-p", "review this", *ONCE, stdin=b"-a\n+b\n")
    typed = chat("-p", "review this\n\n```\n-a\n+b\n```", *ONCE)
    assert both.returncode == 0 and both.stdout == typed.stdout
    alone = chat(*ONCE, stdin=b"\n hello \n")
    assert alone.returncode == 0 and alone.stdout == chat("-p", "hello", *ONCE).stdout
    assert chat("-p", "x \xff".encode("utf-8", "surrogateescape"), *ONCE, stdin=b"\xff\x00\xfe").returncode == 0


def test_continues_a_one_shot():
    home = new_home()
    chat("-p", "one", *ONCE, home=home)
    chat("-c", "-p", "two", *ONCE, home=home, model=None)
    (_, parents), = kept(home)
    assert parents["one"] is None and parents[parents["two"]] == "one", parents
    none = chat("-c", "-p", "two", *ONCE)
    assert none.returncode == 1 and b"no conversation to continue" in none.stderr


def test_prompts_are_kept_for_the_next_start():
    home = new_home()
    cached = home / "prompt-cache"
    few = SCRATCH / "long.txt"
    few.write_text(FEW_SHOT.replace("Two.", "Two, if nobody changes what one is. " * 20))
    few_shot = ("--few-shot", str(few), "--prompt-cache-seconds", "0", "--ignore-eos", "-n", "20", "--seed", "4", "--json")

    def answer(*more):
        run = chat(*few_shot, "-p", "first", *more, home=home, template=False)
        assert run.returncode == 0, run
        return json.loads(run.stdout)
    without = answer("--no-save")
    assert not cached.exists() and without["reused_tokens"] == 0
    assert answer("--no-prompt-cache")["text"] == without["text"] and not cached.exists()
    first, second, third = answer(), answer(), answer("--no-prompt-cache")
    assert first["reused_tokens"] == third["reused_tokens"] == 0 and second["reused_tokens"] > first["prompt_tokens"] - 33 > 500, (first, second)
    assert first["text"] == second["text"] == third["text"] == without["text"]
    assert cached.stat().st_mode & 0o777 == 0o700 and all(f.stat().st_mode & 0o777 == 0o600 for f in cached.iterdir())

    # What is damaged is told with --verbose, and read again.
    for f in cached.iterdir():
        f.write_bytes(f.read_bytes()[:-1] + b"!")
    run = chat(*few_shot, "-p", "first", "--verbose", home=home, template=False)
    assert json.loads(run.stdout)["text"] == first["text"] and b"prompt cache is removed: its checksum is wrong" in run.stderr, run

    # Read ahead of the first message, and found by the next start though nothing was ever asked.
    shutil.rmtree(cached)
    with Chat("--few-shot", str(few), "--prompt-cache-seconds", "0", home=home, template=False) as c:
        deadline = time.monotonic() + WAIT
        # One file for each 32 positions, and leaving the block kills the program: those asked for below have to be there.
        while not (cached.exists() and len(list(cached.glob("*.kv"))) > 500 // 32) and time.monotonic() < deadline:
            time.sleep(0.05)
    assert answer()["reused_tokens"] > 500

    # A long prompt of `complete`, which shows and clears the cache too.
    line = [PROGRAM, "complete", MODEL, "-p", "a long beginning " * 40, "-n", "10", "--json", "--prompt-cache-seconds", "0"]
    runs = [json.loads(subprocess.run(line, env=environment(home), capture_output=True, check=True).stdout) for _ in range(2)]
    assert runs[0]["text"] == runs[1]["text"] and (runs[0]["reused_tokens"], runs[1]["reused_tokens"]) == (0, runs[0]["prompt_tokens"] // 32 * 32), runs

    def cache(*more):
        return subprocess.run([PROGRAM, "cache", *more], env=environment(home), capture_output=True, check=True).stdout
    assert json.loads(cache("--json"))["files"] == len(list(cached.glob("*.kv"))) > 30
    assert str(cached).encode() in cache()
    cache("--clear")
    assert json.loads(cache("--json"))["bytes"] == 0 and not cached.exists()


def test_mistakes():
    rows = [
        (chat(*ONCE), 2, b"the message is empty"),
        (chat("-p", "hi", model="nosuch"), 1, b"`starchat pull"),
        (chat("-p", "hi", model=None), 1, b"`starchat pull smollm2:135m-instruct`"),
        (chat("-p", "hi", template=False), 1, b"has no chat template"),
        (chat("-p", "hi " * 50, "--context", "100"), 1, b"tokens, and the context of 100 leaves no room"),
        (chat("-p", "hi", "--few-shot", "/nowhere", template=False), 1, b"/nowhere"),
        (chat("-p", "hi", "--few-shot", "ta", "--system", "x", template=False), 2, b"--system"),
        (chat("-p", "hi", "--tempp", "0"), 2, b"did you mean"),
    ]
    for run, code, part in rows:
        assert run.returncode == code and part in run.stderr and run.stderr.count(b"\n") == 1 and run.stdout == b"", run


def test_built_in_few_shot_prompt():
    run = chat("-p", "hi", "--few-shot", "ta", "--context", "12000", "-n", "5", "--ignore-eos", "--json", template=False)
    size = (ROOT / "prompts/TA_prompt_v1.txt").stat().st_size
    assert run.returncode == 0 and json.loads(run.stdout)["prompt_tokens"] >= size - 300, run   # line ends and letters may merge


# ---- the real small model, where it is ---------------------------------------------------------------------------------------


class Skipped(Exception):
    pass


def real_model():
    if os.environ.get("STARCHAT_SMOLLM2"):
        return pathlib.Path(os.environ["STARCHAT_SMOLLM2"])
    shown = subprocess.run([PROGRAM, "show", "smollm2:135m-instruct", "--json"], capture_output=True)
    if shown.returncode != 0:
        raise Skipped("SmolLM2 is not here; run build/starchat pull smollm2:135m-instruct")
    return pathlib.Path(json.loads(shown.stdout)["path"])


def measured(*args):
    """Peak memory in bytes, seconds in all, and the record of one answer."""
    begin = time.monotonic()
    run = subprocess.Popen([PROGRAM, "chat", *args, "--json", "-q"], stdout=subprocess.PIPE, stdin=subprocess.DEVNULL, env=environment(new_home()))
    record = json.loads(run.stdout.read())
    run.stdout.close()
    _, status, usage = os.wait4(run.pid, 0)
    run.returncode = os.waitstatus_to_exitcode(status)
    assert run.returncode == 0
    return usage.ru_maxrss * 1024, time.monotonic() - begin, record


def test_memory_and_start():
    if os.environ.get("STARCHAT_SANITIZED"):
        raise Skipped("a sanitizer takes memory and time of its own")
    model = real_model()
    size = model.stat().st_size
    cache_of_token = 2 * 30 * 3 * 64 * 2                # keys and values, layers, heads, width, f16
    for prompt in ("hi", "Explain this. " * 200):
        peak, _, record = measured(str(model), "-p", prompt, "-n", "30", "--ignore-eos")
        cache = (record["prompt_tokens"] + record["tokens"]) * cache_of_token
        print(f"       {record['prompt_tokens']} tokens: peak {peak / 1e6:.1f} MB, of which model {size / 1e6:.1f} and cache {cache / 1e6:.1f}")
        assert peak <= 1.3 * size + cache, (peak, size, cache)
    seconds = min(measured(str(model), "-p", "hi", "-n", "1")[1] for _ in range(3))
    print(f"       first token after {seconds:.2f} s")
    assert seconds < 1


def main():
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    try:
        make_model()
        for name, run in tests:
            try:
                run()
                print("ok    ", name)
            except Skipped as reason:
                print(f"skipped: {name}: {reason}")
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(limit=3, file=sys.stdout)
    finally:
        shutil.rmtree(SCRATCH)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed > 0 or not tests


if __name__ == "__main__":
    sys.exit(main())
