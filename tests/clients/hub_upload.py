"""The huggingface_hub client and `starchat push` send the same directory to the same hub (the fake of tests/cli), which must end in the same
state: same files, each large or regular, same digests, .gitattributes included; and what one sent, the other finds to be there."""
import json
import os
import pathlib
import random
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "cli"))
from fake_hub_upload import UploadHub                        # noqa: E402

SETTINGS = json.loads(os.environ["STARCHAT_CLIENTS"])
PLACE = pathlib.Path(tempfile.mkdtemp(prefix="starchat-hub-"))
HUB = UploadHub()
HUB.part_bytes = 5 << 20
os.environ.update(HF_ENDPOINT=HUB.url, HF_HUB_DISABLE_XET="1", HF_HOME=str(PLACE / "hf"), HF_HUB_DISABLE_PROGRESS_BARS="1", HF_HUB_DISABLE_TELEMETRY="1", no_proxy="*")
os.environ.pop("HF_TOKEN", None)
import huggingface_hub                                       # noqa: E402

API = huggingface_hub.HfApi(endpoint=HUB.url, token="hf_writes")
MODEL = PLACE / "model"


def write(path, data):
    (MODEL / path).parent.mkdir(parents=True, exist_ok=True)
    (MODEL / path).write_bytes(data)


def push(repo, *words):
    env = {"PATH": os.environ["PATH"], "HOME": str(PLACE), "STARCHAT_HOME": str(PLACE / "home"), "HF_ENDPOINT": HUB.url, "HF_TOKEN": "hf_writes", "no_proxy": "*"}
    done = subprocess.run([SETTINGS["program"], "push", str(MODEL), repo, "--no-card", *words], env=env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stderr


def state(repo, branch="main", kind="models"):
    return HUB.stored[kind, repo].state(branch)


def check(name, test):
    try:
        test()
        assert not HUB.broken, HUB.broken
        print(f"ok {name}")
    except Exception as e:                                   # noqa: BLE001
        print(f"FAILED {name}: {type(e).__name__} {' '.join(str(e).split())[:400]}")
        HUB.broken.clear()


def both(**more):
    push("org/ours")
    API.create_repo("org/theirs", private=True, exist_ok=True)
    API.upload_folder(repo_id="org/theirs", folder_path=MODEL, **more)
    assert state("org/ours") == state("org/theirs"), (state("org/ours"), state("org/theirs"))


def first():
    dice = random.Random(5)
    for path, data in {"config.json": b"{}\n", "model.safetensors": b"\x02\0\0\0\0\0\0\0{}" + dice.randbytes(12 << 20), "adapter/adapter_model.bin": dice.randbytes(3000), "README.md": b"# x\n", "empty.bin": b"",
                       "tokenizer.json": b"[1]" * 4_000_000, "some name.weird": b"\0y" * 600, "text/Grüße.txt": "Grüße\n".encode()}.items():
        write(path, data)
    both()
    assert len(HUB.commits("org/ours")) == len(HUB.commits("org/theirs")) == 1


def changed():
    write("config.json", b'{"changed": true}')
    write("adapter/adapter_model.bin", b"\0new")
    both()
    assert len(HUB.commits("org/ours")) == len(HUB.commits("org/theirs")) == 2


def each_finds_the_other():
    assert "Everything is there already" in push("org/theirs")
    API.upload_folder(repo_id="org/ours", folder_path=MODEL)
    assert len(HUB.commits("org/ours")) == len(HUB.commits("org/theirs")) == 2


def deleted():
    (MODEL / "adapter/adapter_model.bin").unlink()
    push("org/ours", "--delete", "adapter/*")
    API.upload_folder(repo_id="org/theirs", folder_path=MODEL, delete_patterns="adapter/*")
    assert state("org/ours") == state("org/theirs") and "adapter/adapter_model.bin" not in state("org/ours")


def branches_and_requests():
    write("config.json", b'{"on": "a branch"}')
    push("org/ours", "--branch", "dev")
    API.create_branch("org/theirs", branch="dev", exist_ok=True)
    API.upload_folder(repo_id="org/theirs", folder_path=MODEL, revision="dev")
    assert state("org/ours", "dev") == state("org/theirs", "dev") != state("org/ours")
    push("org/ours", "--pull-request")
    API.upload_folder(repo_id="org/theirs", folder_path=MODEL, create_pr=True)
    assert state("org/ours", "refs/pr/1") == state("org/theirs", "refs/pr/1") != state("org/ours")


def data_set():
    push("datasets/org/ours")
    API.create_repo("org/theirs", repo_type="dataset", private=True)
    API.upload_folder(repo_id="org/theirs", repo_type="dataset", folder_path=MODEL)
    assert state("org/ours", kind="datasets") == state("org/theirs", kind="datasets")


print(f"client huggingface_hub {huggingface_hub.__version__}")
for row in (first, changed, each_finds_the_other, deleted, branches_and_requests, data_set):
    check(row.__name__.replace("_", " "), row)
HUB.close()
