/* test_eval.c - the parts of evaluation that have a reference: random draws, BLEU and ROUGE, filters, metrics; and files of tasks, good and bad. */
#include "test.h"

#include "eval/eval_internal.h"

static json_t *golden(const char *name)
{
    json_t *out = NULL;
    CHECK_OK(json_read_file(&out, test_path(name), 64 << 20, err));
    return out;
}

TEST(draws_are_those_of_cpython)
{
    json_t *g = golden("tests/golden/eval/text_scores.json"), *one;
    size_t i;
    json_array_foreach(json_object_get(g, "samples"), i, one) {
        struct python_random r;
        size_t n = (size_t)json_integer_value(json_object_get(one, "n")), k = (size_t)json_integer_value(json_object_get(one, "k")), *found = mem_zero(k + 1, sizeof *found);
        python_random_seed(&r, (uint64_t)json_integer_value(json_object_get(one, "seed")));
        for (size_t d = 0; d < 3; d++) {
            python_random_sample(found, &r, n, k);
            for (size_t j = 0; j < k; j++) CHECK_INT(found[j], json_integer_value(json_array_get(json_array_get(json_object_get(one, "draws"), d), j)));
        }
        uint32_t a = python_random_u32(&r) >> 5, b = python_random_u32(&r) >> 6;
        CHECK(((double)a * 67108864.0 + (double)b) / 9007199254740992.0 == json_real_value(json_object_get(one, "unit")));
        mem_free(found);
    }
    json_decref(g);
}

TEST(likeness_is_that_of_sacrebleu_and_rouge_score)
{
    json_t *g = golden("tests/golden/eval/text_scores.json"), *one;
    size_t i;
    json_array_foreach(json_object_get(g, "pairs"), i, one) {
        const json_t *t = json_object_get(one, "text"), *r = json_object_get(one, "reference"), *rouge = json_object_get(one, "rouge");
        double bleu = text_bleu(json_string_value(t), json_string_length(t), json_string_value(r), json_string_length(r));
        struct rouge found = text_rouge(json_string_value(t), json_string_length(t), json_string_value(r), json_string_length(r));
        if (fabs(bleu - json_number_value(json_object_get(one, "bleu"))) > 1e-9) test_failed(__FILE__, __LINE__, "BLEU of pair %zu is %.12g, expected %.12g: %s | %s", i, bleu, json_number_value(json_object_get(one, "bleu")), json_string_value(t), json_string_value(r));
        double wanted[3] = { json_number_value(json_array_get(rouge, 0)), json_number_value(json_array_get(rouge, 1)), json_number_value(json_array_get(rouge, 2)) };
        if (fabs(found.one - wanted[0]) > 1e-9 || fabs(found.two - wanted[1]) > 1e-9 || fabs(found.lsum - wanted[2]) > 1e-9)
            test_failed(__FILE__, __LINE__, "ROUGE of pair %zu is %.9g %.9g %.9g, expected %.9g %.9g %.9g: %s | %s", i, found.one, found.two, found.lsum, wanted[0], wanted[1], wanted[2], json_string_value(t), json_string_value(r));
    }
    json_decref(g);
}

static const char *filtered(const char *steps, const char *text)
{
    static char out[200];
    json_t *s = json_loads(steps, 0, NULL);
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, "");
    CHECK_OK(eval_filter_check(s, "test", err));
    eval_filter_run(&b, s, text, strlen(text));
    json_decref(s);
    snprintf(out, sizeof out, "%s", b.data);
    buf_release(&b);
    return out;
}

TEST(filters_find_answers)
{
    static const char strict[] = "[{\"function\":\"regex\",\"regex_pattern\":\"#### (\\\\-?[0-9\\\\.\\\\,]+)\"},{\"function\":\"take_first\"}]";
    static const char flexible[] = "[{\"function\":\"regex\",\"group_select\":-1,\"regex_pattern\":\"(-?[$0-9.,]{2,})|(-?[0-9]+)\"},{\"function\":\"take_first\"}]";
    CHECK_STR(filtered(strict, "So 3 + 4 = 7.\n#### 7\n#### 8"), "7");
    CHECK_STR(filtered(strict, "no number"), "[invalid]");
    CHECK_STR(filtered(flexible, "It costs $1,200 or 5 of them"), "5");
    CHECK_STR(filtered(flexible, "It costs $1,200."), "$1,200.");
    CHECK_STR(filtered(flexible, ""), "[invalid]");
    CHECK_STR(filtered("[{\"function\":\"remove_whitespace\"},{\"function\":\"uppercase\"}]", "  straße x "), "STRASSE X ");
    json_t *bad = json_loads("[{\"function\":\"map\"}]", 0, NULL);
    CHECK_FAILS(eval_filter_check(bad, "my.yaml", err), SC_E_FORMAT, "my.yaml: there is no filter function \"map\"");
    json_decref(bad);
}

