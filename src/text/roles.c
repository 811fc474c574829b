/* roles.c - which ids begin, end, pad and fill in the middle, by the contents that models use for them, where no file
 * says so. Only added tokens count: ordinary text that looks the same does not. */
#include "text_internal.h"

#include <string.h>

/* The first content of a row that the tokenizer has wins. */
static const struct { enum token_role role; const char *content[8]; } known[] = {
    { TOKEN_BOS, { "<|begin_of_text|>", "<s>", "<\xEF\xBD\x9C" "begin\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>" } },
    { TOKEN_EOS, { "<|endoftext|>", "<|end_of_text|>", "</s>", "<\xEF\xBD\x9C" "end\xE2\x96\x81of\xE2\x96\x81sentence\xEF\xBD\x9C>" } },
    { TOKEN_EOT, { "<|im_end|>", "<|eot_id|>", "<|end|>", "<|EOT|>", "<end_of_turn>", "<|endofturn|>" } },
    { TOKEN_PAD, { "<pad>", "[PAD]", "<|pad|>" } },
    { TOKEN_FIM_PREFIX, { "<fim_prefix>", "<|fim_prefix|>", "<fim-prefix>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "begin\xEF\xBD\x9C>", "<PRE>" } },
    { TOKEN_FIM_SUFFIX, { "<fim_suffix>", "<|fim_suffix|>", "<fim-suffix>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81hole\xEF\xBD\x9C>", "<SUF>" } },
    { TOKEN_FIM_MIDDLE, { "<fim_middle>", "<|fim_middle|>", "<fim-middle>", "<\xEF\xBD\x9C" "fim\xE2\x96\x81" "end\xEF\xBD\x9C>", "<MID>" } },
};

void roles_guess(struct tokenizer *t)
{
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        for (size_t k = 0; k < 8 && known[i].content[k] && t->role[known[i].role] < 0; k++)
            t->role[known[i].role] = added_find(t, known[i].content[k], strlen(known[i].content[k]));
}
