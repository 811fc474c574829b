/* agreement_map.c - from a judge's scale to people's: a rising map, and how well it does on prompts that it was not made of. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

#include "stats/stats.h"

enum { LABELS_LEAST = 20, FOLDS = 5 };

/* The mean of all people who labelled a thing. */
static void people_items(struct agreement_items *out, const struct audit_groups *g, bool of_scores)
{
    struct audit_group all = { .judge = "people", .protocol = "people", .is_people = true };
    size_t to = 0;
    for (size_t i = 0; i < g->n; i++) all.n += g->at[i].is_people ? g->at[i].n : 0;
    all.at = mem_alloc((all.n + 1) * sizeof *all.at);
    for (size_t i = 0; i < g->n; i++)
        for (size_t k = 0; g->at[i].is_people && k < g->at[i].n; k++) all.at[to++] = g->at[i].at[k];
    agreement_items_of(out, &all, of_scores ? OF_SCORES : OF_MEANS);
    mem_free(all.at);
}

struct labelled { double *x, *y; size_t *cluster, n; };

static struct labelled labelled_of(const struct agreement_items *judge, const struct agreement_items *people)
{
    size_t most = judge->n < people->n ? judge->n : people->n, clusters = 0;
    struct labelled l = { mem_alloc((most + 1) * sizeof(double)), mem_alloc((most + 1) * sizeof(double)), mem_alloc((most + 1) * sizeof(size_t)), 0 };
    const char *last = NULL;
    for (size_t i = 0, k = 0; i < judge->n && k < people->n;) {
        int order = agreement_item_order(&judge->at[i], &people->at[k]);
        if (!order) {
            clusters += last && strcmp(last, judge->at[i].id) != 0;
            last = judge->at[i].id;
            l.x[l.n] = judge->at[i].value;
            l.y[l.n] = people->at[k].value;
            l.cluster[l.n++] = clusters;
        }
        i += order <= 0;
        k += order >= 0;
    }
    return l;
}

static json_t *map_of(const struct audit_group *g, const struct labelled *l, bool of_scores, uint64_t seed)
{
    struct stats_map map;
    stats_isotonic(&map, l->x, l->y, NULL, l->n);
    struct stats_held_out error = stats_isotonic_folds(l->x, l->y, l->cluster, l->n, FOLDS, seed);
    json_t *steps = json_array(), *row = json_pack("{s:s, s:s, s:s, s:I, s:i}", "judge", g->judge, "protocol", g->protocol, "kind", of_scores ? "scores" : "verdicts", "n", (json_int_t)l->n, "folds", FOLDS);
    for (size_t i = 0; i < map.n; i++) json_array_append_new(steps, json_pack("[f, f]", map.x[i], map.y[i]));
    json_put_real(row, "raw", error.raw);
    json_put_real(row, "mapped", error.mapped);
    json_put_real(row, "raw_rms", error.raw_rms);
    json_put_real(row, "mapped_rms", error.mapped_rms);
    json_object_set_new(row, "map", steps);
    stats_map_release(&map);
    return row;
}

sc_status judge_calibrate(json_t **out, const struct judgements *j, uint64_t seed, sc_error *err)
{
    struct audit_groups g;
    audit_groups_make(&g, j);
    *out = json_array();
    for (int of_scores = 0; of_scores < 2; of_scores++) {
        struct agreement_items people, judge;
        people_items(&people, &g, of_scores);
        for (size_t i = 0; i < g.n && people.n; i++) {
            if (g.at[i].is_people) continue;
            agreement_items_of(&judge, &g.at[i], of_scores ? OF_SCORES : OF_CLASSES);
            struct labelled l = labelled_of(&judge, &people);
            if (l.n >= LABELS_LEAST) json_array_append_new(*out, map_of(&g.at[i], &l, of_scores, seed));
            mem_free(judge.at);
            mem_free(l.x);
            mem_free(l.y);
            mem_free(l.cluster);
        }
        mem_free(people.at);
    }
    audit_groups_release(&g);
    if (json_array_size(*out)) return SC_OK;
    json_decref(*out);
    *out = NULL;
    return FAIL(err, SC_E_ARGUMENT, "there are no people's labels of %d answers that a judge judged too; give them with --labels, with the same ids and names of models", LABELS_LEAST);
}
