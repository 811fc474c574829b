/* tokenizer_json.c - reads a tokenizer.json of Hugging Face tokenizers (0.2x): byte-level BPE with its added tokens,
 * normaliser, pre-tokeniser and decoder. Other models are refused with a sentence. The members vocab and merges of the
 * model, up to a million strings, are read in place with the cursor of base (a tree of them takes jansson ten times as
 * long), the rest as a tree. */
#include "text_internal.h"

#include <string.h>

#define SUPPORTED "starchat reads byte-level BPE, as in GPT-2, StarCoder, Llama 3, Qwen and DeepSeek"

struct reader { struct tokenizer *t; const char *what; bool has_byte_level; struct buf scratch[2]; };

static const char *type_of(const json_t *object)
{
    const char *type = json_string_value(json_object_get(object, "type"));
    return type ? type : "(no type)";
}

static bool is_type(const json_t *object, const char *name) { return strcmp(type_of(object), name) == 0; }

static sc_status refuse_type(const struct reader *r, const char *member, const json_t *object, const char *supported, sc_error *err)
{
    char quote[80];
    const char *type = type_of(object);
    return FAIL(err, SC_E_UNSUPPORTED, "%s: the %s \"%s\" is not supported; expected %s", r->what, member,
                error_quote(quote, sizeof quote, type, strlen(type)), supported);
}

/* A list that is there is an array. */
static sc_status list_check(const struct reader *r, const json_t *object, const char *key, bool is_needed, sc_error *err)
{
    const json_t *list = json_object_get(object, key);
    if (json_is_array(list) || (!is_needed && (!list || json_is_null(list)))) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is %s; expected an array", r->what, key, list ? "something else" : "missing");
}

/* ---- normalisers ---- */

/* The pattern of a Split or Replace: {"String": text} or {"Regex": text}. */
static sc_status pattern_read(const json_t *object, const char **text, size_t *len, bool *is_literal, const char *what, sc_error *err)
{
    const json_t *pattern = json_object_get(object, "pattern");
    const json_t *literal = json_object_get(pattern, "String"), *regex = json_object_get(pattern, "Regex");
    const json_t *s = literal ? literal : regex;
    if (!json_is_string(s)) return FAIL(err, SC_E_FORMAT, "%s: the pattern of a \"%s\" is missing; expected {\"Regex\": ...} or {\"String\": ...}", what, type_of(object));
    *text = json_string_value(s);
    *len = json_string_length(s);
    *is_literal = literal != NULL;
    return SC_OK;
}

static sc_status content_read(struct normalizer *step, const json_t *object, const char *key, const char *what, sc_error *err)
{
    const json_t *s = json_object_get(object, key);
    if (!json_is_string(s)) return FAIL(err, SC_E_FORMAT, "%s: the normalizer \"%s\" needs a string \"%s\"", what, type_of(object), key);
    step->content_len = json_string_length(s);
    step->content = mem_strndup(json_string_value(s), step->content_len);
    return SC_OK;
}

/* Borrows the pipeline's way of building a stage. */
static sc_status replace_read(struct normalizer *step, const json_t *object, const char *what, sc_error *err)
{
    const char *pattern;
    size_t len;
    bool is_literal;
    struct pipeline one = { 0 };
    TRY(pattern_read(object, &pattern, &len, &is_literal, what, err));
    TRY(pipeline_put_split(&one, pattern, len, is_literal, SPLIT_ISOLATED, false, what, err));
    step->find = one.stage[0];
    return content_read(step, object, "content", what, err);
}

