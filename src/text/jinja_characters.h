/* jinja_characters.h - properties and case of characters as Python has them. */
#ifndef JINJA_CHARACTERS_H
#define JINJA_CHARACTERS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

bool char_is_space(uint32_t c);                                   /* str.isspace                                       */
bool char_is_printable(uint32_t c);                               /* str.isprintable                                   */
bool char_is_upper(uint32_t c);                                   /* str.isupper; also of Roman numerals and the like  */
bool char_is_lower(uint32_t c);
bool char_is_title(uint32_t c);                                   /* the category Lt                                   */
bool char_is_cased(uint32_t c);                                   /* one of these three                                */
bool char_is_ignored_by_case(uint32_t c);                         /* Case_Ignorable (Unicode 14, section 3.13)         */
bool char_is_alpha(uint32_t c);
bool char_is_decimal(uint32_t c);
bool char_is_digit(uint32_t c);
bool char_is_numeric(uint32_t c);
bool char_is_alnum(uint32_t c);
bool char_is_name_start(uint32_t c);                              /* of identifiers                                    */
bool char_is_name(uint32_t c);
/* Upper, lower, title case or case folding of c as UTF-8 without NUL: bytes written. The final sigma is the caller's. */
enum char_mapping { CHAR_UPPER, CHAR_LOWER, CHAR_TITLE, CHAR_FOLD };
enum { CHAR_MAPPED_MAX = 16 };
size_t char_map(char out[CHAR_MAPPED_MAX], uint32_t c, enum char_mapping to);

/* case_table.c */
struct case_special { uint32_t c; const char *upper, *title; };
extern const struct case_special case_specials[];                 /* rising                                            */
extern const size_t case_n_specials;
extern const uint32_t case_other_upper[][2], case_other_lower[][2], case_other_digits[][2], case_other_numbers[][2];   /* end with { 0, 0 } */

#endif
