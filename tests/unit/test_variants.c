/* test_variants.c - several adapters on one base in one pass give each row the bits of its adapter opened alone, in any order
 * of the sequences; what cannot be shared is refused; text goes by each variant's own tokenizer. */
#include "adapter_fixture.h"
#include "random_adapter.h"

enum { MEMBERS = 4, SEQUENCES = 8, STEPS = 5 };

/* Member 0 is the base, the others its variants; each is there once more, opened alone. */
struct family { sc_runtime *rt; sc_model *shared[MEMBERS], *alone[MEMBERS]; char *adapter[MEMBERS]; };

static sc_runtime *runtime_of(const char *activations, const char *kernels)
{
    sc_runtime *rt = NULL;
    sc_runtime_config c;
    sc_options_defaults(&runtime_options, &c);
    c.threads = 2;
    c.activations = activations;
    c.kernels = kernels;
    CHECK_OK(sc_runtime_open(&rt, &c, err));
    return rt;
}

/* Of three kinds: few matrices, all of them with token rows of their own, new tokens. Ranks differ. */
static void family_open(struct family *f, sc_runtime *rt, const char *base)
{
    *f = (struct family){ .rt = rt };
    CHECK_OK(sc_model_open(&f->shared[0], rt, &(sc_model_config){ .path = base }, err));
    CHECK_OK(sc_model_open(&f->alone[0], rt, &(sc_model_config){ .path = base }, err));
    int64_t vocab = (int64_t)f->shared[0]->model.config.vocab;
    const struct random_adapter kinds[MEMBERS] = {
        { .rank = 0 }, { .rank = 3, .every = 2, .phase = 0, .seed = 1 },
        { .rank = 16, .every = 1, .use_rslora = true, .rows = { 3, 17 }, .n_rows = 2, .seed = 2 },
        { .rank = 5, .every = 3, .phase = 1, .rows = { vocab, vocab + 1, vocab + 2 }, .n_rows = 3, .seed = 3 },
    };
    for (int k = 1; k < MEMBERS; k++) {
        char name[24];
        snprintf(name, sizeof name, "adapter%d", k);
        f->adapter[k] = random_adapter(&kinds[k], name, f->shared[0]);
        CHECK_OK(sc_model_open_variant(&f->shared[k], f->shared[0], f->adapter[k], NULL, err));
        CHECK_OK(sc_model_open(&f->alone[k], rt, &(sc_model_config){ .path = base, .adapter = f->adapter[k] }, err));
        CHECK_INT(model_vocab(&f->shared[k]->model), model_vocab(&f->alone[k]->model));
        CHECK(model_vocab(&f->shared[k]->model) >= (size_t)vocab + (k == 3 ? 3 : 0));
    }
}

static void family_close(struct family *f)
{
    for (int k = 0; k < MEMBERS; k++) {          /* the base first: its weights stay until the last variant goes */
        sc_model_close(f->shared[k]);
        sc_model_close(f->alone[k]);
        mem_free(f->adapter[k]);
    }
    sc_runtime_close(f->rt);
}

static int32_t token_of(const sc_model *m, uint64_t stream, size_t i) { return (int32_t)(random_unit(5, stream, i) * (double)model_vocab(&m->model)); }

static bool are_same(sc_session *a, sc_session *b)
{
    size_t vocab, other;
    const float *x = sc_session_logits(a, &vocab), *y = sc_session_logits(b, &other);
    return x && y && vocab == other && memcmp(x, y, vocab * sizeof *x) == 0;
}

/* ---- models ------------------------------------------------------------------------------------------------------------ */

#define DECODER "\"vocab_size\":267,\"hidden_size\":64,\"num_hidden_layers\":2,\"num_attention_heads\":2,\"num_key_value_heads\":1,\"intermediate_size\":96,\"max_position_embeddings\":128," \
    "\"initializer_range\":0.1,\"bos_token_id\":0,\"eos_token_id\":0}"
