/* card_weights.c - what results were measured on. A directory may be trained anew, so a path tells nothing of weights: the digests of their files do, which results name. */
#include "card/card.h"

#include <stdlib.h>
#include <string.h>

/* ---- the weights of the directory --------------------------------------------------------------------------------------------------- */

static const json_t *model_of(const struct eval_record *r) { return json_object_get(json_object_get(r->all, "config"), "model"); }

/* NULL where there is nothing that can be read. */
static json_t *digests_at(const char *path, bool is_adapter)
{
    struct model_file *m = NULL;
    if ((is_adapter ? adapter_file_open(&m, path, NULL) : model_file_open(&m, path, false, NULL)) != SC_OK) return NULL;
    json_t *out = eval_weights_of(m);
    model_file_close(m);
    return out;
}

void facts_find_weights(struct card_facts *f)
{
    bool are_named = false;
    for (size_t i = 0; i < f->n_eval; i++) are_named |= json_is_array(json_object_get(model_of(&f->eval[i]), "weights"));
    if (!are_named) return;
    char *gguf = f->gguf ? path_join(f->directory, f->gguf) : NULL;
    f->weights = f->form == CARD_GGUF ? NULL : digests_at(f->directory, f->form == CARD_ADAPTER);
    f->gguf_weights = gguf ? digests_at(gguf, false) : NULL;
    mem_free(gguf);
}

/* ---- comparison ------------------------------------------------------------------------------------------------------------------------ */

/* Whether the base that an adapter ran on is the one that it was trained on: the record has the digests of that. Where nothing is recorded, nothing speaks against it. */
static bool is_on_its_base(const struct card_facts *f, const json_t *weights)
{
    size_t i, k, n = 0, n_found = 0;
    const json_t *origin, *file, *one;
    json_array_foreach(json_object_get(f->record, "inputs"), i, origin) {
        if (strcmp(text_member(origin, "role"), "base") != 0) continue;
        json_array_foreach(json_object_get(origin, "files"), k, file) {
            const char *name = text_member(file, "name");
            size_t at;
            bool is_there = false;
            if (!path_ends_with(name, ".gguf") && !path_ends_with(name, ".safetensors")) continue;
            json_array_foreach(weights, at, one) is_there |= json_is_string(one) && strcmp(json_string_value(one), text_member(file, "sha256")) == 0;
            n++;
            n_found += is_there;
        }
    }
    return n == 0 || n_found == json_array_size(weights);
}

static bool are_these(const struct card_facts *f, const json_t *model)
{
    const json_t *weights = json_object_get(model, "weights"), *adapter = json_object_get(model, "adapter_weights");
    if (!adapter) return (f->form == CARD_DIRECTORY && f->weights && json_equal(weights, f->weights)) || (f->gguf_weights && json_equal(weights, f->gguf_weights));
    return f->form == CARD_ADAPTER && f->weights && json_equal(adapter, f->weights) && is_on_its_base(f, weights);
}

/* By the path in the results, or, where that is no longer there, by its last part. */
static bool is_named_so(const struct card_facts *f, const json_t *model)
{
    const char *adapter = text_member(model, "adapter"), *path = *adapter ? adapter : text_member(model, "path");
    char *here = realpath(f->directory, NULL), *gguf = f->gguf ? path_join(f->directory, f->gguf) : NULL, *file = gguf ? realpath(gguf, NULL) : NULL, *there = realpath(path, NULL);
    bool is = here && *path && ((there && (strcmp(here, there) == 0 || (file && strcmp(file, there) == 0))) || (!there && strcmp(lineage_base_name(path), lineage_base_name(here)) == 0));
    free(here);
    free(file);
    free(there);
    mem_free(gguf);
    return is;
}

enum measured_on facts_measured_on(const struct card_facts *f, const struct eval_record *r)
{
    const json_t *model = model_of(r);
    bool are_named = json_is_array(json_object_get(model, "weights"));
    if (are_named && are_these(f, model)) return MEASURED_THIS;
    if (!is_named_so(f, model)) return MEASURED_ANOTHER;
    return are_named ? MEASURED_OTHER_TIME : MEASURED_UNKNOWN_TIME;
}
