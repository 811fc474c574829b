/* test_sandbox.c - outcomes of runs, what passes from step to step, verdicts on Python, values that cross. Hostile programs and cheats, each shown to
 * work outside, are in tests/sandbox (run.py); the benchmarks' own solutions in tests/sandbox/benchmarks.py. */
#include "test.h"

#include <dirent.h>
#include <pthread.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "sandbox/sandbox_internal.h"

/* Under a sanitizer, or beside other work, everything takes longer; what is measured here is not speed. */
static double slow(double seconds) { return getenv("STARCHAT_SANITIZED") ? 4 * seconds : 2 * seconds; }

static struct sandbox *opened_with(const struct sandbox_config *config)
{
    struct sandbox *s = NULL;
    sc_error err = { 0 };
    sc_status status = sandbox_open(&s, config, &err);
    /* Where bubblewrap can make a namespace, a refusal is a failure. */
    if (status == SC_E_UNSUPPORTED && system("bwrap --unshare-all --unshare-user --ro-bind / / true 2>/dev/null") != 0) { printf("skipped: %s\n", err.message); exit(0); }
    if (status != SC_OK) test_failed(__FILE__, __LINE__, "sandbox_open: %s", err.message);
    return s;
}

static struct sandbox *opened(void) { return opened_with(&(struct sandbox_config){ .path = getenv("PATH") }); }

static struct sandbox_result ran(struct sandbox *s, const char *script, const struct sandbox_limits *limits)
{
    const char *const argv[] = { "/bin/sh", "-c", script, NULL };
    struct sandbox_job job = { .argv = argv, .limits = limits ? *limits : (struct sandbox_limits){ 0 } };
    struct sandbox_result r;
    CHECK_OK(sandbox_run(&r, s, &job, err));
    return r;
}

static void check_run(struct sandbox *s, const char *script, const struct sandbox_limits *limits, enum sandbox_outcome outcome, int code)
{
    struct sandbox_result r = ran(s, script, limits);
    if (r.outcome != outcome || (code >= 0 && r.code != code)) test_failed(__FILE__, __LINE__, "%s: %s %d %s %s", script, sandbox_outcome_name(r.outcome), r.code, r.message, r.errors.data ? r.errors.data : "");
    sandbox_result_release(&r);
}

TEST(outcomes)
{
    struct sandbox *s = opened();
    const struct sandbox_limits brief = { .wall = 0.5 }, small = { .output_max = 4096 }, busy = { .wall = 20, .cpu = 1 };
    check_run(s, "exit 0", NULL, SANDBOX_EXITED, 0);
    check_run(s, "exit 137", NULL, SANDBOX_EXITED, 137);
    check_run(s, "kill -9 $$", NULL, SANDBOX_SIGNALLED, 9);
    check_run(s, "sleep 60", &brief, SANDBOX_TIMEOUT, -1);
    check_run(s, "while :; do :; done", &busy, SANDBOX_TIMEOUT, -1);
    check_run(s, "head -c 100000 /dev/urandom", &small, SANDBOX_FLOOD, -1);
    check_run(s, "head -c 100000 /dev/urandom >&2", &small, SANDBOX_FLOOD, -1);
    check_run(s, "test \"$(ls -d /home /etc/shadow /proc /sys /root 2>/dev/null)\" = ''", NULL, SANDBOX_EXITED, 0);
    check_run(s, "test \"$TZ $LC_ALL $OMP_NUM_THREADS $PYTHONHASHSEED $HOME\" = 'UTC C.UTF-8 1 0 /tmp/job'", NULL, SANDBOX_EXITED, 0);
    sandbox_close(s);
}

