/* test_prompt_cache.c - prompts kept on disk: the same bits as reading them, whatever is found there. */
#include "test.h"

#include "infer/prompt_cache.h"

#include <dirent.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>
#include <utime.h>

enum { N = 400 };

/* A model with room for long prompts: random weights, as a golden one's config with a longer context. */
struct fixture { sc_runtime *rt; sc_model *m; sc_prompt_cache *cache; int details; char path[512], directory[512]; int32_t id[2 * N]; size_t vocab; };

static void count_details(void *user, const char *json)
{
    struct fixture *f = user;
    f->details += strstr(json, "\"detail\"") != NULL;
}

static void open_cache(struct fixture *f, int64_t mib)
{
    sc_prompt_cache_config c;
    sc_options_defaults(&prompt_cache_options, &c);
    c.directory = f->directory;
    c.prompt_cache_mib = mib;
    c.prompt_cache_seconds = 0;
    sc_prompt_cache_close(f->cache);
    f->cache = NULL;
    CHECK_OK(sc_prompt_cache_open(&f->cache, &c, err));
}

static void open_model(struct fixture *f, const char *activations)
{
    sc_runtime_config c = { .threads = 2, .activations = activations, .on_event = count_details, .user = f };
    CHECK_OK(sc_runtime_open(&f->rt, &c, err));
    CHECK_OK(sc_model_open(&f->m, f->rt, &(sc_model_config){ .path = f->path }, err));
    f->vocab = model_vocab(&f->m->model);
}

static void close_model(struct fixture *f)
{
    sc_model_close(f->m);
    sc_runtime_close(f->rt);
}

static void make_model(const struct fixture *f, const char *path, uint64_t seed)
{
    static const char config[] = "{\"model_type\":\"llama\",\"architectures\":[\"LlamaForCausalLM\"],\"vocab_size\":97,\"hidden_size\":32,\"num_hidden_layers\":2,"
        "\"num_attention_heads\":2,\"num_key_value_heads\":1,\"head_dim\":32,\"intermediate_size\":48,\"max_position_embeddings\":2048,\"rms_norm_eps\":1e-5,\"rope_theta\":10000.0,\"hidden_act\":\"silu\"}";
    char *json = path_join(test_scratch(), "config.json");
    CHECK_OK(file_write(json, config, sizeof config - 1, err));
    sc_init_config c;
    sc_options_defaults(&init_options, &c);
    c.config = json;
    c.out = path;
    c.seed = seed;
    CHECK_OK(sc_init(f->rt, &c, err));
    mem_free(json);
}

static void setup(struct fixture *f)
{
    *f = (struct fixture){ 0 };
    snprintf(f->path, sizeof f->path, "%s/model", test_scratch());
    snprintf(f->directory, sizeof f->directory, "%s/up/prompts", test_scratch());
    CHECK_OK(sc_runtime_open(&f->rt, &(sc_runtime_config){ .threads = 1 }, err));
    make_model(f, f->path, 3);
    sc_runtime_close(f->rt);
    open_model(f, "f32");
    for (size_t i = 0; i < 2 * N; i++) f->id[i] = (int32_t)(random_u32(5, 0, i) % f->vocab);
    open_cache(f, 64);
}

static void teardown(struct fixture *f)
{
    sc_prompt_cache_close(f->cache);
    close_model(f);
}

static sc_session *new_session(struct fixture *f, const char *type, int64_t context)
{
    sc_session *s = NULL;
    CHECK_OK(sc_session_open(&s, f->m, &(sc_session_config){ .cache_type = type, .context = context, .chunk = 64 }, err));
    return s;
}

static size_t keep(struct fixture *f, sc_session *s)
{
    size_t kept = 0;
    CHECK_OK(sc_session_keep(&kept, s, f->cache, NULL, NULL, err));
    return kept;
}

/* Reads id[0..n) and keeps it. */
static size_t read_and_keep(struct fixture *f, const char *type, const int32_t *id, size_t n)
{
    sc_session *s = new_session(f, type, 0);
    CHECK_OK(sc_session_sync(s, id, n, err));
    size_t kept = keep(f, s);
    sc_session_close(s);
    return kept;
}

