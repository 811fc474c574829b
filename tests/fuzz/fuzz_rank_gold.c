/* fuzz_rank_gold.c - any bytes as a file of gold items: refused in one sentence, or items with two answers at least, of different texts. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_memory.h"
#include "rank/rank.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gold_list g;
    sc_error err = { 0 };
    if (size > 100000) return 0;
    fuzz_memory_begin(size * 64);
    if (gold_read(&g, (const char *)data, size, "fuzz", &err) != SC_OK) {
        if (!err.message[0] || g.n || g.at) abort();
    } else {
        if (!g.n) abort();
        for (size_t i = 0; i < g.n; i++)
            if (!g.at[i].id || !g.at[i].prompt || g.at[i].n < 2 || g.at[i].n > RANK_SHOWN_MAX || strcmp(g.at[i].answer[0], g.at[i].answer[1]) == 0) abort();
        gold_release(&g);
    }
    fuzz_memory_end();
    return 0;
}
