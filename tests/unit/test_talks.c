/* test_talks.c - conversations: the tree, the file that several processes share, what is searched, and what happens to
 * damaged files. */
#include "talks_fixture.h"

#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the tree ------------------------------------------------------------------------------------------------------------------ */

TEST(talks_keep_a_tree)
{
    sc_talks *t = open_talks(home_file("a/b"));
    json_t *k = create(t, "{\"model\":\"m\",\"system\":\"be brief\",\"settings\":{\"temperature\":0.5}}");
    const char *id = str(k, "id");
    CHECK_INT(strlen(id), 22);
    CHECK(talk_id_is_valid(id));
    CHECK(json_is_null(json_object_get(k, "leaf")) && json_array_size(json_object_get(k, "messages")) == 0);
    char *u1 = add(t, id, NULL, "user", "  first line\nsecond"), *a1 = add(t, id, u1, "assistant", "one"), *a2 = add(t, id, u1, "assistant", "two");
    char *u2 = add(t, id, a1, "user", "more");
    json_t *all = get(t, id);
    CHECK_STR(str(all, "title"), "first line");
    CHECK_STR(str(all, "leaf"), u2);
    CHECK_INT(json_array_size(json_object_get(all, "messages")), 4);
    CHECK_STR(str(message(all, 0), "content"), "  first line\nsecond");
    CHECK(json_is_null(json_object_get(message(all, 0), "parent")));
    CHECK_STR(str(message(all, 2), "parent"), u1);
    CHECK_STR(str(message(all, 3), "parent"), a1);
    CHECK_STR(str(message(all, 1), "status"), "done");
    CHECK(!json_object_get(message(all, 1), "error"));
    CHECK(json_number_value(json_object_get(all, "updated")) > 1.7e9);
    CHECK(json_real_value(json_object_get(json_object_get(all, "settings"), "temperature")) == 0.5);
    CHECK_STR(path(t, id, NULL), "s:be brief|u:  first line\nsecond|a:one|u:more");
    CHECK_STR(path(t, id, a2), "s:be brief|u:  first line\nsecond|a:two");
    sc_text json;
    char fields[128];
    snprintf(fields, sizeof fields, "{\"leaf\":\"%s\",\"title\":\" new\\ntitle \",\"system\":null}", a2);
    CHECK_OK(sc_talks_update(&json, t, id, fields, err));
    json_t *changed = tree(&json);
    CHECK_STR(str(changed, "title"), "new title");
    CHECK_STR(str(changed, "leaf"), a2);
    CHECK(!json_object_get(changed, "messages"));
    CHECK_STR(path(t, id, NULL), "u:  first line\nsecond|a:two");
    CHECK_OK(sc_talks_message_get(&json, t, a2, err));
    json_t *one = tree(&json);
    CHECK_STR(str(one, "conversation"), id);
    CHECK_STR(str(one, "content"), "two");
    CHECK_OK(sc_talks_delete(t, id, err));
    CHECK_FAILS(sc_talks_get(&json, t, id, err), SC_E_ARGUMENT, "there is no conversation");
    CHECK_FAILS(sc_talks_delete(t, id, err), SC_E_ARGUMENT, "there is no conversation");
    CHECK_FAILS(sc_talks_message_get(&json, t, a2, err), SC_E_ARGUMENT, "there is no message");
    CHECK_STR(titles(t, "second"), "");
    sc_talks_close(t);
}

TEST(talks_files_are_private)
{
    static const char *const names[] = { "h/conversations.db", "h/conversations.db-wal", "h/conversations.db-shm", "h/conversations.lock" };
    struct stat st;
    umask(0);
    sc_talks *t = open_talks(home_file("h"));
    create(t, NULL);
    for (size_t i = 0; i < 4; i++) CHECK(stat(home_file(names[i]), &st) == 0 && (st.st_mode & 0777) == 0600);
    CHECK(stat(home_file("h"), &st) == 0 && (st.st_mode & 0777) == 0700);
    sc_talks_close(t);
    CHECK(chmod(home_file(names[0]), 0644) == 0);
    sc_talks_close(open_talks(home_file("h")));
    CHECK(stat(home_file(names[0]), &st) == 0 && (st.st_mode & 0777) == 0600);
}

