/* format_pairs.c - preference pairs: two answers to one prompt, one preferred. HH-RLHF writes each dialogue as one text with
 * "\n\nHuman:" and "\n\nAssistant:", UltraFeedback as lists of messages, others give the prompt apart from the answers. The
 * chosen dialogue is the one that supervised training sees. */
#include "formats_internal.h"

#include <string.h>

bool pairs_probe(const json_t *record)
{
    const json_t *chosen = json_object_get(record, "chosen"), *rejected = json_object_get(record, "rejected");
    return chosen && rejected && !json_is_null(chosen) && !json_is_null(rejected);
}

static json_t *human_turns(const json_t *text)
{
    return json_is_string(text) ? marked_turns_read(json_string_value(text), json_string_length(text), "\n\n", "Human:", "Assistant:") : NULL;
}

/* What was asked: messages, or text, with a system text before it. *out NULL: the record has no prompt of its own. */
static sc_status prompt_read(json_t **out, const json_t *record, sc_error *err)
{
    const json_t *list = json_object_get(record, "prompt"), *text = member_string(record, "prompt question instruction input query"), *system = member_string(record, "system system_prompt");
    *out = NULL;
    if (json_is_array(list)) return message_list_read(out, list, err);
    if (!text) return SC_OK;
    if ((*out = human_turns(text))) {                     /* such prompts end with "Assistant:" and nothing behind it */
        size_t n = json_array_size(*out);
        if (n && !json_string_length(json_object_get(json_array_get(*out, n - 1), "content"))) json_array_remove(*out, n - 1);
        return SC_OK;
    }
    *out = json_array();
    if (system) json_array_append_new(*out, message_new("system", system));
    json_array_append_new(*out, message_new("user", text));
    return SC_OK;
}

static bool begins_with_question(const json_t *messages)
{
    const char *role = json_string_value(json_object_get(json_array_get(messages, 0), "role"));
    return role && strcmp(role, "assistant") != 0 && strcmp(role, "tool") != 0;
}

/* The whole dialogue with this answer. */
static sc_status side_read(json_t **out, const json_t *side, const json_t *prompt, const char *name, sc_error *err)
{
    json_t *answer = NULL;
    *out = NULL;
    if (json_is_array(side)) TRY(message_list_read(&answer, side, err));
    else if (json_is_object(side)) {
        json_t *list = json_pack("[O]", side);
        sc_status status = message_list_read(&answer, list, err);
        json_decref(list);
        TRY(status);
    } else if (json_is_string(side) && !(answer = human_turns(side))) answer = json_pack("[o]", message_new("assistant", side));
    if (!answer) return FAIL(err, SC_E_FORMAT, "\"%s\" is neither text nor a list of messages", name);
    if (begins_with_question(answer)) { *out = answer; return SC_OK; }
    if (!prompt) {
        json_decref(answer);
        return FAIL(err, SC_E_FORMAT, "\"%s\" is an answer without its prompt; expected \"prompt\", or a whole dialogue", name);
    }
    *out = json_copy((json_t *)prompt);
    json_array_extend(*out, answer);
    json_decref(answer);
    return SC_OK;
}

sc_status pairs_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    json_t *prompt = NULL, *chosen = NULL, *rejected = NULL;
    sc_status status = SC_OK;
    (void)c;
    TRY_DONE(prompt_read(&prompt, record, err));
    TRY_DONE(side_read(&chosen, json_object_get(record, "chosen"), prompt, "chosen", err));
    TRY_DONE(side_read(&rejected, json_object_get(record, "rejected"), prompt, "rejected", err));
    struct dialogue *d = dialogue_put(out, json_deep_copy(chosen), record);
    d->rejected = json_deep_copy(rejected);               /* cleaning changes messages in place */
    const char *group = member_text(record, "prompt_id prompt question instruction");
    if (group) d->group = mem_strdup(group);
done:
    json_decref(prompt);
    json_decref(chosen);
    json_decref(rejected);
    return status;
}