static const char *const configs[] = {
    "{\"model_type\":\"gpt_bigcode\",\"vocab_size\":267,\"n_embd\":64,\"n_layer\":2,\"n_head\":2,\"n_inner\":96,\"n_positions\":128,\"multi_query\":true,\"initializer_range\":0.1,\"bos_token_id\":0,\"eos_token_id\":0}",
    "{\"model_type\":\"llama\",\"tie_word_embeddings\":true," DECODER, "{\"model_type\":\"llama\",\"tie_word_embeddings\":false," DECODER,
    "{\"model_type\":\"qwen2\",\"tie_word_embeddings\":true," DECODER, "{\"model_type\":\"starcoder2\"," DECODER,
};
enum { CONFIGS = sizeof configs / sizeof *configs };

/* A random model with the tokenizer of bytes. */
static char *init_model(sc_runtime *rt, const char *config, const char *name, const char *type)
{
    char *json = path_join(test_scratch(), "config.json"), *out = path_join(test_scratch(), name);
    sc_init_config c;
    CHECK_OK(file_write(json, config, strlen(config), err));
    sc_options_defaults(&init_options, &c);
    c.config = json;
    c.out = out;
    c.tokenizer = test_path("tests/golden/tokenizers/bytes/tokenizer.json");
    c.type = type;
    c.overwrite = true;
    CHECK_OK(sc_init(rt, &c, err));
    mem_free(json);
    return out;
}

/* ---- a token each -------------------------------------------------------------------------------------------------------- */

static void check_decode(struct family *f)
{
    static const int member[SEQUENCES] = { 0, 1, 2, 3, 3, 1, 0, 2 };
    sc_session *alone[SEQUENCES], *together[SEQUENCES];
    for (size_t i = 0; i < SEQUENCES; i++) {
        int32_t id[32];
        sc_model *m = f->shared[member[i]];
        size_t n = 2 + 3 * i;
        for (size_t k = 0; k < n; k++) id[k] = token_of(m, i, k);
        if (member[i] == 2) id[0] = 17;
        if (member[i] == 3) id[1] = (int32_t)f->shared[0]->model.config.vocab + 1;
        CHECK_OK(sc_session_open(&alone[i], f->alone[member[i]], &(sc_session_config){ .context = 64 }, err));
        CHECK_OK(sc_session_open(&together[i], m, &(sc_session_config){ .context = 64 }, err));
        CHECK_OK(sc_session_sync(alone[i], id, n, err));
        CHECK_OK(sc_session_sync(together[i], id, n, err));
        CHECK(are_same(alone[i], together[i]));
    }
    for (size_t t = 0; t < STEPS; t++) {
        sc_session *s[SEQUENCES];
        int32_t id[SEQUENCES];
        for (size_t i = 0; i < SEQUENCES; i++) {
            size_t from = (i * 5 + t) % SEQUENCES;
            s[i] = together[from];
            id[i] = token_of(f->shared[member[from]], 100 + from, t);
            CHECK_OK(sc_sessions_append(&alone[from], &id[i], 1, err));
        }
        CHECK_OK(sc_sessions_append(s, id, t < STEPS - 1 ? SEQUENCES : SEQUENCES / 2, err));
        for (size_t i = 0; i < (t < STEPS - 1 ? SEQUENCES : SEQUENCES / 2); i++) CHECK(are_same(alone[(i * 5 + t) % SEQUENCES], s[i]));
    }
    for (size_t i = 0; i < SEQUENCES; i++) {
        sc_session_close(alone[i]);
        sc_session_close(together[i]);
    }
}

/* ---- chunks of prompts and tokens in one pass ------------------------------------------------------------------------------- */

/* Rows of one sequence in a pass; `past` tokens are before them. */
static const struct { int member; size_t past, rows; } pieces[] = { { 1, 0, 9 }, { 0, 4, 1 }, { 3, 2, 6 }, { 2, 5, 1 }, { 2, 0, 40 }, { 0, 0, 7 }, { 1, 3, 1 } };
enum { PIECES = sizeof pieces / sizeof *pieces, ROWS = 65 };

