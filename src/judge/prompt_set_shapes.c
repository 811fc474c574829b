/* prompt_set_shapes.c - records of files as prompts: what is asked, in which language of programming, and whether it is a question about code that somebody has. */
#include "prompt_set.h"

#include <stdlib.h>
#include <string.h>

/* ---- languages -------------------------------------------------------------------------------------------------------------------------------- */

/* Words as they may stand in a text: letters, digits, '+', '#', '.'. is_exact: with this case alone, as "go" and "r" are ordinary words or letters. */
struct language_word { const char *word, *language; bool is_exact; };
static const struct language_word language_words[] = {
    { "python", "python", false }, { "python3", "python", false }, { "py", "python", false }, { "pandas", "python", false }, { "numpy", "python", false }, { "matplotlib", "python", false }, { "django", "python", false },
    { "flask", "python", false }, { "pytest", "python", false }, { "pytorch", "python", false }, { "javascript", "javascript", false }, { "js", "javascript", false }, { "node.js", "javascript", false }, { "nodejs", "javascript", false },
    { "jquery", "javascript", false }, { "typescript", "typescript", false }, { "ts", "typescript", false }, { "tsx", "typescript", false }, { "jsx", "javascript", false }, { "c++", "cpp", false }, { "cpp", "cpp", false }, { "c#", "csharp", false },
    { "csharp", "csharp", false }, { "C", "c", true }, { "c", "c", true }, { "java", "java", false }, { "golang", "go", false }, { "Go", "go", true }, { "go", "go", true }, { "rust", "rust", false }, { "sql", "sql", false }, { "postgresql", "sql", false },
    { "postgres", "sql", false }, { "mysql", "sql", false }, { "sqlite", "sql", false }, { "bash", "bash", false }, { "shell", "bash", false }, { "sh", "bash", false }, { "zsh", "bash", false }, { "html", "html", false }, { "css", "css", false },
    { "R", "r", true }, { "r", "r", true }, { "ggplot2", "r", false }, { "php", "php", false }, { "ruby", "ruby", false }, { "swift", "swift", false }, { "kotlin", "kotlin", false }, { "scala", "scala", false }, { "haskell", "haskell", false },
    { "matlab", "matlab", false }, { "latex", "latex", false }, { "tikz", "latex", false }, { "perl", "perl", false }, { "lua", "lua", false }, { "julia", "julia", false }, { "powershell", "powershell", false }, { "zig", "zig", false },
};

static bool is_word_byte(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '+' || c == '#' || c == '.' || c == '_'; }

static const struct language_word *word_of(const char *word, size_t len, bool is_label)
{
    while (len && word[len - 1] == '.') len--;
    for (size_t i = 0; i < sizeof language_words / sizeof *language_words; i++) {
        const struct language_word *w = &language_words[i];
        if (strlen(w->word) == len && !strncasecmp(w->word, word, len) && (is_label || !w->is_exact || (!strncmp(w->word, word, len) && word[0] < 'a'))) return w;
    }
    return NULL;
}

static const char *language_of_label(const char *word, size_t len)
{
    const struct language_word *w = word_of(word, len, true);
    return w ? w->language : NULL;
}

/* "in C", "a Go program": the word before a name that is a letter or a word of other meaning. */
static bool leads_to_language(const char *word)
{
    static const char *const words[] = { "in", "a", "an", "the", "this", "my", "with", "using", "of", "for", "to", "from", "and", "or", "plain", "some", NULL };
    size_t n = 0;
    while (is_word_byte(word[n])) n++;
    for (size_t i = 0; words[i]; i++)
        if (strlen(words[i]) == n && !strncasecmp(words[i], word, n)) return true;
    return false;
}

const char *prompt_set_language(const char *text)
{
    const char *before = "";
    for (const char *fence = strstr(text, "```"); fence; fence = strstr(fence + 3, "```")) {
        size_t n = 0;
        while (is_word_byte(fence[3 + n])) n++;
        const char *found = n ? language_of_label(fence + 3, n) : NULL;
        if (found) return found;
    }
    for (const char *at = text; *at;) {
        size_t n = 0;
        while (is_word_byte(at[n])) n++;
        const struct language_word *w = n ? word_of(at, n, false) : NULL;
        if (w && (!w->is_exact || leads_to_language(before))) return w->language;
        if (n) before = at;
        at += n ? n : 1;
    }
    return "none";
}

