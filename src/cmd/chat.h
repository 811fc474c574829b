/* chat.h - the parts of `starchat chat`, private to this folder. Pure parts (string, collector, command line of the
 * chat, few-shot prompt, Markdown) know nothing of model and terminal and are tested alone. */
#ifndef CHAT_H
#define CHAT_H

#include <stdatomic.h>
#include <termios.h>

#include "cmd/cmd.h"

/* ---- chat_text.c: growable text, messages ---------------------------------------------------------------------------- */

/* `data` has a NUL at data[len] once anything was added. Memory that runs out ends the program with a message. */
struct string { char *data; size_t len, cap; };
void string_add(struct string *s, const char *bytes, size_t len);
void string_puts(struct string *s, const char *text);
void string_printf(struct string *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void string_clear(struct string *s);                  /* empties, keeps the memory */
void string_release(struct string *s);
char *string_take(struct string *s);                  /* malloc'ed, never NULL; s is empty then */
/* Adds text of a person or a file so that it is whole UTF-8 without NUL: what is broken becomes U+FFFD. Returns how
 * many places were. */
size_t string_add_repaired(struct string *s, const char *bytes, size_t len);
/* Text without white space at its ends. */
const char *text_trim(const char *text, size_t *len);

/* Owns the contents; roles are constants. A system message, if any, is the first. */
struct conversation { sc_message *message; size_t n, cap; };
void conversation_add(struct conversation *c, const char *role, const char *text, size_t len);
void conversation_set_system(struct conversation *c, const char *text);   /* NULL or "": none */
const char *conversation_system(const struct conversation *c);            /* NULL: none */
void conversation_cut(struct conversation *c, size_t n);                  /* keeps the first n messages */
size_t conversation_last_user(const struct conversation *c);              /* index; c->n if there is none */
void conversation_clear(struct conversation *c);                          /* keeps the system message */
void conversation_release(struct conversation *c);

/* ---- chat_input.c: from lines to messages and commands ---------------------------------------------------------------- */

/* Collects lines until a message is whole. A line that ends in a backslash, an opening ``` and an opening """ ask for
 * more. A line may itself hold newlines (a paste): then only its last line is looked at for a backslash. */
enum collector_mode { COLLECT_PLAIN, COLLECT_FENCE, COLLECT_QUOTES };
struct collector { struct string text; enum collector_mode mode; size_t fence; bool is_begun; };
bool collector_add(struct collector *c, const char *line);     /* true: c->text is a whole message */
void collector_reset(struct collector *c);
void collector_release(struct collector *c);

struct chat;
enum chat_next { CHAT_GO_ON, CHAT_LEAVE };
struct chat_command {
    const char *name, *alias, *operand, *help;                /* operand as shown in /help; "": none */
    enum chat_next (*run)(struct chat *c, const char *rest);
};
extern const struct chat_command chat_commands[];              /* chat_commands.c; ends with name NULL */
/* Is the text a command of the chat? Text that merely begins with a slash (a path, a comment) is none. `*rest` is what
 * follows the name, trimmed at its beginning. `*row` NULL: unknown, `*nearest` is what may be meant, or NULL. */
bool chat_command_parse(const char *text, const struct chat_command **row, const char **rest, const char **nearest);

/* ---- fewshot.c: a base model as assistant by prompt alone ---------------------------------------------------------------- */

struct fewshot { char *name, *prompt; size_t len; int human_spaces, assistant_spaces; };
/* `name`: a built-in ("ta") or a file. ARGS_GO or an exit code after a message. */
int  fewshot_open(struct fewshot *f, const char *name);
void fewshot_release(struct fewshot *f);
/* Takes a copy; line ends become LF, so that stop strings are found. */
void fewshot_set(struct fewshot *f, const char *text, size_t len);
/* Finds out how the prompt writes its turns; false if it has no lines that begin with Human: and Assistant:. */
bool fewshot_detect(struct fewshot *f);
/* The prompt as it is, then the turns; after a last message of the user it ends where the assistant begins. */
void fewshot_render(struct string *out, const struct fewshot *f, const sc_message *message, size_t n);
extern const char *const fewshot_stops[];                      /* end an answer; ends with NULL */

/* ---- markdown.c: Markdown while it streams --------------------------------------------------------------------------------- */

/* Colours what is certain and removes nothing: without the escape sequences the output is the safe text itself, so
 * that it can be copied. Holds back only the few characters that may become a marker. */
enum { MARKDOWN_HELD = 96 };
struct markdown {
    FILE *to;
    bool is_on;                       /* false: safe text on a terminal, the bytes themselves elsewhere */
    int place, style, base;           /* where in the line; style on the terminal; style of plain text here */
    char held[MARKDOWN_HELD]; size_t n_held;
    char fence; size_t fence_len, fence_indent;        /* of the open code block */
    size_t item_width;                /* list markers before the block in this line */
    char run; size_t run_len;         /* markers that wait for the next character */
    size_t ticks;                     /* of the open inline code; 0: none */
    bool is_bold;
    char before;                      /* the character before the run */
};
void markdown_begin(struct markdown *m, FILE *to, bool is_on);
void markdown_put(struct markdown *m, const char *utf8, size_t len);   /* whole characters */
void markdown_end(struct markdown *m);                                 /* writes what is held, ends all styles */

/* ---- terminal.c, terminal_readline.c or terminal_plain.c ------------------------------------------------------------------- */

struct terminal {
    int signals;                      /* signalfd of SIGINT; -1: none */
    int wake;                         /* eventfd that ends the watcher */
    FILE *out;                        /* where prompts go */
    bool is_colored, has_escapes, is_prepared, has_saved, is_watched;
    struct termios saved;
    sc_runtime *runtime;              /* cancelled by Ctrl-C during an answer */
    pthread_t watcher;
    atomic_bool is_interrupted;
    char *line; bool is_done;         /* of the line being read */
};
/* INTERRUPT: Ctrl-C on an empty line; CLEARED: on a line with text, which is given up; END: Ctrl-D. */
enum terminal_event { TERMINAL_LINE, TERMINAL_INTERRUPT, TERMINAL_CLEARED, TERMINAL_END };
/* From here on SIGINT is blocked in this thread and those it starts; terminal_read and the watcher look at it. */
int  terminal_open(struct terminal *t);               /* ARGS_GO or an exit code */
void terminal_close(struct terminal *t);
/* One line, or one paste with its newlines; malloc'ed, with TERMINAL_LINE only. */
enum terminal_event terminal_read(struct terminal *t, const char *prompt, char **line);
void terminal_history_add(const char *text);
/* During an answer: Ctrl-C cancels `runtime` and sets is_interrupted; typed characters are not echoed and wait. */
void terminal_answer_begin(struct terminal *t, sc_runtime *runtime);
void terminal_answer_end(struct terminal *t);
bool terminal_take_interrupt(struct terminal *t);     /* was there a Ctrl-C? forgets it */

/* ---- chat_store.c: files, history, conversations in files ------------------------------------------------------------------------- */

enum { HISTORY_KEPT = 1000, FILE_BYTES_MAX = 64 << 20 };
char *path_in(const char *directory, const char *name);         /* malloc'ed */
char *path_expand(const char *path);                            /* "~/x" in $HOME; malloc'ed */
/* A file that appears only when complete, readable by its owner alone. False: errno says why. */
bool  file_replace(const char *path, const char *bytes, size_t len);
void  history_escape(struct string *out, const char *text);     /* one line for one entry */
void  history_unescape(struct string *out, const char *line, size_t len);
/* These complain once, on stderr, and go on: a chat without a writable home is still a chat. */
void  history_load(struct chat *c);
void  history_append(struct chat *c, const char *text);
bool  directory_make(const char *path);                         /* with its parents, for the owner alone */

/* {"model","few_shot","messages":[{"role","content"}],"settings":{...}} */
struct saved { struct conversation talk; sc_sample_config sample; char *model, *few_shot; bool has_settings; };
void saved_write(struct string *out, const struct saved *s);
/* `s` holds the present sampling before the call. False, with a sentence in err->message, if `json` is none such. */
bool saved_read(struct saved *s, const char *json, size_t len, const char *what, sc_error *err);
/* Options as JSON; what this version does not know is left alone. False: a value is refused. */
bool saved_settings(struct saved *s, const json_t *settings, sc_error *err);
void saved_release(struct saved *s);
bool chat_write(struct chat *c, const char *path);              /* false: errno says why */
/* The file's conversation instead of the present one. Returns ARGS_GO or an exit code after a message. */
int  chat_read(struct saved *s, const struct chat *c, const char *path);
/* Moves the conversation into the chat and shows its end. */
void chat_adopt(struct chat *c, struct saved *s, bool settings);

/* ---- chat_kept.c: conversations kept without asking ---------------------------------------------------------------------------- */

enum { KEPT_LISTED = 1000, KEPT_SHOWN = 10 };
/* What the store has of the present conversation: its members, and messages from the first to the last shown with their ids. */
struct kept {
    sc_talks *talks;                        /* NULL: not opened yet, or cannot be */
    char *id;                               /* NULL: not kept yet */
    json_t *record, *settings;              /* settings: of the chat, when they were last the conversation's */
    struct conversation row; char **id_of; size_t n, cap;
    bool is_tried, has_complained;
    sc_error failure;                       /* why it cannot be opened */
};
/* After a change of the conversation or its settings. Complains once, on stderr, and goes on. */
void  chat_autosave(struct chat *c);
/* Of the list of kept_show, where 1 is the newest; malloc'ed, NULL: there is none. ARGS_GO or an exit code after a message. */
int   kept_id(char **out, struct chat *c, size_t number);
/* From now on the chat goes on with that conversation, once it was adopted. ARGS_GO or an exit code after a message. */
int   kept_read(struct saved *s, struct chat *c, const char *id);
void  kept_adopted(struct chat *c);                             /* the settings are those of the conversation now */
void  kept_forget(struct chat *c);                              /* what comes is another conversation */
void  kept_show(struct chat *c);                                /* a numbered list of the newest */
void  kept_close(struct chat *c);

/* ---- chat.c, chat_answer.c, chat_commands.c ------------------------------------------------------------------------------------------------------ */

struct answer_figures { size_t prompt, reused, tokens; double seconds, first_seconds; sc_stop reason; };
struct chat {
    struct args_common *common;
    const char *model_name;                 /* as given on the command line */
    sc_runtime *runtime; sc_model *model; sc_session *session;
    struct conversation talk;
    struct fewshot fewshot; bool has_fewshot;
    const char *template_name;              /* as given; NULL: the model's own */
    const char *system;                     /* as given; NULL: none */
    sc_sample_config sample;
    struct sample_extra extra;
    const char *stop[ARGS_MAX_GIVEN + 8];   /* of the few-shot prompt, then those of the command line */
    struct conversation given;              /* values given to /set, which the config borrows */
    uint64_t answers;                       /* so far; each draws its own numbers */
    int32_t *past; size_t n_past, past_cap; /* tokens the session holds */
    size_t chunk, step;                     /* tokens read at once: at most, at present */
    struct { pthread_t thread; sc_tokens prompt; atomic_bool is_stopped; bool is_on; } ahead;
    sc_prompt_cache *cache;                 /* NULL: none */
    struct answer_figures last;
    struct string answer;                   /* text of the present answer */
    struct markdown markdown;
    struct terminal terminal;
    bool is_interactive, is_silent, is_utf8, has_figures, is_kept, is_home_broken;
    char *home;                             /* store home; NULL: none */
    struct kept kept;
    const char *answer_status;              /* of the answer that is not kept yet; NULL: none */
};
enum answer_end { ANSWER_DONE, ANSWER_INTERRUPTED, ANSWER_FAILED };
/* Answers the conversation, whose last message is the user's; streams to stdout and appends the answer. Interrupted
 * before the first character or failed (after a message), the conversation stays as it was. */
enum answer_end chat_answer(struct chat *c);
/* The message of a run without a person: `prompt` (NULL: none), then the piped text, fenced if there is both. False: empty. */
bool chat_compose(struct string *out, const char *prompt, const char *piped, size_t len);
/* Tokens of the conversation as it would be sent. Free with sc_tokens_free. */
sc_status chat_encode(struct chat *c, sc_tokens *out, sc_error *err);
/* Adds the message, answers, saves. What cannot be answered leaves the conversation as it was. */
enum answer_end chat_ask(struct chat *c, const char *text, size_t len);
void chat_report(struct chat *c, enum answer_end end);    /* the lines after an answer */
void chat_dim(const struct chat *c, const char *format, ...) __attribute__((format(printf, 2, 3)));  /* a line of the chat itself */

/* ---- chat_prompt.c ------------------------------------------------------------------------------------------------------------------ */

/* Brings the session to the prompt; fills c->last.prompt and reused. */
sc_status chat_read_prompt(struct chat *c, const sc_tokens *prompt, sc_error *err);
void past_keep(struct chat *c, const int32_t *id, size_t n, size_t from);   /* past[from..] = id[0..n), and ends there */
/* Reads, in a thread, what the next answer needs in any case, and keeps what was read, until `end` is called; nothing else may touch the session
 * or the conversation meanwhile. */
void chat_ahead_begin(struct chat *c);
void chat_ahead_end(struct chat *c);
void chat_keep(struct chat *c);                           /* the session's past to the prompt cache, if conversations are kept and it pays */

#endif
