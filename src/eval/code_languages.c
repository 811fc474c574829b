/* code_languages.c - how a program in each language is compiled and run. */
#include "eval/eval_internal.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define MIB(n) ((uint64_t)(n) << 20)

/* Files of src/eval/beside, by the part of their names behind that: what stands beside a program. */
struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };
extern const struct eval_task_file eval_beside_files[];
#define BESIDE "src/eval/beside/"

#define TUPLES "java/org/javatuples/"
#define JVM "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1"
static const struct code_language rows[] = {
    { .name = "python" },                    /* sandbox_python */
    { .name = "javascript", .file = "main.js", .tools = { "node" }, .run = { "@node", "begin.js", "main.js" }, .beside_run = { "begin.js", "node_modules/js-md5/index.js" }, .has_end = true, .memory = MIB(2048), .has_wide_addresses = true },
    { .name = "cpp", .file = "main.cpp", .tools = { "g++", "gcc" }, .compile = { "@g++", "-w", "-std=c++17", "-Iinclude", "-Wl,--wrap=main", "-o", "program", "main.cpp", "end.o" }, .keep = { "program" }, .run = { "/tmp/job/program" },
      .warm_files = { "end.c", "include/boost/any.hpp", "include/openssl/md5.h" }, .warm = { "@gcc", "-O2", "-c", "end.c" }, .warm_keep = { "end.o", "include" }, .has_end = true, .compile_seconds = 120 },
    { .name = "go", .file = "main_test.go", .tools = { "go" }, .compile = { "@go", "test", "-c", "-vet=off", "-o", "program", "begin_test.go", "main_test.go" }, .beside_compile = "begin_test.go", .keep = { "program" }, .run = { "/tmp/job/program" },
      .environment = { "GOCACHE=/tmp/job/cache", "GO111MODULE=off", "GOFLAGS=-p=2", "GOPATH=/tmp/job/go" }, .warm_files = { "warm_test.go", "go/src/github.com/stretchr/testify/assert/assert.go" },
      .warm = { "@go", "test", "-c", "-vet=off", "-o", "warm", "warm_test.go" }, .warm_keep = { "cache", "go" }, .has_end = true, .compile_seconds = 120, .work_bytes = MIB(600), .has_wide_addresses = true },
    { .name = "java", .file = "Main.java", .tools = { "javac", "java" }, .compile = { "@javac", "-J-XX:+UseSerialGC", "-J-XX:TieredStopAtLevel=1", "-nowarn", "-encoding", "UTF-8", "-cp", "java", "-d", "java", "Main.java" }, .keep = { "java" },
      .run = { "/bin/sh", "-c", "exec \"$@\" <&3 3<&-", "sh", "@java", JVM, "-Xss64m", "-ea", "-cp", "java", "Begin" }, .warm_files = { "java/Begin.java", TUPLES "Tuple.java", TUPLES "Unit.java", TUPLES "Pair.java", TUPLES "Triplet.java", TUPLES "Quartet.java", TUPLES "Quintet.java" },
      .warm = { "@javac", "-d", "java", "-sourcepath", "java", "java/Begin.java", TUPLES "Unit.java", TUPLES "Pair.java", TUPLES "Triplet.java", TUPLES "Quartet.java", TUPLES "Quintet.java" }, .warm_keep = { "java" },
      .has_end = true, .compile_seconds = 60, .memory = MIB(2048), .has_wide_addresses = true },
#define RUST(name_, test_) \
    { .name = name_, .file = "main.rs", .tools = { "rustc", "gcc" }, .compile = { "@rustc", "--edition=2021", "-A", "warnings", "-C", "link-args=-Wl,--wrap=main end.o", test_, "main.rs", "-o", "program" }, .keep = { "program" }, \
      .run = { "/tmp/job/program" }, .warm_files = { "end.c" }, .warm = { "@gcc", "-O2", "-c", "end.c" }, .warm_keep = { "end.o" }, .has_end = true, .compile_seconds = 60, .has_wide_addresses = true }
    RUST("rust", "--crate-type=bin"),
    RUST("rust_test", "--test"),             /* tests are functions with #[test] */
    { .name = "bash", .file = "main.sh", .tools = { "bash" }, .run = { "@bash", "main.sh" }, .epilogue = "\necho\necho NONCE\n" },
    { .name = "lua", .file = "main.lua", .tools = { "lua" }, .run = { "@lua", "main.lua" } },
    { .name = "perl", .file = "main.pl", .tools = { "perl" }, .run = { "@perl", "main.pl" }, .epilogue = "\nprint \"\\nNONCE\\n\";\n" },
    { .name = "typescript", .file = "main.ts", .tools = { "tsc", "node" }, .compile = { "@tsc", "--target", "es2020", "--module", "commonjs", "--outDir", "out", "main.ts" }, .keep = { "out" }, .run = { "@node", "begin.js", "out/main.js" },
      .beside_run = { "begin.js", "node_modules/js-md5/index.js" }, .has_end = true, .compile_seconds = 60, .memory = MIB(2048), .has_wide_addresses = true },
};

