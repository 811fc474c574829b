/* test_judge_report.c - the data of the page about a run, its escapes, and what is said where files are missing. How it looks and acts: tests/cli/test_judge_report.py. */
#include "judge/report.h"

#include "test.h"

static void put(const char *name, const char *text)
{
    char *path = path_join(test_scratch(), name);
    CHECK_OK(file_write(path, text, strlen(text), err));
    mem_free(path);
}

static char *report_text(const char *name)
{
    char *path = path_join(test_scratch(), name);
    sc_text text = { 0 };
    CHECK_OK(judge_report(test_scratch(), path, err));
    CHECK_OK(file_read(&text, path, 1 << 24, err));
    mem_free(path);
    return text.data;
}

static const char LINES[] =
    "{\"judge\":\"j\",\"protocol\":\"starchat\",\"id\":\"p\",\"turn\":1,\"models\":[\"a\",\"b\"],\"scores\":[8,2],\"winner\":\"A\",\"text\":\"8 2\\n</script><b>\"}\n"
    "{\"judge\":\"j\",\"protocol\":\"starchat\",\"id\":\"p\",\"turn\":1,\"models\":[\"b\",\"a\"],\"scores\":[3,7],\"winner\":\"B\",\"text\":\"3 7 \xE2\x80\xA8\xE2\x80\xA9 &\"}\n"
    "{\"judge\":\"j\",\"protocol\":\"starchat\",\"id\":\"p\",\"turn\":1,\"models\":[\"a\",\"b\"],\"scores\":[1,7],\"winner\":\"B\",\"canary\":\"empty\",\"canary_slot\":0,\"text\":\"1 7\"}\n"
    "{\"judge\":\"j\",\"protocol\":\"starchat\",\"id\":\"q\",\"turn\":1,\"models\":[\"a\",\"b\"],\"error\":\"no numbers\",\"text\":\"hm\"}\n";

static void make_run(void)
{
    put("judgements.jsonl", LINES);
    put("prompts.jsonl", "{\"id\":\"p\",\"slice\":\"instruction\",\"language\":\"c\",\"prompt\":\"Write\",\"reference\":\"R\"}\n");
    put("answers.jsonl", "{\"id\":\"p\",\"model\":\"b\",\"turns\":[\"one\"],\"leaks\":1,\"cut\":0}\n{\"id\":\"p\",\"model\":\"a\",\"turns\":[\"two\"],\"leaks\":0,\"cut\":1}\n{\"id\":\"unjudged\",\"model\":\"a\",\"turns\":[\"x\"]}\n");
    put("run.json", "{\"settings\":{\"seed\":7}}");
}

TEST(data_holds_all)
{
    struct report r;
    make_run();
    CHECK_OK(report_open(&r, test_scratch(), err));
    json_t *d = report_data(&r), *list = json_object_get(d, "judgements"), *first = json_array_get(list, 0), *third = json_array_get(list, 2), *last = json_array_get(list, 3);
    CHECK_INT(json_array_size(list), 4);
    CHECK_INT(json_array_size(json_object_get(d, "prompts")), 2);          /* q is known by its judgement alone */
    CHECK_INT(json_array_size(json_object_get(d, "answers")), 2);
    CHECK_INT(json_integer_value(json_object_get(first, "w")), WINNER_A);
    CHECK_STR(json_string_value(json_object_get(third, "canary")), "empty");
    CHECK_STR(json_string_value(json_object_get(last, "error")), "no numbers");
    CHECK_INT(json_integer_value(json_object_get(last, "w")), WINNER_NONE);
    json_t *models = json_object_get(d, "models"), *m = json_object_get(first, "m");
    CHECK_STR(json_string_value(json_array_get(models, (size_t)json_integer_value(json_array_get(m, 0)))), "a");
    CHECK(json_real_value(json_array_get(json_object_get(json_object_get(d, "ranges"), "starchat"), 1)) == 8);
    CHECK(json_array_size(json_object_get(json_object_get(d, "verdict"), "pairs")) > 0);
    json_decref(d);
    report_close(&r);
}

