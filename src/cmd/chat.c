/* chat.c - the command `chat`: a conversation in the terminal, or one answer for a script. What sampling was not given
 * comes from the model's generation_config, else from the values below: the original StarChat's generate.py
 * (temperature 0.2, top_k 50, top_p 0.95), with a weak penalty against loops. */
#include "cmd/chat.h"

#include <langinfo.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 64 << 20, WAIT_MS = 2000 };
#define DEFAULT_MODEL "smollm2:135m-instruct"

static const char *const chat_tables[] = { "model", "session", "prompt_cache", "sample", NULL };
static const struct flag chat_flags[] = {
    { "prompt", "p", "TEXT", "one answer to this message, then end; text piped in is added to it", NULL },
    { "system", "s", "TEXT", "system message", NULL },
    { "few-shot", NULL, "ta|FILE", "a base model as assistant: a text of example dialogues, Human: and Assistant:", NULL },
    { "continue", "c", NULL, "go on with the last conversation", NULL },
    { "no-save", NULL, NULL, "keep neither this conversation nor what is typed nor the prompt's state", NULL },
    SAMPLE_FLAGS,
    FLAG_JSON,
    FLAG_END,
};
/* A chunk half as long as usual: as fast within 1 %, and 5 MB less of activations for SmolLM2. */
static const struct row_default chat_defaults[] = {
    { "temperature", "0.2", false }, { "top_k", "50", false }, { "top_p", "0.95", false }, { "repeat_penalty", "1.05", false },
    { "max_tokens", "2048", false }, { "seed", "random", true }, { "chunk", "128", false }, { NULL, NULL, false },
};

/* ---- what goes in ------------------------------------------------------------------------------------------------------------------ */

/* Longest run of backticks: the fence around the text must be longer. */
static size_t longest_ticks(const char *text, size_t len)
{
    size_t best = 0, n = 0;
    for (size_t i = 0; i < len; i++) {
        n = text[i] == '`' ? n + 1 : 0;
        if (n > best) best = n;
    }
    return best;
}

static void add_fenced(struct string *out, const char *text, size_t len)
{
    size_t ticks = longest_ticks(text, len);
    ticks = ticks < 3 ? 3 : ticks + 1;
    string_puts(out, "\n\n");
    for (size_t i = 0; i < ticks; i++) string_puts(out, "`");
    string_puts(out, "\n");
    string_add_repaired(out, text, len);
    string_puts(out, text[len - 1] == '\n' ? "" : "\n");
    for (size_t i = 0; i < ticks; i++) string_puts(out, "`");
}

/* Text piped in; empty if there is none. False after a message. */
static bool read_piped(const struct args_common *common, struct string *out)
{
    struct stat st;
    size_t len;
    if (isatty(STDIN_FILENO) || fstat(STDIN_FILENO, &st) != 0) return true;
    struct pollfd fd = { .fd = STDIN_FILENO, .events = POLLIN };
    if (poll(&fd, 1, WAIT_MS) == 0) note(common, "waiting for text on standard input (</dev/null gives none)");
    char *text = read_all(stdin, INPUT_BYTES_MAX, &len, "standard input");
    if (!text) return false;
    string_add(out, text, len);
    free(text);
    return true;
}

/* The one message of a run without a person: -p, what is piped in, or both. */
bool chat_compose(struct string *out, const char *prompt, const char *piped, size_t len)
{
    size_t trimmed = len;
    const char *text = text_trim(piped, &trimmed);
    if (prompt) string_add_repaired(out, prompt, strlen(prompt));
    if (trimmed && prompt && *prompt) add_fenced(out, piped, len);
    else string_add_repaired(out, text, trimmed);
    return out->len > 0;
}

/* ---- settings ------------------------------------------------------------------------------------------------------------------------ */

static void fill_sampling(struct chat *c, const struct args *a)
{
    sc_error err = { 0 };
    sc_sample_config usual = c->sample;
    if (sc_model_sample_defaults(c->model, &usual, &err) != SC_OK) note(c->common, "%s", err.message);
    if (!args_sets(a, "temperature")) c->sample.temperature = usual.temperature;
    if (!args_sets(a, "top_k")) c->sample.top_k = usual.top_k;
    if (!args_sets(a, "top_p")) c->sample.top_p = usual.top_p;
    if (!args_sets(a, "min_p")) c->sample.min_p = usual.min_p;
    /* Temperature 0 asks for the likeliest token: nothing may change which that is. */
    if (!args_sets(a, "repeat_penalty")) c->sample.repeat_penalty = c->sample.temperature > 0 ? usual.repeat_penalty : 1;
    uint32_t seed = 0;
    if (!args_sets(a, "seed") && getrandom(&seed, sizeof seed, 0) == sizeof seed) c->sample.seed = seed;
}

