/* hub_hf.c - which files of a repository make the model, and where on the Hugging Face Hub they are.
 * A file whose entry in the list lacks size or digest is asked about by HEAD. Weights are taken as safetensors or GGUF,
 * never as pickles. Source: huggingface_hub hf_api, file_download. */
#include "hub/hub.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

void plan_release(struct pull_plan *p)
{
    for (size_t i = 0; i < p->n_files; i++) {
        mem_free(p->files[i].name);
        mem_free(p->files[i].path);
        mem_free(p->files[i].url);
        mem_free(p->files[i].etag);
    }
    json_decref(p->listing);
    mem_free(p->left_out);
    mem_free(p->files);
    mem_free(p->source);
    mem_free(p->revision);
    mem_free(p->model);
    *p = (struct pull_plan){ 0 };
}

struct hub_file *plan_add(struct pull_plan *p, const char *name, size_t len)
{
    if ((p->n_files & (p->n_files + 1)) == 0) p->files = mem_grow(p->files, (2 * p->n_files + 2) * sizeof *p->files);
    p->files[p->n_files] = (struct hub_file){ .name = mem_strndup(name, len), .size = SIZE_UNKNOWN };
    return &p->files[p->n_files++];
}

/* ---- choosing ---------------------------------------------------------------------------------------------------------- */

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static bool ends_with_nocase(const char *text, const char *suffix)
{
    size_t n = strlen(text), k = strlen(suffix);
    return n >= k && strcasecmp(text + n - k, suffix) == 0;
}

static const struct hub_file *plan_find(const struct pull_plan *p, const char *name)
{
    for (size_t i = 0; i < p->n_files; i++)
        if (strcmp(p->files[i].name, name) == 0) return &p->files[i];
    return NULL;
}

static bool is_document(const char *name)
{
    return strncasecmp(name, "LICENSE", 7) == 0 || strcmp(name, "README.md") == 0;
}

/* Files of a Hugging Face directory that some command here reads. */
static bool is_setting(const char *name)
{
    static const char *const names[] = { "config.json", "generation_config.json", "special_tokens_map.json", "added_tokens.json", "vocab.json",
                                         "merges.txt", "dialogue_template.json", "chat_template.json", "chat_template.jinja", "lineage.json" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++)
        if (strcmp(name, names[i]) == 0) return true;
    return strncmp(name, "tokenizer", 9) == 0 && path_ends_with(name, ".json");
}

/* Keeps the files marked; their names lose any folder. */
static void plan_keep(struct pull_plan *p, const bool *keep)
{
    size_t n = 0;
    for (size_t i = 0; i < p->n_files; i++) {
        struct hub_file f = p->files[i];
        if (!keep[i]) {
            mem_free(f.name);
            mem_free(f.path);
            mem_free(f.url);
            continue;
        }
        if (strchr(f.name, '/')) {
            char *name = mem_strdup(base_name(f.name));
            mem_free(f.name);
            f.name = name;
        }
        p->files[n++] = f;
    }
    p->n_files = n;
}

/* Whether a .gguf is what "q8_0" asks for: the quantisation stands before the extension. */
static bool has_quantisation(const char *name, const char *tag)
{
    size_t n = strlen(base_name(name)), k = strlen(tag);
    if (n < k + 6 || !ends_with_nocase(name, ".gguf")) return false;
    const char *at = base_name(name) + n - 5 - k;
    return strncasecmp(at, tag, k) == 0 && strchr("-._", at[-1]);
}

static bool is_candidate_gguf(const char *name)
{
    return ends_with_nocase(name, ".gguf") && !strstr(name, "-of-") && strncasecmp(base_name(name), "mmproj", 6) != 0;
}

