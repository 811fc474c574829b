/* cmd_rank.c - human evaluation: people rank answers blind, on a page of this machine's own. */
#include "cmd/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- serve ------------------------------------------------------------------------------------------------------------------------------- */

/* The study is made in a process of its own, which prints the key and the links once it is told the address, and ends: the process that serves never has them in its memory.
 * to: the address goes there; from: a byte comes, the maker's exit code, when the study is made. pid 0: a study that was there. */
struct maker { pid_t pid; int to, from; };
enum { WATCH_ENDS = SIGUSR2 };
struct serving { struct args args; sc_rank_config make; sc_rank_server_config config; sc_rank_server *server; atomic_bool has_ended; struct maker maker; };

static sigset_t watched(void)
{
    sigset_t set;
    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, WATCH_ENDS);
    return set;
}

static void *watch(void *arg)
{
    struct serving *s = arg;
    sigset_t set = watched();
    int number, n = 0;
    while (sigwait(&set, &number) == 0) {
        if (number == WATCH_ENDS && atomic_load(&s->has_ended)) break;
        if (number != WATCH_ENDS) sc_rank_server_stop(s->server, n++ > 0);
    }
    return NULL;
}

static void on_log(void *user, const char *json)
{
    const struct serving *s = user;
    json_t *line = json_loads(json, 0, NULL);
    const char *level = json_string_value(json_object_get(line, "level"));
    if (s->args.common.verbose || (level && strcmp(level, "info") != 0)) fprintf(stderr, "%s\n", json);
    json_decref(line);
}

static void print_link(const char *address, const json_t *rater)
{
    printf("%s\t%s/#%s\n", json_string_value(json_object_get(rater, "name")), address, json_string_value(json_object_get(rater, "token")));
}

/* ---- what is printed once and kept nowhere: links and the key ---- */

static void tell_json(json_t *all, const char *address)
{
    json_t *raters = json_object_get(all, "raters"), *rater;
    size_t i;
    json_object_set_new(all, "address", json_string(address));
    json_array_foreach(raters, i, rater) {
        char link[600];
        snprintf(link, sizeof link, "%s/#%s", address, json_string_value(json_object_get(rater, "token")));
        json_object_set_new(rater, "link", json_string(link));
    }
    json_dumpf(all, stdout, JSON_COMPACT);
    putchar('\n');
    fflush(stdout);
}

/* made NULL: of a study that was there. */
static void tell(const struct serving *s, json_t *made, const char *address)
{
    const json_t *rater;
    size_t i;
    if (s->args.common.json) {
        json_t *all = made ? json_incref(made) : json_object();
        tell_json(all, address);
        json_decref(all);
    } else {
        printf("%s\n", address);
        if (made) printf("key\t%s\n", json_string_value(json_object_get(made, "key")));
        json_array_foreach(json_object_get(made, "raters"), i, rater) print_link(address, rater);
        fflush(stdout);
    }
    if (made) note(&s->args.common, "The key opens whose the answers are when the study is closed. Keep it: it is printed this once, and so is each rater's link. Send each rater one.");
    else note(&s->args.common, "Going on with %s; links that were sent stay valid. `starchat rank invite` makes more.", s->make.out);
}

/* A study whose key nobody saw is of no use: the same command makes it anew. */
static void take_back(const struct serving *s)
{
    static const char *const ends[] = { "", "-wal", "-shm" };
    for (size_t i = 0; i < 3; i++) {
        char path[4200];
        snprintf(path, sizeof path, "%s%s", s->make.out, ends[i]);
        unlink(path);
    }
}

/* A maker that is stopped before it printed anything leaves nothing. */
enum { MAKER_MAKES, MAKER_TELLS, MAKER_STOPS };
struct making { const struct serving *s; atomic_int state; sigset_t stops; };

