/* test_store.c - keeping the store: aliases, space, stores of other programs. */
#include <sys/stat.h>
#include <sys/time.h>
#include <unistd.h>

#include "hub/hub.h"
#include "test.h"

/* Writes a file with its directories. */
static void put(const char *directory, const char *name, const char *text)
{
    char *path = path_join(directory, name), *slash = strrchr(path, '/');
    *slash = 0;
    CHECK_OK(path_make_directories(path, err));
    *slash = '/';
    CHECK_OK(file_write(path, text, strlen(text), err));
    mem_free(path);
}

static void put_model(const char *home, const char *name)
{
    char *directory = store_directory(home, name);
    struct hub_file file = { .name = (char *)(uintptr_t)"m.gguf", .size = 5 };
    memset(file.sha256, 'a', 64);
    const struct manifest m = { .name = (char *)(uintptr_t)name, .source = (char *)(uintptr_t)"s", .revision = (char *)(uintptr_t)"", .model = (char *)(uintptr_t)"m.gguf", .pulled = (char *)(uintptr_t)"now", .bytes = 5, .files = &file, .n_files = 1 };
    put(directory, "m.gguf", "GGUF1");
    CHECK_OK(manifest_write(&m, directory, err));
    mem_free(directory);
}

static void check_resolves(const char *home, const char *name, const char *end)
{
    sc_text path;
    CHECK_OK(sc_store_resolve(&path, name, home, err));
    CHECK(path_ends_with(path.data, end));
    sc_text_free(&path);
}

TEST(alias_is_a_name)
{
    const char *home = test_scratch();
    sc_text text;
    setenv("HF_HUB_CACHE", home, 1);
    put_model(home, "a:one");
    put(home, "runs/demo/x", "");
    char *path = path_join(home, "runs/demo");
    CHECK_OK(sc_store_alias("mine:v1", "a:one", home, err));
    CHECK_OK(sc_store_alias("again", "mine:v1", home, err));              /* means what that means */
    CHECK_OK(sc_store_alias("run", path, home, err));
    check_resolves(home, "mine:v1", "/models/a%3Aone/m.gguf");
    check_resolves(home, "again", "/models/a%3Aone/m.gguf");
    check_resolves(home, "run", "/runs/demo");
    CHECK_OK(sc_store_alias("mine:v1", path, home, err));                 /* another model */
    check_resolves(home, "mine:v1", "/runs/demo");
    check_resolves(home, "again", "/models/a%3Aone/m.gguf");
    CHECK_OK(sc_store_list(&text, home, err));
    CHECK(strstr(text.data, "\"alias_of\"") && strstr(text.data, "\"again\""));
    sc_text_free(&text);
    CHECK_OK(sc_store_remove("run", home, err));                          /* the name alone */
    CHECK(path_exists(path));
    CHECK_FAILS(sc_store_resolve(&text, "run", home, err), SC_E_ARGUMENT, "no model");
    CHECK_OK(sc_store_remove("a:one", home, err));                        /* its names go with it */
    CHECK(alias_target(home, "again") == NULL);
    mem_free(path);
}

TEST(what_cannot_be_an_alias)
{
    const char *home = test_scratch();
    sc_text text;
    setenv("HF_HUB_CACHE", home, 1);
    put_model(home, "a:one");
    CHECK_FAILS(sc_store_alias("a:one", home, home, err), SC_E_ARGUMENT, "a model is stored");
    CHECK_FAILS(sc_store_alias("starcoder:1b", "a:one", home, err), SC_E_ARGUMENT, "built-in");
    CHECK_FAILS(sc_store_alias("../x", "a:one", home, err), SC_E_ARGUMENT, "cannot be the name");
    CHECK_FAILS(sc_store_alias("x", "a:onn", home, err), SC_E_ARGUMENT, "did you mean a:one");
    CHECK_FAILS(sc_store_alias("x", "x", home, err), SC_E_ARGUMENT, "no model");
    CHECK_FAILS(sc_store_alias("x", NULL, home, err), SC_E_ARGUMENT, "no alias");
    CHECK_OK(sc_store_alias("x", "a:one", home, err));
    CHECK_OK(sc_store_alias("x", NULL, home, err));
    /* What stands in the file may be anything. */
    static const char *const odd[] = { "", "\n", "relative/../path\n", "../up\n", "two words\n", "/a\tb\n", "x" };
    for (size_t i = 0; i < sizeof odd / sizeof *odd; i++) {
        put(home, "aliases/x", odd[i]);
        CHECK(sc_store_resolve(&text, "x", home, NULL) != SC_OK);         /* "x" of "x": no circle */
    }
    put(home, "aliases/x", "/gone/away\n");
    CHECK_FAILS(sc_store_resolve(&text, "x", home, err), SC_E_IO, "alias of /gone/away, which is gone");
}

