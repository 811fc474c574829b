/* hub_env.c - what the reference clients read from the environment: huggingface_hub's variables and token file, pip's
 * configuration of its index (a machine behind a mirror has one), certificates.
 * This file alone of the folder calls getenv. Sources: huggingface_hub constants and utils/_auth; pip user guide
 * "Configuration". */
#include "hub/hub.h"

#include <curl/curl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#define HUB_ENDPOINT "https://huggingface.co"
/* The public index, unless pip is told another. */
#define PACKAGE_INDEX "https://pypi.org/simple"

enum { TOKEN_FILE_MAX = 4096, PIP_CONF_MAX = 1 << 20 };

static const char *const certificate_variables[] = { "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE", "SSL_CERT_FILE", NULL };

/* A variable that is set and not empty. */
static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

static bool variable_is_true(const char *name)
{
    const char *v = variable(name);
    return v && (!strcmp(v, "1") || !strcasecmp(v, "true") || !strcasecmp(v, "yes") || !strcasecmp(v, "on"));
}

/* Borrowed: the first of the names that is set. */
static const char *first_of(const char *const *names)
{
    for (; *names; names++)
        if (variable(*names)) return variable(*names);
    return NULL;
}

/* "~" and "~/x" with the home directory put in. */
static char *expand_home(const char *path)
{
    const char *home = variable("HOME");
    if (path[0] == '~' && (path[1] == '/' || path[1] == 0) && home) return path_join(home, path[1] ? path + 2 : "");
    return mem_strdup(path);
}

/* HF_HOME, else huggingface/ in the cache directory; NULL without any home. */
static char *hub_home(void)
{
    if (variable("HF_HOME")) return expand_home(variable("HF_HOME"));
    if (variable("XDG_CACHE_HOME")) return path_join(variable("XDG_CACHE_HOME"), "huggingface");
    return variable("HOME") ? path_join(variable("HOME"), ".cache/huggingface") : NULL;
}

char *hub_cache_directory(void)
{
    static const char *const names[] = { "HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", NULL };
    if (first_of(names)) return expand_home(first_of(names));
    char *home = hub_home();
    char *cache = home ? path_join(home, "hub") : NULL;
    mem_free(home);
    return cache;
}

sc_status sc_store_home(sc_text *out, sc_error *err)
{
    char *path;
    *out = (sc_text){ 0 };
    if (variable("STARCHAT_HOME")) path = expand_home(variable("STARCHAT_HOME"));
    else if (variable("XDG_DATA_HOME")) path = path_join(variable("XDG_DATA_HOME"), "starchat");
    else if (variable("HOME")) path = path_join(variable("HOME"), ".local/share/starchat");
    else return FAIL(err, SC_E_ARGUMENT, "no place for models: HOME is not set; set STARCHAT_HOME to a directory");
    *out = (sc_text){ path, strlen(path) };
    return SC_OK;
}

sc_status sc_prompt_cache_home(sc_text *out, sc_error *err)
{
    char *path, *home = NULL;
    *out = (sc_text){ 0 };
    if (variable("STARCHAT_HOME")) path = path_join(home = expand_home(variable("STARCHAT_HOME")), "prompt-cache");
    else if (variable("XDG_CACHE_HOME")) path = path_join(variable("XDG_CACHE_HOME"), "starchat/prompt-cache");
    else if (variable("HOME")) path = path_join(variable("HOME"), ".cache/starchat/prompt-cache");
    else return FAIL(err, SC_E_ARGUMENT, "no place for the prompt cache: HOME is not set; set STARCHAT_HOME to a directory");
    mem_free(home);
    *out = (sc_text){ path, strlen(path) };
    return SC_OK;
}

/* ---- the Hub ----------------------------------------------------------------------------------------------------------- */

static char *trimmed(const char *text, size_t len)
{
    while (len && (unsigned char)text[len - 1] <= ' ') len--;
    while (len && (unsigned char)*text <= ' ') { text++; len--; }
    return mem_strndup(text, len);
}

static sc_status read_token(char **out, sc_error *err)
{
    static const char *const names[] = { "HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", NULL };
    const char *value = first_of(names);
    if (value) {
        *out = trimmed(value, strlen(value));
    } else {
        char *home = hub_home();
        char *path = variable("HF_TOKEN_PATH") ? expand_home(variable("HF_TOKEN_PATH")) : home ? path_join(home, "token") : NULL;
        sc_text text = { 0 };
        if (path && file_read(&text, path, TOKEN_FILE_MAX, NULL) == SC_OK && text.len) *out = trimmed(text.data, text.len);
        sc_text_free(&text);
        mem_free(path);
        mem_free(home);
    }
    for (const char *p = *out; p && *p; p++)
        if (*p <= ' ' || *p == 127) return FAIL(err, SC_E_ARGUMENT, "the Hub token (HF_TOKEN or the token file) contains a blank or control character; set it again");
    if (*out && !**out) {
        mem_free(*out);
        *out = NULL;
    }
    return SC_OK;
}

static char *without_slash(const char *url)
{
    size_t n = strlen(url);
    while (n && url[n - 1] == '/') n--;
    return mem_strndup(url, n);
}

/* ---- pip ----------------------------------------------------------------------------------------------------------------- */

/* 0 for a section that does not count, else its rank: a command's own section wins over [global]. */
static int section_rank(const char *name, size_t len)
{
    static const char *const sections[] = { "global", "install", "download" };
    for (int i = 0; i < 3; i++)
        if (strlen(sections[i]) == len && strncasecmp(sections[i], name, len) == 0) return i + 1;
    return 0;
}

