"""Loss curves of fine-tuning tiny models, for the tests of `starchat train`: full fine-tuning of each architecture and
LoRA through PEFT. Writes OUT_DIR (tests/golden/training):
  chats.jsonl, pairs.jsonl     the dialogues, made here
  models/ARCH/                 config.json, model.safetensors (float16), tokenizer.json (bytes)
  rows.json                    what `starchat data prepare` makes of chats.jsonl: rows of samples, ids and trained
  CASE.json                    recipe, losses and gradient norms of each step (before the update), learning rates,
                               logits of a probe and sums of the weights after the last one
  CASE.adapter/                the adapter that a LoRA case starts from (PEFT's own file; B is zero)
float64 says how far a run in double precision is from these numbers.

Usage: train_curves.py OUT_DIR --starchat PROGRAM [--only CASE]
Made with the versions of requirements.txt.
"""
import argparse
import os
import shutil
import tempfile

import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, get_peft_model

import training_common as common
from tiny_models import write_model

SEED = 4100
BLOCK = 128
VOCAB = 267      # of tests/golden/tokenizers/bytes
POSITIONS = dict(n_positions=BLOCK)
BYTES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../tests/golden/tokenizers/bytes/tokenizer.json")

MODELS = [
    dict(name="gpt_bigcode", arch="gpt_bigcode", heads=4, kv=1, dim=8, inner=96, layers=2, vocab=VOCAB, dtype="float16",
         extra=dict(activation_function="gelu", **POSITIONS)),
    dict(name="starcoder2", arch="starcoder2", heads=4, kv=2, dim=8, inner=64, layers=2, vocab=VOCAB, dtype="float16",
         theta=1e5, extra=dict(sliding_window=24)),
    dict(name="llama", arch="llama", heads=4, kv=2, dim=8, inner=64, layers=2, vocab=VOCAB, dtype="float16", theta=1e4,
         extra=dict(tie_word_embeddings=False)),
    dict(name="qwen2", arch="qwen2", heads=4, kv=2, dim=8, inner=64, layers=2, vocab=VOCAB, dtype="float16", theta=1e6,
         extra=dict(tie_word_embeddings=True, use_sliding_window=False)),
]


def recipe(**keys):
    out = dict(loss_type="sft", dialogue_template="no_system", block_size=BLOCK, max_steps=30, per_device_train_batch_size=1,
               gradient_accumulation_steps=2, learning_rate=2e-3, lr_scheduler_type="cosine", warmup_steps=5, weight_decay=0.0,
               max_grad_norm=1.0, lora_r=0)
    out.update(keys)
    return out


CASES = {
    "gpt_bigcode_full": ("gpt_bigcode", recipe(max_steps=100, gradient_accumulation_steps=3, warmup_steps=10, weight_decay=0.1)),
    "starcoder2_full": ("starcoder2", recipe(lr_scheduler_type="linear", weight_decay=0.05)),
    "llama_full": ("llama", recipe(lr_scheduler_type="constant_with_warmup", gradient_accumulation_steps=3)),
    "qwen2_full": ("qwen2", recipe(lr_scheduler_type="constant", warmup_steps=0, max_grad_norm=0.5, per_device_train_batch_size=2)),
    "gpt_bigcode_lora": ("gpt_bigcode", recipe(max_steps=100, gradient_accumulation_steps=3, warmup_steps=10, learning_rate=1e-2, weight_decay=0.1, lora_r=4,
                                               lora_alpha=8.0, lora_target_modules="c_attn,c_proj", train_new_tokens="true")),
    "llama_rslora": ("llama", recipe(learning_rate=1e-2, lora_r=4, lora_alpha=6.0, use_rslora=True, weight_decay=0.1,
                                     lora_target_modules="all-linear", train_new_tokens="false")),
}
EMBEDDING = {"gpt_bigcode": "wte", "llama": "embed_tokens"}


def lora_config(arch, keys, ids):
    targets = keys["lora_target_modules"]
    return LoraConfig(task_type="CAUSAL_LM", r=keys["lora_r"], lora_alpha=keys["lora_alpha"], lora_dropout=0.0, bias="none",
                      use_rslora=keys.get("use_rslora", False), target_modules=targets if targets == "all-linear" else targets.split(","),
                      trainable_token_indices={EMBEDDING[arch]: ids} if keys["train_new_tokens"] == "true" else None)


