/* cmd_hub.c - the account on the Hub: login, logout, whoami. */
#include "cmd/cmd.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

enum { TOKEN_BYTES_MAX = 64 * 1024 };

static json_t *parse_answer(sc_text *text)
{
    json_t *value = json_loadb(text->data, text->len, 0, NULL);
    sc_text_free(text);
    return value;
}

static const char *member(const json_t *object, const char *key)
{
    const char *text = json_string_value(json_object_get(object, key));
    return text ? text : "";
}

/* Names with commas between, on `to`. */
static void print_names(FILE *to, const json_t *names)
{
    size_t i;
    const json_t *name;
    json_array_foreach(names, i, name) {
        if (i) fputs(", ", to);
        print_safe(to, json_string_value(name), json_string_length(name));
    }
}

/* ---- the prompt ---------------------------------------------------------------------------------------------------------- */

static struct termios before;      /* for the handler: a terminal is never left without echo */

static void show_again(int signal_number)
{
    (void)tcsetattr(STDIN_FILENO, TCSANOW, &before);
    (void)signal(signal_number, SIG_DFL);
    (void)raise(signal_number);
}

/* A line typed on the terminal, which does not show it; free it. NULL at its end. */
static char *ask_secret(const char *question)
{
    static const int endings[] = { SIGINT, SIGTERM, SIGHUP, SIGQUIT };
    struct termios quiet;
    char *line = NULL;
    size_t cap = 0;
    if (tcgetattr(STDIN_FILENO, &before) != 0) return NULL;
    quiet = before;
    quiet.c_lflag &= ~(tcflag_t)ECHO;
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) signal(endings[i], show_again);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &quiet);
    fputs(question, stderr);
    ssize_t n = getline(&line, &cap, stdin);
    (void)tcsetattr(STDIN_FILENO, TCSAFLUSH, &before);
    for (size_t i = 0; i < sizeof endings / sizeof *endings; i++) signal(endings[i], SIG_DFL);
    fputc('\n', stderr);
    if (n >= 0) return line;
    free(line);
    return NULL;
}

/* The token from where the flags say; NULL after a message. */
static char *take_token(const struct args *a)
{
    const char *file = args_value(a, "token-file"), *name = args_value(a, "stored");
    size_t len;
    if (name) {
        sc_text text;
        sc_error err = { 0 };
        if (sc_hub_stored_token(&text, name, &err) == SC_OK) return text.data;
        fail_with(&a->common, &err);
        return NULL;
    }
    if (!file && isatty(STDIN_FILENO)) {
        note(&a->common, "A token is made on the Hub's page settings/tokens; to pull, \"read\" is enough, to push it needs \"write\".");
        char *line = ask_secret("Token (not shown): ");
        if (!line) fail_text("no token was typed");
        return line;
    }
    FILE *from = file && strcmp(file, "-") != 0 ? fopen(file, "re") : stdin;
    if (!from) {
        fail_text("cannot open %s, the file with the token", file);
        return NULL;
    }
    char *text = read_all(from, TOKEN_BYTES_MAX, &len, "the token");
    if (from != stdin) fclose(from);
    if (text && strlen(text) != len) {
        fail_text("the token contains a NUL");
        free(text);
        return NULL;
    }
    return text;
}

/* ---- login ----------------------------------------------------------------------------------------------------------------- */

static int run_login(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (a.n_operands || args_has(&a, "token"))
        return usage_error(self, "a token is not taken from the command line, where the shell's history and the list of processes show it; type it when asked, pipe it in, or use --token-file FILE. If that was a real one, revoke it");
    char *token = take_token(&a);
    if (!token) return EXIT_FAILED;
    sc_status status = sc_hub_login(&text, token, &err);
    explicit_bzero(token, strlen(token));
    free(token);
    if (status != SC_OK) return fail_with(&a.common, &err);
    if (a.common.json) printf("%s\n", text.data);
    json_t *answer = parse_answer(&text);
    const char *role = member(answer, "role"), *hidden = member(answer, "hidden_by");
    note(&a.common, "Logged in as %s%s%s%s; the token is kept in %s.", member(answer, "name"), *role ? " (" : "", role, *role ? ")" : "", member(answer, "from"));
    if (*hidden) note(&a.common, "The variable %s has another token and goes before it; unset it to use this one.", hidden);
    json_decref(answer);
    return EXIT_DONE;
}

