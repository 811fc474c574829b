/* judged.c - a judging model beside people: the same pairs of answers, the same answers. */
#include "judge/judge.h"
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* What a judge says of answer a against b of a prompt over all its calls: the winner if all agree, else a tie (so both orders have to say the same). */
struct verdicts { int a, b, tie; };

static bool is_of(const struct judgement *j, const struct judgement *judge)
{
    return !j->canary && !j->error && strcmp(j->judge, judge->judge) == 0 && strcmp(j->protocol ? j->protocol : "", judge->protocol ? judge->protocol : "") == 0;
}

static const char *model_of(const struct results *r, size_t answer) { return r->model[r->answer[answer].model]; }
static const char *prompt_of(const struct results *r, size_t item) { return r->prompt[r->item[item].prompt].id; }

/* Judgements by prompt, so that the many pairs of people need not look at all. */
struct of_prompt { const struct judgement **at; size_t n; };

static int by_id(const void *a, const void *b)
{
    const struct judgement *const *x = a, *const *y = b;
    int order = strcmp((*x)->id, (*y)->id);
    return order ? order : (*x > *y) - (*x < *y);
}

static struct of_prompt find_prompt(const struct of_prompt *all, const char *id)
{
    size_t low = 0, high = all->n;
    while (low < high) {
        size_t middle = low + (high - low) / 2;
        if (strcmp(all->at[middle]->id, id) < 0) low = middle + 1;
        else high = middle;
    }
    for (high = low; high < all->n && strcmp(all->at[high]->id, id) == 0; high++) { }
    return (struct of_prompt){ all->at + low, high - low };
}

/* 0: a, 1: b, 2: a tie, -1: the judge was not asked. */
static int verdict_of(const struct of_prompt *p, const char *a, const char *b)
{
    int wins[3] = { 0 }, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        const struct judgement *j = p->at[i];
        if (!j->model[1] || j->opinion.winner == WINNER_NONE) continue;
        bool is_straight = !strcmp(j->model[0], a) && !strcmp(j->model[1], b), is_turned = !strcmp(j->model[0], b) && !strcmp(j->model[1], a);
        if (!is_straight && !is_turned) continue;
        n++;
        if (j->opinion.winner == WINNER_TIE) wins[2]++;
        else wins[(j->opinion.winner == WINNER_A) == is_straight ? 0 : 1]++;
    }
    return !n ? -1 : wins[0] == n ? 0 : wins[1] == n ? 1 : 2;
}

struct votes { int *judge, *people; size_t *prompt, n, cap; };

static void votes_add(struct votes *v, int judge, int people, size_t prompt)
{
    if (v->n == v->cap) {
        v->cap = v->cap ? 2 * v->cap : 256;
        v->judge = mem_grow(v->judge, v->cap * sizeof *v->judge);
        v->people = mem_grow(v->people, v->cap * sizeof *v->people);
        v->prompt = mem_grow(v->prompt, v->cap * sizeof *v->prompt);
    }
    v->judge[v->n] = judge;
    v->people[v->n] = people;
    v->prompt[v->n++] = prompt;
}

static void votes_release(struct votes *v)
{
    mem_free(v->judge);
    mem_free(v->people);
    mem_free(v->prompt);
}

/* What stays the same for all judges. */
struct people { const struct results *r; struct rated_index index; uint64_t seed; size_t draws; };

/* Each rating alone to `each`, the majority of an item's raters to `most`. */
static void vote_pair(struct votes *each, struct votes *most, const struct people *of, const struct of_prompt *p, size_t item, size_t a, size_t b)
{
    const struct results *r = of->r;
    int sum = 0, n = 0, judge = verdict_of(p, model_of(r, a), model_of(r, b));
    for (size_t i = of->index.of_item[item]; i < of->index.of_item[item + 1] && judge >= 0; i++) {
        int c = rated_pair(&r->rated[of->index.by_item[i]], a, b);
        votes_add(each, judge, c < 0 ? 0 : c > 0 ? 1 : 2, r->item[item].prompt);
        sum += c;
        n++;
    }
    if (n) votes_add(most, judge, sum < 0 ? 0 : sum > 0 ? 1 : 2, r->item[item].prompt);
}

