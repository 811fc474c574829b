/* pass.c - one pass of the engine: which rows go into it, the model over all of them, and the tokens that come out. */
#include "engine/engine_internal.h"

#include <math.h>
#include <string.h>

static const double MEAN = 0.2, SURPRISE = 3, GUESS_GAIN = 1.04;       /* weight of the newest in running means; see there; least gain of guessing */
static const double PASS_SECONDS = 0.25, CROWD_SECONDS = 0.1;          /* of a pass that nobody waits for; for prompts beside few answers while many wait */
static const double LEAST_WEIGHT = 0.05;
/* FIRST_ROWS: of a pass while nothing is known, and at least where nobody waits. FIRST_SHARE: one part in so many is for the first prompt. */
enum { FIRST_ROWS = 16, ROWS_SURE = 64, FIRST_SHARE = 4, FAR_LESS = 4, SCORE_ROWS = 32 };

/* A pass during which another program had the processor says little about the next one: what is far from the mean counts as SURPRISE times it. */
static void running_mean(double *mean, double x, double weight)
{
    double most = SURPRISE * *mean;
    if (*mean > 0) *mean += weight * ((x > most ? most : x < -most ? -most : x) - *mean);
    else if (x > 0) *mean = x;
}

/* ---- what passes cost ------------------------------------------------------------------------------------------------------------- */

/* Seconds of a pass over so many rows of running answers; 0: nothing is known yet. From the nearest number that was measured: memory
 * bounds few rows, arithmetic many. */
static double pass_cost(const struct engine *e, size_t rows)
{
    size_t near = 0;
    if (rows > ROWS_TIMED) return pass_cost(e, ROWS_TIMED) * (double)rows / ROWS_TIMED;
    for (size_t d = 0; d <= ROWS_TIMED && !near; d++) {
        if (d < rows && e->pass_seconds[rows - d] > 0) near = rows - d;
        else if (rows + d <= ROWS_TIMED && e->pass_seconds[rows + d] > 0) near = rows + d;
    }
    if (!near) return 0;
    double few[2], at[2] = { (double)near, (double)rows };
    for (int i = 0; i < 2; i++) few[i] = fmax(1 + 0.15 * (at[i] - 1), 0.36 * at[i]);
    return e->pass_seconds[near] * few[1] / few[0];
}

/* ---- which rows ----------------------------------------------------------------------------------------------------------------------- */

/* Guesses that make more tokens a second likely, all sequences together. */
static void plan_guesses(struct engine *e, size_t answers)
{
    size_t rows = answers, left = GUESS_ROWS;
    double tokens = (double)answers;
    for (struct sequence *s = e->running; s; s = s->next) {
        if (s->state != SEQUENCE_RUNNING || s->rows != 1 || sequence_reads(s)) continue;
        sequence_guess(s, left < LOOKUP_MAX ? left : LOOKUP_MAX);
        struct lookup *l = &s->lookup;
        double now = pass_cost(e, rows), best_gain = GUESS_GAIN, likely = 1, more = 0, won = 0;
        size_t best = 0;
        for (size_t m = 1; m <= l->n; m++) {
            likely *= l->accepted[l->kind];
            more += likely;
            double then = pass_cost(e, rows + m), gain = now > 0 ? (tokens + more) / then / (tokens / now) : 0;
            /* A gain of one of many is small beside all of them: what counts is that it pays for its rows. */
            double least = 1 + (best_gain - 1) / (double)answers;
            if (gain > least && gain > 1 + (GUESS_GAIN - 1) / (double)answers) { best = m; won = more; best_gain = 1 + (gain - 1) * (double)answers; }
        }
        s->guesses = best;
        s->rows = 1 + best;
        rows += best;
        left -= best;
        tokens += won;
    }
}

/* Rows of prompts that the pass may take. Where more prompts wait than answers run, the few wait longer for the many: otherwise answers would be
 * written by twos and threes while all others wait. */
static size_t prompt_rows(const struct engine *e, size_t answer_rows, size_t answers, size_t readers)
{
    if (e->c.pass_rows) {
        size_t all = e->c.pass_rows < e->c.chunk ? e->c.pass_rows : e->c.chunk;
        return all > answer_rows + FIRST_ROWS ? all - answer_rows : FIRST_ROWS;
    }
    double seconds = PASS_SECONDS, now = answer_rows ? pass_cost(e, answer_rows) : 0;
    if (answer_rows) seconds = now * (e->c.decode_stretch - 1);
    if (answers && readers > answers && seconds < CROWD_SECONDS) seconds = fmin(seconds * (double)readers / (double)answers, CROWD_SECONDS);
    if (e->row_seconds <= 0 || (answer_rows && now <= 0)) return FIRST_ROWS;
    double rows = seconds / e->row_seconds, least = answer_rows ? 1 : FIRST_ROWS;    /* fewer rows would read all weights for little */
    return rows < least ? (size_t)least : rows > (double)e->c.chunk ? e->c.chunk : (size_t)rows;
}