/* A choice among several: names a few of them. */
static sc_status ambiguous(const struct pull_plan *p, const char *wanted, const char *what, sc_error *err)
{
    struct buf list;
    char quoted[80];
    buf_init(&list, 220);
    for (size_t i = 0; i < p->n_files && list.len < 150; i++)
        if (is_candidate_gguf(p->files[i].name)) buf_printf(&list, "%s%s", list.len ? ", " : "", error_quote(quoted, sizeof quoted, p->files[i].name, strlen(p->files[i].name)));
    sc_status status;
    if (!list.len) status = FAIL(err, SC_E_UNSUPPORTED, "%s has no .gguf file in one part", what);
    else if (wanted) status = FAIL(err, SC_E_ARGUMENT, "%s has no file \"%s\"; it has %s", what, error_quote(quoted, sizeof quoted, wanted, strlen(wanted)), list.data);
    else status = FAIL(err, SC_E_ARGUMENT, "%s has several models: choose one as %s:FILE, with FILE one of %s", what, what, list.data);
    buf_release(&list);
    return status;
}

/* Index of the .gguf to take, or n_files. */
static size_t choose_gguf(const struct pull_plan *p, const char *wanted)
{
    static const char *const best_first[] = { "q4_k_m", "q4_0", "q4_1", "q5_k_m", "q8_0", "q6_k", "q5_0", "q5_1", "bf16", "f16", "f32" };
    size_t n_candidates = 0, only = p->n_files;
    for (size_t i = 0; i < p->n_files; i++) {
        const char *name = p->files[i].name;
        if (wanted && (strcmp(name, wanted) == 0 || strcmp(base_name(name), wanted) == 0 || has_quantisation(name, wanted))) return i;
        if (!is_candidate_gguf(name)) continue;
        n_candidates++;
        only = i;
    }
    if (wanted) return p->n_files;
    if (n_candidates == 1) return only;
    for (size_t t = 0; t < sizeof best_first / sizeof *best_first; t++)
        for (size_t i = 0; i < p->n_files; i++)
            if (is_candidate_gguf(p->files[i].name) && has_quantisation(p->files[i].name, best_first[t])) return i;
    return p->n_files;
}

static sc_status select_gguf(struct pull_plan *p, bool *keep, const char *wanted, const char *what, sc_error *err)
{
    size_t chosen = choose_gguf(p, wanted);
    if (chosen == p->n_files) return ambiguous(p, wanted, what, err);
    const char *name = base_name(p->files[chosen].name);
    if (!ends_with_nocase(name, ".gguf")) return FAIL(err, SC_E_UNSUPPORTED, "%s: %s is no .gguf file; a repository of safetensors is pulled as a whole", what, name);
    TRY(file_name_check(name, strlen(name), err));
    p->model = mem_strdup(name);
    for (size_t i = 0; i < p->n_files; i++) keep[i] = i == chosen || is_document(p->files[i].name);
    return SC_OK;
}

/* One file of weights wins over shards, as in the reference; other .safetensors (another framework's) only if alone. */
static sc_status select_directory(struct pull_plan *p, bool *keep, const char *what, sc_error *err)
{
    bool has_single = plan_find(p, "model.safetensors"), has_index = plan_find(p, "model.safetensors.index.json");
    if (!plan_find(p, "config.json")) return FAIL(err, SC_E_UNSUPPORTED, "%s has weights but no config.json, so it is no model by itself", what);
    for (size_t i = 0; i < p->n_files; i++) {
        const char *name = p->files[i].name;
        bool is_weights = path_ends_with(name, ".safetensors"), is_shard = strncmp(name, "model-", 6) == 0 && strstr(name, "-of-");
        if (strchr(name, '/')) continue;
        if (has_single) keep[i] = strcmp(name, "model.safetensors") == 0;
        else if (has_index) keep[i] = (is_weights && is_shard) || strcmp(name, "model.safetensors.index.json") == 0;
        else keep[i] = is_weights;
        keep[i] = keep[i] || is_setting(name) || is_document(name);
        if (keep[i]) TRY(file_name_check(name, strlen(name), err));
    }
    p->model = mem_strdup(".");
    return SC_OK;
}

