/* options.c - one table per config struct. From it come defaults, setting by name with range checks, the text of
 * --help and the record that goes into reports. Values are parsed here once; nobody else parses strings. */
#include "base/base.h"

#include <ctype.h>
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static bool same_name(const char *a, const char *b)
{
    for (; *a && *b; a++, b++) {
        char x = *a == '-' ? '_' : *a, y = *b == '-' ? '_' : *b;
        if (x != y) return false;
    }
    return *a == *b;
}

static const struct option *find(const sc_options *o, const char *key)
{
    for (size_t i = 0; i < o->n_rows; i++)
        if (same_name(o->rows[i].name, key)) return &o->rows[i];
    return NULL;
}

const sc_options *sc_options_for(const char *name)
{
    for (size_t i = 0; option_tables[i]; i++)
        if (strcmp(option_tables[i]->name, name) == 0) return option_tables[i];
    return NULL;
}

static void *field(void *config, const struct option *row) { return (char *)config + row->offset; }

static bool choice_has(const char *choices, const char *value)
{
    size_t n = strlen(value);
    for (const char *at = choices; at; at = strchr(at, '|')) {
        if (*at == '|') at++;
        if (strncmp(at, value, n) == 0 && (at[n] == '|' || at[n] == 0)) return n > 0;
    }
    return false;
}

/* What is refused changes nothing. */
static sc_status set_number(const struct option *row, void *at, const char *value, sc_error *err)
{
    char *end = NULL;
    double x;
    long long n = 0;
    unsigned long long u = 0;
    errno = 0;
    if (row->type == OPT_REAL) {
        x = strtod(value, &end);
    } else if (row->type == OPT_UINT) {
        x = (double)(u = strtoull(value, &end, 10));
        if (strchr(value, '-')) end = NULL;
    } else {
        x = (double)(n = strtoll(value, &end, 10));
    }
    if (!*value || !end || *end || errno == ERANGE || isspace((unsigned char)*value) || (row->type == OPT_REAL && !isfinite(x)))
        return FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", expected %s", row->name, value, row->type == OPT_REAL ? "a number" : "a whole number");
    if (row->min < row->max && (x < row->min || x > row->max))
        return FAIL(err, SC_E_ARGUMENT, "%s is %s, expected %g to %g", row->name, value, row->min, row->max);
    if (row->type == OPT_REAL) *(double *)at = x;
    else if (row->type == OPT_UINT) *(uint64_t *)at = u;
    else *(int64_t *)at = n;
    return SC_OK;
}

static sc_status set_row(const struct option *row, void *at, const char *value, sc_error *err)
{
    switch (row->type) {
    case OPT_BOOL: {
        bool yes = !strcmp(value, "true") || !strcmp(value, "1") || !strcmp(value, "yes") || !strcmp(value, "on");
        bool no = !strcmp(value, "false") || !strcmp(value, "0") || !strcmp(value, "no") || !strcmp(value, "off");
        if (!yes && !no) return FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", expected true or false", row->name, value);
        *(bool *)at = yes;
        return SC_OK;
    }
    case OPT_CHOICE:
        if (!choice_has(row->choices, value)) return FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", expected one of %s", row->name, value, row->choices + (row->choices[0] == '|'));
        *(const char **)at = value;
        return SC_OK;
    case OPT_STRING:
        *(const char **)at = value;
        return SC_OK;
    default:
        return set_number(row, at, value, err);
    }
}

void sc_options_defaults(const sc_options *o, void *config)
{
    memset(config, 0, o->config_bytes);
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct option *row = &o->rows[i];
        if (row->fallback) (void)set_row(row, field(config, row), row->fallback, NULL);
    }
}

const char *sc_options_nearest(const sc_options *o, const char *key, int *distance)
{
    const char *best = NULL;
    int best_distance = 1000;
    for (size_t i = 0; i < o->n_rows; i++) {
        int d = text_distance(o->rows[i].name, key);
        if (d < best_distance) { best_distance = d; best = o->rows[i].name; }
    }
    if (distance) *distance = best_distance;
    return best;
}

static sc_status unknown_key(const sc_options *o, const char *key, sc_error *err)
{
    int distance;
    const char *nearest = sc_options_nearest(o, key, &distance);
    if (nearest && distance <= 3) return FAIL(err, SC_E_ARGUMENT, "unknown option \"%s\"; did you mean \"%s\"?", key, nearest);
    return FAIL(err, SC_E_ARGUMENT, "unknown option \"%s\"", key);
}

sc_status sc_options_set(const sc_options *o, void *config, const char *key, const char *value, sc_error *err)
{
    const struct option *row = find(o, key);
    return row ? set_row(row, field(config, row), value, err) : unknown_key(o, key, err);
}

bool sc_options_has(const sc_options *o, const char *key, bool *is_flag)
{
    const struct option *row = find(o, key);
    if (is_flag) *is_flag = row && row->type == OPT_BOOL;
    return row != NULL;
}

bool sc_options_row(sc_option_row *out, const sc_options *o, size_t i)
{
    static const char *const value_names[] = { NULL, "N", "N", "X", "TEXT", NULL };
    if (i >= o->n_rows) return false;
    const struct option *row = &o->rows[i];
    *out = (sc_option_row){ .name = row->name, .value = row->type == OPT_CHOICE ? row->choices : value_names[row->type],
                            .fallback = row->fallback, .help = row->help };
    return true;
}

int sc_name_distance(const char *a, const char *b) { return text_distance(a, b); }

sc_status sc_options_help(sc_text *out, const sc_options *o)
{
    static const char *const value_names[] = { "", " N", " N", " X", " TEXT", "" };
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct option *row = &o->rows[i];
        char name[80];
        int n = snprintf(name, sizeof name, "--%s%s%s", row->name, row->type == OPT_CHOICE ? " " : value_names[row->type],
                         row->type == OPT_CHOICE ? row->choices : "");
        for (char *c = name; *c && *c != ' '; c++) if (*c == '_') *c = '-';
        buf_printf(&b, "  %s%*s%s", name, n < 28 ? 28 - n : 1, "", n < 28 ? "" : "\n                              ");
        buf_puts(&b, row->help);
        if (row->fallback && *row->fallback && row->type != OPT_BOOL) buf_printf(&b, " [%s]", row->fallback);
        buf_putc(&b, '\n');
    }
    buf_take(&b, out);
    return SC_OK;
}

sc_status sc_options_record(sc_text *out, const sc_options *o, const void *config)
{
    struct buf b;
    buf_init(&b, 0);
    buf_putc(&b, '{');
    for (size_t i = 0; i < o->n_rows; i++) {
        const struct option *row = &o->rows[i];
        const void *at = (const char *)config + row->offset;
        buf_printf(&b, "%s\"%s\":", i ? "," : "", row->name);
        switch (row->type) {
        case OPT_BOOL: buf_puts(&b, *(const bool *)at ? "true" : "false"); break;
        case OPT_INT: buf_printf(&b, "%lld", (long long)*(const int64_t *)at); break;
        case OPT_UINT: buf_printf(&b, "%llu", (unsigned long long)*(const uint64_t *)at); break;
        case OPT_REAL: buf_printf(&b, "%.17g", *(const double *)at); break;
        default: {
            const char *text = *(const char *const *)at;
            if (text) buf_put_json_string(&b, text, strlen(text)); else buf_puts(&b, "null");
        }
        }
    }
    buf_putc(&b, '}');
    buf_take(&b, out);
    return SC_OK;
}
