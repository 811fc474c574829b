/* report_plots.c - the statistics as numbers, plots and tables of a page. The plots are small SVG drawings written by hand:
 * bars with their values beside them, so that nothing has to be read off an axis. */
#include "data/dataset.h"

#include <stdlib.h>
#include <string.h>

enum { WIDTH = 720, NAME_WIDTH = 190, VALUE_WIDTH = 170, BAR_HEIGHT = 18, BAR_STEP = 27, BARS_MAX = 25, NAME_CHARACTERS = 26, HISTOGRAM_HEIGHT = 170 };

/* ---- small parts ---------------------------------------------------------------------------------------------------------- */

static uint64_t count_of(const json_t *o, const char *key)
{
    const json_t *n = json_object_get(o, key);
    return json_is_integer(n) && json_integer_value(n) > 0 ? (uint64_t)json_integer_value(n) : 0;
}

static double share(uint64_t part, uint64_t whole) { return whole ? 100 * (double)part / (double)whole : 0; }

static void section(struct buf *out, const char *title, const char *text)
{
    buf_puts(out, "<h2>");
    html_puts(out, title);
    buf_puts(out, "</h2>\n");
    if (!text) return;
    buf_puts(out, "<p class=\"sub\">");
    html_puts(out, text);
    buf_puts(out, "</p>\n");
}

static void card(struct buf *out, const char *label, uint64_t n)
{
    buf_puts(out, "<div class=\"card\"><b>");
    html_put_count(out, n);
    buf_printf(out, "</b><span>%s</span></div>\n", label);
}

static void card_share(struct buf *out, const char *label, double percent) { buf_printf(out, "<div class=\"card\"><b>%.1f %%</b><span>%s</span></div>\n", percent, label); }

/* ---- horizontal bars --------------------------------------------------------------------------------------------------------- */

struct bar { const char *name; uint64_t whole, part; };   /* `part`, the trained, is a piece of `whole` */
struct bar_list { struct bar *bar; size_t len; bool has_part; };

static int by_size(const void *a, const void *b)
{
    const struct bar *x = a, *y = b;
    if (x->whole != y->whole) return x->whole < y->whole ? 1 : -1;
    return strcmp(x->name, y->name);
}

void html_put_tail(struct buf *out, const char *name, size_t most)
{
    size_t n = strlen(name), skip = 0, characters = utf8_count(name, n);
    for (; characters > most; characters--)
        do skip++; while (skip < n && ((unsigned char)name[skip] & 0xC0) == 0x80);
    if (skip) buf_puts(out, "\u2026");
    html_put(out, name + skip, n - skip);
}

static void put_bar(struct buf *out, const struct bar *b, size_t i, double scale, bool has_part)
{
    double whole = (double)b->whole * scale, part = (double)b->part * scale;
    size_t y = i * BAR_STEP;
    buf_printf(out, "<text x=\"%d\" y=\"%zu\" text-anchor=\"end\">", NAME_WIDTH - 10, y + 14);
    html_put_tail(out, b->name, NAME_CHARACTERS);
    buf_printf(out, "</text><rect class=\"rest\" x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>", NAME_WIDTH, y, whole > 1 ? whole : 1, BAR_HEIGHT);
    if (part > 0) buf_printf(out, "<rect class=\"trained\" x=\"%d\" y=\"%zu\" width=\"%.1f\" height=\"%d\" rx=\"2\"/>", NAME_WIDTH, y, part > 1 ? part : 1, BAR_HEIGHT);
    buf_printf(out, "<text x=\"%.1f\" y=\"%zu\">", NAME_WIDTH + whole + 8, y + 14);
    html_put_count(out, b->whole);
    if (has_part) buf_printf(out, "<tspan class=\"soft\" dx=\"8\">%.1f %%</tspan>", share(b->part, b->whole));
    buf_puts(out, "</text>\n");
}

static void plot_bars(struct buf *out, struct bar_list *l, const char *label)
{
    size_t shown = l->len < BARS_MAX ? l->len : BARS_MAX;
    qsort(l->bar, l->len, sizeof *l->bar, by_size);
    double scale = l->len && l->bar[0].whole ? (double)(WIDTH - NAME_WIDTH - VALUE_WIDTH) / (double)l->bar[0].whole : 0;
    buf_printf(out, "<svg viewBox=\"0 0 %d %zu\" role=\"img\" aria-label=\"%s\">\n", WIDTH, shown * BAR_STEP, label);
    for (size_t i = 0; i < shown; i++) put_bar(out, &l->bar[i], i, scale, l->has_part);
    buf_puts(out, "</svg>\n");
    if (l->len > shown) buf_printf(out, "<p class=\"sub\">and %zu smaller ones, see --json</p>\n", l->len - shown);
    mem_free(l->bar);
}

