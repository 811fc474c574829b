/* cmd_train.c - the commands `train` and `plan`: a recipe, single keys over it, and what the run says. */
#include "cmd/data.h"
#include "cmd/train.h"

#include <ctype.h>
#include <string.h>

/* ---- the command line --------------------------------------------------------------------------------------------------------- */

/* key=value in the order typed; all else is left to args_parse. */
struct words { const char *key[ARGS_MAX_GIVEN], *value[ARGS_MAX_GIVEN]; int n; char *rest[ARGS_MAX_GIVEN]; int n_rest; char names[ARGS_MAX_GIVEN][64]; };

static int add_key(struct words *w, const struct command *self, const char *name, size_t len, const char *value)
{
    if (w->n == ARGS_MAX_GIVEN) return usage_error(self, "more than %d keys", ARGS_MAX_GIVEN);
    if (len >= sizeof w->names[0]) return usage_error(self, "the key \"%.80s\" is longer than %zu characters", name, sizeof w->names[0] - 1);
    memcpy(w->names[w->n], name, len);
    w->names[w->n][len] = 0;
    w->key[w->n] = w->names[w->n];
    w->value[w->n++] = value;
    return ARGS_GO;
}

static size_t key_length(const char *text)
{
    size_t n = 0;
    while (isalnum((unsigned char)text[n]) || text[n] == '_' || text[n] == '-') n++;
    return n;
}

/* --key=value, --key value and --[no-]key of the recipe. ARGS_GO with *is_taken false: no key, it is for args_parse. */
static int take_option(struct words *w, const struct command *self, int argc, char **argv, int *at, bool *is_taken)
{
    char name[64];
    const char *text = argv[*at] + 2, *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    struct option_ref ref;
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    bool is_known = n < sizeof name && option_find(&ref, self, name), is_row = is_known && !ref.flag && ref.table == 0;
    *is_taken = is_row || (!is_known && equals);
    if (*is_taken && value) return add_key(w, self, text, n, value);
    if (*is_taken && !ref.row.value) return add_key(w, self, text, n, "true");
    if (*is_taken && *at + 1 >= argc) return usage_error(self, "--%s needs a value (%s)", name, ref.row.value);
    if (*is_taken) return add_key(w, self, text, n, argv[++*at]);
    bool is_negated = !is_known && strncmp(name, "no-", 3) == 0 && option_find(&ref, self, name + 3) && !ref.flag && ref.table == 0 && !ref.row.value;
    *is_taken = is_negated;
    return is_negated ? add_key(w, self, text + 3, n - 3, "false") : ARGS_GO;
}

static int split_words(struct words *w, const struct command *self, int argc, char **argv)
{
    bool is_ended = false, has_file = false;
    memset(w, 0, sizeof *w);
    for (int i = 0; i < argc; i++) {
        bool is_taken = false;
        int code = ARGS_GO;
        const char *text = argv[i];
        size_t n = key_length(text);
        if (!is_ended && strncmp(text, "--", 2) == 0 && text[2]) code = take_option(w, self, argc, argv, &i, &is_taken);
        else if (!is_ended && *text != '-' && has_file && n > 0 && text[n] == '=') {
            code = add_key(w, self, text, n, text + n + 1);
            is_taken = true;
        } else if (*text != '-') has_file = true;
        if (strcmp(text, "--") == 0) is_ended = true;
        if (code != ARGS_GO) return code;
        if (is_taken) continue;
        if (w->n_rest == ARGS_MAX_GIVEN) return usage_error(self, "more than %d words", ARGS_MAX_GIVEN);
        w->rest[w->n_rest++] = argv[i];
    }
    return ARGS_GO;
}

/* ---- the recipe ------------------------------------------------------------------------------------------------------------------ */

struct job {
    struct args args; struct words words;
    sc_recipe *recipe;
    sc_train_config config;            /* with the model and the data as paths of this machine */
    sc_text model; struct data_inputs data, held_out;
    struct opened opened;
    struct train_view view;
};

static void note_lines(const struct args_common *c, const char *text)
{
    for (size_t n; *text; text += n + (text[n] == '\n')) {
        n = strcspn(text, "\n");
        if (n) note(c, "%.*s", (int)n, text);
    }
}

