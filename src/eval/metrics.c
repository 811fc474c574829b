/* metrics.c - what one document counts, by the rules of lm-eval 0.4 (ConfigurableTask.process_results). */
#include "eval/eval_internal.h"

#include <math.h>
#include <string.h>

#define BIT(output) (1u << (output))

/* ---- multiple choice ---------------------------------------------------------------------------------------------------------------------- */

static const char *choice(const struct eval_answer *a, size_t i, size_t *len)
{
    const json_t *s = json_array_get(a->ask->choices, i);
    *len = json_string_length(s);
    return json_string_value(s);
}

/* The first of the largest logprob / by. */
static size_t best_by(const struct eval_answer *a, double (*by)(const struct eval_answer *a, size_t i))
{
    size_t best = 0;
    double most = 0;
    for (size_t i = 0; i < a->ask->n_options; i++) {
        double x = a->logprob[i] / (by ? by(a, i) : 1);
        if (i && !(x > most)) continue;
        best = i;
        most = x;
    }
    return best;
}

static double characters(const struct eval_answer *a, size_t i)
{
    size_t len;
    const char *s = choice(a, i, &len);
    return (double)utf8_count(s, len);
}
static double bytes(const struct eval_answer *a, size_t i)
{
    size_t len;
    choice(a, i, &len);
    return (double)len;
}
static double tokens(const struct eval_answer *a, size_t i) { return (double)a->tokens[i]; }

static double is_gold(const struct eval_answer *a, size_t i) { return a->ask->gold == (int64_t)i; }
static double m_acc(const struct eval_answer *a, double *w) { (void)w; return is_gold(a, best_by(a, NULL)); }
static double m_acc_norm(const struct eval_answer *a, double *w) { (void)w; return is_gold(a, best_by(a, characters)); }
static double m_acc_bytes(const struct eval_answer *a, double *w) { (void)w; return is_gold(a, best_by(a, bytes)); }
static double m_acc_tokens(const struct eval_answer *a, double *w) { (void)w; return is_gold(a, best_by(a, tokens)); }
static double m_greedy(const struct eval_answer *a, double *w) { (void)w; return a->ask->gold >= 0 && a->greedy[a->ask->gold]; }

static double m_mutual(const struct eval_answer *a, double *w)
{
    size_t best = 0;
    (void)w;
    for (size_t i = 1; i < a->ask->n_options; i++)
        if (a->logprob[i] - a->alone[i] > a->logprob[best] - a->alone[best]) best = i;
    return is_gold(a, best);
}

/* Sum of the probabilities over all options. */
static double mass(const struct eval_answer *a)
{
    double most = a->logprob[best_by(a, NULL)], sum = 0;
    for (size_t i = 0; i < a->ask->n_options; i++) sum += exp(a->logprob[i] - most);
    return most + log(sum);
}

static double m_brier(const struct eval_answer *a, double *w)
{
    double all = mass(a), sum = 0;
    (void)w;
    for (size_t i = 0; i < a->ask->n_options; i++) {
        double d = exp(a->logprob[i] - all) - is_gold(a, i);
        sum += d * d;
    }
    return sum;
}

/* The share of the probability that lies on options whose label (a list of 0 and 1) is 1: TruthfulQA's MC2. */
static double m_mass_of_true(const struct eval_answer *a, double *w)
{
    double all = mass(a), sum = 0;
    (void)w;
    for (size_t i = 0; i < a->ask->n_options; i++)
        if (json_integer_value(json_array_get(a->ask->target, i)) == 1) sum += exp(a->logprob[i] - all);
    return sum;
}

/* ---- texts --------------------------------------------------------------------------------------------------------------------------------- */

static double m_logprob(const struct eval_answer *a, double *w) { (void)w; return a->logprob[0]; }
static double m_is_greedy(const struct eval_answer *a, double *w) { (void)w; return a->greedy[0]; }

