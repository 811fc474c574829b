/* scalar.c - every kernel in plain C: the specification, the fallback and the oracle of the vector files. Block layouts:
 * GGUF specification, ggml-common.h. Sums run over eight lanes, as the vector kernels' do. */
#include "cpu/cpu.h"

#include <math.h>
#include <string.h>

enum { LANES = 8 };

/* Fixed tree: halves onto each other. */
static float reduce(const float a[LANES])
{
    return ((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7]));
}

static float dot_one(const float *w, const float *x, size_t k)
{
    float a[LANES] = { 0 };
    for (size_t i = 0; i < k; i++) a[i % LANES] += w[i] * x[i];
    return reduce(a);
}

static void dot_f32(float *out, size_t out_stride, const float *w, size_t w_stride, size_t n_w, const float *x, size_t x_stride, size_t n_x, size_t k)
{
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) out[r * out_stride + j] = dot_one(w + j * w_stride, x + r * x_stride, k);
}

/* A lane holds the sums of four neighbours: lanes 0-3 the first 16 elements of a block, 4-7 the others. */
static float dot_i8_one(const struct i8_weights *w, size_t j, const struct i8_rows *x, size_t r)
{
    const int8_t *a = w->q + j * w->cols, *b = x->q + r * x->cols;
    size_t blocks = w->cols / 32;
    const float *ws = w->scale + j * 2 * blocks, *xs = x->scale + r * blocks;
    float acc[LANES] = { 0 };
    for (size_t i = 0; i < blocks; i++)
        for (size_t l = 0; l < LANES; l++) {
            int sum = 0;
            for (size_t e = 0; e < 4; e++) sum += a[i * 32 + l * 4 + e] * b[i * 32 + l * 4 + e];
            acc[l] += (float)sum * (ws[2 * i + l / 4] * xs[i]);
        }
    return w->has_min ? reduce(acc) + dot_one(w->min + j * blocks, x->sum + r * blocks, blocks) : reduce(acc);
}

static void dot_i8(float *out, size_t out_stride, const struct i8_weights *w, size_t first_w, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x)
{
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) out[r * out_stride + j] = dot_i8_one(w, first_w + j, x, first_x + r);
}

/* ---- weights to int8 ------------------------------------------------------------------------------------------------ */

static float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return f16_to_f32(h);
}

static void unpack_i8_q8_0(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    (void)min;
    for (size_t b = 0; b < n / 32; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 34;
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        memcpy(q + b * 32, p + 2, 32);
    }
}

/* Low nibbles are elements 0-15, high ones 16-31; `high`: 32 further bits (fifth bits) or 0. */
static void unpack_nibbles(int8_t *q, const uint8_t *nibbles, uint32_t high, int offset)
{
    for (size_t i = 0; i < 16; i++) {
        q[i] = (int8_t)((nibbles[i] & 15) + (int)(high >> i & 1) * 16 - offset);
        q[i + 16] = (int8_t)((nibbles[i] >> 4) + (int)(high >> (i + 16) & 1) * 16 - offset);
    }
}

static void unpack_i8_q4_0(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    (void)min;
    for (size_t b = 0; b < n / 32; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 18;
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        unpack_nibbles(q + b * 32, p + 2, 0, 8);
    }
}

static void unpack_i8_q4_1(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    for (size_t b = 0; b < n / 32; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 20;
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        min[b] = half_at(p + 2);
        unpack_nibbles(q + b * 32, p + 4, 0, 0);
    }
}

static void unpack_i8_q5_0(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    (void)min;
    for (size_t b = 0; b < n / 32; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 22;
        uint32_t high;
        memcpy(&high, p + 2, 4);
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        unpack_nibbles(q + b * 32, p + 6, high, 16);
    }
}

static void unpack_i8_q5_1(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    for (size_t b = 0; b < n / 32; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 24;
        uint32_t high;
        memcpy(&high, p + 4, 4);
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        min[b] = half_at(p + 2);
        unpack_nibbles(q + b * 32, p + 8, high, 0);
    }
}

