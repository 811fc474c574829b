/* prompt_set_write.c - a model writes more prompts: it is shown a few of the set and asked for one of another kind, as a JSON object. What is no such object, or is like one that is there,
 * is asked for again, a few rounds long. */
#include "prompt_set.h"

#include "judge/judge_run.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

enum { ROUNDS = 4, EXAMPLES = 4, EXAMPLE_BYTES = 1500, ANSWER_TOKENS = 1024 };

/* ---- what is asked -------------------------------------------------------------------------------------------------------------------------------- */

static const char *const levels[] = { "a beginner", "somebody with a year of practice", "an experienced programmer" };
static const char *const kinds[] = {
    "to write a function or a small program", "for a plot or another picture of data", "to explain a piece of code or a concept", "for a regular expression", "for an SQL query", "to clean, join or count data",
    "how something is done with a tool of programmers", "a question that comes up on the first days of programming", "for tests of a given function", "to make code from one language into another",
};
static const char *const languages[] = { "python", "javascript", "python", "cpp", "java", "python", "sql", "c", "go", "python", "rust", "bash", "typescript", "python", "html", "r" };
#define COUNT(a) (sizeof(a) / sizeof *(a))

static uint32_t below(const struct prompt_set *s, size_t round, size_t i, size_t k, size_t n) { return random_u32(s->seed, 1 + round * 1000003 + i, k) % (uint32_t)n; }

static const char *language_title(const char *language)
{
    static const char *const titles[][2] = { { "python", "Python" }, { "javascript", "JavaScript" }, { "cpp", "C++" }, { "java", "Java" }, { "sql", "SQL" }, { "c", "C" }, { "go", "Go" }, { "rust", "Rust" }, { "bash", "shell scripts" }, { "typescript", "TypeScript" }, { "html", "HTML and CSS" }, { "r", "R" } };
    for (size_t i = 0; i < COUNT(titles); i++)
        if (!strcmp(titles[i][0], language)) return titles[i][1];
    return language;
}

static void put_examples(struct buf *b, const struct prompt_set *s, size_t round, size_t i, bool is_feedback)
{
    size_t shown = 0;
    for (size_t k = 0; shown < EXAMPLES && k < 40 * EXAMPLES; k++) {
        const struct set_row *row = &s->at[below(s, round, i, 100 + k, s->n)];
        struct buf text;
        buf_init(&text, 0);
        prompt_set_text(&text, row->row);
        bool fits = row->is_feedback == is_feedback && text.len <= EXAMPLE_BYTES;
        if (fits) {
            buf_puts(b, "{\"prompt\": ");
            buf_put_json_string(b, text.data, text.len);
            buf_puts(b, "}\n\n");
            shown++;
        }
        buf_release(&text);
    }
}

/* The request for prompt i of a round. */
static void put_request(struct buf *b, const struct prompt_set *s, size_t round, size_t i, bool is_feedback, const char *language)
{
    const char *title = language_title(language), *level = levels[below(s, round, i, 0, COUNT(levels))];
    buf_puts(b, "You help to measure how well coding assistants help people. These are messages that people wrote to one:\n\n");
    put_examples(b, s, round, i, is_feedback);
    buf_printf(b, "Write one more message of this sort, as %s would write it, on %s. ", level, title);
    if (is_feedback) buf_puts(b, "The person shows a complete piece of code that contains a real mistake (or is much slower or worse than it need be) and asks what is wrong, why it fails or how it can be better. Do not tell the mistake. ");
    else buf_printf(b, "The person asks %s. ", kinds[below(s, round, i, 1, COUNT(kinds))]);
    buf_puts(b, "It must be about something else than the messages above, hold all that is needed to answer it, and have a clear right answer. Do not answer it yourself.\n\n"
                "Reply with one JSON object and nothing else: {\"prompt\": \"the message\"}");
}

/* ---- what comes back -------------------------------------------------------------------------------------------------------------------------------- */

sc_status prompt_set_reply(json_t **out, const char *text, size_t len, sc_error *err)
{
    const char *begin = memchr(text, '{', len), *end = begin ? memrchr(begin, '}', len - (size_t)(begin - text)) : NULL, *why;
    json_t *reply;
    *out = NULL;
    if (!end) return FAIL(err, SC_E_FORMAT, "the answer holds no JSON object");
    TRY(json_read(&reply, begin, (size_t)(end - begin) + 1, "the answer", err));
    const json_t *prompt = json_object_get(reply, "prompt");
    sc_status status = SC_OK;
    if (!json_is_string(prompt) || strlen(json_string_value(prompt)) != json_string_length(prompt)) status = FAIL(err, SC_E_FORMAT, "the answer's object has no text \"prompt\"");
    if (status == SC_OK) {
        json_t *row = json_pack("{s:O, s:s, s:s, s:s}", "prompt", (json_t *)(uintptr_t)prompt, "source", "written", "licence", "unknown", "review", "pending");
        status = prompt_set_row(out, &why, row, "written", 1, err);
        json_decref(row);
        if (status == SC_OK && !*out) status = FAIL(err, SC_E_FORMAT, "the answer's prompt is %s", why);
    }
    json_decref(reply);
    return status;
}

/* ---- rounds --------------------------------------------------------------------------------------------------------------------------------------------- */

struct request_place { bool is_feedback; const char *language; };
struct round { struct prompt_set *set; const struct prompt_writer *writer; struct budget *budget; char *directory, *prompts, *answers; struct request_place *place; size_t number, n; };

