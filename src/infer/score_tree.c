/* score_tree.c - scores of many texts, by a walk over the tree of their beginnings (score_plan.c). A node is computed once its parent is, from a copy
 * of the parent's cache that shares all whole pages. What is deepest goes first, so that few caches are there at a time; a pass takes rows of as many
 * nodes as fit. Because rows do not influence each other's bits, all of this changes speed alone. */
#include "infer/score_internal.h"

#include <assert.h>
#include <string.h>

/* CHUNK and LOGIT_ROWS are whole tiles of every kernel's products. NODES: of a pass; each has a page that is not full. */
enum { CHUNK = 576, LOGIT_ROWS = 96, NODES = 40 };

struct part { size_t node, from, n; };                       /* rows of a node in the present pass */
struct scored_row { size_t first_want, n_wants; };
struct walk {
    sc_model *m;
    const struct score_request *request;
    const struct score_config *c;
    struct score_tree tree;
    struct kv_pages pages;
    struct arena step;
    size_t chunk;
    size_t *ready, n_ready;              /* nodes whose parents are computed; the next one last */
    size_t *left;                        /* of each request: entries that are not there yet */
    struct part *part; size_t n_parts;
    int32_t *token, *position, *sequence;
    struct kv_cache **caches;
    size_t *wanted; struct scored_row *row; size_t n_rows;
    float *logits; size_t group;         /* group: the first row of those in `logits` */
};

static void push_children(struct walk *w, size_t node)
{
    size_t first = w->n_ready;
    for (size_t c = w->tree.node[node].child; c; c = w->tree.node[c].sibling) w->ready[w->n_ready++] = c;
    for (size_t i = first, k = w->n_ready; k > i + 1; i++) {
        size_t last = w->ready[--k];
        w->ready[k] = w->ready[i];
        w->ready[i] = last;
    }
}

static void close_cache(struct walk *w, size_t node) { kv_cache_close(&w->pages, &w->tree.node[node].cache); }

/* The cache of a node begins as its parent's; the last child of it that begins gives that back. */
static sc_status begin_node(struct walk *w, size_t i, sc_error *err)
{
    struct score_node *node = &w->tree.node[i], *parent = &w->tree.node[node->parent];
    if (node->cache.page) return SC_OK;
    kv_cache_open(&node->cache, &w->pages, node->end);
    if (node->begin) {
        sc_status status = kv_cache_fork(&w->pages, &node->cache, &parent->cache, node->begin, err);
        if (status != SC_OK) { close_cache(w, i); return status; }
    }
    if (!--parent->open_children && node->parent) close_cache(w, node->parent);
    return SC_OK;
}

/* Takes nodes until the pass is full. When there are no more pages, those that were taken go first. */
static sc_status plan_pass(struct walk *w, size_t *rows, sc_error *err)
{
    sc_error full = { 0 };
    *rows = w->n_parts = 0;
    while (w->n_ready && *rows < w->chunk && w->n_parts < NODES) {
        size_t i = w->ready[w->n_ready - 1];
        struct score_node *node = &w->tree.node[i];
        size_t n = node->end - node->done < w->chunk - *rows ? node->end - node->done : w->chunk - *rows;
        if (begin_node(w, i, &full) != SC_OK || kv_cache_room(&w->pages, &node->cache, node->done, node->done + n, &full) != SC_OK) break;
        w->part[w->n_parts++] = (struct part){ i, node->done, n };
        *rows += n;
        w->n_ready--;
    }
    if (w->n_parts) return SC_OK;
    return FAIL(err, SC_E_MEMORY, "%s, and texts that begin alike wait for each other; allow more memory", full.message);
}

