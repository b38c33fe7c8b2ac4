/* What the parts of `condlora reproduce` share: the plan of its runs, and one run. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_H

#include "tools/console/notices.h"
#include "tools/console/progress.h"
#include "tools/reports/comparison.h"
#include "train/settings.h"

/* As the command line says, checked. Texts are borrowed from it, lists are owned. */
typedef struct {
  const char *table, *model, *data, *output;
  base_list methods, tasks, seeds, settings; /* settings: "KEY=VALUE" or "METHOD:KEY=VALUE" */
  const char *backend;
  int64_t threads;
  bool no_fallback;
  report_comparison comparison;
} study_reproduction;

/* Makes the settings of one run: the task's recipe, what the method adds, what --setting says.
 * With `recipe_only` what --setting says is left out. Errors: USAGE, DATA, those of files. */
CDL_MUST_USE cdl_status study_reproduce_settings(const study_reproduction *r, size_t task,
                                                 size_t method, size_t seed, bool recipe_only,
                                                 train_settings *settings);
/* Every key of --setting is a setting that may be given here, and every run's settings and files
 * of data are sound. */
CDL_MUST_USE cdl_status study_reproduce_check(const study_reproduction *r);
/* Notes in the output folder what the runs there have in common: what was asked for, and hashes of the
 * model and of the tasks' files. USAGE, naming it, where an earlier call asked for something else; DATA
 * where files have changed since. Makes the folder. */
CDL_MUST_USE cdl_status study_reproduce_manifest(const study_reproduction *r);

typedef struct {
  console_notices notices;
  console_progress progress;
} study_reproduce_terminal;

/* Trains and predicts, or goes on where a run was stopped; one that is finished is left alone.
 * CANCELLED after a signal. */
CDL_MUST_USE cdl_status study_reproduce_run(const study_reproduction *r, size_t task, size_t method,
                                            size_t seed, study_reproduce_terminal *terminal);

#endif
