"""`starchat judge prompts`: prompts that a model writes, by way of a server made here that answers well, badly and twice the same; and the review of them on a terminal. Standard library only.

Run: python3 tests/cli/test_judge_prompts.py [PROGRAM] [NAME...]       Last line: "N passed, N failed"
"""
import http.server
import json
import os
import pathlib
import pty
import select
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
READY = ROOT / "data/judge/prompts-115.jsonl"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-prompts-"))
TOPICS = ["tides", "bees", "glaciers", "violins", "comets", "bridges", "recipes", "trams", "libraries", "orchids", "volcanoes", "chess", "whales", "kites", "lighthouses", "marathons", "puppets", "satellites", "teapots", "umbrellas"]


class Writer:
    """A server of chat completions. answers(n, wants_code) gives the text of call n."""

    def __init__(self, answers):
        self.requests = []
        self.lock = threading.Lock()
        outer = self

        class Handler(http.server.BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def log_message(self, *args):
                pass

            def do_POST(self):
                request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                with outer.lock:
                    n = len(outer.requests)
                    outer.requests.append(request)
                text = answers(n, "real mistake" in request["messages"][-1]["content"])
                body = json.dumps({"choices": [{"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}], "usage": {"prompt_tokens": 10, "completion_tokens": 10}}).encode()
                self.send_response(200)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.spec = f"http://127.0.0.1:{self.server.server_address[1]}/v1#writer"

    def close(self):
        self.server.shutdown()
        self.server.server_close()


def good(n, wants_code):
    topic = TOPICS[n % len(TOPICS)]
    if wants_code:
        return json.dumps({"prompt": f"My Python function about {topic} number {n} gives a wrong result. What is wrong with it?\n\n```python\ndef {topic}(x):\n    total = {n}\n    for {topic[0]} in x:\n        return total\n```"})
    return json.dumps({"prompt": f"Write a Python program that draws {topic} as a chart of {n + 3} colours, sorted by the year in which somebody first wrote about {topic} in a newspaper of the town."})


def run(*args, ok=True, **how):
    env = {k: v for k, v in os.environ.items() if k not in ("XDG_DATA_HOME", "OPENAI_API_KEY", "STARCHAT_JUDGE_KEY")}
    env.update(STARCHAT_HOME=str(SCRATCH / "home"), HOME=str(SCRATCH), LC_ALL="C.UTF-8", HF_HUB_OFFLINE="1", **how.pop("env", {}))
    done = subprocess.run([PROGRAM, "judge", "prompts", *map(str, args)], capture_output=True, text=True, env=env, timeout=240, **how)
    assert (done.returncode == 0) == ok, (done.returncode, done.stdout, done.stderr)
    return done


def rows(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text().rstrip("\n").split("\n")]


# ---- tests ---------------------------------------------------------------------------------------------------------------------------------

def test_a_model_writes_more():
    def answers(n, wants_code):
        if n % 5 == 1:
            return "Here you are: " + good(n, wants_code)[:-4]                      # torn
        if n % 5 == 2:
            return "Of course!\n```json\n" + good(n, wants_code) + "\n```\nI hope this helps."
        if n % 5 == 3:
            return good(0, wants_code)                                              # as before
        return good(n, wants_code)
    w = Writer(answers)
    out = SCRATCH / "more.jsonl"
    summary = json.loads(run("--write", 12, "--model", w.spec, "--out", out, "--seed", 3, "--json", "--parallel", 1).stdout)
    w.close()
    all_rows = rows(out)
    new = [r for r in all_rows if r.get("review") == "pending"]
    assert len(all_rows) == 127 and len(new) == 12 == summary["pending"] == summary["written"], summary
    assert sum(r["slice"] == "feedback" for r in new) == 3 and summary["feedback"] == 32
    assert summary["invalid"] > 0 and summary["duplicate"] + summary["near_duplicate"] > 0, summary
    assert len({r["id"] for r in all_rows}) == 127 and len({r["prompt"] for r in all_rows}) == 127
    assert all(r["source"] == "written by writer" and r["licence"] == "unknown" and r["language"] == "python" for r in new), new[0]
    asked = w.requests[0]["messages"][-1]["content"]
    assert asked.count('{"prompt": ') == 5 and sum(json.dumps(r["prompt"], ensure_ascii=False)[1:60] in asked for r in rows(READY)) == 4, asked
    assert not (SCRATCH / "more.jsonl.writing").exists()


def test_one_budget_for_all_rounds():
    w = Writer(lambda n, wants_code: "No." if n % 2 else good(n, wants_code))
    args = ("--write", 8, "--feedback", 0, "--count", 20, "--model", w.spec, "--parallel", 1, "--cache", SCRATCH / "rounds.sqlite", "--price-in", 1000, "--price-out", 1000)
    done = run(*args, "--out", SCRATCH / "rounds.jsonl", "--most-calls", 11, ok=False)
    assert len(w.requests) == 11 and "the budget ended it: 6 of 8 prompts are written" in done.stderr, (len(w.requests), done.stderr)
    assert "11 answers of servers" in done.stderr and "cost 0.2200" in done.stderr and not (SCRATCH / "rounds.jsonl").exists(), done.stderr
    summary = json.loads(run(*args, "--out", SCRATCH / "rounds.jsonl", "--json").stdout)
    w.close()
    asked = [json.dumps(r) for r in w.requests]
    assert len(set(asked)) == len(asked) and summary["cached"] == 11 and summary["calls"] == len(asked) - 11 and summary["written"] == 8, (len(asked), summary)


def test_a_model_that_cannot():
    w = Writer(lambda n, wants_code: "I am sorry, I cannot." if n % 2 else '{"prompt": 7}')
    done = run("--write", 4, "--model", w.spec, "--out", SCRATCH / "none.jsonl", ok=False)
    w.close()
    assert "wrote 0 of 4 prompts in 4 rounds: 16 answers held none of the kind" in done.stderr, done.stderr
    assert not (SCRATCH / "none.jsonl").exists()


def test_written_prompts_are_kept_off_training_data():
    w = Writer(good)
    train = SCRATCH / "train.jsonl"
    train.write_text("".join(json.dumps({"messages": [{"role": "user", "content": json.loads(good(n, False))["prompt"]}, {"role": "assistant", "content": "No."}]}) + "\n" for n in range(3)))
    summary = json.loads(run("--write", 4, "--feedback", 0, "--count", 20, "--model", w.spec, "--against", train, "--out", SCRATCH / "clean.jsonl", "--json", "--parallel", 1).stdout)
    w.close()
    assert summary["overlap"] == 3 and summary["written"] == 4, summary


def test_the_set_holds_nothing_that_was_trained_on():
    train = SCRATCH / "all.jsonl"
    train.write_text("".join(json.dumps({"instruction": r["prompt"], "input": "", "output": "x"}) + "\n" for r in rows(READY)[:2]))
    done = run("--against", train, "--out", SCRATCH / "a.jsonl", ok=False)
    assert "there are 84 instructions and 29 questions" in done.stderr, done.stderr
    summary = json.loads(run("--against", train, "--count", 100, "--out", SCRATCH / "a.jsonl", "--json").stdout)
    assert summary["overlap"] == 2 and summary["feedback"] == 25


def pending_file(n=4):
    path = SCRATCH / "pending.jsonl"
    path.write_text("".join(json.dumps({"id": f"p{i}", "slice": "instruction", "language": "python", "prompt": f"Prompt {i} \u202e é", **({"review": "pending"} if i else {})}) + "\n" for i in range(n + 1)))
    return path


def on_terminal(args, keys, env=None):
    """What the program shows on a terminal where these keys are pressed, each after the next question."""
    pid, fd = pty.fork()
    if pid == 0:
        os.environ.update(STARCHAT_HOME=str(SCRATCH / "home"), HOME=str(SCRATCH), LC_ALL="C.UTF-8", TERM="dumb", **(env or {}))
        os.execv(PROGRAM, [PROGRAM, "judge", "prompts", *map(str, args)])
    shown, asked, end = b"", 0, time.monotonic() + 60
    while time.monotonic() < end:
        ready, _, _ = select.select([fd], [], [], 0.2)
        if ready:
            try:
                data = os.read(fd, 65536)
            except OSError:
                break
            if not data:
                break
            shown += data
        while shown.count(b"[q] stop: ") > asked and asked < len(keys):
            os.write(fd, keys[asked].encode())
            asked += 1
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown.decode()


def test_review_on_a_terminal():
    path = pending_file()
    editor = SCRATCH / "editor.sh"
    editor.write_text("#!/bin/sh\nprintf 'Changed by hand\\n' > \"$1\"\n")
    editor.chmod(0o755)
    code, shown = on_terminal(["--review", path], ["y", "?", "n", "e", "q"], {"EDITOR": str(editor), "VISUAL": ""})
    assert code == 0 and "2 taken, 1 rejected, 1 wait still" in shown, shown
    assert "-- 1 of 4: p1, instruction, python --" in shown and "\u202e" not in shown and "Prompt 0" not in shown
    found = rows(path)
    assert [r.get("review") for r in found] == [None, "accepted", "rejected", "accepted", "pending"]
    assert found[3]["prompt"] == "Changed by hand" and found[1]["prompt"] == "Prompt 1 \u202e é"
    code, shown = on_terminal(["--review", path], ["s"])
    assert code == 0 and "0 taken, 0 rejected, 1 wait still" in shown and [r.get("review") for r in rows(path)][4] == "pending"


def test_review_by_keys_from_a_pipe():
    path = pending_file()
    assert run("--review", path, input="yn").stdout.endswith("1 taken, 1 rejected, 2 wait still\n")
    assert [r.get("review") for r in rows(path)] == [None, "accepted", "rejected", "pending", "pending"]
    assert json.loads(run("--review", path, "--accept-all", "--json").stdout) == {"accepted": 2, "rejected": 0, "pending": 0}


def test_prompts_that_wait_are_not_asked():
    w = Writer(lambda n, wants_code: "An answer.")
    path, out = pending_file(), SCRATCH / "answers.jsonl"
    run("--review", path, input="n")
    env = {**os.environ, "STARCHAT_HOME": str(SCRATCH / "home"), "HOME": str(SCRATCH)}
    done = subprocess.run([PROGRAM, "judge", "answers", w.spec, "--prompts", str(path), "--out", str(out)], capture_output=True, text=True, env=env, timeout=60)
    w.close()
    assert done.returncode == 0 and [r["id"] for r in rows(out)] == ["p0"], done.stderr


def main():
    wanted, passed, failed = sys.argv[2:], 0, 0
    for name, check in list(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted):
            continue
        try:
            check()
            passed += 1
            print("ok    ", name)
        except Exception:
            failed += 1
            print("FAILED", name)
            traceback.print_exc(limit=3, file=sys.stdout)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 0 if passed and not failed else 1


if __name__ == "__main__":
    sys.exit(main())
