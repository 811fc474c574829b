/* serve_options.c - the option table of the server: names, ranges, defaults, help. */
#include "serve/serve.h"

#define ROW(field, kind, low, high, fallback_, choices_, help_) { #field, kind, offsetof(sc_server_config, field), low, high, fallback_, choices_, help_ }

static const struct option rows[] = {
    ROW(host, OPT_STRING, 0, 0, "127.0.0.1", NULL, "address to listen at, or unix:PATH"),
    ROW(port, OPT_INT, 0, 65535, "8080", NULL, "port; 0: any free one"),
    ROW(name, OPT_STRING, 0, 0, "", NULL, "what the model is called in answers"),
    ROW(alias, OPT_STRING, 0, 0, "", NULL, "further names of the model, with commas"),
    ROW(adapters, OPT_STRING, 0, 0, "", NULL, "NAME=DIRECTORY,...: PEFT adapters of the model, chosen by the field \"model\" of a request"),
    ROW(api_key_file, OPT_STRING, 0, 0, "", NULL, "file of keys, one a line (KEY, or sha256:HEX NAME); without it nobody needs one"),
    ROW(allowed_hosts, OPT_STRING, 0, 0, "", NULL, "names by which browsers may reach this server, with commas; addresses and localhost always may"),
    ROW(allowed_origins, OPT_STRING, 0, 0, "", NULL, "other sites whose pages may use this server, with commas"),
    ROW(filter, OPT_STRING, 0, 0, "", NULL, "file of rules that answers and prompts must keep to"),
    ROW(allow_public, OPT_BOOL, 0, 0, "false", NULL, "listen beyond this machine without keys: whoever reaches it may use it"),
    ROW(parallel, OPT_INT, 0, 1024, "0", NULL, "answers computed at once; 0: 32"),
    ROW(queue, OPT_INT, 0, 65536, "256", NULL, "requests that may wait; more get 429"),
    ROW(context, OPT_INT, 0, 1 << 27, "0", NULL, "most tokens of prompt and answer; 0: the model's, at most 8192"),
    ROW(cache_type, OPT_CHOICE, 0, 0, "f16", "f16|f32|q8_0", "precision of the key/value cache"),
    ROW(cache_mib, OPT_INT, 0, 1 << 24, "0", NULL, "MiB of key/value cache for all requests; 0: a quarter of the memory"),
    ROW(chunk, OPT_INT, 16, 8192, "256", NULL, "most tokens in one forward pass"),
    ROW(stretch, OPT_REAL, 1, 100, "2.5", NULL, "how many times as long a token of running answers may take while prompts are read; longer if more prompts wait than answers run"),
    ROW(connections, OPT_INT, 1, 65536, "4096", NULL, "connections at once"),
    ROW(connections_each, OPT_INT, 1, 65536, "64", NULL, "of them, from one other machine"),
    ROW(body_mib, OPT_INT, 1, 1024, "8", NULL, "largest body of a request in MiB"),
    ROW(head_seconds, OPT_REAL, 0.1, 3600, "10", NULL, "within which the head of a request must come"),
    ROW(idle_seconds, OPT_REAL, 0.1, 86400, "60", NULL, "that a connection may wait for its next request"),
    ROW(write_seconds, OPT_REAL, 1, 86400, "30", NULL, "that a client may take nothing of its answer"),
    ROW(ping_seconds, OPT_REAL, 1, 3600, "15", NULL, "between signs of life of a stream that has nothing to say"),
    ROW(request_seconds, OPT_REAL, 0, 1e9, "0", NULL, "most time for generating an answer; 0: no limit"),
    ROW(stop_seconds, OPT_REAL, 0, 86400, "30", NULL, "that running answers get to finish when the server is stopped"),
    ROW(page, OPT_BOOL, 0, 0, "true", NULL, "the chat page at /"),
    ROW(keep_talks, OPT_BOOL, 0, 0, "true", NULL, "keep the page's conversations, where `starchat chat` keeps its own; false: they are gone when the server ends"),
    ROW(lockdown, OPT_BOOL, 0, 0, "true", NULL, "once it listens, give up other files, programs, outgoing connections and system calls that a server does not need"),
    ROW(log_level, OPT_CHOICE, 0, 0, "info", "debug|info|warn|error|none", "what is logged, as lines of JSON on standard error; prompts and answers never are"),
};
const struct sc_options serve_options = { "serve", sizeof(sc_server_config), rows, sizeof rows / sizeof *rows };
