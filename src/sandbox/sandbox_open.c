/* sandbox_open.c - what isolation needs, looked for and tried before anything is run. There is no weaker mode to fall back to. */
#include "sandbox/sandbox_internal.h"

#include <string.h>
#include <unistd.h>

extern const unsigned char sandbox_enter[];
extern const size_t sandbox_enter_bytes;

#define REMEDY "install it: apt install bubblewrap"

static const char *const enter_open_text[] = { "it is not the user 65534", "it sees processes of the host", "files of the host can be read", "the read-only system can be written to", "sockets can be made",
                                               "namespaces can be made", "file systems can be mounted", "other processes can be traced", "privileges can be gained", "system calls are not filtered" };

static sc_status find_bwrap(struct sandbox *s, const char *path, sc_error *err)
{
    static const char *const usual[] = { "/usr/bin/bwrap", "/usr/local/bin/bwrap", "/bin/bwrap" };
    for (size_t i = 0; i < sizeof usual / sizeof *usual && !s->bwrap; i++)
        if (access(usual[i], X_OK) == 0) s->bwrap = mem_strdup(usual[i]);
    if (!s->bwrap) s->bwrap = program_find(path ? path : "", "bwrap", 0);
    if (!s->bwrap) return FAIL(err, SC_E_UNSUPPORTED, "programs of models are run only in a sandbox, and bubblewrap (bwrap) is not installed; " REMEDY);
    return SC_OK;
}

static sc_status make_files(struct sandbox *s, sc_error *err)
{
    static const char accounts[] = "nobody:x:65534:65534:nobody:/tmp/job:/usr/sbin/nologin\n";
    if ((s->helper = memory_file(sandbox_enter, sandbox_enter_bytes, "the helper", err)) < 0) return SC_E_IO;
    if ((s->accounts = memory_file(accounts, sizeof accounts - 1, "/etc/passwd", err)) < 0) return SC_E_IO;
    if ((s->calls = memory_file("", 0, "the filter of system calls", err)) < 0) return SC_E_IO;
    return sandbox_calls(s->calls, err);
}

static sc_status refuse(const struct sandbox *s, const struct sandbox_result *r, sc_error *err)
{
    const char *said = r->message;
    if (strstr(said, "Unknown option")) return FAIL(err, SC_E_UNSUPPORTED, "%s is too old to isolate programs (%s); version 0.8.0 or later is needed: apt install bubblewrap", s->bwrap, said);
    return FAIL(err, SC_E_UNSUPPORTED, "programs of models are run only in a sandbox, and none can be made here: %s; user namespaces have to be allowed "
                "(sysctl kernel.unprivileged_userns_clone=1 or kernel.apparmor_restrict_unprivileged_userns=0; in a container: its seccomp profile)", said[0] ? said : "it took too long");
}

/* A sandbox in which the helper tries what has to fail. */
static sc_status prove(struct sandbox *s, int *landlock, sc_error *err)
{
    static const char *const argv[] = { "/usr/bin/true", NULL };
    const struct sandbox_job job = { .argv = argv };
    struct sandbox_result result;
    struct run run, *const runs[] = { &run };
    sc_status status = SC_OK;
    TRY(run_begin(&run, s, &job, &result, true, err));
    while (!run.is_over) runs_poll(runs, 1, -1, clock_seconds() + 1);
    run_end(&run);
    if (result.outcome != SANDBOX_EXITED) status = refuse(s, &result, err);
    for (size_t i = 0; status == SC_OK && i < sizeof enter_open_text / sizeof *enter_open_text; i++)
        if (run.probed & 1 << i) status = FAIL(err, SC_E_UNSUPPORTED, "the sandbox of this machine is not tight: %s; nothing is run in it. Please report this with the versions of %s and the kernel", enter_open_text[i], s->bwrap);
    *landlock = (run.probed & ENTER_HAS_LANDLOCK) != 0;
    sandbox_result_release(&result);
    return status;
}

static sc_status check_host(sc_error *err)
{
    struct tree_use use;
    if (!tree_use(&use, getpid()))
        return FAIL(err, SC_E_UNSUPPORTED, "the memory of programs in a sandbox cannot be watched: /proc does not list children of processes (mount /proc; the kernel needs CONFIG_PROC_CHILDREN)");
    return SC_OK;
}

sc_status sandbox_open(struct sandbox **out, const struct sandbox_config *config, sc_error *err)
{
    struct sandbox *s = mem_zero(1, sizeof *s);
    sc_status status = SC_OK;
    int landlock = 0;
    s->host = s->calls = s->helper = s->accounts = s->candidate = s->checker = s->plain = -1;
    s->is_root = geteuid() == 0;
    TRY_DONE(find_bwrap(s, config->path, err));
    TRY_DONE(check_host(err));
    TRY_DONE(make_files(s, err));
    tools_find(s, config);
    if (s->has_libraries && !sandbox_tool(s, "python3")) TRY_DONE(FAIL(err, SC_E_ARGUMENT, "%s is no Python that runs here; name an interpreter of Python 3.8 or later, such as bin/python3 of a virtual environment", config->python));
    host_open(s);
    TRY_DONE(prove(s, &landlock, err));
    if (sandbox_tool(s, "python3")) TRY_DONE(python_open(s, err));
    snprintf(s->describe, sizeof s->describe, "%s, %s, %s, Python: %s", s->bwrap, s->is_root ? "as an ordinary user" : geteuid() ? "as this user" : "as root of this container", landlock ? "with Landlock" : "without Landlock (this kernel has none)", sandbox_tool(s, "python3") ? sandbox_tool(s, "python3") : "none");
done:
    if (status != SC_OK) sandbox_close(s);
    else *out = s;
    return status;
}

void sandbox_close(struct sandbox *s)
{
    if (!s) return;
    const int fds[] = { s->host, s->calls, s->helper, s->accounts, s->candidate, s->checker, s->plain };
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        if (fds[i] >= 0) close(fds[i]);
    tools_release(s);
    mem_free(s->bwrap);
    mem_free(s);
}

const char *sandbox_describe(const struct sandbox *s) { return s->describe; }

sc_status sc_sandbox_check(sc_text *out, sc_error *err)
{
    struct sandbox *s = NULL;
    struct buf text = { 0 };
    TRY(sandbox_open(&s, &(struct sandbox_config){ 0 }, err));
    buf_puts(&text, sandbox_describe(s));
    sandbox_close(s);
    buf_take(&text, out);
    return SC_OK;
}
