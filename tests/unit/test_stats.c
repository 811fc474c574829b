/* test_stats.c - statistics against scipy, statsmodels, scikit-learn, krippendorff and choix (tests/golden/stats, by tools/oracle/stats_oracle.py), against brute force, and by simulation. */
#include "stats/stats.h"
#include "test.h"

static void near(int line, double found, double expected, double within)
{
    if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) <= within)) test_failed(__FILE__, line, "%.15g, expected %.15g", found, expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)
/* Relative, and absolute below 1. */
static void like(int line, double found, double expected, double within) { near(line, found, expected, within * fmax(1, fabs(expected))); }
#define LIKE(...) like(__LINE__, __VA_ARGS__)
/* Of p: as many digits of small ones. */
static void chance(int line, double found, double expected) { near(line, found, expected, 1e-9 * expected + 1e-300); }
#define CHANCE(...) chance(__LINE__, __VA_ARGS__)

/* ---- golden values ------------------------------------------------------------------------------------------------------------------------- */

enum { MOST = 4096 };

static json_t *golden(const char *name)
{
    char path[600];
    json_t *out = NULL;
    snprintf(path, sizeof path, "%s/%s.json", test_path("tests/golden/stats"), name);
    CHECK_OK(json_read_file(&out, path, 1 << 22, err));
    return out;
}

static double real_of(const json_t *v) { return json_is_null(v) ? (double)NAN : json_number_value(v); }
static double real(const json_t *o, const char *key) { return real_of(json_object_get(o, key)); }
static size_t whole(const json_t *o, const char *key) { return (size_t)json_integer_value(json_object_get(o, key)); }

static size_t reals(double *out, const json_t *o, const char *key)
{
    const json_t *list = json_object_get(o, key);
    size_t n = json_array_size(list);
    CHECK(json_is_array(list) && n <= MOST);
    for (size_t i = 0; i < n; i++) out[i] = real_of(json_array_get(list, i));
    return n;
}

static size_t ints(int *out, const json_t *o, const char *key)
{
    static double x[MOST];
    size_t n = reals(x, o, key);
    for (size_t i = 0; i < n; i++) out[i] = (int)x[i];
    return n;
}

TEST(golden_shares)
{
    json_t *all = golden("shares"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "binomial"), i, row) CHANCE(stats_binomial_test(whole(row, "k"), whole(row, "n"), real(row, "p")), real(row, "value"));
    CHECK_INT(i, 22);
    json_array_foreach(json_object_get(all, "intervals"), i, row) {
        struct stats_interval exact = stats_clopper_pearson(whole(row, "k"), whole(row, "n")), wilson = stats_wilson((double)whole(row, "k"), (double)whole(row, "n"));
        NEAR(exact.low, real(row, "low"), 1e-12);
        NEAR(exact.high, real(row, "high"), 1e-12);
        NEAR(wilson.low, real(row, "wilson_low"), 1e-12);
        NEAR(wilson.high, real(row, "wilson_high"), 1e-12);
    }
    CHECK_INT(i, 11);
    json_array_foreach(json_object_get(all, "t"), i, row) {
        CHANCE(stats_t_test(real(row, "t"), real(row, "freedom")), real(row, "p"));
        LIKE(stats_t_quantile(0.975, real(row, "freedom")), real(row, "quantile_975"), 1e-9);
        LIKE(stats_t_quantile(0.9, real(row, "freedom")), real(row, "quantile_9"), 1e-9);
        LIKE(stats_t_quantile(0.1, real(row, "freedom")), -real(row, "quantile_9"), 1e-9);
    }
    CHECK_INT(i, 12);
    json_decref(all);
}

static void check_correlation(const json_t *row, const char *key, struct stats_correlation found, double within)
{
    double expected[2];
    CHECK_INT(reals(expected, row, key), 2);
    NEAR(found.value, expected[0], within);
    NEAR(found.p, expected[1], within * 10 + 1e-9 * expected[1]);
}