struct pass { sc_session *s[PIECES]; struct kv_cache *cache[PIECES]; int32_t id[PIECES][64], token[ROWS], position[ROWS], sequence[ROWS]; struct variant_rows variant[PIECES]; size_t row[ROWS]; const struct model *of[ROWS]; float *logits[ROWS]; };

static void fill_pass(struct pass *p, struct family *f, struct batch *b)
{
    *b = (struct batch){ .token = p->token, .position = p->position, .sequence = p->sequence, .caches = p->cache, .variant = p->variant };
    for (size_t i = 0; i < PIECES; i++) {
        sc_model *m = f->shared[pieces[i].member];
        struct session_past past;
        for (size_t k = 0; k < pieces[i].past + pieces[i].rows; k++) p->id[i][k] = k % 4 == 1 ? (int32_t)model_vocab(&m->model) - 1 : token_of(m, 50 + i, k);
        CHECK_OK(sc_session_open(&p->s[i], m, &(sc_session_config){ .context = 64 }, err));
        if (pieces[i].past) CHECK_OK(sc_session_sync(p->s[i], p->id[i], pieces[i].past, err));
        CHECK_OK(session_room(p->s[i], pieces[i].past, pieces[i].past + pieces[i].rows, err));
        session_past(&past, p->s[i]);
        p->cache[i] = past.cache;
        if (m->base) p->variant[b->n_variants++] = (struct variant_rows){ b->rows, b->rows + pieces[i].rows, &m->model };
        for (size_t k = 0; k < pieces[i].rows; k++, b->rows++) {
            p->token[b->rows] = p->id[i][pieces[i].past + k];
            p->position[b->rows] = (int32_t)(pieces[i].past + k);
            p->sequence[b->rows] = (int32_t)i;
            p->row[b->rows] = b->rows;
            p->of[b->rows] = &m->model;
            p->logits[b->rows] = mem_alloc(model_vocab(&m->model) * sizeof **p->logits);
        }
    }
    CHECK_INT(b->rows, ROWS);
}

static void check_prefill(struct family *f)
{
    static struct pass p;
    struct batch b;
    struct arena step;
    arena_init(&step);
    fill_pass(&p, f, &b);
    struct exec e = { .pool = f->rt->pool, .backend = f->rt->backend, .kernels = f->rt->kernels, .int8_activations = !strcmp(f->rt->activations, "int8"), .step = &step };
    const struct tensor *hidden = model_forward(&f->shared[0]->model, &e, &b, p.row, ROWS);
    model_logits_each(p.of, &e, hidden, p.logits);
    for (size_t i = 0, r = 0; i < PIECES; i++) {
        sc_session *alone = NULL;
        size_t n = pieces[i].past;
        CHECK_OK(sc_session_open(&alone, f->alone[pieces[i].member], &(sc_session_config){ .context = 64, .chunk = 5 }, err));
        for (size_t k = 0; k < pieces[i].rows; k++, r++) {
            size_t vocab;
            CHECK_OK(sc_session_sync(alone, p.id[i], ++n, err));
            const float *expected = sc_session_logits(alone, &vocab);
            if (memcmp(expected, p.logits[r], vocab * sizeof *expected) != 0) test_failed(__FILE__, __LINE__, "row %zu of sequence %zu has other bits than alone", k, i);
            mem_free(p.logits[r]);
        }
        session_adopt(p.s[i], p.id[i], n);       /* what the pass left in the cache, too */
        CHECK_OK(sc_sessions_append(&alone, &(int32_t){ 3 }, 1, err));
        CHECK_OK(sc_sessions_append(&p.s[i], &(int32_t){ 3 }, 1, err));
        CHECK(are_same(alone, p.s[i]));
        sc_session_close(alone);
        sc_session_close(p.s[i]);
    }
    arena_release(&step);
}

