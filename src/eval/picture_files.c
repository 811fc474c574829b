/* picture_files.c - pictures in results: as text inside of JSON, as files beside it, as bytes for a page. */
#include "eval/eval_internal.h"
#include "eval/scores.h"

#include <stdlib.h>
#include <string.h>

enum { PICTURE_BYTES_MAX = 4 << 20 };

/* ---- base64 ------------------------------------------------------------------------------------------------------------------------- */

static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

void picture_encode(struct buf *out, const void *data, size_t len)
{
    const uint8_t *at = data;
    for (size_t i = 0; i < len; i += 3) {
        size_t n = len - i < 3 ? len - i : 3;
        uint32_t x = (uint32_t)at[i] << 16 | (n > 1 ? (uint32_t)at[i + 1] << 8 : 0) | (n > 2 ? at[i + 2] : 0u);
        const char four[4] = { digits[x >> 18], digits[x >> 12 & 63], n > 1 ? digits[x >> 6 & 63] : '=', n > 2 ? digits[x & 63] : '=' };
        buf_append(out, four, 4);
    }
}

bool picture_decode(struct buf *out, const char *text, size_t len)
{
    size_t end = len;
    while (end && len - end < 2 && text[end - 1] == '=') end--;
    if (len % 4 || end % 4 == 1) return false;
    for (size_t i = 0; i < end; i += 4) {
        size_t n = end - i < 4 ? end - i : 4;
        uint32_t x = 0;
        for (size_t k = 0; k < 4; k++) {
            const char *digit = k < n && text[i + k] ? strchr(digits, text[i + k]) : NULL;
            if (k < n && !digit) return false;
            x = x << 6 | (digit ? (uint32_t)(digit - digits) : 0);
        }
        const char three[3] = { (char)(x >> 16), (char)(x >> 8 & 255), (char)(x & 255) };
        buf_append(out, three, n - 1);
    }
    return true;
}

/* ---- names --------------------------------------------------------------------------------------------------------------------------- */

/* "plots_1.png": the first picture of the first answer to document 0. */
void picture_name(char *out, size_t bytes, const struct picture_at *p)
{
    char task[80], answer[24] = "", more[24] = "";
    size_t n = 0;
    for (; p->task[n] && n + 1 < sizeof task; n++) task[n] = strchr("/\\. \t\n\"'<>|&;()[]", p->task[n]) || (unsigned char)p->task[n] < 32 || (unsigned char)p->task[n] > 126 ? '_' : p->task[n];
    task[n] = 0;
    if (p->answer) snprintf(answer, sizeof answer, "_answer%zu", p->answer + 1);
    if (p->index) snprintf(more, sizeof more, "_%zu", p->index + 1);
    snprintf(out, bytes, "%s_%" JSON_INTEGER_FORMAT "%s%s.%s", task, p->document + 1, answer, more, !strcmp(p->type, "image/svg+xml") ? "svg" : "png");
}

/* "DIR/r.json": "r.images". */
char *picture_directory(const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path, *dot = strrchr(name, '.');
    struct buf b;
    sc_text text;
    buf_init(&b, 0);
    buf_append(&b, name, dot > name ? (size_t)(dot - name) : strlen(name));
    buf_puts(&b, ".images");
    buf_take(&b, &text);
    return text.data;
}

static char *beside(const char *path, const char *name)
{
    const char *slash = strrchr(path, '/');
    char *directory = slash ? mem_strndup(path, (size_t)(slash - path) + 1) : mem_strdup("."), *out = path_join(directory, name);
    mem_free(directory);
    return out;
}

sc_status pictures_each(json_t *samples, sc_status (*what)(void *user, const struct picture_at *at, json_t *picture, sc_error *err), void *user, sc_error *err)
{
    const char *task;
    json_t *list, *sample, *program, *picture;
    size_t s, a, i;
    json_object_foreach(samples, task, list)
        json_array_foreach(list, s, sample)
            json_array_foreach(json_object_get(sample, "programs"), a, program)
                json_array_foreach(json_object_get(program, "pictures"), i, picture) {
                    const char *type = json_string_value(json_object_get(picture, "type"));
                    if (!type || json_object_get(picture, "refused")) continue;
                    TRY(what(user, &(struct picture_at){ task, json_integer_value(json_object_get(sample, "doc_id")), a, i, type }, picture, err));
                }
    return SC_OK;
}

