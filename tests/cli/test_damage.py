"""Damaged model files through the program: `show`, `complete` and `convert` must each end with exit status 1, one sentence
that names the file, nothing on standard output, and no new file. Standard library only.

Run: python3 tests/cli/test_damage.py [PROGRAM]       Last line: "N passed, N failed"
"""
import json
import pathlib
import resource
import shutil
import subprocess
import sys
import tempfile

from damage import CONFIG_TEXTS, CONFIG_VALUES, FILES, GGUF_BYTES, GGUF_CHANGES, INDEX_CHANGES, SAFETENSORS_CHANGES, Gguf, Safetensors

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else ROOT / "build/starchat").resolve())
BYTES = ROOT / "tests/golden/tokenizers/bytes"
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-damage-"))
GOOD, GOOD_GGUF, SHARDED = SCRATCH / "good", SCRATCH / "good.gguf", SCRATCH / "sharded"
PEAK_KB = 300000        # what a damaged file of some kilobytes may make the program take
passed = failed = 0


def run(*args):
    done = subprocess.run([PROGRAM, *map(str, args)], stdin=subprocess.DEVNULL, capture_output=True, timeout=60,
                          env={"HOME": str(SCRATCH), "STARCHAT_HOME": str(SCRATCH / "store"), "HF_HUB_OFFLINE": "1", "LC_ALL": "C.UTF-8"})
    return done.returncode, done.stdout.decode(errors="replace"), done.stderr.decode(errors="replace")


def make_good():
    for out in (GOOD, GOOD_GGUF):
        code, _, message = run("init", BYTES / "config.json", out, "--tokenizer", BYTES / "tokenizer.json", "--type", "f32", "-q")
        assert code == 0, message
    whole = Safetensors(GOOD / "model.safetensors")
    shutil.copytree(GOOD, SHARDED)
    (SHARDED / "model.safetensors").unlink()
    names, index = sorted(whole.header.keys() - {"__metadata__"}), {}
    for k, part in enumerate((names[::2], names[1::2])):
        file, data, header = f"model-0000{k + 1}-of-00002.safetensors", b"", {}
        for name in part:
            begin, end = whole.header[name]["data_offsets"]
            header[name] = dict(whole.header[name], data_offsets=[len(data), len(data) + end - begin])
            data += whole.data[begin:end]
            index[name] = file
        shard = Safetensors(GOOD / "model.safetensors")
        shard.header, shard.data = header, data
        (SHARDED / file).write_bytes(shard.bytes())
    (SHARDED / "model.safetensors.index.json").write_text(json.dumps({"metadata": {}, "weight_map": index}))
    for model in (GOOD, GOOD_GGUF, SHARDED):
        for args in (("show", model), ("complete", model, "-p", "x", "-n", "2")):
            code, out, message = run(*args)
            assert code == 0 and out, (args, message)


def problem(args, path, part):
    """What is wrong with how the program refuses, None if nothing is."""
    code, out, message = run(*args)
    if code != 1:
        return f"exit status {code}, {message[:300]}"
    if out:
        return f"standard output {out[:100]!r}"
    lines = message.rstrip("\n").split("\n")
    if len(lines) != 1 or not message.startswith("starchat: ") or len(message) < 40 or not lines[0].isprintable():
        return f"no single sentence: {message[:300]!r}"
    if str(path) not in message and path.name not in message:
        return f"does not name the file: {message!r}"
    if part not in message:
        return f"expected {part!r} in {message!r}"
    return None


def check(kind, name, path, part):
    global passed, failed
    before = set(SCRATCH.iterdir())
    found = problem(("show", path), path, part) or problem(("complete", path, "-p", "x", "-n", "2"), path, part)
    found = found or problem(("convert", path, SCRATCH / "converted.gguf"), path, part)
    if not found and set(SCRATCH.iterdir()) != before:
        found = f"left {set(SCRATCH.iterdir()) - before}"
    passed, failed = passed + (not found), failed + bool(found)
    print("ok    " if not found else "FAILED", f"{kind}: {name}", found or "")


def damage_gguf():
    path = SCRATCH / "bad.gguf"
    for name, part, change in GGUF_CHANGES:
        g = Gguf(GOOD_GGUF)
        assert g.bytes() == g.raw
        change(g)
        path.write_bytes(g.bytes())
        check("GGUF", name, path, part)
    for name, part, change in GGUF_BYTES:
        path.write_bytes(change(GOOD_GGUF.read_bytes()))
        check("GGUF", name, path, part)


def fresh(source):
    path = SCRATCH / "bad"
    shutil.rmtree(path, ignore_errors=True)
    shutil.copytree(source, path)
    return path


def damage_directory():
    config = json.loads((GOOD / "config.json").read_text())
    for name, part, change in SAFETENSORS_CHANGES:
        path, s = fresh(GOOD), Safetensors(GOOD / "model.safetensors")
        change(s)
        (path / "model.safetensors").write_bytes(s.bytes())
        check("safetensors", name, path, part)
    for name, part, change in CONFIG_TEXTS:
        path = fresh(GOOD)
        (path / "config.json").write_text(change(config))
        check("config.json", name, path, part)
    for name, part, key, value in CONFIG_VALUES:
        path = fresh(GOOD)
        changed = dict(config, **{key: value}) if value is not None else {k: v for k, v in config.items() if k != key}
        (path / "config.json").write_text(json.dumps(changed))
        check("config.json", name, path, part)
    for name, part, file, text in FILES:
        path = fresh(GOOD)
        (path / file).write_bytes(text if isinstance(text, bytes) else text.encode())
        check("directory", name, path, part)


def damage_index():
    for name, part, change in INDEX_CHANGES:
        path = fresh(SHARDED)
        index = json.loads((path / "model.safetensors.index.json").read_text())
        change(path, index)
        (path / "model.safetensors.index.json").write_text(json.dumps(index))
        check("index", name, path, part)


def damage_whole():
    path = fresh(GOOD)
    (path / "config.json").unlink()
    check("directory", "no config.json", path, "no config.json")
    path = fresh(GOOD)
    (path / "model.safetensors").rename(path / "pytorch_model.bin")
    check("directory", "pickle", path, "safetensors")
    path = SCRATCH / "bad.bin"
    path.write_bytes(b"PK\3\4" + bytes(100))
    check("file", "pickle", path, "pickle")
    path.unlink()


def main():
    global failed
    try:
        make_good()
        damage_gguf()
        damage_directory()
        damage_index()
        damage_whole()
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss
        print(f"       peak memory of the program: {peak} KB")
        if peak > PEAK_KB:
            failed += 1
            print(f"FAILED memory: {peak} KB, expected at most {PEAK_KB}")
    finally:
        shutil.rmtree(SCRATCH)
    print(f"{passed} passed, {failed} failed")
    return failed > 0 or not passed


if __name__ == "__main__":
    sys.exit(main())
