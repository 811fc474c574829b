/* wish.c - the fields of requests, one row for each, with the names that circulate and the bounds of OpenAI's specification where it has some. */
#include "serve/api.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

bool api_fail(struct api_error *e, int status, const char *type, const char *code, const char *param, const char *format, ...)
{
    va_list ap;
    *e = (struct api_error){ .status = status, .type = type, .code = code };
    if (param) snprintf(e->param, sizeof e->param, "%s", param);
    va_start(ap, format);
    vsnprintf(e->message, sizeof e->message, format, ap);
    va_end(ap);
    return false;
}

bool api_bad(struct api_error *e, const char *param, const char *format, ...)
{
    char message[sizeof e->message];
    va_list ap;
    va_start(ap, format);
    vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    return api_fail(e, 400, "invalid_request_error", NULL, param, "%s", message);
}

bool api_failed(struct api_error *e, const sc_error *err)
{
    bool is_theirs = err->status == SC_E_ARGUMENT || err->status == SC_E_FORMAT || err->status == SC_E_UNSUPPORTED;
    return api_fail(e, is_theirs ? 400 : 500, is_theirs ? "invalid_request_error" : "server_error", NULL, NULL, "%s", err->message);
}

void api_put_text(struct buf *out, const char *text)
{
    struct buf whole;
    buf_init(&whole, 0);
    utf8_repair(&whole, text, strlen(text));
    buf_put_json_string(out, whole.data ? whole.data : "", whole.len);
    buf_release(&whole);
}

void api_error_json(struct buf *out, const struct api_error *e)
{
    buf_puts(out, "{\"error\":{\"message\":");
    api_put_text(out, e->message);
    buf_printf(out, ",\"type\":\"%s\",\"param\":", e->type);
    if (e->param[0]) api_put_text(out, e->param);
    else buf_puts(out, "null");
    if (e->code) buf_printf(out, ",\"code\":\"%s\"", e->code);
    else buf_puts(out, ",\"code\":null");
    if (e->n_context) buf_printf(out, ",\"n_prompt_tokens\":%zu,\"n_ctx\":%zu", e->n_prompt, e->n_context);
    buf_puts(out, "}}");
}

/* ---- the table -------------------------------------------------------------------------------------------------------------------- */

