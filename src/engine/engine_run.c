/* engine.c - who runs: the queue, admission, memory, cancelling, and the events that tell of it. The passes are in pass.c. */
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

static const double KEEP_SECONDS = 5;            /* for the disk, once the engine stops */

/* ---- tasks ----------------------------------------------------------------------------------------------------------------------- */

struct task *task_new(void)
{
    struct task *t = mem_zero(1, sizeof *t);
    sc_options_defaults(&sample_options, &t->sample);
    t->sample.logprobs = 0;
    t->choices = 1;
    return t;
}

void task_free(struct task *t)
{
    if (!t) return;
    for (size_t i = 0; i < t->sample.n_stop; i++) mem_free((char *)(uintptr_t)t->sample.stop[i]);
    mem_free((void *)(uintptr_t)t->sample.stop);
    mem_free((void *)(uintptr_t)t->sample.stop_id);
    mem_free((void *)(uintptr_t)t->sample.logit_bias);
    mem_free((void *)(uintptr_t)t->allowed);
    mem_free(t->prompt);
    mem_free(t->prediction);
    grammar_release(t->grammar);
    mem_free(t);
}

/* ---- events ---------------------------------------------------------------------------------------------------------------------- */

static struct event_of_task *event_new(struct engine *e, struct task *t, enum event_kind kind)
{
    struct event_of_task *v = mem_zero(1, sizeof *v);
    v->task = t;
    v->kind = kind;
    *e->fresh_end = v;
    e->fresh_end = &v->next;
    return v;
}

struct event_of_task *engine_tell(struct engine *e, struct sequence *s, enum event_kind kind)
{
    struct event_of_task *v = event_new(e, s->task, kind);
    v->choice = s->choice;
    return v;
}

static void event_free(struct event_of_task *v)
{
    mem_free(v->text);
    token_records_release(&v->records);
    mem_free(v->embedding);
    mem_free(v);
}

/* What happened in this step becomes visible to engine_deliver, and to engine_count. */
static void publish(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->counts.running = e->n_running;
    e->counts.slots = e->c.slots;
    e->counts.pages = e->pages.most;
    e->counts.pages_used = e->pages.used;
    e->counts.pages_cached = e->prefixes.n_nodes;
    pthread_mutex_unlock(&e->lock);
    if (!e->fresh) return;
    pthread_mutex_lock(&e->lock);
    *e->events_end = e->fresh;
    e->events_end = e->fresh_end;
    pthread_mutex_unlock(&e->lock);
    e->fresh = NULL;
    e->fresh_end = &e->fresh;
    if (e->c.notify) e->c.notify(e->c.user);
}

void engine_deliver(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    struct event_of_task *v = e->events;
    e->events = NULL;
    e->events_end = &e->events;
    pthread_mutex_unlock(&e->lock);
    for (struct event_of_task *next; v; v = next) {
        next = v->next;
        v->task->on_event(v->task, v);
        event_free(v);
    }
}

/* ---- sequences come and go --------------------------------------------------------------------------------------------------------- */

static void remove_sequence(struct engine *e, struct sequence *s)
{
    struct sequence **at = &e->running;
    while (*at != s) at = &(*at)->next;
    *at = s->next;
    e->n_running--;
    sequence_free(s, &e->pages);
}

/* What of a sequence can be used again: what was computed, by its tokens. */
static void keep_computed(struct engine *e, struct sequence *s, bool with_rest)
{
    const struct task *t = s->task;
    size_t n = s->computed < s->length ? s->computed : s->length;
    if (!t->no_cache && t->kind == TASK_GENERATE && n) prefix_keep(&e->prefixes, &s->cache, t->model, t->salt, s->token, n, with_rest);
}

static void end_task(struct engine *e, struct task *t, enum task_end end, const sc_error *err)
{
    for (struct sequence *s = e->running, *next; s; s = next) {
        next = s->next;
        if (s->task != t) continue;
        if (s->state == SEQUENCE_RUNNING) keep_computed(e, s, true);
        remove_sequence(e, s);
    }
    t->ended = clock_seconds();
    struct event_of_task *v = event_new(e, t, EVENT_END);
    v->end = end;
    if (err) v->error = *err;
    pthread_mutex_lock(&e->lock);
    e->counts.cancelled += end == TASK_CANCELLED;
    e->counts.failed += end == TASK_FAILED;
    pthread_mutex_unlock(&e->lock);
}