TEST(output_and_input)
{
    struct sandbox *s = opened();
    const char *const argv[] = { "/bin/cat", NULL }, *const files[] = { "/bin/cat", "a.txt", "b/c.txt", NULL };
    const struct sandbox_file file[] = { { "a.txt", "one\n", 4 }, { "b/c.txt", "two\n", 4 } };
    struct sandbox_job job = { .argv = argv, .input = "hello", .input_len = 5 };
    struct sandbox_result r = ran(s, "head -c 5000 /dev/urandom; echo no >&2", NULL);
    CHECK_INT(r.output.len, 2048);
    CHECK_INT(r.output_bytes, 5000);
    CHECK_STR(r.errors.data, "no\n");
    sandbox_result_release(&r);
    CHECK_OK(sandbox_run(&r, s, &job, err));
    CHECK_STR(r.output.data, "hello");
    sandbox_result_release(&r);
    job = (struct sandbox_job){ .argv = files, .files = file, .n_files = 2 };
    CHECK_OK(sandbox_run(&r, s, &job, err));
    CHECK_STR(r.output.data, "one\ntwo\n");
    sandbox_result_release(&r);
    sandbox_close(s);
}

TEST(steps_hand_on_what_they_keep)
{
    struct sandbox *s = opened();
    const char *const first[] = { "/bin/sh", "-c", "cat source > program; echo more > other", NULL }, *const second[] = { "/bin/sh", "-c", "ls; cat program", NULL }, *const keep[] = { "program", NULL };
    const struct sandbox_file source = { "source", "secret\n", 7 };
    struct sandbox_carry carry;
    struct sandbox_result r;
    struct sandbox_job job = { .argv = first, .files = &source, .n_files = 1, .keep = keep, .to = &carry };
    CHECK_OK(sandbox_run(&r, s, &job, err));
    CHECK_INT(r.outcome, SANDBOX_EXITED);
    CHECK(carry.is_held);
    sandbox_result_release(&r);
    job = (struct sandbox_job){ .argv = second, .from = &carry };
    CHECK_OK(sandbox_run(&r, s, &job, err));
    CHECK_STR(r.output.data, "program\nsecret\n");
    sandbox_result_release(&r);
    sandbox_carry_release(&carry);
    CHECK_FAILS(sandbox_run(&r, s, &job, err), SC_E_ARGUMENT, "left nothing");
    sandbox_close(s);
}

TEST(jobs_without_sense_are_refused)
{
    struct sandbox *s = opened();
    const char *const none[] = { NULL }, *const yes[] = { "/bin/true", NULL }, *const tools[] = { "fortran", NULL };
    const struct sandbox_file bad = { "../x", "", 0 };
    struct sandbox_job job = { .argv = none };
    struct sandbox_result r;
    CHECK_FAILS(sandbox_run(&r, s, &job, err), SC_E_ARGUMENT, "names no program");
    job = (struct sandbox_job){ .argv = yes, .files = &bad, .n_files = 1 };
    CHECK_FAILS(sandbox_run(&r, s, &job, err), SC_E_ARGUMENT, "no name for a file");
    job = (struct sandbox_job){ .argv = yes, .tools = tools };
    CHECK_FAILS(sandbox_run(&r, s, &job, err), SC_E_ARGUMENT, "fortran");
    const char *const missing[] = { "/no/such/program", NULL };
    job = (struct sandbox_job){ .argv = missing };
    CHECK_OK(sandbox_run(&r, s, &job, err));
    CHECK_INT(r.outcome, SANDBOX_SETUP);
    CHECK(strstr(r.message, "No such file") != NULL);
    sandbox_result_release(&r);
    sandbox_close(s);
}