sc_status plan_select(struct pull_plan *p, const char *wanted, const char *what, sc_error *err)
{
    bool has_safetensors = false, has_gguf = false, has_pickle = false;
    for (size_t i = 0; i < p->n_files; i++) {
        const char *name = p->files[i].name;
        has_gguf = has_gguf || ends_with_nocase(name, ".gguf");
        has_safetensors = has_safetensors || (path_ends_with(name, ".safetensors") && !strchr(name, '/'));
        has_pickle = has_pickle || path_ends_with(name, ".bin") || path_ends_with(name, ".pt") || path_ends_with(name, ".pth");
    }
    bool *keep = mem_zero(p->n_files + 1, sizeof *keep);
    sc_status status;
    if (wanted || (has_gguf && !has_safetensors)) status = select_gguf(p, keep, wanted, what, err);
    else if (has_safetensors) status = select_directory(p, keep, what, err);
    else if (has_pickle)
        status = FAIL(err, SC_E_UNSUPPORTED, "%s has its weights as pickles alone (.bin), which can run code and are not read here: take a revision with safetensors (see its pull requests: NAME@refs/pr/N) or a GGUF version, or convert it where you trust it: in Python, AutoModelForCausalLM.from_pretrained(\"%s\").save_pretrained(DIR), then use DIR", what, what);
    else status = FAIL(err, SC_E_UNSUPPORTED, "%s holds no model: neither safetensors nor .gguf", what);
    if (status == SC_OK) plan_keep(p, keep);
    mem_free(keep);
    return status;
}

/* Files of data lie in folders (data/train-00000.parquet): the folders become part of the name, so that none is lost. */
sc_status plan_select_data(struct pull_plan *p, const char *what, sc_error *err)
{
    static const char *const endings[] = { ".jsonl", ".json", ".csv", ".tsv", ".jsonl.gz", ".json.gz", ".jsonl.zst", ".json.zst" };
    static const char *const tables[] = { ".parquet", ".arrow" };     /* where there are such files, those beside them describe them */
    bool *keep = mem_zero(p->n_files + 1, sizeof *keep);
    const char *table = NULL;
    size_t n = 0;
    for (size_t k = 0; k < sizeof tables / sizeof *tables && !table; k++)
        for (size_t i = 0; i < p->n_files; i++) if (ends_with_nocase(p->files[i].name, tables[k])) table = tables[k];
    for (size_t i = 0; i < p->n_files; i++) {
        char *name = p->files[i].name;
        bool is_data = table && ends_with_nocase(name, table);
        for (size_t k = 0; !table && k < sizeof endings / sizeof *endings; k++) is_data = is_data || ends_with_nocase(name, endings[k]);
        n += is_data = is_data && strcmp(name, "dataset_infos.json") != 0;
        keep[i] = is_data || is_document(name);
        for (char *c = name; is_data && *c; c++)
            if (*c == '/') *c = '-';
    }
    sc_status status = n ? SC_OK : FAIL(err, SC_E_UNSUPPORTED, "%s holds no file of data (.parquet, .arrow, .jsonl, .json, .csv); its Parquet form may be NAME@refs/convert/parquet", what);
    for (size_t i = 0; i < p->n_files && status == SC_OK; i++)
        if (keep[i]) status = file_name_check(base_name(p->files[i].name), strlen(base_name(p->files[i].name)), err);
    if (status == SC_OK) {
        plan_keep(p, keep);
        p->model = mem_strdup(".");
    }
    mem_free(keep);
    return status;
}

/* ---- what was chosen -------------------------------------------------------------------------------------------------------- */

void source_what(struct buf *out, const struct model_source *s)
{
    buf_printf(out, "%s%s", s->is_dataset ? "datasets/" : "", s->repo);
    if (strcmp(s->revision, "main") != 0) buf_printf(out, "@%s", s->revision);
}

static int compare_nocase(const void *a, const void *b)
{
    const struct hub_file *const *x = a, *const *y = b;
    return strcasecmp((*x)->name, (*y)->name);
}

/* Two names that some file systems take for one, and people too. */
static sc_status check_twins(const struct pull_plan *p, const char *what, sc_error *err)
{
    const struct hub_file **sorted = mem_zero(p->n_files + 1, sizeof *sorted);
    sc_status status = SC_OK;
    for (size_t i = 0; i < p->n_files; i++) sorted[i] = &p->files[i];
    qsort(sorted, p->n_files, sizeof *sorted, compare_nocase);
    for (size_t i = 1; i < p->n_files && status == SC_OK; i++)
        if (strcasecmp(sorted[i]->name, sorted[i - 1]->name) == 0)
            status = FAIL(err, SC_E_FORMAT, "%s has %s and %s, which differ in case or folder alone; refused, as one could pass for the other", what, sorted[i - 1]->path, sorted[i]->path);
    mem_free(sorted);
    return status;
}

