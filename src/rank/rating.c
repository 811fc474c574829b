/* rating.c - what a rater says of one item, as the page sends it and the study keeps it. */
#include "rank/rank.h"

#include <math.h>
#include <string.h>

sc_status flags_read(struct flag_list *out, const char *list, sc_error *err)
{
    *out = (struct flag_list){ 0 };
    for (const char *at = list; *at;) {
        size_t n = strcspn(at, ","), skip = n + (at[n] == ',');
        const char *name = at;
        while (n && *name == ' ') name++, n--;
        while (n && name[n - 1] == ' ') n--;
        at += skip;
        if (!n) continue;
        if (n >= RANK_FLAG_BYTES || !utf8_is_valid(name, n)) return FAIL(err, SC_E_ARGUMENT, "the flag \"%.20s...\" is longer than %d bytes or no UTF-8", name, RANK_FLAG_BYTES - 1);
        if (out->n == RANK_FLAGS_MAX) return FAIL(err, SC_E_ARGUMENT, "there are more than %d flags", RANK_FLAGS_MAX);
        memcpy(out->name[out->n], name, n);
        for (size_t i = 0; i < out->n; i++)
            if (strcmp(out->name[i], out->name[out->n]) == 0) return FAIL(err, SC_E_ARGUMENT, "the flag \"%s\" stands twice", out->name[i]);
        out->n++;
    }
    return SC_OK;
}

void rating_release(struct rating *r)
{
    for (size_t i = 0; i < r->n; i++) mem_free(r->answer[i].note);
    mem_free(r->reason);
    *r = (struct rating){ 0 };
}

/* Text of at most RANK_TEXT_BYTES; an empty one is none. */
static sc_status read_text(char **out, const json_t *o, const char *key, sc_error *err)
{
    const json_t *v = json_object_get(o, key);
    if (!v || json_is_null(v)) return SC_OK;
    if (!json_is_string(v)) return FAIL(err, SC_E_ARGUMENT, "\"%s\" is no text", key);
    size_t n = json_string_length(v);
    if (n > RANK_TEXT_BYTES) return FAIL(err, SC_E_ARGUMENT, "\"%s\" has %zu bytes, expected at most %d", key, n, RANK_TEXT_BYTES);
    if (strlen(json_string_value(v)) != n) return FAIL(err, SC_E_ARGUMENT, "\"%s\" holds a NUL", key);
    if (n) *out = mem_strdup(json_string_value(v));
    return SC_OK;
}

static sc_status read_flags(uint32_t *out, const json_t *list, const struct flag_list *flags, sc_error *err)
{
    const json_t *v;
    size_t i;
    if (!list || json_is_null(list)) return SC_OK;
    if (!json_is_array(list)) return FAIL(err, SC_E_ARGUMENT, "\"flags\" is no list");
    json_array_foreach(list, i, v) {
        size_t k = 0;
        while (k < flags->n && (!json_is_string(v) || strcmp(flags->name[k], json_string_value(v)) != 0)) k++;
        if (k == flags->n) return FAIL(err, SC_E_ARGUMENT, "\"flags\" holds something that is no flag of this study");
        *out |= UINT32_C(1) << k;
    }
    return SC_OK;
}

static sc_status read_answer(struct rating_answer *a, const json_t *o, size_t n, const struct flag_list *flags, sc_error *err)
{
    int64_t rank, score;
    if (!json_is_object(o)) return FAIL(err, SC_E_ARGUMENT, "\"answers\" holds something that is no object");
    TRY(json_opt_int(&rank, o, "rank", 0, 1, (int64_t)n, "the rating", err));
    TRY(json_opt_int(&score, o, "score", 0, 1, RANK_SCORES, "the rating", err));
    a->rank = (int)rank;
    a->score = (int)score;
    TRY(read_flags(&a->flags, json_object_get(o, "flags"), flags, err));
    return read_text(&a->note, o, "note", err);
}

static sc_status read_id(char out[RANK_ID_MAX + 1], const json_t *v, sc_error *err)
{
    const char *id = json_string_value(v);
    size_t n = id ? json_string_length(v) : 0;
    bool ok = n >= 8 && n <= RANK_ID_MAX;
    for (size_t i = 0; ok && i < n; i++) ok = (id[i] >= '0' && id[i] <= '9') || ((id[i] | 32) >= 'a' && (id[i] | 32) <= 'z') || id[i] == '-';
    if (!ok) return FAIL(err, SC_E_ARGUMENT, "\"id\" is not 8 to %d letters, digits and dashes", RANK_ID_MAX);
    memcpy(out, id, n);
    return SC_OK;
}

sc_status rating_read(struct rating *out, const json_t *body, size_t n, const struct flag_list *flags, sc_error *err)
{
    const json_t *list = json_object_get(body, "answers");
    sc_status status = SC_OK;
    *out = (struct rating){ 0 };
    if (!json_is_object(body)) return FAIL(err, SC_E_ARGUMENT, "the rating is no JSON object");
    if (!json_is_array(list) || json_array_size(list) != n) return FAIL(err, SC_E_ARGUMENT, "\"answers\" is no list of %zu, as many as were shown", n);
    out->n = n;
    TRY_DONE(read_id(out->id, json_object_get(body, "id"), err));
    TRY_DONE(json_opt_int(&out->made, body, "made", 0, 0, INT64_C(1) << 52, "the rating", err));
    TRY_DONE(json_opt_int(&out->active, body, "active", 0, 0, INT64_C(1) << 40, "the rating", err));
    TRY_DONE(read_text(&out->reason, body, "reason", err));
    for (size_t i = 0; i < n; i++) TRY_DONE(read_answer(&out->answer[i], json_array_get(list, i), n, flags, err));
    return SC_OK;
done:
    rating_release(out);
    return status;
}

json_t *rating_json(const struct rating *r, const struct flag_list *flags)
{
    json_t *list = json_array();
    for (size_t i = 0; i < r->n; i++) {
        const struct rating_answer *a = &r->answer[i];
        json_t *names = json_array();
        for (size_t k = 0; k < flags->n; k++)
            if (a->flags >> k & 1) json_array_append_new(names, json_string(flags->name[k]));
        json_array_append_new(list, json_pack("{s:o, s:o, s:o, s:s?}", "rank", a->rank ? json_integer(a->rank) : json_null(), "score", a->score ? json_integer(a->score) : json_null(), "flags", names, "note", a->note));
    }
    return json_pack("{s:o, s:s?, s:I, s:I}", "answers", list, "reason", r->reason, "made", (json_int_t)r->made, "active", (json_int_t)r->active);
}

bool rating_is_done(const struct rating *r)
{
    for (size_t i = 0; i < r->n; i++)
        if (!r->answer[i].rank || !r->answer[i].score) return false;
    return r->n > 0;
}
