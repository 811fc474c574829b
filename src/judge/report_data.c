/* report_data.c - all that the page shows, as one JSON value: every text once, names as numbers. */
#include "report.h"

#include <math.h>
#include <string.h>

/* ---- names as numbers ---------------------------------------------------------------------------------------------------------------------------- */

/* Texts in the order they came, with their places. */
struct name_list { json_t *list, *place; };

static int64_t place_of(struct name_list *n, const char *key, json_t *value)
{
    const json_t *found = json_object_get(n->place, key);
    if (found) {
        json_decref(value);
        return json_integer_value(found);
    }
    json_object_set_new(n->place, key, json_integer((json_int_t)json_array_size(n->list)));
    json_array_append_new(n->list, value);
    return (int64_t)json_array_size(n->list) - 1;
}

static json_t *texts(char *const *at, size_t n)
{
    json_t *out = json_array();
    for (size_t i = 0; i < n; i++) json_array_append_new(out, at[i] ? json_string(at[i]) : json_null());
    return out;
}

static json_t *text_or_null(const char *text) { return text ? json_string(text) : json_null(); }

static json_t *prompt_json(const struct judge_prompt *p)
{
    return json_pack("{s:s, s:o, s:o, s:o, s:o}", "id", p->id, "slice", text_or_null(p->slice), "language", text_or_null(p->language), "turns", texts(p->turn, p->n_turns), "reference", texts(p->reference, p->n_references));
}

/* ---- the value ------------------------------------------------------------------------------------------------------------------------------------ */

struct making { struct name_list models, judges, prompts; };

static void begin(struct making *m, const struct report *r)
{
    struct name_list *const all[] = { &m->models, &m->judges, &m->prompts };
    const json_t *named, *models = json_object_get(r->verdict, "models");
    size_t i;
    for (i = 0; i < 3; i++) *all[i] = (struct name_list){ json_array(), json_object() };
    for (i = 0; i < r->prompts.n; i++) place_of(&m->prompts, r->prompts.at[i].id, prompt_json(&r->prompts.at[i]));
    json_array_foreach(models, i, named)
        if (json_is_string(named)) place_of(&m->models, json_string_value(named), json_incref((json_t *)(uintptr_t)named));
}

/* A foreign file may judge prompts that are nowhere: they have an id alone. */
static int64_t prompt_place(struct making *m, const struct judgement *j)
{
    const struct judge_prompt bare = { .id = j->id, .slice = j->slice, .language = j->language };
    const json_t *found = json_object_get(m->prompts.place, j->id);
    return found ? json_integer_value(found) : place_of(&m->prompts, j->id, prompt_json(&bare));
}

static int64_t judge_place(struct making *m, const struct judgement *j)
{
    struct buf key;
    buf_init(&key, 0);
    buf_put_json_string(&key, j->judge, strlen(j->judge));
    buf_put_json_string(&key, j->protocol ? j->protocol : "", j->protocol ? strlen(j->protocol) : 0);
    int64_t at = place_of(&m->judges, key.data, json_pack("{s:s, s:s}", "judge", j->judge, "protocol", j->protocol ? j->protocol : ""));
    buf_release(&key);
    return at;
}

static json_t *judgement_value(struct making *m, const struct judgement *j)
{
    json_t *out = json_pack("{s:I, s:I, s:i, s:o, s:i}", "j", (json_int_t)judge_place(m, j), "p", (json_int_t)prompt_place(m, j), "t", j->turn, "m", json_array(), "w", j->error ? 0 : (int)j->opinion.winner);
    for (int i = 0; i < 2 && j->model[i]; i++) json_array_append_new(json_object_get(out, "m"), json_integer((json_int_t)place_of(&m->models, j->model[i], json_string(j->model[i]))));
    if (j->opinion.n_scores) json_object_set_new(out, "s", json_array());
    for (int i = 0; i < j->opinion.n_scores; i++) json_array_append_new(json_object_get(out, "s"), json_real(j->opinion.score[i]));
    if (j->opinion.strength > 1) json_object_set_new(out, "strength", json_integer(j->opinion.strength));
    if (isfinite(j->opinion.share)) json_object_set_new(out, "share", json_real(j->opinion.share));
    if (j->text) json_object_set_new(out, "text", json_string(j->text));
    if (j->error) json_object_set_new(out, "error", json_string(j->error));
    if (!j->canary) return out;
    json_object_set_new(out, "canary", json_string(j->canary));
    json_object_set_new(out, "slot", json_integer(j->canary_slot));
    return out;
}

