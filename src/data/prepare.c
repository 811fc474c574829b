/* prepare.c - the job `data prepare`: dialogues to shards of packed rows, and dataset.json that names all that made
 * them. Everything is written into a directory beside the output, which takes its name at the end: an interrupted run
 * leaves nothing behind. */
#include "data/prepare.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SPLIT_TRAIN, SPLIT_TEST, SPLITS };
static const char *const split_names[SPLITS] = { "train", "test" };
static const uint64_t SHARD_TOKENS = 64 << 20;

/* One split: its packer and the shard being written. */
struct split_out {
    struct prepare_job *job; const char *name;
    struct packer *packer; struct shard_writer *writer; char *file;
    uint64_t samples, trained; size_t n_shards;
    json_t *shards;
};
struct prepare_job {
    sc_runtime *rt; const sc_prepare_config *config; struct plan plan;
    struct tokenizer *tokenizer; struct chat_template chat; struct renderer renderer; const char *template_name;
    char *directory;                                      /* where it is written before it takes its name */
    struct split_out split[SPLITS];
    struct counts counts; json_t *added, *inputs;
};

/* ---- tokenizer and template ------------------------------------------------------------------------------------------ */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static sc_status open_template(struct prepare_job *j, sc_error *err)
{
    const sc_prepare_config *c = j->config;
    struct model_file *m = NULL;
    if (c->chat_template && *c->chat_template) {
        TRY(chat_template_open(&j->chat, c->chat_template, err));
        j->template_name = j->chat.row ? j->chat.row->name : base_name(c->chat_template);
        return SC_OK;
    }
    if (path_ends_with(c->tokenizer, ".json"))
        return FAIL(err, SC_E_ARGUMENT, "%s is a tokenizer without a chat template; name one with --template (no_system, starchat-blog, default, alpaca, chatml or a Jinja file)", c->tokenizer);
    TRY(model_file_open(&m, c->tokenizer, true, err));
    sc_status status = chat_template_from_model(&j->chat, m, err);
    model_file_close(m);
    j->template_name = "model";
    return status;
}

/* Special tokens of the template that the vocabulary lacks get ids behind it. */
static void add_tokens(struct prepare_job *j)
{
    size_t n = 0, before = tokenizer_vocab(j->tokenizer);
    const struct chat_template_row *row = j->chat.row;
    j->added = json_array();
    while (row && n < 8 && row->tokens[n]) n++;
    if (!n || !tokenizer_add(j->tokenizer, row->tokens, n)) return;
    for (size_t i = 0; i < n; i++) {
        int32_t id = tokenizer_find(j->tokenizer, row->tokens[i], strlen(row->tokens[i]));
        if ((size_t)id >= before) json_array_append_new(j->added, json_pack("{s:i, s:s}", "id", id, "content", row->tokens[i]));
    }
}

static void tell(const struct prepare_job *j, json_t *event)
{
    char *text = j->config->on_event ? json_dumps(event, JSON_COMPACT) : NULL;
    if (text) j->config->on_event(j->config->user, text);
    mem_free(text);
    json_decref(event);
}

static sc_status open_text(struct prepare_job *j, sc_error *err)
{
    if (!j->config->tokenizer || !*j->config->tokenizer) return FAIL(err, SC_E_ARGUMENT, "--tokenizer is missing: a model, its directory or a tokenizer.json");
    TRY(tokenizer_open(&j->tokenizer, j->config->tokenizer, err));
    TRY(open_template(j, err));
    add_tokens(j);
    if (json_array_size(j->added)) tell(j, json_pack("{s:s, s:s, s:s, s:O}", "event", "note", "text", "added the template's special tokens to the vocabulary", "template", j->template_name, "tokens", j->added));
    TRY(renderer_open(&j->renderer, j->tokenizer, &j->chat, (enum train_on)j->plan.train_on, err));
    if (!j->renderer.end) tell(j, json_pack("{s:s, s:s}", "event", "note", "text", "this template ends an answer with no special token, so a model cannot learn from it where to stop"));
    return SC_OK;
}

/* ---- directories --------------------------------------------------------------------------------------------------------- */

/* A directory of plain files, ours: all of it goes. */
static sc_status check_output(const struct prepare_job *j, sc_error *err)
{
    const char *out = j->config->out;
    if (!out || !*out) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the directory to write");
    if (!path_exists(out)) return SC_OK;
    char *manifest = path_join(out, "dataset.json");
    bool is_dataset = path_exists(manifest);
    mem_free(manifest);
    if (!is_dataset && rmdir(out) == 0) return SC_OK;     /* an empty directory */
    if (!is_dataset) return FAIL(err, SC_E_ARGUMENT, "%s exists and is no dataset, it stays as it is; choose another --out", out);
    if (!j->config->overwrite) return FAIL(err, SC_E_ARGUMENT, "%s holds a dataset already; --overwrite replaces it", out);
    return SC_OK;
}

