/* gguf_seal.c - the digest of a GGUF file inside of it: SHA-256 of the whole file in which the 64 digits themselves are zeros. */
#include "format/format_internal.h"

enum { PIECE = 8 << 20 };

static void add_piecewise(struct sha256 *s, const uint8_t *data, size_t bytes)
{
    for (size_t at = 0, n; at < bytes; at += n) {
        n = bytes - at < PIECE ? bytes - at : PIECE;
        sha256_add(s, data + at, n);
        file_forget(data + at, n);
    }
}

sc_status gguf_seal_check(char said[65], char found[65], const char *path, sc_error *err)
{
    struct model_file *m = NULL;
    struct gguf_string seal;
    struct sha256 s;
    static const char zeros[GGUF_SEAL_DIGITS + 1] = "0000000000000000000000000000000000000000000000000000000000000000";
    said[0] = found[0] = 0;
    TRY(model_file_open(&m, path, true, err));
    sc_status status = gguf_opt_string(&seal, m, GGUF_SEAL_KEY, err);
    if (status == SC_OK && seal.text && seal.len != GGUF_SEAL_DIGITS) status = FAIL(err, SC_E_FORMAT, "%s: " GGUF_SEAL_KEY " has %zu characters, expected %d", path, seal.len, GGUF_SEAL_DIGITS);
    if (status == SC_OK && seal.text) {
        const struct mapped_file *f = &m->private->files[0];
        size_t at = (size_t)((const uint8_t *)seal.text - f->data);
        memcpy(said, seal.text, GGUF_SEAL_DIGITS);
        said[GGUF_SEAL_DIGITS] = 0;
        sha256_begin(&s);
        sha256_add(&s, f->data, at);
        sha256_add(&s, zeros, GGUF_SEAL_DIGITS);
        add_piecewise(&s, f->data + at + GGUF_SEAL_DIGITS, f->size - at - GGUF_SEAL_DIGITS);
        sha256_end(&s, found);
    }
    model_file_close(m);
    return status;
}
