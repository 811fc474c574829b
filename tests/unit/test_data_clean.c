/* test_data_clean.c - cleaning dialogues: turns, secrets, duplicates, overlaps with evaluation sets, languages. */
#include "test.h"
#include "data/clean_internal.h"

/* A dialogue from "role:content" lines; \n within contents is written as it is. */
static struct dialogue dialogue_make(const char *messages)
{
    struct dialogue d = { .file = "file.jsonl", .line = 7 };
    json_error_t e;
    d.messages = json_loads(messages, 0, &e);
    if (!d.messages) test_failed(__FILE__, __LINE__, "%s: %s", messages, e.text);
    return d;
}

static void dialogue_drop(struct dialogue *d)
{
    json_decref(d->messages);
    json_decref(d->rejected);
    mem_free(d->text);
}

#define U(text) "{\"role\":\"user\",\"content\":\"" text "\"}"
#define A(text) "{\"role\":\"assistant\",\"content\":\"" text "\"}"
#define S(text) "{\"role\":\"system\",\"content\":\"" text "\"}"
#define T(text) "{\"role\":\"tool\",\"content\":\"" text "\"}"
#define CALL "{\"role\":\"assistant\",\"content\":\"\",\"tool_calls\":[{\"name\":\"f\",\"arguments\":\"{}\"}]}"
#define SILENT(role) "{\"role\":\"" role "\",\"content\":\" \\n\"}"

TEST(clean_turns_by_policy)
{
    static const struct { const char *in, *merged; enum drop_reason merge, drop; struct clean_notes notes; const char *error; } cases[] = {
        { "[" U("q") "," A("a") "]", "[" U("q") "," A("a") "]", KEEP, KEEP, { 0 }, NULL },
        { "[" S("s") "," U("q") "," A("a") "," U("more") "]", "[" S("s") "," U("q") "," A("a") "," U("more") "]", KEEP, KEEP, { 0 }, NULL },
        { "[" U("a") "," U("b") "," A("c") "]", "[" U("a\\n\\nb") "," A("c") "]", KEEP, DROP_ROLES, { .merged_turns = 1 }, "message 2: the same side speaks twice" },
        { "[" U("a") "," A("b") "," A("c") "," A("d") "]", "[" U("a") "," A("b\\n\\nc\\n\\nd") "]", KEEP, DROP_ROLES, { .merged_turns = 2 }, "message 3" },
        { "[" S("x") "," S("y") "," U("a") "," A("b") "]", "[" S("x\\n\\ny") "," U("a") "," A("b") "]", KEEP, DROP_ROLES, { .merged_turns = 1 }, "message 2" },
        { "[" U("a") "," SILENT("assistant") "," U("b") "," A("c") "]", "[" U("a\\n\\nb") "," A("c") "]", KEEP, DROP_EMPTY, { .merged_turns = 1, .empty_turns = 1 }, "message 2: it says nothing" },
        { "[" SILENT("system") "," U("a") "," A("c") "]", "[" U("a") "," A("c") "]", KEEP, DROP_EMPTY, { .empty_turns = 1 }, "message 1" },
        { "[" U("a") "," A("b") "," SILENT("user") "]", "[" U("a") "," A("b") "]", KEEP, DROP_EMPTY, { .empty_turns = 1 }, "message 3" },
        { "[" A("hi") "," U("a") "," A("b") "]", "[" U("a") "," A("b") "]", KEEP, DROP_ROLES, { .cut_turns = 1 }, "message 1: the assistant answers before any user" },
        { "[" S("s") "," A("hi") "," U("a") "," A("b") "]", "[" S("s") "," U("a") "," A("b") "]", KEEP, DROP_ROLES, { .cut_turns = 1 }, "message 2" },
        { "[" U("a") "," S("s") "," A("b") "]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 2: a system message may only come first" },
        { "[{\"role\":\"robot\",\"content\":\"x\"}]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 1: its role is not one of" },
        { "[{\"content\":\"x\"}]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 1: its role" },
        { "[7]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 1: its role" },
        { "[" U("a") "]", NULL, DROP_NO_ANSWER, DROP_NO_ANSWER, { 0 }, "has no answer" },
        { "[" A("a") "]", NULL, DROP_NO_ANSWER, DROP_ROLES, { .cut_turns = 1 }, "message 1" },
        { "[]", NULL, DROP_EMPTY, DROP_EMPTY, { 0 }, "has no messages" },
        { "[" SILENT("user") "," SILENT("assistant") "]", NULL, DROP_EMPTY, DROP_EMPTY, { .empty_turns = 2 }, "message 1" },
        { "[" U("a") "," CALL "," T("1") "," T("") "," A("b") "]", "[" U("a") "," CALL "," T("1") "," T("") "," A("b") "]", KEEP, KEEP, { 0 }, NULL },
        { "[" U("a") "," CALL "," A("b") "]", NULL, DROP_ROLES, DROP_ROLES, { .merged_turns = 0 }, "message 3" },
        { "[" U("a") "," T("b") "," A("c") "]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 2: a tool speaks" },
        { "[" U("a") ",{\"role\":\"assistant\",\"content\":\"b\",\"weight\":0}," A("c") "]", NULL, DROP_ROLES, DROP_ROLES, { 0 }, "message 3" },
        { "[" U("a") ",{\"role\":\"assistant\",\"content\":[1]}]", NULL, DROP_NO_ANSWER, DROP_EMPTY, { .empty_turns = 1 }, "message 2: it says nothing" },
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        for (enum turns_policy policy = TURNS_MERGE; policy <= TURNS_ERROR; policy++) {
            struct dialogue d = dialogue_make(cases[i].in), expected = dialogue_make(cases[i].merged ? cases[i].merged : "[]");
            struct clean_notes notes;
            enum drop_reason why = KEEP;
            struct clean_config c = { policy, false };
            if (policy == TURNS_ERROR && cases[i].error) {
                CHECK_FAILS(dialogue_clean(&d, &c, &notes, &why, err), SC_E_FORMAT, "file.jsonl:7: ");
                CHECK_FAILS(dialogue_clean(&d, &c, &notes, &why, err), SC_E_FORMAT, cases[i].error);
            } else {
                CHECK_OK(dialogue_clean(&d, &c, &notes, &why, err));
                enum drop_reason wanted = policy == TURNS_MERGE ? cases[i].merge : policy == TURNS_DROP ? cases[i].drop : KEEP;
                if (why != wanted) test_failed(__FILE__, __LINE__, "%s, policy %d: %s, expected %s", cases[i].in, policy, drop_names[why], drop_names[wanted]);
            }
            if (policy == TURNS_MERGE && memcmp(&notes, &cases[i].notes, sizeof notes) != 0) test_failed(__FILE__, __LINE__, "%s: other counts", cases[i].in);
            if (policy == TURNS_MERGE && why == KEEP && !json_equal(d.messages, expected.messages)) test_failed(__FILE__, __LINE__, "%s: %s", cases[i].in, json_dumps(d.messages, 0));
            dialogue_drop(&d);
            dialogue_drop(&expected);
        }
    }
}

