/* adapter_config.c - reads PEFT's adapter_config.json: which modules are adapted, with what rank and scale, and which
 * token rows are replaced. Rules of names and patterns: PEFT's check_target_module_exists and get_pattern_key. What
 * changes the result and is not done here is refused by name; keys that only say how the adapter began are passed over. */
#include "model/adapter_internal.h"

#include <string.h>

#include "text/text.h"

enum { RANK_MAX = 65536, PATTERNS_MAX = 65536, IDS_MAX = 1 << 20, ID_MAX = 1 << 24 };

/* Features that need more than x A' B': any value but null, false, 0 and empty ones means they are used. */
static const struct { const char *key, *name; } refused[] = {
    { "use_dora", "DoRA" }, { "lora_bias", "biases beside lora_B" }, { "use_qalora", "QA-LoRA" }, { "alora_invocation_tokens", "activated LoRA" },
    { "layer_replication", "repeated layers" }, { "target_parameters", "adapters of single parameters" }, { "megatron_config", "Megatron's parallel layers" },
    { "arrow_config", "Arrow routing" }, { "use_bdlora", "block-diagonal LoRA" },
    { "kasa_config", "KaSA" }, { "monteclora_config", "MonteCLoRA" },
};

static bool is_used(const json_t *v)
{
    if (!v || json_is_null(v) || json_is_false(v)) return false;
    if (json_is_integer(v)) return json_integer_value(v) != 0;
    if (json_is_string(v)) return json_string_length(v) != 0;
    return !(json_is_array(v) && !json_array_size(v)) && !(json_is_object(v) && !json_object_size(v));
}

static sc_status refuse_features(const json_t *config, const char *what, sc_error *err)
{
    const char *key;
    json_t *value;
    char q[64];
    for (size_t i = 0; i < sizeof refused / sizeof *refused; i++)
        if (is_used(json_object_get(config, refused[i].key)))
            return FAIL(err, SC_E_UNSUPPORTED, "%s uses %s (%s), which is not supported; merge it into its base with PEFT", what, refused[i].name, refused[i].key);
    json_object_foreach((json_t *)config, key, value)
        if (strncmp(key, "use_", 4) == 0 && strcmp(key, "use_rslora") && is_used(value))
            return FAIL(err, SC_E_UNSUPPORTED, "%s sets %s, which is not supported; merge it into its base with PEFT", what, error_quote(q, sizeof q, key, strlen(key)));
    return SC_OK;
}

/* Some ways to begin change the base itself, so that the adapter alone does not say the result. */
static sc_status check_beginning(const json_t *config, const char *what, sc_error *err)
{
    static const char *const changing[] = { "pissa", "olora", "corda", "loftq", "lora_ga" };
    const char *init = json_string_value(json_object_get(config, "init_lora_weights"));
    for (size_t i = 0; init && i < sizeof changing / sizeof *changing; i++)
        if (strncmp(init, changing[i], strlen(changing[i])) == 0)
            return FAIL(err, SC_E_UNSUPPORTED, "%s began with init_lora_weights \"%s\", which changes the base as well; save it as plain LoRA with PEFT (path_initial_model_for_weight_conversion)", what, changing[i]);
    return SC_OK;
}

static sc_status check_kind(struct adapter_settings *s, const json_t *config, sc_error *err)
{
    const char *peft, *task, *bias;
    char q[64];
    TRY(json_opt_string(&peft, config, "peft_type", "", s->what, err));
    TRY(json_opt_string(&task, config, "task_type", "CAUSAL_LM", s->what, err));
    TRY(json_opt_string(&bias, config, "bias", "none", s->what, err));
    s->is_rows_only = strcmp(peft, "TRAINABLE_TOKENS") == 0;
    if (!s->is_rows_only && strcmp(peft, "LORA") != 0)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: peft_type is \"%s\", expected LORA or TRAINABLE_TOKENS", s->what, error_quote(q, sizeof q, peft, strlen(peft)));
    if (strcmp(task, "CAUSAL_LM") != 0)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: task_type is \"%s\", expected CAUSAL_LM", s->what, error_quote(q, sizeof q, task, strlen(task)));
    if (strcmp(bias, "none") != 0)
        return FAIL(err, SC_E_UNSUPPORTED, "%s: bias is \"%s\", but only \"none\" is supported; merge it into its base with PEFT", s->what, error_quote(q, sizeof q, bias, strlen(bias)));
    return SC_OK;
}

