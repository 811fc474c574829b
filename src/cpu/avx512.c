/* avx512.c - AVX-512 and VNNI overrides: 16 lanes for f32 products, one instruction for four int8 products. All else stays
 * AVX2's. The reduction folds 16 lanes to 8 and then goes on as scalar.c does. */
#include "cpu/cpu.h"

#include <immintrin.h>

#define INLINE static inline __attribute__((always_inline))
#ifndef KEEP   /* tests/simde/immintrin.h has its own */
#define KEEP(x) __asm__ volatile("" : "+v"(x))   /* the optimizer may assume nothing of x */
#endif

INLINE float reduce8(__m256 a)
{
    __m128 s = _mm_add_ps(_mm256_castps256_ps128(a), _mm256_extractf128_ps(a, 1));
    s = _mm_add_ps(s, _mm_movehl_ps(s, s));
    return _mm_cvtss_f32(_mm_add_ss(s, _mm_movehdup_ps(s)));
}

INLINE float reduce(__m512 a) { return reduce8(_mm256_add_ps(_mm512_castps512_ps256(a), _mm512_extractf32x8_ps(a, 1))); }

INLINE void dot_tile(float *out, size_t out_stride, const float *w, size_t w_stride, const float *x, size_t x_stride, size_t k, const size_t n_w, const size_t n_x)
{
    __m512 acc[TILE_X][TILE_W];
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) acc[r][j] = _mm512_setzero_ps();
    for (size_t i = 0; i < k; i += 16) {
        __mmask16 mask = k - i >= 16 ? 0xFFFF : (__mmask16)((1u << (k - i)) - 1);
        __m512 b[TILE_W];
        for (size_t j = 0; j < n_w; j++) b[j] = _mm512_maskz_loadu_ps(mask, w + j * w_stride + i);
        for (size_t r = 0; r < n_x; r++) {
            __m512 a = _mm512_maskz_loadu_ps(mask, x + r * x_stride + i);
            for (size_t j = 0; j < n_w; j++) acc[r][j] = _mm512_fmadd_ps(a, b[j], acc[r][j]);
        }
    }
    for (size_t r = 0; r < n_x; r++)
        for (size_t j = 0; j < n_w; j++) out[r * out_stride + j] = reduce(acc[r][j]);
}

static void dot_f32(float *out, size_t out_stride, const float *w, size_t w_stride, size_t n_w, const float *x, size_t x_stride, size_t n_x, size_t k)
{
    if (n_w == 4 && n_x == 4) { dot_tile(out, out_stride, w, w_stride, x, x_stride, k, 4, 4); return; }
    for (size_t r = 0; r < n_x; r++, out += out_stride, x += x_stride) {
        if (n_w == 4) dot_tile(out, out_stride, w, w_stride, x, x_stride, k, 4, 1);
        else for (size_t j = 0; j < n_w; j++) dot_tile(out + j, out_stride, w + j * w_stride, w_stride, x, x_stride, k, 1, 1);
    }
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
            __m256i sums = _mm256_dpbusd_epi32(_mm256_setzero_si256(), _mm256_abs_epi8(wv), _mm256_sign_epi8(xv, wv));
            __m256 s = _mm256_mul_ps(pair_scale(w->scale + ((first_w + j) * blocks + i) * 2), xs);
            acc[j] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sums), s, acc[j]);
        }
    }
    for (size_t j = 0; j < n_w; j++) out[j] = reduce8(acc[j]);
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

/* 12 x 32: twenty-four sums, two columns of b, one element of a; the sums have names as in avx2.c. */
#define TWELVE(X) X(0) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11)
static void gemm_tile(float *c, size_t ldc, const float *a, const float *b, size_t k, bool add)
{
#define BEGIN(i) __m512 left##i = _mm512_setzero_ps(), right##i = left##i;
#define LOAD(i) left##i = _mm512_loadu_ps(c + i * ldc); right##i = _mm512_loadu_ps(c + i * ldc + 16);
#define STEP(i) x = _mm512_set1_ps(a[i]); left##i = _mm512_fmadd_ps(x, b0, left##i); right##i = _mm512_fmadd_ps(x, b1, right##i);
#define STORE(i) _mm512_storeu_ps(c + i * ldc, left##i); _mm512_storeu_ps(c + i * ldc + 16, right##i);
    TWELVE(BEGIN)
    if (add) { TWELVE(LOAD) }
    for (size_t p = 0; p < k; p++, a += 12, b += 32) {
        __m512 x, b0 = _mm512_loadu_ps(b), b1 = _mm512_loadu_ps(b + 16);
        TWELVE(STEP)
    }
    TWELVE(STORE)
#undef BEGIN
#undef LOAD
#undef STEP
#undef STORE
}

/* ---- products of attention over a cache: as outer_avx2.c, with vectors twice as long ------------------------------------------- */