/* {"name":{"tokens","trained"}} or {"name":n} with the trained ones beside. */
static struct bar_list bars_of(json_t *rows, const json_t *trained)
{
    struct bar_list l = { .bar = mem_zero(json_object_size(rows) + 1, sizeof *l.bar) };
    const char *name;
    json_t *row;
    json_object_foreach(rows, name, row) {
        bool is_group = json_is_object(row);
        l.bar[l.len++] = (struct bar){ name, is_group ? count_of(row, "tokens") : count_of(rows, name), is_group ? count_of(row, "trained") : count_of(trained, name) };
        l.has_part |= is_group || trained;
    }
    for (size_t i = 0; i < l.len; i++)
        if (l.bar[i].part > l.bar[i].whole) l.bar[i].part = l.bar[i].whole;
    return l;
}

static void put_bars(struct buf *out, const char *title, const char *text, json_t *rows, const json_t *trained)
{
    if (!json_object_size(rows)) return;
    struct bar_list l = bars_of(rows, trained);
    section(out, title, text);
    plot_bars(out, &l, title);
}

/* ---- the histogram of lengths -------------------------------------------------------------------------------------------------- */

static void put_column(struct buf *out, size_t i, size_t first, double step, uint64_t n, double scale)
{
    double height = (double)n * scale, x = (double)(i - first) * step, y = 20 + HISTOGRAM_HEIGHT - height;
    unsigned long long from = 1ull << i;
    if (n && height < 1) y = 20 + HISTOGRAM_HEIGHT - (height = 1);
    buf_printf(out, "<rect class=\"plain\" x=\"%.1f\" y=\"%.1f\" width=\"%.1f\" height=\"%.1f\" rx=\"2\"/>", x + step * 0.08, y, step * 0.84, height);
    buf_printf(out, "<text x=\"%.1f\" y=\"%.1f\" text-anchor=\"middle\">", x + step / 2, y - 6);
    html_put_count(out, n);
    buf_printf(out, "</text><text class=\"soft\" x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%llu", x + step / 2, HISTOGRAM_HEIGHT + 38, from);
    if (i) buf_printf(out, "\u2013%llu", 2 * from - 1);
    buf_puts(out, "</text>\n");
}

static void plot_lengths(struct buf *out, const json_t *stats)
{
    const json_t *lengths = json_object_get(stats, "lengths"), *n;
    size_t i, first = json_array_size(lengths), len = first;
    uint64_t most = 0;
    json_array_foreach(lengths, i, n) {
        uint64_t count = (uint64_t)json_integer_value(n);
        if (count > most) most = count;
        if (count && first == len) first = i;
    }
    if (!most) return;
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "from %llu to %llu, half of them at most %llu", (unsigned long long)count_of(stats, "shortest"), (unsigned long long)count_of(stats, "longest"), (unsigned long long)count_of(stats, "median"));
    section(out, "Tokens of a sample", text.data);
    buf_release(&text);
    double step = (double)WIDTH / (double)(len - first > 6 ? len - first : 6);
    buf_printf(out, "<svg viewBox=\"0 0 %d %d\" role=\"img\" aria-label=\"histogram of sample lengths\"><line class=\"axis\" x1=\"0\" x2=\"%d\" y1=\"%d\" y2=\"%d\"/>\n", WIDTH, HISTOGRAM_HEIGHT + 50, WIDTH,
               HISTOGRAM_HEIGHT + 20, HISTOGRAM_HEIGHT + 20);
    for (i = first; i < len; i++) put_column(out, i, first, step, (uint64_t)json_integer_value(json_array_get(lengths, i)), (double)HISTOGRAM_HEIGHT / (double)most);
    buf_puts(out, "</svg>\n");
}

/* ---- tables ------------------------------------------------------------------------------------------------------------------------ */

static void put_number_cell(struct buf *out, uint64_t n)
{
    buf_puts(out, "<td class=\"n\">");
    html_put_count(out, n);
    buf_puts(out, "</td>");
}

static void put_splits(struct buf *out, const json_t *stats)
{
    const char *name;
    json_t *row;
    section(out, "Splits", NULL);
    buf_puts(out, "<table><tr><th>split</th><th class=\"n\">rows</th><th class=\"n\">samples</th><th class=\"n\">tokens</th><th class=\"n\">trained</th><th class=\"n\">share</th><th class=\"n\">full</th></tr>\n");
    json_object_foreach(json_object_get(stats, "splits"), name, row) {
        buf_puts(out, "<tr><td>");
        html_puts(out, name);
        buf_puts(out, "</td>");
        put_number_cell(out, count_of(row, "packed_rows"));
        put_number_cell(out, count_of(row, "samples"));
        put_number_cell(out, count_of(row, "tokens"));
        put_number_cell(out, count_of(row, "trained"));
        buf_printf(out, "<td class=\"n\">%.1f %%</td>", share(count_of(row, "trained"), count_of(row, "tokens")));
        const json_t *fill = json_object_get(row, "fill");
        if (json_is_real(fill)) buf_printf(out, "<td class=\"n\">%.1f %%</td></tr>\n", 100 * json_real_value(fill));
        else buf_puts(out, "<td class=\"n\">-</td></tr>\n");
    }
    buf_puts(out, "</table>\n");
}

static void put_pair(struct buf *out, const char *key, const char *value)
{
    buf_puts(out, "<tr><td>");
    html_puts(out, key);
    buf_puts(out, "</td><td class=\"long\">");
    html_puts(out, value);
    buf_puts(out, "</td></tr>\n");
}