/* Absent, null and empty are the same. */
static const json_t *given(const json_t *config, const char *key)
{
    const json_t *v = json_object_get(config, key);
    return is_used(v) ? v : NULL;
}

static sc_status check_names(const json_t *v, const char *key, const char *what, sc_error *err)
{
    if (!v || json_is_string(v)) return SC_OK;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        if (!json_is_string(json_array_get(v, i))) v = NULL;
    return json_is_array(v) ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: %s is neither a string nor a list of strings", what, key);
}

static sc_status check_patterns(const json_t *v, const char *key, double max, const char *what, sc_error *err)
{
    const char *name;
    json_t *value;
    char q[64];
    if (!v) return SC_OK;
    if (!json_is_object(v) || json_object_size(v) > PATTERNS_MAX) return FAIL(err, SC_E_FORMAT, "%s: %s is no object of at most %d patterns", what, key, PATTERNS_MAX);
    json_object_foreach((json_t *)v, name, value)
        if (!json_is_number(value) || !(json_number_value(value) > 0 && json_number_value(value) <= max))
            return FAIL(err, SC_E_FORMAT, "%s: %s of \"%s\" is no number above 0 and at most %g", what, key, error_quote(q, sizeof q, name, strlen(name)), max);
    return SC_OK;
}

static sc_status check_layers(const json_t *v, const char *what, sc_error *err)
{
    if (!v || json_is_integer(v)) return SC_OK;
    for (size_t i = 0; json_is_array(v) && i < json_array_size(v); i++)
        if (!json_is_integer(json_array_get(v, i))) v = NULL;
    return json_is_array(v) ? SC_OK : FAIL(err, SC_E_FORMAT, "%s: layers_to_transform is neither a number nor a list of numbers", what);
}

sc_status adapter_settings_read(struct adapter_settings *s, const struct model_file *f, sc_error *err)
{
    const json_t *c = f->config;
    *s = (struct adapter_settings){ .what = f->path };
    TRY(check_kind(s, c, err));
    TRY(refuse_features(c, s->what, err));
    s->token_ids = given(c, s->is_rows_only ? "token_indices" : "trainable_token_indices");
    if (s->is_rows_only) return SC_OK;
    TRY(check_beginning(c, s->what, err));
    TRY(json_opt_int(&s->r, c, "r", 8, 1, RANK_MAX, s->what, err));
    TRY(json_opt_real(&s->alpha, c, "lora_alpha", 8, 0, 1e9, s->what, err));
    TRY(json_opt_real(&s->dropout, c, "lora_dropout", 0, 0, 0.999, s->what, err));
    TRY(json_opt_bool(&s->use_rslora, c, "use_rslora", false, s->what, err));
    TRY(json_opt_bool(&s->ties_whole, c, "ensure_weight_tying", false, s->what, err));
    s->targets = given(c, "target_modules");
    s->exclude = given(c, "exclude_modules");
    s->layers = json_is_integer(json_object_get(c, "layers_to_transform")) ? json_object_get(c, "layers_to_transform") : given(c, "layers_to_transform");
    s->rank_pattern = given(c, "rank_pattern");
    s->alpha_pattern = given(c, "alpha_pattern");
    TRY(check_names(s->targets, "target_modules", s->what, err));
    TRY(check_names(s->exclude, "exclude_modules", s->what, err));
    TRY(check_names(given(c, "modules_to_save"), "modules_to_save", s->what, err));
    TRY(check_layers(s->layers, s->what, err));
    TRY(check_patterns(s->rank_pattern, "rank_pattern", RANK_MAX, s->what, err));
    return check_patterns(s->alpha_pattern, "alpha_pattern", 1e9, s->what, err);
}

/* ---- which modules -------------------------------------------------------------------------------------------------------- */

/* Does `name`, whole parts of it, end the module's name? */
static bool ends_module(const char *module, const char *name, size_t n)
{
    size_t len = strlen(module);
    return n && n <= len && memcmp(module + len - n, name, n) == 0 && (n == len || module[len - n - 1] == '.');
}

