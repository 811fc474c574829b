/* test_kv_pages.c - pages that caches share: the same bits as caches of their own, whatever stood in a page before, and every page comes
 * back. */
#include "test.h"

#include "cpu/cpu.h"
#include "infer/prompt_cache.h"

/* ---- attention over pages -------------------------------------------------------------------------------------------------- */

enum { LAYERS = 2, HEADS = 4, KV_HEADS = 2, DIM = 32, COLS = HEADS * DIM, KV_COLS = KV_HEADS * DIM, MOST = 260 };

struct machine { struct pool *pool; struct arena step; struct exec exec; struct kv_pages pages; };

/* What nobody may see: bytes of all ones are no number in each type, the others are infinite as f16 and as f32, with the largest codes. */
static void poison(struct kv_pages *p, bool is_infinite)
{
    static const uint8_t halves[8] = { 0x00, 0x7C, 0x00, 0xFC, 0x00, 0x7C, 0x80, 0x80 }, words[8] = { 0, 0, 0x80, 0x7F, 0, 0, 0x80, 0xFF };
    const uint8_t *what = p->shape.dtype == DTYPE_F32 ? words : halves;
    for (size_t i = 0; i < p->n_back + p->most - p->made; i++) {
        char *page = i < p->n_back ? p->back[i] : p->memory + (p->made + i - p->n_back) * p->page_bytes;
        for (size_t j = 0; j < p->page_bytes; j++) page[j] = is_infinite ? (char)what[j % 8] : (char)0xFF;
    }
}

static void machine_init(struct machine *m, enum dtype type, size_t pages)
{
    const struct kv_cache shape = { type, LAYERS, KV_HEADS, DIM, 0, NULL };
    CHECK_OK(pool_open(&m->pool, 2, err));
    arena_init(&m->step);
    m->exec = (struct exec){ .pool = m->pool, .backend = &cpu_backend, .step = &m->step };
    CHECK_OK(cpu_backend.kernels(&m->exec.kernels, "auto", err));
    CHECK_OK(kv_pages_init(&m->pages, &shape, pages, err));
}

static void machine_release(struct machine *m)
{
    CHECK_INT(m->pages.used, 0);
    CHECK_INT(m->pages.shared, 0);
    kv_pages_release(&m->pages);
    arena_release(&m->step);
    pool_close(m->pool);
}

/* A text: its first `same` positions are those of every text, the others its own. */
struct text { uint64_t own; size_t same; };

static float *rows_of(struct arena *a, const struct text *t, uint64_t kind, size_t from, size_t to, size_t cols)
{
    float *x = arena_take(a, (to - from) * cols * sizeof *x);
    for (size_t p = from; p < to; p++) random_normal(x + (p - from) * cols, cols, 21, 8 * (p < t->same ? 0 : t->own) + kind, p * cols);
    return x;
}

/* Positions [from, to) of a text through all layers; out[layer][position] gets what attention gives. The cache has room. */
static void feed(struct machine *m, struct kv_cache *cache, const struct text *t, size_t from, size_t to, size_t window, float (*out)[MOST][COLS])
{
    int32_t position[MOST], sequence[MOST] = { 0 };
    size_t n = to - from;
    for (size_t i = 0; i < n; i++) position[i] = (int32_t)(from + i);
    struct batch batch = { .rows = n, .token = position, .position = position, .sequence = sequence, .caches = &cache };
    struct run run = { .exec = &m->exec, .batch = &batch };
    for (size_t layer = 0; layer < LAYERS; layer++) {
        struct arena_mark mark = arena_mark(&m->step);
        const struct tensor q = { .dtype = DTYPE_F32, .rows = n, .cols = COLS, .data = rows_of(&m->step, t, 3 * layer, from, to, COLS) };
        const struct tensor k = { .dtype = DTYPE_F32, .rows = n, .cols = KV_COLS, .data = rows_of(&m->step, t, 3 * layer + 1, from, to, KV_COLS) };
        const struct tensor v = { .dtype = DTYPE_F32, .rows = n, .cols = KV_COLS, .data = rows_of(&m->step, t, 3 * layer + 2, from, to, KV_COLS) };
        const struct attention attr = { layer, HEADS, KV_HEADS, DIM, window, 0.2f, 0 };
        memcpy(out[layer][from], attention(&run, &q, &k, &v, &attr)->data, n * COLS * sizeof(float));
        arena_rewind(&m->step, mark);
    }
}

