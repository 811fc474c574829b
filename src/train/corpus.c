/* corpus.c - the data of a run: prepared where that was not done before, opened, checked against the model, and walked
 * through in an order that depends on the seed and the position alone. */
#include "train/train_internal.h"

#include <string.h>

/* ---- preparing -------------------------------------------------------------------------------------------------------- */

static bool is_prepared(const char *path)
{
    char *manifest = path_join(path, "dataset.json");
    bool is = path_exists(manifest);
    mem_free(manifest);
    return is;
}

static int64_t stat_of(const json_t *event, const char *name) { return json_integer_value(json_object_get(json_object_get(event, "stats"), name)); }

/* Events of the preparation go on to the caller, but its end is not that of the run. */
static void forward(void *user, const char *json)
{
    const sc_train_config *c = user;
    json_t *event = json_loads(json, 0, NULL);
    const char *name = json_string_value(json_object_get(event, "event"));
    if (name && strcmp(name, "done") == 0) {
        const struct journal quiet = { .config = c };
        journal_note(&quiet, "prepared %lld dialogues: %lld samples, %lld tokens, %.1f %% of them trained", (long long)stat_of(event, "rows"), (long long)stat_of(event, "samples"), (long long)stat_of(event, "tokens"),
                     100.0 * (double)stat_of(event, "trained") / (double)(stat_of(event, "tokens") ? stat_of(event, "tokens") : 1));
    } else if (c->on_event) c->on_event(c->user, json);
    json_decref(event);
}

static sc_status prepare(sc_runtime *rt, const sc_train_config *c, const char *const *inputs, size_t n, double test_size, const char *out, sc_error *err)
{
    sc_prepare_config p;
    sc_options_defaults(&prepare_options, &p);
    p.inputs = inputs;
    p.n_inputs = n;
    p.out = out;
    p.tokenizer = c->model_name_or_path;
    p.chat_template = c->dialogue_template;
    p.block_size = c->block_size;
    p.packing = strcmp(c->loss_type, "sft") == 0 ? c->packing : "pairs";
    p.overlength = c->overlength;
    p.train_on = strcmp(c->loss_type, "sft") == 0 ? c->train_on : "last";
    p.dedup = c->dedup;
    p.lang = c->lang;
    p.test_size = test_size;
    p.seed = c->seed;
    p.on_event = forward;
    p.user = (void *)(uintptr_t)c;
    return sc_prepare(rt, &p, err);
}

/* A prepared directory as it is, else one made under output_dir. */
static sc_status open_data(sc_dataset **out, sc_runtime *rt, const sc_train_config *c, const char *const *inputs, size_t n, double test_size, const char *name, sc_error *err)
{
    if (n == 1 && is_prepared(inputs[0])) return sc_dataset_open(out, inputs[0], err);
    char *path = path_join(c->output_dir, name);
    sc_status status = is_prepared(path) ? SC_OK : prepare(rt, c, inputs, n, test_size, path, err);
    if (status == SC_OK) status = sc_dataset_open(out, path, err);
    mem_free(path);
    return status;
}

/* ---- splits ------------------------------------------------------------------------------------------------------------ */

static void split_collect(struct corpus_split *s, const sc_dataset *d, const char *name)
{
    *s = (struct corpus_split){ .shard = mem_zero(d->n_shards + 1, sizeof *s->shard), .first = mem_zero(d->n_shards + 1, sizeof *s->first) };
    for (size_t i = 0; i < d->n_shards; i++) {
        const struct shard *shard = &d->shard[i];
        if (strcmp(d->split[i], name) != 0) continue;
        s->shard[s->n] = shard;
        s->first[s->n++] = s->rows;
        s->rows += shard->n_rows;
        s->trained += (uint64_t)json_integer_value(json_object_get(dataset_shard_entry(d, i), "trained"));
        for (uint64_t r = 0; r < shard->n_rows; r++) {
            size_t tokens = 0;
            for (uint64_t k = shard->row_begin[r]; k < shard->row_begin[r + 1]; k++) tokens += shard->segment[k].length;
            if (tokens > s->longest) s->longest = tokens;
        }
    }
}

static const char *packing_of(const sc_dataset *d)
{
    const char *packing = json_string_value(json_object_get(json_object_get(d->manifest, "options"), "packing"));
    return packing ? packing : "";
}

sc_status corpus_open(struct corpus *out, sc_runtime *rt, const sc_train_config *c, sc_error *err)
{
    bool wants_pairs = strcmp(c->loss_type, "sft") != 0;
    *out = (struct corpus){ 0 };
    TRY(open_data(&out->train_data, rt, c, c->datasets, c->n_datasets, c->n_eval_datasets ? 0 : c->test_size, "data", err));
    if (c->n_eval_datasets) TRY(open_data(&out->eval_data, rt, c, c->eval_datasets, c->n_eval_datasets, 0, "eval_data", err));
    else out->eval_data = out->train_data;
    split_collect(&out->train, out->train_data, "train");
    split_collect(&out->eval, out->eval_data, c->n_eval_datasets ? "train" : "test");
    out->joined = strcmp(packing_of(out->train_data), "chop") == 0;
    out->has_pairs = strcmp(packing_of(out->train_data), "pairs") == 0;
    if (out->has_pairs != wants_pairs)
        return FAIL(err, SC_E_ARGUMENT, "loss_type is %s, but %s was prepared with packing %s; expected %s", c->loss_type, out->train_data->path, packing_of(out->train_data),
                    wants_pairs ? "pairs (chosen and rejected)" : "best_fit, none or chop");
    return SC_OK;
}

