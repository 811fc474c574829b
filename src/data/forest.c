/* forest.c - messages of an OpenAssistant export that come one by one, each with the id of its parent, put together to
 * trees: {"message_tree_id","tree_state","nodes":[message...]}, in the order of their roots, messages in file order. A
 * parent may come behind its child, so the whole file is read first; texts wait in a temporary file and only ids and
 * places stay in memory. A message whose parent is missing is left out with all below it, and counted. */
#include "reader_internal.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define NONE SIZE_MAX
enum { STATE_NEW, STATE_OPEN, STATE_ROOTED, STATE_LOST, STATE_CIRCLE };

struct leaf_message { const char *id, *parent_id; uint64_t line, at; uint32_t bytes; uint8_t state; size_t root; };
struct forest {
    struct record_source base, *inner;
    struct record first;
    bool is_first_used, is_loaded, is_told;
    struct leaf_message *message; size_t len, cap;
    size_t *slot, n_slots;                                /* index + 1 by hash of the id; 0: free */
    size_t *order;                                        /* messages sorted by tree, then by place in the file */
    size_t next, *circle, n_circles, next_circle;
    struct arena ids;
    FILE *spool;
    uint64_t spooled, lost;
};

/* ---- what a flat message is -------------------------------------------------------------------------------------------------------------- */

bool record_is_flat_message(const struct record *r)
{
    struct json_scan scan = { r->text, r->len, 0, "", NULL };
    struct scan_string name;
    bool more = true, has_id = false, has_text = false, has_role = false;
    if (!scan_take(&scan, '{')) return false;
    while (more) {
        if (scan_string(&scan, &name) != SC_OK || scan_need(&scan, ':') != SC_OK) return false;
        if (scan_equals(&name, "replies") || scan_equals(&name, "prompt") || scan_equals(&name, "nodes")) return false;
        has_id |= scan_equals(&name, "message_id") || scan_equals(&name, "user_message_id");
        has_text |= scan_equals(&name, "text");
        has_role |= scan_equals(&name, "role");
        if (scan_skip(&scan) != SC_OK || scan_more(&scan, '}', &more) != SC_OK) return false;
    }
    return has_id && has_text && has_role;
}

/* ---- loading --------------------------------------------------------------------------------------------------------------------------------- */

static uint64_t hash_id(const char *s)
{
    uint64_t h = 1469598103934665603u;                    /* FNV-1a */
    for (; *s; s++) h = (h ^ (unsigned char)*s) * 1099511628211u;
    return h ^ h >> 32;
}

/* The slot of the id: its own, or the free one where it belongs. */
static size_t slot_find(const struct forest *f, const char *id)
{
    size_t i = hash_id(id) & (f->n_slots - 1);
    while (f->slot[i] && strcmp(f->message[f->slot[i] - 1].id, id) != 0) i = (i + 1) & (f->n_slots - 1);
    return i;
}

static void slots_grow(struct forest *f)
{
    if (2 * f->len < f->n_slots) return;
    mem_free(f->slot);
    f->n_slots = f->n_slots ? 2 * f->n_slots : 1024;
    f->slot = mem_zero(f->n_slots, sizeof *f->slot);
    for (size_t i = 0; i < f->len; i++) f->slot[slot_find(f, f->message[i].id)] = i + 1;
}

/* The string member, or NULL for none; SC_E_FORMAT for another type. */
static sc_status id_read(const char **out, const json_t *m, const char *name, const char *other, sc_error *err)
{
    const json_t *v = json_object_get(m, name);
    if (!v) { name = other; v = json_object_get(m, other); }
    *out = json_string_length(v) ? json_string_value(v) : NULL;             /* "" in CSV: none */
    if (!v || json_is_null(v) || (json_is_string(v) && !*out)) return SC_OK;
    if (!*out) return FAIL(err, SC_E_FORMAT, "\"%s\" is no string", name);
    if (strlen(*out) != json_string_length(v)) return FAIL(err, SC_E_FORMAT, "\"%s\" holds a NUL character", name);
    return SC_OK;
}

/* What conversion needs of a message, as JSON without the rest (ratings, dates, emojis). */
static sc_text message_pack(const json_t *m, const char *id, const char *parent)
{
    static const char *const kept[] = { "text", "role", "lang", "review_result", "deleted", "rank", "synthetic", "tree_state", "message_tree_id" };
    json_t *small = json_object();
    sc_text text;
    json_object_set_new(small, "message_id", json_string(id));
    if (parent) json_object_set_new(small, "parent_id", json_string(parent));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++) {
        json_t *v = json_object_get(m, kept[i]);
        if (v && !json_is_null(v)) json_object_set(small, kept[i], v);
    }
    (void)json_write(&text, small, false);
    json_decref(small);
    return text;
}

