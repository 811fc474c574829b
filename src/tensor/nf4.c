/* nf4.c - 4-bit NormalFloat with its scales quantised again (Dettmers et al. 2023, "QLoRA: Efficient Finetuning of
 * Quantized LLMs"), as bitsandbytes computes it: the largest magnitude of 64 elements is their scale; the scales of 256
 * blocks, less their mean, are 8-bit numbers of the dynamic map. For frozen weights in memory: no file holds this type.
 *
 * Layout, ours: a row consists of groups of up to 256 blocks (16384 elements), each with two floats of its own, the scale
 * of its scales and their mean; then per block the code of its scale and 32 bytes, where byte j holds element j below and
 * element j + 32 above. So each group is what bitsandbytes makes of these elements alone; its own groups run on from row
 * to row, and it has one mean for a whole tensor. 4.125 bits an element and 64 a group: 4.135 for rows of 6144. */
#include "tensor/tensor_internal.h"

#include <float.h>
#include <math.h>

const float nf4_value[16] = {
    -1, -0.6961928009986877f, -0.5250730514526367f, -0.39491748809814453f, -0.28444138169288635f, -0.18477343022823334f, -0.09105003625154495f, 0,
    0.07958029955625534f, 0.16093020141124725f, 0.24611230194568634f, 0.33791524171829224f, 0.44070982933044434f, 0.5626170039176941f, 0.7229568362236023f, 1
};

int dynamic_nearest(const float map[256], float x)
{
    int low = 0, high = 255;
    while (low < high) {
        int middle = (low + high) / 2;
        if (x > (map[middle] + map[middle + 1]) / 2) low = middle + 1; else high = middle;
    }
    return low;
}

/* 1 / largest, and a finite number where that would not be one. */
static float inverse_of(float largest)
{
    if (!(largest > 0)) return 0;
    float inverse = 1 / largest;
    return inverse < FLT_MAX ? inverse : FLT_MAX;
}

static float largest_of(const float *x, size_t n)
{
    float largest = 0;
    for (size_t i = 0; i < n; i++) largest = fabsf(x[i]) > largest ? fabsf(x[i]) : largest;
    return largest;
}

static void put_codes(uint8_t *out, const float x[NF4_BLOCK], float inverse)
{
    uint8_t code[NF4_BLOCK] = { 0 };
    for (size_t k = 0; k < 15; k++) {
        const float middle = (nf4_value[k] + nf4_value[k + 1]) / 2;
        for (size_t i = 0; i < NF4_BLOCK; i++) code[i] += x[i] * inverse > middle;
    }
    for (size_t j = 0; j < NF4_BLOCK / 2; j++) out[j] = (uint8_t)(code[j] | code[j + NF4_BLOCK / 2] << 4);
}

static void group_from_f32(uint8_t *out, const float *x, size_t blocks)
{
    float scale[NF4_GROUP / NF4_BLOCK], head[2];
    double sum = 0;
    for (size_t b = 0; b < blocks; b++) sum += (double)(scale[b] = largest_of(x + b * NF4_BLOCK, NF4_BLOCK));
    head[1] = (float)(sum / (double)blocks);
    for (size_t b = 0; b < blocks; b++) {
        put_codes(out + NF4_HEAD + b * NF4_BYTES + 1, x + b * NF4_BLOCK, inverse_of(scale[b]));
        scale[b] -= head[1];
    }
    head[0] = largest_of(scale, blocks);
    float inverse = inverse_of(head[0]);
    for (size_t b = 0; b < blocks; b++) out[NF4_HEAD + b * NF4_BYTES] = (uint8_t)dynamic_nearest(dynamic_signed, scale[b] * inverse);
    memcpy(out, head, sizeof head);
}

void nf4_from_f32(void *out, const float *in, size_t n)
{
    for (size_t at = 0; at < n; at += NF4_GROUP) {
        size_t here = n - at < NF4_GROUP ? n - at : NF4_GROUP;
        group_from_f32((uint8_t *)out + dtype_row_bytes(DTYPE_NF4, at), in + at, here / NF4_BLOCK);
    }
}

void nf4_part_to_f32(float *out, const void *row, size_t first, size_t n)
{
    for (size_t at = first; at < first + n; at += NF4_BLOCK, out += NF4_BLOCK) {
        float scale;
        const uint8_t *p = nf4_block(row, at, &scale);
        for (size_t j = 0; j < NF4_BLOCK / 2; j++) {
            out[j] = nf4_value[p[j] & 15] * scale;
            out[j + NF4_BLOCK / 2] = nf4_value[p[j] >> 4] * scale;
        }
    }
}

void nf4_to_f32(float *out, const void *in, size_t n) { nf4_part_to_f32(out, in, 0, n); }
