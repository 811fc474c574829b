#!/usr/bin/env python3
"""Writes src/tensor/dynamic_map.c: the two 8-bit maps of Dettmers 2015 with the bits that PyTorch's arithmetic gives, since
bitsandbytes makes them so. Cells of 2^i (signed) or 2^(i+1) values over [0.1, 1] times 10^(i-6) for i in 0..6, 0 and 1.

Usage: dynamic_map.py > src/tensor/dynamic_map.c
Made with: torch 2.15.0.
"""
import torch


def dynamic_map(signed: bool) -> list[float]:
    values = [0.0, 1.0]
    for i in range(7):
        edges = torch.linspace(0.1, 1, 2 ** (i + (0 if signed else 1)) + 1)
        cells = (10 ** (i - 6)) * ((edges[:-1] + edges[1:]) / 2)
        values += cells.tolist()
        if signed:
            values += (-cells).tolist()
    return torch.tensor(sorted(values)).tolist()


def table(name: str, values: list[float]) -> str:
    texts = [f"{v:.9g}" if v == int(v) else f"{v:.9g}f" for v in values]
    lines = [", ".join(texts[i:i + 8]) for i in range(0, 256, 8)]
    return f"const float {name}[256] = {{\n    " + ",\n    ".join(lines) + "\n};\n"


if __name__ == "__main__":
    print("/* dynamic_map.c - the values of 8-bit codes, rising (Dettmers 2015, \"8-Bit Approximations for Parallelism in Deep\n"
          " * Learning\"): written by tools/oracle/dynamic_map.py. */\n#include \"tensor/tensor.h\"\n")
    print(table("dynamic_signed", dynamic_map(True)))
    print(table("dynamic_unsigned", dynamic_map(False)), end="")
