/* task_file.c - a task from its YAML file. Keys have the names of lm-eval's task files where they mean the same; docs/evaluate.md lists them. */
#include "eval/eval.h"
#include "eval/eval_internal.h"

#include <string.h>

const char *const eval_outputs[EVAL_OUTPUTS] = { "multiple_choice", "loglikelihood", "loglikelihood_rolling", "loglikelihood_dialogue", "generate_until", "code" };
const char *const split_names[SPLITS] = { "train", "validation", "test" };

struct reading { struct eval_task *t; const char *what; sc_error *err; };

/* ---- values ----------------------------------------------------------------------------------------------------------------------- */

static sc_status wrong(const struct reading *r, const char *key, const json_t *found, const char *expected)
{
    char text[80];
    char *dump = json_dumps(found, JSON_ENCODE_ANY | JSON_COMPACT);
    error_quote(text, sizeof text, dump ? dump : "", dump ? strlen(dump) : 0);
    free(dump);
    return FAIL(r->err, SC_E_FORMAT, "%s: \"%s\" is %s, expected %s", r->what, key, text, expected);
}

static sc_status read_string(char **out, const struct reading *r, const char *key, const json_t *v)
{
    if (!json_is_string(v)) return wrong(r, key, v, "text");
    mem_free(*out);
    *out = mem_strdup(json_string_value(v));
    return SC_OK;
}

/* A list of texts, or one text. */
static sc_status read_strings(struct strings *out, const struct reading *r, const char *key, const json_t *v)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    for (size_t i = 0; i < n; i++) {
        const json_t *one = json_is_array(v) ? json_array_get(v, i) : v;
        if (!json_is_string(one)) return wrong(r, key, v, "a text or a list of texts");
        strings_add(out, json_string_value(one));
    }
    return SC_OK;
}

static sc_status read_template(struct eval_template *out, const struct reading *r, const char *key, const json_t *v)
{
    char what[160];
    if (!json_is_string(v)) return wrong(r, key, v, "a template");
    const char *text = json_string_value(v);
    size_t len = json_string_length(v);
    snprintf(what, sizeof what, "%s, \"%s\"", r->what, key);
    eval_template_release(out);
    out->gives_json = path_ends_with(text, "| tojson }}");
    /* Chat templates lose a newline at their end, these do not. */
    struct buf source;
    buf_init(&source, 0);
    buf_append(&source, text, len);
    buf_puts(&source, len && text[len - 1] == '\n' ? "{{ '' }}" : "");
    sc_status status = jinja_compile(&out->jinja, source.data, source.len, what, r->err);
    buf_release(&source);
    return status;
}

static sc_status read_bool(bool *out, const struct reading *r, const char *key, const json_t *v)
{
    if (!json_is_boolean(v)) return wrong(r, key, v, "true or false");
    *out = json_is_true(v);
    return SC_OK;
}

static sc_status read_int(int64_t *out, const struct reading *r, const char *key, const json_t *v, int64_t min, int64_t max)
{
    char expected[80];
    snprintf(expected, sizeof expected, "a whole number from %lld to %lld", (long long)min, (long long)max);
    if (!json_is_integer(v) || json_integer_value(v) < min || json_integer_value(v) > max) return wrong(r, key, v, expected);
    *out = json_integer_value(v);
    return SC_OK;
}

static sc_status read_name(int *out, const struct reading *r, const char *key, const json_t *v, const char *const *names, int n)
{
    char expected[200] = "one of";
    for (int i = 0; i < n; i++) {
        if (json_is_string(v) && !strcmp(json_string_value(v), names[i])) { *out = i; return SC_OK; }
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), "%s %s", i ? "," : "", names[i]);
    }
    return wrong(r, key, v, expected);
}

/* ---- keys that hold more than one value -------------------------------------------------------------------------------------------- */

