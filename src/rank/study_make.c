/* study_make.c - a study from files: prompts, answers, gold; the list of whose the answers are, sealed; invitations. */
#include "judge/judge.h"
#include "rank/rank.h"

#include <openssl/crypto.h>
#include <string.h>

#define GOLD_BYTES_MAX ((size_t)64 << 20)
enum { TURNS_TOLD = 32 };

/* What is sealed: {"models":[...],"files":"...","answers":{"N":index},"gold":{"N":[best,worst]}}; files: --answers, whose names may tell. */
struct making {
    struct study *s; const sc_rank_config *c;
    struct judge_prompts prompts; struct judge_answers answers; struct gold_list gold;
    const char **model; size_t n_models, *used;
    json_t *secret_answers, *secret_gold;
    uint64_t key_seed;
    size_t n_items, n_left_out;
    size_t sizes[RANK_SHOWN_MAX + 1];        /* items that show k answers */
    size_t turns[TURNS_TOLD + 1];            /* items of k turns; the last: of so many or more */
};

/* ---- reading ------------------------------------------------------------------------------------------------------------------------------ */

/* "FILE" or "NAME=FILE", with commas. */
static sc_status read_answers(struct making *m, sc_error *err)
{
    for (const char *at = m->c->answers; at && *at;) {
        size_t n = strcspn(at, ",");
        char *one = mem_strndup(at, n), *equals = path_exists(one) ? NULL : strchr(one, '=');
        if (equals) *equals = 0;
        sc_status status = n ? judge_answers_read(&m->answers, equals ? equals + 1 : one, equals ? one : NULL, err) : SC_OK;
        mem_free(one);
        TRY(status);
        at += n + (at[n] == ',');
    }
    for (size_t i = 0; i < m->answers.n; i++) {
        size_t k = 0;
        while (k < m->n_models && strcmp(m->model[k], m->answers.at[i].model) != 0) k++;
        if (k < m->n_models) continue;
        m->model = mem_grow(m->model, (m->n_models + 1) * sizeof *m->model);
        m->model[m->n_models++] = m->answers.at[i].model;
    }
    m->used = mem_zero(m->n_models + 1, sizeof *m->used);
    if (m->n_models < 2) return FAIL(err, SC_E_ARGUMENT, "--answers has answers of %zu model%s, expected at least 2; give a file for each, NAME=FILE where the files do not say whose they are", m->n_models, m->n_models == 1 ? "" : "s");
    size_t shown = m->c->shown ? (size_t)m->c->shown : m->n_models;
    if (shown == 1) return FAIL(err, SC_E_ARGUMENT, "--shown is 1, expected 2 to %d, or 0 for all", RANK_SHOWN_MAX);
    if (shown > RANK_SHOWN_MAX) return FAIL(err, SC_E_ARGUMENT, "there are answers of %zu models, but people rank at most %d at once; add --shown %d, which draws that many for each prompt", m->n_models, RANK_SHOWN_MAX, 4);
    return SC_OK;
}

static sc_status read_gold(struct making *m, sc_error *err)
{
    sc_text text = { 0 };
    if (!m->c->gold || !*m->c->gold) return SC_OK;
    TRY(file_read(&text, m->c->gold, GOLD_BYTES_MAX, err));
    sc_status status = gold_read(&m->gold, text.data, text.len, m->c->gold, err);
    sc_text_free(&text);
    return status;
}

/* ---- items ----------------------------------------------------------------------------------------------------------------------------------- */

static char *turns_text(char *const *turn, size_t n)
{
    json_t *list = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(list, json_string(turn[i]));
    char *text = json_dumps(list, JSON_COMPACT);
    json_decref(list);
    return text ? text : mem_strdup("[]");
}

