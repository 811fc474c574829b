/* panel_vnni.c - panels with AVX-512 VNNI on 256-bit vectors: one instruction sums four products. */
#include "cpu/cpu.h"
#include "cpu/lanes.h"

typedef __m256i sums;                                    /* eight int32 */
enum { HAS_BYTE_SUMS = 1, FIVE_BIT_STEPS = 8, SIX_BIT_STEPS = 4 };

INLINE sums sums_zero(void) { return _mm256_setzero_si256(); }
INLINE sums sums_add(sums s, __m256i codes, __m256i x) { return _mm256_dpbusd_epi32(s, codes, x); }
INLINE __m256i sums_total(sums s) { return s; }
INLINE __m256i sums_scaled(sums s, __m256i scale) { return _mm256_mullo_epi32(s, scale); }
INLINE __m256i scale_bytes(const uint8_t *p) { return _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p)); }
INLINE __m256i pair_scale(__m256i pair, int second) { return _mm256_srai_epi32(second ? pair : _mm256_slli_epi32(pair, 16), 16); }

#include "cpu/panel_kernels.h"

void cpu_fill_panels_vnni(struct cpu_kernels *k) { fill_panels(k); }
