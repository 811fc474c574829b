/* talk_read.c - which of the known forms a file has, and its conversations one after the other: a file of JSON is walked
 * over from left to right and only one conversation at a time becomes a tree, so that an export of years needs little
 * more memory than its bytes. */
#include "talks/talks.h"

#include <string.h>

struct walk { struct json_scan scan; size_t count; int64_t now; talk_sink take; void *user; };

static sc_status take_one(struct walk *w, const char *text, size_t len, sc_error *err)
{
    json_t *o;
    struct talk k;
    TRY(json_read(&o, text, len, "its text", err));
    sc_status status = SC_OK;
    if (chatgpt_is(o)) status = chatgpt_read(&k, o, w->now, err);
    else if (json_is_array(json_object_get(o, "messages"))) status = talk_from_json(&k, o, w->now, err);
    else status = FAIL(err, SC_E_FORMAT, "it has neither a list \"messages\" nor a map \"mapping\" as ChatGPT's exports have");
    json_decref(o);
    if (status != SC_OK) return status;
    status = w->take(w->user, &k, err);
    talk_release(&k);
    return status;
}

/* At '[': its items. */
static sc_status walk_list(struct walk *w)
{
    struct json_scan *s = &w->scan;
    TRY(scan_need(s, '['));
    for (bool more = !scan_take(s, ']'); more;) {
        while (s->at < s->len && strchr(" \n\r\t", s->text[s->at]) && s->text[s->at]) s->at++;
        size_t begin = s->at;
        TRY(scan_skip(s));
        w->count++;
        sc_status status = take_one(w, s->text + begin, s->at - begin, s->err);
        if (status != SC_OK) return error_prefix(s->err, status, "%s: conversation %zu", s->what, w->count);
        w->now++;                                     /* those without a time keep their order */
        TRY(scan_more(s, ']', &more));
    }
    return SC_OK;
}

/* An object: a file of ours, or one conversation. */
static sc_status walk_object(struct walk *w, const char *text, size_t len)
{
    struct json_scan *s = &w->scan;
    struct scan_string key;
    bool has_list = false;
    TRY(scan_need(s, '{'));
    for (bool more = !scan_take(s, '}'); more;) {
        TRY(scan_string(s, &key));
        TRY(scan_need(s, ':'));
        bool is_list = !has_list && scan_equals(&key, "conversations");
        TRY(is_list ? walk_list(w) : scan_skip(s));
        has_list = has_list || is_list;
        TRY(scan_more(s, '}', &more));
    }
    TRY(scan_end(s));
    if (has_list) return SC_OK;
    sc_status status = take_one(w, text, len, s->err);
    return status == SC_OK ? SC_OK : error_prefix(s->err, status, "%s", s->what);
}

static sc_status read_markdown(struct walk *w, const char *text, size_t len, const char *what, sc_error *err)
{
    struct talk k;
    sc_status status = markdown_read(&k, text, len, w->now, err);
    if (status != SC_OK) return error_prefix(err, status, "%s", what);
    status = w->take(w->user, &k, err);
    talk_release(&k);
    return status;
}

sc_status talk_read_file(const char *text, size_t len, const char *what, int64_t now, talk_sink take, void *user, sc_error *err)
{
    sc_error mine = { 0 };
    if (!err) err = &mine;
    if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) { text += 3; len -= 3; }
    struct walk w = { .scan = { text, len, 0, what, err }, .now = now, .take = take, .user = user };
    bool is_json = scan_peek(&w.scan, '{') || scan_peek(&w.scan, '[');
    if (!is_json && len && markdown_is(text, len)) return read_markdown(&w, text, len, what, err);
    if (!is_json)
        return FAIL(err, SC_E_FORMAT, "%s is no file of conversations: expected JSON of starchat or ChatGPT (conversations.json of the export), or Markdown with lines \"## User\" and \"## Assistant\"", what);
    if (!utf8_is_valid(text, len)) return FAIL(err, SC_E_FORMAT, "%s is no valid UTF-8, as JSON has to be", what);
    if (scan_peek(&w.scan, '{')) return walk_object(&w, text, len);
    TRY(walk_list(&w));
    return scan_end(&w.scan);
}
