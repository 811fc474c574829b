/* format_internal.h - shared by the files of this folder: what an open model owns, and parsers that work on memory (used
 * by the readers and by the fuzz targets). */
#ifndef FORMAT_INTERNAL_H
#define FORMAT_INTERNAL_H

#include <string.h>

#include "format/format.h"

/* ---- model_file.c ---------------------------------------------------------------------------------------------------- */

/* Names copied out of files, packed. */
struct name_block { struct name_block *next; size_t used, size; char text[]; };
struct name_store { struct name_block *first; };
const char *name_keep(struct name_store *s, const char *text, size_t len);
/* The text of a string of JSON; NULL when it holds a NUL or half a surrogate pair. */
const char *scan_keep(struct name_store *names, const struct scan_string *s);
void name_store_release(struct name_store *s);

/* Names in strcmp order with their position in the file. */
struct name_entry { const char *name; size_t i; };
/* Sorts and looks for doubles: the first name that occurs twice, NULL if none. */
const char *name_index_sort(struct name_entry *e, size_t n);
const struct name_entry *name_index_find(const struct name_entry *e, size_t n, const char *name);

struct format_private {
    struct mapped_file *files; size_t n_files;
    struct name_store names;
    struct name_entry *by_tensor, *by_key;
};

struct model_file *model_file_new(enum model_kind kind, const char *path);
/* Maps one more file into m; *data is valid until m is closed. */
sc_status model_file_map(struct model_file *m, struct mapped_file *data, const char *path, sc_error *err);
/* Builds the name index; a name in two places is refused. */
sc_status model_file_index_tensors(struct model_file *m, sc_error *err);
/* rows * bytes per row of a tensor in m->dims form; false on overflow or a row that is no whole number of blocks. */
bool tensor_bytes(size_t *out, enum dtype dtype, int n_dims, const uint64_t *dims);
/* Takes a Jinja source as the model's own template; it must be free of NUL bytes. */
sc_status model_file_set_template(struct model_file *m, const char *text, size_t len, const char *where, sc_error *err);

/* ---- model_json.c ------------------------------------------------------------------------------------------------------ */

/* The objects that a directory has as files, or a GGUF file under its keys. `config`: the name of its config.json. */
sc_status model_json_files(struct model_file *m, const char *config, sc_error *err);
sc_status model_json_keys(struct model_file *m, sc_error *err);
void      model_json_release(struct model_file *m);
/* A JSON file of the directory that must hold an object; *out stays NULL when it is absent. */
sc_status model_json_file(json_t **out, const struct model_file *m, const char *name, size_t max_bytes, sc_error *err);

/* ---- gguf.c, safetensors.c, hf_directory.c ------------------------------------------------------------------------------ */

/* Parse bytes that stay valid until m is closed; `what` names them in messages. */
sc_status gguf_parse(struct model_file *m, const uint8_t *data, size_t size, const char *what, sc_error *err);
/* Bytes of one element of an array; 0 for strings. */
size_t gguf_element_bytes(enum gguf_type t);
/* Appends the tensors of one safetensors file. */
sc_status safetensors_parse(struct model_file *m, const uint8_t *data, size_t size, const char *what, sc_error *err);
sc_status hf_directory_open(struct model_file *m, bool headers_only, sc_error *err);
sc_status hf_adapter_open(struct model_file *m, sc_error *err);

/* The weight map of model.safetensors.index.json, as written. */
struct shard_entry { const char *tensor, *file; };
struct shard_index { struct shard_entry *entries; size_t n; struct name_store names; };
sc_status shard_index_parse(struct shard_index *out, const char *text, size_t len, const char *what, sc_error *err);
void shard_index_release(struct shard_index *s);
/* A name that stays in its directory: not empty, no '/', no control characters, not "." or "..", at most 255 bytes. */
bool name_is_plain_file(const char *name);

#endif
