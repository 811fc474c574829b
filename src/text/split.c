/* split.c - pre-tokenisers as a row of stages: each cuts every piece that the stage before left, matched or not, and the
 * last one's pieces go to the merges. Depth first, one piece at a time, so no list of pieces is ever held. The five
 * behaviours are those of Hugging Face tokenizers (SplitDelimiterBehavior). */
#include "text_internal.h"

#include <string.h>

/* ---- building ---- */

static sc_status stage_take(struct stage **out, struct pipeline *p, const char *what, sc_error *err)
{
    if (p->len == STAGES_MAX) return FAIL(err, SC_E_UNSUPPORTED, "%s: the pre-tokeniser has more than %d steps", what, STAGES_MAX);
    *out = &p->stage[p->len];
    **out = (struct stage){ 0 };
    return SC_OK;
}

static void stage_release(struct stage *st)
{
    mem_free(st->pattern);
    pcre2_code_free(st->regex);
}

void pipeline_release(struct pipeline *p)
{
    for (size_t i = 0; i < p->len; i++) stage_release(&p->stage[i]);
    p->len = 0;
}

/* Files write line ends in a pattern as \r and \n or as themselves. */
static char pattern_next(const char *p, size_t len, size_t *at)
{
    char c = p[(*at)++];
    if (c != '\\' || *at == len || (p[*at] != 'r' && p[*at] != 'n')) return c;
    return p[(*at)++] == 'r' ? '\r' : '\n';
}

static bool pattern_equal(const char *a, size_t a_len, const char *b, size_t b_len)
{
    size_t i = 0, k = 0;
    while (i < a_len && k < b_len) {
        if (a[i] == '\\' && i + 1 < a_len && a[i + 1] == '\\') {      /* a backslash itself */
            if (k + 1 >= b_len || memcmp(a + i, b + k, 2) != 0) return false;
            i += 2;
            k += 2;
        } else if (pattern_next(a, a_len, &i) != pattern_next(b, b_len, &k)) {
            return false;
        }
    }
    return i == a_len && k == b_len;
}

static const struct scanner_row *scanner_find(const char *pattern, size_t len)
{
    const struct scanner_row *row = scanners;
    while (row->pattern && !pattern_equal(row->pattern, strlen(row->pattern), pattern, len)) row++;
    return row->pattern ? row : NULL;
}

sc_status pipeline_put_split(struct pipeline *p, const char *pattern, size_t len, bool is_literal, enum split_behaviour behaviour, bool invert, const char *what, sc_error *err)
{
    struct stage *st = NULL;
    TRY(stage_take(&st, p, what, err));
    if (!len) return FAIL(err, SC_E_UNSUPPORTED, "%s: a split pattern is empty; expected a string or a regular expression", what);
    const struct scanner_row *row = is_literal ? NULL : scanner_find(pattern, len);
    st->behaviour = behaviour;
    st->invert = invert;
    st->is_literal = is_literal;
    if (row) {
        st->next = row->next;
        st->mask = row->mask;
        pattern = row->pattern;
        len = strlen(pattern);
    } else if (is_literal) {
        st->next = scan_literal;
    } else {
        TRY(regex_compile(&st->regex, pattern, len, what, err));
        st->next = scan_regex;
    }
    st->pattern = mem_strndup(pattern, len);
    st->pattern_len = len;
    p->len++;
    return SC_OK;
}

sc_status pipeline_put_class(struct pipeline *p, uint32_t mask, enum split_behaviour behaviour, const char *what, sc_error *err)
{
    struct stage *st = NULL;
    TRY(stage_take(&st, p, what, err));
    st->next = scan_class_char;
    st->mask = mask;
    st->behaviour = behaviour;
    p->len++;
    return SC_OK;
}

sc_status pipeline_put_words(struct pipeline *p, const char *what, sc_error *err)
{
    struct stage *st = NULL;
    TRY(stage_take(&st, p, what, err));
    st->next = scan_words;
    st->behaviour = SPLIT_REMOVED;
    st->invert = true;
    p->len++;
    return SC_OK;
}

sc_status pipeline_put_prefix_space(struct pipeline *p, const char *what, sc_error *err)
{
    struct stage *st = NULL;
    TRY(stage_take(&st, p, what, err));
    st->prefix_space = true;
    p->len++;
    return SC_OK;
}

