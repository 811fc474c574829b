/* tree.c - OpenAssistant: flat messages to trees, and trees to dialogues, one for each path from the root to a leaf.
 *
 * Export format of OASST1/2: a tree is {"message_tree_id","tree_state","prompt":{node}}, a node has "message_id",
 * "parent_id", "text", "role" (prompter or assistant), "lang", "deleted", "synthetic", "review_result", "rank", "replies". */
#include "data/formats_internal.h"
#include "data/reader_internal.h"

#include <stdlib.h>
#include <string.h>

enum { TREE_DEPTH_MAX = 128 };      /* of json_read, too */

static const char *text_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

/* ---- flat messages ------------------------------------------------------------------------------------------------------- */

struct flat { json_t *node; const char *id, *parent; uint64_t line; size_t next_child, first_child, last_child; };
struct forest { struct flat *message; size_t len, cap, at; bool is_linked; size_t *slot, n_slots; };
static const size_t NONE = SIZE_MAX;

static const char *id_of(const json_t *m) { const char *id = text_of(m, "message_id"); return id ? id : text_of(m, "user_message_id"); }
static const char *parent_of(const json_t *m) { const char *p = text_of(m, "parent_id"); return p ? p : text_of(m, "parent_message_id"); }

bool flat_message_probe(const json_t *r)
{
    bool has_parent = json_object_get(r, "parent_id") || json_object_get(r, "parent_message_id");
    return id_of(r) && has_parent && text_of(r, "text") && text_of(r, "role") && !json_object_get(r, "replies") && !json_object_get(r, "prompt");
}

struct forest *forest_open(void) { return mem_zero(1, sizeof(struct forest)); }

void forest_close(struct forest *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->len; i++) json_decref(f->message[i].node);
    mem_free(f->message);
    mem_free(f->slot);
    mem_free(f);
}

static size_t slot_of(const struct forest *f, const char *id)
{
    uint64_t h = 1469598103934665603u;
    for (const char *p = id; *p; p++) h = (h ^ (unsigned char)*p) * 1099511628211u;
    size_t i = h & (f->n_slots - 1);
    while (f->slot[i] != NONE && strcmp(f->message[f->slot[i]].id, id) != 0) i = (i + 1) & (f->n_slots - 1);
    return i;
}

static void grow_slots(struct forest *f)
{
    f->n_slots = f->n_slots ? 2 * f->n_slots : 1024;
    f->slot = mem_grow(f->slot, f->n_slots * sizeof *f->slot);
    for (size_t i = 0; i < f->n_slots; i++) f->slot[i] = NONE;
    for (size_t i = 0; i < f->len; i++) f->slot[slot_of(f, f->message[i].id)] = i;
}

sc_status forest_put(struct forest *f, json_t *message, uint64_t line, sc_error *err)
{
    const char *id = id_of(message), *problem = NULL;
    if (!id) problem = "the message has no id";
    else if (!text_of(message, "text") || !text_of(message, "role")) problem = "the message has no text or no role";
    if (!problem) {
        if (2 * (f->len + 1) > f->n_slots) grow_slots(f);
        if (f->slot[slot_of(f, id)] != NONE) problem = "a message with this id was there before";
    }
    if (problem) {
        json_decref(message);
        return FAIL(err, SC_E_FORMAT, "%s", problem);
    }
    if (f->len == f->cap) f->message = mem_grow(f->message, (f->cap = 2 * f->cap + 256) * sizeof *f->message);
    f->message[f->len] = (struct flat){ message, id, parent_of(message), line, NONE, NONE, NONE };
    f->slot[slot_of(f, id)] = f->len++;
    return SC_OK;
}

/* Children in the order of the file. Cycles have no root, so nothing reaches them. */
static void link_children(struct forest *f)
{
    for (size_t i = 0; i < f->len; i++) {
        size_t parent = f->message[i].parent ? f->slot[slot_of(f, f->message[i].parent)] : NONE;
        if (parent == NONE) continue;
        struct flat *p = &f->message[parent];
        if (p->first_child == NONE) p->first_child = i;
        else f->message[p->last_child].next_child = i;
        p->last_child = i;
    }
    f->is_linked = true;
}

static json_t *build(struct forest *f, size_t i, int depth)
{
    json_t *node = json_copy(f->message[i].node), *replies = json_array();
    for (size_t child = f->message[i].first_child; child != NONE && depth < TREE_DEPTH_MAX / 2 - 4; child = f->message[child].next_child)
        json_array_append_new(replies, build(f, child, depth + 1));
    json_object_set_new(node, "replies", replies);
    return node;
}

