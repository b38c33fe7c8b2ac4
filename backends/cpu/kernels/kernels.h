/* Loops over contiguous memory, in plain C, compiled once for each vector set; the device chooses a
 * set when it is opened. Lengths may be 0. A result depends only on the arguments, not on
 * alignment. */
#ifndef CONDLORA_BACKENDS_CPU_KERNELS_KERNELS_H
#define CONDLORA_BACKENDS_CPU_KERNELS_KERNELS_H

#include "condlora/ops.h"

/* Rows of a matrix: element (i, j) at data + i·stride + j. */
typedef struct {
  float *data;
  int64_t stride;
} cpu_rows;

typedef struct {
  int64_t rows, columns;
  cpu_rows out, sum, x,
      residual; /* residual.data NULL: only x; sum.data NULL: x + residual is not kept */
  const float *gain, *bias;
  float *mean, *rstd; /* NULL: not kept */
  float epsilon;
} cpu_layer_norm_rows;

typedef struct {
  int64_t rows, columns;
  cpu_rows d_x, d_out, x; /* d_x.data NULL: not wanted */
  const float *gain, *mean, *rstd;
  float *d_gain, *d_bias; /* [columns] each, added to; NULL: not wanted */
} cpu_layer_norm_grad_rows;

typedef struct {
  float beta1, beta2, rest1, rest2, epsilon, decay_factor, rate, correction1, root_correction2,
      grad_scale;
} cpu_adamw_scalars;

/* c = α a b + β c for a [m, k], b [k, n], c [m, n]. Element (i, p) of a lies at a + i ·
 * a_row + p · a_depth, and so on; one of the two steps of each matrix is 1. If β is 0, c is not
 * read. */
typedef struct {
  int64_t m, n, k;
  const void *a;
  int64_t a_row, a_depth;
  const void *b;
  int64_t b_depth, b_column;
  void *c;
  int64_t c_row, c_column;
  double alpha, beta;
} cpu_product;

/* Returns cᵀ = α bᵀ aᵀ + β cᵀ. */
static inline cpu_product cpu_product_transposed(const cpu_product *g)
{
  return (cpu_product){g->n,       g->m,     g->k, g->b,        g->b_column, g->b_depth, g->a,
                       g->a_depth, g->a_row, g->c, g->c_column, g->c_row,    g->alpha,   g->beta};
}

/* Bytes of memory that a product of floats works in; doubles take twice as many. */
enum { CPU_PRODUCT_BYTES = 704512 };

/* The position of one sequence or one plain row in dropout's counter. */
typedef struct {
  uint32_t key[2], example, step, place, threshold;
  float scale; /* 1 / (1 − p) */
} cpu_mask;

typedef struct {
  const char *name; /* "avx512" */
  void (*unary)(cdl_unary_function function, cdl_activation activation, float *out, const float *x,
                int64_t n);
  void (*activation_grad)(cdl_activation activation, float *d_x, const float *d_out, const float *x,
                          int64_t n);
  void (*binary)(cdl_binary_function function, float *out, const float *x, const float *y,
                 int64_t n);
  void (*binary_scalar)(cdl_binary_function function, float *out, const float *x, float y,
                        int64_t n);
  void (*axpby)(float *out, const float *x, float alpha, float beta, int64_t n);
  bool (*all_finite)(const float *x, int64_t n);

  float (*sum)(const float *x, int64_t n);
  float (*sum_squares)(const float *x, int64_t n);
  float (*maximum)(const float *x, int64_t n); /* NaN wins; −∞ for no elements */
  double (*sum_squares_double)(const float *x, int64_t n);
  void (*add_row)(cdl_reduce_function function, float *out, const float *x,
                  int64_t n); /* out[j] ∘= x[j] */

  /* out = softmax(scale · x); returns log Σ exp(scale · x). */
  float (*softmax)(float *out, const float *x, float scale, int64_t n);
  /* x = exp(scale · x − log_sum) */
  void (*softmax_again)(float *x, float scale, float log_sum, int64_t n);
  void (*softmax_grad)(float *d_x, const float *d_out, const float *out, float scale, int64_t n);
  /* d_x = scale · out ∘ (d_out − inner) */
  void (*softmax_grad_known)(float *d_x, const float *d_out, const float *out, float scale,
                             float inner, int64_t n);
  float (*dot)(const float *x, const float *y, int64_t n);
  void (*layer_norm)(const cpu_layer_norm_rows *rows);
  void (*layer_norm_grad)(const cpu_layer_norm_grad_rows *rows);

  /* For a row of x Wᵀ: pre = x + bias, out = f(pre), for `rows` rows. pre and bias may be NULL. It
   * may run in place on x. */
  void (*bias_activation)(cdl_activation activation, cpu_rows out, cpu_rows pre, cpu_rows x,
                          const float *bias, int64_t rows, int64_t columns);

  /* Each element of c has a fixed order of sums (product.inc): its row of a and its column of b
   * decide its bits, together with k, α, β. `memory` is at a multiple of 64. */
  void (*product_f32)(const cpu_product *product, void *memory);
  void (*product_f64)(const cpu_product *product, void *memory);

  void (*adamw)(const cpu_adamw_scalars *scalars, float *parameter, float *moment1, float *moment2,
                const float *gradient, int64_t n);
  /* Computes elements [first, first + n) of one example. */
  void (*dropout)(const cpu_mask *mask, float *out, const float *x, uint64_t first, int64_t n);

  /* Rounds x to int8 by its largest element and returns the scale, x ≈ scale · out. If x is not
   * finite, the scale is NaN. */
  float (*f32_to_int8)(int8_t *out, const float *x, int64_t n);
  /* x[j] = (scale · scales[j]) · x[j], where x[j] has the bits of an int32_t. */
  void (*scale_int32)(float *x, float scale, const float *scales, int64_t n);
  void (*f32_to_bf16)(cdl_bf16 *out, const float *x, int64_t n);
  void (*bf16_to_f32)(float *out, const cdl_bf16 *x, int64_t n);
  void (*f32_to_f64)(double *out, const float *x, int64_t n);
  void (*f64_to_f32)(float *out, const double *x, int64_t n);
} cpu_kernels;

/* Returns the best set that this CPU has. */
const cpu_kernels *cpu_kernels_choose(void);
/* Returns each set that this CPU has, the best last; NULL past the end. For tests. */
const cpu_kernels *cpu_kernels_set(int index);

#endif
