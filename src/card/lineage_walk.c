/* lineage_walk.c - from a model down to the files that it was made of, and whether they are still what they were. */
#include "card/lineage_walk.h"

#include <string.h>
#include <sys/stat.h>

#include "hub/hub.h"
#include "train/train.h"

enum { RUN_MAX = 64 << 20, DATASET_MAX = 256 << 20 };

/* ---- links ------------------------------------------------------------------------------------------------------------------------ */

void link_add(struct lineage_walk *w, const struct lineage_at *at, const char *what, const char *name, const char *state, const char *expected, const char *found, const char *why, const json_t *more)
{
    json_t *link = json_pack("{s:i, s:s, s:s, s:s, s:s}", "depth", at->depth, "step", text_member(at->record, "step"), "what", what, "name", name, "state", state);
    if (!link) return;
    if (expected && *expected) json_object_set_new(link, "sha256", json_string(expected));
    if (found && *found) json_object_set_new(link, "found", json_string(found));
    if (why) json_object_set_new(link, "why", json_string(why));
    if (more) json_object_update_missing(link, (json_t *)(uintptr_t)more);
    json_array_append_new(w->links, link);
}

static void tell(const struct lineage_walk *w, const char *name)
{
    json_t *event = w->c->on_event ? json_pack("{s:s, s:s, s:i, s:i}", "event", "progress", "what", name, "bytes", 0, "total", 1) : NULL;
    char *text = event ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text) w->c->on_event(w->c->user, text);
    mem_free(text);
    json_decref(event);
}

/* Records of strangers may name anything: pipes and devices are not read. */
static bool is_plain_file(const char *path)
{
    struct stat st;
    return path && stat(path, &st) == 0 && S_ISREG(st.st_mode);
}

void link_add_file(struct lineage_walk *w, const struct lineage_at *at, const char *what, const char *name, const char *path, const char *expected, const json_t *more)
{
    char hex[65];
    sc_error err = { 0 };
    if (!w->c->verify) { link_add(w, at, what, name, *expected ? "recorded" : "unknown", expected, NULL, NULL, more); return; }
    if (!is_plain_file(path)) { link_add(w, at, what, name, "absent", expected, NULL, NULL, more); return; }
    tell(w, name);
    if (lineage_digest(hex, NULL, path, &err) != SC_OK) link_add(w, at, what, name, "absent", expected, NULL, err.message, more);
    else link_add(w, at, what, name, !*expected ? "unknown" : strcmp(hex, expected) == 0 ? "verified" : "changed", expected, hex, NULL, more);
}

/* ---- files of a model ----------------------------------------------------------------------------------------------------------------- */

static const char *kind_of(const char *name)
{
    if (path_ends_with(name, ".gguf") || path_ends_with(name, ".safetensors")) return "weights";
    return strcmp(name, LINEAGE_JOURNAL) == 0 ? "journal" : "file";
}

/* An adapter's settings that name another place of the base and are the same in all else. */
static bool is_sent_away(struct lineage_walk *w, const struct lineage_at *at, const json_t *file, const char *path)
{
    const char *expected = text_member(file, "settings");
    char hex[65], *settings = w->c->verify && *expected && is_plain_file(path) ? lineage_settings(path) : NULL;
    bool is = settings && strcmp(settings, expected) == 0 && lineage_digest(hex, NULL, path, NULL) == SC_OK && strcmp(hex, text_member(file, "sha256")) != 0;
    if (is) link_add(w, at, "file", text_member(file, "name"), "verified", text_member(file, "sha256"), hex, "it names another place of its base, and all else is as recorded", NULL);
    mem_free(settings);
    return is;
}

/* directory NULL: not at hand. */
static void add_files(struct lineage_walk *w, const struct lineage_at *at, const json_t *files, const char *directory)
{
    size_t i;
    const json_t *file;
    json_array_foreach(files, i, file) {
        const char *name = text_member(file, "name");
        char *path = directory ? path_join(directory, name) : NULL;
        if (!is_sent_away(w, at, file, path)) link_add_file(w, at, kind_of(name), name, path, text_member(file, "sha256"), NULL);
        mem_free(path);
    }
}

