/* data_inputs.c - the inputs of `data`: names of the Hub's data sets ("org/dataset[@revision]") are fetched first and
 * become their files of data; all else goes on as it was typed. */
#include "cmd/cmd.h"
#include "cmd/data.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void add(struct data_inputs *in, char *path)
{
    in->path = realloc(in->path, (in->n + 1) * sizeof *in->path);
    if (!in->path) abort();
    in->path[in->n++] = path;
}

/* One slash, no blanks or wildcards, and nothing of that name on this machine. */
static bool is_hub_name(const char *input)
{
    const char *slash = strchr(input, '/');
    if (!slash || slash == input || !slash[1] || strpbrk(input, "*?[ ") || *input == '.' || *input == '/' || access(input, F_OK) == 0) return false;
    const char *at = strchr(slash, '@'), *second = strchr(slash + 1, '/');
    return !second || (at && second > at);
}

static int is_data(const struct dirent *e)
{
    static const char *const endings[] = { ".parquet", ".arrow", ".jsonl", ".json", ".csv", ".tsv", ".gz", ".zst" };
    size_t len = strlen(e->d_name);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) {
        size_t n = strlen(endings[i]);
        if (len > n && strcmp(e->d_name + len - n, endings[i]) == 0) return strcmp(e->d_name, "manifest.json") != 0;
    }
    return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b) { return strcmp((*a)->d_name, (*b)->d_name); }

/* The files of data of a fetched set; `weight` is "" or ":0.5". */
static void add_files(struct data_inputs *in, const char *directory, const char *weight)
{
    struct dirent **entry = NULL;
    int n = scandir(directory, &entry, is_data, by_name);
    for (int i = 0; i < n; i++) {
        size_t bytes = strlen(directory) + strlen(entry[i]->d_name) + strlen(weight) + 2;
        char *path = malloc(bytes);
        if (!path) abort();
        snprintf(path, bytes, "%s/%s%s", directory, entry[i]->d_name, weight);
        add(in, path);
        free(entry[i]);
    }
    free(entry);
}

static int add_from_hub(struct data_inputs *in, struct args_common *c, const char *input)
{
    const char *colon = strrchr(input, ':');
    char name[512];
    sc_text path = { 0 };
    sc_error err = { 0 };
    snprintf(name, sizeof name, "datasets/%.*s", (int)(colon ? (size_t)(colon - input) : strlen(input)), input);
    if (sc_store_resolve(&path, name, NULL, NULL) != SC_OK) {
        sc_pull_config pull;
        sc_options_defaults(sc_options_for("pull"), &pull);
        pull.source = name;
        pull.on_event = draw_event;
        pull.user = c;
        if (sc_pull(&path, &pull, &err) != SC_OK) return fail_with(c, &err);
    }
    add_files(in, path.data, colon ? colon : "");
    sc_text_free(&path);
    return ARGS_GO;
}

int data_inputs_open(struct data_inputs *in, struct args_common *c, const char *const *input, size_t n)
{
    *in = (struct data_inputs){ 0 };
    for (size_t i = 0; i < n; i++) {
        int code = ARGS_GO;
        if (is_hub_name(input[i])) code = add_from_hub(in, c, input[i]);
        else {
            char *copy = strdup(input[i]);
            if (!copy) abort();
            add(in, copy);
        }
        if (code != ARGS_GO) return code;
    }
    return ARGS_GO;
}

void data_inputs_close(struct data_inputs *in)
{
    for (size_t i = 0; i < in->n; i++) free(in->path[i]);
    free(in->path);
    *in = (struct data_inputs){ 0 };
}
