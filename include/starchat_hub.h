/* starchat_hub.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_HUB_H
#define STARCHAT_HUB_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the account on the Hub -------------------------------------------------------------------------------------------------- */

/* All read what huggingface_hub reads: HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH, HF_HOME, HF_HUB_OFFLINE, HF_HUB_DISABLE_IMPLICIT_TOKEN. A
 * token is in no result and no message. */

/* Who the token in use belongs to, as the Hub says. *json: {"name","fullname","type","orgs":[names],"role" (read, write, fineGrained, "" if
 * the Hub does not say),"token_name","from" ("HF_TOKEN" or the path of a file),"endpoint"}. SC_E_ARGUMENT without a token. */
SC_API sc_status sc_hub_whoami(sc_text *json, sc_error *err);
/* Asks the Hub whose `token` it is, then keeps it where huggingface_hub looks, for the owner alone (mode 0600); a refused token changes nothing.
 * *json as above, "from" the path of the file, and "hidden_by": the variable that has another token and goes before the file, "" if none. */
SC_API sc_status sc_hub_login(sc_text *json, const char *token, sc_error *err);
/* A token that huggingface_hub keeps under a name (its file stored_tokens). SC_E_ARGUMENT names those there are. */
SC_API sc_status sc_hub_stored_token(sc_text *token, const char *name, sc_error *err);
/* Removes the kept token, also from stored_tokens. *json: {"removed":[paths],"others":[names of tokens that stay in stored_tokens],
 * "variable": the one that still gives a token, "" if none}. Not logged in is no failure. */
SC_API sc_status sc_hub_logout(sc_text *json, sc_error *err);

#ifdef __cplusplus
}
#endif

#endif
