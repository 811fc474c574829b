/* avx2.c - AVX2, FMA and F16C kernels. Each output element has one vector accumulator that walks k in steps of 8 and one
 * fixed reduction, in tiles of any size: that is what keeps one row and many equal to the bit. No kernel reads behind a
 * row's end. exp: range reduction to |r| <= ln2/2 and a polynomial of degree 6 (Cephes' coefficients), about 1 ulp. */
#include "cpu/cpu.h"

#include <immintrin.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))

/* (a0+a4)+(a2+a6) + (a1+a5)+(a3+a7), as scalar.c. */
INLINE float reduce(__m256 a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

/* The first n (< 8) floats at p; the other lanes are zero and are not read. */
INLINE __m256 load_part(const float *p, size_t n)
{
    static const int32_t mask[16] = { -1, -1, -1, -1, -1, -1, -1, -1 };
    return _mm256_maskload_ps(p, _mm256_loadu_si256((const __m256i *)(mask + 8 - n)));
}

INLINE void dot_tile(float *out, size_t out_stride, const float *w, size_t w_stride, const float *x, size_t x_stride, size_t k, const size_t n_w, const size_t n_x)
{
    __m256 acc[TILE_X][TILE_W];
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) acc[r][j] = _mm256_setzero_ps();
    size_t i = 0;
    for (; i + 8 <= k; i += 8) {
        __m256 b[TILE_W];
        for (size_t j = 0; j < n_w; j++) b[j] = _mm256_loadu_ps(w + j * w_stride + i);
        for (size_t r = 0; r < n_x; r++) {
            __m256 a = _mm256_loadu_ps(x + r * x_stride + i);
            for (size_t j = 0; j < n_w; j++) acc[r][j] = _mm256_fmadd_ps(a, b[j], acc[r][j]);
        }
    }
    if (i < k)
        for (size_t r = 0; r < n_x; r++)
            for (size_t j = 0; j < n_w; j++)
                acc[r][j] = _mm256_fmadd_ps(load_part(x + r * x_stride + i, k - i), load_part(w + j * w_stride + i, k - i), acc[r][j]);
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) out[r * out_stride + j] = reduce(acc[r][j]);
}

/* Two activation rows at a time: 8 accumulators, 4 weights and 2 rows fit in 16 registers. */
static void dot_f32(float *out, size_t out_stride, const float *w, size_t w_stride, size_t n_w, const float *x, size_t x_stride, size_t n_x, size_t k)
{
    for (; n_x >= 2; n_x -= 2, out += 2 * out_stride, x += 2 * x_stride) {
        if (n_w == 4) dot_tile(out, out_stride, w, w_stride, x, x_stride, k, 4, 2);
        else for (size_t j = 0; j < n_w; j++) dot_tile(out + j, out_stride, w + j * w_stride, w_stride, x, x_stride, k, 1, 2);
    }
    if (!n_x) return;
    if (n_w == 4) dot_tile(out, out_stride, w, w_stride, x, x_stride, k, 4, 1);
    else for (size_t j = 0; j < n_w; j++) dot_tile(out + j, out_stride, w + j * w_stride, w_stride, x, x_stride, k, 1, 1);
}

/* 32 products as 8 sums of four neighbours: |a| times b with a's sign, so that one factor is unsigned. */
INLINE __m256i dot_block(__m256i a, __m256i b)
{
    __m256i pairs = _mm256_maddubs_epi16(_mm256_sign_epi8(a, a), _mm256_sign_epi8(b, a));
    return _mm256_madd_epi16(pairs, _mm256_set1_epi16(1));
}

INLINE __m256 pair_scale(const float *two) { return _mm256_set_m128(_mm_set1_ps(two[1]), _mm_set1_ps(two[0])); }

