/* results.c - all that was said in a study, in memory, and which raters the rules leave out. */
#include "rank/rank.h"
#include "stats/stats.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* Rows of the file are numbered from 1 without gaps, as only study_make.c writes them. */
#define AT_ROW(list, n, row) ((row) >= 1 && (uint64_t)(row) <= (uint64_t)(n) ? (size_t)(row) - 1 : RANK_NONE)

static const char *const exclusion_rules[EXCLUDED_BITS] = { "gold", "repeats", "speed" };
const char *exclusion_name(int bit) { return exclusion_rules[bit]; }

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------ */

static sc_status damaged(const struct results *r, const char *what, sc_error *err) { return FAIL(err, SC_E_FORMAT, "%s: a row of %s names one that is not there; the file is damaged", r->study->path, what); }

#define GROW(list, n) ((list) = ((n) & ((n) - 1)) == 0 ? mem_grow((list), ((n) ? 2 * (n) : 1) * sizeof *(list)) : (list))

static json_t *list_of(const char *text)
{
    json_t *v = json_loads(text, 0, NULL);
    if (json_is_array(v)) return v;
    json_decref(v);
    return json_array();
}

static sc_status read_prompts(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    (void)err;
    GROW(r->prompt, r->n_prompts);
    r->prompt[r->n_prompts++] = (struct result_prompt){ sql_copy(q, 0), sql_copy(q, 1), sql_copy(q, 2), list_of(sql_text(q, 3)) };
    return SC_OK;
}

static sc_status read_items(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    GROW(r->item, r->n_items);
    struct result_item *i = &r->item[r->n_items++];
    *i = (struct result_item){ AT_ROW(r->prompt, r->n_prompts, sqlite3_column_int64(q, 0)), sqlite3_column_int64(q, 1) != 0, RANK_NONE, RANK_NONE };
    return i->prompt == RANK_NONE ? damaged(r, "items", err) : SC_OK;
}

static sc_status read_answers(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    GROW(r->answer, r->n_answers);
    struct result_answer *a = &r->answer[r->n_answers++];
    *a = (struct result_answer){ AT_ROW(r->item, r->n_items, sqlite3_column_int64(q, 0)), RANK_NONE, list_of(sql_text(q, 1)) };
    /* Those of an item lie together and are no more than can be shown, which all that counts by place builds on. */
    bool is_ordered = a == r->answer || a[-1].item <= a->item, is_many = a - r->answer >= RANK_SHOWN_MAX && a[-RANK_SHOWN_MAX].item == a->item;
    return a->item == RANK_NONE || !is_ordered || is_many ? damaged(r, "answers", err) : SC_OK;
}

static sc_status read_raters(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    (void)err;
    GROW(r->rater, r->n_raters);
    r->rater[r->n_raters++] = (struct result_rater){ .name = sql_copy(q, 0), .is_revoked = sqlite3_column_int64(q, 1) != 0, .assigned = sqlite3_column_int64(q, 2) };
    return SC_OK;
}

static sc_status read_opened(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    size_t a = AT_ROW(r->answer, r->n_answers, sqlite3_column_int64(q, 0)), k = 0;
    if (a == RANK_NONE) return damaged(r, "opened", err);
    while (k < r->n_models && strcmp(r->model[k], sql_text(q, 1)) != 0) k++;
    if (k == r->n_models) {
        GROW(r->model, r->n_models);
        r->model[r->n_models++] = mem_strdup(sql_text(q, 1));
    }
    r->answer[a].model = k;
    return SC_OK;
}

static sc_status read_gold(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    size_t i = AT_ROW(r->item, r->n_items, sqlite3_column_int64(q, 0)), best = AT_ROW(r->answer, r->n_answers, sqlite3_column_int64(q, 1)), worst = AT_ROW(r->answer, r->n_answers, sqlite3_column_int64(q, 2));
    if (i == RANK_NONE || best == RANK_NONE || worst == RANK_NONE) return damaged(r, "gold", err);
    r->item[i].best = best;
    r->item[i].worst = worst;
    return SC_OK;
}

