/* starchat_push.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_PUSH_H
#define STARCHAT_PUSH_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- publishing on the Hugging Face Hub ------------------------------------------------------------------------------------ */

typedef struct { const char *const *at; size_t n; } sc_push_patterns;   /* of paths in the repository; '*' is any text, '/' too; borrowed */
typedef struct {
    const char *directory;               /* what a training left, a model, data; or one file. No option                      */
    const char *repo;                    /* "org/name", "datasets/org/name"; "name": of the token's owner. No option         */
    bool        is_public;               /* of a repository that is made now; option "public"                               */
    const char *branch;                  /* NULL or "": main; made if it is not there                                        */
    bool        pull_request;            /* the commit becomes a pull request                                                */
    const char *message;                 /* of the commit; NULL or "": one that says what it is                              */
    bool        card;                    /* write README.md first, unless somebody else wrote one                            */
    bool        dry_run;                 /* lists and checks, asks no server                                                 */
    int64_t     connections;             /* parts of large files at a time                                                   */
    const char *home;                    /* of the store, where half sent files are remembered; NULL or "": as sc_store_home */
    sc_push_patterns include, exclude;   /* include: only these, also of what is left out by itself                          */
    sc_push_patterns remove;             /* files of the repository that go if they are not here                             */
    sc_push_patterns allow;              /* findings that are none: a path, "path:line", a kind, or the text that was found  */
    const char *checkpoint;              /* a directory that goes along, whole; NULL: none                                   */
    const char *checkpoint_as;           /* under this name                                                                  */
    sc_on_event on_event; void *user;    /* never called by two threads at once; may be NULL                                 */
} sc_push_config;                        /* options "push" */
/* Makes the repository if it is not there, sends what it has not, and makes one commit. Reads HF_* variables and the token as the reference client does.
 * *out: JSON {"url","commit","files","bytes","sent","unchanged","branch","pull_request"?}; of a dry run {"files":[{"path","bytes","mode","finding"?}],"bytes",
 * "findings":[{"path","line","kind","key"?}]}. SC_E_ARGUMENT: also where a file holds a secret or a place of this machine. */
SC_API sc_status sc_push(sc_text *out, const sc_push_config *c, sc_error *err);
/* Whether sc_push could: the token may write to the repository, which is made if it is not there. *repo: its full name. Sends no file. */
SC_API sc_status sc_push_check(sc_text *repo, const sc_push_config *c, sc_error *err);

#ifdef __cplusplus
}
#endif
#endif
