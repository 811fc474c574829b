/* figures.c - /metrics in Prometheus' text format (exposition format 0.0.4). Names follow vLLM's where the same thing is meant, with our prefix. */
#include <string.h>

#include "serve/server.h"

static const double SECONDS_FIRST[] = { 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50 };
static const double SECONDS_GAP[] = { 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5 };
static const double SECONDS_WHOLE[] = { 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250 };

void histogram_add(struct histogram *h, double x)
{
    size_t i = 0;
    while (i < h->n && x > h->bound[i]) i++;
    h->count[i]++;
    h->sum += x;
    h->total++;
}

void figures_init(struct figures *f)
{
    *f = (struct figures){ .started = clock_seconds() };
    f->first_token = (struct histogram){ SECONDS_FIRST, sizeof SECONDS_FIRST / sizeof *SECONDS_FIRST, { 0 }, 0, 0 };
    f->queued = (struct histogram){ SECONDS_FIRST, sizeof SECONDS_FIRST / sizeof *SECONDS_FIRST, { 0 }, 0, 0 };
    f->token_gap = (struct histogram){ SECONDS_GAP, sizeof SECONDS_GAP / sizeof *SECONDS_GAP, { 0 }, 0, 0 };
    f->whole = (struct histogram){ SECONDS_WHOLE, sizeof SECONDS_WHOLE / sizeof *SECONDS_WHOLE, { 0 }, 0, 0 };
}

void figures_status(struct figures *f, int status)
{
    for (size_t i = 0; i < sizeof f->status / sizeof *f->status; i++) {
        if (f->status[i].status && f->status[i].status != status) continue;
        f->status[i].status = status;
        f->status[i].n++;
        return;
    }
}

static void put_head(struct buf *b, const char *name, const char *type, const char *help) { buf_printf(b, "# HELP starchat_%s %s\n# TYPE starchat_%s %s\n", name, help, name, type); }

static void put_one(struct buf *b, const char *name, const char *type, const char *help, double value)
{
    put_head(b, name, type, help);
    buf_printf(b, "starchat_%s %.15g\n", name, value);
}

static void put_histogram(struct buf *b, const char *name, const char *help, const struct histogram *h)
{
    uint64_t sum = 0;
    put_head(b, name, "histogram", help);
    for (size_t i = 0; i < h->n; i++) {
        sum += h->count[i];
        buf_printf(b, "starchat_%s_bucket{le=\"%g\"} %llu\n", name, h->bound[i], (unsigned long long)sum);
    }
    buf_printf(b, "starchat_%s_bucket{le=\"+Inf\"} %llu\nstarchat_%s_sum %.9g\nstarchat_%s_count %llu\n", name, (unsigned long long)h->total, name, h->sum, name, (unsigned long long)h->total);
}

static void put_engine(struct buf *b, const struct engine_counts *n)
{
    put_one(b, "requests_running", "gauge", "Answers that are being computed.", (double)n->running);
    put_one(b, "requests_waiting", "gauge", "Requests in the queue.", (double)n->waiting);
    put_one(b, "slots", "gauge", "Answers that may be computed at once.", (double)n->slots);
    put_one(b, "cache_pages", "gauge", "Pages of the key/value cache.", (double)n->pages);
    put_one(b, "cache_pages_used", "gauge", "Pages that hold something.", (double)n->pages_used);
    put_one(b, "cache_pages_prefix", "gauge", "Pages kept for prompts that begin alike.", (double)n->pages_cached);
    put_one(b, "kv_cache_usage_ratio", "gauge", "Share of the key/value cache in use.", n->pages ? (double)n->pages_used / (double)n->pages : 0);
    put_one(b, "prompt_tokens_total", "counter", "Tokens of prompts that were computed.", (double)n->prompt_tokens);
    put_one(b, "prompt_tokens_cached_total", "counter", "Tokens of prompts that were in the cache.", (double)n->cached_tokens);
    put_one(b, "prompt_tokens_disk_total", "counter", "Tokens of prompts that came from the disk.", (double)n->disk_tokens);
    put_one(b, "generation_tokens_total", "counter", "Tokens that were generated.", (double)n->generated_tokens);
    put_one(b, "spec_decode_draft_tokens_total", "counter", "Tokens that were guessed ahead.", (double)n->guesses);
    put_one(b, "spec_decode_accepted_tokens_total", "counter", "Guesses that came true.", (double)n->guessed_tokens);
    put_one(b, "passes_total", "counter", "Passes through the model.", (double)n->passes);
    put_one(b, "pass_rows_total", "counter", "Tokens computed in all passes.", (double)n->rows);
    put_one(b, "preemptions_total", "counter", "Answers that had to give way for lack of memory.", (double)n->preempted);
    put_one(b, "requests_cancelled_total", "counter", "Requests whose client left, or that were stopped.", (double)n->cancelled);
    put_one(b, "requests_failed_total", "counter", "Requests that failed inside.", (double)n->failed);
    put_one(b, "prompt_seconds_total", "counter", "Time spent reading prompts.", n->prompt_seconds);
    put_one(b, "decode_seconds_total", "counter", "Time spent generating.", n->decode_seconds);
}

