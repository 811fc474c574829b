/* judgements_foreign.c - files of judgements that others wrote: FastChat's, of mt-bench-judged's shape, Vicuna's reviews, PandaLM's results and the labels of its annotators.
 *
 * Sources of the shapes: FastChat's gen_judgment.py writes {"question_id","model","judge":[name, prompt],"user_prompt","judgment","score","turn"} and {"model_1","model_2",
 * "g1_winner","g2_winner","g1_judgment","g2_judgment",...}; mt_bench_repro writes both turns, or both orders, into one row; the others are as their data sets hold them. */
#include "judge_internal.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static const char *text_at(const json_t *row, const char *key) { return json_string_value(json_object_get(row, key)); }

static sc_status take(char **out, const json_t *row, const char *key, sc_error *err)
{
    return judge_take_text(out, row, (const char *const[]){ key, NULL }, err);
}

static sc_status need(char **out, const json_t *row, const char *key, sc_error *err)
{
    TRY(take(out, row, key, err));
    return *out ? SC_OK : FAIL(err, SC_E_FORMAT, "has no \"%s\"", key);
}

static void begin(struct judgement *j, const char *judge, const char *protocol, const char *a, const char *b)
{
    judgement_begin(j);
    j->judge = mem_strdup(judge);
    j->protocol = mem_strdup(protocol);
    j->model[0] = mem_strdup(a);
    j->model[1] = b ? mem_strdup(b) : NULL;
}

static void set_error(struct judgement *j, const char *text)
{
    mem_free(j->error);
    j->error = mem_strdup(text);
}

/* The verdict that the file holds: scores (n of them, below 0: none was found), or a winner. */
static void set_stored(struct judgement *j, int n, const double *score, enum judge_winner winner)
{
    bool is_found = n ? score[0] >= 0 && (n < 2 || score[1] >= 0) : winner != WINNER_NONE;
    j->has_stored = true;
    j->stored_score[0] = n ? score[0] : -1;
    j->stored_score[1] = n > 1 ? score[1] : -1;
    j->stored_winner = winner;
    if (!is_found) {
        set_error(j, "the file says that no verdict was found in the text");
        return;
    }
    j->opinion.n_scores = n;
    for (int i = 0; i < n; i++) j->opinion.score[i] = score[i];
    j->opinion.winner = winner;
    if (n == 2) j->stored_winner = j->opinion.winner = score[0] > score[1] ? WINNER_A : score[0] < score[1] ? WINNER_B : WINNER_TIE;
}

/* A score as files hold it: a number; null, a word and what is not finite are no score. */
static double score_of(const json_t *v)
{
    double x = json_is_number(v) ? json_number_value(v) : -1;
    return isfinite(x) ? x : -1;
}

static sc_status take_common(struct judgement *j, const json_t *row, sc_error *err)
{
    TRY(judge_take_text(&j->id, row, (const char *const[]){ "question_id", "idx", NULL }, err));
    if (!j->id) return FAIL(err, SC_E_FORMAT, "has no \"question_id\"");
    return judge_take_text(&j->slice, row, (const char *const[]){ "category", "motivation_app", NULL }, err);
}

static sc_status finish(struct judgement_reading *r, struct judgement *j, sc_status status)
{
    if (status == SC_OK) judgement_add(r, j);
    else judgement_release(j);
    return status;
}

/* ---- mt-bench-judged ------------------------------------------------------------------------------------------------------------------------------- */

/* Both turns in a row. A turn without text and with score -1 was not judged: the grades against references begin with the second. */
static sc_status both_turns(struct judgement_reading *r, const json_t *row, const char *file, sc_error *err)
{
    const char *model = text_at(row, "model_id"), *judge = text_at(row, "judge_id");
    if (!model || !judge) return FAIL(err, SC_E_FORMAT, "has \"judgment_turn1\", but no \"model_id\" or no \"judge_id\"");
    for (int turn = 1; turn <= 2; turn++) {
        struct judgement j;
        char text[32], score[32];
        snprintf(text, sizeof text, "judgment_turn%d", turn);
        snprintf(score, sizeof score, "score_turn%d", turn);
        double found = score_of(json_object_get(row, score));
        const char *said = text_at(row, text);
        if ((!said || !*said) && found < 0) continue;
        begin(&j, judge, strstr(file, "single_grade_ref") ? "fastchat-single-reference" : "fastchat-single", model, NULL);
        j.turn = turn;
        sc_status status = take_common(&j, row, err);
        if (status == SC_OK) status = take(&j.text, row, text, err);
        if (status == SC_OK) set_stored(&j, 1, &found, WINNER_NONE);
        TRY(finish(r, &j, status));
    }
    return SC_OK;
}

