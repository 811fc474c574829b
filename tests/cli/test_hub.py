"""The client of the Hub: accounts, the cache it shares with huggingface_hub, revisions, pages, parts, kills, proxies, hostile answers.

Usage: tests/cli/test_hub.py [PROGRAM [TEST...]]     STARCHAT_KILLS: how often a download is killed (5).
"""
import fcntl
import http.client
import http.server
import json
import os
import pathlib
import pty
import random
import shutil
import socketserver
import stat
import subprocess
import sys
import threading
import time

from fake_hub import Repo, git_sha1, sha256
from pull_world import PROGRAM, BIG, GGUF, HF_FILES, each, main, make_gguf, same_files, wait_for

COMMIT, OTHER = "c" * 40, "d" * 40
MIB = 1 << 20
LARGE = make_gguf(4 * MIB + 12345)          # 16 MiB and some: three parts
TOKEN = "hf_abcdefghijklmnop"
USER = {"type": "user", "name": "ada", "fullname": "Ada L.", "email": "ada@example.org", "orgs": [{"name": "engines", "roleInOrg": "admin"}, {"name": "notes"}],
        "auth": {"type": "access_token", "accessToken": {"displayName": "laptop", "role": "write"}}}


def key(data, is_lfs=False):
    return sha256(data) if is_lfs else git_sha1(data)


def tree_of(files, lfs=(), commit=COMMIT, refs=("main",), repo="models--org--model"):
    """What the cache holds after these files were fetched, without CACHEDIR.TAG and trees/."""
    tree = {f"{repo}/refs/{r}": commit.encode() for r in refs}
    for name, data in files.items():
        blob = key(data, name in lfs)
        tree[f"{repo}/blobs/{blob}"] = data
        tree[f"{repo}/snapshots/{commit}/{name}"] = "-> " + "../" * (2 + name.count("/")) + "blobs/" + blob
    return tree


def write_tree(world, tree):
    for name, content in tree.items():
        path = world.cache / name
        path.parent.mkdir(parents=True, exist_ok=True)
        if isinstance(content, str):
            path.symlink_to(content[3:])
        else:
            path.write_bytes(content)


def without_notes(cached):
    return {n: c for n, c in cached.items() if n != "CACHEDIR.TAG" and "/trees/" not in n and "/.starchat-users/" not in n}


def fetched(world):
    """Files that were asked for by GET."""
    return [q.path for q in world.hub.log if q.method == "GET" and ("/resolve/" in q.path or q.server == "content")]


# ---- accounts ----------------------------------------------------------------------------------------------------------


def test_login_whoami_logout(world):
    world.hub.users[TOKEN] = USER
    token_file = world.directory / ".cache/huggingface/token"
    r = world.run("whoami")
    assert r.status == 1 and "starchat login" in r.err
    r = world.run("login", stdin=b"  " + TOKEN.encode() + b"\r\n")
    assert r.status == 0 and "Logged in as ada (write)" in r.err and TOKEN not in r.err + r.out, r.err
    assert token_file.read_bytes() == TOKEN.encode()
    assert stat.S_IMODE(token_file.stat().st_mode) == 0o600 and stat.S_IMODE(token_file.parent.stat().st_mode) == 0o700
    assert [p.name for p in token_file.parent.iterdir()] == ["token"]
    r = world.run("whoami")
    assert [line.split(maxsplit=1) for line in r.out.splitlines()] == [["user", "ada"], ["organisations", "engines, notes"], ["token", "laptop"], ["role", "write"],
                                                                      ["from", str(token_file)], ["Hub", world.hub.url]]
    assert json.loads(world.run("whoami", "--json").out) == {"name": "ada", "fullname": "Ada L.", "type": "user", "orgs": ["engines", "notes"], "role": "write", "token_name": "laptop",
                                                             "from": str(token_file), "endpoint": world.hub.url}
    world.hub.users["hf_other"] = {**USER, "name": "bob"}
    assert json.loads(world.run("whoami", "--json", HF_TOKEN="hf_other").out)["from"] == "HF_TOKEN"
    r = world.run("whoami", HF_HUB_DISABLE_IMPLICIT_TOKEN="1")
    assert r.status == 1 and "HF_HUB_DISABLE_IMPLICIT_TOKEN" in r.err
    r = world.run("logout")
    assert r.status == 0 and not token_file.exists() and "Removed" in r.err, r.err
    r = world.run("logout", HF_TOKEN="hf_other")
    assert r.status == 0 and "No token was kept" in r.err and "HF_TOKEN" in r.err
    assert all(TOKEN not in q.path for q in world.hub.log)


