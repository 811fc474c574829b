/* adapters.c - what adapters cost in a pass: a token each for several sessions, all of the base, and shared out among variants.
 * Usage: bench_adapters [MODEL [RANK [ADAPTERS [SESSIONS [THREADS]]]]]; the model is a path or a stored name. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hub/hub.h"
#include "train/train.h"

enum { MOST = 64, ROUNDS = 24, TOKENS = 4 };

static void must(sc_status status, const sc_error *e)
{
    if (status == SC_OK) return;
    fprintf(stderr, "bench_adapters: %s\n", e->message);
    exit(status == SC_E_IO ? 0 : 1);         /* `make bench` goes on where the model is not there */
}

/* A fresh adapter of all matrices in a directory that the caller removes. */
static void make_adapter(const char *directory, sc_runtime *rt, const char *path, int64_t rank)
{
    sc_error e = { 0 };
    sc_model *m = NULL;
    struct arena memory;
    const struct adapter_config c = { .r = rank, .alpha = 16, .target_modules = "all-linear", .seed = 1 };
    arena_init(&memory);
    must(sc_model_open(&m, rt, &(sc_model_config){ .path = path }, &e), &e);
    must(adapter_attach(&m->model, &memory, &c, &e), &e);
    must(adapter_save(directory, m, &c, path, false, &e), &e);
    sc_model_close(m);
    arena_release(&memory);
}

static double pass_seconds(sc_session *const *s, size_t n)
{
    sc_error e = { 0 };
    int32_t id[MOST];
    for (size_t i = 0; i < n; i++) id[i] = (int32_t)(100 + 7 * i);
    double begin = clock_seconds();
    for (int t = 0; t < TOKENS; t++) must(sc_sessions_append(s, id, n, &e), &e);
    return (clock_seconds() - begin) / TOKENS;
}

int main(int argc, char **argv)
{
    const char *name = argc > 1 ? argv[1] : "smollm2:135m-instruct";
    size_t rank = argc > 2 ? strtoul(argv[2], NULL, 10) : 16, variants = argc > 3 ? strtoul(argv[3], NULL, 10) : 4, sessions = argc > 4 ? strtoul(argv[4], NULL, 10) : 8;
    sc_error e = { 0 };
    sc_text path = { 0 };
    sc_runtime *rt = NULL;
    sc_runtime_config c;
    sc_model *base = NULL, *variant[MOST] = { NULL };
    sc_session *of_base[MOST], *mixed[MOST];
    char directory[] = "/tmp/bench_adapters.XXXXXX";
    double best[2] = { 1e9, 1e9 };
    if (!rank || !variants || !sessions || variants > MOST || sessions > MOST || !mkdtemp(directory)) return 1;
    sc_options_defaults(sc_options_for("runtime"), &c);
    c.activations = "int8";
    c.threads = argc > 5 ? atol(argv[5]) : 0;
    must(sc_store_resolve(&path, name, NULL, &e), &e);
    must(sc_runtime_open(&rt, &c, &e), &e);
    must(sc_model_open(&base, rt, &(sc_model_config){ .path = path.data }, &e), &e);
    make_adapter(directory, rt, path.data, (int64_t)rank);
    for (size_t i = 0; i < variants; i++) must(sc_model_open_variant(&variant[i], base, directory, NULL, &e), &e);
    for (size_t i = 0; i < sessions; i++) {
        const sc_session_config s = { .context = 1024 };
        must(sc_session_open(&of_base[i], base, &s, &e), &e);
        must(sc_session_open(&mixed[i], variant[i % variants], &s, &e), &e);
    }
    for (int r = 0; r < ROUNDS; r++)         /* by turns, so that what else the machine does meets both */
        for (int k = 0; k < 2; k++) {
            double t = pass_seconds(k ? mixed : of_base, sessions);
            best[k] = t < best[k] ? t : best[k];
        }
    printf("%zu sessions of %s: the base %.2f ms a pass, %zu adapters of rank %zu %.2f ms, factor %.3f; an adapter is %.1f MiB\n", sessions, name, 1e3 * best[0], variants, rank, 1e3 * best[1],
           best[1] / best[0], (double)(variant[0]->model.weight_bytes - base->model.weight_bytes) / (1 << 20));
    for (size_t i = 0; i < sessions; i++) {
        sc_session_close(of_base[i]);
        sc_session_close(mixed[i]);
    }
    for (size_t i = 0; i < variants; i++) sc_model_close(variant[i]);
    sc_model_close(base);
    sc_runtime_close(rt);
    sc_text_free(&path);
    remove_plain_directory(directory);
    return 0;
}
