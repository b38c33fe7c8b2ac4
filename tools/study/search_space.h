/* The search space: the settings that a search varies, with their bounds. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_SPACE_H
#define CONDLORA_TOOLS_STUDY_SEARCH_SPACE_H

#include "train/settings.h"

typedef enum {
  STUDY_SEARCH_LOG,     /* log-uniform between the bounds */
  STUDY_SEARCH_UNIFORM, /* uniform between the bounds */
  STUDY_SEARCH_INT,     /* an integer between the bounds */
  STUDY_SEARCH_CHOICE
} study_search_kind;

/* One setting that is searched. */
typedef struct {
  const base_option *setting;
  study_search_kind kind;
  double low, high; /* both included; 0 for a choice */
  char **choices;   /* [choice_count] values as text; owned */
  size_t choice_count;
} study_search_dimension;

typedef struct {
  study_search_dimension *item; /* in the order of their names */
  size_t count;
} study_search_space;

void study_search_space_release(study_search_space *space);

/* Returns whether other settings depend on it: a trial drops those that its method or schedule
 * lacks. */
bool study_search_decides_owner(const study_search_dimension *dimension);

/* Adds a setting: "lr=log:5e-5:5e-3", "alpha=uniform:4:32", "rank=int:4:16", "rank=choice:4,8,16".
 * Errors: USAGE for an unknown setting (naming the nearest), for one that all trials share (data,
 * base model, backend), for one that is already in the space, and for invalid bounds. */
CDL_MUST_USE cdl_status study_search_space_add(study_search_space *space, const char *text);
/* Adds settings from JSON, {"lr": "log:5e-5:5e-3", "targets": ["query,value", "query"]}, where an
 * array is a choice. Names that are already in the space are skipped. `path` is for messages. */
CDL_MUST_USE cdl_status study_search_space_read(study_search_space *space, const char *path,
                                                const json_t *object);
/* Checks each bound and each choice against `base`. Errors: USAGE for a value that the setting
 * cannot have. */
CDL_MUST_USE cdl_status study_search_space_check(const study_search_space *space,
                                                 const train_settings *base);
/* Returns the space as {"lr": {"kind": "log", "low": 5e-5, "high": 5e-3}, "rank": {"kind":
 * "choice", "choices": ["4", "8"]}}; kinds are log, uniform, int and choice. NULL when memory is
 * out. */
json_t *study_search_space_json(const study_search_space *space);
/* Sets the searched settings to a trial's `parameters`: numbers or, for a choice, one of its texts.
 * If the method is searched, options that the trial's method lacks are unset. Errors: DATA if a
 * parameter is missing or out of bounds. */
CDL_MUST_USE cdl_status study_search_space_apply(const study_search_space *space,
                                                 const json_t *parameters,
                                                 train_settings *settings);

#endif
