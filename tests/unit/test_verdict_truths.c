/* test_verdict_truths.c - planted truths that the verdict finds again: win rates, lengths, strengths, intervals that cover and are no wider than they need be. */
#include "verdict_fixture.h"

/* ---- planted truths ----------------------------------------------------------------------------------------------------------------------------------------- */

enum { RUNS = 120, PROMPTS = 100 };

/* An honest judge with noise: on prompt i it prefers the tuned answer with a chance of its own, in each order and turn anew; the mean of the chances is the win rate. */
TEST(planted_win_rate)
{
    int covered = 0, half_covered = 0, score_covered = 0, turns_covered = 0;
    double width = 0;
    for (uint64_t s = 0; s < RUNS; s++) {
        static struct made m, turns;
        double rate = 0.55 + 0.3 * random_unit(1, s, 0);
        for (int i = 0; i < PROMPTS; i++) {
            double chance = rate + (random_unit(2, s, (uint64_t)i) < 0.5 ? 0.15 : -0.15);
            bool likes[4];
            for (uint64_t k = 0; k < 4; k++) likes[k] = random_unit(3, s, 4 * (uint64_t)i + k) < chance;
            add_both(&m, "J", i, 1, likes[0] ? 't' : 'b', likes[1] ? 't' : 'b');
            for (size_t order = 0; order < 2; order++) {       /* 6 for the tuned answer where it is liked, else 5 each */
                struct judge_opinion *o = &m.j.at[m.j.n - 2 + order].opinion;
                o->n_scores = 2;
                o->score[order] = 5;
                o->score[!order] = 5 + (double)likes[order];
            }
            for (int turn = 1; turn <= 2; turn++) add(&turns, "J", i, turn, "base", "tuned", likes[turn] ? WINNER_B : WINNER_A);
        }
        json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
        covered += real(row, "low") <= rate && rate <= real(row, "high");
        half_covered += fabs(rate - real(row, "win_rate")) <= (real(row, "high") - real(row, "low")) / 4;
        width += (real(row, "high") - real(row, "low")) / RUNS;
        score_covered += real(row, "score_low") <= rate && rate <= real(row, "score_high");
        json_decref(v);
        v = verdict(&turns, NULL);
        row = pair(v, "J", "base", "tuned", "");
        turns_covered += real(row, "low") <= rate && rate <= real(row, "high");
        json_decref(v);
        forget(&m);
        forget(&turns);
    }
    /* Ties of two orders count half, so the interval is wider than it need be, but no wider than Wilson's of as many that are decided; half of it does not do. */
    CHECK(covered >= 0.93 * RUNS && half_covered < 0.93 * RUNS && half_covered > 0.6 * RUNS);
    CHECK(width > 0.15 && width < stats_wilson(PROMPTS / 2, PROMPTS).high - stats_wilson(PROMPTS / 2, PROMPTS).low);
    /* Of 4000 such runs 94.4 % are covered; three standard errors of 120 less. */
    CHECK(score_covered >= 0.88 * RUNS && score_covered < RUNS);
    CHECK(turns_covered >= 0.88 * RUNS && turns_covered < RUNS);
}

/* Equally good answers, the tuned ones longer and with more lists, by a judge who likes that: the plain win rate is fooled, the controlled one is not. */
TEST(planted_length)
{
    int fooled = 0, length_covered = 0, style_covered = 0;
    for (uint64_t s = 0; s < RUNS / 2; s++) {
        static struct made m;
        for (int i = 0; i < 2 * PROMPTS; i++) {
            uint64_t at = (uint64_t)i;
            double longer = 300 * (random_unit(4, s, at) + random_unit(5, s, at) - 0.7), lists = floor(6 * random_unit(6, s, at));
            double like = 1 / (1 + exp(-2 * tanh(longer / 122)));
            struct judgement *j = add(&m, "J", i, 1, "base", "tuned", random_unit(7, s, at) < like ? WINNER_B : WINNER_A);
            j->length[0] = 1000;
            j->length[1] = 1000 + longer;
            like = 1 / (1 + exp(-1.5 * (lists - 2) / (lists + 3)));
            j = add(&m, "S", i, 1, "base", "tuned", random_unit(8, s, at) < like ? WINNER_B : WINNER_A);
            j->style[0] = (struct judge_style){ 200, 1, 2, 0 };
            j->style[1] = (struct judge_style){ 200 + 50 * random_unit(9, s, at), 1, lists, 0 };
        }
        json_t *v = verdict(&m, NULL), *row = pair(v, "J", "base", "tuned", "");
        fooled += real(row, "low") > 0.5;
        length_covered += real(row, "length_controlled_low") <= 0.5 && 0.5 <= real(row, "length_controlled_high");
        CHECK(real(json_object_get(json_object_get(row, "length_controlled_effects"), "length"), "coefficient") > 0);
        CHECK(json_is_false(json_object_get(row, "length_controlled_extrapolated")));
        CHECK_STR(text(row, "style_controlled_why"), "too few prompts with known answers");
        row = pair(v, "S", "base", "tuned", "");
        style_covered += real(row, "style_controlled_low") <= 0.5 && 0.5 <= real(row, "style_controlled_high");
        CHECK(json_is_null(json_object_get(row, "length_controlled")) && json_is_real(json_object_get(row, "style_controlled")));
        CHECK(json_is_true(json_object_get(row, "style_controlled_extrapolated")));        /* the tuned ones always had more tokens */
        json_decref(v);
        forget(&m);
    }
    CHECK(fooled > 0.6 * RUNS / 2);
    static struct made m;
    for (int i = 0; i < 40; i++) {
        struct judgement *j = add(&m, "J", i, 1, "base", "tuned", i % 3 ? WINNER_B : WINNER_A);
        j->length[0] = 33.3 * i;
        j->length[1] = 33.3 * i + 0.1;
    }
    json_t *v = verdict(&m, NULL);
    CHECK_STR(text(pair(v, "J", "base", "tuned", ""), "length_controlled_why"), "the answers differ by the same everywhere, which cannot be told from being better");
    json_decref(v);
    forget(&m);
    CHECK(length_covered >= 0.87 * RUNS / 2 && length_covered < RUNS / 2);
    CHECK(style_covered >= 0.87 * RUNS / 2 && style_covered < RUNS / 2);
}