/* Rows of the nodes' wants: several wants at one position are one row. */
static void add_part(struct walk *w, size_t p, size_t *rows)
{
    const struct part *part = &w->part[p];
    const struct score_node *node = &w->tree.node[part->node];
    w->caches[p] = &w->tree.node[part->node].cache;
    size_t at = node->first_want, end = node->first_want + node->n_wants;
    while (at < end && w->tree.want[at].position < part->from) at++;
    for (size_t i = 0; i < part->n; i++) {
        size_t r = (*rows)++, position = part->from + i, first = at;
        w->token[r] = node->id[position];
        w->position[r] = (int32_t)position;
        w->sequence[r] = (int32_t)p;
        while (at < end && w->tree.want[at].position == position) at++;
        if (at == first) continue;
        w->row[w->n_rows] = (struct scored_row){ first, at - first };
        w->wanted[w->n_rows++] = r;
    }
}

static bool is_likeliest(const float *x, size_t vocab, int32_t id)
{
    for (size_t j = 0; j < vocab; j++)
        if (x[j] > x[id] || (x[j] == x[id] && (int32_t)j < id)) return false;
    return true;
}

static void score_row(void *arg, size_t i, int worker)
{
    struct walk *w = arg;
    (void)worker;
    const struct scored_row *row = &w->row[w->group + i];
    size_t vocab = model_vocab(&w->m->model);
    const float *x = w->logits + i * vocab;
    float max;
    double sum = log_sum(x, vocab, &max);
    for (size_t k = 0; k < row->n_wants; k++) {
        const struct score_want *want = &w->tree.want[row->first_want + k];
        const struct score_request *r = &w->request[want->request];
        int32_t id = r->id[want->position + 1];
        r->logprob[want->k] = (double)x[id] - (double)max - sum;
        if (r->greedy) r->greedy[want->k] = is_likeliest(x, vocab, id);
    }
}

static void score_rows(struct walk *w, struct exec *x, const struct tensor *hidden)
{
    for (w->group = 0; w->group < w->n_rows && x->status == SC_OK; w->group += LOGIT_ROWS) {
        struct tensor part = *hidden;
        part.rows = w->n_rows - w->group < LOGIT_ROWS ? w->n_rows - w->group : LOGIT_ROWS;
        part.data = tensor_f32(hidden) + w->group * hidden->cols;
        model_logits(&w->m->model, x, &part, w->logits);
        if (x->status == SC_OK) pool_run(w->m->runtime->pool, part.rows, score_row, w);
    }
}

static void tell_done(struct walk *w)
{
    for (size_t i = 0; i < w->n_rows; i++)
        for (size_t k = 0; k < w->row[i].n_wants; k++) {
            size_t r = w->tree.want[w->row[i].first_want + k].request;
            if (!--w->left[r] && w->c->on_done) w->c->on_done(w->c->user, r);
        }
}

/* The first part's children come first, so that the walk goes down before it goes on. */
static void move_on(struct walk *w)
{
    for (size_t p = w->n_parts; p-- > 0;) {
        size_t i = w->part[p].node;
        struct score_node *node = &w->tree.node[i];
        node->done += w->part[p].n;
        if (node->done < node->end) w->ready[w->n_ready++] = i;
        else if (node->child) push_children(w, i);
        else close_cache(w, i);
    }
}

static sc_status run_pass(struct walk *w, sc_error *err)
{
    sc_runtime *rt = w->m->runtime;
    size_t planned, rows = 0;
    TRY(plan_pass(w, &planned, err));
    w->n_rows = 0;
    for (size_t p = 0; p < w->n_parts; p++) add_part(w, p, &rows);
    struct arena_mark mark = arena_mark(&w->step);
    struct exec x = { .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels, .int8_activations = !strcmp(rt->activations, "int8"), .step = &w->step, .cancel = &rt->cancel, .gemm_f32 = true };
    struct batch batch = { .rows = rows, .token = w->token, .position = w->position, .sequence = w->sequence, .caches = w->caches };
    struct variant_rows own = { 0, rows, &w->m->model };
    if (w->m->base) { batch.variant = &own; batch.n_variants = 1; }
    const struct tensor *hidden = model_forward(&(w->m->base ? w->m->base : w->m)->model, &x, &batch, w->wanted, w->n_rows);
    if (x.status == SC_OK) score_rows(w, &x, hidden);
    arena_rewind(&w->step, mark);
    if (x.status == SC_E_CANCELLED) return FAIL(err, x.status, "cancelled");
    if (x.status != SC_OK) return FAIL(err, x.status, "the forward pass failed");
    move_on(w);
    tell_done(w);
    return SC_OK;
}

