/* What a run does with frozen layers: where its passes begin, and what that takes and saves. */
#ifndef CONDLORA_TRAIN_FROZEN_H
#define CONDLORA_TRAIN_FROZEN_H

#include "train/session_state.h"

typedef struct {
  int layers;     /* blocks of the model */
  int untrained;  /* lowest blocks in and below which nothing is trained */
  int frozen;     /* those of them that give the same for an example in every step */
  int block;      /* where passes begin; above 0 with states from the session's cache */
  uint64_t bytes; /* of the states of all examples at `frozen` */
  uint64_t limit; /* bytes that the cache may take; 0: there is none */
  double saved;   /* share of a step's matrix products that is saved, if it begins at `frozen` */
} train_frozen_plan;

/* Makes the session's cache, as the settings ask for it. Errors: those of frozen_cache_create. */
CDL_MUST_USE cdl_status train_frozen_open(train_session *session, const train_settings *settings);

/* Decides for a run with these dropout rates, which sees examples again in `several_epochs`. The
 * session has the run's adapter. */
void train_frozen_choose(const train_session *session, const train_settings *settings,
                         const encoder_dropout_rates *rates, bool several_epochs,
                         train_frozen_plan *plan);

/* Returns from which block on a run drops anything: 0, or with --freeze-dropout the first one that
 * is trained. */
int train_first_dropping_block(const train_session *session, const train_settings *settings);

#endif