/* ccache stands in $PATH as gcc, and is no compiler without its configuration and cache. */
TEST(wrappers_are_no_compilers)
{
    const char *const tools[] = { "gcc", NULL };
    char *directory = path_join(test_scratch(), "wrappers"), *wrapper = path_join(directory, "ccache"), *name = path_join(directory, "gcc");
    struct buf path;
    buf_init(&path, 0);
    buf_printf(&path, "%s:%s", directory, getenv("PATH"));
    CHECK_OK(path_make_directories(directory, err));
    CHECK_OK(file_write(wrapper, "#!/bin/sh\nexit 1\n", 17, err));
    CHECK(chmod(wrapper, 0755) == 0 && symlink("ccache", name) == 0);
    struct sandbox *s = opened_with(&(struct sandbox_config){ .path = path.data, .tools = tools });
    const char *gcc = sandbox_tool(s, "gcc");
    CHECK(!gcc || strcmp(strrchr(gcc, '/'), "/ccache") != 0);
    sandbox_close(s);
    s = opened_with(&(struct sandbox_config){ .path = directory, .tools = tools });
    CHECK(sandbox_tool(s, "gcc") == NULL);
    sandbox_close(s);
    buf_release(&path);
    mem_free(name);
    mem_free(wrapper);
    mem_free(directory);
}

/* Processes with `mark` among their arguments. */
static int marked(const char *mark)
{
    int n = 0;
    DIR *d = opendir("/proc");
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        char path[300], text[4096];
        snprintf(path, sizeof path, "/proc/%s/cmdline", e->d_name);
        FILE *f = fopen(path, "r");
        size_t got = f ? fread(text, 1, sizeof text - 1, f) : 0;
        if (f) fclose(f);
        for (size_t i = 0; i < got; i++)
            if (!text[i]) text[i] = ' ';
        text[got] = 0;
        n += strstr(text, mark) != NULL;
    }
    if (d) closedir(d);
    return n;
}

/* Killed as soon as bubblewrap is seen, while it still makes the sandbox, or later. */
static void kill_while_running(struct sandbox *s, const char *mark, unsigned wait_us)
{
    char script[128];
    pid_t child = fork();
    if (child == 0) {
        const struct sandbox_limits forever = { .wall = 1000 };
        snprintf(script, sizeof script, "sleep %s", mark);
        (void)ran(s, script, &forever);
        _exit(0);
    }
    for (int i = 0; i < 20000 && !marked(mark); i++) usleep(500);
    CHECK(marked(mark) > 0);
    usleep(wait_us);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    for (int i = 0; i < 500 && marked(mark); i++) usleep(20000);
    CHECK_INT(marked(mark), 0);
}

TEST(nothing_survives)
{
    struct sandbox *s = opened();
    char mark[64], script[256];
    snprintf(mark, sizeof mark, "86400.%07d", (int)getpid());
    snprintf(script, sizeof script, "for i in 1 2 3; do setsid sleep %s & done; sleep 0.2", mark);
    check_run(s, script, NULL, SANDBOX_EXITED, 0);
    CHECK_INT(marked(mark), 0);
    for (int i = 0; i < 12; i++) kill_while_running(s, mark, i % 4 * 5000);
    sandbox_close(s);
}

static void *run_some(void *arg)
{
    for (int i = 0; i < 8; i++) {
        char script[32];
        snprintf(script, sizeof script, "exit %d", i);
        check_run(arg, script, NULL, SANDBOX_EXITED, i);
    }
    return NULL;
}

TEST(runs_in_parallel)
{
    struct sandbox *s = opened();
    pthread_t thread[4];
    for (int i = 0; i < 4; i++) pthread_create(&thread[i], NULL, run_some, s);
    for (int i = 0; i < 4; i++) pthread_join(thread[i], NULL);
    sandbox_close(s);
}

/* ---- Python --------------------------------------------------------------------------------------------------------------------------- */

static struct python_verdict judged(struct sandbox *s, const struct python_task *task)
{
    struct python_verdict v;
    CHECK_OK(sandbox_python(&v, s, task, err));
    return v;
}

static void check_python(struct sandbox *s, const char *candidate, const char *tests, enum python_outcome outcome, const char *part)
{
    const struct python_task task = { .candidate = candidate, .tests = tests, .entry = "f", .call_seconds = slow(1), .total_seconds = slow(4), .memory = 1 << 30 };
    struct python_verdict v = judged(s, &task);
    if (v.outcome != outcome || !strstr(v.detail, part)) test_failed(__FILE__, __LINE__, "%s: %s, \"%s\"", candidate, python_outcome_name(v.outcome), v.detail);
}

