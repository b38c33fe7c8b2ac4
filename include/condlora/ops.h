/* The ops. Each has one struct of arguments, which the caller, supports() and the backend share.
 *
 * These rules hold for all ops:
 * - The core checks dtype, shape, stride, alias and extent of every tensor before a backend sees
 *   the call. Sizes in [brackets] are required. Tensors marked optional may be absent. A call with
 *   an empty output does nothing.
 * - Inputs and outputs are F32 unless a comment says otherwise, with any strides that tensor.h
 *   allows.
 * - Since 1.4 the tensors that a comment calls activations may be BF16, all of them in one call.
 *   Other tensors stay F32, and so does the arithmetic; a BF16 output is rounded once, to nearest,
 *   ties to even. No op is composed for BF16: where the backend lacks it, the path is
 *   CDL_PATH_NONE, which cdl_op_path tells beforehand, and the call fails with UNSUPPORTED.
 * - Outputs are overwritten. Gradients of parameters (d_gain, d_bias, d_a, d_b, table) and `loss`
 *   are added to.
 * - "In place" means that an output may be exactly the same view as an input. Every other overlap
 *   is an error.
 * - `size` is the sizeof of the struct with which the caller was compiled; CDL_ARGS sets it.
 *   Members that a minor version of plugin.h's interface adds stand at the end, and zero in them
 *   asks for nothing. The core fills in those that a caller lacks. A backend that was built before
 *   a member existed gets no call that sets it: the core composes that call.
 * - A sum of n terms may differ from exact arithmetic by a small multiple of n·2⁻²⁴ (F32). */
#ifndef CONDLORA_OPS_H
#define CONDLORA_OPS_H

#include <string.h>

#include "condlora/tensor.h"

/* Makes an argument struct with its size: cdl_gemm(queue, CDL_ARGS(gemm, .out = c, .a = a, .b = b,
 * .alpha = 1)). Members that are not named are zero. In C++ they must be in the order of the
 * struct. */
#ifdef __cplusplus
#include "condlora/cxx_args.h"