/* Both orders in a row; winner_ba is of the places, as the text says it. */
static sc_status both_orders(struct judgement_reading *r, const json_t *row, sc_error *err)
{
    const char *a = text_at(row, "model_a"), *b = text_at(row, "model_b"), *judge = text_at(row, "judge_id");
    int64_t turn;
    if (!a || !b || !judge) return FAIL(err, SC_E_FORMAT, "has \"judgment_ab\", but no \"model_a\", \"model_b\" or \"judge_id\"");
    TRY(json_opt_int(&turn, row, "turn", 1, 1, 1000, "a judgement", err));
    for (int order = 0; order < 2; order++) {
        struct judgement j;
        begin(&j, judge, "fastchat-pair", order ? b : a, order ? a : b);
        j.turn = (int)turn;
        sc_status status = take_common(&j, row, err);
        if (status == SC_OK) status = take(&j.text, row, order ? "judgment_ba" : "judgment_ab", err);
        if (status == SC_OK) set_stored(&j, 0, NULL, winner_of(text_at(row, order ? "winner_ba" : "winner_ab")));
        TRY(finish(r, &j, status));
    }
    return SC_OK;
}

/* ---- FastChat ------------------------------------------------------------------------------------------------------------------------------------------ */

/* "judge" is the judge's name, or [name, name of the prompt]. */
static const char *judge_of(const json_t *row, const char **prompt)
{
    const json_t *v = json_object_get(row, "judge");
    *prompt = json_string_value(json_array_get(v, 1));
    return json_is_array(v) ? json_string_value(json_array_get(v, 0)) : json_string_value(v);
}

static sc_status fastchat_single(struct judgement_reading *r, const json_t *row, sc_error *err)
{
    struct judgement j;
    const char *prompt, *judge = judge_of(row, &prompt), *model = text_at(row, "model");
    double score = score_of(json_object_get(row, "score"));
    int64_t turn;
    if (!model) return FAIL(err, SC_E_FORMAT, "has \"judgment\", but no \"model\"");
    TRY(json_opt_int(&turn, row, "turn", 1, 1, 1000, "a judgement", err));
    begin(&j, judge ? judge : "judge", prompt && strstr(prompt, "math") ? "fastchat-single-reference" : "fastchat-single", model, NULL);
    j.turn = (int)turn;
    sc_status status = take_common(&j, row, err);
    if (status == SC_OK) status = take(&j.text, row, "judgment", err);
    if (status == SC_OK) set_stored(&j, 1, &score, WINNER_NONE);
    return finish(r, &j, status);
}

/* g1 shows model_1 first, g2 model_2; the winners are names of models, tie or error. */
static sc_status fastchat_pair(struct judgement_reading *r, const json_t *row, sc_error *err)
{
    const char *prompt, *judge = judge_of(row, &prompt), *first = text_at(row, "model_1"), *second = text_at(row, "model_2");
    int64_t turn;
    if (!first || !second) return FAIL(err, SC_E_FORMAT, "has \"g1_judgment\", but no \"model_1\" or \"model_2\"");
    TRY(json_opt_int(&turn, row, "turn", 1, 1, 1000, "a judgement", err));
    for (int game = 0; game < 2; game++) {
        struct judgement j;
        const char *winner = text_at(row, game ? "g2_winner" : "g1_winner");
        enum judge_winner w = !winner ? WINNER_NONE : !strcmp(winner, "tie") ? WINNER_TIE : !strcmp(winner, game ? "model_2" : "model_1") ? WINNER_A : !strcmp(winner, game ? "model_1" : "model_2") ? WINNER_B : WINNER_NONE;
        if (game && !text_at(row, "g2_judgment")) break;                /* compared in one order alone */
        begin(&j, judge ? judge : "judge", "fastchat-pair", game ? second : first, game ? first : second);
        j.turn = (int)turn;
        sc_status status = take_common(&j, row, err);
        if (status == SC_OK) status = take(&j.text, row, game ? "g2_judgment" : "g1_judgment", err);
        if (status == SC_OK) set_stored(&j, 0, NULL, w);
        TRY(finish(r, &j, status));
    }
    return SC_OK;
}

/* ---- Vicuna ------------------------------------------------------------------------------------------------------------------------------------------------ */

/* The names of the models stand in the file's name alone: review_A_B.jsonl. */
static bool names_of_review(char **a, char **b, const char *file)
{
    const char *base = strrchr(file, '/'), *dot;
    base = base ? base + 1 : file;
    if (strncmp(base, "review_", 7) != 0 || !(dot = strstr(base, ".json"))) return false;
    base += 7;
    const char *middle = memchr(base, '_', (size_t)(dot - base));
    if (!middle || middle == base || middle + 1 >= dot) return false;
    *a = mem_strndup(base, (size_t)(middle - base));
    *b = mem_strndup(middle + 1, (size_t)(dot - middle - 1));
    return true;
}

