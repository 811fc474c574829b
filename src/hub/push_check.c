/* push_check.c - looks through the files of a push before anything leaves this machine. Text is read whole, whatever its name;
 * of safetensors the header of JSON, of GGUF all strings that stand before the tensors. Files are read, never mapped: others may cut
 * them off meanwhile, which would end this process, and that is the trainer's where a push runs beside a training. */
#include "hub/push.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/format.h"

enum { TEXT_LOOK = 8192, FINDINGS_MAX = 50, PATHS_KEPT = 1024, KEY_LOOK = 4096, HEADER_MAX = 100 << 20, WINDOW = 4 << 20, KEPT_MOST = 1 << 20, KEPT_TOGETHER = 64 << 20 };

struct check {
    struct push_findings *out; struct push_files *files; const sc_push_config *config; const char *token;
    size_t file; const char *text;               /* what is in memory of the file       */
    size_t line_at; size_t line;                 /* lines are counted on from the finding before */
    size_t kept_bytes;
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

/* Of a training: what held-out data and the model's answers say stands in its events and its report. */
static bool is_journal(const struct check *c) { return c->files->is_training && strcmp(c->files->at[c->file].path, "events.jsonl") == 0; }
static bool is_report(const struct check *c) { return c->files->is_training && strcmp(c->files->at[c->file].path, "report.html") == 0; }

/* Whether a model or its data may well have written it; a key that is too far away is that of a long text. */
static bool is_generated(const struct check *c, size_t at)
{
    static const char *const keys[] = { "prompt", "answer", "text" };
    if (!is_journal(c)) return is_report(c);
    char *key = key_before(c->text, at);
    bool is = !key;
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) is |= key && strcmp(key, keys[i]) == 0;
    mem_free(key);
    return is;
}

/* A home directory in dialogues is mostly that of nobody, of a machine that everybody has, or of an example. */
static bool is_home_of_example(const char *path, size_t len)
{
    static const char *const names[] = { "ubuntu", "jovyan", "ec2-user", "vscode", "alice", "bob", "user", "me" };
    const char *name = memchr(path + 1, '/', len - 1);
    if (len >= 5 && memcmp(path, "/root", 5) == 0) return true;
    if (!name) return false;
    size_t n = 0, left = len - (size_t)(++name - path);
    while (n < left && name[n] != '/') n++;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strlen(names[i]) == n && memcmp(names[i], name, n) == 0) return true;
    return false;
}

/* In generated text keys count, and of places only a home directory that this machine has. */
static bool is_talk(struct check *c, const struct finding *f)
{
    bool is_home = strcmp(f->kind, "home-directory") == 0;
    if ((!is_home && strcmp(f->kind, "local-path") != 0) || !is_generated(c, f->at)) return false;
    const char *path = c->text + f->at;
    return !is_home || *path != '/' || is_home_of_example(path, f->len) || !is_here(c, path, f->len);
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
    if (is_allowed(c, f, c->line) || is_talk(c, f)) return true;
    if (out->n == FINDINGS_MAX) {
        out->more++;
        return true;
    }
    out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
    struct push_finding *x = &out->at[out->n++];
    *x = (struct push_finding){ .file = c->file, .line = c->has_lines ? c->line : 0, .kind = f->kind, .key = c->has_keys ? key_before(c->text, f->at) : NULL };
    for (size_t i = 0; i < 4 && i < f->len && !f->is_bare; i++) x->shown[i] = c->text[f->at + i] > ' ' && c->text[f->at + i] < 127 ? c->text[f->at + i] : '?';
    return true;
}

static void begin_scan(struct check *c, const char *text, bool has_lines, bool has_keys)
{
    c->text = text;
    c->line_at = 0;
    c->line = 1;
    c->has_lines = has_lines;
    c->has_keys = has_keys;
}

static size_t scan(struct check *c, size_t len, size_t from, size_t until)
{
    const struct secrets_rules rules = { c->token, c->token ? strlen(c->token) : 0, is_here, c };
    return secrets_scan_part(c->text, len, from, until, &rules, on_found, c);
}

/* [at, end) of the file through a window, in which what was scanned last still stands before what is scanned next. All that is read goes into `sha`. */
static sc_status scan_file(struct check *c, int fd, uint64_t at, uint64_t end, char *window, size_t room, struct sha256 *sha, sc_error *err)
{
    size_t have = 0, next = 0;
    for (bool is_last = false; !is_last;) {
        size_t bytes = end - at < room - have ? (size_t)(end - at) : room - have;
        TRY(push_file_read(&c->files->at[c->file], fd, window + have, at, bytes, err));
        sha256_add(sha, window + have, bytes);
        at += bytes;
        have += bytes;
        is_last = at == end;
        next = scan(c, have, next, is_last ? have : have - SECRETS_AHEAD);
        if (is_last) break;
        size_t gone = next - KEY_LOOK;
        for (; c->line_at < next; c->line_at++) c->line += window[c->line_at] == '\n';
        memmove(window, window + gone, have - gone);
        have -= gone;
        next -= gone;
        c->line_at -= gone;
    }
    return SC_OK;
}

