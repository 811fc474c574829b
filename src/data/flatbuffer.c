/* flatbuffer.c - see flatbuffer.h. The layout is that of the FlatBuffers documentation ("Internals"): a table begins with
 * the distance back to its vtable, which holds 16-bit offsets of its fields; tables, vectors and strings inside are 32-bit
 * distances forward, so that no circle can arise. Little-endian. */
#include "flatbuffer.h"

#include <assert.h>
#include <string.h>

static bool fits(const struct flat *f, size_t at, size_t bytes) { return !f->is_broken && at <= f->len && bytes <= f->len - at; }

/* The integer at `at`; 0 and broken where it is not inside. */
static uint64_t number(struct flat *f, size_t at, unsigned bytes)
{
    uint64_t value = 0;
    if (!fits(f, at, bytes)) { f->is_broken = true; return 0; }
    for (unsigned i = 0; i < bytes; i++) value |= (uint64_t)f->data[at + i] << (8 * i);
    return value;
}

static int64_t with_sign(uint64_t value, unsigned bytes)
{
    unsigned shift = 64 - 8 * bytes;
    return (int64_t)(value << shift) >> shift;
}

static struct flat_table table_at(struct flat *f, size_t at)
{
    struct flat_table absent = { .in = f }, t = { .in = f, .at = at };
    int64_t back = with_sign(number(f, at, 4), 4), vtable = (int64_t)at - back;
    if (vtable < 0 || !fits(f, (size_t)vtable, 4)) { f->is_broken = true; return absent; }
    t.vtable = (size_t)vtable;
    t.slots = (size_t)number(f, t.vtable, 2);
    t.bytes = (size_t)number(f, t.vtable + 2, 2);
    if (t.slots < 4 || t.bytes < 4 || !fits(f, t.vtable, t.slots) || !fits(f, at, t.bytes)) { f->is_broken = true; return absent; }
    return t;
}

/* Where the distance that stands at `at` leads. */
static size_t follow(struct flat *f, size_t at)
{
    size_t distance = (size_t)number(f, at, 4);
    if (!distance || !fits(f, at, distance)) f->is_broken = true;
    return f->is_broken ? 0 : at + distance;
}

/* Where a field of `bytes` stands; 0: it is absent. */
static size_t field_at(const struct flat_table *t, unsigned field, unsigned bytes)
{
    size_t slot = 4 + 2 * (size_t)field;
    if (!t->at || t->in->is_broken || slot + 2 > t->slots) return 0;
    size_t offset = (size_t)number(t->in, t->vtable + slot, 2);
    if (!offset) return 0;
    if (offset < 4 || offset > t->bytes || bytes > t->bytes - offset) { t->in->is_broken = true; return 0; }
    return t->at + offset;
}

struct flat_table flat_root(struct flat *f)
{
    size_t at = follow(f, 0);
    return f->is_broken ? (struct flat_table) { .in = f } : table_at(f, at);
}

int64_t flat_int(const struct flat_table *t, unsigned field, unsigned bytes, int64_t fallback)
{
    size_t at = field_at(t, field, bytes);
    return at ? with_sign(number(t->in, at, bytes), bytes) : fallback;
}

struct flat_table flat_child(const struct flat_table *t, unsigned field)
{
    size_t slot = field_at(t, field, 4), at = slot ? follow(t->in, slot) : 0;
    return at ? table_at(t->in, at) : (struct flat_table) { .in = t->in };
}

struct flat_vector flat_list(const struct flat_table *t, unsigned field, size_t element_bytes)
{
    size_t slot = field_at(t, field, 4), at = slot ? follow(t->in, slot) : 0;
    struct flat_vector v = { .in = t->in, .at = at + 4, .element_bytes = element_bytes };
    if (!at) return v;
    v.n = (size_t)number(t->in, at, 4);                   /* below 2^32: the product fits */
    if (!fits(t->in, v.at, v.n * element_bytes)) t->in->is_broken = true;
    if (t->in->is_broken) v.n = 0;
    return v;
}

const char *flat_text(const struct flat_table *t, unsigned field, size_t *len)
{
    struct flat_vector v = flat_list(t, field, 1);
    *len = v.n;
    return v.at > 4 && !t->in->is_broken ? (const char *)t->in->data + v.at : NULL;
}

struct flat_table flat_element(const struct flat_vector *v, size_t i)
{
    assert(i < v->n && v->element_bytes == 4);
    size_t at = follow(v->in, v->at + 4 * i);
    return at ? table_at(v->in, at) : (struct flat_table) { .in = v->in };
}

int64_t flat_element_int(const struct flat_vector *v, size_t i, size_t offset, unsigned bytes)
{
    assert(i < v->n && offset + bytes <= v->element_bytes);
    return with_sign(number(v->in, v->at + i * v->element_bytes + offset, bytes), bytes);
}
