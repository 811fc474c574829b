/* lineage_record.c - a record of how something was made: read from foreign bytes, sealed, written. */
#include "lineage/lineage.h"

#include <string.h>

/* ---- sealing ------------------------------------------------------------------------------------------------------------------- */

json_t *lineage_new(const char *step)
{
    return json_pack("{s:s, s:i, s:s, s:s, s:[]}", "format", "starchat-lineage", "version", 1, "step", step, "program", SC_VERSION, "inputs");
}

static bool digest_of(char hex[65], const json_t *record)
{
    json_t *rest = json_copy((json_t *)(uintptr_t)record);
    json_object_del(rest, "sha256");
    char *text = json_dumps(rest, JSON_COMPACT | JSON_SORT_KEYS | JSON_REAL_PRECISION(17));
    struct sha256 s;
    if (text) {
        sha256_begin(&s);
        sha256_add(&s, text, strlen(text));
        sha256_end(&s, hex);
    }
    json_decref(rest);
    mem_free(text);
    return text != NULL;
}

void lineage_seal(json_t *record)
{
    char hex[65];
    if (digest_of(hex, record)) json_object_set_new(record, "sha256", json_string(hex));
}

bool lineage_is_intact(const json_t *record)
{
    char hex[65];
    const char *said = json_string_value(json_object_get(record, "sha256"));
    return said && digest_of(hex, record) && strcmp(hex, said) == 0;
}

/* ---- reading ------------------------------------------------------------------------------------------------------------------- */

static bool is_hex(const char *text)
{
    return strlen(text) == 64 && strspn(text, "0123456789abcdef") == 64;
}

/* A plain file name: what it names is looked for in one directory and nowhere else. */
static bool is_plain_name(const char *name)
{
    return *name && !strchr(name, '/') && strcmp(name, ".") != 0 && strcmp(name, "..") != 0;
}

static sc_status check_files(const json_t *files, const char *what, sc_error *err)
{
    size_t i;
    json_t *file;
    if (files && !json_is_array(files)) return FAIL(err, SC_E_FORMAT, "%s: a list of files is no list", what);
    json_array_foreach(files, i, file) {
        const char *name, *sha256;
        const char *settings;
        int64_t bytes;
        char q[80];
        TRY(json_opt_string(&name, file, "name", "", what, err));
        TRY(json_opt_string(&sha256, file, "sha256", "", what, err));
        TRY(json_opt_string(&settings, file, "settings", "", what, err));
        TRY(json_opt_int(&bytes, file, "bytes", 0, 0, INT64_MAX, what, err));
        if (!is_plain_name(name)) return FAIL(err, SC_E_FORMAT, "%s: \"%s\" is no plain file name", what, error_quote(q, sizeof q, name, strlen(name)));
        if (!is_hex(sha256)) return FAIL(err, SC_E_FORMAT, "%s: the sha256 of %s is not 64 hex digits", what, error_quote(q, sizeof q, name, strlen(name)));
    }
    return SC_OK;
}

static sc_status check_sources(const json_t *sources, const char *what, sc_error *err)
{
    size_t i;
    json_t *source;
    if (sources && !json_is_array(sources)) return FAIL(err, SC_E_FORMAT, "%s: \"sources\" is no list", what);
    json_array_foreach(sources, i, source) {
        const char *text;
        static const char *const texts[] = { "name", "sha256", "source", "revision", "licence" };
        if (!json_is_object(source)) return FAIL(err, SC_E_FORMAT, "%s: source %zu is no object", what, i + 1);
        for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) TRY(json_opt_string(&text, source, texts[k], "", what, err));
    }
    return SC_OK;
}

static sc_status check_record(const json_t *record, int depth, const char *what, sc_error *err);

static sc_status check_origin(const json_t *origin, int depth, const char *what, sc_error *err)
{
    static const char *const texts[] = { "role", "name", "kind", "source", "revision", "licence", "at", "seal", "seal_said", "seal_found" };
    const json_t *dataset = json_object_get(origin, "dataset"), *made = json_object_get(origin, "made");
    const char *text;
    if (!json_is_object(origin)) return FAIL(err, SC_E_FORMAT, "%s: an input is no object", what);
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) TRY(json_opt_string(&text, origin, texts[i], "", what, err));
    TRY(check_files(json_object_get(origin, "files"), what, err));
    if (dataset && !json_is_object(dataset)) return FAIL(err, SC_E_FORMAT, "%s: \"dataset\" is no object", what);
    TRY(json_opt_string(&text, dataset, "sha256", "", what, err));
    TRY(check_files(json_object_get(dataset, "files"), what, err));
    TRY(check_sources(json_object_get(dataset, "sources"), what, err));
    return made ? check_record(made, depth + 1, what, err) : SC_OK;
}

