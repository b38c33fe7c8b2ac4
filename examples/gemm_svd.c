/* Computes a matrix product and its singular values on any backend:  gemm_svd [BACKEND] */
#include <condlora/condlora.h>
#include <stdio.h>

int main(int argc, char **argv)
{
  const float a[6] = {1, 2, 3, 4, 5, 6}, b[6] = {7, 8, 9, 10, 11, 12}; /* [2, 3], [3, 2] */
  float c[4], sigma[2];
  cdl_backend *backend = NULL;
  cdl_queue *queue = NULL;
  cdl_buffer *memory = NULL;
  cdl_status status = cdl_backend_open(argc > 1 ? argv[1] : "auto", NULL, &backend);
  if (status == CDL_STATUS_OK)
    status = cdl_queue_create(backend, &queue);
  if (status == CDL_STATUS_OK)
    status = cdl_buffer_create(backend, 18 * sizeof(float), &memory);
  if (status == CDL_STATUS_OK) {
    const cdl_tensor x = cdl_tensor_2d(memory, CDL_DTYPE_F32, 0, 2, 3);
    const cdl_tensor y = cdl_tensor_2d(memory, CDL_DTYPE_F32, 6, 3, 2);
    const cdl_tensor z = cdl_tensor_2d(memory, CDL_DTYPE_F32, 12, 2, 2);
    const cdl_tensor s = cdl_tensor_1d(memory, CDL_DTYPE_F32, 16, 2);
    cdl_queue_upload(queue, x, a, sizeof a); /* the queue keeps its first error until the sync */
    cdl_queue_upload(queue, y, b, sizeof b);
    cdl_gemm(queue, CDL_ARGS(gemm, .out = z, .a = x, .b = y, .alpha = 1));
    cdl_queue_download(queue, c, z, sizeof c);
    cdl_svd(queue, CDL_ARGS(svd, .sigma = s, .a = z));
    cdl_queue_download(queue, sigma, s, sizeof sigma);
    status = cdl_queue_sync(queue);
  }
  if (status == CDL_STATUS_OK)
    printf("on %s: %g %g | %g %g, singular values %.4f and %.4f\n", cdl_backend_name(backend),
           (double)c[0], (double)c[1], (double)c[2], (double)c[3], (double)sigma[0],
           (double)sigma[1]);
  else
    fprintf(stderr, "gemm_svd: %s\n", cdl_error_message());
  cdl_buffer_destroy(memory);
  cdl_queue_destroy(queue);
  cdl_backend_close(backend);
  return status != CDL_STATUS_OK;
}