extern "C" {
#else
#define CDL_ARGS(op, ...) (&(const cdl_##op##_args){.size = sizeof(cdl_##op##_args), __VA_ARGS__})
#endif

/* An op has one spelling in all that belongs to it, so that macros can make the one from the other:
 * CDL_OP_gemm, cdl_gemm, cdl_gemm_args, CDL_ARGS(gemm, …). */
typedef enum {
#define CDL_OP(name, tier) CDL_OP_##name,
#include "condlora/ops.def"
#undef CDL_OP
  CDL_OP_COUNT
} cdl_op;

/* The precision of products of F32 matrices. Sums, and all other arithmetic, are always F32. TF32
 * rounds the elements to 10 bits of mantissa. With BF16, products with frozen weights use BF16, and
 * the others TF32, or F32 on the CPU. With INT8, `linear` rounds each row of x and of the weight to
 * 255 steps of its largest element and sums in int32; `linear_grad` is then UNSUPPORTED. */
typedef enum {
  CDL_PRECISION_FP32,
  CDL_PRECISION_TF32,
  CDL_PRECISION_BF16,
  CDL_PRECISION_INT8
} cdl_precision;

/* ---- Data movement ---- */

/* out = x, same sizes and dtype (any). x may have strides of 0. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
} cdl_copy_args;

/* out = x, converted between F32, F64 and BF16 (to nearest, ties to even); same sizes. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
} cdl_cast_args;

/* out = x with permuted dimensions: out.size[d] = x.size[order[d]]. Any dtype. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  uint8_t order[4];
} cdl_permute_args;

/* out = value in every element. F32, F64, I32 or an activation; the value is converted. */
typedef struct {
  uint32_t size;
  cdl_tensor out;
  double value;
} cdl_fill_args;

/* out[i, :] = table[index[i], :], or += with `accumulate`.
 *   out    [rows, columns]     an activation; its type and the table's may differ
 *   table  [entries, columns]  an activation
 *   index  [rows] I32, each in [0, entries); the caller checks this before the upload */
typedef struct {
  uint32_t size;
  cdl_tensor out, table, index;
  bool accumulate;
} cdl_gather_rows_args;

/* The gradient of gather_rows, in segments so that no device needs atomics:
 *   table[target[s], :] += Σ_{k in [segment[s], segment[s + 1])} x[order[k], :]   in ascending k
 *   table    [entries, columns]  an activation; its type and x's may differ
 *   x        [rows, columns]     an activation
 *   order    [rows] I32, the rows sorted by entry
 *   segment  [segments + 1] I32, ascending from 0 to rows
 *   target   [segments] I32, distinct */
typedef struct {
  uint32_t size;
  cdl_tensor table, x, order, segment, target;
} cdl_scatter_add_rows_args;

/* ---- Arithmetic ---- */

/* out = α op(a) op(b) + β out. If β is 0, out is not read. F32 or F64; a and b may be BF16 with an
 * F32 out (sums in F32).
 *   out  [n0, n1, m, n]
 *   a    [n0, n1, m, k], or [n0, n1, k, m] with transpose_a; batch dimensions may have stride 0
 *   b    [n0, n1, k, n], or [n0, n1, n, k] with transpose_b */
typedef struct {
  uint32_t size;
  cdl_tensor out, a, b;
  bool transpose_a, transpose_b;
  float alpha, beta;
} cdl_gemm_args;

/* The values of hidden_act in the BERT and RoBERTa families. */
typedef enum {
  CDL_ACTIVATION_NONE,
  CDL_ACTIVATION_GELU,       /* x Φ(x), with erf */
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

/* out = f(x), elementwise, same sizes; in place allowed. out and x are activations. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_unary_function function;
  cdl_activation activation;
} cdl_unary_args;

/* d_x = d_out ∘ f'(x) for an activation function; in place on d_out allowed. All three tensors are
 * activations. */
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

/* out = f(x, y), elementwise. y is repeated along dimensions in which its size is 1. In place on x
 * allowed. A maximum or minimum is NaN if x or y is NaN. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x, y;
  cdl_binary_function function;
} cdl_binary_args;

/* out = α x + β out. If β is 0, out is not read. Both are activations. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  float alpha, beta;
} cdl_axpby_args;

typedef enum { CDL_REDUCE_SUM, CDL_REDUCE_SUM_SQUARES, CDL_REDUCE_MAXIMUM } cdl_reduce_function;

/* out = f over dimension `axis` of x (0 to 3), or out + f with `accumulate` (sums only). out has
 * the sizes of x, with 1 in `axis`. A maximum is NaN if an element is NaN, and -infinity for no
 * elements; a sum of no elements is 0. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_reduce_function function;
  uint8_t axis;
  bool accumulate;
} cdl_reduce_args;

/* out = softmax(scale · x) of each row; in place allowed. A row of -infinity alone becomes
 * zeros. */
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

/* Layer normalization of each row (Ba et al. 2016, eq. 4), with the biased variance.
 *   x, out      [rows, columns]   activations; in place allowed
 *   gain, bias  [columns]
 *   mean, rstd  [rows]            optional, for layer_norm_grad */
typedef struct {
  uint32_t size;
  cdl_tensor out, x, gain, bias, mean, rstd;
  float epsilon;
} cdl_layer_norm_args;

/* The gradient of layer_norm.
 *   d_x             [rows, columns]  an activation, optional; in place on d_out allowed
 *   d_gain, d_bias  [columns]        optional; added to
 *   d_out, x        [rows, columns]  activations
 *   gain            [columns]
 *   mean, rstd      [rows] */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_gain, d_bias, d_out, x, gain, mean, rstd;
} cdl_layer_norm_grad_args;

/* ---- Packed sequences and dropout ---- */

/* A batch without padding. Sequence i has the rows [offsets[i], offsets[i + 1]) of every
 * activation; it may be empty. The device tensors and the host arrays hold the same numbers. A
 * device that replays recorded work reads only the device tensors. `longest` is at least the length
 * of the longest sequence. `tokens` is at least the last offset; rows past the last offset belong
 * to no sequence. Both lists of examples are optional without dropout. */
typedef struct {
  cdl_tensor offsets;  /* [sequences + 1] I32 */
  cdl_tensor examples; /* [sequences] I32, the index of each example in the data set */
  const int32_t *host_offsets;
  const int32_t *host_examples;
  int32_t sequences, tokens, longest;
} cdl_packing;

/* Numbers that change from step to step. The device reads this struct at the start of a U8 tensor
 * `step`, whose offset is a multiple of 4 bytes. */
typedef struct {
  float learning_rate;
  float correction1, correction2; /* 1 − β1ᵗ, 1 − β2ᵗ of the optimizer's step t */
  float loss_scale;               /* 1 / divisor of this step's losses */
  uint32_t step;                  /* Philox counter of dropout */
  uint32_t seed[2];               /* Philox key of dropout */
  uint32_t reserved;
} cdl_step_record;

/* The mask of a dropout. With word e mod 4 of
 *   Philox4x32-10(key = seed, counter = {e div 4, x, step, purpose · 2²⁴ + layer}),
 * element e of example x is dropped if the word is below round(p · 2³²); otherwise it is kept and
 * divided by 1 − p. random.h has both computations: cdl_philox and cdl_random_threshold. */
typedef struct {
  float probability;       /* p in [0, 1); 0 turns dropout off, and no other member is read */
  uint32_t purpose, layer; /* purpose: a cdl_random_purpose, below 256; layer: below 2²⁴ */
  cdl_tensor step;         /* [≥ sizeof(cdl_step_record)] U8 */
} cdl_dropout_mask;

/* out = dropout of x, both activations; in place allowed. Applied to d_out with the same mask, it
 * is its own gradient. e = (row within its sequence) · columns + column. With `per_sequence`, x has
 * one row per sequence, [sequences, columns], and the op reads only `examples` of the packing, not
 * its offsets. Rows past the last offset may be dropped in any way. */
typedef struct {
  uint32_t size;
  cdl_tensor out, x;
  cdl_dropout_mask mask;
  const cdl_packing *packing;
  bool per_sequence;
} cdl_dropout_args;

/* ---- Losses and the optimizer ---- */

/* loss += scale · Σ_i l_i,  l_i = (1 − ε) w[y_i] (−log p_i[y_i]) + ε/C Σ_c w[c] (−log p_i[c]);
 * d_logits is its gradient. scale is loss_scale of `step`, and ε is label_smoothing.
 *   loss          [1]              optional
 *   d_logits      [rows, classes]  optional
 *   logits        [rows, classes]
 *   labels        [rows] I32, each in [0, classes); the caller checks this before the upload
 *   class_weight  [classes]        w, optional: all 1
 *   step          U8, a cdl_step_record */
typedef struct {
  uint32_t size;
  cdl_tensor loss, d_logits, logits, labels, class_weight, step;
  float label_smoothing;
} cdl_cross_entropy_args;

/* Binary cross entropy of logits x, for examples with any number of labels:
 *   loss += scale · Σ (w y softplus(−x) + (1 − y) softplus(x)),  softplus(x) = ln(1 + eˣ)
 *   d_logits = scale · ((1 − y) σ(x) − w y σ(−x))
 * y are the targets. scale is loss_scale of `step`. As PyTorch's BCEWithLogitsLoss with `sum`.
 *   loss        [1]             optional
 *   d_logits    [rows, labels]  optional
 *   logits      [rows, labels]  finite
 *   targets     [rows, labels]  from 0 to 1; the caller checks this
 *   pos_weight  [labels]        w, optional: all 1
 *   step        U8, a cdl_step_record
 * Since 1.5. */
typedef struct {
  uint32_t size;
  cdl_tensor loss, d_logits, logits, targets, pos_weight, step;
} cdl_binary_cross_entropy_args;

/* loss += scale · Σ (out − target)²;  d_out = 2 · scale · (out − target).
 *   loss           [1]     optional
 *   d_out          [rows]  optional; like out, in any shape of `rows` elements
 *   out, target    [rows] */
typedef struct {
  uint32_t size;
  cdl_tensor loss, d_out, out, target, step;
} cdl_squared_error_args;

/* One step of AdamW (Loshchilov and Hutter 2019) as in PyTorch, on tensors of any shape:
 *   g = gradient · grad_scale,  lr = learning_rate · rate
 *   p ← p (1 − lr · decay);  m ← β1 m + (1 − β1) g;  v ← β2 v + (1 − β2) g²
 *   p ← p − lr · (m / correction1) / (√v / √correction2 + ε)
 *   parameter, moment1, moment2, gradient  same sizes
 *   grad_scale                             [1] optional */
typedef struct {
  uint32_t size;
  cdl_tensor parameter, moment1, moment2, gradient, grad_scale, step;
  /* double, because 1 − β2 of a float β2 is off by 1e-5 */
  double beta1, beta2, epsilon, decay, rate;
} cdl_adamw_args;

/* flag |= 1 if any element of x is NaN or infinite.  flag [1] I32; x F32 or F64. */
typedef struct {
  uint32_t size;
  cdl_tensor flag, x;
} cdl_any_non_finite_args;

/* ---- Composed ops ---- */

/* A frozen weight in the layout and type that the backend prefers: see cdl_weight_create in
 * backend.h. */
typedef struct cdl_weight cdl_weight;

/* out = f(x Wᵀ + bias). If `pre` is present, it receives x Wᵀ + bias for unary_grad. Outputs of
 * linear and linear_grad must not overlap the sources of the weight.
 *   out   [n, out]  an activation
 *   pre   [n, out]  an activation, optional
 *   x     [n, in]   an activation
 *   bias  [out]     optional; beside BF16 activations it may be BF16 too, since 1.4 */
typedef struct {
  uint32_t size;
  cdl_tensor out, pre, x, bias;
  const cdl_weight *weight; /* W: [out, in] */
  cdl_activation activation;
} cdl_linear_args;

/* d_x = f'(pre) ∘ (d_out W), or d_x += d_out W with `accumulate` (then without an activation).
 *   d_x    [n, in]   an activation
 *   d_out  [n, out]  an activation
 *   pre    [n, in]   an activation: x = f(pre); absent without an activation function */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_out, pre;
  const cdl_weight *weight;
  cdl_activation activation;
  bool accumulate;
} cdl_linear_grad_args;

