/* store_alias.c - names that stand for other names or for paths: the file HOME/aliases/<name> holds the other one in a line. A file each,
 * so that two processes never write over one another. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char *alias_path(const char *home, const char *name)
{
    char *encoded = name_encode(name), *directory = path_join(home, "aliases"), *path = path_join(directory, encoded);
    mem_free(encoded);
    mem_free(directory);
    return path;
}

/* A line that a person may have edited: a name or an absolute path. */
static bool is_target(const char *text, size_t len)
{
    if (!len || len > PATH_MAX || memchr(text, 0, len)) return false;
    for (size_t i = 0; i < len; i++)
        if ((unsigned char)text[i] < ' ' || text[i] == 127) return false;
    return text[0] == '/' || name_check(text, NULL) == SC_OK;
}

static char *read_target(const char *path)
{
    sc_text text = { 0 };
    char *target = NULL;
    if (file_read(&text, path, PATH_MAX + 1, NULL) != SC_OK) return NULL;
    if (text.len && text.data[text.len - 1] == '\n') text.data[--text.len] = 0;
    if (is_target(text.data, text.len)) target = mem_strdup(text.data);
    sc_text_free(&text);
    return target;
}

char *alias_target(const char *home, const char *name)
{
    if (name_check(name, NULL) != SC_OK) return NULL;
    char *path = alias_path(home, name), *target = read_target(path);
    mem_free(path);
    return target;
}

void alias_walk(const char *home, void (*visit)(void *user, const char *name, const char *target), void *user)
{
    char *directory = path_join(home, "aliases");
    DIR *d = opendir(directory);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char *name = name_decode(e->d_name), *path = path_join(directory, e->d_name), *target = name ? read_target(path) : NULL;
        if (target) visit(user, name, target);
        mem_free(name);
        mem_free(path);
        mem_free(target);
    }
    if (d) closedir(d);
    mem_free(directory);
}

bool alias_remove(const char *home, const char *name)
{
    char *path = alias_path(home, name);
    bool is_removed = name_check(name, NULL) == SC_OK && unlink(path) == 0;
    mem_free(path);
    return is_removed;
}

/* What the alias will stand for: not another alias, so that no chain and no circle can be. */
static sc_status find_target(char **out, const char *target, const char *home, sc_error *err)
{
    sc_text found = { 0 };
    char *real = path_exists(target) ? realpath(target, NULL) : NULL, *other = NULL;
    *out = NULL;
    if (real) *out = mem_strdup(real);
    else if ((other = alias_target(home, target)) != NULL) *out = other;
    else {
        TRY(sc_store_resolve(&found, target, home, err));
        sc_text_free(&found);
        const struct builtin_model *b = builtin_find(target);
        *out = mem_strdup(b ? b->name : target);
    }
    free(real);
    if (is_target(*out, strlen(*out))) return SC_OK;
    mem_free(*out);
    *out = NULL;
    return FAIL(err, SC_E_ARGUMENT, "a path with control characters or longer than %d bytes cannot have an alias", PATH_MAX);
}

static sc_status check_free(const char *name, const char *home, sc_error *err)
{
    TRY(name_check(name, err));
    if (builtin_find(name)) return FAIL(err, SC_E_ARGUMENT, "%s is a built-in name and means one model; take another name for the alias", name);
    char *stored = store_model_path(home, name);
    mem_free(stored);
    return stored ? FAIL(err, SC_E_ARGUMENT, "a model is stored as %s; take another name for the alias, or remove it with `starchat rm %s`", name, name) : SC_OK;
}

static sc_status set_alias(const char *name, const char *target, const char *home, sc_error *err)
{
    char *to = NULL, *path = alias_path(home, name), *directory = path_join(home, "aliases");
    sc_status status = check_free(name, home, err);
    if (status == SC_OK) status = find_target(&to, target, home, err);
    if (status == SC_OK && !strcmp(to, name)) status = FAIL(err, SC_E_ARGUMENT, "%s would be an alias of itself", name);
    if (status == SC_OK) status = path_make_directories(directory, err);
    if (status == SC_OK) {
        struct buf line;
        buf_init(&line, 0);
        buf_printf(&line, "%s\n", to);
        status = file_write(path, line.data, line.len, err);
        buf_release(&line);
    }
    mem_free(to);
    mem_free(path);
    mem_free(directory);
    return status;
}

sc_status sc_store_alias(const char *name, const char *target, const char *home, sc_error *err)
{
    char *store = NULL;
    if (!name || !*name) return FAIL(err, SC_E_ARGUMENT, "the name of the alias is empty");
    TRY(store_find_home(&store, home, err));
    sc_status status = SC_OK;
    if (target) status = set_alias(name, target, store, err);
    else if (!alias_remove(store, name)) {
        char quoted[120];
        status = FAIL(err, SC_E_ARGUMENT, "there is no alias \"%s\"; `starchat alias` lists them", error_quote(quoted, sizeof quoted, name, strlen(name)));
    }
    mem_free(store);
    return status;
}