INLINE void dot_i8_tile(float *out, const struct i8_weights *w, size_t first_w, const struct i8_rows *x, size_t r, const size_t n_w)
{
    size_t blocks = w->cols / 32;
    const int8_t *a = x->q + r * x->cols;
    const float *as = x->scale + r * blocks;
    __m256 acc[TILE_W];
    for (size_t j = 0; j < n_w; j++) acc[j] = _mm256_setzero_ps();
    for (size_t i = 0; i < blocks; i++) {
        __m256i xv = _mm256_loadu_si256((const __m256i *)(a + i * 32));
        __m256 xs = _mm256_broadcast_ss(as + i);
        for (size_t j = 0; j < n_w; j++) {
            __m256i wv = _mm256_loadu_si256((const __m256i *)(w->q + (first_w + j) * w->cols + i * 32));
            __m256 s = _mm256_mul_ps(pair_scale(w->scale + ((first_w + j) * blocks + i) * 2), xs);
            acc[j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(dot_block(wv, xv)), s, acc[j]);
        }
    }
    for (size_t j = 0; j < n_w; j++) out[j] = reduce(acc[j]);
}

static void dot_i8(float *out, size_t out_stride, const struct i8_weights *w, size_t first_w, size_t n_w, const struct i8_rows *x, size_t first_x, size_t n_x)
{
    size_t blocks = w->cols / 32;
    for (size_t r = 0; r < n_x; r++) {
        float *row = out + r * out_stride, mins[TILE_W];
        if (n_w == 4) dot_i8_tile(row, w, first_w, x, first_x + r, 4);
        else for (size_t j = 0; j < n_w; j++) dot_i8_tile(row + j, w, first_w + j, x, first_x + r, 1);
        if (!w->has_min) continue;
        dot_f32(mins, TILE_W, w->min + first_w * blocks, blocks, n_w, x->sum + (first_x + r) * blocks, blocks, 1, blocks);
        for (size_t j = 0; j < n_w; j++) row[j] += mins[j];
    }
}

/* ---- unpacking ---------------------------------------------------------------------------------------------------------- */

INLINE float half_at(const uint8_t *p)
{
    uint16_t h;
    memcpy(&h, p, 2);
    return _cvtsh_ss(h);
}

static void unpack_f16(float *out, const void *in, size_t n)
{
    const uint16_t *p = in;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)(p + i))));
    for (; i < n; i++) out[i] = half_at((const uint8_t *)(p + i));
}

static void pack_f16(uint16_t *out, const float *in, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm_storeu_si128((__m128i *)(out + i), _mm256_cvtps_ph(_mm256_loadu_ps(in + i), _MM_FROUND_TO_NEAREST_INT));
    for (; i < n; i++) out[i] = f32_to_f16(in[i]);
}

static void unpack_bf16(float *out, const void *in, size_t n)
{
    const uint16_t *p = in;
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256i wide = _mm256_slli_epi32(_mm256_cvtepu16_epi32(_mm_loadu_si128((const __m128i *)(p + i))), 16);
        _mm256_storeu_ps(out + i, _mm256_castsi256_ps(wide));
    }
    for (; i < n; i++) out[i] = bf16_to_f32(p[i]);
}

INLINE __m256 widen(__m128i eight_bytes) { return _mm256_cvtepi32_ps(_mm256_cvtepi8_epi32(eight_bytes)); }

/* 32 signed bytes times d, plus m where the type has one. */
INLINE void store_scaled(float *out, __m256i q, float d, const float *m)
{
    __m128i low = _mm256_castsi256_si128(q), high = _mm256_extracti128_si256(q, 1);
    __m256 v[4] = { widen(low), widen(_mm_srli_si128(low, 8)), widen(high), widen(_mm_srli_si128(high, 8)) };
    for (int i = 0; i < 4; i++) {
        __m256 y = _mm256_mul_ps(v[i], _mm256_set1_ps(d));
        if (m) y = _mm256_add_ps(y, _mm256_set1_ps(*m));
        _mm256_storeu_ps(out + 8 * i, y);
    }
}

