/* card_training.c - how it was trained: machine, time, energy, curves, and the whole recipe. */
#include "card/card.h"

#include <string.h>

/* What a busy core of a processor takes, socket and all its parts shared out: from servers with many cores to desktops with few. An assumption, and named as one. */
static const double WATTS_LOW = 4, WATTS_HIGH = 16;
/* Of the metered time: less than this left over is opening and closing, and not told. */
static const double LEFT_SHARE = 0.02;

static void time_put(char *out, size_t bytes, double seconds)
{
    if (seconds < 120) snprintf(out, bytes, "%.1f s", seconds);
    else if (seconds < 7200) snprintf(out, bytes, "%.1f min", seconds / 60);
    else snprintf(out, bytes, "%.1f h", seconds / 3600);
}

/* One unit for both ends of a span; low NULL: one value. */
static void energy_put(char *out, size_t bytes, const double *low, double high)
{
    double scale = high < 3600 ? 1 : high < 3.6e6 ? 3600 : 3.6e6;
    const char *unit = high < 3600 ? "J" : high < 3.6e6 ? "Wh" : "kWh";
    if (low) snprintf(out, bytes, "%.3g to %.3g %s", *low / scale, high / scale, unit);
    else snprintf(out, bytes, "%.3g %s", high / scale, unit);
}

static void memory_put(char *out, size_t bytes, double n)
{
    if (n < 1e9) snprintf(out, bytes, "%.0f MB", 1e-6 * n);
    else snprintf(out, bytes, "%.1f GB", 1e-9 * n);
}

static void row(struct sheet *s, const char *key, const char *value)
{
    sheet_cell(s, false, key, strlen(key));
    sheet_cell(s, false, value, strlen(value));
    sheet_row_end(s);
}

/* The counters' own words, and how much of the time they were followed for. */
static void put_metered(struct sheet *s, const json_t *cost, double ranks)
{
    const json_t *energy = json_object_get(cost, "energy");
    double metered = real_member(energy, "seconds"), left = real_member(cost, "wall_seconds") - metered;
    char text[600], amount[80], span[40], rest[160] = "", rest_span[40];
    energy_put(amount, sizeof amount, NULL, real_member(energy, "joules"));
    time_put(span, sizeof span, metered);
    time_put(rest_span, sizeof rest_span, left);
    if (left > LEFT_SHARE * metered) snprintf(rest, sizeof rest, "; not metered, so not in it: %s, in which the counters were read too seldom to be followed", rest_span);
    snprintf(text, sizeof text, "%s in %s, measured: %.150s%s%s. Losses of the power supply, disks and cooling are not in it, other programs of the machine are.", amount, span, text_member(energy, "method"),
             ranks > 1 ? "; of the first machine alone" : "", rest);
    row(s, "energy", text);
}

static void put_energy(struct sheet *s, const json_t *cost, double ranks)
{
    double processor = real_member(cost, "processor_seconds") * ranks, low = processor * WATTS_LOW;
    char text[600], amount[80], times[80] = "";
    if (json_object_get(cost, "energy")) { put_metered(s, cost, ranks); return; }
    energy_put(amount, sizeof amount, &low, processor * WATTS_HIGH);
    if (ranks > 1) snprintf(times, sizeof times, ", which is that of the first process, times %.0f processes", ranks);
    snprintf(text, sizeof text, "%s, an estimate: no energy counter of the processor could be read, or not often enough to be followed. It is the processor time above%s, at %.0f to %.0f W for a busy core, an assumption that "
                                "covers large servers and desktops; memory, losses of the power supply and cooling are not in it.", amount, times, WATTS_LOW, WATTS_HIGH);
    row(s, "energy", text);
}

static void put_cost(struct sheet *s, const json_t *training, const json_t *machine, const json_t *cost)
{
    char text[300], a[40], b[40];
    double ranks = real_member(machine, "ranks") > 0 ? real_member(machine, "ranks") : 1;
    snprintf(text, sizeof text, "%.80s, %.0f cores, %.0f threads used, kernels %.20s; no GPU", text_member(machine, "processor"), real_member(machine, "cores"), real_member(machine, "threads"), text_member(machine, "kernels"));
    row(s, "hardware", text);
    snprintf(text, sizeof text, "%.0f%s", ranks, ranks > 1 ? " processes that worked together; figures here are of the first one" : " process");
    row(s, "ranks", text);
    memory_put(a, sizeof a, real_member(machine, "peak_memory_bytes"));
    memory_put(b, sizeof b, real_member(machine, "memory_bytes"));
    snprintf(text, sizeof text, "%s at most, of %s", a, b);
    row(s, "memory", text);
    time_put(a, sizeof a, real_member(cost, "wall_seconds"));
    time_put(b, sizeof b, real_member(cost, "step_seconds"));
    snprintf(text, sizeof text, "%s, of which steps %s; ended %.30s", a, b, text_member(training, "ended"));
    row(s, "time", text);
    time_put(a, sizeof a, real_member(cost, "processor_seconds"));
    row(s, "processor time", a);
    put_energy(s, cost, ranks);
}

