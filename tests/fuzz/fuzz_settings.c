/* fuzz_settings.c - any bytes as a file of settings: refused in one sentence, or keys and texts of which a table may take each or refuse it in one
 * sentence, and which are the same when they are read once more. */
#include <stdlib.h>
#include <string.h>

#include "serve/serve.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_settings s, again;
    sc_server_config c;
    sc_error err = { 0 };
    if (size > 65536) return 0;
    sc_status status = settings_parse(&s, (const char *)data, size, "fuzz", &err);
    if (status != SC_OK) {
        if (!err.message[0] || s.n || s.at) abort();
        return 0;
    }
    if (settings_parse(&again, (const char *)data, size, "fuzz", &err) != SC_OK || again.n != s.n) abort();
    sc_options_defaults(&serve_options, &c);
    for (size_t i = 0; i < s.n; i++) {
        if (!s.at[i].key || !s.at[i].value || s.at[i].line < 1 || strcmp(s.at[i].value, again.at[i].value) != 0) abort();
        err.message[0] = 0;
        if (sc_options_set(&serve_options, &c, s.at[i].key, s.at[i].value, &err) != SC_OK && !err.message[0]) abort();
    }
    if (c.port < 0 || c.port > 65535) abort();
    sc_settings_free(&s);
    sc_settings_free(&again);
    return 0;
}
