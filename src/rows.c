/* rows.c - the one list of all that plugs in: backends, architectures, option tables. It may include every header. */
#include "cpu/cpu.h"
#include "data/data.h"
#include "eval/eval.h"
#include "hub/hub.h"
#include "hub/push.h"
#include "infer/infer.h"
#include "judge/judge_run.h"
#include "model/model_internal.h"
#include "rank/rank.h"
#include "serve/serve.h"
#include "train/train.h"

const struct backend *const backends[] = { &cpu_backend, NULL };

const struct arch *const archs[] = { &arch_gpt_bigcode, &arch_starcoder2, &arch_llama, &arch_qwen2, NULL };

sc_status (*const measure_live)(json_t **out, sc_model *m, const struct live_tasks *t, sc_error *err) = eval_live;

const struct sc_options *const option_tables[] = {
    &runtime_options, &model_options, &session_options, &prompt_cache_options, &sample_options, &pull_options, &push_options, &convert_options, &init_options, &prepare_options, &train_options,
    &merge_options, &serve_options, &eval_options, &eval_compare_options, &judge_options, &judge_audit_options, &judge_prompts_options,
    &rank_options, &rank_server_options, &rank_export_options, &rank_report_options, NULL,
};
