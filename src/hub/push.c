/* push.c - sc_push: files, check, repository, large files, one commit. What is decided is decided for one head of the branch; when the
 * branch moved meanwhile, or the answer to the commit was lost, it is all decided anew for the new head, and if everything is there
 * already, the commit was made. */
#include "hub/push.h"

#include <stdio.h>
#include <string.h>

enum { TRIES_PASSING = 4, TRIES_MOVED = 1 };

#define AT(field) offsetof(sc_push_config, field)
static const struct option rows[] = {
    { "public", OPT_BOOL, AT(is_public), 0, 0, "false", NULL, "make the repository public, if it is made now" },
    { "branch", OPT_STRING, AT(branch), 0, 0, "main", NULL, "commit to this branch, which is made if it is not there" },
    { "pull_request", OPT_BOOL, AT(pull_request), 0, 0, "false", NULL, "make the commit a pull request" },
    { "message", OPT_STRING, AT(message), 0, 0, NULL, NULL, "what the commit says about itself" },
    { "card", OPT_BOOL, AT(card), 0, 0, "true", NULL, "write README.md first, unless somebody else wrote one" },
    { "dry_run", OPT_BOOL, AT(dry_run), 0, 0, "false", NULL, "list the files and check them, ask no server" },
    { "connections", OPT_INT, AT(connections), 1, 16, "4", NULL, "parts of large files sent at a time" },
    { "home", OPT_STRING, AT(home), 0, 0, NULL, NULL, "directory of the store, where half sent files are remembered" },
};
const struct sc_options push_options = { "push", sizeof(sc_push_config), rows, sizeof rows / sizeof *rows };

/* ---- the check ------------------------------------------------------------------------------------------------------------------------ */

static sc_status refuse_findings(const struct push *p, const struct push_findings *found, sc_error *err)
{
    char *first = push_finding_text(&p->files, &found->at[0]);
    size_t n = found->n + found->more;
    for (size_t i = 0; i < found->n && n > 1; i++) {
        char *text = push_finding_text(&p->files, &found->at[i]);
        http_note(&p->http, "%s", text);
        mem_free(text);
    }
    const char *kind = found->at[0].kind;
    bool is_place = strcmp(kind, "local-path") == 0 || strcmp(kind, "home-directory") == 0;
    sc_status status = FAIL(err, SC_E_ARGUMENT, "nothing was sent: %s should not be published: %.230s; %s, leave the file out with --exclude, or say with --allow that it is none", n > 1 ? "several things here" : "something here", first,
                            is_place ? "write a relative path or a name there" : "take it out, and make a new one if anybody has seen it");
    mem_free(first);
    return status;
}

/* ---- a dry run ------------------------------------------------------------------------------------------------------------------------- */

static void dry_answer(sc_text *out, const struct push *p, const struct push_findings *found)
{
    json_t *files = json_array(), *findings = json_array();
    uint64_t bytes = 0;
    for (size_t i = 0; i < p->files.n; i++) {
        const struct push_file *f = &p->files.at[i];
        json_t *row = json_pack("{s:s, s:I, s:s}", "path", f->path, "bytes", (json_int_t)f->size, "mode", push_is_lfs_by_habit(f) ? "lfs" : "regular");
        for (size_t k = found->n; k-- > 0;)
            if (found->at[k].file == i) json_object_set_new(row, "finding", json_string(found->at[k].kind));
        json_array_append_new(files, row);
        bytes += f->size;
    }
    for (size_t k = 0; k < found->n; k++) {
        const struct push_finding *x = &found->at[k];
        json_t *row = json_pack("{s:s, s:I, s:s}", "path", p->files.at[x->file].path, "line", (json_int_t)x->line, "kind", x->kind);
        if (x->key) json_object_set_new(row, "key", json_string(x->key));
        json_array_append_new(findings, row);
    }
    json_t *root = json_pack("{s:o, s:I, s:o}", "files", files, "bytes", (json_int_t)bytes, "findings", findings);
    (void)json_write(out, root, false);
    json_decref(root);
}

/* ---- one decision ------------------------------------------------------------------------------------------------------------------------ */

