/* stats.c - counts of a prepared directory. What can be counted in the shards is counted there, because that is what
 * training reads; what only the preparation knew (turns, languages, what was left out) comes from the manifest. */
#include "data/dataset.h"

#include <string.h>

enum { LENGTH_BUCKETS = 33, LENGTHS_EXACT = 1 << 16, FORGET_TOKENS = 4 << 20 };

struct file_count { uint64_t samples, tokens, trained; };
struct tally {
    uint64_t rows, samples, tokens, trained, room, who[WHO_COUNT], who_trained[WHO_COUNT], bucket[LENGTH_BUCKETS];
    uint64_t *exact, longest, shortest;                   /* exact[n]: samples of n tokens, the last one: longer ones too */
    struct file_count *file;
};

/* ---- counting ------------------------------------------------------------------------------------------------------------ */

static void count_length(struct tally *t, uint32_t len)
{
    t->bucket[31 - __builtin_clz(len)]++;
    t->exact[len < LENGTHS_EXACT ? len : LENGTHS_EXACT - 1]++;
    if (len > t->longest) t->longest = len;
    if (t->samples == 0 || len < t->shortest) t->shortest = len;
    t->samples++;
    t->tokens += len;
}

static sc_status count_flags(struct tally *t, struct file_count *file, const uint64_t of_flag[256], const char *path, sc_error *err)
{
    for (unsigned f = 0; f < 256; f++) {
        if (!of_flag[f]) continue;
        enum token_who who = flag_who((uint8_t)f);
        if (who >= WHO_COUNT || flag_why((uint8_t)f) >= WHY_COUNT) return FAIL(err, SC_E_FORMAT, "%s: a shard has tokens with the unknown label %u; prepare the data anew", path, f);
        t->who[who] += of_flag[f];
        if (!flag_trained((uint8_t)f)) continue;
        t->who_trained[who] += of_flag[f];
        t->trained += of_flag[f];
        file->trained += of_flag[f];
    }
    return SC_OK;
}

static sc_status count_shard(struct tally *t, const struct shard *s, const char *path, sc_error *err)
{
    uint64_t forgotten = 0;
    t->rows += s->n_rows;
    t->room += s->n_rows * s->row_length;
    for (uint64_t i = 0; i < s->n_segments; i++) {
        const struct shard_segment *g = &s->segment[i];
        const uint8_t *flag = s->flag + g->token_begin;
        uint64_t of_flag[256] = { 0 };
        for (uint32_t k = 0; k < g->length; k++) of_flag[flag[k]]++;
        count_length(t, g->length);
        t->file[g->file].samples++;
        t->file[g->file].tokens += g->length;
        TRY(count_flags(t, &t->file[g->file], of_flag, path, err));
        if (g->token_begin - forgotten < FORGET_TOKENS) continue;
        shard_forget(s, forgotten, g->token_begin);
        forgotten = g->token_begin;
    }
    shard_forget(s, forgotten, s->n_tokens);
    return SC_OK;
}

static uint64_t median_of(const struct tally *t)
{
    uint64_t seen = 0;
    for (size_t n = 0; n < LENGTHS_EXACT; n++)
        if ((seen += t->exact[n]) * 2 >= t->samples) return n;
    return 0;
}

/* ---- describing ------------------------------------------------------------------------------------------------------------ */

static void set_count(json_t *o, const char *key, uint64_t n) { json_object_set_new(o, key, json_integer((json_int_t)n)); }

static void set_share(json_t *o, const char *key, uint64_t part, uint64_t whole)
{
    if (whole) json_object_set_new(o, key, json_real((double)part / (double)whole));
}

static json_t *describe_roles(const uint64_t who[WHO_COUNT])
{
    json_t *out = json_object();
    for (size_t i = 0; i < WHO_COUNT; i++)
        if (who[i]) set_count(out, who_names[i], who[i]);
    return out;
}

