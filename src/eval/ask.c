/* ask.c - a document as the model is asked it: description, examples, the document's own text, and what may follow. Byte for byte what the reference
 * asks (lm-eval 0.4: ConfigurableTask.fewshot_context, samplers.ContextSampler). */
#include "eval/eval_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- values of a document ------------------------------------------------------------------------------------------------------------------ */

/* What the templates of a task make of one document. */
struct view { json_t *text, *target, *choices, *prefix; };

static void view_release(struct view *v)
{
    json_decref(v->text);
    json_decref(v->target);
    json_decref(v->choices);
    json_decref(v->prefix);
    *v = (struct view){ 0 };
}

static sc_status read_choices(json_t **out, const struct eval_task *t, const json_t *document, sc_error *err)
{
    if (t->n_choice == 1 && t->choice[0].gives_json) {
        TRY(eval_template_value(out, &t->choice[0], document, "doc_to_choice", err));
        bool is_list = json_is_array(*out) && json_array_size(*out);
        for (size_t i = 0; is_list && i < json_array_size(*out); i++) is_list = json_is_string(json_array_get(*out, i));
        return is_list ? SC_OK : FAIL(err, SC_E_FORMAT, "doc_to_choice of %s gives no list of texts", t->name);
    }
    *out = json_array();
    for (size_t i = 0; i < t->n_choice; i++) {
        json_t *one = NULL;
        TRY(eval_template_value(&one, &t->choice[i], document, "doc_to_choice", err));
        json_array_append_new(*out, one);
    }
    return SC_OK;
}

/* A text of digits is the index of a choice, where there are choices. */
static json_t *as_index(json_t *v)
{
    const char *s = json_string_value(v);
    size_t n = json_string_length(v);
    if (!s || !n || n > 9 || strspn(s, "0123456789") != n) return v;
    json_t *number = json_integer(strtoll(s, NULL, 10));
    json_decref(v);
    return number;
}

static bool is_chat(const struct eval_chat *c) { return c && c->chat_template; }

/* A task may ask otherwise through a chat template. */
static const struct eval_template *text_template(const struct eval_task *t, const struct eval_chat *c) { return is_chat(c) && t->chat_text.jinja ? &t->chat_text : &t->text; }
static const struct eval_prefix *prefix_template(const struct eval_task *t, const struct eval_chat *c) { return is_chat(c) && t->chat_prefix.text.jinja ? &t->chat_prefix : &t->prefix; }

static sc_status view_open(struct view *v, const struct eval_task *t, const json_t *document, const struct eval_chat *c, sc_error *err)
{
    const struct eval_template *text = text_template(t, c), *prefix = &prefix_template(t, c)->text;
    *v = (struct view){ 0 };
    sc_status status = SC_OK;
    if (text->jinja) status = eval_template_value(&v->text, text, document, "doc_to_text", err);
    if (status == SC_OK && text == &t->chat_text && !json_string_length(v->text)) status = FAIL(err, SC_E_FORMAT, "doc_to_text of %s for chats gives no text; its data lacks a column that is named there", t->name);
    if (status == SC_OK && prefix->jinja) status = eval_template_value(&v->prefix, prefix, document, "gen_prefix", err);
    if (status == SC_OK) status = eval_template_value(&v->target, &t->target, document, "doc_to_target", err);
    if (status == SC_OK && t->has_choice) status = read_choices(&v->choices, t, document, err);
    if (status == SC_OK && t->has_choice) {
        v->target = as_index(v->target);
        if (t->choices_are_contexts && v->text) v->text = as_index(v->text);
    }
    if (status != SC_OK) view_release(v);
    return status;
}

static const char *choice_text(const struct view *v, const json_t *index)
{
    return json_is_integer(index) ? json_string_value(json_array_get(v->choices, (size_t)json_integer_value(index))) : NULL;
}

/* ---- turns ------------------------------------------------------------------------------------------------------------------------------------- */

