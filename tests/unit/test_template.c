/* Chat templates: renderings that Jinja2 in transformers' environment gave (tests/golden/templates/cases.jsonl, made by
 * tools/oracle/template_golden.py), byte for byte, with errors as errors; and the limits and messages of the interpreter.
 * STARCHAT_GOLDEN_TEMPLATES names another file of cases; then every difference is printed as a line of JSON. */
#include "test.h"
#include "text/text.h"

enum { NOW = 1722001509 };                   /* 2024-07-26 13:45:09 */
static const char *const trusted_names[] = { "bos_token", "eos_token", NULL };

/* ---- golden renderings ------------------------------------------------------------------------------------------------ */

struct golden { const char *path; json_t *sets; FILE *differences; size_t n, n_errors, n_free, n_different; };

static json_t *member_copy(const json_t *j, const char *key) { return json_incref(json_object_get(j, key)); }

/* The default variables with those of the case over them, or one of the named sets. */
static json_t *case_variables(const struct golden *g, const json_t *j)
{
    const json_t *own = json_object_get(j, "variables");
    if (!own) return member_copy(g->sets, json_string_value(json_object_get(j, "with")));
    json_t *all = json_copy(json_object_get(g->sets, "default"));
    json_object_update(all, (json_t *)(uintptr_t)own);
    return all;
}

static void case_source(sc_text *out, const json_t *j)
{
    const json_t *text = json_object_get(j, "template");
    if (text) {
        out->len = json_string_length(text);
        out->data = mem_strndup(json_string_value(text), out->len);
        return;
    }
    char relative[128];
    snprintf(relative, sizeof relative, "tests/golden/templates/%s", json_string_value(json_object_get(j, "file")));
    const char *path = test_path(relative);
    CHECK(path != NULL);
    CHECK_OK(file_read(out, path, 1 << 20, err));
}

static void report(struct golden *g, const json_t *j, const sc_text *source, const struct rendered *found, const sc_error *failure)
{
    json_t *line = json_object();
    json_object_set(line, "id", json_object_get(j, "id"));
    json_object_set_new(line, "template", json_stringn(source->data, source->len));
    if (json_object_get(j, "with")) json_object_set(line, "with", json_object_get(j, "with"));
    else json_object_set(line, "variables", json_object_get(j, "variables"));
    json_object_set_new(line, "expected", json_object_get(j, "error") ? json_string("(an error)") : member_copy(j, "text"));
    if (found) json_object_set_new(line, "found", json_stringn_nocheck(found->text.data, found->text.len));
    else json_object_set_new(line, "found_error", json_string(failure->message));
    g->n_different++;
    if (g->differences || g->n_different <= 10) {
        json_dumpf(line, g->differences ? g->differences : stderr, JSON_COMPACT);
        fputc('\n', g->differences ? g->differences : stderr);
    }
    json_decref(line);
}

/* One sentence: no line break, no full stop and more text behind it; a status of its kind. */
static bool is_sentence(const sc_error *e)
{
    size_t len = strlen(e->message);
    return len > 8 && !strchr(e->message, '\n') && e->message[len - 1] != '.' && utf8_is_valid(e->message, len)
        && (e->status == SC_E_FORMAT || e->status == SC_E_ARGUMENT || e->status == SC_E_UNSUPPORTED || e->status == SC_E_MEMORY);
}

static void check_case(struct golden *g, const json_t *j)
{
    struct jinja *t = NULL;
    struct rendered found = { 0 };
    sc_text source = { 0 };
    sc_error e = { 0 };
    json_t *variables = case_variables(g, j);
    const json_t *text = json_object_get(j, "text"), *says = json_object_get(j, "says");
    CHECK(variables != NULL);
    case_source(&source, j);
    sc_status status = jinja_compile(&t, source.data, source.len, "t.jinja", &e);
    if (status == SC_OK) status = jinja_render(&found, t, variables, NOW, trusted_names, &e);
    bool is_unsupported = json_is_true(json_object_get(j, "unsupported")), is_free = is_unsupported || json_is_true(json_object_get(j, "may_fail"));
    bool is_same = status != SC_OK ? (says || is_sentence(&e)) && (!text || is_free) : text && !is_unsupported && found.text.len == json_string_length(text)
        && (!found.text.len || memcmp(found.text.data, json_string_value(text), found.text.len) == 0);
    if (is_same && status != SC_OK && says) is_same = strstr(e.message, json_string_value(says)) != NULL;
    if (!is_same) report(g, j, &source, status == SC_OK ? &found : NULL, &e);
    g->n++;
    g->n_errors += !text;
    g->n_free += is_free && text && status != SC_OK;
    rendered_release(&found);
    jinja_free(t);
    sc_text_free(&source);
    json_decref(variables);
}

static void check_file(struct golden *g)
{
    FILE *f = fopen(g->path, "r");
    char *line = NULL;
    size_t cap = 0;
    CHECK(f != NULL);
    for (ssize_t len; (len = getline(&line, &cap, f)) > 0; ) {
        json_t *j = NULL;
        CHECK_OK(json_read(&j, line, (size_t)len, g->path, err));
        if (!g->sets) g->sets = member_copy(j, "sets");
        else check_case(g, j);
        json_decref(j);
    }
    free(line);
    fclose(f);
    json_decref(g->sets);
}

TEST(golden)
{
    const char *other = getenv("STARCHAT_GOLDEN_TEMPLATES");
    struct golden g = { .path = other ? other : test_path("tests/golden/templates/cases.jsonl"), .differences = other ? stdout : NULL };
    CHECK(g.path != NULL);
    check_file(&g);
    printf("%zu renderings, %zu of them errors, %zu refused because they are not supported, %zu different\n", g.n, g.n_errors, g.n_free, g.n_different);
    CHECK_INT(g.n_different, 0);
    if (!other) CHECK(g.n >= 1930);
}
