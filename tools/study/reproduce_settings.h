/* The settings of a reproduction's runs. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_SETTINGS_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_SETTINGS_H

#include "tools/study/reproduce_state.h"

/* One run; `task` and `method` are indices into the lists of the reproduction. */
typedef struct {
  size_t task, method;
  int64_t seed;
  double rate;      /* learning rate; NaN: the request's, or else the recipe's */
  char *folder;     /* of the run's files; NULL if memory is out */
  bool recipe_only; /* leave out the settings of the request */
} study_run;

/* Makes the settings of one run: the task's recipe, the method's own settings, and the request's.
 * For the verdict all methods use LoRA's recipe without its rate, seeds and `compat`. Errors:
 * USAGE, DATA, MEMORY, those of files. */
CDL_MUST_USE cdl_status study_reproduce_settings(const study_reproduction *r, const study_run *run,
                                                 train_settings *settings);
/* Checks that every requested setting is allowed, and that every run's settings and data files are
 * valid. */
CDL_MUST_USE cdl_status study_reproduce_check(const study_reproduction *r);

#endif