/* A further term of low_rank, of the same x. */
typedef struct {
  cdl_tensor out, hidden, a, b;
  float scale;
} cdl_low_rank_term;

/* hidden = x Aᵀ;  out += scale · hidden Bᵀ, for up to three terms of one x.
 *   out     [n, out]    an activation
 *   hidden  [n, rank]   an output, for low_rank_grad
 *   x       [n, in]     an activation
 *   a       [rank, in]
 *   b       [out, rank]
 *   more    optional, since 1.4: further terms, each with its own out and rank. A term is absent
 *           where its `out` is; it has all its tensors or none, and more[1] only goes with more[0].
 *           The outputs lie apart; they may be columns of one matrix. */
typedef struct {
  uint32_t size;
  cdl_tensor out, hidden, x, a, b;
  float scale;
  cdl_low_rank_term more[2];
} cdl_low_rank_args;

/* A further term of low_rank_grad, of the same x and d_x. */
typedef struct {
  cdl_tensor d_a, d_b, d_out, hidden, a, b;
  float scale;
} cdl_low_rank_grad_term;

/* du = scale · d_out B;  d_a += duᵀ x;  d_b += scale · d_outᵀ hidden;  d_x += du A, for up to three
 * terms of one x.
 *   d_x     [n, in]     an activation, optional; added to
 *   d_a     [rank, in]  optional; added to
 *   d_b     [out, rank] optional; added to
 *   d_out   [n, out]    an activation
 *   more    optional, since 1.4: as in low_rank. A term is absent where its `d_out` is; its d_a and
 *           d_b are optional. A BF16 d_x may be rounded after each term.
 *   others as in low_rank */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_a, d_b, d_out, hidden, x, a, b;
  float scale;
  cdl_low_rank_grad_term more[2];
} cdl_low_rank_grad_args;

