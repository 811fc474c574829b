/* answer_run_text.c - where an answer ends although the model wrote on: markers of chat templates, and labels by which a prompt of examples marks turns. */
#include "judge/judge_run.h"

#include <string.h>

/* Tokens of templates: no answer holds them. */
static const char *const markers[] = { "<|end|>", "<|user|>", "<|assistant|>", "<|system|>", "<|endoftext|>", "<|im_end|>", "<|im_start|>", "<|eot_id|>", "<|start_header_id|>", "</s>", "[INST]" };
/* At the beginning of a line, outside code. */
static const char *const labels[] = { "\nHuman:", "\n### Human:", "\n### Instruction:" };

/* Whether text[at] stands inside a fenced block. */
static bool is_in_code(const char *text, size_t at)
{
    bool inside = false;
    for (const char *line = text; line && line < text + at; line = memchr(line, '\n', (size_t)(text + at - line)), line = line ? line + 1 : NULL) {
        size_t blanks = strspn(line, " ");
        if (blanks <= 3 && !strncmp(line + blanks, "```", 3)) inside = !inside;
    }
    return inside;
}

/* The end of the text at `*at`, or where `what` stands before it. */
static void cut_at(size_t *end, const char *text, const char *what, bool not_in_code)
{
    for (const char *at = strstr(text, what); at && (size_t)(at - text) < *end; at = strstr(at + 1, what))
        if (!not_in_code || !is_in_code(text, (size_t)(at - text) + 1)) *end = (size_t)(at - text);
}

size_t answer_end(const char *text, size_t len, bool *leaked)
{
    size_t end = len;
    for (size_t i = 0; i < sizeof markers / sizeof *markers; i++) cut_at(&end, text, markers[i], false);
    for (size_t i = 0; i < sizeof labels / sizeof *labels; i++) cut_at(&end, text, labels[i], true);
    *leaked = end < len;
    while (end && (text[end - 1] == ' ' || text[end - 1] == '\n' || text[end - 1] == '\t' || text[end - 1] == '\r')) end--;
    return end;
}
