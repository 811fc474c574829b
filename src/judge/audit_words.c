/* audit_words.c - what the words of an explanation say, against what its verdict says. A judge that scores "8 7" and writes that the second answer is the better one
 * has read the scores' order wrongly, or does not mean what it writes; either way its numbers are not worth much.
 *
 * The rules are few and strict, since a wrong alarm is worse here than a missed one: a sentence counts only where an answer is named and called better as a whole. Where no such
 * sentence is there, comparatives ("more accurate", "less detailed") count if all of them point the same way. Conditions ("if assistant A is better", of the instruction repeated), both
 * answers named together, and negations do not match.
 *
 * Measured on 7102 stored explanations (Vicuna's reviews, Qwen2.5-7B and 32B on mt-bench-judged, GPT-3.5 and PandaLM-7B on PandaLM's set): 2279 of those with a decided verdict say which is
 * better in a way that these rules see, 18 of them against the verdict. All 18 were read: 15 are contradictions indeed (11 of the 7B's 12, 1 of the 32B's 3, 3 of GPT-3.5's 3). Of 40 drawn from all that
 * the rules see, 40 were read rightly. */
#include "judge_internal.h"

#include <string.h>

/* One who, in the group behind the opening bracket: a digit or letter, or "first" and "second". */
#define WHO "\\b(?:(?:the\\s+)?(?:assistant|response|answer|model|output|submission)\\s*#?([12AB])\\b|(?:the\\s+)?(first|second)\\s+(?:assistant|response|answer|model|output|submission)\\b)"
#define ITS "(?:['\\x{2019}]s\\s+(?:\\w+\\s+){0,2}(?:answer|response|code|solution|submission|implementation|approach|program|output|explanation)s?)?"
#define HOW "(?:\\w+ly\\s+|a\\s+bit\\s+|a\\s+little\\s+|much\\s+|far\\s+|overall\\s+|therefore\\s+|the\\s+|a\\s+|still\\s+|thus\\s+)*"
#define WHOLE "(?=\\s*(?:[.,;:!)\\n]|$|than\\b|overall\\b|because\\b|since\\b|as\\b|due\\b|one\\b|of\\s+the\\s+two\\b|choice\\b|answer\\b|response\\b|solution\\b))"
/* Of all comparatives those that are about worth; "more detailed" and "more concise" are praise or blame as the judge likes. */
#define WORTH "(?:accurate|correct|helpful|useful|appropriate|suitable|reliable)"
#define END "(?=\\s*(?:[.,;:!)\\n]|$|and\\b|than\\b|overall\\b|because\\b|since\\b|as\\b|due\\b|answer\\b|response\\b|solution\\b))"
enum { CALLED_BETTER, GAVE_BETTER, OUTDOES, CHOSEN, MORE, LESS, RULES };
static const struct { const char *pattern; bool is_strong, is_other; } rules[RULES] = {
    [CALLED_BETTER] = { "(?i)" WHO ITS ",?\\s+(?:is|was|seems|appears|performs|performed|did|does|stands\\s+out\\s+as|emerges\\s+as)\\s+(?:to\\s+be\\s+|considered\\s+)?" HOW "(?:better|superior|best|preferred|preferable|stronger|winner)" WHOLE, true, false },
    [GAVE_BETTER] = { "(?i)" WHO ITS "\\s+(?:provides|provided|gives|gave|offers|offered|has|had|is|was|wrote|delivers|delivered|presents|presented)\\s+(?:\\w+ly\\s+)?(?:a|an|the)\\s+" HOW "(?:better|superior|best|stronger)\\s+(?:overall\\s+)?(?:answer|response|solution|implementation|code|choice|one|submission)\\b", true, false },
    [OUTDOES] = { "(?i)" WHO ITS "\\s+(?:\\w+ly\\s+)?(?:outperforms|outperformed|surpasses|surpassed|wins)\\b", true, false },
    [CHOSEN] = { "(?i)\\b(?:prefer|favou?r|choose|verdict\\s+is|winner\\s+is|better\\s+(?:answer|response|choice|one|assistant)\\s+is|higher\\s+score\\s+(?:to|for))\\s+" WHO, true, false },
    [MORE] = { "(?i)" WHO ITS "\\s+(?:is|was|provides|provided|gives|gave|offers|offered|has|had|demonstrates|demonstrated|includes|included|presents|presented)\\s+(?:a|an|the)?\\s*(?:\\w+ly\\s+)?more\\s+" WORTH END, false, false },
    [LESS] = { "(?i)" WHO ITS "\\s+(?:is|was)\\s+(?:\\w+ly\\s+)?(?:less\\s+" WORTH "|(?:worse|inferior|weaker))" END, false, true },
};

struct audit_words { struct pattern *rule[RULES], *condition; };

struct audit_words *audit_words_open(void)
{
    struct audit_words *w = mem_zero(1, sizeof *w);
    sc_error err = { 0 };
    for (int i = 0; i < RULES; i++)
        if (pattern_open(&w->rule[i], rules[i].pattern, "words", &err) != SC_OK) w->rule[i] = NULL;
    /* Right before who is named: what makes a sentence no statement about this one answer alone. */
    if (pattern_open(&w->condition, "(?i)(?:\\b(?:if|whether|which|when|unless|until|neither|nor|not|than|of)\\s+|\\b(?:assistant|response|answer|model|output)\\s*#?[12AB]\\s+(?:and|or)\\s+|\\bboth\\s+(?:\\w+\\s+)?)(?:the\\s+)?$", "words", &err) != SC_OK) w->condition = NULL;
    return w;
}

void audit_words_close(struct audit_words *w)
{
    if (!w) return;
    for (int i = 0; i < RULES; i++) pattern_close(w->rule[i]);
    pattern_close(w->condition);
    mem_free(w);
}

/* What stands right before, at most 40 bytes, whole characters. */
static bool is_conditional(struct audit_words *w, const char *text, size_t at)
{
    struct pattern_place place = { 0 };
    struct span group[1];
    size_t from = at > 40 ? at - 40 : 0;
    while (from < at && (text[from] & 0xC0) == 0x80) from++;
    return w->condition && pattern_find(w->condition, text + from, at - from, &place, group, 1);
}

static enum judge_winner named(const char *text, const struct span *g)
{
    char c = g[1].begin != SIZE_MAX ? text[g[1].begin] : text[g[2].begin];
    return strchr("1AaFf", c) ? WINNER_A : WINNER_B;
}

enum judge_winner audit_words_side(struct audit_words *w, const char *text, size_t len)
{
    size_t votes[2][2] = { { 0 } };                     /* strong or not, A or B */
    for (int i = 0; i < RULES && w->rule[i]; i++) {
        struct pattern_place place = { 0 };
        struct span group[3];
        while (pattern_find(w->rule[i], text, len, &place, group, 3)) {
            if (i != CHOSEN && is_conditional(w, text, group[0].begin)) continue;
            enum judge_winner who = named(text, group);
            if (rules[i].is_other) who = who == WINNER_A ? WINNER_B : WINNER_A;
            votes[rules[i].is_strong][who == WINNER_B]++;
        }
    }
    for (int strong = 1; strong >= 0; strong--) {
        if (!votes[strong][0] && !votes[strong][1]) continue;
        if (votes[strong][0] && votes[strong][1]) return WINNER_NONE;
        return votes[strong][0] ? WINNER_A : WINNER_B;
    }
    return WINNER_NONE;
}