TEST(planted_ratings)
{
    static const char *const model[] = { "a", "b", "c", "d" };
    static const double strength[] = { -150, -50, 50, 150 };   /* on Elo's scale */
    static struct made m;
    for (uint64_t i = 0; i < 400; i++)
        for (uint64_t a = 0; a < 4; a++)
            for (uint64_t b = a + 1; b < 4; b++)
                add(&m, "J", (int)i, 1, model[a], model[b], random_unit(10, i, 4 * a + b) < 1 / (1 + pow(10, (strength[b] - strength[a]) / 400)) ? WINNER_A : WINNER_B);
    json_t *v = verdict(&m, NULL);
    for (size_t k = 0; k < 4; k++) {
        json_t *row = model_row(v, "ratings", "J", model[k]);
        CHECK(real(row, "low") < 1000 + strength[k] && 1000 + strength[k] < real(row, "high") && real(row, "high") - real(row, "low") < 60);
        NEAR(real(row, "bradley_terry"), 1000 + strength[k], 30);
        NEAR(real(row, "strength"), log(10) / 400 * (real(row, "bradley_terry") - 1000), 1e-9);
        NEAR(real(row, "elo"), 1000 + strength[k], 60);
        CHECK(real(row, "elo_low") < real(row, "elo") && real(row, "elo") < real(row, "elo_high"));
    }
    json_t *again = verdict(&m, NULL);
    CHECK(json_equal(v, again));
    json_decref(v);
    json_decref(again);
    for (int i = 0; i < 50; i++) add(&m, "K", i, 1, "x", "y", WINNER_B);
    v = verdict(&m, NULL);
    CHECK_STR(json_string_value(json_array_get(json_object_get(v, "notes"), 0)),
              "ratings by K: x never won against the others, so Bradley and Terry's strengths have no finite maximum; a ridge of 0.01 keeps them finite, and how far apart they are is not to be relied on");
    CHECK(strstr(json_string_value(json_array_get(json_object_get(v, "notes"), 1)), "ratings by all judges: x, y never met the others"));
    CHECK(isfinite(real(model_row(v, "ratings", "K", "x"), "bradley_terry")));
    CHECK_STR(text(pair(v, "K", "x", "y", ""), "length_controlled_why"), "too few prompts with known answers");
    json_decref(v);
    forget(&m);
}

/* ---- what is known of real judges --------------------------------------------------------------------------------------------------------------------------- */

#define EVAL "../shared/data/eval/"

static void check_counts(const json_t *v, const char *base, const char *tuned, int win, int tie, int loss)
{
    json_t *row = pair(v, "gpt-4-0328", base, tuned, "");
    CHECK_INT(whole(row, "win"), win);
    CHECK_INT(whole(row, "tie"), tie);
    CHECK_INT(whole(row, "loss"), loss);
}

TEST(vicuna_reviews)
{
    static const char *const files[] = { "alpaca-13b", "bard", "gpt35", "llama-13b" };
    struct judgements j = { 0 };
    json_t *v = NULL;
    for (size_t i = 0; i < 4; i++) {
        char path[300];
        snprintf(path, sizeof path, EVAL "vicuna-blog-eval/review/vicuna-13b_20230322-clean-lang/review_%s_vicuna-13b.jsonl", files[i]);
        if (!test_path(path)) { puts("skipped: the shared data is not there"); return; }
        CHECK_OK(judgements_read(&j, test_path(path), NULL, NULL, err));
    }
    CHECK_OK(judge_verdict(&v, &j, NULL, 1, err));
    check_counts(v, "alpaca-13b", "vicuna-13b", 76, 1, 3);
    check_counts(v, "vicuna-13b", "bard", 30, 10, 40);
    check_counts(v, "vicuna-13b", "gpt35", 44, 22, 14);
    check_counts(v, "vicuna-13b", "llama-13b", 3, 0, 77);
    json_decref(v);
    judgements_release(&j);
}

/* How often two judges changed their verdict with the order: 951 of 1200 and 371 of 1198 pairs. */
TEST(mt_bench_pairs)
{
    static const char *const judges[] = { "7B", "32B" };
    static const int calls[] = { 2400, 2396 }, inconsistent[] = { 951, 371 };
    for (size_t k = 0; k < 2; k++) {
        struct judgements j = { 0 };
        json_t *v = NULL, *row;
        size_t i;
        int found = 0, both = 0;
        char path[300];
        snprintf(path, sizeof path, EVAL "mt-bench-judged/judgments/qwen/judge_%s/pairwise", judges[k]);
        if (!test_path(path)) { puts("skipped: the shared data is not there"); return; }
        CHECK_OK(judgements_read(&j, test_path(path), NULL, NULL, err));
        CHECK_OK(judge_verdict(&v, &j, NULL, 1, err));
        json_array_foreach(json_object_get(v, "pairs"), i, row) {
            if (strcmp(text(row, "by"), "all") != 0) continue;
            found += whole(row, "inconsistent");
            both += 2 * (whole(row, "calls") - whole(row, "comparisons"));
        }
        CHECK_INT(found, inconsistent[k]);
        CHECK_INT(both, calls[k]);
        json_decref(v);
        judgements_release(&j);
    }
}
