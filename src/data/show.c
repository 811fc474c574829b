/* show.c - a stored sample token by token: what it spells, who speaks, trained or not, and why. What is printed is what
 * training reads; nothing is rendered again. */
#include "data/dataset.h"

#include <string.h>

static const uint64_t FORGET_TOKENS = 4 << 20;

/* Whoever shows all samples in order needs no more memory than for the last of them. */
static void forget_passed(const struct shard *s, const struct shard_segment *g)
{
    uint64_t end = g->token_begin + g->length, from = g->token_begin - g->token_begin % FORGET_TOKENS;
    if (end - from >= FORGET_TOKENS) shard_forget(s, from, end);
}

static sc_status bad_token(const struct sc_dataset *d, const struct sample_place *p, uint32_t i, sc_error *err, const char *what, unsigned value)
{
    return FAIL(err, SC_E_FORMAT, "%s: token %u of sample %llu in a shard of split %s has %s %u; prepare the data anew", d->path, i, (unsigned long long)p->segment, d->split[p->shard], what, value);
}

sc_status dataset_tokens(const struct sc_dataset *d, const struct sample_place *p, on_token *each, void *user, sc_error *err)
{
    const struct shard *s = &d->shard[p->shard];
    const struct shard_segment *g = &s->segment[p->segment];
    struct text_stream stream = { .n_held = 0 };
    struct buf piece;
    sc_status status = SC_OK;
    buf_init(&piece, 0);
    for (uint32_t i = 0; i < g->length; i++) {
        int32_t id = s->id[g->token_begin + i];
        uint8_t flag = s->flag[g->token_begin + i];
        size_t len;
        const char *bytes = dataset_piece(d, id, &len);
        if (!bytes) TRY_DONE(bad_token(d, p, i, err, "the unknown id", (unsigned)id));
        if (flag_who(flag) >= WHO_COUNT || flag_why(flag) >= WHY_COUNT) TRY_DONE(bad_token(d, p, i, err, "the unknown label", flag));
        buf_clear(&piece);
        text_stream_put(&stream, &piece, bytes, len);
        if (i + 1 == g->length) text_stream_end(&stream, &piece);
        each(user, &(struct token_view){ id, piece.data ? piece.data : "", piece.len, flag_who(flag), flag_why(flag), flag_trained(flag) });
    }
done:
    forget_passed(s, g);
    buf_release(&piece);
    return status;
}

static void put_token(void *user, const struct token_view *t)
{
    struct buf *b = user;
    buf_printf(b, "%s{\"id\":%d,\"piece\":", b->data[b->len - 1] == '[' ? "" : ",", t->id);
    buf_put_json_string(b, t->piece, t->len);
    buf_printf(b, ",\"role\":\"%s\",\"trained\":%s,\"why\":\"%s\"}", who_names[t->who], t->is_trained ? "true" : "false", why_help[t->why]);
}

sc_status sc_dataset_sample(sc_text *json, const sc_dataset *d, const char *split, uint64_t i, sc_error *err)
{
    struct sample_place p;
    struct buf b;
    *json = (sc_text){ 0 };
    TRY(dataset_find(&p, d, split, i, err));
    const struct shard_segment *g = &d->shard[p.shard].segment[p.segment];
    const char *source = dataset_file(d, g->file);
    buf_init(&b, 0);
    buf_puts(&b, "{\"split\":");
    buf_put_json_string(&b, d->split[p.shard], strlen(d->split[p.shard]));
    buf_printf(&b, ",\"row\":%llu,\"sample\":%llu,\"source\":", (unsigned long long)p.row, (unsigned long long)i);
    buf_put_json_string(&b, source, strlen(source));
    buf_printf(&b, ",\"line\":%llu,\"dialogue\":%u,\"part\":%u,\"tokens\":[", (unsigned long long)g->line, g->index, g->piece);
    sc_status status = dataset_tokens(d, &p, put_token, &b, err);
    buf_puts(&b, "]}");
    if (status == SC_OK) buf_take(&b, json);
    else buf_release(&b);
    return status;
}
