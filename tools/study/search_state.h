/* The state of a search: the request, its events, and what is open.
 *
 * In a job of several ranks all of them make the same calls. The first one alone speaks with the
 * study and writes files, and the others learn from it what decides the course of the search. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_STATE_H
#define CONDLORA_TOOLS_STUDY_SEARCH_STATE_H

#include "tools/study/optuna_client.h"
#include "tools/study/search_space.h"
#include "train/joint.h"

enum { STUDY_SEARCH_PARALLEL_MAX = TRAIN_JOINT_RUNS_MAX };

/* A finished trial; borrowed for the call. */
typedef struct {
  int64_t number;
  const json_t *parameters; /* values of the searched settings, by name */
  const char *state;        /* "complete", "pruned", "fail", "lost" */
  double value;             /* of a complete trial */
  const char *note;         /* why it failed, was pruned or lost; may be NULL */
} study_trial_end;

/* The callbacks of a search. */
typedef struct {
  void *user;
  void (*began)(void *user); /* the study is open and all inputs have been checked */
  /* A step of the first trial of those that train together. */
  void (*stepped)(void *user, const train_step_report *report);
  void (*ended)(void *user, const study_trial_end *end);
  /* If not 0, the search finishes the steps, saves, and returns CANCELLED. */
  const volatile int *interrupted;
  /* [STUDY_SEARCH_PARALLEL_MAX] flags, one for each running trial. An interruption sets all of them
   * after `interrupted`; the search sets the flag of a trial that ends early. */
  volatile int *stops;
} study_search_events;

typedef struct {
  /* The request, filled in by the caller; texts are borrowed. */
  train_settings settings;        /* the settings of every trial before its parameters */
  bool given[TRAIN_SETTINGS_MAX]; /* set by the user, indexed as train_setting_list */
  const char *study, *storage, *sampler, *pruner; /* storage NULL: OUT/study.db */
  int objective; /* train_keep: the evaluation that gives a trial's value */
  int64_t trials, parallel;
  double timeout;       /* seconds; 0: none */
  int64_t grace_period; /* seconds; 0: the study's, or the usual one of a new study */
  bool no_wait;         /* end while other searches still train the last trials */
  bool keep_checkpoints;
  study_search_space space;
  study_search_events events;
  ranks_job *job; /* whose ranks train each trial together; borrowed, NULL: one rank */

  /* What study_search_open opened. */
  train_session session;       /* the base of all trials */
  study_optuna_client *client; /* connection to the study */
  char owner[20];              /* name of this output folder's trials in the study */
} study_search;

#endif
