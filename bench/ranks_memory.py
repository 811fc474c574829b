#!/usr/bin/env python3
"""Memory of training over ranks: what `plan --ranks N` says, what the parameters' memory should be at most, and the peak of each rank.

    bench/ranks_memory.py WORK [--program build/starchat] [--ranks 1,2,4,8] [--zero 3]

A random Llama of 318 million parameters (WORK keeps it; 1.3 GB, and up to 7 GB while it runs), everything trained in f32 with AdamW, one
row of 128 tokens a rank. Bound: 1.05 x (states / N + places of two blocks and of what is whole). Peak: VmHWM of each rank's process."""
import argparse
import json
import os
import pathlib
import shutil
import subprocess
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
CONFIG = {"architectures": ["LlamaForCausalLM"], "model_type": "llama", "vocab_size": 49152, "hidden_size": 1024, "num_hidden_layers": 24, "num_attention_heads": 16, "num_key_value_heads": 4,
          "intermediate_size": 2816, "max_position_embeddings": 512, "rms_norm_eps": 1e-5, "rope_theta": 10000.0, "hidden_act": "silu", "tie_word_embeddings": True, "initializer_range": 0.02,
          "bos_token_id": 261, "eos_token_id": 261}


def peaks(name, child):
    """Largest VmHWM of each process of the job, until it ends."""
    found = {}
    while child.poll() is None:
        for p in pathlib.Path("/proc").iterdir():
            try:
                line = (p / "cmdline").read_bytes().split(b"\0")
                if name not in line or not line[0].endswith(b"starchat"):
                    continue
                text = (p / "status").read_text()
                found[p.name] = int(text.split("VmHWM:")[1].split()[0]) * 1024
            except (OSError, IndexError):
                continue
        time.sleep(0.1)
    return sorted(found.values())


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("work", type=pathlib.Path)
    p.add_argument("--program", default=str(ROOT / "build/starchat"))
    p.add_argument("--ranks", default="1,2,4,8")
    p.add_argument("--zero", type=int, default=3)
    a = p.parse_args()
    work, program = a.work.resolve(), str(pathlib.Path(a.program).resolve())
    work.mkdir(parents=True, exist_ok=True)
    (work / "config.json").write_text(json.dumps(CONFIG))
    if not (work / "model").exists():
        subprocess.run([program, "init", "config.json", "model", "--tokenizer", str(ROOT / "tests/golden/tokenizers/bytes/tokenizer.json"), "--seed", "7", "-q"], cwd=work, check=True)
    with open(work / "dialogues.jsonl", "w") as f:
        for i in range(64):
            f.write(json.dumps({"messages": [{"role": "user", "content": f"count from {i}"}, {"role": "assistant", "content": " ".join(str(i + k) for k in range(30))}]}) + "\n")
    recipe = {"model_name_or_path": "model", "dataset_name": "dialogues.jsonl", "dialogue_template": "chatml", "block_size": 128, "packing": "chop", "max_steps": 2, "learning_rate": 1e-4, "evaluation_strategy": "no",
              "save_strategy": "no", "eval_samples": 0, "report_to": "none", "total_train_batch_size": 8, "output_dir": "out", "zero": a.zero}
    (work / "memory.yaml").write_text("".join(f"{k}: {json.dumps(v)}\n" for k, v in recipe.items()))
    print("| ranks | states/N | whole, and two blocks | bound x 1.05 | this program's | plan, peak | peak of the ranks | peak / plan |\n|---|---|---|---|---|---|---|---|")
    whole = None
    for n in map(int, a.ranks.split(",")):
        shutil.rmtree(work / "out", ignore_errors=True)
        plan = json.loads(subprocess.run([program, "plan", "memory.yaml", "--ranks", str(n), "--json", "--threads", "1"], cwd=work, check=True, capture_output=True, text=True).stdout)
        parts = plan["parts"]
        if n == 1:
            whole = 16 * plan["trained_parameters"]
        states = (whole or 16 * plan["trained_parameters"]) / n
        live = parts.get("trained_whole", 4 * plan["trained_parameters"])
        ours = parts["trained"] if n == 1 else parts["trained_slices"] + parts["trained_whole"]
        line = [program, "train", "memory.yaml", "--threads", "1", "-q"]
        if n > 1:
            line = ["mpirun.openmpi", "--allow-run-as-root", "--oversubscribe", "-n", str(n), *line]
        child = subprocess.Popen(line, cwd=work, stdout=subprocess.DEVNULL)
        found = peaks(b"memory.yaml", child)
        assert child.returncode == 0 and len(found) == n, (child.returncode, found)
        mb = lambda x: f"{x / 1e6:,.0f}"
        print(f"| {n} | {mb(states)} | {mb(live)} | {mb(1.05 * (states + live))} | {mb(ours)} | {mb(plan['peak_bytes'])} | {mb(found[0])} to {mb(found[-1])} | {found[0] / plan['peak_bytes']:.2f} to {found[-1] / plan['peak_bytes']:.2f} |", flush=True)
    shutil.rmtree(work / "out", ignore_errors=True)


if __name__ == "__main__":
    main()
