#!/usr/bin/env python3
"""`make install` as a package maker uses it: every file in its place, a program linked with either library, manual pages that no reader complains
about, completions in the shells themselves, the service's unit; and `make uninstall` leaves nothing.

Run: python3 tests/cli/test_install.py [PROGRAM]      Last line: "N passed, N failed". A shell or checker that is not installed skips by a line.
"""
import json
import os
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BUILD = pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else "build/starchat").resolve().parent
PREFIX, LIBDIR = "opt/tools", "opt/tools/lib/x86_64-linux-gnu"
SOURCE = r"""
#include <stdio.h>
#include <starchat.h>
int main(void) { sc_text names = { 0 }; sc_error err; if (sc_store_names(&names, &err) != SC_OK) return 1; puts(sc_version()); sc_text_free(&names); return 0; }
"""
passed = failed = 0


def check(name, ok, detail=""):
    global passed, failed
    passed, failed = passed + bool(ok), failed + (not ok)
    if not ok:
        print(f"FAILED {name}: {str(detail)[:1500]}")


def has(program):
    if shutil.which(program):
        return True
    print(f"skipped: {program} is not installed")
    return False


def run(*command, **more):
    done = subprocess.run([str(c) for c in command], stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300, stdin=subprocess.DEVNULL, **more)
    return done.returncode, done.stdout


def make(target, stage, **places):
    words = [f"{name}={value}" for name, value in places.items()]
    return run("make", "--no-print-directory", "-C", ROOT, target, f"BUILD={BUILD.relative_to(ROOT)}", f"DESTDIR={stage}", *words)


def files(directory):
    return sorted(str(p.relative_to(directory)) for p in directory.rglob("*") if not p.is_dir() or p.is_symlink())


def test_files(stage):
    found = set(files(stage))
    version = (ROOT / "Makefile").read_text().split("VERSION  := ")[1].split("\n")[0]
    soname = "libstarchat.so." + version.split(".")[0]
    want = [f"{PREFIX}/bin/starchat", f"{LIBDIR}/libstarchat.a", f"{LIBDIR}/libstarchat.so", f"{LIBDIR}/{soname}", f"{LIBDIR}/pkgconfig/starchat.pc",
            f"{PREFIX}/share/man/man1/starchat.1", f"{PREFIX}/share/man/man1/starchat-data-show.1", f"{PREFIX}/share/bash-completion/completions/starchat",
            f"{PREFIX}/share/zsh/site-functions/_starchat", f"{PREFIX}/share/fish/vendor_completions.d/starchat.fish", f"{PREFIX}/lib/systemd/system/starchat.service",
            f"{PREFIX}/etc/starchat/serve.yaml", f"{PREFIX}/share/doc/starchat/README.md", f"{PREFIX}/share/doc/starchat/examples/recipes/demo.yaml"]
    want += [f"{PREFIX}/include/{p.name}" for p in (ROOT / "include").glob("*.h")]
    want += [f"{PREFIX}/lib/starchat/{p.name}" for p in BUILD.glob("starchat-*.so")]
    check("every file is in its place", not set(want) - found, set(want) - found)
    check("nothing is outside PREFIX", all(f.startswith(PREFIX) for f in found), [f for f in found if not f.startswith(PREFIX)])
    unit = (stage / PREFIX / "lib/systemd/system/starchat.service").read_text()
    check("no place in the unit is left open", not re.search("@[A-Z]+@", unit) and f"ExecStart=/{PREFIX}/bin/starchat" in unit, unit)


def exported(library, *options):
    code, text = run("nm", *options, "--defined-only", library)
    return {line.split()[-1].split("@")[0] for line in text.splitlines() if len(line.split()) == 3 and line.split()[1] in "TDBRV"} if code == 0 else {text}


def test_library(stage):
    declared = set()
    for header in (ROOT / "include").glob("*.h"):
        declared |= set(re.findall(r"^SC_API[^;(]*?\b(sc_\w+)\s*\(", header.read_text(), re.M))
    shared = exported(stage / LIBDIR / "libstarchat.so", "-D")
    check("the shared library shows what the headers declare", shared == declared, sorted(shared ^ declared))
    static = exported(stage / LIBDIR / "libstarchat.a", "-g")
    check("the static library shows the same", static == declared, sorted(static ^ declared))
    symbols = set(re.findall(r"^ (sc_\w+)@STARCHAT_0 ", (ROOT / "debian/libstarchat0.symbols").read_text(), re.M))
    check("debian/libstarchat0.symbols names them all; tools/update_symbols.sh brings it up to date", symbols == declared, sorted(symbols ^ declared))


