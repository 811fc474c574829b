/* row_order.c - GGUF orders the rows of some matrices otherwise than Hugging Face directories do (WF_ROPE_ROWS,
 * WF_QKV_ROWS): which row of one form is which of the other, for conversion and for adapters. */
#include "model/model_internal.h"

enum row_order row_order_between(const struct model_config *c, const struct weight_row *row, enum model_kind from, enum model_kind to)
{
    if (from == to) return ROWS_SAME;
    if (row->flags & WF_ROPE_ROWS) return to == MODEL_GGUF ? ROWS_TO_PAIRS : ROWS_TO_HALVES;
    bool by_head = c->kv_heads > 1 && c->kv_heads == c->heads;
    if (row->flags & WF_QKV_ROWS && by_head) return to == MODEL_GGUF ? ROWS_TO_BLOCKS : ROWS_TO_HEADS;
    return ROWS_SAME;
}

size_t row_source(const struct model_config *c, enum row_order order, size_t row)
{
    const size_t d = c->head_dim, half = d / 2, head = row / d, i = row % d, heads = c->heads;
    switch (order) {
    case ROWS_TO_PAIRS: return head * d + i % 2 * half + i / 2;
    case ROWS_TO_HALVES: return head * d + 2 * (i % half) + i / half;
    case ROWS_TO_BLOCKS: return head % heads * 3 * d + head / heads * d + i;       /* `head` counts through q, then k, then v */
    case ROWS_TO_HEADS: return (head % 3 * heads + head / 3) * d + i;
    default: return row;
    }
}
