/* test_judge_audit.c - files of judgements, and audits: judges with planted faults are found out, good ones pass, published numbers come out again. */
#include "judge/judge_internal.h"
#include "test.h"

/* ---- planted judges ------------------------------------------------------------------------------------------------------------------------------- */

struct plan { const char *judge, *protocol; struct judgements all; };

static char *copy(const char *text) { return text ? mem_strdup(text) : NULL; }

static struct judgement *call(struct judgements *all, const char *judge, const char *protocol, int id, const char *a, const char *b)
{
    struct judgement *j;
    char name[20];
    if (!all->n) all->low = all->high = NAN;
    all->at = mem_grow(all->at, (all->n + 1) * sizeof *all->at);
    judgement_begin(j = &all->at[all->n++]);
    snprintf(name, sizeof name, "q%d", id);
    j->judge = copy(judge);
    j->protocol = copy(protocol);
    j->id = copy(name);
    j->model[0] = copy(a);
    j->model[1] = copy(b);
    return j;
}

static void decide(struct judgement *j, enum judge_winner w) { j->opinion.winner = w; }

static void score_pair(struct judgement *j, double a, double b)
{
    j->opinion.n_scores = 2;
    j->opinion.score[0] = a;
    j->opinion.score[1] = b;
    j->opinion.winner = a > b ? WINNER_A : a < b ? WINNER_B : WINNER_TIE;
}

static json_t *audited(struct judgements *all)
{
    json_t *out = NULL;
    CHECK_OK(judge_audit(&out, all, 1, err));
    judgements_release(all);
    return out;
}

static const json_t *judge_at(const json_t *audit, size_t i) { return json_array_get(json_object_get(audit, "judges"), i); }

/* 1: refuses, 0: warns, -1: not found. */
static int found(const json_t *judge, const char *name)
{
    const json_t *f;
    size_t i;
    json_array_foreach(json_object_get(judge, "findings"), i, f)
        if (!strcmp(json_string_value(json_object_get(f, "name")), name)) return json_is_true(json_object_get(f, "refuses"));
    return -1;
}

static bool trusted(const json_t *judge) { return json_is_true(json_object_get(judge, "is_calibrated")); }
static double number(const json_t *o, const char *key) { return json_number_value(json_object_get(o, key)); }

/* Both orders of n prompts; who wins is said by `choose`, of places. */
typedef enum judge_winner choose(int id, bool is_swapped, double length[2]);
static json_t *pair_judge(choose *who, int n)
{
    struct judgements all = { 0 };
    for (int i = 0; i < n; i++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            struct judgement *j = call(&all, "j", "fastchat-pair", i, swapped ? "tuned" : "base", swapped ? "base" : "tuned");
            double length[2] = { 100 + 400 * random_unit(1, 2, (uint64_t)i), 100 + 400 * random_unit(1, 3, (uint64_t)i) };
            j->length[0] = length[swapped];
            j->length[1] = length[!swapped];
            decide(j, who(i, swapped, j->length));
        }
    }
    return audited(&all);
}

/* tuned is better in 70 of 100 prompts, and the judge sees it nine times out of ten. */
static enum judge_winner good(int id, bool is_swapped, double length[2])
{
    (void)length;
    bool tuned = (random_unit(9, 0, (uint64_t)id) < 0.7) == (random_unit(9, 1 + is_swapped, (uint64_t)id) < 0.9);
    return tuned == is_swapped ? WINNER_A : WINNER_B;
}
static enum judge_winner first(int id, bool is_swapped, double length[2]) { (void)length; return random_unit(9, 3 + is_swapped, (uint64_t)id) < 0.95 ? WINNER_A : WINNER_B; }
static enum judge_winner second(int id, bool is_swapped, double length[2]) { (void)length; return random_unit(9, 5 + is_swapped, (uint64_t)id) < 0.95 ? WINNER_B : WINNER_A; }
static enum judge_winner longer(int id, bool is_swapped, double length[2]) { (void)id; (void)is_swapped; return length[0] > length[1] ? WINNER_A : WINNER_B; }
static enum judge_winner coin(int id, bool is_swapped, double length[2]) { (void)length; return random_unit(9, 7 + is_swapped, (uint64_t)id) < 0.5 ? WINNER_A : WINNER_B; }
static enum judge_winner dice(int id, bool is_swapped, double length[2]) { (void)length; return (enum judge_winner)(WINNER_A + random_u32(9, 11 + is_swapped, (uint64_t)id) % 3); }

