/* filter_file.c - the file of a filter, in YAML: rules and a classifier. Every mistake in it is told when the server starts. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>
#include <string.h>

#include "serve/filter.h"

enum { FILE_MAX = 1 << 20, WORDS_MAX = 10000, PATTERN_MAX = 1 << 18 };

static sc_status read_action(enum filter_action *out, const json_t *o, const char *what, sc_error *err)
{
    static const char *const names[] = { "flag", "redact", "stop" };         /* ORDER filter_action */
    const char *name;
    TRY(json_opt_string(&name, o, "action", NULL, what, err));
    for (int i = 0; i < 3; i++)
        if (name && strcmp(name, names[i]) == 0) { *out = (enum filter_action)i; return SC_OK; }
    return FAIL(err, SC_E_FORMAT, "%s: \"action\" is \"%.30s\", expected flag, redact or stop", what, name ? name : "missing");
}

static sc_status check_keys(const json_t *o, const char *const *known, const char *what, sc_error *err)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)o, key, v) {
        size_t i = 0;
        while (known[i] && strcmp(known[i], key) != 0) i++;
        if (!known[i]) return FAIL(err, SC_E_FORMAT, "%s: there is no key \"%.40s\" here", what, key);
    }
    return SC_OK;
}

/* Words as one pattern: whole words, in any case. */
static sc_status put_words(struct buf *pattern, const json_t *words, const char *what, sc_error *err)
{
    if (!json_is_array(words) || !json_array_size(words) || json_array_size(words) > WORDS_MAX) return FAIL(err, SC_E_FORMAT, "%s: \"words\" is no list of 1 to %d words", what, WORDS_MAX);
    buf_puts(pattern, "(?i)(?<!\\w)(?:");
    for (size_t i = 0; i < json_array_size(words); i++) {
        const char *w = json_string_value(json_array_get(words, i));
        if (!w || !*w || strstr(w, "\\E")) return FAIL(err, SC_E_FORMAT, "%s: word %zu is empty or no text", what, i + 1);
        buf_printf(pattern, "%s\\Q%s\\E", i ? "|" : "", w);
    }
    buf_puts(pattern, ")(?!\\w)");
    return SC_OK;
}

static sc_status compile(struct filter_rule *r, const struct buf *pattern, const char *what, sc_error *err)
{
    int code;
    size_t at;
    PCRE2_UCHAR reason[120];
    if (pattern->len > PATTERN_MAX) return FAIL(err, SC_E_FORMAT, "%s: the pattern has more than %d bytes", what, PATTERN_MAX);
    pcre2_code *compiled = pcre2_compile((PCRE2_SPTR)pattern->data, pattern->len, PCRE2_UTF | PCRE2_UCP | PCRE2_NEVER_BACKSLASH_C, &code, &at, NULL);
    if (!compiled) {
        pcre2_get_error_message(code, reason, sizeof reason);
        return FAIL(err, SC_E_FORMAT, "%s: the pattern is wrong at character %zu: %s", what, at, (const char *)reason);
    }
    r->code = (struct pcre2_real_code_8 *)compiled;
    (void)pcre2_jit_compile(compiled, PCRE2_JIT_COMPLETE | PCRE2_JIT_PARTIAL_HARD);     /* slower without, the same results */
    uint32_t behind = 0;
    pcre2_pattern_info(compiled, PCRE2_INFO_MAXLOOKBEHIND, &behind);
    return behind <= 16 ? SC_OK : FAIL(err, SC_E_UNSUPPORTED, "%s: the pattern looks back over %u characters, expected at most 16", what, behind);
}

static char *copy_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? mem_strdup(text) : NULL;
}

static sc_status read_rule(struct filter_rule *r, const json_t *o, const char *file, size_t number, sc_error *err)
{
    static const char *const known[] = { "name", "pattern", "words", "action", "replace", "message", "on", NULL };
    char what[160];
    const char *pattern, *on;
    snprintf(what, sizeof what, "%.120s, rule %zu", file, number);
    if (!json_is_object(o)) return FAIL(err, SC_E_FORMAT, "%s is no map of keys", what);
    TRY(check_keys(o, known, what, err));
    TRY(read_action(&r->action, o, what, err));
    TRY(json_opt_string(&pattern, o, "pattern", NULL, what, err));
    TRY(json_opt_string(&on, o, "on", "answers", what, err));
    const json_t *words = json_object_get(o, "words");
    if (!pattern == !words) return FAIL(err, SC_E_FORMAT, "%s: expected either \"pattern\" or \"words\"", what);
    r->of_prompts = strcmp(on, "prompts") == 0 || strcmp(on, "both") == 0;
    r->of_answers = strcmp(on, "answers") == 0 || strcmp(on, "both") == 0;
    if (!r->of_prompts && !r->of_answers) return FAIL(err, SC_E_FORMAT, "%s: \"on\" is \"%.30s\", expected answers, prompts or both", what, on);
    r->name = copy_of(o, "name");
    if (!r->name) { r->name = mem_alloc(32); snprintf(r->name, 32, "rule-%zu", number); }
    r->replace = json_object_get(o, "replace") ? copy_of(o, "replace") : mem_strdup("[removed]");
    r->message = copy_of(o, "message");
    struct buf text;
    buf_init(&text, 0);
    sc_status status = SC_OK;
    if (words) status = put_words(&text, words, what, err);
    else buf_puts(&text, pattern);
    if (status == SC_OK) status = compile(r, &text, what, err);
    buf_release(&text);
    return status;
}

