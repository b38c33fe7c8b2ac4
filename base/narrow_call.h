/* Whether a call has activations in BF16, for the backends' supports(). */
#ifndef CONDLORA_BASE_NARROW_CALL_H
#define CONDLORA_BASE_NARROW_CALL_H

#include "condlora/plugin.h"

static inline bool base_is_narrow_call(cdl_op op, const void *args)
{
#define EITHER(op, first, second)                                            \
  case CDL_OP_##op:                                                          \
    return ((const cdl_##op##_args *)args)->first.dtype == CDL_DTYPE_BF16 || \
           ((const cdl_##op##_args *)args)->second.dtype == CDL_DTYPE_BF16
#define ALL(op, any) EITHER(op, any, any)
  switch (op) {
    ALL(fill, out);
    EITHER(gather_rows, out, table);
    EITHER(scatter_add_rows, table, x);
    ALL(unary, x);
    ALL(unary_grad, x);
    ALL(axpby, x);
    ALL(layer_norm, x);
    ALL(layer_norm_grad, x);
    ALL(add_layer_norm, x);
    ALL(add_layer_norm_grad, sum);
    ALL(dropout, x);
    ALL(linear, x);
    ALL(linear_grad, d_out);
    ALL(low_rank, x);
    ALL(low_rank_grad, x);
    ALL(attention, qkv);
    ALL(attention_grad, qkv);
    ALL(map_weights, weight);
    ALL(map_weights_grad, weight);
  default:
    return false;
  }
#undef ALL
#undef EITHER
}

#endif
