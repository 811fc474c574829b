/* card_header.c - the YAML at the top of a card, as the Hub reads it (huggingface_hub.ModelCardData, EvalResult). What is not known is left out. */
#include "card/card.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "hub/hub.h"

enum { LANGUAGE_SHARE = 20, TAGS_MAX = 8 };

static void put_line(struct buf *out, const char *key, const char *value)
{
    buf_printf(out, "%s: ", key);
    yaml_put_string(out, value);
    buf_putc(out, '\n');
}

static void put_list(struct buf *out, const char *key, const json_t *list)
{
    size_t i;
    const json_t *item;
    if (!json_array_size(list)) return;
    buf_printf(out, "%s:\n", key);
    json_array_foreach(list, i, item) {
        buf_puts(out, "- ");
        yaml_put_string(out, json_string_value(item));
        buf_putc(out, '\n');
    }
}

static void add_once(json_t *list, const char *text)
{
    for (size_t i = 0; i < json_array_size(list); i++)
        if (strcmp(json_string_value(json_array_get(list, i)), text) == 0) return;
    json_array_append_new(list, json_string(text));
}

/* ---- languages, data sets, tags ---------------------------------------------------------------------------------------------------------- */

/* Codes that were given; else those of at least a twentieth of the dialogues that it was trained on. */
static json_t *languages_of(const struct card_facts *f)
{
    json_t *out = json_array();
    for (const char *at = f->c->language ? f->c->language : ""; *at;) {
        size_t n = strcspn(at, ", ");
        if (n) json_array_append_new(out, json_stringn(at, n));
        at += n + (at[n] != 0);
    }
    if (json_array_size(out)) return out;
    size_t i;
    const json_t *origin;
    json_array_foreach(json_object_get(f->training, "inputs"), i, origin) {
        const json_t *counts = json_object_get(json_object_get(origin, "dataset"), "counts"), *one;
        const char *code;
        double all = real_member(counts, "dialogues");
        if (strcmp(text_member(origin, "role"), "data") != 0) continue;
        json_object_foreach(json_object_get(counts, "per_language"), code, one)
            if (*code && strlen(code) <= 3 && LANGUAGE_SHARE * real_member(one, "dialogues") >= all) add_once(out, code);
    }
    return out;
}

/* Those that came from the Hub, by their names there. */
static json_t *datasets_of(const struct card_facts *f)
{
    json_t *out = json_array();
    size_t i, k;
    const json_t *origin, *source;
    json_array_foreach(json_object_get(f->training, "inputs"), i, origin)
        json_array_foreach(json_object_get(json_object_get(origin, "dataset"), "sources"), k, source) {
            const char *from = text_member(source, "source");
            if (strncmp(from, "datasets/", 9) == 0) from += 9;
            if (strcmp(text_member(origin, "role"), "data") == 0 && repo_id_is_valid(from, strlen(from))) add_once(out, from);
        }
    return out;
}

static json_t *tags_of(const struct card_facts *f)
{
    json_t *out = json_pack("[s]", "starchat");
    const char *loss = text_member(json_object_get(f->training, "recipe"), "loss_type");
    if (f->form == CARD_ADAPTER) json_array_append_new(out, json_string("lora"));
    if (f->gguf) json_array_append_new(out, json_string("gguf"));
    if (*loss) json_array_append_new(out, json_string(loss));
    if (f->has_template) json_array_append_new(out, json_string("conversational"));
    return out;
}

/* ---- results ----------------------------------------------------------------------------------------------------------------------------------- */

static void put_metric(struct buf *out, const char *key, const char *metric, double value)
{
    buf_puts(out, "    - type: ");
    yaml_put_string(out, metric);
    buf_puts(out, "\n      name: ");
    yaml_put_string(out, key);
    buf_printf(out, "\n      value: %.6g\n", value);
}

/* A task's scores; the data set is the Hub's where the task says so. */
static bool put_task(struct buf *out, const struct eval_record *r, const char *task, const json_t *scores)
{
    const json_t *config = eval_record_get(r, "configs", task), *value;
    const char *path = text_member(config, "dataset_path"), *key, *filter;
    bool has_any = false;
    char *metric;
    json_object_foreach((json_t *)(uintptr_t)scores, key, value) {
        if (!eval_score_key(&metric, &filter, key, value)) continue;
        if (isfinite(json_number_value(value))) {
            if (!has_any) {
                buf_puts(out, "  - task:\n      type: text-generation\n    dataset:\n      name: ");
                yaml_put_string(out, task);
                buf_puts(out, "\n      type: ");
                yaml_put_string(out, *path ? path : task);
                buf_puts(out, "\n    metrics:\n");
            }
            has_any = true;
            put_metric(out, key, metric, json_number_value(value));
        }
        mem_free(metric);
    }
    return has_any;
}

static void put_index(struct buf *out, const struct card_facts *f)
{
    struct buf results;
    const char *task;
    const json_t *scores;
    bool any = false;
    buf_init(&results, 0);
    for (size_t i = 0; i < f->n_eval; i++)
        if (facts_measured_on(f, &f->eval[i]) == MEASURED_THIS)
            json_object_foreach(json_object_get(f->eval[i].all, "results"), task, scores) any |= put_task(&results, &f->eval[i], task, scores);
    if (any) {
        buf_puts(out, "model-index:\n- name: ");
        yaml_put_string(out, f->title);
        buf_puts(out, "\n  results:\n");
        buf_append(out, results.data, results.len);
    }
    buf_release(&results);
}

/* The Hub's identifiers are lower case without blanks ("Apache-2.0" is one in other letters); what is none becomes "other" with the name beside it. */
static void put_licence(struct buf *out, const char *licence)
{
    char *low = mem_strdup(licence);
    for (char *p = low; *p; p++)
        if (*p >= 'A' && *p <= 'Z') *p = (char)(*p - 'A' + 'a');
    bool is_identifier = strspn(low, "abcdefghijklmnopqrstuvwxyz0123456789.-") == strlen(low);
    put_line(out, "license", is_identifier ? low : "other");
    if (!is_identifier) put_line(out, "license_name", licence);
    mem_free(low);
}

void card_header(struct buf *out, const struct card_facts *f)
{
    json_t *lists[3] = { languages_of(f), datasets_of(f), tags_of(f) };
    static const char *const keys[3] = { "language", "datasets", "tags" };
    buf_puts(out, "---\n");
    if (f->licence) put_licence(out, f->licence);
    if (f->base_hub) put_line(out, "base_model", f->base_hub);
    if (f->base_hub && f->relation) put_line(out, "base_model_relation", f->relation);
    if (f->form != CARD_GGUF) put_line(out, "library_name", f->form == CARD_ADAPTER ? "peft" : "transformers");
    put_line(out, "pipeline_tag", "text-generation");
    for (size_t i = 0; i < 3; i++) {
        put_list(out, keys[i], lists[i]);
        json_decref(lists[i]);
    }
    put_index(out, f);
    buf_puts(out, "---\n");
}