static void age(const char *directory, const char *name, double days)
{
    char *path = path_join(directory, name);
    struct timeval t = { (time_t)(time(NULL) - (time_t)(days * 86400)), 0 };
    CHECK(utimes(path, (struct timeval[]){ t, t }) == 0);
    mem_free(path);
}

TEST(space_that_nothing_needs)
{
    const char *home = test_scratch();
    sc_text text;
    setenv("HF_HUB_CACHE", home, 1);
    put_model(home, "a:one");
    put(home, "tmp/old%3Ax/f.incomplete", "12345");
    put(home, "tmp/new%3Ax/f.incomplete", "12345");
    put(home, "tmp/.removed-1/f", "12345");
    put(home, "aliases/kept", "a:one\n");
    struct buf lost;
    buf_init(&lost, 0);
    buf_printf(&lost, "%s/gone\n", home);
    put(home, "aliases/lost", lost.data);
    buf_release(&lost);
    put(home, "aliases/unmounted", "/no/such/disk/model\n");              /* its folder is missing too */
    age(home, "tmp/old%3Ax/f.incomplete", 9);
    age(home, "tmp/old%3Ax", 9);
    for (int dry = 1; dry >= 0; dry--) {
        CHECK_OK(sc_store_free(&text, home, 7, dry, err));
        json_t *rows = json_loads(text.data, 0, NULL);
        CHECK_INT(json_array_size(rows), 3);
        CHECK(strstr(text.data, "\"old:x\"") && strstr(text.data, "9 days") && strstr(text.data, ".removed-1") && strstr(text.data, "\"lost\""));
        json_decref(rows);
        sc_text_free(&text);
    }
    static const struct { const char *name; bool stays; } file[] = { { "tmp/old%3Ax", false }, { "tmp/new%3Ax/f.incomplete", true }, { "tmp/.removed-1", false }, { "aliases/kept", true }, { "aliases/lost", false }, { "aliases/unmounted", true }, { "models/a%3Aone/m.gguf", true } };
    for (size_t i = 0; i < sizeof file / sizeof *file; i++) {
        char *path = path_join(home, file[i].name);
        CHECK(path_exists(path) == file[i].stays);
        mem_free(path);
    }
    CHECK_OK(sc_store_free(&text, home, 7, false, err));
    CHECK_STR(text.data, "[]");
    sc_text_free(&text);
    CHECK_FAILS(sc_store_free(&text, home, -1, false, err), SC_E_ARGUMENT, "days is -1");
}

static json_t *usage_row(const char *home, const char *what)
{
    sc_text text;
    json_t *found = NULL, *row;
    size_t i;
    CHECK_OK(sc_store_usage(&text, home, err));
    json_t *all = json_loads(text.data, 0, NULL);
    json_array_foreach(json_object_get(all, "rows"), i, row) if (!strcmp(json_string_value(json_object_get(row, "what")), what)) found = json_incref(row);
    json_decref(all);
    sc_text_free(&text);
    return found;
}

TEST(shared_files_free_nothing)
{
    const char *home = test_scratch();
    char *other = path_join(home, "other"), *directory = store_directory(home, "a:one"), *file = path_join(directory, "big");
    char *big = mem_zero(1 << 20, 1);
    setenv("HF_HUB_CACHE", "/nowhere", 1);
    put_model(home, "a:one");
    CHECK_OK(file_write(file, big, 1 << 20, err));
    json_t *row = usage_row(home, "models");
    CHECK(json_integer_value(json_object_get(row, "freed")) >= 1 << 20);
    json_decref(row);
    CHECK(link(file, other) == 0);
    row = usage_row(home, "models");
    CHECK(json_integer_value(json_object_get(row, "bytes")) >= 1 << 20);
    CHECK(json_integer_value(json_object_get(row, "freed")) < 1 << 20);
    CHECK_INT(json_integer_value(json_object_get(row, "n")), 1);
    json_decref(row);
    CHECK(usage_row(home, "unfinished downloads") == NULL);
    mem_free(other);
    mem_free(directory);
    mem_free(file);
    mem_free(big);
}

/* ---- stores of other programs ------------------------------------------------------------------------------------------------------ */

#define HEX "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define MANIFEST "{\"schemaVersion\":2,\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.license\",\"digest\":\"sha256:ff\"}," \
                 "{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"sha256:" HEX "\",\"size\":4}]}"

