#!/usr/bin/env python3
"""Writes tests/golden/training/optimizers.json (optimisers, schedules, clipping, 8-bit Adam, NF4) and optimizers.bin (the
float32 arrays that it names by offset and count).

AdamW, SGD and clip_grad_norm_ are PyTorch's, in float32 on one thread; schedules are transformers' get_scheduler; WarmupLR is
DeepSpeed's formula (lr_schedules.py: gamma = log(k + 1) / log(max(2, W)) below W, then 1). 8-bit Adam and NF4 are written
here from bitsandbytes' kernels (kOptimizerStatic8bit2StateBlockwise, kQuantizeBlockwise, quantize_4bit with
compress_statistics), with numpy in float32 and the nearest value found by search, not by any table.

Usage: optimizers.py tests/golden/training
Made with: torch 2.15.0, transformers 5.23.0, numpy 2.4.6; seed 30.
"""
import json
import math
import sys
from pathlib import Path

import numpy as np
import torch
import transformers
from dynamic_map import dynamic_map

F = np.float32
rng = np.random.default_rng(30)
blob = bytearray()


def put(array) -> list[int]:
    data = np.ascontiguousarray(array)
    at = len(blob)
    blob.extend(data.tobytes())
    blob.extend(bytes(-len(blob) % 8))
    return [at, int(data.size)]


def normal(*shape, scale=1.0):
    return (rng.standard_normal(shape) * scale).astype(F)


# ---- optimisers and clipping ------------------------------------------------------------------------------------------
STEPS = 6


def run_optimizer(kind: str, decay: float, shapes, **options) -> dict:
    values = [normal(*s, scale=0.1) for s in shapes]
    parameters = [torch.nn.Parameter(torch.from_numpy(v.copy())) for v in values]
    groups = [{"params": [p for p in parameters if p.dim() == 2], "weight_decay": decay},
              {"params": [p for p in parameters if p.dim() < 2], "weight_decay": 0.0}]
    optimizer = (torch.optim.AdamW if kind == "adamw" else torch.optim.SGD)(groups, foreach=False, **options)
    gradients, norms, after = [], [], []
    for step in range(STEPS):
        for group in optimizer.param_groups:
            group["lr"] = options["lr"] * (step + 1) / STEPS
        gradients.append(np.concatenate([normal(*s, scale=10.0 ** (step - 3)).ravel() for s in shapes]))
        at = 0
        for p in parameters:
            p.grad = torch.from_numpy(gradients[-1][at:at + p.numel()].reshape(p.shape).copy())
            at += p.numel()
        norms.append(torch.nn.utils.clip_grad_norm_(parameters, 1.0, foreach=False).item())
        optimizer.step()
        after.append(torch.cat([p.detach().flatten() for p in parameters]).numpy().copy())
    states = [optimizer.state[p] for p in parameters]
    m = [s["exp_avg"].flatten() for s in states] if kind == "adamw" else [s["momentum_buffer"].flatten() for s in states if s.get("momentum_buffer") is not None]
    v = [s["exp_avg_sq"].flatten() for s in states] if kind == "adamw" else []
    return {"kind": kind, "weight_decay": decay, "shapes": [list(s) for s in shapes], "options": options, "norms": norms,
            "value": put(np.concatenate([x.ravel() for x in values])), "gradients": put(np.stack(gradients)), "after": put(np.stack(after)),
            "m": put(torch.cat(m).numpy()) if m else None, "v": put(torch.cat(v).numpy()) if v else None}


# ---- schedules ----------------------------------------------------------------------------------------------------------
def schedule(name: str, warmup: int, total: int) -> dict:
    if name == "warmup_lr":
        w = max(2, warmup)
        factors = [math.log(k + 1) / math.log(w) if k < w else 1.0 for k in range(total)]
    else:
        optimizer = torch.optim.SGD([torch.nn.Parameter(torch.zeros(1))], lr=1.0)
        scheduler = transformers.get_scheduler(name, optimizer, num_warmup_steps=warmup, num_training_steps=total)
        factors = []
        for _ in range(total):
            factors.append(scheduler.get_last_lr()[0])
            optimizer.step()
            scheduler.step()
    return {"name": name, "warmup": warmup, "total": total, "factors": factors}


# ---- bitsandbytes' arithmetic --------------------------------------------------------------------------------------------
MAPS = [np.array(dynamic_map(signed), F) for signed in (True, False)]
NF4 = np.array([-1.0, -0.6961928009986877, -0.5250730514526367, -0.39491748809814453, -0.28444138169288635, -0.18477343022823334,
                -0.09105003625154495, 0.0, 0.07958029955625534, 0.16093020141124725, 0.24611230194568634, 0.33791524171829224,
                0.44070982933044434, 0.5626170039176941, 0.7229568362236023, 1.0], F)


