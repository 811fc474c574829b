/* fuzz_chat_files.c - any bytes as a saved conversation, a line of history, a few-shot prompt, something typed. The first
 * byte chooses. What is accepted survives being written and read again. */
#include <string.h>

#include "cmd/chat.h"
#include "fuzz_memory.h"

static void try_saved(const char *text, size_t len)
{
    sc_error err = { 0 };
    struct saved s = { 0 }, t = { 0 };
    struct string json = { 0 }, again = { 0 };
    sc_options_defaults(sc_options_for("sample"), &s.sample);
    sc_options_defaults(sc_options_for("sample"), &t.sample);
    if (!saved_read(&s, text, len, "input", &err)) {
        if (!err.message[0] || s.talk.n) abort();
        saved_release(&s);
        return;
    }
    saved_write(&json, &s);
    if (!saved_read(&t, json.data, json.len, "output", &err) || t.talk.n != s.talk.n) abort();
    saved_write(&again, &t);
    if (strcmp(json.data, again.data) != 0) abort();
    for (size_t i = 0; i < s.talk.n; i++)
        if (strcmp(s.talk.message[i].content, t.talk.message[i].content) != 0) abort();
    saved_release(&s);
    saved_release(&t);
    string_release(&json);
    string_release(&again);
}

static void try_history(const char *text)
{
    struct string line = { 0 }, back = { 0 }, any = { 0 };
    string_add(&line, "", 0);
    string_add(&back, "", 0);
    history_escape(&line, text);
    if (strchr(line.data, '\n')) abort();
    history_unescape(&back, line.data, line.len);
    if (strcmp(back.data, text) != 0) abort();
    history_unescape(&any, text, strlen(text));
    string_release(&line);
    string_release(&back);
    string_release(&any);
}

static void try_fewshot(const char *text, size_t len)
{
    struct fewshot f = { 0 };
    struct string s = { 0 };
    const sc_message talk[] = { { "user", text }, { "assistant", "" }, { "user", "why?" } };
    fewshot_set(&f, text, len);
    if (fewshot_detect(&f)) {
        fewshot_render(&s, &f, talk, 3);
        if (s.len < f.len || memcmp(s.data, f.prompt, f.len) != 0) abort();     /* the prefix stays, whatever follows */
    }
    string_release(&s);
    fewshot_release(&f);
}

static void try_typed(char *text)
{
    struct collector c = { 0 };
    const struct chat_command *row;
    const char *rest, *nearest;
    for (char *line = text, *next; line; line = next) {
        next = strchr(line, '\r');
        if (next) *next++ = 0;
        if (!collector_add(&c, line)) continue;
        if (chat_command_parse(c.text.data, &row, &rest, &nearest) && (rest < c.text.data || rest > c.text.data + c.text.len)) abort();
    }
    collector_release(&c);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 100000) return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    fuzz_memory_begin(size * 32);
    switch (data[0] % 4) {
    case 0: try_saved(text, size - 1); break;
    case 1: try_history(text); break;
    case 2: try_fewshot(text, size - 1); break;
    default: try_typed(text); break;
    }
    fuzz_memory_end();
    free(text);
    return 0;
}
