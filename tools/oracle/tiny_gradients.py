"""Adds gradients to the tiny models of tiny_models.py: NAME/gradients.json with the mean cross-entropy of every next
token of the golden prompt and, for each parameter, what its gradient is: norm, sum of g[i] * sin(i + 1), first and
last element. Computed by transformers in float32 with eager attention from the folder as written.

Usage: tiny_gradients.py DIR        (tests/golden/models, or what tiny_models.py wrote)
Made with: torch 2.15.0, transformers 5.23.0 (requirements.txt).
"""
import json
import os
import sys

import numpy as np
import torch
import transformers
from transformers import AutoModelForCausalLM


def main(root):
    torch.set_num_threads(1)
    for name in sorted(os.listdir(root)):
        folder = os.path.join(root, name)
        if not os.path.exists(os.path.join(folder, "golden.json")):
            continue
        with open(os.path.join(folder, "golden.json")) as f:
            ids = torch.tensor([json.load(f)["prompt"]])
        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation="eager")
        model.eval()
        logits = model(ids).logits[0, :-1]
        loss = torch.nn.functional.cross_entropy(logits.double(), ids[0, 1:])
        loss.backward()
        out = {"loss": loss.item(), "torch": torch.__version__, "transformers": transformers.__version__, "gradients": {}}
        for key, p in model.named_parameters():
            g = p.grad.double().numpy().ravel() if p.grad is not None else np.zeros(p.numel())
            out["gradients"][key] = [float(np.linalg.norm(g)), float(np.dot(g, np.sin(np.arange(1, g.size + 1)))), float(g[0]), float(g[-1])]
        with open(os.path.join(folder, "gradients.json"), "w") as f:
            json.dump(out, f, indent=0)
            f.write("\n")
        print(name, out["loss"], len(out["gradients"]))


if __name__ == "__main__":
    main(sys.argv[1])
