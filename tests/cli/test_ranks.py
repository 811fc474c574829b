#!/usr/bin/env python3
"""Training over several processes, as a user starts it: mpirun of Open MPI and of MPICH, whichever are installed and have a module.
Every number of ranks and every stage must give the bytes of one process. Usage: tests/cli/test_ranks.py PROGRAM [TEST...]
Last line: "N passed, N failed"."""

import hashlib
import json
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import traceback

PROGRAM = str(pathlib.Path(sys.argv[1]).resolve())
ROOT = pathlib.Path(__file__).resolve().parents[2]
SCRATCH = pathlib.Path(tempfile.mkdtemp(prefix="starchat-ranks-"))
LAUNCHERS = {"openmpi": ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "--mca", "btl_vader_single_copy_mechanism", "none"], "mpich": ["mpirun.mpich"]}

COMMON = {"vocab_size": 267, "bos_token_id": 261, "eos_token_id": 261, "initializer_range": 0.1}
CONFIGS = {
    "llama": {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 4, "num_key_value_heads": 2, "intermediate_size": 160,
              "max_position_embeddings": 128, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, **COMMON},
    "gpt": {"architectures": ["GPTBigCodeForCausalLM"], "model_type": "gpt_bigcode", "n_embd": 96, "n_layer": 3, "n_head": 4, "n_inner": 192, "n_positions": 128, "multi_query": True,
            "activation_function": "gelu_pytorch_tanh", "layer_norm_epsilon": 1e-5, **COMMON},
}
RECIPE = {"dataset_name": "dialogues.jsonl", "dialogue_template": "no_system", "block_size": 64, "max_steps": 6, "total_train_batch_size": 5, "learning_rate": 0.005, "test_size": 0.1,
          "evaluation_strategy": "steps", "eval_steps": 3, "save_steps": 2, "logging_steps": 2, "eval_samples": 1, "report_to": "none"}
KINDS = {
    "full": {}, "full_kept": {"recompute": False, "optim": "adamw_8bit"}, "bf16": {"weights": "bf16"}, "stochastic": {"weights": "bf16_stochastic", "optim": "adamw_8bit"},
    "lora": {"lora_r": 16, "lora_dropout": 0.1}, "qlora": {"lora_r": 4, "quantize_base": "q8_0"},
}


def modules():
    return [name for name, line in LAUNCHERS.items() if shutil.which(line[0]) and (pathlib.Path(PROGRAM).parent / f"starchat-{name}.so").exists()]


def set_up():
    for name, config in CONFIGS.items():
        (SCRATCH / f"{name}.json").write_text(json.dumps(config))
        subprocess.run([PROGRAM, "init", f"{name}.json", name, "--tokenizer", ROOT / "tests/golden/tokenizers/bytes/tokenizer.json", "--seed", "7", "-q"], cwd=SCRATCH, check=True)
    with open(SCRATCH / "dialogues.jsonl", "w") as f:
        for i in range(60):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"say {i}"}, {"role": "assistant", "content": f"{i} " * (1 + i % 5)}]}) + "\n")


def recipe(name, **changes):
    lines = [f"{key}: {json.dumps(value)}" for key, value in {**RECIPE, "output_dir": name, **changes}.items()]
    (SCRATCH / f"{name}.yaml").write_text("\n".join(lines) + "\n")
    return SCRATCH / name


def command(name, launcher=None, ranks=1, *more):
    line = [PROGRAM, "train", f"{name}.yaml", "--threads", "1", "-q", *more]
    return line if ranks == 1 else [*LAUNCHERS[launcher], "-n", str(ranks), *line]


def train(name, launcher=None, ranks=1, *more, ok=True):
    done = subprocess.run(command(name, launcher, ranks, *more), cwd=SCRATCH, capture_output=True, text=True, timeout=300, stdin=subprocess.DEVNULL)
    assert not ok or done.returncode == 0, (name, launcher, ranks, done.stderr[-2000:])
    return done


def outcome(output):
    """Losses of steps and evaluations, answers, and the bytes of the weights."""
    events = [json.loads(line) for line in (output / "events.jsonl").read_text().splitlines()]
    told = [(e["event"], e["step"], e.get("loss"), e.get("grad_norm"), e.get("low"), e.get("answer")) for e in events if e["event"] in ("step", "eval", "sample")]
    weights = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in sorted(output.glob("*.safetensors"))}
    assert weights and len([t for t in told if t[0] == "step"]) == 6
    return told, weights


def compare(model, kind, runs):
    alone = recipe(f"{model}-{kind}", model_name_or_path=model, **KINDS[kind])
    train(alone.name)
    expected = outcome(alone)
    for launcher, ranks, stage in runs:
        if launcher not in modules():
            continue
        name = f"{model}-{kind}-{launcher}-{ranks}-{stage}"
        output = recipe(name, model_name_or_path=model, zero=stage, **KINDS[kind])
        train(name, launcher, ranks)
        assert outcome(output) == expected, (name, [(a, b) for a, b in zip(outcome(output)[0], expected[0]) if a != b][:2], outcome(output)[1] == expected[1])


def test_full_llama():
    compare("llama", "full", [("openmpi", 2, 0), ("openmpi", 3, 1), ("openmpi", 2, 2), ("openmpi", 3, 3), ("mpich", 2, 3)])


def test_full_gpt():
    compare("gpt", "full", [("openmpi", 2, 3), ("mpich", 3, 2)])


def test_lora():
    compare("llama", "lora", [("openmpi", 2, 3)])
    compare("gpt", "lora", [("openmpi", 3, 3), ("mpich", 2, 2)])


def test_other_kinds():
    for kind in ("full_kept", "bf16", "stochastic", "qlora"):
        compare("llama", kind, [("openmpi", 2, 3)])
    compare("gpt", "stochastic", [("openmpi", 3, 1)])


def main():
    wanted = sys.argv[2:]
    tests = [(n, f) for n, f in globals().items() if n.startswith("test_") and (not wanted or n in wanted)]
    failed = 0
    if not modules():
        print("skipped: tests/cli/test_ranks.py needs Open MPI or MPICH, and its module (make mpi)")
        print("0 passed, 0 failed")
        return 0
    try:
        set_up()
        for name, run in tests:
            try:
                run()
                print("ok    ", name)
            except Exception:
                failed += 1
                print("FAILED", name)
                traceback.print_exc(limit=3, file=sys.stdout)
    finally:
        if not os.environ.get("STARCHAT_KEEP"):
            shutil.rmtree(SCRATCH)
    print(f"{len(tests) - failed} passed, {failed} failed")
    return failed > 0


if __name__ == "__main__":
    sys.exit(main())
