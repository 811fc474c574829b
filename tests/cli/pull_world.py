"""What tests of the Hub's client share: a store, a cache and an environment of their own, and a hub to break. A test is a function
with the parameter `world`, and more where @each gives them values; several run at the same time, since most of their time is waiting."""
import concurrent.futures
import json
import os
import pathlib
import shutil
import struct
import subprocess
import sys
import tempfile
import time
import traceback

from fake_hub import FakeHub, Repo, sha256

ROOT = pathlib.Path(__file__).resolve().parents[2]
PROGRAM = str(pathlib.Path(sys.argv[1] if len(sys.argv) > 1 else os.environ.get("STARCHAT_PROGRAM", ROOT / "build/starchat")).resolve())
MODEL = ROOT / "tests/golden/models/llama_bf16"
HF_FILES = {name: (MODEL / name).read_bytes() for name in ("config.json", "model.safetensors")}
HF_FILES["README.md"] = b"# A model\n"
BIG = "model.safetensors"
AT_ONCE = 6


def make_gguf(n=20000):
    """A well-formed GGUF v3 file with one f32 tensor of n values."""
    def text(s):
        return struct.pack("<Q", len(s)) + s
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 1) + text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama")
    head += text(b"token_embd.weight") + struct.pack("<IQIQ", 1, n, 0, 0)
    head += b"\0" * (-len(head) % 32)
    data = b"".join(struct.pack("<f", i * 0.5) for i in range(min(n, 20000))) * (n // min(n, 20000))
    return head + data + b"\0" * (4 * n - len(data)) + b"\0" * (-4 * n % 32)


GGUF = make_gguf()


class Result:
    def __init__(self, done):
        self.status, self.out, self.err = done.returncode, done.stdout.decode().strip(), done.stderr.decode()
        self.path = pathlib.Path(self.out) if self.out else None


class World:
    """A store of its own, an environment of its own, and the hub."""

    def __init__(self, directory, hub):
        self.directory, self.hub, self.home = directory, hub, directory / "home"
        self.cache = directory / ".cache/huggingface/hub"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(directory), "STARCHAT_HOME": str(self.home), "HF_ENDPOINT": hub.url, "NO_COLOR": "1",
                    "PIP_CONFIG_FILE": "/dev/null", "PIP_INDEX_URL": hub.url + "/simple", "no_proxy": "*",
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}

    def start(self, *words, **env):
        return subprocess.Popen([PROGRAM, *map(str, words)], env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.directory)

    def run(self, *words, stdin=None, **env):
        done = subprocess.run([PROGRAM, *map(str, words)], env={**self.env, **env}, input=stdin if stdin is not None else b"", stdout=subprocess.PIPE, stderr=subprocess.PIPE, cwd=self.directory, timeout=120)
        return Result(done)

    def pull(self, *words, **env):
        return self.run("pull", *words, **env)

    def pulled(self, *words, **env):
        r = self.pull(*words, **env)
        assert r.status == 0, r.err
        return r

    def stored(self):
        models = self.home / "models"
        return sorted(p.name for p in models.iterdir()) if models.exists() else []

    def cached(self):
        """The cache as {path: text of a link, or bytes}, without locks."""
        found = {}
        for p in sorted(self.cache.rglob("*")):
            name = str(p.relative_to(self.cache))
            if p.is_symlink():
                found[name] = "-> " + os.readlink(p)
            elif p.is_file() and not name.startswith(".locks/"):
                found[name] = p.read_bytes()
        return found

    def refused(self, part, *words, **env):
        """The pull fails with one clear sentence and leaves no model, and in the cache nothing that looks like one."""
        r = self.pull(*words, **env)
        assert r.status == 1, (r.err, r.out)
        assert part in r.err, r.err
        assert r.out == "" and self.stored() == []
        assert not list(self.cache.glob("*/snapshots/*")) and not list(self.cache.glob("*/refs/*")), list(self.cache.rglob("*"))
        return r


def same_files(path, files=HF_FILES):
    for name, data in files.items():
        assert (path / name).read_bytes() == data
    manifest = json.loads((path / "manifest.json").read_text())
    assert {f["name"]: (f["bytes"], f["sha256"]) for f in manifest["files"]} == {n: (len(d), sha256(d)) for n, d in files.items()}
    assert sorted(p.name for p in path.iterdir()) == sorted([*files, "manifest.json"])


def wait_for(condition, process):
    while not condition():
        assert process.poll() is None, process.communicate()[1].decode()


def each(**values):
    """The test runs once for each combination of these values."""
    def mark(test):
        test.each = values
        return test
    return mark


def raises(part, call, *words, **more):
    """The call fails with an assertion that has this text: for tests of tests."""
    try:
        call(*words, **more)
    except AssertionError as e:
        assert part in str(e)
        return
    raise AssertionError("nothing failed")


def run_one(test, arguments):
    directory = pathlib.Path(tempfile.mkdtemp(prefix="starchat-hub-"))
    hub = FakeHub()
    hub.repos["org/model"] = Repo(HF_FILES, lfs=[BIG])
    hub.repos["org/gguf"] = Repo({"m-Q4_0.gguf": make_gguf(100), "m-Q4_K_M.gguf": GGUF, "README.md": b"x"}, lfs=["m-Q4_K_M.gguf"])
    begun = time.monotonic()
    try:
        test(World(directory, hub), **arguments)
        return None, time.monotonic() - begun
    except Exception:
        return traceback.format_exc(limit=-4), time.monotonic() - begun
    finally:
        hub.close()
        subprocess.run(["chmod", "-R", "u+w", str(directory)], check=False)
        shutil.rmtree(directory, ignore_errors=True)


def main(functions):
    wanted, failed, runs = sys.argv[2:], 0, []
    for name, test in functions.items():
        if not name.startswith("test_") or wanted and name not in wanted:
            continue
        combinations = [{}]
        for key, values in getattr(test, "each", {}).items():
            combinations = [{**c, key: v} for c in combinations for v in values]
        runs += [(name + (" " + repr(tuple(c.values())) if c else ""), test, c) for c in combinations]
    with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
        for (name, _, _), (trouble, seconds) in zip(runs, pool.map(lambda r: run_one(r[1], r[2]), runs)):
            failed += trouble is not None
            print(f"FAILED {name[:150]}\n{trouble}" if trouble else f"ok     {name[:150]} ({seconds:.1f} s)", flush=True)
    print(f"{len(runs) - failed} passed, {failed} failed")
    return 1 if failed or not runs else 0
