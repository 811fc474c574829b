/* test_wheel.c - zip archives, whole and damaged in every bit, the environment and configuration of pip, the two forms of
 * the package index. */
#include <unistd.h>
#include <zlib.h>

#include "hub/hub.h"
#include "test.h"

/* The result of a function that gives a string away. */
static void check_text(char *found, const char *expected)
{
    if (expected) CHECK_STR(found, expected);
    else CHECK(found == NULL);
    mem_free(found);
}

/* ---- a writer of zip archives, so that tests can damage what they know ------------------------------------------------- */

struct zip_test { struct buf archive, directory; int n; };
enum { ZIP_DEFLATE = 1, ZIP_64 = 2, ZIP_WRONG_CRC = 4, ZIP_OTHER_LOCAL_NAME = 8, ZIP_ENCRYPTED = 16, ZIP_METHOD_12 = 32, ZIP_SHORT_SIZE = 64 };

static void put(struct buf *b, uint64_t value, int bytes)
{
    for (int i = 0; i < bytes; i++) buf_putc(b, (char)(value >> (8 * i)));
}

static void zip_test_init(struct zip_test *z)
{
    *z = (struct zip_test){ 0 };
    buf_init(&z->archive, 0);
    buf_init(&z->directory, 0);
}

static void zip_test_add(struct zip_test *z, const char *name, const void *data, size_t len, unsigned how)
{
    uint8_t *packed = mem_alloc(len + len / 8 + 100);
    size_t packed_len = len, n = strlen(name), at = z->archive.len;
    memcpy(packed, data, len);
    if (how & ZIP_DEFLATE) {
        z_stream s = { .next_in = (Bytef *)data, .avail_in = (uInt)len, .next_out = packed, .avail_out = (uInt)(len + len / 8 + 100) };
        CHECK(deflateInit2(&s, 9, Z_DEFLATED, -15, 8, Z_DEFAULT_STRATEGY) == Z_OK && deflate(&s, Z_FINISH) == Z_STREAM_END);
        packed_len = s.total_out;
        deflateEnd(&s);
    }
    uint32_t crc = (uint32_t)crc32(0, data, (uInt)len) + ((how & ZIP_WRONG_CRC) != 0);
    unsigned method = how & ZIP_METHOD_12 ? 12 : how & ZIP_DEFLATE ? 8 : 0, flags = how & ZIP_ENCRYPTED ? 1 : 0;
    uint64_t size = len - ((how & ZIP_SHORT_SIZE) != 0);
    put(&z->archive, 0x04034b50, 4); put(&z->archive, 20, 2); put(&z->archive, flags, 2); put(&z->archive, method, 2); put(&z->archive, 0, 4);
    put(&z->archive, crc, 4); put(&z->archive, packed_len, 4); put(&z->archive, size, 4); put(&z->archive, n, 2); put(&z->archive, 0, 2);
    buf_append(&z->archive, name, n);
    if (how & ZIP_OTHER_LOCAL_NAME) z->archive.data[z->archive.len - 1] ^= 1;
    buf_append(&z->archive, packed, packed_len);
    bool is_64 = how & ZIP_64;
    put(&z->directory, 0x02014b50, 4); put(&z->directory, 20, 2); put(&z->directory, 20, 2); put(&z->directory, flags, 2); put(&z->directory, method, 2); put(&z->directory, 0, 4);
    put(&z->directory, crc, 4); put(&z->directory, is_64 ? UINT32_MAX : packed_len, 4); put(&z->directory, is_64 ? UINT32_MAX : size, 4); put(&z->directory, n, 2);
    put(&z->directory, is_64 ? 28 : 0, 2); put(&z->directory, 0, 2); put(&z->directory, 0, 8); put(&z->directory, is_64 ? UINT32_MAX : at, 4);
    buf_append(&z->directory, name, n);
    if (is_64) {
        put(&z->directory, 1, 2); put(&z->directory, 24, 2); put(&z->directory, size, 8); put(&z->directory, packed_len, 8); put(&z->directory, at, 8);
    }
    z->n++;
    mem_free(packed);
}

/* Ends the archive; with `is_64` the numbers are in the zip64 record only. */
static void zip_test_end(struct zip_test *z, bool is_64, const char *comment)
{
    struct buf *b = &z->archive;
    size_t at = b->len, bytes = z->directory.len, end64 = at + bytes;
    buf_append(b, z->directory.data, bytes);
    if (is_64) {
        put(b, 0x06064b50, 4); put(b, 44, 8); put(b, 45, 2); put(b, 45, 2); put(b, 0, 8); put(b, (uint64_t)z->n, 8); put(b, (uint64_t)z->n, 8); put(b, bytes, 8); put(b, at, 8);
        put(b, 0x07064b50, 4); put(b, 0, 4); put(b, end64, 8); put(b, 1, 4);
    }
    put(b, 0x06054b50, 4); put(b, 0, 4); put(b, is_64 ? 0xffff : (uint64_t)z->n, 2); put(b, is_64 ? 0xffff : (uint64_t)z->n, 2);
    put(b, is_64 ? UINT32_MAX : bytes, 4); put(b, is_64 ? UINT32_MAX : at, 4); put(b, strlen(comment), 2);
    buf_puts(b, comment);
    buf_release(&z->directory);
}

