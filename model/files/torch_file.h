/* A file of tensors that torch.save has written: a zip archive of a pickle and of raw storages, or as
 * before PyTorch 1.6 pickles and storages one behind the other. */
#ifndef CONDLORA_MODEL_FILES_TORCH_FILE_H
#define CONDLORA_MODEL_FILES_TORCH_FILE_H

#include "base/file.h"
#include "condlora/safetensors.h"

typedef struct {
  cdl_stored_tensor *tensors; /* in the order of the file, of which most are parts */
  size_t count;
  char *names;
  uint8_t *copies; /* of tensors whose elements do not lie in row-major order */
  size_t copied_bytes;
} torch_file;

/* Whether it is of PyTorch, of either format. */
bool torch_file_is(const base_mapping *file);
/* DATA, naming `path` and, where it is one's fault, the tensor. On failure nothing is to be
 * released. */
CDL_MUST_USE cdl_status torch_file_open(const char *path, const base_mapping *file, torch_file *t);
void torch_file_release(torch_file *t);

#endif
