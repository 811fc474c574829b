/* complete.c - continues a prompt and prints the text as it comes.
 *
 * Usage: complete MODEL PROMPT [MAX_TOKENS]      MODEL: a directory, a .gguf file or a name of `starchat list`
 * Build: cc complete.c $(pkg-config --cflags --libs starchat)
 * Ctrl-C ends the answer, not the program. */
#include <signal.h>
#include <starchat.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static sc_runtime *runtime;

static void interrupted(int signal_number)
{
    (void)signal_number;
    sc_cancel(runtime);                 /* may be called from a signal handler */
}

/* Whole characters, as soon as they cannot be part of a stop string any more. */
static int print_text(void *user, const char *utf8, size_t len)
{
    (void)user;
    fwrite(utf8, 1, len, stdout);
    return fflush(stdout);              /* a reader that left ends the answer */
}

static int failed(const sc_error *err)
{
    fprintf(stderr, "complete: %s\n", err->message);
    return 1;
}

int main(int argc, char **argv)
{
    if (argc < 3) { fputs("usage: complete MODEL PROMPT [MAX_TOKENS]\n", stderr); return 2; }
    sc_error err;
    sc_runtime_config runtime_config;
    sc_session_config session_config;
    sc_sample_config sample;
    sc_options_defaults(sc_options_for("runtime"), &runtime_config);
    sc_options_defaults(sc_options_for("session"), &session_config);
    sc_options_defaults(sc_options_for("sample"), &sample);

    /* What is not open stays NULL, so that all can be closed in one place. */
    sc_text path = { 0 };
    sc_tokens prompt = { 0 };
    sc_model *model = NULL;
    sc_session *session = NULL;
    sc_generation done;
    sc_status status = sc_store_resolve(&path, argv[1], NULL, &err);
    if (status == SC_OK) status = sc_runtime_open(&runtime, &runtime_config, &err);
    if (status == SC_OK) signal(SIGINT, interrupted);
    sc_model_config model_config = { .path = path.data };
    if (status == SC_OK) status = sc_model_open(&model, runtime, &model_config, &err);
    if (status == SC_OK) status = sc_model_sample_defaults(model, &sample, &err);
    sample.max_tokens = argc > 3 ? atoll(argv[3]) : 64;
    sample.temperature = 0;             /* the likeliest token each time */
    if (status == SC_OK) status = sc_session_open(&session, model, &session_config, &err);
    if (status == SC_OK) status = sc_encode(&prompt, sc_model_tokenizer(model), argv[2], strlen(argv[2]), false, &err);
    if (status == SC_OK) status = sc_session_sync(session, prompt.id, prompt.len, &err);
    if (status == SC_OK) status = sc_session_generate(&done, session, &sample, print_text, NULL, &err);
    if (status == SC_OK) {
        putchar('\n');
        fprintf(stderr, "%zu tokens in %.2f s, %s\n", done.tokens, done.seconds, done.reason == SC_STOP_END ? "the model ended" : "cut");
    }
    int code = status == SC_OK ? 0 : status == SC_E_CANCELLED ? 130 : failed(&err);
    sc_session_close(session);
    sc_tokens_free(&prompt);
    sc_model_close(model);
    sc_runtime_close(runtime);
    sc_text_free(&path);
    return code;
}
