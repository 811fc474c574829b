/* cmd_judge_run.c - `starchat judge run` and `starchat judge answers`: which of two assistants is better, as other models see it. */
#include "cmd/judge.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

/* ---- keys: from the environment alone ------------------------------------------------------------------------------------------------------ */

static const char *variable(const char *name)
{
    const char *value = getenv(name);
    return value && *value ? value : NULL;
}

/* The variable that HOST=NAME names for this origin, or NAME for all. */
static const char *named_variable(const struct judging *j, const char *origin)
{
    const char *host = strstr(origin, "://"), *all = NULL;
    host = host ? host + 3 : origin;
    const char *colon = strrchr(host, ':');
    size_t n = colon ? (size_t)(colon - host) : strlen(host);
    for (int i = 0; i < j->n_key_env; i++) {
        const char *equals = strchr(j->key_env[i], '=');
        if (!equals) all = j->key_env[i];
        else if ((size_t)(equals - j->key_env[i]) == n && !strncmp(j->key_env[i], host, n)) return equals + 1;
    }
    return all;
}

static const char *find_key(void *user, const char *origin, bool is_loopback)
{
    const char *name = named_variable(user, origin);
    if (name) return variable(name);
    if (variable("STARCHAT_JUDGE_KEY")) return variable("STARCHAT_JUDGE_KEY");
    return is_loopback || strncmp(origin, "https://", 8) != 0 ? NULL : variable("OPENAI_API_KEY");       /* never in clear text by itself */
}

static int check_keys(struct judging *j)
{
    j->n_key_env = args_values(&j->args, "key-env", j->key_env, ARGS_MAX_GIVEN);
    for (int i = 0; i < j->n_key_env; i++) {
        const char *equals = strchr(j->key_env[i], '='), *name = equals ? equals + 1 : j->key_env[i];
        if (!variable(name)) return fail_text("the variable %s that --key-env names is not set; put the key there, not on the command line", name);
    }
    return ARGS_GO;
}

/* ---- prompts of examples ------------------------------------------------------------------------------------------------------------------------ */

static sc_status render_fewshot(void *user, sc_text *prompt, const sc_message *m, size_t n, sc_error *err)
{
    const struct judging *j = user;
    struct string s = { 0 };
    (void)err;
    fewshot_render(&s, &j->fewshot, m, n);
    while (s.len && s.data[s.len - 1] == ' ') s.len--;          /* as `chat`: tokenizers join a space to the word behind it */
    prompt->len = s.len;
    prompt->data = string_take(&s);
    return SC_OK;
}

/* ---- what both begin with ---------------------------------------------------------------------------------------------------------------------------- */

int judging_begin(struct judging *j)
{
    int code = check_keys(j);
    const char *fewshot = args_value(&j->args, "few-shot");
    if (code == ARGS_GO && fewshot) {
        code = fewshot_open(&j->fewshot, fewshot);
        j->config.few_shot = render_fewshot;
        j->config.few_shot_stops = fewshot_stops;
    }
    j->config.key = find_key;
    j->config.user = j;
    if (strcmp(j->args.common.runtime.activations, "auto") == 0) j->args.common.runtime.activations = "f32";
    signal(SIGPIPE, SIG_IGN);                                  /* a server may hang up */
    return code;
}

void judging_end(struct judging *j)
{
    close_model(&j->opened);
    fewshot_release(&j->fewshot);
}

static int open_judging(struct judging *j, const struct command *self, int argc, char **argv, bool has_model)
{
    void *const with[] = { &j->config, &j->model }, *const without[] = { &j->config };
    int code = args_parse(&j->args, self, argc, argv, has_model ? with : without);
    if (code == ARGS_GO) code = judging_begin(j);
    return code == ARGS_GO ? open_runtime(&j->opened, &j->args.common) : code;
}

