/* moderate.h - a task whose text goes through the filter before anybody sees it. It stands between the engine's events and who asked: text comes
 * later or changed, a choice may finish as FINISH_FILTER, the end comes when all is judged. Works for every dialect and for the page. */
#ifndef MODERATE_H
#define MODERATE_H

#include "serve/server.h"

/* Before the task is submitted, with user and on_event set; nothing if the server has no filter. On the loop's thread, as are all events. */
void moderate(struct sc_server *s, struct task *t);
void moderate_drop(struct task *t);     /* of a task that is not submitted after all */
/* The rule that forbids this prompt; NULL: none. */
const struct filter_rule *moderate_prompt(struct sc_server *s, const char *text, size_t len);
/* Opens the filter of the configuration and looks whether its classifier is served. */
sc_status moderate_open(struct sc_server *s, sc_error *err);

#endif
