"""How `starchat judge` ends early and goes on: Ctrl-C, refusals, failures and budgets; what is paid for nothing; what is taken over. With the stub of tests/judge/stub.py and helpers of test_judge.py.
Standard library only.

Run: python3 tests/cli/test_judge_ends.py build/starchat [NAME...]       Last line: "N passed, N failed"
"""
import contextlib
import json
import signal
import sqlite3
import subprocess
import sys
import time
import traceback

import test_judge as base
from test_judge import HURRIED, PROGRAM, SCRATCH, environment, judge, lines, place, planted, run_args, stub

TOO_LONG = (400, b'{"error":{"message":"the prompt is too long"}}')


def is_about(request, *topics):
    text = request["messages"][-1]["content"]
    return any(f"program topic{t}." in text for t in topics)


def totals(d):
    return json.loads((d / "out/run.json").read_text())["totals"]


def check_concluded(d, p, code, why):
    """Half a run tells what it knows, and all the same that it ended."""
    t = totals(d)
    rows = lines(d / "out/judgements.jsonl")
    assert p.returncode == code and t["why"] == why and t["last_failure"] in p.stderr, (p.returncode, t, p.stderr)
    assert t["questions"] == 72 and t["answers_left"] == 0 and 0 < t["questions_left"] == t["left"] == 72 - len(rows) and t["calls"] == len(rows), (t, len(rows))
    assert (d / "out/report.html").stat().st_size > 1000 and json.loads((d / "out/audit.json").read_text())["judges"][0]["judge"] == "honest" and (d / "out/verdict.json").exists()
    assert f"of {len(rows)} of 72 questions so far:" in p.stdout and "judge honest: " in p.stdout and f"{72 - len(rows)} questions are left" in p.stderr, (p.stdout, p.stderr)


def check_goes_on(d, s):
    s.refuse = None
    judge(*run_args(d, s.spec("honest")))
    rows = lines(d / "out/judgements.jsonl")
    assert len(rows) == 72 == len({r["key"] for r in rows}) and set(s.answered.values()) == {1} and totals(d)["left"] == 0, totals(d)