static sc_status make_directory(struct prepare_job *j, sc_error *err)
{
    struct buf b;
    char *parent = mem_strdup(j->config->out), *slash;
    for (size_t n = strlen(parent); n > 1 && parent[n - 1] == '/';) parent[--n] = 0;
    buf_init(&b, 0);
    buf_puts(&b, parent);
    buf_puts(&b, ".partial");
    j->directory = b.data;
    if ((slash = strrchr(parent, '/')) != NULL && slash != parent) *slash = 0;
    sc_status status = slash && slash != parent ? path_make_directories(parent, err) : SC_OK;
    mem_free(parent);
    TRY(status);
    if (path_exists(j->directory)) remove_plain_directory(j->directory);
    if (mkdir(j->directory, 0777) != 0) return FAIL(err, SC_E_IO, "cannot make the directory %s.partial: %s", j->config->out, strerror(errno));
    return SC_OK;
}

static sc_status publish(struct prepare_job *j, sc_error *err)
{
    struct buf old;
    bool replaces = path_exists(j->config->out);
    buf_init(&old, 0);
    buf_printf(&old, "%s.old", j->directory);
    if (replaces && rename(j->config->out, old.data) != 0) { buf_release(&old); return FAIL(err, SC_E_IO, "cannot replace %s: %s", j->config->out, strerror(errno)); }
    sc_status status = SC_OK;
    if (rename(j->directory, j->config->out) != 0) status = FAIL(err, SC_E_IO, "cannot give %s its name: %s", j->config->out, strerror(errno));
    if (replaces) remove_plain_directory(old.data);
    buf_release(&old);
    return status;
}

/* ---- shards ---------------------------------------------------------------------------------------------------------------- */

static sc_status close_shard(struct split_out *s, sc_error *err)
{
    char sha256[65];
    uint64_t rows = 0;
    if (!s->writer) return SC_OK;
    uint64_t tokens = shard_writer_tokens(s->writer);
    sc_status status = shard_writer_finish(s->writer, sha256, &rows, err);
    s->writer = NULL;
    if (status == SC_OK)
        json_array_append_new(s->shards, json_pack("{s:s, s:s, s:I, s:I, s:I, s:I}", "file", base_name(s->file), "sha256", sha256, "rows", (json_int_t)rows, "samples", (json_int_t)s->samples,
                                                   "tokens", (json_int_t)tokens, "trained", (json_int_t)s->trained));
    mem_free(s->file);
    s->file = NULL;
    s->samples = s->trained = 0;
    return status;
}

static sc_status write_row(void *user, const struct row *row, sc_error *err)
{
    struct split_out *s = user;
    if (s->writer && shard_writer_tokens(s->writer) + row->tokens > SHARD_TOKENS) TRY(close_shard(s, err));
    if (!s->writer) {
        char name[40];
        snprintf(name, sizeof name, "%s-%05zu.sct", s->name, s->n_shards++);
        s->file = path_join(s->job->directory, name);
        TRY(shard_writer_open(&s->writer, s->file, s->job->plan.packing == PACKING_NONE || s->job->plan.packing == PACKING_PAIRS ? 0 : (uint32_t)s->job->config->block_size, err));
    }
    for (size_t i = 0; i < row->len; i++) {
        s->samples++;
        for (size_t k = 0; k < row->sample[i].len; k++) s->trained += flag_trained(row->sample[i].flag[k]);
    }
    return shard_writer_put(s->writer, row, err);
}

/* Which side of the split, by what must stay together. */
static size_t split_of(const struct prepare_job *j, const struct prepared *p, const struct dialogue *d)
{
    uint64_t key = j->plan.split_by_row ? ((uint64_t)d->input << 48) + (d->line << 8) + d->index : p->group;
    return j->config->test_size > 0 && random_unit(j->config->seed, key, 0) < j->config->test_size ? SPLIT_TEST : SPLIT_TRAIN;
}

static sc_status put_dialogue(void *user, const struct work *w, struct prepared *p, struct dialogue *d, sc_error *err)
{
    struct prepare_job *j = user;
    struct split_out *s = &j->split[split_of(j, p, d)];
    (void)w;
    for (size_t i = 0; i < p->samples.len; i++) TRY(packer_put(s->packer, &p->samples.sample[i], err));
    return SC_OK;
}

/* ---- the manifest ---------------------------------------------------------------------------------------------------------------- */

static void hash_file(char hex[65], const void *data, size_t len)
{
    struct sha256 h;
    sha256_begin(&h);
    sha256_add(&h, data, len);
    sha256_end(&h, hex);
}

static json_t *describe_splits(const struct prepare_job *j)
{
    json_t *splits = json_object();
    for (size_t i = 0; i < SPLITS; i++)
        if (i == SPLIT_TRAIN || json_array_size(j->split[i].shards)) json_object_set_new(splits, split_names[i], json_pack("{s:O}", "shards", j->split[i].shards));
    return splits;
}

static json_t *describe_files(const json_t *inputs)
{
    json_t *files = json_array();
    size_t i;
    const json_t *input;
    json_array_foreach(inputs, i, input) json_array_append(files, json_object_get(input, "file"));
    return files;
}

