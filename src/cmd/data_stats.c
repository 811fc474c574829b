/* data_stats.c - the counts of a prepared directory as tables and a histogram for a terminal of 80 columns. */
#include "cmd/data.h"

#include <stdlib.h>
#include <string.h>

enum { NAME_COLUMNS = 24, BAR_COLUMNS = 40, GROUPS_MAX = 25 };

long long member_count(const json_t *object, const char *key)
{
    const json_t *n = json_object_get(object, key);
    return json_is_integer(n) ? json_integer_value(n) : 0;
}

void format_count(char *out, size_t out_bytes, long long n)
{
    char digits[32];
    int len = snprintf(digits, sizeof digits, "%lld", n);
    size_t at = 0;
    for (int i = 0; i < len && at + 2 < out_bytes; i++) {
        if (i && digits[i - 1] != '-' && (len - i) % 3 == 0) out[at++] = ',';
        out[at++] = digits[i];
    }
    if (out_bytes) out[at] = 0;
}

static bool is_first_byte(char c) { return ((unsigned char)c & 0xC0) != 0x80; }

/* The end of a long name says more than its beginning: it is often a path. */
static void print_name(FILE *to, const char *name)
{
    size_t characters = 0;
    for (const char *c = name; *c; c++) characters += is_first_byte(*c);
    bool is_cut = characters > NAME_COLUMNS;
    if (is_cut) characters += 2;
    fputs(is_cut ? "  .." : "  ", to);
    while (characters > NAME_COLUMNS) {
        do name++; while (*name && !is_first_byte(*name));
        characters--;
    }
    print_safe(to, name, strlen(name));
    for (; characters < NAME_COLUMNS; characters++) putc(' ', to);
}

static void print_count(FILE *to, long long n, int columns)
{
    char text[40];
    format_count(text, sizeof text, n);
    fprintf(to, " %*s", columns, text);
}

static void print_share(FILE *to, long long part, long long whole)
{
    if (whole > 0) fprintf(to, " %6.1f %%", 100 * (double)part / (double)whole);
}

/* One of {"name":{"samples","tokens","trained"}}. */
struct group { const char *name; json_t *row; };

static int by_tokens(const void *a, const void *b)
{
    long long x = member_count(((const struct group *)a)->row, "tokens"), y = member_count(((const struct group *)b)->row, "tokens");
    return (y > x) - (y < x);
}

/* Name, samples, tokens, trained and its share; of many the largest. */
static void print_groups(FILE *to, const char *title, json_t *rows)
{
    size_t n = 0, len = json_object_size(rows);
    const char *name;
    json_t *row;
    struct group *list = len ? calloc(len, sizeof *list) : NULL;
    if (!list) return;
    json_object_foreach(rows, name, row) list[n++] = (struct group){ name, row };
    if (n > GROUPS_MAX) qsort(list, n, sizeof *list, by_tokens);
    fprintf(to, "\n%-*s %11s %15s %15s\n", NAME_COLUMNS + 2, title, "samples", "tokens", "trained");
    for (size_t i = 0; i < n && i < GROUPS_MAX; i++) {
        row = list[i].row;
        print_name(to, list[i].name);
        print_count(to, member_count(row, "samples"), 11);
        print_count(to, member_count(row, "tokens"), 15);
        print_count(to, member_count(row, "trained"), 15);
        print_share(to, member_count(row, "trained"), member_count(row, "tokens"));
        putc('\n', to);
    }
    if (n > GROUPS_MAX) fprintf(to, "  and %zu smaller ones, see --json\n", n - GROUPS_MAX);
    free(list);
}

static void print_roles(FILE *to, const json_t *stats)
{
    const char *name;
    json_t *n;
    fprintf(to, "\n%-*s %11s %15s %15s\n", NAME_COLUMNS + 2, "role", "", "tokens", "trained");
    json_object_foreach(json_object_get(stats, "per_role"), name, n) {
        long long trained = member_count(json_object_get(stats, "trained_per_role"), name);
        print_name(to, name);
        fprintf(to, " %11s", "");
        print_count(to, json_integer_value(n), 15);
        print_count(to, trained, 15);
        print_share(to, trained, json_integer_value(n));
        putc('\n', to);
    }
}

