/* test_meter.c - energy of a run: which of the kernel's counters are added, and that they go round. */
#include <unistd.h>

#include "test.h"
#include "train/train_internal.h"

#define RANGE_SECONDS 100.0                  /* of write_zone at the most that a zone can take, 1000 W */

static void write_text(const char *directory, const char *name, const char *text)
{
    char *path = path_join(directory, name);
    CHECK_OK(file_write(path, text, strlen(text), err));
    mem_free(path);
}

static void write_zone(const char *root, const char *zone, const char *name, const char *energy)
{
    char *directory = path_join(root, zone);
    CHECK_OK(path_make_directories(directory, err));
    write_text(directory, "name", name);
    write_text(directory, "energy_uj", energy);
    write_text(directory, "max_energy_range_uj", "100000000000\n");
    mem_free(directory);
}

TEST(energy_counters_are_added_and_go_round)
{
    char root[] = "/tmp/starchat-card-XXXXXX";
    static const char *const zones[] = { "intel-rapl:0", "intel-rapl:1", "intel-rapl:0:0", "intel-rapl:0:1", "intel-rapl" };
    struct meter m;
    struct run_state s = { 0 };
    CHECK(mkdtemp(root) != NULL);
    meter_begin(&m, root);
    CHECK_INT(m.n, 0);
    meter_add(&m, &s);
    CHECK(s.joules == 0 && s.metered_seconds == 0 && s.processor_seconds >= 0);
    write_zone(root, zones[0], "package-0\n", "1000000\n");
    write_zone(root, zones[1], "package-1\n", "99999000000\n");
    write_zone(root, zones[2], "core\n", "5\n");                                /* a part of its package */
    write_zone(root, zones[3], "dram\n", "0\n");
    write_zone(root, zones[4], "package-0\n", "7\n");                           /* the driver itself */
    meter_begin(&m, root);
    CHECK_INT(m.n, 3);
    write_zone(root, zones[0], "package-0\n", "3000000\n");                     /* 2 J */
    write_zone(root, zones[1], "package-1\n", "500000\n");                      /* round the end: 1.5 J */
    write_zone(root, zones[2], "core\n", "4000000\n");
    write_zone(root, zones[3], "dram\n", "250000\n");                           /* 0.25 J */
    meter_add(&m, &s);
    CHECK(s.joules > 3.7499 && s.joules < 3.7501);
    CHECK(s.metered_seconds > 0 && s.metered_seconds <= s.wall_seconds);
    for (size_t i = 0; i < 5; i++) {
        char *directory = path_join(root, zones[i]);
        remove_plain_directory(directory);
        mem_free(directory);
    }
    rmdir(root);
}

TEST(long_times_between_reads_are_not_metered)
{
    char root[] = "/tmp/starchat-card-XXXXXX";
    struct meter m;
    struct run_state s = { 0 };
    CHECK(mkdtemp(root) != NULL);
    write_zone(root, "intel-rapl:0", "package-0\n", "1000000\n");
    meter_begin(&m, root);
    CHECK_INT(m.n, 1);
    m.to = &s;
    m.clock -= RANGE_SECONDS + 20;                                              /* it may have gone round any number of times */
    write_zone(root, "intel-rapl:0", "package-0\n", "3000000\n");
    meter_tick(&m);
    CHECK(s.joules == 0 && s.metered_seconds == 0 && s.wall_seconds > RANGE_SECONDS);
    m.clock -= RANGE_SECONDS / 2;
    write_zone(root, "intel-rapl:0", "package-0\n", "4000000\n");
    meter_tick(&m);
    CHECK(s.joules > 0.9999 && s.joules < 1.0001);                              /* since the last read: what was used before it is left out */
    CHECK(s.metered_seconds > RANGE_SECONDS / 2 - 1 && s.metered_seconds < RANGE_SECONDS);
    meter_tick(NULL);
    char *directory = path_join(root, "intel-rapl:0");
    remove_plain_directory(directory);
    mem_free(directory);
    rmdir(root);
}
