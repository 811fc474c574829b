/* fuzz_gguf.c - any bytes as a GGUF file. A file that is accepted must have its tensors inside its bytes. */
#include "format/format_internal.h"
#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    fuzz_memory_begin(size);
    struct model_file *m = model_file_new(MODEL_GGUF, "fuzz");
    sc_status status = gguf_parse(m, data, size, "fuzz", &err);
    if (status == SC_OK) status = model_file_index_tensors(m, &err);
    if (status != SC_OK && !err.message[0]) abort();
    volatile uint8_t sink = 0;
    for (size_t i = 0; status == SC_OK && i < m->n_tensors; i++) {
        const struct file_tensor *t = &m->tensors[i];
        if (t->bytes) sink ^= ((const uint8_t *)t->data)[0] ^ ((const uint8_t *)t->data)[t->bytes - 1];
        if (model_file_find(m, t->name) != t) abort();
    }
    for (size_t i = 0; status == SC_OK && i < m->n_values; i++) {
        const struct gguf_value *v = &m->values[i];
        if (gguf_find(m, v->key) != v) abort();
        if (v->type == GGUF_ARRAY && v->element != GGUF_STRING && v->count) sink ^= (uint8_t)gguf_array_int(v, v->count - 1);
        for (size_t k = 0; v->strings && k < v->count; k++)
            if (v->strings[k].len) sink ^= (uint8_t)v->strings[k].text[v->strings[k].len - 1];
    }
    (void)sink;
    model_file_close(m);
    fuzz_memory_end();
    return 0;
}
