/* verdict_units.c - from calls of judges to comparisons of two answers. */
#include "judge/verdict_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

void verdict_note(struct verdict *v, const char *format, ...)
{
    char text[1000];
    struct buf whole;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_init(&whole, 0);
    utf8_repair(&whole, text, strlen(text));                   /* may be cut in a character */
    json_array_append_new(v->notes, json_stringn(whole.data, whole.len));
    buf_release(&whole);
}

/* ---- names to numbers, in the order in which they are first seen ---------------------------------------------------------------------------------- */

struct seen { json_t *judges, *prompts, *models; };

static size_t number_of(json_t *map, const char *a, const char *b, bool *is_new)
{
    struct buf key;
    buf_init(&key, 0);
    buf_printf(&key, "%s\n%s", a, b);
    json_t *found = json_object_getn(map, key.data, key.len);
    size_t n = found ? (size_t)json_integer_value(found) : json_object_size(map);
    *is_new = !found;
    if (!found) json_object_setn_new_nocheck(map, key.data, key.len, json_integer((json_int_t)n));
    buf_release(&key);
    return n;
}

static bool is_seen(const json_t *map, const char *a, const char *b)
{
    struct buf key;
    buf_init(&key, 0);
    buf_printf(&key, "%s\n%s", a, b);
    bool found = json_object_getn(map, key.data, key.len) != NULL;
    buf_release(&key);
    return found;
}

static const char *text_of(const char *s) { return s ? s : ""; }

static size_t judge_number(struct verdict *v, struct seen *seen, const struct judgement *j)
{
    bool is_new;
    size_t n = number_of(seen->judges, text_of(j->judge), text_of(j->protocol), &is_new);
    if (is_new) {
        v->judge = mem_grow(v->judge, (n + 1) * sizeof *v->judge);
        v->judge[v->n_judges++] = (struct verdict_judge){ .name = text_of(j->judge), .protocol = text_of(j->protocol) };
    }
    return n;
}

static size_t prompt_number(struct verdict *v, struct seen *seen, const struct judgement *j)
{
    bool is_new;
    size_t n = number_of(seen->prompts, text_of(j->id), "", &is_new);
    if (is_new) {
        if ((n & (n - 1)) == 0) v->prompt = mem_grow(v->prompt, (2 * n + 1) * sizeof *v->prompt);      /* room doubles at powers of two */
        v->prompt[v->n_prompts++] = (struct verdict_prompt){ text_of(j->id), "", "" };
    }
    if (!*v->prompt[n].slice) v->prompt[n].slice = text_of(j->slice);
    if (!*v->prompt[n].language) v->prompt[n].language = text_of(j->language);
    return n;
}

static size_t model_number(struct verdict *v, struct seen *seen, const char *name)
{
    bool is_new;
    size_t n = number_of(seen->models, name, "", &is_new);
    if (is_new) {
        v->model = mem_grow(v->model, (n + 1) * sizeof *v->model);
        v->model[v->n_models++] = name;
    }
    return n;
}

/* ---- calls ------------------------------------------------------------------------------------------------------------------------------------------ */

/* As a comparison of one call: base and tuned not yet by number but side 0 and 1 in the order of the models. False: it says nothing. */
static bool read_pair(struct comparison *out, struct verdict_judge *judge, const struct judgement *j, const size_t model[2])
{
    const struct judge_opinion *o = &j->opinion;
    int flip = model[0] > model[1];                            /* the tuned one stood first */
    double first = o->winner == WINNER_A ? 1 : o->winner == WINNER_B ? 0 : 0.5;
    bool has_scores = o->n_scores >= 2;
    if (o->winner == WINNER_NONE && !has_scores) return false;
    if (o->winner == WINNER_NONE) first = o->score[0] - o->score[1] > VERDICT_TIE ? 1 : o->score[1] - o->score[0] > VERDICT_TIE ? 0 : 0.5;
    out->won = (first > 0.5) - (first < 0.5);
    if (o->share > 0 && o->share < 1) {
        first = o->share;
        judge->is_probability = judge->is_probability || first != 0.5;
    }
    if (o->strength == 2) judge->is_weighted = true;
    out->won = flip ? out->won : -out->won;
    out->share = flip ? first : 1 - first;
    out->weight = o->strength == 2 ? 3 : 1;                    /* Arena-Hard counts "much better" three times */
    out->base = model[flip];
    out->tuned = model[!flip];
    out->asked = out->answered = flip ? ORDER_TUNED_FIRST : ORDER_BASE_FIRST;
    for (int side = 0; side < 2; side++) {
        int slot = side ^ flip;
        out->score[side] = has_scores ? o->score[slot] : (double)NAN;
        out->length[side] = j->length[slot];
        out->style[side] = j->style[slot];
    }
    return true;
}

