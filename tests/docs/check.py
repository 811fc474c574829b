#!/usr/bin/env python3
"""Runs what the pages of docs/ tell people to type, and compares what it prints with what they show.

Usage: tests/docs/check.py PROGRAM [slow] [PAGE.md...]     Last line: "N passed, N failed".

A block of code of the language `console` holds commands (lines with "$ ", which a backslash at the end continues) and what they print. They run in the order of
the page, in a scratch folder that looks like the source tree, with a home and a store of their own. A "…" in what a page shows stands for anything, on a line of
its own for any lines. Where nothing is shown, only the exit code is looked at. Words behind `console`:
    slow            minutes of work; run with `slow` alone
    background      goes on until the page ends; what it shows must come at the beginning
    exit=N          the exit code that is right
    skip: WHY       is not run: needs a network, a cluster, other software ...
`file=NAME` behind another language writes the block to that file. A comment `<!-- setup ... -->` is shell that runs unseen. 127.0.0.1:8080 becomes a free port.
No other block may hold a command, and every command and option of this program that a page names must exist."""
import os
import pathlib
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = pathlib.Path(sys.argv[1]).resolve()
IS_SLOW = "slow" in sys.argv[2:]
REAL = "smollm2:135m-instruct"
COMMAND = re.compile(r"\s*(\$ |(build/)?starchat [a-z]|make( |$)|curl |mpirun |srun |pip3? |python3? |apt(-get)? |git |npm |sudo |docker |podman |systemctl |install -|sed -|tools/|cc |cd )")
PRELUDE = r"""
set -u
tiny() { sed 's/"max_position_embeddings": [0-9]*/"max_position_embeddings": 16384/' "$SOURCE/tests/golden/tokenizers/bytes/config.json" >tiny.json
    starchat init tiny.json "$1" --tokenizer "$SOURCE/tests/golden/tokenizers/bytes/tokenizer.json" --seed "${2:-1}" -q; }
"""


class Wrong(Exception):
    pass


class Skipped(Exception):
    pass


# ---- reading a page -----------------------------------------------------------------------------------------------------------------

def steps_of(page):
    """(line, kind, words, text) of a page: kinds console, setup, file. Wrong where a block is not marked."""
    lines, steps, at = page.read_text().splitlines(), [], 0
    while at < len(lines):
        line = lines[at]
        fence = re.match(r"(\s*)```(.*)$", line)
        if fence:
            end = next((k for k in range(at + 1, len(lines)) if lines[k].strip() == "```"), None)
            if end is None:
                raise Wrong(f"line {at + 1}: a block of code that does not end")
            text = [t[len(fence[1]):] for t in lines[at + 1:end]]
            language, _, words = fence[2].strip().partition(" ")
            if language == "console":
                steps.append((at + 1, "console", words, text))
            else:
                bad = next((k for k, t in enumerate(text) if COMMAND.match(t)), None)
                if not language or (bad is not None and language in ("text", "sh", "bash", "shell")):
                    raise Wrong(f"line {at + 1}: a block without a language, or with commands that are not marked: write ```console, and skip: WHY where it cannot be run")
                if words.startswith("file="):
                    steps.append((at + 1, "file", words[5:], text))
            at = end
        elif line.startswith("<!-- setup"):
            end = next(k for k in range(at, len(lines)) if "-->" in lines[k])
            steps.append((at + 1, "setup", "", lines[at + 1:end]))
            at = end
        elif line.startswith("    ") and COMMAND.match(line):
            raise Wrong(f"line {at + 1}: a command that is not marked: write it in a block ```console")
        at += 1
    return steps


def commands_of(text, line):
    """[(line, command, [what it shows])] of a console block."""
    found = []
    for k, t in enumerate(text):
        if found and found[-1][1].endswith("\\") and not found[-1][2]:
            found[-1][1] += "\n" + t
        elif t.startswith("$ "):
            found.append([line + 1 + k, t[2:], []])
        elif found:
            found[-1][2].append(t)
        else:
            raise Wrong(f"line {line + 1 + k}: output before any command")
    return found


# ---- comparing ------------------------------------------------------------------------------------------------------------------------

