/* answer_run_speaker.c - who is asked, by one SPEC: a model of here, one on a server, or a file of answers; and requests in its words. */
#include "judge/judge_run.h"

#include "hub/hub.h"

#include <string.h>

/* ---- SPECs -------------------------------------------------------------------------------------------------------------------------------- */

/* Length of "LABEL=" before a SPEC; 0: there is none, or all of it is a path that is there. */
static size_t label_length(const char *spec)
{
    size_t n = strspn(spec, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-");
    return n && spec[n] == '=' && spec[n + 1] && !path_exists(spec) ? n : 0;
}

static char *last_part(const char *path)
{
    size_t n = strlen(path);
    while (n > 1 && path[n - 1] == '/') n--;
    size_t from = n;
    while (from && path[from - 1] != '/') from--;
    return mem_strndup(path + from, n - from);
}

static sc_status read_server(struct speaker *s, const char *spec, const sc_judge_config *c, sc_error *err)
{
    s->kind = SPEAKER_SERVER;
    TRY(endpoint_open(&s->endpoint, spec, err));
    const char *key = c->key ? c->key(c->user, s->endpoint.origin, s->endpoint.is_loopback) : NULL;
    for (const char *p = key ? key : ""; *p; p++)
        if ((unsigned char)*p <= ' ' || *p == 127) return FAIL(err, SC_E_ARGUMENT, "the key for %s contains a blank or control character; set it again", s->endpoint.origin);
    s->endpoint.key = key && *key ? mem_strdup(key) : NULL;
    if (!s->name) s->name = mem_strdup(s->endpoint.name);
    return SC_OK;
}

/* FILE.jsonl or FILE.jsonl#NAME; false: it is neither. */
static bool read_file(struct speaker *s, const char *spec)
{
    const char *hash = strrchr(spec, '#');
    size_t n = hash ? (size_t)(hash - spec) : strlen(spec);
    char *path = mem_strndup(spec, n);
    bool is_file = path_ends_with(path, ".jsonl") || path_ends_with(path, ".jsonl.gz");
    if (!is_file) {
        mem_free(path);
        return false;
    }
    s->kind = SPEAKER_FILE;
    s->file = path;
    s->of_file = hash && hash[1] ? mem_strdup(hash + 1) : NULL;
    if (!s->name && s->of_file) s->name = mem_strdup(s->of_file);
    return true;
}

/* A model that is an adapter is its base with it on top. */
static sc_status read_model(struct speaker *s, const char *spec, sc_error *err)
{
    sc_text base = { 0 };
    s->kind = SPEAKER_MODEL;
    TRY(sc_store_resolve(&s->path, spec, NULL, err));
    TRY(sc_adapter_base(&base, s->path.data, err));
    sc_status status = SC_OK;
    if (base.data) {
        s->adapter = s->path;
        s->path = (sc_text){ 0 };
        status = sc_store_resolve(&s->path, base.data, NULL, err);
    }
    sc_text_free(&base);
    if (!s->name) s->name = last_part(spec);
    return status;
}

sc_status speaker_read(struct speaker *out, const char *spec, const sc_judge_config *c, sc_error *err)
{
    *out = (struct speaker){ .spec = mem_strdup(spec) };
    size_t label = label_length(spec);
    if (label) out->name = mem_strndup(spec, label);
    const char *rest = label ? spec + label + 1 : spec;
    sc_status status = SC_OK;
    if (endpoint_is_spec(rest)) status = read_server(out, rest, c, err);
    else if (!read_file(out, rest)) status = read_model(out, rest, err);
    if (status != SC_OK) speaker_release(out);
    return status;
}

void speaker_close_model(struct speaker *s)
{
    sc_model_close(s->model);
    s->model = NULL;
}

void speaker_release(struct speaker *s)
{
    speaker_close_model(s);
    endpoint_release(&s->endpoint);
    sc_text_free(&s->path);
    sc_text_free(&s->adapter);
    char *const owned[] = { s->spec, s->name, s->file, s->of_file, s->who };
    for (size_t i = 0; i < sizeof owned / sizeof *owned; i++) mem_free(owned[i]);
    *s = (struct speaker){ 0 };
}

/* ---- identity -------------------------------------------------------------------------------------------------------------------------------- */

static sc_status identify_files(char hex[65], const char *path, const char *adapter, sc_error *err)
{
    struct model_file *file = NULL, *over = NULL;
    struct sha256 h;
    TRY(model_file_open(&file, path, true, err));
    sc_status status = adapter && *adapter ? adapter_file_open(&over, adapter, err) : SC_OK;
    sha256_begin(&h);
    model_file_identify(file, &h);
    if (status == SC_OK && over) model_file_identify(over, &h);
    sha256_end(&h, hex);
    model_file_close(over);
    model_file_close(file);
    return status;
}

sc_status speaker_identity(json_t **out, const struct speaker *s, sc_error *err)
{
    char hex[65];
    *out = NULL;
    if (s->kind == SPEAKER_SERVER) {
        *out = json_pack("{s:s, s:s}", "server", s->endpoint.base, "model", s->endpoint.name);
        return SC_OK;
    }
    if (s->kind == SPEAKER_FILE) TRY(sha256_of_file(hex, s->file, err));
    else TRY(identify_files(hex, s->path.data, s->adapter.data, err));
    *out = json_pack("{s:s}", s->kind == SPEAKER_FILE ? "sha256" : "files", hex);
    if (s->of_file) json_object_set_new(*out, "model", json_string(s->of_file));
    return SC_OK;
}

/* What answers depend on besides the request: files, how products are computed, and how the template writes a conversation. */
static sc_status identify_open(struct speaker *s, const sc_model_config *m, sc_error *err)
{
    static const sc_message probe[] = { { "user", "1+1?" }, { "assistant", "2" }, { "user", "and 3?" } };
    char files[65], hex[65];
    struct sha256 h;
    sc_tokens tokens = { 0 };
    TRY(identify_files(files, m->path, m->adapter, err));
    if (sc_model_has_chat(s->model)) TRY(sc_encode_chat(&tokens, s->model, probe, sizeof probe / sizeof *probe, err));
    sha256_begin(&h);
    sha256_add(&h, files, sizeof files);
    sha256_add(&h, s->model->runtime->activations, strlen(s->model->runtime->activations) + 1);
    if (tokens.len) sha256_add(&h, tokens.id, tokens.len * sizeof *tokens.id);
    sha256_end(&h, hex);
    sc_tokens_free(&tokens);
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "model:%s", hex);
    s->who = b.data;
    return SC_OK;
}