static sc_status check_request(const sc_model *m, const struct score_request *r, size_t i, sc_error *err)
{
    size_t vocab = model_vocab(&m->model), most = m->model.config.context;
    assert(r->from >= 1 && r->from < r->n);
    if (r->n - 1 > most) return FAIL(err, SC_E_ARGUMENT, "text %zu has %zu tokens to read, but the model was made for at most %zu", i, r->n - 1, most);
    for (size_t k = 0; k < r->n; k++)
        if (r->id[k] < 0 || (size_t)r->id[k] >= vocab) return FAIL(err, SC_E_ARGUMENT, "token %d of text %zu is none, ids go from 0 to %zu", r->id[k], i, vocab - 1);
    return SC_OK;
}

/* Address space: for all nodes where they are few, else for many levels of full passes; memory is taken as pages fill, and the walk keeps few at a
 * time. Under a limit on memory, what half of that holds. */
static size_t positions_needed(const struct walk *w)
{
    const struct model_config *c = &w->m->model.config;
    size_t all = w->tree.rows + w->tree.n_nodes * KV_PAGE, levels = 64 * (w->chunk + NODES * KV_PAGE), most = all < levels ? all : levels;
    size_t limit = (size_t)(w->m->runtime->memory_limit / (16 * c->layers * c->kv_heads * c->head_dim));
    if (limit && most > limit) most = limit;
    return most + 2 * (w->tree.longest + KV_PAGE);
}

static void walk_open(struct walk *w, size_t n)
{
    size_t rows = w->chunk;
    w->ready = mem_alloc((w->tree.n_nodes + 1) * sizeof *w->ready);
    w->left = mem_zero(n + 1, sizeof *w->left);
    for (size_t i = 0; i < n; i++) w->left[i] = w->request[i].n - w->request[i].from;
    w->part = mem_alloc(rows * sizeof *w->part);
    w->token = mem_alloc(rows * sizeof *w->token);
    w->position = mem_alloc(rows * sizeof *w->position);
    w->sequence = mem_alloc(rows * sizeof *w->sequence);
    w->caches = mem_alloc(rows * sizeof *w->caches);
    w->wanted = mem_alloc(rows * sizeof *w->wanted);
    w->row = mem_alloc(rows * sizeof *w->row);
    w->logits = mem_alloc(LOGIT_ROWS * model_vocab(&w->m->model) * sizeof *w->logits);
    push_children(w, 0);
}

static void walk_close(struct walk *w)
{
    for (size_t i = 0; i < w->tree.n_nodes; i++) close_cache(w, i);
    kv_pages_release(&w->pages);
    arena_release(&w->step);
    score_tree_release(&w->tree);
    void *all[] = { w->ready, w->left, w->part, w->token, w->position, w->sequence, w->caches, w->wanted, w->row, w->logits };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

sc_status scores_compute(struct score_counts *out, sc_model *m, const struct score_request *r, size_t n, const struct score_config *c, sc_error *err)
{
    struct walk w = { .m = m, .request = r, .c = c, .chunk = c->chunk ? c->chunk : CHUNK };
    double begin = clock_seconds();
    *out = (struct score_counts){ 0 };
    for (size_t i = 0; i < n; i++) TRY(check_request(m, &r[i], i, err));
    score_tree_plan(&w.tree, r, n, c->rank, c->size);
    *out = (struct score_counts){ .requests = w.tree.requests, .tokens = w.tree.tokens, .rows = w.tree.rows };
    sc_status status = SC_OK;
    if (w.tree.requests) {
        status = session_pages_init(&w.pages, m, c->cache_type, positions_needed(&w), err);
        if (status == SC_OK) walk_open(&w, n);
        while (status == SC_OK && w.n_ready) {
            status = run_pass(&w, err);
            out->passes++;
        }
    }
    walk_close(&w);
    out->seconds = clock_seconds() - begin;
    return status;
}
