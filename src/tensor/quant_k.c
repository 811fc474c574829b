/* quant_k.c - superblocks of 256 elements: Q4_K, Q5_K, Q6_K, both ways.
 *
 * Q4_K and Q5_K: 8 groups of 32, x = (d * scale) * q - (dmin * minimum), scale and minimum of 6 bits.
 * Q6_K: 16 groups of 16, x = (d * scale) * (q - 32), scale of 8 bits, signed. Layouts: ggml-common.h.
 *
 * Quantising is a search for the smallest squared error, weighed by the importance of columns, in four steps: (1) each group
 * by itself finds its step (and minimum), see quant_search.c; (2) the largest of them fix d (and dmin); (3) each group tries the codes next to its rounded ones; (4) d and dmin are fitted again
 * to all integers and kept if the error fell. Steps 3 and 4 see the rounding that step 1 cannot. */
#include "tensor/tensor_internal.h"

#include <math.h>

enum { SUPER = 256, GROUP = 32, GROUPS = SUPER / GROUP, SMALL = 16, SMALLS = SUPER / SMALL };

static int clamp_range(int v, int low, int high) { return v < low ? low : v > high ? high : v; }

/* ---- Q4_K and Q5_K: layout ----------------------------------------------------------------------------------------- */

/* A superblock taken apart. Element i of group g is d * scale[g] * q[g * 32 + i] - m * minimum[g]. */
struct affine_block {
    float d, m;
    uint8_t scale[GROUPS], minimum[GROUPS], q[SUPER];
};

/* Twelve bytes hold 8 scales and 8 minima of 6 bits: the first four pairs as they are, the last four split in
 * low nibbles (bytes 8..11) and two high bits (top of bytes 0..7). */
static void codes_unpack(struct affine_block *b, const uint8_t s[12])
{
    for (int j = 0; j < 4; j++) {
        b->scale[j] = s[j] & 63;
        b->minimum[j] = s[j + 4] & 63;
        b->scale[j + 4] = (uint8_t)((s[j + 8] & 15) | s[j] >> 6 << 4);
        b->minimum[j + 4] = (uint8_t)(s[j + 8] >> 4 | s[j + 4] >> 6 << 4);
    }
}

static void codes_pack(uint8_t s[12], const struct affine_block *b)
{
    for (int j = 0; j < 4; j++) {
        s[j] = (uint8_t)(b->scale[j] | b->scale[j + 4] >> 4 << 6);
        s[j + 4] = (uint8_t)(b->minimum[j] | b->minimum[j + 4] >> 4 << 6);
        s[j + 8] = (uint8_t)((b->scale[j + 4] & 15) | (b->minimum[j + 4] & 15) << 4);
    }
}

/* 32 bytes of nibbles hold two groups; `high` (Q5_K) has the fifth bit of group g in bit g of byte i. */
static void groups_unpack(uint8_t q[SUPER], const uint8_t *nibbles, const uint8_t *high)
{
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < GROUP; i++) {
            int nibble = nibbles[g / 2 * GROUP + i] >> (g % 2 * 4) & 15;
            q[g * GROUP + i] = (uint8_t)(nibble | (high ? (high[i] >> g & 1) << 4 : 0));
        }
}

static void groups_pack(uint8_t *nibbles, uint8_t *high, const uint8_t q[SUPER])
{
    for (int pair = 0; pair < GROUPS / 2; pair++)
        for (int i = 0; i < GROUP; i++)
            nibbles[pair * GROUP + i] = (uint8_t)((q[2 * pair * GROUP + i] & 15) | (q[(2 * pair + 1) * GROUP + i] & 15) << 4);
    if (!high) return;
    memset(high, 0, GROUP);
    for (int g = 0; g < GROUPS; g++)
        for (int i = 0; i < GROUP; i++) high[i] |= (uint8_t)((q[g * GROUP + i] >> 4) << g);
}

static void affine_to_f32(float *out, const struct affine_block *b)
{
    for (int g = 0; g < GROUPS; g++) {
        float step = b->d * (float)b->scale[g], low = b->m * (float)b->minimum[g];
        for (int i = 0; i < GROUP; i++) out[g * GROUP + i] = step * (float)b->q[g * GROUP + i] - low;
    }
}

/* `high_bytes`: 0 for Q4_K, 32 for Q5_K. */
static void affine_row_to_f32(float *out, const uint8_t *p, size_t n, size_t high_bytes)
{
    for (size_t i = 0; i < n; i += SUPER, p += 16 + high_bytes + SUPER / 2) {
        struct affine_block b = { .d = half_load(p), .m = half_load(p + 2) };
        codes_unpack(&b, p + 4);
        groups_unpack(b.q, p + 16 + high_bytes, high_bytes ? p + 16 : NULL);
        affine_to_f32(out + i, &b);
    }
}

