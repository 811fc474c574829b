/* answer_run_local.c - requests to a model of here: many at once through the engine, each answer kept as it comes. Where the request asks for the log-probabilities of
 * the first token, the model is read up to there and no further. */
#include "judge/endpoint.h"

#include "eval/eval.h"

#include <stdlib.h>
#include <string.h>

enum { BATCH = 256, ALTERNATIVES = 20 };

struct local_job { char *request; void *item; char key[65]; bool wants_logprobs; };
struct local { struct talk *t; const struct asker *asker; struct local_job job[BATCH]; struct eval_prompt prompt[BATCH]; struct eval_written written[BATCH]; size_t n; double began; struct refusals refusals; sc_status status; sc_error error; };

static void forget(struct local *l)
{
    for (size_t i = 0; i < l->n; i++) {
        sc_tokens_free(&l->prompt[i].tokens);
        mem_free(l->prompt[i].until.at);
        sc_text_free(&l->written[i].text);
        mem_free(l->job[i].request);
    }
    l->n = 0;
}

/* ---- requests as prompts -------------------------------------------------------------------------------------------------------------------- */

static sc_status encode_messages(sc_tokens *out, const sc_model *m, const json_t *list, sc_error *err)
{
    const json_t *one;
    size_t i, n = json_array_size(list);
    sc_message *message = mem_zero(n + 1, sizeof *message);
    json_array_foreach(list, i, one) message[i] = (sc_message){ json_string_value(json_object_get(one, "role")), json_string_value(json_object_get(one, "content")) };
    sc_status status = sc_encode_chat(out, m, message, n, err);
    mem_free(message);
    return status;
}

/* Nothing of it can become a special token. */
static sc_status encode_text(sc_tokens *out, const sc_model *m, const json_t *text, sc_error *err)
{
    int32_t begin;
    TRY(sc_encode(out, sc_model_tokenizer(m), json_string_value(text), json_string_length(text), false, err));
    if (!sc_model_adds_bos(m, &begin)) return SC_OK;
    out->id = mem_grow(out->id, (out->len + 1) * sizeof *out->id);
    memmove(out->id + 1, out->id, out->len++ * sizeof *out->id);
    out->id[0] = begin;
    return SC_OK;
}

static double real_of(const json_t *request, const char *key, double fallback)
{
    const json_t *v = json_object_get(request, key);
    return json_is_number(v) ? json_number_value(v) : fallback;
}

/* The texts of `stop` stay the request's: *keep holds it. */
static sc_status make_prompt(struct eval_prompt *out, bool *wants_logprobs, json_t **keep, const struct talk *t, const char *text, sc_error *err)
{
    json_t *request = *keep = json_loads(text, 0, NULL);
    const json_t *prompt = json_object_get(request, "prompt"), *stop = json_object_get(request, "stop"), *one;
    size_t i;
    *out = (struct eval_prompt){ .most_tokens = request_limit(text), .temperature = real_of(request, "temperature", 0), .top_p = real_of(request, "top_p", 1), .top_k = (int64_t)real_of(request, "top_k", 0),
                                 .seed = (uint64_t)real_of(request, "seed", 0) };
    *wants_logprobs = json_is_true(json_object_get(request, "logprobs"));
    TRY(prompt ? encode_text(&out->tokens, t->model, prompt, err) : encode_messages(&out->tokens, t->model, json_object_get(request, "messages"), err));
    size_t context = sc_model_context(t->model);
    if (out->tokens.len + (size_t)out->most_tokens > context)
        return FAIL(err, SC_E_ARGUMENT, "a request has %zu tokens and wants an answer of up to %lld, more than the %zu that the model's context holds", out->tokens.len, (long long)out->most_tokens, context);
    out->until.at = mem_zero(json_array_size(stop) + 1, sizeof *out->until.at);
    json_array_foreach(stop, i, one) out->until.at[out->until.n++] = (char *)(uintptr_t)json_string_value(one);
    return SC_OK;
}

/* ---- answers ------------------------------------------------------------------------------------------------------------------------------------ */

static void give(struct local *l, size_t i, struct reply *r)
{
    struct talk *t = l->t;
    r->seconds = clock_seconds() - l->began;
    t->budget->here++;
    if (l->status == SC_OK) l->status = cache_put(t->cache, l->job[i].key, t->who, t->name, r, &l->error);
    if (l->status == SC_OK) l->status = l->asker->answered(l->asker->user, l->job[i].item, r, &l->error);
    if (l->status == SC_OK) l->status = refusals_answered(&l->refusals, false, &l->error);
    reply_release(r);
}

static void on_written(void *user, size_t i, const struct eval_written *w)
{
    struct local *l = user;
    struct buf text;
    sc_text whole;
    buf_init(&text, 0);
    buf_puts(&text, "");
    utf8_repair(&text, w->text.data ? w->text.data : "", w->text.len);
    buf_take(&text, &whole);
    struct reply r = { .text = whole.data, .finish = mem_strdup((int64_t)w->tokens >= l->prompt[i].most_tokens ? "length" : "stop"), .tokens_in = (int64_t)l->prompt[i].tokens.len, .tokens_out = (int64_t)w->tokens };
    give(l, i, &r);
    if (l->status != SC_OK) l->t->runtime->cancel = 1;        /* ends the engine; put back by write_all */
}

