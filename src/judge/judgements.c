/* judgements.c - calls of judges in files: our own lines, and how the rows of others (judgements_foreign.c) are kept. */
#include "judge_internal.h"

#include <math.h>
#include <string.h>

static const char *const winner_names[] = { NULL, "A", "B", "tie" };
const char *winner_name(enum judge_winner w) { return winner_names[w]; }

enum judge_winner winner_of(const char *name)
{
    for (int w = WINNER_A; name && w <= WINNER_TIE; w++)
        if (!strcmp(name, winner_names[w])) return (enum judge_winner)w;
    return WINNER_NONE;
}

size_t text_characters(const char *text) { return utf8_count(text, strlen(text)); }

/* ---- protocols by name ----------------------------------------------------------------------------------------------------------------------- */

const struct judge_protocol *protocol_cached(struct protocol_cache *c, const char *name)
{
    for (size_t i = 0; i < c->n; i++)
        if (!strcmp(c->name[i], name)) return c->at[i];
    if (c->n == sizeof c->at / sizeof *c->at) return NULL;
    bool is_known = false;
    for (size_t i = 0; judge_protocol_builtin(i) && !is_known; i++) is_known = !strcmp(judge_protocol_builtin(i), name);
    if (!is_known || judge_protocol_open(&c->at[c->n], name, NULL) != SC_OK) return NULL;
    c->name[c->n] = mem_strdup(name);
    return c->at[c->n++];
}

void protocol_cache_release(struct protocol_cache *c)
{
    for (size_t i = 0; i < c->n; i++) {
        judge_protocol_close(c->at[i]);
        mem_free(c->name[i]);
    }
    c->n = 0;
}

/* ---- style --------------------------------------------------------------------------------------------------------------------------------------- */

static bool is_header(const char *line, size_t len)
{
    size_t n = strspn(line, "#");
    return n >= 1 && n <= 6 && n < len && line[n] == ' ';
}

static bool is_item(const char *line, size_t len)
{
    size_t n = strspn(line, " \t");
    if (n + 1 < len && strchr("-*+", line[n]) && line[n + 1] == ' ') return true;
    size_t digits = strspn(line + n, "0123456789");
    return digits && digits <= 3 && n + digits + 1 < len && (line[n + digits] == '.' || line[n + digits] == ')') && line[n + digits + 1] == ' ';
}

struct judge_style judge_style_of(const char *text, size_t len)
{
    struct judge_style s = { 0 };
    size_t characters = 0, bold = 0;
    bool is_code = false;
    char *copy = mem_strndup(text, len);
    for (char *line = copy; *line;) {
        size_t n = strcspn(line, "\n");
        const char *begin = line + strspn(line, " \t");
        if (!strncmp(begin, "```", 3)) is_code = !is_code;
        else if (!is_code) {
            characters += utf8_count(line, n) + 1;
            s.headers += is_header(line, n);
            s.lists += is_item(line, n);
            for (size_t i = 0; i + 1 < n; i++)
                if (line[i] == '*' && line[i + 1] == '*') { bold++; i++; }
        }
        line += n + (line[n] == '\n');
    }
    mem_free(copy);
    s.tokens = (double)characters / 4;
    s.bold = (double)(bold / 2);
    return s;
}

/* ---- a list of judgements --------------------------------------------------------------------------------------------------------------------------- */

void judgement_release(struct judgement *j)
{
    char *const text[] = { j->judge, j->protocol, j->id, j->slice, j->language, j->text, j->error, j->canary, j->model[0], j->model[1] };
    for (size_t i = 0; i < sizeof text / sizeof *text; i++) mem_free(text[i]);
    *j = (struct judgement){ 0 };
}

void judgements_release(struct judgements *j)
{
    for (size_t i = 0; i < j->n; i++) judgement_release(&j->at[i]);
    mem_free(j->at);
    *j = (struct judgements){ 0 };
}

