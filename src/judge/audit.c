/* audit.c - is a judge to be trusted: all measurements of every judge, and judges with each other. */
#include "judge_internal.h"

#include <string.h>

sc_status judge_audit(json_t **out, const struct judgements *j, uint64_t seed, sc_error *err)
{
    struct audit_groups g;
    *out = NULL;
    (void)seed;                                  /* no interval here needs draws; those are the verdict's */
    if (!j->n) return FAIL(err, SC_E_ARGUMENT, "there are no judgements to audit");
    audit_groups_make(&g, j);
    struct audit_words *words = audit_words_open();
    json_t *judges = json_array(), *agreement = judge_agreement(&g);
    for (size_t i = 0; i < g.n; i++) {
        json_t *one = json_pack("{s:s, s:s, s:s}", "judge", g.at[i].judge, "protocol", g.at[i].protocol, "kind", g.at[i].is_people ? "people" : g.at[i].is_pair ? "pairs" : "single");
        audit_scale(one, &g.at[i]);
        audit_pairs(one, &g.at[i], words);
        audit_canaries(one, &g.at[i]);
        audit_findings(one, &g.at[i], agreement);
        json_array_append_new(judges, one);
    }
    *out = json_pack("{s:o, s:o, s:o}", "judges", judges, "agreement", agreement, "panels", judge_panels(&g));
    audit_words_close(words);
    audit_groups_release(&g);
    return SC_OK;
}