/* 16 bytes of nibbles to 32 bytes: low nibbles first. */
INLINE __m256i nibbles(const uint8_t *p)
{
    __m128i b = _mm_loadu_si128((const __m128i *)p);
    return _mm256_and_si256(_mm256_set_m128i(_mm_srli_epi16(b, 4), b), _mm256_set1_epi8(15));
}

static void unpack_f32_q8_0(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t b = 0; b < n / 32; b++, p += 34) store_scaled(out + b * 32, _mm256_loadu_si256((const __m256i *)(p + 2)), half_at(p), NULL);
}

static void unpack_f32_q4_0(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t b = 0; b < n / 32; b++, p += 18) store_scaled(out + b * 32, _mm256_sub_epi8(nibbles(p + 2), _mm256_set1_epi8(8)), half_at(p), NULL);
}

static void unpack_f32_q4_1(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t b = 0; b < n / 32; b++, p += 20) {
        float m = half_at(p + 2);
        store_scaled(out + b * 32, nibbles(p + 4), half_at(p), &m);
    }
}

/* Values of eight codes: the low three bits choose within half a table, the fourth, moved to the top, the half. */
INLINE __m256 nf4_look(__m256i code)
{
    __m256 low = _mm256_permutevar8x32_ps(_mm256_loadu_ps(nf4_value), code), high = _mm256_permutevar8x32_ps(_mm256_loadu_ps(nf4_value + 8), code);
    return _mm256_blendv_ps(low, high, _mm256_castsi256_ps(_mm256_slli_epi32(code, 28)));
}

static void unpack_part_nf4(float *out, const void *row, size_t first, size_t n)
{
    for (size_t at = first; at < first + n; at += NF4_BLOCK, out += NF4_BLOCK) {
        float scale;
        const uint8_t *p = nf4_block(row, at, &scale);
        __m256 s = _mm256_set1_ps(scale);
        for (size_t j = 0; j < 32; j += 8) {
            __m256i code = _mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)(p + j)));
            _mm256_storeu_ps(out + j, _mm256_mul_ps(nf4_look(code), s));
            _mm256_storeu_ps(out + j + 32, _mm256_mul_ps(nf4_look(_mm256_srli_epi32(code, 4)), s));
        }
    }
}

static void unpack_f32_nf4(float *out, const void *in, size_t n) { unpack_part_nf4(out, in, 0, n); }

static void unpack_i8_q8_0(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    const uint8_t *p = in;
    (void)min;
    for (size_t b = 0; b < n / 32; b++, p += 34) {
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        _mm256_storeu_si256((__m256i *)(q + b * 32), _mm256_loadu_si256((const __m256i *)(p + 2)));
    }
}

static void unpack_i8_q4_0(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    const uint8_t *p = in;
    (void)min;
    for (size_t b = 0; b < n / 32; b++, p += 18) {
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        _mm256_storeu_si256((__m256i *)(q + b * 32), _mm256_sub_epi8(nibbles(p + 2), _mm256_set1_epi8(8)));
    }
}

static void unpack_i8_q4_1(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    const uint8_t *p = in;
    for (size_t b = 0; b < n / 32; b++, p += 20) {
        scale[2 * b] = scale[2 * b + 1] = half_at(p);
        min[b] = half_at(p + 2);
        _mm256_storeu_si256((__m256i *)(q + b * 32), nibbles(p + 4));
    }
}

/* Scales and minima of the eight groups of a K block: 6 bits each in 12 bytes. */
INLINE void k_scales(float *scale, float *min, const uint8_t *s, float d, float dmin)
{
    for (int g = 0; g < 8; g++) {
        int a = g < 4 ? s[g] & 63 : (s[g + 4] & 15) | (s[g - 4] >> 6) << 4;
        int m = g < 4 ? s[g + 4] & 63 : (s[g + 4] >> 4) | (s[g] >> 6) << 4;
        scale[2 * g] = scale[2 * g + 1] = d * (float)a;
        min[g] = -dmin * (float)m;
    }
}