/* ---- tasks --------------------------------------------------------------------------------------------------------------------------- */

#define HEAD "task: t\noutput_type: multiple_choice\nfiles: { test: [t.jsonl] }\n"
#define BODY "doc_to_text: '{{ q }}'\ndoc_to_target: '{{ a }}'\ndoc_to_choice: [x, y]\nmetric_list: [acc]\n"

static sc_status parse(const char *text, sc_error *err)
{
    struct eval_tasks t = { 0 };
    sc_status status = eval_tasks_parse(&t, text, strlen(text), "my.yaml", err);
    eval_tasks_release(&t);
    return status;
}

TEST(bad_tasks_are_refused_in_a_sentence)
{
    CHECK_OK(parse(HEAD BODY, err));
    CHECK_FAILS(parse(HEAD BODY "doc_to_txt: x\n", err), SC_E_FORMAT, "did you mean \"doc_to_text\"");
    CHECK_FAILS(parse(HEAD "doc_to_text: x\n", err), SC_E_FORMAT, "has no \"metric_list\"");
    CHECK_FAILS(parse("output_type: multiple_choice\n" BODY, err), SC_E_FORMAT, "no \"task\"");
    CHECK_FAILS(parse(HEAD BODY "num_fewshot: -3\n", err), SC_E_FORMAT, "\"num_fewshot\" is -3");
    CHECK_FAILS(parse("task: t\noutput_type: essay\n" BODY, err), SC_E_FORMAT, "one of multiple_choice");
    CHECK_FAILS(parse(HEAD "doc_to_text: '{{ q'\n", err), SC_E_FORMAT, "doc_to_text");
    CHECK_FAILS(parse(HEAD "doc_to_text: x\ndoc_to_target: y\ndoc_to_choice: '{{ c }}'\nmetric_list: [acc]\n", err), SC_E_FORMAT, "tojson");
    CHECK_FAILS(parse(HEAD BODY "process_docs: none_such\n", err), SC_E_FORMAT, "one of pages");
    CHECK_FAILS(parse("task: t\nfiles: { tset: [x] }\n" BODY, err), SC_E_FORMAT, "one of train");
    CHECK_FAILS(parse("task: t\noutput_type: multiple_choice\nfiles: { train: [x] }\n" BODY, err), SC_E_FORMAT, "names no files");
    CHECK_FAILS(parse("- a\n", err), SC_E_FORMAT, "is no task");
    CHECK_FAILS(parse("each: 3\n" HEAD BODY, err), SC_E_FORMAT, "\"each\" is no list");
    CHECK_FAILS(parse("suite: s\ntasks: 4\n", err), SC_E_FORMAT, "a suite has the keys");
}

TEST(built_in_tasks_and_groups_are_found)
{
    struct eval_tasks all = { 0 };
    struct eval_selection s;
    CHECK_OK(eval_tasks_builtin(&all, err));
    CHECK_OK(eval_select(&s, &all, "mmlu", err));
    CHECK_INT(s.n, 57);
    eval_selection_release(&s);
    CHECK_OK(eval_select(&s, &all, "mmlu_stem,mmlu_anatomy,arc_easy", err));
    CHECK_INT(s.n, 20);
    eval_selection_release(&s);
    CHECK_OK(eval_select(&s, &all, "openllm", err));
    CHECK_INT(s.at[0].shots, 25);
    CHECK_INT(s.at[0].split, SPLIT_TRAIN);
    eval_selection_release(&s);
    CHECK_FAILS(eval_select(&s, &all, "hellaswagg", err), SC_E_ARGUMENT, "did you mean hellaswag");
    CHECK_FAILS(eval_select(&s, &all, "", err), SC_E_ARGUMENT, "no task is named");
    CHECK_FAILS(eval_select(&s, &all, "nowhere.yaml", err), SC_E_IO, "nowhere.yaml");
    eval_tasks_release(&all);
}
