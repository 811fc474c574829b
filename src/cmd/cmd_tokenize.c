/* cmd_tokenize.c - text to token ids and back, whole or as JSON lines. Text never becomes a special token unless
 * --special asks for it. */
#include "cmd/cmd.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { INPUT_BYTES_MAX = 1 << 30 };

struct tokenize { struct args args; sc_tokenizer *tokenizer; size_t vocab; bool is_special; };

static void print_ids(const sc_tokens *t, const char *separator)
{
    for (size_t i = 0; i < t->len; i++) printf("%s%" PRId32, i ? separator : "", t->id[i]);
}

/* `place` begins the message: "" or "line 3: ". */
static bool check_id(const struct tokenize *t, long long id, const char *place)
{
    if (id >= 0 && (unsigned long long)id < t->vocab) return true;
    fail_text("%stoken id %lld is not in this vocabulary; its ids go from 0 to %zu", place, id, t->vocab - 1);
    return false;
}

/* ---- whole input ------------------------------------------------------------------------------------------------------- */

static int encode_all(struct tokenize *t, const char *text, size_t len)
{
    sc_tokens ids = { 0 };
    sc_error err = { 0 };
    if (sc_encode(&ids, t->tokenizer, text, len, t->is_special, &err) != SC_OK) return fail_with(&t->args.common, &err);
    if (t->args.common.json) fputs("{\"ids\":[", stdout);
    print_ids(&ids, t->args.common.json ? "," : " ");
    fputs(t->args.common.json ? "]}\n" : "\n", stdout);
    sc_tokens_free(&ids);
    return EXIT_DONE;
}

/* Numbers with blanks, commas or brackets between them. There is at most one id for two bytes of text. */
static bool parse_ids(const struct tokenize *t, sc_tokens *out, const char *text, size_t len)
{
    const char *end = text + len;
    out->id = malloc((len / 2 + 1) * sizeof *out->id);
    if (!out->id) {
        fail_text("no memory for the ids of %zu bytes of input", len);
        return false;
    }
    while (text < end) {
        if (strchr(" \t\r\n,[]", *text) && *text) {
            text++;
            continue;
        }
        size_t n = strcspn(text, " \t\r\n,[]");
        char *stop;
        errno = 0;
        long long id = strtoll(text, &stop, 10);
        if (stop != text + n || n == 0) {
            fail_text("\"%.*s\" is not a token id; expected whole numbers with blanks or commas between them", n < 40 ? (int)n : 40, text);
            return false;
        }
        if (!check_id(t, id, "")) return false;
        out->id[out->len++] = (int32_t)id;
        text += n;
    }
    return true;
}

static int decode_all(struct tokenize *t, const char *input, size_t len)
{
    sc_tokens ids = { 0 };
    sc_text text = { 0 };
    sc_error err = { 0 };
    int code = EXIT_FAILED;
    if (!parse_ids(t, &ids, input, len)) goto done;
    if (sc_decode(&text, t->tokenizer, ids.id, ids.len, false, &err) != SC_OK) {
        code = fail_with(&t->args.common, &err);
        goto done;
    }
    if (t->args.common.json) {
        fputs("{\"text\":", stdout);
        print_json_string(stdout, text.data, text.len);
        fputs("}\n", stdout);
    } else print_text(stdout, text.data, text.len);
    code = EXIT_DONE;
done:
    free(ids.id);
    sc_text_free(&text);
    return code;
}

static int tokenize_all(struct tokenize *t, bool is_decode)
{
    size_t len;
    char *input = read_all(stdin, INPUT_BYTES_MAX, &len, "standard input");
    if (!input) return EXIT_FAILED;
    int code = is_decode ? decode_all(t, input, len) : encode_all(t, input, len);
    free(input);
    return code;
}

/* ---- JSON lines ---------------------------------------------------------------------------------------------------------- */

static int encode_line(struct tokenize *t, const json_t *object, unsigned long long number)
{
    const json_t *text = json_object_get(object, "text");
    sc_tokens ids = { 0 };
    sc_error err = { 0 };
    if (!json_is_string(text)) return fail_text("line %llu: \"text\" is %s, expected a string", number, json_kind(text));
    if (sc_encode(&ids, t->tokenizer, json_string_value(text), json_string_length(text), t->is_special, &err) != SC_OK)
        return fail_with(&t->args.common, &err);
    fputs("{\"ids\":[", stdout);
    print_ids(&ids, ",");
    fputs("]}\n", stdout);
    sc_tokens_free(&ids);
    return EXIT_DONE;
}

