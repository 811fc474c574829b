/* infer_options.c - option tables of runtime, model, session and sampling: names, types, ranges, defaults, help. */
#include "infer/infer.h"

#define ROW(config, field, kind, low, high, fallback_, choices_, help_) \
    { #field, kind, offsetof(config, field), low, high, fallback_, choices_, help_ }

static const struct option runtime_rows[] = {
    ROW(sc_runtime_config, threads, OPT_INT, 0, 1024, "0", NULL, "threads; 0: one per core"),
    ROW(sc_runtime_config, kernels, OPT_CHOICE, 0, 0, "auto", "auto|scalar|avx2|avx512", "instruction set of the kernels"),
    ROW(sc_runtime_config, activations, OPT_CHOICE, 0, 0, "auto", "auto|f32|int8", "what block-quantised weights are multiplied with"),
    ROW(sc_runtime_config, memory_limit, OPT_UINT, 0, 0, "0", NULL, "most bytes for caches; 0: what the machine has"),
};
const struct sc_options runtime_options = { "runtime", sizeof(sc_runtime_config), runtime_rows, sizeof runtime_rows / sizeof *runtime_rows };

static const struct option model_rows[] = {
    { "template", OPT_STRING, offsetof(sc_model_config, chat_template), 0, 0, "", NULL, "chat template: no_system, starchat-blog, default, alpaca, chatml or a Jinja file; empty: the model's own" },
    { "adapter", OPT_STRING, offsetof(sc_model_config, adapter), 0, 0, "", NULL, "PEFT adapter directory on top of the model" },
};
const struct sc_options model_options = { "model", sizeof(sc_model_config), model_rows, sizeof model_rows / sizeof *model_rows };

static const struct option session_rows[] = {
    ROW(sc_session_config, context, OPT_INT, 0, 1 << 27, "0", NULL, "most tokens of prompt and answer; 0: the model's, at most 8192"),
    ROW(sc_session_config, cache_type, OPT_CHOICE, 0, 0, "f16", "f16|f32|q8_0", "precision of the key/value cache"),
    ROW(sc_session_config, chunk, OPT_INT, 1, 8192, "256", NULL, "most tokens in one forward pass"),
};
const struct sc_options session_options = { "session", sizeof(sc_session_config), session_rows, sizeof session_rows / sizeof *session_rows };

static const struct option prompt_cache_rows[] = {
    ROW(sc_prompt_cache_config, prompt_cache, OPT_BOOL, 0, 0, "true", NULL, "keep what long prompts leave behind on disk, and read the same beginning only once"),
    ROW(sc_prompt_cache_config, prompt_cache_mib, OPT_INT, 0, 1 << 30, "1024", NULL, "most MiB of it; what was used longest ago goes first"),
    ROW(sc_prompt_cache_config, prompt_cache_seconds, OPT_REAL, 0, 1e9, "1", NULL, "keep only what took this many seconds to read"),
};
const struct sc_options prompt_cache_options = { "prompt_cache", sizeof(sc_prompt_cache_config), prompt_cache_rows, sizeof prompt_cache_rows / sizeof *prompt_cache_rows };

static const struct option sample_rows[] = {
    ROW(sc_sample_config, max_tokens, OPT_INT, -1, 1 << 27, "256", NULL, "most tokens to generate; -1: until the context is full"),
    ROW(sc_sample_config, temperature, OPT_REAL, 0, 100, "0", NULL, "0: always the likeliest token"),
    ROW(sc_sample_config, top_k, OPT_INT, 0, 1 << 30, "0", NULL, "only the k likeliest tokens; 0: all"),
    ROW(sc_sample_config, top_p, OPT_REAL, 1e-9, 1, "1", NULL, "only the likeliest tokens of this total probability"),
    ROW(sc_sample_config, min_p, OPT_REAL, 0, 1, "0", NULL, "only tokens at least this likely relative to the likeliest"),
    ROW(sc_sample_config, typical_p, OPT_REAL, 1e-9, 1, "1", NULL, "only tokens of typical surprise, of this total probability"),
    ROW(sc_sample_config, repeat_penalty, OPT_REAL, 0.01, 100, "1", NULL, "weakens tokens that were seen; 1: off"),
    ROW(sc_sample_config, frequency_penalty, OPT_REAL, -100, 100, "0", NULL, "subtracted for each time a token was seen"),
    ROW(sc_sample_config, presence_penalty, OPT_REAL, -100, 100, "0", NULL, "subtracted once from a token that was seen"),
    ROW(sc_sample_config, repeat_last_n, OPT_INT, -1, 1 << 27, "-1", NULL, "how many tokens the penalties look back; -1: all"),
    ROW(sc_sample_config, seed, OPT_UINT, 0, 0, "0", NULL, "the same seed and prompt give the same answer"),
    ROW(sc_sample_config, logprobs, OPT_INT, 0, 100, "0", NULL, "alternatives reported for each token"),
    ROW(sc_sample_config, speculate, OPT_INT, 0, 15, "15", NULL, "most tokens guessed ahead where the text repeats itself; the answer stays the same; 0: none"),
    ROW(sc_sample_config, ignore_eos, OPT_BOOL, 0, 0, "false", NULL, "generate on behind the end token"),
};
const struct sc_options sample_options = { "sample", sizeof(sc_sample_config), sample_rows, sizeof sample_rows / sizeof *sample_rows };
