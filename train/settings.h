/* The settings of a training run: from options, from a JSON config or recipe, into run.json. */
#ifndef CONDLORA_TRAIN_SETTINGS_H
#define CONDLORA_TRAIN_SETTINGS_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "condlora/adapter.h"

typedef char *cdl_setting_TEXT;
typedef char *cdl_setting_LIST;
typedef char *cdl_setting_MAP;
typedef char *cdl_setting_WHOLES;
typedef char *cdl_setting_CHOICE;
typedef int64_t cdl_setting_WHOLE;
typedef double cdl_setting_REAL;
typedef bool cdl_setting_FLAG;

enum { CDL_SETTINGS_MAX = 160, CDL_METHOD_OPTIONS_MAX = 64 };

/* An option that only some methods have. */
typedef struct {
  double value;
  bool set; /* by hand, from a file, or by an adapter */
} cdl_method_option;

/* One member a setting, documented in settings.def. Texts are owned. */
typedef struct {
#define GROUP(title)
#define SETTING(kind, field, initial, placeholder, changes, help) cdl_setting_##kind field;
#include "train/settings.def"
#undef SETTING
#undef GROUP
  cdl_method_option options[CDL_METHOD_OPTIONS_MAX]; /* of all methods together */
} cdl_settings;

typedef enum {
  CDL_KIND_GROUP,
  CDL_KIND_TEXT,
  CDL_KIND_LIST,
  CDL_KIND_MAP,
  CDL_KIND_WHOLES,
  CDL_KIND_CHOICE,
  CDL_KIND_WHOLE,
  CDL_KIND_REAL,
  CDL_KIND_FLAG
} cdl_setting_kind;

/* A line of settings.def, or an option of methods. Of a group, only kind and help (its title) mean
 * anything. */
typedef struct {
  cdl_setting_kind kind;
  const char *field;       /* "batch_size" */
  const char *placeholder; /* "N", or "paper|reference" for a choice */
  const char *help;
  bool changes_result;
  size_t offset;                    /* of the member; of an option, its cdl_method_option */
  const cdl_adapter_option *option; /* NULL: a line of settings.def */
} cdl_setting;

/* All lines, then the options of all methods, each once; static. At most CDL_SETTINGS_MAX. */
const cdl_setting *cdl_setting_list(size_t *count);
/* By field or option name ('-' and '_' are the same); NULL when there is none. */
const cdl_setting *cdl_setting_find(const char *name);

CDL_MUST_USE cdl_status cdl_settings_init(cdl_settings *settings);
void cdl_settings_release(cdl_settings *settings);
/* Texts are copied. */
CDL_MUST_USE cdl_status cdl_settings_copy(cdl_settings *copy, const cdl_settings *settings);

/* Sets one from text. `value` NULL for a flag without one. USAGE, naming option and what was
 * expected. */
CDL_MUST_USE cdl_status cdl_settings_set(cdl_settings *settings, const cdl_setting *setting,
                                         const char *value);
/* Sets those that a JSON object names, but not the ones marked in `given` (by position in the
 * list): options on the command line win. A key "paper" or "comment" is ignored. `path` is for
 * messages. DATA for a file that is no object, USAGE for an unknown key or a value of another
 * kind. */
CDL_MUST_USE cdl_status cdl_settings_read(cdl_settings *settings, const char *path,
                                          const bool *given);
/* The same of an object that was read from `path`. */
CDL_MUST_USE cdl_status cdl_settings_take(cdl_settings *settings, const char *path,
                                          const json_t *object, const bool *given);

/* An option by its name. NULL when no method has it. */
cdl_method_option *cdl_settings_option(cdl_settings *settings, const char *name);
/* Unsets the options that the method does not have. */
void cdl_settings_drop_options(cdl_settings *settings);
/* USAGE for an option that is set and that the method does not have. */
CDL_MUST_USE cdl_status cdl_settings_check_options(const cdl_settings *settings);

/* Every setting, and the options of the method, as a JSON object, null what is not set; with
 * `results_only` those that change the result. NULL when memory is out. */
json_t *cdl_settings_json(const cdl_settings *settings, bool results_only);

/* A seed of the run: `own`, seed_init say, or where that is not set the one for all. */
uint64_t cdl_settings_seed(const cdl_settings *settings, int64_t own);

/* Combinations that cannot be: USAGE. */
CDL_MUST_USE cdl_status cdl_settings_check(const cdl_settings *settings);

/* Where a list of modules may be one expression instead, whether `text` is that: it has one of
 * *+?()[]|\^$ outside of quoted names, or is "all-linear". */
bool cdl_is_module_pattern(const char *text);

#endif
