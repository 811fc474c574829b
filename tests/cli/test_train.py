#!/usr/bin/env python3
"""Training as a user runs it: killed at random moments and started again, interrupted, out of disk, in a read-only place,
with wrong data. Usage: tests/cli/test_train.py PROGRAM [TEST...]     Last line: "N passed, N failed"."""

import json
import os
import pathlib
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-train-"))
KILLS = int(os.environ.get("STARCHAT_KILLS", "50"))
RESULT = ["adapter_model.safetensors", "adapter_config.json", "tokenizer.json", "trainer_state.json"]

CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 267, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
          "num_key_value_heads": 2, "intermediate_size": 128, "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu",
          "tie_word_embeddings": True, "initializer_range": 0.1, "bos_token_id": 261, "eos_token_id": 261}
RECIPE = {"model_name_or_path": "model", "dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 60, "total_train_batch_size": 2,
          "lora_r": 4, "lora_dropout": 0.1, "learning_rate": 0.005, "test_size": 0.1, "evaluation_strategy": "steps", "eval_steps": 20, "save_steps": 4, "save_total_limit": 2,
          "logging_steps": 5, "eval_samples": 1, "report_to": "tensorboard"}


def run(*args, **more):
    return subprocess.run([PROGRAM, *map(str, args)], cwd=SCRATCH, capture_output=True, text=True, **more)


def set_up():
    (SCRATCH / "config.json").write_text(json.dumps(CONFIG))
    done = run("init", "config.json", "model", "--tokenizer", ROOT / "tests/golden/tokenizers/bytes/tokenizer.json", "--seed", 7)
    assert done.returncode == 0, done.stderr
    with open(SCRATCH / "dialogues.jsonl", "w") as f:
        for i in range(120):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n")


