/* test.c - the runner of test.h: each test in a child process, one line for each failure, totals at the end. */
#include "test.h"

#include <ftw.h>
#include <sys/wait.h>
#include <unistd.h>

static struct test *tests;
static char scratch[64];

void test_register(struct test *t)
{
    struct test **end = &tests;
    while (*end) end = &(*end)->next;
    *end = t;
}

void test_failed(const char *file, int line, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "%s:%d: ", file, line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

const char *test_path(const char *relative)
{
    static char path[4][512];
    static int next;
    char *p = path[next++ % 4];
    const char *root = getenv("STARCHAT_SOURCE");
    snprintf(p, sizeof path[0], "%s/%s", root ? root : ".", relative);
    return access(p, R_OK) == 0 ? p : NULL;
}

static int remove_entry(const char *path, const struct stat *st, int kind, struct FTW *at)
{
    (void)st; (void)kind; (void)at;
    return remove(path);
}

static void remove_scratch(void)
{
    if (scratch[0]) nftw(scratch, remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

const char *test_scratch(void)
{
    if (!scratch[0]) {
        snprintf(scratch, sizeof scratch, "/tmp/starchat-test-XXXXXX");
        if (!mkdtemp(scratch)) test_failed(__FILE__, __LINE__, "no scratch directory");
        atexit(remove_scratch);
    }
    return scratch;
}

static bool run_one(const struct test *t)
{
    fflush(NULL);
    pid_t child = fork();
    if (child == 0) { t->run(); exit(0); }
    int status = 0;
    waitpid(child, &status, 0);
    bool ok = WIFEXITED(status) && WEXITSTATUS(status) == 0;
    if (!ok && WIFSIGNALED(status)) fprintf(stderr, "%s: signal %d\n", t->name, WTERMSIG(status));
    printf("%s %s\n", ok ? "ok    " : "FAILED", t->name);
    return ok;
}

int main(int argc, char **argv)
{
    int passed = 0, failed = 0;
    for (struct test *t = tests; t; t = t->next) {
        if (argc > 1 && !strstr(t->name, argv[1])) continue;
        if (run_one(t)) passed++; else failed++;
    }
    printf("%d passed, %d failed\n", passed, failed);
    return failed || !passed;
}