static sc_status write_requests(const struct round *r, sc_error *err)
{
    struct buf lines, text;
    buf_init(&lines, 0);
    for (size_t i = 0; i < r->n; i++) {
        buf_init(&text, 0);
        put_request(&text, r->set, r->number, i, r->place[i].is_feedback, r->place[i].language);
        buf_printf(&lines, "{\"id\":\"%zu\",\"prompt\":", i);
        buf_put_json_string(&lines, text.data, text.len);
        buf_puts(&lines, "}\n");
        buf_release(&text);
    }
    sc_status status = file_write(r->prompts, lines.data, lines.len, err);
    buf_release(&lines);
    return status;
}

static void take_answer(const struct round *r, const struct judge_answer *a, const char *spec)
{
    json_t *row = NULL;
    sc_error why;
    size_t i = strtoul(a->id, NULL, 10);
    const char *hash = strrchr(spec, '#'), *name = hash ? hash + 1 : spec;
    if (!a->n_turns || i >= r->n || prompt_set_reply(&row, a->turn[0], strlen(a->turn[0]), &why) != SC_OK) {
        prompt_set_count(r->set, "invalid", 1);
        return;
    }
    bool is_feedback = prompt_set_is_feedback(json_string_value(json_object_get(row, "prompt")));
    if (is_feedback != r->place[i].is_feedback) {              /* another thing was asked for */
        prompt_set_count(r->set, "invalid", 1);
        json_decref(row);
        return;
    }
    json_object_set_new(row, "source", json_sprintf("written by %s", name));
    prompt_set_add(r->set, row);
}

/* is_spent: the budget left some unanswered. */
static sc_status ask(const struct round *r, bool *is_spent, sc_error *err)
{
    const struct prompt_writer *w = r->writer;
    sc_judge_config j = *w->judge;
    sc_text summary = { 0 };
    struct judge_answers answers = { 0 };
    j.prompts = r->prompts;
    j.out = r->answers;
    j.temperature = 1;
    j.top_p = 0.95;
    j.max_new_tokens = ANSWER_TOKENS;
    j.limit = 0;
    j.dry_run = false;
    TRY(write_requests(r, err));
    sc_status status = answers_run(&summary, w->runtime, w->spec, w->model, &j, r->budget, err);
    json_t *told = summary.data ? json_loadb(summary.data, summary.len, 0, NULL) : NULL;
    const char *why = json_string_value(json_object_get(told, "why"));
    *is_spent = why && !strcmp(why, "budget");
    json_decref(told);
    sc_text_free(&summary);
    if (status != SC_OK || !path_exists(r->answers)) return status;
    TRY(judge_answers_read(&answers, r->answers, NULL, err));
    for (size_t i = 0; i < answers.n; i++) take_answer(r, &answers.at[i], w->spec);
    judge_answers_release(&answers);
    return SC_OK;
}

/* Which of the n that are missing are feedback, and in what language. */
static void place_requests(struct round *r, size_t feedback)
{
    for (size_t i = 0; i < r->n; i++) r->place[i] = (struct request_place){ i < feedback, languages[(i + r->number * 5) % COUNT(languages)] };
}

static sc_status run_round(struct prompt_set *s, const struct prompt_writer *w, struct budget *budget, bool *is_spent, const char *directory, size_t number, size_t n, size_t feedback, sc_error *err)
{
    char name[64];
    size_t first = s->n;
    struct round r = { .set = s, .writer = w, .budget = budget, .number = number, .n = n, .place = mem_zero(n + 1, sizeof *r.place) };
    snprintf(name, sizeof name, "round-%zu-prompts.jsonl", number);
    r.prompts = path_join(directory, name);
    snprintf(name, sizeof name, "round-%zu-answers.jsonl", number);
    r.answers = path_join(directory, name);
    place_requests(&r, feedback);
    sc_status status = ask(&r, is_spent, err);
    if (status == SC_OK && w->against && *w->against && s->n > first) status = prompt_set_against(s, first, w->against, err);
    mem_free(r.prompts);
    mem_free(r.answers);
    mem_free(r.place);
    return status;
}

static void count_new(const struct prompt_set *s, size_t first, size_t of[2])
{
    of[0] = of[1] = 0;
    for (size_t i = first; i < s->n; i++) of[s->at[i].is_feedback]++;
}

sc_status prompt_set_write(struct prompt_set *s, const struct prompt_writer *w, size_t n, sc_error *err)
{
    size_t first = s->n, feedback = (size_t)lround(w->feedback * (double)n), of[2] = { 0 };
    struct budget budget = budget_of(w->judge);                /* of all rounds together */
    bool is_spent = false;
    char *directory = mem_zero(strlen(w->judge->out) + 16, 1);
    memcpy(directory, w->judge->out, strlen(w->judge->out));
    memcpy(directory + strlen(w->judge->out), ".writing", 8);
    remove_plain_directory(directory);
    sc_status status = path_make_directories(directory, err);
    for (size_t round = 0; status == SC_OK && !is_spent && round < ROUNDS && of[0] + of[1] < n; round++) {
        status = run_round(s, w, &budget, &is_spent, directory, round, n - of[0] - of[1], feedback - of[1], err);
        count_new(s, first, of);
    }
    remove_plain_directory(directory);
    mem_free(directory);
    prompt_set_count(s, "written", (int64_t)(of[0] + of[1]));
    budget_tell(s->counts, &budget);
    if (status != SC_OK || of[0] + of[1] == n) return status;
    if (is_spent) return FAIL(err, SC_E_PEER, "the budget ended it: %zu of %zu prompts are written; the same command with a new budget goes on, what came back is kept", of[0] + of[1], n);
    return FAIL(err, SC_E_PEER, "%s wrote %zu of %zu prompts in %d rounds: %lld answers held none of the kind that was asked for; ask a larger model, or for fewer with --write", w->spec, of[0] + of[1], n, ROUNDS,
                (long long)json_integer_value(json_object_get(s->counts, "invalid")));
}
