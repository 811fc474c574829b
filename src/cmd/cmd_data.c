/* cmd_data.c - the command `data`: dialogues to shards of tokens with labels (prepare), what is in them (show, stats), proof
 * that they are right (verify), and dialogues of any format to one (convert). */
#include "cmd/data.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* ---- what a running job says ----------------------------------------------------------------------------------------------- */

/* Notes of one kind ("dropped", "skipped", ...) are many in a large set: the first are printed, the rest counted. */
enum { NOTES_MAX = 5, KINDS_MAX = 8 };
struct job_events { struct args_common *common; json_t *done; struct { char name[24]; unsigned long long n; } kind[KINDS_MAX]; };

static bool is_over(struct job_events *j, const char *kind)
{
    size_t i = 0;
    while (i + 1 < KINDS_MAX && j->kind[i].n && strcmp(j->kind[i].name, kind) != 0) i++;
    if (!j->kind[i].n) snprintf(j->kind[i].name, sizeof j->kind[i].name, "%s", kind);
    return ++j->kind[i].n > NOTES_MAX && !j->common->verbose;
}

static void job_event(void *user, const char *json)
{
    struct job_events *j = user;
    json_t *event = json_loads(json, JSON_ALLOW_NUL, NULL);
    const char *kind = json_string_value(json_object_get(event, "event"));
    if (kind && strcmp(kind, "done") == 0) {
        json_decref(j->done);
        j->done = json_incref(event);
    } else if (!kind || strcmp(kind, "progress") == 0 || strcmp(kind, "note") == 0 || !is_over(j, kind)) draw_event(j->common, json);
    json_decref(event);
}

static void job_summary(struct job_events *j)
{
    progress_clear(j->common);
    for (size_t i = 0; i < KINDS_MAX && j->kind[i].n; i++)
        if (j->kind[i].n > NOTES_MAX && !j->common->verbose) note(j->common, "... and %llu more %s; -v shows all", j->kind[i].n - NOTES_MAX, j->kind[i].name);
}

/* Reasons as the manifest has them, in words. */
static const char *reason_words(const char *reason)
{
    static const char *const words[][2] = {
        { "roles", "with roles that do not take turns" }, { "no_answer", "without an answer" }, { "duplicate", "duplicate" }, { "near_duplicate", "near-duplicate" },
        { "language", "in other languages" }, { "overlap", "found in evaluation sets" }, { "short", "too short" }, { "no_trained", "with nothing to train" },
        { "too_long", "too long" }, { "unaligned", "that the tokenizer changes" }, { "template", "refused by the template" },
    };
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        if (!strcmp(words[i][0], reason)) return words[i][1];
    return reason;
}

/* What came out, and what was left out and why. */
static void note_counts(const struct args_common *c, const json_t *stats)
{
    char rows[40], tokens[40], list[600] = "";
    const char *name;
    json_t *n;
    long long all = member_count(stats, "tokens"), trained = member_count(stats, "trained");
    size_t at = 0;
    format_count(rows, sizeof rows, member_count(stats, "rows"));
    format_count(tokens, sizeof tokens, all);
    if (all) note(c, "%s dialogue%s, %s tokens, %.1f %% of them trained", rows, member_count(stats, "rows") == 1 ? "" : "s", tokens, 100 * (double)trained / (double)all);
    else note(c, "%s dialogue%s", rows, member_count(stats, "rows") == 1 ? "" : "s");
    json_object_foreach(json_object_get(stats, "dropped"), name, n)
        if (at < sizeof list - 80) at += (size_t)snprintf(list + at, sizeof list - at, "%s%" JSON_INTEGER_FORMAT " %.40s", at ? ", " : "", json_integer_value(n), reason_words(name));
    if (at) note(c, "left out: %s", list);
    long long empty = member_count(stats, "records_without_dialogue");
    if (empty)
        note(c, "%lld of %lld records gave no dialogue: trees not ready for export (--all-states keeps them), deleted (--keep-deleted), written by models\n"
                "(--keep-synthetic), or left out by --lang, --reviewed-only or --min-turns", empty, member_count(stats, "records"));
}

