/* sandbox_python.c - judging Python: a candidate and a checker in two sandboxes with two pipes between them, and a third on which only the checker can
 * write. What the two do is in inside/candidate.py and inside/checker.py. */
#include "sandbox/sandbox_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

extern const unsigned char sandbox_candidate[], sandbox_checker[], sandbox_plain[];
extern const size_t sandbox_candidate_bytes, sandbox_checker_bytes, sandbox_plain_bytes;

enum { GRACE_SECONDS = 10, DRIVER_MAX = 1 << 20 };
static const char boot[] = "import marshal; exec(marshal.load(open(3, 'rb')))";
static const char *const python_only[] = { "python3", NULL };

/* ---- drivers -------------------------------------------------------------------------------------------------------------------------- */

static sc_status compile_driver(int *out, struct sandbox *s, const void *source, size_t len, sc_error *err)
{
    static const char code[] = "import marshal, sys; sys.stdout.buffer.write(marshal.dumps(compile(sys.stdin.buffer.read(), '<starchat>', 'exec')))";
    const char *const argv[] = { sandbox_tool(s, "python3"), "-s", "-S", "-B", "-c", code, NULL };
    const struct sandbox_job job = { .argv = argv, .tools = python_only, .input = source, .input_len = len, .limits = { .wall = 60, .output_kept = DRIVER_MAX } };
    struct sandbox_result r;
    TRY(sandbox_run(&r, s, &job, err));
    sc_status status = SC_OK;
    if (r.outcome != SANDBOX_EXITED || r.code != 0 || !r.output.len) {
        char said[160];
        status = FAIL(err, SC_E_UNSUPPORTED, "%s does not run inside the sandbox (%s %d): %s; Python 3.8 or later is needed", argv[0], sandbox_outcome_name(r.outcome), r.code,
                      r.message[0] ? r.message : error_quote(said, sizeof said, r.errors.data ? r.errors.data : "", r.errors.len));
    } else if ((*out = memory_file(r.output.data, r.output.len, "a driver", err)) < 0) {
        status = SC_E_IO;
    }
    sandbox_result_release(&r);
    return status;
}

sc_status python_open(struct sandbox *s, sc_error *err)
{
    TRY(compile_driver(&s->candidate, s, sandbox_candidate, sandbox_candidate_bytes, err));
    TRY(compile_driver(&s->checker, s, sandbox_checker, sandbox_checker_bytes, err));
    return compile_driver(&s->plain, s, sandbox_plain, sandbox_plain_bytes, err);
}

/* ---- one judgement --------------------------------------------------------------------------------------------------------------------- */

struct judging {
    struct sandbox *s;
    const struct python_task *task;
    bool has_base, has_plus;
    double call_seconds, total_seconds;
    char nonce[NONCE_DIGITS + 1];
    int code[2], source, order, request[2], reply[2], verdict[2];    /* code: of candidate and checker; order: what the checker shall do */
    struct run candidate, checker;
    struct sandbox_result result[2];
    struct buf line;
};

static void make_nonce(char out[NONCE_DIGITS + 1])
{
    uint8_t bytes[NONCE_DIGITS / 2];
    system_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static void judging_init(struct judging *j, struct sandbox *s, const struct python_task *task)
{
    bool is_differential = task->mode == PYTHON_DIFFERENTIAL;
    memset(j, 0, sizeof *j);
    j->s = s;
    j->task = task;
    j->call_seconds = task->call_seconds > 0 ? task->call_seconds : is_differential ? 4 : 3;
    j->total_seconds = task->total_seconds > 0 ? task->total_seconds : is_differential ? 61 : 10;
    make_nonce(j->nonce);
    int *fds[] = { &j->code[0], &j->code[1], &j->source, &j->order, &j->request[0], &j->request[1], &j->reply[0], &j->reply[1], &j->verdict[0], &j->verdict[1] };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) *fds[i] = -1;
    buf_init(&j->line, VERDICT_MAX);
    j->candidate = j->checker = (struct run){ .is_over = true, .monitor_fd = -1, .init_fd = -1, .status = -1, .output = -1, .errors = -1 };
}

static void shut(int *fd)
{
    if (*fd >= 0) close(*fd);
    *fd = -1;
}

