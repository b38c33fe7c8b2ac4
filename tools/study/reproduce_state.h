/* The state of a reproduction: the request, its events, and the plan. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_STATE_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_STATE_H

#include "base/list.h"
#include "tools/reports/comparison.h"
#include "train/trainer.h"

/* The request; texts are borrowed. */
typedef struct {
  const char *table;                 /* "table1" */
  const char *model, *data, *output; /* folders; `data` holds one folder a GLUE task */
  /* Lists with commas; NULL: the table's. A single number of `seeds` is their count, from 0. */
  const char *tasks, *methods, *seeds;
  /* Replacements for the recipes' settings: two values, or NULL, and others as "KEY=VALUE" or
   * "METHOD:KEY=VALUE". */
  const char *epochs, *lr;
  const char *const *settings; /* [setting_count] */
  size_t setting_count;
  const char *backend;
  int64_t threads; /* 0: every core */
  bool no_fallback;
} study_reproduce_request;

/* The callbacks of a reproduction. Every function may be NULL. */
typedef struct {
  void *user;
  void (*began)(void *user); /* all inputs have been checked */
  void (*run_began)(void *user, const char *task, const char *method, int64_t seed);
  void (*stepped)(void *user, const train_step_report *report);
  void (*evaluated)(void *user, const train_evaluation_report *report);
  void (*run_trained)(void *user);
  const volatile int *stop; /* not 0: finish the step, save, and return CANCELLED */
} study_reproduce_events;

/* A reproduction; its lists are owned. */
typedef struct {
  study_reproduce_request asked;
  study_reproduce_events events;
  base_list methods, tasks, seeds, settings; /* settings: "KEY=VALUE" or "METHOD:KEY=VALUE" */
  report_comparison comparison;
} study_reproduction;

#endif
