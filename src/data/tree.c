/* tree.c - an OpenAssistant tree becomes dialogues: one for each way from the root to a leaf, prompter leaves too, as the
 * set that StarChat was trained on. What a switch takes out ends its path there and takes all below it along. Trees come
 * nested (the export: "prompt" with "replies"), as one message with "replies", or as the nodes that forest.c put
 * together. Source: Open-Assistant, oasst-data and its training reader. */
#include "formats_internal.h"

#include <string.h>

#define NONE SIZE_MAX
enum { PATH_MAX_MESSAGES = 1024 };
static const size_t tree_max_bytes = (size_t)256 << 20, tree_max_messages = (size_t)1 << 22;    /* of all paths of a tree */

/* Messages in the order in which they stand; children keep it. */
struct tree_node { const json_t *message; size_t parent, first_child, last_child, next; int64_t rank; bool is_out, is_user; uint32_t depth; };
struct tree { struct tree_node *node; size_t len, cap, root; const char *id, *state; const struct tree_config *config; };

static size_t node_add(struct tree *t, const json_t *message, size_t parent)
{
    if (t->len == t->cap) t->node = mem_grow(t->node, (t->cap = t->cap ? 2 * t->cap : 16) * sizeof *t->node);
    t->node[t->len] = (struct tree_node) { message, parent, NONE, NONE, NONE, INT64_MAX, false, false, 0 };
    return t->len++;
}

static void node_link(struct tree *t, size_t i)
{
    size_t parent = t->node[i].parent;
    if (parent == NONE) return;
    if (t->node[parent].last_child == NONE) t->node[parent].first_child = i;
    else t->node[t->node[parent].last_child].next = i;
    t->node[parent].last_child = i;
}

/* ---- reading ---------------------------------------------------------------------------------------------------------------------------- */

/* Nested replies; nodes wait in the list for their own replies, so no recursion. */
static sc_status nested_read(struct tree *t, const json_t *root, sc_error *err)
{
    t->root = node_add(t, root, NONE);
    for (size_t at = 0; at < t->len; at++) {
        const json_t *replies = json_object_get(t->node[at].message, "replies"), *reply;
        size_t i;
        if (!replies || json_is_null(replies)) continue;
        if (!json_is_array(replies)) return FAIL(err, SC_E_FORMAT, "\"replies\" of a message is no list");
        json_array_foreach(replies, i, reply) {
            if (!json_is_object(reply)) return FAIL(err, SC_E_FORMAT, "reply %zu of a message is no object", i + 1);
            node_link(t, node_add(t, reply, at));
        }
    }
    return SC_OK;
}

/* Nodes with ids of their parents. What does not hang on the root is left alone. */
static sc_status nodes_read(struct tree *t, const json_t *nodes, sc_error *err)
{
    json_t *places = json_object(), *m;
    size_t i;
    sc_status status = SC_OK;
    t->root = NONE;
    json_array_foreach((json_t *)nodes, i, m) {
        const json_t *id = json_object_get(m, "message_id");
        if (!json_is_string(id)) status = FAIL(err, SC_E_FORMAT, "node %zu has no message_id", i + 1);
        else if (json_object_getn(places, json_string_value(id), json_string_length(id))) status = FAIL(err, SC_E_FORMAT, "node %zu has the message_id of another node", i + 1);
        if (status != SC_OK) goto done;
        node_add(t, m, NONE);
        json_object_setn_new_nocheck(places, json_string_value(id), json_string_length(id), json_integer((json_int_t)i));
    }
    for (i = 0; i < t->len; i++) {
        const json_t *parent = json_object_get(t->node[i].message, "parent_id"), *place = json_is_string(parent) ? json_object_getn(places, json_string_value(parent), json_string_length(parent)) : NULL;
        if (!parent || json_is_null(parent)) t->root = t->root == NONE ? i : t->root;
        if (place) t->node[i].parent = (size_t)json_integer_value(place);
        node_link(t, i);
    }
    if (t->root == NONE) status = FAIL(err, SC_E_FORMAT, "no node is the root: none is without parent_id");
done:
    json_decref(places);
    return status;
}