/* A sequence gives its pages back and begins again later; it will come to the same bits. */
static void preempt(struct engine *e, struct sequence *s)
{
    keep_computed(e, s, true);
    kv_cache_cut(&e->pages, &s->cache, 0);
    s->computed = 0;
    s->rows = s->guesses = 0;
    token_records_release(&s->prompt_records);                  /* the prompt will be read from its beginning */
    s->state = SEQUENCE_WAITING;
    pthread_mutex_lock(&e->lock);
    e->counts.preempted++;
    pthread_mutex_unlock(&e->lock);
}

static struct sequence *youngest(const struct engine *e)
{
    struct sequence *last = NULL;
    for (struct sequence *s = e->running; s; s = s->next)
        if (s->state == SEQUENCE_RUNNING) last = s;
    return last;
}

bool engine_room(struct engine *e, struct sequence *s, size_t from, size_t to)
{
    sc_error ignored;
    if (s->state != SEQUENCE_RUNNING) return false;
    for (;;) {
        size_t needs = kv_cache_needs(&e->pages, &s->cache, from, to);
        if (needs <= e->pages.most - e->pages.used && kv_cache_room(&e->pages, &s->cache, from, to, &ignored) == SC_OK) return true;
        if (prefix_drop_oldest(&e->prefixes)) continue;
        struct sequence *last = youngest(e);
        preempt(e, last);
        if (last == s) return false;
        while (prefix_drop_oldest(&e->prefixes) && needs > e->pages.most - e->pages.used) { }
    }
}

static size_t pages_to_have(struct engine *e) { return e->pages.most - e->pages.used + prefix_droppable(&e->prefixes); }

/* The cache of a sequence that begins, or begins again, from what is known of its tokens. The last token is computed: it gives the logits. */
static void take_prefix(struct engine *e, struct sequence *s)
{
    const struct task *t = s->task;
    bool uses_cache = !t->no_cache && !t->prompt_records && t->kind == TASK_GENERATE;
    s->computed = uses_cache ? prefix_find(&e->prefixes, &s->cache, t->model, t->salt, s->token, s->length, s->length - 1) : 0;
    size_t from_disk = uses_cache ? disk_restore(e, s) : 0;
    s->state = SEQUENCE_RUNNING;
    if (!from_disk) return;
    keep_computed(e, s, false);
    pthread_mutex_lock(&e->lock);
    e->counts.disk_tokens += from_disk;
    pthread_mutex_unlock(&e->lock);
}

/* ---- admission ------------------------------------------------------------------------------------------------------------------------ */

/* A task that begins like one that is being read now waits until that has read what they share. */
static bool waits_for_other(const struct engine *e, const struct task *t)
{
    if (t->no_cache || t->prompt_records || t->kind != TASK_GENERATE) return false;
    size_t known = prefix_look(&e->prefixes, t->model, t->salt, t->prompt, t->n_prompt, t->n_prompt - 1);
    for (const struct sequence *s = e->running; s; s = s->next) {
        const struct task *o = s->task;
        if (s->state != SEQUENCE_RUNNING || o->model != t->model || o->salt != t->salt || o->no_cache || o->prompt_records || o->kind != TASK_GENERATE || !sequence_reads(s)) continue;
        size_t same = 0, most = o->n_prompt < t->n_prompt ? o->n_prompt : t->n_prompt;
        while (same < most && o->prompt[same] == t->prompt[same]) same++;
        same = same / KV_PAGE * KV_PAGE;
        if (same >= known + KV_PAGE && s->computed < same) return true;
    }
    return false;
}

static size_t running_of(const struct engine *e, uint64_t client)
{
    size_t n = 0;
    for (const struct sequence *s = e->running; s; s = s->next) n += s->task->client == client;
    return n;
}

/* The next task: of the clients that wait, the one that has fewest sequences running; of its tasks, the oldest. Takes it from the queue. */
static struct task *next_task(struct engine *e)
{
    struct task **best = NULL;
    size_t fewest = SIZE_MAX, pages = pages_to_have(e);
    for (struct task **at = &e->waiting; *at; at = &(*at)->next) {
        struct task *t = *at;
        size_t n = running_of(e, t->client);
        bool fits = e->n_running + t->choices <= e->c.slots && kv_page_count(t->n_prompt + 1) * (e->n_running ? 1 : 0) <= pages;
        if (n >= fewest || !fits || waits_for_other(e, t)) continue;
        fewest = n;
        best = at;
    }
    if (!best) return NULL;
    struct task *t = *best;
    *best = t->next;
    if (!t->next) e->waiting_end = best;
    e->n_waiting--;
    t->next = NULL;
    return t;
}