void q4_k_to_f32(float *out, const void *in, size_t n) { affine_row_to_f32(out, in, n, 0); }
void q5_k_to_f32(float *out, const void *in, size_t n) { affine_row_to_f32(out, in, n, 32); }

/* ---- Q4_K and Q5_K: search ------------------------------------------------------------------------------------------ */

static struct affine affine_of(const struct affine_block *b, int g) { return (struct affine){ b->d * b->scale[g], b->m * b->minimum[g] }; }

/* Best codes of group g within one of those it has; returns their error. */
static float affine_group_refine(struct affine_block *b, int g, const float *x, const float *w, int top)
{
    int scale = b->scale[g], minimum = b->minimum[g], best_scale = scale, best_minimum = minimum;
    float least = INFINITY;
    for (int s = -1; s <= 1; s++)
        for (int m = -1; m <= 1; m++) {
            if (scale + s < 0 || scale + s > 63 || minimum + m < 0 || minimum + m > 63) continue;
            float error = affine_error(x, w, (struct affine){ b->d * (float)(scale + s), b->m * (float)(minimum + m) }, top);
            if (error < least) { least = error; best_scale = scale + s; best_minimum = minimum + m; }
        }
    b->scale[g] = (uint8_t)best_scale;
    b->minimum[g] = (uint8_t)best_minimum;
    affine_round(b->q + g * GROUP, x, affine_of(b, g), top);
    return least;
}

/* d and m fitted to all integers of the block; false when they cannot be told apart or leave their range. */
static bool affine_block_fit(struct affine_block *b, const float *x, const float *w)
{
    double saa = 0, sab = 0, sbb = 0, sxa = 0, sxb = 0;
    for (int i = 0; i < SUPER; i++) {
        double u = (double)b->scale[i / GROUP] * b->q[i], v = -(double)b->minimum[i / GROUP], value = (double)x[i], weight = (double)w[i];
        saa += weight * u * u; sab += weight * u * v; sbb += weight * v * v; sxa += weight * value * u; sxb += weight * value * v;
    }
    double determinant = saa * sbb - sab * sab;
    if (!(determinant > 1e-9 * saa * sbb)) return false;
    double d = (sxa * sbb - sxb * sab) / determinant, m = (sxb * saa - sxa * sab) / determinant;
    if (!(d > 0 && d < 65504 && m >= 0 && m < 65504)) return false;
    b->d = half_round((float)d);
    b->m = half_round((float)m);
    return true;
}

static void affine_block_search(struct affine_block *b, const float *x, const float *w, int top)
{
    struct affine group[GROUPS];
    float step = 0, low = 0, error = 0;
    for (int g = 0; g < GROUPS; g++) {
        group[g] = affine_search(x + g * GROUP, w + g * GROUP, top, false);
        if (group[g].step > step) step = group[g].step;
        if (group[g].low > low) low = group[g].low;
    }
    b->d = half_round(step / 63);
    b->m = half_round(low / 63);
    for (int g = 0; g < GROUPS; g++) {
        b->scale[g] = (uint8_t)clamp_int(b->d > 0 ? group[g].step / b->d + 0.5f : 0, 0, 63);
        b->minimum[g] = (uint8_t)clamp_int(b->m > 0 ? group[g].low / b->m + 0.5f : 0, 0, 63);
        error += affine_group_refine(b, g, x + g * GROUP, w + g * GROUP, top);
    }
    for (int round = 0; round < 2; round++) {
        struct affine_block next = *b;
        if (!affine_block_fit(&next, x, w)) return;
        float next_error = 0;
        for (int g = 0; g < GROUPS; g++) next_error += affine_group_refine(&next, g, x + g * GROUP, w + g * GROUP, top);
        if (!(next_error < error)) return;
        *b = next;
        error = next_error;
    }
}

static void affine_row_quantise(uint8_t *p, const float *in, const float *importance, size_t n, size_t high_bytes)
{
    for (size_t i = 0; i < n; i += SUPER, p += 16 + high_bytes + SUPER / 2) {
        struct affine_block b;
        affine_block_search(&b, in + i, quant_weights(importance, i), high_bytes ? 31 : 15);
        half_store(p, b.d);
        half_store(p + 2, b.m);
        codes_pack(p + 4, &b);
        groups_pack(p + 16 + high_bytes, high_bytes ? p + 16 : NULL, b.q);
    }
}

