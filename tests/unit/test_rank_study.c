/* test_rank_study.c - human evaluation: studies from files to reports. */
#include "rank_fixture.h"

#include <glob.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

/* The file says nothing of whose an answer is, nor of links, before it is closed. */
TEST(study_is_sealed)
{
    char key[RANK_KEY_TEXT], wrong[RANK_KEY_TEXT];
    uint8_t other[RANK_KEY_BYTES];
    char *path = make_study(key, 2, 0);
    sc_text file = { 0 }, out = { 0 };
    struct stat is;
    CHECK_OK(file_read(&file, path, 1 << 24, err));
    for (int m = 0; m < MODELS; m++) CHECK(!memmem(file.data, file.len, names[m], strlen(names[m])));
    CHECK(!memmem(file.data, file.len, key, strlen(key)));
    CHECK(!memmem(file.data, file.len, "rater-0", 7));        /* tokens; names begin with rater-1 */
    CHECK(stat(path, &is) == 0 && (is.st_mode & 077) == 0);
    sc_text_free(&file);
    json_t *report = report_of(path);
    CHECK(!json_object_get(report, "models") && json_array_size(json_object_get(json_object_get(report, "study"), "models")) == 0);
    json_decref(report);
    sc_rank_export_config e = { .pairs = "x" };
    CHECK_FAILS(sc_rank_export(&out, path, &e, err), SC_E_ARGUMENT, "is open");
    key_new(other, wrong);
    CHECK_FAILS(sc_rank_close(&out, path, wrong, err), SC_E_ARGUMENT, "does not open");
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_close(&out, path, key, err), SC_E_ARGUMENT, "closed already");
    CHECK_FAILS(sc_rank_invite(&out, path, "late", SC_RANK_NEW, err), SC_E_ARGUMENT, "is closed");
    struct study *s;
    CHECK_OK(study_open(&s, path, err));
    CHECK_FAILS(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(1, 'late', 1, 0, '{}')", ""), SC_E_IO, "closed");
    study_close(s);
    mem_free(path);
}

TEST(revisions_stay)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 1, 0);
    struct study *s;
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(1, 'one', 1, 0, '{}')", ""));
    CHECK_FAILS(sql_run(s, err, "UPDATE revisions SET rating = 'x'", ""), SC_E_IO, "never changed");
    CHECK_FAILS(sql_run(s, err, "DELETE FROM revisions", ""), SC_E_IO, "never taken away");
    study_close(s);
    mem_free(path);
}

/* Which model stands at each place of each item's numbers: one digit an answer. The caller's. */
static char *numbering(const char *path)
{
    struct study *s;
    sqlite3_stmt *q;
    struct buf b;
    sc_text out;
    sc_error problem = { 0 };
    bool row = true;
    buf_init(&b, 0);
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_query(&q, s, err, "SELECT a.turns FROM answers a JOIN items i ON i.n = a.item WHERE NOT i.is_gold ORDER BY a.n", ""));
    while (sql_step(s, &q, &row, &problem) == SC_OK && row) buf_printf(&b, "%d", (int)kind_of(sql_text(q, 0)));
    study_close(s);
    buf_take(&b, &out);
    return out.data;
}

/* Answers are numbered by the key, not by the seed, which the file tells: the same files and the same seed give other numbers each time, as the key says, and over many items
 * each model stands at each place about as often. */
TEST(numbers_tell_nothing)
{
    char key[2][RANK_KEY_TEXT], *numbers[2];
    size_t first[MODELS] = { 0 };
    for (int k = 0; k < 2; k++) {
        char *path = make_study(key[k], 1, 0);
        uint8_t secret[RANK_KEY_BYTES];
        size_t used[MODELS] = { 0 };
        numbers[k] = numbering(path);
        CHECK_INT(strlen(numbers[k]), PROMPTS * MODELS);
        CHECK_OK(key_read(secret, key[k], err));
        for (size_t i = 0; i < PROMPTS; i++) {
            size_t order[MODELS], chosen[MODELS];
            plan_choose(chosen, MODELS, (size_t[]){ 0, 1, 2 }, MODELS, used, 1234, i);      /* 1234: --seed */
            plan_order(order, MODELS, NULL, key_seed(secret), i + 1);
            for (size_t m = 0; m < MODELS; m++) CHECK_INT(numbers[k][i * MODELS + m] - '0', chosen[order[m]]);
            first[numbers[k][i * MODELS] - '0']++;
        }
        CHECK_INT(remove(path), 0);
        mem_free(path);
    }
    CHECK(strcmp(numbers[0], numbers[1]) != 0);
    for (int m = 0; m < MODELS; m++) CHECK(first[m] > 5 && first[m] < 50);      /* 80 / 3, five standard deviations of 4.2 */
    mem_free(numbers[0]);
    mem_free(numbers[1]);
}