static void unpack_i8_q4_k(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    const uint8_t *p = in;
    const __m256i low = _mm256_set1_epi8(15);
    for (size_t b = 0; b < n / 256; b++, p += 144) {
        k_scales(scale + b * 16, min + b * 8, p + 4, half_at(p), half_at(p + 2));
        for (int i = 0; i < 4; i++) {
            __m256i v = _mm256_loadu_si256((const __m256i *)(p + 16 + 32 * i));
            _mm256_storeu_si256((__m256i *)(q + b * 256 + 64 * i), _mm256_and_si256(v, low));
            _mm256_storeu_si256((__m256i *)(q + b * 256 + 64 * i + 32), _mm256_and_si256(_mm256_srli_epi16(v, 4), low));
        }
    }
}

/* By int8 groups, since value = scale * q + min with one scale and minimum per 32 elements; the products are rounded as
 * in the scalar form: (d * sc) * q - (dmin * m). */
static void unpack_f32_q4_k(float *out, const void *in, size_t n)
{
    const uint8_t *p = in;
    int8_t q[256];
    float scale[16], min[8];
    for (size_t b = 0; b < n / 256; b++, p += 144) {
        unpack_i8_q4_k(q, scale, min, p, 256);
        for (int g = 0; g < 8; g++) store_scaled(out + b * 256 + 32 * g, _mm256_loadu_si256((const __m256i *)(q + 32 * g)), scale[2 * g], &min[g]);
    }
}

static void unpack_i8_q6_k(int8_t *q, float *scale, float *min, const void *in, size_t n)
{
    const uint8_t *p = in;
    const __m256i low = _mm256_set1_epi8(15), three = _mm256_set1_epi8(0x30), offset = _mm256_set1_epi8(32);
    (void)min;
    for (size_t b = 0; b < n / 256; b++, p += 210) {
        const int8_t *s = (const int8_t *)(p + 192);
        float d = half_at(p + 208);
        for (int i = 0; i < 16; i++) scale[b * 16 + i] = d * (float)s[i];
        for (int half = 0; half < 2; half++) {
            __m256i a = _mm256_loadu_si256((const __m256i *)(p + 64 * half)), c = _mm256_loadu_si256((const __m256i *)(p + 64 * half + 32));
            __m256i h = _mm256_loadu_si256((const __m256i *)(p + 128 + 32 * half));
            __m256i v[4] = {
                _mm256_or_si256(_mm256_and_si256(a, low), _mm256_and_si256(_mm256_slli_epi16(h, 4), three)),
                _mm256_or_si256(_mm256_and_si256(c, low), _mm256_and_si256(_mm256_slli_epi16(h, 2), three)),
                _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(a, 4), low), _mm256_and_si256(h, three)),
                _mm256_or_si256(_mm256_and_si256(_mm256_srli_epi16(c, 4), low), _mm256_and_si256(_mm256_srli_epi16(h, 2), three)),
            };
            for (int g = 0; g < 4; g++)
                _mm256_storeu_si256((__m256i *)(q + b * 256 + 128 * half + 32 * g), _mm256_sub_epi8(v[g], offset));
        }
    }
}

