/* code_run.c - what was written is run: each program in a sandbox of its own, on all threads. */
#include "eval/eval_internal.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "eval/scores.h"

/* ---- the sandbox ------------------------------------------------------------------------------------------------------------------------ */

enum { TOOLS = 24 };

static size_t add_tool(const char **list, size_t n, const char *name)
{
    for (size_t i = 0; i < n; i++)
        if (!strcmp(list[i], name)) return n;
    if (n < TOOLS) list[n++] = name;
    return n;
}

sc_status eval_code_open(struct eval_run *r, const struct eval_task *t, sc_error *err)
{
    const char *tools[TOOLS + 1] = { NULL };
    size_t n = 0;
    for (size_t i = 0; i < r->selection.n && !r->sandbox; i++) {
        const struct eval_code *c = r->selection.at[i].task->code;
        for (size_t k = 0; c && k < 3 && c->language->tools[k]; k++) n = add_tool(tools, n, c->language->tools[k]);
        static const char *const drawing[] = { "python3-libraries", "pdflatex", "pdftocairo" };
        for (size_t k = 0; c && c->is_picture && k < 3; k++) n = add_tool(tools, n, drawing[k]);
    }
    if (!r->sandbox) {
        sc_status status = sandbox_open(&r->sandbox, &(struct sandbox_config){ .path = r->config->program_path, .tools = tools, .python = r->config->python }, err);
        if (status != SC_OK) return error_prefix(err, status, "%s runs programs that nobody has read, and only in a sandbox", t->name);
        eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"programs run in a sandbox: %s\"}", sandbox_describe(r->sandbox));
    }
    for (size_t k = 0; k < 3; k++) {
        const char *need = t->code->language->run[0] ? t->code->language->tools[k] : k ? NULL : "python3";
        if (need && !sandbox_tool(r->sandbox, need)) return FAIL(err, SC_E_UNSUPPORTED, "%s runs programs in %s, but %s is not installed here", t->name, t->code->language->name, need);
    }
    return SC_OK;
}

/* ---- from answers to programs -------------------------------------------------------------------------------------------------------------- */

/* Length up to the brace that closes the last of `open`; if none does, up to the last brace that closes anything. */
static size_t balanced(const char *text, size_t len, int64_t open)
{
    size_t last = 0;
    for (size_t i = 0; i < len; i++) {
        if (text[i] == '{') open++;
        else if (text[i] == '}') last = i + 1;
        if (text[i] == '}' && --open == 0) return i + 1;
    }
    return last ? last : len;
}

/* Length up to the first line with something at its very beginning, the first line aside: that continues the prompt's. */
static size_t indented(const char *text, size_t len)
{
    for (size_t i = 0; i + 1 < len; i++)
        if (text[i] == '\n' && !strchr(" \t\r\n", text[i + 1])) return i;
    return len;
}

void eval_programs_written(struct eval_task_run *k)
{
    size_t repeats = (size_t)k->task->repeats;
    k->n_programs = k->n_written;
    k->program = mem_zero(k->n_programs + 1, sizeof *k->program);
    for (size_t i = 0; i < k->n_programs; i++) {
        const sc_text *w = &k->filtered[i];
        const char *text = w->data ? w->data : "";
        size_t len = w->len;
        for (size_t c = 0; c < k->task->code->cut.n; c++) {
            const char *stop = k->task->code->cut.at[c], *at = memmem(text, len, stop, strlen(stop));
            if (at) len = (size_t)(at - text);
        }
        if (k->task->code->is_indented) len = indented(text, len);
        if (k->task->code->open_braces) len = balanced(text, len, k->task->code->open_braces);
        k->program[i] = (struct eval_program){ .ask = i / repeats, .answer = json_stringn(text, len), .outcome = PYTHON_SKIPPED, .plus = PYTHON_SKIPPED };
    }
}

void eval_programs_release(struct eval_task_run *k)
{
    for (size_t i = 0; i < k->n_programs; i++) {
        json_decref(k->program[i].answer);
        json_decref(k->program[i].source);
        json_decref(k->program[i].pictures);
    }
    mem_free(k->program);
    k->program = NULL;
    k->n_programs = 0;
}