static void begin_task(struct engine *e, struct task *t)
{
    struct sequence **end = &e->running;
    size_t variant = 0;
    while (e->c.models[variant] != t->model) variant++;
    if (t->grammar && !e->tree[variant]) e->tree[variant] = token_tree_make(t->model->tokenizer);
    while (*end) end = &(*end)->next;
    for (size_t i = 0; i < t->choices; i++) {
        struct sequence *s = sequence_new(t, i, &e->pages, e->c.context, e->tree[variant]);
        if (i == 0) take_prefix(e, s);
        if (i == 0) t->cached = s->computed;
        *end = s;
        end = &s->next;
        e->n_running++;
    }
    t->started = clock_seconds();
    event_new(e, t, EVENT_BEGIN);
    pthread_mutex_lock(&e->lock);
    e->counts.cached_tokens += t->cached;
    e->counts.wait_seconds += t->started - t->queued;
    pthread_mutex_unlock(&e->lock);
}

/* Those that had to give way go first. Further choices of a task begin when its prompt has been read once. */
static bool resume(struct engine *e)
{
    for (struct sequence *s = e->running, *first = NULL; s; s = s->next) {
        if (!first || first->task != s->task) first = s;
        if (s->state != SEQUENCE_WAITING) continue;
        bool reads_prompt = s != first && s->generated == 0 && !first->is_prompt_told && !s->task->prompt_records;
        if (reads_prompt) continue;
        if (kv_page_count(s->length + 1) > pages_to_have(e) && youngest(e)) return false;
        take_prefix(e, s);
    }
    return true;
}

static void admit(struct engine *e)
{
    if (!resume(e)) return;
    while (e->n_running < e->c.slots) {
        pthread_mutex_lock(&e->lock);
        struct task *t = next_task(e);
        pthread_mutex_unlock(&e->lock);
        if (!t) return;
        begin_task(e, t);
    }
}

static void drop_cancelled(struct engine *e)
{
    if (!atomic_exchange(&e->has_cancelled, false)) return;
    struct task *gone = NULL;
    pthread_mutex_lock(&e->lock);
    for (struct task **at = &e->waiting; *at;) {
        struct task *t = *at;
        if (!t->is_cancelled) { at = &t->next; continue; }
        *at = t->next;
        t->next = gone;
        gone = t;
        e->n_waiting--;
    }
    e->waiting_end = &e->waiting;
    while (*e->waiting_end) e->waiting_end = &(*e->waiting_end)->next;
    pthread_mutex_unlock(&e->lock);
    for (struct task *next; gone; gone = next) {
        next = gone->next;
        end_task(e, gone, TASK_CANCELLED, NULL);
    }
    for (struct sequence *s = e->running; s;) {
        struct task *t = s->task;
        if (!t->is_cancelled) { s = s->next; continue; }
        end_task(e, t, TASK_CANCELLED, NULL);
        s = e->running;
    }
}

/* ---- behind a pass ---------------------------------------------------------------------------------------------------------------------- */

static void tell_text(struct engine *e, struct sequence *s, bool at_end)
{
    sequence_flush(s, at_end);
    if (!s->text.len && !(at_end && s->records.len)) return;
    struct event_of_task *v = engine_tell(e, s, EVENT_TEXT);
    sc_text text = { 0 };
    buf_take(&s->text, &text);
    buf_init(&s->text, 0);
    v->text = text.data ? text.data : mem_strdup("");
    v->text_len = text.len;
    v->records = s->records;
    s->records = (struct token_records){ 0 };
}

static float *embedding_of(const struct sequence *s, size_t n)
{
    float *out = mem_alloc(n * sizeof *out);
    double norm = 0;
    for (size_t i = 0; i < n; i++) norm += s->embedding[i] * s->embedding[i];
    norm = norm > 0 ? sqrt(norm) : 1;
    for (size_t i = 0; i < n; i++) out[i] = (float)(s->embedding[i] / norm);
    return out;
}

static void tell_finish(struct engine *e, struct sequence *s)
{
    struct event_of_task *v = engine_tell(e, s, EVENT_FINISH);
    v->finish = s->finish;
    v->stop_string = s->stop_string;
    v->tokens = s->generated;
    v->guessed = s->came_true;
    v->rejected = s->did_not;
    v->logprob = s->logprob;
    if (s->embedding) v->embedding = embedding_of(s, s->task->model->model.config.embd);
    pthread_mutex_lock(&e->lock);
    e->counts.generated_tokens += s->generated;
    e->counts.guessed_tokens += s->came_true;
    e->counts.guesses += s->came_true + s->did_not;
    pthread_mutex_unlock(&e->lock);
}

