/* protocol_request.c - the request to a judge: a protocol's words around a question and one or two answers, which go in byte for byte.
 *
 * An answer may hold anything, also what the protocol itself writes. Two things are done about it. Protocols in our own words put a seal into their borders: hexadecimal
 * digits that stand in none of the texts, so that no answer can write a border. Published protocols have fixed borders; judge_marks tells which of them an answer holds. */
#include "judge_internal.h"

#include <string.h>

enum { SEAL_DIGITS = 12 };

/* ---- what an answer could pretend ---------------------------------------------------------------------------------------------------------------- */

/* Verdicts in brackets that a judge could take for its own. */
static bool is_verdict(const char *text, size_t len, enum judge_form form)
{
    size_t digits = strspn(text, "0123456789.");
    if (form == JUDGE_RATING || form == JUDGE_RATINGS) return digits && digits <= len;
    if (form == JUDGE_LETTER) return len == 1 && *text >= 'A' && *text <= 'C';
    return form == JUDGE_LABEL && len && strspn(text, "AB<>=") == len;
}

static void add_verdicts(json_t *out, const char *text, enum judge_form form)
{
    for (const char *at = strstr(text, "[["); at && json_array_size(out) < 8; at = strstr(at + 2, "[[")) {
        const char *end = strstr(at + 2, "]]");
        if (!end || end - at > 40 || !is_verdict(at + 2, (size_t)(end - at - 2), form)) continue;
        json_array_append_new(out, json_stringn(at, (size_t)(end - at) + 2));
    }
}

json_t *judge_marks(const struct judge_protocol *p, const struct judge_answer *a, int turn)
{
    json_t *out = json_array();
    for (int t = 0; t < turn && (size_t)t < a->n_turns; t++) {
        for (size_t i = 0; i < p->marks.n; i++)
            if (strstr(a->turn[t], p->marks.at[i])) json_array_append_new(out, json_string(p->marks.at[i]));
        add_verdicts(out, a->turn[t], p->form);
    }
    return out;
}

/* ---- the request -------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_of_category(const struct judge_variant *v, const char *slice)
{
    for (size_t i = 0; i < v->categories.n; i++)
        if (slice && !strcmp(v->categories.at[i], slice)) return true;
    return !v->categories.n;
}

static const struct judge_variant *choose(const struct judge_protocol *p, const struct judge_prompt *q, int turn)
{
    for (size_t i = 0; i < p->n_variants; i++) {
        const struct judge_variant *v = &p->variant[i];
        if (is_of_category(v, q->slice) && (!v->turn || v->turn == turn) && (!v->needs_reference || q->n_references >= (size_t)turn)) return v;
    }
    return NULL;
}

static json_t *texts_of(char *const *at, size_t n, int turn)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n && i < (size_t)turn; i++) json_array_append_new(out, json_string(at[i]));
    return out;
}

static bool stands_in(const json_t *list, const char *text)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one)
        if (strstr(json_string_value(one), text)) return true;
    return false;
}

/* A number of the texts, counted on until it stands in none of them. */
static void make_seal(char seal[SEAL_DIGITS + 1], const json_t *const *lists, size_t n)
{
    char hex[65];
    bool is_taken = true;
    for (unsigned try = 0; is_taken; try++) {
        struct sha256 h;
        const json_t *one;
        size_t i;
        sha256_begin(&h);
        sha256_add(&h, &try, sizeof try);
        for (size_t k = 0; k < n; k++)
            json_array_foreach(lists[k], i, one) sha256_add(&h, json_string_value(one), json_string_length(one) + 1);
        sha256_end(&h, hex);
        memcpy(seal, hex, SEAL_DIGITS);
        seal[SEAL_DIGITS] = 0;
        is_taken = false;
        for (size_t k = 0; k < n; k++) is_taken = is_taken || stands_in(lists[k], seal);
    }
}

