/* reading.c - times the way of files to dialogues on one core, and shows what is read.
 * Usage: bench_reading [--records|--dialogues] [--SWITCH...] [FILE...]
 * --records prints every record, --dialogues every dialogue, one JSON object a line; what is refused comes as {"error"}.
 * Switches are those of trees (--best-only, --lang en ...). Otherwise the files are read and timed: read only, and
 * with parsing and conversion; memory is the peak of the process. Without files: dialogues made up here, as JSONL, as
 * one array, packed. Speed is in MB of the text before packing. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "data/data.h"

enum { RUNS = 3, MADE_BYTES = 64 << 20 };
struct totals { uint64_t records, dialogues, refused, bytes; };
enum output { PRINT_NOTHING, PRINT_RECORDS, PRINT_DIALOGUES };
struct settings { enum output print; bool convert; struct tree_config tree; };

static void fail(const sc_error *e)
{
    fprintf(stderr, "bench_reading: %s\n", e->message);
    exit(1);
}

static void print_json(json_t *value)
{
    json_dumpf(value, stdout, JSON_COMPACT | JSON_ENCODE_ANY);
    putchar('\n');
    json_decref(value);
}

static void refuse(const struct settings *s, struct totals *t, const sc_error *e)
{
    t->refused++;
    if (s->print) print_json(json_pack("{s:s}", "error", e->message));
}

static void print_dialogue(const struct dialogue *d, const char *format)
{
    print_json(json_pack("{s:I, s:I, s:s, s:O*, s:O*, s:O*, s:s*, s:s*, s:s*, s:s*, s:s*}", "line", (json_int_t)d->line, "index", (json_int_t)d->index, "format", format, "messages", d->messages, "rejected",
                         d->rejected, "tools", d->tools, "text", d->text, "id", d->id, "lang", d->lang, "licence", d->licence, "group", d->group));
}

static void take(const struct settings *s, struct totals *t, const struct record *r)
{
    struct dialogue_list list = { 0 };
    const char *format = NULL;
    sc_error e = { 0 };
    t->records++;
    t->bytes += r->len + 1;
    if (s->print == PRINT_RECORDS) printf("{\"line\":%llu,\"record\":%s}\n", (unsigned long long)r->line, r->text);
    if (!s->convert) return;
    if (dialogues_from_record(&list, r, &s->tree, &format, &e) != SC_OK) refuse(s, t, &e);
    t->dialogues += list.len;
    for (size_t i = 0; i < list.len && s->print == PRINT_DIALOGUES; i++) print_dialogue(&list.dialogue[i], format);
    dialogue_list_release(&list);
}

static struct totals read_all(const struct settings *s, const char *const *files, size_t n)
{
    const struct reader_config config = { files, n, 42 };
    struct totals t = { 0 };
    struct reader *reader;
    sc_error e = { 0 };
    if (reader_open(&reader, &config, &e) != SC_OK) fail(&e);
    for (bool more = true; more;) {
        struct record record;
        sc_status status = reader_next(reader, &record, &more, &e);
        if (status != SC_OK && status != SC_E_FORMAT) fail(&e);
        if (status != SC_OK) { more = true; refuse(s, &t, &e); continue; }
        if (more) take(s, &t, &record);
        record_release(&record);
    }
    reader_close(reader);
    return t;
}

/* ---- timing ------------------------------------------------------------------------------------------------------------------ */

static double best_seconds(const struct settings *s, struct totals *t, const char *const *files, size_t n)
{
    double best = 1e9;
    for (int run = 0; run < RUNS; run++) {
        double begin = clock_seconds();
        *t = read_all(s, files, n);
        double seconds = clock_seconds() - begin;
        if (seconds < best) best = seconds;
    }
    return best;
}

static void measure(const char *name, const char *const *files, size_t n)
{
    struct totals t;
    double reading = best_seconds(&(struct settings){ 0 }, &t, files, n), all = best_seconds(&(struct settings){ .convert = true }, &t, files, n);
    printf("{\"reading\": \"%s\", \"records\": %llu, \"dialogues\": %llu, \"refused\": %llu, \"megabytes\": %.1f, \"read_mb_per_s\": %.0f, \"read_and_convert_mb_per_s\": %.0f, \"peak_memory_mb\": %.0f}\n", name,
           (unsigned long long)t.records, (unsigned long long)t.dialogues, (unsigned long long)t.refused, (double)t.bytes / 1e6, (double)t.bytes / 1e6 / reading, (double)t.bytes / 1e6 / all,
           (double)system_peak_memory() / 1e6);
}

