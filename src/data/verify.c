/* verify.c - proof before the first step of training: the files are those that were written, and the labels say what the
 * policy asked for. Silently wrong labels are the most reported fault of training stacks, so each kind is a sentence. */
#include "data/dataset.h"

#include <stdio.h>
#include <string.h>

enum { CHUNK_BYTES = 16 << 20, FORGET_TOKENS = 4 << 20 };

/* What the manifest asks of every token. */
struct rules { const struct sc_dataset *d; const char *train_on; int64_t end_token; bool is_chopped, may[WHO_COUNT], must[WHO_COUNT]; };

static struct rules rules_of(const struct sc_dataset *d)
{
    const json_t *options = json_object_get(d->manifest, "options"), *end = json_object_get(d->manifest, "end_token");
    const char *train_on = json_string_value(json_object_get(options, "train_on")), *packing = json_string_value(json_object_get(options, "packing"));
    struct rules r = { .d = d, .train_on = train_on ? train_on : "assistant", .end_token = json_is_integer(end) ? json_integer_value(end) : -1, .is_chopped = packing && strcmp(packing, "chop") == 0 };
    bool is_all = strcmp(r.train_on, "all") == 0, is_blog = strcmp(r.train_on, "blog") == 0;
    for (int who = 0; who < WHO_PADDING; who++) r.must[who] = is_all || (is_blog && who != WHO_USER);
    for (int who = 0; who < WHO_PADDING; who++) r.may[who] = r.must[who] || who == WHO_ASSISTANT || who == WHO_TEXT;
    return r;
}

/* ---- checksums ------------------------------------------------------------------------------------------------------------- */

static sc_status check_sum(const struct sc_dataset *d, const char *file, const struct mapped_file *map, const json_t *entry, sc_error *err)
{
    const char *expected = json_string_value(json_object_get(entry, "sha256"));
    struct sha256 h;
    char hex[65];
    sha256_begin(&h);
    for (size_t at = 0; at < map->size; at += CHUNK_BYTES) {
        size_t n = map->size - at < CHUNK_BYTES ? map->size - at : CHUNK_BYTES;
        sha256_add(&h, map->data + at, n);
        file_forget(map->data + at, n);
    }
    sha256_end(&h, hex);
    if (expected && strcmp(hex, expected) == 0) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s/%s has the checksum %.16s..., dataset.json says %.16s...; the file was changed, prepare the data anew", d->path, file, hex, expected ? expected : "nothing");
}

/* The table of tokens spells the added ones as the manifest says. */
static sc_status check_added(const struct sc_dataset *d, sc_error *err)
{
    const json_t *added = json_object_get(json_object_get(d->manifest, "tokenizer"), "added"), *token;
    size_t i;
    json_array_foreach(added, i, token) {
        const json_t *content = json_object_get(token, "content");
        json_int_t id = json_integer_value(json_object_get(token, "id"));
        char q[80];
        size_t len;
        const char *piece = dataset_piece(d, (int32_t)id, &len);
        if (piece && json_string_length(content) == len && memcmp(piece, json_string_value(content), len) == 0) continue;
        return FAIL(err, SC_E_FORMAT, "%s: dataset.json says that token %lld is \"%s\", tokens.bin spells it otherwise", d->path, (long long)id,
                    error_quote(q, sizeof q, json_string_value(content) ? json_string_value(content) : "", json_string_length(content)));
    }
    return SC_OK;
}

/* ---- labels ------------------------------------------------------------------------------------------------------------------ */

/* One sample under inspection. `is_open`: an answer was trained, and its end token did not come yet. */
struct inspection { const struct rules *rules; const char *file; const struct shard *shard; uint64_t segment; uint64_t trained; bool is_open; };

static sc_status refuse(const struct inspection *n, uint64_t token, sc_error *err, const char *text)
{
    const struct shard_segment *g = &n->shard->segment[n->segment];
    return FAIL(err, SC_E_FORMAT, "%s/%s: token %llu of sample %llu (%s, line %llu) %s; prepare the data anew", n->rules->d->path, n->file, (unsigned long long)(token - g->token_begin),
                (unsigned long long)n->segment, dataset_file(n->rules->d, g->file), (unsigned long long)g->line, text);
}