TEST(talks_refuse_what_makes_no_sense)
{
    sc_text json;
    sc_talks *t = open_talks(test_scratch());
    const char *a = str(create(t, NULL), "id"), *b = str(create(t, NULL), "id");
    char *u = add(t, a, NULL, "user", "hi"), *answer = add(t, a, u, "assistant", "ho");
    CHECK_FAILS(sc_talks_create(&json, t, "[]", err), SC_E_ARGUMENT, "no JSON object");
    CHECK_FAILS(sc_talks_create(&json, t, "{", err), SC_E_ARGUMENT, "not valid JSON");
    CHECK_FAILS(sc_talks_create(&json, t, "{\"colour\":1}", err), SC_E_ARGUMENT, "\"colour\"");
    CHECK_FAILS(sc_talks_create(&json, t, "{\"settings\":[]}", err), SC_E_ARGUMENT, "settings");
    CHECK_FAILS(sc_talks_create(&json, t, "{\"model\":3}", err), SC_E_ARGUMENT, "model");
    CHECK_FAILS(sc_talks_update(&json, t, b, "{\"leaf\":\"nothing\"}", err), SC_E_ARGUMENT, "no message \"nothing\" in this conversation");
    CHECK_FAILS(sc_talks_add(&json, t, b, &(sc_talks_message){ .parent = u, .role = "user" }, err), SC_E_ARGUMENT, "in this conversation");
    CHECK_FAILS(sc_talks_add(&json, t, a, &(sc_talks_message){ .parent = u, .role = "tool" }, err), SC_E_ARGUMENT, "\"tool\"");
    CHECK_FAILS(sc_talks_add(&json, t, a, &(sc_talks_message){ .role = "assistant" }, err), SC_E_ARGUMENT, "parent of an answer is missing");
    CHECK_FAILS(sc_talks_add(&json, t, a, &(sc_talks_message){ .parent = answer, .role = "assistant" }, err), SC_E_ARGUMENT, "is an answer");
    CHECK_FAILS(sc_talks_add(&json, t, a, &(sc_talks_message){ .parent = u, .role = "assistant", .status = "odd" }, err), SC_E_ARGUMENT, "\"odd\"");
    CHECK_FAILS(sc_talks_add(&json, t, a, &(sc_talks_message){ .parent = u, .role = "assistant", .stats = "1" }, err), SC_E_ARGUMENT, "stats");
    CHECK_FAILS(sc_talks_answer_write(t, answer, "x", 1, "done", NULL, NULL, err), SC_E_ARGUMENT, "there is no message");
    CHECK_FAILS(sc_talks_answer_continue(&json, t, u, err), SC_E_ARGUMENT, "only an answer");
    CHECK_FAILS(sc_talks_list(&json, t, NULL, -1, 0, err), SC_E_ARGUMENT, "limit");
    CHECK_FAILS(sc_talks_export(&json, t, NULL, "markdown", err), SC_E_ARGUMENT, "one conversation");
    sc_talks_close(t);
    CHECK_FAILS(sc_talks_open(&t, "", err), SC_E_ARGUMENT, "no directory");
}

TEST(talks_repair_texts)
{
    sc_text json;
    sc_talks *t = open_talks(test_scratch());
    const char *id = str(create(t, "{\"system\":\"a\\u0000b\"}"), "id");
    CHECK_OK(sc_talks_add(&json, t, id, &(sc_talks_message){ .role = "user", .content = "x\0y\xffz\0", .len = 6 }, err));
    CHECK_STR(str(tree(&json), "content"), "x\xef\xbf\xbdy\xef\xbf\xbdz\xef\xbf\xbd");
    CHECK_STR(path(t, id, NULL), "s:a\xef\xbf\xbd" "b|u:x\xef\xbf\xbdy\xef\xbf\xbdz\xef\xbf\xbd");
    sc_talks_close(t);
}