def pattern(shown, is_beginning=False):
    parts = []
    for t in shown:
        t = t.rstrip()
        parts.append(r"(?:.*\n)*?" if t == "…" else ".*?".join(re.escape(p) for p in t.split("…")) + r"[ \t]*\n")
    return re.compile("".join(parts) + ("" if is_beginning else r"\n*\Z"))


def is_as_shown(shown, out, err, is_beginning=False):
    while shown and not shown[-1].strip():
        shown = shown[:-1]
    texts = [re.sub(r"\r", "", t if t.endswith("\n") or not t else t + "\n") for t in (out, err)]
    wanted = pattern(shown, is_beginning)
    return any(wanted.match(t) for t in (texts[0], texts[1] + texts[0], texts[0] + texts[1], texts[1]))


# ---- running ----------------------------------------------------------------------------------------------------------------------------

def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Shell:
    """A bash for one page: folders and variables last from command to command."""

    def __init__(self, place, store):
        self.place, self.port, self.n, self.running = place, free_port(), 0, []
        work, home = place / "work", place / "home"
        (work / "build").mkdir(parents=True)
        home.mkdir()
        for entry in ROOT.iterdir():
            if entry.name not in ("build", "runs") and not entry.name.startswith("."):
                (work / entry.name).symlink_to(entry)
        (place / "bin").mkdir()
        for link in (place / "bin/starchat", work / "build/starchat"):
            link.symlink_to(PROGRAM)
        if store:
            shutil.copytree(store, home / ".local/share/starchat/models", copy_function=link_or_copy)
        env = {k: v for k, v in os.environ.items() if not k.startswith(("STARCHAT_", "HF_", "XDG_", "OPENAI_"))}
        env.update(HOME=str(home), PATH=f"{place / 'bin'}:{os.environ['PATH']}", SOURCE=str(ROOT), LC_ALL="C.UTF-8", NO_COLOR="1", HF_HUB_OFFLINE="1",
                   STARCHAT_SERVE_PORT=str(self.port))
        self.read, write = os.pipe()
        self.bash = subprocess.Popen(["bash"], cwd=work, env=env, stdin=subprocess.PIPE, text=True, pass_fds=[write], start_new_session=True)
        self.status_fd = write
        os.close(write)
        self.run(PRELUDE, 60)

    def feed(self, command, tail):
        self.n += 1
        paths = [self.place / f"{self.n}.{kind}" for kind in ("sh", "out", "err")]
        paths[0].write_text(command.replace("127.0.0.1:8080", f"127.0.0.1:{self.port}") + "\n")
        self.bash.stdin.write(f". '{paths[0]}' </dev/null >'{paths[1]}' 2>'{paths[2]}' {tail}\n")
        self.bash.stdin.flush()
        return paths[1:]

    def texts(self, paths):
        return [p.read_text(errors="replace").replace(f"127.0.0.1:{self.port}", "127.0.0.1:8080") if p.exists() else "" for p in paths]

    def run(self, command, limit):
        """(exit code, stdout, stderr); None: still running after `limit` seconds."""
        paths = self.feed(command, f"; echo $? >&{self.status_fd}")
        os.set_blocking(self.read, False)
        until, got = time.monotonic() + limit, b""
        while b"\n" not in got:
            try:
                got += os.read(self.read, 100)
            except BlockingIOError:
                if time.monotonic() > until or self.bash.poll() is not None:
                    return None, *self.texts(paths)
                time.sleep(0.005)
        return int(got), *self.texts(paths)

    def start(self, command, shown, limit=60):
        paths = self.feed(command, "&")
        until = time.monotonic() + limit
        while time.monotonic() < until:
            out, err = self.texts(paths)
            if (out or err or not shown) and is_as_shown(shown, out, err, True):
                return
            time.sleep(0.05)
        raise Wrong("what it shows did not come:\n" + "".join(self.texts(paths))[:1000])

    def close(self):
        try:
            os.killpg(self.bash.pid, signal.SIGTERM)
            self.bash.wait(20)
        except (ProcessLookupError, subprocess.TimeoutExpired):
            os.killpg(self.bash.pid, signal.SIGKILL)
        self.bash.stdin.close()
        os.close(self.read)


def link_or_copy(a, b):
    try:
        os.link(a, b)
    except OSError:
        shutil.copy2(a, b)


