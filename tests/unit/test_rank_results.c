/* test_rank_results.c - human evaluation: what is counted of ratings, on ratings made up here: who is left out, agreement against a count of its own and by hand, judges, and
 * many raters. */
#include "rank_fixture.h"
#include "stats/stats.h"

#include <time.h>

/* ---- ratings made up --------------------------------------------------------------------------------------------------------------------------- */

/* Raters, and items of `shown` answers each, a prompt each; models in the order of an item's answers. */
static void open_results(struct results *r, size_t raters, size_t items, size_t shown)
{
    *r = (struct results){ .is_closed = true, .rules = { .gold = 0.5, .repeats = 0.5, .least = 2 }, .n_models = shown, .n_prompts = items, .n_items = items, .n_answers = items * shown, .n_raters = raters };
    r->model = mem_zero(shown + 1, sizeof *r->model);
    r->prompt = mem_zero(items + 1, sizeof *r->prompt);
    r->item = mem_zero(items + 1, sizeof *r->item);
    r->answer = mem_zero(items * shown + 1, sizeof *r->answer);
    r->rater = mem_zero(raters + 1, sizeof *r->rater);
    r->rated = mem_zero(2 * raters * items + 1, sizeof *r->rated);
    char name[32];
    for (size_t m = 0; m < shown; m++) {
        snprintf(name, sizeof name, "model-%zu", m);
        r->model[m] = mem_strdup(name);
    }
    for (size_t i = 0; i < items; i++) {
        snprintf(name, sizeof name, "p%zu", i);
        r->prompt[i].id = mem_strdup(name);
        r->item[i] = (struct result_item){ .prompt = i, .best = RANK_NONE, .worst = RANK_NONE };
        for (size_t k = 0; k < shown; k++) r->answer[i * shown + k] = (struct result_answer){ .item = i, .model = k };
    }
    for (size_t i = 0; i < raters; i++) {
        snprintf(name, sizeof name, "rater-%zu", i + 1);
        r->rater[i].name = mem_strdup(name);
    }
}

/* ranks and scores by the item's answers; they are shown in another order, turned by `turn` places. */
static struct rated *rate(struct results *r, size_t rater, size_t item, const int *ranks, const int *scores, size_t turn)
{
    struct rated *x = &r->rated[r->n_rated++];
    size_t n = r->n_models;
    *x = (struct rated){ .rater = rater, .item = item, .n = n, .assignment = (int64_t)r->n_rated, .first = RANK_NONE, .seconds = 10 };
    x->rating.n = n;
    for (size_t k = 0; k < n; k++) {
        size_t at = (k + turn) % n;
        x->answer[k] = item * n + at;
        x->rating.answer[k].rank = ranks[at];
        x->rating.answer[k].score = scores[at];
    }
    return x;
}

/* ---- who is left out ---------------------------------------------------------------------------------------------------------------------------- */

/* Best strictly above worst is right, a tie is not, and the rule says "less than the share". */
TEST(gold_rule)
{
    static const int right[] = { 1, 3, 2 }, tie[] = { 1, 1, 2 }, wrong[] = { 3, 1, 2 }, scores[] = { 4, 4, 4 };
    static const struct { const int *ranks[4]; int right; unsigned excluded; } rows[] = {
        { { right, right, right, right }, 4, 0 }, { { right, wrong, right, wrong }, 2, 0 }, { { right, tie, tie, tie }, 1, EXCLUDED_GOLD }, { { wrong, tie, wrong, wrong }, 0, EXCLUDED_GOLD }, { { wrong }, 0, 0 },
    };
    enum { RATERS = sizeof rows / sizeof *rows };
    struct results r;
    open_results(&r, RATERS, 5, 3);
    for (size_t i = 0; i < 4; i++) {
        r.item[i].is_gold = true;
        r.item[i].best = 3 * i;                                /* its first answer; the worst is the second */
        r.item[i].worst = 3 * i + 1;
    }
    for (size_t k = 0; k < RATERS; k++) {
        for (size_t i = 0; i < 4 && rows[k].ranks[i]; i++) rate(&r, k, i, rows[k].ranks[i], scores, k + i);
        rate(&r, k, 4, wrong, scores, k);                      /* no gold item: whatever is said of it is no mistake */
    }
    results_judge_raters(&r);
    for (size_t k = 0; k < RATERS; k++) {
        CHECK_INT(r.rater[k].gold, rows[k].ranks[1] ? 4 : 1);
        CHECK_INT(r.rater[k].gold_right, rows[k].right);
        CHECK_INT(r.rater[k].excluded, rows[k].excluded);      /* the last has fewer than rules.least */
    }
    for (size_t i = 0; i < r.n_rated; i++) CHECK_INT(rated_counts(&r, &r.rated[i]), r.rated[i].item == 4 && !rows[r.rated[i].rater].excluded);
    results_release(&r);
}

