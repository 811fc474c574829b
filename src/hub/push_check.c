/* push_check.c - looks through the files of a push before anything leaves this machine. Text is read whole, whatever its name;
 * of safetensors the header of JSON, of GGUF all strings that stand before the tensors. */
#include "hub/push.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "format/format.h"

enum { TEXT_LOOK = 8192, FINDINGS_MAX = 50, PATHS_KEPT = 1024, KEY_LOOK = 4096, HEADER_MAX = 100 << 20 };

struct check {
    struct push_findings *out; const struct push_files *files; const sc_push_config *config;
    size_t file; const char *text; size_t len;
    size_t line_at; size_t line;                 /* lines are counted on from the finding before */
    bool has_lines, has_keys;
    struct { uint64_t hash; bool is_here; } kept[PATHS_KEPT];
};

/* ---- whether a path is of this machine ------------------------------------------------------------------------------------------ */

/* By the first two parts: what stands behind them may be gone. Answers are kept, since dialogues can be full of paths. */
static bool is_here(void *user, const char *path, size_t len)
{
    struct check *c = user;
    char two[256];
    struct stat st;
    size_t n = 1;
    while (n < len && path[n] != '/') n++;
    for (n++; n < len && path[n] != '/';) n++;
    if (n >= sizeof two) return false;
    memcpy(two, path, n);
    two[n] = 0;
    uint64_t hash = 1469598103934665603ull;
    for (size_t i = 0; i < n; i++) hash = (hash ^ (uint8_t)two[i]) * 1099511628211ull;
    if (c->kept[hash % PATHS_KEPT].hash != hash) {
        c->kept[hash % PATHS_KEPT].hash = hash;
        c->kept[hash % PATHS_KEPT].is_here = stat(two, &st) == 0;
    }
    return c->kept[hash % PATHS_KEPT].is_here;
}

/* ---- what was found --------------------------------------------------------------------------------------------------------------- */

