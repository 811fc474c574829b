/* score_samples.c - the questions of a task that teach most: what the model had wrong and was sure of, and what it had right by a hair. */
#include "eval/scores.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

enum { SHOWN = 20, OPTIONS_MAX = 64, TEXT_BYTES_MAX = 1500 };

/* ---- a sample as we or lm-eval wrote it -------------------------------------------------------------------------------------------------- */

/* Argument k of option i: {"gen_args_0":{"arg_0":...}}, in older files [[context, continuation]]. */
static const json_t *argument(const json_t *sample, size_t i, size_t k)
{
    const json_t *all = json_object_get(sample, "arguments");
    char option[40], name[40];
    snprintf(option, sizeof option, "gen_args_%zu", i);
    snprintf(name, sizeof name, "arg_%zu", k);
    return json_is_array(all) ? json_array_get(json_array_get(all, i), k) : json_object_get(json_object_get(all, option), name);
}

static size_t n_options(const json_t *sample)
{
    size_t n = json_array_size(json_object_get(sample, "resps"));
    return n < OPTIONS_MAX ? n : OPTIONS_MAX;
}

/* The log-likelihood of option i: [["-23.5", "False"]], or numbers; false for an answer in writing. */
static bool likelihood(const json_t *sample, size_t i, double *out)
{
    const json_t *resp = json_array_get(json_array_get(json_object_get(sample, "resps"), i), 0), *x = json_is_array(resp) ? json_array_get(resp, 0) : resp;
    char *end;
    if (json_is_string(x) && json_is_array(resp)) {
        *out = strtod(json_string_value(x), &end);
        return end != json_string_value(x) && isfinite(*out);
    }
    *out = json_number_value(x);
    return json_is_number(x);
}

/* What the model thought of the options. share: of the probability, of one option its own. */
struct opinion { size_t n, chosen; double log[OPTIONS_MAX], share[OPTIONS_MAX]; };

static bool opinion_of(struct opinion *o, const json_t *sample)
{
    double sum = 0;
    *o = (struct opinion){ .n = n_options(sample) };
    for (size_t i = 0; i < o->n; i++) {
        if (!likelihood(sample, i, &o->log[i])) return false;
        if (o->log[i] > o->log[o->chosen]) o->chosen = i;
    }
    for (size_t i = 0; i < o->n; i++) sum += exp(o->log[i] - o->log[o->chosen]);
    for (size_t i = 0; i < o->n; i++) o->share[i] = o->n > 1 ? exp(o->log[i] - o->log[o->chosen]) / sum : exp(o->log[i]);
    return o->n > 0;
}

/* Index of the right option; -1 if the sample does not say. */
static int gold_of(const json_t *sample, const struct opinion *o, double value)
{
    const json_t *target = json_object_get(sample, "target");
    const char *text = json_string_value(target);
    char *end = NULL;
    long index = text && *text ? strtol(text, &end, 10) : json_is_integer(target) ? (long)json_integer_value(target) : -1;
    if (o->n < 2) return o->n ? 0 : -1;
    if ((!text || (end && !*end && end != text)) && index >= 0 && (size_t)index < o->n) return (int)index;
    return value == 1 ? (int)o->chosen : o->n == 2 && value == 0 ? 1 - (int)o->chosen : -1;
}

/* ---- which ------------------------------------------------------------------------------------------------------------------------------------ */

struct shown { const json_t *sample; double value, sure; json_int_t id; };
struct choice { struct shown *at; size_t n; bool is_binary; };

static int by_id(const struct shown *a, const struct shown *b) { return (a->id > b->id) - (a->id < b->id); }
/* Wrong ones first, from the surest down, then right ones, from the least sure up. */
static int by_lesson(const void *a, const void *b)
{
    const struct shown *x = a, *y = b;
    if (x->value != y->value) return x->value < y->value ? -1 : 1;
    if (x->sure != y->sure) return (x->sure > y->sure) == (x->value == 0) ? -1 : 1;
    return by_id(x, y);
}

/* How sure the model was of what it did: of its choice, or of not giving the one continuation it was asked for. */
static double sureness(const json_t *sample, double value)
{
    struct opinion o;
    if (!opinion_of(&o, sample)) return 0;
    return o.n > 1 ? o.share[o.chosen] : value == 0 ? -o.log[0] : o.log[0];
}

static struct choice choose(const json_t *samples, const char *metric, const char *filter)
{
    struct choice c = { mem_alloc((json_array_size(samples) + 1) * sizeof *c.at), 0, true };
    struct eval_how how = eval_how_of(metric);
    const json_t *s;
    size_t i;
    json_array_foreach(samples, i, s) {
        double value, weight;
        if (!eval_has_filter(s, filter) || !eval_sample_number(s, metric, &how, &value, &weight)) continue;
        value /= weight;
        c.is_binary = c.is_binary && (value == 0 || value == 1);
        c.at[c.n++] = (struct shown){ s, value, sureness(s, value), json_integer_value(json_object_get(s, "doc_id")) };
    }
    qsort(c.at, c.n, sizeof *c.at, by_lesson);
    return c;
}

/* ---- one -------------------------------------------------------------------------------------------------------------------------------------------- */