TEST(clean_names_every_reason)
{
    for (int i = 0; i < DROP_COUNT; i++) CHECK(drop_names[i] && *drop_names[i]);
}

/* The same text with and without redaction; `out` NULL: nothing is found. */
struct redaction { const char *in, *out; };

static void redactions_check(const struct redaction *cases, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        struct buf out;
        struct clean_notes found = { 0 }, counted = { 0 };
        buf_init(&out, 0);
        text_redact(&out, &found, cases[i].in, strlen(cases[i].in));
        text_redact(NULL, &counted, cases[i].in, strlen(cases[i].in));
        const char *got = out.len ? out.data : NULL;
        if (!got != !cases[i].out || (got && strcmp(got, cases[i].out) != 0)) test_failed(__FILE__, __LINE__, "%s: %s, expected %s", cases[i].in, got ? got : "nothing", cases[i].out ? cases[i].out : "nothing");
        CHECK(memcmp(&found, &counted, sizeof found) == 0);
        CHECK((found.emails + found.ips + found.keys > 0) == (cases[i].out != NULL));
        buf_release(&out);
    }
}
#define REDACTIONS(...) do { static const struct redaction cases_[] = { __VA_ARGS__ }; redactions_check(cases_, sizeof cases_ / sizeof cases_[0]); } while (0)

TEST(redact_emails)
{
    REDACTIONS(
        { "Write to anna.berg+work@kth.se, please", "Write to <EMAIL>, please" },
        { "<jim_o@mail.tuwien.ac.at>", "<<EMAIL>>" },
        { "mailto:kim@pelican.io.", "mailto:<EMAIL>." },
        { "a1@b-c.org and a2@b-c.org", "<EMAIL> and <EMAIL>" },
        { "邮箱abc88@qq.com谢谢", "邮箱<EMAIL>谢谢" },
        { "user@example.com, jane@test.com, noreply@github.com", NULL },
        { "jane@mail.example.org jane@sub.example.co.uk", NULL },
        { "git@github.com:torvalds/linux.git", NULL },
        { "https://medium.com/@someone/post", NULL },
        { "pip install requests@2.31.0; left-pad@1.x", NULL },
        { "logo@2x.png icon@3x.jpg", NULL },
        { "y = W@self.weight + a@b.T", NULL },
        { "@app.route('/') def f(): @property", NULL },
        { "x@y @ a@ @b.com a..@b.com", NULL },
        { "ssh root@10.0.0.1 user@server", NULL });
}

