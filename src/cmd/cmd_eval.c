/* cmd_eval.c - benchmarks: what a model scores, by the rules of EleutherAI's lm-evaluation-harness. */
#include "cmd/cmd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

struct eval { struct args args; sc_eval_config config; sc_model_config model; struct opened opened; };

/* ---- what there is -------------------------------------------------------------------------------------------------------------------- */

static int list_tasks(const struct args_common *c)
{
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (sc_eval_tasks(&text, &err) != SC_OK) return fail_with(c, &err);
    json_t *list = json_loadb(text.data, text.len, 0, NULL), *one;
    size_t i;
    if (c->json) printf("%s\n", text.data);
    else json_array_foreach(list, i, one) {
        char groups[120] = "";
        size_t k, at = 0;
        json_t *group;
        json_array_foreach(json_object_get(one, "groups"), k, group)
            if (at < sizeof groups) at += (size_t)snprintf(groups + at, sizeof groups - at, "%s%s", k ? ", " : "", json_string_value(group));
        printf("%-36s %-22s %-28s %s\n", json_string_value(json_object_get(one, "task")), json_string_value(json_object_get(one, "output_type")), groups, json_string_value(json_object_get(one, "about")));
    }
    json_decref(list);
    sc_text_free(&text);
    return EXIT_DONE;
}

/* ---- results as a table ---------------------------------------------------------------------------------------------------------------- */

static void print_row(const json_t *all, const char *name, const char *key, const json_t *value, const json_t *results)
{
    char metric[120], error_key[160], error[40] = "";
    const char *comma = strrchr(key, ','), *filter = comma + 1;
    snprintf(metric, sizeof metric, "%.*s", (int)(comma - key), key);
    snprintf(error_key, sizeof error_key, "%s_stderr,%s", metric, filter);
    const json_t *e = json_object_get(results, error_key), *shots = json_object_get(json_object_get(all, "n-shot"), name);
    const json_t *higher = json_object_get(json_object_get(json_object_get(all, "higher_is_better"), name), metric);
    if (json_is_number(e)) snprintf(error, sizeof error, "± %.4f", json_number_value(e));
    char shot[24] = "";
    if (json_is_integer(shots)) snprintf(shot, sizeof shot, "%" JSON_INTEGER_FORMAT, json_integer_value(shots));
    printf("| %-30s | %6s | %-16s | %-16s | %s | %10.4f | %-10s%s |\n", name, shot, filter, metric, !higher ? " " : json_is_true(higher) ? "↑" : "↓", json_number_value(value), error, *error ? " " : "");
}

static void print_tables(const json_t *all)
{
    static const char *const tables[] = { "results", "groups" };
    for (size_t t = 0; t < 2; t++) {
        const char *name, *key;
        json_t *one, *value, *groups = json_object_get(all, "groups");
        if (!json_object_size(json_object_get(all, tables[t]))) continue;
        printf("%s| %-30s | n-shot | %-16s | %-16s |   | %10s | %-10s |\n|%.32s|--------|%.18s|%.18s|---|%.12s|%.12s|\n", t ? "\n" : "", t ? "Group" : "Task", "Filter", "Metric", "Value", "Stderr",
               "--------------------------------", "--------------------", "--------------------", "-------------", "-------------");
        json_object_foreach(json_object_get(all, tables[t]), name, one) {
            if (!t && json_object_get(groups, name)) continue;
            json_object_foreach(one, key, value)
                if (json_is_number(value) && strchr(key, ',') && !strstr(key, "_stderr,")) print_row(all, name, key, value, one);
        }
    }
}

static void print_results(const struct eval *e, const sc_text *text)
{
    json_t *all = json_loadb(text->data, text->len, 0, NULL);
    json_object_del(all, "samples");
    progress_clear((struct args_common *)(uintptr_t)&e->args.common);
    if (e->args.common.json) {
        json_dumpf(all, stdout, JSON_INDENT(2));
        putchar('\n');
    } else if (!e->config.dry_run) {
        print_tables(all);
    }
    json_decref(all);
}

/* ---- running ---------------------------------------------------------------------------------------------------------------------------------- */

