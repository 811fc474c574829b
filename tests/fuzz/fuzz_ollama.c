/* fuzz_ollama.c - any bytes as the manifest of an Ollama model: what is taken from it is 64 hex digits, so a name of one file. */
#include <string.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    char sha256[65] = "";
    sc_error err = { 0 };
    fuzz_memory_begin(size);
    if (ollama_layer(sha256, (const char *)data, size, "manifest", &err) != SC_OK) {
        if (!err.message[0]) abort();
    } else if (!hex_is_valid(sha256, 64)) abort();
    fuzz_memory_end();
    return 0;
}
