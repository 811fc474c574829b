/* test_regression.c - logistic and isotonic regression: by definition, and on data whose answer is known. */
#include "stats/stats.h"
#include "test.h"

static void near(int line, double found, double expected, double within)
{
    if (isnan(expected) ? !isnan(found) : !(fabs(found - expected) <= within)) test_failed(__FILE__, line, "%.15g, expected %.15g", found, expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)
/* ---- logistic and isotonic regression --------------------------------------------------------------------------------------------------------------------- */

TEST(logistic_of_few)
{
    double b[2], error[2];
    CHECK_OK(stats_logistic(b, error, (double[]){ 1, 1, 1, 1 }, (double[]){ 1, 1, 1, 0 }, NULL, 4, 1, NULL, 0, err));
    NEAR(b[0], log(3), 1e-14);
    NEAR(error[0], 1 / sqrt(4 * 0.75 * 0.25), 1e-14);
    CHECK_OK(stats_logistic(b, NULL, (double[]){ 1 }, (double[]){ 0.5 }, NULL, 1, 1, NULL, 0, err));
    NEAR(b[0], 0, 0);
    double line[] = { 1, 1, 1, 2, 1, 3, 1, 4 }, twice[] = { 1, 2, 1, 2, 1, 2, 1, 2 }, y[] = { 0, 0, 1, 1 };
    CHECK_FAILS(stats_logistic(b, error, line, y, NULL, 4, 2, NULL, 0, err), SC_E_ARGUMENT, "take a ridge above 0");
    CHECK_FAILS(stats_logistic(b, error, (double[]){ 1, 1 }, (double[]){ 1, 1 }, NULL, 2, 1, NULL, 0, err), SC_E_ARGUMENT, "take a ridge above 0");
    CHECK_FAILS(stats_logistic(b, error, twice, y, NULL, 4, 2, NULL, 0, err), SC_E_ARGUMENT, "follow from others");
    CHECK_OK(stats_logistic(b, error, line, y, NULL, 4, 2, (bool[]){ false, true }, 0.1, err));
    CHECK_OK(stats_logistic(b, error, twice, y, NULL, 4, 2, (bool[]){ false, true }, 0.1, err));
    NEAR(b[1], 0, 1e-12);
}

/* The best of all ways to cut a row into blocks whose means rise. */
static double best_squares(const double *y, const double *w, size_t n)
{
    double best = (double)INFINITY;
    for (size_t cuts = 0; cuts < (size_t)1 << (n - 1); cuts++) {
        double squares = 0, before = -(double)INFINITY;
        bool rises = true;
        for (size_t i = 0, end; i < n; i = end) {
            double sum = 0, weight = 0;
            for (end = i; end == i || (end < n && !(cuts >> (end - 1) & 1)); end++) {
                sum += y[end] * w[end];
                weight += w[end];
            }
            for (size_t k = i; k < end; k++) squares += w[k] * (y[k] - sum / weight) * (y[k] - sum / weight);
            rises = rises && sum / weight >= before;
            before = sum / weight;
        }
        if (rises) best = fmin(best, squares);
    }
    return best;
}

TEST(isotonic_is_the_best)
{
    for (uint64_t s = 0; s < 300; s++) {
        double x[9], y[9], w[9], found = 0;
        size_t n = 1 + s % 9;
        struct stats_map map;
        for (size_t i = 0; i < n; i++) {
            x[i] = (double)i;
            y[i] = floor(5 * random_unit(6, s, 2 * i));
            w[i] = 1 + floor(3 * random_unit(6, s, 2 * i + 1));
        }
        stats_isotonic(&map, x, y, w, n);
        for (size_t i = 0; i < n; i++) found += w[i] * (stats_map_at(&map, x[i]) - y[i]) * (stats_map_at(&map, x[i]) - y[i]);
        NEAR(found, best_squares(y, w, n), 1e-10);
        for (size_t i = 1; i < map.n; i++) CHECK(map.x[i] > map.x[i - 1] && map.y[i] >= map.y[i - 1]);
        stats_map_release(&map);
    }
    struct stats_map none;
    stats_isotonic(&none, NULL, NULL, NULL, 0);
    CHECK(isnan(stats_map_at(&none, 3)));
    stats_map_release(&none);
}

/* A judge that is two points too kind: the map learns it, on prompts that it has not seen. */
TEST(isotonic_folds)
{
    enum { N = 300 };
    double x[N], y[N];
    size_t cluster[N];
    for (size_t i = 0; i < N; i++) {
        cluster[i] = i / 3;
        x[i] = 3 + floor(6 * random_unit(7, 0, i));
        y[i] = x[i] - 2 + (random_unit(7, 1, i) < 0.3) - (random_unit(7, 2, i) < 0.3);
    }
    struct stats_held_out found = stats_isotonic_folds(x, y, cluster, N, 5, 1), again = stats_isotonic_folds(x, y, cluster, N, 5, 1);
    CHECK(memcmp(&found, &again, sizeof found) == 0);
    CHECK(found.raw > 1.9 && found.mapped < 0.6 && found.mapped > 0.3);
    double squares = 0;
    for (size_t i = 0; i < N; i++) squares += (x[i] - y[i]) * (x[i] - y[i]) / N;
    NEAR(found.raw_rms, sqrt(squares), 1e-12);
    NEAR(found.mapped_rms, 0.65, 0.05);                       /* of steps of -1, 0 and 1 with a variance of 0.42 */
    CHECK(isnan(stats_isotonic_folds(x, y, cluster, 3, 5, 1).mapped_rms));
    CHECK(isnan(stats_isotonic_folds(x, y, cluster, 3, 5, 1).mapped));        /* one cluster */
    CHECK(isfinite(stats_isotonic_folds(x, y, cluster, 6, 5, 1).mapped));     /* two, fewer than folds */
    CHECK(isnan(stats_isotonic_folds(x, y, cluster, 0, 5, 1).raw));
    for (size_t i = 0; i < N; i++) y[i] = x[i];
    NEAR(stats_isotonic_folds(x, y, cluster, N, 5, 1).mapped, 0, 1e-14);
}