static sc_status write_manifest(struct prepare_job *j, sc_error *err)
{
    char pieces_sha[65], template_sha[65], *path = path_join(j->directory, "tokens.bin");
    struct mapped_file pieces = { 0 };
    sc_text text = { 0 };
    json_t *manifest = NULL, *options = NULL;
    sc_status status = SC_OK;
    TRY_DONE(dataset_write_pieces(path, j->tokenizer, err));
    TRY_DONE(file_map(&pieces, path, err));
    hash_file(pieces_sha, pieces.data, pieces.size);
    hash_file(template_sha, j->chat.source, strlen(j->chat.source));
    TRY_DONE(sc_options_record(&text, &prepare_options, j->config));
    TRY_DONE(json_read(&options, text.data, text.len, "the options", err));
    json_object_del(options, "overwrite");                /* how it was asked for changes nothing in the result */
    manifest = json_pack("{s:s, s:i, s:s, s:o, s:o, s:o, s:O, s:O, s:o, s:o, s:o}", "format", "starchat-tokens", "version", 1, "program", SC_VERSION, "tokenizer",
                         json_pack("{s:s, s:s, s:I, s:O}", "name", base_name(j->config->tokenizer), "sha256", pieces_sha, "vocab", (json_int_t)tokenizer_vocab(j->tokenizer), "added", j->added),
                         "template", json_pack("{s:s, s:s, s:s}", "name", j->template_name, "sha256", template_sha, "source", j->chat.source), "end_token",
                         j->renderer.end ? json_integer(tokenizer_find(j->tokenizer, j->renderer.end, strlen(j->renderer.end))) : json_null(), "options", options, "inputs", j->inputs, "files",
                         describe_files(j->inputs), "splits", describe_splits(j), "stats", counts_describe(&j->counts));
    mem_free(path);
    path = path_join(j->directory, "dataset.json");
    sc_text_free(&text);
    TRY_DONE(json_write(&text, manifest, true));
    TRY_DONE(file_write(path, text.data, text.len, err));
done:
    if (status == SC_OK) tell(j, json_pack("{s:s, s:s, s:O}", "event", "done", "path", j->config->out, "stats", json_object_get(manifest, "stats")));
    json_decref(options);
    json_decref(manifest);
    sc_text_free(&text);
    file_unmap(&pieces);
    mem_free(path);
    return status;
}

/* ---- the job ---------------------------------------------------------------------------------------------------------------------- */

static void split_open(struct prepare_job *j, size_t i)
{
    struct split_out *s = &j->split[i];
    *s = (struct split_out) { .job = j, .name = split_names[i], .shards = json_array() };
    s->packer = packer_open((enum packing)j->plan.packing, (size_t)j->config->block_size, write_row, s);
}

static sc_status check_result(const struct prepare_job *j, sc_error *err)
{
    if (j->counts.kept) return SC_OK;
    struct buf b;
    buf_init(&b, 150);
    for (size_t i = KEEP + 1; i < DROP_COUNT; i++)
        if (j->counts.dropped[i]) buf_printf(&b, "%s%llu %s", b.len ? ", " : ": ", (unsigned long long)j->counts.dropped[i], drop_names[i]);
    sc_status status = FAIL(err, SC_E_FORMAT, "no dialogue is left of %llu in %llu records%s", (unsigned long long)j->counts.dialogues, (unsigned long long)j->counts.records, b.data ? b.data : "");
    buf_release(&b);
    return status;
}

static void job_release(struct prepare_job *j)
{
    for (size_t i = 0; i < SPLITS; i++) {
        shard_writer_discard(j->split[i].writer);
        packer_close(j->split[i].packer);
        mem_free(j->split[i].file);
        json_decref(j->split[i].shards);
    }
    if (j->directory) remove_plain_directory(j->directory);
    mem_free(j->directory);
    renderer_close(&j->renderer);
    chat_template_release(&j->chat);
    tokenizer_close(j->tokenizer);
    counts_release(&j->counts);
    json_decref(j->added);
    json_decref(j->inputs);
}

sc_status sc_prepare(sc_runtime *rt, const sc_prepare_config *c, sc_error *err)
{
    struct prepare_job j = { .rt = rt, .config = c };
    sc_status status = SC_OK;
    TRY_DONE(plan_read(&j.plan, c, err));
    TRY_DONE(check_output(&j, err));
    TRY_DONE(open_text(&j, err));
    TRY_DONE(make_directory(&j, err));
    for (size_t i = 0; i < SPLITS; i++) split_open(&j, i);
    TRY_DONE(pipeline_run(rt, &j.plan, &j.renderer, &j.counts, &j.inputs, put_dialogue, &j, err));
    TRY_DONE(check_result(&j, err));
    for (size_t i = 0; i < SPLITS; i++) {
        TRY_DONE(packer_finish(j.split[i].packer, err));
        TRY_DONE(close_shard(&j.split[i], err));
    }
    TRY_DONE(write_manifest(&j, err));
    TRY_DONE(publish(&j, err));
done:
    job_release(&j);
    return status;
}
