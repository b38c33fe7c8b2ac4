/* One vector set, compiled with KERNEL_SET as its name, under the compiler options of that set. */
#include "backends/cpu/kernels/products.h"
#include "backends/cpu/kernels/rows.h"

#define JOIN(a, b) a##b
#define SET_OBJECT(set) JOIN(cpu_kernels_, set)
#define TEXT_OF(x) #x
#define SET_NAME(set) TEXT_OF(set)

extern const cpu_kernels SET_OBJECT(KERNEL_SET);

const cpu_kernels SET_OBJECT(KERNEL_SET) = {
    .name = SET_NAME(KERNEL_SET),
    .unary = unary_map,
    .activation_grad = activation_grad_map,
    .binary = binary_map,
    .binary_scalar = binary_scalar_map,
    .axpby = axpby_map,
    .all_finite = all_finite_map,
    .sum = sum_row,
    .sum_squares = sum_squares_row,
    .maximum = maximum_row,
    .sum_squares_double = sum_squares_double_row,
    .add_row = add_row_map,
    .softmax = softmax_row,
    .softmax_again = softmax_again_row,
    .softmax_grad = softmax_grad_row,
    .softmax_grad_known = softmax_grad_known_row,
    .dot = dot_row,
    .layer_norm = layer_norm_rows,
    .layer_norm_grad = layer_norm_grad_rows,
    .bias_activation = bias_activation_rows,
    .product_f32 = product_f32,
    .product_f64 = product_f64,
    .adamw = adamw_map,
    .dropout = dropout_map,
    .f32_to_int8 = f32_to_int8_row,
    .scale_int32 = scale_int32_row,
    .f32_to_bf16 = f32_to_bf16_map,
    .bf16_to_f32 = bf16_to_f32_map,
    .f32_to_f64 = f32_to_f64_map,
    .f64_to_f32 = f64_to_f32_map,
};
