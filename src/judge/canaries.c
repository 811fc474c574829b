/* canaries.c - trick questions: pairs of which one answer was spoilt on purpose. A judge that does not see it cannot be trusted with answers that differ by less. */
#include "judge/judge_run.h"

#include <string.h>

enum { LEAST_TO_CUT = 80, KEPT_SHARE = 4 };          /* characters of an answer that is cut to a quarter */
static const char *const kinds[] = { "mismatched", "empty", "truncated", "identical" };
enum { MISMATCHED, EMPTY, TRUNCATED, IDENTICAL, KINDS };

/* The first `bytes` of the text, no character cut through. */
static char *beginning(const char *text, size_t bytes)
{
    while (bytes && ((unsigned char)text[bytes] & 0xC0) == 0x80) bytes--;
    return mem_strndup(text, bytes);
}

/* The first turn, spoilt; NULL: this one cannot be. */
static char *spoil(int kind, const struct judge_answer *good, const struct judge_answers *a, uint64_t draw)
{
    const char *text = good->turn[0];
    size_t n = strlen(text);
    if (!n) return NULL;
    if (kind == EMPTY) return mem_strdup("");
    if (kind == IDENTICAL) return mem_strdup(text);
    if (kind == TRUNCATED) return n >= LEAST_TO_CUT ? beginning(text, n / KEPT_SHARE) : NULL;
    for (size_t i = 0; i < a->n; i++) {
        const struct judge_answer *other = &a->at[(draw + i) % a->n];
        if (!strcmp(other->model, good->model) && strcmp(other->id, good->id) != 0 && *other->turn[0] && strcmp(other->turn[0], text) != 0) return mem_strdup(other->turn[0]);
    }
    return NULL;
}

/* 0..n-1 in a drawn order. */
static size_t *shuffled(size_t n, uint64_t seed, uint64_t stream)
{
    size_t *order = mem_alloc((n + 1) * sizeof *order);
    for (size_t i = 0; i < n; i++) {
        size_t j = random_u32(seed, stream, i) % (i + 1);
        order[i] = order[j];
        order[j] = i;
    }
    return order;
}

static void add_canary(struct canaries *out, int kind, size_t prompt, int slot, const struct judge_answer *good, char *text)
{
    struct canary *c = &out->at[out->n++];
    *c = (struct canary){ .kind = kinds[kind], .prompt = prompt, .slot = slot, .good = good };
    c->bad = (struct judge_answer){ .id = mem_strdup(good->id), .model = mem_strdup(good->model), .turn = mem_alloc(sizeof(char *)), .n_turns = 1 };
    c->bad.turn[0] = text;
}

static size_t prompt_of(const struct judge_prompts *p, const char *id)
{
    size_t i = 0;
    while (i < p->n && strcmp(p->at[i].id, id) != 0) i++;
    return i;
}

/* Half of them stand first, half second. */
void canaries_make(struct canaries *out, const struct judge_prompts *p, const struct judge_answers *a, bool is_pair, bool can_tie, size_t each, uint64_t seed)
{
    *out = (struct canaries){ .at = mem_zero(each * KINDS + 1, sizeof *out->at) };
    for (int kind = 0; kind < KINDS; kind++) {
        if (kind == IDENTICAL && !can_tie) continue;              /* it could not say that it sees it */
        size_t *order = shuffled(a->n, seed, (uint64_t)(100 + kind)), taken = 0;
        for (size_t i = 0; i < a->n && taken < each; i++) {
            const struct judge_answer *good = &a->at[order[i]];
            size_t prompt = prompt_of(p, good->id);
            char *text = prompt < p->n ? spoil(kind, good, a, random_u32(seed, 200, order[i])) : NULL;
            if (!text) continue;
            add_canary(out, kind, prompt, is_pair ? (int)(taken % 2) : 0, good, text);
            taken++;
        }
        mem_free(order);
    }
}

void canaries_release(struct canaries *c)
{
    for (size_t i = 0; i < c->n; i++) {
        mem_free(c->at[i].bad.turn[0]);
        mem_free(c->at[i].bad.turn);
        mem_free(c->at[i].bad.id);
        mem_free(c->at[i].bad.model);
    }
    mem_free(c->at);
    *c = (struct canaries){ 0 };
}
