/* test_verdict.c - from judgements to who is better: the rule of both orders, what is left out, many pairs, judges that are not trusted. Planted truths: test_verdict_truths.c. */
#include "verdict_fixture.h"

/* ---- counting ------------------------------------------------------------------------------------------------------------------------------------- */

TEST(both_orders)
{
    static struct made m;
    add_both(&m, "J", 0, 1, 't', 't');
    add_both(&m, "J", 1, 1, 't', 't');
    add_both(&m, "J", 2, 1, 'b', 'b');
    add_both(&m, "J", 3, 1, 't', 'b');                         /* always the second */
    add_both(&m, "J", 4, 1, '=', 't');
    add_both(&m, "J", 5, 1, '=', '=');
    add(&m, "J", 6, 1, "tuned", "base", WINNER_A);             /* one order alone does not count */
    struct judgement *bad = add(&m, "J", 7, 1, "tuned", "base", WINNER_A), *canary = add(&m, "J", 8, 1, "tuned", "base", WINNER_A);
    canary[-1].error = (char *)(uintptr_t)"no verdict";
    canary->canary = (char *)(uintptr_t)"empty";
    (void)bad;
    add(&m, "J", 9, 1, "base", "base", WINNER_A);
    add(&m, "J", 9, 1, "base", "tuned", WINNER_NONE);
    json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
    CHECK_INT(whole(row, "prompts"), 6);
    CHECK_INT(whole(row, "comparisons"), 6);
    CHECK_INT(whole(row, "incomplete"), 2);
    CHECK_INT(whole(row, "calls"), 12);
    CHECK_INT(whole(row, "win"), 2);
    CHECK_INT(whole(row, "tie"), 3);
    CHECK_INT(whole(row, "loss"), 1);
    CHECK_INT(whole(row, "inconsistent"), 2);
    NEAR(real(row, "win_rate"), 3.5 / 6, 1e-15);
    NEAR(real(row, "low"), stats_wilson(3.5, 6).low, 1e-15);
    NEAR(real(row, "p"), 1, 1e-12);                            /* 2 of 3 */
    NEAR(real(row, "p_adjusted"), 1, 1e-12);
    CHECK_STR(text(row, "rule"), "orders");
    CHECK_STR(json_string_value(json_array_get(json_object_get(v, "models"), 0)), "base");
    CHECK_INT(json_array_size(json_object_get(v, "pairs")), 1);        /* one judge: all judges would be the same again */
    CHECK(strstr(text(row, "sentence"), "tuned cannot be told from base: it wins 58.3 %"));
    json_decref(v);
    forget(&m);
}

static void fail(struct judgement *j)
{
    j->opinion.winner = WINNER_NONE;
    j->error = (char *)(uintptr_t)"no verdict";
}

