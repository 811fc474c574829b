/* gemm.c - products of large f32 matrices, with either side transposed and the weights in any storage type.
 *
 * Both sides are packed into panels that the kernel reads without gaps (Goto and van de Geijn 2008): a panel of B stays
 * in the first cache level, a block of A in the second. Packing is where transposing and unpacking happen. An element of
 * C is one accumulator that meets k in rising order, so results depend neither on threads nor on how C is cut up. Where A has
 * few rows, a panel of B is packed by who multiplies it and never leaves the cache: B is read once and written nowhere. */
#include "cpu/cpu.h"

#include <string.h>

/* Rows of A and columns of B packed at a time; multiples of every tile. Few rows a piece: threads end together. */
enum { BLOCK_M = 48, BLOCK_N = 1024 };
enum { TILE_MAX = 32 * 16 };

static size_t round_up(size_t n, size_t to) { return (n + to - 1) / to * to; }
static size_t least(size_t a, size_t b) { return a < b ? a : b; }

/* `n` elements of row `row` from `first` on, as f32: where they are, or unpacked into scratch. Of block types whole
 * blocks are unpacked, which may begin before `first`. */
static const float *row_part(const struct cpu_kernels *k, const struct gemm_side *s, size_t row, size_t first, size_t n, float *scratch)
{
    if (s->dtype == DTYPE_F32) return (const float *)s->data + row * s->stride + first;
    const struct dtype_row *t = &dtypes[s->dtype];
    const char *at = (const char *)s->data + row * dtype_row_bytes(s->dtype, s->stride);
    size_t skip = first % t->block, whole = round_up(skip + n, t->block);
    if (k->unpack_part[s->dtype]) k->unpack_part[s->dtype](scratch, at, first - skip, whole);
    else k->unpack_f32[s->dtype](scratch, at + (first - skip) / t->block * t->bytes, whole);
    return scratch + skip;
}

/* A panel: `width` lines of `n` along k, line i beginning at line `first`; out[p * width + i], zero where lines end.
 * Along k the rows of the matrix run: lines are rows of it. */
static void pack_rows(const struct cpu_kernels *k, const struct gemm_side *s, size_t first, size_t lines, size_t width, size_t from, size_t n, float *out, float *scratch)
{
    const float *line[64];
    for (size_t i = 0; i < lines; i++) line[i] = row_part(k, s, first + i, from, n, scratch + i * GEMM_K);
    k->interleave(out, width, line, lines, n);
}

/* A line of a panel; tiles' widths as constants, so that no call is made for some bytes. */
static inline void copy_line(float *to, const float *from, size_t width)
{
    if (width == 16) memcpy(to, from, 16 * sizeof *to);
    else if (width == 6) memcpy(to, from, 6 * sizeof *to);
    else if (width == 32) memcpy(to, from, 32 * sizeof *to);
    else if (width == 12) memcpy(to, from, 12 * sizeof *to);
    else memcpy(to, from, width * sizeof *to);
}

/* The same where lines are columns of the matrix. `all` panels beside each other, so that a row is unpacked once. */
static void pack_columns(const struct cpu_kernels *k, const struct gemm_side *s, size_t first, size_t lines, size_t width, size_t from, size_t n, float *out, float *scratch)
{
    for (size_t p = 0; p < n; p++) {
        const float *row = row_part(k, s, from + p, first, lines, scratch);
        size_t at = 0;
        for (; at + width <= lines; at += width) copy_line(out + at * n + p * width, row + at, width);
        if (at == lines) continue;
        float *to = out + at * n + p * width;
        memcpy(to, row + at, (lines - at) * sizeof *to);
        memset(to + lines - at, 0, (width - (lines - at)) * sizeof *to);
    }
}

