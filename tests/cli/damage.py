"""Model files with one thing wrong, for test_damage.py: GGUF and safetensors taken apart and put together again.

DAMAGES lists (name, file or directory the program is given, part of the message expected, function that makes it).
"""
import json
import math
import shutil
import struct

# ---- GGUF ----------------------------------------------------------------------------------------------------------------

U32, I32, F32, BOOL, STRING, ARRAY, U64 = 4, 5, 6, 7, 8, 9, 10
SIZES = {0: "B", 1: "b", 2: "H", 3: "h", 4: "I", 5: "i", 6: "f", 7: "?", 10: "Q", 11: "q", 12: "d"}
F32_TENSOR, Q4_0_TENSOR, Q2_K_TENSOR, I32_TENSOR = 0, 2, 10, 26


def text(s):
    s = s if isinstance(s, bytes) else s.encode()
    return struct.pack("<Q", len(s)) + s


class Gguf:
    """values: {key: (type, raw bytes)}; tensors: [name, dims fastest first, type, offset, data]."""

    def __init__(self, path):
        self.raw, self.at, self.version = path.read_bytes(), 8, 3
        tensors, values = self.take("<QQ")
        self.values = {self.string().decode(): self.value() for _ in range(values)}
        infos = [self.info() for _ in range(tensors)]
        self.at += -self.at % 32
        ends = [i[3] for i in infos[1:]] + [len(self.raw) - self.at]
        self.tensors = [i + [self.raw[self.at + i[3]:self.at + end]] for i, end in zip(infos, ends)]
        self.head = None

    def take(self, form):
        out = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return out

    def string(self):
        n, = self.take("<Q")
        self.at += n
        return self.raw[self.at - n:self.at]

    def value(self):
        kind, = self.take("<I")
        begin = self.at
        self.skip(kind)
        return kind, self.raw[begin:self.at]

    def skip(self, kind):
        if kind == STRING:
            self.string()
        elif kind == ARRAY:
            element, n = self.take("<IQ")
            if element != STRING:
                self.at += struct.calcsize(SIZES[element]) * n
            for _ in range(n if element == STRING else 0):
                self.string()
        else:
            self.take("<" + SIZES[kind])

    def info(self):
        name = self.string().decode()
        n, = self.take("<I")
        dims = list(self.take(f"<{n}Q"))
        kind, offset = self.take("<IQ")
        return [name, dims, kind, offset]

    def tensor(self, name):
        return next(t for t in self.tensors if t[0] == name)

    def key(self, name, kind, value):
        self.values[name] = kind, text(value) if kind == STRING else struct.pack("<" + SIZES[kind], value)

    def bytes(self):
        out = self.head or b"GGUF" + struct.pack("<IQQ", self.version, len(self.tensors), len(self.values))
        for key, (kind, raw) in self.values.items():
            out += text(key.split("\0")[0]) + struct.pack("<I", kind) + raw
        for name, dims, kind, offset, _ in self.tensors:
            out += text(name) + struct.pack(f"<I{len(dims)}QIQ", len(dims), *dims, kind, offset)
        out += bytes(-len(out) % 32)
        return out + b"".join(t[4] for t in self.tensors)


def place(g):
    """Offsets anew, after sizes were changed."""
    at = 0
    for t in g.tensors:
        t[3], t[4] = at, t[4] + bytes(-len(t[4]) % 32)
        at += len(t[4])


def gguf_key(name, kind, value):
    return lambda g: g.key(name, kind, value)


def gguf_drop(name):
    def change(g):
        g.tensors = [t for t in g.tensors if t[0] != name]
        place(g)
    return change


def gguf_tensor(name, index, value):
    """Changes one field of a tensor's entry; its bytes stay."""
    def change(g):
        t = g.tensor(name)
        t[index] = value(t[index]) if callable(value) else value
    return change


def gguf_shape(name, dims, size):
    def change(g):
        t = g.tensor(name)
        t[1], t[2], t[4] = dims, F32_TENSOR, bytes(size)
        place(g)
    return change


def gguf_arch(name, value):
    return lambda g: g.key("general.architecture", STRING, value) if name is None else g.values.pop(name)