TEST(python_outcomes)
{
    struct sandbox *s = opened();
    const char *square = "def f(x):\n    return x * x\n";
    check_python(s, square, "assert f(3) == 9", PYTHON_PASS, "");
    check_python(s, square, "assert f(3) == 8", PYTHON_FAIL, "AssertionError");
    check_python(s, square, "assert f('a') == 8", PYTHON_ERROR, "TypeError");
    check_python(s, "def g(x):\n    return x\n", "assert f(3) == 9", PYTHON_ERROR, "name 'f' is not defined");
    check_python(s, "def f(x:\n", "assert f(3) == 9", PYTHON_SYNTAX, "SyntaxError");
    check_python(s, "def f(x):\n    while True: pass\n", "assert f(3) == 9", PYTHON_TIMEOUT, "");
    check_python(s, "def f(x):\n    return [0] * (1 << 40)\n", "assert f(3) == 9", PYTHON_OOM, "");
    check_python(s, "def f(x):\n    while True: print('x' * 10000)\n", "assert f(3) == 9", PYTHON_FLOOD, "");
    check_python(s, "import os\nos.write(6, b'x' * 100)\ndef f(x): return 9\n", "assert f(3) == 9", PYTHON_FORGED, "");
    check_python(s, "import os\nos._exit(0)", "assert f(3) == 9", PYTHON_ERROR, "exit code 0");
    check_python(s, "import os\nos.kill(os.getpid(), 11)", "assert f(3) == 9", PYTHON_ERROR, "signal 11");
    check_python(s, "def f(x):\n    raise AssertionError('mine')\n", "assert f(3) == 9", PYTHON_ERROR, "mine");
    check_python(s, "def f(x):\n    raise ValueError('no\\u1234')\n", "try:\n    f(3)\nexcept ValueError as e:\n    assert 'no' in str(e)\nelse:\n    assert False", PYTHON_PASS, "");
    check_python(s, "import os\ndef f(x):\n    os._exit(0)\n", "try:\n    f(3)\nexcept BaseException:\n    pass\n", PYTHON_ERROR, "");
    sandbox_close(s);
}

TEST(python_values_cross)
{
    struct sandbox *s = opened();
    const char *same = "def f(x):\n    return x\n";
    check_python(s, same,
                 "import math\n"
                 "for v in [None, True, False, 0, -1, 1 << 62, 1 << 63, -(1 << 64), 10 ** 4000, 0.1, -0.0, 1e308, 5e-324, float('inf'), -float('inf'), 1 + 2j, '', 'a\\n\\0\"', '\\ud83d\\ude00', '\\U0001f600',\n"
                 "          '\\udc80', b'\\x00\\xff', [], (), {}, set(), frozenset(), [[1], (2, [3])], {1: 'a', 'b': (2,), (3, 4): [5], None: 1}, {1, 'x', (2,)}, frozenset({1}), range(3, 9, 2), [1, 'a', 2.5, None, True]]:\n"
                 "    r = f(v)\n"
                 "    assert type(r) is type(v) and r == v and repr(r) == repr(v), v\n"
                 "assert math.isnan(f(float('nan')))\n"
                 "deep = []\nfor i in range(100): deep = [deep]\nassert f(deep) == deep\n"
                 "assert list(f({'z': 1, 'a': 2})) == ['z', 'a']\n", PYTHON_PASS, "");
    check_python(s, "from collections import *\nfrom enum import IntEnum\nimport fractions, decimal\nclass E(IntEnum):\n    A = 7\nP = namedtuple('P', 'x y')\ndd = defaultdict(int); dd[1] = 2\n"
                    "def f(i):\n    return [Counter('aab'), OrderedDict(a=1), dd, deque([1, 2]), P(1, 2), E.A, bytearray(b'x'), fractions.Fraction(1, 3), decimal.Decimal('1.5')][i]\n",
                 "import fractions, decimal\nassert f(0) == {'a': 2, 'b': 1} and type(f(0)) is dict\nassert f(1) == {'a': 1}\nassert f(2) == {1: 2}\nassert f(3) == [1, 2]\nassert f(4) == (1, 2)\n"
                 "assert type(f(5)) is int and f(5) == 7\nassert f(6) == b'x'\nassert f(7) == fractions.Fraction(1, 3)\nassert f(8) == decimal.Decimal('1.5')\n", PYTHON_PASS, "");
    sandbox_close(s);
}

