/* error.c - one error object: a status, where it was noticed, and a sentence for people. */
#include "base/base.h"

#include <stdio.h>
#include <string.h>

sc_status error_set(sc_error *err, sc_status status, const char *where, const char *format, ...)
{
    if (!err) return status;
    err->status = status;
    const char *file = strstr(where, "src/");
    snprintf(err->where, sizeof err->where, "%s", file ? file + 4 : where);
    va_list args;
    va_start(args, format);
    vsnprintf(err->message, sizeof err->message, format, args);
    va_end(args);
    size_t len = strlen(err->message);
    err->message[len - utf8_incomplete_tail(err->message, len)] = 0;     /* where the sentence was cut */
    return status;
}

sc_status error_prefix(sc_error *err, sc_status status, const char *format, ...)
{
    if (!err) return status;
    char prefix[sizeof err->message];
    va_list args;
    va_start(args, format);
    vsnprintf(prefix, sizeof prefix, format, args);
    va_end(args);
    /* The prefix is cut first: the sentence behind it says what to do. */
    size_t old = strlen(err->message), room = sizeof err->message - 1, n = strlen(prefix);
    if (old + 2 > room) return status;
    if (n > room - old - 2) n = room - old - 2;
    n -= utf8_incomplete_tail(prefix, n);
    memmove(err->message + n + 2, err->message, old + 1);
    memcpy(err->message, prefix, n);
    memcpy(err->message + n, ": ", 2);
    return status;
}

const char *error_quote(char *out, size_t out_bytes, const char *text, size_t len)
{
    size_t at = 0;
    for (size_t i = 0, used; i < len; i += used) {
        uint32_t c = 0;
        char piece[8];
        int n = utf8_next(text + i, len - i, &c);
        bool is_plain = n > 0 && c >= 0x20 && c != 0x7f;
        used = is_plain ? (size_t)n : 1;
        if (is_plain) memcpy(piece, text + i, used);
        else n = snprintf(piece, sizeof piece, "\\x%02X", (unsigned char)text[i]);
        if (at + (size_t)n + 4 > out_bytes) {
            if (at + 4 <= out_bytes) { memcpy(out + at, "...", 3); at += 3; }
            break;
        }
        memcpy(out + at, piece, (size_t)n);
        at += (size_t)n;
    }
    if (out_bytes) out[at < out_bytes ? at : out_bytes - 1] = 0;
    return out;
}

const char *sc_status_name(sc_status s)
{
    static const char *const names[] = { "ok", "argument", "io", "format", "unsupported", "memory", "device", "peer", "cancelled" };
    return (size_t)s < sizeof names / sizeof *names ? names[s] : "unknown";
}

const char *sc_version(void) { return SC_VERSION; }
