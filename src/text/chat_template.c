/* chat_template.c - StarChat's dialogue formats and ChatML as rows, and where other templates come from.
 *
 * StarChat's format, as its repository writes it (chat/dialogues.py): a line with the token of the role, the text, the
 * end token and a newline. The prompt for an answer ends with the assistant's token and no newline, so the newline is
 * the first thing that the assistant generates. The article and the repository add the tokens to the vocabulary in
 * different orders: `starchat-blog` and `no_system` keep them apart. */
#include "text/text.h"

#include <string.h>

#define SYSTEM_BLOG "Below is a dialogue between a human and an AI assistant called StarChat."
#define SYSTEM_DEFAULT "Below is a dialogue between a human user and an AI assistant. The assistant is happy to help with almost anything, and will do its best to understand exactly what is needed."
#define SYSTEM_ALPACA "Below is an instruction that describes a task. Write a response that appropriately completes the request."

/* The parts of a dialogue template around its five texts; {{ '\n' }} because a newline behind a tag is trimmed. */
#define CHECK_MESSAGE(m) \
    "{% if " m "['content'] is not string %}{{ raise_exception('the content of a message must be text') }}{% endif %}"
#define BEFORE_SYSTEM "{{ '\\n' }}{% set dialogue = messages %}{% if messages and messages[0]['role'] == 'system' %}" \
    CHECK_MESSAGE("messages[0]") "{{ messages[0]['content'] }}{% set dialogue = messages[1:] %}{% else %}"
#define BEHIND_SYSTEM "{% endif %}"
#define BEFORE_USER "{{ '\\n' }}{% for m in dialogue %}" CHECK_MESSAGE("m") "{% if m['role'] == 'user' %}"
#define CONTENT "{{ '\\n' + m['content'] }}"
#define BEFORE_ASSISTANT "{{ '\\n' }}{% elif m['role'] == 'assistant' %}"
#define BEFORE_ANSWER "{% generation %}{{ '\\n' + m['content'] }}"
#define BEHIND_ANSWER "{% endgeneration %}{{ '\\n' }}{% else %}{{ raise_exception('role ' ~ m['role'] ~ ', expected user or assistant, and system only first') }}" \
    "{% endif %}{% endfor %}{% if add_generation_prompt %}"
#define BEHIND_ALL "{% endif %}"
#define DIALOGUE(system_token, system, user, assistant, end) \
    system_token BEFORE_SYSTEM system BEHIND_SYSTEM end BEFORE_USER user CONTENT end BEFORE_ASSISTANT assistant BEFORE_ANSWER end BEHIND_ANSWER assistant BEHIND_ALL
#define STARCHAT(system) DIALOGUE("<|system|>", system, "<|user|>", "<|assistant|>", "<|end|>")

