/* jinja_filters.h - shared by the two files of filters. */
#ifndef JINJA_FILTERS_H
#define JINJA_FILTERS_H

#include "jinja_internal.h"

#define FILTER(name) static struct value name(struct render *r, const struct value *self, const struct call_args *a)

extern const struct filter_row list_filter_rows[];        /* jinja_filters_list.c; ends with name NULL */

#endif
