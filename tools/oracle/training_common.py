"""What the training references share: data, tiny models, and a plain PyTorch loop that does what Hugging Face's Trainer
does with dropout 0 (AdamW, its weight decay rule, clipping, schedules, a step's loss as the mean over all its trained
tokens). Attention within a packed row: each dialogue is passed through the model alone, which is what a packed row with
block-diagonal attention and restarting positions means. Used by train_curves.py, preference_curves.py, train_parity.py.
"""
import json
import os
import random
import subprocess

import numpy as np
import torch
import torch.nn.functional as F
import transformers
from transformers import AutoConfig, AutoModelForCausalLM, Trainer, get_scheduler

TOKENS = ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]


# ---- data --------------------------------------------------------------------------------------------------------------


def write_jsonl(path, records):
    with open(path, "w", encoding="utf-8") as f:
        for r in records:
            f.write(json.dumps(r, ensure_ascii=False) + "\n")


def question(rng):
    """A short question with its right answer."""
    a, b = rng.randint(2, 99), rng.randint(2, 99)
    word = "".join(rng.choice("abcdefghij") for _ in range(rng.randint(3, 7)))
    return rng.choice([
        (f"What is {a}+{b}?", f"{a + b}"), (f"Is {a} even?", "yes" if a % 2 == 0 else "no"),
        (f"Reverse {word}.", word[::-1]), (f"Length of {word}?", f"{len(word)} letters"),
        (f"Repeat {word} twice", f"{word} {word}"), ("Say hello.", "hello!"), (f"{a}*2 = ?", f"{2 * a}, of course"),
    ])


def make_chats(count, seed):
    rng, seen = random.Random(seed), set()
    chats = []
    while len(chats) < count:
        turns = [question(rng) for _ in range(rng.choice([1, 1, 1, 2]))]
        if str(turns) in seen:
            continue
        seen.add(str(turns))
        chats.append({"messages": [m for q, a in turns for m in
                                   ({"role": "user", "content": q}, {"role": "assistant", "content": a})]})
    return chats


def make_pairs(count, seed):
    rng, seen = random.Random(seed), set()
    pairs = []
    while len(pairs) < count:
        (q, good), (_, bad) = question(rng), question(rng)
        if good == bad or q in seen:
            continue
        seen.add(q)
        ask = [{"role": "user", "content": q}]
        pairs.append({"chosen": ask + [{"role": "assistant", "content": good}],
                      "rejected": ask + [{"role": "assistant", "content": bad}]})
    return pairs


def prepare(starchat, source, tokenizer, out, block_size):
    """Packs dialogues with starchat and reads them back: rows of samples, a sample is (ids, trained)."""
    subprocess.run([starchat, "data", "prepare", source, "--tokenizer", tokenizer, "--template", "no_system", "--out", out,
                    "--block-size", str(block_size), "--overwrite", "--quiet"], check=True, stdout=subprocess.DEVNULL)
    return read_rows(starchat, out)


def read_rows(starchat, directory):
    text = subprocess.run([starchat, "data", "show", directory, "--split", "train", "--all", "--jsonl"], check=True,
                          capture_output=True, text=True).stdout
    rows = {}
    for line in text.splitlines():
        sample = json.loads(line)
        rows.setdefault(sample["row"], []).append(([t["id"] for t in sample["tokens"]],
                                                   [bool(t["trained"]) for t in sample["tokens"]]))
    return [rows[k] for k in sorted(rows)]


# ---- models --------------------------------------------------------------------------------------------------------------


def add_rows(model, n):
    """New tokens behind the vocabulary; each row the mean of the old ones, as starchat adds them."""
    old = model.get_input_embeddings().weight.shape[0]
    model.resize_token_embeddings(old + n, mean_resizing=False)
    with torch.no_grad():
        for layer in {id(m): m for m in (model.get_input_embeddings(), model.get_output_embeddings())}.values():
            layer.weight[old:] = layer.weight[:old].double().mean(0).to(layer.weight.dtype)
    return list(range(old, old + n))


def load_model(folder, dtype=torch.float32, new_tokens=len(TOKENS)):
    """Weights of the folder plus rows of the template's tokens. Dropout is 0 in the configuration too: TRL's
    disable_dropout does not reach the attention of gpt_bigcode, which has no module for it."""
    config = AutoConfig.from_pretrained(folder)
    for key in ("attn_pdrop", "resid_pdrop", "embd_pdrop", "attention_dropout", "residual_dropout", "embedding_dropout"):
        if hasattr(config, key):
            setattr(config, key, 0.0)
    model = AutoModelForCausalLM.from_pretrained(folder, config=config, dtype=dtype, attn_implementation="eager").eval()
    model.config.use_cache = False
    return model, add_rows(model, new_tokens) if new_tokens else []


