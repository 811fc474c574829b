/* chat_commands.c - what can be typed with a slash. One row each; /help is made of the rows. Reads $VISUAL, $EDITOR and
 * $TMPDIR for /edit. */
#include "cmd/chat.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static enum chat_next run_help(struct chat *c, const char *rest)
{
    (void)rest;
    FILE *to = c->terminal.out;
    for (const struct chat_command *r = chat_commands; r->name; r++) {
        char left[40];
        snprintf(left, sizeof left, "/%s %s", r->name, r->operand);
        fprintf(to, "  %-22s%s\n", left, r->help);
    }
    fputs("Several lines: paste them, press Alt-Enter, end a line with \\,\n"
          "or put them between ``` or \"\"\" lines.\n"
          "Ctrl-C stops an answer and clears a line; Ctrl-D leaves;\n"
          "Up and Ctrl-R find what you typed; Tab completes.\n", to);
    return CHAT_GO_ON;
}

static enum chat_next run_quit(struct chat *c, const char *rest)
{
    (void)c; (void)rest;
    return CHAT_LEAVE;
}

/* ---- the conversation -------------------------------------------------------------------------------------------------------------- */

static enum chat_next run_system(struct chat *c, const char *rest)
{
    const char *now = conversation_system(&c->talk);
    if (c->has_fewshot) chat_dim(c, "with --few-shot the prompt file says how the assistant behaves; there is no system message");
    else if (!*rest && now) chat_dim(c, "%s", now);
    else if (!*rest) chat_dim(c, "there is no system message; /system TEXT sets one");
    else if (strcmp(rest, "off") == 0) {
        conversation_set_system(&c->talk, NULL);
        chat_dim(c, "system message removed");
    } else {
        conversation_set_system(&c->talk, rest);
        chat_dim(c, "system message set; it holds from the next answer on");
    }
    return CHAT_GO_ON;
}

/* Answers the last message again; the old answer comes back if there is no new one. */
static enum chat_next run_regen(struct chat *c, const char *rest)
{
    (void)rest;
    size_t user = conversation_last_user(&c->talk);
    if (user == c->talk.n) {
        chat_dim(c, "there is no message to answer yet");
        return CHAT_GO_ON;
    }
    if (c->sample.temperature <= 0) chat_dim(c, "(temperature is 0, so the answer will be the same; /set temperature 0.7 varies it)");
    struct string old = { 0 };
    bool had_answer = user + 1 < c->talk.n;
    if (had_answer) string_puts(&old, c->talk.message[user + 1].content);
    conversation_cut(&c->talk, user + 1);
    enum answer_end end = chat_answer(c);
    bool is_new = c->talk.n > user + 1;
    if (is_new) chat_autosave(c);
    else if (had_answer) conversation_add(&c->talk, "assistant", old.len ? old.data : "", old.len);
    string_release(&old);
    if (is_new || end == ANSWER_FAILED) chat_report(c, end);
    else chat_dim(c, "(stopped; the old answer stays)");
    return CHAT_GO_ON;
}

/* The beginning of a text on one line. */
static void preview(char *out, size_t out_bytes, const char *text)
{
    size_t n = strcspn(text, "\n"), most = out_bytes - 4;
    if (n > most) {
        for (n = most; n && (text[n] & 0xc0) == 0x80;) n--;
    }
    snprintf(out, out_bytes, "%.*s%s", (int)n, text, text[n] ? "..." : "");
}

static enum chat_next run_undo(struct chat *c, const char *rest)
{
    (void)rest;
    char text[80];
    size_t user = conversation_last_user(&c->talk);
    if (user == c->talk.n) {
        chat_dim(c, "there is nothing to take back");
        return CHAT_GO_ON;
    }
    preview(text, sizeof text, c->talk.message[user].content);
    conversation_cut(&c->talk, user);
    chat_autosave(c);
    chat_dim(c, "taken back: %s", text);
    return CHAT_GO_ON;
}

