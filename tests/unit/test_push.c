/* test_push.c - the search for secrets, .gitattributes, the choice of files, what a Hub answers. What goes over the net is tested by
 * tests/cli/test_push.py against a hub of its own. */
#include "hub/push.h"
#include "test.h"

#include <sys/stat.h>

#define SHA_A "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
#define COMMIT "cccccccccccccccccccccccccccccccccccccccc"

/* ---- secrets ---------------------------------------------------------------------------------------------------------------------- */

struct seen { const char *kind; size_t at, len, n; };

static bool on_found(void *user, const struct finding *f)
{
    struct seen *s = user;
    if (!s->n++) { s->kind = f->kind; s->at = f->at; s->len = f->len; }
    return true;
}

static bool is_work(void *user, const char *path, size_t len)
{
    (void)user;
    return len >= 6 && memcmp(path, "/work/", 6) == 0;
}

static struct seen look(const char *text)
{
    static const struct secrets_rules rules = { "token-in-use", 12, is_work, NULL };
    struct seen s = { 0 };
    secrets_scan(text, strlen(text), &rules, on_found, &s);
    return s;
}

#define KEY36 "0123456789abcdefghijABCDEFGHIJ012345"

TEST(each_kind_is_found)
{
    static const struct { const char *text, *kind, *found; } cases[] = {
        { "x = \"hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789\"", "hub-token", "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789" },
        { "{\"a\": \"one\\nhf_abcdefghijKLMNOPQRSTUVWXYZ0123456789\"}", "hub-token", "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789" },
        { "a token-in-use b", "hub-token", "token-in-use" },
        { "sk-abcdefgh01234567ABCDEFGHijklmnop", "openai-key", "sk-abcdefgh01234567ABCDEFGHijklmnop" },
        { "OPENAI_API_KEY=sk-proj-abcdefgh01234567ABCDEFGH_klmnop", "openai-key", "sk-proj-abcdefgh01234567ABCDEFGH_klmnop" },
        { "(sk-ant-api03-abcdefgh01234567)", "anthropic-key", "sk-ant-api03-abcdefgh01234567" },
        { "ghp_" KEY36, "github-token", "ghp_" KEY36 }, { "gho_" KEY36, "github-token", "gho_" KEY36 },
        { "github_pat_11ABCDEFG0123456789_abcdefghij", "github-token", "github_pat_11ABCDEFG0123456789_abcdefghij" },
        { "AKIAABCDEFGH23456789", "aws-key", "AKIAABCDEFGH23456789" },
        { "aws_secret_access_key = abcdefghijklmnopqrstuvwxyz0123456789+/CD", "aws-key", "abcdefghijklmnopqrstuvwxyz0123456789+/CD" },
        { "xoxb-1234567890-abcdefghij", "slack-token", "xoxb-1234567890-abcdefghij" },
        { "AIzaSyA0123456789abcdefghijklmnopqrstuv", "google-key", "AIzaSyA0123456789abcdefghijklmnopqrstuv" },
        { "-----BEGIN PRIVATE KEY-----", "private-key", "-----BEGIN PRIVATE KEY" }, { "-----BEGIN OPENSSH PRIVATE KEY-----", "private-key", "-----BEGIN OPENSSH PRIVATE KEY" },
        { "git clone https://bob:s3cret@example.org/x.git", "url-password", "s3cret" },
        { "see /home/alice/data", "home-directory", "/home/alice/data" }, { "file:///Users/bob/x", "home-directory", "/Users/bob/x" }, { "\"/root/x\"", "home-directory", "/root/x" },
        { "C:\\Users\\carol\\x", "home-directory", "C:\\Users\\carol" }, { "\"C:\\\\Users\\\\carol\"", "home-directory", "C:\\\\Users\\\\carol" },
        { "out: /work/models/x", "local-path", "/work/models/x" },
        { "https://bob:hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789@hub/x", "url-password", "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct seen s = look(cases[i].text);
        if (!s.n) { test_failed(__FILE__, __LINE__, "nothing found in %s", cases[i].text); continue; }
        char *found = mem_strndup(cases[i].text + s.at, s.len);
        CHECK_STR(s.kind, cases[i].kind);
        CHECK_STR(found, cases[i].found);
        mem_free(found);
    }
}

TEST(examples_and_words_are_none)
{
    static const char *const texts[] = {
        "hf_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx", "hf_hub_download(repo_id)", "half_abcdefghijKLMNOPQRSTUVWXYZ0123456789", "sk-learn-and-other-things-that-have-no-digits-in-them", "task-sk-", "ghp_short", "AKIAlowercase0000000",
        "https://user:password@host/x", "https://user:${TOKEN}@host", "https://host:8080/x@y", "http://a/b:c@d", "/usr/lib/python3", "/etc/passwd", "/home/user/x", "/home/", "and/or", "a/home/alice", "https://x.org/home/alice/y",
        "/other/place", "C:\\Windows", "Note: Users", "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "//home/alice", "/home/username/data", "AIza", "", "\0" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct seen s = look(texts[i]);
        if (s.n) test_failed(__FILE__, __LINE__, "%s found in %s", s.kind, texts[i]);
    }
}

/* What would make a search that looks ahead again and again slow. */
TEST(time_grows_with_the_text_alone)
{
    static const char *const pieces[] = { "/", "=/", "://", "a://b:c", "hf_", "sk-", "-----BEGIN ", "C:\\Users", "/home/", "aws_secret_access_key=", "/a/b", " /work/x" };
    enum { BYTES = 4 << 20 };
    char *text = mem_alloc(BYTES + 1);
    static const struct secrets_rules rules = { "token-in-use", 12, is_work, NULL };
    for (size_t i = 0; i < sizeof pieces / sizeof *pieces; i++) {
        size_t n = strlen(pieces[i]);
        for (size_t at = 0; at < BYTES; at++) text[at] = pieces[i][at % n];
        struct seen s = { 0 };
        double begun = clock_seconds();
        secrets_scan(text, BYTES, &rules, on_found, &s);
        double seconds = clock_seconds() - begun;
        if (seconds > 5) test_failed(__FILE__, __LINE__, "%.1f s for 4 MB of %s", seconds, pieces[i]);
    }
    mem_free(text);
}

/* ---- .gitattributes ------------------------------------------------------------------------------------------------------------------ */

static bool tracks(const char *text, const char *path) { return attributes_track(text, strlen(text), path); }

TEST(attributes_say_what_is_large)
{
    CHECK(tracks("*.bin filter=lfs diff=lfs merge=lfs -text\n", "a/b.bin"));
    CHECK(!tracks("*.bin filter=lfs\n", "a.binary") && !tracks("# *.bin filter=lfs\n", "a.bin") && !tracks("", "a.bin"));
    CHECK(!tracks("*.bin filter=lfs\na.bin -filter\n", "a.bin") && tracks("*.bin -filter\n*.bin filter=lfs", "a.bin"));
    CHECK(tracks("data/*.txt filter=lfs\n", "data/x.txt") && !tracks("data/*.txt filter=lfs\n", "other/x.txt") && !tracks("data/*.txt filter=lfs\n", "data/a/x.txt"));
    CHECK(tracks("/x.txt filter=lfs\n", "x.txt") && tracks("data/** filter=lfs\r\n", "data/a/x.txt"));
    static const char *const names[] = { "plain.json", "a b.json", "odd [1]*.bin", "sub/dir/x?.weird", "back\\slash" };
    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, "*.zip filter=lfs");
    for (size_t i = 0; i < 5; i++) {
        CHECK(!attributes_track(text.data, text.len, names[i]));
        attributes_add(&text, names[i]);
        CHECK(attributes_track(text.data, text.len, names[i]));
    }
    CHECK(strstr(text.data, "*.zip filter=lfs\nplain.json filter=lfs diff=lfs merge=lfs -text\na[[:space:]]b.json "));
    CHECK(!attributes_track(text.data, text.len, "odd 1x.bin"));
    buf_release(&text);
}

