/* grammar.c - times constrained output: for each token of JSON texts, the mask of all tokens and going on behind the token.
 * Usage: bench_grammar [TOKENIZER [SCHEMA N]]   Without: StarCoder's of the shared data folder. Prints one JSON object: microseconds for
 * a token the first time (nothing is remembered) and when the grammar has seen the text before. Times are processor time, so that
 * other work on the machine counts less. With a file SCHEMA it prints N texts drawn at random instead, a JSON string on each line, for
 * tools/oracle/grammar_check.py. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "grammar/grammar.h"

static const char person[] = "{\"type\":\"object\",\"properties\":{\"name\":{\"type\":\"string\"},\"age\":{\"type\":\"integer\",\"minimum\":0,\"maximum\":150},"
    "\"email\":{\"type\":[\"string\",\"null\"]},\"city\":{\"type\":\"string\",\"maxLength\":80},\"tags\":{\"type\":\"array\",\"items\":{\"enum\":[\"alpha\",\"beta\",\"gamma\"]}},"
    "\"notes\":{\"type\":\"array\",\"items\":{\"type\":\"object\",\"properties\":{\"text\":{\"type\":\"string\"},\"score\":{\"type\":\"number\"}},\"required\":[\"text\",\"score\"]}}},"
    "\"required\":[\"name\",\"age\",\"email\",\"city\",\"tags\",\"notes\"],\"additionalProperties\":false}";
static const char text[] = "{\n  \"name\": \"Mira \\\"M\\\" Straße\",\n  \"age\": 41,\n  \"email\": null,\n  \"city\": \"Königs Wusterhausen, behind the old mill\",\n"
    "  \"tags\": [\"alpha\", \"gamma\"],\n  \"notes\": [\n    {\"text\": \"The quick brown fox jumps over the lazy dog, and then it rests.\", \"score\": 0.75},\n"
    "    {\"text\": \"C:\\\\temp, 100 % of what was measured\", \"score\": -1.5e-3}\n  ]\n}";

static struct grammar *open_grammar(const char *schema)
{
    struct grammar *g = NULL;
    json_t *o = NULL;
    sc_error e = { 0 };
    if (json_read(&o, schema, strlen(schema), "the schema", &e) != SC_OK || grammar_from_schema(&g, o, &e) != SC_OK) { fprintf(stderr, "bench_grammar: %s\n", e.message); exit(1); }
    json_decref(o);
    return g;
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void report(const char *name, double *us, size_t n, const char *end)
{
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += us[i];
    qsort(us, n, sizeof *us, compare);
    printf("    \"%s\": {\"mean\": %.2f, \"median\": %.2f, \"p90\": %.2f, \"worst\": %.2f, \"unit\": \"us\"}%s\n", name, sum / (double)n, us[n / 2], us[n * 9 / 10], us[n - 1], end);
}

static void run(struct grammar *g, const struct token_tree *tree, const struct token_list *ids, double *us)
{
    struct matcher *m = matcher_open(g, tree);
    for (size_t i = 0; i < ids->len; i++) {
        size_t words;
        double begin = processor_seconds();
        const uint64_t *mask = matcher_mask(m, &words);
        bool is_in = mask[ids->id[i] / 64] >> ids->id[i] % 64 & 1;
        bool ok = matcher_accept(m, ids->id[i]);
        us[i] = (processor_seconds() - begin) * 1e6;
        if (!is_in || !ok) { fprintf(stderr, "bench_grammar: token %zu is refused\n", i); exit(1); }
    }
    if (!matcher_must_end(m)) { fprintf(stderr, "bench_grammar: the text is not whole\n"); exit(1); }
    matcher_close(m);
}

static void measure(const char *name, const char *schema, const struct token_tree *tree, const struct token_list *ids, const char *end)
{
    double *us = mem_alloc(ids->len * sizeof *us);
    double begin = processor_seconds();
    struct grammar *g = open_grammar(schema);
    printf("  \"%s\": {\n    \"compile\": {\"value\": %.1f, \"unit\": \"us\"},\n", name, (processor_seconds() - begin) * 1e6);
    run(g, tree, ids, us);
    report("first", us, ids->len, ",");
    run(g, tree, ids, us);
    report("remembered", us, ids->len, "");
    printf("  }%s\n", end);
    grammar_release(g);
    mem_free(us);
}

/* A token of the mask; after a while one that closes what is open, where there is one. */
static int32_t draw(const struct tokenizer *t, struct matcher *m, uint64_t seed, uint64_t at)
{
    size_t words, n = 0;
    const uint64_t *mask = matcher_mask(m, &words);
    for (const char *c = "\"}]:,0"; *c && (at > 60 || random_u32(seed, 3, at) % 3 == 0); c++) {
        int32_t id = tokenizer_find(t, c, 1);
        if (id >= 0 && matcher_allows(m, id)) return id;
    }
    for (size_t i = 0; i < words; i++) n += (size_t)__builtin_popcountll(mask[i]);
    size_t want = n ? random_u32(seed, 1, at) % n : 0;
    for (size_t i = 0; i < words; i++)
        for (int bit = 0; bit < 64; bit++)
            if (mask[i] >> bit & 1 && want-- == 0) return (int32_t)(i * 64 + (size_t)bit);
    return -1;
}