static sc_status message_add(struct forest *f, const json_t *m, uint64_t line, sc_error *err)
{
    char quote[48];
    const char *id, *parent;
    TRY(id_read(&id, m, "message_id", "user_message_id", err));
    TRY(id_read(&parent, m, "parent_id", "parent_message_id", err));
    if (!id) return FAIL(err, SC_E_FORMAT, "expected one message of a tree with \"message_id\", \"parent_id\", \"text\" and \"role\", as the lines before; it has no message id");
    error_quote(quote, sizeof quote, id, strlen(id));
    slots_grow(f);
    size_t slot = slot_find(f, id);
    if (f->slot[slot]) return FAIL(err, SC_E_FORMAT, "the message id \"%s\" stands already in line %llu", quote, (unsigned long long)f->message[f->slot[slot] - 1].line);
    if (parent && strcmp(parent, id) == 0) return FAIL(err, SC_E_FORMAT, "the message \"%s\" is its own parent", quote);
    if (!json_is_string(json_object_get(m, "role"))) return FAIL(err, SC_E_FORMAT, "the message \"%s\" has no role", quote);
    if (!json_is_string(json_object_get(m, "text")) && !json_is_true(json_object_get(m, "deleted"))) return FAIL(err, SC_E_FORMAT, "the message \"%s\" has no text", quote);
    sc_text text = message_pack(m, id, parent);
    if (fwrite(text.data, 1, text.len, f->spool) != text.len) {
        sc_text_free(&text);
        return FAIL(err, SC_E_IO, "the temporary file for the messages cannot be written: %s", strerror(errno));
    }
    if (f->len == f->cap) f->message = mem_grow(f->message, (f->cap = f->cap ? 2 * f->cap : 1024) * sizeof *f->message);
    f->message[f->len] = (struct leaf_message) { .id = arena_strndup(&f->ids, id, strlen(id)), .parent_id = parent ? arena_strndup(&f->ids, parent, strlen(parent)) : NULL, .line = line, .at = f->spooled,
                                                 .bytes = (uint32_t)text.len, .root = NONE };
    f->slot[slot] = ++f->len;
    f->spooled += text.len;
    sc_text_free(&text);
    return SC_OK;
}

static sc_status record_take(struct forest *f, struct record *r, sc_error *err)
{
    json_t *m = NULL;
    sc_status status = json_read_line(&m, r->text, r->len, r->line, err);
    if (status == SC_OK) {
        status = message_add(f, m, r->line, err);
        if (status == SC_E_FORMAT) status = error_prefix(err, status, "line %llu", (unsigned long long)r->line);
    }
    json_decref(m);
    record_release(r);
    return status;
}

static sc_status forest_load(struct forest *f, sc_error *err)
{
    if (!f->spool && !(f->spool = tmpfile())) return FAIL(err, SC_E_IO, "a temporary file for the messages cannot be made: %s", strerror(errno));
    if (!f->is_first_used) {
        f->is_first_used = true;
        TRY(record_take(f, &f->first, err));
    }
    for (;;) {
        struct record r = { 0 };
        bool more;
        TRY(f->inner->next(f->inner, &r, &more, err));
        if (!more) return SC_OK;
        TRY(record_take(f, &r, err));
    }
}

/* ---- trees ------------------------------------------------------------------------------------------------------------------------------------- */

static size_t parent_of(const struct forest *f, size_t i)
{
    const char *parent = f->message[i].parent_id;
    size_t slot = parent ? slot_find(f, parent) : 0;
    return parent && f->slot[slot] ? f->slot[slot] - 1 : NONE;
}

/* Walks up until it is known where a message belongs, then tells all on the way. */
static void message_settle(struct forest *f, size_t begin)
{
    size_t at = begin, root = NONE;
    uint8_t state = STATE_NEW;
    while (at != NONE && f->message[at].state == STATE_NEW) {
        size_t parent = parent_of(f, at);
        f->message[at].state = STATE_OPEN;
        if (parent == NONE) {
            state = f->message[at].parent_id ? STATE_LOST : STATE_ROOTED;
            root = at;
        }
        at = parent;
    }
    if (at != NONE) {
        state = f->message[at].state == STATE_OPEN ? STATE_CIRCLE : f->message[at].state;
        root = f->message[at].root;
        if (state == STATE_CIRCLE && f->message[at].state == STATE_OPEN) f->circle[f->n_circles++] = at;
    }
    for (at = begin; at != NONE && f->message[at].state == STATE_OPEN; at = parent_of(f, at)) {
        f->message[at].state = state;
        f->message[at].root = root;
    }
}

