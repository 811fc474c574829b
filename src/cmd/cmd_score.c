/* cmd_score.c - log-probability of continuations, one JSON line each, as lm-evaluation-harness asks for it (sc_encode_pair). */
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
};

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
    int code = sc_encode_pair(&tokens, &from, s->opened.model, text, n, n + m, &err) == SC_OK ? score_tokens(s, &tokens, from, number)
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
    if (code == ARGS_GO && !sc_model_tokenizer(s.opened.model))
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
