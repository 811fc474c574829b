/* fewshot.c - a base model as assistant by prompt alone: a text of example dialogues, then the conversation in the same
 * form. Form and stop strings are those of the Tech Assistant prompt (bigcode/ta-prompt) and of the HHH prompt (Askell
 * et al. 2021, appendix): "Human:" and "Assistant:" turns, dialogues separated by "-----". Nothing of it, neither file
 * nor message, can become a special token. */
#include "cmd/chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Made by the Makefile from prompts/. */
extern const unsigned char prompt_ta[];
extern const size_t prompt_ta_bytes;

enum { PROMPT_BYTES_MAX = 4 << 20 };
const char *const fewshot_stops[] = { "\nHuman:", "-----", "<|endoftext|>", NULL };

/* Spaces after the first `label` that begins a line; -1: there is none. */
static int spaces_after(const struct fewshot *f, const char *label)
{
    size_t n = strlen(label);
    for (const char *at = f->prompt; (at = strstr(at, label)); at += n) {
        if (at != f->prompt && at[-1] != '\n') continue;
        size_t spaces = strspn(at + n, " ");
        return spaces < 8 ? (int)spaces : 8;
    }
    return -1;
}

bool fewshot_detect(struct fewshot *f)
{
    f->human_spaces = spaces_after(f, "Human:");
    f->assistant_spaces = spaces_after(f, "Assistant:");
    return f->human_spaces >= 0 && f->assistant_spaces >= 0;
}

void fewshot_set(struct fewshot *f, const char *text, size_t len)
{
    struct string s = { 0 };
    for (size_t begin = 0, i = 0; i <= len; i++) {
        if (i < len && !(text[i] == '\r' && i + 1 < len && text[i + 1] == '\n')) continue;
        string_add_repaired(&s, text + begin, i - begin);
        begin = i + 1;
    }
    f->len = s.len;
    f->prompt = string_take(&s);
}

int fewshot_open(struct fewshot *f, const char *name)
{
    *f = (struct fewshot){ 0 };
    struct string copy = { 0 };
    string_puts(&copy, name);
    f->name = string_take(&copy);
    if (strcmp(name, "ta") == 0) fewshot_set(f, (const char *)prompt_ta, prompt_ta_bytes);
    else {
        FILE *from = fopen(name, "rb");
        if (!from) return fail_text("few-shot prompt \"%s\": %s; expected a file, or \"ta\" for the built-in Tech Assistant prompt", name, strerror(errno));
        size_t len;
        char *text = read_all(from, PROMPT_BYTES_MAX, &len, name);
        fclose(from);
        if (!text) return EXIT_FAILED;
        fewshot_set(f, text, len);
        free(text);
    }
    if (fewshot_detect(f)) return ARGS_GO;
    return fail_text("few-shot prompt \"%s\": no lines that begin with \"Human:\" and \"Assistant:\", expected example dialogues in that form", name);
}

void fewshot_release(struct fewshot *f)
{
    free(f->name);
    free(f->prompt);
    *f = (struct fewshot){ 0 };
}

static void add_label(struct string *out, const char *label, int spaces)
{
    string_printf(out, "\n\n%s%*s", label, spaces, "");
}

void fewshot_render(struct string *out, const struct fewshot *f, const sc_message *message, size_t n)
{
    string_add(out, f->prompt, f->len);
    for (size_t i = 0; i < n; i++) {
        bool is_user = strcmp(message[i].role, "user") == 0;
        if (!is_user && strcmp(message[i].role, "assistant") != 0) continue;
        size_t len = strlen(message[i].content);
        const char *text = text_trim(message[i].content, &len);
        if (is_user) add_label(out, "Human:", f->human_spaces);
        else add_label(out, "Assistant:", f->assistant_spaces);
        string_add(out, text, len);
        if (is_user && i + 1 == n) add_label(out, "Assistant:", f->assistant_spaces);
    }
}
