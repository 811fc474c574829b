/* test_hub_cache.c - the cache shared with huggingface_hub, lists of files, tokens on disk, counters of parts. What goes over
 * HTTP is tested by tests/cli/test_hub.py. */
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hub.h"
#include "test.h"

#define COMMIT "0123456789012345678901234567890123456789"
#define BLOB "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

static char *below(const char *a, const char *b) { return path_join(a, b); }

/* A cache in the scratch directory. */
static void open_cache(struct hub_cache *c)
{
    char *root = below(test_scratch(), "cache");
    setenv("HF_HUB_CACHE", root, 1);
    CHECK_OK(hub_cache_open(c, false, "org/model", err));
    CHECK(path_ends_with(c->repo, "/models--org--model") && path_ends_with(c->locks, "/.locks/models--org--model"));
    mem_free(root);
}

static void put(const char *directory, const char *name, const char *content)
{
    char *path = below(directory, name), *parent = mem_strndup(path, (size_t)(strrchr(path, '/') - path));
    CHECK_OK(path_make_directories(parent, err));
    CHECK_OK(file_write(path, content, strlen(content), err));
    mem_free(path);
    mem_free(parent);
}

TEST(paths_of_a_repository)
{
    static const char *const fine[] = { "a", "a/b.json", ".gitattributes", "a/..b", "caf\xc3\xa9/x", "a b" };
    for (size_t i = 0; i < sizeof fine / sizeof *fine; i++) CHECK_OK(repo_path_check(fine[i], strlen(fine[i]), err));
    static const struct { const char *path; size_t len; const char *why; } bad[] = {
        { "", 0, "empty" }, { "/a", 2, "absolute" }, { "a//b", 4, "empty part" }, { "a/", 2, "empty part" }, { "..", 2, "leads out" }, { "a/../b", 6, "leads out" }, { "./a", 3, "leads out" },
        { "a\\b", 3, "backslash" }, { "a\0b", 3, "control" }, { "a\nb", 3, "control" }, { "a\x7f", 2, "control" }, { "\xff", 1, "UTF-8" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_FAILS(repo_path_check(bad[i].path, bad[i].len, err), SC_E_FORMAT, bad[i].why);
    char large[1100];
    memset(large, 'a', sizeof large);
    CHECK_FAILS(repo_path_check(large, 241, err), SC_E_FORMAT, "longer than 240");
    CHECK_FAILS(repo_path_check(large, 1001, err), SC_E_FORMAT, "longer than 1000");
}

TEST(refs)
{
    struct hub_cache c;
    char commit[41];
    open_cache(&c);
    CHECK(!hub_cache_commit(commit, &c, "main"));
    CHECK(hub_cache_commit(commit, &c, COMMIT));
    CHECK_OK(hub_cache_set_ref(&c, "main", COMMIT, err));
    CHECK_OK(hub_cache_set_ref(&c, "refs/pr/3", COMMIT, err));
    CHECK_OK(hub_cache_set_ref(&c, COMMIT, COMMIT, err));
    CHECK(hub_cache_commit(commit, &c, "refs/pr/3"));
    CHECK_STR(commit, COMMIT);
    char *self = below(c.repo, "refs/" COMMIT), *pr = below(c.repo, "refs/refs/pr/3");
    struct stat st;
    CHECK(!path_exists(self) && stat(pr, &st) == 0 && st.st_size == 40);
    CHECK_FAILS(hub_cache_set_ref(&c, "../x", COMMIT, err), SC_E_ARGUMENT, "revision");
    static const char *const bad[] = { "", "main", COMMIT "0", "g123456789012345678901234567890123456789", COMMIT "\nx" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(!ref_read(commit, bad[i], strlen(bad[i])));
    CHECK(ref_read(commit, COMMIT "\r\n", 42));
    mem_free(self);
    mem_free(pr);
    hub_cache_release(&c);
}

TEST(links_and_what_leads_out)
{
    struct hub_cache c;
    struct hub_file f = { .name = (char *)"x.json", .path = (char *)"sub/x.json", .size = 2, .blob = BLOB };
    char *path, target[200];
    open_cache(&c);
    put(c.repo, "blobs/" BLOB, "{}");
    CHECK_OK(hub_cache_find_file(&path, &c, COMMIT, &f, err));
    CHECK(path && path_ends_with(path, "/blobs/" BLOB));
    mem_free(path);
    CHECK_OK(hub_cache_link(&c, COMMIT, &f, err));
    CHECK_OK(hub_cache_link(&c, COMMIT, &f, err));
    char *link = below(c.repo, "snapshots/" COMMIT "/sub/x.json");
    ssize_t n = readlink(link, target, sizeof target - 1);
    CHECK(n > 0);
    target[n > 0 ? n : 0] = 0;
    CHECK_STR(target, "../../../blobs/" BLOB);
    put(test_scratch(), "outside/secret", "{}");
    char *outside = below(test_scratch(), "outside"), *secret = below(outside, "secret"), *blob = below(c.repo, "blobs/" BLOB), *sub = below(c.repo, "snapshots/" COMMIT "/evil");
    CHECK(unlink(blob) == 0 && symlink(secret, blob) == 0 && symlink(outside, sub) == 0);
    CHECK_FAILS(hub_cache_find_file(&path, &c, COMMIT, &f, err), SC_E_FORMAT, "out of the cache");
    f.path = (char *)"evil/x.json";
    CHECK_FAILS(hub_cache_link(&c, COMMIT, &f, err), SC_E_FORMAT, "out of the cache");
    mem_free(link);
    mem_free(outside);
    mem_free(secret);
    mem_free(blob);
    mem_free(sub);
    hub_cache_release(&c);
}

TEST(roots_behind_links_and_without_a_slash)
{
    struct hub_cache c;
    int lock;
    char *real = below(test_scratch(), "a/much/longer/place"), *shorter = below(test_scratch(), "s"), *longer = below(test_scratch(), "a-link-whose-name-is-longer-than-what-it-leads-to"), *place = below(test_scratch(), "r");
    CHECK_OK(path_make_directories(real, err));
    char *below_longer = below(longer, "hub"), *hub = below(place, "hub");
    CHECK_OK(path_make_directories(hub, err));
    CHECK(symlink(real, shorter) == 0 && symlink(place, longer) == 0);
    const char *const roots[] = { shorter, below_longer };
    for (size_t i = 0; i < 2; i++) {
        setenv("HF_HUB_CACHE", roots[i], 1);
        CHECK_OK(hub_cache_open(&c, false, "org/model", err));
        CHECK_OK(hub_cache_lock(&lock, &c, BLOB, NULL, err));
        char *there = below(i ? hub : real, ".locks/models--org--model/" BLOB ".lock");
        CHECK(path_exists(there));
        close(lock);
        mem_free(there);
        hub_cache_release(&c);
    }
    /* The same path before the root is made and after; behind a link, and relative. */
    char *part, *absent = below(shorter, "not/yet"), *wanted = below(real, "not/yet/models--org--model"), *relative = below(test_scratch(), "here/hub/models--org--model");
    const char *const later[] = { absent, "here/hub" };
    CHECK(chdir(test_scratch()) == 0);
    for (size_t i = 0; i < 2; i++) {
        setenv("HF_HUB_CACHE", later[i], 1);
        for (int round = 0; round < 2; round++) {
            CHECK_OK(hub_cache_open(&c, false, "org/model", err));
            CHECK_STR(c.repo, i ? relative : wanted);
            CHECK_OK(hub_cache_make(&part, &c, "blobs", err));
            mem_free(part);
            hub_cache_release(&c);
        }
    }
    mem_free(absent);
    mem_free(wanted);
    mem_free(relative);
    mem_free(real);
    mem_free(shorter);
    mem_free(longer);
    mem_free(below_longer);
    mem_free(hub);
    mem_free(place);
}

TEST(pages_of_a_tree)
{
    struct pull_plan p = { .revision = mem_strdup(COMMIT) };
    static const char page[] = "[{\"type\":\"directory\",\"path\":\"sub\",\"oid\":\"" BLOB "\"},{\"type\":\"file\",\"path\":\"sub/a b.json\",\"size\":3,\"oid\":\"" BLOB "\"},"
                               "{\"type\":\"file\",\"path\":\"m.gguf\",\"size\":9,\"oid\":\"" BLOB "\",\"lfs\":{\"oid\":\"" SHA "\",\"size\":9}},{\"type\":\"file\",\"path\":\"../x\"}]";
    CHECK_OK(tree_page_read(&p, page, sizeof page - 1, "https://h/o/r", err));
    CHECK_INT(p.n_files, 2);
    CHECK_INT(p.n_entries, 4);
    CHECK_STR(p.files[0].url, "https://h/o/r/resolve/" COMMIT "/sub/a%20b.json");
    CHECK_STR(p.files[0].git_sha1, BLOB);
    CHECK_STR(p.files[1].sha256, SHA);
    CHECK(!p.files[1].git_sha1[0] && p.files[1].size == 9);
    CHECK(p.left_out && strstr(p.left_out, "../x"));
    CHECK_FAILS(tree_page_read(&p, page, sizeof page - 1, "https://h/o/r", err), SC_E_FORMAT, "twice");
    CHECK_FAILS(tree_page_read(&p, "{}", 2, "https://h/o/r", err), SC_E_FORMAT, "no array");
    CHECK_FAILS(tree_page_read(&p, "[1]", 3, "https://h/o/r", err), SC_E_FORMAT, "without");
    struct hub_cache c;
    open_cache(&c);
    CHECK_OK(hub_cache_set_listing(&c, COMMIT, p.listing, err));
    char *path = below(c.repo, "trees/" COMMIT ".json");
    sc_text text;
    CHECK_OK(file_read(&text, path, 10000, err));
    CHECK_STR(text.data, "{\n \"format_version\": 1,\n \"files\": {\n  \"m.gguf\": {\n   \"size\": 9,\n   \"blob_id\": \"" BLOB "\",\n   \"lfs_sha256\": \"" SHA "\",\n   \"lfs_size\": 9\n  },\n"
                         "  \"sub/a b.json\": {\n   \"size\": 3,\n   \"blob_id\": \"" BLOB "\"\n  }\n }\n}");      /* as json.dump(indent=1) writes it */
    struct pull_plan back = { 0 };
    CHECK_OK(listing_read(&back, text.data, text.len, err));
    CHECK_INT(back.n_files, 2);
    CHECK_STR(back.files[0].blob, SHA);
    CHECK_STR(back.files[1].blob, BLOB);
    static const char *const bad[] = { "[]", "{}", "{\"format_version\":2,\"files\":{}}", "{\"format_version\":1,\"files\":[]}", "{\"format_version\":1,\"files\":{\"/x\":{}}}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(listing_read(&back, bad[i], strlen(bad[i]), NULL) == SC_E_FORMAT);
    plan_release(&back);
    plan_release(&p);
    sc_text_free(&text);
    mem_free(path);
    hub_cache_release(&c);
}

TEST(notes_and_marks)
{
    static const char text[] = "/c/models--o--r\n" BLOB "\n+" SHA "\n=" BLOB "\n";
    struct pull_plan p = { 0 };
    struct buf repo;
    buf_init(&repo, 0);
    CHECK(fetched_read(&repo, &p, text, sizeof text - 1));
    CHECK_STR(repo.data, "/c/models--o--r");
    CHECK_INT(p.n_files, 3);
    CHECK(p.files[0].is_ours && !p.files[0].is_sure && p.files[1].is_ours && p.files[1].is_sure && !p.files[2].is_ours);
    CHECK_OK(fetched_write(&p, repo.data, test_scratch(), err));
    char *path = below(test_scratch(), FETCHED_NAME), *home;
    sc_text back;
    CHECK_OK(file_read(&back, path, 1000, err));
    CHECK_STR(back.data, text);
    static const char *const bad[] = { "", "/r\n*" BLOB "\n", "/r\n+" BLOB "0\n", "/r\n=\n", "/r\n++" BLOB "\n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        buf_clear(&repo);
        CHECK(!fetched_read(&repo, &p, bad[i], strlen(bad[i])));
    }
    static const char name[] = "8a5edab282632443219e051e4ade2d1d5bbc671c781051bf1437897cbdfea0f1";      /* sha256sum of "/" */
    CHECK(store_mark_read(&home, name, "/", 1));
    CHECK_STR(home, "/");
    mem_free(home);
    CHECK(!store_mark_read(&home, name, "/x", 2) && !store_mark_read(&home, name, "", 0) && !store_mark_read(&home, name, "x", 1) && !store_mark_read(&home, name, "/\0", 2));
    sc_text_free(&back);
    mem_free(path);
    plan_release(&p);
    buf_release(&repo);
}

TEST(parts_of_a_file)
{
    CHECK_INT(parts_count(SIZE_UNKNOWN), 1);
    CHECK_INT(parts_count(0), 1);
    CHECK_INT(parts_count((16 << 20) - 1), 1);
    CHECK_INT(parts_count(16 << 20), 2);
    CHECK_INT(parts_count((16 << 20) + 1), 3);
    for (uint64_t size = 16 << 20; size < (uint64_t)1 << 45; size = size * 3 / 2 + 7) CHECK(parts_count(size) >= 2 && parts_count(size) <= 65);
    uint64_t size = (20 << 20) + 5, done[66], data[] = { 0x3154524150435355ull, 8 << 20, 1, 8 << 20, (4 << 20) + 5 };
    CHECK(parts_read(done, data, sizeof data, size) && done[1] == 8 << 20);
    CHECK(!parts_read(done, data, sizeof data - 8, size));
    data[4]++;
    CHECK(!parts_read(done, data, sizeof data, size));
    data[4] = 0;
    data[0] ^= 1;
    CHECK(!parts_read(done, data, sizeof data, size));
}

TEST(tokens_on_disk)
{
    char *token = token_clean(" hf_a\r\n", 7);
    CHECK_STR(token, "hf_a");
    mem_free(token);
    CHECK(token_clean("\n", 1) == NULL && token_clean("", 0) == NULL);
    token = token_clean("a\0b", 3);
    CHECK(!token_is_valid(token));
    mem_free(token);
    CHECK(!token_is_valid("two words") && !token_is_valid("caf\xc3\xa9") && !token_is_valid("") && token_is_valid("hf_x"));
    static const char text[] = "# note\nhf_token = lost\n[home]\nhf_token = hf_a\nexpires_at=5\n\n; x\n[a]b]\nHF_Token: hf_b\n[empty]\n  hf_token = continued\n[none";
    struct stored_token s;
    size_t at = 0;
    static const char *const expected[][2] = { { "home", "hf_a" }, { "a]b", "hf_b" }, { "empty", "" } };
    for (size_t i = 0; i < 3; i++) {
        CHECK(stored_token_next(&s, text, sizeof text - 1, &at));
        CHECK(s.name_len == strlen(expected[i][0]) && memcmp(s.name, expected[i][0], s.name_len) == 0);
        CHECK(s.token_len == strlen(expected[i][1]) && memcmp(s.token, expected[i][1], s.token_len) == 0);
    }
    CHECK(!stored_token_next(&s, text, sizeof text - 1, &at));
    char *path = below(test_scratch(), "deep/token");
    struct stat st;
    CHECK_OK(secret_write(path, "hf_a", 4, err));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(chmod(path, 0644) == 0);
    CHECK_OK(secret_write(path, "hf_bc", 5, err));
    CHECK(stat(path, &st) == 0 && (st.st_mode & 0777) == 0600 && st.st_size == 5);
    mem_free(path);
}

TEST(where_the_token_is_from)
{
    struct hub_env e;
    char *home = below(test_scratch(), "hf");
    setenv("HF_HOME", home, 1);
    put(home, "token", "hf_file\n");
    unsetenv("HF_TOKEN_PATH");
    unsetenv("HUGGING_FACE_HUB_TOKEN");
    setenv("HF_TOKEN", " \n", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.token, "hf_file");
    CHECK(path_ends_with(e.token_from, "/hf/token"));
    hub_env_release(&e);
    setenv("HUGGING_FACE_HUB_TOKEN", "hf_old", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.token_from, "HUGGING_FACE_HUB_TOKEN");
    hub_env_release(&e);
    setenv("HF_TOKEN", "hf_variable", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.token, "hf_variable");
    hub_env_release(&e);
    setenv("HF_TOKEN", "two words", 1);
    CHECK_FAILS(hub_env_read(&e, err), SC_E_ARGUMENT, "HF_TOKEN contains a blank");
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK(e.token == NULL && e.hides_token);
    hub_env_release(&e);
    mem_free(home);
}