TEST(golden_order)
{
    static double x[MOST], y[MOST], expected[MOST], ranks[MOST];
    static const double at[] = { 0, 0.025, 0.5, 0.9, 1 };
    json_t *all = golden("order"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "rows"), i, row) {
        size_t n = reals(x, row, "x");
        CHECK_INT(reals(y, row, "y"), n);
        double within = fabs(x[0]) > 1e8 ? 1e-6 : 1e-12;      /* around 1e9 the reference loses these digits */
        LIKE(stats_mean(x, n), real(row, "mean"), 1e-14);
        LIKE(stats_sd(x, n), real(row, "sd"), 1e-9);
        reals(expected, row, "quantiles");
        for (size_t k = 0; k < 5; k++) LIKE(stats_quantile(x, n, at[k]), expected[k], 1e-14);
        stats_ranks(ranks, x, n);
        reals(expected, row, "ranks");
        for (size_t k = 0; k < n; k++) NEAR(ranks[k], expected[k], 0);
        check_correlation(row, "pearson", stats_pearson(x, y, n), within);
        check_correlation(row, "spearman", stats_spearman(x, y, n), 1e-12);
        check_correlation(row, "kendall", stats_kendall(x, y, n), 1e-12);
        if (reals(expected, row, "line") == 0 || fabs(x[0]) > 1e8) continue;
        struct stats_slope line = stats_line(x, y, n);
        double found[] = { line.intercept, line.slope, line.error, line.p, line.interval.low, line.interval.high };
        for (size_t k = 0; k < 6; k++) LIKE(found[k], expected[k], 1e-10);
    }
    CHECK_INT(i, 21);
    json_decref(all);
}

TEST(golden_agreement)
{
    static double a[MOST], b[MOST];
    static int c[MOST], d[MOST];
    json_t *all = golden("agreement"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "two"), i, row) {
        size_t n = ints(c, row, "a");
        int k = (int)whole(row, "k");
        CHECK_INT(ints(d, row, "b"), n);
        NEAR(stats_kappa(c, d, n, k), real(row, "kappa"), 1e-13);
        NEAR(stats_kappa_weighted(c, d, n, k), real(row, "weighted"), 1e-13);
        NEAR(stats_kappa(d, c, n, k), real(row, "kappa"), 1e-13);
        NEAR(stats_kappa_weighted(d, c, n, k), real(row, "weighted"), 1e-13);
    }
    CHECK_INT(i, 11);
    json_array_foreach(json_object_get(all, "many"), i, row) {
        ints(c, row, "counts");
        NEAR(stats_fleiss(c, whole(row, "items"), (int)whole(row, "k")), real(row, "value"), 1e-13);
    }
    CHECK_INT(i, 5);
    json_array_foreach(json_object_get(all, "alpha"), i, row) {
        size_t items = whole(row, "items"), raters = whole(row, "raters");
        CHECK_INT(reals(a, row, "ratings"), items * raters);
        NEAR(stats_alpha(a, items, raters, STATS_NOMINAL), real(row, "nominal"), 1e-12);
        NEAR(stats_alpha(a, items, raters, STATS_ORDINAL), real(row, "ordinal"), 1e-12);
        NEAR(stats_alpha(a, items, raters, STATS_INTERVAL), real(row, "interval"), 1e-12);
    }
    CHECK_INT(i, 7);
    json_array_foreach(json_object_get(all, "bland_altman"), i, row) {
        size_t n = reals(a, row, "a");
        reals(b, row, "b");
        struct stats_bland_altman found = stats_bland_altman(a, b, n);
        NEAR(found.bias, real(row, "bias"), 1e-13);
        NEAR(found.sd, real(row, "sd"), 1e-13);
        NEAR(found.limits.low, real(row, "low"), 1e-13);
        NEAR(found.limits.high, real(row, "high"), 1e-13);
    }
    CHECK_INT(i, 2);
    json_decref(all);
}

static size_t matches_of(struct stats_match *out, const json_t *row)
{
    const json_t *list = json_object_get(row, "matches"), *weights = json_object_get(row, "weight");
    size_t n = json_array_size(list);
    CHECK(n <= MOST);
    for (size_t k = 0; k < n; k++) {
        const json_t *m = json_array_get(list, k);
        out[k] = (struct stats_match){ (size_t)json_integer_value(json_array_get(m, 0)), (size_t)json_integer_value(json_array_get(m, 1)), k, real_of(json_array_get(m, 2)),
                                       weights ? real_of(json_array_get(weights, k)) : 1 };
    }
    return n;
}

