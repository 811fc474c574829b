/* judge_run.c - a run: prompts, answers of each model, questions to each judge, audit, verdict, page; all in one directory that says how to repeat it. */
#include "judge/judge_run.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

struct job {
    sc_runtime *rt; const sc_judge_config *c;
    struct judge_prompts prompts; struct judge_protocol *protocol;
    struct speaker *model, *judge; size_t n_models, n_judges;
    char **name;                       /* of the models; borrowed */
    struct judge_answers answers; struct questions plan;
    struct run_files files; bool has_files;
    struct cache cache; struct budget budget;
    json_t *settings; size_t answers_left; struct asked asked; const char *why; sc_error last, refusal;    /* asked.ids: also of prompts that lack answers */
};

static void job_release(struct job *w)
{
    for (size_t i = 0; i < w->n_models; i++) speaker_release(&w->model[i]);
    for (size_t i = 0; i < w->n_judges; i++) speaker_release(&w->judge[i]);
    mem_free(w->model);
    mem_free(w->judge);
    mem_free(w->name);
    questions_release(&w->plan);
    judge_answers_release(&w->answers);
    judge_prompts_release(&w->prompts);
    judge_protocol_close(w->protocol);
    if (w->has_files) run_files_close(&w->files);
    if (w->cache.path) cache_close(&w->cache);
    json_decref(w->settings);
    json_decref(w->asked.ids);
}

/* ---- what is asked for ----------------------------------------------------------------------------------------------------------------------- */

static sc_status read_speakers(struct speaker **out, size_t *n, const struct text_list *l, const sc_judge_config *c, const char *what, sc_error *err)
{
    *out = mem_zero(l->n + 1, sizeof **out);
    for (size_t i = 0; i < l->n; i++) {
        TRY(speaker_read(&(*out)[i], l->at[i], c, err));
        ++*n;
        for (size_t k = 0; k < i; k++)
            if ((*out)[k].name && (*out)[i].name && !strcmp((*out)[k].name, (*out)[i].name))
                return FAIL(err, SC_E_ARGUMENT, "two %s are called %s; name them, as in one=%s", what, (*out)[i].name, l->at[i]);
    }
    return SC_OK;
}

static bool is_given(const char *text) { return text && *text; }

static sc_status list_models(struct text_list *out, const sc_judge_config *c, sc_error *err)
{
    *out = (struct text_list){ 0 };
    if (is_given(c->models) && (is_given(c->base) || is_given(c->tuned))) return FAIL(err, SC_E_ARGUMENT, "--models stands in place of --base and --tuned; give the one or the others");
    if (is_given(c->baseline) && !is_given(c->models)) return FAIL(err, SC_E_ARGUMENT, "--baseline needs --models, which are compared with it");
    const char *const first[] = { is_given(c->models) ? c->baseline : c->base, is_given(c->models) ? c->models : c->tuned };
    for (size_t i = 0; i < 2; i++) {
        struct text_list one;
        text_list_of(&one, first[i]);
        out->at = mem_grow(out->at, (out->n + one.n + 1) * sizeof *out->at);
        for (size_t k = 0; k < one.n; k++) out->at[out->n++] = one.at[k];
        mem_free(one.at);
    }
    return out->n ? SC_OK : FAIL(err, SC_E_ARGUMENT, "nobody to judge: give --base and --tuned, or --models");
}

