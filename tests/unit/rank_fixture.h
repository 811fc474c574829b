/* rank_fixture.h - studies for tests: files of three models of known worth, raters who are people of Plackett and Luce's model, and what came of it. */
#ifndef RANK_FIXTURE_H
#define RANK_FIXTURE_H

#include "rank/rank.h"
#include "test.h"

static inline void near(int line, double found, double expected, double within)
{
    if (!(fabs(found - expected) <= within)) test_failed(__FILE__, line, "%.12g, expected %.12g", found, expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)

enum { PROMPTS = 40, MODELS = 3, GOLD = 4 };
static const char *const names[MODELS] = { "alpha-model", "beta-model", "gamma-model" };
static const double truth[MODELS] = { 1.0, 0.0, -1.0 };

static inline char *scratch(const char *name) { return path_join(test_scratch(), name); }

static inline void write_files(void)
{
    struct buf b;
    sc_error problem = { 0 };
    char *path;
    buf_init(&b, 0);
    for (int i = 0; i < PROMPTS; i++) buf_printf(&b, "{\"id\":\"p%d\",\"slice\":\"%s\",\"prompt\":\"Question %d\"}\n", i, i % 2 ? "odd" : "even", i);
    CHECK_INT(file_write(path = scratch("prompts.jsonl"), b.data, b.len, &problem), SC_OK);
    mem_free(path);
    for (int m = 0; m < MODELS; m++) {
        buf_clear(&b);
        for (int i = 0; i < PROMPTS; i++) buf_printf(&b, "{\"id\":\"p%d\",\"model\":\"%s\",\"turns\":[\"text %d of %c\"]}\n", i, names[m], i, 'x' + m);
        CHECK_INT(file_write(path = scratch(names[m]), b.data, b.len, &problem), SC_OK);
        mem_free(path);
    }
    buf_clear(&b);
    for (int i = 0; i < GOLD; i++) buf_printf(&b, "{\"prompt\":\"Gold %d\",\"best\":\"good %d\",\"worst\":\"poor %d\",\"others\":[\"fair %d\",\"unused %d\"]}\n", i, i, i, i, i);
    CHECK_INT(file_write(path = scratch("gold.jsonl"), b.data, b.len, &problem), SC_OK);
    mem_free(path);
    buf_release(&b);
}

/* A study of all files; key: the owner's. The path is the caller's. */
static inline char *make_study(char key[RANK_KEY_TEXT], int raters, int overlap)
{
    sc_rank_config c;
    sc_text text = { 0 };
    char *a = scratch(names[0]), *b = scratch(names[1]), *d = scratch(names[2]), *prompts = scratch("prompts.jsonl"), *gold = scratch("gold.jsonl"), *out = scratch("study.sqlite");
    struct buf answers;
    buf_init(&answers, 0);
    buf_printf(&answers, "%s,%s,%s", a, b, d);
    write_files();
    sc_options_defaults(sc_options_for("rank"), &c);
    c.prompts = prompts;
    c.answers = answers.data;
    c.gold = gold;
    c.out = out;
    c.raters = raters;
    c.overlap = overlap;
    c.duplicates = 0.2;
    c.repeats_min = 0.2;                                       /* people of this model order a pair alike in about 60 % */
    CHECK_OK(sc_rank_make(&text, &c, err));
    json_t *all = json_loads(text.data ? text.data : "{}", 0, NULL);
    const char *got = json_string_value(json_object_get(all, "key"));
    snprintf(key, RANK_KEY_TEXT, "%s", got ? got : "");
    CHECK_INT(json_array_size(json_object_get(all, "raters")), raters);
    sc_text again = { 0 };
    CHECK_FAILS(sc_rank_make(&again, &c, err), SC_E_ARGUMENT, "already there");
    json_decref(all);
    sc_text_free(&text);
    buf_release(&answers);
    mem_free(a);
    mem_free(b);
    mem_free(d);
    mem_free(prompts);
    mem_free(gold);
    return out;
}

/* How good the texts are that this test wrote: a rater who can read. */
static inline double worth(const char *turns)
{
    for (int m = 0; m < MODELS; m++) {
        char end[16];
        snprintf(end, sizeof end, "of %c\"]", 'x' + m);
        if (strstr(turns, end)) return truth[m];
    }
    return strstr(turns, "good") ? 3 : strstr(turns, "fair") ? 0 : -3;
}

/* Which of them it is, whatever place it was shown in: the key, and so the places, are new in each run, the noise must not be. */
static inline uint64_t kind_of(const char *turns) { return strstr(turns, "good") ? 3 : strstr(turns, "poor") ? 4 : strstr(turns, "fair") ? 5 : (uint64_t)(1 - worth(turns)); }

static inline double gumbel(uint64_t seed, uint64_t stream, uint64_t i) { return -log(-log(random_unit(seed, stream, i) + 1e-18)); }

/* Rates everything as people of Plackett and Luce's model do; rater `random` gives ranks by chance. */
static inline void rate_all(const char *path, int random)
{
    struct study *s;
    sqlite3_stmt *q;
    sc_error problem = { 0 };
    bool row = true;
    struct { int64_t n, rater; char *shown; } at[1000];
    size_t n = 0;
    CHECK_OK(study_open(&s, path, err));
    CHECK_OK(sql_query(&q, s, err, "SELECT n, rater, shown FROM assignments", ""));
    while (sql_step(s, &q, &row, &problem) == SC_OK && row) { at[n].n = sqlite3_column_int64(q, 0); at[n].rater = sqlite3_column_int64(q, 1); at[n++].shown = sql_copy(q, 2); }
    CHECK_OK(sql_begin(s, err));
    for (size_t i = 0; i < n; i++) {
        json_t *shown = json_loads(at[i].shown, 0, NULL), *answers = json_array();
        size_t k = json_array_size(shown);
        double value[RANK_SHOWN_MAX];
        for (size_t j = 0; j < k; j++) {
            CHECK_OK(sql_query(&q, s, err, "SELECT turns FROM answers WHERE n = ?1", "i", (int64_t)json_integer_value(json_array_get(shown, j))));
            CHECK_OK(sql_step(s, &q, &row, err));
            double noise = gumbel(9, (uint64_t)at[i].n, kind_of(sql_text(q, 0)));
            value[j] = at[i].rater == random ? noise : worth(sql_text(q, 0)) * (strstr(sql_text(q, 0), "of ") ? 1 : 10) + noise;
            sqlite3_finalize(q);
        }
        for (size_t j = 0; j < k; j++) {
            int rank = 1;
            for (size_t l = 0; l < k; l++) rank += value[l] > value[j];
            json_array_append_new(answers, json_pack("{s:i, s:i, s:[s]}", "rank", rank, "score", 8 - 2 * rank, "flags", "wrong"));
        }
        json_t *rating = json_pack("{s:o, s:i}", "answers", answers, "active", 20000);
        char *text = json_dumps(rating, JSON_COMPACT);
        CHECK_OK(sql_run(s, err, "INSERT INTO revisions(assignment, id, received, is_done, rating) VALUES(?1, 'abcdefgh', 1, 1, ?2)", "it", at[i].n, text));
        mem_free(text);
        json_decref(rating);
        json_decref(shown);
        mem_free(at[i].shown);
    }
    CHECK_OK(sql_end(s, SC_OK, err));
    study_close(s);
}

static inline json_t *report_of(const char *path)
{
    sc_rank_report_config c;
    sc_text text = { 0 };
    sc_options_defaults(sc_options_for("rank_report"), &c);
    CHECK_OK(sc_rank_report(&text, path, &c, err));
    json_t *all = json_loads(text.data ? text.data : "{}", 0, NULL);
    sc_text_free(&text);
    return all;
}

static inline double real_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

#endif
