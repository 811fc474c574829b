/* token_file.c - tokens as huggingface_hub keeps them on disk: the file `token` holds the one in use and nothing else,
 * `stored_tokens` beside it names several, one section of an INI file each. Both are for the owner alone.
 * Source: huggingface_hub utils/_auth; Python configparser (what it writes, and the comments it skips). */
#include "hub/hub.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

static bool is_blank(char c) { return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\f' || c == '\v'; }

/* Cuts white space off both ends of [*begin, *end). */
static void trim(const char **begin, const char **end)
{
    while (*begin < *end && is_blank(**begin)) ++*begin;
    while (*begin < *end && is_blank((*end)[-1])) --*end;
}

char *token_clean(const char *text, size_t len)
{
    struct buf b;
    buf_init(&b, 0);
    for (size_t i = 0; i < len; i++)
        if (text[i] != '\r' && text[i] != '\n') buf_putc(&b, text[i] ? text[i] : '\x01');   /* a NUL is no end but no token either */
    if (b.len == 0) return NULL;
    const char *begin = b.data, *end = b.data + b.len;
    trim(&begin, &end);
    char *token = begin < end ? mem_strndup(begin, (size_t)(end - begin)) : NULL;
    buf_release(&b);
    return token;
}

bool token_is_valid(const char *token)
{
    size_t n = strlen(token);
    for (size_t i = 0; i < n; i++)
        if (token[i] <= ' ' || token[i] >= 127) return false;
    return n > 0 && n <= TOKEN_MAX;
}

/* One line "key = value" or "key: value" of a section. */
static void read_line(struct stored_token *out, const char *begin, const char *end)
{
    const char *mark = begin;
    while (mark < end && *mark != '=' && *mark != ':') mark++;
    if (mark == end || *begin == '#' || *begin == ';') return;
    const char *key_end = mark, *value = mark + 1;
    trim(&begin, &key_end);
    trim(&value, &end);
    if (key_end - begin != 8 || strncasecmp(begin, "hf_token", 8) != 0) return;
    out->token = value;
    out->token_len = (size_t)(end - value);
}

/* A line that begins a section: the brackets stand first, the name goes to the last closing one. */
static bool is_header(struct stored_token *out, const char *begin, const char *end)
{
    if (begin == end || *begin != '[') return false;
    const char *close = memrchr(begin, ']', (size_t)(end - begin));
    if (!close || close == begin + 1) return false;
    out->name = begin + 1;
    out->name_len = (size_t)(close - begin - 1);
    return true;
}

bool stored_token_next(struct stored_token *out, const char *text, size_t len, size_t *at)
{
    bool is_in = false;
    struct stored_token next;
    *out = (struct stored_token){ .token = "" };
    while (*at < len) {
        const char *begin = text + *at, *newline = memchr(begin, '\n', len - *at), *end = newline ? newline : text + len;
        if (is_header(&next, begin, end)) {
            if (is_in) return true;                     /* of the next section: stays for the next call */
            out->begin = begin;
            out->name = next.name;
            out->name_len = next.name_len;
            is_in = true;
        } else if (is_in && begin < end && !is_blank(*begin)) read_line(out, begin, end);
        *at = (size_t)(end - text) + (newline != NULL);
        out->end = text + *at;
    }
    return is_in;
}

/* The directory of the file; one that is made is for the owner alone. */
static sc_status make_private_directory(const char *path, sc_error *err)
{
    const char *slash = strrchr(path, '/');
    if (!slash || slash == path) return SC_OK;
    char *directory = mem_strndup(path, (size_t)(slash - path));
    sc_status status = SC_OK;
    if (!path_is_directory(directory)) {
        status = path_make_directories(directory, err);
        if (status == SC_OK) (void)chmod(directory, 0700);
    }
    mem_free(directory);
    return status;
}

static sc_status put_all(int fd, const char *data, size_t len)
{
    for (size_t done = 0; done < len;) {
        ssize_t n = write(fd, data + done, len - done);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return SC_E_IO;
        done += (size_t)n;
    }
    return fsync(fd) == 0 ? SC_OK : SC_E_IO;
}

sc_status secret_write(const char *path, const char *data, size_t len, sc_error *err)
{
    struct buf temporary;
    uint64_t random;
    TRY(make_private_directory(path, err));
    system_random(&random, sizeof random);
    buf_init(&temporary, 0);
    buf_printf(&temporary, "%s.%016llx", path, (unsigned long long)random);
    int fd = open(temporary.data, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
    sc_status status = fd < 0 ? FAIL(err, SC_E_IO, "cannot create %s: %s", path, strerror(errno)) : SC_OK;
    if (status == SC_OK && (fchmod(fd, 0600) != 0 || put_all(fd, data, len) != SC_OK)) status = FAIL(err, SC_E_IO, "cannot write %s: %s", path, strerror(errno));
    if (fd >= 0) close(fd);
    if (status == SC_OK && rename(temporary.data, path) != 0) status = FAIL(err, SC_E_IO, "cannot replace %s: %s", path, strerror(errno));
    if (status != SC_OK && fd >= 0) (void)unlink(temporary.data);
    buf_release(&temporary);
    return status;
}
