/* formats.c - records of any known shape to dialogues: one row a shape, recognised by its keys; the first that fits wins. */
#include "data/formats_internal.h"

#include <stdio.h>
#include <string.h>

/* ---- dialogues --------------------------------------------------------------------------------------------------------- */

struct dialogue *dialogue_list_add(struct dialogue_list *l)
{
    if (l->len == l->cap) l->dialogue = mem_grow(l->dialogue, (l->cap = 2 * l->cap + 2) * sizeof *l->dialogue);
    struct dialogue *d = &l->dialogue[l->len];
    *d = (struct dialogue){ .index = (uint32_t)l->len };
    l->len++;
    return d;
}

void dialogue_release(struct dialogue *d)
{
    json_decref(d->messages);
    json_decref(d->rejected);
    json_decref(d->tools);
    mem_free(d->text);
    mem_free(d->id);
    mem_free(d->lang);
    mem_free(d->licence);
    mem_free(d->group);
    *d = (struct dialogue){ 0 };
}

void dialogue_list_release(struct dialogue_list *l)
{
    for (size_t i = 0; i < l->len; i++) dialogue_release(&l->dialogue[i]);
    mem_free(l->dialogue);
    *l = (struct dialogue_list){ 0 };
}

/* ---- messages ------------------------------------------------------------------------------------------------------------- */

const char *role_name(const char *name)
{
    static const char *const names[][2] = {
        { "user", "user" }, { "human", "user" }, { "prompter", "user" }, { "assistant", "assistant" }, { "gpt", "assistant" }, { "chatgpt", "assistant" }, { "bing", "assistant" },
        { "bard", "assistant" }, { "model", "assistant" }, { "bot", "assistant" }, { "function_call", "assistant" }, { "system", "system" }, { "developer", "system" }, { "tool", "tool" },
        { "function", "tool" }, { "observation", "tool" }, { "function_response", "tool" }, { "ipython", "tool" },
    };
    for (size_t i = 0; name && i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], name) == 0) return names[i][1];
    return NULL;
}

/* A list of parts: texts are joined, anything else (images) is refused. */
static json_t *join_parts(const json_t *parts, sc_error *err)
{
    struct buf b;
    size_t i;
    const json_t *part;
    buf_init(&b, 0);
    json_array_foreach(parts, i, part) {
        const json_t *text = json_is_string(part) ? part : json_object_get(part, "text");
        if (!json_is_string(text)) {
            buf_release(&b);
            FAIL(err, SC_E_FORMAT, "part %zu of a message's content is no text; images and other media are not supported", i + 1);
            return NULL;
        }
        buf_append(&b, json_string_value(text), json_string_length(text));
    }
    json_t *joined = json_stringn(b.data ? b.data : "", b.len);
    buf_release(&b);
    return joined;
}

sc_status message_append(json_t *messages, const char *role, const json_t *content, const json_t *extra, sc_error *err)
{
    static const char *const kept[] = { "name", "tool_calls", "tool_call_id", "weight", "reasoning_content" };
    const char *ours = role_name(role);
    char q[60];
    if (!ours) return FAIL(err, SC_E_FORMAT, "the role '%s' is unknown, expected system, user, assistant or tool", error_quote(q, sizeof q, role ? role : "(none)", role ? strlen(role) : 6));
    json_t *text = NULL;
    if (json_is_string(content)) text = json_incref((json_t *)(uintptr_t)content);
    else if (json_is_array(content)) text = join_parts(content, err);
    else if (!content || json_is_null(content)) text = json_string("");
    else return FAIL(err, SC_E_FORMAT, "the content of a message is neither a string nor a list of parts");
    if (!text) return SC_E_FORMAT;
    json_t *m = json_pack("{s:s, s:o}", "role", ours, "content", text);
    for (size_t i = 0; extra && i < sizeof kept / sizeof *kept; i++) {
        json_t *member = json_object_get(extra, kept[i]);
        if (member && !json_is_null(member)) json_object_set(m, kept[i], member);
    }
    json_array_append_new(messages, m);
    return SC_OK;
}

sc_status messages_from_list(json_t **out, const json_t *list, sc_error *err)
{
    size_t i;
    const json_t *m;
    json_t *messages = json_array();
    sc_status status = SC_OK;
    *out = NULL;
    json_array_foreach(list, i, m) {
        const json_t *role = json_object_get(m, "role"), *content = json_object_get(m, "content");
        if (!role) role = json_object_get(m, "from");
        if (!content) content = json_object_get(m, "value");
        if (!json_is_object(m)) status = FAIL(err, SC_E_FORMAT, "message %zu is no object", i + 1);
        else if (!json_is_string(role)) status = FAIL(err, SC_E_FORMAT, "message %zu has no role", i + 1);
        else status = message_append(messages, json_string_value(role), content, m, err);
        if (status != SC_OK) { json_decref(messages); return status; }
    }
    *out = messages;
    return SC_OK;
}

