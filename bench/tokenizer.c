/* tokenizer.c - times a tokenizer on one core: opening it, encoding texts, the longest piece there is, and decoding.
 * Usage: bench_tokenizer [TOKENIZER [TEXT...]]   Each file is one text. Prints one JSON object. Without arguments:
 * StarCoder's tokenizer of the shared data folder, on the sources of this repository. Times are processor time, so that
 * other work on the machine counts less. `memory` is what the process holds more after opening, `memory_peak` the most
 * that it held more on the way; pages of mapped files count. */
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "text/text.h"

enum { RUNS = 5, LONG_PIECE = 1 << 20 };
#define PASS_BYTES 8e6      /* a run goes over the texts until it has done this much */

struct texts { sc_text *text; size_t n, bytes; };

static int compare(const void *a, const void *b)
{
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Prints "name": {median and spread} of the runs. */
static void report(const char *name, const char *unit, double *value)
{
    qsort(value, RUNS, sizeof *value, compare);
    printf("  \"%s\": {\"median\": %.2f, \"low\": %.2f, \"high\": %.2f, \"unit\": \"%s\"},\n", name, value[RUNS / 2], value[0], value[RUNS - 1], unit);
}

static void fail(const sc_error *e)
{
    fprintf(stderr, "bench_tokenizer: %s\n", e->message);
    exit(1);
}

static double processor_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static double resident_megabytes(void)
{
    long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    if (f && fscanf(f, "%*d %ld", &pages) != 1) pages = 0;
    if (f) fclose(f);
    return (double)pages * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

static struct tokenizer *open_timed(const char *path)
{
    double ms[RUNS], before = resident_megabytes(), after = 0;
    struct tokenizer *t = NULL;
    sc_error e;
    for (int i = 0; i < RUNS; i++) {
        tokenizer_close(t);
        double begin = processor_seconds();
        if (tokenizer_open(&t, path, &e) != SC_OK) fail(&e);
        ms[i] = (processor_seconds() - begin) * 1e3;
        if (i > 0) continue;
        after = resident_megabytes();
        printf("  \"memory\": {\"value\": %.1f, \"unit\": \"MB\"}, \"memory_peak\": {\"value\": %.1f, \"unit\": \"MB\"},\n", after - before,
               (double)system_peak_memory() / 1e6 - before);
    }
    report("open", "ms", ms);
    return t;
}

static void encode_timed(const char *name, const struct tokenizer *t, const struct texts *x)
{
    double rate[RUNS];
    struct token_list ids = { 0 };
    for (int i = 0; i < RUNS; i++) {
        size_t done = 0;
        double begin = processor_seconds();
        do {
            for (size_t k = 0; k < x->n; k++) {
                ids.len = 0;
                tokenizer_encode(t, &ids, x->text[k].data, x->text[k].len, NULL, 0);
            }
            done += x->bytes;
        } while ((double)done < PASS_BYTES && x->bytes);
        rate[i] = (double)done / 1e6 / (processor_seconds() - begin);
    }
    report(name, "MB/s", rate);
    token_list_release(&ids);
}

static void decode_timed(const struct tokenizer *t, const struct texts *x)
{
    double rate[RUNS];
    struct token_list ids = { 0 };
    struct buf out;
    buf_init(&out, 0);
    for (size_t k = 0; k < x->n; k++) tokenizer_encode(t, &ids, x->text[k].data, x->text[k].len, NULL, 0);
    printf("  \"tokens\": %zu,\n", ids.len);
    for (int i = 0; i < RUNS; i++) {
        buf_clear(&out);
        double begin = processor_seconds();
        tokenizer_decode(t, &out, ids.id, ids.len, false);
        rate[i] = (double)out.len / 1e6 / (processor_seconds() - begin);
    }
    report("decode", "MB/s", rate);
    buf_release(&out);
    token_list_release(&ids);
}

static void text_read(struct texts *x, const char *path)
{
    sc_error e;
    x->text = mem_grow(x->text, (x->n + 1) * sizeof *x->text);
    if (file_read(&x->text[x->n], path, (size_t)1 << 30, &e) != SC_OK) fail(&e);
    x->bytes += x->text[x->n++].len;
}

static void texts_read(struct texts *x, int argc, char **argv)
{
    glob_t sources = { 0 };
    for (int i = 2; i < argc; i++) text_read(x, argv[i]);
    if (argc <= 2 && glob("src/*/*.[ch]", 0, NULL, &sources) == 0)
        for (size_t i = 0; i < sources.gl_pathc; i++) text_read(x, sources.gl_pathv[i]);
    globfree(&sources);
}

/* A piece without a border: letters drawn at random. */
static void one_piece_timed(const struct tokenizer *t)
{
    sc_text letters = { mem_alloc(LONG_PIECE + 1), LONG_PIECE };
    for (uint32_t i = 0; i < LONG_PIECE; i++) letters.data[i] = (char)('a' + random_u32(1, 0, i) % 26);
    encode_timed("encode_one_piece_of_1m", t, &(struct texts){ &letters, 1, LONG_PIECE });
    mem_free(letters.data);
}

int main(int argc, char **argv)
{
    const char *path = argc > 1 ? argv[1] : "../shared/data/tokenizers/starcoder/tokenizer.json";
    struct texts x = { 0 };
    if (!path_exists(path)) { printf("skipped: %s is not there\n", path); return 0; }
    printf("{\n  \"bench\": \"tokenizer\", \"version\": \"%s\", \"cpu\": \"%s\", \"runs\": %d,\n  \"tokenizer\": \"%s\",\n", sc_version(), system_cpu()->model, RUNS, path);
    struct tokenizer *t = open_timed(path);
    texts_read(&x, argc, argv);
    printf("  \"texts\": %zu, \"bytes\": %zu,\n", x.n, x.bytes);
    encode_timed("encode", t, &x);
    one_piece_timed(t);
    decode_timed(t, &x);
    printf("  \"vocab\": %zu\n}\n", tokenizer_vocab(t));
    tokenizer_close(t);
    for (size_t i = 0; i < x.n; i++) sc_text_free(&x.text[i]);
    mem_free(x.text);
    return 0;
}
