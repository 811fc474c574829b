/* text.h - tokenizers and chat templates.
 *
 * Rule of trust: bytes that come from people, tools, files or models never become a special token. Only template text
 * and callers that ask for it may. Layer 3: includes format (vocabularies live in model files) and base. */
#ifndef TEXT_H
#define TEXT_H

#include "format/format.h"

/* ---- tokenizer -------------------------------------------------------------------------------------------------------- */

/* Immutable after open, apart from tokenizer_add; may be shared between threads. Byte-level BPE. */
struct tokenizer;
/* The public handle is the same object under another name. */
static inline const sc_tokenizer *tokenizer_public(const struct tokenizer *t) { return (const sc_tokenizer *)t; }
struct token_list { int32_t *id; size_t len, cap; };               /* zero-initialise; release with token_list_release */
void token_list_push(struct token_list *l, int32_t id);
void token_list_release(struct token_list *l);

/* Half-open byte range of a text. */
struct span { size_t begin, end; };

/* `what` names the file in messages. Source: Hugging Face tokenizers 0.2x (tokenizer.json), llama.cpp's gguf keys. */
sc_status tokenizer_open_json(struct tokenizer **out, const char *json, size_t len, const char *what, sc_error *err);
sc_status tokenizer_open_gguf(struct tokenizer **out, const struct model_file *m, sc_error *err);
/* From a path: tokenizer.json, a directory that holds one (with added_tokens.json and tokenizer_config.json), or a .gguf. */
sc_status tokenizer_open(struct tokenizer **out, const char *path, sc_error *err);
void      tokenizer_close(struct tokenizer *t);

size_t  tokenizer_vocab(const struct tokenizer *t);                /* highest id + 1 */
/* Appends the ids of text[0..len). A special token, or an added one that looks like markup (<...> or [...]), is
 * recognised only where it lies wholly inside the `trusted` spans (rising; touching ones count as one); elsewhere its
 * letters are plain text, and no merge makes it. Other added tokens are recognised everywhere, as in the reference.
 * All else is tokenised as one text, so merges cross span borders exactly as in the reference. Invalid UTF-8 is first
 * replaced by U+FFFD. Adds no begin or end token. Safe from many threads at once. */
void    tokenizer_encode(const struct tokenizer *t, struct token_list *out, const char *text, size_t len, const struct span *trusted, size_t n_trusted);
/* begin[i] becomes the first byte of `text` that token i stands for, begin[n] = len; n + 1 elements. `id` comes from
 * tokenizer_encode of the text. White space that an added token swallows belongs to the next token. SC_E_FORMAT where a
 * normaliser has changed the text, so that the tokens spell another one. */
sc_status tokenizer_align(size_t *begin, const struct tokenizer *t, const int32_t *id, size_t n, const char *text, size_t len, sc_error *err);
/* The text in the Unicode form that the tokenizer works in, valid UTF-8, appended to out. */
void    tokenizer_normalize(const struct tokenizer *t, struct buf *out, const char *text, size_t len);
bool    tokenizer_is_normal(const struct tokenizer *t, const char *text, size_t len);   /* may say no for a text that is */
/* The raw bytes of one id, borrowed; NULL for an unknown one. */
const char *tokenizer_bytes(const struct tokenizer *t, int32_t id, size_t *len);
/* Appends the raw bytes of the ids (may be broken UTF-8: see text_stream). Unknown ids add nothing. */
void    tokenizer_decode(const struct tokenizer *t, struct buf *out, const int32_t *id, size_t n, bool skip_special);
bool    tokenizer_is_special(const struct tokenizer *t, int32_t id);
int32_t tokenizer_find(const struct tokenizer *t, const char *content, size_t len);   /* id of a whole token's text (added tokens first); -1 */
/* What opening had to guess, as one sentence; "" if nothing. */
const char *tokenizer_notice(const struct tokenizer *t);
/* Adds special tokens that are missing; a known content keeps its id. New ids follow the highest. Returns how many
 * were new. Not for a shared tokenizer. */
size_t  tokenizer_add(struct tokenizer *t, const char *const *content, size_t n);
enum token_role { TOKEN_BOS, TOKEN_EOS, TOKEN_UNK, TOKEN_PAD, TOKEN_EOT, TOKEN_FIM_PREFIX, TOKEN_FIM_SUFFIX, TOKEN_FIM_MIDDLE, TOKEN_ROLE_COUNT };
int32_t tokenizer_role(const struct tokenizer *t, enum token_role role);              /* -1: none */
bool    tokenizer_adds_bos(const struct tokenizer *t);
/* ORDER token types of GGUF. */
enum gguf_token { GGUF_TOKEN_NORMAL = 1, GGUF_TOKEN_UNKNOWN, GGUF_TOKEN_CONTROL, GGUF_TOKEN_USER_DEFINED, GGUF_TOKEN_UNUSED, GGUF_TOKEN_BYTE };
/* For writing GGUF: text of a token as stored there (byte symbols, or plain for added ones), its enum gguf_token; and
 * the merges "a b" in rank order. */
const char *tokenizer_gguf_token(const struct tokenizer *t, size_t id, size_t *len, int *type);
size_t  tokenizer_merges(const struct tokenizer *t);
void    tokenizer_merge(const struct tokenizer *t, size_t rank, struct buf *out);
/* What a name of tokenizer.ggml.pre stands for, in the form of tokenizer.json; the caller owns the values. False for an
 * unknown name. */
struct pre_json { json_t *normalizer, *pre_tokenizer; bool ignore_merges; };
bool tokenizer_pre_json(struct pre_json *out, const char *name, size_t len);
const char *tokenizer_pre_name(const struct tokenizer *t);         /* "starcoder", "gpt-2", "llama-bpe", "qwen2", "deepseek-coder", "smollm" ... or "custom" */

