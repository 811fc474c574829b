/* jinja_filters.h - shared by the files of filters. */
#ifndef JINJA_FILTERS_H
#define JINJA_FILTERS_H

#include "jinja_internal.h"

#define FILTER(name) static struct value name(struct render *r, const struct value *self, const struct call_args *a)

/* The dict's entries in order of their keys; NULL after a failure. In jinja_filters_list.c. */
const struct entry *entries_by_key(struct render *r, const struct dict *d);

extern const struct filter_row list_filter_rows[];        /* jinja_filters_list.c; ends with name NULL */

#endif