/* "gpt-4-0328-coding": the model, and behind it which of its prompts it was asked by; a number says no more than that it was a reviewer. */
static char *reviewer(const char *id)
{
    static const char *const prompts[] = { "-default", "-generic", "-coding", "-math" };
    if (!id) return mem_strdup("reviewer");
    for (size_t i = 0; i < sizeof prompts / sizeof *prompts; i++)
        if (path_ends_with(id, prompts[i]) && strlen(id) > strlen(prompts[i])) return mem_strndup(id, strlen(id) - strlen(prompts[i]));
    return mem_strdup(id);
}

static sc_status vicuna(struct judgement_reading *r, const json_t *row, const char *file, sc_error *err)
{
    struct judgement j;
    char *a = NULL, *b = NULL;
    const json_t *score = json_object_get(row, "score"), *who = json_object_get(row, "reviewer_id");
    double found[2] = { score_of(json_array_get(score, 0)), score_of(json_array_get(score, 1)) };
    if (!names_of_review(&a, &b, file)) {
        TRY(need(&a, row, "answer1_id", err));
        sc_status status = need(&b, row, "answer2_id", err);
        if (status != SC_OK) mem_free(a);
        if (status != SC_OK) return status;
    }
    char *judge = reviewer(json_string_value(who));
    begin(&j, judge, "vicuna", a, b);
    mem_free(judge);
    mem_free(a);
    mem_free(b);
    sc_status status = take_common(&j, row, err);
    if (status == SC_OK) status = take(&j.text, row, "text", err);
    if (status == SC_OK) set_stored(&j, 2, found, WINNER_NONE);
    return finish(r, &j, status);
}

/* ---- PandaLM ------------------------------------------------------------------------------------------------------------------------------------------------- */

/* 1, 2, or a tie as 0 or "Tie"; all else is none. */
static enum judge_winner panda_winner(const json_t *v)
{
    const char *text = json_string_value(v);
    json_int_t x = json_is_integer(v) ? json_integer_value(v) : text && !strcmp(text, "1") ? 1 : text && !strcmp(text, "2") ? 2 : text && (!strcmp(text, "0") || !strcasecmp(text, "tie")) ? 0 : -1;
    return x == 1 ? WINNER_A : x == 2 ? WINNER_B : x == 0 ? WINNER_TIE : WINNER_NONE;
}

static void panda_answers(struct judgement *j, const json_t *row)
{
    static const char *const keys[] = { "response1", "response2" };
    for (int i = 0; i < 2; i++) {
        const char *text = text_at(row, keys[i]);
        if (!text) continue;
        j->length[i] = (double)text_characters(text);
        j->style[i] = judge_style_of(text, strlen(text));
    }
}

static sc_status panda_labels(struct judgement_reading *r, const json_t *row, sc_error *err)
{
    const char *key = text_at(row, "cmp_key"), *middle = key ? strchr(key, '_') : NULL;
    char *first = middle ? mem_strndup(key, (size_t)(middle - key)) : mem_strdup("response1");
    sc_status status = SC_OK;
    for (int i = 1; i <= 9 && status == SC_OK; i++) {
        struct judgement j;
        char who[32];
        snprintf(who, sizeof who, "annotator%d", i);
        const json_t *label = json_object_get(row, who);
        if (!label || json_is_null(label)) continue;
        begin(&j, who, "people", first, middle ? middle + 1 : "response2");
        status = take_common(&j, row, err);
        panda_answers(&j, row);
        if (status == SC_OK) set_stored(&j, 0, NULL, panda_winner(label));
        status = finish(r, &j, status);
    }
    mem_free(first);
    return status;
}

/* People's labels in lines: of two answers {"id","model_a","model_b","winner"}, of one {"id","model","score"}; "rater" tells several people apart. */
static sc_status people(struct judgement_reading *r, const json_t *row, sc_error *err)
{
    struct judgement j;
    bool is_pair = json_object_get(row, "model_a") != NULL;
    const char *a = text_at(row, is_pair ? "model_a" : "model"), *b = is_pair ? text_at(row, "model_b") : NULL, *rater = text_at(row, "rater"), *winner = text_at(row, "winner");
    double score = score_of(json_object_get(row, "score"));
    int64_t turn;
    if (!a || (is_pair && !b)) return FAIL(err, SC_E_FORMAT, "is a label without names of models, expected \"model_a\" and \"model_b\", or \"model\"");
    if (is_pair && winner_of(winner) == WINNER_NONE && winner && strcmp(winner, a) != 0 && strcmp(winner, b) != 0) return FAIL(err, SC_E_FORMAT, "has a \"winner\" that is none of A, B, tie and the models' names");
    if (is_pair ? !winner : score < 0) return FAIL(err, SC_E_FORMAT, "has no \"%s\"", is_pair ? "winner" : "score");
    TRY(json_opt_int(&turn, row, "turn", 1, 1, 1000, "a label", err));
    begin(&j, rater ? rater : "people", "people", a, b);
    j.turn = (int)turn;
    sc_status status = judge_take_text(&j.id, row, (const char *const[]){ "id", "question_id", NULL }, err);
    if (status == SC_OK && !j.id) status = FAIL(err, SC_E_FORMAT, "has no \"id\"");
    if (status == SC_OK) set_stored(&j, is_pair ? 0 : 1, &score, !is_pair ? WINNER_NONE : !strcmp(winner, a) ? WINNER_A : !strcmp(winner, b) ? WINNER_B : winner_of(winner));
    return finish(r, &j, status);
}

