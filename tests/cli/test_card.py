"""Model card and lineage from the command line: a tiny model is made, trained, merged, converted, evaluated and judged by the stub; its card must say what was stored, hold nothing that a stranger
put into it, and parse as the Hub parses it (where huggingface_hub is installed); and every file of its lineage that is changed must be found. Standard library only.

Run: python3 tests/cli/test_card.py build/starchat [TEST...]      Last line: "N passed, N failed"
"""
import hashlib
import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile
import traceback

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path[:0] = [str(ROOT / "tests/serve"), str(ROOT / "tests/judge"), str(ROOT / "tools/oracle")]
import served  # noqa: E402
import stub  # noqa: E402
import card_check  # noqa: E402

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
HOLDER = tempfile.TemporaryDirectory(prefix="starchat-card-")
SCRATCH = pathlib.Path(HOLDER.name)
HOSTILE = "a<script>alert(1)</script> | `x` \"q\": - #.jsonl"
RECIPE = {"model_name_or_path": "model", "dataset_name": f"data/{HOSTILE}", "eval_dataset_name": "data/held.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 4, "total_train_batch_size": 2,
          "lora_r": 4, "learning_rate": 0.005, "evaluation_strategy": "steps", "eval_steps": 2, "save_steps": 4, "eval_samples": 0, "output_dir": "run", "export_gguf": "f16"}


def run(*args, code=0):
    env = {k: v for k, v in served.environment(SCRATCH).items() if "proxy" not in k.lower()}
    p = subprocess.run([PROGRAM, *map(str, args)], cwd=SCRATCH, capture_output=True, text=True, env=env, timeout=600, stdin=subprocess.DEVNULL)
    assert p.returncode == code, (args, p.returncode, p.stdout[-2000:], p.stderr[-2000:])
    return p


def lineage(model, *args, code=0):
    return json.loads(run("lineage", model, "--json", "--verify", *args, code=code).stdout)


def states(found, state):
    return {(link["what"], link["name"]) for link in found["links"] if link["state"] == state}