/* Of a judge that was asked both ways round an order without a verdict leaves the pair out: of rates, ratings and scores. What was asked again counts, and what never came of anything is told. */
TEST(an_order_without_a_verdict)
{
    static struct made m, whole_ones;
    for (int i = 0; i < 10; i++)
        for (int k = 0; k < 2; k++) {
            struct made *to = k ? &whole_ones : &m;
            add_both(to, "J", i, 1, i < 6 ? 't' : 'b', i < 7 ? 't' : 'b');
            for (size_t order = 0; order < 2; order++) {
                struct judge_opinion *o = &to->j.at[to->j.n - 2 + order].opinion;
                o->n_scores = 2;
                o->score[0] = 4;
                o->score[1] = 5;
            }
        }
    struct judgement *won = add(&m, "J", 10, 1, "tuned", "base", WINNER_A);
    won->opinion.n_scores = 2;
    won->opinion.score[0] = 9;
    won->opinion.score[1] = 1;
    fail(add(&m, "J", 10, 1, "base", "tuned", WINNER_NONE));
    fail(add(&m, "J", 11, 2, "base", "tuned", WINNER_NONE));
    add(&m, "J", 12, 1, "base", "tuned", WINNER_B);            /* a run that stopped did not ask the other order */
    fail(add(&m, "J", 13, 1, "base", "tuned", WINNER_NONE));
    m.j.at[m.j.n - 1].canary = (char *)(uintptr_t)"empty";
    json_t *v = verdict(&m, NULL), *w = verdict(&whole_ones, NULL), *row = pair(v, "J", "base", "tuned", "");
    CHECK_INT(whole(row, "comparisons"), 10);
    CHECK_INT(whole(row, "incomplete"), 3);
    CHECK_INT(whole(row, "win"), 6);
    CHECK_INT(whole(row, "tie"), 1);
    CHECK(strstr(text(row, "sentence"), "; 3 comparisons are incomplete and left out") && !strstr(text(pair(w, "J", "base", "tuned", ""), "sentence"), "incomplete"));
    CHECK_INT(whole(pair(w, "J", "base", "tuned", ""), "incomplete"), 0);
    CHECK(json_equal(json_object_get(v, "ratings"), json_object_get(w, "ratings")));
    CHECK(json_equal(json_object_get(v, "scores"), json_object_get(w, "scores")));
    NEAR(real(row, "score_difference"), real(pair(w, "J", "base", "tuned", ""), "score_difference"), 0);
    CHECK(strstr(json_string_value(json_array_get(json_object_get(v, "notes"), 0)), "J: 3 comparisons are incomplete and left out") && strstr(json_string_value(json_array_get(json_object_get(v, "notes"), 0)), "q10, q12, q11 (a later turn)"));
    json_decref(v);
    json_decref(w);
    forget(&m);
    forget(&whole_ones);
    fail(add(&m, "J", 0, 1, "base", "tuned", WINNER_NONE));    /* asked again */
    add_both(&m, "J", 0, 1, 't', 't');
    v = verdict(&m, NULL);
    CHECK_INT(whole(pair(v, "J", "base", "tuned", ""), "win"), 1);
    CHECK_INT(whole(pair(v, "J", "base", "tuned", ""), "incomplete"), 0);
    CHECK_INT(whole(pair(v, "J", "base", "tuned", ""), "calls"), 2);
    json_decref(v);
    m.j.n = 0;
    add(&m, "J", 0, 1, "base", "tuned", WINNER_B);
    fail(add(&m, "J", 0, 1, "tuned", "base", WINNER_NONE));
    json_t *none = NULL;
    CHECK_FAILS(judge_verdict(&none, &m.j, NULL, 1, err), SC_E_ARGUMENT, "all 1 comparisons lack the verdict of an order");
    forget(&m);
}

/* Judges that are shown each pair once, in a drawn order; people, who see any order; answers judged alone. */
TEST(one_order_by_design)
{
    static struct made m;
    for (int i = 0; i < 9; i++) add(&m, "once", i, 1, i % 2 ? "base" : "tuned", i % 2 ? "tuned" : "base", i % 2 ? WINNER_B : WINNER_A);
    fail(add(&m, "once", 9, 1, "base", "tuned", WINNER_NONE));
    for (int i = 0; i < 5; i++) add(&m, "ann", i, 1, "base", "tuned", WINNER_B)->protocol = (char *)(uintptr_t)"people";
    add(&m, "ann", 0, 1, "tuned", "base", WINNER_A)->protocol = (char *)(uintptr_t)"people";
    for (int i = 0; i < 4; i++) {
        add_score(&m, "alone", i, 1, "base", 3);
        add_score(&m, "alone", i, 1, "tuned", 7);
    }
    add_score(&m, "alone", 4, 1, "base", 3);
    struct judgement *j = add(&m, "alone", 4, 1, "tuned", NULL, WINNER_NONE);
    fail(j);
    j = add(&m, "alone", 3, 1, "tuned", NULL, WINNER_NONE);    /* once more, in vain: the first counts */
    fail(j);
    json_t *v = verdict(&m, NULL), *row = pair(v, "once", "tuned", "base", "");
    CHECK_INT(whole(row, "loss"), 9);
    CHECK_INT(whole(row, "incomplete"), 1);
    row = pair(v, "ann", "tuned", "base", "");
    CHECK_INT(whole(row, "loss"), 5);
    CHECK_INT(whole(row, "incomplete"), 0);
    row = pair(v, "alone", "tuned", "base", "");
    CHECK_INT(whole(row, "loss"), 4);
    CHECK_INT(whole(row, "incomplete"), 1);
    CHECK_INT(whole(model_row(v, "scores", "alone", "tuned"), "n"), 4);
    NEAR(real(model_row(v, "scores", "alone", "tuned"), "mean"), 7, 0);
    json_decref(v);
    forget(&m);
}

