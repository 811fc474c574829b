#!/usr/bin/env python3
"""Writes tests/golden/quants: what the gguf package makes of one row of floats, for every storage type.

input.f32   1024 floats, several hard cases of 128 each
TYPE.q      the packed bytes: for the 32-blocks and bf16 the package's quantize() of input.f32, for K types random bits
TYPE.f32    the package's dequantize() of TYPE.q
Usage: quants.py OUTPUT_DIRECTORY
"""
import hashlib, sys
from pathlib import Path

import gguf
import numpy as np
from gguf import GGMLQuantizationType as T
from gguf import quants

out = Path(sys.argv[1])
out.mkdir(parents=True, exist_ok=True)
rng = np.random.default_rng(20)


def hard_cases() -> np.ndarray:
    normal = rng.standard_normal(128) * 0.02
    outlier = rng.standard_normal(128) * 0.02
    outlier[[3, 40, 77, 127]] = [5, -7, 0.9, -0.3]
    flat = np.repeat([0.0, 1.0, -2.5, 1e-9], 32)
    grid = np.concatenate([np.arange(-8, 8) / 8, np.arange(32) / 31, np.arange(-16, 16) / 16, (np.arange(48) - 24) / 127])
    tiny = rng.standard_normal(128) * 1e-7
    large = rng.standard_normal(128) * 3e4
    positive = rng.random(128) + 3
    wide = np.exp(rng.standard_normal(128) * 4) * rng.choice([-1, 1], 128)
    return np.concatenate([normal, outlier, flat, grid, tiny, large, positive, wide]).astype(np.float32)


def k_bytes(block_bytes: int, halves: list[int], blocks: int = 3) -> np.ndarray:
    raw = rng.integers(0, 256, (blocks, block_bytes), dtype=np.uint8)
    for at in halves:
        raw[:, at:at + 2] = (rng.standard_normal((blocks, 1)) * 0.01).astype(np.float16).view(np.uint8)
    return raw.reshape(1, -1)


def put(name: str, array: np.ndarray) -> None:
    data = array.tobytes()
    (out / name).write_bytes(data)
    sums.append(f"{hashlib.sha256(data).hexdigest()}  {name}")


sums: list[str] = []
x = hard_cases().reshape(1, -1)
put("input.f32", x)
for t in (T.F16, T.BF16, T.Q8_0, T.Q4_0, T.Q4_1, T.Q5_0, T.Q5_1):
    with np.errstate(over="ignore"):
        q = quants.quantize(x, t)
    put(f"{t.name.lower()}.q", q)
    put(f"{t.name.lower()}.f32", quants.dequantize(q, t))
for t, size, halves in ((T.Q4_K, 144, [0, 2]), (T.Q5_K, 176, [0, 2]), (T.Q6_K, 210, [208])):
    q = k_bytes(size, halves)
    put(f"{t.name.lower()}.q", q)
    put(f"{t.name.lower()}.f32", quants.dequantize(q, t))

version = __import__("importlib.metadata").metadata.version("gguf")
(out / ".origin").write_text(
    "Numbers written by tools/oracle/quants.py; the input is random and made there.\n"
    f"seed 20; gguf {version}, numpy {np.__version__}\nSHA-256:\n" + "\n".join(sums) + "\n")
