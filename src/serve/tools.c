/* tools.c - functions that the model may call. A model whose template knows tools says so in its own words and decides itself. Any other can
 * be made to call one: the answer is then held to the schema of the function's arguments. */
#include <stdlib.h>
#include <string.h>

#include "serve/api.h"

enum { TOOLS_MAX = 128, NAME_MAX_LEN = 64, CALLS_MAX = 256 };      /* CALLS_MAX: of one answer */
static const char CALL_BEGIN[] = "<tool_call>", CALL_END[] = "</tool_call>";

static const json_t *function_of(const json_t *tool) { return json_object_get(tool, "function"); }
static const char *name_of(const json_t *tool) { return json_string_value(json_object_get(function_of(tool), "name")); }

static bool check_tools(const json_t *tools, struct api_error *e)
{
    if (!json_is_array(tools) || json_array_size(tools) > TOOLS_MAX) return api_bad(e, "tools", "tools is no list of at most %d functions", TOOLS_MAX);
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i), *parameters = json_object_get(function_of(tool), "parameters");
        const char *type = json_string_value(json_object_get(tool, "type")), *name = name_of(tool);
        if (!type || strcmp(type, "function") != 0) return api_bad(e, "tools", "tools[%zu] has another type than \"function\"", i);
        if (!name || !*name || strlen(name) > NAME_MAX_LEN || strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") != strlen(name))
            return api_bad(e, "tools", "tools[%zu].function.name is missing, or is no name of 1 to %d letters, digits, _ and -", i, NAME_MAX_LEN);
        if (parameters && !json_is_object(parameters) && !json_is_null(parameters)) return api_bad(e, "tools", "tools[%zu].function.parameters is no schema", i);
    }
    return true;
}

static json_t *schema_of(const json_t *tool)
{
    json_t *parameters = json_object_get(function_of(tool), "parameters");
    return json_is_object(parameters) ? json_incref(parameters) : json_pack("{s:s}", "type", "object");
}

/* {"name": one of them, "arguments": its own}, for each function one. */
static json_t *schema_of_any(const json_t *tools)
{
    json_t *any = json_array();
    for (size_t i = 0; i < json_array_size(tools); i++) {
        const json_t *tool = json_array_get(tools, i);
        json_array_append_new(any, json_pack("{s:s, s:{s:{s:s}, s:o}, s:[s,s], s:b}", "type", "object", "properties", "name", "const", name_of(tool), "arguments", schema_of(tool),
                                             "required", "name", "arguments", "additionalProperties", 0));
    }
    return json_pack("{s:o}", "anyOf", any);
}

static bool template_knows_tools(const sc_model *m) { return m->chat_template.source && strstr(m->chat_template.source, "tools"); }

static bool choose_one(struct call *c, const json_t *tools, const char *name, struct api_error *e)
{
    for (size_t i = 0; i < json_array_size(tools); i++) {
        if (strcmp(name_of(json_array_get(tools, i)), name) != 0) continue;
        c->tools = TOOLS_SCHEMA_ONE;
        c->tool_name = name_of(json_array_get(tools, i));
        c->tool_schema = schema_of(json_array_get(tools, i));
        return true;
    }
    return api_bad(e, "tool_choice", "tool_choice names \"%s\", which is none of the tools", name);
}

