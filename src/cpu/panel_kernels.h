/* panel_kernels.h - products of a panel of eight weight rows and rows of int8 activations, for 256-bit vectors. Included by
 * one file for each instruction set, which says before how four products are summed, for eight weight rows in eight lanes:
 *   sums, sums_zero, sums_add  sums of unsigned codes times x: at most 8 of codes <= 15, FIVE_BIT_STEPS of codes
 *                              <= 31, SIX_BIT_STEPS of codes <= 63, 8 of codes <= 255 if HAS_BYTE_SUMS
 *   sums_total, sums_scaled    the int32 lanes, as they are and times a scale of scale_bytes or pair_scale
 * A lane sums its row block by block in rising order by fused multiply-adds, and integers are exact: any number of rows and
 * every set, scalar.c's too, give the same bits. The loops over rows have a constant count, so that sums stay in registers. */
#ifndef PANEL_KERNELS_H
#define PANEL_KERNELS_H

struct panel_rows { const int8_t *q[PANEL_X]; const float *scale[PANEL_X], *sum[PANEL_X]; const int16_t *sum16[PANEL_X]; };

INLINE struct panel_rows panel_rows_at(const struct i8_rows *x, size_t first, const size_t n)
{
    struct panel_rows p = { 0 };
    size_t blocks = x->cols / 32;
    for (size_t t = 0; t < n; t++) {
        p.q[t] = x->q + (first + t) * x->cols;
        p.scale[t] = x->scale + (first + t) * blocks;
        p.sum[t] = x->sum + (first + t) * blocks;
        p.sum16[t] = x->sum16 + (first + t) * blocks * 2;
    }
    return p;
}

INLINE __m256i load(const uint8_t *p) { return _mm256_loadu_si256((const __m256i *)p); }
INLINE __m256 halves(const uint8_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE sums add_held(sums s, __m256i codes, __m256i x) { return held(sums_add(s, codes, x)); }
INLINE __m256 bytes_f32(const uint8_t *p) { return _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(_mm_loadl_epi64((const __m128i *)p))); }
INLINE __m256i low_nibbles(__m256i v) { return _mm256_and_si256(v, _mm256_set1_epi8(15)); }
INLINE __m256i high_nibbles(__m256i v) { return low_nibbles(_mm256_srli_epi16(v, 4)); }

INLINE void store_lanes(float *out, size_t n_w, __m256 acc)
{
    if (n_w == PANEL) { _mm256_storeu_ps(out, acc); return; }
    float lane[PANEL];
    _mm256_storeu_ps(lane, acc);
    memcpy(out, lane, n_w * sizeof *out);
}

enum { FETCH_AHEAD = 2048, CACHE_LINE = 64 };
/* One row has little to do with each byte: what is FETCH_AHEAD bytes further is asked for, `bytes` of it. */
INLINE void fetch(const uint8_t *p, const size_t bytes, const size_t n)
{
    if (n > 1) return;
#pragma GCC unroll 4
    for (size_t i = 0; i < bytes; i += CACHE_LINE) _mm_prefetch((const char *)p + FETCH_AHEAD + i, _MM_HINT_T0);
}

/* n (the sum of a block of x), in all lanes: what codes that begin at -n add too much. */
INLINE __m256i offset(const int16_t *sum16, const int16_t n) { return _mm256_madd_epi16(word_lanes(sum16), _mm256_set1_epi16(n)); }

/* Signed codes of a block times x: with 128 more where a sum takes such codes, else their sizes times x with their signs. */
INLINE void signed_sums(__m256i *total, const uint8_t *codes, const struct panel_rows *x, size_t block, const size_t n)
{
    for (size_t t = 0; t < n; t++) total[t] = _mm256_setzero_si256();
#pragma GCC unroll 8
    for (size_t v = 0; v < 8; v++) {
        __m256i w = load(codes + 32 * v), size = HAS_BYTE_SUMS ? _mm256_xor_si256(w, _mm256_set1_epi8(-128)) : _mm256_abs_epi8(w);
        for (size_t t = 0; t < n; t++) {
            __m256i x4 = word_lanes(x->q[t] + 32 * block + 4 * v);
            if (!HAS_BYTE_SUMS) x4 = _mm256_sign_epi8(x4, w);
            total[t] = held(HAS_BYTE_SUMS ? sums_add(total[t], size, x4) : _mm256_add_epi32(total[t], sums_total(sums_add(sums_zero(), size, x4))));
        }
    }
    for (size_t t = 0; t < n && HAS_BYTE_SUMS; t++) total[t] = _mm256_sub_epi32(total[t], offset(x->sum16[t] + 2 * block, 128));
}