TEST(rules_of_repeats_and_speed)
{
    static const int order[] = { 1, 2, 3 }, other[] = { 3, 2, 1 }, tied[] = { 1, 2, 2 }, scores[] = { 5, 3, 1 }, later[] = { 4, 4, 1 };
    struct results r;
    open_results(&r, 3, 2, 3);
    r.rules.seconds = 10.5;
    for (size_t k = 0; k < 3; k++) {
        size_t begin = r.n_rated;
        for (size_t i = 0; i < 2; i++) rate(&r, k, i, order, scores, k);
        for (size_t i = 0; i < 2; i++) {
            struct rated *x = rate(&r, k, i, k == 0 ? order : k == 1 ? other : tied, k == 2 ? later : scores, k + 1);
            x->first = begin + i;
            x->repeats = r.rated[begin + i].assignment;
        }
        for (size_t i = begin; k != 2 && i < r.n_rated; i++) r.rated[i].seconds = 20;
    }
    results_judge_raters(&r);
    static const int same[] = { 6, 0, 4 };                     /* of six pairs each; a tie is not the order it was */
    for (size_t k = 0; k < 3; k++) {
        CHECK_INT(r.rater[k].repeat_pairs, 6);
        CHECK_INT(r.rater[k].repeat_same, same[k]);
        CHECK_INT(r.rater[k].excluded, k == 1 ? EXCLUDED_REPEATS : k == 2 ? EXCLUDED_SPEED : 0);
    }
    NEAR(r.rater[2].repeat_difference, 2.0 / 3, 1e-12);
    NEAR(r.rater[0].median_seconds, 20, 0);
    results_release(&r);
}

/* ---- agreement ------------------------------------------------------------------------------------------------------------------------------------ */

static double real_at(const json_t *o, const char *key) { return json_is_number(json_object_get(o, key)) ? json_number_value(json_object_get(o, key)) : (double)NAN; }

/* Ranks are what they say of the order: 1, 1, 2 and 1, 1, 3 say the same, and so does 2, 2, 3, which leaves out the first place. */
TEST(alpha_of_ranks_with_gaps)
{
    static const int dense[][3] = { { 1, 1, 2 }, { 1, 2, 3 }, { 2, 1, 1 } }, gaps[][3] = { { 1, 1, 3 }, { 1, 2, 3 }, { 3, 1, 1 } }, high[][3] = { { 2, 2, 3 }, { 1, 2, 3 }, { 3, 2, 2 } }, scores[] = { 5, 4, 3 };
    struct results r;
    open_results(&r, 3, 3, 3);
    for (size_t i = 0; i < 3; i++) {
        rate(&r, 0, i, dense[i], scores, 0);
        rate(&r, 1, i, gaps[i], scores, 1);
        rate(&r, 2, i, high[i], scores, 2);
    }
    json_t *a = agreement_of(&r, 1, 100);
    NEAR(real_at(a, "alpha_ranks"), 1, 1e-12);
    NEAR(real_at(a, "share"), 1, 0);
    json_decref(a);
    results_release(&r);
}

/* By hand. Answers a, b, c; places 1.5, 1.5, 3 of one rater and 1, 2, 3 of the other: units (1.5, 1), (1.5, 2), (3, 3). The six values sorted are 1, 1.5, 1.5, 2, 3, 3, with their middle
 * places 1, 2.5, 2.5, 4, 5.5, 5.5. Squares inside units, each pair both ways, over m - 1 = 1: 2 (1.5^2 + 1.5^2 + 0) = 9. Squares of all 30 ordered pairs: 2 * 6 * squares around the mean of 3.5,
 * which are 6.25 + 1 + 1 + 0.25 + 4 + 4 = 16.5, so 198. alpha = 1 - (6 - 1) * 9 / 198 = 17 / 22. */
TEST(alpha_of_ranks_by_hand)
{
    static const int one[] = { 1, 1, 3 }, other[] = { 1, 2, 3 }, scores[] = { 5, 4, 3 };
    struct results r;
    open_results(&r, 2, 1, 3);
    rate(&r, 0, 0, one, scores, 0);
    rate(&r, 1, 0, other, scores, 1);
    json_t *a = agreement_of(&r, 1, 100);
    NEAR(real_at(a, "alpha_ranks"), 17.0 / 22, 1e-12);
    json_decref(a);
    results_release(&r);
}

/* Raters who did some of the items, with ties and different scores. */
static void rate_some(struct results *r, uint64_t seed, double share)
{
    for (size_t k = 0; k < r->n_raters; k++)
        for (size_t i = 0; i < r->n_items; i++) {
            int ranks[RANK_SHOWN_MAX], scores[RANK_SHOWN_MAX];
            if (random_unit(seed, k, i) >= share) continue;
            for (size_t m = 0; m < r->n_models; m++) {
                double worth = (double)m + 2 * random_unit(seed, 1000 + k, i * RANK_SHOWN_MAX + m);
                ranks[m] = 1 + (int)(worth * (double)r->n_models / (double)(r->n_models + 1));
                scores[m] = 7 - ranks[m];
            }
            rate(r, k, i, ranks, scores, (size_t)(8 * random_unit(seed, 2000 + k, i)));
        }
}