static void put_http(struct buf *b, const struct sc_server *s)
{
    const struct figures *f = &s->figures;
    struct http_counts h = http_count(s->http);
    static const char *const finish[] = { "none", "end", "stop", "length", "context", "time", "filter" };        /* ORDER finish */
    put_one(b, "http_connections", "gauge", "Open connections.", (double)h.connections);
    put_one(b, "http_connections_total", "counter", "Connections that were accepted.", (double)h.accepted);
    put_one(b, "http_refused_total", "counter", "Requests and connections that were refused as malformed, too slow or too many.", (double)h.refused);
    put_head(b, "http_requests_total", "counter", "Answered requests by status.");
    for (size_t i = 0; i < sizeof f->status / sizeof *f->status && f->status[i].status; i++)
        buf_printf(b, "starchat_http_requests_total{status=\"%d\"} %llu\n", f->status[i].status, (unsigned long long)f->status[i].n);
    put_head(b, "request_success_total", "counter", "Complete answers by what ended them.");
    for (size_t i = 1; i < sizeof finish / sizeof *finish; i++) buf_printf(b, "starchat_request_success_total{finished_reason=\"%s\"} %llu\n", finish[i], (unsigned long long)f->finished[i]);
    put_head(b, "filter_hits_total", "counter", "Matches of the content filter by action.");
    buf_printf(b, "starchat_filter_hits_total{action=\"flag\"} %llu\nstarchat_filter_hits_total{action=\"redact\"} %llu\nstarchat_filter_hits_total{action=\"stop\"} %llu\n", (unsigned long long)s->filtered[0], (unsigned long long)s->filtered[1], (unsigned long long)s->filtered[2]);
    put_histogram(b, "time_to_first_token_seconds", "From the request to the first text.", &f->first_token);
    put_histogram(b, "inter_token_latency_seconds", "Between texts of one answer, by token.", &f->token_gap);
    put_histogram(b, "e2e_request_latency_seconds", "From the request to the end of the answer.", &f->whole);
    put_histogram(b, "request_queue_time_seconds", "From the request to the first pass.", &f->queued);
}

void handle_metrics(struct call *c)
{
    struct sc_server *s = c->server;
    struct engine_counts n;
    struct buf b;
    buf_init(&b, 0);
    engine_count(s->engine, &n);
    put_head(&b, "info", "gauge", "Version and model.");
    buf_printf(&b, "starchat_info{version=\"%s\",model=", sc_version());
    buf_put_json_string(&b, s->models[0].name, strlen(s->models[0].name));
    buf_puts(&b, "} 1\n");
    put_one(&b, "uptime_seconds", "gauge", "Since the start.", clock_seconds() - s->figures.started);
    put_engine(&b, &n);
    put_http(&b, s);
    call_reply_buf(c, 200, "text/plain; version=0.0.4; charset=utf-8", &b);
}
