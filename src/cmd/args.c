/* args.c - flags from the rows of a command and from the option tables. Names with '-' and '_' are the same. Values are
 * parsed and range-checked by the tables; only a command's own flags are looked at here. */
#include "cmd/cmd.h"

#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

/* What every command understands besides the table "runtime". */
static const struct flag common_flags[] = {
    { "seed", NULL, "N", NULL, NULL },
    { "color", NULL, "auto|always|never", NULL, NULL },
    { "quiet", "q", NULL, NULL, NULL },
    { "verbose", "v", NULL, NULL, NULL },
    { "help", "h", NULL, NULL, NULL },
    FLAG_END,
};

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++)
        if ((*a == '_' ? '-' : *a) != (*b == '_' ? '-' : *b)) return false;
    return *a == *b;
}

static const struct flag *flag_find(const struct flag *rows, const char *name, bool is_short)
{
    for (; rows && (rows->name || rows->short_name); rows++) {
        const char *own = is_short ? rows->short_name : rows->name;
        if (own && same_name(own, name)) return rows;
    }
    return NULL;
}

static bool table_find(struct option_ref *out, const char *table, int number, const char *name)
{
    const sc_options *o = sc_options_for(table);
    for (size_t i = 0; o && sc_options_row(&out->row, o, i); i++)
        if (same_name(out->row.name, name)) {
            out->table = number;
            out->flag = NULL;
            return true;
        }
    return false;
}

/* Follows `same_as` once. */
static bool from_flag(struct option_ref *out, const struct command *command, const struct flag *f)
{
    if (!f) return false;
    if (f->same_as) return option_find(out, command, f->same_as);
    *out = (struct option_ref){ .flag = f };
    return true;
}

bool option_is_hidden(const struct command *command, const char *row)
{
    for (size_t i = 0; command->hidden && command->hidden[i]; i++)
        if (!strcmp(command->hidden[i], row)) return true;
    return false;
}

bool option_find(struct option_ref *out, const struct command *command, const char *name)
{
    const struct flag *own = flag_find(command->flags, name, false);
    if (own && !own->same_as) return from_flag(out, command, own);
    for (int i = 0; command->tables && command->tables[i]; i++)
        if (table_find(out, command->tables[i], i, name)) return true;
    if (own && !same_name(own->same_as, name)) return from_flag(out, command, own);
    return table_find(out, "runtime", -1, name) || from_flag(out, command, flag_find(common_flags, name, false));
}

static bool short_find(struct option_ref *out, const struct command *command, const char letter[2])
{
    return from_flag(out, command, flag_find(command->flags, letter, true)) ||
           from_flag(out, command, flag_find(common_flags, letter, true));
}

/* ---- mistakes ------------------------------------------------------------------------------------------------------- */

int usage_error(const struct command *command, const char *format, ...)
{
    va_list ap;
    char message[1024];
    va_start(ap, format);
    int n = vsnprintf(message, sizeof message, format, ap);
    va_end(ap);
    fprintf(stderr, "starchat %s: ", command->name);
    print_safe(stderr, message, n < (int)sizeof message ? (size_t)n : sizeof message - 1);
    fprintf(stderr, " (see: starchat %s --help)\n", command->name);
    return EXIT_USAGE;
}

struct nearest { const char *name; int distance; };

static void nearer(struct nearest *best, const char *candidate, const char *name)
{
    char a[64], b[64];
    if (!candidate) return;
    snprintf(a, sizeof a, "%s", candidate);
    snprintf(b, sizeof b, "%s", name);
    for (char *c = a; *c; c++) if (*c == '_') *c = '-';
    for (char *c = b; *c; c++) if (*c == '_') *c = '-';
    int d = sc_name_distance(a, b);
    if (d < best->distance && d < (int)strlen(b)) *best = (struct nearest){ candidate, d };
}

static void nearest_in_table(struct nearest *best, const char *table, const char *name)
{
    const sc_options *o = sc_options_for(table);
    sc_option_row row;
    for (size_t i = 0; o && sc_options_row(&row, o, i); i++) nearer(best, row.name, name);
}

static int unknown_option(const struct command *command, const char *name)
{
    struct nearest best = { NULL, 4 };
    for (const struct flag *f = command->flags; f && (f->name || f->short_name); f++) nearer(&best, f->name, name);
    for (int i = 0; command->tables && command->tables[i]; i++) nearest_in_table(&best, command->tables[i], name);
    nearest_in_table(&best, "runtime", name);
    for (const struct flag *f = common_flags; f->name; f++) nearer(&best, f->name, name);
    if (!best.name) return usage_error(command, "unknown option --%s", name);
    char dashed[64];
    snprintf(dashed, sizeof dashed, "%s", best.name);
    for (char *c = dashed; *c; c++) if (*c == '_') *c = '-';
    return usage_error(command, "unknown option --%s; did you mean --%s?", name, dashed);
}

/* ---- setting -------------------------------------------------------------------------------------------------------- */

