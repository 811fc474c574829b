/* formats_internal.h - what the formats of dialogues share: messages from whatever a data set calls them. */
#ifndef FORMATS_INTERNAL_H
#define FORMATS_INTERNAL_H

#include "data/data.h"

/* ---- formats.c ------------------------------------------------------------------------------------------------------------ */

/* The first of the named members (separated by spaces) that is a string and not empty, as JSON or as text; NULL. */
const json_t *member_string(const json_t *record, const char *names);
const char   *member_text(const json_t *record, const char *names);
/* A message {"role","content"}; `content` is a JSON string, shared. */
json_t *message_new(const char *role, const json_t *content);
json_t *message_from_text(const char *role, const char *text, size_t len);
/* Appends a dialogue, takes `messages` over, and fills id, lang and licence from the record. */
struct dialogue *dialogue_put(struct dialogue_list *out, json_t *messages, const json_t *record);
/* Plain text is kept as a C string: SC_E_FORMAT for a NUL character. */
sc_status text_copy(char **out, const json_t *string, sc_error *err);

/* ---- format_messages.c ------------------------------------------------------------------------------------------------------- */

bool message_list_is_known(const json_t *list);           /* objects with role/content or from/value */
/* A list of messages under any names of roles, as system, user, assistant, tool. New reference in *out. */
sc_status message_list_read(json_t **out, const json_t *list, sc_error *err);
/* Text with turns behind marks, such as "Human:", which count at its begin and behind `before`. New reference, or NULL if
 * it does not begin with a mark. Turns lose the white space around them. */
json_t *marked_turns_read(const char *text, size_t len, const char *before, const char *user_mark, const char *assistant_mark);
/* The tools of the record, from `tools` or `functions`, a list or JSON text. *out NULL: none. */
sc_status tools_read(json_t **out, const json_t *record, sc_error *err);

/* The rows. */
bool messages_probe(const json_t *record);
sc_status messages_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool sharegpt_probe(const json_t *record);
sc_status sharegpt_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool ultrachat_probe(const json_t *record);
sc_status ultrachat_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);

/* ---- format_pairs.c, format_instruct.c, format_plain.c, tree.c --------------------------------------------------------------------- */

bool pairs_probe(const json_t *record);
sc_status pairs_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool self_instruct_probe(const json_t *record);
sc_status self_instruct_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool alpaca_probe(const json_t *record);
sc_status alpaca_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool dolly_probe(const json_t *record);
bool completion_probe(const json_t *record);
sc_status completion_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool questions_probe(const json_t *record);
sc_status questions_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool marked_text_probe(const json_t *record);
sc_status marked_text_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool text_probe(const json_t *record);
sc_status text_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool tree_probe(const json_t *record);
sc_status tree_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);
bool tree_message_probe(const json_t *record);
sc_status tree_message_convert(struct dialogue_list *out, const json_t *record, const struct tree_config *c, sc_error *err);

#endif
