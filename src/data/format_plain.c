/* format_plain.c - text without messages: plain text and source code for pre-training, and text that hides a dialogue
 * behind marks, which would else be trained on as a whole without anyone noticing. */
#include "formats_internal.h"

#include <string.h>

static const char text_names[] = "text content code";

static const json_t *text_of(const json_t *record)
{
    const json_t *text = member_string(record, text_names);
    return text ? text : json_is_string(json_object_get(record, "text")) ? json_object_get(record, "text") : NULL;
}

/* The dialogue of openassistant-guanaco's form, or of HH-RLHF's. */
static json_t *turns_of(const json_t *record)
{
    const json_t *text = text_of(record);
    const char *s = text ? json_string_value(text) : "";
    size_t space = strspn(s, " \t\r\n"), len = json_string_length(text);
    if (strncmp(s + space, "### Human:", 10) == 0) return marked_turns_read(s, len, "\n", "### Human:", "### Assistant:");
    if (strncmp(s + space, "Human:", 6) == 0 && strstr(s, "\n\nAssistant:")) return marked_turns_read(s, len, "\n\n", "Human:", "Assistant:");
    return NULL;
}

bool marked_text_probe(const json_t *record)
{
    json_t *turns = turns_of(record);
    json_decref(turns);
    return turns != NULL;
}

sc_status marked_text_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    (void)c, (void)err;
    dialogue_put(out, turns_of(record), record);
    return SC_OK;
}

bool text_probe(const json_t *record) { return text_of(record) != NULL; }

sc_status text_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    char *text;
    (void)c;
    TRY(text_copy(&text, text_of(record), err));
    dialogue_put(out, NULL, record)->text = text;
    return SC_OK;
}