/* Files that a model is read from and that the record does not have: they change it as much as other bytes do. The journal changes nothing, and a .gguf file that lies with it is a
 * model of its own. directory NULL: not at hand. */
static void add_later(struct lineage_walk *w, const struct lineage_at *at, const json_t *files, const char *directory, const char *why)
{
    json_t *names = NULL;
    const json_t *one;
    size_t i;
    if (!w->c->verify || !directory || lineage_names(&names, directory, NULL) != SC_OK) return;
    json_array_foreach(names, i, one) {
        const char *name = json_string_value(one);
        if (lineage_file_of(files, name) || strcmp(name, LINEAGE_JOURNAL) == 0) continue;
        bool is_apart = path_ends_with(name, ".gguf");
        link_add(w, at, kind_of(name), name, is_apart ? "unknown" : "changed", NULL, NULL, is_apart ? "it came later; ask for its own lineage" : why, NULL);
    }
    json_decref(names);
}

/* The digest that a GGUF file holds of itself. */
static void add_seal(struct lineage_walk *w, const struct lineage_at *at, const char *path)
{
    char said[65] = "", found[65] = "";
    sc_error err = { 0 };
    const char *name = lineage_base_name(path);
    if (w->c->verify) tell(w, name);
    if (gguf_seal_check(said, found, path, &err) != SC_OK) link_add(w, at, "weights", name, "changed", NULL, NULL, err.message, NULL);
    else if (!*said) link_add(w, at, "weights", name, "unknown", NULL, NULL, "the file holds no digest of itself", NULL);
    else link_add(w, at, "weights", name, !w->c->verify ? "recorded" : strcmp(said, found) == 0 ? "verified" : "changed", said, w->c->verify ? found : NULL, NULL, NULL);
}

/* ---- recipe ------------------------------------------------------------------------------------------------------------------------------ */

static bool is_last_part(const char *path, size_t len, const char *name)
{
    while (len && path[len - 1] == '/') len--;
    size_t n = strlen(name);
    return len >= n && memcmp(path + len - n, name, n) == 0 && (len == n || path[len - n - 1] == '/');
}

/* Whether `now`, the path of what no longer lies there, can be what has this name in the record: of the same last part, or, where the store named it, in a directory of that name. */
static bool is_gone(const json_t *recorded, const json_t *now)
{
    const char *name = json_string_value(recorded), *path = json_string_value(now);
    if (!name || !path || !strchr(path, '/') || path_exists(path)) return false;
    name = lineage_base_name(name);
    if (!*name) return false;
    size_t len = strlen(path), up = (size_t)(lineage_base_name(path) - path);
    return is_last_part(path, len, name) || (path_ends_with(path, ".gguf") && is_last_part(path, up, name));
}

/* A member of the recipe: as recorded, as run.json has it with names for paths, as it stands there. What a path that leads nowhere stands for is an input with digests of its own. */
static bool is_same_setting(const char *key, const json_t *recorded, const json_t *named, const json_t *now)
{
    if (json_equal(recorded, named)) return true;
    if (!lineage_recipe_names(key)) return false;
    if (!json_is_array(recorded)) return is_gone(recorded, now);
    if (!json_is_array(now) || json_array_size(now) != json_array_size(recorded)) return false;
    for (size_t i = 0; i < json_array_size(recorded); i++)
        if (!json_equal(json_array_get(recorded, i), json_array_get(named, i)) && !is_gone(json_array_get(recorded, i), json_array_get(now, i))) return false;
    return true;
}

