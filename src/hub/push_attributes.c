/* push_attributes.c - .gitattributes as far as it says which files are kept in the large file store. Source: gitattributes(5). */
#include "hub/push.h"

#include <fnmatch.h>
#include <string.h>

enum { LINE_LONGEST = 2048 };

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

/* A pattern without a stroke is of the last part of a path; "**" crosses directories. */
static bool line_matches(const char *pattern, const char *path)
{
    if (!strchr(pattern, '/')) return fnmatch(pattern, base_name(path), 0) == 0;
    if (*pattern == '/') pattern++;
    return fnmatch(pattern, path, strstr(pattern, "**") ? 0 : FNM_PATHNAME) == 0;
}

bool attributes_track(const char *text, size_t len, const char *path)
{
    bool is_tracked = false;
    for (const char *p = text, *end = text + len; p < end;) {
        char line[LINE_LONGEST];
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        size_t n = (size_t)(stop - p) < sizeof line - 1 ? (size_t)(stop - p) : 0;      /* longer ones are of nobody */
        memcpy(line, p, n);
        line[n] = 0;
        p = newline ? newline + 1 : end;
        char *save = NULL, *pattern = strtok_r(line, " \t\r", &save);
        if (!pattern || *pattern == '#' || !line_matches(pattern, path)) continue;
        for (char *word; (word = strtok_r(NULL, " \t\r", &save));) {
            if (strcmp(word, "filter=lfs") == 0) is_tracked = true;
            else if (strncmp(word, "filter=", 7) == 0 || strcmp(word, "-filter") == 0 || strcmp(word, "!filter") == 0) is_tracked = false;
        }
    }
    return is_tracked;
}

/* Blanks would end the pattern; what has a meaning in patterns stands for itself behind a backslash. */
void attributes_add(struct buf *text, const char *path)
{
    if (text->len && text->data[text->len - 1] != '\n') buf_putc(text, '\n');
    for (const char *c = path; *c; c++) {
        if (*c == ' ') buf_puts(text, "[[:space:]]");
        else if (strchr("*?[]\\", *c)) buf_printf(text, "\\%c", *c);
        else buf_putc(text, *c);
    }
    buf_puts(text, " filter=lfs diff=lfs merge=lfs -text\n");
}
