"""Makes tiny random models with known logits, for the model tests of the C program.

For each entry of MODELS it writes OUT_DIR/NAME/ with
  config.json        as found on the hub; some in the older, some in the newer ("rope_parameters") form
  model.safetensors  float32 weights (two entries: bfloat16, float16), or shards plus an index
  golden.json        prompt ids, greedy continuation, sizes, versions, seed
  logits.f32         little-endian float32 logits of every prompt position, row by row
The logits are computed by transformers in float32 with eager attention from the
folder as written, so what is stored is what was read back.  Weights are drawn
large enough that every bias, norm, window and rope setting changes the logits.

Usage: tiny_models.py OUT_DIR [--seed-offset N] [--only NAME ...]
With N > 0 the sizes (heads, head size, layers, vocabulary, window, prompt) are
drawn anew as well, so any number of fresh model sets can be made:
  tiny_models.py SCRATCH --seed-offset 7
  STARCHAT_GOLDEN_MODELS=SCRATCH build/test/model

Made with: torch 2.15.0, transformers 5.23.0, safetensors 0.8.0 (requirements.txt).
"""
import argparse
import hashlib
import json
import os
import random

import numpy as np
import torch
import transformers
from safetensors.torch import save_file
from transformers import AutoConfig, AutoModelForCausalLM

SEED = 1000
GREEDY = 16
POSITIONS = 72  # longest sequence the models with learned positions accept

# Common keys: arch, heads, kv, dim (head size), inner, layers, vocab, and
#   hidden    when it is not heads * dim
#   form      "old" (rope_theta, rope_scaling, torch_dtype) or "new" (rope_parameters, dtype)
#   dtype     of the stored weights
#   shards    number of weight files
#   extra     further config keys
#   buffers   add what old checkpoints carry besides weights: a copy of the tied head, mask buffers
MODELS = [
    dict(name="bigcode_mqa_erf", arch="gpt_bigcode", heads=4, kv=1, dim=12, inner=60, layers=2, vocab=101,
         extra=dict(activation_function="gelu")),
    dict(name="bigcode_mqa_tanh", arch="gpt_bigcode", heads=3, kv=1, dim=10, inner=None, layers=2, vocab=97,
         extra=dict(activation_function="gelu_pytorch_tanh", layer_norm_epsilon=1e-2)),
    dict(name="bigcode_mha", arch="gpt_bigcode", heads=4, kv=4, dim=10, inner=56, layers=2, vocab=113,
         buffers=True, extra=dict(activation_function="gelu_pytorch_tanh")),
    dict(name="bigcode_mqa_f16", arch="gpt_bigcode", heads=5, kv=1, dim=8, inner=60, layers=3, vocab=103,
         dtype="float16", extra=dict(activation_function="gelu")),
    dict(name="starcoder2_window", arch="starcoder2", heads=4, kv=2, dim=12, inner=56, layers=2, vocab=107,
         theta=999999.4420358813, extra=dict(sliding_window=11)),
    dict(name="starcoder2_untied", arch="starcoder2", heads=4, kv=2, dim=10, inner=60, layers=2, vocab=109,
         theta=1e5, extra=dict(sliding_window=None, tie_word_embeddings=False, norm_epsilon=1e-2)),
    dict(name="starcoder2_nobias", arch="starcoder2", heads=6, kv=2, dim=6, inner=76, layers=3, vocab=98,
         theta=1e4, form="new", extra=dict(sliding_window=17, use_bias=False)),
    dict(name="starcoder2_mha", arch="starcoder2", heads=2, kv=2, dim=20, inner=64, layers=2, vocab=127,
         theta=1e6, extra=dict(sliding_window=4096, hidden_act="gelu")),
    dict(name="llama_mha_tied", arch="llama", heads=3, kv=3, dim=12, inner=64, layers=2, vocab=131,
         theta=1e4, extra=dict(tie_word_embeddings=True)),
    dict(name="llama_gqa_untied", arch="llama", heads=4, kv=2, dim=10, inner=56, layers=2, vocab=101,
         theta=5e4, extra=dict(tie_word_embeddings=False, rms_norm_eps=1e-2)),
    dict(name="llama_gqa_sharded", arch="llama", heads=4, kv=2, dim=10, inner=56, layers=2, vocab=101,
         theta=5e4, shards=3, like="llama_gqa_untied", extra=dict(tie_word_embeddings=False, rms_norm_eps=1e-2)),
    dict(name="llama_mqa", arch="llama", heads=6, kv=1, dim=8, inner=52, layers=2, vocab=99,
         theta=1e5, form="new", extra=dict(tie_word_embeddings=True)),
    dict(name="llama_rope_llama3", arch="llama", heads=3, kv=1, dim=14, inner=60, layers=2, vocab=117,
         theta=1e4, scaling=dict(rope_type="llama3", factor=8.0, low_freq_factor=1.0, high_freq_factor=4.0,
                                 original_max_position_embeddings=32),
         extra=dict(tie_word_embeddings=True)),
    dict(name="llama_rope_llama3_new", arch="llama", heads=2, kv=1, dim=20, inner=60, layers=2, vocab=117,
         theta=1e4, form="new",
         scaling=dict(rope_type="llama3", factor=32.0, low_freq_factor=1.0, high_freq_factor=4.0,
                      original_max_position_embeddings=48),
         extra=dict(tie_word_embeddings=True)),
    dict(name="llama_rope_linear", arch="llama", heads=4, kv=4, dim=10, inner=56, layers=2, vocab=105,
         theta=1e4, scaling=dict(type="linear", factor=4.0), extra=dict(tie_word_embeddings=True)),
    dict(name="llama_biases", arch="llama", heads=4, kv=2, dim=10, inner=60, layers=2, vocab=103,
         theta=1e4, extra=dict(tie_word_embeddings=False, attention_bias=True, mlp_bias=True)),
    dict(name="llama_head_dim", arch="llama", heads=3, kv=1, dim=16, hidden=36, inner=60, layers=2, vocab=97,
         theta=1e4, extra=dict(tie_word_embeddings=True, head_dim=16)),
    dict(name="llama_bf16", arch="llama", heads=3, kv=1, dim=12, inner=64, layers=3, vocab=111,
         theta=1e5, dtype="bfloat16", extra=dict(tie_word_embeddings=True)),
    dict(name="qwen2_tied", arch="qwen2", heads=4, kv=2, dim=10, inner=64, layers=2, vocab=119,
         theta=1e6, extra=dict(tie_word_embeddings=True, use_sliding_window=False, sliding_window=8,
                               max_window_layers=1)),
    dict(name="qwen2_untied", arch="qwen2", heads=6, kv=2, dim=6, inner=68, layers=2, vocab=100,
         theta=1e4, form="new", shards=2, extra=dict(tie_word_embeddings=False, use_sliding_window=False)),
    dict(name="qwen2_window", arch="qwen2", heads=4, kv=2, dim=8, inner=60, layers=3, vocab=102,
         theta=1e6, extra=dict(tie_word_embeddings=True, use_sliding_window=True, sliding_window=9,
                               max_window_layers=1)),
    dict(name="qwen2_layer_types", arch="qwen2", heads=2, kv=1, dim=14, inner=52, layers=3, vocab=102,
         theta=1e6, form="new",
         extra=dict(tie_word_embeddings=True, use_sliding_window=True, sliding_window=13, max_window_layers=3,
                    layer_types=["sliding_attention", "full_attention", "sliding_attention"])),
]


