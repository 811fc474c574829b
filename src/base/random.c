/* random.c - Philox 4x32-10: Salmon, Moraes, Dror, Shaw, "Parallel random numbers: as easy as 1, 2, 3" (SC11). A pure
 * function of (counter, key): no state to save, the same bits in any order and on any number of threads. */
#include "base/base.h"

#include <math.h>

void philox(uint32_t out[4], const uint32_t counter[4], const uint32_t key[2])
{
    uint32_t c0 = counter[0], c1 = counter[1], c2 = counter[2], c3 = counter[3], k0 = key[0], k1 = key[1];
    for (int round = 0; round < 10; round++) {
        uint64_t p0 = (uint64_t)0xD2511F53u * c0, p1 = (uint64_t)0xCD9E8D57u * c2;
        uint32_t n0 = (uint32_t)(p1 >> 32) ^ c1 ^ k0, n2 = (uint32_t)(p0 >> 32) ^ c3 ^ k1;
        c1 = (uint32_t)p1;
        c3 = (uint32_t)p0;
        c0 = n0;
        c2 = n2;
        k0 += 0x9E3779B9u;
        k1 += 0xBB67AE85u;
    }
    out[0] = c0; out[1] = c1; out[2] = c2; out[3] = c3;
}

/* Block `i` of the stream: 128 random bits. */
static void block(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t counter[4] = { (uint32_t)i, (uint32_t)(i >> 32), (uint32_t)stream, (uint32_t)(stream >> 32) };
    uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    philox(out, counter, key);
}

uint32_t random_u32(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t bits[4];
    block(bits, seed, stream, i / 4);
    return bits[i % 4];
}

double random_unit(uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t bits[4];
    block(bits, seed, stream, i);
    return (double)(((uint64_t)bits[0] << 32 | bits[1]) >> 11) * 0x1p-53;
}

void random_drop(float *x, size_t n, float p, uint64_t seed, uint64_t stream, uint64_t first)
{
    uint32_t bits[4], below = (uint32_t)((double)p * 4294967296.0);
    float scale = 1 / (1 - p);
    for (size_t j = 0; j < n; j++) {
        uint64_t at = first + j;
        if (j == 0 || at % 4 == 0) block(bits, seed, stream, at / 4);
        x[j] = bits[at % 4] >= below ? x[j] * scale : 0;
    }
}

/* Box-Muller: a block's four words give four normals. */
static void four_normals(float out[4], uint64_t seed, uint64_t stream, uint64_t i)
{
    uint32_t bits[4];
    block(bits, seed, stream, i);
    for (int j = 0; j < 4; j += 2) {
        float u = ((float)(bits[j] >> 8) + 0.5f) * 0x1p-24f, v = (float)(bits[j + 1] >> 8) * 0x1p-24f;
        float radius = sqrtf(-2.0f * logf(u)), angle = 6.28318530718f * v;
        out[j] = radius * cosf(angle);
        out[j + 1] = radius * sinf(angle);
    }
}

void random_normal(float *out, size_t n, uint64_t seed, uint64_t stream, uint64_t first)
{
    size_t done = 0;
    while (done < n) {
        float four[4];
        uint64_t at = first + done;
        four_normals(four, seed, stream, at / 4);
        for (uint64_t j = at % 4; j < 4 && done < n; j++) out[done++] = four[j];
    }
}
