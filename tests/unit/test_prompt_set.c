/* test_prompt_set.c - the set that comes with the program, shapes of files, duplicates, the mix, what a model wrote, and reviews. */
#include "judge/prompt_set.h"

#include "test.h"

#include "judge/judge_internal.h"

static const char *text_of(const json_t *row, const char *key)
{
    const char *text = json_string_value(json_object_get(row, key));
    return text ? text : "";
}

static char *scratch_file(const char *name, const char *text)
{
    char *path = path_join(test_scratch(), name);
    CHECK_OK(file_write(path, text, strlen(text), err));
    return path;
}

/* ---- the ready set --------------------------------------------------------------------------------------------------------------------------- */

struct ready { size_t n[2]; struct prompt_set set; };

static sc_status check_ready(void *user, json_t *row, const char *file, uint64_t line, sc_error *error)
{
    static const char *const kinds[] = { "write", "plot", "explain", "debug", "regex", "sql", "data", "howto", "beginner", NULL }, *const levels[] = { "beginner", "intermediate", "expert", NULL };
    bool is_feedback = !strcmp(text_of(row, "slice"), "feedback"), has_kind = false, has_level = false;
    struct ready *all = user;
    json_t *copy;
    const char *why;
    (void)error;
    for (size_t i = 0; kinds[i]; i++) has_kind |= !strcmp(kinds[i], text_of(row, "kind"));
    for (size_t i = 0; levels[i]; i++) has_level |= !strcmp(levels[i], text_of(row, "level"));
    CHECK(has_kind && has_level && *text_of(row, "id") && *text_of(row, "language") && *text_of(row, "source"));
    CHECK_STR(text_of(row, "licence"), "Apache-2.0");
    CHECK(strlen(text_of(row, "prompt")) >= 60 && strlen(text_of(row, "prompt")) < 2500);
    CHECK(is_feedback == (*text_of(row, "reference") != 0));       /* what is wrong, for judges with references */
    if (prompt_set_is_feedback(text_of(row, "prompt")) != is_feedback && is_feedback) test_failed(__FILE__, (int)line, "%s does not read like a question about code", text_of(row, "id"));
    CHECK_OK(prompt_set_row(&copy, &why, row, file, line, err));
    CHECK(copy && json_equal(copy, row));                         /* our own shape stays as it is */
    all->n[is_feedback]++;
    CHECK(prompt_set_add(&all->set, copy));                       /* nothing is there twice, or nearly */
    return SC_OK;
}

TEST(ready_set)
{
    struct ready all = { 0 };
    prompt_set_open(&all.set, 1);
    CHECK_OK(judge_read_rows(test_path("data/judge/prompts-115.jsonl"), check_ready, &all, err));
    CHECK_INT(all.n[0], 86);
    CHECK_INT(all.n[1], 29);
    prompt_set_close(&all.set);
    struct judge_prompts p;
    CHECK_OK(judge_prompts_read(&p, test_path("data/judge/prompts-115.jsonl"), err));
    CHECK_INT(p.n, 115);
    CHECK(judge_prompts_find(&p, "feedback-29")->n_references == 1);
    judge_prompts_release(&p);
}

TEST(ready_set_is_in_the_program)
{
    char *out = path_join(test_scratch(), "set.jsonl");
    sc_judge_config j;
    sc_judge_prompts_config c;
    sc_text summary = { 0 }, mine = { 0 }, ready = { 0 };
    sc_options_defaults(sc_options_for("judge"), &j);
    sc_options_defaults(sc_options_for("judge_prompts"), &c);
    j.out = out;
    CHECK_OK(sc_judge_prompts(&summary, NULL, NULL, &j, &c, err));
    CHECK_OK(file_read(&mine, out, 1 << 24, err));
    CHECK_OK(file_read(&ready, test_path("data/judge/prompts-115.jsonl"), 1 << 24, err));
    json_t *a = json_loads(summary.data, 0, NULL);
    CHECK_INT(json_integer_value(json_object_get(a, "instruction")), 86);
    CHECK_INT(json_integer_value(json_object_get(json_object_get(a, "languages"), "python")), 47);
    json_decref(a);
    sc_text_free(&summary);
    size_t lines[2] = { 0 };
    for (size_t i = 0; i < mine.len; i++) lines[0] += mine.data[i] == '\n';
    for (size_t i = 0; i < ready.len; i++) lines[1] += ready.data[i] == '\n';
    CHECK_INT(lines[0], lines[1]);
    CHECK_FAILS(sc_judge_prompts(&summary, NULL, NULL, &j, &c, err), SC_E_ARGUMENT, "is there already");
    sc_text_free(&summary);
    sc_text_free(&mine);
    sc_text_free(&ready);
    mem_free(out);
}

