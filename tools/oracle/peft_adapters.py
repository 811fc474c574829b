"""Makes small adapters with PEFT on the tiny models, with the logits that PEFT computes; and reads ours with PEFT.

Usage: peft_adapters.py make OUT_DIR [--models tests/golden/models]
       peft_adapters.py check DIR    [--models tests/golden/models]

make: for each entry of CASES it writes OUT_DIR/NAME/ with the adapter as PEFT saves it (adapter_config.json,
adapter_model.safetensors), golden.json (base, prompt, vocabulary, versions, seed) and logits.f32, the little-endian
float32 logits of every prompt position. Weights of the adapters are random and large, so that each one matters. What
is measured is the adapter as read back from the disk.

check: DIR holds what STARCHAT_ADAPTER_OUT=DIR build/test_adapter saved: DIR/NAME with the adapter, saved.json (base,
prompt, vocabulary) and saved.f32 (our logits). Each is loaded by PEFT; prints the largest difference of the logits
relative to their range and exits 1 above 1e-4.
"""
import argparse
import json
import os
import shutil
import sys

import numpy as np
import peft
import torch
import transformers
from peft import LoraConfig, PeftModel, TrainableTokensConfig, get_peft_model
from transformers import AutoModelForCausalLM

SEED = 77
transformers.utils.logging.disable_progress_bar()
ALL = "all-linear"
LORA = dict(r=4, lora_alpha=6, init_lora_weights=False)

# name, base, keyword arguments of the config; "grow": tokens added to the vocabulary first; "rows": TrainableTokensConfig
CASES = [
    dict(name="bigcode_default", base="bigcode_mqa_erf", target_modules=["c_attn"]),
    dict(name="bigcode_heads", base="bigcode_mha", target_modules=ALL),
    dict(name="bigcode_suffix", base="bigcode_mqa_tanh", target_modules=["c_proj", "c_fc"], use_rslora=True),
    dict(name="bigcode_f16", base="bigcode_mqa_f16", target_modules=["c_attn", "mlp.c_proj"]),
    dict(name="bigcode_rows", base="bigcode_mqa_erf", rows=[101, 102, 103, 104], grow=4),
    dict(name="bigcode_lora_rows", base="bigcode_mqa_erf", target_modules=["c_attn"], trainable_token_indices=[101, 102, 103, 104], grow=4),
    dict(name="llama_qv", base="llama_gqa_untied", target_modules=["q_proj", "v_proj"]),
    dict(name="llama_all", base="llama_gqa_untied", target_modules=ALL, use_rslora=True),
    dict(name="llama_save_both", base="llama_biases", target_modules=["q_proj", "k_proj"], modules_to_save=["embed_tokens", "lm_head"]),
    dict(name="llama_save_embed", base="llama_mha_tied", target_modules=["up_proj"], modules_to_save=["embed_tokens"]),
    dict(name="llama_save_norms", base="llama_mqa", target_modules=["o_proj"], modules_to_save=["input_layernorm", "norm"]),
    dict(name="llama_rows", base="llama_mha_tied", target_modules=["down_proj"], trainable_token_indices=[3, 17]),
    dict(name="llama_new_rows", base="llama_mha_tied", target_modules=["k_proj"], trainable_token_indices=[130, 131, 132, 133, 134], grow=4),
    dict(name="llama_rows_both", base="llama_gqa_untied", target_modules=["gate_proj"], trainable_token_indices=dict(embed_tokens=[5, 7], lm_head=[7])),
    dict(name="llama_regex", base="llama_head_dim", target_modules=r".*layers\.[01]\.self_attn\.(q|k)_proj", exclude_modules=["layers.1.self_attn.q_proj"]),
    dict(name="qwen2_patterns", base="qwen2_window", target_modules=["q_proj", "v_proj", "down_proj"],
         rank_pattern={"v_proj": 2, r"layers\.1\.mlp\.down_proj": 7}, alpha_pattern={"q_proj": 3, r"layers.0.*v_proj": 9}),
    dict(name="qwen2_grown", base="qwen2_tied", target_modules=["k_proj"], grow=4),
    dict(name="qwen2_grown_untied", base="qwen2_untied", target_modules=["k_proj"], grow=4),
    dict(name="starcoder2_layer", base="starcoder2_window", target_modules=["q_proj", "v_proj", "c_fc"], layers_to_transform=[1]),
    dict(name="starcoder2_fc", base="starcoder2_untied", target_modules=["c_fc", "c_proj", "o_proj"]),
]