/* What a document says of how its programs are judged. */
struct checks { json_t *tests, *helper, *entry, *reference, *oracle; char *inputs, *more_inputs; double atol; };

static void checks_release(struct checks *c)
{
    json_t *const values[] = { c->tests, c->helper, c->entry, c->reference, c->oracle };
    for (size_t i = 0; i < sizeof values / sizeof *values; i++) json_decref(values[i]);
    free(c->inputs);
    free(c->more_inputs);
}

static char *column_text(const json_t *document, const char *column)
{
    const json_t *v = column ? json_object_get(document, column) : NULL;
    if (json_is_string(v)) return strdup(json_string_value(v));
    return v && !json_is_null(v) ? json_dumps(v, JSON_ENCODE_ANY | JSON_COMPACT) : NULL;
}

static sc_status checks_make(struct checks *out, const struct eval_code *c, const json_t *document, sc_error *err)
{
    struct { json_t **out; const struct eval_template *t; const char *name; } rows[] = { { &out->tests, &c->tests, "tests" }, { &out->helper, &c->helper, "helper" }, { &out->entry, &c->entry, "entry" },
        { &out->reference, &c->reference, "reference" }, { &out->oracle, &c->oracle, "oracle" } };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (rows[i].t->jinja) TRY(eval_template_value(rows[i].out, rows[i].t, document, rows[i].name, err));
    out->atol = json_number_value(json_object_get(document, "atol"));
    if (c->mode != PYTHON_DIFFERENTIAL) return SC_OK;
    out->inputs = column_text(document, c->inputs);
    out->more_inputs = column_text(document, c->more_inputs);
    if (!out->inputs) return FAIL(err, SC_E_FORMAT, "a row has no column \"%s\" with inputs", c->inputs);
    return SC_OK;
}

static sc_status make_source(struct eval_program *p, const struct eval_code *c, const json_t *document, sc_error *err)
{
    if (c->is_picture) return picture_source(p, document, err);
    if (p->is_whole) { p->source = json_incref(p->answer); return SC_OK; }
    json_t *all = json_copy((json_t *)(uintptr_t)document);
    json_object_set(all, "completion", p->answer);
    sc_status status = eval_template_value(&p->source, &c->program, all, "program", err);
    json_decref(all);
    return status;
}

/* ---- running ----------------------------------------------------------------------------------------------------------------------------------- */

struct running { struct eval_run *r; struct eval_task_run *k; struct checks *checks; struct sandbox_carry warm; json_t *libraries; pthread_mutex_t lock; sc_error error; };

static const char *text_of(const json_t *v) { return json_string_value(v); }

static sc_status judge_python(struct eval_program *p, const struct running *x, const struct checks *q, sc_error *err)
{
    const struct eval_code *c = x->k->task->code;
    struct python_verdict v;
    const struct python_task task = { .mode = c->mode, .candidate = text_of(p->source), .helper = text_of(q->helper), .tests = text_of(q->tests), .entry = text_of(q->entry), .reference = text_of(q->reference),
        .base_inputs = q->inputs, .plus_inputs = q->more_inputs, .oracle = text_of(q->oracle), .atol = q->atol, .call_seconds = c->seconds, .total_seconds = c->total_seconds };
    TRY(sandbox_python(&v, x->r->sandbox, &task, err));
    p->outcome = v.outcome;
    p->plus = v.plus;
    p->n_base = v.n_base;
    p->n_plus = v.n_plus;
    p->seconds = v.seconds;
    memcpy(p->detail, v.detail, sizeof p->detail);
    return SC_OK;
}

static sc_status judge_other(struct eval_program *p, const struct running *x, const struct checks *q, sc_error *err)
{
    struct buf text;
    buf_init(&text, 0);
    buf_append(&text, json_string_value(p->source), json_string_length(p->source));
    buf_puts(&text, "\n");
    buf_append(&text, json_string_value(q->tests), json_string_length(q->tests));
    sc_status status = code_language_run(p, x->r->sandbox, x->k->task->code, text.data, text.len, &x->warm, err);
    buf_release(&text);
    return status;
}