/* Returns how many terms a call has, 1 to 3. */
static inline int cdl_low_rank_terms(const cdl_low_rank_args *args)
{
  return !cdl_tensor_present(args->more[0].out) ? 1 : cdl_tensor_present(args->more[1].out) ? 3 : 2;
}

/* Returns a call of term i alone, 0 <= i < cdl_low_rank_terms. */
static inline cdl_low_rank_args cdl_low_rank_alone(const cdl_low_rank_args *args, int i)
{
  cdl_low_rank_args one = *args;
  if (i > 0) {
    const cdl_low_rank_term *t = &args->more[i - 1];
    one.out = t->out;
    one.hidden = t->hidden;
    one.a = t->a;
    one.b = t->b;
    one.scale = t->scale;
  }
  memset(one.more, 0, sizeof one.more);
  return one;
}

/* Likewise for low_rank_grad. */
static inline int cdl_low_rank_grad_terms(const cdl_low_rank_grad_args *args)
{
  return !cdl_tensor_present(args->more[0].d_out)  ? 1
         : cdl_tensor_present(args->more[1].d_out) ? 3
                                                   : 2;
}

static inline cdl_low_rank_grad_args cdl_low_rank_grad_alone(const cdl_low_rank_grad_args *args,
                                                             int i)
{
  cdl_low_rank_grad_args one = *args;
  if (i > 0) {
    const cdl_low_rank_grad_term *t = &args->more[i - 1];
    one.d_a = t->d_a;
    one.d_b = t->d_b;
    one.d_out = t->d_out;
    one.hidden = t->hidden;
    one.a = t->a;
    one.b = t->b;
    one.scale = t->scale;
  }
  memset(one.more, 0, sizeof one.more);
  return one;
}