static const struct flag login_flags[] = {
    { "token-file", NULL, "FILE", "read the token from FILE (\"-\": standard input)", NULL },
    { "stored", NULL, "NAME", "use the token that huggingface_hub keeps under this name (its file stored_tokens)", NULL },
    { "token", NULL, "TOKEN", "refused: a token on the command line stays in the shell's history", NULL },
    FLAG_JSON, FLAG_END
};
const struct command command_login = {
    .name = "login", .operands = "", .summary = "keep a token of the Hugging Face Hub", .max_operands = 1, .run = run_login, .flags = login_flags,
    .details = "Asks for a token (it is not shown), or reads it from standard input or a file, asks the Hub whose it is, and keeps it\n"
               "where the Python clients look too: $HF_TOKEN_PATH, else $HF_HOME/token. Only you can read the file.\n\n"
               "  starchat login < token.txt",
};

/* ---- logout ---------------------------------------------------------------------------------------------------------------- */

static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };

static int run_logout(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (sc_hub_logout(&text, &err) != SC_OK) return fail_with(&a.common, &err);
    if (a.common.json) printf("%s\n", text.data);
    json_t *answer = parse_answer(&text);
    const json_t *removed = json_object_get(answer, "removed"), *others = json_object_get(answer, "others"), *path;
    size_t i;
    json_array_foreach(removed, i, path) note(&a.common, "Removed the token from %s.", json_string_value(path));
    if (json_array_size(removed) == 0) note(&a.common, "No token was kept here.");
    if (json_array_size(others) && !a.common.quiet) {
        fputs("Other tokens stay in huggingface_hub's list: ", stderr);
        print_names(stderr, others);
        fputc('\n', stderr);
    }
    if (*member(answer, "variable")) note(&a.common, "The variable %s still gives a token; unset it too.", member(answer, "variable"));
    json_decref(answer);
    return EXIT_DONE;
}

const struct command command_logout = {
    .name = "logout", .operands = "", .summary = "remove the kept token of the Hub", .run = run_logout, .flags = json_flags,
};

/* ---- whoami ---------------------------------------------------------------------------------------------------------------- */

static void print_row(const char *key, const char *value)
{
    printf("%-14s", key);
    print_safe(stdout, value, strlen(value));
    putchar('\n');
}

static int run_whoami(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (sc_hub_whoami(&text, &err) != SC_OK) return fail_with(&a.common, &err);
    if (a.common.json) {
        printf("%s\n", text.data);
        sc_text_free(&text);
        return EXIT_DONE;
    }
    json_t *answer = parse_answer(&text);
    const json_t *orgs = json_object_get(answer, "orgs");
    print_row("user", member(answer, "name"));
    if (json_array_size(orgs)) {
        printf("%-14s", "organisations");
        print_names(stdout, orgs);
        putchar('\n');
    }
    print_row("token", *member(answer, "token_name") ? member(answer, "token_name") : "(without a name)");
    print_row("role", *member(answer, "role") ? member(answer, "role") : "(not told)");
    print_row("from", member(answer, "from"));
    print_row("Hub", member(answer, "endpoint"));
    json_decref(answer);
    return EXIT_DONE;
}

const struct command command_whoami = {
    .name = "whoami", .operands = "", .summary = "who is logged in on the Hub", .run = run_whoami, .flags = json_flags,
    .details = "Asks the Hub whose the token in use is. HF_TOKEN goes before the kept token; HF_HUB_DISABLE_IMPLICIT_TOKEN=1 sends\n"
               "none.",
};
