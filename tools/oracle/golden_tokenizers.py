"""Compares `starchat tokenize` with golden ids that the reference gave, encoding and decoding.

DATA holds, as its SOURCES.md describes them,
  NAME/tokenizer.json           vocabularies
  golden/*.jsonl                {"text", "ids"[, "decoded"][, "prefix_decodes"]} a line: ids of Hugging Face tokenizers
                                with special tokens recognised; decoded is there where it differs from the text
  llamacpp-vocab/*.gguf         the same vocabularies in llama.cpp's form
  llamacpp-vocab/*.inp, *.out   texts parted by a marker line, and a line of ids for each
The two orders of StarChat's tokens are tried on a model directory with added_tokens.json, as the models were published.
Prints a row for each vocabulary and file, then the total; exits 1 if anything differs.

Usage: golden_tokenizers.py STARCHAT DATA
Needs nothing but Python.
"""
import json
import os
import pathlib
import shutil
import subprocess
import sys
import tempfile

FAMILIES = ["starcoder", "starcoder2", "gpt2", "deepseek-coder", "qwen3"]
# vocabulary inside a GGUF file -> tokenizer.json with the same ids
GGUF = {"gpt-2": "gpt2", "starcoder": "starcoder2", "refact": "starcoder", "deepseek-coder": "deepseek-coder"}
VECTORS = {"gpt-2": "gpt2", "starcoder": "starcoder2", "refact": "starcoder", "deepseek-coder": "deepseek-coder", "qwen2": "qwen3"}
# DeepSeek's added token "\u00fc" is also the symbol of a byte, and the reference decodes it to that byte.
DECODED = {("deepseek-coder", "F\u00fchrer"): "F\ufffdhrer"}
STARCHAT_TOKENS = {
    "starchat-blog": ["<|system|>", "<|assistant|>", "<|user|>", "<|end|>"],
    "starchat-repo": ["<|system|>", "<|user|>", "<|assistant|>", "<|end|>"],
}
SHOWN = 5


class Check:
    """Runs the program, counts what was compared and prints the first differences."""

    def __init__(self, starchat):
        self.starchat, self.compared, self.bad = starchat, 0, 0

    def lines(self, tokenizer, questions, *flags):
        """Answers to JSON lines."""
        given = "".join(json.dumps(q, ensure_ascii=i % 2 == 0) + "\n" for i, q in enumerate(questions))
        done = subprocess.run([self.starchat, "tokenize", str(tokenizer), "--jsonl", *flags], input=given.encode(), capture_output=True)
        if done.returncode:
            raise SystemExit(f"{tokenizer}: exit {done.returncode}: {done.stderr.decode(errors='replace').strip()}")
        return [json.loads(line) for line in done.stdout.splitlines()]

    def equal(self, what, tokenizer, wanted, found):
        """One row of the table."""
        different = [i for i, (w, f) in enumerate(zip(wanted, found)) if w != f]
        missing = abs(len(wanted) - len(found))
        self.compared += len(wanted)
        self.bad += len(different) + missing
        print(f"{what:60s} {len(wanted):6d} compared {len(different) + missing:4d} different")
        for i in different[:SHOWN]:
            print(f"  {tokenizer}, number {i + 1}\n    expected {ascii(wanted[i])[:300]}\n    found    {ascii(found[i])[:300]}")

    def rows(self, name, tokenizer, rows):
        """Golden lines both ways; and every prefix of the ids, where the file has that."""
        ids = self.lines(tokenizer, [{"text": r["text"]} for r in rows], "--special")
        self.equal(name + ", encode", tokenizer, [r["ids"] for r in rows], [a.get("ids") for a in ids])
        texts = self.lines(tokenizer, [{"ids": r["ids"]} for r in rows], "--decode")
        self.equal(name + ", decode", tokenizer, [r.get("decoded", r["text"]) for r in rows], [a.get("text") for a in texts])
        prefixes = [(r["ids"][:n + 1], text) for r in rows for n, text in enumerate(r.get("prefix_decodes", []))]
        if prefixes:
            texts = self.lines(tokenizer, [{"ids": ids} for ids, _ in prefixes], "--decode")
            self.equal(name + ", decode prefixes", tokenizer, [text for _, text in prefixes], [a.get("text") for a in texts])


def golden_rows(path):
    with open(path, encoding="utf-8", newline="\n") as f:
        return [json.loads(line) for line in f]


def vector_rows(path):
    """Texts and ids of llama.cpp's two files."""
    texts = pathlib.Path(f"{path}.inp").read_bytes().decode().split("\n__ggml_vocab_test__\n")
    lines = pathlib.Path(f"{path}.out").read_text().split("\n")     # the empty text behind the last marker has no ids
    if len(texts) != len(lines):
        raise SystemExit(f"{path}: {len(texts)} texts and {len(lines)} lines of ids")
    return [{"text": text, "ids": [int(i) for i in line.split()]} for text, line in zip(texts, lines)]


def starchat_directory(folder, data, tokens):
    """StarCoder's tokenizer with four more tokens, as in the published models."""
    os.makedirs(folder)
    shutil.copyfile(data / "starcoder/tokenizer.json", folder / "tokenizer.json")
    (folder / "added_tokens.json").write_text(json.dumps({t: 49152 + i for i, t in enumerate(tokens)}))
    (folder / "special_tokens_map.json").write_text(json.dumps({"additional_special_tokens": tokens}))
    return folder


def main():
    if len(sys.argv) != 3:
        raise SystemExit("usage: golden_tokenizers.py STARCHAT DATA")
    check, data = Check(sys.argv[1]), pathlib.Path(sys.argv[2])
    golden, gguf = data / "golden", data / "llamacpp-vocab"
    for name in FAMILIES:
        check.rows(name, data / name / "tokenizer.json", golden_rows(golden / f"{name}.jsonl"))
    check.rows("starcoder, prefixes", data / "starcoder/tokenizer.json", golden_rows(golden / "starcoder-prefix-decode.jsonl"))
    with tempfile.TemporaryDirectory() as scratch:
        for name, tokens in STARCHAT_TOKENS.items():
            check.rows(name, starchat_directory(pathlib.Path(scratch) / name, data, tokens), golden_rows(golden / f"{name}.jsonl"))
    for name, family in GGUF.items():
        check.rows(f"ggml-vocab-{name}.gguf", gguf / f"ggml-vocab-{name}.gguf", golden_rows(golden / f"{family}.jsonl"))
    for name, family in VECTORS.items():
        rows = vector_rows(gguf / f"ggml-vocab-{name}.gguf")
        for r in rows:
            r["decoded"] = DECODED.get((name, r["text"]), r["text"])
        check.rows(f"vectors {name}, {family}/tokenizer.json", data / family / "tokenizer.json", rows)
        if name in GGUF:
            check.rows(f"vectors {name}, ggml-vocab-{name}.gguf", gguf / f"ggml-vocab-{name}.gguf", rows)
    print(f"{check.compared} compared, {check.bad} different")
    sys.exit(1 if check.bad or not check.compared else 0)


if __name__ == "__main__":
    main()