def summary(model, skip=()):
    """Of each trained tensor: norm, sum of w[i] * sin(i + 1), first and last element."""
    out = {}
    for name, p in model.named_parameters():
        if p.requires_grad and not any(s in name for s in skip):
            w = p.detach().double().numpy().ravel()
            out[name] = [float(np.linalg.norm(w)), float(np.dot(w, np.sin(np.arange(1, w.size + 1)))), float(w[0]), float(w[-1])]
    return out


# ---- the loop ----------------------------------------------------------------------------------------------------------------


def make_optimizer(model, recipe):
    decayed = set(Trainer.get_decay_parameter_names(None, model))
    trained = [(n, p) for n, p in model.named_parameters() if p.requires_grad]
    groups = [{"params": [p for n, p in trained if n in decayed], "weight_decay": recipe["weight_decay"]},
              {"params": [p for n, p in trained if n not in decayed], "weight_decay": 0.0}]
    return torch.optim.AdamW([g for g in groups if g["params"]], lr=recipe["learning_rate"], betas=(0.9, 0.999), eps=1e-8,
                             foreach=False)


def make_schedule(optimizer, recipe):
    return get_scheduler(recipe["lr_scheduler_type"], optimizer, num_warmup_steps=recipe["warmup_steps"],
                         num_training_steps=recipe["max_steps"])


def sample_loss(model, ids, trained):
    """Sum of the cross-entropies of a dialogue's trained tokens; the first one is never a target."""
    at = [i - 1 for i in range(1, len(ids)) if trained[i]]
    if not at:
        return None
    logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return F.cross_entropy(logits[at], torch.tensor([ids[i + 1] for i in at]), reduction="sum")


def targets(row):
    return sum(sum(trained[1:]) for _, trained in row)


def train(model, rows, recipe, on_step=None):
    """Losses before each update, norms before clipping, learning rates. Step s takes the next rows of an endless walk."""
    optimizer = make_optimizer(model, recipe)
    schedule = make_schedule(optimizer, recipe)
    leaves = recipe["gradient_accumulation_steps"] * recipe["per_device_train_batch_size"]
    out = {"loss": [], "grad_norm": [], "learning_rate": []}
    for step in range(recipe["max_steps"]):
        chosen = [rows[(step * leaves + i) % len(rows)] for i in range(leaves)]
        count, total = sum(targets(r) for r in chosen), 0.0
        for ids, trained in (s for r in chosen for s in r):
            loss = sample_loss(model, ids, trained)
            if loss is not None:
                total += loss.item()
                (loss / count).backward()
        parameters = [p for p in model.parameters() if p.requires_grad]
        out["loss"].append(total / count)
        out["grad_norm"].append(float(torch.nn.utils.clip_grad_norm_(parameters, recipe["max_grad_norm"])))
        out["learning_rate"].append(schedule.get_last_lr()[0])
        optimizer.step()
        schedule.step()
        optimizer.zero_grad()
        if on_step:
            on_step(step, out)
    return out


def largest_difference(a, b):
    """Relative, over two curves."""
    return max(abs(x - y) / max(abs(y), 1e-12) for x, y in zip(a, b))


def probe_logits(model, ids, positions):
    with torch.no_grad():
        logits = model(input_ids=torch.tensor([ids]), use_cache=False).logits[0]
    return [[float(f"{x:.6g}") for x in logits[p].tolist()] for p in positions]


def versions(*more):
    out = {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__}
    for module in more:
        out[module.__name__] = module.__version__
    return out


def write_compact(path, value):
    """One key a line."""
    with open(path, "w", encoding="utf-8") as f:
        f.write("{\n" + ",\n".join(f"{json.dumps(k)}: {json.dumps(v, separators=(',', ':'))}" for k, v in value.items()) + "\n}\n")


def remove_machine_paths(directory, base):
    """PEFT writes the base's path and a model card; neither belongs into the repository."""
    path = os.path.join(directory, "adapter_config.json")
    with open(path, encoding="utf-8") as f:
        config = json.load(f)
    config["base_model_name_or_path"] = base
    with open(path, "w", encoding="utf-8") as f:
        json.dump(config, f, indent=2, sort_keys=True)
        f.write("\n")
    card = os.path.join(directory, "README.md")
    if os.path.exists(card):
        os.remove(card)
