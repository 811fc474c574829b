/* trainer.c - the job `train`: opens data and model, resumes where a checkpoint is, steps, evaluates, saves, and writes
 * the result. */
#include "lineage/lineage.h"
#include "train/train_internal.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

struct trainer {
    sc_runtime *rt; const sc_train_config *c;
    struct corpus data; struct learner l; struct preference preference; struct order order; struct journal journal;
    struct run_state s; struct memory_plan plan;
    struct losses losses; double window_loss; int64_t window_steps;      /* since the last line of the log */
    struct trace *trace; struct ranks_report ranks; struct comm_alive *alive;
    const sc_train_config *given;                                        /* with the caller's on_event on every rank */
    struct meter meter; struct publisher *publisher; bool pushes_now;
    json_t *recipe, *results, *lineage, *base_tasks;                               /* base_tasks: see evaluate_tasks */
    int lock;
};

static bool leads(const struct trainer *t) { return t->rt->comm.rank == 0; }

static json_t *number(double x) { return isfinite(x) ? json_real(x) : json_null(); }

/* ---- how long --------------------------------------------------------------------------------------------------------------- */

/* Steps walk through epochs without a gap: the last rows of one share a step with the first of the next. */
static int64_t steps_of(const struct trainer *t, double epochs) { return (int64_t)ceil(epochs * (double)t->data.train.rows / (double)t->l.n_leaves - 1e-9); }

static void set_length(struct trainer *t)
{
    const sc_train_config *c = t->c;
    t->s = (struct run_state){ .best_loss = HUGE_VAL, .best_step = -1, .last_eval = -1 };
    t->s.rows = (int64_t)t->l.n_leaves;
    t->s.total = c->max_steps > 0 ? c->max_steps : steps_of(t, c->num_train_epochs);
    if (t->s.total < 1) t->s.total = 1;
    t->s.warmup = c->warmup_steps > 0 ? c->warmup_steps : (int64_t)ceil(c->warmup_ratio * (double)t->s.total);
}

static double epoch_of(const struct trainer *t) { return (double)t->s.step * (double)t->l.n_leaves / (double)t->data.train.rows; }

/* Whether something with this strategy is due after the present step. */
static bool is_due(const struct trainer *t, const char *strategy, int64_t every)
{
    if (strcmp(strategy, "steps") == 0) return every > 0 && t->s.step % every == 0;
    if (strcmp(strategy, "epoch") != 0) return false;
    double before = (double)(t->s.step - 1) * (double)t->l.n_leaves / (double)t->data.train.rows;
    return floor(epoch_of(t) + 1e-9) > floor(before + 1e-9);
}

/* ---- events -------------------------------------------------------------------------------------------------------------------- */

static void add_rewards(json_t *event, const struct rewards *r)
{
    double n = (double)r->pairs;
    if (!r->pairs) return;
    json_object_set_new(event, "rewards_chosen", number(r->chosen / n));
    json_object_set_new(event, "rewards_rejected", number(r->rejected / n));
    json_object_set_new(event, "rewards_margin", number((r->chosen - r->rejected) / n));
    json_object_set_new(event, "rewards_accuracy", number(r->right / n));
}

/* What a line of the log adds to its step: the mean loss of the steps since the last line, and its parts. */
static void add_window(struct trainer *t, json_t *event)
{
    json_object_set_new(event, "mean_loss", number(t->window_loss / (double)t->window_steps));
    json_t *parts = losses_describe(&t->losses, t->data.train_data);
    if (t->losses.all.n) json_object_update(event, parts);
    json_decref(parts);
    t->losses = (struct losses){ 0 };
    t->window_loss = 0;
    t->window_steps = 0;
}

