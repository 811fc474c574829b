/* format.h - model files: GGUF v2/v3, safetensors (single and sharded), Hugging Face model directories.
 *
 * Reading maps the files and checks every length before use; memory taken is bounded by the size of the file.
 * Writing streams: one tensor at a time, published under the final name only when complete.
 * Sources: ggml docs/gguf.md; safetensors README "Format"; Hugging Face Hub conventions. Layer 2: tensor, base. */
#ifndef FORMAT_H
#define FORMAT_H

#include "tensor/tensor.h"

/* ---- tensors of a file --------------------------------------------------------------------------------------------- */

struct file_tensor {
    const char *name;            /* NUL-terminated; belongs to the file          */
    enum dtype dtype;
    int n_dims;                  /* 0 (scalar) .. 4                              */
    uint64_t dims[4];            /* slowest first, as in safetensors and PyTorch */
    const void *data;            /* in the mapping                               */
    size_t bytes;
};

/* ---- JSON files ------------------------------------------------------------------------------------------------------ */

/* The JSON objects of a model directory, and the member of struct model_file that holds each. What GGUF has no keys for
 * travels along in it as their text, under "starchat.file.NAME", so that nothing is lost on the way back; other programs
 * skip such keys. Of tokenizer.json the vocabulary and merges are left out, which GGUF has as arrays; what stays of them
 * is the added tokens that belong to the vocabulary too, and the first merge, for its form. */
struct model_json { const char *name; size_t member, max_bytes; };
extern const struct model_json model_jsons[];        /* ends with name NULL */

/* ---- GGUF metadata --------------------------------------------------------------------------------------------------- */

/* ORDER GGUF value types: the numbers of the specification. */
enum gguf_type { GGUF_U8, GGUF_I8, GGUF_U16, GGUF_I16, GGUF_U32, GGUF_I32, GGUF_F32, GGUF_BOOL, GGUF_STRING, GGUF_ARRAY, GGUF_U64, GGUF_I64, GGUF_F64, GGUF_TYPE_COUNT };
struct gguf_string { const char *text; size_t len; };      /* in the mapping: no NUL */
/* One key. Scalars are widened; an array keeps its raw elements (strings through gguf_array_string). */
struct gguf_value {
    const char *key;
    enum gguf_type type, element;      /* element: of an array                               */
    union { uint64_t u; int64_t i; double f; bool b; struct gguf_string s; } v;
    size_t count;                      /* of an array                                        */
    const uint8_t *raw;                /* of an array: its first element, not aligned        */
    struct gguf_string *strings;       /* of an array of strings: all of them                */
};

/* ---- an open model ----------------------------------------------------------------------------------------------------- */

enum model_kind { MODEL_HF, MODEL_GGUF };
struct model_file {
    enum model_kind kind;
    char *path;                        /* as given: directory or file                                             */
    struct file_tensor *tensors; size_t n_tensors;      /* in file order                                           */
    size_t bytes;                      /* of all mapped files                                                      */
    /* Parsed JSON files, NULL when absent: of a Hugging Face directory (config is never NULL), or carried in GGUF */
    json_t *config, *generation_config, *tokenizer_config, *special_tokens_map, *added_tokens, *dialogue_template;
    json_t *tokenizer;                 /* only carried in GGUF: tokenizer.json without its vocabulary; see model_jsons */
    char *chat_template;               /* Jinja source: chat_template.jinja, else tokenizer_config, else GGUF key; NULL */
    /* GGUF */
    struct gguf_value *values; size_t n_values;
    size_t alignment, data_offset;
    struct format_private *private;    /* mappings, name index */
};
/* Opens by what is found: a directory with config.json, or a file that starts with "GGUF". With `headers_only` tensor
 * data is not required to exist for a directory without weights (tokenizer only, config only). SC_E_IO, SC_E_FORMAT,
 * SC_E_UNSUPPORTED (pytorch_model.bin is refused with a hint). */
sc_status model_file_open(struct model_file **out, const char *path, bool headers_only, sc_error *err);
void      model_file_close(struct model_file *m);
/* Gives back the memory of GGUF keys, tokenizer lists above all, once they were read; they can be read again. */
void      model_file_forget_keys(const struct model_file *m);
/* Adds what tells this model from any other to a digest: sizes and times of its files, names, shapes and a sample of every
 * tensor, config and scalar keys. Tokenizer lists are left out. Reads a few bytes a tensor, not the weights. */
void      model_file_identify(const struct model_file *m, struct sha256 *to);
/* SHA-256 of the i-th of the files that its tensors lie in, as they were opened; false: there are not so many. Reads all of it. */
bool      model_file_digest(char hex[65], const struct model_file *m, size_t i);
const struct file_tensor *model_file_find(const struct model_file *m, const char *name);   /* NULL if absent */

