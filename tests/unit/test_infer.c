/* test_infer.c - samplers, stop strings, session rules. */
#include "test.h"

#include "infer/infer.h"

static sc_sample_config defaults(void)
{
    sc_sample_config c;
    sc_options_defaults(&sample_options, &c);
    return c;
}

/* How often each of n tokens is drawn in 20,000 picks. */
static void draw_many(const sc_sample_config *c, const float *logits, size_t n, double share[])
{
    struct sampler s;
    sampler_init(&s, c, n);
    float scratch[64];
    for (size_t i = 0; i < n; i++) share[i] = 0;
    for (uint64_t i = 0; i < 20000; i++) {
        memcpy(scratch, logits, n * sizeof *logits);
        share[sampler_pick(&s, scratch, NULL, 0, random_unit(9, 0, i))] += 1.0 / 20000;
    }
    sampler_release(&s);
}

static const float ramp[] = { 0.0f, 2.0f, 1.0f, -1.0f, 1.5f };   /* p: .065 .477 .175 .024 .289 with sum 1.03: see test */

TEST(log_sums_are_those_of_double)
{
    enum { MOST = 50257 };
    float *x = mem_alloc(MOST * sizeof *x), max;
    static const size_t sizes[] = { 1, 2, 15, 16, 63, 64, 65, 1000, 49152, MOST };
    static const float spread[] = { 0, 0.1f, 4, 20, 300 };
    for (size_t i = 0; i < sizeof sizes / sizeof *sizes * 5; i++) {
        size_t n = sizes[i / 5];
        random_normal(x, n, 3, i, 0);
        double largest = -INFINITY, sum = 0;
        for (size_t j = 0; j < n; j++) x[j] = x[j] * spread[i % 5] - 7;
        if (n > 2) x[n / 2] = -INFINITY;
        for (size_t j = 0; j < n; j++) largest = fmax(largest, (double)x[j]);
        for (size_t j = 0; j < n; j++) sum += exp((double)x[j] - largest);
        double found = log_sum(x, n, &max);
        CHECK((double)max == largest);
        if (!(fabs(found - log(sum)) < 1e-7)) test_failed(__FILE__, __LINE__, "log_sum of %zu is %.12g, expected %.12g", n, found, log(sum));
        x[n - 1] = NAN;                                    /* a broken model must not look sound */
        CHECK(isnan(log_sum(x, n, &max)));
    }
    mem_free(x);
}

TEST(sampling_without_cuts_follows_softmax)
{
    sc_sample_config c = defaults();
    c.temperature = 1;
    double share[5], sum = 0;
    draw_many(&c, ramp, 5, share);
    for (int i = 0; i < 5; i++) sum += exp((double)ramp[i]);
    for (int i = 0; i < 5; i++) CHECK(fabs(share[i] - exp((double)ramp[i]) / sum) < 0.012);
}

TEST(top_k_top_p_min_p_cut_the_tail)
{
    sc_sample_config c = defaults();
    double share[5];
    c.temperature = 1;
    c.top_k = 2;
    draw_many(&c, ramp, 5, share);
    CHECK(share[0] == 0 && share[2] == 0 && share[3] == 0 && share[1] > 0.5 && share[4] > 0.3);
    c = defaults();
    c.temperature = 1;
    c.top_p = 0.7;      /* 0.463 + 0.281 >= 0.7 */
    draw_many(&c, ramp, 5, share);
    CHECK(share[0] == 0 && share[2] == 0 && share[3] == 0 && share[1] > 0.5 && share[4] > 0.3);
    c.top_p = 0.8;      /* one more */
    draw_many(&c, ramp, 5, share);
    CHECK(share[2] > 0.1 && share[0] == 0);
    c = defaults();
    c.temperature = 1;
    c.min_p = 0.2;      /* relative to 0.463: keeps e^-1 = 0.37, e^-.5; drops e^-2 */
    draw_many(&c, ramp, 5, share);
    CHECK(share[2] > 0 && share[4] > 0 && share[0] == 0 && share[3] == 0);
}

TEST(typical_drops_the_obvious_and_the_odd)
{
    /* A flat bulk with one much likelier token: the bulk is the typical set. */
    float logits[41];
    for (int i = 0; i < 40; i++) logits[i] = 0;
    logits[40] = 2.0f;
    sc_sample_config c = defaults();
    c.temperature = 1;
    c.typical_p = 0.5;
    double share[41];
    draw_many(&c, logits, 41, share);
    CHECK(share[40] == 0 && share[0] > 0.02);
}