/* ---- answers -------------------------------------------------------------------------------------------------------------------------- */

TEST(modes_of_all_files_are_needed)
{
    struct push_files f = { 0 };
    push_files_add(&f, "a")->size = 5;
    push_files_add(&f, "b")->size = 0;
    static const char good[] = "{\"files\":[{\"path\":\"b\",\"uploadMode\":\"lfs\"},{\"path\":\"x\"},{\"path\":\"a\",\"uploadMode\":\"lfs\",\"oid\":\"" SHA_A "\",\"shouldIgnore\":true}]}";
    CHECK_OK(push_parse_modes(&f, 0, 2, good, strlen(good), err));
    CHECK(f.at[0].is_lfs && f.at[0].is_ignored && !f.at[1].is_lfs && !f.at[1].is_ignored);       /* nothing that is empty is large */
    CHECK_STR(f.at[0].remote_oid, SHA_A);
    static const char *const bad[] = { "{\"files\":[{\"path\":\"a\",\"uploadMode\":\"lfs\"}]}", "{\"files\":[{\"path\":\"a\",\"uploadMode\":\"other\"},{\"path\":\"b\",\"uploadMode\":\"lfs\"}]}", "{}" };
    for (size_t i = 0; i < 3; i++) CHECK_FAILS(push_parse_modes(&f, 0, 2, bad[i], strlen(bad[i]), err), SC_E_FORMAT, "Hub");
    push_files_release(&f);
}

