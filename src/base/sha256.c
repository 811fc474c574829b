/* sha256.c - SHA-256 digests of files, by libcrypto: its plain functions, because EVP loads configuration and providers first,
 * 2 MB of memory that `chat` has no room for. */
#define OPENSSL_SUPPRESS_DEPRECATED
#include "base/base.h"

#include <openssl/sha.h>
#include <stdlib.h>

void sha256_begin(struct sha256 *s)
{
    s->context = mem_alloc(sizeof(SHA256_CTX));
    if (SHA256_Init(s->context) != 1) abort();
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
    if (SHA256_Update(s->context, data, len) != 1) abort();
}

void sha256_end(struct sha256 *s, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[32];
    if (SHA256_Final(digest, s->context) != 1) abort();
    mem_free(s->context);
    s->context = NULL;
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = 0;
}
