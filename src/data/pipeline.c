/* pipeline.c - reads records in batches, lets the pool work on them, and hands the results on in the order of the input:
 * what depends on order (duplicates, counts, the sink) is the same for any number of threads. While the pool works on one
 * batch, one of its threads hands on the results of the batch before and reads the one behind it. */
#include "data/prepare.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_RECORDS = 1024, BATCH_BYTES = 8 << 20 };
static const double EVENT_SECONDS = 0.2;

struct record_batch { struct work *work; size_t n; };
struct pipeline {
    sc_runtime *rt; const struct plan *plan; struct workshop shop; struct reader *reader; struct dedup *dedup; struct counts *counts;
    dialogue_sink *sink; void *user;
    struct record_batch batch[2]; int current;                   /* the one being worked on */
    bool more; sc_status status; sc_error error;          /* of the reader; of what has a fixed order */
    double started, told;
};

static void tell(const struct pipeline *p, const char *key, const char *text)
{
    struct buf b;
    if (!p->plan->config->on_event) return;
    buf_init(&b, 0);
    buf_printf(&b, "{\"event\":\"%s\",\"text\":", key);
    buf_put_json_string(&b, text, strlen(text));
    buf_putc(&b, '}');
    p->plan->config->on_event(p->plan->config->user, b.data);
    buf_release(&b);
}

static void tell_progress(struct pipeline *p, bool at_end)
{
    uint64_t done, total;
    char text[300];
    double now = clock_seconds();
    if (!p->plan->config->on_event || (!at_end && now - p->told < EVENT_SECONDS)) return;
    p->told = now;
    reader_progress(p->reader, &done, &total);
    snprintf(text, sizeof text, "{\"event\":\"progress\",\"what\":\"reading\",\"bytes\":%llu,\"total\":%llu,\"bytes_per_second\":%.0f,\"rows\":%llu}", (unsigned long long)done,
             (unsigned long long)total, (double)done / (now - p->started + 1e-9), (unsigned long long)p->counts->kept);
    p->plan->config->on_event(p->plan->config->user, text);
}

/* Fills the batch; a record that cannot be read takes its place with its error. */
static sc_status read_batch(struct pipeline *p, struct record_batch *b)
{
    size_t bytes = 0;
    while (p->more && b->n < BATCH_RECORDS && bytes < BATCH_BYTES) {
        struct work *w = &b->work[b->n];
        *w = (struct work) { 0 };
        w->status = reader_next(p->reader, &w->record, &p->more, &w->error);
        if (w->status == SC_OK && !p->more) break;
        b->n++;
        if (w->status != SC_OK && w->status != SC_E_FORMAT) { p->error = w->error; return w->status; }
        bytes += w->record.len;
    }
    return SC_OK;
}

/* A weight repeats an input on purpose: what was there in an earlier pass is no duplicate in this one. */
static enum drop_reason check_duplicate(struct pipeline *p, const struct record *r, struct prepared *d)
{
    uint64_t pass = r->repeat * 0x9E3779B97F4A7C15u;
    d->digest[0] ^= pass;
    for (size_t i = 0; p->plan->dedup == 1 && i < MINHASH_BANDS; i++) d->near.band[i] ^= pass;
    return dedup_check(p->dedup, d->digest, p->plan->dedup == 1 ? &d->near : NULL);
}

static sc_status finish_dialogue(struct pipeline *p, struct work *w, size_t i, sc_error *err)
{
    struct prepared *d = &w->prepared[i];
    if (d->why == KEEP && p->dedup) d->why = check_duplicate(p, &w->record, d);
    counts_add(p->counts, w, d, &w->dialogues.dialogue[i]);
    char text[400];
    if (*d->reason) {
        snprintf(text, sizeof text, "%.180s, line %llu: %s", w->record.file, (unsigned long long)w->record.line, d->reason);
        tell(p, "dropped", text);
    }
    if (d->has_hit) {
        snprintf(text, sizeof text, "%.90s, line %llu contains %s %.90s, line %llu (%.0f %%)", w->record.file, (unsigned long long)w->record.line, d->hit.is_exact ? "text of" : "much of",
                 d->hit.file, (unsigned long long)d->hit.line, 100 * d->hit.share);
        tell(p, "overlap", text);
    }
    return d->why == KEEP ? p->sink(p->user, w, d, &w->dialogues.dialogue[i], err) : SC_OK;
}

