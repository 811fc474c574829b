/* cmd_key.c - keys of the server: a new one is printed once and kept as a digest. */
#include "cmd/cmd.h"

static int run_new(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_text key = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    const char *file = args_value(&a, "file");
    if (!file) return usage_error(self, "--file is missing: the file that `starchat serve --api-key-file` reads");
    if (sc_key_new(&key, file, args_value(&a, "name"), &err) != SC_OK) return fail_with(&a.common, &err);
    printf("%s\n", key.data);
    note(&a.common, "This is the only time that the key is shown; %s has its digest. A running server reads the file again on SIGHUP.", file);
    sc_text_free(&key);
    return EXIT_DONE;
}

static const struct flag new_flags[] = {
    { "file", NULL, "FILE", "where its digest is appended; made for its owner alone if it is not there", NULL },
    { "name", NULL, "NAME", "whose it is: a note behind the digest", NULL },
    FLAG_END,
};
static const struct command key_new = {
    .name = "key new", .operands = "", .summary = "make a key and print it once", .run = run_new, .flags = new_flags,
    .details = "The key has 192 bits from the kernel. The file gets a line \"sha256:HEX NAME\", so that who reads it can ask nothing; a key is taken\n"
               "away by removing its line.\n\n"
               "  starchat key new --file keys --name laptop\n"
               "  starchat serve MODEL --host 0.0.0.0 --api-key-file keys",
};

static const struct command *const parts[] = { &key_new, NULL };
const struct command command_key = {
    .name = "key", .operands = "new", .summary = "keys for `serve`",
    .min_operands = 1, .max_operands = ARGS_MAX_OPERANDS, .run = command_run_part, .parts = parts,
};