/* A session with the cache gets the logits of one without, after the prompt and after 20 tokens more. Returns what was restored. */
static size_t same_bits(struct fixture *f, const char *type, int64_t context, const int32_t *id, size_t n)
{
    sc_session *plain = new_session(f, type, 0), *s = new_session(f, type, context);
    size_t restored = sc_session_restore(s, f->cache, id, n);
    CHECK_INT(sc_session_length(s), restored);
    CHECK_OK(sc_session_sync(s, id, n, err));
    CHECK_INT(sc_session_reused(s), restored);
    CHECK_OK(sc_session_sync(plain, id, n, err));
    CHECK(memcmp(sc_session_logits(s, NULL), sc_session_logits(plain, NULL), f->vocab * sizeof(float)) == 0);
    for (int i = 0; i < 20; i++) {
        int32_t next = (i * 31 + 7) % (int32_t)f->vocab;
        CHECK_OK(sc_sessions_append(&s, &next, 1, err));
        CHECK_OK(sc_sessions_append(&plain, &next, 1, err));
    }
    CHECK(memcmp(sc_session_logits(s, NULL), sc_session_logits(plain, NULL), f->vocab * sizeof(float)) == 0);
    sc_session_close(s);
    sc_session_close(plain);
    return restored;
}

/* Path of the i-th file in order of names; NULL beyond the last. mem_free it. */
static char *file_at(const struct fixture *f, size_t i)
{
    struct dirent **e = NULL;
    int n = scandir(f->directory, &e, NULL, alphasort);
    char *path = NULL;
    size_t k = 0;
    for (int j = 0; j < n; j++) {
        if (e[j]->d_name[0] != '.' && k++ == i) path = path_join(f->directory, e[j]->d_name);
        free(e[j]);
    }
    free(e);
    return path;
}

static size_t count_files(const struct fixture *f)
{
    size_t n = 0;
    for (char *path; (path = file_at(f, n)); n++) mem_free(path);
    return n;
}

TEST(a_restored_session_has_the_same_bits)
{
    static const char *const types[] = { "f16", "f32", "q8_0" };
    struct fixture f;
    setup(&f);
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        CHECK_INT(same_bits(&f, types[i], 0, f.id, N), 0);
        CHECK_INT(read_and_keep(&f, types[i], f.id, N), 384);
        CHECK_INT(count_files(&f), 12);
        CHECK_INT(same_bits(&f, types[i], 0, f.id, N), 384);
        CHECK_INT(same_bits(&f, types[i], 450, f.id, N), 384);         /* another capacity: other strides */
        CHECK_INT(same_bits(&f, types[i], 0, f.id, 384), 352);         /* the last token is computed */
        CHECK_INT(same_bits(&f, types[i], 0, f.id, 100), 96);          /* shorter */
        CHECK_INT(same_bits(&f, types[i], 0, f.id, 20), 0);
        CHECK_INT(same_bits(&f, types[i], 0, f.id, 2 * N), 384);       /* longer */
        f.id[200] = (f.id[200] + 1) % (int32_t)f.vocab;                /* parts ways */
        CHECK_INT(same_bits(&f, types[i], 0, f.id, N), 192);
        f.id[0] = (f.id[0] + 1) % (int32_t)f.vocab;
        CHECK_INT(same_bits(&f, types[i], 0, f.id, N), 0);
        sc_prompt_cache_clear(f.cache);
    }
    teardown(&f);
}

TEST(what_a_session_holds_is_not_read_again)
{
    struct fixture f;
    setup(&f);
    CHECK_INT(read_and_keep(&f, "f16", f.id, N), 384);
    sc_session *s = new_session(&f, "f16", 0);
    CHECK_OK(sc_session_sync(s, f.id, 200, err));
    CHECK_INT(sc_session_restore(s, f.cache, f.id, 201), 0);
    CHECK_INT(sc_session_length(s), 200);
    CHECK_INT(sc_session_restore(s, f.cache, f.id, N), 184);
    CHECK_INT(sc_session_length(s), 384);
    CHECK(sc_session_logits(s, NULL) == NULL);
    CHECK_INT(sc_session_restore(s, NULL, f.id, 2 * N), 0);
    CHECK_INT(keep(&f, s), 0);                                         /* it is there already */
    CHECK_OK(sc_session_sync(s, f.id, 2 * N, err));
    CHECK_INT(keep(&f, s), 2 * N);
    CHECK_INT(count_files(&f), 2 * N / CHUNK_ROWS);
    /* Two prompts that begin alike share files. */
    int32_t other = (f.id[640] + 1) % (int32_t)f.vocab;
    f.id[640] = other;
    CHECK_INT(read_and_keep(&f, "f16", f.id, 2 * N), 2 * N);
    CHECK_INT(count_files(&f), 2 * N / CHUNK_ROWS + 5);
    sc_session_close(s);
    teardown(&f);
}

TEST(only_what_pays_is_kept)
{
    struct fixture f;
    setup(&f);
    CHECK_INT(read_and_keep(&f, "f16", f.id, 255), 0);
    CHECK(!path_exists(f.directory));
    f.cache->least_seconds = 1e6;
    CHECK_INT(read_and_keep(&f, "f16", f.id, N), 0);
    f.cache->least_seconds = 0;
    CHECK_INT(read_and_keep(&f, "f16", f.id, 256), 256);
    open_cache(&f, 0);
    CHECK_INT(read_and_keep(&f, "f16", f.id, 2 * N), 0);
    teardown(&f);
}