const struct code_language *code_language_find(const char *name)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name)) return &rows[i];
    return NULL;
}

void code_language_names(struct buf *out)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) buf_printf(out, "%s%s", i ? ", " : "", rows[i].name);
}

/* ---- one program ----------------------------------------------------------------------------------------------------------------------- */

enum { NONCE_BYTES = 33, KEPT = 5 << 20, DETAIL_LINE = 200, FILES = 8, PACKAGE_BYTES = 80 };

/* argv with the programs' places for "@name"; false: one is not installed. */
static bool fill_argv(const char **out, struct sandbox *s, const char *const *argv)
{
    size_t n = 0;
    for (; argv[n]; n++) {
        out[n] = argv[n][0] == '@' ? sandbox_tool(s, argv[n] + 1) : argv[n];
        if (!out[n]) return false;
    }
    out[n] = NULL;
    return true;
}

static struct sandbox_file beside_file(const char *name)
{
    const struct eval_task_file *f = eval_beside_files;
    while (f->name && strcmp(f->name + strlen(BESIDE), name) != 0) f++;
    assert(f->name);
    return (struct sandbox_file){ name, f->text, f->bytes };
}

/* The package of a source in Go. */
static void package_of(char out[PACKAGE_BYTES], const char *source)
{
    static const char word[] = "package ";
    const char *at = source;
    while (strncmp(at, word, strlen(word)) != 0 && (at = strchr(at, '\n'))) at++;
    at = at ? at + strlen(word) : "main";
    size_t n = strcspn(at, " \t\r\n;/");
    snprintf(out, PACKAGE_BYTES, "%.*s", (int)(n < PACKAGE_BYTES ? n : PACKAGE_BYTES - 1), at);
}

static void last_line(char *out, size_t bytes, const struct buf *b)
{
    size_t end = b->len, begin;
    while (end && (b->data[end - 1] == '\n' || b->data[end - 1] == ' ')) end--;
    for (begin = end; begin && b->data[begin - 1] != '\n'; begin--) {}
    struct buf text;
    buf_init(&text, bytes - 1);
    utf8_repair(&text, b->data ? b->data + begin : "", end - begin < DETAIL_LINE ? end - begin : DETAIL_LINE);
    snprintf(out, bytes, "%s", text.data ? text.data : "");
    buf_release(&text);
}

