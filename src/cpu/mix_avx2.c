/* mix_avx2.c - probabilities times values of a Q8_0 cache with AVX2: the probabilities are the unsigned side of a product. */
#include "cpu/cpu.h"
#include "cpu/lanes.h"

enum { BLOCKS = KV_TURN / KV_BLOCK, VECTORS = KV_TURN / 8 };

INLINE float largest_lane(__m256 v)
{
    __m128 m = _mm_max_ps(_mm256_castps256_ps128(v), _mm256_extractf128_ps(v, 1));
    m = _mm_max_ps(m, _mm_movehl_ps(m, m));
    return _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
}

/* Probabilities times their values' scales, as bytes; returns the scale of the bytes. */
INLINE float round_p(uint8_t out[KV_TURN], const float *p, const __m256 scale[VECTORS], const size_t blocks)
{
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    __m256 v[VECTORS], most = _mm256_setzero_ps();
    for (size_t i = 0; i < 4 * blocks; i++) {
        __m256 x = _mm256_loadu_ps(p + 8 * i);
        v[i] = _mm256_and_ps(_mm256_mul_ps(x, scale[i]), _mm256_cmp_ps(x, _mm256_setzero_ps(), _CMP_GT_OQ));    /* a scale nobody wrote may be no number */
        most = _mm256_max_ps(most, v[i]);
    }
    float peak = largest_lane(most);
    const __m256 inverse = _mm256_set1_ps(peak > 0 ? 127 / peak : 0);
    for (size_t b = 0; b < blocks; b++) {
        __m256i w[4];
        for (size_t i = 0; i < 4; i++) w[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[4 * b + i], inverse));
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(w[0], w[1]), _mm256_packs_epi32(w[2], w[3]));
        _mm256_storeu_si256((__m256i *)(out + 32 * b), _mm256_permutevar8x32_epi32(bytes, order));
    }
    return peak / 127;
}

struct mix { float *acc[OUTER]; __m256 keep[OUTER], step[OUTER]; uint8_t p[OUTER][KV_TURN]; };

/* Eight elements: their 4 positions at a time are in one lane. */
INLINE void mix_8(const struct mix *m, size_t at, const uint8_t *codes, size_t block_bytes, const size_t blocks, const size_t n)
{
    __m256i sum[OUTER];
    for (size_t t = 0; t < n; t++) sum[t] = _mm256_setzero_si256();
    for (size_t b = 0; b < blocks; b++, codes += block_bytes) {
#pragma GCC unroll 8
        for (size_t v = 0; v < 8; v++) {
            __m256i w = _mm256_loadu_si256((const __m256i *)(codes + 32 * v));
            for (size_t t = 0; t < n; t++) {
                __m256i pairs = _mm256_maddubs_epi16(word_lanes(m->p[t] + 32 * b + 4 * v), w);
                sum[t] = held(_mm256_add_epi32(sum[t], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1))));
            }
        }
    }
    for (size_t t = 0; t < n; t++) {
        __m256 old = _mm256_mul_ps(_mm256_loadu_ps(m->acc[t] + at), m->keep[t]);
        _mm256_storeu_ps(m->acc[t] + at, _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), m->step[t], old));
    }
}

INLINE void mix(float *const *acc, const float *keep, const float *const *p, const uint8_t *block, size_t d, const size_t blocks, const size_t n)
{
    const size_t bytes = KV_BLOCK * d / 32 * 34;
    const uint8_t *codes = block + KV_HEAD * d / 32;
    struct mix m;
    __m256 scale[VECTORS];
    for (size_t i = 0; i < 4 * blocks; i++) scale[i] = _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(block + i / 4 * bytes + i % 4 * 16)));
    for (size_t t = 0; t < n; t++) {
        m.acc[t] = acc[t];
        m.keep[t] = _mm256_set1_ps(keep[t]);
        m.step[t] = _mm256_set1_ps(round_p(m.p[t], p[t], scale, blocks));
    }
    for (size_t i = 0; i < d; i += 8) mix_8(&m, i, codes + i * KV_BLOCK, bytes, blocks, n);
}

static void mix_q8(float *const *acc, const float *keep, const float *const *p, size_t n, const void *blocks, size_t n_blocks, size_t d)
{
    switch (n_blocks * 8 + n) {
        case 20: mix(acc, keep, p, blocks, d, 2, 4); break;
        case 19: mix(acc, keep, p, blocks, d, 2, 3); break;
        case 18: mix(acc, keep, p, blocks, d, 2, 2); break;
        case 17: mix(acc, keep, p, blocks, d, 2, 1); break;
        case 12: mix(acc, keep, p, blocks, d, 1, 4); break;
        case 11: mix(acc, keep, p, blocks, d, 1, 3); break;
        case 10: mix(acc, keep, p, blocks, d, 1, 2); break;
        default: mix(acc, keep, p, blocks, d, 1, 1);
    }
}

_Static_assert(BLOCKS == 2, "one and two blocks have code of their own");
void cpu_fill_mix_avx2(struct cpu_kernels *k) { k->mix_q8 = mix_q8; }
