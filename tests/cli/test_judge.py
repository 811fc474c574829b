"""`starchat judge run` and `judge answers` against a judge with planted faults and a server that fails on purpose (tests/judge/stub.py), and with tiny random models.
Standard library only.

Run: python3 tests/cli/test_judge.py build/starchat       Last line: "N passed, N failed"
STARCHAT_JUDGE_RUNS=100: repetitions of the planted win rate (a few without it); STARCHAT_KILLS=N: how often a run is killed (12).
"""
import contextlib
import json
import math
import os
import pathlib
import random
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/serve"), str(ROOT / "tests/judge")]
import served  # noqa: E402
import stub  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/starchat").resolve())
SCRATCH_HOLDER = tempfile.TemporaryDirectory(prefix="starchat-judge-")
SCRATCH = pathlib.Path(SCRATCH_HOLDER.name)
RUNS, KILLS = int(os.environ.get("STARCHAT_JUDGE_RUNS", "5")), int(os.environ.get("STARCHAT_KILLS", "12"))
HURRIED = ("--retry-seconds", "0.02", "--idle-seconds", "2", "--request-seconds", "3")
QUALITY = (4.5, 1.0)                                              # of answers, on the scale of 1 to 8: mean and sd
MODEL = None


def environment(**more):
    env = {k: v for k, v in served.environment(SCRATCH).items() if k not in ("OPENAI_API_KEY", "http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY")}
    return {**env, **more}


def judge(*args, good=True, env=None):
    p = subprocess.run([PROGRAM, "judge", *map(str, args)], capture_output=True, text=True, env=env or environment(), timeout=600, stdin=subprocess.DEVNULL)
    assert (p.returncode == 0) == good, (args, p.returncode, p.stdout[-1500:], p.stderr[-1500:])
    return p


def place(name):
    d = SCRATCH / name
    shutil.rmtree(d, ignore_errors=True)
    d.mkdir()
    return d


def planted(d, n, difference=1.0, seed=3):
    """Prompts, and answers of two models of which the second is better by so much on average."""
    rng = random.Random(seed)
    base = [rng.gauss(*QUALITY) for _ in range(n)]
    tuned = [rng.gauss(QUALITY[0] + difference, QUALITY[1]) for _ in range(n)]
    stub.write_prompts(d / "p.jsonl", n)
    stub.write_answers(d / "a.jsonl", "base", base, seed + 1)
    stub.write_answers(d / "b.jsonl", "tuned", tuned, seed + 2)
    return base, tuned


def run_args(d, spec, *more, out="out"):
    return ["run", "--prompts", d / "p.jsonl", "--base", d / "a.jsonl", "--tuned", d / "b.jsonl", "--judge", spec, "--out", d / out, "--cache", d / "cache.sqlite", *more]


def lines(path):
    return [json.loads(line) for line in pathlib.Path(path).read_text(encoding="utf-8").splitlines()]


def findings(audit, name):
    one = next(j for j in audit["judges"] if j["judge"] == name)
    return one, [f["name"] for f in one["findings"]]


# ---- planted faults of judges -----------------------------------------------------------------------------------------------------------

def test_planted_faults_are_named():
    d = place("faults")
    planted(d, 60)
    names = ("honest", "always-first", "always-longer", "middle-only", "contradictory", "random")
    with stub.Stub() as s:
        p = judge(*run_args(d, ",".join(s.spec(n) for n in names)))
    audit, verdict = json.loads((d / "out/audit.json").read_text()), json.loads((d / "out/verdict.json").read_text())
    for name in names:
        one, found = findings(audit, name)
        assert one["is_calibrated"] == (name == "honest"), (name, one)
        assert name == "honest" or name in found, (name, found)
        assert name == "honest" or f"judge {name}: NOT CALIBRATED" in p.stdout, p.stdout
    assert not set(findings(audit, "honest")[1]) & set(names)
    pairs = {r["judge"]: r for r in verdict["pairs"] if r["by"] == "all"}
    assert {n for n, r in pairs.items() if "withheld" in r} == set(names) - {"honest"}, pairs
    assert pairs["honest"]["win_rate"] > 0.5 and not any("win_rate" in pairs[n] for n in names if n != "honest"), pairs
    assert "always-first gives no verdict" in p.stdout and "honest: tuned is better than base" in p.stdout and "judge honest: passes the audit" in p.stdout, p.stdout
    rows = lines(d / "out/judgements.jsonl")
    assert len(rows) == len(names) * (120 + 32), len(rows)
    assert len({r["key"] for r in rows}) == len(rows)
    assert (d / "out/report.html").stat().st_size > 1000
    run = json.loads((d / "out/run.json").read_text())
    assert run["settings"]["seed"] == 1234 and len(run["settings"]["protocol_sha256"]) == 64 and run["totals"]["left"] == 0