def test_login_refuses(world):
    world.hub.users[TOKEN] = USER
    for words in (["login", TOKEN], ["login", "--token", TOKEN], ["login", "--token=" + TOKEN]):
        r = world.run(*words)
        assert r.status == 2 and "command line" in r.err and TOKEN not in r.err + r.out, r.err
    for text in (b"", b"\n", b"two words", b"hf_x\0y", b"hf_\xc3\xa9", b"x" * 2000, b"y" * 70000):
        r = world.run("login", stdin=text)
        assert r.status == 1 and len(r.err) < 400 and b"words" not in r.err.encode(), r.err
    assert world.hub.log == []
    r = world.run("login", stdin=b"hf_wrong")
    assert r.status == 1 and "does not accept the token" in r.err and "hf_wrong" not in r.err
    for fault in (("body", b"{"), ("body", b"[]"), ("body", b"{}"), ("body", b'{"name":7}'), ("status", 404), ("status", 403)):
        world.hub.faults["/api/whoami-v2"] = [fault]
        assert world.run("login", stdin=TOKEN.encode()).status == 1
    assert "offline" in world.run("login", stdin=TOKEN.encode(), HF_HUB_OFFLINE="1").err
    assert not (world.directory / ".cache").exists()
    r = world.run("login", "--token-file", "none")
    assert r.status == 1 and "none" in r.err


def test_login_from_file_replaces(world):
    world.hub.users[TOKEN] = world.hub.users["hf_new"] = USER
    (world.directory / "t").write_text("hf_new\n")
    target = world.directory / "place/token"
    assert world.run("login", stdin=TOKEN.encode(), HF_TOKEN_PATH=str(target)).status == 0
    target.chmod(0o644)
    r = world.run("login", "--token-file", "t", HF_TOKEN_PATH=str(target), HF_TOKEN=TOKEN)
    assert r.status == 0 and "HF_TOKEN" in r.err, r.err
    assert target.read_text() == "hf_new" and stat.S_IMODE(target.stat().st_mode) == 0o600
    assert os.listdir(target.parent) == ["token"]
    world.hub.repos["org/model"].token = "hf_new"
    world.pulled("org/model", HF_TOKEN_PATH=str(target))


def test_login_on_a_terminal_shows_nothing(world):
    world.hub.users[TOKEN] = USER
    pid, fd = pty.fork()
    if pid == 0:
        os.chdir(world.directory)
        os.execve(PROGRAM, ["starchat", "login"], world.env)
    seen = b""
    while b"not shown" not in seen:
        seen += os.read(fd, 1000)
    time.sleep(0.1)
    os.write(fd, TOKEN.encode() + b"\n")
    try:
        while True:
            more = os.read(fd, 1000)
            if not more:
                break
            seen += more
    except OSError:
        pass
    assert os.waitpid(pid, 0)[1] == 0, seen
    assert b"Logged in as ada" in seen and TOKEN.encode() not in seen
    os.close(fd)


def test_stored_tokens_of_huggingface_hub(world):
    world.hub.users[TOKEN] = USER
    place = world.directory / ".cache/huggingface"
    place.mkdir(parents=True)
    (place / "stored_tokens").write_text(f"[home]\nhf_token = hf_home\n\n[laptop]\nhf_token = {TOKEN}\nexpires_at = 5\n\n")
    r = world.run("login", "--stored", "none")
    assert r.status == 1 and "home, laptop" in r.err and TOKEN not in r.err
    assert world.run("login", "--stored", "laptop").status == 0 and (place / "token").read_text() == TOKEN
    r = world.run("logout")
    assert r.status == 0 and "home" in r.err
    assert (place / "stored_tokens").read_text() == "[home]\nhf_token = hf_home\n\n" and not (place / "token").exists()


# ---- the cache -----------------------------------------------------------------------------------------------------------


def test_pull_writes_the_cache_of_huggingface_hub(world):
    files = {**HF_FILES, "sub/notes.txt": b"not needed"}
    world.hub.repos["org/model"] = Repo(files, lfs=[BIG])
    r = world.pulled("org/model")
    same_files(r.path)
    cached = world.cached()
    assert without_notes(cached) == tree_of(HF_FILES, [BIG])
    assert cached["CACHEDIR.TAG"].startswith(b"Signature: 8a477f597d28d172789f06886806bc55\n")
    listing = json.loads(cached[f"models--org--model/trees/{COMMIT}.json"])
    assert listing["format_version"] == 1 and sorted(listing["files"]) == sorted(files)
    assert listing["files"]["config.json"] == {"size": len(files["config.json"]), "blob_id": git_sha1(files["config.json"])}
    big = listing["files"][BIG]
    assert big["lfs_sha256"] == sha256(files[BIG]) and big["lfs_size"] == big["size"] == len(files[BIG]) and len(big["blob_id"]) == 40
    assert all((r.path / n).is_symlink() for n in HF_FILES)