/* KIND_OFF: of a sampler that is not here, refused when it would do something (another value than `low`). KIND_ANY: kept for who needs it. */
enum kind { KIND_INT, KIND_REAL, KIND_BOOL, KIND_ANY, KIND_OFF, KIND_NONE };
struct field { const char *names; enum kind kind; size_t offset; double low, high; };
#define W(member) offsetof(struct wish, member)
#define S(member) (offsetof(struct wish, sample) + offsetof(sc_sample_config, member))
static const struct field fields[] = {
    { "max_tokens|max_completion_tokens|n_predict|num_predict|max_new_tokens", KIND_INT, W(max_tokens), -2, 1 << 27 },
    { "temperature", KIND_REAL, S(temperature), 0, 2 },
    { "top_p", KIND_REAL, S(top_p), 0, 1 },
    { "top_k", KIND_INT, S(top_k), -1, 1 << 30 },
    { "min_p", KIND_REAL, S(min_p), 0, 1 },
    { "typical_p|typ_p", KIND_REAL, S(typical_p), 0, 1 },
    { "repeat_penalty|repetition_penalty", KIND_REAL, S(repeat_penalty), 0.01, 100 },
    { "frequency_penalty", KIND_REAL, S(frequency_penalty), -2, 2 },
    { "presence_penalty", KIND_REAL, S(presence_penalty), -2, 2 },
    { "repeat_last_n|repetition_context_size|penalty_last_n", KIND_INT, S(repeat_last_n), -1, 1 << 27 },
    { "ignore_eos", KIND_BOOL, S(ignore_eos), 0, 0 },
    { "speculate", KIND_INT, S(speculate), 0, LOOKUP_MAX },
    { "seed|random_seed", KIND_INT, W(seed), -9.3e18, 9.3e18 },
    { "n|n_cmpl", KIND_INT, W(n), 1, 128 },
    { "best_of", KIND_INT, W(best_of), 0, 20 },
    { "top_logprobs", KIND_INT, W(top_logprobs), 0, 20 },
    { "n_probs|top_n_tokens", KIND_INT, W(n_probs), 0, 20 },
    { "min_tokens", KIND_INT, W(min_tokens), 0, 1 << 27 },
    { "t_max_predict_ms", KIND_REAL, W(milliseconds_max), 0, 1e12 },
    { "stream", KIND_BOOL, W(stream), 0, 0 },
    { "echo", KIND_BOOL, W(echo), 0, 0 },
    { "include_stop_str_in_output", KIND_BOOL, W(keeps_stop), 0, 0 },
    { "cache_prompt|use_cache", KIND_BOOL, W(caches), 0, 0 },
    { "timings_per_token", KIND_BOOL, W(timings), 0, 0 },
    { "return_progress", KIND_BOOL, W(progress), 0, 0 },
    { "raw", KIND_BOOL, W(raw), 0, 0 },
    { "do_sample", KIND_BOOL, W(does_sample), 0, 0 },
    { "return_full_text", KIND_BOOL, W(return_full_text), 0, 0 },
    { "parse_special", KIND_BOOL, W(parses_special), 0, 0 },
    { "details", KIND_BOOL, W(details), 0, 0 },
    { "decoder_input_details", KIND_BOOL, W(decoder_details), 0, 0 },
    { "stop|stop_sequences", KIND_ANY, W(stop), 0, 0 },
    { "stop_token_ids", KIND_ANY, W(stop_ids), 0, 0 },
    { "logit_bias", KIND_ANY, W(bias), 0, 0 },
    { "allowed_token_ids", KIND_ANY, W(allowed), 0, 0 },
    { "bad_words", KIND_ANY, W(bad_words), 0, 0 },
    { "response_format", KIND_ANY, W(response_format), 0, 0 },
    { "grammar", KIND_ANY, W(grammar), 0, 0 },
    { "json_schema|guided_json", KIND_ANY, W(json_schema), 0, 0 },
    { "prediction", KIND_ANY, W(prediction), 0, 0 },
    { "tools", KIND_ANY, W(tools), 0, 0 },
    { "tool_choice", KIND_ANY, W(tool_choice), 0, 0 },
    { "format", KIND_ANY, W(format), 0, 0 },
    { "response_fields", KIND_ANY, W(response_fields), 0, 0 },
    { "mirostat|mirostat_mode", KIND_OFF, 0, 0, 0 }, { "dry_multiplier", KIND_OFF, 0, 0, 0 }, { "xtc_probability", KIND_OFF, 0, 0, 0 }, { "dynatemp_range", KIND_OFF, 0, 0, 0 },
    { "tfs_z", KIND_OFF, 0, 1, 0 }, { "length_penalty", KIND_OFF, 0, 1, 0 }, { "use_beam_search", KIND_OFF, 0, 0, 0 }, { "watermark", KIND_OFF, 0, 0, 0 },
    /* Known and without a meaning here, or read elsewhere. */
    { "model|messages|prompt|suffix|logprobs|stream_options|user|store|metadata|service_tier|parallel_tool_calls|skip_special_tokens|spaces_between_special_tokens|cache_salt|priority|samplers|"
      "id_slot|n_indent|n_keep|dry_base|dry_allowed_length|dry_penalty_last_n|dry_sequence_breakers|xtc_threshold|mirostat_tau|mirostat_eta|dynatemp_exponent|safety_identifier|prompt_cache_key|"
      "truncate|inputs|parameters|options|keep_alive|system|template|context|think|images|input|encoding_format|dimensions|input_prefix|input_suffix|input_extra|add_generation_prompt|"
      "continue_final_message|reasoning_effort|verbosity|modalities|num_ctx|num_keep|penalize_newline|add_special_tokens|return_tokens|post_sampling_probs|adapter_id|lora|n_discard|min_keep|truncated|return_tokens_as_token_ids|"
      "content|tokens|with_pieces|add_special|name|verbose|chat_template_kwargs|num_thread|num_batch|num_gpu|main_gpu|use_mmap|numa|low_vram|f16_kv|vocab_only|use_mlock", KIND_NONE, 0, 0, 0 },
};

