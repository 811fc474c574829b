/* fuzz_rank_rating.c - any bytes as what a rater's page sends: the first byte says of how many answers. Refused in one sentence, or a rating that is in range and is the
 * same when what the study keeps of it is read again. */
#include <stdlib.h>
#include <string.h>

#include "fuzz_memory.h"
#include "rank/rank.h"

static void check(const struct rating *r, const struct flag_list *flags)
{
    struct rating again;
    for (size_t i = 0; i < r->n; i++)
        if (r->answer[i].rank < 0 || r->answer[i].rank > (int)r->n || r->answer[i].score < 0 || r->answer[i].score > RANK_SCORES || r->answer[i].flags >> flags->n) abort();
    json_t *kept = rating_json(r, flags), *twice;
    json_object_set_new(kept, "id", json_string(r->id));
    if (rating_read(&again, kept, r->n, flags, NULL) != SC_OK || rating_is_done(&again) != rating_is_done(r)) abort();
    twice = rating_json(&again, flags);
    json_object_set_new(twice, "id", json_string(again.id));
    if (!json_equal(kept, twice)) abort();
    json_decref(kept);
    json_decref(twice);
    rating_release(&again);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct flag_list flags;
    struct rating r;
    sc_error err = { 0 };
    json_t *body;
    if (size < 1 || size > 100000 || flags_read(&flags, "wrong,unsafe", NULL) != SC_OK) return 0;
    fuzz_memory_begin(size * 64);
    if (json_read(&body, (const char *)data + 1, size - 1, "fuzz", &err) == SC_OK) {
        if (rating_read(&r, body, 2 + data[0] % (RANK_SHOWN_MAX - 1), &flags, &err) == SC_OK) {
            check(&r, &flags);
            rating_release(&r);
        } else if (!err.message[0] || r.reason || r.n) abort();
        json_decref(body);
    }
    fuzz_memory_end();
    return 0;
}
