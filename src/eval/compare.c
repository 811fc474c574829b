/* compare.c - two files of results, question by question: the same questions make a difference far surer than two means with their errors do. */
#include "eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { IDS_SHOWN = 20 };

#define ROW(field, kind, low, high, fallback_, help_) { #field, kind, offsetof(sc_eval_compare_config, field), low, high, fallback_, NULL, help_ }
static const struct option rows[] = {
    ROW(out, OPT_STRING, 0, 0, "", "the comparison as a page, .html or .md"),
    ROW(metric, OPT_STRING, 0, 0, "", "this metric alone, \"acc\" or with its filter \"exact_match,strict-match\""),
    ROW(cluster, OPT_STRING, 0, 0, "", "questions with the same value of this column of the data belong together; COLUMN:X compares up to the last X"),
    ROW(seed, OPT_INT, 0, 4294967295.0, "1234", "seed of the draws"),
    ROW(draws, OPT_INT, 100, 1000000, "10000", "draws of the bootstrap"),
    ROW(allow_different_prompts, OPT_BOOL, 0, 0, "false", "compares although the models were asked differently"),
};
const struct sc_options eval_compare_options = { "eval_compare", sizeof(sc_eval_compare_config), rows, sizeof rows / sizeof *rows };

/* One metric of one task: sums of its clusters, and what is reported of them. */
struct measured { char *metric; const char *task, *filter; struct eval_how how; struct stats_pair *pair; size_t n; bool is_exact; uint64_t only_a, only_b; json_t *row; };
struct comparing {
    const struct eval_record *a, *b; const sc_eval_compare_config *config;
    struct measured *done; size_t n_done, cap;
    json_t *tasks, *groups, *notes;
    size_t n_clustered;
    const char *alone;                                        /* the task that was last looked at for clusters */
};

