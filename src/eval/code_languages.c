/* code_languages.c - how a program in each language is compiled and run. */
#include "eval/eval_internal.h"

#include <string.h>

#define MIB(n) ((uint64_t)(n) << 20)

static const char go_warm[] = "package warm\n\nimport (\n\t\"fmt\"\n\t\"math\"\n\t\"sort\"\n\t\"strconv\"\n\t\"strings\"\n\t\"testing\"\n\t\"reflect\"\n\t\"errors\"\n\t\"bytes\"\n\t\"regexp\"\n\t\"math/rand\"\n\t\"time\"\n\t\"unicode\"\n"
    "\t\"crypto/md5\"\n\t\"encoding/hex\"\n)\n\nfunc TestNothing(t *testing.T) {\n\tfmt.Sprint(math.Pi, sort.IsSorted(nil) || true, strconv.Itoa(1), strings.ToUpper(\"\"), reflect.TypeOf(1), errors.New(\"\"), bytes.NewBuffer(nil), regexp.MustCompile(\"\"), "
    "rand.Int(), time.Now(), unicode.IsSpace(' '), md5.Sum(nil), hex.EncodeToString(nil))\n}\n";

static const struct code_language rows[] = {
    { .name = "python" },                    /* sandbox_python */
    { .name = "javascript", .file = "main.js", .tools = { "node" }, .run = { "@node", "main.js" }, .epilogue = "\n;require(\"fs\").writeSync(1, \"\\nNONCE\\n\");\n", .memory = MIB(2048), .has_wide_addresses = true },
    { .name = "cpp", .file = "main.cpp", .tools = { "g++" }, .compile = { "@g++", "-w", "-std=c++17", "-o", "program", "main.cpp" }, .keep = { "program" }, .run = { "/tmp/job/program" }, .compile_seconds = 120 },
    { .name = "go", .file = "main_test.go", .tools = { "go" }, .compile = { "@go", "test", "-c", "-vet=off", "-o", "program", "main_test.go" }, .keep = { "program" }, .run = { "/tmp/job/program" },
      .environment = { "GOCACHE=/tmp/job/cache", "GO111MODULE=off", "GOFLAGS=-p=2" }, .warm_file = "warm_test.go", .warm_source = go_warm, .warm = { "@go", "test", "-c", "-vet=off", "-o", "warm", "warm_test.go" },
      .compile_seconds = 120, .work_bytes = MIB(600), .has_wide_addresses = true },
    { .name = "rust", .file = "main.rs", .tools = { "rustc", "gcc" }, .compile = { "@rustc", "--edition=2021", "-A", "warnings", "-o", "program", "main.rs" }, .keep = { "program" }, .run = { "/tmp/job/program" },
      .compile_seconds = 60, .has_wide_addresses = true },
    { .name = "bash", .file = "main.sh", .tools = { "bash" }, .run = { "@bash", "main.sh" }, .epilogue = "\necho\necho NONCE\n" },
    { .name = "lua", .file = "main.lua", .tools = { "lua" }, .run = { "@lua", "main.lua" } },
    { .name = "perl", .file = "main.pl", .tools = { "perl" }, .run = { "@perl", "main.pl" }, .epilogue = "\nprint \"\\nNONCE\\n\";\n" },
    { .name = "typescript", .file = "main.ts", .tools = { "tsc", "node" }, .compile = { "@tsc", "--target", "es2020", "--module", "commonjs", "--outDir", "out", "main.ts" }, .keep = { "out" }, .run = { "@node", "out/main.js" }, .compile_seconds = 60,
      .memory = MIB(2048), .has_wide_addresses = true },
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

enum { NONCE_BYTES = 33, KEPT = 5 << 20, DETAIL_LINE = 200 };

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
    if (is_done && (!c->language->epilogue || contains(&r->output, nonce))) { p->outcome = PYTHON_PASS; return; }
    settle(p, r, "");
    if (!is_done) return;
    p->outcome = PYTHON_ERROR;
    snprintf(p->detail, sizeof p->detail, "it ended before its tests were done");
}

