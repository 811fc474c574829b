/* cmd_judge_prompts.c - `starchat judge prompts`: a set of prompts to judge by, and the review of those that a model wrote. Reads $VISUAL, $EDITOR and $TMPDIR. */
#include "cmd/judge.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

enum { EDITED_BYTES_MAX = 1 << 20 };

/* ---- a key at a time --------------------------------------------------------------------------------------------------------------------- */

/* The next key: of a terminal as it is pressed, else the next byte that is no white space. 'q' at the end. */
static int read_key(void)
{
    struct termios before, raw;
    bool is_terminal = tcgetattr(STDIN_FILENO, &before) == 0;
    char c = 0;
    ssize_t n;
    if (is_terminal) {
        raw = before;
        raw.c_lflag &= ~(tcflag_t)(ICANON | ECHO);
        tcsetattr(STDIN_FILENO, TCSADRAIN, &raw);
    }
    do n = read(STDIN_FILENO, &c, 1); while ((n < 0 && errno == EINTR) || (n == 1 && strchr(" \t\r\n", c)));
    if (is_terminal) tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
    return n == 1 && c != 4 ? c : 'q';
}

static bool run_editor(const char *path)
{
    const char *editor = getenv("VISUAL");
    char command[1000];
    if (!editor || !*editor) editor = getenv("EDITOR");
    if (!editor || !*editor) editor = "vi";
    if (snprintf(command, sizeof command, "%s \"$1\"", editor) >= (int)sizeof command) return false;
    pid_t child = fork();
    if (child == 0) {
        execl("/bin/sh", "sh", "-c", command, "sh", path, (char *)NULL);
        _exit(127);
    }
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The text as the person leaves it, malloc'ed; false after a message. */
static bool edit(sc_text *out, const char *text)
{
    char path[300];
    const char *directory = getenv("TMPDIR");
    snprintf(path, sizeof path, "%.200s/starchat-XXXXXX.md", directory && *directory ? directory : "/tmp");
    int fd = mkstemps(path, 3);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    if (!ok) fprintf(stderr, "starchat: %s cannot be written: %s\n", path, strerror(errno));
    bool was_run = ok && run_editor(path);
    if (ok && !was_run) fprintf(stderr, "starchat: the editor failed, so the prompt waits still; $VISUAL or $EDITOR names another\n");
    FILE *from = was_run ? fopen(path, "rb") : NULL;
    if (from) {
        out->data = read_all(from, EDITED_BYTES_MAX, &out->len, path);
        fclose(from);
    }
    if (fd >= 0) unlink(path);
    return out->data != NULL;
}

/* ---- review ------------------------------------------------------------------------------------------------------------------------------------- */

struct review { bool accepts_all; size_t accepted, rejected; };

static void show_text(const json_t *text)
{
    print_safe(stdout, json_string_value(text), json_string_length(text));
    putchar('\n');
}

/* The prompt as one text, for the editor; the caller's. */
static char *whole_text(const json_t *row)
{
    const char *prompt = json_string_value(json_object_get(row, "prompt")), *first = json_string_value(json_array_get(json_object_get(row, "turns"), 0));
    return strdup(prompt ? prompt : first ? first : "");
}

static void show(const json_t *row, size_t i, size_t n)
{
    static const char *const keys[] = { "id", "slice", "language", "source" };
    const json_t *turn, *turns = json_object_get(row, "turns");
    size_t k;
    printf("\n-- %zu of %zu", i + 1, n);
    for (k = 0; k < sizeof keys / sizeof *keys; k++) {
        const json_t *v = json_object_get(row, keys[k]);
        if (!json_is_string(v)) continue;
        fputs(k ? ", " : ": ", stdout);
        print_safe(stdout, json_string_value(v), json_string_length(v));
    }
    printf(" --\n\n");
    if (json_is_string(json_object_get(row, "prompt"))) show_text(json_object_get(row, "prompt"));
    json_array_foreach(turns, k, turn) if (json_is_string(turn)) show_text(turn);
}

static sc_review on_pending(void *user, const char *line, size_t i, size_t n, sc_text *text)
{
    struct review *r = user;
    json_t *row = json_loads(line, JSON_ALLOW_NUL, NULL);
    sc_review review = SC_REVIEW_SKIP;
    bool is_decided = r->accepts_all;
    if (is_decided) review = SC_REVIEW_ACCEPT;
    else show(row, i, n);
    while (!is_decided) {
        printf("\n[y] take  [n] reject  [e] edit and take  [s] later  [q] stop: ");
        fflush(stdout);
        int key = read_key();
        printf("%c\n", key >= ' ' && key < 127 ? key : '?');
        char *whole = whole_text(row);
        is_decided = strchr("ynsq", key) || (key == 'e' && edit(text, whole));
        free(whole);
        if (key == 'y') review = SC_REVIEW_ACCEPT;
        if (key == 'n') review = SC_REVIEW_REJECT;
        if (key == 'q') review = SC_REVIEW_END;
        if (key == 'e') review = SC_REVIEW_CHANGE;
    }
    r->accepted += review == SC_REVIEW_ACCEPT || review == SC_REVIEW_CHANGE;
    r->rejected += review == SC_REVIEW_REJECT;
    json_decref(row);
    return review;
}

static int run_review(const struct args *a, const char *file)
{
    struct review r = { .accepts_all = args_has(a, "accept-all") };
    sc_error err = { 0 };
    size_t left;
    if (sc_judge_prompts_review(&left, file, on_pending, &r, &err) != SC_OK) return fail_with(&a->common, &err);
    if (a->common.json) printf("{\"accepted\":%zu,\"rejected\":%zu,\"pending\":%zu}\n", r.accepted, r.rejected, left);
    else printf("%zu taken, %zu rejected, %zu wait still\n", r.accepted, r.rejected, left);
    return EXIT_DONE;
}

/* ---- a set ------------------------------------------------------------------------------------------------------------------------------------------ */

static long long count_of(const json_t *summary, const char *key) { return (long long)json_integer_value(json_object_get(summary, key)); }

static void print_summary(const json_t *summary)
{
    static const char *const left_out[][2] = {
        { "duplicate", "there twice" }, { "near_duplicate", "nearly there twice" }, { "overlap", "in the training data" }, { "not_about_code", "not about code" }, { "too_long", "too long" }, { "empty", "empty" }, { "rejected", "rejected" },
        { "invalid", "of the model's answers not usable" },
    };
    const char *name;
    json_t *n;
    printf("%s: %lld instructions and %lld questions about somebody's code\n", json_string_value(json_object_get(summary, "out")), count_of(summary, "instruction"), count_of(summary, "feedback"));
    printf("languages:");
    json_object_foreach(json_object_get(summary, "languages"), name, n) {
        putchar(' ');
        print_safe(stdout, name, strlen(name));
        printf(" %lld", (long long)json_integer_value(n));
    }
    putchar('\n');
    size_t n_shown = 0;
    for (size_t i = 0; i < sizeof left_out / sizeof *left_out; i++)
        if (count_of(summary, left_out[i][0])) printf("%s%lld %s", n_shown++ ? ", " : "left out: ", count_of(summary, left_out[i][0]), left_out[i][1]);
    if (n_shown) putchar('\n');
    if (count_of(summary, "unknown_licence")) printf("licence: unknown of %lld; say it in their files (\"licence\") before you pass the set on\n", count_of(summary, "unknown_licence"));
    if (count_of(summary, "pending"))
        printf("%lld were written by a model and are left out of judging until you have looked at them: starchat judge prompts --review %s\n", count_of(summary, "pending"), json_string_value(json_object_get(summary, "out")));
}

static int make_set(struct judging *j, const sc_judge_prompts_config *config)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = config->write ? judging_begin(j) : ARGS_GO;
    if (code == ARGS_GO && config->write) code = open_runtime(&j->opened, &j->args.common);
    if (code == ARGS_GO) code = sc_judge_prompts(&text, j->opened.runtime, &j->model, &j->config, config, &err) == SC_OK ? EXIT_DONE : EXIT_FAILED;
    json_t *summary = text.data ? json_loadb(text.data, text.len, 0, NULL) : NULL;
    progress_clear(&j->args.common);
    if (code == EXIT_DONE && j->args.common.json) printf("%s\n", text.data);
    else if (code == EXIT_DONE) print_summary(summary);
    if (summary && config->write && (code == EXIT_DONE || count_of(summary, "calls") + count_of(summary, "here") + count_of(summary, "cached"))) judging_tell_costs(j, summary);
    if (code != EXIT_DONE && code != ARGS_GO && err.message[0]) code = fail_with(&j->args.common, &err);
    json_decref(summary);
    sc_text_free(&text);
    judging_end(j);
    return code;
}