static void note_add(struct comparing *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void note_add(struct comparing *c, const char *format, ...)
{
    char text[600];
    struct buf whole;
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_init(&whole, 0);
    utf8_repair(&whole, text, strlen(text));                  /* may be cut in a character */
    json_array_append_new(c->notes, json_string(whole.data));
    buf_release(&whole);
}

/* ---- clusters ------------------------------------------------------------------------------------------------------------------------------ */

/* The text of document's column by which questions belong together; NULL if it has none. */
static char *cluster_of(const json_t *sample, const char *column)
{
    const char *colon = strrchr(column, ':');
    char *name = mem_strndup(column, colon && colon > column ? (size_t)(colon - column) : strlen(column));
    const json_t *v = json_object_get(json_object_get(sample, "doc"), name);
    char *text = json_is_string(v) ? mem_strdup(json_string_value(v)) : v ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    char *cut = text && colon && colon[1] ? strrchr(text, colon[1]) : NULL;
    if (cut) *cut = 0;
    mem_free(name);
    return text;
}

struct member { char *cluster; size_t at; };
static int by_cluster(const void *a, const void *b)
{
    const struct member *x = a, *y = b;
    int order = strcmp(x->cluster, y->cluster);
    return order ? order : (x->at > y->at) - (x->at < y->at);
}

/* out[i]: the cluster of pair i, counted from 0; returns how many there are. With no column each question is one. */
static size_t number_clusters(size_t *out, const struct eval_pairing *p, const char *column)
{
    struct member *m = mem_alloc((p->n + 1) * sizeof *m);
    size_t has = 0, n = 0;
    for (size_t i = 0; i < p->n; i++) {
        m[i] = (struct member){ column && *column ? cluster_of(p->at[i].a, column) : NULL, i };
        has += m[i].cluster != NULL;
    }
    if (has == p->n && has) {
        qsort(m, p->n, sizeof *m, by_cluster);
        for (size_t i = 0; i < p->n; i++) {
            n += i && strcmp(m[i].cluster, m[i - 1].cluster) != 0;
            out[m[i].at] = n;
        }
        n++;
    } else {
        for (; n < p->n; n++) out[n] = n;
    }
    for (size_t i = 0; i < p->n; i++) mem_free(m[i].cluster);
    mem_free(m);
    return n;
}

/* Sums of each cluster. False if a sample has no number of that metric. */
static bool sum_clusters(struct measured *x, const struct eval_pairing *p, const size_t *cluster)
{
    x->is_exact = !x->how.is_ratio && x->how.scale > 0 && x->n == p->n;
    for (size_t i = 0; i < p->n; i++) {
        struct stats_pair *s = &x->pair[cluster[i]], one;
        if (!eval_sample_number(p->at[i].a, x->metric, &x->how, &one.a, &one.a_weight) || !eval_sample_number(p->at[i].b, x->metric, &x->how, &one.b, &one.b_weight)) return false;
        s->a += one.a;
        s->a_weight += one.a_weight;
        s->b += one.b;
        s->b_weight += one.b_weight;
        x->is_exact = x->is_exact && (one.a == 0 || one.a == 1) && (one.b == 0 || one.b == 1);
        x->only_a += one.a == 1 && one.b == 0;
        x->only_b += one.a == 0 && one.b == 1;
    }
    return true;
}

/* ---- a row of the comparison ------------------------------------------------------------------------------------------------------------------- */

/* What the metric shows for a mean of its sums. */
static double shown(const struct eval_how *how, double mean) { return how->is_ratio ? exp(-mean) : how->scale * mean; }

static json_t *row_of(const struct comparing *c, const struct measured *x, const char *name, size_t questions)
{
    struct stats_sums d = stats_paired_sums(x->pair, x->n, x->how.scale, (uint64_t)c->config->seed, (size_t)c->config->draws);
    double p = x->is_exact ? stats_mcnemar(x->only_a, x->only_b) : stats_sign_flip(x->pair, x->n, x->how.scale, (uint64_t)c->config->seed, (size_t)c->config->draws);
    int direction = eval_direction(c->a, x->task, x->metric);
    json_t *row = json_pack("{s:s, s:s, s:s, s:o, s:s, s:I, s:I}", "name", name, "metric", x->metric, "filter", x->filter, "higher_is_better", direction < 0 ? json_null() : json_boolean(direction), "kind",
                            x->how.is_ratio ? "log_ratio" : "difference", "pairs", (json_int_t)questions, "clusters", (json_int_t)x->n);
    json_put_real(row, "a", shown(&x->how, d.a));
    json_put_real(row, "b", shown(&x->how, d.b));
    json_put_real(row, "difference", d.difference);
    json_put_real(row, "stderr", d.error);
    json_put_real(row, "low", d.interval.low);
    json_put_real(row, "high", d.interval.high);
    json_put_real(row, "smallest", d.error > 0 ? stats_smallest_difference(d.error) : (double)NAN);
    json_object_set_new(row, "test", json_string(x->is_exact ? "mcnemar" : "sign_flip"));
    if (x->is_exact) {
        json_object_set_new(row, "only_a", json_integer((json_int_t)x->only_a));
        json_object_set_new(row, "only_b", json_integer((json_int_t)x->only_b));
    }
    json_put_real(row, "p", p);
    return row;
}

static json_t *ids_of(const json_t *const *sample, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n && i < IDS_SHOWN; i++) json_array_append(out, json_object_get(sample[i], "doc_id"));
    return out;
}

/* The questions that only one side had right. */
static void set_flips(json_t *row, const struct measured *x, const struct eval_pairing *p)
{
    json_t *a = json_array(), *b = json_array();
    double left, right, weight;
    for (size_t i = 0; i < p->n; i++) {
        eval_sample_number(p->at[i].a, x->metric, &x->how, &left, &weight);
        eval_sample_number(p->at[i].b, x->metric, &x->how, &right, &weight);
        json_t *to = left > right ? a : b;
        if (left != right && json_array_size(to) < IDS_SHOWN) json_array_append(to, json_object_get(p->at[i].a, "doc_id"));
    }
    json_object_set_new(row, "documents_only_a", a);
    json_object_set_new(row, "documents_only_b", b);
}