/* true: the source is compiled, and what is to be run is in *to. */
static sc_status compile(bool *is_good, struct sandbox_carry *to, struct eval_program *p, struct sandbox *s, const struct code_language *l, const struct sandbox_file *file, const struct sandbox_carry *warm, sc_error *err)
{
    const char *argv[CODE_ARGV + 1];
    struct sandbox_result r;
    if (!fill_argv(argv, s, l->compile)) return FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]);
    const struct sandbox_job job = { .argv = argv, .files = file, .n_files = 1, .environment = l->environment, .tools = l->tools, .keep = l->keep, .from = warm && warm->is_held ? warm : NULL, .to = to,
        .limits = { .wall = l->compile_seconds, .cpu = l->compile_seconds * 4, .has_wide_addresses = l->has_wide_addresses, .work_bytes = l->work_bytes, .file_bytes = l->work_bytes ? l->work_bytes : MIB(64) } };
    TRY(sandbox_run(&r, s, &job, err));
    p->seconds = r.seconds;
    *is_good = r.outcome == SANDBOX_EXITED && r.code == 0;
    if (!*is_good) settle(p, &r, "compiling: ");
    if (!*is_good && p->outcome == PYTHON_FAIL) p->outcome = PYTHON_SYNTAX;
    sandbox_result_release(&r);
    return SC_OK;
}

sc_status code_language_run(struct eval_program *p, struct sandbox *s, const struct eval_code *c, const char *source, size_t len, const struct sandbox_carry *warm, sc_error *err)
{
    const struct code_language *l = c->language;
    const char *argv[CODE_ARGV + 1];
    char nonce[NONCE_BYTES];
    struct sandbox_carry carry = { 0 };
    struct sandbox_result r;
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
    const struct sandbox_file file = { l->file, text.data ? text.data : "", text.len };
    const struct sandbox_job job = { .argv = argv, .files = &file, .n_files = l->compile[0] ? 0 : 1, .tools = l->tools, .from = l->compile[0] ? &carry : NULL,
        .limits = { .wall = c->seconds, .memory = l->memory, .has_wide_addresses = l->has_wide_addresses, .output_kept = KEPT } };
    if (l->compile[0]) TRY_DONE(compile(&is_good, &carry, p, s, l, &file, warm, err));
    if (!is_good) goto done;
    if (!fill_argv(argv, s, l->run)) TRY_DONE(FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]));
    TRY_DONE(sandbox_run(&r, s, &job, err));
    judge(p, &r, c, nonce);
    sandbox_result_release(&r);
done:
    sandbox_carry_release(&carry);
    buf_release(&text);
    buf_release(&end);
    return status;
}

sc_status code_language_warm(struct sandbox_carry *out, struct sandbox *s, const struct code_language *l, sc_error *err)
{
    static const char *const keep[] = { "cache", NULL };
    const char *argv[CODE_ARGV + 1];
    struct sandbox_result r;
    if (!l->warm[0]) return SC_OK;
    if (!fill_argv(argv, s, l->warm)) return FAIL(err, SC_E_UNSUPPORTED, "%s is not installed here", l->tools[0]);
    const struct sandbox_file file = { l->warm_file, l->warm_source, strlen(l->warm_source) };
    const struct sandbox_job job = { .argv = argv, .files = &file, .n_files = 1, .environment = l->environment, .tools = l->tools, .keep = keep, .to = out,
        .limits = { .wall = 300, .cpu = 1200, .has_wide_addresses = true, .work_bytes = l->work_bytes, .file_bytes = l->work_bytes } };
    TRY(sandbox_run(&r, s, &job, err));
    char line[DETAIL_LINE + 8];
    last_line(line, sizeof line, r.errors.len ? &r.errors : &r.output);
    sc_status status = r.outcome == SANDBOX_EXITED && r.code == 0 ? SC_OK : FAIL(err, SC_E_UNSUPPORTED, "the library of %s cannot be compiled in the sandbox: %s %s", l->name, sandbox_outcome_name(r.outcome), r.outcome == SANDBOX_SETUP ? r.message : line);
    sandbox_result_release(&r);
    return status;
}