static enum chat_next run_clear(struct chat *c, const char *rest)
{
    (void)rest;
    conversation_clear(&c->talk);
    kept_forget(c);
    chat_dim(c, conversation_system(&c->talk) ? "new conversation; the system message stays" : "new conversation");
    return CHAT_GO_ON;
}

/* ---- /edit -------------------------------------------------------------------------------------------------------------------------- */

/* Runs the editor as the shell would ("code --wait" has an argument); Ctrl-C is the editor's meanwhile. */
static bool run_editor(const char *path)
{
    const char *editor = getenv("VISUAL");
    if (!editor || !*editor) editor = getenv("EDITOR");
    if (!editor || !*editor) editor = "vi";
    struct string command = { 0 };
    string_printf(&command, "%s \"$1\"", editor);
    pid_t child = fork();
    if (child == 0) {
        sigset_t none;
        sigemptyset(&none);
        sigprocmask(SIG_SETMASK, &none, NULL);
        execl("/bin/sh", "sh", "-c", command.data, "sh", path, (char *)NULL);
        _exit(127);
    }
    string_release(&command);
    int status = -1;
    while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) { }
    return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

/* The text as the person leaves it, in `out`; false after a message, or when nothing is left. */
static bool edit_text(struct chat *c, struct string *out, const char *text)
{
    const char *directory = getenv("TMPDIR");
    char *path = path_in(directory && *directory ? directory : "/tmp", "starchat-XXXXXX.md");
    int fd = mkstemps(path, 3);
    bool ok = fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text);
    if (fd >= 0) close(fd);
    if (!ok) fail_text("%s cannot be written: %s", path, strerror(errno));
    bool was_run = ok && run_editor(path);
    (void)terminal_take_interrupt(&c->terminal);
    if (ok && !was_run) fail_text("the editor failed, so the message stays as it was; $VISUAL or $EDITOR names another");
    FILE *from = was_run ? fopen(path, "rb") : NULL;
    size_t len = 0;
    char *edited = from ? read_all(from, FILE_BYTES_MAX, &len, path) : NULL;
    if (from) fclose(from);
    if (fd >= 0) unlink(path);
    if (edited) {
        const char *begin = text_trim(edited, &len);
        string_add_repaired(out, begin, len);
    }
    free(edited);
    free(path);
    if (was_run && !out->len) chat_dim(c, "nothing written, nothing sent");
    return was_run && out->len;
}

/* The edited message replaces the last one and what followed; if there is no answer, all stays as it was. */
static enum chat_next run_edit(struct chat *c, const char *rest)
{
    (void)rest;
    size_t user = conversation_last_user(&c->talk), n = c->talk.n;
    struct string text = { 0 }, question = { 0 }, answer = { 0 };
    if (user < n) string_puts(&question, c->talk.message[user].content);
    if (user + 1 < n) string_puts(&answer, c->talk.message[user + 1].content);
    string_add(&text, "", 0);
    if (edit_text(c, &text, question.len ? question.data : "")) {
        history_append(c, text.data);
        conversation_cut(&c->talk, user);
        enum answer_end end = chat_ask(c, text.data, text.len);
        if (c->talk.n <= user && user < n) {
            conversation_add(&c->talk, "user", question.data, question.len);
            if (user + 1 < n) conversation_add(&c->talk, "assistant", answer.len ? answer.data : "", answer.len);
        }
        chat_report(c, end);
    }
    string_release(&text);
    string_release(&question);
    string_release(&answer);
    return CHAT_GO_ON;
}

/* ---- files --------------------------------------------------------------------------------------------------------------------------- */

static enum chat_next run_save(struct chat *c, const char *rest)
{
    bool is_forced = strncmp(rest, "-f ", 3) == 0;
    size_t len = strlen(rest) - (is_forced ? 3 : 0);
    struct string name = { 0 };
    const char *trimmed = text_trim(rest + (is_forced ? 3 : 0), &len);
    string_add(&name, trimmed, len);
    char *path = path_expand(name.data);
    if (!*path) chat_dim(c, "/save needs a file name");
    else if (!is_forced && access(path, F_OK) == 0) chat_dim(c, "%s is there already; /save -f %s replaces it", path, name.data);
    else if (chat_write(c, path)) chat_dim(c, "saved %zu messages to %s", c->talk.n, path);
    else fail_text("%s cannot be written: %s", path, strerror(errno));
    free(path);
    string_release(&name);
    return CHAT_GO_ON;
}