TEST(files_are_for_their_owner_alone)
{
    struct fixture f;
    struct stat st;
    setup(&f);
    umask(0);
    read_and_keep(&f, "f16", f.id, N);
    CHECK(stat(f.directory, &st) == 0 && (st.st_mode & 0777) == 0700);
    char *path;
    for (size_t i = 0; (path = file_at(&f, i)); i++) {
        CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
        mem_free(path);
    }
    /* What others can write is not believed. */
    sc_prompt_cache *c = NULL;
    chmod(f.directory, 0770);
    CHECK_FAILS(sc_prompt_cache_open(&c, &(sc_prompt_cache_config){ .directory = f.directory, .prompt_cache_mib = 1 }, err), SC_E_IO, "can be written by others");
    chmod(f.directory, 0700);
    teardown(&f);
}

static void damage(const char *path, size_t at, size_t cut)
{
    FILE *file = fopen(path, "r+b");
    CHECK(file != NULL);
    if (!file) return;
    if (cut) CHECK(ftruncate(fileno(file), (off_t)at) == 0);
    else {
        fseek(file, (long)at, SEEK_SET);
        int c = fgetc(file);
        fseek(file, (long)at, SEEK_SET);
        fputc(c ^ 1, file);
    }
    fclose(file);
}

TEST(damaged_files_are_removed_and_never_used)
{
    struct fixture f;
    struct stat st;
    setup(&f);
    read_and_keep(&f, "f16", f.id, N);
    char *path = file_at(&f, 0);
    CHECK(stat(path, &st) == 0);
    size_t size = (size_t)st.st_size;
    const size_t places[] = { 0, 8, 16, 30, 217, size - 1 };
    mem_free(path);
    for (size_t p = 0; p < 2 * sizeof places / sizeof *places; p++) {
        size_t at = places[p / 2], before = (size_t)f.details;
        path = file_at(&f, p % 12);
        damage(path, at, p % 2);
        size_t restored = same_bits(&f, "f16", 0, f.id, N);
        CHECK(restored < 384 && restored % CHUNK_ROWS == 0);
        CHECK_INT(f.details, before + 1);
        CHECK(!path_exists(path));
        CHECK_INT(read_and_keep(&f, "f16", f.id, N), 384);             /* written anew */
        CHECK_INT(same_bits(&f, "f16", 0, f.id, N), 384);
        mem_free(path);
    }
    teardown(&f);
}

/* One file in the place of another: whole, but not what the name says. */
TEST(a_file_under_another_name_is_refused)
{
    struct fixture f;
    setup(&f);
    read_and_keep(&f, "f16", f.id, N);
    char *a = file_at(&f, 1), *b = file_at(&f, 2), *c = path_join(f.directory, "x");
    CHECK(rename(a, c) == 0 && rename(b, a) == 0 && rename(c, b) == 0);
    CHECK(same_bits(&f, "f16", 0, f.id, N) < 384);
    CHECK_INT(f.details, 2);
    mem_free(a);
    mem_free(b);
    mem_free(c);
    teardown(&f);
}

TEST(another_model_precision_or_type_finds_nothing)
{
    struct fixture f;
    setup(&f);
    read_and_keep(&f, "f16", f.id, N);
    CHECK_INT(same_bits(&f, "f32", 0, f.id, N), 0);
    close_model(&f);
    open_model(&f, "int8");
    open_cache(&f, 64);
    CHECK_INT(same_bits(&f, "f16", 0, f.id, N), 0);
    snprintf(f.path, sizeof f.path, "%s/model_too", test_scratch());
    make_model(&f, f.path, 4);
    close_model(&f);
    open_model(&f, "f32");
    open_cache(&f, 64);
    CHECK_INT(same_bits(&f, "f16", 0, f.id, N), 0);
    CHECK_INT(count_files(&f), 12);                                    /* what is of others stays */
    CHECK_INT(f.details, 0);
    teardown(&f);
}