TEST(talks_path_joins_neighbours)
{
    sc_talks *t = open_talks(test_scratch());
    const char *id = str(create(t, NULL), "id");
    char *u = add(t, id, NULL, "user", "a"), *failed = add_as(t, id, u, "assistant", "", "error"), *v = add(t, id, failed, "user", "b");
    CHECK_STR(path(t, id, NULL), "u:a\n\nb");
    sc_talks_path p;
    CHECK_OK(sc_talks_path_get(&p, t, id, NULL, err));
    CHECK_STR(p.id[0], v);
    sc_talks_path_free(&p);
    CHECK_FAILS(sc_talks_path_get(&p, t, id, "none", err), SC_E_ARGUMENT, "there is no message");
    sc_talks_close(t);
}

/* ---- lists and search -------------------------------------------------------------------------------------------------------------- */

TEST(talks_are_found)
{
    sc_talks *t = open_talks(test_scratch());
    talk_about(t, "Caf\xc3\xa9 prices", "an espresso costs a lot of money in\nVenice");
    talk_about(t, "C++ templates", "use std::vector_of_things, 100% sure");
    talk_about(t, "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c", "hello world");
    talk_about(t, "nothing", "SELECT \"quoted\" AND OR NOT NEAR(x)");
    CHECK_STR(titles(t, NULL), "nothing,\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c,C++ templates,Caf\xc3\xa9 prices");
    CHECK_STR(titles(t, " "), titles(t, NULL));
    CHECK_STR(titles(t, "CAFE"), "Caf\xc3\xa9 prices");
    CHECK_STR(titles(t, "espre venic"), "Caf\xc3\xa9 prices");
    CHECK_STR(titles(t, "espresso world"), "");
    CHECK_STR(titles(t, "c++"), "C++ templates");
    CHECK_STR(titles(t, "vector_of"), "C++ templates");
    CHECK_STR(titles(t, "100%"), "C++ templates");
    CHECK_STR(titles(t, "0%_"), "");
    CHECK_STR(titles(t, "\xe4\xb8\x96\xe7\x95\x8c"), "\xe4\xbd\xa0\xe5\xa5\xbd\xe4\xb8\x96\xe7\x95\x8c");
    CHECK_STR(titles(t, "NOT"), "nothing");
    CHECK_STR(titles(t, "\"quoted\" NEAR("), "nothing");
    CHECK_STR(titles(t, "'; DROP TABLE talks; --"), "");
    json_t *found = json_array_get(json_object_get(list(t, "venice", 0, 0), "conversations"), 0);
    CHECK(strstr(str(found, "snippet"), "money in Venice"));
    CHECK_INT(json_integer_value(json_object_get(found, "messages")), 2);
    CHECK(strstr(str(json_array_get(json_object_get(list(t, "::VECTOR", 0, 0), "conversations"), 0), "snippet"), "std::vector_of"));
    CHECK(!json_object_get(json_array_get(json_object_get(list(t, "prices", 0, 0), "conversations"), 0), "error"));
    sc_talks_close(t);
}

TEST(talks_are_listed_in_pages)
{
    sc_talks *t = open_talks(test_scratch());
    char text[16];
    int seen = 0;
    double before = 0;
    for (int i = 0; i < 25; i++) {
        snprintf(text, sizeof text, "t%d", i);
        talk_about(t, text, "x");
    }
    for (bool more = true; more;) {
        json_t *page = list(t, NULL, 7, before), *all = json_object_get(page, "conversations");
        more = json_is_true(json_object_get(page, "more"));
        CHECK(json_array_size(all) >= (more ? 7 : 1));
        for (size_t i = 0; i < json_array_size(all); i++, seen++) {
            snprintf(text, sizeof text, "t%d", 24 - seen);
            CHECK_STR(str(json_array_get(all, i), "title"), text);
            before = json_number_value(json_object_get(json_array_get(all, i), "updated"));
        }
    }
    CHECK_INT(seen, 25);
    sc_talks_close(t);
}

/* ---- answers while they are written -------------------------------------------------------------------------------------------------- */

