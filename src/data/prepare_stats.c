/* prepare_stats.c - what went in, what was left out and why, what came out. */
#include "data/prepare.h"

#include <string.h>

/* Rows are few (files, languages); they stay in the order of the first appearance. */
static struct group_count *group_find(struct group_count **rows, size_t *n, const char *name)
{
    for (size_t i = 0; i < *n; i++)
        if (strcmp((*rows)[i].name, name) == 0) return &(*rows)[i];
    *rows = mem_grow(*rows, (*n + 1) * sizeof **rows);
    (*rows)[*n] = (struct group_count) { .name = mem_strdup(name) };
    return &(*rows)[(*n)++];
}

static void group_add(struct group_count *g, const struct prepared *p)
{
    g->dialogues++;
    g->samples += p->samples.len;
    g->trained += p->trained;
    for (size_t i = 0; i < WHO_COUNT; i++) g->tokens += p->tokens[i];
}

void counts_add(struct counts *c, const struct work *w, const struct prepared *p, const struct dialogue *d)
{
    (void)d;
    c->dialogues++;
    c->dropped[p->why]++;
    c->overlaps += p->has_hit;
    c->notes.emails += p->notes.emails;
    c->notes.ips += p->notes.ips;
    c->notes.keys += p->notes.keys;
    c->notes.merged_turns += p->notes.merged_turns;
    c->notes.empty_turns += p->notes.empty_turns;
    c->cut += p->n_cut;
    c->pieces_dropped += p->n_dropped;
    if (p->why != KEEP) return;
    c->kept++;
    c->samples += p->samples.len;
    c->turns += p->n_turns;
    c->trained += p->trained;
    for (size_t i = 0; i < WHO_COUNT; i++) c->tokens[i] += p->tokens[i];
    for (size_t i = 0; i < p->samples.len; i++) {
        size_t bucket = 0;
        while (p->samples.sample[i].len >> (bucket + 1)) bucket++;
        c->lengths[bucket]++;
    }
    group_add(group_find(&c->source, &c->n_sources, w->record.file ? w->record.file : ""), p);
    group_add(group_find(&c->language, &c->n_languages, *p->lang ? p->lang : "unknown"), p);
}

void counts_release(struct counts *c)
{
    for (size_t i = 0; i < c->n_sources; i++) mem_free(c->source[i].name);
    for (size_t i = 0; i < c->n_languages; i++) mem_free(c->language[i].name);
    mem_free(c->source);
    mem_free(c->language);
}

static json_t *describe_groups(const struct group_count *rows, size_t n)
{
    json_t *out = json_object();
    for (size_t i = 0; i < n; i++)
        json_object_set_new(out, rows[i].name, json_pack("{s:I, s:I, s:I, s:I}", "dialogues", (json_int_t)rows[i].dialogues, "samples", (json_int_t)rows[i].samples,
                                                        "tokens", (json_int_t)rows[i].tokens, "trained", (json_int_t)rows[i].trained));
    return out;
}

json_t *counts_describe(const struct counts *c)
{
    json_t *roles = json_object(), *dropped = json_object(), *lengths = json_array();
    uint64_t tokens = 0;
    size_t last = 0;
    for (size_t i = 0; i < WHO_COUNT; i++) {
        tokens += c->tokens[i];
        if (c->tokens[i]) json_object_set_new(roles, who_names[i], json_integer((json_int_t)c->tokens[i]));
    }
    for (size_t i = KEEP + 1; i < DROP_COUNT; i++)
        if (c->dropped[i]) json_object_set_new(dropped, drop_names[i], json_integer((json_int_t)c->dropped[i]));
    for (size_t i = 0; i < sizeof c->lengths / sizeof *c->lengths; i++)
        if (c->lengths[i]) last = i + 1;
    for (size_t i = 0; i < last; i++) json_array_append_new(lengths, json_integer((json_int_t)c->lengths[i]));
    json_t *out = json_object();
    const struct { const char *key; uint64_t n; } numbers[] = {
        { "records", c->records }, { "records_skipped", c->skipped }, { "records_without_dialogue", c->without_dialogue }, { "dialogues", c->dialogues }, { "rows", c->kept }, { "samples", c->samples }, { "turns", c->turns },
        { "tokens", tokens }, { "trained", c->trained }, { "too_long", c->cut }, { "pieces_without_trained_token", c->pieces_dropped },
        { "duplicates", c->dropped[DROP_DUPLICATE] + c->dropped[DROP_NEAR_DUPLICATE] }, { "overlaps", c->overlaps }, { "merged_turns", c->notes.merged_turns },
        { "empty_turns", c->notes.empty_turns }, { "emails", c->notes.emails }, { "ips", c->notes.ips }, { "keys", c->notes.keys },
    };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) json_object_set_new(out, numbers[i].key, json_integer((json_int_t)numbers[i].n));
    json_object_set_new(out, "per_role", roles);
    json_object_set_new(out, "per_source", describe_groups(c->source, c->n_sources));
    json_object_set_new(out, "per_language", describe_groups(c->language, c->n_languages));
    json_object_set_new(out, "dropped", dropped);
    json_object_set_new(out, "lengths", lengths);
    return out;
}
