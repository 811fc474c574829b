/* fuzz_judgements.c - any lines as a file of judgements, as prompts' and answers' rows are read by the same functions: refused in one sentence, or kept whole, written, compared and audited. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "judge/judge_internal.h"

static void check(const struct judgement *j)
{
    bool has_verdict = j->opinion.n_scores > 0 || j->opinion.winner != WINNER_NONE;
    if (!j->judge || !j->protocol || !j->id || !j->model[0] || j->turn < 1 || (!j->error && !has_verdict)) abort();
    for (int i = 0; i < j->opinion.n_scores; i++)
        if (!isfinite(j->opinion.score[i])) abort();
    json_t *line = judgement_json(j);
    if (!line) abort();
    json_decref(line);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const files[] = { "review_a_b.jsonl", "single_grade_ref/m.jsonl", "x-testset-v1.json", "review_.json" };
    struct judgements all = { .low = (double)NAN, .high = (double)NAN };
    struct judgement_reading r = { .out = &all };
    sc_error err = { 0 };
    if (!size || size > 65536) return 0;
    const char *file = files[data[0] % 4], *at = (const char *)data + 1, *end = (const char *)data + size;
    for (uint64_t line = 1; at < end; line++) {
        const char *newline = memchr(at, '\n', (size_t)(end - at));
        json_t *row = NULL;
        size_t len = (size_t)((newline ? newline : end) - at);
        if (json_read(&row, at, len, "fuzz", &err) == SC_OK && json_is_object(row)) {
            err.message[0] = 0;
            if (judgements_row(&r, row, file, line, &err) != SC_OK && !err.message[0]) abort();
        }
        json_decref(row);
        at += len + 1;
    }
    judgements_name_pairs(&all);
    for (size_t i = 0; i < all.n; i++) check(&all.at[i]);
    json_t *audit = NULL;
    size_t checked;
    json_decref(judge_differences(&all, &checked));
    if (judge_audit(&audit, &all, 1, &err) == SC_OK) {
        char *text = json_dumps(audit, 0);
        if (!text) abort();
        free(text);
    } else if (all.n) abort();
    json_decref(audit);
    json_t *maps = NULL;
    if (judge_calibrate(&maps, &all, 1, &err) == SC_OK) json_decref(maps);
    protocol_cache_release(&r.protocols);
    judgements_release(&all);
    return 0;
}
