/* picture.c - answers that draw: a program is run in a sandbox, what it drew is carried out through another one, and looked at on three levels: it runs, it draws
 * something, it is what was asked for. */
#include "eval/eval_internal.h"

#include <string.h>

extern const unsigned char eval_draw[], eval_collect[], eval_libraries[];
extern const size_t eval_draw_bytes, eval_collect_bytes, eval_libraries_bytes;

enum { OUTPUT_KEPT = 48 << 20, CARRIED = 80 << 20, VERDICT_KEPT = 256 << 10, COLLECT_SECONDS = 30, TEX_SECONDS = 60, LIBRARIES_SECONDS = 300, SECONDS = 60, NEEDS_MAX = 16 };
#define FONTS "MPLCONFIGDIR=/tmp/job/.matplotlib"

static const char *const form_names[] = { "python", "tikz", "svg" };       /* ORDER picture_form */
static const char *const python_tools[] = { "python3", "python3-libraries", NULL }, *const tex_tools[] = { "pdflatex", NULL }, *const image_tools[] = { "pdftocairo", NULL };
static const char *const environment[] = { FONTS, "MPLBACKEND=Agg", "OPENBLAS_NUM_THREADS=1", "MKL_NUM_THREADS=1", NULL };

static bool form_of(enum picture_form *out, const json_t *document)
{
    const char *name = json_string_value(json_object_get(document, "draws"));
    for (int i = 0; name && i < 3; i++)
        if (!strcmp(name, form_names[i])) { *out = (enum picture_form)i; return true; }
    return false;
}

static sc_status check_document(const struct eval_task *t, const json_t *document, sc_error *err)
{
    const json_t *needs = json_object_get(document, "needs"), *checks = json_object_get(document, "checks");
    enum picture_form form;
    bool is_good = form_of(&form, document) && (!needs || (json_is_array(needs) && json_array_size(needs) <= NEEDS_MAX)) && (!checks || json_is_array(checks));
    for (size_t i = 0; i < json_array_size(needs); i++) is_good = is_good && json_is_string(json_array_get(needs, i));
    for (size_t i = 0; i < json_array_size(checks); i++) is_good = is_good && json_is_object(json_array_get(checks, i));
    return is_good ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: a document of pictures has \"draws\", one of python, tikz and svg, and may have \"needs\", a list of modules, and \"checks\", a list of maps", t->name);
}

/* ---- what has to be there --------------------------------------------------------------------------------------------------------------- */

/* {"matplotlib": "3.8.2" or an object} of everything that the questions need. */
static sc_status ask_libraries(json_t **out, struct sandbox_carry *fonts, struct sandbox *s, const json_t *needs, sc_error *err)
{
    static const char *const keep[] = { ".matplotlib", NULL };
    const char *argv[NEEDS_MAX + 6] = { sandbox_tool(s, "python3-libraries"), "-s", "-B", "libraries.py" }, *name;
    size_t n = 4;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)needs, name, v)
        if (n < NEEDS_MAX + 4) argv[n++] = name;
    const struct sandbox_file file = { "libraries.py", eval_libraries, eval_libraries_bytes };
    const struct sandbox_job job = { .argv = argv, .files = &file, .n_files = 1, .environment = environment, .tools = python_tools, .to = fonts, .keep = keep,
                                     .limits = { .wall = LIBRARIES_SECONDS, .has_wide_addresses = true, .output_kept = VERDICT_KEPT } };
    struct sandbox_result r;
    TRY(sandbox_run(&r, s, &job, err));
    const char *text = r.output.data ? r.output.data : "", *line = memmem(text, r.output.len, "\n{", 2);
    sc_status status = r.outcome == SANDBOX_EXITED && r.code == 0 && line ? json_read(out, line, (size_t)(text + r.output.len - line), "the list of libraries", err) : SC_E_UNSUPPORTED;
    if (!*out) {
        char said[160];
        status = FAIL(err, SC_E_UNSUPPORTED, "%s does not say in the sandbox which libraries it has (%s %d): %s", argv[0], sandbox_outcome_name(r.outcome), r.code,
                      r.message[0] ? r.message : error_quote(said, sizeof said, r.errors.data ? r.errors.data : "", r.errors.len));
    }
    sandbox_result_release(&r);
    return status;
}

