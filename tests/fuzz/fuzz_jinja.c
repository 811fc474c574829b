/* fuzz_jinja.c - any bytes as a chat template, and behind a byte 0x1E as its variables. Whatever comes: an end within
 * the limits, output of at most 4 MiB, spans of trust that rise, lie inside and agree with the marks, and nothing that
 * came from a variable among them (letters beyond ASCII, where the template has only ASCII and no escapes). */
#include <string.h>

#include "text/text.h"

static const char fixed[] = "{\"messages\":[{\"role\":\"system\",\"content\":\"Sei kürz.\"},{\"role\":\"user\",\"content\":\" Привет <b> \\n\"},"
    "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"é1\",\"type\":\"function\",\"function\":{\"name\":\"füge\",\"arguments\":{\"ä\":[1,2.5,null,true]}}}]},"
    "{\"role\":\"tool\",\"content\":[{\"type\":\"text\",\"text\":\"ответ\"}]}],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"ж\",\"parameters\":{}}}],"
    "\"add_generation_prompt\":true,\"bos_token\":\"<s>\",\"eos_token\":\"</s>\",\"s\":\"текст\",\"n\":7,\"l\":[3,1,2],\"d\":{\"б\":1,\"a\":\"ü\"},\"f\":-0.5}";
static const char *const names[] = { "bos_token", "eos_token", NULL };

static bool has_only_ascii(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)s[i] >= 0x80 || s[i] == '\\') return false;
    return true;
}

static void check(const struct rendered *r, bool is_ascii)
{
    size_t at = 0;
    if (r->text.len > 4 << 20 || !utf8_is_valid(r->text.data, r->text.len)) abort();
    for (size_t i = 0; i <= r->n_trusted; i++) {
        size_t begin = i < r->n_trusted ? r->trusted[i].begin : r->text.len, end = i < r->n_trusted ? r->trusted[i].end : begin;
        if (i < r->n_trusted && (begin >= end || end > r->text.len || (i && begin <= at))) abort();
        for (; at < begin; at++)
            if (r->mark[at] & MARK_TRUSTED) abort();
        for (; at < end; at++)
            if (!(r->mark[at] & MARK_TRUSTED) || (is_ascii && (unsigned char)r->text.data[at] >= 0x80)) abort();
    }
}

static bool is_sentence(const char *s)
{
    for (size_t i = 0; s[i]; i++)
        if ((unsigned char)s[i] < 0x20 || s[i] == 0x7F) return false;
    return strlen(s) > 12 && utf8_is_valid(s, strlen(s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data, *cut = size ? memchr(text, 0x1E, size) : NULL;
    size_t len = cut ? (size_t)(cut - text) : size;
    struct jinja *t = NULL;
    struct rendered r = { 0 };
    json_t *variables = NULL;
    sc_error e = { 0 };
    if (size > 20000) return 0;
    if (cut && json_read(&variables, cut + 1, size - len - 1, "the variables", NULL) == SC_OK && !json_is_object(variables)) {
        json_decref(variables);
        variables = NULL;
    }
    bool is_own = variables != NULL;
    if (!is_own && json_read(&variables, fixed, sizeof fixed - 1, "the variables", NULL) != SC_OK) abort();
    sc_status status = jinja_compile(&t, text, len, "template", &e);
    if (status == SC_OK) status = jinja_render(&r, t, variables, 1722001509, is_own ? NULL : names, &e);
    if (status == SC_OK) check(&r, has_only_ascii(text, len));
    else if (!is_sentence(e.message) || r.text.data) abort();
    rendered_release(&r);
    jinja_free(t);
    json_decref(variables);
    return 0;
}
