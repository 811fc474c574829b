/* compare_page.c - a comparison as a page. */
#include "eval/scores.h"

#include <math.h>
#include <string.h>

static double real_of(const json_t *row, const char *key) { return json_number_value(json_object_get(row, key)); }
static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

/* "acc", "exact_match,strict-match" */
static void metric_name(char *out, size_t bytes, const json_t *row)
{
    const char *filter = text_of(row, "filter");
    bool is_plain = !strcmp(filter, "none");
    snprintf(out, bytes, "%s%s%s", text_of(row, "metric"), is_plain ? "" : ",", is_plain ? "" : filter);
}

static void put_metric(struct sheet *s, const json_t *row)
{
    char name[200];
    metric_name(name, sizeof name, row);
    sheet_cell(s, false, name, strlen(name));
}

static void put_number(struct sheet *s, const json_t *row, const char *key, const char *format)
{
    char text[40];
    bool is_known = json_is_number(json_object_get(row, key));
    if (is_known) snprintf(text, sizeof text, format[0] == 'p' ? "%.4f" : format[0] == '+' ? "%+.4f" : "%.4f", real_of(row, key));
    if (is_known && format[0] == 'p' && real_of(row, key) < 0.0001) snprintf(text, sizeof text, "%.1e", real_of(row, key));
    sheet_cellf(s, true, "%s", is_known ? text : "unknown");
}

static void put_row(struct sheet *s, const json_t *row)
{
    static const struct { const char *key, *format; } numbers[] = { { "a", "" }, { "b", "" }, { "difference", "+" } };
    sheet_cell(s, false, text_of(row, "name"), strlen(text_of(row, "name")));
    put_metric(s, row);
    sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, "pairs")));
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) put_number(s, row, numbers[i].key, numbers[i].format);
    sheet_cellf(s, true, "%+.4f to %+.4f", real_of(row, "low"), real_of(row, "high"));
    put_number(s, row, "p", "p");
    put_number(s, row, "p_holm", "p");
    put_number(s, row, "smallest", "");
    sheet_cell(s, false, text_of(row, "verdict"), strlen(text_of(row, "verdict")));
    sheet_row_end(s);
}

static void put_rows(struct sheet *s, const char *title, const json_t *rows)
{
    static const char *const columns[] = { "name", "metric", ">questions", ">A", ">B", ">B - A", ">95 % interval", ">p", ">p (Holm)", ">could be seen", "in words" };
    size_t n = json_array_size(rows), i, n_drawn = 0;
    struct sheet_interval *x = mem_zero(n + 1, sizeof *x);
    struct buf *names = mem_zero(n + 1, sizeof *names);
    const json_t *row;
    double most = 0;
    if (n) {
        sheet_heading(s, title);
        sheet_table(s, columns, sizeof columns / sizeof *columns);
        json_array_foreach(rows, i, row) {
            put_row(s, row);
            if (!json_is_number(json_object_get(row, "low")) || !json_is_number(json_object_get(row, "high"))) continue;
            char metric[200];
            metric_name(metric, sizeof metric, row);
            buf_init(&names[n_drawn], 0);
            buf_printf(&names[n_drawn], "%s %s", text_of(row, "name"), metric);
            x[n_drawn] = (struct sheet_interval){ names[n_drawn].data, real_of(row, "difference"), { real_of(row, "low"), real_of(row, "high") } };
            most = fmax(most, fmax(fabs(x[n_drawn].interval.low), fabs(x[n_drawn].interval.high)));
            n_drawn++;
        }
        sheet_table_end(s);
        if (most > 0) sheet_intervals(s, "B - A with 95 % intervals", x, n_drawn, -most, most);
    }
    for (i = 0; i < n_drawn; i++) buf_release(&names[i]);
    mem_free(names);
    mem_free(x);
}

/* Counts of McNemar's test, and which questions they are. */
static void put_flips(struct sheet *s, const json_t *tasks)
{
    static const char *const columns[] = { "task", "metric", ">only A right", ">only B right", "documents that only A has right", "documents that only B has right" };
    static const char *const lists[] = { "documents_only_a", "documents_only_b" }, *const counts[] = { "only_a", "only_b" };
    const json_t *row, *id;
    size_t i, k, n = 0;
    json_array_foreach(tasks, i, row) n += !strcmp(text_of(row, "test"), "mcnemar");
    if (!n) return;
    sheet_heading(s, "Where they part");
    sheet_table(s, columns, sizeof columns / sizeof *columns);
    json_array_foreach(tasks, i, row) {
        if (strcmp(text_of(row, "test"), "mcnemar") != 0) continue;
        sheet_cell(s, false, text_of(row, "name"), strlen(text_of(row, "name")));
        put_metric(s, row);
        for (int side = 0; side < 2; side++) sheet_cellf(s, true, "%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, counts[side])));
        for (int side = 0; side < 2; side++) {
            const json_t *ids = json_object_get(row, lists[side]);
            struct buf b;
            buf_init(&b, 0);
            buf_puts(&b, "");
            json_array_foreach(ids, k, id) buf_printf(&b, "%s%" JSON_INTEGER_FORMAT, k ? ", " : "", json_integer_value(id));
            if (json_array_size(ids) < (size_t)json_integer_value(json_object_get(row, counts[side]))) buf_puts(&b, ", ...");
            sheet_cell(s, false, b.data ? b.data : "", b.len);
            buf_release(&b);
        }
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

void eval_compare_page(struct sheet *s, const json_t *comparison)
{
    static const char *const sides[] = { "a", "b" };
    const json_t *notes = json_object_get(comparison, "notes"), *note;
    size_t i;
    for (int side = 0; side < 2; side++) sheet_text(s, "%s: %s (%s)", side ? "B" : "A", text_of(json_object_get(comparison, sides[side]), "model"), text_of(json_object_get(comparison, sides[side]), "file"));
    put_rows(s, "Groups", json_object_get(comparison, "groups"));
    put_rows(s, "Tasks", json_object_get(comparison, "tasks"));
    put_flips(s, json_object_get(comparison, "tasks"));
    if (json_array_size(notes)) sheet_heading(s, "Notes");
    json_array_foreach(notes, i, note) sheet_text(s, "%s", json_string_value(note));
    sheet_heading(s, "How this was computed");
    sheet_text(s, "Both models were asked the same questions, so every question is compared with itself. B - A is the difference of the means, for perplexities the natural logarithm of B's over A's. "
                  "The interval is of %" JSON_INTEGER_FORMAT " paired bootstrap draws of questions (or clusters), seed %" JSON_INTEGER_FORMAT ".", json_integer_value(json_object_get(comparison, "draws")),
               json_integer_value(json_object_get(comparison, "seed")));
    sheet_text(s, "p is McNemar's exact test where every question is right or wrong, else of swapping the two sides at random; p (Holm) is corrected for all rows of the table. A row with a difference "
                  "smaller than \"could be seen\" may hide one: that is what this number of questions shows in four of five repetitions.");
    sheet_text(s, "The intervals are about other questions of the same kind. They say nothing of other prompts, other seeds of training or sampling, or other tasks.");
}
