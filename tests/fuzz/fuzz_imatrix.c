/* fuzz_imatrix.c - any bytes as the file of an importance matrix. What is accepted must give weights that can be used. */
#include "format/format_internal.h"
#include "fuzz_memory.h"
#include "model/model.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    struct imatrix m = { 0 };
    fuzz_memory_begin(size);
    struct model_file *f = model_file_new(MODEL_GGUF, "fuzz");
    sc_status status = gguf_parse(f, data, size, "fuzz", &err);
    if (status == SC_OK) status = model_file_index_tensors(f, &err);
    if (status == SC_OK) status = imatrix_from_file(&m, f, &err);
    if (status != SC_OK && (!err.message[0] || m.n)) abort();
    for (size_t i = 0; i < m.n; i++) {
        const struct imatrix_row *r = &m.rows[i];
        float *w = mem_alloc(r->cols * sizeof *w);
        bool has_weights = imatrix_weights(w, r);
        for (size_t k = 0; has_weights && k < r->cols; k++)
            if (!(w[k] > 0 && w[k] <= 2 * (float)r->cols)) abort();
        if (!imatrix_find(&m, r->name)) abort();
        mem_free(w);
    }
    imatrix_release(&m);
    model_file_close(f);
    fuzz_memory_end();
    return 0;
}
