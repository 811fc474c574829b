/* pack.c - samples to rows of fixed length, so that training wastes little on padding.
 *
 * Best fit: a sample goes into the open row whose free space it fills best, else into a new one; when too many rows are
 * open the fullest is closed (Ding et al. 2024, "Fewer truncations improve language modeling", bounded here so that
 * memory stays flat). Samples are never cut, and each keeps its own attention and positions. Chop is what the original
 * did: everything in one stream, cut at the row's length, the remainder lost. */
#include "data/data.h"

#include <string.h>

enum { OPEN_ROWS_MAX = 2048 };

struct open_row { struct row row; size_t cap; struct open_row *next; };
struct packer {
    enum packing how; size_t row_length; row_sink *sink; void *user;
    /* by_space[n]: open rows with n tokens free, oldest first; `occupied` a bit for each list that has one. */
    struct open_row **by_space, **tail; uint64_t *occupied; size_t n_open;
    struct open_row *stream;                              /* chop: the row being filled */
    uint64_t dropped_tokens;
};

struct packer *packer_open(enum packing how, size_t row_length, row_sink *sink, void *user)
{
    struct packer *p = mem_zero(1, sizeof *p);
    *p = (struct packer) { .how = how, .row_length = row_length, .sink = sink, .user = user };
    if (how != PACKING_BEST_FIT) return p;
    p->by_space = mem_zero(row_length + 1, sizeof *p->by_space);
    p->tail = mem_zero(row_length + 1, sizeof *p->tail);
    p->occupied = mem_zero(row_length / 64 + 1, sizeof *p->occupied);
    return p;
}

static void open_row_free(struct open_row *o)
{
    for (size_t i = 0; o && i < o->row.len; i++) {
        mem_free(o->row.sample[i].id);
        mem_free(o->row.sample[i].flag);
    }
    if (o) mem_free(o->row.sample);
    mem_free(o);
}

void packer_close(struct packer *p)
{
    if (!p) return;
    for (size_t n = 0; p->by_space && n <= p->row_length; n++)
        for (struct open_row *o = p->by_space[n], *next; o; o = next) {
            next = o->next;
            open_row_free(o);
        }
    open_row_free(p->stream);
    mem_free(p->by_space);
    mem_free(p->tail);
    mem_free(p->occupied);
    mem_free(p);
}

uint64_t packer_dropped_tokens(const struct packer *p) { return p->dropped_tokens; }

static sc_status emit(struct packer *p, struct open_row *o, sc_error *err)
{
    sc_status status = p->sink(p->user, &o->row, err);
    open_row_free(o);
    return status;
}

static void row_add(struct open_row *o, const struct sample *s)
{
    if (o->row.len == o->cap) o->row.sample = mem_grow(o->row.sample, (o->cap = 2 * o->cap + 4) * sizeof *o->row.sample);
    o->row.sample[o->row.len++] = *s;
    o->row.tokens += s->len;
}

/* ---- best fit ------------------------------------------------------------------------------------------------------------ */

static void list_put(struct packer *p, struct open_row *o)
{
    size_t space = p->row_length - o->row.tokens;
    o->next = NULL;
    if (p->tail[space]) p->tail[space]->next = o;
    else p->by_space[space] = o;
    p->tail[space] = o;
    p->occupied[space / 64] |= (uint64_t)1 << space % 64;
    p->n_open++;
}

static struct open_row *list_take(struct packer *p, size_t space)
{
    struct open_row *o = p->by_space[space];
    p->by_space[space] = o->next;
    if (!o->next) {
        p->tail[space] = NULL;
        p->occupied[space / 64] &= ~((uint64_t)1 << space % 64);
    }
    p->n_open--;
    return o;
}

/* Least free space of at least `need` among the open rows; SIZE_MAX: none. */
static size_t find_space(const struct packer *p, size_t need)
{
    for (size_t word = need / 64; word <= p->row_length / 64; word++) {
        uint64_t bits = p->occupied[word];
        if (word == need / 64) bits &= ~(uint64_t)0 << need % 64;
        if (bits) return word * 64 + (size_t)__builtin_ctzll(bits);
    }
    return SIZE_MAX;
}

static sc_status put_best_fit(struct packer *p, struct sample *s, sc_error *err)
{
    size_t space = find_space(p, s->len);
    struct open_row *o = space == SIZE_MAX ? mem_zero(1, sizeof *o) : list_take(p, space);
    row_add(o, s);
    if (o->row.tokens == p->row_length) return emit(p, o, err);
    list_put(p, o);
    return p->n_open > OPEN_ROWS_MAX ? emit(p, list_take(p, find_space(p, 1)), err) : SC_OK;
}

/* ---- one by one, and chop ---------------------------------------------------------------------------------------------------- */

static sc_status put_alone(struct packer *p, struct sample *s, sc_error *err)
{
    struct open_row *o = mem_zero(1, sizeof *o);
    row_add(o, s);
    return emit(p, o, err);
}

/* Every two samples are a row: the chosen and the rejected answer. */
static sc_status put_pair(struct packer *p, struct sample *s, sc_error *err)
{
    if (!p->stream) p->stream = mem_zero(1, sizeof *p->stream);
    row_add(p->stream, s);
    if (p->stream->row.len < 2) return SC_OK;
    struct open_row *both = p->stream;
    p->stream = NULL;
    return emit(p, both, err);
}

static struct sample part_of(const struct sample *s, size_t begin, size_t len)
{
    struct sample part = *s;
    part.id = mem_alloc(len * sizeof *part.id);
    part.flag = mem_alloc(len);
    part.len = (uint32_t)len;
    memcpy(part.id, s->id + begin, len * sizeof *part.id);
    memcpy(part.flag, s->flag + begin, len);
    return part;
}

static sc_status put_chopped(struct packer *p, struct sample *s, sc_error *err)
{
    sc_status status = SC_OK;
    for (size_t at = 0; at < s->len && status == SC_OK;) {
        if (!p->stream) p->stream = mem_zero(1, sizeof *p->stream);
        size_t room = p->row_length - p->stream->row.tokens, n = s->len - at < room ? s->len - at : room;
        struct sample part = part_of(s, at, n);
        row_add(p->stream, &part);
        at += n;
        if (p->stream->row.tokens < p->row_length) break;
        struct open_row *full = p->stream;
        p->stream = NULL;
        status = emit(p, full, err);
    }
    mem_free(s->id);
    mem_free(s->flag);
    return status;
}

sc_status packer_put(struct packer *p, struct sample *s, sc_error *err)
{
    static sc_status (*const rows[])(struct packer *, struct sample *, sc_error *) = { [PACKING_BEST_FIT] = put_best_fit, [PACKING_NONE] = put_alone, [PACKING_CHOP] = put_chopped, [PACKING_PAIRS] = put_pair };
    struct sample own = *s;
    *s = (struct sample) { 0 };
    return rows[p->how](p, &own, err);
}

sc_status packer_finish(struct packer *p, sc_error *err)
{
    if (p->stream) {
        p->dropped_tokens += p->stream->row.tokens;
        open_row_free(p->stream);
        p->stream = NULL;
    }
    for (size_t space; p->how == PACKING_BEST_FIT && (space = find_space(p, 0)) != SIZE_MAX;) TRY(emit(p, list_take(p, space), err));
    return SC_OK;
}