TEST(redact_ip_addresses)
{
    REDACTIONS(
        { "ping 93.184.216.34 now", "ping <IP_ADDRESS> now" },
        { "http://151.101.1.69:8080/x", "http://<IP_ADDRESS>:8080/x" },
        { "from 2a00:1450:4001:81b::200e to", "from <IP_ADDRESS> to" },
        { "[2604:a880:400:d0::1234:f001]:443", "[<IP_ADDRESS>]:443" },
        { "127.0.0.1 0.0.0.0 10.1.2.3 172.20.0.1 192.168.1.1 169.254.1.1 255.255.255.0 224.0.0.1", NULL },
        { "192.0.2.7 198.51.100.8 203.0.113.9 8.8.8.8 1.1.1.1 1.2.3.4", NULL },
        { "version 4.18.0.305, OID 1.3.6.1.4.1.311, v84.0.41.47", NULL },
        { "numpy==91.26.1.100 build 91.26.1.100", NULL },
        { "see section 3.4.12.1 and 5.2.1.3", NULL },
        { "256.1.1.1 91.1.1 91.1.1.1.1 091.1.1.1 91.1.1.1a", NULL },
        { "std::vector<a::b> 12:30:45 00:1a:2b:3c:4d:5e fe80::1 ::1 2001:db8::1 face::dead", NULL },
        { "a[2001:2002:3] 2001:4860:4860::8888", NULL });
}

/* Made up for this test; split so that scanners of repositories stay calm. */
#define R20 "q7Zr2Lk9Xw4Tn8Vb3Hs6"
#define R40 R20 "Jd5Fy1Pc0Gm4Rk7Wz9Ne"

TEST(redact_keys)
{
    REDACTIONS(
        { "id AK" "IAQ7ZR2LKXW4TNVBHS ok", "id <KEY> ok" },
        { "gh" "p_" R40, "<KEY>" },
        { "gith" "ub_pat_" R40 "_" R20, "<KEY>" },
        { "key: s" "k-" R40 ".", "key: <KEY>." },
        { "s" "k-proj-" R40, "<KEY>" },
        { "xox" "b-71829304-" R20, "<KEY>" },
        { "AI" "za" R20 "Jd5Fy1Pc0Gm4Rk7", "<KEY>" },
        { "h" "f_" R20 "JdFyPcGmRkWzNe", "<KEY>" },
        { "Authorization: Bearer " R40, "Authorization: Bearer <KEY>" },
        { "ey" "JhbGciOiJIUzI1NiJ9.ey" "JpZCI6NDQyMX0x." R40, "<KEY>" },
        { "-----BEGIN RSA PRIV" "ATE KEY-----\n" R40 R40 R40 "\n-----END RSA PRIV" "ATE KEY-----\nrest", "<KEY>\nrest" },
        { "AKIAIOSFODNN7EXAMPLE", NULL },
        { "ghp_xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx sk-your-api-key-goes-in-this-place-please", NULL },
        { "if '-----BEGIN PRIVATE KEY-----' in text:", NULL },
        { "-----BEGIN PRIVATE KEY-----\n...\n-----END PRIVATE KEY-----", NULL },
        { "-----BEGIN PUBLIC KEY-----\n" R40 R40 R40 "\n-----END PUBLIC KEY-----", NULL },
        { "task-management risk-" R40, NULL },
        { "Bearer {token} Bearer of bad news", NULL });
}

TEST(redact_passwords)
{
    REDACTIONS(
        { "password = \"tR8#kq!2Zv\"", "password = \"<PASSWORD>\"" },
        { "{\"api_key\": \"" R20 "\"}", "{\"api_key\": \"<KEY>\"}" },
        { "{\\\"api_key\\\": \\\"" R20 "\\\"}", "{\\\"api_key\\\": \\\"<KEY>\\\"}" },
        { "export DB_PASSWORD=tR8kq2ZvLw9x\n", "export DB_PASSWORD=<PASSWORD>\n" },
        { "'clientSecret' => '" R20 "'", "'clientSecret' => '<KEY>'" },
        { "postgres://bob:tR8kq2Zv@db.internal/x", "postgres://bob:<PASSWORD>@db.internal/x" },
        { "password = getpass.getpass()", NULL },
        { "password = \"correct horse battery\"", NULL },
        { "password = 'password123' or 'P@ssw0rd!'", NULL },
        { "api_key = \"YOUR_API_KEY_12\" token = os.environ['TOKEN1234']", NULL },
        { "token = tokenizer.next_token(stream2, offset9)", NULL },
        { "secret_number = random.randint(1, 100)", NULL },
        { "password: ${DB_PASSWORD_2} <password1>", NULL },
        { "postgres://user:password@localhost/x ftp://bob@host/x", NULL },
        { "the password is short: abc", NULL });
}