/* The .gitattributes that goes along: the one here or that of the repository, and a line for each large file that it does not speak of. */
static sc_status make_attributes(struct push *p, sc_error *err)
{
    static const char name[] = ".gitattributes";
    struct push_file *own = push_files_find(&p->files, name);
    struct buf text;
    sc_status status = SC_OK;
    if (own && own->local) TRY(push_file_load(&text, own, err));
    else TRY(push_remote_text(&text, p, name, err));
    size_t before = text.len;
    for (size_t i = 0; i < p->files.n; i++) {
        const struct push_file *f = &p->files.at[i];
        if (f->is_lfs && !f->is_ignored && !attributes_track(text.data ? text.data : "", text.len, f->path)) attributes_add(&text, f->path);
    }
    if (text.len != before || (own && !own->local)) {
        if (!own) own = push_files_add(&p->files, name);
        bool is_needed = own->local || text.len != before;       /* one of an earlier decision may be there now */
        push_file_set(own, &text);
        own->is_lfs = own->is_ignored = false;
        if ((status = push_file_digest(own, err)) == SC_OK) own->is_same = !is_needed || strcmp(own->remote_oid, own->git_sha1) == 0;
    }
    buf_release(&text);
    return status;
}

/* Paths of the repository that go, into `out` (borrowed from the head); returns how many. */
static size_t list_removed(char **out, const struct push *p)
{
    size_t n = 0;
    for (size_t i = 0; i < p->head.n; i++) {
        char *path = p->head.path[i];
        if (strcmp(path, ".gitattributes") != 0 && push_matches(&p->config->remove, path) && !push_files_find(&p->files, path)) out[n++] = path;
    }
    return n;
}

static sc_status decide(struct push *p, sc_error *err)
{
    TRY(push_read_head(p, err));
    TRY(push_ask_modes(p, err));
    for (size_t i = 0; i < p->files.n; i++) {
        struct push_file *f = &p->files.at[i];
        if (f->is_ignored) continue;
        TRY(push_file_digest(f, err));
        f->is_same = strcmp(f->remote_oid, f->is_lfs ? f->sha256 : f->git_sha1) == 0;
    }
    return make_attributes(p, err);
}

struct outcome { struct push_commit commit; size_t files, removed; uint64_t bytes; bool is_unchanged; };

static sc_status decide_and_commit(struct outcome *o, enum push_again *again, struct push *p, sc_error *err)
{
    *again = AGAIN_NO;
    o->files = o->removed = 0;
    o->bytes = 0;
    TRY(decide(p, err));
    for (size_t i = 0; i < p->files.n; i++) {
        const struct push_file *f = &p->files.at[i];
        if (f->is_ignored || f->is_same) continue;
        o->files++;
        o->bytes += f->size;
    }
    char **removed = mem_zero(p->head.n + 1, sizeof *removed);
    o->removed = list_removed(removed, p);
    o->is_unchanged = o->files + o->removed == 0;
    sc_status status = SC_OK;
    if (o->is_unchanged) snprintf(o->commit.oid, sizeof o->commit.oid, "%s", p->head.commit);
    else if ((status = push_check_readme(p, err)) == SC_OK && (status = push_large(p, err)) == SC_OK) status = push_commit(&o->commit, again, p, removed, o->removed, err);
    mem_free(removed);
    return status;
}

static sc_status commit_once(struct outcome *o, struct push *p, sc_error *err)
{
    int moved = 0, passing = 0;
    for (;;) {
        enum push_again again;
        sc_error why = { 0 };
        sc_status status = decide_and_commit(o, &again, p, &why);
        if (status == SC_OK) return SC_OK;
        if (again == AGAIN_NO || (again == AGAIN_MOVED ? moved++ == TRIES_MOVED : passing++ == TRIES_PASSING)) {
            if (err) *err = why;
            return status;
        }
        if (again == AGAIN_MOVED) http_note(&p->http, "%s was changed by somebody else meanwhile; looking at it again", p->repo);
        else http_note(&p->http, "no answer to the commit; looking whether %s has it", p->repo);
    }
}

/* ---- the whole --------------------------------------------------------------------------------------------------------------------------- */

static sc_status open_push(struct push *p, sc_error *err)
{
    const sc_push_config *c = p->config;
    if (!c->repo || !*c->repo) return FAIL(err, SC_E_ARGUMENT, "no repository was named, expected org/name or datasets/org/name");
    p->branch = mem_strdup(c->branch && *c->branch ? c->branch : "main");
    if (c->pull_request && strcmp(p->branch, "main") != 0) return FAIL(err, SC_E_ARGUMENT, "a pull request is made against main, so --branch %s and --pull-request exclude each other", p->branch);
    if (strlen(p->branch) > 200 || strstr(p->branch, "..") || strpbrk(p->branch, " \t\n~^:?*[\\")) return FAIL(err, SC_E_ARGUMENT, "\"%.60s\" is no name of a branch", p->branch);
    if (c->message && !utf8_is_valid(c->message, strlen(c->message))) return FAIL(err, SC_E_ARGUMENT, "--message is no valid UTF-8, which is all that a commit can hold; write it in UTF-8");
    TRY(hub_env_read(&p->env, err));
    TRY(store_find_home(&p->home, c->home, err));
    TRY(push_name(p, c->repo, err));
    return http_open(&p->http, &p->env, c->on_event, c->user, err);
}

