/* test_score_tree.c - many texts at once get the bits that each gets alone, for any chunk, threads and ranks, which are those of sc_session_score up to
 * rounding; and beginnings that texts have in common are computed once. */
#include "test.h"

#include "infer/score_internal.h"
#include "model/model.h"

enum { TEXTS = 60, LONGEST = 200 };
struct text { int32_t id[LONGEST]; size_t n, from; double alone[LONGEST], found[LONGEST]; bool alone_greedy[LONGEST], found_greedy[LONGEST]; };

static sc_model *tiny(sc_runtime **rt, int64_t threads)
{
    static const char config[] = "{\"model_type\":\"llama\",\"tie_word_embeddings\":true,\"vocab_size\":50,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"num_key_value_heads\":1,"
                                 "\"intermediate_size\":96,\"max_position_embeddings\":256,\"initializer_range\":0.3,\"bos_token_id\":0,\"eos_token_id\":0}";
    sc_runtime_config rc;
    sc_init_config c;
    sc_model *m = NULL;
    sc_options_defaults(&runtime_options, &rc);
    sc_options_defaults(&init_options, &c);
    rc.threads = threads;
    rc.activations = "f32";
    CHECK_OK(sc_runtime_open(rt, &rc, err));
    char *json = path_join(test_scratch(), "config.json"), *out = path_join(test_scratch(), "model.gguf");
    CHECK_OK(file_write(json, config, strlen(config), err));
    c.config = json;
    c.out = out;
    c.type = "f32";
    c.overwrite = true;
    CHECK_OK(sc_init(*rt, &c, err));
    CHECK_OK(sc_model_open(&m, *rt, &(sc_model_config){ .path = out, .no_tokenizer = true }, err));
    mem_free(json);
    mem_free(out);
    return m;
}

static uint64_t draw(uint64_t *at, uint64_t below) { return random_u32(5, 1, (*at)++) % below; }

/* Some begin as an earlier one does, some are an earlier one with another last token, some equal an earlier one. */
static struct text *make_texts(void)
{
    struct text *t = mem_zero(TEXTS, sizeof *t);
    uint64_t at = 0;
    for (size_t i = 0; i < TEXTS; i++) {
        size_t n = 2 + draw(&at, LONGEST - 2), like = i ? draw(&at, i) : 0, shared = 0;
        if (i && draw(&at, 4)) shared = 1 + draw(&at, t[like].n);
        uint64_t kind = i ? draw(&at, 6) : 9;
        if (kind < 2) { n = t[like].n; shared = kind ? n : n - 1; }
        shared = shared < n ? shared : n;
        for (size_t k = 0; k < n; k++) t[i].id[k] = k < shared ? t[like].id[k] : (int32_t)draw(&at, 50);
        t[i].n = n;
        t[i].from = draw(&at, 3) ? n - 1 : 1 + draw(&at, n - 1);
    }
    return t;
}

static void requests_of(struct score_request *r, struct text *t)
{
    for (size_t i = 0; i < TEXTS; i++) r[i] = (struct score_request){ t[i].id, t[i].n, t[i].from, t[i].found, t[i].found_greedy };
}

static void score_alone(struct text *t, sc_model *m)
{
    sc_session *s = NULL;
    sc_session_config c;
    sc_options_defaults(&session_options, &c);
    c.cache_type = "f32";
    CHECK_OK(sc_session_open(&s, m, &c, err));
    for (size_t i = 0; i < TEXTS; i++) {
        struct score_request r = { t[i].id, t[i].n, t[i].from, t[i].alone, t[i].alone_greedy };
        struct score_counts counts;
        CHECK_OK(sc_session_score(t[i].found, t[i].found_greedy, s, t[i].id, t[i].n, t[i].from, err));
        CHECK_OK(scores_compute(&counts, m, &r, 1, &(struct score_config){ "f32", 0, 0, 1, NULL, NULL }, err));
        for (size_t k = 0; k < t[i].n - t[i].from; k++) CHECK(fabs(t[i].alone[k] - t[i].found[k]) < 1e-4);
    }
    sc_session_close(s);
}