static void sample(const struct tokenizer *t, const struct token_tree *tree, struct grammar *g, uint64_t n)
{
    for (uint64_t seed = 0; seed < n; seed++) {
        struct matcher *m = matcher_open(g, tree);
        struct buf out = { 0 }, line = { 0 };
        for (uint64_t i = 0; i < 2000 && !(matcher_may_end(m) && (i > 60 || random_u32(seed, 2, i) % 2)); i++) {
            int32_t id = draw(t, m, seed, i);
            if (id < 0 || !matcher_accept(m, id)) break;
            tokenizer_decode(t, &out, &id, 1, false);
        }
        if (matcher_may_end(m)) {
            buf_put_json_string(&line, out.data ? out.data : "", out.len);
            printf("%s\n", line.data);
        }
        buf_release(&out);
        buf_release(&line);
        matcher_close(m);
    }
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "../shared/data/tokenizers/starcoder/tokenizer.json";
    struct tokenizer *t = NULL;
    struct token_list ids = { 0 };
    sc_error e = { 0 };
    if (!path_exists(path)) { printf("skipped: %s is not there\n", path); return 0; }
    if (tokenizer_open(&t, path, &e) != SC_OK) { fprintf(stderr, "bench_grammar: %s\n", e.message); return 1; }
    double begin = processor_seconds();
    struct token_tree *tree = token_tree_make(t);
    if (argc > 3) {
        sc_text schema = { 0 };
        if (file_read(&schema, argv[2], 1 << 20, &e) != SC_OK) { fprintf(stderr, "bench_grammar: %s\n", e.message); return 1; }
        struct grammar *g = open_grammar(schema.data);
        sample(t, tree, g, strtoull(argv[3], NULL, 10));
        grammar_release(g);
        sc_text_free(&schema);
        token_tree_free(tree);
        tokenizer_close(t);
        return 0;
    }
    printf("{\n  \"bench\": \"grammar\", \"version\": \"%s\", \"cpu\": \"%s\",\n  \"tokenizer\": \"%s\", \"vocab\": %zu,\n", sc_version(), system_cpu()->model, path, tokenizer_vocab(t));
    printf("  \"tree\": {\"value\": %.1f, \"unit\": \"ms\"},\n", (processor_seconds() - begin) * 1e3);
    tokenizer_encode(t, &ids, text, sizeof text - 1, NULL, 0);
    printf("  \"tokens\": %zu,\n", ids.len);
    measure("schema", person, tree, &ids, ",");
    measure("any_object", "{\"type\":\"object\"}", tree, &ids, "\n}");
    token_list_release(&ids);
    token_tree_free(tree);
    tokenizer_close(t);
    return 0;
}