static sc_status read_job(struct job *w, sc_error *err)
{
    const sc_judge_config *c = w->c;
    struct text_list models, judges;
    if (!is_given(c->judge)) return FAIL(err, SC_E_ARGUMENT, "--judge is missing: a MODEL, or URL#NAME of a server");
    if (!is_given(c->out) && !c->dry_run) return FAIL(err, SC_E_ARGUMENT, "--out is missing: the directory for the results");
    TRY(judge_prompts_read(&w->prompts, c->prompts, err));
    prompts_cut(&w->prompts, (size_t)c->limit);
    TRY(judge_protocol_open(&w->protocol, c->protocol, err));
    sc_status status = list_models(&models, c, err);
    if (status == SC_OK) status = read_speakers(&w->model, &w->n_models, &models, c, "models", err);
    text_list_of(&judges, c->judge);
    if (status == SC_OK) status = read_speakers(&w->judge, &w->n_judges, &judges, c, "judges", err);
    for (size_t i = 0; i < w->n_judges && status == SC_OK; i++)
        if (w->judge[i].kind == SPEAKER_FILE) status = FAIL(err, SC_E_ARGUMENT, "the judge %s is a file of answers, expected a MODEL or URL#NAME", judges.at[i]);
    if (status == SC_OK && judge_protocol_is_pair(w->protocol) && w->n_models < 2)
        status = FAIL(err, SC_E_ARGUMENT, "protocol %s compares two models, but there is one; give --base and --tuned, or --models A,B", judge_protocol_name(w->protocol));
    text_list_release(&models);
    text_list_release(&judges);
    return status;
}

/* A model without a chat template may need them. */
static sc_status add_examples(const struct job *w, sc_error *err)
{
    char hex[65];
    bool is_used = false;
    for (size_t i = 0; i < w->n_models; i++) is_used = is_used || w->model[i].kind == SPEAKER_MODEL;
    if (!w->c->few_shot || !is_used) return SC_OK;
    TRY(few_shot_digest(hex, w->c, err));
    json_object_set_new(w->settings, "examples_sha256", json_string(hex));
    return SC_OK;
}

/* ---- settings: what makes a run the same run ---------------------------------------------------------------------------------------------------- */

