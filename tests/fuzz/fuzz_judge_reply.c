/* fuzz_judge_reply.c - any bytes as what a server answers: an answer or a sentence, and the end of any text as an answer. */
#include "judge/judge_run.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct reply r;
    sc_error err = { 0 };
    struct endpoint e = { .base = "http://here/v1", .name = "m", .key = "sk-secret" };
    bool leaked;
    if (reply_read(&r, (const char *)data, size, &err) == SC_OK) {
        if (!r.text || !r.finish || r.tokens_in < -1 || r.tokens_out < -1) abort();
        if (answer_end(r.text, strlen(r.text), &leaked) > strlen(r.text)) abort();
        reply_release(&r);
    } else if (!err.message[0] || r.text) {
        abort();
    }
    static const long statuses[] = { 200, 301, 400, 401, 404, 429, 500 };
    for (size_t i = 0; i < sizeof statuses / sizeof *statuses; i++) {
        char *text = mem_strndup((const char *)data, size);
        reply_refusal(&e, statuses[i], (const char *)data, size, text, &err);
        if (!err.message[0] || strstr(err.message, e.key)) abort();
        mem_free(text);
    }
    char *text = mem_strndup((const char *)data, size);
    if (answer_end(text, strlen(text), &leaked) > strlen(text)) abort();
    (void)request_limit(text);
    mem_free(text);
    return 0;
}