static sc_status log_step(struct trainer *t, const struct step_result *r, sc_error *err)
{
    t->window_loss += r->loss;
    t->window_steps++;
    if (r->skipped)
        TRY(journal_put(&t->journal, json_pack("{s:s, s:I, s:s, s:o, s:o}", "event", "skipped", "step", (json_int_t)t->s.step, "why", r->skipped, "loss", number(r->loss), "grad_norm", number(r->grad_norm)), err));
    double a_step = t->s.seconds / (double)t->s.step;
    json_t *event = json_pack("{s:s, s:I, s:I, s:o, s:o, s:o, s:f, s:f, s:f, s:I, s:I}", "event", "step", "step", (json_int_t)t->s.step, "steps", (json_int_t)t->s.total, "loss", number(r->loss), "learning_rate",
                              number(r->learning_rate), "grad_norm", number(r->grad_norm), "epoch", epoch_of(t), "tokens_per_second", r->seconds > 0 ? (double)r->tokens / r->seconds : 0, "seconds_left",
                              a_step * (double)(t->s.total - t->s.step), "tokens", (json_int_t)t->s.tokens, "trained", (json_int_t)r->trained);
    add_rewards(event, &r->rewards);
    bool is_line = t->s.step == t->s.total || (t->c->logging_steps > 0 && t->s.step % t->c->logging_steps == 0) || (t->c->logging_first_step && t->s.step == 1);
    if (is_line) add_window(t, event);
    TRY(journal_put(&t->journal, event, err));
    return is_line && t->l.shards ? ranks_log(&t->ranks, &t->l, &t->journal, t->s.step, err) : SC_OK;
}

/* ---- evaluation and checkpoints ----------------------------------------------------------------------------------------------- */

static sc_status answer_samples(void *user, sc_error *err)
{
    struct trainer *t = user;
    TRY(evaluate_samples(&t->l, &t->data, &t->journal, t->s.step, err));
    meter_tick(&t->meter);
    return evaluate_tasks(&t->l, &t->base_tasks, &t->journal, t->s.step, err);
}

/* *stop: the loss has not become better for too long. */
static sc_status run_evaluation(struct trainer *t, bool *stop, sc_error *err)
{
    struct eval_result r;
    TRY(evaluate(&r, &t->l, &t->data, &t->preference, err));
    json_t *event = json_pack("{s:s, s:I, s:f, s:o, s:o, s:o, s:o, s:I, s:I, s:f}", "event", "eval", "step", (json_int_t)t->s.step, "epoch", epoch_of(t), "loss", number(r.loss), "perplexity", number(exp(r.loss)),
                              "low", number(r.low), "high", number(r.high), "dialogues", (json_int_t)r.dialogues, "trained", (json_int_t)r.trained, "seconds", r.seconds);
    json_t *parts = losses_describe(&r.losses, t->data.eval_data);
    if (r.losses.all.n) json_object_update(event, parts);
    json_decref(parts);
    add_rewards(event, &r.rewards);
    TRY(journal_put(&t->journal, event, err));
    t->s.last_eval = t->s.step;
    if (r.loss < t->s.best_loss && t->s.step > 0) {        /* step 0 is the base: no checkpoint holds it, and it is no result of training */
        t->s.best_loss = r.loss;
        t->s.best_step = t->s.step;
        t->s.evals_without_gain = 0;
    } else t->s.evals_without_gain += t->s.step > 0;
    *stop = t->c->early_stopping_patience > 0 && t->s.evals_without_gain >= t->c->early_stopping_patience;
    TRY(shards_alone(t->l.shards, answer_samples, t, err));
    meter_tick(&t->meter);
    return SC_OK;
}

/* The result as it is now, for a push beside the training. What goes wrong with it alone is told, no more. */
static sc_status write_now(void *user, sc_error *err)
{
    struct trainer *t = user;
    sc_error why = { 0 };
    if (!leads(t)) return SC_OK;
    t->pushes_now = publisher_wants(t->publisher, &t->journal);
    if (!t->pushes_now) return SC_OK;
    sc_status status = result_write_now(&t->l, &why);
    t->pushes_now = status == SC_OK;
    if (status == SC_E_PEER || status == SC_E_CANCELLED) {
        if (err) *err = why;
        return status;
    }
    if (status != SC_OK) journal_note(&t->journal, "step %lld is not published, training goes on: %s", (long long)t->s.step, why.message);
    return SC_OK;
}