def test_dataset_in_the_cache(world):
    row = b'{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}\n'
    world.hub.repos["org/chats"] = Repo({"data/train.jsonl": row})
    world.pulled("datasets/org/chats")
    assert without_notes(world.cached()) == tree_of({"data/train.jsonl": row}, repo="datasets--org--chats")
    assert world.run("rm", "datasets/org/chats").status == 0
    assert list(without_notes(world.cached())) == []


def test_what_huggingface_hub_fetched_is_found(world):
    write_tree(world, tree_of(HF_FILES, [BIG]))
    r = world.pulled("org/model")
    same_files(r.path)
    assert fetched(world) == []
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == tree_of(HF_FILES, [BIG])         # not ours: stays


def test_part_of_it_was_there(world):
    some = {"config.json": HF_FILES["config.json"]}
    write_tree(world, tree_of(some))
    world.pulled("org/model")
    assert len(fetched(world)) == 3                                          # README.md, the redirect of the weights, the weights
    assert without_notes(world.cached()) == tree_of(HF_FILES, [BIG])
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == tree_of(some)


def test_damaged_copy_in_the_cache(world):
    tree = tree_of(HF_FILES, [BIG])
    tree["models--org--model/blobs/" + sha256(HF_FILES[BIG])] = b"x" * len(HF_FILES[BIG])
    write_tree(world, tree)
    r = world.pull("org/model", "--offline")
    assert r.status == 1 and "damaged" in r.err and world.stored() == []
    r = world.pulled("org/model")
    assert "damaged" in r.err
    same_files(r.path)


def test_removing_frees_what_only_it_uses(world):
    repo = Repo(HF_FILES, lfs=[BIG])
    newer = {**HF_FILES, "README.md": b"# newer"}
    repo.versions[OTHER] = newer
    repo.refs["v2"] = OTHER
    world.hub.repos["org/model"] = repo
    world.pulled("org/model")
    world.pulled("org/model@v2")
    world.pulled("org/model@" + OTHER)
    both = tree_of(HF_FILES, [BIG]) | tree_of(newer, [BIG], OTHER, ["v2"])
    assert without_notes(world.cached()) == both
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == tree_of(newer, [BIG], OTHER, ["v2"])
    assert world.run("rm", "org/model@v2").status == 0
    same_files(world.pulled("org/model@" + OTHER).path, newer)               # still whole
    assert world.run("rm", "org/model@" + OTHER).status == 0
    assert [p for p in world.cache.rglob("*") if p.name not in ("CACHEDIR.TAG", ".locks")] == []


def test_a_stored_file_by_its_path(world):
    """Links have the names of files, what they lead to has not."""
    path = world.pulled("org/gguf").path
    r = world.pulled(path)
    assert r.path.name == "m-Q4_K_M.gguf" and r.path.read_bytes() == GGUF and r.path != path and not r.path.is_symlink()
    assert world.run("show", world.pulled("org/model").path).status == 0


def test_the_same_content_twice(world):
    twice = {**HF_FILES, "tokenizer_config.json": b"{}", "special_tokens_map.json": b"{}", "generation_config.json": b"{}"}
    world.hub.repos["org/model"] = Repo(twice, lfs=[BIG])
    world.pulled("org/model")
    same_files(world.pulled("org/model@" + COMMIT).path, twice)
    assert len([p for p in fetched(world) if p.endswith("_config.json") or p.endswith("_map.json")]) == 1
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == {n: c for n, c in tree_of(twice, [BIG]).items()}
    assert world.run("rm", "org/model@" + COMMIT).status == 0
    assert list(without_notes(world.cached())) == []


def test_removing_an_unfinished_pull(world):
    world.hub.faults[sha256(HF_FILES[BIG])] = [("stall", 1000)]
    p = world.start("pull", "org/model")
    assert world.hub.stalled.wait(20)
    partial = world.cache / "models--org--model/blobs" / (sha256(HF_FILES[BIG]) + ".starchat.incomplete")
    wait_for(partial.exists, p)
    p.kill()
    p.communicate()
    assert world.run("rm", "org/model").status == 0
    assert [q for q in world.cache.rglob("*") if q.is_file() and q.name != "CACHEDIR.TAG"] == []


# ---- what other clients and other stores use ------------------------------------------------------------------------------------


def hold(world, data, is_lfs=False):
    """The lock of a blob as another client holds it."""
    path = world.cache / ".locks/models--org--model" / (key(data, is_lfs) + ".lock")
    path.parent.mkdir(parents=True, exist_ok=True)
    lock = open(path, "w")
    fcntl.flock(lock, fcntl.LOCK_EX)
    return lock


def start_and_kill(world, data, *names):
    """Pulls that have begun to fetch this content, killed."""
    for name in names:
        world.hub.stalled.clear()
        world.hub.faults[sha256(data)] = [("stall", 1000)]
        p = world.start("pull", name)
        assert world.hub.stalled.wait(60)
        wait_for((world.cache / "models--org--model/blobs" / (sha256(data) + ".starchat.incomplete")).exists, p)
        p.kill()
        p.communicate()


