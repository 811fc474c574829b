"""`starchat init` and `convert` as jobs on files: what is refused, what an interrupt, a kill and a full disk leave behind,
and how much memory they take. Standard library only.

Run: python3 tests/cli/test_convert.py [PROGRAM] [NAME...]       Last line: "N passed, N failed"
"""
import json
import os
import pathlib
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-convert-"))
# 27 million parameters: 108 MB as f32, of which the largest tensor is 12 MB.
LARGE = dict(model_type="llama", vocab_size=512, hidden_size=1024, intermediate_size=3072, num_hidden_layers=2, num_attention_heads=8,
             max_position_embeddings=64)
LARGEST_KB = 3072 * 1024 * 4 // 1024


class Skipped(Exception):
    pass


def run(*args, cwd=None, code=0):
    done = subprocess.run([PROGRAM, *map(str, args)], cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == code, (done.returncode, args, done.stderr)
    return done.stderr


def make_small():
    model = SCRATCH / "small"
    if not model.exists():
        run("init", BYTES / "config.json", model, "--tokenizer", BYTES / "tokenizer.json", "-q")
    return model


def make_large():
    model = SCRATCH / "large"
    if not model.exists():
        (SCRATCH / "large.json").write_text(json.dumps(LARGE))
        run("init", SCRATCH / "large.json", model, "-q")
    return model


def state(path):
    return {p.relative_to(path): p.stat().st_mtime_ns for p in path.rglob("*")}


def test_existing_output_is_kept():
    model = make_small()
    file, folder = SCRATCH / "kept.gguf", SCRATCH / "kept"
    file.write_text("mine")
    folder.mkdir()
    (folder / "notes.txt").write_text("mine")
    for out in (file, folder):
        for command in (("convert", model), ("init", BYTES / "config.json")):
            message = run(*command, out, code=1)
            assert "exists already" in message and "--overwrite" in message and out.name in message, message
    assert file.read_text() == "mine" and list(folder.iterdir()) == [folder / "notes.txt"]
    run("convert", model, file, "--overwrite", "-q")
    run("convert", model, folder, "--overwrite", "-q")
    assert file.read_bytes()[:4] == b"GGUF" and (folder / "model.safetensors").exists()
    assert (folder / "notes.txt").read_text() == "mine"


def test_same_path_is_refused():
    model = make_small()
    file, link = SCRATCH / "same.gguf", SCRATCH / "link.gguf"
    run("convert", model, file, "-q")
    link.symlink_to(file)
    (SCRATCH / "alias").symlink_to(model)
    before = state(model), file.read_bytes()
    for source, target in ((model, model), (model, f"{model}/"), (model, SCRATCH / "alias"), (file, file), (link, file), (file, link),
                           (file, SCRATCH / "small/../same.gguf")):
        message = run("convert", source, target, "--overwrite", code=1)
        assert "onto itself" in message, message
    assert (state(model), file.read_bytes()) == before


def test_other_refusals_leave_nothing():
    model = make_small()
    before = state(SCRATCH)
    for args, part in ((("convert", model, SCRATCH / "x", "--type", "q4_0"), ".gguf"), (("convert", SCRATCH / "none", SCRATCH / "x"), "none"),
                       (("convert", model, SCRATCH / "none/x.gguf"), "none/x.gguf"), (("init", SCRATCH / "none.json", SCRATCH / "x"), "none.json"),
                       (("init", BYTES / "config.json", SCRATCH / "x.gguf", "--tokenizer", SCRATCH / "none.json"), "none.json")):
        message = run(*args, code=1)
        assert part in message and message.count("\n") == 1, message
    assert state(SCRATCH) == before


def grown(folder):
    """Whether a temporary file there has some MiB; it may be renamed or removed meanwhile."""
    try:
        return any(p.is_file() and p.stat().st_size > 1 << 22 for p in folder.rglob("*.tmp-*"))
    except FileNotFoundError:
        return False


def stopped(signal_number, *args):
    """Starts a job, stops it as soon as its temporary file has grown, and gives its exit status and what it left."""
    folder = pathlib.Path(tempfile.mkdtemp(dir=SCRATCH))
    job = subprocess.Popen([PROGRAM, *map(str, args), "--threads", "1"], cwd=folder, stderr=subprocess.PIPE, text=True)
    end = time.monotonic() + 60
    while time.monotonic() < end and job.poll() is None and not grown(folder):
        time.sleep(0.002)
    assert job.poll() is None, "it ended before it could be stopped"
    job.send_signal(signal_number)
    message = job.communicate(timeout=60)[1]
    return job.returncode, message, sorted(p.name for p in folder.iterdir())


def test_interrupt_leaves_nothing():
    model = make_large()
    for args in (("convert", model, "out.gguf", "--type", "q4_k_m"), ("convert", model, "out", "--type", "bf16"),
                 ("init", SCRATCH / "large.json", "out.gguf", "--type", "q8_0"), ("init", SCRATCH / "large.json", "out")):
        code, message, left = stopped(signal.SIGINT, *args)
        assert code == 130 and not left, (args, code, message, left)


def test_kill_leaves_no_half_file():
    model = make_large()
    for out in ("out.gguf", "out"):
        code, message, left = stopped(signal.SIGKILL, "convert", model, out, "--type", "f16")
        assert code == -signal.SIGKILL and out not in left, (code, message, left)


def test_full_disk():
    """In a name space of its own, where a disk of 24 MB can be mounted."""
    model = make_large()
    disk = SCRATCH / "disk"
    disk.mkdir()
    script = ('mount -t tmpfs -o size=24m none "$1" 2>/dev/null || exit 77; shift; for out in out.gguf out; do "$1" convert "$2" "$3/$out" '
              '--type f16 -q; echo "$?"; done >&2; ls "$3"')
    done = subprocess.run(["unshare", "-rm", "sh", "-c", script, "sh", disk, PROGRAM, model, disk], capture_output=True, text=True)
    if done.returncode == 77 or "unshare" in done.stderr:
        raise Skipped("this system allows no mount for the test")
    lines = done.stderr.splitlines()
    assert len(lines) == 4 and lines[1] == lines[3] == "1", done.stderr
    for line, name in ((lines[0], "out.gguf"), (lines[2], "out")):
        assert name in line and ("no room" in line or "No space left" in line), line
    assert done.stdout == "", f"left {done.stdout}"


def peak(*args):
    """Peak memory of the program in KB."""
    child = os.fork()
    if child == 0:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        # AddressSanitizer keeps freed memory for a while; here what counts is what is in use.
        os.environ["ASAN_OPTIONS"] = os.environ.get("ASAN_OPTIONS", "") + ":quarantine_size_mb=0"
        os.execv(PROGRAM, [PROGRAM, *map(str, args)])
    _, status, usage = os.wait4(child, 0)
    assert status == 0, (status, args)
    return usage.ru_maxrss


def test_memory_is_a_few_slices():
    model = make_large()
    size = (model / "model.safetensors").stat().st_size // 1024
    base = peak("convert", make_small(), SCRATCH / "base.gguf", "--overwrite")
    rows = [("init", SCRATCH / "large.json", SCRATCH / "m"), ("convert", model, SCRATCH / "m.gguf"), ("convert", SCRATCH / "m.gguf", SCRATCH / "m"),
            ("convert", model, SCRATCH / "q.gguf", "--type", "q4_k_m"), ("convert", SCRATCH / "q.gguf", SCRATCH / "q8.gguf", "--type", "q8_0")]
    for args in rows:
        kb = peak(*args, "--overwrite", "-q")
        print(f"       {args[0]} {pathlib.Path(args[1]).name} {pathlib.Path(args[2]).name}: peak {kb} KB of {size} KB")
        assert kb < base + 3 * LARGEST_KB + 16000, (kb, base)


def test_calibration():
    model, text, kept = make_small(), SCRATCH / "examples.txt", SCRATCH / "kept.imatrix.gguf"
    text.write_text("def add(a, b):\n    return a + b\n\n" * 40)
    message = run("convert", model, SCRATCH / "c1.gguf", "--type", "q4_0", "--calibrate", text, "--imatrix", kept, "--threads", "1")
    assert "Wrote" in message, message
    run("convert", model, SCRATCH / "c2.gguf", "--type", "q4_0", "--imatrix", kept, "--threads", "2", "-q")
    run("convert", model, SCRATCH / "c3.gguf", "--type", "q4_0", "-q")
    run("convert", model, SCRATCH / "c4.gguf", "--type", "q4_0", "--calibrate", text, "--calibrate-tokens", "256", "-q")
    first, again, without, less = ((SCRATCH / f"c{i}.gguf").read_bytes() for i in (1, 2, 3, 4))
    assert first == again and without not in (first, less) and kept.read_bytes()[:4] == b"GGUF"
    message = run("convert", model, SCRATCH / "c5.gguf", "--type", "q4_0", "--calibrate", text, "--imatrix", kept, code=1)
    assert "kept.imatrix.gguf exists already" in message and "--overwrite" in message, message
    message = run("convert", model, SCRATCH / "c5.gguf", "--type", "q4_0", "--imatrix", SCRATCH / "c1.gguf", code=1)
    assert "no importance matrix" in message and "--calibrate" in message, message
    message = run("convert", model, SCRATCH / "c5.gguf", "--type", "f16", "--calibrate", text, code=1)
    assert "changes nothing of type f16" in message and "q4_k_m" in message, message
    assert not (SCRATCH / "c5.gguf").exists()


def main():
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    os.environ.update(HOME=str(SCRATCH), STARCHAT_HOME=str(SCRATCH / "store"), HF_HUB_OFFLINE="1", LC_ALL="C.UTF-8")
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    try:
        for name, run_test in tests:
            try:
                run_test()
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
