/* linear: the backend's product, then bias and activation in one pass. */
#include "backends/kernels/gemm.h"
#include "backends/kernels/tiling.h"

enum { ITEM_COLUMNS = 4, ALONE_COLUMNS = 8192 };

/* Returns the plain matrix of a weight: see struct cdl_weight, and kernel.h for BF16. */
static cdl_tensor matrix_of(const cdl_weight *weight)
{
  return *(const cdl_tensor *)weight->handle;
}

static cdl_status add_bias_and_activate(kernel_queue *queue, const cdl_linear_args *a)
{
  const kernel_device *device = queue->device;
  const int64_t size[4] = {1, 1, a->out.size[2], a->out.size[3]};
  const bool narrow = a->out.dtype == CDL_DTYPE_BF16;
  const linear_parameters p = {
      .tiling = narrow ? tiling_of_eights(device, size, size[2])
                       : tiling_of(device, size, size[2],
                                   device->group_size == 1 ? ALONE_COLUMNS
                                                           : ITEM_COLUMNS * device->group_size),
      .out = a->out.offset,
      .out_stride = a->out.stride[2],
      .pre = offset_of(&a->pre),
      .pre_stride = a->pre.stride[2],
      .bias = a->bias.offset,
      .function = (int)a->activation,
  };
  const int64_t groups = groups_for(device, p.tiling.tiles);
  return narrow ? LAUNCH(queue, linear_finish_bf16, groups, &p, a->out.buffer, a->pre.buffer,
                         a->bias.buffer)
                : LAUNCH(queue, linear_finish, groups, &p, a->out.buffer, a->pre.buffer,
                         a->bias.buffer);
}

static cdl_gemm_args product_of(const cdl_linear_args *a)
{
  const cdl_tensor out = cdl_tensor_present(a->pre) ? a->pre : a->out;
  return *CDL_ARGS(gemm, .out = out, .a = a->x, .b = matrix_of(a->weight), .transpose_b = true,
                   .alpha = 1.0f);
}

/* out = f(product), where the product is in `pre` or in `out`. */
static cdl_status activate(kernel_queue *queue, const cdl_linear_args *a)
{
  const bool apart = cdl_tensor_present(a->pre);
  if (a->activation == CDL_ACTIVATION_NONE)
    return apart ? kernel_op_copy(queue, CDL_ARGS(copy, .out = a->out, .x = a->pre))
                 : CDL_STATUS_OK;
  return kernel_op_unary(queue,
                         CDL_ARGS(unary, .out = a->out, .x = apart ? a->pre : a->out,
                                  .function = CDL_UNARY_ACTIVATION, .activation = a->activation));
}

/* ---- The bias within the product, on BF16 ---- */

/* A bias of F32 is rounded first, by a launch. It pays where the pass after the product is spared,
 * or, in a large output, one of the pass's two results. */
static bool bias_pays(const cdl_linear_args *a)
{
  enum { LARGE = 1 << 22 };
  const bool apart = cdl_tensor_present(a->pre), rounded = a->bias.dtype == CDL_DTYPE_BF16;
  return a->out.dtype == CDL_DTYPE_BF16 && cdl_tensor_present(a->bias) &&
         (a->activation == CDL_ACTIVATION_NONE
              ? !apart
              : apart && (rounded || cdl_tensor_elements(a->out) >= LARGE));
}

static cdl_status round_bias(kernel_queue *queue, const cdl_tensor *bias, const void *context)
{
  const cdl_linear_args *a = context;
  return kernel_op_cast(queue, CDL_ARGS(cast, .out = *bias, .x = a->bias));
}

/* The product adds a bias of its own output's type. */
static cdl_status multiply_and_add_bias(kernel_queue *queue, const cdl_linear_args *a, bool *done)
{
  const int64_t columns = a->out.size[3];
  const cdl_gemm_args product = product_of(a);
  if (a->bias.dtype == CDL_DTYPE_BF16)
    return gemm_with_bias(queue, &product, &a->bias, NULL, a, done);
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)columns * cdl_dtype_bytes(CDL_DTYPE_BF16),
                         &scratch));
  const cdl_tensor bias = cdl_tensor_1d(&queue->scratch[SCRATCH_OP], CDL_DTYPE_BF16, 0, columns);
  return gemm_with_bias(queue, &product, &bias, round_bias, a, done);
}

/* Where the product takes no bias: the pass after it has one of F32. */
static cdl_status widen_bias_and_activate(kernel_queue *queue, const cdl_linear_args *a)
{
  const int64_t columns = a->out.size[3];
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)columns * sizeof(float), &scratch));
  cdl_linear_args wide = *a;
  wide.bias = cdl_tensor_1d(&queue->scratch[SCRATCH_OP], CDL_DTYPE_F32, 0, columns);
  CDL_TRY(kernel_op_cast(queue, CDL_ARGS(cast, .out = wide.bias, .x = a->bias)));
  return add_bias_and_activate(queue, &wide);
}

/* ---- The ops ---- */

cdl_status kernel_op_linear(void *queue, const cdl_linear_args *a)
{
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  bool has_bias = false;
  if (bias_pays(a))
    CDL_TRY(multiply_and_add_bias(queue, a, &has_bias));
  if (has_bias)
    return activate(queue, a);
  const cdl_gemm_args product = product_of(a);
  CDL_TRY(kernel_op_gemm(queue, &product));
  if (!cdl_tensor_present(a->bias))
    return activate(queue, a);
  if (a->bias.dtype == CDL_DTYPE_F32)
    return add_bias_and_activate(queue, a);
  return widen_bias_and_activate(queue, a);
}

cdl_status kernel_op_linear_grad(void *queue, const cdl_linear_grad_args *a)
{
  if (cdl_tensor_elements(a->d_x) == 0)
    return CDL_STATUS_OK;
  CDL_TRY(
      kernel_op_gemm(queue, CDL_ARGS(gemm, .out = a->d_x, .a = a->d_out, .b = matrix_of(a->weight),
                                     .alpha = 1.0f, .beta = a->accumulate ? 1.0f : 0.0f)));
  if (a->activation == CDL_ACTIVATION_NONE)
    return CDL_STATUS_OK;
  return kernel_op_unary_grad(queue, CDL_ARGS(unary_grad, .d_x = a->d_x, .d_out = a->d_x,
                                              .x = a->pre, .activation = a->activation));
}