bool tools_choose(struct call *c, const json_t *body, struct api_error *e)
{
    const json_t *tools = c->wish.tools, *choice = c->wish.tool_choice;
    const char *word = json_string_value(choice), *name = json_string_value(json_object_get(json_object_get(choice, "function"), "name"));
    (void)body;
    if (!tools || (json_is_array(tools) && !json_array_size(tools))) {
        if (word && strcmp(word, "none") != 0 && strcmp(word, "auto") != 0) return api_bad(e, "tool_choice", "tool_choice is given, but there are no tools");
        return true;
    }
    if (!check_tools(tools, e)) return false;
    if (word && strcmp(word, "none") == 0) return true;
    if (name) return choose_one(c, tools, name, e);
    if (word && strcmp(word, "required") == 0) {
        if (json_array_size(tools) == 1) return choose_one(c, tools, name_of(json_array_get(tools, 0)), e);
        c->tools = TOOLS_SCHEMA_ANY;
        c->tool_schema = schema_of_any(tools);
        return true;
    }
    if (choice && (!word || strcmp(word, "auto") != 0)) return api_bad(e, "tool_choice", "tool_choice is none of \"auto\", \"none\", \"required\" and {\"type\":\"function\",\"function\":{\"name\"}}");
    if (!template_knows_tools(c->model))
        return api_fail(e, 400, "invalid_request_error", "tools_not_supported", "tools", "the chat template of %s knows no tools; tool_choice \"required\" or one function makes it call them", c->model_name);
    c->tools = TOOLS_TEMPLATE;
    return true;
}

/* A model that is held to a schema still has to know what the functions are for, as far as its template can tell. */
const json_t *tools_for_template(const struct call *c) { return c->tools != TOOLS_NONE && template_knows_tools(c->model) ? c->wish.tools : NULL; }

bool tools_grammar(struct call *c, struct grammar **out, struct api_error *e)
{
    sc_error err;
    if (!c->tool_schema) return true;
    return grammar_from_schema(out, c->tool_schema, &err) == SC_OK || api_bad(e, "tools", "%s", err.message);
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------ */

bool tools_is_call(const struct call *c) { return c->tools == TOOLS_SCHEMA_ONE; }

/* Whether the end of the text may be the beginning of a call. */
static bool may_begin_call(const struct buf *b)
{
    size_t n = sizeof CALL_BEGIN - 1;
    for (size_t k = b->len < n ? b->len : n; k > 0; k--)
        if (memcmp(b->data + b->len - k, CALL_BEGIN, k) == 0) return true;
    return false;
}

bool tools_hold(struct call *c, size_t choice, const char *text, size_t len)
{
    struct choice *ch = &c->choices[choice];
    if (c->tools == TOOLS_NONE) return false;
    if (c->tools == TOOLS_SCHEMA_ONE) {
        if (ch->has_begun) return false;
        ch->has_begun = true;                                  /* the first piece carries the name */
        buf_append(&ch->held, text, len);
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "\"delta\":{\"tool_calls\":[{\"index\":0,\"id\":\"call_%s_%zu\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":", c->id, choice, c->tool_name);
        buf_put_json_string(&b, text, len);
        buf_puts(&b, "}}]},\"logprobs\":null");
        openai_chunk(c, choice, &b);
        buf_release(&b);
        return true;
    }
    buf_append(&ch->held, text, len);
    if (c->tools == TOOLS_SCHEMA_ANY) return true;
    if (ch->has_begun) return true;
    bool has_call = memmem(ch->held.data, ch->held.len, CALL_BEGIN, sizeof CALL_BEGIN - 1) != NULL;
    if (has_call) { ch->has_begun = true; return true; }
    if (may_begin_call(&ch->held)) return true;
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "\"delta\":{\"content\":");
    buf_put_json_string(&b, ch->held.data, ch->held.len);
    buf_puts(&b, "},\"logprobs\":null");
    openai_chunk(c, choice, &b);
    buf_release(&b);
    buf_clear(&ch->held);
    return true;
}