/* The end of a text, from the beginning of a character. */
static void put_tail(struct sheet *page, const char *label, const char *text, size_t len)
{
    size_t skip = len > TEXT_BYTES_MAX ? len - TEXT_BYTES_MAX : 0;
    struct buf b;
    while (skip && skip < len && ((unsigned char)text[skip] & 0xC0) == 0x80) skip++;
    buf_init(&b, 0);
    buf_puts(&b, skip ? "\u2026" : "");
    buf_append(&b, text + skip, len - skip);
    sheet_block(page, label, b.data, b.len);
    buf_release(&b);
}

static void put_json_text(struct sheet *page, const char *label, const json_t *v)
{
    if (json_is_string(v)) {
        put_tail(page, label, json_string_value(v), json_string_length(v));
    } else if (v) {
        char *dump = json_dumps(v, JSON_ENCODE_ANY);
        if (dump) put_tail(page, label, dump, strlen(dump));
        mem_free(dump);
    }
}

static void put_options(struct sheet *page, const json_t *sample, const struct opinion *o, double value)
{
    static const char *const columns[] = { "option", ">log-likelihood", ">share", "" };
    bool contexts = o->n > 1 && !json_equal(argument(sample, 0, 0), argument(sample, 1, 0));       /* the options stand before the text that is scored */
    int gold = gold_of(sample, o, value);
    put_json_text(page, contexts ? "continuation" : "question", argument(sample, 0, contexts));
    sheet_table(page, columns, sizeof columns / sizeof *columns);
    for (size_t i = 0; i < o->n; i++) {
        const json_t *text = argument(sample, i, !contexts);
        size_t len = json_string_length(text), skip = len > TEXT_BYTES_MAX ? len - TEXT_BYTES_MAX : 0;
        sheet_cell(page, false, json_is_string(text) ? json_string_value(text) + skip : "", len - skip);
        sheet_cellf(page, true, "%.3f", o->log[i]);
        sheet_cellf(page, true, "%.1f %%", 100 * o->share[i]);
        sheet_cellf(page, false, "%s%s%s", o->n > 1 && i == o->chosen ? "likeliest" : "", o->n > 1 && i == o->chosen && (int)i == gold ? ", " : "", (int)i == gold ? "right" : "");
        sheet_row_end(page);
    }
    sheet_table_end(page);
}

static void put_sample(struct sheet *page, const struct shown *x, bool is_binary)
{
    const json_t *s = x->sample;
    struct opinion o;
    bool has_opinion = opinion_of(&o, s);
    char sure[60] = "";
    if (has_opinion && o.n > 1) snprintf(sure, sizeof sure, ", %.0f %% sure", 100 * o.share[o.chosen]);
    if (is_binary) sheet_fold(page, "document %" JSON_INTEGER_FORMAT ": %s%s", x->id, x->value == 1 ? "right" : "wrong", sure);
    else sheet_fold(page, "document %" JSON_INTEGER_FORMAT ": %.4f%s", x->id, x->value, sure);
    if (has_opinion) {
        put_options(page, s, &o, x->value);
    } else {
        put_json_text(page, "question", argument(s, 0, 0));
        put_json_text(page, "the model wrote", json_array_get(json_array_get(json_object_get(s, "resps"), 0), 0));
        put_json_text(page, "taken as its answer", json_array_get(json_object_get(s, "filtered_resps"), 0));
        put_json_text(page, "right", json_object_get(s, "target"));
    }
    sheet_fold_end(page);
}

/* Half from each end of the order, more where the other end has fewer. */
static void put_chosen(struct sheet *page, const struct choice *c)
{
    size_t wrong = 0;
    while (wrong < c->n && (c->is_binary ? c->at[wrong].value == 0 : wrong < c->n / 2)) wrong++;
    size_t right = c->n - wrong, low = wrong < SHOWN / 2 ? wrong : SHOWN / 2, high = right < SHOWN - low ? right : SHOWN - low;
    if (low + high < SHOWN && wrong > low) low = wrong < SHOWN - high ? wrong : SHOWN - high;
    for (size_t i = 0; i < low; i++) put_sample(page, &c->at[i], c->is_binary);
    size_t from = c->is_binary ? wrong : c->n - high;          /* right ones begin with the least sure; numbers end with the highest */
    for (size_t i = 0; i < high; i++) put_sample(page, &c->at[from + i], c->is_binary);
}

void eval_score_samples(struct sheet *page, const struct eval_record *r, const char *task)
{
    const char *key, *filter = NULL;
    char *metric = NULL;
    json_t *value;
    struct buf title;
    json_object_foreach((json_t *)(uintptr_t)eval_record_get(r, "results", task), key, value)
        if (eval_score_key(&metric, &filter, key, value)) break;
    if (!metric) return;
    struct choice c = choose(json_object_get(r->samples, task), metric, filter);
    buf_init(&title, 0);
    buf_printf(&title, "Samples of %s", task);
    if (c.n) {
        sheet_heading(page, title.data);
        sheet_text(page, "By %s (filter %s): %s", metric, filter, c.is_binary ? "wrong ones of which the model was surest, then right ones of which it was least sure." : "those with the lowest values, then those with the highest.");
        put_chosen(page, &c);
    }
    buf_release(&title);
    mem_free(metric);
    mem_free(c.at);
}
