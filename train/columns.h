/* The columns of the table that a model was trained on: recorded with the adapter, or in the
 * config.json of a model that was fine-tuned whole, and the default of whatever reads a table for
 * it. */
#ifndef CONDLORA_TRAIN_COLUMNS_H
#define CONDLORA_TRAIN_COLUMNS_H

#include "train/session.h"

/* Those of a training run, into the config that its adapter is saved with. */
CDL_MUST_USE cdl_status train_columns_describe(const train_session *session,
                                               const train_settings *settings,
                                               adapter_config *config);

/* From and to config.json of a whole model's folder; none are no error. */
CDL_MUST_USE cdl_status train_columns_read(const char *model, adapter_config *config);
CDL_MUST_USE cdl_status train_columns_write(const char *model, const adapter_config *config);

#endif
