/* disk.c - beginnings of prompts between runs: what took long to read is kept in the prompt cache's files when the engine has nothing else to do,
 * and at its end; a prompt whose beginning is not in memory is looked for there. A session that shares the engine's pages does both, so
 * files are the same as those of `chat` and `complete`. What belongs to a key (salt) is not kept: names of files tell what was read. */
#include "engine/engine_internal.h"

#include <string.h>

enum { WORTH_TOKENS = 256 };

static sc_session *open_session(struct engine *e, sc_model *m)
{
    sc_session *s = NULL;
    const sc_session_config c = { .context = (int64_t)e->c.context, .cache_type = e->c.cache_type, .chunk = 1 };
    return session_open(&s, m, &c, &e->pages, NULL) == SC_OK ? s : NULL;
}

size_t disk_restore(struct engine *e, struct sequence *s)
{
    struct task *t = s->task;
    if (!e->c.prompt_cache || t->salt || t->no_cache || s->length < s->computed + WORTH_TOKENS) return 0;
    size_t needs = kv_page_count(s->length) + 1;
    while (e->pages.most - e->pages.used < needs && prefix_drop_oldest(&e->prefixes)) { }
    sc_session *session = open_session(e, t->model);
    size_t got = 0;
    if (session && session_fork(session, &s->cache, s->token, s->computed, s->computed, NULL) == SC_OK) got = sc_session_restore(session, e->c.prompt_cache, s->token, s->length);
    if (got) {
        struct session_past past;
        session_past(&past, session);
        if (kv_cache_fork(&e->pages, &s->cache, past.cache, past.length / KV_PAGE * KV_PAGE, NULL) == SC_OK) {
            got = past.length / KV_PAGE * KV_PAGE > s->computed ? past.length / KV_PAGE * KV_PAGE - s->computed : 0;
            s->computed = past.length / KV_PAGE * KV_PAGE;
        } else { kv_cache_cut(&e->pages, &s->cache, 0); s->computed = got = 0; }
    }
    sc_session_close(session);
    return got;
}

/* ---- keeping ---------------------------------------------------------------------------------------------------------------------- */

/* Whole pages from the root to n, and how many of the last of them are not on disk. */
static size_t chain_length(const struct prefix_node *n, size_t *fresh, const void **model, uint64_t *salt)
{
    size_t pages = 0;
    bool is_old = false;
    *fresh = 0;
    for (; n->page; n = n->parent) {
        if (n->n < KV_PAGE) continue;
        pages++;
        is_old |= n->is_on_disk;
        *fresh += !is_old;
    }
    *model = n->model;
    *salt = n->salt;
    return pages;
}

static bool stops_keeping(void *user)
{
    struct engine *e = user;
    pthread_mutex_lock(&e->lock);
    bool has_work = e->n_waiting > 0 || (e->stops && clock_seconds() > e->keep_until);
    pthread_mutex_unlock(&e->lock);
    return has_work;
}

static bool keep_chain(struct engine *e, struct prefix_node *last, size_t pages, sc_model *m)
{
    struct kv_cache chain;
    sc_session *s = open_session(e, m);
    int32_t *id = mem_alloc(pages * KV_PAGE * sizeof *id);
    size_t i = pages, kept = 0;
    if (!s) { mem_free(id); return false; }
    kv_cache_open(&chain, &e->pages, e->c.context);
    for (struct prefix_node *n = last; n->page; n = n->parent) {
        if (n->n < KV_PAGE) continue;
        chain.page[--i] = kv_page_share(&e->pages, n->page);
        memcpy(id + i * KV_PAGE, n->token, sizeof n->token);
    }
    bool ok = session_fork(s, &chain, id, pages * KV_PAGE, 0, NULL) == SC_OK;
    session_set_speed(s, e->row_seconds);
    if (ok) ok = sc_session_keep(&kept, s, e->c.prompt_cache, stops_keeping, e, NULL) == SC_OK && kept >= pages * KV_PAGE;
    for (struct prefix_node *n = last; n->page && ok; n = n->parent) n->is_on_disk = true;
    kv_cache_close(&e->pages, &chain);
    sc_session_close(s);
    mem_free(id);
    return ok;
}

static bool is_worth_it(const struct engine *e, size_t fresh_pages)
{
    double tokens = (double)(fresh_pages * KV_PAGE);
    return tokens >= WORTH_TOKENS && tokens * e->row_seconds >= prompt_cache_least_seconds(e->c.prompt_cache);
}

bool disk_keep_one(struct engine *e)
{
    if (!e->c.prompt_cache || e->row_seconds <= 0) return false;
    for (struct prefix_node *n = e->prefixes.newest; n; n = n->older) {
        const void *model;
        uint64_t salt;
        size_t fresh;
        if (n->child || n->is_tried) continue;
        size_t pages = chain_length(n, &fresh, &model, &salt);
        if (salt || !is_worth_it(e, fresh)) continue;
        if (stops_keeping(e)) return false;
        n->is_tried = true;                          /* once is enough, also where the disk is full */
        keep_chain(e, n, pages, (sc_model *)(uintptr_t)model);
        return true;
    }
    return false;
}
