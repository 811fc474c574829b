/* Labels: random dialogues rendered by every built-in template under every policy, against texts and trained spans that
 * this test builds on its own; the article's label vector; weights; cuts; packing.
 * STARCHAT_PROPERTY=100000 runs that many dialogues instead of a few thousand. */
#include "data/data.h"
#include "test.h"

/* ---- what a template must give, built by hand --------------------------------------------------------------------------- */

struct expected { struct buf text; struct span trained[64]; size_t n; };
struct shape { const char *name, *system_head, *system, *user_head, *answer_head, *prompt_newline, *end; bool always_system; };
static const struct shape shapes[] = {
    { "no_system", "<|system|>\n", "", "<|user|>\n", "<|assistant|>", "\n", "<|end|>", true },
    { "starchat-blog", "<|system|>\n", "Below is a dialogue between a human and an AI assistant called StarChat.", "<|user|>\n", "<|assistant|>", "\n", "<|end|>", true },
    { "default", "<|system|>\n",
      "Below is a dialogue between a human user and an AI assistant. The assistant is happy to help with almost anything, and will do its best to understand exactly what is needed.",
      "<|user|>\n", "<|assistant|>", "\n", "<|end|>", true },
    { "alpaca", "<|system|>\n", "Below is an instruction that describes a task. Write a response that appropriately completes the request.", "### Instruction:\n", "### Response:",
      "\n", "<|end|>", true },
    { "chatml", "<|im_start|>system\n", NULL, "<|im_start|>user\n", "<|im_start|>assistant\n", "", "<|im_end|>", false },
};

static void expect_span(struct expected *e, size_t begin, size_t end)
{
    if (begin >= end) return;
    if (e->n && e->trained[e->n - 1].end == begin) e->trained[e->n - 1].end = end;
    else e->trained[e->n++] = (struct span) { begin, end };
}

static void expect(struct expected *e, const struct shape *s, enum train_on policy, const json_t *messages)
{
    size_t i, last = SIZE_MAX;
    const json_t *m;
    *e = (struct expected) { 0 };
    json_array_foreach(messages, i, m)
        if (strcmp(json_string_value(json_object_get(m, "role")), "assistant") == 0) last = i;
    bool has_system = json_array_size(messages) && strcmp(json_string_value(json_object_get(json_array_get(messages, 0), "role")), "system") == 0;
    if (s->always_system && !has_system) {
        buf_printf(&e->text, "%s%s%s\n", s->system_head, s->system, s->end);
        if (policy == TRAIN_ON_BLOG) expect_span(e, 0, e->text.len);
    }
    json_array_foreach(messages, i, m) {
        const char *role = json_string_value(json_object_get(m, "role"));
        bool answer = strcmp(role, "assistant") == 0, user = strcmp(role, "user") == 0;
        size_t begin = e->text.len;
        buf_puts(&e->text, answer ? s->answer_head : user ? s->user_head : s->system_head);
        size_t train = e->text.len;
        if (answer) buf_puts(&e->text, s->prompt_newline);
        buf_puts(&e->text, json_string_value(json_object_get(m, "content")));
        buf_puts(&e->text, s->end);
        size_t end = e->text.len;
        buf_putc(&e->text, '\n');
        if (answer && (policy == TRAIN_ON_ASSISTANT || (policy == TRAIN_ON_LAST && i == last))) expect_span(e, train, end);
        if (policy == TRAIN_ON_BLOG && !user) expect_span(e, begin, e->text.len);
    }
    if (policy == TRAIN_ON_ALL) expect_span(e, 0, e->text.len);
}

/* ---- random dialogues ------------------------------------------------------------------------------------------------------ */

static uint64_t draws;
static uint32_t draw(uint32_t below) { return random_u32(7, 1, draws++) % below; }

static const char *const bits[] = {
    "a", "def f(x):", "\n", "\n\n", " ", "  ", "\t", "<|end|>", "<|assistant|>", "<|user|>\n", "<|im_end|>", "### Response:", "hello", " world", "123456", "é", "e\xCC\x81",
    "\xF0\x9F\x98\x80", "\xE4\xBD\xA0\xE5\xA5\xBD", "```python\n", "{{ x }}", "{% if %}", "\\n", "'", "\"", "<|", "|>", "\xE2\x80\x8D", "I'll", "\r\n", "<fim_prefix>", "<|endoftext|>",
};