static void show_last(struct chat *c)
{
    size_t user = conversation_last_user(&c->talk);
    if (user == c->talk.n) return;
    fputs(">>> ", stdout);
    print_text(stdout, c->talk.message[user].content, strlen(c->talk.message[user].content));
    fputc('\n', stdout);
    if (user + 1 < c->talk.n) {
        markdown_begin(&c->markdown, stdout, use_color(c->common, stdout));
        markdown_put(&c->markdown, c->talk.message[user + 1].content, strlen(c->talk.message[user + 1].content));
        markdown_end(&c->markdown);
        fputc('\n', stdout);
    } else chat_dim(c, "(not answered yet: /regen)");
}

void chat_adopt(struct chat *c, struct saved *s, bool settings)
{
    conversation_release(&c->talk);
    c->talk = s->talk;
    s->talk = (struct conversation){ 0 };
    if (settings && s->has_settings) {
        sc_sample_config now = c->sample;
        c->sample = s->sample;
        c->sample.stop = now.stop;
        c->sample.n_stop = now.n_stop;
    }
    chat_dim(c, "%zu messages%s%s%s", c->talk.n, s->model ? ", written with " : "", s->model ? s->model : "", settings && s->has_settings ? "; settings as saved" : "");
    show_last(c);
}

static void load_file(struct chat *c, const char *path)
{
    struct saved s;
    if (chat_read(&s, c, path) != ARGS_GO) return;
    kept_forget(c);
    chat_adopt(c, &s, true);
    saved_release(&s);
}

static void load_kept(struct chat *c, const char *name)
{
    struct saved s;
    char *id;
    if (kept_id(&id, c, strtoul(name, NULL, 10)) != ARGS_GO) return;
    if (!id) chat_dim(c, "there is no conversation %s; /load lists them", name);
    else if (kept_read(&s, c, id) == ARGS_GO) {
        chat_adopt(c, &s, true);
        kept_adopted(c);
        saved_release(&s);
    }
    free(id);
}

/* A file, or a number of the list of kept ones. */
static enum chat_next run_load(struct chat *c, const char *rest)
{
    size_t len = strlen(rest);
    struct string name = { 0 };
    const char *trimmed = text_trim(rest, &len);
    string_add(&name, trimmed, len);
    char *path = path_expand(name.data);
    if (!len) kept_show(c);
    else if (strspn(name.data, "0123456789") == len && access(path, F_OK) != 0) load_kept(c, name.data);
    else load_file(c, path);
    free(path);
    string_release(&name);
    return CHAT_GO_ON;
}

/* ---- figures and settings -------------------------------------------------------------------------------------------------------------- */

static enum chat_next run_tokens(struct chat *c, const char *rest)
{
    (void)rest;
    sc_error err = { 0 };
    sc_tokens t = { 0 };
    const struct answer_figures *f = &c->last;
    if (c->has_fewshot) {
        struct conversation none = { 0 }, talk = c->talk;
        c->talk = none;
        if (chat_encode(c, &t, &err) == SC_OK) chat_dim(c, "few-shot prompt  %zu tokens, read once and kept", t.len);
        c->talk = talk;
        sc_tokens_free(&t);
    }
    if (c->has_figures) {
        chat_dim(c, "last prompt      %zu tokens, %zu of them reused, %zu read", f->prompt, f->reused, f->prompt - f->reused);
        chat_dim(c, "last answer      %zu tokens in %.2f s, the first after %.2f s", f->tokens, f->seconds, f->first_seconds);
    }
    if ((c->talk.n || c->has_fewshot) && chat_encode(c, &t, &err) == SC_OK) {
        size_t room = sc_session_capacity(c->session), used = t.len < room ? t.len : room;
        chat_dim(c, "context          %zu of %zu tokens used (%zu %%), %zu left", used, room, used * 100 / room, room - used);
    } else chat_dim(c, "context          %zu tokens, all free", sc_session_capacity(c->session));
    sc_tokens_free(&t);
    return CHAT_GO_ON;
}

