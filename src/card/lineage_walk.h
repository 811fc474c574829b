/* lineage_walk.h - what the files of `lineage` share: the list of links, and where parts may lie. Private to the folder. */
#ifndef LINEAGE_WALK_H
#define LINEAGE_WALK_H

#include "card/card.h"

/* One walk down a line. `run`: run.json of the run whose record is looked at, NULL for none; `place`: directory of that record, NULL where it is not at hand. */
struct lineage_walk { const sc_lineage_config *c; json_t *links; };
struct lineage_at { const char *place; const json_t *run, *adapter; const json_t *record; int depth; };

/* A link: what was recorded of a part, and (with c->verify) what is at `path` (NULL: not at hand). expected NULL or "": no digest was recorded. */
void link_add_file(struct lineage_walk *w, const struct lineage_at *at, const char *what, const char *name, const char *path, const char *expected, const json_t *more);
/* The same for what is compared by other means: state is one of verified, changed, absent, unknown, recorded; found and why may be NULL. */
void link_add(struct lineage_walk *w, const struct lineage_at *at, const char *what, const char *name, const char *state, const char *expected, const char *found, const char *why, const json_t *more);

/* lineage_at_hand.c: where an input lies, by its relative path, the run's recipe, the store (names, then digests) and the directories of c->near. Of several places the one whose files have the
 * recorded sizes. mem_free it; NULL: not at hand. */
char *lineage_find(const struct lineage_walk *w, const struct lineage_at *at, const json_t *origin);
char *lineage_find_source(const struct lineage_walk *w, const char *path, const char *name);     /* a file of data: as the manifest names it, or near */

#endif
