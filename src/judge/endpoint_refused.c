/* endpoint_refused.c - requests that are refused for good. A server that answers others refuses this one for its own sake (too long, not allowed): it has failed, and the run goes on. Several in a row, or
 * refusals alone, are of the settings or the server: they end the run. */
#include "judge/endpoint.h"

#include <string.h>

struct refused_ask { void *item; sc_error why; };

void refusals_release(struct refusals *r)
{
    mem_free(r->at);
    r->at = NULL;
    r->n = 0;
}

static sc_status pass_on(struct refusals *r, sc_error *err)
{
    sc_status status = SC_OK;
    for (size_t i = 0; i < r->n && status == SC_OK; i++) {
        r->t->refusal = r->at[i].why;
        status = r->asker->refused(r->asker->user, r->at[i].item, r->at[i].why.message, err);
    }
    r->n = 0;
    return status;
}

sc_status refusals_add(struct refusals *r, void *item, const sc_error *why, sc_error *err)
{
    sc_error own = *why;                                       /* err may be the same */
    r->at = mem_grow(r->at, (r->n + 1) * sizeof *r->at);
    r->at[r->n++] = (struct refused_ask){ item, own };
    r->in_a_row++;
    if (r->t->has_answered) TRY(pass_on(r, err));
    if (!r->most_in_a_row || r->in_a_row < r->most_in_a_row) return SC_OK;
    if (err) *err = own;
    return error_prefix(err, SC_E_PEER, "%zu requests in a row were refused, the last", r->in_a_row);
}

sc_status refusals_answered(struct refusals *r, bool is_kept, sc_error *err)
{
    if (!is_kept) r->in_a_row = 0;
    r->t->has_answered = true;
    return pass_on(r, err);
}

sc_status refusals_end(struct refusals *r, sc_error *err)
{
    sc_status status = SC_OK;
    if (r->n && r->t->has_answered) status = pass_on(r, err);
    if (r->n) {
        if (err) *err = r->at[r->n - 1].why;
        status = error_prefix(err, r->at[r->n - 1].why.status, "nothing was answered, %zu refused, the last", r->n);
    }
    refusals_release(r);
    return status;
}
