"""Builds a Hugging Face tokenizer from the vocabulary inside a GGUF file.

Only the kind that SmolLM2 uses: byte-level BPE whose pre-tokenizer takes digits
one by one and then splits with the GPT-2 pattern; control tokens are special.
Used by smollm2_reference.py and tokenizer_diff.py.

Usage: gguf_tokenizer.py FILE.gguf OUT.json
Made with: gguf 0.19.0, tokenizers 0.23.3 (requirements.txt).
"""
import json
import sys

from gguf import GGUFReader

CONTROL = 3


def tokenizer_json(reader):
    """The contents of a tokenizer.json, as a dict."""
    tokens = reader.fields["tokenizer.ggml.tokens"].contents()
    types = reader.fields["tokenizer.ggml.token_type"].contents()
    merges = reader.fields["tokenizer.ggml.merges"].contents()
    pre = reader.fields["tokenizer.ggml.pre"].contents()
    if pre not in ("smollm", "starcoder", "refact"):
        raise SystemExit(f"pre-tokenizer {pre} is not one with digits and the GPT-2 pattern")
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": True}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [dict(id=i, content=t, **flags) for i, t in enumerate(tokens) if types[i] == CONTROL],
        "normalizer": None,
        "pre_tokenizer": {"type": "Sequence",
                          "pretokenizers": [{"type": "Digits", "individual_digits": True}, byte_level]},
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {t: i for i, t in enumerate(tokens)}, "merges": merges},
    }


if __name__ == "__main__":
    if len(sys.argv) != 3:
        raise SystemExit("usage: gguf_tokenizer.py FILE.gguf OUT.json")
    with open(sys.argv[2], "w", encoding="utf-8") as out:
        json.dump(tokenizer_json(GGUFReader(sys.argv[1])), out, ensure_ascii=False)