/* Sorts by tree in the order of the roots, and by place in the file within a tree. */
static void forest_sort(struct forest *f)
{
    size_t *count = mem_zero(f->len + 1, sizeof *count), at = 0;
    for (size_t i = 0; i < f->len; i++) {
        if (f->message[i].state == STATE_ROOTED) count[f->message[i].root]++;
        else f->lost++;
    }
    for (size_t i = 0; i < f->len; i++) {
        size_t n = count[i];
        count[i] = at;
        at += n;
    }
    f->order = mem_zero(at + 1, sizeof *f->order);
    for (size_t i = 0; i < f->len; i++) if (f->message[i].state == STATE_ROOTED) f->order[count[f->message[i].root]++] = i;
    mem_free(count);
}

static void forest_build(struct forest *f)
{
    f->circle = mem_zero(f->len + 1, sizeof *f->circle);
    for (size_t i = 0; i < f->len; i++) message_settle(f, i);
    forest_sort(f);
}

static sc_status spool_read(struct forest *f, struct buf *out, const struct leaf_message *m, sc_error *err)
{
    char *bytes = mem_alloc(m->bytes);
    bool is_read = fseeko(f->spool, (off_t)m->at, SEEK_SET) == 0 && fread(bytes, 1, m->bytes, f->spool) == m->bytes;
    if (is_read) buf_append(out, bytes, m->bytes);
    mem_free(bytes);
    return is_read ? SC_OK : FAIL(err, SC_E_IO, "the temporary file of the messages cannot be read");
}

/* The next tree; its line is that of its root. */
static sc_status tree_write(struct forest *f, struct record *out, sc_error *err)
{
    const struct leaf_message *root = &f->message[f->message[f->order[f->next]].root];
    sc_status status = SC_OK;
    struct buf b;
    buf_init(&b, RECORD_MAX);
    buf_puts(&b, "{\"message_tree_id\":");
    buf_put_json_string(&b, root->id, strlen(root->id));
    buf_puts(&b, ",\"nodes\":[");
    size_t first = f->next, n = f->len - f->lost;
    for (; f->next < n && f->message[f->order[f->next]].root == (size_t)(root - f->message); f->next++) {
        if (f->next > first) buf_putc(&b, ',');
        if (status == SC_OK && !b.is_full) status = spool_read(f, &b, &f->message[f->order[f->next]], err);
    }
    buf_puts(&b, "]}");
    if (status == SC_OK && b.is_full) status = FAIL(err, SC_E_FORMAT, "line %llu: the tree that begins here has more than %d MiB", (unsigned long long)root->line, RECORD_MAX >> 20);
    if (status == SC_OK) *out = (struct record) { .text = b.data, .len = b.len, .line = root->line };
    else buf_release(&b);
    return status;
}

static sc_status forest_next(struct record_source *source, struct record *out, bool *more, sc_error *err)
{
    struct forest *f = (struct forest *)source;
    *more = true;
    if (!f->is_loaded) {
        TRY(forest_load(f, err));
        forest_build(f);
        f->is_loaded = true;
    }
    if (f->next_circle < f->n_circles) {
        char quote[48];
        const struct leaf_message *m = &f->message[f->circle[f->next_circle++]];
        return FAIL(err, SC_E_FORMAT, "line %llu: the message \"%s\" is its own ancestor: the parent ids go round in a circle", (unsigned long long)m->line, error_quote(quote, sizeof quote, m->id, strlen(m->id)));
    }
    *more = f->next < f->len - f->lost;
    return *more ? tree_write(f, out, err) : SC_OK;
}

/* ---- open and close -------------------------------------------------------------------------------------------------------------------------------- */

static sc_status forest_finish(struct record_source *source, char sha256[65], sc_error *err)
{
    struct record_source *inner = ((struct forest *)source)->inner;
    return inner->finish(inner, sha256, err);
}

static uint64_t forest_stored(const struct record_source *source)
{
    const struct record_source *inner = ((const struct forest *)source)->inner;
    return inner->stored(inner);
}

static uint64_t forest_lost(const struct record_source *source) { return ((const struct forest *)source)->lost; }

static void forest_close(struct record_source *source)
{
    struct forest *f = (struct forest *)source;
    f->inner->close(f->inner);
    record_release(&f->first);
    if (f->spool) fclose(f->spool);
    arena_release(&f->ids);
    mem_free(f->message);
    mem_free(f->slot);
    mem_free(f->order);
    mem_free(f->circle);
    mem_free(f);
}

void forest_source_open(struct record_source **out, struct record_source *inner, struct record *first)
{
    struct forest *f = mem_zero(1, sizeof *f);
    *f = (struct forest) { .base = { forest_next, forest_finish, forest_stored, forest_lost, forest_close }, .inner = inner, .first = *first };
    *first = (struct record) { 0 };
    arena_init(&f->ids);
    slots_grow(f);
    *out = &f->base;
}