/* One of many is bound to look sure: sentences go by p as Holm adjusts it. 15 of 20 have p 0.0414. */
TEST(many_pairs)
{
    static struct made m;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 20; i++) {
            add(&m, "J", i, 1, "base", "tuned", i < 15 ? WINNER_B : WINNER_A)->slice = (char *)(uintptr_t)"easy";
            if (k) add(&m, "J", i, 1, "base", "other", i < 10 ? WINNER_B : WINNER_A);
            if (k) add(&m, "J", 20 + i, 1, "base", "tuned", WINNER_TIE)->slice = (char *)(uintptr_t)"hard";
        }
        json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
        NEAR(real(row, "p"), 0.04139, 1e-5);
        NEAR(real(row, "p_adjusted"), k ? 2 * real(row, "p") : real(row, "p"), 1e-15);
        CHECK_INT(whole(row, "tests"), k ? 2 : 1);
        CHECK_STR(text(row, "result"), k ? "open" : "better");
        CHECK(strstr(text(row, "sentence"), k ? "tuned cannot be told from base" : "tuned is better than base"));
        CHECK(strstr(text(row, "sentence"), k ? ", p 0.0828 by Holm for 2 tests" : ", p 0.0414"));
        if (k) {
            row = pair(v, "J", "base", "tuned", "easy");       /* of three slices' rows */
            CHECK_INT(whole(row, "tests"), 3);
            NEAR(real(row, "p_adjusted"), 3 * real(row, "p"), 1e-12);
            CHECK_STR(text(row, "result"), "open");
        }
        json_decref(v);
        forget(&m);
    }
}

/* Ten prompts won, and one lost in twenty turns: the test by prompts and the share by comparisons point apart, so nobody is called better. */
TEST(share_and_test_that_point_apart)
{
    static struct made m;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < 10; i++) add(&m, "J", i, 1, "base", "tuned", k ? WINNER_A : WINNER_B);
        for (int turn = 1; turn <= 20; turn++) add(&m, "J", 10, turn, "base", "tuned", k ? WINNER_B : WINNER_A);
        json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
        CHECK(real(row, "p_adjusted") < 0.05 && (real(row, "win_rate") < 0.5) == !k);
        CHECK_INT(whole(row, "prompts_won"), k ? 1 : 10);
        CHECK_INT(whole(row, "prompts_lost"), k ? 10 : 1);
        CHECK_STR(text(row, "result"), "open");
        CHECK(strstr(text(row, "sentence"), "tuned cannot be told from base"));
        json_decref(v);
        forget(&m);
    }
}

/* One order asked twice as often counts no more than the other. */
TEST(orders_count_alike)
{
    static struct made m;
    for (int k = 0; k < 3; k++) {
        struct judgement *j = add(&m, "clf", 0, 1, k < 2 ? "base" : "tuned", k < 2 ? "tuned" : "base", WINNER_A);
        j->opinion.share = 0.8;                                /* of whoever stands first */
        j->opinion.n_scores = 2;
        j->opinion.score[0] = 8;
        j->opinion.score[1] = 2;
    }
    json_t *v = verdict(&m, NULL), *row = pair(v, "clf", "base", "tuned", "");
    NEAR(real(row, "win_rate"), 0.5, 1e-12);
    NEAR(real(row, "score_difference"), 0, 1e-12);
    json_decref(v);
    forget(&m);
}

