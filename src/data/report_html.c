/* report_html.c - a prepared directory as a page for a browser: samples with every token visible, or the statistics. One
 * file without scripts and without requests; text of the data set can neither act as markup nor turn the direction of
 * what stands around it (Unicode UAX #9). */
#include "data/dataset.h"

#include <string.h>

enum { PAGE_SAMPLES_MAX = 1000 };

/* ---- text -------------------------------------------------------------------------------------------------------------- */

static bool is_invisible(uint32_t c)
{
    return (c < 0x20 && c != '\n' && c != '\t') || (c >= 0x7F && c < 0xA0) || c == 0x61C || c == 0x200E || c == 0x200F || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF ||
           (c >= 0xE0000 && c <= 0xE007F);
}

void visible_put(struct buf *out, const char *text, size_t len, const char *(*escape)(uint32_t c))
{
    for (size_t i = 0; i < len;) {
        uint32_t c;
        int n = utf8_next(text + i, len - i, &c);
        const char *instead = n > 0 && escape ? escape(c) : NULL;
        if (n < 0) buf_put_utf8(out, 0xFFFD);
        else if (instead) buf_puts(out, instead);
        else if (is_invisible(c)) buf_printf(out, "[U+%04X]", (unsigned)c);
        else buf_append(out, text + i, (size_t)n);
        i += (size_t)(n < 0 ? -n : n);
    }
}

static const char *html_escape(uint32_t c)
{
    switch (c) {
    case '<': return "&lt;";
    case '>': return "&gt;";
    case '&': return "&amp;";
    case '"': return "&quot;";
    case '\'': return "&#39;";
    default: return NULL;
    }
}

void html_put(struct buf *out, const char *text, size_t len) { visible_put(out, text, len, html_escape); }

void html_puts(struct buf *out, const char *text) { html_put(out, text, strlen(text)); }

void html_put_count(struct buf *out, uint64_t n)
{
    char text[40];
    size_t at = sizeof text;
    text[--at] = 0;
    for (int k = 0; n || k == 0; n /= 10, k++) {
        if (k && k % 3 == 0) text[--at] = ',';
        text[--at] = (char)('0' + n % 10);
    }
    buf_puts(out, text + at);
}

/* ---- the page ------------------------------------------------------------------------------------------------------------- */