static sc_status refuse_role(const struct inspection *n, uint64_t at, enum token_who who, bool is_trained, sc_error *err)
{
    char text[120];
    snprintf(text, sizeof text, "is of role %s and %s, which train_on %.20s does not allow", who_names[who], is_trained ? "trained" : "not trained", n->rules->train_on);
    return refuse(n, at, err, text);
}

static sc_status inspect_token(struct inspection *n, uint64_t at, sc_error *err)
{
    uint8_t flag = n->shard->flag[at];
    int32_t id = n->shard->id[at];
    enum token_who who = flag_who(flag);
    size_t len;
    char text[64];
    if (!dataset_piece(n->rules->d, id, &len)) {
        snprintf(text, sizeof text, "has the unknown id %d", id);
        return refuse(n, at, err, text);
    }
    if (who >= WHO_COUNT || flag_why(flag) >= WHY_COUNT) {
        snprintf(text, sizeof text, "has the unknown label %u", flag);
        return refuse(n, at, err, text);
    }
    bool is_trained = flag_trained(flag);
    if (is_trained ? !n->rules->may[who] : n->rules->must[who]) return refuse_role(n, at, who, is_trained, err);
    n->trained += is_trained;
    bool is_end = id == n->rules->end_token;
    if (who == WHO_ASSISTANT && is_end && n->is_open && !is_trained)
        return refuse(n, at, err, "ends a trained answer and is not trained, so a model would never learn to stop");
    n->is_open = who == WHO_ASSISTANT && !is_end && (n->is_open || is_trained);
    return SC_OK;
}

static sc_status inspect_sample(struct inspection *n, sc_error *err)
{
    const struct shard_segment *g = &n->shard->segment[n->segment];
    uint64_t before = n->trained;
    n->is_open = false;
    for (uint64_t at = g->token_begin; at < g->token_begin + g->length; at++) TRY(inspect_token(n, at, err));
    if (n->trained > before || n->rules->is_chopped) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "%s/%s: sample %llu (%s, line %llu) has no trained token; prepare the data anew", n->rules->d->path, n->file, (unsigned long long)n->segment,
                dataset_file(n->rules->d, g->file), (unsigned long long)g->line);
}

static sc_status check_labels(const struct rules *rules, const struct shard *s, const char *file, const json_t *entry, sc_error *err)
{
    struct inspection n = { .rules = rules, .file = file, .shard = s };
    uint64_t forgotten = 0, expected = (uint64_t)json_integer_value(json_object_get(entry, "trained"));
    for (n.segment = 0; n.segment < s->n_segments; n.segment++) {
        uint64_t begin = s->segment[n.segment].token_begin;
        TRY(inspect_sample(&n, err));
        if (begin - forgotten < FORGET_TOKENS) continue;
        shard_forget(s, forgotten, begin);
        forgotten = begin;
    }
    shard_forget(s, forgotten, s->n_tokens);
    if (!n.trained) return FAIL(err, SC_E_FORMAT, "%s/%s has no trained token, so nothing can be learned from it; prepare the data anew", rules->d->path, file);
    if (n.trained != expected)
        return FAIL(err, SC_E_FORMAT, "%s/%s has %llu trained tokens, dataset.json counts %llu; prepare the data anew", rules->d->path, file, (unsigned long long)n.trained, (unsigned long long)expected);
    return SC_OK;
}

sc_status sc_dataset_verify(const sc_dataset *d, sc_error *err)
{
    struct rules rules = rules_of(d);
    TRY(check_sum(d, "tokens.bin", &d->pieces, json_object_get(d->manifest, "tokenizer"), err));
    TRY(check_added(d, err));
    for (size_t i = 0; i < d->n_shards; i++) {
        const json_t *entry = dataset_shard_entry(d, i);
        const char *file = json_string_value(json_object_get(entry, "file"));
        TRY(check_sum(d, file, &d->shard[i].map, entry, err));
        TRY(check_labels(&rules, &d->shard[i], file, entry, err));
    }
    if (!sc_dataset_samples(d, NULL)) return FAIL(err, SC_E_FORMAT, "%s holds no sample; prepare the data anew", d->path);
    return SC_OK;
}
