/* The ops: one struct of arguments each, the same for the caller, for supports() and for a backend.
 *
 * Said once for all:
 *  - The core checks dtype, shape, stride, alias and extent of every tensor before a backend sees
 *    the call. Sizes in [brackets] are required; tensors marked optional may be absent. An empty
 *    output makes a call that does nothing.
 *  - Inputs and outputs have dtype F32 unless a line says otherwise. Any strides that tensor.h
 *    admits are valid.
 *  - Outputs are overwritten. Gradients of parameters (d_gain, d_bias, d_a, d_b, table) and `loss`
 *    are added to.
 *  - An output may be the very same view as an input where a line says "in place"; any other
 *    overlap is an error.
 *  - `size` is sizeof of the struct the caller was compiled with: CDL_ARGS fills it in. A backend
 *    treats a missing tail as zeros.
 *  - Where a sum's length is n, a result may differ from exact arithmetic by a small multiple of
 *    n·2⁻²⁴ (F32). */
#ifndef CONDLORA_OPS_H
#define CONDLORA_OPS_H

#include "condlora/tensor.h"

/* An argument struct with its size: cdl_gemm(queue, CDL_ARGS(gemm, .out = c, .a = a, .b = b,
 * .alpha = 1)). What is not named is zero. In C++ the members come in the struct's order. */
#ifdef __cplusplus
#include "condlora/cxx_args.h"

extern "C" {
#else
#define CDL_ARGS(op, ...) (&(const cdl_##op##_args){.size = sizeof(cdl_##op##_args), __VA_ARGS__})
#endif

typedef enum {
#define CDL_OP(name, tier) CDL_OP_##name,
#include "condlora/ops.def"
#undef CDL_OP
  CDL_OP_COUNT
} cdl_op;

/* What products are computed in; sums are F32 in all of them, and so is everything that is not a
 * product of F32 matrices. TF32 rounds their elements to 10 bits of mantissa; BF16 is for frozen
 * weights and what they are multiplied with, and TF32 for the rest. */
typedef enum { CDL_PRECISION_FP32, CDL_PRECISION_TF32, CDL_PRECISION_BF16 } cdl_precision;

/* ---- Moving ---- */

/* out = x, same dtype (any) and sizes; x may repeat (stride 0). */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
} cdl_copy_args;

/* out = x converted between F32, F64 and BF16 (to nearest, ties to even); same sizes. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
} cdl_cast_args;

/* out[i0, i1, i2, i3] = x with its dimensions in another order: out.size[d] = x.size[order[d]].
 * Any dtype. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  uint8_t order[4];
} cdl_permute_args;

/* out = value in every element. F32, F64, I32 (value converted). */
typedef struct {
  uint32_t size;
  cdl_tensor out;
  double value;
} cdl_fill_args;

/* out[i, :] = table[index[i], :], or += with `accumulate`.
 *   out    [rows, columns]
 *   table  [entries, columns]
 *   index  [rows] I32, each in [0, entries): checked by whoever uploads it */
typedef struct {
  uint32_t size;
  cdl_tensor out, table, index;
  bool accumulate;
} cdl_gather_rows_args;

/* The gradient of gather_rows, by segments so that no device needs atomics:
 *   table[target[s], :] += Σ_{k in [segment[s], segment[s + 1])} x[order[k], :]   in this order of k
 *   table    [entries, columns]
 *   x        [rows, columns]
 *   order    [rows] I32, the rows sorted by entry
 *   segment  [segments + 1] I32, ascending from 0 to rows
 *   target   [segments] I32, distinct */
typedef struct {
  uint32_t size;
  cdl_tensor table, x, order, segment, target;
} cdl_scatter_add_rows_args;

/* ---- Arithmetic ---- */

/* out = α op(a) op(b) + β out; out is not read when β is 0. F32 or F64; a and b also BF16 with out
 * F32 (sums in F32).
 *   out  [n0, n1, m, n]
 *   a    [n0, n1, m, k], or [n0, n1, k, m] with transpose_a; batch dimensions may repeat with stride 0
 *   b    [n0, n1, k, n], or [n0, n1, n, k] with transpose_b */
typedef struct {
  uint32_t size;
  cdl_tensor out, a, b;
  bool transpose_a, transpose_b;
  float alpha, beta;
} cdl_gemm_args;