static void quantize_row(int8_t *q, float *scale, float *sum, int16_t *sum16, const float *x, size_t n)
{
    const __m256 sign = _mm256_set1_ps(-0.0f);
    const __m256i order = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    for (size_t b = 0; b < n / 32; b++, x += 32) {
        __m256 v[4], most = _mm256_setzero_ps();
        for (int i = 0; i < 4; i++) {
            v[i] = _mm256_loadu_ps(x + 8 * i);
            most = _mm256_max_ps(most, _mm256_andnot_ps(sign, v[i]));
        }
        __m128 m = _mm_max_ps(_mm256_castps256_ps128(most), _mm256_extractf128_ps(most, 1));
        m = _mm_max_ps(m, _mm_movehl_ps(m, m));
        float peak = _mm_cvtss_f32(_mm_max_ss(m, _mm_movehdup_ps(m)));
        float d = peak / 127, inverse = peak > 0 ? 127 / peak : 0;
        __m256i w[4];
        for (int i = 0; i < 4; i++) w[i] = _mm256_cvtps_epi32(_mm256_mul_ps(v[i], _mm256_set1_ps(inverse)));
        __m256i total = _mm256_hadd_epi32(_mm256_add_epi32(w[0], w[1]), _mm256_add_epi32(w[2], w[3]));   /* in each half: two sums of the first 16, two of the others */
        __m128i t = _mm_add_epi32(_mm256_castsi256_si128(total), _mm256_extracti128_si256(total, 1));
        t = _mm_hadd_epi32(t, t);
        __m256i bytes = _mm256_packs_epi16(_mm256_packs_epi32(w[0], w[1]), _mm256_packs_epi32(w[2], w[3]));
        _mm256_storeu_si256((__m256i *)(q + b * 32), _mm256_permutevar8x32_epi32(bytes, order));
        scale[b] = d;
        int first = _mm_cvtsi128_si32(t), second = _mm_extract_epi32(t, 1);
        sum[b] = d * (float)(first + second);
        sum16[2 * b] = (int16_t)first;
        sum16[2 * b + 1] = (int16_t)second;
    }
}

/* ---- exp and what is made of it ------------------------------------------------------------------------------------------- */

INLINE __m256 exp8(__m256 x)
{
    const __m256 low = _mm256_set1_ps(-87.3f), high = _mm256_set1_ps(88.3f);
    __m256 is_zero = _mm256_cmp_ps(x, low, _CMP_LT_OQ);
    x = _mm256_min_ps(_mm256_max_ps(x, low), high);
    __m256 n = _mm256_round_ps(_mm256_mul_ps(x, _mm256_set1_ps(1.44269504f)), _MM_FROUND_TO_NEAREST_INT | _MM_FROUND_NO_EXC);
    __m256 r = _mm256_fnmadd_ps(n, _mm256_set1_ps(0.693359375f), x);
    r = _mm256_fnmadd_ps(n, _mm256_set1_ps(-2.12194440e-4f), r);
    __m256 p = _mm256_set1_ps(1.9875691500e-4f);
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.3981999507e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(8.3334519073e-3f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(4.1665795894e-2f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(1.6666665459e-1f));
    p = _mm256_fmadd_ps(p, r, _mm256_set1_ps(5.0000001201e-1f));
    p = _mm256_add_ps(_mm256_fmadd_ps(p, _mm256_mul_ps(r, r), r), _mm256_set1_ps(1));
    __m256i power = _mm256_slli_epi32(_mm256_cvtps_epi32(n), 23);
    p = _mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(p), power));
    return _mm256_andnot_ps(is_zero, p);
}

static float exp_tile(float s[64], float max)
{
    __m256 sum = _mm256_setzero_ps(), m = _mm256_set1_ps(max);
    for (int i = 0; i < 64; i += 8) {
        __m256 e = exp8(_mm256_sub_ps(_mm256_loadu_ps(s + i), m));
        _mm256_storeu_ps(s + i, e);
        sum = _mm256_add_ps(sum, e);
    }
    return reduce(sum);
}

