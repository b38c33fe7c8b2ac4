#include "backends/kernels/attention.h"
#include "base/narrow_call.h"

static bool takes_f64(const kernel_device *device, const cdl_tensor *out, const cdl_tensor *x)
{
  return device->has_f64 || (out->dtype != CDL_DTYPE_F64 && x->dtype != CDL_DTYPE_F64) ||
         out->dtype == x->dtype; /* a copy */
}

static bool takes_product(const kernel_device *device, const cdl_gemm_args *a)
{
  return a->a.dtype != CDL_DTYPE_F64 || device->has_f64;
}

/* A BF16 product needs the weight in BF16: a cast of it in each call would cost more than it
 * saves. */
static bool is_narrow_weight(const cdl_weight *weight)
{
  return weight != NULL && ((const cdl_tensor *)weight->handle)->dtype == CDL_DTYPE_BF16;
}

/* Whether the device and the weight let the op compute BF16 activations. */
static bool takes_narrow(const kernel_device *device, cdl_op op, const void *args)
{
  if (!device->takes_bf16)
    return false;
  switch (op) {
  case CDL_OP_linear:
    return is_narrow_weight(((const cdl_linear_args *)args)->weight);
  case CDL_OP_linear_grad:
    return is_narrow_weight(((const cdl_linear_grad_args *)args)->weight);
  default:
    return true;
  }
}

bool kernel_supports(const kernel_device *device, cdl_op op, const void *args)
{
  if (base_is_narrow_call(op, args) && !takes_narrow(device, op, args))
    return false;
  switch (op) {
  case CDL_OP_cast: {
    const cdl_cast_args *a = args;
    return takes_f64(device, &a->out, &a->x);
  }
  case CDL_OP_gemm:
    return takes_product(device, args);
  case CDL_OP_attention: {
    const cdl_attention_args *a = args;
    return attention_fits(&a->out, a->heads);
  }
  case CDL_OP_attention_grad: {
    const cdl_attention_grad_args *a = args;
    return attention_fits(&a->d_out, a->heads);
  }
  case CDL_OP_map_weights: {
    const cdl_map_weights_args *a = args;
    return a->weight.dtype == CDL_DTYPE_F32 || a->b.size[3] <= MAP_TENSOR_MOST;
  }
  case CDL_OP_map_weights_grad: {
    const cdl_map_weights_grad_args *a = args;
    return a->weight.dtype == CDL_DTYPE_F32 || a->d_b.size[3] <= MAP_TENSOR_MOST;
  }
  case CDL_OP_svd:
  case CDL_OP_lu_solve:
  case CDL_OP_lu_inverse:
  case CDL_OP_qr:
  case CDL_OP_eigh:
    return false;
  default:
    return true;
  }
}
