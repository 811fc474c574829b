/* formats_internal.h - shared by the files that turn records into dialogues. */
#ifndef FORMATS_INTERNAL_H
#define FORMATS_INTERNAL_H

#include "data/data.h"

bool      tree_probe(const json_t *record);
sc_status tree_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool      pairs_probe(const json_t *record);
sc_status pairs_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
/* A role under any of its names, as ours ("human" -> "user"); NULL: unknown. */
const char *role_name(const char *name);
/* Appends {"role","content"} with the members that templates use. `content`: a string, or a list of text parts. */
sc_status message_append(json_t *messages, const char *role, const json_t *content, const json_t *extra, sc_error *err);
sc_status messages_from_list(json_t **out, const json_t *list, sc_error *err);    /* OpenAI or ShareGPT messages */

#endif