TEST(talks_answers_are_written_in_pieces)
{
    sc_text json;
    sc_talks *t = open_talks(test_scratch()), *other = open_talks(test_scratch());
    const char *id = str(create(t, NULL), "id");
    char *u = add(t, id, NULL, "user", "go"), *a = add_as(t, id, u, "assistant", "", "generating");
    CHECK_OK(sc_talks_answer_write(t, a, "some", 4, "generating", NULL, NULL, err));
    CHECK_STR(str(message(get(other, id), 1), "content"), "some");
    CHECK_OK(sc_talks_answer_write(t, a, "some more", 9, "generating", NULL, NULL, err));      /* too early */
    CHECK_STR(str(message(get(other, id), 1), "content"), "some");
    usleep(260 * 1000);
    CHECK_OK(sc_talks_answer_write(t, a, "some more", 9, "generating", "{\"tokens\":2}", NULL, err));
    json_t *m = (json_t *)message(get(other, id), 1);
    CHECK_STR(str(m, "content"), "some more");
    CHECK_STR(str(m, "status"), "generating");
    CHECK_STR(titles(t, "some"), "");
    CHECK_FAILS(sc_talks_answer_write(other, a, "x", 1, "done", NULL, NULL, err), SC_E_ARGUMENT, "there is no message");
    CHECK_FAILS(sc_talks_answer_write(other, a, "x", 1, "generating", NULL, NULL, err), SC_E_ARGUMENT, "there is no message");
    CHECK_FAILS(sc_talks_answer_continue(&json, other, a, err), SC_E_ARGUMENT, "being written already");
    CHECK_OK(sc_talks_answer_write(t, a, "some more text", 14, "length", "{\"tokens\":3}", NULL, err));
    m = (json_t *)message(get(other, id), 1);
    CHECK_STR(str(m, "status"), "length");
    CHECK_INT(json_integer_value(json_object_get(json_object_get(m, "stats"), "tokens")), 3);
    CHECK_STR(titles(t, "some text"), "go");
    CHECK_FAILS(sc_talks_answer_write(t, a, "x", 1, "generating", NULL, NULL, err), SC_E_ARGUMENT, "there is no message");
    CHECK_OK(sc_talks_answer_continue(&json, other, a, err));
    CHECK_STR(str(tree(&json), "status"), "generating");
    CHECK_OK(sc_talks_answer_write(other, a, "rest", 4, "error", NULL, "out of memory", err));
    CHECK_STR(str(message(get(t, id), 1), "error"), "out of memory");
    CHECK_STR(titles(t, "text"), "");
    CHECK_STR(titles(t, "rest"), "go");
    a = add_as(t, id, u, "assistant", "", "generating");
    CHECK_OK(sc_talks_delete(other, id, err));
    CHECK_FAILS(sc_talks_answer_write(t, a, "x", 1, "done", NULL, NULL, err), SC_E_ARGUMENT, "may have been deleted");
    sc_talks_close(t);
    sc_talks_close(other);
}

/* Another process, made before this one opens the file: SQLite does not go through a fork. It waits for an order. */
struct order { char id[64], parent[64]; };            /* id "": a conversation of its own; else an answer there, and then it waits */
struct helper { pid_t pid; int to, from; };

static void help(const char *home, int from, int to)
{
    struct order o;
    if (read(from, &o, sizeof o) != sizeof o) _exit(1);
    sc_talks *t = open_talks(home);
    if (!o.id[0]) talk_about(t, "two", "x");
    else CHECK_OK(sc_talks_answer_write(t, add_as(t, o.id, o.parent, "assistant", "", "generating"), "part", 4, "generating", NULL, NULL, err));
    if (!o.id[0]) sc_talks_close(t);
    if (write(to, "x", 1) != 1) _exit(1);
    if (o.id[0]) pause();
    _exit(0);
}

static struct helper new_helper(const char *home)
{
    int order[2], done[2];
    CHECK(pipe(order) == 0 && pipe(done) == 0);
    pid_t child = fork();
    if (child == 0) help(home, order[0], done[1]);
    return (struct helper){ child, order[1], done[0] };
}