static const char *plain_name(const char *key)
{
    static const char *const names[][2] = {
        { "rows", "dialogues kept" }, { "too_long", "dialogues longer than a row" }, { "emails", "e-mail addresses found" }, { "ips", "IP addresses found" }, { "keys", "keys and passwords found" },
        { "overlaps", "overlaps with evaluation sets" }, { "tokens_left_out", "tokens of pieces left out" },
    };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(names[i][0], key) == 0) return names[i][1];
    return key;
}

/* Counts of the preparation that stand nowhere else on the page. */
static void put_other_counts(struct buf *out, json_t *stats)
{
    static const char *const shown[] = { "packed_rows", "samples", "tokens", "trained", "row_length", "shortest", "median", "longest" };
    const char *name;
    json_t *n;
    section(out, "What the preparation did", NULL);
    buf_puts(out, "<table class=\"narrow\">\n");
    json_object_foreach(stats, name, n) {
        bool is_shown = !json_is_integer(n);
        for (size_t i = 0; i < sizeof shown / sizeof *shown; i++) is_shown |= strcmp(shown[i], name) == 0;
        if (is_shown) continue;
        char words[64];
        snprintf(words, sizeof words, "%s", plain_name(name));
        for (char *c = words; *c; c++) if (*c == '_') *c = ' ';
        buf_puts(out, "<tr><td>");
        html_puts(out, words);
        buf_puts(out, "</td>");
        put_number_cell(out, count_of(stats, name));
        buf_puts(out, "</tr>\n");
    }
    buf_puts(out, "</table>\n");
}

static void put_value(struct buf *out, const char *key, const json_t *value)
{
    char *text = json_is_string(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
    put_pair(out, key, text ? text : json_is_string(value) ? json_string_value(value) : "");
    mem_free(text);
}

static void put_origin(struct buf *out, const struct sc_dataset *d)
{
    const char *key;
    json_t *value, *input;
    size_t i;
    section(out, "Made from", NULL);
    buf_puts(out, "<table><tr><th>file</th><th class=\"n\">bytes</th><th class=\"n\">records</th><th>sha256</th></tr>\n");
    json_array_foreach(json_object_get(d->manifest, "inputs"), i, input) {
        const char *file = json_string_value(json_object_get(input, "file")), *sha256 = json_string_value(json_object_get(input, "sha256"));
        buf_puts(out, "<tr><td class=\"long\">");
        html_puts(out, file ? file : "");
        buf_puts(out, "</td>");
        put_number_cell(out, count_of(input, "bytes"));
        put_number_cell(out, count_of(input, "records"));
        buf_puts(out, "<td class=\"long\"><code>");
        html_puts(out, sha256 ? sha256 : "");
        buf_puts(out, "</code></td></tr>\n");
    }
    buf_puts(out, "</table>\n<details><summary>options</summary><table>\n");
    put_value(out, "program", json_object_get(d->manifest, "program"));
    put_value(out, "template sha256", json_object_get(json_object_get(d->manifest, "template"), "sha256"));
    put_value(out, "tokens sha256", json_object_get(json_object_get(d->manifest, "tokenizer"), "sha256"));
    json_object_foreach(json_object_get(d->manifest, "options"), key, value) put_value(out, key, value);
    buf_puts(out, "</table></details>\n");
}

void report_stats(struct buf *out, const struct sc_dataset *d, const json_t *stats)
{
    const json_t *fill = json_object_get(stats, "fill");
    buf_puts(out, "<div class=\"cards\">\n");
    card(out, "tokens", count_of(stats, "tokens"));
    card_share(out, "of them trained", share(count_of(stats, "trained"), count_of(stats, "tokens")));
    card(out, "dialogues", count_of(stats, "rows"));
    card(out, "turns", count_of(stats, "turns"));
    card(out, "samples", count_of(stats, "samples"));
    card(out, "packed rows", count_of(stats, "packed_rows"));
    if (json_is_real(fill)) card_share(out, "of the rows filled", 100 * json_real_value(fill));
    card(out, "duplicates left out", count_of(stats, "duplicates"));
    buf_puts(out, "</div>\n<p class=\"legend\"><span><i class=\"key\" style=\"background:var(--trained)\"></i>trained</span>"
                  "<span><i class=\"key\" style=\"background:var(--rest)\"></i>seen, not trained</span></p>\n");
    put_bars(out, "Tokens by role", NULL, json_object_get(stats, "per_role"), json_object_get(stats, "trained_per_role"));
    plot_lengths(out, stats);
    put_bars(out, "Tokens by source", NULL, json_object_get(stats, "per_source"), NULL);
    put_bars(out, "Tokens by language", "as the data says, else as the text looks", json_object_get(stats, "per_language"), NULL);
    put_bars(out, "Dialogues left out", NULL, json_object_get(stats, "dropped"), NULL);
    put_splits(out, stats);
    put_other_counts(out, (json_t *)(uintptr_t)stats);
    put_origin(out, d);
}
