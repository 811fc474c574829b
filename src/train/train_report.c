/* train_report.c - a run on paper: report.html with curves and samples, and trainer_state.json and all_results.json in the
 * form of transformers' Trainer, all from events.jsonl. */
#include "train/train_internal.h"

#include <math.h>
#include <string.h>

enum { EVENTS_BYTES_MAX = 1 << 30, WIDTH = 720, HEIGHT = 240, LEFT = 74, BOTTOM = 28, POINTS_MAX = 4000 };

/* ---- reading the events ------------------------------------------------------------------------------------------------------ */

static sc_status read_events(json_t **out, const char *output, sc_error *err)
{
    char *path = path_join(output, "events.jsonl");
    sc_text text = { 0 };
    sc_status status = file_read(&text, path, EVENTS_BYTES_MAX, err);
    *out = json_array();
    for (const char *at = text.data, *end = at ? at + text.len : at, *next; status == SC_OK && at < end; at = next + 1) {
        next = memchr(at, '\n', (size_t)(end - at));
        if (!next) break;
        json_t *event = json_loadb(at, (size_t)(next - at), 0, NULL);
        if (event) json_array_append_new(*out, event);
    }
    sc_text_free(&text);
    mem_free(path);
    return status;
}

static bool is_event(const json_t *event, const char *name)
{
    const char *is = json_string_value(json_object_get(event, "event"));
    return is && strcmp(is, name) == 0;
}

static bool is_text(const json_t *event, const char *member, const char *text)
{
    const char *is = json_string_value(json_object_get(event, member));
    return is && strcmp(is, text) == 0;
}

/* ---- curves -------------------------------------------------------------------------------------------------------------------- */

/* task, metric: of events that are of several; NULL: of all. */
struct curve { const char *event, *member, *label, *color, *task, *metric; double x[POINTS_MAX], y[POINTS_MAX]; size_t n; };
struct box { double x0, x1, y0, y1; };

static void curve_read(struct curve *c, const json_t *events)
{
    size_t i;
    const json_t *event;
    c->n = 0;
    json_array_foreach(events, i, event) {
        const json_t *x = json_object_get(event, "step"), *y = json_object_get(event, c->member);
        if (c->task && (!is_text(event, "task", c->task) || !is_text(event, "metric", c->metric))) continue;
        if (!is_event(event, c->event) || !json_is_number(x) || !json_is_number(y)) continue;
        if (c->n == POINTS_MAX) {                        /* every second one stays */
            for (size_t k = 0; k < POINTS_MAX / 2; k++) { c->x[k] = c->x[2 * k]; c->y[k] = c->y[2 * k]; }
            c->n = POINTS_MAX / 2;
        }
        c->x[c->n] = json_number_value(x);
        c->y[c->n++] = json_number_value(y);
    }
}

static void widen(struct box *b, const struct curve *c)
{
    for (size_t i = 0; i < c->n; i++) {
        b->x0 = fmin(b->x0, c->x[i]);
        b->x1 = fmax(b->x1, c->x[i]);
        b->y0 = fmin(b->y0, c->y[i]);
        b->y1 = fmax(b->y1, c->y[i]);
    }
}

static double place_x(const struct box *b, double x) { return LEFT + (x - b->x0) / (b->x1 > b->x0 ? b->x1 - b->x0 : 1) * (WIDTH - LEFT - 8); }
static double place_y(const struct box *b, double y) { return HEIGHT - BOTTOM - (y - b->y0) / (b->y1 > b->y0 ? b->y1 - b->y0 : 1) * (HEIGHT - BOTTOM - 10); }

static void draw_axes(struct buf *out, const struct box *b)
{
    for (int i = 0; i <= 4; i++) {
        double y = b->y0 + (b->y1 - b->y0) * i / 4, x = b->x0 + (b->x1 - b->x0) * i / 4;
        buf_printf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"currentColor\" stroke-opacity=\".15\"/>", LEFT, WIDTH - 8, place_y(b, y), place_y(b, y));
        buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\" fill=\"currentColor\" font-size=\"11\">%.4g</text>", LEFT - 6, place_y(b, y) + 4, y);
        buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\" fill=\"currentColor\" font-size=\"11\">%.0f</text>", place_x(b, x), HEIGHT - 8, x);
    }
}