/* Scores of 1 to 8 and of 1 to 10 have no mean. */
TEST(scales_are_not_mixed)
{
    static struct made m;
    for (int same = 0; same < 2; same++) {
        for (int i = 0; i < 6; i++)
            for (int k = 0; k < 2; k++) {
                add_score(&m, k ? "K" : "J", i, 1, "base", k ? 3 : 2);
                add_score(&m, k ? "K" : "J", i, 1, "tuned", k ? 9 : 7);
                for (size_t back = 1; back <= 2 && k && !same; back++) m.j.at[m.j.n - back].protocol = (char *)(uintptr_t)"other";
            }
        json_t *v = verdict(&m, NULL), *row = pair(v, "all judges", "base", "tuned", "");
        size_t pooled = 0, i;
        json_t *score;
        json_array_foreach(json_object_get(v, "scores"), i, score) pooled += !strcmp(text(score, "judge"), "all judges");
        CHECK_INT(whole(row, "win"), 12);
        CHECK_INT(pooled, same ? 2 : 0);
        CHECK(same ? fabs(real(row, "score_difference") - 5.5) < 1e-12 : !json_object_get(row, "score_difference"));
        json_decref(v);
        forget(&m);
    }
}

/* StarChat's figures: 110 of 115. */
TEST(as_published)
{
    static struct made m;
    for (int i = 0; i < 115; i++) add(&m, "gpt-4", i, 1, "base", "tuned", i < 110 ? WINNER_B : WINNER_A);
    json_t *v = verdict(&m, NULL), *row = pair(v, "gpt-4", "base", "tuned", "");
    NEAR(real(row, "low"), 0.902, 5e-4);
    NEAR(real(row, "high"), 0.981, 5e-4);
    CHECK(strstr(text(row, "sentence"), "tuned is better than base: it wins 95.7 % (95 % interval 90.2 to 98.1 %) on 115 prompts, p below 0.0001"));
    json_decref(v);
    forget(&m);
    NEAR(judge_power_of(115, 0.5).half_width, 0.09, 1e-3);
    NEAR(judge_power_of(115, 0.95).half_width, 0.04, 2e-3);
    NEAR(judge_power_of(115, 0.5).smallest, 0.1285, 1e-3);
    CHECK(isnan(judge_power_of(0, 0.5).half_width));
}

/* At the smallest difference the exact test sees it in 80 % of all repetitions, or a little less since it is exact. */
TEST(power)
{
    double smallest = judge_power_of(115, 0.5).smallest, p = 0.5 + smallest, chance = pow(1 - p, 115), seen = 0;
    for (uint64_t k = 0; k <= 115; k++) {
        if (stats_mcnemar(k, 115 - k) < 0.05) seen += chance;
        chance *= (double)(115 - k) / (double)(k + 1) * p / (1 - p);
    }
    NEAR(seen, 0.78, 0.04);
}

/* Ties tell nothing against a difference: the test sees it, the interval, which counts them half, is wide. */
TEST(many_ties)
{
    static struct made m;
    for (int i = 0; i < 80; i++) add_both(&m, "J", i, 1, i < 18 ? 't' : i == 18 ? 'b' : '=', i < 18 ? 't' : i == 18 ? 'b' : '=');
    json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
    NEAR(real(row, "low"), stats_wilson(48.5, 80).low, 1e-15);
    NEAR(real(row, "p"), stats_mcnemar(1, 18), 1e-15);
    CHECK(strstr(text(row, "sentence"), "tuned is better than base"));
    json_decref(v);
    forget(&m);
}

TEST(scores_of_pairs)
{
    static struct made m;
    for (int i = 0; i < 20; i++)
        for (int order = 0; order < 2; order++) {
            struct judgement *j = add(&m, "J", i, 1, order ? "tuned" : "base", order ? "base" : "tuned", i % 4 == 0 ? WINNER_TIE : order ? WINNER_A : WINNER_B);
            j->opinion.n_scores = 2;
            j->opinion.score[order] = 5;
            j->opinion.score[!order] = i % 4 == 0 ? 5 : 7 + order;
        }
    json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
    NEAR(real(row, "score_base"), 5, 1e-12);
    NEAR(real(row, "score_difference"), 0.75 * 2.5, 1e-12);
    CHECK(real(row, "score_low") > 1.2 && real(row, "score_low") < 1.875 && real(row, "score_high") > 1.875 && real(row, "score_high") < 2.5);
    json_t *score = model_row(v, "scores", "J", "tuned");
    CHECK_INT(whole(score, "n"), 20);
    NEAR(real(score, "mean"), 6.875, 1e-12);
    json_decref(v);
    forget(&m);
}