TEST(a_good_judge_passes)
{
    json_t *audit = pair_judge(good, 100);
    const json_t *j = judge_at(audit, 0);
    CHECK(trusted(j) && found(j, "always-first") < 0 && found(j, "random") < 0 && found(j, "unchecked") < 0);
    CHECK(number(json_object_get(j, "swap"), "share") > 0.7);
    CHECK_INT(number(json_object_get(j, "swap"), "pairs"), 100);
    json_decref(audit);
}

TEST(judges_of_places_are_refused)
{
    json_t *audit = pair_judge(first, 60);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "always-first") == 1);
    json_decref(audit);
    audit = pair_judge(second, 60);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "always-second") == 1 && found(judge_at(audit, 0), "always-first") < 0);
    json_decref(audit);
}

TEST(judges_of_length_are_refused)
{
    json_t *audit = pair_judge(longer, 60);
    const json_t *j = judge_at(audit, 0);
    CHECK(!trusted(j) && found(j, "always-longer") == 1 && found(j, "always-first") < 0);
    CHECK(number(json_object_get(j, "length"), "slope") > 0.5 && number(json_object_get(j, "length"), "low") > 0);
    json_decref(audit);
}

TEST(judges_of_chance_are_refused)
{
    json_t *audit = pair_judge(coin, 150);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "random") == 1);
    json_decref(audit);
    audit = pair_judge(dice, 150);
    CHECK(!trusted(judge_at(audit, 0)) && (found(judge_at(audit, 0), "random") == 1 || found(judge_at(audit, 0), "inconsistent") == 1));
    json_decref(audit);
    struct judgements all = { 0 };                            /* scores of one answer: three judges that see worth, one that throws dice */
    for (int i = 0; i < 200; i++) {
        double worth = 1 + 7 * random_unit(4, 0, (uint64_t)i);
        for (int k = 0; k < 4; k++) {
            struct judgement *j = call(&all, (const char *[]){ "a", "b", "c", "dice" }[k], "fastchat-single", i, "m", NULL);
            double noise = 2 * random_unit(4, 1 + (uint64_t)k, (uint64_t)i) - 1, x = k < 3 ? worth + noise : 1 + 9 * random_unit(4, 9, (uint64_t)i);
            j->opinion.n_scores = 1;
            j->opinion.score[0] = floor(x + 0.5);
        }
    }
    audit = audited(&all);
    for (size_t k = 0; k < 4; k++) CHECK(trusted(judge_at(audit, k)) == (k < 3));
    CHECK(found(judge_at(audit, 3), "random") == 1);
    CHECK_INT(json_array_size(json_object_get(audit, "agreement")), 6);
    CHECK(number(json_array_get(json_object_get(audit, "panels"), 0), "items") > 199);
    json_decref(audit);
}

TEST(judges_of_the_middle_are_refused)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 60; i++) {
        score_pair(call(&all, "middle", "starchat", i, "a", "b"), 4 + i % 2, 4 + i % 3 % 2);
        score_pair(call(&all, "one", "starchat", i, "a", "b"), 7, 7);
        score_pair(call(&all, "fine", "starchat", i, "a", "b"), 1 + i % 8, 1 + i * 3 % 8);
    }
    json_t *audit = audited(&all);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "middle-only") == 1);
    CHECK(!trusted(judge_at(audit, 1)) && found(judge_at(audit, 1), "same-score") == 1);
    CHECK(trusted(judge_at(audit, 2)) && found(judge_at(audit, 2), "one-order") == 0 && found(judge_at(audit, 2), "unchecked") == 0);
    CHECK(fabs(number(judge_at(audit, 0), "middle_share") - 1) < 1e-12 && fabs(number(judge_at(audit, 1), "entropy")) < 1e-12);
    json_decref(audit);
}