static double m_bytes(const struct eval_answer *a, double *w)
{
    *w = (double)json_string_length(json_object_get(a->document, "page") ? json_object_get(a->document, "page") : a->ask->target);
    return a->logprob[0];
}

/* Pieces of re.split(r"\s+", text): one more than there are runs of white space. */
static double m_words(const struct eval_answer *a, double *w)
{
    const json_t *page = json_object_get(a->document, "page") ? json_object_get(a->document, "page") : a->ask->target;
    const char *s = json_string_value(page);
    size_t len = json_string_length(page), n = 1;
    for (size_t at = 0, space; at < len;) {
        if (!(space = text_space_at_begin(s + at, len - at))) { at++; continue; }
        n++;
        while (at < len && (space = text_space_at_begin(s + at, len - at))) at += space;
    }
    *w = (double)n;
    return a->logprob[0];
}

static double m_tokens(const struct eval_answer *a, double *w) { *w = (double)a->tokens[0]; return a->logprob[0]; }

/* Of a dialogue: bytes of what the assistant says. */
static double m_answer_bytes(const struct eval_answer *a, double *w)
{
    const json_t *messages = json_object_get(a->document, "messages");
    *w = 0;
    for (size_t i = 0; i < json_array_size(messages); i++) {
        const json_t *one = json_array_get(messages, i);
        const char *role = json_string_value(json_object_get(one, "role"));
        if (role && !strcmp(role, "assistant")) *w += (double)json_string_length(json_object_get(one, "content"));
    }
    return a->logprob[0];
}

/* ---- generated text ------------------------------------------------------------------------------------------------------------------------- */

/* A text as exact_match compares it: patterns deleted, case and punctuation as the task says. */
static void plain_of(struct buf *out, const struct eval_task *t, const char *text, size_t len)
{
    struct buf now;
    buf_init(&now, 0);
    buf_append(&now, text, len);
    for (size_t i = 0; i < t->ignored_patterns.n; i++) {
        struct pattern *p = NULL;
        struct buf next;
        if (pattern_open(&p, t->ignored_patterns.at[i], t->name, NULL) != SC_OK) continue;
        buf_init(&next, 0);
        pattern_replace(&next, p, "", now.data ? now.data : "", now.len);
        pattern_close(p);
        buf_release(&now);
        now = next;
    }
    struct buf cased;
    buf_init(&cased, 0);
    if (t->ignore_case) text_put_case(&cased, now.data ? now.data : "", now.len, false);
    else buf_append(&cased, now.data ? now.data : "", now.len);
    for (size_t i = 0; i < cased.len; i++)
        if (!t->ignore_punctuation || !strchr("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~", cased.data[i])) buf_putc(out, cased.data[i]);
    buf_release(&cased);
    buf_release(&now);
}

static double m_exact_match(const struct eval_answer *a, double *w)
{
    struct buf found, wanted;
    (void)w;
    buf_init(&found, 0);
    buf_init(&wanted, 0);
    plain_of(&found, a->task, a->text, a->text_len);
    plain_of(&wanted, a->task, json_string_value(a->ask->target) ? json_string_value(a->ask->target) : "", json_string_length(a->ask->target));
    bool same = found.len == wanted.len && (!found.len || memcmp(found.data, wanted.data, found.len) == 0);
    buf_release(&found);
    buf_release(&wanted);
    return same;
}

/* ---- likeness to true and to false references: columns correct_answers and incorrect_answers ------------------------------------------------------ */

enum likeness { LIKE_BLEU, LIKE_ROUGE1, LIKE_ROUGE2, LIKE_ROUGEL };

static double most_alike(const struct eval_answer *a, const char *column, enum likeness how)
{
    const json_t *list = json_object_get(a->document, column);
    double most = 0;
    for (size_t i = 0; i < json_array_size(list); i++) {
        const char *s = json_string_value(json_array_get(list, i));
        size_t n = json_string_length(json_array_get(list, i));
        struct rouge r = { 0 };
        if (how != LIKE_BLEU) r = text_rouge(a->text, a->text_len, s, n);
        double x = how == LIKE_BLEU ? text_bleu(a->text, a->text_len, s, n) : how == LIKE_ROUGE1 ? r.one : how == LIKE_ROUGE2 ? r.two : r.lsum;
        if (!i || x > most) most = x;
    }
    return most;
}

