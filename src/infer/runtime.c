/* runtime.c - threads, kernels and the event sink: opened once, the root of models and sessions. */
#include "infer/infer.h"

#include <stdio.h>
#include <string.h>

sc_status sc_runtime_open(sc_runtime **out, const sc_runtime_config *c, sc_error *err)
{
    *out = NULL;
    sc_runtime *rt = mem_zero(1, sizeof *rt);
    sc_status status = SC_OK;
    rt->backend = backends[0];
    rt->activations = c->activations && *c->activations ? c->activations : "auto";
    rt->memory_limit = c->memory_limit;
    rt->user = c->user;
    TRY_DONE(comm_open(&rt->comm, c->mpi && *c->mpi ? c->mpi : "none", err));
    rt->on_event = rt->comm.rank ? NULL : c->on_event;             /* rank 0 tells what happens */
    int cores = system_cores() / rt->comm.host_size;               /* ranks of one machine share its cores */
    status = rt->backend->kernels(&rt->kernels, c->kernels && *c->kernels ? c->kernels : "auto", err);
    if (status == SC_OK) status = pool_open(&rt->pool, c->threads > 0 ? (int)(c->threads > 1024 ? 1025 : c->threads) : cores > 0 ? cores : 1, err);
    TRY_DONE(comm_all_ok(&rt->comm, status, err));               /* ranks that wait for one that is gone would wait for ever */
    *out = rt;
    return SC_OK;
done:
    sc_runtime_close(rt);
    return status;
}

void sc_runtime_close(sc_runtime *rt)
{
    if (!rt) return;
    pool_close(rt->pool);
    comm_close(&rt->comm);
    mem_free(rt);
}

void sc_cancel(sc_runtime *rt) { rt->cancel = 1; }

void sc_cancel_reset(sc_runtime *rt) { rt->cancel = 0; }

static void send_text(const sc_runtime *rt, const char *event, const char *format, va_list args)
{
    if (!rt->on_event) return;
    char text[512];
    vsnprintf(text, sizeof text, format, args);
    struct buf b;
    buf_init(&b, 0);
    buf_printf(&b, "{\"event\":\"%s\",\"text\":", event);
    buf_put_json_string(&b, text, strlen(text));
    buf_putc(&b, '}');
    rt->on_event(rt->user, b.data);
    buf_release(&b);
}

void runtime_note(const sc_runtime *rt, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send_text(rt, "note", format, args);
    va_end(args);
}

void runtime_detail(const sc_runtime *rt, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    send_text(rt, "detail", format, args);
    va_end(args);
}

sc_status sc_runtime_describe(sc_text *out, const sc_runtime *rt)
{
    const struct cpu_features *f = system_cpu();
    const struct { const char *name; bool has; } features[] = {
        { "avx2", f->avx2 }, { "fma", f->fma }, { "f16c", f->f16c }, { "avx512f", f->avx512f }, { "avx512bw", f->avx512bw },
        { "avx512vl", f->avx512vl }, { "avx512_vnni", f->avx512_vnni }, { "avx512_bf16", f->avx512_bf16 },
        { "avx_vnni", f->avx_vnni }, { "amx_int8", f->amx_int8 }, { "amx_bf16", f->amx_bf16 },
    };
    json_t *names = json_array();
    for (size_t i = 0; i < sizeof features / sizeof *features; i++)
        if (features[i].has) json_array_append_new(names, json_string(features[i].name));
    json_t *o = json_pack("{s:s, s:s, s:i, s:i, s:s, s:s, s:o, s:I}", "version", SC_VERSION, "backend", rt->backend->name,
                          "threads", pool_threads(rt->pool), "cores", system_cores(), "kernels", rt->backend->kernels_name(rt->kernels),
                          "cpu", f->model[0] ? f->model : "unknown", "features", names, "memory", (json_int_t)system_memory());
    json_object_set_new(o, "activations", json_string(rt->activations));
    json_object_set_new(o, "peak_memory", json_integer((json_int_t)system_peak_memory()));
    sc_status status = json_write(out, o, false);
    json_decref(o);
    return status;
}

sc_status sc_runtime_measure(sc_text *out, sc_runtime *rt, sc_error *err)
{
    if (!rt->backend->measure) return FAIL(err, SC_E_UNSUPPORTED, "the backend %s cannot measure its limits", rt->backend->name);
    struct machine_limits limits;
    rt->backend->measure(&limits, rt->pool);
    json_t *o = json_pack("{s:f, s:f, s:f, s:i}", "read_gb_per_second", limits.read_bytes / 1e9, "f32_gflops", limits.f32_ops / 1e9,
                          "int8_gops", limits.int8_ops / 1e9, "threads", pool_threads(rt->pool));
    sc_status status = json_write(out, o, false);
    json_decref(o);
    return status;
}

void sc_mpi_modules(char out[32]) { comm_modules(out); }

void sc_runtime_ranks(const sc_runtime *rt, int *rank, int *size)
{
    *rank = rt->comm.rank;
    *size = rt->comm.size;
}

bool sc_runtime_failed_together(const sc_runtime *rt) { return rt->comm.failed_together; }

void sc_runtime_abandon(sc_runtime *rt)
{
    if (rt->comm.size > 1 && !rt->comm.failed_together) comm_abort(&rt->comm);
}