TEST(page_and_summary)
{
    make_run();
    char *page = report_text("r.html"), *summary = report_text("s.md");
    const char *data = strstr(page, "id=\"data\">"), *end = data ? strstr(data, "</script>") : NULL;
    CHECK(data && end);
    for (const char *c = data + 10; c < end; c++) CHECK(*c != '<' && *c != '>' && *c != '&' && *c != '\xE2');
    CHECK(strstr(data, "\\u003c/script\\u003e\\u003cb\\u003e") != NULL);
    CHECK(strstr(data, "\\u2028\\u2029 \\u0026") != NULL);
    CHECK(strstr(page, "default-src 'none'") != NULL);
    CHECK(strstr(summary, "j, b against a: no verdict: 1 of 3 calls (33.3 %) gave no verdict") == NULL);      /* of few calls none refuses */
    CHECK(strstr(summary, "| j | b | a | 1 | 0 | 0 | 1 | 0.0 % | 0.0 to 79.3 % | 1.0000 | open | 1 |") != NULL);
    CHECK(strstr(summary, "adjusted by Holm for all pairs") && strstr(summary, "j: 1 comparison is incomplete and left out, since one of the orders or answers has no verdict: q."));
    CHECK(strstr(summary, "What is missing") == NULL && strstr(page, "\"odd\":[]") != NULL);
    CHECK(strstr(summary, "<b>") == NULL);
    mem_free(page);
    mem_free(summary);
}

TEST(written_audit_and_verdict_count)
{
    struct report r;
    make_run();
    put("audit.json", "{\"judges\":[{\"judge\":\"mine\"}]}");
    put("verdict.json", "{\"models\":[\"z\"],\"pairs\":[]}");
    CHECK_OK(report_open(&r, test_scratch(), err));
    json_t *d = report_data(&r);
    CHECK_STR(json_string_value(json_object_get(json_array_get(json_object_get(json_object_get(d, "audit"), "judges"), 0), "judge")), "mine");
    CHECK_STR(json_string_value(json_array_get(json_object_get(d, "models"), 0)), "z");
    json_decref(d);
    report_close(&r);
}

TEST(what_is_missing)
{
    char *out = path_join(test_scratch(), "r.html");
    CHECK_FAILS(judge_report("/absent", out, err), SC_E_IO, "/absent is no directory");
    CHECK_FAILS(judge_report(test_scratch(), out, err), SC_E_IO, "has no judgements.jsonl");
    CHECK_FAILS(judge_report(test_scratch(), "r.pdf", err), SC_E_ARGUMENT, "names no kind of page");
    put("judgements.jsonl", LINES);
    CHECK_OK(judge_report(test_scratch(), out, err));
    put("verdict.json", "[1]");
    CHECK_FAILS(judge_report(test_scratch(), out, err), SC_E_FORMAT, "verdict.json is no JSON object");
    mem_free(out);
}

/* Files that others wrote: what can be shown is, and a sentence stands for the rest. */
TEST(any_shape_of_audit_and_verdict)
{
    static const struct { const char *text, *said[4]; } odd[] = {
        { "{}", { "verdict.json has no \\\"pairs\\\"", "audit.json has no \\\"judges\\\"", "verdict.json has no \\\"models\\\"" } },
        { "{\"judges\":3,\"pairs\":{},\"agreement\":\"x\",\"ratings\":[[]],\"models\":7,\"notes\":[1]}",
          { "\\\"pairs\\\" of verdict.json is an object, expected a list", "\\\"judges\\\" of audit.json is a number, expected a list", "\\\"ratings\\\" of verdict.json holds 1 of another kind than objects, which is left out", "\\\"notes\\\" of verdict.json holds 1 of another kind than texts" } },
        { "{\"judges\":[1,null,{}],\"pairs\":[1,{\"withheld\":true}],\"agreement\":[{}],\"ratings\":[{}],\"models\":[1,{}]}",
          { "\\\"judges\\\" of audit.json holds 2 of another kind than objects, which are left out", "\\\"pairs\\\" of verdict.json holds 1 of another kind", "verdict.json has no \\\"scores\\\"" } },
    };
    make_run();
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put("audit.json", odd[i].text);
        put("verdict.json", odd[i].text);
        char *page = report_text("r.html"), *summary = report_text("s.md");
        for (size_t k = 0; k < 4 && odd[i].said[k]; k++)
            if (!strstr(page, odd[i].said[k])) test_failed(__FILE__, __LINE__, "%s: the page does not say %s", odd[i].text, odd[i].said[k]);
        CHECK(strstr(summary, "## What is missing") && strstr(summary, i == 1 ? "of verdict.json is an object, expected a list" : "verdict.json has no"));
        CHECK(strstr(page, "\"judgements\":[{") != NULL);
        mem_free(page);
        mem_free(summary);
    }
}

TEST(no_verdict_is_told)
{
    put("judgements.jsonl", strstr(LINES, "{\"judge\":\"j\",\"protocol\":\"starchat\",\"id\":\"q\""));
    char *page = report_text("r.html"), *summary = report_text("s.md");
    CHECK(strstr(page, "\"odd\":[\"There is no verdict: none of 1 judgements says who is better") != NULL);
    CHECK(strstr(summary, "There is no verdict: none of 1 judgements says who is better") != NULL);
    mem_free(page);
    mem_free(summary);
}