static void grow(struct machine *m, struct kv_cache *cache, const struct text *t, size_t from, size_t to, size_t window, float (*out)[MOST][COLS])
{
    CHECK_OK(kv_cache_room(&m->pages, cache, from, to, err));
    feed(m, cache, t, from, to, window, out);
}

/* The same of a cache of its own, all rows at once. */
static void expected(struct machine *m, const struct text *t, size_t n, size_t window, float (*out)[MOST][COLS])
{
    struct kv_cache cache;
    kv_cache_init(&cache, m->pages.shape.dtype, LAYERS, KV_HEADS, DIM, n);
    feed(m, &cache, t, 0, n, window, out);
    kv_cache_release(&cache);
}

static bool same_rows(float (*a)[MOST][COLS], float (*b)[MOST][COLS], size_t from, size_t to)
{
    for (size_t layer = 0; layer < LAYERS; layer++)
        if (memcmp(a[layer][from], b[layer][from], (to - from) * COLS * sizeof(float))) return false;
    return true;
}

static const enum dtype types[] = { DTYPE_F16, DTYPE_F32, DTYPE_Q8_0 };
enum { TYPES = sizeof types / sizeof *types };

/* One text of 131 positions, and another that parts from it at any of them; both go on. */
TEST(a_fork_anywhere_has_the_bits_of_its_own_cache)
{
    static float wanted[LAYERS][MOST][COLS], other[LAYERS][MOST][COLS], found[LAYERS][MOST][COLS];
    for (size_t i = 0; i < 2 * TYPES; i++) {
        struct machine m;
        size_t window = i < TYPES ? 0 : 70;
        const struct text first = { 1, 131 };
        machine_init(&m, types[i % TYPES], 9);
        expected(&m, &first, 200, window, wanted);
        for (size_t at = 0; at <= 130; at++) {
            const struct text second = { 2, at };
            struct kv_cache a, b;
            kv_cache_open(&a, &m.pages, 200);
            kv_cache_open(&b, &m.pages, 220);
            poison(&m.pages, at % 2);
            grow(&m, &a, &first, 0, 131, window, found);
            CHECK_OK(kv_cache_fork(&m.pages, &b, &a, at, err));
            CHECK_INT(m.pages.shared, at / KV_PAGE);
            CHECK_INT(m.pages.used, 3 + (at % KV_PAGE != 0));
            expected(&m, &second, at + 20, window, other);
            grow(&m, &b, &second, at, at + 20, window, found);
            CHECK(same_rows(found, other, at, at + 20));
            grow(&m, &a, &first, 131, 140, window, found);
            CHECK(same_rows(found, wanted, 131, 140));
            kv_cache_close(&m.pages, &a);                /* what b holds of it stays */
            poison(&m.pages, !(at % 2));
            expected(&m, &second, at + 90, window, other);
            grow(&m, &b, &second, at + 20, at + 90, window, found);
            CHECK(same_rows(found, other, at + 20, at + 90));
            kv_cache_close(&m.pages, &b);
        }
        CHECK(m.pages.made <= 6);
        machine_release(&m);
    }
}