/* The few-shot prompt's stop strings, then those of the command line. */
static void fill_stops(struct chat *c)
{
    size_t n = 0;
    for (size_t i = 0; c->has_fewshot && fewshot_stops[i]; i++) c->stop[n++] = fewshot_stops[i];
    for (size_t i = 0; i < c->sample.n_stop; i++) c->stop[n++] = c->sample.stop[i];
    c->sample.stop = c->stop;
    c->sample.n_stop = n;
}

static int open_fewshot(struct chat *c, const struct args *a)
{
    const char *name = args_value(a, "few-shot");
    if (!name) return ARGS_GO;
    if (args_has(a, "system")) return usage_error(a->command, "--system has no place beside --few-shot: the prompt file says how the assistant behaves");
    if (c->template_name) return usage_error(a->command, "--template and --few-shot are two ways to do one thing; give one");
    c->has_fewshot = true;
    return fewshot_open(&c->fewshot, name);
}

/* --continue: before the model is opened, since the saved conversation says which, and may ask for a few-shot prompt. */
static int open_last(struct chat *c, const struct args *a, struct saved *last)
{
    if (!args_has(a, "continue")) return ARGS_GO;
    char *id;
    int code = kept_id(&id, c, 1);
    if (code != ARGS_GO) return code;
    if (!id) return fail_text("there is no conversation to continue%s%s", c->home ? " in " : "", c->home ? c->home : "");
    code = kept_read(last, c, id);
    free(id);
    if (code != ARGS_GO || c->has_fewshot || c->template_name || !last->few_shot || args_has(a, "system")) return code;
    c->has_fewshot = true;
    return fewshot_open(&c->fewshot, last->few_shot);
}

/* As given, else that of the conversation to continue, else the small one that `pull` knows. */
static void choose_model(struct chat *c, const struct args *a, const struct saved *last)
{
    c->model_name = a->n_operands ? a->operand[0] : last->model ? last->model : DEFAULT_MODEL;
}

static int check_model(const struct chat *c)
{
    if (c->has_fewshot && !sc_model_tokenizer(c->model)) return fail_text("%s has no tokenizer, so it cannot read text", c->model_name);
    if (c->has_fewshot || sc_model_has_chat(c->model)) return ARGS_GO;
    return fail_text("%s has no chat template, so nothing says how to put a message to it; "
                     "--few-shot ta makes an assistant of a base model by example dialogues, --template chatml names a template", c->model_name);
}

/* ---- one answer for a script --------------------------------------------------------------------------------------------------------- */

static void print_record(const struct chat *c)
{
    static const char *const stops[] = { "end", "stop_string", "length", "context", "callback" };
    const struct answer_figures *f = &c->last;
    fputs("{\"text\":", stdout);
    print_json_string(stdout, c->answer.data, c->answer.len);
    printf(",\"stop\":\"%s\",\"prompt_tokens\":%zu,\"reused_tokens\":%zu,\"tokens\":%zu,\"seconds\":%.4f,\"first_seconds\":%.4f,\"seed\":%llu,\"activations\":\"%s\",\"model\":",
           stops[f->reason], f->prompt, f->reused, f->tokens, f->seconds, f->first_seconds, (unsigned long long)c->sample.seed, c->common->runtime.activations);
    print_json_string(stdout, c->model_name, strlen(c->model_name));
    fputs("}\n", stdout);
}

static int run_once(struct chat *c, struct saved *last, const char *message, size_t len)
{
    c->is_silent = c->common->json;
    c->talk = last->talk;
    last->talk = (struct conversation){ 0 };
    if (c->system) conversation_set_system(&c->talk, c->system);
    enum answer_end end = chat_ask(c, message, len);
    if (end == ANSWER_FAILED) return EXIT_FAILED;
    if (c->common->json && end == ANSWER_DONE) print_record(c);
    if (end == ANSWER_INTERRUPTED) return EXIT_INTERRUPTED;
    if (c->common->verbose) chat_report(c, end);
    else if (c->last.reason == SC_STOP_LENGTH) note(c->common, "the answer was cut after %lld tokens; -n N allows more", (long long)c->sample.max_tokens);
    else if (c->last.reason == SC_STOP_CONTEXT) note(c->common, "the answer was cut: the context of %zu tokens is full; --context N gives more", sc_session_capacity(c->session));
    fflush(stdout);
    chat_keep(c);                                     /* when the answer is out */
    return EXIT_DONE;
}

