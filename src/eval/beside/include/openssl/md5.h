// md5.h - what HumanEvalPack uses of OpenSSL, which programs in a sandbox are not linked with: the digest of RFC 1321.
#pragma once
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

enum { MD5_DIGEST_LENGTH = 16 };

struct MD5_CTX {
    uint32_t state[4];
    uint64_t bytes;
    unsigned char block[64];
};

inline void starchat_md5_block(MD5_CTX *c)
{
    static const int turns[4][4] = { { 7, 12, 17, 22 }, { 5, 9, 14, 20 }, { 4, 11, 16, 23 }, { 6, 10, 15, 21 } };
    uint32_t word[16], a = c->state[0], b = c->state[1], x = c->state[2], d = c->state[3];
    for (int i = 0; i < 16; i++) word[i] = c->block[4 * i] | (uint32_t)c->block[4 * i + 1] << 8 | (uint32_t)c->block[4 * i + 2] << 16 | (uint32_t)c->block[4 * i + 3] << 24;
    for (int i = 0; i < 64; i++) {
        static const int step[4] = { 1, 5, 3, 7 }, first[4] = { 0, 1, 5, 0 };
        int round = i / 16, at = (step[round] * i + first[round]) % 16, n = turns[round][i % 4];
        uint32_t mixed = round == 0 ? (b & x) | (~b & d) : round == 1 ? (d & b) | (~d & x) : round == 2 ? b ^ x ^ d : x ^ (b | ~d);
        uint32_t sum = a + mixed + (uint32_t)std::floor(4294967296.0 * std::fabs(std::sin(i + 1.0))) + word[at];
        a = d, d = x, x = b;
        b += sum << n | sum >> (32 - n);
    }
    c->state[0] += a, c->state[1] += b, c->state[2] += x, c->state[3] += d;
}

inline int MD5_Init(MD5_CTX *c)
{
    *c = MD5_CTX{ { 0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476 }, 0, {} };
    return 1;
}

inline int MD5_Update(MD5_CTX *c, const void *data, size_t len)
{
    for (size_t i = 0; i < len; i++) {
        c->block[c->bytes++ % 64] = ((const unsigned char *)data)[i];
        if (c->bytes % 64 == 0) starchat_md5_block(c);
    }
    return 1;
}

inline int MD5_Final(unsigned char *out, MD5_CTX *c)
{
    static const unsigned char zero[64] = {}, one = 0x80;
    uint64_t bits = 8 * c->bytes;
    unsigned char length[8];
    for (int i = 0; i < 8; i++) length[i] = (unsigned char)(bits >> 8 * i);
    MD5_Update(c, &one, 1);
    MD5_Update(c, zero, (size_t)((120 - c->bytes % 64) % 64));
    MD5_Update(c, length, 8);
    for (int i = 0; i < 16; i++) out[i] = (unsigned char)(c->state[i / 4] >> 8 * (i % 4));
    return 1;
}

inline unsigned char *MD5(const unsigned char *data, size_t len, unsigned char *out)
{
    MD5_CTX c;
    MD5_Init(&c);
    MD5_Update(&c, data, len);
    MD5_Final(out, &c);
    return out;
}
