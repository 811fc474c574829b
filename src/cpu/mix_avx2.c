/* mix_avx2.c - probabilities times values of a Q8_0 cache with AVX2: the probabilities are the unsigned side of a product. */
#include "cpu/cpu.h"
#include "cpu/lanes.h"

/* 32 probabilities times their values' scales, as bytes; returns the scale of the bytes. */
INLINE float round_p(uint8_t out[KV_BLOCK], const float *p, const __m256 scale[4])
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256 v[4];
    for (int i = 0; i < 4; i++) {
        __m256 x = _mm256_loadu_ps(p + 8 * i);
        v[i] = _mm256_and_ps(_mm256_mul_ps(x, scale[i]), _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ));    /* a scale nobody wrote may be no number */
    }
    __m256 most = _mm256_max_ps(_mm256_max_ps(v[0], v[1]), _mm256_max_ps(v[2], v[3]));
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    float peak = _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
    const __m256 inverse = _mm256_set1_ps(peak > 0 ? 127 / peak : 0);
    __m256i w[4];
    for (int i = 0; i < 4; i++) w[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], inverse));
    __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(w[0], w[1]), _mm256_packs_epi32(w[2], w[3]));
    _mm256_storeu_si256((__m256i *)out, _mm256_permutevar8x32_epi32(bytes, order));
    return peak / 127;
}

/* Eight elements: their 4 positions at a time are in one lane. */
INLINE void mix_8(float *const *acc, size_t at, const float *keep, const float *scale, uint8_t p[OUTER][KV_BLOCK], const uint8_t *codes, const size_t n)
{
    __m256i sum[OUTER];
    for (size_t t = 0; t < n; t++) sum[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (size_t v = 0; v < 8; v++) {
        __m256i w = _mm256_loadu_si256((const __m256i *)(codes + 32 * v));
        for (size_t t = 0; t < n; t++) {
            __m256i pairs = _mm256_maddubs_epi16(word_lanes(p[t] + 4 * v), w);
            sum[t] = held(_mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
        }
    }
    for (size_t t = 0; t < n; t++) {
        __m256 old = _mm256_mul_ps(_mm256_loadu_ps(acc[t] + at), _mm256_set1_ps(keep[t]));
        _mm256_storeu_ps(acc[t] + at, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), _mm256_set1_ps(scale[t]), old));
    }
}

INLINE void mix(float *const *acc, const float *keep, const float *const *p, const uint8_t *block, size_t d, const size_t n)
{
    const uint8_t *codes = block + d / 32 * 2 * KV_BLOCK;
    uint8_t bytes[OUTER][KV_BLOCK];
    float step[OUTER];
    for (size_t b = 0; b < d / 32; b++) {
        __m256 scale[4];
        for (size_t i = 0; i < 4; i++) scale[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(block + (b * KV_BLOCK + 8 * i) * 2)));
        for (size_t t = 0; t < n; t++) step[t] = round_p(bytes[t], p[t], scale);
        for (size_t i = 32 * b; i < 32 * b + 32; i += 8) mix_8(acc, i, keep, step, bytes, codes + i * KV_BLOCK, n);
    }
}

static void mix_q8(float *const *acc, const float *keep, const float *const *p, size_t n, const void *block, size_t d)
{
    switch (n) {
        case 4: mix(acc, keep, p, block, d, 4); break;
        case 3: mix(acc, keep, p, block, d, 3); break;
        case 2: mix(acc, keep, p, block, d, 2); break;
        default: mix(acc, keep, p, block, d, 1);
    }
}

void cpu_fill_mix_avx2(struct cpu_kernels *k) { k->mix_q8 = mix_q8; }