/* Of the words that this run's prompts are asked in. */
static sc_status protocol_digest(char hex[65], const struct job *w, sc_error *err)
{
    char *text[] = { "A", "A" }, *other[] = { "B", "B" };
    struct sha256 h;
    sc_status status = SC_OK;
    sha256_begin(&h);
    for (size_t i = 0; i < w->prompts.n && status == SC_OK; i++) {
        const struct judge_prompt *q = &w->prompts.at[i];
        struct judge_answer a = { .id = q->id, .model = "a", .turn = text, .n_turns = 2 }, b = { .id = q->id, .model = "b", .turn = other, .n_turns = 2 };
        for (int turn = 1; turn <= judge_protocol_turns(w->protocol) && (size_t)turn <= q->n_turns && status == SC_OK; turn++) {
            json_t *request = NULL;
            status = judge_request(&request, w->protocol, q, &a, judge_protocol_is_pair(w->protocol) ? &b : NULL, turn, err);
            char *dump = request ? json_dumps(request, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
            if (dump) sha256_add(&h, dump, strlen(dump) + 1);
            mem_free(dump);
            json_decref(request);
        }
    }
    sha256_end(&h, hex);
    return status;
}

static sc_status add_speakers(json_t *settings, const char *key, const struct speaker *s, size_t n, sc_error *err)
{
    json_t *list = json_array();
    json_object_set_new(settings, key, list);
    for (size_t i = 0; i < n; i++) {
        json_t *one;
        TRY(speaker_identity(&one, &s[i], err));
        json_object_set_new(one, "name", json_string(s[i].name));
        json_array_append_new(list, one);
    }
    return SC_OK;
}

static sc_status make_settings(struct job *w, sc_error *err)
{
    const sc_judge_config *c = w->c;
    char protocol[65], prompts[65];
    struct buf text;
    TRY(protocol_digest(protocol, w, err));
    buf_init(&text, 0);
    prompts_text(&text, &w->prompts);
    sha256_of_text(prompts, text.data ? text.data : "", text.len);
    buf_release(&text);
    w->settings = json_pack("{s:s, s:s, s:s, s:I}", "protocol", judge_protocol_name(w->protocol), "protocol_sha256", protocol, "prompts_sha256", prompts, "prompts", (json_int_t)w->prompts.n);
    TRY(add_speakers(w->settings, "models", w->model, w->n_models, err));
    TRY(add_speakers(w->settings, "judges", w->judge, w->n_judges, err));
    json_t *rest = json_pack("{s:b, s:b, s:I, s:I, s:f, s:f, s:I, s:I, s:s, s:s, s:s}", "has_baseline", is_given(c->baseline), "one_order", c->one_order, "canaries", (json_int_t)c->canaries, "seed", (json_int_t)c->seed,
                             "temperature", c->temperature, "top_p", c->top_p, "top_k", (json_int_t)c->top_k, "max_new_tokens", (json_int_t)c->max_new_tokens, "system", c->system ? c->system : "", "omit",
                             c->omit ? c->omit : "", "max_tokens_name", c->max_tokens_name);
    json_object_update(w->settings, rest);
    json_decref(rest);
    return add_examples(w, err);
}

/* The name of a file that holds one model's answers is that model's. */
static sc_status name_files(struct job *w, sc_error *err)
{
    w->name = mem_zero(w->n_models + 1, sizeof *w->name);
    for (size_t i = 0; i < w->n_models; i++) {
        struct speaker *s = &w->model[i];
        struct judge_answers all = { 0 };
        if (s->kind == SPEAKER_FILE) {
            TRY(judge_answers_read(&all, s->file, NULL, err));
            const char *of = s->of_file ? s->of_file : all.at[0].model;
            size_t found = 0;
            for (size_t k = 0; k < all.n; k++) found += !strcmp(all.at[k].model, of);
            sc_status status = SC_OK;
            if (!found) status = FAIL(err, SC_E_ARGUMENT, "%s has no answers of %s; the first there is of %s", s->file, of, all.at[0].model);
            else if (!s->of_file && found < all.n) status = FAIL(err, SC_E_ARGUMENT, "%s has answers of several models (%s and others); name one, as %s#%s", s->file, of, s->file, of);
            if (status == SC_OK && !s->of_file) s->of_file = mem_strdup(of);
            if (status == SC_OK && !s->name) s->name = mem_strdup(of);
            judge_answers_release(&all);
            TRY(status);
        }
        for (size_t k = 0; k < i; k++)
            if (!strcmp(w->model[k].name, s->name)) return FAIL(err, SC_E_ARGUMENT, "two models are called %s; name them, as in --base before=%s --tuned after=%s", s->name, w->model[k].spec, s->spec);
        w->name[i] = s->name;
    }
    return SC_OK;
}

/* ---- answers ---------------------------------------------------------------------------------------------------------------------------------------- */

static sc_status answers_of_file(struct job *w, const struct speaker *s, sc_error *err)
{
    struct judge_answers all = { 0 };
    size_t missing = 0, short_ones = 0, first = 0;
    TRY(judge_answers_read(&all, s->file, NULL, err));
    w->answers.at = mem_grow(w->answers.at, (w->answers.n + w->prompts.n + 1) * sizeof *w->answers.at);
    for (size_t i = 0; i < w->prompts.n; i++) {
        const struct judge_answer *a = judge_answers_find(&all, s->of_file, w->prompts.at[i].id);
        size_t turns = w->prompts.at[i].n_turns, judged = (size_t)judge_protocol_turns(w->protocol);
        bool is_short = a && a->n_turns < (turns < judged ? turns : judged);
        const json_t *refused = a ? NULL : judge_answers_refused(&all, s->of_file, w->prompts.at[i].id);
        if (refused) {
            judge_answers_refuse(&w->answers, s->name, w->prompts.at[i].id, json_string_value(json_object_get(refused, "refused")), json_object_get(refused, "settings"));
            continue;
        }
        if ((!a || is_short) && !missing && !short_ones) first = i;
        missing += !a;
        short_ones += is_short;
        if (a && !is_short) w->answers.at[w->answers.n++] = judge_answer_copy(a, s->name);
    }
    judge_answers_release(&all);
    if (!missing && !short_ones) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "%s lacks %s of %s to %zu of %zu prompts, \"%s\" first; make them with `starchat judge answers`, or take prompts that it answers", s->file, missing ? "answers" : "turns", s->of_file,
                missing + short_ones, w->prompts.n, w->prompts.at[first].id);
}