static json_t *random_content(void)
{
    struct buf b;
    buf_init(&b, 0);
    for (uint32_t n = 1 + draw(12); n; n--) buf_puts(&b, bits[draw(sizeof bits / sizeof *bits)]);
    json_t *s = json_stringn(b.data, b.len);
    buf_release(&b);
    return s;
}

static json_t *random_dialogue(void)
{
    json_t *messages = json_array();
    if (draw(3) == 0) json_array_append_new(messages, json_pack("{s:s, s:o}", "role", "system", "content", random_content()));
    uint32_t turns = 1 + draw(draw(20) ? 6 : 40), first = draw(8) == 0;
    for (uint32_t i = 0; i < turns; i++) json_array_append_new(messages, json_pack("{s:s, s:o}", "role", (i + first) % 2 ? "assistant" : "user", "content", random_content()));
    return messages;
}

/* ---- checking -------------------------------------------------------------------------------------------------------------------- */

static bool overlaps(const struct expected *e, size_t begin, size_t end)
{
    for (size_t i = 0; i < e->n; i++)
        if (begin < e->trained[i].end && end > e->trained[i].begin) return true;
    return false;
}

/* True if all is as expected. */
static bool check_row(const struct tokenizer *t, const struct token_row *row, const struct expected *e, const char *what)
{
    bool good = row->text.len == e->text.len && memcmp(row->text.data, e->text.data, e->text.len) == 0;
    if (!good) { test_failed(__FILE__, __LINE__, "%s: text is \"%s\", expected \"%s\"", what, row->text.data, e->text.data); return false; }
    size_t *begin = mem_alloc((row->len + 1) * sizeof *begin), crossing = 0, wanted = 0;
    CHECK_OK(tokenizer_align(begin, t, row->id, row->len, row->text.data, row->text.len, err));
    struct buf decoded, trained;
    buf_init(&decoded, 0);
    buf_init(&trained, 0);
    for (size_t i = 0; i < row->len && good; i++) {
        bool is = flag_trained(row->flag[i]), should = overlaps(e, begin[i], begin[i + 1]);
        if (is != should) { test_failed(__FILE__, __LINE__, "%s: token %zu of \"%s\" is %strained", what, i, e->text.data, is ? "" : "not "); good = false; }
        tokenizer_decode(t, &decoded, row->id + i, 1, false);
        if (is) tokenizer_decode(t, &trained, row->id + i, 1, false);
        crossing += flag_why(row->flag[i]) == WHY_CROSSING;
    }
    if (good && (decoded.len != e->text.len || memcmp(decoded.data, e->text.data, decoded.len) != 0)) { test_failed(__FILE__, __LINE__, "%s: tokens do not spell the text", what); good = false; }
    for (size_t i = 0; i < e->n; i++) wanted += e->trained[i].end - e->trained[i].begin;
    if (good && !crossing && trained.len != wanted) { test_failed(__FILE__, __LINE__, "%s: trained tokens spell %zu bytes, expected %zu", what, trained.len, wanted); good = false; }
    buf_release(&decoded);
    buf_release(&trained);
    mem_free(begin);
    return good;
}

static void run_property(const char *tokenizer_path, size_t n)
{
    for (size_t s = 0; s < sizeof shapes / sizeof *shapes; s++) {
        struct tokenizer *t = NULL;
        struct chat_template chat = { 0 };
        CHECK_OK(tokenizer_open(&t, tokenizer_path, err));
        CHECK_OK(chat_template_open(&chat, shapes[s].name, err));
        size_t n_tokens = 0;
        while (n_tokens < 8 && chat.row->tokens[n_tokens]) n_tokens++;
        tokenizer_add(t, chat.row->tokens, n_tokens);
        bool good = true;
        for (int policy = TRAIN_ON_ASSISTANT; policy <= TRAIN_ON_BLOG && good; policy++) {
            struct renderer r;
            char what[100];
            CHECK_OK(renderer_open(&r, t, &chat, (enum train_on)policy, err));
            snprintf(what, sizeof what, "%s, policy %d", shapes[s].name, policy);
            for (size_t i = 0; i < n && good; i++) {
                struct dialogue d = { .messages = random_dialogue() };
                struct token_row row = { 0 };
                struct expected e;
                expect(&e, &shapes[s], (enum train_on)policy, d.messages);
                CHECK_OK(dialogue_render(&row, &r, &d, err));
                good = check_row(t, &row, &e, what);
                buf_release(&e.text);
                token_row_release(&row);
                json_decref(d.messages);
            }
            renderer_close(&r);
        }
        chat_template_release(&chat);
        tokenizer_close(t);
    }
}