def test_fetched_by_another_while_waiting(world):
    with hold(world, HF_FILES[BIG], True):
        p = world.start("pull", "org/model")
        wait_for(lambda: list(world.home.glob("tmp/*/fetched.txt")), p)
        wait_for(lambda: (world.cache / "models--org--model/blobs" / key(HF_FILES["config.json"])).exists(), p)
        write_tree(world, tree_of({BIG: HF_FILES[BIG]}, [BIG]))
    assert p.wait(60) == 0, p.communicate()
    assert not [q for q in world.hub.log if q.server == "content"]
    assert world.run("rm", "org/model").status == 0
    assert {n for n in world.cached() if "refs" not in n} >= {n for n in tree_of({BIG: HF_FILES[BIG]}, [BIG]) if "refs" not in n}
    assert list(world.cache.glob("*/blobs/*")) == [world.cache / "models--org--model/blobs" / sha256(HF_FILES[BIG])]


def test_fetched_by_another_after_a_kill(world):
    start_and_kill(world, HF_FILES[BIG], "org/model")
    for path in list(world.cache.glob("*/blobs/*")):
        if not path.name.endswith(".incomplete"):
            path.unlink()
    write_tree(world, tree_of(HF_FILES, [BIG]))
    same_files(world.pulled("org/model").path)
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == tree_of(HF_FILES, [BIG])


def test_damaged_copy_of_another_stays_its_own(world):
    tree = tree_of(HF_FILES, [BIG])
    write_tree(world, tree | {"models--org--model/blobs/" + sha256(HF_FILES[BIG]): b"x" * len(HF_FILES[BIG])})
    assert "damaged" in world.pulled("org/model").err
    assert world.run("rm", "org/model").status == 0
    assert without_notes(world.cached()) == tree


def test_two_stores_and_one_cache(world):
    other = {"STARCHAT_HOME": str(world.directory / "other")}
    first = world.pulled("org/model").path
    second = world.pulled("org/model", **other).path
    users = world.cache / "models--org--model/.starchat-users"
    assert sorted(p.read_text() for p in users.iterdir()) == sorted([str(world.home), other["STARCHAT_HOME"]])
    assert all(p.name == sha256(p.read_bytes()) for p in users.iterdir())
    assert world.run("rm", "org/model").status == 0 and not first.exists()
    same_files(second)
    assert without_notes(world.cached()) == tree_of(HF_FILES, [BIG])
    world.pulled("org/model")
    assert world.run("rm", "org/model", **other).status == 0
    same_files(first)
    world.pulled("org/model", **other)
    shutil.rmtree(other["STARCHAT_HOME"])                                          # a store that is gone uses nothing
    assert world.run("rm", "org/model").status == 0
    assert not (world.cache / "models--org--model").exists()


def test_unfinished_pull_of_another_store(world):
    other = world.directory / "other"
    start_and_kill(world, HF_FILES[BIG], "org/model")
    shutil.move(world.home, other)
    mark = world.cache / "models--org--model/.starchat-users"
    (mark / sha256(str(other).encode())).write_text(str(other))
    start_and_kill(world, HF_FILES[BIG], "org/model")
    assert world.run("rm", "org/model").status == 0
    assert (world.cache / "models--org--model/blobs" / (sha256(HF_FILES[BIG]) + ".starchat.incomplete")).exists()
    assert world.run("rm", "org/model", STARCHAT_HOME=str(other)).status == 0
    assert not list(world.cache.glob("models--*/blobs/*"))


def test_removing_spares_a_running_pull(world):
    start_and_kill(world, HF_FILES[BIG], "org/model")
    world.hub.stalled.clear()
    world.hub.faults[sha256(HF_FILES[BIG])] = [("stall", 2000)]
    p = world.start("pull", "org/model@main")
    assert world.hub.stalled.wait(60)
    assert world.run("rm", "org/model").status == 0
    partial = world.cache / "models--org--model/blobs" / (sha256(HF_FILES[BIG]) + ".starchat.incomplete")
    assert partial.exists() and (world.cache / "models--org--model/blobs" / key(HF_FILES["config.json"])).exists()
    world.hub.release.set()
    out, err = p.communicate(timeout=60)
    assert p.returncode == 0, err
    same_files(pathlib.Path(out.decode().strip()))


def test_removing_spares_what_another_client_has_locked(world):
    world.pulled("org/model")
    blobs = world.cache / "models--org--model/blobs"
    with hold(world, HF_FILES[BIG], True):
        assert world.run("rm", "org/model").status == 0
        assert [p.name for p in blobs.iterdir()] == [sha256(HF_FILES[BIG])]


