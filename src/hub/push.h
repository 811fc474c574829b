/* push.h - what the files of pushing, their tests and their fuzz targets share.
 *
 * A push is: the files of a directory; a check that none tells a secret; the repository; what it wants of each file; large
 * files to its store, by the protocol of Git LFS; one commit. Whatever was sent before is not sent again: the server says
 * which objects and files it has, and parts of a large file that it took are remembered here.
 * Sources: huggingface_hub's HTTP protocol; the batch API of Git LFS; gitattributes(5). */
#ifndef PUSH_H
#define PUSH_H

#include "hub/hub.h"

/* ---- push_secrets.c: what should not be published, found in one pass --------------------------------------------------------- */

struct finding { const char *kind; size_t at, len; bool is_bare; };       /* of the text; is_bare: all of it is secret, since it has no beginning that its maker gave it */
struct secrets_rules {
    const char *token; size_t token_len;                     /* the one in use; NULL: none */
    bool (*is_here)(void *user, const char *path, size_t len); void *user;   /* whether this machine has the path */
};
/* Calls `found` for each, in the order of lines, until it returns false. Time grows with `len` alone. Kinds: hub-token,
 * openai-key, anthropic-key, github-token, gitlab-token, aws-key, slack-token, google-key,
 * stripe-key, npm-token, pypi-token, groq-key, xai-key, replicate-token, wandb-key, jwt, private-key, url-password, home-directory, local-path. */
void secrets_scan(const char *text, size_t len, const struct secrets_rules *rules, bool (*found)(void *user, const struct finding *f), void *user);
/* Of a longer text, whose bytes `text` are: what begins in [from, until). Returns where the next part goes on, which may lie behind `until`.
 * Before `from` SECRETS_BEFORE bytes are wanted unless the text begins there, behind `until` SECRETS_AHEAD unless it ends there. */
enum { SECRETS_BEFORE = 16, SECRETS_AHEAD = 16384 };
size_t secrets_scan_part(const char *text, size_t len, size_t from, size_t until, const struct secrets_rules *rules, bool (*found)(void *user, const struct finding *f), void *user);

/* ---- push_files.c: which files -------------------------------------------------------------------------------------------------- */

enum { PUSH_SAMPLE = 512 };
struct push_file {
    char *path;                      /* in the repository                                          */
    char *local;                     /* where it is; NULL: `content` alone                         */
    struct buf content;              /* what is sent instead of the file's bytes; empty: those     */
    bool has_content;
    uint64_t size;
    uint8_t sample[PUSH_SAMPLE]; size_t sample_len;     /* its beginning                             */
    int64_t modified;                /* ns, of the file                                            */
    char sha256[65], git_sha1[41];   /* "" until needed                                            */
    char remote_oid[65];             /* what the repository has under that name: git digest or SHA-256; "" if nothing */
    bool is_lfs, is_ignored, is_same, is_sent;    /* is_same: as in the repository */
};
struct push_files { struct push_file *at; size_t n; char *root; bool is_training; };
sc_status push_files_read(struct push_files *out, const sc_push_config *c, sc_error *err);
void      push_files_release(struct push_files *f);
struct push_file *push_files_find(const struct push_files *f, const char *path);      /* NULL if there is none */
struct push_file *push_files_add(struct push_files *f, const char *path);             /* the caller fills it; borrowed until the next add */
void      push_file_set(struct push_file *f, struct buf *content);                    /* takes the bytes over */
bool      push_matches(const sc_push_patterns *p, const char *path);
/* The bytes of a file up to its size, into memory. SC_E_IO also if they are not those that were listed, or digested if they were. */
sc_status push_file_load(struct buf *out, const struct push_file *f, sc_error *err);
/* [from, from + bytes) of a file. SC_E_IO also if it became shorter. */
sc_status push_file_read(const struct push_file *f, int fd, void *out, uint64_t from, size_t bytes, sc_error *err);
sc_status push_file_refuse(const struct push_file *f, sc_error *err);      /* what is said of one that changed */
sc_status push_file_digest(struct push_file *f, sc_error *err);
bool      push_file_changed(const struct push_file *f);      /* since push_files_read; its sha256 is known */
bool      push_is_lfs_by_habit(const struct push_file *f);   /* what the Hub will most likely say, without asking it */

/* ---- push_check.c: the check of all files ------------------------------------------------------------------------------------------ */

struct push_finding { size_t file, line; const char *kind; char *key; char shown[8]; };   /* key: of JSON or YAML, NULL if unknown; shown: its first 4 characters, none where they are secret */
struct push_findings { struct push_finding *at; size_t n, more; };
/* Gives text its SHA-256, and short text the bytes that were looked at as what is sent. */
sc_status push_check(struct push_findings *out, struct push_files *f, const sc_push_config *c, const char *token, sc_error *err);
void      push_findings_release(struct push_findings *f);
/* "run.json, line 7 (output_dir): local-path that begins /wor". mem_free it. */
char     *push_finding_text(const struct push_files *f, const struct push_finding *x);

