/* pipeline.c - reads records in batches, lets the pool work on them, and hands the results on in the order of the input:
 * what depends on order (duplicates, counts, the sink) is the same for any number of threads. */
#include "data/prepare.h"

#include <stdio.h>
#include <string.h>

enum { BATCH_RECORDS = 1024, BATCH_BYTES = 8 << 20 };
static const double EVENT_SECONDS = 0.2;

struct pipeline {
    sc_runtime *rt; const struct plan *plan; struct workshop shop; struct reader *reader; struct dedup *dedup; struct counts *counts;
    dialogue_sink *sink; void *user;
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
static sc_status read_batch(struct pipeline *p, size_t *n, bool *more)
{
    size_t bytes = 0;
    for (*n = 0; *more && *n < BATCH_RECORDS && bytes < BATCH_BYTES;) {
        struct work *w = &p->shop.work[*n];
        *w = (struct work) { 0 };
        w->status = reader_next(p->reader, &w->record, more, &w->error);
        if (w->status == SC_OK && !*more) break;
        if (w->status != SC_OK && w->status != SC_E_FORMAT) { ++*n; return w->status; }
        bytes += w->record.len;
        ++*n;
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
    if (*d->reason) tell(p, "dropped", d->reason);
    if (d->has_hit) {
        char text[300];
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
    for (size_t i = 0; i < w->dialogues.len; i++) TRY(finish_dialogue(p, w, i, err));
    return SC_OK;
}

static sc_status run_batches(struct pipeline *p, sc_error *err)
{
    for (bool more = true; more;) {
        size_t n;
        sc_status status = read_batch(p, &n, &more);
        if (status == SC_OK) pool_run(p->rt->pool, n, work_one, &p->shop);
        else if (err && n) *err = p->shop.work[n - 1].error;
        for (size_t i = 0; i < n; i++) {
            if (status == SC_OK) status = finish_record(p, &p->shop.work[i], err);
            work_release(&p->shop.work[i]);
        }
        TRY(status);
        if (p->rt->cancel) return FAIL(err, SC_E_CANCELLED, "interrupted; nothing was written");
        tell_progress(p, !more);
    }
    return SC_OK;
}

sc_status pipeline_run(sc_runtime *rt, const struct plan *plan, const struct renderer *renderer, struct counts *counts, json_t **inputs, dialogue_sink *sink, void *user, sc_error *err)
{
    const sc_prepare_config *c = plan->config;
    struct overlap *overlap = NULL;
    struct pipeline p = { .rt = rt, .plan = plan, .counts = counts, .sink = sink, .user = user, .started = clock_seconds() };
    const struct reader_config reader = { c->inputs, c->n_inputs, c->seed };
    sc_status status = SC_OK;
    *inputs = NULL;
    if (c->overlap && *c->overlap) TRY_DONE(overlap_open(&overlap, &c->overlap, 1, err));
    TRY_DONE(reader_open(&p.reader, &reader, err));
    if (plan->dedup != 2) p.dedup = dedup_open(plan->dedup == 1);
    p.shop = (struct workshop) { plan, renderer, overlap, mem_zero(BATCH_RECORDS, sizeof *p.shop.work) };
    TRY_DONE(run_batches(&p, err));
    *inputs = reader_describe(p.reader);
done:
    mem_free(p.shop.work);
    dedup_close(p.dedup);
    reader_close(p.reader);
    overlap_close(overlap);
    return status;
}
