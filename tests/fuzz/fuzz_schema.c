/* fuzz_schema.c - any JSON as a schema; texts that come from one that is taken are JSON. */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *g = NULL;
    struct buf text;
    json_t *schema = NULL;
    sc_error e = { 0 };
    if (size > 4096 || json_read(&schema, (const char *)data, size, "the schema", NULL) != SC_OK) return 0;
    buf_init(&text, 0);
    if (grammar_from_schema(&g, schema, &e) == SC_OK) {
        if (fuzz_walk(g, data, size, &text)) {
            json_t *v = json_loadb(text.data ? text.data : "", text.len, JSON_DECODE_ANY, NULL);
            if (!v) { fprintf(stderr, "%s\n", text.data ? text.data : ""); abort(); }
            json_decref(v);
        }
    } else if (g || !fuzz_is_sentence(e.message)) abort();
    grammar_release(g);
    json_decref(schema);
    buf_release(&text);
    return 0;
}