TEST(judges_that_fail_are_refused)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 100; i++) {
        struct judgement *j = call(&all, "mute", "fastchat-pair", i, "a", "b");
        if (i % 5) decide(j, 1 + i % 3);
        else j->error = copy("there is no verdict in the text");
        j = call(&all, "wide", "starchat", i, "a", "b");
        score_pair(j, 1 + i % 8, 1 + i * 3 % 8);
        if (i % 10) continue;
        j->opinion.score[0] = 9;
        j->error = copy("the score 9 is outside the range, expected 1 to 8");
        j->marks = 1;
    }
    json_t *audit = audited(&all);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "unparseable") == 1);
    CHECK(!trusted(judge_at(audit, 1)) && found(judge_at(audit, 1), "out-of-range") == 1 && found(judge_at(audit, 1), "marked-answers") == 0);
    CHECK_INT(number(judge_at(audit, 1), "out_of_range"), 10);
    CHECK_INT(number(judge_at(audit, 0), "failed"), 20);
    json_decref(audit);
}

TEST(judges_that_contradict_themselves_are_refused)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 60; i++) {
        struct judgement *j = call(&all, "j", "starchat", i, "a", "b");
        score_pair(j, i % 2 ? 7 : 3, i % 2 ? 3 : 7);
        j->text = copy((i % 2) == (i % 5 > 0) ? "7 3\nAssistant 1's code is better." : "7 3\nOverall, the second answer is better, since it runs.");
    }
    json_t *audit = audited(&all);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "contradictory") == 1);
    CHECK_INT(number(json_object_get(judge_at(audit, 0), "contradictions"), "n"), 12);
    CHECK_INT(number(json_object_get(judge_at(audit, 0), "contradictions"), "of"), 60);
    json_decref(audit);
}

static void canary(struct judgements *all, const char *judge, const char *kind, int id, int slot, double bad, double fine)
{
    struct judgement *j = call(all, judge, "starchat", id, "m", "m");
    score_pair(j, slot ? fine : bad, slot ? bad : fine);
    j->canary = copy(kind);
    j->canary_slot = slot;
}

TEST(canaries_are_counted)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 6; i++) {
        canary(&all, "sees", "mismatched", i, i % 2, 1 + i % 2, 6);
        canary(&all, "sees", "empty", i, i % 2, 1, 5);
        canary(&all, "sees", "truncated", i, i % 2, 4, 6);
        canary(&all, "sees", "identical", i, 0, 6, 6);
        canary(&all, "sees", "mismatched", 10 + i, i % 2, 2, 2);       /* nothing to tell apart: both are worthless */
        canary(&all, "blind", "mismatched", i, i % 2, 6, 6);
        canary(&all, "blind", "empty", i, i % 2, 4, 6);                /* worse, but 4 of 8 for nothing at all */
        canary(&all, "blind", "truncated", i, i % 2, 7, 6);
        canary(&all, "blind", "identical", i, 0, 6, 5);
    }
    json_t *audit = audited(&all);
    const json_t *sees = judge_at(audit, 0), *blind = judge_at(audit, 1);
    CHECK(trusted(sees) && found(sees, "unchecked") < 0 && !trusted(blind) && found(blind, "fails-canaries") == 1);
    CHECK(found(blind, "misses-truncated") == 0 && found(blind, "misses-identical") == 0);
    static const char *const kinds[] = { "mismatched", "empty", "truncated", "identical" };
    for (size_t i = 0; i < 4; i++) {
        CHECK_INT(number(json_object_get(json_object_get(sees, "canaries"), kinds[i]), "caught"), 6);
        CHECK_INT(number(json_object_get(json_object_get(blind, "canaries"), kinds[i]), "caught"), 0);
    }
    CHECK_INT(number(sees, "calls"), 0);                       /* trick questions are no part of the measurements */
    json_decref(audit);
}

TEST(calls_made_twice_are_compared)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 20; i++) {
        score_pair(call(&all, "j", "starchat", i, "a", "b"), 5, 3);
        score_pair(call(&all, "j", "starchat", i, "a", "b"), i < 5 ? 7 : 5, 3);
    }
    json_t *audit = audited(&all);
    const json_t *repeats = json_object_get(judge_at(audit, 0), "repeats");
    CHECK_INT(number(repeats, "pairs"), 20);
    CHECK_INT(number(repeats, "same"), 15);
    CHECK(fabs(number(repeats, "mean_difference") - 0.5) < 1e-12);
    json_decref(audit);
}

/* ---- words ------------------------------------------------------------------------------------------------------------------------------------------ */

