/* prepare.h - what the files of the job `data prepare` share: the plan, one dialogue's way through the workers, counts. */
#ifndef PREPARE_H
#define PREPARE_H

#include "data/data.h"
#include "infer/infer.h"

struct counts;

/* The config with its choices as numbers, in the order of the option table. */
struct plan {
    const sc_prepare_config *config;
    int packing, overlength, train_on, split_by_row, on_error, dedup, turns;
    struct tree_config tree;
    struct clean_config clean;
};
sc_status plan_read(struct plan *out, const sc_prepare_config *c, sc_error *err);

/* ---- prepare_work.c: what workers do with a record, in any order ------------------------------------------------------ */

/* A dialogue after the workers: why it is left out (KEEP: it is not), and its samples. */
struct prepared {
    enum drop_reason why;
    uint64_t digest[2]; struct minhash near;
    struct sample_list samples;
    uint64_t n_dropped, n_cut, n_turns, tokens[WHO_COUNT], trained;
    struct clean_notes notes;
    struct overlap_hit hit; bool has_hit;
    char lang[8];
    uint64_t group;                                       /* equal: never on both sides of a split */
    char reason[200];                                     /* what the template or the tokenizer refused */
};
struct work {                                             /* one record */
    struct record record;
    struct dialogue_list dialogues; struct prepared *prepared;
    const char *format;
    sc_status status; sc_error error;
};
struct workshop { const struct plan *plan; const struct renderer *renderer; const struct overlap *overlap; struct work *work; };   /* renderer NULL: clean only */
void work_one(void *workshop, size_t i, int worker);
void work_release(struct work *w);

/* ---- pipeline.c: records to workers, and back in order -------------------------------------------------------------------- */

/* Called once for each dialogue in the order of the input, one after the other; duplicates are known by then. */
typedef sc_status dialogue_sink(void *user, const struct work *w, struct prepared *p, struct dialogue *d, sc_error *err);
/* Reads all inputs of the plan. `renderer` NULL: clean only. `inputs` becomes reader_describe; the caller owns it. */
sc_status pipeline_run(sc_runtime *rt, const struct plan *plan, const struct renderer *renderer, struct counts *counts, json_t **inputs, dialogue_sink *sink, void *user, sc_error *err);

/* ---- prepare_stats.c: counts, in the order of the input ---------------------------------------------------------------- */

struct group_count { char *name; uint64_t dialogues, samples, tokens, trained; };
struct counts {
    uint64_t records, skipped, without_dialogue, dialogues, kept, samples, turns, tokens[WHO_COUNT], trained, dropped[DROP_COUNT], pieces_dropped, cut, lengths[40], overlaps;
    struct clean_notes notes;
    struct group_count *source, *language; size_t n_sources, n_languages;
};
void    counts_add(struct counts *c, const struct work *w, const struct prepared *p, const struct dialogue *d);
void    counts_release(struct counts *c);
json_t *counts_describe(const struct counts *c);          /* "stats" of the manifest; the caller owns it */

#endif