static void order(struct helper *h, const char *id, const char *parent)
{
    struct order o = { "", "" };
    char x;
    snprintf(o.id, sizeof o.id, "%s", id);
    snprintf(o.parent, sizeof o.parent, "%s", parent);
    CHECK(write(h->to, &o, sizeof o) == sizeof o);
    CHECK(read(h->from, &x, 1) == 1);
}

static void end_helper(struct helper *h)
{
    kill(h->pid, SIGKILL);
    waitpid(h->pid, NULL, 0);
}

TEST(talks_answers_of_the_dead_are_stopped)
{
    const char *home = test_scratch();
    struct helper one = new_helper(home), two = new_helper(home);
    sc_talks *t = open_talks(home);
    const char *id = str(create(t, NULL), "id");
    char *u = add(t, id, NULL, "user", "go"), *mine = add_as(t, id, u, "assistant", "", "generating");
    order(&one, id, u);
    order(&two, id, u);
    end_helper(&one);
    json_t *all = get(t, id);                         /* seen at once, though nobody has opened the file since */
    CHECK_STR(str(message(all, 1), "status"), "generating");
    CHECK_STR(str(message(all, 2), "status"), "stopped");
    CHECK_STR(str(message(all, 3), "status"), "generating");
    sc_talks *other = open_talks(home);
    CHECK_STR(titles(other, "part"), "go");           /* and in the index now */
    all = get(other, id);
    CHECK_STR(str(message(all, 1), "status"), "generating");
    CHECK_STR(str(message(all, 2), "status"), "stopped");
    CHECK_STR(str(message(all, 2), "content"), "part");
    CHECK_STR(str(message(all, 3), "status"), "generating");
    CHECK_OK(sc_talks_answer_write(t, mine, "whole", 5, "done", NULL, NULL, err));
    end_helper(&two);
    add_as(t, id, u, "assistant", "", "generating");
    sc_talks_close(t);                                /* ends its own */
    sc_talks_close(other);
    other = open_talks(home);
    all = get(other, id);
    CHECK_STR(str(message(all, 1), "status"), "done");
    CHECK_STR(str(message(all, 3), "status"), "stopped");
    CHECK_STR(str(message(all, 4), "status"), "stopped");
    sc_talks_close(other);
}

/* ---- several at once ------------------------------------------------------------------------------------------------------------------ */

enum { WRITERS = 4, ROUNDS = 25 };
static void *write_many(void *arg)
{
    sc_talks *t = arg;
    for (int i = 0; i < ROUNDS; i++) {
        const char *id = str(create(t, NULL), "id");
        char *u = add(t, id, NULL, "user", "question"), *a = add_as(t, id, u, "assistant", "", "generating");
        CHECK_OK(sc_talks_answer_write(t, a, "x", 1, "generating", NULL, NULL, err));
        CHECK_OK(sc_talks_answer_write(t, a, "xy", 2, "done", NULL, NULL, err));
        (void)titles(t, NULL) ;
    }
    return NULL;
}

TEST(talks_take_threads_and_processes)
{
    const char *home = test_scratch();
    pid_t child[WRITERS];
    for (int i = 0; i < WRITERS; i++) {
        child[i] = fork();
        if (child[i] == 0) {
            sc_talks *t = open_talks(home);           /* all make the file at once */
            write_many(t);
            sc_talks_close(t);
            _exit(0);
        }
    }
    for (int i = 0, status; i < WRITERS; i++) {
        waitpid(child[i], &status, 0);
        CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    }
    sc_talks *t = open_talks(home);
    json_t *all = json_object_get(list(t, "question", 1000, 0), "conversations");
    CHECK_INT(json_array_size(all), WRITERS * ROUNDS);
    sc_talks_close(t);
}

static void *write_quietly(void *arg)
{
    sc_talks *t = arg;
    sc_text json;
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(sc_talks_create(&json, t, "{\"title\":\"of a thread\"}", err));
        sc_text_free(&json);
        CHECK_OK(sc_talks_list(&json, t, "thread", 5, 0, err));
        sc_text_free(&json);
    }
    return NULL;
}

