/* meter.c - what a run costs: processor time of this process, and energy where the kernel shows the processor's own counters (powercap, "RAPL": Linux
 * Documentation/power/powercap). A counter goes round after some minutes of full load, so it is read at every step
 * and between the rows of longer work; how often it went round between two reads that are far apart nobody can tell, so such a time counts as not metered. */
#include "train/train_internal.h"

#include <dirent.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static bool read_number(uint64_t *out, const char *root, const char *zone, const char *name)
{
    char path[320];
    snprintf(path, sizeof path, "%.200s/%.60s/%.40s", root, zone, name);
    FILE *f = fopen(path, "re");
    bool is_read = f && fscanf(f, "%" SCNu64, out) == 1;
    if (f) fclose(f);
    return is_read;
}

/* Packages as a whole, and memory, which they do not contain; cores and the rest are parts of packages. */
static bool counts_alone(const char *root, const char *zone)
{
    char path[320], name[40] = "";
    int package, part, end = 0;
    snprintf(path, sizeof path, "%.200s/%.60s/name", root, zone);
    FILE *f = fopen(path, "re");
    if (f && !fgets(name, sizeof name, f)) name[0] = 0;
    if (f) fclose(f);
    if (sscanf(zone, "intel-rapl:%d%n", &package, &end) == 1 && !zone[end]) return strncmp(name, "package", 7) == 0;
    return sscanf(zone, "intel-rapl:%d:%d%n", &package, &part, &end) == 2 && !zone[end] && strncmp(name, "dram", 4) == 0;
}

/* No processor or memory of one zone takes more than this, so before its counter has been round once no shorter time goes by. */
static const double WATTS_MOST = 1000;

static double processor_seconds(void)
{
    struct timespec t;
    return clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t) == 0 ? (double)t.tv_sec + 1e-9 * (double)t.tv_nsec : 0;
}

void meter_begin(struct meter *m, const char *root)
{
    *m = (struct meter){ .root = root, .processor = processor_seconds(), .clock = clock_seconds() };
    DIR *d = opendir(root);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL && m->n < METER_ZONES;) {
        struct meter_zone *z = &m->zone[m->n];
        if (strlen(e->d_name) >= sizeof z->name || !counts_alone(root, e->d_name)) continue;
        if (!read_number(&z->last, root, e->d_name, "energy_uj") || !read_number(&z->range, root, e->d_name, "max_energy_range_uj")) continue;
        memcpy(z->name, e->d_name, strlen(e->d_name) + 1);
        m->n++;
    }
    if (d) closedir(d);
}

void meter_add(struct meter *m, struct run_state *s)
{
    double processor = processor_seconds(), now = clock_seconds(), joules = 0;
    bool all = m->n > 0;
    for (int i = 0; i < m->n; i++) {
        struct meter_zone *z = &m->zone[i];
        uint64_t is;
        if (!read_number(&is, m->root, z->name, "energy_uj")) { all = false; continue; }
        if (now - m->clock > 1e-6 * (double)z->range / WATTS_MOST) all = false;
        joules += 1e-6 * (double)(is >= z->last ? is - z->last : is + z->range - z->last);
        z->last = is;
    }
    s->processor_seconds += processor - m->processor;
    s->wall_seconds += now - m->clock;
    if (all) s->joules += joules;
    if (all) s->metered_seconds += now - m->clock;
    m->processor = processor;
    m->clock = now;
}

void meter_tick(struct meter *m)
{
    if (m) meter_add(m, m->to);
}
