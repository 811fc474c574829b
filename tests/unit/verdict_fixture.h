/* verdict_fixture.h - judgements by hand, and what the verdict says of them. */
#ifndef VERDICT_FIXTURE_H
#define VERDICT_FIXTURE_H

#include "judge/judge.h"
#include "stats/stats.h"
#include "test.h"

static inline void near(const char *file, int line, double found, double expected, double within)
{
    if (!(fabs(found - expected) <= within)) test_failed(file, line, "%.12g, expected %.12g", found, expected);
}
#define NEAR(...) near(__FILE__, __LINE__, __VA_ARGS__)

/* ---- judgements by hand ------------------------------------------------------------------------------------------------------------------------- */

struct made { struct judgements j; size_t cap; char ids[4096][12]; };

static inline struct judgement *add(struct made *m, const char *judge, int id, int turn, const char *first, const char *second, enum judge_winner winner)
{
    const double nan = (double)NAN;
    if (m->j.n == m->cap) m->j.at = mem_grow(m->j.at, (m->cap = 2 * m->cap + 64) * sizeof *m->j.at);
    CHECK(id < 4096);
    if (!m->ids[id][0]) snprintf(m->ids[id], sizeof m->ids[id], "q%d", id);
    struct judgement *j = &m->j.at[m->j.n++];
    *j = (struct judgement){ .judge = (char *)(uintptr_t)judge, .protocol = (char *)(uintptr_t)"pair", .id = m->ids[id], .turn = turn, .model = { (char *)(uintptr_t)first, (char *)(uintptr_t)second },
                             .opinion = { .winner = winner, .strength = 1, .share = nan }, .length = { nan, nan }, .style = { { .tokens = nan }, { .tokens = nan } } };
    return j;
}

/* Both orders of base against tuned; each time who wins as one of 'b', 't', '='. */
static inline void add_both(struct made *m, const char *judge, int id, int turn, char first, char second)
{
    add(m, judge, id, turn, "base", "tuned", first == 'b' ? WINNER_A : first == 't' ? WINNER_B : WINNER_TIE);
    add(m, judge, id, turn, "tuned", "base", second == 't' ? WINNER_A : second == 'b' ? WINNER_B : WINNER_TIE);
}

static inline void add_score(struct made *m, const char *judge, int id, int turn, const char *model, double score)
{
    struct judgement *j = add(m, judge, id, turn, model, NULL, WINNER_NONE);
    j->opinion.n_scores = 1;
    j->opinion.score[0] = score;
}

static inline void forget(struct made *m)
{
    mem_free(m->j.at);
    memset(m, 0, sizeof *m);
}

static inline json_t *verdict(const struct made *m, const char *audit)
{
    json_t *out = NULL, *a = audit ? json_loads(audit, 0, NULL) : NULL;
    CHECK(!audit || a);
    CHECK_OK(judge_verdict(&out, &m->j, a, 1, err));
    json_decref(a);
    return out;
}

static inline const char *text(const json_t *o, const char *key)
{
    const char *t = json_string_value(json_object_get(o, key));
    return t ? t : "";
}
static inline double real(const json_t *o, const char *key)
{
    const json_t *v = json_object_get(o, key);
    return json_is_number(v) ? json_number_value(v) : (double)NAN;
}
static inline int whole(const json_t *o, const char *key) { return (int)json_integer_value(json_object_get(o, key)); }

static inline json_t *pair(const json_t *v, const char *judge, const char *base, const char *tuned, const char *slice)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(v, "pairs"), i, row)
        if (!strcmp(text(row, "judge"), judge) && !strcmp(text(row, "base"), base) && !strcmp(text(row, "tuned"), tuned) && !strcmp(text(row, "slice"), slice)) return row;
    test_failed(__FILE__, __LINE__, "no row of %s: %s against %s, slice \"%s\"", judge, tuned, base, slice);
    return NULL;
}

static inline json_t *model_row(const json_t *v, const char *list, const char *judge, const char *model)
{
    size_t i;
    json_t *row;
    json_array_foreach(json_object_get(v, list), i, row)
        if (!strcmp(text(row, "judge"), judge) && !strcmp(text(row, "model"), model) && !json_object_get(row, "turn")) return row;
    test_failed(__FILE__, __LINE__, "no row of %s by %s in %s", model, judge, list);
    return NULL;
}

#endif