static void draw_curve(struct buf *out, const struct box *b, const struct curve *c)
{
    if (!c->n) return;
    buf_printf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"1.6\" points=\"", c->color);
    for (size_t i = 0; i < c->n; i++) buf_printf(out, "%.1f,%.1f ", place_x(b, c->x[i]), place_y(b, c->y[i]));
    buf_puts(out, "\"/>");
    for (size_t i = 0; c->n <= 60 && i < c->n; i++)
        buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"2.4\" fill=\"%s\"><title>step %.0f: %.5g</title></circle>", place_x(b, c->x[i]), place_y(b, c->y[i]), c->color, c->x[i], c->y[i]);
}

/* One or two curves in one drawing; nothing where there is nothing. */
static void draw_plot(struct buf *out, const char *title, struct curve *curves, size_t n)
{
    struct box b = { HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL };
    for (size_t i = 0; i < n; i++) widen(&b, &curves[i]);
    if (b.x1 < b.x0) return;
    buf_printf(out, "<h2>%s</h2>\n<p class=\"sub\">", title);
    for (size_t i = 0; i < n; i++)
        if (curves[i].n) buf_printf(out, "<span style=\"color:%s\">&#9632;</span> %s, last %.5g &nbsp; ", curves[i].color, curves[i].label, curves[i].y[curves[i].n - 1]);
    buf_printf(out, "</p>\n<svg viewBox=\"0 0 %d %d\" width=\"100%%\" role=\"img\" aria-label=\"%s\">", WIDTH, HEIGHT, title);
    draw_axes(out, &b);
    for (size_t i = 0; i < n; i++) draw_curve(out, &b, &curves[i]);
    buf_puts(out, "</svg>\n");
}

static void draw_all(struct buf *out, const json_t *events)
{
    static const struct { const char *title; struct { const char *event, *member, *label, *color; } line[2]; } plots[] = {
        { "Loss", { { "step", "loss", "training", "#2f6fed" }, { "eval", "loss", "held out", "#d9480f" } } },
        { "Accuracy of the rewards", { { "step", "rewards_accuracy", "training", "#2f6fed" }, { "eval", "rewards_accuracy", "held out", "#d9480f" } } },
        { "Learning rate", { { "step", "learning_rate", "learning rate", "#2b8a3e" }, { 0 } } },
        { "Norm of the gradient", { { "step", "grad_norm", "before clipping", "#862e9c" }, { 0 } } },
        { "Tokens a second", { { "step", "tokens_per_second", "tokens a second", "#495057" }, { 0 } } },
    };
    struct curve *curves = mem_zero(2, sizeof *curves);
    for (size_t i = 0; i < sizeof plots / sizeof *plots; i++) {
        size_t n = 0;
        for (; n < 2 && plots[i].line[n].event; n++) {
            curves[n].event = plots[i].line[n].event;
            curves[n].member = plots[i].line[n].member;
            curves[n].label = plots[i].line[n].label;
            curves[n].color = plots[i].line[n].color;
            curve_read(&curves[n], events);
        }
        draw_plot(out, plots[i].title, curves, n);
    }
    mem_free(curves);
}