/* ---- what is asked ------------------------------------------------------------------------------------------------------------------------------- */

static bool has_any(const char *text, const char *const *phrases)
{
    for (; *phrases; phrases++)
        if (strcasestr(text, *phrases)) return true;
    return false;
}

/* Lines that look like a program's. */
static bool has_code(const char *text)
{
    size_t n = 0;
    if (strstr(text, "```")) return true;
    for (const char *line = text; *line;) {
        size_t len = strcspn(line, "\n"), end = len;
        while (end && (line[end - 1] == ' ' || line[end - 1] == '\r')) end--;
        bool is_indented = len > 4 && (line[0] == '\t' || !strncmp(line, "    ", 4)), ends_so = end > 3 && strchr(";{}", line[end - 1]);
        n += is_indented || ends_so || !strncmp(line, "def ", 4) || !strncmp(line, "import ", 7) || !strncmp(line, "#include", 8) || !strncmp(line, "for ", 4) || !strncmp(line, "SELECT ", 7);
        line += len + (line[len] == '\n');
    }
    return n >= 2;
}

bool prompt_set_is_feedback(const char *text)
{
    static const char *const questions[] = { "what is wrong", "what's wrong", "whats wrong", "what did i do wrong", "fix ", "bug", "debug", "error", "not work", "n't work", "fails", "failing", "crash", "why does", "why is", "mistake", "wrong",
                                             "repair", "strange", " slow", "hangs", "leaks", "expected", "i expect", "the reason", "done right", "does not", "why?", "why,", "dangerous", "secure", "would you write", "i change", "improve", "better", "optimi", "faster", "refactor", "review", "clean up", "cleaner", NULL };
    return has_code(text) && has_any(text, questions);
}

static bool is_about_code(const char *text)
{
    static const char *const words[] = { " code", "coding", "program", "function", "script", "algorithm", "regex", "regular expression", " api", "database", "query", "compile", "debug", "software", " json", "linux", "docker", " git", NULL };
    return has_code(text) || strcmp(prompt_set_language(text), "none") != 0 || has_any(text, words);
}

/* ---- members ---------------------------------------------------------------------------------------------------------------------------------------- */

static const char *text_of(const json_t *o, const char *key)
{
    const char *text = json_string_value(json_object_get(o, key));
    return text && strlen(text) == json_string_length(json_object_get(o, key)) ? text : "";
}

static void set_text(json_t *row, const char *key, const char *text, size_t len)
{
    struct buf b;
    buf_init(&b, 0);
    utf8_repair(&b, text, len);
    json_object_set_new(row, key, json_stringn(b.data ? b.data : "", b.len));
    buf_release(&b);
}

static void set_trimmed(json_t *row, const char *key, const char *text)
{
    size_t len = strlen(text);
    while (len && strchr(" \t\r\n", text[len - 1])) len--;
    while (len && strchr("\r\n", text[0])) text++, len--;
    set_text(row, key, text, len);
}

/* "id" with what its number is one of: mbpp-11. */
static void set_id(json_t *row, const char *prefix, const json_t *id)
{
    char text[160];
    if (json_is_integer(id)) snprintf(text, sizeof text, "%s%s%" JSON_INTEGER_FORMAT, prefix, *prefix ? "-" : "", json_integer_value(id));
    else snprintf(text, sizeof text, "%s", json_is_string(id) ? json_string_value(id) : "");
    if (*text) set_text(row, "id", text, strlen(text));
}

/* ---- shapes -------------------------------------------------------------------------------------------------------------------------------------------- */

/* Turns of a list of texts, or of objects that hold them; a list of one is a prompt. */
static void set_turns(json_t *row, const json_t *turns)
{
    json_t *list = json_array();
    size_t i;
    const json_t *one;
    json_array_foreach(turns, i, one) {
        const json_t *text = json_is_object(one) ? json_object_get(one, "content") : one;
        if (json_is_string(text) && strlen(json_string_value(text)) == json_string_length(text)) json_array_append(list, (json_t *)(uintptr_t)text);
    }
    if (json_array_size(list) == 1) set_trimmed(row, "prompt", json_string_value(json_array_get(list, 0)));
    else if (json_array_size(list)) json_object_set(row, "turns", list);
    json_decref(list);
}

