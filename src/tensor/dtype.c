/* dtype.c - storage types: one row per type, and the conversions of the plain ones.
 *
 * Half and bfloat16 are done on bits (IEEE 754-2008, round to nearest even), so every machine gives the same values
 * with or without conversion instructions. Packed types stand in quant_legacy.c, quant_k.c and nf4.c. */
#include "tensor/tensor_internal.h"

#include <strings.h>

static uint32_t float_bits(float f) { uint32_t u; memcpy(&u, &f, sizeof u); return u; }
static float bits_float(uint32_t u) { float f; memcpy(&f, &u, sizeof f); return f; }

float f16_to_f32(uint16_t h)
{
    uint32_t sign = (uint32_t)(h & 0x8000) << 16, exponent = h >> 10 & 31, fraction = h & 1023;
    if (exponent == 31) return bits_float(sign | 0x7f800000 | fraction << 13);
    if (exponent == 0) {                                   /* subnormal: an exact multiple of 2^-24 */
        float magnitude = (float)fraction * 0x1p-24f;
        return sign ? -magnitude : magnitude;
    }
    return bits_float(sign | (exponent + 112) << 23 | fraction << 13);
}

/* v / 2^shift, nearest even. */
static uint32_t shift_nearest(uint32_t v, unsigned shift)
{
    uint32_t q = v >> shift, rest = v & ((1u << shift) - 1), half = 1u << (shift - 1);
    return q + (rest > half || (rest == half && (q & 1)));
}

uint16_t f32_to_f16(float f)
{
    uint32_t bits = float_bits(f), a = bits & 0x7fffffff;
    uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
    if (a > 0x7f800000) return sign | 0x7e00 | (uint16_t)(a >> 13 & 0x3ff);          /* quiet NaN */
    if (a >= 0x47800000) return sign | 0x7c00;                                       /* 2^16 and more: infinity */
    if (a >= 0x38800000) return sign | (uint16_t)shift_nearest(a - 0x38000000, 13);  /* may carry into infinity */
    unsigned shift = 126 - (a >> 23);                                                /* result counts units of 2^-24 */
    if (shift > 24) return sign;
    return sign | (uint16_t)shift_nearest((a & 0x7fffff) | 0x800000, shift);
}

float bf16_to_f32(uint16_t h) { return bits_float((uint32_t)h << 16); }

uint16_t f32_to_bf16(float f)
{
    uint32_t bits = float_bits(f);
    if ((bits & 0x7fffffff) > 0x7f800000) return (uint16_t)(bits >> 16 | 64);
    return (uint16_t)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}

static void f32_copy_in(float *out, const void *in, size_t n) { memcpy(out, in, n * sizeof *out); }
static void f32_copy_out(void *out, const float *in, size_t n) { memcpy(out, in, n * sizeof *in); }

/* Elements of files may stand at any address: loads and stores go through memcpy. */
static void f16_row_to_f32(float *out, const void *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = half_load((const uint8_t *)in + 2 * i);
}

static void f16_row_from_f32(void *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) half_store((uint8_t *)out + 2 * i, in[i]);
}

static void bf16_row_to_f32(float *out, const void *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h;
        memcpy(&h, (const uint8_t *)in + 2 * i, sizeof h);
        out[i] = bf16_to_f32(h);
    }
}

static void bf16_row_from_f32(void *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        uint16_t h = f32_to_bf16(in[i]);
        memcpy((uint8_t *)out + 2 * i, &h, sizeof h);
    }
}

static void f64_row_to_f32(float *out, const void *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d;
        memcpy(&d, (const uint8_t *)in + 8 * i, sizeof d);
        out[i] = (float)d;
    }
}

static void f64_row_from_f32(void *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)in[i];
        memcpy((uint8_t *)out + 8 * i, &d, sizeof d);
    }
}