/* sum = dropout(x) + residual;  out = LN(sum). sum may be x or residual in place. out may be sum if
 * the sum is not needed later. out may be the same view as x or residual only if sum is too.
 *   out, sum, x, residual        [rows, columns], activations; others as in layer_norm
 *   mask, packing, per_sequence  optional, since 1.5: of the dropout, as in dropout. Without a
 *                                mask x is taken as it is. With one, sum is not residual's view. */
typedef struct {
  uint32_t size;
  cdl_tensor out, sum, x, residual, gain, bias, mean, rstd;
  float epsilon;
  cdl_dropout_mask mask;
  const cdl_packing *packing;
  bool per_sequence;
} cdl_add_layer_norm_args;

/* Self-attention within each sequence: out = dropout(softmax(S)) V for each head. The score of
 * query i and key j, rows of one sequence, is
 *   S[i, j] = scale · Q[i] · K[j] + bias[head, r + clamp(j − i, −r, r)]
 *   out      [tokens, heads · d]      an activation
 *   qkv      [tokens, 3 · heads · d]  an activation: query, key and value end to end; heads side by
 *                                     side
 *   log_sum  [heads, tokens]          optional: log Σ exp of each row's scores, for attention_grad
 *   bias     [heads, 2 · r + 1]       optional, since 1.3: by the key's distance from the query
 * The dropout's element is e = (head · length + row) · length + column, with the sequence's length.
 * Rows of out past the last offset become zeros; log_sum is undefined there. */
typedef struct {
  uint32_t size;
  cdl_tensor out, qkv, log_sum;
  const cdl_packing *packing;
  int32_t heads;
  float scale;
  cdl_dropout_mask mask;
  cdl_tensor bias;
} cdl_attention_args;

/* The gradient of attention. Rows of d_qkv past the last offset become zeros; no tensor is read
 * there.
 *   d_qkv   [tokens, 3 · heads · d]  an activation
 *   d_out   [tokens, heads · d]      an activation
 *   qkv     [tokens, 3 · heads · d]  an activation
 *   bias    [heads, 2 · r + 1]       as in attention, since 1.3
 *   d_bias  [heads, 2 · r + 1]       optional, only beside bias, since 1.3; added to
 *   out     [tokens, heads · d]      attention's output, an activation, since 1.4; optional for
 *                                    F32, where a backend may do without it
 * With D[i] = Σ d_out[i] ∘ out[i], the gradient of the scores is P ∘ (dP − D). */