static void set_votes(json_t *row, const char *name, const struct votes *v, const struct people *of)
{
    double *zero = mem_zero(v->n + 1, sizeof *zero), *is_same = mem_alloc((v->n + 1) * sizeof *is_same);
    json_t *o = json_object();
    size_t clear = 0, same = 0;
    for (size_t i = 0; i < v->n; i++) {
        is_same[i] = v->judge[i] == v->people[i];
        if (v->judge[i] == 2 || v->people[i] == 2) continue;
        clear++;
        same += v->judge[i] == v->people[i];
    }
    struct stats_difference d = stats_paired(zero, is_same, v->prompt, v->n, of->r->n_prompts, of->seed, of->draws);
    json_object_set_new(o, "pairs", json_integer((json_int_t)v->n));
    set_number(o, "share", d.value);
    set_number(o, "share_low", d.interval.low);
    set_number(o, "share_high", d.interval.high);
    json_object_set_new(o, "pairs_without_ties", json_integer((json_int_t)clear));
    set_number(o, "share_without_ties", clear ? (double)same / (double)clear : (double)NAN);
    set_number(o, "kappa", v->n ? stats_kappa(v->judge, v->people, v->n, 3) : (double)NAN);
    json_object_set_new(row, name, o);
    mem_free(zero);
    mem_free(is_same);
}

/* Scores of single answers: the judge's mean against people's mean, over answers. */
static void set_scores(json_t *row, const struct people *of, const struct of_prompt *all)
{
    const struct results *r = of->r;
    double *people = mem_alloc((r->n_answers + 1) * sizeof *people), *judge = mem_alloc((r->n_answers + 1) * sizeof *judge);
    size_t n = 0;
    for (size_t a = 0; a < r->n_answers; a++) {
        double sum = 0, judged = 0;
        size_t k = 0, calls = 0;
        if (r->answer[a].model == RANK_NONE) continue;
        struct of_prompt p = find_prompt(all, prompt_of(r, r->answer[a].item));
        for (size_t i = 0; i < p.n; i++)
            for (int side = 0; side < (p.at[i]->model[1] ? 2 : 1); side++)
                if (side < p.at[i]->opinion.n_scores && strcmp(p.at[i]->model[side], model_of(r, a)) == 0) { judged += p.at[i]->opinion.score[side]; calls++; }
        for (size_t i = of->index.of_item[r->answer[a].item]; i < of->index.of_item[r->answer[a].item + 1] && calls; i++) {
            const struct rated *x = &r->rated[of->index.by_item[i]];
            for (size_t s = 0; s < x->n; s++)
                if (x->answer[s] == a) { sum += x->rating.answer[s].score; k++; }
        }
        if (!calls || !k) continue;
        people[n] = sum / (double)k;
        judge[n++] = judged / (double)calls;
    }
    json_object_set_new(row, "scored", json_integer((json_int_t)n));
    set_number(row, "score_spearman", n > 2 ? stats_spearman(people, judge, n).value : (double)NAN);
    set_number(row, "score_kendall", n > 2 ? stats_kendall(people, judge, n).value : (double)NAN);
    mem_free(people);
    mem_free(judge);
}

static json_t *row_of(const struct people *of, const struct judgements *j, const struct judgement *judge)
{
    const struct results *r = of->r;
    struct of_prompt all = { mem_alloc((j->n + 1) * sizeof *all.at), 0 };
    struct votes each = { 0 }, most = { 0 };
    for (size_t i = 0; i < j->n; i++)
        if (is_of(&j->at[i], judge)) all.at[all.n++] = &j->at[i];
    qsort(all.at, all.n, sizeof *all.at, by_id);
    for (size_t a = 0; a < r->n_answers; a++)
        for (size_t b = a + 1; b < r->n_answers && r->answer[b].item == r->answer[a].item; b++) {      /* answers of an item lie together */
            if (r->answer[a].model == RANK_NONE || r->answer[b].model == RANK_NONE) continue;
            struct of_prompt p = find_prompt(&all, prompt_of(r, r->answer[a].item));
            vote_pair(&each, &most, of, &p, r->answer[a].item, a, b);
        }
    json_t *row = json_pack("{s:s, s:s?, s:I}", "judge", judge->judge, "protocol", judge->protocol, "calls", (json_int_t)all.n);
    set_votes(row, "with_each", &each, of);
    set_votes(row, "with_majority", &most, of);
    set_scores(row, of, &all);
    votes_release(&each);
    votes_release(&most);
    mem_free(all.at);
    return row;
}

sc_status judged_of(json_t **out, const struct results *r, const char *path, uint64_t seed, size_t draws, sc_error *err)
{
    struct people of = { .r = r, .seed = seed, .draws = draws };
    struct judgements j = { .low = (double)NAN, .high = (double)NAN };
    *out = NULL;
    TRY(judgements_read(&j, path, NULL, NULL, err));
    rated_index_init(&of.index, r);
    *out = json_array();
    for (size_t i = 0; i < j.n; i++) {
        bool is_new = !j.at[i].canary && !j.at[i].error;
        for (size_t k = 0; k < i && is_new; k++) is_new = !is_of(&j.at[k], &j.at[i]);
        if (is_new) json_array_append_new(*out, row_of(&of, &j, &j.at[i]));
    }
    rated_index_release(&of.index);
    judgements_release(&j);
    return SC_OK;
}