static json_t *get(const json_t *r, const char *key) { return json_object_get(r, key); }
static bool has_text(const json_t *r, const char *key) { return json_is_string(get(r, key)); }
static bool has_list(const json_t *r, const char *key) { return json_is_array(get(r, key)); }

static void put_tools(struct dialogue *d, const json_t *r)
{
    json_t *tools = get(r, "tools");
    if (json_is_string(tools)) {                          /* ShareGPT sets hold them as JSON inside a string */
        json_t *parsed = json_loadb(json_string_value(tools), json_string_length(tools), 0, NULL);
        if (json_array_size(parsed)) d->tools = json_incref(parsed);
        json_decref(parsed);
    } else if (json_array_size(tools)) d->tools = json_incref(tools);
}

/* ---- conversations ------------------------------------------------------------------------------------------------------------ */

static bool messages_probe(const json_t *r) { return has_list(r, "messages"); }
static sc_status messages_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    json_t *messages;
    (void)c;
    TRY(messages_from_list(&messages, get(r, "messages"), err));
    struct dialogue *d = dialogue_list_add(out);
    d->messages = messages;
    put_tools(d, r);
    return SC_OK;
}

static bool sharegpt_probe(const json_t *r)
{
    const json_t *first = json_array_get(get(r, "conversations"), 0);
    return has_list(r, "conversations") && (!first || json_object_get(first, "from") || json_object_get(first, "role"));
}
/* Dumps may begin with an answer whose question is lost. */
static sc_status sharegpt_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    json_t *messages;
    (void)c;
    TRY(messages_from_list(&messages, get(r, "conversations"), err));
    const json_t *system = get(r, "system");
    const char *first = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    if (first && strcmp(first, "assistant") == 0) json_array_remove(messages, 0);
    if (json_is_string(system) && json_string_length(system)) json_array_insert_new(messages, 0, json_pack("{s:s, s:O}", "role", "system", "content", system));
    struct dialogue *d = dialogue_list_add(out);
    d->messages = messages;
    put_tools(d, r);
    return SC_OK;
}

/* UltraChat: texts that take turns, the user first. */
static bool turns_probe(const json_t *r) { return has_list(r, "data") && json_is_string(json_array_get(get(r, "data"), 0)); }
static sc_status turns_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    size_t i;
    const json_t *text;
    json_t *messages = json_array();
    (void)c;
    json_array_foreach(get(r, "data"), i, text) {
        sc_status status = json_is_string(text) ? message_append(messages, i % 2 ? "assistant" : "user", text, NULL, err) : FAIL(err, SC_E_FORMAT, "turn %zu of \"data\" is no string", i + 1);
        if (status != SC_OK) { json_decref(messages); return status; }
    }
    dialogue_list_add(out)->messages = messages;
    return SC_OK;
}

/* ---- questions with one answer ----------------------------------------------------------------------------------------------------- */

/* A user's turn of one or two texts (a blank line between), and the answer. */
static void put_exchange(struct dialogue_list *out, const json_t *system, const json_t *question, const json_t *input, const json_t *answer)
{
    struct buf b;
    json_t *messages = json_array();
    buf_init(&b, 0);
    if (json_is_string(system) && json_string_length(system)) json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "system", "content", system));
    buf_append(&b, json_string_value(question), json_string_length(question));
    if (json_is_string(input) && json_string_length(input)) {
        buf_puts(&b, "\n\n");
        buf_append(&b, json_string_value(input), json_string_length(input));
    }
    json_array_append_new(messages, json_pack("{s:s, s:o}", "role", "user", "content", json_stringn(b.data ? b.data : "", b.len)));
    json_array_append_new(messages, json_pack("{s:s, s:O}", "role", "assistant", "content", answer));
    dialogue_list_add(out)->messages = messages;
    buf_release(&b);
}

static const json_t *answer_of(const json_t *r)
{
    static const char *const keys[] = { "output", "response", "completion", "answer" };
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++)
        if (has_text(r, keys[i])) return get(r, keys[i]);
    return NULL;
}

/* Self-Instruct: one dialogue for each instance of the task. */
static bool instances_probe(const json_t *r) { return has_text(r, "instruction") && has_list(r, "instances"); }
static sc_status instances_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    size_t i;
    const json_t *instance;
    (void)c;
    json_array_foreach(get(r, "instances"), i, instance) {
        if (!has_text(instance, "output")) return FAIL(err, SC_E_FORMAT, "instance %zu has no output", i + 1);
        put_exchange(out, NULL, get(r, "instruction"), get(instance, "input"), get(instance, "output"));
    }
    return SC_OK;
}

static bool alpaca_probe(const json_t *r) { return has_text(r, "instruction") && answer_of(r); }
static sc_status alpaca_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    (void)c; (void)err;
    put_exchange(out, get(r, "system"), get(r, "instruction"), has_text(r, "input") ? get(r, "input") : get(r, "context"), answer_of(r));
    return SC_OK;
}