def make_adapter(folder, arch, keys, out):
    """The start of a LoRA case, drawn by PEFT."""
    torch.manual_seed(SEED)
    model, ids = common.load_model(folder)
    model = get_peft_model(model, lora_config(arch, keys, ids))
    model.save_pretrained(out, save_embedding_layers=False)
    common.remove_machine_paths(out, arch)


def open_model(folder, keys, adapter, dtype):
    model, _ = common.load_model(folder)
    if keys["lora_r"]:
        model = PeftModel.from_pretrained(model, adapter, is_trainable=True).eval()
    return model.to(dtype)


def run_case(name, arch, keys, root, rows):
    folder, adapter = os.path.join(root, "models", arch), os.path.join(root, name + ".adapter")
    if keys["lora_r"]:
        shutil.rmtree(adapter, ignore_errors=True)
        make_adapter(folder, arch, keys, adapter)
    model = open_model(folder, keys, adapter, torch.float32)
    curves = common.train(model, rows, keys)
    exact_model = open_model(folder, keys, adapter, torch.float64)
    exact = common.train(exact_model, rows, keys)
    probe = rows[0][0][0]
    positions = [len(probe) // 2, len(probe) - 1]
    logits, better = (common.probe_logits(m, probe, positions) for m in (model, exact_model))
    # Whatever the bias of the keys is, softmax does not see it where positions are learned: its gradient is rounding
    # alone, which Adam makes as large as any other.
    skip = ["c_attn.bias"] if arch == "gpt_bigcode" else []
    out = {"script": "tools/oracle/train_curves.py", "versions": common.versions(peft) if keys["lora_r"] else common.versions(),
           "seed": SEED, "model": "models/" + arch, "recipe": keys, **curves,
           "float64": {**{k: float(f"{common.largest_difference(curves[k], exact[k]):.2g}") for k in ("loss", "grad_norm")},
                       "logits": float(f"{max(abs(x - y) for a, b in zip(logits, better) for x, y in zip(a, b)):.2g}")},
           "probe": probe, "probe_positions": positions, "logits": logits, "weights": common.summary(model, skip)}
    if keys["lora_r"]:
        out["adapter"] = name + ".adapter"
    common.write_compact(os.path.join(root, name + ".json"), out)
    print(f"{name}: loss {curves['loss'][0]:.4f} to {curves['loss'][-1]:.4f}, norm {min(curves['grad_norm']):.3f} to {max(curves['grad_norm']):.3f}, against float64 {out['float64']}", flush=True)


def make_models(root):
    for i, spec in enumerate(MODELS):
        folder = os.path.join(root, "models", spec["name"])
        os.makedirs(folder, exist_ok=True)
        write_model(spec, SEED + i, folder)
        shutil.copyfile(BYTES, os.path.join(folder, "tokenizer.json"))


def make_data(root, starchat):
    common.write_jsonl(os.path.join(root, "chats.jsonl"), common.make_chats(90, SEED))
    common.write_jsonl(os.path.join(root, "pairs.jsonl"), common.make_pairs(36, SEED))
    with tempfile.TemporaryDirectory() as scratch:
        rows = common.prepare(starchat, os.path.join(root, "chats.jsonl"), BYTES, os.path.join(scratch, "chats"), BLOCK)
    with open(os.path.join(root, "rows.json"), "w", encoding="utf-8") as f:
        f.write("[\n" + ",\n".join("[" + ",".join('{"ids":%s,"trained":"%s"}' % (str(ids).replace(" ", ""), "".join(".x"[t] for t in trained))
                                                   for ids, trained in row) + "]" for row in rows) + "\n]\n")
    print(f"{len(rows)} rows, {sum(len(r) for r in rows)} samples, longest row {max(sum(len(s[0]) for s in r) for r in rows)}")
    return rows


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out")
    parser.add_argument("--starchat", required=True)
    parser.add_argument("--only")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    if not args.only:
        make_models(args.out)
    rows = make_data(args.out, args.starchat)
    for name, (arch, keys) in CASES.items():
        if args.only in (None, name):
            run_case(name, arch, keys, args.out, rows)


if __name__ == "__main__":
    main()
