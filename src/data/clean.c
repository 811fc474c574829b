/* clean.c - a dialogue as training wants it: known roles, a system message at most first, sides that take turns,
 * nothing empty, an answer to learn from. What cannot be mended is dropped with a reason or refused, by policy; nothing
 * changes in silence: every repair is counted. Also the digest that finds exact duplicates. */
#include "clean_internal.h"

#include <string.h>
#include <utf8proc.h>

#define XXH_INLINE_ALL
#include <xxhash.h>

const char *const drop_names[DROP_COUNT] = {
    [KEEP] = "kept", [DROP_EMPTY] = "empty", [DROP_ROLES] = "roles", [DROP_NO_ANSWER] = "no_answer", [DROP_DUPLICATE] = "duplicate",
    [DROP_NEAR_DUPLICATE] = "near_duplicate", [DROP_LANGUAGE] = "language", [DROP_OVERLAP] = "overlap", [DROP_SHORT] = "short",
    [DROP_NO_TRAINED] = "no_trained", [DROP_TOO_LONG] = "too_long", [DROP_UNALIGNED] = "unaligned", [DROP_TEMPLATE] = "template", [DROP_NO_PAIR] = "no_pair",
};

/* ---- turns --------------------------------------------------------------------------------------------------------------- */

enum side { SIDE_UNKNOWN, SIDE_SYSTEM, SIDE_USER, SIDE_ASSISTANT, SIDE_TOOL };

static enum side message_side(const json_t *message)
{
    static const char *const names[] = { [SIDE_SYSTEM] = "system", [SIDE_USER] = "user", [SIDE_ASSISTANT] = "assistant", [SIDE_TOOL] = "tool" };
    const char *role = json_string_value(json_object_get(message, "role"));
    for (int side = SIDE_SYSTEM; role && side <= SIDE_TOOL; side++)
        if (strcmp(role, names[side]) == 0) return (enum side)side;
    return SIDE_UNKNOWN;
}

static bool is_blank(const char *s, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (s[i] != ' ' && (s[i] < '\t' || s[i] > '\r')) return false;
    return true;
}

/* Says nothing: a call of tools without words does say something, and a tool may answer with nothing. */
static bool message_is_empty(const json_t *message, enum side side)
{
    const json_t *content = json_object_get(message, "content");
    if (side == SIDE_TOOL || json_array_size(json_object_get(message, "tool_calls"))) return false;
    return !json_is_string(content) || is_blank(json_string_value(content), json_string_length(content));
}

/* Two turns of one side can become one if they differ in nothing but what they say. */
static bool messages_can_join(json_t *a, json_t *b)
{
    const char *key;
    json_t *value;
    if (json_object_size(a) != json_object_size(b) || json_object_get(a, "tool_calls")) return false;
    json_object_foreach(a, key, value)
        if (strcmp(key, "content") != 0 && !json_equal(value, json_object_get(b, key))) return false;
    return json_is_string(json_object_get(a, "content")) && json_is_string(json_object_get(b, "content"));
}

/* Appends b's content to a's, with a blank line between. */
static void message_join(json_t *a, const json_t *b)
{
    const json_t *first = json_object_get(a, "content"), *second = json_object_get(b, "content");
    struct buf joined;
    buf_init(&joined, 0);
    buf_append(&joined, json_string_value(first), json_string_length(first));
    buf_puts(&joined, "\n\n");
    buf_append(&joined, json_string_value(second), json_string_length(second));
    json_object_set_new(a, "content", json_stringn_nocheck(joined.data, joined.len));
    buf_release(&joined);
}

/* One walk over the messages: `to` of them are kept so far, `last` is the side of the last of these. */
struct turns { json_t *messages; size_t at, to; enum side last; bool has_user, has_answer; };

/* A defect: its reason, the sentence for people, and whether a merge policy mends it. */
struct defect { enum drop_reason why; const char *text; bool can_mend; uint32_t *count; };

static struct defect defect_find(const struct turns *t, const json_t *message, enum side side, struct clean_notes *notes)
{
    if (side == SIDE_UNKNOWN) return (struct defect) { DROP_ROLES, "its role is not one of system, user, assistant, tool", false, NULL };
    if (message_is_empty(message, side)) return (struct defect) { DROP_EMPTY, "it says nothing", true, &notes->empty_turns };
    if (side == SIDE_SYSTEM && t->to > 0 && !(t->to == 1 && t->last == SIDE_SYSTEM))
        return (struct defect) { DROP_ROLES, "a system message may only come first", false, NULL };
    if (side == SIDE_TOOL && t->last != SIDE_ASSISTANT && t->last != SIDE_TOOL)
        return (struct defect) { DROP_ROLES, "a tool speaks though no assistant called one", false, NULL };
    if (side == SIDE_ASSISTANT && !t->has_user) return (struct defect) { DROP_ROLES, "the assistant answers before any user spoke", true, &notes->cut_turns };
    if (side == t->last && side != SIDE_TOOL) return (struct defect) { DROP_ROLES, "the same side speaks twice in a row", true, &notes->merged_turns };
    return (struct defect) { KEEP, NULL, false, NULL };
}

