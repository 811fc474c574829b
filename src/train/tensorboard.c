/* tensorboard.c - event files as TensorBoard reads them: TFRecord framing with masked CRC-32C (TensorFlow's record_writer)
 * around Event messages of event.proto and summary.proto, written by hand: version, scalars, session start. */
#include "train/train_internal.h"

#include <errno.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct tensorboard { FILE *file; char *path; };

static uint32_t crc32c(const void *data, size_t len)
{
    const uint8_t *p = data;
    uint32_t crc = ~0u;
    for (size_t i = 0; i < len; i++) {
        crc ^= p[i];
        for (int b = 0; b < 8; b++) crc = crc >> 1 ^ (crc & 1 ? 0x82F63B78u : 0);      /* Castagnoli, reflected */
    }
    return ~crc;
}

static uint32_t masked(uint32_t crc) { return (crc >> 15 | crc << 17) + 0xa282ead8u; }

/* ---- protocol buffers ---------------------------------------------------------------------------------------------------- */

enum { WIRE_VARINT = 0, WIRE_64 = 1, WIRE_BYTES = 2, WIRE_32 = 5 };

static void put_varint(struct buf *b, uint64_t v)
{
    for (; v >= 0x80; v >>= 7) buf_putc(b, (char)(v | 0x80));
    buf_putc(b, (char)v);
}
static void put_key(struct buf *b, int field, int wire) { put_varint(b, (uint64_t)(field << 3 | wire)); }

static void put_bytes(struct buf *b, int field, const void *data, size_t len)
{
    put_key(b, field, WIRE_BYTES);
    put_varint(b, len);
    buf_append(b, data, len);
}

/* Event: 1 wall_time, 2 step. */
static void begin_event(struct buf *b, int64_t step)
{
    struct timespec now;
    clock_gettime(CLOCK_REALTIME, &now);
    double seconds = (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
    buf_init(b, 0);
    put_key(b, 1, WIRE_64);
    buf_append(b, &seconds, sizeof seconds);
    if (step > 0) {
        put_key(b, 2, WIRE_VARINT);
        put_varint(b, (uint64_t)step);
    }
}

static sc_status write_event(struct tensorboard *t, struct buf *event, sc_error *err)
{
    uint64_t len = event->len;
    uint32_t head = masked(crc32c(&len, sizeof len)), body = masked(crc32c(event->data, event->len));
    bool ok = fwrite(&len, sizeof len, 1, t->file) == 1 && fwrite(&head, sizeof head, 1, t->file) == 1 && fwrite(event->data, event->len, 1, t->file) == 1 && fwrite(&body, sizeof body, 1, t->file) == 1;
    buf_release(event);
    return ok ? SC_OK : FAIL(err, SC_E_IO, "cannot write %s: %s", t->path, strerror(errno));
}

/* ---- the file --------------------------------------------------------------------------------------------------------------- */

static char *file_name(const char *directory)
{
    char host[64] = "host";
    struct buf b;
    gethostname(host, sizeof host - 1);
    buf_init(&b, 0);
    buf_printf(&b, "%s/events.out.tfevents.%010lld.%s.%ld.0", directory, (long long)time(NULL), host, (long)getpid());
    return b.data;
}

sc_status tensorboard_open(struct tensorboard **out, const char *directory, int64_t from_step, sc_error *err)
{
    static const char version[] = "brain.Event:2", started[] = { 1 << 3 | WIRE_VARINT, 1 };     /* SessionLog: 1 status = START */
    struct buf event;
    *out = NULL;
    TRY(path_make_directories(directory, err));
    struct tensorboard *t = mem_zero(1, sizeof *t);
    t->path = file_name(directory);
    t->file = fopen(t->path, "wb");
    sc_status status = t->file ? SC_OK : FAIL(err, SC_E_IO, "cannot create %s: %s", t->path, strerror(errno));
    begin_event(&event, 0);
    put_bytes(&event, 3, version, sizeof version - 1);
    if (status == SC_OK) status = write_event(t, &event, err); else buf_release(&event);
    if (status == SC_OK && from_step > 0) {          /* what an earlier file says of later steps does not count */
        begin_event(&event, from_step + 1);
        put_bytes(&event, 7, started, sizeof started);
        status = write_event(t, &event, err);
    }
    if (status != SC_OK) { tensorboard_close(t); return status; }
    *out = t;
    return SC_OK;
}

sc_status tensorboard_scalar(struct tensorboard *t, const char *tag, double value, int64_t step, sc_error *err)
{
    struct buf event, summary, item;
    float simple = (float)value;
    buf_init(&item, 0);
    buf_init(&summary, 0);
    put_bytes(&item, 1, tag, strlen(tag));
    put_key(&item, 2, WIRE_32);
    buf_append(&item, &simple, sizeof simple);
    put_bytes(&summary, 1, item.data, item.len);
    begin_event(&event, step);
    put_bytes(&event, 5, summary.data, summary.len);
    buf_release(&item);
    buf_release(&summary);
    return write_event(t, &event, err);
}

sc_status tensorboard_flush(struct tensorboard *t, sc_error *err)
{
    return fflush(t->file) == 0 ? SC_OK : FAIL(err, SC_E_IO, "cannot write %s: %s", t->path, strerror(errno));
}

void tensorboard_close(struct tensorboard *t)
{
    if (!t) return;
    if (t->file) fclose(t->file);
    mem_free(t->path);
    mem_free(t);
}