TEST(golden_ratings)
{
    static struct stats_match m[MOST];
    static double expected[MOST];
    static int rank[MOST];
    double r[16], gradient;
    json_t *all = golden("ratings"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "pairs"), i, row) {
        size_t n_matches = matches_of(m, row), n = whole(row, "n");
        CHECK_OK(stats_bradley_terry(r, &gradient, m, n_matches, n, real(row, "ridge"), err));
        CHECK(gradient < 1e-8);
        reals(expected, row, "r");
        for (size_t k = 0; k < n; k++) NEAR(r[k], expected[k], 1e-9);
    }
    CHECK_INT(i, 6);
    json_array_foreach(json_object_get(all, "rankings"), i, row) {
        size_t n = whole(row, "n");
        CHECK_INT(ints(rank, row, "rank"), n * whole(row, "items"));
        CHECK_OK(stats_plackett_luce(r, rank, whole(row, "items"), n, real(row, "ridge"), err));
        reals(expected, row, "r");
        for (size_t k = 0; k < n; k++) NEAR(r[k], expected[k], 1e-9);
    }
    CHECK_INT(i, 6);
    json_array_foreach(json_object_get(all, "elo"), i, row) {
        size_t n_matches = matches_of(m, row), n = whole(row, "n");
        stats_elo(r, m, n_matches, n, real(row, "k"));
        reals(expected, row, "r");
        for (size_t k = 0; k < n; k++) NEAR(r[k], expected[k], 1e-9);
    }
    CHECK_INT(i, 2);
    json_decref(all);
}

TEST(golden_logistic)
{
    static double x[MOST], y[MOST], weight[MOST];
    double b[8], error[8], expected[8], expected_error[8];
    json_t *all = golden("logistic"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "rows"), i, row) {
        size_t n = whole(row, "rows"), k = whole(row, "k");
        bool penalised[8];
        CHECK_INT(reals(x, row, "x"), n * k);
        CHECK_INT(reals(y, row, "y"), n);
        CHECK_INT(reals(weight, row, "weight"), n);
        reals(expected, row, "b");
        reals(expected_error, row, "error");
        for (size_t f = 0; f < k; f++) penalised[f] = json_is_true(json_array_get(json_object_get(row, "penalised"), f));
        CHECK_OK(stats_logistic(b, error, x, y, weight, n, k, penalised, real(row, "ridge"), err));
        for (size_t f = 0; f < k; f++) {
            LIKE(b[f], expected[f], 1e-11);
            LIKE(error[f], expected_error[f], 1e-11);
        }
        size_t cluster[512];
        CHECK(reals(expected, row, "clustered") == k && json_array_size(json_object_get(row, "cluster")) == n);
        for (size_t r = 0; r < n; r++) cluster[r] = (size_t)json_integer_value(json_array_get(json_object_get(row, "cluster"), r));
        CHECK_OK(stats_logistic_clusters(b, error, x, y, weight, n, k, penalised, real(row, "ridge"), cluster, err));
        for (size_t f = 0; f < k; f++) LIKE(error[f], expected[f], 1e-11);
    }
    CHECK_INT(i, 5);
    json_decref(all);
}

TEST(golden_isotonic)
{
    static double x[MOST], y[MOST], weight[MOST], at[MOST], expected[MOST];
    json_t *all = golden("isotonic"), *row;
    size_t i;
    json_array_foreach(json_object_get(all, "rows"), i, row) {
        struct stats_map map;
        size_t n = reals(x, row, "x"), n_at = reals(at, row, "at");
        reals(y, row, "y");
        reals(weight, row, "weight");
        reals(expected, row, "value");
        stats_isotonic(&map, x, y, weight, n);
        for (size_t k = 0; k < n_at; k++) NEAR(stats_map_at(&map, at[k]), expected[k], 1e-12);
        stats_map_release(&map);
    }
    CHECK_INT(i, 10);
    json_decref(all);
}

/* ---- shares ----------------------------------------------------------------------------------------------------------------------------------- */

TEST(binomial_test_is_mcnemar_of_a_fair_coin)
{
    for (uint64_t n = 1; n <= 60; n++)
        for (uint64_t k = 0; k <= n; k++) CHANCE(stats_binomial_test(k, n, 0.5), stats_mcnemar(k, n - k));
    NEAR(stats_binomial_test(0, 0, 0.3), 1, 0);
    NEAR(stats_binomial_test(0, 5, 0), 1, 0);
    NEAR(stats_binomial_test(1, 5, 0), 0, 0);
    NEAR(stats_binomial_test(5, 5, 1), 1, 0);
    CHANCE(stats_binomial_test(1, 10, 1e-20), 1e-19);
    CHANCE(stats_binomial_test(9, 10, 1 - 0x1p-53), 10 * 0x1p-53);
}

