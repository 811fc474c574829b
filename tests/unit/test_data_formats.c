/* test_data_formats.c - every format of dialogues that is known, and the flattening of OpenAssistant trees: small records
 * of our own beside the dialogues that they must give. */
#include "data_read_fixture.h"

#define M(role, text) "{\"role\":\"" role "\",\"content\":\"" text "\"}"
#define U(text) M("user", text)
#define A(text) M("assistant", text)
#define S(text) M("system", text)
#define DIALOGUE(list) "[{\"messages\":[" list "]}]"
#define PROMPTED(list) "[{\"messages\":[" list "],\"group\":\"p\"}]"

struct format_case { const char *record, *dialogues; };

static void check_cases(const struct format_case *cases, size_t n)
{
    static const char *const names[] = { "one.jsonl", "one.json" };
    for (size_t i = 0; i < 2 * n; i++) {
        struct read_back b;
        struct buf text;
        char path[NAME_BYTES];
        buf_init(&text, 0);
        buf_printf(&text, i % 2 ? "[%s]" : "%s\n", cases[i / 2].record);
        put_file(path, names[i % 2], text.data, text.len);
        read_file(&b, path, NULL);
        check_dialogues(&b, cases[i / 2].dialogues, cases[i / 2].record);
        read_back_release(&b);
        buf_release(&text);
    }
}
#define CHECK_CASES(cases) check_cases((cases), sizeof (cases) / sizeof *(cases))

/* ---- conversations -------------------------------------------------------------------------------------------------------- */

TEST(formats_openai_messages)
{
    static const struct format_case cases[] = {
        { "{\"messages\":[" S("be brief") "," U("1+1?") "," A("2") "]}", DIALOGUE(S("be brief") "," U("1+1?") "," A("2")) },
        { "{\"messages\":[" U("a") "],\"id\":\"x/1\",\"lang\":\"de\",\"license\":\"MIT\"}", "[{\"messages\":[" U("a") "],\"id\":\"x/1\",\"lang\":\"de\",\"licence\":\"MIT\"}]" },
        { "{\"messages\":[" U("a") "],\"licence\":\"CC0-1.0\",\"id\":null,\"lang\":\"\"}", "[{\"messages\":[" U("a") "],\"licence\":\"CC0-1.0\"}]" },
        { "{\"messages\":[{\"role\":\"developer\",\"content\":\"d\"}," U("a") "]}", DIALOGUE(S("d") "," U("a")) },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a \"},{\"type\":\"text\",\"text\":\"b\"}]}," A("c") "]}", DIALOGUE(U("a b") "," A("c")) },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[]}," A("c") "]}", DIALOGUE(U("") "," A("c")) },
        { "{\"messages\":[{\"role\":\"user\",\"content\":\"a\",\"name\":\"ann\",\"extra\":1},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}]}",
          DIALOGUE("{\"role\":\"user\",\"content\":\"a\",\"name\":\"ann\",\"extra\":1},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}") },
        { "{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":null,\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"3\"}," A("c") "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}",
          "[{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"id\":\"1\",\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":\"{}\"}}]},"
          "{\"role\":\"tool\",\"tool_call_id\":\"1\",\"content\":\"3\"}," A("c") "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}]" },
        { "{\"messages\":[" U("\\u00e9\\ud83d\\ude00 <|end|>\\n\\t\\\"") "," A(" x ") "]}", DIALOGUE(U("\\u00e9\\ud83d\\ude00 <|end|>\\n\\t\\\"") "," A(" x ")) },
        { "{\"prompt\":\"p\",\"prompt_id\":\"9\",\"messages\":[" U("p") "," A("q") "]}", "[{\"messages\":[" U("p") "," A("q") "],\"id\":\"9\",\"group\":\"9\"}]" },   /* ultrachat_200k */
    };
    CHECK_CASES(cases);
}

