/* cmd_serve.c - the server: OpenAI's API and others', and the chat page, until it is stopped by SIGTERM or Ctrl-C. */
#include "cmd/serve.h"

#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <unistd.h>

struct serve {
    struct args args;
    sc_server_config config; sc_model_config model; sc_prompt_cache_config cache;
    sc_settings file; const char *name;
    struct opened opened;
    sc_server *server;
    pthread_t watcher; bool is_watched; atomic_bool has_ended;
    int notify;                              /* the service manager; -1: none */
    bool has_terminal;
};

static bool has_keys(const struct serve *s) { return s->config.api_key_file && *s->config.api_key_file; }

/* What ends the watcher once the server has ended. Not pthread_cancel: that could fall into the middle of a reload. */
enum { WATCH_ENDS = SIGUSR2 };

/* SIGHUP only where there is something to read again: elsewhere it ends the program, as a terminal that is closed means it. */
static sigset_t watched_signals(const struct serve *s)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    if (has_keys(s)) sigaddset(&set, SIGHUP);
    sigaddset(&set, WATCH_ENDS);
    return set;
}

static void reload(struct serve *s)
{
    sc_error err = { 0 };
    if (sc_server_reload(s->server, &err) != SC_OK) note(&s->args.common, "Not read again: %s.", err.message);
}

/* SIGHUP reads the keys again, unless it tells that the terminal is gone. Of the others the first lets running answers finish, the second does not. */
static void *watch(void *arg)
{
    struct serve *s = arg;
    sigset_t set = watched_signals(s);
    int number, n = 0;
    while (sigwait(&set, &number) == 0) {
        if (number == WATCH_ENDS && atomic_load(&s->has_ended)) break;
        if (number == WATCH_ENDS) continue;
        if (number == SIGHUP && (!s->has_terminal || isatty(STDERR_FILENO))) { reload(s); continue; }
        if (n == 0) note(&s->args.common, "Stopping: running answers have %.0f seconds to finish; once more ends at once.", s->config.stop_seconds);
        if (n == 0) notify_send(s->notify, "STOPPING=1\nSTATUS=Running answers have %.0f seconds to finish", s->config.stop_seconds);
        sc_server_stop(s->server, n++ > 0);
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

/* Everything is open now; what is not, stays shut. */
static sc_status lock_down(struct serve *s, sc_error *err)
{
    if (s->config.lockdown) return sc_server_lock_down(s->server, NULL, 0, err);
    fputs("starchat: warning: --no-lockdown leaves this server all files and programs of its user\n", stderr);
    return SC_OK;
}

static sc_status serve(struct serve *s, sc_error *err)
{
    s->notify = notify_open();
    s->is_watched = pthread_create(&s->watcher, NULL, watch, s) == 0;
    sc_status status = lock_down(s, err);
    if (status == SC_OK) {
        tell_where(s);
        notify_send(s->notify, "READY=1\nSTATUS=Serving %s", s->name);
        status = sc_server_run(s->server, err);
    }
    if (s->is_watched) {
        atomic_store(&s->has_ended, true);
        pthread_kill(s->watcher, WATCH_ENDS);
        pthread_join(s->watcher, NULL);
    }
    if (s->notify >= 0) close(s->notify);
    return status;
}

static int run(struct serve *s)
{
    sc_error err = { 0 };
    sigset_t set = watched_signals(s);
    sc_prompt_cache *cache = open_prompt_cache(&s->args.common, &s->cache);
    int code = EXIT_DONE;
    interrupt_end(&s->opened.interrupt);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    sc_status status = sc_server_open(&s->server, s->opened.runtime, s->opened.model, cache, &s->config, &err);
    if (status == SC_OK) status = serve(s, &err);
    if (status != SC_OK) code = fail_with(&s->args.common, &err);
    sc_server_close(s->server);
    sc_prompt_cache_close(cache);
    return code;
}

/* SIGHUP is blocked before the runtime's threads begin, which would end the program by it. */
static int open_and_run(struct serve *s)
{
    sc_text home = { 0 };
    sigset_t set;
    sigemptyset(&set);
    if (has_keys(s)) sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    s->args.common.saves_on_term = true;                      /* SIGTERM is waited for too */
    s->has_terminal = isatty(STDERR_FILENO);
    s->config.on_log = on_log;
    if (s->config.page && sc_store_home(&home, NULL) == SC_OK) s->config.talks_home = home.data;      /* the chat keeps its conversations there too */
    s->config.chat_template = s->model.chat_template;
    if (!*s->config.name && access(s->name, F_OK) != 0) s->config.name = s->name;
    int code = open_model(&s->opened, &s->args.common, &s->model, s->name, true);
    if (code == ARGS_GO) code = run(s);
    close_model(&s->opened);
    sc_text_free(&home);
    return code;
}

static int run_serve(const struct command *self, int argc, char **argv)
{
    struct serve s = { .notify = -1 };
    sc_error err = { 0 };
    void *const configs[] = { &s.config, &s.cache, &s.model };
    int code = args_parse(&s.args, self, argc, argv, configs);
    if (code == ARGS_GO) code = serve_configure(&s.args, configs, &s.name, &s.file);
    if (code == ARGS_GO && sc_server_check(&s.config, &err) != SC_OK) code = usage_error(self, "%s", err.message);
    if (code == ARGS_GO) code = args_has(&s.args, "check") ? serve_print_config(&s.args, configs, s.name) : open_and_run(&s);
    sc_settings_free(&s.file);
    return code;
}

static const char *const tables[] = { "serve", "prompt_cache", "model", NULL };
static const struct flag flags[] = {
    { "config", NULL, "FILE", "YAML with these options as keys (port: 8080), and \"model\"; flags and STARCHAT_SERVE_PORT, ... win over it", NULL },
    { "check", NULL, NULL, "print what is set, as JSON, and end: 0, or 2 where something is wrong", NULL },
    FLAG_END,
};
const struct command command_serve = {
    .name = "serve", .operands = "[MODEL]", .summary = "OpenAI-compatible API and chat page",
    .max_operands = 1, .run = run_serve, .tables = tables, .flags = flags,
    .details = "Prints the address and serves until SIGTERM or Ctrl-C. Answers are computed together and do not depend on each other:\n"
               "the same prompt and seed give the same bytes. It listens on this machine alone unless --host says otherwise, which\n"
               "needs --api-key-file (`starchat key new` makes keys). docs/serving.md lists addresses, fields and limits.\n\n"
               "  starchat serve MODEL\n"
               "  starchat serve MODEL --adapters tuned=runs/demo --port 0\n"
               "  starchat serve --config serve.yaml --check\n"
               "  curl http://127.0.0.1:8080/v1/chat/completions -H 'Content-Type: application/json' \\\n"
               "       -d '{\"messages\":[{\"role\":\"user\",\"content\":\"Hello\"}],\"stream\":true}'",
};
