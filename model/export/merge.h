/* A merged model as a separate folder. */
#ifndef CONDLORA_MODEL_EXPORT_MERGE_H
#define CONDLORA_MODEL_EXPORT_MERGE_H

#include "model/encoder/encoder.h"

/* Rewrites the float32 tensors of the model folder `folder` in the types that they have in
 * `base_folder`, rounded to nearest. Tensors that the base lacks or has as F64 stay float32. */
CDL_MUST_USE cdl_status export_model_narrow(const char *folder, const char *base_folder);

#endif