/* Single answers: pairs from scores of the same prompt and turn; two turns of a prompt that always agree are no more than one. */
TEST(single_answers)
{
    static struct made m;
    for (int i = 0; i < 60; i++)
        for (int turn = 1; turn <= 2; turn++) {
            add_score(&m, "J", i, turn, "base", 6);
            add_score(&m, "J", i, turn, "tuned", i % 3 == 0 ? 6.05 : i % 3 == 1 ? 8 : i % 2 ? 5 : 8);
            if (i < 30) add_score(&m, "J", i, turn, "third", 9);
        }
    add_score(&m, "J", 99, 1, "base", 3);                      /* nobody to compare with */
    json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
    CHECK_INT(whole(row, "comparisons"), 120);
    CHECK_INT(whole(row, "prompts"), 60);
    CHECK_INT(whole(row, "tie"), 40);
    CHECK_INT(whole(row, "win"), 60);
    CHECK_INT(whole(row, "loss"), 20);
    CHECK_INT(whole(row, "inconsistent"), 0);
    CHECK(real(row, "n_effective") <= 120 && real(row, "n_effective") >= 55);
    CHECK(real(row, "high") - real(row, "low") > stats_wilson(80, 120).high - stats_wilson(80, 120).low);
    NEAR(real(row, "p"), stats_mcnemar(30, 10), 1e-12);
    CHECK_INT(whole(pair(v, "J", "tuned", "third", ""), "comparisons"), 60);
    CHECK_INT(whole(model_row(v, "scores", "J", "base"), "n"), 121);
    NEAR(real(model_row(v, "scores", "J", "third"), "mean"), 9, 0);
    size_t turns = 0, i;
    json_t *score;
    json_array_foreach(json_object_get(v, "scores"), i, score) turns += json_object_get(score, "turn") != NULL;
    CHECK_INT(turns, 6);
    json_decref(v);
    forget(&m);
}

TEST(probabilities_and_strengths)
{
    static struct made m;
    double sum = 0;
    for (int i = 0; i < 50; i++) {
        struct judgement *j = add(&m, "clf", i, 1, i % 2 ? "base" : "tuned", i % 2 ? "tuned" : "base", i % 2 ? WINNER_B : WINNER_A);
        double share = 0.55 + 0.001 * i;                       /* of the tuned one */
        j->opinion.share = i % 2 ? 1 - share : share;
        sum += share;
    }
    json_t *v = verdict(&m, NULL), *row = pair(v, "clf", "tuned", "base", "");        /* "tuned" stands first in the files */
    NEAR(real(row, "win_rate"), 1 - sum / 50, 1e-12);
    CHECK_STR(text(row, "rule"), "probability");
    CHECK_INT(whole(row, "loss"), 50);
    CHECK(real(row, "high") - real(row, "low") < 0.02);        /* they lie close together */
    json_decref(v);
    forget(&m);
    add(&m, "hard", 0, 1, "base", "tuned", WINNER_B)->opinion.strength = 2;
    add(&m, "hard", 0, 1, "tuned", "base", WINNER_B);
    add_both(&m, "hard", 1, 1, 'b', 'b');
    add_both(&m, "hard", 2, 1, '=', '=');
    v = verdict(&m, NULL);
    row = pair(v, "hard", "base", "tuned", "");
    NEAR(real(row, "win_rate"), (2 * 0.75 + 0 + 0.5) / 4, 1e-12);      /* 3 of 4 in two calls, then weights 1 */
    CHECK_STR(text(row, "rule"), "strength");
    CHECK_INT(whole(row, "inconsistent"), 1);
    json_decref(v);
    forget(&m);
}

TEST(slices_and_languages)
{
    static struct made m;
    for (int i = 0; i < 40; i++) {
        struct judgement *j = add(&m, "J", i, 1, "base", "tuned", i < 30 ? WINNER_B : WINNER_A);
        j->slice = (char *)(uintptr_t)(i < 30 ? "instruction" : "feedback");
        j->language = (char *)(uintptr_t)(i % 2 ? "python" : NULL);
        add(&m, "J", i, 1, "base", "other", i % 2 ? WINNER_A : WINNER_B);
    }
    json_t *v = verdict(&m, NULL), *row;
    CHECK_INT(whole(pair(v, "J", "base", "tuned", "instruction"), "win"), 30);
    CHECK_INT(whole(pair(v, "J", "base", "tuned", "feedback"), "loss"), 10);
    CHECK_STR(text(pair(v, "J", "base", "tuned", "feedback"), "by"), "slice");
    CHECK_INT(whole(pair(v, "J", "base", "tuned", "python"), "prompts"), 20);
    CHECK_STR(text(pair(v, "J", "base", "tuned", "python"), "by"), "language");
    row = pair(v, "J", "base", "tuned", "");
    CHECK_STR(text(row, "by"), "all");
    NEAR(real(row, "p_adjusted"), 2 * real(row, "p"), 1e-12);  /* of two pairs the surer one */
    json_decref(v);
    forget(&m);
}

