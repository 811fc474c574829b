/* picture_page.c - the part of a page that shows what a task of pictures led to: each prompt with its pictures, how far it came, and the program. */
#include "eval/eval_internal.h"
#include "eval/scores.h"

#include <string.h>

bool eval_has_pictures(const struct eval_record *r, const char *task)
{
    const json_t *one = json_array_get(json_object_get(r->samples, task), 0), *programs = json_object_get(one, "programs");
    return json_is_array(json_object_get(json_array_get(programs, 0), "pictures"));
}

static const char *word(const json_t *level) { return json_is_true(level) ? "yes" : json_is_false(level) ? "no" : "not judged"; }

static void put_picture(struct sheet *page, const struct eval_record *r, const struct picture_at *at, const json_t *picture)
{
    struct buf bytes;
    const char *wrong = json_string_value(json_object_get(picture, "refused"));
    char name[160];
    buf_init(&bytes, 0);
    if (!wrong) wrong = picture_bytes(&bytes, r, picture);
    picture_name(name, sizeof name, at);
    if (wrong) sheet_text(page, "A picture is not shown: %s.", wrong);
    else sheet_picture(page, &(struct sheet_picture){ name, at->type, bytes.data, bytes.len, json_integer_value(json_object_get(picture, "width")) });
    buf_release(&bytes);
}

static void put_text(struct sheet *page, const char *label, const json_t *text)
{
    if (json_is_string(text)) sheet_block(page, label, json_string_value(text), json_string_length(text));
}

static void put_program(struct sheet *page, const struct eval_record *r, const char *task, const json_t *sample, size_t i)
{
    const json_t *program = json_array_get(json_object_get(sample, "programs"), i), *pictures = json_object_get(program, "pictures"), *answer = json_array_get(json_array_get(json_object_get(sample, "resps"), 0), i),
                 *source = json_array_get(json_array_get(json_object_get(sample, "filtered_resps"), 0), i);
    const char *detail = json_string_value(json_object_get(program, "detail")), *form = json_string_value(json_object_get(program, "form"));
    json_t *picture;
    size_t n;
    char which[40] = "";
    if (json_array_size(json_object_get(sample, "programs")) > 1) snprintf(which, sizeof which, "answer %zu: ", i + 1);
    sheet_text(page, "%sruns: %s, draws: %s, matches: %s%s%s", which, word(json_object_get(program, "runs")), word(json_object_get(program, "draws")), word(json_object_get(program, "matches")), detail && *detail ? " - " : "", detail ? detail : "");
    json_array_foreach(pictures, n, picture) {
        const char *type = json_string_value(json_object_get(picture, "type"));
        put_picture(page, r, &(struct picture_at){ task, json_integer_value(json_object_get(sample, "doc_id")), i, n, type ? type : "" }, picture);
    }
    sheet_fold(page, "the program (%s)", form ? form : "unknown");
    put_text(page, "what was run", source);
    if (!json_equal(answer, source)) put_text(page, "the whole answer", answer);
    sheet_fold_end(page);
}

void eval_score_pictures(struct sheet *page, const struct eval_record *r, const char *task)
{
    const json_t *samples = json_object_get(r->samples, task), *doc;
    const char *asked = json_string_value(json_object_get(json_object_get(json_object_get(r->all, "programs"), task), "asked"));
    json_t *sample;
    struct buf title;
    size_t i;
    buf_init(&title, 0);
    buf_printf(&title, "Pictures of %s", task);
    sheet_heading(page, title.data);
    buf_release(&title);
    sheet_text(page, "runs: the program ended without an error. draws: there is something to see. matches: what the prompt names can be found in the figure, by the checks that the task lists; where a task lists none, "
                     "as of a unicorn, a program cannot tell, and nobody has judged. A level counts only where the one before was reached.");
    if (asked) sheet_text(page, "The model was asked %s.", asked);
    json_array_foreach(samples, i, sample) {
        doc = json_object_get(sample, "doc");
        const char *prompt = json_string_value(json_object_get(doc, "prompt"));
        sheet_part(page, "%s", prompt ? prompt : "");
        for (size_t p = 0; p < json_array_size(json_object_get(sample, "programs")); p++) put_program(page, r, task, sample, p);
    }
}
