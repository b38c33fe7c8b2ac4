/* A pickled dictionary of PyTorch tensors, read by an interpreter that imports no name and calls
 * nothing. It knows the opcodes that torch.save needs for such a dictionary, and for attributes of
 * it and of its tensors, which it ignores. It knows these names: collections.OrderedDict,
 * torch.Size, torch's functions that build a tensor, and the types of torch's storages. Any other
 * opcode or name is refused by name. */
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

/* Numbers are unchecked, as in the pickle: the caller checks that they fit the storage. */
typedef struct {
  pickled_text name;
  pickled_storage storage;
  int64_t offset; /* elements */
  uint32_t rank;
  int64_t shape[CDL_STORED_RANK_MAX], stride[CDL_STORED_RANK_MAX]; /* strides in elements */
} pickled_tensor;

typedef struct {
  pickled_tensor *tensors;
  pickled_storage *storages; /* one entry for each time that a storage is mentioned */
  size_t tensor_count, storage_count;
} pickled_file;

/* The input of a pickle. Reading moves it past the pickle's end. */
typedef struct {
  const char *path;
  const uint8_t *start, *next, *end;
} pickle_input;

/* Reads the next pickle as a dictionary of tensors. DATA names the path. On failure the caller
 * releases nothing. */
CDL_MUST_USE cdl_status pickle_read(pickle_input *input, pickled_file *file);
void pickle_release(pickled_file *file);

/* Reads the next pickle as a list of strings. The caller frees `texts`. */
CDL_MUST_USE cdl_status pickle_read_texts(pickle_input *input, pickled_text **texts, size_t *count);
/* Reads the next pickle as a dictionary with a flag; false if it has none. */
CDL_MUST_USE cdl_status pickle_read_flag(pickle_input *input, const char *name, bool *flag);

#endif
