/* source_text.h - what source_text.c and source_json.c share: a window on the bytes of a file, and where reading stands. */
#ifndef SOURCE_TEXT_H
#define SOURCE_TEXT_H

#include "reader_internal.h"

/* The bytes read and not yet taken. Damage of packed data ends the window early; it is told when reading comes to it. */
struct window { struct byte_source *from; char *data; size_t begin, len, cap; uint64_t line; bool is_end, is_cut; sc_error damage; };
/* Reads on until `need` bytes are there, or the end. */
sc_status   window_fill(struct window *w, size_t need, sc_error *err);
const char *window_text(const struct window *w);
void        window_take(struct window *w, size_t n);     /* counts the lines */

enum text_kind { TEXT_LINES, TEXT_PLAIN, TEXT_ARRAY, TEXT_MEMBER, TEXT_VALUES };
enum text_place { BEFORE_FIRST, BETWEEN, BEHIND };
struct text_source {
    struct record_source base;
    struct window window;
    char *path; enum name_kind name;
    enum text_kind kind; enum text_place place;
    int n_repairs;                                        /* places in an array where reading went on behind damage */
    bool is_begun, is_damage_told;
};

size_t    space_length(const char *s, size_t len);
sc_status text_check(const char *s, size_t len, uint64_t line, sc_error *err);     /* UTF-8 */
bool      list_name_is_known(const struct scan_string *name);        /* of a member that may be the list of records */
void      record_fill(struct record *out, const char *text, size_t len, uint64_t line);

/* ---- source_json.c: JSON values one by one ----------------------------------------------------------------------------- */

/* How far the end of a value was looked for. */
struct value_look { size_t at; int64_t depth; bool is_string, is_word; };
/* Bytes of the value at `text`, by brackets and quotes alone; 0: it goes on behind `len`, and *look says where. */
size_t    json_value_length(const char *text, size_t len, struct value_look *look);
sc_status elements_next(struct text_source *s, struct record *out, bool *more, sc_error *err);

#endif