/* The prompt of a sequence, as far as it was read in this pass. */
static void tell_prompt(struct engine *e, struct sequence *s)
{
    struct task *t = s->task;
    if (s->is_prompt_told) return;
    size_t done = s->computed < t->n_prompt ? s->computed : t->n_prompt;
    bool is_read = s->computed >= t->n_prompt;
    if (s->choice == 0 && (done > s->told || is_read)) {
        s->told = done;
        struct event_of_task *v = engine_tell(e, s, EVENT_PROMPT);
        v->done = done;
        if (is_read) { v->records = s->prompt_records; s->prompt_records = (struct token_records){ 0 }; }
    }
    keep_computed(e, s, is_read && t->choices > 1 && s->choice == 0);
    if (!is_read) return;
    s->is_prompt_told = true;
    if (!t->first) t->first = clock_seconds();
}

static bool is_over_time(const struct sequence *s) { return s->task->seconds_max > 0 && s->task->first > 0 && clock_seconds() - s->task->first > s->task->seconds_max; }

static void settle(struct engine *e)
{
    for (struct sequence *s = e->running; s; s = s->next) {
        if (s->state != SEQUENCE_RUNNING || !s->rows) continue;
        tell_prompt(e, s);
        if (s->task->kind == TASK_EMBED && s->computed >= s->length) s->finish = FINISH_LENGTH;
        if (s->finish == FINISH_NONE && is_over_time(s)) s->finish = FINISH_TIME;
        tell_text(e, s, s->finish != FINISH_NONE);
        if (s->finish == FINISH_NONE) continue;
        tell_finish(e, s);
        keep_computed(e, s, true);
        kv_cache_cut(&e->pages, &s->cache, 0);
        s->state = SEQUENCE_DONE;
    }
    for (struct sequence *s = e->running; s;) {
        struct task *t = s->task;
        bool is_done = true;
        for (const struct sequence *k = s; k; k = k->next) is_done &= k->task != t || k->state == SEQUENCE_DONE;
        if (!is_done) { while (s && s->task == t) s = s->next; continue; }
        end_task(e, t, TASK_DONE, NULL);
        s = e->running;
    }
}

static void fail_all(struct engine *e, const sc_error *err)
{
    while (e->running) end_task(e, e->running->task, TASK_FAILED, err);
}

bool engine_step(struct engine *e)
{
    sc_error err = { 0 };
    drop_cancelled(e);
    admit(e);
    bool has_run = pass_run(e, &err);
    if (err.status != SC_OK) fail_all(e, &err);
    else if (has_run) settle(e);
    bool has_told = e->fresh != NULL;
    publish(e);
    return has_run || has_told;
}

/* ---- the thread ------------------------------------------------------------------------------------------------------------------------------ */

static void *engine_thread(void *arg)
{
    struct engine *e = arg;
    for (;;) {
        pthread_mutex_lock(&e->lock);
        bool is_idle = !e->stops && !e->n_waiting && !e->n_running;
        pthread_mutex_unlock(&e->lock);
        while (is_idle && disk_keep_one(e)) { }
        pthread_mutex_lock(&e->lock);
        while (!e->stops && !e->n_waiting && !e->n_running) pthread_cond_wait(&e->wake, &e->lock);
        bool stops = e->stops;
        pthread_mutex_unlock(&e->lock);
        if (stops) break;
        engine_step(e);
    }
    return NULL;
}

/* Under the lock. */
static void enqueue(struct engine *e, struct task *t)
{
    t->queued = clock_seconds();
    t->next = NULL;
    *e->waiting_end = t;
    e->waiting_end = &t->next;
    e->n_waiting++;
    e->counts.tasks++;
    pthread_cond_signal(&e->wake);
}

bool engine_submit_all(struct engine *e, struct task *const *t, size_t n)
{
    pthread_mutex_lock(&e->lock);
    bool has_room = !e->stops && (e->n_waiting == 0 || e->n_waiting + n <= e->c.queue);
    for (size_t i = 0; i < n && has_room; i++) enqueue(e, t[i]);
    pthread_mutex_unlock(&e->lock);
    return has_room;
}

void engine_submit_now(struct engine *e, struct task *t)
{
    pthread_mutex_lock(&e->lock);
    enqueue(e, t);
    pthread_mutex_unlock(&e->lock);
}

bool engine_submit(struct engine *e, struct task *t) { return engine_submit_all(e, &t, 1); }

void engine_cancel(struct engine *e, struct task *t)
{
    t->is_cancelled = true;
    atomic_store(&e->has_cancelled, true);
}

