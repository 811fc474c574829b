/* cmd_cache.c - what the prompt cache holds, and how to be rid of it. */
#include "cmd/cmd.h"

#include <string.h>

static void print_plain(const char *json)
{
    char bytes[32], most[32];
    json_t *o = json_loads(json, 0, NULL);
    const char *directory = json_string_value(json_object_get(o, "directory"));
    format_bytes(bytes, sizeof bytes, json_number_value(json_object_get(o, "bytes")));
    format_bytes(most, sizeof most, json_number_value(json_object_get(o, "max_bytes")));
    print_text(stdout, directory ? directory : "", directory ? strlen(directory) : 0);
    printf("\n%lld files, %s of at most %s\n", (long long)json_integer_value(json_object_get(o, "files")), bytes, most);
    json_decref(o);
}

static int run_cache(const struct command *self, int argc, char **argv)
{
    struct args a;
    sc_prompt_cache *cache = NULL;
    sc_prompt_cache_config config;
    sc_text text = { 0 }, directory = { 0 };
    sc_error err = { 0 };
    int code = args_parse(&a, self, argc, argv, (void *const[]){ &config });
    if (code != ARGS_GO) return code;
    sc_status status = sc_prompt_cache_home(&directory, &err);
    config.directory = directory.data;
    if (status == SC_OK) status = sc_prompt_cache_open(&cache, &config, &err);
    if (status == SC_OK && args_has(&a, "clear")) {
        char bytes[32];
        format_bytes(bytes, sizeof bytes, (double)sc_prompt_cache_clear(cache));
        note(&a.common, "Removed %s.", bytes);
    } else if (status == SC_OK) {
        status = sc_prompt_cache_describe(&text, cache);
        if (a.common.json) printf("%s\n", text.data);
        else print_plain(text.data);
    }
    code = status == SC_OK ? EXIT_DONE : fail_with(&a.common, &err);
    sc_text_free(&text);
    sc_text_free(&directory);
    sc_prompt_cache_close(cache);
    return code;
}

static const char *const tables[] = { "prompt_cache", NULL }, *const hidden[] = { "prompt_cache", "prompt_cache_seconds", NULL };
static const struct flag flags[] = {
    { "clear", NULL, NULL, "remove all of it", NULL },
    FLAG_JSON,
    FLAG_END,
};
const struct command command_cache = {
    .name = "cache", .operands = "", .summary = "what long prompts left on disk; --clear removes it",
    .run = run_cache, .tables = tables, .flags = flags, .hidden = hidden,
    .details = "`chat` and `complete` keep the state of prompts of 256 tokens or more that took a second to read, and find it\n"
               "again by the longest common beginning. Answers are the same with and without. The files are for their owner\n"
               "alone; what was said can be found out from them. --no-prompt-cache neither reads nor writes them, `chat\n"
               "--no-save` writes none.",
};
