/* test_judge_published.c - audits of published judgements: the numbers that are known of them come out again. */
#include "audit_fixture.h"

/* ---- all of the shared data: the numbers of facts/evaluation.md, section 4.3 -------------------------------------------------------------------------------- */

static const json_t *judge_named(const json_t *audit, const char *name)
{
    const json_t *j;
    size_t i;
    json_array_foreach(json_object_get(audit, "judges"), i, j)
        if (!strcmp(json_string_value(json_object_get(j, "judge")), name)) return j;
    test_failed(__FILE__, __LINE__, "there is no judge %s", name);
    return NULL;
}

static const json_t *agreement_of(const json_t *audit, const char *a, const char *b)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(audit, "agreement"), i, row) {
        const char *x = json_string_value(json_object_get(row, "a")), *y = json_string_value(json_object_get(row, "b"));
        if ((!strcmp(x, a) && !strcmp(y, b)) || (!strcmp(x, b) && !strcmp(y, a))) return row;
    }
    test_failed(__FILE__, __LINE__, "%s and %s are not compared", a, b);
    return NULL;
}

static void near(int line, const json_t *o, const char *key, double expected, double within)
{
    if (!(fabs(number(o, key) - expected) <= within)) test_failed(__FILE__, line, "%s is %.6f, expected %.6f", key, number(o, key), expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)

static bool data_is_here(const char *what)
{
    char path[300];
    snprintf(path, sizeof path, "../shared/data/eval/%s", what);
    if (test_path(path)) return true;
    printf("skipped: no %s\n", path);
    return false;
}

TEST(published_single_grades)
{
    static const char *const dirs[] = { "qwen/judge_7B", "qwen/judge_14B", "qwen/judge_32B", "gpt/judge_gpt4omini", "gemma4/judge_12B" };
    static const struct { const char *name; int ok, mode, mode_count; double mean, sd, ends; } known[] = {
        { "Qwen2.5-7B-Instruct", 960, 8, 388, 7.81, 1.39, 0.32 }, { "Qwen2.5-14B-Instruct", 960, 9, 345, 7.87, 1.67, 0.47 }, { "Qwen2.5-32B-Instruct", 958, 8, 428, 7.66, 1.68, 0.37 },
        { "gpt-4o-mini", 960, 8, 393, 7.76, 1.59, 0.36 }, { "Gemma-4-12B-it", 957, 10, 416, 7.51, 3.18, 0.83 },
    };
    static const struct { const char *a, *b; double spearman; } pairs[] = { { "Qwen2.5-7B-Instruct", "Gemma-4-12B-it", 0.244 }, { "Qwen2.5-14B-Instruct", "Qwen2.5-32B-Instruct", 0.594 }, { "Qwen2.5-32B-Instruct", "gpt-4o-mini", 0.576 },
        { "Qwen2.5-14B-Instruct", "gpt-4o-mini", 0.486 }, { "Gemma-4-12B-it", "gpt-4o-mini", 0.430 } };
    if (!data_is_here("mt-bench-judged/judgments")) return;
    struct judgements all = { 0 };
    for (size_t i = 0; i < 5; i++) {
        char path[300];
        snprintf(path, sizeof path, "../shared/data/eval/mt-bench-judged/judgments/%s/single_grade", dirs[i]);
        CHECK_OK(judgements_read(&all, test_path(path), NULL, NULL, err));
    }
    CHECK_INT(all.n, 4800);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    CHECK_INT(checked, 4800);
    CHECK_INT(json_array_size(differences), 1);             /* two ratings in one text: the 32B on Mistral, question 81, turn 2 */
    for (size_t i = 0; i < 5; i++) {
        const json_t *j = judge_named(audit, known[i].name);
        CHECK_INT(number(j, "calls"), 960);
        CHECK_INT(number(j, "ok"), known[i].ok);
        CHECK_INT(number(j, "mode"), known[i].mode);
        CHECK_INT(number(j, "mode_count"), known[i].mode_count);
        NEAR(j, "mean", known[i].mean, 0.0055);
        NEAR(j, "sd", known[i].sd, 0.0055);
        NEAR(j, "extreme_share", known[i].ends, 0.0055);
        CHECK(trusted(j));
    }
    for (size_t i = 0; i < 5; i++) NEAR(agreement_of(audit, pairs[i].a, pairs[i].b), "spearman", pairs[i].spearman, 0.0005);
    json_decref(differences);
    json_decref(audit);
}

TEST(published_pairs)
{
    if (!data_is_here("mt-bench-judged/judgments")) return;
    const char *paths[] = { test_path("../shared/data/eval/mt-bench-judged/judgments/qwen/judge_7B/pairwise"), test_path("../shared/data/eval/mt-bench-judged/judgments/qwen/judge_32B/pairwise") };
    struct judgements all = read_all(paths, 2);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    const json_t *small = judge_named(audit, "Qwen2.5-7B-Instruct"), *large = judge_named(audit, "Qwen2.5-32B-Instruct");
    CHECK_INT(checked, 4800);
    CHECK_INT(json_array_size(differences), 0);
    CHECK_INT(number(json_object_get(small, "swap"), "pairs"), 1200);
    CHECK_INT(number(json_object_get(small, "swap"), "consistent"), 249);
    CHECK_INT(number(json_object_get(small, "slot"), "first"), 1741);
    CHECK_INT(number(json_object_get(large, "swap"), "pairs"), 1198);
    CHECK_INT(number(json_object_get(large, "swap"), "consistent"), 827);
    CHECK_INT(number(json_object_get(large, "slot"), "first"), 1387);
    CHECK(!trusted(small) && found(small, "always-first") == 1 && found(small, "inconsistent") == 1);
    CHECK(trusted(large) && found(large, "prefers-first") == 0 && found(large, "inconsistent") == 0);
    json_decref(differences);
    json_decref(audit);
}

TEST(published_reviews)
{
    static const struct { double mean[2]; int wins, ties; } known[] = { { { 7.29, 8.80 }, 76, 1 }, { { 8.30, 8.19 }, 40, 10 }, { { 8.66, 7.97 }, 14, 22 }, { { 6.41, 8.68 }, 77, 0 } };
    if (!data_is_here("vicuna-blog-eval/review")) return;
    const char *path = test_path("../shared/data/eval/vicuna-blog-eval/review/vicuna-13b_20230322-clean-lang");
    struct judgements all = read_all(&path, 1);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    const json_t *meetings = json_object_get(judge_named(audit, "gpt-4-0328"), "meetings");
    CHECK_INT(checked, 320);
    CHECK_INT(json_array_size(differences), 12);            /* the three questions of mathematics: the solution comes first, the scores were read by people */
    CHECK_INT(json_array_size(meetings), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *m = json_array_get(meetings, i);
        NEAR(m, "first_mean", known[i].mean[0], 0.0055);
        NEAR(m, "second_mean", known[i].mean[1], 0.0055);
        CHECK_INT(number(m, "second_better"), known[i].wins);
        CHECK_INT(number(m, "tie"), known[i].ties);
    }
    json_decref(differences);
    json_decref(audit);
}

TEST(published_labels_of_people)
{
    static const struct { const char *a, *b; double exact, kappa; } known[] = { { "annotator1", "annotator2", 0.920, 0.866 }, { "annotator1", "annotator3", 0.934, 0.889 }, { "annotator2", "annotator3", 0.923, 0.871 } };
    if (!data_is_here("pandalm")) return;
    const char *paths[] = { test_path("../shared/data/eval/pandalm/pandalm-7b-testset-v1.json"), test_path("../shared/data/eval/pandalm/gpt-3.5-turbo-testset-v1.json"), test_path("../shared/data/eval/pandalm/testset-v1.json") };
    struct judgements all = read_all(paths, 3);
    json_t *maps = NULL;
    CHECK_OK(judge_calibrate(&maps, &all, 1, err));
    CHECK_INT(json_array_size(maps), 2);
    for (size_t i = 0; i < 2; i++) CHECK(number(json_array_get(maps, i), "mapped_rms") < number(json_array_get(maps, i), "raw_rms"));
    json_t *audit = audited(&all);
    for (size_t i = 0; i < 3; i++) {
        const json_t *row = agreement_of(audit, known[i].a, known[i].b);
        CHECK_INT(number(row, "n"), 791);
        NEAR(row, "exact", known[i].exact, 0.0005);
        NEAR(row, "kappa", known[i].kappa, 0.0005);
    }
    CHECK_INT(number(judge_named(audit, "gpt-3.5-turbo"), "ok"), 774);
    CHECK_INT(number(agreement_of(audit, "pandalm-7b", "annotator1"), "n"), 791);
    json_decref(maps);
    json_decref(audit);
}

/* A judge that is two points too kind, and people: the map takes the two points off again; labels come from lines. */
TEST(maps_to_people)
{
    struct judgements all = { 0 };
    struct buf lines;
    json_t *maps = NULL;
    buf_init(&lines, 0);
    for (int i = 0; i < 60; i++) {
        struct judgement *j = call(&all, "kind", "fastchat-single", i, "m", NULL);
        j->opinion.n_scores = 1;
        j->opinion.score[0] = 3 + i % 8;
        buf_printf(&lines, "{\"id\":\"q%d\",\"model\":\"m\",\"score\":%d}\n", i, 1 + i % 8);
    }
    CHECK_FAILS(judge_calibrate(&maps, &all, 1, err), SC_E_ARGUMENT, "no people's labels");
    CHECK_OK(judgements_read(&all, write_file("labels.jsonl", lines.data), NULL, NULL, err));
    CHECK_OK(judge_calibrate(&maps, &all, 1, err));
    const json_t *map = json_array_get(maps, 0), *steps = json_object_get(map, "map");
    CHECK_INT(json_array_size(maps), 1);
    CHECK_INT(number(map, "n"), 60);
    CHECK(fabs(number(map, "raw_rms") - 2) < 1e-9 && number(map, "mapped_rms") < 1e-9 && fabs(number(map, "raw") - 2) < 1e-9);
    CHECK_INT(json_array_size(steps), 8);
    CHECK(json_number_value(json_array_get(json_array_get(steps, 0), 0)) == 3 && json_number_value(json_array_get(json_array_get(steps, 0), 1)) == 1);
    json_decref(maps);
    json_t *audit = audited(&all);
    const json_t *row = json_array_get(json_object_get(audit, "agreement"), 0);
    CHECK(fabs(number(row, "spearman") - 1) < 1e-12 && fabs(number(row, "bias") - 2) < 1e-12 && number(row, "exact") == 0);
    CHECK(trusted(judge_at(audit, 0)) && !json_array_size(json_object_get(judge_at(audit, 1), "findings")));
    json_decref(audit);
    buf_release(&lines);
}

/* Two people of three for one answer: the map leads to the mean of what they chose, not to a tie. */
TEST(maps_of_verdicts)
{
    struct judgements all = { 0 };
    json_t *maps = NULL;
    for (int i = 0; i < 40; i++) {
        decide(call(&all, "sure", "fastchat-pair", i, "a", "b"), i % 2 ? WINNER_A : WINNER_B);
        for (int k = 0; k < 3; k++) decide(call(&all, (const char *[]){ "anna", "ben", "cleo" }[k], "people", i, "a", "b"), (i % 2 != 0) == (k < 2) ? WINNER_A : WINNER_B);
    }
    CHECK_OK(judge_calibrate(&maps, &all, 1, err));
    const json_t *steps = json_object_get(json_array_get(maps, 0), "map");
    CHECK_INT(json_array_size(steps), 2);
    for (size_t i = 0; i < 2; i++) CHECK(fabs(json_number_value(json_array_get(json_array_get(steps, i), 1)) - (i ? 4.0 : 2.0) / 3) < 1e-12);
    CHECK(fabs(number(json_array_get(maps, 0), "raw_rms") - 2.0 / 3) < 1e-9 && number(json_array_get(maps, 0), "mapped_rms") < 1e-9);
    json_decref(maps);
    judgements_release(&all);
}
