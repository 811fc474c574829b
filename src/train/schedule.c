/* schedule.c - factors on the learning rate. linear, cosine, constant, constant_with_warmup: transformers'
 * optimization.py (k updates done so far, so that the first one has factor 0 where there is a warm-up). warmup_lr:
 * DeepSpeed's WarmupLR with its default logarithmic rise, which is what the original StarChat run really had. */
#include "train/train.h"

#include <math.h>

static double rise(int64_t k, int64_t warmup) { return (double)k / (double)(warmup > 1 ? warmup : 1); }

static double linear_factor(int64_t k, int64_t warmup, int64_t total)
{
    if (k < warmup) return rise(k, warmup);
    double left = (double)(total - k) / (double)(total - warmup > 1 ? total - warmup : 1);
    return left > 0 ? left : 0;
}

static double cosine_factor(int64_t k, int64_t warmup, int64_t total)
{
    if (k < warmup) return rise(k, warmup);
    double progress = (double)(k - warmup) / (double)(total - warmup > 1 ? total - warmup : 1), factor = 0.5 * (1 + cos(M_PI * progress));
    return factor > 0 ? factor : 0;
}

static double constant_factor(int64_t k, int64_t warmup, int64_t total) { (void)k; (void)warmup; (void)total; return 1; }
static double constant_with_warmup_factor(int64_t k, int64_t warmup, int64_t total) { (void)total; return k < warmup ? rise(k, warmup) : 1; }

static double warmup_lr_factor(int64_t k, int64_t warmup, int64_t total)
{
    int64_t w = warmup > 2 ? warmup : 2;
    (void)total;
    return k < w ? log((double)(k + 1)) / log((double)w) : 1;
}

const struct schedule schedules[] = {
    { "linear", linear_factor }, { "cosine", cosine_factor }, { "constant", constant_factor }, { "constant_with_warmup", constant_with_warmup_factor },
    { "warmup_lr", warmup_lr_factor }, { 0 },
};