/* The value of one option out of the record of all, as text. */
static void option_value(char *out, size_t out_bytes, const sc_sample_config *config, const char *name)
{
    sc_text record = { 0 };
    char key[80];
    *out = 0;
    if (sc_options_record(&record, sc_options_for("sample"), config) != SC_OK) return;
    snprintf(key, sizeof key, "\"%s\":", name);
    const char *at = strstr(record.data, key);
    if (at) {
        at += strlen(key);
        at += strspn(at, " ");
        size_t n = strcspn(at, ",}\n");
        if (memchr(at, '.', n)) snprintf(out, out_bytes, "%g", strtod(at, NULL));
        else snprintf(out, out_bytes, "%.*s", (int)n, at);
    }
    sc_text_free(&record);
}

static void show_settings(struct chat *c, const char *name)
{
    sc_option_row row;
    char value[64];
    for (size_t i = 0; sc_options_row(&row, sc_options_for("sample"), i); i++) {
        if (name && strcmp(name, row.name) != 0) continue;
        option_value(value, sizeof value, &c->sample, row.name);
        chat_dim(c, "%-18s %-8s %s", row.name, value, row.help);
    }
}

/* The row's own name for what was typed ("temp"); what is unknown stays. */
static void option_name(char *out, size_t out_bytes, const char *typed, size_t len)
{
    struct option_ref ref;
    snprintf(out, out_bytes, "%.*s", (int)(len < out_bytes ? len : out_bytes - 1), typed);
    if (option_find(&ref, &command_chat, out) && !ref.flag && sc_options_has(sc_options_for("sample"), ref.row.name, NULL))
        snprintf(out, out_bytes, "%s", ref.row.name);
}

static enum chat_next run_set(struct chat *c, const char *rest)
{
    const sc_options *o = sc_options_for("sample");
    char name[48];
    sc_error err = { 0 };
    size_t n = strcspn(rest, " \t=\n"), len = strlen(rest + n);
    option_name(name, sizeof name, rest, n);
    const char *value = text_trim(rest + n, &len);
    if (len && *value == '=') {
        value++;
        len--;
        value = text_trim(value, &len);
    }
    if (!*name || (!len && sc_options_has(o, name, NULL))) {
        show_settings(c, *name ? name : NULL);
        return CHAT_GO_ON;
    }
    conversation_add(&c->given, "given", value, len);      /* the config may borrow it */
    if (sc_options_set(o, &c->sample, name, c->given.message[c->given.n - 1].content, &err) == SC_OK) show_settings(c, name);
    else fail_with(c->common, &err);
    return CHAT_GO_ON;
}

const struct chat_command chat_commands[] = {
    { "regen", "retry", "", "answer the last message again", run_regen },
    { "undo", NULL, "", "take the last exchange back", run_undo },
    { "edit", NULL, "", "change the last message in $EDITOR and ask again", run_edit },
    { "system", NULL, "[TEXT|off]", "show or set the system message", run_system },
    { "clear", "new", "", "begin a new conversation", run_clear },
    { "save", NULL, "FILE", "write the conversation as JSON", run_save },
    { "load", NULL, "[FILE|N]", "list the kept ones, go on with one", run_load },
    { "tokens", NULL, "", "what fills the context, what was reused", run_tokens },
    { "set", NULL, "[NAME [VALUE]]", "show or change temperature, top_p, max_tokens ...", run_set },
    { "help", "?", "", "this list", run_help },
    { "quit", "exit", "", "leave (Ctrl-D)", run_quit },
    { NULL, NULL, NULL, NULL, NULL },
};
