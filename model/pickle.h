/* A pickled dictionary of PyTorch tensors, read by an interpreter that knows nothing else: no name
 * is ever imported and nothing is called. What it knows are the opcodes of protocol 2 that such a
 * dictionary needs, and of names collections.OrderedDict, torch._utils._rebuild_tensor_v2,
 * torch._utils._rebuild_parameter and the types of torch's storages. Any other opcode or name is
 * refused by name. */
#ifndef CONDLORA_MODEL_PICKLE_H
#define CONDLORA_MODEL_PICKLE_H

#include "condlora/safetensors.h"

/* Views into the pickle; texts have no NUL and no control characters. Numbers are as they stand
 * there: that they fit the storage is for the caller to check. */
typedef struct {
  const char *name, *key; /* `key`: which storage */
  size_t name_bytes, key_bytes;
  cdl_stored_type type;
  int64_t storage_count, offset; /* elements */
  uint32_t rank;
  int64_t shape[CDL_STORED_RANK_MAX], stride[CDL_STORED_RANK_MAX]; /* strides in elements */
} pickled_tensor;

/* `tensors` is to be freed by the caller. DATA, naming `path`. */
CDL_MUST_USE cdl_status pickle_read(const char *path, const uint8_t *bytes, size_t size,
                                    pickled_tensor **tensors, size_t *count);

#endif
