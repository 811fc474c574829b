/* prepare_work.c - what workers do with one record: parse, clean, render, label, cut. Nothing here looks at another
 * record, so the order does not matter. */
#include "data/prepare.h"

#include <stdio.h>
#include <string.h>

static uint64_t hash_text(const char *s, size_t len)
{
    uint64_t h = 1469598103934665603u;                    /* FNV-1a */
    for (size_t i = 0; i < len; i++) h = (h ^ (unsigned char)s[i]) * 1099511628211u;
    return h;
}

/* Dialogues of a tree, or with the same first question, belong together. */
static uint64_t group_of(const struct dialogue *d)
{
    size_t i;
    const json_t *m;
    if (d->group) return hash_text(d->group, strlen(d->group));
    if (d->text) return hash_text(d->text, strlen(d->text));
    json_array_foreach(d->messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        const json_t *content = json_object_get(m, "content");
        if (role && strcmp(role, "user") == 0 && json_is_string(content)) return hash_text(json_string_value(content), json_string_length(content));
    }
    return 0;
}

bool language_is_wanted(const char *wanted, const char *lang)
{
    for (size_t n; wanted && *wanted; wanted += n + (wanted[n] == ',')) {
        n = strcspn(wanted, ",");
        if (strlen(lang) >= n && strncmp(wanted, lang, n) == 0 && (!lang[n] || lang[n] == '-')) return true;
    }
    return false;
}

/* As the data says, else as it looks. */
static void find_language(struct prepared *p, const struct dialogue *d)
{
    struct buf b;
    size_t i;
    const json_t *m;
    if (d->lang) { snprintf(p->lang, sizeof p->lang, "%s", d->lang); return; }
    buf_init(&b, 4000);
    if (d->text) buf_append(&b, d->text, strlen(d->text) < 4000 ? strlen(d->text) : 4000);
    json_array_foreach(d->messages, i, m) {
        const char *content = json_string_value(json_object_get(m, "content"));
        size_t len = content ? strlen(content) : 0, room = 3999 - b.len;
        if (!content || b.len >= 3900) break;
        len = len < room ? len : room - utf8_incomplete_tail(content, room);
        buf_append(&b, content, len);
        buf_putc(&b, '\n');
    }
    snprintf(p->lang, sizeof p->lang, "%s", language_of(b.data ? b.data : "", b.len));
    buf_release(&b);
}

/* Renders one dialogue and cuts it into samples at the end of the list. */
static sc_status render_one(struct prepared *p, const struct workshop *s, const struct dialogue *d, enum overlength how, sc_error *err)
{
    struct token_row row;
    sc_error inner = { 0 };
    size_t limit = s->plan->packing == PACKING_CHOP ? SIZE_MAX : (size_t)s->plan->config->block_size;
    sc_status rendered = dialogue_render(&row, s->renderer, d, &inner), status = SC_OK;
    if (rendered != SC_OK) {
        p->why = rendered == SC_E_ARGUMENT ? DROP_TEMPLATE : DROP_UNALIGNED;
        snprintf(p->reason, sizeof p->reason, "%.190s", inner.message);
    } else {
        for (size_t i = 0; i < row.len; i++) {
            p->tokens[flag_who(row.flag[i])]++;
            p->trained += flag_trained(row.flag[i]);
        }
        status = samples_from_row(&p->samples, &row, limit, how, &p->n_dropped, &p->n_cut, err);
    }
    token_row_release(&row);
    return status;
}

/* Both answers to the same prompt, each as a dialogue of its own; a pair that is not whole is left out. */
static sc_status render_pair(struct prepared *p, const struct workshop *s, struct dialogue *d, sc_error *err)
{
    struct dialogue other = *d;
    enum overlength how = s->plan->overlength == OVERLENGTH_ERROR ? OVERLENGTH_ERROR : OVERLENGTH_DROP;
    if (!d->rejected) { p->why = DROP_NO_PAIR; return SC_OK; }
    other.messages = d->rejected;
    TRY(render_one(p, s, d, how, err));
    if (p->why == KEEP) TRY(render_one(p, s, &other, how, err));
    if (p->samples.len == 2 || p->why != KEEP) return SC_OK;
    sample_list_release(&p->samples);
    return SC_OK;
}

static void render(struct prepared *p, const struct workshop *s, struct dialogue *d, sc_status *status, sc_error *err)
{
    *status = s->plan->packing == PACKING_PAIRS ? render_pair(p, s, d, err) : render_one(p, s, d, (enum overlength)s->plan->overlength, err);
    if (p->why != KEEP) { sample_list_release(&p->samples); return; }
    for (size_t i = 0; i < p->samples.len; i++) {
        p->samples.sample[i].file = (uint32_t)d->input;
        p->samples.sample[i].line = d->line;
        p->samples.sample[i].index = d->index;
    }
    if (*status == SC_OK && !p->samples.len) p->why = p->trained ? DROP_TOO_LONG : DROP_NO_TRAINED;
}

static sc_status prepare_dialogue(struct prepared *p, const struct workshop *s, struct dialogue *d, sc_error *err)
{
    const struct plan *plan = s->plan;
    sc_status status = SC_OK;
    if (!d->text) TRY(dialogue_clean(d, &plan->clean, &p->notes, &p->why, err));
    p->n_turns = json_array_size(d->messages);
    if (p->why == KEEP && !d->text && (int64_t)p->n_turns < plan->config->min_turns) p->why = DROP_SHORT;
    if (p->why != KEEP) return SC_OK;
    find_language(p, d);
    if (plan->tree.lang && !language_is_wanted(plan->tree.lang, p->lang)) { p->why = DROP_LANGUAGE; return SC_OK; }
    p->group = group_of(d);
    if (plan->dedup != 2) dialogue_digest(p->digest, d);
    if (plan->dedup == 1) dialogue_minhash(&p->near, d);
    if (s->overlap) p->has_hit = overlap_find(s->overlap, d, &p->hit);
    if (p->has_hit && plan->config->drop_overlap) p->why = DROP_OVERLAP;
    if (p->why == KEEP && s->renderer) render(p, s, d, &status, err);
    return status;
}

/* Samples are all that is wanted of a dialogue now; here its memory is still near. */
static void messages_release(struct dialogue *d)
{
    json_decref(d->messages);
    json_decref(d->tools);
    d->messages = d->tools = NULL;
}

void work_one(void *workshop, size_t i, int worker)
{
    const struct workshop *s = workshop;
    struct work *w = &s->work[i];
    (void)worker;
    if (w->status != SC_OK) return;                       /* the reader could not read it */
    w->status = dialogues_from_record(&w->dialogues, &w->record, &s->plan->tree, &w->format, &w->error);
    w->prepared = mem_zero(w->dialogues.len + 1, sizeof *w->prepared);
    for (size_t k = 0; k < w->dialogues.len && w->status == SC_OK; k++) {
        w->status = prepare_dialogue(&w->prepared[k], s, &w->dialogues.dialogue[k], &w->error);
        if (w->status != SC_OK) error_prefix(&w->error, w->status, "%s, line %llu", w->record.file, (unsigned long long)w->record.line);
        if (s->renderer) messages_release(&w->dialogues.dialogue[k]);
    }
    mem_free(w->record.text);
    w->record.text = NULL;
}

void work_release(struct work *w)
{
    for (size_t i = 0; w->prepared && i < w->dialogues.len; i++) sample_list_release(&w->prepared[i].samples);
    mem_free(w->prepared);
    dialogue_list_release(&w->dialogues);
    record_release(&w->record);
    *w = (struct work) { 0 };
}
