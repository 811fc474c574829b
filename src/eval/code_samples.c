/* code_samples.c - stored answers: a file of lines {"task_id", "solution" or "completion"}, run instead of what a model would write. */
#include "eval/eval_internal.h"

#include <stdlib.h>
#include <string.h>

/* ---- whose answer it is -------------------------------------------------------------------------------------------------------------------- */

/* "11" for 11 and "HumanEval/0" for itself. */
static json_t *name_of(const json_t *id)
{
    char text[32];
    if (json_is_string(id)) return json_copy((json_t *)(uintptr_t)id);
    if (!json_is_integer(id)) return NULL;
    snprintf(text, sizeof text, "%" JSON_INTEGER_FORMAT, json_integer_value(id));
    return json_string(text);
}

sc_status eval_code_id(json_t **out, const struct eval_task *t, const json_t *document, sc_error *err)
{
    if (t->code->id.jinja) return eval_template_value(out, &t->code->id, document, "id", err);
    *out = name_of(json_object_get(document, "task_id"));
    return *out ? SC_OK : FAIL(err, SC_E_FORMAT, "a row of %s has no \"task_id\" that is text or a number; name another with \"id\" of execution", t->name);
}

/* {name: index of the ask} */
static sc_status index_asks(json_t *out, const struct eval_task_run *k, sc_error *err)
{
    for (size_t i = 0; i < k->n_asks; i++) {
        json_t *id = NULL;
        TRY(eval_code_id(&id, k->task, k->documents.at[k->ask[i].document], err));
        json_object_set_new(out, json_string_value(id), json_integer((json_int_t)i));
        json_decref(id);
    }
    return SC_OK;
}

/* The reference's "Mbpp/11" is 11 in the data set. */
static const json_t *find_ask(const json_t *index, const char *name)
{
    const json_t *found = json_object_get(index, name);
    const char *slash = strrchr(name, '/');
    return found || !slash ? found : json_object_get(index, slash + 1);
}

/* ---- the file -------------------------------------------------------------------------------------------------------------------------------- */

/* foreign: of questions that are not asked. */
struct reading { struct eval_task_run *k; json_t *index; size_t cap, foreign; char first[80]; };

static sc_status add_line(struct reading *r, json_t *line, sc_error *err)
{
    json_t *name = name_of(json_object_get(line, "task_id")), *solution = json_object_get(line, "solution"), *completion = json_object_get(line, "completion");
    struct eval_task_run *k = r->k;
    if (!name) return FAIL(err, SC_E_FORMAT, "a stored answer has no \"task_id\"");
    const json_t *at = find_ask(r->index, json_string_value(name));
    if (!at && !r->foreign++) error_quote(r->first, sizeof r->first, json_string_value(name), json_string_length(name));
    json_decref(name);
    if (!json_is_string(solution) && !json_is_string(completion)) return FAIL(err, SC_E_FORMAT, "a stored answer has neither \"solution\", a whole program, nor \"completion\", what continues the prompt");
    if (!at) return SC_OK;
    if (k->n_programs == r->cap) k->program = mem_grow(k->program, (r->cap = r->cap ? 2 * r->cap : 256) * sizeof *k->program);
    k->program[k->n_programs++] = (struct eval_program){ .ask = (size_t)json_integer_value(at), .answer = json_incref(json_is_string(solution) ? solution : completion), .is_whole = json_is_string(solution),
                                                         .outcome = PYTHON_SKIPPED, .plus = PYTHON_SKIPPED };
    return SC_OK;
}

static sc_status read_lines(struct reading *r, struct reader *file, sc_error *err)
{
    for (;;) {
        struct record record = { 0 };
        bool more;
        json_t *line = NULL;
        TRY(reader_next(file, &record, &more, err));
        if (!more) return SC_OK;
        sc_status status = json_read_line(&line, record.text, record.len, record.line, err);
        if (status == SC_OK && (status = add_line(r, line, err)) != SC_OK) error_prefix(err, status, "line %llu", (unsigned long long)record.line);
        if (status != SC_OK) error_prefix(err, status, "%s", record.file);
        if (line) json_decref(line);
        record_release(&record);
        if (status != SC_OK) return status;
    }
}

/* ---- what they are measured by ------------------------------------------------------------------------------------------------------------------ */

