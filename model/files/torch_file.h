/* A file of tensors that torch.save has written: a zip archive of a pickle and raw storages, or, as
 * before PyTorch 1.6, pickles and storages one after the other. */
#ifndef CONDLORA_MODEL_FILES_TORCH_FILE_H
#define CONDLORA_MODEL_FILES_TORCH_FILE_H

#include "base/file.h"
#include "condlora/safetensors.h"

typedef struct {
  cdl_stored_tensor *tensors; /* in the order of the file; most of them are views of it */
  size_t count;
  char *names;
  uint8_t *copies; /* copies of tensors that are not in row-major order */
  size_t copied_bytes;
} torch_file;

/* Returns whether the file is PyTorch's, in either format. */
bool torch_file_is(const base_mapping *file);
/* DATA names `path` and, if one is at fault, the tensor. On failure the caller releases nothing. */
CDL_MUST_USE cdl_status torch_file_open(const char *path, const base_mapping *file, torch_file *t);
void torch_file_release(torch_file *t);

#endif