static void check_equal(struct text *t)
{
    for (size_t i = 0; i < TEXTS; i++) {
        size_t n = t[i].n - t[i].from;
        CHECK(memcmp(t[i].alone, t[i].found, n * sizeof *t[i].alone) == 0);
        CHECK(memcmp(t[i].alone_greedy, t[i].found_greedy, n * sizeof *t[i].alone_greedy) == 0);
        memset(t[i].found, 0xFF, sizeof t[i].found);
        memset(t[i].found_greedy, 1, sizeof t[i].found_greedy);
    }
}

static void count_done(void *user, size_t request) { ((int *)user)[request]++; }

TEST(same_bits_as_alone)
{
    static const size_t chunks[] = { 1, 7, 64, 512 };
    struct text *t = make_texts();
    struct score_request r[TEXTS];
    requests_of(r, t);
    for (int threads = 1; threads <= 3; threads += 2) {
        sc_runtime *rt;
        sc_model *m = tiny(&rt, threads);
        if (threads == 1) score_alone(t, m);
        for (size_t c = 0; c < sizeof chunks / sizeof *chunks; c++)
            for (int size = 1; size <= 3; size += 2) {
                int done[TEXTS] = { 0 };
                size_t requests = 0;
                for (int rank = 0; rank < size; rank++) {
                    struct score_counts counts;
                    CHECK_OK(scores_compute(&counts, m, r, TEXTS, &(struct score_config){ "f32", chunks[c], rank, size, count_done, done }, err));
                    requests += counts.requests;
                }
                CHECK_INT(requests, TEXTS);
                for (size_t i = 0; i < TEXTS; i++) CHECK_INT(done[i], 1);
                check_equal(t);
            }
        sc_model_close(m);
        sc_runtime_close(rt);
    }
    mem_free(t);
}

/* Five examples and 40 questions with four answers of one token: the examples are computed once, each question once. */
TEST(common_beginnings_are_computed_once)
{
    enum { QUESTIONS = 40, EXAMPLES = 100, LENGTH = 20 };
    static int32_t id[QUESTIONS * 4][EXAMPLES + LENGTH + 1];
    static double logprob[QUESTIONS * 4];
    struct score_request r[QUESTIONS * 4];
    struct score_tree tree;
    uint64_t at = 0;
    for (size_t q = 0; q < QUESTIONS * 4; q++) {
        for (size_t k = 0; k < EXAMPLES; k++) id[q][k] = (int32_t)(k % 7);
        for (size_t k = EXAMPLES; k < EXAMPLES + LENGTH; k++) id[q][k] = q % 4 ? id[q - 1][k] : (int32_t)(k == EXAMPLES ? 10 + q / 4 : 10 + draw(&at, 40));
        id[q][EXAMPLES + LENGTH] = (int32_t)(q % 4);
        r[q] = (struct score_request){ id[q], EXAMPLES + LENGTH + 1, EXAMPLES + LENGTH, &logprob[q], NULL };
    }
    score_tree_plan(&tree, r, QUESTIONS * 4, 0, 1);
    CHECK_INT(tree.rows, EXAMPLES + QUESTIONS * LENGTH);
    CHECK_INT(tree.tokens, QUESTIONS * 4 * (EXAMPLES + LENGTH));
    score_tree_release(&tree);
}

TEST(refuses_what_the_model_cannot_read)
{
    sc_runtime *rt;
    sc_model *m = tiny(&rt, 1);
    static int32_t id[300];
    double logprob;
    struct score_counts counts;
    struct score_request r = { id, 300, 299, &logprob, NULL };
    CHECK_FAILS(scores_compute(&counts, m, &r, 1, &(struct score_config){ "f32", 0, 0, 1, NULL, NULL }, err), SC_E_ARGUMENT, "299 tokens to read");
    id[3] = 50;
    r.n = 10;
    r.from = 9;
    CHECK_FAILS(scores_compute(&counts, m, &r, 1, &(struct score_config){ "f32", 0, 0, 1, NULL, NULL }, err), SC_E_ARGUMENT, "token 50");
    sc_model_close(m);
    sc_runtime_close(rt);
}
