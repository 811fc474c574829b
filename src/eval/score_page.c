/* score_page.c - results as a page: scores with intervals, how they came about, what they do not say. */
#include "eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}
static double real_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* ---- a score ------------------------------------------------------------------------------------------------------------------------------- */

/* has_interval: Wilson's where every question is 0 or 1, which the standard error tells as well as the samples would; else normal. */
struct score { const char *name, *filter; char *metric; double value, n; bool has_interval, is_share; struct stats_interval interval; };

static double questions_of(const struct eval_record *r, const char *name, const char *metric, const json_t *scores)
{
    const json_t *n = json_object_get(scores, "sample_len"), *judged = json_object_get(json_object_get(scores, "judged"), metric);
    if (json_is_number(judged)) return json_number_value(judged);
    return json_is_number(n) ? json_number_value(n) : real_of(eval_record_get(r, "n-samples", name), "effective");
}

static void set_interval(struct score *s, const json_t *scores, bool is_group)
{
    char key[200];
    snprintf(key, sizeof key, "%s_stderr,%s", s->metric, s->filter);
    const json_t *e = json_object_get(scores, key);
    double error = json_number_value(e), binary = s->n > 1 ? sqrt(s->value * (1 - s->value) / (s->n - 1)) : -1;
    bool is_mean = eval_how_of(s->metric).scale > 0;
    s->is_share = is_mean && s->value >= 0 && s->value <= 1;
    if (s->is_share && !is_group && json_is_number(e) && fabs(error - binary) <= 1e-6 * binary + 1e-12) {
        s->interval = stats_wilson(s->value * s->n, s->n);
        s->has_interval = true;
    } else if (json_is_number(e)) {
        s->interval = (struct stats_interval){ s->value - STATS_Z * error, s->value + STATS_Z * error };
        s->has_interval = true;
    }
}

/* The scores of a task or group in the order of the file; the caller frees metrics and list. */
static struct score *scores_of(size_t *n, const struct eval_record *r, const char *name, const json_t *scores, bool is_group)
{
    struct score *out = mem_zero(json_object_size(scores) + 1, sizeof *out);
    const char *key, *filter;
    json_t *value;
    char *metric;
    *n = 0;
    json_object_foreach((json_t *)(uintptr_t)scores, key, value) {
        if (!eval_score_key(&metric, &filter, key, value)) continue;
        struct score *s = &out[(*n)++];
        *s = (struct score){ .name = name, .filter = filter, .metric = metric, .value = json_number_value(value), .n = questions_of(r, name, metric, scores) };
        set_interval(s, scores, is_group);
    }
    return out;
}

static void scores_free(struct score *s, size_t n)
{
    for (size_t i = 0; i < n; i++) mem_free(s[i].metric);
    mem_free(s);
}

/* ---- the table ------------------------------------------------------------------------------------------------------------------------------- */

static void put_score(struct sheet *page, const struct eval_record *r, const struct score *s)
{
    static const char *const directions[] = { "", "lower is better", "higher is better" };
    const json_t *shots = eval_record_get(r, "n-shot", s->name);
    sheet_cell(page, false, s->name, strlen(s->name));
    if (json_is_integer(shots)) sheet_cellf(page, true, "%" JSON_INTEGER_FORMAT, json_integer_value(shots));
    else sheet_cell(page, true, "", 0);
    sheet_cell(page, false, s->filter, strlen(s->filter));
    sheet_cell(page, false, s->metric, strlen(s->metric));
    sheet_cellf(page, true, "%.0f", s->n);
    sheet_cellf(page, true, "%.4f", s->value);
    if (s->has_interval) sheet_cellf(page, true, "%.4f to %.4f", s->interval.low, s->interval.high);
    else sheet_cellf(page, true, "none");
    sheet_cellf(page, false, "%s", directions[eval_direction(r, s->name, s->metric) + 1]);
    sheet_row_end(page);
}

