/* fuzz_eval_results.c - any bytes as a file of results. What is accepted can be compared with itself, which shows no difference, and made a page of. */
#include "eval/scores.h"

#include <stdlib.h>
#include <string.h>

static void check_rows(const json_t *rows)
{
    const json_t *row;
    size_t i;
    json_array_foreach(rows, i, row) {
        double p = json_number_value(json_object_get(row, "p"));
        if (!json_is_string(json_object_get(row, "verdict")) || p < 0 || p > 1) abort();
        if (json_is_number(json_object_get(row, "difference")) && json_number_value(json_object_get(row, "difference")) != 0) abort();
    }
}

static void compare(const struct eval_record *r, const char *cluster)
{
    sc_eval_compare_config config = { .cluster = cluster, .draws = 100 };
    json_t *comparison = NULL;
    sc_error err = { 0 };
    if (eval_compare_records(&comparison, r, r, &config, &err) != SC_OK) {
        if (!err.message[0]) abort();
        return;
    }
    check_rows(json_object_get(comparison, "tasks"));
    check_rows(json_object_get(comparison, "groups"));
    for (int is_html = 0; is_html < 2; is_html++) {
        struct sheet s;
        sheet_begin(&s, is_html, "fuzz");
        eval_compare_page(&s, comparison);
        sheet_end(&s);
        if (!utf8_is_valid(s.out.data, s.out.len)) abort();
        buf_release(&s.out);
    }
    json_decref(comparison);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct eval_record r;
    sc_error err = { 0 };
    if (eval_record_parse(&r, (const char *)data, size, "fuzz", &err) != SC_OK) {
        if (!err.message[0]) abort();
        return 0;
    }
    compare(&r, NULL);
    compare(&r, "twin:-");
    for (int is_html = 0; is_html < 2; is_html++) {
        struct sheet s;
        sheet_begin(&s, is_html, "fuzz");
        eval_score_page(&s, &r);
        sheet_end(&s);
        if (!utf8_is_valid(s.out.data, s.out.len) || (is_html && memmem(s.out.data, s.out.len, "<script", 7))) abort();
        buf_release(&s.out);
    }
    eval_record_release(&r);
    return 0;
}