static void set_last(json_t *variables, const char *key, const json_t *list)
{
    if (json_array_size(list)) json_object_set(variables, key, json_array_get(list, json_array_size(list) - 1));
}

static json_t *variables_of(const struct judge_prompt *q, const struct judge_answer *a, const struct judge_answer *b, int turn)
{
    char seal[SEAL_DIGITS + 1];
    json_t *questions = texts_of(q->turn, q->n_turns, turn), *references = texts_of(q->reference, q->n_references, turn);
    json_t *a_turns = texts_of(a->turn, a->n_turns, turn), *b_turns = b ? texts_of(b->turn, b->n_turns, turn) : json_array();
    const json_t *const lists[] = { questions, references, a_turns, b_turns };
    make_seal(seal, lists, sizeof lists / sizeof *lists);
    json_t *out = json_pack("{s:o, s:o, s:o, s:o, s:i, s:s}", "questions", questions, "references", references, "a_turns", a_turns, "b_turns", b_turns, "turn", turn, "seal", seal);
    set_last(out, "question", questions);
    set_last(out, "a", a_turns);
    if (b) set_last(out, "b", b_turns);
    if (q->n_references >= (size_t)turn) set_last(out, "reference", references);
    return out;
}

static sc_status add_message(json_t *messages, const struct jinja *template, const char *role, const json_t *variables, const char *name, sc_error *err)
{
    static const char *const trusted[] = { NULL };
    struct rendered r;
    if (!template) return SC_OK;
    sc_status status = jinja_render(&r, template, variables, 0, trusted, err);
    if (status != SC_OK) return error_prefix(err, status, "protocol %s, %s", name, role);
    json_array_append_new(messages, json_pack("{s:s, s:o}", "role", role, "content", json_stringn(r.text.data ? r.text.data : "", r.text.len)));
    rendered_release(&r);
    return SC_OK;
}

static sc_status check_answer(const struct judge_answer *x, int turn, sc_error *err)
{
    char id[80], model[80];
    if (x->n_turns >= (size_t)turn) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "%s answers %zu turns of prompt %s, but turn %d is judged", error_quote(model, sizeof model, x->model, strlen(x->model)), x->n_turns, error_quote(id, sizeof id, x->id, strlen(x->id)), turn);
}

sc_status judge_request(json_t **out, const struct judge_protocol *p, const struct judge_prompt *q, const struct judge_answer *a, const struct judge_answer *b, int turn, sc_error *err)
{
    char id[80];
    *out = NULL;
    error_quote(id, sizeof id, q->id, strlen(q->id));
    if (p->is_pair && !b) return FAIL(err, SC_E_ARGUMENT, "protocol %s compares two answers to prompt %s, but there is one", p->name, id);
    if (turn < 1 || turn > p->turns || (size_t)turn > q->n_turns) return FAIL(err, SC_E_ARGUMENT, "turn %d of prompt %s is judged, but the prompt has %zu and protocol %s judges %d", turn, id, q->n_turns, p->name, p->turns);
    TRY(check_answer(a, turn, err));
    if (p->is_pair) TRY(check_answer(b, turn, err));
    const struct judge_variant *v = choose(p, q, turn);
    if (!v) return FAIL(err, SC_E_ARGUMENT, "protocol %s has no words for turn %d of prompt %s (category %s, %zu references); give the prompt what it needs, or add a variant without \"when\"", p->name, turn, id, q->slice ? q->slice : "none", q->n_references);
    json_t *messages = json_array(), *variables = variables_of(q, a, p->is_pair ? b : NULL, turn);
    sc_status status = add_message(messages, v->system, "system", variables, p->name, err);
    if (status == SC_OK) status = add_message(messages, v->user, "user", variables, p->name, err);
    json_decref(variables);
    if (status == SC_OK) {
        *out = json_pack("{s:O}", "messages", messages);
        json_object_update(*out, p->settings);
    }
    json_decref(messages);
    return status;
}
