/* reader_internal.h - what the files of the reader share. */
#ifndef READER_INTERNAL_H
#define READER_INTERNAL_H

#include "data/data.h"

/* ---- compressed.c: bytes of a file, gzip and zstd undone -------------------------------------------------------------- */

struct stream;
sc_status stream_open(struct stream **out, const char *path, sc_error *err);
/* Up to `cap` bytes; *got 0 at the end. SC_E_FORMAT: the compressed data is damaged or ends early. */
sc_status stream_read(struct stream *s, char *out, size_t cap, size_t *got, sc_error *err);
uint64_t  stream_done(const struct stream *s);            /* bytes of the file taken so far                   */
uint64_t  stream_size(const struct stream *s);
/* Reads what is left of the file and gives the digest of all its bytes. */
sc_status stream_finish(struct stream *s, char sha256[65], sc_error *err);
void      stream_close(struct stream *s);

/* ---- inputs.c: what the user named, as files in order ------------------------------------------------------------------ */

struct input_file { char *path; double weight; uint64_t bytes, records; char sha256[65]; };
struct input_list { struct input_file *file; size_t len, cap; };
sc_status inputs_expand(struct input_list *out, const char *const *inputs, size_t n, sc_error *err);
void      inputs_release(struct input_list *l);
bool      path_is_source(const char *path);               /* text or code by its name                          */
bool      path_is_table(const char *path);                /* .parquet .arrow .csv .tsv                         */

/* ---- duckdb.c ------------------------------------------------------------------------------------------------------------- */

struct table_rows;
sc_status table_open(struct table_rows **out, const char *path, sc_error *err);
/* The next row as a JSON object, borrowed until the next call; text NULL at the end. */
sc_status table_next(struct table_rows *t, const char **text, size_t *len, sc_error *err);
void      table_close(struct table_rows *t);

/* ---- tree.c: flat messages to trees ----------------------------------------------------------------------------------------- */

bool      flat_message_probe(const json_t *record);       /* a message with an id and its parent's                  */
struct forest;
struct forest *forest_open(void);
sc_status forest_put(struct forest *f, json_t *message, uint64_t line, sc_error *err);   /* takes over the reference */
/* The next tree as text of a record, in the order of roots; NULL at the end. */
char     *forest_next(struct forest *f, size_t *len, uint64_t *line);
void      forest_close(struct forest *f);

#endif