/* The 6-bit scale and minimum of group g (0-7) in the 12 bytes of a K block. */
static void k_scale(const uint8_t *s, size_t g, int *scale, int *min)
{
    *scale = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
    *min = g < 4 ? s[g + 4] & 63 : (s[g + 4] >> 4) | (s[g] >> 6) << 4;
}

static void unpack_i8_q45_k(int8_t *q, float *scale, float *min, const uint8_t *p, size_t n, size_t bytes, bool has_high)
{
    for (size_t b = 0; b < n / 256; b++, p += bytes) {
        float d = half_at(p), dmin = half_at(p + 2);
        const uint8_t *high = p + 16, *nibbles = p + (has_high ? 48 : 16);
        for (size_t g = 0; g < 8; g++) {
            int s, m;
            k_scale(p + 4, g, &s, &m);
            size_t at = b * 8 + g;
            scale[2 * at] = scale[2 * at + 1] = d * (float)s;
            min[at] = -dmin * (float)m;
            for (size_t i = 0; i < 32; i++) {
                int v = nibbles[g / 2 * 32 + i] >> (g % 2 * 4) & 15;
                if (has_high) v += (high[i] >> g & 1) * 16;
                q[at * 32 + i] = (int8_t)v;
            }
        }
    }
}

static void unpack_i8_q4_k(int8_t *q, float *scale, float *min, const void *in, size_t n) { unpack_i8_q45_k(q, scale, min, in, n, 144, false); }
static void unpack_i8_q5_k(int8_t *q, float *scale, float *min, const void *in, size_t n) { unpack_i8_q45_k(q, scale, min, in, n, 176, true); }

static void unpack_i8_q6_k(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    (void)min;
    for (size_t b = 0; b < n / 256; b++) {
        const uint8_t *p = (const uint8_t *)in + b * 210;
        const int8_t *s = (const int8_t *)(p + 192);
        float d = half_at(p + 208);
        for (size_t i = 0; i < 16; i++) scale[b * 16 + i] = d * (float)s[i];
        for (size_t e = 0; e < 256; e++) {
            size_t half = e / 128, group = e % 128 / 32, l = e % 32;
            int low = p[half * 64 + group % 2 * 32 + l] >> (group / 2 * 4) & 15;
            int high = p[128 + half * 32 + l] >> (2 * group) & 3;
            q[b * 256 + e] = (int8_t)((low | high << 4) - 32);
        }
    }
}

static void quantize_row(int8_t *q, float *scale, float *sum, int16_t *sum16, const float *x, size_t n)
{
    for (size_t b = 0; b < n / 32; b++, x += 32) {
        float most = 0;
        for (size_t i = 0; i < 32; i++) most = fmaxf(most, fabsf(x[i]));
        float d = most / 127, inverse = most > 0 ? 127 / most : 0;
        int total[2] = { 0 };
        for (size_t i = 0; i < 32; i++) {
            q[b * 32 + i] = (int8_t)lrintf(x[i] * inverse);
            total[i / 16] += q[b * 32 + i];
        }
        scale[b] = d;
        sum[b] = d * (float)(total[0] + total[1]);
        for (size_t i = 0; i < 2; i++) sum16[2 * b + i] = (int16_t)total[i];
    }
}

/* ---- panels ------------------------------------------------------------------------------------------------------------- */

/* Byte `i` of row r in codes where rows take turns with four bytes. */
static int code_at(const uint8_t *codes, size_t r, size_t i) { return codes[i / 4 * 4 * PANEL + 4 * r + i % 4]; }

static int nibble_sum(const uint8_t *codes, size_t r, const int8_t *x)
{
    int sum = 0;
    for (size_t i = 0; i < 16; i++) sum += (code_at(codes, r, i) & 15) * x[i] + (code_at(codes, r, i) >> 4) * x[16 + i];
    return sum;
}

/* acc plus the product of block b of row r. */
typedef float (*panel_block)(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum);

static float block_q8_0(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum)
{
    int total = 0;
    (void)sum;
    for (size_t i = 0; i < 32; i++) total += (int8_t)code_at(p + 16, r, i) * x[i];
    return fmaf((float)total, half_at(p + 2 * r) * *scale, acc);
}

