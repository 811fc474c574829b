/* adapter_internal.h - what adapter_config.json says, between its reader and the loader; private to src/model. */
#ifndef ADAPTER_INTERNAL_H
#define ADAPTER_INTERNAL_H

#include "model/model_internal.h"

struct adapter_settings {
    const char *what;                      /* names the adapter in messages                                    */
    bool is_rows_only;                     /* peft_type TRAINABLE_TOKENS: token rows and nothing else          */
    bool use_rslora, ties_whole;           /* ties_whole: ensure_weight_tying, a whole embedding is the head too */
    int64_t r; double alpha, dropout;
    const json_t *targets, *exclude, *layers;        /* borrowed; NULL: not given                              */
    const json_t *rank_pattern, *alpha_pattern;      /* objects of patterns, or NULL                           */
    const json_t *token_ids;                         /* of the embedding, or {module: ids}; NULL: none         */
};
/* Reads and checks the config of an open adapter. */
sc_status adapter_settings_read(struct adapter_settings *s, const struct model_file *f, sc_error *err);
/* Is this module adapted? `layer` is its number. */
sc_status adapter_names_module(bool *out, const struct adapter_settings *s, const char *module, size_t layer, sc_error *err);
/* Rank and alpha of a module, its patterns applied. */
sc_status adapter_rank_of(int64_t *r, double *alpha, const struct adapter_settings *s, const char *module, sc_error *err);
/* Ids whose rows the tensor of `module` ("wte") replaces: a list, checked to be ids; NULL: none. */
sc_status adapter_ids_of(const json_t **out, const struct adapter_settings *s, const char *module, bool is_embedding, sc_error *err);

#endif