static sc_status fill_shown(struct rated *x, const struct results *r, const char *shown, sc_error *err)
{
    json_t *list = list_of(shown);
    const json_t *v;
    size_t i;
    x->n = json_array_size(list) <= RANK_SHOWN_MAX ? json_array_size(list) : 0;
    if (x->n) json_array_foreach(list, i, v) x->answer[i] = AT_ROW(r->answer, r->n_answers, json_integer_value(v));
    json_decref(list);
    for (i = 0; i < x->n; i++)
        if (x->answer[i] == RANK_NONE || r->answer[x->answer[i]].item != x->item) return damaged(r, "assignments", err);
    return x->n ? SC_OK : damaged(r, "assignments", err);
}

static sc_status read_rated(struct results *r, sqlite3_stmt *q, sc_error *err)
{
    struct rated x = { .rater = AT_ROW(r->rater, r->n_raters, sqlite3_column_int64(q, 1)), .item = AT_ROW(r->item, r->n_items, sqlite3_column_int64(q, 2)), .assignment = sqlite3_column_int64(q, 0),
                       .position = sqlite3_column_int64(q, 3), .repeats = sqlite3_column_int64(q, 4), .opened = sqlite3_column_int64(q, 6), .received = sqlite3_column_int64(q, 7),
                       .revisions = sqlite3_column_int64(q, 8), .first = RANK_NONE };
    json_t *body = NULL;
    const char *text = sql_text(q, 9);
    if (x.rater == RANK_NONE || x.item == RANK_NONE) return damaged(r, "assignments", err);
    TRY(fill_shown(&x, r, sql_text(q, 5), err));
    sc_status status = json_read(&body, text, strlen(text), r->study->path, err);
    if (status == SC_OK) json_object_set_new(body, "id", json_string("00000000"));      /* the table has it in a column */
    if (status == SC_OK) status = rating_read(&x.rating, body, x.n, &r->study->flags, err);
    json_decref(body);
    if (status != SC_OK) return error_prefix(err, status, "%s", r->study->path);
    if (!rating_is_done(&x.rating)) { rating_release(&x.rating); return SC_OK; }
    x.seconds = (double)x.rating.active / 1000;
    GROW(r->rated, r->n_rated);
    r->rated[r->n_rated++] = x;
    return SC_OK;
}

/* Calls `take` for every row. */
static sc_status each_row(struct results *r, const char *sql, sc_status (*take)(struct results *r, sqlite3_stmt *q, sc_error *err), sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    TRY(sql_query(&q, r->study, err, sql, ""));
    while (row) {
        TRY(sql_step(r->study, &q, &row, err));
        if (!row) break;
        sc_status status = take(r, q, err);
        if (status != SC_OK) { sqlite3_finalize(q); return status; }
    }
    return SC_OK;
}

static sc_status read_rules(struct rank_rules *out, const json_t *settings, const char *path, sc_error *err)
{
    TRY(json_opt_real(&out->gold, settings, "gold_min", 0.7, 0, 1, path, err));
    TRY(json_opt_real(&out->repeats, settings, "repeats_min", 0.5, 0, 1, path, err));
    TRY(json_opt_real(&out->seconds, settings, "seconds_min", 0, 0, 3600, path, err));
    return json_opt_int(&out->least, settings, "rules_least", 3, 1, 1000, path, err);
}

static const char rated_rows[] = "SELECT a.n, a.rater, a.item, a.position, a.repeats, a.shown, a.opened, v.received, (SELECT count(*) FROM revisions WHERE assignment = a.n), v.rating"
                                 " FROM assignments a JOIN revisions v ON v.n = (SELECT max(n) FROM revisions WHERE assignment = a.n) ORDER BY a.n";