static float block_q4_0(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum)
{
    int total = nibble_sum(p + 16, r, x);
    (void)sum;
    for (size_t i = 0; i < 32; i++) total -= 8 * x[i];
    return fmaf((float)total, half_at(p + 2 * r) * *scale, acc);
}

static float block_q4_1(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum)
{
    acc = fmaf((float)nibble_sum(p + 32, r, x), half_at(p + 2 * r) * *scale, acc);
    return fmaf(half_at(p + 16 + 2 * r), *sum, acc);
}

/* highs: fifth bits, NULL: none. */
static float block_k(float acc, const uint8_t *p, const uint8_t *highs, size_t r, const int8_t *x, const float *scale, const float *sum)
{
    float a = 0, b = 0;
    for (size_t g = 0; g < 8; g++) {
        int total = 0;
        for (size_t i = 0; i < 32; i++) {
            int code = code_at(p + 160 + g / 2 * 256, r, i) >> (g % 2 * 4) & 15;
            if (highs) code |= (code_at(highs, r, i) >> g & 1) << 4;
            total += code * x[32 * g + i];
        }
        a = fmaf((float)(total * p[32 + 16 * g + r]), scale[g], a);
        b = fmaf((float)p[40 + 16 * g + r], sum[g], b);
    }
    return fmaf(-b, half_at(p + 16 + 2 * r), fmaf(a, half_at(p + 2 * r), acc));
}

static float block_q4_k(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum) { return block_k(acc, p, NULL, r, x, scale, sum); }
static float block_q5_k(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum) { return block_k(acc, p, p + 1184, r, x, scale, sum); }

static float block_q6_k(float acc, const uint8_t *p, size_t r, const int8_t *x, const float *scale, const float *sum)
{
    float a = 0;
    (void)sum;
    for (size_t g = 0; g < 8; g++) {
        const uint8_t *low = p + 144 + g / 4 * 512 + g % 2 * 256, *high = p + 1168 + g / 4 * 256;
        int total = 0;
        for (size_t i = 0; i < 32; i++) {
            int code = (code_at(low, r, i) >> (g % 4 / 2 * 4) & 15) | (code_at(high, r, i) >> (g % 4 * 2) & 3) << 4;
            total += (code - 32) * x[32 * g + i] * (int8_t)p[16 + 16 * g + 2 * r + i / 16];
        }
        a = fmaf((float)total, scale[g], a);
    }
    return fmaf(a, half_at(p + 2 * r), acc);
}

static void dot_panel(float *out, size_t out_stride, const uint8_t *panel, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x, enum dtype t, panel_block block)
{
    size_t blocks = x->cols / dtypes[t].block, groups = dtypes[t].block / 32, bytes = panel_bytes(t, dtypes[t].block);
    for (size_t i = 0; i < n_x; i++)
        for (size_t r = 0; r < n_w; r++) {
            const int8_t *q = x->q + (first_x + i) * x->cols;
            const float *scale = x->scale + (first_x + i) * x->cols / 32, *sum = x->sum + (first_x + i) * x->cols / 32;
            float acc = 0;
            for (size_t b = 0; b < blocks; b++) acc = block(acc, panel + b * bytes, r, q + b * groups * 32, scale + b * groups, sum + b * groups);
            out[i * out_stride + r] = acc;
        }
}