/* Adapters change something, or the comparisons above say nothing. */
static void check_differ(struct family *f)
{
    float *last = NULL;
    size_t common = f->shared[0]->model.config.vocab;
    for (int k = 0; k < MEMBERS; k++) {
        sc_session *s = NULL;
        CHECK_OK(sc_session_open(&s, f->shared[k], &(sc_session_config){ .context = 16 }, err));
        CHECK_OK(sc_session_sync(s, (int32_t[]){ 3, 1, 17 }, 3, err));
        float *logits = mem_alloc(common * sizeof *logits);
        memcpy(logits, sc_session_logits(s, NULL), common * sizeof *logits);
        CHECK(!last || memcmp(last, logits, common * sizeof *logits) != 0);
        mem_free(last);
        last = logits;
        sc_session_close(s);
    }
    mem_free(last);
}

static void check_family(const char *base, const char *activations, const char *kernels)
{
    struct family f;
    family_open(&f, runtime_of(activations, kernels), base);
    check_differ(&f);
    check_decode(&f);
    check_prefill(&f);
    family_close(&f);
}

TEST(rows_of_several_adapters_have_the_bits_of_each_alone)
{
    static const char *const bases[] = { "bigcode_mqa_erf", "bigcode_mha", "llama_gqa_untied", "llama_biases", "llama_mha_tied", "qwen2_window", "qwen2_untied", "starcoder2_window", "starcoder2_untied" };
    for (size_t i = 0; i < sizeof bases / sizeof *bases; i++) {
        char path[64];
        snprintf(path, sizeof path, "tests/golden/models/%s", bases[i]);
        check_family(test_path(path), "f32", "auto");
        check_family(test_path(path), "f32", "scalar");
    }
}

TEST(rows_on_quantised_weights_too)
{
    static const char *const types[] = { "q8_0", "q4_0", "bf16" };
    sc_runtime *rt = open_runtime();
    for (int i = 0; i < CONFIGS; i++)
        for (int t = 0; t < 3; t++) {
            char *base = init_model(rt, configs[i], "base.gguf", types[t]);
            check_family(base, "int8", "auto");
            if (t == 0) check_family(base, "int8", "scalar");
            if (t == 0) check_family(base, "f32", "auto");
            mem_free(base);
        }
    sc_runtime_close(rt);
}

/* ---- adapters of PEFT ---------------------------------------------------------------------------------------------------------- */

/* Tables of tokens may be whole ones, norms may not. */
static int check_golden(sc_runtime *rt, const char *name)
{
    struct golden g;
    sc_model *base = NULL, *alone = NULL, *variant = NULL;
    sc_error e;
    golden_read(&g, name);
    CHECK_OK(sc_model_open(&base, rt, &(sc_model_config){ .path = g.base }, err));
    CHECK_OK(sc_model_open(&alone, rt, &(sc_model_config){ .path = g.base, .adapter = g.adapter }, err));
    bool is_open = sc_model_open_variant(&variant, base, g.adapter, NULL, &e) == SC_OK;
    sc_model_close(base);
    if (is_open) {
        float *a = all_logits(alone, &g, false), *b = all_logits(variant, &g, false);
        CHECK(memcmp(a, b, g.n * g.vocab * sizeof *a) == 0);
        mem_free(a);
        mem_free(b);
    } else {
        CHECK_STR(name, "llama_save_norms");
        CHECK(e.status == SC_E_UNSUPPORTED && strstr(e.message, "it replaces the whole of base_model.model.model.layers.") && strstr(e.message, "starchat merge"));
    }
    sc_model_close(variant);
    sc_model_close(alone);
    golden_release(&g);
    return is_open;
}

TEST(adapters_of_peft_open_as_variants)
{
    sc_runtime *rt = open_runtime();
    DIR *d = opendir(test_path("tests/golden/adapters"));
    int n = 0;
    CHECK(d);
    for (struct dirent *e; d && (e = readdir(d));)
        if (e->d_name[0] != '.') n += check_golden(rt, e->d_name);
    closedir(d);
    CHECK_INT(n, 19);
    sc_runtime_close(rt);
}

/* ---- refusals -------------------------------------------------------------------------------------------------------------------- */

static void check_whole(sc_model *base, const char *save, const char *part)
{
    sc_model *m = NULL;
    char *adapter = random_adapter(&(struct random_adapter){ .rank = 2, .every = 5, .save = save }, save, base);
    CHECK_FAILS(sc_model_open_variant(&m, base, adapter, NULL, err), SC_E_UNSUPPORTED, part);
    CHECK(!m);
    mem_free(adapter);
}

