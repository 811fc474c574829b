/* rope.c - frequencies of rotary position embeddings (Su et al. 2021, RoFormer) and their scalings: linear, llama3
 * (Llama 3.1 model card), yarn (Peng et al. 2023). Frequencies are rounded to float once, as the reference keeps them. */
#include "model/model_internal.h"

#include <math.h>
#include <string.h>

static const double pi = 3.14159265358979323846;

static void scale_llama3(double *f, size_t n, double factor, double low, double high, double original)
{
    for (size_t i = 0; i < n; i++) {
        double wavelength = 2 * pi / f[i];
        if (wavelength < original / high) continue;
        if (wavelength > original / low) { f[i] /= factor; continue; }
        double smooth = (original / wavelength - low) / (high - low);
        f[i] = (1 - smooth) * f[i] / factor + smooth * f[i];
    }
}

/* The pair index whose wave turns `turns` times within the original context. */
static double yarn_pair(double turns, size_t dims, double theta, double original)
{
    return (double)dims * log(original / (turns * 2 * pi)) / (2 * log(theta));
}

static void scale_yarn(double *f, size_t dims, double theta, double factor, double fast, double slow, double original)
{
    double low = floor(yarn_pair(fast, dims, theta, original)), high = ceil(yarn_pair(slow, dims, theta, original));
    if (low < 0) low = 0;
    if (high > (double)dims - 1) high = (double)dims - 1;
    if (high <= low) high = low + 0.001;
    for (size_t i = 0; i < dims / 2; i++) {
        double ramp = ((double)i - low) / (high - low);
        ramp = ramp < 0 ? 0 : ramp > 1 ? 1 : ramp;
        f[i] = f[i] / factor * ramp + f[i] * (1 - ramp);
    }
}

static sc_status apply_scaling(struct rope *r, double *f, double theta, size_t context, const json_t *s, const char *what, sc_error *err)
{
    const char *type = NULL;
    TRY(json_opt_string(&type, s, "type", "default", what, err));
    TRY(json_opt_string(&type, s, "rope_type", type, what, err));
    double factor, original, a, b;
    TRY(json_opt_real(&factor, s, "factor", 1, 1e-6, 1e6, what, err));
    TRY(json_opt_real(&original, s, "original_max_position_embeddings", (double)context, 1, 1e9, what, err));
    if (!strcmp(type, "default") || !strcmp(type, "dynamic") || !strcmp(type, "none")) return SC_OK;
    if (!strcmp(type, "linear")) {
        for (size_t i = 0; i < r->dims / 2; i++) f[i] /= factor;
        return SC_OK;
    }
    if (!strcmp(type, "llama3")) {
        TRY(json_opt_real(&a, s, "low_freq_factor", 1, 1e-6, 1e6, what, err));
        TRY(json_opt_real(&b, s, "high_freq_factor", 4, 1e-6, 1e6, what, err));
        if (b <= a) return FAIL(err, SC_E_FORMAT, "%s: rope scaling high_freq_factor is %g, expected more than low_freq_factor %g", what, b, a);
        scale_llama3(f, r->dims / 2, factor, a, b, original);
        return SC_OK;
    }
    if (!strcmp(type, "yarn")) {
        double fast, slow, magnitude;
        TRY(json_opt_real(&fast, s, "beta_fast", 32, 1e-6, 1e6, what, err));
        TRY(json_opt_real(&slow, s, "beta_slow", 1, 1e-6, 1e6, what, err));
        TRY(json_opt_real(&magnitude, s, "attention_factor", factor > 1 ? 0.1 * log(factor) + 1 : 1, 0, 1e6, what, err));
        scale_yarn(f, r->dims, theta, factor, fast, slow, original);
        r->magnitude = (float)magnitude;
        return SC_OK;
    }
    return FAIL(err, SC_E_UNSUPPORTED, "%s: rope scaling \"%s\" is not supported; known are default, linear, dynamic, llama3, yarn", what, type);
}

sc_status rope_init(struct rope *out, size_t dims, double theta, size_t context, const json_t *scaling, const char *what, sc_error *err)
{
    *out = (struct rope){ .dims = dims, .magnitude = 1 };
    if (dims % 2) return FAIL(err, SC_E_FORMAT, "%s: rotary dimensions are %zu, expected an even number", what, dims);
    double *f = mem_alloc(dims / 2 * sizeof *f);
    for (size_t i = 0; i < dims / 2; i++) f[i] = (double)(float)pow(theta, -2.0 * (double)i / (double)dims);
    sc_status status = scaling ? apply_scaling(out, f, theta, context, scaling, what, err) : SC_OK;
    for (size_t i = 0; i < dims / 2; i++) f[i] = (double)(float)f[i];
    out->frequency = f;
    return status;
}
