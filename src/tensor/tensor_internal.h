/* tensor_internal.h - what the files of this folder share and nobody else needs: the conversions behind the rows of
 * `dtypes`, and little helpers for packed blocks. */
#ifndef TENSOR_INTERNAL_H
#define TENSOR_INTERNAL_H

#include <string.h>

#include "tensor/tensor.h"

/* quant_legacy.c: blocks of 32 with one scale (and one minimum) in half precision. n: a multiple of 32. */
void q8_0_to_f32(float *out, const void *in, size_t n);
void q4_0_to_f32(float *out, const void *in, size_t n);
void q4_1_to_f32(float *out, const void *in, size_t n);
void q5_0_to_f32(float *out, const void *in, size_t n);
void q5_1_to_f32(float *out, const void *in, size_t n);
void q8_0_from_f32(void *out, const float *in, size_t n);
void q4_0_from_f32(void *out, const float *in, size_t n);
void q4_1_from_f32(void *out, const float *in, size_t n);
void q5_0_from_f32(void *out, const float *in, size_t n);
void q5_1_from_f32(void *out, const float *in, size_t n);

/* quant_k.c: superblocks of 256 with quantised scales of groups. n: a multiple of 256. */
void q4_k_to_f32(float *out, const void *in, size_t n);
void q5_k_to_f32(float *out, const void *in, size_t n);
void q6_k_to_f32(float *out, const void *in, size_t n);
void q4_k_from_f32(void *out, const float *in, size_t n);
void q5_k_from_f32(void *out, const float *in, size_t n);
void q6_k_from_f32(void *out, const float *in, size_t n);

/* nf4.c. n: a multiple of 64, a whole row. */
void nf4_to_f32(float *out, const void *in, size_t n);
void nf4_from_f32(void *out, const float *in, size_t n);

/* Half floats inside packed blocks, at any alignment. */
static inline float half_load(const uint8_t *p) { uint16_t h; memcpy(&h, p, sizeof h); return f16_to_f32(h); }
static inline void half_store(uint8_t *p, float f) { uint16_t h = f32_to_f16(f); memcpy(p, &h, sizeof h); }
/* Truncates to an integer of [low, high]; NaN becomes low, so no conversion is undefined. */
static inline int clamp_int(float v, int low, int high)
{
    if (!(v > (float)low)) return low;
    return v >= (float)high ? high : (int)v;
}

#endif