static sc_status check_libraries(const struct eval_task *t, struct sandbox *s, const json_t *found, sc_error *err)
{
    struct buf missing;
    const char *name;
    json_t *version;
    sc_status status = SC_OK;
    buf_init(&missing, 300);
    json_object_foreach((json_t *)(uintptr_t)found, name, version)
    {
        const char *why = json_string_value(json_object_get(version, "why"));
        if (!json_is_string(version)) buf_printf(&missing, "%s%s%s%s%s", missing.len ? ", " : "", name, why ? " (" : "", why ? why : "", why ? ")" : "");
    }
    if (missing.len)
        status = FAIL(err, SC_E_UNSUPPORTED, "%s runs programs that need %s, which %s does not have; `python3 -m venv plots && plots/bin/pip install matplotlib seaborn 'geopandas<1'` and --python plots/bin/python3 bring it", t->name, missing.data,
                      sandbox_tool(s, "python3"));
    buf_release(&missing);
    return status;
}

sc_status picture_open(json_t **libraries, struct sandbox_carry *fonts, struct sandbox *s, const struct eval_task_run *k, sc_error *err)
{
    json_t *needs = json_object(), *one;
    sc_status status = SC_OK;
    size_t n;
    *libraries = NULL;
    for (size_t i = 0; i < k->n_asks && status == SC_OK; i++) {
        const json_t *document = k->documents.at[k->ask[i].document];
        status = check_document(k->task, document, err);
        json_array_foreach(json_object_get(document, "needs"), n, one)
            if (status == SC_OK) json_object_set_new(needs, json_string_value(one), json_true());
    }
    if (status == SC_OK && json_object_size(needs)) status = ask_libraries(libraries, fonts, s, needs, err);
    if (status == SC_OK && *libraries) status = check_libraries(k->task, s, *libraries, err);
    json_decref(needs);
    return status;
}

/* ---- what came out -------------------------------------------------------------------------------------------------------------------------- */

static void say(struct eval_program *p, enum python_outcome outcome, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void say(struct eval_program *p, enum python_outcome outcome, const char *format, ...)
{
    va_list ap;
    char text[sizeof p->detail];
    struct buf repaired;
    p->outcome = outcome;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    buf_init(&repaired, sizeof p->detail - 1);
    utf8_repair(&repaired, text, strlen(text));
    snprintf(p->detail, sizeof p->detail, "%s", repaired.data ? repaired.data : "");
    buf_release(&repaired);
}

/* A run that did not end well: true. */
static bool has_ended_badly(struct eval_program *p, const struct sandbox_result *r)
{
    p->seconds += r->seconds;
    switch (r->outcome) {
    case SANDBOX_EXITED: return false;
    case SANDBOX_SIGNALLED: say(p, PYTHON_ERROR, "the program was ended by signal %d", r->code); return true;
    case SANDBOX_TIMEOUT: say(p, PYTHON_TIMEOUT, "the program took longer than it may"); return true;
    case SANDBOX_OOM: say(p, PYTHON_OOM, "the program took more memory or processes than it may"); return true;
    case SANDBOX_FLOOD: say(p, PYTHON_FLOOD, "the program printed more than it may"); return true;
    default: say(p, PYTHON_SETUP, "%s", r->message); return true;
    }
}

/* One line of collect.py: keeps the picture if it is one; true: there is something to see in it. */
static bool add_picture(struct eval_program *p, const char *line, size_t len)
{
    sc_error err = { 0 };
    json_t *one = NULL, *record;
    struct picture_size size = { 0 };
    struct buf bytes;
    bool is_blank = true;
    if (json_read(&one, line, len, "a picture", &err) != SC_OK) return false;
    const char *type = json_string_value(json_object_get(one, "type")), *refused = json_string_value(json_object_get(one, "refused"));
    const json_t *data = json_object_get(one, "data");
    buf_init(&bytes, 0);
    if (!refused && (!type || !json_is_string(data) || !picture_decode(&bytes, json_string_value(data), json_string_length(data)))) refused = "it was damaged on its way";
    if (!refused && !strcmp(type, "image/svg+xml")) {
        is_blank = json_integer_value(json_object_get(one, "marks")) < 1;
        size = (struct picture_size){ (uint32_t)json_integer_value(json_object_get(one, "width")), (uint32_t)json_integer_value(json_object_get(one, "height")) };
    } else if (!refused) {
        refused = picture_png(&size, &is_blank, bytes.data, bytes.len);
    }
    record = refused ? json_pack("{s:s, s:s}", "type", type ? type : "", "refused", refused)
                     : json_pack("{s:s, s:I, s:I, s:b, s:O}", "type", type, "width", (json_int_t)size.width, "height", (json_int_t)size.height, "is_blank", is_blank, "data", data);
    json_array_append_new(p->pictures, record);
    if (refused) is_blank = true;
    buf_release(&bytes);
    json_decref(one);
    return !is_blank;
}

/* Out of the sandbox of the step before, or of `file`, through one in which the program never ran. */
static sc_status collect(bool *is_seen, struct eval_program *p, struct sandbox *s, const struct sandbox_carry *from, const char *place, const struct sandbox_file *file, sc_error *err)
{
    const char *const argv[] = { sandbox_tool(s, "python3"), "-s", "-S", "-B", "/tmp/job/collect.py", place, NULL };
    const struct sandbox_file files[] = { { "collect.py", eval_collect, eval_collect_bytes }, file ? *file : (struct sandbox_file){ 0 } };
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = file ? 2 : 1, .tools = python_tools, .from = from, .limits = { .wall = COLLECT_SECONDS, .output_kept = OUTPUT_KEPT, .output_max = OUTPUT_KEPT } };
    struct sandbox_result r;
    TRY(sandbox_run(&r, s, &job, err));
    if (r.outcome == SANDBOX_SETUP) say(p, PYTHON_SETUP, "%s", r.message);
    else if (r.outcome != SANDBOX_EXITED || r.code != 0) json_array_append_new(p->pictures, json_pack("{s:s, s:s}", "type", "", "refused", "what was drawn could not be carried out of the sandbox"));
    for (size_t at = 0; r.outcome == SANDBOX_EXITED && at < r.output.len;) {
        size_t n = strcspn(r.output.data + at, "\n");
        *is_seen = add_picture(p, r.output.data + at, n) || *is_seen;
        at += n + 1;
    }
    sandbox_result_release(&r);
    return SC_OK;
}