static sc_status write_all(struct local *l, sc_error *err)
{
    sc_eval_config c;
    sc_options_defaults(&eval_options, &c);
    if (!l->n) return SC_OK;
    sc_status status = eval_generate(l->written, l->prompt, l->n, l->t->model, &c, on_written, l, err);
    if (l->status == SC_OK && status == SC_E_CANCELLED) return FAIL(err, SC_E_CANCELLED, "stopped; the same command goes on with what is left");
    if (l->status == SC_OK) return status;
    l->t->runtime->cancel = 0;
    if (err) *err = l->error;
    return l->status;
}

static int by_probability(const void *a, const void *b)
{
    float x = ((const sc_candidate *)a)->logprob, y = ((const sc_candidate *)b)->logprob;
    return (x < y) - (x > y);
}

static json_t *alternatives(const struct talk *t, const float *logits, size_t vocab, char **best)
{
    sc_candidate *all = mem_alloc(vocab * sizeof *all);
    json_t *out = json_object();
    float max;
    double sum = log_sum(logits, vocab, &max);
    for (size_t i = 0; i < vocab; i++) all[i] = (sc_candidate){ (int32_t)i, logits[i] };
    qsort(all, vocab, sizeof *all, by_probability);
    for (size_t i = 0; i < vocab && i < ALTERNATIVES; i++) {
        sc_text text;
        if (sc_decode(&text, sc_model_tokenizer(t->model), &all[i].id, 1, false, NULL) != SC_OK) continue;
        if (!json_object_get(out, text.data)) json_object_set_new(out, text.data, json_real((double)logits[all[i].id] - (double)max - sum));
        if (i == 0) *best = mem_strdup(text.data);
        sc_text_free(&text);
    }
    mem_free(all);
    return out;
}

/* One after the other: what is asked so is short. */
static sc_status first_token(struct local *l, size_t i, const struct eval_prompt *p, sc_error *err)
{
    sc_session *s = NULL;
    sc_session_config c;
    size_t vocab;
    sc_options_defaults(sc_options_for("session"), &c);
    c.context = (int64_t)p->tokens.len + 1;
    c.cache_type = "f32";
    TRY(sc_session_open(&s, l->t->model, &c, err));
    sc_status status = sc_session_sync(s, p->tokens.id, p->tokens.len, err);
    if (status == SC_OK) {
        const float *logits = sc_session_logits(s, &vocab);
        struct reply r = { .finish = mem_strdup("length"), .tokens_in = (int64_t)p->tokens.len, .tokens_out = 1 };
        r.logprobs = alternatives(l->t, logits, vocab, &r.text);
        if (!r.text) r.text = mem_strdup("");
        give(l, i, &r);
        status = l->status;
        if (status != SC_OK && err) *err = l->error;
    }
    sc_session_close(s);
    return status;
}

/* ---- the loop --------------------------------------------------------------------------------------------------------------------------------------- */

/* From the cache, or added to what will be computed. */
static sc_status take(struct local *l, struct ask *a, json_t **keep, sc_error *err)
{
    struct local_job *j = &l->job[l->n];
    struct eval_prompt *p = &l->prompt[l->n];
    struct reply kept;
    bool found;
    *j = (struct local_job){ .request = a->request, .item = a->item };
    cache_key(j->key, l->t->who, l->t->name, a->request);
    sc_status status = cache_find(&found, &kept, l->t->cache, j->key, err);
    if (status == SC_OK && found) {
        l->t->budget->kept++;
        status = l->asker->answered(l->asker->user, a->item, &kept, err);
        if (status == SC_OK) status = refusals_answered(&l->refusals, true, err);
        reply_release(&kept);
    }
    if (status != SC_OK || found) {
        mem_free(a->request);
        return status;
    }
    sc_error own = { 0 };
    l->written[l->n] = (struct eval_written){ 0 };
    status = make_prompt(p, &j->wants_logprobs, keep, l->t, a->request, &own);
    if (status == SC_OK && !j->wants_logprobs) {
        l->n++;
        return SC_OK;
    }
    if (status == SC_OK) status = first_token(l, l->n, p, &own);
    else if (status == SC_E_ARGUMENT) status = refusals_add(&l->refusals, a->item, &own, &own);       /* of this one alone */
    if (status != SC_OK && err) *err = own;
    sc_tokens_free(&p->tokens);
    mem_free(p->until.at);
    mem_free(a->request);
    json_decref(*keep);
    *keep = NULL;
    return status;
}

sc_status talk_run_local(struct talk *t, const struct asker *a, sc_error *err)
{
    struct local *l = mem_zero(1, sizeof *l);
    json_t *keep[BATCH] = { NULL };
    sc_status status = SC_OK;
    struct ask ask;
    l->t = t;
    l->asker = a;
    l->refusals = (struct refusals){ .t = t, .asker = a };
    for (bool is_over = false; status == SC_OK && !is_over;) {
        l->began = clock_seconds();
        is_over = true;
        while (status == SC_OK && l->n < BATCH && a->next(a->user, &ask)) {
            is_over = false;
            if (t->runtime->cancel) {
                mem_free(ask.request);
                status = FAIL(err, SC_E_CANCELLED, "stopped; the same command goes on with what is left");
            } else {
                status = take(l, &ask, &keep[l->n], err);
            }
        }
        if (status == SC_OK) status = write_all(l, err);
        forget(l);
        for (size_t i = 0; i < BATCH; i++) {
            json_decref(keep[i]);
            keep[i] = NULL;
        }
    }
    if (status == SC_OK) status = refusals_end(&l->refusals, err);
    refusals_release(&l->refusals);
    mem_free(l);
    return status;
}