static bool stage_equal(const struct stage *a, const struct stage *b)
{
    return a->next == b->next && a->mask == b->mask && a->behaviour == b->behaviour && a->invert == b->invert &&
           a->prefix_space == b->prefix_space && a->is_literal == b->is_literal && a->pattern_len == b->pattern_len &&
           (!a->pattern_len || memcmp(a->pattern, b->pattern, a->pattern_len) == 0);
}

bool pipeline_equal(const struct pipeline *a, const struct pipeline *b)
{
    if (a->len != b->len) return false;
    for (size_t i = 0; i < a->len; i++)
        if (!stage_equal(&a->stage[i], &b->stage[i])) return false;
    return true;
}

/* ---- running ---- */

/* Parts of a piece in order, matches and gaps; `held` waits to see whether the next part joins it. */
struct splitter { struct encoder *e; size_t stage; const char *s; struct span held; bool has_held, previous; };

static void emit(struct splitter *x, struct span part)
{
    if (part.begin < part.end) encoder_stages(x->e, x->stage + 1, x->s + part.begin, part.end - part.begin);
}

static void emit_held(struct splitter *x)
{
    if (x->has_held) emit(x, x->held);
    x->has_held = false;
}

static void hold(struct splitter *x, struct span part, bool joins)
{
    if (joins && x->has_held) { x->held.end = part.end; return; }
    emit_held(x);
    x->held = part;
    x->has_held = true;
}

static void put_part(struct splitter *x, enum split_behaviour behaviour, struct span part, bool is_match)
{
    switch (behaviour) {
    case SPLIT_ISOLATED: emit(x, part); break;
    case SPLIT_REMOVED: if (!is_match) emit(x, part); break;
    case SPLIT_CONTIGUOUS: hold(x, part, is_match == x->previous); break;
    case SPLIT_MERGED_WITH_PREVIOUS: hold(x, part, is_match && !x->previous); break;
    case SPLIT_MERGED_WITH_NEXT:
        hold(x, part, !is_match);
        if (!is_match) emit_held(x);
        break;
    }
    x->previous = is_match;
}

bool matches_next(struct matches *m, struct span *match)
{
    while (m->from <= m->len && m->stage->next(m->stage, m->e, m->s, m->len, m->from, match)) {
        if (match->begin == match->end && m->any && match->end == m->done) {
            /* No second empty match at the end of the last one: look again from the next character. */
            size_t n = 1;
            if (m->from < m->len) utf8_char(m->s + m->from, &n);
            m->from += n;
            continue;
        }
        m->done = m->from = match->end;
        m->any = true;
        return true;
    }
    return false;
}

static void split(struct encoder *e, size_t stage, const char *s, size_t len)
{
    const struct stage *st = &e->t->pipeline.stage[stage];
    struct splitter x = { .e = e, .stage = stage, .s = s };
    struct matches m = { .stage = st, .e = e, .s = s, .len = len };
    struct span match;
    size_t done = 0;
    while (matches_next(&m, &match)) {
        if (done < match.begin) put_part(&x, st->behaviour, (struct span){ done, match.begin }, st->invert);
        put_part(&x, st->behaviour, match, !st->invert);
        done = match.end;
    }
    if (done < len) put_part(&x, st->behaviour, (struct span){ done, len }, st->invert);
    emit_held(&x);
}

static void split_with_space(struct encoder *e, size_t stage, const char *s, size_t len)
{
    if (*s == ' ') { encoder_stages(e, stage + 1, s, len); return; }
    bool was_stable = e->is_stable;
    char *copy = mem_alloc(len + 1);
    copy[0] = ' ';
    memcpy(copy + 1, s, len);
    e->is_stable = false;
    encoder_stages(e, stage + 1, copy, len + 1);
    e->is_stable = was_stable;
    mem_free(copy);
}

void encoder_stages(struct encoder *e, size_t stage, const char *s, size_t len)
{
    if (!len) return;
    if (stage == e->t->pipeline.len) encoder_piece(e, s, len);
    else if (e->t->pipeline.stage[stage].prefix_space) split_with_space(e, stage, s, len);
    else split(e, stage, s, len);
}