static json_t *answers_value(struct making *m, const struct judge_answers *a)
{
    json_t *out = json_array();
    for (size_t i = 0; i < a->n; i++) {
        const json_t *prompt = json_object_get(m->prompts.place, a->at[i].id);
        if (!prompt) continue;                                 /* of a prompt that nobody judged */
        json_array_append_new(out, json_pack("{s:I, s:I, s:o, s:i, s:i}", "m", (json_int_t)place_of(&m->models, a->at[i].model, json_string(a->at[i].model)), "p", json_integer_value(prompt), "turns", texts(a->at[i].turn, a->at[i].n_turns), "leaks",
                                                 a->at[i].leaks, "cut", a->at[i].cut));
    }
    return out;
}

/* The range of scores that each protocol allows, where it is known here. */
static json_t *ranges_value(const json_t *judges)
{
    json_t *out = json_object();
    const json_t *one;
    size_t i;
    json_array_foreach(judges, i, one) {
        const char *name = json_string_value(json_object_get(one, "protocol"));
        struct judge_protocol *p = NULL;
        sc_error unknown;
        double low, high;
        if (!*name || strchr(name, '/') || json_object_get(out, name) || judge_protocol_open(&p, name, &unknown) != SC_OK) continue;
        if (judge_protocol_range(p, &low, &high)) json_object_set_new(out, name, json_pack("[f, f]", low, high));
        judge_protocol_close(p);
    }
    return out;
}

static const char *title_of(const char *directory)
{
    const char *slash = strrchr(directory, '/');
    return slash && slash[1] ? slash + 1 : directory;
}

json_t *report_data(const struct report *r)
{
    struct making m;
    struct buf title;
    buf_init(&title, 0);
    utf8_repair(&title, title_of(r->directory), strlen(title_of(r->directory)));
    json_t *judgements = json_array();
    begin(&m, r);
    for (size_t i = 0; i < r->judgements.n; i++) json_array_append_new(judgements, judgement_value(&m, &r->judgements.at[i]));
    json_t *answers = answers_value(&m, &r->answers), *ranges = ranges_value(m.judges.list);
    json_t *out = json_pack("{s:s, s:s, s:O, s:o, s:o, s:o, s:o, s:o, s:o, s:O, s:O, s:O}", "title", title.data ? title.data : "", "version", SC_VERSION, "run", r->run, "models", m.models.list, "judges", m.judges.list, "ranges", ranges, "prompts", m.prompts.list,
                            "answers", answers, "judgements", judgements, "audit", r->audit, "verdict", r->verdict, "odd", r->odd);
    buf_release(&title);
    json_decref(m.models.place);
    json_decref(m.judges.place);
    json_decref(m.prompts.place);
    return out;
}

void report_put_json(struct buf *out, const json_t *value)
{
    char *text = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(10));
    const char *begin = text ? text : "null", *at = begin;
    for (; *at; at++) {
        bool is_separator = !strncmp(at, "\xE2\x80\xA8", 3) || !strncmp(at, "\xE2\x80\xA9", 3);
        if (*at != '<' && *at != '>' && *at != '&' && !is_separator) continue;
        buf_append(out, begin, (size_t)(at - begin));
        buf_printf(out, "\\u%04x", is_separator ? 0x2000u + (unsigned char)at[2] - 0x80u : (unsigned)*at);
        at += is_separator ? 2 : 0;
        begin = at + 1;
    }
    buf_append(out, begin, (size_t)(at - begin));
    mem_free(text);
}
