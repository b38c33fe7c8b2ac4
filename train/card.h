/* The model card of a run's adapter or model. */
#ifndef CONDLORA_TRAIN_CARD_H
#define CONDLORA_TRAIN_CARD_H

#include "train/session.h"
#include "train/settings.h"
#include "train/trainer.h"

/* Writes README.md into `folder`, which holds what the run kept. */
CDL_MUST_USE cdl_status train_card_write(const char *folder, const train_session *session,
                                         const train_settings *settings,
                                         const train_summary *summary);

#endif