/* ---- Python ------------------------------------------------------------------------------------------------------------------------------------ */

static char *make_order(const json_t *document, char nonce[33])
{
    unsigned char bytes[16];
    system_random(bytes, sizeof bytes);
    for (size_t i = 0; i < sizeof bytes; i++) snprintf(nonce + 2 * i, 3, "%02x", bytes[i]);
    const json_t *checks = json_object_get(document, "checks");
    json_t *order = json_pack("{s:s, s:o}", "nonce", nonce, "checks", checks ? json_deep_copy(checks) : json_array());
    char *text = json_dumps(order, JSON_COMPACT);
    json_decref(order);
    return text;
}

/* The line behind the nonce; NULL: there is none. */
static json_t *read_verdict(const struct sandbox_result *r, const char *nonce)
{
    const char *text = r->output.data, *at = text ? memmem(text, r->output.len, nonce, strlen(nonce)) : NULL;
    json_t *found = NULL;
    sc_error err = { 0 };
    if (!at) return NULL;
    at += strlen(nonce);
    size_t n = strcspn(at, "\n");
    if (json_read(&found, at, n, "a verdict", &err) == SC_OK && !json_is_object(found)) { json_decref(found); found = NULL; }
    return found;
}

/* Why there is nothing to see. */
static void say_nothing(struct eval_program *p)
{
    const char *refused = NULL;
    for (size_t i = 0; i < json_array_size(p->pictures) && !refused; i++) refused = json_string_value(json_object_get(json_array_get(p->pictures, i), "refused"));
    say(p, PYTHON_FAIL, refused ? "no picture can be shown: %s" : "nothing was drawn", refused);
}