bool adapter_is_target(const char *targets, const char *module)
{
    if (strcmp(targets, "all-linear") == 0) return true;
    for (const char *at = targets; *at;) {
        at += strspn(at, ", ");
        size_t n = strcspn(at, ", ");
        if (ends_module(module, at, n)) return true;
        at += n;
    }
    return false;
}

/* A list of names, or a pattern for the whole name. */
static sc_status names_module(bool *out, const json_t *names, const char *module, const char *what, sc_error *err)
{
    *out = false;
    if (json_is_string(names)) return pattern_matches(out, json_string_value(names), module, what, err);
    for (size_t i = 0; i < json_array_size(names) && !*out; i++)
        *out = ends_module(module, json_string_value(json_array_get(names, i)), json_string_length(json_array_get(names, i)));
    return SC_OK;
}

static bool has_layer(const json_t *layers, size_t layer)
{
    if (!layers) return true;
    if (json_is_integer(layers)) return json_integer_value(layers) == (json_int_t)layer;
    for (size_t i = 0; i < json_array_size(layers); i++)
        if (json_integer_value(json_array_get(layers, i)) == (json_int_t)layer) return true;
    return false;
}

sc_status adapter_names_module(bool *out, const struct adapter_settings *s, const char *module, size_t layer, sc_error *err)
{
    bool is_excluded = false;
    *out = false;
    if (!s->targets) return SC_OK;
    if (s->exclude) TRY(names_module(&is_excluded, s->exclude, module, s->what, err));
    if (is_excluded || !has_layer(s->layers, layer)) return SC_OK;
    if (json_is_string(s->targets) && strcmp(json_string_value(s->targets), "all-linear") == 0) { *out = true; return SC_OK; }
    return names_module(out, s->targets, module, s->what, err);
}

/* ---- rank and scale --------------------------------------------------------------------------------------------------------- */

/* The value of the first pattern that ends the module's name; NULL if none. */
static sc_status pattern_value(const json_t **out, const json_t *patterns, const char *module, const char *what, sc_error *err)
{
    const char *name;
    json_t *value;
    sc_status status = SC_OK;
    *out = NULL;
    if (!patterns) return SC_OK;
    json_object_foreach((json_t *)patterns, name, value) {
        bool matches = ends_module(module, name, strlen(name));
        struct buf b;
        buf_init(&b, 0);
        buf_printf(&b, "(.*\\.)?(%s)", name);
        if (!matches) status = pattern_matches(&matches, b.data, module, what, err);
        buf_release(&b);
        if (matches) *out = value;
        if (matches || status != SC_OK) break;
    }
    return status;
}

sc_status adapter_rank_of(int64_t *r, double *alpha, const struct adapter_settings *s, const char *module, sc_error *err)
{
    const json_t *own;
    TRY(pattern_value(&own, s->rank_pattern, module, s->what, err));
    *r = own ? (int64_t)json_number_value(own) : s->r;
    TRY(pattern_value(&own, s->alpha_pattern, module, s->what, err));
    *alpha = own ? json_number_value(own) : s->alpha;
    return SC_OK;
}

/* ---- token rows ---------------------------------------------------------------------------------------------------------------- */

static sc_status check_ids(const json_t *ids, const char *what, sc_error *err)
{
    if (!json_is_array(ids) || json_array_size(ids) > IDS_MAX) return FAIL(err, SC_E_FORMAT, "%s: the trained token ids are no list of at most %d numbers", what, IDS_MAX);
    for (size_t i = 0; i < json_array_size(ids); i++) {
        const json_t *id = json_array_get(ids, i);
        if (!json_is_integer(id) || json_integer_value(id) < 0 || json_integer_value(id) > ID_MAX)
            return FAIL(err, SC_E_FORMAT, "%s: trained token %zu is no id between 0 and %d", what, i, ID_MAX);
    }
    return SC_OK;
}

sc_status adapter_ids_of(const json_t **out, const struct adapter_settings *s, const char *module, bool is_embedding, sc_error *err)
{
    const char *name;
    json_t *ids;
    *out = NULL;
    if (!s->token_ids) return SC_OK;
    if (!json_is_object(s->token_ids)) *out = is_embedding || s->is_rows_only ? s->token_ids : NULL;
    else
        json_object_foreach((json_t *)s->token_ids, name, ids)
            if (ends_module(module, name, strlen(name))) *out = ids;
    return *out ? check_ids(*out, s->what, err) : SC_OK;
}
