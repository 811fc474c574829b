/* talk.c - one conversation in memory, apart from files and forms. */
#include "talks/talks.h"

#include <string.h>
#include <time.h>

void talk_init(struct talk *k) { *k = (struct talk){ .title = mem_strdup(""), .settings = mem_strdup("{}"), .leaf = -1 }; }

void talk_release(struct talk *k)
{
    for (size_t i = 0; i < k->n; i++) {
        struct talk_message *m = &k->message[i];
        char *const owned[] = { m->id, m->role, m->content, m->model, m->status, m->stats, m->error };
        for (size_t j = 0; j < sizeof owned / sizeof *owned; j++) mem_free(owned[j]);
    }
    char *const owned[] = { k->id, k->title, k->model, k->system, k->settings, k->few_shot };
    for (size_t j = 0; j < sizeof owned / sizeof *owned; j++) mem_free(owned[j]);
    mem_free(k->message);
    *k = (struct talk){ .leaf = -1 };
}

struct talk_message *talk_add(struct talk *k, const char *role)
{
    if (k->n == k->cap) {
        k->cap = k->cap ? k->cap * 2 : 16;
        k->message = mem_grow(k->message, k->cap * sizeof *k->message);
    }
    struct talk_message *m = &k->message[k->n++];
    *m = (struct talk_message){ .parent = -1, .role = mem_strdup(role), .content = mem_strdup(""), .status = mem_strdup("done"), .stats = mem_strdup("{}") };
    return m;
}

void talk_set(char **field, char *owned)
{
    mem_free(*field);
    *field = owned;
}

/* ---- texts ----------------------------------------------------------------------------------------------------------------- */

char *talk_text(const char *text, size_t len)
{
    if (!memchr(text, 0, len) && utf8_is_valid(text, len)) return mem_strndup(text, len);
    struct buf whole;
    buf_init(&whole, 0);
    for (size_t i = 0, n; i < len; i += n + (i + n < len)) {
        const char *end = memchr(text + i, 0, len - i);
        n = end ? (size_t)(end - text) - i : len - i;
        utf8_repair(&whole, text + i, n);
        if (i + n < len) buf_puts(&whole, "\xef\xbf\xbd");
    }
    buf_append(&whole, "", 0);
    return whole.data;
}

/* Control characters are blanks, and blanks at the ends go. */
char *talk_title(const char *text, size_t len, size_t max)
{
    char *title = talk_text(text, len);
    size_t begin = 0, end = strlen(title);
    for (char *p = title; *p; p++)
        if ((unsigned char)*p < 0x20 || *p == 0x7f) *p = ' ';
    while (title[begin] == ' ') begin++;
    if (end - begin > max) {
        end = begin + max;
        while (end > begin && ((unsigned char)title[end] & 0xc0) == 0x80) end--;
    }
    while (end > begin && title[end - 1] == ' ') end--;
    memmove(title, title + begin, end - begin);
    title[end - begin] = 0;
    return title;
}

void talk_title_from_messages(struct talk *k)
{
    for (size_t i = 0; i < k->n && !*k->title; i++) {
        const char *text = k->message[i].content;
        if (strcmp(k->message[i].role, "user") != 0) continue;
        text += strspn(text, " \t\r\n");
        talk_set(&k->title, talk_title(text, strcspn(text, "\n"), TALK_FIRST_LINE_MAX));
    }
}

int64_t talk_now(void)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

bool talk_role_is_known(const char *role) { return strcmp(role, "user") == 0 || strcmp(role, "assistant") == 0; }

bool talk_status_is_known(const char *status)
{
    static const char *const names[] = { "done", "generating", "stopped", "length", "error", "filtered" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(status, names[i]) == 0) return true;
    return false;
}

/* ---- ids -------------------------------------------------------------------------------------------------------------------- */

static const char id_letters[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";

/* 128 bits in letters of 6, from the top. */
static void spell(char out[TALK_ID_BYTES + 1], const unsigned char bytes[16])
{
    unsigned long have = 0;
    int bits = 0, next = 0;
    for (int i = 0; i < TALK_ID_BYTES; i++) {
        if (bits < 6) {
            have = have << 8 | (next < 16 ? bytes[next] : 0);
            next++;
            bits += 8;
        }
        bits -= 6;
        out[i] = id_letters[have >> bits & 63];
    }
    out[TALK_ID_BYTES] = 0;
}

void talk_new_id(char out[TALK_ID_BYTES + 1])
{
    unsigned char bytes[16];
    system_random(bytes, sizeof bytes);
    spell(out, bytes);
}

void talk_derived_id(char out[TALK_ID_BYTES + 1], const char *a, const char *b)
{
    struct sha256 s;
    char hex[65];
    unsigned char bytes[16];
    sha256_begin(&s);
    sha256_add(&s, a, strlen(a) + 1);
    sha256_add(&s, b, strlen(b));
    sha256_end(&s, hex);
    for (int i = 0; i < 16; i++) {
        int high = hex[2 * i], low = hex[2 * i + 1];
        bytes[i] = (unsigned char)((high <= '9' ? high - '0' : high - 'a' + 10) << 4 | (low <= '9' ? low - '0' : low - 'a' + 10));
    }
    spell(out, bytes);
}

bool talk_id_is_valid(const char *id)
{
    size_t n = strlen(id);
    return n >= 1 && n <= TALK_ID_MAX && strspn(id, id_letters) == n;
}

/* ---- trees ------------------------------------------------------------------------------------------------------------------- */

size_t talk_path(const struct talk *k, ptrdiff_t leaf, size_t *out)
{
    size_t n = 0;
    for (ptrdiff_t i = leaf; i >= 0; i = k->message[i].parent) out[n++] = (size_t)i;
    for (size_t i = 0; i < n / 2; i++) {
        size_t other = out[n - 1 - i];
        out[n - 1 - i] = out[i];
        out[i] = other;
    }
    return n;
}

/* Messages stand in the order of their making in both, so one walk finds them. Where two children of one message are alike,
 * the first is taken, and `a` may seem to be no part: then it is kept twice, which loses nothing. */
bool talk_is_part(const struct talk *a, const struct talk *b)
{
    size_t at = 0, i = 0;
    if (a->n > b->n) return false;
    ptrdiff_t *place = mem_alloc((a->n + 1) * sizeof *place);
    for (; i < a->n && at < b->n; at++) {
        const struct talk_message *x = &a->message[i], *y = &b->message[at];
        if (y->parent != (x->parent >= 0 ? place[x->parent] : -1) || strcmp(x->role, y->role) != 0 || strcmp(x->content, y->content) != 0) continue;
        place[i++] = (ptrdiff_t)at;
    }
    mem_free(place);
    return i == a->n;
}
