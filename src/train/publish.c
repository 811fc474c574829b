/* publish.c - push_to_hub: whether the result can be published is asked before the training begins; at checkpoints a push runs on a
 * thread of its own beside the training, one at a time, and at the end the result goes. No failure of it harms the training: it is
 * told, with the command that publishes by hand. Keys and what they mean: transformers' Trainer. */
#include "train/train_internal.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

enum { ALLOW_MAX = 64 };

struct publisher {
    const sc_train_config *c;
    char *repo;                                       /* its full name */
    char *allow_text; const char *allow[ALLOW_MAX]; size_t n_allow;
    /* The push under way; the thread alone writes `answer`, `status` and `err` until `is_over`. */
    pthread_t thread; bool is_under_way; atomic_bool is_over;
    sc_push_config push; char message[64], as[48], pattern[56]; const char *removes[1]; int64_t step;
    char *snapshot;                                   /* links to a checkpoint, which may be removed meanwhile; NULL: none */
    sc_text answer; sc_status status; sc_error err;
};

static bool is_strategy(const struct publisher *p, const char *name) { return strcmp(p->c->hub_strategy, name) == 0; }
static bool sends_checkpoints(const struct publisher *p) { return is_strategy(p, "checkpoint") || is_strategy(p, "all_checkpoints"); }

/* ---- what is pushed ------------------------------------------------------------------------------------------------------------- */

static void split_allow(struct publisher *p)
{
    char *save = NULL;
    p->allow_text = mem_strdup(p->c->hub_allow);
    for (char *word = strtok_r(p->allow_text, ",", &save); word && p->n_allow < ALLOW_MAX; word = strtok_r(NULL, ",", &save)) p->allow[p->n_allow++] = word;
}

static const char *repo_of(const sc_train_config *c)
{
    static const char nothing[] = "";
    if (*c->hub_model_id) return c->hub_model_id;
    const char *slash = strrchr(c->output_dir, '/');
    return !slash ? c->output_dir : slash[1] ? slash + 1 : nothing;
}

static sc_push_config config_of(const struct publisher *p)
{
    const sc_train_config *c = p->c;
    return (sc_push_config){ .directory = c->output_dir, .repo = p->repo ? p->repo : repo_of(c), .is_public = !c->hub_private_repo, .branch = c->hub_revision, .connections = 4, .allow = { p->allow, p->n_allow } };
}

/* Links to the files of a checkpoint: the training removes old ones while they are still being sent. */
static bool take_snapshot(struct publisher *p, int64_t step)
{
    char name[64];
    snprintf(name, sizeof name, "checkpoint-%lld", (long long)step);
    char *from = path_join(p->c->output_dir, name), *to = path_join(p->c->output_dir, "checkpoint.tmp-push");
    remove_plain_directory(to);
    bool is_whole = path_link_files(from, to);
    mem_free(from);
    mem_free(p->snapshot);
    p->snapshot = to;
    return is_whole;
}

static void add_checkpoint(struct publisher *p, struct journal *j, int64_t step)
{
    if (!sends_checkpoints(p)) return;
    if (!take_snapshot(p, step)) {
        journal_note(j, "checkpoint-%lld is not published: its files cannot be linked in %s, perhaps since that file system has no hard links", (long long)step, p->c->output_dir);
        return;
    }
    if (is_strategy(p, "checkpoint")) snprintf(p->as, sizeof p->as, "last-checkpoint");
    else snprintf(p->as, sizeof p->as, "checkpoint-%lld", (long long)step);
    snprintf(p->pattern, sizeof p->pattern, "%s/*", p->as);
    p->removes[0] = p->pattern;                       /* what an earlier checkpoint of this name had, and this one has not */
    p->push.checkpoint = p->snapshot;
    p->push.checkpoint_as = p->as;
    p->push.remove = (sc_push_patterns){ p->removes, 1 };
}

/* ---- before ------------------------------------------------------------------------------------------------------------------------- */

/* The recipe goes along as run.json: what would be refused after the training is refused now. */
static sc_status check_recipe(struct publisher *p, sc_error *err)
{
    static const char *const file[] = { "run.json" };
    sc_text text = { 0 };
    json_t *root = NULL;
    sc_push_config dry = config_of(p);
    dry.include = (sc_push_patterns){ file, 1 };
    dry.dry_run = true;
    TRY(sc_push(&text, &dry, err));
    sc_status status = json_read(&root, text.data, text.len, "the answer of a dry run", err);
    const json_t *first = json_array_get(json_object_get(root, "findings"), 0);
    const char *key = json_string_value(json_object_get(first, "key")), *kind = json_string_value(json_object_get(first, "kind"));
    if (status == SC_OK && first)
        status = FAIL(err, SC_E_ARGUMENT, "push_to_hub is true, but %s of the recipe, which is published too, holds what should not be (%s); write a relative path or a name there, or set hub_allow to %s, if all may see it", key ? key : "a key", kind ? kind : "", kind ? kind : "its kind");
    json_decref(root);
    sc_text_free(&text);
    return status;
}

