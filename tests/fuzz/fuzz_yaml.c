/* fuzz_yaml.c - any bytes as YAML: accepted or one sentence, and what was accepted can be written as JSON and read back as
 * the same values by both readers. */
#include <stdlib.h>
#include <string.h>

#include "base/base.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    json_t *value = NULL, *lines = NULL, *json = NULL, *again = NULL;
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (size > 65536) return 0;
    sc_status status = yaml_read(&value, &lines, (const char *)data, size, "fuzz", &err);
    if ((status == SC_OK) != (value != NULL) || (status == SC_OK) != (lines != NULL) || (status != SC_OK && !err.message[0])) abort();
    if (value) {
        json_write(&text, value, false);
        if (json_read(&json, text.data, text.len, "fuzz", &err) != SC_OK || !json_equal(json, value)) abort();
        /* JSON is YAML, but for what no YAML file may hold: characters that cannot be printed, and keys beyond 1024 bytes. */
        if (yaml_read(&again, NULL, text.data, text.len, "fuzz", &err) == SC_OK && !json_equal(again, value)) abort();
    }
    sc_text_free(&text);
    json_decref(value);
    json_decref(lines);
    json_decref(json);
    json_decref(again);
    return 0;
}