typedef struct {
  uint32_t size;
  cdl_tensor d_qkv, d_out, qkv, log_sum;
  const cdl_packing *packing;
  int32_t heads;
  float scale;
  cdl_dropout_mask mask;
  cdl_tensor bias, d_bias;
  cdl_tensor out;
} cdl_attention_grad_args;

/* norm = √Σ gradient²;  factor = min(1, max_norm / (norm + 1e-6)), or 1 if max_norm is 0.
 *   norm, factor  [1]
 *   gradient      any shape */
typedef struct {
  uint32_t size;
  cdl_tensor norm, factor, gradient;
  float max_norm;
} cdl_clip_norm_args;

/* ---- Host ops: F32 or F64, no batch dimensions ---- */

/* a = u diag(sigma) vt, thin: k = min(m, n), sigma in descending order.
 *   a [m, n], sigma [k];  u [m, k], vt [k, n]  both present or both absent */
typedef struct {
  uint32_t size;
  cdl_tensor u, sigma, vt, a;
} cdl_svd_args;

/* Solves a x = b.  a [n, n], b [n, k], x [n, k]. Errors: NUMERIC if `a` is singular. */
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

/* a = vectors diag(values) vectorsᵀ, values in ascending order. Only the lower triangle of a is
 * read.
 *   a, vectors [n, n];  values [n];  vectors optional */
typedef struct {
  uint32_t size;
  cdl_tensor values, vectors, a;
} cdl_eigh_args;

/* ---- Since 1.5 ---- */

/* The gradient of add_layer_norm with a dropout. Without one, that of layer_norm is enough.
 *   d_x                        the gradient of x: dropout of d_sum by the same mask
 *   d_sum                      the gradient of the sum, and of residual; in place on d_out allowed
 *   d_gain, d_bias             [columns] optional; added to
 *   d_x, d_sum, d_out, sum     [rows, columns], activations
 *   gain, mean, rstd           as in layer_norm_grad
 *   mask, packing, per_sequence  as in dropout */
typedef struct {
  uint32_t size;
  cdl_tensor d_x, d_sum, d_gain, d_bias, d_out, sum, gain, mean, rstd;
  cdl_dropout_mask mask;
  const cdl_packing *packing;
  bool per_sequence;
} cdl_add_layer_norm_grad_args;

/* ---- Maps of weights, since 1.5 ---- */

/* a = θA W and b = W θBᵀ of each matrix W of a batch: the A and B that CondLoRA derives from the
 * weights of its layers. With `transposed`, a = θA Wᵀ.
 *   a        [n0, n1, rank, in], or [n0, n1, rank, out] if transposed; added to with `accumulate`
 *   b        [n0, n1, out, rank]
 *   theta_a  [n0, n1, rank, out], or [n0, n1, rank, in] if transposed
 *   theta_b  [n0, n1, rank, in]
 *   weight   [n0, n1, out, in]  an activation: if it is BF16, so are the factors of the products,
 *                               and the sums and all other tensors are F32
 * Batch dimensions of theta_a and theta_b may have stride 0. */
typedef struct {
  uint32_t size;
  cdl_tensor a, b, theta_a, theta_b, weight;
  bool transposed, accumulate;
} cdl_map_weights_args;

/* The gradient of map_weights, if all n1 matrices share θA and θB:
 *   d_theta_a += Σ d_a Wᵀ, or Σ d_a W if transposed;  d_theta_b += Σ d_bᵀ W
 *   d_theta_a  [n0, 1, rank, out], or [n0, 1, rank, in] if transposed; optional
 *   d_theta_b  [n0, 1, rank, in]
 *   d_a, d_b, weight  as a, b and weight of map_weights; d_a is not read without d_theta_a */
typedef struct {
  uint32_t size;
  cdl_tensor d_theta_a, d_theta_b, d_a, d_b, weight;
  bool transposed;
} cdl_map_weights_grad_args;

#ifdef __cplusplus
}
#endif
#endif