def carried(value):
    return gguf_key("starchat.file.tokenizer_config.json", STRING, value)


def cut(share):
    return lambda raw: raw[:int(len(raw) * share)]


def rope(value):
    return lambda g: g.tensors.append(["rope_freqs.weight", [len(value) // 4], F32_TENSOR, sum(len(t[4]) for t in g.tensors), value])


GGUF_CHANGES = [  # name, part of the message, change of the parts
    ("version 1", "version 1", lambda g: setattr(g, "version", 1)),
    ("version 9", "version 9", lambda g: setattr(g, "version", 9)),
    ("big endian", "big-endian", lambda g: setattr(g, "version", 3 << 24)),
    ("2^63 tensors", "claims", lambda g: setattr(g, "head", b"GGUF" + struct.pack("<IQQ", 3, 1 << 63, 2))),
    ("2^40 keys", "claims", lambda g: setattr(g, "head", b"GGUF" + struct.pack("<IQQ", 3, 2, 1 << 40))),
    ("string beyond the end", "claims", lambda g: g.values.update({"general.name": (STRING, struct.pack("<Q", 1 << 50) + b"x")})),
    ("array beyond the end", "claims", lambda g: g.values.update({"k": (ARRAY, struct.pack("<IQ", U64, 1 << 60))})),
    ("array of arrays", "array of type 9", lambda g: g.values.update({"k": (ARRAY, struct.pack("<IQIQ", ARRAY, 1, U32, 0))})),
    ("value type 77", "value type 77", lambda g: g.values.update({"k": (77, b"")})),
    ("key twice", "occurs twice", lambda g: g.values.update({"general.architecture\0again": g.values["general.architecture"]})),
    ("key of broken letters", "UTF-8", lambda g: setattr(g, "head", b"GGUF" + struct.pack("<IQQ", 3, 0, 1) + text(b"\xff\xfe") + bytes(64))),
    ("tensor twice", "occurs twice", gguf_tensor("blk.0.attn_k.weight", 0, "blk.0.attn_q.weight")),
    ("misaligned offset", "offset", gguf_tensor("blk.0.attn_k.weight", 3, lambda o: o + 4)),
    ("overlapping tensors", "offset", gguf_tensor("blk.0.attn_k.weight", 3, 0)),
    ("offset of 2^63", "offset", gguf_tensor("blk.0.attn_k.weight", 3, 1 << 63)),
    ("five dimensions", "5 dimensions", gguf_tensor("blk.0.attn_k.weight", 1, [1] * 5)),
    ("dimensions that overflow", "impossible dimensions", gguf_tensor("blk.0.attn_k.weight", 1, [1 << 40, 1 << 40])),
    ("unknown storage type", "storage type 4000", gguf_tensor("blk.0.attn_k.weight", 2, 4000)),
    ("Q2_K", "Q2_K", gguf_tensor("blk.0.attn_k.weight", 2, Q2_K_TENSOR)),
    ("half a block", "blocks of 32", gguf_tensor("blk.0.attn_norm.weight", slice(1, 3), [[48], Q4_0_TENSOR])),
    ("integers for a weight", "no kernel", gguf_tensor("blk.0.attn_norm.weight", 2, I32_TENSOR)),
    ("shape unlike the config", "the config says", gguf_shape("blk.0.attn_k.weight", [32, 8], 1024)),
    ("matrix lying on its side", "the config says", gguf_shape("blk.0.ffn_up.weight", [64, 32], 8192)),
    ("vector for a matrix", "the config says", gguf_shape("blk.0.ffn_up.weight", [2048], 8192)),
    ("empty embedding", "vocabulary of 0", gguf_shape("token_embd.weight", [32, 0], 0)),
    ("missing norm", "output_norm.weight is missing", gguf_drop("output_norm.weight")),
    ("missing embedding", "token_embd.weight is missing", gguf_drop("token_embd.weight")),
    ("missing layer", "blk.1.ffn_down.weight is missing", gguf_drop("blk.1.ffn_down.weight")),
    ("unknown architecture", "\"mamba\" is not supported", gguf_arch(None, "mamba")),
    ("architecture missing", "general.architecture is missing", gguf_arch("general.architecture", None)),
    ("context missing", "no key \"llama.context_length\"", gguf_arch("llama.context_length", None)),
    ("context 0", "llama.context_length", gguf_key("llama.context_length", U32, 0)),
    ("width 0", "llama.embedding_length", gguf_key("llama.embedding_length", U32, 0)),
    ("width 2^40", "llama.embedding_length", gguf_key("llama.embedding_length", U64, 1 << 40)),
    ("negative width", "llama.embedding_length", gguf_key("llama.embedding_length", I32, -32)),
    ("width as text", "expected an integer", gguf_key("llama.embedding_length", STRING, "32")),
    ("heads that do not divide", "not a multiple", gguf_key("llama.attention.head_count", U32, 5)),
    ("no heads", "head_count", gguf_key("llama.attention.head_count", U32, 0)),
    ("groups that do not divide", "cannot share", gguf_key("llama.attention.head_count_kv", U32, 3)),
    ("no groups", "cannot share", gguf_key("llama.attention.head_count_kv", U32, 0)),
    ("head of 2^19", "head dimension", gguf_key("llama.attention.key_length", U32, 1 << 19)),
    ("four billion layers", "block_count", gguf_key("llama.block_count", U32, 0xffffffff)),
    ("more layers than tensors", "is missing", gguf_key("llama.block_count", U32, 4000)),
    ("epsilon not a number", "finite", gguf_key("llama.attention.layer_norm_rms_epsilon", F32, math.nan)),
    ("negative epsilon", "layer_norm_rms_epsilon", gguf_key("llama.attention.layer_norm_rms_epsilon", F32, -1)),
    ("rope base 0", "freq_base", gguf_key("llama.rope.freq_base", F32, 0)),
    ("endless rope base", "finite", gguf_key("llama.rope.freq_base", F32, math.inf)),
    ("rope of odd size", "even number", gguf_key("llama.rope.dimension_count", U32, 7)),
    ("rope wider than a head", "rotary dimensions", gguf_key("llama.rope.dimension_count", U32, 64)),
    ("unknown rope scaling", "\"warp\" is not supported", gguf_key("llama.rope.scaling.type", STRING, "warp")),
    ("rope divisors of wrong size", "rope_freqs.weight", rope(bytes(32))),
    ("rope divisors of 0", "rotary frequency", rope(bytes(16) + bytes(16)[:0])),
    ("alignment 12", "alignment is 12", gguf_key("general.alignment", U32, 12)),
    ("one part of two", "parts", gguf_key("split.count", U32, 2)),
    ("template is a number", "chat_template", gguf_key("tokenizer.chat_template", U32, 3)),
    ("carried file is no JSON", "not valid JSON", carried("{\"a\":")),
    ("carried file is a list", "no JSON object", carried("[1]")),
    ("carried file nested deep", "nested deeper", carried("{\"a\":" + "[" * 100000)),
]
GGUF_BYTES = [  # change of the bytes
    ("empty file", "", lambda raw: b""),
    ("three bytes", "", lambda raw: raw[:3]),
    ("magic alone", "cut off", lambda raw: raw[:4]),
    ("cut in the header", "", cut(0.1)),
    ("cut in the weights", "cut off", cut(0.9)),
    ("last bytes missing", "cut off", lambda raw: raw[:-32]),
    ("bytes behind the end", "belong to nothing", lambda raw: raw + bytes(64)),
    ("another magic", "", lambda raw: b"GGML" + raw[4:]),
    ("zeros", "", lambda raw: bytes(len(raw))),
]

# ---- directories -----------------------------------------------------------------------------------------------------------


class Safetensors:
    """header: {name: {dtype, shape, data_offsets}}."""

    def __init__(self, path):
        raw = path.read_bytes()
        n, = struct.unpack_from("<Q", raw)
        self.header, self.data, self.length, self.text = json.loads(raw[8:8 + n]), raw[8 + n:], None, None

    def bytes(self):
        head = self.text if self.text is not None else json.dumps(self.header).encode()
        return struct.pack("<Q", len(head) if self.length is None else self.length) + head + self.data


UP, K = "model.layers.0.mlp.up_proj.weight", "model.layers.0.self_attn.k_proj.weight"


def entry(name, **fields):
    return lambda s: s.header[name].update(fields)


def raw_header(change):
    return lambda s: setattr(s, "text", change(json.dumps(s.header)).encode())


def shift(name, by):
    def change(s):
        s.header[name]["data_offsets"] = [o + by for o in s.header[name]["data_offsets"]]
    return change


def rename(old, new):
    return lambda s: s.header.update({new: s.header.pop(old)})


def unlike(s):
    rows, cols = s.header[UP]["shape"]
    s.header[UP]["shape"] = [rows // 2, cols * 2]


SAFETENSORS_CHANGES = [
    ("header beyond the end", "header", lambda s: setattr(s, "length", 1 << 20)),
    ("header of 2^63 bytes", "header", lambda s: setattr(s, "length", 1 << 63)),
    ("header of 0 bytes", "header", lambda s: setattr(s, "length", 0)),
    ("header is no JSON", "", raw_header(lambda t: "weights")),
    ("header cut", "", raw_header(lambda t: t[:-20])),
    ("header nested deep", "", raw_header(lambda t: "{\"a\":" + "[" * 50000)),
    ("overlapping tensors", "begins at", shift(UP, -64)),
    ("hole between tensors", "begins at", shift(UP, 64)),
    ("offsets beyond the end", "", shift(UP, 1 << 40)),
    ("offsets backwards", "data_offsets", entry(UP, data_offsets=[64, 0])),
    ("negative offsets", "", entry(UP, data_offsets=[-8, 8184])),
    ("offset is a fraction", "", entry(UP, data_offsets=[0.5, 8192.5])),
    ("tensor twice", "begins at", raw_header(lambda t: t[:-1] + ", " + json.dumps(K) + ": " + json.dumps(json.loads(t)[K]) + "}")),
    ("unknown dtype", "does not know", entry(UP, dtype="X7")),
    ("eight-bit floats", "F8_E4M3", entry(UP, dtype="F8_E4M3")),
    ("shape without dtype", "has no \"dtype\"", lambda s: s.header[UP].pop("dtype")),
    ("wider dtype than its bytes", "data_offsets", entry(UP, dtype="F64")),
    ("integers for a weight", "no kernel", entry(UP, dtype="I32")),
    ("shape that overflows", "overflows", entry(UP, shape=[1 << 40, 1 << 40])),
    ("nine dimensions", "dimensions", entry(UP, shape=[1] * 9)),
    ("shape unlike the config", "the config says", unlike),
    ("missing tensor", "is missing", rename(UP, "model.layers.0.mlp.other.weight")),
    ("empty name", "empty", rename(UP, "")),
]

CONFIG_TEXTS = [
    ("empty config", "not valid JSON", lambda c: ""),
    ("config cut", "not valid JSON", lambda c: json.dumps(c)[:-9]),
    ("config is a list", "no JSON object", lambda c: "[]"),
    ("NaN in config", "not valid JSON", lambda c: json.dumps(dict(c, rms_norm_eps=math.nan))),
    ("number without end in config", "not valid JSON", lambda c: json.dumps(c)[:-1] + ",\"x\":1" + "0" * 400 + "}"),
    ("key twice in config", "duplicate", lambda c: json.dumps(c)[:-1] + ",\"vocab_size\":272}"),
    ("config nested deep", "nested deeper", lambda c: "{\"a\":" + "[" * 100000),
    ("config of zeros", "not valid JSON", lambda c: "\0" * 100),
]
CONFIG_VALUES = [  # name, part, key, value; None: the key is taken away
    ("unknown architecture", "\"bert\" is not supported", "model_type", "bert"), ("no architecture", "not supported", "model_type", None),
    ("architecture is a number", "model_type", "model_type", 7), ("vocabulary 0", "vocab_size", "vocab_size", 0),
    ("vocabulary missing", "vocab_size", "vocab_size", None), ("vocabulary unlike the weights", "the config says", "vocab_size", 271),
    ("negative width", "hidden_size", "hidden_size", -32), ("width 0", "hidden_size", "hidden_size", 0), ("huge width", "hidden_size", "hidden_size", 1 << 40),
    ("width as text", "hidden_size", "hidden_size", "32"), ("width with a fraction", "hidden_size", "hidden_size", 32.5),
    ("width is a list", "hidden_size", "hidden_size", [32]), ("no layers", "num_hidden_layers", "num_hidden_layers", 0),
    ("2^31 layers", "num_hidden_layers", "num_hidden_layers", 1 << 31), ("more layers than weights", "is missing", "num_hidden_layers", 9),
    ("heads that do not divide", "not a multiple", "num_attention_heads", 5), ("no heads", "num_attention_heads", "num_attention_heads", 0),
    ("groups that do not divide", "cannot share", "num_key_value_heads", 3), ("no groups", "cannot share", "num_key_value_heads", 0),
    ("head of 0", "head dimension", "head_dim", 0), ("head of odd size", "even number", "head_dim", 7), ("no context", "context of 0", "max_position_embeddings", 0),
    ("huge context", "max_position_embeddings", "max_position_embeddings", 1 << 60), ("negative epsilon", "rms_norm_eps", "rms_norm_eps", -1),
    ("epsilon as text", "rms_norm_eps", "rms_norm_eps", "small"), ("rope base 0", "rope_theta", "rope_theta", 0),
    ("rope scaling is a number", "rope_scaling", "rope_scaling", 2), ("unknown rope scaling", "not supported", "rope_scaling", {"type": "warp", "factor": 2}),
    ("rope scaling by 0", "factor", "rope_scaling", {"type": "linear", "factor": 0}),
    ("rope scaling upside down", "high_freq_factor", "rope_scaling", {"rope_type": "llama3", "factor": 8, "low_freq_factor": 4, "high_freq_factor": 1}),
    ("unknown activation", "hidden_act", "hidden_act", "relu"), ("tied as text", "tie_word_embeddings", "tie_word_embeddings", "no"),
    ("no feed-forward", "intermediate_size", "intermediate_size", 0),
]
FILES = [  # other files of the directory: name, part, file, text
    ("generation config cut", "generation_config.json", "generation_config.json", "{"),
    ("template is a number", "chat_template", "tokenizer_config.json", "{\"chat_template\": 3}"),
    ("template is not UTF-8", "not UTF-8", "chat_template.jinja", b"{{ '\xff' }}"),
    ("special tokens are a number", "special_tokens_map.json", "special_tokens_map.json", "3"),
]
SHARD = "model-00002-of-00002.safetensors"


def shard_missing(d, index):
    (d / SHARD).unlink()


def shard_cut(d, index):
    (d / SHARD).write_bytes((d / SHARD).read_bytes()[:-8])


def shard_named(name):
    def change(d, index):
        first = next(iter(index["weight_map"]))
        index["weight_map"][first] = name
    return change


def shard_forgotten(d, index):
    index["weight_map"].pop(UP)


def shard_swapped(d, index):
    index["weight_map"][UP] = next(f for f in index["weight_map"].values() if f != index["weight_map"][UP])


def shard_twice(d, index):
    shutil.copy(d / SHARD, d / "other.safetensors")
    index["weight_map"]["one more"] = "other.safetensors"


INDEX_CHANGES = [
    ("missing shard", SHARD, shard_missing), ("shard cut", SHARD, shard_cut), ("shard outside the directory", "plain file name", shard_named("../model.safetensors")),
    ("shard with a path", "plain file name", shard_named("/etc/passwd")), ("shard without a name", "plain file name", shard_named("")),
    ("tensor not listed", "does not list", shard_forgotten), ("tensor in another shard", "said to be in", shard_swapped),
    ("same shard twice", "", shard_twice), ("index without a map", "weight_map", lambda d, index: index.clear()),
    ("index of numbers", "expected a string", lambda d, index: index["weight_map"].update(x=3)),
]