static size_t property_size(size_t fallback)
{
    const char *n = getenv("STARCHAT_PROPERTY");
    return n ? strtoul(n, NULL, 10) / 20 : fallback;
}

TEST(labels_of_random_dialogues_bytes) { run_property(test_path("tests/golden/tokenizers/bytes/tokenizer.json"), property_size(500)); }

TEST(labels_of_random_dialogues_starcoder)
{
    const char *path = test_path("../shared/data/tokenizers/starcoder/tokenizer.json");
    if (path) run_property(path, property_size(500));
    else puts("skipped: the shared data is not there");
}

/* ---- the article's vector --------------------------------------------------------------------------------------------------------- */

static void check_blog(const char *template_name, int32_t user, int32_t assistant)
{
    static const int32_t tail[] = { 203, 69, 513, 30, 2769, 883, 439, 745, 436, 844, 49, 49155, 203 };
    struct tokenizer *t = NULL;
    struct chat_template chat = { 0 };
    struct renderer r;
    struct token_row row = { 0 };
    struct dialogue d = { .messages = json_pack("[{s:s, s:s}, {s:s, s:s}]", "role", "user", "content", "Hello, can you help me?", "role", "assistant", "content", "Sure, what can I do for you?") };
    CHECK_OK(tokenizer_open(&t, test_path("../shared/data/tokenizers/starcoder/tokenizer.json"), err));
    CHECK_OK(chat_template_open(&chat, template_name, err));
    tokenizer_add(t, chat.row->tokens, 4);
    CHECK_INT(tokenizer_find(t, "<|user|>", 8), user);
    CHECK_INT(tokenizer_find(t, "<|assistant|>", 13), assistant);
    CHECK_OK(renderer_open(&r, t, &chat, TRAIN_ON_BLOG, err));
    CHECK_OK(dialogue_render(&row, &r, &d, err));
    size_t at = 0;
    while (at < row.len && row.id[at] != user) at++;
    CHECK_INT(row.len - at, 11 + 14);
    for (size_t i = 0; i < 11; i++) CHECK(!flag_trained(row.flag[at + i]));
    CHECK_INT(row.id[at + 11], assistant);
    for (size_t i = 0; i < 14; i++) CHECK(flag_trained(row.flag[at + 11 + i]));
    for (size_t i = 0; i < 13; i++) CHECK_INT(row.id[at + 12 + i], tail[i]);
    token_row_release(&row);
    renderer_close(&r);
    json_decref(d.messages);
    chat_template_release(&chat);
    tokenizer_close(t);
}

TEST(label_vector_of_the_article)
{
    if (!test_path("../shared/data/tokenizers/starcoder/tokenizer.json")) { puts("skipped: the shared data is not there"); return; }
    check_blog("starchat-blog", 49154, 49153);
    check_blog("no_system", 49153, 49154);
}

/* ---- one by one ---------------------------------------------------------------------------------------------------------------------- */

struct fixture { struct tokenizer *t; struct chat_template chat; struct renderer r; };

static void fixture_open(struct fixture *f, const char *source, const char *const *tokens, size_t n_tokens)
{
    CHECK_OK(tokenizer_open(&f->t, test_path("tests/golden/tokenizers/bytes/tokenizer.json"), err));
    tokenizer_add(f->t, tokens, n_tokens);
    CHECK_OK(chat_template_from_source(&f->chat, source, strlen(source), "test", err));
    CHECK_OK(renderer_open(&f->r, f->t, &f->chat, TRAIN_ON_ASSISTANT, err));
}
static void fixture_close(struct fixture *f)
{
    renderer_close(&f->r);
    chat_template_release(&f->chat);
    tokenizer_close(f->t);
}