TEST(python_objects_and_arguments)
{
    struct sandbox *s = opened();
    check_python(s, "def f(x, y=None):\n    x.sort()\n    x.append(9)\n    if y is not None: y['k'] = [1]\n", "a, b = [3, 1], {}\nassert f(a, y=b) is None\nassert a == [1, 3, 9] and b == {'k': [1]}", PYTHON_PASS, "");
    check_python(s, "def f(x):\n    x[0].append(1)\n", "inner = []\nouter = [inner]\nf(outer)\nassert inner == [1] and outer[0] is inner", PYTHON_PASS, "");
    check_python(s, "class Pair:\n    def __init__(self, a, b): self.a, self.b = a, b\ndef f(pairs): return sum(p.a for p in pairs)\n", "p = Pair(1, 2)\nassert f([p, Pair(3, 4)]) == 4\nassert p.b == 2\np.b = 5\nassert p.b == 5", PYTHON_PASS, "");
    check_python(s, "def f(n):\n    for i in range(n): yield i * i\n", "assert list(f(4)) == [0, 1, 4, 9]\nassert 9 in f(4) and 5 not in f(4)", PYTHON_PASS, "");
    check_python(s, "def f(g, x): return [g(i) for i in x]\n", "assert f(lambda n: n + 1, [1, 2]) == [2, 3]\nassert f(str, iter([1])) == ['1']", PYTHON_PASS, "");
    check_python(s, "class MyError(Exception): pass\ndef f(x): raise MyError('x')\n", "try:\n    f(1)\nexcept MyError:\n    pass\nelse:\n    assert False", PYTHON_PASS, "");
    check_python(s, "import math\ndef f(x): return x\n", "assert math.floor(f(2.5)) == 2", PYTHON_PASS, "");
    check_python(s, "class S:\n    __eq__ = lambda s, o: True\ndef f(x): return S()\n", "assert f(1) == 1", PYTHON_FAIL, "");
    sandbox_close(s);
}

TEST(python_helpers_are_trusted)
{
    struct sandbox *s = opened();
    struct python_task task = { .candidate = "def shift(s): return 'wrong'\ndef f(s): return s[::-1]\n", .helper = "def shift(s): return s[::-1]\ndef f(s): pass\n", .tests = "assert f(shift('abc')) == 'abc'", .entry = "f", .total_seconds = slow(4) };
    CHECK_INT(judged(s, &task).outcome, PYTHON_PASS);
    sandbox_close(s);
}