/* ---- a conversation -------------------------------------------------------------------------------------------------------------------- */

static void greet(struct chat *c)
{
    if (c->common->quiet) return;
    const char *dot = c->is_utf8 ? "\u00b7" : "-", *slash = strrchr(c->model_name, '/');
    bool is_path = slash && slash[1] && access(c->model_name, F_OK) == 0;
    const char *how = c->has_fewshot ? "few-shot prompt " : c->template_name ? "template " : "its own template";
    const char *which = c->has_fewshot ? c->fewshot.name : c->template_name ? c->template_name : "";
    chat_dim(c, "%s %s %s%s %s context %zu", is_path ? slash + 1 : c->model_name, dot, how, which, dot, sc_session_capacity(c->session));
    chat_dim(c, "/help lists commands %s Ctrl-C stops an answer %s Ctrl-D leaves", dot, dot);
}

/* A whole message or command. False: leave. */
static bool take_text(struct chat *c, const char *typed)
{
    struct string text = { 0 };
    const struct chat_command *row;
    const char *rest, *nearest;
    bool goes_on = true;
    while (*typed == '\n') typed++;
    string_add_repaired(&text, typed, strlen(typed));
    size_t len = text.len;
    const char *trimmed = text_trim(text.data, &len);
    text.data[text.len = (size_t)(trimmed - text.data) + len] = 0;
    chat_ahead_end(c);
    if (len) {
        history_append(c, text.data);
        if (!chat_command_parse(text.data, &row, &rest, &nearest)) chat_report(c, chat_ask(c, text.data, text.len));
        else if (row) goes_on = row->run(c, rest) == CHAT_GO_ON;
        else if (nearest) chat_dim(c, "unknown command %.*s; did you mean /%s?", (int)strcspn(text.data, " \t"), text.data, nearest);
        else chat_dim(c, "unknown command %.*s; /help lists them", (int)strcspn(text.data, " \t"), text.data);
    }
    string_release(&text);
    return goes_on;
}

static void converse(struct chat *c)
{
    struct collector input = { 0 };
    bool is_warned = false, goes_on = true;
    while (goes_on) {
        char *line;
        if (!input.is_begun) chat_ahead_begin(c);
        enum terminal_event event = terminal_read(&c->terminal, input.is_begun ? "... " : ">>> ", &line);
        bool is_whole = event == TERMINAL_LINE ? collector_add(&input, line) : event == TERMINAL_END && input.is_begun;
        free(line);
        if (is_whole) {
            goes_on = take_text(c, input.text.data);
            collector_reset(&input);
        } else if (event == TERMINAL_END) goes_on = false;
        else if (event == TERMINAL_INTERRUPT && !input.is_begun) {
            if (is_warned) goes_on = false;
            else chat_dim(c, "Ctrl-C again or Ctrl-D leaves");
        }
        is_warned = event == TERMINAL_INTERRUPT && !input.is_begun;
        if (event == TERMINAL_INTERRUPT || event == TERMINAL_CLEARED) collector_reset(&input);
    }
    collector_release(&input);
}

static int run_terminal(struct chat *c, struct opened *o, struct saved *last)
{
    interrupt_end(&o->interrupt);                     /* from here on the chat itself looks at Ctrl-C */
    int code = terminal_open(&c->terminal);
    if (code == ARGS_GO) {
        c->terminal.is_colored = use_color(c->common, c->terminal.out);
        history_load(c);
        greet(c);
        if (last->talk.n) chat_adopt(c, last, false);
        if (c->system) conversation_set_system(&c->talk, c->system);
        converse(c);
        sc_cancel(c->runtime);                        /* what is read ahead is of no use any more */
        chat_ahead_end(c);
        chat_keep(c);
        code = EXIT_DONE;
    }
    terminal_close(&c->terminal);
    return code;
}

/* ---- the command ------------------------------------------------------------------------------------------------------------------------- */