char *forest_next(struct forest *f, size_t *len, uint64_t *line)
{
    if (!f->is_linked && f->len) link_children(f);
    for (; f->at < f->len; f->at++) {
        struct flat *root = &f->message[f->at];
        if (root->parent) continue;                       /* a reply, or one whose parent is missing */
        const json_t *state = json_object_get(root->node, "tree_state");
        json_t *tree = json_pack("{s:s, s:s, s:o}", "message_tree_id", root->id, "tree_state", json_is_string(state) ? json_string_value(state) : "ready_for_export", "prompt", build(f, f->at, 0));
        char *text = json_dumps(tree, JSON_COMPACT | JSON_ENSURE_ASCII);
        json_decref(tree);
        *line = root->line;
        f->at++;
        if (!text) continue;
        *len = strlen(text);
        return text;
    }
    return NULL;
}

/* ---- paths -------------------------------------------------------------------------------------------------------------------- */

struct walk { struct dialogue_list *out; const struct tree_config *c; const json_t *path[TREE_DEPTH_MAX]; size_t depth; const char *tree; sc_status status; sc_error *err; };

static bool flag_is(const json_t *node, const char *key, bool value) { const json_t *v = json_object_get(node, key); return value ? json_is_true(v) : json_is_false(v); }

static bool is_usable(const struct walk *w, const json_t *node)
{
    if (!w->c->keep_deleted && flag_is(node, "deleted", true)) return false;
    if (!w->c->keep_synthetic && flag_is(node, "synthetic", true)) return false;
    return !w->c->reviewed_only || flag_is(node, "review_result", true);
}

static bool is_prompter(const json_t *node) { const char *role = text_of(node, "role"); return role && strcmp(role, "assistant") != 0; }

static void emit_path(struct walk *w)
{
    size_t n = w->depth;
    if (w->c->drop_user_end && n && is_prompter(w->path[n - 1])) n--;
    if (n == 0 || (int64_t)n < w->c->min_turns) return;
    struct dialogue *d = dialogue_list_add(w->out);
    d->messages = json_array();
    for (size_t i = 0; i < n; i++)
        json_array_append_new(d->messages, json_pack("{s:s, s:O}", "role", is_prompter(w->path[i]) ? "user" : "assistant", "content", json_object_get(w->path[i], "text")));
    const char *id = text_of(w->path[n - 1], "message_id"), *lang = text_of(w->path[0], "lang");
    d->id = id ? mem_strdup(id) : NULL;
    d->lang = lang ? mem_strdup(lang) : NULL;
    d->group = w->tree ? mem_strdup(w->tree) : NULL;
}

/* Rank 0 is best; where there is none the first counts. */
static size_t best_reply(const struct walk *w, const json_t *replies)
{
    size_t best = SIZE_MAX, i;
    json_int_t best_rank = 0;
    const json_t *reply;
    json_array_foreach(replies, i, reply) {
        const json_t *rank = json_object_get(reply, "rank");
        json_int_t value = json_is_integer(rank) ? json_integer_value(rank) : 1000000 + (json_int_t)i;
        if (!is_usable(w, reply) || (best != SIZE_MAX && value >= best_rank)) continue;
        best = i;
        best_rank = value;
    }
    return best;
}

static void walk_node(struct walk *w, const json_t *node)
{
    const json_t *replies = json_object_get(node, "replies"), *reply;
    size_t i, n_walked = 0;
    if (w->status != SC_OK) return;
    if (!json_is_object(node) || !text_of(node, "text") || !text_of(node, "role")) { w->status = FAIL(w->err, SC_E_FORMAT, "a message of the tree has no text or no role"); return; }
    if (w->depth == TREE_DEPTH_MAX) { w->status = FAIL(w->err, SC_E_FORMAT, "the tree is more than %d messages deep", TREE_DEPTH_MAX); return; }
    w->path[w->depth++] = node;
    size_t best = w->c->best_only ? best_reply(w, replies) : SIZE_MAX;
    json_array_foreach(replies, i, reply) {
        if (!is_usable(w, reply) || (w->c->best_only && i != best)) continue;
        n_walked++;
        walk_node(w, reply);
    }
    if (!n_walked && w->status == SC_OK) emit_path(w);
    w->depth--;
}

bool tree_probe(const json_t *r)
{
    return (json_is_object(json_object_get(r, "prompt")) && json_object_get(json_object_get(r, "prompt"), "text")) || (json_is_array(json_object_get(r, "replies")) && text_of(r, "text") && text_of(r, "role"));
}

sc_status tree_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    struct walk w = { .out = out, .c = c, .tree = text_of(r, "message_tree_id"), .err = err };
    const json_t *root = json_is_object(json_object_get(r, "prompt")) ? json_object_get(r, "prompt") : r;
    const char *state = text_of(r, "tree_state"), *lang = text_of(root, "lang");
    if (!c->all_states && state && strcmp(state, "ready_for_export") != 0) return SC_OK;
    if (c->lang && lang && !language_is_wanted(c->lang, lang)) return SC_OK;
    if (!w.tree) w.tree = text_of(root, "message_id");
    if (is_usable(&w, root)) walk_node(&w, root);
    return w.status;
}