TEST(python_differential)
{
    struct sandbox *s = opened();
    struct python_task task = { .mode = PYTHON_DIFFERENTIAL, .candidate = "def f(x): return x / 3 * 3\n", .reference = "def f(x): return float(x)\n", .entry = "f", .base_inputs = "[[1], [2]]", .plus_inputs = "[(0.1,), [1e300]]" };
    struct python_verdict v = judged(s, &task);
    CHECK_INT(v.outcome, PYTHON_PASS);
    CHECK_INT(v.plus, PYTHON_PASS);
    CHECK_INT(v.n_base + v.n_plus, 4);
    task.candidate = "def f(x): return float(x) if x != 1e300 else 0.0\n";
    v = judged(s, &task);
    CHECK_INT(v.outcome, PYTHON_PASS);
    CHECK_INT(v.plus, PYTHON_FAIL);
    CHECK_INT(v.n_plus, 1);
    task.candidate = "import os\ndef f(x):\n    if x == 2: os._exit(0)\n    return float(x)\n";
    v = judged(s, &task);
    CHECK_INT(v.outcome, PYTHON_ERROR);
    CHECK_INT(v.plus, PYTHON_PASS);
    task = (struct python_task){ .mode = PYTHON_DIFFERENTIAL, .candidate = "def f(x): return x[::-1]\n", .reference = "def f(x): return x if len(x) < 2 else f(x[1:]) + x[:1]\n", .entry = "f", .base_inputs = "[[[1, 2, 3]], [[]]]" };
    v = judged(s, &task);
    CHECK_INT(v.outcome, PYTHON_PASS);
    CHECK_INT(v.plus, PYTHON_SKIPPED);
    task.candidate = "def f(x): return x\n";
    CHECK_INT(judged(s, &task).outcome, PYTHON_FAIL);
    task.oracle = "set";
    CHECK_INT(judged(s, &task).outcome, PYTHON_PASS);
    sandbox_close(s);
}

TEST(python_plain)
{
    struct sandbox *s = opened();
    struct python_task task = { .mode = PYTHON_PLAIN, .candidate = "def f(x): return x\n", .tests = "assert f(1) == 1", .entry = "f", .total_seconds = slow(2) };
    CHECK_INT(judged(s, &task).outcome, PYTHON_PASS);
    task.tests = "assert f(1) == 2";
    CHECK_INT(judged(s, &task).outcome, PYTHON_FAIL);
    task.candidate = "import os\nos._exit(0)";
    CHECK_INT(judged(s, &task).outcome, PYTHON_ERROR);
    task.candidate = "def f(:";
    CHECK_INT(judged(s, &task).outcome, PYTHON_SYNTAX);
    task.candidate = "while True: pass";
    CHECK_INT(judged(s, &task).outcome, PYTHON_TIMEOUT);
    sandbox_close(s);
}

/* ---- the line of a verdict -------------------------------------------------------------------------------------------------------------- */

#define NONCE "0123456789abcdef0123456789abcdef"

static bool reads(struct verdict *v, const char *line) { return verdict_read(v, line, strlen(line), NONCE); }

TEST(verdict_lines)
{
    struct verdict v;
    CHECK(reads(&v, NONCE " pass skipped 0 0 \n"));
    CHECK_INT(v.found.outcome, PYTHON_PASS);
    CHECK(reads(&v, NONCE " fail pass 3 12 what \xff it was\n"));
    CHECK_INT(v.found.n_base, 3);
    CHECK_INT(v.found.n_plus, 12);
    CHECK_STR(v.found.detail, "what \\xFF it was");
    CHECK(reads(&v, NONCE " lost again 0 0 x\n") && v.is_lost && v.is_again);
    CHECK(reads(&v, NONCE " pass lost 1 0 x\n") && !v.is_lost && v.is_plus_lost);
    const char *const bad[] = { "", "\n", "pass", NONCE, NONCE "\n", NONCE " pass\n", NONCE " pass skipped 0 0", NONCE " pass skipped 0 0 \nmore\n", NONCE " again pass 0 0 \n", NONCE " great skipped 0 0 \n",
                                NONCE " pass skipped -1 0 \n", NONCE " pass skipped 999999999 0 \n", NONCE " pass skipped 0 0\n", NONCE "  pass skipped 0 0 \n" };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        CHECK(!reads(&v, bad[i]));
        CHECK(v.found.outcome != PYTHON_PASS || bad[i][0]);
    }
    CHECK(!reads(&v, "1123456789abcdef0123456789abcdef pass skipped 0 0 \n") && v.is_forged);
    CHECK(!reads(&v, "pass skipped 0 0 \n") && v.is_forged);
}
