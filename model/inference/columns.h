/* The columns of the table that a whole model was trained on, and the thresholds of its labels, in
 * its config.json: the default of whatever reads a table for it. An adapter has them in its own
 * config. */
#ifndef CONDLORA_MODEL_INFERENCE_COLUMNS_H
#define CONDLORA_MODEL_INFERENCE_COLUMNS_H

#include "model/adapter/folder.h"

/* From and to config.json of a model's folder; none are no error. */
CDL_MUST_USE cdl_status inference_columns_read(const char *model, size_t labels,
                                               adapter_config *config);
CDL_MUST_USE cdl_status inference_columns_write(const char *model, const adapter_config *config);

#endif
