/* train.h - what the files of the commands `train` and `plan` share. */
#ifndef CMD_TRAIN_H
#define CMD_TRAIN_H

#include "cmd/cmd.h"

/* What a run says (sc_on_event; `user` is this): a bar that is drawn again on a terminal, a line for every logging step
 * elsewhere; evaluations, samples and files as lines. `done` is kept: the event "done", NULL before. */
struct train_view { struct args_common *common; const sc_train_config *config; json_t *done, *ranks /* sums of the events "ranks" */; double drawn; };
void train_event(void *user, const char *json);
void train_summary(struct train_view *v);       /* what `done` says, for people; nothing without it */
void plan_print(FILE *to, const json_t *plan);  /* members one a line; those named *_bytes and all in "parts" as memory */

#endif
