/* engine.c - the public sc_model: weights, tokenizer and chat template of one model file, opened together; and the
 * prompts that only a whole model can make (chat, fill in the middle). */
#include "infer/infer.h"

#include <stdio.h>
#include <string.h>

static void add_notice(sc_model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void add_notice(sc_model *m, const char *format, ...)
{
    char text[512];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    struct buf b;
    buf_init(&b, 0);
    if (m->notice && *m->notice) buf_printf(&b, "%s\n", m->notice);
    buf_puts(&b, text);
    mem_free(m->notice);
    m->notice = b.data;
}

static void add_end(sc_model *m, int64_t id)
{
    if (id < 0 || m->n_end == MAX_END_TOKENS) return;
    for (size_t i = 0; i < m->n_end; i++)
        if (m->end[i] == id) return;
    m->end[m->n_end++] = (int32_t)id;
}

static void add_end_json(sc_model *m, const json_t *config)
{
    const json_t *eos = json_object_get(config, "eos_token_id");
    if (json_is_integer(eos)) add_end(m, json_integer_value(eos));
    for (size_t i = 0; json_is_array(eos) && i < json_array_size(eos); i++)
        if (json_is_integer(json_array_get(eos, i))) add_end(m, json_integer_value(json_array_get(eos, i)));
}

/* What ends an answer: the configs' eos, the tokenizer's, and the end-of-turn tokens that chat templates use. */
static void collect_end_tokens(sc_model *m)
{
    static const char *const turn_ends[] = { "<|endoftext|>", "<|im_end|>", "<|end|>", "<|eot_id|>", "<|end_of_text|>", "<|EOT|>", "</s>", "<｜end▁of▁sentence｜>" };
    add_end_json(m, model_generation_config(m));
    add_end_json(m, m->file->config);
    if (!m->tokenizer) return;
    add_end(m, tokenizer_role(m->tokenizer, TOKEN_EOS));
    add_end(m, tokenizer_role(m->tokenizer, TOKEN_EOT));
    for (size_t i = 0; i < sizeof turn_ends / sizeof *turn_ends; i++) {
        int32_t id = tokenizer_find(m->tokenizer, turn_ends[i], strlen(turn_ends[i]));
        if (id >= 0 && tokenizer_is_special(m->tokenizer, id)) add_end(m, id);
    }
}

static bool has_tokenizer_json(const struct model_file *f)
{
    char *json = path_join(f->path, "tokenizer.json");
    bool has = path_exists(json);
    mem_free(json);
    return has;
}

const struct model_file *model_tokenizer_file(const sc_model *m) { return m->adapter && has_tokenizer_json(m->adapter) ? m->adapter : m->file; }

const json_t *model_generation_config(const sc_model *m)
{
    return m->adapter && m->adapter->generation_config ? m->adapter->generation_config : m->file->generation_config;
}

static sc_status open_tokenizer(sc_model *m, sc_error *err)
{
    const struct model_file *f = model_tokenizer_file(m);
    if (f->kind == MODEL_GGUF) {
        if (!gguf_find(f, "tokenizer.ggml.model")) return SC_OK;
        return tokenizer_open_gguf(&m->tokenizer, f, err);
    }
    return has_tokenizer_json(f) ? tokenizer_open(&m->tokenizer, f->path, err) : SC_OK;
}

/* The template's special tokens get ids behind the vocabulary where the model lacks them, and rows that are the mean
 * of the old ones. */
static sc_status add_template_tokens(sc_model *m, sc_error *err)
{
    size_t n = 0, before = tokenizer_vocab(m->tokenizer);
    const struct chat_template_row *row = m->chat_template.row;
    while (row && n < 8 && row->tokens[n]) n++;
    size_t added = row ? tokenizer_add(m->tokenizer, row->tokens, n) : 0, vocab = tokenizer_vocab(m->tokenizer);
    size_t rows = model_vocab(&m->model);
    bool is_adapter = model_tokenizer_file(m) != m->file;
    if (added) {
        struct buf b;
        buf_init(&b, 400);
        for (size_t i = 0; i < n; i++) {
            int32_t id = tokenizer_find(m->tokenizer, row->tokens[i], strlen(row->tokens[i]));
            if ((size_t)id >= before) buf_printf(&b, "%s%s = %d", b.len ? ", " : "", row->tokens[i], id);
        }
        add_notice(m, "added %zu special tokens of the template %s to the vocabulary (%s); this model was not trained on them", added, row->name, b.data);
        buf_release(&b);
    }
    if (vocab > rows && is_adapter)
        add_notice(m, "the adapter's tokenizer has %zu tokens that neither it nor the base has rows for; they get the mean of all", vocab - rows);
    else if (vocab > rows && !added)
        return FAIL(err, SC_E_FORMAT, "%s: the tokenizer has %zu tokens, but the embedding has only %zu rows", m->file->path, vocab, rows);
    if (vocab > rows) model_add_rows(&m->model, vocab - rows);
    return SC_OK;
}

static sc_status open_template(sc_model *m, const char *name, sc_error *err)
{
    sc_status status = SC_OK;
    const struct model_file *f = m->adapter && (m->adapter->dialogue_template || m->adapter->chat_template) ? m->adapter : m->file;
    if (name && *name) status = chat_template_open(&m->chat_template, name, err);
    else if (f->dialogue_template || f->chat_template) {
        /* A broken template must not keep the model from completing text. */
        sc_error inner = { 0 };
        if (chat_template_from_model(&m->chat_template, f, &inner) != SC_OK) {
            add_notice(m, "%s; chat needs --template", inner.message);
            return SC_OK;
        }
    } else return SC_OK;
    m->has_template = status == SC_OK;
    return status;
}

/* The path that an adapter's base has from here: beside the adapter, from the present directory, or a name as it stands. */
sc_status sc_adapter_base(sc_text *out, const char *path, sc_error *err)
{
    json_t *config = NULL;
    struct buf b;
    const char *name = NULL;
    *out = (sc_text){ 0 };
    if (!adapter_is_at(path)) return SC_OK;
    char *json = path_join(path, "adapter_config.json"), *beside = NULL;
    sc_status status = json_read_file(&config, json, 4u << 20, err);
    if (status == SC_OK) status = json_opt_string(&name, config, "base_model_name_or_path", "", json, err);
    if (status == SC_OK && !*name) status = FAIL(err, SC_E_FORMAT, "%s names no base (base_model_name_or_path); give the base and --adapter %s", json, path);
    if (status == SC_OK) {
        beside = path_join(path, name);
        buf_init(&b, 0);
        buf_puts(&b, name[0] != '/' && path_exists(beside) ? beside : name);
        buf_take(&b, out);
    }
    json_decref(config);
    mem_free(json);
    mem_free(beside);
    return status;
}

/* The model at `path`, or the adapter there on the base that it names. */
static sc_status open_weights(sc_model *m, const char *path, const char *adapter, sc_error *err)
{
    sc_text base = { 0 };
    sc_status status;
    bool has_adapter = adapter && *adapter;
    TRY(sc_adapter_base(&base, path, err));
    if (base.data && has_adapter) {
        status = FAIL(err, SC_E_ARGUMENT, "%s is an adapter itself; name its base (%s) as the model", path, base.data);
        goto done;
    }
    if (base.data && !path_exists(base.data)) {
        status = FAIL(err, SC_E_IO, "the base of the adapter %s, %s, is no path here; give it as the model and --adapter %s", path, base.data, path);
        goto done;
    }
    TRY_DONE(model_file_open(&m->file, base.data ? base.data : path, false, err));
    TRY_DONE(model_bind(&m->model, m->file, err));
    if (!base.data && !has_adapter) goto done;
    TRY_DONE(adapter_file_open(&m->adapter, base.data ? path : adapter, err));
    TRY_DONE(adapter_load(&m->model, m->adapter, err));
done:
    sc_text_free(&base);
    return status;
}

/* All that stands between text and tokens. */
static sc_status open_text(sc_model *m, const char *chat_template, sc_error *err)
{
    if (!m->no_tokenizer) TRY(open_tokenizer(m, err));
    if (m->tokenizer) {
        TRY(open_template(m, chat_template, err));
        TRY(add_template_tokens(m, err));
    }
    collect_end_tokens(m);
    model_file_forget_keys(m->file);
    return SC_OK;
}

sc_status sc_model_open(sc_model **out, sc_runtime *rt, const sc_model_config *c, sc_error *err)
{
    *out = NULL;
    sc_model *m = mem_zero(1, sizeof *m);
    sc_status status = SC_OK;
    m->runtime = rt;
    m->users = 1;
    m->no_tokenizer = c->no_tokenizer;
    TRY_DONE(open_weights(m, c->path, c->adapter, err));
    TRY_DONE(open_text(m, c->chat_template, err));
    bool too_large = false;
    if (!strcmp(rt->activations, "int8")) TRY_DONE(model_pack(&m->model, rt->backend, false, system_memory() / 10 * 9, &too_large, err));
    if (too_large) runtime_note(rt, "%s is too large to be packed in this machine's memory; it is read from the file as it is, which is slower", m->file->path);
    *out = m;
    return SC_OK;
done:
    sc_model_close(m);
    return status;
}

/* The file again, for its tokenizer lists: the base let go of those it had read. */
static sc_status open_again(sc_model *m, sc_error *err)
{
    char before[65], now[65];
    struct sha256 hash;
    TRY(model_file_open(&m->file, m->base->file->path, false, err));
    sha256_begin(&hash);
    model_file_identify(m->base->file, &hash);
    sha256_end(&hash, before);
    sha256_begin(&hash);
    model_file_identify(m->file, &hash);
    sha256_end(&hash, now);
    return strcmp(before, now) == 0 ? SC_OK : FAIL(err, SC_E_FORMAT, "%s is another model by now than the one that is open; open it anew", m->file->path);
}

sc_status sc_model_open_variant(sc_model **out, sc_model *base, const char *adapter, const char *chat_template, sc_error *err)
{
    *out = NULL;
    if (base->base || base->adapter)
        return FAIL(err, SC_E_ARGUMENT, "the model that %s shall be opened on has the adapter %s itself; open its base without one", adapter, base->adapter->path);
    sc_model *m = mem_zero(1, sizeof *m);
    sc_status status = SC_OK;
    m->runtime = base->runtime;
    m->users = 1;
    m->base = base;
    m->no_tokenizer = base->no_tokenizer;
    base->users++;
    TRY_DONE(open_again(m, err));
    TRY_DONE(adapter_file_open(&m->adapter, adapter, err));
    TRY_DONE(adapter_variant(&m->model, &base->model, m->adapter, err));
    TRY_DONE(open_text(m, chat_template, err));
    *out = m;
    return SC_OK;
done:
    sc_model_close(m);
    return status;
}

void sc_model_close(sc_model *m)
{
    if (!m || --m->users) return;
    sc_model *base = m->base;
    if (m->has_template) chat_template_release(&m->chat_template);
    tokenizer_close(m->tokenizer);
    model_release(&m->model);
    model_file_close(m->adapter);
    model_file_close(m->file);
    mem_free(m->notice);
    mem_free(m);
    sc_model_close(base);
}

const sc_tokenizer *sc_model_tokenizer(const sc_model *m) { return (const sc_tokenizer *)m->tokenizer; }
size_t sc_model_context(const sc_model *m) { return m->model.config.context; }
const char *sc_model_notice(const sc_model *m) { return m->notice ? m->notice : ""; }
bool sc_model_has_chat(const sc_model *m) { return m->has_template; }
bool sc_model_adds_bos(const sc_model *m, int32_t *id)
{
    *id = m->tokenizer ? tokenizer_role(m->tokenizer, TOKEN_BOS) : -1;
    return *id >= 0 && tokenizer_adds_bos(m->tokenizer);
}

int32_t sc_model_first_token(const sc_model *m)
{
    if (!m->tokenizer) return -1;
    int32_t begin = tokenizer_role(m->tokenizer, TOKEN_BOS);
    return begin >= 0 ? begin : tokenizer_role(m->tokenizer, TOKEN_EOS);
}

static sc_status need_tokenizer(const sc_model *m, sc_error *err)
{
    if (m->tokenizer) return SC_OK;
    return FAIL(err, SC_E_UNSUPPORTED, "%s has no tokenizer (tokenizer.json, or tokenizer.ggml.* keys), so it cannot read text", m->file->path);
}

static json_t *chat_variables(const sc_model *m, const sc_message *msg, size_t n)
{
    json_t *messages = json_array();
    for (size_t i = 0; i < n; i++) {
        struct buf content;
        buf_init(&content, 0);
        utf8_repair(&content, msg[i].content, strlen(msg[i].content));
        json_array_append_new(messages, json_pack("{s:s, s:s%}", "role", msg[i].role, "content", content.data ? content.data : "", content.len));
        buf_release(&content);
    }
    json_t *variables = template_tokens(m->tokenizer);
    json_object_set_new(variables, "messages", messages);
    json_object_set_new(variables, "add_generation_prompt", json_true());
    return variables;
}

static void move_tokens(sc_tokens *out, struct token_list *l) { *out = (sc_tokens){ l->id ? l->id : mem_alloc(1), l->len }; }

sc_status sc_encode_chat(sc_tokens *out, const sc_model *m, const sc_message *msg, size_t n, sc_error *err)
{
    *out = (sc_tokens){ 0 };
    TRY(need_tokenizer(m, err));
    if (!m->has_template)
        return FAIL(err, SC_E_UNSUPPORTED, "%s has no chat template; name one with --template (no_system, default, alpaca, chatml or a Jinja file), or use a few-shot prompt", m->file->path);
    json_t *variables = chat_variables(m, msg, n);
    struct rendered r = { 0 };
    sc_status status = jinja_render(&r, m->chat_template.jinja, variables, template_now(), template_token_names, err);
    json_decref(variables);
    TRY(status);
    struct token_list l = { 0 };
    tokenizer_encode(m->tokenizer, &l, r.text.data, r.text.len, r.trusted, r.n_trusted);
    rendered_release(&r);
    move_tokens(out, &l);
    return SC_OK;
}

sc_status sc_encode_fim(sc_tokens *out, const sc_model *m, const char *prefix, const char *suffix, sc_error *err)
{
    static const enum token_role roles[] = { TOKEN_FIM_PREFIX, TOKEN_FIM_SUFFIX, TOKEN_FIM_MIDDLE };
    *out = (sc_tokens){ 0 };
    TRY(need_tokenizer(m, err));
    const char *parts[] = { prefix, suffix, "" };
    struct token_list l = { 0 };
    for (size_t i = 0; i < 3; i++) {
        int32_t id = tokenizer_role(m->tokenizer, roles[i]);
        if (id < 0) {
            token_list_release(&l);
            return FAIL(err, SC_E_UNSUPPORTED, "%s has no fill-in-the-middle tokens (such as <fim_prefix>), so it cannot use a suffix", m->file->path);
        }
        token_list_push(&l, id);
        tokenizer_encode(m->tokenizer, &l, parts[i], strlen(parts[i]), NULL, 0);
    }
    move_tokens(out, &l);
    return SC_OK;
}

/* generation_config.json's sampling values, over whatever the caller has. */
sc_status sc_model_sample_defaults(const sc_model *m, sc_sample_config *c, sc_error *err)
{
    const json_t *g = model_generation_config(m);
    if (!g) return SC_OK;
    const char *what = "generation_config.json";
    bool do_sample;
    TRY(json_opt_bool(&do_sample, g, "do_sample", json_object_get(g, "temperature") != NULL, what, err));
    TRY(json_opt_real(&c->temperature, g, "temperature", c->temperature, 0, 100, what, err));
    TRY(json_opt_int(&c->top_k, g, "top_k", c->top_k, 0, 1 << 30, what, err));
    TRY(json_opt_real(&c->top_p, g, "top_p", c->top_p, 0, 1, what, err));
    TRY(json_opt_real(&c->min_p, g, "min_p", c->min_p, 0, 1, what, err));
    TRY(json_opt_real(&c->repeat_penalty, g, "repetition_penalty", c->repeat_penalty, 0.01, 100, what, err));
    if (!do_sample && json_object_get(g, "do_sample")) c->temperature = 0;
    return SC_OK;
}