sc_status publisher_open(struct publisher **out, const sc_train_config *c, sc_error *err)
{
    *out = NULL;
    if (!c->push_to_hub) return SC_OK;
    struct publisher *p = mem_zero(1, sizeof *p);
    sc_text repo = { 0 };
    p->c = c;
    split_allow(p);
    sc_push_config push = config_of(p);
    sc_status status = check_recipe(p, err);
    if (status == SC_OK && (status = sc_push_check(&repo, &push, err)) != SC_OK) (void)error_prefix(err, status, "push_to_hub is true (set it to false to train alone)");
    if (status == SC_OK) p->repo = mem_strndup(repo.data, repo.len);
    sc_text_free(&repo);
    if (status == SC_OK) *out = p;
    else publisher_close(p);
    return status;
}

/* ---- one push ------------------------------------------------------------------------------------------------------------------------- */

static void *run(void *user)
{
    struct publisher *p = user;
    p->status = sc_push(&p->answer, &p->push, &p->err);
    atomic_store(&p->is_over, true);
    return NULL;
}

/* A word of a command as a shell reads it. */
static void put_word(struct buf *b, const char *word)
{
    static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-./:@%+=,";
    if (*word && strspn(word, plain) == strlen(word)) {
        buf_puts(b, word);
        return;
    }
    buf_putc(b, '\'');
    for (; *word; word++) {
        if (*word == '\'') buf_puts(b, "'\\''");
        else buf_putc(b, *word);
    }
    buf_putc(b, '\'');
}

static void put_option(struct buf *b, const char *name, const char *value)
{
    buf_puts(b, name);
    put_word(b, value);
}

/* The command that publishes the same by hand; mem_free it. */
static char *command_of(const struct publisher *p)
{
    struct buf b;
    buf_init(&b, 0);
    put_option(&b, "starchat push ", p->c->output_dir);
    put_option(&b, " ", p->repo);
    if (*p->c->hub_revision && strcmp(p->c->hub_revision, "main") != 0) put_option(&b, " --branch ", p->c->hub_revision);
    if (!p->c->hub_private_repo) buf_puts(&b, " --public");
    for (size_t i = 0; i < p->n_allow; i++) put_option(&b, " --allow ", p->allow[i]);
    return b.data;
}

static void tell(struct publisher *p, struct journal *j)
{
    json_t *root = NULL;
    if (p->status == SC_OK && json_read(&root, p->answer.data, p->answer.len, "", NULL) == SC_OK) {
        const char *url = json_string_value(json_object_get(root, "url"));
        if (p->step < 0) journal_note(j, "published: %s", url ? url : p->repo);
        else journal_note(j, "step %lld is published: %s", (long long)p->step, url ? url : p->repo);
    } else if (p->step < 0) {
        journal_note(j, "the result is in %s, but could not be published: %s", p->c->output_dir, p->err.message);
        char *command = command_of(p);
        journal_note(j, "publish it by hand with: %s", command);
        mem_free(command);
    } else journal_note(j, "step %lld could not be published, training goes on: %s", (long long)p->step, p->err.message);
    json_decref(root);
    sc_text_free(&p->answer);
    if (p->snapshot) remove_plain_directory(p->snapshot);
}

/* Waits for the push under way, or only looks whether it is over; true when none is under way. */
static bool settle(struct publisher *p, struct journal *j, bool waits)
{
    if (!p->is_under_way) return true;
    if (!waits && !atomic_load(&p->is_over)) return false;
    if (!atomic_load(&p->is_over)) journal_note(j, "waiting for the push of step %lld", (long long)p->step);
    pthread_join(p->thread, NULL);
    p->is_under_way = false;
    tell(p, j);
    return true;
}

bool publisher_wants(struct publisher *p, struct journal *j)
{
    if (is_strategy(p, "end")) return false;
    if (settle(p, j, p->c->hub_always_push)) return true;
    journal_note(j, "the push of step %lld is still under way, so this step is not published", (long long)p->step);
    return false;
}

void publisher_begin(struct publisher *p, struct journal *j, int64_t step)
{
    p->push = config_of(p);
    p->step = step;
    snprintf(p->message, sizeof p->message, "Training in progress, step %lld", (long long)step);
    p->push.message = p->message;
    add_checkpoint(p, j, step);
    atomic_store(&p->is_over, false);
    p->is_under_way = pthread_create(&p->thread, NULL, run, p) == 0;
    if (!p->is_under_way) journal_note(j, "step %lld is not published: no thread can be started", (long long)step);
}

void publisher_settle(struct publisher *p, struct journal *j)
{
    if (p) (void)settle(p, j, true);
}

void publisher_end(struct publisher *p, struct journal *j, int64_t step)
{
    if (!p) return;
    p->push = config_of(p);
    p->push.card = true;
    p->push.message = "End of training";
    p->push.on_event = p->c->on_event;
    p->push.user = p->c->user;
    p->step = -1;
    add_checkpoint(p, j, step);
    (void)run(p);
    tell(p, j);
}

void publisher_close(struct publisher *p)
{
    if (!p) return;
    if (p->is_under_way) pthread_join(p->thread, NULL);
    if (p->snapshot) remove_plain_directory(p->snapshot);
    sc_text_free(&p->answer);
    mem_free(p->snapshot);
    mem_free(p->allow_text);
    mem_free(p->repo);
    mem_free(p);
}