static int read_recipe(struct job *j)
{
    sc_error err = { 0 };
    const sc_train_config *config;
    const char *path = j->args.operand[0], *deepspeed = args_value(&j->args, "deepspeed");
    if (sc_recipe_open(&j->recipe, path, &err) != SC_OK) return fail_with(&j->args.common, &err);
    if (deepspeed && sc_recipe_deepspeed(j->recipe, deepspeed, &err) != SC_OK) return fail_with(&j->args.common, &err);
    for (int i = 0; i < j->words.n; i++)
        if (sc_recipe_set(j->recipe, j->words.key[i], j->words.value[i], &err) != SC_OK) return usage_error(j->args.command, "%s", err.message);
    if (sc_recipe_config(&config, j->recipe, &err) != SC_OK) return fail_with(&j->args.common, &err);
    j->config = *config;
    return ARGS_GO;
}

/* Names become paths; data sets of the Hub are fetched. */
static int find_files(struct job *j)
{
    sc_error err = { 0 };
    struct args_common *c = &j->args.common;
    if (sc_store_resolve(&j->model, j->config.model_name_or_path, NULL, &err) != SC_OK) return fail_with(c, &err);
    int code = data_inputs_open(&j->data, c, j->config.datasets, j->config.n_datasets);
    if (code == ARGS_GO) code = data_inputs_open(&j->held_out, c, j->config.eval_datasets, j->config.n_eval_datasets);
    j->config.model_name_or_path = j->model.data;
    j->config.datasets = (const char *const *)j->data.path;
    j->config.n_datasets = j->data.n;
    j->config.eval_datasets = (const char *const *)j->held_out.path;
    j->config.n_eval_datasets = j->held_out.n;
    j->config.on_event = train_event;
    j->config.user = &j->view;
    return code;
}

/* The runtime, which says whether this is the rank that tells; then the files, whose lack on one rank ends the others. */
static int join_ranks(struct job *j, const struct command *self)
{
    struct args_common *c = &j->args.common;
    const char *mpi = args_value(&j->args, "mpi");
    int rank, size;
    if (strcmp(c->runtime.activations, "auto") == 0) c->runtime.activations = "f32";
    c->runtime.mpi = mpi ? mpi : self == &command_train ? "auto" : "none";
    c->saves_on_term = self == &command_train;
    int code = open_runtime(&j->opened, c);
    if (code != ARGS_GO) return code;
    sc_runtime_ranks(j->opened.runtime, &rank, &size);
    if (rank == 0) note_lines(c, sc_recipe_notes(j->recipe));
    code = find_files(j);
    if (code != ARGS_GO) sc_runtime_abandon(j->opened.runtime);
    return code;
}

/* ARGS_GO with the recipe read, its files found and a runtime; job_close in any case. */
static int job_open(struct job *j, const struct command *self, int argc, char **argv)
{
    sc_train_config defaults = { 0 };     /* of the table that --help lists; its keys went to the recipe */
    memset(j, 0, sizeof *j);
    j->view = (struct train_view){ .common = &j->args.common, .config = &j->config };
    int code = split_words(&j->words, self, argc, argv);
    if (code == ARGS_GO) code = args_parse(&j->args, self, j->words.n_rest, j->words.rest, (void *const[]){ &defaults });
    if (code == ARGS_GO) code = read_recipe(j);
    return code == ARGS_GO ? join_ranks(j, self) : code;
}

static void job_close(struct job *j)
{
    close_model(&j->opened);
    sc_recipe_close(j->recipe);
    data_inputs_close(&j->data);
    data_inputs_close(&j->held_out);
    sc_text_free(&j->model);
    json_decref(j->view.done);
    json_decref(j->view.ranks);
}

/* ---- train --------------------------------------------------------------------------------------------------------------------------- */

/* A failure that one rank has to itself is told with its rank, and ends the others. */
static int end_train(struct job *j, sc_status status, sc_error *err, int rank, int size)
{
    if (rank == 0) train_summary(&j->view);
    if (status == SC_OK) return EXIT_DONE;
    if (rank == 0 || !sc_runtime_failed_together(j->opened.runtime)) {
        char message[sizeof err->message];
        snprintf(message, sizeof message, "%s", err->message);
        if (size > 1 && !sc_runtime_failed_together(j->opened.runtime)) snprintf(err->message, sizeof err->message, "rank %d: %.440s", rank, message);
        fail_with(&j->args.common, err);
    }
    sc_runtime_abandon(j->opened.runtime);
    return status == SC_E_CANCELLED ? EXIT_INTERRUPTED : EXIT_FAILED;
}