static void put_question(struct turns *out, const char *question, const char *prefix, const char *delimiter)
{
    turns_add(out, TURN_USER, question, *prefix && turns_want_delimiter(question, prefix) ? delimiter : "");
    if (*prefix) turns_add(out, TURN_ASSISTANT, prefix, "");
}

static const char *prefix_of(const struct view *v) { return json_is_string(v->prefix) ? json_string_value(v->prefix) : ""; }

/* A solved example: the question, and the answer with its beginning. */
static sc_status put_example(struct turns *out, const struct eval_task *t, const json_t *document, const struct eval_chat *c, sc_error *err)
{
    struct view v;
    TRY(view_open(&v, t, document, c, err));
    const char *question = json_is_string(v.text) ? json_string_value(v.text) : choice_text(&v, v.text), *answer = NULL, *prefix = prefix_of(&v);
    const json_t *target = json_is_array(v.target) ? json_array_get(v.target, 0) : v.target;
    if (json_is_string(target)) answer = json_string_value(target);
    else answer = choice_text(&v, target);
    sc_status status = SC_OK;
    if (!question || !answer) status = FAIL(err, SC_E_FORMAT, "%s cannot be asked with examples: the text or the answer of one is neither text nor the index of a choice", t->name);
    else if (!*answer) put_question(out, question, prefix, t->target_delimiter);
    else {
        char *whole = turns_join(prefix, answer, " ");
        turns_add(out, TURN_USER, question, !*prefix || turns_want_delimiter(question, prefix) ? t->target_delimiter : "");
        turns_add(out, TURN_ASSISTANT, whole, t->example_delimiter);
        mem_free(whole);
    }
    view_release(&v);
    return status;
}

/* ---- examples ---------------------------------------------------------------------------------------------------------------------------------- */

/* The reference draws one more where its two names of splits are the same, which they are too when a task has neither. */
bool eval_draws_spare(const struct eval_task *t, int split)
{
    int named = split >= 0 ? split : t->examples;
    return named >= 0 ? t->files[SPLIT_TEST].n && named == SPLIT_TEST : !t->files[SPLIT_TEST].n;
}

int eval_examples_split(const struct eval_task *t, int split)
{
    if (split >= 0) return split;
    if (t->examples >= 0) return t->examples;
    for (int i = 0; i < SPLITS; i++)
        if (t->files[i].n) return i;
    return t->evaluated;
}

static bool is_same(const json_t *a, const json_t *b) { return a == b || json_equal(a, b); }

/* Where rows that equal the document leave too few, the reference draws again, from the others. */
static void draw_again(size_t *pick, const json_t *document, struct eval_examples *x)
{
    size_t *other = mem_alloc((x->from->n + 1) * sizeof *other), n = 0;
    for (size_t i = 0; i < x->from->n; i++)
        if (!is_same(x->from->at[i], document)) other[n++] = i;
    if (n >= x->wanted) {
        python_random_sample(pick, &x->random, n, x->wanted);
        for (size_t i = 0; i < x->wanted; i++) pick[i] = other[pick[i]];
    }
    mem_free(other);
}

/* Indices of the examples for a document; pick has room for one more than are wanted. */
static void draw(size_t *pick, const json_t *document, struct eval_examples *x)
{
    size_t k = x->wanted + (x->draws_spare ? 1 : 0), kept = 0;
    python_random_sample(pick, &x->random, x->from->n, k);
    if (!x->draws_spare) return;
    for (size_t i = 0; i < k; i++)
        if (!is_same(x->from->at[pick[i]], document)) pick[kept++] = pick[i];
    if (kept < x->wanted) draw_again(pick, document, x);
}

static sc_status put_drawn(struct turns *out, const struct eval_task *t, const json_t *document, struct eval_examples *x, const struct eval_chat *c, sc_error *err)
{
    if (x->wanted + x->draws_spare > x->from->n) return FAIL(err, SC_E_ARGUMENT, "%zu examples are wanted, but %s has only %zu rows", x->wanted, x->from->file, x->from->n);
    size_t *pick = mem_alloc((x->wanted + 2) * sizeof *pick);
    sc_status status = SC_OK;
    draw(pick, document, x);
    for (size_t i = 0; i < x->wanted && status == SC_OK; i++) status = put_example(out, t, x->from->at[pick[i]], c, err);
    mem_free(pick);
    return status;
}

