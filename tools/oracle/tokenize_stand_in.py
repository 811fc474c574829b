"""Stands in for the command "starchat tokenize" when tokenizer_diff.py itself is tried.

It calls Hugging Face tokenizers, so there must be no difference; with STAND_IN_BREAK=1
in the environment it answers wrongly now and then, so there must be some.

Usage: tokenize_stand_in.py tokenize TOKENIZER [--decode] [--jsonl] [--special]
Made with: tokenizers 0.23.3 (requirements.txt).
"""
import json
import os
import sys

from tokenizers import Tokenizer


def open_tokenizer(path):
    if not path.endswith(".gguf"):
        return Tokenizer.from_file(path)
    from gguf import GGUFReader
    from gguf_tokenizer import tokenizer_json
    return Tokenizer.from_str(json.dumps(tokenizer_json(GGUFReader(path))))


def main():
    tokenizer = open_tokenizer(sys.argv[2])
    flags = sys.argv[3:]
    tokenizer.encode_special_tokens = "--special" not in flags
    broken = os.environ.get("STAND_IN_BREAK") == "1"

    def encode(text):
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        return ids[:-1] if broken and len(ids) % 97 == 5 else ids

    if "--jsonl" not in flags:
        print(*encode(sys.stdin.buffer.read().decode("utf-8", "replace")))
        return
    for line in sys.stdin.buffer:
        row = json.loads(line)
        if "--decode" in flags:
            text = tokenizer.decode(row["ids"], skip_special_tokens=False)
            print(json.dumps({"text": text + "!" if broken and len(text) % 97 == 5 else text}))
        else:
            print(json.dumps({"ids": encode(row["text"])}))


if __name__ == "__main__":
    main()