#define OBJECT(size, upload) "{\"objects\":[{\"oid\":\"" SHA_A "\",\"size\":" size ",\"actions\":{\"upload\":" upload "}}]}"

TEST(batches_must_hold_together)
{
    struct lfs_batch b;
    static const char parts[] = OBJECT("10", "{\"href\":\"https://s/done\",\"header\":{\"chunk_size\":\"4\",\"00002\":\"https://s/2\",\"00001\":\"https://s/1\",\"3\":\"https://s/3\"}}");
    CHECK_OK(lfs_parse_batch(&b, parts, strlen(parts), true, err));
    CHECK_INT(b.at[0].n_parts, 3);
    CHECK_STR(b.at[0].part[1], "https://s/2");
    lfs_batch_release(&b);
    static const char plain[] = OBJECT("10", "{\"href\":\"https://s/put\",\"header\":{\"X-A\":\"b\",\"Host\":\"evil\",\"X\\nB\":\"c\",\"X-C\":\"d\\r\\ne\"}}");
    CHECK_OK(lfs_parse_batch(&b, plain, strlen(plain), true, err));
    CHECK(b.at[0].n_headers == 1 && b.at[0].part_bytes == 0);
    CHECK_STR(b.at[0].header[0], "X-A: b");
    lfs_batch_release(&b);
    static const struct { const char *text, *part; } bad[] = {
        { OBJECT("10", "{\"href\":\"http://s/put\"}"), "https" }, { OBJECT("10", "{\"href\":\"https://s/a b\"}"), "address" }, { OBJECT("10", "{}"), "address" },
        { OBJECT("10", "{\"href\":\"https://s/x\",\"header\":{\"chunk_size\":\"4\",\"1\":\"https://s/1\"}}"), "parts" },
        { OBJECT("10", "{\"href\":\"https://s/x\",\"header\":{\"chunk_size\":\"0\",\"1\":\"https://s/1\"}}"), "size of its parts" },
        { OBJECT("10", "{\"href\":\"https://s/x\",\"header\":{\"chunk_size\":10,\"1\":\"file:///etc/passwd\"}}"), "parts" },
        { OBJECT("1000000000", "{\"href\":\"https://s/x\",\"header\":{\"chunk_size\":1,\"1\":\"https://s/1\"}}"), "parts" },
        { "{\"objects\":[{\"oid\":\"" SHA_A "\",\"size\":1,\"error\":{\"code\":413,\"message\":\"too \\u001b[31mlarge\"}}]}", "too \\x1B[31mlarge" },
        { "{\"objects\":[{\"oid\":\"xyz\",\"size\":1}]}", "SHA-256" }, { "{\"objects\":3}", "list" }, { "no", "large files" } };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        sc_error e = { 0 };
        CHECK(lfs_parse_batch(&b, bad[i].text, strlen(bad[i].text), true, &e) != SC_OK && b.at == NULL);
        if (!strstr(e.message, bad[i].part)) test_failed(__FILE__, __LINE__, "case %zu: %s", i, e.message);
    }
}