/* Who came first, unless another has far less left to plan: among prompts of about the same length nobody is overtaken again and again. */
static struct sequence *nearest(const struct engine *e)
{
    struct sequence *best = NULL;
    size_t least = 0;
    for (struct sequence *s = e->running; s; s = s->next) {
        if (s->state != SEQUENCE_RUNNING || !sequence_reads(s)) continue;
        size_t left = s->length - s->computed - s->rows;
        if (left && (!best || left * FAR_LESS <= least)) { least = left; best = s; }
    }
    return best;
}

static void give_rows(struct sequence *s, size_t *budget, size_t most)
{
    size_t left = s->length - s->computed - s->rows, n = left < most ? left : most;
    n = n < *budget ? n : *budget;
    s->rows += n;
    *budget -= n;
}

/* One prompt after the other: read side by side, all would be ready as late as the last of them. A share goes to who came first, so that a
 * long prompt comes on while short ones keep coming. */
static void plan_prompts(struct engine *e, size_t budget)
{
    struct sequence *s = e->running;
    while (s->state != SEQUENCE_RUNNING || !sequence_reads(s)) s = s->next;
    give_rows(s, &budget, (budget + FIRST_SHARE - 1) / FIRST_SHARE);
    while (budget && (s = nearest(e))) give_rows(s, &budget, budget);
}

static void plan(struct engine *e, size_t *answer_rows, size_t *reading_rows)
{
    size_t answers = 0, readers = 0;
    for (struct sequence *s = e->running; s; s = s->next) {
        s->rows = s->guesses = 0;
        if (s->state != SEQUENCE_RUNNING) continue;
        if (sequence_reads(s)) { readers++; continue; }
        s->rows = 1;
        answers++;
    }
    if (answers) plan_guesses(e, answers);
    *answer_rows = *reading_rows = 0;
    for (const struct sequence *s = e->running; s; s = s->next) *answer_rows += s->rows;
    if (readers) plan_prompts(e, prompt_rows(e, *answer_rows, answers, readers));
    for (struct sequence *s = e->running; s; s = s->next)
        if (s->rows && !engine_room(e, s, s->computed, s->computed + s->rows)) s->rows = s->guesses = 0;
    *answer_rows = 0;
    for (const struct sequence *s = e->running; s; s = s->next) {
        size_t rows = s->state == SEQUENCE_RUNNING ? s->rows : 0;
        *(rows && sequence_reads(s) ? reading_rows : answer_rows) += rows;
    }
}

/* ---- the batch -------------------------------------------------------------------------------------------------------------------------- */

struct pass {
    struct engine *e;
    struct batch batch;
    size_t n_sequences, n_wanted;
    struct variant_rows variant[MOST_VARIANTS];
    const struct model **model_of;         /* of each wanted row */
    struct logit_job *job; size_t n_jobs;
    float **out;                           /* of each wanted row of a group */
};
/* Rows of one sequence whose logits are wanted: to be sampled from, or to score the prompt's tokens from `from` on. */
struct logit_job { struct sequence *s; size_t row, n, from, vocab; bool is_score; float *logits; };

static void reserve_rows(struct engine *e, size_t rows)
{
    if (rows <= e->cap_rows) return;
    e->cap_rows = rows + 64;
    e->row_token = mem_grow(e->row_token, e->cap_rows * sizeof *e->row_token);
    e->row_position = mem_grow(e->row_position, e->cap_rows * sizeof *e->row_position);
    e->row_sequence = mem_grow(e->row_sequence, e->cap_rows * sizeof *e->row_sequence);
    e->wanted = mem_grow(e->wanted, e->cap_rows * sizeof *e->wanted);
    e->caches = mem_grow(e->caches, e->cap_rows * sizeof *e->caches);
    e->of_cache = mem_grow(e->of_cache, e->cap_rows * sizeof *e->of_cache);
}

/* Which of a sequence's rows are wanted behind the last block: all for an embedding or a scored prompt, else those behind its last token. */
static size_t first_wanted(const struct sequence *s)
{
    size_t tokens = s->length - s->computed;
    bool wants_all = s->task->kind == TASK_EMBED || (s->task->prompt_records && !s->is_prompt_told);
    if (wants_all) return 0;
    return s->rows < tokens ? s->rows : tokens - 1;
}

