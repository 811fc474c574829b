"""Times the preparation of dialogues: starchat against the Python stack (datasets + transformers/tokenizers), the same
JSON lines, chat template and packing to rows of 1024 tokens with labels on the assistant's turns, both with two
workers, alternating; prints MB/s (median) and the ratio.

The Python side does what TRL does for assistant-only loss: apply_chat_template with return_assistant_tokens_mask in a
`datasets` map with two processes, then packs the rows (best fit decreasing, as TRL's bfd) and writes Arrow files.

Usage: prepare_speed.py STARCHAT FILE.jsonl TOKENIZER.json [--repeats 3] [--python-rows N]
  FILE: lines {"messages": [...]}. The Python side may be given fewer rows; speed is per byte.
Made with: datasets, transformers, tokenizers of requirements.txt.
"""
import argparse
import bisect
import json
import os
import shutil
import statistics
import subprocess
import tempfile
import time

TEMPLATE = ("<|system|>\n<|end|>\n{% for m in messages %}{% if m['role'] == 'user' %}<|user|>{{ '\\n' + m['content'] }}<|end|>{{ '\\n' }}"
            "{% else %}<|assistant|>{% generation %}{{ '\\n' + m['content'] }}<|end|>{% endgeneration %}{{ '\\n' }}{% endif %}{% endfor %}")


def run_starchat(program, path, tokenizer, scratch):
    out = os.path.join(scratch, "starchat")
    begin = time.time()
    subprocess.run([program, "data", "prepare", path, "--tokenizer", tokenizer, "--template", "no_system", "--out", out, "--overwrite", "--quiet", "--threads", "2"], check=True)
    return time.time() - begin


def run_python(path, tokenizer, scratch):
    import datasets
    from transformers import PreTrainedTokenizerFast
    datasets.disable_progress_bars()
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    cache = os.path.join(scratch, "cache")
    begin = time.time()
    t = PreTrainedTokenizerFast(tokenizer_file=tokenizer, chat_template=TEMPLATE)
    t.add_special_tokens({"additional_special_tokens": ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"]})
    rows = datasets.load_dataset("json", data_files=path, split="train", cache_dir=cache)

    def encode(example):
        e = t.apply_chat_template(example["messages"], tokenize=True, return_dict=True, return_assistant_tokens_mask=True)
        labels = [i if m else -100 for i, m in zip(e["input_ids"], e["assistant_masks"])]
        return {"input_ids": e["input_ids"][:1024], "labels": labels[:1024]}

    def pack(batch):
        order = sorted(range(len(batch["input_ids"])), key=lambda i: -len(batch["input_ids"][i]))
        free, bins = [], []
        for i in order:
            n = len(batch["input_ids"][i])
            at = bisect.bisect_left(free, (n, -1))
            if at < len(free):
                room, b = free.pop(at)
            else:
                room, b = 1024, len(bins)
                bins.append([])
            bins[b].append(i)
            bisect.insort(free, (room - n, b))
        return {k: [sum((batch[k][i] for i in b), []) for b in bins] for k in ("input_ids", "labels")}

    rows = rows.map(encode, num_proc=2, remove_columns=rows.column_names)
    rows = rows.map(pack, batched=True, batch_size=1000, num_proc=2)
    rows.save_to_disk(os.path.join(scratch, "packed"))
    return time.time() - begin


def main():
    p = argparse.ArgumentParser()
    p.add_argument("program")
    p.add_argument("file")
    p.add_argument("tokenizer")
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--python-rows", type=int, default=0)
    a = p.parse_args()
    ours, theirs = [], []
    for _ in range(a.repeats):
        with tempfile.TemporaryDirectory() as scratch:
            ours.append(os.path.getsize(a.file) / run_starchat(a.program, a.file, a.tokenizer, scratch) / 1e6)
            path = a.file
            if a.python_rows:
                path = os.path.join(scratch, "part.jsonl")
                with open(a.file) as f, open(path, "w") as g:
                    for _, line in zip(range(a.python_rows), f):
                        g.write(json.dumps({"messages": json.loads(line)["messages"]}) + "\n")
            theirs.append(os.path.getsize(path) / run_python(path, a.tokenizer, scratch) / 1e6)
            shutil.rmtree(scratch, ignore_errors=True)
            os.makedirs(scratch, exist_ok=True)
        print(f"starchat {ours[-1]:.1f} MB/s, Python {theirs[-1]:.2f} MB/s", flush=True)
    o, t = statistics.median(ours), statistics.median(theirs)
    print(f"median: starchat {o:.1f} MB/s, Python {t:.2f} MB/s, ratio {o / t:.1f}")


if __name__ == "__main__":
    main()