static float largest(const float *s, size_t n)
{
    __m256 most[4];
    size_t i = 0;
    for (int l = 0; l < 4; l++) most[l] = _mm256_set1_ps(-__builtin_inff());
    for (; i + 32 <= n; i += 32)
        for (size_t l = 0; l < 4; l++) most[l] = _mm256_max_ps(most[l], _mm256_loadu_ps(s + i + 8 * l));
    float lane[8], max = -__builtin_inff();
    _mm256_storeu_ps(lane, _mm256_max_ps(_mm256_max_ps(most[0], most[1]), _mm256_max_ps(most[2], most[3])));
    for (size_t l = 0; l < 8; l++) max = lane[l] > max ? lane[l] : max;
    for (; i < n; i++) max = s[i] > max ? s[i] : max;
    return max;
}

static float exp_row(float *s, size_t n, float scale, float shift)
{
    float sum = 0, tile[64];
    size_t at = 0;
    for (; at + 64 <= n; at += 64) {
        for (size_t i = at; i < at + 64; i += 8) _mm256_storeu_ps(s + i, _mm256_mul_ps(_mm256_loadu_ps(s + i), _mm256_set1_ps(scale)));
        sum += exp_tile(s + at, shift);
    }
    if (at == n) return sum;
    for (size_t i = 0; i < 64; i++) tile[i] = i < n - at ? s[at + i] * scale : -__builtin_inff();
    sum += exp_tile(tile, shift);
    memcpy(s + at, tile, (n - at) * sizeof *tile);
    return sum;
}

static void softmax_gradient(float *dp, const float *p, size_t n, float delta, float scale)
{
    size_t i = 0;
    __m256 d = _mm256_set1_ps(delta), f = _mm256_set1_ps(scale);
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(dp + i, _mm256_mul_ps(_mm256_mul_ps(_mm256_loadu_ps(p + i), _mm256_sub_ps(_mm256_loadu_ps(dp + i), d)), f));
    for (; i < n; i++) dp[i] = p[i] * (dp[i] - delta) * scale;
}

/* x / (1 + exp(-t)) */
INLINE __m256 gate8(__m256 x, __m256 t)
{
    __m256 one = _mm256_set1_ps(1);
    return _mm256_div_ps(x, _mm256_add_ps(one, exp8(_mm256_sub_ps(_mm256_setzero_ps(), t))));
}

INLINE __m256 gelu8(__m256 x)
{
    __m256 cube = _mm256_mul_ps(_mm256_mul_ps(x, x), x);
    return gate8(x, _mm256_mul_ps(_mm256_set1_ps(1.5957691216f), _mm256_fmadd_ps(_mm256_set1_ps(0.044715f), cube, x)));
}

/* The last elements go through a padded vector: the same arithmetic as the others. */
static void silu_gate_row(float *out, const float *gate, const float *up, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) {
        __m256 g = _mm256_loadu_ps(gate + i);
        _mm256_storeu_ps(out + i, _mm256_mul_ps(gate8(g, g), _mm256_loadu_ps(up + i)));
    }
    if (i == n) return;
    float last[8];
    __m256 g = load_part(gate + i, n - i);
    _mm256_storeu_ps(last, _mm256_mul_ps(gate8(g, g), load_part(up + i, n - i)));
    memcpy(out + i, last, (n - i) * sizeof *out);
}

INLINE void silu_backward8(float *to_gate, float *to_up, __m256 gate, __m256 up, __m256 g)
{
    __m256 one = _mm256_set1_ps(1), s = gate8(one, gate), gs = _mm256_mul_ps(g, s);
    _mm256_storeu_ps(to_up, _mm256_mul_ps(gs, gate));
    _mm256_storeu_ps(to_gate, _mm256_mul_ps(_mm256_mul_ps(gs, up), _mm256_fmadd_ps(gate, _mm256_sub_ps(one, s), one)));
}

static void silu_gate_backward(float *to_gate, float *to_up, const float *gate, const float *up, const float *g, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) silu_backward8(to_gate + i, to_up + i, _mm256_loadu_ps(gate + i), _mm256_loadu_ps(up + i), _mm256_loadu_ps(g + i));
    if (i == n) return;
    float last[2][8];
    silu_backward8(last[0], last[1], load_part(gate + i, n - i), load_part(up + i, n - i), load_part(g + i, n - i));
    memcpy(to_gate + i, last[0], (n - i) * sizeof *to_gate);
    memcpy(to_up + i, last[1], (n - i) * sizeof *to_up);
}

