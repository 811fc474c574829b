/* format_instruct.c - one question and one answer: Alpaca and its kin (instruction, input, output), Dolly (context,
 * response), Self-Instruct (instances), prompt and completion, question and answer; and questions without answers, which
 * are refused with a reason. An input goes behind its instruction with a blank line between, without the sentences that
 * Alpaca's own template puts around them: the chat template takes their place. */
#include "formats_internal.h"

#include <string.h>

static const char answer_names[] = "output response completion answer solution", prompt_names[] = "prompt question query problem";

/* ---- parts ------------------------------------------------------------------------------------------------------------------------------ */

static json_t *question_new(const json_t *instruction, const json_t *input)
{
    struct buf b;
    if (!json_string_length(input)) return message_new("user", instruction);
    buf_init(&b, 0);
    buf_append(&b, json_string_value(instruction), json_string_length(instruction));
    buf_puts(&b, "\n\n");
    buf_append(&b, json_string_value(input), json_string_length(input));
    json_t *m = message_from_text("user", b.data, b.len);
    buf_release(&b);
    return m;
}

/* The first of the named members that is a string, even an empty one. */
static const json_t *any_string(const json_t *record, const char *names)
{
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        const json_t *v = json_object_getn(record, at, n);
        if (json_is_string(v)) return v;
        at += n;
    }
    return NULL;
}

/* A member that is there must be text: an input left out would change the question. */
static sc_status text_check(const json_t *record, const char *key, sc_error *err)
{
    const json_t *v = json_object_get(record, key);
    return !v || json_is_null(v) || json_is_string(v) ? SC_OK : FAIL(err, SC_E_FORMAT, "\"%s\" is no text", key);
}

/* Exchanges before this one: [[question, answer]...]. */
static sc_status history_read(json_t *messages, const json_t *record, sc_error *err)
{
    const json_t *history = json_object_get(record, "history"), *pair;
    size_t i;
    json_array_foreach(history, i, pair) {
        const json_t *asked = json_array_get(pair, 0), *answered = json_array_get(pair, 1);
        if (!json_is_string(asked) || !json_is_string(answered)) return FAIL(err, SC_E_FORMAT, "exchange %zu of \"history\" is no pair of texts", i + 1);
        json_array_append_new(messages, message_new("user", asked));
        json_array_append_new(messages, message_new("assistant", answered));
    }
    return SC_OK;
}

static json_t *messages_begin(const json_t *record)
{
    const json_t *system = member_string(record, "system system_prompt");
    json_t *messages = json_array();
    if (system) json_array_append_new(messages, message_new("system", system));
    return messages;
}

/* ---- Alpaca, Dolly ------------------------------------------------------------------------------------------------------------------------ */

bool alpaca_probe(const json_t *record) { return json_is_string(json_object_get(record, "instruction")) && any_string(record, answer_names); }
bool dolly_probe(const json_t *record) { return alpaca_probe(record) && json_is_string(json_object_get(record, "context")); }

sc_status alpaca_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    const json_t *instruction = json_object_get(record, "instruction"), *input = member_string(record, "input context");
    (void)c;
    TRY(text_check(record, "input", err));
    TRY(text_check(record, "context", err));
    json_t *messages = messages_begin(record);
    sc_status status = history_read(messages, record, err);
    if (status != SC_OK) { json_decref(messages); return status; }
    json_array_append_new(messages, question_new(instruction, input));
    json_array_append_new(messages, message_new("assistant", any_string(record, answer_names)));
    dialogue_put(out, messages, record);
    return SC_OK;
}

/* ---- Self-Instruct --------------------------------------------------------------------------------------------------------------------------- */

bool self_instruct_probe(const json_t *record) { return json_is_string(json_object_get(record, "instruction")) && json_is_array(json_object_get(record, "instances")); }

sc_status self_instruct_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    const json_t *instruction = json_object_get(record, "instruction"), *instance;
    size_t i;
    (void)c;
    json_array_foreach(json_object_get(record, "instances"), i, instance) {
        const json_t *answer = any_string(instance, answer_names);
        if (!answer) return FAIL(err, SC_E_FORMAT, "instance %zu has no output", i + 1);
        TRY(text_check(instance, "input", err));
        json_t *messages = messages_begin(record);
        json_array_append_new(messages, question_new(instruction, any_string(instance, "input")));
        json_array_append_new(messages, message_new("assistant", answer));
        struct dialogue *d = dialogue_put(out, messages, record);
        d->group = mem_strdup(json_string_value(instruction));
    }
    return i ? SC_OK : FAIL(err, SC_E_FORMAT, "\"instances\" is empty: there is no answer to the instruction");
}

/* ---- prompt and completion -------------------------------------------------------------------------------------------------------------------- */

bool completion_probe(const json_t *record)
{
    if (json_is_array(json_object_get(record, "prompt"))) return message_list_is_known(json_object_get(record, "completion"));
    return any_string(record, prompt_names) && any_string(record, answer_names);
}

/* Both as lists of messages, as TRL reads them. */
static sc_status lists_convert(struct dialogue_list *out, const json_t *record, sc_error *err)
{
    json_t *messages, *answer;
    TRY(message_list_read(&messages, json_object_get(record, "prompt"), err));
    sc_status status = message_list_read(&answer, json_object_get(record, "completion"), err);
    if (status != SC_OK) { json_decref(messages); return status; }
    json_array_extend(messages, answer);
    json_decref(answer);
    dialogue_put(out, messages, record);
    return SC_OK;
}

sc_status completion_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    (void)c;
    if (json_is_array(json_object_get(record, "prompt"))) return lists_convert(out, record, err);
    const json_t *prompt = any_string(record, prompt_names);
    json_t *messages = messages_begin(record);
    json_array_append_new(messages, message_new("user", prompt));
    json_array_append_new(messages, message_new("assistant", any_string(record, answer_names)));
    struct dialogue *d = dialogue_put(out, messages, record);
    d->group = mem_strdup(json_string_value(prompt));
    return SC_OK;
}

/* ---- questions alone ------------------------------------------------------------------------------------------------------------------------------ */

bool questions_probe(const json_t *record)
{
    const json_t *turns = json_object_get(record, "turns");
    return (json_is_array(turns) && json_is_string(json_array_get(turns, 0))) || any_string(record, "prompt question query problem instruction");
}

sc_status questions_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err)
{
    (void)out, (void)c;
    const char *found = json_object_get(record, "turns") ? "turns" : "a prompt";
    return FAIL(err, SC_E_FORMAT, "the record has %s and no answer, so there is nothing to train on; such sets are for judging and evaluation", found);
}
