/* cmd_complete.c - raw completion of a prompt, streamed, or as one JSON object; fill-in-the-middle with --suffix. */
#include "cmd/cmd.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PROMPT_BYTES_MAX = 64 << 20 };

struct complete {
    struct args args;
    sc_model_config model;
    sc_session_config session;
    sc_prompt_cache_config cache;
    size_t reused;
    sc_sample_config sample;
    struct sample_extra extra;
    struct opened opened;
    sc_tokens prompt;
    FILE *text; char *text_data; size_t text_len;    /* --json: the answer so far */
    FILE *steps; char *steps_data; size_t steps_len; /* --json with --logprobs    */
    int32_t *id; size_t n_id, cap_id;
    char last;                                       /* byte printed last         */
};

/* ---- prompt ---------------------------------------------------------------------------------------------------------- */

/* -p, else stdin; malloc'ed, NULL after a message. */
static char *read_prompt(const struct complete *c, size_t *len)
{
    const char *given = args_value(&c->args, "prompt");
    if (given) {
        *len = strlen(given);
        return strdup(given);
    }
    if (isatty(STDIN_FILENO)) note(&c->args.common, "Reading the prompt from the terminal; end it with Ctrl-D.");
    return read_all(stdin, PROMPT_BYTES_MAX, len, "the prompt");
}

static sc_status add_token_in_front(sc_tokens *t, int32_t id, sc_error *err)
{
    int32_t *more = realloc(t->id, (t->len + 1) * sizeof *more);
    if (!more) {
        *err = (sc_error){ .status = SC_E_MEMORY, .message = "no memory for the prompt's tokens" };
        return SC_E_MEMORY;
    }
    memmove(more + 1, more, t->len * sizeof *more);
    more[0] = id;
    *t = (sc_tokens){ more, t->len + 1 };
    return SC_OK;
}

static sc_status encode_prompt(struct complete *c, const char *text, size_t len, sc_error *err)
{
    const sc_model *m = c->opened.model;
    const char *suffix = args_value(&c->args, "suffix");
    int32_t bos;
    if (suffix) return sc_encode_fim(&c->prompt, m, text, suffix, err);
    if (!sc_model_tokenizer(m)) {
        *err = (sc_error){ .status = SC_E_UNSUPPORTED };
        snprintf(err->message, sizeof err->message, "%.300s has no tokenizer, so it cannot read text", c->opened.path.data);
        return err->status;
    }
    sc_status status = sc_encode(&c->prompt, sc_model_tokenizer(m), text, len, args_has(&c->args, "special"), err);
    if (status != SC_OK) return status;
    if (sc_model_adds_bos(m, &bos)) return add_token_in_front(&c->prompt, bos, err);
    /* An empty prompt begins where a text begins. */
    if (c->prompt.len == 0 && sc_model_first_token(m) >= 0) return add_token_in_front(&c->prompt, sc_model_first_token(m), err);
    return SC_OK;
}

/* ---- answer ------------------------------------------------------------------------------------------------------------ */

static int on_text(void *user, const char *utf8, size_t len)
{
    struct complete *c = user;
    if (len) c->last = utf8[len - 1];
    if (c->text) fwrite(utf8, 1, len, c->text);
    else {
        print_text(stdout, utf8, len);
        if (fflush(stdout) != 0) return 1;
    }
    return 0;
}

static int on_step(void *user, const sc_step *step)
{
    struct complete *c = user;
    if (c->n_id == c->cap_id) {
        size_t cap = c->cap_id ? 2 * c->cap_id : 256;
        int32_t *more = realloc(c->id, cap * sizeof *more);
        if (!more) return 1;
        c->id = more;
        c->cap_id = cap;
    }
    c->id[c->n_id++] = step->id;
    if (!c->steps) return 0;
    /* One row a token; a NUL ends it, so that rows whose text was cut off can be left out. */
    fprintf(c->steps, "{\"id\":%" PRId32 ",\"logprob\":%.9g,\"top\":[", step->id, step->logprob);
    for (size_t i = 0; i < step->n_top; i++)
        fprintf(c->steps, "%s{\"id\":%" PRId32 ",\"logprob\":%.9g}", i ? "," : "", step->top[i].id, (double)step->top[i].logprob);
    fputs("]}", c->steps);
    putc('\0', c->steps);
    return 0;
}