static sc_status read_files(struct reading *r, const char *key, const json_t *v)
{
    const char *split;
    json_t *list;
    if (!json_is_object(v)) return wrong(r, key, v, "a map of splits");
    json_object_foreach((json_t *)(uintptr_t)v, split, list) {
        int i = 0;
        json_t *name = json_string(split);
        sc_status status = read_name(&i, r, "a split of files", name, split_names, SPLITS);
        json_decref(name);
        TRY(status);
        TRY(read_strings(&r->t->files[i], r, key, list));
    }
    return SC_OK;
}

static sc_status read_shape(struct eval_shape *s, struct reading *r, const json_t *v)
{
    const char *column;
    json_t *value, *set = json_object_get(v, "set");
    if (!json_is_object(v) || !json_is_object(set) || json_object_size(v) != 2) return wrong(r, "shapes", v, "maps with the keys needs and set");
    TRY(read_strings(&s->needs, r, "needs", json_object_get(v, "needs")));
    s->set = mem_zero(json_object_size(set) + 1, sizeof *s->set);
    json_object_foreach(set, column, value) {
        s->set[s->n_set].column = mem_strdup(column);
        TRY(read_template(&s->set[s->n_set++].value, r, column, value));
    }
    return SC_OK;
}

static sc_status read_shapes(struct reading *r, const char *key, const json_t *v)
{
    if (!json_is_array(v)) return wrong(r, key, v, "a list");
    r->t->shape = mem_zero(json_array_size(v) + 1, sizeof *r->t->shape);
    for (size_t i = 0; i < json_array_size(v); i++) TRY(read_shape(&r->t->shape[r->t->n_shapes++], r, json_array_get(v, i)));
    return SC_OK;
}

/* Of a task that brings its own questions. */
static sc_status read_documents(struct reading *r, const char *key, const json_t *v)
{
    bool is_good = json_is_array(v) && json_array_size(v);
    for (size_t i = 0; i < json_array_size(v); i++) is_good = is_good && json_is_object(json_array_get(v, i));
    if (!is_good) return wrong(r, key, v, "a list of maps");
    r->t->documents = json_deep_copy(v);
    return SC_OK;
}

/* {"test": {"column", "is"} or {"column", "least", "most"}} */
static sc_status read_where(struct reading *r, const char *key, const json_t *v)
{
    const char *split;
    json_t *one;
    if (!json_is_object(v)) return wrong(r, key, v, "a map of splits");
    json_object_foreach((json_t *)(uintptr_t)v, split, one) {
        int i = 0;
        json_t *name = json_string(split);
        sc_status status = read_name(&i, r, "a split of where", name, split_names, SPLITS);
        json_decref(name);
        TRY(status);
        TRY(read_string(&r->t->where[i].column, r, "column", json_object_get(one, "column")));
        if (json_object_get(one, "is")) { TRY(read_string(&r->t->where[i].is, r, "is", json_object_get(one, "is"))); continue; }
        TRY(read_int(&r->t->where[i].least, r, "least", json_object_get(one, "least"), INT32_MIN, INT32_MAX));
        TRY(read_int(&r->t->where[i].most, r, "most", json_object_get(one, "most"), INT32_MIN, INT32_MAX));
    }
    return SC_OK;
}

static sc_status read_choices(struct reading *r, const char *key, const json_t *v)
{
    size_t n = json_is_array(v) ? json_array_size(v) : 1;
    r->t->choice = mem_zero(n + 1, sizeof *r->t->choice);
    for (size_t i = 0; i < n; i++) TRY(read_template(&r->t->choice[r->t->n_choice++], r, key, json_is_array(v) ? json_array_get(v, i) : v));
    if (!json_is_array(v) && !r->t->choice[0].gives_json) return wrong(r, key, v, "a list of templates, or one that ends with \"| tojson }}\" and gives a list");
    r->t->has_choice = true;
    return SC_OK;
}

