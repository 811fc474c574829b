/* immintrin.h - stands before the compiler's own when src/cpu/avx512.c is compiled for machines without AVX-512: the same
 * names by SIMDe, and the few that SIMDe 0.7 lacks. For tests only; see the rule simde_% of the Makefile. */
#ifndef SIMDE_IMMINTRIN_H
#define SIMDE_IMMINTRIN_H

#include_next <immintrin.h>
#define SIMDE_ENABLE_NATIVE_ALIASES
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wshadow"
#include <simde/x86/avx512.h>
#include <simde/x86/fma.h>
#pragma GCC diagnostic pop

#include <stdint.h>
#include <string.h>

/* No register holds 512 bits here, so a value is kept from the optimizer in memory. */
#define KEEP(x) __asm__ volatile("" : "+m"(x))

static inline __m512 emulated_maskz_loadu_ps(__mmask16 mask, const void *from)
{
    float lane[16];
    for (int i = 0; i < 16; i++) lane[i] = mask >> i & 1 ? ((const float *)from)[i] : 0;   /* reads no masked element */
    return _mm512_loadu_ps(lane);
}

static inline __m256 emulated_extractf32x8_ps(__m512 a, int half)
{
    float lane[16];
    _mm512_storeu_ps(lane, a);
    return _mm256_loadu_ps(lane + 8 * half);
}

static inline int emulated_reduce_add_epi32(__m512i a)
{
    int32_t lane[16], sum = 0;
    memcpy(lane, &a, sizeof lane);
    for (int i = 0; i < 16; i++) sum += lane[i];
    return sum;
}

#undef _mm512_extractf32x8_ps
static inline __m512 emulated_cvtph_ps(__m256i half)
{
    uint16_t lane[16];
    float wide[16];
    memcpy(lane, &half, sizeof lane);
    for (int i = 0; i < 16; i++) wide[i] = _cvtsh_ss(lane[i]);
    return _mm512_loadu_ps(wide);
}

#undef _mm512_cvtph_ps
#define _mm512_cvtph_ps         emulated_cvtph_ps
#define _mm512_maskz_loadu_ps   emulated_maskz_loadu_ps
#define _mm512_extractf32x8_ps  emulated_extractf32x8_ps
#define _mm512_reduce_add_epi32 emulated_reduce_add_epi32

#endif
