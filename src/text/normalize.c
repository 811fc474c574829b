/* normalize.c - normalisers that run before pre-tokenisation. Decomposition and composition are utf8proc's (Unicode
 * Standard Annex 15); what takes part in them is what the reference's older data know (U_CANONICAL, U_COMPATIBLE), so
 * newer characters stay as they are, as they do there. Ordering of marks is done here with a sort, because utf8proc's
 * takes quadratic time on long runs. Every byte carries along whether it came from trusted text. */
#include "text_internal.h"

#include <stdlib.h>
#include <string.h>
#include <utf8proc.h>

void marked_text_release(struct marked_text *m)
{
    buf_release(&m->text);
    buf_release(&m->trust);
}

void normalizers_release(struct normalizers *n)
{
    for (size_t i = 0; i < n->len; i++) {
        mem_free(n->step[i].content);
        mem_free(n->step[i].find.pattern);
        pcre2_code_free(n->step[i].find.regex);
    }
    n->len = 0;
}

static void put(struct marked_text *out, const char *bytes, size_t len, char trust)
{
    buf_append(&out->text, bytes, len);
    for (size_t i = 0; i < len; i++) buf_putc(&out->trust, trust);
}

/* Bytes [begin, end) of `in`, unchanged. */
static void put_copy(struct marked_text *out, const struct marked_text *in, size_t begin, size_t end)
{
    buf_append(&out->text, in->text.data + begin, end - begin);
    buf_append(&out->trust, in->trust.data + begin, end - begin);
}

static char trust_of(const struct marked_text *in, size_t begin, size_t end)
{
    return begin == end || !memchr(in->trust.data + begin, 0, end - begin);
}

/* ---- NFC, NFD, NFKC, NFKD ---- */

struct form { bool compose, compatible; uint32_t check; };       /* check: text with none of these is normal */
static const struct form forms[] = {
    [NORMALIZE_NFC]  = { true,  false, U_NFC_CHECK },
    [NORMALIZE_NFD]  = { false, false, U_CANONICAL },
    [NORMALIZE_NFKC] = { true,  true,  U_NFC_CHECK | U_COMPATIBLE },
    [NORMALIZE_NFKD] = { false, true,  U_CANONICAL | U_COMPATIBLE },
};

static bool has_any(const struct unicode *u, const char *s, size_t len, uint32_t mask)
{
    for (size_t i = 0, n; i < len; i += n) {
        uint64_t eight;
        n = 8;      /* no ASCII character has a flag of `mask` */
        if (len - i >= 8 && (memcpy(&eight, s + i, 8), !(eight & 0x8080808080808080u))) continue;
        if (utf8_flags(u, s + i, &n) & mask) return true;
    }
    return false;
}

struct code_points { int32_t *c; size_t len, cap; };

static void code_points_decompose(struct code_points *out, uint32_t c, const struct form *form)
{
    int options = UTF8PROC_STABLE | UTF8PROC_DECOMPOSE | (form->compatible ? UTF8PROC_COMPAT : 0), bound = 0;
    if (out->cap - out->len < 32) {
        out->cap = out->cap * 2 + 64;
        out->c = mem_grow(out->c, out->cap * sizeof *out->c);
    }
    utf8proc_ssize_t n = utf8proc_decompose_char((utf8proc_int32_t)c, out->c + out->len, 32, (utf8proc_option_t)options, &bound);
    if (n < 0 || n > 32) { out->c[out->len] = (int32_t)c; n = 1; }
    out->len += (size_t)n;
}

static int marks_compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

static uint8_t combining_class(int32_t c) { return (uint8_t)utf8proc_get_property(c)->combining_class; }

/* Canonical ordering: each run of marks sorted by class, equal classes in their order. */
static void marks_order(struct code_points *p)
{
    uint64_t *run = NULL;
    for (size_t i = 0, end; i < p->len; i = end) {
        for (end = i; end < p->len && combining_class(p->c[end]); end++) { }
        if (end - i < 2) { end += end == i; continue; }
        run = mem_grow(run, (end - i) * sizeof *run);
        for (size_t k = i; k < end; k++) run[k - i] = (uint64_t)combining_class(p->c[k]) << 56 | (uint64_t)(k - i) << 21 | (uint64_t)p->c[k];
        qsort(run, end - i, sizeof *run, marks_compare);
        for (size_t k = i; k < end; k++) p->c[k] = (int32_t)(run[k - i] & 0x1FFFFF);
    }
    mem_free(run);
}

/* One character and those after it that may join it. */
static void put_chunk(struct marked_text *out, const struct marked_text *in, size_t begin, size_t end, const struct form *form, struct code_points *work)
{
    char trust = trust_of(in, begin, end), utf8[4];
    work->len = 0;
    for (size_t i = begin, n; i < end; i += n) code_points_decompose(work, utf8_char(in->text.data + i, &n), form);
    marks_order(work);
    utf8proc_ssize_t n = (utf8proc_ssize_t)work->len;
    if (form->compose) n = utf8proc_normalize_utf32(work->c, n, UTF8PROC_STABLE | UTF8PROC_COMPOSE);
    for (utf8proc_ssize_t i = 0; i < n; i++) put(out, utf8, (size_t)utf8_put(utf8, (uint32_t)work->c[i]), trust);
}

/* Known to utf8proc alone: passed on by itself, a border for both sides. */
static bool is_newer(uint32_t c)
{
    const utf8proc_property_t *p = utf8proc_get_property((utf8proc_int32_t)c);
    return p->combining_class || p->decomp_seqindex != UINT16_MAX;
}