static const char *stop_name(sc_stop reason)
{
    static const char *const names[] = { "end", "stop", "length", "context", "cancelled" };   /* ORDER sc_stop */
    return names[reason];
}

static void print_steps(const struct complete *c, size_t n)
{
    const char *row = c->steps_data;
    fputs(",\"logprobs\":[", stdout);
    for (size_t i = 0; i < n; i++, row += strlen(row) + 1) printf("%s%s", i ? "," : "", row);
    putchar(']');
}

static void print_record(struct complete *c, const sc_generation *g)
{
    fflush(c->text);
    fputs("{\"text\":", stdout);
    print_json_string(stdout, c->text_data, c->text_len);
    printf(",\"tokens\":%zu,\"ids\":[", g->tokens);
    for (size_t i = 0; i < g->tokens && i < c->n_id; i++) printf("%s%" PRId32, i ? "," : "", c->id[i]);
    putchar(']');
    if (c->steps) {
        fflush(c->steps);
        print_steps(c, g->tokens < c->n_id ? g->tokens : c->n_id);
    }
    printf(",\"stop_reason\":\"%s\",\"stop_string\":", stop_name(g->reason));
    if (g->reason == SC_STOP_STRING) print_json_string(stdout, g->stop_string, strlen(g->stop_string));
    else fputs("null", stdout);
    printf(",\"prompt_tokens\":%zu,\"reused_tokens\":%zu,\"passes\":%zu,\"guessed\":%zu,\"seconds\":%.6f,\"tokens_per_second\":%.3f,\"seed\":%llu,\"activations\":\"%s\"}\n", c->prompt.len, c->reused, g->passes, g->guessed,
           g->seconds, g->seconds > 0 ? (double)g->tokens / g->seconds : 0.0, (unsigned long long)c->sample.seed, c->args.common.runtime.activations);
}

static int check_bias(const struct complete *c, sc_session *s)
{
    size_t vocab;
    (void)sc_session_logits(s, &vocab);
    for (size_t i = 0; i < c->sample.n_logit_bias; i++)
        if ((size_t)c->sample.logit_bias[i].id >= vocab)
            return usage_error(c->args.command, "--logit-bias names token %d, but ids go from 0 to %zu", c->sample.logit_bias[i].id, vocab - 1);
    return ARGS_GO;
}

static sc_status read_and_generate(struct complete *c, sc_session *s, sc_prompt_cache *cache, sc_generation *g, sc_error *err)
{
    (void)sc_session_restore(s, cache, c->prompt.id, c->prompt.len);
    sc_status status = sc_session_sync(s, c->prompt.id, c->prompt.len, err);
    if (status != SC_OK) return status;
    c->reused = sc_session_reused(s);
    return sc_session_generate(g, s, &c->sample, on_text, c, err);
}