static sc_status normalizer_read(struct reader *r, const json_t *object, sc_error *err)
{
    static const char *const names[] = {
        [NORMALIZE_NFC] = "NFC", [NORMALIZE_NFD] = "NFD", [NORMALIZE_NFKC] = "NFKC", [NORMALIZE_NFKD] = "NFKD",
        [NORMALIZE_LOWERCASE] = "Lowercase", [NORMALIZE_STRIP] = "Strip", [NORMALIZE_REPLACE] = "Replace", [NORMALIZE_PREPEND] = "Prepend",
    };
    struct normalizers *n = &r->t->normalizers;
    if (!object || json_is_null(object)) return SC_OK;
    if (is_type(object, "Sequence")) {
        size_t i;
        json_t *each;
        TRY(list_check(r, object, "normalizers", true, err));
        json_array_foreach(json_object_get(object, "normalizers"), i, each) TRY(normalizer_read(r, each, err));
        return SC_OK;
    }
    size_t kind = 0;
    while (kind < sizeof names / sizeof *names && !is_type(object, names[kind])) kind++;
    if (kind == sizeof names / sizeof *names)
        return refuse_type(r, "normalizer", object, "NFC, NFD, NFKC, NFKD, Lowercase, Strip, Replace, Prepend or Sequence", err);
    if (n->len == STAGES_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: more than %d normalizers", r->what, STAGES_MAX);
    struct normalizer *step = &n->step[n->len++];
    *step = (struct normalizer){ .kind = (enum normalizer_kind)kind };
    if (kind == NORMALIZE_STRIP) {
        TRY(json_opt_bool(&step->left, object, "strip_left", true, r->what, err));
        TRY(json_opt_bool(&step->right, object, "strip_right", true, r->what, err));
    }
    if (kind == NORMALIZE_REPLACE) TRY(replace_read(step, object, r->what, err));
    if (kind == NORMALIZE_PREPEND) TRY(content_read(step, object, "prepend", r->what, err));
    return SC_OK;
}

/* ---- pre-tokenisers ---- */

static sc_status behaviour_read(enum split_behaviour *out, const json_t *object, const char *what, sc_error *err)
{
    static const char *const names[] = {
        [SPLIT_ISOLATED] = "Isolated", [SPLIT_REMOVED] = "Removed", [SPLIT_MERGED_WITH_PREVIOUS] = "MergedWithPrevious",
        [SPLIT_MERGED_WITH_NEXT] = "MergedWithNext", [SPLIT_CONTIGUOUS] = "Contiguous",
    };
    const char *name;
    TRY(json_opt_string(&name, object, "behavior", "Isolated", what, err));
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) { *out = (enum split_behaviour)i; return SC_OK; }
    char quote[80];
    return FAIL(err, SC_E_FORMAT, "%s: the behavior of a \"%s\" is \"%s\", expected Isolated, Removed, MergedWithPrevious, MergedWithNext or Contiguous",
                what, type_of(object), error_quote(quote, sizeof quote, name, strlen(name)));
}

static sc_status split_read(struct reader *r, const json_t *object, sc_error *err)
{
    const char *pattern;
    size_t len;
    bool is_literal, invert;
    enum split_behaviour behaviour;
    TRY(pattern_read(object, &pattern, &len, &is_literal, r->what, err));
    TRY(behaviour_read(&behaviour, object, r->what, err));
    TRY(json_opt_bool(&invert, object, "invert", false, r->what, err));
    return pipeline_put_split(&r->t->pipeline, pattern, len, is_literal, behaviour, invert, r->what, err);
}

static sc_status digits_read(struct reader *r, const json_t *object, sc_error *err)
{
    bool individual;
    TRY(json_opt_bool(&individual, object, "individual_digits", false, r->what, err));
    return pipeline_put_class(&r->t->pipeline, U_DIGIT, individual ? SPLIT_ISOLATED : SPLIT_CONTIGUOUS, r->what, err);
}

static sc_status punctuation_read(struct reader *r, const json_t *object, sc_error *err)
{
    enum split_behaviour behaviour;
    TRY(behaviour_read(&behaviour, object, r->what, err));
    return pipeline_put_class(&r->t->pipeline, U_OLD_PUNCTUATION, behaviour, r->what, err);
}

static sc_status words_read(struct reader *r, const json_t *object, sc_error *err)
{
    if (is_type(object, "Whitespace")) return pipeline_put_words(&r->t->pipeline, r->what, err);
    return pipeline_put_class(&r->t->pipeline, U_SPACE, SPLIT_REMOVED, r->what, err);
}