def load_base(models, name, vocab):
    model = AutoModelForCausalLM.from_pretrained(os.path.join(models, name), dtype=torch.float32, attn_implementation="eager")
    if vocab and vocab != model.get_input_embeddings().weight.shape[0]:
        old = model.get_input_embeddings().weight.shape[0]
        model.resize_token_embeddings(vocab, mean_resizing=False)
        with torch.no_grad():       # rows behind the old ones: the mean of the old, as starchat makes them
            for table in (model.get_input_embeddings(), model.get_output_embeddings()):
                table.weight[old:] = table.weight[:old].double().mean(0).float()
    return model.eval()


def prompt_of(models, base):
    with open(os.path.join(models, base, "golden.json")) as f:
        return json.load(f)["prompt"][:20]


def logits_of(model, prompt):
    with torch.no_grad():
        return model(torch.tensor([prompt])).logits[0].float().numpy()


def make(case, models, out):
    torch.manual_seed(SEED)
    case = dict(case)
    name, base, grow, rows = case.pop("name"), case.pop("base"), case.pop("grow", 0), case.pop("rows", None)
    model = load_base(models, base, 0)
    old = model.get_input_embeddings().weight.shape[0]
    prompt = prompt_of(models, base)
    if grow:
        model = load_base(models, base, old + grow)
        prompt[5:5 + grow] = range(old, old + grow)
    if rows:
        config = TrainableTokensConfig(token_indices=rows, task_type="CAUSAL_LM")
    else:
        prompt[1:1] = [3, 5, 7, 17]
        config = LoraConfig(task_type="CAUSAL_LM", **LORA, **case)
    model = get_peft_model(model, config)
    with torch.no_grad():
        for n, p in model.named_parameters():
            if "lora_" in n or "trainable_tokens_delta" in n or "modules_to_save" in n:
                p.add_(torch.randn_like(p) * (0.3 if "norm" in n else 0.1))
            elif grow and not (rows or "trainable_token_indices" in case) and ("embed_tokens" in n or "lm_head" in n or "wte" in n):
                p[old:].add_(torch.randn_like(p[old:]) * 0.1)
    path = os.path.join(out, name)
    shutil.rmtree(path, ignore_errors=True)
    keep = False if rows or "trainable_token_indices" in case else "auto"
    model.save_pretrained(path, save_embedding_layers=keep)
    if os.path.exists(os.path.join(path, "README.md")):
        os.remove(os.path.join(path, "README.md"))
    config_path = os.path.join(path, "adapter_config.json")
    with open(config_path) as f:
        config = json.load(f)
    config["base_model_name_or_path"] = "../../models/" + base
    with open(config_path, "w") as f:
        json.dump(config, f, indent=1, sort_keys=True)
        f.write("\n")
    back = PeftModel.from_pretrained(load_base(models, base, old + grow if grow else 0), path).eval()
    found, expected = logits_of(back, prompt), logits_of(model.eval(), prompt)
    plain = logits_of(load_base(models, base, old + grow if grow else 0), prompt)
    difference = np.abs(found - expected).max()
    found.astype("<f4").tofile(os.path.join(path, "logits.f32"))
    with open(os.path.join(path, "golden.json"), "w") as f:
        json.dump(dict(script="tools/oracle/peft_adapters.py", seed=SEED, base=base, prompt=prompt, vocab=found.shape[1],
                       torch=torch.__version__, transformers=transformers.__version__, peft=peft.__version__), f)
        f.write("\n")
    print(f"{name:20} saved and read back differ by {difference:.1e}, the adapter changes logits by {np.abs(found - plain).max():.2f}")


def check(directory, models):
    worst = 0.0
    for name in sorted(os.listdir(directory)):
        path = os.path.join(directory, name)
        if not os.path.exists(os.path.join(path, "saved.json")):
            continue
        with open(os.path.join(path, "saved.json")) as f:
            saved = json.load(f)
        ours = np.fromfile(os.path.join(path, "saved.f32"), dtype="<f4").reshape(len(saved["prompt"]), -1)
        model = PeftModel.from_pretrained(load_base(models, saved["base"], ours.shape[1]), path).eval()
        theirs = logits_of(model, saved["prompt"])
        error = (np.abs(ours - theirs).max(1) / (theirs.max(1) - theirs.min(1))).max()
        worst = max(worst, error)
        print(f"{name:20} {error:.1e} of the logit range")
    print(f"worst {worst:.1e}, expected at most 1e-4")
    return 0 if worst <= 1e-4 else 1


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("what", choices=["make", "check"])
    parser.add_argument("directory")
    parser.add_argument("--models", default="tests/golden/models")
    parser.add_argument("--only", nargs="*")
    a = parser.parse_args()
    if a.what == "check":
        sys.exit(check(a.directory, a.models))
    for case in CASES:
        if not a.only or case["name"] in a.only:
            make(case, a.models, a.directory)


if __name__ == "__main__":
    main()
