/* A pickled dictionary of PyTorch tensors, read by an interpreter that knows nothing else: no name
 * is ever imported and nothing is called. What it knows are the opcodes that torch.save needs for
 * such a dictionary and for attributes of it and of its tensors, which are read over, and of names
 * collections.OrderedDict, torch.Size, the functions of torch that put a tensor together, and the
 * types of torch's storages. Any other opcode or name is refused by name. */
#ifndef CONDLORA_MODEL_FILES_PICKLE_H
#define CONDLORA_MODEL_FILES_PICKLE_H

#include "condlora/safetensors.h"

/* A view into the pickle, without NUL and control characters. */
typedef struct {
  const char *text;
  size_t bytes;
} pickled_text;

typedef struct {
  pickled_text key;
  cdl_stored_type type;
  int64_t count; /* elements */
} pickled_storage;

/* Numbers are as they stand in the pickle: that they fit the storage is for the caller to check. */
typedef struct {
  pickled_text name;
  pickled_storage storage;
  int64_t offset; /* elements */
  uint32_t rank;
  int64_t shape[CDL_STORED_RANK_MAX], stride[CDL_STORED_RANK_MAX]; /* strides in elements */
} pickled_tensor;

typedef struct {
  pickled_tensor *tensors;
  pickled_storage *storages; /* every one that is mentioned, as often as it is */
  size_t tensor_count, storage_count;
} pickled_file;

/* What a pickle reads from: moved on behind its end. */
typedef struct {
  const char *path;
  const uint8_t *start, *next, *end;
} pickle_input;

/* The next pickle is a dictionary of tensors. DATA, naming the path. On failure nothing is to be
 * released. */
CDL_MUST_USE cdl_status pickle_read(pickle_input *input, pickled_file *file);
void pickle_release(pickled_file *file);

/* The next pickle is a list of texts. `texts` is to be freed by the caller. */
CDL_MUST_USE cdl_status pickle_read_texts(pickle_input *input, pickled_text **texts, size_t *count);
/* The next pickle is a dictionary with a flag in it; false where it has none. */
CDL_MUST_USE cdl_status pickle_read_flag(pickle_input *input, const char *name, bool *flag);

#endif