void engine_stop(struct engine *e)
{
    pthread_mutex_lock(&e->lock);
    e->stops = true;
    e->keep_until = clock_seconds() + KEEP_SECONDS;
    pthread_cond_signal(&e->wake);
    pthread_mutex_unlock(&e->lock);
    if (e->has_thread) pthread_join(e->thread, NULL);
    e->has_thread = false;
    while (e->running) end_task(e, e->running->task, TASK_CANCELLED, NULL);
    for (struct task *t = e->waiting, *next; t; t = next) { next = t->next; end_task(e, t, TASK_CANCELLED, NULL); }
    e->waiting = NULL;
    e->waiting_end = &e->waiting;
    e->n_waiting = 0;
    publish(e);
    while (disk_keep_one(e)) { }
}

sc_status engine_start(struct engine *e, sc_error *err)
{
    if (pthread_create(&e->thread, NULL, engine_thread, e) != 0) return FAIL(err, SC_E_MEMORY, "the engine's thread cannot be started");
    e->has_thread = true;
    return SC_OK;
}

size_t engine_context(const struct engine *e) { return e->c.context; }

void engine_count(struct engine *e, struct engine_counts *out)
{
    pthread_mutex_lock(&e->lock);
    *out = e->counts;
    out->waiting = e->n_waiting;
    pthread_mutex_unlock(&e->lock);
}

/* As many pages as the memory that was given holds, but no more than all sequences can fill, and at least one whole context. */
static sc_status engine_pages(struct engine *e, sc_error *err)
{
    const sc_model *base = e->c.models[0];
    uint64_t bytes = e->c.cache_bytes ? e->c.cache_bytes : system_memory() / 4;
    struct kv_pages probe;
    TRY(session_pages_init(&probe, base, e->c.cache_type, KV_PAGE, err));
    size_t one = probe.page_bytes / KV_PAGE, most = e->c.context * e->c.slots, positions = (size_t)(bytes / one);
    kv_pages_release(&probe);
    if (positions < e->c.context)
        return FAIL(err, SC_E_MEMORY, "a context of %zu tokens takes %.0f MiB of key/value cache, but only %.0f MiB are allowed; choose a smaller --context or a larger --cache-mib",
                    e->c.context, (double)one * (double)e->c.context / 1048576, (double)bytes / 1048576);
    return session_pages_init(&e->pages, base, e->c.cache_type, positions < most ? positions : most, err);
}

sc_status engine_open(struct engine **out, const struct engine_config *c, sc_error *err)
{
    struct engine *e = mem_zero(1, sizeof *e);
    *out = NULL;
    e->c = *c;
    pthread_mutex_init(&e->lock, NULL);
    pthread_cond_init(&e->wake, NULL);
    e->waiting_end = &e->waiting;
    e->events_end = &e->events;
    e->fresh_end = &e->fresh;
    arena_init(&e->step);
    sc_status status = engine_pages(e, err);
    if (status != SC_OK) { engine_close(e); return status; }
    prefix_init(&e->prefixes, &e->pages);
    e->n_sampling = (size_t)pool_threads(c->runtime->pool);
    e->sampling = mem_zero(e->n_sampling, sizeof *e->sampling);
    size_t vocab = 0;
    for (size_t i = 0; i < c->n_models; i++) vocab = model_vocab(&c->models[i]->model) > vocab ? model_vocab(&c->models[i]->model) : vocab;
    for (size_t i = 0; i < e->n_sampling; i++) {
        sampler_init(&e->sampling[i].sampler, NULL, vocab);
        e->sampling[i].logits = mem_alloc(vocab * sizeof(float));
        e->sampling[i].vocab = vocab;
    }
    publish(e);
    *out = e;
    return SC_OK;
}

void engine_close(struct engine *e)
{
    if (!e) return;
    for (struct event_of_task *v = e->events, *next; v; v = next) { next = v->next; event_free(v); }
    prefix_release(&e->prefixes);
    kv_pages_release(&e->pages);
    for (size_t i = 0; i < MOST_VARIANTS; i++) token_tree_free(e->tree[i]);
    for (size_t i = 0; i < e->n_sampling; i++) { sampler_release(&e->sampling[i].sampler); mem_free(e->sampling[i].logits); }
    mem_free(e->sampling);
    mem_free(e->logits);
    mem_free(e->row_token);
    mem_free(e->row_position);
    mem_free(e->row_sequence);
    mem_free(e->wanted);
    mem_free(e->caches);
    mem_free(e->of_cache);
    arena_release(&e->step);
    pthread_mutex_destroy(&e->lock);
    pthread_cond_destroy(&e->wake);
    mem_free(e);
}
