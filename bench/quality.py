#!/usr/bin/env python3
"""What quantisation loses: files of starchat beside those of llama.cpp, with and without an importance matrix.

The reference is SmolLM2-135M in f32, whose rows of 576 hold no k-quants and whose only published weights in reach are Q4_1. So
a model of the same function is made of it: the hidden size is padded to 768 with columns that are zero (12 heads, of which 3 do
nothing; gains and epsilon of the norms times sqrt(576/768) and 576/768). Then each weight gets noise as wide as one step of
Q4_1, so that it no longer lies on a grid (--exact: without). All files are read by starchat with f32 activations (bench_kl), so
that only their bytes differ.

Usage: quality.py texts CALIBRATION TEST               the two texts: dialogues of data/train.jsonl; a licence and Python's textwrap.py
       quality.py make   F32.gguf OUT.gguf [--exact]  the padded model with noise
       quality.py random F32.gguf OUT.gguf            one layer of normal (attention) and heavy-tailed (feed-forward) weights
       quality.py llama  F32.gguf OUT.gguf TYPE [--imatrix FILE]     llama.cpp's file (llama-cpp-python)
       quality.py errors F32.gguf [--imatrix FILE] FILE...           relative errors of the tensors of a layer, weighed by the matrix
       quality.py types  FILE...                      how many tensors of which type, and bytes
"""
import argparse
import collections
import ctypes
import json
import os
import textwrap

import gguf
import numpy as np

FROM, TO, HEAD = 576, 768, 64


def texts(calibration, test):
    """Nothing of one is in the other."""
    dialogues = [json.loads(line)["messages"] for line in open("data/train.jsonl", encoding="utf-8")]
    np.random.default_rng(3).shuffle(dialogues)
    with open(calibration, "w", encoding="utf-8") as f:
        while f.tell() < 200000:
            f.write("\n\n".join(m["content"] for m in dialogues.pop()) + "\n\n")
    with open(test, "w", encoding="utf-8") as f:
        f.write(open("/usr/share/common-licenses/GPL-3", encoding="utf-8").read()[:16000] + open(textwrap.__file__, encoding="utf-8").read())


