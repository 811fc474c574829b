/* test_judge_run.c - what asking judges stands on: addresses and keys, answers and refusals of servers, the cache that processes share, budgets, ends of answers, trick questions. */
#include "test.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "judge/judge_run.h"

#define NEAR(found, expected, room) CHECK(fabs((found) - (expected)) <= (room))

/* ---- addresses -------------------------------------------------------------------------------------------------------------------------------- */

TEST(addresses)
{
    struct endpoint e;
    CHECK_OK(endpoint_open(&e, "http://127.0.0.1:8080/v1/#org/model#2", err));
    CHECK_STR(e.address, "http://127.0.0.1:8080/v1/chat/completions");
    CHECK_STR(e.origin, "http://127.0.0.1:8080");
    CHECK_STR(e.name, "org/model#2");
    CHECK(e.is_loopback);
    endpoint_release(&e);
    CHECK_OK(endpoint_open(&e, "https://api.example.com/v1/chat/completions#m", err));
    CHECK_STR(e.base, "https://api.example.com/v1");
    CHECK(!e.is_loopback);
    endpoint_release(&e);
    CHECK_OK(endpoint_open(&e, "http://[::1]:1/v1#m", err));
    CHECK(e.is_loopback);
    endpoint_release(&e);
    CHECK_OK(endpoint_open(&e, "http://127.evil.example/v1#m", err));
    CHECK(!e.is_loopback);
    endpoint_release(&e);
    CHECK_FAILS(endpoint_open(&e, "http://127.0.0.1:8080/v1", err), SC_E_ARGUMENT, "expected URL#NAME");
    CHECK_FAILS(endpoint_open(&e, "https://me:secret@host/v1#m", err), SC_E_ARGUMENT, "has a password or a query in it");
    CHECK_FAILS(endpoint_open(&e, "https://host/v1?key=secret#m", err), SC_E_ARGUMENT, "has a password or a query in it");
    CHECK_FAILS(endpoint_open(&e, "http://#m", err), SC_E_ARGUMENT, "is no http or https address");
}

TEST(hides_the_key)
{
    struct endpoint e = { .base = "https://h/v1", .name = "m", .key = "sk-abcdef" };
    sc_error err = { 0 };
    const char *body = "{\"error\":{\"message\":\"Incorrect API key provided: sk-abcdef, sk-abcdefsk-abcdef.\"}}";
    CHECK_INT(reply_refusal(&e, 401, body, strlen(body), NULL, &err), SC_E_PEER);
    CHECK(!strstr(err.message, "sk-") && strstr(err.message, "Incorrect API key provided: ***, ******") && strstr(err.message, "--key-env"));
}

/* ---- what servers say ----------------------------------------------------------------------------------------------------------------------------- */

TEST(answers_of_servers)
{
    struct reply r;
    const char *good = "{\"choices\":[{\"message\":{\"content\":\"8 7\"},\"finish_reason\":\"stop\",\"logprobs\":{\"content\":[{\"token\":\"m\",\"logprob\":-0.5,\"top_logprobs\":[{\"token\":\"M\",\"logprob\":-1}]}]}}],"
                       "\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}";
    CHECK_OK(reply_read(&r, good, strlen(good), err));
    CHECK_STR(r.text, "8 7");
    CHECK_STR(r.finish, "stop");
    CHECK_INT(r.tokens_in, 5);
    CHECK_INT(r.tokens_out, 2);
    NEAR(json_number_value(json_object_get(r.logprobs, "M")), -1, 0);
    NEAR(json_number_value(json_object_get(r.logprobs, "m")), -0.5, 0);
    reply_release(&r);
    const char *parts = "{\"choices\":[{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":\"text\",\"text\":\"b\"}]}}]}";
    CHECK_OK(reply_read(&r, parts, strlen(parts), err));
    CHECK_STR(r.text, "ab");
    CHECK_INT(r.tokens_in, -1);
    reply_release(&r);
    const char *refusal = "{\"choices\":[{\"message\":{\"content\":null,\"refusal\":\"no\"},\"finish_reason\":\"stop\"}]}";
    CHECK_OK(reply_read(&r, refusal, strlen(refusal), err));
    CHECK_STR(r.text, "no");
    reply_release(&r);
    const char *useless = "{\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":2}}";
    CHECK(reply_read(&r, useless, strlen(useless), NULL) == SC_E_FORMAT && !r.text);
    CHECK_INT(r.tokens_out, 2);                                /* it was paid */
    static const char *const bad[] = { "", "{", "{\"choices\":[]}", "{\"choices\":[{\"message\":{}}]}", "<html>", "{\"error\":{\"message\":\"x\"}}", "{\"choices\":[{\"message\":{\"content\":5}}]}" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) CHECK_FAILS(reply_read(&r, bad[i], strlen(bad[i]), err), SC_E_FORMAT, "the answer is");
    for (size_t n = 1; n < strlen(good); n++) CHECK(reply_read(&r, good, n, NULL) == SC_E_FORMAT);       /* cut anywhere */
}