static void stop_for(struct job *w, const struct talk *t, const char *why)
{
    if (t->refusal.message[0]) w->refusal = t->refusal;
    if (!why) return;
    if (!w->why || !strcmp(w->why, "failed")) w->why = why;
    if (t->failed) w->last = t->last;
}

static sc_status answers_of_model(struct job *w, struct speaker *s, json_t **left, sc_error *err)
{
    const char *why = NULL;
    TRY(speaker_open(s, w->rt, NULL, false, w->c, err));
    struct talk t = speaker_talk(s, w->rt, w->c, &w->cache, &w->budget);
    sc_status status = answers_make(&w->answers, left, &why, &t, s, &w->prompts, NULL, w->c, w->c->dry_run, err);
    stop_for(w, &t, why);
    speaker_close_model(s);
    return status;
}

/* All prompts where the model was not reached. */
static void count_left(struct job *w, const json_t *left)
{
    for (size_t i = 0; !left && i < w->prompts.n; i++) json_object_set_new(w->asked.ids, w->prompts.at[i].id, json_true());
    for (size_t i = 0; i < json_array_size(left); i++) json_object_set_new(w->asked.ids, json_string_value(json_array_get(left, i)), json_true());
    w->answers_left += left ? json_array_size(left) : w->prompts.n;
}

/* Those of an earlier start are all there or not at all: --overwrite has removed them. */
static sc_status get_answers(struct job *w, sc_error *err)
{
    char *path = w->has_files ? path_join(w->files.directory, "answers.jsonl") : NULL;
    sc_status status = SC_OK;
    if (path && path_exists(path)) {
        status = judge_answers_read(&w->answers, path, NULL, err);
        mem_free(path);
        return status;
    }
    for (size_t i = 0; i < w->n_models; i++) {
        json_t *left = NULL;
        bool is_file = w->model[i].kind == SPEAKER_FILE;
        if (status == SC_OK) status = is_file ? answers_of_file(w, &w->model[i], err) : answers_of_model(w, &w->model[i], &left, err);
        if (!is_file) count_left(w, left);
        json_decref(left);
    }
    if (status == SC_OK && path && !w->answers_left) status = answers_write(path, &w->answers, err);
    mem_free(path);
    return status;
}

/* ---- judges ------------------------------------------------------------------------------------------------------------------------------------------ */

static sc_status ask_judge(struct job *w, struct speaker *s, sc_error *err)
{
    sc_judge_config plain = *w->c;
    plain.few_shot = NULL;                                     /* a judge is an assistant */
    TRY(speaker_open(s, w->rt, NULL, false, &plain, err));
    struct talk t = speaker_talk(s, w->rt, w->c, &w->cache, &w->budget);
    sc_status status = judge_ask(&w->asked, &t, s, w->protocol, &w->prompts, &w->plan, w->has_files ? &w->files : NULL, w->c, err);
    stop_for(w, &t, t.is_spent ? "budget" : t.failed ? "failed" : NULL);
    speaker_close_model(s);
    return status;
}

static sc_status ask_judges(struct job *w, sc_error *err)
{
    sc_status status = SC_OK;
    questions_make(&w->plan, w->protocol, &w->prompts, &w->answers, w->name, w->n_models, w->c);
    for (size_t i = 0; i < w->n_judges; i++) {
        if (status == SC_OK) status = ask_judge(w, &w->judge[i], err);
        if (w->has_files) judge_left(&w->asked, &w->judge[i], &w->prompts, &w->plan, &w->files);
    }
    return status;
}

/* ---- results ------------------------------------------------------------------------------------------------------------------------------------------ */

