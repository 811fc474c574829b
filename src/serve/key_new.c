/* key_new.c - making a key: the file gets its digest alone, so that who reads the file can ask nothing. */
#include <errno.h>
#include <fcntl.h>
#include <openssl/crypto.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "serve/server.h"

enum { KEY_BYTES = 24, NAME_BYTES = 47 };
static const char KEY_PREFIX[] = "sc-";        /* tells people and scanners of secrets what it is */

static sc_status check_name(const char *name, sc_error *err)
{
    size_t n = strlen(name);
    bool is_plain = n == 0 || (name[0] != ' ' && name[n - 1] != ' ' && utf8_is_valid(name, n));
    for (size_t i = 0; i < n; i++) is_plain &= (unsigned char)name[i] >= 32 && name[i] != 127;
    if (is_plain && n <= NAME_BYTES) return SC_OK;
    return FAIL(err, SC_E_ARGUMENT, "the name of a key has %zu bytes or holds characters that cannot be printed, expected at most %d bytes of text without spaces around it", n, NAME_BYTES);
}

/* Behind the last line, also where that has no end. Two that append do it one after the other. */
static sc_status append_line(const char *path, const char *line, sc_error *err)
{
    struct stat is;
    char last = '\n';
    int fd = open(path, O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0600);
    if (fd < 0) return FAIL(err, SC_E_IO, "cannot open %s: %s", path, strerror(errno));
    sc_status status = SC_OK;
    bool ok = flock(fd, LOCK_EX) == 0 && fstat(fd, &is) == 0;
    if (ok && !S_ISREG(is.st_mode)) status = FAIL(err, SC_E_IO, "%s is not a regular file", path);
    else if (ok && (is.st_mode & 077)) status = FAIL(err, SC_E_IO, "others than its owner may read or write %s, which holds keys; try: chmod 600 %s", path, path);
    if (ok && status == SC_OK) {
        struct buf b;
        buf_init(&b, 0);
        ok = is.st_size == 0 || pread(fd, &last, 1, is.st_size - 1) == 1;
        buf_printf(&b, "%s%s\n", last == '\n' ? "" : "\n", line);
        ok = ok && write(fd, b.data, b.len) == (ssize_t)b.len && fsync(fd) == 0;
        buf_release(&b);
    }
    if (status == SC_OK && !ok) status = FAIL(err, SC_E_IO, "cannot write %s: %s", path, strerror(errno));
    if (close(fd) != 0 && status == SC_OK) status = FAIL(err, SC_E_IO, "cannot write %s: %s", path, strerror(errno));
    return status;
}

sc_status sc_key_new(sc_text *key, const char *path, const char *name, sc_error *err)
{
    uint8_t random[KEY_BYTES];
    char hex[65], line[160];
    struct sha256 hash;
    struct buf b;
    *key = (sc_text){ 0 };
    if (!name) name = "";
    TRY(check_name(name, err));
    system_random(random, sizeof random);
    buf_init(&b, 0);
    buf_puts(&b, KEY_PREFIX);
    for (size_t i = 0; i < sizeof random; i++) buf_printf(&b, "%02x", random[i]);
    OPENSSL_cleanse(random, sizeof random);
    sha256_begin(&hash);
    sha256_add(&hash, b.data, b.len);
    sha256_end(&hash, hex);
    snprintf(line, sizeof line, "sha256:%s%s%s", hex, *name ? " " : "", name);
    sc_status status = append_line(path, line, err);
    if (status == SC_OK) buf_take(&b, key);
    buf_release(&b);
    return status;
}