TEST(refusals_name_the_remedy)
{
    struct endpoint e = { .base = "https://h/v1", .name = "m" };
    static const struct { long status; const char *body, *part; } rows[] = {
        { 400, "{\"error\":{\"message\":\"Unsupported parameter: 'max_tokens'. Use 'max_completion_tokens' instead.\"}}", "--max-tokens-name max_completion_tokens" },
        { 400, "{\"error\":{\"message\":\"'temperature' does not support 0.2\"}}", "--omit temperature" },
        { 422, "{\"detail\":\"top_k: extra inputs\"}", "--omit top_k" },
        { 404, "{\"error\":\"no model\"}", "no such model as \"m\"" },
        { 401, "", "no key was sent" },
        { 307, "", "where nothing is sent" },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        sc_error err = { 0 };
        CHECK_INT(reply_refusal(&e, rows[i].status, rows[i].body, strlen(rows[i].body), "http://other/", &err), SC_E_PEER);
        if (!strstr(err.message, rows[i].part)) test_failed(__FILE__, __LINE__, "%s lacks %s", err.message, rows[i].part);
    }
    CHECK(reply_is_passing(429) && reply_is_passing(408) && reply_is_passing(409) && reply_is_passing(500) && reply_is_passing(503));
    CHECK(!reply_is_passing(400) && !reply_is_passing(401) && !reply_is_passing(403) && !reply_is_passing(404));
}

/* ---- cache ---------------------------------------------------------------------------------------------------------------------------------------------- */

static char *cache_path(void) { return path_join(test_scratch(), "deeper/judge.sqlite"); }

TEST(cache_keeps)
{
    struct cache c;
    struct reply r = { .text = "é\n", .finish = "stop", .tokens_in = 3, .tokens_out = -1, .seconds = 0.5 }, found;
    char key[65], other[65], *path = cache_path();
    bool is_there;
    r.logprobs = json_pack("{s:f}", "m", -0.25);
    cache_key(key, "http://h", "m", "{}");
    cache_key(other, "http://hm", "", "{}");
    CHECK(strcmp(key, other) != 0);
    CHECK_OK(cache_open(&c, path, err));
    CHECK_OK(cache_find(&is_there, &found, &c, key, err));
    CHECK(!is_there);
    CHECK_OK(cache_put(&c, key, "http://h", "m", &r, err));
    r.text = "second";
    CHECK_OK(cache_put(&c, key, "http://h", "m", &r, err));            /* the first stays */
    cache_close(&c);
    CHECK_OK(cache_open(&c, path, err));
    CHECK_OK(cache_find(&is_there, &found, &c, key, err));
    CHECK(is_there && found.is_kept);
    CHECK_STR(found.text, "é\n");
    CHECK_INT(found.tokens_in, 3);
    CHECK_INT(found.tokens_out, -1);
    NEAR(json_number_value(json_object_get(found.logprobs, "m")), -0.25, 0);
    reply_release(&found);
    CHECK_OK(cache_find(&is_there, &found, &c, other, err));
    CHECK(!is_there);
    cache_close(&c);
    json_decref(r.logprobs);
    mem_free(path);
}