static bool is_true(const json_t *m, const char *key) { return json_is_true(json_object_get(m, key)); }

/* What a message says of itself; checks what paths will need. */
static sc_status node_read(struct tree *t, struct tree_node *n, sc_error *err)
{
    char quote[40];
    const json_t *role = json_object_get(n->message, "role"), *rank = json_object_get(n->message, "rank");
    const char *name = json_string_value(role);
    const struct tree_config *c = t->config;
    n->is_out = (is_true(n->message, "deleted") && !c->keep_deleted) || (is_true(n->message, "synthetic") && !c->keep_synthetic) || (c->reviewed_only && !is_true(n->message, "review_result"));
    if (json_is_number(rank)) n->rank = json_is_integer(rank) ? json_integer_value(rank) : (int64_t)(json_real_value(rank) < 1e9 ? json_real_value(rank) : 1e9);
    if (n->is_out) return SC_OK;
    n->is_user = name && (strcmp(name, "prompter") == 0 || strcmp(name, "user") == 0);
    if (!name) return FAIL(err, SC_E_FORMAT, "a message of the tree has no role");
    if (!n->is_user && strcmp(name, "assistant") != 0) return FAIL(err, SC_E_FORMAT, "a message of the tree has the role \"%s\", expected prompter or assistant", error_quote(quote, sizeof quote, name, strlen(name)));
    if (!json_is_string(json_object_get(n->message, "text"))) return FAIL(err, SC_E_FORMAT, "a message of the tree has no text");
    return SC_OK;
}

/* ---- choosing ------------------------------------------------------------------------------------------------------------------------------ */

/* The first child from `i` on that is not taken out. */
static size_t child_from(const struct tree *t, size_t i)
{
    while (i != NONE && t->node[i].is_out) i = t->node[i].next;
    return i;
}

static size_t child_first(const struct tree *t, size_t parent) { return child_from(t, t->node[parent].first_child); }

/* Lowest rank; where none is ranked, the first. */
static size_t child_best(const struct tree *t, size_t parent)
{
    size_t best = child_first(t, parent);
    for (size_t i = best; i != NONE; i = child_from(t, t->node[i].next)) if (t->node[i].rank < t->node[best].rank) best = i;
    return best;
}

static bool tree_is_wanted(const struct tree *t)
{
    const char *lang = json_string_value(json_object_get(t->node[t->root].message, "lang"));
    if (t->node[t->root].is_out) return false;
    if (t->state && !t->config->all_states && strcmp(t->state, "ready_for_export") != 0) return false;
    return !t->config->lang || !*t->config->lang || !lang || language_is_wanted(t->config->lang, lang);
}

/* ---- paths ---------------------------------------------------------------------------------------------------------------------------------- */

struct path { const json_t *message[PATH_MAX_MESSAGES]; bool is_user[PATH_MAX_MESSAGES]; size_t messages, bytes; };

