/* gemm: joins batches if strides allow it, and converts operands to what a backend's product
 * takes. */
#include "backends/kernels/gemm.h"

#include "backends/kernels/tiling.h"

/* ---- Operands ---- */

/* Copies `t` to scratch, with dense rows and another type; repeated dimensions are copied once. */
typedef struct {
  bool needed;
  cdl_dtype dtype;
  cdl_tensor source, copy;
} operand;

enum { SCRATCH_ALIGNMENT = 256 };

static operand operand_of(cdl_tensor t, cdl_dtype dtype)
{
  operand o = {.dtype = dtype, .source = t};
  const bool apart = t.size[2] == 1 || t.stride[2] >= at_least(t.size[3], 1);
  o.needed = t.dtype != dtype || !apart;
  for (int d = 0; d < 2; d++)
    if (t.stride[d] == 0)
      o.source.size[d] = 1;
  return o;
}

static size_t copy_bytes(const operand *o)
{
  const size_t bytes = (size_t)cdl_tensor_elements(o->source) * cdl_dtype_bytes(o->dtype);
  return o->needed ? (bytes + SCRATCH_ALIGNMENT - 1) / SCRATCH_ALIGNMENT * SCRATCH_ALIGNMENT : 0;
}

static cdl_status copy_operand(kernel_queue *queue, operand *o, size_t first_byte, cdl_tensor *t)
{
  if (!o->needed)
    return CDL_STATUS_OK;
  const int64_t *size = o->source.size;
  const cdl_tensor copy = cdl_tensor_4d(&queue->scratch[SCRATCH_OPERANDS], o->dtype,
                                        (int64_t)(first_byte / cdl_dtype_bytes(o->dtype)), size[0],
                                        size[1], size[2], size[3]);
  for (int d = 0; d < 4; d++)
    t->stride[d] = d < 2 && t->stride[d] == 0 ? 0 : copy.stride[d];
  t->buffer = copy.buffer;
  t->offset = copy.offset;
  t->dtype = o->dtype;
  return o->dtype == o->source.dtype
             ? kernel_op_copy(queue, CDL_ARGS(copy, .out = copy, .x = o->source))
             : kernel_op_cast(queue, CDL_ARGS(cast, .out = copy, .x = o->source));
}

/* Returns the type in which both operands are multiplied. Only linear, with a BF16 weight, mixes
 * types. */
static cdl_dtype common_dtype(const kernel_device *device, const cdl_gemm_args *g)
{
  const bool narrow = g->a.dtype == CDL_DTYPE_BF16 || g->b.dtype == CDL_DTYPE_BF16;
  return !narrow ? g->a.dtype : device->takes_bf16 ? CDL_DTYPE_BF16 : CDL_DTYPE_F32;
}

static cdl_status prepare_operands(kernel_queue *queue, cdl_gemm_args *g)
{
  const cdl_dtype dtype = common_dtype(queue->device, g);
  operand a = operand_of(g->a, dtype), b = operand_of(g->b, dtype);
  const size_t a_bytes = copy_bytes(&a), bytes = a_bytes + copy_bytes(&b);
  if (bytes == 0)
    return CDL_STATUS_OK;
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OPERANDS, bytes, &scratch));
  CDL_TRY(copy_operand(queue, &a, 0, &g->a));
  return copy_operand(queue, &b, a_bytes, &g->b);
}

/* ---- Batches ---- */

static bool batches_join(const cdl_tensor *t)
{
  return t->size[0] == 1 || t->size[1] == 1 || t->stride[0] == t->size[1] * t->stride[1];
}

static kernel_matrix matrix_of(const cdl_tensor *t, int dimension)
{
  return (kernel_matrix){.buffer = t->buffer,
                         .dtype = t->dtype,
                         .offset = t->offset,
                         .row_stride = t->size[2] == 1 ? at_least(t->size[3], 1) : t->stride[2],
                         .batch_stride = t->size[dimension] == 1 ? 0 : t->stride[dimension]};
}