/* The children have their own; ours would keep the pipes from ending. */
static void judging_pass(struct judging *j)
{
    int *fds[] = { &j->code[0], &j->code[1], &j->source, &j->order, &j->request[0], &j->request[1], &j->reply[0], &j->reply[1], &j->verdict[1] };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++) shut(fds[i]);
}

static void judging_release(struct judging *j)
{
    judging_pass(j);
    shut(&j->verdict[0]);
    buf_release(&j->line);
}

static sc_status reader_of(int *out, const char *text, size_t len, const char *what, sc_error *err)
{
    int fd = memory_file(text, len, what, err);
    if (fd < 0) return SC_E_IO;
    *out = memory_reader(fd);
    close(fd);
    return *out >= 0 ? SC_OK : FAIL(err, SC_E_IO, "%s cannot be opened again for the sandbox: %s", what, strerror(errno));
}

static sc_status open_code(int *out, int memory, sc_error *err)
{
    *out = memory_reader(memory);
    return *out >= 0 ? SC_OK : FAIL(err, SC_E_IO, "a driver for the sandbox cannot be opened again: %s", strerror(errno));
}

static void put_text(json_t *list, const char *key, const char *text)
{
    json_array_append_new(list, json_string(key));
    json_array_append_new(list, text ? json_string(text) : json_null());
}

static void put_real(json_t *list, const char *key, double value)
{
    json_array_append_new(list, json_string(key));
    json_array_append_new(list, json_real(value));
}

/* A flat list: the checker's parser knows no objects. */
static sc_status open_order(struct judging *j, sc_error *err)
{
    const struct python_task *t = j->task;
    json_t *list = json_array();
    sc_text text = { 0 };
    put_text(list, "nonce", j->nonce);
    put_text(list, "helper", t->helper);
    put_text(list, "tests", t->tests ? t->tests : "");
    put_text(list, "entry", t->entry);
    put_text(list, "reference", t->reference ? t->reference : "");
    put_text(list, "base_inputs", j->has_base ? t->base_inputs : NULL);
    put_text(list, "plus_inputs", j->has_plus ? t->plus_inputs : NULL);
    put_text(list, "oracle", t->oracle ? t->oracle : "");
    put_real(list, "atol", t->atol);
    put_real(list, "call_seconds", j->call_seconds);
    json_array_append_new(list, json_string("mode"));
    json_array_append_new(list, json_integer(t->mode == PYTHON_DIFFERENTIAL));
    size_t missing = 0, i;
    json_t *value;
    json_array_foreach(list, i, value) missing += value == NULL;
    sc_status status = json_array_size(list) != 22 || missing ? FAIL(err, SC_E_ARGUMENT, "the tests for %s are no UTF-8 text", t->entry) : json_write(&text, list, false);
    json_decref(list);
    if (status == SC_OK) status = reader_of(&j->order, text.data, text.len, "the task of a checker", err);
    sc_text_free(&text);
    return status;
}

static sc_status open_pipe(int end[2], sc_error *err)
{
    return pipe2(end, O_CLOEXEC) == 0 ? SC_OK : FAIL(err, SC_E_IO, "no pipe between sandboxes can be made: %s", strerror(errno));
}

/* The checker is trusted, and may have a reference to compute: it outlasts the candidate, whose end it then reports. */
static sc_status begin_one(struct judging *j, struct run *run, int which, const int *fds, size_t n, sc_error *err)
{
    /* -S: without what is installed besides the standard library, which takes time to look for; who named a Python means to have it. */
    const char *const argv[] = { sandbox_tool(j->s, "python3"), "-s", "-B", j->s->has_libraries ? "-B" : "-S", "-c", boot, NULL };
    const struct sandbox_job job = { .argv = argv, .tools = python_only, .descriptors = fds, .n_descriptors = n,
                                     .limits = { .wall = which ? 2 * j->total_seconds + GRACE_SECONDS : j->total_seconds, .memory = j->task->memory } };
    return run_begin(run, j->s, &job, &j->result[which], false, err);
}