TEST(words_say_who_is_better)
{
    static const struct { const char *text; enum judge_winner side; } cases[] = {
        { "Therefore, Assistant A's response is better.", WINNER_A }, { "Assistant 2 is slightly better overall.", WINNER_B }, { "the second response was superior.", WINNER_B },
        { "Assistant B provided a more accurate and helpful response.", WINNER_B }, { "Assistant 1 outperformed Assistant 2.", WINNER_A }, { "Response 1 is less helpful.", WINNER_B },
        { "Assistant A is not better.", WINNER_NONE }, { "\"[[A]]\" if assistant A is better, \"[[B]]\" if assistant B is better", WINNER_NONE }, { "Assistant A and Assistant B are good. Assistant A and Assistant B is better.", WINNER_NONE },
        { "Assistant A is better at names. Assistant A is better structured.", WINNER_NONE }, { "Assistant A is better. No: Assistant B is better.", WINNER_NONE }, { "Assistant A is more detailed.", WINNER_NONE },
        { "Assistant A is more accurate, but Assistant B is the better choice.", WINNER_B }, { "", WINNER_NONE }, { "I prefer Assistant 2.", WINNER_B }, { "It is hard to say which assistant A is better.", WINNER_NONE },
    };
    struct audit_words *w = audit_words_open();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        enum judge_winner side = audit_words_side(w, cases[i].text, strlen(cases[i].text));
        if (side != cases[i].side) test_failed(__FILE__, __LINE__, "\"%s\" is read as %d, expected %d", cases[i].text, side, cases[i].side);
    }
    audit_words_close(w);
}

/* ---- files ---------------------------------------------------------------------------------------------------------------------------------------------- */

static struct judgements read_all(const char *const *paths, size_t n)
{
    struct judgements all = { 0 };
    for (size_t i = 0; i < n; i++) CHECK_OK(judgements_read(&all, paths[i], NULL, NULL, err));
    return all;
}

static const char *write_file(const char *name, const char *text)
{
    static char path[4][400];
    static int turn;
    turn = (turn + 1) % 4;
    snprintf(path[turn], sizeof path[turn], "%s/%s", test_scratch(), name);
    CHECK_OK(file_write(path[turn], text, strlen(text), err));
    return path[turn];
}

TEST(our_own_lines_come_back)
{
    struct judgements all = { 0 }, back = { 0 };
    struct buf lines;
    score_pair(call(&all, "j", "starchat", 1, "a", "b"), 7, 5.5);
    all.at[0].text = copy("7 5.5\nwhy");
    all.at[0].slice = copy("feedback");
    all.at[0].length[0] = 120;
    all.at[0].style[0] = all.at[0].style[1] = (struct judge_style){ 30, 1, 2, 3 };
    all.at[0].marks = 2;
    decide(call(&all, "j", "fastchat-pair", 2, "a", "b"), WINNER_TIE);
    all.at[1].turn = 2;
    call(&all, "j", "starchat", 3, "a", "a")->error = copy("the first line is empty");
    all.at[2].canary = copy("empty");
    all.at[2].canary_slot = 1;
    call(&all, "j", "fastchat-single", 4, "a", NULL)->opinion.n_scores = 1;
    all.at[3].opinion.score[0] = 3;
    buf_init(&lines, 0);
    for (size_t i = 0; i < all.n; i++) {
        json_t *one = judgement_json(&all.at[i]);
        char *text = json_dumps(one, JSON_COMPACT);
        buf_printf(&lines, "%s\n", text);
        free(text);
        json_decref(one);
    }
    write_file("judgements.jsonl", lines.data);
    write_file("prompts.jsonl", "{\"id\":\"q1\",\"prompt\":\"not a judgement\"}\n");
    CHECK_OK(judgements_read(&back, test_scratch(), NULL, NULL, err));
    CHECK_INT(back.n, 4);
    CHECK(back.low == 1 && back.high == 10);
    for (size_t i = 0; i < back.n; i++) {
        json_t *before = judgement_json(&all.at[i]), *after = judgement_json(&back.at[i]);
        if (!json_equal(before, after)) test_failed(__FILE__, __LINE__, "%s became %s", json_dumps(before, 0), json_dumps(after, 0));
        json_decref(before);
        json_decref(after);
    }
    CHECK(back.at[0].marks == 2 && back.at[2].canary_slot == 1 && back.at[0].opinion.winner == WINNER_A);
    buf_release(&lines);
    judgements_release(&all);
    judgements_release(&back);
}