char *pip_conf_value(const char *text, size_t len, const char *key)
{
    char *found = NULL;
    int rank = 0, found_rank = 0;
    for (const char *p = text, *end = text + len; p < end;) {
        const char *newline = memchr(p, '\n', (size_t)(end - p)), *stop = newline ? newline : end;
        bool is_continued = *p == ' ' || *p == '\t';
        char *line = trimmed(p, (size_t)(stop - p));
        p = newline ? newline + 1 : end;
        size_t n = strlen(line);
        char *equals = strpbrk(line, "=:");
        if (n > 1 && line[0] == '[' && line[n - 1] == ']') {
            rank = section_rank(line + 1, n - 2);
        } else if (line[0] != '#' && line[0] != ';' && !is_continued && equals && rank >= found_rank && rank > 0) {
            char *name = trimmed(line, (size_t)(equals - line)), *value = trimmed(equals + 1, strlen(equals + 1));
            for (char *c = name; *c; c++)
                if (*c == '_') *c = '-';
            if (strcasecmp(name, key) == 0 && *value) {
                mem_free(found);
                found = mem_strdup(value);
                found_rank = rank;
            }
            mem_free(name);
            mem_free(value);
        }
        mem_free(line);
    }
    return found;
}

/* The later file wins. */
static void read_pip_conf(struct hub_env *e, const char *path)
{
    sc_text text;
    if (file_read(&text, path, PIP_CONF_MAX, NULL) != SC_OK) return;
    char *index = pip_conf_value(text.data ? text.data : "", text.len, "index-url"), *cert = pip_conf_value(text.data ? text.data : "", text.len, "cert");
    if (index) {
        mem_free(e->index_url);
        e->index_url = without_slash(index);
    }
    if (cert) {
        mem_free(e->index_ca_file);
        e->index_ca_file = expand_home(cert);
    }
    mem_free(index);
    mem_free(cert);
    sc_text_free(&text);
}

static void read_pip_conf_below(struct hub_env *e, const char *directory, const char *name)
{
    char *base = expand_home(directory), *path = path_join(base, name);
    read_pip_conf(e, path);
    mem_free(base);
    mem_free(path);
}

/* pip's order: machine, user, virtual environment, PIP_CONFIG_FILE, variables. */
static void read_pip(struct hub_env *e)
{
    const char *own = variable("PIP_CONFIG_FILE"), *xdg = variable("XDG_CONFIG_HOME");
    e->index_url = mem_strdup(PACKAGE_INDEX);
    read_pip_conf(e, "/etc/xdg/pip/pip.conf");
    read_pip_conf(e, "/etc/pip.conf");
    if (!own || !path_exists(own)) {
        read_pip_conf_below(e, "~/.pip", "pip.conf");
        read_pip_conf_below(e, xdg ? xdg : "~/.config", "pip/pip.conf");
    }
    if (variable("VIRTUAL_ENV")) read_pip_conf_below(e, variable("VIRTUAL_ENV"), "pip.conf");
    if (own) read_pip_conf(e, own);
    if (variable("PIP_INDEX_URL")) {
        mem_free(e->index_url);
        e->index_url = without_slash(variable("PIP_INDEX_URL"));
    }
    if (variable("PIP_CERT")) {
        mem_free(e->index_ca_file);
        e->index_ca_file = expand_home(variable("PIP_CERT"));
    }
}

/* Where distributions keep the certificates that they trust. A program that was built on one of them and runs on another must look. */
static const char *usual_certificates(void)
{
    static const char *const places[] = { "/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem", "/etc/ssl/cert.pem", NULL };
    const char *own = curl_version_info(CURLVERSION_NOW)->cainfo;
    if (own && path_exists(own)) return own;
    for (size_t i = 0; places[i]; i++)
        if (path_exists(places[i])) return places[i];
    return NULL;
}

sc_status hub_env_read(struct hub_env *out, sc_error *err)
{
    *out = (struct hub_env){ 0 };
    const char *endpoint = variable("HF_ENDPOINT");
    out->endpoint = without_slash(endpoint ? endpoint : HUB_ENDPOINT);
    out->offline = variable_is_true("HF_HUB_OFFLINE");
    const char *certificates = first_of(certificate_variables) ? first_of(certificate_variables) : usual_certificates();
    if (certificates) out->ca_file = expand_home(certificates);
    read_pip(out);
    if (!out->index_ca_file && out->ca_file) out->index_ca_file = mem_strdup(out->ca_file);
    sc_status status = SC_OK;
    char *origin = url_origin(out->endpoint);
    if (!origin) status = FAIL(err, SC_E_ARGUMENT, "HF_ENDPOINT is \"%s\", expected an address that begins with https://", out->endpoint);
    if (status == SC_OK && !variable_is_true("HF_HUB_DISABLE_IMPLICIT_TOKEN")) status = read_token(&out->token, err);
    mem_free(origin);
    if (status != SC_OK) hub_env_release(out);
    return status;
}

void hub_env_release(struct hub_env *e)
{
    mem_free(e->endpoint);
    mem_free(e->token);
    mem_free(e->ca_file);
    mem_free(e->index_url);
    mem_free(e->index_ca_file);
    *e = (struct hub_env){ 0 };
}

sc_status sc_certificates_check(sc_text *out, sc_error *err)
{
    struct hub_env e;
    struct buf text = { 0 };
    TRY(hub_env_read(&e, err));
    sc_status status = SC_OK;
    if (!e.ca_file || !path_exists(e.ca_file))
        status = FAIL(err, SC_E_UNSUPPORTED, "%s%s, so no server can be trusted; apt install ca-certificates, or set SSL_CERT_FILE to a file of them", e.ca_file ? "there is no " : "no certificates are installed", e.ca_file ? e.ca_file : "");
    else {
        buf_puts(&text, e.ca_file);
        buf_take(&text, out);
    }
    hub_env_release(&e);
    return status;
}
