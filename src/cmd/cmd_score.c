/* cmd_score.c - log-probability of continuations, one JSON line each, as lm-evaluation-harness asks for it: white space
 * at the end of the context goes to the continuation; both are encoded together and split behind the context's own
 * number of tokens; an empty context is the begin (else the end) token. */
#include "cmd/cmd.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct score {
    struct args args;
    sc_model_config model;
    sc_session_config session;
    struct opened opened;
    sc_session *s;
    const sc_tokenizer *tokenizer;
};

/* Bytes of the white space character (as Python's str.isspace says) that ends text[0..len); 0: it ends otherwise. */
static size_t space_at_end(const char *text, size_t len)
{
    static const char *const wide[] = { "\xC2\x85", "\xC2\xA0", "\xE1\x9A\x80", "\xE2\x80\xA8", "\xE2\x80\xA9", "\xE2\x80\xAF", "\xE2\x81\x9F", "\xE3\x80\x80" };
    unsigned char c = len ? (unsigned char)text[len - 1] : 'x';
    if (c == ' ' || (c >= 9 && c <= 13) || (c >= 0x1C && c <= 0x1F)) return 1;
    for (size_t i = 0; i < sizeof wide / sizeof *wide; i++) {
        size_t n = strlen(wide[i]);
        if (len >= n && memcmp(text + len - n, wide[i], n) == 0) return n;
    }
    /* U+2000..U+200A */
    return len >= 3 && memcmp(text + len - 3, "\xE2\x80", 2) == 0 && c >= 0x80 && c <= 0x8A ? 3 : 0;
}

/* Ids of context and continuation one behind the other; *from: where the continuation begins. */
static sc_status encode_pair(const struct score *s, sc_tokens *out, size_t *from, const char *text, size_t context_len, size_t len, sc_error *err)
{
    sc_tokens context = { 0 }, whole = { 0 };
    size_t n;
    while ((n = space_at_end(text, context_len)) > 0) context_len -= n;
    sc_status status = sc_encode(&context, s->tokenizer, text, context_len, false, err);
    if (status == SC_OK) status = sc_encode(&whole, s->tokenizer, text, len, false, err);
    size_t skip = context.len;
    /* Where a token covers the border so that nothing would be left, the continuation is encoded by itself. */
    if (status == SC_OK && whole.len <= skip && len > context_len) {
        sc_tokens_free(&whole);
        status = sc_encode(&whole, s->tokenizer, text + context_len, len - context_len, false, err);
        skip = 0;
    }
    if (status == SC_OK && context.len == 0 && sc_model_first_token(s->opened.model) < 0) {
        *err = (sc_error){ .status = SC_E_UNSUPPORTED, .message = "the context is empty, and the model has no begin or end token to stand for it" };
        status = err->status;
    }
    n = whole.len > skip ? whole.len - skip : 0;
    *from = context.len ? context.len : 1;
    *out = (sc_tokens){ status == SC_OK ? malloc((*from + n) * sizeof *out->id) : NULL, *from + n };
    if (status == SC_OK && !out->id) {
        *err = (sc_error){ .status = SC_E_MEMORY, .message = "no memory for the tokens of a line" };
        status = err->status;
    }
    if (status == SC_OK) {
        if (context.len) memcpy(out->id, context.id, context.len * sizeof *out->id);
        else out->id[0] = sc_model_first_token(s->opened.model);
        if (n) memcpy(out->id + *from, whole.id + skip, n * sizeof *out->id);
    }
    sc_tokens_free(&context);
    sc_tokens_free(&whole);
    return status;
}