TEST(files_of_fastchat)
{
    const char *paths[] = {
        write_file("single.jsonl", "{\"question_id\":81,\"model\":\"m\",\"judge\":[\"gpt-4\",\"single-v1\"],\"user_prompt\":\"p\",\"judgment\":\"Good. Rating: [[9]]\",\"score\":9,\"turn\":1,\"tstamp\":1.5}\n"
                   "{\"question_id\":111,\"model\":\"m\",\"judge\":[\"gpt-4\",\"single-math-v1-multi-turn\"],\"user_prompt\":\"p\",\"judgment\":\"none\",\"score\":-1,\"turn\":2}\n"),
        write_file("pair.jsonl", "{\"question_id\":81,\"model_1\":\"x\",\"model_2\":\"y\",\"g1_winner\":\"model_1\",\"g2_winner\":\"model_2\",\"judge\":[\"gpt-4\",\"pair-v2\"],\"g1_judgment\":\"[[A]]\",\"g2_judgment\":\"[[A]]\",\"turn\":1}\n"
                   "{\"question_id\":82,\"model_1\":\"x\",\"model_2\":\"y\",\"g1_winner\":\"tie\",\"g2_winner\":\"error\",\"judge\":[\"gpt-4\",\"pair-v2\"],\"g1_judgment\":\"[[C]]\",\"g2_judgment\":\"[[A]] [[B]]\",\"turn\":1}\n"),
    };
    struct judgements all = read_all(paths, 2);
    size_t checked;
    CHECK_INT(all.n, 6);
    CHECK_STR(all.at[1].protocol, "fastchat-single-reference");
    CHECK(all.at[1].error && all.at[1].turn == 2 && all.at[0].opinion.score[0] == 9);
    CHECK_STR(all.at[3].model[0], "y");
    CHECK(all.at[2].opinion.winner == WINNER_A && all.at[3].opinion.winner == WINNER_A && all.at[4].opinion.winner == WINNER_TIE && all.at[5].error);
    json_t *differences = judge_differences(&all, &checked);
    CHECK_INT(checked, 6);
    CHECK_INT(json_array_size(differences), 1);
    CHECK_STR(json_string_value(json_object_get(json_array_get(differences, 0), "found")), "B");
    CHECK_STR(json_string_value(json_object_get(json_array_get(differences, 0), "reason")), "the file has no verdict, but the text has one");
    json_decref(differences);
    judgements_release(&all);
    CHECK_OK(judgements_read(&all, paths[1], NULL, "fastchat-pair", err));         /* read again: the text counts */
    CHECK(all.at[3].opinion.winner == WINNER_B && !all.at[3].error);
    judgements_release(&all);
}

TEST(files_that_are_no_judgements)
{
    struct judgements all = { 0 };
    CHECK_FAILS(judgements_read(&all, write_file("a.jsonl", "{\"question_id\":1,\"model_id\":\"m\",\"choices\":[]}\n"), NULL, NULL, err), SC_E_FORMAT, "line 1: is a prompt or an answer, no judgement");
    CHECK_FAILS(judgements_read(&all, write_file("b.jsonl", "{\"x\":1}\n"), NULL, NULL, err), SC_E_FORMAT, "is no judgement of a known shape");
    CHECK_FAILS(judgements_read(&all, write_file("c.jsonl", "{\"judge\":\"j\",\"protocol\":\"p\",\"id\":1,\"models\":[\"a\"]}\n"), NULL, NULL, err), SC_E_FORMAT, "neither \"scores\" nor \"winner\"");
    CHECK_FAILS(judgements_read(&all, write_file("d.jsonl", "{\"judge\":\"j\",\"protocol\":\"p\",\"id\":1,\"models\":[\"a\",\"b\"],\"winner\":\"X\"}\n"), NULL, NULL, err), SC_E_FORMAT, "none of A, B and tie");
    CHECK_FAILS(judgements_read(&all, write_file("e.jsonl", "{\"id\":\"1\",\"model_a\":\"a\",\"model_b\":\"b\",\"winner\":\"c\"}\n"), NULL, NULL, err), SC_E_FORMAT, "none of A, B, tie and the models' names");
    CHECK_FAILS(judgements_read(&all, "/not/there.jsonl", NULL, NULL, err), SC_E_IO, "is not there");
    CHECK_FAILS(judge_audit(&(json_t *){ 0 }, &all, 1, err), SC_E_ARGUMENT, "no judgements");
    judgements_release(&all);
}