/* ---- shapes ---------------------------------------------------------------------------------------------------------------------------------- */

static json_t *row_of(const char *record)
{
    json_t *r = json_loads(record, 0, NULL), *out = NULL;
    const char *why;
    CHECK(r != NULL);
    CHECK_OK(prompt_set_row(&out, &why, r, "dir/file.jsonl", 7, err));
    json_decref(r);
    return out;
}

static void check_row(int line, const char *record, const char *const *members)
{
    json_t *row = row_of(record);
    for (size_t i = 0; members[i]; i += 2)
        if (strcmp(text_of(row, members[i]), members[i + 1]) != 0) test_failed(__FILE__, line, "%s is \"%s\", expected \"%s\"", members[i], text_of(row, members[i]), members[i + 1]);
    json_decref(row);
}
#define ROW(record, ...) check_row(__LINE__, record, (const char *const[]){ __VA_ARGS__, NULL })

TEST(shapes)
{
    ROW("{\"prompt\":\"Write a haiku in SQL\\n\"}", "prompt", "Write a haiku in SQL", "language", "sql", "slice", "instruction", "licence", "unknown", "source", "file.jsonl:7", "id", "");
    ROW("{\"task_id\":11,\"text\":\"Write a function to add.\",\"code\":\"def f(): pass\",\"test_list\":[]}", "id", "mbpp-11", "prompt", "Write a Python function to add.", "language", "python", "licence", "CC-BY-4.0", "source", "mbpp (file.jsonl:7)",
        "reference", "def f(): pass");
    ROW("{\"task_id\":\"CPP/3\",\"declaration\":\"int f(){\\n\",\"buggy_solution\":\"return 1;}\",\"canonical_solution\":\"return 2;}\",\"docstring\":\"Gives two.\\n>>> f()\\n2\",\"bug_type\":\"value misuse\",\"failure_symptoms\":\"incorrect output\"}", "id",
        "CPP/3", "slice", "feedback", "language", "cpp", "licence", "MIT", "prompt",
        "My function should do this:\n\nGives two.\n\nBut it does not work as it should. Can you tell me where the bug is and how to fix it?\n\n```cpp\nint f(){\nreturn 1;}\n```", "reference",
        "Kind of the bug: value misuse (incorrect output). A right version:\n\n```cpp\nint f(){\nreturn 2;}\n```");
    ROW("{\"instruction\":\"Sort this list in C++.\",\"input\":\"3 1 2\",\"output\":\"1 2 3\"}", "prompt", "Sort this list in C++.\n\n3 1 2", "language", "cpp", "reference", "1 2 3");
    ROW("{\"instruction\":\"Explain this code.\",\"instances\":[{\"input\":\"<noinput>\",\"output\":\"x\"}]}", "prompt", "Explain this code.");
    ROW("{\"uid\":\"ab\",\"category\":\"hard\",\"cluster\":\"Python things\",\"prompt\":\"Fix my code:\\nfor x in y:\\n    print(x\\n    return\\n\"}", "id", "ab", "slice", "feedback", "category", "Python things", "licence", "Apache-2.0");
    ROW("{\"question_id\":81,\"category\":\"coding\",\"turns\":[\"Write a program in Go.\"]}", "id", "fastchat-81", "prompt", "Write a program in Go.", "language", "go");
    json_t *two = row_of("{\"question_id\":81,\"category\":\"coding\",\"turns\":[\"Write a program.\",\"Now in Rust.\"],\"reference\":[\"a\",\"b\"]}");
    CHECK_INT(json_array_size(json_object_get(two, "turns")), 2);
    CHECK_INT(json_array_size(json_object_get(two, "reference")), 2);
    CHECK_STR(text_of(two, "language"), "rust");
    json_decref(two);
    CHECK(row_of("{\"uid\":\"ab\",\"prompt\":\"Write a poem about the sea.\"}") == NULL);      /* not about code */
    CHECK(row_of("{\"prompt\":\"  \\n\"}") == NULL);
    CHECK(row_of("{\"prompt\":\"Write code\",\"review\":\"rejected\"}") == NULL);
    json_t *none = json_loads("{\"answer\":1}", 0, NULL), *out;
    const char *why;
    CHECK_FAILS(prompt_set_row(&out, &why, none, "f", 1, err), SC_E_FORMAT, "holds no prompt");
    json_decref(none);
}