/* ORDER DTYPE. GGUF numbers: ggml's type list. */
const struct dtype_row dtypes[DTYPE_COUNT] = {
    /*              name    safetensors gguf block bytes to_f32          from_f32       quantise */
    [DTYPE_F32]  = { "f32",  "F32",  0,  1,   4,   f32_copy_in,     f32_copy_out },
    [DTYPE_F16]  = { "f16",  "F16",  1,  1,   2,   f16_row_to_f32,  f16_row_from_f32 },
    [DTYPE_BF16] = { "bf16", "BF16", 30, 1,   2,   bf16_row_to_f32, bf16_row_from_f32 },
    [DTYPE_Q8_0] = { "q8_0", NULL,   8,  32,  34,  q8_0_to_f32,     q8_0_from_f32 },
    [DTYPE_Q4_0] = { "q4_0", NULL,   2,  32,  18,  q4_0_to_f32,     q4_0_from_f32, q4_0_quantise },
    [DTYPE_Q4_1] = { "q4_1", NULL,   3,  32,  20,  q4_1_to_f32,     q4_1_from_f32, q4_1_quantise },
    [DTYPE_Q5_0] = { "q5_0", NULL,   6,  32,  22,  q5_0_to_f32,     q5_0_from_f32, q5_0_quantise },
    [DTYPE_Q5_1] = { "q5_1", NULL,   7,  32,  24,  q5_1_to_f32,     q5_1_from_f32, q5_1_quantise },
    [DTYPE_Q4_K] = { "q4_k", NULL,   12, 256, 144, q4_k_to_f32,     q4_k_from_f32, q4_k_quantise },
    [DTYPE_Q5_K] = { "q5_k", NULL,   13, 256, 176, q5_k_to_f32,     q5_k_from_f32, q5_k_quantise },
    [DTYPE_Q6_K] = { "q6_k", NULL,   14, 256, 210, q6_k_to_f32,     q6_k_from_f32, q6_k_quantise },
    [DTYPE_NF4]  = { "nf4",  NULL,   -1, NF4_BLOCK, NF4_BYTES, nf4_to_f32, nf4_from_f32, NULL, NF4_GROUP, NF4_HEAD },
    [DTYPE_F64]  = { "f64",  "F64",  28, 1,   8,   f64_row_to_f32,  f64_row_from_f32 },
    [DTYPE_I8]   = { "i8",   "I8",   24, 1,   1,   NULL,            NULL },
    [DTYPE_I16]  = { "i16",  "I16",  25, 1,   2,   NULL,            NULL },
    [DTYPE_I32]  = { "i32",  "I32",  26, 1,   4,   NULL,            NULL },
    [DTYPE_I64]  = { "i64",  "I64",  27, 1,   8,   NULL,            NULL },
};

bool dtype_by_name(enum dtype *out, const char *name)
{
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (strcasecmp(dtypes[t].name, name) == 0) { *out = (enum dtype)t; return true; }
    return false;
}

/* Old Hub files hold mask buffers of these types: nothing computes with them, so the integer of that width stands in. */
static const struct { const char *safetensors; enum dtype dtype; } same_width[] = {
    { "BOOL", DTYPE_I8 }, { "U8", DTYPE_I8 }, { "U16", DTYPE_I16 }, { "U32", DTYPE_I32 }, { "U64", DTYPE_I64 },
};

bool dtype_by_safetensors(enum dtype *out, const char *name)
{
    for (size_t i = 0; i < sizeof same_width / sizeof *same_width; i++)
        if (strcmp(same_width[i].safetensors, name) == 0) { *out = same_width[i].dtype; return true; }
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (dtypes[t].safetensors && strcmp(dtypes[t].safetensors, name) == 0) { *out = (enum dtype)t; return true; }
    return false;
}

bool dtype_by_gguf(enum dtype *out, uint32_t type)
{
    for (int t = 0; t < DTYPE_COUNT; t++)
        if (dtypes[t].gguf >= 0 && (uint32_t)dtypes[t].gguf == type) { *out = (enum dtype)t; return true; }
    return false;
}

size_t dtype_row_bytes(enum dtype t, size_t cols)
{
    const struct dtype_row *d = &dtypes[t];
    return cols / d->block * d->bytes + (d->head ? (cols + d->group - 1) / d->group * d->head : 0);
}