TEST(style_of_an_answer)
{
    const char *text = "# Title\n\n- one\n2. two\n  * **three**\n```python\n# no header\n- no item\n```\n**a** b";
    struct judge_style s = judge_style_of(text, strlen(text));
    CHECK(s.headers == 1 && s.lists == 3 && s.bold == 2);
    CHECK(fabs(s.tokens - (8 + 1 + 6 + 7 + 14 + 8) / 4.0) < 1e-12);
    s = judge_style_of("", 0);
    CHECK(s.tokens == 0 && s.lists == 0);
}

/* Excerpts of published files, see tests/golden/judge/README.md. */
TEST(excerpts_of_published_files)
{
    const char *paths[] = { test_path("tests/golden/judge/review_llama_alpaca-13b.jsonl"), test_path("tests/golden/judge/single_grade.jsonl"), test_path("tests/golden/judge/pairwise.jsonl"), test_path("tests/golden/judge/pandalm-7b-testset-v1.json") };
    struct judgements all = read_all(paths, 4);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked);
    CHECK_INT(all.n, 3 + 6 + 6 + 3);
    CHECK_INT(checked, 15);
    CHECK_INT(json_array_size(differences), 2);              /* a solution first, then the scores; two ratings in one text */
    CHECK_STR(json_string_value(json_object_get(json_array_get(differences, 0), "id")), "68");
    CHECK_STR(json_string_value(json_object_get(json_array_get(differences, 1), "id")), "81");
    json_decref(differences);
    judgements_release(&all);
    const char *people[] = { test_path("tests/golden/judge/pandalm-7b-testset-v1.json"), test_path("tests/golden/judge/testset-v1.json") };
    all = read_all(people, 2);
    CHECK_STR(all.at[0].model[0], "bloom-7b");
    CHECK(all.at[0].length[0] == all.at[3].length[0] && all.at[0].length[0] > 0);
    judgements_release(&all);
}

/* ---- all of the shared data: the numbers of facts/evaluation.md, section 4.3 -------------------------------------------------------------------------------- */

static const json_t *judge_named(const json_t *audit, const char *name)
{
    const json_t *j;
    size_t i;
    json_array_foreach(json_object_get(audit, "judges"), i, j)
        if (!strcmp(json_string_value(json_object_get(j, "judge")), name)) return j;
    test_failed(__FILE__, __LINE__, "there is no judge %s", name);
    return NULL;
}

static const json_t *agreement_of(const json_t *audit, const char *a, const char *b)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(audit, "agreement"), i, row) {
        const char *x = json_string_value(json_object_get(row, "a")), *y = json_string_value(json_object_get(row, "b"));
        if ((!strcmp(x, a) && !strcmp(y, b)) || (!strcmp(x, b) && !strcmp(y, a))) return row;
    }
    test_failed(__FILE__, __LINE__, "%s and %s are not compared", a, b);
    return NULL;
}

static void near(int line, const json_t *o, const char *key, double expected, double within)
{
    if (!(fabs(number(o, key) - expected) <= within)) test_failed(__FILE__, line, "%s is %.6f, expected %.6f", key, number(o, key), expected);
}
#define NEAR(...) near(__LINE__, __VA_ARGS__)

static bool data_is_here(const char *what)
{
    char path[300];
    snprintf(path, sizeof path, "../shared/data/eval/%s", what);
    if (test_path(path)) return true;
    printf("skipped: no %s\n", path);
    return false;
}

