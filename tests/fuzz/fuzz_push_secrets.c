/* fuzz_push_secrets.c - any bytes through the search for secrets: findings lie in the text, and a key that is put in front of any
 * text is found. The text is also a .gitattributes and a path in it. */
#include "fuzz_memory.h"
#include "hub/push.h"

#include <string.h>

static const char key[] = "hf_abcdefghijKLMNOPQRSTUVWXYZ0123456789";
struct seen { size_t len, n; bool has_key; };

static bool on_found(void *user, const struct finding *f)
{
    struct seen *s = user;
    if (!f->kind || !f->len || f->at > s->len || f->len > s->len - f->at) abort();
    s->has_key |= f->at == 0 && strcmp(f->kind, "hub-token") == 0;
    s->n++;
    return s->n < 1000;
}

static bool is_here(void *user, const char *path, size_t len)
{
    (void)user;
    return len > 0 && path[0] == '/' && path[len - 1] % 2;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const struct secrets_rules rules = { "my-token", 8, is_here, NULL };
    struct seen s = { .len = size };
    if (size > 100000) return 0;
    fuzz_memory_begin(size);
    secrets_scan((const char *)data, size, &rules, on_found, &s);
    fuzz_memory_end();
    /* In two parts that both have the whole around them, the same is found. */
    struct seen parts = { .len = size };
    size_t half = secrets_scan_part((const char *)data, size, 0, size / 2, &rules, on_found, &parts);
    if (half > size) abort();
    if (parts.n < 1000) (void)secrets_scan_part((const char *)data, size, half, size, &rules, on_found, &parts);
    if (s.n < 1000 && parts.n != s.n) abort();
    size_t n = strlen(key);
    char *text = malloc(n + 1 + size);
    memcpy(text, key, n);
    text[n] = '\n';
    memcpy(text + n + 1, data, size);
    s = (struct seen){ .len = n + 1 + size };
    secrets_scan(text, s.len, &rules, on_found, &s);
    if (!s.has_key) abort();
    char *path = mem_strndup((const char *)data, size < 200 ? size : 200);
    (void)attributes_track((const char *)data, size, path);
    mem_free(path);
    free(text);
    return 0;
}