static sc_status read_metrics(struct reading *r, const char *key, const json_t *v)
{
    if (!json_is_array(v) || !json_array_size(v)) return wrong(r, key, v, "a list of metrics");
    r->t->metric = mem_zero(json_array_size(v), sizeof *r->t->metric);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i), *name = json_is_object(one) ? json_object_get(one, "metric") : one;
        const struct eval_metric_row *m = NULL;
        if (json_is_string(name)) m = r->t->code ? eval_code_metric(r->t->code, json_string_value(name)) : eval_metric_find(json_string_value(name), r->t->output);
        if (!m) return wrong(r, key, one, "metrics of this output_type; docs/evaluate.md lists them");
        r->t->metric[r->t->n_metrics++] = m;
        if (!json_is_object(one)) continue;
        const json_t *patterns = json_object_get(one, "regexes_to_ignore"), *flag;
        if (patterns) TRY(read_strings(&r->t->ignored_patterns, r, "regexes_to_ignore", patterns));
        if ((flag = json_object_get(one, "ignore_case"))) TRY(read_bool(&r->t->ignore_case, r, "ignore_case", flag));
        if ((flag = json_object_get(one, "ignore_punctuation"))) TRY(read_bool(&r->t->ignore_punctuation, r, "ignore_punctuation", flag));
    }
    return SC_OK;
}

static sc_status read_generation(struct reading *r, const char *key, const json_t *v)
{
    const char *name;
    json_t *value;
    struct eval_task *t = r->t;
    if (!json_is_object(v)) return wrong(r, key, v, "a map");
    json_object_foreach((json_t *)(uintptr_t)v, name, value) {
        if (!strcmp(name, "until")) TRY(read_strings(&t->until, r, name, value));
        else if (!strcmp(name, "max_gen_toks") || !strcmp(name, "max_tokens")) TRY(read_int(&t->most_tokens, r, name, value, 1, 1 << 20));
        else if (!strcmp(name, "do_sample")) TRY(read_bool(&t->samples, r, name, value));
        else if (!strcmp(name, "top_k")) TRY(read_int(&t->top_k, r, name, value, 0, 1 << 20));
        else if (!strcmp(name, "temperature") && json_is_number(value) && json_number_value(value) >= 0) t->temperature = json_number_value(value);
        else if (!strcmp(name, "top_p") && json_is_number(value) && json_number_value(value) > 0 && json_number_value(value) <= 1) t->top_p = json_number_value(value);
        else return wrong(r, name, value, "until, max_gen_toks, do_sample, temperature, top_p or top_k, each in its range");
    }
    return SC_OK;
}

static sc_status read_filters(struct reading *r, const char *key, const json_t *v)
{
    if (!json_is_array(v)) return wrong(r, key, v, "a list");
    r->t->filter = mem_zero(json_array_size(v) + 1, sizeof *r->t->filter);
    for (size_t i = 0; i < json_array_size(v); i++) {
        const json_t *one = json_array_get(v, i), *name = json_object_get(one, "name"), *steps = json_object_get(one, "filter");
        if (!json_is_string(name) || !json_is_array(steps)) return wrong(r, key, one, "maps with the keys name and filter");
        TRY(eval_filter_check(steps, r->what, r->err));
        r->t->filter[r->t->n_filters++] = (struct eval_filter){ mem_strdup(json_string_value(name)), json_deep_copy(steps) };
    }
    return SC_OK;
}

static sc_status read_examples(struct reading *r, const char *key, const json_t *v)
{
    static const char *const samplers[] = { "default", "first_n" };
    const char *name;
    json_t *value;
    int sampler = 0;
    if (!json_is_object(v)) return wrong(r, key, v, "a map");
    json_object_foreach((json_t *)(uintptr_t)v, name, value) {
        if (!strcmp(name, "sampler")) TRY(read_name(&sampler, r, name, value, samplers, 2));
        else if (!strcmp(name, "samples") && json_is_array(value)) r->t->fixed_examples = json_deep_copy(value);
        else return wrong(r, key, v, "sampler and samples");
    }
    r->t->examples_are_first = sampler == 1;
    return SC_OK;
}

static sc_status read_prefix(struct eval_prefix *out, const struct reading *r, const char *key, const json_t *v)
{
    TRY(read_template(&out->text, r, key, v));
    out->ends_blank = text_space_at_end(json_string_value(v), json_string_length(v)) > 0;
    return SC_OK;
}