static const json_t *question_of(const json_t *r) { return has_text(r, "prompt") ? get(r, "prompt") : has_text(r, "question") ? get(r, "question") : get(r, "query"); }
static bool exchange_probe(const json_t *r) { return json_is_string(question_of(r)) && answer_of(r); }
static sc_status exchange_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    (void)c; (void)err;
    put_exchange(out, get(r, "system"), question_of(r), NULL, answer_of(r));
    return SC_OK;
}

/* ---- no dialogue -------------------------------------------------------------------------------------------------------------------- */

static bool text_probe(const json_t *r) { return has_text(r, "text") || (has_text(r, "content") && !get(r, "role")); }
static sc_status text_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    const json_t *text = has_text(r, "text") ? get(r, "text") : get(r, "content");
    (void)c; (void)err;
    dialogue_list_add(out)->text = mem_strndup(json_string_value(text), json_string_length(text));
    return SC_OK;
}

static bool question_probe(const json_t *r) { return has_list(r, "turns") || json_is_string(question_of(r)); }
static sc_status question_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    (void)out; (void)r; (void)c;
    return FAIL(err, SC_E_FORMAT, "this is a question without an answer, so there is nothing to learn from it");
}

const struct data_format data_formats[] = {
    { "openassistant", "trees of messages with replies", tree_probe, tree_convert },
    { "pairs", "chosen and rejected answers", pairs_probe, pairs_convert },
    { "messages", "{\"messages\":[{\"role\",\"content\"}]}", messages_probe, messages_convert },
    { "sharegpt", "{\"conversations\":[{\"from\",\"value\"}]}", sharegpt_probe, sharegpt_convert },
    { "ultrachat", "{\"data\":[question, answer, ...]}", turns_probe, turns_convert },
    { "self-instruct", "{\"instruction\",\"instances\":[{\"input\",\"output\"}]}", instances_probe, instances_convert },
    { "alpaca", "{\"instruction\",\"input\",\"output\"}, also Dolly", alpaca_probe, alpaca_convert },
    { "completion", "{\"prompt\",\"completion\"}", exchange_probe, exchange_convert },
    { "text", "{\"text\"}, for pre-training", text_probe, text_convert },
    { "question", "a question without an answer", question_probe, question_convert },
    { 0 },
};

/* ---- records ------------------------------------------------------------------------------------------------------------------------- */

static sc_status unknown_shape(const json_t *value, const char *what, sc_error *err)
{
    struct buf b;
    const char *key;
    json_t *member;
    if (!json_is_object(value)) return FAIL(err, SC_E_FORMAT, "%s: not an object, expected a dialogue such as {\"messages\":[...]}", what);
    buf_init(&b, 90);
    json_object_foreach((json_t *)(uintptr_t)value, key, member) {
        char q[32];
        buf_printf(&b, "%s%s", b.len ? ", " : "", error_quote(q, sizeof q, key, strlen(key)));
    }
    sc_status status = FAIL(err, SC_E_FORMAT, "%s: the keys %s are of no known format, expected messages, conversations, instruction and output, or prompt and completion", what, b.data ? b.data : "(none)");
    buf_release(&b);
    return status;
}

static char *copy_text(const json_t *r, const char *key)
{
    const char *s = json_string_value(get(r, key));
    return s && *s ? mem_strdup(s) : NULL;
}

/* What every format may say of itself. */
static void put_notes(struct dialogue *d, const json_t *value, const struct record *r)
{
    if (!d->id) d->id = copy_text(value, "id");
    if (!d->lang) d->lang = copy_text(value, "lang");
    if (!d->licence) d->licence = copy_text(value, "license");
    if (!d->licence) d->licence = copy_text(value, "licence");
    d->file = r->file;
    d->line = r->line;
    d->input = r->input;
}

sc_status dialogues_from_record(struct dialogue_list *out, const struct record *r, const struct tree_config *c, const char **format_name, sc_error *err)
{
    char what[200];
    json_t *value = NULL;
    size_t before = out->len;
    snprintf(what, sizeof what, "%.150s, line %llu", r->file, (unsigned long long)r->line);
    TRY(json_read(&value, r->text, r->len, what, err));
    const struct data_format *f = data_formats;
    while (f->name && (!json_is_object(value) || !f->probe(value))) f++;
    if (format_name) *format_name = f->name;
    sc_status status = f->name ? error_prefix(err, f->convert(out, value, c, err), "%s", what) : unknown_shape(value, what, err);
    for (size_t i = before; i < out->len; i++) {
        if (status == SC_OK) put_notes(&out->dialogue[i], value, r);
        else dialogue_release(&out->dialogue[i]);
    }
    if (status != SC_OK) out->len = before;
    json_decref(value);
    return status;
}
