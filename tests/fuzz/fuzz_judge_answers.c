/* fuzz_judge_answers.c - any bytes as a file of answers: refused in one sentence, or read; what is read is written and read back as the same answers and refusals. */
#include "judge/judge_run.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static bool is_same(const struct judge_answer *a, const struct judge_answer *b)
{
    if (strcmp(a->id, b->id) != 0 || strcmp(a->model, b->model) != 0 || a->n_turns != b->n_turns || a->leaks != b->leaks || a->cut != b->cut) return false;
    for (size_t i = 0; i < a->n_turns; i++)
        if (strcmp(a->turn[i], b->turn[i]) != 0) return false;
    return (!a->settings && !b->settings) || json_equal(a->settings, b->settings);
}

static sc_status read_back(struct judge_answers *out, const char *data, size_t size, sc_error *err)
{
    char path[64];
    int fd = memfd_create("answers", MFD_CLOEXEC);
    if (fd < 0 || write(fd, data, size) != (ssize_t)size) abort();
    snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
    sc_status status = judge_answers_read(out, path, NULL, err);
    close(fd);
    return status;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct judge_answers all = { 0 }, again = { 0 };
    sc_error err = { 0 };
    if (size > 65536) return 0;
    if (read_back(&all, (const char *)data, size, &err) == SC_OK) {
        struct buf text;
        answers_text(&text, &all);
        if (!all.n || read_back(&again, text.data, text.len, &err) != SC_OK || again.n != all.n || judge_answers_n_refused(&again) != judge_answers_n_refused(&all)) abort();
        for (size_t i = 0; i < all.n; i++)
            if (!is_same(&all.at[i], &again.at[i])) abort();
        buf_release(&text);
    } else if (!err.message[0]) {
        abort();
    }
    judge_answers_release(&all);
    judge_answers_release(&again);
    return 0;
}