static long long count_of(const json_t *o, const char *key) { return json_integer_value(json_object_get(o, key)); }
static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "";
}
static double real_of(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

void judging_tell_costs(const struct judging *j, const json_t *all)
{
    char cost[48] = "", useless[64] = "";
    if (real_of(all, "cost") > 0) snprintf(cost, sizeof cost, ", cost %.4f", real_of(all, "cost"));
    if (count_of(all, "unusable")) snprintf(useless, sizeof useless, ", %lld of them of no use", count_of(all, "unusable"));
    note(&j->args.common, "%lld answers of servers (%lld tokens in, %lld out%s)%s, %lld computed here, %lld known from before", count_of(all, "calls"), count_of(all, "tokens_in"), count_of(all, "tokens_out"), cost,
         useless, count_of(all, "here"), count_of(all, "cached"));
}

/* After a failure what it came to is told only where something was answered. */
static bool has_answers(const json_t *all) { return count_of(all, "calls") + count_of(all, "here") + count_of(all, "cached") > 0; }

/* What servers refused is nothing that a later start asks again. */
static void tell_refused(const struct judging *j, const json_t *all, long long n, const char *one, const char *many)
{
    const char *last = text_of(all, "last_refusal");
    if (n) note(&j->args.common, "%lld %s refused for good%s%.300s; --overwrite asks them again", n, n == 1 ? one : many, *last ? ", the last: " : "", last);
}

/* The first few ids of an array. */
static void list_ids(char *out, size_t room, const json_t *ids)
{
    const json_t *id;
    size_t i, at = 0;
    out[0] = 0;
    json_array_foreach(ids, i, id) {
        if (i == 8 || at + 80 > room) {
            snprintf(out + at, room - at, " and %zu more", json_array_size(ids) - i);
            return;
        }
        at += (size_t)snprintf(out + at, room - at, "%s%.60s", i ? ", " : "", json_string_value(id));
    }
}

/* What is left, why, and how it goes on; EXIT_DONE if nothing is. what: "3 questions". */
static int tell_left(const json_t *all, const json_t *ids, const char *what)
{
    char list[800];
    const char *why = text_of(all, "why"), *failure = text_of(all, "last_failure");
    if (!*what) return EXIT_DONE;
    list_ids(list, sizeof list, ids);
    if (!strcmp(why, "budget")) return fail_text("the budget ended it: %s are left (prompts %.150s); the same command with a new budget goes on, what came back is kept", what, list);
    return fail_text("%s are left (prompts %.100s); the last failure: %.160s; the same command goes on", what, list, *failure ? failure : "none");
}

/* ---- judge answers ------------------------------------------------------------------------------------------------------------------------------------ */

static int print_answers(struct judging *j, const sc_text *text)
{
    json_t *all = json_loadb(text->data, text->len, 0, NULL);
    const json_t *left = json_object_get(all, "left");
    int code = EXIT_DONE;
    char what[48] = "";
    progress_clear(&j->args.common);
    if (j->args.common.json) printf("%s\n", text->data);
    if (j->config.dry_run) {
        if (!j->args.common.json)
            printf("%lld prompts: at most %lld calls (%lld tokens in, at most %lld out), %lld answers computed here, %lld known from before, cost at most %.4f\n", count_of(all, "prompts"), count_of(all, "calls"), count_of(all, "tokens_in"),
                   count_of(all, "tokens_out"), count_of(all, "here"), count_of(all, "cached"), real_of(all, "cost"));
    } else {
        if (!j->args.common.json)
            printf("%s: %lld of %lld prompts answered; %lld turns ran on past their end (cut off), %lld ended for length\n", text_of(all, "model"), count_of(all, "answered"), count_of(all, "prompts"), count_of(all, "leaks"), count_of(all, "cut"));
        judging_tell_costs(j, all);
        tell_refused(j, all, count_of(all, "refused"), "prompt was", "prompts were");
        if (json_array_size(left)) snprintf(what, sizeof what, "%zu prompts", json_array_size(left));
        code = tell_left(all, left, what);
    }
    json_decref(all);
    return code;
}

/* What came before it is in the file. */
static int fail_answers(struct judging *j, const sc_text *text, const sc_error *err)
{
    json_t *all = text->data ? json_loadb(text->data, text->len, 0, NULL) : NULL;
    progress_clear(&j->args.common);
    if (all && j->args.common.json) printf("%s\n", text->data);
    if (all && count_of(all, "answered")) note(&j->args.common, "%lld of %lld prompts are answered", count_of(all, "answered"), count_of(all, "prompts"));
    if (has_answers(all)) judging_tell_costs(j, all);
    json_decref(all);
    return fail_with(&j->args.common, err);
}

static int run_answers(const struct command *self, int argc, char **argv)
{
    struct judging *j = calloc(1, sizeof *j);
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (!j) abort();
    int code = open_judging(j, self, argc, argv, true);
    if (code == ARGS_GO) code = sc_judge_answers(&text, j->opened.runtime, j->args.operand[0], &j->model, &j->config, &err) == SC_OK ? print_answers(j, &text) : fail_answers(j, &text, &err);
    sc_text_free(&text);
    judging_end(j);
    free(j);
    return code;
}

static const char *const answers_tables[] = { "judge", "model", NULL };
static const char *const answers_hidden[] = { "base", "tuned", "models", "baseline", "judge", "protocol", "one_order", "canaries", NULL };
static const struct flag answers_flags[] = { { "template", NULL, NULL, NULL, "chat_template" }, FEWSHOT_FLAG("asks by a prompt of example dialogues, as `chat` does; ta: the Tech Assistant prompt"), KEY_FLAG, FLAG_JSON, FLAG_END };
const struct command command_judge_answers = {
    .name = "judge answers", .operands = "MODEL|URL#NAME", .summary = "what a model answers to a file of prompts, here or on a server",
    .min_operands = 1, .max_operands = 1, .run = run_answers, .tables = answers_tables, .flags = answers_flags, .hidden = answers_hidden,
    .details = "Every answer is kept as it comes and never asked for twice: an interrupted run goes on when\n"
               "it is started again, and takes over what --out holds of the same model, asked the same\n"
               "way. A server is any that speaks OpenAI's chat completions.\n\n"
               "  starchat judge answers MODEL --prompts prompts.jsonl --out tuned.jsonl\n"
               "  starchat judge answers BASE --few-shot ta --prompts prompts.jsonl --out base.jsonl\n"
               "  starchat judge answers http://127.0.0.1:8080/v1#NAME --prompts prompts.jsonl --out a.jsonl",
};

/* ---- judge run ---------------------------------------------------------------------------------------------------------------------------------------- */

static void print_line(const char *text)
{
    print_safe(stdout, text, strlen(text));
    putchar('\n');
}

/* Each judge over all prompts; all of them together where there are several. */
static void print_verdict(const json_t *verdict)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(verdict, "pairs"), i, row) {
        const char *judge = text_of(row, "judge"), *sentence = text_of(row, "sentence");
        if (strcmp(text_of(row, "by"), "all") != 0) continue;
        print_safe(stdout, judge, strlen(judge));
        printf(": ");
        print_line(sentence);
    }
}

