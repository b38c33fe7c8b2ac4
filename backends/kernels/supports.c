#include "backends/kernels/attention.h"

static bool takes_f64(const kernel_device *device, const cdl_tensor *out, const cdl_tensor *x)
{
  return device->has_f64 || (out->dtype != CDL_DTYPE_F64 && x->dtype != CDL_DTYPE_F64) ||
         out->dtype == x->dtype; /* a copy */
}

static bool takes_product(const kernel_device *device, const cdl_gemm_args *a)
{
  return a->a.dtype != CDL_DTYPE_F64 || device->has_f64;
}

bool kernel_supports(const kernel_device *device, cdl_op op, const void *args)
{
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