/* The chance that an interval holds p, summed over all k: Clopper and Pearson's is at least 95 % for every p, Wilson's on average. */
TEST(coverage_of_shares)
{
    enum { N = 115 };
    struct stats_interval exact[N + 1], wilson[N + 1];
    double all = 0;
    int steps = 0;
    for (uint64_t k = 0; k <= N; k++) {
        exact[k] = stats_clopper_pearson(k, N);
        wilson[k] = stats_wilson((double)k, N);
    }
    for (double p = 0.005; p < 0.9999; p += 0.005, steps++) {
        double term = pow(1 - p, N), by_exact = 0, by_wilson = 0;
        for (uint64_t k = 0; k <= N; k++) {
            by_exact += exact[k].low <= p && p <= exact[k].high ? term : 0;
            by_wilson += wilson[k].low <= p && p <= wilson[k].high ? term : 0;
            term *= (double)(N - k) / (double)(k + 1) * p / (1 - p);
        }
        CHECK(by_exact >= 0.95 - 1e-12);
        all += by_wilson;
    }
    NEAR(all / steps, 0.95, 0.005);
}

/* ---- order ------------------------------------------------------------------------------------------------------------------------------------- */

TEST(kendall_by_all_pairs)
{
    for (uint64_t s = 0; s < 300; s++) {
        double x[30], y[30], agree = 0, left = 0, right = 0;
        size_t n = 2 + s % 29;
        for (size_t i = 0; i < n; i++) {
            x[i] = floor(random_unit(1, s, 2 * i) * (double)(1 + s % 7));
            y[i] = floor(random_unit(1, s, 2 * i + 1) * (double)(1 + s % 11));
        }
        for (size_t i = 0; i < n; i++)
            for (size_t j = 0; j < i; j++) {
                double dx = (x[i] > x[j]) - (x[i] < x[j]), dy = (y[i] > y[j]) - (y[i] < y[j]);
                agree += dx * dy;
                left += dx * dx;
                right += dy * dy;
            }
        NEAR(stats_kendall(x, y, n).value, left * right > 0 ? agree / sqrt(left * right) : (double)NAN, 1e-14);
        NEAR(stats_kendall(y, x, n).value, stats_kendall(x, y, n).value, 1e-14);
        NEAR(stats_kendall(x, x, n).value, left > 0 ? 1 : (double)NAN, 0);
        for (size_t i = 0; i < n; i++) y[i] = -x[i];
        NEAR(stats_kendall(x, y, n).value, left > 0 ? -1 : (double)NAN, 0);
        NEAR(stats_spearman(x, y, n).value, left > 0 ? -1 : (double)NAN, 1e-14);
        NEAR(stats_pearson(x, x, n).value, left > 0 ? 1 : (double)NAN, 1e-15);
    }
}

TEST(order_of_few)
{
    double x[] = { 3, 5, 9 }, y[] = { 1, 3, 7 };
    CHECK(isnan(stats_mean(x, 0)) && isnan(stats_quantile(x, 0, 0.5)) && isnan(stats_sd(x, 1)) && isnan(stats_pearson(x, y, 1).value) && isnan(stats_kendall(x, y, 0).value));
    CHECK(isnan(stats_line(x, y, 1).slope) && isnan(stats_line(x, y, 2).error));
    NEAR(stats_line(x, y, 2).slope, 1, 1e-15);
    struct stats_slope exact = stats_line(x, y, 3);
    NEAR(exact.intercept, -2, 1e-14);
    NEAR(exact.p, 0, 1e-12);
    NEAR(stats_line(x, (double[]){ 4, 4, 4 }, 3).p, 1, 0);
    CHECK(isnan(stats_line((double[]){ 4, 4, 4 }, y, 3).slope));
    NEAR(stats_quantile(x, 1, 0.975), 3, 0);
}

/* Alpha of numbers by its definition: coincidences of all values. */
/* The gradient of very many rankings rounds above what few can reach. */
TEST(strengths_of_very_many_rankings)
{
    enum { ITEMS = 200000 };
    int *rank = mem_alloc(3 * ITEMS * sizeof *rank);
    double r[3];
    for (size_t i = 0; i < ITEMS; i++) {
        double a = 2 * random_unit(1, i, 0), b = 1 + 2 * random_unit(1, i, 1), c = 2 + 2 * random_unit(1, i, 2);
        rank[3 * i] = 1 + (b > a) + (c > a);
        rank[3 * i + 1] = 1 + (a > b) + (c > b);
        rank[3 * i + 2] = 1 + (a > c) + (b > c);
    }
    CHECK_OK(stats_plackett_luce(r, rank, ITEMS, 3, STATS_RIDGE, err));
    CHECK(r[0] < -1 && fabs(r[1]) < 0.1 && r[2] > 1);
    mem_free(rank);
}

