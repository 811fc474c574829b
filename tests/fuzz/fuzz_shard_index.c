/* fuzz_shard_index.c - any bytes as model.safetensors.index.json. File names that are accepted stay in the directory. */
#include "format/format_internal.h"
#include "fuzz_memory.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_error err = { 0 };
    struct shard_index index;
    fuzz_memory_begin(size);
    sc_status status = shard_index_parse(&index, (const char *)data, size, "fuzz", &err);
    if (status != SC_OK && !err.message[0]) abort();
    for (size_t i = 0; status == SC_OK && i < index.n; i++)
        if (strchr(index.entries[i].file, '/') || !index.entries[i].file[0]) abort();
    shard_index_release(&index);
    fuzz_memory_end();
    return 0;
}
