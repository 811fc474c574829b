/* merge.c - the public job that adds an adapter to its base: the result streams out tensor by tensor, is read back, and
 * must compute what base and adapter compute together. */
#include "lineage/lineage.h"
#include "train/train.h"

#include <string.h>

#define TYPES "|f32|f16|bf16|q8_0|q4_0|q4_1|q5_0|q5_1|q4_k_m|q5_k_m|q6_k"
static const struct option rows[] = {
    { "type", OPT_CHOICE, offsetof(sc_merge_config, type), 0, 0, "", TYPES, "storage type of the matrices; empty: the base's (a directory holds f32 instead of block types)" },
    { "overwrite", OPT_BOOL, offsetof(sc_merge_config, overwrite), 0, 0, "false", NULL, "replace what is there" },
};
const struct sc_options merge_options = { "merge", sizeof(sc_merge_config), rows, sizeof rows / sizeof *rows };

static void tell(const sc_merge_config *c, double difference)
{
    struct buf b;
    if (!c->on_event) return;
    buf_init(&b, 0);
    buf_printf(&b, "{\"event\":\"note\",\"text\":\"read back: logits differ from base and adapter by %.1e of their range\"}", difference);
    c->on_event(c->user, b.data);
    buf_release(&b);
}

sc_status sc_merge(sc_runtime *rt, const sc_merge_config *c, sc_error *err)
{
    sc_model *m = NULL;
    struct companions companions = { 0 };
    json_t *lineage = lineage_new("merge");
    double difference;
    sc_status status = SC_OK;
    if (!c->adapter || !c->adapter[0]) status = FAIL(err, SC_E_ARGUMENT, "the name of the adapter is empty; give the directory that holds its adapter_config.json");
    TRY_DONE(status);
    TRY_DONE(sc_model_open(&m, rt, &(sc_model_config){ .path = c->base, .adapter = c->adapter }, err));
    TRY_DONE(companions_make(&companions, m, err));
    companions.extra[companions.n] = (struct save_extra){ 0 };
    if (c->type && c->type[0]) json_object_set_new(lineage, "type", json_string(c->type));
    TRY_DONE(lineage_add_model(lineage, "base", c->base, c->out, err));
    TRY_DONE(lineage_add_model(lineage, "adapter", c->adapter, c->out, err));
    struct model_save_config save = { .out = c->out, .type = c->type, .overwrite = c->overwrite, .with_adapters = true, .extras = companions.extra, .lineage = lineage,
                                      .pool = rt->pool, .cancel = &rt->cancel, .on_event = c->on_event, .user = c->user };
    TRY_DONE(model_save(&m->model, m->file, &save, err));
    TRY_DONE(saved_model_check(&difference, m, c->out, err));
    tell(c, difference);
done:
    companions_release(&companions);
    json_decref(lineage);
    sc_model_close(m);
    return status;
}