TEST(cache_refuses_other_files)
{
    struct cache c;
    char *path = path_join(test_scratch(), "x");
    sqlite3 *db;
    CHECK_OK(file_write(path, "this is not a database, is it? no", 33, err));
    CHECK_FAILS(cache_open(&c, path, err), SC_E_FORMAT, "name another with --cache");
    unlink(path);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, "PRAGMA application_id = 7; CREATE TABLE t(x)", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    CHECK_FAILS(cache_open(&c, path, err), SC_E_FORMAT, "a database of another program");
    unlink(path);
    CHECK(sqlite3_open(path, &db) == SQLITE_OK && sqlite3_exec(db, "CREATE TABLE t(x); INSERT INTO t VALUES(1)", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    sc_text before, after;
    CHECK_OK(file_read(&before, path, 1 << 20, err));
    CHECK_FAILS(cache_open(&c, path, err), SC_E_FORMAT, "a database of another program");       /* most programs set no mark */
    CHECK_OK(file_read(&after, path, 1 << 20, err));
    CHECK(before.len == after.len && !memcmp(before.data, after.data, before.len));
    sc_text_free(&before);
    sc_text_free(&after);
    unlink(path);
    CHECK_OK(file_write(path, "", 0, err));                    /* an empty one is nobody's */
    CHECK_OK(cache_open(&c, path, err));
    cache_close(&c);
    CHECK_OK(cache_open(&c, path, err));
    cache_close(&c);
    mem_free(path);
}

/* ---- refusals ----------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status count_refusal(void *user, void *item, const char *why, sc_error *err)
{
    (void)err;
    CHECK(!strcmp(why, "too long"));
    *(size_t *)user += (size_t)item == 7;
    return SC_OK;
}

/* Whose fault a refusal is shows by what else is answered. */
TEST(refusals_wait_for_an_answer)
{
    size_t n = 0;
    struct talk t = { 0 };
    struct asker a = { NULL, NULL, count_refusal, &n };
    sc_error why = { .status = SC_E_PEER, .message = "too long" }, err = { 0 };
    struct refusals r = { .t = &t, .asker = &a, .most_in_a_row = 3 };
    CHECK(refusals_add(&r, (void *)7, &why, &err) == SC_OK && refusals_add(&r, (void *)7, &why, &err) == SC_OK && n == 0);
    CHECK(refusals_answered(&r, true, &err) == SC_OK && n == 2);       /* from the cache: requests of this kind were answered once */
    CHECK(refusals_add(&r, (void *)7, &why, &err) == SC_E_PEER && n == 3);
    CHECK_STR(err.message, "3 requests in a row were refused, the last: too long");
    CHECK(refusals_answered(&r, false, &err) == SC_OK && refusals_add(&r, (void *)7, &why, &err) == SC_OK && n == 4);
    CHECK_STR(t.refusal.message, "too long");
    CHECK(refusals_end(&r, &err) == SC_OK);
    struct talk other = { 0 };
    r = (struct refusals){ .t = &other, .asker = &a };
    CHECK(refusals_add(&r, (void *)7, &why, &err) == SC_OK);
    CHECK(refusals_end(&r, &err) == SC_E_PEER && n == 4);              /* nothing was answered: not this request's fault */
    CHECK_STR(err.message, "nothing was answered, 1 refused, the last: too long");
}

enum { PROCESSES = 6, ANSWERS = 60 };
/* All open it at once, and each key is claimed by one of them, who answers it. */
static int share(const char *path, int process)
{
    struct cache c;
    struct reply r = { .text = "", .finish = "stop", .seconds = process }, found;
    sc_error err = { 0 };
    int paid = 0;
    if (cache_open(&c, path, &err) != SC_OK) return 200;
    for (int i = 0; i < ANSWERS;) {
        char request[32], key[65];
        bool is_there;
        snprintf(request, sizeof request, "{\"n\":%d}", (i * 7 + process * 11) % ANSWERS);
        cache_key(key, "w", "m", request);
        if (!cache_claim(&c, key)) { usleep(200); continue; }
        if (cache_find(&is_there, &found, &c, key, &err) != SC_OK) return 201;
        if (is_there) reply_release(&found);
        else {
            usleep(300);
            paid++;
            r.text = request;
            if (cache_put(&c, key, "w", "m", &r, &err) != SC_OK) return 202;
        }
        cache_unclaim(&c, key);
        i++;
    }
    cache_close(&c);
    return paid;
}

TEST(cache_is_shared)
{
    char *path = cache_path();
    pid_t child[PROCESSES];
    int paid = 0;
    for (int i = 0; i < PROCESSES; i++)
        if (!(child[i] = fork())) _exit(share(path, i));
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        waitpid(child[i], &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) < 200);
        paid += WEXITSTATUS(status);
    }
    CHECK_INT(paid, ANSWERS);                                  /* each once, by whoever was first */
    mem_free(path);
}

