/* starchat_store.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_STORE_H
#define STARCHAT_STORE_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

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