static void make_pack(json_t *row, const json_t *r)
{
    static const char *const questions[] = { "What is wrong with it, and how do I repair it?", "Why does it fail? Please show the corrected function.", "Please find the mistake and explain it.", "Can you tell me where the bug is and how to fix it?" };
    const char *task = text_of(r, "task_id"), *about = text_of(r, "docstring"), *slash = strchr(task, '/');
    char name[40];
    struct buf b;
    size_t len = strlen(about), number = slash ? strtoul(slash + 1, NULL, 10) : 0;
    snprintf(name, sizeof name, "%.*s", slash ? (int)(slash - task) : 0, task);
    const char *language = language_of_label(name, strlen(name)), *example = strstr(about, "\n>>>");
    if (example) len = (size_t)(example - about);
    buf_init(&b, 0);
    buf_puts(&b, "My function should do this:\n\n");
    buf_append(&b, about, len);
    while (b.len && strchr(" \t\r\n", b.data[b.len - 1])) b.len--;
    buf_printf(&b, "\n\nBut it does not work as it should. %s\n\n```%s\n%s%s\n```", questions[number % 4], language ? language : "", text_of(r, "declaration"), text_of(r, "buggy_solution"));
    set_text(row, "prompt", b.data, b.len);
    buf_clear(&b);
    buf_printf(&b, "Kind of the bug: %s (%s). A right version:\n\n```%s\n%s%s\n```", text_of(r, "bug_type"), text_of(r, "failure_symptoms"), language ? language : "", text_of(r, "declaration"), text_of(r, "canonical_solution"));
    set_text(row, "reference", b.data, b.len);
    buf_release(&b);
    set_text(row, "slice", "feedback", 8);
    if (language) set_text(row, "language", language, strlen(language));
}

static void make_mbpp(json_t *row, const json_t *r)
{
    static const char usual[] = "Write a function ", ours[] = "Write a Python function ";
    const char *text = *text_of(r, "text") ? text_of(r, "text") : text_of(r, "prompt");
    struct buf b;
    bool is_usual = strncmp(text, usual, sizeof usual - 1) == 0;
    buf_init(&b, 0);
    buf_printf(&b, "%s%s", is_usual ? ours : "", text + (is_usual ? sizeof usual - 1 : 0));
    if (b.len) set_text(row, "prompt", b.data, b.len);
    buf_release(&b);
    set_trimmed(row, "reference", text_of(r, "code"));
    set_text(row, "language", "python", 6);
    set_text(row, "slice", "instruction", 11);
}

static void make_alpaca(json_t *row, const json_t *r)
{
    const json_t *first = json_array_get(json_object_get(r, "instances"), 0), *from = json_is_object(first) ? first : r;
    const char *input = text_of(from, "input"), *answer = text_of(from, "output");
    struct buf b;
    buf_init(&b, 0);
    buf_puts(&b, text_of(r, "instruction"));
    if (*input && strcasecmp(input, "none") != 0 && strcasecmp(input, "<noinput>") != 0) buf_printf(&b, "\n\n%s", input);
    if (b.len) set_text(row, "prompt", b.data, b.len);
    buf_release(&b);
    if (*answer) set_trimmed(row, "reference", answer);
}

/* Arena-Hard, FastChat, Vicuna, and lines of anybody. */
static void make_turns(json_t *row, const json_t *r)
{
    static const char *const texts[] = { "prompt", "text", "question", NULL }, *const categories[] = { "cluster", "subcategory", "category", NULL };
    if (json_is_array(json_object_get(r, "turns"))) set_turns(row, json_object_get(r, "turns"));
    for (size_t i = 0; texts[i] && !json_object_get(row, "prompt") && !json_object_get(row, "turns"); i++)
        if (*text_of(r, texts[i])) set_trimmed(row, "prompt", text_of(r, texts[i]));
    for (size_t i = 0; categories[i] && !json_object_get(row, "category"); i++)
        if (*text_of(r, categories[i])) set_trimmed(row, "category", text_of(r, categories[i]));
    if (json_object_get(r, "reference")) json_object_set(row, "reference", json_object_get(r, "reference"));
}