def win(s1, s2):
    return (s1 < s2) - (s1 > s2)                                 # 1: the second


def planted_rate(difference, n=40000):
    """What the honest judge gives when both ways round have to agree: the share of wins and half of the ties."""
    rng, total = random.Random(99), 0.0
    for i in range(n):
        a, b = f"About t with quality {rng.gauss(*QUALITY):.3f}: x done.", f"About t with quality {rng.gauss(QUALITY[0] + difference, QUALITY[1]):.3f}: y done."
        first = win(stub.honest_score("t", a, ("m", i, 1)), stub.honest_score("t", b, ("m", i, 2)))
        second = -win(stub.honest_score("t", b, ("m", i, 1)), stub.honest_score("t", a, ("m", i, 2)))
        total += 0.5 + 0.5 * first if first == second else 0.5
    return total / n


def test_planted_win_rate_lies_in_the_interval():
    truth, inside, widths = planted_rate(0.6), 0, []
    for i in range(RUNS):
        d = place("rate")
        planted(d, 115, 0.6, 1000 + 17 * i)
        with stub.Stub(judge=stub.Judge(salt=i)) as s:
            judge(*run_args(d, s.spec("honest"), "--parallel", 16, "--seed", i, "--cache", ":memory:"))
        audit, verdict = json.loads((d / "out/audit.json").read_text()), json.loads((d / "out/verdict.json").read_text())
        assert findings(audit, "honest")[0]["is_calibrated"], (i, audit)
        row = next(r for r in verdict["pairs"] if r["judge"] == "honest" and r["by"] == "all")
        assert (row["base"], row["tuned"]) == ("base", "tuned"), row
        inside += row["low"] <= truth <= row["high"]
        widths.append(row["high"] - row["low"])
    print(f"planted win rate {truth:.4f}: inside the interval in {inside} of {RUNS} runs, mean width {sum(widths) / RUNS:.3f}")
    assert inside >= math.ceil(0.93 * RUNS) - (1 if RUNS < 50 else 0), (inside, RUNS)
    assert sum(widths) / RUNS < 0.25                              # 115 prompts tell a rate to about 9 points


# ---- a server that fails ---------------------------------------------------------------------------------------------------------------------

