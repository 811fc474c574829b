/* protocol.c - how a judge is asked, as data: protocols/NAME.yaml in the program, or a file of the user's.
 *
 * The shape: name, about, source, licence; kind: single | pair; form: a row of judge_form_names; range: [low, high]; strict: true where a score outside
 * the range is no verdict; turns: 1 or 2; settings: members of the request; marks: texts by which an answer could pass for the protocol's own words;
 * variants: a list of {when: {category: [...], reference: true, turn: 1}, system, user}, of which the first that fits a prompt is used. system and user
 * are Jinja over: question, questions, a, b (answers of the judged turn), a_turns, b_turns, reference, references, turn, and seal (protocol_request.c). */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

const char *const judge_form_names[JUDGE_FORMS] = { "first_line", "rating", "letter", "ratings", "ranking", "label", "token" };

/* embedded/protocols.c, made of protocols/ by tools/embed_tasks.sh. */
struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };
extern const struct eval_task_file judge_protocol_files[];

/* ---- members ---------------------------------------------------------------------------------------------------------------------------------- */

static sc_status only_keys(const json_t *object, const char *const *keys, const char *what, sc_error *err)
{
    const char *key;
    json_t *v;
    char quoted[80];
    json_object_foreach((json_t *)(uintptr_t)object, key, v) {
        bool is_known = false;
        for (size_t i = 0; keys[i] && !is_known; i++) is_known = !strcmp(keys[i], key);
        if (is_known) continue;
        const char *best = keys[0];
        for (size_t i = 1; keys[i]; i++)
            if (text_distance(keys[i], key) < text_distance(best, key)) best = keys[i];
        return FAIL(err, SC_E_FORMAT, "%s: there is no key \"%s\"; did you mean \"%s\"?", what, error_quote(quoted, sizeof quoted, key, strlen(key)), best);
    }
    return SC_OK;
}

static sc_status take_string(char **out, const json_t *object, const char *key, bool is_needed, const char *what, sc_error *err)
{
    const char *text;
    TRY(json_opt_string(&text, object, key, NULL, what, err));
    if (!text && is_needed) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is missing", what, key);
    *out = text ? mem_strdup(text) : NULL;
    return SC_OK;
}

static sc_status take_names(struct names *out, const json_t *v, const char *key, const char *what, sc_error *err)
{
    const json_t *one;
    size_t i;
    if (!v) return SC_OK;
    if (!json_is_array(v)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is no list, expected [one, two]", what, key);
    out->at = mem_zero(json_array_size(v) + 1, sizeof *out->at);
    json_array_foreach(v, i, one) {
        if (!json_is_string(one) || !json_string_length(one)) return FAIL(err, SC_E_FORMAT, "%s: element %zu of \"%s\" is no text", what, i + 1, key);
        out->at[out->n++] = mem_strdup(json_string_value(one));
    }
    return SC_OK;
}

static sc_status take_choice(int *out, const json_t *object, const char *key, const char *const *choices, int n, const char *what, sc_error *err)
{
    char *text, quoted[60];
    struct buf all;
    TRY(take_string(&text, object, key, true, what, err));
    for (*out = 0; *out < n && strcmp(choices[*out], text) != 0;) ++*out;
    if (*out < n) {
        mem_free(text);
        return SC_OK;
    }
    buf_init(&all, 400);
    for (int i = 0; i < n; i++) buf_printf(&all, "%s%s", i ? ", " : "", choices[i]);
    FAIL(err, SC_E_FORMAT, "%s: \"%s\" is \"%s\", expected one of %s", what, key, error_quote(quoted, sizeof quoted, text, strlen(text)), all.data);
    buf_release(&all);
    mem_free(text);
    return SC_E_FORMAT;
}

static sc_status take_template(struct jinja **out, const json_t *object, const char *key, const char *what, sc_error *err)
{
    const char *text;
    char name[160];
    TRY(json_opt_string(&text, object, key, NULL, what, err));
    if (!text) return SC_OK;
    snprintf(name, sizeof name, "%.120s: %s", what, key);
    return jinja_compile(out, text, strlen(text), name, err);
}

/* ---- variants ------------------------------------------------------------------------------------------------------------------------------------ */

static sc_status take_variant(struct judge_variant *out, const json_t *row, const char *what, sc_error *err)
{
    static const char *const keys[] = { "when", "system", "user", NULL }, *const conditions[] = { "category", "reference", "turn", NULL };
    const json_t *when = json_object_get(row, "when");
    int64_t turn = 0;
    if (!json_is_object(row)) return FAIL(err, SC_E_FORMAT, "%s: a variant is no map, expected when, system and user", what);
    TRY(only_keys(row, keys, what, err));
    if (when && !json_is_object(when)) return FAIL(err, SC_E_FORMAT, "%s: \"when\" is no map, expected category, reference or turn", what);
    if (when) {
        TRY(only_keys(when, conditions, what, err));
        TRY(take_names(&out->categories, json_object_get(when, "category"), "category", what, err));
        TRY(json_opt_bool(&out->needs_reference, when, "reference", false, what, err));
        TRY(json_opt_int(&turn, when, "turn", 0, 1, 2, what, err));
    }
    out->turn = (int)turn;
    TRY(take_template(&out->system, row, "system", what, err));
    TRY(take_template(&out->user, row, "user", what, err));
    return out->user ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: a variant has no \"user\": what the judge is asked", what);
}