sc_status plan_select_for(struct pull_plan *p, const struct model_source *s, sc_error *err)
{
    struct buf what;
    buf_init(&what, 0);
    source_what(&what, s);
    sc_status status = s->is_dataset ? plan_select_data(p, what.data, err) : plan_select(p, s->file, what.data, err);
    if (status != SC_OK && p->left_out) (void)error_prefix(err, status, "%s", p->left_out);
    if (status == SC_OK) status = check_twins(p, what.data, err);
    if (s->file) buf_printf(&what, ":%s", s->file);
    p->source = what.data;
    return status;
}

/* Size and digest from the headers of the file itself, which must be of the commit that was listed. */
static sc_status ask_facts(struct hub_file *f, struct http *h, const char *commit, sc_error *err)
{
    struct http_reply reply = { 0 };
    struct http_request q = { .url = f->url, .is_head = true };
    sc_status status = http_fetch(h, &q, &reply, err);
    bool is_redirect = reply.status / 100 == 3;
    if (status == SC_OK && reply.status != 200 && !is_redirect) status = http_refusal(h, &reply, f->name, err);
    if (status == SC_OK && (!reply.header[HTTP_COMMIT] || strcasecmp(reply.header[HTTP_COMMIT], commit) != 0))
        status = FAIL(err, SC_E_FORMAT, "%s: the header X-Repo-Commit is %s, expected %s; is HF_ENDPOINT a Hub?", f->name, reply.header[HTTP_COMMIT] ? reply.header[HTTP_COMMIT] : "missing", commit);
    if (status == SC_OK) {
        const char *size = reply.header[HTTP_LINKED_SIZE], *etag = reply.header[HTTP_LINKED_ETAG];
        if (!size && !is_redirect && !reply.header[HTTP_CONTENT_ENCODING]) size = reply.header[HTTP_CONTENT_LENGTH];
        if (!etag && !is_redirect) etag = reply.header[HTTP_ETAG];
        if (size && f->size == SIZE_UNKNOWN && *size >= '0' && *size <= '9') f->size = strtoull(size, NULL, 10);
        char *id = etag ? header_etag(etag) : NULL;
        if (id && hex_is_valid(id, 64)) memcpy(f->sha256, id, 65);
        else if (id && hex_is_valid(id, 40)) memcpy(f->git_sha1, id, 41);
        mem_free(id);
    }
    http_reply_release(&reply);
    return status;
}

/* What a file is called in the cache is its digest; without one, or without a size, nothing could tell that it is right. */
static sc_status name_blob(struct hub_file *f, sc_error *err)
{
    const char *digest = f->sha256[0] ? f->sha256 : f->git_sha1;
    if (!*digest || f->size == SIZE_UNKNOWN || f->size > INT64_MAX / 2) return FAIL(err, SC_E_FORMAT, "%s: the Hub tells neither in its list nor in the file's headers which size and digest it has", f->path);
    for (size_t i = 0; i <= strlen(digest); i++) f->blob[i] = (char)(digest[i] >= 'A' && digest[i] <= 'F' ? digest[i] | 32 : digest[i]);
    return SC_OK;
}

sc_status hub_plan(struct pull_plan *out, struct http *h, const char *endpoint, const struct model_source *s, sc_error *err)
{
    struct buf what;
    buf_init(&what, 0);
    source_what(&what, s);
    *out = (struct pull_plan){ 0 };
    sc_status status = hub_list(out, h, endpoint, s, what.data, err);
    if (status == SC_OK) status = plan_select_for(out, s, err);
    for (size_t i = 0; status == SC_OK && i < out->n_files; i++) {
        struct hub_file *f = &out->files[i];
        if (f->size == SIZE_UNKNOWN || (!f->sha256[0] && !f->git_sha1[0])) status = ask_facts(f, h, out->revision, err);
        if (status == SC_OK) status = name_blob(f, err);
    }
    if (status == SC_OK && out->left_out) http_note(h, "%s", out->left_out);
    buf_release(&what);
    if (status != SC_OK) plan_release(out);
    return status;
}