/* Both write where both hold the page: the one that comes first gets a copy, the other keeps the page. */
TEST(who_writes_to_a_shared_page_gets_a_copy)
{
    static float wanted[LAYERS][MOST][COLS], found[LAYERS][MOST][COLS];
    for (size_t i = 0; i < TYPES; i++) {
        struct machine m;
        struct kv_cache a, b;
        const struct text first = { 1, MOST }, second = { 2, 70 }, third = { 3, 100 };
        machine_init(&m, types[i], 5);
        kv_cache_open(&a, &m.pages, MOST);
        kv_cache_open(&b, &m.pages, MOST);
        grow(&m, &a, &first, 0, 128, 0, found);
        kv_cache_share(&m.pages, &b, &a, 2);
        CHECK(b.page[0] == a.page[0] && b.page[1] == a.page[1] && m.pages.used == 2 && m.pages.shared == 2);
        CHECK_INT(kv_cache_needs(&m.pages, &a, 70, 130), 2);
        char *old = a.page[1];
        grow(&m, &a, &second, 70, 90, 0, found);         /* as after a rewind */
        CHECK(a.page[1] != old && b.page[1] == old && m.pages.used == 3 && m.pages.shared == 1);
        expected(&m, &second, 90, 0, wanted);
        CHECK(same_rows(found, wanted, 70, 90));
        CHECK_INT(kv_cache_needs(&m.pages, &b, 100, 128), 0);
        grow(&m, &b, &third, 100, 120, 0, found);
        CHECK(b.page[1] == old);
        expected(&m, &third, 120, 0, wanted);
        CHECK(same_rows(found, wanted, 100, 120));
        kv_cache_share(&m.pages, &b, &a, 1);             /* drops what it had */
        CHECK(!b.page[1] && m.pages.used == 2 && m.pages.shared == 1);
        kv_cache_cut(&m.pages, &a, 64);
        CHECK(a.page[0] && !a.page[1]);
        kv_cache_close(&m.pages, &a);
        kv_cache_close(&m.pages, &b);
        machine_release(&m);
    }
}

/* Caches of many lengths come, share, part, shrink and go: all is counted, and what each sees is its own text. */
TEST(pages_go_round_and_are_counted)
{
    enum { CACHES = 5, PAGES = 12 };
    static float wanted[CACHES][LAYERS][MOST][COLS], found[LAYERS][MOST][COLS];
    for (size_t i = 0; i < TYPES; i++) {
        struct machine m;
        struct kv_cache c[CACHES];
        struct text t[CACHES];
        size_t length[CACHES] = { 0 }, refused = 0;
        machine_init(&m, types[i], PAGES);
        for (size_t k = 0; k < CACHES; k++) {
            kv_cache_open(&c[k], &m.pages, MOST);
            t[k] = (struct text){ k + 1, 128 };
            expected(&m, &t[k], MOST, 0, wanted[k]);
        }
        for (uint64_t round = 0; round < 300; round++) {
            size_t k = random_u32(7, 0, round) % CACHES, from = random_u32(7, 1, round) % CACHES, by = 1 + random_u32(7, 2, round) % 90, deed = random_u32(7, 3, round) % 6;
            if (deed == 0) { length[k] -= by < length[k] ? by : length[k]; kv_cache_cut(&m.pages, &c[k], length[k]); continue; }
            if (deed == 1 && k != from) {
                size_t n = length[from] < t[k].same ? length[from] : t[k].same;
                sc_status status = kv_cache_fork(&m.pages, &c[k], &c[from], n, NULL);
                CHECK(status == (m.pages.used == PAGES && n % KV_PAGE && status ? SC_E_MEMORY : SC_OK));
                if (status == SC_OK) length[k] = n;
                continue;
            }
            if (length[k] + by > MOST) continue;
            size_t needs = kv_cache_needs(&m.pages, &c[k], length[k], length[k] + by), used = m.pages.used;
            sc_status status = kv_cache_room(&m.pages, &c[k], length[k], length[k] + by, NULL);
            CHECK(status == (needs > PAGES - used ? SC_E_MEMORY : SC_OK));
            if (status != SC_OK) { refused++; CHECK_INT(m.pages.used, used); continue; }
            poison(&m.pages, round % 2);
            feed(&m, &c[k], &t[k], length[k], length[k] + by, 0, found);
            CHECK(same_rows(found, wanted[k], length[k], length[k] + by));
            length[k] += by;
        }
        CHECK(refused > 0 && m.pages.made == PAGES);
        for (size_t k = 0; k < CACHES; k++) kv_cache_close(&m.pages, &c[k]);
        CHECK_INT(m.pages.n_back, PAGES);
        machine_release(&m);
    }
}

