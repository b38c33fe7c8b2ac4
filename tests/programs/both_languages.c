/* One text, compiled as C and as C++: a product and a sum through CDL_ARGS, and the headers' inline
 * functions. */
#include <stdio.h>

#include "condlora/backend.h"
#include "condlora/mapped.h"
#include "condlora/random.h"

static int run(cdl_queue *queue, cdl_buffer *buffer)
{
  const float sent[12] = {1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 0, 0};
  const float expected[4] = {39, 45, 87, 101}; /* 2 a b + 1 */
  float received[4] = {0, 0, 0, 0};
  const cdl_tensor all = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 0, 12);
  const cdl_tensor a = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, 2, 2);
  const cdl_tensor b = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 4, 2, 2);
  const cdl_tensor out = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 8, 2, 2);
  cdl_queue_upload(queue, all, sent, sizeof sent);
  cdl_fill(queue, CDL_ARGS(fill, .out = out, .value = 1));
  cdl_gemm(queue, CDL_ARGS(gemm, .out = out, .a = a, .b = b, .alpha = 2, .beta = 1));
  cdl_queue_download(queue, received, out, sizeof received);
  if (cdl_queue_sync(queue) != CDL_STATUS_OK)
    return 1;
  for (int i = 0; i < 4; i++)
    if (received[i] != expected[i])
      return 1;
  return 0;
}

int main(void)
{
  cdl_backend *backend = NULL;
  cdl_queue *queue = NULL;
  cdl_buffer *buffer = NULL;
  cdl_random random = cdl_random_start(1, CDL_RANDOM_TEST, 0, 0);
  if (cdl_backend_open("cpu", NULL, &backend) != CDL_STATUS_OK ||
      cdl_queue_create(backend, &queue) != CDL_STATUS_OK ||
      cdl_buffer_create(backend, 12 * sizeof(float), &buffer) != CDL_STATUS_OK) {
    printf("%s\n", cdl_error_message());
    return 1;
  }
  const int failed = run(queue, buffer);
  if (failed)
    printf("wrong: %s\n", cdl_error_message());
  printf("%08x\n", (unsigned)cdl_random_u32(&random));
  cdl_buffer_destroy(buffer);
  cdl_queue_destroy(queue);
  return cdl_backend_close(backend) == CDL_STATUS_OK && cdl_mapped_file(NULL) == NULL ? failed : 1;
}
