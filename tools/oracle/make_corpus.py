"""Collects a corpus of over 100 MB for comparing tokenizers.

Sources: text files of Debian packages (source code in many languages, manual
pages, translations and Unicode data in many scripts), dialogue files if given,
and random Unicode made here.  The choice of files and the cutting into chunks of
1 byte to 64 KB depend only on the seed and the versions of the packages.

Writes to OUT_DIR
  corpus.jsonl   one {"text": ...} a line: valid UTF-8; every 7th line with \\u escapes
  sources.txt    where line N of corpus.jsonl comes from
  invalid.jsonl  one {"source":..., "base64":...} a line: byte strings that are not UTF-8
  debs/, files/  downloads and unpacked packages (kept, so a second run is quick)

Usage: make_corpus.py OUT_DIR [--dialogues DIR] [--seed N]
Needs apt-get and dpkg-deb (Debian 12); made with Python 3.11, standard library only.
"""
import argparse
import base64
import gzip
import json
import os
import random
import subprocess
import unicodedata

MB = 1_000_000
# package: most megabytes taken from it
PACKAGES = {
    "python3-sympy": 7, "python3-django": 9, "python3-networkx": 3, "node-typescript": 8, "libjs-mathjax": 3,
    "libboost1.81-dev": 7, "libeigen3-dev": 3, "linux-libc-dev": 3, "golang-1.19-src": 9,
    "golang-golang-x-net-dev": 2, "rust-src": 9, "librust-syn-dev": 2, "ruby-activesupport": 1,
    "perl-modules-5.36": 5, "lua-penlight": 1, "php-symfony-http-kernel": 1, "sbcl-source": 4,
    "swi-prolog-core": 3, "nim": 3, "crystal": 3, "haxe": 2, "ldc": 3, "maxima-src": 2, "vim-runtime": 5,
    "elpa-haskell-mode": 1, "cmake-data": 3, "git-doc": 3, "unicode-data": 5, "unicode-cldr-core": 12,
    "manpages-zh": 3, "manpages-ja": 4, "manpages-fr": 2, "manpages-de": 2, "manpages-ru": 3, "manpages-pl": 2,
    "manpages-tr": 1, "manpages-es": 1, "manpages-uk": 2, "hunspell-ar": 1, "hunspell-ko": 1, "hunspell-vi": 1,
    "aspell-hi": 1,
}
BINARY = (".mo", ".png", ".gif", ".jpg", ".ico", ".woff", ".woff2", ".ttf", ".otf", ".eot", ".pdf", ".ps", ".zip",
          ".so", ".a", ".beam", ".ogg", ".mp3", ".rws", ".prc")
RANDOM_TEXTS = 6000
RANDOM_INVALID = 400

SPACES = "\t\n\x0b\x0c\r \x85\xa0\u1680\u180e\u2000\u2002\u2003\u2007\u2009\u200a\u200b\u200d\u2028\u2029\u202f\u205f\u2060\u3000\ufeff"
EMOJI = ["😀", "👨‍👩‍👧‍👦", "🏳️‍🌈", "👍🏽", "🇩🇪", "🇯🇵", "1️⃣", "❤️", "🧑🏿‍🚀", "©️", "🫠", "🪿"]
CONTRACTIONS = ["'s", "'S", "'ſ", "'t", "'T", "'re", "'RE", "'rE", "'ve", "'Ve", "'m", "'M", "'ll", "'LL", "'lL", "'d",
                "'D", "’s", "ʼs", "'x", "''s", "n't"]
SPECIAL = ["<|endoftext|>", "<fim_prefix>", "<fim_suffix>", "<fim_middle>", "<|im_start|>", "<|im_end|>", "<filename>",
           "<|fim_prefix|>", "<think>", "</think>", "<tool_call>", "<｜fim▁hole｜>", "<｜begin▁of▁sentence｜>", "<|EOT|>",
           "<|end|>", "<|user|>", "<|begin_of_text|>", "<|", "|>", "endoftext"]
NUMBERS = "0123456789٠٣٩०५๓０９½²Ⅷⅷ①㊿一二十百〇𝟎𝟗𐄇𑁦"
PUNCTUATION = "!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~¡§«»–—‘’“”…‰€™←→∑√≈│█■◆★、。「」！？＋～"


def download(packages, folder):
    """Fetches what is not there yet; answers package -> file."""
    os.makedirs(folder, exist_ok=True)

    def present():
        return {f.split("_")[0]: os.path.join(folder, f) for f in sorted(os.listdir(folder)) if f.endswith(".deb")}

    missing = [p for p in packages if p not in present()]
    if missing:
        subprocess.run(["apt-get", "download", "-q"] + missing, cwd=folder, check=True)
    return present()


def unpack(deb, folder):
    if not os.path.isdir(folder):
        os.makedirs(os.path.dirname(folder), exist_ok=True)
        subprocess.run(["dpkg-deb", "-x", deb, folder], check=True)