TEST(state_survives_and_damage_does_not)
{
    struct lfs_batch b;
    struct lfs_action a;
    sc_text text;
    static const char parts[] = OBJECT("10", "{\"href\":\"https://s/done\",\"header\":{\"chunk_size\":\"4\",\"1\":\"https://s/1\",\"2\":\"https://s/2\",\"3\":\"https://s/3\"}}");
    CHECK_OK(lfs_parse_batch(&b, parts, strlen(parts), true, err));
    b.at[0].etag[1] = mem_strdup("\"e2\"");
    lfs_state_write(&text, &b.at[0]);
    CHECK_OK(lfs_state_read(&a, text.data, text.len, true, err));
    CHECK(a.n_parts == 3 && !a.etag[0] && !a.etag[2] && a.size == 10);
    CHECK_STR(a.etag[1], "\"e2\"");
    CHECK_STR(a.part[2], "https://s/3");
    lfs_action_release(&a);
    for (size_t n = 0; n < text.len; n++) CHECK(lfs_state_read(&a, text.data, n, true, NULL) != SC_OK);
    sc_text_free(&text);
    lfs_batch_release(&b);
}

TEST(commits_are_named)
{
    struct push_commit c;
    struct push_head h;
    static const char good[] = "{\"commitOid\":\"" COMMIT "\",\"commitUrl\":\"https://h/x\",\"pullRequestUrl\":\"https://h/\\u001b\"}";
    CHECK_OK(push_parse_commit(&c, good, strlen(good), err));
    CHECK(strcmp(c.oid, COMMIT) == 0 && c.url && !c.pull_request);
    push_commit_release(&c);
    CHECK_FAILS(push_parse_commit(&c, "{}", 2, err), SC_E_FORMAT, "without naming it");
    static const char head[] = "{\"sha\":\"" COMMIT "\",\"siblings\":[{\"rfilename\":\"a\"},{\"x\":1},{\"rfilename\":\"b\"}]}";
    CHECK_OK(push_parse_head(&h, head, strlen(head), err));
    CHECK_INT(h.n, 2);
    push_head_release(&h);
    CHECK_FAILS(push_parse_head(&h, "{\"sha\":\"main\"}", 14, err), SC_E_FORMAT, "newest commit");
    char *name = push_parse_created("{\"url\":\"https://h/datasets/org/x\"}", 34, "https://h", true);
    CHECK_STR(name, "org/x");
    mem_free(name);
    CHECK(push_parse_created("{\"url\":\"https://evil/org/x\"}", 28, "https://h", false) == NULL);
}

/* ---- base64 ------------------------------------------------------------------------------------------------------------------------------- */

TEST(base64_is_that_of_the_standard)
{
    static const struct { const char *bytes, *text; } cases[] = { { "", "" }, { "f", "Zg==" }, { "fo", "Zm8=" }, { "foo", "Zm9v" }, { "foob", "Zm9vYg==" }, { "fooba", "Zm9vYmE=" }, { "foobar", "Zm9vYmFy" }, { "\xff\xfe\xfd", "//79" } };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct buf b;
        buf_init(&b, 0);
        base64_put(&b, cases[i].bytes, strlen(cases[i].bytes));
        CHECK_STR(b.data ? b.data : "", cases[i].text);
        buf_release(&b);
    }
}