/* ---- push_reply.c: what the server says -------------------------------------------------------------------------------------------- */

/* The modes of files that were asked about; every one of `f` in [first, last) must be answered. */
sc_status push_parse_modes(struct push_files *f, size_t first, size_t last, const char *text, size_t len, sc_error *err);
struct push_head { char commit[65]; char **path; size_t n; };
sc_status push_parse_head(struct push_head *out, const char *text, size_t len, sc_error *err);
void      push_head_release(struct push_head *h);
struct push_commit { char oid[65]; char *url, *pull_request; };       /* pull_request NULL without one */
sc_status push_parse_commit(struct push_commit *out, const char *text, size_t len, sc_error *err);
void      push_commit_release(struct push_commit *c);
/* Full name of a repository from the address that the server gives it: "org/name". NULL if it is none. mem_free it. */
char     *push_parse_created(const char *text, size_t len, const char *endpoint, bool is_dataset);

/* How one object is uploaded; href NULL: the server has it. */
struct lfs_action {
    char oid[65]; uint64_t size;
    char *href, *verify;             /* verify NULL: not wanted                        */
    char **header; size_t n_headers; /* "Name: value" of a basic upload, ends with NULL */
    uint64_t part_bytes;             /* 0: one PUT to href                              */
    char **part, **etag; size_t n_parts;   /* addresses of parts; etag[i] NULL: not sent  */
};
struct lfs_batch { struct lfs_action *at; size_t n; };
/* `is_secure`: only https addresses. */
sc_status lfs_parse_batch(struct lfs_batch *out, const char *text, size_t len, bool is_secure, sc_error *err);
void      lfs_batch_release(struct lfs_batch *b);
void      lfs_action_release(struct lfs_action *a);
/* A half sent object as it is remembered. SC_E_FORMAT for what is none. */
sc_status lfs_state_read(struct lfs_action *out, const char *text, size_t len, bool is_secure, sc_error *err);
void      lfs_state_write(sc_text *out, const struct lfs_action *a);

/* ---- push_attributes.c: .gitattributes ------------------------------------------------------------------------------------------------ */

/* Whether the last line that speaks of `path` gives it filter=lfs. */
bool attributes_track(const char *text, size_t len, const char *path);
/* Appends a line for `path`. */
void attributes_add(struct buf *text, const char *path);

/* ---- push_hub.c, push_lfs.c: requests --------------------------------------------------------------------------------------------------- */

struct push {
    const sc_push_config *config;
    struct hub_env env;
    struct http http;
    char *repo; bool is_dataset;     /* full name once known                            */
    char *api;                       /* ENDPOINT/api/models/org/name                    */
    char *branch;
    char *home;
    struct push_files files;
    struct push_head head;
    uint64_t sent;                   /* bytes of large files that really went           */
};
sc_status push_name(struct push *p, const char *repo, sc_error *err);           /* checks and sets repo, is_dataset, api */
sc_status push_create(struct push *p, sc_error *err);
sc_status push_read_head(struct push *p, sc_error *err);                        /* makes the branch if need be */
sc_status push_ask_modes(struct push *p, sc_error *err);
sc_status push_check_readme(struct push *p, sc_error *err);
/* *again: after a failure, whether looking at the head and deciding anew may help. */
enum push_again { AGAIN_NO, AGAIN_MOVED /* the branch is another one */, AGAIN_UNKNOWN /* nobody knows whether the commit came to be */ };
sc_status push_commit(struct push_commit *out, enum push_again *again, struct push *p, char *const *remove, size_t n_remove, sc_error *err);
sc_status push_remote_text(struct buf *out, struct push *p, const char *path, sc_error *err);   /* a small file of the head; empty if there is none */
char     *push_address(const struct push *p);                                   /* of the repository, for people; mem_free it */
/* A sentence for an answer that is no success. */
sc_status push_refusal(const struct push *p, const struct http_reply *r, const char *what, sc_error *err);
/* Sends the large files that the server lacks. */
sc_status push_large(struct push *p, sc_error *err);

/* Gives what came from the Hub the name it has there, in the text that is sent: push_places.c. */
sc_status push_name_places(struct push *p, sc_error *err);

/* Writes README.md unless there is one of somebody else's. Which function does it is said in rows.c, since cards stand above. */
extern sc_status (*const push_write_card)(const char *directory, const char *repo, sc_error *err);

extern const struct sc_options push_options;

#endif
