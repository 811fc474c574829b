"""Measures how fast the C tokenizer is beside Hugging Face tokenizers, in the same run.

Both encode the same texts, one call for each, on one thread; processor time is measured, and rounds alternate between the
two, so that a busy machine slows both.  Theirs is encode_batch_fast (ids without offsets), the quickest call there is; ours is bench_tokenizer,
which times the encoding alone, as is done here for theirs.  Special tokens count for neither.  Prints the medians of
the rounds with their spread, and the ratio of the medians.

Usage: tokenizer_speed.py BENCH_TOKENIZER CORPUS_DIR TOKENIZER.json... [--mb N] [--rounds N]
CORPUS_DIR was written by make_corpus.py; texts of 4 to 64 KB are drawn from all over it.
Made with: tokenizers 0.23.3 (requirements.txt).
"""
import argparse
import json
import os
import random
import statistics
import subprocess
import tempfile
import time

os.environ["TOKENIZERS_PARALLELISM"] = "false"
from tokenizers import Tokenizer
import tokenizers

LOW, HIGH, SEED = 4096, 65536, 4


def draw_texts(corpus, megabytes):
    with open(corpus, encoding="utf-8", newline="\n") as f:
        texts = [t for t in (json.loads(line)["text"] for line in f) if LOW <= len(t) <= HIGH]
    random.Random(SEED).shuffle(texts)
    chosen, total = [], 0
    for text in texts:
        if total >= megabytes * 1e6:
            break
        chosen.append(text)
        total += len(text.encode())
    return chosen, total / 1e6


def theirs(tokenizer, texts, megabytes):
    start = time.process_time()
    for text in texts:
        tokenizer.encode_batch_fast([text], add_special_tokens=False)
    return megabytes / (time.process_time() - start)


def ours(bench, path, files):
    done = subprocess.run([bench, path, *files], capture_output=True, check=True)
    return json.loads(done.stdout)["encode"]["median"]


def spread(values):
    return f"{statistics.median(values):6.2f} MB/s ({min(values):.2f} to {max(values):.2f})"


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("bench")
    parser.add_argument("corpus_dir")
    parser.add_argument("tokenizers", nargs="+")
    parser.add_argument("--mb", type=float, default=4, metavar="N")
    parser.add_argument("--rounds", type=int, default=5, metavar="N")
    args = parser.parse_args()
    texts, megabytes = draw_texts(os.path.join(args.corpus_dir, "corpus.jsonl"), args.mb)
    print(f"tokenizers {tokenizers.__version__}; {len(texts)} texts, {megabytes:.1f} MB; medians of {args.rounds} rounds; "
          f"load average before {os.getloadavg()[0]:.1f} on {os.cpu_count()} cores")
    with tempfile.TemporaryDirectory() as folder:
        files = [os.path.join(folder, f"{i:05d}.txt") for i in range(len(texts))]
        for file, text in zip(files, texts):
            with open(file, "wb") as f:
                f.write(text.encode())
        for path in args.tokenizers:
            tokenizer = Tokenizer.from_file(path)
            tokenizer.encode_special_tokens = True
            theirs(tokenizer, texts[:8], 1)
            rates = [(theirs(tokenizer, texts, megabytes), ours(args.bench, path, files)) for _ in range(args.rounds)]
            a, b = zip(*rates)
            print(f"{os.path.basename(os.path.dirname(os.path.abspath(path))):16s} theirs {spread(a)}  ours {spread(b)}  "
                  f"ratio {statistics.median(b) / statistics.median(a):.1f}", flush=True)


if __name__ == "__main__":
    main()