static sc_status put_prompt(struct making *m, int64_t *n, const char *id, const char *slice, const char *language, const char *turns, sc_error *err)
{
    TRY(sql_run(m->s, err, "INSERT INTO prompts(id, slice, language, turns) VALUES(?1, ?2, ?3, ?4)", "tttt", id, slice, language, turns));
    *n = sqlite3_last_insert_rowid(m->s->db);
    return SC_OK;
}

/* An item and its answers, numbered in an order that follows from the owner's key: turns[i] gets the number numbers[i]. */
static sc_status put_item(struct making *m, int64_t prompt, bool is_gold, char **turns, size_t n, int64_t *item, int64_t *numbers, sc_error *err)
{
    size_t order[RANK_SHOWN_MAX];
    TRY(sql_run(m->s, err, "INSERT INTO items(prompt, is_gold) VALUES(?1, ?2)", "ii", prompt, (int64_t)is_gold));
    *item = sqlite3_last_insert_rowid(m->s->db);
    plan_order(order, n, NULL, m->key_seed, (uint64_t)*item);
    for (size_t i = 0; i < n; i++) {
        TRY(sql_run(m->s, err, "INSERT INTO answers(item, turns) VALUES(?1, ?2)", "it", *item, turns[order[i]]));
        numbers[order[i]] = sqlite3_last_insert_rowid(m->s->db);
    }
    m->n_items += !is_gold;
    return SC_OK;
}

static void number_key(char out[24], int64_t n) { snprintf(out, 24, "%lld", (long long)n); }

static sc_status item_of(struct making *m, const struct judge_prompt *p, const size_t *models, size_t n, sc_error *err)
{
    size_t shown = m->c->shown && (size_t)m->c->shown < n ? (size_t)m->c->shown : n, chosen[RANK_SHOWN_MAX];
    int64_t prompt, item, numbers[RANK_SHOWN_MAX];
    char *turns[RANK_SHOWN_MAX], key[24];
    plan_choose(chosen, shown, models, n, m->used, (uint64_t)m->c->seed, m->n_items);
    char *asked = turns_text(p->turn, p->n_turns);
    sc_status status = put_prompt(m, &prompt, p->id, p->slice, p->language, asked, err);
    mem_free(asked);
    TRY(status);
    m->sizes[shown]++;
    m->turns[p->n_turns < TURNS_TOLD ? p->n_turns : TURNS_TOLD]++;
    for (size_t i = 0; i < shown; i++) {
        const struct judge_answer *a = judge_answers_find(&m->answers, m->model[chosen[i]], p->id);
        turns[i] = turns_text(a->turn, a->n_turns);
    }
    status = put_item(m, prompt, false, turns, shown, &item, numbers, err);
    for (size_t i = 0; i < shown; i++) {
        number_key(key, numbers[i]);
        if (status == SC_OK) json_object_set_new(m->secret_answers, key, json_integer((json_int_t)chosen[i]));
        mem_free(turns[i]);
    }
    return status;
}

static sc_status put_items(struct making *m, sc_error *err)
{
    size_t *models = mem_alloc(m->n_models * sizeof *models);
    sc_status status = SC_OK;
    for (size_t i = 0; i < m->prompts.n && status == SC_OK; i++) {
        const struct judge_prompt *p = &m->prompts.at[i];
        size_t n = 0;
        const char *missing = "";
        for (size_t k = 0; k < m->n_models; k++) {
            if (judge_answers_find(&m->answers, m->model[k], p->id)) models[n++] = k;
            else missing = m->model[k];
        }
        if (n && n < m->n_models && !m->c->partial)
            status = FAIL(err, SC_E_ARGUMENT, "%s has no answer to the prompt \"%.60s\", which %zu of %zu models answered; complete it, or add --partial", missing, p->id, n, m->n_models);
        else if (n >= 2) status = item_of(m, p, models, n, err);
        else m->n_left_out++;
    }
    mem_free(models);
    if (status == SC_OK && !m->n_items) status = FAIL(err, SC_E_ARGUMENT, "no prompt of %s was answered by two models; do the answers have the ids of these prompts?", m->c->prompts);
    return status;
}

