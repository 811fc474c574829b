/* cmd_show.c - `show`: a model described for people, or as the library's JSON with what the store knows. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>

enum { LABEL = 16, WIDTH = 100 };

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

static long long number(const json_t *object, const char *key) { return json_integer_value(json_object_get(object, key)); }

/* ---- lines ----------------------------------------------------------------------------------------------------------------- */

static void label(const char *text) { printf("%-*s", LABEL, text); }

static void print_member(const char *name, const json_t *object, const char *key)
{
    const char *text = member(object, key);
    if (!*text) return;
    label(name);
    print_safe(stdout, text, strlen(text));
    putchar('\n');
}

/* 134515008 as "134.5 M". */
static void print_count(double n)
{
    static const char *const units[] = { "", " k", " M", " G", " T" };
    size_t u = 0;
    while (n >= 999.5 && u < 4) {
        n /= 1000;
        u++;
    }
    printf("%.*f%s", u > 0 && n < 999.5 ? 1 : 0, n, units[u]);
}

/* Parameters by storage type, the most frequent first. */
static void print_types(json_t *types)
{
    const char *name, *most;
    json_t *count;
    for (const char *separator = ""; json_object_size(types); separator = ", ") {
        most = NULL;
        json_object_foreach(types, name, count)
            if (!most || json_integer_value(count) > number(types, most)) most = name;
        printf("%s%s ", separator, most);
        print_count((double)number(types, most));
        json_object_del(types, most);
    }
}

static void print_size(const json_t *d)
{
    char all[32], token[32];
    json_t *types = json_copy(json_object_get(d, "dtypes"));
    label("parameters");
    print_count((double)number(d, "parameters"));
    if (json_object_size(types)) printf(" (");
    bool has_types = json_object_size(types) > 0;
    print_types(types);
    printf("%s\n", has_types ? ")" : "");
    format_bytes(all, sizeof all, (double)number(d, "bytes"));
    format_bytes(token, sizeof token, (double)number(d, "decode_bytes"));
    label("size");
    if (has_types) printf("%s, of which a generated token reads %s\n", all, token);
    else puts("no weights here");
    json_decref(types);
}

static void print_shape(const json_t *d)
{
    long long heads = number(d, "heads"), kv_heads = number(d, "kv_heads"), window = number(d, "sliding_window");
    const json_t *scaling = json_object_get(d, "rope_scaling");
    const char *type = *member(scaling, "rope_type") ? member(scaling, "rope_type") : member(scaling, "type");
    label("context");
    printf("%lld tokens", number(d, "context"));
    if (window) printf("; sliding window of %lld in %lld of %lld layers", window, number(d, "sliding_window_layers"), number(d, "layers"));
    putchar('\n');
    label("layers");
    printf("%lld, %lld wide, feed-forward %lld\n", number(d, "layers"), number(d, "embd"), number(d, "inner"));
    label("attention");
    printf("%lld heads of %lld, ", heads, number(d, "head_dim"));
    if (kv_heads == heads) puts("each with keys and values of its own");
    else printf("%lld for keys and values (%s)\n", kv_heads, kv_heads == 1 ? "multi-query" : "grouped");
    label("positions");
    fputs(member(d, "positions"), stdout);
    if (json_object_get(d, "rope_theta")) printf(", base %.9g", json_number_value(json_object_get(d, "rope_theta")));
    if (*type) {
        printf(", scaled by %g (", json_number_value(json_object_get(scaling, "factor")));
        print_safe(stdout, type, strlen(type));
        putchar(')');
    }
    putchar('\n');
}

/* "bos <s> (1), eos </s> (2)", in lines of readable width. */
static void print_special(json_t *special)
{
    const char *role;
    json_t *token;
    size_t at = LABEL;
    label("special tokens");
    json_object_foreach(special, role, token) {
        size_t n = strlen(role) + strlen(member(token, "text")) + 10;
        if (at > LABEL) fputs(at + n > WIDTH ? ",\n" : ", ", stdout);
        if (at > LABEL && at + n > WIDTH) {
            label("");
            at = LABEL;
        }
        for (const char *c = role; *c; c++) putchar(*c == '_' ? ' ' : *c);
        putchar(' ');
        print_safe(stdout, member(token, "text"), strlen(member(token, "text")));
        printf(" (%lld)", number(token, "id"));
        at += n;
    }
    puts(json_object_size(special) ? "" : "none");
}