/* A plot for each number of each benchmark: the tuned model, and the base where adapters are trained. */
static void draw_tasks(struct buf *out, const json_t *events)
{
    json_t *seen = json_object(), *event;
    struct curve *curves = mem_zero(2, sizeof *curves);
    size_t i;
    json_array_foreach(events, i, event) {
        char title[200], key[200];
        const char *task = json_string_value(json_object_get(event, "task")), *metric = json_string_value(json_object_get(event, "metric"));
        if (!is_event(event, "eval_task") || !task || !metric) continue;
        snprintf(key, sizeof key, "%s %s", task, metric);
        if (json_object_get(seen, key)) continue;
        json_object_set_new(seen, key, json_true());
        const double last = json_number_value(json_object_get(event, "documents"));
        snprintf(title, sizeof title, "%.80s, %.60s, %.0f documents", task, metric, last);
        curves[0] = (struct curve){ .event = "eval_task", .member = "value", .label = "tuned", .color = "#2f6fed", .task = task, .metric = metric };
        curves[1] = (struct curve){ .event = "eval_task", .member = "base", .label = "base", .color = "#868e96", .task = task, .metric = metric };
        for (size_t k = 0; k < 2; k++) curve_read(&curves[k], events);
        draw_plot(out, title, curves, 2);
        curves[0] = (struct curve){ .event = "eval_task", .member = "difference", .label = "tuned minus base", .color = "#2b8a3e", .task = task, .metric = metric };
        curve_read(&curves[0], events);
        snprintf(title, sizeof title, "%.80s, %.60s: tuned minus base", task, metric);
        draw_plot(out, title, curves, 1);
    }
    json_decref(seen);
    mem_free(curves);
}

/* ---- samples and recipe ---------------------------------------------------------------------------------------------------------- */

static void put_samples(struct buf *out, const json_t *events)
{
    size_t i;
    const json_t *event;
    bool any = false;
    json_array_foreach(events, i, event) {
        const json_t *prompt = json_object_get(event, "prompt"), *answer = json_object_get(event, "answer");
        if (!is_event(event, "sample")) continue;
        if (!any) buf_puts(out, "<h2>Sample answers</h2>\n");
        any = true;
        buf_printf(out, "<details><summary>step %lld</summary><pre>", (long long)json_integer_value(json_object_get(event, "step")));
        html_put(out, json_string_value(prompt), json_string_length(prompt));
        buf_puts(out, "<b>");
        html_put(out, json_string_value(answer), json_string_length(answer));
        buf_printf(out, "</b></pre><p class=\"sub\">%s</p></details>\n", json_is_true(json_object_get(event, "ended")) ? "ended by itself" : "cut");
    }
}

static void put_recipe(struct buf *out, const json_t *recipe)
{
    const char *key;
    const json_t *value;
    buf_puts(out, "<h2>Recipe</h2>\n<table>");
    json_object_foreach((json_t *)(uintptr_t)recipe, key, value) {
        char *text = json_dumps(value, JSON_ENCODE_ANY);
        buf_puts(out, "<tr><td>");
        html_puts(out, key);
        buf_puts(out, "</td><td>");
        html_puts(out, text ? text : "");
        buf_puts(out, "</td></tr>\n");
        mem_free(text);
    }
    buf_puts(out, "</table>\n");
}

static sc_status write_page(const char *output, const json_t *events, const json_t *recipe, sc_error *err)
{
    struct buf page;
    char *path = path_join(output, "report.html");
    buf_init(&page, 0);
    page_begin(&page, "Training run");
    buf_puts(&page, "<h1>Training run</h1>\n<p class=\"sub\">starchat " SC_VERSION "</p>\n");
    draw_all(&page, events);
    draw_tasks(&page, events);
    put_samples(&page, events);
    put_recipe(&page, recipe);
    page_end(&page);
    sc_status status = file_write(path, page.data, page.len, err);
    buf_release(&page);
    mem_free(path);
    return status;
}

/* ---- transformers' files ----------------------------------------------------------------------------------------------------------- */

static void copy_member(json_t *to, const char *as, const json_t *from, const char *name)
{
    json_t *value = json_object_get(from, name);
    if (json_is_number(value)) json_object_set(to, as, value);
}