/* ---- kinds of files ------------------------------------------------------------------------------------------------------------------ */

static uint64_t safetensors_header(const uint8_t *head, uint64_t size)
{
    uint64_t n = 0;
    if (size < 8) return 0;
    for (int i = 7; i >= 0; i--) n = n << 8 | head[i];
    return n <= size - 8 && n <= HEADER_MAX ? n : 0;
}

/* Where the tensors of a GGUF file begin, or a generous guess if it is damaged; before stand numbers and strings, which the scan passes over
 * and reads. It is looked at in a copy of its beginning, since opening a model maps it. */
static uint64_t gguf_header(int fd, uint64_t size)
{
    struct model_file *m = NULL;
    char path[40];
    uint64_t n = size < HEADER_MAX ? size : HEADER_MAX;
    off_t at = 0;
    int copy = memfd_create("header", MFD_CLOEXEC);
    for (ssize_t got = 1; copy >= 0 && got > 0 && (uint64_t)at < n;) got = sendfile(copy, fd, &at, (size_t)(n - (uint64_t)at));
    snprintf(path, sizeof path, "/proc/self/fd/%d", copy);
    if (copy >= 0 && ftruncate(copy, (off_t)size) == 0 && model_file_open(&m, path, false, NULL) == SC_OK && m->data_offset < n) n = m->data_offset;
    model_file_close(m);
    if (copy >= 0) close(copy);
    return n;
}

static bool looks_like_text(const char *head, size_t n) { return n && memchr(head, 0, n) == NULL; }

/* Text that changes later is sent as it was when it was looked at: short text from memory, longer text is refused by its digest. */
static sc_status keep_text(struct check *c, struct push_file *f, const char *text, size_t room, struct sha256 *sha, sc_error *err)
{
    sha256_end(sha, f->sha256);
    if (push_file_changed(f)) return push_file_refuse(f, err);
    if (f->size > room || f->size > KEPT_MOST || c->kept_bytes + f->size > KEPT_TOGETHER) return SC_OK;
    c->kept_bytes += (size_t)f->size;
    buf_append(&f->content, text, (size_t)f->size);
    f->has_content = true;
    return SC_OK;
}

static sc_status check_open(struct check *c, int fd, sc_error *err)
{
    struct push_file *f = &c->files->at[c->file];
    uint64_t from = 0, end = f->size;
    size_t room = f->size < WINDOW ? (size_t)f->size : WINDOW, look = room < TEXT_LOOK ? room : TEXT_LOOK;
    char *window = mem_zero(room + 8, 1);
    struct sha256 sha;
    char digest[65];
    sc_status status = push_file_read(f, fd, window, 0, look, err);
    bool is_gguf = look >= 4 && memcmp(window, "GGUF", 4) == 0, is_safetensors = path_ends_with(f->path, ".safetensors"), is_text = !is_gguf && !is_safetensors && looks_like_text(window, look);
    if (is_gguf) end = gguf_header(fd, f->size);
    else if (is_safetensors) end = (from = 8) + safetensors_header((const uint8_t *)window, f->size);
    else if (!is_text) end = 0;
    sha256_begin(&sha);
    begin_scan(c, window, is_text, !is_gguf);
    if (status == SC_OK && from < end) status = scan_file(c, fd, from, end, window, room, &sha, err);
    if (status == SC_OK && is_text) status = keep_text(c, f, window, room, &sha, err);
    else sha256_end(&sha, digest);
    mem_free(window);
    return status;
}

static sc_status check_file(struct check *c, sc_error *err)
{
    const struct push_file *f = &c->files->at[c->file];
    if (f->has_content) {
        begin_scan(c, f->content.data ? f->content.data : "", true, true);
        (void)scan(c, f->content.len, 0, f->content.len);
        return SC_OK;
    }
    int fd = open(f->local, O_RDONLY | O_CLOEXEC);
    if (fd < 0) return FAIL(err, SC_E_IO, "cannot read %s: %s", f->local, strerror(errno));
    sc_status status = check_open(c, fd, err);
    close(fd);
    return status;
}

sc_status push_check(struct push_findings *out, struct push_files *f, const sc_push_config *config, const char *token, sc_error *err)
{
    struct check *c = mem_zero(1, sizeof *c);
    sc_status status = SC_OK;
    *out = (struct push_findings){ 0 };
    c->out = out;
    c->files = f;
    c->config = config;
    c->token = token;
    for (; status == SC_OK && c->file < f->n; c->file++) status = check_file(c, err);
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
    buf_printf(&b, ": %s", x->kind);
    if (*x->shown) buf_printf(&b, " beginning with %s", x->shown);
    return b.data;
}