def redraw_sizes(spec, rng):
    """Other sizes for the same variant: used with --seed-offset."""
    spec = dict(spec, extra=dict(spec["extra"]))
    if spec["kv"] == 1 or spec["arch"] == "gpt_bigcode":
        spec["heads"] = rng.randint(2, 6)
        spec["kv"] = 1 if spec["kv"] == 1 else spec["heads"]
    elif spec["kv"] == spec["heads"]:
        spec["heads"] = spec["kv"] = rng.randint(2, 5)
    else:
        spec["kv"] = rng.randint(2, 3)
        spec["heads"] = spec["kv"] * rng.randint(2, 3)
    spec["dim"] = 2 * rng.randint(3, 12)
    spec["layers"] = rng.randint(2, 4)
    spec["vocab"] = rng.randint(97, 300)
    if spec["inner"]:
        spec["inner"] = rng.randint(40, 160)
    if "hidden" in spec:
        spec["hidden"] = spec["heads"] * rng.randint(5, 20)
        spec["extra"]["head_dim"] = spec["dim"]
    if spec["extra"].get("sliding_window"):
        spec["extra"]["sliding_window"] = rng.randint(2, 30)
    if "layer_types" in spec["extra"]:
        kinds = ["sliding_attention", "full_attention"]
        spec["extra"]["layer_types"] = [rng.choice(kinds) for _ in range(spec["layers"])]
    return spec


def rope_keys(spec):
    """theta and scaling in the form that the config of this entry uses."""
    scaling = dict(spec.get("scaling") or {})
    if spec.get("form") == "new":
        if not scaling:
            scaling["rope_type"] = "default"
        return {"rope_parameters": dict(scaling, rope_theta=spec["theta"])}
    keys = {"rope_theta": spec["theta"]}
    if scaling:
        keys["rope_scaling"] = scaling
    return keys