/* Of every two ratings of an item, as agreement is defined. */
TEST(agreement_by_definition)
{
    struct results r;
    size_t pairs = 0, same = 0, clear = 0, clear_same = 0, n = 0;
    int *a = mem_alloc(100000 * sizeof *a), *b = mem_alloc(100000 * sizeof *b);
    open_results(&r, 7, 15, 4);
    rate_some(&r, 5, 0.7);
    r.rater[3].excluded = EXCLUDED_SPEED;
    r.item[2].is_gold = true;
    r.rated[5].repeats = 1;
    json_t *out = agreement_of(&r, 3, 200), *rows = json_object_get(out, "raters");
    for (size_t x = 0; x < 7; x++)
        for (size_t y = x + 1; y < 7; y++) {
            size_t from = n;
            for (size_t i = 0; i < r.n_rated; i++)
                for (size_t k = 0; k < r.n_rated; k++) {
                    if (r.rated[i].rater != x || r.rated[k].rater != y || r.rated[i].item != r.rated[k].item || !rated_counts(&r, &r.rated[i]) || !rated_counts(&r, &r.rated[k])) continue;
                    for (size_t p = 4 * r.rated[i].item; p < 4 * r.rated[i].item + 4; p++)
                        for (size_t q = p + 1; q < 4 * r.rated[i].item + 4; q++, n++) {
                            a[n] = rated_pair(&r.rated[i], p, q) + 1;
                            b[n] = rated_pair(&r.rated[k], p, q) + 1;
                            pairs++;
                            same += a[n] == b[n];
                            clear += a[n] != 1 && b[n] != 1;
                            clear_same += a[n] != 1 && a[n] == b[n];
                        }
                }
            json_t *row = NULL, *one;
            size_t at;
            json_array_foreach(rows, at, one)
                if (!strcmp(json_string_value(json_object_get(one, "a")), r.rater[x].name) && !strcmp(json_string_value(json_object_get(one, "b")), r.rater[y].name)) row = one;
            CHECK_INT(!row, n == from);
            if (!row) continue;
            CHECK_INT(json_integer_value(json_object_get(row, "pairs")), n - from);
            NEAR(real_at(row, "kappa"), stats_kappa(a + from, b + from, n - from, 3), 1e-12);
        }
    CHECK(pairs > 300 && clear < pairs && same < pairs);
    CHECK_INT(json_integer_value(json_object_get(out, "pairs")), pairs);
    NEAR(real_at(out, "share"), (double)same / (double)pairs, 1e-12);
    NEAR(real_at(out, "share_without_ties"), (double)clear_same / (double)clear, 1e-12);
    NEAR(real_at(out, "kappa"), stats_kappa(a, b, n, 3), 1e-12);
    CHECK(real_at(out, "share_low") < real_at(out, "share") && real_at(out, "share") < real_at(out, "share_high"));
    json_decref(out);
    mem_free(a);
    mem_free(b);
    results_release(&r);
}

/* 10 million pairs of ratings: every pair of raters looking through all ratings of both would take days. */
TEST(many_raters)
{
    struct results r;
    open_results(&r, 200, 500, 3);
    rate_some(&r, 6, 1);
    clock_t began = clock();                                   /* of this process alone: others may have the machine */
    json_t *out = agreement_of(&r, 3, 1000);
    double spent = (double)(clock() - began) / CLOCKS_PER_SEC;
    CHECK_INT(json_integer_value(json_object_get(out, "pairs")), (json_int_t)3 * 500 * (200 * 199 / 2));
    CHECK_INT(json_array_size(json_object_get(out, "raters")), 200 * 199 / 2);
    if (getenv("STARCHAT_TIMES")) printf("agreement of 200 raters, 500 items of 3 answers: %.2f s of one processor\n", spent);
    CHECK(spent < 60);
    json_decref(out);
    results_release(&r);
}

/* ---- a judge beside people --------------------------------------------------------------------------------------------------------------------------- */

static double judged_low(const struct results *r, const char *path, uint64_t seed, size_t draws)
{
    json_t *out = NULL;
    CHECK_OK(judged_of(&out, r, path, seed, draws, err));
    double low = real_at(json_object_get(json_array_get(out, 0), "with_each"), "share_low");
    json_decref(out);
    return low;
}

/* Intervals draw as --seed and --draws say. */
TEST(judges_are_drawn_as_asked)
{
    struct results r;
    struct buf b;
    char *path = scratch("judgements.jsonl");
    open_results(&r, 3, 40, 3);
    rate_some(&r, 7, 1);
    buf_init(&b, 0);
    for (size_t i = 0; i < 40; i++) buf_printf(&b, "{\"judge\":\"j\",\"protocol\":\"fastchat-pair\",\"id\":\"p%zu\",\"turn\":1,\"models\":[\"model-0\",\"model-1\"],\"winner\":\"%s\",\"text\":\"x\"}\n", i, i % 3 ? "A" : "B");
    CHECK_OK(file_write(path, b.data, b.len, err));
    double low = judged_low(&r, path, 1, 500);
    CHECK(isfinite(low));
    NEAR(judged_low(&r, path, 1, 500), low, 0);
    CHECK(judged_low(&r, path, 2, 500) != low);
    CHECK(judged_low(&r, path, 1, 100) != low);
    buf_release(&b);
    mem_free(path);
    results_release(&r);
}
