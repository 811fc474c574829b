/* leaves.c - rows of a prepared data set as batches: what stands where, and which next tokens are to be learned. */
#include "train/train.h"

#include <assert.h>
#include <string.h>

void leaf_init(struct leaf *l, size_t capacity)
{
    *l = (struct leaf){ .capacity = capacity };
    l->token = mem_alloc(capacity * sizeof *l->token);
    l->position = mem_alloc(capacity * sizeof *l->position);
    l->sequence = mem_alloc(capacity * sizeof *l->sequence);
    l->label = mem_alloc(capacity * sizeof *l->label);
    l->row = mem_alloc(capacity * sizeof *l->row);
    l->weight = mem_alloc(capacity * sizeof *l->weight);
    l->loss = mem_alloc(capacity * sizeof *l->loss);
    l->of = mem_alloc(capacity * sizeof *l->of);
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
    mem_free(l->of);
    *l = (struct leaf){ 0 };
}

/* The token at l->rows is learned from the one before it. */
static void learn_token(struct leaf *l, int32_t id, struct target_of of)
{
    l->row[l->n] = l->rows - 1;
    l->of[l->n] = of;
    l->label[l->n++] = id;
}

/* One segment at the end of the leaf. Answers are counted where training begins after tokens that are not trained. */
static void put_segment(struct leaf *l, const struct shard *s, uint64_t k, bool joined, bool whole)
{
    const struct shard_segment *segment = &s->segment[k];
    uint32_t length = segment->length;
    while (whole && length && !flag_trained(s->flag[segment->token_begin + length - 1])) length--;   /* no target behind the answer's end */
    uint32_t turn = 0;
    bool was_trained = false, any = false;
    assert(l->rows + segment->length <= l->capacity);
    for (uint32_t i = 0; i < length; i++) {
        uint64_t at = segment->token_begin + i;
        bool begins = joined ? l->rows == 0 : i == 0, is_trained = flag_trained(s->flag[at]);
        if (is_trained && !was_trained) turn += any;
        any |= is_trained;
        was_trained = is_trained;
        l->token[l->rows] = s->id[at];
        l->position[l->rows] = (int32_t)(joined ? l->rows : i);
        l->sequence[l->rows] = (int32_t)(joined ? 0 : l->n_samples);
        if (!begins && (is_trained || whole)) learn_token(l, s->id[at], (struct target_of){ turn, segment->file, l->n_samples, is_trained });
        l->rows++;
    }
    l->n_samples++;
}

void leaf_fill(struct leaf *l, const struct shard *s, uint64_t row, bool joined)
{
    assert(row < s->n_rows);
    l->rows = l->n = l->n_samples = 0;
    for (uint64_t k = s->row_begin[row]; k < s->row_begin[row + 1]; k++) put_segment(l, s, k, joined, false);
}

void leaf_fill_pair(struct leaf *l, const struct shard *s, uint64_t row, bool whole_chosen)
{
    assert(row < s->n_rows && s->row_begin[row + 1] - s->row_begin[row] == 2);
    l->rows = l->n = l->n_samples = 0;
    for (uint64_t k = s->row_begin[row]; k < s->row_begin[row + 1]; k++) put_segment(l, s, k, false, whole_chosen && l->n_samples == 0);
}