static int set_common(struct args *a, const struct flag *f, const char *value)
{
    struct args_common *c = &a->common;
    if (f->name[0] == 'q') c->quiet = true;
    else if (f->name[0] == 'v') c->verbose = true;
    else if (f->name[0] == 'h') {
        help_command(stdout, a->command);
        return EXIT_DONE;
    } else if (f->name[0] == 's') {
        char *end;
        errno = 0;
        (void)strtoull(value, &end, 10);
        if (!*value || *end || errno || *value == '-') return usage_error(a->command, "--seed is \"%s\", expected a whole number", value);
        c->seed = value;
    } else {
        if (strcmp(value, "auto") != 0 && strcmp(value, "always") != 0 && strcmp(value, "never") != 0)
            return usage_error(a->command, "--color is \"%s\", expected auto, always or never", value);
        c->color = value;
    }
    return ARGS_GO;
}

static bool is_common(const struct flag *f)
{
    return f >= common_flags && f < common_flags + sizeof common_flags / sizeof *common_flags;
}

static int set_own(struct args *a, const struct flag *f, const char *value)
{
    if (is_common(f)) return set_common(a, f, value);
    if (f->name && strcmp(f->name, "json") == 0) a->common.json = true;
    if (a->n_given == ARGS_MAX_GIVEN) return usage_error(a->command, "more than %d options", ARGS_MAX_GIVEN);
    a->given[a->n_given].flag = f;
    a->given[a->n_given++].value = value;
    return ARGS_GO;
}

static int set_ref(struct args *a, const struct option_ref *ref, const char *value, void *const *configs)
{
    if (ref->flag) return set_own(a, ref->flag, value);
    sc_error err = { 0 };
    const char *table = ref->table < 0 ? "runtime" : a->command->tables[ref->table];
    void *config = ref->table < 0 ? (void *)&a->common.runtime : configs[ref->table];
    if (sc_options_set(sc_options_for(table), config, ref->row.name, value, &err) != SC_OK) return usage_error(a->command, "%s", err.message);
    if (a->n_rows == ARGS_MAX_GIVEN) return usage_error(a->command, "more than %d options", ARGS_MAX_GIVEN);
    a->row[a->n_rows++] = ref->row.name;
    return ARGS_GO;
}

static bool takes_value(const struct option_ref *ref) { return ref->flag ? ref->flag->value != NULL : ref->row.value != NULL; }

/* --name, --name=value, --name value, --no-name */
static int parse_long(struct args *a, int argc, char **argv, int *at, void *const *configs)
{
    char name[64];
    const char *text = argv[*at] + 2, *equals = strchr(text, '='), *value = equals ? equals + 1 : NULL;
    size_t n = equals ? (size_t)(equals - text) : strlen(text);
    snprintf(name, sizeof name, "%.*s", (int)n, text);
    struct option_ref ref;
    bool is_found = n < sizeof name && option_find(&ref, a->command, name), is_negated = false;
    if (!is_found && strncmp(name, "no-", 3) == 0)
        is_found = is_negated = option_find(&ref, a->command, name + 3) && !ref.flag && !takes_value(&ref);
    if (!is_found) return unknown_option(a->command, name);
    if (!takes_value(&ref)) {
        if (value && (ref.flag || is_negated)) return usage_error(a->command, "--%s takes no value", name);
        return set_ref(a, &ref, is_negated ? "false" : value ? value : "true", configs);
    }
    if (!value && *at + 1 >= argc)
        return usage_error(a->command, "--%s needs a value (%s)", name, ref.flag ? ref.flag->value : ref.row.value);
    return set_ref(a, &ref, value ? value : argv[++*at], configs);
}

/* -n value, -nvalue, -n=value, -q */
static int parse_short(struct args *a, int argc, char **argv, int *at, void *const *configs)
{
    const char letter[2] = { argv[*at][1], 0 }, *value = argv[*at][2] ? argv[*at] + 2 : NULL;
    struct option_ref ref;
    if (!short_find(&ref, a->command, letter)) return usage_error(a->command, "unknown option -%s", letter);
    if (!takes_value(&ref)) {
        if (value) return usage_error(a->command, "-%s takes no value; found \"%s\"", letter, argv[*at]);
        return set_ref(a, &ref, "true", configs);
    }
    if (value && *value == '=') value++;
    if (!value && *at + 1 >= argc)
        return usage_error(a->command, "-%s needs a value (%s)", letter, ref.flag ? ref.flag->value : ref.row.value);
    return set_ref(a, &ref, value ? value : argv[++*at], configs);
}

/* Word number `i` of the operands as shown in usage. */
static const char *operand_name(const char *operands, int i, int *len)
{
    for (; i > 0 && *operands; i--) {
        operands += strcspn(operands, " ");
        operands += strspn(operands, " ");
    }
    *len = (int)strcspn(operands, " ");
    return operands;
}

static int check_operands(const struct args *a)
{
    const struct command *c = a->command;
    if (a->n_operands < c->min_operands) {
        int len;
        const char *missing = operand_name(c->operands, a->n_operands, &len);
        return usage_error(c, "%.*s is missing", len, missing);
    }
    if (a->n_operands > c->max_operands) {
        if (c->max_operands == 0) return usage_error(c, "takes no operands; found \"%s\"", a->operand[0]);
        return usage_error(c, "one operand too many: \"%s\"; expected %s", a->operand[c->max_operands], c->operands);
    }
    return ARGS_GO;
}

