/* sample.c - the length limit: a dialogue that is too long for a row becomes several samples, or goes.
 *
 * A cut falls before a user's turn if one begins in time, else at the border of another turn, else inside one; every
 * token keeps its role and label. */
#include "data/data.h"

#include <string.h>

void sample_list_release(struct sample_list *l)
{
    for (size_t i = 0; i < l->len; i++) {
        mem_free(l->sample[i].id);
        mem_free(l->sample[i].flag);
    }
    mem_free(l->sample);
    *l = (struct sample_list) { 0 };
}

static bool any_trained(const uint8_t *flag, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (flag_trained(flag[i])) return true;
    return false;
}

static bool put(struct sample_list *l, const struct token_row *row, size_t begin, size_t end, size_t piece)
{
    if (!any_trained(row->flag + begin, end - begin)) return false;
    if (l->len == l->cap) l->sample = mem_grow(l->sample, (l->cap = 2 * l->cap + 4) * sizeof *l->sample);
    struct sample *s = &l->sample[l->len++];
    *s = (struct sample) { .len = (uint32_t)(end - begin), .piece = (uint32_t)piece };
    s->id = mem_alloc((end - begin) * sizeof *s->id);
    s->flag = mem_alloc(end - begin);
    memcpy(s->id, row->id + begin, (end - begin) * sizeof *s->id);
    memcpy(s->flag, row->flag + begin, end - begin);
    return true;
}

static size_t turn_end(const struct token_row *row, size_t at)
{
    size_t end = at + 1;
    while (end < row->len && flag_who(row->flag[end]) == flag_who(row->flag[at])) end++;
    return end;
}

/* Where the sample that begins at `begin` ends: at most `limit` tokens. A cut that leaves nothing trained before it
 * makes sense only where it keeps the next turn whole. */
static size_t find_cut(const struct token_row *row, size_t begin, size_t limit)
{
    size_t end = begin + limit, border = 0, trained = begin;
    if (limit >= row->len - begin) return row->len;
    while (trained < end && !flag_trained(row->flag[trained])) trained++;
    for (size_t at = end; at > begin; at--) {
        enum token_who who = flag_who(row->flag[at]);
        if (who == flag_who(row->flag[at - 1])) continue;
        if (who == WHO_USER && trained < at) return at;
        if (!border && (trained < at || (who != WHO_USER && turn_end(row, at) - at <= limit))) border = at;
    }
    return border ? border : end;
}

sc_status samples_from_row(struct sample_list *out, const struct token_row *row, size_t limit, enum overlength how, uint64_t *n_dropped, uint64_t *n_cut, sc_error *err)
{
    if (row->len > limit) {
        if (how == OVERLENGTH_ERROR) return FAIL(err, SC_E_ARGUMENT, "a dialogue has %zu tokens and the limit is %zu; --overlength split, truncate or drop allows it, or a larger --block-size", row->len, limit);
        ++*n_cut;
        if (how == OVERLENGTH_DROP) { ++*n_dropped; return SC_OK; }
    }
    for (size_t begin = 0, piece = 0; begin < row->len; piece++) {
        size_t end = find_cut(row, begin, limit);
        if (row->len > limit && how == OVERLENGTH_TRUNCATE) end = limit;
        if (!put(out, row, begin, end, piece)) ++*n_dropped;
        if (row->len > limit && how == OVERLENGTH_TRUNCATE) break;
        begin = end;
    }
    return SC_OK;
}
