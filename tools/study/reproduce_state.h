/* The state of a reproduction: the request, its events, and the plan. */
#ifndef CONDLORA_TOOLS_STUDY_REPRODUCE_STATE_H
#define CONDLORA_TOOLS_STUDY_REPRODUCE_STATE_H

#include "base/list.h"
#include "condlora/hub.h"
#include "tools/reports/source.h"
#include "train/trainer.h"

/* The request; texts are borrowed. */
typedef struct {
  const char *table;         /* "table1", "verdict" */
  const char *model;         /* a folder, or a name of the hub */
  const char *data, *output; /* folders; `data` holds one folder a GLUE task */
  /* Lists with commas; NULL: the table's. A single number of `seeds` is their count, from 0. */
  const char *tasks, *methods, *seeds;
  /* Replacements for the recipes' settings: two values, or NULL, and others as "KEY=VALUE" or
   * "METHOD:KEY=VALUE". */
  const char *epochs, *lr;
  /* Of the verdict: the learning rates of its search as "LOW:HIGH:COUNT", NULL for the default, and
   * the folder of records, NULL for OUTPUT/records. Without `model` nothing is trained. */
  const char *rates, *records;
  const char *const *settings; /* [setting_count] */
  size_t setting_count;
  const char *backend;
  int64_t threads; /* 0: every core */
  bool no_fallback;
  ranks_job *job; /* whose ranks train each run together; borrowed, NULL: one rank */
} study_reproduce_request;

/* A run that begins. */
typedef struct {
  const char *task, *method;
  double rate; /* learning rate; NaN: the recipe's */
  int64_t seed;
  bool search;         /* the run is part of a search of the learning rate */
  size_t number, of;   /* counted from 1; 0 if the number of runs is unknown */
  double seconds_left; /* for all runs; NaN if unknown */
} study_run_begin;

/* The callbacks of a reproduction. Every function may be NULL. */
typedef struct {
  void *user;
  void (*began)(void *user); /* all inputs have been checked */
  void (*run_began)(void *user, const study_run_begin *run);
  void (*stepped)(void *user, const train_step_report *report);
  void (*evaluated)(void *user, const train_evaluation_report *report);
  void (*run_trained)(void *user);
  const volatile int *stop; /* not 0: finish the step, save, and return CANCELLED */
} study_reproduce_events;

/* A reproduction; its lists are owned. */
typedef struct {
  study_reproduce_request asked;
  study_reproduce_events events;
  const report_kind *kind;
  cdl_hub_source *model;
  base_list methods, tasks, seeds, settings; /* settings: "KEY=VALUE" or "METHOD:KEY=VALUE" */
  report_comparison comparison;
} study_reproduction;

#endif