/* A chunk begins at each character that never joins one before it. */
static void put_form(struct marked_text *out, const struct marked_text *in, const struct unicode *u, const struct form *form)
{
    const char *s = in->text.data;
    size_t len = in->text.len, n;
    struct code_points work = { 0 };
    for (size_t i = 0, end; i < len; i = end) {
        uint32_t flags = utf8_flags(u, s + i, &n);
        bool is_known = (flags & (U_CANONICAL | U_COMPATIBLE)) != 0;
        end = i + n;
        if (!is_known && (unsigned char)s[i] >= 0x80 && is_newer(utf8_char(s + i, &n))) { put_copy(out, in, i, end); continue; }
        while (end < len && utf8_flags(u, s + end, &n) & (U_CANONICAL | U_COMPATIBLE)) end += n;
        size_t one;
        utf8_char(s + i, &one);
        if (!is_known && end == i + one) put_copy(out, in, i, end);
        else put_chunk(out, in, i, end, form, &work);
    }
    mem_free(work.c);
}

/* ---- the others ---- */

/* Lower case that utf8proc 2.8 (Unicode 15) lacks: `count` characters from `first`, each to itself + `shift`. */
static const struct { uint32_t first, count; int32_t shift; } lower_rows[] = {
    { 0x1C89, 1, 1 }, { 0xA7CB, 1, 0x264 - 0xA7CB }, { 0xA7CC, 1, 1 }, { 0xA7CE, 1, 1 }, { 0xA7D2, 1, 1 }, { 0xA7D4, 1, 1 },
    { 0xA7DA, 1, 1 }, { 0xA7DC, 1, 0x19B - 0xA7DC }, { 0x10D50, 22, 32 }, { 0x16EA0, 25, 27 },
};

static void put_lower(struct marked_text *out, uint32_t c, char trust)
{
    char utf8[8];
    if (c == 0x130) { put(out, "i\xCC\x87", 3, trust); return; }
    for (size_t i = 0; i < sizeof lower_rows / sizeof *lower_rows; i++)
        if (c - lower_rows[i].first < lower_rows[i].count) {
            put(out, utf8, (size_t)utf8_put(utf8, c + (uint32_t)lower_rows[i].shift), trust);
            return;
        }
    put(out, utf8, (size_t)utf8_put(utf8, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c)), trust);
}

static void put_lowercase(struct marked_text *out, const struct marked_text *in)
{
    for (size_t i = 0, n; i < in->text.len; i += n) {
        uint32_t c = utf8_char(in->text.data + i, &n);
        put_lower(out, c, trust_of(in, i, i + n));
    }
}

static void put_stripped(struct marked_text *out, const struct marked_text *in, const struct unicode *u, const struct normalizer *step)
{
    const char *s = in->text.data;
    size_t begin = 0, end = in->text.len, n;
    while (step->left && begin < end && utf8_flags(u, s + begin, &n) & U_SPACE) begin += n;
    while (step->right && end > begin && utf8_flags_before(u, s, end, &n) & U_SPACE) end -= n;
    put_copy(out, in, begin, end);
}

static void put_replaced(struct marked_text *out, const struct marked_text *in, struct encoder *e, const struct normalizer *step)
{
    struct matches m = { .stage = &step->find, .e = e, .s = in->text.data, .len = in->text.len };
    struct span match;
    size_t done = 0;
    while (matches_next(&m, &match)) {
        put_copy(out, in, done, match.begin);
        put(out, step->content, step->content_len, trust_of(in, match.begin, match.end));
        done = match.end;
    }
    put_copy(out, in, done, in->text.len);
}

static void step_run(const struct normalizer *step, struct encoder *e, struct marked_text *out, const struct marked_text *in)
{
    const struct unicode *u = &e->t->unicode;
    switch (step->kind) {
    case NORMALIZE_LOWERCASE: put_lowercase(out, in); break;
    case NORMALIZE_STRIP: put_stripped(out, in, u, step); break;
    case NORMALIZE_REPLACE: put_replaced(out, in, e, step); break;
    case NORMALIZE_PREPEND:
        if (in->text.len) put(out, step->content, step->content_len, 0);
        put_copy(out, in, 0, in->text.len);
        break;
    default: put_form(out, in, u, &forms[step->kind]); break;
    }
}

static bool is_form(enum normalizer_kind kind) { return kind <= NORMALIZE_NFKD; }

bool is_normal(const struct normalizers *n, const struct unicode *u, const char *s, size_t len)
{
    for (size_t i = 0; i < n->len; i++)
        if (!is_form(n->step[i].kind) || has_any(u, s, len, forms[n->step[i].kind].check)) return false;
    return true;
}

bool normalize(const struct normalizers *n, struct encoder *e, struct marked_text *text)
{
    bool is_changed = false;
    for (size_t i = 0; i < n->len; i++) {
        struct marked_text out = { 0 };
        if (is_form(n->step[i].kind) && !has_any(&e->t->unicode, text->text.data, text->text.len, forms[n->step[i].kind].check)) continue;
        if (!text->text.len) break;
        step_run(&n->step[i], e, &out, text);
        is_changed |= out.text.len != text->text.len || (out.text.len && memcmp(out.text.data, text->text.data, out.text.len) != 0);
        marked_text_release(text);
        *text = out;
    }
    return is_changed;
}