/* The way to `leaf` as a dialogue, unless a switch leaves it out. */
static sc_status path_put(struct dialogue_list *out, const struct tree *t, size_t leaf, struct path *p, sc_error *err)
{
    const struct tree_config *c = t->config;
    const json_t *lang = json_object_get(t->node[t->root].message, "lang");
    if (c->drop_user_end && t->node[leaf].is_user) {
        size_t parent = t->node[leaf].parent;             /* siblings without an answer would give the same dialogue again */
        if (leaf == t->root || child_first(t, parent) != leaf) return SC_OK;
        leaf = parent;
    }
    size_t n = t->node[leaf].depth + 1;
    if ((int64_t)n < c->min_turns) return SC_OK;
    json_t *messages = json_array();
    for (size_t i = n, at = leaf; i-- > 0; at = t->node[at].parent) {
        p->message[i] = json_object_get(t->node[at].message, "text");
        p->is_user[i] = t->node[at].is_user;
        p->bytes += json_string_length(p->message[i]);
    }
    p->messages += n;
    for (size_t i = 0; i < n; i++) json_array_append_new(messages, message_new(p->is_user[i] ? "user" : "assistant", p->message[i]));
    struct dialogue *d = dialogue_put(out, messages, NULL);
    const char *id = json_string_value(json_object_get(t->node[leaf].message, "message_id"));
    d->id = id ? mem_strdup(id) : NULL;
    d->lang = json_is_string(lang) ? mem_strdup(json_string_value(lang)) : NULL;
    d->group = t->id ? mem_strdup(t->id) : NULL;
    if (p->bytes <= tree_max_bytes && p->messages <= tree_max_messages) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "the paths of the tree hold more than %zu MiB of text or %zu messages; the best path alone is shorter (best_only)", tree_max_bytes >> 20, tree_max_messages);
}

/* The next node in the order of a depth-first walk below the root, above `at` and behind it; NONE at the end. */
static size_t walk_on(const struct tree *t, size_t at)
{
    while (at != t->root) {
        size_t next = t->config->best_only ? NONE : child_from(t, t->node[at].next);
        if (next != NONE) return next;
        at = t->node[at].parent;
    }
    return NONE;
}

static sc_status paths_put(struct dialogue_list *out, struct tree *t, struct path *p, sc_error *err)
{
    for (size_t at = t->root; at != NONE;) {
        size_t child = t->config->best_only ? child_best(t, at) : child_first(t, at);
        if (at != t->root) t->node[at].depth = t->node[t->node[at].parent].depth + 1;
        if (t->node[at].depth >= PATH_MAX_MESSAGES) return FAIL(err, SC_E_FORMAT, "the tree is deeper than %d messages", PATH_MAX_MESSAGES);
        if (child == NONE) TRY(path_put(out, t, at, p, err));
        at = child != NONE ? child : walk_on(t, at);
    }
    return SC_OK;
}

/* ---- the rows --------------------------------------------------------------------------------------------------------------------------------- */

static bool is_message(const json_t *m) { return json_object_get(m, "role") && json_object_get(m, "text"); }

bool tree_probe(const json_t *record)
{
    const json_t *prompt = json_object_get(record, "prompt");
    return json_is_array(json_object_get(record, "nodes")) || (json_is_object(prompt) && (is_message(prompt) || json_object_get(prompt, "replies"))) ||
           (is_message(record) && json_object_get(record, "replies"));
}

sc_status tree_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    const json_t *nodes = json_object_get(record, "nodes"), *prompt = json_object_get(record, "prompt");
    struct tree t = { .config = c };
    struct path *path = mem_zero(1, sizeof *path);
    sc_status status = json_is_array(nodes) ? nodes_read(&t, nodes, err) : nested_read(&t, json_is_object(prompt) ? prompt : record, err);
    for (size_t i = 0; i < t.len && status == SC_OK; i++) status = node_read(&t, &t.node[i], err);
    if (status == SC_OK) {
        const json_t *root = t.node[t.root].message;
        t.id = json_string_value(json_object_get(record, "message_tree_id"));
        if (!t.id) t.id = json_string_value(json_object_get(root, "message_id"));
        t.state = json_string_value(json_object_get(record, "tree_state"));
        if (!t.state) t.state = json_string_value(json_object_get(root, "tree_state"));
        if (tree_is_wanted(&t)) status = paths_put(out, &t, path, err);
    }
    mem_free(path);
    mem_free(t.node);
    return status;
}

bool tree_message_probe(const json_t *record) { return is_message(record) && (json_object_get(record, "message_id") || json_object_get(record, "user_message_id")); }

sc_status tree_message_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    (void)out, (void)record, (void)c;
    return FAIL(err, SC_E_FORMAT, "one OpenAssistant message stands among records of another form; a file must hold either messages or something else");
}