/* Lines [first, first + lines) of a side as panels of `width` lines. Lines of A are its rows, of B its columns. */
static void pack(const struct cpu_kernels *k, const struct gemm_side *s, bool lines_are_rows, size_t first, size_t lines, size_t width, size_t from, size_t n, float *out, float *scratch)
{
    if (!lines_are_rows) { pack_columns(k, s, first, lines, width, from, n, out, scratch); return; }
    for (size_t at = 0; at < lines; at += width) pack_rows(k, s, first + at, least(width, lines - at), width, from, n, out + at * n, scratch);
}

/* Packed A (m rows) times packed B (n columns), n_k along k, into C. Column j of B begins at b + j * b_step. */
static void multiply(const struct cpu_kernels *k, float *c, size_t ldc, const float *a, const float *b, size_t b_step, size_t m, size_t n, size_t n_k, bool add)
{
    float tile[TILE_MAX];
    for (size_t j = 0; j < n; j += k->gemm_n)
        for (size_t i = 0; i < m; i += k->gemm_m) {
            size_t rows = least(k->gemm_m, m - i), cols = least(k->gemm_n, n - j);
            float *out = c + i * ldc + j;
            if (rows == k->gemm_m && cols == k->gemm_n) { k->gemm_tile(out, ldc, a + i * n_k, b + j * b_step, n_k, add); continue; }
            for (size_t r = 0; add && r < rows; r++) memcpy(tile + r * k->gemm_n, out + r * ldc, cols * sizeof *tile);
            k->gemm_tile(tile, k->gemm_n, a + i * n_k, b + j * b_step, n_k, add);
            for (size_t r = 0; r < rows; r++) memcpy(out + r * ldc, tile + r * k->gemm_n, cols * sizeof *tile);
        }
}

/* Steps along k: even ones, at borders of blocks. */
static size_t k_step(const struct gemm *g)
{
    size_t unit = 32, steps = (g->k + GEMM_K - 1) / GEMM_K;
    unit = dtypes[g->a.dtype].block > unit ? dtypes[g->a.dtype].block : unit;
    unit = dtypes[g->b.dtype].block > unit ? dtypes[g->b.dtype].block : unit;
    size_t even = round_up((g->k + steps - 1) / steps, unit);
    return even <= GEMM_K ? even : GEMM_K / unit * unit;
}

static size_t unpack_floats(void) { return (size_t)BLOCK_N + 64 * GEMM_K; }

/* ---- one thread ----------------------------------------------------------------------------------------------------------- */

static size_t packed_floats(size_t lines, size_t width) { return round_up(lines, width) * GEMM_K; }

size_t gemm_scratch(const struct cpu_kernels *k, size_t m, size_t n)
{
    return packed_floats(least(m, BLOCK_M), k->gemm_m) + packed_floats(least(n, BLOCK_N), k->gemm_n) + unpack_floats();
}

void gemm_serial(const struct cpu_kernels *k, float *scratch, const struct gemm *g)
{
    float *a = scratch, *b = a + packed_floats(least(g->m, BLOCK_M), k->gemm_m), *unpacked = b + packed_floats(least(g->n, BLOCK_N), k->gemm_n);
    size_t step = k_step(g);
    for (size_t j = 0; j < g->n; j += BLOCK_N)
        for (size_t p = 0; p < g->k; p += step) {
            size_t n = least(BLOCK_N, g->n - j), n_k = least(step, g->k - p);
            pack(k, &g->b, g->b.transposed, j, n, k->gemm_n, p, n_k, b, unpacked);
            for (size_t i = 0; i < g->m; i += BLOCK_M) {
                size_t m = least(BLOCK_M, g->m - i);
                pack(k, &g->a, !g->a.transposed, i, m, k->gemm_m, p, n_k, a, unpacked);
                multiply(k, g->c + i * g->ldc + j, g->ldc, a, b, n_k, m, n, n_k, g->add || p > 0);
            }
        }
}

void gemm_pack_b(const struct cpu_kernels *k, float *out, const struct gemm *g, size_t first, size_t n)
{
    const float *line[64];
    for (size_t j = first; j < first + n; j += k->gemm_n) {
        size_t lines = least(k->gemm_n, first + n - j);
        for (size_t i = 0; i < lines; i++) line[i] = (const float *)g->b.data + (j + i) * g->b.stride;
        k->interleave(out + j * g->k, k->gemm_n, line, lines, g->k);
    }
}

