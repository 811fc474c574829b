#include "train/train_internal.h"
#include <string.h>
sc_status trainable_write(const struct trainable *t, const char *path, sc_error *err)
{
    struct buf b; buf_init(&b, 0);
    for (size_t i = 0; i < t->n; i++) { size_t n = t->parameter[i].rows*t->parameter[i].cols*4; buf_append(&b, t->parameter[i].value, n); buf_append(&b, t->parameter[i].m, n); buf_append(&b, t->parameter[i].v, n);}
    sc_status s = file_write(path, b.data, b.len, err); buf_release(&b); return s;
}
sc_status trainable_read(struct trainable *t, const char *path, sc_error *err)
{
    struct mapped_file f; TRY(file_map(&f, path, err)); const uint8_t *at=f.data;
    for (size_t i = 0; i < t->n; i++) { size_t n = t->parameter[i].rows*t->parameter[i].cols*4; memcpy(t->parameter[i].value,at,n);at+=n; memcpy(t->parameter[i].m,at,n);at+=n; memcpy(t->parameter[i].v,at,n);at+=n;}
    file_unmap(&f); return SC_OK;
}
