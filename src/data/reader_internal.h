/* reader_internal.h - what the files of the reader share: packed bytes, sources of records, the list of files. */
#ifndef READER_INTERNAL_H
#define READER_INTERNAL_H

#include "data/data.h"

enum { RECORD_MAX = 64 << 20 };       /* bytes of one record */

/* ---- compressed.c: bytes of a file, unpacked --------------------------------------------------------------------------- */

/* Unpacks gzip (any number of members) and zstd (any number of frames), which it knows by their first bytes; all else
 * comes as it is. The hash of the stored bytes grows with the reading. */
struct byte_source;
sc_status byte_source_open(struct byte_source **out, const char *path, sc_error *err);
void      byte_source_close(struct byte_source *s);
/* Up to `cap` bytes; *n 0: the end. SC_E_FORMAT: damaged or cut off; nothing comes after it. */
sc_status byte_source_read(struct byte_source *s, void *out, size_t cap, size_t *n, sc_error *err);
uint64_t  byte_source_stored(const struct byte_source *s);              /* bytes of the file taken so far */
enum packing_kind { PACKED_NOT, PACKED_GZIP, PACKED_ZSTD };
enum packing_kind byte_source_packing(const struct byte_source *s);
/* Reads what is left of the file, for its hash, and gives it. */
sc_status byte_source_finish(struct byte_source *s, char sha256[65], sc_error *err);

/* ---- sources: one file as records -------------------------------------------------------------------------------------- */

/* `next`: text, len and line of *out; *more false at the end. Messages begin with the line; SC_E_FORMAT: the source goes
 * on behind the damage. `finish`: the hash of the stored bytes, valid at the end. */
struct record_source {
    sc_status (*next)(struct record_source *s, struct record *out, bool *more, sc_error *err);
    sc_status (*finish)(struct record_source *s, char sha256[65], sc_error *err);
    uint64_t  (*stored)(const struct record_source *s);
    uint64_t  (*lost)(const struct record_source *s);     /* messages without their tree; NULL: none */
    void      (*close)(struct record_source *s);
};

enum name_kind { NAME_OTHER, NAME_JSON, NAME_LINES, NAME_CSV, NAME_TSV, NAME_TABLE, NAME_ARROW, NAME_TEXT };
/* From the name's ending; .gz, .zst and .zstd behind it do not count. */
enum name_kind name_kind_of(const char *path);

/* source_text.c: JSONL, JSON and plain text. `first`: the first bytes of the file tell whether it is a table. */
sc_status text_source_open(struct record_source **out, const char *path, sc_error *err);
/* duckdb.c: Parquet, CSV, TSV. `first`: how the file begins. */
bool      table_is_known(const char *path, const uint8_t *first, size_t len);
sc_status table_source_open(struct record_source **out, const char *path, sc_error *err);
/* arrow.c: Arrow IPC, as a stream or a random-access file. `first`: how the file begins. */
bool      arrow_is_known(const char *path, const uint8_t *first, size_t len);
sc_status arrow_source_open(struct record_source **out, const char *path, const uint8_t *first, size_t len, sc_error *err);
/* forest.c: flat messages of an OpenAssistant export, regrouped to trees. Takes `inner` and its first record over. */
bool      record_is_flat_message(const struct record *r);
void      forest_source_open(struct record_source **out, struct record_source *inner, struct record *first);

/* ---- inputs.c: names as the user gave them, to files -------------------------------------------------------------------- */

struct input_file { char *path; size_t input; uint64_t bytes; };
struct input_list { struct input_file *file; size_t n_files, cap; double *weight; size_t n_inputs; };
sc_status input_list_read(struct input_list *out, const struct reader_config *c, sc_error *err);
void      input_list_release(struct input_list *l);

#endif
