/* outer_avx2.c - the products of attention over a cache with AVX2: up to four rows of a, times vectors of b that are widened
 * from f16 as they are loaded. */
#include "cpu/cpu.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

INLINE float half_at(const uint16_t *p) { return _cvtsh_ss(*p); }

INLINE __m256 load_any(const void *b, size_t at, const bool is_half)
{
    return is_half ? _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)((const uint16_t *)b + at))) : _mm256_loadu_ps((const float *)b + at);
}

/* n x 16 sums in registers: with n = 4 as many as fused multiply-adds need to overlap. */
INLINE void outer_16(float *const *c, const float *keep, const float *const *a, const size_t n, const void *b, size_t b_stride, size_t k, size_t at, const bool is_half)
{
    __m256 left[OUTER], right[OUTER];
    for (size_t t = 0; t < n; t++) {
        left[t] = keep ? _mm256_mul_ps(_mm256_loadu_ps(c[t] + at), _mm256_set1_ps(keep[t])) : _mm256_setzero_ps();
        right[t] = keep ? _mm256_mul_ps(_mm256_loadu_ps(c[t] + at + 8), _mm256_set1_ps(keep[t])) : _mm256_setzero_ps();
    }
    for (size_t j = 0; j < k; j++) {
        __m256 b0 = load_any(b, j * b_stride + at, is_half), b1 = load_any(b, j * b_stride + at + 8, is_half);
        for (size_t t = 0; t < n; t++) {
            __m256 x = _mm256_broadcast_ss(a[t] + j);
            left[t] = _mm256_fmadd_ps(x, b0, left[t]);
            right[t] = _mm256_fmadd_ps(x, b1, right[t]);
        }
    }
    for (size_t t = 0; t < n; t++) {
        _mm256_storeu_ps(c[t] + at, left[t]);
        _mm256_storeu_ps(c[t] + at + 8, right[t]);
    }
}

INLINE void outer(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols, const bool is_half)
{
    size_t i = 0;
    for (; i + 16 <= cols; i += 16) switch (n) {
        case 4: outer_16(c, keep, a, 4, b, b_stride, k, i, is_half); break;
        case 3: outer_16(c, keep, a, 3, b, b_stride, k, i, is_half); break;
        case 2: outer_16(c, keep, a, 2, b, b_stride, k, i, is_half); break;
        default: outer_16(c, keep, a, 1, b, b_stride, k, i, is_half);
    }
    for (; i < cols; i++)
        for (size_t t = 0; t < n; t++) {
            float sum = keep ? c[t][i] * keep[t] : 0;
            for (size_t j = 0; j < k; j++) sum += a[t][j] * (is_half ? half_at((const uint16_t *)b + j * b_stride + i) : ((const float *)b)[j * b_stride + i]);
            c[t][i] = sum;
        }
}

void cpu_outer_f16_avx2(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, true); }
void cpu_outer_f32_avx2(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, false); }

void cpu_fill_outer_avx2(struct cpu_kernels *k)
{
    k->outer[OUTER_F16] = cpu_outer_f16_avx2;
    k->outer[OUTER_F32] = cpu_outer_f32_avx2;
}