static sc_status read_all(struct results *r, sc_error *err)
{
    int64_t closed;
    TRY(study_closed(&closed, r->study, err));
    r->is_closed = closed != 0;
    TRY(read_rules(&r->rules, r->study->settings, r->study->path, err));
    TRY(each_row(r, "SELECT id, slice, language, turns FROM prompts ORDER BY n", read_prompts, err));
    TRY(each_row(r, "SELECT prompt, is_gold FROM items ORDER BY n", read_items, err));
    TRY(each_row(r, "SELECT item, turns FROM answers ORDER BY n", read_answers, err));
    TRY(each_row(r, "SELECT name, revoked IS NOT NULL, (SELECT count(*) FROM assignments WHERE rater = raters.n) FROM raters ORDER BY n", read_raters, err));
    if (r->is_closed) TRY(each_row(r, "SELECT answer, model FROM opened ORDER BY model, answer", read_opened, err));
    if (r->is_closed) TRY(each_row(r, "SELECT item, best, worst FROM gold ORDER BY item", read_gold, err));
    for (size_t i = 0; r->is_closed && i < r->n_answers; i++)
        if (!r->item[r->answer[i].item].is_gold && r->answer[i].model == RANK_NONE) return damaged(r, "opened", err);
    return each_row(r, rated_rows, read_rated, err);
}

static int by_assignment(const void *key, const void *x)
{
    int64_t a = *(const int64_t *)key, b = ((const struct rated *)x)->assignment;
    return (a > b) - (a < b);
}

/* One picture of the file, whatever a running server writes meanwhile. */
sc_status results_read(struct results *out, struct study *s, sc_error *err)
{
    *out = (struct results){ .study = s };
    sc_status status = sql_run(s, err, "BEGIN", "");
    if (status == SC_OK) status = sql_end(s, read_all(out, err), err);
    for (size_t i = 0; status == SC_OK && i < out->n_rated; i++) {
        const struct rated *first = out->rated[i].repeats ? bsearch(&out->rated[i].repeats, out->rated, out->n_rated, sizeof *out->rated, by_assignment) : NULL;
        if (first) out->rated[i].first = (size_t)(first - out->rated);
    }
    if (status == SC_OK) results_judge_raters(out);
    else results_release(out);
    return status;
}

void results_release(struct results *r)
{
    for (size_t i = 0; i < r->n_prompts; i++) {
        mem_free(r->prompt[i].id);
        mem_free(r->prompt[i].slice);
        mem_free(r->prompt[i].language);
        json_decref(r->prompt[i].turns);
    }
    for (size_t i = 0; i < r->n_answers; i++) json_decref(r->answer[i].turns);
    for (size_t i = 0; i < r->n_raters; i++) mem_free(r->rater[i].name);
    for (size_t i = 0; i < r->n_models; i++) mem_free(r->model[i]);
    for (size_t i = 0; i < r->n_rated; i++) rating_release(&r->rated[i].rating);
    mem_free(r->prompt);
    mem_free(r->item);
    mem_free(r->answer);
    mem_free(r->rater);
    mem_free(r->model);
    mem_free(r->rated);
    *r = (struct results){ 0 };
}

/* ---- judging raters ---------------------------------------------------------------------------------------------------------------------------- */

int rated_compare(const struct rated *r, size_t a, size_t b)
{
    int x = r->rating.answer[a].rank, y = r->rating.answer[b].rank;
    return (x > y) - (x < y);
}

int rated_pair(const struct rated *r, size_t a, size_t b)
{
    size_t x = RANK_NONE, y = RANK_NONE;
    for (size_t i = 0; i < r->n; i++) {
        if (r->answer[i] == a) x = i;
        if (r->answer[i] == b) y = i;
    }
    return x == RANK_NONE || y == RANK_NONE ? 2 : rated_compare(r, x, y);
}

static void judge_gold(struct result_rater *who, const struct results *r, const struct rated *x)
{
    const struct result_item *item = &r->item[x->item];
    if (!item->is_gold || item->best == RANK_NONE || x->repeats) return;
    who->gold++;
    who->gold_right += rated_pair(x, item->best, item->worst) == -1;
}

static void judge_repeat(struct result_rater *who, const struct results *r, const struct rated *x)
{
    if (x->first == RANK_NONE) return;
    const struct rated *first = &r->rated[x->first];
    for (size_t i = 0; i < x->n; i++) {
        for (size_t k = 0; k < first->n; k++) {
            if (first->answer[k] != x->answer[i]) continue;
            who->repeat_scores++;
            who->repeat_difference += fabs((double)(x->rating.answer[i].score - first->rating.answer[k].score));
        }
        for (size_t j = i + 1; j < x->n; j++) {
            who->repeat_pairs++;
            who->repeat_same += rated_compare(x, i, j) == rated_pair(first, x->answer[i], x->answer[j]);
        }
    }
}