static sc_status byte_level_read(struct reader *r, const json_t *object, sc_error *err)
{
    bool prefix, regex;
    TRY(json_opt_bool(&prefix, object, "add_prefix_space", true, r->what, err));
    TRY(json_opt_bool(&regex, object, "use_regex", true, r->what, err));
    r->has_byte_level = true;
    if (prefix) TRY(pipeline_put_prefix_space(&r->t->pipeline, r->what, err));
    if (!regex) return SC_OK;
    return pipeline_put_split(&r->t->pipeline, pattern_gpt2, strlen(pattern_gpt2), false, SPLIT_ISOLATED, false, r->what, err);
}

static sc_status pre_tokenizer_read(struct reader *r, const json_t *object, sc_error *err)
{
    static const struct { const char *type; sc_status (*read)(struct reader *r, const json_t *object, sc_error *err); } rows[] = {
        { "Split", split_read }, { "Digits", digits_read }, { "Punctuation", punctuation_read }, { "Whitespace", words_read },
        { "WhitespaceSplit", words_read }, { "ByteLevel", byte_level_read },
    };
    if (is_type(object, "Sequence")) {
        size_t i;
        json_t *each;
        TRY(list_check(r, object, "pretokenizers", true, err));
        json_array_foreach(json_object_get(object, "pretokenizers"), i, each) TRY(pre_tokenizer_read(r, each, err));
        return SC_OK;
    }
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!is_type(object, rows[i].type)) continue;
        if (r->has_byte_level) return FAIL(err, SC_E_UNSUPPORTED, "%s: the pre-tokenizer \"%s\" follows ByteLevel, which has to be the last", r->what, rows[i].type);
        return rows[i].read(r, object, err);
    }
    return refuse_type(r, "pre-tokenizer", object, "ByteLevel, Split, Digits, Punctuation, Whitespace, WhitespaceSplit or Sequence", err);
}

/* ---- decoder and post-processor ---- */

/* Is the decoder one that maps byte symbols to bytes, by itself or in a sequence that does nothing else? */
static bool is_byte_decoder(const json_t *object)
{
    if (is_type(object, "ByteLevel")) return true;
    const json_t *list = is_type(object, "Sequence") ? json_object_get(object, "decoders") : NULL;
    size_t i, n_byte_level = 0;
    json_t *each;
    json_array_foreach(list, i, each) {
        if (is_type(each, "ByteLevel")) n_byte_level++;
        else if (!is_type(each, "Fuse")) return false;
    }
    return n_byte_level == 1;
}

/* A template that begins with a special token adds it to every text. */
static void post_processor_read(struct reader *r, const json_t *object)
{
    size_t i;
    json_t *each;
    json_array_foreach(json_object_get(object, "processors"), i, each)
        if (is_type(each, "TemplateProcessing")) object = each;
    if (!is_type(object, "TemplateProcessing")) return;
    const json_t *first = json_object_get(json_array_get(json_object_get(object, "single"), 0), "SpecialToken");
    const json_t *content = json_object_get(first, "id");
    if (!json_is_string(content)) return;
    int32_t id = tokenizer_find(r->t, json_string_value(content), json_string_length(content));
    if (id < 0) return;
    r->t->role[TOKEN_BOS] = id;
    r->t->adds_bos = true;
}

/* ---- added tokens ---- */

static sc_status added_read(struct reader *r, const json_t *object, sc_error *err)
{
    struct added_flags f;
    int64_t id;
    const json_t *content = json_object_get(object, "content");
    if (!json_is_string(content)) return FAIL(err, SC_E_FORMAT, "%s: an added token has no \"content\"", r->what);
    TRY(json_need_int(&id, object, "id", 0, VOCABULARY_MAX, r->what, err));
    TRY(json_opt_bool(&f.special, object, "special", false, r->what, err));
    TRY(json_opt_bool(&f.single_word, object, "single_word", false, r->what, err));
    TRY(json_opt_bool(&f.lstrip, object, "lstrip", false, r->what, err));
    TRY(json_opt_bool(&f.rstrip, object, "rstrip", false, r->what, err));
    TRY(json_opt_bool(&f.normalized, object, "normalized", !f.special, r->what, err));
    return added_tokens_put(r->t, id, json_string_value(content), json_string_length(content), &f, NULL, r->what, err);
}

/* ---- the model ---- */

