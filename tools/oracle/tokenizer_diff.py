"""Compares the tokenizer of the C program with Hugging Face tokenizers, id by id.

For each tokenizer it runs, over the corpus that make_corpus.py wrote,
  STARCHAT tokenize TOKENIZER --jsonl            {"text"} lines -> {"ids"} lines
  STARCHAT tokenize TOKENIZER --decode --jsonl   {"ids"} lines -> {"text"} lines (a part, and random ids)
  STARCHAT tokenize TOKENIZER                    raw bytes that are not UTF-8 -> ids; the same as
                                                 encoding the text with U+FFFD for each broken part
No begin or end token is expected.  Special tokens in the text are expected as
plain text, and so are other added tokens that look like markup (<...> or [...]):
to the C program they are as good as special, to the library they are not, so it
is given the file with those marked special.  With --special-flag everything of
"random" is compared a second time with that flag added, against the file as it
is, all added tokens then being recognised.  Prints the number of bytes compared
and the first differences with context; exits 1 on a difference.

Usage: tokenizer_diff.py STARCHAT CORPUS_DIR [TOKENIZER.json ...] [--gguf FILE ...]
       [--synthetic GPT2.json] [--special-flag FLAG] [--max-mb N]
STARCHAT may hold arguments ("python3 tokenize_stand_in.py").  --synthetic makes
three tokenizers from the GPT-2 vocabulary: llama3 (Llama-3's split pattern and
ignore_merges, with merges left out so that this shows), digits (SmolLM2's
splitting) and added (added tokens with lstrip, rstrip, single_word, normalized).
Made with: tokenizers 0.23.3, gguf 0.19.0 (requirements.txt).
"""
import argparse
import base64
import json
import os
import random
import shlex
import subprocess
import sys
import tempfile

from tokenizers import Tokenizer
import tokenizers

BATCH = 256
SHOWN = 5          # differences printed for each tokenizer and test
DECODE_EVERY = 10  # every how many texts the ids are also decoded
RANDOM_IDS = 3000  # lists of random ids to decode
LLAMA3 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
          r"|\s*[\r\n]+|\s+(?!\S)|\s+")


def is_markup(content):
    return len(content) > 1 and content[0] + content[-1] in ("<>", "[]")


class Case:
    """One tokenizer: its name, the path that the C program reads, and the Hugging Face objects for text
    whose special tokens count and for text whose do not."""

    def __init__(self, name, path, contents):
        self.name, self.path = name, path
        self.trusting = Tokenizer.from_str(json.dumps(contents))
        for token in contents["added_tokens"]:
            token["special"] |= is_markup(token["content"])
        self.tokenizer = Tokenizer.from_str(json.dumps(contents))
        self.tokenizer.encode_special_tokens = True


def added_token(content, number, **flags):
    token = {"id": number, "content": content, "single_word": False, "lstrip": False, "rstrip": False,
             "normalized": False, "special": False}
    token.update(flags)
    return token


