/* test_train_view.c - what a training run shows. The program's sources are included here, because the library does not
 * hold them. */
#include "test.h"

#include "cmd/output.c"
#include "cmd/train_view.c"

/* What `call` writes to standard error, which is no terminal here. */
static char *shown(struct train_view *v, void (*call)(struct train_view *v))
{
    static char text[8192];
    FILE *to = tmpfile();
    int old = dup(STDERR_FILENO);
    fflush(stderr);
    dup2(fileno(to), STDERR_FILENO);
    call(v);
    fflush(stderr);
    dup2(old, STDERR_FILENO);
    close(old);
    rewind(to);
    text[fread(text, 1, sizeof text - 1, to)] = 0;
    fclose(to);
    return text;
}

static void steps(struct train_view *v)
{
    for (int i = 1; i <= 10; i++) {
        char event[256];
        snprintf(event, sizeof event, "{\"event\":\"step\",\"step\":%d,\"steps\":10,\"loss\":%g,\"learning_rate\":0.0001,\"grad_norm\":1.5,\"tokens_per_second\":312.4,\"seconds_left\":%d}", i, 2.0 / i, 400 * (10 - i));
        train_event(v, event);
    }
}

TEST(steps_as_lines)
{
    struct args_common c = { 0 };
    sc_train_config config = { .logging_steps = 4, .logging_first_step = true };
    struct train_view v = { .common = &c, .config = &config };
    CHECK_STR(shown(&v, steps), "step 1/10  loss 2.0000  lr 0.0001  norm 1.5  312 tokens/s  1:00:00 left\n"
                                "step 4/10  loss 0.5000  lr 0.0001  norm 1.5  312 tokens/s  40:00 left\n"
                                "step 8/10  loss 0.2500  lr 0.0001  norm 1.5  312 tokens/s  13:20 left\n"
                                "step 10/10  loss 0.2000  lr 0.0001  norm 1.5  312 tokens/s\n");
    config.logging_first_step = false;
    c.quiet = true;
    CHECK_STR(shown(&v, steps), "");
}

static void bar(struct train_view *v)
{
    json_t *event = json_loads("{\"loss\":1.25,\"tokens_per_second\":300,\"seconds_left\":62}", 0, NULL);
    draw_bar(v, event, 3, 6);
    draw_bar(v, event, 4, 6);                     /* too soon after the first */
    json_decref(event);
}

TEST(steps_as_a_bar)
{
    struct args_common c = { 0 };
    struct train_view v = { .common = &c };
    CHECK_STR(shown(&v, bar), "\rstep 3/6 [###############...............]  loss 1.2500  300 tokens/s  1:02 left\033[K");
    CHECK(c.progress.is_drawn);
}

static void others(struct train_view *v)
{
    train_event(v, "{\"event\":\"note\",\"text\":\"the template added 4 tokens\"}");
    train_event(v, "{\"event\":\"eval\",\"step\":8,\"loss\":1.5,\"perplexity\":4.4817}");
    train_event(v, "{\"event\":\"sample\",\"prompt\":\"Hi?\",\"answer\":\"one\\n\\u001b[2Jtwo\\n\"}");
    train_event(v, "{\"event\":\"save\",\"step\":8}");
    train_event(v, "{\"event\":\"skipped\",\"step\":9,\"why\":\"spike\"}");
    train_event(v, "{\"event\":\"something_new\",\"x\":1}");
    train_event(v, "{\"event\":\"step\"}");
    train_event(v, "no JSON");
    train_event(v, "{\"event\":\"done\",\"path\":\"o\",\"results\":{\"steps\":8,\"tokens\":8192,\"best_loss\":1.5,\"seconds\":61.2}}");
    train_summary(v);
}

TEST(other_events)
{
    struct args_common c = { 0 };
    sc_train_config config = { .logging_steps = 1 };
    struct train_view v = { .common = &c, .config = &config };
    CHECK_STR(shown(&v, others), "the template added 4 tokens\nheld out, step 8  loss 1.5000  perplexity 4.482\n  > Hi?\n  one\n  ^[[2Jtwo\nsaved step 8\nstep 9 is left out: spike\n"
                                 "Done, 8 steps, 8192 tokens, best held-out loss 1.5000, 61 s.\n");
    CHECK(v.done);
    json_decref(v.done);
}

TEST(plan_as_text)
{
    char *text = NULL;
    size_t n;
    FILE *to = open_memstream(&text, &n);
    json_t *plan = json_loads("{\"peak_bytes\":1500000000,\"parts\":{\"weights\":270000000,\"trained\":0},\"rows\":8,\"model\":\"a\\u001bb\",\"fits\":true,\"notes\":[\"x\"]}", 0, NULL);
    plan_print(to, plan);
    fclose(to);
    CHECK_STR(text, "peak: 1.5 GB\nparts:\n  weights: 270 MB\n  trained: 0 B\nrows: 8\nmodel: a^[b\nfits: yes\nnotes:\n  x\n");
    json_decref(plan);
    free(text);
}