/* Who dies lets go of what it claimed. */
TEST(claims_end_with_their_process)
{
    char *path = cache_path(), key[65];
    int ready[2];
    char byte;
    struct cache c;
    CHECK(pipe(ready) == 0);
    cache_key(key, "w", "m", "{}");
    CHECK_OK(cache_open(&c, path, err));
    pid_t child = fork();
    if (!child) {
        struct cache own;
        if (cache_open(&own, path, NULL) != SC_OK || !cache_claim(&own, key) || write(ready[1], "x", 1) != 1) _exit(1);
        pause();
    }
    CHECK(read(ready[0], &byte, 1) == 1);
    CHECK(!cache_claim(&c, key));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    CHECK(cache_claim(&c, key));
    cache_close(&c);
    mem_free(path);
}

/* ---- budget ------------------------------------------------------------------------------------------------------------------------------------------- */

TEST(budget_holds_with_many_on_their_way)
{
    struct budget b = { .most_calls = 2 };
    double reserved[3];
    CHECK(budget_reserve(&b, &reserved[0], 300, 100) && budget_reserve(&b, &reserved[1], 300, 100) && !budget_reserve(&b, &reserved[2], 300, 100));
    budget_settle(&b, reserved[0], 300, NULL);                 /* no answer came: the call is free again */
    CHECK(budget_reserve(&b, &reserved[0], 300, 100));
    b = (struct budget){ .most_cost = 1, .price_in = 1000, .price_out = 10000 };
    CHECK(budget_reserve(&b, &reserved[0], 100, 40));          /* a token a byte: 0.1 + 0.4 */
    CHECK(budget_reserve(&b, &reserved[1], 100, 40) && !budget_reserve(&b, &reserved[2], 3, 1));
    struct reply r = { .text = "12345678", .tokens_in = 90, .tokens_out = -1 };
    budget_settle(&b, reserved[0], 300, &r);
    NEAR(b.cost, (90 * 1000.0 + 2 * 10000) / 1e6, 1e-12);      /* eight characters are two tokens */
    CHECK(budget_reserve(&b, &reserved[0], 100, 20));
    CHECK_INT(b.calls, 1);
    struct reply nothing = { .tokens_in = -1, .tokens_out = 7 };      /* paid, and of no use */
    budget_settle(&b, reserved[0], 400, &nothing);
    CHECK_INT(b.calls, 2);
    CHECK_INT(b.tokens_in, 190);
    CHECK_INT(b.tokens_out, 9);
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------------------------------------- */

TEST(answers_end_at_markers)
{
    static const struct { const char *text, *kept; bool leaked; } rows[] = {
        { "plain\n", "plain", false },
        { "x = 1<|end|>\n<|user|>\nmore", "x = 1", true },
        { "a\nHuman: b", "a", true },
        { "say Human: b", "say Human: b", false },
        { "```\nHuman: in code\n```\ndone", "```\nHuman: in code\n```\ndone", false },
        { "```\nHuman: in code\n```\n\nHuman: b", "```\nHuman: in code\n```", true },
        { "a  \n<|endoftext|>", "a", true },
        { "<|assistant|>x", "", true },
        { "", "", false },
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        bool leaked;
        char *kept = mem_strndup(rows[i].text, answer_end(rows[i].text, strlen(rows[i].text), &leaked));
        CHECK_STR(kept, rows[i].kept);
        CHECK_INT(leaked, rows[i].leaked);
        mem_free(kept);
    }
}

/* ---- trick questions and the plan ---------------------------------------------------------------------------------------------------------------------------- */

static struct judge_prompts prompts_of(size_t n)
{
    struct judge_prompts p = { mem_zero(n, sizeof *p.at), n };
    for (size_t i = 0; i < n; i++) {
        char text[40];
        snprintf(text, sizeof text, "p%zu", i);
        p.at[i] = (struct judge_prompt){ .id = mem_strdup(text), .turn = mem_alloc(sizeof(char *)), .n_turns = 1 };
        p.at[i].turn[0] = mem_strdup("question");
    }
    return p;
}

static void answers_of(struct judge_answers *a, const struct judge_prompts *p, const char *model)
{
    a->at = mem_grow(a->at, (a->n + p->n) * sizeof *a->at);
    for (size_t i = 0; i < p->n; i++) {
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "%s answers %s: ", model, p->at[i].id);
        for (int k = 0; k < 60; k++) buf_puts(&b, "ü ");
        struct judge_answer one = { .id = mem_strdup(p->at[i].id), .model = mem_strdup(model), .turn = mem_alloc(sizeof(char *)), .n_turns = 1 };
        one.turn[0] = b.data;
        a->at[a->n++] = one;
    }
}

