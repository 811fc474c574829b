/* fuzz_hub_text.c - any text as the name of a model, an address, a header value, a version, pip's configuration. The
 * first byte chooses. A name that is accepted survives the way to a directory name and back. */
#include <string.h>
#include <strings.h>

#include "fuzz_memory.h"
#include "hub/hub.h"

static void try_source(const char *text)
{
    struct model_source s;
    sc_error err = { 0 };
    /* Paths would ask the file system. */
    if (text[0] == '/' || text[0] == '.' || strncasecmp(text, "file:", 5) == 0) return;
    if (source_parse(&s, text, NULL, &err) != SC_OK) {
        if (!err.message[0]) abort();
        return;
    }
    char *directory = name_encode(s.name), *back = name_decode(directory);
    if (!back || strcmp(back, s.name) != 0 || strchr(directory, '/')) abort();
    mem_free(directory);
    mem_free(back);
    source_release(&s);
}

static void try_url(const char *text)
{
    char *joined = url_join("https://h.example/a/b?c", text), *origin = url_origin(text), *shown = url_public(text), *name = url_file_name(text);
    if (joined && strncmp(joined, "http", 4) != 0) abort();
    if (name && (strchr(name, '/') || !*name)) abort();
    mem_free(joined);
    mem_free(origin);
    mem_free(shown);
    mem_free(name);
}

static void try_headers(const char *text)
{
    uint64_t first, total;
    char *link = header_link_next(text), *etag = header_etag(text);
    if (etag_is_weak(text) && etag_is_strong(text)) abort();
    if (header_content_range(text, &first, &total) && first >= total) abort();
    mem_free(link);
    mem_free(etag);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size == 0 || size > 100000) return 0;
    char *text = malloc(size);
    memcpy(text, data + 1, size - 1);
    text[size - 1] = 0;
    fuzz_memory_begin(size * 4);
    switch (data[0] % 5) {
    case 0: try_source(text); break;
    case 1: try_url(text); break;
    case 2: try_headers(text); break;
    case 3: mem_free(pip_conf_value(text, size - 1, "index-url")); break;
    default: (void)version_compare(text, "1.0rc2"); (void)file_name_check(text, size - 1, NULL); break;
    }
    fuzz_memory_end();
    free(text);
    return 0;
}