def real_store():
    """The folder of stored models, where the real model is among them; else None."""
    home = pathlib.Path(os.environ.get("STARCHAT_HOME") or pathlib.Path(os.environ.get("XDG_DATA_HOME") or pathlib.Path.home() / ".local/share") / "starchat")
    listed = subprocess.run([PROGRAM, "list"], capture_output=True, text=True).stdout
    return home / "models" if REAL in listed and (home / "models").is_dir() else None


def run_page(page):
    """(commands that ran, commands left out)."""
    steps, n, left = steps_of(page), 0, 0
    if not any(kind == "console" for _, kind, _, _ in steps):
        return 0, 0
    store = real_store() if REAL in page.read_text() else None
    is_missing = REAL in page.read_text() and not store
    place = pathlib.Path(tempfile.mkdtemp(prefix="starchat-docs-"))
    shell = Shell(place, store)
    try:
        for line, kind, words, text in steps:
            if kind == "file":
                target = place / "work" / words
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_text("\n".join(text) + "\n")
                continue
            if kind == "setup":
                code, out, err = shell.run("\n".join(text), 120)
                if code != 0:
                    raise Wrong(f"line {line}: the set-up ends with {code}: {err or out}")
                continue
            commands, skip, words = commands_of(text, line), words.partition("skip:")[2].strip(), words.partition("skip:")[0].split()
            wanted = next((int(w[5:]) for w in words if w.startswith("exit=")), 0)
            if skip or ("slow" in words and not IS_SLOW):
                left += len(commands)
                continue
            if is_missing:
                raise Skipped(f"{REAL} is not in the store")
            for at, command, shown in commands:
                if "background" in words:
                    shell.start(command, shown)
                    n += 1
                    continue
                began = time.monotonic()
                code, out, err = shell.run(command, 3600 if IS_SLOW else 120)
                if os.environ.get("SHOW_TIMES"):
                    print(f"  {time.monotonic() - began:7.2f} s  {command}")
                said = (out + err)[-3000:]
                if code != wanted:
                    raise Wrong(f"line {at}: `{command}` ends with {code}, expected {wanted}:\n{said}")
                if any(t.strip() for t in shown) and not is_as_shown(shown, out, err):
                    raise Wrong(f"line {at}: `{command}` prints something else than the page shows:\n{said}")
                n += 1
        return n, left
    finally:
        shell.close()
        shutil.rmtree(place, ignore_errors=True)


# ---- names ------------------------------------------------------------------------------------------------------------------------------------

def help_of(*words):
    return subprocess.run([PROGRAM, "help", *words], capture_output=True, text=True).stdout


def parts_of(*words):
    return re.findall(r"^  ([a-z]+) +\S", help_of(*words).partition("Commands:\n")[2].partition("\n\n")[0], re.M)


def check_names():
    """Commands and options that pages name in `code` and in blocks are there."""
    options, names = {}, parts_of()
    common = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", help_of("--markdown").partition("## Common options")[2].partition("\n## ")[0]))
    for c in names:
        options[c] = set(re.findall(r"(?<![\w-])--?[a-z][a-z0-9-]*", help_of("--markdown", c))) | common
    wrong = []
    for page in PAGES:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for text in re.findall(r"`([^`]*)`", line) + ([line] if re.match(r"\s*(\$ )?(build/)?starchat ", line) else []):
                for use in re.findall(r"(?<![\w/.-])starchat ([a-z]+)((?: [^|;&#\n]*)?)", re.sub(r"'[^']*'|\"[^\"]*\"", "", text)):
                    command = use[0]
                    if command not in names:
                        wrong.append(f"{page.relative_to(ROOT)}:{number}: starchat has no command \"{command}\"")
                        continue
                    for option in re.findall(r"(?<=\s)--?[a-z][\w-]*", use[1]):
                        known = option in options[command] or option.replace("--no-", "--") in options[command] or (command == "train" and option == "--deepspeed")
                        if not known and not (len(option) > 2 and option[1] != "-" and option[:2] in options[command]):
                            wrong.append(f"{page.relative_to(ROOT)}:{number}: starchat {command} has no option {option}")
    if wrong:
        raise Wrong("\n".join(wrong))
    return f"{len(names)} commands"