static sc_status collect(void *user, const void *data, size_t len, sc_error *err)
{
    (void)err;
    buf_append(user, data, len);
    return SC_OK;
}

/* Opens an exact copy (so that sanitizers see every byte too many) and extracts the entry ending in ".gguf". */
static sc_status unzip(const void *archive, size_t len, struct buf *out, sc_error *err)
{
    struct zip z = { 0 };
    void *copy = malloc(len ? len : 1);
    memcpy(copy, archive, len);
    buf_init(out, 0);
    sc_status status = zip_open(&z, copy, len, err);
    const struct zip_entry *e = status == SC_OK ? zip_find(&z, ".gguf") : NULL;
    if (status == SC_OK) status = e ? zip_extract(&z, e, collect, out, err) : FAIL(err, SC_E_FORMAT, "no entry");
    zip_release(&z);
    free(copy);
    return status;
}

static char *make_content(size_t len)
{
    char *content = malloc(len);
    for (size_t i = 0; i < len; i++) content[i] = (char)(random_u32(7, 0, i / 5) >> (i % 3));
    return content;
}

static void check_zip_holds(struct zip_test *z, const char *content, size_t len)
{
    struct buf out;
    CHECK_OK(unzip(z->archive.data, z->archive.len, &out, err));
    CHECK_INT(out.len, len);
    CHECK(out.len == len && memcmp(out.data, content, len) == 0);
    buf_release(&out);
    buf_release(&z->archive);
}

TEST(zip_reads_stored_deflated_and_zip64)
{
    enum { LEN = 700001 };
    char *content = make_content(LEN);
    for (unsigned how = 0; how < 4; how++)
        for (int is_64 = 0; is_64 < 2; is_64++) {
            struct zip_test z;
            zip_test_init(&z);
            zip_test_add(&z, "pkg/__init__.py", "x = 1\n", 6, ZIP_DEFLATE);
            zip_test_add(&z, "pkg/small.gguf", "GGUF", 4, 0);
            zip_test_add(&z, "pkg/model.gguf", content, LEN, how);
            zip_test_end(&z, is_64, is_64 ? "a comment PK\5\6 that looks like an end" : "");
            check_zip_holds(&z, content, LEN);
        }
    free(content);
}

static void check_zip_refused(unsigned how, sc_status expected, const char *part)
{
    struct zip_test z;
    struct buf out;
    char content[5000];
    memset(content, 'a', sizeof content);
    zip_test_init(&z);
    zip_test_add(&z, "model.gguf", content, sizeof content, how);
    zip_test_end(&z, false, "");
    CHECK_FAILS(unzip(z.archive.data, z.archive.len, &out, err), expected, part);
    CHECK(out.len <= sizeof content);
    buf_release(&out);
    buf_release(&z.archive);
}

TEST(zip_refuses_what_does_not_fit)
{
    check_zip_refused(ZIP_WRONG_CRC, SC_E_FORMAT, "CRC-32");
    check_zip_refused(ZIP_WRONG_CRC | ZIP_DEFLATE, SC_E_FORMAT, "CRC-32");
    check_zip_refused(ZIP_OTHER_LOCAL_NAME, SC_E_FORMAT, "different names");
    check_zip_refused(ZIP_ENCRYPTED, SC_E_UNSUPPORTED, "encrypted");
    check_zip_refused(ZIP_METHOD_12, SC_E_UNSUPPORTED, "method 12");
    check_zip_refused(ZIP_SHORT_SIZE, SC_E_FORMAT, "two sizes differ");
    check_zip_refused(ZIP_SHORT_SIZE | ZIP_DEFLATE, SC_E_FORMAT, "more than the 4999 bytes");
}

TEST(zip_refuses_every_truncation_and_survives_every_flip)
{
    struct zip_test z;
    struct buf out;
    char content[300];
    for (size_t i = 0; i < sizeof content; i++) content[i] = (char)(i * i);
    zip_test_init(&z);
    zip_test_add(&z, "a.txt", "hello", 5, 0);
    zip_test_add(&z, "m.gguf", content, sizeof content, ZIP_DEFLATE | ZIP_64);
    zip_test_end(&z, true, "");
    for (size_t n = 0; n < z.archive.len; n++) {
        CHECK(unzip(z.archive.data, n, &out, NULL) != SC_OK);
        buf_release(&out);
    }
    for (size_t i = 0; i < z.archive.len; i++)
        for (int bit = 0; bit < 8; bit++) {
            z.archive.data[i] ^= (char)(1 << bit);
            /* Fine or refused, but never wrong bytes. */
            if (unzip(z.archive.data, z.archive.len, &out, NULL) == SC_OK) CHECK(out.len == sizeof content && memcmp(out.data, content, out.len) == 0);
            buf_release(&out);
            z.archive.data[i] ^= (char)(1 << bit);
        }
    buf_release(&z.archive);
}