static int open_chat(struct chat *c, struct opened *o, struct args *a, sc_model_config *model, const sc_session_config *session)
{
    sc_error err = { 0 };
    int code = open_model(o, c->common, model, c->model_name, c->is_interactive);
    if (code != ARGS_GO) return code;
    c->runtime = o->runtime;
    c->model = o->model;
    if ((code = check_model(c)) != ARGS_GO) return code;
    if (sc_session_open(&c->session, c->model, session, &err) != SC_OK) return fail_with(c->common, &err);
    c->chunk = session->chunk > 0 ? (size_t)session->chunk : 256;
    if ((code = sample_from_args(&c->sample, &c->extra, a)) != ARGS_GO) return code;
    fill_sampling(c, a);
    fill_stops(c);
    if (c->kept.id) kept_adopted(c);
    return ARGS_GO;
}

static void close_chat(struct chat *c)
{
    sc_session_close(c->session);
    sc_prompt_cache_close(c->cache);
    conversation_release(&c->talk);
    conversation_release(&c->given);
    fewshot_release(&c->fewshot);
    string_release(&c->answer);
    free(c->past);
    free(c->home);
    kept_close(c);
}

static int start(struct chat *c, struct args *a, sc_model_config *model, const sc_session_config *session)
{
    struct opened o = { 0 };
    struct saved last = { 0 };
    struct string piped = { 0 }, message = { 0 };
    const char *prompt = args_value(a, "prompt");
    int code = c->common->json && c->is_interactive ? usage_error(a->command, "--json needs a message: -p TEXT, or text piped in") : ARGS_GO;
    if (code == ARGS_GO) code = open_fewshot(c, a);
    if (code == ARGS_GO) code = open_last(c, a, &last);
    choose_model(c, a, &last);
    if (code == ARGS_GO && !c->is_interactive) {
        if (!read_piped(c->common, &piped)) code = EXIT_FAILED;
        else if (!chat_compose(&message, prompt, piped.len ? piped.data : "", piped.len)) code = usage_error(a->command, "the message is empty");
    }
    if (code == ARGS_GO) code = open_chat(c, &o, a, model, session);
    if (code == ARGS_GO) code = c->is_interactive ? run_terminal(c, &o, &last) : run_once(c, &last, message.data, message.len);
    close_chat(c);
    close_model(&o);
    saved_release(&last);
    string_release(&piped);
    string_release(&message);
    return code;
}

static int run_chat(const struct command *self, int argc, char **argv)
{
    struct chat c = { .is_utf8 = strcmp(nl_langinfo(CODESET), "UTF-8") == 0, .terminal = { .signals = -1, .wake = -1 } };
    struct args a;
    sc_model_config model;
    sc_session_config session;
    sc_prompt_cache_config cache;
    sc_text home = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &model, &session, &cache, &c.sample });
    if (code != ARGS_GO) return code;
    c.common = &a.common;
    c.template_name = model.chat_template && *model.chat_template ? model.chat_template : NULL;
    c.is_interactive = !args_has(&a, "prompt") && isatty(STDIN_FILENO);
    c.system = args_value(&a, "system");
    c.is_kept = !args_has(&a, "no-save");
    if (sc_store_home(&home, NULL) == SC_OK) c.home = strdup(home.data);
    sc_text_free(&home);
    c.cache = open_prompt_cache(&a.common, &cache);
    return start(&c, &a, &model, &session);
}

const struct command command_chat = {
    .name = "chat", .operands = "[MODEL]", .summary = "talk with a model in the terminal, or get one answer",
    .min_operands = 0, .max_operands = 1, .run = run_chat, .tables = chat_tables, .flags = chat_flags, .defaults = chat_defaults,
    .details = "Without -p and with a terminal, a conversation; /help lists its commands. With -p, or with text piped in, one answer:\n"
               "  starchat chat smollm2:135m-instruct\n"
               "  starchat chat MODEL -p \"Write a function that reverses a string in C.\"\n"
               "  git diff | starchat chat MODEL -p \"review this\"\n"
               "  starchat chat BASE_MODEL --few-shot ta\n"
               "Without MODEL: that of the conversation to continue, else " DEFAULT_MODEL ".\n"
               "What is not given comes from the model's generation_config, else from the values below. Conversations are kept\n"
               "in the store's home, in one file with those of the page (`starchat help talks`): --continue goes on with the last\n"
               "one, /load lists them. /undo, /regen and /edit take nothing away: what was there stays as a branch.",
};