static sc_status push_step(struct trainer *t, sc_error *err)
{
    if (!t->c->push_to_hub || strcmp(t->c->hub_strategy, "end") == 0) return SC_OK;
    TRY(shards_alone(t->l.shards, write_now, t, err));
    if (leads(t) && t->pushes_now) publisher_begin(t->publisher, &t->journal, t->s.step);
    return SC_OK;
}

/* A checkpoint that cannot be written is told, and training goes on; at the end it is an error. */
static sc_status save(struct trainer *t, bool must, sc_error *err)
{
    sc_error inner = { 0 };
    TRY(journal_sync(&t->journal, err));
    sc_status status = checkpoint_save(&t->l, &t->s, t->c->output_dir, &inner);
    bool is_alone = t->rt->comm.size > 1 && !t->rt->comm.failed_together;       /* the others do not know: nothing can go on */
    if (status != SC_OK && (must || is_alone)) { if (err) *err = inner; return status; }
    if (status != SC_OK) {
        t->rt->comm.failed_together = false;
        journal_note(&t->journal, "step %lld could not be saved, training goes on: %s", (long long)t->s.step, inner.message);
        return SC_OK;
    }
    if (leads(t)) checkpoint_sweep(t->c->output_dir, t->c->save_total_limit, t->c->load_best_model_at_end ? t->s.best_step : -1);
    json_t *event = json_pack("{s:s, s:I}", "event", "save", "step", (json_int_t)t->s.step);
    TRY(journal_put(&t->journal, event, err));
    return must ? SC_OK : push_step(t, err);               /* the last one goes with the result */
}

/* ---- the loop -------------------------------------------------------------------------------------------------------------------- */

/* Whether the best step so far is the present one and must be kept as a checkpoint. */
static bool must_keep_best(const struct trainer *t) { return t->c->load_best_model_at_end && t->s.best_step == t->s.step; }

static sc_status after_step(struct trainer *t, bool *stop, sc_error *err)
{
    const sc_train_config *c = t->c;
    bool is_last = t->s.step >= t->s.total, evaluates = t->data.eval.rows && strcmp(c->evaluation_strategy, "no") != 0;
    *stop = false;
    if (evaluates && t->s.last_eval < t->s.step && (is_last || is_due(t, c->evaluation_strategy, c->eval_steps))) TRY(run_evaluation(t, stop, err));
    if (is_last || *stop || must_keep_best(t) || is_due(t, c->save_strategy, c->save_steps)) TRY(save(t, is_last || *stop, err));
    return SC_OK;
}

/* Ctrl-C: the steps done so far are kept. */
static sc_status stopped(struct trainer *t, sc_error *err)
{
    sc_error inner = { 0 };
    int64_t newest = checkpoint_newest(t->c->output_dir);
    TRY(comm_broadcast(&t->rt->comm, 0, &newest, sizeof newest, err));
    sc_status status = t->s.step > newest ? checkpoint_save(&t->l, &t->s, t->c->output_dir, &inner) : SC_OK;
    t->rt->comm.failed_together |= status == SC_OK;
    if (status != SC_OK)
        return FAIL(err, SC_E_CANCELLED, "training was stopped after step %lld, and that step could not be saved: %s", (long long)t->s.step, inner.message);
    return FAIL(err, SC_E_CANCELLED, "training was stopped after step %lld of %lld; the same command goes on from there", (long long)t->s.step, (long long)t->s.total);
}