static void *watch_maker(void *arg)
{
    struct making *m = arg;
    char path[4200];
    int number, state = MAKER_MAKES;
    while (sigwait(&m->stops, &number) != 0) { }
    if (!atomic_compare_exchange_strong(&m->state, &state, MAKER_STOPS)) return NULL;
    snprintf(path, sizeof path, "%s.tmp-%ld", m->s->make.out, (long)getpid());
    unlink(path);
    take_back(m->s);
    _exit(EXIT_INTERRUPTED);
}

static void watch_stops(struct making *m)
{
    pthread_t thread;
    sigemptyset(&m->stops);
    sigaddset(&m->stops, SIGINT);
    sigaddset(&m->stops, SIGTERM);
    sigaddset(&m->stops, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &m->stops, NULL);
    signal(SIGXFSZ, SIG_IGN);                                  /* beyond a limit of file sizes: an error with a sentence */
    prctl(PR_SET_PDEATHSIG, SIGTERM);                          /* without the server there is nothing to make a study for */
    if (pthread_create(&thread, NULL, watch_maker, m) == 0) pthread_detach(thread);
}

/* The maker: makes the study, says so, waits for the address, prints. If none comes, the server could not begin. */
static int make(const struct serving *s, int to, int from)
{
    struct making m = { .s = s };
    sc_text text = { 0 };
    sc_error err = { 0 };
    char address[600];
    size_t n = 0;
    uint8_t code = EXIT_DONE;
    int state = MAKER_MAKES;
    watch_stops(&m);
    sc_status status = sc_rank_make(&text, &s->make, &err);
    if (status != SC_OK) code = (uint8_t)fail_with(&s->args.common, &err);
    json_t *made = status == SC_OK ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    if (made) note(&s->args.common, "%s: %" JSON_INTEGER_FORMAT " items and %" JSON_INTEGER_FORMAT " gold items with %" JSON_INTEGER_FORMAT " answers.", s->make.out, json_integer_value(json_object_get(made, "items")),
                   json_integer_value(json_object_get(made, "gold")), json_integer_value(json_object_get(made, "answers")));
    bool is_heard = write(from, &code, 1) == 1;
    for (ssize_t got = 1; made && is_heard && got > 0 && n + 1 < sizeof address; n += (size_t)(got > 0 ? got : 0)) got = read(to, address + n, sizeof address - 1 - n);
    address[n] = 0;
    if (!atomic_compare_exchange_strong(&m.state, &state, MAKER_TELLS)) pause();      /* until the watcher has ended us */
    if (made && n) tell(s, made, address);
    else if (made) take_back(s);
    if (made && (!n || ferror(stdout))) code = EXIT_FAILED;
    json_decref(made);
    sc_text_free(&text);
    return code;
}

/* False: the study could not be made, and the maker said why; *code is what the command ends with. */
static bool maker_start(struct serving *s, int *code)
{
    int to[2] = { -1, -1 }, from[2] = { -1, -1 };
    uint8_t told = EXIT_FAILED;
    fflush(NULL);                                              /* or it would be printed twice */
    signal(SIGPIPE, SIG_IGN);
    bool ok = pipe2(to, O_CLOEXEC) == 0 && pipe2(from, O_CLOEXEC) == 0;
    s->maker = (struct maker){ ok ? fork() : -1, to[1], from[0] };
    if (s->maker.pid == 0) {
        close(to[1]);
        close(from[0]);
        exit(make(s, to[0], from[1]));
    }
    close(to[0]);
    close(from[1]);
    if (s->maker.pid < 0) { *code = fail_text("cannot start a process that makes the study: %s", strerror(errno)); return false; }
    bool is_made = read(s->maker.from, &told, 1) == 1 && told == EXIT_DONE;
    *code = told;
    if (!is_made) {
        int status = 0;
        while (waitpid(s->maker.pid, &status, 0) < 0 && errno == EINTR) { }
        if (WIFSIGNALED(status)) *code = fail_text("the process that makes the study was ended by signal %d (%s)", WTERMSIG(status), strsignal(WTERMSIG(status)));
    }
    return is_made;
}