/* {"doc_to_text","gen_prefix"} */
static sc_status read_chat(struct reading *r, const char *key, const json_t *v)
{
    const char *name;
    json_t *value;
    if (!json_is_object(v)) return wrong(r, key, v, "a map");
    json_object_foreach((json_t *)(uintptr_t)v, name, value) {
        if (!strcmp(name, "doc_to_text")) TRY(read_template(&r->t->chat_text, r, name, value));
        else if (!strcmp(name, "gen_prefix")) TRY(read_prefix(&r->t->chat_prefix, r, name, value));
        else return wrong(r, key, v, "doc_to_text and gen_prefix");
    }
    return SC_OK;
}

static sc_status read_process(struct reading *r, const char *key, const json_t *v)
{
    char expected[200] = "one of";
    for (const struct eval_process *p = eval_processes; p->name; p++) {
        if (json_is_string(v) && !strcmp(json_string_value(v), p->name)) { r->t->process = p; return SC_OK; }
        snprintf(expected + strlen(expected), sizeof expected - strlen(expected), " %s", p->name);
    }
    return wrong(r, key, v, expected);
}

/* ---- the file ---------------------------------------------------------------------------------------------------------------------------- */

enum key { KEY_TASK, KEY_EACH, KEY_ABOUT, KEY_LICENCE, KEY_GROUPS, KEY_OUTPUT, KEY_FILES, KEY_DOCUMENTS, KEY_COLUMNS, KEY_EVALUATED, KEY_EXAMPLES, KEY_SHAPES, KEY_PROCESS, KEY_TEXT, KEY_TARGET, KEY_CHOICE, KEY_QUERY, KEY_CONTEXTS,
           KEY_TARGET_DELIMITER, KEY_EXAMPLE_DELIMITER, KEY_DESCRIPTION, KEY_NUM_FEWSHOT, KEY_FEWSHOT, KEY_METRICS, KEY_GENERATION, KEY_FILTERS, KEY_VERSION, KEY_REPEATS,
           KEY_WHERE, KEY_EXECUTION, KEY_PREFIX, KEY_CHAT, KEY_SUFFIX, KEY_FIRST, KEYS };
static const char *const keys[KEYS] = { "task", "each", "about", "licence", "groups", "output_type", "files", "documents", "columns", "evaluated_split", "fewshot_split", "shapes", "process_docs", "doc_to_text", "doc_to_target",
    "doc_to_choice", "doc_to_decontamination_query", "multiple_input", "target_delimiter", "fewshot_delimiter", "description", "num_fewshot", "fewshot_config", "metric_list", "generation_kwargs", "filter_list", "version", "repeats", "where", "execution", "gen_prefix", "chat", "doc_to_suffix", "first" };

static sc_status read_first(struct reading *r, const char *key, const json_t *v);