static bool names_have(const char *names, const char *key)
{
    size_t n = strlen(key);
    for (const char *at = names; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strncmp(at, key, n) == 0 && (at[n] == '|' || at[n] == 0)) return n > 0;
    }
    return false;
}

static const struct field *find_field(const char *key)
{
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++)
        if (names_have(fields[i].names, key)) return &fields[i];
    return NULL;
}

bool wish_knows(const char *key) { return find_field(key) != NULL; }

static bool read_number(struct wish *w, const struct field *f, const char *key, const json_t *v, struct api_error *e)
{
    double x = json_number_value(v);
    char given[64];
    bool is_whole = json_is_integer(v) || (json_is_real(v) && x == floor(x) && fabs(x) < 9e15);
    if (!json_is_number(v) || (f->kind == KIND_INT && !is_whole)) {
        char *text = json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT);
        snprintf(given, sizeof given, "%s", text ? text : "?");
        free(text);
        return api_bad(e, key, "%s is %s, expected %s", key, given, f->kind == KIND_INT ? "a whole number" : "a number");
    }
    if (x < f->low || x > f->high) return api_bad(e, key, "%s is %.12g, expected %.12g to %.12g", key, x, f->low, f->high);
    if (f->kind == KIND_INT) *(int64_t *)((char *)w + f->offset) = json_is_integer(v) ? json_integer_value(v) : (int64_t)x;
    else *(double *)((char *)w + f->offset) = x;
    return true;
}

static bool is_off(const struct field *f, const json_t *v)
{
    return json_is_false(v) || (json_is_number(v) && json_number_value(v) == f->low) || (json_is_boolean(v) && f->low == 1);
}

static bool read_field(struct wish *w, const struct field *f, const char *key, const json_t *v, struct api_error *e)
{
    switch (f->kind) {
    case KIND_INT: case KIND_REAL: return read_number(w, f, key, v, e);
    case KIND_BOOL:
        if (!json_is_boolean(v)) return api_bad(e, key, "%s is no true or false", key);
        *(bool *)((char *)w + f->offset) = json_is_true(v);
        return true;
    case KIND_ANY: *(const json_t **)(void *)((char *)w + f->offset) = v; return true;
    case KIND_OFF: return is_off(f, v) || api_bad(e, key, "%s is not supported by this server; leave it out", key);
    default: return true;
    }
}

/* Values that mean "off" in one dialect or another. */
static void settle_values(struct wish *w)
{
    sc_sample_config *s = &w->sample;
    if (s->top_k < 0) s->top_k = 0;
    if (s->top_p == 0) s->top_p = 1e-9;                 /* only the likeliest */
    if (s->typical_p == 0) s->typical_p = 1;
    if (w->max_tokens < 0) w->max_tokens = -1;
}

bool wish_read(struct wish *w, const json_t *object, struct api_error *e)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)object, key, v) {
        const struct field *f = find_field(key);
        if (!f || json_is_null(v)) continue;
        if (!read_field(w, f, key, v, e)) return false;
        if (f->offset == S(temperature)) w->has_temperature = true;
        if (f->offset == W(does_sample)) w->has_does_sample = true;
    }
    settle_values(w);
    const json_t *options = json_object_get(object, "stream_options"), *usage = json_object_get(options, "include_usage");
    if (usage) w->include_usage = json_is_true(usage);
    return true;
}