TEST(redact_changes_a_dialogue)
{
    struct clean_config c = { TURNS_MERGE, true };
    struct clean_notes notes;
    enum drop_reason why;
    struct dialogue d = dialogue_make("[" U("I am kim@pelican.io") ",{\"role\":\"assistant\",\"content\":\"ok 93.184.216.34\",\"tool_calls\":[{\"function\":{\"arguments\":\"to=kim@pelican.io\"}}]}]");
    CHECK_OK(dialogue_clean(&d, &c, &notes, &why, err));
    CHECK_INT(notes.emails, 2);
    CHECK_INT(notes.ips, 1);
    char *text = json_dumps(d.messages, JSON_COMPACT | JSON_SORT_KEYS);
    CHECK_STR(text, "[{\"content\":\"I am <EMAIL>\",\"role\":\"user\"},{\"content\":\"ok <IP_ADDRESS>\",\"role\":\"assistant\",\"tool_calls\":[{\"function\":{\"arguments\":\"to=<EMAIL>\"}}]}]");
    free(text);
    dialogue_drop(&d);
    d = (struct dialogue) { .text = mem_strdup("mail kim@pelican.io") };
    CHECK_OK(dialogue_clean(&d, &c, &notes, &why, err));
    CHECK_STR(d.text, "mail <EMAIL>");
    dialogue_drop(&d);
    d = (struct dialogue) { .text = mem_strdup(" \n\t") };
    CHECK_OK(dialogue_clean(&d, &c, &notes, &why, err));
    CHECK_INT(why, DROP_EMPTY);
    dialogue_drop(&d);
}

static bool same_digest(const char *a, const char *b)
{
    struct dialogue x = dialogue_make(a), y = dialogue_make(b);
    uint64_t p[2], q[2];
    dialogue_digest(p, &x);
    dialogue_digest(q, &y);
    dialogue_drop(&x);
    dialogue_drop(&y);
    return p[0] == q[0] && p[1] == q[1];
}

TEST(digest_ignores_case_and_space_only)
{
    CHECK(same_digest("[" U("Hello  World") "," A("x") "]", "[" U("hello\\n\\tworld ") "," A("X") "]"));
    CHECK(same_digest("[" U("ÄRGER\\u00a0Éa") "]", "[" U("ärgeréA") "]"));
    CHECK(!same_digest("[" U("a") "," A("b") "]", "[" U("a") "," U("b") "]"));
    CHECK(!same_digest("[" U("ab") "," A("c") "]", "[" U("a") "," A("bc") "]"));
    CHECK(!same_digest("[" U("a.") "]", "[" U("a") "]"));
    CHECK(!same_digest("[" CALL "]", "[" A("") "]"));
    struct dialogue plain = { .text = (char *)"x" }, other = dialogue_make("[" U("x") "]");
    uint64_t p[2], q[2];
    dialogue_digest(p, &plain);
    dialogue_digest(q, &other);
    CHECK(p[0] != q[0]);
    dialogue_drop(&other);
}

/* Texts around the size of a block: cut anywhere, the digest is that of the whole. */
TEST(digest_of_long_text)
{
    uint64_t seen[40][2];
    for (size_t n = 0; n < 40; n++) {
        size_t len = 4080 + n;
        char *text = mem_zero(len + 2, 1), *spaced = mem_zero(2 * len + 2, 1);
        for (size_t i = 0; i < len; i++) {
            text[i] = (char)('a' + i % 23);
            spaced[2 * i] = (char)('A' + i % 23);
            spaced[2 * i + 1] = '\n';
        }
        struct dialogue a = { .text = text }, b = { .text = spaced };
        uint64_t other[2];
        dialogue_digest(seen[n], &a);
        dialogue_digest(other, &b);
        CHECK(other[0] == seen[n][0] && other[1] == seen[n][1]);
        for (size_t k = 0; k < n; k++) CHECK(seen[k][0] != seen[n][0]);
        mem_free(text);
        mem_free(spaced);
    }
}

TEST(dedup_exact)
{
    struct dedup *s = dedup_open(false);
    for (uint64_t i = 0; i < 20000; i++) CHECK_INT(dedup_check(s, (uint64_t[2]) { i % 7, i }, NULL), KEEP);
    for (uint64_t i = 0; i < 20000; i++) CHECK_INT(dedup_check(s, (uint64_t[2]) { i % 7, i }, NULL), DROP_DUPLICATE);
    CHECK_INT(dedup_check(s, (uint64_t[2]) { 0, 20001 }, NULL), KEEP);
    dedup_close(s);
}
