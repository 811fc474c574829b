/* rank_options.c - the option tables of human evaluation. */
#include "rank/rank.h"

#define ROW(type, field, kind, low, high, fallback_, choices_, help_) { #field, kind, offsetof(type, field), low, high, fallback_, choices_, help_ }

#define MAKE(...) ROW(sc_rank_config, __VA_ARGS__)
static const struct option make_rows[] = {
    MAKE(prompts, OPT_STRING, 0, 0, "", NULL, "file of prompts, as for `judge`: lines of {\"id\",\"prompt\"}"),
    MAKE(answers, OPT_STRING, 0, 0, "", NULL, "files of answers, one for each model, with commas; NAME=FILE gives another name"),
    MAKE(gold, OPT_STRING, 0, 0, "", NULL, "items that check the raters: lines of {\"prompt\",\"best\",\"worst\",\"others\"}; everybody gets all of them"),
    MAKE(out, OPT_STRING, 0, 0, "", NULL, "the study: a new SQLite file, or one to go on with"),
    MAKE(title, OPT_STRING, 0, 0, "Which answer is better?", NULL, "what stands above the page"),
    MAKE(instructions, OPT_STRING, 0, 0, "", NULL, "file with what raters read first (Markdown); empty: a short text"),
    MAKE(raters, OPT_INT, 1, 1000, "3", NULL, "invitations that are made"),
    MAKE(overlap, OPT_INT, 0, 1000, "0", NULL, "raters that see each item; 0: all"),
    MAKE(shown, OPT_INT, 0, RANK_SHOWN_MAX, "0", NULL, "answers shown of each prompt, 2 to 9, drawn so that all models are seen equally often; 0: all"),
    MAKE(partial, OPT_BOOL, 0, 0, "false", NULL, "take prompts too that only some of the models answered"),
    MAKE(duplicates, OPT_REAL, 0, 0.5, "0.1", NULL, "share of a rater's items that come again later, in another order"),
    MAKE(flags, OPT_STRING, 0, 0, "wrong,unsafe,does not follow the request,cut off", NULL, "what can be ticked for an answer, with commas"),
    MAKE(gold_min, OPT_REAL, 0, 1, "0.7", NULL, "rule: a rater with a smaller share of gold items right is left out"),
    MAKE(repeats_min, OPT_REAL, 0, 1, "0.5", NULL, "rule: a rater who orders a smaller share of pairs alike the second time is left out"),
    MAKE(seconds_min, OPT_REAL, 0, 3600, "0", NULL, "rule: a rater whose median time for an item is shorter is left out; 0: no such rule"),
    MAKE(rules_least, OPT_INT, 1, 1000, "3", NULL, "gold items (repeated items) that a rater must have done before a rule speaks"),
    MAKE(seed, OPT_INT, 0, 4294967295.0, "1234", NULL, "of orders, shares and repeats; kept in the study"),
};
const struct sc_options rank_options = { "rank", sizeof(sc_rank_config), make_rows, sizeof make_rows / sizeof *make_rows };

#define SERVE(...) ROW(sc_rank_server_config, __VA_ARGS__)
static const struct option serve_rows[] = {
    SERVE(host, OPT_STRING, 0, 0, "127.0.0.1", NULL, "address to listen at, or unix:PATH"),
    SERVE(port, OPT_INT, 0, 65535, "8090", NULL, "port; 0: any free one"),
    SERVE(url, OPT_STRING, 0, 0, "", NULL, "how raters reach the server, where that is another address (https://rank.example.org behind a proxy); also allowed as Host"),
    SERVE(allowed_hosts, OPT_STRING, 0, 0, "", NULL, "names by which browsers may reach this server, with commas; addresses and localhost always may"),
    SERVE(connections, OPT_INT, 1, 65536, "1024", NULL, "connections at once"),
    SERVE(connections_each, OPT_INT, 1, 65536, "64", NULL, "of them, from one other machine"),
    SERVE(lockdown, OPT_BOOL, 0, 0, "true", NULL, "once it listens, give up other files, programs, outgoing connections and system calls that a server does not need"),
};
const struct sc_options rank_server_options = { "rank_server", sizeof(sc_rank_server_config), serve_rows, sizeof serve_rows / sizeof *serve_rows };

#define EXPORT(...) ROW(sc_rank_export_config, __VA_ARGS__)
static const struct option export_rows[] = {
    EXPORT(ratings, OPT_STRING, 0, 0, "", NULL, "file for all ratings, one a line, of raters that are left out too (which they say)"),
    EXPORT(pairs, OPT_STRING, 0, 0, "", NULL, "file for preference pairs with \"chosen\" and \"rejected\", as `train` with loss_type: dpo reads them"),
    EXPORT(include_excluded, OPT_BOOL, 0, 0, "false", NULL, "pairs of raters too that the rules leave out"),
    EXPORT(revisions, OPT_BOOL, 0, 0, "false", NULL, "with every revision of each rating, not the newest alone"),
};
const struct sc_options rank_export_options = { "rank_export", sizeof(sc_rank_export_config), export_rows, sizeof export_rows / sizeof *export_rows };

#define REPORT(...) ROW(sc_rank_report_config, __VA_ARGS__)
static const struct option report_rows[] = {
    REPORT(out, OPT_STRING, 0, 0, "", NULL, "the report as a page, .html or .md"),
    REPORT(judgements, OPT_STRING, 0, 0, "", NULL, "judgements of a model of the same answers (file or directory of `judge run`), to compare with people"),
    REPORT(draws, OPT_INT, 100, 100000, "1000", NULL, "draws of the bootstrap, by prompt"),
    REPORT(seed, OPT_INT, 0, 4294967295.0, "1234", NULL, "seed of the draws"),
};
const struct sc_options rank_report_options = { "rank_report", sizeof(sc_rank_report_config), report_rows, sizeof report_rows / sizeof *report_rows };