def test_link(stage):
    if not (has("cc") and has("pkg-config")):
        return
    (stage / "use.c").write_text(SOURCE)
    environment = dict(os.environ, PKG_CONFIG_LIBDIR=str(stage / LIBDIR / "pkgconfig"), PKG_CONFIG_SYSROOT_DIR="")
    where = ["-I", stage / PREFIX / "include", stage / "use.c", "-o", stage / "use"]
    code, flags = run("pkg-config", "--cflags", "--libs", "starchat", env=environment)
    check("pkg-config knows the library without any other", code == 0 and "-lstarchat" in flags and "include" in flags, flags)
    code, text = run("cc", *where, "-L", stage / LIBDIR, "-lstarchat")
    code, text = run(stage / "use", env=dict(os.environ, LD_LIBRARY_PATH=str(stage / LIBDIR))) if code == 0 else (code, text)
    check("a program with the shared library runs", code == 0 and re.fullmatch(r"\d+\.\d+\.\d+\n", text), text)
    code, private = run("pkg-config", "--static", "--libs-only-l", "--libs-only-other", "starchat", env=environment)
    code, text = run("cc", *where, stage / LIBDIR / "libstarchat.a", *[f for f in private.split() if f != "-lstarchat"])
    code, text = run(stage / "use") if code == 0 else (code, text)
    check("a program with the static library runs", code == 0, text)


def complaints(page):
    said = []
    if shutil.which("groff"):
        said.append(run("groff", "-ww", "-mandoc", "-Tutf8", "-z", page)[1])
    if shutil.which("mandoc"):
        said.append(run("mandoc", "-Tlint", "-Wwarning", page)[1])
    if shutil.which("lexgrog"):
        code, text = run("lexgrog", page)
        said.append(text if code else "")
    return "".join(said)


def test_manual(stage):
    for program in ("groff", "mandoc", "lexgrog"):
        has(program)
    pages = sorted((stage / PREFIX / "share/man/man1").glob("*.1"))
    bad = {p.name: said for p in pages if (said := complaints(p))}
    check("no reader complains about a manual page", pages and not bad, bad)
    names = {p.stem for p in pages}
    referred = {r.replace("\\-", "-") for p in pages for r in re.findall(r"^\.BR (\S+) \(1\)", p.read_text(), re.M)}
    check("pages name only pages that there are", referred and referred <= names, referred - names)


BASH = r"""
. "$1"
try() { COMP_WORDS=("$@"); COMP_CWORD=$((${#COMP_WORDS[@]} - 1)); COMPREPLY=(); _starchat; echo "${COMPREPLY[*]}"; }
try starchat tok; try starchat complete --cache-type ""; try starchat data sh; try starchat chat mo; try starchat completion z
"""
# A terminal is what zsh completes in: zpty has one.
ZSH = r"""
zmodload zsh/zpty
zpty z zsh -f -i
zpty -w z "PS1=; stty -echo; unsetopt zle_bracketed_paste 2>/dev/null; fpath=(${1:h:q} \$fpath); autoload -Uz compinit; compinit -u -D; LISTMAX=0"
zpty -w z 'zstyle ":completion:*" list-prompt ""; compdef _starchat starchat; reply() { compadd() { local -a a; builtin compadd -A a "$@"; print -r -- "got: $a" >> '"${2:q}"'; builtin compadd "$@" }; _main_complete "$@" }; zle -C reply list-choices reply; bindkey "^X" reply; print ready >> '"${2:q}"
ready() { for i in {1..200}; do [[ -f $1 && $(grep -c "$2" $1) -ge $3 ]] && return; sleep 0.05; done }
ready "$2" ready 1
n=0
for line in "starchat tok" "starchat complete --cache-type " "starchat data sh" "starchat chat mo" "starchat completion z"; do
    print -r -- "== $line" >> "$2"
    zpty -w -n z "$line"$'\x18'
    for i in {1..60}; do [[ -n $(sed -n "/^== ${line}\$/,\$p" "$2" | grep '^got: .') ]] && break; sleep 0.05; done
    sleep 0.1
    zpty -w -n z $'\x15'
done
zpty -d z
"""
WORDS = {"starchat tok": "tokenize", "starchat complete --cache-type ": "q8_0", "starchat data sh": "show", "starchat chat mo": "model.gguf", "starchat completion z": "zsh"}


def completion_answers(shell, script, work, environment):
    if shell == "bash":
        return dict(zip(WORDS, run("bash", "--norc", "-c", BASH, "bash", script, cwd=work, env=environment)[1].split("\n")))
    if shell == "fish":
        return {line: run("fish", "--no-config", "-c", f"source {str(script)!r}; complete -C {line!r}", cwd=work, env=environment)[1] for line in WORDS}
    log = work / "log"
    said = run("zsh", "-f", "-c", ZSH, "zsh", script, log, cwd=work, env=environment)[1]
    text = log.read_text() if log.exists() else said
    return {part.split("\n", 1)[0]: part.split("\n", 1)[1] for part in text.split("== ")[1:]}


