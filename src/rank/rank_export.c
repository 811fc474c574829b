/* rank_export.c - ratings as lines of JSON, and pairs of answers for preference training. */
#include "rank/rank.h"

#include <string.h>

struct exporting { struct results r; const sc_rank_export_config *c; struct file_writer to; size_t n_ratings, n_pairs, n_ties; };

static sc_status put_line(struct file_writer *w, json_t *line, sc_error *err)
{
    struct buf b;
    sc_text text = { 0 };
    sc_status status = json_write(&text, line, false);
    buf_init(&b, 0);
    if (status == SC_OK) {
        buf_append(&b, text.data, text.len);
        buf_putc(&b, '\n');
        status = file_writer_put(w, b.data, b.len, err);
    }
    buf_release(&b);
    sc_text_free(&text);
    json_decref(line);
    return status;
}

static json_t *rules_of(const struct result_rater *w)
{
    json_t *list = json_array();
    for (int k = 0; k < EXCLUDED_BITS; k++)
        if (w->excluded >> k & 1) json_array_append_new(list, json_string(exclusion_name(k)));
    return list;
}

/* ---- ratings ------------------------------------------------------------------------------------------------------------------------------ */

static const char *role_of(const struct results *r, size_t answer)
{
    const struct result_item *i = &r->item[r->answer[answer].item];
    return answer == i->best ? "best" : answer == i->worst ? "worst" : "other";
}

static json_t *answer_of(const struct results *r, const struct rated *x, size_t i)
{
    const struct result_answer *a = &r->answer[x->answer[i]];
    const struct rating_answer *given = &x->rating.answer[i];
    json_t *flags = json_array(), *row = json_pack("{s:I, s:i, s:i, s:o}", "answer", (json_int_t)x->answer[i] + 1, "rank", given->rank, "score", given->score, "flags", flags);
    for (size_t k = 0; k < r->study->flags.n; k++)
        if (given->flags >> k & 1) json_array_append_new(flags, json_string(r->study->flags.name[k]));
    if (given->note) json_object_set_new(row, "note", json_string(given->note));
    if (a->model != RANK_NONE) json_object_set_new(row, "model", json_string(r->model[a->model]));
    else json_object_set_new(row, "gold", json_string(role_of(r, x->answer[i])));
    return row;
}

static sc_status put_revisions(json_t *line, struct results *r, const struct rated *x, sc_error *err)
{
    sqlite3_stmt *q;
    bool row = true;
    json_t *list = json_array();
    json_object_set_new(line, "revision", list);
    TRY(sql_query(&q, r->study, err, "SELECT id, received, is_done, rating FROM revisions WHERE assignment = ?1 ORDER BY n", "i", x->assignment));
    while (row) {
        TRY(sql_step(r->study, &q, &row, err));
        if (!row) break;
        json_t *rating = json_loads(sql_text(q, 3), 0, NULL);
        json_array_append_new(list, json_pack("{s:s, s:I, s:b, s:o}", "id", sql_text(q, 0), "received", (json_int_t)sqlite3_column_int64(q, 1), "is_done", (int)sqlite3_column_int64(q, 2), "rating", rating ? rating : json_null()));
    }
    return SC_OK;
}

static sc_status put_rating(struct exporting *e, const struct rated *x, sc_error *err)
{
    struct results *r = &e->r;
    const struct result_item *item = &r->item[x->item];
    const struct result_prompt *p = &r->prompt[item->prompt];
    json_t *answers = json_array();
    for (size_t i = 0; i < x->n; i++) json_array_append_new(answers, answer_of(r, x, i));
    json_t *line = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:b, s:I, s:o, s:I, s:o, s:s?, s:f, s:o, s:I, s:I, s:o}", "study", r->study->id, "rater", r->rater[x->rater].name, "prompt_id", p->id, "slice", p->slice, "language", p->language,
                             "is_gold", item->is_gold, "assignment", (json_int_t)x->assignment, "repeats", x->repeats ? json_integer((json_int_t)x->repeats) : json_null(), "position", (json_int_t)x->position, "answers", answers,
                             "reason", x->rating.reason, "seconds", x->seconds, "opened", x->opened ? json_integer((json_int_t)x->opened) : json_null(), "received", (json_int_t)x->received, "revisions", (json_int_t)x->revisions, "excluded", rules_of(&r->rater[x->rater]));
    sc_status status = e->c->revisions ? put_revisions(line, r, x, err) : SC_OK;
    if (status != SC_OK) { json_decref(line); return status; }
    e->n_ratings++;
    return put_line(&e->to, line, err);
}

