/* quant_legacy.c - blocks of 32 elements: Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, both ways.
 *
 * A block is a half-precision step d (and for the _1 kinds a minimum m), for the 5-bit kinds four bytes of fifth bits,
 * then 16 bytes of nibbles: byte j holds element j below and element j + 16 above. Rounding equals the reference of
 * ggml (quantize_row_*_ref) and of the gguf Python package, including 1/d being taken before d is rounded to half;
 * tests/golden/quants compares bytes. Layouts: ggml-common.h. */
#include "tensor/tensor_internal.h"

#include <math.h>

enum { BLOCK = QUANT_BLOCK, HALF = 16 };

/* Bit 4 of element i, from the four bytes of fifth bits. */
static int fifth_bit(const uint8_t *high, int i) { return (high[i >> 3] >> (i & 7) & 1) << 4; }

/* x = d * (q + offset) + m for one block of nibbles; `high` NULL: four bits only. */
static void nibbles_to_f32(float *out, const uint8_t *nibbles, const uint8_t *high, int offset, float d, float m)
{
    for (int j = 0; j < HALF; j++) {
        int low = nibbles[j] & 15, top = nibbles[j] >> 4;
        if (high) { low |= fifth_bit(high, j); top |= fifth_bit(high, j + HALF); }
        out[j] = (float)(low + offset) * d + m;
        out[j + HALF] = (float)(top + offset) * d + m;
    }
}

static void nibbles_put(uint8_t *nibbles, uint8_t *high, const uint8_t q[BLOCK])
{
    for (int j = 0; j < HALF; j++) nibbles[j] = (uint8_t)((q[j] & 15) | (q[j + HALF] & 15) << 4);
    if (!high) return;
    memset(high, 0, 4);
    for (int i = 0; i < BLOCK; i++) high[i >> 3] |= (uint8_t)((q[i] >> 4 & 1) << (i & 7));
}

void q8_0_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += BLOCK, p += 34) {
        float d = half_load(p);
        for (int j = 0; j < BLOCK; j++) out[i + j] = (float)(int8_t)p[2 + j] * d;
    }
}

void q4_0_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += BLOCK, p += 18) nibbles_to_f32(out + i, p + 2, NULL, -8, half_load(p), 0);
}

void q4_1_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += BLOCK, p += 20) nibbles_to_f32(out + i, p + 4, NULL, 0, half_load(p), half_load(p + 2));
}

void q5_0_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += BLOCK, p += 22) nibbles_to_f32(out + i, p + 6, p + 2, -16, half_load(p), 0);
}

void q5_1_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += BLOCK, p += 24) nibbles_to_f32(out + i, p + 8, p + 4, 0, half_load(p), half_load(p + 2));
}

void q8_0_from_f32(void *out, const float *in, size_t n)
{
    uint8_t *p = out;
    for (size_t i = 0; i < n; i += BLOCK, p += 34) {
        float largest = 0;
        for (int j = 0; j < BLOCK; j++) if (fabsf(in[i + j]) > largest) largest = fabsf(in[i + j]);
        float d = largest / 127, inverse = d != 0 ? 1 / d : 0;
        half_store(p, d);
        for (int j = 0; j < BLOCK; j++) p[2 + j] = (uint8_t)(int8_t)clamp_int(roundf(in[i + j] * inverse), -128, 127);
    }
}

/* Symmetric kinds: the element of largest magnitude, with its sign, lands on -top/2 exactly; top = 2^bits. */
static float signed_quantise(uint8_t q[BLOCK], const float *in, int top)
{
    float largest = 0, value = 0;
    for (int j = 0; j < BLOCK; j++)
        if (fabsf(in[j]) > largest) { largest = fabsf(in[j]); value = in[j]; }
    float half = (float)(top / 2), d = value / -half, inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < BLOCK; j++) q[j] = (uint8_t)clamp_int(in[j] * inverse + (half + 0.5f), 0, top - 1);
    return d;
}

/* Kinds with a minimum: [min, max] is cut in top - 1 steps. */
static float ranged_quantise(uint8_t q[BLOCK], float *minimum, const float *in, int top)
{
    float low = in[0], high = in[0];
    for (int j = 1; j < BLOCK; j++) {
        if (in[j] < low) low = in[j];
        if (in[j] > high) high = in[j];
    }
    float d = (high - low) / (float)(top - 1), inverse = d != 0 ? 1 / d : 0;
    for (int j = 0; j < BLOCK; j++) q[j] = (uint8_t)clamp_int((in[j] - low) * inverse + 0.5f, 0, top - 1);
    *minimum = low;
    return d;
}

