/* account.c - who is logged in on the Hub: asks it, keeps a token, takes it away again.
 * A token goes into one header of requests to the Hub and into one file; into no message and no result.
 * Source: huggingface_hub _login, utils/_auth, hf_api (GET /api/whoami-v2). */
#include "hub/hub.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

enum { WHOAMI_MAX = 4 << 20 };

static const char *text_of(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* What the Hub tells of a token, without what nobody needs (address, avatar, plans). */
static json_t *describe(const json_t *answer, const char *from, const char *endpoint)
{
    const json_t *auth = json_object_get(json_object_get(answer, "auth"), "accessToken"), *orgs = json_object_get(answer, "orgs"), *org;
    json_t *names = json_array();
    size_t i;
    json_array_foreach(orgs, i, org) if (*text_of(org, "name")) json_array_append_new(names, json_string(text_of(org, "name")));
    return json_pack("{s:s, s:s, s:s, s:o, s:s, s:s, s:s, s:s}", "name", text_of(answer, "name"), "fullname", text_of(answer, "fullname"), "type", text_of(answer, "type"),
                     "orgs", names, "role", text_of(auth, "role"), "token_name", text_of(auth, "displayName"), "from", from, "endpoint", endpoint);
}

static sc_status read_answer(json_t **out, const struct http_reply *r, const struct hub_env *env, sc_error *err)
{
    json_t *answer = NULL;
    TRY(json_read(&answer, r->body.data ? r->body.data : "", r->body.len, "the Hub's answer to whoami", err));
    sc_status status = *text_of(answer, "name") ? SC_OK : FAIL(err, SC_E_FORMAT, "the answer of %s to whoami names nobody; is HF_ENDPOINT right?", env->endpoint);
    if (status == SC_OK) *out = describe(answer, env->token_from ? env->token_from : "", env->endpoint);
    json_decref(answer);
    return status;
}

/* Asks whose env->token it is. */
static sc_status ask(json_t **out, const struct hub_env *env, sc_error *err)
{
    struct http http;
    struct http_reply reply = { 0 };
    struct buf url;
    *out = NULL;
    if (env->offline) return FAIL(err, SC_E_IO, "whose token it is only the Hub can tell, and offline (HF_HUB_OFFLINE) nothing is asked");
    TRY(http_open(&http, env, NULL, NULL, err));
    buf_init(&url, 0);
    buf_printf(&url, "%s/api/whoami-v2", env->endpoint);
    struct http_request q = { .url = url.data, .accept = "application/json", .max_body = WHOAMI_MAX };
    sc_status status = http_fetch(&http, &q, &reply, err);
    if (status == SC_OK && (reply.status == 401 || reply.status == 403))
        status = FAIL(err, SC_E_ARGUMENT, "%s does not accept the token (answer %ld): it is mistyped, expired or revoked; make one on its page settings/tokens", env->endpoint, reply.status);
    else if (status == SC_OK && reply.status != 200) status = http_refusal(&http, &reply, "whoami", err);
    if (status == SC_OK) status = read_answer(out, &reply, env, err);
    http_reply_release(&reply);
    buf_release(&url);
    http_close(&http);
    return status;
}

sc_status sc_hub_whoami(sc_text *json, sc_error *err)
{
    struct hub_env env;
    json_t *found = NULL;
    *json = (sc_text){ 0 };
    TRY(hub_env_read(&env, err));
    sc_status status = SC_OK;
    if (env.hides_token) status = FAIL(err, SC_E_ARGUMENT, "HF_HUB_DISABLE_IMPLICIT_TOKEN is set, so no token is sent and nobody is logged in; unset it");
    else if (!env.token) status = FAIL(err, SC_E_ARGUMENT, "nobody is logged in on %s: no HF_TOKEN, and no token in %s; use `starchat login`", env.endpoint, env.token_from ? env.token_from : "a home directory");
    if (status == SC_OK) {
        status = ask(&found, &env, err);
        if (status == SC_E_ARGUMENT) (void)error_prefix(err, status, "the token of %s", env.token_from);
    }
    if (status == SC_OK) status = json_write(json, found, false);
    json_decref(found);
    hub_env_release(&env);
    return status;
}

sc_status sc_hub_login(sc_text *json, const char *token, sc_error *err)
{
    struct hub_env env;
    json_t *found = NULL;
    *json = (sc_text){ 0 };
    char *clean = token ? token_clean(token, strlen(token)) : NULL;
    sc_status status = clean && token_is_valid(clean) ? SC_OK : FAIL(err, SC_E_ARGUMENT, "that is no token: expected one word like hf_..., from the page settings/tokens of the Hub");
    if (status == SC_OK) status = hub_env_read(&env, err);
    if (status != SC_OK) {
        mem_free(clean);
        return status;
    }
    const char *variable = hub_token_variable();
    bool is_hidden = variable && (!env.token || strcmp(env.token, clean) != 0);
    mem_free(env.token);
    mem_free(env.token_from);
    env.token = clean;
    env.token_from = hub_token_path();
    if (!env.token_from) status = FAIL(err, SC_E_ARGUMENT, "no place to keep the token: HOME is not set; set HF_HOME to a directory");
    if (status == SC_OK) status = ask(&found, &env, err);
    if (status == SC_OK) status = secret_write(env.token_from, clean, strlen(clean), err);
    if (status == SC_OK) {
        json_object_set_new(found, "hidden_by", json_string(is_hidden ? variable : ""));
        status = json_write(json, found, false);
    }
    json_decref(found);
    hub_env_release(&env);
    return status;
}

/* ---- stored_tokens ----------------------------------------------------------------------------------------------------------- */

/* Path and text of stored_tokens; an absent file is empty. The path is NULL without a home. */
static sc_status read_stored(char **path, sc_text *text, sc_error *err)
{
    char *token = hub_token_path(), *slash = token ? strrchr(token, '/') : NULL;
    *text = (sc_text){ 0 };
    if (slash) slash[1] = 0;
    *path = !token ? NULL : slash ? path_join(token, "stored_tokens") : mem_strdup("stored_tokens");
    mem_free(token);
    return *path && path_exists(*path) ? file_read(text, *path, STORED_TOKENS_MAX, err) : SC_OK;
}

sc_status sc_hub_stored_token(sc_text *token, const char *name, sc_error *err)
{
    char *path, quoted[120];
    sc_text text;
    struct stored_token s;
    struct buf names;
    sc_status status = read_stored(&path, &text, err);
    *token = (sc_text){ 0 };
    buf_init(&names, 240);
    for (size_t at = 0; status == SC_OK && !token->data && stored_token_next(&s, text.data, text.len, &at);) {
        buf_printf(&names, "%s%s", names.len ? ", " : "", error_quote(quoted, sizeof quoted, s.name, s.name_len));
        if (s.name_len == strlen(name) && memcmp(s.name, name, s.name_len) == 0 && s.token_len) *token = (sc_text){ mem_strndup(s.token, s.token_len), s.token_len };
    }
    if (status == SC_OK && !token->data)
        status = FAIL(err, SC_E_ARGUMENT, "no token is stored as \"%s\" in %s; there %s", error_quote(quoted, sizeof quoted, name, strlen(name)), path ? path : "a home directory", names.len ? names.data : "is none");
    buf_release(&names);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

/* Takes the sections with `token` out of stored_tokens; the names of the others go to `others`. */
static sc_status forget_stored(const char *token, json_t *removed, json_t *others, sc_error *err)
{
    char *path;
    sc_text text;
    struct stored_token s;
    struct buf kept;
    sc_status status = read_stored(&path, &text, err);
    bool has_it = false;
    buf_init(&kept, 0);
    for (size_t at = 0; status == SC_OK && stored_token_next(&s, text.data, text.len, &at);) {
        if (s.token_len == strlen(token) && memcmp(s.token, token, s.token_len) == 0) {
            has_it = true;
            continue;
        }
        buf_append(&kept, s.begin, (size_t)(s.end - s.begin));
        json_array_append_new(others, json_stringn_nocheck(s.name, utf8_is_valid(s.name, s.name_len) ? s.name_len : 0));
    }
    if (has_it) {
        status = kept.len ? secret_write(path, kept.data, kept.len, err) : unlink(path) == 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot remove %s: %s", path, strerror(errno));
        if (status == SC_OK) json_array_append_new(removed, json_string(path));
    }
    buf_release(&kept);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

sc_status sc_hub_logout(sc_text *json, sc_error *err)
{
    char *path = hub_token_path(), *token = NULL;
    sc_text text = { 0 };
    json_t *removed = json_array(), *others = json_array();
    sc_status status = SC_OK;
    const char *variable = hub_token_variable();
    *json = (sc_text){ 0 };
    if (path && path_exists(path)) {
        if (file_read(&text, path, STORED_TOKENS_MAX, NULL) == SC_OK) token = token_clean(text.data ? text.data : "", text.len);
        if (unlink(path) != 0) status = FAIL(err, SC_E_IO, "cannot remove %s: %s", path, strerror(errno));
        else json_array_append_new(removed, json_string(path));
    }
    if (status == SC_OK) status = forget_stored(token ? token : "", removed, others, err);
    json_t *result = json_pack("{s:O, s:O, s:s}", "removed", removed, "others", others, "variable", variable ? variable : "");
    if (status == SC_OK) status = json_write(json, result, false);
    json_decref(result);
    json_decref(removed);
    json_decref(others);
    sc_text_free(&text);
    mem_free(token);
    mem_free(path);
    return status;
}
