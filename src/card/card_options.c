/* card_options.c - the options of `card` and `lineage`. */
#include "card/card.h"

#define AT(field) offsetof(sc_card_config, field)
static const struct option card_rows[] = {
    { "eval", OPT_STRING, AT(eval), 0, 0, "", NULL, "results of `starchat eval`, files with commas; without it those in DIR" },
    { "judge", OPT_STRING, AT(judge), 0, 0, "", NULL, "directories of `starchat judge run`, with commas; without it those in DIR" },
    { "name", OPT_STRING, AT(name), 0, 0, "", NULL, "heading of the page; without it the directory's name" },
    { "repo", OPT_STRING, AT(repo), 0, 0, "", NULL, "org/name that the model has or will have on the Hub, for the lines that tell how to run it" },
    { "license", OPT_STRING, AT(license), 0, 0, "", NULL, "identifier as the Hub has it, such as apache-2.0; without it the base's" },
    { "language", OPT_STRING, AT(language), 0, 0, "", NULL, "codes with commas; without it those of at least a twentieth of the training data" },
    { "base", OPT_STRING, AT(base), 0, 0, "", NULL, "org/name of the base on the Hub; without it as the lineage has it" },
    { "overwrite", OPT_BOOL, AT(overwrite), 0, 0, "false", NULL, "replace a README.md that somebody wrote or changed" },
};
const struct sc_options card_options = { "card", sizeof(sc_card_config), card_rows, sizeof card_rows / sizeof *card_rows };

static const struct option lineage_rows[] = {
    { "verify", OPT_BOOL, offsetof(sc_lineage_config, verify), 0, 0, "false", NULL, "read all that is at hand and compare digests" },
    { "near", OPT_STRING, offsetof(sc_lineage_config, near), 0, 0, "", NULL, "directories with commas where files that are not found are looked for by their names" },
};
const struct sc_options lineage_options = { "lineage", sizeof(sc_lineage_config), lineage_rows, sizeof lineage_rows / sizeof *lineage_rows };
