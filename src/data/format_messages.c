/* format_messages.c - dialogues that are lists of messages: OpenAI's role and content, ShareGPT's from and value, UltraChat's
 * bare texts. Sources: OpenAI's chat completions reference; the layouts that FastChat, LLaMA-Factory and UltraChat publish. */
#include "formats_internal.h"

#include <string.h>
#include <strings.h>

/* ---- roles ------------------------------------------------------------------------------------------------------------------------------ */

enum { CALL = 1 };                                        /* the content is a call of a tool, written as JSON */
static const struct { const char *name, *role; int is_call; } role_names[] = {
    { "system", "system", 0 }, { "developer", "system", 0 },
    { "user", "user", 0 }, { "human", "user", 0 }, { "prompter", "user", 0 },
    { "assistant", "assistant", 0 }, { "gpt", "assistant", 0 }, { "chatgpt", "assistant", 0 }, { "bing", "assistant", 0 }, { "bard", "assistant", 0 },
    { "model", "assistant", 0 }, { "bot", "assistant", 0 }, { "ai", "assistant", 0 },
    { "tool", "tool", 0 }, { "function", "tool", 0 }, { "observation", "tool", 0 }, { "ipython", "tool", 0 }, { "tool_response", "tool", 0 }, { "function_response", "tool", 0 },
    { "function_call", "assistant", CALL }, { "tool_call", "assistant", CALL },
};

static sc_status role_find(const char **role, bool *is_call, const json_t *message, size_t i, sc_error *err)
{
    char quote[40];
    const json_t *v = json_object_get(message, "role");
    if (!json_is_string(v)) v = json_object_get(message, "from");
    const char *name = json_string_value(v);
    if (!name) return FAIL(err, SC_E_FORMAT, "message %zu has no role", i + 1);
    for (size_t k = 0; k < sizeof role_names / sizeof *role_names; k++) {
        if (strlen(role_names[k].name) != json_string_length(v) || strcasecmp(name, role_names[k].name) != 0) continue;
        *role = role_names[k].role;
        *is_call = role_names[k].is_call == CALL;
        return SC_OK;
    }
    return FAIL(err, SC_E_FORMAT, "message %zu has the role \"%s\", expected system, user, assistant or tool (or another name for one of these)", i + 1, error_quote(quote, sizeof quote, name, strlen(name)));
}

/* ---- contents ----------------------------------------------------------------------------------------------------------------------------- */

static sc_status part_append(struct buf *b, const json_t *part, size_t i, sc_error *err)
{
    char quote[40];
    const char *type = json_string_value(json_object_get(part, "type"));
    const json_t *text = json_is_string(part) ? part : json_object_get(part, "text");
    if (!json_is_string(text)) text = json_object_get(part, "refusal");
    if (json_is_string(text)) { buf_append(b, json_string_value(text), json_string_length(text)); return SC_OK; }
    type = type ? type : "(none)";
    return FAIL(err, SC_E_FORMAT, "message %zu has a part of type \"%s\"; only text can be used", i + 1, error_quote(quote, sizeof quote, type, strlen(type)));
}

/* A string as it is, the texts of a list of parts one behind the other, or "" for null. */
static sc_status content_read(json_t **out, const json_t *content, size_t i, sc_error *err)
{
    struct buf b;
    size_t k;
    const json_t *part;
    sc_status status = SC_OK;
    *out = NULL;
    if (json_is_string(content)) { *out = json_incref((json_t *)content); return SC_OK; }
    if (!content || json_is_null(content)) { *out = json_string(""); return SC_OK; }
    if (!json_is_array(content) && !json_is_object(content)) return FAIL(err, SC_E_FORMAT, "message %zu has a content that is neither text nor a list of parts", i + 1);
    buf_init(&b, 0);
    if (json_is_object(content)) status = part_append(&b, content, i, err);
    json_array_foreach(content, k, part) if (status == SC_OK) status = part_append(&b, part, i, err);
    if (status == SC_OK) *out = json_stringn_nocheck(b.data ? b.data : "", b.len);
    buf_release(&b);
    return status;
}

/* ---- calls of tools -------------------------------------------------------------------------------------------------------------------------- */

/* {"name","arguments"} as a call of OpenAI's form; NULL if it is none. */
static json_t *call_wrap(const json_t *function)
{
    if (!json_is_string(json_object_get(function, "name"))) return NULL;
    return json_pack("{s:s, s:O}", "type", "function", "function", function);
}

