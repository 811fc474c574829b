/* log_sum.c - the sum of exponentials of all logits of a token, which every score needs: as loops that compilers make vectors of, since libm's exponential of
 * 49,152 logits is as dear as a twentieth of the pass that made them. */
#include "infer/infer.h"

#include <math.h>
#include <string.h>

enum { LANES = 16, TILE = 64 };

/* exp(x) for x <= 0 as 2^k e^r, |r| <= ln 2 / 2, with Cephes' polynomial: wrong by 2 units in the last place of f32 at most; 0 below -87, NaN for NaN. */
static inline __attribute__((always_inline)) float exp_below(float x)
{
    const float magic = 12582912.0f;                                /* 1.5 * 2^23: adding it rounds to a whole number */
    float clamped = x > -87.0f ? x : -87.0f, rounded = clamped * 1.44269504088896341f + magic, k = rounded - magic;
    float r = clamped - k * 0.693359375f + k * 2.12194440e-4f;
    float p = 1.9875691500e-4f;
    p = p * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    p = p * (r * r) + r + 1.0f;
    int32_t bits;
    memcpy(&bits, &p, sizeof bits);
    bits += (int32_t)k * (1 << 23);
    memcpy(&p, &bits, sizeof p);
    return x < -87.0f ? 0 : p + (x - x);                            /* x - x: 0, or NaN */
}

/* Tiles are summed in f32, as exp_tile of the loss does, tiles in double. */
#define SUM_OF_TILES                                                                    \
    double sum = 0;                                                                     \
    for (size_t at = 0; at < n; at += TILE) {                                           \
        float lane[LANES] = { 0 };                                                      \
        for (size_t i = at; i < at + TILE; i += LANES)                                  \
            for (size_t l = 0; l < LANES; l++) lane[l] += exp_below(x[i + l] - max);    \
        for (size_t l = 0; l < LANES; l++) sum += (double)lane[l];                      \
    }                                                                                   \
    return sum;

/* n is a multiple of TILE. */
static double sum_plain(const float *x, size_t n, float max) { SUM_OF_TILES }
#if defined __x86_64__
__attribute__((target("avx2,fma"))) static double sum_avx2(const float *x, size_t n, float max) { SUM_OF_TILES }
#endif

static double sum_of(const float *x, size_t n, float max)
{
#if defined __x86_64__
    if (system_cpu()->avx2 && system_cpu()->fma) return sum_avx2(x, n, max);
#endif
    return sum_plain(x, n, max);
}

double log_sum(const float *logits, size_t n, float *max)
{
    float most[LANES], tail[TILE];
    size_t whole = n / TILE * TILE;
    for (size_t l = 0; l < LANES; l++) most[l] = -INFINITY;
    for (size_t i = 0; i < whole; i += LANES)
        for (size_t l = 0; l < LANES; l++) most[l] = logits[i + l] > most[l] ? logits[i + l] : most[l];
    *max = -INFINITY;
    for (size_t l = 0; l < LANES; l++) *max = most[l] > *max ? most[l] : *max;
    for (size_t i = whole; i < n; i++) *max = logits[i] > *max ? logits[i] : *max;
    double sum = sum_of(logits, whole, *max);
    for (size_t i = 0; i < TILE; i++) tail[i] = whole + i < n ? logits[whole + i] : -INFINITY;
    return log(sum + sum_of(tail, TILE, *max));
}
