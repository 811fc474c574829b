/* lineage.h - what a model was made of: a record that each step (train, merge, convert) leaves with its result, as lineage.json in a directory or as keys
 * of a GGUF file. A record holds the records of what went in, so one that was sent away alone still tells the whole line. It names files and digests and no
 * path of the machine but short relative ones. It is no signature: who changes everything can write a new one. Layer 3: format, base.
 *
 * {"format":"starchat-lineage","version":1,"step":"train|merge|convert","program","inputs":[ORIGIN],"outputs":[FILE] (of a directory), what the step adds,
 *  "sha256": of the record without this member, keys sorted}
 * FILE: {"name","bytes","sha256"}, of adapter_config.json also "settings": the digest of all its members but base_model_name_or_path, which whoever sends an adapter away has to change;
 * ORIGIN: {"role":"base|adapter|model|data|eval_data","name","kind":"directory|adapter|gguf|dataset|unknown","source","revision","licence","at": relative
 * path, each where it is known,"files":[FILE],"made": the record that was with it, of a GGUF file "seal":"whole|broken|missing": whether it was what its own digest
 * says, and of a broken one "seal_said","seal_found"}; a dataset's has {"dataset":{...}} instead of files (src/train/train_lineage.c). */
#ifndef LINEAGE_H
#define LINEAGE_H

#include "format/format.h"

#define LINEAGE_FILE "lineage.json"
#define LINEAGE_KEY "starchat.lineage"
#define LINEAGE_JOURNAL "events.jsonl"
enum { LINEAGE_BYTES_MAX = 64 << 20, LINEAGE_DEPTH = 16 };

/* ---- lineage_record.c -------------------------------------------------------------------------------------------------------- */

json_t   *lineage_new(const char *step);                                  /* the caller's */
void      lineage_seal(json_t *record);                                   /* sets "sha256"; whoever changes it afterwards seals it again */
bool      lineage_is_intact(const json_t *record);
/* A record of foreign bytes, every member that anything here reads checked; records in it likewise, at most LINEAGE_DEPTH deep. SC_E_FORMAT. */
sc_status lineage_parse(json_t **out, const char *text, size_t len, const char *what, sc_error *err);
/* The record of a model directory, adapter directory or .gguf file; *out NULL where it has none. */
sc_status lineage_read(json_t **out, const char *path, sc_error *err);
/* Lists the files of the model in `directory` as outputs, seals the record and writes it there. */
sc_status lineage_write(const char *directory, json_t *record, sc_error *err);
/* Puts the record, sealed, into a GGUF file, and a place for the file's digest (gguf_writer_seal). Equal runs must give equal files: what differs between them (when, where and at what
 * cost it was made, the name of its directory, the journal) is left out, also of the records in it; lineage.json of the run has it. */
void      lineage_put(struct gguf_writer *w, const json_t *record);

/* ---- lineage_origin.c -------------------------------------------------------------------------------------------------------- */

/* Adds a model, an adapter or a .gguf file to the record's inputs. Every file is read, about a second for a gigabyte. `out`: where
 * the result goes, for "at"; NULL: none. */
sc_status lineage_add_model(json_t *record, const char *role, const char *path, const char *out, sc_error *err);
/* [FILE] of those files in a directory that make a model or an adapter, sorted by name. */
sc_status lineage_files(json_t **out, const char *directory, sc_error *err);
/* The names of those, sorted, none of them read. */
sc_status lineage_names(json_t **out, const char *directory, sc_error *err);
/* The one of that name; borrowed, NULL: none. */
const json_t *lineage_file_of(const json_t *files, const char *name);
/* Sets name, source, revision and licence of what lies at `path`, as far as manifest.json and README.md beside it tell, and "at". `files`: [FILE] that were read there; where the manifest
 * has other digests or none of them, it is false and sets nothing of those two. NULL: nothing was read, and the manifest is believed. */
bool      lineage_describe(json_t *origin, const char *path, const json_t *files, const char *out);
/* The value of `license:` in the YAML header of a README.md; NULL: none. mem_free it. */
char     *lineage_licence_of(const char *readme, size_t len);
const char *lineage_base_name(const char *path);
char     *lineage_settings(const char *path);              /* "settings" of the adapter_config.json at `path`; NULL: it cannot be read. mem_free it */
sc_status lineage_digest(char hex[65], uint64_t *bytes, const char *path, sc_error *err);     /* of a file; bytes may be NULL */

#endif
