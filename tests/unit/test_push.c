/* test_push.c - the search for secrets, .gitattributes, the choice of files, what a Hub answers. What goes over the net is tested by
 * tests/cli/test_push.py against a hub of its own. */
#include "hub/push.h"
#include "test.h"

#include <fcntl.h>
#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

#define OF_ROOT "/" "root/"

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
    return len >= 6 && memcmp(path, "/here/", 6) == 0;
}

static struct seen look(const char *text)
{
    static const struct secrets_rules rules = { "token-in-use", 12, is_work, NULL };
    struct seen s = { 0 };
    secrets_scan(text, strlen(text), &rules, on_found, &s);
    return s;
}

#define KEY36 "0123456789abcdefghijABCDEFGHIJ012345"

#define SECRET40 "abcdefghijklmnopqrstuvwxyz0123456789+/CD"
#define HEX40 "0123456789abcdef0123456789abcdef01234567"
#define JWT "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0NTY3ODkwIn0.abcdefghij0123456789_-ABC"

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
        { "see /home/alice/data", "home-directory", "/home/alice/data" }, { "file:///Users/bob/x", "home-directory", "/Users/bob/x" }, { "\"" OF_ROOT "x\"", "home-directory", OF_ROOT "x" },
        { "C:\\Users\\carol\\x", "home-directory", "C:\\Users\\carol" }, { "\"C:\\\\Users\\\\carol\"", "home-directory", "C:\\\\Users\\\\carol" },
        { "out: /here/models/x", "local-path", "/here/models/x" },
        { "?token%3Dhf_abcdefghijKLMNOPQRSTUVWXYZ01234567", "hub-token", "hf_abcdefghijKLMNOPQRSTUVWXYZ01234567" }, { "\\u0027hf_abcdefghijKLMNOPQRSTUVWXYZ01234567\\u0027", "hub-token", "hf_abcdefghijKLMNOPQRSTUVWXYZ01234567" },
        { "glued_hf_abcdefghijKLMNOPQRSTUVWXYZ01234567", "hub-token", "hf_abcdefghijKLMNOPQRSTUVWXYZ01234567" }, { "xgithub_pat_11ABCDEFG0123456789_abcdefghij", "github-token", "github_pat_11ABCDEFG0123456789_abcdefghij" },
        { "\\u0027sk-abcdefgh01234567ABCDEFGHijklmnop", "openai-key", "sk-abcdefgh01234567ABCDEFGHijklmnop" }, { "key%3DAKIAABCDEFGH23456789", "aws-key", "AKIAABCDEFGH23456789" },
        { "\"SecretAccessKey\": \"" SECRET40 "\"", "aws-key", SECRET40 }, { "{\\\"SecretAccessKey\\\": \\\"" SECRET40 "\\\"}", "aws-key", SECRET40 }, { "secret_access_key: " SECRET40, "aws-key", SECRET40 },
        { "WANDB_API_KEY=" HEX40, "wandb-key", HEX40 }, { "glpat-abcdefghij0123456789", "gitlab-token", "glpat-abcdefghij0123456789" }, { "sk_live_abcdefgh01234567ABCDEFGH", "stripe-key", "sk_live_abcdefgh01234567ABCDEFGH" },
        { "npm_" KEY36, "npm-token", "npm_" KEY36 }, { "pypi-AgEIcHlwaS5vcmc" KEY36, "pypi-token", "pypi-AgEIcHlwaS5vcmc" KEY36 }, { "gsk_" KEY36 KEY36, "groq-key", "gsk_" KEY36 KEY36 },
        { "xai-" KEY36 KEY36, "xai-key", "xai-" KEY36 KEY36 }, { "r8_" KEY36 "x", "replicate-token", "r8_" KEY36 "x" },
        { "Bearer " JWT, "jwt", JWT }, { "PuTTY-User-Key-File-3: ssh-ed25519", "private-key", "PuTTY-User-Key-File-3" },
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
        "/other/place", "C:\\Windows", "Note: Users", "-----BEGIN PUBLIC KEY-----", "-----BEGIN CERTIFICATE-----", "//home/alice", "/home/username/data", "AIza", "", "\0",
        "xhf_abcdefghijKLMNOPQRSTUVWXYZ0123456789abcdef", "npm_config_registry", "eyJhbGciOiJIUzI1NiJ9", "eyJhbGciOiJIUzI1NiJ9.notjson.abcdefghij0123456789", "eyJ.eyJ.x", "SecretAccessKey: process.env.AWS_SECRET_ACCESS_KEY", "WANDB_API_KEY=" SECRET40,
        "PuTTY-User-Key-File-%d", "r8_register_of_a_machine_that_is_small", "sk_live_xxxxxxxxxxxxxxxxxxxxxxxx", "xai-and-other-words-that-are-longer-than-forty-characters" };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        struct seen s = look(texts[i]);
        if (s.n) test_failed(__FILE__, __LINE__, "%s found in %s", s.kind, texts[i]);
    }
}

