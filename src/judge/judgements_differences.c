/* judgements_differences.c - texts read again: where a file's verdict is not what its text says by the rules of its protocol, and why. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

static json_t *verdict_json(int n, const double *score, enum judge_winner w)
{
    json_t *out = n ? json_array() : NULL;
    for (int i = 0; i < n; i++) json_array_append_new(out, json_real(score[i]));
    return out ? out : winner_name(w) ? json_string(winner_name(w)) : json_null();
}

/* Do these scores stand anywhere in the text, "10, 4" or "[[7]]"? */
static bool scores_stand_in(const char *text, int n, const double *score)
{
    char words[80];
    for (int i = 0; i < 4 && n == 2; i++) {
        snprintf(words, sizeof words, "%s%g%s%g%s", i < 2 ? "(" : "", score[0], i % 2 ? " " : ", ", score[1], i < 2 ? ")" : "");
        if (strstr(text, words)) return true;
    }
    snprintf(words, sizeof words, "[[%g]]", score[0]);
    return n == 1 && strstr(text, words);
}

static const char *reason_of(const struct judgement *j, const struct judge_opinion *found, bool has_found, int n)
{
    bool has_stored = n ? j->stored_score[0] >= 0 && (n < 2 || j->stored_score[1] >= 0) : j->stored_winner != WINNER_NONE;
    if (!has_stored) return "the file has no verdict, but the text has one";
    bool stands = n && j->text && scores_stand_in(j->text, n, j->stored_score);
    if (!has_found && stands) return "the verdict does not stand where the protocol puts it; the stored scores stand elsewhere in the text";
    if (!has_found) return "the verdict does not stand where the protocol puts it, and the stored scores are not in the text in that form: they were set by hand or read otherwise";
    if (stands) return "the text holds several scores; the protocol's rule takes the first, the file has another of them";
    return found->n_scores ? "the stored scores are not in the text" : "the text names several verdicts; the last one counts here, the file has another";
}

static void compare(json_t *out, size_t *checked, const struct judgement *j, const struct judge_protocol *p)
{
    struct judge_opinion found;
    int n = p->form == JUDGE_RATING ? 1 : p->form == JUDGE_FIRST_LINE || p->form == JUDGE_RATINGS ? 2 : 0;
    bool has_found = judge_parse(&found, p, j->text, strlen(j->text), NULL, NULL) == SC_OK, is_same = true;
    ++*checked;
    bool has_stored = n ? j->stored_score[0] >= 0 && (n < 2 || j->stored_score[1] >= 0) : j->stored_winner != WINNER_NONE;
    for (int i = 0; i < n && has_found && has_stored; i++) is_same = is_same && fabs(found.score[i] - j->stored_score[i]) < 1e-9;
    if (!n && has_found && has_stored) is_same = found.winner == j->stored_winner;
    if (has_found == has_stored && is_same) return;
    json_t *models = json_array();
    for (int i = 0; i < 2 && j->model[i]; i++) json_array_append_new(models, json_string(j->model[i]));
    json_array_append_new(out, json_pack("{s:s, s:s, s:s, s:i, s:o, s:o, s:o, s:s}", "judge", j->judge, "protocol", j->protocol, "id", j->id, "turn", j->turn, "models", models, "stored",
                                         has_stored ? verdict_json(n, j->stored_score, j->stored_winner) : json_null(), "found", has_found ? verdict_json(found.n_scores, found.score, found.winner) : json_null(), "reason", reason_of(j, &found, has_found, n)));
}

json_t *judge_differences(const struct judgements *j, size_t *checked)
{
    struct protocol_cache protocols = { .n = 0 };
    json_t *out = json_array();
    *checked = 0;
    for (size_t i = 0; i < j->n; i++) {
        const struct judge_protocol *p = j->at[i].has_stored && j->at[i].text ? protocol_cached(&protocols, j->at[i].protocol) : NULL;
        if (p && p->form != JUDGE_TOKEN) compare(out, checked, &j->at[i], p);
    }
    protocol_cache_release(&protocols);
    return out;
}