static void take_verdict(struct eval_program *p, const json_t *found, bool is_seen)
{
    const char *outcome = json_string_value(json_object_get(found, "outcome")), *detail = json_string_value(json_object_get(found, "detail"));
    const json_t *wrong = json_object_get(found, "wrong");
    static const enum python_outcome ends[] = { PYTHON_PASS, PYTHON_SYNTAX, PYTHON_OOM };
    enum python_outcome end = PYTHON_ERROR;
    bool has_artists = json_is_true(json_object_get(found, "has_artists")) || json_integer_value(json_object_get(found, "figures")) == 0;
    for (size_t i = 0; outcome && i < 3; i++)
        if (!strcmp(outcome, python_outcome_name(ends[i]))) end = ends[i];
    p->level[PICTURE_RUNS] = end == PYTHON_PASS;
    p->level[PICTURE_DRAWS] = p->level[PICTURE_RUNS] && has_artists && is_seen;
    if (p->level[PICTURE_MATCHES] != PICTURE_UNJUDGED) p->level[PICTURE_MATCHES] = p->level[PICTURE_DRAWS] && json_array_size(wrong) == 0;
    if (end != PYTHON_PASS) say(p, end, "%s", detail ? detail : "");
    else if (!p->level[PICTURE_DRAWS]) say_nothing(p);
    else if (!p->level[PICTURE_MATCHES]) say(p, PYTHON_FAIL, "%s", json_array_size(wrong) && json_is_string(json_array_get(wrong, 0)) ? json_string_value(json_array_get(wrong, 0)) : "");
    else say(p, PYTHON_PASS, "%s", "");
}

static sc_status run_python(struct eval_program *p, const struct picture_run *x, sc_error *err)
{
    static const char *const keep[] = { "out", NULL };
    const char *const argv[] = { sandbox_tool(x->sandbox, "python3-libraries"), "-s", "-B", "draw.py", NULL };
    const struct sandbox_file files[] = { { "draw.py", eval_draw, eval_draw_bytes }, { "program.py", json_string_value(p->source), json_string_length(p->source) } };
    struct sandbox_carry carry = { 0 };
    struct sandbox_result r;
    char nonce[33], *order = make_order(x->document, nonce);
    bool is_seen = false;
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = 2, .environment = environment, .tools = python_tools, .input = order, .input_len = strlen(order), .from = x->fonts && x->fonts->is_held ? x->fonts : NULL,
        .to = &carry, .keep = keep, .limits = { .wall = x->seconds > 0 ? x->seconds : SECONDS, .has_wide_addresses = true, .output_kept = VERDICT_KEPT, .file_bytes = CARRIED } };
    sc_status status = sandbox_run(&r, x->sandbox, &job, err);
    free(order);
    TRY(status);
    json_t *found = has_ended_badly(p, &r) ? NULL : read_verdict(&r, nonce);
    if (!found && r.outcome == SANDBOX_EXITED) {
        char how[40] = "";
        if (r.code > 128) snprintf(how, sizeof how, ", as by signal %d", r.code - 128);       /* a shell stands between */
        say(p, PYTHON_ERROR, "the program ended (exit code %d%s) before anybody could look at what it drew", r.code, how);
    }
    if (carry.is_held) status = collect(&is_seen, p, x->sandbox, &carry, "/tmp/job/out", NULL, err);
    if (found && p->outcome != PYTHON_SETUP) take_verdict(p, found, is_seen);
    json_decref(found);
    sandbox_carry_release(&carry);
    sandbox_result_release(&r);
    return status;
}

/* ---- TikZ and SVG --------------------------------------------------------------------------------------------------------------------------- */

/* Stands in for the class of that name, which small installations lack: the page is as large as what is drawn on it. */
static const char standalone[] =
    "\\NeedsTeXFormat{LaTeX2e}\n\\ProvidesClass{standalone}\n\\DeclareOption{tikz}{\\AtEndOfClass{\\RequirePackage{tikz}}}\n\\DeclareOption*{}\n\\ProcessOptions\\relax\n\\LoadClass{article}\n\\pagestyle{empty}\n"
    "\\newsavebox\\pictureofpage\n\\AddToHook{begindocument/end}{\\setbox\\pictureofpage\\hbox\\bgroup\\color@setgroup\\ignorespaces}\n"
    "\\AddToHook{enddocument}{\\unskip\\color@endgroup\\egroup\\pdfhorigin=5bp\\pdfvorigin=5bp\\hoffset=0pt\\voffset=0pt\\pdfpagewidth=\\dimexpr\\wd\\pictureofpage+10bp\\relax\n"
    "\\pdfpageheight=\\dimexpr\\ht\\pictureofpage+\\dp\\pictureofpage+10bp\\relax\\shipout\\vbox{\\box\\pictureofpage}}\n";

