/* report.h - what the files of the page about a run share. Private to the folder. */
#ifndef REPORT_H
#define REPORT_H

#include "judge/judge.h"

/* A run's directory, read. run: run.json, or an empty object. All owned. */
struct report { char *directory; json_t *run, *audit, *verdict; struct judge_prompts prompts; struct judge_answers answers; struct judgements judgements; };
/* Files that are missing are empty; audit and verdict are made of the judgements then. SC_E_IO, SC_E_FORMAT. */
sc_status report_open(struct report *out, const char *directory, sc_error *err);
void      report_close(struct report *r);

/* report_data.c: {"title","version","run","models","judges":[{"judge","protocol"}],"ranges":{PROTOCOL:[low,high]},"prompts":[{"id","slice","language","turns","reference"}],"answers":[{"m","p","turns",
 * "leaks","cut"}],"judgements":[{"j","p","t","m","w","s","strength","share","text","error","canary","slot"}],"audit","verdict"}: m, j and p are places in the lists. The caller's. */
json_t   *report_data(const struct report *r);
/* The value as text that may stand in a script element: no '<', '>', '&', U+2028, U+2029. */
void      report_put_json(struct buf *out, const json_t *value);

/* report_page.c, report_summary.c */
void      report_page(struct buf *out, const struct report *r);
void      report_summary(struct buf *out, const struct report *r);
struct sheet;
void      report_verdict(struct sheet *s, const struct report *r);       /* who won, and which judges are to be trusted, without headings */

#endif