static sc_status read_key(struct reading *r, enum key key, const json_t *v)
{
    struct eval_task *t = r->t;
    const char *name = keys[key];
    switch (key) {
    case KEY_TASK: return read_string(&t->name, r, name, v);
    case KEY_ABOUT: return read_string(&t->about, r, name, v);
    case KEY_LICENCE: return read_string(&t->licence, r, name, v);
    case KEY_GROUPS: return read_strings(&t->groups, r, name, v);
    case KEY_FILES: return read_files(r, name, v);
    case KEY_DOCUMENTS: return read_documents(r, name, v);
    case KEY_COLUMNS: return read_strings(&t->columns, r, name, v);
    case KEY_EVALUATED: return read_name(&t->evaluated, r, name, v, split_names, SPLITS);
    case KEY_EXAMPLES: return read_name(&t->examples, r, name, v, split_names, SPLITS);
    case KEY_SHAPES: return read_shapes(r, name, v);
    case KEY_PROCESS: return read_process(r, name, v);
    case KEY_TEXT: return read_template(&t->text, r, name, v);
    case KEY_TARGET: return read_template(&t->target, r, name, v);
    case KEY_QUERY: return read_template(&t->query, r, name, v);
    case KEY_CHOICE: return read_choices(r, name, v);
    case KEY_CONTEXTS: return read_bool(&t->choices_are_contexts, r, name, v);
    case KEY_TARGET_DELIMITER: return read_string(&t->target_delimiter, r, name, v);
    case KEY_EXAMPLE_DELIMITER: return read_string(&t->example_delimiter, r, name, v);
    case KEY_DESCRIPTION: return read_template(&t->description, r, name, v);
    case KEY_NUM_FEWSHOT: return read_int(&t->examples_wanted, r, name, v, 0, 1000);
    case KEY_FEWSHOT: return read_examples(r, name, v);
    case KEY_METRICS: return read_metrics(r, name, v);
    case KEY_GENERATION: return read_generation(r, name, v);
    case KEY_FILTERS: return read_filters(r, name, v);
    case KEY_REPEATS: return read_int(&t->repeats, r, name, v, 1, 10000);
    case KEY_WHERE: return read_where(r, name, v);
    case KEY_EXECUTION: return eval_code_read(t, v, r->what, r->err);
    case KEY_PREFIX: return read_prefix(&t->prefix, r, name, v);
    case KEY_CHAT: return read_chat(r, name, v);
    case KEY_SUFFIX: return read_template(&t->suffix, r, name, v);
    case KEY_FIRST: return read_first(r, name, v);
    case KEY_VERSION: if (!json_is_number(v)) return wrong(r, name, v, "a number"); t->version = json_number_value(v); return SC_OK;
    default: return SC_OK;
    }
}

static void defaults(struct eval_task *t)
{
    t->examples = t->evaluated = -1;
    t->target_delimiter = mem_strdup(" ");
    t->example_delimiter = mem_strdup("\n\n");
    t->most_tokens = 256;
    t->repeats = 1;
    t->top_p = 1;
}

/* {"column", "doc_to_text", "doc_to_value", "generation_kwargs"} */
static sc_status read_first(struct reading *r, const char *key, const json_t *v)
{
    static const char expected[] = "a map of column, doc_to_text, doc_to_value and generation_kwargs";
    const char *name;
    json_t *value;
    if (!json_is_object(v) || r->t->first) return wrong(r, key, v, expected);
    struct eval_first *f = r->t->first = mem_zero(1, sizeof *f);
    f->ask = mem_zero(1, sizeof *f->ask);
    struct reading inner = { f->ask, r->what, r->err };
    defaults(f->ask);
    f->ask->output = EVAL_GENERATE;
    json_object_foreach((json_t *)(uintptr_t)v, name, value) {
        if (!strcmp(name, "column")) TRY(read_string(&f->column, r, name, value));
        else if (!strcmp(name, "doc_to_value")) TRY(read_template(&f->value, r, name, value));
        else if (!strcmp(name, "doc_to_text")) TRY(read_key(&inner, KEY_TEXT, value));
        else if (!strcmp(name, "generation_kwargs")) TRY(read_key(&inner, KEY_GENERATION, value));
        else return wrong(r, key, v, expected);
    }
    if (!f->column || !f->value.jinja || !f->ask->text.jinja) return wrong(r, key, v, expected);
    json_t *none = json_string("");
    sc_status status = read_template(&f->ask->target, r, "doc_to_target", none);
    json_decref(none);
    return status;
}

static sc_status unknown_key(const struct reading *r, const char *key)
{
    int best = 0;
    for (int i = 1; i < KEYS; i++)
        if (text_distance(key, keys[i]) < text_distance(key, keys[best])) best = i;
    char quoted[80];
    return FAIL(r->err, SC_E_FORMAT, "%s: a task has no key \"%s\"; did you mean \"%s\"?", r->what, error_quote(quoted, sizeof quoted, key, strlen(key)), keys[best]);
}