/* Text that is one call or a list of calls; NULL if it is something else. */
static json_t *calls_parse(const json_t *content)
{
    json_t *value = NULL, *calls = json_array(), *call;
    size_t i;
    const json_t *one;
    if (json_read(&value, json_string_value(content), json_string_length(content), "", NULL) == SC_OK) {
        if ((call = call_wrap(value))) json_array_append_new(calls, call);
        json_array_foreach(value, i, one) if ((call = call_wrap(one))) json_array_append_new(calls, call);
    }
    size_t expected = json_is_array(value) ? json_array_size(value) : 1;
    json_decref(value);
    if (json_array_size(calls) == expected && expected) return calls;
    json_decref(calls);
    return NULL;
}

/* Members beside role and content go along, but those that a table left empty. */
static void members_copy(json_t *out, const json_t *message)
{
    const char *key;
    json_t *value;
    json_object_foreach((json_t *)message, key, value) {
        bool is_ours = strcmp(key, "role") == 0 || strcmp(key, "content") == 0 || strcmp(key, "from") == 0 || strcmp(key, "value") == 0 || strcmp(key, "function_call") == 0;
        if (!is_ours && !json_is_null(value)) json_object_set_nocheck(out, key, value);
    }
    const json_t *old = json_object_get(message, "function_call");
    json_t *call = json_is_object(old) ? call_wrap(old) : NULL;
    if (call && !json_object_get(out, "tool_calls")) json_object_set_new(out, "tool_calls", json_pack("[o]", call));
    else json_decref(call);
}

/* ---- lists -------------------------------------------------------------------------------------------------------------------------------------- */

bool message_list_is_known(const json_t *list)
{
    const json_t *first = json_array_get(list, 0);
    if (!json_is_array(list)) return false;
    return json_is_object(first) ? json_object_get(first, "role") || json_object_get(first, "from") : !json_array_size(list);
}

static sc_status message_read(json_t **out, const json_t *message, size_t i, sc_error *err)
{
    const char *role = NULL;
    bool is_call = false;
    json_t *content, *calls = NULL;
    *out = NULL;
    if (!json_is_object(message)) return FAIL(err, SC_E_FORMAT, "message %zu is no object with role and content", i + 1);
    TRY(role_find(&role, &is_call, message, i, err));
    const json_t *said = json_object_get(message, "content");
    if (!said) said = json_object_get(message, "value");
    if (!said && !json_object_get(message, "tool_calls") && !json_object_get(message, "function_call"))
        return FAIL(err, SC_E_FORMAT, "message %zu has a role and no content", i + 1);
    TRY(content_read(&content, said, i, err));
    if (is_call && (calls = calls_parse(content))) {
        json_decref(content);
        content = json_string("");
    }
    *out = message_new(role, content);
    json_decref(content);
    members_copy(*out, message);
    if (calls) json_object_set_new(*out, "tool_calls", calls);
    return SC_OK;
}

sc_status message_list_read(json_t **out, const json_t *list, sc_error *err)
{
    size_t i;
    const json_t *m;
    sc_status status = SC_OK;
    *out = json_array();
    json_array_foreach(list, i, m) {
        json_t *message = NULL;
        if (status == SC_OK) status = message_read(&message, m, i, err);
        if (message) json_array_append_new(*out, message);
    }
    if (status == SC_OK) return SC_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

/* ---- tools ------------------------------------------------------------------------------------------------------------------------------------------ */

static json_t *tool_wrap(const json_t *tool)
{
    if (json_is_object(json_object_get(tool, "function"))) return json_incref((json_t *)tool);
    return json_pack("{s:s, s:O}", "type", "function", "function", tool);
}

sc_status tools_read(json_t **out, const json_t *record, sc_error *err)
{
    json_t *parsed = NULL;
    size_t i;
    const json_t *list = json_object_get(record, "tools"), *tool;
    sc_status status = SC_OK;
    *out = NULL;
    if (!list || json_is_null(list)) list = json_object_get(record, "functions");
    if (!list || json_is_null(list) || (json_is_string(list) && !json_string_length(list))) return SC_OK;
    if (json_is_string(list)) {
        if (json_read(&parsed, json_string_value(list), json_string_length(list), "tools", err) != SC_OK) return SC_E_FORMAT;
        list = parsed;
    }
    if (!json_is_array(list)) status = FAIL(err, SC_E_FORMAT, "\"tools\" is no list");
    json_array_foreach(list, i, tool) {
        if (status == SC_OK && !json_is_object(tool)) status = FAIL(err, SC_E_FORMAT, "tool %zu is no object with name and parameters", i + 1);
        if (status != SC_OK) break;
        if (!*out) *out = json_array();
        json_array_append_new(*out, tool_wrap(tool));
    }
    json_decref(parsed);
    if (status == SC_OK) return SC_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

/* ---- the rows ------------------------------------------------------------------------------------------------------------------------------------------ */

static const json_t *list_of(const json_t *record)
{
    static const char *const names[] = { "messages", "conversations", "conversation", "dialogue", "dialog", "chat" };
    if (json_is_array(record)) return json_array_size(record) && message_list_is_known(record) ? record : NULL;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *list = json_object_get(record, names[i]);
        if (message_list_is_known(list)) return list;
    }
    return NULL;
}

static bool has_role_names(const json_t *list)
{
    const json_t *first = json_array_get(list, 0);
    return !first || json_object_get(first, "role");
}

bool messages_probe(const json_t *record)
{
    const json_t *list = list_of(record);
    return list && has_role_names(list);
}

bool sharegpt_probe(const json_t *record) { return list_of(record) != NULL; }

/* A system text beside the list goes first, unless the list has its own. */
static void system_insert(json_t *messages, const json_t *record)
{
    const json_t *text = member_string(record, "system system_prompt");
    const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    if (text && !(role && strcmp(role, "system") == 0)) json_array_insert_new(messages, 0, message_new("system", text));
}

sc_status messages_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    json_t *messages, *tools;
    (void)c;
    TRY(message_list_read(&messages, list_of(record), err));
    sc_status status = tools_read(&tools, record, err);
    if (status != SC_OK) { json_decref(messages); return status; }
    system_insert(messages, record);
    struct dialogue *d = dialogue_put(out, messages, record);
    const char *group = member_text(record, "prompt_id");
    d->tools = tools;
    if (group) d->group = mem_strdup(group);
    return SC_OK;
}