static void tex_error(char *out, size_t bytes, const struct buf *b)
{
    const char *at = b->data ? memmem(b->data, b->len, "\n! ", 3) : NULL;
    snprintf(out, bytes, "%.*s", at ? (int)strcspn(at + 3, "\r\n") : 0, at ? at + 3 : "");
}

/* *is_good: there is a PDF in *to. */
static sc_status compile_tex(bool *is_good, struct sandbox_carry *to, struct eval_program *p, struct sandbox *s, sc_error *err)
{
    static const char *const keep[] = { "picture.pdf", NULL }, *const home[] = { "TEXMFVAR=/tmp/texmf", "max_print_line=400", NULL };
    const char *const argv[] = { sandbox_tool(s, "pdflatex"), "-progname=pdflatex", "-fmt=pdflatex", "-interaction=nonstopmode", "-halt-on-error", "-no-shell-escape", "picture.tex", NULL };
    struct buf text;
    struct sandbox_result r;
    buf_init(&text, 0);
    picture_document(&text, json_string_value(p->source), json_string_length(p->source));
    const struct sandbox_file files[] = { { "picture.tex", text.data, text.len }, { "standalone.cls", standalone, sizeof standalone - 1 } };
    const struct sandbox_job job = { .argv = argv, .files = files, .n_files = 2, .environment = home, .tools = tex_tools, .to = to, .keep = keep, .limits = { .wall = TEX_SECONDS, .output_kept = VERDICT_KEPT } };
    sc_status status = sandbox_run(&r, s, &job, err);
    buf_release(&text);
    TRY(status);
    *is_good = !has_ended_badly(p, &r) && r.code == 0;
    if (r.outcome == SANDBOX_EXITED && r.code != 0) {
        char line[160];
        tex_error(line, sizeof line, &r.output);
        say(p, PYTHON_ERROR, "%s", *line ? line : "LaTeX stopped");
    }
    sandbox_result_release(&r);
    return SC_OK;
}

static sc_status paint_pdf(struct sandbox_carry *to, struct sandbox *s, const struct sandbox_carry *from, sc_error *err)
{
    static const char *const keep[] = { "picture.png", NULL };
    const char *const argv[] = { sandbox_tool(s, "pdftocairo"), "-png", "-singlefile", "-scale-to", "800", "picture.pdf", "picture", NULL };
    const struct sandbox_job job = { .argv = argv, .tools = image_tools, .from = from, .to = to, .keep = keep, .limits = { .wall = COLLECT_SECONDS } };
    struct sandbox_result r;
    TRY(sandbox_run(&r, s, &job, err));
    sandbox_result_release(&r);
    return SC_OK;
}

/* No TeX here is no fault of the answer. */
static sc_status run_tikz(struct eval_program *p, const struct picture_run *x, sc_error *err)
{
    struct sandbox_carry pdf = { 0 }, image = { 0 };
    bool is_good = false, is_seen = false;
    sc_status status = SC_OK;
    if (!sandbox_tool(x->sandbox, "pdflatex") || !sandbox_tool(x->sandbox, "pdftocairo")) {
        for (int i = 0; i < PICTURE_LEVELS; i++) p->level[i] = PICTURE_UNJUDGED;
        say(p, PYTHON_SKIPPED, "not judged: %s is not installed here (apt install texlive-latex-base texlive-pictures poppler-utils)", sandbox_tool(x->sandbox, "pdflatex") ? "pdftocairo" : "pdflatex");
        return SC_OK;
    }
    TRY_DONE(compile_tex(&is_good, &pdf, p, x->sandbox, err));
    if (!is_good) goto done;
    p->level[PICTURE_RUNS] = 1;
    TRY_DONE(paint_pdf(&image, x->sandbox, &pdf, err));
    if (image.is_held) TRY_DONE(collect(&is_seen, p, x->sandbox, &image, "/tmp/job", NULL, err));
    p->level[PICTURE_DRAWS] = is_seen;
    if (p->outcome == PYTHON_SETUP) goto done;
    if (is_seen) say(p, PYTHON_PASS, "%s", "");
    else say_nothing(p);
done:
    sandbox_carry_release(&pdf);
    sandbox_carry_release(&image);
    return status;
}

