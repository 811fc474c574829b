/* fuzz_lineage.c - any bytes as the record of a lineage. What is accepted makes a card of valid text, whose header is YAML; sealed, it is intact. */
#include "card/card.h"

#include <stdlib.h>
#include <string.h>

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
        if (!utf8_is_valid(sheet.out.data, sheet.out.len) || strstr(sheet.out.data, "<script")) abort();
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
