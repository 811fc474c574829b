/* losses.c - losses summed by where they come from: all, by answer of the dialogue, by source file. */
#include "train/train_internal.h"

#include <stdio.h>

static void put(struct loss_sum *s, double loss)
{
    s->loss += loss;
    s->n++;
}

void losses_add(struct losses *l, const struct leaf *leaf)
{
    for (size_t i = 0; i < leaf->n; i++) {
        const struct target_of *of = &leaf->of[i];
        double loss = (double)leaf->loss[i];
        if (!of->is_completion) continue;
        put(&l->all, loss);
        put(&l->turn[of->turn < LOSS_TURNS ? of->turn : LOSS_TURNS - 1], loss);
        put(&l->source[of->file < LOSS_SOURCES ? of->file : LOSS_SOURCES - 1], loss);
    }
}

json_t *losses_describe(const struct losses *l, const sc_dataset *d)
{
    json_t *turns = json_object(), *sources = json_object();
    for (size_t i = 0; i < LOSS_TURNS; i++) {
        char name[16];
        snprintf(name, sizeof name, "%zu%s", i + 1, i + 1 == LOSS_TURNS ? "+" : "");
        if (l->turn[i].n) json_object_set_new(turns, name, json_real(l->turn[i].loss / (double)l->turn[i].n));
    }
    for (size_t i = 0; i < LOSS_SOURCES; i++) {
        const char *file = i + 1 == LOSS_SOURCES ? "others" : dataset_file(d, (uint32_t)i);
        if (l->source[i].n) json_object_set_new(sources, *file ? file : "unknown", json_real(l->source[i].loss / (double)l->source[i].n));
    }
    return json_pack("{s:o, s:o}", "by_turn", turns, "by_source", sources);
}
