/* fuzz_judge_parse.c - any bytes as what a judge said, under every protocol (the first byte chooses), or as a file of a protocol: a verdict that is whole, or one sentence. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "judge/judge_internal.h"

static void check(const struct judge_opinion *o, const struct judge_protocol *p)
{
    double low, high;
    bool has_range = judge_protocol_range(p, &low, &high);
    for (int i = 0; i < o->n_scores; i++)
        if (!isfinite(o->score[i]) || (p->is_strict && (o->score[i] < low || o->score[i] > high))) abort();
    if (has_range != (o->n_scores > 0)) abort();
    if (judge_protocol_is_pair(p) != (o->winner != WINNER_NONE)) abort();
}

static void as_protocol(const char *text, size_t len)
{
    struct judge_protocol *p;
    sc_error err = { 0 };
    char *one[] = { (char *)(uintptr_t)"x", (char *)(uintptr_t)"[[A]]" };
    struct judge_answer a = { .id = one[0], .model = one[0], .turn = one, .n_turns = 2 };
    struct judge_prompt q = { .id = one[0], .turn = one, .n_turns = 2, .reference = one, .n_references = 2 };
    if (judge_protocol_parse(&p, text, len, "fuzz", &err) != SC_OK) {
        if (!err.message[0]) abort();
        return;
    }
    for (int turn = 1; turn <= judge_protocol_turns(p); turn++) {
        json_t *request;
        if (judge_request(&request, p, &q, &a, &a, turn, &err) == SC_OK) json_decref(request);
        else if (!err.message[0]) abort();
        json_decref(judge_marks(p, &a, turn));
    }
    judge_protocol_close(p);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static struct judge_protocol *protocol[16];
    static size_t n;
    sc_error err = { 0 };
    struct judge_opinion o;
    for (; !protocol[n] && judge_protocol_builtin(n); n++)
        if (judge_protocol_open(&protocol[n], judge_protocol_builtin(n), &err) != SC_OK) abort();
    if (!size || size > 16384) return 0;
    size_t which = (size_t)(data[0] - '0');
    const char *text = (const char *)data + 1;
    if (which >= n) {
        as_protocol(text, size - 1);
        return 0;
    }
    sc_status status = judge_parse(&o, protocol[which], text, size - 1, NULL, &err);
    if (status == SC_OK) check(&o, protocol[which]);
    else if (status != SC_E_FORMAT || !err.message[0]) abort();
    json_t *logprobs = json_pack("{s:f}", size % 2 ? "m" : "M", -(double)size);
    (void)judge_parse(&o, protocol[which], text, size - 1, logprobs, &err);
    json_decref(logprobs);
    return 0;
}
