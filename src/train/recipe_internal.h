/* recipe_internal.h - what the files of the recipe share. */
#ifndef RECIPE_INTERNAL_H
#define RECIPE_INTERNAL_H

#include "train/train.h"

enum { RECIPE_ROWS_MAX = 96, RECIPE_LIST_MAX = 256 };

/* One value of a DeepSpeed file that is not "auto": it goes into the field `key` when the recipe is resolved. `wins`: also
 * over what the recipe says, as DeepSpeed's scheduler does. */
struct deepspeed_value { const char *key, *value, *where; bool wins; };
struct string_list { const char *item[RECIPE_LIST_MAX]; size_t n; };

struct sc_recipe {
    struct arena memory;                         /* all strings                                             */
    sc_train_config config;                      /* as the keys say; what follows from others is filled by recipe_resolve */
    sc_train_config resolved;
    struct string_list datasets, eval_datasets;
    const char *model_revision;                  /* "": none                                                */
    bool use_peft, is_peft_said;
    struct { const char *by; int round; } said[RECIPE_ROWS_MAX];   /* for each row of train_options: the key that set it, and in which reading */
    int round;
    struct deepspeed_value deepspeed[32]; size_t n_deepspeed;
    struct { const char *key, *text; } note[128]; size_t n_notes;
    struct buf notes;                            /* joined                                                  */
};

/* ---- recipe.c ---------------------------------------------------------------------------------------------------------- */

char *recipe_text(struct sc_recipe *r, const char *format, ...) __attribute__((format(printf, 2, 3)));   /* lives as long as the recipe */
/* One sentence about `key`, instead of those there were about it. */
void  recipe_note(struct sc_recipe *r, const char *key, const char *text);
size_t recipe_row(const char *key);              /* place in train_options; train_options.n_rows if it is none */
bool  recipe_says(const struct sc_recipe *r, const char *row);   /* the row was set by someone */
/* Sets a row from a value of YAML; `by` is the key as written. null: the default again. */
sc_status recipe_set_row(struct sc_recipe *r, const char *row, const char *by, const json_t *value, sc_error *err);
/* Sets any key. */
sc_status recipe_apply(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err);
/* What a value looks like in a message: short, one line. */
const char *value_show(char *out, size_t out_bytes, const json_t *value);

/* ---- recipe_lists.c ------------------------------------------------------------------------------------------------------- */

/* dataset_name: "path", ["path", ...], [{path, weight}, ...] or {path: weight}; becomes "path:weight". */
sc_status recipe_list(struct sc_recipe *r, struct string_list *out, const char *key, const json_t *value, sc_error *err);
/* A string, or a list of strings as one with commas; NULL after a message. */
const char *recipe_commas(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err);

/* ---- recipe_keys.c: keys of others ------------------------------------------------------------------------------------------ */

/* A key of TrainingArguments, TRL, PEFT or the alignment handbook that is no row of ours.
 *   KEY_ALIAS  another name of the row `row`
 *   KEY_NOTE   not needed here; `text` says why
 *   KEY_ONLY   only the values in `neutral` ("a|b", as text; "" is null or empty) are fine; `text` says what to do instead
 *   KEY_CALL   `set` translates it */
enum key_kind { KEY_ALIAS, KEY_NOTE, KEY_ONLY, KEY_CALL };
typedef sc_status key_setter(struct sc_recipe *r, const char *key, const json_t *value, sc_error *err);
struct recipe_key { const char *name; enum key_kind kind; const char *row, *neutral, *text; key_setter *set; };
extern const struct recipe_key recipe_keys[];    /* ends with name NULL */
/* Another spelling of a row's value ("adamw_hf" is adamw_torch); the text itself if there is none. NULL after a message
 * for a value that is known and not possible here. */
const char *recipe_spelling(const char *row, const char *value, sc_error *err);
/* Whether `value` is among "a|b". */
bool recipe_is_neutral(const json_t *value, const char *neutral);

/* ---- recipe_translate.c ------------------------------------------------------------------------------------------------------ */

key_setter set_dataset, set_eval_dataset, set_target_modules, set_packing, set_packing_strategy, set_report_to, set_dtype, set_use_peft, set_revision,
    set_4bit, set_8bit, set_deepspeed, set_do_eval, set_loss_type, set_assistant_only, set_split_percentage, set_template, set_eval_tasks;

/* ---- recipe_deepspeed.c ------------------------------------------------------------------------------------------------------ */

sc_status deepspeed_apply(struct sc_recipe *r, const json_t *file, const char *what, sc_error *err);

/* ---- recipe_check.c ---------------------------------------------------------------------------------------------------------- */

/* *out: the recipe with what follows from other keys. Strings that have to be made live in `memory`. */
sc_status recipe_resolve(sc_train_config *out, const struct sc_recipe *r, struct arena *memory, sc_error *err);

#endif
