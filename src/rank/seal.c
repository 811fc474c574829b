/* seal.c - keys of owners, tokens of raters, and the seal on whose the answers are: AES-256 in Galois/counter mode (NIST SP 800-38D). */
#include "rank/rank.h"

#include <ctype.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

enum { NONCE_BYTES = 12, TAG_BYTES = 16 };
static const char TOKEN_PREFIX[] = "rater-", KEY_PREFIX[] = "owner-";

static void put_hex(char *out, const char *prefix, const uint8_t *bytes, size_t n)
{
    static const char digits[] = "0123456789abcdef";
    size_t at = strlen(prefix);
    memcpy(out, prefix, at);
    for (size_t i = 0; i < n; i++) {
        out[at++] = digits[bytes[i] >> 4];
        out[at++] = digits[bytes[i] & 15];
    }
    out[at] = 0;
}

void token_digest(uint8_t digest[32], const char *text, size_t len) { SHA256((const uint8_t *)text, len, digest); }

void token_new(char text[RANK_TOKEN_TEXT], uint8_t digest[32])
{
    uint8_t random[RANK_TOKEN_BYTES];
    system_random(random, sizeof random);
    put_hex(text, TOKEN_PREFIX, random, sizeof random);
    token_digest(digest, text, strlen(text));
    OPENSSL_cleanse(random, sizeof random);
}

void key_new(uint8_t key[RANK_KEY_BYTES], char text[RANK_KEY_TEXT])
{
    system_random(key, RANK_KEY_BYTES);
    put_hex(text, KEY_PREFIX, key, RANK_KEY_BYTES);
}

static int hex_digit(char c) { return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1; }

sc_status key_read(uint8_t key[RANK_KEY_BYTES], const char *text, sc_error *err)
{
    size_t prefix = strlen(KEY_PREFIX);
    while (isspace((unsigned char)*text)) text++;
    size_t n = strlen(text);
    while (n && isspace((unsigned char)text[n - 1])) n--;
    bool ok = n == prefix + 2 * RANK_KEY_BYTES && memcmp(text, KEY_PREFIX, prefix) == 0;
    for (size_t i = 0; ok && i < RANK_KEY_BYTES; i++) {
        int a = hex_digit(text[prefix + 2 * i]), b = hex_digit(text[prefix + 2 * i + 1]);
        ok = a >= 0 && b >= 0;
        key[i] = (uint8_t)(16 * (a & 15) + (b & 15));
    }
    return ok ? SC_OK : FAIL(err, SC_E_ARGUMENT, "the key has %zu characters, expected owner- and %d hexadecimal digits, as `rank serve` printed it when the study was made", n, 2 * RANK_KEY_BYTES);
}

uint64_t key_seed(const uint8_t key[RANK_KEY_BYTES])
{
    uint8_t text[RANK_KEY_BYTES + 5] = "order", digest[32];
    uint64_t out;
    memcpy(text + 5, key, RANK_KEY_BYTES);
    SHA256(text, sizeof text, digest);
    memcpy(&out, digest, sizeof out);
    OPENSSL_cleanse(text, sizeof text);
    OPENSSL_cleanse(digest, sizeof digest);
    return out;
}

/* OpenSSL fails here only for lack of memory, which ends the program elsewhere too. */
static void must(int ok) { if (ok <= 0) abort(); }

void seal_make(struct buf *out, const uint8_t key[RANK_KEY_BYTES], const char *about, const void *text, size_t len)
{
    uint8_t nonce[NONCE_BYTES], tag[TAG_BYTES], *hidden = mem_alloc(len + 1);
    int n = 0, more = 0;
    system_random(nonce, sizeof nonce);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    must(c != NULL);
    must(EVP_EncryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, nonce));
    must(EVP_EncryptUpdate(c, NULL, &n, (const uint8_t *)about, (int)strlen(about)));
    must(EVP_EncryptUpdate(c, hidden, &n, text, (int)len));
    must(EVP_EncryptFinal_ex(c, hidden + n, &more));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_GET_TAG, TAG_BYTES, tag));
    EVP_CIPHER_CTX_free(c);
    buf_append(out, nonce, sizeof nonce);
    buf_append(out, hidden, len);
    buf_append(out, tag, sizeof tag);
    mem_free(hidden);
}

sc_status seal_open(struct buf *out, const uint8_t key[RANK_KEY_BYTES], const char *about, const void *sealed, size_t len, sc_error *err)
{
    const uint8_t *bytes = sealed;
    uint8_t tag[TAG_BYTES];
    int n = 0, more = 0;
    if (len < NONCE_BYTES + TAG_BYTES || len > INT32_MAX) return FAIL(err, SC_E_FORMAT, "the sealed list has %zu bytes, which it cannot have", len);
    size_t inner = len - NONCE_BYTES - TAG_BYTES;
    uint8_t *text = mem_alloc(inner + 1);
    memcpy(tag, bytes + len - TAG_BYTES, TAG_BYTES);
    EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();
    must(c != NULL);
    must(EVP_DecryptInit_ex(c, EVP_aes_256_gcm(), NULL, key, bytes));
    must(EVP_DecryptUpdate(c, NULL, &n, (const uint8_t *)about, (int)strlen(about)));
    must(EVP_DecryptUpdate(c, text, &n, bytes + NONCE_BYTES, (int)inner));
    must(EVP_CIPHER_CTX_ctrl(c, EVP_CTRL_GCM_SET_TAG, TAG_BYTES, tag));
    bool ok = EVP_DecryptFinal_ex(c, text + n, &more) > 0;
    EVP_CIPHER_CTX_free(c);
    if (ok) buf_append(out, text, inner);
    OPENSSL_cleanse(text, inner);
    mem_free(text);
    return ok ? SC_OK : FAIL(err, SC_E_ARGUMENT, "the key does not open this study; expected the one that `rank serve` printed when it made the file");
}