static void put_table(struct sheet *page, const struct eval_record *r, const char *table, const char *title)
{
    static const char *const columns[] = { "name", ">shots", "filter", "metric", ">questions", ">value", ">95 % interval", "" };
    const json_t *groups = json_object_get(r->all, "groups");
    const char *name;
    json_t *one;
    bool is_group = !strcmp(table, "groups");
    if (!json_object_size(json_object_get(r->all, table))) return;
    if (title) sheet_heading(page, title);
    sheet_table(page, columns, sizeof columns / sizeof *columns);
    json_object_foreach(json_object_get(r->all, table), name, one) {
        size_t n;
        if (!is_group && json_object_get(groups, name)) continue;
        struct score *s = scores_of(&n, r, name, one, is_group);
        for (size_t i = 0; i < n; i++) put_score(page, r, &s[i]);
        scores_free(s, n);
    }
    sheet_table_end(page);
}

/* ---- the plots -------------------------------------------------------------------------------------------------------------------------------- */

/* The first share with an interval of a task or group. */
static bool interval_of(struct sheet_interval *out, const struct eval_record *r, const char *name)
{
    const json_t *group = eval_record_get(r, "groups", name), *scores = group ? group : eval_record_get(r, "results", name);
    size_t n;
    bool found = false;
    struct score *s = scores_of(&n, r, name, scores, group != NULL);
    for (size_t i = 0; i < n && !found; i++) {
        found = s[i].is_share && s[i].has_interval;
        *out = (struct sheet_interval){ name, s[i].value, s[i].interval };
    }
    scores_free(s, n);
    return found;
}

static void put_plots(struct sheet *page, const struct eval_record *r)
{
    const char *name;
    json_t *members, *one, *in_groups = json_object();
    size_t most = json_object_size(json_object_get(r->all, "results")) + 1, n, i;
    struct sheet_interval *x;
    json_object_foreach(json_object_get(r->all, "group_subtasks"), name, members) {
        if (!json_array_size(members)) continue;
        x = mem_zero(json_array_size(members) + 1, sizeof *x);
        n = interval_of(&x[0], r, name);
        json_array_foreach(members, i, one) {
            const char *member = json_string_value(one);
            if (!member) continue;
            n += interval_of(&x[n], r, member);
            json_object_set_new(in_groups, member, json_true());
        }
        sheet_intervals(page, name, x, n, 0, 1);
        mem_free(x);
    }
    x = mem_zero(most, sizeof *x);
    n = 0;
    json_object_foreach(json_object_get(r->all, "results"), name, one)
        if (!json_object_get(in_groups, name) && !json_array_size(eval_record_get(r, "group_subtasks", name))) n += interval_of(&x[n], r, name);
    sheet_intervals(page, "tasks with 95 % intervals", x, n, 0, 1);
    mem_free(x);
    json_decref(in_groups);
}

/* ---- how it came about -------------------------------------------------------------------------------------------------------------------------- */

static void put_head(struct sheet *page, const struct eval_record *r)
{
    const json_t *date = json_object_get(r->all, "date");
    char when[40] = "at an unknown time";
    time_t seconds = json_is_number(date) ? (time_t)json_number_value(date) : 0;
    struct tm t;
    if (json_is_number(date) && gmtime_r(&seconds, &t)) strftime(when, sizeof when, "%Y-%m-%d %H:%M UTC", &t);
    const char *program = text_of(json_object_get(r->all, "config"), "program"), *reference = text_of(r->all, "lm_eval_version");
    const char *model = eval_record_model(r);
    sheet_text(page, "%s, measured %s by %s%s", *model ? model : "Stored answers", when, *program ? program : *reference ? "lm-eval " : "an unknown program", *program ? "" : reference);
}

static void put_files(struct sheet *page, const json_t *data)
{
    static const char *const columns[] = { "task", "file", ">rows", ">bytes", "sha256" };
    const char *task;
    json_t *files, *f;
    size_t i;
    if (!json_object_size(data)) return;
    sheet_heading(page, "Data");
    sheet_table(page, columns, sizeof columns / sizeof *columns);
    json_object_foreach((json_t *)(uintptr_t)data, task, files)
        json_array_foreach(files, i, f) {
            sheet_cell(page, false, task, strlen(task));
            sheet_cellf(page, false, "%s", text_of(f, "file"));
            sheet_cellf(page, true, "%.0f", real_of(f, "records"));
            sheet_cellf(page, true, "%.0f", real_of(f, "bytes"));
            sheet_cellf(page, false, "%s", text_of(f, "sha256"));
            sheet_row_end(page);
        }
    sheet_table_end(page);
}

