/* push_places.c - files of a training name the model and the data by where they are on this machine. Where that is the store or the cache of
 * huggingface_hub, what is published names what the Hub calls them instead; the files here stay as they are. */
#include "hub/push.h"

#include <string.h>

enum { TEXT_MOST = 8 << 20, PLACE_LONGEST = 512 };

/* A directory with a stroke at its end, whose next part says what it holds; next: where it stands next in the text at hand, NULL: nowhere behind. */
struct place { char *begin; bool is_store; const char *next; };

/* The repository of a stored model: of a built-in name wherever its bytes came from, else of a source on the Hub, whatever revision or file of it. */
static char *repo_of(const struct manifest *m)
{
    const struct builtin_model *b = builtin_find(m->name);
    struct model_source s = { 0 };
    bool is_place = m->source[0] == '/' || m->source[0] == '.';
    char *repo = b ? mem_strdup(b->repo) : NULL;
    if (!repo && !is_place && source_parse(&s, m->source, NULL, NULL) == SC_OK && s.kind == SOURCE_HUB) repo = mem_strdup(s.repo);
    source_release(&s);
    return repo;
}

/* What the Hub calls it; NULL if it is not of the Hub. *len: bytes of the path that the name stands for. */
static char *store_name(const char *begin, const char *path, size_t most, size_t *len)
{
    struct manifest m;
    size_t n = strlen(begin), end = n;
    char *name = NULL;
    while (end < most && path[end] != '/' && path[end] != '"' && (unsigned char)path[end] > ' ') end++;
    char *directory = mem_strndup(path, end);
    if (manifest_read(&m, directory, NULL) == SC_OK) {
        size_t k = strlen(m.model);
        name = repo_of(&m);
        *len = end;
        if (path[end] == '/' && most - end > k && memcmp(path + end + 1, m.model, k) == 0) *len = end + 1 + k;
        manifest_release(&m);
    }
    mem_free(directory);
    return name;
}

/* models--org--name/snapshots/COMMIT */
static char *cache_name(const char *begin, const char *path, size_t most, size_t *len)
{
    static const char *const kinds[] = { "models--", "datasets--" };
    size_t at = strlen(begin), end;
    for (int i = 0; i < 2; i++) {
        size_t k = strlen(kinds[i]);
        if (most - at <= k || memcmp(path + at, kinds[i], k) != 0) continue;
        for (end = at += k; end < most && path[end] != '/' && path[end] != '"' && (unsigned char)path[end] > ' ';) end++;
        char *name = mem_strndup(path + at, end - at), *dashes = strstr(name, "--");
        if (!dashes) {
            mem_free(name);
            return NULL;
        }
        *dashes = '/';
        memmove(dashes + 1, dashes + 2, strlen(dashes + 2) + 1);
        static const char snapshots[] = "/snapshots/";
        if (most - end > strlen(snapshots) && memcmp(path + end, snapshots, strlen(snapshots)) == 0)
            for (end += strlen(snapshots); end < most && path[end] != '/' && path[end] != '"' && (unsigned char)path[end] > ' ';) end++;
        *len = end;
        return name;
    }
    return NULL;
}

/* The text with its names; true if there were any. */
static bool rename_places(struct buf *out, const struct buf *text, struct place *place, size_t n_places)
{
    bool is_changed = false;
    buf_init(out, 0);
    for (size_t i = 0; i < n_places; i++) place[i].next = text->data;
    for (size_t at = 0; at < text->len;) {
        const char *found = NULL;
        const struct place *where = NULL;
        for (size_t i = 0; i < n_places; i++) {
            struct place *x = &place[i];
            if (x->next && (at == 0 || x->next < text->data + at)) x->next = memmem(text->data + at, text->len - at, x->begin, strlen(x->begin));
            if (x->next && (!found || x->next < found)) { found = x->next; where = x; }
        }
        if (!found) {
            buf_append(out, text->data + at, text->len - at);
            break;
        }
        size_t left = text->len - (size_t)(found - text->data), len = 0, most = left < PLACE_LONGEST ? left : PLACE_LONGEST;
        char *name = where->is_store ? store_name(where->begin, found, most, &len) : cache_name(where->begin, found, most, &len);
        buf_append(out, text->data + at, (size_t)(found - text->data) - at);
        if (name) buf_puts(out, name);
        else buf_append(out, found, len = strlen(where->begin));
        is_changed |= name != NULL;
        at = (size_t)(found - text->data) + len;
        mem_free(name);
    }
    return is_changed;
}

static char *with_stroke(char *path)
{
    if (!path) return NULL;
    char *longer = path_join(path, "");
    mem_free(path);
    return longer;
}

sc_status push_name_places(struct push *p, sc_error *err)
{
    struct place place[2];
    size_t n = 0;
    char *models = with_stroke(path_join(p->home, "models")), *cache = with_stroke(hub_cache_directory());
    if (strlen(models) < PLACE_LONGEST) place[n++] = (struct place){ models, true, NULL };      /* a longer one leaves no room for what stands behind it */
    if (cache && strlen(cache) < PLACE_LONGEST) place[n++] = (struct place){ cache, false, NULL };
    sc_status status = SC_OK;
    for (size_t i = 0; status == SC_OK && i < p->files.n; i++) {
        struct push_file *f = &p->files.at[i];
        struct buf text, changed;
        if (!f->size || f->size > TEXT_MOST || memchr(f->sample, 0, f->sample_len)) continue;
        if ((status = push_file_load(&text, f, err)) != SC_OK) break;
        if (rename_places(&changed, &text, place, n)) {
            push_file_set(f, &changed);
            http_note(&p->http, "%s: what came from the Hub is called as there, not by its place on this machine", f->path);
        }
        buf_release(&changed);
        buf_release(&text);
    }
    mem_free(models);
    mem_free(cache);
    return status;
}