def synthetic(kind, gpt2):
    """Contents of a made-up tokenizer.json with the GPT-2 vocabulary."""
    made = json.loads(json.dumps(gpt2))
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    if kind == "llama3":
        split = {"type": "Split", "pattern": {"Regex": LLAMA3}, "behavior": "Isolated", "invert": False}
        made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, dict(byte_level, use_regex=False)]}
        made["model"]["ignore_merges"] = True
        made["model"]["merges"] = [m for i, m in enumerate(made["model"]["merges"]) if i % 40 != 39]
    elif kind == "digits":
        digits = {"type": "Digits", "individual_digits": True}
        made["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [digits, byte_level]}
    elif kind == "added":
        vocab = made["model"]["vocab"]
        size = len(vocab)      # a token of the vocabulary keeps its id; the library counts on from here for others
        made["normalizer"] = {"type": "NFC"}
        made["added_tokens"] += [
            added_token("<think>", size, lstrip=True), added_token("</think>", size + 1, rstrip=True),
            added_token("world", vocab["world"], single_word=True), added_token("é", vocab["é"], normalized=True),
            added_token("return", vocab["return"], single_word=True, lstrip=True, rstrip=True),
            added_token("    ", size + 2, normalized=True), added_token("<|im_start|>", size + 3, special=True)]
    return made


def read_json(path):
    with open(path, encoding="utf-8") as f:
        return json.load(f)


def make_cases(args, folder):
    cases = []
    for path in args.tokenizers:
        name = os.path.basename(path)
        if name == "tokenizer.json":
            name = os.path.basename(os.path.dirname(os.path.abspath(path)))
        cases.append(Case(name, path, read_json(path)))
    for path in args.gguf:
        from gguf import GGUFReader
        from gguf_tokenizer import tokenizer_json
        cases.append(Case(os.path.basename(path), path, tokenizer_json(GGUFReader(path))))
    if args.synthetic:
        gpt2 = read_json(args.synthetic)
        for kind in ("llama3", "digits", "added"):
            path = os.path.join(folder, f"synthetic-{kind}.json")
            contents = synthetic(kind, gpt2)
            with open(path, "w", encoding="utf-8") as f:
                json.dump(contents, f, ensure_ascii=False)
            cases.append(Case("synthetic " + kind, path, contents))
    return cases


class Report:
    """Counts differences and prints the first of each test."""

    def __init__(self, name):
        self.name, self.differences = name, 0

    def differ(self, lines):
        self.differences += 1
        if self.differences <= SHOWN:
            print(f"  DIFFERENT ({self.name}): " + "\n    ".join(lines))

    def result(self, what):
        print(f"  {self.name}: {what}, {self.differences} differ", flush=True)
        return self.differences


def run(command, stdin, stdout):
    """Runs the program on files; answers None or what went wrong."""
    with open(stdin, "rb") as i, open(stdout, "wb") as o:
        done = subprocess.run(command, stdin=i, stdout=o, stderr=subprocess.PIPE)
    if done.returncode:
        return f"exit {done.returncode}: {done.stderr.decode(errors='replace')[-500:]}"
    return None


def lines_of(path):
    """JSON values of a file, line by line."""
    with open(path, encoding="utf-8", newline="\n") as f:
        for line in f:
            yield json.loads(line)


def first_difference(tokenizer, text, want, got):
    """Says where two id lists part, with the text around."""
    at = 0
    while at < min(len(want), len(got)) and want[at] == got[at]:
        at += 1
    offsets = tokenizer.encode(text, add_special_tokens=False).offsets
    begin = offsets[at][0] if at < len(offsets) else len(text)
    around = text[max(0, begin - 20):begin]
    after = text[begin:begin + 20]
    return [f"id {at} of {len(want)} (theirs) and {len(got)} (ours), character {begin}: {ascii(around)} | {ascii(after)}",
            f"theirs {[(i, tokenizer.id_to_token(i)) for i in want[at:at + 5]]}",
            f"ours   {[(i, tokenizer.id_to_token(i)) for i in got[at:at + 5]]}"]


def batches(pairs, size):
    batch = []
    for pair in pairs:
        batch.append(pair)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch


def compare_encoding(case, tokenizer, starchat, corpus, sources, folder, report, extra=()):
    """All texts; answers the bytes compared and a file of some ids to decode."""
    out = os.path.join(folder, "ids.jsonl")
    sample = os.path.join(folder, "decode.jsonl")
    problem = run(starchat + ["tokenize", case.path, "--jsonl", *extra], corpus, out)
    if problem:
        report.differ([problem])
        return 0, None
    size = number = 0
    with open(sample, "w", encoding="utf-8") as decode:
        for batch in batches(zip(lines_of(corpus), lines_of(out)), BATCH):
            texts = [t["text"] for t, _ in batch]
            encodings = tokenizer.encode_batch_fast(texts, add_special_tokens=False)
            for (_, got), text, encoding in zip(batch, texts, encodings):
                if encoding.ids != got.get("ids"):
                    where = [f"line {number + 1}, {sources[number]}"]
                    report.differ(where + first_difference(tokenizer, text, encoding.ids, got.get("ids", [])))
                size += len(text.encode())
                if number % DECODE_EVERY == 0:
                    decode.write(json.dumps({"ids": encoding.ids}) + "\n")
                number += 1
    if number != len(sources):
        report.differ([f"{number} answers to {len(sources)} texts"])
    return size, sample


def compare_decoding(case, starchat, sample, folder, report):
    """Ids of texts, then random ids (so broken UTF-8 comes out); answers how many lists."""
    rng = random.Random(3)
    out = os.path.join(folder, "decoded.jsonl")
    known = sorted(case.tokenizer.get_vocab(with_added_tokens=True).values())
    with open(sample, "a", encoding="utf-8") as f:
        for _ in range(RANDOM_IDS):
            f.write(json.dumps({"ids": [rng.choice(known) for _ in range(rng.randint(0, 30))]}) + "\n")
    problem = run(starchat + ["tokenize", case.path, "--decode", "--jsonl"], sample, out)
    if problem:
        report.differ([problem])
        return 0
    number = 0
    for batch in batches(zip(lines_of(sample), lines_of(out)), BATCH):
        lists = [q["ids"] for q, _ in batch]
        texts = case.tokenizer.decode_batch(lists, skip_special_tokens=False)
        for (_, got), ids, text in zip(batch, lists, texts):
            number += 1
            if got.get("text") != text:
                mine = got.get("text", "")
                at = next((i for i, (a, b) in enumerate(zip(text, mine)) if a != b), min(len(text), len(mine)))
                report.differ([f"list {number}, ids {ids[:12]}..., character {at}",
                               f"theirs {ascii(text[max(0, at - 10):at + 20])}",
                               f"ours   {ascii(mine[max(0, at - 10):at + 20])}"])
    with open(sample, encoding="utf-8") as f:
        asked = sum(1 for _ in f)
    if number != asked:
        report.differ([f"{number} answers to {asked} lists"])
    return number


def invalid_rows(path, limit):
    """(where from, bytes): the byte strings that are not UTF-8, then all of them as one."""
    rows = [(r["source"], base64.b64decode(r["base64"])) for r in lines_of(path)]
    rows = rows[:limit] if limit >= 0 else rows
    return rows + [("all together", b"".join(data for _, data in rows))]


def compare_invalid(case, starchat, path, report, limit):
    """Byte strings that are not UTF-8, one run of the program each; answers how many and their bytes."""
    rows = invalid_rows(path, limit)
    for source, data in rows:
        text = data.decode("utf-8", "replace")
        want = case.tokenizer.encode_batch_fast([text], add_special_tokens=False)[0].ids
        done = subprocess.run(starchat + ["tokenize", case.path], input=data, capture_output=True)
        got = [int(x) for x in done.stdout.split()] if done.returncode == 0 else []
        if done.returncode:
            report.differ([source, done.stderr.decode(errors="replace")[-300:]])
        elif got != want:
            report.differ([source] + first_difference(case.tokenizer, text, want, got))
    return len(rows), sum(len(data) for _, data in rows)


def write_lines(corpus, path, keep):
    """Copies the lines of the corpus whose index is in keep."""
    with open(corpus, encoding="utf-8", newline="\n") as f, open(path, "w", encoding="utf-8", newline="\n") as out:
        for i, line in enumerate(f):
            if i in keep:
                out.write(line)


def limit_corpus(corpus, sources, max_mb, folder):
    """The corpus, or lines drawn from all of it up to max_mb."""
    if not max_mb:
        return corpus, sources
    sizes = [len(line) for line in open(corpus, "rb")]
    order = list(range(len(sizes)))
    random.Random(5).shuffle(order)
    keep, total = set(), 0
    for i in order:
        if total + sizes[i] <= max_mb * 1e6:
            keep.add(i)
            total += sizes[i]
    path = os.path.join(folder, "part.jsonl")
    write_lines(corpus, path, keep)
    return path, [sources[i] for i in sorted(keep)]


def run_case(case, args, starchat, corpus, sources, folder):
    """All tests of one tokenizer; answers the number of differences."""
    print(case.name, flush=True)
    report = Report("encode")
    size, sample = compare_encoding(case, case.tokenizer, starchat, corpus, sources, folder, report)
    bad = report.result(f"{len(sources)} texts, {size} bytes")
    if sample:
        report = Report("decode")
        count = compare_decoding(case, starchat, sample, folder, report)
        bad += report.result(f"{count} id lists")
    report = Report("invalid UTF-8")
    count, size = compare_invalid(case, starchat, os.path.join(args.corpus_dir, "invalid.jsonl"), report, args.max_invalid)
    bad += report.result(f"{count} byte strings, {size} bytes")
    if args.special_flag:
        keep = {i for i, s in enumerate(sources) if s.startswith("random")}
        part = os.path.join(folder, "special.jsonl")
        write_lines(corpus, part, keep)
        report = Report("encode with special tokens")
        size, _ = compare_encoding(case, case.trusting, starchat, part, [sources[i] for i in sorted(keep)], folder, report,
                                   [args.special_flag])
        bad += report.result(f"{len(keep)} texts, {size} bytes")
    return bad


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("starchat")
    parser.add_argument("corpus_dir")
    parser.add_argument("tokenizers", nargs="*")
    parser.add_argument("--gguf", nargs="+", default=[], metavar="FILE")
    parser.add_argument("--synthetic", metavar="GPT2.json")
    parser.add_argument("--special-flag", metavar="FLAG", help="give as --special-flag=--name")
    parser.add_argument("--max-mb", type=float, metavar="N")
    parser.add_argument("--max-invalid", type=int, default=-1, metavar="N")
    args = parser.parse_args()
    starchat = shlex.split(args.starchat)
    with open(os.path.join(args.corpus_dir, "sources.txt"), encoding="utf-8") as f:
        sources = f.read().split("\n")[:-1]
    print(f"tokenizers {tokenizers.__version__}")
    bad = 0
    with tempfile.TemporaryDirectory() as folder:
        corpus, sources = limit_corpus(os.path.join(args.corpus_dir, "corpus.jsonl"), sources, args.max_mb, folder)
        for case in make_cases(args, folder):
            bad += run_case(case, args, starchat, corpus, sources, folder)
    print("no differences" if not bad else f"{bad} differences")
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
