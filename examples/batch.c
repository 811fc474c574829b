/* batch.c - answers to several prompts at once. A pass over the model reads its weights once for all of them, so eight answers take
 * little longer than one; each is the same as it would be alone.
 *
 * Usage: batch MODEL MAX_TOKENS PROMPT...      Build: cc batch.c $(pkg-config --cflags --libs starchat)
 * Greedy, so that the next token can be chosen here from the logits. */
#include <starchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { PROMPTS_MAX = 64 };
struct answer { sc_session *session; int32_t *id; size_t n; };

static int32_t likeliest(const sc_session *s)
{
    size_t vocab, best = 0;
    const float *logits = sc_session_logits(s, &vocab);
    for (size_t i = 1; i < vocab; i++) if (logits[i] > logits[best]) best = i;
    return (int32_t)best;
}

/* One more token for all that are not at their end; false: all are. */
static sc_status step(struct answer *answer, size_t n, size_t max_tokens, int32_t end, bool *is_over, sc_error *err)
{
    sc_session *running[PROMPTS_MAX];
    int32_t next[PROMPTS_MAX];
    size_t k = 0;
    for (size_t i = 0; i < n; i++) {
        struct answer *a = &answer[i];
        if (a->n == max_tokens || (a->n > 0 && a->id[a->n - 1] == end) || sc_session_length(a->session) == sc_session_capacity(a->session)) continue;
        a->id[a->n++] = next[k] = likeliest(a->session);
        running[k++] = a->session;
    }
    *is_over = k == 0;
    return k ? sc_sessions_append(running, next, k, err) : SC_OK;
}

static sc_status open_answer(struct answer *a, sc_model *m, const char *prompt, size_t max_tokens, sc_error *err)
{
    sc_session_config config;
    sc_tokens tokens = { 0 };
    sc_options_defaults(sc_options_for("session"), &config);
    a->id = calloc(max_tokens + 1, sizeof *a->id);
    sc_message message = { "user", prompt };
    sc_status status = sc_session_open(&a->session, m, &config, err);
    if (status == SC_OK && sc_model_has_chat(m)) status = sc_encode_chat(&tokens, m, &message, 1, err);
    else if (status == SC_OK) status = sc_encode(&tokens, sc_model_tokenizer(m), prompt, strlen(prompt), false, err);
    if (status == SC_OK) status = sc_session_sync(a->session, tokens.id, tokens.len, err);
    sc_tokens_free(&tokens);
    return status;
}

int main(int argc, char **argv)
{
    size_t n = argc > 3 ? (size_t)argc - 3 : 0, max_tokens = argc > 2 ? (size_t)atoi(argv[2]) : 0;
    if (n == 0 || n > PROMPTS_MAX || max_tokens == 0) { fputs("usage: batch MODEL MAX_TOKENS PROMPT...   (at most 64)\n", stderr); return 2; }
    struct answer answer[PROMPTS_MAX] = { { 0 } };
    sc_error err;
    sc_runtime_config config;
    sc_options_defaults(sc_options_for("runtime"), &config);
    sc_text path = { 0 }, text;
    sc_runtime *runtime = NULL;
    sc_model *model = NULL;
    sc_status status = sc_store_resolve(&path, argv[1], NULL, &err);
    if (status == SC_OK) status = sc_runtime_open(&runtime, &config, &err);
    sc_model_config model_config = { .path = path.data };
    if (status == SC_OK) status = sc_model_open(&model, runtime, &model_config, &err);
    for (size_t i = 0; i < n && status == SC_OK; i++) status = open_answer(&answer[i], model, argv[3 + i], max_tokens, &err);

    const sc_tokenizer *tokenizer = status == SC_OK ? sc_model_tokenizer(model) : NULL;
    int32_t end = tokenizer ? sc_token_id(tokenizer, "<|im_end|>") : -1;        /* the end of a turn by ChatML, else of a text */
    if (tokenizer && end < 0) end = sc_token_id(tokenizer, "<|endoftext|>");
    for (bool is_over = false; status == SC_OK && !is_over;) status = step(answer, n, max_tokens, end, &is_over, &err);
    for (size_t i = 0; i < n && status == SC_OK; i++) {
        status = sc_decode(&text, tokenizer, answer[i].id, answer[i].n, true, &err);
        if (status != SC_OK) break;
        printf("> %s\n", argv[3 + i]);
        fwrite(text.data, 1, text.len, stdout);
        puts("");
        sc_text_free(&text);
    }
    if (status != SC_OK) fprintf(stderr, "batch: %s\n", err.message);
    for (size_t i = 0; i < n; i++) { sc_session_close(answer[i].session); free(answer[i].id); }
    sc_model_close(model);
    sc_runtime_close(runtime);
    sc_text_free(&path);
    return status != SC_OK;
}