/* A rater who counts answers and turns learns nothing of which items check them. */
TEST(gold_looks_like_the_rest)
{
    static const char two[] = "{\"prompt\":\"p\",\"best\":\"a\",\"worst\":\"b\"}", turned[] = "{\"prompt\":[\"p\",\"q\"],\"best\":[\"a\",\"b\"],\"worst\":[\"c\",\"d\"],\"others\":[[\"e\",\"f\"]]}";
    char key[RANK_KEY_TEXT], *path = make_study(key, 1, 0), *gold = scratch("gold.jsonl"), *other = scratch("other.sqlite"), both[2000];
    struct study *s;
    int64_t sizes, items;
    sc_rank_config c;
    sc_text out = { 0 };
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_number(&sizes, 0, s, err, "SELECT count(DISTINCT json_array_length(shown)) FROM assignments", ""));
    CHECK_OK(sql_number(&items, 0, s, err, "SELECT count(*) FROM assignments a JOIN items i ON i.n = a.item WHERE is_gold AND json_array_length(a.shown) = 3", ""));
    CHECK_INT(sizes, 1);
    CHECK_INT(items, GOLD);
    study_close(s);
    sc_options_defaults(sc_options_for("rank"), &c);
    char *a = scratch(names[0]), *b = scratch(names[1]), *d = scratch(names[2]), *prompts = scratch("prompts.jsonl");
    snprintf(both, sizeof both, "%s,%s,%s", a, b, d);
    c.prompts = prompts;
    c.answers = both;
    c.gold = gold;
    c.out = other;
    CHECK_OK(file_write(gold, two, strlen(two), err));
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "line 1: the gold item has 2 answers and has to show 3");
    CHECK_OK(file_write(gold, turned, strlen(turned), err));
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "line 1: the gold item has 2 turns, as no prompt");
    CHECK(!path_exists(other));
    char *all[] = { path, gold, other, a, b, d, prompts };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

static size_t files_like(const char *pattern)
{
    char *path = scratch(pattern);
    glob_t found;
    size_t n = glob(path, 0, NULL, &found) == 0 ? found.gl_pathc : 0;
    if (n) globfree(&found);
    mem_free(path);
    return n;
}

/* Wherever the space ends, nothing is left, and the same command makes the study once there is room. */
TEST(no_space_leaves_nothing)
{
    struct rlimit was, small;
    sc_rank_config c;
    char *a = scratch(names[0]), *b = scratch(names[1]), *prompts = scratch("prompts.jsonl"), *study = scratch("study.sqlite"), both[2000];
    size_t failed = 0;
    sc_text out = { 0 };
    write_files();
    snprintf(both, sizeof both, "%s,%s", a, b);
    sc_options_defaults(sc_options_for("rank"), &c);
    c.prompts = prompts;
    c.answers = both;
    c.out = study;
    signal(SIGXFSZ, SIG_IGN);                                  /* a write beyond the limit fails as one to a full disk does */
    CHECK_INT(getrlimit(RLIMIT_FSIZE, &was), 0);
    for (small = was, small.rlim_cur = 0; small.rlim_cur <= 1 << 16; small.rlim_cur += 4096) {
        sc_error problem = { 0 };
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &small), 0);
        sc_status status = sc_rank_make(&out, &c, &problem);
        CHECK_INT(setrlimit(RLIMIT_FSIZE, &was), 0);
        failed += status != SC_OK;
        if (status != SC_OK) { CHECK(strstr(problem.message, "study.sqlite") != NULL); CHECK_INT(files_like("study.sqlite*"), 0); continue; }
        CHECK_INT(files_like("study.sqlite*"), 1);
        CHECK_INT(remove(study), 0);
        sc_text_free(&out);
    }
    CHECK(failed > 5);
    CHECK_OK(sc_rank_make(&out, &c, err));
    sc_text_free(&out);
    char *all[] = { a, b, prompts, study };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) mem_free(all[i]);
}