static sc_status check(const struct reading *r)
{
    const struct eval_task *t = r->t;
    if (!t->name) return FAIL(r->err, SC_E_FORMAT, "%s has no \"task\", the task's name", r->what);
    if (!t->n_metrics) return FAIL(r->err, SC_E_FORMAT, "%s: task %s has no \"metric_list\"", r->what, t->name);
    if (!t->text.jinja && !eval_is_whole(t->output)) return FAIL(r->err, SC_E_FORMAT, "%s: task %s has no \"doc_to_text\"", r->what, t->name);
    if (!t->target.jinja) return FAIL(r->err, SC_E_FORMAT, "%s: task %s has no \"doc_to_target\"", r->what, t->name);
    if (t->output == EVAL_CHOICE && !t->has_choice) return FAIL(r->err, SC_E_FORMAT, "%s: task %s asks for a choice, but has no \"doc_to_choice\"", r->what, t->name);
    bool writes = t->output == EVAL_GENERATE || t->output == EVAL_CODE;
    if ((t->suffix.jinja || t->first) && !writes) return FAIL(r->err, SC_E_FORMAT, "%s: task %s has \"%s\", which only tasks of output_type generate_until and code may have", r->what, t->name, t->first ? "first" : "doc_to_suffix");
    if (t->suffix.jinja && t->takes_examples) return FAIL(r->err, SC_E_FORMAT, "%s: task %s fills a gap (\"doc_to_suffix\"), so it takes no examples: set \"num_fewshot\" to 0", r->what, t->name);
    if (t->code) TRY(eval_code_check(t, r->what, r->err));
    else if (t->repeats > 1) return FAIL(r->err, SC_E_FORMAT, "%s: task %s has \"repeats\", which only tasks of output_type code may have", r->what, t->name);
    if (!t->files[t->evaluated].n && !t->documents) return FAIL(r->err, SC_E_FORMAT, "%s: task %s names no files of its split \"%s\"", r->what, t->name, split_names[t->evaluated]);
    return SC_OK;
}

/* What is asked first has its task's name in messages and in what is kept of unfinished runs. */
static void name_first(struct eval_task *t)
{
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "%s, first step", t->name);
    mem_free(t->first->ask->name);
    t->first->ask->name = mem_strdup(b.data);
    buf_release(&b);
}

/* `object` is one task, without `each`. */
static sc_status read_task(struct eval_task *t, const json_t *object, const char *what, sc_error *err)
{
    struct reading r = { t, what, err };
    const char *name;
    json_t *value;
    int output = EVAL_CHOICE;
    defaults(t);
    t->source = json_deep_copy(object);
    /* What other keys may hold depends on it. */
    if ((value = json_object_get(object, "output_type"))) TRY(read_name(&output, &r, "output_type", value, eval_outputs, EVAL_OUTPUTS));
    t->output = (enum eval_output)output;
    if (t->output == EVAL_CODE) t->code = eval_code_new();
    json_object_foreach((json_t *)(uintptr_t)object, name, value) {
        enum key key = 0;
        while (key < KEYS && strcmp(name, keys[key]) != 0) key++;
        if (key == KEYS) return unknown_key(&r, name);
        TRY(read_key(&r, key, value));
    }
    if (t->first && t->name) name_first(t);
    t->takes_examples = !eval_is_whole(t->output) && !(json_is_integer(json_object_get(object, "num_fewshot")) && t->examples_wanted == 0);
    if (t->evaluated < 0) t->evaluated = t->files[SPLIT_TEST].n ? SPLIT_TEST : SPLIT_VALIDATION;
    return check(&r);
}

/* ---- each: one file for many tasks ------------------------------------------------------------------------------------------------------------ */

/* `value` with every {name} of `names` replaced in its texts; a text that is nothing else becomes the value itself, which may be a number or a list. New reference. */
static json_t *substitute(const json_t *value, const json_t *names, int depth)
{
    const char *key;
    json_t *v;
    if (json_is_string(value) && (v = json_object_get(names, json_string_value(value)))) return json_deep_copy(v);
    if (json_is_string(value)) {
        struct buf b;
        buf_init(&b, 0);
        buf_puts(&b, json_string_value(value));
        json_object_foreach((json_t *)(uintptr_t)names, key, v)
            if (json_is_string(v)) text_replace(&b, key, json_string_value(v));
        json_t *out = json_stringn(b.data ? b.data : "", b.len);
        buf_release(&b);
        return out;
    }
    if (depth > 0 && json_is_array(value)) {
        json_t *out = json_array();
        for (size_t i = 0; i < json_array_size(value); i++) json_array_append_new(out, substitute(json_array_get(value, i), names, depth - 1));
        return out;
    }
    if (depth > 0 && json_is_object(value)) {
        json_t *out = json_object();
        json_object_foreach((json_t *)(uintptr_t)value, key, v) json_object_set_new(out, key, substitute(v, names, depth - 1));
        return out;
    }
    return json_deep_copy(value);
}