static sc_status take_variants(struct judge_protocol *p, const json_t *list, const char *what, sc_error *err)
{
    if (!json_is_array(list) || !json_array_size(list)) return FAIL(err, SC_E_FORMAT, "%s: \"variants\" is no list with at least one variant", what);
    p->variant = mem_zero(json_array_size(list), sizeof *p->variant);
    for (size_t i = 0; i < json_array_size(list); i++) TRY(take_variant(&p->variant[p->n_variants++], json_array_get(list, i), what, err));
    return SC_OK;
}

/* ---- the protocol ----------------------------------------------------------------------------------------------------------------------------------- */

static sc_status take_range(struct judge_protocol *p, const json_t *range, const char *what, sc_error *err)
{
    bool gives_scores = p->form == JUDGE_FIRST_LINE || p->form == JUDGE_RATING || p->form == JUDGE_RATINGS;
    if (!range && !gives_scores) return SC_OK;
    if (!gives_scores) return FAIL(err, SC_E_FORMAT, "%s: form %s gives no scores, but there is a \"range\"", what, judge_form_names[p->form]);
    p->low = json_number_value(json_array_get(range, 0));
    p->high = json_number_value(json_array_get(range, 1));
    if (json_array_size(range) != 2 || !json_is_number(json_array_get(range, 0)) || !json_is_number(json_array_get(range, 1)) || !(p->low < p->high))
        return FAIL(err, SC_E_FORMAT, "%s: \"range\" is missing or no pair of numbers, expected [1, 10]: form %s gives scores", what, judge_form_names[p->form]);
    p->has_range = true;
    return SC_OK;
}

static sc_status take_protocol(struct judge_protocol *p, const json_t *y, const char *what, sc_error *err)
{
    static const char *const keys[] = { "name", "about", "source", "licence", "kind", "form", "range", "strict", "turns", "settings", "marks", "variants", NULL };
    static const char *const kinds[] = { "single", "pair" };
    int kind, form;
    int64_t turns;
    if (!json_is_object(y)) return FAIL(err, SC_E_FORMAT, "%s: is no map, expected name, kind, form, variants and the like", what);
    TRY(only_keys(y, keys, what, err));
    TRY(take_string(&p->name, y, "name", true, what, err));
    TRY(take_string(&p->about, y, "about", false, what, err));
    TRY(take_string(&p->source, y, "source", false, what, err));
    TRY(take_string(&p->licence, y, "licence", false, what, err));
    TRY(take_choice(&kind, y, "kind", kinds, 2, what, err));
    TRY(take_choice(&form, y, "form", judge_form_names, JUDGE_FORMS, what, err));
    p->is_pair = kind == 1;
    p->form = (enum judge_form)form;
    if (p->is_pair != (p->form != JUDGE_RATING)) return FAIL(err, SC_E_FORMAT, "%s: form %s is of %s, but kind is %s", what, judge_form_names[form], p->is_pair ? "one answer" : "two answers", kinds[kind]);
    TRY(take_range(p, json_object_get(y, "range"), what, err));
    TRY(json_opt_bool(&p->is_strict, y, "strict", false, what, err));
    TRY(json_opt_int(&turns, y, "turns", 1, 1, 2, what, err));
    p->turns = (int)turns;
    json_t *settings = json_object_get(y, "settings");
    if (settings && !json_is_object(settings)) return FAIL(err, SC_E_FORMAT, "%s: \"settings\" is no map, expected temperature, max_tokens and the like", what);
    p->settings = settings ? json_incref(settings) : json_object();
    TRY(take_names(&p->marks, json_object_get(y, "marks"), "marks", what, err));
    return take_variants(p, json_object_get(y, "variants"), what, err);
}

