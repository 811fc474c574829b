/* convert_rope.c - llama3 rope scaling between config.json, which gives its rule, and GGUF, which stores the divisor of
 * every frequency as the tensor rope_freqs.weight. The way back finds the rule that
 * gives these divisors, with the two ends that all such models use. */
#include "model/convert_internal.h"

#include <math.h>
#include <string.h>

static const double LOW = 1, HIGH = 4;      /* low_freq_factor, high_freq_factor */

void rope_divisors(const struct model_config *c, float *out)
{
    for (size_t i = 0; i < c->rope.dims / 2; i++)
        out[i] = (float)((double)(float)pow(c->rope_theta, -2.0 * (double)i / (double)c->rope.dims) / c->rope.frequency[i]);
}

static bool gives_divisors(const struct model_config *c, const json_t *scaling, const float *divisors, size_t n)
{
    struct model_config trial = { .rope_theta = c->rope_theta };
    bool is_equal = rope_init(&trial.rope, c->rope.dims, c->rope_theta, c->context, scaling, "", NULL) == SC_OK;
    float *found = mem_alloc(n * sizeof *found);
    if (is_equal) rope_divisors(&trial, found);
    for (size_t i = 0; i < n && is_equal; i++) is_equal = fabsf(found[i] - divisors[i]) <= 1e-5f * fabsf(divisors[i]);
    mem_free(found);
    mem_free((void *)trial.rope.frequency);
    return is_equal;
}

/* A frequency between the two ends of the rule tells the original context: its divisor is a mean of 1 and 1/factor,
 * weighted by how often its wave fits in. Without one (few frequencies): the smallest power of two that fits. */
static double original_context(const struct model_config *c, const float *divisors, size_t n, double factor)
{
    for (size_t i = 0; i < n; i++) {
        double d = (double)divisors[i];
        if (d < 1.001 || d > factor * 0.999) continue;
        double weight = (1 / d - 1 / factor) / (1 - 1 / factor), wavelength = 6.283185307179586 * pow(c->rope_theta, 2.0 * (double)i / (double)c->rope.dims);
        return round(wavelength * (LOW + weight * (HIGH - LOW)));
    }
    return 0;
}

json_t *rope_scaling_from_divisors(const struct model_config *c, const float *divisors, size_t n)
{
    double factor = 1;
    for (size_t i = 0; i < n; i++) if ((double)divisors[i] > factor) factor = (double)divisors[i];
    if (factor == 1) return json_pack("{s:s}", "rope_type", "default");
    double told = original_context(c, divisors, n, factor);
    for (double original = told ? told : 16; original <= 1 << 27; original *= 2) {
        json_t *scaling = json_pack("{s:s, s:f, s:f, s:f, s:I}", "rope_type", "llama3", "factor", factor, "low_freq_factor", LOW, "high_freq_factor", HIGH,
                                    "original_max_position_embeddings", (json_int_t)original);
        if (gives_divisors(c, scaling, divisors, n)) return scaling;
        json_decref(scaling);
        if (told) return NULL;
    }
    return NULL;
}

void job_add_divisors(struct job *j, const struct model_file *in)
{
    const struct file_tensor *source = in && in->kind == MODEL_GGUF ? model_file_find(in, "rope_freqs.weight") : NULL;
    const char *type = json_string_value(json_object_get(j->config->rope_scaling, "rope_type"));
    if (!type) type = json_string_value(json_object_get(j->config->rope_scaling, "type"));
    bool is_llama3 = (!in || in->kind == MODEL_HF) && type && !strcmp(type, "llama3");
    if (!source && !is_llama3) return;
    struct out_tensor *t = job_add(j);
    static const char name[] = "rope_freqs.weight";
    memcpy(t->name, name, sizeof name);
    t->is_vector = true;
    t->rows = 1;
    t->cols = j->config->rope.dims / 2;
    t->source = source;
    t->dtype = DTYPE_F32;
}