/* The hidden_acts of BERT's and RoBERTa's families. */
typedef enum {
  CDL_ACTIVATION_NONE,
  CDL_ACTIVATION_GELU,       /* x Φ(x), by erf */
  CDL_ACTIVATION_GELU_TANH,  /* x/2 (1 + tanh(√(2/π) (x + 0.044715 x³))) */
  CDL_ACTIVATION_GELU_QUICK, /* x σ(1.702 x) */
  CDL_ACTIVATION_RELU,
  CDL_ACTIVATION_SILU,
  CDL_ACTIVATION_TANH,
  CDL_ACTIVATION_SIGMOID,
  CDL_ACTIVATION_MISH /* x tanh(ln(1 + eˣ)) */
} cdl_activation;

typedef enum {
  CDL_UNARY_ACTIVATION, /* the function is `activation` */
  CDL_UNARY_ABSOLUTE,
  CDL_UNARY_SQUARE,
  CDL_UNARY_SQUARE_ROOT,
  CDL_UNARY_EXP,
  CDL_UNARY_LOG,
  CDL_UNARY_RECIPROCAL
} cdl_unary_function;

/* out = f(x), elementwise, same sizes; in place allowed. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_unary_function function;
  cdl_activation activation;
} cdl_unary_args;

/* d_x = d_out ∘ f'(x) for an activation; in place on d_out allowed. */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_out, x;
  cdl_activation activation;
} cdl_unary_grad_args;

typedef enum {
  CDL_BINARY_ADD,
  CDL_BINARY_SUBTRACT,
  CDL_BINARY_MULTIPLY,
  CDL_BINARY_DIVIDE,
  CDL_BINARY_MAXIMUM,
  CDL_BINARY_MINIMUM
} cdl_binary_function;

/* out = f(x, y), elementwise; y may be of size 1 in any dimension and is repeated there; in place
 * on x allowed. A maximum or minimum with a NaN, whichever of the two it is, is NaN. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x, y;
  cdl_binary_function function;
} cdl_binary_args;

/* out = α x + β out; out is not read when β is 0. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  float alpha, beta;
} cdl_axpby_args;

typedef enum { CDL_REDUCE_SUM, CDL_REDUCE_SUM_SQUARES, CDL_REDUCE_MAXIMUM } cdl_reduce_function;

/* out = f over dimension `axis` of x (0 to 3), or out + f with `accumulate` (sums only). out.size
 * is x.size with 1 in `axis`. The maximum of nothing is -infinity, NaN wins; the sum of nothing is
 * 0. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_reduce_function function;
  uint8_t axis;
  bool accumulate;
} cdl_reduce_args;

/* Row-wise out = softmax(scale · x); in place allowed. A row whose every element is -infinity
 * becomes zeros. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  float scale;
} cdl_softmax_args;

/* d_x = scale · out ∘ (d_out − Σ d_out ∘ out); in place on d_out allowed. */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_out, out;
  float scale;
} cdl_softmax_grad_args;

/* Row-wise normalization over the last dimension (Ba et al. 2016, eq. 4), biased variance.
 *   x, out      [rows, columns]   in place allowed
 *   gain, bias  [columns]
 *   mean, rstd  [rows]            optional, kept for layer_norm_grad */
typedef struct {
  uint32_t size;
  cdl_tensor out, x, gain, bias, mean, rstd;
  float epsilon;
} cdl_layer_norm_args;

/*   d_x             [rows, columns]  optional; in place on d_out allowed
 *   d_gain, d_bias  [columns]        optional, added to
 *   d_out, x        [rows, columns]
 *   gain            [columns]
 *   mean, rstd      [rows] */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_gain, d_bias, d_out, x, gain, mean, rstd;
} cdl_layer_norm_grad_args;

/* ---- Packed sequences and randomness ---- */

/* A batch without padding: sequence i owns the rows [offsets[i], offsets[i + 1]) of every
 * activation; it may be empty. Device tensors and their host twins hold the same numbers; a device
 * that replays recorded work reads the device's. `longest` bounds the lengths: it may be larger
 * than the longest sequence, never smaller. `tokens` bounds the rows likewise: it may be larger than
 * the last offset, and the rows past that belong to no sequence. Without dropout both lists of
 * examples are optional. */
typedef struct {
  cdl_tensor offsets;  /* [sequences + 1] I32 */
  cdl_tensor examples; /* [sequences] I32, each one's index in the data set */
  const int32_t *host_offsets;
  const int32_t *host_examples;
  int32_t sequences, tokens, longest;
} cdl_packing;