/* address NULL: there is no server, so the maker takes the study back. False: it did not print. */
static bool maker_end(struct maker *m, const char *address)
{
    int status = 0;
    size_t n = address ? strlen(address) : 0;
    bool ok = n > 0 && write(m->to, address, n) == (ssize_t)n;
    close(m->to);
    close(m->from);
    while (waitpid(m->pid, &status, 0) < 0 && errno == EINTR) { }
    m->pid = 0;
    return ok && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_DONE;
}

static void warn_and_note(const struct serving *s)
{
    bool is_loopback = strncmp(s->config.host, "127.", 4) == 0 || !strcmp(s->config.host, "::1") || !strcmp(s->config.host, "localhost") || strncmp(s->config.host, "unix:", 5) == 0;
    if (!is_loopback) fprintf(stderr, "starchat: warning: %s can be reached from other machines, and without TLS: who can listen on the way reads links and answers; put a proxy with TLS before it and give --url\n", s->config.host);
    note(&s->args.common, "Ctrl-C stops the server; the same command goes on with the study.");
}

static int serve(struct serving *s)
{
    sc_error err = { 0 };
    pthread_t watcher;
    sigset_t set = watched();
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    signal(SIGPIPE, SIG_IGN);
    s->config.on_log = on_log;
    s->config.user = s;
    bool is_told = true, is_made = s->maker.pid != 0;
    sc_status status = sc_rank_server_open(&s->server, s->make.out, &s->config, &err);
    bool is_watched = status == SC_OK && pthread_create(&watcher, NULL, watch, s) == 0;
    if (is_made) is_told = maker_end(&s->maker, status == SC_OK ? sc_rank_server_address(s->server) : NULL);
    else if (status == SC_OK) tell(s, NULL, sc_rank_server_address(s->server));
    if (status == SC_OK && is_told) warn_and_note(s);
    if (status == SC_OK && is_told && s->config.lockdown) status = sc_rank_server_lock_down(s->server, &err);
    else if (status == SC_OK && is_told) fputs("starchat: warning: --no-lockdown leaves this server all files and programs of its user\n", stderr);
    if (status == SC_OK && is_told) status = sc_rank_server_run(s->server, &err);
    if (is_watched) {
        atomic_store(&s->has_ended, true);
        pthread_kill(watcher, WATCH_ENDS);
        pthread_join(watcher, NULL);
    }
    int code = status != SC_OK ? fail_with(&s->args.common, &err) : is_told ? EXIT_DONE : fail_text("the key and the links could not be printed");
    sc_rank_server_close(s->server);
    if (!is_told && status == SC_OK) take_back(s);
    return code;
}

static int run_serve(const struct command *self, int argc, char **argv)
{
    struct serving s = { 0 };
    int code = args_parse(&s.args, self, argc, argv, (void *const[]){ &s.make, &s.config });
    if (code != ARGS_GO) return code;
    if (!*s.make.out) return usage_error(self, "--out is missing: the file of the study");
    bool is_there = access(s.make.out, F_OK) == 0;
    if (is_there && *s.make.prompts) return usage_error(self, "the study %s is already there; leave out --prompts and --answers to go on with it, or give another --out", s.make.out);
    if (!is_there && !*s.make.prompts) return usage_error(self, "there is no study %s; --prompts and --answers make one", s.make.out);
    return is_there || maker_start(&s, &code) ? serve(&s) : code;
}

static const char *const serve_tables[] = { "rank", "rank_server", NULL };
static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };
static const struct command rank_serve = {
    .name = "rank serve", .operands = "", .summary = "the page on which people rank answers", .run = run_serve, .tables = serve_tables, .flags = json_flags,
    .details = "Makes the study if --out is not there yet, prints the address, the owner's key and a link for\n"
               "each rater, and serves until Ctrl-C. Raters rank 2 to 9 answers to each prompt without knowing\n"
               "whose they are, score them from 1 to 7 and tick what is wrong. See docs/rank.md.\n\n"
               "  starchat rank serve --prompts prompts.jsonl --answers base.jsonl,tuned.jsonl --out study.sqlite\n"
               "  starchat rank serve --prompts p.jsonl --answers a=1.jsonl,b=2.jsonl --gold gold.jsonl --raters 5 --overlap 2 --out study.sqlite\n"
               "  starchat rank serve --out study.sqlite",
};

