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
    k->burst_f32 = burst_f32;
    k->burst_i8 = burst_i8;
    cpu_fill_panels_vnni(k);
}