/* The next string, in place or unescaped in `scratch`. */
static sc_status text_read(struct json_scan *j, struct buf *scratch, const char **text, size_t *len)
{
    struct scan_string s;
    TRY(scan_string(j, &s));
    if (!scan_text(&s, scratch, text, len)) return FAIL(j->err, SC_E_FORMAT, "%s: the string before byte %zu has half a surrogate pair", j->what, j->at);
    return SC_OK;
}

/* {"token": id, ...} */
static sc_status vocab_read(struct reader *r, struct json_scan *j)
{
    struct vocabulary *v = &r->t->vocabulary;
    /* Each entry takes six bytes or more; ids may have gaps, but not out of all proportion. */
    v->limit = ((j->len - j->at) / 6 + 1) * 16 + 65536;
    TRY(scan_need(j, '{'));
    if (scan_take(j, '}')) return SC_OK;
    for (bool more = true; more; ) {
        const char *text;
        size_t len;
        uint64_t id;
        TRY(text_read(j, &r->scratch[0], &text, &len));
        TRY(scan_need(j, ':'));
        TRY(scan_uint(j, &id));
        TRY(vocabulary_put(v, id < INT64_MAX ? (int64_t)id : INT64_MAX, text, len, j->what, j->err));
        TRY(scan_more(j, '}', &more));
    }
    return SC_OK;
}

/* One merge: "left right", or ["left", "right"]. */
static sc_status merge_read(struct reader *r, struct json_scan *j)
{
    struct tokenizer *t = r->t;
    const char *left, *right;
    size_t left_len, right_len;
    if (!scan_take(j, '[')) {
        TRY(text_read(j, &r->scratch[0], &left, &left_len));
        if (left_len >= 8 && memcmp(left, "#version", 8) == 0) return SC_OK;
        return bpe_put_line(&t->bpe, &t->vocabulary, left, left_len, j->what, j->err);
    }
    TRY(text_read(j, &r->scratch[0], &left, &left_len));
    TRY(scan_need(j, ','));
    TRY(text_read(j, &r->scratch[1], &right, &right_len));
    TRY(scan_need(j, ']'));
    return bpe_put(&t->bpe, &t->vocabulary, left, left_len, right, right_len, j->what, j->err);
}

static sc_status merges_read(struct reader *r, struct json_scan *j)
{
    TRY(scan_need(j, '['));
    if (scan_take(j, ']')) return SC_OK;
    for (bool more = true; more; ) {
        TRY(merge_read(r, j));
        TRY(scan_more(j, ']', &more));
    }
    return SC_OK;
}

static bool has_type(const json_t *object, const char *type)
{
    static const char *const lists[] = { "normalizers", "pretokenizers", "decoders" };
    if (!json_is_object(object)) return false;
    if (is_type(object, type)) return true;
    for (size_t k = 0; k < sizeof lists / sizeof *lists; k++) {
        size_t i;
        json_t *each;
        json_array_foreach(json_object_get(object, lists[k]), i, each)
            if (has_type(each, type)) return true;
    }
    return false;
}

static sc_status model_check(const struct reader *r, const json_t *root, sc_error *err)
{
    const json_t *model = json_object_get(root, "model");
    bool byte_fallback;
    const char *type, *prefix, *suffix;
    char quote[80];
    if (!json_is_object(model)) return FAIL(err, SC_E_FORMAT, "%s: the member \"model\" is missing; expected a tokenizer.json", r->what);
    TRY(json_opt_string(&type, model, "type", "BPE", r->what, err));
    if (strcmp(type, "Unigram") == 0) return FAIL(err, SC_E_UNSUPPORTED, "%s: a SentencePiece vocabulary (Unigram); " SUPPORTED, r->what);
    if (strcmp(type, "BPE") != 0)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: a vocabulary of the type \"%s\"; " SUPPORTED, r->what, error_quote(quote, sizeof quote, type, strlen(type)));
    TRY(json_opt_bool(&byte_fallback, model, "byte_fallback", false, r->what, err));
    if (byte_fallback || has_type(json_object_get(root, "pre_tokenizer"), "Metaspace") || has_type(json_object_get(root, "normalizer"), "Prepend"))
        return FAIL(err, SC_E_UNSUPPORTED, "%s: a SentencePiece vocabulary (%s); " SUPPORTED, r->what, byte_fallback ? "byte_fallback" : "spaces written as \xE2\x96\x81");
    TRY(json_opt_string(&prefix, model, "continuing_subword_prefix", "", r->what, err));
    TRY(json_opt_string(&suffix, model, "end_of_word_suffix", "", r->what, err));
    if (*prefix || *suffix)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: a BPE model with marks for parts of words (\"%s\"); " SUPPORTED, r->what,
                    error_quote(quote, sizeof quote, *prefix ? prefix : suffix, strlen(*prefix ? prefix : suffix)));
    return SC_OK;
}