TEST(pages_count_their_holders_and_run_out)
{
    struct machine m;
    char *page[3], *more;
    machine_init(&m, DTYPE_F16, 3);
    for (size_t i = 0; i < 3; i++) CHECK_OK(kv_pages_take(&m.pages, &page[i], err));
    CHECK_FAILS(kv_pages_take(&m.pages, &more, err), SC_E_MEMORY, "the key/value cache has 0 of its 3 pages of 64 tokens free, but it takes 1 more");
    CHECK(kv_page_share(&m.pages, page[1]) == page[1]);
    kv_page_share(&m.pages, page[1]);
    CHECK(m.pages.used == 3 && m.pages.shared == 1);
    kv_page_drop(&m.pages, page[1]);
    CHECK_INT(m.pages.shared, 1);
    kv_page_drop(&m.pages, page[1]);
    CHECK(m.pages.used == 3 && m.pages.shared == 0);
    kv_page_drop(&m.pages, page[1]);
    CHECK_INT(m.pages.used, 2);
    CHECK_OK(kv_pages_take(&m.pages, &more, err));
    CHECK(more == page[1]);
    kv_page_drop(&m.pages, NULL);
    for (size_t i = 0; i < 3; i++) kv_page_drop(&m.pages, page[i]);
    machine_release(&m);
    const struct kv_cache shape = { DTYPE_F16, LAYERS, KV_HEADS, DIM, 0, NULL };
    struct kv_pages p;
    CHECK_FAILS(kv_pages_init(&p, &shape, SIZE_MAX / 64, err), SC_E_ARGUMENT, "too large");
    CHECK_FAILS(kv_pages_init(&p, &shape, (size_t)1 << 40, err), SC_E_MEMORY, "the key/value cache needs");
}

/* ---- sessions of one pool ---------------------------------------------------------------------------------------------------- */

struct fixture { sc_runtime *rt; sc_model *m; struct kv_pages pages; size_t vocab; int32_t id[600]; };

static void setup(struct fixture *f, const char *type, size_t positions)
{
    static const char config[] = "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":97,\"hidden_size\":32,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":32,\"intermediate_size\":48,\"max_position_embeddings\":2048,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\"}";
    char *json = path_join(test_scratch(), "config.json"), *path = path_join(test_scratch(), "model");
    sc_init_config c;
    *f = (struct fixture){ 0 };
    CHECK_OK(sc_runtime_open(&f->rt, &(sc_runtime_config){ .threads = 2, .activations = "f32" }, err));
    sc_options_defaults(&init_options, &c);
    c.config = json;
    c.out = path;
    c.seed = 3;
    CHECK_OK(file_write(json, config, sizeof config - 1, err));
    if (!path_exists(path)) CHECK_OK(sc_init(f->rt, &c, err));
    CHECK_OK(sc_model_open(&f->m, f->rt, &(sc_model_config){ .path = path }, err));
    CHECK_OK(session_pages_init(&f->pages, f->m, type, positions, err));
    f->vocab = model_vocab(&f->m->model);
    for (size_t i = 0; i < 600; i++) f->id[i] = (int32_t)(random_u32(5, 0, i) % f->vocab);
    mem_free(json);
    mem_free(path);
}

static void teardown(struct fixture *f)
{
    CHECK_INT(f->pages.used, 0);
    CHECK_INT(f->pages.shared, 0);
    kv_pages_release(&f->pages);
    sc_model_close(f->m);
    sc_runtime_close(f->rt);
}

static sc_session *shared_session(struct fixture *f, int64_t chunk)
{
    sc_session *s = NULL;
    poison(&f->pages, false);
    CHECK_OK(session_open(&s, f->m, &(sc_session_config){ .context = 500, .chunk = chunk }, &f->pages, err));
    return s;
}

/* The logits of s are those of a session of its own with the past id[0..n). */
static bool same_logits(struct fixture *f, sc_session *s, const int32_t *id, size_t n)
{
    sc_session *alone = NULL;
    const float *found = sc_session_logits(s, NULL);
    CHECK_OK(sc_session_open(&alone, f->m, &(sc_session_config){ .cache_type = dtypes[f->pages.shape.dtype].name }, err));
    CHECK_OK(sc_session_sync(alone, id, n, err));
    bool is_same = found && sc_session_length(s) == n && memcmp(found, sc_session_logits(alone, NULL), f->vocab * sizeof(float)) == 0;
    sc_session_close(alone);
    return is_same;
}

static const struct kv_cache *cache_of(sc_session *s)
{
    struct session_past past;
    session_past(&past, s);
    return past.cache;
}