static int run_prompts(const struct command *self, int argc, char **argv)
{
    struct judging *j = calloc(1, sizeof *j);
    sc_judge_prompts_config config = { 0 };
    long long seed;
    if (!j) abort();
    int code = args_parse(&j->args, self, argc, argv, (void *const[]){ &config, &j->config, &j->model });
    if (code == ARGS_GO) code = args_integer(&j->args, "seed", &seed, 1234, 0, INT64_MAX);
    const char *review = args_value(&j->args, "review"), *out = args_value(&j->args, "out");
    if (code != ARGS_GO) { }
    else if (args_has(&j->args, "accept-all") && !review) code = usage_error(self, "--accept-all needs --review FILE: whose prompts are taken");
    else if (review && (out || args_sets(&j->args, "from") || args_sets(&j->args, "write"))) code = usage_error(self, "--review looks at a set that is there; make one first, without it");
    else if (review) code = run_review(&j->args, review);
    else if (!out || !*out) code = usage_error(self, "--out is missing: the file of lines of JSON that the prompts are written to");
    else {
        j->config.out = out;
        j->config.seed = seed;
        j->config.overwrite = args_has(&j->args, "overwrite");
        code = make_set(j, &config);
    }
    free(j);
    return code;
}

static const char *const tables[] = { "judge_prompts", "judge", "model", NULL };
static const struct flag flags[] = {
    { "out", NULL, "FILE.jsonl", "where the set goes", NULL },
    { "seed", NULL, "N", "of which prompts are taken, and of what is written [1234]", NULL },
    { "overwrite", NULL, NULL, "also where --out is there, with reviews perhaps", NULL },
    { "review", NULL, "FILE", "shows every prompt of FILE that a model wrote, to be taken or not", NULL },
    { "accept-all", NULL, NULL, "with --review: takes them all unseen", NULL },
    { "template", NULL, NULL, NULL, "chat_template" }, FEWSHOT_FLAG("with --write: how a model without a chat template is asked, as `chat` does; ta: the Tech Assistant prompt"), KEY_FLAG,
    FLAG_JSON, FLAG_END,
};
static const char *const hidden[] = { "out", "seed", "overwrite", "prompts", "base", "tuned", "models", "baseline", "judge", "protocol", "one_order", "canaries", "limit", "temperature", "top_p", "top_k", "max_new_tokens", "system", "dry_run", NULL };
const struct command command_judge_prompts = {
    .name = "judge prompts", .operands = "", .summary = "a set of prompts to judge by: instructions, and questions about code that somebody has",
    .min_operands = 0, .max_operands = 0, .run = run_prompts, .tables = tables, .flags = flags, .hidden = hidden,
    .details = "Without --from it is the set of 115 that comes with the program. What is there twice, or\n"
               "nearly, is left out. Prompts that a model wrote (--write) wait until --review took them.\n\n"
               "  starchat judge prompts --out prompts.jsonl --against train/\n"
               "  starchat judge prompts --from mbpp.jsonl,humanevalpack.jsonl --count 200 --out prompts.jsonl\n"
               "  starchat judge prompts --write 50 --model http://127.0.0.1:8080/v1#NAME --out more.jsonl\n"
               "  starchat judge prompts --review more.jsonl",
};
