/* fuzz_regex.c - any bytes as a regular expression: for a whole text, and as the pattern of a string of JSON, whose texts must
 * then be JSON. */
#include "fuzz_grammar.h"

static void as_pattern(const char *text, size_t len, const uint8_t *data, size_t size)
{
    struct grammar *g = NULL;
    struct buf out;
    sc_error e = { 0 };
    json_t *schema = json_pack("{s:s, s:o}", "type", "string", "pattern", json_stringn_nocheck(text, len));
    buf_init(&out, 0);
    if (grammar_from_schema(&g, schema, &e) == SC_OK) {
        if (fuzz_walk(g, data, size, &out)) {
            json_t *v = json_loadb(out.data, out.len, JSON_DECODE_ANY, NULL);
            if (!json_is_string(v)) abort();
            json_decref(v);
        }
    } else if (g || !fuzz_is_sentence(e.message)) abort();
    grammar_release(g);
    json_decref(schema);
    buf_release(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *g = NULL;
    struct buf text;
    sc_error e = { 0 };
    if (size > 512) return 0;
    buf_init(&text, 0);
    if (grammar_from_regex(&g, (const char *)data, size, &e) == SC_OK) fuzz_walk(g, data, size, &text);
    else if (g || !fuzz_is_sentence(e.message)) abort();
    if (utf8_is_valid((const char *)data, size)) as_pattern((const char *)data, size, data, size);
    grammar_release(g);
    buf_release(&text);
    return 0;
}