TEST(languages)
{
    CHECK_STR(prompt_set_language("How do I sort in C?"), "c");
    CHECK_STR(prompt_set_language("Go to the shop. I c r."), "none");
    CHECK_STR(prompt_set_language("Write a Go program."), "go");
    CHECK_STR(prompt_set_language("R squared of the model"), "none");
    CHECK_STR(prompt_set_language("golang or gcc"), "go");
    CHECK_STR(prompt_set_language("Use Node.js, please."), "javascript");
    CHECK_STR(prompt_set_language("A Python question\n```go\nx\n```"), "go");
    CHECK_STR(prompt_set_language("```\nx\n```\nin C#."), "csharp");
    CHECK_STR(prompt_set_language(""), "none");
    CHECK(prompt_set_is_feedback("Why does this crash?\n```c\nint x;\n```"));
    CHECK(!prompt_set_is_feedback("Why does my program crash?"));
    CHECK(!prompt_set_is_feedback("Explain this.\n```c\nint x;\n```"));
}

/* ---- sets ---------------------------------------------------------------------------------------------------------------------------------------- */

static json_t *prompt(const char *text) { return json_pack("{s:s, s:s, s:s}", "prompt", text, "slice", "instruction", "language", "python"); }
static int64_t counted(const struct prompt_set *s, const char *name) { return json_integer_value(json_object_get(s->counts, name)); }

TEST(duplicates_and_ids)
{
    struct prompt_set s;
    prompt_set_open(&s, 1);
    CHECK(prompt_set_add(&s, prompt("Write a program that prints all prime numbers below one thousand, each on a line of its own, without any library.")));
    CHECK(!prompt_set_add(&s, prompt("write a program that PRINTS all prime numbers\nbelow one thousand, each  on a line of its own, without any library.")));
    CHECK(!prompt_set_add(&s, prompt("Write a program that prints all prime numbers below one thousand, each on a line of its own, without any library. Now.")));
    CHECK(prompt_set_add(&s, prompt("Write a program that draws a triangle.")));
    CHECK_INT(counted(&s, "duplicate"), 1);
    CHECK_INT(counted(&s, "near_duplicate"), 1);
    json_t *twin = prompt("Another one about squares and circles.");
    json_object_set_new(twin, "id", json_string("instruction-1"));
    CHECK(prompt_set_add(&s, twin));
    CHECK_STR(text_of(s.at[0].row, "id"), "instruction-1");
    CHECK_STR(text_of(s.at[1].row, "id"), "instruction-2");
    CHECK_STR(text_of(s.at[2].row, "id"), "instruction-1-2");
    prompt_set_close(&s);
}

static void fill(struct prompt_set *s, size_t n, const char *slice, const char *language)
{
    static const char *const words[] = { "apple", "river", "stone", "cloud", "tiger", "spoon", "piano", "tower", "glass", "bread" };
    for (size_t i = 0; i < n; i++) {
        char text[400];
        size_t k = i * 7 + 13 * strlen(language) + 31 * strlen(slice);
        snprintf(text, sizeof text, "%s %s %zu about %s and %s number %zu with %s %zu then %s %zu", slice, language, i, words[k % 10], words[k / 10 % 10], k * 17, words[(k + 3) % 10], k * 31 + i, words[(k + 5) % 10], k + i * 97);
        json_t *row = prompt(text);
        json_object_set_new(row, "slice", json_string(slice));
        json_object_set_new(row, "language", json_string(language));
        CHECK(prompt_set_add(s, row));
    }
}