def read_text_file(path):
    """Bytes of a text file (unpacked if .gz), or None for anything else."""
    if os.path.islink(path) or not os.path.isfile(path) or path.endswith(BINARY):
        return None
    if os.path.getsize(path) > 8 * MB:
        return None
    with open(path, "rb") as f:
        data = f.read()
    if path.endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError):
            return None
    if not data or b"\0" in data[:8192]:
        return None
    return data


def package_files(package, folder, limit, rng):
    """(source, bytes) of files drawn from a package until limit bytes."""
    paths = []
    for base, dirs, files in os.walk(folder):
        dirs.sort()
        paths += [os.path.join(base, f) for f in sorted(files)]
    rng.shuffle(paths)
    taken = 0
    for path in paths:
        if taken >= limit:
            return
        data = read_text_file(path)
        if data is not None:
            data = data[:2 * MB]
            taken += len(data)
            yield f"{package}: {os.path.relpath(path, folder)}", data


def chunk_sizes(rng):
    """Endless sizes: some tiny, most of kilobytes, up to 64 KB."""
    while True:
        kind = rng.random()
        if kind < 0.15:
            yield rng.randint(1, 64)
        elif kind < 0.3:
            yield rng.randint(65, 1024)
        else:
            yield rng.randint(1025, 65536)


