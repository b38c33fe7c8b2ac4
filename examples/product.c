/* A matrix product on whatever device is here:  product [BACKEND] */
#include <condlora/backend.h>
#include <stdio.h>

enum { ROWS = 2, INNER = 3, COLUMNS = 2 };

static cdl_status multiply(cdl_backend *backend, cdl_queue *queue, float *c)
{
  static const float a[ROWS * INNER] = {1, 2, 3, 4, 5, 6};
  static const float b[INNER * COLUMNS] = {1, 0, 0, 1, 1, 1};

  /* One buffer holds all three matrices; tensors are views of it. */
  cdl_buffer *buffer;
  CDL_TRY(cdl_buffer_create(
      backend, (ROWS * INNER + INNER * COLUMNS + ROWS * COLUMNS) * sizeof(float), &buffer));
  const cdl_tensor x = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 0, ROWS, INNER);
  const cdl_tensor y = cdl_tensor_2d(buffer, CDL_DTYPE_F32, ROWS * INNER, INNER, COLUMNS);
  const cdl_tensor z =
      cdl_tensor_2d(buffer, CDL_DTYPE_F32, ROWS * INNER + INNER * COLUMNS, ROWS, COLUMNS);

  /* No status after each call: the queue keeps the first failure, and cdl_queue_sync hands it over. */
  cdl_queue_upload(queue, x, a, sizeof a);
  cdl_queue_upload(queue, y, b, sizeof b);
  cdl_gemm(queue, CDL_ARGS(gemm, .out = z, .a = x, .b = y, .alpha = 1));
  cdl_queue_download(queue, c, z, ROWS * COLUMNS * sizeof *c);
  const cdl_status status = cdl_queue_sync(queue);
  cdl_buffer_destroy(buffer);
  return status;
}

int main(int argc, char **argv)
{
  cdl_backend *backend;
  cdl_queue *queue;
  float c[ROWS * COLUMNS];
  if (cdl_backend_open(argc > 1 ? argv[1] : "auto", NULL, &backend) != CDL_STATUS_OK) {
    fprintf(stderr, "product: %s\n", cdl_error_message());
    return 1;
  }
  cdl_status status = cdl_queue_create(backend, &queue);
  if (status == CDL_STATUS_OK) {
    status = multiply(backend, queue, c);
    cdl_queue_destroy(queue);
  }
  if (status == CDL_STATUS_OK)
    printf("on %s:\n%4g %4g\n%4g %4g\n", cdl_backend_description(backend), (double)c[0],
           (double)c[1], (double)c[2], (double)c[3]);
  else
    fprintf(stderr, "product: %s\n", cdl_error_message());
  cdl_backend_close(backend);
  return status != CDL_STATUS_OK;
}
