#!/usr/bin/env python3
"""The programs of examples/: built with the library of the source tree and with an installed one, and run beside the command line, which must
say the same. Usage: tests/cli/test_examples.py PROGRAM     Last line: "N passed, N failed"."""
import json
import math
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served  # noqa: E402

PROGRAM = pathlib.Path(sys.argv[1]).resolve()
BUILD = PROGRAM.parent
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-examples-"))
ENV = {**served.environment(SCRATCH), "LD_LIBRARY_PATH": str(SCRATCH / "usr/lib")}
NAMES = sorted(p.stem for p in (ROOT / "examples").glob("*.c"))
TEMPLATE = "{% for m in messages %}{{ m.role }}: {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}"


class Skipped(Exception):
    pass


def run(*args, stdin=b"", code=0, env=ENV):
    done = subprocess.run([str(a) for a in args], input=stdin, capture_output=True, env=env, cwd=SCRATCH)
    assert done.returncode == code, (args, done.returncode, done.stderr[-2000:])
    return done


def completion(model, prompt, n):
    return run(PROGRAM, "complete", model, "-p", prompt, "-n", n, "--temp", "0").stdout.rstrip(b"\n")


def try_complete(place):
    for prompt in ("def fib(n):", "x = 1"):
        assert run(place / "complete", "plain", prompt, 24).stdout.rstrip(b"\n") == completion("plain", prompt, 24)
    assert b"no such path" in run(place / "complete", "nothing", "x", code=1).stderr


def try_chat(place):
    done = run(place / "chat", "talks", "Be brief.", stdin=b"Hi\nAnd then?\n")
    assert done.stdout.startswith(b"> Hi\n") and b"\n> And then?\n" in done.stdout, done.stdout
    known = [int(line.split(b",")[1].split()[0]) for line in done.stderr.splitlines() if b"known" in line]
    assert len(known) == 2 and known[0] == 0 and known[1] > 25, done.stderr        # the second turn goes on with what the first has read
    assert b"no chat template" in run(place / "chat", "plain", stdin=b"Hi\n", code=1).stderr


def try_score(place):
    text = (ROOT / "examples/batch.c").read_text()[:3000]                           # more than two windows
    (SCRATCH / "text").write_text(text)
    found = run(place / "score", "plain", "text", 3).stdout.decode().splitlines()
    tokens, perplexity = int(found[0].split()[0]), float(found[0].split()[3].rstrip(","))
    assert tokens == len(run(PROGRAM, "tokenize", "plain", stdin=text.encode()).stdout.split()) and len(found) == 4, found
    (SCRATCH / "short").write_text(text[:600])                                      # one window: as `score` has it
    found = run(place / "score", "plain", "short").stdout.decode().split()
    line = json.loads(run(PROGRAM, "score", "plain", stdin=(json.dumps({"context": text[0], "continuation": text[1:600]}) + "\n").encode()).stdout)
    expected = math.exp(-line["logprob"] / (int(found[0]) - 1))
    assert abs(float(found[3].rstrip(",")) / expected - 1) < 1e-4 and perplexity > 267, (found, expected, perplexity)      # worse than chance: random weights


def try_batch(place):
    prompts = ["def fib(n):", "x = 1", "Once upon a time", "a"]
    found = run(place / "batch", "plain", 20, *prompts).stdout
    assert found == b"".join(b"> %s\n%s\n" % (p.encode(), completion("plain", p, 20)) for p in prompts), found


def test_source_tree():
    done = subprocess.run(["make", "-s", "examples", f"BUILD={BUILD.relative_to(ROOT)}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    for name in NAMES:
        globals()[f"try_{name}"](BUILD / "examples")                                # an example without a trial fails here


def test_installed_tree():
    done = subprocess.run(["make", "-s", "install", f"BUILD={BUILD.relative_to(ROOT)}", f"PREFIX={SCRATCH}/usr"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]
    env = {**ENV, "PATH": os.environ["PATH"], "PKG_CONFIG_PATH": str(SCRATCH / "usr/lib/pkgconfig")}
    shared, static = (run("pkg-config", "--cflags", "--libs", *more, "starchat", env=env).stdout.decode().split() for more in ([], ["--static"]))
    assert any(f"{SCRATCH}/usr" in f for f in shared), shared
    for name in NAMES:
        run("cc", "-Wall", "-Wextra", "-Werror", "-o", SCRATCH / name, ROOT / f"examples/{name}.c", *shared, "-lm", env=env)
        globals()[f"try_{name}"](SCRATCH)
    run("cc", "-o", SCRATCH / "complete", ROOT / "examples/complete.c", *[f"{SCRATCH}/usr/lib/libstarchat.a" if f == "-lstarchat" else f for f in static], env=env)
    try_complete(SCRATCH)


def test_python():
    library = BUILD / "libstarchat.so"
    if not library.exists():
        raise Skipped("there is no libstarchat.so, as under a sanitizer")
    env, wrapper = {**ENV, "STARCHAT_LIBRARY": str(library)}, ROOT / "examples/starchat.py"
    for text in ("def add(a, b):", "naïve 😀 <|endoftext|>", ""):
        ids = run(sys.executable, wrapper, "plain", "--tokens", text, env=env).stdout.split()
        assert ids == run(PROGRAM, "tokenize", "plain", stdin=text.encode()).stdout.split(), text
    assert run(sys.executable, wrapper, "plain", "def fib(n):", env=env).stdout.rstrip(b"\n") == completion("plain", "def fib(n):", 32)
    assert b"no such path" in run(sys.executable, wrapper, "nothing", "x", code=1, env=env).stderr
    script = "import starchat\nwith starchat.Model('talks') as m:\n" \
             "    ids = m.encode_chat([{'role': 'user', 'content': 'Hi'}])\n    assert m.decode(ids).endswith('assistant: '), ids\n" \
             "    assert m.encode(m.decode(ids)) == ids\n    print(m.chat([{'role': 'user', 'content': 'Hi'}], max_tokens=5, seed=3) == m.chat([{'role': 'user', 'content': 'Hi'}], max_tokens=5, seed=3))\n" \
             "    next(m.complete('x', max_tokens=1000))\n" \
             "    try: m.complete('x', temperatur=1).send(None)\n    except starchat.StarchatError as why: print(why)\n"
    assert run(sys.executable, "-c", script, env={**env, "PYTHONPATH": str(ROOT / "examples")}).stdout.decode().splitlines() == ["True", 'unknown option "temperatur"; did you mean "temperature"?']


def main():
    passed = failed = 0
    served.make_model(PROGRAM, SCRATCH, "plain")
    served.make_model(PROGRAM, SCRATCH, "talks")
    (SCRATCH / "talks/chat_template.jinja").write_text(TEMPLATE)
    for name, test in list(globals().items()):
        if not name.startswith("test_"):
            continue
        try:
            test()
            passed += 1
            print(f"ok {name}")
        except Skipped as why:
            print(f"skipped: examples, {name}: {why}")
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}")
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