static sc_status run_steps(struct trainer *t, sc_error *err)
{
    bool stop = false, evaluates = t->data.eval.rows && strcmp(t->c->evaluation_strategy, "no") != 0;
    if (t->s.step == 0 && evaluates && t->s.last_eval < 0) TRY(run_evaluation(t, &stop, err));      /* the state before */
    if (t->s.step > 0 && t->s.step < t->s.total) TRY(after_step(t, &stop, err));                     /* what a stop kept from being done */
    for (stop = false; t->s.step < t->s.total && !stop;) {
        struct step_result r;
        TRY(step_run(&r, &t->losses, &t->l, &t->data, &t->preference, &t->order, &t->s, err));
        meter_add(&t->meter, &t->s);
        TRY(log_step(t, &r, err));
        TRY(after_step(t, &stop, err));
    }
    return SC_OK;
}

/* ---- opening ---------------------------------------------------------------------------------------------------------------------- */

/* All checkpoints that will be there at once, and the result. */
static uint64_t disk_needed(const struct trainer *t)
{
    uint64_t state = 0, n = (uint64_t)(t->c->save_total_limit > 0 ? t->c->save_total_limit + 2 : 2);
    for (size_t i = 0; i < t->l.trainable.n; i++) state += 12 * (uint64_t)(t->l.trainable.parameter[i].rows * t->l.trainable.parameter[i].cols);
    return n * state + (t->l.what.is_full ? 4 * (uint64_t)t->l.model->model.parameters : state) + (64 << 20);
}

/* The data are prepared by rank 0; then the others open them. */
static sc_status open_data(struct trainer *t, sc_error *err)
{
    struct comm *c = &t->rt->comm;
    TRY(comm_all_ok(c, leads(t) ? corpus_open(&t->data, t->rt, t->c, err) : SC_OK, err));
    return comm_all_ok(c, leads(t) ? SC_OK : corpus_open(&t->data, t->rt, t->c, err), err);
}

static sc_status open_model(struct trainer *t, sc_error *err)
{
    TRY(learner_open(&t->l, t->rt, t->c, corpus_template(&t->data, t->c), err));
    TRY(corpus_check(&t->data, t->l.model, err));
    if (*sc_model_notice(t->l.model)) runtime_note(t->rt, "%s", sc_model_notice(t->l.model));
    size_t rows = t->data.train.longest > t->data.eval.longest ? t->data.train.longest : t->data.eval.longest;
    plan_memory(&t->plan, &t->l, rows);
    TRY(plan_check(&t->plan, t->rt, err));
    return leads(t) ? run_check_space(t->c->output_dir, disk_needed(t), err) : SC_OK;
}

static sc_status open_all(struct trainer *t, sc_error *err)
{
    struct comm *c = &t->rt->comm;
    TRY(open_data(t, err));
    TRY(comm_all_ok(c, open_model(t, err), err));
    TRY(agree_on_files(c, &t->data, t->l.model, err));
    TRY(learner_reserve(&t->l, err));
    if (t->c->trace && !t->l.shards) runtime_note(t->rt, "trace: one process has nobody to send to or wait for, so there is nothing to trace");
    if (t->c->trace && t->l.shards) shards_set_trace(t->l.shards, t->trace = trace_open());
    t->l.leaf = mem_zero(t->l.n_leaves, sizeof *t->l.leaf);
    for (size_t i = 0; i < t->l.n_leaves; i++) leaf_init(&t->l.leaf[i], t->data.train.longest + 1);
    order_init(&t->order, t->data.train.rows, t->c->seed, t->c->shuffle);
    return SC_OK;
}

/* Whether a checkpoint was made by steps of as many rows, and as many of them. */
static sc_status check_length(const struct trainer *t, int64_t total, int64_t warmup, sc_error *err)
{
    if (t->s.rows != (int64_t)t->l.n_leaves)
        return FAIL(err, SC_E_ARGUMENT, "the checkpoint of step %lld was made with %lld rows a step, but recipe and ranks give %zu; set total_train_batch_size to %lld", (long long)t->s.step, (long long)t->s.rows,
                    t->l.n_leaves, (long long)t->s.rows);
    if (t->s.total != total || t->s.warmup != warmup)
        return FAIL(err, SC_E_ARGUMENT, "the checkpoint of step %lld belongs to a run of %lld steps, but the data and recipe give %lld; the data have changed: choose another output_dir", (long long)t->s.step,
                    (long long)t->s.total, (long long)total);
    return SC_OK;
}

