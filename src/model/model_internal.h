/* model_internal.h - helpers of the config readers; private to src/model. */
#ifndef MODEL_INTERNAL_H
#define MODEL_INTERNAL_H

#include "model/model.h"

/* Ceilings on sizes from files: generous, and small enough that products of three fit in 64 bits. */
enum { MAX_DIM = 1 << 20, MAX_LAYERS = 4096, MAX_CONTEXT = 1 << 27 };

sc_status need_size(size_t *out, const json_t *config, const char *key, size_t max, const char *what, sc_error *err);
sc_status opt_size(size_t *out, const json_t *config, const char *key, size_t fallback, size_t max, const char *what, sc_error *err);
/* GGUF key "<arch>.<key>". */
sc_status gguf_need_size(size_t *out, const struct model_file *f, const char *key, size_t max, sc_error *err);
sc_status gguf_opt_size(size_t *out, const struct model_file *f, const char *key, size_t fallback, size_t max, sc_error *err);
sc_status gguf_arch_real(double *out, const struct model_file *f, const char *key, double fallback, double min, double max, sc_error *err);
void      gguf_put_arch_uint32(struct gguf_writer *w, const struct model_config *c, const char *key, size_t v);
void      gguf_put_arch_float32(struct gguf_writer *w, const struct model_config *c, const char *key, double v);
/* "gelu" is exact, "gelu_pytorch_tanh", "gelu_new" and "gelu_fast" the tanh form; anything else is unsupported. */
sc_status gelu_by_name(enum gelu_form *out, const char *name, const char *what, sc_error *err);
const char *gelu_name(enum gelu_form form);
/* GGUF has no key for the form of GELU: files of other tools mean the tanh form; ours name it. */
sc_status gguf_gelu(enum gelu_form *out, const struct model_file *f, sc_error *err);
void      gguf_put_gelu(struct gguf_writer *w, const struct model_config *c);
/* The keys that llama, qwen2 and starcoder2 share (hidden_size ...), with rope. */
sc_status read_decoder_json(struct model_config *c, const json_t *config, const char *what, sc_error *err);
sc_status read_decoder_gguf(struct model_config *c, const struct model_file *f, sc_error *err);
void      write_decoder_json(const struct model_config *c, json_t *config);
void      write_decoder_gguf(const struct model_config *c, struct gguf_writer *w);

/* What a head takes of the width when nothing says so; 0, which is refused, where the heads do not divide it. */
size_t    head_dim_of(size_t embd, size_t heads);

/* The tensor of a weight; NULL if absent. Old Hub files of a base class lack the first component of the name
 * ("transformer.", "model."). */
const struct file_tensor *weight_find(const struct model_file *f, const char *name);
void tensor_shape_text(char out[64], const struct file_tensor *t);      /* "576 x 1536" */
/* Shape and type against what the config says; rows 1: a vector. */
sc_status weight_check_shape(const struct file_tensor *t, size_t rows, size_t cols, const char *path, sc_error *err);

/* Tells the residency, if there is one, what block is wanted or done with; its failure becomes the pass's. */
void block_needed(const struct model *m, struct exec *e, size_t block, size_t next, bool goes_back);
void block_done(const struct model *m, struct exec *e, size_t block, bool goes_back);

/* The struct weight or struct norm of a role. */
void *model_role(struct model *m, enum role role, size_t layer);

extern const struct arch arch_gpt_bigcode, arch_starcoder2, arch_llama, arch_qwen2;

#endif