static int by_ask(const void *a, const void *b)
{
    const struct eval_program *x = a, *y = b;
    if (x->ask != y->ask) return x->ask < y->ask ? -1 : 1;
    return x->n_base - y->n_base;                       /* the place in the file, while they are sorted */
}

/* Stable: programs of a question stay in the order of the file. */
static sc_status sort_programs(struct eval_task_run *k, sc_error *err)
{
    if (k->n_programs > INT32_MAX) return FAIL(err, SC_E_ARGUMENT, "more than %d stored answers are too many", INT32_MAX);
    for (size_t i = 0; i < k->n_programs; i++) k->program[i].n_base = (int)i;
    qsort(k->program, k->n_programs, sizeof *k->program, by_ask);
    for (size_t i = 0; i < k->n_programs; i++) k->program[i].n_base = 0;
    return SC_OK;
}

/* Asks nobody answered go; programs count the others. Returns the fewest answers to one ask. */
static size_t keep_answered(struct eval_task_run *k)
{
    size_t kept = 0, fewest = SIZE_MAX, at = 0;
    for (size_t i = 0; i < k->n_asks; i++) {
        size_t n = 0;
        for (; at < k->n_programs && k->program[at].ask == i; at++, n++) k->program[at].ask = kept;
        if (!n) { eval_ask_release(&k->ask[i]); continue; }
        struct eval_ask moved = k->ask[i];
        k->ask[i] = (struct eval_ask){ 0 };
        k->ask[kept++] = moved;
        fewest = n < fewest ? n : fewest;
    }
    k->n_asks = kept;
    return fewest;
}

/* pass@k in the task's own spelling for those k that are usual, the task's, and as many as there are. */
static void choose_metrics(struct eval_task_run *k, size_t fewest)
{
    static const size_t usual[] = { 1, 2, 4, 5, 8, 10, 16, 20, 25, 32, 50, 64, 100, 128, 200 };
    size_t n_own = k->n_metrics, n_usual = sizeof usual / sizeof *usual;
    const struct eval_metric_row **out = mem_zero(2 * (n_own + n_usual + 1), sizeof *out);
    size_t n = 0;
    char name[80];
    bool has[2] = { false, false };
    k->own_metrics = eval_code_new();
    for (size_t i = 0; i < n_own; i++) {
        const struct code_metric *m = eval_code_metric_of(k->task->metric[i]);
        if (!m->k) { out[n++] = k->task->metric[i]; continue; }
        if (has[m->is_base]) continue;
        has[m->is_base] = true;
        int stem = (int)(strlen(m->name) - strspn(strpbrk(m->name, "0123456789"), "0123456789"));
        for (size_t u = 0; u <= n_usual; u++) {
            size_t value = u < n_usual ? usual[u] : fewest;
            if (value > fewest || (u == n_usual && (fewest == 1 || eval_code_metric_of(out[n - 1])->k == fewest))) continue;
            snprintf(name, sizeof name, "%.*s%zu", stem, m->name, value);
            out[n++] = eval_code_metric(k->own_metrics, name);
        }
    }
    k->metric = out;
    k->n_metrics = n;
}

sc_status eval_programs_read(struct eval_run *r, struct eval_task_run *k, const char *path, sc_error *err)
{
    struct reading reading = { .k = k, .index = json_object() };
    struct reader *file = NULL;
    size_t all = k->n_asks;
    const char *const inputs[] = { path };
    sc_status status = index_asks(reading.index, k, err);
    if (status == SC_OK) status = reader_open(&file, &(struct reader_config){ .inputs = inputs, .n_inputs = 1 }, err);
    if (status == SC_OK) status = read_lines(&reading, file, err);
    reader_close(file);
    json_decref(reading.index);
    if (status != SC_OK) return status;
    if (!k->n_programs) return FAIL(err, SC_E_FORMAT, "%s has no answer to one of the %zu questions of %s in %s%s%s", path, all, k->task->name, k->documents.file, reading.foreign ? ", but one to " : "", reading.first);
    if (reading.foreign) eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"%s: %zu stored answers are to other questions than the %zu that are asked, and are left out\"}", k->task->name, reading.foreign, all);
    TRY(sort_programs(k, err));
    choose_metrics(k, keep_answered(k));
    if (k->n_asks < all) eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"%s: there are stored answers to %zu of %zu questions; the others are left out, so this is no score of the whole benchmark\"}", k->task->name, k->n_asks, all);
    return SC_OK;
}
