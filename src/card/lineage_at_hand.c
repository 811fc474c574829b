/* lineage_at_hand.c - where the parts of a lineage may lie on this machine. Records hold no paths but short relative ones; the rest is looked for. */
#include "card/lineage_walk.h"

#include <string.h>
#include <sys/stat.h>

#include "hub/hub.h"

/* ---- does it fit ------------------------------------------------------------------------------------------------------------------ */

static bool has_size(const char *directory, const json_t *file)
{
    struct stat st;
    const json_t *bytes = json_object_get(file, "bytes");
    char *path = path_join(directory, text_member(file, "name"));
    bool has = stat(path, &st) == 0 && S_ISREG(st.st_mode) && (!bytes || (json_int_t)st.st_size == json_integer_value(bytes));
    mem_free(path);
    return has;
}

/* 2: files of the recorded names and sizes; 1: something of that kind; 0: nothing. */
static int fit_of(const json_t *origin, const char *path)
{
    const char *kind = text_member(origin, "kind");
    const json_t *files = json_object_get(origin, "files"), *file;
    struct stat st;
    size_t i;
    if (!path || !path_exists(path)) return 0;
    if (strcmp(kind, "gguf") == 0) {
        if (stat(path, &st) != 0 || !S_ISREG(st.st_mode)) return 0;
        return (json_int_t)st.st_size == json_integer_value(json_object_get(json_array_get(files, 0), "bytes")) ? 2 : 1;
    }
    if (!path_is_directory(path)) return 0;
    if (strcmp(kind, "dataset") == 0) {
        char *manifest = path_join(path, "dataset.json");
        bool is = path_exists(manifest);
        mem_free(manifest);
        return is ? 2 : 0;
    }
    json_array_foreach(files, i, file)
        if (!has_size(path, file)) return 1;
    return 2;
}

/* ---- places --------------------------------------------------------------------------------------------------------------------------- */

struct search { const json_t *origin; char *best; int fit; };

/* Takes over `path`. */
static void offer(struct search *s, char *path)
{
    int fit = s->fit < 2 ? fit_of(s->origin, path) : 0;
    if (fit > s->fit) {
        mem_free(s->best);
        s->best = path;
        s->fit = fit;
    } else mem_free(path);
}

static void offer_text(struct search *s, const char *text)
{
    if (text && *text) offer(s, mem_strdup(text));
}

static void offer_run(struct search *s, const struct lineage_at *at, const char *role)
{
    const json_t *recipe = json_object_get(at->run, "recipe"), *list;
    if (strcmp(role, "base") == 0) {
        offer_text(s, text_member(recipe, "model_name_or_path"));
        offer_text(s, text_member(at->adapter, "base_model_name_or_path"));
    }
    if (strcmp(role, "adapter") == 0) offer_text(s, text_member(recipe, "init_adapter"));
    bool is_data = strcmp(role, "data") == 0, is_held_out = strcmp(role, "eval_data") == 0;
    if (!is_data && !is_held_out) return;
    if (at->place) offer(s, path_join(at->place, role));
    list = json_object_get(recipe, is_data ? "dataset_name" : "eval_dataset_name");
    if (json_array_size(list) == 1) offer_text(s, json_string_value(json_array_get(list, 0)));
}

/* A stored model that holds the first file of weights, by its digest. */
static void offer_stored(void *user, const struct manifest *m, const char *directory)
{
    struct search *s = user;
    const json_t *files = json_object_get(s->origin, "files"), *file;
    size_t i;
    json_array_foreach(files, i, file)
        for (size_t k = 0; k < m->n_files; k++)
            if (strcmp(m->files[k].sha256, text_member(file, "sha256")) == 0 && m->files[k].size > 1 << 16)
                offer(s, strcmp(m->model, ".") == 0 ? mem_strdup(directory) : path_join(directory, m->model));
}

static void offer_near(struct search *s, const char *near, const char *name)
{
    for (const char *at = near ? near : ""; *at && *name;) {
        size_t n = strcspn(at, ",");
        char *directory = mem_strndup(at, n);
        if (n) offer(s, path_join(directory, name));
        mem_free(directory);
        at += n + (at[n] == ',');
    }
}

char *lineage_find(const struct lineage_walk *w, const struct lineage_at *at, const json_t *origin)
{
    struct search s = { .origin = origin };
    const char *name = text_member(origin, "name"), *relative = text_member(origin, "at");
    const json_t *first = json_array_get(json_object_get(origin, "files"), 0);
    char *home = NULL;
    bool is_model = !json_object_get(origin, "dataset");
    if (at->place && *relative && *relative != '/') offer(&s, path_join(at->place, relative));
    offer_run(&s, at, text_member(origin, "role"));
    if (is_model && s.fit < 2 && store_find_home(&home, NULL, NULL) == SC_OK) {
        if (name_check(name, NULL) == SC_OK) offer(&s, store_model_path(home, name));
        if (s.fit < 2) store_walk(home, offer_stored, &s, NULL);
    }
    offer_near(&s, w->c->near, lineage_base_name(name));
    if (strcmp(text_member(origin, "kind"), "gguf") == 0) offer_near(&s, w->c->near, text_member(first, "name"));
    mem_free(home);
    return s.best;
}

char *lineage_find_source(const struct lineage_walk *w, const char *path, const char *name)
{
    if (path && *path && path_exists(path)) return mem_strdup(path);
    for (const char *at = w->c->near ? w->c->near : ""; *at && *name;) {
        size_t n = strcspn(at, ",");
        char *directory = mem_strndup(at, n), *file = path_join(directory, lineage_base_name(name));
        mem_free(directory);
        if (n && path_exists(file)) return file;
        mem_free(file);
        at += n + (at[n] == ',');
    }
    return NULL;
}
