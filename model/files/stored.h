/* Stored tensors whose memory is used as long as their files are open. */
#ifndef CONDLORA_MODEL_FILES_STORED_H
#define CONDLORA_MODEL_FILES_STORED_H

#include "condlora/safetensors.h"

/* Returns whether the tensor's data is memory of its mapped file, not a copy. */
bool model_stored_is_mapped(const cdl_safetensors *file, const cdl_stored_tensor *tensor);

/* Fails with IO, naming the file, if one of the files was written since it was opened. */
CDL_MUST_USE cdl_status model_stored_check(const cdl_safetensors *file);

#endif