static void put_speed(struct sheet *page, const json_t *speed)
{
    static const char *const columns[] = { "task", ">seconds", ">tokens", ">tokens a second" };
    const char *task;
    json_t *s;
    if (!json_object_size(speed)) return;
    sheet_heading(page, "Speed");
    sheet_table(page, columns, sizeof columns / sizeof *columns);
    json_object_foreach((json_t *)(uintptr_t)speed, task, s) {
        double seconds = real_of(s, "seconds");
        sheet_cell(page, false, task, strlen(task));
        sheet_cellf(page, true, "%.1f", seconds);
        sheet_cellf(page, true, "%.0f", real_of(s, "tokens"));
        sheet_cellf(page, true, "%.0f", seconds > 0 ? real_of(s, "tokens") / seconds : 0);
        sheet_row_end(page);
    }
    sheet_table_end(page);
    sheet_text(page, "Tokens of all requests; beginnings that requests share are computed once, so this is no measure of the machine.");
}

static void put_settings(struct sheet *page, const struct eval_record *r)
{
    static const char *const columns[] = { "setting", "value" }, *const more[] = { "lm_eval_version", "transformers_version", "git_hash", "model_name", "chat_template_sha", "system_instruction" };
    const char *key;
    json_t *value;
    sheet_heading(page, "Model and settings");
    sheet_table(page, columns, 2);
    json_object_foreach(json_object_get(r->all, "config"), key, value) sheet_value_row(page, key, value);
    for (size_t i = 0; i < sizeof more / sizeof *more; i++)
        if ((value = json_object_get(r->all, more[i])) && !json_is_null(value)) sheet_value_row(page, more[i], value);
    sheet_table_end(page);
}

/* ---- limits ---------------------------------------------------------------------------------------------------------------------------------------- */

static const struct { const char *output, *text; } limits[] = {
    { "multiple_choice", "The model chose among given answers by their probability. Whether it would write the right one by itself was not measured." },
    { "loglikelihood", "Only whether one given continuation is the likeliest was measured; another good one counts as wrong." },
    { "loglikelihood_rolling", "How well the model predicts a text was measured, not what it can do with it. Texts that it was trained on look easy." },
    { "generate_until", "The answer was cut out of what the model wrote by a pattern. A right answer in another form counts as wrong, and a wrong way to it counts as right." },
};

static void put_limits(struct sheet *page, const struct eval_record *r)
{
    const char *task;
    json_t *one;
    sheet_heading(page, "What these scores do not say");
    for (size_t i = 0; i < sizeof limits / sizeof *limits; i++) {
        struct buf names;
        buf_init(&names, 0);
        json_object_foreach(json_object_get(r->all, "configs"), task, one)
            if (!strcmp(text_of(one, "output_type"), limits[i].output)) buf_printf(&names, "%s%s", names.len ? ", " : "", task);
        if (names.len) sheet_text(page, "%s: %s", names.data, limits[i].text);
        buf_release(&names);
    }
    json_object_foreach(json_object_get(r->all, "n-samples"), task, one)
        if (real_of(one, "effective") < real_of(one, "original")) sheet_text(page, "%s: only %.0f of %.0f questions were asked.", task, real_of(one, "effective"), real_of(one, "original"));
    sheet_text(page, "Scores depend on the prompt, the examples in it and their order; other settings give other scores, for every model. The intervals are about other questions of the same kind alone.");
    if (!json_object_get(r->all, "contamination"))
        sheet_text(page, "Contamination was not checked: whether the model has seen these questions in training is unknown, and if it has, the scores are too high.");
}