static void put_machine(struct sheet *s, const json_t *training)
{
    static const char *const columns[] = { "", "" };
    const json_t *machine = json_object_get(training, "machine"), *cost = json_object_get(training, "cost");
    char text[120];
    sheet_table(s, columns, 2);
    if (machine || cost) put_cost(s, training, machine, cost);
    else row(s, "machine, time, energy", "not in the record of a GGUF file; lineage.json of the run has them");
    snprintf(text, sizeof text, "starchat %.40s, seed %.0f", text_member(training, "program"), real_member(training, "seed"));
    row(s, "program", text);
    sheet_table_end(s);
}

static void put_held_out(struct sheet *s, const struct card_facts *f)
{
    static const char *const columns[] = { "after step", ">loss on held-out dialogues", ">95 % interval", ">perplexity", ">dialogues" };
    const struct held_out h = held_out_of(f);
    const json_t *const at[] = { h.first, h.kept == h.first ? NULL : h.kept };
    if (!h.first) return;
    sheet_table(s, columns, 5);
    for (size_t i = 0; i < 2; i++) {
        if (!at[i]) continue;
        sheet_cellf(s, false, at[i] == h.kept ? "%.0f, whose weights these are" : "%.0f", real_member(at[i], "step"));
        sheet_cellf(s, true, "%.4f", real_member(at[i], "loss"));
        sheet_cellf(s, true, "%.4f to %.4f", real_member(at[i], "low"), real_member(at[i], "high"));
        sheet_cellf(s, true, "%.2f", real_member(at[i], "perplexity"));
        sheet_cellf(s, true, "%.0f", real_member(at[i], "dialogues"));
        sheet_row_end(s);
    }
    sheet_table_end(s);
}

/* Runs whose result went into this one, by its base or adapter. */
static void put_earlier(struct sheet *s, const json_t *trainings)
{
    static const char *const columns[] = { "trained for", "kind", "on", "ended" };
    const json_t *one, *origin, *source;
    size_t i, k, j;
    if (json_array_size(trainings) < 2) return;
    sheet_part(s, "Earlier training that is in these weights");
    sheet_table(s, columns, 4);
    json_array_foreach(trainings, i, one) {
        struct buf length, data;
        if (i == 0) continue;
        buf_init(&length, 0);
        buf_init(&data, 0);
        training_put_length(&length, one);
        json_array_foreach(json_object_get(one, "inputs"), k, origin)
            if (strcmp(text_member(origin, "role"), "data") == 0)
                json_array_foreach(json_object_get(json_object_get(origin, "dataset"), "sources"), j, source) buf_printf(&data, "%s%s", data.len ? ", " : "", text_member(source, "name"));
        if (!data.len) buf_puts(&data, "not recorded");
        sheet_cell(s, false, length.data, length.len);
        sheet_cell(s, false, training_kind(one), strlen(training_kind(one)));
        sheet_cell(s, false, data.data, data.len);
        sheet_cellf(s, false, "%.30s", *text_member(one, "ended") ? text_member(one, "ended") : "not recorded");
        sheet_row_end(s);
        buf_release(&length);
        buf_release(&data);
    }
    sheet_table_end(s);
}

static void put_curves(struct sheet *s, const json_t *events)
{
    for (size_t i = 0; card_plots[i].name; i++) {
        struct buf unused;
        buf_init(&unused, 0);
        if (svg_draw(&unused, card_plots[i].title, events, card_plots[i].line, card_plots[i].n)) buf_printf(&s->out, "\n![%s](assets/%s)\n", card_plots[i].title, card_plots[i].name);
        buf_release(&unused);
    }
}

void card_training(struct sheet *s, const struct card_facts *f)
{
    const json_t *recipe = json_object_get(f->training, "recipe");
    struct buf yaml;
    if (!f->training) return;
    sheet_heading(s, "Training");
    put_machine(s, f->training);
    put_held_out(s, f);
    put_curves(s, f->events);
    buf_init(&yaml, 0);
    yaml_put_object(&yaml, recipe);
    buf_puts(&s->out, "\n<details><summary>The whole recipe</summary>\n");
    markdown_put_fence(&s->out, "yaml", yaml.data ? yaml.data : "", yaml.len);
    buf_puts(&s->out, "\n</details>\n");
    buf_release(&yaml);
    put_earlier(s, f->trainings);
}
