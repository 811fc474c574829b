/* compare_pairs.c - which sample of one file is the same question as which of another, and what was asked differently. */
#include "eval/scores.h"

#include <stdlib.h>
#include <string.h>

/* ---- pairs ------------------------------------------------------------------------------------------------------------------------------ */

struct entry { const json_t *sample; const char *hash; json_int_t id; bool is_paired; };
struct side { struct entry *at; size_t n; bool all_hashed; };

static struct side side_of(const json_t *samples, const char *filter)
{
    struct side s = { mem_zero(json_array_size(samples) + 1, sizeof *s.at), 0, true };
    const json_t *one;
    size_t i;
    json_array_foreach(samples, i, one) {
        if (!eval_has_filter(one, filter)) continue;
        const char *hash = json_string_value(json_object_get(one, "doc_hash"));
        s.at[s.n++] = (struct entry){ .sample = one, .hash = hash ? hash : "", .id = json_integer_value(json_object_get(one, "doc_id")) };
        s.all_hashed = s.all_hashed && hash;
    }
    return s;
}

static int by_hash(const struct entry *a, const struct entry *b) { return strcmp(a->hash, b->hash); }
static int by_id(const struct entry *a, const struct entry *b) { return (a->id > b->id) - (a->id < b->id); }
static int by_both(const struct entry *a, const struct entry *b)
{
    int order = by_hash(a, b);
    return order ? order : by_id(a, b);
}
static int sort_both(const void *a, const void *b) { return by_both(a, b); }
static int sort_id(const void *a, const void *b) { return by_id(a, b); }

/* Both sides are sorted by `order`; entries that are equal and not paired yet become pairs. */
static void merge(struct eval_pairing *out, struct side *a, struct side *b, int (*order)(const struct entry *a, const struct entry *b))
{
    for (size_t i = 0, k = 0; i < a->n && k < b->n;) {
        if (a->at[i].is_paired) { i++; continue; }
        if (b->at[k].is_paired) { k++; continue; }
        int sign = order(&a->at[i], &b->at[k]);
        if (sign == 0) {
            out->at[out->n++] = (struct eval_match){ a->at[i].sample, b->at[k].sample };
            a->at[i].is_paired = b->at[k].is_paired = true;
        }
        i += sign <= 0;
        k += sign >= 0;
    }
}

static json_int_t id_of(const json_t *sample) { return json_integer_value(json_object_get(sample, "doc_id")); }
static int match_by_id(const void *a, const void *b)
{
    json_int_t x = id_of(((const struct eval_match *)a)->a), y = id_of(((const struct eval_match *)b)->a);
    return (x > y) - (x < y);
}

static const json_t **rest_of(struct side *s, size_t *n)
{
    const json_t **out = mem_alloc((s->n + 1) * sizeof *out);
    qsort(s->at, s->n, sizeof *s->at, sort_id);
    for (size_t i = 0; i < s->n; i++)
        if (!s->at[i].is_paired) out[(*n)++] = s->at[i].sample;
    return out;
}

static bool is_other(const struct eval_match *m, const char *hash)
{
    const char *a = json_string_value(json_object_get(m->a, hash)), *b = json_string_value(json_object_get(m->b, hash));
    return a && b && strcmp(a, b) != 0;
}

void eval_pair_samples(struct eval_pairing *out, const json_t *a, const json_t *b, const char *filter)
{
    struct side left = side_of(a, filter), right = side_of(b, filter);
    bool hashed = left.all_hashed && right.all_hashed;
    *out = (struct eval_pairing){ .at = mem_alloc((left.n + 1) * sizeof *out->at) };
    qsort(left.at, left.n, sizeof *left.at, hashed ? sort_both : sort_id);
    qsort(right.at, right.n, sizeof *right.at, hashed ? sort_both : sort_id);
    merge(out, &left, &right, hashed ? by_both : by_id);
    if (hashed) merge(out, &left, &right, by_hash);
    qsort(out->at, out->n, sizeof *out->at, match_by_id);
    out->only_a = rest_of(&left, &out->n_only_a);
    out->only_b = rest_of(&right, &out->n_only_b);
    for (size_t i = 0; i < out->n; i++) {
        out->other_prompts += is_other(&out->at[i], "prompt_hash");
        out->other_targets += is_other(&out->at[i], "target_hash");
    }
    mem_free(left.at);
    mem_free(right.at);
}

void eval_pairing_release(struct eval_pairing *p)
{
    mem_free(p->at);
    mem_free(p->only_a);
    mem_free(p->only_b);
    *p = (struct eval_pairing){ 0 };
}

/* ---- what was set differently ------------------------------------------------------------------------------------------------------------ */

static bool differ(const json_t *a, const json_t *b) { return a && b && !json_equal(a, b); }

static void say(struct buf *out, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void say(struct buf *out, const char *format, ...)
{
    char text[200];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_printf(out, "%s%s", out->len ? ", " : "", text);
}

/* "shots (0 and 5)" */
static void say_number(struct buf *out, const char *name, const json_t *a, const json_t *b)
{
    if (json_is_number(a) && json_is_number(b) && json_number_value(a) != json_number_value(b)) say(out, "%s (%.10g and %.10g)", name, json_number_value(a), json_number_value(b));
}

static bool data_differs(const json_t *a, const json_t *b)
{
    bool other = json_array_size(a) != json_array_size(b);
    for (size_t i = 0; i < json_array_size(a) && !other; i++)
        other = differ(json_object_get(json_array_get(a, i), "sha256"), json_object_get(json_array_get(b, i), "sha256"));
    return a && b && other;
}

void eval_say_differences(struct buf *out, const struct eval_record *a, const struct eval_record *b, const char *task)
{
    static const char *const templates[] = { "doc_to_text", "doc_to_choice", "doc_to_target", "description", "target_delimiter", "fewshot_delimiter" };
    static const char *const chat[] = { "chat_template", "chat_template_sha", "apply_chat_template", "system_instruction", "system_instruction_sha", "system_prompt", "fewshot_as_multiturn" };
    const json_t *x = eval_record_get(a, "configs", task), *y = eval_record_get(b, "configs", task);
    bool other = false;
    say_number(out, "shots", eval_record_get(a, "n-shot", task), eval_record_get(b, "n-shot", task));
    if (data_differs(eval_record_get(a, "data", task), eval_record_get(b, "data", task))) say(out, "the data files (by sha256)");
    say_number(out, "limit", eval_record_get(a, "config", "limit"), eval_record_get(b, "config", "limit"));
    say_number(out, "seed of the examples", eval_record_get(a, "config", "fewshot_seed"), eval_record_get(b, "config", "fewshot_seed"));
    say_number(out, "version of the task", eval_record_get(a, "versions", task), eval_record_get(b, "versions", task));
    for (size_t i = 0; i < sizeof templates / sizeof *templates; i++)
        if (differ(json_object_get(x, templates[i]), json_object_get(y, templates[i]))) say(out, "the template %s", templates[i]);
    for (size_t i = 0; i < sizeof chat / sizeof *chat; i++)
        other |= differ(json_object_get(a->all, chat[i]), json_object_get(b->all, chat[i])) || differ(eval_record_get(a, "config", chat[i]), eval_record_get(b, "config", chat[i]));
    if (other) say(out, "the chat template or its system message");
}