TEST(zip_refuses_a_bomb_by_its_header)
{
    struct zip_test z;
    struct buf out;
    zip_test_init(&z);
    zip_test_add(&z, "m.gguf", "abc", 3, ZIP_DEFLATE);
    for (int i = 0; i < 4; i++) z.directory.data[24 + i] = (char)0xf0;   /* declared size of 4 GB */
    zip_test_end(&z, false, "");
    CHECK_FAILS(unzip(z.archive.data, z.archive.len, &out, err), SC_E_FORMAT, "cannot have");
    CHECK_INT(out.len, 0);
    buf_release(&out);
    buf_release(&z.archive);
}

/* ---- pip and its index ------------------------------------------------------------------------------------------------------------ */

static void check_conf(const char *text, const char *key, const char *expected) { check_text(pip_conf_value(text, strlen(text), key), expected); }

TEST(pip_configuration)
{
    check_conf("[global]\nindex-url = https://a.example/simple/\n", "index-url", "https://a.example/simple/");
    check_conf("[global]\r\nindex_url: https://a.example/simple\r\n", "index-url", "https://a.example/simple");
    check_conf("# index-url = no\n[list]\nindex-url = no\n", "index-url", NULL);
    check_conf("index-url = no section\n", "index-url", NULL);
    check_conf("[install]\nindex-url=https://b\n[global]\nindex-url=https://a", "index-url", "https://b");
    check_conf("[download]\nindex-url=https://c\n[install]\nindex-url=https://b", "index-url", "https://c");
    check_conf("[global]\nextra-index-url =\n  https://x\n  index-url = continued\ncert=/c", "index-url", NULL);
    check_conf("[global]\nindex-url =\n", "index-url", NULL);
    check_conf("", "cert", NULL);
    check_conf("[global", "cert", NULL);
}

TEST(environment_of_pip_and_hub)
{
    struct hub_env e;
    char *conf = path_join(test_scratch(), "pip.conf"), *token = path_join(test_scratch(), "token");
    CHECK_OK(file_write(conf, "[global]\nindex-url = https://mirror.example/simple/\ncert = /c.pem\n", 65, err));
    CHECK_OK(file_write(token, "hf_abc\n", 7, err));
    setenv("PIP_CONFIG_FILE", conf, 1);
    unsetenv("PIP_INDEX_URL");
    unsetenv("PIP_CERT");
    unsetenv("HF_TOKEN");
    unsetenv("HUGGING_FACE_HUB_TOKEN");
    setenv("HF_TOKEN_PATH", token, 1);
    setenv("HF_ENDPOINT", "http://127.0.0.1:1/", 1);
    setenv("HF_HUB_OFFLINE", "yes", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.index_url, "https://mirror.example/simple");
    CHECK_STR(e.index_ca_file, "/c.pem");
    CHECK_STR(e.endpoint, "http://127.0.0.1:1");
    CHECK_STR(e.token, "hf_abc");
    CHECK(e.offline);
    hub_env_release(&e);
    setenv("SSL_CERT_FILE", "/mine.pem", 1);
    unsetenv("CURL_CA_BUNDLE");
    unsetenv("REQUESTS_CA_BUNDLE");
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.ca_file, "/mine.pem");
    hub_env_release(&e);
    unsetenv("SSL_CERT_FILE");
    CHECK_OK(hub_env_read(&e, err));
    CHECK(!e.ca_file || path_exists(e.ca_file));              /* the system's, wherever it has them */
    hub_env_release(&e);
    setenv("PIP_INDEX_URL", "https://other.example/root", 1);
    setenv("HF_TOKEN", "hf_env", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK_STR(e.index_url, "https://other.example/root");
    CHECK_STR(e.token, "hf_env");
    hub_env_release(&e);
    setenv("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1", 1);
    CHECK_OK(hub_env_read(&e, err));
    CHECK(e.token == NULL);
    hub_env_release(&e);
    unsetenv("HF_HUB_DISABLE_IMPLICIT_TOKEN");
    setenv("HF_TOKEN", "two words", 1);
    CHECK_FAILS(hub_env_read(&e, err), SC_E_ARGUMENT, "token");
    setenv("HF_TOKEN", "", 1);
    setenv("HF_ENDPOINT", "ftp://x", 1);
    CHECK_FAILS(hub_env_read(&e, err), SC_E_ARGUMENT, "HF_ENDPOINT");
    mem_free(conf);
    mem_free(token);
}

