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

/* quant_legacy.c, quant_k.c: see quantise of struct dtype_row. */
void q4_0_quantise(void *out, const float *in, const float *importance, size_t n);
void q4_1_quantise(void *out, const float *in, const float *importance, size_t n);
void q5_0_quantise(void *out, const float *in, const float *importance, size_t n);
void q5_1_quantise(void *out, const float *in, const float *importance, size_t n);
void q4_k_quantise(void *out, const float *in, const float *importance, size_t n);
void q5_k_quantise(void *out, const float *in, const float *importance, size_t n);
void q6_k_quantise(void *out, const float *in, const float *importance, size_t n);

/* quant_search.c. Errors are sums of w * (stored - x)^2; w is not negative. */
enum { QUANT_BLOCK = 32 };
struct affine { float step, low; };      /* x = step * q - low, step not negative, q in 0..top */
/* Of QUANT_BLOCK elements. is_low_free: the lowest value may lie above zero (low < 0). */
struct affine affine_search(const float *x, const float *w, int top, bool is_low_free);
float affine_error(const float *x, const float *w, struct affine a, int top);       /* with the nearest integers */
void  affine_round(uint8_t q[QUANT_BLOCK], const float *x, struct affine a, int top);
/* x = step * q, q in -half..half-1, the step of either sign. n: 16 or 32. */
float signed_search(const float *x, const float *w, size_t n, int half);
float signed_error(const float *x, const float *w, size_t n, float step, int half);
void  signed_round(int8_t *q, const float *x, size_t n, float step, int half);
/* What each element of the block at `at` of a row counts in the error; at most 256 elements. importance NULL: unknown. */
const float *quant_weights(const float *importance, size_t at);

/* nf4.c. n: a multiple of 64, a whole row. */
void nf4_to_f32(float *out, const void *in, size_t n);
void nf4_from_f32(void *out, const float *in, size_t n);

/* Half floats inside packed blocks, at any alignment. */
static inline float half_load(const uint8_t *p) { uint16_t h; memcpy(&h, p, sizeof h); return f16_to_f32(h); }
static inline void half_store(uint8_t *p, float f) { uint16_t h = f32_to_f16(f); memcpy(p, &h, sizeof h); }
static inline float half_round(float f) { return f16_to_f32(f32_to_f16(f)); }
/* Truncates to an integer of [low, high]; NaN becomes low, so no conversion is undefined. */
static inline int clamp_int(float v, int low, int high)
{
    if (!(v > (float)low)) return low;
    return v >= (float)high ? high : (int)v;
}

#endif
