/* lanes.h - what the files with AVX2 kernels for int8 share. */
#ifndef LANES_H
#define LANES_H

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* The four bytes at p in all lanes: four int8 or two int16. */
INLINE __m256i word_lanes(const void *p)
{
    int32_t bits;
    memcpy(&bits, p, 4);
    return _mm256_set1_epi32(bits);
}

/* A sum that is made here and stays in its register: compilers put additions off until products no longer fit. */
INLINE __m256i held(__m256i v)
{
    __asm__("" : "+v"(v));
    return v;
}

#endif
