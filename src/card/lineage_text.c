/* lineage_text.c - a lineage for people: a line for each link, deeper ones further in. */
#include "card/card.h"

#include <math.h>
#include <string.h>

enum { NAME_WIDTH = 44, SHOWN_DIGITS = 12, INDENT_MAX = 40 };

static void put_facts(struct buf *out, const json_t *link)
{
    static const char *const texts[] = { "source", "revision", "licence", "type", "program" };
    const json_t *counts = json_object_get(link, "counts");
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++)
        if (*text_member(link, texts[i])) buf_printf(out, ", %s %s", texts[i], text_member(link, texts[i]));
    static const char *const numbers[] = { "seed", "steps", "records" };
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
        if (json_object_get(link, numbers[i])) buf_printf(out, ", %s %.0f", numbers[i], real_member(link, numbers[i]));
    if (counts) buf_printf(out, ", %.0f dialogues, %.0f tokens, %.0f trained", real_member(counts, "dialogues"), real_member(counts, "tokens"), real_member(counts, "trained"));
}

static void put_link(struct buf *out, const json_t *link)
{
    const char *state = text_member(link, "state"), *what = text_member(link, "what"), *hex = text_member(link, "sha256"), *found = text_member(link, "found");
    int indent = (int)fmin(fmax(2 * real_member(link, "depth"), 0), INDENT_MAX);
    bool is_changed = strcmp(state, "changed") == 0, is_step = strcmp(what, "record") == 0;
    size_t begin = out->len;
    buf_printf(out, "%*s", indent, "");
    if (is_step && *text_member(link, "step")) buf_printf(out, "made by %s", text_member(link, "step"));
    else buf_printf(out, "%s %s", what, text_member(link, "name"));
    size_t width = utf8_count(out->data + begin, out->len - begin);
    buf_printf(out, "%*s  %-8s", width < NAME_WIDTH ? (int)(NAME_WIDTH - width) : 0, "", strcmp(state, "absent") == 0 ? "not here" : state);
    if (*hex) buf_printf(out, "  %.*s", SHOWN_DIGITS, hex);
    if (is_changed && *found) buf_printf(out, ", found %.*s", SHOWN_DIGITS, found);
    put_facts(out, link);
    if (*text_member(link, "why")) buf_printf(out, ": %s", text_member(link, "why"));
    buf_putc(out, '\n');
}

sc_status sc_lineage_text(sc_text *out, const char *json, size_t len, sc_error *err)
{
    json_t *all = NULL;
    const json_t *link;
    struct buf b;
    size_t i;
    TRY(json_read(&all, json, len, "the lineage", err));
    buf_init(&b, 0);
    buf_printf(&b, "%s\n", text_member(all, "model"));
    json_array_foreach(json_object_get(all, "links"), i, link) put_link(&b, link);
    bool is_verified = real_member(all, "recorded") == 0;
    if (is_verified) buf_printf(&b, "%.0f verified, %.0f changed, %.0f not here, %.0f without a recorded digest\n", real_member(all, "verified"), real_member(all, "changed"), real_member(all, "absent"), real_member(all, "unknown"));
    else buf_printf(&b, "%.0f parts recorded, %.0f changed; --verify reads what is at hand and compares\n", real_member(all, "recorded"), real_member(all, "changed"));
    json_decref(all);
    buf_take(&b, out);
    return SC_OK;
}
