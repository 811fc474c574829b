/* fuzz_safetensors.c - any bytes as a safetensors file. A file that is accepted must be covered by its tensors. */
#include "format/format_internal.h"
#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    fuzz_memory_begin(size);
    struct model_file *m = model_file_new(MODEL_HF, "fuzz");
    sc_status status = safetensors_parse(m, data, size, "fuzz", &err);
    if (status == SC_OK) status = model_file_index_tensors(m, &err);
    if (status != SC_OK && !err.message[0]) abort();
    const uint8_t *at = NULL;
    for (size_t i = 0; status == SC_OK && i < m->n_tensors; i++) {
        const struct file_tensor *t = &m->tensors[i];
        if (at && t->data != at) abort();
        at = (const uint8_t *)t->data + t->bytes;
        if (model_file_find(m, t->name) != t) abort();
    }
    if (at && at != data + size) abort();
    model_file_close(m);
    fuzz_memory_end();
    return 0;
}
