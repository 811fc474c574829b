/* data.h - what the files of the command `data` share. */
#ifndef CMD_DATA_H
#define CMD_DATA_H

#include "cmd/cmd.h"

/* One sample as {"split",...,"tokens":[...]} (sc_dataset_sample), as a table of at most 100 columns. */
void sample_print(FILE *to, const struct args_common *c, const json_t *sample);
/* What sc_dataset_stats gave, for people. */
void stats_print(FILE *to, const struct args_common *c, const json_t *stats);
/* 1234567 as "1,234,567". */
void format_count(char *out, size_t out_bytes, long long n);
/* Paths to read. */
struct data_inputs { char **path; size_t n; };
/* ARGS_GO, or an exit code after a message. Release in any case. */
int  data_inputs_open(struct data_inputs *in, struct args_common *c, const char *const *input, size_t n);
void data_inputs_close(struct data_inputs *in);
long long member_count(const json_t *object, const char *key);   /* 0 if it is none */

#endif
