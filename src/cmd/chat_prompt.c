/* chat_prompt.c - reading the prompt: only what the session does not hold already, in steps of about half a second, so
 * that there is progress to show and Ctrl-C is quick on a large model too; and ahead of time, while the person types:
 * a few-shot prompt or a continued conversation, which then goes to the prompt cache. Steps change no result: the session's numbers do not depend on them. */
#include "cmd/chat.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { STEP_LEAST = 8, STEP_FIRST = 64, AHEAD_LEAST = 64 };
#define STEP_SECONDS 0.5
#define PROGRESS_SECONDS 1.0

static size_t common_prefix(const struct chat *c, const sc_tokens *prompt)
{
    size_t n = 0;
    while (n < c->n_past && n < prompt->len && c->past[n] == prompt->id[n]) n++;
    return n;
}

void past_keep(struct chat *c, const int32_t *id, size_t n, size_t from)
{
    if (from + n > c->past_cap) {
        c->past_cap = (from + n) * 2;
        c->past = realloc(c->past, c->past_cap * sizeof *c->past);
        if (!c->past) abort();
    }
    if (n) memcpy(c->past + from, id, n * sizeof *id);
    c->n_past = from + n;
}

/* After a sync. What was refused left the session as it was; forgetting what it holds costs time and nothing else. */
static void note_past(struct chat *c, const sc_tokens *prompt, sc_status status)
{
    bool is_prefix = status == SC_OK || status == SC_E_CANCELLED;
    past_keep(c, prompt->id, is_prefix ? sc_session_length(c->session) : 0, 0);
}

/* What an earlier start has read already. */
static void restore(struct chat *c, const sc_tokens *prompt)
{
    if (sc_session_restore(c->session, c->cache, prompt->id, prompt->len)) past_keep(c, prompt->id, sc_session_length(c->session), 0);
}

/* One step from *at on. Never syncs to less than what is kept: that would forget the rest. */
static sc_status read_step(struct chat *c, const sc_tokens *prompt, size_t *at, sc_error *err)
{
    if (!c->step) c->step = c->chunk < STEP_FIRST ? c->chunk : STEP_FIRST;
    double begin = seconds_now();
    *at = prompt->len - *at > c->step ? *at + c->step : prompt->len;
    sc_status status = sc_session_sync(c->session, prompt->id, *at, err);
    double seconds = seconds_now() - begin;
    if (seconds < STEP_SECONDS / 2 && c->step * 2 <= c->chunk) c->step *= 2;
    if (seconds > STEP_SECONDS * 2 && c->step > STEP_LEAST) c->step /= 2;
    return status;
}

static void show_progress(const struct chat *c, size_t done, size_t all)
{
    if (c->common->quiet || !is_able_terminal(stderr)) return;
    if (done < all) fprintf(stderr, "\r\033[Kreading the prompt: %zu of %zu tokens", done, all);
    else fputs("\r\033[K", stderr);
    fflush(stderr);
}

sc_status chat_read_prompt(struct chat *c, const sc_tokens *prompt, sc_error *err)
{
    restore(c, prompt);
    size_t at = common_prefix(c, prompt);
    bool is_shown = false;
    double begin = seconds_now();
    c->last = (struct answer_figures){ .prompt = prompt->len };
    sc_status status = read_step(c, prompt, &at, err);
    c->last.reused = sc_session_reused(c->session);
    while (status == SC_OK && at < prompt->len) {
        is_shown = is_shown || seconds_now() - begin > PROGRESS_SECONDS;
        if (is_shown) show_progress(c, at, prompt->len);
        status = read_step(c, prompt, &at, err);
    }
    if (is_shown) show_progress(c, prompt->len, prompt->len);
    note_past(c, prompt, status);
    return status;
}

/* ---- ahead of time ------------------------------------------------------------------------------------------------------ */

static bool is_ahead_over(void *user)
{
    const struct chat *c = user;
    return c->ahead.is_stopped;
}

void chat_keep(struct chat *c)
{
    if (c->is_kept) keep_prompt(c->common, c->session, c->cache, is_ahead_over, c);
}

static void *read_ahead(void *arg)
{
    struct chat *c = arg;
    restore(c, &c->ahead.prompt);
    size_t at = common_prefix(c, &c->ahead.prompt);
    sc_status status = SC_OK;
    bool is_read = false;
    for (; status == SC_OK && at < c->ahead.prompt.len && !c->ahead.is_stopped; is_read = true) status = read_step(c, &c->ahead.prompt, &at, NULL);
    if (is_read) note_past(c, &c->ahead.prompt, status);
    if (!c->ahead.is_stopped) chat_keep(c);
    return NULL;
}

void chat_ahead_begin(struct chat *c)
{
    sc_tokens *prompt = &c->ahead.prompt;
    if (c->ahead.is_on || (!c->talk.n && !c->has_fewshot) || chat_encode(c, prompt, NULL) != SC_OK) return;
    bool is_worth_it = prompt->len < sc_session_capacity(c->session) && prompt->len - common_prefix(c, prompt) >= AHEAD_LEAST;
    is_worth_it = is_worth_it || (c->is_kept && sc_session_unkept(c->session, c->cache));
    if (is_worth_it) c->ahead.is_on = pthread_create(&c->ahead.thread, NULL, read_ahead, c) == 0;
    if (!c->ahead.is_on) sc_tokens_free(prompt);
}

void chat_ahead_end(struct chat *c)
{
    if (!c->ahead.is_on) return;
    c->ahead.is_stopped = true;
    pthread_join(c->ahead.thread, NULL);
    sc_tokens_free(&c->ahead.prompt);
    c->ahead.is_stopped = false;
    c->ahead.is_on = false;
}