static int generate(struct complete *c)
{
    sc_session *s = NULL;
    sc_prompt_cache *cache = NULL;
    sc_generation g;
    sc_error err = { 0 };
    int code = EXIT_DONE;
    if (args_has(&c->args, "json")) {
        c->text = open_memstream(&c->text_data, &c->text_len);
        if (c->sample.logprobs > 0) c->steps = open_memstream(&c->steps_data, &c->steps_len);
        c->sample.on_step = on_step;
    }
    sc_status status = sc_session_open(&s, c->opened.model, &c->session, &err);
    if (status == SC_OK && check_bias(c, s) != ARGS_GO) {
        sc_session_close(s);
        return EXIT_USAGE;
    }
    if (status == SC_OK) cache = open_prompt_cache(&c->args.common, &c->cache);
    if (status == SC_OK) status = read_and_generate(c, s, cache, &g, &err);
    if (!c->text && isatty(STDOUT_FILENO) && c->last && c->last != '\n') putchar('\n');
    if (status != SC_OK) code = fail_with(&c->args.common, &err);
    else if (c->text) print_record(c, &g);
    if (status == SC_OK && c->args.common.verbose)
        note(&c->args.common, "%zu tokens of prompt, %zu of them reused, %zu generated, %.2f tokens/s, ended by %s", c->prompt.len, c->reused, g.tokens,
             g.seconds > 0 ? (double)g.tokens / g.seconds : 0.0, stop_name(g.reason));
    fflush(stdout);
    if (status == SC_OK) keep_prompt(&c->args.common, s, cache, NULL, NULL);   /* when the answer is out */
    sc_prompt_cache_close(cache);
    sc_session_close(s);
    return code;
}

static void complete_release(struct complete *c)
{
    if (c->text) fclose(c->text);
    if (c->steps) fclose(c->steps);
    free(c->text_data);
    free(c->steps_data);
    free(c->id);
    sc_tokens_free(&c->prompt);
    close_model(&c->opened);
}

/* ---- the command ----------------------------------------------------------------------------------------------------------- */

static int run_complete(const struct command *self, int argc, char **argv)
{
    struct complete c = { 0 };
    sc_error err = { 0 };
    size_t len = 0;
    int code = args_parse(&c.args, self, argc, argv, (void *const[]){ &c.sample, &c.session, &c.cache, &c.model });
    if (code == ARGS_GO) code = sample_from_args(&c.sample, &c.extra, &c.args);
    if (code == ARGS_GO && args_has(&c.args, "suffix") && args_has(&c.args, "special"))
        code = usage_error(self, "--special cannot be combined with --suffix, which places the special tokens itself");
    if (code == ARGS_GO && c.sample.logprobs > 0 && !c.args.common.json) code = usage_error(self, "--logprobs needs --json");
    if (code != ARGS_GO) return code;
    char *prompt = read_prompt(&c, &len);
    if (!prompt) return EXIT_FAILED;
    if (args_has(&c.args, "suffix") && strlen(prompt) != len) code = fail_text("the prompt holds a NUL byte, which --suffix cannot take");
    if (code == ARGS_GO) code = open_model(&c.opened, &c.args.common, &c.model, c.args.operand[0], true);
    if (code == ARGS_GO) {
        if (encode_prompt(&c, prompt, len, &err) != SC_OK) code = fail_with(&c.args.common, &err);
        else code = generate(&c);
    }
    free(prompt);
    complete_release(&c);
    return code;
}

static const char *const tables[] = { "sample", "session", "prompt_cache", "model", NULL };
static const struct flag flags[] = {
    { "prompt", "p", "TEXT", "the prompt; standard input if not given", NULL },
    { "suffix", NULL, "TEXT", "fill in the middle between the prompt and this text", NULL },
    { "special", NULL, NULL, "let special tokens such as <fim_prefix> be recognised in the prompt", NULL },
    SAMPLE_FLAGS,
    FLAG_JSON,
    FLAG_END,
};
const struct command command_complete = {
    .name = "complete", .operands = "MODEL", .summary = "continue a prompt",
    .min_operands = 1, .max_operands = 1, .run = run_complete, .tables = tables, .flags = flags,
    .details = "Prints the completion only. --json prints one object at the end: text, tokens, ids, stop_reason,\n"
               "tokens_per_second, passes through the model, tokens that were guessed right (--speculate) and, with --logprobs\n"
               "K, the K likeliest alternatives of each token.\n\n"
               "  starchat complete MODEL -p 'def fibonacci(n):' -n 64 --stop $'\\n\\n'\n"
               "  starchat complete MODEL -p $'def f(x):\\n    ' --suffix $'\\n    return y' -n 32",
};