/* ---- one metric of a task ------------------------------------------------------------------------------------------------------------------------ */

static sc_status check_prompts(struct comparing *c, const struct eval_pairing *p, const char *task, const char *filter, sc_error *err)
{
    struct buf differences;
    sc_status status = SC_OK;
    if (!p->other_prompts && !p->other_targets) return SC_OK;
    buf_init(&differences, 0);
    eval_say_differences(&differences, c->a, c->b, task);
    const char *what = differences.len ? differences.data : "nothing that the files tell of";
    if (p->other_prompts && !c->config->allow_different_prompts)
        status = FAIL(err, SC_E_ARGUMENT, "%zu of %zu prompts of %s differ between %s and %s; set differently: %.200s; measure again with the same settings, or add --allow-different-prompts", p->other_prompts, p->n, task,
                      c->a->path, c->b->path, what);
    else if (p->other_prompts) note_add(c, "%s (%s): %zu of %zu prompts differ; set differently: %s", task, filter, p->other_prompts, p->n, what);
    if (p->other_targets) note_add(c, "%s (%s): the right answers of %zu of %zu questions are written differently", task, filter, p->other_targets, p->n);
    buf_release(&differences);
    return status;
}

static void note_unpaired(struct comparing *c, const char *task, const char *side, const json_t *const *sample, size_t n)
{
    struct buf ids;
    if (!n) return;
    buf_init(&ids, 0);
    for (size_t i = 0; i < n && i < IDS_SHOWN; i++) buf_printf(&ids, "%s%" JSON_INTEGER_FORMAT, i ? ", " : "", json_integer_value(json_object_get(sample[i], "doc_id")));
    note_add(c, "%s: %zu document%s only in %s (%s%s)", task, n, n == 1 ? " is" : "s are", side, ids.data, n > IDS_SHOWN ? ", ..." : "");
    buf_release(&ids);
}

static void keep(struct comparing *c, struct measured *x)
{
    if (c->n_done == c->cap) c->done = mem_grow(c->done, (c->cap = c->cap ? 2 * c->cap : 16) * sizeof *c->done);
    c->done[c->n_done++] = *x;
    json_array_append(c->tasks, x->row);
}

/* Of a task whose answers can not all be judged: the pairs of which both have a number. Its list is the caller's. */
static struct eval_pairing judged_pairs(const struct eval_pairing *p, const char *metric)
{
    struct eval_pairing out = *p;
    out.at = mem_alloc((p->n + 1) * sizeof *out.at);
    out.n = 0;
    for (size_t i = 0; i < p->n; i++)
        if (!json_is_null(json_object_get(p->at[i].a, metric)) && !json_is_null(json_object_get(p->at[i].b, metric))) out.at[out.n++] = p->at[i];
    return out;
}

static void measure(struct comparing *c, struct measured *x, const struct eval_pairing *all)
{
    const struct eval_pairing judged = judged_pairs(all, x->metric), *p = &judged;
    size_t *cluster = mem_alloc((p->n + 1) * sizeof *cluster);
    x->n = number_clusters(cluster, p, c->config->cluster);
    x->pair = mem_zero(x->n + 1, sizeof *x->pair);
    if (!p->n && all->n) {
        note_add(c, "%s: %s was judged of no question in both", x->task, x->metric);
        mem_free(x->pair);
        mem_free(x->metric);
    } else if (!sum_clusters(x, p, cluster)) {
        note_add(c, "%s: %s is no mean over questions, so it cannot be compared by them", x->task, x->metric);
        mem_free(x->pair);
        mem_free(x->metric);
    } else {
        c->n_clustered += x->n < p->n;
        if (c->config->cluster && *c->config->cluster && x->n == p->n && c->alone != x->task) note_add(c, "%s: %s joins no questions, so each counts for itself", x->task, c->config->cluster);
        c->alone = x->task;
        x->row = row_of(c, x, x->task, p->n);
        if (x->is_exact) set_flips(x->row, x, p);
        json_object_set_new(x->row, "unpaired_a", json_pack("{s:I, s:o}", "n", (json_int_t)p->n_only_a, "documents", ids_of(p->only_a, p->n_only_a)));
        json_object_set_new(x->row, "unpaired_b", json_pack("{s:I, s:o}", "n", (json_int_t)p->n_only_b, "documents", ids_of(p->only_b, p->n_only_b)));
        json_object_set_new(x->row, "different_prompts", json_integer((json_int_t)p->other_prompts));
        keep(c, x);
    }
    mem_free(judged.at);
    mem_free(cluster);
}