/* ---- judges that are not trusted ------------------------------------------------------------------------------------------------------------------------ */

TEST(withheld)
{
    static struct made m;
    for (int i = 0; i < 30; i++) {
        add_both(&m, "good", i, 1, i < 20 ? 't' : 'b', i < 20 ? 't' : 'b');
        add_both(&m, "fine", i, 1, i < 20 ? 't' : 'b', i < 20 ? 't' : 'b');
        add_both(&m, "bad", i, 1, 'b', 't');
        add_both(&m, "unknown", i, 1, 'b', 'b');
        add(&m, "ann", i, 1, "base", "tuned", WINNER_A)->protocol = (char *)(uintptr_t)"people";
    }
    json_t *v = verdict(&m, "{\"judges\":[{\"judge\":\"good\",\"protocol\":\"pair\",\"is_calibrated\":true},{\"judge\":\"fine\",\"is_calibrated\":true},"
                            "{\"judge\":\"bad\",\"protocol\":\"other\",\"is_calibrated\":true},"
                            "{\"judge\":\"bad\",\"protocol\":\"pair\",\"is_calibrated\":false,\"findings\":[{\"name\":\"always-first\",\"sentence\":\"it takes the first answer\"},{\"sentence\":\"it errs\"},{\"name\":\"few\",\"refuses\":false,\"sentence\":\"a warning is no reason\"}]}]}");
    json_t *row = pair(v, "bad", "base", "tuned", ""), *raw = json_object_get(row, "raw"), *all = pair(v, "all judges", "base", "tuned", "");
    CHECK_STR(text(row, "withheld"), "it takes the first answer; it errs");
    CHECK_STR(text(row, "sentence"), "bad gives no verdict: it takes the first answer; it errs");
    CHECK(!json_object_get(row, "win_rate") && !json_object_get(row, "win") && !json_object_get(row, "score_difference"));
    NEAR(real(raw, "win_rate"), 0.5, 0);
    CHECK_INT(whole(raw, "inconsistent"), 30);
    CHECK(strstr(text(raw, "sentence"), "if this judge were to be trusted, which it is not: tuned cannot be told from base"));
    CHECK_STR(text(pair(v, "unknown", "base", "tuned", ""), "withheld"), "the audit knows nothing of this judge");
    CHECK(!json_object_get(pair(v, "ann", "base", "tuned", ""), "withheld"));
    CHECK_INT(json_array_size(json_object_get(all, "judges")), 2);
    CHECK_INT(whole(all, "comparisons"), 60);
    CHECK_INT(whole(all, "prompts"), 30);
    NEAR(real(all, "win_rate"), 20.0 / 30, 1e-15);
    CHECK(real(all, "n_effective") < 31);                      /* two judges who always agree know no more than one */
    CHECK_INT(json_array_size(json_object_get(v, "withheld")), 2);
    CHECK_INT(json_array_size(json_object_get(v, "ratings")), 8);
    CHECK_INT(json_array_size(json_object_get(json_object_get(v, "raw"), "ratings")), 4);
    json_decref(v);
    v = verdict(&m, "{\"judges\":[]}");
    CHECK(strstr(json_string_value(json_array_get(json_object_get(v, "notes"), json_array_size(json_object_get(v, "notes")) - 1)), "no judge may be trusted"));
    json_decref(v);
    forget(&m);
    json_t *none = NULL;
    CHECK_FAILS(judge_verdict(&none, &m.j, NULL, 1, err), SC_E_ARGUMENT, "none of 0 judgements says who is better");
}
