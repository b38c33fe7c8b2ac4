/* Reads what an opened file of tensors holds. */
#ifndef CONDLORA_TESTS_FUZZ_TENSORS_H
#define CONDLORA_TESTS_FUZZ_TENSORS_H

#include <stdlib.h>

#include "condlora/safetensors.h"
#include "tests/fuzz/fuzz.h"

static inline void fuzz_read_tensors(const cdl_safetensors *file)
{
  enum { LARGEST = 1 << 20 };
  unsigned sum = 0;
  for (size_t i = 0; i < cdl_safetensors_count(file); i++) {
    const cdl_stored_tensor *tensor = cdl_safetensors_get(file, i);
    if (cdl_safetensors_find(file, tensor->name) != tensor)
      abort();
    for (size_t at = 0; at < tensor->bytes; at++)
      sum += ((const uint8_t *)tensor->data)[at];
    (void)fuzz_ok(cdl_safetensors_check_finite(file, tensor));
    const size_t bytes = cdl_stored_type_bytes(tensor->type);
    if (tensor->bytes / bytes > LARGEST)
      continue;
    float *values = malloc((tensor->bytes / bytes + 1) * sizeof *values);
    if (values != NULL)
      (void)fuzz_ok(cdl_safetensors_read(file, tensor, tensor->rank, tensor->shape, values));
    free(values);
    cdl_safetensors_discard(file, tensor);
  }
  static volatile unsigned seen; /* so that the reads are not optimized away */
  seen = sum;
  (void)seen;
}

#endif