/* ---- all threads ------------------------------------------------------------------------------------------------------------ */

/* Work on columns [j, j + n) of C and [p, p + n_k) along k: B is packed by all threads, then each piece takes rows of A
 * and a part of the columns. */
struct gemm_job {
    const struct cpu_kernels *k; const struct gemm *g; const float *packed;
    float *b, *scratch; size_t scratch_floats;
    size_t j, n, p, n_k, block_m, block_n, row_blocks;
};

static void pack_b_panels(void *arg, size_t from, size_t to, int worker)
{
    const struct gemm_job *job = arg;
    size_t first = from * job->k->gemm_n, lines = least(to * job->k->gemm_n, job->n) - first;
    pack(job->k, &job->g->b, job->g->b.transposed, job->j + first, lines, job->k->gemm_n, job->p, job->n_k, job->b + first * job->n_k,
         job->scratch + (size_t)worker * job->scratch_floats);
}

static void multiply_block(void *arg, size_t from, size_t to, int worker)
{
    const struct gemm_job *job = arg;
    const struct gemm *g = job->g;
    float *unpacked = job->scratch + (size_t)worker * job->scratch_floats, *a = unpacked + unpack_floats();
    for (size_t i = from; i < to; i++) {
        size_t row = i % job->row_blocks * job->block_m, col = i / job->row_blocks * job->block_n;
        size_t m = least(job->block_m, g->m - row), n = least(job->block_n, job->n - col);
        pack(job->k, &g->a, !g->a.transposed, row, m, job->k->gemm_m, job->p, job->n_k, a, unpacked);
        multiply(job->k, g->c + row * g->ldc + job->j + col, g->ldc, a, job->packed ? job->packed + (job->j + col) * g->k + job->p * job->k->gemm_n : job->b + col * job->n_k, job->packed ? g->k : job->n_k, m, n, job->n_k,
                 g->add || job->p > 0);
    }
}

/* ---- all threads, few rows of A --------------------------------------------------------------------------------------------- */

enum { FEW_ROWS = 96 };                    /* of A, which stay in the second cache level meanwhile */

/* a: all of A packed, the panels of each step along k behind those of the step before. */
struct few_job { const struct cpu_kernels *k; const struct gemm *g; const float *packed; float *a, *scratch; size_t lines, step, scratch_floats; };

static void pack_a_panels(void *arg, size_t from, size_t to, int worker)
{
    const struct few_job *job = arg;
    const struct gemm *g = job->g;
    size_t width = job->k->gemm_m;
    for (size_t i = from * width; i < to * width && i < g->m; i += width)
        for (size_t p = 0; p < g->k; p += job->step) {
            size_t n_k = least(job->step, g->k - p);
            pack(job->k, &g->a, !g->a.transposed, i, least(width, g->m - i), width, p, n_k, job->a + p * job->lines + i * n_k, job->scratch + (size_t)worker * job->scratch_floats);
        }
}

static void multiply_panels(void *arg, size_t from, size_t to, int worker)
{
    const struct few_job *job = arg;
    const struct gemm *g = job->g;
    size_t width = job->k->gemm_n;
    float *unpacked = job->scratch + (size_t)worker * job->scratch_floats, *b = unpacked + unpack_floats();
    for (size_t j = from * width; j < to * width && j < g->n; j += width)
        for (size_t p = 0; p < g->k; p += job->step) {
            size_t n = least(width, g->n - j), n_k = least(job->step, g->k - p);
            if (!job->packed) pack(job->k, &g->b, g->b.transposed, j, n, width, p, n_k, b, unpacked);
            multiply(job->k, g->c + j, g->ldc, job->a + p * job->lines, job->packed ? job->packed + j * g->k + p * width : b, n_k, g->m, n, n_k, g->add || p > 0);
        }
}

