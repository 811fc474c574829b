/* fuzz_shard.c - any bytes as a shard of tokens. What is accepted can be read whole, shown, counted and judged. */
#include "data/dataset.h"
#include "fuzz_memory.h"

#include <string.h>

static const uint8_t PIECES[] = { 'S', 'C', 'P', 'I', 'E', 'C', 'E', 'S', 1, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0, 'a', 0xC3 };

static void use_shard(struct shard *s)
{
    static const char *split = "train";
    struct sc_dataset d = { .path = (char *)"fuzz", .shard = s, .split = &split, .n_shards = 1, .pieces = { PIECES, sizeof PIECES }, .n_pieces = 2 };
    sc_text text = { 0 };
    sc_error err = { 0 };
    json_t *stats = NULL;
    for (uint64_t i = 0; i < s->n_segments; i++)
        if (s->segment[i].file > 0) return;               /* dataset_open refuses it */
    d.manifest = json_pack("{s:{s:{s:[{s:s,s:I}]}}, s:[s], s:{}, s:{}, s:i}", "splits", "train", "shards", "file", "fuzz", "trained", (json_int_t)0, "files", "f", "options", "stats", "end_token", 0);
    for (uint64_t i = 0; i < s->n_segments && i < 8; i++)
        if (sc_dataset_sample(&text, &d, NULL, i, &err) == SC_OK) sc_text_free(&text);
        else if (!err.message[0]) abort();
    if (dataset_count(&stats, &d, &err) == SC_OK && json_integer_value(json_object_get(stats, "tokens")) != (json_int_t)s->n_tokens) abort();
    json_decref(stats);
    (void)sc_dataset_verify(&d, &err);
    json_decref(d.manifest);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct shard s;
    sc_error err = { 0 };
    uint64_t tokens = 0;
    uint8_t *copy = malloc(size + 1);                     /* aligned, and its end is watched */
    if (size) memcpy(copy, data, size);
    copy = realloc(copy, size ? size : 1);
    fuzz_memory_begin(size);
    sc_status status = shard_parse(&s, copy, size, "fuzz", &err);
    fuzz_memory_end();
    if (status != SC_OK && !err.message[0]) abort();
    for (uint64_t row = 0; status == SC_OK && row < s.n_rows; row++)
        for (uint64_t i = s.row_begin[row]; i < s.row_begin[row + 1]; i++) tokens += s.segment[i].length;
    if (status == SC_OK && tokens != s.n_tokens) abort();
    if (status == SC_OK) use_shard(&s);
    free(copy);
    return 0;
}
