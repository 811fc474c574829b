/* card.h - what the files of the card and of the lineage share. Layer 8: judge, eval, train, hub and what is below them. */
#ifndef CARD_H
#define CARD_H

#include "eval/eval_internal.h"
#include "eval/scores.h"
#include "data/dataset.h"
#include "judge/report.h"
#include "lineage/lineage.h"

/* ---- card_facts.c: what was measured and stored ------------------------------------------------------------------------------ */

enum card_form { CARD_ADAPTER, CARD_DIRECTORY, CARD_GGUF };
enum { CARD_FILES_MAX = 64 };
/* All owned but `base` and `training`, which point into `record`, and `c`; `trainings` shares its items with it. Anything may be NULL that was not found. */
struct card_facts {
    const sc_card_config *c; const char *directory; char *title, *gguf;  /* gguf: name of the .gguf file in the directory   */
    enum card_form form;
    json_t *record, *adapter, *config;      /* lineage.json (or of the .gguf file), adapter_config.json, config.json         */
    json_t *trainings;                      /* records of all training runs that it goes back to, the newest first            */
    const json_t *training, *base;          /* the newest of them; the model that this one began with                         */
    char *base_hub, *base_name, *licence;   /* "org/name" or NULL; what people call it; identifier or NULL                   */
    const char *relation; bool is_drawn;    /* base_model_relation of the Hub; NULL: unknown, or is_drawn: its weights began as random numbers of this program */
    json_t *events;                         /* of events.jsonl                                                               */
    json_t *weights, *gguf_weights;         /* see card_weights.c; NULL: no results ask for them                              */
    struct eval_record eval[CARD_FILES_MAX]; size_t n_eval;
    struct report judge[CARD_FILES_MAX]; size_t n_judge;
    struct chat_template template; bool has_template; char *template_name;
};
sc_status facts_read(struct card_facts *f, const char *directory, const sc_card_config *c, sc_error *err);
void      facts_release(struct card_facts *f);
void      facts_find_base(struct card_facts *f);                                     /* base, training, licence, relation from record, adapter and c */
const char *text_member(const json_t *o, const char *key);                           /* "" if there is none */
double    real_member(const json_t *o, const char *key);                             /* 0 if there is none  */

/* ---- card_trainings.c: the runs below a model ---------------------------------------------------------------------------------- */

json_t   *trainings_of(const json_t *record);                            /* of an adapter before those of its base, each once; the caller's */
bool      trainings_have_preferences(const json_t *trainings);           /* whether one of them was DPO or ORPO */
const char *training_kind(const json_t *training);                       /* in words */
void      training_put_length(struct buf *out, const json_t *training);  /* "40 steps, weights of step 15" */
/* Of events.jsonl: the first loss on held-out dialogues, and that of the weights which were kept; NULL: not recorded. */
struct held_out { const json_t *first, *kept; };
struct held_out held_out_of(const struct card_facts *f);

/* ---- card_weights.c: what results were measured on ------------------------------------------------------------------------------ */

/* What the results' weights are: these; others of this directory; perhaps these, perhaps others of this directory; another model's. */
enum measured_on { MEASURED_THIS, MEASURED_OTHER_TIME, MEASURED_UNKNOWN_TIME, MEASURED_ANOTHER };
void      facts_find_weights(struct card_facts *f);                                  /* after the evaluations: reads all weights if one of them names its own */
enum measured_on facts_measured_on(const struct card_facts *f, const struct eval_record *r);

/* ---- card_svg.c: curves ------------------------------------------------------------------------------------------------------- */

/* A drawing of an event's member over steps, from one or two kinds of events; false where there are no two points. */
struct svg_line { const char *event, *member, *label, *color; };
bool      svg_draw(struct buf *out, const char *title, const json_t *events, const struct svg_line *line, size_t n);
struct card_plot { const char *name, *title; struct svg_line line[2]; size_t n; };
extern const struct card_plot card_plots[];                              /* ends with name NULL; name: of the file in assets/ */

/* ---- card_header.c, card_body.c, card_limits.c ------------------------------------------------------------------------------------------------ */

void      card_header(struct buf *out, const struct card_facts *f);      /* YAML between two lines of "---" */
void      card_body(struct sheet *s, const struct card_facts *f);
void      card_limits(struct sheet *s, const struct card_facts *f);
void      card_training(struct sheet *s, const struct card_facts *f);    /* card_training.c: hardware, time, energy, curves, recipe */
/* A double-quoted YAML scalar, whatever the bytes are. */
void      yaml_put_string(struct buf *out, const char *text);
/* A fenced block that its text cannot end. */
void      markdown_put_fence(struct buf *out, const char *language, const char *text, size_t len);
/* A recipe or any other object of scalars and lists as YAML. */
void      yaml_put_object(struct buf *out, const json_t *object);

/* ---- lineage_walk.c, lineage_at_hand.c ------------------------------------------------------------------------------------------- */

extern const struct sc_options card_options, lineage_options;

#endif