/* The names of one of `each` as {name}; NULL: it is no map. */
static json_t *braced(const json_t *one)
{
    const char *key;
    json_t *v, *out = json_object();
    char name[64];
    if (!json_is_object(one)) { json_decref(out); return NULL; }
    json_object_foreach((json_t *)(uintptr_t)one, key, v) {
        snprintf(name, sizeof name, "{%s}", key);
        json_object_set(out, name, v);
    }
    return out;
}

static sc_status add_task(struct eval_tasks *out, const json_t *object, const char *what, sc_error *err)
{
    struct eval_task *t = mem_zero(1, sizeof *t);
    out->at = mem_grow(out->at, (out->n + 1) * sizeof *out->at);
    out->at[out->n++] = t;
    return read_task(t, object, what, err);
}

/* {"suite","tasks":[{"task","num_fewshot","fewshot_split"}]} */
static sc_status read_suite(struct eval_tasks *out, const json_t *file, const char *what, sc_error *err)
{
    const json_t *name = json_object_get(file, "suite"), *list = json_object_get(file, "tasks");
    struct reading r = { NULL, what, err };
    if (!json_is_string(name) || !json_is_array(list) || json_object_size(file) != 2) return FAIL(err, SC_E_FORMAT, "%s: a suite has the keys suite, its name, and tasks, a list", what);
    out->suite = mem_grow(out->suite, (out->n_suites + 1) * sizeof *out->suite);
    struct eval_suite *s = &out->suite[out->n_suites++];
    *s = (struct eval_suite){ mem_strdup(json_string_value(name)), mem_zero(json_array_size(list) + 1, sizeof *s->row), 0 };
    for (size_t i = 0; i < json_array_size(list); i++) {
        json_t *one = json_array_get(list, i), *shots = json_object_get(one, "num_fewshot"), *split = json_object_get(one, "fewshot_split");
        struct eval_suite_row *row = &s->row[s->n++];
        *row = (struct eval_suite_row){ NULL, -1, -1 };
        TRY(read_string(&row->task, &r, "task", json_object_get(one, "task")));
        if (shots) TRY(read_int(&row->shots, &r, "num_fewshot", shots, 0, 1000));
        if (split) TRY(read_name(&row->split, &r, "fewshot_split", split, split_names, SPLITS));
    }
    return SC_OK;
}

sc_status eval_tasks_parse(struct eval_tasks *out, const char *text, size_t len, const char *what, sc_error *err)
{
    json_t *file = NULL;
    TRY(yaml_read(&file, NULL, text, len, what, err));
    sc_status status = SC_OK;
    const json_t *each = json_object_get(file, "each");
    if (!json_is_object(file)) status = FAIL(err, SC_E_FORMAT, "%s is no task: expected a map of keys", what);
    else if (json_object_get(file, "suite")) status = read_suite(out, file, what, err);
    else if (!each) status = add_task(out, file, what, err);
    else if (!json_is_array(each)) status = FAIL(err, SC_E_FORMAT, "%s: \"each\" is no list of maps", what);
    for (size_t i = 0; status == SC_OK && i < json_array_size(each); i++) {
        json_t *names = braced(json_array_get(each, i));
        if (!names) { status = FAIL(err, SC_E_FORMAT, "%s: item %zu of \"each\" is no map", what, i + 1); break; }
        json_t *one = substitute(file, names, 8);
        json_object_del(one, "each");
        status = add_task(out, one, what, err);
        json_decref(one);
        json_decref(names);
    }
    json_decref(file);
    return status;
}
