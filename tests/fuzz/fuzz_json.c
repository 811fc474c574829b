/* fuzz_json.c - any bytes as JSON: the tree builder takes what jansson takes, with the same values, and leaves the rest. */
#include "base/base.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const char *text = (const char *)data;
    json_t *ours = json_tree(text, size, 128), *read = NULL;
    json_t *theirs = json_loadb(text, size, JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
    sc_error err = { 0 };
    if (ours && !(theirs && json_equal(ours, theirs))) abort();
    if (json_read(&read, text, size, "fuzz", &err) != SC_OK && !err.message[0]) abort();
    if (theirs && read && !json_equal(read, theirs)) abort();
    json_decref(ours);
    json_decref(theirs);
    json_decref(read);
    return 0;
}