static sc_status turn_refuse(const struct dialogue *d, size_t at, const char *text, sc_error *err)
{
    if (at) return FAIL(err, SC_E_FORMAT, "%s:%llu: message %zu: %s; turns=merge mends and turns=drop leaves such dialogues out", d->file ? d->file : "input", (unsigned long long)d->line, at, text);
    return FAIL(err, SC_E_FORMAT, "%s:%llu: the dialogue %s; turns=drop leaves such dialogues out", d->file ? d->file : "input", (unsigned long long)d->line, text);
}

/* Keeps the next message, or mends its defect; *why other than KEEP ends the dialogue. */
static void turn_take(struct turns *t, struct clean_notes *notes, enum drop_reason *why)
{
    json_t *message = json_array_get(t->messages, t->at);
    enum side side = message_side(message);
    struct defect defect = defect_find(t, message, side, notes);
    if (defect.count == &notes->merged_turns) {
        json_t *before = json_array_get(t->messages, t->to - 1);
        if (!messages_can_join(before, message)) { *why = DROP_ROLES; return; }
        message_join(before, message);
    }
    if (defect.count) { (*defect.count)++; return; }
    t->last = side;
    t->has_user |= side == SIDE_USER;
    t->has_answer |= side == SIDE_ASSISTANT;
    if (t->to != t->at) json_array_set(t->messages, t->to, message);
    t->to++;
}

static sc_status turns_clean(struct dialogue *d, enum turns_policy policy, struct clean_notes *notes, enum drop_reason *why, sc_error *err)
{
    struct turns t = { .messages = d->messages };
    size_t n = json_array_size(d->messages);
    for (; t.at < n && *why == KEEP; t.at++) {
        const json_t *message = json_array_get(d->messages, t.at);
        struct defect defect = defect_find(&t, message, message_side(message), notes);
        if (defect.why != KEEP && policy == TURNS_ERROR) return turn_refuse(d, t.at + 1, defect.text, err);
        if (defect.why != KEEP && (policy == TURNS_DROP || !defect.can_mend)) *why = defect.why;
        else turn_take(&t, notes, why);
    }
    if (*why != KEEP) return SC_OK;
    while (json_array_size(d->messages) > t.to) json_array_remove(d->messages, json_array_size(d->messages) - 1);
    if (!t.to) *why = notes->cut_turns ? DROP_NO_ANSWER : DROP_EMPTY;
    else if (!t.has_answer) *why = DROP_NO_ANSWER;
    if (*why != KEEP && policy == TURNS_ERROR) return turn_refuse(d, 0, t.to ? "has no answer of an assistant" : "has no messages", err);
    return SC_OK;
}

/* ---- secrets --------------------------------------------------------------------------------------------------------------- */

enum { REDACT_DEPTH = 32 };

/* Replaces or counts in one member or element; NULL if it stays as it is. */
static json_t *string_redacted(const json_t *value, bool redact, struct clean_notes *notes)
{
    struct buf out;
    json_t *result = NULL;
    buf_init(&out, 0);
    text_redact(redact ? &out : NULL, notes, json_string_value(value), json_string_length(value));
    if (out.len) result = json_stringn_nocheck(out.data, out.len);
    buf_release(&out);
    return result;
}

/* All strings of a message: contents, and whatever calls of tools hold. */
static void value_redact(json_t *value, bool redact, struct clean_notes *notes, int depth)
{
    size_t i;
    const char *key;
    json_t *member, *changed;
    if (depth >= REDACT_DEPTH) return;
    json_array_foreach(value, i, member) {
        if (!json_is_string(member)) value_redact(member, redact, notes, depth + 1);
        else if ((changed = string_redacted(member, redact, notes))) json_array_set_new(value, i, changed);
    }
    if (!json_is_object(value)) return;
    json_object_foreach(value, key, member) {
        if (!json_is_string(member)) value_redact(member, redact, notes, depth + 1);
        else if (strcmp(key, "role") != 0 && (changed = string_redacted(member, redact, notes))) json_object_set_new_nocheck(value, key, changed);
    }
}

