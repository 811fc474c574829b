/* test_eval_compare.c - statistics of results against values known from elsewhere, exact integers and simulations; pairing of results files. */
#include "eval/scores.h"
#include "test.h"

static void near(int line, double found, double expected, double within)
{
    if (!(fabs(found - expected) <= within)) test_failed(__FILE__, line, "%.12g, expected %.12g", found, expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)

/* ---- exact ------------------------------------------------------------------------------------------------------------------------------- */

TEST(mcnemar)
{
    NEAR(stats_mcnemar(10, 2), 0.03857421875, 1e-15);          /* 2 * (1 + 12 + 66) / 4096 */
    NEAR(stats_mcnemar(2, 10), 0.03857421875, 1e-15);
    NEAR(stats_mcnemar(5, 0), 0.0625, 1e-15);
    NEAR(stats_mcnemar(0, 0), 1, 0);
    NEAR(stats_mcnemar(7, 7), 1, 0);
    NEAR(stats_mcnemar(4, 5), 1, 1e-14);
    NEAR(stats_mcnemar(500, 600) / 0.0028195449914364275, 1, 1e-11);      /* Python's whole numbers */
    CHECK(stats_mcnemar(1000000000, 0) == 0);
    NEAR(stats_mcnemar(1000000, 1002000), 0.1577145, 1e-6);    /* normal approximation with continuity, z = 1.41280 */
    double p = 1;
    for (uint64_t n = 1; n <= 1000; n++) {                     /* falls to the smallest numbers there are, by halves */
        p = n == 1 ? 1 : p / 2;
        NEAR(stats_mcnemar(n, 0) / p, 1, 1e-11);
    }
}

TEST(wilson)
{
    struct stats_interval w = stats_wilson(110, 115);
    NEAR(w.low, 0.9022, 5e-5);
    NEAR(w.high, 0.9813, 5e-5);
    w = stats_wilson(0, 10);
    NEAR(w.low, 0, 0);
    NEAR(w.high, 0.277533, 1e-6);
    w = stats_wilson(10, 10);
    NEAR(w.low, 1 - 0.277533, 1e-6);
    NEAR(w.high, 1, 0);
}

TEST(holm)
{
    double p[] = { 0.01, 0.04, 0.03, 0.005 }, adjusted[4];
    stats_holm(adjusted, p, 4);
    NEAR(adjusted[0], 0.03, 1e-15);
    NEAR(adjusted[1], 0.06, 1e-15);
    NEAR(adjusted[2], 0.06, 1e-15);
    NEAR(adjusted[3], 0.02, 1e-15);
    stats_holm(adjusted, (double[]){ 0.6, 0.7 }, 2);
    NEAR(adjusted[0], 1, 0);
    NEAR(adjusted[1], 1, 0);
    stats_holm(adjusted, (double[]){ 0.6 }, 1);
    NEAR(adjusted[0], 0.6, 0);
    stats_holm(adjusted, p, 0);
}

/* ---- pass@k against whole numbers ------------------------------------------------------------------------------------------------------------- */

enum { ANSWERS = 200 };
struct whole { uint64_t digit[4]; };                           /* below 2^256; C(200, 100) is below 2^196 */

static struct whole plus(const struct whole *a, const struct whole *b)
{
    struct whole out;
    unsigned __int128 carry = 0;
    for (int i = 0; i < 4; i++) {
        carry += (unsigned __int128)a->digit[i] + b->digit[i];
        out.digit[i] = (uint64_t)carry;
        carry >>= 64;
    }
    return out;
}

static struct whole minus(const struct whole *a, const struct whole *b)
{
    struct whole out;
    uint64_t borrow = 0;
    for (int i = 0; i < 4; i++) {
        unsigned __int128 d = (unsigned __int128)a->digit[i] - b->digit[i] - borrow;
        out.digit[i] = (uint64_t)d;
        borrow = (uint64_t)(d >> 64) & 1;
    }
    return out;
}

static long double real_of(const struct whole *a)
{
    long double x = 0;
    for (int i = 3; i >= 0; i--) x = x * 18446744073709551616.0L + (long double)a->digit[i];
    return x;
}

TEST(pass_at_k)
{
    NEAR(stats_pass_at_k(20, 3, 1), 0.15, 1e-15);
    NEAR(stats_pass_at_k(20, 3, 10), 17.0 / 19, 1e-15);         /* 0.894737 */
    NEAR(stats_pass_at_k(5, 2, 4), 1, 0);
    NEAR(stats_pass_at_k(10, 0, 5), 0, 0);
    static struct whole choose[ANSWERS + 1][ANSWERS + 1];      /* Pascal's triangle; 0 where k > n */
    size_t bad = 0;
    for (size_t n = 0; n <= ANSWERS; n++) {
        choose[n][0].digit[0] = 1;
        for (size_t k = 1; k <= n; k++) choose[n][k] = plus(&choose[n - 1][k - 1], &choose[n - 1][k]);
    }
    for (size_t n = 1; n <= ANSWERS; n++)
        for (size_t c = 0; c <= n; c++)
            for (size_t k = 1; k <= n; k++) {
                struct whole some = minus(&choose[n][k], &choose[n - c][k]);
                double exact = (double)(real_of(&some) / real_of(&choose[n][k])), found = stats_pass_at_k(n, c, k);
                bad += !(fabs(found - exact) <= 1e-12 * exact);
            }
    CHECK_INT(bad, 0);
}

/* ---- simulations -------------------------------------------------------------------------------------------------------------------------------- */

enum { SIMULATIONS = 400, QUESTIONS = 150, DRAWS = 1000 };

/* Two models, right with 0.60 and 0.66 of questions, alike where the question's difficulty decides. */
static void draw_right(struct stats_pair *x, uint64_t simulation)
{
    for (uint64_t i = 0; i < QUESTIONS; i++) {
        double difficulty = random_unit(5, 3 * simulation, i), own = random_unit(5, 3 * simulation + 1, i), other = random_unit(5, 3 * simulation + 2, i);
        bool decided = own < 0.5;
        double u = decided ? difficulty : 2 * own - 1, v = decided ? difficulty : other;
        x[i] = (struct stats_pair){ u < 0.60, 1, v < 0.66, 1 };
    }
}

TEST(bootstrap_covers)
{
    struct stats_pair x[QUESTIONS];
    int covered = 0;
    double squares = 0, errors = 0;
    for (uint64_t s = 0; s < SIMULATIONS; s++) {
        draw_right(x, s);
        struct stats_sums d = stats_paired_sums(x, QUESTIONS, 1, s, DRAWS);
        covered += d.interval.low <= 0.06 && 0.06 <= d.interval.high;
        squares += (d.difference - 0.06) * (d.difference - 0.06);
        errors += d.error * d.error;
    }
    CHECK(covered >= 0.93 * SIMULATIONS && covered <= 0.97 * SIMULATIONS);
    NEAR(errors / squares, 1, 0.15);                           /* the standard error is what the differences show */
}

/* Twins share their difference: as 75 clusters the interval covers, as 150 questions it is too narrow by sqrt(2). */
TEST(bootstrap_of_clusters)
{
    int covered = 0, alone = 0;
    for (uint64_t s = 0; s < SIMULATIONS; s++) {
        struct stats_pair twins[QUESTIONS / 2], single[QUESTIONS];
        float noise[QUESTIONS];
        random_normal(noise, QUESTIONS, 9, s, 0);
        for (size_t i = 0; i < QUESTIONS / 2; i++) {
            twins[i] = (struct stats_pair){ 0, 2, 2 * (0.3 + (double)noise[i]), 2 };
            single[2 * i] = single[2 * i + 1] = (struct stats_pair){ 0, 1, 0.3 + (double)noise[i], 1 };
        }
        struct stats_interval t = stats_paired_sums(twins, QUESTIONS / 2, 1, s, DRAWS).interval, o = stats_paired_sums(single, QUESTIONS, 1, s, DRAWS).interval;
        covered += t.low <= 0.3 && 0.3 <= t.high;
        alone += o.low <= 0.3 && 0.3 <= o.high;
    }
    CHECK(covered >= 0.93 * SIMULATIONS && covered <= 0.97 * SIMULATIONS);
    CHECK(alone < 0.90 * SIMULATIONS);
}

/* Of models that are alike 5 % are told apart; of models that differ by the smallest difference 80 %. */
TEST(power_and_level)
{
    int level = 0, power = 0;
    double smallest = stats_smallest_difference(1 / sqrt(QUESTIONS));
    NEAR(smallest, 2.801585218 / sqrt(QUESTIONS), 1e-9);
    for (uint64_t s = 0; s < SIMULATIONS; s++) {
        struct stats_pair x[QUESTIONS];
        float noise[QUESTIONS];
        random_normal(noise, QUESTIONS, 10, s, 0);
        for (size_t i = 0; i < QUESTIONS; i++) x[i] = (struct stats_pair){ 0, 1, (double)noise[i], 1 };
        level += stats_sign_flip(x, QUESTIONS, 1, s, DRAWS) < 0.05;
        for (size_t i = 0; i < QUESTIONS; i++) x[i].b += smallest;
        power += stats_sign_flip(x, QUESTIONS, 1, s, DRAWS) < 0.05;
    }
    CHECK(level >= 0.03 * SIMULATIONS && level <= 0.075 * SIMULATIONS);
    CHECK(power >= 0.75 * SIMULATIONS && power <= 0.85 * SIMULATIONS);
}

/* Of perplexities: sums over words, so that weights count. */
TEST(paired_ratio)
{
    struct stats_pair x[] = { { -30, 10, -20, 10 }, { -10, 5, -10, 5 }, { -60, 15, -40, 15 } };
    struct stats_sums d = stats_paired_sums(x, 3, -1, 1, 2000);
    NEAR(d.a, -100.0 / 30, 1e-15);
    NEAR(d.b, -70.0 / 30, 1e-15);
    NEAR(d.difference, -1, 1e-15);                             /* B's perplexity is 1/e of A's */
    CHECK(d.interval.low >= -20.0 / 15 - 1e-12 && d.interval.high <= 1e-12);
    struct stats_sums again = stats_paired_sums(x, 3, -1, 1, 2000);
    CHECK(memcmp(&d, &again, sizeof d) == 0);
    struct stats_pair one = { 1, 1, 0, 1 };
    CHECK(isnan(stats_paired_sums(&one, 1, 1, 1, 100).error));
    NEAR(stats_sign_flip((struct stats_pair[]){ { 1, 1, 1, 1 }, { 0, 1, 0, 1 } }, 2, 1, 1, 100), 1, 0);
}

/* ---- pairing -------------------------------------------------------------------------------------------------------------------------------------- */

static json_t *samples_of(const char *text)
{
    json_t *out = json_loads(text, 0, NULL);
    if (!out) test_failed(__FILE__, __LINE__, "%s is no JSON", text);
    return out;
}

static json_int_t id_of(const json_t *s) { return json_integer_value(json_object_get(s, "doc_id")); }

/* The same document has another number where a file was filtered or is in another order. */
TEST(pairs_by_hash)
{
    json_t *a = samples_of("[{\"doc_id\":0,\"doc_hash\":\"x\"},{\"doc_id\":1,\"doc_hash\":\"y\"},{\"doc_id\":2,\"doc_hash\":\"same\"},{\"doc_id\":3,\"doc_hash\":\"same\"}]");
    json_t *b = samples_of("[{\"doc_id\":3,\"doc_hash\":\"same\"},{\"doc_id\":0,\"doc_hash\":\"y\"},{\"doc_id\":9,\"doc_hash\":\"z\"}]");
    struct eval_pairing p;
    eval_pair_samples(&p, a, b, "none");
    CHECK_INT(p.n, 2);
    CHECK_INT(id_of(p.at[0].a), 1);
    CHECK_INT(id_of(p.at[0].b), 0);
    CHECK_INT(id_of(p.at[1].a), 3);                            /* of two alike the one with the same number */
    CHECK_INT(id_of(p.at[1].b), 3);
    CHECK_INT(p.n_only_a, 2);
    CHECK_INT(id_of(p.only_a[0]), 0);
    CHECK_INT(id_of(p.only_a[1]), 2);
    CHECK_INT(p.n_only_b, 1);
    CHECK_INT(id_of(p.only_b[0]), 9);
    eval_pairing_release(&p);
    json_decref(a);
    json_decref(b);
}

TEST(pairs_by_number)
{
    json_t *a = samples_of("[{\"doc_id\":2},{\"doc_id\":1,\"filter\":\"none\"},{\"doc_id\":1,\"filter\":\"strict\"}]"), *b = samples_of("[{\"doc_id\":1,\"doc_hash\":\"y\"},{\"doc_id\":3,\"doc_hash\":\"z\"}]");
    struct eval_pairing p;
    eval_pair_samples(&p, a, b, "none");
    CHECK_INT(p.n, 1);
    CHECK_INT(id_of(p.at[0].a), 1);
    CHECK_INT(p.n_only_a, 1);
    CHECK_INT(p.n_only_b, 1);
    eval_pairing_release(&p);
    json_decref(a);
    json_decref(b);
}

static const char asked[] = "{\"results\":{\"t\":{\"acc,none\":1,\"acc_stderr,none\":0}},\"n-shot\":{\"t\":%d},\"configs\":{\"t\":{\"doc_to_text\":\"%s\"}},\"data\":{\"t\":[{\"sha256\":\"%s\"}]},\"chat_template_sha\":\"%s\","
                            "\"config\":{\"limit\":%d},\"samples\":{\"t\":[{\"doc_id\":0,\"prompt_hash\":\"%s\",\"acc\":%d}]}}";

static struct eval_record record_of(const char *format, ...) __attribute__((format(printf, 1, 2)));
static struct eval_record record_of(const char *format, ...)
{
    struct eval_record r;
    char text[1000];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    CHECK_OK(eval_record_parse(&r, text, strlen(text), "record", err));
    return r;
}

TEST(says_what_differs)
{
    struct eval_record a = record_of(asked, 0, "Q", "11", "aa", 5, "p", 1), same = record_of(asked, 0, "Q", "11", "aa", 5, "p", 0), b = record_of(asked, 5, "QQ", "22", "bb", 6, "q", 0);
    sc_eval_compare_config c = { .draws = 100 };
    json_t *out = NULL;
    CHECK_OK(eval_compare_records(&out, &a, &same, &c, err));
    json_t *row = json_array_get(json_object_get(out, "tasks"), 0);
    CHECK_INT(json_integer_value(json_object_get(row, "only_a")), 1);
    CHECK(json_is_null(json_object_get(row, "stderr")));       /* of one question */
    CHECK_STR(json_string_value(json_object_get(row, "verdict")), "no difference can be told by the test");
    json_decref(out);
    CHECK_FAILS(eval_compare_records(&out, &a, &b, &c, err), SC_E_ARGUMENT,
                "set differently: shots (0 and 5), the data files (by sha256), limit (5 and 6), the template doc_to_text, the chat template or its system message;");
    c.allow_different_prompts = true;
    CHECK_OK(eval_compare_records(&out, &a, &b, &c, err));
    CHECK_INT(json_integer_value(json_object_get(json_array_get(json_object_get(out, "tasks"), 0), "different_prompts")), 1);
    json_decref(out);
    eval_record_release(&a);
    eval_record_release(&same);
    eval_record_release(&b);
}
