/* generate.c - answers in writing: all prompts of a task go through the engine together, which computes beginnings that they share once. */
#include "eval/eval_internal.h"

#include "engine/engine.h"

#include <string.h>

/* Of sequences at once; a pass over a few reads the weights for all of them, further ones cost memory for little. */
enum { FEWEST = 4, MOST = 48, CONTEXT_ROOM = 64 };
/* Rows of a pass: whole tiles of every kernel's products, as many as stay in the cache while weights come by. Prompts in larger pieces would leave passes of answers
 * alone behind, which read all weights for a handful of rows (gsm8k with 5 examples: 1.3 times the time with pieces of 190). */
enum { PASS_ROWS = 48 };
static const size_t LEAST_CACHE = 256 << 20;

struct writing { struct eval_written *w; struct buf text; size_t *left; struct generating *g; };
/* models: of the engine, the base first; it keeps the pointer. */
struct generating { struct engine *engine; sc_model *models[2]; struct writing *one; size_t n, left; sc_error error; eval_on_written *on_done; void *user; };

static void on_event(struct task *t, struct event_of_task *v)
{
    struct writing *w = t->user;
    struct generating *g = w->g;
    if (v->kind == EVENT_TEXT) buf_append(&w->text, v->text, v->text_len);
    if (v->kind == EVENT_FINISH) w->w->tokens = v->tokens;
    if (v->kind != EVENT_END) return;
    if (v->end != TASK_DONE && g->error.status == SC_OK) g->error = v->error;
    buf_puts(&w->text, "");
    buf_take(&w->text, &w->w->text);
    g->left--;
    if (g->on_done && v->end == TASK_DONE) g->on_done(g->user, (size_t)(w - g->one), w->w);
    task_free(t);
}

/* The end of the prompt that leaves room for the answer. */
static struct task *make_task(const struct eval_prompt *p, sc_model *m, size_t context)
{
    struct task *t = task_new();
    size_t most = context - (size_t)p->most_tokens, skip = p->tokens.len > most ? p->tokens.len - most : 0;
    sc_options_defaults(&sample_options, &t->sample);
    t->kind = TASK_GENERATE;
    t->model = m;
    t->n_prompt = p->tokens.len - skip;
    t->prompt = mem_alloc(t->n_prompt * sizeof *t->prompt);
    memcpy(t->prompt, p->tokens.id + skip, t->n_prompt * sizeof *t->prompt);
    t->choices = 1;
    t->sample.temperature = p->temperature;
    t->sample.top_p = p->top_p;
    t->sample.top_k = p->top_k;
    t->sample.seed = p->seed;
    t->sample.max_tokens = p->most_tokens;
    char **stop = mem_zero(p->until.n + 1, sizeof *stop);
    for (size_t i = 0; i < p->until.n; i++)
        if (*p->until.at[i]) stop[t->sample.n_stop++] = mem_strdup(p->until.at[i]);
    t->sample.stop = (const char *const *)stop;
    t->on_event = on_event;
    return t;
}

/* As many sequences as key/value caches of half the weights' size hold. */
static size_t at_once(const sc_model *m, size_t context)
{
    const struct model_config *c = &m->model.config;
    size_t room = m->model.weight_bytes / 2 > LEAST_CACHE ? m->model.weight_bytes / 2 : LEAST_CACHE;
    size_t n = room / (2 * sizeof(float) * c->layers * c->kv_heads * c->head_dim * context);
    return n < FEWEST ? FEWEST : n > MOST ? MOST : n;
}

static sc_status open_engine(struct generating *g, const struct eval_prompt *p, size_t n, sc_model *m, const sc_eval_config *c, sc_error *err)
{
    size_t most = sc_model_context(m), need = 0;
    for (size_t i = 0; i < n; i++) {
        size_t one = p[i].tokens.len + (size_t)p[i].most_tokens;
        if ((size_t)p[i].most_tokens >= most) return FAIL(err, SC_E_ARGUMENT, "answers of %lld tokens leave no room for a question in the model's context of %zu", (long long)p[i].most_tokens, most);
        need = one > need ? one : need;
    }
    need = need + CONTEXT_ROOM < most ? need + CONTEXT_ROOM : most;
    g->models[0] = m->base ? m->base : m;                /* a variant runs on its base */
    g->models[1] = m;
    struct engine_config e = { .runtime = m->runtime, .models = g->models, .n_models = m->base ? 2 : 1, .slots = at_once(g->models[0], need), .queue = n + 1, .context = need, .cache_type = c->cache_type, .chunk = (size_t)c->chunk,
                               .pass_rows = PASS_ROWS, .gemm_f32 = true };
    return engine_open(&g->engine, &e, err);
}

sc_status eval_generate(struct eval_written *out, const struct eval_prompt *p, size_t n, sc_model *m, const sc_eval_config *c, eval_on_written *on_done, void *user, sc_error *err)
{
    struct generating g = { .n = n, .left = n, .on_done = on_done, .user = user };
    if (!n) return SC_OK;
    TRY(open_engine(&g, p, n, m, c, err));
    size_t context = engine_context(g.engine);
    g.one = mem_zero(n, sizeof *g.one);
    for (size_t i = 0; i < n; i++) {
        struct task *t = make_task(&p[i], m, context);
        out[i] = (struct eval_written){ 0 };
        g.one[i].w = &out[i];
        g.one[i].g = &g;
        buf_init(&g.one[i].text, 0);
        t->user = &g.one[i];
        engine_submit_now(g.engine, t);
    }
    while (g.left) {
        if (m->runtime->cancel && g.error.status == SC_OK) g.error = (sc_error){ .status = SC_E_CANCELLED, .message = "cancelled" };
        if (g.error.status != SC_OK) engine_stop(g.engine);
        else engine_step(g.engine);
        engine_deliver(g.engine);
    }
    engine_close(g.engine);
    mem_free(g.one);
    if (g.error.status == SC_OK) return SC_OK;
    *err = g.error;
    for (size_t i = 0; i < n; i++) sc_text_free(&out[i].text);
    return err->status;
}

/* ---- a share of each rank ---------------------------------------------------------------------------------------------------------------------- */

/* Texts [from, to) of rank `root` to all. */
static sc_status send_texts(struct eval_written *w, size_t from, size_t to, int root, struct comm *c, sc_error *err)
{
    for (size_t i = from; i < to; i++) {
        uint64_t head[2] = { w[i].text.len, w[i].tokens };
        TRY(comm_broadcast(c, root, head, sizeof head, err));
        if (c->rank != root) w[i] = (struct eval_written){ { mem_zero(head[0] + 1, 1), (size_t)head[0] }, (size_t)head[1] };
        if (head[0]) TRY(comm_broadcast(c, root, w[i].text.data, (size_t)head[0], err));
    }
    return SC_OK;
}

sc_status eval_generate_all(struct eval_written *out, const struct eval_prompt *p, size_t n, sc_model *m, const sc_eval_config *c, eval_on_written *on_done, void *user, sc_error *err)
{
    struct comm *comm = &m->runtime->comm;
    size_t size = (size_t)comm->size, rank = (size_t)comm->rank, from = n * rank / size, to = n * (rank + 1) / size;
    sc_status status = eval_generate(out + from, p + from, to - from, m, c, on_done, user, err);
    if (comm->size == 1) return status;
    TRY(comm_all_ok(comm, status, err));
    for (size_t r = 0; r < size; r++) TRY(send_texts(out, n * r / size, n * (r + 1) / size, (int)r, comm, err));
    return SC_OK;
}
