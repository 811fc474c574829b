/* sha256.c - SHA-256 digests of files, by libcrypto. */
#include "base/base.h"

#include <openssl/evp.h>
#include <stdlib.h>

void sha256_begin(struct sha256 *s)
{
    s->context = EVP_MD_CTX_new();
    if (!s->context || EVP_DigestInit_ex(s->context, EVP_sha256(), NULL) != 1) abort();
}

void sha256_add(struct sha256 *s, const void *data, size_t len)
{
    if (EVP_DigestUpdate(s->context, data, len) != 1) abort();
}

void sha256_end(struct sha256 *s, char hex[65])
{
    static const char digits[] = "0123456789abcdef";
    unsigned char digest[32];
    if (EVP_DigestFinal_ex(s->context, digest, NULL) != 1) abort();
    EVP_MD_CTX_free(s->context);
    s->context = NULL;
    for (int i = 0; i < 32; i++) {
        hex[2 * i] = digits[digest[i] >> 4];
        hex[2 * i + 1] = digits[digest[i] & 15];
    }
    hex[64] = 0;
}
