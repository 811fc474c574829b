/* cmd_serve.c - the server: OpenAI's API and others', and the chat page, until it is stopped by SIGTERM or Ctrl-C. */
#include "cmd/cmd.h"

#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

struct serve { struct args args; sc_server_config config; sc_model_config model; sc_prompt_cache_config cache; struct opened opened; sc_server *server; pthread_t watcher; };

static sigset_t stop_signals(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    return set;
}

/* The first signal lets running answers finish, the second does not. */
static void *watch(void *arg)
{
    struct serve *s = arg;
    sigset_t set = stop_signals();
    int number;
    for (int n = 0; sigwait(&set, &number) == 0; n++) {
        if (n == 0) note(&s->args.common, "Stopping: running answers have %.0f seconds to finish; once more ends at once.", s->config.stop_seconds);
        sc_server_stop(s->server, n > 0);
    }
    return NULL;
}

/* Lines of the log go out whole. */
static void on_log(void *user, const char *json)
{
    (void)user;
    flockfile(stderr);
    fputs(json, stderr);
    putc('\n', stderr);
    funlockfile(stderr);
}

static void tell_where(const struct serve *s)
{
    if (strncmp(s->config.host, "unix:", 5) == 0) { printf("%s\n", s->config.host); fflush(stdout); return; }
    bool is_six = strchr(s->config.host, ':') != NULL;
    printf("http://%s%s%s:%d\n", is_six ? "[" : "", s->config.host, is_six ? "]" : "", sc_server_port(s->server));
    fflush(stdout);
    note(&s->args.common, s->config.page ? "The API is under /v1, the chat page at /. Ctrl-C stops the server." : "The API is under /v1. Ctrl-C stops the server.");
}

static int run(struct serve *s)
{
    sc_error err = { 0 };
    sigset_t set = stop_signals();
    sc_prompt_cache *cache = open_prompt_cache(&s->args.common, &s->cache);
    int code = EXIT_DONE;
    interrupt_end(&s->opened.interrupt);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sc_status status = sc_server_open(&s->server, s->opened.runtime, s->opened.model, cache, &s->config, &err);
    if (status == SC_OK) {
        pthread_create(&s->watcher, NULL, watch, s);
        tell_where(s);
        status = sc_server_run(s->server, &err);
        pthread_cancel(s->watcher);
        pthread_join(s->watcher, NULL);
    }
    if (status != SC_OK) code = fail_with(&s->args.common, &err);
    sc_server_close(s->server);
    sc_prompt_cache_close(cache);
    return code;
}

static int run_serve(const struct command *self, int argc, char **argv)
{
    struct serve s = { 0 };
    int code = args_parse(&s.args, self, argc, argv, (void *const[]){ &s.config, &s.cache, &s.model });
    if (code != ARGS_GO) return code;
    s.args.common.saves_on_term = true;                       /* SIGTERM is waited for too */
    s.config.on_log = on_log;
    sc_text home = { 0 };
    if (s.config.page && sc_store_home(&home, NULL) == SC_OK) s.config.talks_home = home.data;      /* the chat keeps its conversations there too */
    s.config.chat_template = s.model.chat_template;
    if (!*s.config.name && access(s.args.operand[0], F_OK) != 0) s.config.name = s.args.operand[0];
    code = open_model(&s.opened, &s.args.common, &s.model, s.args.operand[0], true);
    if (code == ARGS_GO) code = run(&s);
    close_model(&s.opened);
    sc_text_free(&home);
    return code;
}

static const char *const tables[] = { "serve", "prompt_cache", "model", NULL };
static const struct flag flags[] = { FLAG_END };
const struct command command_serve = {
    .name = "serve", .operands = "MODEL", .summary = "OpenAI-compatible API and chat page",
    .min_operands = 1, .max_operands = 1, .run = run_serve, .tables = tables, .flags = flags,
    .details = "Prints the address and serves until SIGTERM or Ctrl-C. Answers are computed together and do not depend on each other:\n"
               "the same prompt and seed give the same bytes. It listens on this machine alone unless --host says otherwise, which\n"
               "needs --api-key-file. docs/serving.md lists addresses, fields and limits.\n\n"
               "  starchat serve MODEL\n"
               "  starchat serve MODEL --adapters tuned=runs/demo --port 0\n"
               "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
               "       -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":true}'",
};