static void set_defaults(const struct command *command, void *const *configs)
{
    for (int i = 0; command->tables && command->tables[i]; i++) {
        const sc_options *o = sc_options_for(command->tables[i]);
        sc_options_defaults(o, configs[i]);
        for (const struct row_default *d = command->defaults; d && d->row; d++)
            if (!d->is_text && sc_options_has(o, d->row, NULL)) (void)sc_options_set(o, configs[i], d->row, d->value, NULL);
    }
}

int args_parse(struct args *a, const struct command *command, int argc, char **argv, void *const *configs)
{
    memset(a, 0, sizeof *a);
    a->command = command;
    a->common.color = "auto";
    sc_options_defaults(sc_options_for("runtime"), &a->common.runtime);
    set_defaults(command, configs);
    bool is_ended = false;
    for (int i = 0; i < argc; i++) {
        int code = ARGS_GO;
        if (!is_ended && strcmp(argv[i], "--") == 0) is_ended = true;
        else if (!is_ended && strncmp(argv[i], "--", 2) == 0) code = parse_long(a, argc, argv, &i, configs);
        else if (!is_ended && argv[i][0] == '-' && argv[i][1]) code = parse_short(a, argc, argv, &i, configs);
        else if (a->n_operands == ARGS_MAX_OPERANDS) code = usage_error(command, "more than %d operands", ARGS_MAX_OPERANDS);
        else a->operand[a->n_operands++] = argv[i];
        if (code != ARGS_GO) return code;
    }
    return check_operands(a);
}

/* ---- asking ------------------------------------------------------------------------------------------------------------ */

static bool is_given(const struct args *a, int i, const char *flag)
{
    const struct flag *f = a->given[i].flag;
    return f->name ? same_name(f->name, flag) : same_name(f->short_name, flag);
}

int args_values(const struct args *a, const char *flag, const char **values, int max)
{
    int n = 0;
    for (int i = 0; i < a->n_given; i++)
        if (is_given(a, i, flag) && n < max) values[n++] = a->given[i].value;
    return n;
}

const char *args_value(const struct args *a, const char *flag)
{
    const char *value = NULL;
    for (int i = 0; i < a->n_given; i++)
        if (is_given(a, i, flag)) value = a->given[i].value;
    return value;
}

bool args_sets(const struct args *a, const char *row)
{
    for (int i = 0; i < a->n_rows; i++)
        if (same_name(a->row[i], row)) return true;
    return false;
}

bool args_has(const struct args *a, const char *flag) { return args_value(a, flag) != NULL; }

int args_integer(const struct args *a, const char *flag, long long *out, long long fallback, long long min, long long max)
{
    const char *text = args_value(a, flag);
    char *end = NULL;
    *out = fallback;
    if (!text) return ARGS_GO;
    errno = 0;
    long long n = strtoll(text, &end, 10);
    if (!*text || *end || errno) return usage_error(a->command, "%s is \"%s\", expected a whole number", flag, text);
    if (n < min || n > max) return usage_error(a->command, "%s is %lld, expected %lld to %lld", flag, n, min, max);
    *out = n;
    return ARGS_GO;
}

int args_real(const struct args *a, const char *flag, double *out, double fallback, double min, double max)
{
    const char *text = args_value(a, flag);
    char *end = NULL;
    *out = fallback;
    if (!text) return ARGS_GO;
    double x = strtod(text, &end);
    if (!*text || *end) return usage_error(a->command, "%s is \"%s\", expected a number", flag, text);
    if (!(x >= min && x <= max)) return usage_error(a->command, "%s is %g, expected %g to %g", flag, x, min, max);
    *out = x;
    return ARGS_GO;
}

int sample_from_args(sc_sample_config *c, struct sample_extra *x, const struct args *a)
{
    const char *bias[ARGS_MAX_GIVEN];
    c->stop = x->stop;
    c->n_stop = (size_t)args_values(a, "stop", x->stop, ARGS_MAX_GIVEN);
    for (size_t i = 0; i < c->n_stop; i++)
        if (!*x->stop[i]) return usage_error(a->command, "--stop is empty, expected a text");
    c->logit_bias = x->bias;
    c->n_logit_bias = (size_t)args_values(a, "logit-bias", bias, ARGS_MAX_GIVEN);
    for (size_t i = 0; i < c->n_logit_bias; i++) {
        char *end = NULL, *end2 = NULL;
        errno = 0;
        long id = strtol(bias[i], &end, 10);
        float number = *end == '=' ? strtof(end + 1, &end2) : 0.0f;
        if (end == bias[i] || *end != '=' || end2 == end + 1 || *end2 || errno || id < 0 || id > INT32_MAX || number != number)
            return usage_error(a->command, "--logit-bias is \"%s\", expected ID=X, for example 42=-5", bias[i]);
        x->bias[i] = (sc_candidate){ (int32_t)id, number };
    }
    return ARGS_GO;
}
