/* render.c - a dialogue to tokens, each with who speaks, whether it is trained and why.
 *
 * Labels come from where the text came from, never from looking for token ids afterwards: the template engine says for
 * every byte which message it is of, or that the template wrote it. An answer is trained from behind what the
 * generation prompt already contains up to and including the end token. A template with {% generation %} says itself
 * what is generated. A token is trained if any of its bytes is. */
#include "data/data.h"

#include <string.h>

const char *const who_names[WHO_COUNT] = { "template", "system", "user", "assistant", "tool", "text", "padding" };
const char *const why_help[WHY_COUNT] = {
    "not the assistant's", "already in the prompt for an answer", "the assistant's answer", "ends the answer", "begins outside of the answer and ends in it",
    "behind the end of the answer", "not the last answer", "its message has weight 0", "the policy trains it", "plain text", "fills the row",
};

/* One message in the rendered text. `begin`, `end`: bytes of its content with template text inside; the region is the
 * whole turn; [train_begin, train_end) is what an answer must be. */
struct block { size_t message, begin, end, region_begin, region_end, train_begin, train_end; enum token_who who; };
struct layout {
    const struct renderer *r; const char *text; const uint8_t *mark; size_t len;
    const json_t *messages;
    struct block *block; size_t n_blocks;
    uint8_t *flag;                                        /* a byte of flags for each byte of text */
};

static enum token_who who_of(const json_t *message)
{
    const char *role = json_string_value(json_object_get(message, "role"));
    for (int who = WHO_SYSTEM; role && who <= WHO_TOOL; who++)
        if (strcmp(role, who_names[who]) == 0) return (enum token_who)who;
    return WHO_TEMPLATE;
}

/* Tags repeat every MARK_MESSAGES messages: the one nearest to the last seen is meant. */
static size_t message_of(unsigned tag, size_t last)
{
    size_t i = last - last % MARK_MESSAGES + tag - 1;
    if (i + MARK_MESSAGES / 2 < last) i += MARK_MESSAGES;
    else if (i > last + MARK_MESSAGES / 2 && i >= MARK_MESSAGES) i -= MARK_MESSAGES;
    return i;
}

static void find_blocks(struct layout *l)
{
    size_t cap = 0, last = 0, n = json_array_size(l->messages);
    for (size_t at = 0; at < l->len;) {
        unsigned tag = mark_message(l->mark[at]);
        size_t begin = at;
        while (at < l->len && mark_message(l->mark[at]) == tag) at++;
        size_t message = tag ? message_of(tag, last) : n;
        if (message >= n) continue;
        last = message;
        struct block *before = l->n_blocks ? &l->block[l->n_blocks - 1] : NULL;
        if (before && before->message == message) { before->end = at; continue; }
        if (l->n_blocks == cap) l->block = mem_grow(l->block, (cap = 2 * cap + 16) * sizeof *l->block);
        l->block[l->n_blocks++] = (struct block) { .message = message, .begin = begin, .end = at, .who = who_of(json_array_get(l->messages, message)) };
    }
}

/* First place of the end token in template text of [from, to); SIZE_MAX: none. */
static size_t find_end(const struct layout *l, size_t from, size_t to)
{
    size_t n = l->r->end ? strlen(l->r->end) : 0;
    for (const char *p = l->text + from; n && (p = memmem(p, (size_t)(l->text + to - p), l->r->end, n)) != NULL; p++) {
        size_t at = (size_t)(p - l->text);
        if (l->mark[at] & MARK_TRUSTED && l->mark[at + n - 1] & MARK_TRUSTED) return at;
    }
    return SIZE_MAX;
}

static size_t skip_template_space(const struct layout *l, size_t at, size_t to)
{
    while (at < to && mark_message(l->mark[at]) == 0 && strchr(" \n\r\t", l->text[at]) && l->text[at]) at++;
    return at;
}

/* Behind the last end token (and its newline) of [from, to), else `from`. */
static size_t behind_last_end(const struct layout *l, size_t from, size_t to)
{
    size_t found;
    while ((found = find_end(l, from, to)) != SIZE_MAX) from = skip_template_space(l, found + strlen(l->r->end), to);
    return from;
}

