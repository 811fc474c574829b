/* cache_pull.c - a pull from the Hub through the cache: the bytes go where huggingface_hub keeps them, the store gets links.
 * Notes in the work directory say which blobs are this program's own, so that a pull that was killed still knows it, and
 * `rm` gives back just those. Links of the snapshot and the ref come last: until the model has been opened and found
 * good, nothing in the cache looks complete. */
#include "hub/hub.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void mark_owned(struct pull_plan *p, const struct hub_file *owned, size_t n)
{
    for (size_t i = 0; i < p->n_files; i++)
        for (size_t k = 0; k < n && !p->files[i].is_ours; k++) {
            p->files[i].is_ours = owned[k].is_ours && strcmp(p->files[i].blob, owned[k].blob) == 0;
            p->files[i].is_sure = p->files[i].is_ours && owned[k].is_sure;
        }
}

/* What an earlier run of this pull, or the stored model that is replaced, brought into the cache. */
static void take_over_owned(struct pull_plan *p, const struct hub_cache *c, const struct pull_place *place)
{
    struct buf repo;
    struct pull_plan blobs = { 0 };
    struct manifest m;
    buf_init(&repo, 0);
    if (fetched_find(&repo, &blobs, place->work) && strcmp(repo.data, c->repo) == 0) mark_owned(p, blobs.files, blobs.n_files);
    if (manifest_read(&m, place->stored, NULL) == SC_OK) {
        if (strcmp(m.cache, c->repo) == 0) mark_owned(p, m.files, m.n_files);
        manifest_release(&m);
    }
    plan_release(&blobs);
    buf_release(&repo);
}

/* What another pull of this store has brought in, and no snapshot links to yet, is as much this one's: whichever of the two
 * is given up last removes it. */
static void share_claims(struct pull_plan *p, const struct hub_cache *c, const struct pull_place *place)
{
    json_t *pulls = json_object(), *linked = json_object();
    (void)cache_pulls(pulls, place->home, c->repo, place->work);
    cache_links(linked, c->repo);
    for (size_t i = 0; i < p->n_files; i++) {
        struct hub_file *f = &p->files[i];
        if (json_is_true(json_object_get(pulls, f->blob)) && !json_object_get(linked, f->blob)) f->is_ours = true;
    }
    json_decref(pulls);
    json_decref(linked);
}

struct owners { json_t *owned; const char *repo; };

static void note_owned(void *user, const struct manifest *m, const char *directory)
{
    const struct owners *o = user;
    (void)directory;
    for (size_t i = 0; strcmp(m->cache, o->repo) == 0 && i < m->n_files; i++)
        if (m->files[i].is_ours) (void)json_object_set_new_nocheck(o->owned, m->files[i].blob, json_true());
}

/* Decides which blobs are to be this program's own, and writes it down before the first is fetched. What a snapshot links
 * to already is another client's, also where an earlier run had meant to fetch it, unless a stored model owns it. */
static sc_status claim(struct pull_plan *p, const struct hub_cache *c, const struct pull_place *place, sc_error *err)
{
    struct owners o = { json_object(), c->repo };
    json_t *linked = json_object();
    sc_status status = store_walk(place->home, note_owned, &o, err);
    cache_links(linked, c->repo);
    for (size_t i = 0; i < p->n_files && status == SC_OK; i++) {
        struct hub_file *f = &p->files[i];
        char *there;
        status = hub_cache_find_file(&there, c, p->revision, f, err);
        if (json_object_get(linked, f->blob) && !json_object_get(o.owned, f->blob) && !f->is_sure) {
            if (there && f->is_ours) cache_drop_partial(c->repo, f);
            f->is_ours = false;
        } else if (status == SC_OK && !there) {
            f->is_new = f->is_ours = true;
        }
        mem_free(there);
    }
    share_claims(p, c, place);
    if (status == SC_OK) status = fetched_write(p, c->repo, place->work, err);
    json_decref(linked);
    json_decref(o.owned);
    return status;
}

/* Whatever else an earlier run left in the work directory, which is locked. */
static sc_status empty_work(const char *work, sc_error *err)
{
    DIR *d = opendir(work);
    sc_status status = SC_OK;
    for (const struct dirent *e; d && status == SC_OK && (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0 || strcmp(e->d_name, FETCHED_NAME) == 0) continue;
        char *path = path_join(work, e->d_name);
        status = tree_remove(path, err);
        mem_free(path);
    }
    if (d) closedir(d);
    return status;
}

static sc_status link_files(const struct pull_plan *p, const struct hub_cache *c, const char *work, sc_error *err)
{
    for (size_t i = 0; i < p->n_files; i++) {
        char *target, *path;
        TRY(hub_cache_find_file(&target, c, p->revision, &p->files[i], err));
        if (!target) return FAIL(err, SC_E_IO, "%s has gone from the cache while it was being fetched", p->files[i].path);
        path = path_join(work, p->files[i].name);
        sc_status status = symlink(target, path) == 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot make the link %s: %s; the store needs a file system with symbolic links", path, strerror(errno));
        mem_free(target);
        mem_free(path);
        TRY(status);
    }
    return SC_OK;
}

sc_status cache_pull_fetch(struct pull_plan *p, const struct hub_cache *c, const struct hub_env *env, const struct http *h, int jobs, const struct pull_place *place, sc_error *err)
{
    TRY(empty_work(place->work, err));
    take_over_owned(p, c, place);
    TRY(claim(p, c, place, err));
    TRY(cache_mark(c, place->home, err));                  /* after the notes, which keep it in its place */
    TRY(cache_fetch(p, c, env, h, jobs, err));
    share_claims(p, c, place);
    return link_files(p, c, place->work, err);
}

sc_status cache_pull_publish(struct pull_plan *p, const struct hub_cache *c, const char *revision, const char *work, sc_error *err)
{
    /* From here on links to our own blobs are no sign of another client. */
    for (size_t i = 0; i < p->n_files; i++) p->files[i].is_sure = p->files[i].is_ours;
    TRY(fetched_write(p, c->repo, work, err));
    for (size_t i = 0; i < p->n_files; i++)
        if (p->files[i].blob[0]) TRY(hub_cache_link(c, p->revision, &p->files[i], err));
    (void)hub_cache_set_listing(c, p->revision, p->listing, NULL);       /* as the reference: best effort */
    return hub_cache_set_ref(c, revision, p->revision, err);
}
