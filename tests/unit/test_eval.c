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
    CHECK_FAILS(parse(HEAD BODY "process_docs: none_such\n", err), SC_E_FORMAT, "one of dialogues pages");
    CHECK_FAILS(parse("task: t\nfiles: { tset: [x] }\n" BODY, err), SC_E_FORMAT, "one of train");
    CHECK_FAILS(parse("task: t\noutput_type: multiple_choice\nfiles: { train: [x] }\n" BODY, err), SC_E_FORMAT, "names no files");
    CHECK_OK(parse(HEAD BODY "gen_prefix: 'x '\nchat: { doc_to_text: y, gen_prefix: z }\n", err));
    CHECK_FAILS(parse(HEAD BODY "chat: { doc_to_target: y }\n", err), SC_E_FORMAT, "expected doc_to_text and gen_prefix");
    CHECK_FAILS(parse(HEAD BODY "gen_prefix: 3\n", err), SC_E_FORMAT, "\"gen_prefix\" is 3");
    CHECK_FAILS(parse("- a\n", err), SC_E_FORMAT, "is no task");
    CHECK_FAILS(parse("each: [3]\n" HEAD BODY, err), SC_E_FORMAT, "item 1 of \"each\" is no map");
    CHECK_FAILS(parse(HEAD BODY "doc_to_suffix: x\n", err), SC_E_FORMAT, "\"doc_to_suffix\", which only");
    CHECK_FAILS(parse(HEAD BODY "first: { column: c, doc_to_text: x, doc_to_value: y }\n", err), SC_E_FORMAT, "\"first\", which only");
    CHECK_FAILS(parse(HEAD BODY "first: { column: c, doc_to_text: x }\n", err), SC_E_FORMAT, "doc_to_value");
    CHECK_FAILS(parse("each: 3\n" HEAD BODY, err), SC_E_FORMAT, "\"each\" is no list");
    CHECK_FAILS(parse("suite: s\ntasks: 4\n", err), SC_E_FORMAT, "a suite has the keys");
}

/* What of an answer becomes the program. */
static void check_cut(const char *execution, const char *answer, const char *expected)
{
    struct eval_tasks t = { 0 };
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "task: t\noutput_type: code\nfiles: { test: [x] }\ndoc_to_text: x\ndoc_to_target: y\nmetric_list: ['pass@1']\nexecution: { program: x, tests: x, entry: x, %s }\n", execution);
    CHECK_OK(eval_tasks_parse(&t, text.data, text.len, "my.yaml", err));
    sc_text filtered = { (char *)(uintptr_t)answer, strlen(answer) };
    struct eval_task_run k = { .task = t.at[0], .n_written = 1, .filtered = &filtered };
    eval_programs_written(&k);
    CHECK_STR(json_string_value(k.program[0].answer), expected);
    eval_programs_release(&k);
    eval_tasks_release(&t);
    buf_release(&text);
}

TEST(answers_are_cut_where_their_program_ends)
{
    check_cut("cut: [\"```\", \"\\nend\"]", "a\nend\n```", "a");
    check_cut("open_braces: 1", "\n  if (x) { y; }\n}\nmain() {}", "\n  if (x) { y; }\n}");
    check_cut("open_braces: 2", "\n  return 1; }\n int g() { return 2; }\n}\nclass C {}", "\n  return 1; }\n int g() { return 2; }\n}");
    check_cut("open_braces: 1", "\n  if (x) { y; } and so on", "\n  if (x) { y; }");
    check_cut("open_braces: 1", "\n  return 1;", "\n  return 1;");
    check_cut("is_indented: true", "\n    x = 1\n\n    return '}'\nprint(f(1))\n", "\n    x = 1\n\n    return '}'");
    check_cut("is_indented: true", "\n    x = 1\n", "\n    x = 1\n");
}