/* A PEFT adapter directory: `config` is its adapter_config.json, the tensors are those of adapter_model.safetensors; the
 * other JSON files and the chat template are read where it has them. */
sc_status adapter_file_open(struct model_file **out, const char *directory, sc_error *err);
bool      adapter_is_at(const char *path);      /* a directory with adapter_config.json and no config.json */
/* One safetensors file by itself: config is NULL. Same rules. */
sc_status tensor_file_open(struct model_file **out, const char *path, sc_error *err);
const struct gguf_value *gguf_find(const struct model_file *m, const char *key);            /* NULL if absent */
/* Typed reads with messages that name file and key; any integer type of fitting value is accepted. */
sc_status gguf_need_int(int64_t *out, const struct model_file *m, const char *key, int64_t min, int64_t max, sc_error *err);
sc_status gguf_opt_int(int64_t *out, const struct model_file *m, const char *key, int64_t fallback, int64_t min, int64_t max, sc_error *err);
sc_status gguf_opt_real(double *out, const struct model_file *m, const char *key, double fallback, sc_error *err);
sc_status gguf_opt_bool(bool *out, const struct model_file *m, const char *key, bool fallback, sc_error *err);
sc_status gguf_opt_string(struct gguf_string *out, const struct model_file *m, const char *key, sc_error *err); /* text NULL if absent */
/* Element i of an integer or float array, widened. */
int64_t   gguf_array_int(const struct gguf_value *array, size_t i);
double    gguf_array_real(const struct gguf_value *array, size_t i);

/* ---- writing -------------------------------------------------------------------------------------------------------------- */

/* What a written file will hold; data comes later, tensor by tensor, in this order. */
struct tensor_plan { const char *name; enum dtype dtype; int n_dims; uint64_t dims[4]; };

/* GGUF v3: init, put_* metadata (copied), then begin with all tensors, then data in order (whole tensors or pieces),
 * then finish, which checks that all bytes came and publishes; discard on any failure. */
struct gguf_writer;
sc_status gguf_writer_open(struct gguf_writer **out, const char *path, bool overwrite, sc_error *err);
void gguf_put_uint32(struct gguf_writer *w, const char *key, uint32_t v);
void gguf_put_float32(struct gguf_writer *w, const char *key, float v);
void gguf_put_bool(struct gguf_writer *w, const char *key, bool v);
void gguf_put_string(struct gguf_writer *w, const char *key, const char *text, size_t len);
void gguf_put_string_array(struct gguf_writer *w, const char *key, const struct gguf_string *s, size_t n);
void gguf_put_int32_array(struct gguf_writer *w, const char *key, const int32_t *v, size_t n);
void gguf_put_float32_array(struct gguf_writer *w, const char *key, const float *v, size_t n);
void gguf_put_value(struct gguf_writer *w, const struct gguf_value *v);     /* copies a value read from a file */
void gguf_put_json(struct gguf_writer *w, const char *name, const json_t *value);   /* a file of model_jsons; NULL: nothing */
void gguf_put_jsons(struct gguf_writer *w, const struct model_file *from);          /* all that `from` has, apart from tokenizer.json */
/* Reserves the key GGUF_SEAL_KEY for the digest of the file, which finish puts there; before begin. */
#define GGUF_SEAL_KEY "starchat.sha256"
enum { GGUF_SEAL_DIGITS = 64 };
void gguf_writer_seal(struct gguf_writer *w);
/* gguf_seal.c: what the file says and what it is; both "" where it has no such key. */
sc_status gguf_seal_check(char said[65], char found[65], const char *path, sc_error *err);
sc_status gguf_writer_begin(struct gguf_writer *w, const struct tensor_plan *tensors, size_t n, sc_error *err);
sc_status gguf_writer_data(struct gguf_writer *w, const void *data, size_t bytes, sc_error *err);
sc_status gguf_writer_finish(struct gguf_writer *w, sc_error *err);         /* frees w, also on failure */
void gguf_writer_discard(struct gguf_writer *w);                            /* frees w; NULL allowed   */

/* safetensors of a directory: model.safetensors, or shards of at most `shard_bytes` with model.safetensors.index.json.
 * Tensors are written in the given order (the caller sorts); metadata {"format":"pt"}. */
struct safetensors_writer;
sc_status safetensors_writer_open(struct safetensors_writer **out, const char *directory, const struct tensor_plan *tensors, size_t n, uint64_t shard_bytes, sc_error *err);
/* The same for one file of any name. */
sc_status safetensors_writer_open_file(struct safetensors_writer **out, const char *path, const struct tensor_plan *tensors, size_t n, sc_error *err);
sc_status safetensors_writer_data(struct safetensors_writer *w, const void *data, size_t bytes, sc_error *err);
sc_status safetensors_writer_finish(struct safetensors_writer *w, sc_error *err);
void safetensors_writer_discard(struct safetensors_writer *w);

#endif