static void settle(struct eval_program *p, const struct sandbox_result *r, const char *step)
{
    static const enum python_outcome outcomes[SANDBOX_OUTCOMES] = { PYTHON_FAIL, PYTHON_ERROR, PYTHON_TIMEOUT, PYTHON_OOM, PYTHON_FLOOD, PYTHON_SETUP };
    char line[DETAIL_LINE + 8];
    p->outcome = outcomes[r->outcome];
    last_line(line, sizeof line, r->errors.len ? &r->errors : &r->output);
    if (r->outcome == SANDBOX_SETUP) snprintf(p->detail, sizeof p->detail, "%s", r->message);
    else if (r->outcome == SANDBOX_SIGNALLED) snprintf(p->detail, sizeof p->detail, "%ssignal %d%s%s", step, r->code, *line ? ": " : "", line);
    else if (r->outcome == SANDBOX_EXITED) snprintf(p->detail, sizeof p->detail, "%sexit code %d%s%s", step, r->code, *line ? ": " : "", line);
    else snprintf(p->detail, sizeof p->detail, "%s%s", step, line);
}

static void make_nonce(char out[NONCE_BYTES])
{
    unsigned char bytes[16];
    system_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

static bool contains(const struct buf *b, const char *text)
{
    return b->data && memmem(b->data, b->len, text, strlen(text)) != NULL;
}

static void judge(struct eval_program *p, const struct sandbox_result *r, const struct eval_code *c, const char *nonce)
{
    p->seconds += r->seconds;
    bool is_done = r->outcome == SANDBOX_EXITED && r->code == 0;
    if (is_done && ((!c->language->epilogue && !c->language->has_end) || contains(&r->output, nonce))) { p->outcome = PYTHON_PASS; return; }
    settle(p, r, "");
    if (!is_done) return;
    p->outcome = PYTHON_ERROR;
    snprintf(p->detail, sizeof p->detail, "it ended before its tests were done");
}

/* true: the source is compiled, and what is to be run is in *to. */
static sc_status compile(bool *is_good, struct sandbox_carry *to, struct eval_program *p, struct sandbox *s, const struct code_language *l, const char *source, size_t len, const struct sandbox_carry *warm, sc_error *err)
{
    const char *argv[CODE_ARGV + 1];
    char package[PACKAGE_BYTES], variable[NONCE_BYTES + 1] = "v";
    struct sandbox_result r;
    struct buf beside;
    if (!fill_argv(argv, s, l->compile)) return FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]);
    buf_init(&beside, 0);
    if (l->beside_compile) {
        const struct sandbox_file f = beside_file(l->beside_compile);
        package_of(package, source);
        buf_append(&beside, f.data, f.len);
        make_nonce(variable + 1);
        text_replace(&beside, "PACKAGE", package);
        text_replace(&beside, "VARIABLE", variable);
    }
    const struct sandbox_file files[] = { { l->file, source, len }, { l->beside_compile, beside.data, beside.len } };
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = l->beside_compile ? 2 : 1, .environment = l->environment, .tools = l->tools, .keep = l->keep, .from = warm && warm->is_held ? warm : NULL, .to = to,
        .limits = { .wall = l->compile_seconds, .cpu = l->compile_seconds * 4, .has_wide_addresses = l->has_wide_addresses, .work_bytes = l->work_bytes, .file_bytes = l->work_bytes ? l->work_bytes : MIB(64) } };
    sc_status status = sandbox_run(&r, s, &job, err);
    buf_release(&beside);
    if (status != SC_OK) return status;
    p->seconds = r.seconds;
    *is_good = r.outcome == SANDBOX_EXITED && r.code == 0;
    if (!*is_good) settle(p, &r, "compiling: ");
    if (!*is_good && p->outcome == PYTHON_FAIL) p->outcome = PYTHON_SYNTAX;
    sandbox_result_release(&r);
    return SC_OK;
}

/* A pipe that holds the nonce and nothing more; -1 with err set. */
static int nonce_pipe(const char *nonce, sc_error *err)
{
    int end[2];
    size_t len = strlen(nonce);
    if (pipe2(end, O_CLOEXEC) != 0) { FAIL(err, SC_E_IO, "no pipe to a sandbox can be made: %s", strerror(errno)); return -1; }
    bool is_written = write(end[1], nonce, len) == (ssize_t)len;
    close(end[1]);
    if (is_written) return end[0];
    close(end[0]);
    FAIL(err, SC_E_IO, "a pipe to a sandbox takes no nonce: %s", strerror(errno));
    return -1;
}