static sc_status run_svg(struct eval_program *p, const struct picture_run *x, sc_error *err)
{
    const struct sandbox_file file = { "answer.svg", json_string_value(p->source), json_string_length(p->source) };
    bool is_seen = false;
    TRY(collect(&is_seen, p, x->sandbox, NULL, "/tmp/job", &file, err));
    const char *refused = json_string_value(json_object_get(json_array_get(p->pictures, 0), "refused"));
    p->level[PICTURE_RUNS] = json_array_size(p->pictures) && !refused;
    p->level[PICTURE_DRAWS] = is_seen;
    if (p->outcome == PYTHON_SETUP) return SC_OK;
    if (!p->level[PICTURE_RUNS]) say(p, PYTHON_SYNTAX, "the SVG cannot be shown: %s", refused ? refused : "it could not be read");
    else if (!is_seen) say_nothing(p);
    else say(p, PYTHON_PASS, "%s", "");
    return SC_OK;
}

/* ---- all ------------------------------------------------------------------------------------------------------------------------------------------- */

sc_status picture_source(struct eval_program *p, const json_t *document, sc_error *err)
{
    enum picture_form asked = PICTURE_PYTHON;
    struct span_text code;
    if (!form_of(&asked, document)) return FAIL(err, SC_E_FORMAT, "a document of pictures has no \"draws\" that is python, tikz or svg");
    p->form = picture_answer(&code, json_string_value(p->answer), json_string_length(p->answer), asked);
    p->source = json_stringn(code.at, code.len);
    p->pictures = json_array();
    p->level[PICTURE_RUNS] = p->level[PICTURE_DRAWS] = 0;
    p->level[PICTURE_MATCHES] = json_array_size(json_object_get(document, "checks")) ? 0 : PICTURE_UNJUDGED;
    return SC_OK;
}

sc_status picture_judge(struct eval_program *p, const struct picture_run *x, sc_error *err)
{
    static sc_status (*const runs[])(struct eval_program *, const struct picture_run *, sc_error *) = { run_python, run_tikz, run_svg };       /* ORDER picture_form */
    return runs[p->form](p, x, err);
}

json_t *picture_record(const struct eval_program *p)
{
    static const char *const names[] = { "runs", "draws", "matches" };         /* ORDER picture_level */
    json_t *out = json_pack("{s:s, s:O}", "form", form_names[p->form], "pictures", p->pictures);
    for (int i = 0; i < PICTURE_LEVELS; i++) json_object_set_new(out, names[i], p->level[i] == PICTURE_UNJUDGED ? json_null() : json_boolean(p->level[i]));
    return out;
}

/* ---- how the model is asked ---------------------------------------------------------------------------------------------------------------------------- */

/* As a message of its chat template; a model without one continues a text in which the block of code has begun. */
void picture_open_fences(struct eval_task_run *k, const sc_model *m)
{
    static const char *const fences[] = { "python", "latex", "svg" };          /* ORDER picture_form */
    for (size_t i = 0; i < k->n_asks && !m->has_template; i++) {
        enum picture_form form = PICTURE_PYTHON;
        struct buf text;
        if (!form_of(&form, k->documents.at[k->ask[i].document])) continue;    /* picture_open says so */
        buf_init(&text, 0);
        buf_printf(&text, "%s\n\n```%s\n", k->ask[i].context[0].text, fences[form]);
        mem_free(k->ask[i].context[0].text);
        k->ask[i].context[0].text = mem_strndup(text.data, text.len);
        buf_release(&text);
    }
}

const char *picture_asked(const sc_model *m) { return m->has_template ? "in the model's chat template" : "as text that ends with an opened block of code"; }

sc_status picture_prompt(struct eval_prompt *p, const sc_model *m, const struct eval_ask *a, sc_error *err)
{
    static char end[] = "\n```", *ends[] = { end };
    const sc_message message = { .role = "user", .content = a->context[0].text };
    sc_tokens tokens = { 0 };
    if (!m->has_template) { p->until = (struct strings){ ends, 1 }; return SC_OK; }
    TRY(sc_encode_chat(&tokens, m, &message, 1, err));
    sc_tokens_free(&p->tokens);
    p->tokens = tokens;
    return SC_OK;
}
