/* A merged model as a folder of its own. */
#ifndef CONDLORA_MODEL_EXPORT_MERGE_H
#define CONDLORA_MODEL_EXPORT_MERGE_H

#include "model/encoder/encoder.h"

/* Stores the float32 tensors of the model folder `folder` anew in the types that they have in
 * `base_folder`, rounded to nearest; those that are not there, or are F64, stay float32. */
CDL_MUST_USE cdl_status export_model_narrow(const char *folder, const char *base_folder);

#endif