def test_disk_counts_what_it_frees(world):
    names = ["org/model", "org/model@main", "org/model@" + COMMIT]
    for n in (1, 3):
        start_and_kill(world, HF_FILES[BIG], *names[:n])
        blobs, work = sorted(world.cache.glob("models--*/blobs/*")), [*world.home.glob("tmp/*/*"), *world.home.glob("tmp/*")]
        own = sum(p.stat().st_blocks * 512 for p in [*blobs, *work])
        for path in work:
            os.utime(path, (1e9, 1e9))
        dry = json.loads(world.run("disk", "--free", "--dry-run", "--json").out)
        assert sorted(world.cache.glob("models--*/blobs/*")) == blobs and len(dry) == n
        assert n > 1 or dry[0]["bytes"] == own, (dry, own)
        rows = json.loads(world.run("disk", "--free", "--json").out)
        assert sum(r["bytes"] for r in rows) == own and len(rows) == n, (rows, own)
        assert not list(world.cache.glob("models--*")), list(world.cache.rglob("*"))


def test_models_stored_before_there_was_a_cache(world):
    old = world.home / "models/org%2Fmodel"
    old.mkdir(parents=True)
    for name, data in HF_FILES.items():
        (old / name).write_bytes(data)
    (old / "manifest.json").write_text(json.dumps({"name": "org/model", "source": "org/model", "revision": COMMIT, "model": ".", "pulled": "2026-01-02T03:04:05Z",
                                                   "files": [{"name": n, "bytes": len(d), "sha256": sha256(d)} for n, d in HF_FILES.items()]}))
    assert world.pulled("org/model").path == old and world.hub.log == []
    assert world.run("rm", "org/model").status == 0 and not old.exists()


def test_offline_takes_what_the_cache_has(world):
    write_tree(world, tree_of(HF_FILES, [BIG]))
    same_files(world.pulled("org/model", HF_HUB_OFFLINE="1").path)
    assert "org/other is not on this machine" in world.pull("org/other", HF_HUB_OFFLINE="1").err
    assert world.hub.log == []
    r = world.pulled("org/model@" + COMMIT, HF_ENDPOINT="http://127.0.0.1:9")
    assert "cannot be reached" in r.err
    same_files(r.path)


def test_offline_says_what_is_missing(world):
    world.pulled("org/model")
    listing = world.cached()[f"models--org--model/trees/{COMMIT}.json"]
    world.run("rm", "org/model")
    some = tree_of({"config.json": HF_FILES["config.json"]})
    write_tree(world, some | {f"models--org--model/trees/{COMMIT}.json": listing})
    r = world.pull("org/model", "--offline")
    assert r.status == 1 and "2 of 3 files are missing" in r.err and BIG in r.err and world.stored() == [], r.err
    shutil.rmtree(world.cache / "models--org--model/trees")
    assert "holds no model" in world.pull("org/model", "--offline").err and world.stored() == []


def test_two_pulls_at_once_fetch_once(world):
    world.hub.rate = 200000
    runs = [world.start("pull", name) for name in ("org/model", "org/model@main", "org/model@" + COMMIT)]
    for p in runs:
        out, err = p.communicate(timeout=60)
        assert p.returncode == 0, err
        same_files(pathlib.Path(out.decode().strip()))
    assert len([q for q in world.hub.log if q.server == "content"]) == 1


# ---- revisions, pages, facts of files ---------------------------------------------------------------------------------------


def test_revisions(world):
    repo = Repo(HF_FILES, lfs=[BIG], refs={"v1": OTHER, "dev/next": OTHER, "refs/pr/3": OTHER})
    newer = repo.versions[OTHER] = {**HF_FILES, "README.md": b"# two"}
    world.hub.repos["org/model"] = repo
    for revision in ("v1", "dev/next", "refs/pr/3", OTHER):
        same_files(world.pulled("org/model@" + revision).path, newer)
    assert without_notes(world.cached()) == tree_of(newer, [BIG], OTHER, ["v1", "dev/next", "refs/pr/3"])
    assert len([q for q in world.hub.log if q.server == "content"]) == 1
    assert "no such revision" in world.pull("org/model@v9").err
    assert "no such revision" in world.pull("org/model@" + "e" * 40).err
    paths = [q.path for q in world.hub.log]
    assert "/api/models/org/model/revision/refs%2Fpr%2F3" in paths
    world.hub.repos["org/model"].commit = "f" * 40                                # main moves on
    world.pulled("org/model")
    assert world.cached()["models--org--model/refs/main"] == b"f" * 40