/* Names of models with a version behind a colon, "bard:20230327", also answer to the name alone where only one has it. */
static const struct judge_answer *find_answer(const struct judge_answers *a, const char *model, const char *id)
{
    const struct judge_answer *found = judge_answers_find(a, model, id);
    size_t len = strlen(model), n = 0;
    for (size_t i = 0; !found && i < a->n; i++) {
        const struct judge_answer *one = &a->at[i];
        if (strcmp(one->id, id) != 0 || strncmp(one->model, model, len) != 0 || one->model[len] != ':') continue;
        n++;
        if (n == 1) continue;
        return NULL;
    }
    for (size_t i = 0; !found && n == 1 && i < a->n; i++)
        if (!strcmp(a->at[i].id, id) && !strncmp(a->at[i].model, model, len) && a->at[i].model[len] == ':') found = &a->at[i];
    return found;
}

static void measure_answers(struct judgement *j, const struct judge_answers *answers)
{
    for (int side = 0; answers && side < 2 && j->model[side]; side++) {
        const struct judge_answer *a = find_answer(answers, j->model[side], j->id);
        if (!a || a->n_turns < (size_t)j->turn) continue;
        const char *text = a->turn[j->turn - 1];
        j->length[side] = (double)text_characters(text);
        j->style[side] = judge_style_of(text, strlen(text));
    }
}

static void parse_by(struct judgement *j, const struct judge_protocol *p)
{
    sc_error err = { 0 };
    mem_free(j->error);
    j->error = NULL;
    if (judge_parse(&j->opinion, p, j->text ? j->text : "", j->text ? strlen(j->text) : 0, NULL, &err) != SC_OK) j->error = mem_strdup(err.message);
    mem_free(j->protocol);
    j->protocol = mem_strdup(judge_protocol_name(p));
}

void judgement_add(struct judgement_reading *r, struct judgement *j)
{
    struct judgements *out = r->out;
    double low, high;
    bool has_share = r->forced && r->forced->form == JUDGE_TOKEN && isfinite(j->opinion.share);       /* its probabilities are in no text */
    if (r->forced && !has_share && judge_protocol_is_pair(r->forced) == (j->model[1] != NULL)) parse_by(j, r->forced);
    const struct judge_protocol *p = r->forced ? r->forced : protocol_cached(&r->protocols, j->protocol);
    if (p && judge_protocol_range(p, &low, &high)) {
        out->low = low;
        out->high = high;
    }
    measure_answers(j, r->answers);
    if (!(out->n & (out->n - 1))) out->at = mem_grow(out->at, (out->n ? 2 * out->n : 1) * sizeof *out->at);      /* room doubles at powers of two */
    out->at[out->n++] = *j;
    *j = (struct judgement){ 0 };
}

/* ---- our own lines --------------------------------------------------------------------------------------------------------------------------------- */

static json_t *style_json(const struct judge_style *s)
{
    return json_pack("{s:f, s:f, s:f, s:f}", "tokens", s->tokens, "headers", s->headers, "lists", s->lists, "bold", s->bold);
}

static void set_verdict(json_t *out, const struct judgement *j)
{
    if (j->opinion.n_scores) {
        json_t *scores = json_array();
        for (int i = 0; i < j->opinion.n_scores; i++) json_array_append_new(scores, json_real(j->opinion.score[i]));
        json_object_set_new(out, "scores", scores);
    }
    if (!j->error && winner_name(j->opinion.winner)) json_object_set_new(out, "winner", json_string(winner_name(j->opinion.winner)));
    if (!j->error && j->opinion.strength > 1) json_object_set_new(out, "strength", json_integer(j->opinion.strength));
    if (!j->error && isfinite(j->opinion.share) && j->opinion.share > 0) json_object_set_new(out, "share", json_real(j->opinion.share));
    if (j->error) json_object_set_new(out, "error", json_string(j->error));
}