static void plain_redact(struct dialogue *d, bool redact, struct clean_notes *notes)
{
    struct buf out;
    buf_init(&out, 0);
    text_redact(redact ? &out : NULL, notes, d->text, strlen(d->text));
    if (out.len) {
        mem_free(d->text);
        d->text = mem_strndup(out.data, out.len);
    }
    buf_release(&out);
}

sc_status dialogue_clean(struct dialogue *d, const struct clean_config *c, struct clean_notes *notes, enum drop_reason *why, sc_error *err)
{
    *why = KEEP;
    *notes = (struct clean_notes) { 0 };
    if (d->text) {
        if (is_blank(d->text, strlen(d->text))) *why = DROP_EMPTY;
        else plain_redact(d, c->redact, notes);
        return SC_OK;
    }
    TRY(turns_clean(d, c->turns, notes, why, err));
    if (*why != KEEP) return SC_OK;
    value_redact(d->messages, c->redact, notes, 0);
    if (d->rejected) value_redact(d->rejected, c->redact, notes, 0);
    return SC_OK;
}

/* ---- digest ------------------------------------------------------------------------------------------------------------------ */

/* Text in lower case without white space, hashed block by block. */
enum { DIGEST_BLOCK = 4096, DIGEST_SPARE = 8 };
struct digest { XXH3_state_t hash; bool is_begun; size_t n; char block[DIGEST_BLOCK + DIGEST_SPARE]; };

static void digest_flush(struct digest *g)
{
    if (!g->is_begun) XXH3_128bits_reset(&g->hash);
    g->is_begun = true;
    XXH3_128bits_update(&g->hash, g->block, g->n);
    g->n = 0;
}

/* ASCII up to the first other byte, branch-free: every byte is written and white space is written over. */
static size_t digest_ascii(struct digest *g, const char *text, size_t len)
{
    size_t i = 0, n = g->n, room = DIGEST_BLOCK - g->n;
    if (len > room) len = room;
    for (; i < len && (signed char)text[i] >= 0; i++) {
        unsigned c = (unsigned char)text[i];
        g->block[n] = (char)(c | (c - 'A' < 26u ? 32u : 0u));
        n += c != ' ' && c - '\t' > '\r' - '\t' + 0u;
    }
    g->n = n;
    return i;
}

static size_t digest_wide(struct digest *g, const char *text, size_t len)
{
    uint32_t c;
    int n = utf8_next(text, len, &c);
    if (n < 0) {
        g->block[g->n++] = *text;
        return 1;
    }
    int category = utf8proc_category((utf8proc_int32_t)c);
    if (category == UTF8PROC_CATEGORY_ZS || category == UTF8PROC_CATEGORY_ZL || category == UTF8PROC_CATEGORY_ZP) return (size_t)n;
    g->n += (size_t)utf8_put(g->block + g->n, (uint32_t)utf8proc_tolower((utf8proc_int32_t)c));
    return (size_t)n;
}

static void digest_text(struct digest *g, const char *text, size_t len)
{
    for (size_t i = 0; i < len; ) {
        if (g->n >= DIGEST_BLOCK) digest_flush(g);
        size_t n = digest_ascii(g, text + i, len - i);
        if (!n) n = digest_wide(g, text + i, len - i);
        i += n;
    }
}

/* Begins a part; marks are no text: control characters that folding never makes. */
static void digest_mark(struct digest *g, enum side side)
{
    if (g->n >= DIGEST_BLOCK) digest_flush(g);
    g->block[g->n++] = '\0';
    g->block[g->n++] = (char)(1 + side);
}

static void digest_messages(struct digest *g, const json_t *messages)
{
    size_t i;
    const json_t *message;
    json_array_foreach(messages, i, message) {
        const json_t *content = json_object_get(message, "content"), *calls = json_object_get(message, "tool_calls");
        digest_mark(g, message_side(message));
        if (json_is_string(content)) digest_text(g, json_string_value(content), json_string_length(content));
        char *text = calls ? json_dumps(calls, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY) : NULL;
        if (text) digest_text(g, text, strlen(text));
        mem_free(text);
    }
}

void dialogue_digest(uint64_t out[2], const struct dialogue *d)
{
    struct digest g;
    g.n = 0;
    g.is_begun = false;
    if (d->text) digest_text(&g, d->text, strlen(d->text));
    else digest_messages(&g, d->messages);
    if (d->rejected) {
        digest_mark(&g, SIDE_UNKNOWN);
        digest_messages(&g, d->rejected);
    }
    if (g.is_begun) digest_flush(&g);
    XXH128_hash_t hash = g.is_begun ? XXH3_128bits_digest(&g.hash) : XXH3_128bits(g.block, g.n);
    out[0] = hash.low64;
    out[1] = hash.high64;
}