/* "pandalm_result" and "pandalm_reason": the judge is named before the line. */
static const char *panda_judge(const json_t *row)
{
    const char *key;
    json_t *v;
    json_object_foreach((json_t *)(uintptr_t)row, key, v)
        if (path_ends_with(key, "_result") && strlen(key) > strlen("_result")) return key;
    return NULL;
}

static sc_status panda_result(struct judgement_reading *r, const json_t *row, const char *key, const char *file, sc_error *err)
{
    struct judgement j;
    size_t len = strlen(key) - strlen("_result");
    char *reason = mem_alloc(strlen(key) + 1), *judge;
    snprintf(reason, strlen(key) + 1, "%.*s_reason", (int)len, key);
    const char *base = strrchr(file, '/'), *end = strstr(base ? base : file, "-testset");
    base = base ? base + 1 : file;
    judge = end ? mem_strndup(base, (size_t)(end - base)) : mem_strndup(key, len);
    begin(&j, judge, "pandalm", "response1", "response2");
    mem_free(judge);
    sc_status status = take_common(&j, row, err);
    if (status == SC_OK) status = take(&j.text, row, reason, err);
    mem_free(reason);
    if (status == SC_OK) set_stored(&j, 0, NULL, panda_winner(json_object_get(row, key)));
    return finish(r, &j, status);
}

struct named { const struct judgement *j; };
static int by_id(const void *a, const void *b) { return strcmp(((const struct named *)a)->j->id, ((const struct named *)b)->j->id); }

void judgements_name_pairs(struct judgements *all)
{
    struct named *list = mem_alloc((all->n + 1) * sizeof *list);
    size_t n = 0;
    for (size_t i = 0; i < all->n; i++)
        if (!strcmp(all->at[i].protocol, "people") && strcmp(all->at[i].judge, "annotator1") == 0) list[n++].j = &all->at[i];
    qsort(list, n, sizeof *list, by_id);
    for (size_t i = 0; i < all->n && n; i++) {
        struct judgement *j = &all->at[i];
        if (strcmp(j->protocol, "pandalm") != 0 || strcmp(j->model[0], "response1") != 0) continue;
        const struct named *found = bsearch(&(struct named){ j }, list, n, sizeof *list, by_id);
        for (int side = 0; found && side < 2; side++) {
            mem_free(j->model[side]);
            j->model[side] = mem_strdup(found->j->model[side]);
            j->length[side] = found->j->length[side];
            j->style[side] = found->j->style[side];
        }
    }
    mem_free(list);
}

/* ---- which it is -------------------------------------------------------------------------------------------------------------------------------------------- */

sc_status judgement_foreign(struct judgement_reading *r, const json_t *row, const char *file, sc_error *err)
{
    if (json_object_get(row, "judgment_turn1")) return both_turns(r, row, file, err);
    if (json_object_get(row, "judgment_ab")) return both_orders(r, row, err);
    if (json_object_get(row, "g1_judgment")) return fastchat_pair(r, row, err);
    if (json_object_get(row, "judgment")) return fastchat_single(r, row, err);
    if (json_object_get(row, "annotator1")) return panda_labels(r, row, err);
    if (json_object_get(row, "score") && json_object_get(row, "text")) return vicuna(r, row, file, err);
    if (json_object_get(row, "winner") || json_object_get(row, "score")) return people(r, row, err);
    const char *result = panda_judge(row);
    if (result) return panda_result(r, row, result, file, err);
    if (json_object_get(row, "turns") || json_object_get(row, "choices") || json_object_get(row, "answer_id")) return FAIL(err, SC_E_FORMAT, "is a prompt or an answer, no judgement; answers are given with --answers");
    return FAIL(err, SC_E_FORMAT, "is no judgement of a known shape, expected a line of judgements.jsonl, of FastChat, of Vicuna's reviews or of PandaLM");
}
