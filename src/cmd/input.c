/* input.c - reading what is piped in: whole, or line by line with a ceiling per line. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void *grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (p) return p;
    fail_text("no memory for %zu bytes of input", bytes);
    exit(EXIT_FAILED);
}

char *read_all(FILE *from, size_t max_bytes, size_t *len, const char *what)
{
    size_t cap = 65536, n = 0;
    char *data = grow(NULL, cap);
    for (;;) {
        n += fread(data + n, 1, cap - n - 1, from);
        if (n > max_bytes) {
            fail_text("%s is longer than %zu bytes", what, max_bytes);
            break;
        }
        if (ferror(from)) {
            fail_text("%s cannot be read: %s", what, strerror(errno));
            break;
        }
        if (feof(from)) {
            data[n] = 0;
            *len = n;
            return data;
        }
        if (n + 1 == cap) data = grow(data, cap *= 2);
    }
    free(data);
    return NULL;
}

void line_open(struct line_reader *r, int fd)
{
    *r = (struct line_reader){ .fd = fd, .cap = 65536 };
    r->data = grow(NULL, r->cap + 1);
}

void line_close(struct line_reader *r)
{
    free(r->data);
    r->data = NULL;
}

/* Reads more behind what is held; the unread part moves to the front first. */
static int refill(struct line_reader *r)
{
    memmove(r->data, r->data + r->begin, r->end - r->begin);
    r->end -= r->begin;
    r->begin = 0;
    if (r->end == r->cap) r->data = grow(r->data, (r->cap *= 2) + 1);
    fflush(stdout);
    ssize_t got;
    do got = read(r->fd, r->data + r->end, r->cap - r->end); while (got < 0 && errno == EINTR);
    if (got < 0) {
        fail_text("standard input cannot be read: %s", strerror(errno));
        return -1;
    }
    r->end += (size_t)got;
    r->is_ended = got == 0;
    return 1;
}

int line_next(struct line_reader *r, char **line, size_t *len)
{
    size_t looked = 0;
    char *newline;
    while (!(newline = memchr(r->data + r->begin + looked, '\n', r->end - r->begin - looked)) && !r->is_ended) {
        looked = r->end - r->begin;
        if (looked > LINE_BYTES_MAX) {
            fail_text("line %llu is longer than %zu MiB", r->number + 1, LINE_BYTES_MAX >> 20);
            return -1;
        }
        if (refill(r) < 0) return -1;
    }
    if (r->begin == r->end) return 0;
    char *end = newline ? newline : r->data + r->end;
    *line = r->data + r->begin;
    r->begin = (size_t)(end - r->data) + (newline ? 1 : 0);
    if (newline && end > *line && end[-1] == '\r') end--;
    *end = 0;
    *len = (size_t)(end - *line);
    r->number++;
    return 1;
}

const char *json_kind(const json_t *value)
{
    static const char *const names[] = { "an object", "an array", "a string", "a whole number", "a number", "true", "false", "null" };
    return value ? names[json_typeof(value)] : "missing";   /* ORDER json_type of jansson */
}

int line_next_object(struct line_reader *r, json_t **object)
{
    char *line;
    size_t len;
    int got;
    json_error_t e;
    *object = NULL;
    do got = line_next(r, &line, &len); while (got > 0 && strspn(line, " \t") == len);
    if (got <= 0) return got;
    json_t *value = json_loadb(line, len, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, &e);
    if (json_is_object(value)) {
        *object = value;
        return 1;
    }
    if (value) fail_text("line %llu is %s, expected a JSON object", r->number, json_kind(value));
    else fail_text("line %llu is not valid JSON: %s", r->number, e.text);
    json_decref(value);
    return -1;
}
