/* template_api.c - the public functions on chat templates: from a name, a Jinja file or a model, with requests as JSON. */
#include "text/text.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

struct sc_template { struct chat_template chat; json_t *tokens; };   /* `tokens`: bos_token and the like of the model */

const char *const template_token_names[] = { "bos_token", "eos_token", "pad_token", "unk_token", NULL };

json_t *template_tokens(const struct tokenizer *t)
{
    static const enum token_role roles[] = { TOKEN_BOS, TOKEN_EOS, TOKEN_PAD, TOKEN_UNK };
    json_t *out = json_object();
    for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
        struct buf b;
        int32_t id = tokenizer_role(t, roles[i]);
        if (id < 0) continue;
        buf_init(&b, 0);
        tokenizer_decode(t, &b, &id, 1, false);
        json_object_set_new(out, template_token_names[i], json_stringn(b.data ? b.data : "", b.len));
        buf_release(&b);
    }
    return out;
}

int64_t template_now(void)
{
    time_t now = time(NULL);
    struct tm local;
    return localtime_r(&now, &local) ? (int64_t)timegm(&local) : (int64_t)now;
}

sc_status chat_template_from_model(struct chat_template *out, const struct model_file *m, sc_error *err)
{
    *out = (struct chat_template) { 0 };
    if (m->dialogue_template) return chat_template_from_dialogue_json(out, m->dialogue_template, "dialogue_template.json", err);
    if (m->chat_template) return chat_template_from_source(out, m->chat_template, strlen(m->chat_template), "the model's chat template", err);
    return FAIL(err, SC_E_UNSUPPORTED, "%s has no chat template; name one: no_system, starchat-blog, default, alpaca, chatml or a Jinja file", m->path);
}

/* A tokenizer that cannot be read must not keep the template from being used: then a request says what bos_token is. */
static json_t *model_tokens(const struct model_file *m)
{
    struct tokenizer *t = NULL;
    sc_status status = m->kind == MODEL_GGUF ? tokenizer_open_gguf(&t, m, NULL) : tokenizer_open(&t, m->path, NULL);
    json_t *tokens = status == SC_OK ? template_tokens(t) : json_object();
    tokenizer_close(t);
    return tokens;
}

sc_status sc_template_open(sc_template **out, const char *name, sc_error *err)
{
    sc_template *t = mem_zero(1, sizeof *t);
    struct model_file *m = NULL;
    sc_status status = SC_OK;
    *out = NULL;
    if (path_is_directory(name) || (path_ends_with(name, ".gguf") && path_exists(name))) {
        TRY_DONE(model_file_open(&m, name, true, err));
        TRY_DONE(chat_template_from_model(&t->chat, m, err));
        t->tokens = model_tokens(m);
    } else TRY_DONE(chat_template_open(&t->chat, name, err));
    *out = t;
    t = NULL;
done:
    model_file_close(m);
    sc_template_close(t);
    return status;
}

void sc_template_close(sc_template *t)
{
    if (!t) return;
    chat_template_release(&t->chat);
    json_decref(t->tokens);
    mem_free(t);
}

/* "2024-07-26T13:45:09" or "2024-07-26", as if it were UTC. */
static sc_status read_now(int64_t *out, const json_t *request, sc_error *err)
{
    const char *text;
    int used = 0;
    struct tm tm = { 0 };
    TRY(json_opt_string(&text, request, "now", NULL, "the request", err));
    if (!text) { *out = template_now(); return SC_OK; }
    int n = sscanf(text, "%4d-%2d-%2d%n", &tm.tm_year, &tm.tm_mon, &tm.tm_mday, &used);
    if (n == 3 && text[used] && (text[used] == 'T' || text[used] == ' ')) {
        int more = 0;
        n += sscanf(text + used + 1, "%2d:%2d:%2d%n", &tm.tm_hour, &tm.tm_min, &tm.tm_sec, &more);
        used += more ? 1 + more : 0;
    }
    bool is_date = tm.tm_mon >= 1 && tm.tm_mon <= 12 && tm.tm_mday >= 1 && tm.tm_mday <= 31 && tm.tm_hour >= 0 && tm.tm_hour < 24 && tm.tm_min >= 0 && tm.tm_min < 60 && tm.tm_sec >= 0 && tm.tm_sec < 61;
    if ((n != 3 && n != 6) || text[used] || !is_date) {
        char q[60];
        return FAIL(err, SC_E_ARGUMENT, "the request: \"now\" is '%s', expected a time such as 2024-07-26T13:45:09", error_quote(q, sizeof q, text, strlen(text)));
    }
    tm.tm_year -= 1900;
    tm.tm_mon -= 1;
    *out = (int64_t)timegm(&tm);
    return SC_OK;
}

sc_status sc_template_render(sc_text *out, const sc_template *t, const char *request, size_t len, sc_error *err)
{
    json_t *variables = NULL;
    struct rendered r = { 0 };
    int64_t now = 0;
    sc_status status;
    *out = (sc_text) { 0 };
    TRY(json_read(&variables, request, len, "the request", err));
    if (!json_is_object(variables)) status = FAIL(err, SC_E_FORMAT, "the request is not an object, expected {\"messages\":[...],\"add_generation_prompt\":true}");
    else status = read_now(&now, variables, err);
    if (status == SC_OK && t->tokens) json_object_update_missing(variables, t->tokens);
    if (status == SC_OK) status = jinja_render(&r, t->chat.jinja, variables, now, template_token_names, err);
    if (status == SC_OK) {
        *out = r.text;
        r.text = (sc_text) { 0 };
    }
    rendered_release(&r);
    json_decref(variables);
    return status;
}
