/* fuzz_package_index.c - any bytes as a page of a package index: JSON if it begins like it, else HTML. What is accepted
 * is a plain file name and an http address. */
#include <string.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char base[] = "https://index.example/simple/pkg/";
    sc_error err = { 0 };
    struct package_file found;
    bool is_json = size && data[0] == '{';
    if (!is_json) fuzz_memory_begin(size);   /* JSON trees are larger than their text; json_read has its own bounds */
    sc_status status = is_json ? index_parse_json(&found, (const char *)data, size, base, "pkg", &err) : index_parse_html(&found, (const char *)data, size, base, "pkg", &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK && (strchr(found.file_name, '/') || strncmp(found.url, "http", 4) != 0 || (found.sha256[0] && !hex_is_valid(found.sha256, 64)))) abort();
    package_file_release(&found);
    fuzz_memory_end();
    return 0;
}