static bool is_wanted(const struct comparing *c, const char *metric, const char *key) { return !c->config->metric || !*c->config->metric || !strcmp(c->config->metric, metric) || !strcmp(c->config->metric, key); }

/* Metrics of a filter stand together: pairs are made, and spoken of, once for each filter. */
static sc_status compare_task(struct comparing *c, const char *task, sc_error *err)
{
    const json_t *a = json_object_get(c->a->samples, task), *b = json_object_get(c->b->samples, task);
    json_t *value, *scores = (json_t *)(uintptr_t)eval_record_get(c->a, "results", task);
    const char *key, *filter, *paired = NULL;
    struct eval_pairing p = { 0 };
    sc_status status = SC_OK;
    char *metric;
    json_object_foreach(scores, key, value) {
        if (!eval_score_key(&metric, &filter, key, value)) continue;
        if (!json_object_get(eval_record_get(c->b, "results", task), key) || !is_wanted(c, metric, key)) { mem_free(metric); continue; }
        if (!paired || strcmp(paired, filter) != 0) {
            eval_pairing_release(&p);
            eval_pair_samples(&p, a, b, filter);
            if ((status = check_prompts(c, &p, task, filter, err)) != SC_OK) { mem_free(metric); break; }
            note_unpaired(c, task, "A", p.only_a, paired ? 0 : p.n_only_a);
            note_unpaired(c, task, "B", p.only_b, paired ? 0 : p.n_only_b);
            if (!p.n) note_add(c, "%s (%s): the files have no document in common", task, filter);
            paired = filter;
        }
        if (p.n) measure(c, &(struct measured){ .metric = metric, .task = task, .filter = filter, .how = eval_how_of(metric) }, &p);
        else mem_free(metric);
    }
    eval_pairing_release(&p);
    return status;
}

/* ---- groups ------------------------------------------------------------------------------------------------------------------------------------------ */

/* All questions of the group's tasks, where each of them has the metric that `first` is. */
static void compare_group_metric(struct comparing *c, const char *group, const json_t *tasks, const struct measured *first)
{
    struct measured all = *first;
    size_t found = 0, questions = 0;
    all.n = all.only_a = all.only_b = 0;
    all.pair = NULL;
    for (size_t i = 0; i < c->n_done; i++) {
        const struct measured *x = &c->done[i];
        if (strcmp(x->metric, first->metric) != 0 || strcmp(x->filter, first->filter) != 0 || !json_object_get(tasks, x->task)) continue;
        all.pair = mem_grow(all.pair, (all.n + x->n) * sizeof *all.pair);
        memcpy(all.pair + all.n, x->pair, x->n * sizeof *all.pair);
        all.n += x->n;
        all.only_a += x->only_a;
        all.only_b += x->only_b;
        all.is_exact = all.is_exact && x->is_exact;
        questions += (size_t)json_integer_value(json_object_get(x->row, "pairs"));
        found++;
    }
    if (found == json_object_size(tasks) && found > 1) {
        json_t *row = row_of(c, &all, group, questions);
        json_object_set_new(row, "tasks", json_integer((json_int_t)found));
        json_array_append_new(c->groups, row);
    }
    mem_free(all.pair);
}