static int score_tokens(struct score *s, const sc_tokens *t, size_t from, unsigned long long number)
{
    size_t n = t->len - from;
    sc_error err = { 0 };
    double *logprob = malloc((n + 1) * sizeof *logprob), sum = 0;
    bool *greedy = malloc(n + 1), all = true;
    int code = logprob && greedy ? EXIT_DONE : fail_text("line %llu: no memory for %zu scores", number, n);
    if (code == EXIT_DONE && n > 0 && sc_session_score(logprob, greedy, s->s, t->id, t->len, from, &err) != SC_OK) {
        char message[sizeof err.message];
        snprintf(message, sizeof message, "line %llu: %.440s", number, err.message);
        memcpy(err.message, message, sizeof message);
        code = fail_with(&s->args.common, &err);
    }
    for (size_t i = 0; i < n && code == EXIT_DONE; i++) {
        sum += logprob[i];
        all = all && greedy[i];
    }
    if (code == EXIT_DONE)
        printf("{\"logprob\":%.12g,\"greedy\":%s,\"tokens\":%zu,\"activations\":\"%s\"}\n", sum, all ? "true" : "false", n, s->args.common.runtime.activations);
    free(logprob);
    free(greedy);
    return code;
}

static int score_line(struct score *s, const json_t *object, unsigned long long number)
{
    const json_t *context = json_object_get(object, "context"), *continuation = json_object_get(object, "continuation");
    if (!json_is_string(context)) return fail_text("line %llu: \"context\" is %s, expected a string", number, json_kind(context));
    if (!json_is_string(continuation)) return fail_text("line %llu: \"continuation\" is %s, expected a string", number, json_kind(continuation));
    size_t n = json_string_length(context), m = json_string_length(continuation), from = 0;
    char *text = malloc(n + m + 1);
    sc_tokens tokens = { 0 };
    sc_error err = { 0 };
    if (!text) return fail_text("line %llu: no memory for %zu bytes", number, n + m);
    memcpy(text, json_string_value(context), n);
    memcpy(text + n, json_string_value(continuation), m);
    int code = encode_pair(s, &tokens, &from, text, n, n + m, &err) == SC_OK ? score_tokens(s, &tokens, from, number)
                                                                            : fail_with(&s->args.common, &err);
    free(text);
    free(tokens.id);
    return code;
}

static int score_lines(struct score *s)
{
    struct line_reader r;
    json_t *object;
    int code = EXIT_DONE, got;
    line_open(&r, STDIN_FILENO);
    while (code == EXIT_DONE && (got = line_next_object(&r, &object)) != 0) {
        code = got < 0 ? EXIT_FAILED : score_line(s, object, r.number);
        json_decref(object);
    }
    line_close(&r);
    return code;
}

static int run_score(const struct command *self, int argc, char **argv)
{
    struct score s = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&s.args, self, argc, argv, (void *const[]){ &s.session, &s.model });
    if (code != ARGS_GO) return code;
    if (strcmp(s.args.common.runtime.activations, "auto") == 0) s.args.common.runtime.activations = "f32";
    code = open_model(&s.opened, &s.args.common, &s.model, s.args.operand[0], true);
    if (code == ARGS_GO && !(s.tokenizer = sc_model_tokenizer(s.opened.model)))
        code = fail_text("%s has no tokenizer, so it cannot read text", s.opened.path.data);
    if (code == ARGS_GO && sc_session_open(&s.s, s.opened.model, &s.session, &err) != SC_OK) code = fail_with(&s.args.common, &err);
    if (code == ARGS_GO) code = score_lines(&s);
    sc_session_close(s.s);
    close_model(&s.opened);
    return code;
}

static const char *const tables[] = { "session", "model", NULL };
static const struct flag flags[] = { FLAG_JSON, FLAG_END };
const struct command command_score = {
    .name = "score", .operands = "MODEL", .summary = "log-probability of continuations, as JSON lines",
    .min_operands = 1, .max_operands = 1, .run = run_score, .tables = tables, .flags = flags,
    .details = "Reads lines {\"context\":...,\"continuation\":...}, writes lines {\"logprob\":...,\"greedy\":...,\"tokens\":...}.\n"
               "Matrix products use f32 activations unless --activations says otherwise.\n\n"
               "  echo '{\"context\":\"2 + 2 =\",\"continuation\":\" 4\"}' | starchat score MODEL",
};