const struct chat_template_row chat_templates[] = {
    { "no_system", "starchat", STARCHAT(""), { "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" }, { "<|end|>" },
      "StarChat's own, with an empty system text", { "", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" } },
    { "starchat-blog", NULL, STARCHAT(SYSTEM_BLOG), { "<|system|>", "<|assistant|>", "<|user|>", "<|end|>" }, { "<|end|>" },
      "as the StarChat article writes it, system sentence and order of tokens", { SYSTEM_BLOG, "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" } },
    { "default", NULL, STARCHAT(SYSTEM_DEFAULT), { "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" }, { "<|end|>" },
      "StarChat's with a system sentence", { SYSTEM_DEFAULT, "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" } },
    { "alpaca", NULL, DIALOGUE("<|system|>", SYSTEM_ALPACA, "### Instruction:", "### Response:", "<|end|>"),
      { "<|system|>", "### Instruction:", "### Response:", "<|end|>" }, { "<|end|>" }, "instruction and response headings",
      { SYSTEM_ALPACA, "<|system|>", "### Instruction:", "### Response:", "<|end|>" } },
    { "chatml", NULL,
      "{% for m in messages %}" CHECK_MESSAGE("m") "<|im_start|>{{ m['role'] + '\\n' }}{% if m['role'] == 'assistant' %}{% generation %}{{ m['content'] }}<|im_end|>{% endgeneration %}"
      "{% else %}{{ m['content'] }}<|im_end|>{% endif %}{{ '\\n' }}{% endfor %}{% if add_generation_prompt %}<|im_start|>assistant{{ '\\n' }}{% endif %}",
      { "<|im_start|>", "<|im_end|>" }, { "<|im_end|>" }, "ChatML, any roles", { NULL } },
    { 0 },
};

enum { TEMPLATE_BYTES_MAX = 1 << 20 };

static const struct chat_template_row *row_find(const char *name)
{
    for (const struct chat_template_row *row = chat_templates; row->name; row++)
        if (strcmp(row->name, name) == 0 || (row->alias && strcmp(row->alias, name) == 0)) return row;
    return NULL;
}

sc_status chat_template_from_source(struct chat_template *out, const char *source, size_t len, const char *what, sc_error *err)
{
    *out = (struct chat_template) { 0 };
    TRY(jinja_compile(&out->jinja, source, len, what, err));
    out->source = mem_strndup(source, len);
    return SC_OK;
}

static sc_status unknown_name(const char *name, sc_error *err)
{
    char q[80];
    const struct chat_template_row *nearest = NULL;
    int distance = 4;
    for (const struct chat_template_row *row = chat_templates; row->name; row++)
        if (text_distance(row->name, name) < distance) distance = text_distance((nearest = row)->name, name);
    error_quote(q, sizeof q, name, strlen(name));
    if (nearest) return FAIL(err, SC_E_ARGUMENT, "there is no chat template '%s', did you mean '%s'?", q, nearest->name);
    return FAIL(err, SC_E_ARGUMENT, "there is no chat template '%s', expected no_system, starchat-blog, default, alpaca, chatml or the path of a Jinja file", q);
}

sc_status chat_template_open(struct chat_template *out, const char *name, sc_error *err)
{
    const struct chat_template_row *row = row_find(name);
    sc_text source = { 0 };
    *out = (struct chat_template) { 0 };
    if (row) {
        TRY(chat_template_from_source(out, row->source, strlen(row->source), row->name, err));
        out->row = row;
        return SC_OK;
    }
    if (!path_exists(name)) return unknown_name(name, err);
    TRY(file_read(&source, name, TEMPLATE_BYTES_MAX, err));
    sc_status status = chat_template_from_source(out, source.data, source.len, name, err);
    sc_text_free(&source);
    return status;
}

json_t *chat_template_dialogue_json(const struct chat_template *t)
{
    const char *const *d = t->row ? t->row->dialogue : NULL;
    if (!d || !d[0]) return NULL;
    return json_pack("{s:s, s:n, s:s, s:s, s:s, s:s}", "system", d[0], "messages", "system_token", d[1], "user_token", d[2], "assistant_token", d[3], "end_token", d[4]);
}

/* {{ 'text' }} that prints the text whatever it holds. */
static void put_quoted(struct buf *b, const char *text)
{
    buf_puts(b, "{{ '");
    for (; *text; text++) {
        if (*text == '\\' || *text == '\'') buf_printf(b, "\\%c", *text);
        else if (*text == '\n') buf_puts(b, "\\n");
        else if (*text == '\r') buf_puts(b, "\\r");
        else buf_putc(b, *text);
    }
    buf_puts(b, "' }}");
}

sc_status chat_template_from_dialogue_json(struct chat_template *out, const json_t *dialogue_template, const char *what, sc_error *err)
{
    static const char *const keys[] = { "system", "system_token", "user_token", "assistant_token", "end_token" };
    static const char *const fallbacks[] = { "", "<|system|>", "<|user|>", "<|assistant|>", "<|end|>" };
    enum { SYSTEM, SYSTEM_TOKEN, USER, ASSISTANT, END };
    const char *text[5];
    *out = (struct chat_template) { 0 };
    for (size_t i = 0; i < 5; i++) TRY(json_opt_string(&text[i], dialogue_template, keys[i], fallbacks[i], what, err));
    const struct { const char *jinja; int part; } order[] = {
        { "", SYSTEM_TOKEN }, { BEFORE_SYSTEM, SYSTEM }, { BEHIND_SYSTEM, END }, { BEFORE_USER, USER }, { CONTENT, END },
        { BEFORE_ASSISTANT, ASSISTANT }, { BEFORE_ANSWER, END }, { BEHIND_ANSWER, ASSISTANT },
    };
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        buf_puts(&b, order[i].jinja);
        put_quoted(&b, text[order[i].part]);
    }
    buf_puts(&b, BEHIND_ALL);
    sc_status status = chat_template_from_source(out, b.data, b.len, what, err);
    buf_release(&b);
    return status;
}

void chat_template_release(struct chat_template *t)
{
    jinja_free(t->jinja);
    mem_free(t->source);
    *t = (struct chat_template) { 0 };
}