/* What would make a search that looks ahead again and again slow. */
TEST(time_grows_with_the_text_alone)
{
    static const char *const pieces[] = { "/", "=/", "://", "a://b:c", "hf_", "sk-", "-----BEGIN ", "C:\\Users", "/home/", "aws_secret_access_key=", "/a/b", " /here/x", "hf_hf", "github_pat_", "eyJaaaaaaaaaa.", "%20eyJ", "\\u0027sk-", "wandb_api_key=0" };
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

/* In parts, with as little around each as is promised, the same is found as in one pass. */
struct all_seen { size_t base, n, at[64], len[64]; };

static bool on_each(void *user, const struct finding *f)
{
    struct all_seen *s = user;
    if (s->n < 64) { s->at[s->n] = s->base + f->at; s->len[s->n++] = f->len; }
    return true;
}

TEST(parts_find_what_the_whole_has)
{
    static const struct secrets_rules rules = { "token-in-use", 12, is_work, NULL };
    static const char *const pieces[] = { "\nhf_abcdefghijKLMNOPQRSTUVWXYZ0123456789", " " JWT, " /home/carol/x", " https://bob:s3cret@example.org", "\\u0027ghp_" KEY36, " file:///home/dave/y", " plain words" };
    enum { BYTES = 4 * SECRETS_AHEAD };
    char *text = mem_alloc(BYTES);
    struct all_seen whole = { 0 };
    for (size_t i = 0; i < BYTES; i++) text[i] = i % 7 ? 'w' : ' ';
    for (size_t i = 0, at = 100; at < BYTES - 400; i++, at += 1711) memcpy(text + at, pieces[i % 7], strlen(pieces[i % 7]));
    secrets_scan(text, BYTES, &rules, on_each, &whole);
    CHECK(whole.n > 20 && whole.n < 64);
    for (size_t step = 97; step < 3000; step += 501) {
        struct all_seen parts = { 0 };
        for (size_t next = 0; next < BYTES;) {
            size_t base = next > SECRETS_BEFORE ? next - SECRETS_BEFORE : 0, until = next + step < BYTES ? next + step : BYTES, end = until + SECRETS_AHEAD < BYTES ? until + SECRETS_AHEAD : BYTES;
            parts.base = base;
            next = base + secrets_scan_part(text + base, end - base, next - base, until - base, &rules, on_each, &parts);
        }
        CHECK(parts.n == whole.n && memcmp(parts.at, whole.at, sizeof whole.at) == 0 && memcmp(parts.len, whole.len, sizeof whole.len) == 0);
    }
    mem_free(text);
}

/* ---- the check of files ----------------------------------------------------------------------------------------------------------------- */

/* A directory with one file, listed. */
static char *list_one(struct push_files *files, sc_push_config *c, const char *name, const char *text, size_t len)
{
    char *path = path_join(test_scratch(), name);
    CHECK_OK(file_write(path, text, len, err));
    *c = (sc_push_config){ .directory = test_scratch(), .repo = "org/x" };
    CHECK_OK(push_files_read(files, c, err));
    CHECK_INT(files->n, 1);
    return path;
}

static char *long_text(size_t len)
{
    char *text = mem_alloc(len + 1);
    for (size_t i = 0; i < len; i++) text[i] = i % 64 == 63 ? '\n' : 'a';
    text[len] = 0;
    return text;
}

/* In place, as an editor that does not rename does it; the time of the file moves on. */
static void write_over(const char *path, const char *text, size_t at)
{
    int fd = open(path, O_WRONLY | O_CLOEXEC);
    struct timespec times[2] = { { 1000000000, 0 }, { 1000000000, 0 } };
    CHECK(fd >= 0 && pwrite(fd, text, strlen(text), (off_t)at) == (ssize_t)strlen(text) && futimens(fd, times) == 0);
    close(fd);
}

TEST(long_files_are_searched_to_their_end)
{
    enum { BYTES = 9 << 20 };
    static const char key[] = "\nhf_abcdefghijKLMNOPQRSTUVWXYZ0123456789\n";
    static const size_t at[] = { 0, 63, (4 << 20) - SECRETS_AHEAD - 20, (4 << 20) - 20, 5 << 20, (8 << 20) - 2 * SECRETS_AHEAD - 4096 - 7, BYTES - sizeof key };
    enum { KEYS = sizeof at / sizeof *at };
    struct push_files files;
    struct push_findings found;
    sc_push_config c;
    char *text = long_text(BYTES);
    for (int i = 1; i < KEYS; i++) memcpy(text + at[i], key, sizeof key - 1);
    char *path = list_one(&files, &c, "long.txt", text, BYTES);
    CHECK_OK(push_check(&found, &files, &c, NULL, err));
    CHECK_INT(found.n, KEYS - 1);
    for (size_t i = 0; i < found.n; i++) {
        size_t line = 2;
        for (size_t k = 0; k < at[i + 1]; k++) line += text[k] == '\n';
        CHECK_INT(found.at[i].line, line);
    }
    push_findings_release(&found);
    push_files_release(&files);
    mem_free(path);
    mem_free(text);
}

static void *cut_off(void *path)
{
    usleep(5000);
    CHECK(truncate(path, 100) == 0);
    return NULL;
}

/* Reading a mapping of it would end the process. */
TEST(a_file_that_is_cut_off_meanwhile_is_refused)
{
    enum { BYTES = 48 << 20 };
    struct push_files files;
    struct push_findings found;
    sc_push_config c;
    pthread_t thread;
    char *text = long_text(BYTES), *path = list_one(&files, &c, "events.jsonl", text, BYTES);
    CHECK(pthread_create(&thread, NULL, cut_off, path) == 0);
    CHECK_FAILS(push_check(&found, &files, &c, NULL, err), SC_E_IO, "changed while it was being pushed");
    pthread_join(thread, NULL);
    push_files_release(&files);
    mem_free(path);
    mem_free(text);
}

TEST(what_was_looked_at_is_sent)
{
    static const char secret[] = "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789";
    struct push_files files;
    struct push_findings found;
    struct buf sent;
    sc_push_config c;
    char *path = list_one(&files, &c, "a.txt", "short and harmless, long enough for a key in it\n", 48);
    CHECK_OK(push_check(&found, &files, &c, NULL, err));
    write_over(path, secret, 0);
    CHECK_OK(push_file_load(&sent, &files.at[0], err));
    CHECK(sent.len == 48 && memcmp(sent.data, "short and harmless", 18) == 0);
    buf_release(&sent);
    push_files_release(&files);
    mem_free(path);
    char *text = long_text(3 << 20);
    path = list_one(&files, &c, "a.txt", text, 3 << 20);
    CHECK_OK(push_check(&found, &files, &c, NULL, err));
    CHECK_OK(push_file_load(&sent, &files.at[0], err));
    buf_release(&sent);
    write_over(path, secret, 2 << 20);
    CHECK_FAILS(push_file_load(&sent, &files.at[0], err), SC_E_IO, "changed while it was being pushed");
    push_files_release(&files);
    mem_free(path);
    mem_free(text);
}

/* A log grows while it is pushed; what is no text is not kept, and must be what its digest was made of. */
TEST(files_may_grow_but_not_change)
{
    static const char bytes[] = "\0binary, and small";
    struct push_files files;
    struct push_findings found;
    struct buf sent;
    sc_push_config c;
    char *path = list_one(&files, &c, "a.bin", bytes, sizeof bytes);
    CHECK_OK(push_check(&found, &files, &c, NULL, err));
    CHECK_OK(push_file_digest(&files.at[0], err));
    write_over(path, "more", sizeof bytes);
    CHECK_OK(push_file_load(&sent, &files.at[0], err));
    CHECK_INT(sent.len, sizeof bytes);
    buf_release(&sent);
    write_over(path, "other", 3);
    CHECK_FAILS(push_file_load(&sent, &files.at[0], err), SC_E_IO, "changed while it was being pushed");
    push_files_release(&files);
    mem_free(path);
}

/* ---- names instead of places ---------------------------------------------------------------------------------------------------------- */

static double name_places(const char *home, const char *text, size_t len)
{
    sc_push_config c;
    struct push p = { .config = &c, .home = mem_strdup(home) };
    char *path = list_one(&p.files, &c, "a.txt", text, len);
    double begun = clock_seconds();
    CHECK_OK(push_name_places(&p, err));
    begun = clock_seconds() - begun;
    CHECK(!p.files.at[0].has_content);                       /* nothing there has a name */
    push_files_release(&p.files);
    mem_free(p.home);
    mem_free(path);
    return begun;
}

/* Each hit of one place must not mean a search for the other through all the rest. */
TEST(time_to_name_places_grows_with_the_text_alone)
{
    enum { BYTES = 7 << 20, STEP = 128 };
    CHECK(setenv("HF_HUB_CACHE", "/q", 1) == 0);
    char *text = long_text(BYTES);
    for (size_t at = 0; at + STEP < BYTES; at += STEP) memcpy(text + at, "/h/models/x ", 12);
    double seconds = name_places("/h", text, BYTES);
    if (seconds > 5) test_failed(__FILE__, __LINE__, "%.1f s for 7 MB", seconds);
    mem_free(text);
}

/* What stands behind a place that fills all that is looked at is not read. */
TEST(long_places_are_left_alone)
{
    char place[601];
    memset(place, 'p', 600);
    place[0] = '/';
    place[600] = 0;
    CHECK(setenv("HF_HUB_CACHE", place, 1) == 0);
    struct buf text;
    buf_init(&text, 0);
    buf_printf(&text, "%s/models--org--name/snapshots/abc %s/models/x", place, place);
    (void)name_places(place, text.data, text.len);
    buf_release(&text);
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
