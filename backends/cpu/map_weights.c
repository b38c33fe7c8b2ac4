/* map_weights and map_weights_grad: products of all matrices of a batch. The core composes the same
 * products, as fast; but what it needs for those of the gradient stays with the queue, and would be
 * left to a base after the runs that share it. Here it is given back at once. */
#include "backends/cpu/device.h"
#include "backends/cpu/memory.h"

static cdl_status multiply(void *queue, const cdl_gemm_args *args)
{
  return cdl_tensor_elements(args->out) == 0 ? CDL_STATUS_OK : cpu_gemm(queue, args);
}

cdl_status cpu_map_weights(void *queue, const cdl_map_weights_args *args)
{
  CDL_TRY(multiply(queue, CDL_ARGS(gemm, .out = args->a, .a = args->theta_a, .b = args->weight,
                                   .transpose_b = args->transposed, .alpha = 1.0f,
                                   .beta = args->accumulate ? 1.0f : 0.0f)));
  return multiply(queue, CDL_ARGS(gemm, .out = args->b, .a = args->weight, .b = args->theta_b,
                                  .transpose_b = true, .alpha = 1.0f));
}

/* out += Σ of the products over dimension 1. They are made apart and added in order, so that the
 * sum depends on nothing else. */
static cdl_status add_products(void *queue, cdl_tensor out, const cdl_gemm_args *product)
{
  const int64_t *n = out.size, count = product->b.size[1];
  if (cdl_tensor_elements(out) == 0 || cdl_tensor_elements(product->b) == 0)
    return CDL_STATUS_OK;
  const size_t bytes = cpu_float_bytes(n[0] * count * n[2] * n[3]);
  cdl_buffer memory = {.handle = cpu_memory_allocate(bytes), .bytes = bytes};
  if (memory.handle == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "map_weights_grad: no memory for %zu bytes", bytes);
  cdl_gemm_args each = *product;
  each.out = cdl_tensor_4d(&memory, CDL_DTYPE_F32, 0, n[0], count, n[2], n[3]);
  each.alpha = 1.0f;
  cdl_status status = cpu_gemm(queue, &each);
  if (status == CDL_STATUS_OK)
    status = cpu_reduce(queue, CDL_ARGS(reduce, .out = out, .x = each.out,
                                        .function = CDL_REDUCE_SUM, .axis = 1, .accumulate = true));
  cpu_memory_free(memory.handle);
  return status;
}

cdl_status cpu_map_weights_grad(void *queue, const cdl_map_weights_grad_args *args)
{
  if (cdl_tensor_present(args->d_theta_a))
    CDL_TRY(add_products(
        queue, args->d_theta_a,
        CDL_ARGS(gemm, .a = args->d_a, .b = args->weight, .transpose_b = !args->transposed)));
  return add_products(queue, args->d_theta_b,
                      CDL_ARGS(gemm, .a = args->d_b, .b = args->weight, .transpose_a = true));
}