TEST(the_size_is_bounded_and_beginnings_stay)
{
    struct fixture f;
    setup(&f);
    open_cache(&f, 1);
    size_t file = chunk_bytes(&(struct kv_cache){ DTYPE_F16, 2, 1, 32, 0, NULL }), most = (1u << 20) / file;
    int32_t id[1024];
    for (size_t k = 0; k < 12; k++) {
        for (size_t i = 0; i < 1024; i++) id[i] = (int32_t)(random_u32(6 + k, 0, i) % f.vocab);
        CHECK_INT(read_and_keep(&f, "f16", id, 1024), 1024);
        CHECK(count_files(&f) <= most);
    }
    CHECK(count_files(&f) > most / 2);
    CHECK_INT(same_bits(&f, "f16", 0, id, 1024), 992);                 /* the newest is there */
    for (size_t k = 0, partly = 0; k < 12; k++) {                      /* of what was partly removed, the beginning is left */
        for (size_t i = 0; i < 1024; i++) id[i] = (int32_t)(random_u32(6 + k, 0, i) % f.vocab);
        sc_session *s = new_session(&f, "f16", 0);
        size_t restored = sc_session_restore(s, f.cache, id, 1024);
        partly += restored > 0 && restored < 992;
        CHECK(partly <= 1);
        sc_session_close(s);
    }
    sc_text json;
    CHECK(sc_prompt_cache_describe(&json, f.cache) == SC_OK);
    CHECK(strstr(json.data, "\"max_bytes\":1048576") != NULL);
    sc_text_free(&json);
    CHECK(sc_prompt_cache_clear(f.cache) > 0);
    CHECK(!path_exists(f.directory));
    teardown(&f);
}

TEST(dead_writers_leave_nothing_for_long)
{
    struct fixture f;
    setup(&f);
    read_and_keep(&f, "f16", f.id, N);
    char *old = path_join(f.directory, "part-1"), *fresh = path_join(f.directory, "part-2"), *foreign = path_join(f.directory, "letter.txt");
    CHECK_OK(file_write(old, "x", 1, err));
    CHECK_OK(file_write(fresh, "x", 1, err));
    CHECK_OK(file_write(foreign, "x", 1, err));
    utime(old, &(struct utimbuf){ 1000, 1000 });
    read_and_keep(&f, "f16", f.id, 2 * N);
    CHECK(!path_exists(old) && path_exists(fresh) && path_exists(foreign));
    sc_prompt_cache_clear(f.cache);
    CHECK(!path_exists(fresh) && path_exists(foreign));
    mem_free(old);
    mem_free(fresh);
    mem_free(foreign);
    teardown(&f);
}

static bool is_over(void *user)
{
    int *left = user;
    return (*left)-- == 0;
}

TEST(keeping_can_be_ended_early)
{
    struct fixture f;
    size_t kept;
    int left = 3;
    setup(&f);
    sc_session *s = new_session(&f, "f16", 0);
    CHECK_OK(sc_session_sync(s, f.id, N, err));
    CHECK_OK(sc_session_keep(&kept, s, f.cache, is_over, &left, err));
    CHECK_INT(kept, 96);
    CHECK_INT(sc_session_unkept(s, f.cache), N);
    CHECK_INT(same_bits(&f, "f16", 0, f.id, N), 96);
    CHECK_INT(keep(&f, s), 384);
    sc_session_close(s);
    teardown(&f);
}

TEST(a_full_or_forbidden_place_is_an_error_with_its_name)
{
    struct fixture f;
    size_t kept;
    setup(&f);
    char *up = path_join(test_scratch(), "up");
    CHECK_OK(file_write(up, "a file", 6, err));
    sc_session *s = new_session(&f, "f16", 0);
    CHECK_OK(sc_session_sync(s, f.id, N, err));
    CHECK_FAILS(sc_session_keep(&kept, s, f.cache, NULL, NULL, err), SC_E_IO, up);
    CHECK_INT(sc_session_unkept(s, f.cache), 0);                       /* once is enough */
    CHECK_INT(sc_session_restore(s, f.cache, f.id, 2 * N), 0);
    sc_session_close(s);
    mem_free(up);
    teardown(&f);
}

/* Writers and readers of the same prompts at once, with a bound so small that they remove each other's files. */
TEST(processes_do_not_disturb_each_other)
{
    struct fixture f;
    setup(&f);
    close_model(&f);
    pid_t child[4];
    for (int p = 0; p < 4; p++) {
        if ((child[p] = fork()) != 0) continue;
        open_model(&f, "f32");
        open_cache(&f, 1);
        for (int round = 0; round < 6; round++) {
            int32_t id[768];
            for (size_t i = 0; i < 768; i++) id[i] = (int32_t)(random_u32((uint64_t)(round + p) % 5, 1, i) % f.vocab);
            read_and_keep(&f, "f16", id, 768);
            same_bits(&f, "f16", 0, id, 768);
        }
        _exit(f.details != 0);
    }
    for (int p = 0; p < 4; p++) {
        int status = 1;
        CHECK(waitpid(child[p], &status, 0) == child[p]);
        CHECK_INT(status, 0);
    }
    open_model(&f, "f32");
    teardown(&f);
}