/* What changes from step to step, read on the device: one of these at the start of a U8 tensor
 * `step`, whose offset is a multiple of 4 bytes. */
typedef struct {
  float learning_rate;
  float correction1, correction2; /* 1 − β1ᵗ, 1 − β2ᵗ of the optimizer's step t */
  float loss_scale;               /* 1 / divisor of the losses of this step */
  uint32_t step;                  /* Philox counter of dropout */
  uint32_t seed[2];               /* Philox key of dropout */
  uint32_t reserved;
} cdl_step_record;

/* Which mask a dropout draws. Element e of example x is kept if word e mod 4 of
 *   Philox4x32-10(key = seed, counter = {e div 4, x, step, purpose · 2²⁴ + layer})
 * is at least round(p · 2³²), and then divided by 1 − p: random.h has both, cdl_philox and
 * cdl_random_threshold. */
typedef struct {
  float probability;       /* p in [0, 1); 0 turns dropout off, and nothing else here is read */
  uint32_t purpose, layer; /* a cdl_random_purpose, below 256; layer below 2²⁴ */
  cdl_tensor step;         /* [≥ sizeof(cdl_step_record)] U8 */
} cdl_dropout_mask;

/* out = x with elements dropped; its own gradient when applied to d_out with the same mask; in
 * place allowed. e = (row within its sequence) · columns + column. With `per_sequence`, x has one
 * row a sequence, [sequences, columns], and of the packing only `examples` is read, never its
 * offsets. In rows past the last offset any elements may be dropped. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_dropout_mask mask;
  const cdl_packing *packing;
  bool per_sequence;
} cdl_dropout_args;

/* ---- Losses and the optimizer ---- */

/* loss += scale · Σ_i l_i,  l_i = (1 − ε) w[y_i] (−log p_i[y_i]) + ε/C Σ_c w[c] (−log p_i[c]);
 * d_logits its gradient. scale is loss_scale of `step`.
 *   loss          [1]              optional
 *   d_logits      [rows, classes]  optional
 *   logits        [rows, classes]
 *   labels        [rows] I32, each in [0, classes): checked by whoever uploads them
 *   class_weight  [classes]        optional: all 1
 *   step          U8, a cdl_step_record */
typedef struct {
  uint32_t size;
  cdl_tensor loss, d_logits, logits, labels, class_weight, step;
  float label_smoothing;
} cdl_cross_entropy_args;

/* loss += scale · Σ (out − target)²;  d_out = 2 · scale · (out − target).
 *   loss           [1]     optional
 *   d_out          [rows]  optional; in any shape of `rows` elements, like out
 *   out, target    [rows] */
typedef struct {
  uint32_t size;
  cdl_tensor loss, d_out, out, target, step;
} cdl_squared_error_args;

/* One step of AdamW (Loshchilov and Hutter 2019) as PyTorch does it, on any shape:
 *   g = gradient · grad_scale;  p ← p (1 − lr · decay);  m ← β1 m + (1 − β1) g;  v ← β2 v + (1 − β2) g²
 *   p ← p − lr · (m / correction1) / (√v / √correction2 + ε),  lr = learning_rate · rate
 *   parameter, moment1, moment2, gradient  same sizes
 *   grad_scale                             [1] optional */
typedef struct {
  uint32_t size;
  cdl_tensor parameter, moment1, moment2, gradient, grad_scale, step;
  double beta1, beta2, epsilon, decay, rate; /* double: 1 − β2 of a float β2 is off by 1e-5 */
} cdl_adamw_args;

/* flag |= 1 if any element of x is NaN or infinite.  flag [1] I32; x F32 or F64. */
typedef struct {
  uint32_t size;
  cdl_tensor flag, x;
} cdl_any_non_finite_args;

/* ---- Composed ---- */

/* A frozen weight in the layout and type that a backend likes: see cdl_weight_create in
 * backend.h. */
typedef struct cdl_weight cdl_weight;

/* out = f(x Wᵀ + bias);  pre, when present, keeps x Wᵀ + bias for unary_grad. An output may not
 * overlap the sources that the weight was made from, here or in linear_grad.
 *   out   [n, out]
 *   pre   [n, out]  optional
 *   x     [n, in]
 *   bias  [out]     optional */
typedef struct {
  uint32_t size;
  cdl_tensor out, pre, x, bias;
  const cdl_weight *weight; /* W: [out, in] */
  cdl_activation activation;
} cdl_linear_args;

