/* serve.h - what the list of all rows needs of this folder. Layer 5. */
#ifndef SERVE_H
#define SERVE_H

#include "base/base.h"

extern const struct sc_options serve_options;

#endif
