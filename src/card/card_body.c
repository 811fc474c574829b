/* card_body.c - the page below its header: what it is, how it is run, its template, its data, what was measured. */
#include "card/card.h"

#include <math.h>
#include <string.h>

static const char DASH[] = "\xE2\x80\x93";

static void cell(struct sheet *s, const char *text) { sheet_cell(s, false, *text ? text : DASH, strlen(*text ? text : DASH)); }

static void row(struct sheet *s, const char *key, const char *value)
{
    if (!*value) return;
    cell(s, key);
    cell(s, value);
    sheet_row_end(s);
}

static void rowf(struct sheet *s, const char *key, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void rowf(struct sheet *s, const char *key, const char *format, ...)
{
    char text[600];
    va_list ap;
    va_start(ap, format);
    vsnprintf(text, sizeof text, format, ap);
    va_end(ap);
    row(s, key, text);
}

static void count_put(char *out, size_t bytes, double n)
{
    struct buf b;
    buf_init(&b, 0);
    html_put_count(&b, (uint64_t)fmin(fmax(n, 0), 1e18));
    snprintf(out, bytes, "%s", b.data);
    buf_release(&b);
}

static void cell_count(struct sheet *s, const json_t *o, const char *key)
{
    char text[40];
    if (!json_is_number(json_object_get(o, key))) { sheet_cell(s, true, DASH, strlen(DASH)); return; }
    count_put(text, sizeof text, real_member(o, key));
    sheet_cell(s, true, text, strlen(text));
}

/* ---- what it is ----------------------------------------------------------------------------------------------------------------- */

static void put_summary(struct sheet *s, const struct card_facts *f)
{
    static const char *const forms[] = { "An adapter (LoRA)", "A model", "A model in one file (GGUF)" };
    const char *base = f->base_hub ? f->base_hub : f->base_name ? f->base_name : "";
    size_t n_earlier = json_array_size(f->trainings) ? json_array_size(f->trainings) - 1 : 0;
    struct buf text;
    buf_init(&text, 0);
    buf_puts(&text, forms[f->form]);
    if (*base) buf_printf(&text, " made from %s", base);
    if (f->training) {
        buf_puts(&text, ", trained for ");
        training_put_length(&text, f->training);
        buf_printf(&text, ", on dialogues (%s)", training_kind(f->training));
        if (n_earlier) buf_printf(&text, ", after %zu earlier training run%s", n_earlier, n_earlier == 1 ? "" : "s");
    }
    sheet_text(s, "%s.", text.data);
    sheet_text(s, "This page was written by starchat %s from what was stored and measured. What is not known is said to be unknown; nothing was filled in by hand.", SC_VERSION);
    buf_release(&text);
}

static void put_model(struct sheet *s, const struct card_facts *f)
{
    static const char *const columns[] = { "", "" };
    const json_t *files = json_object_get(f->base, "files"), *file;
    char number[40];
    size_t i;
    sheet_heading(s, "Model");
    sheet_table(s, columns, 2);
    row(s, "base model", f->base_hub ? f->base_hub : f->base_name ? f->base_name : "unknown: no record tells");
    if (f->is_drawn) row(s, "its weights", "began as random numbers (starchat init)");
    row(s, "taken from", text_member(f->base, "source"));
    row(s, "revision", f->base ? *text_member(f->base, "revision") ? text_member(f->base, "revision") : "unknown" : "");
    json_array_foreach(files, i, file)
        if (path_ends_with(text_member(file, "name"), ".gguf") || path_ends_with(text_member(file, "name"), ".safetensors")) rowf(s, "base weights", "%.120s, %.1f MB, SHA-256 %.64s", text_member(file, "name"), 1e-6 * real_member(file, "bytes"), text_member(file, "sha256"));
    row(s, "licence", f->licence ? f->licence : "unknown: neither the base's files nor its source say one");
    if (real_member(f->training, "parameters") > 0) {
        count_put(number, sizeof number, real_member(f->training, "parameters"));
        row(s, "parameters", number);
        count_put(number, sizeof number, real_member(f->training, "trained_parameters"));
        rowf(s, "of which trained", "%s (%.2f %%)", number, 100 * real_member(f->training, "trained_parameters") / real_member(f->training, "parameters"));
    }
    if (f->adapter) rowf(s, "adapter", "%.40s, rank %.0f, alpha %g", text_member(f->adapter, "peft_type"), real_member(f->adapter, "r"), real_member(f->adapter, "lora_alpha"));
    if (*text_member(f->record, "type")) row(s, "stored as", text_member(f->record, "type"));
    sheet_table_end(s);
}

/* ---- how to run -------------------------------------------------------------------------------------------------------------------- */

static void fence(struct sheet *s, const char *language, const struct buf *text) { markdown_put_fence(&s->out, language, text->data ? text->data : "", text->len); }

/* A name for a shell or Python: only what needs no quoting passes. */
static const char *plain(const char *name) { return name && *name && strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-/:@") == strlen(name) ? name : "MODEL"; }

static void put_transformers(struct sheet *s, const struct card_facts *f, const char *name)
{
    struct buf b;
    bool adds_rows = json_object_get(f->adapter, "trainable_token_indices") != NULL;
    buf_init(&b, 0);
    buf_printf(&b, "from transformers import AutoModelForCausalLM, AutoTokenizer\n%s\ntokenizer = AutoTokenizer.from_pretrained(\"%s\")\n", f->form == CARD_ADAPTER ? "from peft import PeftModel\n" : "", name);
    buf_printf(&b, "model = AutoModelForCausalLM.from_pretrained(\"%s\")\n", f->form == CARD_ADAPTER ? plain(f->base_hub) : name);
    if (f->form == CARD_ADAPTER && adds_rows) buf_puts(&b, "# the template's tokens are new to the base\nmodel.resize_token_embeddings(len(tokenizer))\n");
    if (f->form == CARD_ADAPTER) buf_printf(&b, "model = PeftModel.from_pretrained(model, \"%s\")\n", name);
    if (f->has_template) buf_puts(&b, "\nmessages = [{\"role\": \"user\", \"content\": \"Reverse a list in Python.\"}]\nprompt = tokenizer.apply_chat_template(messages, add_generation_prompt=True, return_tensors=\"pt\", return_dict=True)\n"
                                      "print(tokenizer.decode(model.generate(**prompt, max_new_tokens=256)[0]))\n");
    sheet_part(s, f->form == CARD_ADAPTER ? "With transformers and PEFT" : "With transformers");
    fence(s, "python", &b);
    if (f->form == CARD_ADAPTER && strcmp(text_member(f->base, "kind"), "gguf") == 0)
        sheet_text(s, "The adapter was trained on the weights of the base's GGUF file, which are rounded; on the Hub's own weights it computes nearly, but not exactly, what was measured here.");
    buf_release(&b);
}

static void put_run(struct sheet *s, const struct card_facts *f)
{
    struct buf b;
    const char *name = plain(f->c->repo && *f->c->repo ? f->c->repo : f->title);
    sheet_heading(s, "How to run it");
    sheet_part(s, "With starchat");
    buf_init(&b, 0);
    if (f->c->repo && *f->c->repo) buf_printf(&b, "starchat pull %s\n", name);
    buf_printf(&b, "starchat chat %s\n", name);
    if (f->form == CARD_ADAPTER) buf_printf(&b, "\n# one file for llama.cpp and Ollama\nstarchat merge %s %s merged.gguf --type q8_0\n", plain(f->base_name), name);
    fence(s, "sh", &b);
    buf_clear(&b);
    if (f->form == CARD_DIRECTORY || (f->form == CARD_ADAPTER && f->base_hub)) put_transformers(s, f, name);
    if (f->gguf) {
        const char *file = plain(f->gguf);
        sheet_part(s, "With llama.cpp and Ollama");
        buf_printf(&b, "llama-cli -m %s -cnv\n\nprintf 'FROM ./%s\\n' > Modelfile && ollama create %s -f Modelfile && ollama run %s\n", file, file, lineage_base_name(name), lineage_base_name(name));
        fence(s, "sh", &b);
    } else if (f->form == CARD_ADAPTER) sheet_text(s, "llama.cpp and Ollama run it after the merge above; there is no GGUF file in this directory.");
    else sheet_text(s, "For llama.cpp and Ollama: starchat convert %s model.gguf; there is no GGUF file in this directory.", name);
    buf_release(&b);
}

/* ---- template ------------------------------------------------------------------------------------------------------------------------ */

static void put_template(struct sheet *s, const struct card_facts *f)
{
    struct rendered r = { 0 };
    json_t *variables = json_pack("{s:[{s:s,s:s},{s:s,s:s}], s:b}", "messages", "role", "user", "content", "What does len([]) give?", "role", "assistant", "content", "It gives 0: the list has no elements.", "add_generation_prompt", 0);
    const char *used = text_member(json_object_get(f->training, "recipe"), "dialogue_template");
    sheet_heading(s, "Chat template");
    if (!f->has_template) sheet_text(s, "The model carries no chat template, so it continues texts and does not answer messages.");
    else {
        const char *name = *f->template_name ? f->template_name : lineage_base_name(used);
        sheet_text(s, "%s%s%s A question and its answer look like this, white space and all:", *name ? "Template \"" : "The model's own template", name, *name ? "\"." : ".");
        if (jinja_render(&r, f->template.jinja, variables, 0, NULL, NULL) == SC_OK) markdown_put_fence(&s->out, "text", r.text.data, r.text.len);
        else sheet_text(s, "(the template refuses this example)");
        rendered_release(&r);
    }
    json_decref(variables);
}

/* ---- data ----------------------------------------------------------------------------------------------------------------------------- */

static void put_sources(struct sheet *s, const json_t *sources)
{
    static const char *const columns[] = { "file", ">records", "source", "version", "licence", "SHA-256, first digits" };
    const json_t *one;
    size_t i;
    sheet_table(s, columns, 6);
    json_array_foreach(sources, i, one) {
        cell(s, text_member(one, "name"));
        cell_count(s, one, "records");
        cell(s, *text_member(one, "source") ? text_member(one, "source") : "not recorded");
        cell(s, *text_member(one, "revision") ? text_member(one, "revision") : "not recorded");
        cell(s, *text_member(one, "licence") ? text_member(one, "licence") : "not recorded");
        sheet_cellf(s, false, "%.16s", text_member(one, "sha256"));
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

static void put_dataset(struct sheet *s, const json_t *origin)
{
    static const char *const columns[] = { "part", ">samples", ">tokens", ">of which in answers" };
    bool is_trained = strcmp(text_member(origin, "role"), "data") == 0;
    const json_t *dataset = json_object_get(origin, "dataset"), *counts = json_object_get(dataset, "counts"), *split, *language;
    const char *name;
    struct buf languages;
    sheet_part(s, is_trained ? "Trained on" : "Held out");
    char dialogues[40], turns[40];
    count_put(dialogues, sizeof dialogues, real_member(counts, "dialogues"));
    count_put(turns, sizeof turns, real_member(counts, "turns"));
    buf_init(&languages, 0);
    json_object_foreach(json_object_get(counts, "per_language"), name, language) buf_printf(&languages, "%s%.20s (%.0f)", languages.len ? ", " : "", *name ? name : "unsure", real_member(language, "dialogues"));
    sheet_text(s, "%s dialogues with %s turns; duplicates left out: %.0f. Languages, as far as they were recognised, in dialogues: %s.", dialogues, turns, real_member(counts, "duplicates"), languages.len ? languages.data : "none");
    buf_release(&languages);
    put_sources(s, json_object_get(dataset, "sources"));
    sheet_table(s, columns, 4);
    json_object_foreach(json_object_get(dataset, "splits"), name, split) {
        cell(s, !is_trained || strcmp(name, "test") == 0 ? "held out" : "trained on");
        cell_count(s, split, "samples");
        cell_count(s, split, "tokens");
        cell_count(s, split, "trained");
        sheet_row_end(s);
    }
    sheet_table_end(s);
    sheet_text(s, "Manifest of the prepared tokens: SHA-256 %s.", text_member(dataset, "sha256"));
}

static void put_data(struct sheet *s, const struct card_facts *f)
{
    const json_t *origin;
    size_t i;
    sheet_heading(s, "Data");
    if (!f->training) { sheet_text(s, "No training run stands in the records of this model: what it was trained on beyond its base is unknown here, or nothing was."); return; }
    json_array_foreach(json_object_get(f->training, "inputs"), i, origin)
        if (json_object_get(origin, "dataset")) put_dataset(s, origin);
    sheet_text(s, "What the base model was trained on is for its own card to say.");
}

/* ---- evaluation, judges ------------------------------------------------------------------------------------------------------------------- */

static void put_measured_on(struct sheet *s, enum measured_on what, const char *name)
{
    switch (what) {
    case MEASURED_THIS: sheet_part(s, "This model"); break;
    case MEASURED_ANOTHER: sheet_part(s, "Another model, for comparison: %s", name); break;
    case MEASURED_OTHER_TIME:
        sheet_part(s, "Of other weights: %s", name);
        sheet_text(s, "The digests in these results are not those of this model's files: they were measured before or after it, or on another base, and are no results of this model.");
        break;
    default:
        sheet_part(s, "Of weights before or after these: not known: %s", name);
        sheet_text(s, "These results name the place of this model but no digests of weights, and weights of a place can be replaced. They are not taken for this model's.");
    }
}

static void put_evaluations(struct sheet *s, const struct card_facts *f)
{
    sheet_heading(s, "Evaluation");
    if (!f->n_eval) { sheet_text(s, "No benchmark was run, or no results were given to this page."); return; }
    for (size_t i = 0; i < f->n_eval; i++) {
        const json_t *config = json_object_get(f->eval[i].all, "config");
        const char *path = text_member(json_object_get(config, "model"), "path"), *adapter = text_member(json_object_get(config, "model"), "adapter");
        const char *name = lineage_base_name(*adapter ? adapter : path);
        put_measured_on(s, facts_measured_on(f, &f->eval[i]), *name ? name : "unnamed");
        sheet_text(s, "By the rules of lm-evaluation-harness; %s, seed %.0f.", *text_member(config, "program") ? text_member(config, "program") : "program not recorded", real_member(config, "seed"));
        eval_score_tables(s, &f->eval[i]);
    }
    sheet_text(s, "Intervals are for 95 %%: Wilson's where every question is right or wrong, else 1.96 standard errors. They are about other questions of the same kind alone.");
}

static void put_judgements(struct sheet *s, const struct card_facts *f)
{
    sheet_heading(s, "Judged by models");
    if (!f->n_judge) { sheet_text(s, "No judge compared its answers with another model's, or no verdicts were given to this page."); return; }
    sheet_text(s, "Models are called here what the run called them; the records do not tell whether one of them is this very model.");
    for (size_t i = 0; i < f->n_judge; i++) {
        if (f->n_judge > 1) sheet_part(s, "%s", lineage_base_name(f->judge[i].directory));
        report_verdict(s, &f->judge[i]);
    }
}

/* ---- the page -------------------------------------------------------------------------------------------------------------------------------- */

static void put_steps(struct buf *out, const json_t *record, int depth)
{
    size_t i;
    const json_t *origin;
    json_array_foreach(json_object_get(record, "inputs"), i, origin) {
        buf_printf(out, "%*s%s: %s\n", 2 * depth, "", text_member(origin, "role"), text_member(origin, "name"));
        if (json_object_get(origin, "made") && depth < LINEAGE_DEPTH) {
            buf_printf(out, "%*smade by %s\n", 2 * depth + 2, "", text_member(json_object_get(origin, "made"), "step"));
            put_steps(out, json_object_get(origin, "made"), depth + 2);
        }
    }
}

static void put_lineage(struct sheet *s, const struct card_facts *f)
{
    struct buf b;
    sheet_heading(s, "Where it comes from");
    if (!f->record) { sheet_text(s, "No record of how it was made lies with it, so none of its parts can be checked."); return; }
    buf_init(&b, 0);
    buf_printf(&b, "made by %s (starchat %s) from\n", text_member(f->record, "step"), text_member(f->record, "program"));
    put_steps(&b, f->record, 1);
    fence(s, "text", &b);
    sheet_text(s, "The digests of all files are in the record that lies with the model; starchat lineage %s --verify reads what is at hand and compares.", plain(f->c->repo && *f->c->repo ? f->c->repo : f->title));
    buf_release(&b);
}

void card_body(struct sheet *s, const struct card_facts *f)
{
    sheet_begin(s, false, f->title);
    put_summary(s, f);
    put_model(s, f);
    put_run(s, f);
    put_template(s, f);
    put_data(s, f);
    card_training(s, f);
    put_evaluations(s, f);
    put_judgements(s, f);
    card_limits(s, f);
    put_lineage(s, f);
    sheet_end(s);
}