TEST(each_sets_texts_numbers_and_lists)
{
    struct eval_tasks t = { 0 };
    static const char text[] = "each: [{ name: a, stops: [x, y], most: 7 }, { name: b, stops: [], most: 8 }]\ntask: t_{name}\noutput_type: generate_until\nfiles: { test: [x] }\ndoc_to_text: '{name}{most}'\ndoc_to_target: y\n"
                               "generation_kwargs: { until: '{stops}', max_gen_toks: '{most}' }\nmetric_list: [exact_match]\n";
    CHECK_OK(eval_tasks_parse(&t, text, sizeof text - 1, "my.yaml", err));
    CHECK(t.n == 2 && t.at[0]->until.n == 2 && t.at[1]->until.n == 0);
    CHECK(t.at[0]->most_tokens == 7 && t.at[1]->most_tokens == 8);
    CHECK_STR(t.at[1]->name, "t_b");
    eval_tasks_release(&t);
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

/* ---- messages ---------------------------------------------------------------------------------------------------------------------------- */

static void check_join(const char *before, const char *behind, const char *expected)
{
    char *s = turns_join(before, behind, "+");
    CHECK_STR(s, expected);
    mem_free(s);
}

TEST(texts_are_joined_where_no_white_space_is)
{
    check_join("a", "b", "a+b");
    check_join("a ", "b", "a b");
    check_join("a", "\nb", "a\nb");
    check_join("a\u3000", "b", "a\u3000b");
    check_join("", "b", "b");
    check_join("a", "", "a");
}

/* What is written of description, one example and a question with the beginning of its answer; *trusted: the bytes of the template. */
static char *written(const char *source, bool is_multiturn, const char *prefix, size_t *trusted, bool *without_system)
{
    struct chat_template chat = { 0 };
    struct turns t = { 0 };
    struct eval_context found;
    struct eval_chat c = { .tokens = json_object(), .is_multiturn = is_multiturn, .system = "" };
    if (source) CHECK_OK(chat_template_from_source(&chat, source, strlen(source), "test", err));
    c.chat_template = source ? &chat : NULL;
    turns_add(&t, TURN_SYSTEM, "D. ", "");
    turns_add(&t, TURN_USER, "q1", " ");
    turns_add(&t, TURN_ASSISTANT, "<A>", "\n\n");
    turns_add(&t, TURN_USER, "q2", "-");
    if (prefix) turns_add(&t, TURN_ASSISTANT, prefix, "");
    CHECK_OK(turns_write(&found, &t, &c, err));
    *trusted = 0;
    for (size_t i = 0; i < found.n_trusted; i++)
        if (found.trusted[i].begin < strlen(found.text)) *trusted += (found.trusted[i].end < strlen(found.text) ? found.trusted[i].end : strlen(found.text)) - found.trusted[i].begin;
    *without_system = c.leaves_out_system;
    mem_free(found.trusted);
    turns_release(&t);
    json_decref(c.tokens);
    if (source) chat_template_release(&chat);
    return found.text;
}

TEST(messages_are_written_as_text_or_by_a_template)
{
    static const char plain[] = "{% for m in messages %}<{{ m.role[0] }}>{{ m.content }}<A>{% endfor %}{% if add_generation_prompt %}<a>{% endif %}";
    static const char trims[] = "{% for m in messages %}{% if m.role == 'system' %}{{ raise_exception('no') }}{% endif %}<{{ m.role[0] }}>{{ m.content | trim }}<A>{% endfor %}";
    const struct { const char *source; bool is_multiturn; const char *prefix, *expected; size_t trusted; bool without_system; } rows[] = {
        { NULL, true, NULL, "D. q1 <A>\n\nq2-", 0, false },
        { NULL, true, "P", "D. q1 <A>\n\nq2-P", 0, false },
        { plain, true, NULL, "<s>D. <A><u>q1<A><a><A><A><u>q2<A><a>", 23, false },
        { plain, false, NULL, "<s>D. <A><u>q1 <A>\n\nq2<A><a>", 13, false },
        { plain, true, "P\n", "<s>D. <A><u>q1<A><a><A><A><u>q2<A><a>P\n", 22, false },
        { plain, false, "P", "<s>D. <A><u>q1 <A>\n\nq2<A><a>P", 12, false },
        { trims, true, "P \n", "<u>q1<A><a><A><A><u>q2<A><a>P", 17, true },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        size_t trusted;
        bool without_system;
        char *text = written(rows[i].source, rows[i].is_multiturn, rows[i].prefix, &trusted, &without_system);
        CHECK_STR(text, rows[i].expected);
        CHECK_INT(trusted, rows[i].trusted);              /* neither names of roles nor the answer "<A>" of the example */
        CHECK(without_system == rows[i].without_system);
        mem_free(text);
    }
}

TEST(a_run_knows_what_ends_a_turn)
{
    struct sc_model m = { 0 };
    struct model_file file = { .path = (char *)(uintptr_t)"M" };
    struct eval_chat c;
    sc_eval_config config = { .apply_chat_template = true };
    m.file = &file;
    CHECK_FAILS(eval_chat_open(&c, &m, &config, err), SC_E_ARGUMENT, "M has no chat template, which --apply-chat-template needs");
    CHECK_FAILS(eval_chat_open(&c, NULL, &config, err), SC_E_ARGUMENT, "no MODEL is named");
    CHECK_OK(tokenizer_open(&m.tokenizer, test_path("tests/golden/tokenizers/bytes"), err));
    CHECK_OK(chat_template_open(&m.chat_template, "no_system", err));
    m.has_template = true;
    CHECK(tokenizer_add(m.tokenizer, m.chat_template.row->tokens, 4) == 4);
    CHECK_OK(eval_chat_open(&c, &m, &config, err));
    CHECK_STR(c.end, "<|end|>");
    CHECK(c.is_multiturn);
    eval_chat_release(&c);
    config.apply_chat_template = false;
    config.fewshot_as_multiturn = "true";
    CHECK_FAILS(eval_chat_open(&c, &m, &config, err), SC_E_ARGUMENT, "add --apply-chat-template");
    chat_template_release(&m.chat_template);
    tokenizer_close(m.tokenizer);
}

TEST(a_begin_token_of_the_template_is_not_doubled)
{
    static const char text[] = "<|begin_of_text|>Hi there";
    const struct span own = { 0, 17 };
    struct sc_model m = { 0 };
    sc_tokens templated, forged;
    size_t from_templated, from_forged;
    int32_t begin;
    CHECK_OK(tokenizer_open(&m.tokenizer, test_path("tests/golden/tokenizers/families/llama3.json"), err));
    CHECK(sc_model_adds_bos(&m, &begin));
    CHECK_OK(encode_pair(&templated, &from_templated, &m, text, 19, strlen(text), &own, 1, err));
    CHECK_OK(encode_pair(&forged, &from_forged, &m, text, 19, strlen(text), NULL, 0, err));
    CHECK(templated.id[0] == begin && templated.id[1] != begin);
    CHECK(forged.id[0] == begin && forged.id[1] != begin);                   /* ours; what the text says is spelled out behind it */
    CHECK(from_forged > from_templated + 3);
    CHECK_INT(templated.len - from_templated, forged.len - from_forged);
    sc_tokens_free(&templated);
    sc_tokens_free(&forged);
    tokenizer_close(m.tokenizer);
}
