/* fuzz_manifest.c - any bytes as dataset.json. What is accepted can be described, as JSON and as a page. */
#include "data/dataset.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct sc_dataset d = { .path = (char *)"fuzz" };
    sc_error err = { 0 };
    sc_text text = { 0 };
    size_t n_shards;
    sc_status status = json_read(&d.manifest, (const char *)data, size, "fuzz", &err);
    if (status == SC_OK) status = manifest_check(d.manifest, "fuzz", &n_shards, &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK) {
        for (size_t i = 0; i < n_shards; i++)
            if (!json_is_string(json_object_get(dataset_shard_entry(&d, i), "file"))) abort();
        if (dataset_shard_entry(&d, n_shards)) abort();
        if (sc_dataset_stats(&text, &d, &err) != SC_OK) abort();
        sc_text_free(&text);
        if (sc_dataset_html(&text, &d, NULL, 0, 0, &err) != SC_OK || !utf8_is_valid(text.data, text.len)) abort();
        sc_text_free(&text);
    }
    json_decref(d.manifest);
    return 0;
}