/* needs: members of a record of that shape; licence: of the set that has it, NULL: the shape alone does not tell; is_mixed: not all of them are about code. */
struct shape { const char *name; const char *needs[3]; void (*make)(json_t *row, const json_t *record); const char *licence; bool is_mixed; };
static const struct shape shapes[] = {
    { "humanevalpack", { "buggy_solution", "declaration", "docstring" }, make_pack, "MIT", false },
    { "mbpp", { "task_id", "code", "test_list" }, make_mbpp, "CC-BY-4.0", false },
    { "alpaca", { "instruction", NULL }, make_alpaca, NULL, true },
    { "arena", { "uid", NULL }, make_turns, "Apache-2.0", true },
    { "fastchat", { "question_id", NULL }, make_turns, "Apache-2.0", true },
    { "", { "prompt", NULL }, make_turns, NULL, false },
    { "", { "turns", NULL }, make_turns, NULL, false },
    { "", { "question", NULL }, make_turns, NULL, false },
    { "", { "text", NULL }, make_turns, NULL, false },
};

static const struct shape *shape_of(const json_t *record)
{
    for (size_t i = 0; i < sizeof shapes / sizeof *shapes; i++) {
        size_t k = 0;
        while (k < 3 && shapes[i].needs[k] && json_object_get(record, shapes[i].needs[k])) k++;
        if (k == 3 || !shapes[i].needs[k]) return &shapes[i];
    }
    return NULL;
}

void prompt_set_text(struct buf *out, const json_t *row)
{
    const json_t *turn, *turns = json_object_get(row, "turns");
    size_t i;
    buf_puts(out, text_of(row, "prompt"));
    json_array_foreach(turns, i, turn) buf_printf(out, "%s%s", i ? "\n\n" : "", json_string_value(turn));
}

/* What a row says of itself counts before what can be guessed. */
static void set_rest(json_t *row, const struct shape *s, const json_t *r, const char *file, uint64_t line, const char *text)
{
    static const char *const kept[] = { "source", "review", "kind", "level", "licence" };
    const char *slash = strrchr(file, '/'), *base = slash ? slash + 1 : file, *slice = text_of(r, "slice"), *language = *text_of(r, "language") ? text_of(r, "language") : text_of(r, "lang");
    char place[300];
    if (s->licence && !s->is_mixed) snprintf(place, sizeof place, "%s (%s:%llu)", s->name, base, (unsigned long long)line);
    else snprintf(place, sizeof place, "%s:%llu", base, (unsigned long long)line);
    if (!json_object_get(row, "slice")) set_trimmed(row, "slice", *slice ? slice : prompt_set_is_feedback(text) ? "feedback" : "instruction");
    if (!json_object_get(row, "language")) set_trimmed(row, "language", *language ? language : prompt_set_language(text));
    for (size_t i = 0; i < sizeof kept / sizeof *kept; i++)
        if (*text_of(r, kept[i])) set_trimmed(row, kept[i], text_of(r, kept[i]));
    if (!json_object_get(row, "source")) set_text(row, "source", place, strlen(place));
    if (!json_object_get(row, "licence")) set_trimmed(row, "licence", *text_of(r, "license") ? text_of(r, "license") : s->licence ? s->licence : "unknown");
}

sc_status prompt_set_row(json_t **out, const char **why, const json_t *record, const char *file, uint64_t line, sc_error *err)
{
    static const char *const ids[] = { "id", "task_id", "uid", "question_id", NULL };
    const struct shape *s = json_is_object(record) ? shape_of(record) : NULL;
    struct buf text;
    *out = NULL;
    *why = NULL;
    if (!s) return FAIL(err, SC_E_FORMAT, "holds no prompt; expected a member \"prompt\" or \"turns\", or a record of MBPP, HumanEvalPack, Code Alpaca, Arena-Hard or FastChat");
    json_t *row = json_object();
    for (size_t i = 0; ids[i] && !json_object_get(row, "id"); i++) set_id(row, s->name, json_object_get(record, ids[i]));
    s->make(row, record);
    buf_init(&text, 0);
    prompt_set_text(&text, row);
    if (!text.len) *why = "empty";
    else if (text.len > PROMPT_BYTES_MAX) *why = "too_long";
    else if (s->is_mixed && !is_about_code(text.data)) *why = "not_about_code";
    else if (!strcmp(text_of(record, "review"), "rejected")) *why = "rejected";
    else set_rest(row, s, record, file, line, text.data);
    buf_release(&text);
    if (*why) json_decref(row);
    else *out = row;
    return SC_OK;
}