def nearest(values, x):
    middles = ((values[1:] + values[:-1]) / F(2)).astype(F)
    codes = (x[:, None] > middles[None, :]).sum(1)
    other = np.abs(x[:, None] - values[None, :]).argmin(1)          # bitsandbytes' CPU form: the same but for ties
    assert (codes != other).mean() < 0.02
    return codes.astype(np.uint8)


def blocks(n, size):
    return [slice(i, min(i + size, n)) for i in range(0, n, size)]


def adam8(n: int, decay: float, lr=1e-3, beta1=0.9, beta2=0.999, eps=1e-8) -> dict:
    value = normal(n, scale=0.1)
    p, codes, largest = value.copy(), [np.zeros(n, np.uint8) for _ in range(2)], [np.zeros(-(-n // 256), F) for _ in range(2)]
    codes[0][:] = 127
    gradients = []
    for step in range(1, STEPS + 1):
        g = normal(n, scale=1e-2) * np.exp(normal(n))
        gradients.append(g)
        root = F(math.sqrt(1 - beta2 ** step))
        size = F(-lr * math.sqrt(1 - beta2 ** step) / (1 - beta1 ** step))
        for b, s in enumerate(blocks(n, 256)):
            m = MAPS[0][codes[0][s]] * largest[0][b] * F(beta1) + F(1 - beta1) * g[s]
            v = MAPS[1][codes[1][s]] * largest[1][b] * F(beta2) + F(1 - beta2) * g[s] * g[s]
            p[s] = p[s] + size * (m / (np.sqrt(v) + root * F(eps)))
            if decay > 0:
                p[s] = p[s] * F(1 - lr * decay)
            for k, x in enumerate((m, v)):
                largest[k][b] = np.abs(x).max()
                c = nearest(MAPS[k], x / largest[k][b])
                if k == 0:
                    wrong = np.signbit(MAPS[0][c]) != np.signbit(x)
                    c = np.where(wrong, np.where(x > 0, c + 1, c - 1), c).astype(np.uint8)
                codes[k][s] = c
    return {"n": n, "weight_decay": decay, "lr": lr, "value": put(value), "gradients": put(np.stack(gradients)), "after": put(p),
            "m_code": put(codes[0]), "v_code": put(codes[1]), "m_largest": put(largest[0]), "v_largest": put(largest[1])}


def nf4(x: np.ndarray) -> dict:
    n = x.size
    largest = np.array([np.abs(x[s]).max() for s in blocks(n, 64)], F)
    scaled = np.concatenate([x[s] * (F(1) / a if a > 0 else F(0)) for s, a in zip(blocks(n, 64), largest)])
    codes = nearest(NF4, scaled)
    offset = F(largest.astype(np.float64).mean())
    rest = largest - offset
    scales = np.array([np.abs(rest[s]).max() for s in blocks(rest.size, 256)], F)
    nested = np.concatenate([nearest(MAPS[0], rest[s] * (F(1) / a if a > 0 else F(0))) for s, a in zip(blocks(rest.size, 256), scales)])
    back = np.concatenate([MAPS[0][nested[s]] * a for s, a in zip(blocks(rest.size, 256), scales)]) + offset
    return {"n": n, "input": put(x), "output": put(NF4[codes] * np.repeat(back.astype(F), 64))}


def main(folder: str) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(30)
    shapes = [(7, 5), (13,), (1, 3), (33, 17)]
    out = {"script": "tools/oracle/optimizers.py", "torch": torch.__version__, "transformers": transformers.__version__, "numpy": np.__version__, "seed": 30,
           "optimizers": [run_optimizer("adamw", d, shapes, lr=0.01, betas=(0.9, 0.999), eps=1e-8) for d in (0.0, 0.1)]
           + [run_optimizer("adamw", 0.05, shapes, lr=0.003, betas=(0.8, 0.95), eps=1e-5)]
           + [run_optimizer("sgd", d, shapes, lr=0.05, momentum=m) for d, m in ((0.0, 0.0), (0.1, 0.9))],
           "schedules": [schedule(n, w, t) for n in ("linear", "cosine", "constant", "constant_with_warmup", "warmup_lr") for w, t in ((0, 7), (3, 20), (1, 5), (20, 9))],
           "adam8": [adam8(4097, 0.0), adam8(4200, 0.1)],
           "maps": put(np.stack(MAPS)),
           "nf4": [nf4(normal(2048, scale=0.02)), nf4(normal(576) * np.exp(normal(576)) * F(0.01)),
                   nf4(np.concatenate([np.zeros(64, F), np.linspace(-1, 1, 64, dtype=F), np.full(64, 2.5, F), normal(64, scale=1e-6)]))]}
    Path(folder, "optimizers.json").write_text(json.dumps(out, indent=0) + "\n")
    Path(folder, "optimizers.bin").write_bytes(bytes(blob))
    print(len(blob))


if __name__ == "__main__":
    main(sys.argv[1])