static bool is_key_char(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_' || c == '-'; }

/* Whether only the blanks and dashes of YAML stand before it. */
static bool begins_line(const char *text, size_t from, size_t at)
{
    while (at > from && (text[at - 1] == ' ' || text[at - 1] == '-')) at--;
    return at == 0 || text[at - 1] == '\n';
}

/* The nearest name before `at` that is followed by a colon, in quotes or at the beginning of a line. */
static char *key_before(const char *text, size_t at)
{
    size_t from = at > KEY_LOOK ? at - KEY_LOOK : 0;
    for (size_t colon = at; colon-- > from;) {
        if (text[colon] != ':') continue;
        size_t end = colon, begin;
        while (end > from && text[end - 1] == ' ') end--;
        bool is_quoted = end > from && text[end - 1] == '"';
        if (is_quoted) end--;
        for (begin = end; begin > from && end - begin < 64 && is_key_char(text[begin - 1]);) begin--;
        bool begins = is_quoted ? begin > from && text[begin - 1] == '"' : begins_line(text, from, begin) && (text[colon + 1] == ' ' || text[colon + 1] == '\n');
        if (end > begin && end - begin < 64 && begins) return mem_strndup(text + begin, end - begin);
    }
    return NULL;
}

static bool is_allowed(const struct check *c, const struct finding *f, size_t line)
{
    const char *path = c->files->at[c->file].path;
    char place[1100], *text = mem_strndup(c->text + f->at, f->len);
    snprintf(place, sizeof place, "%s:%zu", path, line);
    const sc_push_patterns *p = &c->config->allow;
    bool is = push_matches(p, path) || push_matches(p, place) || push_matches(p, f->kind) || push_matches(p, text);
    mem_free(text);
    return is;
}

static bool on_found(void *user, const struct finding *f)
{
    struct check *c = user;
    struct push_findings *out = c->out;
    for (; c->line_at < f->at; c->line_at++) c->line += c->text[c->line_at] == '\n';
    if (is_allowed(c, f, c->line)) return true;
    if (out->n == FINDINGS_MAX) {
        out->more++;
        return true;
    }
    out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
    struct push_finding *x = &out->at[out->n++];
    *x = (struct push_finding){ .file = c->file, .line = c->has_lines ? c->line : 0, .kind = f->kind, .key = c->has_keys ? key_before(c->text, f->at) : NULL };
    for (size_t i = 0; i < 4 && i < f->len; i++) x->shown[i] = c->text[f->at + i] > ' ' && c->text[f->at + i] < 127 ? c->text[f->at + i] : '?';
    return true;
}

static void scan(struct check *c, const char *text, size_t len, bool has_lines, bool has_keys, const char *token)
{
    const struct secrets_rules rules = { token, token ? strlen(token) : 0, is_here, c };
    c->text = text;
    c->len = len;
    c->line_at = 0;
    c->line = 1;
    c->has_lines = has_lines;
    c->has_keys = has_keys;
    secrets_scan(text, len, &rules, on_found, c);
}

/* ---- kinds of files ------------------------------------------------------------------------------------------------------------------ */

static size_t safetensors_header(const uint8_t *data, size_t size)
{
    uint64_t n = 0;
    if (size < 8) return 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | data[i];
    return n > 0 && n <= size - 8 && n <= HEADER_MAX ? (size_t)n : 0;
}

/* Where the tensors of a GGUF file begin, or a generous guess if it is damaged; before stand numbers and strings, which the scan passes over and reads. */
static size_t gguf_header(const char *path, size_t size)
{
    struct model_file *m = NULL;
    size_t n = size < HEADER_MAX ? size : HEADER_MAX;
    if (model_file_open(&m, path, false, NULL) == SC_OK) n = m->data_offset;
    model_file_close(m);
    return n < size ? n : size;
}

static bool looks_like_text(const uint8_t *data, size_t size)
{
    return memchr(data, 0, size < TEXT_LOOK ? size : TEXT_LOOK) == NULL;
}

static sc_status check_file(struct check *c, const char *token, sc_error *err)
{
    const struct push_file *f = &c->files->at[c->file];
    struct mapped_file m;
    if (f->has_content) {
        if (f->content.len) scan(c, f->content.data, f->content.len, true, true, token);
        return SC_OK;
    }
    TRY(file_map(&m, f->local, err));
    const char *text = (const char *)m.data;
    size_t n = 0;
    if (m.size >= 4 && memcmp(text, "GGUF", 4) == 0) scan(c, text, gguf_header(f->local, m.size), false, false, token);
    else if (path_ends_with(f->path, ".safetensors")) {
        if ((n = safetensors_header(m.data, m.size))) scan(c, text + 8, n, false, true, token);
    } else if (m.size && looks_like_text(m.data, m.size)) scan(c, text, m.size, true, true, token);
    file_unmap(&m);
    return SC_OK;
}

sc_status push_check(struct push_findings *out, const struct push_files *f, const sc_push_config *config, const char *token, sc_error *err)
{
    struct check *c = mem_zero(1, sizeof *c);
    sc_status status = SC_OK;
    *out = (struct push_findings){ 0 };
    c->out = out;
    c->files = f;
    c->config = config;
    for (; status == SC_OK && c->file < f->n; c->file++) status = check_file(c, token, err);
    mem_free(c);
    if (status != SC_OK) push_findings_release(out);
    return status;
}

void push_findings_release(struct push_findings *f)
{
    for (size_t i = 0; i < f->n; i++) mem_free(f->at[i].key);
    mem_free(f->at);
    *f = (struct push_findings){ 0 };
}

char *push_finding_text(const struct push_files *f, const struct push_finding *x)
{
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, f->at[x->file].path);
    if (x->line) buf_printf(&b, ", line %zu", x->line);
    if (x->key) buf_printf(&b, " (%s)", x->key);
    buf_printf(&b, ": %s beginning with %s", x->kind, x->shown);
    return b.data;
}
