/* panel_avx2.c - panels with AVX2: maddubs multiplies unsigned by signed bytes and adds pairs to int16, which holds 8 such
 * sums of 4-bit codes (8 x 2 x 15 x 127), 4 of 5-bit codes and 2 of 6-bit codes before they are widened. */
#include "cpu/cpu.h"
#include "cpu/lanes.h"

typedef __m256i sums;                                    /* sixteen int16 */
enum { HAS_BYTE_SUMS = 0, FIVE_BIT_STEPS = 4, SIX_BIT_STEPS = 2 };

INLINE sums sums_zero(void) { return _mm256_setzero_si256(); }
INLINE sums sums_add(sums s, __m256i codes, __m256i x) { return _mm256_add_epi16(s, _mm256_maddubs_epi16(codes, x)); }
INLINE __m256i sums_total(sums s) { return _mm256_madd_epi16(s, _mm256_set1_epi16(1)); }
INLINE __m256i sums_scaled(sums s, __m256i scale) { return _mm256_madd_epi16(s, scale); }

/* A byte for each lane as two equal int16. */
INLINE __m256i scale_bytes(const uint8_t *p)
{
    const __m256i order = _mm256_setr_epi8(0, -1, 0, -1, 1, -1, 1, -1, 2, -1, 2, -1, 3, -1, 3, -1, 4, -1, 4, -1, 5, -1, 5, -1, 6, -1, 6, -1, 7, -1, 7, -1);
    return _mm256_shuffle_epi8(_mm256_broadcastq_epi64(_mm_loadl_epi64((const __m128i *)p)), order);
}

/* The first or second int16 of each lane, twice. */
INLINE __m256i pair_scale(__m256i pair, int second)
{
    return second ? _mm256_or_si256(_mm256_srli_epi32(pair, 16), _mm256_and_si256(pair, _mm256_set1_epi32((int)0xFFFF0000)))
                  : _mm256_or_si256(_mm256_slli_epi32(pair, 16), _mm256_and_si256(pair, _mm256_set1_epi32(0xFFFF)));
}

#include "cpu/panel_kernels.h"

void cpu_fill_panels_avx2(struct cpu_kernels *k) { fill_panels(k); }