static void print_judges(const json_t *audit)
{
    const json_t *judge, *finding;
    size_t i, k;
    json_array_foreach(json_object_get(audit, "judges"), i, judge) {
        char line[600];
        snprintf(line, sizeof line, "judge %s: %s (%lld answers, %lld without a verdict)", text_of(judge, "judge"), json_is_true(json_object_get(judge, "is_calibrated")) ? "passes the audit" : "NOT CALIBRATED",
                 count_of(judge, "calls"), count_of(judge, "failed"));
        print_line(line);
        json_array_foreach(json_object_get(judge, "findings"), k, finding) {
            snprintf(line, sizeof line, "  %s: %s", text_of(finding, "name"), text_of(finding, "sentence"));
            print_line(line);
        }
    }
}

static void print_estimate(const json_t *all)
{
    printf("%lld prompts, %lld questions to judges: at most %lld calls of servers (%lld tokens in, at most %lld out), %lld answers computed here, %lld known from before, cost at most %.4f\n", count_of(all, "prompts"),
           count_of(all, "questions"), count_of(all, "calls"), count_of(all, "tokens_in"), count_of(all, "tokens_out"), count_of(all, "here"), count_of(all, "cached"), real_of(all, "cost"));
    if (count_of(all, "again")) printf("%lld of these ask a second time, only where a judge's first answer holds no verdict\n", count_of(all, "again"));
    printf("%lld prompts tell a win rate to +- %.1f points (95 %%), and show a difference of %.1f points from 50 %% in four of five repetitions\n", count_of(all, "prompts"), 100 * real_of(all, "half_width"), 100 * real_of(all, "smallest"));
}

/* Judges and verdict, as far as questions were asked. */
static void print_results(const json_t *all)
{
    if (json_object_get(all, "audit") && count_of(all, "questions_left"))
        printf("of %lld of %lld questions so far:\n", count_of(all, "questions") - count_of(all, "questions_left"), count_of(all, "questions"));
    print_judges(json_object_get(all, "audit"));
    print_verdict(json_object_get(all, "verdict"));
    if (json_object_get(all, "no_verdict")) print_line(text_of(all, "no_verdict"));
}

