/* quant_search.c - the search for the step (and minimum) of one block whose rounding loses least, for all block types.
 *
 * The loss is the sum of w * (what is stored - x)^2. For a linear layer y = W x whose inputs are uncorrelated, the squared
 * error of y is that sum with w the mean square of each input: the importance of the column, measured on a calibration text.
 * Without it all columns count the same.
 *
 * Both searches try a row of steps around range / levels. For the integers that one gives, the best step (and minimum)
 * follows by least squares; rounding again by these is what a trial is judged by. Loops go element by element and
 * sums in LANES parts, so that the compiler may use vectors and every machine adds in the same order. */
#include "tensor/tensor_internal.h"

#include <math.h>

enum { LANES = 8, TRIALS = 3, ROUNDS = 3, MOST = QUANT_BLOCK };

/* n: 16 or 32. */
static inline float sum(const float *v, size_t n)
{
    float s[LANES];
    if (n == 2 * LANES) for (int l = 0; l < LANES; l++) s[l] = v[l] + v[l + LANES];
    else for (int l = 0; l < LANES; l++) s[l] = (v[l] + v[l + LANES]) + (v[l + 2 * LANES] + v[l + 3 * LANES]);
    return ((s[0] + s[4]) + (s[2] + s[6])) + ((s[1] + s[5]) + (s[3] + s[7]));
}

/* ---- x = step * q - low, q in 0..top -------------------------------------------------------------------------------- */

static inline void affine_integers(float q[MOST], const float *x, struct affine a, int top)
{
    float inverse = a.step > 0 ? 1 / a.step : 0, limit = (float)top + 0.5f, shift = a.low * inverse + 0.5f;
    for (int i = 0; i < MOST; i++) {
        float t = x[i] * inverse + shift;
        t = t > 0 ? t : 0;
        t = t < limit ? t : limit;
        q[i] = (float)(int)t;
    }
}

struct affine_sums { float w, wx, wq, wqq, wxq; };

/* Of the nearest integers; w and wx are set already. */
static void affine_measure(struct affine_sums *s, const float *x, const float *w, struct affine a, int top)
{
    float q[MOST], wq[MOST], wqq[MOST], wxq[MOST];
    affine_integers(q, x, a, top);
    for (int i = 0; i < MOST; i++) {
        wq[i] = w[i] * q[i];
        wqq[i] = wq[i] * q[i];
        wxq[i] = wq[i] * x[i];
    }
    s->wq = sum(wq, MOST); s->wqq = sum(wqq, MOST); s->wxq = sum(wxq, MOST);
}

float affine_error(const float *x, const float *w, struct affine a, int top)
{
    float q[MOST], error[MOST];
    affine_integers(q, x, a, top);
    for (int i = 0; i < MOST; i++) {
        float e = a.step * q[i] - a.low - x[i];
        error[i] = w[i] * (e * e);
    }
    return sum(error, MOST);
}

void affine_round(uint8_t q[QUANT_BLOCK], const float *x, struct affine a, int top)
{
    float nearest[MOST];
    affine_integers(nearest, x, a, top);
    for (int i = 0; i < MOST; i++) q[i] = (uint8_t)nearest[i];
}

/* Least squares for fixed integers. Where `low` must not be negative and would be, the step alone is fitted.
 * *removed: how much of the sum of w x^2 is gone. */
static struct affine affine_fit(float *removed, const struct affine_sums *s, bool is_low_free)
{
    float determinant = s->w * s->wqq - s->wq * s->wq, covariance = s->w * s->wxq - s->wq * s->wx;
    struct affine a = { s->wqq > 0 ? s->wxq / s->wqq : 0, 0 };
    *removed = a.step * s->wxq;
    if (!(determinant > 0)) return a;
    float low = (s->wq * s->wxq - s->wqq * s->wx) / determinant;
    if (!is_low_free && low < 0) return a;
    *removed = (s->wx * s->wx + covariance * (covariance / determinant)) / s->w;
    return (struct affine){ covariance / determinant, low };
}

