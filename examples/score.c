/* score.c - how well a model predicts a file: perplexity, and the lines that surprise it most.
 *
 * Usage: score MODEL FILE [HOW_MANY_LINES]      Build: cc score.c $(pkg-config --cflags --libs starchat) -lm
 * A long file is read in windows; the first half of each window (but the first) is only context for the second. */
#include <math.h>
#include <starchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct line { const char *text; size_t len; double loss; size_t tokens; };

static int by_loss(const void *a, const void *b)
{
    double x = ((const struct line *)a)->loss, y = ((const struct line *)b)->loss;
    return (x < y) - (x > y);
}

static char *read_file(const char *path, size_t *len)
{
    FILE *f = fopen(path, "rb");
    if (!f) return NULL;
    char *text = malloc(16 << 20);
    *len = text ? fread(text, 1, (16 << 20) - 1, f) : 0;
    fclose(f);
    if (text) text[*len] = 0;
    return text;
}

/* logprob[i]: of id[i], given all before it in its window; id[0] has none. */
static sc_status score(double *logprob, sc_session *s, const int32_t *id, size_t n, sc_error *err)
{
    size_t window = sc_session_capacity(s), begin = 0, from = 1;
    while (from < n) {
        size_t end = begin + window < n ? begin + window : n;
        sc_status status = sc_session_score(logprob + from, NULL, s, id + begin, end - begin, from - begin, err);
        if (status != SC_OK) return status;
        from = end;
        begin = end > window / 2 ? end - window / 2 : 0;
    }
    return SC_OK;
}

/* Adds each token's loss to the line in which its text begins; returns the sum of all. */
static double add_losses(struct line *line, const sc_tokenizer *t, const char *text, const sc_tokens *tokens, const double *logprob)
{
    double sum = 0;
    size_t at = 0, k = 0;
    for (size_t i = 0; i < tokens->len; i++) {
        sc_text piece;
        if (i > 0) { line[k].loss -= logprob[i]; line[k].tokens++; sum -= logprob[i]; }
        if (sc_decode(&piece, t, &tokens->id[i], 1, false, NULL) != SC_OK) continue;
        for (size_t end = at + piece.len; at < end && text[at]; at++) k += text[at] == '\n';
        sc_text_free(&piece);
    }
    return sum;
}

int main(int argc, char **argv)
{
    size_t len = 0, n_lines = 1;
    char *text = argc > 2 ? read_file(argv[2], &len) : NULL;
    if (!text) { fputs("usage: score MODEL FILE [HOW_MANY_LINES]\n", stderr); return 2; }
    sc_error err;
    sc_runtime_config runtime_config;
    sc_session_config session_config;
    sc_options_defaults(sc_options_for("runtime"), &runtime_config);
    sc_options_defaults(sc_options_for("session"), &session_config);
    runtime_config.activations = "f32";                 /* exact, whatever the weights are stored as */
    session_config.context = 1024;

    sc_text path = { 0 };
    sc_tokens tokens = { 0 };
    sc_runtime *runtime = NULL;
    sc_model *model = NULL;
    sc_session *session = NULL;
    sc_status status = sc_store_resolve(&path, argv[1], NULL, &err);
    if (status == SC_OK) status = sc_runtime_open(&runtime, &runtime_config, &err);
    sc_model_config model_config = { .path = path.data };
    if (status == SC_OK) status = sc_model_open(&model, runtime, &model_config, &err);
    if (status == SC_OK) status = sc_session_open(&session, model, &session_config, &err);
    if (status == SC_OK) status = sc_encode(&tokens, sc_model_tokenizer(model), text, len, false, &err);
    double *logprob = calloc(tokens.len + 1, sizeof *logprob);
    if (status == SC_OK) status = score(logprob, session, tokens.id, tokens.len, &err);
    if (status == SC_OK) {
        for (size_t i = 0; i < len; i++) n_lines += text[i] == '\n';
        struct line *line = calloc(n_lines + 1, sizeof *line);
        for (size_t k = 0, i = 0; k < n_lines; i += line[k++].len + 1) { line[k].text = text + i; line[k].len = strcspn(text + i, "\n"); }
        double sum = add_losses(line, sc_model_tokenizer(model), text, &tokens, logprob);
        size_t most = argc > 3 ? (size_t)atoi(argv[3]) : 5, n = tokens.len > 1 ? tokens.len - 1 : 1;
        printf("%zu tokens, perplexity %.3f, %.3f bits a byte\n", tokens.len, exp(sum / (double)n), sum / log(2) / (double)(len ? len : 1));
        qsort(line, n_lines, sizeof *line, by_loss);
        for (size_t k = 0; k < most && k < n_lines; k++) printf("%8.2f  %.*s\n", line[k].loss, (int)line[k].len, line[k].text);
        free(line);
    } else fprintf(stderr, "score: %s\n", err.message);
    free(logprob);
    free(text);
    sc_session_close(session);
    sc_tokens_free(&tokens);
    sc_model_close(model);
    sc_runtime_close(runtime);
    sc_text_free(&path);
    return status != SC_OK;
}
