"""`bench/compare` and `bench/peers.py` with programs that only say how fast they are: equal ones, a slower one, a noisy machine, a broken one.
Standard library only.

Run: python3 tests/cli/test_compare.py       Last line: "N passed, N failed"
"""
import pathlib
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = tempfile.TemporaryDirectory(prefix="starchat-compare-")

FAKE = """#!/usr/bin/env python3
import json, pathlib, random, sys
count = pathlib.Path(__file__ + ".runs")
n = int(count.read_text()) if count.exists() else 0
count.write_text(str(n + 1))
random.seed("{name}" + str(n) + sys.argv[6])
assert sys.argv[1:4] == ["bench", "MODEL", "--json"], sys.argv
print(json.dumps([{{"test": "x", "tokens_per_second": {speed} * (1 + {noise} * random.uniform(-1, 1))}}]))
"""


def fake(name, speed, noise):
    path = pathlib.Path(SCRATCH.name) / name
    path.write_text(FAKE.format(name=name, speed=speed, noise=noise))
    path.chmod(0o755)
    return str(path)


def compare(old, new, *more):
    return subprocess.run([str(ROOT / "bench/compare"), old, new, "--model", "MODEL", "--tests", "pp512,tg64", *more], capture_output=True, text=True)


def test_equal_programs_pass_in_three_rounds():
    run = compare(fake("a", 100, 0.01), fake("b", 100, 0.01))
    assert run.returncode == 0 and run.stdout.count("| 3 | ok |") == 2, run


def test_a_slower_program_fails():
    run = compare(fake("c", 100, 0.01), fake("d", 92, 0.01))
    assert run.returncode == 1 and run.stdout.count("| 5 | LOSS |") == 2 and "| 0.92" in run.stdout, run


def test_a_small_loss_is_allowed():
    run = compare(fake("e", 100, 0.005), fake("f", 97, 0.005))
    assert run.returncode == 0 and run.stdout.count("| ok |") == 2, run
    run = compare(fake("e2", 100, 0.005), fake("f2", 97, 0.005), "--loss", "1")
    assert run.returncode == 1, run


def test_noise_takes_more_rounds_or_is_not_decided():
    run = compare(fake("g", 100, 0.02), fake("h", 95, 0.02), "--most", "4")
    assert run.returncode == 3 and "| 4 | not decided |" in run.stdout, run


def test_what_cannot_run_is_no_verdict():
    broken = pathlib.Path(SCRATCH.name) / "broken"
    broken.write_text("#!/bin/sh\nexit 1\n")
    broken.chmod(0o755)
    good = fake("i", 100, 0)
    assert compare(good, str(broken)).returncode == 2
    assert compare(good, "no-such-commit").returncode == 2
    assert compare(good, good, "--rounds", "2").returncode == 2
    assert compare(good, good, "--tests", "pp").returncode == 2


def test_peers_take_the_figures_of_llama_bench():
    peer = pathlib.Path(SCRATCH.name) / "llama-bench"
    peer.write_text("""#!/usr/bin/env python3
import json, sys
a = dict(zip(sys.argv[1::2], sys.argv[2::2]))
assert a["-o"] == "json" and a["-t"] == "2"
print("a line before\\n" + json.dumps([{"avg_ts": 40.0 if "-gp" in a else 80.0 if a["-n"] == "0" else 50.0}]))
""")
    peer.chmod(0o755)
    run = subprocess.run([sys.executable, str(ROOT / "bench/peers.py"), "MODEL", "--starchat", fake("j", 100, 0), "--no-llama", "--ik", str(peer),
                          "--tests", "pp512,tg64,tg32@1024,b4@16"], capture_output=True, text=True)
    rows = [line.split(" | ", 1)[1] for line in run.stdout.splitlines()[-4:]]
    assert rows == ["pp512 | 100.0 | 80.0 | 1.25 |", "tg64 | 100.0 | 50.0 | 2.00 |", "tg32@1024 | 100.0 | 40.0 | 2.50 |", "b4@16 | 100.0 | - | - |"], run


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_")]
    failed = 0
    for name, run in tests:
        try:
            run()
            print("ok    ", name)
        except Exception:
            failed += 1
            print("FAILED", name)
            traceback.print_exc(limit=3, file=sys.stdout)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
