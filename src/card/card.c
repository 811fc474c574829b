/* card.c - the card as files: README.md with its mark, and curves in assets/. The mark is a comment at the end with the digest of all before it, so that a page
 * which somebody wrote or changed is told from one that can be written anew. */
#include "card/card.h"

#include <string.h>

#define MARK "<!-- written by starchat card, sha256 "
enum { README_MAX = 16 << 20 };

void sc_card_init(sc_card_config *c) { sc_options_defaults(&card_options, c); }

static void digest(char hex[65], const char *text, size_t len)
{
    struct sha256 s;
    sha256_begin(&s);
    sha256_add(&s, text, len);
    sha256_end(&s, hex);
}

bool sc_card_is_own(const char *text, size_t len)
{
    const size_t mark = strlen(MARK);
    char hex[65];
    const char *at = NULL;
    for (const char *p = text; (p = memmem(p, len - (size_t)(p - text), MARK, mark)) != NULL; p++) at = p;
    if (!at || len - (size_t)(at - text) < mark + 64) return false;
    digest(hex, text, (size_t)(at - text));
    const char *rest = at + mark + 64, *end = text + len;
    if (memcmp(at + mark, hex, 64) != 0 || end - rest < 4 || memcmp(rest, " -->", 4) != 0) return false;
    for (rest += 4; rest < end && (*rest == '\r' || *rest == '\n' || *rest == ' ');) rest++;
    return rest == end;
}

static void make(struct buf *out, const struct card_facts *f)
{
    struct sheet s;
    char hex[65];
    buf_init(out, 0);
    card_header(out, f);
    buf_putc(out, '\n');
    card_body(&s, f);
    buf_append(out, s.out.data, s.out.len);
    buf_release(&s.out);
    buf_putc(out, '\n');
    digest(hex, out->data, out->len);
    buf_printf(out, MARK "%s -->\n", hex);
}

sc_status sc_card_text(sc_text *out, const char *directory, const sc_card_config *c, sc_error *err)
{
    struct card_facts f;
    struct buf text;
    TRY(facts_read(&f, directory, c, err));
    make(&text, &f);
    facts_release(&f);
    buf_take(&text, out);
    return SC_OK;
}

static sc_status check_place(const char *path, bool overwrite, sc_error *err)
{
    sc_text text = { 0 };
    if (overwrite || !path_exists(path)) return SC_OK;
    TRY(file_read(&text, path, README_MAX, err));
    bool is_own = sc_card_is_own(text.data, text.len);
    sc_text_free(&text);
    return is_own ? SC_OK : FAIL(err, SC_E_ARGUMENT, "%s is there and was written or changed by somebody, so it stays as it is; --overwrite replaces it", path);
}

static sc_status write_curves(const char *directory, const struct card_facts *f, sc_error *err)
{
    char *assets = path_join(directory, "assets");
    sc_status status = SC_OK;
    for (size_t i = 0; card_plots[i].name && status == SC_OK; i++) {
        struct buf svg;
        char *path = path_join(assets, card_plots[i].name);
        buf_init(&svg, 0);
        if (svg_draw(&svg, card_plots[i].title, f->events, card_plots[i].line, card_plots[i].n)) {
            status = path_make_directories(assets, err);
            if (status == SC_OK) status = file_write(path, svg.data, svg.len, err);
        }
        buf_release(&svg);
        mem_free(path);
    }
    mem_free(assets);
    return status;
}

sc_status sc_card_write(const char *directory, const sc_card_config *c, sc_error *err)
{
    struct card_facts f;
    struct buf text;
    char *path = path_join(directory, "README.md");
    sc_status status = facts_read(&f, directory, c, err);
    if (status == SC_OK) {
        status = check_place(path, c->overwrite, err);
        if (status == SC_OK) status = write_curves(directory, &f, err);
        make(&text, &f);
        if (status == SC_OK) status = file_write(path, text.data, text.len, err);
        buf_release(&text);
        facts_release(&f);
    }
    mem_free(path);
    return status;
}
