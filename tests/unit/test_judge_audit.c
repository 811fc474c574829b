/* test_judge_audit.c - files of judgements, and audits: judges with planted faults are found out, good ones pass. */
#include "audit_fixture.h"

/* ---- planted judges ------------------------------------------------------------------------------------------------------------------------------- */

struct plan { const char *judge, *protocol; struct judgements all; };

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

/* tuned is nearly always better, and its answers are nearly always longer, though not in the same prompts: who sees worth is not who counts words. */
static bool is_tuned_longer(int id) { return id % 16 != 1; }
static enum judge_winner worth(int id, bool is_swapped, double length[2])
{
    length[is_swapped] = is_tuned_longer(id) ? 300 : 500;
    length[!is_swapped] = 400;
    return (id % 40 != 0) == is_swapped ? WINNER_A : WINNER_B;
}
static enum judge_winner words(int id, bool is_swapped, double length[2])
{
    worth(id, is_swapped, length);
    return longer(id, is_swapped, length);
}

TEST(better_answers_that_are_longer_refuse_nobody)
{
    json_t *audit = pair_judge(worth, 80);
    const json_t *j = judge_at(audit, 0), *length = json_object_get(j, "length");
    CHECK(number(length, "longer_share") > 0.91 && number(length, "weaker_longer") == 5 && number(length, "weaker_longer_won") == 0);
    CHECK(trusted(j) && found(j, "always-longer") < 0 && found(j, "prefers-longer") == 0);
    json_decref(audit);
    audit = pair_judge(words, 80);
    j = judge_at(audit, 0);
    length = json_object_get(j, "length");
    CHECK(number(length, "longer_share") == 1 && number(length, "weaker_longer") == 5 && number(length, "weaker_longer_won") == 5);
    CHECK(!trusted(j) && found(j, "always-longer") == 1);
    json_decref(audit);
}

TEST(judges_of_chance_are_refused)
{
    json_t *audit = pair_judge(coin, 150);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "random") == 1);
    json_decref(audit);
    audit = pair_judge(dice, 150);
    CHECK(!trusted(judge_at(audit, 0)) && found(judge_at(audit, 0), "random") == 1 && found(judge_at(audit, 0), "inconsistent") < 0);
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

/* Of 40 questions ten had no verdict at first; and a trick question too. */
TEST(what_was_asked_again_counts_once)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 20; i++)
        for (int swap = 0; swap < 2; swap++) {
            const char *a = swap ? "b" : "a", *b = swap ? "a" : "b";
            if (i < 5) call(&all, "j", "starchat", i, a, b)->error = copy("no scores");
            score_pair(call(&all, "j", "starchat", i, a, b), swap ? 2 + i % 4 : 8 - i % 3, swap ? 8 - i % 3 : 2 + i % 4);
        }
    for (int i = 0; i < 6; i++) {
        struct judgement *j = call(&all, "j", "starchat", i, "m", "m");
        j->error = copy("no scores");
        j->canary = copy("mismatched");
        canary(&all, "j", "mismatched", i, 0, 1, 7);
    }
    call(&all, "j", "starchat", 99, "a", "b")->error = copy("no scores, twice");
    call(&all, "j", "starchat", 99, "a", "b")->error = copy("no scores, twice");
    json_t *audit = audited(&all);
    const json_t *j = judge_at(audit, 0), *tricks = json_object_get(json_object_get(j, "canaries"), "mismatched");
    CHECK_INT(number(j, "calls"), 41);
    CHECK_INT(number(j, "failed"), 1);
    CHECK_INT(number(j, "asked_again"), 17);
    CHECK_INT(number(tricks, "n"), 6);
    CHECK_INT(number(tricks, "caught"), 6);
    CHECK(trusted(j) && found(j, "unparseable") == 0);        /* 1 of 41 */
    json_decref(audit);
}

/* People gave winners and scores under one name; a judge of the user's own protocol begins with a call that has none. */
TEST(one_and_two_answers_are_measured_apart)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 12; i++) {
        decide(call(&all, "anna", "people", i, "a", "b"), i % 2 ? WINNER_A : WINNER_B);
        struct judgement *j = call(&all, "anna", "people", i, "a", NULL);
        j->opinion.n_scores = 1;
        j->opinion.score[0] = 1 + i % 5;
    }
    call(&all, "j", "mine", 0, "a", "b")->error = copy("no scores");
    for (int i = 1; i < 9; i++) score_pair(call(&all, "j", "mine", i, "a", "b"), 12, 3);
    all.low = 1;
    all.high = 10;
    json_t *audit = audited(&all);
    CHECK_INT(json_array_size(json_object_get(audit, "judges")), 3);
    CHECK_INT(number(judge_at(audit, 0), "calls"), 12);
    CHECK_INT(number(judge_at(audit, 1), "calls"), 12);
    CHECK_INT(number(judge_at(audit, 2), "out_of_range"), 8);
    json_decref(audit);
}

