/* companions.c - the JSON files beside saved weights: tokenizer with the tokens that were added, chat template, special
 * tokens, and a generation config that ends where an answer ends. Names and members: transformers; dialogue_template.json:
 * StarChat. A model of transformers takes its end from generation_config.json, not from the tokenizer. */
#include "train/train.h"

#include <stdio.h>
#include <string.h>

struct making { const sc_model *m; const struct model_file *from; json_t *tokenizer, *fresh /* tokens that the files lack, as in added_tokens */; };

static void put(struct companions *c, const char *name, json_t *value)
{
    c->extra[c->n++] = (struct save_extra){ name, value };
}

void companions_release(struct companions *c)
{
    for (size_t i = 0; i < c->n; i++) json_decref((json_t *)c->extra[i].value);
    *c = (struct companions){ 0 };
}

/* ---- tokenizer -------------------------------------------------------------------------------------------------------------- */

static bool is_listed(const json_t *added, size_t id)
{
    for (size_t i = 0; i < json_array_size(added); i++)
        if (json_integer_value(json_object_get(json_array_get(added, i), "id")) == (json_int_t)id) return true;
    return false;
}

/* Added tokens of the tokenizer that its file does not list: those of a template, or of files beside it. */
static void find_fresh(struct making *k)
{
    const struct tokenizer *t = k->m->tokenizer;
    json_t *added = json_object_get(k->tokenizer, "added_tokens");
    for (size_t id = 0; id < tokenizer_vocab(t); id++) {
        int type;
        size_t len;
        const char *text = tokenizer_gguf_token(t, id, &len, &type);
        if ((type != GGUF_TOKEN_CONTROL && type != GGUF_TOKEN_USER_DEFINED) || is_listed(added, id)) continue;
        json_array_append_new(k->fresh, json_pack("{s:I, s:s%, s:b, s:b, s:b, s:b, s:b}", "id", (json_int_t)id, "content", text, len, "single_word", 0, "lstrip", 0,
                                                  "rstrip", 0, "normalized", 0, "special", type == GGUF_TOKEN_CONTROL));
    }
    if (!json_is_array(added)) json_object_set_new(k->tokenizer, "added_tokens", added = json_array());
    json_array_extend(added, k->fresh);
}

/* Appends the contents of the new special tokens to the list of further special tokens. */
static void list_special(json_t *config, const json_t *fresh)
{
    json_t *list = json_object_get(config, "additional_special_tokens"), *token;
    size_t i;
    if (!json_array_size(fresh)) return;
    if (!json_is_array(list)) json_object_set_new(config, "additional_special_tokens", list = json_array());
    json_array_foreach((json_t *)fresh, i, token)
        if (json_is_true(json_object_get(token, "special"))) json_array_append(list, json_object_get(token, "content"));
}

static sc_status put_tokenizer_config(struct companions *c, struct making *k, sc_error *err)
{
    json_t *config = NULL;
    sc_status status = model_tokenizer_config(&config, k->from, k->m->model.config.context, k->tokenizer, err);
    if (status != SC_OK) { json_decref(config); return status; }
    json_object_set_new(config, "added_tokens_decoder", model_added_tokens_decoder(k->tokenizer));
    list_special(config, k->fresh);
    if (!json_object_get(config, "tokenizer_class")) json_object_set_new(config, "tokenizer_class", json_string("PreTrainedTokenizerFast"));
    if (k->m->has_template) json_object_set_new(config, "chat_template", json_string(k->m->chat_template.source));
    put(c, "tokenizer_config.json", config);
    return SC_OK;
}

static sc_status put_special_tokens(struct companions *c, struct making *k, sc_error *err)
{
    json_t *map = NULL;
    sc_status status = model_special_tokens(&map, k->from, err);
    if (status != SC_OK) { json_decref(map); return status; }
    list_special(map, k->fresh);
    put(c, "special_tokens_map.json", map);
    return SC_OK;
}

static void put_added_tokens(struct companions *c, const struct making *k)
{
    json_t *ids = k->from->added_tokens ? json_copy(k->from->added_tokens) : json_object(), *token;
    size_t i;
    json_array_foreach(k->fresh, i, token) json_object_set(ids, json_string_value(json_object_get(token, "content")), json_object_get(token, "id"));
    if (json_object_size(ids)) put(c, "added_tokens.json", ids);
    else json_decref(ids);
}

/* ---- template and end --------------------------------------------------------------------------------------------------------- */

static void put_dialogue(struct companions *c, const sc_model *m)
{
    const json_t *own = m->adapter && m->adapter->dialogue_template ? m->adapter->dialogue_template : m->file->dialogue_template;
    json_t *made = m->has_template ? chat_template_dialogue_json(&m->chat_template) : NULL;
    if (!made && own && !(m->has_template && m->chat_template.row)) made = json_deep_copy(own);
    if (made) put(c, "dialogue_template.json", made);
}

/* The end of an answer first, then what else ends one. */
static json_t *end_tokens(const sc_model *m)
{
    json_t *ids = json_array();
    const char *stop = m->has_template && m->chat_template.row ? m->chat_template.row->stop[0] : NULL;
    int32_t first = stop ? tokenizer_find(m->tokenizer, stop, strlen(stop)) : -1;
    if (first >= 0) json_array_append_new(ids, json_integer(first));
    for (size_t i = 0; i < m->n_end; i++)
        if (m->end[i] != first) json_array_append_new(ids, json_integer(m->end[i]));
    return ids;
}

static void put_generation(struct companions *c, const sc_model *m)
{
    const json_t *own = model_generation_config(m);
    json_t *g = own ? json_deep_copy(own) : json_object(), *ids = end_tokens(m);
    int32_t bos = tokenizer_role(m->tokenizer, TOKEN_BOS), pad = tokenizer_role(m->tokenizer, TOKEN_PAD);
    json_object_del(g, "_from_model_config");
    if (bos >= 0 && !json_object_get(g, "bos_token_id")) json_object_set_new(g, "bos_token_id", json_integer(bos));
    if (!json_object_get(g, "pad_token_id") && (pad >= 0 || json_array_size(ids)))
        json_object_set_new(g, "pad_token_id", pad >= 0 ? json_integer(pad) : json_incref(json_array_get(ids, json_array_size(ids) - 1)));
    if (json_array_size(ids) == 1) json_object_set(g, "eos_token_id", json_array_get(ids, 0));
    else if (json_array_size(ids)) json_object_set(g, "eos_token_id", ids);
    json_decref(ids);
    put(c, "generation_config.json", g);
}

sc_status companions_make(struct companions *out, const sc_model *m, sc_error *err)
{
    struct making k = { .m = m, .from = model_tokenizer_file(m), .fresh = json_array() };
    sc_status status = SC_OK;
    *out = (struct companions){ 0 };
    if (!m->tokenizer) goto done;
    TRY_DONE(model_tokenizer_json(&k.tokenizer, k.from, err));
    if (!k.tokenizer) goto done;
    find_fresh(&k);
    put(out, "tokenizer.json", json_incref(k.tokenizer));
    TRY_DONE(put_tokenizer_config(out, &k, err));
    TRY_DONE(put_special_tokens(out, &k, err));
    put_added_tokens(out, &k);
    put_dialogue(out, m);
    put_generation(out, m);
done:
    json_decref(k.tokenizer);
    json_decref(k.fresh);
    if (status != SC_OK) companions_release(out);
    return status;
}
