/* train_view.c - what a training run shows while it runs and when it ends. */
#include "cmd/train.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

static double number(const json_t *event, const char *key)
{
    const json_t *n = json_object_get(event, key);
    return json_is_number(n) ? json_number_value(n) : (double)NAN;
}

static const char *text_of(const json_t *event, const char *key)
{
    const char *text = json_string_value(json_object_get(event, key));
    return text ? text : "";
}

/* ---- steps ------------------------------------------------------------------------------------------------------------------ */

/* "  name 1.234", or nothing if the event does not say. */
static void append_number(char *out, size_t out_bytes, const char *format, double x)
{
    size_t n = strlen(out);
    if (isfinite(x)) snprintf(out + n, out_bytes - n, format, x);
}

static void append_left(char *out, size_t out_bytes, double seconds)
{
    size_t n = strlen(out);
    if (!(seconds >= 1 && seconds < 1e8)) return;
    long s = lround(seconds);
    if (s >= 3600) snprintf(out + n, out_bytes - n, "  %ld:%02ld:%02ld left", s / 3600, s / 60 % 60, s % 60);
    else snprintf(out + n, out_bytes - n, "  %ld:%02ld left", s / 60, s % 60);
}

static void step_text(char *out, size_t out_bytes, const json_t *event, bool is_long)
{
    out[0] = 0;
    append_number(out, out_bytes, "  loss %.4f", number(event, "loss"));
    if (is_long) {
        append_number(out, out_bytes, "  lr %.3g", number(event, "learning_rate"));
        append_number(out, out_bytes, "  norm %.3g", number(event, "grad_norm"));
    }
    append_number(out, out_bytes, "  %.0f tokens/s", number(event, "tokens_per_second"));
    append_left(out, out_bytes, number(event, "seconds_left"));
}

/* step 12/80 [####......]  loss 1.2345  312 tokens/s  5:02 left */
static void draw_bar(struct train_view *v, const json_t *event, double step, double steps)
{
    char head[64], tail[160], bar[41] = "";
    double now = seconds_now();
    if (v->common->progress.is_drawn && now - v->drawn < 0.1 && step < steps) return;
    v->drawn = now;
    snprintf(head, sizeof head, steps > 0 ? "step %.0f/%.0f" : "step %.0f", step, steps);
    int columns = terminal_columns() - 1;
    step_text(tail, sizeof tail, event, columns > 110);
    int room = columns - (int)strlen(head) - (int)strlen(tail) - 3, width = room > 40 ? 40 : room;
    for (int i = 0; i < width; i++) bar[i] = steps > 0 && i < width * step / steps ? '#' : '.';
    fprintf(stderr, width > 4 && steps > 0 ? "\r%s [%s]%.*s\033[K" : "\r%s%s%.*s\033[K", head, width > 4 && steps > 0 ? bar : "", columns, tail);
    v->common->progress.is_drawn = true;
}

static void show_step(struct train_view *v, const json_t *event)
{
    double step = number(event, "step"), steps = number(event, "steps");
    if (!isfinite(step)) return;
    if (!isfinite(steps)) steps = 0;
    if (isatty(STDERR_FILENO)) {
        draw_bar(v, event, step, steps);
        return;
    }
    long long every = v->config->logging_steps > 0 ? v->config->logging_steps : 1;
    bool is_due = (long long)step % every == 0 || (step <= 1 && v->config->logging_first_step) || step >= steps;
    char text[256];
    step_text(text, sizeof text, event, true);
    if (!is_due) return;
    if (steps > 0) note(v->common, "step %.0f/%.0f%s", step, steps, text);
    else note(v->common, "step %.0f%s", step, text);
}

/* ---- other events --------------------------------------------------------------------------------------------------------------- */

static void show_evaluation(struct train_view *v, const json_t *event)
{
    char text[256] = "";
    append_number(text, sizeof text, "  loss %.4f", number(event, "loss"));
    append_number(text, sizeof text, "  perplexity %.4g", number(event, "perplexity"));
    append_number(text, sizeof text, "  rewards right %.3f", number(event, "rewards_accuracy"));
    if (isfinite(number(event, "step"))) note(v->common, "held out, step %.0f%s", number(event, "step"), text);
    else note(v->common, "held out%s", text);
}