/* What a push needs of the world around. */
static sc_status may_push(const struct push *p, sc_error *err)
{
    if (p->env.offline) return FAIL(err, SC_E_IO, "nothing can be published while HF_HUB_OFFLINE is set; unset it, or see with --dry-run what would be sent");
    if (p->env.token) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "publishing needs a token that may write: make one at %s/settings/tokens and set HF_TOKEN to it", p->env.endpoint);
}

static void close_push(struct push *p)
{
    http_close(&p->http);
    push_files_release(&p->files);
    push_head_release(&p->head);
    hub_env_release(&p->env);
    mem_free(p->repo);
    mem_free(p->api);
    mem_free(p->branch);
    mem_free(p->home);
}

static void answer(sc_text *out, const struct push *p, const struct outcome *o)
{
    char *address = push_address(p);
    json_t *root = json_pack("{s:s, s:s, s:I, s:I, s:I, s:I, s:b, s:s}", "url", o->commit.pull_request ? o->commit.pull_request : address, "commit", o->commit.oid, "files", (json_int_t)o->files, "bytes",
                             (json_int_t)o->bytes, "sent", (json_int_t)p->sent, "removed", (json_int_t)o->removed, "unchanged", o->is_unchanged, "branch", p->branch);
    if (o->commit.pull_request) json_object_set_new(root, "pull_request", json_string(o->commit.pull_request));
    (void)json_write(out, root, false);
    json_decref(root);
    mem_free(address);
}

/* Of a model or an adapter. A push without a card is still a push. */
static void write_card(const struct push *p)
{
    static const char *const marks[] = { "config.json", "adapter_config.json" };
    const sc_push_config *c = p->config;
    bool is_model = false;
    sc_error why = { 0 };
    for (int i = 0; i < 2; i++) {
        char *path = path_join(c->directory, marks[i]);
        is_model |= path_exists(path);
        mem_free(path);
    }
    if (!c->card || p->is_dataset || !is_model || c->include.n) return;
    if (push_write_card(c->directory, strchr(p->repo, '/') ? p->repo : NULL, &why) != SC_OK) http_note(&p->http, "no card was written: %s", why.message);
}

static sc_status push_run(sc_text *out, struct push *p, sc_error *err)
{
    const sc_push_config *c = p->config;
    struct push_findings found = { 0 };
    struct outcome o = { 0 };
    TRY(open_push(p, err));
    if (!c->dry_run) {
        TRY(may_push(p, err));
        write_card(p);
    }
    TRY(push_files_read(&p->files, c, err));
    TRY(push_name_places(p, err));
    TRY(push_check(&found, &p->files, c, p->env.token, err));
    sc_status status = SC_OK;
    if (c->dry_run) dry_answer(out, p, &found);
    else if (found.n) status = refuse_findings(p, &found, err);
    push_findings_release(&found);
    if (status != SC_OK || c->dry_run) return status;
    TRY(push_create(p, err));
    status = commit_once(&o, p, err);
    if (status == SC_OK) answer(out, p, &o);
    push_commit_release(&o.commit);
    return status;
}

sc_status sc_push(sc_text *out, const sc_push_config *c, sc_error *err)
{
    sc_push_config own = *c;
    struct push p = { .config = &own };
    *out = (sc_text){ 0 };
    if (!own.message || !*own.message) own.message = "Upload by starchat";
    if (own.connections < 1) own.connections = 4;
    sc_status status = push_run(out, &p, err);
    close_push(&p);
    return status;
}

/* A question about one file needs the right to write. */
static sc_status check_run(struct push *p, sc_error *err)
{
    TRY(open_push(p, err));
    TRY(may_push(p, err));
    TRY(push_create(p, err));
    TRY(push_read_head(p, err));
    struct push_file *f = push_files_add(&p->files, "README.md");
    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, "---\n");
    push_file_set(f, &text);
    return push_ask_modes(p, err);
}

sc_status sc_push_check(sc_text *repo, const sc_push_config *c, sc_error *err)
{
    struct push p = { .config = c };
    *repo = (sc_text){ 0 };
    sc_status status = check_run(&p, err);
    if (status == SC_OK) {
        struct buf name;
        buf_init(&name, 0);
        buf_printf(&name, "%s%s", p.is_dataset ? "datasets/" : "", p.repo);
        buf_take(&name, repo);
    }
    close_push(&p);
    return status;
}