/* One call from {"name", "arguments"}; false if the text is none. */
static bool put_call(struct buf *b, const struct call *c, size_t choice, const char *text, size_t len, size_t index, bool has_index)
{
    json_t *v = json_tree(text, len, 64), *arguments = json_object_get(v, "arguments");
    const char *name = json_string_value(json_object_get(v, "name"));
    bool ok = name && arguments;
    char *written = ok ? (json_is_string(arguments) ? NULL : json_dumps(arguments, JSON_COMPACT | JSON_ENCODE_ANY)) : NULL;
    if (ok) {
        const char *as_text = written ? written : json_string_value(arguments);
        buf_puts(b, index ? ",{" : "{");
        if (has_index) buf_printf(b, "\"index\":%zu,", index);
        buf_printf(b, "\"id\":\"call_%s_%zu\",\"type\":\"function\",\"function\":{\"name\":", c->id, choice * CALLS_MAX + index);
        buf_put_json_string(b, name, strlen(name));
        buf_puts(b, ",\"arguments\":");
        buf_put_json_string(b, as_text, strlen(as_text));
        buf_puts(b, "}}");
    }
    free(written);
    json_decref(v);
    return ok;
}

/* All calls of a text; *before becomes the length of what stands before the first. Returns how many. */
static size_t put_calls(struct buf *b, const struct call *c, size_t choice, const char *text, size_t len, bool has_index, size_t *before)
{
    size_t n = 0;
    *before = len;
    if (c->tools == TOOLS_SCHEMA_ANY) { *before = 0; return put_call(b, c, choice, text, len, 0, has_index); }
    const char *at = text, *end = text + len, *begin;
    while (at < end && n < CALLS_MAX && (begin = memmem(at, (size_t)(end - at), CALL_BEGIN, sizeof CALL_BEGIN - 1))) {
        const char *from = begin + sizeof CALL_BEGIN - 1, *to = memmem(from, (size_t)(end - from), CALL_END, sizeof CALL_END - 1);
        if (!to) to = end;
        bool ok = put_call(b, c, choice, from, (size_t)(to - from), n, has_index);
        if (ok && n++ == 0) *before = (size_t)(begin - text);
        at = to;
    }
    return n;
}

bool tools_delta(struct buf *b, struct call *c, size_t choice, const char **finish)
{
    struct choice *ch = &c->choices[choice];
    if (c->tools == TOOLS_SCHEMA_ONE) {
        if (ch->finish == FINISH_END) *finish = "tool_calls";
        return false;
    }
    if (c->tools == TOOLS_NONE || !ch->held.len) return false;
    struct buf calls;
    size_t before;
    buf_init(&calls, 0);
    size_t n = put_calls(&calls, c, choice, ch->held.data, ch->held.len, true, &before);
    buf_puts(b, "\"delta\":{");
    if (before) { buf_puts(b, "\"content\":"); buf_put_json_string(b, ch->held.data, before); }
    if (n) buf_printf(b, "%s\"tool_calls\":[%s]", before ? "," : "", calls.data);
    buf_puts(b, "},\"logprobs\":null");
    if (n) *finish = "tool_calls";
    buf_release(&calls);
    return true;
}

bool tools_message(struct buf *b, struct call *c, const struct choice *ch, const char **finish)
{
    const char *text = ch->text.data ? ch->text.data : "";
    if (c->tools == TOOLS_NONE) return false;
    if (c->tools == TOOLS_SCHEMA_ONE) {
        buf_printf(b, "\"content\":null,\"tool_calls\":[{\"id\":\"call_%s_%zu\",\"type\":\"function\",\"function\":{\"name\":\"%s\",\"arguments\":", c->id, (size_t)(ch - c->choices), c->tool_name);
        buf_put_json_string(b, text, ch->text.len);
        buf_puts(b, "}}]");
        if (ch->finish == FINISH_END) *finish = "tool_calls";
        return true;
    }
    struct buf calls;
    size_t before;
    buf_init(&calls, 0);
    size_t n = put_calls(&calls, c, (size_t)(ch - c->choices), text, ch->text.len, false, &before);
    buf_puts(b, "\"content\":");
    if (n && !before) buf_puts(b, "null");
    else buf_put_json_string(b, text, before);
    if (n) buf_printf(b, ",\"tool_calls\":[%s]", calls.data);
    if (n) *finish = "tool_calls";
    buf_release(&calls);
    return true;
}