/* The bytes of the trained tokens. */
static void check_trained(const struct fixture *f, const char *messages, const char *expected)
{
    struct dialogue d = { .messages = json_loads(messages, 0, NULL) };
    struct token_row row = { 0 };
    struct buf b;
    buf_init(&b, 0);
    CHECK_OK(dialogue_render(&row, &f->r, &d, err));
    for (size_t i = 0; i < row.len; i++)
        if (flag_trained(row.flag[i])) tokenizer_decode(f->t, &b, row.id + i, 1, false);
    CHECK_STR(b.data ? b.data : "", expected);
    buf_release(&b);
    token_row_release(&row);
    json_decref(d.messages);
}

TEST(template_without_generation_marks)
{
    static const char *const tokens[] = { "<|head|>", "<|stop|>" };
    struct fixture f = { 0 };
    fixture_open(&f, "{% for m in messages %}<|head|>{{ m.role }}:\n{{ m.content | trim }}<|stop|>\n{% endfor %}{% if add_generation_prompt %}<|head|>assistant:{% endif %}", tokens, 2);
    CHECK_STR(f.r.prompt, "<|head|>assistant:");
    CHECK_STR(f.r.end, "<|stop|>");
    check_trained(&f, "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"  one <|stop|> two \"},{\"role\":\"user\",\"content\":\"u\"}]", "\none <|stop|> two<|stop|>");
    check_trained(&f, "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"a\",\"weight\":0},{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"b\",\"weight\":1}]",
                  "\nb<|stop|>");
    fixture_close(&f);
}

TEST(template_without_end_token)
{
    struct fixture f = { 0 };
    fixture_open(&f, "{% for m in messages %}[{{ m.role }}] {{ m.content }}\n{% endfor %}{% if add_generation_prompt %}[assistant] {% endif %}", NULL, 0);
    CHECK(f.r.end == NULL);
    check_trained(&f, "[{\"role\":\"user\",\"content\":\"u\"},{\"role\":\"assistant\",\"content\":\"an answer\"},{\"role\":\"user\",\"content\":\"u\"}]", "an answer");
    fixture_close(&f);
}

TEST(more_messages_than_tags)
{
    static const char *const tokens[] = { "<|end|>" };
    struct fixture f = { 0 };
    struct buf messages, expected;
    fixture_open(&f, "{% for m in messages %}{{ m.role }}: {{ m.content }}<|end|>{% endfor %}{% if add_generation_prompt %}assistant: {% endif %}", tokens, 1);
    buf_init(&messages, 0);
    buf_init(&expected, 0);
    for (int i = 0; i < 300; i++) {
        buf_printf(&messages, "%s{\"role\":\"%s\",\"content\":\"m%d\"}", i ? "," : "[", i % 2 ? "assistant" : "user", i);
        if (i % 2) buf_printf(&expected, "m%d<|end|>", i);
    }
    buf_putc(&messages, ']');
    check_trained(&f, messages.data, expected.data);
    buf_release(&messages);
    buf_release(&expected);
    fixture_close(&f);
}

/* ---- cuts and rows ------------------------------------------------------------------------------------------------------------------------ */

static struct token_row make_row(const char *who, const char *trained)
{
    size_t n = strlen(who);
    struct token_row row = { .id = mem_alloc(n * sizeof *row.id), .flag = mem_alloc(n), .len = n };
    for (size_t i = 0; i < n; i++) {
        row.id[i] = (int32_t)i;
        row.flag[i] = (uint8_t)((who[i] == 'u' ? WHO_USER : who[i] == 'a' ? WHO_ASSISTANT : WHO_SYSTEM) | (trained[i] == '1' ? FLAG_TRAINED : 0));
    }
    return row;
}