TEST(published_single_grades)
{
    static const char *const dirs[] = { "qwen/judge_7B", "qwen/judge_14B", "qwen/judge_32B", "gpt/judge_gpt4omini", "gemma4/judge_12B" };
    static const struct { const char *name; int ok, mode, mode_count; double mean, sd, ends; } known[] = {
        { "Qwen2.5-7B-Instruct", 960, 8, 388, 7.81, 1.39, 0.32 }, { "Qwen2.5-14B-Instruct", 960, 9, 345, 7.87, 1.67, 0.47 }, { "Qwen2.5-32B-Instruct", 958, 8, 428, 7.66, 1.68, 0.37 },
        { "gpt-4o-mini", 960, 8, 393, 7.76, 1.59, 0.36 }, { "Gemma-4-12B-it", 957, 10, 416, 7.51, 3.18, 0.83 },
    };
    static const struct { const char *a, *b; double spearman; } pairs[] = { { "Qwen2.5-7B-Instruct", "Gemma-4-12B-it", 0.244 }, { "Qwen2.5-14B-Instruct", "Qwen2.5-32B-Instruct", 0.594 }, { "Qwen2.5-32B-Instruct", "gpt-4o-mini", 0.576 },
        { "Qwen2.5-14B-Instruct", "gpt-4o-mini", 0.486 }, { "Gemma-4-12B-it", "gpt-4o-mini", 0.430 } };
    if (!data_is_here("mt-bench-judged/judgments")) return;
    struct judgements all = { 0 };
    for (size_t i = 0; i < 5; i++) {
        char path[300];
        snprintf(path, sizeof path, "../shared/data/eval/mt-bench-judged/judgments/%s/single_grade", dirs[i]);
        CHECK_OK(judgements_read(&all, test_path(path), NULL, NULL, err));
    }
    CHECK_INT(all.n, 4800);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    CHECK_INT(checked, 4800);
    CHECK_INT(json_array_size(differences), 1);             /* two ratings in one text: the 32B on Mistral, question 81, turn 2 */
    for (size_t i = 0; i < 5; i++) {
        const json_t *j = judge_named(audit, known[i].name);
        CHECK_INT(number(j, "calls"), 960);
        CHECK_INT(number(j, "ok"), known[i].ok);
        CHECK_INT(number(j, "mode"), known[i].mode);
        CHECK_INT(number(j, "mode_count"), known[i].mode_count);
        NEAR(j, "mean", known[i].mean, 0.0055);
        NEAR(j, "sd", known[i].sd, 0.0055);
        NEAR(j, "extreme_share", known[i].ends, 0.0055);
        CHECK(trusted(j));
    }
    for (size_t i = 0; i < 5; i++) NEAR(agreement_of(audit, pairs[i].a, pairs[i].b), "spearman", pairs[i].spearman, 0.0005);
    json_decref(differences);
    json_decref(audit);
}

TEST(published_pairs)
{
    if (!data_is_here("mt-bench-judged/judgments")) return;
    const char *paths[] = { test_path("../shared/data/eval/mt-bench-judged/judgments/qwen/judge_7B/pairwise"), test_path("../shared/data/eval/mt-bench-judged/judgments/qwen/judge_32B/pairwise") };
    struct judgements all = read_all(paths, 2);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    const json_t *small = judge_named(audit, "Qwen2.5-7B-Instruct"), *large = judge_named(audit, "Qwen2.5-32B-Instruct");
    CHECK_INT(checked, 4800);
    CHECK_INT(json_array_size(differences), 0);
    CHECK_INT(number(json_object_get(small, "swap"), "pairs"), 1200);
    CHECK_INT(number(json_object_get(small, "swap"), "consistent"), 249);
    CHECK_INT(number(json_object_get(small, "slot"), "first"), 1741);
    CHECK_INT(number(json_object_get(large, "swap"), "pairs"), 1198);
    CHECK_INT(number(json_object_get(large, "swap"), "consistent"), 827);
    CHECK_INT(number(json_object_get(large, "slot"), "first"), 1387);
    CHECK(!trusted(small) && found(small, "always-first") == 1 && found(small, "inconsistent") == 1);
    CHECK(trusted(large) && found(large, "prefers-first") == 0 && found(large, "inconsistent") == 0);
    json_decref(differences);
    json_decref(audit);
}

TEST(published_reviews)
{
    static const struct { double mean[2]; int wins, ties; } known[] = { { { 7.29, 8.80 }, 76, 1 }, { { 8.30, 8.19 }, 40, 10 }, { { 8.66, 7.97 }, 14, 22 }, { { 6.41, 8.68 }, 77, 0 } };
    if (!data_is_here("vicuna-blog-eval/review")) return;
    const char *path = test_path("../shared/data/eval/vicuna-blog-eval/review/vicuna-13b_20230322-clean-lang");
    struct judgements all = read_all(&path, 1);
    size_t checked;
    json_t *differences = judge_differences(&all, &checked), *audit = audited(&all);
    const json_t *meetings = json_object_get(judge_named(audit, "gpt-4-0328"), "meetings");
    CHECK_INT(checked, 320);
    CHECK_INT(json_array_size(differences), 12);            /* the three questions of mathematics: the solution comes first, the scores were read by people */
    CHECK_INT(json_array_size(meetings), 4);
    for (size_t i = 0; i < 4; i++) {
        const json_t *m = json_array_get(meetings, i);
        NEAR(m, "first_mean", known[i].mean[0], 0.0055);
        NEAR(m, "second_mean", known[i].mean[1], 0.0055);
        CHECK_INT(number(m, "second_better"), known[i].wins);
        CHECK_INT(number(m, "tie"), known[i].ties);
    }
    json_decref(differences);
    json_decref(audit);
}