def test_completion(stage):
    scripts = {"bash": "share/bash-completion/completions/starchat", "zsh": "share/zsh/site-functions/_starchat", "fish": "share/fish/vendor_completions.d/starchat.fish"}
    work = stage / "work"
    for shell, place in scripts.items():
        if not has(shell):
            continue
        shutil.rmtree(work, ignore_errors=True)
        work.mkdir()
        (work / "model.gguf").touch()
        environment = dict(os.environ, PATH=f"{BUILD}:{os.environ['PATH']}", HOME=str(work), STARCHAT_HOME=str(work / "store"), TERM="xterm", LC_ALL="C.UTF-8")
        answers = completion_answers(shell, stage / PREFIX / place, work, environment)
        for line, word in WORDS.items():
            check(f"{shell} completes \"{line}\" to {word}", word in answers.get(line, "").split() or word in re.split(r"\s", answers.get(line, "")), answers)
            check(f"{shell} offers for \"{line}\" only what fits", "perplexity" not in answers.get(line, ""), answers)


def test_unit(stage):
    if not has("systemd-analyze"):
        return
    unit = stage / "starchat.service"
    text = (stage / PREFIX / "lib/systemd/system/starchat.service").read_text()
    unit.write_text(text.replace(f"ExecStart=/{PREFIX}/bin/starchat", f"ExecStart={BUILD}/starchat"))     # verify looks whether the program is there
    code, said = run("systemd-analyze", "verify", "--man=no", unit)
    said = "".join(line + "\n" for line in said.splitlines() if "starchat" in line)
    check("systemd has no complaint about the unit", not said, said)
    code, said = run("systemd-analyze", "security", "--offline=true", "--no-pager", unit)
    level = re.search(r"exposure level for \S+ ([0-9.]+)", said)
    check("the service is hardened (exposure at most 1.5)", level and float(level[1]) <= 1.5, said[-300:])


def test_doctor(stage):
    program = stage / PREFIX / "bin/starchat"
    bare = {"PATH": str(stage), "HOME": str(stage), "STARCHAT_DUCKDB": "/nowhere", "SSL_CERT_FILE": "/nowhere.pem"}
    code, said = run(program, "doctor", "--json", env=bare)
    try:
        tools = json.loads(said)["tools"]
    except ValueError:
        tools = {}
    script = stage / PREFIX / "share/starchat/duckdb.sh"
    hints = {"certificates": "/nowhere.pem", "DuckDB": str(script), "Python": "python3", "languages": "g++"}
    check("doctor names each thing that is missing, and the remedy", code == 0 and all(tools.get(k, {}).get("found") is False and v in (tools[k]["install"] or "") for k, v in hints.items()), said)
    check("the remedy for DuckDB can be run", os.access(script, os.X_OK))
    (stage / "python3").symlink_to("/bin/true")
    code, said = run(program, "doctor", env=dict(bare, SSL_CERT_FILE=__file__))
    check("doctor finds what is there", re.search(r"^Python +program found", said, re.M) and re.search(r"^certificates +\S+test_install.py found", said, re.M), said)


def test_uninstall(stage, places):
    config = stage / PREFIX / "etc/starchat/serve.yaml"
    config.write_text("model: mine\n")
    other = stage / PREFIX / "lib/other"
    other.write_text("of somebody else")
    code, said = make("install", stage, **places)
    check("a configuration that was changed stays at the next install", code == 0 and config.read_text() == "model: mine\n", said)
    code, said = make("uninstall", stage, **places)
    left = [f for f in files(stage) if f.startswith(PREFIX)]
    check("uninstall leaves a changed configuration and what is not ours", code == 0 and left == [f"{PREFIX}/etc/starchat/serve.yaml", f"{PREFIX}/lib/other"], (said, left))
    config.unlink()
    make("install", stage, **places)
    code, said = make("uninstall", stage, **places)
    left = [f for f in files(stage) if f.startswith(PREFIX)]
    check("uninstall leaves nothing of ours", code == 0 and left == [f"{PREFIX}/lib/other"], (said, left))
    ours = [str(p) for p in (stage / PREFIX).rglob("*starchat*")]
    check("nor directories", not ours, ours)


def main():
    with tempfile.TemporaryDirectory(prefix="starchat install ") as name:
        stage = pathlib.Path(name)
        places = {"PREFIX": f"/{PREFIX}", "LIBDIR": f"/{LIBDIR}"}
        code, said = make("install", stage, **places)
        check("make install", code == 0, said)
        if code == 0:
            for test in (test_files, test_library, test_link, test_manual, test_completion, test_unit, test_doctor):
                test(stage)
            test_uninstall(stage, places)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


sys.exit(main())