static sc_status read_classifier(struct filter_classifier *c, const json_t *o, const char *file, sc_error *err)
{
    static const char *const known[] = { "model", "prompt", "yes", "no", "threshold", "every", "action", "message", NULL };
    char what[160];
    snprintf(what, sizeof what, "%.120s, classifier", file);
    if (!json_is_object(o)) return FAIL(err, SC_E_FORMAT, "%s is no map of keys", what);
    TRY(check_keys(o, known, what, err));
    TRY(read_action(&c->action, o, what, err));
    if (c->action == FILTER_REDACT) return FAIL(err, SC_E_FORMAT, "%s: \"action\" is \"redact\", but a classifier names no place to redact; expected flag or stop", what);
    TRY(json_opt_real(&c->threshold, o, "threshold", 0.5, 0, 1, what, err));
    TRY(json_opt_int(&c->every, o, "every", 400, 1, 1 << 20, what, err));
    c->model = json_object_get(o, "model") ? copy_of(o, "model") : mem_strdup("");
    c->prompt = copy_of(o, "prompt");
    c->yes = json_object_get(o, "yes") ? copy_of(o, "yes") : mem_strdup("Yes");
    c->no = json_object_get(o, "no") ? copy_of(o, "no") : mem_strdup("No");
    c->message = copy_of(o, "message");
    if (!c->model || !c->yes || !c->no) return FAIL(err, SC_E_FORMAT, "%s: \"model\", \"yes\" or \"no\" is no text", what);
    if (!c->prompt || !strstr(c->prompt, "{text}")) return FAIL(err, SC_E_FORMAT, "%s: \"prompt\" is missing or does not hold {text}", what);
    return SC_OK;
}

sc_status filter_read(struct filter **out, const char *text, size_t len, const char *what, sc_error *err)
{
    static const char *const known[] = { "rules", "classifier", NULL };
    json_t *o = NULL;
    sc_status status = SC_OK;
    struct filter *f = mem_zero(1, sizeof *f);
    *out = NULL;
    TRY_DONE(yaml_read(&o, NULL, text, len, what, err));
    if (!json_is_object(o)) TRY_DONE(FAIL(err, SC_E_FORMAT, "%s: expected \"rules:\" and \"classifier:\"", what));
    TRY_DONE(check_keys(o, known, what, err));
    const json_t *rules = json_object_get(o, "rules"), *classifier = json_object_get(o, "classifier");
    if (rules && !json_is_array(rules)) TRY_DONE(FAIL(err, SC_E_FORMAT, "%s: \"rules\" is no list", what));
    if (json_array_size(rules) > FILTER_RULES_MAX) TRY_DONE(FAIL(err, SC_E_FORMAT, "%s: there are more than %d rules", what, FILTER_RULES_MAX));
    f->rules = mem_zero(json_array_size(rules) + 1, sizeof *f->rules);
    for (size_t i = 0; i < json_array_size(rules); i++) {
        f->n_rules++;
        TRY_DONE(read_rule(&f->rules[i], json_array_get(rules, i), what, i + 1, err));
    }
    if (classifier) TRY_DONE(read_classifier(&f->classifier, classifier, what, err));
    if (!f->n_rules && !classifier) TRY_DONE(FAIL(err, SC_E_FORMAT, "%s has neither rules nor a classifier", what));
    *out = f;
    json_decref(o);
    return SC_OK;
done:
    json_decref(o);
    filter_close(f);
    return status;
}

sc_status filter_open(struct filter **out, const char *path, sc_error *err)
{
    sc_text text = { 0 };
    *out = NULL;
    TRY(file_read(&text, path, FILE_MAX, err));
    sc_status status = filter_read(out, text.data, text.len, path, err);
    sc_text_free(&text);
    return status;
}

void filter_close(struct filter *f)
{
    if (!f) return;
    for (size_t i = 0; i < f->n_rules; i++) {
        mem_free(f->rules[i].name);
        mem_free(f->rules[i].replace);
        mem_free(f->rules[i].message);
        pcre2_code_free((pcre2_code *)f->rules[i].code);
    }
    mem_free(f->rules);
    mem_free(f->classifier.model);
    mem_free(f->classifier.prompt);
    mem_free(f->classifier.yes);
    mem_free(f->classifier.no);
    mem_free(f->classifier.message);
    mem_free(f);
}
