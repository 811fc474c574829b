/* judge.c - the sandbox for scripts: reads jobs as lines of JSON, writes results as lines of JSON in the same order as they end. For the tests beside it.
 * Usage: judge THREADS [TOOL...] < jobs. A job with "argv" is run; one with "candidate" is judged. If no sandbox can be had: one line
 * {"refused": "..."}, exit 3. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <pthread.h>

#include "sandbox/sandbox.h"

enum { LIST_MAX = 32, LINE_MAX_BYTES = 16 << 20 };
struct work { struct sandbox *sandbox; pthread_mutex_t in, out; };

static const char *text_of(const json_t *job, const char *key) { return json_string_value(json_object_get(job, key)); }
static double number_of(const json_t *job, const char *key) { return json_number_value(json_object_get(job, key)); }

static const char *const *list_of(const char **out, const json_t *job, const char *key)
{
    size_t n = json_array_size(json_object_get(job, key));
    for (size_t i = 0; i < n && i < LIST_MAX; i++) out[i] = json_string_value(json_array_get(json_object_get(job, key), i));
    out[n < LIST_MAX ? n : LIST_MAX] = NULL;
    return n ? out : NULL;
}

static json_t *bytes(const struct buf *b)
{
    struct buf fixed;
    buf_init(&fixed, 0);
    utf8_repair(&fixed, b->data ? b->data : "", b->len);
    json_t *out = json_stringn(fixed.data ? fixed.data : "", fixed.len);
    buf_release(&fixed);
    return out;
}

static json_t *judge(struct work *w, const json_t *job)
{
    struct python_task task = { .candidate = text_of(job, "candidate"), .helper = text_of(job, "helper"), .tests = text_of(job, "tests"), .entry = text_of(job, "entry"),
        .reference = text_of(job, "reference"), .base_inputs = text_of(job, "base_inputs"), .plus_inputs = text_of(job, "plus_inputs"), .oracle = text_of(job, "oracle"),
        .atol = number_of(job, "atol"), .call_seconds = number_of(job, "call_seconds"), .total_seconds = number_of(job, "total_seconds"), .memory = (uint64_t)number_of(job, "memory") };
    const char *mode = text_of(job, "mode");
    struct python_verdict v;
    sc_error err = { 0 };
    if (mode && strcmp(mode, "differential") == 0) task.mode = PYTHON_DIFFERENTIAL;
    if (mode && strcmp(mode, "plain") == 0) task.mode = PYTHON_PLAIN;
    if (sandbox_python(&v, w->sandbox, &task, &err) != SC_OK) return json_pack("{s:s}", "error", err.message);
    return json_pack("{s:s, s:s, s:i, s:i, s:f, s:s}", "outcome", python_outcome_name(v.outcome), "plus", python_outcome_name(v.plus), "n_base", v.n_base, "n_plus", v.n_plus, "seconds", v.seconds, "detail", v.detail);
}

static size_t files_of(struct sandbox_file *out, const json_t *job)
{
    size_t n = 0;
    const char *name;
    json_t *value;
    json_object_foreach(json_object_get(job, "files"), name, value)
        if (n < LIST_MAX) out[n++] = (struct sandbox_file){ name, json_string_value(value), json_string_length(value) };
    return n;
}

static json_t *run(struct work *w, const json_t *j, const struct sandbox_carry *from, struct sandbox_carry *to)
{
    const char *argv[LIST_MAX + 1], *tools[LIST_MAX + 1], *keep[LIST_MAX + 1], *input = text_of(j, "input"), *tool;
    struct sandbox_file files[LIST_MAX];
    struct sandbox_result r;
    sc_error err = { 0 };
    struct sandbox_job job = { .argv = list_of(argv, j, "argv"), .tools = list_of(tools, j, "tools"), .files = files, .n_files = files_of(files, j), .input = input, .input_len = input ? strlen(input) : 0,
        .keep = list_of(keep, j, "keep"), .from = from, .to = to,
        .limits = { .wall = number_of(j, "wall"), .cpu = number_of(j, "cpu"), .memory = (uint64_t)number_of(j, "memory"), .has_wide_addresses = json_is_true(json_object_get(j, "wide")), .output_kept = (size_t)number_of(j, "kept"),
                    .work_bytes = (uint64_t)number_of(j, "work"), .file_bytes = (uint64_t)number_of(j, "file") } };
    if (argv[0] && argv[0][0] == '@') argv[0] = (tool = sandbox_tool(w->sandbox, argv[0] + 1)) ? tool : "/missing";
    if (sandbox_run(&r, w->sandbox, &job, &err) != SC_OK) return json_pack("{s:s}", "error", err.message);
    json_t *out = json_pack("{s:s, s:i, s:f, s:f, s:f, s:I, s:s, s:o, s:o}", "outcome", sandbox_outcome_name(r.outcome), "code", r.code, "seconds", r.seconds, "start", r.start_seconds, "cpu", r.cpu_seconds,
                            "peak", (json_int_t)r.peak_bytes, "message", r.message, "stdout", bytes(&r.output), "stderr", bytes(&r.errors));
    sandbox_result_release(&r);
    return out;
}

/* "then": a second step that has what the first kept. */
static json_t *run_steps(struct work *w, const json_t *job)
{
    struct sandbox_carry carry = { 0 };
    const json_t *then = json_object_get(job, "then");
    json_t *first = run(w, job, NULL, then ? &carry : NULL);
    if (then && carry.is_held) json_object_set_new(first, "then", run(w, then, &carry, NULL));
    sandbox_carry_release(&carry);
    return first;
}

static void *serve(void *arg)
{
    struct work *w = arg;
    char *line = mem_alloc(LINE_MAX_BYTES);
    for (;;) {
        pthread_mutex_lock(&w->in);
        bool has_line = fgets(line, LINE_MAX_BYTES, stdin) != NULL;
        pthread_mutex_unlock(&w->in);
        if (!has_line) break;
        json_t *job = json_loads(line, 0, NULL), *result = json_object_get(job, "candidate") ? judge(w, job) : run_steps(w, job);
        json_object_set(result, "id", json_object_get(job, "id"));
        char *text = json_dumps(result, JSON_COMPACT);
        pthread_mutex_lock(&w->out);
        puts(text ? text : "{}");
        fflush(stdout);
        pthread_mutex_unlock(&w->out);
        free(text);
        json_decref(result);
        json_decref(job);
    }
    mem_free(line);
    return NULL;
}

int main(int argc, char **argv)
{
    struct work w = { .in = PTHREAD_MUTEX_INITIALIZER, .out = PTHREAD_MUTEX_INITIALIZER };
    struct sandbox_config config = { .path = getenv("PATH"), .tools = argc > 2 ? (const char *const *)argv + 2 : NULL };
    sc_error err = { 0 };
    pthread_t thread[16];
    int n = argc > 1 ? (int)strtol(argv[1], NULL, 10) : 1;
    if (sandbox_open(&w.sandbox, &config, &err) != SC_OK) {
        json_t *refused = json_pack("{s:s}", "refused", err.message);
        json_dumpf(refused, stdout, JSON_COMPACT);
        puts("");
        return 3;
    }
    for (int i = 0; i < n && i < 16; i++) pthread_create(&thread[i], NULL, serve, &w);
    for (int i = 0; i < n && i < 16; i++) pthread_join(thread[i], NULL);
    sandbox_close(w.sandbox);
    return 0;
}
