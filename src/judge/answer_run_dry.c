/* answer_run_dry.c - a run without asking anybody: what the cache holds is taken, everything else counts as paid once, with the longest answer. */
#include "judge/judge_run.h"

#include <string.h>

enum { CHARACTERS_A_TOKEN = 4, LONGEST_ANSWER = 1 << 20 };

/* The longest answer, of x. */
static void answer_longest(struct reply *r, const char *request)
{
    int64_t most = request_limit(request);
    most = most < LONGEST_ANSWER ? most : LONGEST_ANSWER;
    *r = (struct reply){ .text = mem_alloc((size_t)most * CHARACTERS_A_TOKEN + 1), .finish = mem_strdup("stop"), .tokens_in = -1, .tokens_out = most };
    memset(r->text, 'x', (size_t)most * CHARACTERS_A_TOKEN);
    r->text[most * CHARACTERS_A_TOKEN] = 0;
}

static void pay(const struct talk *t, const char *request, const struct reply *r)
{
    if (!t->endpoint) {
        t->budget->here++;
        return;
    }
    t->budget->reserved_calls++;                               /* which settling takes back */
    budget_settle(t->budget, 0, strlen(request), r);
}

sc_status talk_run_dry(struct talk *t, const struct asker *a, sc_error *err)
{
    struct ask ask;
    sc_status status = SC_OK;
    json_t *asked = json_object();
    while (status == SC_OK && a->next(a->user, &ask)) {
        char key[65];
        bool found = false;
        struct reply r = { 0 };
        cache_key(key, t->endpoint ? t->endpoint->address : t->who, t->endpoint ? t->name : "", ask.request);
        status = cache_find(&found, &r, t->cache, key, err);
        if (status == SC_OK && !found) {
            answer_longest(&r, ask.request);
            found = r.is_kept = json_object_get(asked, key) != NULL;       /* the cache would have it by then */
            if (!found) pay(t, ask.request, &r);
            json_object_set_new(asked, key, json_true());
        }
        if (status == SC_OK && found) t->budget->kept++;
        if (status == SC_OK) status = a->answered(a->user, ask.item, &r, err);
        reply_release(&r);
        mem_free(ask.request);
    }
    json_decref(asked);
    return status;
}
