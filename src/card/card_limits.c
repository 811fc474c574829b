/* card_limits.c - what the model is not, as far as its facts tell, and what nobody measured. */
#include "card/card.h"

#include <string.h>

static void item(struct sheet *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void item(struct sheet *s, const char *format, ...)
{
    char text[900];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    size_t at = s->out.len;
    sheet_text(s, "%s", text);
    /* sheet_text begins with an empty line and its text: the text becomes an item of a list. */
    char *copy = mem_strdup(s->out.data + at);
    s->out.len = at;
    buf_printf(&s->out, "- %s", copy + strspn(copy, "\n"));
    mem_free(copy);
}

static const json_t *data_of(const json_t *training)
{
    size_t i;
    const json_t *origin;
    json_array_foreach(json_object_get(training, "inputs"), i, origin)
        if (strcmp(text_member(origin, "role"), "data") == 0) return json_object_get(origin, "dataset");
    return NULL;
}

static void put_size(struct sheet *s, const struct card_facts *f)
{
    double n = real_member(f->training, "parameters");
    if (n > 0) item(s, "It has %.3g million parameters. Models of %s and invent functions, options and facts that do not exist; what it writes has to be checked and run by somebody before it is used.", 1e-6 * n,
                    n < 1e9 ? "this size answer many questions wrongly" : "every size answer questions wrongly with the same certainty as rightly");
    else item(s, "Language models answer questions wrongly with the same certainty as rightly, and invent functions, options and facts; what it writes has to be checked and run by somebody before it is used.");
}

static void put_training(struct sheet *s, const struct card_facts *f)
{
    const json_t *data = data_of(f->training), *counts = json_object_get(data, "counts"), *one;
    const char *code, *first = "";
    double tokens = real_member(f->training, "tokens"), all = real_member(json_object_get(json_object_get(data, "splits"), "train"), "tokens"), most = 0;
    if (!f->training) return;
    if (all > 0) item(s, "Training read %.0f tokens of dialogues, %.2f times the %.0f that there are: what is not in the base and not in them it does not know.", tokens, tokens / all, all);
    if (!trainings_have_preferences(f->trainings)) item(s, "In all that is recorded here it was trained to imitate answers alone. No preferences of people were trained (neither DPO nor ORPO), so nothing recorded here taught it which of two answers is better, or when to refuse.");
    json_object_foreach(json_object_get(counts, "per_language"), code, one)
        if (real_member(one, "dialogues") > most) { most = real_member(one, "dialogues"); first = code; }
    bool is_known = *first && strlen(first) <= 3;
    if (most > 0 && !is_known) item(s, "The language of most dialogues (%.0f of %.0f) was not recognised, so nothing is said here of languages.", most, real_member(counts, "dialogues"));
    else if (most > 0) item(s, "%.0f of %.0f dialogues were recognised as language \"%s\"; in others it was trained little or not at all.", most, real_member(counts, "dialogues"), first);
}

static void put_held_out(struct sheet *s, const struct card_facts *f)
{
    struct held_out h = held_out_of(f);
    if (!h.first) { item(s, "No loss on held-out dialogues is recorded here, so nothing tells learning from learning by heart."); return; }
    if (!h.kept) { item(s, "Losses on held-out dialogues are recorded here, but none of the weights that were kept (step %.0f).", real_member(f->training, "weights_of_step")); return; }
    double before = real_member(h.first, "loss"), after = real_member(h.kept, "loss");
    if (h.first == h.kept) item(s, "Loss on held-out dialogues is %.4f, and none of before is recorded. It tells how well such texts are predicted, not whether answers are right.", after);
    else item(s, "Loss on held-out dialogues went from %.4f to %.4f (step %.0f, whose weights these are)%s. It tells how well such texts are predicted, not whether answers are right.", before, after, real_member(h.kept, "step"),
              after < before ? "" : ": training made it no better by this measure");
}

static void put_contamination(struct sheet *s, const struct card_facts *f)
{
    const char *task;
    const json_t *found;
    bool any = false;
    for (size_t i = 0; i < f->n_eval; i++)
        json_object_foreach(json_object_get(f->eval[i].all, "contamination"), task, found) {
            item(s, "Of %.0f questions of %s that were checked, %.0f stand in the training data that was searched (%.0f texts).", real_member(found, "checked"), task, real_member(found, "found"), real_member(found, "training_texts"));
            any = true;
        }
    if (f->n_eval && !any) item(s, "Whether questions of these benchmarks stand in the training data was not checked.");
}

static void put_unmeasured(struct sheet *s, const struct card_facts *f)
{
    struct buf b;
    bool is_evaluated = false;
    for (size_t i = 0; i < f->n_eval; i++) is_evaluated |= facts_measured_on(f, &f->eval[i]) == MEASURED_THIS;
    buf_init(&b, 0);
    if (!is_evaluated) buf_puts(&b, "how it does on benchmarks; ");
    if (!f->n_judge) buf_puts(&b, "how judges see its answers; ");
    if (!json_object_get(json_object_get(f->training, "cost"), "energy")) buf_puts(&b, "the energy that training took; ");
    buf_puts(&b, "what people think of its answers; whether code that it writes is secure; prejudice and harmful text in its answers; how much of its training data it can be made to repeat");
    item(s, "Not measured: %s.", b.data);
    buf_release(&b);
}

void card_limits(struct sheet *s, const struct card_facts *f)
{
    sheet_heading(s, "Limits");
    buf_putc(&s->out, '\n');
    put_size(s, f);
    put_training(s, f);
    put_held_out(s, f);
    item(s, "Nothing in these weights filters what goes in or comes out; a filter is for the program that serves them.");
    put_contamination(s, f);
    put_unmeasured(s, f);
}