static void add_recipe(struct lineage_walk *w, const struct lineage_at *at)
{
    const json_t *recipe = json_object_get(at->record, "recipe"), *now = json_object_get(at->run, "recipe"), *value;
    const char *key, *other = NULL;
    char why[160];
    if (!recipe) return;
    json_t *named = now ? lineage_recipe(now) : NULL;
    json_object_foreach((json_t *)(uintptr_t)recipe, key, value)
        if (named && !other && !is_same_setting(key, value, json_object_get(named, key), json_object_get(now, key))) other = key;
    snprintf(why, sizeof why, "run.json has another %.60s", other ? other : "");
    link_add(w, at, "recipe", named ? "run.json" : "in the record", !w->c->verify ? "recorded" : other ? "changed" : lineage_is_intact(at->record) ? "verified" : "changed", NULL, NULL, other ? why : NULL, NULL);
    json_decref(named);
}

/* ---- data ---------------------------------------------------------------------------------------------------------------------------------- */

static void add_sources(struct lineage_walk *w, const struct lineage_at *at, const json_t *sources, const json_t *manifest)
{
    static const char *const kept[] = { "records", "bytes", "licence", "source", "revision" };
    size_t i;
    const json_t *source;
    json_array_foreach(sources, i, source) {
        const char *name = text_member(source, "name"), *path = text_member(json_array_get(json_object_get(manifest, "inputs"), i), "file");
        char *found = lineage_find_source(w, path, name);
        json_t *more = json_object();
        for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
            if (json_object_get(source, kept[k])) json_object_set(more, kept[k], json_object_get(source, kept[k]));
        link_add_file(w, at, "source", name, found, text_member(source, "sha256"), more);
        json_decref(more);
        mem_free(found);
    }
}

static void add_dataset(struct lineage_walk *w, const struct lineage_at *at, const json_t *origin)
{
    const json_t *dataset = json_object_get(origin, "dataset");
    char *place = lineage_find(w, at, origin), *file = place ? path_join(place, "dataset.json") : NULL;
    json_t *manifest = NULL, *more = json_object();
    struct lineage_at below = { .place = at->place, .record = at->record, .depth = at->depth + 1 };
    if (is_plain_file(file) && json_read_file(&manifest, file, DATASET_MAX, NULL) != SC_OK) manifest = NULL;
    json_object_set(more, "role", json_object_get(origin, "role"));
    if (json_object_get(dataset, "counts")) json_object_set(more, "counts", json_object_get(dataset, "counts"));
    link_add_file(w, at, "dataset", text_member(origin, "name"), file, text_member(dataset, "sha256"), more);
    add_files(w, &below, json_object_get(dataset, "files"), place);
    add_sources(w, &below, json_object_get(dataset, "sources"), manifest);
    json_decref(more);
    json_decref(manifest);
    mem_free(file);
    mem_free(place);
}

/* ---- models that went in ---------------------------------------------------------------------------------------------------------------------- */

static void walk_record(struct lineage_walk *w, const struct lineage_at *at, const char *name);

static json_t *read_json(const char *directory, const char *name)
{
    json_t *out = NULL;
    char *path = directory ? path_join(directory, name) : NULL;
    if (is_plain_file(path) && json_read_file(&out, path, RUN_MAX, NULL) != SC_OK) out = NULL;
    mem_free(path);
    return out;
}

static char *directory_of(const char *path)
{
    const char *slash = strrchr(path, '/');
    if (path_is_directory(path)) return mem_strdup(path);
    return !slash ? mem_strdup(".") : mem_strndup(path, slash == path ? 1 : (size_t)(slash - path));
}

#define CHANGED_BETWEEN "it was changed between being made and being used"
/* The record of what went in names the files that it made: those that were used must be the same. */
static void compare_outputs(struct lineage_walk *w, const struct lineage_at *at, const json_t *files)
{
    size_t i;
    const json_t *used, *outputs = json_object_get(at->record, "outputs");
    if (!outputs) return;                                          /* a record in a GGUF file has a seal instead */
    json_array_foreach(files, i, used) {
        const char *name = text_member(used, "name"), *b = text_member(used, "sha256");
        const json_t *made = lineage_file_of(outputs, name);
        bool is_apart = !made && (path_ends_with(name, ".gguf") || strcmp(name, LINEAGE_JOURNAL) == 0);
        if (is_apart || (made && strcmp(text_member(made, "sha256"), b) == 0)) continue;
        link_add(w, at, kind_of(name), name, "changed", text_member(made, "sha256"), b, made ? CHANGED_BETWEEN : "it was added between being made and being used", NULL);
    }
}