#define PANEL_KERNEL(name, type) static void dot_##name(float *out, size_t out_stride, const void *panel, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x) \
    { dot_panel(out, out_stride, panel, n_w, x, first_x, n_x, type, block_##name); }
PANEL_KERNEL(q8_0, DTYPE_Q8_0)
PANEL_KERNEL(q4_0, DTYPE_Q4_0)
PANEL_KERNEL(q4_1, DTYPE_Q4_1)
PANEL_KERNEL(q4_k, DTYPE_Q4_K)
PANEL_KERNEL(q5_k, DTYPE_Q5_K)
PANEL_KERNEL(q6_k, DTYPE_Q6_K)

/* ---- attention and pointwise ------------------------------------------------------------------------------------------ */

static float exp_tile(float s[64], float max)
{
    float a[LANES] = { 0 };
    for (size_t i = 0; i < 64; i++) {
        s[i] = expf(s[i] - max);
        a[i % LANES] += s[i];
    }
    return reduce(a);
}

static float largest(const float *s, size_t n)
{
    float max = -INFINITY;
    for (size_t i = 0; i < n; i++) max = s[i] > max ? s[i] : max;
    return max;
}

static float exp_row(float *s, size_t n, float scale, float shift)
{
    float tile[64], sum = 0;
    for (size_t at = 0; at < n; at += 64) {
        size_t count = n - at < 64 ? n - at : 64;
        for (size_t i = 0; i < 64; i++) tile[i] = i < count ? s[at + i] * scale : -INFINITY;
        sum += exp_tile(tile, shift);
        memcpy(s + at, tile, count * sizeof *tile);
    }
    return sum;
}

static void softmax_gradient(float *dp, const float *p, size_t n, float delta, float scale)
{
    for (size_t i = 0; i < n; i++) dp[i] = p[i] * (dp[i] - delta) * scale;
}

static void outer(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols, bool is_half)
{
    for (size_t t = 0; t < n; t++)
        for (size_t i = 0; i < cols; i++) {
            float sum = keep ? c[t][i] * keep[t] : 0;
            for (size_t j = 0; j < k; j++) sum += a[t][j] * (is_half ? f16_to_f32(((const uint16_t *)b)[j * b_stride + i]) : ((const float *)b)[j * b_stride + i]);
            c[t][i] = sum;
        }
}

static void mix_q8(float *const *acc, const float *keep, const float *const *p, size_t n, const void *blocks, size_t n_blocks, size_t d)
{
    const size_t bytes = KV_BLOCK * d / 32 * 34;
    const uint8_t *block = blocks;
    for (size_t t = 0; t < n; t++) {
        float v[KV_TURN], most = 0;
        int q[KV_TURN];
        for (size_t j = 0; j < n_blocks * KV_BLOCK; j++) {
            v[j] = p[t][j] > 0 ? p[t][j] * half_at(block + j / KV_BLOCK * bytes + j % KV_BLOCK * 2) : 0;   /* a scale nobody wrote may be no number */
            most = fmaxf(most, v[j]);
        }
        for (size_t j = 0; j < n_blocks * KV_BLOCK; j++) q[j] = (int)lrintf(v[j] * (most > 0 ? 127 / most : 0));
        for (size_t i = 0; i < d; i++) {
            int total = 0;
            for (size_t j = 0; j < n_blocks * KV_BLOCK; j++) {
                const int8_t *codes = (const int8_t *)block + j / KV_BLOCK * bytes + KV_HEAD * d / 32;
                total += q[j] * codes[i / PANEL * PANEL * KV_BLOCK + (j % KV_BLOCK / 4 * PANEL + i % PANEL) * 4 + j % 4];
            }
            acc[t][i] = fmaf((float)total, most / 127, acc[t][i] * keep[t]);
        }
    }
}

static void outer_f16(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, true); }
static void outer_f32(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, false); }

static void silu_gate_row(float *out, const float *gate, const float *up, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = gate[i] / (1 + expf(-gate[i])) * up[i];
}

static void silu_gate_backward(float *to_gate, float *to_up, const float *gate, const float *up, const float *g, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        float s = 1 / (1 + expf(-gate[i])), gs = g[i] * s;
        to_up[i] = gs * gate[i];
        to_gate[i] = gs * up[i] * (1 + gate[i] * (1 - s));
    }
}

/* x/2 (1 + tanh(u)) = x / (1 + exp(-2u)), u = sqrt(2/pi) (x + 0.044715 x^3): Hendrycks and Gimpel 2016. */
static void gelu_tanh(float *out, const float *x, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = x[i] / (1 + expf(-1.5957691216f * (x[i] + 0.044715f * x[i] * x[i] * x[i])));
}

