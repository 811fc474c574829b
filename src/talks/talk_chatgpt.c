/* talk_chatgpt.c - one conversation of ChatGPT's conversations.json: "mapping" holds nodes by id, each with a parent, and a
 * message or none; "current_node" is where the person was. What people see there is kept: texts of the user and the
 * assistant. Tool calls and their results, thoughts, hidden and empty messages are left out, and what hangs on them hangs
 * on the next visible one above. There is no published format: this reads what exports from 2023 on have, and takes
 * missing members for absent. */
#include "talks/talks.h"

#include <string.h>

enum { PLACE_NEW = -2, PLACE_ROOT = -1 };
struct node { const char *id; const json_t *o; ptrdiff_t parent, place; bool is_open; };   /* place: message that stands for it, or above it */
struct nodes { struct node *row; size_t n; json_t *index; };

bool chatgpt_is(const json_t *o) { return json_is_object(json_object_get(o, "mapping")); }

static const char *string_of(const json_t *o, const char *key) { return json_string_value(json_object_get(o, key)); }

static ptrdiff_t find_node(const struct nodes *nodes, const char *id)
{
    const json_t *place = id ? json_object_get(nodes->index, id) : NULL;
    return place ? (ptrdiff_t)json_integer_value(place) : -1;
}

static void read_nodes(struct nodes *out, const json_t *mapping)
{
    const char *id;
    json_t *o;
    *out = (struct nodes){ mem_zero(json_object_size(mapping) + 1, sizeof *out->row), 0, json_object() };
    json_object_foreach((json_t *)mapping, id, o) {
        json_object_set_new(out->index, id, json_integer((json_int_t)out->n));
        out->row[out->n++] = (struct node){ id, o, -1, PLACE_NEW, false };
    }
    for (size_t i = 0; i < out->n; i++) out->row[i].parent = find_node(out, string_of(out->row[i].o, "parent"));
}

/* ---- texts ------------------------------------------------------------------------------------------------------------------- */

/* A picture or a recording has a name here and nothing else. */
static void put_part(struct buf *out, const json_t *part)
{
    const char *kind = string_of(part, "content_type"), *text = json_is_string(part) ? json_string_value(part) : string_of(part, "text");
    size_t len = json_is_string(part) ? json_string_length(part) : text ? strlen(text) : 0;
    if (!text && !(kind && strstr(kind, "pointer"))) return;
    if (len == 0 && text) return;
    if (out->len) buf_puts(out, "\n\n");
    if (text) buf_append(out, text, len);
    else buf_puts(out, strstr(kind, "audio") ? "[audio]" : strstr(kind, "video") ? "[video]" : "[image]");
}

static void put_content(struct buf *out, const json_t *content)
{
    static const char *const shown[] = { "text", "multimodal_text", "code" };
    const char *kind = string_of(content, "content_type");
    const json_t *parts = json_object_get(content, "parts"), *text = json_object_get(content, "text");
    bool is_shown = !kind;
    for (size_t i = 0; kind && i < sizeof shown / sizeof *shown; i++) is_shown = is_shown || strcmp(kind, shown[i]) == 0;
    for (size_t i = 0; is_shown && i < json_array_size(parts); i++) put_part(out, json_array_get(parts, i));
    if (is_shown && !json_is_array(parts) && json_is_string(text)) buf_append(out, json_string_value(text), json_string_length(text));
}

/* Is it meant for the person? */
static bool is_hidden(const json_t *message)
{
    const char *to = string_of(message, "recipient");
    const json_t *weight = json_object_get(message, "weight");
    bool is_weightless = json_is_number(weight) && !(json_number_value(weight) > 0);
    return (to && strcmp(to, "all") != 0) || is_weightless || json_is_true(json_object_get(json_object_get(message, "metadata"), "is_visually_hidden_from_conversation"));
}

static sc_status add_message(struct talk *k, const json_t *message, const char *role, struct buf *text, ptrdiff_t parent, sc_error *err)
{
    const char *model = string_of(json_object_get(message, "metadata"), "model_slug"), *status = string_of(message, "status");
    if (k->n == TALK_MESSAGES_MAX) return FAIL(err, SC_E_FORMAT, "it has more than %d messages", TALK_MESSAGES_MAX);
    struct talk_message *m = talk_add(k, role);
    m->parent = parent;
    talk_set(&m->content, talk_text(text->data, text->len));
    TRY(talk_time(&m->created, message, "create_time", k->created, err));
    if (model && strcmp(role, "assistant") == 0) talk_set(&m->model, talk_text(model, strlen(model)));
    if (status && strcmp(status, "in_progress") == 0) talk_set(&m->status, mem_strdup("stopped"));
    return SC_OK;
}

