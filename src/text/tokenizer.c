/* tokenizer.c - a tokenizer as a whole: making and closing one, adding tokens, and what other layers ask about it. */
#include "text_internal.h"

#include <string.h>

struct tokenizer *tokenizer_new(void)
{
    struct tokenizer *t = mem_zero(1, sizeof *t);
    unicode_open(&t->unicode);
    vocabulary_init(&t->vocabulary);
    t->bpe.unk = -1;
    for (int i = 0; i < TOKEN_ROLE_COUNT; i++) t->role[i] = -1;
    return t;
}

void tokenizer_close(struct tokenizer *t)
{
    if (!t) return;
    unicode_close(&t->unicode);
    vocabulary_release(&t->vocabulary);
    bpe_release(&t->bpe);
    normalizers_release(&t->normalizers);
    pipeline_release(&t->pipeline);
    added_tokens_release(&t->added);
    mem_free(t->notice);
    mem_free(t);
}

void tokenizer_finish(struct tokenizer *t)
{
    t->vocabulary.limit = VOCABULARY_MAX;
    added_tokens_finish(t);
    bpe_finish(t);
    roles_guess(t);
    if (!t->pre_name) t->pre_name = pre_name_of(t);
}

size_t tokenizer_vocab(const struct tokenizer *t) { return t->vocabulary.len; }

bool tokenizer_is_special(const struct tokenizer *t, int32_t id)
{
    return id >= 0 && (size_t)id < t->vocabulary.len && t->vocabulary.token[id].flags & TOKEN_SPECIAL;
}

int32_t tokenizer_find(const struct tokenizer *t, const char *content, size_t len)
{
    if (!utf8_is_valid(content, len)) return -1;
    int32_t id = added_find(t, content, len);
    return id >= 0 ? id : vocabulary_find(&t->vocabulary, content, len);
}

size_t tokenizer_add(struct tokenizer *t, const char *const *content, size_t n)
{
    static const struct added_flags special = { .special = true };
    size_t added = 0;
    for (size_t i = 0; i < n; i++) {
        bool is_new = false;
        size_t len = strlen(content[i]);
        if (!utf8_is_valid(content[i], len)) continue;
        if (added_tokens_put(t, -1, content[i], len, &special, &is_new, "added token", NULL) == SC_OK) added += is_new;
    }
    added_tokens_finish(t);
    bpe_finish(t);
    return added;
}

int32_t tokenizer_role(const struct tokenizer *t, enum token_role role) { return t->role[role]; }

bool tokenizer_adds_bos(const struct tokenizer *t) { return t->adds_bos; }

const char *tokenizer_notice(const struct tokenizer *t) { return t->notice ? t->notice : ""; }

/* ---- for writing GGUF ---- */

const char *tokenizer_gguf_token(const struct tokenizer *t, size_t id, size_t *len, int *type)
{
    const struct token *token = id < t->vocabulary.len ? &t->vocabulary.token[id] : NULL;
    if (!token || !(token->flags & TOKEN_USED)) {
        *len = 0;
        *type = GGUF_TOKEN_UNUSED;
        return "";
    }
    *len = token->text_len;
    *type = token->flags & TOKEN_UNUSED ? GGUF_TOKEN_UNUSED : token->flags & TOKEN_SPECIAL ? GGUF_TOKEN_CONTROL
          : token->flags & TOKEN_ADDED ? GGUF_TOKEN_USER_DEFINED : GGUF_TOKEN_NORMAL;
    return t->vocabulary.pool.data + token->text;
}

size_t tokenizer_merges(const struct tokenizer *t) { return t->bpe.len; }

void tokenizer_merge(const struct tokenizer *t, size_t rank, struct buf *out)
{
    if (rank >= t->bpe.len) return;
    const struct vocabulary *v = &t->vocabulary;
    const struct token *left = &v->token[t->bpe.merge[rank].left], *right = &v->token[t->bpe.merge[rank].right];
    buf_append(out, v->pool.data + left->text, left->text_len);
    buf_putc(out, ' ');
    buf_append(out, v->pool.data + right->text, right->text_len);
}

const char *tokenizer_pre_name(const struct tokenizer *t) { return t->pre_name; }