/* Whether a GGUF file that went in was what its own digest says. Records of earlier versions do not tell; there the file is asked, where it is at hand. */
static void compare_seal(struct lineage_walk *w, const struct lineage_at *at, const json_t *origin, const char *path)
{
    const char *seal = text_member(origin, "seal"), *name = text_member(json_array_get(json_object_get(origin, "files"), 0), "name");
    char said[65], found[65];
    if (strcmp(seal, "broken") == 0) link_add(w, at, "weights", name, "changed", text_member(origin, "seal_said"), text_member(origin, "seal_found"), CHANGED_BETWEEN, NULL);
    else if (strcmp(seal, "missing") == 0) link_add(w, at, "weights", name, "unknown", NULL, NULL, "it had lost the digest of itself when it was used", NULL);
    if (*seal || !w->c->verify || !is_plain_file(path) || gguf_seal_check(said, found, path, NULL) != SC_OK || strcmp(said, found) == 0) return;
    link_add(w, at, "weights", name, "changed", said, found, "it is not what its own digest says", NULL);
}

static void add_model(struct lineage_walk *w, const struct lineage_at *at, const json_t *origin)
{
    static const char *const kept[] = { "role", "kind", "source", "revision", "licence" };
    char *path = lineage_find(w, at, origin), *place = path ? directory_of(path) : NULL;
    json_t *more = json_object(), *run = read_json(place, "run.json"), *adapter = read_json(place, "adapter_config.json");
    const json_t *made = json_object_get(origin, "made"), *files = json_object_get(origin, "files");
    struct lineage_at below = { .place = place, .run = run, .adapter = adapter, .record = made ? made : at->record, .depth = at->depth + 1 };
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (json_object_get(origin, kept[k])) json_object_set(more, kept[k], json_object_get(origin, kept[k]));
    link_add(w, at, text_member(origin, "role"), text_member(origin, "name"), path ? "found" : "absent", NULL, NULL, NULL, more);
    if (path && strcmp(text_member(origin, "kind"), "gguf") == 0) {                /* the file may have another name now */
        const json_t *file = json_array_get(files, 0);
        link_add_file(w, &below, "weights", text_member(file, "name"), path, text_member(file, "sha256"), NULL);
    } else {
        add_files(w, &below, files, path ? place : NULL);
        add_later(w, &below, files, path ? place : NULL, "it was added after it was used");
    }
    if (strcmp(text_member(origin, "kind"), "gguf") == 0) compare_seal(w, &below, origin, path);
    if (made) {
        compare_outputs(w, &below, files);
        walk_record(w, &below, text_member(origin, "name"));
    }
    json_decref(more);
    json_decref(run);
    json_decref(adapter);
    mem_free(place);
    mem_free(path);
}

/* All that a record says but its own outputs. */
static void walk_record(struct lineage_walk *w, const struct lineage_at *at, const char *name)
{
    static const char *const kept[] = { "program", "seed", "steps", "type", "ended" };
    json_t *more = json_object();
    size_t i;
    const json_t *origin;
    char hex[65] = "";
    for (size_t k = 0; k < sizeof kept / sizeof *kept; k++)
        if (json_object_get(at->record, kept[k])) json_object_set(more, kept[k], json_object_get(at->record, kept[k]));
    snprintf(hex, sizeof hex, "%.64s", text_member(at->record, "sha256"));
    bool is_intact = lineage_is_intact(at->record);
    link_add(w, at, "record", name, is_intact ? "verified" : "changed", hex, NULL, is_intact ? NULL : "it does not have the digest that stands in it", more);
    add_recipe(w, at);
    json_array_foreach(json_object_get(at->record, "inputs"), i, origin)
        if (json_object_get(origin, "dataset")) add_dataset(w, at, origin);
        else add_model(w, at, origin);
    json_decref(more);
}

