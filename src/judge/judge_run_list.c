/* judge_run_list.c - small things that running judges needs: lists, digests, settings by parts, and the option table. */
#include "judge/judge_run.h"

#include <string.h>

#define ROW(field, kind, low, high, fallback_, choices_, help_) { #field, kind, offsetof(sc_judge_config, field), low, high, fallback_, choices_, help_ }

static const struct option rows[] = {
    ROW(prompts, OPT_STRING, 0, 0, "", NULL, "file of prompts (`starchat judge prompts` makes one): lines of {\"id\",\"slice\",\"prompt\" | \"turns\"}, or FastChat's, Vicuna's, Arena-Hard's"),
    ROW(out, OPT_STRING, 0, 0, "", NULL, "where the results go: a directory, of `judge answers` a .jsonl file; a run with the same settings goes on there"),
    ROW(base, OPT_STRING, 0, 0, "", NULL, "the model before: MODEL, URL#NAME or a file of answers (.jsonl); LABEL=... names it"),
    ROW(tuned, OPT_STRING, 0, 0, "", NULL, "the model after, likewise"),
    ROW(models, OPT_STRING, 0, 0, "", NULL, "instead of --base and --tuned: several with commas, each compared with each"),
    ROW(baseline, OPT_STRING, 0, 0, "", NULL, "with --models: each is compared with this one alone"),
    ROW(judge, OPT_STRING, 0, 0, "", NULL, "who judges: MODEL or URL#NAME, several with commas"),
    ROW(protocol, OPT_STRING, 0, 0, "starchat", NULL, "how the judge is asked: a name (`starchat judge parse --list` shows them) or a YAML file"),
    ROW(one_order, OPT_BOOL, 0, 0, "false", NULL, "shows each pair once, in a drawn order; without it both ways round, so that a liking for a place shows"),
    ROW(canaries, OPT_INT, 0, 1000, "8", NULL, "trick questions of each kind by which the judge is tested; 0: none, then nothing vouches for it"),
    ROW(limit, OPT_INT, 0, 1000000, "0", NULL, "only the first so many prompts; 0: all"),
    ROW(temperature, OPT_REAL, 0, 10, "0.2", NULL, "of answers; the judge's is its protocol's"),
    ROW(top_p, OPT_REAL, 0, 1, "0.95", NULL, "of answers"),
    ROW(top_k, OPT_INT, 0, 1000000, "50", NULL, "of answers; 0: off"),
    ROW(max_new_tokens, OPT_INT, 1, 1000000, "256", NULL, "most tokens of an answer"),
    ROW(seed, OPT_INT, 0, 2147483646, "1234", NULL, "of answers, orders, trick questions and draws"),
    ROW(system, OPT_STRING, 0, 0, "", NULL, "the system's message before each conversation"),
    ROW(omit, OPT_STRING, 0, 0, "", NULL, "fields left out of requests to servers that refuse them, with commas: top_k,temperature,seed"),
    ROW(max_tokens_name, OPT_CHOICE, 0, 0, "max_tokens", "max_tokens|max_completion_tokens", "what servers call the limit of an answer"),
    ROW(parallel, OPT_INT, 1, 256, "8", NULL, "requests to a server at once"),
    ROW(rate, OPT_REAL, 0, 1e6, "0", NULL, "most requests to it a minute; 0: any"),
    ROW(connect_seconds, OPT_REAL, 0.1, 600, "10", NULL, "for a connection"),
    ROW(idle_seconds, OPT_REAL, 1, 86400, "300", NULL, "without a byte from the server"),
    ROW(request_seconds, OPT_REAL, 0.1, 86400, "600", NULL, "for the whole of a request"),
    ROW(retry_seconds, OPT_REAL, 0.001, 60, "1", NULL, "pause before a request is tried again, doubled each time"),
    ROW(tries, OPT_INT, 1, 100, "8", NULL, "of a request that fails in passing"),
    ROW(message_mib, OPT_INT, 1, 1024, "8", NULL, "most of a request or of what a server answers"),
    ROW(cache, OPT_STRING, 0, 0, "", NULL, "file of all answers that ever came back, which are never paid twice [judge.sqlite beside the models]; :memory: keeps none"),
    ROW(most_calls, OPT_INT, 0, 1000000000, "0", NULL, "ends after so many answers of servers, also useless ones, the cache's not counted; the same command goes on; 0: any"),
    ROW(most_cost, OPT_REAL, 0, 1e9, "0", NULL, "ends before servers would cost more; needs prices; 0: any"),
    ROW(price_in, OPT_REAL, 0, 1e6, "0", NULL, "price of a million tokens that are sent"),
    ROW(price_out, OPT_REAL, 0, 1e6, "0", NULL, "price of a million tokens that come back"),
    ROW(dry_run, OPT_BOOL, 0, 0, "false", NULL, "asks nothing: calls, tokens, cost, and which difference could be seen"),
    ROW(overwrite, OPT_BOOL, 0, 0, "false", NULL, "begins anew where --out has results already; what the cache has is not asked again"),
};
const struct sc_options judge_options = { "judge", sizeof(sc_judge_config), rows, sizeof rows / sizeof *rows };