TEST(what_cannot_be_shared_is_refused)
{
    struct family f;
    sc_model *m = NULL;
    family_open(&f, runtime_of("f32", "auto"), test_path("tests/golden/models/llama_gqa_untied"));
    check_whole(f.shared[0], "down_proj", "replaces the whole of base_model.model.model.layers.0.mlp.down_proj.weight");
    check_whole(f.shared[0], "model.norm", "replaces the whole of base_model.model.model.norm.weight");
    CHECK_FAILS(sc_model_open_variant(&m, f.shared[1], f.adapter[2], NULL, err), SC_E_ARGUMENT, "has the adapter");
    CHECK_FAILS(sc_model_open_variant(&m, f.alone[1], f.adapter[2], NULL, err), SC_E_ARGUMENT, "open its base without one");
    CHECK_FAILS(sc_model_open_variant(&m, f.shared[0], test_path("tests/golden/adapters/starcoder2_fc"), NULL, err), SC_E_FORMAT, "adapter of another one");
    CHECK_FAILS(sc_model_open_variant(&m, f.shared[0], test_path("tests/golden/models/llama_mqa"), NULL, err), SC_E_IO, "adapter_config.json");
    sc_session *s[3];
    sc_model *of[3] = { f.shared[0], f.shared[3], f.alone[1] };
    int32_t vocab = (int32_t)f.shared[0]->model.config.vocab;
    for (int i = 0; i < 3; i++) CHECK_OK(sc_session_open(&s[i], of[i], &(sc_session_config){ .context = 8 }, err));
    CHECK_FAILS(sc_sessions_append(s, (int32_t[]){ 1, 2, 3 }, 3, err), SC_E_ARGUMENT, "session 2 is of another model");
    CHECK_FAILS(sc_sessions_append(s, (int32_t[]){ vocab, vocab }, 2, err), SC_E_ARGUMENT, "of session 0 is none");
    CHECK_FAILS(sc_sessions_append(s, (int32_t[]){ 1, vocab + 3 }, 2, err), SC_E_ARGUMENT, "of session 1 is none");
    CHECK_OK(sc_sessions_append(s, (int32_t[]){ 1, vocab + 2 }, 2, err));
    for (int i = 0; i < 3; i++) sc_session_close(s[i]);
    family_close(&f);
}

TEST(a_base_that_changed_on_disk_takes_no_variant)
{
    sc_runtime *rt = runtime_of("f32", "auto");
    sc_model *base = NULL, *m = NULL;
    char *path = init_model(rt, configs[1], "base.gguf", "f32");
    CHECK_OK(sc_model_open(&base, rt, &(sc_model_config){ .path = path }, err));
    char *adapter = random_adapter(&(struct random_adapter){ .rank = 2, .every = 1 }, "adapter", base);
    mem_free(init_model(rt, configs[2], "base.gguf", "f32"));
    CHECK_FAILS(sc_model_open_variant(&m, base, adapter, NULL, err), SC_E_FORMAT, "open it anew");
    sc_model_close(base);
    mem_free(adapter);
    mem_free(path);
    sc_runtime_close(rt);
}

/* ---- text -------------------------------------------------------------------------------------------------------------------------- */

/* Puts a tokenizer with one more token into the adapter's directory. */
static void put_tokenizer(const char *adapter)
{
    json_t *tokenizer = NULL;
    sc_text text;
    char *path = path_join(adapter, "tokenizer.json");
    CHECK_OK(json_read_file(&tokenizer, test_path("tests/golden/tokenizers/bytes/tokenizer.json"), 1 << 20, err));
    json_array_append_new(json_object_get(tokenizer, "added_tokens"), json_pack("{s:i, s:s, s:b, s:b, s:b, s:b, s:b}", "id", 267, "content", "<|new|>", "single_word", 0, "lstrip", 0,
                                                                               "rstrip", 0, "normalized", 0, "special", 1));
    CHECK(json_write(&text, tokenizer, false) == SC_OK);
    CHECK_OK(file_write(path, text.data, text.len, err));
    sc_text_free(&text);
    json_decref(tokenizer);
    mem_free(path);
}