static void gelu_tanh(float *out, const float *x, size_t n)
{
    size_t i = 0;
    for (; i + 8 <= n; i += 8) _mm256_storeu_ps(out + i, gelu8(_mm256_loadu_ps(x + i)));
    if (i == n) return;
    float last[8];
    _mm256_storeu_ps(last, gelu8(load_part(x + i, n - i)));
    memcpy(out + i, last, (n - i) * sizeof *out);
}

/* ---- limits of the machine -------------------------------------------------------------------------------------------------- */

static double burst_f32(size_t rounds)
{
    __m256 a[10], w = _mm256_set1_ps(0.5f), b = _mm256_set1_ps(1);
    for (int i = 0; i < 10; i++) a[i] = _mm256_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 10; i++) a[i] = _mm256_fmadd_ps(a[i], w, b);
        __asm__ volatile("" : "+x"(w));
    }
    volatile float keep = 0;
    for (int i = 0; i < 10; i++) keep = keep + reduce(a[i]);
    return 2.0 * 8 * 10 * (double)rounds;
}

static double burst_i8(size_t rounds)
{
    __m256i a[6], w = _mm256_set1_epi8(3), one = _mm256_set1_epi16(1), x[6];
    for (int i = 0; i < 6; i++) { a[i] = _mm256_setzero_si256(); x[i] = _mm256_set1_epi8((char)(i + 1)); }
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 6; i++) a[i] = _mm256_add_epi32(a[i], _mm256_madd_epi16(_mm256_maddubs_epi16(x[i], w), one));
        __asm__ volatile("" : "+x"(w));
    }
    volatile int keep = 0;
    for (int i = 0; i < 6; i++) keep = keep + _mm256_extract_epi32(a[i], 0);
    return 2.0 * 32 * 6 * (double)rounds;
}

/* 6 x 16: twelve sums, two columns of b, one element of a. Sums have names of their own: gcc 12 stores the elements of an
 * array to the stack in every round. */
#define SIX(X) X(0) X(1) X(2) X(3) X(4) X(5)
static void gemm_tile(float *c, size_t ldc, const float *a, const float *b, size_t k, bool add)
{
#define BEGIN(i) __m256 left##i = _mm256_setzero_ps(), right##i = left##i;
#define LOAD(i) left##i = _mm256_loadu_ps(c + i * ldc); right##i = _mm256_loadu_ps(c + i * ldc + 8);
#define STEP(i) x = _mm256_broadcast_ss(a + i); left##i = _mm256_fmadd_ps(x, b0, left##i); right##i = _mm256_fmadd_ps(x, b1, right##i);
#define STORE(i) _mm256_storeu_ps(c + i * ldc, left##i); _mm256_storeu_ps(c + i * ldc + 8, right##i);
#define FETCH(i) _mm_prefetch((const char *)(c + (6 + i) * ldc), _MM_HINT_T0); _mm_prefetch((const char *)(c + (6 + i) * ldc + 15), _MM_HINT_T0);
    SIX(BEGIN)
    if (add) { SIX(LOAD) }
    SIX(FETCH)      /* the tile below comes next */
#pragma GCC unroll 4
    for (size_t p = 0; p < k; p++, a += 6, b += 16) {
        __m256 x, b0 = _mm256_loadu_ps(b), b1 = _mm256_loadu_ps(b + 8);
        SIX(STEP)
    }
    SIX(STORE)
#undef BEGIN
#undef LOAD
#undef STEP
#undef STORE
#undef FETCH
}