static sc_status begin_pair(struct judging *j, sc_error *err)
{
    TRY(open_code(&j->code[0], j->s->candidate, err));
    TRY(open_code(&j->code[1], j->s->checker, err));
    TRY(reader_of(&j->source, j->task->candidate, strlen(j->task->candidate), "the candidate's source", err));
    TRY(open_order(j, err));
    TRY(open_pipe(j->request, err));
    TRY(open_pipe(j->reply, err));
    TRY(open_pipe(j->verdict, err));
    const int candidate[] = { j->code[0], j->source, j->request[0], j->reply[1] }, checker[] = { j->code[1], j->order, j->reply[0], j->request[1], j->verdict[1] };
    TRY(begin_one(j, &j->candidate, 0, candidate, 4, err));
    return begin_one(j, &j->checker, 1, checker, 5, err);
}

/* Candidate and tests in one: what the candidate could do to the tests, it can. */
static sc_status begin_plain(struct judging *j, sc_error *err)
{
    struct buf program;
    int nonce[2] = { -1, -1 };
    buf_init(&program, 0);
    buf_printf(&program, "%s\n%s", j->task->candidate, j->task->tests ? j->task->tests : "");
    sc_status status = reader_of(&j->source, program.data, program.len, "the program", err);
    buf_release(&program);
    TRY(status);
    TRY(open_code(&j->code[0], j->s->plain, err));
    TRY(open_pipe(j->verdict, err));
    TRY(open_pipe(nonce, err));
    bool is_told = write(nonce[1], j->nonce, NONCE_DIGITS) == NONCE_DIGITS;
    const int fds[] = { j->code[0], j->source, nonce[0], j->verdict[1] };
    status = is_told ? begin_one(j, &j->candidate, 0, fds, 4, err) : FAIL(err, SC_E_IO, "a pipe to a sandbox takes no nonce: %s", strerror(errno));
    shut(&nonce[0]);
    shut(&nonce[1]);
    return status;
}

/* Up to the verdict's end of file: the checker's process has then said all it will. */
static void follow(struct judging *j)
{
    struct run *const runs[] = { &j->candidate, &j->checker };
    bool is_open = true;
    while (is_open && !(j->candidate.is_over && j->checker.is_over)) {
        char bytes[512];
        if (!runs_poll(runs, 2, j->verdict[0], clock_seconds() + 1)) continue;
        ssize_t n = read(j->verdict[0], bytes, sizeof bytes);
        if (n > 0) buf_append(&j->line, bytes, (size_t)n);
        else is_open = false;
        if (n > 0 && (j->line.is_full || bytes[n - 1] == '\n')) is_open = false;
    }
    char bytes[512];
    fcntl(j->verdict[0], F_SETFL, O_NONBLOCK);
    for (ssize_t n; (n = read(j->verdict[0], bytes, sizeof bytes)) > 0;) buf_append(&j->line, bytes, (size_t)n);
}

/* ---- what it comes to ------------------------------------------------------------------------------------------------------------------ */

static void say(struct python_verdict *out, enum python_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct python_verdict *out, enum python_outcome outcome, const char *format, ...)
{
    va_list ap;
    out->outcome = outcome;
    va_start(ap, format);
    vsnprintf(out->detail, sizeof out->detail, format, ap);
    va_end(ap);
}

/* No verdict, or one that says the candidate's process is gone: how did it go? */
static void tell_end(struct python_verdict *out, const struct sandbox_result *r)
{
    switch (r->outcome) {
    case SANDBOX_TIMEOUT: say(out, PYTHON_TIMEOUT, "the program took longer than it may"); break;
    case SANDBOX_OOM: say(out, PYTHON_OOM, "the program took more memory or processes than it may"); break;
    case SANDBOX_FLOOD: say(out, PYTHON_FLOOD, "the program printed more than it may"); break;
    case SANDBOX_SETUP: say(out, PYTHON_SETUP, "%s", r->message[0] ? r->message : "no sandbox could be made"); break;
    case SANDBOX_SIGNALLED: say(out, PYTHON_ERROR, "the program was ended by signal %d before its tests were done", r->code); break;
    default: say(out, PYTHON_ERROR, "the program ended with exit code %d before its tests were done", r->code); break;
    }
}

