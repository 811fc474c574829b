/* filter.c - rules over a text that comes in pieces: see filter.h. Each rule is a stage; what one lets pass the next one sees. A stage keeps the text
 * that PCRE2 calls a partial match: where more text could begin, lengthen or undo a match. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "serve/filter.h"

enum { BEHIND = 64, MATCH_LIMIT = 100000 };              /* bytes of what went out that \b and look-behinds still see */

struct stage { const struct filter_rule *rule; struct buf text; size_t behind; bool is_cut; };       /* is_cut: text does not begin where all began */
struct filter_stream { struct stage *stages; size_t n; const struct filter_rule *stopped; uint64_t hits[3]; pcre2_match_data *match; pcre2_match_context *limits; };

struct filter_stream *filter_begin(const struct filter *f, bool is_prompt)
{
    struct filter_stream *s = mem_zero(1, sizeof *s);
    s->stages = mem_zero(f->n_rules + 1, sizeof *s->stages);
    for (size_t i = 0; i < f->n_rules; i++) {
        if (!(is_prompt ? f->rules[i].of_prompts : f->rules[i].of_answers)) continue;
        s->stages[s->n].rule = &f->rules[i];
        buf_init(&s->stages[s->n++].text, 0);
    }
    s->match = pcre2_match_data_create(1, NULL);
    s->limits = pcre2_match_context_create(NULL);
    pcre2_set_match_limit(s->limits, MATCH_LIMIT);
    return s;
}

void filter_end(struct filter_stream *s)
{
    if (!s) return;
    for (size_t i = 0; i < s->n; i++) buf_release(&s->stages[i].text);
    pcre2_match_data_free(s->match);
    pcre2_match_context_free(s->limits);
    mem_free(s->stages);
    mem_free(s);
}

const struct filter_rule *filter_stopped(const struct filter_stream *s) { return s->stopped; }
uint64_t filter_hits(const struct filter_stream *s, enum filter_action action) { return s->hits[action]; }

static void put_into(struct filter_stream *s, size_t stage, const char *text, size_t len, struct buf *out);

/* Length of the character at `at`. */
static size_t character(const struct buf *b, size_t at)
{
    uint32_t ignored;
    int n = utf8_next(b->data + at, b->len - at, &ignored);
    return n > 0 ? (size_t)n : (size_t)-n;
}

/* Lets go of text[behind .. end): the next stage gets it, a little of it stays visible behind. */
static void pass(struct filter_stream *s, size_t i, size_t end, struct buf *out)
{
    struct stage *g = &s->stages[i];
    if (end <= g->behind) return;
    put_into(s, i + 1, g->text.data + g->behind, end - g->behind, out);
    g->behind = end;
}

static void forget(struct stage *g)
{
    size_t cut = g->behind > BEHIND ? g->behind - BEHIND : 0;
    while (cut && cut < g->behind && (g->text.data[cut] & 0xc0) == 0x80) cut++;         /* whole characters */
    if (!cut) return;
    memmove(g->text.data, g->text.data + cut, g->text.len - cut);
    g->text.len -= cut;
    g->behind -= cut;
    g->is_cut = true;
}

/* What a match does; the text before it has passed. The match itself is text[behind, end). */
static void act(struct filter_stream *s, size_t i, size_t end, struct buf *out)
{
    struct stage *g = &s->stages[i];
    const struct filter_rule *r = g->rule;
    s->hits[r->action]++;
    if (r->action == FILTER_FLAG) { pass(s, i, end, out); return; }
    if (r->action == FILTER_STOP) { s->stopped = r; return; }
    if (r->replace && *r->replace) put_into(s, i + 1, r->replace, strlen(r->replace), out);
    g->behind = end;
}

/* Works through what is here of a stage; at_end: nothing follows. */
static void work(struct filter_stream *s, size_t i, bool at_end, struct buf *out)
{
    struct stage *g = &s->stages[i];
    for (size_t from = g->behind; !s->stopped && from <= g->text.len && g->text.len;) {
        uint32_t options = PCRE2_NO_UTF_CHECK | (at_end ? 0 : PCRE2_PARTIAL_HARD) | (g->is_cut ? PCRE2_NOTBOL : 0);
        int n = pcre2_match((const pcre2_code *)g->rule->code, (PCRE2_SPTR)g->text.data, g->text.len, from, options, s->match, s->limits);
        const size_t *at = pcre2_get_ovector_pointer(s->match);
        if (n == PCRE2_ERROR_PARTIAL && g->text.len - at[0] <= FILTER_HOLD_MAX) { pass(s, i, at[0], out); break; }
        if (n == PCRE2_ERROR_PARTIAL) { from = at[0] + character(&g->text, at[0]); pass(s, i, from, out); continue; }
        if (n < 0) { pass(s, i, g->text.len, out); break; }                  /* no match, or one that took too long to find */
        size_t begin = at[0] < from ? from : at[0], end = at[1] < begin ? begin : at[1];
        pass(s, i, begin, out);
        if (end == begin) {                                                  /* an empty match says nothing */
            if (begin >= g->text.len) break;
            from = begin + character(&g->text, begin);
            continue;
        }
        act(s, i, end, out);
        from = end;
    }
    forget(g);
}

static void put_into(struct filter_stream *s, size_t stage, const char *text, size_t len, struct buf *out)
{
    if (s->stopped) return;
    if (stage == s->n) { buf_append(out, text, len); return; }
    buf_append(&s->stages[stage].text, text, len);
    work(s, stage, false, out);
}

void filter_put(struct filter_stream *s, const char *text, size_t len, bool at_end, struct buf *out)
{
    if (len) put_into(s, 0, text, len, out);
    for (size_t i = 0; i < s->n && at_end && !s->stopped; i++) {
        work(s, i, true, out);
        if (!s->stopped) pass(s, i, s->stages[i].text.len, out);
    }
}