sc_status judge_protocol_parse(struct judge_protocol **out, const char *text, size_t len, const char *what, sc_error *err)
{
    json_t *y = NULL;
    *out = NULL;
    TRY(yaml_read(&y, NULL, text, len, what, err));
    struct judge_protocol *p = mem_zero(1, sizeof *p);
    sc_status status = take_protocol(p, y, what, err);
    json_decref(y);
    if (status == SC_OK) *out = p;
    else judge_protocol_close(p);
    return status;
}

static void names_release(struct names *n)
{
    for (size_t i = 0; i < n->n; i++) mem_free(n->at[i]);
    mem_free(n->at);
}

void judge_protocol_close(struct judge_protocol *p)
{
    if (!p) return;
    for (size_t i = 0; i < p->n_variants; i++) {
        names_release(&p->variant[i].categories);
        jinja_free(p->variant[i].system);
        jinja_free(p->variant[i].user);
    }
    names_release(&p->marks);
    mem_free(p->variant);
    json_decref(p->settings);
    mem_free(p->name);
    mem_free(p->about);
    mem_free(p->source);
    mem_free(p->licence);
    mem_free(p);
}

/* ---- by name ------------------------------------------------------------------------------------------------------------------------------------------ */

/* "protocols/starchat.yaml" is named starchat. */
static bool is_named(const struct eval_task_file *f, const char *name)
{
    const char *base = strrchr(f->name, '/');
    base = base ? base + 1 : f->name;
    size_t len = strlen(base) - strlen(".yaml");
    return strlen(name) == len && !strncmp(base, name, len);
}

const char *judge_protocol_builtin(size_t i)
{
    static const char *const names[] = { "starchat", "vicuna", "fastchat-single", "fastchat-single-reference", "fastchat-pair", "pair-scores", "alpaca-eval", "alpaca-eval-2", "arena-hard", NULL };
    return i < sizeof names / sizeof *names ? names[i] : NULL;
}

sc_status judge_protocol_open(struct judge_protocol **out, const char *name_or_file, sc_error *err)
{
    char quoted[120];
    sc_text text = { 0 };
    *out = NULL;
    for (const struct eval_task_file *f = judge_protocol_files; f->name; f++)
        if (is_named(f, name_or_file)) return judge_protocol_parse(out, (const char *)f->text, f->bytes, f->name, err);
    if (path_ends_with(name_or_file, ".yaml") || path_ends_with(name_or_file, ".yml") || strchr(name_or_file, '/')) {
        TRY(file_read(&text, name_or_file, 1 << 20, err));
        sc_status status = judge_protocol_parse(out, text.data ? text.data : "", text.len, name_or_file, err);
        sc_text_free(&text);
        return status;
    }
    const char *best = judge_protocol_builtin(0);
    for (size_t i = 1; judge_protocol_builtin(i); i++)
        if (text_distance(judge_protocol_builtin(i), name_or_file) < text_distance(best, name_or_file)) best = judge_protocol_builtin(i);
    return FAIL(err, SC_E_ARGUMENT, "there is no protocol \"%s\"; did you mean %s? A protocol of your own is a file that ends in .yaml", error_quote(quoted, sizeof quoted, name_or_file, strlen(name_or_file)), best);
}

const char *judge_protocol_name(const struct judge_protocol *p) { return p->name; }
bool judge_protocol_is_pair(const struct judge_protocol *p) { return p->is_pair; }
bool judge_protocol_can_tie(const struct judge_protocol *p) { return judge_protocol_is_pair(p) && p->form != JUDGE_RANKING && p->form != JUDGE_TOKEN; }
int judge_protocol_turns(const struct judge_protocol *p) { return p->turns; }

bool judge_protocol_range(const struct judge_protocol *p, double *low, double *high)
{
    *low = p->has_range ? p->low : (double)NAN;
    *high = p->has_range ? p->high : (double)NAN;
    return p->has_range;
}
