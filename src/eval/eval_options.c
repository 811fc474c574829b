/* eval_options.c - the option table of evaluation. */
#include "eval/eval.h"

#define ROW(field, kind, low, high, fallback_, choices_, help_) { #field, kind, offsetof(sc_eval_config, field), low, high, fallback_, choices_, help_ }

static const struct option rows[] = {
    ROW(tasks, OPT_STRING, 0, 0, "", NULL, "tasks, groups and YAML files of tasks, with commas; --list shows them"),
    ROW(data, OPT_STRING, 0, 0, "", NULL, "directory with the data files of the tasks, or with a directory for each task"),
    ROW(out, OPT_STRING, 0, 0, "", NULL, "file for results and samples, in lm-eval's shape"),
    ROW(report, OPT_STRING, 0, 0, "", NULL, "page about the results, .html or .md: scores, settings, samples, limits"),
    ROW(requests, OPT_STRING, 0, 0, "", NULL, "file for every request, one a line, to compare with another program"),
    ROW(num_fewshot, OPT_INT, -1, 1000, "-1", NULL, "solved examples before each question; -1: as the task says"),
    ROW(apply_chat_template, OPT_BOOL, 0, 0, "false", NULL, "asks through the model's chat template (or that of --template), special tokens and all"),
    ROW(fewshot_as_multiturn, OPT_CHOICE, 0, 0, "auto", "auto|true|false", "with a chat template: each example is a turn of user and assistant; false: all in one message; auto: true"),
    ROW(system_instruction, OPT_STRING, 0, 0, "", NULL, "text before all else, with a chat template the system's message"),
    ROW(limit, OPT_REAL, 0, 1e9, "0", NULL, "only the first so many documents of each task, below 1 that share of them; 0: all"),
    ROW(log_samples, OPT_BOOL, 0, 0, "true", NULL, "with every document, request and answer in the results"),
    ROW(samples, OPT_STRING, 0, 0, "", NULL, "runs stored programs of a task of code, which needs no MODEL: a file of lines {\"task_id\", \"solution\" or \"completion\"}"),
    ROW(python, OPT_STRING, 0, 0, "", NULL, "interpreter for programs in Python, such as bin/python3 of a virtual environment with the libraries they need; empty: python3"),
    ROW(fewshot_seed, OPT_INT, 0, 4294967295.0, "1234", NULL, "seed of which examples are drawn"),
    ROW(chunk, OPT_INT, 1, 8192, "576", NULL, "most tokens in one forward pass"),
    ROW(cache_type, OPT_CHOICE, 0, 0, "f32", "f16|f32|q8_0", "precision of the key/value cache"),
    ROW(contamination, OPT_STRING, 0, 0, "", NULL, "training data, with commas (prepared directories or files): which questions stand in it, and the scores without them"),
    ROW(dry_run, OPT_BOOL, 0, 0, "false", NULL, "makes the requests without asking the model"),
};

const struct sc_options eval_options = { "eval", sizeof(sc_eval_config), rows, sizeof rows / sizeof *rows };
