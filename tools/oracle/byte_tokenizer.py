"""Writes tests/golden/tokenizers/bytes: a byte-level BPE vocabulary small enough to check by eye. Id = byte value for the
first 256 ids, then five merges, then special tokens. Needs nothing but Python; no randomness."""
import json
import pathlib

visible = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
hidden = [b for b in range(256) if b not in visible]
symbol = {b: chr(b) for b in visible} | {b: chr(256 + i) for i, b in enumerate(hidden)}
merges = [["h", "e"], ["l", "l"], ["he", "ll"], ["hell", "o"], [symbol[32], symbol[32]]]
vocab = {symbol[b]: b for b in range(256)}
for a, b in merges:
    vocab[a + b] = len(vocab)
special = ["<|endoftext|>", "<fim_prefix>", "<fim_middle>", "<fim_suffix>", "<|im_start|>", "<|im_end|>"]
added = [dict(id=len(vocab) + i, content=t, single_word=False, lstrip=False, rstrip=False, normalized=False, special=True)
         for i, t in enumerate(special)]
tokenizer = dict(
    version="1.0", truncation=None, padding=None, added_tokens=added, normalizer=None,
    pre_tokenizer=dict(type="ByteLevel", add_prefix_space=False, trim_offsets=True, use_regex=True),
    post_processor=None, decoder=dict(type="ByteLevel", add_prefix_space=True, trim_offsets=True, use_regex=True),
    model=dict(type="BPE", dropout=None, unk_token=None, continuing_subword_prefix=None, end_of_word_suffix=None,
               fuse_unk=False, byte_fallback=False, vocab=vocab, merges=[" ".join(m) for m in merges]))
config = dict(architectures=["LlamaForCausalLM"], model_type="llama", vocab_size=272, hidden_size=32, intermediate_size=64,
              num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2, max_position_embeddings=256,
              rms_norm_eps=1e-5, rope_theta=10000.0, hidden_act="silu", tie_word_embeddings=False,
              initializer_range=0.5, bos_token_id=added[0]["id"], eos_token_id=added[0]["id"], torch_dtype="float32")
out = pathlib.Path(__file__).resolve().parents[2] / "tests/golden/tokenizers/bytes"
out.mkdir(parents=True, exist_ok=True)
(out / "tokenizer.json").write_text(json.dumps(tokenizer, ensure_ascii=False, separators=(",", ":")) + "\n")
(out / "config.json").write_text(json.dumps(config, indent=1) + "\n")
