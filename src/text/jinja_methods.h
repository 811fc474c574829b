/* jinja_methods.h - shared by the files of methods. */
#ifndef JINJA_METHODS_H
#define JINJA_METHODS_H

#include "jinja_internal.h"

#define METHOD(name) static struct value name(struct render *r, const struct value *self, const struct call_args *a)

extern const struct callable_row string_method_rows[];    /* jinja_methods.c; ends with name NULL */

#endif