def make_config(spec):
    """The config.json of one entry, as a dict."""
    arch = spec["arch"]
    hidden = spec.get("hidden", spec["heads"] * spec["dim"])
    dtype_key = "dtype" if spec.get("form") == "new" else "torch_dtype"
    config = {"model_type": arch, "vocab_size": spec["vocab"], "bos_token_id": 0, "eos_token_id": 0,
              "initializer_range": 0.1, "use_cache": True, dtype_key: spec.get("dtype", "float32")}
    if arch == "gpt_bigcode":
        config.update(architectures=["GPTBigCodeForCausalLM"], n_embd=hidden, n_head=spec["heads"],
                      n_inner=spec["inner"], n_layer=spec["layers"], n_positions=POSITIONS,
                      multi_query=spec["kv"] == 1, layer_norm_epsilon=1e-5, scale_attn_weights=True,
                      attention_softmax_in_fp32=True, scale_attention_softmax_in_fp32=True,
                      attn_pdrop=0.1, embd_pdrop=0.1, resid_pdrop=0.1)
    else:
        config.update(hidden_size=hidden, num_attention_heads=spec["heads"], num_key_value_heads=spec["kv"],
                      num_hidden_layers=spec["layers"], intermediate_size=spec["inner"],
                      max_position_embeddings=4 * POSITIONS, attention_dropout=0.0)
        config.update(rope_keys(spec))
    if arch == "starcoder2":
        config.update(architectures=["Starcoder2ForCausalLM"], norm_epsilon=1e-5, use_bias=True,
                      hidden_act="gelu_pytorch_tanh", mlp_type="default", norm_type="layer_norm",
                      residual_dropout=0.1, embedding_dropout=0.1)
    elif arch == "llama":
        config.update(architectures=["LlamaForCausalLM"], rms_norm_eps=1e-5, hidden_act="silu",
                      attention_bias=False, mlp_bias=False)
    elif arch == "qwen2":
        config.update(architectures=["Qwen2ForCausalLM"], rms_norm_eps=1e-6, hidden_act="silu")
    config.update(spec["extra"])
    return config


def draw_weights(model, generator):
    """Weights of about unit gain, biases and norms that matter."""
    with torch.no_grad():
        for name, p in sorted(model.named_parameters()):
            noise = torch.randn(p.shape, generator=generator, dtype=torch.float32)
            is_norm = "norm" in name or ".ln_" in name
            if name.endswith("bias"):
                p.copy_(noise * 0.3)
            elif is_norm:
                p.copy_(1.0 + noise * 0.25)
            elif "embed_tokens" in name or "wte" in name:
                p.copy_(noise * (0.35 if model.config.tie_word_embeddings else 0.6))
            elif "wpe" in name:
                p.copy_(noise * 0.4)
            else:
                p.copy_(noise * (1.5 / p.shape[1] ** 0.5))


def weights_to_store(model, spec):
    """State dict without the tied head, in the stored type."""
    dtype = getattr(torch, spec.get("dtype", "float32"))
    tied = model.config.tie_word_embeddings
    state = {}
    for name, tensor in model.state_dict().items():
        if name == "lm_head.weight" and tied:
            continue
        state[name] = tensor.detach().to(dtype).contiguous()
    if spec.get("buffers"):
        state["lm_head.weight"] = state["transformer.wte.weight"].clone()
        mask = torch.ones(POSITIONS, POSITIONS, dtype=torch.bool).tril()
        for i in range(spec["layers"]):
            state[f"transformer.h.{i}.attn.bias"] = mask[None, None].clone()
            state[f"transformer.h.{i}.attn.masked_bias"] = torch.tensor(-1e4)
    return state


def write_shards(state, count, folder):
    """model-0000k-of-0000n.safetensors and model.safetensors.index.json."""
    names = sorted(state)
    weight_map = {}
    for k in range(count):
        part = names[k * len(names) // count:(k + 1) * len(names) // count]
        file = f"model-{k + 1:05d}-of-{count:05d}.safetensors"
        save_file({n: state[n] for n in part}, os.path.join(folder, file), metadata={"format": "pt"})
        weight_map.update({n: file for n in part})
    total = sum(t.numel() * t.element_size() for t in state.values())
    index = {"metadata": {"total_size": total}, "weight_map": weight_map}
    write_json(os.path.join(folder, "model.safetensors.index.json"), index, indent=2)


def write_json(path, value, indent=None):
    with open(path, "w", encoding="utf-8") as f:
        json.dump(value, f, indent=indent)
        f.write("\n")


def write_model(spec, seed, folder):
    """config.json and weights of one entry."""
    config = make_config(spec)
    write_json(os.path.join(folder, "config.json"), config, indent=2)
    model = AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(folder), dtype=torch.float32)
    draw_weights(model, torch.Generator().manual_seed(seed))
    state = weights_to_store(model, spec)
    if spec.get("shards"):
        write_shards(state, spec["shards"], folder)
    else:
        save_file(state, os.path.join(folder, "model.safetensors"), metadata={"format": "pt"})