/* Turns decoded bytes into whole characters: holds back at most 3 bytes. */
struct text_stream { char held[4]; size_t n_held; };
void text_stream_put(struct text_stream *s, struct buf *out, const char *bytes, size_t len);  /* broken bytes become U+FFFD */
void text_stream_end(struct text_stream *s, struct buf *out);

/* python_text.c: as str.isspace, str.strip and str.upper or lower see it. Bytes of the white space character that a text begins or ends with; 0: none. */
size_t text_space_at_begin(const char *text, size_t len);
size_t text_space_at_end(const char *text, size_t len);
struct span text_strip(const char *text, size_t len);
void   text_put_case(struct buf *out, const char *text, size_t len, bool upper);

/* Does a Python regular expression match the whole of `subject`? `what` names the file in messages. */
sc_status pattern_matches(bool *out, const char *pattern, const char *subject, const char *what, sc_error *err);
/* The same kind of expression for many texts, in valid UTF-8; belongs to one thread. */
struct pattern;
sc_status pattern_open(struct pattern **out, const char *pattern, const char *what, sc_error *err);
void      pattern_close(struct pattern *p);
size_t    pattern_groups(const struct pattern *p);
/* Matches from left to right as re.finditer gives them: the next one behind *at, which is zero at first. group[0] is all of it; one that took no part
 * is SIZE_MAX. What needs too many steps does not match. */
struct pattern_place { size_t from; bool is_behind_empty; };
bool      pattern_find(struct pattern *p, const char *text, size_t len, struct pattern_place *at, struct span *group, size_t n_groups);
/* Appends re.sub(pattern, replacement, text). */
void      pattern_replace(struct buf *out, struct pattern *p, const char *replacement, const char *text, size_t len);

/* ---- Jinja ---------------------------------------------------------------------------------------------------------------- */

/* A compiled template; immutable, may be shared. The subset that real chat templates use, in the environment of
 * transformers.apply_chat_template (Jinja2 3.1, trim_blocks, lstrip_blocks, loopcontrols, tojson, raise_exception,
 * strftime_now). SC_E_FORMAT names the line of a mistake. */
struct jinja;
sc_status jinja_compile(struct jinja **out, const char *source, size_t len, const char *what, sc_error *err);
void      jinja_free(struct jinja *j);
bool      jinja_has_generation(const struct jinja *j);               /* marks what the assistant said */
/* Rendered text and where it came from: bytes inside `trusted` are the template's own (or of bos_token, eos_token and
 * the like), all others come from messages and other variables. */
struct rendered {
    sc_text text;
    struct span *trusted; size_t n_trusted;
    uint8_t *mark;                                /* a byte of marks for each byte of text                       */
};
/* MARK_GENERATED: inside {% generation %}, what the assistant said. From MARK_MESSAGE on, 0 or 1 + i % MARK_MESSAGES:
 * the byte comes from messages[i]. */
enum mark { MARK_TRUSTED = 1, MARK_GENERATED = 2, MARK_MESSAGE = 4, MARK_MESSAGES = 62 };
static inline unsigned mark_message(uint8_t mark) { return mark / MARK_MESSAGE; }
void      rendered_release(struct rendered *r);
/* `variables`: JSON object. `now`: seconds since 1970 for strftime_now. Variables named in `trusted_names` (NULL-
 * terminated) count as template text. Limits (jinja_internal.h): 4 million steps, 64 nested calls, 4 MiB of output,
 * 256 MiB of memory. Errors of the template with these variables, raise_exception among them, are SC_E_ARGUMENT. */
sc_status jinja_render(struct rendered *out, const struct jinja *j, const json_t *variables, int64_t now, const char *const *trusted_names, sc_error *err);

/* ---- chat templates --------------------------------------------------------------------------------------------------------- */

/* Built-in templates are rows: name, Jinja source, the special tokens they need, the strings that end an answer. */
struct chat_template_row { const char *name, *alias, *source; const char *tokens[8]; const char *stop[4]; const char *help;
    const char *dialogue[5];    /* system text, tokens of system, user, assistant and end, of StarChat's form; NULL: another */ };
extern const struct chat_template_row chat_templates[];            /* rows end with name NULL */
struct chat_template { struct jinja *jinja; const struct chat_template_row *row; char *source; };   /* row NULL: a file's own */
/* `name`: built-in name or alias, or a path to a Jinja file. */
sc_status chat_template_open(struct chat_template *out, const char *name, sc_error *err);
sc_status chat_template_from_source(struct chat_template *out, const char *source, size_t len, const char *what, sc_error *err);
/* From StarChat's own dialogue_template.json {system, messages, system_token, user_token, assistant_token, end_token}. */
sc_status chat_template_from_dialogue_json(struct chat_template *out, const json_t *dialogue_template, const char *what, sc_error *err);
/* A built-in template in that form; NULL for others. The caller owns it. */
json_t   *chat_template_dialogue_json(const struct chat_template *t);
/* A model's own: dialogue_template.json, else its Jinja template; SC_E_UNSUPPORTED if it has none. */
sc_status chat_template_from_model(struct chat_template *out, const struct model_file *m, sc_error *err);
void      chat_template_release(struct chat_template *t);
/* The variables bos_token, eos_token, pad_token and unk_token that templates may use, as far as the tokenizer has them;
 * the caller owns the object. Their names are trusted. */
json_t   *template_tokens(const struct tokenizer *t);
extern const char *const template_token_names[];                   /* ends with NULL                   */
int64_t   template_now(void);                                      /* local time for strftime_now      */

#endif
