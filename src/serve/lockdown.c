/* lockdown.c - what of a running server stays open: see base/lockdown.h for the means. */
#include <openssl/crypto.h>
#include <string.h>
#include <sys/resource.h>

#include "base/lockdown.h"
#include "serve/server.h"

enum { FILES_BESIDE = 64, PATHS_MAX = 64, TALK_FILES = 4, OWN_PATHS = TALK_FILES + 4 };     /* the loop's, the cache's, the log's */

void server_raise_files(struct sc_server *s)
{
    struct rlimit limit;
    rlim_t wants = (rlim_t)s->c.connections + FILES_BESIDE;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0 || limit.rlim_cur >= wants) return;
    limit.rlim_cur = limit.rlim_max < wants ? limit.rlim_max : wants;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    if (limit.rlim_cur < wants)
        server_log(s, "warn", "files", ",\"limit\":%llu,\"wanted\":%llu,\"text\":\"the system allows fewer files than --connections; raise LimitNOFILE or ulimit -n\"", (unsigned long long)limit.rlim_cur, (unsigned long long)wants);
}

/* The directory of a socket at "unix:PATH", NULL for others; mem_free it. */
static char *socket_directory(const char *host)
{
    if (strncmp(host, "unix:", 5) != 0) return NULL;
    const char *slash = strrchr(host + 5, '/');
    return slash ? mem_strndup(host + 5, slash == host + 5 ? 1 : (size_t)(slash - host - 5)) : mem_strdup(".");
}

/* Files of the conversations, if they are kept. Models may lie in the same directory, so it is these alone, as far as they are there. */
static size_t add_talks(struct lockdown_path *to, char **path, const struct sc_server *s)
{
    static const char *const names[] = { "conversations.db", "conversations.db-wal", "conversations.db-shm", "conversations.lock" };
    size_t n = 0;
    if (!s->talks || !s->c.keep_talks || !s->c.talks_home || !*s->c.talks_home) return 0;
    for (size_t i = 0; i < TALK_FILES; i++) {
        path[n] = path_join(s->c.talks_home, names[i]);
        if (path_exists(path[n])) to[n] = (struct lockdown_path){ path[n], LOCKDOWN_WRITE }, n++;
        else mem_free(path[n]);
    }
    return n;
}

static void log_state(struct sc_server *s, const struct lockdown_state *is)
{
    char members[80];
    snprintf(members, sizeof members, "\"landlock\":%d,\"seccomp\":%s,", is->landlock, is->seccomp ? "true" : "false");
    server_log_text(s, is->missing[0] ? "warn" : "info", "lockdown", members, "missing", is->missing, strlen(is->missing));
}

sc_status sc_server_lock_down(sc_server *s, const char *const *paths, size_t n, sc_error *err)
{
    struct lockdown_path all[PATHS_MAX];
    struct lockdown_state is;
    size_t k = 0, n_talks;
    char *talks[TALK_FILES], *socket = socket_directory(s->c.host);
    const char *cache = s->prompt_cache ? prompt_cache_directory(s->prompt_cache) : NULL;
    if (n > PATHS_MAX - OWN_PATHS) { mem_free(socket); return FAIL(err, SC_E_ARGUMENT, "%zu paths are to stay open, expected at most %d", n, PATHS_MAX - OWN_PATHS); }
    for (size_t i = 0; i < n; i++) all[k++] = (struct lockdown_path){ paths[i], LOCKDOWN_WRITE };
    k += n_talks = add_talks(all + k, talks, s);
    if (cache) all[k++] = (struct lockdown_path){ cache, LOCKDOWN_WRITE };
    if (socket) all[k++] = (struct lockdown_path){ socket, LOCKDOWN_REMOVE };
    if (s->c.api_key_file && *s->c.api_key_file) all[k++] = (struct lockdown_path){ s->c.api_key_file, LOCKDOWN_READ };
    if (path_exists("/dev/urandom")) all[k++] = (struct lockdown_path){ "/dev/urandom", LOCKDOWN_READ };      /* SQLite's random numbers */
    (void)OPENSSL_init_crypto(OPENSSL_INIT_LOAD_CONFIG, NULL);     /* reads openssl.cnf while it can be read */
    sc_status status = process_lock_down(&is, LOCKDOWN_ALL, all, k, err);
    if (status == SC_OK) log_state(s, &is);
    for (size_t i = 0; i < n_talks; i++) mem_free(talks[i]);
    mem_free(socket);
    return status;
}