def padded(name, x, noise):
    """Rows and columns of the hidden size and of the heads are widened by zeros."""
    if x.ndim == 1:
        return np.concatenate([x * np.sqrt(FROM / TO, dtype=np.float32), np.ones(TO - FROM, np.float32)])
    if noise is not None:
        blocks = x.reshape(-1, 32)
        step = (blocks.max(1) - blocks.min(1)) / 15
        x = (blocks + (noise.random(blocks.shape, np.float32) - 0.5) * step[:, None]).reshape(x.shape)
    wide = {FROM: TO, FROM // 3: TO // 3}
    rows = x.shape[0] if name.startswith("token_embd") else wide.get(x.shape[0], x.shape[0])
    out = np.zeros((rows, wide.get(x.shape[1], x.shape[1])), np.float32)
    out[:x.shape[0], :x.shape[1]] = x
    return out


def copy_keys(reader, writer, changed):
    for f in reader.fields.values():
        if f.name.startswith("GGUF.") or f.name == "general.architecture":
            continue
        kind, value = f.types[0], changed.get(f.name, f.contents())
        writer.add_key_value(f.name, value, kind, sub_type=f.types[-1] if kind == gguf.GGUFValueType.ARRAY else None)


def make(source, out, is_exact):
    reader, noise = gguf.GGUFReader(source), None if is_exact else np.random.default_rng(1)
    writer = gguf.GGUFWriter(out, "llama")
    copy_keys(reader, writer, {"llama.embedding_length": TO, "llama.attention.head_count": TO // HEAD, "llama.attention.head_count_kv": TO // HEAD // 3,
                               "llama.attention.layer_norm_rms_epsilon": 1e-5 * FROM / TO})
    for t in reader.tensors:
        writer.add_tensor(t.name, padded(t.name, np.asarray(t.data), noise))
    close(writer)


def close(writer):
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def random(source, out):
    """Keys and tokenizer of `source`."""
    reader, r = gguf.GGUFReader(source), np.random.default_rng(2)
    writer = gguf.GGUFWriter(out, "llama")
    copy_keys(reader, writer, {"llama.embedding_length": TO, "llama.attention.head_count": TO // HEAD, "llama.attention.head_count_kv": TO // HEAD // 3, "llama.block_count": 1})
    for t in reader.tensors:
        if t.name.startswith("blk.") and not t.name.startswith("blk.0."):
            continue
        shape = padded(t.name, np.asarray(t.data), None).shape
        if len(shape) == 1:
            x = np.ones(shape, np.float32)
        elif "ffn" in t.name:
            x = 0.02 * r.standard_t(4, shape)
        else:
            x = 0.02 * r.standard_normal(shape)
        writer.add_tensor(t.name, x.astype(np.float32))
    close(writer)


def read_imatrix(path):
    """{tensor: mean squares of its columns}"""
    tensors = {t.name: np.asarray(t.data, np.float32).ravel() for t in gguf.GGUFReader(path).tensors}
    return {n[:-len(".in_sum2")]: x / tensors[n.replace(".in_sum2", ".counts")][0] for n, x in tensors.items() if n.endswith(".in_sum2")}


def llama(source, out, kind, imatrix):
    import llama_cpp as l
    silence = l.llama_log_callback(lambda *_: None)
    l.llama_log_set(silence, None)
    p = l.llama_model_quantize_default_params()
    p.ftype = getattr(l, "LLAMA_FTYPE_MOSTLY_" + kind.upper())
    p.nthread = os.cpu_count()
    if imatrix:
        # columns that are zero (made by `make`) would be no weight at all, for which llama.cpp has no case
        rows = {n: np.maximum(x, 1e-6 * x.mean()).astype(np.float32) for n, x in read_imatrix(imatrix).items()}
        data = (l.llama_model_imatrix_data * (len(rows) + 1))()
        for i, (name, x) in enumerate(rows.items()):
            data[i] = l.llama_model_imatrix_data(name.encode(), x.ctypes.data_as(ctypes.POINTER(ctypes.c_float)), x.size)
        p.imatrix = data
    if l.llama_model_quantize(source.encode(), out.encode(), ctypes.byref(p)) != 0:
        raise SystemExit("quality.py: llama.cpp did not write %s" % out)


def numbers(t):
    return gguf.quants.dequantize(t.data, t.tensor_type).astype(np.float64).reshape(tuple(reversed(t.shape.tolist())))


def errors(source, files, imatrix):
    """Mean over all layers of the relative error of each kind of tensor: sqrt(sum w (y - x)^2 / sum w x^2)."""
    weights = read_imatrix(imatrix) if imatrix else {}
    reference = {t.name: t for t in gguf.GGUFReader(source).tensors if len(t.shape) == 2}
    print("| tensors | " + " | ".join(os.path.basename(f) for f in files) + " |\n" + "|---" * (len(files) + 1) + "|")
    table = collections.defaultdict(lambda: [[] for _ in files])
    for k, path in enumerate(files):
        for t in gguf.GGUFReader(path).tensors:
            if t.name not in reference or (imatrix and t.name not in weights):
                continue
            x, y, w = numbers(reference[t.name]), numbers(t), weights.get(t.name, 1.0)
            kind = "%s %s" % (t.name.split(".")[-2], t.tensor_type.name)
            table[kind][k].append(np.sqrt((w * (y - x) ** 2).sum() / (w * x ** 2).sum()))
    for kind, row in sorted(table.items()):
        print("| %s | %s |" % (kind, " | ".join("%.5f (%d)" % (np.mean(e), len(e)) if e else "" for e in row)))


def types(files):
    for path in files:
        n = collections.Counter(t.tensor_type.name for t in gguf.GGUFReader(path).tensors)
        print(os.path.basename(path), os.path.getsize(path), ", ".join("%d %s" % (k, name) for name, k in sorted(n.items())))


def main():
    a = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    a.add_argument("what", choices=["texts", "make", "random", "llama", "errors", "types"])
    a.add_argument("files", nargs="+")
    a.add_argument("--imatrix")
    a.add_argument("--exact", action="store_true")
    a = a.parse_intermixed_args()
    if a.what == "texts":
        texts(*a.files)
    elif a.what == "make":
        make(*a.files, a.exact)
    elif a.what == "random":
        random(*a.files)
    elif a.what == "llama":
        llama(*a.files, a.imatrix)
    elif a.what == "errors":
        errors(a.files[0], a.files[1:], a.imatrix)
    else:
        types(a.files)


if __name__ == "__main__":
    main()
