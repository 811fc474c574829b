/* formats.c - a record becomes dialogues by the first row of a table whose probe fits: formats are known by what a record
 * holds and not by names of files. What every format needs stands here too. */
#include "formats_internal.h"

#include <string.h>

const struct data_format data_formats[] = {
    { "oasst", "OpenAssistant tree: one dialogue for each way from the root to a leaf", tree_probe, tree_convert },
    { "oasst-message", "a single OpenAssistant message; a file of them is put together to trees", tree_message_probe, tree_message_convert },
    { "preference", "chosen and rejected, as texts (HH-RLHF) or lists of messages (UltraFeedback, DPO)", pairs_probe, pairs_convert },
    { "messages", "OpenAI messages with role and content, tools", messages_probe, messages_convert },
    { "sharegpt", "conversations with from and value, tools", sharegpt_probe, sharegpt_convert },
    { "ultrachat", "data: texts of user and assistant in turn", ultrachat_probe, ultrachat_convert },
    { "self-instruct", "instruction and instances of input and output", self_instruct_probe, self_instruct_convert },
    { "dolly", "instruction, context, response", dolly_probe, alpaca_convert },
    { "alpaca", "instruction, input, output (or response)", alpaca_probe, alpaca_convert },
    { "completion", "prompt and completion, question and answer", completion_probe, completion_convert },
    { "questions", "questions without answers: nothing to train on", questions_probe, questions_convert },
    { "marked-text", "text with turns behind \"### Human:\" or \"Human:\"", marked_text_probe, marked_text_convert },
    { "text", "plain text or source code", text_probe, text_convert },
    { NULL, NULL, NULL, NULL },
};

/* ---- lists of dialogues ------------------------------------------------------------------------------------------------------------- */

struct dialogue *dialogue_list_add(struct dialogue_list *l)
{
    if (l->len == l->cap) l->dialogue = mem_grow(l->dialogue, (l->cap = l->cap ? 2 * l->cap : 4) * sizeof *l->dialogue);
    l->dialogue[l->len] = (struct dialogue) { 0 };
    return &l->dialogue[l->len++];
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
    *d = (struct dialogue) { 0 };
}

void dialogue_list_release(struct dialogue_list *l)
{
    for (size_t i = 0; i < l->len; i++) dialogue_release(&l->dialogue[i]);
    mem_free(l->dialogue);
    *l = (struct dialogue_list) { 0 };
}

/* ---- members --------------------------------------------------------------------------------------------------------------------------- */

const json_t *member_string(const json_t *record, const char *names)
{
    for (const char *at = names; *at; at += strspn(at, " ")) {
        size_t n = strcspn(at, " ");
        const json_t *v = json_object_getn(record, at, n);
        if (json_is_string(v) && json_string_length(v)) return v;
        at += n;
    }
    return NULL;
}

const char *member_text(const json_t *record, const char *names) { return json_string_value(member_string(record, names)); }

json_t *message_new(const char *role, const json_t *content)
{
    json_t *m = json_object();
    json_object_set_new_nocheck(m, "role", json_string_nocheck(role));
    json_object_set_nocheck(m, "content", (json_t *)content);
    return m;
}

json_t *message_from_text(const char *role, const char *text, size_t len)
{
    json_t *m = json_object();
    json_object_set_new_nocheck(m, "role", json_string_nocheck(role));
    json_object_set_new_nocheck(m, "content", json_stringn_nocheck(text, len));
    return m;
}

sc_status text_copy(char **out, const json_t *string, sc_error *err)
{
    const char *text = json_string_value(string);
    size_t len = json_string_length(string);
    *out = NULL;
    if (memchr(text, 0, len)) return FAIL(err, SC_E_FORMAT, "the text holds a NUL character (\\u0000), so it is no text");
    *out = mem_strndup(text, len);
    return SC_OK;
}

/* ISO codes only: data sets of source code use the same names for programming languages. */
static bool is_language_code(const char *s)
{
    size_t n = s ? strspn(s, "abcdefghijklmnopqrstuvwxyz") : 0;
    return n >= 2 && n <= 3 && (!s[n] || s[n] == '-' || s[n] == '_');
}