static int run_train(const struct command *self, int argc, char **argv)
{
    struct job j;
    sc_error err = { 0 };
    int code = job_open(&j, self, argc, argv);
    if (code == ARGS_GO) {
        int rank, size;
        sc_runtime_ranks(j.opened.runtime, &rank, &size);
        code = end_train(&j, sc_train(j.opened.runtime, &j.config, &err), &err, rank, size);
        if (rank) goto done;                                   /* rank 0 tells the result */
        if (code == EXIT_DONE && j.args.common.json && j.view.done) json_dumpf(j.view.done, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
        else if (code == EXIT_DONE) print_text(stdout, j.config.output_dir, strlen(j.config.output_dir));
        if (code == EXIT_DONE) putchar('\n');
    }
done:
    job_close(&j);
    return code;
}

static const char *const train_tables[] = { "train", NULL };
#define RECIPE_HELP \
    "CONFIG.yaml has the keys of the original StarChat and of Hugging Face's TrainingArguments, TRL and PEFT: those\n" \
    "below, and dataset_name and eval_dataset_name, each a path, a pattern, a name of the Hub, or a list of these; :0.5\n" \
    "behind one is its share, as is {path: FILE, weight: 0.5}. Keys that have no meaning here are told in a line; unknown\n" \
    "ones are mistakes. Paths begin at the current directory. key=value and --key=value change single keys.\n\n"
static const struct flag train_flags[] = {
    { "deepspeed", NULL, "FILE", "a DeepSpeed configuration (JSON), as in the original", NULL },
    { "mpi", NULL, "auto|none|openmpi|mpich", "which MPI joins several processes; auto: the launcher's [auto]", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_train = {
    .name = "train", .operands = "CONFIG.yaml [key=value...]", .summary = "fine-tune a model on dialogues: everything, LoRA or QLoRA",
    .min_operands = 1, .max_operands = 1, .run = run_train, .tables = train_tables, .flags = train_flags,
    .details = RECIPE_HELP
               "Started by mpirun -n N or srun, N processes share the work and the memory (zero says what of it).\n\n"
               "Everything goes to output_dir, which is printed at the end. A run that was interrupted goes on where it stopped when\n"
               "the same command is given again.\n\n"
               "  starchat train recipes/demo.yaml\n"
               "  starchat train config.yaml --deepspeed=deepspeed_z3_config_bf16.json\n"
               "  starchat train recipes/starchat-lora.yaml learning_rate=1e-4 output_dir=runs/slower",
};

/* ---- plan -------------------------------------------------------------------------------------------------------------------------------- */

static int print_answer(const struct args_common *c, const sc_text *text)
{
    if (c->json) {
        printf("%s\n", text->data);
        return EXIT_DONE;
    }
    json_t *plan = json_loadb(text->data, text->len, JSON_ALLOW_NUL, NULL);
    if (!plan) return fail_text("the library's answer is not valid JSON");
    plan_print(stdout, plan);
    json_decref(plan);
    return EXIT_DONE;
}

static int run_plan(const struct command *self, int argc, char **argv)
{
    struct job j;
    sc_text text = { 0 };
    sc_error err = { 0 };
    long long ranks = 1;
    double gbits = 0;
    int code = job_open(&j, self, argc, argv);
    if (code == ARGS_GO) code = args_integer(&j.args, "ranks", &ranks, 1, 1, 1 << 16);
    if (code == ARGS_GO) code = args_real(&j.args, "network", &gbits, 0, 1e-3, 1e5);
    const sc_plan_config plan = { ranks, gbits };
    if (code == ARGS_GO) code = sc_train_plan(&text, j.opened.runtime, &j.config, &plan, &err) == SC_OK ? ARGS_GO : fail_with(&j.args.common, &err);
    progress_clear(&j.args.common);
    if (code == ARGS_GO) code = print_answer(&j.args.common, &text);
    sc_text_free(&text);
    job_close(&j);
    return code;
}

static const struct flag plan_flags[] = {
    { "deepspeed", NULL, "FILE", "a DeepSpeed configuration (JSON), as in the original", NULL },
    { "ranks", NULL, "N", "processes that share the work [1]", NULL },
    { "network", NULL, "GBITS", "speed of each rank's network in Gbit/s: is a step bound by it?", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_plan = {
    .name = "plan", .operands = "CONFIG.yaml [key=value...]", .summary = "what a training run will need, before anything is loaded",
    .min_operands = 1, .max_operands = 1, .run = run_plan, .tables = train_tables, .flags = plan_flags,
    .details = RECIPE_HELP
               "Prints the peak of memory of a rank and what it is made of, and what a rank sends in a step. With --network, this\n"
               "machine is measured for a second, and the time to compute stands beside the time to send.\n\n"
               "  starchat plan recipes/starchat-qlora.yaml\n"
               "  starchat plan recipes/demo.yaml block_size=2048 --json\n"
               "  starchat plan recipes/starchat-alpha.yaml --ranks 8 --network 10",
};
