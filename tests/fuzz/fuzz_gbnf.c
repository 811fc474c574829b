/* fuzz_gbnf.c - any bytes as a GBNF grammar; those that are taken are walked along. */
#include "fuzz_grammar.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct grammar *g = NULL;
    struct buf text;
    sc_error e = { 0 };
    if (size > 1024) return 0;
    buf_init(&text, 0);
    if (grammar_from_gbnf(&g, (const char *)data, size, &e) == SC_OK) fuzz_walk(g, data, size, &text);
    else if (g || !fuzz_is_sentence(e.message)) abort();
    grammar_release(g);
    buf_release(&text);
    return 0;
}