/* The file's two large members, where they stand in it. */
struct large { struct span vocab, merges; };

static sc_status large_read(struct reader *r, const struct json_scan *file, struct span value, sc_status (*read)(struct reader *, struct json_scan *))
{
    struct json_scan j = { .text = file->text, .len = value.end, .at = value.begin, .what = file->what, .err = file->err };
    TRY(read(r, &j));
    return scan_end(&j);
}

static sc_status model_read(struct reader *r, const struct json_scan *file, const struct large *large, sc_error *err)
{
    if (!large->vocab.end || !large->merges.end)
        return FAIL(err, SC_E_FORMAT, "%s: the model lacks \"%s\"", r->what, large->vocab.end ? "merges" : "vocab");
    TRY(large_read(r, file, large->vocab, vocab_read));
    if (!r->t->vocabulary.len) return FAIL(err, SC_E_FORMAT, "%s: the vocabulary is empty", r->what);
    return large_read(r, file, large->merges, merges_read);
}

/* ---- all but the vocabulary and the merges: what is needed before them, and what names their tokens ---- */

static sc_status parts_check(const struct reader *r, const json_t *root, sc_error *err)
{
    static const char *const parts[] = { "normalizer", "pre_tokenizer", "post_processor", "decoder" };
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const json_t *part = json_object_get(root, parts[i]);
        if (part && !json_is_null(part) && !json_is_object(part)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is no object; expected one with a \"type\", or null", r->what, parts[i]);
    }
    return list_check(r, root, "added_tokens", false, err);
}

static sc_status settings_read(struct reader *r, const json_t *root, sc_error *err)
{
    const json_t *pre = json_object_get(root, "pre_tokenizer"), *decoder = json_object_get(root, "decoder"), *model = json_object_get(root, "model");
    TRY(model_check(r, root, err));
    TRY(parts_check(r, root, err));
    TRY(normalizer_read(r, json_object_get(root, "normalizer"), err));
    if (json_is_object(pre)) TRY(pre_tokenizer_read(r, pre, err));
    if (!r->has_byte_level) return FAIL(err, SC_E_UNSUPPORTED, "%s: there is no ByteLevel pre-tokenizer; " SUPPORTED, r->what);
    if (!is_byte_decoder(decoder)) return refuse_type(r, "decoder", decoder, "ByteLevel", err);
    TRY(json_opt_bool(&r->t->bpe.fuse_unk, model, "fuse_unk", false, r->what, err));
    return json_opt_bool(&r->t->bpe.ignore_merges, model, "ignore_merges", false, r->what, err);
}

static sc_status unknown_read(struct reader *r, const json_t *model, sc_error *err)
{
    struct tokenizer *t = r->t;
    const char *unk;
    char quote[80];
    TRY(json_opt_string(&unk, model, "unk_token", NULL, r->what, err));
    if (!unk) return SC_OK;
    t->bpe.unk = vocabulary_find(&t->vocabulary, unk, strlen(unk));
    if (t->bpe.unk < 0 && *unk)
        return FAIL(err, SC_E_FORMAT, "%s: the unknown token \"%s\" is not in the vocabulary", r->what, error_quote(quote, sizeof quote, unk, strlen(unk)));
    return SC_OK;
}

static sc_status names_read(struct reader *r, const json_t *root, sc_error *err)
{
    size_t i;
    json_t *each;
    TRY(unknown_read(r, json_object_get(root, "model"), err));
    json_array_foreach(json_object_get(root, "added_tokens"), i, each) TRY(added_read(r, each, err));
    post_processor_read(r, json_object_get(root, "post_processor"));
    return SC_OK;
}