TEST(alpha_by_definition)
{
    for (uint64_t s = 0; s < 50; s++) {
        double r[40], found = 0, expected = 0;
        for (size_t i = 0; i < 40; i++) r[i] = random_unit(2, s, 2 * i) < 0.25 ? (double)NAN : floor(6 * random_unit(2, s, 2 * i + 1));
        size_t m[10] = { 0 }, n = 0;
        for (size_t i = 0; i < 40; i++) m[i / 4] += !isnan(r[i]);
        for (size_t i = 0; i < 10; i++) n += m[i] > 1 ? m[i] : 0;
        for (size_t i = 0; i < 40; i++)
            for (size_t j = 0; j < 40; j++) {
                if (isnan(r[i]) || isnan(r[j]) || m[i / 4] < 2 || m[j / 4] < 2) continue;
                double d = (r[i] - r[j]) * (r[i] - r[j]);
                expected += d / (double)(n - 1);
                if (i / 4 == j / 4) found += d / (double)(m[i / 4] - 1);
            }
        NEAR(stats_alpha(r, 10, 4, STATS_INTERVAL), 1 - found / expected, 1e-12);
    }
    const double nan = (double)NAN;
    CHECK(isnan(stats_alpha((double[]){ 1, nan, nan, 2 }, 2, 2, STATS_NOMINAL)));      /* nobody rated with another */
    CHECK(isnan(stats_alpha((double[]){ 3, 3, 3, 3 }, 2, 2, STATS_ORDINAL)));
    NEAR(stats_alpha((double[]){ 1, 1, 2, 2 }, 2, 2, STATS_ORDINAL), 1, 0);
}

/* ---- bootstrap ------------------------------------------------------------------------------------------------------------------------------------- */

/* Of 10 clusters, whose questions share much: the interval covers, plain percentiles do not. */
TEST(paired_of_few_clusters)
{
    enum { SIMULATIONS = 1000, CLUSTERS = 10, EACH = 4, N = CLUSTERS * EACH };
    int covered = 0, plain = 0;
    double squares = 0, errors = 0;
    NEAR(stats_cut(1000000), 0.025, 1e-6);
    NEAR(stats_cut(0) + stats_cut(1), 0, 0);
    for (uint64_t s = 0; s < SIMULATIONS; s++) {
        float noise[N + CLUSTERS];
        double a[N], b[N];
        size_t cluster[N];
        struct stats_pair sums[CLUSTERS] = { { 0, 0, 0, 0 } };
        random_normal(noise, N + CLUSTERS, 3, s, 0);
        for (size_t i = 0; i < N; i++) {
            cluster[i] = i % CLUSTERS;
            a[i] = (double)noise[i];
            b[i] = a[i] + 0.3 + (double)noise[N + cluster[i]] + 0.2 * (double)noise[(i + 1) % N];
            sums[cluster[i]].a += a[i];
            sums[cluster[i]].b += b[i];
            sums[cluster[i]].a_weight = sums[cluster[i]].b_weight = EACH;
        }
        struct stats_difference d = stats_paired(a, b, cluster, N, CLUSTERS + 3, s, 1000);     /* numbers of clusters without a question count for nothing */
        struct stats_interval narrow = stats_paired_sums(sums, CLUSTERS, 1, s, 1000).interval;
        covered += d.interval.low <= 0.3 && 0.3 <= d.interval.high;
        plain += narrow.low <= 0.3 && 0.3 <= narrow.high;
        squares += (d.value - 0.3) * (d.value - 0.3);
        errors += d.error * d.error;
    }
    CHECK(covered >= 0.93 * SIMULATIONS && covered <= 0.97 * SIMULATIONS);
    CHECK(plain < 0.93 * SIMULATIONS);
    NEAR(errors / squares, 1, 0.1);
    struct stats_difference one = stats_paired((double[]){ 1, 2 }, (double[]){ 2, 4 }, (size_t[]){ 0, 0 }, 2, 1, 1, 100);
    NEAR(one.value, 1.5, 0);
    CHECK(isnan(one.error) && isnan(one.interval.low) && isnan(stats_paired(NULL, NULL, NULL, 0, 0, 1, 100).value));
}