/* Where the answer begins: behind the generation prompt if that stands in the turn, else at its content. */
static size_t find_answer(const struct layout *l, const struct block *b)
{
    size_t n = strlen(l->r->prompt);
    const char *p = n ? memmem(l->text + b->region_begin, b->end - b->region_begin, l->r->prompt, n) : NULL;
    return p && (size_t)(p - l->text) <= b->begin ? (size_t)(p - l->text) + n : b->begin;
}

static void measure_blocks(struct layout *l)
{
    size_t done = 0;
    for (size_t i = 0; i < l->n_blocks; i++) {
        struct block *b = &l->block[i];
        size_t next = i + 1 < l->n_blocks ? l->block[i + 1].begin : l->len, end = find_end(l, b->end, next);
        b->region_begin = behind_last_end(l, done, b->begin);
        b->train_end = end == SIZE_MAX ? b->end : end + strlen(l->r->end);
        b->region_end = skip_template_space(l, b->train_end, next);
        b->train_begin = find_answer(l, b);
        done = b->region_end;
    }
}

/* ---- flags of bytes ---------------------------------------------------------------------------------------------------- */

static void flag_fill(struct layout *l, size_t begin, size_t end, enum token_who who, bool trained, enum token_why why)
{
    if (begin < end) memset(l->flag + begin, (int)(who | (trained ? FLAG_TRAINED : 0) | (unsigned)why << FLAG_WHY_SHIFT), end - begin);
}

static bool has_weight(const json_t *message)
{
    const json_t *weight = json_object_get(message, "weight");
    return !json_is_number(weight) || json_number_value(weight) > 0;
}

/* The turn's flags before the policies `all` and `blog`. */
static void flag_block(struct layout *l, const struct block *b, bool is_last_answer)
{
    if (b->who != WHO_ASSISTANT) { flag_fill(l, b->region_begin, b->region_end, b->who, false, WHY_NOT_ASSISTANT); return; }
    enum token_why why = !has_weight(json_array_get(l->messages, b->message)) ? WHY_WEIGHT : l->r->train_on == TRAIN_ON_LAST && !is_last_answer ? WHY_NOT_LAST : WHY_ANSWER;
    bool trained = why == WHY_ANSWER, by_template = false;
    for (size_t i = b->region_begin; i < b->region_end && !by_template; i++) by_template = l->mark[i] & MARK_GENERATED;
    flag_fill(l, b->region_begin, b->region_end, WHO_ASSISTANT, false, WHY_IN_PROMPT);
    flag_fill(l, b->train_end, b->region_end, WHO_ASSISTANT, false, WHY_BEHIND_END);
    if (!by_template) { flag_fill(l, b->train_begin, b->train_end, WHO_ASSISTANT, trained, why); return; }
    for (size_t i = b->region_begin; i < b->region_end; i++)
        if (l->mark[i] & MARK_GENERATED) flag_fill(l, i, i + 1, WHO_ASSISTANT, trained, why);
}

static void flag_bytes(struct layout *l)
{
    size_t last_answer = SIZE_MAX;
    for (size_t i = 0; i < l->n_blocks; i++)
        if (l->block[i].who == WHO_ASSISTANT) last_answer = i;
    flag_fill(l, 0, l->len, WHO_TEMPLATE, false, WHY_NOT_ASSISTANT);
    for (size_t i = 0; i < l->n_blocks; i++) flag_block(l, &l->block[i], i == last_answer);
    if (l->r->train_on != TRAIN_ON_ALL && l->r->train_on != TRAIN_ON_BLOG) return;
    /* The article's intended mask leaves out the user's turns, from their token to the next turn, and nothing else. */
    for (size_t i = 0; i < l->len; i++) {
        enum token_who who = flag_who(l->flag[i]);
        bool trained = l->r->train_on == TRAIN_ON_ALL || who != WHO_USER;
        flag_fill(l, i, i + 1, who, trained, trained ? flag_trained(l->flag[i]) ? WHY_ANSWER : WHY_POLICY : WHY_NOT_ASSISTANT);
    }
}