static sc_status finish_record(struct pipeline *p, struct work *w, sc_error *err)
{
    p->counts->records++;
    if (w->status != SC_OK) {
        if (p->plan->on_error == ON_ERROR_STOP || w->status != SC_E_FORMAT) {
            if (err) *err = w->error;
            size_t n = err ? strlen(err->message) : 0;
            if (err && w->status == SC_E_FORMAT) snprintf(err->message + n, sizeof err->message - n, "; --on-error skip leaves such records out");
            return w->status;
        }
        p->counts->skipped++;
        tell(p, "skipped", w->error.message);
        return SC_OK;
    }
    p->counts->without_dialogue += !w->dialogues.len;     /* a tree that the switches leave nothing of */
    for (size_t i = 0; i < w->dialogues.len; i++) TRY(finish_dialogue(p, w, i, err));
    return SC_OK;
}

static void batch_release(struct record_batch *b)
{
    for (size_t i = 0; i < b->n; i++) work_release(&b->work[i]);
    b->n = 0;
}

/* The batch that was worked on hands its results on and takes the next records. */
static void batch_turn(struct pipeline *p, struct record_batch *b)
{
    for (size_t i = 0; i < b->n && p->status == SC_OK; i++) p->status = finish_record(p, &b->work[i], &p->error);
    batch_release(b);
    if (p->status == SC_OK) p->status = read_batch(p, b);
    if (p->status == SC_OK) tell_progress(p, false);
}

/* Item 0 is the one of fixed order; meanwhile the others work on the batch read before. */
static void run_item(void *arg, size_t i, int worker)
{
    struct pipeline *p = arg;
    if (i) work_one(&p->shop, i - 1, worker);
    else batch_turn(p, &p->batch[!p->current]);
}

static sc_status run_batches(struct pipeline *p, sc_error *err)
{
    batch_turn(p, &p->batch[!p->current]);
    while (p->status == SC_OK && p->batch[!p->current].n) {
        p->current = !p->current;
        p->shop.work = p->batch[p->current].work;
        pool_run(p->rt->pool, p->batch[p->current].n + 1, run_item, p);
        if (p->rt->cancel) return FAIL(err, SC_E_CANCELLED, "interrupted; nothing was written");
        if (p->status == SC_OK && !p->batch[!p->current].n) {       /* there was no more to read */
            p->current = !p->current;
            batch_turn(p, &p->batch[!p->current]);
        }
    }
    if (p->status != SC_OK && err) *err = p->error;
    if (p->status == SC_OK) tell_progress(p, true);
    return p->status;
}

sc_status pipeline_run(sc_runtime *rt, const struct plan *plan, const struct renderer *renderer, struct counts *counts, json_t **inputs, dialogue_sink *sink, void *user, sc_error *err)
{
    const sc_prepare_config *c = plan->config;
    struct overlap *overlap = NULL;
    struct pipeline p = { .rt = rt, .plan = plan, .counts = counts, .sink = sink, .user = user, .more = true, .started = clock_seconds() };
    const struct reader_config reader = { c->inputs, c->n_inputs, c->seed };
    sc_status status = SC_OK;
    *inputs = NULL;
    if (c->overlap && *c->overlap) TRY_DONE(overlap_open(&overlap, &c->overlap, 1, err));
    TRY_DONE(reader_open(&p.reader, &reader, err));
    if (plan->dedup != 2) p.dedup = dedup_open(plan->dedup == 1);
    p.shop = (struct workshop) { plan, renderer, overlap, NULL };
    for (int i = 0; i < 2; i++) p.batch[i].work = mem_zero(BATCH_RECORDS, sizeof *p.batch[i].work);
    TRY_DONE(run_batches(&p, err));
    *inputs = reader_describe(p.reader);
done:
    for (int i = 0; i < 2; i++) {
        batch_release(&p.batch[i]);
        mem_free(p.batch[i].work);
    }
    dedup_close(p.dedup);
    reader_close(p.reader);
    overlap_close(overlap);
    return status;
}