/* ---- bytes ----------------------------------------------------------------------------------------------------------------------------- */

/* A file of results may come from anywhere: it names pictures in its own directory of pictures alone. */
static bool read_beside(struct buf *out, const char *results, const char *file)
{
    char *directory = picture_directory(results);
    size_t n = strlen(directory);
    bool is_own = !strncmp(file, directory, n) && file[n] == '/' && file[n + 1] != '.' && !strchr(file + n + 1, '/');
    sc_text text = { 0 };
    sc_error err = { 0 };
    char *path = beside(results, file);
    bool is_read = is_own && file_read(&text, path, PICTURE_BYTES_MAX, &err) == SC_OK;
    if (is_read) buf_append(out, text.data, text.len);
    sc_text_free(&text);
    mem_free(path);
    mem_free(directory);
    return is_read;
}

const char *picture_bytes(struct buf *out, const struct eval_record *r, const json_t *picture)
{
    const json_t *data = json_object_get(picture, "data");
    const char *file = json_string_value(json_object_get(picture, "file")), *type = json_string_value(json_object_get(picture, "type"));
    struct picture_size size;
    bool is_blank;
    if (json_is_string(data) ? !picture_decode(out, json_string_value(data), json_string_length(data)) : !file || !r->path || !read_beside(out, r->path, file)) return "its file is missing";
    if (type && !strcmp(type, "image/png")) return picture_png(&size, &is_blank, out->data, out->len);
    return type && !strcmp(type, "image/svg+xml") && out->len > 4 && !memcmp(out->data, "<svg", 4) ? NULL : "it is neither PNG nor SVG";
}

/* ---- files ----------------------------------------------------------------------------------------------------------------------------- */

struct writing { const struct eval_record *record; const char *path; char *directory; bool moves; };

static sc_status write_one(void *user, const struct picture_at *at, json_t *picture, sc_error *err)
{
    struct writing *w = user;
    struct buf bytes, file;
    char name[160], hex[65];
    sc_status status = SC_OK;
    buf_init(&bytes, 0);
    buf_init(&file, 0);
    picture_name(name, sizeof name, at);
    buf_printf(&file, "%s/%s", w->directory, name);
    char *path = beside(w->path, file.data), *directory = beside(w->path, w->directory);
    if (!picture_bytes(&bytes, w->record, picture)) {
        status = path_make_directories(directory, err);
        if (status == SC_OK) status = file_write(path, bytes.data, bytes.len, err);
        struct sha256 s;
        sha256_begin(&s);
        sha256_add(&s, bytes.data, bytes.len);
        sha256_end(&s, hex);
        if (w->moves) {
            json_object_del(picture, "data");
            json_object_set_new(picture, "file", json_stringn(file.data, file.len));
            json_object_set_new(picture, "bytes", json_integer((json_int_t)bytes.len));
            json_object_set_new(picture, "sha256", json_string(hex));
        }
    }
    mem_free(path);
    mem_free(directory);
    buf_release(&bytes);
    buf_release(&file);
    return status;
}

static sc_status write_all(const struct eval_record *r, const char *path, bool moves, sc_error *err)
{
    struct writing w = { r, path, picture_directory(path), moves };
    sc_status status = pictures_each(r->samples, write_one, &w, err);
    mem_free(w.directory);
    return status;
}

sc_status picture_files_write(json_t *results, const char *path, sc_error *err)
{
    const struct eval_record r = { .all = results, .samples = json_object_get(results, "samples") };
    return write_all(&r, path, true, err);
}

sc_status picture_files_copy(const struct eval_record *r, const char *path, sc_error *err) { return write_all(r, path, false, err); }
