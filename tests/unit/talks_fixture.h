/* talks_fixture.h - a store of conversations, and what tests ask of it in few words. */
#ifndef TALKS_FIXTURE_H
#define TALKS_FIXTURE_H

#include "test.h"

#include "talks/talks.h"

/* What tests make stays to their end, where it can be seen that nobody has lost it. */
static inline void *stays(void *p)
{
    static void *volatile kept[8192];
    static size_t n;
    CHECK(n < sizeof kept / sizeof *kept);
    return kept[n++] = p;
}

static inline sc_talks *open_talks(const char *home)
{
    sc_talks *t = NULL;
    CHECK_OK(sc_talks_open(&t, home, err));
    return t;
}

/* The result as a tree, which stays. */
static inline json_t *tree(sc_text *text)
{
    json_t *o = json_loadb(text->data ? text->data : "", text->len, JSON_REJECT_DUPLICATES, NULL);
    if (!o) test_failed(__FILE__, __LINE__, "no JSON: %s", text->data ? text->data : "");
    sc_text_free(text);
    return stays(o);
}

static inline const char *str(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text ? text : "(none)";
}

static inline json_t *create(sc_talks *t, const char *fields)
{
    sc_text json;
    CHECK_OK(sc_talks_create(&json, t, fields, err));
    return tree(&json);
}

static inline json_t *get(sc_talks *t, const char *id)
{
    sc_text json;
    CHECK_OK(sc_talks_get(&json, t, id, err));
    return tree(&json);
}

static inline char *add_as(sc_talks *t, const char *id, const char *parent, const char *role, const char *text, const char *status)
{
    sc_text json;
    CHECK_OK(sc_talks_add(&json, t, id, &(sc_talks_message){ .parent = parent, .role = role, .content = text, .len = strlen(text), .status = status }, err));
    return stays(mem_strdup(str(tree(&json), "id")));
}
static inline char *add(sc_talks *t, const char *id, const char *parent, const char *role, const char *text) { return add_as(t, id, parent, role, text, NULL); }

static inline json_t *list(sc_talks *t, const char *query, int64_t limit, double before)
{
    sc_text json;
    CHECK_OK(sc_talks_list(&json, t, query, limit, before, err));
    return tree(&json);
}

/* Titles of the list with commas. */
static inline const char *titles(sc_talks *t, const char *query)
{
    static struct buf b;
    json_t *o = list(t, query, 0, 0), *all = json_object_get(o, "conversations");
    buf_clear(&b);
    buf_puts(&b, "");
    for (size_t i = 0; i < json_array_size(all); i++) buf_printf(&b, "%s%s", i ? "," : "", str(json_array_get(all, i), "title"));
    return b.data;
}

static inline const json_t *message(const json_t *talk, size_t i) { return json_array_get(json_object_get(talk, "messages"), i); }

/* Contents of the path with bars, roles by their first letter. */
static inline const char *path(sc_talks *t, const char *id, const char *leaf)
{
    static struct buf b;
    sc_talks_path p;
    CHECK_OK(sc_talks_path_get(&p, t, id, leaf, err));
    buf_clear(&b);
    buf_puts(&b, "");
    for (size_t i = 0; i < p.n; i++) buf_printf(&b, "%s%c:%s", i ? "|" : "", p.message[i].role[0], p.message[i].content);
    sc_talks_path_free(&p);
    return b.data;
}

static inline char *home_file(const char *name)
{
    static char paths[4][256];
    static int next;
    char *p = paths[next++ % 4];
    snprintf(p, sizeof paths[0], "%s/%s", test_scratch(), name);
    return p;
}

static inline void put_file(const char *name, const void *bytes, size_t len) { CHECK_OK(file_write(home_file(name), bytes, len, err)); }

static inline void talk_about(sc_talks *t, const char *question, const char *answer)
{
    const char *id = str(create(t, NULL), "id");
    add(t, id, add(t, id, NULL, "user", question), "assistant", answer);
}

#endif
