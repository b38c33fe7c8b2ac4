#include "model/adapter/methods/factors.h"

#include <stdlib.h>

static cdl_status no_memory(void)
{
  return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a weight");
}

static cdl_status find_singular(cdl_queue *q, cdl_tensor weight, adapter_factors *f)
{
  const int64_t m = f->rows, n = f->columns, k = f->inner, elements = m * k + k + k * n;
  cdl_buffer *buffer;
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)elements * sizeof(float), &buffer));
  cdl_svd(q, CDL_ARGS(svd, .u = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, m, k),
                      .sigma = cdl_tensor_1d(buffer, CDL_DTYPE_F32, m * k, k),
                      .vt = cdl_tensor_2d(buffer, CDL_DTYPE_F32, m * k + k, k, n), .a = weight));
  cdl_queue_download(q, f->memory, cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, elements),
                     (size_t)elements * sizeof(float));
  const cdl_status status = cdl_queue_sync(q);
  cdl_buffer_destroy(buffer);
  return status;
}

/* Q and R of `host` [m n] in float64, which they follow: [m k + k n]. */
static cdl_status find_qr(cdl_queue *q, const adapter_factors *f, double *host)
{
  const int64_t m = f->rows, n = f->columns, k = f->inner, factors = m * k + k * n;
  cdl_buffer *buffer;
  CDL_TRY(
      cdl_buffer_create(cdl_queue_backend(q), (size_t)(m * n + factors) * sizeof *host, &buffer));
  const cdl_tensor a = cdl_tensor_2d(buffer, CDL_DTYPE_F64, 0, m, n);
  cdl_queue_upload(q, a, host, (size_t)(m * n) * sizeof *host);
  cdl_qr(q, CDL_ARGS(qr, .q = cdl_tensor_2d(buffer, CDL_DTYPE_F64, m * n, m, k),
                     .r = cdl_tensor_2d(buffer, CDL_DTYPE_F64, m * n + m * k, k, n), .a = a));
  cdl_queue_download(q, host + m * n, cdl_tensor_1d(buffer, CDL_DTYPE_F64, m * n, factors),
                     (size_t)factors * sizeof *host);
  const cdl_status status = cdl_queue_sync(q);
  cdl_buffer_destroy(buffer);
  return status;
}

/* An adapter that was begun with Q and R holds them as its maker computed them, and they are
 * computed again to be taken off the weight. In float32 the libraries' last bits would differ by
 * more than a few roundings. */
static cdl_status find_orthogonal(cdl_queue *q, cdl_tensor weight, adapter_factors *f)
{
  const int64_t m = f->rows, n = f->columns, k = f->inner;
  float *values = malloc((size_t)(m * n) * sizeof *values);
  double *host = malloc((size_t)(m * n + m * k + k * n) * sizeof *host);
  cdl_status status = values != NULL && host != NULL ? CDL_STATUS_OK : no_memory();
  if (status == CDL_STATUS_OK) {
    cdl_queue_download(q, values, weight, (size_t)(m * n) * sizeof *values);
    status = cdl_queue_sync(q);
  }
  for (int64_t i = 0; status == CDL_STATUS_OK && i < m * n; i++)
    host[i] = (double)values[i];
  free(values);
  if (status == CDL_STATUS_OK)
    status = find_qr(q, f, host);
  for (int64_t i = 0; status == CDL_STATUS_OK && i < m * k; i++)
    f->left[i] = (float)host[m * n + i];
  for (int64_t i = 0; status == CDL_STATUS_OK && i < k; i++)
    f->sigma[i] = 1;
  for (int64_t i = 0; status == CDL_STATUS_OK && i < k * n; i++)
    f->right[i] = (float)host[m * n + m * k + i];
  free(host);
  return status;
}

cdl_status adapter_factorize(cdl_queue *q, cdl_tensor weight, bool singular, adapter_factors *f)
{
  const int64_t m = weight.size[2], n = weight.size[3], k = m < n ? m : n;
  *f = (adapter_factors){.rows = m, .columns = n, .inner = k};
  f->memory = malloc((size_t)(m * k + k + k * n) * sizeof(float));
  if (f->memory == NULL)
    return no_memory();
  f->left = f->memory;
  f->sigma = f->left + m * k;
  f->right = f->sigma + k;
  const cdl_status status = singular ? find_singular(q, weight, f) : find_orthogonal(q, weight, f);
  if (status != CDL_STATUS_OK)
    free(f->memory);
  return status;
}