static int decode_line(struct tokenize *t, const json_t *object, unsigned long long number)
{
    const json_t *list = json_object_get(object, "ids");
    char place[40];
    sc_text text = { 0 };
    sc_error err = { 0 };
    if (!json_is_array(list)) return fail_text("line %llu: \"ids\" is %s, expected an array of token ids", number, json_kind(list));
    size_t n = json_array_size(list);
    int32_t *ids = malloc((n + 1) * sizeof *ids);
    int code = ids ? ARGS_GO : fail_text("line %llu: no memory for %zu ids", number, n);
    snprintf(place, sizeof place, "line %llu: ", number);
    for (size_t i = 0; i < n && code == ARGS_GO; i++) {
        const json_t *id = json_array_get(list, i);
        if (!json_is_integer(id)) code = fail_text("line %llu: ids[%zu] is %s, expected a token id", number, i, json_kind(id));
        else if (!check_id(t, json_integer_value(id), place)) code = EXIT_FAILED;
        else ids[i] = (int32_t)json_integer_value(id);
    }
    if (code == ARGS_GO && sc_decode(&text, t->tokenizer, ids, n, false, &err) != SC_OK) code = fail_with(&t->args.common, &err);
    free(ids);
    if (code != ARGS_GO) return code;
    fputs("{\"text\":", stdout);
    print_json_string(stdout, text.data, text.len);
    fputs("}\n", stdout);
    sc_text_free(&text);
    return EXIT_DONE;
}

static int tokenize_lines(struct tokenize *t, bool is_decode)
{
    struct line_reader r;
    json_t *object;
    int code = EXIT_DONE, got;
    line_open(&r, STDIN_FILENO);
    while (code == EXIT_DONE && (got = line_next_object(&r, &object)) != 0) {
        if (got < 0) code = EXIT_FAILED;
        else code = is_decode ? decode_line(t, object, r.number) : encode_line(t, object, r.number);
        json_decref(object);
    }
    line_close(&r);
    return code;
}

/* ---- the command ------------------------------------------------------------------------------------------------------------ */

static int run_tokenize(const struct command *self, int argc, char **argv)
{
    struct tokenize t = { 0 };
    sc_text path = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&t.args, self, argc, argv, NULL);
    if (code != ARGS_GO) return code;
    t.is_special = args_has(&t.args, "special");
    bool is_decode = args_has(&t.args, "decode");
    if (is_decode && t.is_special) return usage_error(self, "--special has no meaning with --decode, which always writes special tokens");
    if (sc_store_resolve(&path, t.args.operand[0], NULL, &err) != SC_OK || sc_tokenizer_open(&t.tokenizer, path.data, &err) != SC_OK)
        code = fail_with(&t.args.common, &err);
    else {
        t.vocab = sc_tokenizer_vocab(t.tokenizer);
        code = args_has(&t.args, "jsonl") ? tokenize_lines(&t, is_decode) : tokenize_all(&t, is_decode);
    }
    sc_tokenizer_close(t.tokenizer);
    sc_text_free(&path);
    return code;
}

static const struct flag flags[] = {
    { "decode", "d", NULL, "ids (blanks or commas between them) to text instead", NULL },
    { "jsonl", NULL, NULL, "lines {\"text\":...} to lines {\"ids\":[...]}, or the other way with --decode", NULL },
    { "special", NULL, NULL, "let special tokens such as <|endoftext|> be recognised in the text", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_tokenize = {
    .name = "tokenize", .operands = "MODEL", .summary = "text from stdin to token ids, and back",
    .min_operands = 1, .max_operands = 1, .run = run_tokenize, .flags = flags,
    .details = "MODEL may also be a tokenizer.json or a directory that holds one.\n\n"
               "  printf 'def f():' | starchat tokenize MODEL\n"
               "  echo 1589 420 | starchat tokenize MODEL --decode",
};
