/* convert_internal.h - what convert and init share: the list of tensors of a file to be written, the choice of their
 * types, and the loop that makes them row by row on all threads. Private to src/model. */
#ifndef CONVERT_INTERNAL_H
#define CONVERT_INTERNAL_H

#include "lineage/lineage.h"
#include "model/model_internal.h"

/* ---- job.c ------------------------------------------------------------------------------------------------------------ */

/* What a --type means. Rows that cannot hold a block type fall back (see type_for_row). */
struct target {
    const char *name;
    enum dtype matrix, head, fused, more;   /* most matrices; head or tied embedding; fused q, k, v; v and down of every third layer */
    int file_type;                          /* general.file_type of GGUF */
};
/* NULL for an unknown name. */
const struct target *target_by_name(const char *name);

/* One tensor of the output. */
struct out_tensor {
    char name[96];
    const struct weight_row *row;           /* NULL: rope_freqs.weight */
    size_t layer;
    bool is_bias, is_vector;
    const struct file_tensor *source;       /* NULL: made, not copied. Rows behind its last are made too */
    bool is_made;                           /* all rows are made, although there is a source            */
    enum dtype dtype;
    size_t rows, cols;
    enum row_order order;
    const float *importance;                /* of its columns, for `quantise`; NULL: unknown */
};

struct job {
    const char *what;                       /* "convert" or "init", for events */
    const char *path;                       /* that names the model: of the input, or of what init writes */
    const struct model_config *config;
    struct out_tensor *tensors; size_t n, cap;
    struct pool *pool;
    const atomic_int *cancel;
    sc_on_event on_event; void *user;
    const void *from;                       /* what make_row makes them of */
    /* Fills `row` of a tensor where it has no source. */
    void (*make_row)(const struct job *j, const struct out_tensor *t, size_t row, float *out);
    sc_status (*before)(const struct job *j, const struct out_tensor *t, sc_error *err);    /* called before a tensor's first row; NULL: nothing is */
    struct arena memory;                    /* weights of columns */
    uint64_t seed;                          /* of init */
    uint64_t done, total;                   /* bytes written */
};
void job_release(struct job *j);
struct out_tensor *job_add(struct job *j);
/* Lists all tensors of the architecture in the names of `kind`; types and sources are filled later. */
void job_list(struct job *j, enum model_kind kind);
/* Type of a tensor by target (not NULL), for this kind of file. */
enum dtype type_for(const struct job *j, const struct out_tensor *t, const struct target *target, enum model_kind kind);
/* The type itself if rows of `cols` elements are whole blocks of it, else the nearest larger type that fits. */
enum dtype type_for_row(enum dtype type, size_t cols);
/* Tells by an event which tensors had to take another type than the target's. */
void job_note_fallbacks(const struct job *j, const struct target *target, enum model_kind kind);
struct tensor_plan *job_plan(struct job *j);                     /* mem_free it; names are borrowed */
/* Makes all tensors in order and hands their bytes to `put`. */
sc_status job_run(struct job *j, sc_status (*put)(void *writer, const void *data, size_t bytes, sc_error *err), void *writer, sc_error *err);
void job_note(const struct job *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ---- convert.c: what convert and save have in common ------------------------------------------------------------------------------ */

/* The result must not be the input, and a directory holds no block types. */
sc_status job_check_paths(const char *in, const char *out, enum model_kind to, const struct target *target, sc_error *err);
/* Scaling that a GGUF input has only as divisors is turned into a setting for config.json. */
sc_status job_restore_scaling(struct model_config *c, const struct model_file *in, sc_error *err);
/* Opens what was written and says what the format could not express. */
sc_status job_check_result(const struct job *j, const char *path, sc_error *err);

/* ---- convert_gguf.c, convert_hf.c, convert_tokenizer.c: everything but the weights -------------------------------------------- */

/* Keys of a GGUF file from a Hugging Face directory. */
sc_status gguf_put_from_hf(struct gguf_writer *w, const struct job *j, const struct model_file *in, sc_error *err);
void      gguf_put_file_type(struct gguf_writer *w, int file_type);
int       file_type_of(const struct job *j, const struct target *target);
/* JSON files of a directory from GGUF keys, or copied from another directory. */
sc_status hf_write_from_gguf(const char *directory, const struct job *j, const struct model_file *in, sc_error *err);
sc_status hf_write_from_hf(const char *directory, const struct job *j, const struct model_file *in, sc_error *err);
extern const char *const hf_companions[];       /* the files beside config.json and weights that make a model; NULL at the end */
sc_status hf_copy_file(const char *to_directory, const char *from_directory, const char *name, sc_error *err);   /* if it is there */
sc_status hf_write_config(const char *directory, const struct job *j, json_t *config, sc_error *err);
sc_status hf_write_json(const char *directory, const char *name, const json_t *value, sc_error *err);
/* tokenizer.json from the keys of a GGUF file; *out NULL when it has no vocabulary. */
sc_status tokenizer_json_from_gguf(json_t **out, const struct model_file *in, sc_error *err);
/* llama3 rope scaling as a tensor of divisors, and back (NULL when no setting gives these divisors). */
/* Adds rope_freqs.weight where GGUF needs it: copied from a GGUF input, or made. `in` NULL: nothing to copy from. */
void    job_add_divisors(struct job *j, const struct model_file *in);
void    rope_divisors(const struct model_config *c, float *out);
json_t *rope_scaling_from_divisors(const struct model_config *c, const float *divisors, size_t n);

/* ---- output.c: where the result goes -------------------------------------------------------------------------------------------- */

/* A directory under a temporary name, or a single file; the result appears when all of it is there. */
struct output { enum model_kind kind; char *path, *building; };
sc_status output_open(struct output *o, const char *path, bool overwrite, sc_error *err);
sc_status output_publish(struct output *o, sc_error *err);
void      output_discard(struct output *o);
/* Writes the weights of a job into a directory under construction. */
sc_status output_put_safetensors(struct job *j, const char *directory, sc_error *err);
sc_status output_put_gguf(struct job *j, struct gguf_writer *w, sc_error *err);

#endif
