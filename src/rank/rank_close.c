/* rank_close.c - the end of a study: the owner's key opens whose the answers are, and no revision comes any more. */
#include "rank/rank.h"

#include <openssl/crypto.h>
#include <stdlib.h>
#include <string.h>

static sc_status read_seal(json_t **out, struct study *s, const uint8_t key[RANK_KEY_BYTES], sc_error *err)
{
    sqlite3_stmt *q;
    bool row;
    struct buf text;
    *out = NULL;
    buf_init(&text, 0);
    TRY(sql_query(&q, s, err, "SELECT value FROM sealed", ""));
    TRY(sql_step(s, &q, &row, err));
    if (!row) return FAIL(err, SC_E_FORMAT, "%s has no sealed list of answers; the file is damaged", s->path);
    sc_status status = seal_open(&text, key, s->id, sqlite3_column_blob(q, 0), (size_t)sqlite3_column_bytes(q, 0), err);
    sqlite3_finalize(q);
    if (status == SC_OK) status = json_read(out, text.data, text.len, s->path, err);
    if (text.data) OPENSSL_cleanse(text.data, text.len);
    buf_release(&text);
    return status;
}

static sc_status fill(struct study *s, const json_t *secret, sc_error *err)
{
    const json_t *models = json_object_get(secret, "models"), *value;
    const char *number;
    json_object_foreach((json_t *)(uintptr_t)json_object_get(secret, "answers"), number, value) {
        const char *model = json_string_value(json_array_get(models, (size_t)json_integer_value(value)));
        if (!model) return FAIL(err, SC_E_FORMAT, "%s: the sealed list names a model that it does not have", s->path);
        TRY(sql_run(s, err, "INSERT INTO opened(answer, model) VALUES(?1, ?2)", "it", (int64_t)strtoll(number, NULL, 10), model));
    }
    json_object_foreach((json_t *)(uintptr_t)json_object_get(secret, "gold"), number, value)
        TRY(sql_run(s, err, "INSERT INTO gold(item, best, worst) VALUES(?1, ?2, ?3)", "iii", (int64_t)strtoll(number, NULL, 10), (int64_t)json_integer_value(json_array_get(value, 0)), (int64_t)json_integer_value(json_array_get(value, 1))));
    const char *files = json_string_value(json_object_get(secret, "files"));
    char now[24];
    if (files) TRY(study_set(s, "answers", files, err));
    snprintf(now, sizeof now, "%lld", (long long)time_ms());
    return study_set(s, "closed", now, err);
}

sc_status sc_rank_close(sc_text *out, const char *path, const char *key_text, sc_error *err)
{
    struct study *s;
    uint8_t key[RANK_KEY_BYTES];
    int64_t closed, ratings = 0;
    json_t *secret = NULL;
    *out = (sc_text){ 0 };
    TRY(key_read(key, key_text, err));
    TRY(study_open(&s, path, err));
    sc_status status = read_seal(&secret, s, key, err);
    if (status == SC_OK) status = sql_begin(s, err);
    if (status == SC_OK) {
        status = study_closed(&closed, s, err);
        if (status == SC_OK && closed) status = FAIL(err, SC_E_ARGUMENT, "%s is closed already", path);
        if (status == SC_OK) status = fill(s, secret, err);
        if (status == SC_OK) status = sql_number(&ratings, 0, s, err, "SELECT count(DISTINCT assignment) FROM revisions", "");
        status = sql_end(s, status, err);
    }
    if (status == SC_OK) {
        json_t *all = json_pack("{s:I, s:O}", "ratings", (json_int_t)ratings, "models", json_object_get(secret, "models"));
        status = json_write(out, all, false);
        json_decref(all);
    }
    OPENSSL_cleanse(key, sizeof key);
    json_decref(secret);
    study_close(s);
    return status;
}