TEST(canaries_are_spoilt)
{
    struct judge_prompts p = prompts_of(12);
    struct judge_answers a = { 0 };
    struct canaries c, again;
    int kinds[4] = { 0 }, slots[2] = { 0 };
    answers_of(&a, &p, "m");
    answers_of(&a, &p, "n");
    canaries_make(&c, &p, &a, true, true, 6, 3);
    canaries_make(&again, &p, &a, true, true, 6, 3);
    CHECK_INT(c.n, 24);
    for (size_t i = 0; i < c.n; i++) {
        const struct canary *k = &c.at[i];
        const char *good = k->good->turn[0], *bad = k->bad.turn[0];
        CHECK_STR(again.at[i].bad.turn[0], bad);
        CHECK_STR(k->good->id, p.at[k->prompt].id);
        slots[k->slot]++;
        if (!strcmp(k->kind, "mismatched")) CHECK((kinds[0]++, strcmp(good, bad) != 0 && strstr(bad, k->good->model)));
        else if (!strcmp(k->kind, "empty")) CHECK((kinds[1]++, !*bad));
        else if (!strcmp(k->kind, "truncated")) CHECK((kinds[2]++, strlen(bad) < strlen(good) / 3 && !strncmp(good, bad, strlen(bad)) && utf8_is_valid(bad, strlen(bad))));
        else if (!strcmp(k->kind, "identical")) CHECK((kinds[3]++, !strcmp(good, bad)));
    }
    for (int i = 0; i < 4; i++) CHECK_INT(kinds[i], 6);
    CHECK_INT(slots[0], 12);
    canaries_release(&c);
    canaries_release(&again);
    canaries_make(&c, &p, &a, false, false, 6, 3);
    CHECK_INT(c.n, 18);                                        /* of single answers no identical pair */
    canaries_release(&c);
    judge_answers_release(&a);
    judge_prompts_release(&p);
}