/* Each line behind two blanks, so that an answer is seen to be one. */
static void show_indented(const char *mark, const char *text)
{
    for (const char *end; *text; text = end) {
        end = text + strcspn(text, "\n");
        fprintf(stderr, "  %s", mark);
        print_safe(stderr, text, (size_t)(end - text));
        putc('\n', stderr);
        end += *end == '\n';
    }
}

/* "arc_easy acc,none 0.4800, base 0.4700, +0.0100" */
static void show_task(struct train_view *v, const json_t *event)
{
    char base[80] = "";
    if (isfinite(number(event, "base"))) snprintf(base, sizeof base, ", base %.4f, %+.4f", number(event, "base"), number(event, "difference"));
    note(v->common, "%.80s %.60s %.4f%s (%.0f documents)", text_of(event, "task"), text_of(event, "metric"), number(event, "value"), base, number(event, "documents"));
}

/* Adds what the ranks did since the last such event to the sums that the summary shows. */
static void add_ranks(struct train_view *v, const json_t *event)
{
    const json_t *rank, *list = json_object_get(event, "ranks");
    size_t i;
    if (!v->ranks) v->ranks = json_array();
    json_array_foreach(list, i, rank) {
        const char *key;
        json_t *value, *sum = json_array_get(v->ranks, i);
        if (!sum) json_array_append_new(v->ranks, sum = json_object());
        json_object_foreach((json_t *)(uintptr_t)rank, key, value) json_object_set_new(sum, key, json_real(json_number_value(json_object_get(sum, key)) + json_number_value(value)));
    }
}

/* The last word of a job that lost a rank; the process ends behind it. */
static void tell_lost(struct train_view *v, const json_t *event)
{
    progress_clear(v->common);
    tell_whole(text_of(event, "text"), ". The job ends; the same command, with as many ranks or fewer, goes on from the last checkpoint");
}

void train_event(void *user, const char *json)
{
    struct train_view *v = user;
    json_t *event = json_loads(json, JSON_ALLOW_NUL, NULL);
    const char *kind = text_of(event, "event");
    bool is_quiet = v->common->quiet;
    if (strcmp(kind, "done") == 0) {
        json_decref(v->done);
        v->done = json_incref(event);
    } else if (strcmp(kind, "step") == 0) {
        if (!is_quiet) show_step(v, event);
    } else if (strcmp(kind, "eval") == 0) {
        progress_clear(v->common);
        show_evaluation(v, event);
    } else if (strcmp(kind, "sample") == 0) {
        progress_clear(v->common);
        if (!is_quiet) show_indented("> ", text_of(event, "prompt"));
        if (!is_quiet) show_indented("", text_of(event, "answer"));
    } else if (strcmp(kind, "eval_task") == 0) {
        progress_clear(v->common);
        show_task(v, event);
    } else if (strcmp(kind, "save") == 0) {
        progress_clear(v->common);
        note(v->common, "saved step %.0f", number(event, "step"));
    } else if (strcmp(kind, "ranks") == 0) add_ranks(v, event);
    else if (strcmp(kind, "lost") == 0) tell_lost(v, event);
    else if (strcmp(kind, "skipped") == 0) {
        progress_clear(v->common);
        note(v->common, "step %.0f is left out: %s", number(event, "step"), text_of(event, "why"));
    } else draw_event(v->common, json);
    json_decref(event);
}

/* "held-out loss 1.4300 (1.38 to 1.48) before, 1.2100 (1.16 to 1.26) after". */
static void note_gain(struct train_view *v, const json_t *results)
{
    const json_t *before = json_object_get(results, "eval_before"), *after = json_object_get(results, "eval_after");
    if (before && after && number(after, "step") > number(before, "step"))
        note(v->common, "Held-out loss %.4f (95 %%: %.4f to %.4f) before, %.4f (%.4f to %.4f) after, %.0f dialogues.", number(before, "loss"), number(before, "low"), number(before, "high"), number(after, "loss"),
             number(after, "low"), number(after, "high"), number(after, "dialogues"));
}