static sc_status judge_picture(struct eval_program *p, const struct running *x, sc_error *err)
{
    const struct eval_task_run *k = x->k;
    const struct picture_run run = { .sandbox = x->r->sandbox, .document = k->documents.at[k->ask[p->ask].document], .fonts = &x->warm, .seconds = k->task->code->seconds };
    return picture_judge(p, &run, err);
}

static void run_one(void *arg, size_t i, int worker)
{
    struct running *x = arg;
    struct eval_program *p = &x->k->program[i];
    const struct checks *q = &x->checks[p->ask];
    sc_error err = { 0 };
    (void)worker;
    pthread_mutex_lock(&x->lock);
    bool goes_on = x->error.status == SC_OK && !x->r->runtime->cancel;
    pthread_mutex_unlock(&x->lock);
    if (!goes_on) return;
    if (strlen(text_of(p->source)) != json_string_length(p->source)) {
        p->outcome = PYTHON_SYNTAX;
        snprintf(p->detail, sizeof p->detail, "the program holds a zero byte");
    } else {
        const struct eval_code *c = x->k->task->code;
        sc_status status = c->is_picture ? judge_picture(p, x, &err) : c->language->run[0] ? judge_other(p, x, q, &err) : judge_python(p, x, q, &err);
        if (status == SC_OK && (p->outcome == PYTHON_SETUP || p->plus == PYTHON_SETUP)) FAIL(&err, SC_E_UNSUPPORTED, "no sandbox could be made for a program of %s, which is no failure of the program, so the run ends: %s", x->k->task->name, p->detail);
    }
    pthread_mutex_lock(&x->lock);
    if (err.status != SC_OK && x->error.status == SC_OK) x->error = err;
    eval_progress_step(x->r);
    pthread_mutex_unlock(&x->lock);
}

static sc_status prepare(struct running *x, sc_error *err)
{
    const struct eval_task_run *k = x->k;
    const struct eval_code *c = k->task->code;
    for (size_t i = 0; i < k->n_asks && !c->is_picture; i++) TRY(checks_make(&x->checks[i], c, k->documents.at[k->ask[i].document], err));
    if (c->is_picture) TRY(picture_open(&x->libraries, &x->warm, x->r->sandbox, k, err));
    for (size_t i = 0; i < k->n_programs; i++) {
        TRY(make_source(&k->program[i], c, k->documents.at[k->ask[k->program[i].ask].document], err));
        if (!json_is_string(k->program[i].source)) return FAIL(err, SC_E_FORMAT, "\"program\" of %s gives no text", k->task->name);
    }
    return code_language_warm(&x->warm, x->r->sandbox, c->language, err);
}

static void tell_outcomes(struct eval_run *r, struct eval_task_run *k, double seconds)
{
    size_t count[PYTHON_OUTCOMES] = { 0 };
    json_t *outcomes = json_object();
    struct buf text;
    buf_init(&text, 0);
    for (size_t i = 0; i < k->n_programs; i++) count[k->program[i].outcome]++;
    for (int o = 0; o < PYTHON_OUTCOMES; o++) {
        if (!count[o]) continue;
        json_object_set_new(outcomes, python_outcome_name((enum python_outcome)o), json_integer((json_int_t)count[o]));
        buf_printf(&text, "%s%zu %s", text.len ? ", " : "", count[o], python_outcome_name((enum python_outcome)o));
    }
    eval_event(r->runtime, "{\"event\":\"note\",\"text\":\"%s: %zu programs in %.1f s: %s\"}", k->task->name, k->n_programs, seconds, text.data ? text.data : "none");
    k->programs = json_pack("{s:I, s:o, s:f, s:s}", "programs", (json_int_t)k->n_programs, "outcomes", outcomes, "seconds", seconds, "sandbox", sandbox_describe(r->sandbox));
    buf_release(&text);
}

