/* starchat_store.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_STORE_H
#define STARCHAT_STORE_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the store and the hub ------------------------------------------------------------------------------------ */

typedef struct {
    const char *source;   /* built-in name, org/repo[@revision], datasets/org/repo[@revision] (its files of
                             data), http(s)/file URL or path                                       */
    const char *home;     /* store directory; NULL or "": as sc_store_home says                     */
    const char *sha256;   /* expected digest of a single file; NULL or "": as the source declares   */
    const char *name;     /* of the store, for a path or URL; NULL or "": the file's                 */
    bool        link;     /* of a path: a symbolic link where no hard link can be, instead of a copy */
    bool        offline;
    int64_t     jobs;     /* connections at once, over files and parts of one large file             */
    sc_on_event on_event; /* progress; may be NULL; called by one thread at a time                    */
    void       *user;
} sc_pull_config;         /* options "pull" */
SC_API sc_status sc_store_home(sc_text *out, sc_error *err);  /* reads $STARCHAT_HOME, XDG_DATA_HOME, HOME */
SC_API sc_status sc_pull(sc_text *path, const sc_pull_config *c, sc_error *err); /* reads HF_* variables, as the reference client does */
/* [{"name","path","bytes","source","revision","pulled"}...] by name; an alias is {"name","path","bytes":0,"alias_of","gone"}. */
SC_API sc_status sc_store_list(sc_text *json, const char *home, sc_error *err);
SC_API sc_status sc_store_names(sc_text *json, sc_error *err); /* built-in names: [{"name","source","licence","help"}...] */
SC_API sc_status sc_store_remove(const char *name, const char *home, sc_error *err);  /* of an alias: the name alone; of a model: its aliases too */
/* A path as it is, or the local path of a stored name (a directory or a .gguf), or of a Hub name in huggingface_hub's
 * cache (reads HF_HUB_CACHE, HF_HOME); an unknown name gets a message with `starchat pull`. */
SC_API sc_status sc_store_resolve(sc_text *path, const char *name, const char *home, sc_error *err);

/* ---- keeping the store: other names, space, models of other programs --------------------------------------------------------- */

/* `home` here: NULL or "": as sc_store_home says. */

/* `name` stands for `target` from now on, everywhere a model is named: a stored name, org/repo in huggingface_hub's cache, or a path (kept
 * absolute). Another alias's name means what that one means. NULL as target: the alias is forgotten. What is stored, built in or
 * ill-formed cannot be an alias: SC_E_ARGUMENT. */
SC_API sc_status sc_store_alias(const char *name, const char *target, const char *home, sc_error *err);
/* What takes space. *json: {"home", "rows":[{"what","path","bytes","freed","n"}...]}; bytes: on disk; freed: what removing it would give back,
 * since files with several names (hard links) stay while one is left; n: models, downloads, files. Rows of nothing are left out. */
SC_API sc_status sc_store_usage(sc_text *json, const char *home, sc_error *err);
/* Removes what nothing needs: downloads that nobody has gone on with for `days`, what a killed removal left, aliases of what is gone. `is_dry`
 * removes nothing. *json: [{"what","path","bytes","why"}...]. */
SC_API sc_status sc_store_free(sc_text *json, const char *home, double days, bool is_dry, sc_error *err);
/* Models that other programs on this machine have: Ollama ($OLLAMA_MODELS, ~/.ollama/models, those of its service), llama.cpp ($LLAMA_CACHE, its
 * cache directory), LM Studio, huggingface_hub's cache. *json: [{"name","path","bytes","from","sha256","ready"}...], sorted by name; sha256: as
 * that program says, "" if it does not; ready: the name can be used as it is. What cannot be read is left out. */
SC_API sc_status sc_store_found(sc_text *json, sc_error *err);

#ifdef __cplusplus
}
#endif

#endif
