"""huggingface_hub, unmodified, and starchat on the same small Hub: the same bytes, the same cache, the same token; what one
fetched the other does not fetch again. Each check has a Hub and a home of its own."""
import importlib.metadata
import json
import os
import pathlib
import subprocess
import sys
import tempfile

import checks
from checks import SETTINGS

sys.path.insert(0, str(pathlib.Path(SETTINGS["source"]) / "tests/cli"))
from fake_hub import FakeHub, Repo                                         # noqa: E402

MODEL = pathlib.Path(SETTINGS["directory"])
COMMIT, OTHER = "c" * 40, "d" * 40
TOKEN = "hf_abcdefghijklmnop"
USER = {"type": "user", "name": "ada", "fullname": "Ada", "orgs": [], "auth": {"type": "access_token", "accessToken": {"displayName": "laptop", "role": "read"}}}
NEEDED = {p.name: p.read_bytes() for p in MODEL.iterdir() if p.suffix in (".json", ".safetensors")} | {"README.md": b"# model\n"}
FILES = NEEDED | {"sub/deep/notes.txt": b"x" * 5000, "pytorch_model.bin": b"pickle"}
ROWS = {"data/train.jsonl": b'{"messages":[]}\n', "README.md": b"# rows\n"}
PLACE = tempfile.TemporaryDirectory(prefix="starchat-hub-")


class Side:
    """A home, and both programs in it."""

    def __init__(self):
        self.hub = FakeHub()
        self.hub.repos["org/model"] = Repo(FILES, lfs=[n for n in FILES if n.endswith((".safetensors", ".bin"))], refs={"v1": OTHER, "refs/pr/3": OTHER})
        self.hub.repos["org/model"].versions[OTHER] = FILES
        self.hub.repos["org/rows"] = Repo(ROWS)
        self.hub.users[TOKEN] = USER
        self.home = pathlib.Path(tempfile.mkdtemp(dir=PLACE.name))
        self.cache = self.home / ".cache/huggingface/hub"
        self.env = {"PATH": os.environ["PATH"], "HOME": str(self.home), "STARCHAT_HOME": str(self.home / "store"), "HF_ENDPOINT": self.hub.url, "no_proxy": "*",
                    "HF_HUB_DISABLE_PROGRESS_BARS": "1", "HF_HUB_DISABLE_TELEMETRY": "1", "HF_HUB_DISABLE_XET": "1", "HF_HUB_DISABLE_UPDATE_CHECK": "1"}

    def call(self, line, stdin=b"", **env):
        return subprocess.run(line, env={**self.env, **env}, input=stdin, stdout=subprocess.PIPE, stderr=subprocess.PIPE, timeout=120)

    def starchat(self, *words, **more):
        done = self.call([SETTINGS["program"], *words], **more)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def python(self, expression, **env):
        """What huggingface_hub says, or the name of the error."""
        code = "import huggingface_hub as h\ntry: print((%s))\nexcept Exception as e: print(type(e).__name__)" % expression
        done = self.call([sys.executable, "-c", code], **env)
        assert done.returncode == 0, done.stderr.decode()[-1000:]
        return done.stdout.decode().strip()

    def tree(self):
        """The cache: folders, links, bytes; the list of a commit as JSON. Without our stores' marks, which the library passes over."""
        found = {}
        for p in sorted(self.cache.rglob("*")):
            name = str(p.relative_to(self.cache))
            if "/.starchat-users" in name:
                continue
            found[name] = "-> " + os.readlink(p) if p.is_symlink() else "folder" if p.is_dir() else json.loads(p.read_text()) if "/trees/" in name else p.read_bytes()
        return found

    def fetched(self):
        return [q.path for q in self.hub.log if q.method == "GET" and ("/resolve/" in q.path or q.server == "content")]


def snapshot(revision="main", repo="org/model", kind="model", files=NEEDED):
    return "h.snapshot_download(%r, repo_type=%r, revision=%r, allow_patterns=%r)" % (repo, kind, revision, sorted(files))


def same(ours, theirs):
    left, right = ours.tree(), theirs.tree()
    assert left and left == right, sorted(k for k in left.keys() | right.keys() if left.get(k) != right.get(k))


def same_after(revision):
    ours, theirs = Side(), Side()
    ours.starchat("pull", "org/model" if revision == "main" else "org/model@" + revision)
    assert pathlib.Path(theirs.python(snapshot(revision))).is_dir()
    same(ours, theirs)