static json_t *totals_of(const struct job *w)
{
    bool is_dry = w->c->dry_run;
    json_t *out = json_pack("{s:I, s:I, s:I, s:I, s:I, s:I}", "questions", (json_int_t)(w->plan.n * w->n_judges), "left", (json_int_t)(is_dry ? 0 : w->answers_left + w->asked.left), "answers_left",
                            (json_int_t)(is_dry ? 0 : w->answers_left), "questions_left", (json_int_t)w->asked.left, "answers_refused", (json_int_t)judge_answers_n_refused(&w->answers), "questions_refused",
                            (json_int_t)w->asked.refused), *ids = json_array();
    const char *id;
    json_t *v;
    if (is_dry) json_object_set_new(out, "again", json_integer((json_int_t)w->asked.again));
    json_object_foreach(w->asked.ids, id, v) json_array_append_new(ids, json_string(id));
    if (json_array_size(ids) && !w->c->dry_run) json_object_set(out, "left_ids", ids);
    json_decref(ids);
    if (w->why) json_object_set_new(out, "why", json_string(w->why));
    if (w->last.message[0]) json_object_set_new(out, "last_failure", json_string(w->last.message));
    if (w->refusal.message[0]) json_object_set_new(out, "last_refusal", json_string(w->refusal.message));
    budget_tell(out, &w->budget);
    return out;
}

static json_t *run_json(const struct job *w)
{
    char now[32];
    time_t t = time(NULL);
    struct tm tm;
    strftime(now, sizeof now, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&t, &tm));
    json_t *out = json_pack("{s:s, s:s, s:O}", "starchat", SC_VERSION, "written", now, "settings", w->settings), *sources = json_array(), *record = NULL;
    json_object_set_new(out, "prompts_file", json_string(w->c->prompts));
    for (size_t i = 0; i < w->n_models; i++) json_array_append_new(sources, json_string(w->model[i].spec));
    json_object_set_new(out, "models", sources);
    sc_text options;
    if (sc_options_record(&options, &judge_options, w->c) == SC_OK) record = json_loadb(options.data, options.len, 0, NULL);
    sc_text_free(&options);
    if (record) json_object_set_new(out, "options", record);
    json_object_set_new(out, "totals", totals_of(w));
    return out;
}

static sc_status write_run(const struct job *w, sc_error *err)
{
    json_t *run = run_json(w);
    sc_status status = run_files_write(&w->files, "run.json", run, err);
    json_decref(run);
    return status;
}

/* ---- the order in which judgements count ------------------------------------------------------------------------------------------------------------ */

/* Lines stand as answers came in. Sorted, what is made of them does not depend on that, and the base is the first that is named. */
struct placed { struct judgement judgement; size_t key[7]; };

static size_t index_of(char *const *names, size_t n, const char *name)
{
    size_t i = 0;
    while (i < n && name && strcmp(names[i], name) != 0) i++;
    return i;
}

static int by_place(const void *a, const void *b)
{
    const struct placed *x = a, *y = b;
    for (size_t i = 0; i < sizeof x->key / sizeof *x->key; i++)
        if (x->key[i] != y->key[i]) return x->key[i] < y->key[i] ? -1 : 1;
    return 0;
}

static void put_in_order(struct judgements *all, const struct job *w)
{
    struct placed *p = mem_alloc((all->n + 1) * sizeof *p);
    json_t *prompts = json_object();
    char **judge = mem_alloc((w->n_judges + 1) * sizeof *judge);
    for (size_t i = 0; i < w->n_judges; i++) judge[i] = w->judge[i].name;
    for (size_t i = 0; i < w->prompts.n; i++) json_object_set_new(prompts, w->prompts.at[i].id, json_integer((json_int_t)i));
    for (size_t i = 0; i < all->n; i++) {
        const struct judgement *j = &all->at[i];
        p[i] = (struct placed){ *j, { index_of(judge, w->n_judges, j->judge), j->canary != NULL, index_of(w->name, w->n_models, j->model[0]), index_of(w->name, w->n_models, j->model[1]), (size_t)json_integer_value(json_object_get(prompts, j->id)), (size_t)j->turn, i } };
    }
    qsort(p, all->n, sizeof *p, by_place);
    for (size_t i = 0; i < all->n; i++) all->at[i] = p[i].judgement;
    json_decref(prompts);
    mem_free(judge);
    mem_free(p);
}

