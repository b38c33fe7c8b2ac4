/* The settings of a reproduction's runs. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_SETTINGS_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_SETTINGS_H

#include "tools/study/reproduce_state.h"

/* Makes the settings of one run: the task's recipe, the method's own settings, and the request's.
 * With `recipe_only` the request's are left out. Errors: USAGE, DATA, those of files. */
CDL_MUST_USE cdl_status study_reproduce_settings(const study_reproduction *r, size_t task,
                                                 size_t method, size_t seed, bool recipe_only,
                                                 train_settings *settings);
/* Checks that every requested setting is allowed, and that every run's settings and data files are
 * valid. */
CDL_MUST_USE cdl_status study_reproduce_check(const study_reproduction *r);

#endif