static sc_status put_gold_item(struct making *m, const struct gold_item *g, size_t shown, sc_error *err)
{
    char *turns[RANK_SHOWN_MAX], key[24], *asked = json_dumps(g->prompt, JSON_COMPACT);
    int64_t prompt = 0, item = 0, numbers[RANK_SHOWN_MAX] = { 0 };
    sc_status status = put_prompt(m, &prompt, g->id, NULL, NULL, asked, err);
    for (size_t k = 0; k < shown; k++) turns[k] = json_dumps(g->answer[k], JSON_COMPACT);
    if (status == SC_OK) status = put_item(m, prompt, true, turns, shown, &item, numbers, err);
    for (size_t k = 0; k < shown; k++) mem_free(turns[k]);
    mem_free(asked);
    number_key(key, item);
    json_object_set_new(m->secret_gold, key, json_pack("[I, I]", (json_int_t)numbers[0], (json_int_t)numbers[1]));
    return status;
}

/* Gold items look as the others do: as many answers, and a number of turns that others have too. */
static sc_status put_gold(struct making *m, sc_error *err)
{
    size_t *shown = mem_zero(m->gold.n + 1, sizeof *shown);
    sc_status status = m->gold.n ? gold_sizes(shown, &m->gold, m->sizes, m->c->gold, err) : SC_OK;
    for (size_t i = 0; i < m->gold.n && status == SC_OK; i++) {
        const struct gold_item *g = &m->gold.at[i];
        size_t n_turns = json_array_size(g->prompt);
        if (judge_prompts_find(&m->prompts, g->id)) status = FAIL(err, SC_E_ARGUMENT, "the gold item \"%.60s\" has the id of a prompt; give it another one", g->id);
        else if (!m->turns[n_turns < TURNS_TOLD ? n_turns : TURNS_TOLD])
            status = FAIL(err, SC_E_ARGUMENT, "%s, line %zu: the gold item has %zu turn%s, as no prompt of the study has, so that raters could tell it; \"prompt\" and each answer may be lists, one text for each turn", m->c->gold, g->line, n_turns, n_turns == 1 ? "" : "s");
        else status = put_gold_item(m, g, shown[i], err);
    }
    mem_free(shown);
    return status;
}

/* ---- values --------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status put_seal(struct making *m, const uint8_t key[RANK_KEY_BYTES], sc_error *err)
{
    json_t *models = json_array();
    struct buf sealed;
    for (size_t i = 0; i < m->n_models; i++) json_array_append_new(models, json_string(m->model[i]));
    json_t *secret = json_pack("{s:o, s:s, s:O, s:O}", "models", models, "files", m->c->answers, "answers", m->secret_answers, "gold", m->secret_gold);
    char *text = json_dumps(secret, JSON_COMPACT);
    buf_init(&sealed, 0);
    seal_make(&sealed, key, m->s->id, text, strlen(text));
    sc_status status = sql_run(m->s, err, "INSERT INTO sealed(value) VALUES(?1)", "b", sealed.data, sealed.len);
    OPENSSL_cleanse(text, strlen(text));
    mem_free(text);
    buf_release(&sealed);
    json_decref(secret);
    return status;
}

static sc_status put_values(struct study *s, const sc_rank_config *c, sc_error *err)
{
    sc_rank_config told = *c;
    uint8_t id[RANK_ID_BYTES];
    char now[24];
    sc_text record = { 0 }, instructions = { 0 };
    system_random(id, sizeof id);
    for (size_t i = 0; i < sizeof id; i++) snprintf(s->id + 2 * i, 3, "%02x", id[i]);
    snprintf(now, sizeof now, "%lld", (long long)time_ms());
    if (c->instructions && *c->instructions) TRY(file_read(&instructions, c->instructions, RANK_TEXT_BYTES * 4, err));
    if (instructions.data && !utf8_is_valid(instructions.data, instructions.len)) { sc_text_free(&instructions); return FAIL(err, SC_E_FORMAT, "%s is no UTF-8", c->instructions); }
    told.answers = "";                                         /* under the seal */
    TRY(sc_options_record(&record, &rank_options, &told));
    sc_status status = study_set(s, "id", s->id, err);
    if (status == SC_OK) status = study_set(s, "created", now, err);
    if (status == SC_OK) status = study_set(s, "version", sc_version(), err);
    if (status == SC_OK) status = study_set(s, "settings", record.data, err);
    if (status == SC_OK && instructions.data) status = study_set(s, "instructions", instructions.data, err);
    sc_text_free(&record);
    sc_text_free(&instructions);
    return status == SC_OK ? study_load(s, err) : status;
}