static sc_status run_here(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct running x = { .r = r, .k = k, .checks = mem_zero(k->n_asks + 1, sizeof *x.checks), .lock = PTHREAD_MUTEX_INITIALIZER };
    double begin = clock_seconds();
    sc_status status = prepare(&x, err);
    eval_progress_begin(r, k, 0, k->n_programs);
    if (status == SC_OK) pool_run(r->runtime->pool, k->n_programs, run_one, &x);
    if (status == SC_OK && x.error.status != SC_OK) { *err = x.error; status = err->status; }
    else if (status == SC_OK && r->runtime->cancel) status = FAIL(err, SC_E_CANCELLED, "cancelled");
    if (status == SC_OK) tell_outcomes(r, k, clock_seconds() - begin);
    if (status == SC_OK && x.libraries) json_object_set(k->programs, "libraries", x.libraries);
    if (status == SC_OK && k->task->code->is_picture && k->written) json_object_set_new(k->programs, "asked", json_string(picture_asked(r->model)));
    json_decref(x.libraries);
    sandbox_carry_release(&x.warm);
    for (size_t i = 0; i < k->n_asks; i++) checks_release(&x.checks[i]);
    mem_free(x.checks);
    return status;
}

sc_status eval_programs_run(struct eval_run *r, struct eval_task_run *k, sc_error *err)
{
    struct comm *comm = &r->runtime->comm;
    sc_status status = comm->rank == 0 ? run_here(r, k, err) : SC_OK;
    return comm->size == 1 ? status : comm_all_ok(comm, status, err);
}

/* ---- from outcomes to numbers ------------------------------------------------------------------------------------------------------------------- */

static bool has_passed(const struct eval_program *p, bool base_alone)
{
    return p->outcome == PYTHON_PASS && (base_alone || p->plus == PYTHON_PASS || p->plus == PYTHON_SKIPPED);
}

/* The mean over those answers to an ask that could be judged; without one the ask does not count. */
static struct eval_number level_of(const struct eval_program *p, size_t n, enum picture_level level)
{
    double sum = 0, judged = 0;
    for (size_t i = 0; i < n; i++) {
        if (p[i].level[level] == PICTURE_UNJUDGED) continue;
        sum += p[i].level[level];
        judged++;
    }
    return (struct eval_number){ judged > 0 ? sum / judged : 0, judged > 0 };
}

static struct eval_result mean_of_judged(const struct eval_run *r, const struct eval_number *x, size_t n)
{
    struct eval_number *judged = mem_alloc((n + 1) * sizeof *judged);
    struct eval_result out = { .value = (double)NAN };
    size_t kept = 0;
    for (size_t i = 0; i < n; i++)
        if (x[i].weight > 0) judged[kept++] = x[i];
    if (kept) out = eval_aggregate(AGGREGATE_MEAN, judged, kept, r->runtime->pool);
    mem_free(judged);
    return out;
}

void eval_programs_count(struct eval_run *r, struct eval_task_run *k)
{
    k->n_results = k->n_metrics;
    k->number = mem_zero(k->n_results * k->n_asks + 1, sizeof *k->number);
    k->result = mem_zero(k->n_results + 1, sizeof *k->result);
    for (size_t m = 0; m < k->n_results; m++) {
        const struct code_metric *metric = eval_code_metric_of(k->metric[m]);
        for (size_t i = 0, at = 0; i < k->n_asks; i++) {
            size_t n = 0, passed = 0, first = at;
            for (; at < k->n_programs && k->program[at].ask == i; at++, n++) passed += has_passed(&k->program[at], metric->is_base);
            k->number[m * k->n_asks + i] = metric->k ? (struct eval_number){ stats_pass_at_k(n, passed, metric->k), 1 } : level_of(&k->program[first], n, metric->level);
        }
        k->result[m] = mean_of_judged(r, &k->number[m * k->n_asks], k->n_asks);
    }
}

json_t *eval_program_record(const struct eval_program *p)
{
    json_t *out = json_pack("{s:s, s:s%, s:f}", "outcome", python_outcome_name(p->outcome), "detail", p->detail, strlen(p->detail), "seconds", p->seconds);
    if (p->pictures) {
        json_t *more = picture_record(p);
        json_object_update(out, more);
        json_decref(more);
    }
    if (p->plus == PYTHON_SKIPPED) return out;
    json_object_set_new(out, "plus", json_string(python_outcome_name(p->plus)));
    json_object_set_new(out, "base_passed", json_integer(p->n_base));
    json_object_set_new(out, "plus_passed", json_integer(p->n_plus));
    return out;
}
