/* rows.c - the one list of all that plugs in: backends, architectures, option tables. It may include every header. */
#include "base/base.h"

const struct sc_options *const option_tables[] = { NULL };