static void on_event(void *user, const char *json)
{
    struct args_common *c = user;
    json_t *event = json_loads(json, 0, NULL);
    const char *kind = json_string_value(json_object_get(event, "event")), *task = json_string_value(json_object_get(event, "task"));
    if (kind && !strcmp(kind, "eval_begin") && task) {
        progress_clear(c);
        note(c, "%s: %" JSON_INTEGER_FORMAT " documents, %" JSON_INTEGER_FORMAT " examples before each", task, json_integer_value(json_object_get(event, "documents")), json_integer_value(json_object_get(event, "examples")));
    } else if (kind && !strcmp(kind, "eval_data")) {
        note(c, "  %s: %" JSON_INTEGER_FORMAT " rows, sha256 %.12s", json_string_value(json_object_get(event, "file")), json_integer_value(json_object_get(event, "records")), json_string_value(json_object_get(event, "sha256")));
    } else if (!kind || strcmp(kind, "eval_result") != 0) {
        draw_event(c, json);
    }
    json_decref(event);
}

static int run_eval(const struct command *self, int argc, char **argv)
{
    const struct command *part = argc > 0 ? command_part(self, argv[0]) : NULL;
    if (part) return part->run(part, argc - 1, argv + 1);
    struct eval e = { 0 };
    sc_error err = { 0 };
    sc_text text = { 0 };
    int code = args_parse(&e.args, self, argc, argv, (void *const[]){ &e.config, &e.model });
    if (code != ARGS_GO) return code;
    if (args_has(&e.args, "list")) return list_tasks(&e.args.common);
    if (!e.args.n_operands && !*e.config.samples) return usage_error(self, "MODEL is missing");
    if (!*e.config.tasks) return usage_error(self, "--tasks is missing; `starchat eval --list` shows what there is");
    if (e.model.chat_template && *e.model.chat_template && !e.config.apply_chat_template)
        note(&e.args.common, "benchmarks are asked in plain text; --apply-chat-template asks them through the template");
    if (strcmp(e.args.common.runtime.activations, "auto") == 0) e.args.common.runtime.activations = "f32";
    e.config.program_path = getenv("PATH");
    const char *mpi = args_value(&e.args, "mpi");
    e.args.common.runtime.mpi = mpi ? mpi : "auto";
    e.args.common.runtime.on_event = on_event;
    e.args.common.runtime.user = &e.args.common;
    code = e.args.n_operands && !*e.config.samples ? open_model(&e.opened, &e.args.common, &e.model, e.args.operand[0], true) : open_runtime(&e.opened, &e.args.common);
    if (code == ARGS_GO) code = sc_eval(&text, e.opened.runtime, e.opened.model, &e.config, &err) == SC_OK ? EXIT_DONE : fail_with(&e.args.common, &err);
    int rank = 0, ranks = 1;
    if (code == EXIT_DONE) sc_runtime_ranks(e.opened.runtime, &rank, &ranks);
    if (code == EXIT_DONE && rank == 0) print_results(&e, &text);
    sc_text_free(&text);
    close_model(&e.opened);
    return code;
}

static const char *const tables[] = { "eval", "model", NULL };
static const struct flag flags[] = { { "mpi", NULL, "auto|none|openmpi|mpich", "which MPI joins several processes; auto: the launcher's [auto]", NULL }, { "list", NULL, NULL, "shows tasks and groups", NULL }, FLAG_JSON, FLAG_END };
static const struct command *const parts[] = { &command_eval_compare, &command_eval_report, NULL };
const struct command command_eval = {
    .name = "eval", .operands = "MODEL|compare|report", .summary = "benchmarks, with lm-evaluation-harness's tasks and scores",
    .min_operands = 0, .max_operands = 1, .run = run_eval, .tables = tables, .flags = flags, .parts = parts,
    .details = "Prints a table; --out keeps all of it, every sample too. Matrix products and the cache\n"
               "use f32 unless --activations and --cache-type say otherwise. Under mpirun -n N, N\n"
               "processes share the work; an interrupted run goes on when it is started again.\n\n"
               "  starchat eval MODEL --tasks hellaswag --data DIR --num-fewshot 10 --out results.json\n"
               "  starchat eval MODEL --tasks mmlu --data DIR --num-fewshot 5\n"
               "  starchat eval MODEL --tasks gsm8k --data DIR --apply-chat-template\n"
               "  starchat eval MODEL --tasks mine.yaml --data .\n"
               "  starchat eval --tasks humaneval --data DIR --samples solutions.jsonl",
};