TEST(report_finds_the_truth)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 6, 0), *page = scratch("r.html"), *ratings = scratch("ratings.jsonl"), *pairs = scratch("pairs.jsonl");
    sc_text out = { 0 }, text = { 0 };
    rate_all(path, 0);
    json_t *open = report_of(path);
    CHECK(json_number_value(json_object_get(json_object_get(open, "agreement"), "share")) > 0.4);
    json_decref(open);
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    json_t *report = report_of(path);
    const json_t *raters = json_object_get(report, "raters"), *models = json_object_get(report, "models");
    for (size_t i = 0; i < 6; i++) {
        const json_t *w = json_array_get(raters, i);
        CHECK_INT(json_integer_value(json_object_get(w, "done")), PROMPTS + GOLD + 8);
        CHECK_INT(json_integer_value(json_object_get(json_object_get(w, "gold"), "items")), GOLD);
        CHECK_INT(json_integer_value(json_object_get(json_object_get(w, "repeats"), "pairs")), 8 * 3);
        NEAR(real_of(w, "median_seconds"), 20, 1e-9);
        CHECK_INT(json_array_size(json_object_get(w, "excluded")), 0);
        NEAR(real_of(json_object_get(w, "gold"), "share"), 1, 0);
    }
    CHECK_INT(json_array_size(models), MODELS);
    double best_worst = 0, ranks = 0;
    for (size_t m = 0; m < MODELS; m++) {
        const json_t *row = json_array_get(models, m);
        CHECK_STR(json_string_value(json_object_get(row, "model")), names[m]);
        NEAR(real_of(row, "strength"), truth[m], real_of(row, "strength_high") - real_of(row, "strength_low"));      /* four standard errors */
        CHECK(real_of(row, "strength_low") < real_of(row, "strength") && real_of(row, "strength") < real_of(row, "strength_high"));
        CHECK(real_of(row, "strength_high") - real_of(row, "strength_low") < 1);
        CHECK(real_of(row, "mean_score_low") < real_of(row, "mean_score") && real_of(row, "mean_score") < real_of(row, "mean_score_high"));
        NEAR(real_of(row, "mean_score"), 8 - 2 * real_of(row, "mean_rank"), 1e-9);
        NEAR(real_of(json_object_get(json_object_get(row, "flags"), "wrong"), "share"), 1, 0);
        best_worst += real_of(row, "best_worst");
        ranks += real_of(row, "mean_rank");
    }
    NEAR(best_worst, 0, 1e-9);
    NEAR(ranks, 6, 1e-9);
    const json_t *pair = json_array_get(json_object_get(report, "pairs"), 0);
    NEAR(real_of(pair, "win_rate"), 1 / (1 + exp(-1)), real_of(pair, "win_rate_high") - real_of(pair, "win_rate_low"));
    CHECK_INT(json_array_size(json_object_get(report, "slices")), 2);
    size_t counted = (size_t)json_integer_value(json_object_get(json_array_get(models, 0), "shown"));
    json_decref(report);
    sc_rank_export_config e = { .pairs = pairs, .ratings = ratings };
    CHECK_OK(sc_rank_export(&out, path, &e, err));
    json_t *exported = json_loads(out.data, 0, NULL);
    CHECK_INT(json_integer_value(json_object_get(exported, "pairs")), counted * 3);      /* K (K - 1) / 2, no ties */
    CHECK_INT(json_integer_value(json_object_get(exported, "ratings")), 6 * (PROMPTS + GOLD + 8));
    json_decref(exported);
    sc_text_free(&out);
    sc_rank_report_config c;
    sc_options_defaults(sc_options_for("rank_report"), &c);
    c.out = page;
    CHECK_OK(sc_rank_report(&out, path, &c, err));
    CHECK_OK(file_read(&text, page, 1 << 24, err));
    CHECK(strstr(text.data, "alpha-model") && strstr(text.data, "Krippendorff"));
    sc_text_free(&text);
    sc_text_free(&out);
    char *all[] = { page, ratings, pairs, path };
    for (size_t i = 0; i < 4; i++) mem_free(all[i]);
}

