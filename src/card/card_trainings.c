/* card_trainings.c - all training runs that a model goes back to, and which of their figures are of the weights that were kept. */
#include "card/card.h"

#include <string.h>

/* ---- runs ------------------------------------------------------------------------------------------------------------------------- */

/* Records of one training differ where one of them lies in a GGUF file, which leaves times out: the weights that it made are the same. */
static const char *identity_of(const json_t *record)
{
    const json_t *file;
    size_t i;
    json_array_foreach(json_object_get(record, "outputs"), i, file)
        if (strcmp(text_member(record, "step"), "train") == 0 && path_ends_with(text_member(file, "name"), ".safetensors") && *text_member(file, "sha256")) return text_member(file, "sha256");
    return text_member(record, "sha256");
}

/* seen: digests as keys. Base and adapter of a merge may both go back to one run. */
static void collect(json_t *out, json_t *seen, json_t *record)
{
    const char *digest = identity_of(record);
    json_t *inputs = json_object_get(record, "inputs"), *origin;
    size_t i;
    bool is_new = !*digest || !json_object_get(seen, digest);
    if (!is_new) return;
    if (*digest) json_object_set_new(seen, digest, json_true());
    if (strcmp(text_member(record, "step"), "train") == 0) json_array_append(out, record);
    for (int bases = 0; bases < 2; bases++)                /* an adapter was trained after what it was trained on */
        json_array_foreach(inputs, i, origin) {
            bool is_adapter = strcmp(text_member(origin, "role"), "adapter") == 0;
            if (is_adapter != bases && json_object_get(origin, "made")) collect(out, seen, json_object_get(origin, "made"));
        }
}

json_t *trainings_of(const json_t *record)
{
    json_t *out = json_array(), *seen = json_object();
    collect(out, seen, (json_t *)(uintptr_t)record);
    json_decref(seen);
    return out;
}

static bool is_loss(const json_t *training, const char *name) { return strcmp(text_member(json_object_get(training, "recipe"), "loss_type"), name) == 0; }

bool trainings_have_preferences(const json_t *trainings)
{
    size_t i;
    const json_t *one;
    json_array_foreach(trainings, i, one)
        if (is_loss(one, "dpo") || is_loss(one, "orpo")) return true;
    return false;
}

const char *training_kind(const json_t *training) { return is_loss(training, "dpo") ? "preferences, DPO" : is_loss(training, "orpo") ? "preferences, ORPO" : "supervised"; }

void training_put_length(struct buf *out, const json_t *training)
{
    double steps = real_member(training, "steps"), kept = json_object_get(training, "weights_of_step") ? real_member(training, "weights_of_step") : steps;
    buf_printf(out, "%.0f step%s", steps, steps == 1 ? "" : "s");
    if (kept != steps) buf_printf(out, ", weights of step %.0f", kept);
}

/* ---- losses ------------------------------------------------------------------------------------------------------------------------ */

/* A record of before "weights_of_step" was written: the last one. */
struct held_out held_out_of(const struct card_facts *f)
{
    struct held_out out = { 0 };
    const json_t *event, *kept = json_object_get(f->training, "weights_of_step");
    size_t i;
    json_array_foreach(f->events, i, event) {
        if (strcmp(text_member(event, "event"), "eval") != 0 || !json_is_number(json_object_get(event, "loss"))) continue;
        if (!out.first) out.first = event;
        if (!kept || real_member(event, "step") == json_number_value(kept)) out.kept = event;
    }
    return out;
}