TEST(penalties_follow_their_formulas)
{
    sc_sample_config c = defaults();
    struct sampler s;
    sampler_init(&s, &c, 4);
    const int32_t history[] = { 0, 1, 1, 1 };
    float x[] = { 2.0f, 2.2f, -1.0f, 1.9f };
    c.repeat_penalty = 1.2;
    CHECK_INT(sampler_pick(&s, x, history, 4, 0), 3);
    CHECK(fabsf(x[0] - 2.0f / 1.2f) < 1e-6f && fabsf(x[1] - 2.2f / 1.2f) < 1e-6f && x[2] == -1.0f);
    c = defaults();
    c.frequency_penalty = 0.2;
    c.presence_penalty = 0.1;
    float y[] = { 2.0f, 2.2f, -1.0f, 1.65f };
    CHECK_INT(sampler_pick(&s, y, history, 4, 0), 0);
    CHECK(fabsf(y[0] - 1.7f) < 1e-6f && fabsf(y[1] - 1.5f) < 1e-6f);
    float z[] = { 2.0f, 2.2f, -1.0f, 1.65f };
    c.repeat_last_n = 0;
    CHECK_INT(sampler_pick(&s, z, history, 4, 0), 1);
    c = defaults();
    const sc_candidate bias[] = { { 2, 100 } };
    c.logit_bias = bias;
    c.n_logit_bias = 1;
    CHECK_INT(sampler_pick(&s, z, history, 4, 0), 2);
    sampler_release(&s);
}

TEST(top_k_of_many_equals_a_full_sort)
{
    enum { N = 3000 };
    static float logits[N];
    random_normal(logits, N, 5, 0, 0);
    sc_sample_config c = defaults();
    c.temperature = 0.7;
    for (int64_t k = 1; k < N; k = k * 3 + 1) {
        c.top_k = k;
        struct sampler s;
        sampler_init(&s, &c, N);
        float scratch[N];
        memcpy(scratch, logits, sizeof scratch);
        sampler_pick(&s, scratch, NULL, 0, 0.5);
        size_t better = 0;   /* tokens above the least one kept */
        for (int i = 0; i < N; i++) better += scratch[i] > s.candidate[k - 1].logprob;
        CHECK_INT(better, k - 1);
        sampler_release(&s);
    }
}

/* Feeds bytes one at a time and joins what comes out; `end`: the index of the stop string met, or -1. */
static int scan(const char *text, size_t len, const char *const *stop, size_t n_stop, struct buf *out)
{
    struct stop_scanner s;
    stop_scanner_init(&s, stop, n_stop);
    int found = -1;
    size_t from, to;
    for (size_t i = 0; i < len && found < 0; i++) {
        found = stop_scanner_put(&s, text + i, 1, false, &from, &to);
        buf_append(out, s.text.data + from, to - from);
    }
    if (found < 0) {
        found = stop_scanner_put(&s, "", 0, true, &from, &to);
        if (to > from) buf_append(out, s.text.data + from, to - from);
    }
    stop_scanner_release(&s);
    return found;
}

TEST(stop_strings_cross_token_borders)
{
    static const char *const stop[] = { "\nHuman:", "-----" };
    struct buf out;
    buf_init(&out, 0);
    CHECK_INT(scan("Hi.\nHum\nHuman: x", 16, stop, 2, &out), 0);
    CHECK_STR(out.data, "Hi.\nHum");
    buf_clear(&out);
    CHECK_INT(scan("a--b----", 8, stop, 2, &out), -1);
    CHECK_STR(out.data, "a--b----");
    buf_clear(&out);
    CHECK_INT(scan("\xF0\x9F\x98\x80-----", 9, stop, 2, &out), 1);
    CHECK_STR(out.data, "\xF0\x9F\x98\x80");
    buf_clear(&out);
    CHECK_INT(scan("ab\xF0\x9F", 4, stop, 2, &out), -1);
    CHECK_STR(out.data, "ab\xEF\xBF\xBD");
    buf_release(&out);
}

static sc_model *open_tiny(sc_runtime **rt)
{
    sc_model *m = NULL;
    sc_runtime_config c;
    sc_options_defaults(&runtime_options, &c);
    CHECK_OK(sc_runtime_open(rt, &c, err));
    CHECK_OK(sc_model_open(&m, *rt, &(sc_model_config){ .path = test_path("tests/golden/models/llama_mqa") }, err));
    return m;
}