/* ---- flags of tokens --------------------------------------------------------------------------------------------------- */

static uint8_t token_flag(const struct layout *l, size_t begin, size_t end)
{
    size_t n_trained = 0, first = begin;
    if (begin >= l->len) return l->len ? l->flag[l->len - 1] : 0;
    if (end <= begin) end = begin + 1;
    for (size_t i = begin; i < end; i++)
        if (flag_trained(l->flag[i]) && n_trained++ == 0) first = i;
    uint8_t flag = l->flag[first];
    enum token_why why = flag_why(flag);
    if (n_trained && n_trained < end - begin) why = WHY_CROSSING;
    else if (why == WHY_ANSWER && l->r->end && strlen(l->r->end) == end - begin && memcmp(l->text + begin, l->r->end, end - begin) == 0 && l->mark[begin] & MARK_TRUSTED) why = WHY_END;
    return (uint8_t)((flag & (FLAG_WHO | FLAG_TRAINED)) | (unsigned)why << FLAG_WHY_SHIFT);
}

static sc_status label_tokens(struct token_row *out, struct layout *l, const struct rendered *rendered, sc_error *err)
{
    struct token_list ids = { 0 };
    tokenizer_encode(l->r->tokenizer, &ids, l->text, l->len, rendered->trusted, rendered->n_trusted);
    size_t *begin = mem_alloc((ids.len + 1) * sizeof *begin);
    sc_status status = tokenizer_align(begin, l->r->tokenizer, ids.id, ids.len, l->text, l->len, err);
    if (status == SC_OK) {
        out->flag = mem_alloc(ids.len + 1);
        for (size_t i = 0; i < ids.len; i++) out->flag[i] = token_flag(l, begin[i], begin[i + 1]);
        out->id = ids.id;
        out->len = ids.len;
        ids.id = NULL;
    }
    mem_free(begin);
    token_list_release(&ids);
    return status;
}

/* ---- messages ------------------------------------------------------------------------------------------------------------ */

/* The messages with contents in the tokenizer's Unicode form; mostly they are, and nothing is copied. */
static json_t *normal_messages(const struct tokenizer *t, json_t *messages)
{
    json_t *copy = NULL, *m;
    size_t i;
    json_array_foreach(messages, i, m) {
        const json_t *content = json_object_get(m, "content");
        if (!json_is_string(content) || tokenizer_is_normal(t, json_string_value(content), json_string_length(content))) continue;
        struct buf b;
        buf_init(&b, 0);
        tokenizer_normalize(t, &b, json_string_value(content), json_string_length(content));
        if (!copy) copy = json_copy(messages);
        json_t *changed = json_copy(m);
        json_object_set_new(changed, "content", json_stringn(b.data ? b.data : "", b.len));
        json_array_set_new(copy, i, changed);
        buf_release(&b);
    }
    return copy ? copy : json_incref(messages);
}

static sc_status render_messages(struct rendered *out, const struct renderer *r, json_t *messages, json_t *tools, bool add_prompt, sc_error *err)
{
    json_t *variables = json_copy(r->tokens);
    json_object_set(variables, "messages", messages);
    if (tools) json_object_set(variables, "tools", tools);
    json_object_set_new(variables, "add_generation_prompt", json_boolean(add_prompt));
    sc_status status = jinja_render(out, r->chat->jinja, variables, r->now, template_token_names, err);
    json_decref(variables);
    return status;
}

/* Pre-training: all of the text, and the end token behind it. */
static void render_text(struct token_row *out, const struct renderer *r, const char *text)
{
    struct token_list ids = { 0 };
    int32_t end = tokenizer_role(r->tokenizer, TOKEN_EOS);
    tokenizer_encode(r->tokenizer, &ids, text, strlen(text), NULL, 0);
    if (end >= 0) token_list_push(&ids, end);
    out->flag = mem_alloc(ids.len + 1);
    memset(out->flag, WHO_TEXT | FLAG_TRAINED | WHY_TEXT << FLAG_WHY_SHIFT, ids.len);
    out->id = ids.id;
    out->len = ids.len;
    out->text = (sc_text) { mem_strdup(text), strlen(text) };
}