TEST(sessions_share_a_beginning_and_go_on_alone)
{
    for (size_t i = 0; i < TYPES; i++) {
        struct fixture f;
        setup(&f, dtypes[types[i]].name, 1000);
        sc_session *s[4];
        int32_t id[4][300];
        static const size_t at[4] = { 150, 100, 128, 150 };
        for (size_t k = 0; k < 4; k++) {
            s[k] = shared_session(&f, 0);
            memcpy(id[k], f.id, at[k] * sizeof *f.id);
            memcpy(id[k] + at[k], f.id + 300 + 50 * k, (300 - at[k]) * sizeof *f.id);
        }
        CHECK_OK(sc_session_sync(s[0], f.id, 150, err));
        for (size_t k = 1; k < 4; k++) {
            CHECK_OK(session_fork(s[k], cache_of(s[0]), f.id, at[k], 0, err));
            CHECK_OK(sc_session_sync(s[k], id[k], 200, err));
            CHECK_INT(sc_session_reused(s[k]), at[k]);
            CHECK(same_logits(&f, s[k], id[k], 200));
        }
        CHECK_INT(f.pages.shared, 2);
        CHECK(same_logits(&f, s[0], f.id, 150));
        int32_t next[4];
        CHECK_OK(sc_session_sync(s[0], id[0], 200, err));
        for (size_t n = 200; n < 300; n++) {                      /* all go over an edge of pages together */
            for (size_t k = 0; k < 4; k++) next[k] = id[k][n];
            CHECK_OK(sc_sessions_append(s, next, 4, err));
        }
        for (size_t k = 0; k < 4; k++) CHECK(same_logits(&f, s[k], id[k], 300));
        id[0][70]++;                                               /* back into what the others hold */
        id[0][70] %= (int32_t)f.vocab;
        CHECK_OK(sc_session_sync(s[0], id[0], 90, err));
        CHECK(same_logits(&f, s[0], id[0], 90));
        sc_session_close(s[0]);
        poison(&f.pages, true);
        for (size_t k = 1; k < 4; k++) {
            CHECK_OK(sc_sessions_append(&s[k], &next[0], 1, err));
            int32_t whole[301];
            memcpy(whole, id[k], 300 * sizeof *whole);
            whole[300] = next[0];
            CHECK(same_logits(&f, s[k], whole, 301));
            sc_session_close(s[k]);
        }
        teardown(&f);
    }
}

TEST(a_session_without_pages_says_so_and_lives_on)
{
    struct fixture f;
    setup(&f, "f16", 192);
    sc_session *a = shared_session(&f, 64), *b = shared_session(&f, 64);
    CHECK_OK(sc_session_sync(a, f.id, 128, err));
    CHECK_FAILS(sc_session_sync(b, f.id + 100, 100, err), SC_E_MEMORY, "the key/value cache has 0 of its 3 pages of 64 tokens free, but it takes 1 more");
    CHECK_INT(sc_session_length(b), 64);                           /* as after a cancel: what was computed stays */
    CHECK(!sc_session_logits(b, NULL));
    CHECK_OK(sc_session_sync(b, f.id + 100, 64, err));
    CHECK(same_logits(&f, b, f.id + 100, 64));
    int32_t next[2] = { 5, 6 };
    sc_session *both[2] = { a, b };
    CHECK_FAILS(sc_sessions_append(both, next, 2, err), SC_E_MEMORY, "takes 1 more");
    CHECK(same_logits(&f, a, f.id, 128) && same_logits(&f, b, f.id + 100, 64));       /* nothing has changed */
    CHECK_FAILS(session_fork(b, cache_of(a), f.id, 100, 0, err), SC_E_MEMORY, "takes 1 more");
    CHECK(same_logits(&f, b, f.id + 100, 64));
    CHECK_OK(session_fork(b, cache_of(a), f.id, 64, 0, err));
    CHECK(f.pages.used == 2 && f.pages.shared == 1);
    CHECK_OK(sc_session_sync(b, f.id, 70, err));
    CHECK(same_logits(&f, b, f.id, 70));
    sc_session_close(a);
    CHECK_OK(sc_session_sync(b, f.id, 192, err));
    CHECK(same_logits(&f, b, f.id, 192));
    CHECK_FAILS(session_fork(b, cache_of(b), f.id, 501, 0, err), SC_E_ARGUMENT, "the past to begin from has 501 tokens, but the context holds 500");
    sc_session_close(b);
    sc_session *s = NULL;
    CHECK_FAILS(session_open(&s, f.m, &(sc_session_config){ .cache_type = "f32" }, &f.pages, err), SC_E_ARGUMENT, "cache type is \"f32\", but the cache that sessions share is f16");
    teardown(&f);
}