static void add_rows(struct pass *p, struct sequence *s)
{
    struct engine *e = p->e;
    size_t tokens = s->length - s->computed, from = first_wanted(s);
    s->first = p->batch.rows;
    s->row_first = p->n_wanted;
    for (size_t i = 0; i < s->rows; i++) {
        size_t r = p->batch.rows++;
        e->row_token[r] = i < tokens ? s->token[s->computed + i] : s->lookup.guess[i - tokens];
        e->row_position[r] = (int32_t)(s->computed + i);
        e->row_sequence[r] = (int32_t)p->n_sequences;
        if (i >= from) { p->model_of[p->n_wanted] = &s->task->model->model; e->wanted[p->n_wanted++] = r; }
    }
    s->row_count = p->n_wanted - s->row_first;
    e->caches[p->n_sequences] = &s->cache;
    e->of_cache[p->n_sequences++] = s;
}

/* Sequences of one variant stand together. */
static void make_batch(struct pass *p)
{
    struct engine *e = p->e;
    for (size_t v = 0; v < e->c.n_models; v++) {
        size_t first = p->batch.rows;
        for (struct sequence *s = e->running; s; s = s->next)
            if (s->state == SEQUENCE_RUNNING && s->rows && s->task->model == e->c.models[v]) add_rows(p, s);
        if (p->batch.rows > first && e->c.models[v]->base) p->variant[p->batch.n_variants++] = (struct variant_rows){ first, p->batch.rows, &e->c.models[v]->model };
    }
    p->batch.token = e->row_token;
    p->batch.position = e->row_position;
    p->batch.sequence = e->row_sequence;
    p->batch.caches = e->caches;
    p->batch.variant = p->variant;
}

/* ---- what comes out ------------------------------------------------------------------------------------------------------------------------ */

static void list_jobs(struct pass *p)
{
    struct engine *e = p->e;
    p->job = arena_take(&e->step, (p->n_wanted + 1) * sizeof *p->job);
    for (size_t i = 0; i < p->n_sequences; i++) {
        struct sequence *s = e->of_cache[i];
        size_t vocab = model_vocab(&s->task->model->model), tokens = s->length - s->computed;
        if (s->task->kind == TASK_EMBED) continue;
        bool is_scored = s->task->prompt_records && !s->is_prompt_told;
        size_t rows = s->row_count, sampled = s->rows >= tokens ? 1 + s->guesses : 0, scored = is_scored ? rows - sampled : 0;
        for (size_t k = 0; k < scored; k += SCORE_ROWS)
            p->job[p->n_jobs++] = (struct logit_job){ s, s->row_first + k, scored - k < SCORE_ROWS ? scored - k : SCORE_ROWS, s->computed + k, vocab, true, NULL };
        if (sampled) p->job[p->n_jobs++] = (struct logit_job){ s, s->row_first + rows - sampled, sampled, 0, vocab, false, NULL };
    }
}

static void run_job(void *arg, size_t i, int worker)
{
    struct pass *p = arg;
    struct logit_job *j = &p->job[i];
    if (j->is_score) sequence_score(j->s, j->from, j->logits, j->n, j->vocab);
    else sequence_sample(j->s, &p->e->sampling[worker], j->logits, j->vocab);
}

/* Jobs [*at, end) whose rows are at most LOGIT_ROWS; several of one sequence never stand in one group, as they run side by side. */
static size_t group_end(const struct pass *p, size_t at)
{
    size_t rows = p->job[at].n, end = at + 1;
    while (end < p->n_jobs && p->job[end].s != p->job[end - 1].s && rows + p->job[end].n <= LOGIT_ROWS) rows += p->job[end++].n;
    return end;
}

static void run_group(struct pass *p, struct exec *x, const struct tensor *hidden, size_t from, size_t end)
{
    struct engine *e = p->e;
    size_t floats = 0, rows = 0;
    for (size_t i = from; i < end; i++) floats += p->job[i].n * p->job[i].vocab;
    if (floats > e->logits_floats) e->logits = mem_grow(e->logits, (e->logits_floats = floats) * sizeof *e->logits);
    float *at = e->logits;
    for (size_t i = from; i < end; i++) {
        p->job[i].logits = at;
        for (size_t k = 0; k < p->job[i].n; k++, at += p->job[i].vocab) p->out[rows++] = at;
    }
    struct tensor part = *hidden;
    part.rows = rows;
    part.data = tensor_f32(hidden) + p->job[from].row * hidden->cols;
    model_logits_each(p->model_of + p->job[from].row, x, &part, p->out);
    if (x->status != SC_OK) return;
    struct pass shifted = *p;
    shifted.job += from;
    pool_run(e->c.runtime->pool, end - from, run_job, &shifted);
}

