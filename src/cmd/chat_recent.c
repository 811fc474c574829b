/* chat_recent.c - conversations are kept without asking, each in a file of its own, so that a new one never takes the
 * place of an old one: what /load lists and --continue goes on with. */
#include "cmd/chat.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define RECENT_DIRECTORY "conversations"
#define RECENT_SUFFIX ".json"

struct entry { char *path; struct timespec when; };

static int is_older(const void *a, const void *b)
{
    const struct entry *x = a, *y = b;
    if (x->when.tv_sec != y->when.tv_sec) return x->when.tv_sec < y->when.tv_sec ? 1 : -1;
    if (x->when.tv_nsec != y->when.tv_nsec) return x->when.tv_nsec < y->when.tv_nsec ? 1 : -1;
    return strcmp(y->path, x->path);
}

static bool has_suffix(const char *name)
{
    size_t n = strlen(name), k = strlen(RECENT_SUFFIX);
    return *name != '.' && n > k && strcmp(name + n - k, RECENT_SUFFIX) == 0;
}

static size_t read_entries(struct entry **out, const char *directory)
{
    DIR *d = opendir(directory);
    struct dirent *e;
    size_t n = 0, cap = 0;
    *out = NULL;
    while (d && (e = readdir(d))) {
        struct stat st;
        if (!has_suffix(e->d_name)) continue;
        if (n == cap) {
            cap = cap * 2 + 16;
            *out = realloc(*out, cap * sizeof **out);
            if (!*out) abort();
        }
        char *path = path_in(directory, e->d_name);
        if (stat(path, &st) == 0 && S_ISREG(st.st_mode)) (*out)[n++] = (struct entry){ path, st.st_mtim };
        else free(path);
    }
    if (d) closedir(d);
    return n;
}

size_t recent_list(char ***path, const char *home)
{
    struct entry *entry = NULL;
    char *directory = home ? path_in(home, RECENT_DIRECTORY) : NULL;
    size_t n = directory ? read_entries(&entry, directory) : 0;
    free(directory);
    if (n) qsort(entry, n, sizeof *entry, is_older);
    *path = malloc((n + 1) * sizeof **path);
    if (!*path) abort();
    for (size_t i = 0; i < n; i++) (*path)[i] = entry[i].path;
    free(entry);
    return n;
}

void recent_free(char **path, size_t n)
{
    for (size_t i = 0; i < n; i++) free(path[i]);
    free(path);
}

char *recent_newest(const char *home)
{
    char **path, *newest = NULL;
    size_t n = recent_list(&path, home);
    if (n) {
        newest = path[0];
        path[0] = NULL;
    }
    recent_free(path, n);
    return newest;
}

/* Makes room for one more. */
static void forget_oldest(const char *home)
{
    char **path;
    size_t n = recent_list(&path, home);
    for (size_t i = RECENT_KEPT - 1; i < n; i++) unlink(path[i]);
    recent_free(path, n);
}

/* Of the time, for people; the process makes it the only one. */
char *recent_name(const char *home)
{
    char name[64], stamp[32];
    time_t now = time(NULL);
    struct tm t;
    char *directory = path_in(home, RECENT_DIRECTORY), *path = NULL;
    if (directory_make(directory)) {
        forget_oldest(home);
        strftime(stamp, sizeof stamp, "%Y-%m-%d-%H%M%S", localtime_r(&now, &t));
        for (int i = 0; !path; i++) {
            snprintf(name, sizeof name, "%s-%ld-%d" RECENT_SUFFIX, stamp, (long)getpid(), i);
            path = path_in(directory, name);
            if (access(path, F_OK) != 0) break;
            free(path);
            path = NULL;
        }
    }
    int reason = errno;
    free(directory);
    errno = reason;
    return path;
}

/* ---- the list ---------------------------------------------------------------------------------------------------------------- */

/* The first line of the first message of the user, at most `max` bytes, whole characters. */
static void print_title(struct string *out, const struct conversation *talk, size_t max)
{
    size_t i = 0, n, whole;
    while (i < talk->n && strcmp(talk->message[i].role, "user") != 0) i++;
    const char *text = i < talk->n ? talk->message[i].content : "";
    whole = strcspn(text, "\n");
    n = whole > max ? max : whole;
    while (n < whole && n && ((unsigned char)text[n] & 0xc0) == 0x80) n--;
    string_add(out, text, n);
    if (text[n]) string_puts(out, "...");
}

static void show_one(const struct chat *c, size_t number, const char *path)
{
    struct saved s;
    struct stat st;
    struct tm t;
    char when[32] = "";
    if (stat(path, &st) == 0) strftime(when, sizeof when, "%Y-%m-%d %H:%M", localtime_r(&st.st_mtime, &t));
    if (chat_read(&s, c, path) != ARGS_GO) return;
    struct string line = { 0 };
    string_printf(&line, "%3zu  %s  %3zu message%s  ", number, when, s.talk.n, s.talk.n == 1 ? " " : "s");
    print_title(&line, &s.talk, 60);
    chat_dim(c, "%s", line.data);
    string_release(&line);
    saved_release(&s);
}

void recent_show(const struct chat *c)
{
    char **path;
    size_t n = recent_list(&path, c->home);
    for (size_t i = 0; i < n && i < RECENT_SHOWN; i++) show_one(c, i + 1, path[i]);
    if (n) chat_dim(c, "/load N goes on with one of these, /load FILE with a file of /save");
    else chat_dim(c, "no conversation is kept yet; /load FILE reads one written by /save");
    recent_free(path, n);
}