TEST(mix_and_balance)
{
    struct prompt_set s;
    char *first = NULL;
    for (int round = 0; round < 3; round++) {
        size_t feedback = 0, of[3] = { 0 };
        struct buf b;
        prompt_set_open(&s, round == 2 ? 6 : 5);
        fill(&s, 60, "instruction", "python");
        fill(&s, 20, "instruction", "c");
        fill(&s, 5, "instruction", "rust");
        fill(&s, 30, "feedback", "python");
        CHECK_OK(prompt_set_choose(&s, 60, 0.25, err));
        CHECK_INT(s.n, 60);
        for (size_t i = 0; i < s.n; i++) {
            feedback += s.at[i].is_feedback;
            if (!s.at[i].is_feedback) of[!strcmp(s.at[i].language, "python") ? 0 : !strcmp(s.at[i].language, "c") ? 1 : 2]++;
        }
        CHECK_INT(feedback, 15);
        CHECK_INT(of[0], 20);
        CHECK_INT(of[1], 20);
        CHECK_INT(of[2], 5);
        buf_init(&b, 0);
        prompt_set_lines(&b, &s);
        if (round == 0) first = mem_strdup(b.data);
        else CHECK((strcmp(first, b.data) == 0) == (round == 1));          /* the same by the same seed alone */
        buf_release(&b);
        CHECK_FAILS(prompt_set_choose(&s, 100, 0.25, err), SC_E_ARGUMENT, "there are 45 instructions and 15 questions about somebody's code, but 100 prompts with --feedback 0.25 need 75 and 25");
        prompt_set_close(&s);
    }
    mem_free(first);
}

TEST(against_training_data)
{
    struct prompt_set s;
    char *train = scratch_file("train.jsonl", "{\"messages\":[{\"role\":\"user\",\"content\":\"Please write a program that prints all prime numbers below one thousand each on a line\"},{\"role\":\"assistant\",\"content\":\"No.\"}]}\n");
    prompt_set_open(&s, 1);
    prompt_set_add(&s, prompt("Write a program that prints all prime numbers below one thousand, each on a line."));
    prompt_set_add(&s, prompt("Write a program that draws a red triangle and a green circle on a blue ground."));
    CHECK_OK(prompt_set_against(&s, 0, train, err));
    CHECK_INT(s.n, 1);
    CHECK_INT(counted(&s, "overlap"), 1);
    CHECK(strstr(text_of(s.at[0].row, "prompt"), "triangle") != NULL);
    CHECK_FAILS(prompt_set_against(&s, 0, "/absent", err), SC_E_IO, "/absent");
    prompt_set_close(&s);
    mem_free(train);
}

/* ---- what a model wrote ------------------------------------------------------------------------------------------------------------------------------- */

static void reply(int line, const char *text, const char *expected)
{
    json_t *row = NULL;
    sc_error err = { 0 };
    sc_status status = prompt_set_reply(&row, text, strlen(text), &err);
    if (!expected && (status == SC_OK || !err.message[0])) test_failed(__FILE__, line, "a prompt was found in %s", text);
    if (expected && (status != SC_OK || strcmp(text_of(row, "prompt"), expected) != 0)) test_failed(__FILE__, line, "\"%s\", expected \"%s\"", status == SC_OK ? text_of(row, "prompt") : err.message, expected);
    if (row) CHECK_STR(text_of(row, "review"), "pending");
    json_decref(row);
}
#define REPLY(...) reply(__LINE__, __VA_ARGS__)