json_t *judgement_json(const struct judgement *j)
{
    static const char *const keys[] = { "slice", "language", "canary" };
    char *const text[] = { j->slice, j->language, j->canary };
    int sides = j->model[1] ? 2 : 1;
    json_t *models = json_array(), *lengths = json_array(), *styles = json_array(), *marks = json_array();
    for (int i = 0; i < sides; i++) {
        json_array_append_new(models, json_string(j->model[i] ? j->model[i] : ""));
        json_array_append_new(lengths, json_real_or_null(j->length[i]));
        if (isfinite(j->style[i].tokens)) json_array_append_new(styles, style_json(&j->style[i]));
        if (j->marks >> i & 1) json_array_append_new(marks, json_integer(i));
    }
    json_t *out = json_pack("{s:s, s:s, s:s, s:i, s:o}", "judge", j->judge, "protocol", j->protocol, "id", j->id, "turn", j->turn, "models", models);
    for (size_t i = 0; i < 3; i++)
        if (text[i]) json_object_set_new(out, keys[i], json_string(text[i]));
    if (j->canary) json_object_set_new(out, "canary_slot", json_integer(j->canary_slot));
    set_verdict(out, j);
    json_object_set_new(out, "lengths", lengths);
    if ((int)json_array_size(styles) == sides) json_object_set(out, "style", styles);
    json_decref(styles);
    if (json_array_size(marks)) json_object_set(out, "marks", marks);
    json_decref(marks);
    json_object_set_new(out, "text", j->text ? json_string(j->text) : json_null());
    return out;
}

static sc_status take_scores(struct judgement *j, const json_t *row, sc_error *err)
{
    const json_t *scores = json_object_get(row, "scores");
    j->opinion.n_scores = (int)(json_array_size(scores) < 2 ? json_array_size(scores) : 2);
    for (int i = 0; i < j->opinion.n_scores; i++) {
        const json_t *one = json_array_get(scores, (size_t)i);
        if (!json_is_number(one) || !isfinite(json_number_value(one))) return FAIL(err, SC_E_FORMAT, "\"scores\" holds something that is no number");
        j->opinion.score[i] = json_number_value(one);
    }
    return SC_OK;
}

static sc_status take_sides(struct judgement *j, const json_t *row, sc_error *err)
{
    static const char *const models[] = { "models", NULL };
    const json_t *lengths = json_object_get(row, "lengths"), *styles = json_object_get(row, "style"), *one;
    char **name;
    size_t n, i;
    TRY(judge_take_list(&name, &n, row, models, err));
    for (i = 0; i < n && i < 2; i++) {
        j->model[i] = name[i];
        name[i] = NULL;
        const json_t *style = json_array_get(styles, i);
        if (json_is_number(json_array_get(lengths, i))) j->length[i] = json_number_value(json_array_get(lengths, i));
        if (json_is_object(style)) j->style[i] = (struct judge_style){ json_number_value(json_object_get(style, "tokens")), json_number_value(json_object_get(style, "headers")), json_number_value(json_object_get(style, "lists")), json_number_value(json_object_get(style, "bold")) };
    }
    judge_list_release(name, n);
    if (n < 1 || n > 2) return FAIL(err, SC_E_FORMAT, "\"models\" names %zu models, expected one or two", n);
    json_array_foreach(json_object_get(row, "marks"), i, one)
        if (json_is_integer(one) && json_integer_value(one) >= 0 && json_integer_value(one) <= 1) j->marks |= 1 << json_integer_value(one);
    return SC_OK;
}