/* Over dimension `inner`. */
static kernel_product product_of(const cdl_gemm_args *g, int inner, int64_t batch)
{
  const cdl_tensor *out = &g->out;
  return (kernel_product){
      .out = matrix_of(out, inner),
      .a = matrix_of(&g->a, inner),
      .b = matrix_of(&g->b, inner),
      .m = out->size[2],
      .n = out->size[3],
      .k = g->transpose_a ? g->a.size[2] : g->a.size[3],
      .batch = batch,
      .transpose_a = g->transpose_a,
      .transpose_b = g->transpose_b,
      .alpha = (double)g->alpha,
      .beta = (double)g->beta,
  };
}

static cdl_status multiply(kernel_queue *queue, const cdl_gemm_args *g)
{
  const cdl_tensor *out = &g->out;
  const bool joined = batches_join(out) && batches_join(&g->a) && batches_join(&g->b);
  /* One product over dimension `inner` for each index of `outer`. */
  const int inner = joined ? (out->size[1] == 1 ? 0 : 1) : out->size[0] > out->size[1] ? 0 : 1;
  const int outer = 1 - inner;
  kernel_product p = product_of(g, inner, joined ? out->size[0] * out->size[1] : out->size[inner]);
  for (int64_t i = 0; i < (joined ? 1 : out->size[outer]); i++) {
    CDL_TRY(queue->device->driver->multiply(queue, &p));
    p.out.offset += out->stride[outer];
    p.a.offset += g->a.stride[outer];
    p.b.offset += g->b.stride[outer];
  }
  return CDL_STATUS_OK;
}

/* ---- The op ---- */

/* out = β out. */
static cdl_status scale_output(kernel_queue *queue, const cdl_gemm_args *g)
{
  if (g->beta == 1.0f)
    return CDL_STATUS_OK;
  if (g->beta == 0.0f)
    return kernel_op_fill(queue, CDL_ARGS(fill, .out = g->out, .value = 0.0));
  if (g->out.dtype != CDL_DTYPE_F64)
    return kernel_op_axpby(queue, CDL_ARGS(axpby, .out = g->out, .x = g->out, .alpha = g->beta));
  scale_parameters p = {.factor = g->beta};
  p.tiling = tiling_over(queue->device, &g->out, 1, false, &p.out);
  return LAUNCH(queue, scale_f64, groups_for(queue->device, p.tiling.tiles), &p, g->out.buffer);
}

cdl_status kernel_op_gemm(void *queue, const cdl_gemm_args *args)
{
  if (cdl_tensor_elements(args->out) == 0)
    return CDL_STATUS_OK;
  const int64_t k = args->transpose_a ? args->a.size[2] : args->a.size[3];
  if (k == 0 || args->alpha == 0.0f)
    return scale_output(queue, args);
  cdl_gemm_args g = *args;
  CDL_TRY(prepare_operands(queue, &g));
  return multiply(queue, &g);
}

cdl_status gemm_with_bias(kernel_queue *queue, const cdl_gemm_args *args, const cdl_tensor *bias,
                          gemm_fill *fill, const void *context, bool *done)
{
  const kernel_driver *driver = queue->device->driver;
  *done = false;
  const bool as_it_is =
      !operand_of(args->a, CDL_DTYPE_BF16).needed && !operand_of(args->b, CDL_DTYPE_BF16).needed;
  if (driver->takes_bias == NULL || !as_it_is || args->a.size[args->transpose_a ? 2 : 3] == 0)
    return CDL_STATUS_OK;
  kernel_product p = product_of(args, 0, 1);
  p.bias = bias->buffer;
  p.bias_offset = bias->offset;
  CDL_TRY(driver->takes_bias(queue, &p, done));
  if (!*done)
    return CDL_STATUS_OK;
  if (fill != NULL)
    CDL_TRY(fill(queue, bias, context));
  return driver->multiply(queue, &p);
}