static double burst_f32(size_t rounds)
{
    float a[LANES] = { 0 };
    volatile float w = 0.5f;
    for (size_t i = 0; i < rounds; i++)
        for (size_t l = 0; l < LANES; l++) a[l] = a[l] * w + 1;
    volatile float keep = reduce(a);
    (void)keep;
    return 2.0 * LANES * (double)rounds;
}

static double burst_i8(size_t rounds)
{
    int a[LANES] = { 0 };
    volatile int8_t w = 3;
    for (size_t i = 0; i < rounds; i++)
        for (size_t l = 0; l < LANES; l++) a[l] += (int8_t)i * w;
    volatile int keep = a[0] + a[7];
    (void)keep;
    return 2.0 * LANES * (double)rounds;
}

static void gemm_tile(float *c, size_t ldc, const float *a, const float *b, size_t k, bool add)
{
    float acc[4][4];
    for (size_t i = 0; i < 4; i++)
        for (size_t j = 0; j < 4; j++) acc[i][j] = add ? c[i * ldc + j] : 0;
    for (size_t p = 0; p < k; p++)
        for (size_t i = 0; i < 4; i++)
            for (size_t j = 0; j < 4; j++) acc[i][j] = fmaf(a[p * 4 + i], b[p * 4 + j], acc[i][j]);
    for (size_t i = 0; i < 4; i++) memcpy(c + i * ldc, acc[i], sizeof acc[i]);
}

static void interleave(float *out, size_t width, const float *const *line, size_t lines, size_t n)
{
    for (size_t p = 0; p < n; p++, out += width) {
        for (size_t i = 0; i < lines; i++) out[i] = line[i][p];
        for (size_t i = lines; i < width; i++) out[i] = 0;
    }
}

static void pack_f16(uint16_t *out, const float *in, size_t n)
{
    for (size_t i = 0; i < n; i++) out[i] = f32_to_f16(in[i]);
}

void cpu_fill_scalar(struct cpu_kernels *k)
{
    *k = (struct cpu_kernels){
        .gemm_m = 4, .gemm_n = 4, .gemm_tile = gemm_tile, .interleave = interleave, .dot_f32 = dot_f32, .dot_i8 = dot_i8, .quantize_row = quantize_row, .pack_f16 = pack_f16, .exp_tile = exp_tile, .largest = largest, .exp_row = exp_row,
        .softmax_gradient = softmax_gradient, .outer = { outer_f16, outer_f32 }, .mix_q8 = mix_q8,
        .silu_gate = silu_gate_row, .silu_gate_backward = silu_gate_backward, .gelu_tanh = gelu_tanh, .burst_f32 = burst_f32, .burst_i8 = burst_i8,
        .unpack_i8 = { [DTYPE_Q8_0] = unpack_i8_q8_0, [DTYPE_Q4_0] = unpack_i8_q4_0, [DTYPE_Q4_1] = unpack_i8_q4_1,
                       [DTYPE_Q5_0] = unpack_i8_q5_0, [DTYPE_Q5_1] = unpack_i8_q5_1, [DTYPE_Q4_K] = unpack_i8_q4_k,
                       [DTYPE_Q5_K] = unpack_i8_q5_k, [DTYPE_Q6_K] = unpack_i8_q6_k },
        .dot_panel = { [DTYPE_Q8_0] = dot_q8_0, [DTYPE_Q4_0] = dot_q4_0, [DTYPE_Q4_1] = dot_q4_1, [DTYPE_Q4_K] = dot_q4_k, [DTYPE_Q5_K] = dot_q5_k, [DTYPE_Q6_K] = dot_q6_k },
        .unpack_part = { [DTYPE_NF4] = nf4_part_to_f32 },
        .i8_has_min = { [DTYPE_Q4_1] = true, [DTYPE_Q5_1] = true, [DTYPE_Q4_K] = true, [DTYPE_Q5_K] = true },
    };
    for (int t = 0; t < DTYPE_COUNT; t++) k->unpack_f32[t] = dtypes[t].to_f32;
}