struct affine affine_search(const float *x, const float *w, int top, bool is_low_free)
{
    struct affine_sums s = { .w = w[0], .wx = w[0] * x[0] };
    float low = x[0] < 0 || is_low_free ? x[0] : 0, high = x[0];
    for (int i = 1; i < QUANT_BLOCK; i++) {
        if (x[i] < low) low = x[i];
        if (x[i] > high) high = x[i];
        s.w += w[i];
        s.wx += w[i] * x[i];
    }
    struct affine best = { 0, -low };
    if (!(high > low)) return best;
    float most = -1, range = high - low;
    for (int trial = -TRIALS; trial <= TRIALS; trial++) {
        float removed;
        affine_measure(&s, x, w, (struct affine){ range / ((float)top + 0.35f * (float)trial), -low }, top);
        struct affine a = affine_fit(&removed, &s, is_low_free);
        if (removed > most) { most = removed; best = a; }
    }
    float least = affine_error(x, w, best, top);
    for (int round = 0; round < ROUNDS; round++) {
        float removed;
        affine_measure(&s, x, w, best, top);
        struct affine a = affine_fit(&removed, &s, is_low_free);
        float error = affine_error(x, w, a, top);
        if (!(error < least)) break;
        least = error;
        best = a;
    }
    return best;
}

/* ---- x = step * q, q in -half..half-1; the step may be negative ------------------------------------------------------ */

static inline void signed_integers(float q[MOST], const float *x, size_t n, float inverse, int half)
{
    float shift = (float)half + 0.5f, limit = (float)(2 * half - 1);
    for (size_t i = 0; i < n; i++) {
        float t = x[i] * inverse + shift;
        t = t > 0 ? t : 0;
        t = t < limit ? t : limit;
        q[i] = (float)((int)t - half);
    }
}

struct signed_sums { float wqq, wxq; };

static inline struct signed_sums signed_measure_of(const float *x, const float *w, size_t n, float inverse, int half)
{
    float q[MOST], wqq[MOST], wxq[MOST];
    signed_integers(q, x, n, inverse, half);
    for (size_t i = 0; i < n; i++) {
        float v = w[i] * q[i];
        wqq[i] = v * q[i];
        wxq[i] = v * x[i];
    }
    return (struct signed_sums){ sum(wqq, n), sum(wxq, n) };
}

/* Known lengths give straight vector code. */
static struct signed_sums signed_measure(const float *x, const float *w, size_t n, float inverse, int half)
{
    return n == 16 ? signed_measure_of(x, w, 16, inverse, half) : signed_measure_of(x, w, 32, inverse, half);
}

static inline float signed_error_of(const float *x, const float *w, size_t n, float step, int half)
{
    float q[MOST], error[MOST];
    signed_integers(q, x, n, step != 0 ? 1 / step : 0, half);
    for (size_t i = 0; i < n; i++) {
        float e = step * q[i] - x[i];
        error[i] = w[i] * (e * e);
    }
    return sum(error, n);
}

float signed_error(const float *x, const float *w, size_t n, float step, int half)
{
    return n == 16 ? signed_error_of(x, w, 16, step, half) : signed_error_of(x, w, 32, step, half);
}

void signed_round(int8_t *q, const float *x, size_t n, float step, int half)
{
    float nearest[MOST];
    signed_integers(nearest, x, n, step != 0 ? 1 / step : 0, half);
    for (size_t i = 0; i < n; i++) q[i] = (int8_t)nearest[i];
}

float signed_search(const float *x, const float *w, size_t n, int half)
{
    float largest = 0, value = 0, best = 0, most = 0;
    for (size_t i = 0; i < n; i++)
        if (fabsf(x[i]) > largest) { largest = fabsf(x[i]); value = x[i]; }
    if (largest == 0) return 0;
    for (int trial = -3; trial <= 3; trial++) {          /* the least-squares step removes (x.q)^2 / q.q of the error */
        struct signed_sums s = signed_measure(x, w, n, -((float)half + 0.35f * (float)trial) / value, half);
        if (s.wqq > 0 && s.wxq * (s.wxq / s.wqq) > most) { best = s.wxq / s.wqq; most = s.wxq * best; }
    }
    if (best == 0) return 0;
    float least = signed_error(x, w, n, best, half);
    for (int round = 0; round < ROUNDS; round++) {
        struct signed_sums s = signed_measure(x, w, n, 1 / best, half);
        float step = s.wqq > 0 ? s.wxq / s.wqq : 0, error = signed_error(x, w, n, step, half);
        if (!(error < least)) break;
        least = error;
        best = step;
    }
    return best;
}

/* ---- what each element counts ------------------------------------------------------------------------------------------- */

#define EIGHT 1, 1, 1, 1, 1, 1, 1, 1
#define SIXTY_FOUR EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT, EIGHT
static const float alike[256] = { SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR, SIXTY_FOUR };

/* Large elements get no extra weight: on SmolLM2 that made Q4_K_M worse with importance and without. */
const float *quant_weights(const float *importance, size_t at) { return importance ? importance + at : alike; }
