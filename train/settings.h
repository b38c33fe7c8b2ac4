/* The settings of a training run. They come from options, a JSON config or a recipe, and are saved
 * in run.json. */
#ifndef CONDLORA_TRAIN_SETTINGS_H
#define CONDLORA_TRAIN_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/option.h"
#include "model/adapter/adapter.h"

/* The adapter that a run keeps. */
typedef enum { TRAIN_KEEP_BEST, TRAIN_KEEP_LAST } train_keep;
#define TRAIN_KEEP_WORDS "best|last"

/* Compatibility with the paper's code where it differs. */
typedef enum { TRAIN_COMPAT_NONE, TRAIN_COMPAT_REFERENCE } train_compat;
#define TRAIN_COMPAT_WORDS "none|reference"

/* The parameters that weight decay applies to. */
typedef enum { TRAIN_DECAY_ALL, TRAIN_DECAY_NO_BIAS } train_decay;
#define TRAIN_DECAY_WORDS "all|no-bias"

/* Where the states of frozen layers are kept, and their type. */
typedef enum {
  TRAIN_CACHE_AUTO,
  TRAIN_CACHE_MEMORY,
  TRAIN_CACHE_DISK,
  TRAIN_CACHE_OFF
} train_cache;
#define TRAIN_CACHE_WORDS "auto|memory|disk|off"
typedef enum { TRAIN_CACHE_FP32, TRAIN_CACHE_BF16 } train_cache_type;
#define TRAIN_CACHE_TYPE_WORDS "fp32|bf16"

typedef char *train_setting_STRING;
typedef char *train_setting_LIST;
typedef char *train_setting_MODULES;
typedef char *train_setting_WEIGHTS;
typedef char *train_setting_MAP;
typedef char *train_setting_INTS;
typedef int train_setting_CHOICE;
typedef int64_t train_setting_INT;
typedef double train_setting_FLOAT;
typedef bool train_setting_FLAG;

enum { TRAIN_SETTINGS_MAX = 160, TRAIN_METHOD_OPTIONS_MAX = 64 };

/* One member per setting; settings.def documents them. The struct owns its strings. */
typedef struct {
#define SECTION(title)
#define SETTING(kind, field, initial, placeholder, changes, of, ...) train_setting_##kind field;
#include "train/settings.def"
#undef SETTING
#undef SECTION
  double options[TRAIN_METHOD_OPTIONS_MAX]; /* options of all methods */
  /* By place in train_setting_list: given by the user, by hand or from a file, even if the value is
   * the default. */
  bool set[TRAIN_SETTINGS_MAX];
} train_settings;

/* Traits of a setting in this table. Those that begin with TRAIN_OF say that only some methods or
 * schedules have it: a setting that is given and that the run's own lacks is an error. */
enum {
  TRAIN_CHANGES_RESULT = 1 << 0,
  TRAIN_OF_ALL = 0,
  TRAIN_OF_METHODS = 1 << 1, /* an option from methods' own lists: its offset is that of a double */
  TRAIN_OF_LOW_RANK = 1 << 2,
  TRAIN_OF_ORIENTATION = 1 << 3,
  TRAIN_OF_COSINE = 1 << 4,
  TRAIN_OF_POLYNOMIAL = 1 << 5,
  TRAIN_OF_SHIFT = 8, /* the rest are bits of adapter_setting */
  TRAIN_OF_RANK = ADAPTER_HAS_RANK << TRAIN_OF_SHIFT,
  TRAIN_OF_RANK_PATTERN = ADAPTER_HAS_RANK_PATTERN << TRAIN_OF_SHIFT,
  TRAIN_OF_ALPHA = ADAPTER_HAS_ALPHA << TRAIN_OF_SHIFT,
  TRAIN_OF_ALPHA_PATTERN = ADAPTER_HAS_ALPHA_PATTERN << TRAIN_OF_SHIFT,
  TRAIN_OF_RSLORA = ADAPTER_HAS_RSLORA << TRAIN_OF_SHIFT,
  TRAIN_OF_DROPOUT = ADAPTER_HAS_DROPOUT << TRAIN_OF_SHIFT
};

/* Returns all rows of settings.def, then each option of all methods once; static. There are at most
 * TRAIN_SETTINGS_MAX. */
const base_option *train_setting_list(size_t *count);
/* Finds a setting by field or option name ('-' and '_' are equal); NULL if there is none. */
const base_option *train_setting_find(const char *name);
/* Returns the list as options of a command line that set `settings`. `given` has an element for
 * each row of the list, or is NULL. */
base_options train_setting_options(train_settings *settings, bool *given);

CDL_MUST_USE cdl_status train_settings_init(train_settings *settings);
void train_settings_release(train_settings *settings);
/* Copies all settings; strings are copied too. Errors: MEMORY. */
CDL_MUST_USE cdl_status train_settings_copy(train_settings *copy, const train_settings *settings);

/* Sets one setting from text. `value` is NULL for a flag without a value. Errors: USAGE, naming
 * option and what was expected. */
CDL_MUST_USE cdl_status train_settings_set(train_settings *settings, const base_option *setting,
                                           const char *value);
/* Sets the settings that a JSON object names, except those marked in `given` (by index in the
 * list): options on the command line take precedence. The keys "paper" and "comment" are ignored.
 * `path` is for messages. Errors: DATA for a file that is not an object; USAGE for an unknown key
 * or a value of another type. */
CDL_MUST_USE cdl_status train_settings_read(train_settings *settings, const char *path,
                                            const bool *given);
/* Does the same for an object that was read from `path`. */
CDL_MUST_USE cdl_status train_settings_take(train_settings *settings, const char *path,
                                            const json_t *object, const bool *given);

/* Returns the name of the method; static. */
const char *train_method_name(const train_settings *settings);
/* The value of a method's own option by its name. NULL when no method has it. */
double *train_settings_option(train_settings *settings, const char *name);
/* Sets the settings that the method or the schedule does not have to their defaults, and marks them
 * as not given. Errors: MEMORY. */
CDL_MUST_USE cdl_status train_settings_drop_options(train_settings *settings);
/* USAGE for a setting that is given, at whatever value, and that the method or the schedule does
 * not have; the line names both. */
CDL_MUST_USE cdl_status train_settings_check_options(const train_settings *settings);

/* The settings that the method and the schedule have, as a JSON object, null what is not set; with
 * `results_only` those that change the result. NULL when memory is out. */
json_t *train_settings_json(const train_settings *settings, bool results_only);

/* Returns a seed of the run: `own`, such as seed_init, or the general seed if `own` is not set. */
uint64_t train_settings_seed(const train_settings *settings, int64_t own);

/* Computes the steps between evaluations from eval_every and the steps of an epoch; 0: never.
 * Errors: USAGE for an invalid text. */
CDL_MUST_USE cdl_status train_eval_every(const train_settings *settings, int64_t steps_per_epoch,
                                         int64_t *steps);

/* What report_to asks for. Errors: USAGE for another word. */
typedef struct {
  bool tensorboard, csv;
} train_reports;
CDL_MUST_USE cdl_status train_settings_reports(const train_settings *settings,
                                               train_reports *reports);

/* Checks combinations of settings. Errors: USAGE. */
CDL_MUST_USE cdl_status train_settings_check(const train_settings *settings);

/* Returns whether the text of a list of modules is one regular expression: it has one of
 * *+?()[]|\^$ outside quoted names, or is "all-linear". */
bool train_is_module_pattern(const char *text);
/* Returns whether class weights are computed from the numbers of examples: "balanced". */
bool train_weights_are_balanced(const char *text);

#endif