def check_paths():
    """Files of the source tree that pages name in `code` are there (a "*" stands for anything)."""
    wrong, n = [], 0
    for page in PAGES:
        for number, line in enumerate(page.read_text().splitlines(), 1):
            for path in re.findall(r"`((?:bench|deploy|include|prompts|protocols|recipes|src|tasks|tests|tools|web)/[\w./*-]+)`", line):
                n += 1
                if not any(True for _ in ROOT.glob(path.rstrip("/"))):
                    wrong.append(f"{page.relative_to(ROOT)}:{number}: there is no {path}")
    if wrong:
        raise Wrong("\n".join(wrong))
    return f"{n} paths"


def check_environment():
    """Every variable that the source reads stands in the reference."""
    told = help_of("--markdown").partition("## Environment")[2]
    read = set()
    for source in (ROOT / "src").rglob("*.c"):
        read |= set(re.findall(r"(?:getenv|variable|variable_is_true)\(\"([A-Z][A-Z_0-9]*)\"", source.read_text()))
        if "hub_env" in source.name:
            read |= set(re.findall(r"\"([A-Z][A-Z_0-9]{4,})\"", source.read_text()))
    missing = sorted(v for v in read if v not in ("HOME",) and not re.search(rf"(?<![A-Z_]){v}(?![A-Z_])", told.replace("\\", "")))
    if missing:
        raise Wrong(f"read by the program, not told by help_environment: {', '.join(missing)}")
    return f"{len(read)} variables"


def check_targets():
    """The page about tests names every fuzz target, and none that is gone."""
    there = {p.stem[5:] for p in (ROOT / "tests/fuzz").glob("fuzz_*.c")}
    section = (ROOT / "docs/assurance.md").read_text().partition("## Fuzz targets")[2].partition("\n## ")[0]
    told = set(re.findall(r"`([a-z0-9_]+)`", section))
    if there != told:
        raise Wrong(f"docs/assurance.md, fuzz targets: not named {sorted(there - told)}, named but not there {sorted(told - there)}")
    return f"{len(there)} targets"


def check_site():
    if subprocess.run(["pkg-config", "--exists", "md4c-html"]).returncode:
        raise Skipped("the pages need libmd4c-html0-dev and libmd4c-dev")
    done = subprocess.run(["make", "-s", "site", f"BUILD={PROGRAM.parent.relative_to(ROOT)}"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stderr)
    pages = [p for p in (PROGRAM.parent / "site").glob("*.html")]
    for p in pages:
        text = p.read_text()
        if "<script" in text or re.search(r"(src|href)=\"https?://[^\"]*\.(css|js|png|svg)\"", text):
            raise Wrong(f"{p.name} needs a script or something from the network")
    return done.stdout.strip()


def check_api():
    if not shutil.which("doxygen"):
        raise Skipped("the pages of the library need doxygen")
    done = subprocess.run(["make", "-s", "api-docs", f"BUILD={PROGRAM.parent.relative_to(ROOT)}"], cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise Wrong(done.stderr)
    site = PROGRAM.parent / "site"
    links = {m for p in site.glob("*.html") for m in re.findall(r'href="(api/[^"#]*)', p.read_text())}
    if not links or any(not (site / link).exists() for link in links):
        raise Wrong(f"pages link to what Doxygen did not make: {sorted(links)}")
    return "no warnings"


PAGES = [pathlib.Path(a).resolve() for a in sys.argv[2:] if a.endswith(".md")] or sorted((ROOT / "docs").glob("*.md"))


def main():
    passed = failed = 0
    checks = [(str(p.relative_to(ROOT)), lambda p=p: "{} commands, {} left out".format(*run_page(p))) for p in PAGES]
    if not any(a.endswith(".md") for a in sys.argv[2:]):
        checks += [("names of commands and options", check_names), ("files of the tree", check_paths), ("environment", check_environment), ("fuzz targets", check_targets), ("site", check_site), ("library", check_api)]
    for name, check in checks:
        began = time.monotonic()
        try:
            print(f"ok {name}: {check()} ({time.monotonic() - began:.1f} s)")
            passed += 1
        except Skipped as why:
            print(f"skipped: {name}: {why}")
        except Wrong as why:
            print(f"FAILED {name}: {why}")
            failed += 1
        sys.stdout.flush()
    print(f"{passed} passed, {failed} failed")
    return failed != 0 or passed == 0


if __name__ == "__main__":
    sys.exit(main())