def recipe(name, **changes):
    """Writes NAME.yaml, whose output_dir is NAME; the path of the output."""
    lines = [f"{key}: {json.dumps(value)}" for key, value in {**RECIPE, "output_dir": name, **changes}.items() if value is not None]
    (SCRATCH / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return SCRATCH / name


def digest(output):
    return {name: (output / name).read_bytes() for name in RESULT if name != "trainer_state.json"}


def refused(done, *parts):
    lines = done.stderr.strip().splitlines()
    assert done.returncode == 1, (done.returncode, done.stderr)
    for part in parts:
        assert part in lines[-1], (part, lines)


def test_killed_at_random_moments():
    whole = recipe("whole")
    done = run("train", "whole.yaml", "-q")
    assert done.returncode == 0, done.stderr
    begun = time.monotonic()
    assert run("train", "whole.yaml", "output_dir=timed", "-q").returncode == 0
    length = time.monotonic() - begun
    dice, kills, runs = random.Random(20261128), 0, 0
    while kills < KILLS:
        killed = recipe("killed")
        shutil.rmtree(killed, ignore_errors=True)
        runs += 1
        while kills < KILLS:
            child = subprocess.Popen([PROGRAM, "train", "killed.yaml", "-q"], cwd=SCRATCH, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
            try:
                _, messages = child.communicate(timeout=dice.uniform(0.01, 0.6 * length))
                assert child.returncode == 0, messages
                break
            except subprocess.TimeoutExpired:
                child.send_signal(signal.SIGKILL)
                child.communicate()
                kills += 1
        done = run("train", "killed.yaml", "-q")
        assert done.returncode == 0, done.stderr
        assert digest(killed) == digest(whole), f"run {runs} after {kills} kills ends in other bytes"
        losses = lambda o: [e["loss"] for e in map(json.loads, open(o / "events.jsonl")) if e["event"] == "step"]
        assert losses(killed) == losses(whole), "events.jsonl tells other losses"
        left = [p.name for p in killed.iterdir() if ".tmp" in p.name or ".partial" in p.name]
        assert not left, left
    print(f"       {kills} kills in {runs} runs of {length:.2f} s")


def test_interrupt_saves_and_goes_on():
    recipe("stopped", max_steps=400)
    child = subprocess.Popen([PROGRAM, "train", "stopped.yaml"], cwd=SCRATCH, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (SCRATCH / "stopped/checkpoint-8").exists() and time.monotonic() < deadline:
        time.sleep(0.01)
    child.send_signal(signal.SIGINT)
    _, messages = child.communicate(timeout=60)
    assert child.returncode == 130, (child.returncode, messages)
    assert "goes on from there" in messages, messages
    done = run("train", "stopped.yaml", "max_steps=400")
    assert done.returncode == 0 and "going on from step" in done.stderr, done.stderr
    done = run("train", "stopped.yaml")
    assert done.returncode == 0 and "finished" in done.stderr, done.stderr


def test_another_recipe_is_refused():
    recipe("again", max_steps=2)
    assert run("train", "again.yaml", "-q").returncode == 0
    refused(run("train", "again.yaml", "learning_rate=0.1"), "learning_rate", "overwrite_output_dir")
    assert run("train", "again.yaml", "learning_rate=0.1", "overwrite_output_dir=true", "-q").returncode == 0


def test_bad_input():
    (SCRATCH / "torn.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}, {"role": "assi\n')
    (SCRATCH / "empty.jsonl").write_text("")
    (SCRATCH / "unanswered.jsonl").write_text('{"messages": [{"role": "user", "content": "a"}]}\n')
    recipe("bad", max_steps=2)
    refused(run("train", "bad.yaml", "dataset_name=torn.jsonl"), "torn.jsonl", "line 1")
    refused(run("train", "bad.yaml", "dataset_name=missing.jsonl"), "missing.jsonl")
    refused(run("train", "bad.yaml", "dataset_name=empty.jsonl"), "empty.jsonl", "no record")
    refused(run("train", "bad.yaml", "dataset_name=unanswered.jsonl"), "no dialogue is left")
    refused(run("train", "bad.yaml", "block_size=16", "overlength=drop"), "no dialogue is left", "too_long")
    refused(run("train", "bad.yaml", "model_name_or_path=missing"), "missing")
    refused(run("train", "bad.yaml", "dialogue_template=missing.jinja"), "missing.jinja")
    refused(run("train", "bad.yaml", "lora_target_modules=c_attn"), "lora_target_modules", "c_attn")


def test_other_template_than_the_data():
    done = run("data", "prepare", "dialogues.jsonl", "--tokenizer", "model", "--template", "chatml", "--block-size", "64", "--out", "prepared", "-q")
    assert done.returncode == 0, done.stderr
    recipe("mixed", dataset_name="prepared", max_steps=2)
    refused(run("train", "mixed.yaml"), "prepared")
    recipe("fits", dataset_name="prepared", dialogue_template="chatml", max_steps=2, test_size=None)
    done = run("train", "fits.yaml", "-q")
    assert done.returncode == 0, done.stderr


def test_full_disk():
    """A limit on the size of files stands in for a full disk: nothing half-written is left, and the message is one line."""
    recipe("full", max_steps=4)

    def limit():
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (20000, 20000))

    done = run("train", "full.yaml", "-q", preexec_fn=limit)
    refused(done)
    done = run("train", "full.yaml", "-q")
    assert done.returncode == 0, done.stderr


def test_read_only_output():
    if os.geteuid() == 0:       # root may write anywhere: a file where the directory should be
        (SCRATCH / "taken").write_text("")
        recipe("readonly", max_steps=2, output_dir="taken/out")
    else:
        (SCRATCH / "locked").mkdir(mode=0o555)
        recipe("readonly", max_steps=2, output_dir="locked/out")
    refused(run("train", "readonly.yaml"), "out")


def main():
    wanted = sys.argv[2:]
    os.environ.update(HOME=str(SCRATCH), STARCHAT_HOME=str(SCRATCH / "store"), HF_HUB_OFFLINE="1", LC_ALL="C.UTF-8")
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    try:
        set_up()
        for name, run_test in tests:
            try:
                run_test()
                print("ok    ", name)
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(file=sys.stdout)
    finally:
        shutil.rmtree(SCRATCH, ignore_errors=True)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