def load_model(folder, dtype):
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype, attn_implementation="eager")
    model.eval()
    return model


def logits_of(model, ids):
    with torch.no_grad():
        return model(torch.tensor([ids]), use_cache=False).logits[0]


def continue_greedily(model, prompt, count):
    """Greedy ids (nothing stops it), each step from the whole sequence; and the top-1 minus top-2 gaps."""
    ids, gaps = list(prompt), []
    for _ in range(count):
        top = logits_of(model, ids)[-1].topk(2)
        ids.append(int(top.indices[0]))
        gaps.append(round(float(top.values[0] - top.values[1]), 5))
    return ids[len(prompt):], gaps


def write_golden(spec, seed, folder, rng):
    """Reads the folder back and stores what the model computes."""
    model = load_model(folder, torch.float32)
    length = 40 if rng is None else rng.randint(33, POSITIONS - GREEDY)
    draw = random.Random(seed)
    prompt = [draw.randrange(spec["vocab"]) for _ in range(length)]
    logits = logits_of(model, prompt)
    exact = logits_of(load_model(folder, torch.float64), prompt)
    greedy, gaps = continue_greedily(model, prompt, GREEDY)
    logits.numpy().astype("<f4").tofile(os.path.join(folder, "logits.f32"))
    write_json(os.path.join(folder, "golden.json"), {
        "script": "tools/oracle/tiny_models.py",
        "versions": {"torch": torch.__version__.split("+")[0], "transformers": transformers.__version__},
        "seed": seed,
        "prompt": prompt,
        "logits_shape": list(logits.shape),
        "logits_std": round(float(logits.std()), 4),
        "float64_max_diff": float(f"{float((logits - exact).abs().max()):.3g}"),
        "greedy": greedy,
        "greedy_gaps": gaps,
    })
    return logits, min(gaps), float((logits - exact).abs().max())


def write_origin(out_dir, offset):
    """Says where the files come from, with checksums."""
    lines = ["Random models written by tools/oracle/tiny_models.py; nothing in them is taken from elsewhere.",
             f"seed offset {offset}; torch {torch.__version__.split('+')[0]}, transformers {transformers.__version__},"
             f" numpy {np.__version__}", "SHA-256:"]
    for base, dirs, files in os.walk(out_dir):
        dirs.sort()
        for file in sorted(files):
            if file != ".origin":
                path = os.path.join(base, file)
                digest = hashlib.sha256(open(path, "rb").read()).hexdigest()
                lines.append(f"{digest}  {os.path.relpath(path, out_dir)}")
    with open(os.path.join(out_dir, ".origin"), "w", encoding="utf-8") as f:
        f.write("\n".join(lines) + "\n")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir")
    parser.add_argument("--seed-offset", type=int, default=0, metavar="N")
    parser.add_argument("--only", nargs="+", metavar="NAME")
    args = parser.parse_args()
    torch.set_num_threads(1)
    transformers.logging.set_verbosity_error()
    transformers.logging.disable_progress_bar()
    seeds = {}
    for i, spec in enumerate(MODELS):
        like = spec.get("like", spec["name"])
        seed = seeds.setdefault(like, SEED + i + 1000 * args.seed_offset)
        if args.only and spec["name"] not in args.only:
            continue
        rng = random.Random(seed) if args.seed_offset else None
        if rng:
            spec = redraw_sizes(spec, rng)
        folder = os.path.join(args.out_dir, spec["name"])
        os.makedirs(folder, exist_ok=True)
        write_model(spec, seed, folder)
        logits, gap, diff = write_golden(spec, seed, folder, rng)
        size = sum(os.path.getsize(os.path.join(folder, f)) for f in os.listdir(folder))
        print(f"{spec['name']:24s} {size:7d} bytes  logits {tuple(logits.shape)} std {float(logits.std()):.2f}"
              f"  smallest greedy gap {gap:.4f}  float32-float64 {diff:.1e}")
    write_origin(args.out_dir, args.seed_offset)


if __name__ == "__main__":
    main()
