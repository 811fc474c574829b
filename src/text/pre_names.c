/* pre_names.c - pre-tokenisers by the name that GGUF files give them in tokenizer.ggml.pre (llama.cpp's names; what
 * they mean is taken from the tokenizer.json files of those models). The same rows name the pipeline of a tokenizer.json
 * when a GGUF file is written. */
#include "text_internal.h"

#include <string.h>

#define DEEPSEEK_CODER { "[\\r\\n]", "\\s?\\p{L}+", "\\s?\\p{P}+", "[\xE4\xB8\x80-\xE9\xBE\xA5\xE0\xA0\x80-\xE4\xB8\x80\xEA\xB0\x80-\xED\x9F\xBF]+" }

const struct pre_row pre_rows[] = {
    /* name            splits               digits gpt2   nfc    ignore_merges */
    { "gpt-2",          { NULL },            false, true,  false, false },
    { "starcoder",      { NULL },            true,  true,  false, false },
    { "refact",         { NULL },            true,  true,  false, false },
    { "smollm",         { NULL },            true,  true,  false, false },
    { "codeshell",      { NULL },            true,  true,  false, false },
    { "command-r",      { NULL },            true,  true,  true,  false },
    { "llama-bpe",      { pattern_llama3 },  false, false, false, true  },
    { "llama3",         { pattern_llama3 },  false, false, false, true  },
    { "llama-v3",       { pattern_llama3 },  false, false, false, true  },
    { "qwen2",          { pattern_qwen2 },   false, false, true,  false },
    { "deepseek-coder", DEEPSEEK_CODER,      true,  false, false, false },
    { NULL,             { NULL },            false, false, false, false }
};

const struct pre_row *pre_row_find(const char *name, size_t len)
{
    const struct pre_row *row = pre_rows;
    while (row->name && (strlen(row->name) != len || memcmp(row->name, name, len) != 0)) row++;
    return row->name ? row : NULL;
}

sc_status pre_row_build(struct pipeline *p, const struct pre_row *row, sc_error *err)
{
    for (size_t i = 0; i < sizeof row->split / sizeof *row->split && row->split[i]; i++)
        TRY(pipeline_put_split(p, row->split[i], strlen(row->split[i]), false, SPLIT_ISOLATED, false, row->name, err));
    if (row->digits) TRY(pipeline_put_class(p, U_DIGIT, SPLIT_ISOLATED, row->name, err));
    if (row->gpt2) TRY(pipeline_put_split(p, pattern_gpt2, strlen(pattern_gpt2), false, SPLIT_ISOLATED, false, row->name, err));
    return SC_OK;
}

static json_t *byte_level_json(bool regex)
{
    return json_pack("{s:s, s:b, s:b, s:b}", "type", "ByteLevel", "add_prefix_space", 0, "trim_offsets", 1, "use_regex", (int)regex);
}

bool tokenizer_pre_json(struct pre_json *out, const char *name, size_t len)
{
    const struct pre_row *row = pre_row_find(name, len);
    if (!row) return false;
    json_t *steps = json_array();
    for (size_t i = 0; i < sizeof row->split / sizeof *row->split && row->split[i]; i++)
        json_array_append_new(steps, json_pack("{s:s, s:{s:s}, s:s, s:b}", "type", "Split", "pattern", "Regex", row->split[i], "behavior", "Isolated", "invert", 0));
    if (row->digits) json_array_append_new(steps, json_pack("{s:s, s:b}", "type", "Digits", "individual_digits", 1));
    json_array_append_new(steps, byte_level_json(row->gpt2));
    bool is_alone = json_array_size(steps) == 1;
    *out = (struct pre_json){
        .normalizer = row->nfc ? json_pack("{s:s}", "type", "NFC") : json_null(), .ignore_merges = row->ignore_merges,
        .pre_tokenizer = is_alone ? json_incref(json_array_get(steps, 0)) : json_pack("{s:s, s:O}", "type", "Sequence", "pretokenizers", steps),
    };
    json_decref(steps);
    return true;
}

const char *pre_name_of(const struct tokenizer *t)
{
    const char *name = "custom";
    bool nfc = t->normalizers.len == 1 && t->normalizers.step[0].kind == NORMALIZE_NFC;
    if (t->normalizers.len && !nfc) return name;
    for (const struct pre_row *row = pre_rows; row->name; row++) {
        struct pipeline own = { 0 };
        bool is_equal = row->nfc == nfc && row->ignore_merges == t->bpe.ignore_merges && pre_row_build(&own, row, NULL) == SC_OK &&
                        pipeline_equal(&own, &t->pipeline);
        pipeline_release(&own);
        if (is_equal) { name = row->name; break; }
    }
    return name;
}

void pre_names_list(struct buf *out)
{
    for (const struct pre_row *row = pre_rows; row->name; row++) {
        if (row != pre_rows) buf_puts(out, ", ");
        buf_puts(out, row->name);
    }
}
