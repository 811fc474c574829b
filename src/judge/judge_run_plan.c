/* judge_run_plan.c - the questions of a run: each prompt of each pair of models, both ways round, turn by turn, and the trick questions among them. */
#include "judge/judge_run.h"

#include <string.h>

static void add_question(struct questions *out, struct question q)
{
    if (out->n % 256 == 0) out->at = mem_grow(out->at, (out->n + 256) * sizeof *out->at);
    out->at[out->n++] = q;
}

/* Which stands first where each pair is shown once. */
static bool is_turned(const struct judge_prompt *q, uint64_t seed, size_t pair)
{
    uint64_t h = 1469598103934665603u;                         /* FNV-1a: a number of its own for each id */
    for (const char *p = q->id; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    return random_u32(seed, h, pair) & 1;
}

static void add_pair(struct questions *out, const struct judge_prompts *p, const struct judge_answers *a, const char *base, const char *tuned, int turns, size_t pair, const sc_judge_config *c)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct judge_answer *x = judge_answers_find(a, base, p->at[i].id), *y = judge_answers_find(a, tuned, p->at[i].id);
        bool turned = c->one_order && is_turned(&p->at[i], (uint64_t)c->seed, pair);
        for (int turn = 1; x && y && turn <= turns && (size_t)turn <= p->at[i].n_turns; turn++) {
            add_question(out, (struct question){ .prompt = i, .a = turned ? y : x, .b = turned ? x : y, .turn = turn });
            if (!c->one_order) add_question(out, (struct question){ .prompt = i, .a = y, .b = x, .turn = turn });
        }
    }
}

static void add_single(struct questions *out, const struct judge_prompts *p, const struct judge_answers *a, const char *name, int turns)
{
    for (size_t i = 0; i < p->n; i++) {
        const struct judge_answer *x = judge_answers_find(a, name, p->at[i].id);
        for (int turn = 1; x && turn <= turns && (size_t)turn <= p->at[i].n_turns; turn++) add_question(out, (struct question){ .prompt = i, .a = x, .turn = turn });
    }
}

void questions_make(struct questions *out, const struct judge_protocol *protocol, const struct judge_prompts *p, const struct judge_answers *a, char *const *names, size_t n_names, const sc_judge_config *c)
{
    bool is_pair = judge_protocol_is_pair(protocol), has_baseline = c->baseline && *c->baseline;
    int turns = judge_protocol_turns(protocol);
    size_t pair = 0;
    *out = (struct questions){ 0 };
    canaries_make(&out->canaries, p, a, is_pair, judge_protocol_can_tie(protocol), (size_t)c->canaries, (uint64_t)c->seed);
    /* First, so that a judge is tested before money ends. */
    for (size_t i = 0; i < out->canaries.n; i++) {
        const struct canary *k = &out->canaries.at[i];
        struct question q = { .prompt = k->prompt, .a = is_pair && k->slot ? k->good : &k->bad, .turn = 1, .canary = k };
        if (is_pair) q.b = k->slot ? &k->bad : k->good;
        add_question(out, q);
    }
    for (size_t i = 0; i < n_names; i++) {
        if (!is_pair) add_single(out, p, a, names[i], turns);
        for (size_t j = i + 1; is_pair && j < n_names && (i == 0 || !has_baseline); j++) add_pair(out, p, a, names[i], names[j], turns, pair++, c);
    }
}

void questions_release(struct questions *p)
{
    canaries_release(&p->canaries);
    mem_free(p->at);
    *p = (struct questions){ 0 };
}

char *question_key(const struct question *q, const struct judge_prompts *p, const char *judge)
{
    json_t *parts = json_pack("[s, s, i, s, s, s, i, i]", judge, p->at[q->prompt].id, q->turn, q->a->model, q->b ? q->b->model : "", q->canary ? q->canary->kind : "", q->canary ? q->canary->slot : 0, q->again);
    char *text = json_dumps(parts, JSON_COMPACT);
    json_decref(parts);
    return text;
}