/* ---- what is read without files ---------------------------------------------------------------------------------------------- */

static void put_made(FILE *f, bool is_array)
{
    static const char *const words[] = { "function", "returns", "the", "list", "of\\n", "values", "\\\"name\\\"", "for", "each", "caf\xC3\xA9", "index", "{", "}", "while", "print(x)", "and" };
    size_t bytes = 0;
    fputs(is_array ? "[\n" : "", f);
    for (uint64_t i = 0; bytes < MADE_BYTES; i++) {
        int n = fprintf(f, "%s{\"id\": \"%llu\", \"messages\": [", i && is_array ? ",\n" : "", (unsigned long long)i);
        for (uint64_t turn = 0; turn < 4; turn++) {
            n += fprintf(f, "%s{\"role\": \"%s\", \"content\": \"", turn ? ", " : "", turn % 2 ? "assistant" : "user");
            for (uint64_t w = 0, count = 10 + random_u32(1, i, turn) % 60; w < count; w++) n += fprintf(f, "%s ", words[random_u32(2, i, turn << 8 | w) % 16]);
            n += fprintf(f, "\"}");
        }
        n += fprintf(f, is_array ? "]}" : "]}\n");
        bytes += (size_t)n;
    }
    fputs(is_array ? "\n]\n" : "", f);
}

static void measure_made(void)
{
    static const char *const names[] = { "made.jsonl", "made.json" }, *const packers[] = { "", "gzip -kf", "zstd -qkf" }, *const endings[] = { "", ".gz", ".zst" };
    char directory[] = "/tmp/bench-reading-XXXXXX", path[80], command[200];
    if (!mkdtemp(directory)) exit(1);
    for (int i = 0; i < 2; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        FILE *f = fopen(path, "w");
        if (!f) exit(1);
        put_made(f, i);
        fclose(f);
        for (int k = 0; k < 3; k++) {
            char packed[100];
            snprintf(command, sizeof command, "%s %s", packers[k], path);
            if (k && system(command) != 0) continue;
            snprintf(packed, sizeof packed, "%s%s", path, endings[k]);
            measure(strrchr(packed, '/') + 1, (const char *const[]){ packed }, 1);
        }
    }
    snprintf(command, sizeof command, "rm -r %s", directory);
    if (system(command) != 0) exit(1);
}

/* ---- arguments ------------------------------------------------------------------------------------------------------------------ */

static bool take_switch(struct settings *s, const char *name, const char *value)
{
    const struct { const char *name; bool *to; } switches[] = {
        { "--best-only", &s->tree.best_only }, { "--drop-user-end", &s->tree.drop_user_end }, { "--reviewed-only", &s->tree.reviewed_only }, { "--keep-deleted", &s->tree.keep_deleted },
        { "--keep-synthetic", &s->tree.keep_synthetic }, { "--all-states", &s->tree.all_states },
    };
    for (size_t i = 0; i < sizeof switches / sizeof *switches; i++)
        if (strcmp(switches[i].name, name) == 0) { *switches[i].to = true; return false; }
    if (strcmp(name, "--records") == 0) s->print = PRINT_RECORDS;
    else if (strcmp(name, "--dialogues") == 0) { s->print = PRINT_DIALOGUES; s->convert = true; }
    else if (strcmp(name, "--lang") == 0 && value) { s->tree.lang = value; return true; }
    else if (strcmp(name, "--min-turns") == 0 && value) { s->tree.min_turns = strtol(value, NULL, 10); return true; }
    else { fprintf(stderr, "bench_reading: unknown switch %s\n", name); exit(2); }
    return false;
}

int main(int argc, char **argv)
{
    struct settings s = { 0 };
    int at = 1;
    for (; at < argc && argv[at][0] == '-'; at++) at += take_switch(&s, argv[at], at + 1 < argc ? argv[at + 1] : NULL);
    const char *const *files = (const char *const *)argv + at;
    if (at == argc) measure_made();
    else if (s.print) read_all(&s, files, (size_t)(argc - at));
    else measure(argc - at == 1 ? files[0] : "files", files, (size_t)(argc - at));
    return 0;
}