static void compare_groups(struct comparing *c)
{
    const char *group;
    json_t *value;
    json_object_foreach(json_object_get(c->a->all, "group_subtasks"), group, value) {
        json_t *tasks = json_object(), *others = json_object();
        const struct measured *first = NULL;
        bool same = eval_group_tasks(tasks, c->a, group) && eval_group_tasks(others, c->b, group) && json_equal(tasks, others);
        for (size_t i = 0; same && i < c->n_done; i++) {
            const struct measured *x = &c->done[i];
            if (!json_object_get(tasks, x->task) || (first && strcmp(first->task, x->task) != 0)) continue;
            first = x;                                        /* each metric of the first task */
            compare_group_metric(c, group, tasks, x);
        }
        json_decref(tasks);
        json_decref(others);
    }
}

/* ---- in words ---------------------------------------------------------------------------------------------------------------------------------------- */

static void correct(json_t *list)
{
    size_t n = json_array_size(list), i;
    double *p = mem_alloc((n + 1) * sizeof *p), *adjusted = mem_alloc((n + 1) * sizeof *adjusted);
    json_t *row;
    json_array_foreach(list, i, row) p[i] = json_real_value(json_object_get(row, "p"));
    stats_holm(adjusted, p, n);
    json_array_foreach(list, i, row) json_put_real(row, "p_holm", adjusted[i]);
    mem_free(p);
    mem_free(adjusted);
}

/* A difference is told when zero is outside of the interval and the test, corrected for the number of comparisons, is below 5 %. */
static void set_verdict(json_t *row)
{
    double low = json_real_value(json_object_get(row, "low")), high = json_real_value(json_object_get(row, "high")), difference = json_real_value(json_object_get(row, "difference"));
    const json_t *higher = json_object_get(row, "higher_is_better");
    const char *text = !json_is_boolean(higher) ? (difference > 0 ? "B is higher" : "B is lower") : (difference > 0) == json_is_true(higher) ? "B is better" : "B is worse";
    bool is_real = json_is_real(json_object_get(row, "low")) && json_is_real(json_object_get(row, "high"));
    if (!is_real || (low <= 0 && high >= 0)) text = "no difference can be told";
    else if (json_real_value(json_object_get(row, "p")) > 0.05) text = "no difference can be told by the test";
    else if (json_real_value(json_object_get(row, "p_holm")) > 0.05) text = "no difference can be told among so many comparisons";
    json_object_set_new(row, "verdict", json_string(text));
}

static void finish(json_t *list)
{
    json_t *row;
    size_t i;
    correct(list);
    json_array_foreach(list, i, row) set_verdict(row);
}

/* ---- everything -------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status check_found(const struct comparing *c, sc_error *err)
{
    const char *cluster = c->config->cluster, *metric = c->config->metric;
    if (!json_array_size(c->tasks) && metric && *metric)
        return FAIL(err, SC_E_ARGUMENT, "%s and %s have no metric \"%s\" in common that can be compared; leave --metric out to see all", c->a->path, c->b->path, metric);
    if (!json_array_size(c->tasks))
        return FAIL(err, SC_E_ARGUMENT, "%s and %s have no samples of the same task in common; both need the same --tasks and their samples (--samples, or lm-eval's --log_samples)", c->a->path, c->b->path);
    if (cluster && *cluster && !c->n_clustered)
        return FAIL(err, SC_E_ARGUMENT, "--cluster %s joins no two questions: no task has that column in all its documents with a value that is there twice", cluster);
    return SC_OK;
}

static void note_missing(struct comparing *c, const struct eval_record *r, const struct eval_record *other, const char *side)
{
    const char *task;
    json_t *list;
    json_object_foreach(r->samples, task, list)
        if (!json_object_get(other->samples, task)) note_add(c, "%s is only in %s", task, side);
}

/* Settings of the two runs that differ and are no names of models and files. */
static void note_settings(struct comparing *c)
{
    static const char *const names[] = { "model", "model_args", "model_num_parameters", "model_sha", "out", "report", "requests", "data", "tasks", "threads" };
    const char *key;
    json_t *value;
    json_object_foreach(json_object_get(c->a->all, "config"), key, value) {
        const json_t *other = eval_record_get(c->b, "config", key);
        bool is_name = false;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) is_name = is_name || !strcmp(names[i], key);
        if (is_name || !other || json_equal(value, other) || (json_is_number(value) && json_is_number(other) && json_number_value(value) == json_number_value(other))) continue;
        char *x = json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10)), *y = json_dumps(other, JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
        note_add(c, "measured with different %s: %.120s and %.120s", key, x ? x : "", y ? y : "");
        mem_free(x);
        mem_free(y);
    }
}

