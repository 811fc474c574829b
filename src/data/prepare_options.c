/* prepare_options.c - the options of `data prepare` and `data convert`, and their values as enums. */
#include "data/prepare.h"

#include <string.h>

static const struct option rows[] = {
    { "block_size", OPT_INT, offsetof(sc_prepare_config, block_size), 16, 1 << 20, "1024", NULL, "tokens of a packed row, and most tokens of a sample" },
    { "packing", OPT_CHOICE, offsetof(sc_prepare_config, packing), 0, 0, "best_fit", "best_fit|none|chop|pairs", "how samples share rows; chop: one stream cut at block_size, as the original; pairs: chosen and rejected answer, for preference training" },
    { "overlength", OPT_CHOICE, offsetof(sc_prepare_config, overlength), 0, 0, "split", "split|truncate|drop|error", "what happens to a dialogue of more than block_size tokens" },
    { "train_on", OPT_CHOICE, offsetof(sc_prepare_config, train_on), 0, 0, "assistant", "assistant|last|all|blog", "whose tokens are trained; blog: all but the user's turns" },
    { "test_size", OPT_REAL, offsetof(sc_prepare_config, test_size), 0, 0.9, "0", NULL, "share of the dialogues that go into a test split" },
    { "split_by", OPT_CHOICE, offsetof(sc_prepare_config, split_by), 0, 0, "tree", "tree|row", "tree: dialogues with the same beginning stay together" },
    { "on_error", OPT_CHOICE, offsetof(sc_prepare_config, on_error), 0, 0, "stop", "stop|skip", "what a record that cannot be read does" },
    { "dedup", OPT_CHOICE, offsetof(sc_prepare_config, dedup), 0, 0, "exact", "exact|near|none", "leave out dialogues that were there before" },
    { "turns", OPT_CHOICE, offsetof(sc_prepare_config, turns), 0, 0, "merge", "merge|drop|error", "what happens to empty turns and two turns of one side in a row" },
    { "redact", OPT_BOOL, offsetof(sc_prepare_config, redact), 0, 0, "false", NULL, "replace secrets, e-mail and IP addresses by placeholders" },
    { "lang", OPT_STRING, offsetof(sc_prepare_config, lang), 0, 0, "", NULL, "keep these languages only, such as en or en,de" },
    { "best_only", OPT_BOOL, offsetof(sc_prepare_config, best_only), 0, 0, "false", NULL, "trees: only the best-ranked answer at each branch" },
    { "drop_user_end", OPT_BOOL, offsetof(sc_prepare_config, drop_user_end), 0, 0, "false", NULL, "trees: cut a last user turn off" },
    { "reviewed_only", OPT_BOOL, offsetof(sc_prepare_config, reviewed_only), 0, 0, "false", NULL, "trees: only messages that reviewers accepted" },
    { "keep_deleted", OPT_BOOL, offsetof(sc_prepare_config, keep_deleted), 0, 0, "false", NULL, "trees: deleted messages too" },
    { "keep_synthetic", OPT_BOOL, offsetof(sc_prepare_config, keep_synthetic), 0, 0, "false", NULL, "trees: messages written by models too" },
    { "all_states", OPT_BOOL, offsetof(sc_prepare_config, all_states), 0, 0, "false", NULL, "trees: not only those ready for export" },
    { "min_turns", OPT_INT, offsetof(sc_prepare_config, min_turns), 0, 1000, "0", NULL, "leave out dialogues with fewer turns" },
    { "overlap", OPT_STRING, offsetof(sc_prepare_config, overlap), 0, 0, "", NULL, "file or directory of evaluation sets: report dialogues that contain their items" },
    { "drop_overlap", OPT_BOOL, offsetof(sc_prepare_config, drop_overlap), 0, 0, "false", NULL, "leave such dialogues out" },
    { "seed", OPT_UINT, offsetof(sc_prepare_config, seed), 0, 0, "42", NULL, "of the split and of weights" },
    { "overwrite", OPT_BOOL, offsetof(sc_prepare_config, overwrite), 0, 0, "false", NULL, "replace what is at the output" },
};
const struct sc_options prepare_options = { "prepare", sizeof(sc_prepare_config), rows, sizeof rows / sizeof *rows };

/* Place of a choice in its row; the option table has checked that it is one. */
static int choice(const char *key, const char *value)
{
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (strcmp(rows[i].name, key) != 0) continue;
        int place = 0;
        for (const char *at = rows[i].choices; at; place++, at = strchr(at, '|')) {
            if (*at == '|') at++;
            size_t n = strcspn(at, "|");
            if (strlen(value) == n && strncmp(at, value, n) == 0) return place;
        }
    }
    return -1;
}

sc_status plan_read(struct plan *out, const sc_prepare_config *c, sc_error *err)
{
    const struct { const char *key, *value; int *place; } choices[] = {
        { "packing", c->packing, &out->packing }, { "overlength", c->overlength, &out->overlength }, { "train_on", c->train_on, &out->train_on },
        { "split_by", c->split_by, &out->split_by_row }, { "on_error", c->on_error, &out->on_error }, { "dedup", c->dedup, &out->dedup }, { "turns", c->turns, &out->turns },
    };
    *out = (struct plan) { .config = c };
    if (strcmp(c->packing ? c->packing : "", "pairs") == 0 && strcmp(c->train_on ? c->train_on : "", "last") != 0)
        return FAIL(err, SC_E_ARGUMENT, "packing is pairs, so what is compared is the last answer: train_on is \"%s\", expected last", c->train_on ? c->train_on : "");
    for (size_t i = 0; i < sizeof choices / sizeof *choices; i++) {
        *choices[i].place = choices[i].value ? choice(choices[i].key, choices[i].value) : 0;
        if (*choices[i].place < 0) return FAIL(err, SC_E_ARGUMENT, "%s is \"%s\", which is none of its values", choices[i].key, choices[i].value);
    }
    out->tree = (struct tree_config) {
        .best_only = c->best_only, .drop_user_end = c->drop_user_end, .reviewed_only = c->reviewed_only, .keep_deleted = c->keep_deleted,
        .keep_synthetic = c->keep_synthetic, .all_states = c->all_states, .lang = c->lang && *c->lang ? c->lang : NULL, .min_turns = c->min_turns,
    };
    out->clean = (struct clean_config) { .turns = (enum turns_policy)out->turns, .redact = c->redact };
    return SC_OK;
}