sc_status few_shot_digest(char hex[65], const sc_judge_config *c, sc_error *err)
{
    static const sc_message probe[] = { { "system", "s" }, { "user", "1+1?" }, { "assistant", "2" }, { "user", "and 3?" } };
    sc_text prompt = { 0 };
    struct sha256 h;
    TRY(c->few_shot(c->user, &prompt, probe, sizeof probe / sizeof *probe, err));
    sha256_begin(&h);
    sha256_add(&h, prompt.data, prompt.len);
    for (size_t i = 0; c->few_shot_stops && c->few_shot_stops[i]; i++) sha256_add(&h, c->few_shot_stops[i], strlen(c->few_shot_stops[i]) + 1);
    sha256_end(&h, hex);
    sc_text_free(&prompt);
    return SC_OK;
}

sc_status speaker_open(struct speaker *s, sc_runtime *rt, const sc_model_config *m, bool wants_few_shot, const sc_judge_config *c, sc_error *err)
{
    sc_model_config config = m ? *m : (sc_model_config){ 0 };
    if (s->kind == SPEAKER_SERVER && !s->endpoint.is_loopback && s->endpoint.key && !strncmp(s->endpoint.base, "http:", 5))
        runtime_note(rt, "the key goes to %s without encryption; https would hide it", s->endpoint.origin);
    if (s->kind != SPEAKER_MODEL || s->model) return SC_OK;
    config.path = s->path.data;
    if (s->adapter.data) config.adapter = s->adapter.data;
    TRY(sc_model_open(&s->model, rt, &config, err));
    s->uses_few_shot = c->few_shot && (wants_few_shot || !sc_model_has_chat(s->model));
    if (!sc_model_has_chat(s->model) && !s->uses_few_shot)
        return FAIL(err, SC_E_UNSUPPORTED, "%s has no chat template, so it cannot be asked as an assistant; --few-shot ta asks it by a prompt of example dialogues", s->name);
    if (s->uses_few_shot) TRY(few_shot_digest(s->examples, c, err));
    return identify_open(s, &config, err);
}

struct talk speaker_talk(const struct speaker *s, sc_runtime *rt, const sc_judge_config *c, struct cache *cache, struct budget *budget)
{
    bool is_server = s->kind == SPEAKER_SERVER;
    return (struct talk){ .runtime = rt, .endpoint = is_server ? &s->endpoint : NULL, .model = s->model, .who = is_server ? s->endpoint.address : s->who, .name = is_server ? s->endpoint.name : "", .cache = cache,
                          .budget = budget, .limits = talk_limits_of(c) };
}

/* ---- requests ------------------------------------------------------------------------------------------------------------------------------------ */

/* Messages become the text of a prompt of examples, which ends at its labels. */
static sc_status to_prompt(json_t *request, const sc_judge_config *c, sc_error *err)
{
    const json_t *list = json_object_get(request, "messages"), *one;
    size_t i, n = json_array_size(list);
    sc_message *m = mem_zero(n + 1, sizeof *m);
    sc_text prompt = { 0 };
    json_array_foreach(list, i, one) m[i] = (sc_message){ json_string_value(json_object_get(one, "role")), json_string_value(json_object_get(one, "content")) };
    sc_status status = c->few_shot(c->user, &prompt, m, n, err);
    if (status == SC_OK) {
        json_t *stop = json_array(), *text = json_stringn(prompt.data, prompt.len);
        for (i = 0; c->few_shot_stops && c->few_shot_stops[i]; i++) json_array_append_new(stop, json_string(c->few_shot_stops[i]));
        if (!text) status = FAIL(err, SC_E_FORMAT, "the prompt of examples is no valid UTF-8");
        json_object_set_new(request, "prompt", text);
        json_object_set_new(request, "stop", stop);
        json_object_del(request, "messages");
    }
    sc_text_free(&prompt);
    mem_free(m);
    return status;
}

sc_status speaker_request(char **out, const struct speaker *s, json_t *request, const sc_judge_config *c, sc_error *err)
{
    sc_status status = SC_OK;
    struct text_list omitted = { 0 };
    if (s->kind == SPEAKER_SERVER) {
        json_t *limit = json_incref(json_object_get(request, "max_tokens"));
        json_object_set_new(request, "model", json_string(s->endpoint.name));
        if (limit && strcmp(c->max_tokens_name, "max_tokens") != 0) {
            json_object_del(request, "max_tokens");
            json_object_set(request, c->max_tokens_name, limit);
        }
        json_decref(limit);
        text_list_of(&omitted, c->omit);
        for (size_t i = 0; i < omitted.n; i++) json_object_del(request, omitted.at[i]);
        text_list_release(&omitted);
    } else if (s->uses_few_shot) {
        status = to_prompt(request, c, err);
    }
    *out = status == SC_OK ? json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
    json_decref(request);
    return status;
}