TEST(talks_take_threads)
{
    pthread_t thread[WRITERS];
    sc_talks *t = open_talks(test_scratch());
    for (int i = 0; i < WRITERS; i++) pthread_create(&thread[i], NULL, write_quietly, t);
    for (int i = 0; i < WRITERS; i++) pthread_join(thread[i], NULL);
    CHECK_INT(json_array_size(json_object_get(list(t, NULL, 1000, 0), "conversations")), WRITERS * ROUNDS);
    sc_talks_close(t);
}

/* ---- what goes wrong with files ---------------------------------------------------------------------------------------------------------- */

TEST(talks_set_damaged_files_aside)
{
    char noise[8192];
    sc_talks *t = NULL;
    memset(noise, 'x', sizeof noise);
    put_file("conversations.db", noise, sizeof noise);
    sc_error e = { 0 };
    CHECK_INT(sc_talks_open(&t, test_scratch(), &e), SC_E_FORMAT);
    const char *aside = strstr(e.message, ".damaged-");
    CHECK(t == NULL && aside && strstr(e.message, ".recover"));
    char name[64];
    snprintf(name, sizeof name, "conversations.db%.24s", aside);
    CHECK_INT(strcspn(name, " "), strlen("conversations.db.damaged-20261129-160000"));
    sc_text kept;
    CHECK_OK(file_read(&kept, home_file(name), 1 << 20, err));
    stays(kept.data);
    CHECK(kept.len == sizeof noise && memcmp(kept.data, noise, kept.len) == 0);
    t = open_talks(test_scratch());                   /* a new one */
    create(t, NULL);
    sc_talks_close(t);
}

/* Pages in the middle are noise: found when they are read. */
TEST(talks_find_damage_later)
{
    sc_text json, all;
    sc_talks *t = open_talks(test_scratch());
    for (int i = 0; i < 50; i++) talk_about(t, "a question about many things", "an answer with some words in it");
    sc_talks_close(t);
    CHECK_OK(file_read(&all, home_file("conversations.db"), 1 << 24, err));
    stays(all.data);
    memset(all.data + 4096, 0x5a, all.len - 4096);
    put_file("conversations.db", all.data, all.len);
    sc_error e = { 0 };
    sc_status status = sc_talks_open(&t, test_scratch(), &e);
    if (status == SC_OK) status = sc_talks_list(&json, t, NULL, 0, 0, &e);
    if (status == SC_OK) status = sc_talks_export(&json, t, NULL, "json", &e);
    if (status != SC_E_FORMAT || !strstr(e.message, ".damaged-")) test_failed(__FILE__, __LINE__, "%s: %s", sc_status_name(status), e.message);
    if (t) CHECK_FAILS(sc_talks_create(&json, t, NULL, err), SC_E_FORMAT, "start the program again");
    sc_talks_close(t);
    t = open_talks(test_scratch());
    CHECK_STR(titles(t, NULL), "");
    sc_talks_close(t);
}