static sc_status put_ratings(struct exporting *e, sc_error *err)
{
    for (size_t i = 0; i < e->r.n_rated; i++) TRY(put_rating(e, &e->r.rated[i], err));
    return SC_OK;
}

/* ---- pairs ---------------------------------------------------------------------------------------------------------------------------------- */

/* The whole conversation with these answers, as messages: nothing in a text can be taken for a turn. */
static json_t *dialogue_of(const struct results *r, size_t answer)
{
    const struct result_answer *a = &r->answer[answer];
    const json_t *asked = r->prompt[r->item[a->item].prompt].turns;
    json_t *list = json_array();
    for (size_t i = 0; i < json_array_size(a->turns) && i < json_array_size(asked); i++) {
        json_array_append_new(list, json_pack("{s:s, s:O}", "role", "user", "content", json_array_get(asked, i)));
        json_array_append_new(list, json_pack("{s:s, s:O}", "role", "assistant", "content", json_array_get(a->turns, i)));
    }
    return list;
}

static sc_status put_pair(struct exporting *e, const struct rated *x, size_t better, size_t worse, sc_error *err)
{
    const struct results *r = &e->r;
    const struct result_prompt *p = &r->prompt[r->item[x->item].prompt];
    size_t a = x->answer[better], b = x->answer[worse];
    json_t *line = json_pack("{s:s, s:s?, s:s, s:o, s:o, s:s, s:s, s:i, s:i, s:i}", "prompt_id", p->id, "slice", p->slice, "rater", r->rater[x->rater].name, "chosen", dialogue_of(r, a), "rejected", dialogue_of(r, b),
                             "chosen_model", r->model[r->answer[a].model], "rejected_model", r->model[r->answer[b].model], "score_chosen", x->rating.answer[better].score, "score_rejected", x->rating.answer[worse].score,
                             "ranks_apart", x->rating.answer[worse].rank - x->rating.answer[better].rank);
    e->n_pairs++;
    return put_line(&e->to, line, err);
}

static sc_status put_pairs(struct exporting *e, sc_error *err)
{
    const struct results *r = &e->r;
    for (size_t i = 0; i < r->n_rated; i++) {
        const struct rated *x = &r->rated[i];
        if (r->item[x->item].is_gold || x->repeats || (r->rater[x->rater].excluded && !e->c->include_excluded)) continue;
        for (size_t a = 0; a < x->n; a++)
            for (size_t b = a + 1; b < x->n; b++) {
                int c = rated_compare(x, a, b);
                e->n_ties += c == 0;
                if (c) TRY(put_pair(e, x, c < 0 ? a : b, c < 0 ? b : a, err));
            }
    }
    return SC_OK;
}

/* ---- both ------------------------------------------------------------------------------------------------------------------------------------ */

static sc_status put_file(struct exporting *e, const char *path, sc_status (*put)(struct exporting *e, sc_error *err), sc_error *err)
{
    if (!path || !*path) return SC_OK;
    TRY(file_writer_open(&e->to, path, err));
    sc_status status = put(e, err);
    if (status == SC_OK) status = file_writer_publish(&e->to, err);
    file_writer_discard(&e->to);
    return status;
}

sc_status sc_rank_export(sc_text *out, const char *path, const sc_rank_export_config *c, sc_error *err)
{
    struct exporting e = { .c = c };
    struct study *s;
    *out = (sc_text){ 0 };
    if ((!c->ratings || !*c->ratings) && (!c->pairs || !*c->pairs)) return FAIL(err, SC_E_ARGUMENT, "nothing is to be exported; give --ratings FILE, --pairs FILE, or both");
    TRY(study_open(&s, path, err));
    sc_status status = results_read(&e.r, s, err);
    if (status == SC_OK) {
        if (!e.r.is_closed) status = FAIL(err, SC_E_ARGUMENT, "%s is open, so whose the answers are is sealed; close it first: starchat rank close %s", path, path);
        if (status == SC_OK) status = put_file(&e, c->ratings, put_ratings, err);
        if (status == SC_OK) status = put_file(&e, c->pairs, put_pairs, err);
        json_t *excluded = json_array();
        for (size_t i = 0; i < e.r.n_raters; i++)
            if (e.r.rater[i].excluded) json_array_append_new(excluded, json_pack("{s:s, s:o}", "rater", e.r.rater[i].name, "rules", rules_of(&e.r.rater[i])));
        json_t *all = json_pack("{s:I, s:I, s:I, s:o}", "ratings", (json_int_t)e.n_ratings, "pairs", (json_int_t)e.n_pairs, "ties", (json_int_t)e.n_ties, "excluded", excluded);
        if (status == SC_OK) status = json_write(out, all, false);
        json_decref(all);
        results_release(&e.r);
    }
    study_close(s);
    return status;
}