sc_status tokenizer_json_settings(struct tokenizer *t, const json_t *root, const char *what, sc_error *err)
{
    return settings_read(&(struct reader){ .t = t, .what = what }, root, err);
}

sc_status tokenizer_json_names(struct tokenizer *t, const json_t *root, const char *what, sc_error *err)
{
    return names_read(&(struct reader){ .t = t, .what = what }, root, err);
}

/* ---- the file ---- */

static sc_status large_note(struct json_scan *j, struct span *value)
{
    if (value->end) return FAIL(j->err, SC_E_FORMAT, "%s: the model has \"vocab\" or \"merges\" twice", j->what);
    scan_peek(j, 0);      /* over white space */
    value->begin = j->at;
    TRY(scan_skip(j));
    value->end = j->at;
    return SC_OK;
}

/* Walks the members of the object at the cursor, and of its "model", and notes where vocab and merges stand. */
static sc_status large_find(struct json_scan *j, struct large *large, bool in_model)
{
    TRY(scan_need(j, '{'));
    if (scan_take(j, '}')) return SC_OK;
    for (bool more = true; more; ) {
        struct scan_string key;
        TRY(scan_string(j, &key));
        TRY(scan_need(j, ':'));
        if (in_model && scan_equals(&key, "vocab")) TRY(large_note(j, &large->vocab));
        else if (in_model && scan_equals(&key, "merges")) TRY(large_note(j, &large->merges));
        else if (!in_model && scan_equals(&key, "model") && scan_peek(j, '{')) TRY(large_find(j, large, true));
        else TRY(scan_skip(j));
        TRY(scan_more(j, '}', &more));
    }
    return SC_OK;
}

/* The tree of all but the two large members, which become null. */
static sc_status rest_read(json_t **out, const struct json_scan *j, const struct large *large)
{
    bool in_order = large->vocab.begin <= large->merges.begin;
    struct span cut[2] = { in_order ? large->vocab : large->merges, in_order ? large->merges : large->vocab };
    struct buf rest;
    size_t at = 0;
    buf_init(&rest, 0);
    for (int i = 0; i < 2; i++) {
        if (!cut[i].end) continue;
        buf_append(&rest, j->text + at, cut[i].begin - at);
        buf_puts(&rest, "null");
        at = cut[i].end;
    }
    buf_append(&rest, j->text + at, j->len - at);
    sc_status status = json_read(out, rest.data, rest.len, j->what, j->err);
    buf_release(&rest);
    return status;
}

static sc_status parts_read(struct reader *r, const json_t *root, const struct json_scan *file, const struct large *large, sc_error *err)
{
    TRY(settings_read(r, root, err));
    TRY(model_read(r, file, large, err));
    r->t->vocabulary.limit += json_array_size(json_object_get(root, "added_tokens"));
    return names_read(r, root, err);
}

sc_status tokenizer_read_json(struct tokenizer **out, const char *json, size_t len, const char *what, sc_error *err)
{
    sc_status status = SC_OK;
    struct json_scan j = { .text = json, .len = len, .what = what, .err = err };
    struct reader r = { .t = tokenizer_new(), .what = what };
    struct large large = { 0 };
    json_t *rest = NULL;
    *out = NULL;
    if (!utf8_is_valid(json, len)) {
        status = FAIL(err, SC_E_FORMAT, "%s: not UTF-8, so it is no tokenizer.json", what);
        goto done;
    }
    TRY_DONE(large_find(&j, &large, false));
    TRY_DONE(rest_read(&rest, &j, &large));
    TRY_DONE(parts_read(&r, rest, &j, &large, err));
    *out = r.t;
    r.t = NULL;
done:
    json_decref(rest);
    buf_release(&r.scratch[0]);
    buf_release(&r.scratch[1]);
    tokenizer_close(r.t);
    return status;
}

sc_status tokenizer_open_json(struct tokenizer **out, const char *json, size_t len, const char *what, sc_error *err)
{
    TRY(tokenizer_read_json(out, json, len, what, err));
    tokenizer_finish(*out);
    return SC_OK;
}