/* Goes on from the newest whole checkpoint, if there is one. */
static sc_status resume(struct trainer *t, bool resumes, sc_error *err)
{
    struct journal quiet = { .config = t->c, .rt = t->rt };
    struct comm *c = &t->rt->comm;
    bool found = false;
    set_length(t);
    int64_t total = t->s.total, warmup = t->s.warmup;
    if (resumes) TRY(checkpoint_load(&t->l, &t->s, t->c->output_dir, &quiet, &found, err));
    if (found) TRY(comm_all_ok(c, check_length(t, total, warmup, err), err));
    TRY(comm_all_ok(c, leads(t) ? journal_open(&t->journal, t->rt, t->c, t->s.step, err) : SC_OK, err));
    if (!leads(t)) t->journal = quiet;
    if (found) journal_note(&t->journal, "going on from step %lld of %lld", (long long)t->s.step, (long long)t->s.total);
    return SC_OK;
}

static void trainer_close(struct trainer *t)
{
    journal_close(&t->journal);
    preference_close(&t->preference);
    order_release(&t->order);
    learner_close(&t->l);
    trace_close(t->trace);
    corpus_close(&t->data);
    json_decref(t->recipe);
    json_decref(t->results);
    json_decref(t->lineage);
    json_decref(t->base_tasks);
    if (t->lock >= 0) close(t->lock);
}

/* ---- the end ---------------------------------------------------------------------------------------------------------------------- */

static sc_status write_result(void *user, sc_error *err)
{
    struct trainer *t = user;
    meter_add(&t->meter, &t->s);
    TRY(train_lineage(&t->lineage, &t->l, &t->data, &t->s, t->recipe, err));
    bool is_best = t->c->load_best_model_at_end && t->s.best_step > 0;
    json_object_set_new(t->lineage, "weights_of_step", json_integer(is_best ? t->s.best_step : t->s.step));
    return result_write(&t->l, &t->journal, t->lineage, err);
}

/* What rank 0 writes when all is done. */
static sc_status write_end(struct trainer *t, sc_error *err)
{
    const sc_train_config *c = t->c;
    t->results = json_pack("{s:I, s:f, s:I, s:o, s:I}", "steps", (json_int_t)t->s.step, "seconds", t->s.seconds, "tokens", (json_int_t)t->s.tokens, "best_loss", number(t->s.best_loss), "best_step", (json_int_t)t->s.best_step);
    TRY(journal_sync(&t->journal, err));
    TRY(report_write(c->output_dir, c, t->recipe, t->results, err));
    json_t *done = json_pack("{s:s, s:I, s:s, s:O}", "event", "done", "step", (json_int_t)t->s.step, "path", c->output_dir, "results", t->results);
    TRY(journal_put(&t->journal, done, err));
    TRY(journal_sync(&t->journal, err));
    TRY(lineage_write(c->output_dir, t->lineage, err));
    return run_write(c, t->recipe, "finished", t->results, err);
}

static sc_status finish(struct trainer *t, sc_error *err)
{
    const sc_train_config *c = t->c;
    struct comm *comm = &t->rt->comm;
    if (c->load_best_model_at_end && t->s.best_step > 0 && t->s.best_step != t->s.step) {
        journal_note(&t->journal, "taking the weights of step %lld, whose held-out loss is the best", (long long)t->s.best_step);
        TRY(checkpoint_load_step(&t->l, c->output_dir, t->s.best_step, err));
    }
    if (t->trace) {
        char *path = path_join(c->output_dir, "trace.json");
        sc_status status = trace_write(t->trace, comm, path, err);
        mem_free(path);
        TRY(status);
    }
    publisher_settle(t->publisher, &t->journal);
    arena_release(&t->l.step);                            /* room for the model that is read back */
    trainable_rest(&t->l.trainable);
    TRY(shards_alone(t->l.shards, write_result, t, err));
    return comm_all_ok(comm, leads(t) ? write_end(t, err) : SC_OK, err);
}