/* Round robin or one baseline, both ways round or one; each question has a key of its own. */
TEST(plan_of_questions)
{
    struct judge_prompts p = prompts_of(10);
    struct judge_answers a = { 0 };
    struct judge_protocol *protocol;
    char *names[] = { "m", "n", "o" };
    sc_judge_config c;
    struct questions q;
    sc_options_defaults(&judge_options, &c);
    CHECK_OK(judge_protocol_open(&protocol, "starchat", err));
    for (size_t i = 0; i < 3; i++) answers_of(&a, &p, names[i]);
    questions_make(&q, protocol, &p, &a, names, 3, &c);
    CHECK_INT(q.n, 3 * 10 * 2 + 4 * 8);
    json_t *keys = json_object();
    for (size_t i = 0; i < q.n; i++) {
        char *key = question_key(&q.at[i], &p, "judge");
        CHECK(!json_object_get(keys, key));
        json_object_set_new(keys, key, json_true());
        mem_free(key);
    }
    json_decref(keys);
    questions_release(&q);
    c.baseline = "m";
    c.canaries = 0;
    c.one_order = true;
    questions_make(&q, protocol, &p, &a, names, 3, &c);
    CHECK_INT(q.n, 2 * 10);
    size_t base_first = 0;
    for (size_t i = 0; i < q.n; i++) base_first += !strcmp(q.at[i].a->model, "m");
    CHECK(base_first >= 4 && base_first <= 16);                /* drawn */
    questions_release(&q);
    judge_protocol_close(protocol);
    judge_answers_release(&a);
    judge_prompts_release(&p);
}

/* ---- the directory --------------------------------------------------------------------------------------------------------------------------------------------- */

TEST(a_torn_line_is_cut_off)
{
    char *directory = path_join(test_scratch(), "run"), *lines = path_join(directory, "judgements.jsonl");
    json_t *settings = json_pack("{s:i, s:s}", "seed", 1, "protocol", "starchat"), *other = json_pack("{s:i, s:s}", "seed", 2, "protocol", "starchat"), *run = json_pack("{s:O}", "settings", settings);
    struct run_files f, second;
    CHECK_OK(run_files_open(&f, directory, settings, false, err));
    CHECK_FAILS(run_files_open(&second, directory, settings, false, err), SC_E_ARGUMENT, "another process is writing");
    CHECK_OK(run_files_write(&f, "run.json", run, err));
    CHECK_OK(run_files_put(&f, json_pack("{s:s}", "key", "one"), err));
    CHECK_OK(run_files_put(&f, json_pack("{s:s, s:s}", "key", "two", "error", "no verdict"), err));
    run_files_close(&f);
    int fd = open(lines, O_WRONLY | O_APPEND);
    CHECK(fd >= 0 && write(fd, "{\"key\":\"thr", 11) == 11);
    close(fd);
    CHECK_OK(run_files_open(&f, directory, settings, false, err));
    CHECK_INT(json_object_size(f.done), 2);
    CHECK(json_is_true(json_object_get(f.done, "one")) && json_is_false(json_object_get(f.done, "two")));
    CHECK_OK(run_files_put(&f, json_pack("{s:s}", "key", "three"), err));
    run_files_close(&f);
    sc_text text;
    CHECK_OK(file_read(&text, lines, 10000, err));
    CHECK_STR(text.data, "{\"key\":\"one\"}\n{\"key\":\"two\",\"error\":\"no verdict\"}\n{\"key\":\"three\"}\n");
    sc_text_free(&text);
    CHECK_FAILS(run_files_open(&f, directory, other, false, err), SC_E_ARGUMENT, "seed is 1 there and 2 here");
    CHECK_OK(run_files_open(&f, directory, other, true, err));
    CHECK_INT(json_object_size(f.done), 0);
    run_files_close(&f);
    json_decref(settings);
    json_decref(other);
    json_decref(run);
    mem_free(directory);
    mem_free(lines);
}