static void run_raw(const char *sql)
{
    sqlite3 *db;
    CHECK(sqlite3_open(home_file("conversations.db"), &db) == SQLITE_OK);
    CHECK(sqlite3_exec(db, sql, NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
}

TEST(talks_make_a_damaged_index_anew)
{
    sc_text json;
    sc_talks *t = open_talks(test_scratch());
    for (int i = 0; i < 20; i++) talk_about(t, "a question", "espresso");
    run_raw("UPDATE text_words_data SET block = x'0102030405'");
    sc_error e = { 0 };
    sc_status status = sc_talks_list(&json, t, "espresso", 0, 0, &e);
    if (status != SC_E_IO || !strstr(e.message, "made anew")) test_failed(__FILE__, __LINE__, "%s: %s", sc_status_name(status), e.message);
    CHECK_INT(json_array_size(json_object_get(list(t, "espresso", 0, 0), "conversations")), 20);
    talk_about(t, "later", "ristretto");
    CHECK_STR(titles(t, "ristretto"), "later");
    sc_talks_close(t);
}

/* Whoever leaves last tidies up: a process must not think that it is alone, whatever this one opens and closes. */
TEST(talks_handles_of_one_process_keep_their_locks)
{
    struct helper h = new_helper(test_scratch());
    sc_talks *t = open_talks(test_scratch());
    talk_about(t, "one", "x");
    sc_talks_close(open_talks(test_scratch()));
    order(&h, "", "");
    end_helper(&h);
    CHECK(path_exists(home_file("conversations.db-wal")));
    talk_about(t, "three", "x");
    CHECK_STR(titles(t, NULL), "three,two,one");
    sc_talks_close(t);
    t = open_talks(test_scratch());
    CHECK_STR(titles(t, NULL), "three,two,one");
    sc_talks_close(t);
}

static bool files_hold(const char *text)
{
    static const char *const names[] = { "conversations.db", "conversations.db-wal" };
    bool is_there = false;
    sc_text bytes;
    for (size_t i = 0; i < 2; i++) {
        if (file_read(&bytes, home_file(names[i]), 1 << 24, NULL) != SC_OK) continue;
        is_there = is_there || memmem(bytes.data, bytes.len, text, strlen(text));
        sc_text_free(&bytes);
    }
    return is_there;
}

TEST(talks_overwrite_what_is_deleted)
{
    size_t len = 20000;
    char *large = stays(mem_zero(1, len + 1));
    memset(large, ' ', len);
    memcpy(large + len - 20, "the secret sentence", 19);
    sc_talks *t = open_talks(test_scratch());
    const char *id = str(create(t, NULL), "id");
    char *u = add(t, id, NULL, "user", "the secret question");
    add(t, id, u, "assistant", large);
    CHECK(files_hold("secret sentence") && files_hold("secret question"));
    CHECK_OK(sc_talks_delete(t, id, err));
    CHECK(!files_hold("secret sentence") && !files_hold("secret question"));
    sc_talks_close(t);
    CHECK(!files_hold("secret sentence") && !files_hold("secret question"));
}

TEST(talks_refuse_other_files)
{
    sqlite3 *db;
    sc_talks *t = NULL;
    CHECK(sqlite3_open(home_file("conversations.db"), &db) == SQLITE_OK && sqlite3_exec(db, "CREATE TABLE x(y)", NULL, NULL, NULL) == SQLITE_OK);
    CHECK_FAILS(sc_talks_open(&t, test_scratch(), err), SC_E_FORMAT, "another program");
    CHECK(sqlite3_exec(db, "DROP TABLE x; PRAGMA user_version = 99", NULL, NULL, NULL) == SQLITE_OK);
    sqlite3_close(db);
    CHECK_FAILS(sc_talks_open(&t, test_scratch(), err), SC_E_UNSUPPORTED, "newer starchat (format 99");
    CHECK(path_exists(home_file("conversations.db")));
}

TEST(talks_need_a_place_to_write)
{
    sc_talks *t = NULL;
    CHECK_FAILS(sc_talks_open(&t, "/proc/nowhere", err), SC_E_IO, "STARCHAT_HOME");
    put_file("file", "x", 1);
    CHECK_FAILS(sc_talks_open(&t, home_file("file/home"), err), SC_E_IO, "STARCHAT_HOME");
    CHECK(mkdir(home_file("conversations.db"), 0700) == 0);
    CHECK_FAILS(sc_talks_open(&t, test_scratch(), err), SC_E_IO, "cannot be written");
}

TEST(talks_survive_a_full_disk)
{
    sc_text json;
    sc_talks *t = open_talks(test_scratch());
    talk_about(t, "before", "x");
    CHECK(sqlite3_exec(t->db, "PRAGMA max_page_count = 1", NULL, NULL, NULL) == SQLITE_OK);     /* no page more than there are */
    size_t len = 1 << 20;
    char *large = stays(mem_zero(1, len + 1));
    memset(large, 'y', len);
    const char *id = str(json_array_get(json_object_get(list(t, NULL, 0, 0), "conversations"), 0), "id");
    CHECK_FAILS(sc_talks_add(&json, t, id, &(sc_talks_message){ .role = "user", .content = large, .len = len }, err), SC_E_IO, "the disk is full");
    CHECK_INT(json_array_size(json_object_get(get(t, id), "messages")), 2);
    sc_talks_close(t);
}