static sc_status check_record(const json_t *record, int depth, const char *what, sc_error *err)
{
    static const char *const texts[] = { "step", "program", "sha256", "type" };
    const json_t *inputs = json_object_get(record, "inputs");
    const char *text;
    int64_t version;
    size_t i;
    json_t *origin;
    if (!json_is_object(record)) return FAIL(err, SC_E_FORMAT, "%s is no JSON object", what);
    if (depth > LINEAGE_DEPTH) return FAIL(err, SC_E_FORMAT, "%s: records stand in each other more than %d deep", what, LINEAGE_DEPTH);
    TRY(json_opt_string(&text, record, "format", "", what, err));
    if (strcmp(text, "starchat-lineage") != 0) return FAIL(err, SC_E_FORMAT, "%s is no record of a lineage: \"format\" is not starchat-lineage", what);
    TRY(json_need_int(&version, record, "version", 0, INT64_MAX, what, err));
    if (version != 1) return FAIL(err, SC_E_UNSUPPORTED, "%s: version %lld of the record is not known here, expected 1", what, (long long)version);
    for (i = 0; i < sizeof texts / sizeof *texts; i++) TRY(json_opt_string(&text, record, texts[i], "", what, err));
    if (!json_is_array(inputs)) return FAIL(err, SC_E_FORMAT, "%s: \"inputs\" is no list", what);
    json_array_foreach(inputs, i, origin) TRY(check_origin(origin, depth, what, err));
    return check_files(json_object_get(record, "outputs"), what, err);
}

sc_status lineage_parse(json_t **out, const char *text, size_t len, const char *what, sc_error *err)
{
    TRY(json_read(out, text, len, what, err));
    sc_status status = check_record(*out, 0, what, err);
    if (status == SC_OK) return SC_OK;
    json_decref(*out);
    *out = NULL;
    return status;
}

static sc_status read_gguf(json_t **out, const char *path, sc_error *err)
{
    struct model_file *m = NULL;
    struct gguf_string text;
    TRY(model_file_open(&m, path, true, err));
    sc_status status = gguf_opt_string(&text, m, LINEAGE_KEY, err);
    if (status == SC_OK && text.text) status = lineage_parse(out, text.text, text.len, LINEAGE_KEY, err);
    model_file_close(m);
    return status == SC_OK ? SC_OK : error_prefix(err, status, "%s", path);
}

sc_status lineage_read(json_t **out, const char *path, sc_error *err)
{
    *out = NULL;
    if (!path_is_directory(path)) return read_gguf(out, path, err);
    char *file = path_join(path, LINEAGE_FILE);
    sc_text text = { 0 };
    sc_status status = SC_OK;
    if (path_exists(file)) {
        status = file_read(&text, file, LINEAGE_BYTES_MAX, err);
        if (status == SC_OK) status = lineage_parse(out, text.data, text.len, file, err);
    }
    sc_text_free(&text);
    mem_free(file);
    return status;
}

/* ---- writing ------------------------------------------------------------------------------------------------------------------- */

sc_status lineage_write(const char *directory, json_t *record, sc_error *err)
{
    json_t *files = NULL;
    TRY(lineage_files(&files, directory, err));
    json_object_set_new(record, "outputs", files);
    lineage_seal(record);
    sc_text text = { 0 };
    char *path = path_join(directory, LINEAGE_FILE);
    sc_status status = json_write(&text, record, true);
    if (status == SC_OK) status = file_write(path, text.data, text.len, err);
    sc_text_free(&text);
    mem_free(path);
    return status;
}

static void drop_journal(json_t *files)
{
    for (size_t i = json_array_size(files); i-- > 0;) {
        const char *name = json_string_value(json_object_get(json_array_get(files, i), "name"));
        if (name && strcmp(name, LINEAGE_JOURNAL) == 0) json_array_remove(files, i);
    }
}

/* A record that was whole is whole afterwards, one that was not stays so. */
static void drop_what_differs(json_t *record, int depth)
{
    static const char *const keys[] = { "ended", "machine", "cost" };
    bool was_intact = lineage_is_intact(record);
    json_t *origin, *made;
    size_t i;
    for (size_t k = 0; k < sizeof keys / sizeof *keys; k++) json_object_del(record, keys[k]);
    json_object_del(json_object_get(record, "recipe"), "output_dir");
    drop_journal(json_object_get(record, "outputs"));
    json_array_foreach(json_object_get(record, "inputs"), i, origin) {
        drop_journal(json_object_get(origin, "files"));
        if ((made = json_object_get(origin, "made")) != NULL && depth < LINEAGE_DEPTH) drop_what_differs(made, depth + 1);
    }
    if (was_intact) lineage_seal(record);
}

void lineage_put(struct gguf_writer *w, const json_t *record)
{
    json_t *kept = json_deep_copy(record);
    drop_what_differs(kept, 0);
    lineage_seal(kept);
    char *text = json_dumps(kept, JSON_COMPACT | JSON_REAL_PRECISION(17));
    json_decref(kept);
    if (text) gguf_put_string(w, LINEAGE_KEY, text, strlen(text));
    mem_free(text);
    gguf_writer_seal(w);
}
