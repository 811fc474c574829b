/* base.h - what every layer stands on: errors, memory, bytes, UTF-8, JSON, threads, files, random numbers, options.
 * Layer 0: includes libc, jansson, libyaml, libcrypto, libseccomp and the public header; nothing of the other folders. */
#ifndef BASE_H
#define BASE_H

#include <jansson.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "starchat.h"

/* ---- error.c ------------------------------------------------------------------------------------------------- */

/* Fills *err (if not NULL) and returns `status`. Use the macro, which adds file:line. */
sc_status error_set(sc_error *err, sc_status status, const char *where, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
#define BASE_STR_(x) #x
#define BASE_STR(x) BASE_STR_(x)
#define FAIL(err, status, ...) error_set((err), (status), __FILE__ ":" BASE_STR(__LINE__), __VA_ARGS__)
/* Forwards a failure of `call`. */
#define TRY(call) do { sc_status try_status_ = (call); if (try_status_ != SC_OK) return try_status_; } while (0)
/* As TRY, for functions with a `done:` label and a local `sc_status status`. */
#define TRY_DONE(call) do { if ((status = (call)) != SC_OK) goto done; } while (0)
/* Puts "what: " before the message already in *err, to name the object that a deeper layer did not know. Returns
 * err's status. */
sc_status error_prefix(sc_error *err, sc_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
/* Text from files for use inside a message: what fits in whole characters, control characters and what is no UTF-8 as
 * \xNN. Returns `out`. */
const char *error_quote(char *out, size_t out_bytes, const char *text, size_t len);

/* ---- arena.c: memory ------------------------------------------------------------------------------------------ */

/* Small allocations: never NULL, the process ends with a message if the machine has no memory left. */
void *mem_alloc(size_t bytes);                      /* uninitialised */
void *mem_zero(size_t count, size_t size);
void *mem_grow(void *old, size_t bytes);
char *mem_strndup(const char *text, size_t len);    /* adds a NUL */
char *mem_strdup(const char *text);
void  mem_free(void *p);                            /* NULL allowed */
/* Large allocations (weights, caches): SC_E_MEMORY with a sentence that names `what` and the sizes. Pages are
 * untouched (zero) until used. Release with mem_unreserve. */
sc_status mem_reserve(void **out, size_t bytes, const char *what, sc_error *err);
void      mem_unreserve(void *p, size_t bytes);
void      mem_prefer_large_pages(void *p, size_t bytes);       /* of mem_reserve, before it is used */

/* Overflow-checked arithmetic on numbers from files: true when the result fits. */
static inline bool size_mul(size_t a, size_t b, size_t *out) { return !__builtin_mul_overflow(a, b, out); }
static inline bool size_add(size_t a, size_t b, size_t *out) { return !__builtin_add_overflow(a, b, out); }

/* Memory with one lifetime, given back all at once. Blocks grow by need; memory is 64-byte aligned. */
struct arena { struct arena_block *first, *current; size_t used, peak; };
struct arena_mark { struct arena_block *block; size_t at, used; };
void  arena_init(struct arena *a);
void  arena_release(struct arena *a);                       /* gives everything back to the system */
void *arena_take(struct arena *a, size_t bytes);            /* uninitialised, never NULL           */
void *arena_zero(struct arena *a, size_t bytes);
char *arena_strndup(struct arena *a, const char *text, size_t len);
struct arena_mark arena_mark(const struct arena *a);
void  arena_rewind(struct arena *a, struct arena_mark m);   /* forgets all taken since the mark; keeps the memory */

/* ---- buf.c: growable bytes with a ceiling ----------------------------------------------------------------------- */

/* `data` always has a NUL at data[len] once anything was appended. After an append that would pass `max` (0: none)
 * nothing is added any more and `is_full` stays true: test it once at the end. */
struct buf { char *data; size_t len, cap, max; bool is_full; };
void buf_init(struct buf *b, size_t max);
void buf_release(struct buf *b);
void buf_clear(struct buf *b);                               /* empties, keeps the memory */
void buf_append(struct buf *b, const void *bytes, size_t len);
void buf_puts(struct buf *b, const char *text);
void buf_putc(struct buf *b, char c);
void buf_printf(struct buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_put_utf8(struct buf *b, uint32_t code_point);
void buf_put_json_string(struct buf *b, const char *utf8, size_t len); /* with quotes; non-ASCII kept as it is */
void buf_take(struct buf *b, sc_text *out);                  /* moves the bytes to a result; b is empty then */

/* ---- utf8.c ---------------------------------------------------------------------------------------------------- */

/* Bytes of the character at `s` (1..4) with its code point, or -k when the first k bytes (1..3) are a maximal
 * invalid part (Unicode 15, section 3.9, U+FFFD substitution of maximal subparts). len >= 1. */
int    utf8_next(const char *s, size_t len, uint32_t *code_point);
int    utf8_put(char out[4], uint32_t code_point);            /* bytes written */
bool   utf8_is_valid(const char *s, size_t len);
void   utf8_repair(struct buf *out, const char *s, size_t len); /* each invalid part becomes U+FFFD */
size_t utf8_incomplete_tail(const char *s, size_t len);       /* 0..3 bytes at the end that may begin a character */
size_t utf8_count(const char *s, size_t len);                 /* code points of valid text */

/* ---- json.c: jansson with limits and messages -------------------------------------------------------------------- */

/* Strict JSON, duplicate keys refused, depth <= 128; whole numbers beyond 64 bits become reals. `what` names the text in messages. Caller owns *out. */
sc_status json_read(json_t **out, const char *text, size_t len, const char *what, sc_error *err);
/* The same for a record of a data file that begins on line `line` of it: messages name the line of the file. */
sc_status json_read_line(json_t **out, const char *text, size_t len, uint64_t line, sc_error *err);
sc_status json_read_file(json_t **out, const char *path, size_t max_bytes, sc_error *err);
/* Typed members of an object. `opt` forms give `fallback` for an absent or null member; all refuse a wrong type or a
 * value outside [min, max] with a message naming `what` (the file) and the key. */
sc_status json_need_int(int64_t *out, const json_t *object, const char *key, int64_t min, int64_t max, const char *what, sc_error *err);
sc_status json_opt_int(int64_t *out, const json_t *object, const char *key, int64_t fallback, int64_t min, int64_t max, const char *what, sc_error *err);
sc_status json_opt_real(double *out, const json_t *object, const char *key, double fallback, double min, double max, const char *what, sc_error *err);
sc_status json_opt_bool(bool *out, const json_t *object, const char *key, bool fallback, const char *what, sc_error *err);
sc_status json_opt_string(const char **out, const json_t *object, const char *key, const char *fallback, const char *what, sc_error *err); /* borrowed */
sc_status json_write(sc_text *out, const json_t *value, bool indent);
json_t   *json_real_or_null(double x);                /* null where x is no finite number, which JSON cannot hold */
void      json_put_real(json_t *object, const char *key, double x);      /* the same as a member */
const char *json_type_words(const json_t *v);               /* for messages: "a list", "a text"...; NULL: "missing" */

/* ---- json_tree.c ---------------------------------------------------------------------------------------------------- */

/* The value of strict JSON without duplicate keys, nested at most `depth_max` levels; NULL for anything else. Caller owns it. */
json_t *json_tree(const char *text, size_t len, int depth_max);

/* ---- json_scan.c: strict JSON read once from left to right, without building a tree ------------------------------- */

/* A cursor over text that is known to be valid UTF-8. */
struct json_scan { const char *text; size_t len, at; const char *what; sc_error *err; };
struct scan_string { const char *raw; size_t len; bool has_escape; };    /* between the quotes */
bool scan_peek(struct json_scan *s, char c);          /* next after white space; not taken */
bool scan_take(struct json_scan *s, char c);          /* taken if it is there */
sc_status scan_need(struct json_scan *s, char c);
sc_status scan_string(struct json_scan *s, struct scan_string *out);
/* Digits only: no sign, fraction, exponent or leading zero. */
sc_status scan_uint(struct json_scan *s, uint64_t *out);
sc_status scan_skip(struct json_scan *s);             /* any value, at most 64 levels deep */
sc_status scan_end(struct json_scan *s);              /* nothing but white space is left */
/* Continues a list after an item: *more is false when `close` was taken. */
sc_status scan_more(struct json_scan *s, char close, bool *more);
bool scan_equals(const struct scan_string *s, const char *text);
/* The text of the string: in place, or in `scratch` (cleared first) if it has escapes. False, with the text before it,
 * when an escape is half a surrogate pair. */
bool scan_text(const struct scan_string *s, struct buf *scratch, const char **text, size_t *len);

/* ---- yaml.c: recipes ------------------------------------------------------------------------------------------------ */

/* One YAML document as JSON values (an empty one: null). Plain scalars get the types that PyYAML's safe_load gives them,
 * and 1e-5 is a number too; duplicate keys, aliases and more than 32 levels are refused. Messages begin with `what` and the
 * line. *lines (may be NULL): the line of each key of the outermost map. Caller owns both. */
sc_status yaml_read(json_t **out, json_t **lines, const char *text, size_t len, const char *what, sc_error *err);
sc_status yaml_read_file(json_t **out, json_t **lines, const char *path, size_t max_bytes, sc_error *err);
/* A plain scalar alone; NULL if it is no finite number or holds a NUL. New reference. */
json_t   *yaml_scalar(const char *text, size_t len);

/* settings.c: sc_settings_read of a text; messages begin with `what`. */
sc_status settings_parse(sc_settings *out, const char *text, size_t len, const char *what, sc_error *err);

/* ---- pool.c: threads ----------------------------------------------------------------------------------------------- */

struct pool;
sc_status pool_open(struct pool **out, int threads, sc_error *err);   /* threads >= 1, the caller counts as one */
void      pool_close(struct pool *p);
int       pool_threads(const struct pool *p);
/* Calls fn(arg, i, worker) for each i in 0..n-1 on the pool and returns when all are done. `worker` is 0..threads-1,
 * for scratch memory. Calls begin in rising order of i, but which worker runs which is not defined: results must not depend on it. */
void pool_run(struct pool *p, size_t n, void (*fn)(void *arg, size_t i, int worker), void *arg);

/* ---- system.c: files, clock, machine --------------------------------------------------------------------------------- */

struct mapped_file { const uint8_t *data; size_t size; int64_t modified; };   /* read-only; size 0: data NULL; modified: ns since 1970 */
sc_status file_map(struct mapped_file *out, const char *path, sc_error *err);
void      file_unmap(struct mapped_file *f);
/* Lets go of the memory behind a part of a mapping that will not be read again soon; reading it again still works. */
void      file_forget(const void *data, size_t bytes);
sc_status file_read(sc_text *out, const char *path, size_t max_bytes, sc_error *err); /* whole small file */
sc_status file_write(const char *path, const void *data, size_t len, sc_error *err);  /* temporary name, fsync, rename */
/* A file that appears under `path` only when complete: write to w->fd (or w->path), then publish or discard. */
struct file_writer { int fd; char *path, *temporary; };
sc_status file_writer_open(struct file_writer *w, const char *path, sc_error *err);
/* Takes disk space for `bytes` before the work starts, so that a full disk is known at once; nothing on file systems
 * that cannot. */
sc_status file_writer_reserve(struct file_writer *w, size_t bytes, sc_error *err);
sc_status file_writer_put(struct file_writer *w, const void *data, size_t len, sc_error *err);
sc_status file_writer_publish(struct file_writer *w, sc_error *err);   /* fsync, rename, fsync of the directory */
void      file_writer_discard(struct file_writer *w);                  /* safe after publish                    */
bool      path_exists(const char *path);
bool      path_is_directory(const char *path);
char     *path_join(const char *directory, const char *name);          /* mem_free it */
bool      path_ends_with(const char *path, const char *suffix);
sc_status path_make_directories(const char *path, sc_error *err);      /* like mkdir -p */
void      remove_plain_directory(const char *path);                    /* with the files in it; directories in it stay, and it too then */
bool      path_link_files(const char *from, const char *to);             /* makes `to` with links to the plain files of `from`; false if one could not be linked */
double    clock_seconds(void);                                         /* monotonic */
void      system_random(void *out, size_t bytes);                      /* from the kernel */
int       system_cores(void);                                          /* this process may run on */
uint64_t  system_memory(void);                                         /* bytes of the machine (or cgroup limit) */
uint64_t  system_peak_memory(void);                                    /* VmHWM of this process */
struct cpu_features { bool avx2, fma, f16c, avx512f, avx512bw, avx512vl, avx512_vnni, avx512_bf16, avx_vnni, amx_int8, amx_bf16; char model[64]; };
const struct cpu_features *system_cpu(void);
/* Another text for every build of this program or library, for what only the same code may read back. */
void      system_build(char out[48]);
/* Edit distance with swaps, for "did you mean": small strings only. */
int       text_distance(const char *a, const char *b);

/* ---- random.c: Philox 4x32-10 (Salmon et al., SC11), counter based: nothing to save, any order gives the same bits */

void   philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2]);
/* Number i of stream (seed, stream). */
uint32_t random_u32(uint64_t seed, uint64_t stream, uint64_t i);
double   random_unit(uint64_t seed, uint64_t stream, uint64_t i);      /* in [0, 1), 53 bits */
void     random_drop(float *x, size_t n, float p, uint64_t seed, uint64_t stream, uint64_t first); /* x[j] = 0 with probability p (by number first+j), else x[j] / (1-p) */
void     random_normal(float *out, size_t n, uint64_t seed, uint64_t stream, uint64_t first); /* N(0,1), out[j] = number first+j */

/* ---- sha256.c -------------------------------------------------------------------------------------------------------- */

struct sha256 { void *context; };
void sha256_begin(struct sha256 *s);
void sha256_add(struct sha256 *s, const void *data, size_t len);
void sha256_end(struct sha256 *s, char hex[65]);   /* releases s */

/* ---- options.c --------------------------------------------------------------------------------------------------------- */

enum option_type { OPT_BOOL, OPT_INT, OPT_UINT, OPT_REAL, OPT_STRING, OPT_CHOICE };
/* One row per field. `choices` (OPT_CHOICE): "a|b|c". `fallback` NULL for a string: the field stays NULL. */
struct option { const char *name; enum option_type type; size_t offset; double min, max; const char *fallback, *choices, *help; };
struct sc_options { const char *name; size_t config_bytes; const struct option *rows; size_t n_rows; };
extern const struct sc_options *const option_tables[];   /* rows.c; NULL at the end */

#endif