void corpus_close(struct corpus *c)
{
    if (c->eval_data != c->train_data) sc_dataset_close(c->eval_data);
    sc_dataset_close(c->train_data);
    mem_free(c->train.shard);
    mem_free(c->train.first);
    mem_free(c->eval.shard);
    mem_free(c->eval.first);
    *c = (struct corpus){ 0 };
}

const struct shard *corpus_row(const struct corpus_split *s, uint64_t i, uint64_t *row)
{
    size_t k = s->n - 1;
    while (s->first[k] > i) k--;
    *row = i - s->first[k];
    return s->shard[k];
}

/* ---- data and model ---------------------------------------------------------------------------------------------------- */

static const json_t *template_of(const sc_dataset *d) { return json_object_get(d->manifest, "template"); }

const char *corpus_template(const struct corpus *c, const sc_train_config *config)
{
    if (config->dialogue_template && *config->dialogue_template) return config->dialogue_template;
    const char *name = json_string_value(json_object_get(template_of(c->train_data), "name"));
    for (size_t i = 0; name && chat_templates[i].name; i++)
        if (strcmp(chat_templates[i].name, name) == 0) return name;
    return NULL;
}

static sc_status check_template(const sc_dataset *d, const sc_model *m, sc_error *err)
{
    const char *source = json_string_value(json_object_get(template_of(d), "source")), *name = json_string_value(json_object_get(template_of(d), "name"));
    bool is_text = m->has_template == false && source && !*source;
    if (is_text || (m->has_template && source && strcmp(source, m->chat_template.source) == 0)) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "%s was prepared with the chat template \"%s\", but the model is opened with another one; set dialogue_template to the same in both, or prepare the data anew",
                d->path, name ? name : "");
}

static sc_status check_tokens(const sc_dataset *d, const sc_model *m, sc_error *err)
{
    size_t vocab = model_vocab(&m->model);
    if (!m->tokenizer) return FAIL(err, SC_E_UNSUPPORTED, "%s has no tokenizer, so nothing tells whether the data were made for it", m->file->path);
    for (uint32_t id = 0; id < d->n_pieces; id++) {
        size_t in_data = 0, in_model = 0;
        const char *a = dataset_piece(d, (int32_t)id, &in_data), *b = tokenizer_bytes(m->tokenizer, (int32_t)id, &in_model);
        char qa[40], qb[40];
        if (!a) continue;
        if (b && in_data == in_model && memcmp(a, b, in_data) == 0 && id < vocab) continue;
        return FAIL(err, SC_E_ARGUMENT, "%s was made with another tokenizer: id %u spells \"%s\" there and \"%s\" in the model; prepare the data with the model that is trained", d->path, id,
                    error_quote(qa, sizeof qa, a, in_data), b ? error_quote(qb, sizeof qb, b, in_model) : "nothing");
    }
    return SC_OK;
}

sc_status corpus_check(const struct corpus *c, const sc_model *m, sc_error *err)
{
    if (!c->train.rows) return FAIL(err, SC_E_ARGUMENT, "%s has no rows to train on", c->train_data->path);
    if (!c->train.trained) return FAIL(err, SC_E_ARGUMENT, "%s has %llu rows, but not one token of them is trained; look at `starchat data show` and at train_on", c->train_data->path,
                                       (unsigned long long)c->train.rows);
    if (c->train.longest > m->model.config.context)
        return FAIL(err, SC_E_ARGUMENT, "rows of the data have up to %zu tokens, but %s was made for %zu; choose a smaller block_size", c->train.longest, m->file->path, m->model.config.context);
    TRY(check_tokens(c->train_data, m, err));
    TRY(check_template(c->train_data, m, err));
    if (c->eval_data == c->train_data) return SC_OK;
    TRY(check_tokens(c->eval_data, m, err));
    return check_template(c->eval_data, m, err);
}

/* ---- the order of rows --------------------------------------------------------------------------------------------------- */

enum { STREAM_ORDER = 0x6f72646572 & 0x7fffffff };

void order_init(struct order *o, uint64_t n, uint64_t seed, bool shuffles)
{
    *o = (struct order){ .row = mem_alloc((n + 1) * sizeof *o->row), .n = n, .epoch = UINT64_MAX, .seed = seed, .shuffles = shuffles };
}

void order_release(struct order *o)
{
    mem_free(o->row);
    *o = (struct order){ 0 };
}

/* Fisher and Yates; every epoch from the identity, so that a resumed run needs no other epoch. */
static void permute(struct order *o, uint64_t epoch)
{
    for (uint64_t i = 0; i < o->n; i++) o->row[i] = i;
    for (uint64_t i = o->n; o->shuffles && i > 1; i--) {
        uint64_t k = (uint64_t)(random_unit(o->seed, STREAM_ORDER + epoch, i) * (double)i), held = o->row[i - 1];
        o->row[i - 1] = o->row[k];
        o->row[k] = held;
    }
    o->epoch = epoch;
}

uint64_t order_row(struct order *o, uint64_t position)
{
    uint64_t epoch = position / o->n;
    if (epoch != o->epoch) permute(o, epoch);
    return o->row[position % o->n];
}