/* Pairs whose ranks say one thing and whose scores say the other. */
static int contradictions(const struct rated *x)
{
    int n = 0;
    for (size_t i = 0; i < x->n; i++)
        for (size_t j = 0; j < x->n; j++) n += rated_compare(x, i, j) < 0 && x->rating.answer[i].score < x->rating.answer[j].score;
    return n;
}

static int repeated_items(const struct results *r, size_t rater)
{
    int n = 0;
    for (size_t i = 0; i < r->n_rated; i++) n += r->rated[i].rater == rater && r->rated[i].first != RANK_NONE;
    return n;
}

static void exclude(struct results *r, size_t rater)
{
    struct result_rater *who = &r->rater[rater];
    if (who->gold >= r->rules.least && who->gold_right < r->rules.gold * who->gold) who->excluded |= EXCLUDED_GOLD;
    if (repeated_items(r, rater) >= r->rules.least && who->repeat_same < r->rules.repeats * who->repeat_pairs) who->excluded |= EXCLUDED_REPEATS;
    if (who->done >= r->rules.least && who->median_seconds < r->rules.seconds) who->excluded |= EXCLUDED_SPEED;
}

void results_judge_raters(struct results *r)
{
    double *seconds = mem_alloc((r->n_rated + 1) * sizeof *seconds);
    for (size_t k = 0; k < r->n_raters; k++) {
        struct result_rater *who = &r->rater[k];
        size_t n = 0;
        for (size_t i = 0; i < r->n_rated; i++) {
            const struct rated *x = &r->rated[i];
            if (x->rater != k) continue;
            who->done++;
            seconds[n++] = x->seconds;
            who->contradictions += contradictions(x);
            judge_gold(who, r, x);
            judge_repeat(who, r, x);
        }
        who->median_seconds = n ? stats_quantile(seconds, n, 0.5) : (double)NAN;
        if (who->repeat_scores) who->repeat_difference /= who->repeat_scores;
        exclude(r, k);
    }
    mem_free(seconds);
}

bool rated_counts(const struct results *r, const struct rated *x) { return !r->item[x->item].is_gold && !x->repeats && !r->rater[x->rater].excluded; }

/* ---- by item, by rater ---------------------------------------------------------------------------------------------------------------------- */

void rated_places(double places[RANK_SHOWN_MAX], const struct rated *r)
{
    double given[RANK_SHOWN_MAX];
    for (size_t i = 0; i < r->n; i++) given[i] = r->rating.answer[i].rank;
    stats_ranks(places, given, r->n);
}

static void sort_rated(size_t **first, size_t **order, const struct results *r, size_t n, bool by_rater)
{
    size_t *at = mem_zero(n + 2, sizeof *at), *list = mem_alloc((r->n_rated + 1) * sizeof *list);
    for (size_t i = 0; i < r->n_rated; i++) at[(by_rater ? r->rated[i].rater : r->rated[i].item) + 2] += rated_counts(r, &r->rated[i]);
    for (size_t i = 2; i < n + 2; i++) at[i] += at[i - 1];
    for (size_t i = 0; i < r->n_rated; i++)                    /* moves each beginning to its end, which is the next one's beginning */
        if (rated_counts(r, &r->rated[i])) list[at[(by_rater ? r->rated[i].rater : r->rated[i].item) + 1]++] = i;
    *first = at;
    *order = list;
}

void rated_index_init(struct rated_index *out, const struct results *r)
{
    sort_rated(&out->of_item, &out->by_item, r, r->n_items, false);
    sort_rated(&out->of_rater, &out->by_rater, r, r->n_raters, true);
}

void rated_index_release(struct rated_index *x)
{
    mem_free(x->of_item);
    mem_free(x->by_item);
    mem_free(x->of_rater);
    mem_free(x->by_rater);
    *x = (struct rated_index){ 0 };
}