TEST(replies)
{
    REPLY("{\"prompt\":\"Sort a list in Go.\"}", "Sort a list in Go.");
    REPLY("Sure:\n```json\n{\"prompt\": \"Use {} in C\", \"level\": {\"x\": 1}}\n```\nGood luck!", "Use {} in C");
    REPLY("{\"prompt\":\"a\"} and {\"prompt\":\"b\"}", NULL);
    REPLY("{\"prompt\":7}", NULL);
    REPLY("{\"prompt\":\"   \"}", NULL);
    REPLY("{\"prompt\":\"a\\u0000b\"}", NULL);
    REPLY("[]", NULL);
    REPLY("}{", NULL);
    REPLY("", NULL);
}

/* ---- reviews -------------------------------------------------------------------------------------------------------------------------------------------- */

struct script { const sc_review *review; size_t n; const char *text; };
static sc_review decide(void *user, const char *json, size_t i, size_t n, sc_text *text)
{
    struct script *s = user;
    CHECK(strstr(json, "\"pending\"") != NULL);
    CHECK_INT(i, s->n);
    CHECK_INT(n, 4);
    sc_review review = s->review[s->n++];
    if (review == SC_REVIEW_CHANGE) *text = (sc_text){ mem_strdup(s->text), strlen(s->text) };
    return review;
}

TEST(reviews)
{
    static const sc_review all[] = { SC_REVIEW_ACCEPT, SC_REVIEW_REJECT, SC_REVIEW_SKIP, SC_REVIEW_CHANGE };
    char *path = scratch_file("p.jsonl", "{\"id\":\"a\",\"prompt\":\"A\"}\n{\"id\":\"b\",\"prompt\":\"B\",\"review\":\"pending\"}\n{\"id\":\"c\",\"prompt\":\"C\",\"review\":\"pending\"}\n{\"id\":\"d\",\"prompt\":\"D\",\"review\":\"pending\"}\n"
                                         "{\"id\":\"e\",\"turns\":[\"E\",\"F\"],\"reference\":\"R\",\"review\":\"pending\"}\n");
    struct judge_prompts p;
    struct script s = { all, 0, "New\n" };
    size_t left = 9;
    CHECK_OK(judge_prompts_read(&p, path, err));
    CHECK_INT(p.n, 1);                                         /* what nobody looked at is not asked */
    judge_prompts_release(&p);
    CHECK_OK(sc_judge_prompts_review(&left, path, decide, &s, err));
    CHECK_INT(left, 1);
    CHECK_INT(s.n, 4);
    CHECK_OK(judge_prompts_read(&p, path, err));
    CHECK_INT(p.n, 3);
    CHECK_STR(judge_prompts_find(&p, "e")->turn[0], "New");
    CHECK_INT(judge_prompts_find(&p, "e")->n_turns, 1);
    CHECK_INT(judge_prompts_find(&p, "e")->n_references, 0);
    CHECK(!judge_prompts_find(&p, "c") && !judge_prompts_find(&p, "d"));
    judge_prompts_release(&p);
    CHECK_FAILS(sc_judge_prompts_review(&left, "p.json", decide, &s, err), SC_E_ARGUMENT, "is no .jsonl file");
    mem_free(path);
}

TEST(review_ends_and_refuses)
{
    static const sc_review stop[] = { SC_REVIEW_ACCEPT, SC_REVIEW_END }, bad[] = { SC_REVIEW_CHANGE };
    char *path = scratch_file("p.jsonl", "{\"id\":\"b\",\"prompt\":\"B\",\"review\":\"pending\"}\n{\"id\":\"c\",\"prompt\":\"C\",\"review\":\"pending\"}\n{\"id\":\"d\",\"prompt\":\"D\",\"review\":\"pending\"}\n{\"id\":\"e\",\"prompt\":\"E\",\"review\":\"pending\"}\n");
    struct script s = { bad, 0, " \n" };
    size_t left;
    CHECK_FAILS(sc_judge_prompts_review(&left, path, decide, &s, err), SC_E_FORMAT, "empty");
    CHECK_INT(left, 4);
    s = (struct script){ stop, 0, NULL };
    CHECK_OK(sc_judge_prompts_review(&left, path, decide, &s, err));
    CHECK_INT(left, 3);
    CHECK_INT(s.n, 2);
    mem_free(path);
}
