/* cpu_features.c - what the processor and the operating system offer: CPUID leaves 1, 7 and the XCR0 register (Intel
 * SDM volume 1, chapter 14: vector state must be enabled by the system before its instructions may be used). */
#include "base/base.h"

#include <pthread.h>
#include <string.h>

#if defined(__x86_64__)
#include <cpuid.h>

static uint64_t enabled_state(void)
{
    uint32_t low, high;
    __asm__ volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
    return (uint64_t)high << 32 | low;
}

static void read_features(struct cpu_features *f)
{
    unsigned a, b, c, d;
    if (!__get_cpuid(1, &a, &b, &c, &d)) return;
    bool has_xsave = c >> 27 & 1;
    uint64_t state = has_xsave ? enabled_state() : 0;
    bool ymm = (state & 6) == 6, zmm = ymm && (state & 0xE0) == 0xE0, tiles = (state & 0x60000) == 0x60000;
    f->fma = ymm && (c >> 12 & 1);
    f->f16c = ymm && (c >> 29 & 1);
    unsigned a7, b7, c7, d7;
    if (__get_cpuid_count(7, 0, &a7, &b7, &c7, &d7)) {
        f->avx2 = ymm && (b7 >> 5 & 1);
        f->avx512f = zmm && (b7 >> 16 & 1) && (b7 >> 17 & 1);   /* F and DQ */
        f->avx512bw = zmm && (b7 >> 30 & 1);
        f->avx512vl = zmm && (b7 >> 31 & 1);
        f->avx512_vnni = zmm && (c7 >> 11 & 1);
        f->amx_bf16 = tiles && (d7 >> 22 & 1);
        f->amx_int8 = tiles && (d7 >> 25 & 1);
    }
    if (__get_cpuid_count(7, 1, &a7, &b7, &c7, &d7)) {
        f->avx_vnni = ymm && (a7 >> 4 & 1);
        f->avx512_bf16 = zmm && (a7 >> 5 & 1);
    }
    unsigned words[12];
    for (unsigned i = 0; i < 3; i++)
        if (!__get_cpuid(0x80000002u + i, &words[4 * i], &words[4 * i + 1], &words[4 * i + 2], &words[4 * i + 3])) return;
    memcpy(f->model, words, 48);
    for (size_t n = strlen(f->model); n && f->model[n - 1] == ' '; n--) f->model[n - 1] = 0;
}
#else
static void read_features(struct cpu_features *f) { (void)f; }
#endif

static struct cpu_features features;   /* written once, then only read */
static pthread_once_t once = PTHREAD_ONCE_INIT;
static void read_once(void) { read_features(&features); }

const struct cpu_features *system_cpu(void)
{
    pthread_once(&once, read_once);
    return &features;
}
