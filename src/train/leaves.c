/* leaves.c - rows of a prepared data set as batches: what stands where, and which next tokens are to be learned. */
#include "train/train.h"

#include <assert.h>
#include <string.h>

void leaf_init(struct leaf *l, size_t capacity)
{
    *l = (struct leaf){ 0 };
    l->token = mem_alloc(capacity * sizeof *l->token);
    l->position = mem_alloc(capacity * sizeof *l->position);
    l->sequence = mem_alloc(capacity * sizeof *l->sequence);
    l->label = mem_alloc(capacity * sizeof *l->label);
    l->row = mem_alloc(capacity * sizeof *l->row);
    l->weight = mem_alloc(capacity * sizeof *l->weight);
    l->loss = mem_alloc(capacity * sizeof *l->loss);
}

void leaf_release(struct leaf *l)
{
    mem_free(l->token);
    mem_free(l->position);
    mem_free(l->sequence);
    mem_free(l->label);
    mem_free(l->row);
    mem_free(l->weight);
    mem_free(l->loss);
    *l = (struct leaf){ 0 };
}

/* The token at l->rows is learned from the one before it. */
static void learn_token(struct leaf *l, int32_t id)
{
    l->row[l->n] = l->rows - 1;
    l->label[l->n++] = id;
}

void leaf_fill(struct leaf *l, const struct shard *s, uint64_t row, bool joined)
{
    assert(row < s->n_rows);
    l->rows = l->n = 0;
    for (uint64_t k = s->row_begin[row]; k < s->row_begin[row + 1]; k++) {
        const struct shard_segment *segment = &s->segment[k];
        for (uint32_t i = 0; i < segment->length; i++) {
            uint64_t at = segment->token_begin + i;
            bool begins = joined ? l->rows == 0 : i == 0;
            l->token[l->rows] = s->id[at];
            l->position[l->rows] = (int32_t)(joined ? l->rows : i);
            l->sequence[l->rows] = (int32_t)(joined ? 0 : k - s->row_begin[row]);
            if (!begins && flag_trained(s->flag[at])) learn_token(l, s->id[at]);
            l->rows++;
        }
    }
}
