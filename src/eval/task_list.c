/* task_list.c - which tasks there are: those in the program, and files that the user names. */
#include "eval/eval_internal.h"

#include <string.h>

/* embedded/tasks.c, made of tasks/ by tools/embed_tasks.sh. */
struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };
extern const struct eval_task_file eval_task_files[];

sc_status eval_tasks_builtin(struct eval_tasks *out, sc_error *err)
{
    for (const struct eval_task_file *f = eval_task_files; f->name; f++) TRY(eval_tasks_parse(out, (const char *)f->text, f->bytes, f->name, err));
    return SC_OK;
}

static bool is_in_group(const struct eval_task *t, const char *group)
{
    for (size_t i = 0; i < t->groups.n; i++)
        if (!strcmp(t->groups.at[i], group)) return true;
    return false;
}

static void select_one(struct eval_selection *s, struct eval_chosen chosen)
{
    for (size_t i = 0; i < s->n; i++)
        if (s->at[i].task == chosen.task) return;
    s->at = mem_grow(s->at, (s->n + 1) * sizeof *s->at);
    s->at[s->n++] = chosen;
}

/* The names of tasks and groups nearest to what was asked for, for a message. */
static const char *nearest(const struct eval_tasks *all, const char *name)
{
    const char *best = "";
    int least = 1000;
    for (size_t i = 0; i < all->n; i++) {
        for (size_t k = 0; k <= all->at[i]->groups.n; k++) {
            const char *one = k ? all->at[i]->groups.at[k - 1] : all->at[i]->name;
            int d = text_distance(name, one);
            if (d < least) { least = d; best = one; }
        }
    }
    for (size_t i = 0; i < all->n_suites; i++)
        if (text_distance(name, all->suite[i].name) < least) { least = text_distance(name, all->suite[i].name); best = all->suite[i].name; }
    return best;
}

static sc_status select_name(struct eval_selection *s, const struct eval_tasks *all, const char *name, int64_t shots, int split, sc_error *err)
{
    bool is_group = false, is_known = false;
    for (size_t i = 0; i < all->n; i++) {
        bool is_it = !strcmp(all->at[i]->name, name), belongs = is_in_group(all->at[i], name);
        if (is_it || belongs) select_one(s, (struct eval_chosen){ all->at[i], shots, split });
        is_group = is_group || belongs;
        is_known = is_known || is_it || belongs;
    }
    if (is_group) strings_add(&s->groups, name);
    if (is_known) return SC_OK;
    char quoted[80];
    return FAIL(err, SC_E_ARGUMENT, "there is no task or group \"%s\"; did you mean %s? `starchat eval --list` shows all, and a task of your own is a YAML file", error_quote(quoted, sizeof quoted, name, strlen(name)), nearest(all, name));
}

static sc_status select_suite(struct eval_selection *s, const struct eval_tasks *all, const struct eval_suite *suite, sc_error *err)
{
    for (size_t i = 0; i < suite->n; i++) TRY(select_name(s, all, suite->row[i].task, suite->row[i].shots, suite->row[i].split, err));
    return SC_OK;
}

static const struct eval_suite *find_suite(const struct eval_tasks *all, const char *name)
{
    for (size_t i = 0; i < all->n_suites; i++)
        if (!strcmp(all->suite[i].name, name)) return &all->suite[i];
    return NULL;
}

sc_status eval_select(struct eval_selection *out, struct eval_tasks *all, const char *names, sc_error *err)
{
    sc_status status = SC_OK;
    *out = (struct eval_selection){ 0 };
    for (const char *at = names; status == SC_OK && *at;) {
        size_t len = strcspn(at, ",");
        char *name = mem_strndup(at, len);
        if (path_ends_with(name, ".yaml") || path_ends_with(name, ".yml")) {
            size_t first = all->n;
            sc_text text = { 0 };
            status = file_read(&text, name, 1 << 20, err);
            if (status == SC_OK) status = eval_tasks_parse(all, text.data, text.len, name, err);
            for (size_t i = first; status == SC_OK && i < all->n; i++) select_one(out, (struct eval_chosen){ all->at[i], -1, -1 });
            sc_text_free(&text);
        } else if (len) {
            const struct eval_suite *suite = find_suite(all, name);
            status = suite ? select_suite(out, all, suite, err) : select_name(out, all, name, -1, -1, err);
        }
        mem_free(name);
        at += len + (at[len] == ',');
    }
    if (status == SC_OK && !out->n) status = FAIL(err, SC_E_ARGUMENT, "no task is named; `starchat eval --list` shows all");
    if (status != SC_OK) eval_selection_release(out);
    return status;
}

void eval_selection_release(struct eval_selection *s)
{
    mem_free(s->at);
    strings_release(&s->groups);
    *s = (struct eval_selection){ 0 };
}