static sc_status put_first(struct turns *out, const struct eval_task *t, struct eval_examples *x, const struct eval_chat *c, sc_error *err)
{
    size_t n = t->fixed_examples ? json_array_size(t->fixed_examples) : x->from->n;
    if (x->wanted > n) return FAIL(err, SC_E_ARGUMENT, "%zu examples are wanted, but %s has only %zu", x->wanted, t->fixed_examples ? t->name : x->from->file, n);
    for (size_t i = 0; i < x->wanted; i++) TRY(put_example(out, t, t->fixed_examples ? json_array_get(t->fixed_examples, i) : x->from->at[i], c, err));
    return SC_OK;
}

/* The instruction and the description are the system's. */
static sc_status put_beginning(struct turns *out, const struct eval_task *t, const json_t *document, struct eval_examples *x, const struct eval_chat *c, sc_error *err)
{
    json_t *text = NULL;
    if (t->description.jinja) TRY(eval_template_value(&text, &t->description, document, "description", err));
    char *system = turns_join(c ? c->system : "", json_is_string(text) ? json_string_value(text) : "", t->example_delimiter);
    if (*system) turns_add(out, TURN_SYSTEM, system, "");
    mem_free(system);
    json_decref(text);
    if (!x->wanted) return SC_OK;
    return t->fixed_examples || t->examples_are_first ? put_first(out, t, x, c, err) : put_drawn(out, t, document, x, c, err);
}

/* ---- the question --------------------------------------------------------------------------------------------------------------------------------- */

static char *joined(const char *a, const char *b)
{
    size_t n = strlen(a), m = strlen(b);
    char *out = mem_alloc(n + m + 1);
    memcpy(out, a, n);
    memcpy(out + n, b, m + 1);
    return out;
}

static sc_status set_gold(struct eval_ask *a, const struct view *v, const struct eval_task *t, sc_error *err)
{
    const json_t *gold = t->choices_are_contexts ? v->text : v->target;
    a->gold = -1;
    if (json_is_array(gold)) return SC_OK;
    if (json_is_integer(gold)) a->gold = json_integer_value(gold);
    for (size_t i = 0; json_is_string(gold) && i < a->n_options && a->gold < 0; i++)
        if (!strcmp(json_string_value(json_array_get(v->choices, i)), json_string_value(gold))) a->gold = (int64_t)i;
    if (a->gold >= 0 && (size_t)a->gold < a->n_options) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "the right answer of %s is none of the %zu choices", t->name, a->n_options);
}

/* One more context: the beginning, a question, and how its answer begins. The beginning stays as it was. */
static sc_status add_context(struct eval_ask *a, struct turns *beginning, const char *question, const char *prefix, const char *delimiter, struct eval_chat *c, sc_error *err)
{
    size_t n = beginning->n;
    put_question(beginning, question, prefix, delimiter);
    sc_status status = turns_write(&a->context[a->n_contexts], beginning, c, err);
    a->n_contexts += status == SC_OK;
    turns_cut(beginning, n);
    return status;
}

/* A template's answer begins where it begins: no blank before it, unless something unfinished stands there. */
static const char *choice_delimiter(const struct eval_task *t, const struct eval_chat *c)
{
    const struct eval_prefix *prefix = prefix_template(t, c);
    return !is_chat(c) || (prefix->text.jinja && !prefix->ends_blank) ? t->target_delimiter : "";
}

