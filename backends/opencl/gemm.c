/* Products, by CLBlast. */
#include <stdio.h>

#include "base/dispositions.h"
#include "device.h"

typedef struct {
  const kernel_product *product;
  unsigned transpose_a, transpose_b;
  cl_mem a, b, out, temporary;
  cl_command_queue *queue;
} call;

#define SHAPE(p) (size_t)(p)->m, (size_t)(p)->n, (size_t)(p)->k
#define PLACE(matrix) (size_t)(matrix).offset, (size_t)(matrix).row_stride
#define STRIDED(matrix) PLACE(matrix), (size_t)(matrix).batch_stride

static int multiply_one(const call *c)
{
  const kernel_product *p = c->product;
  if (p->out.dtype == CDL_DTYPE_F64)
    return cl.CLBlastDgemmWithTempBuffer(CLBlastLayoutRowMajor, c->transpose_a, c->transpose_b,
                                         SHAPE(p), p->alpha, c->a, PLACE(p->a), c->b, PLACE(p->b),
                                         p->beta, c->out, PLACE(p->out), c->queue, NULL,
                                         c->temporary);
  return cl.CLBlastSgemmWithTempBuffer(CLBlastLayoutRowMajor, c->transpose_a, c->transpose_b,
                                       SHAPE(p), (float)p->alpha, c->a, PLACE(p->a), c->b,
                                       PLACE(p->b), (float)p->beta, c->out, PLACE(p->out), c->queue,
                                       NULL, c->temporary);
}

static int multiply_batch(const call *c)
{
  const kernel_product *p = c->product;
  if (p->out.dtype == CDL_DTYPE_F64)
    return cl.CLBlastDgemmStridedBatched(CLBlastLayoutRowMajor, c->transpose_a, c->transpose_b,
                                         SHAPE(p), p->alpha, c->a, STRIDED(p->a), c->b,
                                         STRIDED(p->b), p->beta, c->out, STRIDED(p->out),
                                         (size_t)p->batch, c->queue, NULL);
  return cl.CLBlastSgemmStridedBatched(CLBlastLayoutRowMajor, c->transpose_a, c->transpose_b,
                                       SHAPE(p), (float)p->alpha, c->a, STRIDED(p->a), c->b,
                                       STRIDED(p->b), (float)p->beta, c->out, STRIDED(p->out),
                                       (size_t)p->batch, c->queue, NULL);
}

/* Takes working memory that CLBlast would otherwise allocate in every call. */
static cdl_status take_temporary(kernel_queue *queue, call *c)
{
  const kernel_product *p = c->product;
  size_t bytes = 0;
  const int code = p->out.dtype == CDL_DTYPE_F64
                       ? cl.CLBlastDGemmTempBufferSize(CLBlastLayoutRowMajor, c->transpose_a,
                                                       c->transpose_b, SHAPE(p), PLACE(p->a),
                                                       PLACE(p->b), PLACE(p->out), c->queue, &bytes)
                       : cl.CLBlastSGemmTempBufferSize(
                             CLBlastLayoutRowMajor, c->transpose_a, c->transpose_b, SHAPE(p),
                             PLACE(p->a), PLACE(p->b), PLACE(p->out), c->queue, &bytes);
  CDL_TRY(opencl_check(code, "CLBlast's GemmTempBufferSize"));
  if (bytes == 0)
    return CDL_STATUS_OK;
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_PRODUCT, bytes, &scratch));
  c->temporary = scratch->handle;
  return CDL_STATUS_OK;
}

/* CLBlast indexes with 32 bits. */
static bool within_32_bits(const kernel_matrix *matrix, int64_t rows, int64_t batch)
{
  return matrix->offset + (batch - 1) * matrix->batch_stride + rows * matrix->row_stride <=
         INT32_MAX;
}

static cdl_status check_extent(const kernel_product *p)
{
  if (within_32_bits(&p->a, p->transpose_a ? p->k : p->m, p->batch) &&
      within_32_bits(&p->b, p->transpose_b ? p->n : p->k, p->batch) &&
      within_32_bits(&p->out, p->m, p->batch))
    return CDL_STATUS_OK;
  return opencl_host->fail(CDL_STATUS_UNSUPPORTED,
                           "a matrix that ends after element 2^31 of its buffer: CLBlast indexes "
                           "with 32 bits");
}

static cdl_status multiply(kernel_queue *queue, call *c)
{
  if (c->product->batch > 1)
    return opencl_check(multiply_batch(c), "CLBlast's GemmStridedBatched");
  CDL_TRY(take_temporary(queue, c));
  return opencl_check(multiply_one(c), "CLBlast's Gemm");
}

/* CLBlast compiles at first use: one program per type, single or batched; some drivers also compile
 * a kernel of it then. */
static uint32_t kind(const kernel_product *p)
{
  return 1u << ((p->out.dtype == CDL_DTYPE_F64) << 3 | (p->batch > 1) << 2 | p->transpose_a << 1 |
                p->transpose_b);
}

static cdl_status multiply_first(opencl_queue *queue, call *c)
{
  opencl_device *device = queue->device;
  cl.clFinish(queue->queue); /* other work must not count in the time below */
  const uint64_t start = opencl_now();
  base_dispositions kept;
  base_dispositions_keep(&kept);
  const cdl_status status = multiply(&queue->common, c);
  cl.clFinish(queue->queue);
  base_dispositions_restore(&kept);
  device->compile_ns += opencl_now() - start;
  if (status == CDL_STATUS_OK)
    device->gemm_compiled |= kind(c->product);
  return status;
}

cdl_status opencl_multiply(kernel_queue *queue, const kernel_product *product)
{
  CDL_TRY(check_extent(product));
  opencl_queue *q = (opencl_queue *)queue;
  opencl_device *device = q->device;
  call c = {.product = product,
            .transpose_a = product->transpose_a ? CLBlastTransposeYes : CLBlastTransposeNo,
            .transpose_b = product->transpose_b ? CLBlastTransposeYes : CLBlastTransposeNo,
            .a = product->a.buffer->handle,
            .b = product->b.buffer->handle,
            .out = product->out.buffer->handle,
            .queue = &q->queue};
  pthread_mutex_lock(&device->gemm_lock);
  const cdl_status status =
      device->gemm_compiled & kind(product) ? multiply(queue, &c) : multiply_first(q, &c);
  pthread_mutex_unlock(&device->gemm_lock);
  return status;
}
