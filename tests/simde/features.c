/* features.c - tells programs linked with --wrap=system_cpu that this processor has what avx512.c needs: its
 * instructions are emulated there. */
#include "base/base.h"

const struct cpu_features *__real_system_cpu(void);
const struct cpu_features *__wrap_system_cpu(void);

const struct cpu_features *__wrap_system_cpu(void)
{
    static _Thread_local struct cpu_features f;   /* the same values in every thread */
    f = *__real_system_cpu();
    f.avx512f = f.avx512bw = f.avx512vl = f.avx512_vnni = f.avx2;
    return &f;
}