TEST(context_overflow_says_both_numbers)
{
    sc_runtime *rt = NULL;
    sc_model *m = open_tiny(&rt);
    sc_session *s = NULL;
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .context = 8 }, err));
    int32_t ids[9] = { 1, 2, 3, 4, 5, 6, 7, 8, 9 };
    CHECK_FAILS(sc_session_sync(s, ids, 9, err), SC_E_ARGUMENT, "the prompt has 9 tokens, but the context holds 8");
    CHECK_OK(sc_session_sync(s, ids, 6, err));
    sc_sample_config c = defaults();
    c.ignore_eos = true;
    sc_generation g;
    CHECK_OK(sc_session_generate(&g, s, &c, NULL, NULL, err));
    CHECK_INT(g.reason, SC_STOP_CONTEXT);
    CHECK_INT(g.tokens, 2);
    ids[1] = 100000;
    CHECK_FAILS(sc_session_sync(s, ids, 3, err), SC_E_ARGUMENT, "token 1 of the prompt is 100000");
    sc_session_close(s);
    CHECK_FAILS(sc_session_open(&s, m, &(sc_session_config){ .context = 1 << 20 }, err), SC_E_ARGUMENT, "was made for at most");
    sc_model_close(m);
    sc_runtime_close(rt);
}

static int32_t picked[64];
static size_t n_picked;
static int keep_step(void *user, const sc_step *step)
{
    (void)user;
    CHECK(step->n_top == 2 && step->top[0].logprob >= step->top[1].logprob);
    picked[n_picked++] = step->id;
    return 0;
}

TEST(the_same_seed_gives_the_same_tokens)
{
    sc_runtime *rt = NULL;
    sc_model *m = open_tiny(&rt);
    int32_t first[64], ids[4] = { 3, 1, 4, 1 };
    sc_sample_config c = defaults();
    c.temperature = 1.5;
    c.max_tokens = 24;
    c.logprobs = 2;
    c.ignore_eos = true;
    c.on_step = keep_step;
    for (int round = 0; round < 3; round++) {
        sc_session *s = NULL;
        sc_generation g;
        n_picked = 0;
        c.seed = round == 2 ? 8 : 7;
        CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .chunk = 1 + round }, err));
        CHECK_OK(sc_session_sync(s, ids, 4, err));
        CHECK_OK(sc_session_generate(&g, s, &c, NULL, NULL, err));
        CHECK_INT(n_picked, 24);
        if (round == 0) memcpy(first, picked, sizeof first);
        CHECK((memcmp(first, picked, 24 * sizeof *first) == 0) == (round < 2));
        sc_session_close(s);
    }
    sc_model_close(m);
    sc_runtime_close(rt);
}

/* A text that repeats itself, continued with and without guesses: the same tokens and log-probabilities, greedy and drawn. */
static double said[300];
static int note_step(void *user, const sc_step *step)
{
    (void)user;
    said[n_picked] = step->logprob;
    picked[n_picked++ % 64] = step->id;
    return 0;
}

TEST(guesses_change_no_token)
{
    sc_runtime *rt = NULL;
    sc_model *m = open_tiny(&rt);
    int32_t ids[48], tokens[64];
    double expected[300];
    size_t guessed = 0;
    for (size_t i = 0; i < 48; i++) ids[i] = (int32_t)(3 + i % 6 * 7);
    for (int round = 0; round < 8; round++) {
        static const sc_candidate often = { 17, 60 };
        sc_sample_config c = defaults();
        c.n_logit_bias = round >= 6;                       /* the same token again and again */
        c.logit_bias = &often;
        c.temperature = round / 2 * 0.4;
        c.repeat_penalty = round % 2 ? 1.1 : 1;
        c.max_tokens = 60;
        c.ignore_eos = true;
        c.seed = 5;
        c.on_step = note_step;
        for (int with = 0; with < 2; with++) {
            sc_session *s = NULL;
            sc_generation g;
            n_picked = 0;
            c.speculate = with ? 15 : 0;
            CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ .context = 110, .chunk = round == 4 ? 3 : 64 }, err));
            CHECK_OK(sc_session_sync(s, ids, 48, err));
            CHECK_OK(sc_session_generate(&g, s, &c, NULL, NULL, err));
            CHECK_INT(g.tokens, 60);
            CHECK_INT(g.passes + g.guessed, 60);
            CHECK_INT(sc_session_length(s), 108);
            if (with) CHECK(memcmp(tokens, picked, 60 * sizeof *tokens) == 0 && memcmp(expected, said, 60 * sizeof *said) == 0);
            else CHECK(g.guessed == 0);
            memcpy(tokens, picked, sizeof tokens);
            memcpy(expected, said, sizeof expected);
            guessed += g.guessed;
            sc_session_close(s);
        }
    }
    CHECK(guessed > 0);
    sc_model_close(m);
    sc_runtime_close(rt);
}

