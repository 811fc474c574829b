/* python_random.c - the random numbers of CPython's `random.Random(seed)`: MT19937 (Matsumoto and Nishimura, 1998) seeded by an array of the seed's
 * 32-bit words, and the way `sample` draws from it. The reference chooses its examples with it, so prompts depend on every bit of this. */
#include "eval/eval.h"

enum { STATE = 624, SHIFT = 397, SETSIZE = 21 };

static void twister_seed(struct python_random *r, uint32_t seed)
{
    r->state[0] = seed;
    for (uint32_t i = 1; i < STATE; i++) r->state[i] = 1812433253u * (r->state[i - 1] ^ (r->state[i - 1] >> 30)) + i;
    r->at = STATE;
}

void python_random_seed(struct python_random *r, uint64_t seed)
{
    const uint32_t key[2] = { (uint32_t)seed, (uint32_t)(seed >> 32) };
    uint32_t n = key[1] ? 2 : 1, i = 1, j = 0;
    uint32_t *s = r->state;
    twister_seed(r, 19650218u);
    for (int k = STATE; k; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1664525u)) + key[j] + j;
        if (++i >= STATE) { s[0] = s[STATE - 1]; i = 1; }
        if (++j >= n) j = 0;
    }
    for (int k = STATE - 1; k; k--) {
        s[i] = (s[i] ^ ((s[i - 1] ^ (s[i - 1] >> 30)) * 1566083941u)) - i;
        if (++i >= STATE) { s[0] = s[STATE - 1]; i = 1; }
    }
    s[0] = 0x80000000u;
}

static void twist(struct python_random *r)
{
    uint32_t *s = r->state;
    for (int k = 0; k < STATE; k++) {
        uint32_t y = (s[k] & 0x80000000u) | (s[(k + 1) % STATE] & 0x7FFFFFFFu);
        s[k] = s[(k + SHIFT) % STATE] ^ (y >> 1) ^ (y & 1 ? 0x9908B0DFu : 0);
    }
    r->at = 0;
}

uint32_t python_random_u32(struct python_random *r)
{
    if (r->at >= STATE) twist(r);
    uint32_t y = r->state[r->at++];
    y ^= y >> 11;
    y ^= (y << 7) & 0x9D2C5680u;
    y ^= (y << 15) & 0xEFC60000u;
    return y ^ (y >> 18);
}

/* getrandbits of as many bits as n has, drawn again while it is not below n. */
uint32_t python_random_below(struct python_random *r, uint32_t n)
{
    int bits = 32 - __builtin_clz(n);
    uint32_t x;
    do x = python_random_u32(r) >> (32 - bits); while (x >= n);
    return x;
}

/* From which length of the population on `sample` remembers what it drew instead of moving the rest together. */
static size_t pool_limit(size_t k)
{
    size_t limit = SETSIZE, power = 1;
    if (k <= 5) return limit;
    while (power < 3 * k) power *= 4;          /* 4 ** ceil(log(3 k, 4)) */
    return limit + power;
}

void python_random_sample(size_t *out, struct python_random *r, size_t n, size_t k)
{
    if (n <= pool_limit(k)) {
        size_t *pool = mem_alloc((n + 1) * sizeof *pool);
        for (size_t i = 0; i < n; i++) pool[i] = i;
        for (size_t i = 0; i < k; i++) {
            size_t j = python_random_below(r, (uint32_t)(n - i));
            out[i] = pool[j];
            pool[j] = pool[n - i - 1];
        }
        mem_free(pool);
        return;
    }
    for (size_t i = 0; i < k; i++) {
        bool is_taken = true;
        while (is_taken) {
            out[i] = python_random_below(r, (uint32_t)n);
            is_taken = false;
            for (size_t j = 0; j < i; j++) is_taken = is_taken || out[j] == out[i];
        }
    }
}
