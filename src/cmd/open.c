/* open.c - what several commands begin with: runtime, model, Ctrl-C. A watcher thread waits for SIGINT with sigwait, so
 * that no signal handler and no global is needed (POSIX.1-2008, sigwait). */
#include "cmd/cmd.h"

#include <errno.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

/* ---- Ctrl-C -------------------------------------------------------------------------------------------------------------- */

static sigset_t interrupt_set(bool and_term)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    if (and_term) sigaddset(&set, SIGTERM);
    return set;
}

static void *interrupt_watch(void *arg)
{
    const struct interrupt *i = arg;
    sigset_t set = interrupt_set(i->and_term);
    int signal_number;
    if (sigwait(&set, &signal_number) != 0) return NULL;
    sc_cancel(i->runtime);
    if (sigwait(&set, &signal_number) != 0) return NULL;
    if (isatty(STDERR_FILENO) && write(STDERR_FILENO, "\r\033[K", 4) < 0) _exit(EXIT_INTERRUPTED);
    _exit(EXIT_INTERRUPTED);
}

static void interrupt_block(bool and_term)
{
    sigset_t set = interrupt_set(and_term);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
}

void interrupt_begin(struct interrupt *i, sc_runtime *runtime)
{
    i->runtime = runtime;
    interrupt_block(i->and_term);
    i->is_on = pthread_create(&i->watcher, NULL, interrupt_watch, i) == 0;
}

void interrupt_end(struct interrupt *i)
{
    if (!i->is_on) return;
    pthread_cancel(i->watcher);   /* sigwait is a cancellation point */
    pthread_join(i->watcher, NULL);
    i->is_on = false;
    sigset_t set = interrupt_set(i->and_term);
    pthread_sigmask(SIG_UNBLOCK, &set, NULL);
}

/* ---- asking -------------------------------------------------------------------------------------------------------------- */

bool ask(const char *format, ...)
{
    if (!isatty(STDIN_FILENO) || !isatty(STDERR_FILENO)) return false;
    char question[1024], answer[16];
    va_list ap;
    va_start(ap, format);
    vsnprintf(question, sizeof question, format, ap);
    va_end(ap);
    print_safe(stderr, question, strlen(question));
    fputs(" [y/N] ", stderr);
    if (!fgets(answer, sizeof answer, stdin)) return false;
    answer[strcspn(answer, "\n")] = 0;
    return strcasecmp(answer, "y") == 0 || strcasecmp(answer, "yes") == 0;
}

/* ---- runtime and model ------------------------------------------------------------------------------------------------------ */

int open_runtime(struct opened *o, struct args_common *c)
{
    sc_error err = { 0 };
    if (!c->runtime.on_event) c->runtime.on_event = draw_event;
    c->runtime.user = c;
    o->interrupt.and_term = c->saves_on_term;
    interrupt_block(o->interrupt.and_term);                   /* before the runtime's threads begin, which inherit it */
    if (sc_runtime_open(&o->runtime, &c->runtime, &err) != SC_OK) return fail_with(c, &err);
    interrupt_begin(&o->interrupt, o->runtime);
    return ARGS_GO;
}

/* ARGS_GO with *path; an unknown name, on a terminal, is pulled if the person says so. */
static int resolve(sc_text *path, struct args_common *c, const char *name, bool pull_missing)
{
    sc_error err = { 0 };
    if (sc_store_resolve(path, name, NULL, &err) == SC_OK) return ARGS_GO;
    if (!pull_missing || access(name, F_OK) == 0 || !ask("%s is not here yet. Pull it?", name)) return fail_with(c, &err);
    sc_pull_config pull;
    sc_options_defaults(sc_options_for("pull"), &pull);
    pull.source = name;
    pull.on_event = draw_event;
    pull.user = c;
    return sc_pull(path, &pull, &err) == SC_OK ? ARGS_GO : fail_with(c, &err);
}

/* Finds the model, and the adapter if one is given; a model that is an adapter becomes its base with it on top. */
static int resolve_model(struct opened *o, struct args_common *c, sc_model_config *m, const char *name, bool pull_missing)
{
    sc_error err = { 0 };
    sc_text base = { 0 };
    int code = resolve(&o->path, c, name, pull_missing);
    bool has_adapter = m->adapter && *m->adapter;
    if (code == ARGS_GO && has_adapter) code = resolve(&o->adapter, c, m->adapter, pull_missing);
    if (code == ARGS_GO && !has_adapter && sc_adapter_base(&base, o->path.data, &err) != SC_OK) code = fail_with(c, &err);
    if (code == ARGS_GO && base.data) {
        o->adapter = o->path;
        o->path = (sc_text){ 0 };
        code = resolve(&o->path, c, base.data, pull_missing);
    }
    sc_text_free(&base);
    m->path = o->path.data;
    m->adapter = o->adapter.data;
    return code;
}

static void note_lines(const struct args_common *c, const char *text)
{
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (n) note(c, "%.*s", (int)n, text);
    }
}

int open_model(struct opened *o, struct args_common *c, sc_model_config *m, const char *name, bool pull_missing)
{
    sc_error err = { 0 };
    if (strcmp(c->runtime.activations, "auto") == 0) c->runtime.activations = "int8";
    int code = resolve_model(o, c, m, name, pull_missing);
    if (code == ARGS_GO) code = open_runtime(o, c);
    if (code != ARGS_GO) return code;
    double begin = seconds_now();
    if (sc_model_open(&o->model, o->runtime, m, &err) != SC_OK) return fail_with(c, &err);
    if (c->verbose) note(c, "Opened %s in %.3f s.", m->path, seconds_now() - begin);
    note_lines(c, sc_model_notice(o->model));
    return ARGS_GO;
}

sc_prompt_cache *open_prompt_cache(const struct args_common *c, sc_prompt_cache_config *config)
{
    sc_prompt_cache *cache = NULL;
    sc_text directory = { 0 };
    sc_error err = { 0 };
    if (!config->prompt_cache || !config->prompt_cache_mib) return NULL;
    sc_status status = sc_prompt_cache_home(&directory, &err);
    config->directory = directory.data;
    if (status == SC_OK) status = sc_prompt_cache_open(&cache, config, &err);
    if (status != SC_OK && c->verbose) note(c, "No prompt cache: %s.", err.message);
    config->directory = NULL;
    sc_text_free(&directory);
    return cache;
}

void keep_prompt(const struct args_common *c, sc_session *s, sc_prompt_cache *cache, bool (*is_over)(void *user), void *user)
{
    sc_error err = { 0 };
    size_t kept;
    double begin = seconds_now();
    sc_status status = sc_session_keep(&kept, s, cache, is_over, user, &err);
    if (!c->verbose) return;
    if (status != SC_OK) note(c, "The prompt is not kept: %s.", err.message);
    else if (kept) note(c, "%zu tokens of the prompt cache written in %.3f s.", kept, seconds_now() - begin);
}

void close_model(struct opened *o)
{
    interrupt_end(&o->interrupt);
    sc_model_close(o->model);
    sc_runtime_close(o->runtime);
    sc_text_free(&o->path);
    sc_text_free(&o->adapter);
    *o = (struct opened){ 0 };
}