/* A row for each score, with and without the questions that were found; one row alone where there are no scores. */
static void put_found(struct sheet *page, const struct eval_record *r, const char *task, const json_t *found)
{
    static const char *const counts[] = { "training_texts", "checked", "exact_13_words", "half_of_5_word_shingles", "found" };
    const json_t *without = json_object_get(found, "without_found");
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)(uintptr_t)eval_record_get(r, "results", task), key, value) {
        if (!json_is_number(value) || !strchr(key, ',') || strstr(key, "_stderr,")) continue;
        const json_t *clean = json_object_get(without, key);
        sheet_cell(page, false, task, strlen(task));
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) sheet_cellf(page, true, "%.0f", real_of(found, counts[i]));
        sheet_cell(page, false, key, strlen(key));
        sheet_cellf(page, true, "%.4f", json_number_value(value));
        if (json_is_number(clean)) sheet_cellf(page, true, "%.4f", json_number_value(clean));
        else sheet_cellf(page, true, "unknown");
        sheet_row_end(page);
    }
}

static void put_found_table(struct sheet *page, const struct eval_record *r)
{
    static const char *const columns[] = { "task", ">training texts", ">questions checked", ">13 words alike", ">half of the 5-word pieces", ">found", "score", ">of all", ">without those found" };
    const char *task;
    json_t *found;
    sheet_text(page, "Questions that stand in the training data that was given, word for word or nearly. Nothing is said of other data that the model has seen, nor of translations and paraphrases.");
    sheet_table(page, columns, sizeof columns / sizeof *columns);
    json_object_foreach(json_object_get(r->all, "contamination"), task, found) put_found(page, r, task, found);
    sheet_table_end(page);
}

static void put_contamination(struct sheet *page, const struct eval_record *r)
{
    if (!json_object_size(json_object_get(r->all, "contamination"))) return;
    sheet_heading(page, "Contamination");
    put_found_table(page, r);
}

void eval_score_tables(struct sheet *page, const struct eval_record *r)
{
    put_table(page, r, "groups", NULL);
    put_table(page, r, "results", NULL);
    if (json_object_size(json_object_get(r->all, "contamination"))) put_found_table(page, r);
}

/* ---- the page ---------------------------------------------------------------------------------------------------------------------------------------- */

void eval_score_page(struct sheet *page, const struct eval_record *r)
{
    const char *task;
    json_t *one;
    put_head(page, r);
    put_table(page, r, "groups", "Groups");
    put_table(page, r, "results", "Tasks");
    sheet_text(page, "Intervals: Wilson's where every question is right or wrong, else 1.96 standard errors.");
    put_plots(page, r);
    json_object_foreach(r->samples, task, one)
        if (eval_has_pictures(r, task)) eval_score_pictures(page, r, task);
    put_limits(page, r);
    put_contamination(page, r);
    put_settings(page, r);
    put_files(page, json_object_get(r->all, "data"));
    put_speed(page, json_object_get(r->all, "speed"));
    json_object_foreach(r->samples, task, one)
        if (!eval_has_pictures(r, task)) eval_score_samples(page, r, task);
}

static sc_status write_page(const struct eval_record *r, const char *path, sc_error *err)
{
    struct sheet page;
    bool is_html;
    TRY(sheet_check(path, &is_html, err));
    sheet_begin(&page, is_html, "Evaluation");
    page.images = picture_directory(path);
    eval_score_page(&page, r);
    sheet_end(&page);
    sc_status status = is_html ? SC_OK : picture_files_copy(r, path, err);
    if (status == SC_OK) status = file_write(path, page.out.data, page.out.len, err);
    mem_free(page.images);
    buf_release(&page.out);
    return status;
}

sc_status eval_report_write(const json_t *results, const char *out, const char *path, sc_error *err)
{
    struct eval_record r = { .path = (char *)(uintptr_t)out, .all = (json_t *)(uintptr_t)results, .samples = json_object_get(results, "samples") };
    return write_page(&r, path, err);
}

sc_status sc_eval_report(const char *results, const char *out, sc_error *err)
{
    struct eval_record r = { 0 };
    bool is_html;
    TRY(sheet_check(out, &is_html, err));
    TRY(eval_record_open(&r, results, err));
    sc_status status = write_page(&r, out, err);
    eval_record_release(&r);
    return status;
}