INLINE void q8_0_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n)
{
    __m256 acc[PANEL_X];
    for (size_t t = 0; t < n; t++) acc[t] = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++, p += PANEL * 34) {
        __m256i sum[PANEL_X];
        fetch(p, PANEL * 34, n);
        signed_sums(sum, p + 16, x, b, n);
        __m256 d = halves(p);
        for (size_t t = 0; t < n; t++) acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(sum[t]), _mm256_mul_ps(d, _mm256_set1_ps(x->scale[t][b])), acc[t]);
    }
    for (size_t t = 0; t < n; t++) store_lanes(out + t * out_stride, n_w, acc[t]);
}

/* Sums of 32 codes in 4 vectors: the low nibbles are the first 16 elements. */
INLINE void nibble_sums(sums *s, const uint8_t *codes, const struct panel_rows *x, size_t at, const size_t n)
{
    for (size_t t = 0; t < n; t++) s[t] = sums_zero();
#pragma GCC unroll 4
    for (size_t v = 0; v < 4; v++) {
        __m256i w = load(codes + 32 * v), low = low_nibbles(w), high = high_nibbles(w);
        for (size_t t = 0; t < n; t++) s[t] = add_held(s[t], low, word_lanes(x->q[t] + at + 4 * v));
        for (size_t t = 0; t < n; t++) s[t] = add_held(s[t], high, word_lanes(x->q[t] + at + 16 + 4 * v));
    }
}

/* Q4_1 has a minimum, Q4_0 codes that begin at -8. */
INLINE void nibble_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n, const bool has_min)
{
    const size_t bytes = has_min ? PANEL * 20 : PANEL * 18;
    __m256 acc[PANEL_X];
    for (size_t t = 0; t < n; t++) acc[t] = _mm256_setzero_ps();
    for (size_t b = 0; b < blocks; b++, p += bytes) {
        sums s[PANEL_X];
        fetch(p, bytes, n);
        nibble_sums(s, has_min ? p + 32 : p + 16, x, 32 * b, n);
        __m256 d = halves(p), m = has_min ? halves(p + 16) : _mm256_setzero_ps();
        for (size_t t = 0; t < n; t++) {
            __m256i total = sums_total(s[t]);
            if (!has_min) total = _mm256_sub_epi32(total, offset(x->sum16[t] + 2 * b, 8));
            acc[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total), _mm256_mul_ps(d, _mm256_set1_ps(x->scale[t][b])), acc[t]);
            if (has_min) acc[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(x->sum[t][b]), acc[t]);
        }
    }
    for (size_t t = 0; t < n; t++) store_lanes(out + t * out_stride, n_w, acc[t]);
}

INLINE void q4_0_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n) { nibble_tile(out, out_stride, p, n_w, x, blocks, n, false); }
INLINE void q4_1_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n) { nibble_tile(out, out_stride, p, n_w, x, blocks, n, true); }

/* The fifth bits of a pair of groups, which begin at bit `shift`, moved to their place: of the first or second group. */
INLINE __m256i fifth_bits(__m256i high, __m128i shift, const bool is_odd)
{
    high = _mm256_srl_epi16(high, shift);
    return _mm256_and_si256(_mm256_slli_epi16(high, is_odd ? 3 : 4), _mm256_set1_epi8(16));
}

/* Sums of `steps` vectors of a group, from `first` on. */
INLINE void k_sums(sums *s, const uint8_t *codes, const uint8_t *highs, __m128i shift, const bool is_odd, const struct panel_rows *x, size_t block, const size_t first, const size_t steps, const size_t n)
{
    for (size_t t = 0; t < n; t++) s[t] = sums_zero();
#pragma GCC unroll 8
    for (size_t v = first; v < first + steps; v++) {
        __m256i w = load(codes + 32 * v);
        w = is_odd ? high_nibbles(w) : low_nibbles(w);
        if (highs) w = _mm256_or_si256(w, fifth_bits(load(highs + 32 * v), shift, is_odd));
        for (size_t t = 0; t < n; t++) s[t] = add_held(s[t], w, word_lanes(x->q[t] + 32 * block + 4 * v));
    }
}

/* A group, 32 elements, of a Q4_K or (highs not NULL) Q5_K block: low nibbles of even groups, high ones of odd groups. One at
 * a time, though both lie in the same bytes: the sums of two groups do not fit into the registers. */