static void read_judgement(struct verdict *v, struct seen *seen, const struct judgement *j, size_t at, size_t *cap)
{
    if (j->canary || j->error || !j->model[0]) return;
    size_t judge = judge_number(v, seen, j), prompt = prompt_number(v, seen, j), model[2] = { model_number(v, seen, j->model[0]), 0 };
    if (!j->model[1]) {
        if (j->opinion.n_scores < 1) return;
        v->score[v->n_scores++] = (struct scored){ judge, prompt, model[0], at, 1, j->turn, j->opinion.score[0], j->length[0], j->style[0] };
        return;
    }
    model[1] = model_number(v, seen, j->model[1]);
    if (model[0] == model[1]) return;
    if (v->n == *cap) v->at = mem_grow(v->at, (*cap = 2 * *cap + 64) * sizeof *v->at);
    struct comparison *c = &v->at[v->n];
    *c = (struct comparison){ .judge = judge, .prompt = prompt, .first = at, .turn = j->turn, .n_calls = 1 };
    v->n += read_pair(c, &v->judge[judge], j, model);
}

/* A call without a verdict, of a judge that gave some: it tells what was asked. */
static void read_failure(struct verdict *v, struct seen *seen, const struct judgement *j, size_t at, size_t *cap)
{
    bool is_pair = j->model[1] != NULL;
    if (j->canary || !j->error || !j->model[0] || (is_pair && !strcmp(j->model[0], j->model[1])) || !is_seen(seen->judges, text_of(j->judge), text_of(j->protocol))) return;
    size_t judge = judge_number(v, seen, j), prompt = prompt_number(v, seen, j), first = model_number(v, seen, j->model[0]), second;
    if (!is_pair) {
        v->score[v->n_scores++] = (struct scored){ judge, prompt, first, at, 0, j->turn, (double)NAN, j->length[0], j->style[0] };
        return;
    }
    second = model_number(v, seen, j->model[1]);
    if (v->n == *cap) v->at = mem_grow(v->at, (*cap = 2 * *cap + 64) * sizeof *v->at);
    v->at[v->n++] = (struct comparison){ .judge = judge, .prompt = prompt, .base = first < second ? first : second, .tuned = first < second ? second : first, .first = at, .turn = j->turn,
                                         .asked = first < second ? ORDER_BASE_FIRST : ORDER_TUNED_FIRST };
}

/* ---- both orders become one -------------------------------------------------------------------------------------------------------------------------- */

#define BY(field) if (x->field != y->field) return x->field < y->field ? -1 : 1
static int by_answers(const void *a, const void *b)
{
    const struct comparison *x = a, *y = b;
    BY(judge);
    BY(base);
    BY(tuned);
    BY(prompt);
    BY(turn);
    BY(first);
    return 0;
}
static int by_first(const void *a, const void *b)
{
    const struct comparison *x = a, *y = b;
    BY(first);
    BY(base);
    BY(tuned);
    return 0;
}
static int by_answer(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;
    BY(judge);
    BY(prompt);
    BY(turn);
    BY(model);
    BY(first);
    return 0;
}

static bool is_same(const struct comparison *x, const struct comparison *y)
{
    return x->judge == y->judge && x->base == y->base && x->tuned == y->tuned && x->prompt == y->prompt && x->turn == y->turn;
}

/* FastChat's rule: a winner only if all calls name it, else a tie. Where calls give probabilities or strengths, the mean of those counts instead, each call by its weight. Both orders count
 * alike, however often each was asked. */
static struct comparison combined(const struct verdict *v, const struct comparison *c, size_t n)
{
    const struct verdict_judge *judge = &v->judge[c->judge];
    size_t calls[4] = { 0 }, first = 0;
    double share = 0, weight = 0, score[2] = { 0, 0 };
    unsigned asked = 0, answered = 0;
    for (size_t i = n; i-- > 0;) {
        asked |= c[i].asked;
        answered |= c[i].answered;
        calls[c[i].answered]++;
        if (c[i].answered) first = i;
    }
    struct comparison out = c[first];
    out.asked = asked;
    out.answered = answered;
    if (!answered) return out;
    for (size_t i = first; i < n; i++) {
        if (!c[i].answered) continue;
        double part = 1 / (double)calls[c[i].answered] / (answered == ORDER_BOTH ? 2 : 1);
        out.is_inconsistent = out.is_inconsistent || c[i].won != c[first].won;
        share += part * c[i].weight * c[i].share;
        weight += part * c[i].weight;
        for (int side = 0; side < 2; side++) {
            score[side] += part * c[i].score[side];
            if (isnan(out.length[side])) out.length[side] = c[i].length[side];
            if (isnan(out.style[side].tokens)) out.style[side] = c[i].style[side];
        }
    }
    out.n_calls = n - calls[0];
    if (out.is_inconsistent) out.won = 0;
    out.share = judge->is_probability || judge->is_weighted ? share / weight : 0.5 + 0.5 * out.won;
    out.weight = judge->is_weighted ? weight : 1;
    for (int side = 0; side < 2; side++) out.score[side] = score[side];
    return out;
}

