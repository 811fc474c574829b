/* fuzz_rank_gold.c - any bytes as a file of gold items: refused in one sentence, or items with two answers at least, of different texts, each of as many turns as
 * the prompt. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_memory.h"
#include "rank/rank.h"

static void check(const struct gold_item *g)
{
    size_t turns = json_array_size(g->prompt);
    if (!g->id || !turns || g->n < 2 || g->n > RANK_SHOWN_MAX || json_equal(g->answer[0], g->answer[1])) abort();
    for (size_t i = 0; i < g->n; i++) {
        if (json_array_size(g->answer[i]) != turns) abort();
        for (size_t k = 0; k < turns; k++)
            if (!json_string_length(json_array_get(g->answer[i], k))) abort();
    }
}

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
            check(&g.at[i]);
        gold_release(&g);
    }
    fuzz_memory_end();
    return 0;
}