def test_every_failure_passes_or_resumes():
    d = place("failing")
    planted(d, 40)
    with stub.Stub(faults=stub.FAULTS, share=0.45, seed=5) as s:
        for start in range(12):
            p = subprocess.run([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest"), *HURRIED, "--tries", 4))], capture_output=True, text=True, env=environment(), timeout=300)
            if p.returncode == 0:
                break
            assert p.returncode == 1 and "the same command goes on" in p.stderr, p
        assert p.returncode == 0, p.stderr
        assert s.n_faults > 40, s.n_faults
        rows = lines(d / "out/judgements.jsonl")
        assert len(rows) == 80 + 32 == len({r["key"] for r in rows}), len(rows)
        assert set(s.answered.values()) == {1}, "a request that had its answer was sent again"
        assert len(s.answered) == len(rows)
        assert not [r for r in rows if "error" in r], "text of a failure was taken for an answer"


def test_each_failure_alone():
    for fault in stub.FAULTS:
        d = place("alone")
        planted(d, 6)
        with stub.Stub(faults=(fault,), share=0.3, seed=2) as s:
            judge(*run_args(d, s.spec("honest"), *HURRIED, "--canaries", 0, "--message-mib", 1))
            assert set(s.answered.values()) == {1} and len(s.answered) == 12 and s.n_faults, (fault, s.n_faults)


def test_all_requests_fail():
    d = place("down")
    planted(d, 20)
    with stub.Stub(faults=("500",), share=1.0) as s:
        begin = time.monotonic()
        p = judge(*run_args(d, s.spec("honest"), *HURRIED, "--tries", 3), good=False)
        assert "answers 500 (down)" in p.stderr and time.monotonic() - begin < 20, p.stderr
        assert len(s.seen) <= 3 * 16, len(s.seen)              # it gives up early
        s.faults = ()
        judge(*run_args(d, s.spec("honest")))


def test_waits_as_long_as_the_server_asks():
    d = place("retry-after")
    planted(d, 3)
    with stub.Stub(faults=("429-seconds",), share=0.35, seed=3) as s:
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--parallel", 1, "--retry-seconds", "0.01"))
        gaps = [b - a for a, b in zip(s.times, s.times[1:])]
        assert s.n_faults and sum(g > 0.95 for g in gaps) == s.n_faults, gaps
    with stub.Stub() as s:
        s.fixed = (429, b"{}", (("Retry-After", "86400"),))
        p = judge(*run_args(d, s.spec("other"), out="second"), good=False)
        assert "asks to come back in 86400 seconds" in p.stderr, p.stderr


def test_what_is_refused_stops_at_once():
    d = place("refused")
    planted(d, 20)
    rows = ((400, b'{"error":{"message":"Unsupported parameter: \'max_tokens\'; use \'max_completion_tokens\'"}}', "--max-tokens-name max_completion_tokens"),
            (401, b'{"error":{"message":"bad key sk-very-secret"}}', "--key-env"), (403, b"", "--key-env"), (404, b'{"error":"no"}', "no such model"),
            (302, b"", "redirects (302)"))
    for status, body, part in rows:
        with stub.Stub() as s, stub.Stub() as other:
            s.fixed = (status, body, (("Location", other.spec("x").split("#")[0] + "/chat/completions"),) if status == 302 else ())
            p = judge(*run_args(d, s.spec("honest"), "--overwrite", "--key-env", "MY_KEY"), good=False, env=environment(MY_KEY="sk-very-secret"))
            assert part in p.stderr and len(p.stderr.strip().splitlines()) == 1, p.stderr
            assert len(s.seen) <= (12 if status == 400 else 8) and not other.seen, (status, len(s.seen))       # a 400 may be of one question: five end it
            assert not (d / "out/judgements.jsonl").read_bytes()
            assert "sk-very-secret" not in p.stderr + p.stdout


def test_keys_go_where_they_belong():
    d = place("keys")
    planted(d, 3)
    more = {"OPENAI_API_KEY": "sk-open", "OTHER": "sk-other"}
    with stub.Stub() as s:
        def seen(*args, **variables):
            del s.headers[:]
            judge(*run_args(d, s.spec("honest"), "--overwrite", "--canaries", 0, "--cache", ":memory:", *args), env=environment(**{**more, **variables}))
            return {h.get("Authorization") for h in s.headers}
        assert seen() == {None}                                  # a server of this machine gets OpenAI's key from nobody
        assert seen(STARCHAT_JUDGE_KEY="sk-judge") == {"Bearer sk-judge"}
        assert seen("--key-env", "OTHER") == {"Bearer sk-other"}
        assert seen("--key-env", "127.0.0.1=OTHER", "--key-env", "OPENAI_API_KEY") == {"Bearer sk-other"}
        assert seen("--key-env", "elsewhere.example=OTHER") == {None}
        p = judge(*run_args(d, s.spec("honest"), "--key-env", "UNSET"), good=False)
        assert "UNSET" in p.stderr
        judge(*run_args(d, s.spec("honest"), "--overwrite", "--key-env", "OTHER"), env=environment(**more))
    for path in SCRATCH.rglob("*"):
        assert not path.is_file() or (b"sk-other" not in (data := path.read_bytes()) and b"sk-judge" not in data), path


def test_killed_at_any_moment():
    """What came back before a kill is never asked for again, and stays as it was."""
    d = place("killed")
    planted(d, 40)
    rng, kills, known = random.Random(6), 0, {}
    with stub.Stub(delay=0.06 * max(1, KILLS / 12)) as s:
        for _ in range(KILLS + 20):
            p = subprocess.Popen([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest")))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment())
            if kills < KILLS:
                time.sleep(rng.random() * 0.25)
                if p.poll() is None:
                    p.kill()
                    kills += 1
            _, err = p.communicate(timeout=120)
            before = dict(s.answered)
            if (d / "cache.sqlite").exists():
                with contextlib.closing(sqlite3.connect(d / "cache.sqlite")) as db:
                    has = db.execute("SELECT name FROM sqlite_schema").fetchall()
                    now = dict(db.execute("SELECT key, text FROM answers")) if has else {}
                assert known.items() <= now.items(), "an answer that was there is gone"
                known = now
            assert len(known) <= len(before)
            if p.returncode == 0:
                break
        assert p.returncode == 0 and kills >= min(KILLS, 12) // 4, (p.returncode, err, kills)
        rows = lines(d / "out/judgements.jsonl")
        assert len(rows) == len({r["key"] for r in rows}) == 112, len(rows)
        assert len(s.answered) == 112 and len(known) == 112
        print(f"killed {kills} times; {sum(s.answered.values()) - 112} answers were on their way then and were asked for again")
        assert sum(s.answered.values()) - 112 <= 8 * kills, "more was asked twice than was on its way when it was killed"


def test_two_processes_pay_once():
    """Two runs with one cache ask the same: of each request one of them is answered by the server."""
    d = place("two")
    planted(d, 40)
    with stub.Stub(delay=0.01) as s:
        both = [subprocess.Popen([PROGRAM, "judge", *map(str, run_args(d, s.spec("honest"), out=f"out{i}"))], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment()) for i in range(2)]
        for p in both:
            _, err = p.communicate(timeout=120)
            assert p.returncode == 0, err
        assert set(s.answered.values()) == {1} and len(s.answered) == 112, (len(s.answered), sum(s.answered.values()))
        judge(*run_args(d, s.spec("honest"), out="third"))
        assert sum(s.answered.values()) == 112
        texts = [{r["key"]: r["text"] for r in lines(d / f"{o}/judgements.jsonl")} for o in ("out0", "out1", "third")]
        assert texts[0] == texts[1] == texts[2]


# ---- budgets and settings -------------------------------------------------------------------------------------------------------------------------

def test_budget_ends_it_cleanly_and_it_goes_on():
    d = place("budget")
    planted(d, 20)
    with stub.Stub() as s:
        dry = json.loads(judge(*run_args(d, s.spec("honest"), "--dry-run", "--json", "--price-in", 10, "--price-out", 30)).stdout)
        assert dry["questions"] == 40 + 32 and dry["calls"] == 144 and dry["again"] == 72 and dry["cached"] == 0 and not s.seen and not (d / "out").exists(), dry
        assert dry["cost"] > 144 * 1024 * 30 / 1e6 and 0 < dry["half_width"] < 0.5 and dry["smallest"] > dry["half_width"], dry
        p = judge(*run_args(d, s.spec("honest"), "--most-calls", 30), good=False)
        assert len(s.answered) == 30 and "the budget ended it: 42 questions are left" in p.stderr, p.stderr
        dry = json.loads(judge(*run_args(d, s.spec("honest"), "--dry-run", "--json")).stdout)
        assert dry["calls"] == 84 and dry["cached"] == 30, dry
        p = judge(*run_args(d, s.spec("honest"), "--most-cost", 0.3, "--price-in", 100, "--price-out", 200), good=False)
        cost = sum(len(b) // 4 * 100 + 40 * 200 for b in list(s.answered)[30:]) / 1e6
        assert 20 < len(s.answered) < 72 and cost <= 0.35, (len(s.answered), cost)
        judge(*run_args(d, s.spec("honest")))
        assert len(s.answered) == 72 and set(s.answered.values()) == {1}
        p = judge(*run_args(d, s.spec("honest"), "--most-cost", 1), good=False)
        assert "--price-in" in p.stderr


def test_rate_and_parallel():
    d = place("rate-limit")
    planted(d, 6)
    with stub.Stub(delay=0.05) as s:
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--parallel", 4))
        assert 2 <= s.most_in_flight <= 4, s.most_in_flight
    with stub.Stub() as s:
        judge(*run_args(d, s.spec("honest"), "--canaries", 0, "--rate", 600, out="slow"))
        gaps = [b - a for a, b in zip(s.times, s.times[1:])]
        assert len(gaps) == 11 and sum(gaps) > 1.0, gaps             # 600 a minute: one in 0.1 s


def test_other_settings_are_refused():
    d = place("settings")
    planted(d, 6)
    with stub.Stub() as s:
        judge(*run_args(d, s.spec("honest")))
        n = len(s.seen)
        for more, part in ((("--seed", 5), "seed is 1234 there and 5 here"), (("--one-order",), "one_order"), (("--protocol", "pair-scores"), "protocol"), (("--canaries", 3), "canaries")):
            p = judge(*run_args(d, s.spec("honest"), *more), good=False)
            assert part in p.stderr and "is another run" in p.stderr, p.stderr
        assert "judges is honest there and random here" in judge(*run_args(d, s.spec("random")), good=False).stderr
        stub.write_answers(d / "b.jsonl", "tuned", [1] * 6, 9)
        assert "models is another one there: tuned has changed" in judge(*run_args(d, s.spec("honest")), good=False).stderr
        assert len(s.seen) == n
        judge(*run_args(d, s.spec("honest"), "--overwrite"))
        assert len(lines(d / "out/judgements.jsonl")) == 12 + 32


def test_mistakes_get_one_sentence():
    d = place("mistakes")
    planted(d, 6)
    spec = "http://127.0.0.1:9/v1#m"
    rows = ((run_args(d, "http://127.0.0.1:9/v1"), "names a server but no model"), (run_args(d, "https://me:pw@h/v1#m"), "has a password or a query"), (run_args(d, d / "a.jsonl"), "is a file of answers, expected a MODEL"),
            (run_args(d, spec), "cannot connect to http://127.0.0.1:9/v1"), (run_args(d, spec, "--tuned", d / "a.jsonl"), "two models are called base"), (run_args(d, spec, "--protocol", "starcat"), "starchat"),
            (["run", "--prompts", d / "p.jsonl", "--judge", spec, "--out", d / "o"], "nobody to judge"), (run_args(d, spec, "--models", "a,b"), "--models stands in place of"), (run_args(d, spec, "--parallel", 0), "parallel"),
            (run_args(d, spec, "--prompts", d / "none.jsonl"), "none.jsonl"))
    for args, part in rows:
        p = judge(*args, good=False)
        assert part in p.stderr and len(p.stderr.strip().splitlines()) == 1, (part, p.stderr)
    (d / "b.jsonl").write_text("".join((d / "b.jsonl").read_text().splitlines(True)[:4]))
    p = judge(*run_args(d, spec), good=False)
    assert 'lacks answers of tuned to 2 of 6 prompts, "p4" first' in p.stderr, p.stderr
    p = subprocess.run([PROGRAM, "judge", "rum"], capture_output=True, text=True, env=environment())
    assert p.returncode == 2 and 'did you mean "run"' in p.stderr, p.stderr


def test_an_answer_without_a_verdict_is_asked_for_again():
    d = place("again")
    planted(d, 6)
    with stub.Stub() as s:
        judge(*run_args(d, s.spec("mute-once"), "--canaries", 0))
        rows = lines(d / "out/judgements.jsonl")
        assert len(rows) == 24 and sum("error" in r for r in rows) == 12 and sum(r.get("again", 0) for r in rows) == 12, rows[:2]
        judge(*run_args(d, s.spec("mute"), "--canaries", 0, out="mute"))
        rows = lines(d / "mute/judgements.jsonl")
        assert len(rows) == 24 and all("error" in r for r in rows) and not (d / "mute/verdict.json").exists() and (d / "mute/report.html").exists()
        n = len(s.seen)
        judge(*run_args(d, s.spec("mute"), "--canaries", 0, out="mute"))
        assert len(s.seen) == n                                   # and not a third time


def test_several_models():
    d = place("several")
    planted(d, 8)
    stub.write_answers(d / "c.jsonl", "third", [3] * 8, 8)
    common = ["run", "--prompts", d / "p.jsonl", "--protocol", "starchat", "--canaries", 2, "--cache", d / "cache.sqlite"]
    with stub.Stub() as s:
        judge(*common, "--models", f"{d}/a.jsonl,{d}/b.jsonl,{d}/c.jsonl", "--judge", s.spec("honest"), "--out", d / "all")
        rows = [r for r in lines(d / "all/judgements.jsonl") if not r.get("canary")]
        assert len(rows) == 3 * 16 and len({tuple(r["models"]) for r in rows}) == 6
        judge(*common, "--models", f"one={d}/b.jsonl,{d}/c.jsonl", "--baseline", d / "a.jsonl", "--judge", s.spec("honest"), "--out", d / "against")
        rows = [r for r in lines(d / "against/judgements.jsonl") if not r.get("canary")]
        assert {tuple(sorted(r["models"])) for r in rows} == {("base", "one"), ("base", "third")}, rows[:1]


# ---- answers -----------------------------------------------------------------------------------------------------------------------------------------

def test_answers_of_a_server():
    d = place("answers")
    (d / "p.jsonl").write_text("".join(json.dumps({"id": f"p{i}", "turns": [f"first {i}", f"second {i}"] if i % 2 else [f"only {i}"]}) + "\n" for i in range(10)))
    args = ["answers", "--prompts", d / "p.jsonl", "--out", d / "a.jsonl", "--cache", d / "c.sqlite"]
    with stub.Stub() as s:
        p = judge(*args, s.spec("talker"), "--system", "Be kind.")
        rows = lines(d / "a.jsonl")
        assert [r["id"] for r in rows] == [f"p{i}" for i in range(10)] and len(s.seen) == 15 and "10 of 10 prompts answered" in p.stdout, p.stdout
        assert rows[1]["turns"] == ["answer 1 to first 1", "answer 2 to second 1"] and rows[0]["model"] == "talker", rows[1]
        assert rows[0]["settings"]["temperature"] == 0.2 and rows[0]["settings"]["top_k"] == 50 and rows[0]["settings"]["max_new_tokens"] == 256, rows[0]
        two = next(b for b in map(json.loads, s.seen) if len(b["messages"]) == 4)
        assert [m["role"] for m in two["messages"]] == ["system", "user", "assistant", "user"] and two["messages"][2]["content"].startswith("answer 1"), two
        assert (two["temperature"], two["top_p"], two["top_k"], two["max_tokens"], two["seed"]) == (0.2, 0.95, 50, 256, 1234), two
        judge(*args, s.spec("talker"), "--system", "Be kind.")     # the same again: from the cache
        assert len(s.seen) == 15
        p = judge(*args, s.spec("talker"), good=False)
        assert "with other settings" in p.stderr, p.stderr
        p = judge(*args, s.spec("talker-leaks"), "--overwrite", "--omit", "top_k,seed", "--max-tokens-name", "max_completion_tokens")
        rows, last = lines(d / "a.jsonl"), json.loads(s.seen[-1])
        assert all("<|" not in t for r in rows for t in r["turns"]) and sum(r["leaks"] for r in rows) == 15 and "15 turns ran on" in p.stdout, p.stdout
        assert "top_k" not in last and "seed" not in last and "max_tokens" not in last and last["max_completion_tokens"] == 256, last
        p = judge(*args, s.spec("talker"), "--overwrite", "--seed", 7, "--most-calls", 4, good=False)
        assert "the budget ended it" in p.stderr and len(lines(d / "a.jsonl")) == 3 + 0 or len(lines(d / "a.jsonl")) <= 4, p.stderr


def test_local_models_answer_and_judge():
    d = place("local")
    planted(d, 4)
    common = ["--prompts", d / "p.jsonl", "--cache", d / "c.sqlite", "--max-new-tokens", 12, "--threads", 1]
    p = judge("answers", MODEL, *common, "--template", "starchat", "--out", d / "t.jsonl")
    rows = lines(d / "t.jsonl")
    assert len(rows) == 4 and all(r["settings"]["asked_by"] == "template" for r in rows) and "4 computed here" in p.stderr, p.stderr
    first = (d / "t.jsonl").read_bytes()
    p = judge("answers", MODEL, *common, "--template", "starchat", "--out", d / "t.jsonl")
    assert "4 known from before" in p.stderr and (d / "t.jsonl").read_bytes() == first, p.stderr
    judge("answers", MODEL, *common, "--template", "starchat", "--out", d / "again.jsonl", "--cache", ":memory:", "--threads", 2)
    assert (d / "again.jsonl").read_bytes() == first             # threads and company change nothing
    p = judge("answers", MODEL, *common, "--out", d / "n.jsonl", good=False)
    assert "has no chat template" in p.stderr and "--few-shot ta" in p.stderr, p.stderr
    (d / "few.txt").write_text("A talk.\n\nHuman: hello\n\nAssistant: good day\n\n-----")
    p = judge("answers", MODEL, *common, "--few-shot", d / "few.txt", "--out", d / "f.jsonl")
    assert lines(d / "f.jsonl")[0]["settings"]["asked_by"] == "examples", p.stderr
    # A random model as a judge says nothing that can be parsed: every line has its sentence, and it is not trusted.
    chat = d / "chatty"
    shutil.copytree(MODEL, chat)
    config = json.loads((chat / "tokenizer_config.json").read_text()) if (chat / "tokenizer_config.json").exists() else {}
    (chat / "tokenizer_config.json").write_text(json.dumps({**config, "chat_template": "{% for m in messages %}{{ m['content'] }}\n{% endfor %}"}))
    out = json.loads(judge("run", *common, "--base", d / "a.jsonl", "--tuned", d / "b.jsonl", "--judge", chat, "--canaries", 1, "--out", d / "run", "--json", "--protocol", own_protocol(d)).stdout)
    rows = lines(d / "run/judgements.jsonl")
    assert out["here"] == len(rows) and out["calls"] == 0 and not out["audit"]["judges"][0]["is_calibrated"], out["audit"]
    assert all("error" in r for r in rows) and len(rows) == 2 * (8 + 4), len(rows)
    # One token and its probabilities, for protocols that ask for them.
    judge("run", *common, "--base", d / "a.jsonl", "--tuned", d / "b.jsonl", "--judge", chat, "--canaries", 0, "--out", d / "token", "--protocol", "alpaca-eval-2")
    rows = lines(d / "token/judgements.jsonl")
    assert rows and all(0 < sum(math.exp(v) for v in r["logprobs"].values()) <= 1 + 1e-6 for r in rows), rows[0]


def own_protocol(d):
    """The built-in one with short answers: a random model writes to the end."""
    text = (ROOT / "protocols/starchat.yaml").read_text().replace("max_tokens: 1024", "max_tokens: 16")
    (d / "own.yaml").write_text(text)
    return d / "own.yaml"


# ---- running -----------------------------------------------------------------------------------------------------------------------------------------

def main():
    global MODEL
    MODEL = served.make_model(PROGRAM, SCRATCH, "tiny")
    passed = failed = 0
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (len(sys.argv) > 2 and not any(word in name for word in sys.argv[2:])):
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