INLINE void k_group(__m256 *a, const uint8_t *scales, const uint8_t *codes, const uint8_t *highs, __m128i shift, const bool is_odd, const struct panel_rows *x, size_t block, const size_t n)
{
    const size_t steps = highs ? FIVE_BIT_STEPS : 8;
    const __m256i scale = scale_bytes(scales);
    __m256i total[PANEL_X];
    sums s[PANEL_X];
    k_sums(s, codes, highs, shift, is_odd, x, block, 0, steps, n);
    for (size_t t = 0; t < n; t++) total[t] = held(sums_scaled(s[t], scale));
    if (steps < 8) {
        k_sums(s, codes, highs, shift, is_odd, x, block, steps, 8 - steps, n);
        for (size_t t = 0; t < n; t++) total[t] = held(_mm256_add_epi32(total[t], sums_scaled(s[t], scale)));
    }
    for (size_t t = 0; t < n; t++) a[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(total[t]), _mm256_set1_ps(x->scale[t][block]), a[t]);
}

/* Sums of minima times x over the 8 groups of a block. */
INLINE void k_minima(__m256 *b, const uint8_t *scales, const struct panel_rows *x, size_t block, const size_t n)
{
    for (size_t t = 0; t < n; t++) b[t] = _mm256_setzero_ps();
#pragma GCC unroll 8
    for (size_t g = 0; g < 8; g++) {
        const __m256 m = bytes_f32(scales + 16 * g + 8);
        for (size_t t = 0; t < n; t++) b[t] = _mm256_fmadd_ps(m, _mm256_set1_ps(x->sum[t][block + g]), b[t]);
    }
}

INLINE void k_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n, const bool has_high)
{
    __m256 acc[PANEL_X];
    for (size_t t = 0; t < n; t++) acc[t] = _mm256_setzero_ps();
    for (size_t s = 0; s < blocks / 8; s++, p += has_high ? PANEL * 180 : PANEL * 148) {
        __m256 a[PANEL_X], b[PANEL_X];
        fetch(p, has_high ? PANEL * 180 : PANEL * 148, n);
        for (size_t t = 0; t < n; t++) a[t] = _mm256_setzero_ps();
#pragma GCC unroll 1
        for (size_t g = 0; g < 8; g += 2) {     /* not unrolled: the loop has to fit into the cache of decoded instructions */
            const __m128i shift = _mm_cvtsi32_si128((int)g);
            const uint8_t *codes = p + 160 + 128 * g, *highs = has_high ? p + 1184 : NULL;
            k_group(a, p + 32 + 16 * g, codes, highs, shift, false, x, 8 * s + g, n);
            k_group(a, p + 48 + 16 * g, codes, highs, shift, true, x, 8 * s + g + 1, n);
        }
        __m256 d = halves(p), m = halves(p + 16);
        for (size_t t = 0; t < n; t++) acc[t] = _mm256_fmadd_ps(a[t], d, acc[t]);
        k_minima(b, p + 32, x, 8 * s, n);
        for (size_t t = 0; t < n; t++) acc[t] = _mm256_fnmadd_ps(b[t], m, acc[t]);
    }
    for (size_t t = 0; t < n; t++) store_lanes(out + t * out_stride, n_w, acc[t]);
}

INLINE void q4_k_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n) { k_tile(out, out_stride, p, n_w, x, blocks, n, false); }
INLINE void q5_k_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n) { k_tile(out, out_stride, p, n_w, x, blocks, n, true); }