TEST(published_labels_of_people)
{
    static const struct { const char *a, *b; double exact, kappa; } known[] = { { "annotator1", "annotator2", 0.920, 0.866 }, { "annotator1", "annotator3", 0.934, 0.889 }, { "annotator2", "annotator3", 0.923, 0.871 } };
    if (!data_is_here("pandalm")) return;
    const char *paths[] = { test_path("../shared/data/eval/pandalm/pandalm-7b-testset-v1.json"), test_path("../shared/data/eval/pandalm/gpt-3.5-turbo-testset-v1.json"), test_path("../shared/data/eval/pandalm/testset-v1.json") };
    struct judgements all = read_all(paths, 3);
    json_t *maps = NULL;
    CHECK_OK(judge_calibrate(&maps, &all, 1, err));
    CHECK_INT(json_array_size(maps), 2);
    for (size_t i = 0; i < 2; i++) CHECK(number(json_array_get(maps, i), "mapped_rms") < number(json_array_get(maps, i), "raw_rms"));
    json_t *audit = audited(&all);
    for (size_t i = 0; i < 3; i++) {
        const json_t *row = agreement_of(audit, known[i].a, known[i].b);
        CHECK_INT(number(row, "n"), 791);
        NEAR(row, "exact", known[i].exact, 0.0005);
        NEAR(row, "kappa", known[i].kappa, 0.0005);
    }
    CHECK_INT(number(judge_named(audit, "gpt-3.5-turbo"), "ok"), 774);
    CHECK_INT(number(agreement_of(audit, "pandalm-7b", "annotator1"), "n"), 791);
    json_decref(maps);
    json_decref(audit);
}

/* A judge that is two points too kind, and people: the map takes the two points off again; labels come from lines. */
TEST(maps_to_people)
{
    struct judgements all = { 0 };
    struct buf lines;
    json_t *maps = NULL;
    buf_init(&lines, 0);
    for (int i = 0; i < 60; i++) {
        struct judgement *j = call(&all, "kind", "fastchat-single", i, "m", NULL);
        j->opinion.n_scores = 1;
        j->opinion.score[0] = 3 + i % 8;
        buf_printf(&lines, "{\"id\":\"q%d\",\"model\":\"m\",\"score\":%d}\n", i, 1 + i % 8);
    }
    CHECK_FAILS(judge_calibrate(&maps, &all, 1, err), SC_E_ARGUMENT, "no people's labels");
    CHECK_OK(judgements_read(&all, write_file("labels.jsonl", lines.data), NULL, NULL, err));
    CHECK_OK(judge_calibrate(&maps, &all, 1, err));
    const json_t *map = json_array_get(maps, 0), *steps = json_object_get(map, "map");
    CHECK_INT(json_array_size(maps), 1);
    CHECK_INT(number(map, "n"), 60);
    CHECK(fabs(number(map, "raw_rms") - 2) < 1e-9 && number(map, "mapped_rms") < 1e-9 && fabs(number(map, "raw") - 2) < 1e-9);
    CHECK_INT(json_array_size(steps), 8);
    CHECK(json_number_value(json_array_get(json_array_get(steps, 0), 0)) == 3 && json_number_value(json_array_get(json_array_get(steps, 0), 1)) == 1);
    json_decref(maps);
    json_t *audit = audited(&all);
    const json_t *row = json_array_get(json_object_get(audit, "agreement"), 0);
    CHECK(fabs(number(row, "spearman") - 1) < 1e-12 && fabs(number(row, "bias") - 2) < 1e-12 && number(row, "exact") == 0);
    CHECK(trusted(judge_at(audit, 0)) && !json_array_size(json_object_get(judge_at(audit, 1), "findings")));
    json_decref(audit);
    buf_release(&lines);
}