static const char STYLE[] =
    ":root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--soft:#57606a;--line:#d8dee4;--card:#f6f8fa;--trained:#1a7f4b;--trained-bg:#c5ecd3;--rest:#b6c0ca;"
    "--system:#9a6700;--user:#0969da;--assistant:#8250df;--tool:#bf3989;--text:#57606a;--template:#57606a;--padding:#8c959f}"
    "@media(prefers-color-scheme:dark){:root{--bg:#0f1419;--fg:#e2e8ef;--soft:#97a3b0;--line:#2b333d;--card:#171d25;--trained:#4ac483;--trained-bg:#16432b;--rest:#46515e;"
    "--system:#e0b13d;--user:#5aa9ff;--assistant:#bb96ff;--tool:#f084bb;--text:#97a3b0;--template:#97a3b0;--padding:#6a7683}}"
    "*{box-sizing:border-box}body{margin:0 auto;padding:2rem 1.5rem 4rem;max-width:62rem;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,sans-serif}"
    "h1{font-size:1.5rem;margin:0}h2{font-size:1.05rem;margin:2.2rem 0 .6rem}p{margin:.3rem 0}.sub,small{color:var(--soft);font-weight:400}"
    ".cards{display:grid;grid-template-columns:repeat(auto-fill,minmax(9.5rem,1fr));gap:.7rem;margin:1.4rem 0}.card{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.7rem .9rem}"
    ".card b{display:block;font-size:1.35rem;font-weight:600;font-variant-numeric:tabular-nums}.card span{color:var(--soft);font-size:.85rem}"
    "table{border-collapse:collapse;width:100%;font-size:.88rem;font-variant-numeric:tabular-nums}th,td{text-align:left;padding:.25rem .7rem .25rem 0;border-bottom:1px solid var(--line);vertical-align:top}"
    "th{color:var(--soft);font-weight:500}.n{text-align:right;white-space:nowrap}td.long{overflow-wrap:anywhere}svg{display:block;width:100%;height:auto}svg text{fill:var(--fg);font:13px system-ui,sans-serif}"
    "svg .soft{fill:var(--soft)}svg .rest{fill:var(--rest)}svg .trained{fill:var(--trained)}svg .plain{fill:var(--user)}.narrow{max-width:26rem}.sub+svg{margin-top:.6rem}svg .axis{stroke:var(--line)}.key{display:inline-block;width:.8em;height:.8em;border-radius:2px;margin:0 .35em 0 0;vertical-align:-.05em}"
    ".legend{color:var(--soft);font-size:.88rem}.legend span{margin-right:1.1em;white-space:nowrap}.turn{border-left:3px solid;padding:.15rem 0 .15rem .8rem;margin:.35rem 0}"
    ".turn>i{font:600 .75rem system-ui,sans-serif;display:block}.tokens{color:var(--fg);white-space:pre-wrap;overflow-wrap:anywhere;font:13px/1.75 ui-monospace,monospace;unicode-bidi:isolate}"
    ".tokens span{border-radius:3px;box-shadow:inset 0 0 0 1px var(--line);padding:1px 0}.tokens .on{background:var(--trained-bg);box-shadow:inset 0 -2px 0 var(--trained)}.tokens u{text-decoration:none;color:var(--soft);opacity:.75}"
    "td .on{background:var(--trained-bg)}td code{font:12px ui-monospace,monospace;white-space:pre-wrap;unicode-bidi:isolate}h3{font-size:.95rem;font-weight:600;margin:1.6rem 0 .3rem}img{display:block;max-width:min(100%,38rem);height:auto;background:#fff;border:1px solid var(--line);border-radius:6px;margin:.5rem 0}details{margin:.5rem 0 0}summary{cursor:pointer;color:var(--soft);font-size:.88rem}"
    ".system{color:var(--system)}.user{color:var(--user)}.assistant{color:var(--assistant)}.tool{color:var(--tool)}.text{color:var(--text)}.template{color:var(--template)}.padding{color:var(--padding)}"
    "@media(max-width:34rem){body{padding:1.2rem .9rem}table{display:block;overflow-x:auto}}";

void page_begin(struct buf *out, const char *title)
{
    buf_puts(out, "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width,initial-scale=1\">\n"
                  "<meta http-equiv=\"Content-Security-Policy\" content=\"default-src 'none';style-src 'unsafe-inline';img-src data:\">\n<title>");
    html_puts(out, title);
    buf_puts(out, "</title>\n<style>");
    buf_puts(out, STYLE);
    buf_puts(out, "</style></head>\n<body>\n");
}

void page_end(struct buf *out) { buf_puts(out, "</body></html>\n"); }

static const char *base_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash && slash[1] ? slash + 1 : path;
}

static void put_head(struct buf *out, const struct sc_dataset *d)
{
    static const char *const parts[] = { "template", "tokenizer" };
    buf_puts(out, "<h1>");
    html_puts(out, base_name(d->path));
    buf_puts(out, "</h1>\n<p class=\"sub\">");
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
        const char *name = json_string_value(json_object_get(json_object_get(d->manifest, parts[i]), "name"));
        buf_printf(out, "%s%s ", i ? ", " : "", parts[i]);
        html_puts(out, name ? name : "unknown");
    }
    buf_puts(out, "</p>\n");
}

/* ---- samples ------------------------------------------------------------------------------------------------------------------ */

/* Pieces with white space marked; the newline itself stays. */
static void put_piece(struct buf *out, const char *text, size_t len)
{
    for (size_t i = 0, n; i < len; i += n) {
        for (n = 0; i + n < len && text[i + n] != '\n' && text[i + n] != '\t'; n++) ;
        html_put(out, text + i, n);
        if (i + n == len) break;
        buf_puts(out, text[i + n] == '\n' ? "<u>\u21b5</u>\n" : "<u>\u21e5</u>\t");
        n++;
    }
}

/* Two passes over a sample: as text, then as a table. */
struct sample_page { struct buf *out, rows; size_t n, trained; bool is_open; enum token_who who; };