/* Answers come first: while some are missing, nobody knows which questions there will be. */
static void name_left(char *out, size_t room, const json_t *all)
{
    out[0] = 0;
    if (count_of(all, "answers_left")) snprintf(out, room, "%lld answers, and then all questions to the judges,", count_of(all, "answers_left"));
    else if (count_of(all, "questions_left")) snprintf(out, room, "%lld questions", count_of(all, "questions_left"));
}

static void tell_run(struct judging *j, const json_t *all, const sc_text *text)
{
    progress_clear(&j->args.common);
    if (j->args.common.json) printf("%s\n", text->data);
    else print_results(all);
    if (has_answers(all)) judging_tell_costs(j, all);
    tell_refused(j, all, count_of(all, "answers_refused"), "answer of an assistant was", "answers of assistants were");
    tell_refused(j, all, count_of(all, "questions_refused"), "question was", "questions were");
    if (json_object_get(all, "audit")) note(&j->args.common, "%s/report.html shows it all", text_of(all, "directory"));
}

static int print_run(struct judging *j, const sc_text *text)
{
    json_t *all = json_loadb(text->data, text->len, JSON_ALLOW_NUL, NULL);
    int code = EXIT_DONE;
    char what[96];
    if (j->config.dry_run) {
        progress_clear(&j->args.common);
        if (j->args.common.json) printf("%s\n", text->data);
        else print_estimate(all);
    } else {
        tell_run(j, all, text);
        name_left(what, sizeof what, all);
        code = tell_left(all, json_object_get(all, "left_ids"), what);
    }
    json_decref(all);
    return code;
}

/* A failure, or Ctrl-C: what is there was concluded all the same. */
static int fail_run(struct judging *j, const sc_text *text, const sc_error *err)
{
    json_t *all = text->data && !j->config.dry_run ? json_loadb(text->data, text->len, JSON_ALLOW_NUL, NULL) : NULL;
    char what[96];
    if (all) {
        tell_run(j, all, text);
        name_left(what, sizeof what, all);
        if (*what && has_answers(all)) note(&j->args.common, "%s are left", what);
    }
    json_decref(all);
    return fail_with(&j->args.common, err);
}

static int run_judge(const struct command *self, int argc, char **argv)
{
    struct judging *j = calloc(1, sizeof *j);
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (!j) abort();
    int code = open_judging(j, self, argc, argv, false);
    if (code == ARGS_GO) code = sc_judge_run(&text, j->opened.runtime, &j->config, &err) == SC_OK ? print_run(j, &text) : fail_run(j, &text, &err);
    sc_text_free(&text);
    judging_end(j);
    free(j);
    return code;
}

static const char *const run_tables[] = { "judge", NULL };
static const struct flag run_flags[] = { FEWSHOT_FLAG("how models without a chat template are asked, as `chat` does; ta: the Tech Assistant prompt"), KEY_FLAG, FLAG_JSON, FLAG_END };
const struct command command_judge_run = {
    .name = "judge run", .operands = "", .summary = "is the tuned model better: judges are asked, tested, and counted",
    .min_operands = 0, .max_operands = 0, .run = run_judge, .tables = run_tables, .flags = run_flags,
    .details = "Shows each judge both answers to each prompt, both ways round, with trick questions among\n"
               "them; says whether the judge can be trusted before it says who is better. Nothing is paid\n"
               "twice, an interrupted run goes on when it is started again. DIR then holds all that is\n"
               "needed to repeat it, and report.html.\n\n"
               "  starchat judge run --prompts prompts.jsonl --base base.jsonl --tuned tuned.jsonl \\\n"
               "    --judge https://api.openai.com/v1#gpt-4o --protocol starchat --out DIR --dry-run\n"
               "  starchat judge run --prompts prompts.jsonl --base BASE --tuned TUNED --few-shot ta \\\n"
               "    --judge http://127.0.0.1:8080/v1#NAME,MODEL --out DIR\n"
               "  starchat judge run --prompts p.jsonl --models a.jsonl,b.jsonl,c.jsonl --judge J --out DIR",
};
