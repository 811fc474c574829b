"""Writes tests/golden/tokenizers/families: a small vocabulary for each tokenizer family, and texts with the ids that
Hugging Face tokenizers give them.

A family is its normaliser, pre-tokeniser, added tokens and model options, taken from the tokenizer.json files of such
models; the vocabularies are made here, 256 byte symbols and some hundred merges learned from TEXTS, so nothing in the
result is a model's.  NAME.json is a tokenizer.json, NAME.jsonl holds a line for each text:
  text, ids      special tokens recognised
  plain          ids where special tokens, and added ones that look like markup, are letters; where they differ
  decoded        what the ids decode to, where it is not the text
No randomness beyond SEED.

Usage: family_tokenizers.py [OUT_DIR]
Made with: tokenizers 0.23.3 (requirements.txt).
"""
import collections
import json
import pathlib
import random
import sys

from tokenizers import Tokenizer

SEED, RANDOM_TEXTS, MERGES, TEXTS_SEEN_TWICE = 11, 60, 320, 2
GPT2_FLAGS = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
BYTES_ONLY = dict(GPT2_FLAGS, use_regex=False)
DIGITS = {"type": "Digits", "individual_digits": True}
CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|"
REST = r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def split(pattern, behavior="Isolated", invert=False, kind="Regex"):
    return {"type": "Split", "pattern": {kind: pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def added(content, special=True, **flags):
    return dict({"content": content, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": special}, **flags)


# The bytes that no UTF-8 text has, and those that begin characters which are never seen: StarCoder's file lacks them.
RARE_BYTES = [0xC0, 0xC1, 0xF1, *range(0xF5, 0x100)]
FIM = [added(t) for t in ("<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<filename>")]
CHATML = [added(t) for t in ("<|endoftext|>", "<|im_start|>", "<|im_end|>")]
FAMILIES = {
    "gpt2": dict(pre_tokenizer=GPT2_FLAGS, added=[added("<|endoftext|>")]),
    "starcoder": dict(pre_tokenizer=sequence(DIGITS, GPT2_FLAGS), added=FIM, lacks=RARE_BYTES, specials_first=True),
    "llama3": dict(pre_tokenizer=sequence(split(CONTRACTIONS + r"\p{N}{1,3}" + REST), BYTES_ONLY), ignore_merges=True,
                   added=[added("<|begin_of_text|>"), added("<|eot_id|>")]),
    "qwen2": dict(normalizer={"type": "NFC"}, pre_tokenizer=sequence(split(CONTRACTIONS + r"\p{N}" + REST), BYTES_ONLY),
                  added=CHATML + [added("<think>", False), added("</think>", False)]),
    "deepseek-coder": dict(
        pre_tokenizer=sequence(split("[\r\n]"), split("\\s?\\p{L}+"), split("\\s?\\p{P}+"), split("[一-龥ࠀ-一가-퟿]+"), DIGITS, BYTES_ONLY),
        added=[added("<｜begin▁of▁sentence｜>"), added("<|EOT|>"), added("ü", False, normalized=True), added("ö", False, normalized=True)],
        lacks=[0xF1, *range(0xF5, 0x100)]),
    "command-r": dict(normalizer={"type": "NFC"}, pre_tokenizer=sequence(DIGITS, GPT2_FLAGS), added=[added("<BOS_TOKEN>")]),
    # Of everything else that a tokenizer.json may ask for, something.
    "custom": dict(
        normalizer={"type": "Sequence", "normalizers": [
            {"type": "NFKD"}, {"type": "Lowercase"}, {"type": "Replace", "pattern": {"Regex": "\\p{Mn}+"}, "content": ""},
            {"type": "Replace", "pattern": {"String": "--"}, "content": "—"}, {"type": "Strip", "strip_left": False, "strip_right": True}]},
        pre_tokenizer=sequence(split("_", "MergedWithNext", kind="String"), split("[.,;]", "MergedWithPrevious"),
                               split("[a-z0-9]+|[^a-z0-9]+", "Removed", True), {"type": "Punctuation", "behavior": "Contiguous"},
                               dict(GPT2_FLAGS, add_prefix_space=True)),
        added=[added("<mask>", lstrip=True), added("<sep>", rstrip=True), added("word", False, single_word=True),
               added("Straße", False, normalized=True)]),
    "words": dict(normalizer={"type": "NFKC"}, pre_tokenizer=sequence({"type": "Whitespace"}, BYTES_ONLY), added=[added("<s>")]),
}

TEXTS = """
def greet(name: str, times: int = 3) -> list[str]:
    \"\"\"Answers the greetings; it's what they've asked for, isn't it?\"\"\"
    return [f"Hello, {name}! This is number {i + 1} of {times}." for i in range(times)]

#include <stdio.h>
int main(void)
{
\tfor (int i = 0; i < 1000000; i++) {
\t\tprintf("%d: the value is 0x%08x\\n", i, 12345 * i);
\t}
\treturn 0;
}

function sum(values) { return values.reduce((a, b) => a + b, 0); }   // 3.14159, 2026, 10_000
SELECT name, COUNT(*) FROM people WHERE age >= 18 AND city <> 'Köln' GROUP BY name;
The quick brown fox jumps over the lazy dog. We'll see; they'd say I'm right, and you're not.
Straße über Ärger, naïve café, señor, Łódź, İstanbul, ſtart, ﬁne ﬂow.
Привет, мир! Это простой текст, который нужно разбить на части.
Γειά σου Κόσμε, αυτό είναι ένα κείμενο.
漢字とひらがなとカタカナを混ぜた文章です。中文句子,没有空格。
한국어 문장입니다. 안녕하세요.
नमस्ते दुनिया, यह एक वाक्य है। مرحبا بالعالم، هذا نص قصير. שלום עולם
😀 👍🏽 👨‍👩‍👧 🇩🇪 1️⃣ ❤️ ™ © → ≤ ∑ █
""".strip("\n").split("\n")

EDGES = [
    "", " ", "  ", "   ", "\n", "\n\n", "\n\n\n", "\r\n", "\r\n\r\n", "\t", "\t\t", " \n", "\n ", " \n \n ", "a \n b", "a  b", "a   b", "a\tb", "a\t\tb",
    "  a", "a  ", "  a  ", "\n  a", "    return x", "\t\tif x:\n\t\t\treturn", "x\u00a0y", "x\u3000y", "x\u200by", "x\u2028y", "x\u0085y", "\ufeffx", "\u1680\u2003\u202f",
    "it's", "IT'S", "it'S", "we'll", "WE'LL", "we'Ll", "I'm", "I'M", "you've", "they're", "she'd", "'s", "'x", "''s", "it’s", "'ſ", "ſ", "don't've", " 's", "\n'll",
    "1", "12", "123", "1234", "12345678", " 1", "  1", "a1b2", "3.14", "1,000", "½", "²", "x²", "Ⅷ", "①", "٣٤", "१२३", "𝟎𝟗", "1a", "0x1F", "1e-9",
    "\u0301", "e\u0301", "é", "é́", "a\u0323\u0307", "a\u0307\u0323", "\u1e69", "s\u0323\u0307", "ﬁ", "Å", "Å", "가", "\u1100\u1161", "\u1100\u1161\u11a8", "ก็", "क्षि",
    "...", "?!?!", "-->", "=>", "!=", "//", "/* x */", "(a)", "[b]", "{c}", "\"q\"", "«q»", "—", "--", "a-b", "a_b", "_a", "a_b_c", "snake_case_name", "camelCaseName",
    "😀", "😀😀", "👨‍👩‍👧", "🇩🇪🇯🇵", "1️⃣", "\U00040000", "\U0007ffff", "\U0010ffff", "\ue000", "\U0001f9ff x", "ü", "ö", "Führer", "schön ü", "\u00a1", "\u0143", "Ġ", "Ċ",
    "漢", "漢字 かな", "中文123中文", "한국어", "ࠀ一가", "一二三", "。", "、x", "mixed漢字text", "Привет мир", "ПРИВЕТ", "Σίσυφος", "İ", "ı", "ǅ",
    "\r", "a\rb", "a\r\nb\r\n", "!\n", "!\n\n", "! \n", " !\n", ")\r\n\r\nx", "\x00", "a\x00b", "\x01\x02\x1f", "\x7f", "\x80", "\x9f",
    "<|endoftext|>", "a<|endoftext|>b", "<|endoftext|><|endoftext|>", "<fim_prefix>def f():<fim_suffix>\n<fim_middle>", "<filename>x.py", "<fim_prefix", "fim_prefix>",
    "<|im_start|>user\nHi<|im_end|>\n", "<think>\nwell\n</think>", "<|begin_of_text|>Hello<|eot_id|>", "<|EOT|>", "<｜begin▁of▁sentence｜>x", "<BOS_TOKEN> a",
    "a <mask> b", "a  <mask>  b", "a <sep> b", "a  <sep>  b", "a <sep> <mask> b", "word", "a word b", "words", "sword", "word!", "_word", "word word", "Straße", "STRASSE", "straße",
    "<s>", "a<s>b", "<|", "|>", "endoftext", "<|endoftext", "<|endof<|endoftext|>text|>",
    "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa", " " * 70, "=" * 65, "\n" * 40, "ab" * 60,
]
PIECES = [" ", "  ", "\n", "\t", "\r\n", "'s", "'LL", "e", "n", "th", "in ", " the", "re", "1", "23", "½", "é", "e\u0301", "漢", "и", "😀", "_", ".", ",", "--", "=", "(", "\u200d",
          "\u0300", "<|", "<|endoftext|>", "<think>", "<fim_prefix>", " word ", "ü", "\u2028", "ß", "ﬁ"]


def byte_symbols():
    visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    hidden = [b for b in range(256) if b not in visible]
    return {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}


def learn(pieces, symbols):
    """Merges in the order of their counts; ties go to the pair that sorts first."""
    words = collections.Counter(tuple(p) for p in pieces)
    merges, known = [], set(symbols)
    while len(merges) < MERGES:
        pairs = collections.Counter()
        for word, n in words.items():
            for pair in zip(word, word[1:]):
                if set(pair) <= known:
                    pairs[pair] += n
        if not pairs:
            break
        best = min(pairs, key=lambda p: (-pairs[p], p))
        if pairs[best] < 2:
            break
        merges.append(best)
        known.add(best[0] + best[1])
        joined = collections.Counter()
        for word, n in words.items():
            out = []
            for s in word:
                if out and (out[-1], s) == best:
                    out[-1] += s
                else:
                    out.append(s)
            joined[tuple(out)] += n
        words = joined
    return merges


def contents(family, vocab, merges, tokens):
    """A tokenizer.json."""
    processor = None
    if family.get("ignore_merges"):
        first = tokens[0]
        processor = {"type": "TemplateProcessing",
                     "single": [{"SpecialToken": {"id": first["content"], "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}],
                     "pair": [{"Sequence": {"id": "A", "type_id": 0}}, {"Sequence": {"id": "B", "type_id": 1}}],
                     "special_tokens": {first["content"]: {"id": first["content"], "ids": [first["id"]], "tokens": [first["content"]]}}}
    return {"version": "1.0", "truncation": None, "padding": None, "added_tokens": tokens, "normalizer": family.get("normalizer"),
            "pre_tokenizer": family["pre_tokenizer"], "post_processor": processor, "decoder": dict(GPT2_FLAGS, add_prefix_space=True),
            "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None, "end_of_word_suffix": None,
                      "fuse_unk": False, "byte_fallback": False, "ignore_merges": family.get("ignore_merges", False),
                      "vocab": vocab, "merges": merges}}


def make(family):
    """Learns the merges of a family from what its own normaliser and pre-tokeniser make of TEXTS."""
    symbols = [s for b, s in byte_symbols().items() if b not in family.get("lacks", [])]
    specials = [t["content"] for t in family["added"]]
    first = specials if family.get("specials_first") else []
    start = {t: i for i, t in enumerate(first + symbols)}
    bare = Tokenizer.from_str(json.dumps(contents(dict(family, ignore_merges=False), start, [], [])))
    pieces = []
    for text in TEXTS:
        normal = bare.normalizer.normalize_str(text) if bare.normalizer else text
        pieces += [p for p, _ in bare.pre_tokenizer.pre_tokenize_str(normal)] * TEXTS_SEEN_TWICE
    merges = learn(pieces, symbols)
    vocab = dict(start)
    for a, b in merges:
        vocab.setdefault(a + b, len(vocab))
    tokens = [dict({"id": start[t["content"]] if first else len(vocab) + i}, **t) for i, t in enumerate(family["added"])]
    if family.get("ignore_merges"):
        del merges[9::10]       # words that only the vocabulary knows
    return contents(family, vocab, merges if family.get("normalizer") else [" ".join(m) for m in merges], tokens)


def is_markup(content):
    return content[0] + content[-1] in ("<>", "[]")


def random_texts():
    rng = random.Random(SEED)
    for _ in range(RANDOM_TEXTS):
        yield "".join(rng.choice(PIECES) for _ in range(rng.choice([3, 6, 12, 24])))


def rows(tokenizer_json):
    given = Tokenizer.from_str(json.dumps(tokenizer_json))
    # Ids are given out in order, so the place of a token that is to be letters must stay taken.
    letters = [dict(t, content=f"\U000f0000{i}") if t["special"] or is_markup(t["content"]) else t
               for i, t in enumerate(tokenizer_json["added_tokens"])]
    plain = Tokenizer.from_str(json.dumps(dict(tokenizer_json, added_tokens=letters, post_processor=None)))
    for text in TEXTS + EDGES + list(random_texts()):
        row = {"text": text, "ids": given.encode(text, add_special_tokens=False).ids}
        untrusted = plain.encode(text, add_special_tokens=False).ids
        decoded = given.decode(row["ids"], skip_special_tokens=False)
        if untrusted != row["ids"]:
            row["plain"] = untrusted
        if decoded != text:
            row["decoded"] = decoded
        yield row


def main():
    default = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizers/families"
    out = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else default
    out.mkdir(parents=True, exist_ok=True)
    for name, family in FAMILIES.items():
        made = make(family)
        lines = [json.dumps(r, ensure_ascii=False, separators=(",", ":")) for r in rows(made)]
        (out / f"{name}.json").write_text(json.dumps(made, ensure_ascii=False, separators=(",", ":")) + "\n", encoding="utf-8")
        (out / f"{name}.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
        print(f"{name:16s} {len(made['model']['vocab'])} tokens, {len(made['model']['merges'])} merges, {len(lines)} texts")


if __name__ == "__main__":
    main()