static void conclude(struct python_verdict *out, bool *is_again, struct judging *j)
{
    struct verdict v;
    bool is_plain = j->task->mode == PYTHON_PLAIN;
    const struct sandbox_result *candidate = &j->result[0], *checker = &j->result[is_plain ? 0 : 1];
    bool is_read = verdict_read(&v, j->line.data ? j->line.data : "", j->line.len, j->nonce);
    *out = v.found;
    *is_again = v.is_again;
    if (v.is_forged || (!is_read && j->line.len)) {
        say(out, PYTHON_FORGED, "the verdict was not written by the checker");
    } else if (!is_read && candidate->outcome == SANDBOX_SETUP) {
        tell_end(out, candidate);
    } else if (!is_read) {
        tell_end(out, checker);
    } else if (v.is_lost) {
        tell_end(out, candidate);
    } else if (v.is_plus_lost) {
        tell_end(out, candidate);
        out->plus = out->outcome;
        out->outcome = v.found.outcome;
    }
    if (!is_read && j->has_plus) out->plus = out->outcome;
}

/* Without a verdict both are asked how they went, after "lost" the candidate is; one that was judged has no say any more. */
static void await_ends(struct judging *j)
{
    struct run *const runs[] = { &j->candidate, &j->checker };
    double until = clock_seconds() + 1;
    bool is_silent = j->line.len == 0, is_lost = is_silent || strstr(j->line.data, " lost ") != NULL;
    while (clock_seconds() < until && ((is_lost && !j->candidate.is_over) || (is_silent && !j->checker.is_over))) runs_poll(runs, 2, -1, until);
}

static sc_status judge(struct python_verdict *out, bool *is_again, struct judging *j, sc_error *err)
{
    sc_status status = j->task->mode == PYTHON_PLAIN ? begin_plain(j, err) : begin_pair(j, err);
    judging_pass(j);
    if (status == SC_OK) follow(j);
    if (status == SC_OK) await_ends(j);
    if (j->result[0].start_seconds > 0) out->seconds += clock_seconds() - j->candidate.started;
    if (j->candidate.began > 0) run_end(&j->candidate);
    if (j->checker.began > 0) run_end(&j->checker);
    double seconds = out->seconds;
    if (status == SC_OK) conclude(out, is_again, j);
    out->seconds = seconds;
    sandbox_result_release(&j->result[0]);
    sandbox_result_release(&j->result[1]);
    return status;
}

static sc_status check_task(const struct sandbox *s, const struct python_task *t, sc_error *err)
{
    if (s->candidate < 0) return FAIL(err, SC_E_UNSUPPORTED, "programs in Python cannot be judged: no python3 was found in the path that the sandbox was opened with");
    if (!t->candidate || !t->entry) return FAIL(err, SC_E_ARGUMENT, "a task for the sandbox needs a candidate and the name of its function");
    if (t->mode == PYTHON_DIFFERENTIAL && (!t->reference || !t->base_inputs)) return FAIL(err, SC_E_ARGUMENT, "the task for %s needs a reference and inputs to compare with", t->entry);
    if (t->mode != PYTHON_DIFFERENTIAL && !t->tests) return FAIL(err, SC_E_ARGUMENT, "the task for %s has no tests", t->entry);
    return SC_OK;
}

static sc_status judge_part(struct python_verdict *out, bool *is_again, struct sandbox *s, const struct python_task *task, bool has_base, bool has_plus, sc_error *err)
{
    struct judging j;
    judging_init(&j, s, task);
    j.has_base = has_base;
    j.has_plus = has_plus;
    sc_status status = judge(out, is_again, &j, err);
    judging_release(&j);
    return status;
}

sc_status sandbox_python(struct python_verdict *out, struct sandbox *s, const struct python_task *task, sc_error *err)
{
    bool is_differential = task->mode == PYTHON_DIFFERENTIAL, is_again = false;
    *out = (struct python_verdict){ .outcome = PYTHON_SETUP, .plus = PYTHON_SKIPPED };
    TRY(check_task(s, task, err));
    TRY(judge_part(out, &is_again, s, task, is_differential, is_differential && task->plus_inputs, err));
    if (!is_again) return SC_OK;
    /* The candidate went down with the base inputs; the plus inputs are a question of their own. */
    struct python_verdict second = { 0 };
    TRY(judge_part(&second, &is_again, s, task, false, true, err));
    out->plus = second.outcome == PYTHON_SKIPPED ? second.plus : second.outcome;
    out->n_plus = second.n_plus;
    out->seconds += second.seconds;
    return SC_OK;
}