INLINE __m512 load_any(const void *b, size_t at, const bool is_half)
{
    return is_half ? _mm512_cvtph_ps(_mm256_loadu_si256((const __m256i *)(const void *)((const uint16_t *)b + at))) : _mm512_loadu_ps((const float *)b + at);
}

/* n x (16 wide) sums in registers. */
INLINE void outer_part(float *const *c, const float *keep, const float *const *a, const size_t n, const size_t wide, const void *b, size_t b_stride, size_t k, size_t at, const bool is_half)
{
    __m512 sum[2][OUTER], from[2];
    for (size_t w = 0; w < wide; w++)
        for (size_t t = 0; t < n; t++) sum[w][t] = keep ? _mm512_mul_ps(_mm512_loadu_ps(c[t] + at + 16 * w), _mm512_set1_ps(keep[t])) : _mm512_setzero_ps();
    for (size_t j = 0; j < k; j++) {
        for (size_t w = 0; w < wide; w++) from[w] = load_any(b, j * b_stride + at + 16 * w, is_half);
        for (size_t t = 0; t < n; t++) {
            __m512 x = _mm512_set1_ps(a[t][j]);
            for (size_t w = 0; w < wide; w++) sum[w][t] = _mm512_fmadd_ps(x, from[w], sum[w][t]);
        }
    }
    for (size_t w = 0; w < wide; w++)
        for (size_t t = 0; t < n; t++) _mm512_storeu_ps(c[t] + at + 16 * w, sum[w][t]);
}

INLINE void outer_rows(float *const *c, const float *keep, const float *const *a, size_t n, const size_t wide, const void *b, size_t b_stride, size_t k, size_t at, const bool is_half)
{
    switch (n) {
    case 4: outer_part(c, keep, a, 4, wide, b, b_stride, k, at, is_half); break;
    case 3: outer_part(c, keep, a, 3, wide, b, b_stride, k, at, is_half); break;
    case 2: outer_part(c, keep, a, 2, wide, b, b_stride, k, at, is_half); break;
    default: outer_part(c, keep, a, 1, wide, b, b_stride, k, at, is_half);
    }
}

/* Columns that fill no vector are AVX2's. */
INLINE void outer(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols, const bool is_half)
{
    size_t i = 0;
    for (; i + 32 <= cols; i += 32) outer_rows(c, keep, a, n, 2, b, b_stride, k, i, is_half);
    if (i + 16 <= cols) { outer_rows(c, keep, a, n, 1, b, b_stride, k, i, is_half); i += 16; }
    if (i == cols) return;
    float *rest[OUTER];
    for (size_t t = 0; t < n; t++) rest[t] = c[t] + i;
    if (is_half) cpu_outer_f16_avx2(rest, keep, a, n, (const uint16_t *)b + i, b_stride, k, cols - i);
    else cpu_outer_f32_avx2(rest, keep, a, n, (const float *)b + i, b_stride, k, cols - i);
}

static void outer_f16(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, true); }
static void outer_f32(float *const *c, const float *keep, const float *const *a, size_t n, const void *b, size_t b_stride, size_t k, size_t cols) { outer(c, keep, a, n, b, b_stride, k, cols, false); }

static double burst_f32(size_t rounds)
{
    __m512 a[10], w = _mm512_set1_ps(0.5f), b = _mm512_set1_ps(1);
    for (int i = 0; i < 10; i++) a[i] = _mm512_set1_ps((float)i);
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 10; i++) a[i] = _mm512_fmadd_ps(a[i], w, b);
        KEEP(w);
    }
    volatile float keep = 0;
    for (int i = 0; i < 10; i++) keep = keep + reduce(a[i]);
    return 2.0 * 16 * 10 * (double)rounds;
}

static double burst_i8(size_t rounds)
{
    __m512i a[10], w = _mm512_set1_epi8(3), x = _mm512_set1_epi8(2);
    for (int i = 0; i < 10; i++) a[i] = _mm512_set1_epi32(i);
    for (size_t r = 0; r < rounds; r++) {
        for (int i = 0; i < 10; i++) a[i] = _mm512_dpbusd_epi32(a[i], x, w);
        KEEP(w);
    }
    volatile int keep = 0;
    for (int i = 0; i < 10; i++) keep = keep + _mm512_reduce_add_epi32(a[i]);
    return 2.0 * 64 * 10 * (double)rounds;
}

void cpu_fill_avx512(struct cpu_kernels *k)
{
    k->gemm_m = 12;
    k->gemm_n = 32;
    k->gemm_tile = gemm_tile;
    k->dot_f32 = dot_f32;
    k->dot_i8 = dot_i8;
    k->outer[OUTER_F16] = outer_f16;
    k->outer[OUTER_F32] = outer_f32;
    k->burst_f32 = burst_f32;
    k->burst_i8 = burst_i8;
    cpu_fill_panels_vnni(k);
}