/* ---- a rank that is gone ------------------------------------------------------------------------------------------------------------ */

/* On the heartbeat's thread. The others may wait in MPI for ever, so nothing is tried any more: what is worth keeping is in the last
 * checkpoint. One of those left tells it: rank 0, or all that lost rank 0. */
static void end_job(void *user, int rank, const char *message)
{
    const struct trainer *t = user;
    json_t *event = json_pack("{s:s, s:i, s:s}", "event", "lost", "rank", rank, "text", message);
    char *text = json_dumps(event, JSON_COMPACT);
    if (text && t->given->on_event && (leads(t) || rank == 0 || rank == t->rt->comm.rank)) t->given->on_event(t->given->user, text);
    comm_end_launcher(2);
    _exit(1);
}

/* ---- the job ----------------------------------------------------------------------------------------------------------------------- */

static sc_status begin(struct trainer *t, enum run_found *found, sc_error *err)
{
    struct comm *comm = &t->rt->comm;
    int32_t what = RUN_NEW;
    TRY(agree_on_job(comm, t->rt, t->c, err));
    sc_status status = comm_alive_start(&t->alive, comm, (double)t->c->heartbeat_seconds, end_job, t, err);
    comm->failed_together = status != SC_OK;
    TRY(status);
    TRY(comm_all_ok(comm, leads(t) ? run_open(found, &t->recipe, &t->lock, t->c, err) : SC_OK, err));
    if (leads(t)) what = (int32_t)*found;
    TRY(comm_broadcast(comm, 0, &what, sizeof what, err));
    *found = (enum run_found)what;
    return comm_all_ok(comm, run_check_visible(t->c->output_dir, err), err);
}

static sc_status train(struct trainer *t, sc_error *err)
{
    struct comm *comm = &t->rt->comm;
    enum run_found found = RUN_NEW;
    TRY(begin(t, &found, err));
    if (found == RUN_FINISHED) {
        const struct journal quiet = { .config = t->c, .rt = t->rt };
        journal_note(&quiet, "%s holds the finished run of this recipe; nothing is left to do", t->c->output_dir);
        return SC_OK;
    }
    TRY(comm_all_ok(comm, leads(t) ? publisher_open(&t->publisher, t->c, err) : SC_OK, err));
    TRY(open_all(t, err));
    TRY(resume(t, found == RUN_RESUMES, err));
    TRY(comm_all_ok(comm, leads(t) ? run_write(t->c, t->recipe, "running", NULL, err) : SC_OK, err));
    meter_begin(&t->meter, METER_ROOT);
    t->meter.to = &t->s;
    t->l.meter = &t->meter;
    TRY(preference_open(&t->preference, &t->l, &t->data, t->c->output_dir, &t->journal, err));
    sc_status status = run_steps(t, err);
    if (status == SC_E_CANCELLED) status = stopped(t, err);
    return status == SC_OK ? finish(t, err) : status;
}

sc_status sc_train(sc_runtime *rt, const sc_train_config *c, sc_error *err)
{
    sc_train_config own = *c;
    if (rt->comm.rank) own.on_event = NULL;               /* rank 0 tells what happens */
    struct trainer t = { .rt = rt, .c = &own, .given = c, .lock = -1 };
    sc_status status = train(&t, err);
    int64_t step = t.s.step;
    trainer_close(&t);                                    /* waits for messages on their way: somebody has to notice a rank that is gone */
    comm_alive_stop(t.alive);
    struct journal quiet = { .config = &own, .rt = rt };
    publisher_settle(t.publisher, &quiet);
    if (status == SC_OK) publisher_end(t.publisher, &quiet, step);
    publisher_close(t.publisher);
    return status;
}