void q4_0_from_f32(void *out, const float *in, size_t n)
{
    uint8_t *p = out, q[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, p += 18) {
        half_store(p, signed_quantise(q, in + i, 16));
        nibbles_put(p + 2, NULL, q);
    }
}

void q4_1_from_f32(void *out, const float *in, size_t n)
{
    uint8_t *p = out, q[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, p += 20) {
        float m;
        half_store(p, ranged_quantise(q, &m, in + i, 16));
        half_store(p + 2, m);
        nibbles_put(p + 4, NULL, q);
    }
}

void q5_0_from_f32(void *out, const float *in, size_t n)
{
    uint8_t *p = out, q[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, p += 22) {
        half_store(p, signed_quantise(q, in + i, 32));
        nibbles_put(p + 6, p + 2, q);
    }
}

void q5_1_from_f32(void *out, const float *in, size_t n)
{
    uint8_t *p = out, q[BLOCK];
    for (size_t i = 0; i < n; i += BLOCK, p += 24) {
        float m;
        half_store(p, ranged_quantise(q, &m, in + i, 32));
        half_store(p + 2, m);
        nibbles_put(p + 8, p + 4, q);
    }
}

/* ---- searched ------------------------------------------------------------------------------------------------------ */

/* The reference's step stays where nothing found is better: values that lie on its grid already are kept. */
static float signed_step(const float *x, const float *w, int half)
{
    float largest = 0, value = 0;
    for (int j = 0; j < BLOCK; j++)
        if (fabsf(x[j]) > largest) { largest = fabsf(x[j]); value = x[j]; }
    float reference = half_round(value / (float)-half), found = half_round(signed_search(x, w, BLOCK, half));
    return signed_error(x, w, BLOCK, found, half) < signed_error(x, w, BLOCK, reference, half) ? found : reference;
}

static void signed_row_quantise(uint8_t *p, const float *in, const float *importance, size_t n, int half)
{
    size_t high_bytes = half > 8 ? 4 : 0;
    for (size_t i = 0; i < n; i += BLOCK, p += 2 + high_bytes + HALF) {
        int8_t q[BLOCK];
        uint8_t code[BLOCK];
        float d = signed_step(in + i, importance + i, half);
        signed_round(q, in + i, BLOCK, d, half);
        for (int j = 0; j < BLOCK; j++) code[j] = (uint8_t)(q[j] + half);
        half_store(p, d);
        nibbles_put(p + 2 + high_bytes, high_bytes ? p + 2 : NULL, code);
    }
}

static struct affine affine_halves(struct affine a) { return (struct affine){ half_round(a.step), half_round(a.low) }; }

static struct affine affine_step(const float *x, const float *w, int top)
{
    float low = x[0], high = x[0];
    for (int j = 1; j < BLOCK; j++) {
        if (x[j] < low) low = x[j];
        if (x[j] > high) high = x[j];
    }
    struct affine reference = affine_halves((struct affine){ (high - low) / (float)top, -low }), found = affine_halves(affine_search(x, w, top, true));
    return affine_error(x, w, found, top) < affine_error(x, w, reference, top) ? found : reference;
}

static void affine_row_quantise(uint8_t *p, const float *in, const float *importance, size_t n, int top)
{
    size_t high_bytes = top > 15 ? 4 : 0;
    for (size_t i = 0; i < n; i += BLOCK, p += 4 + high_bytes + HALF) {
        uint8_t q[BLOCK];
        struct affine a = affine_step(in + i, quant_weights(importance, i), top);
        affine_round(q, in + i, a, top);
        half_store(p, a.step);
        half_store(p + 2, -a.low);
        nibbles_put(p + 4 + high_bytes, high_bytes ? p + 4 : NULL, q);
    }
}

/* Without importance the step of least squares cuts off the largest element for the sake of the small ones, by
 * which models gain nothing: SmolLM2 had KL 0.401 so and 0.386 plainly rounded with 4 bits, 0.116 and 0.117 with 5. */
void q4_0_quantise(void *out, const float *in, const float *importance, size_t n)
{
    if (importance) signed_row_quantise(out, in, importance, n, 8);
    else q4_0_from_f32(out, in, n);
}

void q5_0_quantise(void *out, const float *in, const float *importance, size_t n)
{
    if (importance) signed_row_quantise(out, in, importance, n, 16);
    else q5_0_from_f32(out, in, n);
}

void q4_1_quantise(void *out, const float *in, const float *importance, size_t n) { affine_row_quantise(out, in, importance, n, 15); }
void q5_1_quantise(void *out, const float *in, const float *importance, size_t n) { affine_row_quantise(out, in, importance, n, 31); }
