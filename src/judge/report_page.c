/* report_page.c - the page: a frame, the data, and the page's own style and script, which are embedded at build time. Its policy names style and script by their digests, so that nothing else runs,
 * whatever an answer holds; and the data is JSON in an element that is no script. */
#include "report.h"

#include "data/dataset.h"

#include <string.h>

struct eval_task_file { const char *name; const unsigned char *text; unsigned long bytes; };      /* of tools/embed_tasks.sh */
extern const struct eval_task_file judge_report_files[];

/* In this order. */
static const char *const scripts[] = { "/base.js", "/summary.js", "/browse.js" };

static void put_file(struct buf *out, const char *name)
{
    for (const struct eval_task_file *f = judge_report_files; f->name; f++)
        if (path_ends_with(f->name, name)) buf_append(out, f->text, f->bytes);
}

/* 'sha256-...' of a text, as policies name it. */
static void put_digest(struct buf *out, const struct buf *text)
{
    static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    struct sha256 s;
    char hex[65];
    unsigned char byte[33] = { 0 };
    sha256_begin(&s);
    sha256_add(&s, text->data, text->len);
    sha256_end(&s, hex);
    for (size_t i = 0; i < 64; i++) byte[i / 2] = (unsigned char)(byte[i / 2] << 4 | (hex[i] <= '9' ? hex[i] - '0' : hex[i] - 'a' + 10));
    buf_puts(out, "'sha256-");
    for (size_t i = 0; i < 33; i += 3) {                       /* 32 bytes and one of padding */
        uint32_t x = (uint32_t)byte[i] << 16 | (uint32_t)byte[i + 1] << 8 | byte[i + 2];
        for (int k = 18; k >= 0; k -= 6) buf_putc(out, i == 30 && k == 0 ? '=' : digits[x >> k & 63]);
    }
    buf_putc(out, '\'');
}

static void put_names(struct buf *out, const json_t *list)
{
    const json_t *one;
    size_t i;
    json_array_foreach(list, i, one) {
        const json_t *name = json_is_object(one) ? json_object_get(one, "judge") : one;
        buf_puts(out, i ? i + 1 == json_array_size(list) ? " and " : ", " : "");
        html_put(out, json_string_value(name), json_string_length(name));
    }
}

static void put_body(struct buf *out, const json_t *data)
{
    const char *title = json_string_value(json_object_get(data, "title"));
    buf_puts(out, "<body>\n<header><h1>Judged: ");
    html_puts(out, title);
    buf_puts(out, "</h1><p class=\"soft\">");
    put_names(out, json_object_get(data, "models"));
    buf_puts(out, " on ");
    html_put_count(out, json_array_size(json_object_get(data, "prompts")));
    buf_puts(out, " prompts, judged by ");
    put_names(out, json_object_get(data, "judges"));
    buf_puts(out, " in ");
    html_put_count(out, json_array_size(json_object_get(data, "judgements")));
    buf_puts(out, " judgements. Made by starchat " SC_VERSION ".</p></header>\n<main><noscript>This page draws itself by a script of its own; `starchat judge report DIR --out summary.md` makes a summary without one.</noscript></main>\n");
}

void report_page(struct buf *out, const struct report *r)
{
    struct buf style, script;
    json_t *data = report_data(r);
    buf_init(&style, 0);
    buf_init(&script, 0);
    put_file(&style, "/page.css");
    for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) put_file(&script, scripts[i]);
    buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';base-uri 'none';form-action 'none';style-src ");
    put_digest(out, &style);
    buf_puts(out, ";script-src ");
    put_digest(out, &script);
    buf_puts(out, "\">\n<meta name=\"referrer\" content=\"no-referrer\">\n<title>Judged: ");
    html_puts(out, json_string_value(json_object_get(data, "title")));
    buf_puts(out, "</title>\n<style>");
    buf_append(out, style.data, style.len);
    buf_puts(out, "</style></head>\n");
    put_body(out, data);
    buf_puts(out, "<script type=\"application/json\" id=\"data\">");
    report_put_json(out, data);
    buf_puts(out, "</script>\n<script>");
    buf_append(out, script.data, script.len);
    buf_puts(out, "</script>\n</body></html>\n");
    buf_release(&style);
    buf_release(&script);
    json_decref(data);
}