/* ---- ratings ------------------------------------------------------------------------------------------------------------------------------------------ */

TEST(bradley_terry_of_two)
{
    double r[2], gradient;
    for (int wins = 1; wins < 50; wins++) {
        struct stats_match m[] = { { 0, 1, 0, 1, wins }, { 1, 0, 0, 1, 3 }, { 1, 0, 0, 0.5, 4 } };
        CHECK_OK(stats_bradley_terry(r, &gradient, m, 3, 2, 0, err));
        NEAR(r[0] - r[1], log((wins + 2.0) / 5), 1e-11);
        NEAR(r[0] + r[1], 0, 1e-15);
        CHECK(gradient < 1e-8);
    }
    CHECK_OK(stats_bradley_terry(r, &gradient, (struct stats_match[]){ { 0, 1, 0, 1, 1e9 }, { 0, 1, 0, 0, 1 } }, 2, 2, 0, err));
    NEAR(r[0] - r[1], log(1e9), 1e-6);
    CHECK_OK(stats_bradley_terry(r, NULL, NULL, 0, 1, 0, err));
    NEAR(r[0], 0, 0);
    CHECK_OK(stats_bradley_terry(r, NULL, (struct stats_match[]){ { 0, 1, 0, 1, 1 } }, 1, 2, 0.1, err));      /* with a ridge even one game */
    NEAR(0.1 * r[0], 1 / (1 + exp(r[0] - r[1])), 1e-9);
}

TEST(bradley_terry_without_a_maximum)
{
    double r[4];
    bool group[4];
    struct stats_match m[] = { { 0, 1, 0, 1, 1 }, { 1, 0, 0, 1, 1 }, { 2, 3, 0, 1, 1 }, { 3, 2, 0, 1, 1 }, { 3, 1, 0, 1, 1 }, { 1, 3, 0, 0.5, 1 } };
    CHECK_FAILS(stats_bradley_terry(r, NULL, m, 4, 4, 0, err), SC_E_ARGUMENT, "players 0, 1 (counted from 0) never met the other 2");
    CHECK_FAILS(stats_bradley_terry(r, NULL, m, 5, 4, 0, err), SC_E_ARGUMENT, "never won against the other 2");
    CHECK_OK(stats_bradley_terry(r, NULL, m, 6, 4, 0, err));
    CHECK_FAILS(stats_bradley_terry(r, NULL, m, 5, 3 + 1, 0, err), SC_E_ARGUMENT, "take a ridge above 0");
    struct stats_match best[] = { { 2, 0, 0, 1, 1 }, { 2, 1, 0, 1, 1 }, { 0, 1, 0, 0.5, 1 } };
    CHECK_FAILS(stats_bradley_terry(r, NULL, best, 3, 3, 0, err), SC_E_ARGUMENT, "player 2 (counted from 0) never lost against the other 2");
    CHECK_INT(stats_apart(group, best, 3, 3), STATS_NEVER_LOST);
    CHECK(!group[0] && !group[1] && group[2]);
    for (size_t k = 0; k < 2; k++) best[k].score = 0;
    CHECK_INT(stats_apart(group, best, 3, 3), STATS_NEVER_WON);
    CHECK(!group[0] && !group[1] && group[2]);
    CHECK_INT(stats_apart(group, m, 6, 4), STATS_JOINED);
}

