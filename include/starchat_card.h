/* starchat_card.h - a part of starchat.h, which includes it. */
#ifndef STARCHAT_CARD_H
#define STARCHAT_CARD_H

#include "starchat.h"

#ifdef __cplusplus
extern "C" {
#endif

/* ---- the card: what was measured about a model, as the page that the Hub shows -------------------------------------------------- */

typedef struct {
    const char *eval;             /* results of `starchat eval`, files with commas; NULL or "": those that lie in the directory   */
    const char *judge;            /* directories of `starchat judge run`, with commas; NULL or "": those that lie in the directory */
    const char *name;             /* heading; NULL or "": the directory's own name                                */
    const char *repo;             /* "org/name" on the Hub, for the lines that tell how to run it; NULL or "": none yet           */
    const char *license;          /* identifier as the Hub has it ("apache-2.0"); NULL or "": the base's, where that is known      */
    const char *language;         /* codes with commas ("en,de"); NULL or "": those of at least a twentieth of the training data */
    const char *base;             /* Hub name of the base ("org/name"); NULL or "": as the lineage has it         */
    bool        overwrite;        /* takes the place of a README.md that somebody wrote                            */
} sc_card_config;                 /* options "card" */
SC_API void      sc_card_init(sc_card_config *c);                /* the defaults of the table                      */
/* README.md of a directory that holds a model or an adapter, with curves in DIR/assets/ (.svg). Files appear by rename. SC_E_ARGUMENT: a README.md is there that carries no mark of this
 * program (c->overwrite replaces it), or the directory holds no model. Nothing is asked over the net. */
SC_API sc_status sc_card_write(const char *directory, const sc_card_config *c, sc_error *err);
/* The text of README.md alone: writes nothing. */
SC_API sc_status sc_card_text(sc_text *out, const char *directory, const sc_card_config *c, sc_error *err);
/* Whether a text is a card that this program wrote and nobody has changed since: its mark holds the digest of all that stands around it. */
SC_API bool      sc_card_is_own(const char *text, size_t len);

/* ---- lineage: from data files to weights ---------------------------------------------------------------------------------------- */

typedef struct {
    bool        verify;           /* reads everything that is at hand and compares digests                         */
    const char *near;             /* directories with commas: where files that are not found are looked for by their names; NULL or "": none */
    sc_on_event on_event;         /* progress of reading; may be NULL                                              */
    void       *user;
} sc_lineage_config;              /* options "lineage" */
/* *out (JSON): {"model","links":[{"depth","step","what","name","path"?,"sha256"?,"bytes"?,...,"state"}],"verified","changed","absent","unknown"}. `model`: a directory (adapter or model), a .gguf file or a stored
 * name. state: "recorded" (without verify), "verified", "changed" (with "found"), "absent" (not at hand), "unknown" (no digest was recorded), "found" (a model whose files follow). SC_OK also where something changed: "changed" counts it. */
SC_API sc_status sc_lineage(sc_text *out, const char *model, const sc_lineage_config *c, sc_error *err);
/* The same JSON as a text for people. */
SC_API sc_status sc_lineage_text(sc_text *out, const char *json, size_t len, sc_error *err);

#ifdef __cplusplus
}
#endif
#endif