TEST(versions_in_order)
{
    static const char *const ascending[] = { "0.1.dev3", "0.1a1", "0.1b2", "0.1rc1", "0.1rc2", "0.1", "0.1.post1", "0.1.1", "0.1.2", "0.1.10", "0.2", "1.0", "1.0.1", "2024.1", "2024.10.3" };
    int n = sizeof ascending / sizeof *ascending;
    for (int i = 0; i < n; i++)
        for (int j = 0; j < n; j++) {
            int order = version_compare(ascending[i], ascending[j]);
            CHECK_INT((order > 0) - (order < 0), (i > j) - (i < j));
        }
    CHECK_INT(version_compare("1.0", "1"), 0);
    CHECK_INT(version_compare("99999999999999999999999", "99999999999999999999999"), 0);
}

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define SHA_B "bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"

TEST(index_page_as_json)
{
    static const char page[] =
        "{\"files\":[{\"filename\":\"llm_x-0.1-py3-none-any.whl\",\"url\":\"/p/llm_x-0.1-py3-none-any.whl\",\"hashes\":{\"sha256\":\"" SHA_A "\"},\"size\":5},"
        "{\"filename\":\"llm_x-0.9-py3-none-any.whl\",\"url\":\"/p/9.whl\",\"hashes\":{},\"yanked\":\"bad\"},"
        "{\"filename\":\"llm_x-0.10rc1-py3-none-any.whl\",\"url\":\"/p/rc.whl\",\"hashes\":{}},"
        "{\"filename\":\"llm_x-0.8-cp311-cp311-linux_x86_64.whl\",\"url\":\"/p/cp.whl\",\"hashes\":{}},"
        "{\"filename\":\"llm_x_more-0.7-py3-none-any.whl\",\"url\":\"/p/more.whl\",\"hashes\":{}},"
        "{\"filename\":7},{},3,"
        "{\"filename\":\"Llm.X-0.2-py3-none-any.whl\",\"url\":\"https://files.example/b.whl\",\"hashes\":{\"sha256\":\"" SHA_B "\"},\"size\":7},"
        "{\"filename\":\"llm_x-0.2.tar.gz\",\"url\":\"/p/s.tar.gz\"}],\"name\":\"llm-x\"}";
    struct package_file f;
    CHECK_OK(index_parse_json(&f, page, sizeof page - 1, "https://i.example/simple/llm-x/", "llm-x", err));
    CHECK_STR(f.version, "0.2");
    CHECK_STR(f.url, "https://files.example/b.whl");
    CHECK_STR(f.sha256, SHA_B);
    CHECK_INT(f.size, 7);
    package_file_release(&f);
    CHECK_FAILS(index_parse_json(&f, "{\"files\":[]}", 12, "https://i.example/", "llm-x", err), SC_E_IO, "no wheel");
    CHECK_FAILS(index_parse_json(&f, "[", 1, "https://i.example/", "llm-x", err), SC_E_FORMAT, "JSON");
}

TEST(index_page_as_html)
{
    static const char page[] =
        "<!DOCTYPE html><html><head><title>a > b</title></head><body><abbr>no</abbr>\n"
        "<a href=\"/packages/llm_x-0.1-py3-none-any.whl#sha256=" SHA_A "\">llm_x-0.1-py3-none-any.whl</a><br/>\n"
        "<A\n data-requires-python='&gt;=3.9' href='../../files/llm_x-0.3-py3-none-any.whl?a=1&amp;b=2#sha256=" SHA_B "' >x</A>"
        "<a data-yanked href=\"/packages/llm_x-0.4-py3-none-any.whl\">y</a>"
        "<a href=/packages/llm_x-0.2-py3-none-any.whl>z</a><a href=\"javascript:alert(1)/llm_x-0.9-py3-none-any.whl\">q</a><a href=";
    struct package_file f;
    CHECK_OK(index_parse_html(&f, page, sizeof page - 1, "https://i.example/simple/llm-x/", "llm_X", err));
    CHECK_STR(f.url, "https://i.example/files/llm_x-0.3-py3-none-any.whl?a=1&b=2");
    CHECK_STR(f.version, "0.3");
    CHECK_STR(f.sha256, SHA_B);
    CHECK(f.size == SIZE_UNKNOWN);
    package_file_release(&f);
    for (size_t n = 0; n < sizeof page - 1; n++) {
        char *cut = malloc(n ? n : 1);
        memcpy(cut, page, n);
        (void)index_parse_html(&f, cut, n, "https://i.example/simple/llm-x/", "llm-x", NULL);
        package_file_release(&f);
        free(cut);
    }
}