/* Dumps of ShareGPT may begin in the middle: answers before any question are left out. */
static json_t *head_dropped(const json_t *messages)
{
    json_t *kept = json_array();
    bool has_user = false;
    size_t i;
    json_t *m;
    json_array_foreach((json_t *)messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        has_user |= strcmp(role, "user") == 0;
        if (has_user || strcmp(role, "system") == 0) json_array_append(kept, m);
    }
    return kept;
}

sc_status sharegpt_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    TRY(messages_convert(out, record, c, err));
    struct dialogue *d = &out->dialogue[out->len - 1];
    json_t *kept = head_dropped(d->messages);
    json_decref(d->messages);
    d->messages = kept;
    return SC_OK;
}

bool ultrachat_probe(const json_t *record)
{
    const json_t *list = json_object_get(record, "data");
    return json_array_size(list) && json_is_string(json_array_get(list, 0));
}

sc_status ultrachat_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    const json_t *list = json_object_get(record, "data"), *text;
    size_t i;
    (void)c;
    json_array_foreach(list, i, text) if (!json_is_string(text)) return FAIL(err, SC_E_FORMAT, "turn %zu of \"data\" is no text", i + 1);
    json_t *messages = json_array();
    json_array_foreach(list, i, text) json_array_append_new(messages, message_new(i % 2 ? "assistant" : "user", text));
    dialogue_put(out, messages, record);
    return SC_OK;
}

/* ---- turns behind marks ---------------------------------------------------------------------------------------------------------------------------------- */

static bool is_space(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n'; }

static void marked_turn_put(json_t *messages, const char *role, const char *begin, const char *end)
{
    while (begin < end && is_space(*begin)) begin++;
    while (end > begin && is_space(end[-1])) end--;
    json_array_append_new(messages, message_from_text(role, begin, (size_t)(end - begin)));
}

json_t *marked_turns_read(const char *text, size_t len, const char *before, const char *user_mark, const char *assistant_mark)
{
    size_t gap = strlen(before), user = strlen(user_mark), assistant = strlen(assistant_mark), begin = 0;
    const char *role = NULL;
    json_t *messages = json_array();
    for (size_t at = 0; at <= len; at++) {
        bool can_mark = !role || (at >= gap && memcmp(text + at - gap, before, gap) == 0), is_end = at == len;
        bool is_user = can_mark && len - at >= user && memcmp(text + at, user_mark, user) == 0, is_assistant = can_mark && len - at >= assistant && memcmp(text + at, assistant_mark, assistant) == 0;
        if (!role && !is_user && !is_assistant && !(at < len && is_space(text[at]))) break;
        if (!is_user && !is_assistant && !is_end) continue;
        if (role) marked_turn_put(messages, role, text + begin, text + at);
        role = is_user ? "user" : "assistant";
        begin = at + (is_user ? user : assistant);
    }
    if (json_array_size(messages)) return messages;
    json_decref(messages);
    return NULL;
}