static void note_ranks(struct train_view *v)
{
    static const char *const columns[] = { "compute", "wait_values", "wait_gradients", "wait_ranks", "update", "gather", "reduce" };
    size_t i;
    const json_t *rank;
    if (json_array_size(v->ranks) < 2) return;
    note(v->common, "Seconds      work  wait for  wait for  wait for  change | beside the work:");
    note(v->common, "of rank   compute   weights gradients  the rest weights |   gather    reduce        sent");
    json_array_foreach(v->ranks, i, rank) {
        char line[200], sent[32];
        double x[sizeof columns / sizeof *columns];
        for (size_t k = 0; k < sizeof columns / sizeof *columns; k++) x[k] = number(rank, columns[k]);
        format_bytes(sent, sizeof sent, number(rank, "sent_bytes"));
        snprintf(line, sizeof line, "%7zu %9.1f %9.1f %9.1f %9.1f %7.1f | %8.1f %9.1f %11s", i, x[0], x[1], x[2], x[3], x[4], x[5], x[6], sent);
        note(v->common, "%s", line);
    }
}

void train_summary(struct train_view *v)
{
    char text[256] = "";
    const json_t *results = json_object_get(v->done, "results");
    progress_clear(v->common);
    if (!v->done) return;
    note_gain(v, results);
    note_ranks(v);
    append_number(text, sizeof text, ", %.0f steps", number(results, "steps"));
    append_number(text, sizeof text, ", %.0f tokens", number(results, "tokens"));
    append_number(text, sizeof text, ", best held-out loss %.4f", number(results, "best_loss"));
    append_number(text, sizeof text, ", %.0f s", number(results, "seconds"));
    note(v->common, "Done%s.", text);
}

/* ---- plan --------------------------------------------------------------------------------------------------------------------------- */

enum { PLAN_DEPTH = 4 };

/* `in_bytes`: a part of an amount of memory. */
static void print_member(FILE *to, const char *key, const json_t *value, int depth, bool in_bytes)
{
    char amount[32] = "";
    size_t n = strlen(key);
    bool is_named = n > 6 && strcmp(key + n - 6, "_bytes") == 0, is_bytes = json_is_number(value) && (in_bytes || is_named);
    if (is_named) n -= 6;
    fprintf(to, "%*s", 2 * depth, "");
    for (size_t i = 0; i < n; i++) putc(key[i] == '_' ? ' ' : key[i], to);
    if (is_bytes) format_bytes(amount, sizeof amount, json_number_value(value));
    else if (json_is_integer(value)) snprintf(amount, sizeof amount, "%" JSON_INTEGER_FORMAT, json_integer_value(value));
    else if (json_is_real(value)) snprintf(amount, sizeof amount, "%.4g", json_real_value(value));
    else if (json_is_boolean(value)) snprintf(amount, sizeof amount, "%s", json_is_true(value) ? "yes" : "no");
    fprintf(to, ":%s%s", *amount || json_is_string(value) ? " " : "", amount);
    if (json_is_string(value)) print_safe(to, json_string_value(value), json_string_length(value));
    putc('\n', to);
}

static void print_plan(FILE *to, const json_t *value, int depth, bool in_bytes)
{
    size_t i;
    const char *key;
    json_t *member;
    if (depth > PLAN_DEPTH) return;
    json_object_foreach((json_t *)value, key, member) {
        print_member(to, key, member, depth, in_bytes);
        print_plan(to, member, depth + 1, in_bytes || strcmp(key, "parts") == 0);
    }
    json_array_foreach(value, i, member) {
        if (json_is_string(member)) {
            fprintf(to, "%*s", 2 * depth, "");
            print_safe(to, json_string_value(member), json_string_length(member));
            putc('\n', to);
        } else print_plan(to, member, depth + 1, in_bytes);
    }
}

void plan_print(FILE *to, const json_t *plan) { print_plan(to, plan, 0, false); }