static void check_cut(const char *who, const char *trained, size_t limit, enum overlength how, const char *expected)
{
    struct token_row row = make_row(who, trained);
    struct sample_list l = { 0 };
    uint64_t dropped = 0, cut = 0;
    struct buf b;
    buf_init(&b, 0);
    CHECK_OK(samples_from_row(&l, &row, limit, how, &dropped, &cut, err));
    for (size_t i = 0; i < l.len; i++) buf_printf(&b, "%s%d+%u", i ? " " : "", l.sample[i].id[0], l.sample[i].len);
    buf_printf(&b, " -%d", (int)dropped);
    CHECK_STR(b.data, expected);
    buf_release(&b);
    sample_list_release(&l);
    token_row_release(&row);
}

TEST(cuts)
{
    check_cut("suuaauuaa", "000110011", 100, OVERLENGTH_SPLIT, "0+9 -0");
    check_cut("suuaauuaa", "000110011", 6, OVERLENGTH_SPLIT, "0+5 5+4 -0");          /* before the user's turn */
    check_cut("suuaaaaaa", "000111111", 5, OVERLENGTH_SPLIT, "0+5 5+4 -0");          /* inside a turn that fits nowhere */
    check_cut("suuuuuuaa", "000000011", 4, OVERLENGTH_SPLIT, "7+2 -2");              /* pieces without a trained token go */
    check_cut("suuaauuaa", "000110011", 6, OVERLENGTH_TRUNCATE, "0+6 -0");
    check_cut("suuaauuaa", "000110011", 6, OVERLENGTH_DROP, " -1");
    struct token_row row = make_row("uaa", "011");
    struct sample_list l = { 0 };
    uint64_t dropped = 0, cut = 0;
    CHECK_FAILS(samples_from_row(&l, &row, 2, OVERLENGTH_ERROR, &dropped, &cut, err), SC_E_ARGUMENT, "has 3 tokens and the limit is 2");
    token_row_release(&row);
}

struct seen { size_t rows, tokens, samples, free; uint64_t sum; size_t row_length; };
static sc_status see_row(void *user, const struct row *row, sc_error *err)
{
    struct seen *s = user;
    size_t tokens = 0;
    (void)err;
    for (size_t i = 0; i < row->len; i++) {
        s->samples++;
        tokens += row->sample[i].len;
        for (size_t k = 0; k < row->sample[i].len; k++) s->sum += (uint64_t)row->sample[i].id[k] * (flag_trained(row->sample[i].flag[k]) ? 3 : 1);
    }
    CHECK_INT(tokens, row->tokens);
    CHECK(tokens <= s->row_length);
    s->rows++;
    s->tokens += tokens;
    s->free += s->row_length - tokens;
    return SC_OK;
}

TEST(packing_keeps_every_token)
{
    for (int how = PACKING_BEST_FIT; how <= PACKING_CHOP; how++) {
        struct seen seen = { .row_length = 256 };
        struct packer *p = packer_open((enum packing)how, 256, see_row, &seen);
        uint64_t sum = 0;
        size_t tokens = 0;
        draws = 0;
        for (size_t i = 0; i < 20000; i++) {
            struct sample s = { .len = 1 + draw(draw(4) ? 60 : 256) };
            s.id = mem_alloc(s.len * sizeof *s.id);
            s.flag = mem_alloc(s.len);
            for (size_t k = 0; k < s.len; k++) {
                s.id[k] = (int32_t)draw(50000);
                s.flag[k] = draw(2) ? FLAG_TRAINED : 0;
                sum += (uint64_t)s.id[k] * (s.flag[k] ? 3 : 1);
            }
            tokens += s.len;
            CHECK_OK(packer_put(p, &s, err));
        }
        CHECK_OK(packer_finish(p, err));
        CHECK_INT(seen.tokens + packer_dropped_tokens(p), tokens);
        if (how != PACKING_CHOP) CHECK(seen.sum == sum);
        if (how == PACKING_BEST_FIT) CHECK((double)seen.free / (double)(seen.tokens + seen.free) < 0.01);
        if (how == PACKING_NONE) CHECK_INT(seen.rows, 20000);
        if (how == PACKING_CHOP) CHECK(packer_dropped_tokens(p) < 256 && seen.free == 0);
        packer_close(p);
    }
}