@each(page=[1, 2, 3])
def test_pages_of_the_list(world, page):
    world.hub.page = page
    world.hub.repos["org/model"] = Repo({**HF_FILES, **{f"extra/{i}.txt": b"x" for i in range(5)}}, lfs=[BIG])
    same_files(world.pulled("org/model").path)
    n = len(HF_FILES) + 5 + 1
    assert len(world.hub.requests("/tree/")) == -(-n // page)


def test_head_must_be_of_the_commit(world):
    world.hub.repos["org/model"].blobs = False
    for header in ("main", "e" * 40, "c" * 39, "z" * 40):
        world.hub.commit_header = header
        world.refused("X-Repo-Commit", "org/model")
    world.hub.commit_header = None
    same_files(world.pulled("org/model").path)


# ---- refusals ------------------------------------------------------------------------------------------------------------------


def test_sentences_say_what_to_do(world):
    repo = world.hub.repos["org/model"]
    repo.gated = "hf_accepted"
    world.refused("accept the terms", "org/model")
    world.refused("a token of the account that did", "org/model", HF_TOKEN="hf_other")
    same_files(world.pulled("org/model", HF_TOKEN="hf_accepted").path)
    world.run("rm", "org/model")
    repo.gated, repo.token = False, "hf_member"
    world.refused("starchat login", "org/model")
    world.refused("starchat whoami", "org/model", HF_TOKEN="hf_other")
    repo.token = None
    world.refused("no file \"q9\"", "org/gguf:q9")
    world.refused("check the name", "org/nothing")
    world.hub.faults["/revision/"] = [("status", 429, ("Retry-After", "0"))] * 9
    world.refused("log in for a higher limit", "org/model")
    world.hub.faults["/revision/"] = [("status", 403, ("X-Error-Message", "Storage patterns tripped"))]
    world.refused("Storage patterns tripped", "org/model")
    world.hub.repos["org/pickle"] = Repo({"config.json": b"{}", "pytorch_model.bin": b"x"})
    world.refused("save_pretrained", "org/pickle")


def test_only_what_is_needed(world):
    world.hub.repos["org/many"] = Repo({**{f"m-{q}.gguf": make_gguf(100 + i) for i, q in enumerate(["Q2_K", "Q3_K_M", "Q4_K_M", "Q5_K_M", "Q6_K", "Q8_0", "f16"])}, "imatrix.dat": b"x"})
    assert world.pulled("org/many").path.name == "m-Q4_K_M.gguf" and len(fetched(world)) == 1
    world.hub.repos["org/both"] = Repo({**HF_FILES, "pytorch_model.bin": b"pickle", "tf_model.h5": b"x", "onnx/model.onnx": b"x"}, lfs=[BIG])
    same_files(world.pulled("org/both").path)


@each(name=["../model.gguf", "/model.gguf", "a/../model.gguf", "a//model.gguf", "a\\model.gguf", "a\x01model.gguf", "a\x7f.gguf", "x" * 241 + ".gguf", "d/" * 500 + "m.gguf"])
def test_paths_from_the_net(world, name):
    world.hub.repos["org/evil"] = Repo({name: GGUF})
    world.refused("is refused", "org/evil")
    assert [p for p in world.directory.rglob("*") if p.is_file()] == []


def test_twins(world):
    world.hub.repos["org/twins"] = Repo({**HF_FILES, "Config.json": b"{}", "CONFIG.JSON": b"{}"}, lfs=[BIG])
    world.pulled("org/twins")                                                     # not needed, not taken
    world.hub.repos["org/twins2"] = Repo({"a.parquet": b"x", "A.parquet": b"y"})
    r = world.pull("datasets/org/twins2")
    assert r.status == 1 and "differ in case" in r.err and not list(world.cache.glob("datasets*")), r.err


@each(where=["blob", "snapshot", "refs", "blobs", "repo"])
def test_links_out_of_the_cache(world, where):
    outside = world.directory / "outside"
    outside.mkdir()
    repo = world.cache / "models--org--model"
    spots = {"blob": repo / "blobs" / sha256(HF_FILES[BIG]), "snapshot": repo / "snapshots" / COMMIT, "refs": repo / "refs", "blobs": repo / "blobs", "repo": repo}
    (outside / "secret").write_bytes(HF_FILES[BIG])
    spots[where].parent.mkdir(parents=True)
    spots[where].symlink_to(outside / "secret" if where == "blob" else outside)
    r = world.pull("org/model")
    assert r.status == 1 and "out of the cache" in r.err and world.stored() == [], r.err
    assert os.listdir(outside) == ["secret"]


@each(name=["s", "a-link-with-a-name-that-is-far-longer-than-the-path-of-the-folder-to-which-it-leads"])
def test_the_cache_behind_a_link(world, name):
    (world.directory / "place/of/the/hub").mkdir(parents=True)
    (world.directory / name).symlink_to("place/of/the")
    link = world.directory / name / "hub"
    same_files(world.pulled("org/model", HF_HUB_CACHE=str(link)).path)
    assert world.run("rm", "org/model", HF_HUB_CACHE=str(link)).status == 0
    assert not list(link.glob("models--*")) and not list((link / ".locks").iterdir())


@each(variable=["HF_HOME", "HF_HUB_CACHE"])
def test_a_relative_cache(world, variable):
    env, root = {variable: "some/where"}, world.directory / "some/where" / ("hub" if variable == "HF_HOME" else "")
    same_files(world.pulled("org/model", **env).path)
    assert (root / "models--org--model/refs/main").exists()
    assert world.run("rm", "org/model", **env).status == 0
    assert not list(root.glob("models--*"))


def test_link_of_an_address_shows_no_secret(world):
    r = world.pull("https://user:secret@example.invalid/m.gguf?sig=hidden", "--link")
    assert r.status == 1 and "https://example.invalid/m.gguf is fetched" in r.err and "secret" not in r.err and "hidden" not in r.err, r.err


def test_link_to_elsewhere_is_not_used_offline(world):
    tree = tree_of(HF_FILES, [BIG])
    (world.directory / "weights").write_bytes(HF_FILES[BIG])
    del tree["models--org--model/blobs/" + sha256(HF_FILES[BIG])]
    tree[f"models--org--model/snapshots/{COMMIT}/{BIG}"] = "-> " + str(world.directory / "weights")
    write_tree(world, tree)
    r = world.pull("org/model", "--offline")
    assert r.status == 1 and "out of the cache" in r.err, r.err
    r = world.run("show", "org/model")
    assert r.status == 1 and "starchat pull org/model" in r.err, r.err


def test_lists_without_end(world):
    entry = '[{"type":"file","path":"%s","size":1,"oid":"' + "a" * 40 + '"}]'
    loop = ("Link", '<%s/api/models/org/model/tree/%s?cursor=1>; rel="next"' % (world.hub.url, COMMIT))
    world.hub.faults["/tree/"] = [("body", (entry % "a").encode(), loop)] * 3
    world.refused("twice", "org/model")
    world.hub.faults["/tree/"] = [("body", b"[]", loop)] * 3
    world.refused("not the last", "org/model")
    world.hub.faults["/tree/"] = [("body", b'[{"type":"directory","path":"a"}]', loop)] * 3
    world.refused("not the last", "org/model")
    for other in (world.hub.content_url + "/x", "http://169.254.1.1/", "file:///etc/passwd", "//evil.invalid/x"):
        world.hub.faults["/tree/"] = [("body", (entry % "a").encode(), ("Link", '<%s>; rel="next"' % other))]
        world.refused("another server", "org/model")


def test_endless_bodies(world):
    world.hub.faults = {"config.json": [("endless",)]}
    world.run("rm", "org/model")
    world.hub.faults = {sha256(HF_FILES[BIG]): [("endless",)]}
    world.refused("more than the", "org/model")


def test_wrong_sizes(world):
    for wrong in (len(HF_FILES[BIG]) - 1, len(HF_FILES[BIG]) + 1):
        entries = [{"type": "file", "path": n, "size": len(d), "oid": git_sha1(d)} for n, d in HF_FILES.items()]
        next(e for e in entries if e["path"] == BIG).update(size=wrong, lfs={"oid": sha256(HF_FILES[BIG]), "size": wrong})
        world.hub.faults["/tree/"] = [("body", json.dumps(entries).encode())]
        world.refused("the server has %d bytes of it, expected %d" % (len(HF_FILES[BIG]), wrong), "org/model")


# ---- parts ------------------------------------------------------------------------------------------------------------------------


def large(world):
    world.hub.repos["org/large"] = Repo({"large.gguf": LARGE}, lfs=["large.gguf"])
    return sha256(LARGE)


def test_parts_of_one_file(world):
    digest = large(world)
    world.hub.rate = 16 * MIB
    r = world.pulled("org/large", "--jobs", "3")
    assert r.path.read_bytes() == LARGE and world.hub.most > 1
    ranges = sorted(q.headers["range"] for q in world.hub.log if q.server == "content")
    assert ranges == sorted(["bytes=0-%d" % (8 * MIB - 1), "bytes=%d-%d" % (8 * MIB, 16 * MIB - 1), "bytes=%d-%d" % (16 * MIB, len(LARGE) - 1)])
    assert without_notes(world.cached()) == tree_of({"large.gguf": LARGE}, ["large.gguf"], repo="models--org--large")
    assert all("authorization" not in q.headers for q in world.hub.log) and digest


@each(fault=[("cut", 100000), ("ignore range",), ("wrong range",), ("corrupt",), ("status", 503), ("status", 416), ("longer",), ("gzip",)])
def test_parts_that_break(world, fault):
    world.hub.faults[large(world)] = [fault]
    r = world.pull("org/large", "--jobs", "2")
    if fault[0] in ("status",) and fault[1] == 416:
        assert r.status == 1 and world.stored() == []
        r = world.pull("org/large")
    assert r.status == 0, r.err
    assert r.path.read_bytes() == LARGE
    assert len(list(world.cache.glob("*/blobs/*"))) == 1


def test_parts_damaged_for_good(world):
    world.hub.faults[large(world)] = [("corrupt",)] * 99
    world.refused("SHA-256", "org/large")
    assert list(world.cache.glob("*/blobs/*")) == []


def test_several_files_at_once(world):
    parts = {f"data/{i}.jsonl": b'{"messages":[]}\n' * 20000 for i in range(4)}
    parts = {n: d + n.encode() + b"\n" for n, d in parts.items()}
    world.hub.repos["org/data"] = Repo(parts, lfs=list(parts))
    world.hub.rate = 400000
    world.pulled("datasets/org/data")
    assert world.hub.most == 4
    world.run("rm", "datasets/org/data")
    world.hub.most = 0
    world.pulled("datasets/org/data", "--jobs", "1")
    assert world.hub.most == 1
    r = world.pull("datasets/org/data", "--jobs", "0")
    assert r.status == 2 and "jobs" in r.err


def test_killed_anywhere_goes_on(world):
    """SIGKILL at random moments of a pull with parts and small files; at the end everything is as if nothing had happened."""
    kills, draw = int(os.environ.get("STARCHAT_KILLS", "5")), random.Random(7)
    files = {"config.json": HF_FILES["config.json"], BIG: HF_FILES[BIG], "tokenizer.json": b"{}" + b" " * 300000}
    world.hub.repos["org/large"] = Repo({"large.gguf": LARGE}, lfs=["large.gguf"])
    world.hub.repos["org/model"] = Repo(files, lfs=[BIG, "tokenizer.json"])
    world.hub.rate = 12 * MIB
    done = 0
    while done < kills:
        for name in ("org/large", "org/model"):
            p = world.start("pull", name)
            try:
                p.communicate(timeout=draw.uniform(0.02, 0.9))
                assert p.returncode == 0
                world.run("rm", name)                            # it was faster than the kill: anew
                assert not list(world.cache.glob("models--%s/blobs/*" % name.replace("/", "--"))), name
            except subprocess.TimeoutExpired:
                p.kill()
                p.communicate()
                done += 1
    world.hub.rate = 0
    assert world.pulled("org/large").path.read_bytes() == LARGE
    same_files(world.pulled("org/model").path, files)
    found, wanted = without_notes(world.cached()), tree_of({"large.gguf": LARGE}, ["large.gguf"], repo="models--org--large") | tree_of(files, [BIG, "tokenizer.json"])
    assert found == wanted, [k for k in found.keys() | wanted.keys() if found.get(k) != wanted.get(k)]
    assert list((world.home / "tmp").iterdir()) == []
    for name in ("org/large", "org/model"):
        assert world.run("rm", name).status == 0
    assert list(without_notes(world.cached())) == []


# ---- proxies ----------------------------------------------------------------------------------------------------------------------


class Proxy(http.server.BaseHTTPRequestHandler):
    """Forwards what it is asked for with a whole address; opens no tunnels."""

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.seen.append((self.command, self.path))
        host, path = self.path.removeprefix("http://").split("/", 1)
        link = http.client.HTTPConnection(host, timeout=20)
        link.request(self.command, "/" + path, headers={k: v for k, v in self.headers.items() if k.lower() not in ("host", "proxy-connection")})
        answer = link.getresponse()
        body = answer.read()
        self.send_response(answer.status)
        for name, value in answer.getheaders():
            self.send_header(name, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    do_HEAD = do_GET

    def do_CONNECT(self):
        self.server.seen.append((self.command, self.path))
        self.send_error(403)


def test_proxies(world):
    class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
        daemon_threads = True
    with Server(("127.0.0.1", 0), Proxy) as proxy:
        proxy.seen = []
        threading.Thread(target=proxy.serve_forever, args=(0.02,), daemon=True).start()
        address = "http://127.0.0.1:%d" % proxy.server_address[1]
        same_files(world.pulled("org/model", http_proxy=address, no_proxy="").path)
        assert len(proxy.seen) == len(world.hub.log) and all(path.startswith("http://127.0.0.1:") for _, path in proxy.seen)
        world.run("rm", "org/model")
        n = len(proxy.seen)
        same_files(world.pulled("org/model", http_proxy=address, no_proxy="127.0.0.1").path)
        assert len(proxy.seen) == n
        world.run("rm", "org/model")
        r = world.refused("hub.invalid", "org/model", HF_ENDPOINT="https://hub.invalid", https_proxy=address, no_proxy="", HF_TOKEN=TOKEN)
        assert ("CONNECT", "hub.invalid:443") in proxy.seen and TOKEN not in r.err
        proxy.shutdown()


if __name__ == "__main__":
    sys.exit(main(globals()))
