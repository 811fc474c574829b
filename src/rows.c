/* rows.c - the one list of all that plugs in: backends, architectures, option tables. It may include every header. */
#include "card/card.h"
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

static sc_status write_card(const char *directory, const char *repo, sc_error *err)
{
    sc_card_config c;
    sc_text text = { 0 };
    char *readme = path_join(directory, "README.md");
    bool is_free = !path_exists(readme) || (file_read(&text, readme, 1 << 24, NULL) == SC_OK && sc_card_is_own(text.data ? text.data : "", text.len));
    mem_free(readme);
    sc_text_free(&text);
    if (!is_free) return SC_OK;
    sc_card_init(&c);
    c.repo = repo;
    return sc_card_write(directory, &c, err);
}
sc_status (*const push_write_card)(const char *directory, const char *repo, sc_error *err) = write_card;

sc_status (*const measure_live)(json_t **out, sc_model *m, const struct live_tasks *t, sc_error *err) = eval_live;

const struct sc_options *const option_tables[] = {
    &runtime_options, &model_options, &session_options, &prompt_cache_options, &sample_options, &pull_options, &push_options, &convert_options, &init_options, &prepare_options, &train_options,
    &merge_options, &serve_options, &eval_options, &eval_compare_options, &judge_options, &judge_audit_options, &judge_prompts_options,
    &rank_options, &rank_server_options, &rank_export_options, &rank_report_options, &card_options, &lineage_options, NULL,
};