void text_list_of(struct text_list *out, const char *commas)
{
    *out = (struct text_list){ 0 };
    for (const char *at = commas ? commas : ""; *at;) {
        size_t n = strcspn(at, ","), skip = strspn(at, " \t"), len = n;
        while (len > skip && (at[len - 1] == ' ' || at[len - 1] == '\t')) len--;
        if (len > skip) {
            out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
            out->at[out->n++] = mem_strndup(at + skip, len - skip);
        }
        at += n + (at[n] == ',');
    }
}

void text_list_release(struct text_list *l)
{
    for (size_t i = 0; i < l->n; i++) mem_free(l->at[i]);
    mem_free(l->at);
    *l = (struct text_list){ 0 };
}

void sha256_of_text(char hex[65], const char *text, size_t len)
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, text, len);
    sha256_end(&h, hex);
}

sc_status sha256_of_file(char hex[65], const char *path, sc_error *err)
{
    struct mapped_file f;
    TRY(file_map(&f, path, err));
    sha256_of_text(hex, f.data ? (const char *)f.data : "", f.size);
    file_unmap(&f);
    return SC_OK;
}

struct talk_limits talk_limits_of(const sc_judge_config *c)
{
    return (struct talk_limits){ .parallel = (size_t)c->parallel, .message_max = (size_t)c->message_mib << 20, .tries = (int)c->tries, .rate = c->rate, .connect_seconds = c->connect_seconds,
                                 .idle_seconds = c->idle_seconds, .request_seconds = c->request_seconds, .retry_seconds = c->retry_seconds };
}

struct budget budget_of(const sc_judge_config *c)
{
    return (struct budget){ .most_calls = c->most_calls, .most_cost = c->most_cost, .price_in = c->price_in, .price_out = c->price_out };
}

sc_status cache_open_of(struct cache *out, const sc_judge_config *c, sc_error *err)
{
    sc_text home;
    *out = (struct cache){ .lock = -1 };
    if (c->most_cost > 0 && c->price_in <= 0 && c->price_out <= 0) return FAIL(err, SC_E_ARGUMENT, "--most-cost needs --price-in and --price-out, the prices of a million tokens");
    if (c->cache && *c->cache) return cache_open(out, c->cache, err);
    TRY(sc_store_home(&home, err));
    char *path = path_join(home.data, "judge.sqlite");
    sc_status status = cache_open(out, path, err);
    mem_free(path);
    sc_text_free(&home);
    return status;
}

void budget_tell(json_t *out, const struct budget *b)
{
    json_object_set_new(out, "calls", json_integer(b->calls));
    json_object_set_new(out, "unusable", json_integer(b->unusable));
    json_object_set_new(out, "cached", json_integer(b->kept));
    json_object_set_new(out, "here", json_integer(b->here));
    json_object_set_new(out, "tokens_in", json_integer(b->tokens_in));
    json_object_set_new(out, "tokens_out", json_integer(b->tokens_out));
    json_object_set_new(out, "cost", json_real(b->cost));
}

void tell_progress(const sc_runtime *rt, const char *what, size_t done, size_t total)
{
    json_t *event = json_pack("{s:s, s:s, s:I, s:I}", "event", "judge", "what", what, "done", (json_int_t)done, "total", (json_int_t)total);
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text && rt->on_event) rt->on_event(rt->user, text);
    mem_free(text);
    json_decref(event);
}

void prompts_cut(struct judge_prompts *p, size_t n)
{
    if (!n || n >= p->n) return;
    struct judge_prompts rest = { p->at + n, p->n - n };
    rest.at = mem_alloc(rest.n * sizeof *rest.at);
    memcpy(rest.at, p->at + n, rest.n * sizeof *rest.at);
    p->n = n;
    judge_prompts_release(&rest);
}