static void release(struct comparing *c)
{
    for (size_t i = 0; i < c->n_done; i++) {
        mem_free(c->done[i].metric);
        mem_free(c->done[i].pair);
        json_decref(c->done[i].row);
    }
    mem_free(c->done);
    json_decref(c->tasks);
    json_decref(c->groups);
    json_decref(c->notes);
}

sc_status eval_compare_records(json_t **out, const struct eval_record *a, const struct eval_record *b, const sc_eval_compare_config *config, sc_error *err)
{
    struct comparing c = { .a = a, .b = b, .config = config, .tasks = json_array(), .groups = json_array(), .notes = json_array() };
    sc_status status = SC_OK;
    const char *task;
    json_t *list;
    *out = NULL;
    note_settings(&c);
    note_missing(&c, a, b, "A");
    note_missing(&c, b, a, "B");
    json_object_foreach(a->samples, task, list)
        if (json_object_get(b->samples, task)) TRY_DONE(compare_task(&c, task, err));
    TRY_DONE(check_found(&c, err));
    compare_groups(&c);
    finish(c.tasks);
    finish(c.groups);
    *out = json_pack("{s:{s:s, s:s}, s:{s:s, s:s}, s:I, s:I, s:f, s:O, s:O, s:O}", "a", "file", a->path, "model", eval_record_model(a), "b", "file", b->path, "model", eval_record_model(b), "seed", (json_int_t)config->seed,
                     "draws", (json_int_t)config->draws, "confidence", 0.95, "tasks", c.tasks, "groups", c.groups, "notes", c.notes);
    if (!*out) status = FAIL(err, SC_E_FORMAT, "the paths of the results are not valid UTF-8; rename the files");
done:
    release(&c);
    return status;
}

static sc_status write_page(const char *path, const json_t *comparison, sc_error *err)
{
    struct sheet s;
    bool is_html;
    TRY(sheet_check(path, &is_html, err));
    sheet_begin(&s, is_html, "Comparison");
    eval_compare_page(&s, comparison);
    sheet_end(&s);
    sc_status status = file_write(path, s.out.data, s.out.len, err);
    buf_release(&s.out);
    return status;
}

sc_status sc_eval_compare(sc_text *out, const char *a, const char *b, const sc_eval_compare_config *c, sc_error *err)
{
    struct eval_record x = { 0 }, y = { 0 };
    json_t *comparison = NULL;
    sc_status status = SC_OK;
    bool is_html, writes = c->out && *c->out;
    *out = (sc_text){ 0 };
    if (writes) TRY(sheet_check(c->out, &is_html, err));
    TRY_DONE(eval_record_open(&x, a, err));
    TRY_DONE(eval_record_open(&y, b, err));
    TRY_DONE(eval_compare_records(&comparison, &x, &y, c, err));
    if (writes) TRY_DONE(write_page(c->out, comparison, err));
    status = json_write(out, comparison, true);
done:
    json_decref(comparison);
    eval_record_release(&x);
    eval_record_release(&y);
    return status;
}
