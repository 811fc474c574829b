/* format_pairs.c - preference pairs, kept for training on preferences: HH-RLHF's transcripts ("\n\nHuman: ...\n\n
 * Assistant: ..."), UltraFeedback's and DPO's message lists, or a prompt with two texts. The prompt is what both share;
 * `messages` ends with the chosen answer, `rejected` with the other. */
#include "data/formats_internal.h"

#include <string.h>

static const json_t *side(const json_t *r, bool chosen) { return json_object_get(r, chosen ? "chosen" : "rejected"); }
static bool is_side(const json_t *v) { return json_is_string(v) || json_is_array(v); }
bool pairs_probe(const json_t *r) { return is_side(side(r, true)) && is_side(side(r, false)); }

/* "\n\nHuman: a\n\nAssistant: b..." to messages; NULL: it is no transcript. */
static json_t *transcript(const char *text)
{
    static const char *const marks[] = { "\n\nHuman:", "\n\nAssistant:" };
    json_t *messages = json_array();
    const char *at = strncmp(text, marks[0] + 2, 6) == 0 ? text : strstr(text, marks[0]);
    if (!at || (at != text && strspn(text, " \n") < (size_t)(at - text))) { json_decref(messages); return NULL; }
    if (at != text || *text == '\n') at += 2;
    for (bool user = true; at;) {
        at += strlen(marks[user ? 0 : 1]) - 2;
        at += *at == ' ';
        const char *human = strstr(at, marks[0]), *assistant = strstr(at, marks[1]), *end = !human || (assistant && assistant < human) ? assistant : human;
        json_array_append_new(messages, json_pack("{s:s, s:o}", "role", user ? "user" : "assistant", "content", json_stringn(at, end ? (size_t)(end - at) : strlen(at))));
        user = end && end == human;
        at = end ? end + 2 : NULL;
    }
    return messages;
}

static sc_status read_side(json_t **out, const json_t *r, bool chosen, sc_error *err)
{
    const json_t *value = side(r, chosen), *prompt = json_object_get(r, "prompt");
    *out = NULL;
    if (json_is_array(value)) {
        TRY(messages_from_list(out, value, err));
        /* TRL's implicit form has the prompt beside the two answers. */
        if (json_is_array(prompt)) {
            json_t *head = NULL;
            sc_status status = messages_from_list(&head, prompt, err);
            if (status == SC_OK) json_array_extend(head, *out);
            json_decref(*out);
            *out = head;
            return status;
        }
        return SC_OK;
    }
    *out = transcript(json_string_value(value));
    if (*out) return SC_OK;
    if (!json_is_string(prompt)) return FAIL(err, SC_E_FORMAT, "\"%s\" is neither a transcript (Human: ... Assistant: ...) nor an answer to a \"prompt\"", chosen ? "chosen" : "rejected");
    *out = json_pack("[{s:s, s:O}, {s:s, s:O}]", "role", "user", "content", prompt, "role", "assistant", "content", value);
    return SC_OK;
}

sc_status pairs_convert(struct dialogue_list *out, const json_t *r, const struct tree_config *c, sc_error *err)
{
    json_t *chosen = NULL, *rejected = NULL;
    (void)c;
    TRY(read_side(&chosen, r, true, err));
    sc_status status = read_side(&rejected, r, false, err);
    if (status != SC_OK) { json_decref(chosen); return status; }
    struct dialogue *d = dialogue_list_add(out);
    d->messages = chosen;
    d->rejected = rejected;
    return SC_OK;
}