def write_dialogues(path, first, n):
    path.parent.mkdir(exist_ok=True)
    path.write_text("".join(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n" for i in range(first, first + n)))


def set_up():
    served.make_model(PROGRAM, SCRATCH, "model")
    write_dialogues(SCRATCH / "data" / HOSTILE.replace("/", "_"), 0, 40)
    RECIPE["dataset_name"] = "data/" + HOSTILE.replace("/", "_")
    write_dialogues(SCRATCH / "data/held.jsonl", 100, 10)
    (SCRATCH / "data/README.md").write_text("---\nlicense: cc0-1.0\n---\n")
    (SCRATCH / "model/README.md").write_text("---\nlicense: apache-2.0\n---\n# Base\n")
    (SCRATCH / "recipe.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in RECIPE.items()))
    run("train", "recipe.yaml", "-q")
    run("merge", "model", "run", "merged", "-q")
    run("convert", "merged", "small.gguf", "--type", "q8_0", "-q")


# ---- the card ------------------------------------------------------------------------------------------------------------------------

def evaluated():
    out = SCRATCH / "run/scores.json"
    if not out.exists():
        run("eval", "run", "--tasks", "arc_easy", "--data", ROOT / "tests/golden/eval/data", "--limit", "5", "--out", out, "-q")


def judged():
    if (SCRATCH / "judged").exists():
        return
    rng = random.Random(3)
    stub.write_prompts(SCRATCH / "p.jsonl", 30)
    for name, mean in (("base", 3.5), ("tuned", 5.5)):
        stub.write_answers(SCRATCH / f"{name}.jsonl", name, [rng.gauss(mean, 1) for _ in range(30)], len(name))
    with stub.Stub() as s:
        run("judge", "run", "--prompts", "p.jsonl", "--base", "base.jsonl", "--tuned", "tuned.jsonl", "--judge", s.spec("honest"), "--out", "judged", "--cache", "cache.sqlite", "--retry-seconds", "0.02")


def test_card_says_what_was_measured():
    evaluated()
    judged()
    run("card", "run", "--judge", "judged", "--repo", "me/tiny")
    text = (SCRATCH / "run/README.md").read_text(encoding="utf-8")
    record = json.loads((SCRATCH / "run/lineage.json").read_text())
    data = next(i for i in record["inputs"] if i["role"] == "data")["dataset"]
    assert data["splits"]["train"]["trained"] > 0 and data["sources"][0]["licence"] == "cc0-1.0", data
    for part in (data["sources"][0]["sha256"][:16], data["sha256"], "cc0-1.0", "learning_rate: 0.005", "assets/loss.svg", "not measured", "arc\\_easy", "win rate", "honest", "processor time", "an estimate" if "energy" not in record["cost"] else "measured:",
                 "starchat pull me/tiny", "No preferences of people were trained", "Whether questions of these benchmarks stand in the training data was not checked", record["machine"]["processor"][:10]):
        assert part.lower() in text.lower(), (part, text)
    losses = [json.loads(line) for line in (SCRATCH / "run/events.jsonl").read_text().splitlines()]
    held = [e["loss"] for e in losses if e["event"] == "eval"]
    assert f"{held[0]:.4f}" in text and f"{held[-1]:.4f}" in text
    svg = (SCRATCH / "run/assets/loss.svg").read_text()
    assert svg.startswith("<svg") and svg.count("<polyline") == 2 and len(re.findall(r"<circle", svg)) == 4 + len(held), svg
    results = json.loads((SCRATCH / "run/scores.json").read_text())["results"]["arc_easy"]
    header = card_check.header_of(text)
    metrics = {m["name"]: m["value"] for r in header["model-index"][0]["results"] for m in r["metrics"]}
    assert abs(metrics["acc,none"] - results["acc,none"]) < 1e-6, metrics
    assert header["license"] == "apache-2.0" and header["library_name"] == "peft" and header["pipeline_tag"] == "text-generation", header
    card_check.check(text)


def test_small_reader_reads_as_the_hub_does():
    """card.md is a card of this program, card.json what huggingface_hub read of it (tools/oracle/card_check.py --golden): what stands for it elsewhere in this file must read the same."""
    golden = json.loads((ROOT / "tests/golden/card/card.json").read_text())
    header = card_check.header_of((ROOT / "tests/golden/card/card.md").read_text(encoding="utf-8"))
    index = header.pop("model-index")
    assert header == golden["data"] and index[0]["name"] == golden["model_name"], (header, golden["data"])
    found = [{"dataset": r["dataset"]["name"], "type": m["type"], "name": m["name"], "value": m["value"]} for r in index[0]["results"] for m in r["metrics"]]
    assert found == golden["results"] and len(found) == 3, found


def test_strangers_act_in_nothing():
    run("card", "run", "--overwrite")
    text = (SCRATCH / "run/README.md").read_text(encoding="utf-8")
    assert "<script" not in re.sub(r"(?ms)^(`{3,}).*?^\1$", "", text), "HTML of a file's name"
    run("card", "run", "--name", "x\n---\n<img src=x onerror=alert(1)> \"q\" `c`", "--overwrite")
    text = (SCRATCH / "run/README.md").read_text(encoding="utf-8")
    assert "<img" not in text.split("\n---\n", 1)[1] and card_check.header_of(text)["pipeline_tag"] == "text-generation"
    assert str(SCRATCH) not in text and str(SCRATCH) not in (SCRATCH / "run/lineage.json").read_text(), "a path of this machine"


def test_card_keeps_what_somebody_wrote():
    run("card", "run")
    page = SCRATCH / "run/README.md"
    page.write_text(page.read_text().replace("# run", "# My run"))
    p = run("card", "run", code=1)
    assert "--overwrite" in p.stderr and "# My run" in page.read_text(), p.stderr
    run("card", "run", "--overwrite")
    assert "# run" in page.read_text()
    p = run("card", "data", code=1)
    assert "holds no model" in p.stderr, p.stderr


def test_cards_of_other_forms():
    (SCRATCH / "one").mkdir(exist_ok=True)
    shutil.copy(SCRATCH / "small.gguf", SCRATCH / "one/small.gguf")
    for directory, relation, library in (("merged", "finetune", "transformers"), ("one", "finetune", None)):
        run("card", directory, "--base", "org/base")
        text = (SCRATCH / directory / "README.md").read_text()
        header = card_check.header_of(text)
        assert header["base_model_relation"] == relation and header.get("library_name") == library and header["base_model"] == "org/base", header
        assert "made by train" in text and "learning_rate: 0.005" in text, "the run is not told"
        card_check.check(text)


# ---- the lineage -------------------------------------------------------------------------------------------------------------------------

def test_everything_at_hand_is_verified():
    for model in ("run", "merged", "small.gguf"):
        found = lineage(model)
        assert not found["changed"] and not found["absent"] and not found["unknown"], (model, [x for x in found["links"] if x["state"] not in ("verified", "found")])
        kinds = {x["what"] for x in found["links"]}
        assert {"record", "recipe", "dataset", "source", "weights", "base"} <= kinds, kinds
    text = run("lineage", "small.gguf").stdout
    assert "made by convert" in text and "made by merge" in text and "made by train" in text and "made by init" in text, text


def changed(model, path, edit, *expected):
    """Changes one file, looks whether that is found, and puts it back."""
    path = SCRATCH / path
    before = path.read_bytes()
    path.write_bytes(edit(before))
    try:
        found = lineage(model, code=1)
        names = states(found, "changed")
        assert names and all(any(e in name or e in what for what, name in names) for e in expected), (path, names)
    finally:
        path.write_bytes(before)


def flip(data):
    at = len(data) // 2
    return data[:at] + bytes([data[at] ^ 1]) + data[at + 1:]


def test_every_changed_file_is_found():
    source = pathlib.Path(RECIPE["dataset_name"])
    for path, name in (("run/adapter_model.safetensors", "adapter_model.safetensors"), ("run/adapter_config.json", "adapter_config.json"), ("run/tokenizer.json", "tokenizer.json"), ("run/data/train-00000.sct", "train-00000.sct"),
                       ("run/data/tokens.bin", "tokens.bin"), (source, source.name), ("data/held.jsonl", "held.jsonl"), ("model/model.safetensors", "model.safetensors"), ("run/events.jsonl", "events.jsonl")):
        changed("run", path, flip, name)
    changed("run", "run/data/dataset.json", lambda b: b.replace(b'"seed": 42', b'"seed": 43'), "dataset")
    changed("run", "run/run.json", lambda b: b.replace(b'"learning_rate": 0.005', b'"learning_rate": 0.006'), "recipe")
    changed("run", "run/lineage.json", lambda b: b.replace(b'"learning_rate": 0.005', b'"learning_rate": 0.006'), "record", "recipe")
    changed("run", "run/lineage.json", lambda b: b[:-20], "record")
    changed("merged", "merged/model.safetensors", flip, "model.safetensors")
    changed("merged", "run/adapter_model.safetensors", flip, "adapter_model.safetensors")
    changed("small.gguf", "small.gguf", lambda b: b[:-3] + b"\x55" + b[-2:], "small.gguf")
    changed("small.gguf", "small.gguf", lambda b: b.replace(b'"step":"convert"', b'"step":"converT"'), "small.gguf", "record")
    changed("small.gguf", "merged/model.safetensors", flip, "model.safetensors")
    p = run("lineage", "run", "--verify")
    assert " 0 changed" in p.stdout, p.stdout


def reasons(found, name):
    return [link.get("why", "") for link in found["links"] if link["name"] == name and link["state"] == "changed"]


def overwrite(path, at, data):
    with open(path, "r+b") as f:
        f.seek(at if at >= 0 else path.stat().st_size + at)
        f.write(data)


def test_a_changed_copy_of_a_stored_model_is_another_model():
    """Its manifest lies with it, and the sizes are the same."""
    shutil.copy(SCRATCH / "small.gguf", SCRATCH / "twin.gguf")
    run("pull", SCRATCH / "twin.gguf", "-q")
    (SCRATCH / "twin.gguf").unlink()
    stored = next(p.parent for p in SCRATCH.rglob("manifest.json") if (p.parent / "twin.gguf").exists())
    copy = SCRATCH / "copied"
    shutil.copytree(stored, copy)
    manifest = json.loads((copy / "manifest.json").read_text())
    (copy / "manifest.json").write_text(json.dumps({**manifest, "name": "stored-name", "source": "org/base", "revision": "abc"}))
    (copy / "README.md").write_text("---\nlicense: mit\n---\n")
    for is_changed in (False, True):
        if is_changed:
            overwrite(copy / "twin.gguf", -40, b"\x11\x22\x33\x44")
        run("convert", copy / "twin.gguf", "of_copy", "--type", "f32", "--overwrite", "-q")
        origin = json.loads((SCRATCH / "of_copy/lineage.json").read_text())["inputs"][0]
        assert origin["files"][0]["sha256"] == hashlib.sha256((copy / "twin.gguf").read_bytes()).hexdigest(), "a digest of what was not read"
        assert (origin["name"], origin.get("source"), origin.get("revision"), origin.get("licence")) == (("twin.gguf", None, None, None) if is_changed else ("stored-name", "org/base", "abc", "mit")), origin
    assert lineage("of_copy", code=1)["changed"]


def test_a_conversion_launders_no_changed_file():
    run("merge", "model", "run", "washed.gguf", "-q")
    run("convert", "washed.gguf", "clean.gguf", "--type", "q8_0", "-q")
    assert not lineage("clean.gguf")["changed"]
    (SCRATCH / "alone").mkdir()
    shutil.copy(SCRATCH / "clean.gguf", SCRATCH / "alone/clean.gguf")      # its record has no times, so its card claims none
    text = run("card", "alone", "--print").stdout
    assert "not in the record of a GGUF file" in text and " 0 cores" not in text and " J, an estimate" not in text, text
    overwrite(SCRATCH / "washed.gguf", -40, b"\x11\x22")
    run("convert", "washed.gguf", "clean.gguf", "--type", "q8_0", "--overwrite", "-q")
    run("convert", "washed.gguf", "clean", "--type", "f32", "-q")
    assert reasons(lineage("clean.gguf", code=1), "washed.gguf") == ["it was changed between being made and being used"]
    record = json.loads((SCRATCH / "clean/lineage.json").read_text())
    for key in ("seal", "seal_said", "seal_found"):          # as records were before they told of that
        del record["inputs"][0][key]
    (SCRATCH / "clean/lineage.json").write_text(json.dumps(record))
    assert reasons(lineage("clean", code=1), "washed.gguf") == ["it is not what its own digest says"]
    (SCRATCH / "washed.gguf").write_bytes((SCRATCH / "washed.gguf").read_bytes().replace(b"starchat.sha256", b"elsewho.sha256!"))
    run("convert", "washed.gguf", "clean.gguf", "--type", "q8_0", "--overwrite", "-q")
    (SCRATCH / "washed.gguf").unlink()
    assert ("weights", "washed.gguf") in states(lineage("clean.gguf"), "unknown")


def test_equal_runs_give_equal_files():
    for place, threads in (("first", "1"), ("second", "2")):
        (SCRATCH / place).mkdir()
        run("train", "recipe.yaml", "-q", "--output_dir", f"{place}/run", "--threads", threads)
        run("merge", "model", f"{place}/run", f"{place}/merged.gguf", "-q")
        run("convert", f"{place}/merged.gguf", f"{place}/small.gguf", "--type", "q8_0", "-q")
    for name in ("run/model.gguf", "merged.gguf", "small.gguf"):
        a, b = ((SCRATCH / place / name).read_bytes() for place in ("first", "second"))
        assert a == b, (name, next(i for i in range(len(a)) if a[i:i + 1] != b[i:i + 1]))
        found = lineage(f"second/{name}")
        assert not found["changed"] and not found["unknown"] and any(x["what"] == "recipe" and x["state"] == "verified" for x in found["links"]), found
    record = json.loads((SCRATCH / "first/run/lineage.json").read_text())
    assert record["ended"] and record["machine"]["threads"] == 1 and record["cost"]["wall_seconds"] > 0 and record["recipe"]["output_dir"], record
    assert "events.jsonl" in {file["name"] for file in record["outputs"]}


def test_files_that_came_later_are_found():
    shutil.copytree(SCRATCH / "merged", SCRATCH / "grown")
    later = SCRATCH / "grown/chat_template.jinja"
    later.write_text("{{ 'you are somebody else' }}")
    assert reasons(lineage("grown", code=1), later.name) == ["it was added after the model was made"]
    run("convert", "grown", "of_grown.gguf", "-q")
    assert "it was added between being made and being used" in reasons(lineage("of_grown.gguf", code=1), later.name)
    later.unlink()
    run("convert", "grown", "of_grown.gguf", "--overwrite", "-q")
    assert not lineage("of_grown.gguf")["changed"]
    later.write_text("{{ 'you are somebody else' }}")
    assert reasons(lineage("of_grown.gguf", code=1), later.name) == ["it was added after it was used"]
    later.unlink()
    shutil.copy(SCRATCH / "small.gguf", SCRATCH / "grown/beside.gguf")       # no part of the model of that directory
    found = lineage("grown")
    assert states(found, "unknown") == {("weights", "beside.gguf")}, found


def test_paths_that_are_gone_keep_their_names():
    path = SCRATCH / "run/run.json"
    before = path.read_text()
    recipe = json.loads(before)["recipe"]
    cases = (({}, True), ({"learning_rate": "a/b"}, False), ({"model_name_or_path": "/gone/model"}, True), ({"model_name_or_path": "/gone/other"}, False), ({"model_name_or_path": "/gone/xmodel/"}, False),
             ({"dataset_name": ["/gone/" + pathlib.Path(RECIPE["dataset_name"]).name]}, True), ({"dataset_name": ["/gone/other.jsonl"]}, False), ({"dataset_name": recipe["dataset_name"] + ["/gone/more.jsonl"]}, False))
    try:
        for edit, is_same in cases:
            path.write_text(json.dumps({**json.loads(before), "recipe": {**recipe, **edit}}))
            found = lineage("run", code=0 if is_same else 1)
            assert (("recipe", "run.json") in states(found, "verified")) == is_same, (edit, found)
    finally:
        path.write_text(before)


def test_what_is_not_at_hand_is_told():
    away = SCRATCH / "away"
    away.mkdir()
    shutil.copytree(SCRATCH / "run", away / "sent", ignore=shutil.ignore_patterns("data", "eval_data", "run.json", "checkpoint-*"))
    config = json.loads((away / "sent/adapter_config.json").read_text())
    found = lineage("away/sent", code=0)
    assert found["absent"] > 3 and not found["changed"], found
    assert any(x["what"] == "base" and x["name"] == "model" for x in found["links"]) and config, found
    (away / "sent/adapter_config.json").write_text(json.dumps({**config, "base_model_name_or_path": "org/base"}, indent=1))
    found = lineage("away/sent")
    assert ("file", "adapter_config.json") in states(found, "verified"), found
    (away / "sent/adapter_config.json").write_text(json.dumps({**config, "lora_alpha": 77}))
    assert ("file", "adapter_config.json") in states(lineage("away/sent", code=1), "changed")
    (away / "sent/adapter_config.json").write_text(json.dumps(config))
    near = lineage("away/sent", "--near", f"{SCRATCH},{SCRATCH / 'data'}")
    assert near["absent"] < found["absent"] and not near["changed"], near


def test_stored_names():
    shutil.copy(SCRATCH / "small.gguf", SCRATCH / "kept.gguf")
    run("pull", SCRATCH / "kept.gguf", "-q")
    (SCRATCH / "kept.gguf").unlink()                         # else its name would mean the path
    name = json.loads(run("list", "--json").stdout)
    name = (name["models"] if isinstance(name, dict) else name)[0]["name"]
    found = lineage(name, "--near", str(SCRATCH))
    assert not found["changed"] and any(x["what"] == "recipe" for x in found["links"]), found
    foreign = SCRATCH / "foreign.gguf"                       # a file that no record was made for: only the store knows its digest
    foreign.write_bytes((SCRATCH / "small.gguf").read_bytes().replace(b"starchat.lineage", b"elsewho.lineage!").replace(b"starchat.sha256", b"elsewho.sha256!"))
    assert lineage("foreign.gguf")["unknown"] == 2
    run("pull", foreign, "-q")
    foreign.unlink()
    found = lineage("foreign.gguf")
    assert (found["verified"], found["changed"], found["unknown"], found["recorded"]) == (1, 0, 0, 0), found
    p = run("lineage", "nobody-has-this", code=1)
    assert len(p.stderr.strip().splitlines()) == 1, p.stderr


# ---- whose figures a card tells --------------------------------------------------------------------------------------------------------

def card_of(directory):
    run("card", directory, "--overwrite")
    text = (SCRATCH / directory / "README.md").read_text(encoding="utf-8")
    return text, card_check.header_of(text)


def test_scores_belong_to_weights_and_not_to_a_place():
    evaluated()
    again = SCRATCH / "again"
    shutil.copytree(SCRATCH / "run", again)                  # other times and another place, the same weights
    scores, weights = again / "scores.json", again / "adapter_model.safetensors"
    all_of, before = json.loads(scores.read_text()), weights.read_bytes()
    model = all_of["config"]["model"]
    record = json.loads((again / "lineage.json").read_text())
    assert [model["adapter_weights"], model["weights"]] == [[next(f["sha256"] for f in files if f["name"].endswith(".safetensors"))] for files in (record["outputs"], record["inputs"][0]["files"])], model
    text, header = card_of("again")
    assert "### This model" in text and header["model-index"] and "how it does on benchmarks" not in text, text
    model["adapter"] = str(again)

    def is_left_out(part):
        text, header = card_of("again")
        assert part in text and "### This model" not in text and "model-index" not in header and "how it does on benchmarks" in text, text

    scores.write_text(json.dumps(all_of))
    weights.write_bytes(before[:-1] + bytes([before[-1] ^ 1]))
    is_left_out("### Of other weights: again")
    weights.write_bytes(before)
    scores.write_text(json.dumps({**all_of, "config": {**all_of["config"], "model": {**model, "weights": ["0" * 64]}}}))
    is_left_out("### Of other weights: again")              # its adapter on another base
    scores.write_text(json.dumps({**all_of, "config": {**all_of["config"], "model": {k: v for k, v in model.items() if "weights" not in k}}}))
    is_left_out("### Of weights before or after these: not known: again")
    scores.write_text(json.dumps({**all_of, "config": {**all_of["config"], "model": "hf", "model_args": "pretrained=again"}}))
    is_left_out("### Another model, for comparison")


def test_scores_of_other_forms():
    (SCRATCH / "form").mkdir()
    shutil.copy(SCRATCH / "small.gguf", SCRATCH / "form/small.gguf")
    for model, place in (("small.gguf", "form"), ("merged", "merged")):
        out = SCRATCH / place / "scores.json"
        run("eval", model, "--tasks", "arc_easy", "--data", ROOT / "tests/golden/eval/data", "--limit", "3", "--out", out, "-q")
        text, header = card_of(place)
        assert "### This model" in text and header["model-index"], text
        assert "### Another model, for comparison: " + model in card_with("run", out)
        out.unlink()


def card_with(directory, scores):
    return run("card", directory, "--eval", scores, "--print").stdout


def test_training_after_training():
    """Base and adapter of a merge both go back to the first run. The second run takes the weights of its best step: at a learning rate of 0 all losses are those of step 0, which no checkpoint
    holds and no training made, so that is the first step after it which was measured."""
    recipe = {**RECIPE, "model_name_or_path": "merged", "max_steps": 6, "learning_rate": 0, "output_dir": "second", "load_best_model_at_end": True, "save_steps": 2, "export_gguf": ""}
    (SCRATCH / "second.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items()))
    run("train", "second.yaml", "-q")
    run("merge", "merged", "second", "twice", "-q")
    losses = {e["step"]: e["loss"] for e in map(json.loads, (SCRATCH / "second/events.jsonl").read_text().splitlines()) if e["event"] == "eval"}
    assert sorted(losses) == [0, 2, 4, 6] and len(set(losses.values())) == 1, losses
    assert json.loads((SCRATCH / "second/lineage.json").read_text())["weights_of_step"] == 2
    text, _ = card_of("second")
    assert "trained for 6 steps, weights of step 2, on dialogues (supervised), after 1 earlier training run" in text, text
    assert f"went from {losses[0]:.4f} to {losses[2]:.4f} (step 2, whose weights these are): training made it no better" in text, text
    text, _ = card_of("twice")
    assert "trained for 6 steps, weights of step 2, " in text and text.count("| 4 steps | supervised | ") == 1, text


def main():
    wanted, passed, failed = sys.argv[2:], 0, 0
    set_up()
    for name, test in list(globals().items()):
        if not name.startswith("test_") or (wanted and name not in wanted and name[5:] not in wanted):
            continue
        try:
            test()
            passed += 1
            print(f"ok     {name}")
        except Exception:
            failed += 1
            print(f"FAILED {name}")
            traceback.print_exc(file=sys.stdout)
    print(f"{passed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
