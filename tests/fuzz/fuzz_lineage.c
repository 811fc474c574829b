/* fuzz_lineage.c - any bytes as the record of a lineage. What is accepted makes a card of valid text, whose header is YAML; sealed, it is intact. */
#include "card/card.h"

#include <stdlib.h>
#include <string.h>

/* Whether a line outside of fences holds a tag that is not ours. */
static bool acts(const char *page)
{
    size_t fence = 0;
    for (const char *line = page, *end; *line; line = *end ? end + 1 : end) {
        size_t ticks = strspn(line, "`");
        end = strchrnul(line, '\n');
        if (!fence && ticks >= 3) fence = ticks;
        else if (fence && ticks == fence && line + ticks == end) fence = 0;
        else
            for (const char *tag = line; !fence && (tag = memchr(tag, '<', (size_t)(end - tag))) != NULL; tag++)
                if (strncmp(tag, "<details><summary>", 18) != 0 && strncmp(tag, "<summary>", 9) != 0 && strncmp(tag, "</summary>", 10) != 0 && strncmp(tag, "</details>", 10) != 0) return true;
    }
    return fence != 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    sc_card_config config;
    sc_error err = { 0 };
    struct card_facts f = { .c = &config, .directory = "fuzz", .form = CARD_ADAPTER, .title = (char *)"fuzz" };
    struct sheet sheet;
    struct buf header;
    json_t *yaml = NULL;
    char *text = mem_strndup((const char *)data, size);
    (void)sc_card_is_own(text, size);
    mem_free(lineage_licence_of(text, size));
    sc_status status = lineage_parse(&f.record, text, size, "fuzz", &err);
    if (status != SC_OK && !err.message[0]) abort();
    if (status == SC_OK) {
        sc_card_init(&config);
        facts_find_base(&f);
        f.events = json_array();
        buf_init(&header, 0);
        card_header(&header, &f);
        if (header.len < 8 || yaml_read(&yaml, NULL, header.data + 4, header.len - 8, "fuzz", &err) != SC_OK) abort();
        card_body(&sheet, &f);
        if (!utf8_is_valid(sheet.out.data, sheet.out.len) || acts(sheet.out.data)) abort();
        lineage_seal(f.record);
        if (!lineage_is_intact(f.record)) abort();
        buf_release(&header);
        buf_release(&sheet.out);
        json_decref(yaml);
        f.title = NULL;
        facts_release(&f);
    }
    json_decref(f.record);
    mem_free(text);
    return 0;
}
