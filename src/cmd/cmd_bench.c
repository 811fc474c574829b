/* cmd_bench.c - prefill and decode speed of a model against what this machine can do: decode must read every weight
 * once a token, so memory bandwidth bounds it; prefill needs two operations a weight and token, so arithmetic does.
 * One warm-up, then -r runs; median and standard deviation. */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { MAX_DEPTHS = 32, MAX_RUNS = 1000, MAX_TOGETHER = 256 };

struct bench {
    struct args args;
    sc_model_config model;
    sc_session_config session;
    struct opened opened;
    sc_session *s, *more[MAX_TOGETHER];     /* more[0] is s; the others decode together with it */
    long long prompt, generate, runs, together, depth[MAX_DEPTHS];
    int n_depths;
    int32_t *id; size_t n_id;      /* random tokens of the longest test */
    size_t vocab;
    uint64_t random;
    double bytes, parameters;      /* read per decoded token; multiplied per prompt token; 0: unknown */
    double bandwidth, peak;        /* bytes/s, operations/s; 0: unknown         */
    char kernels[32];
};
struct result { double median, deviation, share; };   /* share < 0: unknown */

/* SplitMix64 (Steele, Lea, Flood 2014): any token is as good as another here. */
static int32_t random_token(struct bench *b)
{
    uint64_t z = (b->random += 0x9E3779B97F4A7C15u);
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (int32_t)((z ^ z >> 31) % b->vocab);
}

/* ---- one run ---------------------------------------------------------------------------------------------------------- */

/* New tokens behind `depth`, and a first one that differs from before, so that nothing of the last run is reused. */
static void draw_tokens(struct bench *b, size_t depth)
{
    if (depth == 0) b->id[0] = (int32_t)((size_t)(b->id[0] + 1) % b->vocab);
    for (size_t i = depth ? depth : 1; i < b->n_id; i++) b->id[i] = random_token(b);
    if (depth) b->id[depth] = (int32_t)((size_t)(b->id[depth] + 1) % b->vocab);
}

static sc_status run_prefill(struct bench *b, size_t depth, double *seconds, sc_error *err)
{
    sc_status status = SC_OK;
    draw_tokens(b, depth);
    if (depth) status = sc_session_sync(b->s, b->id, depth, err);
    double begin = seconds_now();
    if (status == SC_OK) status = sc_session_sync(b->s, b->id, depth + (size_t)b->prompt, err);
    *seconds = seconds_now() - begin;
    return status;
}

static sc_status run_decode(struct bench *b, size_t depth, double *seconds, sc_error *err)
{
    size_t start = depth ? depth : 1, n = (size_t)b->together;
    sc_status status = SC_OK;
    for (size_t k = 0; k < n && status == SC_OK; k++) status = sc_session_sync(b->more[k], b->id, start, err);
    double begin = seconds_now();
    for (size_t i = 0; i < (size_t)b->generate && status == SC_OK; i++) {
        int32_t id[MAX_TOGETHER];
        for (size_t k = 0; k < n; k++) id[k] = random_token(b);
        status = sc_sessions_append(b->more, id, n, err);
    }
    *seconds = seconds_now() - begin;
    return status;
}

/* ---- all runs of one test ------------------------------------------------------------------------------------------------- */