TEST(formats_sharegpt)
{
#define F(from, value) "{\"from\":\"" from "\",\"value\":\"" value "\"}"
    static const struct format_case cases[] = {
        { "{\"id\":\"i_0\",\"conversations\":[" F("human", "a") "," F("gpt", "b") "]}", "[{\"messages\":[" U("a") "," A("b") "],\"id\":\"i_0\"}]" },
        { "{\"conversations\":[" F("system", "s") "," F("user", "a") "," F("chatgpt", "b") "]}", DIALOGUE(S("s") "," U("a") "," A("b")) },
        { "{\"conversations\":[" F("human", "a") "," F("bing", "b") "," F("human", "c") "," F("bard", "d") "," F("human", "e") "," F("assistant", "f") "]}",
          DIALOGUE(U("a") "," A("b") "," U("c") "," A("d") "," U("e") "," A("f")) },
        { "{\"conversations\":[" F("gpt", "lost") "," F("human", "a") "," F("gpt", "b") "]}", DIALOGUE(U("a") "," A("b")) },
        { "{\"system\":\"s\",\"conversations\":[" F("gpt", "lost") "," F("human", "a") "," F("gpt", "b") "]}", DIALOGUE(S("s") "," U("a") "," A("b")) },
        { "{\"conversations\":[" F("human", "a") "," F("human", "b") "," F("gpt", "c") "]}", DIALOGUE(U("a") "," U("b") "," A("c")) },
        { "{\"conversations\":[" F("human", "a") "," F("function_call", "{}") "," F("observation", "7") "," F("gpt", "c") "],\"tools\":\"[{\\\"name\\\":\\\"f\\\"}]\"}",
          "[{\"messages\":[" U("a") "," A("{}") "," M("tool", "7") "," A("c") "],\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\"}}]}]" },
        { "{\"conversations\":[" F("human", "a") "," F("function_call", "{\\\"name\\\":\\\"f\\\",\\\"arguments\\\":{\\\"x\\\":1}}") "," F("observation", "7") "]}",
          DIALOGUE(U("a") ",{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"arguments\":{\"x\":1}}}]}," M("tool", "7")) },
        { "{\"conversations\":[" F("human", "a") "," F("tool", "7") "," F("gpt", "c") "],\"tools\":\"[]\"}", DIALOGUE(U("a") "," M("tool", "7") "," A("c")) },
        { "{\"conversations\":[" U("a") "," A("b") "]}", DIALOGUE(U("a") "," A("b")) },
    };
    CHECK_CASES(cases);
}

TEST(formats_ultrachat)
{
    static const struct format_case cases[] = {
        { "{\"id\":\"0\",\"data\":[\"a\",\"b\",\"c\",\"d\"]}", "[{\"messages\":[" U("a") "," A("b") "," U("c") "," A("d") "],\"id\":\"0\"}]" },
        { "{\"data\":[\"a\",\"b\",\"c\"]}", DIALOGUE(U("a") "," A("b") "," U("c")) },
    };
    CHECK_CASES(cases);
}

/* ---- a question and its answer ---------------------------------------------------------------------------------------------- */

TEST(formats_alpaca_and_dolly)
{
    static const struct format_case cases[] = {
        { "{\"instruction\":\"q\",\"input\":\"x\",\"output\":\"y\"}", DIALOGUE(U("q\\n\\nx") "," A("y")) },
        { "{\"instruction\":\"q\",\"input\":\"\",\"output\":\"y\"}", DIALOGUE(U("q") "," A("y")) },
        { "{\"instruction\":\"q\",\"output\":\"y\"}", DIALOGUE(U("q") "," A("y")) },
        { "{\"instruction\":\"q\",\"input\":null,\"output\":\"y\"}", DIALOGUE(U("q") "," A("y")) },
        { "{\"instruction\":\"q\",\"input\":\"x\",\"response\":\"y\"}", DIALOGUE(U("q\\n\\nx") "," A("y")) },
        { "{\"system\":\"s\",\"instruction\":\"q\",\"output\":\"y\"}", DIALOGUE(S("s") "," U("q") "," A("y")) },
        { "{\"instruction\":\"q\",\"context\":\"x\",\"response\":\"y\",\"category\":\"open_qa\"}", DIALOGUE(U("q\\n\\nx") "," A("y")) },
    };
    CHECK_CASES(cases);
}