sc_status study_fill(struct study *s, const sc_rank_config *c, const uint8_t key[RANK_KEY_BYTES], sc_error *err)
{
    struct making m = { .s = s, .c = c, .secret_answers = json_object(), .secret_gold = json_object(), .key_seed = key_seed(key) };
    sc_status status;
    TRY_DONE(judge_prompts_read(&m.prompts, c->prompts, err));
    TRY_DONE(read_answers(&m, err));
    TRY_DONE(read_gold(&m, err));
    TRY_DONE(put_values(s, c, err));
    TRY_DONE(put_items(&m, err));
    TRY_DONE(put_gold(&m, err));
    TRY_DONE(put_seal(&m, key, err));
done:
    json_decref(m.secret_answers);
    json_decref(m.secret_gold);
    mem_free(m.model);
    mem_free(m.used);
    gold_release(&m.gold);
    judge_answers_release(&m.answers);
    judge_prompts_release(&m.prompts);
    return status;
}

/* ---- sc_rank_make ------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status check(const sc_rank_config *c, sc_error *err)
{
    if (!c->out || !*c->out) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the file of the study");
    if (!c->prompts || !*c->prompts) return FAIL(err, SC_E_ARGUMENT, "--prompts is missing, and there is no study %s to go on with", c->out);
    if (!c->answers || !*c->answers) return FAIL(err, SC_E_ARGUMENT, "--answers is missing: files of answers, one for each model");
    return SC_OK;
}

sc_status sc_rank_make(sc_text *out, const sc_rank_config *c, sc_error *err)
{
    struct study *s = NULL;
    uint8_t key[RANK_KEY_BYTES];
    char text[RANK_KEY_TEXT];
    json_t *raters = NULL;
    int64_t items = 0, gold = 0, answers = 0;
    *out = (sc_text){ 0 };
    TRY(check(c, err));
    TRY(study_new(&s, c->out, err));
    key_new(key, text);
    sc_status status = sql_begin(s, err);
    if (status == SC_OK) status = study_fill(s, c, key, err);
    if (status == SC_OK) status = study_add_raters(&raters, s, (size_t)c->raters, err);
    if (status == SC_OK) status = sql_number(&items, 0, s, err, "SELECT count(*) FROM items WHERE NOT is_gold", "");
    if (status == SC_OK) status = sql_number(&gold, 0, s, err, "SELECT count(*) FROM items WHERE is_gold", "");
    if (status == SC_OK) status = sql_number(&answers, 0, s, err, "SELECT count(*) FROM answers", "");
    status = sql_end(s, status, err);
    if (status == SC_OK) status = study_publish(s, err);
    if (status == SC_OK) {
        json_t *all = json_pack("{s:s, s:s, s:I, s:I, s:I, s:O}", "study", s->id, "key", text, "items", (json_int_t)items, "gold", (json_int_t)gold, "answers", (json_int_t)answers, "raters", raters);
        status = json_write(out, all, false);
        json_decref(all);
    }
    study_close(s);
    json_decref(raters);
    OPENSSL_cleanse(key, sizeof key);
    OPENSSL_cleanse(text, sizeof text);
    return status;
}