static int by_value(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static sc_status measure(struct bench *b, bool is_decode, size_t depth, struct result *out, sc_error *err)
{
    double rate[MAX_RUNS], sum = 0, squares = 0;
    size_t tokens = (size_t)(is_decode ? b->generate * b->together : b->prompt), n = (size_t)b->runs;
    for (size_t i = 0; i <= n; i++) {
        double seconds;
        sc_status status = is_decode ? run_decode(b, depth, &seconds, err) : run_prefill(b, depth, &seconds, err);
        if (status != SC_OK) return status;
        if (i > 0) rate[i - 1] = (double)tokens / (seconds > 1e-9 ? seconds : 1e-9);
    }
    for (size_t i = 0; i < n; i++) sum += rate[i];
    for (size_t i = 0; i < n; i++) squares += (rate[i] - sum / (double)n) * (rate[i] - sum / (double)n);
    qsort(rate, n, sizeof *rate, by_value);
    out->median = n % 2 ? rate[n / 2] : (rate[n / 2 - 1] + rate[n / 2]) / 2;
    out->deviation = n > 1 ? sqrt(squares / (double)(n - 1)) : 0;
    double work = is_decode ? b->bytes / (double)b->together : 2 * b->parameters, limit = is_decode ? b->bandwidth : b->peak;
    out->share = work > 0 && limit > 0 ? work * out->median / limit : -1;
    return SC_OK;
}

static void print_result(const struct bench *b, const char *test, size_t depth, const struct result *r, bool is_first)
{
    if (b->args.common.json) {
        printf("%s{\"test\":\"%s\",\"depth\":%zu,\"together\":%lld,\"tokens_per_second\":%.4f,\"stddev\":%.4f,\"share_of_limit\":", is_first ? "" : ",\n ", test, depth, test[0] == 't' ? b->together : 1, r->median, r->deviation);
        if (r->share >= 0) printf("%.4f", r->share);
        else printf("null");
        printf(",\"runs\":%lld,\"kernels\":\"%s\",\"activations\":\"%s\"}", b->runs, b->kernels, b->args.common.runtime.activations);
    } else {
        if (is_first) printf("%-8s %8s %12s %10s %15s\n", "test", "depth", "tokens/s", "+-", "share of limit");
        printf("%-8s %8zu %12.2f %10.2f ", test, depth, r->median, r->deviation);
        if (r->share >= 0) printf("%13.1f %%\n", 100 * r->share);
        else printf("%15s\n", "-");
    }
    fflush(stdout);
}

static int run_tests(struct bench *b)
{
    bool is_first = true;
    sc_error err = { 0 };
    if (b->args.common.json) putchar('[');
    for (int k = 0; k < 2 * b->n_depths; k++) {
        bool is_decode = k % 2;
        long long tokens = is_decode ? b->generate : b->prompt;
        size_t depth = (size_t)b->depth[k / 2];
        struct result r;
        char test[32];
        if (tokens == 0) continue;
        if (measure(b, is_decode, depth, &r, &err) != SC_OK) return fail_with(&b->args.common, &err);
        snprintf(test, sizeof test, "%s%lld", is_decode ? "tg" : "pp", tokens);
        print_result(b, test, depth, &r, is_first);
        is_first = false;
    }
    if (b->args.common.json) puts("]");
    return EXIT_DONE;
}

/* ---- limits ------------------------------------------------------------------------------------------------------------------ */

static double number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

/* Whether int8 products are used at all: only block types have them. */
static bool has_blocks(const json_t *description)
{
    char *dtypes = json_dumps(json_object_get(description, "dtypes"), JSON_COMPACT | JSON_ENCODE_ANY);
    bool has = dtypes && (strstr(dtypes, "\"q") || strstr(dtypes, "\"Q"));
    free(dtypes);
    return has;
}

static void read_limits(struct bench *b)
{
    sc_text text = { 0 };
    json_t *model = NULL, *machine = NULL, *runtime = NULL;
    if (sc_model_describe(&text, b->opened.path.data, NULL) == SC_OK) model = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    if (sc_runtime_measure(&text, b->opened.runtime, NULL) == SC_OK) machine = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    if (sc_runtime_describe(&text, b->opened.runtime) == SC_OK) runtime = json_loadb(text.data, text.len, 0, NULL);
    sc_text_free(&text);
    b->bytes = number(model, "decode_bytes");
    b->parameters = number(model, "block_parameters");
    bool is_int8 = strcmp(b->args.common.runtime.activations, "int8") == 0 && has_blocks(model);
    b->bandwidth = number(machine, "read_gb_per_second") * 1e9;
    b->peak = number(machine, is_int8 ? "int8_gops" : "f32_gflops") * 1e9;
    const char *kernels = json_string_value(json_object_get(runtime, "kernels"));
    snprintf(b->kernels, sizeof b->kernels, "%s", kernels ? kernels : "unknown");
    json_decref(model);
    json_decref(machine);
    json_decref(runtime);
}

/* ---- the command ------------------------------------------------------------------------------------------------------------ */

static int parse_depths(struct bench *b)
{
    const char *text = args_value(&b->args, "depth");
    b->n_depths = 1;
    if (!text) return ARGS_GO;
    b->n_depths = 0;
    do {
        char *end;
        long long depth = strtoll(text, &end, 10);
        if (end == text || (*end && *end != ',') || depth < 0 || depth > 1 << 27 || b->n_depths == MAX_DEPTHS)
            return usage_error(b->args.command, "--depth is \"%s\", expected up to %d numbers with commas between them, such as 0,1024,4096", args_value(&b->args, "depth"), MAX_DEPTHS);
        b->depth[b->n_depths++] = depth;
        text = *end ? end + 1 : NULL;
    } while (text);
    return ARGS_GO;
}

static int parse(struct bench *b, const struct command *self, int argc, char **argv)
{
    int code = args_parse(&b->args, self, argc, argv, (void *const[]){ &b->session });
    if (code == ARGS_GO) code = args_integer(&b->args, "prompt", &b->prompt, 512, 0, 1 << 27);
    if (code == ARGS_GO) code = args_integer(&b->args, "generate", &b->generate, 128, 0, 1 << 27);
    if (code == ARGS_GO) code = args_integer(&b->args, "runs", &b->runs, 5, 1, MAX_RUNS);
    if (code == ARGS_GO) code = args_integer(&b->args, "together", &b->together, 1, 1, MAX_TOGETHER);
    if (code == ARGS_GO) code = parse_depths(b);
    if (code == ARGS_GO && b->prompt == 0 && b->generate == 0) code = usage_error(self, "-p and -n are both 0, so there is nothing to measure");
    return code;
}

static int prepare(struct bench *b)
{
    long long deepest = 0, most = b->prompt > b->generate + 1 ? b->prompt : b->generate + 1;
    sc_error err = { 0 };
    for (int i = 0; i < b->n_depths; i++) if (b->depth[i] > deepest) deepest = b->depth[i];
    b->n_id = (size_t)(deepest + most);
    if (b->session.context == 0) b->session.context = (int64_t)b->n_id;
    if (sc_session_open(&b->s, b->opened.model, &b->session, &err) != SC_OK) return fail_with(&b->args.common, &err);
    b->more[0] = b->s;
    for (long long k = 1; k < b->together && b->generate; k++)
        if (sc_session_open(&b->more[k], b->opened.model, &b->session, &err) != SC_OK) return fail_with(&b->args.common, &err);
    (void)sc_session_logits(b->s, &b->vocab);
    b->id = malloc((b->n_id + 1) * sizeof *b->id);
    if (!b->id) return fail_text("no memory for %zu tokens", b->n_id);
    b->random = b->args.common.seed ? strtoull(b->args.common.seed, NULL, 10) : 0;
    for (size_t i = 0; i < b->n_id; i++) b->id[i] = random_token(b);
    read_limits(b);
    return ARGS_GO;
}

static int run_bench(const struct command *self, int argc, char **argv)
{
    struct bench b = { 0 };
    int code = parse(&b, self, argc, argv);
    if (code != ARGS_GO) return code;
    b.model.no_tokenizer = true;
    code = open_model(&b.opened, &b.args.common, &b.model, b.args.operand[0], true);
    if (code == ARGS_GO) code = prepare(&b);
    if (code == ARGS_GO) code = run_tests(&b);
    for (int k = 1; k < MAX_TOGETHER; k++) sc_session_close(b.more[k]);
    sc_session_close(b.s);
    free(b.id);
    close_model(&b.opened);
    return code;
}

static const char *const tables[] = { "session", NULL };
static const struct flag flags[] = {
    { "prompt", "p", "N", "tokens of a prefill test [512]; 0: none", NULL },
    { "generate", "n", "N", "tokens of a decode test [128]; 0: none", NULL },
    { "runs", "r", "N", "how often each test is run after one warm-up [5]", NULL },
    { "together", NULL, "N", "sequences that generate together [1]", NULL },
    { "depth", "d", "N,N,...", "tokens already in the context [0]", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_bench = {
    .name = "bench", .operands = "MODEL", .summary = "prefill and decode speed against this machine's limits",
    .min_operands = 1, .max_operands = 1, .run = run_bench, .tables = tables, .flags = flags,
    .details = "pp512: tokens/s of reading 512 tokens; tg128: of generating 128, one by one (with --together, of all\n"
               "sequences at once). The share of the limit is how\n"
               "much of the measured arithmetic peak (pp) or memory bandwidth (tg) the weights alone account for.\n\n"
               "  starchat bench MODEL -p 512 -n 128 --depth 0,1024,4096",
};
