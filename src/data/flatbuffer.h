/* flatbuffer.h - reading FlatBuffers (the format of Arrow's metadata) without generated code and without trust: every
 * position is checked against the bytes there are. As with buf.is_full, a damaged buffer sets `is_broken` once, all that
 * is read from it afterwards is absent, and the caller tests it at the end. */
#ifndef FLATBUFFER_H
#define FLATBUFFER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct flat { const uint8_t *data; size_t len; bool is_broken; };
/* `at` 0: absent; its fields then have their fallbacks and its vectors no element. `slots`: bytes of field offsets in the
 * vtable, `bytes`: of the table itself. */
struct flat_table { struct flat *in; size_t at, vtable, slots, bytes; };
struct flat_vector { struct flat *in; size_t at, n, element_bytes; };

struct flat_table flat_root(struct flat *f);
/* Fields by their number in the schema. Integers have 1, 2, 4 or 8 bytes and a sign. */
int64_t            flat_int(const struct flat_table *t, unsigned field, unsigned bytes, int64_t fallback);
struct flat_table  flat_child(const struct flat_table *t, unsigned field);
struct flat_vector flat_list(const struct flat_table *t, unsigned field, size_t element_bytes);
/* Not ended by a NUL; NULL: absent. */
const char        *flat_text(const struct flat_table *t, unsigned field, size_t *len);
/* Of element i < v->n: a table (of a list with elements of 4 bytes), and the integer `offset` bytes into it. */
struct flat_table  flat_element(const struct flat_vector *v, size_t i);
int64_t            flat_element_int(const struct flat_vector *v, size_t i, size_t offset, unsigned bytes);

#endif