static void check_found(const json_t *rows, size_t i, const char *name, const char *from, const char *end, bool ready)
{
    const json_t *row = json_array_get(rows, i);
    CHECK_STR(json_string_value(json_object_get(row, "name")), name);
    CHECK_STR(json_string_value(json_object_get(row, "from")), from);
    CHECK(path_ends_with(json_string_value(json_object_get(row, "path")), end));
    CHECK_INT(json_is_true(json_object_get(row, "ready")), ready);
}

TEST(models_of_other_programs)
{
    static const char commit[] = "0123456789012345678901234567890123456789";
    const char *home = test_scratch();
    char *cache = path_join(home, "hf");
    sc_text text;
    setenv("HOME", home, 1);
    setenv("STARCHAT_HOME", home, 1);
    unsetenv("OLLAMA_MODELS");
    unsetenv("LLAMA_CACHE");
    unsetenv("XDG_CACHE_HOME");
    setenv("HF_HUB_CACHE", cache, 1);
    CHECK_OK(sc_store_found(&text, err));
    CHECK_STR(text.data, "[]");
    sc_text_free(&text);
    put(home, ".ollama/models/manifests/registry.ollama.ai/library/qwen/0.5b", MANIFEST);
    put(home, ".ollama/models/manifests/registry.ollama.ai/me/own/latest", MANIFEST);
    put(home, ".ollama/models/manifests/registry.ollama.ai/library/starcoder/1b", MANIFEST);      /* a built-in name */
    put(home, ".ollama/models/manifests/registry.ollama.ai/library/broken/1b", "{\"layers\":3}");
    put(home, ".ollama/models/blobs/sha256-" HEX, "GGUF");
    put(home, ".cache/llama.cpp/org_small-Q4 K.gguf", "GGUF12");
    put(home, ".cache/llama.cpp/big-00002-of-00003.gguf", "GGUF");
    put(home, ".cache/llama.cpp/mmproj-x.gguf", "GGUF");
    put(home, ".cache/llama.cpp/manifest.json", "{}");
    put(home, ".lmstudio/models/pub/repo/lm.gguf", "GGUF");
    put(cache, "models--o--r/refs/main", commit);
    put(cache, "models--o--r/snapshots/0123456789012345678901234567890123456789/q8.gguf", "GGUF");
    put(cache, "models--o--whole/refs/main", commit);
    put(cache, "models--o--whole/snapshots/0123456789012345678901234567890123456789/config.json", "{}");
    put(cache, "models--o--whole/snapshots/0123456789012345678901234567890123456789/model.safetensors", "1234");
    CHECK_OK(sc_store_found(&text, err));
    json_t *rows = json_loads(text.data, 0, NULL);
    CHECK_INT(json_array_size(rows), 7);
    check_found(rows, 0, "lm", "LM Studio", "/pub/repo/lm.gguf", false);
    check_found(rows, 1, "me/own:latest", "Ollama", "/blobs/sha256-" HEX, false);
    check_found(rows, 2, "o/r:q8.gguf", "huggingface_hub", "/q8.gguf", true);
    check_found(rows, 3, "o/whole", "huggingface_hub", commit, true);
    check_found(rows, 4, "ollama/starcoder:1b", "Ollama", "/blobs/sha256-" HEX, false);
    check_found(rows, 5, "org_small-Q4_K", "llama.cpp", "/org_small-Q4 K.gguf", false);
    check_found(rows, 6, "qwen:0.5b", "Ollama", "/blobs/sha256-" HEX, false);
    CHECK_INT(json_integer_value(json_object_get(json_array_get(rows, 5), "bytes")), 6);
    CHECK_INT(json_integer_value(json_object_get(json_array_get(rows, 3), "bytes")), 6);
    CHECK_STR(json_string_value(json_object_get(json_array_get(rows, 6), "sha256")), HEX);
    check_resolves(NULL, "o/r:q8.gguf", "/q8.gguf");                      /* "ready" is true */
    check_resolves(NULL, "o/whole", commit);
    json_decref(rows);
    sc_text_free(&text);
    mem_free(cache);
}

TEST(damaged_manifests_of_ollama)
{
    static const char *const bad[] = { "", "[]", "{}", "{\"layers\":[1]}", "{\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.model\"}]}",
        "{\"layers\":[{\"mediaType\":\"application/vnd.ollama.image.model\",\"digest\":\"sha256:../../etc/passwd\"}]}" };
    char sha256[65];
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_FAILS(ollama_layer(sha256, bad[i], strlen(bad[i]), "m", err), SC_E_FORMAT, "m");
    CHECK_OK(ollama_layer(sha256, MANIFEST, strlen(MANIFEST), "m", err));
    CHECK_STR(sha256, HEX);
}
