/* audit_fixture.h - judgements by hand, and what an audit says of them. */
#ifndef AUDIT_FIXTURE_H
#define AUDIT_FIXTURE_H

#include "judge/judge_internal.h"
#include "test.h"

static inline char *copy(const char *text) { return text ? mem_strdup(text) : NULL; }

static inline struct judgement *call(struct judgements *all, const char *judge, const char *protocol, int id, const char *a, const char *b)
{
    struct judgement *j;
    char name[20];
    if (!all->n) all->low = all->high = NAN;
    all->at = mem_grow(all->at, (all->n + 1) * sizeof *all->at);
    judgement_begin(j = &all->at[all->n++]);
    snprintf(name, sizeof name, "q%d", id);
    j->judge = copy(judge);
    j->protocol = copy(protocol);
    j->id = copy(name);
    j->model[0] = copy(a);
    j->model[1] = copy(b);
    return j;
}

static inline void decide(struct judgement *j, enum judge_winner w) { j->opinion.winner = w; }

static inline void score_pair(struct judgement *j, double a, double b)
{
    j->opinion.n_scores = 2;
    j->opinion.score[0] = a;
    j->opinion.score[1] = b;
    j->opinion.winner = a > b ? WINNER_A : a < b ? WINNER_B : WINNER_TIE;
}

static inline json_t *audited(struct judgements *all)
{
    json_t *out = NULL;
    CHECK_OK(judge_audit(&out, all, 1, err));
    judgements_release(all);
    return out;
}

static inline const json_t *judge_at(const json_t *audit, size_t i) { return json_array_get(json_object_get(audit, "judges"), i); }

/* 1: refuses, 0: warns, -1: not found. */
static inline int found(const json_t *judge, const char *name)
{
    const json_t *f;
    size_t i;
    json_array_foreach(json_object_get(judge, "findings"), i, f)
        if (!strcmp(json_string_value(json_object_get(f, "name")), name)) return json_is_true(json_object_get(f, "refuses"));
    return -1;
}

static inline bool trusted(const json_t *judge) { return json_is_true(json_object_get(judge, "is_calibrated")); }
static inline double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* All files in one list. */
static inline struct judgements read_all(const char *const *paths, size_t n)
{
    struct judgements all = { 0 };
    for (size_t i = 0; i < n; i++) CHECK_OK(judgements_read(&all, paths[i], NULL, NULL, err));
    return all;
}

static inline const char *write_file(const char *name, const char *text)
{
    static char path[4][400];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_scratch(), name);
    CHECK_OK(file_write(path[turn], text, strlen(text), err));
    return path[turn];
}

#endif