static json_t *history_of(const json_t *events)
{
    static const struct { const char *event, *member, *as; } members[] = {
        { "step", "epoch", "epoch" }, { "step", "learning_rate", "learning_rate" }, { "step", "loss", "loss" }, { "step", "grad_norm", "grad_norm" }, { "step", "step", "step" },
        { "eval", "epoch", "epoch" }, { "eval", "loss", "eval_loss" }, { "eval", "seconds", "eval_runtime" }, { "eval", "step", "step" },
    };
    size_t i;
    const json_t *event;
    json_t *history = json_array();
    json_array_foreach(events, i, event) {
        json_t *entry = json_object();
        for (size_t k = 0; k < sizeof members / sizeof *members; k++)
            if (is_event(event, members[k].event)) copy_member(entry, members[k].as, event, members[k].member);
        if (json_object_size(entry)) json_array_append(history, entry);
        json_decref(entry);
    }
    return history;
}

static sc_status write_json(const char *output, const char *name, json_t *value, sc_error *err)
{
    char *path = path_join(output, name), *text = json_dumps(value, JSON_INDENT(2) | JSON_SORT_KEYS);
    sc_status status = text ? file_write(path, text, strlen(text), err) : FAIL(err, SC_E_ARGUMENT, "%s cannot be written as JSON", name);
    mem_free(text);
    mem_free(path);
    json_decref(value);
    return status;
}

/* The last event of this name that has the member; 0 if none. */
static double last_number(const json_t *events, const char *name, const char *member)
{
    for (size_t i = json_array_size(events); i-- > 0;) {
        const json_t *event = json_array_get(events, i), *value = json_object_get(event, member);
        if (is_event(event, name) && json_is_number(value)) return json_number_value(value);
    }
    return 0;
}

static double mean_loss(const json_t *events)
{
    size_t i, n = 0;
    double sum = 0;
    const json_t *event;
    json_array_foreach(events, i, event) {
        const json_t *loss = json_object_get(event, "loss");
        if (!is_event(event, "step") || !json_is_number(loss)) continue;
        sum += json_number_value(loss);
        n++;
    }
    return n ? sum / (double)n : 0;
}

/* The first and the last evaluation: what the run was worth. */
static void add_evaluations(json_t *results, const json_t *events)
{
    static const char *const members[] = { "step", "loss", "low", "high", "dialogues", "rewards_accuracy", NULL };
    const json_t *first = NULL, *last = NULL, *event;
    size_t i;
    json_array_foreach(events, i, event) {
        if (!is_event(event, "eval")) continue;
        if (!first) first = event;
        last = event;
    }
    json_t *before = json_object(), *after = json_object();
    for (i = 0; first && members[i]; i++) {
        copy_member(before, members[i], first, members[i]);
        copy_member(after, members[i], last, members[i]);
    }
    if (first) json_object_set(results, "eval_before", before);
    if (first) json_object_set(results, "eval_after", after);
    json_decref(before);
    json_decref(after);
}

sc_status report_write(const char *output, const sc_train_config *c, const json_t *recipe, json_t *run_results, sc_error *err)
{
    json_t *events = NULL;
    sc_status status = SC_OK;
    TRY_DONE(read_events(&events, output, err));
    add_evaluations(run_results, events);
    TRY_DONE(write_page(output, events, recipe, err));
    double step = last_number(events, "step", "step"), epoch = last_number(events, "step", "epoch"), eval_loss = last_number(events, "eval", "loss");
    TRY_DONE(write_json(output, "trainer_state.json", json_pack("{s:f, s:I, s:b, s:b, s:I, s:f, s:I, s:o}", "epoch", epoch, "global_step", (json_int_t)step, "is_local_process_zero", 1, "is_world_process_zero", 1,
                                                               "max_steps", (json_int_t)last_number(events, "step", "steps"), "num_train_epochs", c->num_train_epochs, "num_input_tokens_seen",
                                                               (json_int_t)last_number(events, "step", "tokens"), "log_history", history_of(events)), err));
    json_t *results = json_pack("{s:f, s:f}", "epoch", epoch, "train_loss", mean_loss(events));
    if (eval_loss > 0) {
        json_object_set_new(results, "eval_loss", json_real(eval_loss));
        if (isfinite(exp(eval_loss))) json_object_set_new(results, "perplexity", json_real(exp(eval_loss)));
    }
    TRY_DONE(write_json(output, "all_results.json", results, err));
done:
    json_decref(events);
    return status;
}