def check_the_same_cache_from_main():
    same_after("main")


def check_the_same_cache_from_a_tag():
    same_after("v1")


def check_the_same_cache_from_a_pull_request():
    same_after("refs/pr/3")


def check_the_same_cache_from_a_commit():
    same_after(OTHER)


def check_the_same_cache_from_pages():
    ours, theirs = Side(), Side()
    ours.hub.page = theirs.hub.page = 2
    ours.starchat("pull", "org/model")
    theirs.python(snapshot())
    same(ours, theirs)


def check_the_same_cache_of_a_data_set():
    ours, theirs = Side(), Side()
    ours.starchat("pull", "datasets/org/rows")
    theirs.python(snapshot("main", "org/rows", "dataset", ROWS))
    same(ours, theirs)


def check_what_starchat_fetched_the_library_finds():
    s = Side()
    s.starchat("pull", "org/model")
    n, before = len(s.fetched()), s.tree()
    path = s.python(snapshot())
    assert all((pathlib.Path(path) / f).read_bytes() == FILES[f] for f in NEEDED), path
    assert s.python("h.hf_hub_download('org/model', 'config.json')") == path + "/config.json"
    assert len(s.fetched()) == n and s.tree() == before, s.fetched()[n:]
    assert s.python(snapshot(), HF_HUB_OFFLINE="1") == path
    assert s.python("[(r.repo_id, len(r.revisions)) for r in h.scan_cache_dir().repos], h.scan_cache_dir().warnings") == "([('org/model', 1)], [])"


def check_what_the_library_fetched_starchat_finds():
    s = Side()
    s.python(snapshot())
    n, before = len(s.fetched()), s.tree()
    path = pathlib.Path(s.starchat("pull", "org/model"))
    assert all((path / f).read_bytes() == FILES[f] for f in NEEDED)
    assert len(s.fetched()) == n and s.tree() == before
    s.starchat("rm", "org/model")
    assert s.tree() == before
    s.starchat("pull", "org/model", HF_HUB_OFFLINE="1")
    assert len(s.fetched()) == n


def check_both_in_turn():
    s = Side()
    s.python("h.hf_hub_download('org/model', 'config.json')")
    s.starchat("pull", "org/model")
    s.python("h.snapshot_download('org/model')")
    content = [p for p in s.fetched() if not p.startswith("/org/")]
    assert len(content) == len(set(content)) == len([n for n in FILES if n.endswith((".safetensors", ".bin"))]), content
    s.starchat("rm", "org/model")
    assert s.python("h.hf_hub_download('org/model', 'config.json')", HF_HUB_OFFLINE="1").endswith("/config.json")


def check_the_same_token():
    s = Side()
    s.starchat("login", stdin=TOKEN.encode())
    assert s.python("h.whoami()['name'], h.get_token() == %r" % TOKEN) == "('ada', True)"
    s.starchat("logout")
    assert s.python("h.get_token()") == "None"
    s.python("h.login(%r, skip_if_logged_in=False)" % TOKEN)
    assert json.loads(s.starchat("whoami", "--json"))["token_name"] == "laptop"
    s.starchat("logout")
    found = s.python("h.get_token(), h.utils._auth.get_stored_tokens()")
    assert found == "(None, {})", found


def check_the_same_refusals():
    s = Side()
    s.hub.repos["org/model"].gated = TOKEN
    s.hub.repos["org/secret"] = Repo(FILES, token=TOKEN)
    for name, revision, part, error in (("org/model", "main", "accept the terms", "GatedRepoError"), ("org/none", "main", "check the name", "RepositoryNotFoundError"),
                                        ("org/rows2", "main", "check the name", "RepositoryNotFoundError"), ("org/model", "v9", "no such revision", "RevisionNotFoundError"),
                                        ("org/secret", "main", "starchat login", "HfHubHTTPError")):
        done = s.call([SETTINGS["program"], "pull", name + "@" + revision])
        assert done.returncode == 1 and part in done.stderr.decode(), done.stderr
        found = s.python("h.hf_hub_download(%r, 'config.json', revision=%r)" % (name, revision))
        assert found == error, (name, found)
    s.starchat("pull", "org/model", HF_TOKEN=TOKEN)
    assert s.python(snapshot(), HF_TOKEN=TOKEN).endswith(COMMIT)


checks.run("huggingface_hub " + importlib.metadata.version("huggingface_hub"), globals())