static size_t end_of(const struct verdict *v, size_t i)
{
    size_t end = i + 1;
    while (end < v->n && is_same(&v->at[i], &v->at[end])) end++;
    return end;
}

static void add_incomplete(struct verdict *v, const struct comparison *c)
{
    if (!(v->n_incomplete & (v->n_incomplete - 1))) v->incomplete = mem_grow(v->incomplete, (v->n_incomplete ? 2 * v->n_incomplete : 1) * sizeof *v->incomplete);      /* room doubles at powers of two */
    v->incomplete[v->n_incomplete++] = *c;
}

static void combine_orders(struct verdict *v)
{
    size_t n = 0;
    if (v->n) qsort(v->at, v->n, sizeof *v->at, by_answers);
    for (size_t i = 0, end; i < v->n; i = end) {
        unsigned asked = 0;
        end = end_of(v, i);
        for (size_t k = i; k < end; k++) asked |= v->at[k].asked;
        struct verdict_judge *judge = &v->judge[v->at[i].judge];
        judge->is_both_ways = judge->is_both_ways || (asked == ORDER_BOTH && strcmp(judge->protocol, VERDICT_PEOPLE) != 0);
    }
    for (size_t i = 0, end; i < v->n; i = end) {
        end = end_of(v, i);
        struct comparison c = combined(v, &v->at[i], end - i);
        if (v->judge[c.judge].is_both_ways ? c.answered == ORDER_BOTH : c.answered != 0) v->at[n++] = c;
        else add_incomplete(v, &c);
    }
    v->n = n;
}

/* ---- answers that were judged alone --------------------------------------------------------------------------------------------------------------------- */

static void combine_scores(struct verdict *v)
{
    size_t n = 0;
    qsort(v->score, v->n_scores, sizeof *v->score, by_answer);
    for (size_t i = 0; i < v->n_scores; i++) {
        const struct scored *s = &v->score[i];
        struct scored *last = n > 0 ? &v->score[n - 1] : NULL;
        if (last && last->judge == s->judge && last->prompt == s->prompt && last->turn == s->turn && last->model == s->model) {
            if (!s->n_calls) continue;
            if (!last->n_calls) { *last = *s; continue; }
            last->score += (s->score - last->score) / (double)++last->n_calls;
            if (isnan(last->length)) last->length = s->length;
            if (isnan(last->style.tokens)) last->style = s->style;
        } else {
            v->score[n++] = *s;
        }
    }
    v->n_scores = n;
}

/* Each two models whose answers to the same turn were scored by the same judge. */
static void pair_scores(struct verdict *v, size_t *cap)
{
    for (size_t i = 0; i < v->n_scores; i++)
        for (size_t k = i + 1; k < v->n_scores; k++) {
            const struct scored *b = &v->score[i], *t = &v->score[k];
            if (b->judge != t->judge || b->prompt != t->prompt || b->turn != t->turn) break;
            if (!b->n_calls || !t->n_calls) {
                add_incomplete(v, &(struct comparison){ .judge = b->judge, .prompt = b->prompt, .base = b->model, .tuned = t->model, .first = b->first, .turn = b->turn, .is_alone = true });
                continue;
            }
            if (v->n == *cap) v->at = mem_grow(v->at, (*cap = 2 * *cap + 64) * sizeof *v->at);
            int won = (t->score - b->score > VERDICT_TIE) - (b->score - t->score > VERDICT_TIE);
            v->at[v->n++] = (struct comparison){ .judge = b->judge, .prompt = b->prompt, .base = b->model, .tuned = t->model, .first = b->first, .turn = b->turn, .won = won, .is_alone = true,
                                                 .n_calls = b->n_calls + t->n_calls, .share = 0.5 + 0.5 * won, .weight = 1, .score = { b->score, t->score }, .length = { b->length, t->length },
                                                 .style = { b->style, t->style } };
        }
}

void verdict_units(struct verdict *v, const struct judgements *j)
{
    struct seen seen = { json_object(), json_object(), json_object() };
    size_t cap = 0;
    *v = (struct verdict){ .judgements = j, .notes = json_array(), .score = mem_alloc((j->n + 1) * sizeof *v->score) };
    for (size_t i = 0; i < j->n; i++) read_judgement(v, &seen, &j->at[i], i, &cap);
    for (size_t i = 0; i < j->n; i++) read_failure(v, &seen, &j->at[i], i, &cap);
    combine_orders(v);
    combine_scores(v);
    pair_scores(v, &cap);
    if (v->n) qsort(v->at, v->n, sizeof *v->at, by_first);
    json_decref(seen.judges);
    json_decref(seen.prompts);
    json_decref(seen.models);
}

void verdict_release(struct verdict *v)
{
    for (size_t i = 0; i < v->n_judges; i++) mem_free(v->judge[i].withheld);
    mem_free(v->judge);
    mem_free(v->prompt);
    mem_free(v->model);
    mem_free(v->at);
    mem_free(v->incomplete);
    mem_free(v->score);
    json_decref(v->notes);
    *v = (struct verdict){ 0 };
}