void q4_k_quantise(void *out, const float *in, const float *importance, size_t n) { affine_row_quantise(out, in, importance, n, 0); }
void q5_k_quantise(void *out, const float *in, const float *importance, size_t n) { affine_row_quantise(out, in, importance, n, 32); }
void q4_k_from_f32(void *out, const float *in, size_t n) { q4_k_quantise(out, in, NULL, n); }
void q5_k_from_f32(void *out, const float *in, size_t n) { q5_k_quantise(out, in, NULL, n); }

/* ---- Q6_K -------------------------------------------------------------------------------------------------------------- */

/* Element i is d * scale[i / 16] * q[i], q in -32..31. */
struct signed_block {
    float d;
    int8_t scale[SMALLS], q[SUPER];
};

/* Halves of 128 elements: 64 bytes of nibbles and 32 bytes of bit pairs. Quarter k of a half (32 elements) stands in
 * nibble k / 2 of bytes (k % 2) * 32 .. + 31 and in bits 2k of the pairs. */
static void six_unpack(int8_t q[SUPER], const uint8_t *low, const uint8_t *high)
{
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, k = i / 32 % 4, l = i % 32;
        int nibble = low[half * 64 + k % 2 * 32 + l] >> (k / 2 * 4) & 15, pair = high[half * 32 + l] >> (2 * k) & 3;
        q[i] = (int8_t)((nibble | pair << 4) - 32);
    }
}

static void six_pack(uint8_t *low, uint8_t *high, const int8_t q[SUPER])
{
    memset(low, 0, 128);
    memset(high, 0, 64);
    for (int i = 0; i < SUPER; i++) {
        int half = i / 128, k = i / 32 % 4, l = i % 32, code = q[i] + 32;
        low[half * 64 + k % 2 * 32 + l] |= (uint8_t)((code & 15) << (k / 2 * 4));
        high[half * 32 + l] |= (uint8_t)((code >> 4) << (2 * k));
    }
}

void q6_k_to_f32(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t i = 0; i < n; i += SUPER, p += 210) {
        int8_t q[SUPER];
        float d = half_load(p + 208);
        six_unpack(q, p, p + 128);
        for (int j = 0; j < SUPER; j++) out[i + j] = d * (float)(int8_t)p[192 + j / SMALL] * (float)q[j];
    }
}

/* Best code of group g within one of that it has; returns its error. */
static float signed_group_refine(struct signed_block *b, int g, const float *x, const float *w)
{
    int centre = b->scale[g], best = centre;
    float least = INFINITY;
    for (int s = centre - 1; s <= centre + 1; s++) {
        if (s < -128 || s > 127) continue;
        float error = signed_error(x, w, SMALL, b->d * (float)s, 32);
        if (error < least) { least = error; best = s; }
    }
    b->scale[g] = (int8_t)best;
    signed_round(b->q + g * SMALL, x, SMALL, b->d * (float)best, 32);
    return least;
}

static void signed_block_search(struct signed_block *b, const float *x, const float *w)
{
    float step[SMALLS], largest = 0, error = 0;
    for (int g = 0; g < SMALLS; g++) {
        step[g] = signed_search(x + g * SMALL, w + g * SMALL, SMALL, 32);
        if (fabsf(step[g]) > fabsf(largest)) largest = step[g];
    }
    b->d = half_round(largest / -128);
    for (int g = 0; g < SMALLS; g++) {
        float code = b->d != 0 ? step[g] / b->d : 0;
        b->scale[g] = (int8_t)clamp_range(clamp_int(code + 128.5f, 0, 256) - 128, -128, 127);
        error += signed_group_refine(b, g, x + g * SMALL, w + g * SMALL);
    }
    for (int round = 0; round < 2; round++) {
        struct signed_block next = *b;
        double sxu = 0, suu = 0;
        for (int i = 0; i < SUPER; i++) {
            double u = (double)b->scale[i / SMALL] * b->q[i];
            sxu += (double)w[i] * (double)x[i] * u; suu += (double)w[i] * u * u;
        }
        if (!(suu > 0) || !(fabs(sxu / suu) < 65504)) return;
        next.d = half_round((float)(sxu / suu));
        float next_error = 0;
        for (int g = 0; g < SMALLS; g++) next_error += signed_group_refine(&next, g, x + g * SMALL, w + g * SMALL);
        if (!(next_error < error)) return;
        *b = next;
        error = next_error;
    }
}

void q6_k_quantise(void *out, const float *in, const float *importance, size_t n)
{
    uint8_t *p = out;
    for (size_t i = 0; i < n; i += SUPER, p += 210) {
        struct signed_block b;
        signed_block_search(&b, in + i, quant_weights(importance, i));
        six_pack(p, p + 128, b.q);
        memcpy(p + 192, b.scale, SMALLS);
        half_store(p + 208, b.d);
    }
}

void q6_k_from_f32(void *out, const float *in, size_t n) { q6_k_quantise(out, in, NULL, n); }
