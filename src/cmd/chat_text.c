/* chat_text.c - growable text and the messages of a conversation. The command line sees nothing of the library's own
 * helpers, so it has these few lines itself. */
#include "cmd/chat.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

static void *grow(void *old, size_t bytes)
{
    void *p = realloc(old, bytes);
    if (p) return p;
    fprintf(stderr, "starchat: no memory left for %zu bytes\n", bytes);
    exit(EXIT_FAILED);
}

void string_add(struct string *s, const char *bytes, size_t len)
{
    if (s->len + len + 1 > s->cap) {
        s->cap = (s->len + len + 1) * 2;
        s->data = grow(s->data, s->cap);
    }
    if (len) memcpy(s->data + s->len, bytes, len);
    s->len += len;
    s->data[s->len] = 0;
}

void string_puts(struct string *s, const char *text) { string_add(s, text, strlen(text)); }

void string_printf(struct string *s, const char *format, ...)
{
    char *text = NULL;
    va_list ap;
    va_start(ap, format);
    int n = vasprintf(&text, format, ap);
    va_end(ap);
    if (n < 0) return;
    string_add(s, text, (size_t)n);
    free(text);
}

void string_clear(struct string *s)
{
    s->len = 0;
    string_add(s, "", 0);
}

void string_release(struct string *s)
{
    free(s->data);
    *s = (struct string){ 0 };
}

char *string_take(struct string *s)
{
    string_add(s, "", 0);
    char *data = s->data;
    *s = (struct string){ 0 };
    return data;
}

/* Bytes of the well-formed character at `s` (Unicode 15, table 3-7); 0 if there is none, or it is NUL. */
static size_t character_bytes(const unsigned char *s, size_t len)
{
    if (s[0] < 0x80) return s[0] != 0;
    size_t n = s[0] >= 0xc2 && s[0] < 0xe0 ? 2 : s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;
    if (n == 0 || n > len) return 0;
    unsigned char low = s[0] == 0xe0 ? 0xa0 : s[0] == 0xf0 ? 0x90 : 0x80, high = s[0] == 0xed ? 0x9f : s[0] == 0xf4 ? 0x8f : 0xbf;
    if (s[1] < low || s[1] > high) return 0;
    for (size_t i = 2; i < n; i++)
        if ((s[i] & 0xc0) != 0x80) return 0;
    return n;
}

size_t string_add_repaired(struct string *s, const char *bytes, size_t len)
{
    size_t good = 0, broken = 0;
    for (size_t i = 0; i < len;) {
        size_t n = character_bytes((const unsigned char *)bytes + i, len - i);
        i += n ? n : 1;
        if (n) continue;
        string_add(s, bytes + good, i - 1 - good);
        string_puts(s, "\xef\xbf\xbd");
        good = i;
        broken++;
    }
    string_add(s, bytes + good, len - good);
    return broken;
}

static bool is_blank(char c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

const char *text_trim(const char *text, size_t *len)
{
    while (*len && is_blank(*text)) { text++; (*len)--; }
    while (*len && is_blank(text[*len - 1])) (*len)--;
    return text;
}

/* ---- conversation ------------------------------------------------------------------------------------------------------ */

static char *copy(const char *text, size_t len)
{
    char *p = grow(NULL, len + 1);
    memcpy(p, text, len);
    p[len] = 0;
    return p;
}

static void drop(sc_message *m) { free((char *)m->content); }

void conversation_add(struct conversation *c, const char *role, const char *text, size_t len)
{
    if (c->n == c->cap) {
        c->cap = c->cap ? c->cap * 2 : 16;
        c->message = grow(c->message, c->cap * sizeof *c->message);
    }
    c->message[c->n++] = (sc_message){ role, copy(text, len) };
}

const char *conversation_system(const struct conversation *c)
{
    return c->n && strcmp(c->message[0].role, "system") == 0 ? c->message[0].content : NULL;
}

void conversation_set_system(struct conversation *c, const char *text)
{
    if (conversation_system(c)) {
        drop(&c->message[0]);
        memmove(c->message, c->message + 1, --c->n * sizeof *c->message);
    }
    if (!text || !*text) return;
    conversation_add(c, "system", text, strlen(text));
    sc_message added = c->message[c->n - 1];
    memmove(c->message + 1, c->message, (c->n - 1) * sizeof *c->message);
    c->message[0] = added;
}

void conversation_cut(struct conversation *c, size_t n)
{
    while (c->n > n) drop(&c->message[--c->n]);
}

size_t conversation_last_user(const struct conversation *c)
{
    for (size_t i = c->n; i-- > 0;)
        if (strcmp(c->message[i].role, "user") == 0) return i;
    return c->n;
}

void conversation_clear(struct conversation *c) { conversation_cut(c, conversation_system(c) ? 1 : 0); }

void conversation_release(struct conversation *c)
{
    conversation_cut(c, 0);
    free(c->message);
    *c = (struct conversation){ 0 };
}