/* 8 x 8 elements turned: column j of the eight lines goes to out + j * width. */
INLINE void turn8(float *out, size_t width, const float *const line[8], size_t p)
{
    __m256 v[8], t[8];
    for (int i = 0; i < 8; i++) v[i] = _mm256_loadu_ps(line[i] + p);
    for (int i = 0; i < 8; i += 2) { t[i] = _mm256_unpacklo_ps(v[i], v[i + 1]); t[i + 1] = _mm256_unpackhi_ps(v[i], v[i + 1]); }
    for (int i = 0; i < 8; i += 4)
        for (int j = 0; j < 2; j++) {
            v[i + 2 * j] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0x44);
            v[i + 2 * j + 1] = _mm256_shuffle_ps(t[i + j], t[i + 2 + j], 0xEE);
        }
    for (size_t j = 0; j < 4; j++) _mm256_storeu_ps(out + j * width, _mm256_permute2f128_ps(v[j], v[j + 4], 0x20));
    for (size_t j = 0; j < 4; j++) _mm256_storeu_ps(out + (j + 4) * width, _mm256_permute2f128_ps(v[j], v[j + 4], 0x31));
}

/* Eight lines at a time, the last ones first: where the width is no multiple of eight, a store reaches into what is
 * written after it. */
static void interleave(float *out, size_t width, const float *const *line, size_t lines, size_t n)
{
    size_t p = 0;
    for (; lines == width && p + 8 < n; p += 8)
        for (size_t g = (width + 7) / 8; g-- > 0;) {
            const float *eight[8];
            for (size_t i = 0; i < 8; i++) eight[i] = line[8 * g + i < width ? 8 * g + i : width - 1];
            turn8(out + p * width + 8 * g, width, eight, p);
        }
    for (; p < n; p++) {
        for (size_t i = 0; i < lines; i++) out[p * width + i] = line[i][p];
        for (size_t i = lines; i < width; i++) out[p * width + i] = 0;
    }
}

void cpu_fill_avx2(struct cpu_kernels *k)
{
    k->gemm_m = 6;
    k->gemm_n = 16;
    k->gemm_tile = gemm_tile;
    k->interleave = interleave;
    k->dot_f32 = dot_f32;
    k->dot_i8 = dot_i8;
    k->quantize_row = quantize_row;
    k->exp_tile = exp_tile;
    k->largest = largest;
    k->exp_row = exp_row;
    k->softmax_gradient = softmax_gradient;
    cpu_fill_outer_avx2(k);
    cpu_fill_mix_avx2(k);
    k->silu_gate = silu_gate_row;
    k->silu_gate_backward = silu_gate_backward;
    k->gelu_tanh = gelu_tanh;
    k->burst_f32 = burst_f32;
    k->burst_i8 = burst_i8;
    cpu_fill_panels_avx2(k);
    k->pack_f16 = pack_f16;
    k->unpack_f32[DTYPE_F16] = unpack_f16;
    k->unpack_f32[DTYPE_BF16] = unpack_bf16;
    k->unpack_f32[DTYPE_Q8_0] = unpack_f32_q8_0;
    k->unpack_f32[DTYPE_Q4_0] = unpack_f32_q4_0;
    k->unpack_f32[DTYPE_Q4_1] = unpack_f32_q4_1;
    k->unpack_f32[DTYPE_Q4_K] = unpack_f32_q4_k;
    k->unpack_f32[DTYPE_NF4] = unpack_f32_nf4;
    k->unpack_part[DTYPE_NF4] = unpack_part_nf4;
    k->unpack_i8[DTYPE_Q8_0] = unpack_i8_q8_0;
    k->unpack_i8[DTYPE_Q4_0] = unpack_i8_q4_0;
    k->unpack_i8[DTYPE_Q4_1] = unpack_i8_q4_1;
    k->unpack_i8[DTYPE_Q4_K] = unpack_i8_q4_k;
    k->unpack_i8[DTYPE_Q6_K] = unpack_i8_q6_k;
}