#define LIKENESS(name, how) \
    static double m_##name##_max(const struct eval_answer *a, double *w) { (void)w; return most_alike(a, "correct_answers", how); } \
    static double m_##name##_acc(const struct eval_answer *a, double *w) { (void)w; return most_alike(a, "correct_answers", how) > most_alike(a, "incorrect_answers", how); } \
    static double m_##name##_diff(const struct eval_answer *a, double *w) { (void)w; return most_alike(a, "correct_answers", how) - most_alike(a, "incorrect_answers", how); }
LIKENESS(bleu, LIKE_BLEU)
LIKENESS(rouge1, LIKE_ROUGE1)
LIKENESS(rouge2, LIKE_ROUGE2)
LIKENESS(rougeL, LIKE_ROUGEL)
#define LIKENESS_ROWS(name) \
    { #name "_max", #name "_max", BIT(EVAL_GENERATE), true, false, AGGREGATE_MEAN, m_##name##_max }, \
    { #name "_acc", #name "_acc", BIT(EVAL_GENERATE), true, false, AGGREGATE_MEAN, m_##name##_acc }, \
    { #name "_diff", #name "_diff", BIT(EVAL_GENERATE), true, false, AGGREGATE_MEAN, m_##name##_diff }

/* ---- rows ---------------------------------------------------------------------------------------------------------------------------------------- */

static const struct eval_metric_row rows[] = {
    { "acc", "acc", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_acc },
    { "acc", "acc", BIT(EVAL_LIKELIHOOD), true, false, AGGREGATE_MEAN, m_is_greedy },
    { "acc_norm", "acc_norm", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_acc_norm },
    { "acc_bytes", "acc_bytes", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_acc_bytes },
    { "acc_tokens", "acc_tokens", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_acc_tokens },
    { "acc_mutual_info", "acc_mutual_info", BIT(EVAL_CHOICE), true, true, AGGREGATE_MEAN, m_mutual },
    { "exact_match", "exact_match", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_greedy },
    { "exact_match", "exact_match", BIT(EVAL_GENERATE), true, false, AGGREGATE_MEAN, m_exact_match },
    LIKENESS_ROWS(bleu), LIKENESS_ROWS(rouge1), LIKENESS_ROWS(rouge2), LIKENESS_ROWS(rougeL),
    { "brier_score", "brier_score", BIT(EVAL_CHOICE), false, false, AGGREGATE_MEAN, m_brier },
    { "probability_of_true", "acc", BIT(EVAL_CHOICE), true, false, AGGREGATE_MEAN, m_mass_of_true },
    { "perplexity", "perplexity", BIT(EVAL_LIKELIHOOD), false, false, AGGREGATE_PERPLEXITY, m_logprob },
    { "word_perplexity", "word_perplexity", BIT(EVAL_ROLLING), false, false, AGGREGATE_WORDS, m_words },
    { "byte_perplexity", "byte_perplexity", BIT(EVAL_ROLLING), false, false, AGGREGATE_BYTES, m_bytes },
    { "bits_per_byte", "bits_per_byte", BIT(EVAL_ROLLING), false, false, AGGREGATE_BITS, m_bytes },
    { "bits_per_byte", "bits_per_byte", BIT(EVAL_DIALOGUE), false, false, AGGREGATE_BITS, m_answer_bytes },
    { "token_perplexity", "token_perplexity", BIT(EVAL_ROLLING) | BIT(EVAL_DIALOGUE), false, false, AGGREGATE_TOKENS, m_tokens },
};

const struct eval_metric_row *eval_metric_find(const char *name, enum eval_output output)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
        if (!strcmp(rows[i].name, name) && rows[i].outputs & BIT(output)) return &rows[i];
    return NULL;
}