static void put_row(struct sample_page *s, const struct token_view *t)
{
    buf_printf(&s->rows, "<tr><td class=\"n\">%zu</td><td class=\"n\">%d</td><td><code%s>", s->n, t->id, t->is_trained ? " class=\"on\"" : "");
    if (t->len) put_piece(&s->rows, t->piece, t->len);
    else buf_puts(&s->rows, "<u>part of a character</u>");
    buf_printf(&s->rows, "</code></td><td class=\"%s\">%s</td><td>%s</td><td>", who_names[t->who], who_names[t->who], t->is_trained ? "yes" : "");
    html_puts(&s->rows, why_help[t->why]);
    buf_puts(&s->rows, "</td></tr>\n");
}

static void put_token(void *user, const struct token_view *t)
{
    struct sample_page *s = user;
    if (!s->is_open || t->who != s->who) {
        buf_puts(s->out, s->is_open ? "</div></div>\n" : "");
        buf_printf(s->out, "<div class=\"turn %s\"><i>%s</i><div class=\"tokens\">", who_names[t->who], who_names[t->who]);
    }
    s->is_open = true;
    s->who = t->who;
    buf_printf(s->out, "<span%s title=\"%d, %strained: ", t->is_trained ? " class=\"on\"" : "", t->id, t->is_trained ? "" : "not ");
    html_puts(s->out, why_help[t->why]);
    buf_puts(s->out, "\">");
    put_piece(s->out, t->piece, t->len);
    buf_puts(s->out, "</span>");
    put_row(s, t);
    s->n++;
    s->trained += t->is_trained;
}

static sc_status put_sample(struct buf *out, const struct sc_dataset *d, const char *split, uint64_t i, sc_error *err)
{
    struct sample_place p;
    struct buf text;
    struct sample_page s = { .out = &text };
    sc_status status = SC_OK;
    buf_init(&text, 0);
    buf_init(&s.rows, 0);
    TRY_DONE(dataset_find(&p, d, split, i, err));
    TRY_DONE(dataset_tokens(d, &p, put_token, &s, err));
    const struct shard_segment *g = &d->shard[p.shard].segment[p.segment];
    buf_printf(out, "<section><h2>sample %llu of ", (unsigned long long)i);
    html_puts(out, d->split[p.shard]);
    buf_printf(out, " <small>row %llu &middot; ", (unsigned long long)p.row);
    html_puts(out, dataset_file(d, g->file));
    buf_printf(out, ", line %llu &middot; %zu tokens, %zu trained (%.1f %%)</small></h2>\n", (unsigned long long)g->line, s.n, s.trained, 100 * (double)s.trained / (double)s.n);
    buf_append(out, text.data, text.len);
    buf_puts(out, "</div></div>\n<details><summary>every token</summary><table>\n<tr><th class=\"n\">#</th><th class=\"n\">id</th><th>text</th><th>role</th><th>trained</th><th>why</th></tr>\n");
    buf_append(out, s.rows.data, s.rows.len);
    buf_puts(out, "</table></details></section>\n");
done:
    buf_release(&text);
    buf_release(&s.rows);
    return status;
}

static sc_status put_samples(struct buf *out, const struct sc_dataset *d, const char *split, uint64_t from, uint64_t n, sc_error *err)
{
    if (n > PAGE_SAMPLES_MAX) return FAIL(err, SC_E_ARGUMENT, "a page of %llu samples is too much for a browser; choose at most %d", (unsigned long long)n, PAGE_SAMPLES_MAX);
    buf_puts(out, "<p class=\"tokens\"><span class=\"on\">trained</span> <span>seen, not trained</span></p>\n");
    for (uint64_t i = 0; i < n; i++) TRY(put_sample(out, d, split, from + i, err));
    return SC_OK;
}

static sc_status put_stats(struct buf *out, const struct sc_dataset *d, sc_error *err)
{
    json_t *stats;
    TRY(dataset_count(&stats, d, err));
    report_stats(out, d, stats);
    json_decref(stats);
    return SC_OK;
}

sc_status sc_dataset_html(sc_text *html, const sc_dataset *d, const char *split, uint64_t from, uint64_t n, sc_error *err)
{
    struct buf out;
    *html = (sc_text){ 0 };
    buf_init(&out, 0);
    page_begin(&out, base_name(d->path));
    put_head(&out, d);
    sc_status status = n ? put_samples(&out, d, split, from, n, err) : put_stats(&out, d, err);
    page_end(&out);
    if (status == SC_OK) buf_take(&out, html);
    else buf_release(&out);
    return status;
}