static int job_finish(struct job_events *j, struct opened *o, sc_status status, const sc_error *err, const char *out)
{
    job_summary(j);
    int code = status == SC_OK ? EXIT_DONE : fail_with(j->common, err);
    if (status == SC_OK) note_counts(j->common, json_object_get(j->done, "stats"));
    if (status == SC_OK && j->common->json) {
        json_dumpf(j->done, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (status == SC_OK) {
        print_text(stdout, out, strlen(out));
        putchar('\n');
    }
    json_decref(j->done);
    close_model(o);
    return code;
}

/* ---- prepare ------------------------------------------------------------------------------------------------------------------ */

static int run_prepare(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    struct data_inputs inputs = { 0 };
    sc_prepare_config config = { 0 };
    sc_text tokenizer = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    const char *name = args_value(&a, "tokenizer");
    if (!name) return usage_error(self, "--tokenizer is missing: a model, its directory or a tokenizer.json");
    if (!args_has(&a, "out")) return usage_error(self, "--out is missing: the directory to write");
    if (sc_store_resolve(&tokenizer, name, NULL, &err) != SC_OK) return fail_with(&a.common, &err);
    struct job_events events = { .common = &a.common };
    config.tokenizer = tokenizer.data;
    config.chat_template = args_value(&a, "template");
    config.out = args_value(&a, "out");
    config.on_event = job_event;
    config.user = &events;
    code = data_inputs_open(&inputs, &a.common, a.operand, (size_t)a.n_operands);
    config.inputs = (const char *const *)inputs.path;
    config.n_inputs = inputs.n;
    if (code == ARGS_GO) code = open_runtime(&o, &a.common);
    if (code == ARGS_GO) code = job_finish(&events, &o, sc_prepare(o.runtime, &config, &err), &err, config.out);
    data_inputs_close(&inputs);
    close_model(&o);
    sc_text_free(&tokenizer);
    return code;
}

static const char *const prepare_tables[] = { "prepare", NULL };
static const struct flag prepare_flags[] = {
    { "out", "o", "DIR", "the directory to write", NULL },
    { "tokenizer", "t", "MODEL", "whose tokens: a model, its directory or a tokenizer.json", NULL },
    { "template", NULL, "NAME|FILE", "chat template: no_system, starchat-blog, default, alpaca, chatml or a Jinja file; without it the model's own", NULL },
    FLAG_JSON,
    FLAG_END,
};
static const struct command data_prepare = {
    .name = "data prepare", .operands = "IN...", .summary = "dialogues to shards of tokens, each with its label",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = run_prepare, .tables = prepare_tables, .flags = prepare_flags,
    .details = "IN is a file of dialogues in any known format (JSON, JSONL, gzip, zstd, Parquet, Arrow, CSV, text), a directory,\n"
               "a pattern, or org/dataset of the Hub; with \":0.5\" behind it only that share. Labels come from the template: what an\n"
               "assistant has to write is trained, all else is not. The same command gives the same bytes.\n\n"
               "  starchat data prepare chats.jsonl --tokenizer MODEL --template no_system --out chats\n"
               "  starchat data show chats && starchat data verify chats",
};

/* ---- convert --------------------------------------------------------------------------------------------------------------------- */

static const char *const token_rows[] = { "block_size", "packing", "overlength", "train_on", "test_size", "split_by", NULL };

static int run_convert(const struct command *self, int argc, char **argv)
{
    struct args a;
    struct opened o = { 0 };
    struct data_inputs inputs = { 0 };
    sc_prepare_config config = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    for (size_t i = 0; token_rows[i]; i++)
        if (args_sets(&a, token_rows[i])) return usage_error(self, "--%s has no meaning here, it is about tokens; see: starchat data prepare", token_rows[i]);
    struct job_events events = { .common = &a.common };
    config.out = a.operand[a.n_operands - 1];
    config.on_event = job_event;
    config.user = &events;
    code = data_inputs_open(&inputs, &a.common, a.operand, (size_t)a.n_operands - 1);
    config.inputs = (const char *const *)inputs.path;
    config.n_inputs = inputs.n;
    if (code == ARGS_GO) code = open_runtime(&o, &a.common);
    if (code == ARGS_GO) code = job_finish(&events, &o, sc_data_convert(o.runtime, &config, &err), &err, config.out);
    data_inputs_close(&inputs);
    close_model(&o);
    return code;
}

static const struct flag json_flags[] = { FLAG_JSON, FLAG_END };
static const struct command data_convert = {
    .name = "data convert", .operands = "IN... OUT.jsonl", .summary = "dialogues of any format to lines {\"messages\":[...]}",
    .min_operands = 2, .max_operands = ARGS_MAX_OPERANDS, .run = run_convert, .tables = prepare_tables, .flags = json_flags, .hidden = token_rows,
    .details = "Reads and cleans as `data prepare` does, with the same options as far as they are about dialogues.\n\n"
               "  starchat data convert trees.jsonl.gz dialogues.jsonl --lang en --best-only",
};

/* ---- show ------------------------------------------------------------------------------------------------------------------------- */

struct show { struct args args; sc_dataset *dataset; const char *split; unsigned long long from, n; };

static int show_samples(const struct show *s)
{
    bool is_json = args_has(&s->args, "jsonl") || s->args.common.json;
    for (unsigned long long i = s->from; i < s->from + s->n; i++) {
        sc_text text = { 0 };
        sc_error err = { 0 };
        if (sc_dataset_sample(&text, s->dataset, s->split, i, &err) != SC_OK) return fail_with(&s->args.common, &err);
        if (is_json) {
            fwrite(text.data, 1, text.len, stdout);
            putchar('\n');
        } else {
            json_t *sample = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
            if (i > s->from) putchar('\n');
            sample_print(stdout, &s->args.common, sample);
            json_decref(sample);
        }
        sc_text_free(&text);
        if (ferror(stdout)) return EXIT_DONE;             /* the reader left; main looks whether that is a failure */
    }
    return EXIT_DONE;
}

static int print_page(const struct args *a, const sc_dataset *d, const char *split, unsigned long long from, unsigned long long n)
{
    sc_text html = { 0 };
    sc_error err = { 0 };
    if (sc_dataset_html(&html, d, split, from, n, &err) != SC_OK) return fail_with(&a->common, &err);
    fwrite(html.data, 1, html.len, stdout);
    sc_text_free(&html);
    return EXIT_DONE;
}

/* Which samples: -i and -n, or all. */
static int choose_samples(struct show *s)
{
    long long from, n;
    unsigned long long all = sc_dataset_samples(s->dataset, s->split);
    int code = args_integer(&s->args, "i", &from, 0, 0, INT64_MAX);
    if (code == ARGS_GO) code = args_integer(&s->args, "n", &n, 1, 1, INT64_MAX);
    if (code != ARGS_GO) return code;
    bool is_all = args_has(&s->args, "all");
    if (is_all && (args_has(&s->args, "i") || args_has(&s->args, "n"))) return usage_error(s->args.command, "--all shows every sample, so -i and -n have no meaning with it");
    s->from = (unsigned long long)from;
    s->n = is_all ? all : (unsigned long long)n;
    if (s->from < all && s->n > all - s->from) s->n = all - s->from;
    return ARGS_GO;
}

static int run_show(const struct command *self, int argc, char **argv)
{
    struct show s = { .dataset = NULL };
    sc_error err = { 0 };
    int code = args_parse(&s.args, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    bool is_html = args_has(&s.args, "html");
    if (is_html && (s.args.common.json || args_has(&s.args, "jsonl"))) return usage_error(self, "--html and --json are two forms of the same thing; choose one");
    s.split = args_value(&s.args, "split");
    if (sc_dataset_open(&s.dataset, s.args.operand[0], &err) != SC_OK) return fail_with(&s.args.common, &err);
    code = choose_samples(&s);
    if (code == ARGS_GO) code = is_html && s.n ? print_page(&s.args, s.dataset, s.split, s.from, s.n) : show_samples(&s);
    sc_dataset_close(s.dataset);
    return code;
}

static const struct flag show_flags[] = {
    { NULL, "i", "K", "which sample, counted from 0 [0]", NULL },
    { NULL, "n", "N", "how many samples from there on [1]", NULL },
    { "split", NULL, "train|test", "count through this split only", NULL },
    { "all", NULL, NULL, "every sample", NULL },
    { "jsonl", NULL, NULL, "one sample a line, as JSON", NULL },
    { "html", NULL, NULL, "a page for a browser, on standard output", NULL },
    FLAG_JSON,
    FLAG_END,
};
static const struct command data_show = {
    .name = "data show", .operands = "DIR", .summary = "samples token by token: who speaks, trained or not, and why",
    .min_operands = 1, .max_operands = 1, .run = run_show, .flags = show_flags,
    .details = "What is shown is what training reads. A token that ends inside a character has no text of its own; the character\n"
               "stands with the token that completes it.\n\n"
               "  starchat data show chats -i 3\n"
               "  starchat data show chats -n 20 --html > chats.html",
};

/* ---- stats, verify ------------------------------------------------------------------------------------------------------------------ */

static int run_stats(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_dataset *d = NULL;
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (a.common.json && args_has(&a, "html")) return usage_error(self, "--html and --json are two forms of the same thing; choose one");
    if (sc_dataset_open(&d, a.operand[0], &err) != SC_OK) return fail_with(&a.common, &err);
    if (args_has(&a, "html")) code = print_page(&a, d, NULL, 0, 0);
    else if (sc_dataset_stats(&text, d, &err) != SC_OK) code = fail_with(&a.common, &err);
    else {
        json_t *stats = json_loadb(text.data, text.len, JSON_ALLOW_NUL, NULL);
        if (a.common.json) printf("%s\n", text.data);
        else stats_print(stdout, &a.common, stats);
        json_decref(stats);
        code = EXIT_DONE;
    }
    sc_text_free(&text);
    sc_dataset_close(d);
    return code;
}

static const struct flag stats_flags[] = {
    { "html", NULL, NULL, "a page with plots for a browser, on standard output", NULL },
    FLAG_JSON,
    FLAG_END,
};
static const struct command data_stats = {
    .name = "data stats", .operands = "DIR", .summary = "rows, tokens, trained share, lengths, sources, what was left out",
    .min_operands = 1, .max_operands = 1, .run = run_stats, .flags = stats_flags,
    .details = "  starchat data stats chats --html > stats.html",
};

static int run_verify(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_dataset *d = NULL;
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    if (sc_dataset_open(&d, a.operand[0], &err) != SC_OK || sc_dataset_verify(d, &err) != SC_OK) code = fail_with(&a.common, &err);
    else {
        char samples[40];
        unsigned long long n = sc_dataset_samples(d, NULL);
        format_count(samples, sizeof samples, (long long)n);
        if (a.common.json) printf("{\"ok\":true,\"samples\":%llu}\n", n);
        else printf("%s sample%s: the files are as they were written, the labels are those that were asked for\n", samples, n == 1 ? "" : "s");
        code = EXIT_DONE;
    }
    sc_dataset_close(d);
    return code;
}

static const struct command data_verify = {
    .name = "data verify", .operands = "DIR", .summary = "check checksums and every label",
    .min_operands = 1, .max_operands = 1, .run = run_verify, .flags = json_flags,
    .details = "Refuses a changed or torn file, a shard with nothing to learn, a trained token of the user (unless --train-on all made\n"
               "it so), an untrained end of a trained answer, and an unknown token.",
};

/* ---- data ------------------------------------------------------------------------------------------------------------------------------ */

static const struct command *const parts[] = { &data_prepare, &data_show, &data_stats, &data_verify, &data_convert, NULL };
const struct command command_data = {
    .name = "data", .operands = "prepare|show|stats|verify|convert", .summary = "dialogues to tokens with labels, and proof that they are right",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = command_run_part, .parts = parts,
    .details = "  starchat data prepare chats.jsonl --tokenizer MODEL --template no_system --out chats\n  starchat help data prepare",
};