static int collect(void *user, const sc_step *step)
{
    int32_t *list = user;
    list[++list[0]] = step->id;
    return 0;
}

/* An answer goes as far as pages go, with guesses, which need more of them, as without. */
TEST(an_answer_ends_where_pages_end)
{
    struct fixture f;
    setup(&f, "f16", 192);
    sc_session *alone = NULL;
    CHECK_OK(sc_session_open(&alone, f.m, &(sc_session_config){ 0 }, err));
    int32_t wanted[200] = { 0 }, prompt[100];
    for (size_t i = 0; i < 100; i++) prompt[i] = f.id[i % 10];    /* easy to guess */
    for (int64_t speculate = 0; speculate <= 15; speculate += 15) {
        sc_session *s = shared_session(&f, 0);
        int32_t found[200] = { 0 };
        sc_sample_config c;
        sc_generation g;
        sc_options_defaults(&sample_options, &c);
        c.ignore_eos = true;
        c.temperature = 0;
        c.max_tokens = 150;
        c.on_step = collect;
        c.speculate = speculate;
        wanted[0] = 0;
        CHECK_OK(sc_session_sync(alone, prompt, 100, err));
        CHECK_OK(sc_session_generate(&g, alone, &c, NULL, wanted, err));
        CHECK_OK(sc_session_sync(s, prompt, 100, err));
        CHECK_FAILS(sc_session_generate(&g, s, &c, NULL, found, err), SC_E_MEMORY, "takes 1 more");
        CHECK_INT(sc_session_length(s), 192);
        CHECK_INT(found[0], 93);                                   /* the last one was picked, but not computed */
        CHECK(memcmp(found + 1, wanted + 1, 93 * sizeof *found) == 0);
        CHECK_OK(sc_session_sync(s, f.id, 150, err));
        CHECK(same_logits(&f, s, f.id, 150));
        sc_session_close(s);
    }
    sc_session_close(alone);
    teardown(&f);
}

/* What comes from the disk needs pages too; without them the prompt is read as far as they go. */
TEST(a_kept_prompt_is_put_into_pages_of_its_own)
{
    struct fixture f;
    char directory[512];
    setup(&f, "q8_0", 320);
    sc_prompt_cache_config c;
    sc_prompt_cache *cache = NULL;
    size_t kept;
    sc_options_defaults(&prompt_cache_options, &c);
    snprintf(directory, sizeof directory, "%s/prompts", test_scratch());
    c.directory = directory;
    c.prompt_cache_seconds = 0;
    CHECK_OK(sc_prompt_cache_open(&cache, &c, err));
    sc_session *a = shared_session(&f, 0), *b = shared_session(&f, 0);
    CHECK_OK(sc_session_sync(a, f.id, 300, err));
    CHECK_OK(sc_session_keep(&kept, a, cache, NULL, NULL, err));
    CHECK_INT(kept, 288);
    CHECK_INT(sc_session_restore(b, cache, f.id, 300), 0);         /* five pages are in use: none is free */
    CHECK_INT(sc_session_length(b), 0);
    CHECK_OK(session_fork(b, cache_of(a), f.id, 64, 64, err));
    sc_session_close(a);
    a = shared_session(&f, 0);
    CHECK_OK(session_fork(a, cache_of(b), f.id, 64, 64, err));
    CHECK_INT(f.pages.shared, 1);
    CHECK_INT(sc_session_restore(b, cache, f.id, 300), 224);
    CHECK_INT(f.pages.shared, 1);                                  /* only behind what both hold */
    CHECK_OK(sc_session_sync(b, f.id, 300, err));
    CHECK(same_logits(&f, b, f.id, 300));
    sc_session_close(a);
    sc_session_close(b);
    sc_prompt_cache_close(cache);
    teardown(&f);
}
