"""Curves of preference training with TRL's own DPOTrainer and ORPOTrainer on the tiny gpt_bigcode model of
train_curves.py, for the tests of `starchat train` with loss_type dpo and orpo. Reads OUT_DIR/pairs.jsonl and writes
OUT_DIR/CASE.json: recipe, the token ids of every pair as TRL made them (prompt_ids, chosen_ids, rejected_ids), and of each
step loss, rewards (chosen, rejected, margins, accuracies), gradient norm, learning rate; for DPO the log-probabilities
before training; logits of a probe after the last step.

The template given to TRL is no_system without the line feed behind the last <|end|>, so that a completion ends with the
token that ends it; TRL trains whatever a completion has. Dropout 0, rows in file order, float32, no padding-free tricks.

Usage: preference_curves.py OUT_DIR [--only CASE]
Made with the versions of requirements.txt.
"""
import argparse
import json
import os
import tempfile

import torch
import transformers
import trl
from datasets import Dataset
from transformers import PreTrainedTokenizerFast, PrinterCallback
from trl import DPOConfig, DPOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

import training_common as common
from train_curves import BLOCK, SEED

TEMPLATE = ("{{ '<|system|>\\n<|end|>\\n' }}{% for m in messages %}{{ '<|' + m['role'] + '|>\\n' + m['content'] + '<|end|>' }}"
            "{% if not loop.last or add_generation_prompt %}{{ '\\n' }}{% endif %}{% endfor %}"
            "{% if add_generation_prompt %}{{ '<|assistant|>' }}{% endif %}")
CASES = {
    "gpt_bigcode_dpo": dict(loss_type="dpo", beta=0.1, max_steps=50, per_device_train_batch_size=3, learning_rate=5e-4,
                            lr_scheduler_type="linear", warmup_steps=5),
    "gpt_bigcode_orpo": dict(loss_type="orpo", beta=0.1, max_steps=50, per_device_train_batch_size=2, learning_rate=2e-3,
                             lr_scheduler_type="cosine", warmup_steps=5),
}
COMMON = dict(dialogue_template="no_system", block_size=BLOCK, gradient_accumulation_steps=1, weight_decay=0.0, max_grad_norm=1.0,
              lora_r=0)
REWARDS = ["chosen", "rejected", "margins", "accuracies"]


def make_tokenizer(folder):
    tokenizer = PreTrainedTokenizerFast(tokenizer_file=os.path.join(folder, "tokenizer.json"))
    tokenizer.add_tokens(common.TOKENS, special_tokens=True)         # first, so that ids are in this order
    tokenizer.add_special_tokens({"eos_token": "<|end|>", "pad_token": "<|endoftext|>"})
    tokenizer.padding_side = "left"
    tokenizer.chat_template = TEMPLATE
    return tokenizer


class Recorded:
    """Mixed into a trainer: keeps loss and rewards of each step at full precision, and rows in their order."""
    curves = None

    def _get_train_sampler(self, *args, **kwargs):
        return torch.utils.data.SequentialSampler(self.train_dataset)

    def log(self, logs, *args, **kwargs):
        if "grad_norm" in logs:
            self.curves["grad_norm"].append(float(logs["grad_norm"]))
            self.curves["learning_rate"].append(logs["learning_rate"])
        super().log(logs, *args, **kwargs)

    def compute_loss(self, *args, **kwargs):
        loss = super().compute_loss(*args, **kwargs)
        kept = self._metrics["train"] if hasattr(self, "_metrics") else self._stored_metrics["train"]
        self.curves["loss"].append(loss.item())
        for key in REWARDS:
            self.curves["rewards_" + key].append(float(kept["rewards/" + key][-1]))
        return loss


class RecordedDPO(Recorded, DPOTrainer):
    pass


class RecordedORPO(Recorded, ORPOTrainer):
    pass


def make_trainer(model, tokenizer, keys, data, scratch):
    shared = dict(output_dir=scratch, per_device_train_batch_size=keys["per_device_train_batch_size"], max_steps=keys["max_steps"],
                  learning_rate=keys["learning_rate"], lr_scheduler_type=keys["lr_scheduler_type"], warmup_steps=keys["warmup_steps"],
                  weight_decay=0.0, max_grad_norm=keys["max_grad_norm"], beta=keys["beta"], max_length=BLOCK, disable_dropout=True,
                  bf16=False, gradient_checkpointing=False, use_cpu=True, report_to="none", save_strategy="no", logging_steps=1,
                  dataloader_drop_last=True, disable_tqdm=True, optim="adamw_torch", seed=SEED)
    if keys["loss_type"] == "dpo":
        return RecordedDPO(model=model, args=DPOConfig(precompute_ref_log_probs=True, **shared), train_dataset=data, processing_class=tokenizer)
    return RecordedORPO(model=model, args=ORPOConfig(**shared), train_dataset=data, processing_class=tokenizer)


def pairs_of(dataset):
    """Token ids as the trainer has them."""
    out = []
    for row in dataset:
        if "prompt_ids" in row:
            pair = {k: list(row[k]) for k in ("prompt_ids", "chosen_ids", "rejected_ids")}
        else:
            n = len(row["prompt_input_ids"])
            pair = {"prompt_ids": list(row["prompt_input_ids"]), "chosen_ids": list(row["chosen_input_ids"][n:]), "rejected_ids": list(row["rejected_input_ids"][n:])}
        out.append(pair)
    return out


def run_case(name, keys, root):
    folder = os.path.join(root, "models", "gpt_bigcode")
    model, _ = common.load_model(folder)
    tokenizer = make_tokenizer(folder)
    with open(os.path.join(root, "pairs.jsonl"), encoding="utf-8") as f:
        pairs = [json.loads(line) for line in f]
    leaves = keys["per_device_train_batch_size"]
    if len(pairs) % leaves:
        raise SystemExit("an epoch must end with a whole step")
    data = Dataset.from_list(pairs)
    curves = {k: [] for k in ["loss", "grad_norm", "learning_rate"] + ["rewards_" + r for r in REWARDS]}
    with tempfile.TemporaryDirectory() as scratch:
        trainer = make_trainer(model, tokenizer, keys, data, scratch)
        trainer.curves = curves
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    ids = pairs_of(trainer.train_dataset)
    out = {"script": "tools/oracle/preference_curves.py", "versions": common.versions(trl), "seed": SEED, "model": "models/gpt_bigcode",
           "recipe": keys, **curves, "pairs": ids}
    if keys["loss_type"] == "dpo":
        # TRL 1.16 wraps what it precomputed in a dataset of its own.
        out["reference"] = [[float(row["ref_chosen_logps"]), float(row["ref_rejected_logps"])] for row in trainer.train_dataset]
    probe = ids[0]["prompt_ids"] + ids[0]["chosen_ids"]
    positions = [len(probe) // 2, len(probe) - 1]
    trainer.model.eval()
    out.update(probe=probe, probe_positions=positions, logits=common.probe_logits(trainer.model, probe, positions))
    common.write_compact(os.path.join(root, name + ".json"), out)
    print(f"{name}: {len(ids)} pairs, loss {curves['loss'][0]:.4f} to {curves['loss'][-1]:.4f}, margins to {curves['rewards_margins'][-1]:.4f}, "
          f"{len(curves['loss'])} steps", flush=True)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    for name, keys in CASES.items():
        if args.only in (None, name):
            run_case(name, {**COMMON, **keys}, args.out)


if __name__ == "__main__":
    main()
