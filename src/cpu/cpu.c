/* cpu.c - the backend row of the CPU: kernel sets by name, chosen once, and the operator table. */
#include "cpu/cpu.h"

#include <pthread.h>
#include <string.h>

static bool always(void) { return true; }
static bool has_avx2(void) { const struct cpu_features *f = system_cpu(); return f->avx2 && f->fma && f->f16c; }
static bool has_avx512(void)
{
    const struct cpu_features *f = system_cpu();
    return has_avx2() && f->avx512f && f->avx512bw && f->avx512vl && f->avx512_vnni;
}

/* Each set starts from the one before it. ORDER of rising preference. */
static const struct { const char *name, *needs; bool (*is_there)(void); void (*fill)(struct cpu_kernels *k); } sets[] = {
    { "scalar", "", always, cpu_fill_scalar },
    { "avx2", "AVX2, FMA and F16C", has_avx2, cpu_fill_avx2 },
    { "avx512", "AVX-512 F, BW, VL and VNNI", has_avx512, cpu_fill_avx512 },
};
enum { SETS = sizeof sets / sizeof *sets };

static struct cpu_kernels tables[SETS];   /* written once, then only read */
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void fill_tables(void)
{
    for (size_t i = 0; i < SETS; i++) {
        if (i > 0) tables[i] = tables[i - 1];
        if (sets[i].is_there()) sets[i].fill(&tables[i]);
        tables[i].name = sets[i].name;
    }
}

static sc_status choose_kernels(const void **out, const char *name, sc_error *err)
{
    pthread_once(&once, fill_tables);
    *out = NULL;
    for (size_t i = 0; i < SETS; i++) {
        if (!strcmp(name, "auto") && sets[i].is_there()) *out = &tables[i];
        if (strcmp(name, sets[i].name)) continue;
        if (!sets[i].is_there()) return FAIL(err, SC_E_UNSUPPORTED, "kernels %s need %s, which this processor lacks; use --kernels auto", name, sets[i].needs);
        *out = &tables[i];
    }
    return *out ? SC_OK : FAIL(err, SC_E_ARGUMENT, "kernels is \"%s\", expected auto, scalar, avx2 or avx512", name);
}

static const char *kernels_name(const void *kernels) { return ((const struct cpu_kernels *)kernels)->name; }

struct split { size_t n, grain; void (*fn)(void *, size_t, size_t, int); void *arg; };

static void run_piece(void *arg, size_t i, int worker)
{
    const struct split *s = arg;
    size_t from = i * s->grain, to = from + s->grain < s->n ? from + s->grain : s->n;
    s->fn(s->arg, from, to, worker);
}

void cpu_split(struct exec *e, size_t n, size_t grain, double work, void (*fn)(void *arg, size_t from, size_t to, int worker), void *arg)
{
    struct split s = { n, grain, fn, arg };
    size_t pieces = (n + grain - 1) / grain;
    if (e->is_dry) return;
    /* Waking the pool costs some microseconds: about 30,000 multiply-adds. */
    if (pieces <= 1 || work * (double)n < 30000) {
        for (size_t i = 0; i < pieces; i++) run_piece(&s, i, 0);
        return;
    }
    pool_run(e->pool, pieces, run_piece, &s);
}

const struct backend cpu_backend = {
    .name = "cpu", .probe = always, .kernels = choose_kernels, .kernels_name = kernels_name, .packed_bytes = cpu_packed_bytes, .measure = cpu_measure,
    .op = {
#define X(name) [OP_##name] = { cpu_##name, cpu_##name##_backward, OP_##name == OP_linear || OP_##name == OP_silu_gate || OP_##name == OP_rope },
        OPS(X)
#undef X
    },
};