/* 32 elements of a Q6_K block: the four bits at `shift` of 8 vectors, and the two high bits moved by `up` (> 0: left). */
INLINE void q6_k_group(__m256 *a, const uint8_t *scales, const uint8_t *codes, const uint8_t *highs, const int shift, const int up, const struct panel_rows *x, size_t block, const size_t n)
{
    const __m256i pair = _mm256_cvtepi8_epi16(_mm_loadu_si128((const __m128i *)scales));   /* of both halves, for each row */
    __m256i total[PANEL_X];
    for (size_t t = 0; t < n; t++) total[t] = _mm256_setzero_si256();
#pragma GCC unroll 2
    for (int half = 0; half < 2; half++) {
        const __m256i scale = pair_scale(pair, half);
        sums s[PANEL_X];
#pragma GCC unroll 4
        for (int v = 0; v < 4; v++) {
            size_t at = (size_t)(4 * half + v);
            __m256i w = load(codes + 32 * at), h = load(highs + 32 * at);
            h = up > 0 ? _mm256_slli_epi16(h, up) : _mm256_srli_epi16(h, -up);
            w = _mm256_or_si256(shift ? high_nibbles(w) : low_nibbles(w), _mm256_and_si256(h, _mm256_set1_epi8(0x30)));
            for (size_t t = 0; t < n; t++) s[t] = add_held(v % SIX_BIT_STEPS ? s[t] : sums_zero(), w, word_lanes(x->q[t] + 32 * block + 4 * at));
            if ((v + 1) % SIX_BIT_STEPS) continue;
            for (size_t t = 0; t < n; t++) total[t] = held(_mm256_add_epi32(total[t], sums_scaled(s[t], scale)));
        }
    }
    for (size_t t = 0; t < n; t++) {
        __m256i below = _mm256_slli_epi32(_mm256_madd_epi16(pair, word_lanes(x->sum16[t] + 2 * block)), 5);    /* codes begin at -32 */
        a[t] = _mm256_fmadd_ps(_mm256_cvtepi32_ps(_mm256_sub_epi32(total[t], below)), _mm256_set1_ps(x->scale[t][block]), a[t]);
    }
}

INLINE void q6_k_tile(float *out, size_t out_stride, const uint8_t *p, size_t n_w, const struct panel_rows *x, size_t blocks, const size_t n)
{
    __m256 acc[PANEL_X];
    for (size_t t = 0; t < n; t++) acc[t] = _mm256_setzero_ps();
    for (size_t s = 0; s < blocks / 8; s++, p += PANEL * 210) {
        __m256 a[PANEL_X];
        fetch(p, PANEL * 210, n);
        for (size_t t = 0; t < n; t++) a[t] = _mm256_setzero_ps();
        for (size_t half = 0; half < 2; half++) {
            const uint8_t *scales = p + 16 + 64 * half, *codes = p + 144 + 512 * half, *highs = p + 1168 + 256 * half;
            size_t block = 8 * s + 4 * half;
            q6_k_group(a, scales, codes, highs, 0, 4, x, block, n);
            q6_k_group(a, scales + 16, codes + 256, highs, 0, 2, x, block + 1, n);
            q6_k_group(a, scales + 32, codes, highs, 4, 0, x, block + 2, n);
            q6_k_group(a, scales + 48, codes + 256, highs, 4, -2, x, block + 3, n);
        }
        __m256 d = halves(p);
        for (size_t t = 0; t < n; t++) acc[t] = _mm256_fmadd_ps(a[t], d, acc[t]);
    }
    for (size_t t = 0; t < n; t++) store_lanes(out + t * out_stride, n_w, acc[t]);
}

#define PANEL_KERNEL(type) \
static void dot_##type(float *out, size_t out_stride, const void *panel, size_t n_w, const struct i8_rows *x, size_t first, size_t n_x) \
{ \
    size_t blocks = x->cols / 32; \
    struct panel_rows p; \
    for (; n_x >= PANEL_X; n_x -= PANEL_X, first += PANEL_X, out += PANEL_X * out_stride) { \
        p = panel_rows_at(x, first, PANEL_X); \
        type##_tile(out, out_stride, panel, n_w, &p, blocks, PANEL_X); \
    } \
    if (n_x >= 2) { \
        p = panel_rows_at(x, first, 2); \
        type##_tile(out, out_stride, panel, n_w, &p, blocks, 2); \
        n_x -= 2, first += 2, out += 2 * out_stride; \
    } \
    if (!n_x) return; \
    p = panel_rows_at(x, first, 1); \
    type##_tile(out, out_stride, panel, n_w, &p, blocks, 1); \
}
PANEL_KERNEL(q8_0)
PANEL_KERNEL(q4_0)
PANEL_KERNEL(q4_1)
PANEL_KERNEL(q4_k)
PANEL_KERNEL(q5_k)
PANEL_KERNEL(q6_k)

static void fill_panels(struct cpu_kernels *k)
{
    k->dot_panel[DTYPE_Q8_0] = dot_q8_0;
    k->dot_panel[DTYPE_Q4_0] = dot_q4_0;
    k->dot_panel[DTYPE_Q4_1] = dot_q4_1;
    k->dot_panel[DTYPE_Q4_K] = dot_q4_k;
    k->dot_panel[DTYPE_Q5_K] = dot_q5_k;
    k->dot_panel[DTYPE_Q6_K] = dot_q6_k;
}

#endif
