#include "model/adapter/methods/factors.h"

#include <stdlib.h>

cdl_status adapter_factorize(cdl_queue *q, cdl_tensor weight, bool singular, adapter_factors *f)
{
  const int64_t m = weight.size[2], n = weight.size[3], k = m < n ? m : n;
  const int64_t elements = m * k + k * n + k;
  cdl_buffer *buffer;
  *f = (adapter_factors){.rows = m, .columns = n, .inner = k};
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)elements * sizeof(float), &buffer));
  const cdl_tensor left = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, m, k),
                   right = cdl_tensor_2d(buffer, CDL_DTYPE_F32, m * k, k, n),
                   sigma = cdl_tensor_1d(buffer, CDL_DTYPE_F32, m * k + k * n, k);
  if (singular)
    cdl_svd(q, CDL_ARGS(svd, .u = left, .sigma = sigma, .vt = right, .a = weight));
  else {
    cdl_fill(q, CDL_ARGS(fill, .out = sigma, .value = 1));
    cdl_qr(q, CDL_ARGS(qr, .q = left, .r = right, .a = weight));
  }
  f->memory = malloc((size_t)elements * sizeof(float));
  cdl_status status =
      f->memory != NULL ? CDL_STATUS_OK : cdl_fail(CDL_STATUS_MEMORY, "out of memory: a weight");
  if (status == CDL_STATUS_OK) {
    f->left = f->memory;
    f->right = f->memory + m * k;
    f->sigma = f->right + k * n;
    cdl_queue_download(q, f->memory, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, elements),
                       (size_t)elements * sizeof(float));
    status = cdl_queue_sync(q);
  }
  if (status != CDL_STATUS_OK)
    free(f->memory);
  cdl_buffer_destroy(buffer);
  return status;
}
