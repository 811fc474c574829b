"""Asks Hugging Face tokenizers which characters it takes for letters, digits, white space and so on.

Its parts use different Unicode versions (the regular expressions one, Digits another,
NFC a third), so a tokenizer that wants the same ids for every text needs these very
sets.  OUT.json has, as lists of [first, last] code points (surrogates left out):
  L, N, P, M, s     what \\p{L}, \\p{N}, \\p{P}, \\p{M} and \\s match in Split patterns
  digits            what the pre-tokenizer Digits parts off
  ccc               what NFC takes for a combining mark (canonical combining class not 0),
                    without characters that NFC replaces
and not_composed: strings whose NFC, by Python's Unicode data, is one character that
the NFC of tokenizers does not make (empty: none).  The classes of the ByteLevel
pattern are checked to be those of Split.

Usage: unicode_classes.py OUT.json
Made with: tokenizers 0.23.3 (requirements.txt), Python 3.11.
"""
import json
import sys
import unicodedata

import tokenizers
from tokenizers import Regex, normalizers, pre_tokenizers

SCALARS = [c for c in range(0x110000) if not 0xD800 <= c <= 0xDFFF]


def ranges(members):
    """Sorted [first, last] pairs; a run may not cross the surrogates."""
    out = []
    for c in sorted(members):
        if out and out[-1][1] == c - 1:
            out[-1][1] = c
        else:
            out.append([c, c])
    return out


def matched(pattern):
    """Characters that a Split pattern of one character matches."""
    split = pre_tokenizers.Split(Regex(pattern), "removed")
    return {c for c in SCALARS if not split.pre_tokenize_str(chr(c))}


def parted_by_digits():
    digits = pre_tokenizers.Digits(individual_digits=True)
    return {c for c in SCALARS if len(digits.pre_tokenize_str("a" + chr(c) + "b")) == 3}


def check_byte_level(letters, numbers):
    """A character joins "a" when it is a letter to ByteLevel, and "1" when it is a number."""
    level = pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=True)
    for c in SCALARS:
        joined = {p: len(level.pre_tokenize_str(p + chr(c))) == 1 for p in "a1"}
        if joined["a"] != (c in letters) or joined["1"] != (c in numbers):
            raise SystemExit(f"ByteLevel and Split differ on U+{c:04X}")


def combining():
    """NFC moves a mark of a lower class before one of a higher class; U+0334 has 1, U+0345 has 240."""
    nfc = normalizers.NFC()
    found = set()
    for c in SCALARS:
        if nfc.normalize_str(chr(c)) != chr(c):
            continue
        after, before = "b" + chr(c) + "\u0334", "b\u0345" + chr(c)
        if nfc.normalize_str(after) != after or nfc.normalize_str(before) != before:
            found.add(c)
    return found


def not_composed():
    nfc = normalizers.NFC()
    found = []
    for c in SCALARS:
        parts = unicodedata.normalize("NFD", chr(c))
        whole = unicodedata.normalize("NFC", parts)
        if nfc.normalize_str(parts) != whole:
            found.append(parts)
    return found


def main():
    if len(sys.argv) != 2:
        raise SystemExit("usage: unicode_classes.py OUT.json")
    sets = {name: matched(pattern) for name, pattern in
            [("L", r"\p{L}"), ("N", r"\p{N}"), ("P", r"\p{P}"), ("M", r"\p{M}"), ("s", r"\s")]}
    sets["digits"] = parted_by_digits()
    sets["ccc"] = combining()
    check_byte_level(sets["L"], sets["N"])
    out = {"script": "tools/oracle/unicode_classes.py", "versions": {"tokenizers": tokenizers.__version__}}
    lines = [json.dumps(out)[:-1]]
    for name, members in sets.items():
        lines.append(f"{json.dumps(name)}:{json.dumps(ranges(members), separators=(',', ':'))}")
        print(name, len(members))
    lines.append('"not_composed":' + json.dumps(not_composed()) + "}")
    with open(sys.argv[1], "w", encoding="utf-8") as f:
        f.write(",\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
