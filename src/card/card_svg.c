/* card_svg.c - curves of a run as files of their own: the Hub shows those by relative links, and no script. Colours are such that a light and a dark page show them. */
#include "card/card.h"

#include <math.h>
#include <string.h>

enum { WIDTH = 720, HEIGHT = 260, LEFT = 64, RIGHT = 12, TOP = 46, BOTTOM = 34, POINTS_MAX = 1500, MARKS = 4, DOTS_MAX = 40 };
#define INK "#7a828e"

struct curve { double *x, *y; size_t n; };
struct box { double x0, x1, y0, y1; };

const struct card_plot card_plots[] = {
    { "loss.svg", "Loss", { { "step", "loss", "training", "#2f6fed" }, { "eval", "loss", "held out", "#e8590c" } }, 2 },
    { "rewards.svg", "Accuracy of the rewards", { { "step", "rewards_accuracy", "training", "#2f6fed" }, { "eval", "rewards_accuracy", "held out", "#e8590c" } }, 2 },
    { "learning_rate.svg", "Learning rate", { { "step", "learning_rate", "learning rate", "#2b8a3e" } }, 1 },
    { NULL, NULL, { { 0 } }, 0 },
};

static void curve_read(struct curve *c, const json_t *events, const struct svg_line *line)
{
    size_t i;
    const json_t *event;
    *c = (struct curve){ mem_alloc(POINTS_MAX * sizeof(double)), mem_alloc(POINTS_MAX * sizeof(double)), 0 };
    json_array_foreach(events, i, event) {
        const json_t *x = json_object_get(event, "step"), *y = json_object_get(event, line->member);
        if (strcmp(text_member(event, "event"), line->event) != 0 || !json_is_number(x) || !json_is_number(y)) continue;
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

static double place_x(const struct box *b, double x) { return LEFT + (x - b->x0) / (b->x1 > b->x0 ? b->x1 - b->x0 : 1) * (WIDTH - LEFT - RIGHT); }
static double place_y(const struct box *b, double y) { return HEIGHT - BOTTOM - (y - b->y0) / (b->y1 > b->y0 ? b->y1 - b->y0 : 1) * (HEIGHT - BOTTOM - TOP); }

/* A step of 1, 2 or 5 times a power of ten that cuts the span into about `parts`. */
static double nice_step(double span, int parts)
{
    double raw = span > 0 ? span / parts : 1, power = pow(10, floor(log10(raw))), unit = raw / power;
    return power * (unit < 1.5 ? 1 : unit < 3.5 ? 2 : unit < 7.5 ? 5 : 10);
}

static void draw_axes(struct buf *out, const struct box *b)
{
    double step_y = nice_step(b->y1 - b->y0, MARKS), step_x = fmax(1, nice_step(b->x1 - b->x0, 2 * MARKS));
    for (double y = ceil(b->y0 / step_y) * step_y; y <= b->y1 + 1e-9 * step_y; y += step_y) {
        buf_printf(out, "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"" INK "\" stroke-opacity=\".25\"/>\n", LEFT, WIDTH - RIGHT, place_y(b, y), place_y(b, y));
        buf_printf(out, "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.4g</text>\n", LEFT - 8, place_y(b, y) + 4, fabs(y) < 1e-9 * step_y ? 0.0 : y);
    }
    for (double x = ceil(b->x0 / step_x) * step_x; x <= b->x1 + 1e-9; x += step_x)
        buf_printf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%.0f</text>\n", place_x(b, x), HEIGHT - BOTTOM + 18, x);
    buf_printf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step</text>\n", WIDTH - RIGHT, HEIGHT - 2);
}

static void draw_curve(struct buf *out, const struct box *b, const struct curve *c, const char *color)
{
    buf_printf(out, "<polyline fill=\"none\" stroke=\"%s\" stroke-width=\"2\" stroke-linejoin=\"round\" points=\"", color);
    for (size_t i = 0; i < c->n; i++) buf_printf(out, "%s%.1f,%.1f", i ? " " : "", place_x(b, c->x[i]), place_y(b, c->y[i]));
    buf_puts(out, "\"/>\n");
    for (size_t i = 0; c->n <= DOTS_MAX && i < c->n; i++)
        buf_printf(out, "<circle cx=\"%.1f\" cy=\"%.1f\" r=\"3\" fill=\"%s\"/>\n", place_x(b, c->x[i]), place_y(b, c->y[i]), color);
}

/* Names and last values of the curves, beside the title. */
static void draw_legend(struct buf *out, const struct svg_line *line, const struct curve *c, size_t n)
{
    int x = LEFT;
    for (size_t i = 0; i < n; i++) {
        if (!c[i].n) continue;
        buf_printf(out, "<rect x=\"%d\" y=\"28\" width=\"12\" height=\"4\" fill=\"%s\"/>\n<text x=\"%d\" y=\"34\">%s, last %.4g</text>\n", x, line[i].color, x + 18, line[i].label, c[i].y[c[i].n - 1]);
        x += 220;
    }
}

bool svg_draw(struct buf *out, const char *title, const json_t *events, const struct svg_line *line, size_t n)
{
    struct box b = { HUGE_VAL, -HUGE_VAL, HUGE_VAL, -HUGE_VAL };
    struct curve c[2] = { { 0 } };
    size_t points = 0;
    for (size_t i = 0; i < n; i++) {
        curve_read(&c[i], events, &line[i]);
        widen(&b, &c[i]);
        points = c[i].n > points ? c[i].n : points;
    }
    if (points >= 2) {
        buf_printf(out, "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 %d %d\" width=\"%d\" height=\"%d\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\" fill=\"" INK "\">\n<title>%s</title>\n", WIDTH, HEIGHT, WIDTH, HEIGHT, title);
        buf_printf(out, "<text x=\"%d\" y=\"16\" font-size=\"14\" font-weight=\"bold\">%s</text>\n", LEFT, title);
        draw_axes(out, &b);
        for (size_t i = 0; i < n; i++)
            if (c[i].n) draw_curve(out, &b, &c[i], line[i].color);
        draw_legend(out, line, c, n);
        buf_puts(out, "</svg>\n");
    }
    for (size_t i = 0; i < n; i++) {
        mem_free(c[i].x);
        mem_free(c[i].y);
    }
    return points >= 2;
}