static sc_status take_own(struct judgement *j, const json_t *row, sc_error *err)
{
    static const char *const keys[][2] = { { "judge", NULL }, { "protocol", NULL }, { "id", NULL }, { "slice", NULL }, { "language", NULL }, { "text", NULL }, { "error", NULL }, { "canary", NULL } };
    char **const to[] = { &j->judge, &j->protocol, &j->id, &j->slice, &j->language, &j->text, &j->error, &j->canary };
    const char *winner;
    int64_t turn, strength, slot;
    for (size_t i = 0; i < sizeof to / sizeof *to; i++) {
        TRY(judge_take_text(to[i], row, keys[i], err));
        if (!*to[i] && i < 3) return FAIL(err, SC_E_FORMAT, "has no \"%s\"", keys[i][0]);
    }
    TRY(json_opt_int(&turn, row, "turn", 1, 1, 1000, "a judgement", err));
    TRY(json_opt_int(&strength, row, "strength", 1, 1, 2, "a judgement", err));
    TRY(json_opt_int(&slot, row, "canary_slot", 0, 0, 1, "a judgement", err));
    TRY(json_opt_string(&winner, row, "winner", NULL, "a judgement", err));
    TRY(json_opt_real(&j->opinion.share, row, "share", (double)NAN, 0, 1, "a judgement", err));
    j->turn = (int)turn;
    j->opinion.strength = (int)strength;
    j->canary_slot = (int)slot;
    TRY(take_sides(j, row, err));
    TRY(take_scores(j, row, err));
    j->opinion.winner = winner_of(winner);
    bool has_verdict = j->opinion.n_scores > 0 || j->opinion.winner != WINNER_NONE;
    if (winner && j->opinion.winner == WINNER_NONE) return FAIL(err, SC_E_FORMAT, "\"winner\" is none of A, B and tie");
    if (!j->error && !has_verdict) return FAIL(err, SC_E_FORMAT, "has neither \"scores\" nor \"winner\" nor \"error\"");
    if (j->opinion.n_scores && j->opinion.n_scores != (j->model[1] ? 2 : 1)) return FAIL(err, SC_E_FORMAT, "\"scores\" has %d, expected one for each of \"models\", which names %d", j->opinion.n_scores, j->model[1] ? 2 : 1);
    if (!j->error && j->model[1] && j->opinion.winner == WINNER_NONE && j->opinion.n_scores == 2)
        j->opinion.winner = j->opinion.score[0] > j->opinion.score[1] ? WINNER_A : j->opinion.score[0] < j->opinion.score[1] ? WINNER_B : WINNER_TIE;
    j->has_stored = !j->error;
    j->stored_winner = j->opinion.winner;
    for (int i = 0; i < j->opinion.n_scores; i++) j->stored_score[i] = j->opinion.score[i];
    return SC_OK;
}

/* ---- files ------------------------------------------------------------------------------------------------------------------------------------------- */

void judgement_begin(struct judgement *j)
{
    *j = (struct judgement){ .turn = 1, .length = { (double)NAN, (double)NAN }, .opinion = { .strength = 1, .share = (double)NAN } };
    j->style[0].tokens = j->style[1].tokens = (double)NAN;
}

sc_status judgements_row(void *user, json_t *row, const char *file, uint64_t line, sc_error *err)
{
    struct judgement_reading *r = user;
    (void)line;
    if (!json_is_string(json_object_get(row, "judge")) || !json_object_get(row, "protocol")) return judgement_foreign(r, row, file, err);
    struct judgement j;
    judgement_begin(&j);
    sc_status status = take_own(&j, row, err);
    if (status == SC_OK) judgement_add(r, &j);
    else judgement_release(&j);
    return status;
}

sc_status judgements_read(struct judgements *out, const char *path, const struct judge_answers *answers, const char *protocol, sc_error *err)
{
    struct judgement_reading r = { .out = out, .answers = answers };
    struct judge_protocol *forced = NULL;
    size_t before = out->n;
    size_t room = 1;
    while (room < before) room *= 2;
    if (before) out->at = mem_grow(out->at, room * sizeof *out->at);         /* whoever made the list, it grows by judgement_add's rule from here on */
    else out->low = out->high = (double)NAN;
    if (protocol) TRY(judge_protocol_open(&forced, protocol, err));
    r.forced = forced;
    char *own = path_join(path, "judgements.jsonl");
    sc_status status = judge_read_rows(path_is_directory(path) && path_exists(own) ? own : path, judgements_row, &r, err);
    if (status == SC_OK && out->n == before) status = FAIL(err, SC_E_FORMAT, "%s holds no judgements", path);
    if (status == SC_OK) judgements_name_pairs(out);
    mem_free(own);
    protocol_cache_release(&r.protocols);
    judge_protocol_close(forced);
    return status;
}