/* What is compiled lies in *carry; of other languages the source is run. */
static sc_status run_program(struct eval_program *p, struct sandbox *s, const struct eval_code *c, const struct buf *text, const struct sandbox_carry *carry, const char *nonce, sc_error *err)
{
    const struct code_language *l = c->language;
    const char *argv[CODE_ARGV + 1];
    struct sandbox_file files[FILES];
    struct sandbox_result r;
    size_t n = 0;
    int pipe = -1;
    if (!fill_argv(argv, s, l->run)) return FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]);
    if (!l->compile[0]) files[n++] = (struct sandbox_file){ l->file, text->data ? text->data : "", text->len };
    for (size_t i = 0; i < 3 && l->beside_run[i]; i++) files[n++] = beside_file(l->beside_run[i]);
    if (l->has_end && (pipe = nonce_pipe(nonce, err)) < 0) return SC_E_IO;
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = n, .tools = l->tools, .from = l->compile[0] ? carry : NULL, .descriptors = &pipe, .n_descriptors = l->has_end ? 1 : 0,
        .limits = { .wall = c->seconds, .memory = l->memory, .has_wide_addresses = l->has_wide_addresses, .output_kept = KEPT } };
    sc_status status = sandbox_run(&r, s, &job, err);
    if (pipe >= 0) close(pipe);
    if (status != SC_OK) return status;
    judge(p, &r, c, nonce);
    sandbox_result_release(&r);
    return SC_OK;
}

sc_status code_language_run(struct eval_program *p, struct sandbox *s, const struct eval_code *c, const char *source, size_t len, const struct sandbox_carry *warm, sc_error *err)
{
    const struct code_language *l = c->language;
    char nonce[NONCE_BYTES];
    struct sandbox_carry carry = { 0 };
    struct buf text, end;
    sc_status status = SC_OK;
    bool is_good = true;
    make_nonce(nonce);
    buf_init(&text, 0);
    buf_init(&end, 0);
    buf_append(&text, source, len);
    buf_puts(&end, l->epilogue ? l->epilogue : "");
    text_replace(&end, "NONCE", nonce);
    buf_append(&text, end.data ? end.data : "", end.len);
    if (l->compile[0]) status = compile(&is_good, &carry, p, s, l, text.data ? text.data : "", text.len, warm, err);
    if (status == SC_OK && is_good) status = run_program(p, s, c, &text, &carry, nonce, err);
    sandbox_carry_release(&carry);
    buf_release(&text);
    buf_release(&end);
    return status;
}

sc_status code_language_warm(struct sandbox_carry *out, struct sandbox *s, const struct code_language *l, sc_error *err)
{
    const char *argv[CODE_ARGV + 1];
    struct sandbox_file files[FILES];
    struct sandbox_result r;
    size_t n = 0;
    if (!l->warm[0]) return SC_OK;
    if (!fill_argv(argv, s, l->warm)) return FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]);
    for (; l->warm_files[n]; n++) files[n] = beside_file(l->warm_files[n]);
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = n, .environment = l->environment, .tools = l->tools, .keep = l->warm_keep, .to = out,
        .limits = { .wall = 300, .cpu = 1200, .has_wide_addresses = true, .work_bytes = l->work_bytes, .file_bytes = l->work_bytes } };
    TRY(sandbox_run(&r, s, &job, err));
    char line[DETAIL_LINE + 8];
    last_line(line, sizeof line, r.errors.len ? &r.errors : &r.output);
    sc_status status = r.outcome == SANDBOX_EXITED && r.code == 0 ? SC_OK : FAIL(err, SC_E_UNSUPPORTED, "the library of %s cannot be compiled in the sandbox: %s %s", l->name, sandbox_outcome_name(r.outcome), r.outcome == SANDBOX_SETUP ? r.message : line);
    sandbox_result_release(&r);
    return status;
}