/* ---- the tree ------------------------------------------------------------------------------------------------------------------ */

/* A node whose parent has its place. */
static sc_status place_node(struct talk *k, struct nodes *nodes, struct node *node, sc_error *err)
{
    const json_t *message = json_object_get(node->o, "message");
    const char *role = string_of(json_object_get(message, "author"), "role"), *id = string_of(message, "id");
    ptrdiff_t above = node->parent >= 0 ? nodes->row[node->parent].place : PLACE_ROOT;
    struct buf text;
    if (above == PLACE_NEW) above = PLACE_ROOT;       /* a circle ends here */
    node->place = above;
    if (!role || is_hidden(message)) return SC_OK;
    buf_init(&text, 0);
    put_content(&text, json_object_get(message, "content"));
    sc_status status = SC_OK;
    if (text.len && talk_role_is_known(role)) {
        status = add_message(k, message, role, &text, above, err);
        node->place = (ptrdiff_t)k->n - 1;
        if (!id) id = node->id;
        if (talk_id_is_valid(id)) talk_set(&k->message[k->n - 1].id, mem_strdup(id));
    } else if (text.len && strcmp(role, "system") == 0 && above == PLACE_ROOT && !k->system) {
        k->system = talk_text(text.data, text.len);
    }
    buf_release(&text);
    return status;
}

/* Parents first: from each node up to what has a place, and down again. */
static sc_status place_all(struct talk *k, struct nodes *nodes, size_t *stack, sc_error *err)
{
    for (size_t i = 0; i < nodes->n; i++) {
        size_t depth = 0;
        for (ptrdiff_t at = (ptrdiff_t)i; at >= 0 && nodes->row[at].place == PLACE_NEW && !nodes->row[at].is_open; at = nodes->row[at].parent) {
            nodes->row[at].is_open = true;
            stack[depth++] = (size_t)at;
        }
        while (depth) TRY(place_node(k, nodes, &nodes->row[stack[--depth]], err));
    }
    return SC_OK;
}

/* Ids of messages that stand twice are made anew. */
static void drop_doubles(struct talk *k)
{
    json_t *seen = json_object();
    for (size_t i = 0; i < k->n; i++) {
        if (!k->message[i].id) continue;
        if (json_object_get(seen, k->message[i].id)) talk_set(&k->message[i].id, NULL);
        else json_object_set_new(seen, k->message[i].id, json_true());
    }
    json_decref(seen);
}

static sc_status read_talk(struct talk *k, const json_t *o, int64_t now, sc_error *err)
{
    struct nodes nodes;
    const char *id = string_of(o, "conversation_id"), *title = string_of(o, "title"), *model = string_of(o, "default_model_slug");
    if (!id) id = string_of(o, "id");
    TRY(talk_time(&k->created, o, "create_time", now, err));
    TRY(talk_time(&k->updated, o, "update_time", k->created, err));
    if (id && talk_id_is_valid(id)) k->id = mem_strdup(id);
    if (title) talk_set(&k->title, talk_title(title, strlen(title), TALK_TITLE_MAX));
    if (model) k->model = talk_text(model, strlen(model));
    read_nodes(&nodes, json_object_get(o, "mapping"));
    size_t *stack = mem_alloc((nodes.n + 1) * sizeof *stack);
    sc_status status = place_all(k, &nodes, stack, err);
    ptrdiff_t current = find_node(&nodes, string_of(o, "current_node"));
    k->leaf = current >= 0 && nodes.row[current].place >= 0 ? nodes.row[current].place : (ptrdiff_t)k->n - 1;
    drop_doubles(k);
    if (!*k->title) talk_title_from_messages(k);
    mem_free(stack);
    mem_free(nodes.row);
    json_decref(nodes.index);
    return status;
}

sc_status chatgpt_read(struct talk *out, const json_t *o, int64_t now, sc_error *err)
{
    talk_init(out);
    sc_status status = read_talk(out, o, now, err);
    if (status != SC_OK) talk_release(out);
    return status;
}