/* Who answers by chance has gold items wrong half of the time: with rules that ask for all, the rule names it. */
TEST(rules_leave_out)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 3, 0);
    struct study *s;
    struct results r;
    sc_text out = { 0 };
    rate_all(path, 2);
    CHECK_OK(sc_rank_close(&out, path, key, err));
    sc_text_free(&out);
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(results_read(&r, s, err));
    CHECK_INT(r.rater[0].gold_right, GOLD);
    CHECK_INT(r.rater[0].excluded, 0);
    double own = (double)r.rater[0].repeat_same / r.rater[0].repeat_pairs;
    r.rules = (struct rank_rules){ .gold = 1, .repeats = own + 0.01, .seconds = 20.5, .least = 1 };
    for (size_t i = 0; i < 3; i++) {                           /* counts anew */
        char *name = r.rater[i].name;
        r.rater[i] = (struct result_rater){ .name = name };
    }
    results_judge_raters(&r);
    CHECK_INT(r.rater[0].excluded, EXCLUDED_REPEATS | EXCLUDED_SPEED);
    CHECK_INT(!!(r.rater[1].excluded & EXCLUDED_GOLD), r.rater[1].gold_right < GOLD);
    CHECK(!rated_counts(&r, &r.rated[0]));
    results_release(&r);
    study_close(s);
    mem_free(path);
}

TEST(invitations)
{
    char key[RANK_KEY_TEXT];
    char *path = make_study(key, 4, 2);
    sc_text out = { 0 };
    struct study *s;
    int64_t n, least, most;
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_NEW, err));
    CHECK(strstr(out.data, "\"anna\"") && strstr(out.data, "rater-"));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_invite(&out, path, "anna", SC_RANK_NEW, err), SC_E_ARGUMENT, "already a rater anna");
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_AGAIN, err));
    sc_text_free(&out);
    CHECK_OK(sc_rank_invite(&out, path, "anna", SC_RANK_REVOKE, err));
    sc_text_free(&out);
    CHECK_FAILS(sc_rank_invite(&out, path, "nobody", SC_RANK_REVOKE, err), SC_E_ARGUMENT, "no rater nobody");
    CHECK_FAILS(sc_rank_invite(&out, path, "a\tb", SC_RANK_NEW, err), SC_E_ARGUMENT, "cannot be printed");
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_number(&n, 0, s, err, "SELECT count(*) FROM assignments a JOIN items i ON i.n = a.item WHERE rater = 5 AND repeats IS NULL AND NOT is_gold", ""));
    CHECK_INT(n, PROMPTS / 2);
    CHECK_OK(sql_number(&least, 0, s, err, "SELECT min(k) FROM (SELECT count(*) AS k FROM assignments a JOIN items i ON i.n = a.item WHERE rater < 5 AND repeats IS NULL AND NOT is_gold GROUP BY a.item)", ""));
    CHECK_OK(sql_number(&most, 0, s, err, "SELECT max(k) FROM (SELECT count(*) AS k FROM assignments a JOIN items i ON i.n = a.item WHERE rater < 5 AND repeats IS NULL AND NOT is_gold GROUP BY a.item)", ""));
    CHECK_INT(least, 2);
    CHECK_INT(most, 2);
    study_close(s);
    mem_free(path);
}

TEST(what_cannot_be_made)
{
    sc_rank_config c;
    sc_text out = { 0 };
    char *prompts = scratch("prompts.jsonl"), *a = scratch(names[0]), *b = scratch(names[1]), *study = scratch("s.sqlite"), *few = scratch("few");
    char both[2000], part[2000];
    struct study *s;
    sc_error problem = { 0 };
    write_files();
    snprintf(both, sizeof both, "%s,%s", a, b);
    snprintf(part, sizeof part, "%s,%s", a, few);
    CHECK_INT(file_write(few, "{\"id\":\"p0\",\"model\":\"few\",\"turns\":[\"x\"]}\n", 40, &problem), SC_OK);
    sc_options_defaults(sc_options_for("rank"), &c);
    c.out = study;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "--prompts is missing");
    c.prompts = prompts;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "--answers is missing");
    c.answers = a;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "answers of 1 model");
    c.answers = part;
    CHECK_FAILS(sc_rank_make(&out, &c, err), SC_E_ARGUMENT, "few has no answer to the prompt \"p1\"");
    CHECK(!path_exists(study));                                /* nothing is left behind */
    c.partial = true;
    CHECK_OK(sc_rank_make(&out, &c, err));
    CHECK(strstr(out.data, "\"items\":1,"));
    sc_text_free(&out);
    CHECK_FAILS(study_open(&s, prompts, err), SC_E_FORMAT, "not a SQLite file");
    CHECK_FAILS(study_open(&s, "/nowhere/x", err), SC_E_IO, "no study");
    mem_free(prompts);
    mem_free(a);
    mem_free(b);
    mem_free(study);
    mem_free(few);
}