static void run_few(struct exec *e, const struct gemm *g, const float *packed)
{
    struct arena_mark mark = arena_mark(e->step);
    struct few_job job = { .k = e->kernels, .g = g, .packed = packed, .step = k_step(g) };
    size_t panels = (g->n + job.k->gemm_n - 1) / job.k->gemm_n;
    job.lines = round_up(g->m, job.k->gemm_m);
    job.scratch_floats = round_up(unpack_floats() + packed_floats(job.k->gemm_n, job.k->gemm_n), 16);
    job.a = arena_take(e->step, job.lines * g->k * sizeof(float));
    job.scratch = arena_take(e->step, job.scratch_floats * (size_t)pool_threads(e->pool) * sizeof(float));
    cpu_split(e, job.lines / job.k->gemm_m, 1, (double)(job.k->gemm_m * g->k), pack_a_panels, &job);
    cpu_split(e, panels, 1, (double)(job.lines * job.k->gemm_n) * (double)g->k, multiply_panels, &job);
    arena_rewind(e->step, mark);
}

/* Rows of a piece: whole tiles, at most BLOCK_M rows, so many that the thread with most rows has as few as can be. */
static size_t even_block(size_t m, size_t tile, size_t threads)
{
    size_t tiles = (m + tile - 1) / tile, most = least(BLOCK_M / tile, (tiles + 4 * threads - 1) / (4 * threads)), best = most, best_time = SIZE_MAX;
    for (size_t part = most; 2 * part > most && part > 0; part--) {
        size_t whole = tiles / part, rounds = whole / threads * part, left = tiles - whole / threads * threads * part, time = rounds + least(part, left);
        if (time < best_time) best = part, best_time = time;
    }
    return best * tile;
}

static void run_many(struct exec *e, const struct gemm *g, const float *packed)
{
    struct arena_mark mark = arena_mark(e->step);
    struct gemm_job job = { .k = e->kernels, .g = g, .packed = packed };
    size_t threads = (size_t)pool_threads(e->pool), width = least(g->n, 4 * BLOCK_N), step = k_step(g);
    /* Enough pieces for an even end; few columns need few rows a piece. */
    job.block_m = even_block(g->m, job.k->gemm_m, threads);
    job.row_blocks = (g->m + job.block_m - 1) / job.block_m;
    job.block_n = job.row_blocks >= 4 * threads ? round_up(width, job.k->gemm_n) : round_up((width + 4 * threads - 1) / (4 * threads), job.k->gemm_n);
    job.scratch_floats = round_up(unpack_floats() + packed_floats(job.block_m, job.k->gemm_m), 16);
    job.b = arena_take(e->step, packed_floats(width, job.k->gemm_n) * sizeof(float));
    job.scratch = arena_take(e->step, job.scratch_floats * threads * sizeof(float));
    for (job.j = 0; job.j < g->n; job.j += width)
        for (job.p = 0; job.p < g->k; job.p += step) {
            job.n = least(width, g->n - job.j);
            job.n_k = least(step, g->k - job.p);
            size_t panels = (job.n + job.k->gemm_n - 1) / job.k->gemm_n, col_blocks = (job.n + job.block_n - 1) / job.block_n;
            /* A column of the matrix is cheap to take where panels beside each other are packed in one go. */
            if (!packed) cpu_split(e, panels, least(8, BLOCK_N / job.k->gemm_n), (double)(job.k->gemm_n * job.n_k), pack_b_panels, &job);
            cpu_split(e, job.row_blocks * col_blocks, 1, (double)job.block_m * (double)job.block_n * (double)job.n_k, multiply_block, &job);
        }
    arena_rewind(e->step, mark);
}

void gemm_run(struct exec *e, const struct gemm *g) { gemm_run_packed(e, g, NULL); }

void gemm_run_packed(struct exec *e, const struct gemm *g, const float *packed)
{
    /* Columns of a matrix are cheap to take only where many panels beside each other are. */
    if (g->m <= FEW_ROWS && g->b.transposed) run_few(e, g, packed);
    else run_many(e, g, packed);
}