/* Both orders of a pair say it once, and a judge that is sure of place is no dice. */
TEST(both_orders_are_one_witness)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 20; i++)
        for (int swap = 0; swap < 2; swap++) {
            struct judgement *j = call(&all, "steady", "fastchat-pair", i, swap ? "b" : "a", swap ? "a" : "b");
            decide(j, (i % 4 > 0) != swap ? WINNER_A : WINNER_B);
            j->length[swap] = 500;
            j->length[!swap] = 300;
            decide(call(&all, "first", "fastchat-pair", i, swap ? "b" : "a", swap ? "a" : "b"), WINNER_A);
        }
    json_t *audit = audited(&all);
    const json_t *steady = judge_at(audit, 0), *first = judge_at(audit, 1), *length = json_object_get(steady, "length"), *slot = json_object_get(first, "slot");
    CHECK_INT(number(length, "n"), 20);
    CHECK_INT(number(length, "longer"), 15);
    CHECK_INT(number(length, "shorter"), 5);
    CHECK(found(steady, "always-longer") < 0 && number(json_object_get(steady, "slot"), "p") > 0.99);
    CHECK(number(slot, "low") > 0.83 && number(slot, "low") < 0.85 && number(slot, "p") < 1e-5);                 /* Wilson's of 20, not of 40 */
    CHECK(found(first, "always-first") == 1 && found(first, "random") < 0 && found(first, "inconsistent") == 1);
    json_decref(audit);
}

static const json_t *agreement_of(const json_t *audit, const char *a, const char *b, const char *kind)
{
    const json_t *row;
    size_t i;
    json_array_foreach(json_object_get(audit, "agreement"), i, row)
        if (!strcmp(json_string_value(json_object_get(row, "a")), a) && !strcmp(json_string_value(json_object_get(row, "b")), b) && !strcmp(json_string_value(json_object_get(row, "kind")), kind)) return row;
    return NULL;
}

/* A judge says what it says of a pair in both orders; where one has no verdict it says nothing, neither to other judges nor about length. */
TEST(an_order_without_a_verdict_is_no_opinion)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 20; i++)
        for (int swap = 0; swap < 2; swap++)
            for (int k = 0; k < 2; k++) {
                struct judgement *j = call(&all, k ? "other" : "j", "fastchat-pair", i, swap ? "b" : "a", swap ? "a" : "b");
                j->length[swap] = 500;
                j->length[!swap] = 300;
                if (i < 15 || k || !swap) decide(j, (i % 4 > 0) != swap ? WINNER_A : WINNER_B);
                else j->error = copy("no verdict");
            }
    json_t *audit = audited(&all);
    CHECK_INT(number(agreement_of(audit, "j", "other", "verdicts"), "n"), 15);
    CHECK_INT(number(json_object_get(judge_at(audit, 0), "length"), "n"), 15);
    CHECK_INT(number(json_object_get(judge_at(audit, 1), "length"), "n"), 20);
    CHECK_INT(number(json_object_get(judge_at(audit, 0), "swap"), "pairs"), 15);
    json_decref(audit);
}

/* Several people under one name: what more of them chose, alike for either answer; and panels of pairs and of scores are two. */
TEST(people_of_one_name_vote)
{
    struct judgements all = { 0 };
    for (int i = 0; i < 12; i++) {
        enum judge_winner most = i % 3 == 0 ? WINNER_A : i % 3 == 1 ? WINNER_B : WINNER_TIE, less = most == WINNER_A ? WINNER_B : WINNER_A;
        for (int k = 0; k < 3; k++) decide(call(&all, "crowd", "people", i, "a", "b"), k < 2 ? most : less);
        for (int k = 0; k < 2; k++) decide(call(&all, k ? "anna" : "ben", "people", i, "a", "b"), most);
        for (int k = 0; k < 3; k++) {
            struct judgement *j = call(&all, (const char *[]){ "crowd", "anna", "ben" }[k], "people", i, "a", NULL);
            j->opinion.n_scores = 1;
            j->opinion.score[0] = 1 + i % 5;
        }
    }
    json_t *audit = audited(&all);
    const json_t *row = agreement_of(audit, "crowd", "ben", "verdicts"), *panels = json_object_get(audit, "panels");
    CHECK_INT(number(row, "n"), 12);
    CHECK(fabs(number(row, "exact") - 1) < 1e-12 && fabs(number(row, "kappa") - 1) < 1e-12);
    CHECK_INT(json_array_size(panels), 2);
    CHECK_STR(json_string_value(json_object_get(json_array_get(panels, 0), "kind")), "verdicts");
    CHECK_STR(json_string_value(json_object_get(json_array_get(panels, 1), "kind")), "scores");
    for (size_t i = 0; i < 2; i++) CHECK(json_array_size(json_object_get(json_array_get(panels, i), "judges")) == 3 && fabs(number(json_array_get(panels, i), "alpha") - 1) < 1e-12);
    CHECK(fabs(number(json_array_get(panels, 0), "fleiss") - 1) < 1e-12);
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
    CHECK_FAILS(judgements_read(&all, write_file("f.jsonl", "{\"judge\":\"j\",\"protocol\":\"p\",\"id\":1,\"models\":[\"a\"],\"scores\":[5,6]}\n"), NULL, NULL, err), SC_E_FORMAT, "\"scores\" has 2");
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