def cut(text, sizes):
    """Pieces of text of about the given sizes in bytes, cut between characters."""
    start = 0
    while start < len(text):
        size = next(sizes)
        end = min(len(text), start + size)
        while end - start > 1 and len(text[start:end].encode()) > size:
            end = start + max(1, (end - start) * size // len(text[start:end].encode()))
        yield text[start:end]
        start = end


def strings_of(value):
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for v in value.values():
            yield from strings_of(v)
    elif isinstance(value, list):
        for v in value:
            yield from strings_of(v)


def dialogue_files(folder):
    """(source, text): each file as it is, then each string inside it."""
    for base, dirs, files in os.walk(folder):
        dirs.sort()
        for file in sorted(files):
            path = os.path.join(base, file)
            name = os.path.relpath(path, folder)
            with open(path, encoding="utf-8") as f:
                text = f.read()
            yield name, text, False
            if file.endswith((".json", ".jsonl")):
                rows = [json.loads(line) for line in text.splitlines()] if file.endswith("l") else json.loads(text)
                for s in strings_of(rows):
                    if s and not any(0xD800 <= ord(c) <= 0xDFFF for c in s):
                        yield name, s, True


def random_scalar(rng, low=0, high=0x10FFFF):
    while True:
        c = rng.randint(low, high)
        if not 0xD800 <= c <= 0xDFFF:
            return chr(c)


def random_piece(rng):
    """A few characters of one kind."""
    kind = rng.randrange(14)
    n = rng.randint(1, 6)
    if kind == 0:
        return "".join(random_scalar(rng) for _ in range(n))
    if kind == 1:
        return "".join(random_scalar(rng, 0, 0xFFFF) for _ in range(n))
    if kind == 2:
        return "".join(random_scalar(rng, 0x10000, 0x1FFFF) for _ in range(n))
    if kind == 3:
        return rng.choice("aeioucnAEO가한ก") + "".join(chr(rng.randint(0x300, 0x36F)) for _ in range(n))
    if kind == 4:
        return "".join(rng.choice(EMOJI) for _ in range(n))
    if kind == 5:
        return "".join(rng.choice(SPACES) for _ in range(n))
    if kind == 6:
        return rng.choice([" ", "  ", "\n", "\n\n", "\t\t", " \n ", "\r\n", "   \n\n  ", "\r\r", " \t"]) * rng.randint(1, 4)
    if kind == 7:
        return rng.choice(["I", "don", "we", "ſ", "7", " ", "\n"]) + rng.choice(CONTRACTIONS)
    if kind == 8:
        return "".join(rng.choice(NUMBERS) for _ in range(n))
    if kind == 9:
        return "".join(rng.choice(PUNCTUATION) for _ in range(n))
    if kind == 10:
        start = rng.choice([0x41, 0xC0, 0x370, 0x400, 0x5D0, 0x620, 0x904, 0xE01, 0x1100, 0x3041, 0x4E00, 0xAC00, 0x1F00,
                            0x10400, 0x20000, 0x30000, 0x40000, 0x1E900])
        return "".join(chr(start + rng.randrange(60)) for _ in range(n))
    if kind == 11:
        return unicodedata.normalize(rng.choice(["NFD", "NFKD"]), "".join(random_scalar(rng, 0xC0, 0x24FF) for _ in range(n)))
    if kind == 12:
        return rng.choice(SPECIAL)
    return rng.choice(["hello", " world", "foo_bar", "getElementById", "    return x", "{}();", "//", "中文", "日本語", "Привет"])


def random_text(rng):
    return "".join(random_piece(rng) for _ in range(rng.choice([1, 2, 4, 8, 16, 64])))


def every_character():
    """Every scalar value between letters and in a row; this finds wrong character classes.

    Of the planes that hold nothing but unassigned and private characters only every 16th block is taken."""
    for block in range(0, 0x110000, 256):
        if block >= 0x40000 and block >> 16 != 14 and block % 4096:
            continue
        chars = [chr(c) for c in range(block, block + 256) if not 0xD800 <= c <= 0xDFFF]
        if chars:
            yield "".join("a" + c + "b " + c for c in chars)
            yield "".join(" " + c for c in chars) + "".join(chars)


def random_invalid(rng):
    """Valid text with bytes broken, or bytes drawn without order."""
    data = bytearray(random_text(rng).encode())
    for _ in range(rng.randint(1, 8)):
        kind = rng.randrange(4)
        at = rng.randrange(len(data) + 1)
        if kind == 0:
            data[at:at] = bytes([rng.randrange(128, 256)])
        elif kind == 1:
            del data[at:at + 1]
        elif kind == 2:
            data[at:at] = rng.choice([b"\xed\xa0\x80", b"\xc0\x80", b"\xf4\x90\x80\x80", b"\xf0\x9f\x98", b"\xe2\x82",
                                      b"\xff\xfe", b"\xf5\x80\x80\x80", b"\xe0\x80\x80", b"\xf0\x80\x80\x80", b"\x80"])
        else:
            data[at:at] = rng.randbytes(rng.randint(1, 12))
    return bytes(data)


class Corpus:
    """The open output files."""

    def __init__(self, folder):
        self.text = open(os.path.join(folder, "corpus.jsonl"), "w", encoding="utf-8", newline="\n")
        self.sources = open(os.path.join(folder, "sources.txt"), "w", encoding="utf-8")
        self.invalid = open(os.path.join(folder, "invalid.jsonl"), "w", encoding="utf-8")
        self.lines = self.bytes = self.invalid_lines = 0

    def add(self, source, text):
        self.lines += 1
        self.bytes += len(text.encode())
        self.text.write(json.dumps({"text": text}, ensure_ascii=self.lines % 7 == 0) + "\n")
        self.sources.write(source + "\n")

    def add_invalid(self, source, data):
        self.invalid_lines += 1
        self.invalid.write(json.dumps({"source": source, "base64": base64.b64encode(data).decode()}) + "\n")

    def close(self):
        self.text.close()
        self.sources.close()
        self.invalid.close()


def add_packages(corpus, out_dir, rng):
    debs = download(PACKAGES, os.path.join(out_dir, "debs"))
    sizes = chunk_sizes(rng)
    broken = 0
    for package, limit in PACKAGES.items():
        folder = os.path.join(out_dir, "files", package)
        unpack(debs[package], folder)
        before = corpus.bytes
        for source, data in package_files(package, folder, limit * MB, rng):
            try:
                text = data.decode("utf-8")
            except UnicodeDecodeError as e:
                if e.start < len(data) - 4 and broken < 150:
                    broken += 1
                    corpus.add_invalid(source, data[max(0, e.start - 2000):e.start + 4000])
                text = data.decode("utf-8", "replace") if e.start >= len(data) - 4 else ""
            for piece in cut(text, sizes):
                corpus.add(source, piece)
        print(f"{package:26s} {(corpus.bytes - before) / MB:6.2f} MB")


def add_dialogues(corpus, folder, rng):
    sizes = chunk_sizes(rng)
    before = corpus.bytes
    for source, text, whole in dialogue_files(folder):
        for piece in [text] if whole and len(text) < 60000 else cut(text, sizes):
            corpus.add(source, piece)
    print(f"{'dialogues':26s} {(corpus.bytes - before) / MB:6.2f} MB")


def add_random(corpus, rng):
    before = corpus.bytes
    for text in every_character():
        corpus.add("every character", text)
    for i in range(RANDOM_TEXTS):
        corpus.add(f"random {i}", random_text(rng))
    for i in range(40):
        corpus.add(f"long run {i}", rng.choice([" ", "\n", "a", "-", "é", "0", "字", "\t", "ab", "=*", " \n"])
                   * rng.randint(1000, 12000))
    for i in range(RANDOM_INVALID):
        corpus.add_invalid(f"random {i}", random_invalid(rng))
    print(f"{'random':26s} {(corpus.bytes - before) / MB:6.2f} MB")


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("out_dir")
    parser.add_argument("--dialogues", metavar="DIR")
    parser.add_argument("--seed", type=int, default=1)
    args = parser.parse_args()
    os.makedirs(args.out_dir, exist_ok=True)
    rng = random.Random(args.seed)
    corpus = Corpus(args.out_dir)
    add_packages(corpus, args.out_dir, rng)
    if args.dialogues:
        add_dialogues(corpus, args.dialogues, rng)
    add_random(corpus, rng)
    corpus.close()
    print(f"{corpus.lines} texts, {corpus.bytes} bytes; {corpus.invalid_lines} byte strings that are not UTF-8")


if __name__ == "__main__":
    main()