/* ---- the model itself ----------------------------------------------------------------------------------------------------------------------------- */

/* Without a record: what the store's manifest says of the files; false where there is none. */
static bool add_stored(struct lineage_walk *w, const struct lineage_at *at)
{
    struct manifest m;
    if (manifest_read(&m, at->place, NULL) != SC_OK) {
        link_add(w, at, "record", lineage_base_name(at->place), "unknown", NULL, NULL, "no record of how it was made lies with it", NULL);
        return false;
    }
    json_t *more = json_pack("{s:s, s:s, s:s}", "source", m.source, "revision", m.revision, "pulled", m.pulled);
    link_add(w, at, "pulled", m.name, "found", NULL, NULL, NULL, more);
    json_t *files = json_array();
    for (size_t i = 0; i < m.n_files; i++) {
        char *path = path_join(at->place, m.files[i].name);
        link_add_file(w, at, kind_of(m.files[i].name), m.files[i].name, path, m.files[i].sha256, NULL);
        json_array_append_new(files, json_pack("{s:s}", "name", m.files[i].name));
        mem_free(path);
    }
    if (strcmp(m.model, ".") == 0) add_later(w, at, files, at->place, "it was added after the model was pulled");
    json_decref(files);
    json_decref(more);
    manifest_release(&m);
    return true;
}

static void walk_model(struct lineage_walk *w, const char *path)
{
    char *place = directory_of(path);
    json_t *record = NULL, *run = read_json(place, "run.json"), *adapter = read_json(place, "adapter_config.json");
    sc_error err = { 0 };
    struct lineage_at at = { .place = place, .run = run, .adapter = adapter };
    const char *name = lineage_base_name(path);
    if (lineage_read(&record, path, &err) != SC_OK) link_add(w, &at, "record", name, "changed", NULL, NULL, err.message, NULL);
    at.record = record;
    if (record) walk_record(w, &at, name);
    bool is_stored = !record && err.status == SC_OK && add_stored(w, &at);
    if (record && path_is_directory(path)) {
        add_files(w, &at, json_object_get(record, "outputs"), place);
        add_later(w, &at, json_object_get(record, "outputs"), place, "it was added after the model was made");
    } else if (!path_is_directory(path) && !is_stored) add_seal(w, &at, path);
    json_decref(record);
    json_decref(run);
    json_decref(adapter);
    mem_free(place);
}

static void count(json_t *out)
{
    static const char *const states[] = { "verified", "changed", "absent", "unknown", "recorded" };
    json_int_t n[5] = { 0 };
    size_t i;
    const json_t *link;
    json_array_foreach(json_object_get(out, "links"), i, link)
        for (size_t k = 0; k < 5; k++) n[k] += strcmp(text_member(link, "state"), states[k]) == 0;
    for (size_t k = 0; k < 5; k++) json_object_set_new(out, states[k], json_integer(n[k]));
}

sc_status sc_lineage(sc_text *out, const char *model, const sc_lineage_config *c, sc_error *err)
{
    sc_text path = { 0 };
    TRY(sc_store_resolve(&path, model, NULL, err));
    size_t n = strlen(path.data);
    while (n > 1 && path.data[n - 1] == '/') path.data[--n] = 0;
    sc_status status = path_is_directory(path.data) || path_ends_with(path.data, ".gguf") ? SC_OK : FAIL(err, SC_E_ARGUMENT, "%s is no model: give a directory, a .gguf file or a stored name", path.data);
    if (status == SC_OK) {
        struct lineage_walk w = { c, json_array() };
        json_t *all = json_pack("{s:s, s:o}", "model", model, "links", w.links);
        walk_model(&w, path.data);
        count(all);
        status = json_write(out, all, true);
        json_decref(all);
    }
    sc_text_free(&path);
    return status;
}
