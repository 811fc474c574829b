/* starchat_rank.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_RANK_H
#define STARCHAT_RANK_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- human evaluation: people rank answers blind ------------------------------------------------------------------------------ */

typedef struct {
    const char *prompts, *answers;       /* a file; files with commas, NAME=FILE                                */
    const char *gold;                    /* items that check raters; NULL or "": none                           */
    const char *out;                     /* the study: a SQLite file that is not there yet                      */
    const char *title, *instructions;    /* instructions: a file, NULL or "": a short text                      */
    int64_t     raters, overlap, shown;  /* invitations; raters of each item, 0: all; answers of each, 0: all  */
    bool        partial;                 /* prompts too that not all models answered                            */
    double      duplicates;              /* share of a rater's items that come again                            */
    const char *flags;                   /* "wrong,unsafe"                                                      */
    double      gold_min, repeats_min, seconds_min;        /* rules of who is left out, fixed here              */
    int64_t     rules_least;
    int64_t     seed;
} sc_rank_config;                        /* options "rank" */
/* Makes a study; until it is whole its file is called OUT.tmp-PID. *out: JSON {"study","key","items","gold","answers","raters":[{"name","token"}]}. The key alone says whose the answers are; neither it nor a token is kept. */
SC_API sc_status sc_rank_make(sc_text *out, const sc_rank_config *c, sc_error *err);
typedef enum { SC_RANK_NEW, SC_RANK_AGAIN, SC_RANK_REVOKE } sc_rank_invitation;       /* one more rater; a new link in place of the old; none any more */
/* *out: {"name","token","address"}; address: where the server last listened, or null. Also while a server runs. */
SC_API sc_status sc_rank_invite(sc_text *out, const char *study, const char *name, sc_rank_invitation kind, sc_error *err);

typedef struct {
    const char *host; int64_t port;      /* as of sc_server_config                                              */
    const char *url;                     /* how raters reach it, where that differs; NULL or ""                 */
    const char *allowed_hosts;
    int64_t     connections, connections_each;
    bool        lockdown;                /* whether the caller means to call sc_rank_server_lock_down           */
    sc_on_event on_log; void *user;      /* one JSON object a line; may be NULL                                 */
} sc_rank_server_config;                 /* options "rank_server" */
typedef struct sc_rank_server sc_rank_server;   /* of one study */
/* The page of a study for its raters. It listens when this returns. */
SC_API sc_status sc_rank_server_open(sc_rank_server **out, const char *study, const sc_rank_server_config *c, sc_error *err);
SC_API int       sc_rank_server_port(const sc_rank_server *s);         /* where it listens */
SC_API const char *sc_rank_server_address(const sc_rank_server *s);    /* "http://127.0.0.1:8090": what links begin with; borrowed */
SC_API sc_status sc_rank_server_lock_down(sc_rank_server *s, sc_error *err);      /* as sc_server_lock_down: no files but the study's */
SC_API sc_status sc_rank_server_run(sc_rank_server *s, sc_error *err);            /* until it is stopped */
SC_API void      sc_rank_server_stop(sc_rank_server *s, bool now);     /* any thread */
SC_API void      sc_rank_server_close(sc_rank_server *s);

/* Ends a study: nothing can be rated any more, and the owner's key opens whose the answers are. *out: JSON {"ratings","models":[...]}. SC_E_ARGUMENT: another key. */
SC_API sc_status sc_rank_close(sc_text *out, const char *study, const char *key, sc_error *err);
typedef struct { const char *ratings, *pairs; bool include_excluded, revisions; } sc_rank_export_config;      /* options "rank_export" */
/* Writes files of lines of JSON. *out: JSON {"ratings","pairs","ties","excluded":[{"rater","rules":[...]}]}. The study must be closed. */
SC_API sc_status sc_rank_export(sc_text *out, const char *study, const sc_rank_export_config *c, sc_error *err);
typedef struct { const char *out, *judgements; int64_t draws, seed; } sc_rank_report_config;                  /* options "rank_report" */
/* *out: JSON; docs/rank.md names its members. Of an open study what can be told without the key. */
SC_API sc_status sc_rank_report(sc_text *out, const char *study, const sc_rank_report_config *c, sc_error *err);

#ifdef __cplusplus
}
#endif
#endif
