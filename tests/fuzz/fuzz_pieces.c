/* fuzz_pieces.c - any bytes as tokens.bin. What is accepted gives every id its bytes, inside the file. */
#include "data/dataset.h"
#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sc_dataset d = { .pieces = { data, size } };
    sc_error err = { 0 };
    size_t len, all = 0;
    volatile char sink = 0;
    fuzz_memory_begin(size);
    sc_status status = pieces_check(data, size, "fuzz", &d.n_pieces, &err);
    fuzz_memory_end();
    if (status != SC_OK && !err.message[0]) abort();
    for (uint32_t i = 0; status == SC_OK && i < d.n_pieces; i++) {
        const char *piece = dataset_piece(&d, (int32_t)i, &len);
        all += len;
        for (size_t k = 0; piece && k < len; k++) sink ^= piece[k];
    }
    if (status == SC_OK && all > size) abort();
    (void)sink;
    return 0;
}
