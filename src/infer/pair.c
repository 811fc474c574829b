/* pair.c - a context and its continuation as tokens. Source: lm-evaluation-harness 0.4, lm_eval/api/model.py, TemplateLM._encode_pair. A begin
 * token that the model's tokenizer adds stands before the context, as transformers adds it. */
#include "infer/infer.h"

#include <string.h>

sc_status encode_pair(sc_tokens *out, size_t *from, const sc_model *m, const char *text, size_t context_len, size_t len, const struct span *trusted, size_t n_trusted, sc_error *err)
{
    struct token_list context = { 0 }, whole = { 0 };
    size_t n;
    int32_t first = sc_model_first_token(m);
    *out = (sc_tokens){ 0 };
    if (!m->tokenizer) return FAIL(err, SC_E_ARGUMENT, "%s was opened without its tokenizer, which texts need", m->file->path);
    while ((n = text_space_at_end(text, context_len)) > 0) context_len -= n;
    tokenizer_encode(m->tokenizer, &context, text, context_len, trusted, n_trusted);
    tokenizer_encode(m->tokenizer, &whole, text, len, trusted, n_trusted);
    size_t skip = context.len;
    int32_t begin;
    bool adds_begin = sc_model_adds_bos(m, &begin) && context.len && context.id[0] != begin;
    /* Where a token covers the border so that nothing would be left, the continuation is encoded by itself. */
    if (whole.len <= skip && len > context_len) {
        whole.len = skip = 0;
        tokenizer_encode(m->tokenizer, &whole, text + context_len, len - context_len, NULL, 0);
    }
    n = whole.len > skip ? whole.len - skip : 0;
    *from = context.len ? context.len + adds_begin : 1;
    sc_status status = context.len || first >= 0 ? SC_OK : FAIL(err, SC_E_UNSUPPORTED, "the context is empty, and the model has no begin or end token to stand for it");
    if (status == SC_OK) {
        *out = (sc_tokens){ mem_alloc((*from + n) * sizeof *out->id), *from + n };
        if (context.len) memcpy(out->id + adds_begin, context.id, context.len * sizeof *out->id);
        if (adds_begin || !context.len) out->id[0] = adds_begin ? begin : first;
        if (n) memcpy(out->id + *from, whole.id + skip, n * sizeof *out->id);
    }
    token_list_release(&context);
    token_list_release(&whole);
    return status;
}

sc_status sc_encode_pair(sc_tokens *out, size_t *from, const sc_model *m, const char *text, size_t context_len, size_t len, sc_error *err)
{
    return encode_pair(out, from, m, text, context_len, len, NULL, 0, err);
}