static void print_text_part(const json_t *d)
{
    const char *template = member(d, "template");
    size_t lines = 1, first = strcspn(template, "\n");
    label("vocabulary");
    printf("%lld tokens, the head %s\n", number(d, "vocab"), json_is_true(json_object_get(d, "tied_head")) ? "tied to the embedding" : "a matrix of its own");
    if (json_object_get(d, "special_tokens")) print_special(json_object_get(d, "special_tokens"));
    label("tokenizer");
    if (*member(d, "tokenizer")) print_safe(stdout, member(d, "tokenizer"), strlen(member(d, "tokenizer")));
    else if (json_object_get(d, "special_tokens")) printf("byte-level BPE (%s), %lld tokens", member(d, "pre_tokenizer"), number(d, "tokens"));
    else printf("none");
    putchar('\n');
    label("chat template");
    for (const char *c = template; *c; c++) lines += *c == '\n' && c[1];
    print_safe(stdout, *template ? template : "none", !*template ? 4 : first > 60 ? 60 : first);
    if (lines > 1 || first > 60) printf(" ... (%zu line%s, see --json)", lines, lines > 1 ? "s" : "");
    putchar('\n');
}

static void print_description(const json_t *d)
{
    print_member("model", d, "path");
    print_member("name", d, "name");
    label("architecture");
    printf("%s, as %s\n", member(d, "arch"), strcmp(member(d, "format"), "gguf") == 0 ? "GGUF" : "a Hugging Face directory");
    print_size(d);
    print_shape(d);
    print_text_part(d);
    print_member("licence", d, "licence");
    print_member("stored as", d, "stored_as");
    print_member("source", d, "source");
    print_member("revision", d, "revision");
    print_member("pulled", d, "pulled");
}

/* ---- the command ----------------------------------------------------------------------------------------------------------- */

/* What the store knows better than the files: name, source, and the licence of a built-in name. */
static void add_store(json_t *description, const char *path)
{
    static const char *const keys[][2] = { { "name", "stored_as" }, { "source", "source" }, { "revision", "revision" }, { "pulled", "pulled" } };
    sc_text text = { 0 };
    json_t *list = sc_store_list(&text, NULL, NULL) == SC_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL, *names;
    const json_t *row;
    size_t i;
    sc_text_free(&text);
    names = sc_store_names(&text, NULL) == SC_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    sc_text_free(&text);
    json_array_foreach(list, i, row) {
        if (strcmp(member(row, "path"), path) != 0) continue;
        for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
            if (*member(row, keys[k][0])) json_object_set(description, keys[k][1], json_object_get(row, keys[k][0]));
    }
    json_array_foreach(names, i, row)
        if (strcmp(member(row, "name"), member(description, "stored_as")) == 0 && !*member(description, "licence"))
            json_object_set(description, "licence", json_object_get(row, "licence"));
    json_decref(list);
    json_decref(names);
}

static int run_show(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text path = { 0 }, text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (sc_store_resolve(&path, a.operand[0], NULL, &err) != SC_OK || sc_model_describe(&text, path.data, &err) != SC_OK)
        code = fail_with(&a.common, &err);
    else {
        json_t *description = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
        code = description ? EXIT_DONE : fail_text("the library's answer is not valid JSON");
        if (description) add_store(description, path.data);
        if (description && a.common.json) {
            json_dumpf(description, stdout, JSON_INDENT(2));
            putchar('\n');
        } else if (description) print_description(description);
        json_decref(description);
    }
    sc_text_free(&path);
    sc_text_free(&text);
    return code;
}

static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };
const struct command command_show = {
    .name = "show", .operands = "MODEL", .summary = "architecture, size, types, template and licence of a model",
    .min_operands = 1, .max_operands = 1, .run = run_show, .flags = json_flags,
};
