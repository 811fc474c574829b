"""Tokens a second and memory of TRL's SFTTrainer on a prepared data set, beside bench/learn.c, in turn.

    python tools/oracle/train_speed.py MODEL-DIRECTORY DATASET lora|full [--steps 3] [--ours build/bench_learn] [--rounds 3]

MODEL-DIRECTORY: Hugging Face files in f32; DATASET: a directory of `starchat data prepare`. The samples and labels are
those of the data set; TRL packs them anew (bfd, padding-free) to the same length. Both: f32, AdamW, clipping at 1, one
packed row a step, two threads. --checkpointing, --compile and --attention are for finding TRL's best settings.
"""
import argparse
import json
import os
import resource
import statistics
import struct
import subprocess
import sys
import time

import numpy as np


def samples(directory):
    """Token ids and trained flags of each sample of the train split; the layout is in src/data/data.h."""
    manifest = json.load(open(os.path.join(directory, "dataset.json")))
    for shard in manifest["splits"]["train"]["shards"]:
        data = open(os.path.join(directory, shard["file"]), "rb").read()
        assert data[:8] == b"SCTOKENS"
        rows, segments, tokens = struct.unpack_from("<QQQ", data, 16)
        at = 64 + 8 * (rows + 1)
        table = np.frombuffer(data, np.dtype([("begin", "<u8"), ("line", "<u8"), ("length", "<u4"), ("file", "<u4"), ("index", "<u4"), ("piece", "<u4")]), segments, at)
        at += table.nbytes
        ids = np.frombuffer(data, "<i4", tokens, at)
        flags = np.frombuffer(data, "u1", tokens, at + 4 * tokens)
        for s in table:
            part = slice(int(s["begin"]), int(s["begin"]) + int(s["length"]))
            yield {"input_ids": ids[part].tolist(), "assistant_masks": (flags[part] >> 3 & 1).astype(int).tolist()}


def theirs(a):
    import datasets
    import peft
    import torch
    import transformers
    import trl

    torch.set_num_threads(2)
    torch.manual_seed(1)
    model = transformers.AutoModelForCausalLM.from_pretrained(a.model, dtype=torch.float32, attn_implementation=a.attention)
    config = trl.SFTConfig(
        output_dir="/tmp/train_speed", per_device_train_batch_size=1, max_length=a.length, packing=True, max_steps=a.steps + 1, learning_rate=1e-4, use_cpu=True, bf16=False,
        gradient_checkpointing=a.checkpointing, torch_compile=a.compile, report_to=[], save_strategy="no", logging_strategy="no", dataloader_num_workers=0, disable_tqdm=True)
    adapter = peft.LoraConfig(r=16, lora_alpha=32, lora_dropout=0, target_modules="all-linear", task_type="CAUSAL_LM") if a.mode == "lora" else None
    tokens, ends = [], []

    class Clock(transformers.TrainerCallback):
        def on_step_end(self, *_, **__):
            ends.append(time.perf_counter())

    trainer = trl.SFTTrainer(model=model, args=config, train_dataset=datasets.Dataset.from_list(list(samples(a.data))), peft_config=adapter,
                             processing_class=transformers.AutoTokenizer.from_pretrained(a.model), callbacks=[Clock()])
    step = trainer.training_step

    def counted(model, inputs, *rest):
        tokens.append(inputs["input_ids"].numel())
        return step(model, inputs, *rest)

    trainer.training_step = counted
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    trainer.train()
    learned = sum(p.numel() for p in trainer.model.parameters() if p.requires_grad)
    weights = sum(p.numel() for p in trainer.model.parameters())
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    print(json.dumps({
        "tokens_per_second": sum(tokens[1:]) / (ends[-1] - ends[0]), "tokens": tokens, "seconds": [b - x for x, b in zip(ends, ends[1:])],
        "peak": peak, "before": before, "weights_gradients_moments": 4 * (weights + 3 * learned), "beyond": peak - before - 12 * learned,
        "versions": {m.__name__: m.__version__ for m in (torch, transformers, peft, trl)},
        "settings": {"attention": a.attention, "checkpointing": a.checkpointing, "compile": a.compile, "padding_free": trainer.padding_free}}))


def main():
    p = argparse.ArgumentParser()
    p.add_argument("model")
    p.add_argument("data")
    p.add_argument("mode", choices=["lora", "full"])
    p.add_argument("--steps", type=int, default=3)
    p.add_argument("--length", type=int, default=1024)
    p.add_argument("--rounds", type=int, default=3)
    p.add_argument("--ours")
    p.add_argument("--keep", default="4000", help="MB of activations that ours may keep")
    p.add_argument("--attention", default="sdpa")
    p.add_argument("--checkpointing", action="store_true")
    p.add_argument("--compile", action="store_true")
    a = p.parse_args()
    if not a.ours:
        theirs(a)
        return
    found = {"ours": [], "theirs": []}
    options = [x for x in sys.argv[1:]]
    at = options.index("--ours")
    del options[at:at + 2]
    for i in range(a.rounds):
        run = subprocess.run([a.ours, a.model, a.data, a.mode, str(a.steps), str(200 + 50 * i), a.keep], capture_output=True, text=True, check=True)
        found["ours"].append(json.loads(run.stdout))
        run = subprocess.run([sys.executable, __file__, *options], capture_output=True, text=True, check=True)
        found["theirs"].append(json.loads(run.stdout.strip().splitlines()[-1]))
        print(json.dumps({k: round(v[-1]["tokens_per_second"], 1) for k, v in found.items()}), file=sys.stderr)
    medians = {k: statistics.median(r["tokens_per_second"] for r in v) for k, v in found.items()}
    print(json.dumps({"mode": a.mode, **medians, "ratio": medians["ours"] / medians["theirs"], "last": {k: v[-1] for k, v in found.items()}}, indent=1))


main()