static json_t *describe_sources(const struct tally *t, const struct sc_dataset *d)
{
    json_t *out = json_object(), *known = json_object_get(json_object_get(d->manifest, "stats"), "per_source");
    for (uint32_t i = 0; i < json_array_size(json_object_get(d->manifest, "files")); i++) {
        if (!t->file[i].samples) continue;
        const char *name = dataset_file(d, i);
        json_t *row = json_object(), *dialogues = json_object_get(json_object_get(known, name), "dialogues");
        if (json_is_integer(dialogues)) json_object_set(row, "dialogues", dialogues);
        set_count(row, "samples", t->file[i].samples);
        set_count(row, "tokens", t->file[i].tokens);
        set_count(row, "trained", t->file[i].trained);
        json_object_set_new(out, name, row);
    }
    return out;
}

static json_t *describe_lengths(const struct tally *t)
{
    json_t *out = json_array();
    size_t last = 0;
    for (size_t i = 0; i < LENGTH_BUCKETS; i++)
        if (t->bucket[i]) last = i + 1;
    for (size_t i = 0; i < last; i++) json_array_append_new(out, json_integer((json_int_t)t->bucket[i]));
    return out;
}

/* Numbers of one split or of all. */
static void describe_tally(json_t *o, const struct tally *t)
{
    set_count(o, "packed_rows", t->rows);
    set_count(o, "samples", t->samples);
    set_count(o, "tokens", t->tokens);
    set_count(o, "trained", t->trained);
    set_share(o, "trained_share", t->trained, t->tokens);
    set_share(o, "fill", t->tokens, t->room);
}

/* The preparation counts the tokens of whole dialogues; those of pieces that it left out are in no shard. */
static void set_left_out(json_t *out, const struct sc_dataset *d, uint64_t stored)
{
    const json_t *rendered = json_object_get(json_object_get(d->manifest, "stats"), "tokens");
    if (json_is_integer(rendered) && json_integer_value(rendered) > (json_int_t)stored) set_count(out, "tokens_left_out", (uint64_t)json_integer_value(rendered) - stored);
}

static json_t *describe(const struct sc_dataset *d, const struct tally *t, json_t *splits)
{
    static const char *const parts[] = { "tokenizer", "template" };
    json_t *out = json_deep_copy(json_object_get(d->manifest, "stats"));
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) json_object_set(out, parts[i], json_object_get(json_object_get(d->manifest, parts[i]), "name"));
    describe_tally(out, t);
    set_left_out(out, d, t->tokens);
    if (d->n_shards) set_count(out, "row_length", d->shard[0].row_length);
    set_count(out, "shortest", t->shortest);
    set_count(out, "median", median_of(t));
    set_count(out, "longest", t->longest);
    json_object_set_new(out, "lengths", describe_lengths(t));
    json_object_set_new(out, "per_role", describe_roles(t->who));
    json_object_set_new(out, "trained_per_role", describe_roles(t->who_trained));
    json_object_set_new(out, "per_source", describe_sources(t, d));
    json_object_set(out, "splits", splits);
    return out;
}

sc_status dataset_count(json_t **out, const struct sc_dataset *d, sc_error *err)
{
    struct tally all = { 0 };
    json_t *splits = json_object(), *shards;
    const char *name;
    size_t k = 0;
    sc_status status = SC_OK;
    *out = NULL;
    all.exact = mem_zero(LENGTHS_EXACT, sizeof *all.exact);
    all.file = mem_zero(json_array_size(json_object_get(d->manifest, "files")) + 1, sizeof *all.file);
    json_object_foreach(json_object_get(d->manifest, "splits"), name, shards) {
        struct tally before = all, split;
        for (size_t n = json_array_size(json_object_get(shards, "shards")); n && k < d->n_shards; n--) TRY_DONE(count_shard(&all, &d->shard[k++], d->path, err));
        split = (struct tally){ .rows = all.rows - before.rows, .samples = all.samples - before.samples, .tokens = all.tokens - before.tokens, .trained = all.trained - before.trained,
                                .room = all.room - before.room };
        json_t *described = json_object();
        describe_tally(described, &split);
        json_object_set_new(splits, name, described);
    }
    *out = describe(d, &all, splits);
done:
    json_decref(splits);
    mem_free(all.exact);
    mem_free(all.file);
    return status;
}

sc_status sc_dataset_stats(sc_text *json, const sc_dataset *d, sc_error *err)
{
    json_t *stats;
    *json = (sc_text){ 0 };
    TRY(dataset_count(&stats, d, err));
    sc_status status = json_write(json, stats, true);
    json_decref(stats);
    return status;
}