/* Where no judgement says who is better, "no_verdict" says so. */
static sc_status write_verdict(json_t *out, const struct job *w, const struct judgements *all, const json_t *audit, sc_error *err)
{
    json_t *verdict = NULL;
    sc_error why = { 0 };
    sc_status status = judge_verdict(&verdict, all, audit, (uint64_t)w->c->seed, &why);
    if (status == SC_E_ARGUMENT) {
        json_object_set_new(out, "no_verdict", json_string(why.message));
        return SC_OK;
    }
    if (status == SC_OK) status = run_files_write(&w->files, "verdict.json", verdict, err);
    else if (err) *err = why;
    if (verdict) json_object_set_new(out, "verdict", verdict);
    return status;
}

/* Of all that is there, also where something is left. */
static sc_status conclude(json_t *out, const struct job *w, sc_error *err)
{
    struct judgements all = { 0 };
    json_t *audit = NULL;
    char *page = path_join(w->files.directory, "report.html");
    if (!json_object_size(w->files.done)) {
        mem_free(page);
        return SC_OK;
    }
    sc_status status = judgements_read(&all, w->files.directory, NULL, w->c->protocol, err);        /* named, since it may be a file */
    if (status == SC_OK) put_in_order(&all, w);
    if (status == SC_OK) status = judge_audit(&audit, &all, (uint64_t)w->c->seed, err);
    if (status == SC_OK) status = run_files_write(&w->files, "audit.json", audit, err);
    if (status == SC_OK) status = write_verdict(out, w, &all, audit, err);
    if (status == SC_OK) status = judge_report(w->files.directory, page, err);
    if (audit) json_object_set_new(out, "audit", audit);
    judgements_release(&all);
    mem_free(page);
    return status;
}

static void estimate(json_t *out, const struct job *w)
{
    struct judge_power power = judge_power_of(w->prompts.n, 0.5);
    json_object_set_new(out, "prompts", json_integer((json_int_t)w->prompts.n));
    json_object_set_new(out, "half_width", json_real(power.half_width));
    json_object_set_new(out, "smallest", json_real(power.smallest));
}

/* A failure ends asking, not the run: what is there is concluded. */
static sc_status ask_all(struct job *w, sc_error *err)
{
    sc_error own = { 0 };
    sc_status status = get_answers(w, &own);
    if (status == SC_OK && (!w->answers_left || w->c->dry_run)) status = ask_judges(w, &own);
    if (status == SC_OK) return SC_OK;
    w->why = status == SC_E_CANCELLED ? "stopped" : "failed";
    w->last = own;
    if (err) *err = own;
    return status;
}

static sc_status run_job(struct job *w, json_t **out, sc_error *err)
{
    TRY(read_job(w, err));
    TRY(name_files(w, err));
    TRY(make_settings(w, err));
    TRY(cache_open_of(&w->cache, w->c, err));
    if (!w->c->dry_run) {
        TRY(run_files_open(&w->files, w->c->out, w->settings, w->c->overwrite, err));
        w->has_files = true;
        TRY(write_run(w, err));
        TRY(run_files_prompts(&w->files, &w->prompts, err));
    }
    sc_status asked = ask_all(w, err);
    *out = totals_of(w);
    if (!w->has_files) {
        estimate(*out, w);
        return asked;
    }
    json_object_set_new(*out, "directory", json_string(w->files.directory));
    sc_error *later = asked == SC_OK ? err : NULL;             /* the first failure is the one that is told */
    sc_status status = write_run(w, later);
    if (status == SC_OK) status = conclude(*out, w, later);
    return asked != SC_OK ? asked : status;
}

sc_status sc_judge_run(sc_text *out, sc_runtime *rt, const sc_judge_config *c, sc_error *err)
{
    struct job w = { .rt = rt, .c = c, .budget = budget_of(c), .asked.ids = json_object() };
    json_t *all = NULL;
    *out = (sc_text){ 0 };
    sc_status status = run_job(&w, &all, err);
    if (all) {
        sc_status written = json_write(out, all, false);
        if (status == SC_OK) status = written;
    }
    json_decref(all);
    job_release(&w);
    return status;
}