static void check_same_text(sc_model *a, sc_model *b)
{
    sc_model *const m[2] = { a, b };
    sc_tokens id[2];
    sc_session *s[2];
    for (int k = 0; k < 2; k++) {
        CHECK_OK(sc_encode_chat(&id[k], m[k], &(sc_message){ "user", "hello" }, 1, err));
        CHECK_OK(sc_session_open(&s[k], m[k], &(sc_session_config){ .context = 0 }, err));
        CHECK_OK(sc_session_sync(s[k], id[k].id, id[k].len, err));
    }
    CHECK(id[0].len == id[1].len && memcmp(id[0].id, id[1].id, id[0].len * sizeof *id[0].id) == 0);
    CHECK(are_same(s[0], s[1]));
    CHECK_STR(sc_model_notice(b), sc_model_notice(a));
    CHECK(a->n_end == b->n_end && memcmp(a->end, b->end, sizeof a->end) == 0);
    CHECK_INT(sc_token_id(sc_model_tokenizer(b), "<|new|>"), sc_token_id(sc_model_tokenizer(a), "<|new|>"));
    for (int k = 0; k < 2; k++) {
        sc_session_close(s[k]);
        sc_tokens_free(&id[k]);
    }
}

/* The base's template adds tokens that are not the variants'; of these one adds its own, another none, the third's tokenizer has one more. */
static void check_text(sc_runtime *rt, const char *path)
{
    static const char *const templates[3] = { "alpaca", "chatml", "chatml" };
    static const size_t vocab[3] = { 267 + 4, 267, 267 + 1 };
    sc_model *base = NULL, *plain = NULL, *variant[3] = { NULL }, *bare = NULL;
    CHECK_OK(sc_model_open(&base, rt, &(sc_model_config){ .path = path, .chat_template = "no_system" }, err));
    CHECK_OK(sc_model_open(&plain, rt, &(sc_model_config){ .path = path, .no_tokenizer = true }, err));
    CHECK_INT(model_vocab(&base->model), 267 + 4);
    char *adapter = random_adapter(&(struct random_adapter){ .rank = 2, .every = 1 }, "adapter", base);
    char *more = random_adapter(&(struct random_adapter){ .rank = 2, .every = 1, .rows = { 267 }, .n_rows = 1 }, "more", base);
    put_tokenizer(more);
    for (int i = 0; i < 3; i++) {
        sc_model *alone = NULL;
        CHECK_OK(sc_model_open_variant(&variant[i], base, i < 2 ? adapter : more, templates[i], err));
        CHECK_OK(sc_model_open(&alone, rt, &(sc_model_config){ .path = path, .adapter = i < 2 ? adapter : more, .chat_template = templates[i] }, err));
        CHECK_INT(model_vocab(&variant[i]->model), vocab[i]);
        check_same_text(alone, variant[i]);
        sc_model_close(alone);
    }
    CHECK_INT(sc_token_id(sc_model_tokenizer(variant[2]), "<|new|>"), 267);
    CHECK_OK(sc_model_open_variant(&bare, plain, adapter, NULL, err));
    CHECK(!sc_model_tokenizer(bare));
    sc_model_close(plain);
    sc_model_close(bare);
    sc_model_close(variant[1]);
    sc_model_close(base);
    sc_model_close(variant[0]);
    sc_model_close(variant[2]);
    mem_free(adapter);
    mem_free(more);
}

TEST(each_variant_has_its_own_text)
{
    sc_runtime *rt = runtime_of("auto", "auto");
    char *gguf = init_model(rt, configs[1], "base.gguf", "q8_0"), *directory = init_model(rt, configs[2], "base", "bf16");
    check_text(rt, gguf);
    check_text(rt, directory);
    mem_free(gguf);
    mem_free(directory);
    sc_runtime_close(rt);
}