sc_status dialogue_render(struct token_row *out, const struct renderer *r, const struct dialogue *d, sc_error *err)
{
    struct rendered rendered = { 0 };
    *out = (struct token_row) { 0 };
    if (d->text) { render_text(out, r, d->text); return SC_OK; }
    json_t *messages = normal_messages(r->tokenizer, d->messages);
    sc_status status = render_messages(&rendered, r, messages, d->tools, false, err);
    if (status == SC_OK) {
        struct layout l = { .r = r, .text = rendered.text.data, .mark = rendered.mark, .len = rendered.text.len, .messages = messages };
        l.flag = mem_alloc(l.len + 1);
        find_blocks(&l);
        measure_blocks(&l);
        flag_bytes(&l);
        status = label_tokens(out, &l, &rendered, err);
        mem_free(l.flag);
        mem_free(l.block);
        if (status == SC_OK) {
            out->text = rendered.text;
            rendered.text = (sc_text) { 0 };
        }
    }
    rendered_release(&rendered);
    json_decref(messages);
    return status;
}

void token_row_release(struct token_row *row)
{
    mem_free(row->id);
    mem_free(row->flag);
    sc_text_free(&row->text);
    *row = (struct token_row) { 0 };
}

/* ---- what a template does ------------------------------------------------------------------------------------------------------ */

/* What add_generation_prompt appends to a dialogue that a user ended. */
static sc_status find_prompt(struct renderer *r, sc_error *err)
{
    json_t *messages = json_pack("[{s:s, s:s}]", "role", "user", "content", "question");
    struct rendered with = { 0 }, without = { 0 };
    sc_status status = SC_OK;
    TRY_DONE(render_messages(&with, r, messages, NULL, true, err));
    TRY_DONE(render_messages(&without, r, messages, NULL, false, err));
    size_t same = 0;
    while (same < without.text.len && same < with.text.len && with.text.data[same] == without.text.data[same]) same++;
    mem_free(r->prompt);
    r->prompt = mem_strndup(with.text.data + same, with.text.len - same);
done:
    rendered_release(&with);
    rendered_release(&without);
    json_decref(messages);
    return status;
}

/* The first special token of the template behind an answer. */
static sc_status find_end_token(struct renderer *r, sc_error *err)
{
    json_t *messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "user", "content", "question", "role", "assistant", "content", "answer");
    struct rendered text = { 0 };
    struct token_list ids = { 0 };
    sc_status status = SC_OK;
    TRY_DONE(render_messages(&text, r, messages, NULL, false, err));
    size_t at = text.text.len;
    while (at && mark_message(text.mark[at - 1]) != 2) at--;
    struct span all = { 0, text.text.len - at };
    tokenizer_encode(r->tokenizer, &ids, text.text.data + at, text.text.len - at, &all, 1);
    for (size_t i = 0; i < ids.len && at && !r->end; i++) {
        size_t n;
        const char *bytes = tokenizer_bytes(r->tokenizer, ids.id[i], &n);
        if (bytes && tokenizer_is_special(r->tokenizer, ids.id[i])) r->end = mem_strndup(bytes, n);
    }
done:
    token_list_release(&ids);
    rendered_release(&text);
    json_decref(messages);
    return status;
}

sc_status renderer_open(struct renderer *out, const struct tokenizer *t, const struct chat_template *chat, enum train_on train_on, sc_error *err)
{
    sc_status status = SC_OK;
    /* Dates in a template must not make two runs differ: it is always the day of the article. */
    *out = (struct renderer) { .tokenizer = t, .chat = chat, .tokens = template_tokens(t), .train_on = train_on, .now = 1683590400, .prompt = mem_strdup("") };
    TRY_DONE(find_prompt(out, err));
    TRY_DONE(find_end_token(out, err));
    return SC_OK;
done:
    renderer_close(out);
    return error_prefix(err, status, "the chat template does not render a question and an answer");
}

void renderer_close(struct renderer *r)
{
    json_decref(r->tokens);
    mem_free(r->prompt);
    mem_free(r->end);
    *r = (struct renderer) { 0 };
}