/* Each pair twice on each prompt with the same outcome, as a consistent judge in two orders: by prompt the interval covers, by match it is too narrow. */
TEST(bradley_terry_covers)
{
    enum { SIMULATIONS = 400, PROMPTS = 40, PLAYERS = 4, DRAWS = 400 };
    static const double truth[PLAYERS] = { 0.9, 0.2, -0.3, -0.8 };
    int covered = 0, alone = 0, alone_of = 0;
    for (uint64_t s = 0; s < SIMULATIONS; s++) {
        struct stats_match m[PROMPTS * 12], single[PROMPTS * 12];
        struct stats_interval interval[PLAYERS];
        size_t n = 0;
        for (size_t p = 0; p < PROMPTS; p++)
            for (size_t i = 0; i < PLAYERS; i++)
                for (size_t j = i + 1; j < PLAYERS; j++, n += 2) {
                    double won = random_unit(4, s, n) < 1 / (1 + exp(truth[j] - truth[i]));
                    m[n] = single[n] = (struct stats_match){ i, j, p, won, 1 };
                    m[n + 1] = single[n + 1] = (struct stats_match){ j, i, p, 1 - won, 1 };
                    single[n].cluster = n;
                    single[n + 1].cluster = n + 1;
                }
        stats_bradley_terry_bootstrap(interval, m, n, PLAYERS, PROMPTS, 0, s, DRAWS);
        for (size_t i = 0; i < PLAYERS; i++) covered += interval[i].low <= truth[i] && truth[i] <= interval[i].high;
        if (s % 8) continue;
        stats_bradley_terry_bootstrap(interval, single, n, PLAYERS, n, 0, s, DRAWS);
        for (size_t i = 0; i < PLAYERS; i++, alone_of++) alone += interval[i].low <= truth[i] && truth[i] <= interval[i].high;
    }
    CHECK(covered >= 0.93 * SIMULATIONS * PLAYERS && covered <= 0.97 * SIMULATIONS * PLAYERS);
    CHECK(alone < 0.90 * alone_of);
}

TEST(bootstraps_repeat)
{
    struct stats_match m[] = { { 0, 1, 0, 1, 1 }, { 1, 0, 1, 1, 1 }, { 0, 1, 2, 1, 1 }, { 0, 1, 7, 0.5, 1 } };
    struct stats_interval a[2], b[2];
    double median[2], again[2], r[2];
    stats_bradley_terry_bootstrap(a, m, 4, 2, 8, 0, 5, 300);
    stats_bradley_terry_bootstrap(b, m, 4, 2, 8, 0, 5, 300);
    CHECK(memcmp(a, b, sizeof a) == 0 && isfinite(a[0].low) && isfinite(a[0].high));
    NEAR(a[0].low, -a[1].high, 1e-12);
    CHECK_OK(stats_bradley_terry(r, NULL, m, 4, 2, 0, err));
    CHECK(a[0].low < r[0] && r[0] < a[0].high);
    stats_elo_bootstrap(median, a, m, 4, 2, 4, 5, 300);
    stats_elo_bootstrap(again, b, m, 4, 2, 4, 5, 300);
    CHECK(memcmp(a, b, sizeof a) == 0 && memcmp(median, again, sizeof median) == 0);
    NEAR(median[0] + median[1], 2000, 1e-9);
    CHECK(a[0].low <= median[0] && median[0] <= a[0].high && a[0].low < a[0].high);
    stats_bradley_terry_bootstrap(a, m, 1, 2, 8, 0, 5, 300);
    CHECK(isnan(a[0].low));
    stats_elo_bootstrap(median, a, m, 1, 2, 4, 5, 300);
    CHECK(isnan(a[0].low) && isnan(a[1].high));               /* one prompt says nothing about others */
    NEAR(median[0], 1002, 1e-9);
}

TEST(plackett_luce_of_two_is_bradley_terry)
{
    int rank[] = { 1, 2, 2, 1, 1, 1, 1, 2, 1, 0, 1, 5 };      /* won, lost, tied, won, alone, won */
    struct stats_match m[] = { { 0, 1, 0, 1, 3 }, { 0, 1, 0, 0, 1 }, { 0, 1, 0, 0.5, 1 } };
    double r[14], expected[2];
    CHECK_OK(stats_plackett_luce(r, rank, 6, 2, 0, err));
    CHECK_OK(stats_bradley_terry(expected, NULL, m, 3, 2, 0, err));
    NEAR(r[0], expected[0], 1e-12);
    NEAR(r[0] - r[1], log(3.5 / 1.5), 1e-11);
    CHECK_FAILS(stats_plackett_luce(r, (int[]){ 1, 2, 3, 1, 3, 2 }, 2, 3, 0, err), SC_E_ARGUMENT, "player 0 (counted from 0) never lost against the other 2");
    int tied[14];
    for (size_t i = 0; i < 14; i++) tied[i] = 1;
    CHECK_OK(stats_plackett_luce(r, tied, 1, 10, 0, err));     /* exact */
    for (size_t i = 0; i < 10; i++) NEAR(r[i], 0, 1e-12);
    CHECK_OK(stats_plackett_luce(r, tied, 1, 14, 0, err));     /* of drawn orders */
    for (size_t i = 0; i < 14; i++) NEAR(r[i], 0, 0.3);
}