/* ---- invite -------------------------------------------------------------------------------------------------------------------------------- */

static int run_invite(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const char *name = args_value(&a, "name"), *url = args_value(&a, "url");
    bool again = args_has(&a, "again"), revoke = args_has(&a, "revoke");
    if (!name) return usage_error(self, "--name is missing: who is invited");
    if (again && revoke) return usage_error(self, "--again and --revoke exclude each other");
    if (sc_rank_invite(&text, a.operand[0], name, again ? SC_RANK_AGAIN : revoke ? SC_RANK_REVOKE : SC_RANK_NEW, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    const char *address = json_string_value(json_object_get(all, "address"));
    if (!url) url = address ? address : "http://127.0.0.1:8090";
    if (revoke) {
        note(&a.common, "The link of %s opens nothing any more; what was rated stays.", name);
    } else {
        char link[600];
        snprintf(link, sizeof link, "%s/#%s", url, json_string_value(json_object_get(all, "token")));
        json_object_set_new(all, "link", json_string(link));
        if (!a.common.json) print_link(url, all);
        note(&a.common, "This is the only time that the link is shown.");
    }
    if (a.common.json) { json_dumpf(all, stdout, JSON_COMPACT); putchar('\n'); }
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const struct flag invite_flags[] = {
    { "name", NULL, "NAME", "who is invited", NULL },
    { "again", NULL, NULL, "a new link for a rater who is there; the old one ends", NULL },
    { "revoke", NULL, NULL, "ends the link of a rater; what was rated stays", NULL },
    { "url", NULL, "URL", "what the link begins with; without it, where the server last listened", NULL },
    FLAG_JSON, FLAG_END,
};
static const struct command rank_invite = {
    .name = "rank invite", .operands = "STUDY", .summary = "a link for one more rater", .min_operands = 1, .max_operands = 1, .run = run_invite, .flags = invite_flags,
    .details = "Also while the server runs. A new rater gets as many items as the others, those that fewest have.\n\n"
               "  starchat rank invite study.sqlite --name anna\n"
               "  starchat rank invite study.sqlite --name rater-2 --again",
};

/* ---- close ---------------------------------------------------------------------------------------------------------------------------------- */

static int run_close(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    size_t len;
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const char *file = args_value(&a, "key-file");
    FILE *from = file ? fopen(file, "r") : stdin;
    if (!from) return fail_text("%s cannot be read", file);
    if (!file && isatty(STDIN_FILENO)) note(&a.common, "The owner's key, as `rank serve` printed it:");
    char line[256] = "";
    char *got = fgets(line, sizeof line, from);
    len = got ? strlen(line) : 0;
    if (file) fclose(from);
    if (!len) return fail_text("no key was given; write it to standard input, or give --key-file FILE");
    if (strncmp(line, "key\t", 4) == 0) memmove(line, line + 4, len - 3);      /* the line as it was printed */
    sc_status status = sc_rank_close(&text, a.operand[0], line, &err);
    memset(line, 0, sizeof line);
    if (status != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    if (a.common.json) printf("%s\n", text.data);
    note(&a.common, "%s is closed: %" JSON_INTEGER_FORMAT " items were rated, of %zu models. `rank report` and `rank export` tell what came of it.", a.operand[0], json_integer_value(json_object_get(all, "ratings")), json_array_size(json_object_get(all, "models")));
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const struct flag close_flags[] = { { "key-file", NULL, "FILE", "file with the owner's key; without it, it is read from standard input", NULL }, FLAG_JSON, FLAG_END };
static const struct command rank_close = {
    .name = "rank close", .operands = "STUDY", .summary = "end a study and open whose the answers are", .min_operands = 1, .max_operands = 1, .run = run_close, .flags = close_flags,
    .details = "Nothing can be rated any more, also where the server still runs. There is no way back.\n\n"
               "  starchat rank close study.sqlite --key-file key",
};

/* ---- export ----------------------------------------------------------------------------------------------------------------------------------- */

static int run_export(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_rank_export_config c;
    sc_text text = { 0 };
    sc_error err = { 0 };
    const json_t *one;
    size_t i;
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &c });
    if (code != ARGS_GO) return code;
    if (!*c.ratings && !*c.pairs) return usage_error(self, "nothing is to be written; give --ratings FILE, --pairs FILE, or both");
    if (sc_rank_export(&text, a.operand[0], &c, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    if (a.common.json) printf("%s\n", text.data);
    if (*c.ratings) note(&a.common, "%s: %" JSON_INTEGER_FORMAT " ratings.", c.ratings, json_integer_value(json_object_get(all, "ratings")));
    if (*c.pairs) note(&a.common, "%s: %" JSON_INTEGER_FORMAT " pairs; %" JSON_INTEGER_FORMAT " ties are left out.", c.pairs, json_integer_value(json_object_get(all, "pairs")), json_integer_value(json_object_get(all, "ties")));
    json_array_foreach(json_object_get(all, "excluded"), i, one) {
        char *rules = json_dumps(json_object_get(one, "rules"), JSON_COMPACT);
        note(&a.common, "%s is %s by the study's rules: %s", json_string_value(json_object_get(one, "rater")), c.include_excluded ? "in, though left out" : "left out of the pairs", rules);
        free(rules);
    }
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const char *const export_tables[] = { "rank_export", NULL };
static const struct command rank_export = {
    .name = "rank export", .operands = "STUDY", .summary = "ratings and preference pairs as lines of JSON", .min_operands = 1, .max_operands = 1, .run = run_export, .tables = export_tables, .flags = json_flags,
    .details = "Of a closed study. A ranking of K answers gives up to K(K-1)/2 pairs, which belong together:\n"
               "\"prompt_id\" names the prompt. `starchat train` with loss_type: dpo reads them.\n\n"
               "  starchat rank export study.sqlite --ratings ratings.jsonl --pairs pairs.jsonl",
};

/* ---- report ------------------------------------------------------------------------------------------------------------------------------------- */

static const char *number(char out[24], const json_t *o, const char *key, const char *format)
{
    const json_t *v = json_object_get(o, key);
    if (!json_is_number(v)) return "-";
    double x = json_number_value(v);
    if (*format == '%') snprintf(out, 24, "%.1f %%", 100 * x);
    else if (*format == '1') snprintf(out, 24, "%.1f", x);
    else snprintf(out, 24, "%.2f", x);
    return out;
}

static void print_models(const json_t *all)
{
    const json_t *row;
    size_t i;
    if (!json_array_size(json_object_get(all, "models"))) return;
    printf("\n%-24s %6s %12s %10s %22s %22s\n", "model", "shown", "best-worst", "rank", "score (95 %)", "strength (95 %)");
    json_array_foreach(json_object_get(all, "models"), i, row) {
        char a[24], b[24], c[24], d[24], e[24], f[24], g[24], h[24], score[80], strength[80];
        snprintf(score, sizeof score, "%s (%s to %s)", number(c, row, "mean_score", ""), number(d, row, "mean_score_low", ""), number(e, row, "mean_score_high", ""));
        snprintf(strength, sizeof strength, "%s (%s to %s)", number(f, row, "strength", ""), number(g, row, "strength_low", ""), number(h, row, "strength_high", ""));
        printf("%-24s %6" JSON_INTEGER_FORMAT " %12s %10s %22s %22s\n", json_string_value(json_object_get(row, "model")), json_integer_value(json_object_get(row, "shown")), number(a, row, "best_worst", ""), number(b, row, "mean_rank", ""), score, strength);
    }
    json_array_foreach(json_object_get(all, "pairs"), i, row) {
        char a[24], b[24], c[24];
        printf("%s%s is better than %s in %s of %" JSON_INTEGER_FORMAT " ratings (%s to %s; ties count half)\n", i ? "" : "\n", json_string_value(json_object_get(row, "a")), json_string_value(json_object_get(row, "b")), number(a, row, "win_rate", "%"),
               json_integer_value(json_object_get(row, "ratings")), number(b, row, "win_rate_low", "%"), number(c, row, "win_rate_high", "%"));
    }
}

static void print_report(const json_t *all)
{
    const json_t *row, *agreement = json_object_get(all, "agreement");
    char a[24], b[24], c[24], d[24];
    size_t i;
    printf("%-24s %12s %10s %12s %12s  %s\n", "rater", "done", "seconds", "gold right", "same again", "left out by");
    json_array_foreach(json_object_get(all, "raters"), i, row) {
        char done[40], *rules = json_dumps(json_object_get(row, "excluded"), JSON_COMPACT);
        snprintf(done, sizeof done, "%" JSON_INTEGER_FORMAT "/%" JSON_INTEGER_FORMAT, json_integer_value(json_object_get(row, "done")), json_integer_value(json_object_get(row, "assigned")));
        printf("%-24s %12s %10s %12s %12s  %s\n", json_string_value(json_object_get(row, "rater")), done, number(a, row, "median_seconds", "1"), number(b, json_object_get(row, "gold"), "share", "%"), number(c, json_object_get(row, "repeats"), "share", "%"),
               json_array_size(json_object_get(row, "excluded")) ? rules : "");
        free(rules);
    }
    printf("\nRaters agree on %s of pairs (%s without ties); kappa %s, alpha of preferences %s, ", number(a, agreement, "share", "%"), number(b, agreement, "share_without_ties", "%"), number(c, agreement, "kappa", ""), number(d, agreement, "alpha_preferences", ""));
    printf("of scores %s\n", number(a, agreement, "alpha_scores", ""));
    print_models(all);
    json_array_foreach(json_object_get(all, "judges"), i, row) {
        const json_t *most = json_object_get(row, "with_majority"), *each = json_object_get(row, "with_each");
        printf("%s%s: as the majority of people on %s of %" JSON_INTEGER_FORMAT " pairs, as each rater on %s; kappa %s\n", i ? "" : "\n", json_string_value(json_object_get(row, "judge")), number(a, most, "share", "%"), json_integer_value(json_object_get(most, "pairs")),
               number(b, each, "share", "%"), number(c, most, "kappa", ""));
    }
    json_array_foreach(json_object_get(all, "notes"), i, row) printf("%s%s\n", i ? "" : "\n", json_string_value(row));
}

static int run_report(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_rank_report_config c;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &c });
    if (code != ARGS_GO) return code;
    if (sc_rank_report(&text, a.operand[0], &c, &err) != SC_OK) return fail_with(&a.common, &err);
    json_t *all = json_loadb(text.data, text.len, 0, NULL);
    if (a.common.json) printf("%s\n", text.data);
    else print_report(all);
    if (*c.out) note(&a.common, "%s is written.", c.out);
    json_decref(all);
    sc_text_free(&text);
    return EXIT_DONE;
}

static const char *const report_tables[] = { "rank_report", NULL };
static const struct command rank_report = {
    .name = "rank report", .operands = "STUDY", .summary = "raters, agreement, and which model is better", .min_operands = 1, .max_operands = 1, .run = run_report, .tables = report_tables, .flags = json_flags,
    .details = "Of an open study it tells of raters and agreement alone: whose the answers are is sealed until `rank close`.\n\n"
               "  starchat rank report study.sqlite --out report.html\n"
               "  starchat rank report study.sqlite --judgements runs/judged --json",
};

static const struct command *const parts[] = { &rank_serve, &rank_invite, &rank_close, &rank_export, &rank_report, NULL };
const struct command command_rank = {
    .name = "rank", .operands = "serve|invite|close|export|report", .summary = "human evaluation: people rank answers blind",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = command_run_part, .parts = parts,
};
