/* ui.h - what the chat page asks for: docs/page-api.md on the store of conversations. An answer is a job of the server: it goes on whether or
 * not somebody listens, is written to the store as it grows, and whoever comes later gets it from its beginning. */
#ifndef UI_H
#define UI_H

#include "serve/server.h"
#include "talks/talks.h"

enum { ANSWERS_MAX = 64 };

/* ---- ui_talks.c: conversations; on the store's thread ------------------------------------------------------------------------------- */

bool ui_list(struct call *c, struct api_error *e);
bool ui_create(struct call *c, struct api_error *e);
bool ui_get(struct call *c, struct api_error *e);
bool ui_update(struct call *c, struct api_error *e);
bool ui_delete(struct call *c, struct api_error *e);
bool ui_message(struct call *c, struct api_error *e);
bool ui_export(struct call *c, struct api_error *e);
bool ui_import(struct call *c, struct api_error *e);
/* The body as an object in c->body; an empty one is {}. */
bool ui_body(struct call *c, struct api_error *e);
/* What the store says: what is unknown is 404, what is wrong with the request 400, the rest 503. */
bool ui_failed(struct api_error *e, sc_status status, const sc_error *err, bool is_unknown);
void ui_reply(struct call *c, int status, sc_text *json);         /* takes the text */
/* A conversation without its messages; false: 404. */
bool ui_head(struct talk *out, struct call *c, const char *id, struct api_error *e);
/* The member as an id; *out NULL: null or absent. */
bool ui_id(const char **out, const json_t *object, const char *key, struct api_error *e);

/* ---- ui_prompt.c: what is asked of the model --------------------------------------------------------------------------------------------- */

void handle_ui_info(struct call *c);
bool ui_count(struct call *c, struct api_error *e);
/* A task of the call for an answer below message `parent` that begins with `begun`. */
bool ui_ask(struct call *c, const struct talk *head, const char *parent, const char *model, const char *begun, struct api_error *e);

/* ---- ui_answers.c: answers that are being written; on the loop where nothing else is said -------------------------------------------------- */

struct listener {
    struct listener *next;
    struct call *call;
    struct answer *answer;               /* NULL: not, or not any more, of this process */
    size_t at;                           /* bytes that were sent */
    bool is_stop;                        /* waits for the end alone */
    bool is_asking, is_left; json_t *found;        /* of a watch: the message as the store has it; the client left meanwhile */
};
struct answer {
    struct answer *next, *prev;
    struct sc_server *server;
    char id[TALK_ID_MAX + 1], talk[TALK_ID_MAX + 1];
    struct task *task;                   /* NULL: ended */
    struct buf text;                     /* as the store has or will have it */
    size_t n_held;                       /* U+FFFD behind it: half a character, if nothing follows */
    size_t read, tokens, tokens_before;  /* of the prompt; of this answer, and of them before it went on */
    double seconds_before, asked, last;
    enum finish finish;
    bool is_submitted, has_begun, has_text, is_told_to_stop, is_ended, is_unwritten, is_being_written;
    double retry_at;
    const char *status; struct buf stats; char error[480];
    struct listener *listeners;
};
bool ui_answer(struct call *c, struct api_error *e);              /* store's thread */
bool ui_continue(struct call *c, struct api_error *e);            /* store's thread */
bool ui_answer_begin(struct call *c);
bool ui_deleted(struct call *c);
struct answer *ui_find(const struct sc_server *s, const char *id);
void ui_stop_answer(struct answer *a);

/* ---- ui_events.c: who listens to them ------------------------------------------------------------------------------------------------------------ */

bool ui_stop(struct call *c, struct api_error *e);                /* store's thread */
bool ui_stop_running(struct call *c);
bool ui_events(struct call *c, struct api_error *e);              /* store's thread */
bool ui_events_running(struct call *c);
bool ui_events_begin(struct call *c);
void ui_tell_prompt(const struct answer *a);
void ui_tell_text(const struct answer *a);                        /* what is new */
void ui_tell_end(struct answer *a);                               /* and lets go of all listeners */
void ui_watch(struct sc_server *s);                               /* looks at answers of other processes again */

#endif