static char *id_of(const json_t *record)
{
    static const char *const names[] = { "id", "conversation_id", "prompt_id", "question_id", "task_id", "uuid" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *v = json_object_get(record, names[i]);
        if (json_is_string(v) && json_string_length(v)) return mem_strdup(json_string_value(v));
        if (!json_is_integer(v)) continue;
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "%lld", (long long)json_integer_value(v));
        return b.data;
    }
    return NULL;
}

static char *licence_of(const json_t *record)
{
    const char *one = member_text(record, "licence license");
    const json_t *list = json_object_get(record, "licenses"), *v;
    struct buf b;
    size_t i;
    if (one) return mem_strdup(one);
    if (!json_array_size(list)) list = json_object_get(record, "max_stars_repo_licenses");
    buf_init(&b, 0);
    json_array_foreach(list, i, v) if (json_is_string(v)) buf_printf(&b, "%s%s", b.len ? ", " : "", json_string_value(v));
    return b.data;
}

struct dialogue *dialogue_put(struct dialogue_list *out, json_t *messages, const json_t *record)
{
    struct dialogue *d = dialogue_list_add(out);
    const char *lang = member_text(record, "lang language");
    d->messages = messages;
    d->id = id_of(record);
    d->lang = is_language_code(lang) ? mem_strdup(lang) : NULL;
    d->licence = licence_of(record);
    return d;
}

/* ---- a record ---------------------------------------------------------------------------------------------------------------------------- */

/* Lists of messages that a table keeps as JSON text, put in place of the text. */
static void lists_unquote(json_t *record)
{
    static const char *const names[] = { "messages", "conversations", "conversation", "chosen", "rejected" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        const json_t *v = json_object_get(record, names[i]);
        const char *text = json_string_value(v);
        if (!text || *text != '[') continue;
        json_t *list = NULL;
        if (json_read(&list, text, json_string_length(v), "", NULL) == SC_OK && message_list_is_known(list)) json_object_set(record, names[i], list);
        json_decref(list);
    }
}

static sc_status unknown_shape(const json_t *record, sc_error *err)
{
    static const char expected[] = "expected for example messages, conversations, instruction and output, prompt and completion, chosen and rejected, or text";
    struct buf keys;
    const char *key;
    json_t *unused;
    char quote[160];
    if (!json_is_object(record)) return FAIL(err, SC_E_FORMAT, "the record is no object and no list of messages; %s", expected);
    buf_init(&keys, 0);
    json_object_foreach((json_t *)record, key, unused) buf_printf(&keys, "%s%s", keys.len ? ", " : "", key);
    (void)unused;
    error_quote(quote, sizeof quote, keys.data ? keys.data : "", keys.len);
    sc_status status = keys.len ? FAIL(err, SC_E_FORMAT, "no known form of dialogue: its keys are %s; %s", quote, expected) : FAIL(err, SC_E_FORMAT, "the record is an empty object; %s", expected);
    buf_release(&keys);
    return status;
}

static const struct data_format *format_find(const json_t *record)
{
    const struct data_format *f = data_formats;
    while (f->name && !f->probe(record)) f++;
    return f->name ? f : NULL;
}

sc_status dialogues_from_json(struct dialogue_list *out, json_t *record, const struct tree_config *c, const char **format_name, sc_error *err)
{
    size_t begin = out->len;
    if (format_name) *format_name = NULL;
    lists_unquote(record);
    const struct data_format *f = format_find(record);
    sc_status status = f ? f->convert(out, record, c, err) : unknown_shape(record, err);
    if (status == SC_OK && format_name) *format_name = f->name;
    while (status != SC_OK && out->len > begin) dialogue_release(&out->dialogue[--out->len]);
    return status;
}

sc_status dialogues_from_record(struct dialogue_list *out, const struct record *r, const struct tree_config *c, const char **format_name, sc_error *err)
{
    size_t begin = out->len;
    json_t *record = NULL;
    sc_status status = json_read_line(&record, r->text, r->len, r->line, err);
    if (status != SC_OK) return error_prefix(err, status, "%s", r->file);
    status = dialogues_from_json(out, record, c, format_name, err);
    for (size_t i = begin; i < out->len; i++) {
        struct dialogue *d = &out->dialogue[i];
        d->file = r->file;
        d->line = r->line;
        d->input = r->input;
        d->index = (uint32_t)(i - begin);
    }
    json_decref(record);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "%s: line %llu", r->file, (unsigned long long)r->line);
}
