/* A search of settings: what it is asked for, whom it tells, and what it has open. */
#ifndef CONDLORA_TOOLS_STUDY_SEARCH_STATE_H
#define CONDLORA_TOOLS_STUDY_SEARCH_STATE_H

#include "tools/study/optuna_client.h"
#include "tools/study/search_space.h"
#include "train/joint.h"

enum { STUDY_SEARCH_PARALLEL_MAX = TRAIN_JOINT_RUNS_MAX };

/* A trial that is over. Borrowed for the call. */
typedef struct {
  int64_t number;
  const json_t *parameters; /* what is searched, by the settings' names */
  const char *state;        /* "complete", "pruned", "fail" */
  double value;             /* of a complete one */
  const char *note;         /* why it failed or was pruned; NULL: nothing to say */
} study_trial_end;

/* Whom a search tells what happens, and who may stop it. */
typedef struct {
  void *user;
  void (*began)(void *user); /* the study is open: every input was found good */
  /* A step of the first of the trials that train together. */
  void (*stepped)(void *user, const train_step_report *report);
  void (*ended)(void *user, const study_trial_end *end);
  /* Not 0: finish the steps, save, and return CANCELLED. */
  const volatile int *interrupted;
  /* [STUDY_SEARCH_PARALLEL_MAX] a flag for each trial under way. An interruption sets all of them
   * after `interrupted`; the search sets that of a trial which is to end before its time. */
  volatile int *stops;
} study_search_events;

typedef struct {
  /* What is searched, and how; filled in by the caller, texts are borrowed. */
  train_settings settings;                        /* what every trial begins with */
  bool given[TRAIN_SETTINGS_MAX];                 /* set by hand, by place in train_setting_list */
  const char *study, *storage, *sampler, *pruner; /* storage NULL: OUT/study.db */
  int objective; /* train_keep: which evaluation is a trial's value */
  int64_t trials, parallel;
  double timeout; /* seconds; 0: none */
  bool keep_checkpoints;
  study_search_space space;
  study_search_events events;

  /* What is open. */
  train_session session;       /* the base of all trials */
  study_optuna_client *client; /* the study's */
  char owner[20];              /* by which the study knows trials of this output folder */
} study_search;

#endif