static void print_lengths(FILE *to, const json_t *stats)
{
    const json_t *lengths = json_object_get(stats, "lengths"), *n;
    long long most = 0, from = 1;
    size_t i, first = json_array_size(lengths);
    json_array_foreach(lengths, i, n) {
        if (json_integer_value(n) > most) most = json_integer_value(n);
        if (json_integer_value(n) && i < first) first = i;
    }
    if (most) fprintf(to, "\ntokens of a sample: %lld to %lld, half of them at most %lld\n", member_count(stats, "shortest"), member_count(stats, "longest"), member_count(stats, "median"));
    json_array_foreach(lengths, i, n) {
        long long count = json_integer_value(n);
        int bar = most ? (int)((count * BAR_COLUMNS + most - 1) / most) : 0;
        if (i >= first) {
            fprintf(to, "  %8lld - %-9lld", from, 2 * from - 1);
            print_count(to, count, 11);
            fputs(bar ? "  " : "", to);
            for (int k = 0; k < bar; k++) putc('#', to);
            putc('\n', to);
        }
        from *= 2;
    }
}

/* All other counts that are not zero, by their names. */
static void print_rest(FILE *to, json_t *stats)
{
    static const char *const shown[] = { "packed_rows", "samples", "tokens", "trained", "row_length", "shortest", "median", "longest" };
    const char *name;
    json_t *n;
    fputs("\nprepared from\n", to);
    json_object_foreach(stats, name, n) {
        bool is_shown = !json_is_integer(n) || json_integer_value(n) == 0;
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) is_shown |= strcmp(shown[i], name) == 0;
        if (is_shown) continue;
        char words[64];
        snprintf(words, sizeof words, "%s", name);
        for (char *c = words; *c; c++) if (*c == '_') *c = ' ';
        fputs("  ", to);
        fprintf(to, "%-*s", NAME_COLUMNS + 10, words);
        print_count(to, json_integer_value(n), 15);
        putc('\n', to);
    }
    json_t *dropped = json_object_get(stats, "dropped");
    if (json_object_size(dropped)) fputs("\nleft out\n", to);
    json_object_foreach(dropped, name, n) {
        print_name(to, name);
        fprintf(to, "%10s", "");
        print_count(to, json_integer_value(n), 15);
        putc('\n', to);
    }
}

void stats_print(FILE *to, const struct args_common *c, const json_t *stats)
{
    char tokens[40], trained[40], rows[40];
    const json_t *tokenizer = json_object_get(stats, "tokenizer"), *template = json_object_get(stats, "template"), *fill = json_object_get(stats, "fill");
    long long n = member_count(stats, "tokens"), t = member_count(stats, "trained");
    (void)c;
    format_count(tokens, sizeof tokens, n);
    format_count(trained, sizeof trained, t);
    format_count(rows, sizeof rows, member_count(stats, "packed_rows"));
    fprintf(to, "%s tokens, %s of them trained (%.1f %%), in %s row%s", tokens, trained, n ? 100 * (double)t / (double)n : 0, rows, member_count(stats, "packed_rows") == 1 ? "" : "s");
    if (member_count(stats, "row_length")) fprintf(to, " of %lld, %.1f %% full", member_count(stats, "row_length"), 100 * json_real_value(fill));
    fputs("\ntokenizer ", to);
    print_safe(to, json_is_string(tokenizer) ? json_string_value(tokenizer) : "?", json_is_string(tokenizer) ? json_string_length(tokenizer) : 1);
    fputs(", template ", to);
    print_safe(to, json_is_string(template) ? json_string_value(template) : "?", json_is_string(template) ? json_string_length(template) : 1);
    putc('\n', to);
    print_groups(to, "split", json_object_get(stats, "splits"));
    print_groups(to, "source", json_object_get(stats, "per_source"));
    print_groups(to, "language", json_object_get(stats, "per_language"));
    print_roles(to, stats);
    print_lengths(to, stats);
    print_rest(to, (json_t *)stats);
}