static sc_status fill_choice(struct eval_ask *a, const struct view *v, const struct eval_task *t, struct turns *beginning, struct eval_chat *c, sc_error *err)
{
    const char *one = t->choices_are_contexts ? json_string_value(v->target) : json_string_value(v->text), *delimiter = choice_delimiter(t, c);
    a->n_options = json_array_size(v->choices);
    a->choices = json_incref(v->choices);
    if (!one) return FAIL(err, SC_E_FORMAT, "%s gives no text where one is needed", t->name);
    size_t n_contexts = t->choices_are_contexts ? a->n_options : 1;
    a->context = mem_zero(n_contexts, sizeof *a->context);
    a->n_continuations = t->choices_are_contexts ? 1 : a->n_options;
    a->continuation = mem_zero(a->n_continuations, sizeof *a->continuation);
    for (size_t i = 0; i < a->n_continuations; i++) a->continuation[i] = joined(delimiter, t->choices_are_contexts ? one : json_string_value(json_array_get(v->choices, i)));
    for (size_t i = 0; i < n_contexts; i++)
        TRY(add_context(a, beginning, t->choices_are_contexts ? json_string_value(json_array_get(v->choices, i)) : one, prefix_of(v), t->choices_are_contexts ? "" : t->target_delimiter, c, err));
    return set_gold(a, v, t, err);
}

static sc_status fill_text(struct eval_ask *a, const struct view *v, const struct eval_task *t, struct turns *beginning, struct eval_chat *c, sc_error *err)
{
    const char *text = v->text ? json_string_value(v->text) : "", *target = json_string_value(v->target);
    bool has_answer = t->output != EVAL_GENERATE && t->output != EVAL_CODE;
    if (!text || (has_answer && !target)) return FAIL(err, SC_E_FORMAT, "%s gives no text where one is needed", t->name);
    a->context = mem_zero(1, sizeof *a->context);
    TRY(add_context(a, beginning, text, prefix_of(v), t->target_delimiter, eval_is_whole(t->output) ? NULL : c, err));
    a->n_options = 1;
    if (!has_answer) return SC_OK;
    a->continuation = mem_zero(1, sizeof *a->continuation);
    a->continuation[0] = mem_strdup(target);             /* the delimiter stands before answers of examples alone */
    a->n_continuations = 1;
    return SC_OK;
}

static sc_status fill_suffix(struct eval_ask *a, const struct eval_task *t, const json_t *document, sc_error *err)
{
    json_t *text = NULL;
    TRY(eval_template_value(&text, &t->suffix, document, "doc_to_suffix", err));
    if (json_is_string(text)) a->suffix = mem_strdup(json_string_value(text));
    json_decref(text);
    return a->suffix ? SC_OK : FAIL(err, SC_E_FORMAT, "doc_to_suffix of %s gives no text", t->name);
}

sc_status eval_ask_document(struct eval_ask *out, const struct eval_task *t, const struct eval_documents *d, size_t i, struct eval_examples *x, struct eval_chat *c, sc_error *err)
{
    struct view v;
    struct turns beginning = { 0 };
    *out = (struct eval_ask){ .document = i, .gold = -1 };
    TRY(view_open(&v, t, d->at[i], c, err));
    sc_status status = eval_is_whole(t->output) ? SC_OK : put_beginning(&beginning, t, d->at[i], x, c, err);
    if (status == SC_OK) status = t->output == EVAL_CHOICE ? fill_choice(out, &v, t, &beginning, c, err) : fill_text(out, &v, t, &beginning, c, err);
    if (status == SC_OK && t->suffix.jinja) status = fill_suffix(out, t, d->at[i], err);
    out->target = json_incref(v.target);
    view_release(&v);
    turns_release(&beginning);
    if (status != SC_OK) eval_ask_release(out);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "document %zu", i);
}

void eval_ask_release(struct eval_ask *a)
{
    for (size_t i = 0; i < a->n_contexts; i++) {
        mem_free(a->context[i].text);
        mem_free(a->context[i].trusted);
    }
    for (size_t i = 0; i < a->n_continuations; i++) mem_free(a->continuation[i]);
    mem_free(a->context);
    mem_free(a->continuation);
    mem_free(a->suffix);
    json_decref(a->target);
    json_decref(a->choices);
    *a = (struct eval_ask){ 0 };
}