TEST(formats_self_instruct)
{
    static const struct format_case cases[] = {
        { "{\"id\":\"seed_task_0\",\"name\":\"n\",\"instruction\":\"q\",\"instances\":[{\"input\":\"\",\"output\":\"1\"},{\"input\":\"x\",\"output\":\"2\"}],\"is_classification\":false}",
          "[{\"messages\":[" U("q") "," A("1") "],\"id\":\"seed_task_0\",\"group\":\"q\"},{\"messages\":[" U("q\\n\\nx") "," A("2") "],\"id\":\"seed_task_0\",\"group\":\"q\"}]" },
        { "{\"id\":\"u\",\"motivation_app\":\"m\",\"instruction\":\"q\",\"instances\":[{\"input\":\"x\",\"output\":\"y\"}]}", "[{\"messages\":[" U("q\\n\\nx") "," A("y") "],\"id\":\"u\",\"group\":\"q\"}]" },
    };
    CHECK_CASES(cases);
}

TEST(formats_prompt_and_completion)
{
    static const struct format_case cases[] = {
        { "{\"prompt\":\"p\",\"completion\":\"c\"}", PROMPTED(U("p") "," A("c")) },
        { "{\"prompt\":\"p\",\"response\":\"c\"}", PROMPTED(U("p") "," A("c")) },
        { "{\"question\":\"p\",\"answer\":\"c\"}", PROMPTED(U("p") "," A("c")) },
        { "{\"prompt\":[" S("s") "," U("p") "],\"completion\":[" A("c") "]}", DIALOGUE(S("s") "," U("p") "," A("c")) },
    };
    CHECK_CASES(cases);
}

TEST(formats_preference_pairs)
{
    static const struct format_case cases[] = {
        { "{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\",\"rejected\":\"\\n\\nHuman: a\\n\\nAssistant: c\"}", "[{\"messages\":[" U("a") "," A("b") "],\"rejected\":[" U("a") "," A("c") "]}]" },
        { "{\"chosen\":\"\\n\\nHuman: a\\n\\nAssistant: b\\n\\nHuman: c\\nd\\n\\nAssistant: e\\n\\nf\",\"rejected\":\"\\n\\nHuman: a\\n\\nAssistant: b\\n\\nHuman: c\\nd\\n\\nAssistant:\"}",
          "[{\"messages\":[" U("a") "," A("b") "," U("c\\nd") "," A("e\\n\\nf") "],\"rejected\":[" U("a") "," A("b") "," U("c\\nd") "," A("") "]}]" },
        { "{\"prompt\":\"p\",\"chosen\":\"b\",\"rejected\":\"c\"}", "[{\"messages\":[" U("p") "," A("b") "],\"rejected\":[" U("p") "," A("c") "],\"group\":\"p\"}]" },
        { "{\"prompt\":\"p\",\"chosen\":[" U("p") "," A("b") "],\"rejected\":[" U("p") "," A("c") "],\"score_chosen\":8.5}", "[{\"messages\":[" U("p") "," A("b") "],\"rejected\":[" U("p") "," A("c") "],\"group\":\"p\"}]" },
        { "{\"prompt\":[" S("s") "," U("p") "],\"chosen\":[" A("b") "],\"rejected\":[" A("c") "]}",
          "[{\"messages\":[" S("s") "," U("p") "," A("b") "],\"rejected\":[" S("s") "," U("p") "," A("c") "]}]" },
    };
    CHECK_CASES(cases);
}

TEST(formats_text)
{
    static const struct format_case cases[] = {
        { "{\"text\":\"x = 1\\n\"}", "[{\"text\":\"x = 1\\n\"}]" },
        { "{\"content\":\"x\",\"lang\":\"python\",\"licence\":\"MIT\"}", "[{\"text\":\"x\",\"licence\":\"MIT\"}]" },          /* no language of people */
        { "{\"text\":\"### Human: a ### b\\n### Assistant: c\\n### Human: d\\n### Assistant: e\"}", DIALOGUE(U("a ### b") "," A("c") "," U("d") "," A("e")) },
        { "{\"text\":\"\\n\\nHuman: a\\n\\nAssistant: b\"}", DIALOGUE(U("a") "," A("b")) },
        { "{\"text\":\"# Human: a\\n\\nAssistant: b\"}", "[{\"text\":\"# Human: a\\n\\nAssistant: b\"}]" },
    };
    CHECK_CASES(cases);
}

