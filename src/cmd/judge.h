/* judge.h - what the commands that ask models to judge, to answer or to write prompts share: cmd_judge_run.c, cmd_judge_prompts.c. */
#ifndef CMD_JUDGE_H
#define CMD_JUDGE_H

#include "cmd/chat.h"

struct judging { struct args args; sc_judge_config config; sc_model_config model; struct opened opened; struct fewshot fewshot; const char *key_env[ARGS_MAX_GIVEN]; int n_key_env; };
/* After the arguments were parsed: keys and prompts of examples, as --key-env and --few-shot say; `config` borrows `j`. ARGS_GO or an exit code after a message. */
int  judging_begin(struct judging *j);
void judging_end(struct judging *j);                 /* closes the runtime too */
void judging_tell_costs(const struct judging *j, const json_t *all);      /* "calls", "tokens_in", ... of a result */

#define KEY_FLAG { "key-env", NULL, "NAME", "the environment variable that holds the key, or HOST=NAME for one server; may be given several times [STARCHAT_JUDGE_KEY; beyond this machine else OPENAI_API_KEY]", NULL }
#define FEWSHOT_FLAG(help_) { "few-shot", NULL, "FILE|ta", help_, NULL }

#endif
