/* report.c - a run's directory as a page for a browser, or as a summary in Markdown. */
#include "report.h"

#include <stdlib.h>
#include <string.h>

enum { JSON_MAX = 256 << 20 };

static sc_status read_object(json_t **out, const char *directory, const char *name, sc_error *err)
{
    char *path = path_join(directory, name);
    sc_status status = SC_OK;
    *out = NULL;
    if (path_exists(path)) {
        status = json_read_file(out, path, JSON_MAX, err);
        if (status == SC_OK && !json_is_object(*out)) status = FAIL(err, SC_E_FORMAT, "%s is no JSON object; is it of a run of `starchat judge run`?", path);
    }
    mem_free(path);
    return status;
}

static sc_status read_lists(struct report *r, sc_error *err)
{
    char *prompts = path_join(r->directory, "prompts.jsonl"), *answers = path_join(r->directory, "answers.jsonl");
    sc_status status = path_exists(prompts) ? judge_prompts_read(&r->prompts, prompts, err) : SC_OK;
    if (status == SC_OK && path_exists(answers)) status = judge_answers_read(&r->answers, answers, NULL, err);
    if (status == SC_OK) status = judgements_read(&r->judgements, r->directory, &r->answers, NULL, err);
    mem_free(prompts);
    mem_free(answers);
    return status;
}

/* What the page shows of a file that somebody else may have written: lists of objects, of texts where is_text. */
static const struct { const char *file, *key; bool is_text, is_optional; } parts[] = {
    { "audit.json", "judges", false, false }, { "audit.json", "agreement", false, false }, { "verdict.json", "models", true, false }, { "verdict.json", "pairs", false, false },
    { "verdict.json", "ratings", false, false }, { "verdict.json", "scores", false, false }, { "verdict.json", "notes", true, true },
};

/* Takes out what nothing can be made of, and says so. */
static void clean(json_t *odd, const char *file, json_t *whole)
{
    for (size_t i = 0; whole && i < sizeof parts / sizeof *parts; i++) {
        json_t *part = json_object_get(whole, parts[i].key);
        size_t n = 0;
        if (strcmp(parts[i].file, file) != 0 || (!part && parts[i].is_optional)) continue;
        if (!part) json_array_append_new(odd, json_sprintf("%s has no \"%s\", so this part cannot be shown.", file, parts[i].key));
        else if (!json_is_array(part)) json_array_append_new(odd, json_sprintf("\"%s\" of %s is %s, expected a list, so this part cannot be shown.", parts[i].key, file, json_type_words(part)));
        if (!json_is_array(part)) {
            json_object_del(whole, parts[i].key);
            continue;
        }
        for (size_t k = json_array_size(part); k-- > 0;) {
            const json_t *one = json_array_get(part, k);
            if (parts[i].is_text ? json_is_string(one) : json_is_object(one)) continue;
            json_array_remove(part, k);
            n++;
        }
        if (n) json_array_append_new(odd, json_sprintf("\"%s\" of %s holds %zu of another kind than %s, which %s left out.", parts[i].key, file, n, parts[i].is_text ? "texts" : "objects", n == 1 ? "is" : "are"));
    }
}

/* The number under settings.seed, else 0. */
static uint64_t seed_of(const json_t *run)
{
    const json_t *seed = json_object_get(json_object_get(run, "settings"), "seed");
    return json_is_integer(seed) && json_integer_value(seed) > 0 ? (uint64_t)json_integer_value(seed) : 0;
}

sc_status report_open(struct report *out, const char *directory, sc_error *err)
{
    sc_status status = SC_OK;
    char *lines = path_join(directory, "judgements.jsonl");
    char *whole = realpath(directory, NULL);                   /* its last name is the title, also of "." */
    sc_error why = { 0 };
    *out = (struct report){ .directory = whole ? whole : mem_strdup(directory), .odd = json_array() };
    if (!path_is_directory(directory)) TRY_DONE(FAIL(err, SC_E_IO, "%s is no directory; expected one that `starchat judge run --out DIR` wrote", directory));
    if (!path_exists(lines)) TRY_DONE(FAIL(err, SC_E_IO, "%s has no judgements.jsonl; expected a directory that `starchat judge run --out DIR` wrote", directory));
    TRY_DONE(read_object(&out->run, directory, "run.json", err));
    TRY_DONE(read_object(&out->audit, directory, "audit.json", err));
    TRY_DONE(read_object(&out->verdict, directory, "verdict.json", err));
    TRY_DONE(read_lists(out, err));
    clean(out->odd, "audit.json", out->audit);
    clean(out->odd, "verdict.json", out->verdict);
    if (!out->run) out->run = json_object();
    if (!out->audit) TRY_DONE(judge_audit(&out->audit, &out->judgements, seed_of(out->run), err));
    if (!out->verdict) status = judge_verdict(&out->verdict, &out->judgements, out->audit, seed_of(out->run), &why);
    if (status == SC_E_ARGUMENT) {                             /* no judgement has a verdict: the page says why */
        status = SC_OK;
        json_array_append_new(out->odd, json_sprintf("There is no verdict: %s.", why.message));
        out->verdict = json_object();
    }
done:
    mem_free(lines);
    if (status != SC_OK) report_close(out);
    return status;
}

void report_close(struct report *r)
{
    judge_prompts_release(&r->prompts);
    judge_answers_release(&r->answers);
    judgements_release(&r->judgements);
    json_decref(r->run);
    json_decref(r->audit);
    json_decref(r->verdict);
    json_decref(r->odd);
    mem_free(r->directory);
    *r = (struct report){ 0 };
}

sc_status judge_report(const char *directory, const char *out, sc_error *err)
{
    struct report r;
    struct buf text;
    bool is_html = path_ends_with(out, ".html") || path_ends_with(out, ".htm");
    if (!is_html && !path_ends_with(out, ".md")) return FAIL(err, SC_E_ARGUMENT, "%s names no kind of page; let it end with .html or .md", out);
    TRY(report_open(&r, directory, err));
    buf_init(&text, 0);
    if (is_html) report_page(&text, &r);
    else report_summary(&text, &r);
    sc_status status = file_write(out, text.data, text.len, err);
    buf_release(&text);
    report_close(&r);
    return status;
}

sc_status sc_judge_report(const char *directory, const char *out, sc_error *err) { return judge_report(directory, out, err); }