/* d_x = f'(pre) ∘ (d_out W), or d_x += d_out W with `accumulate` (then without activation).
 *   d_x    [n, in]
 *   d_out  [n, out]
 *   pre    [n, in]   the pre-activation whose activation x is; absent without one */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_out, pre;
  const cdl_weight *weight;
  cdl_activation activation;
  bool accumulate;
} cdl_linear_grad_args;

/* hidden = x Aᵀ;  out += scale · hidden Bᵀ.
 *   out     [n, out]
 *   hidden  [n, rank]   kept for low_rank_grad
 *   x       [n, in]
 *   a       [rank, in]
 *   b       [out, rank] */
typedef struct {
  uint32_t size;
  cdl_tensor out, hidden, x, a, b;
  float scale;
} cdl_low_rank_args;

/* du = scale · d_out B;  d_a += duᵀ x;  d_b += scale · d_outᵀ hidden;  d_x += du A.
 *   d_x     [n, in]     optional; added to
 *   d_a     [rank, in]  optional; added to
 *   d_b     [out, rank] optional; added to
 *   d_out   [n, out]
 *   others as in low_rank */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_a, d_b, d_out, hidden, x, a, b;
  float scale;
} cdl_low_rank_grad_args;

/* sum = x + residual;  out = LN(sum).  sum may be x or residual in place; out may be sum where sum
 * is not kept. So out is the same view as x or residual only where sum is too.
 *   out, sum, x, residual  [rows, columns]; the rest as in layer_norm */
typedef struct {
  uint32_t size;
  cdl_tensor out, sum, x, residual, gain, bias, mean, rstd;
  float epsilon;
} cdl_add_layer_norm_args;

/* Self-attention within each sequence, heads side by side: out = dropout(softmax(scale · Q Kᵀ)) V
 * for each head.
 *   out      [tokens, heads · d]
 *   qkv      [tokens, 3 · heads · d]  query, key and value end to end
 *   log_sum  [heads, tokens]          optional: log Σ exp of each row's scores, kept for attention_grad
 * Dropout's element e = (head · length + row) · length + column, length the sequence's. Rows past
 * the last offset are written as zeros; log_sum is not defined there. */
typedef struct {
  uint32_t size;
  cdl_tensor out, qkv, log_sum;
  const cdl_packing *packing;
  int32_t heads;
  float scale;
  cdl_dropout_mask mask;
} cdl_attention_args;

/* Rows past the last offset are written as zeros, and nothing there is read.
 *   d_qkv  [tokens, 3 · heads · d]
 *   d_out  [tokens, heads · d] */
typedef struct {
  uint32_t size;
  cdl_tensor d_qkv, d_out, qkv, log_sum;
  const cdl_packing *packing;
  int32_t heads;
  float scale;
  cdl_dropout_mask mask;
} cdl_attention_grad_args;

/* norm = √Σ gradient²;  factor = min(1, max_norm / (norm + 1e-6)), or 1 when max_norm is 0.
 *   norm, factor  [1]
 *   gradient      any shape */
typedef struct {
  uint32_t size;
  cdl_tensor norm, factor, gradient;
  float max_norm;
} cdl_clip_norm_args;

/* ---- Host: F32 or F64, no batch dimensions ---- */

/* a = u diag(sigma) vt, thin: k = min(m, n), sigma descending.
 *   a [m, n], sigma [k];  u [m, k], vt [k, n]  both present or both absent */
typedef struct {
  uint32_t size;
  cdl_tensor u, sigma, vt, a;
} cdl_svd_args;

/* a x = b.  a [n, n], b [n, k], x [n, k]; a singular `a` is a NUMERIC error. */
typedef struct {
  uint32_t size;
  cdl_tensor x, a, b;
} cdl_lu_solve_args;

/* out = a⁻¹.  [n, n] */
typedef struct {
  uint32_t size;
  cdl_tensor out, a;
} cdl_lu_inverse_args;

/* a = q r, thin: k = min(m, n).  a [m, n], q [m, k], r [k, n] upper triangular. */
typedef struct {
  uint32_t size;
  cdl_tensor q, r, a;
} cdl_qr_args;

/* a = vectors diag(values) vectorsᵀ, values ascending; only a's lower triangle is read.
 *   a, vectors [n, n];  values [n];  vectors optional */
typedef struct {
  uint32_t size;
  cdl_tensor values, vectors, a;
} cdl_eigh_args;

#ifdef __cplusplus
}
#endif
#endif