static void add_embedding(struct sequence *s, const struct tensor *hidden)
{
    if (!s->embedding) s->embedding = mem_zero(hidden->cols, sizeof *s->embedding);
    for (size_t r = 0; r < s->row_count; r++)
        for (size_t i = 0; i < hidden->cols; i++) s->embedding[i] += (double)tensor_f32(hidden)[(s->row_first + r) * hidden->cols + i];
}

/* Jobs of neighbouring rows of `hidden`: rows of embeddings are not among them, so a group ends there. */
static void take_out(struct pass *p, struct exec *x, const struct tensor *hidden)
{
    list_jobs(p);
    for (size_t at = 0, end; at < p->n_jobs && x->status == SC_OK; at = end) {
        size_t most = group_end(p, at);
        for (end = at + 1; end < most && p->job[end].row == p->job[end - 1].row + p->job[end - 1].n; end++) { }
        run_group(p, x, hidden, at, end);
    }
    for (size_t i = 0; i < p->n_sequences; i++) {
        struct sequence *s = p->e->of_cache[i];
        if (s->task->kind == TASK_EMBED) add_embedding(s, hidden);
    }
}

/* Behind the pass: what was computed counts, also of prompts that are not whole yet. */
static void move_on(struct engine *e, const struct pass *p)
{
    for (size_t i = 0; i < p->n_sequences; i++) {
        struct sequence *s = e->of_cache[i];
        if (!s->is_sampled) s->computed += s->rows;
        s->is_sampled = false;
    }
}

static void time_pass(struct engine *e, size_t answer_rows, size_t reading_rows, double seconds)
{
    double answers = answer_rows ? pass_cost(e, answer_rows) : 0, rest = seconds - answers;
    if (!reading_rows && answer_rows <= ROWS_TIMED) running_mean(&e->pass_seconds[answer_rows], seconds, MEAN);
    /* One row beside answers is lost in what their time varies by, above and below; if it counted like many, a bad moment would lead to passes
     * of one row, whose times would then decide. */
    double weight = (double)reading_rows / (double)(reading_rows + ROWS_SURE);
    if (reading_rows && (!answer_rows || answers > 0)) running_mean(&e->row_seconds, rest / (double)reading_rows, weight > LEAST_WEIGHT ? weight : LEAST_WEIGHT);
}

static void count_pass(struct engine *e, size_t answer_rows, size_t reading_rows, double seconds)
{
    double all = (double)(answer_rows + reading_rows);
    pthread_mutex_lock(&e->lock);
    e->counts.passes++;
    e->counts.rows += answer_rows + reading_rows;
    e->counts.prompt_tokens += reading_rows;
    e->counts.prompt_seconds += seconds * (double)reading_rows / all;
    e->counts.decode_seconds += seconds * (double)answer_rows / all;
    pthread_mutex_unlock(&e->lock);
}

bool pass_run(struct engine *e, sc_error *err)
{
    size_t answer_rows, reading_rows;
    sc_runtime *rt = e->c.runtime;
    plan(e, &answer_rows, &reading_rows);
    /* Who had its turn may have had to give way for lack of memory: then it is another's. */
    for (size_t i = 0; i < e->n_running && !(answer_rows + reading_rows); i++) plan(e, &answer_rows, &reading_rows);
    size_t rows = answer_rows + reading_rows;
    if (!rows) return false;
    double begin = clock_seconds();
    struct arena_mark mark = arena_mark(&e->step);
    struct exec x = { .pool = rt->pool, .backend = rt->backend, .kernels = rt->kernels, .int8_activations = !strcmp(rt->activations, "int8"), .step = &e->step, .gemm_f32 = e->c.gemm_f32 };
    reserve_rows(e, rows);
    struct pass p = { .e = e };
    p.model_of = arena_take(&e->step, rows * sizeof *p.model_of);
    p.out = arena_take(&e->step, rows * sizeof *p.out);
    make_batch(&p);
    const struct tensor *hidden = model_forward(&e->c.models[0]->model, &x, &p.batch, e->wanted, p.n_wanted);
    if (x.status == SC_OK && p.n_wanted) take_out(&p, &x, hidden);
    if (x.status == SC_OK) move_on(e, &p);
    arena_rewind(&e->step, mark);
    double seconds = clock_seconds() - begin;
    time_pass(e, answer_rows, reading_rows, seconds);
    count_pass(e, answer_rows, reading_rows, seconds);
    if (x.status != SC_OK) FAIL(err, x.status, "the forward pass failed");
    return true;
}