def test_ctrl_c_concludes():
    d = place("interrupted")
    planted(d, 20)
    with stub.Stub() as s:
        s.refuse = lambda r: time.sleep(1.0) if len(s.answered) >= 44 else None       # slow from here on
        p = subprocess.Popen([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest")))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        end = time.monotonic() + 60
        while len(s.answered) < 44 and time.monotonic() < end:
            time.sleep(0.01)
        p.send_signal(signal.SIGINT)
        p.stdout, p.stderr = p.communicate(timeout=60)
        check_concluded(d, p, 130, "stopped")
        check_goes_on(d, s)
    with stub.Stub() as s:                                        # while an assistant still answers
        s.refuse = lambda r: time.sleep(0.5) if len(s.answered) >= 5 else None
        p = subprocess.Popen([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest"), "--tuned", s.spec("talker"), "--canaries", 0, "--parallel", 2, out="answers"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
        end = time.monotonic() + 60
        while len(s.answered) < 5 and time.monotonic() < end:
            time.sleep(0.01)
        p.send_signal(signal.SIGINT)
        out, err = p.communicate(timeout=60)
        t = json.loads((d / "answers/run.json").read_text())["totals"]
        assert p.returncode == 130 and 0 < t["answers_left"] < 20 and t["questions"] == 0 and f"{t['answers_left']} answers, and then all questions to the judges, are left" in err, (t, err)


def test_a_refusal_concludes():
    d = place("refused")
    planted(d, 20)
    with stub.Stub() as s:
        s.refuse = lambda r: (401, b"{}") if len(s.answered) >= 44 else None
        p = subprocess.run([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest")))], capture_output=True, text=True, env=environment(), timeout=120)
        check_concluded(d, p, 1, "failed")
        check_goes_on(d, s)


def test_five_failures_conclude():
    d = place("five")
    planted(d, 20)
    with stub.Stub() as s:
        s.refuse = lambda r: (500, b"{}") if len(s.answered) >= 44 else None
        p = subprocess.run([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest"), *HURRIED, "--tries", 2))], capture_output=True, text=True, env=environment(), timeout=120)
        check_concluded(d, p, 1, "failed")
        check_goes_on(d, s)


# ---- one question that is refused ----------------------------------------------------------------------------------------------------------------

def test_one_question_that_is_refused():
    d = place("one-refused")
    planted(d, 20)
    with stub.Stub() as s:
        s.refuse = lambda r: TOO_LONG if is_about(r, 3) else None
        p = judge(*run_args(d, s.spec("honest"), "--canaries", 0))
        rows = lines(d / "out/judgements.jsonl")
        refused = [r for r in rows if r.get("refused")]
        assert len(rows) == 40 and len(refused) == 2 and all(r["id"] == "p3" and "the prompt is too long" in r["error"] for r in refused), refused
        assert "2 questions were refused for good" in p.stderr and "the prompt is too long" in p.stderr and totals(d)["questions_refused"] == 2, p.stderr
        n = len(s.seen)
        assert n == 40
        judge(*run_args(d, s.spec("honest"), "--canaries", 0))
        assert len(s.seen) == n and totals(d)["questions_refused"] == 2          # its own failure: not asked again
        s.refuse = None
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--overwrite"))
        assert len(s.seen) == n + 2 and totals(d)["questions_refused"] == 0      # the others come from the cache


def test_many_refused_in_a_row():
    d = place("row")
    planted(d, 20)
    with stub.Stub() as s:
        s.refuse = lambda r: TOO_LONG if is_about(r, *range(8, 16)) else None
        args = run_args(d, s.spec("honest"), "--canaries", 0, "--parallel", 1)
        p = judge(*args, good=False)
        assert "5 requests in a row were refused, the last: " in p.stderr and "the prompt is too long" in p.stderr and len(s.seen) == 21, (p.stderr, len(s.seen))
        for start in range(5):                                    # each start comes further
            p = subprocess.run([PROGRAM, "judge", *map(str, args)], capture_output=True, text=True, env=environment(), timeout=120)
            if p.returncode == 0:
                break
        assert p.returncode == 0 and start == 2 and len(s.seen) == 40 and totals(d)["questions_refused"] == 16, (start, len(s.seen), p.stderr)
    with stub.Stub() as s:                                        # nothing was answered: that is not the questions' fault
        s.fixed = TOO_LONG
        for more in ((), ("--limit", 1)):
            p = judge(*run_args(d, s.spec("honest"), "--canaries", 0, *more, out="none"), good=False)
            assert "the prompt is too long" in p.stderr and not (d / "none/judgements.jsonl").read_bytes(), p.stderr


def test_refused_prompts_of_an_assistant():
    d = place("refused-answers")
    planted(d, 8)
    args = ["answers", "--prompts", d / "p.jsonl", "--out", d / "t.jsonl", "--cache", d / "c.sqlite"]
    with stub.Stub() as s:
        s.refuse = lambda r: TOO_LONG if r["model"] == "talker" and "topic5" in r["messages"][-1]["content"] else None
        p = judge(*args, s.spec("talker"))
        rows = lines(d / "t.jsonl")
        assert len(rows) == 8 and [r["id"] for r in rows if "refused" in r] == ["p5"] and "1 prompt was refused for good" in p.stderr, p.stderr
        n = len(s.seen)
        judge(*args, s.spec("talker"))
        assert len(s.seen) == n and lines(d / "t.jsonl") == rows
        for tuned, out in ((d / "t.jsonl", "by-file"), (s.spec("talker"), "by-server")):
            p = judge(*run_args(d, s.spec("honest"), "--tuned", tuned, "--canaries", 0, out=out))
            got = lines(d / out / "judgements.jsonl")
            assert len(got) == 14 and "p5" not in {r["id"] for r in got} and "1 answer of an assistant was refused" in p.stderr, (len(got), p.stderr)
        n = len(s.seen)
        judge(*run_args(d, s.spec("honest"), "--tuned", s.spec("talker"), "--canaries", 0, out="by-server"))
        assert len(s.seen) == n


# ---- what is paid --------------------------------------------------------------------------------------------------------------------------------

def test_useless_answers_are_paid():
    d = place("useless")
    planted(d, 6)
    prices = ("--price-in", 100, "--price-out", 1000)
    with stub.Stub(faults=("no-choices", "wrong-json", "half"), share=1.0) as s:
        p = judge(*run_args(d, s.spec("honest"), *HURRIED, *prices, "--parallel", 1, "--most-calls", 6), good=False)
        t = totals(d)
        assert len(s.seen) == 6 == t["calls"] == t["unusable"] and t["why"] == "budget" and t["cost"] > 0 and t["tokens_in"] > 6 * 100, (len(s.seen), t)
        assert "the budget ended it" in p.stderr and "6 of them of no use" in p.stderr, p.stderr
        judge(*run_args(d, s.spec("honest"), *HURRIED, *prices, "--parallel", 4, "--most-cost", 2.5, "--tries", 100), good=False)
        t = totals(d)
        assert 0 < t["cost"] <= 2.5 and t["why"] == "budget" and t["calls"] == t["unusable"] > 0, t
    with stub.Stub(delay=1.2) as s:                               # what comes too late may have been written to its end
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--limit", 1, "--request-seconds", 0.3, "--tries", 2, "--retry-seconds", 0.01, out="late"), good=False)
        t = json.loads((d / "late/run.json").read_text())["totals"]
        assert t["calls"] == t["unusable"] == 4 and t["tokens_out"] == 4 * 1024, t


def test_a_dry_run_reckons_with_second_askings():
    d = place("dry")
    planted(d, 6)
    with stub.Stub() as s:
        def dry(*more):
            return json.loads(judge(*run_args(d, s.spec("mute"), "--canaries", 0, "--dry-run", "--json", *more)).stdout)
        first = dry()
        assert first["calls"] == 24 and first["again"] == 12 and not s.seen, first
        assert dry("--omit", "seed")["calls"] == 12               # the same text again: the cache has it
        assert "12 of these ask a second time" in judge(*run_args(d, s.spec("mute"), "--canaries", 0, "--dry-run")).stdout
        judge(*run_args(d, s.spec("mute"), "--canaries", 0))
        assert len(s.seen) == 24 and dry()["calls"] == 0
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, out="other"))
        known = json.loads(judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--dry-run", "--json")).stdout)
        assert known["calls"] == 0 and known["cached"] == 12, known     # a verdict that is known is not asked for again


def test_retries_are_told_once_a_burst():
    d = place("burst")
    planted(d, 6)
    with stub.Stub(faults=("503",), share=1.0) as s:
        p = judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--tries", 2, "--retry-seconds", 4), good=False)
        assert len(s.seen) >= 13 and p.stderr.count("trying again in") == 1, p.stderr


def test_answers_and_questions_that_are_left():
    d = place("left")
    planted(d, 6)
    with stub.Stub() as s:
        p = judge(*run_args(d, s.spec("honest"), "--tuned", s.spec("talker"), "--most-calls", 4), good=False)
        t = totals(d)
        assert "the budget ended it: 2 answers, and then all questions to the judges, are left (prompts p" in p.stderr and t["answers_left"] == 2 and t["questions_left"] == 0, p.stderr
        p = judge(*run_args(d, s.spec("honest"), "--tuned", s.spec("talker"), "--canaries", 0, "--most-calls", 5, out="second"), good=False)
        assert "the budget ended it: 9 questions are left" in p.stderr, p.stderr


# ---- what is taken over --------------------------------------------------------------------------------------------------------------------------

def test_answers_that_are_there_are_taken_over():
    d = place("taken")
    planted(d, 10)
    args = ["answers", "--prompts", d / "p.jsonl", "--out", d / "t.jsonl", "--cache", ":memory:"]
    with stub.Stub() as s:
        judge(*args, s.spec("talker"), "--limit", 6)
        judge(*args, s.spec("talker"))
        whole = (d / "t.jsonl").read_bytes()
        assert len(s.seen) == 10 == len(whole.splitlines())      # four more
        p = judge(*args, s.spec("talker"), "--limit", 3)
        assert len(s.seen) == 10 and "3 of 3 prompts answered" in p.stdout and sorted((d / "t.jsonl").read_bytes().splitlines()) == sorted(whole.splitlines()), p.stdout
        assert json.loads(judge(*args, s.spec("talker"), "--dry-run", "--json").stdout)["calls"] == 0
        p = judge(*args, s.spec("talker"), "--seed", 7, good=False)
        assert "with other settings: seed is 1234 there and 7 here" in p.stderr, p.stderr
        (d / "old.jsonl").write_text("".join(json.dumps({**r, "settings": {k: v for k, v in r["settings"].items() if k != "prompt_sha256"}}) + "\n" for r in lines(d / "t.jsonl")))
        assert "does not tell to which prompt called p0 it has an answer" in judge(*args, s.spec("talker"), "--out", d / "old.jsonl", good=False).stderr
        assert "has answers of talker, not of talker-leaks" in judge(*args, s.spec("talker-leaks"), good=False).stderr
        (d / "p.jsonl").write_text((d / "p.jsonl").read_text().replace("topic2.", "topic22."))
        assert "answers another prompt that was called p2 too" in judge(*args, s.spec("talker"), good=False).stderr
        assert len(s.seen) == 10 and len(lines(d / "t.jsonl")) == 10
        judge(*args, s.spec("talker"), "--overwrite", "--limit", 3)
        assert len(s.seen) == 13 and len(lines(d / "t.jsonl")) == 3


def test_examples_are_settings():
    d = place("examples")
    planted(d, 2)
    few = d / "few.txt"
    few.write_text("A talk.\n\nHuman: hello\n\nAssistant: good day\n\n-----")
    common = ["--prompts", d / "p.jsonl", "--cache", d / "c.sqlite", "--max-new-tokens", 4, "--threads", 1, "--few-shot", few, "--limit", 1]
    with stub.Stub() as s:
        run = ["run", *common, "--base", base.MODEL, "--tuned", d / "b.jsonl", "--judge", s.spec("honest"), "--canaries", 0, "--out", d / "out"]
        answers = ["answers", base.MODEL, *common, "--out", d / "t.jsonl"]
        judge(*run)
        judge(*answers)
        few.write_text("A talk.\n\nHuman: hello\n\nAssistant: good evening\n\n-----")
        assert "is another run: examples_sha256 is" in judge(*run, good=False).stderr
        assert "with other settings: examples_sha256 is" in judge(*answers, good=False).stderr


def test_the_database_of_another_program_is_left_alone():
    d = place("foreign")
    planted(d, 2)
    with contextlib.closing(sqlite3.connect(d / "cache.sqlite")) as db:
        db.execute("CREATE TABLE notes(text)")
        db.commit()
    was = (d / "cache.sqlite").read_bytes()
    p = judge(*run_args(d, "http://127.0.0.1:9/v1#m"), good=False)
    assert "is a database of another program; name another with --cache" in p.stderr and (d / "cache.sqlite").read_bytes() == was, p.stderr
    assert not (d / "cache.sqlite.lock").exists()


def main():
    base.MODEL = base.served.make_model(PROGRAM, SCRATCH, "tiny")
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or not callable(test) or (len(sys.argv) > 2 and not any(word in name for word in sys.argv[2:])):
            continue
        begin = time.monotonic()
        try:
            test()
            passed += 1
            print(f"ok     {name[5:]}  {time.monotonic() - begin:.1f} s")
        except Exception:                                        # noqa: BLE001
            failed += 1
            print(f"FAILED {name[5:]}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return failed != 0


if __name__ == "__main__":
    sys.exit(main())
