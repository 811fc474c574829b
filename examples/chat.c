/* chat.c - a conversation of several turns: each line of standard input is a message, each answer is kept for the next. Only what is new
 * is computed, because a session keeps the beginning that two prompts have in common.
 *
 * Usage: chat MODEL [SYSTEM MESSAGE] < messages      Build: cc chat.c $(pkg-config --cflags --libs starchat) */
#define _POSIX_C_SOURCE 200809L         /* strdup */
#include <starchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TURNS_MAX = 64, LINE_BYTES = 4096, ANSWER_BYTES = 65536 };
struct chat { sc_message message[TURNS_MAX]; size_t n; char answer[ANSWER_BYTES]; size_t len; };

static void add(struct chat *c, const char *role, const char *content)
{
    c->message[c->n++] = (sc_message){ role, strdup(content) };
}

static int take_text(void *user, const char *utf8, size_t len)
{
    struct chat *c = user;
    fwrite(utf8, 1, len, stdout);
    fflush(stdout);
    if (c->len + len >= sizeof c->answer) return 1;     /* ends the answer */
    memcpy(c->answer + c->len, utf8, len);
    c->answer[c->len += len] = 0;
    return 0;
}

/* One turn: the conversation through the model's own template, then the answer. */
static sc_status answer(struct chat *c, sc_session *s, const sc_model *m, const sc_sample_config *sample, sc_error *err)
{
    sc_tokens prompt = { 0 };
    sc_generation done;
    c->len = 0;
    c->answer[0] = 0;
    sc_status status = sc_encode_chat(&prompt, m, c->message, c->n, err);
    if (status == SC_OK) status = sc_session_sync(s, prompt.id, prompt.len, err);
    if (status == SC_OK) fprintf(stderr, "[%zu tokens, %zu of them known]\n", prompt.len, sc_session_reused(s));
    if (status == SC_OK) status = sc_session_generate(&done, s, sample, take_text, c, err);
    if (status == SC_OK) puts("");
    sc_tokens_free(&prompt);
    return status;
}

int main(int argc, char **argv)
{
    if (argc < 2) { fputs("usage: chat MODEL [SYSTEM MESSAGE]\n", stderr); return 2; }
    static struct chat chat;
    sc_error err;
    sc_runtime_config runtime_config;
    sc_session_config session_config;
    sc_sample_config sample;
    sc_options_defaults(sc_options_for("runtime"), &runtime_config);
    sc_options_defaults(sc_options_for("session"), &session_config);
    sc_options_defaults(sc_options_for("sample"), &sample);

    sc_text path = { 0 };
    sc_runtime *runtime = NULL;
    sc_model *model = NULL;
    sc_session *session = NULL;
    sc_status status = sc_store_resolve(&path, argv[1], NULL, &err);
    if (status == SC_OK) status = sc_runtime_open(&runtime, &runtime_config, &err);
    sc_model_config model_config = { .path = path.data };
    if (status == SC_OK) status = sc_model_open(&model, runtime, &model_config, &err);
    if (status == SC_OK) fputs(sc_model_notice(model), stderr);
    if (status == SC_OK) status = sc_model_sample_defaults(model, &sample, &err);
    if (status == SC_OK) status = sc_session_open(&session, model, &session_config, &err);
    sample.max_tokens = 256;
    sample.seed = 1;
    if (argc > 2) add(&chat, "system", argv[2]);

    char line[LINE_BYTES];
    while (status == SC_OK && chat.n + 2 < TURNS_MAX && fgets(line, sizeof line, stdin)) {
        line[strcspn(line, "\n")] = 0;
        if (!line[0]) continue;
        printf("> %s\n", line);
        add(&chat, "user", line);
        status = answer(&chat, session, model, &sample, &err);
        add(&chat, "assistant", chat.answer);
    }
    if (status != SC_OK) fprintf(stderr, "chat: %s\n", err.message);
    for (size_t i = 0; i < chat.n; i++) free((char *)chat.message[i].content);
    sc_session_close(session);
    sc_model_close(model);
    sc_runtime_close(runtime);
    sc_text_free(&path);
    return status != SC_OK;
}