TEST(guesses_are_made_where_they_pay)
{
    struct lookup l;
    int32_t text[] = { 9, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3 };
    lookup_init(&l);
    lookup_find(&l, text, 12, 15);
    CHECK(l.n == 8 && l.guess[0] == 4 && l.guess[4] == 8 && l.guess[5] == 1);
    for (size_t r = 1; r <= LOOKUP_MAX + 1; r++) lookup_time(&l, r, 1 + 0.01 * (double)r);
    CHECK(lookup_worth(&l) >= 1);                          /* passes over many rows are cheap here */
    for (int i = 0; i < 60; i++) {
        lookup_find(&l, text, 12, 15);
        lookup_see(&l, 0);                                 /* never right */
    }
    lookup_find(&l, text, 12, 15);
    CHECK_INT(lookup_worth(&l), 0);
    for (int i = 0; i < 60; i++) { lookup_find(&l, text, 12, 15); lookup_see(&l, 4); }
    lookup_find(&l, text, 12, 15);
    CHECK(lookup_worth(&l) > 4);
    lookup_find(&l, text, 12, 2);
    CHECK_INT(l.n, 2);
    lookup_find(&l, text, 1, 15);
    CHECK_INT(l.n, 0);
}

/* Sessions of different lengths, one token each in one pass: the logits of each alone. */
TEST(sessions_together_get_the_logits_of_each_alone)
{
    sc_runtime *rt = NULL;
    sc_model *m = open_tiny(&rt);
    sc_session *alone[5] = { NULL }, *together[5] = { NULL };
    int32_t ids[12] = { 3, 1, 4, 1, 5, 9, 2, 6, 5, 3, 5, 8 }, next[5] = { 7, 2, 11, 3, 40 };
    for (size_t i = 0; i < 5; i++) {
        CHECK_OK(sc_session_open(&alone[i], m, &(sc_session_config){ .context = i == 4 ? 12 : 64 }, err));
        CHECK_OK(sc_session_open(&together[i], m, &(sc_session_config){ .context = i == 4 ? 12 : 64 }, err));
        CHECK_OK(sc_session_sync(alone[i], ids, 3 + 2 * i, err));
        CHECK_OK(sc_session_sync(together[i], ids, 3 + 2 * i, err));
        CHECK_OK(sc_sessions_append(&alone[i], &next[i], 1, err));
    }
    CHECK_OK(sc_sessions_append(together, next, 5, err));
    for (size_t i = 0; i < 5; i++) {
        size_t vocab;
        const float *a = sc_session_logits(alone[i], &vocab), *b = sc_session_logits(together[i], NULL);
        CHECK(a && b && memcmp(a, b, vocab * sizeof *a) == 0);
        CHECK_INT(sc_session_length(together[i]), 4 + 2 * i);
    }
    CHECK_FAILS(sc_sessions_append(together, next, 5, err), SC_E_ARGUMENT, "session 4 is full: its context holds 12 tokens");
    sc_session *kept = together[1];
    together[1] = together[0];
    CHECK_FAILS(sc_sessions_append(together, next, 2, err), SC_E_ARGUMENT, "sessions 0 and 1 are the same");
    next[0] = -1;
    CHECK_FAILS(sc_sessions_append(together, next, 1, err), SC_E_ARGUMENT, "token -1 of session 0");
    CHECK_FAILS(sc_sessions_append(together, next, 0, err), SC_E_ARGUMENT, "no session");
    for (size_t i = 0; i < 5; i++) {
        sc_session_close(alone[i]);
        sc_session_close(i == 1 ? kept : together[i]);
    }
    sc_model_close(m);
    sc_runtime_close(rt);
}

TEST(cancel_stops_and_keeps_what_was_computed)
{
    sc_runtime *rt = NULL;
    sc_model *m = open_tiny(&rt);
    sc_session *s = NULL;
    int32_t ids[4] = { 3, 1, 4, 1 };
    CHECK_OK(sc_session_open(&s, m, &(sc_session_config){ 0 }, err));
    sc_cancel(rt);
    CHECK_FAILS(sc_session_sync(s, ids, 4, err), SC_E_CANCELLED, "cancelled");
    sc_cancel_reset(rt);
    CHECK_OK(sc_session_sync(s, ids, 4, err));
    sc_session_close(s);
    sc_model_close(m);
    sc_runtime_close(rt);
}