/* What is no dialogue is refused in a sentence that says what was found. */
TEST(formats_refusals_say_what_was_found)
{
    static const struct { const char *record, *part; } cases[] = {
        { "{\"foo\":1,\"bar\":{}}", "foo, bar" },
        { "{}", "empty" },
        { "[1]", "no object" },
        { "17", "no object" },
        { "{\"question_id\":81,\"category\":\"writing\",\"turns\":[\"a\",\"b\"]}", "no answer" },
        { "{\"prompt\":\"only\"}", "no answer" },
        { "{\"messages\":[{\"role\":\"robot\",\"content\":\"a\"}]}", "robot" },
        { "{\"messages\":[" U("a") ",{\"role\":\"assistant\",\"content\":7}]}", "content" },
        { "{\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":\"u\"}}]}]}", "image" },
        { "{\"chosen\":\"just text\",\"rejected\":\"other\"}", "prompt" },
        { "{\"instruction\":\"q\",\"instances\":[{\"input\":\"x\"}]}", "output" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        struct buf text;
        char path[NAME_BYTES];
        buf_init(&text, 0);
        buf_printf(&text, "{\"messages\":[]}\n%s\n", cases[i].record);
        put_file(path, "bad.jsonl", text.data, text.len);
        read_file(&b, path, NULL);
        if (json_array_size(b.errors) != 1) test_failed(__FILE__, __LINE__, "%s: %zu errors", cases[i].record, json_array_size(b.errors));
        const char *e = read_error(&b, 0);
        if (!strstr(e, "bad.jsonl") || !strstr(e, "line 2") || !strstr(e, cases[i].part)) test_failed(__FILE__, __LINE__, "%s: \"%s\" without \"%s\"", cases[i].record, e, cases[i].part);
        read_back_release(&b);
        buf_release(&text);
    }
}

TEST(formats_table_is_whole)
{
    static const char *const names[] = { "oasst", "preference", "messages", "sharegpt", "alpaca", "text", NULL };
    for (size_t i = 0; names[i]; i++) {
        const struct data_format *f = data_formats;
        while (f->name && strcmp(f->name, names[i]) != 0) f++;
        CHECK_STR(f->name, names[i]);
    }
    for (const struct data_format *f = data_formats; f->name; f++) CHECK(f->help && *f->help && f->probe && f->convert);
}

/* ---- trees ------------------------------------------------------------------------------------------------------------------ */

/* q1 - a1 (rank 1) - q2 - a2; q1 - a3 (rank 0) - q3 (no answer); q1 - a4 (deleted); q1 - a5 (synthetic) - q5. */
#define N(id, role, text, more, replies) "{\"message_id\":\"" id "\",\"role\":\"" role "\",\"text\":\"" text "\"" more ",\"replies\":[" replies "]}"
#define REVIEWED ",\"review_result\":true,\"deleted\":false,\"synthetic\":false"
#define TREE_NODES \
    N("q1", "prompter", "Q1", ",\"lang\":\"en-GB\",\"rank\":null" REVIEWED, \
      N("a1", "assistant", "A1", ",\"rank\":1" REVIEWED, N("q2", "prompter", "Q2", REVIEWED, N("a2", "assistant", "A2", ",\"review_result\":null", ""))) "," \
      N("a3", "assistant", "A3", ",\"rank\":0" REVIEWED, N("q3", "prompter", "Q3", REVIEWED, "")) "," \
      N("a4", "assistant", "A4", ",\"rank\":2,\"deleted\":true", "") "," \
      N("a5", "assistant", "A5", ",\"rank\":3,\"synthetic\":true", N("q5", "prompter", "Q5", "", "")))
#define TREE(state) "{\"message_tree_id\":\"q1\",\"tree_state\":\"" state "\",\"prompt\":" TREE_NODES "}"
#define PATH(leaf, list) "{\"messages\":[" list "],\"id\":\"" leaf "\",\"lang\":\"en-GB\",\"group\":\"q1\"}"
#define PATH_A2 PATH("a2", U("Q1") "," A("A1") "," U("Q2") "," A("A2"))
#define PATH_Q3 PATH("q3", U("Q1") "," A("A3") "," U("Q3"))

TEST(trees_are_flattened_by_their_switches)
{
    static const struct { struct tree_config config; const char *tree, *dialogues; } cases[] = {
        { { 0 }, TREE("ready_for_export"), "[" PATH_A2 "," PATH_Q3 "]" },
        { { .best_only = true }, TREE("ready_for_export"), "[" PATH_Q3 "]" },
        { { .drop_user_end = true }, TREE("ready_for_export"), "[" PATH_A2 "," PATH("a3", U("Q1") "," A("A3")) "]" },
        { { .drop_user_end = true, .best_only = true }, TREE("ready_for_export"), "[" PATH("a3", U("Q1") "," A("A3")) "]" },
        { { .reviewed_only = true }, TREE("ready_for_export"), "[" PATH("q2", U("Q1") "," A("A1") "," U("Q2")) "," PATH_Q3 "]" },
        { { .keep_deleted = true }, TREE("ready_for_export"), "[" PATH_A2 "," PATH_Q3 "," PATH("a4", U("Q1") "," A("A4")) "]" },
        { { .keep_synthetic = true }, TREE("ready_for_export"), "[" PATH_A2 "," PATH_Q3 "," PATH("q5", U("Q1") "," A("A5") "," U("Q5")) "]" },
        { { .min_turns = 4 }, TREE("ready_for_export"), "[" PATH_A2 "]" },
        { { .min_turns = 5 }, TREE("ready_for_export"), "[]" },
        { { .min_turns = 3, .drop_user_end = true }, TREE("ready_for_export"), "[" PATH_A2 "]" },
        { { .lang = "en" }, TREE("ready_for_export"), "[" PATH_A2 "," PATH_Q3 "]" },
        { { .lang = "de,en" }, TREE("ready_for_export"), "[" PATH_A2 "," PATH_Q3 "]" },
        { { .lang = "de" }, TREE("ready_for_export"), "[]" },
        { { 0 }, TREE("growing"), "[]" },
        { { .all_states = true }, TREE("growing"), "[" PATH_A2 "," PATH_Q3 "]" },
        { { 0 }, "{\"prompt\":" TREE_NODES "}", "[" PATH_A2 "," PATH_Q3 "]" },
        { { 0 }, TREE_NODES, "[" PATH_A2 "," PATH_Q3 "]" },
        { { 0 }, "{\"message_tree_id\":\"r\",\"tree_state\":\"ready_for_export\",\"prompt\":" N("r", "prompter", "R", ",\"deleted\":true", "") "}", "[]" },
        { { 0 }, "{\"message_tree_id\":\"r\",\"tree_state\":\"ready_for_export\",\"prompt\":{\"message_id\":\"r\",\"role\":\"prompter\",\"text\":\"R\"}}", "[{\"messages\":[" U("R") "],\"id\":\"r\",\"group\":\"r\"}]" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct read_back b;
        char path[NAME_BYTES], what[40];
        snprintf(what, sizeof what, "tree case %zu", i);
        put_text(path, "tree.jsonl", cases[i].tree);
        read_file(&b, path, &cases[i].config);
        check_dialogues(&b, cases[i].dialogues, what);
        read_back_release(&b);
    }
}

/* A branch is walked once; where the ranks are missing or equal, the first reply counts as the best. */
TEST(trees_best_reply_without_ranks)
{
    struct read_back b;
    char path[NAME_BYTES];
    put_text(path, "tree.jsonl", "{\"prompt\":" N("q", "prompter", "Q", "", N("a", "assistant", "A", "", "") "," N("b", "assistant", "B", ",\"rank\":null", "") "," N("c", "assistant", "C", ",\"rank\":4", "")) "}\n"
                                 "{\"prompt\":" N("q", "prompter", "Q", "", N("a", "assistant", "A", "", "") "," N("b", "assistant", "B", ",\"rank\":null", "")) "}\n");
    read_file(&b, path, &(struct tree_config){ .best_only = true });
    check_dialogues(&b, "[{\"messages\":[" U("Q") "," A("C") "],\"id\":\"c\",\"group\":\"q\"},{\"messages\":[" U("Q") "," A("A") "],\"id\":\"a\",\"group\":\"q\"}]", "ranks");
    read_back_release(&b);
}

/* ---- flat messages ------------------------------------------------------------------------------------------------------------ */

#define F1(id, parent, role, text, more) "{\"message_id\":\"" id "\",\"parent_id\":" parent ",\"role\":\"" role "\",\"text\":\"" text "\"" more "}"

static const char flat_lines[] =
    F1("a2", "\"q2\"", "assistant", "A2", "") "\n"                              /* before its parent */
    F1("q1", "null", "prompter", "Q1", ",\"lang\":\"en\",\"tree_state\":\"ready_for_export\"") "\n"
    F1("a1", "\"q1\"", "assistant", "A1", ",\"rank\":1") "\n"
    F1("r", "null", "prompter", "R", ",\"lang\":\"de\"") "\n"
    F1("a3", "\"q1\"", "assistant", "A3", ",\"rank\":0") "\n"
    F1("q2", "\"a1\"", "prompter", "Q2", "") "\n"
    F1("x", "\"lost\"", "assistant", "X", "") "\n"                              /* its parent is missing */
    F1("y", "\"x\"", "prompter", "Y", "") "\n"
    F1("d", "\"r\"", "assistant", "D", ",\"deleted\":true") "\n"
    F1("g", "null", "prompter", "G", ",\"tree_state\":\"growing\"") "\n";
#define FLAT_DIALOGUES \
    "[{\"messages\":[" U("Q1") "," A("A1") "," U("Q2") "," A("A2") "],\"id\":\"a2\",\"lang\":\"en\",\"group\":\"q1\"}," \
    "{\"messages\":[" U("Q1") "," A("A3") "],\"id\":\"a3\",\"lang\":\"en\",\"group\":\"q1\"}," \
    "{\"messages\":[" U("R") "],\"id\":\"r\",\"lang\":\"de\",\"group\":\"r\"}]"

TEST(flat_messages_become_trees)
{
    struct read_back b;
    char path[NAME_BYTES];
    put_text(path, "flat.jsonl", flat_lines);
    read_file(&b, path, NULL);
    check_dialogues(&b, FLAT_DIALOGUES, "flat messages");
    CHECK_STR(b.places.data, "2.0 2.1 4.0");                                    /* the lines of the roots */
    read_back_release(&b);
    read_file(&b, path, &(struct tree_config){ .best_only = true, .lang = "en" });
    check_dialogues(&b, "[{\"messages\":[" U("Q1") "," A("A3") "],\"id\":\"a3\",\"lang\":\"en\",\"group\":\"q1\"}]", "flat messages, best");
    read_back_release(&b);
}

/* As a JSON array, and in the form of Open-Assistant's seed data. */
TEST(flat_messages_of_the_seed_form)
{
    struct read_back b;
    char path[NAME_BYTES];
    put_text(path, "seed.json", "[\n {\"task_message_id\":\"t1\",\"user_message_id\":\"u1\",\"parent_message_id\":null,\"text\":\"Q\",\"role\":\"prompter\"},\n"
                                " {\"task_message_id\":\"t2\",\"user_message_id\":\"u2\",\"parent_message_id\":\"u1\",\"text\":\"A\",\"role\":\"assistant\",\"tree_state\":\"growing\"},\n"
                                " {\"task_message_id\":\"t3\",\"user_message_id\":\"u3\",\"parent_message_id\":\"u1\",\"text\":\"B\",\"role\":\"assistant\"}\n]\n");
    read_file(&b, path, NULL);
    check_dialogues(&b, "[{\"messages\":[" U("Q") "," A("A") "],\"id\":\"u2\",\"group\":\"u1\"},{\"messages\":[" U("Q") "," A("B") "],\"id\":\"u3\",\"group\":\"u1\"}]", "seed form");
    CHECK_STR(b.places.data, "2.0 2.1");
    read_back_release(&b);
}

/* A file of flat messages beside other files: neither takes anything from the other. */
TEST(flat_messages_stay_in_their_file)
{
    struct read_back b;
    char path[3][NAME_BYTES];
    put_text(path[0], "set/1.jsonl", F1("q", "null", "prompter", "Q", "") "\n");
    put_text(path[1], "set/2.jsonl", F1("a", "\"q\"", "assistant", "A", "") "\n" F1("p", "null", "prompter", "P", "") "\n");
    put_text(path[2], "set/3.jsonl", "{\"messages\":[" U("u") "]}\n");
    const char *const inputs[] = { path[0], path[1], path[2] };
    read_inputs(&b, inputs, 3, NULL, 1);
    check_dialogues(&b, "[{\"messages\":[" U("Q") "],\"id\":\"q\",\"group\":\"q\"},{\"messages\":[" U("P") "],\"id\":\"p\",\"group\":\"p\"},{\"messages\":[" U("u") "]}]", "three files");
    read_back_release(&b);
}
