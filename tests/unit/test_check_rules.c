/* What single ops ask of their arguments, what odd calls they take, and what is known of views. */
#include "backends/core/check.h"
#include "backends/core/check_views.h"
#include "tests/run_suite.h"
#include "tests/unit/op_samples.h"

/* Makes a valid call of `op`, changes it as the statements say (`a` is its arguments), and wants
 * `word` in the error. */
#define REFUSED(op, word, ...)                           \
  {                                                      \
    sample s;                                            \
    make(CDL_OP_##op, &s);                               \
    cdl_##op##_args *a = &s.args.op;                     \
    (void)a;                                             \
    __VA_ARGS__;                                         \
    assert_refused(CDL_OP_##op, &s, word, #__VA_ARGS__); \
  }
#define TAKEN(op, ...)                           \
  {                                              \
    sample s;                                    \
    make(CDL_OP_##op, &s);                       \
    cdl_##op##_args *a = &s.args.op;             \
    (void)a;                                     \
    __VA_ARGS__;                                 \
    assert_taken(CDL_OP_##op, &s, #__VA_ARGS__); \
  }
/* Valid, and nothing to do. */
#define IDLE(op, ...)                                                            \
  {                                                                              \
    sample s;                                                                    \
    make(CDL_OP_##op, &s);                                                       \
    cdl_##op##_args *a = &s.args.op;                                             \
    __VA_ARGS__;                                                                 \
    const int before = seen->calls[CDL_OP_##op];                                 \
    ck_assert_msg(call(CDL_OP_##op, a) == CDL_STATUS_OK, "%s: %s", #__VA_ARGS__, \
                  cdl_error_message());                                          \
    ck_assert_int_eq(seen->calls[CDL_OP_##op], before);                          \
  }

/* ---- Parameters ---- */

START_TEST(numbers_are_checked)
{
  REFUSED(gemm, "alpha is nan", a->alpha = NAN)
  REFUSED(gemm, "beta is inf", a->beta = INFINITY)
  REFUSED(axpby, "alpha is -inf", a->alpha = -INFINITY)
  REFUSED(axpby, "beta is nan", a->beta = NAN)
  REFUSED(softmax, "scale is nan", a->scale = NAN)
  REFUSED(softmax_grad, "scale is inf", a->scale = INFINITY)
  REFUSED(layer_norm, "epsilon is -1, expected a finite number of at least 0", a->epsilon = -1)
  REFUSED(add_layer_norm, "epsilon is nan", a->epsilon = NAN)
  REFUSED(add_layer_norm, "packing is NULL", a->mask.probability = 0.5f)
  REFUSED(add_layer_norm, "mask.probability is 1", a->mask.probability = 1;
          a->packing = packing(&s))
  REFUSED(adamw, "beta1 is 1", a->beta1 = 1)
  REFUSED(adamw, "beta2 -0.5", a->beta2 = -0.5)
  REFUSED(adamw, "epsilon is -1", a->epsilon = -1)
  REFUSED(adamw, "decay is nan", a->decay = NAN)
  REFUSED(adamw, "rate is inf", a->rate = INFINITY)
  REFUSED(cross_entropy, "label_smoothing is 1.5, expected 0 to 1", a->label_smoothing = 1.5f)
  REFUSED(cross_entropy, "label_smoothing is nan", a->label_smoothing = NAN)
  REFUSED(low_rank, "scale is nan", a->scale = NAN)
  REFUSED(low_rank_grad, "scale is nan", a->scale = NAN)
  REFUSED(low_rank, "more[0].scale is nan", a->more[0].scale = NAN)
  REFUSED(low_rank_grad, "more[1].scale is inf", a->more[1].scale = INFINITY)
  REFUSED(clip_norm, "max_norm is -1", a->max_norm = -1)
  REFUSED(attention, "scale is nan", a->scale = NAN)
  REFUSED(fill, "value 3e+09 does not fit out's I32", a->out.dtype = CDL_DTYPE_I32; a->value = 3e9)
  REFUSED(fill, "value nan does not fit out's I32", a->out.dtype = CDL_DTYPE_I32; a->value = NAN)
  TAKEN(fill, a->out.dtype = CDL_DTYPE_I32; a->value = -2147483648.0)
}
END_TEST

START_TEST(choices_are_checked)
{
  REFUSED(unary, "activation is 9", a->activation = (cdl_activation)9)
  REFUSED(unary, "function is 7", a->function = (cdl_unary_function)7)
  TAKEN(unary, a->function = CDL_UNARY_LOG; a->activation = (cdl_activation)99)
  REFUSED(unary_grad, "activation is 99", a->activation = (cdl_activation)99)
  REFUSED(binary, "function is 6", a->function = (cdl_binary_function)6)
  REFUSED(reduce, "function is 3", a->function = (cdl_reduce_function)3)
  REFUSED(reduce, "axis is 4, expected 0 to 3", a->axis = 4)
  REFUSED(reduce, "accumulate goes with sums only", a->accumulate = true;
          a->function = CDL_REDUCE_MAXIMUM)
  REFUSED(permute, "order is {3, 1, 1, 2}", a->order[2] = 1)
  REFUSED(permute, "order is {3, 1, 9, 2}", a->order[2] = 9)
  REFUSED(linear, "activation is 10", a->activation = (cdl_activation)10)
  REFUSED(linear, "weight is NULL", a->weight = NULL)
  REFUSED(linear_grad, "accumulate and an activation exclude each other", a->accumulate = true)
  REFUSED(linear_grad, "pre is given without an activation", a->activation = CDL_ACTIVATION_NONE)
  TAKEN(linear_grad, a->activation = CDL_ACTIVATION_NONE; a->pre.buffer = NULL;
        a->accumulate = true)
  REFUSED(svd, "u and vt must be both present or both absent", a->u.buffer = NULL)
  TAKEN(svd, a->u.buffer = NULL; a->vt.buffer = NULL)
}
END_TEST

START_TEST(messages_say_what_was_expected)
{
  REFUSED(gemm, "gemm: b is [2, 3, 7, 5] but a [2, 3, 4, 6] wants [2, 3, 6, n]", a->b.size[2] = 7)
  REFUSED(gemm, "gemm: out is [2, 3, 4, 3] but b [2, 3, 6, 5] wants [2, 3, 4, 5]",
          a->out.size[3] = 3)
  REFUSED(gemm, "gemm: b is [2, 3, 6, 5] but a [2, 3, 4, 6] wants [2, 3, n, 6]",
          a->transpose_b = true)
  REFUSED(gemm, "out, a, b are F32, F64, F64", a->a.dtype = CDL_DTYPE_F64;
          a->b.dtype = CDL_DTYPE_F64)
  REFUSED(gemm, "out, a, b are F32, BF16, F32", a->a.dtype = CDL_DTYPE_BF16)
  REFUSED(layer_norm, "layer_norm: gain is [4] but out [5, 3] wants [3]", a->gain.size[3] = 4)
  REFUSED(layer_norm, "layer_norm: mean is [2, 5], expected [5]", a->mean.size[2] = 2;
          a->mean.stride[2] = 5)
  REFUSED(linear, "linear: x is [5, 3] but weight's columns wants [5, 4]", a->x.size[3] = 3)
  REFUSED(dropout, "dropout: out is [4, 3] but packing->tokens wants [5, c]", a->out.size[2] = 4)
  REFUSED(dropout, "dropout: out is [5, 3] but packing->sequences wants [3, c]",
          a->per_sequence = true)
  REFUSED(attention, "attention: 4 heads cannot share the 6 columns of [5, 6] evenly", a->heads = 4)
  REFUSED(attention, "heads is 0", a->heads = 0)
  REFUSED(attention, "attention: qkv is [5, 17]", a->qkv.size[3] = 17)
  REFUSED(attention, "attention: log_sum is [2, 5] but heads wants [3, 5]", a->heads = 3)
  REFUSED(attention, "bias is [2, 6], expected an odd number of distances", a->bias.size[3] = 6)
  REFUSED(attention_grad, "d_bias is there but bias is absent", a->bias.buffer = NULL)
  TAKEN(attention_grad, a->bias.buffer = a->d_bias.buffer = NULL)
  REFUSED(scatter_add_rows, "scatter_add_rows: segment is [4] but target [2] wants [3]",
          a->segment.size[3] = 4)
  REFUSED(binary, "y is [2, 3, 2, 5] but x [2, 3, 4, 5] wants each size to be x's or 1",
          a->y.size[2] = 2)
  REFUSED(reduce, "out is [2, 1, 4, 5] but x [2, 3, 4, 5] over axis 2", a->axis = 2)
  REFUSED(permute,
          "out is [5, 3, 2, 4] with size[0] 5 but x [2, 3, 4, 5] in order {0, 1, 3, 2} wants 2",
          a->order[0] = 0;
          a->order[2] = 3)
  REFUSED(squared_error, "target is [4] but out [5, 1] wants 5 elements", a->target.size[3] = 4)
  REFUSED(svd, "svd: sigma is [2] but the smaller size of a wants [3]", a->sigma.size[3] = 2)
  REFUSED(svd, "is F64 but a is F32; they must be the same", a->sigma.dtype = CDL_DTYPE_F64)
  REFUSED(copy, "x is I32 but out is F32; they must be the same", a->x.dtype = CDL_DTYPE_I32)
  REFUSED(copy,
          "copy: x F32 [2, 3, 4, 5] reaches past its buffer: offset 16384, strides [60, 20, 5, 1] "
          "in a buffer of "
          "65536 bytes",
          a->x.offset = BYTES / 4)
  REFUSED(
      softmax,
      "softmax: out [2, 3, 4, 5] overlaps x [2, 3, 4, 5]: they must be the very same view or apart",
      a->x = a->out;
      a->x.offset++)
  REFUSED(cross_entropy, "step is [31], expected at least [32]: a cdl_step_record",
          a->step.size[3] = 31)
  REFUSED(cross_entropy, "step starts at byte", a->step.offset++)
  REFUSED(gather_rows, "table has no entries for 5 rows", a->table.size[2] = 0)
}
END_TEST

START_TEST(terms_are_whole)
{
  const cdl_low_rank_term none = {0};
  const cdl_low_rank_grad_term no_grad = {0};
  TAKEN(low_rank, a->more[1] = none)
  TAKEN(low_rank, a->more[0] = a->more[1] = none)
  TAKEN(low_rank_grad, a->more[1] = no_grad)
  TAKEN(low_rank_grad, a->more[0] = a->more[1] = no_grad)
  TAKEN(low_rank_grad, a->more[0].d_a.buffer = a->more[0].d_b.buffer = NULL)
  REFUSED(low_rank, "more[1].out is given but more[0].out is absent", a->more[0] = none)
  REFUSED(low_rank, "more[0].hidden is absent but more[0].out is given",
          a->more[0].hidden.buffer = NULL)
  REFUSED(low_rank, "more[1].a is given but more[1].out is absent", a->more[1].out.buffer = NULL)
  REFUSED(low_rank, "more[1].b is [7, 2] but more[1].a [3, 4] wants [7, 3]",
          a->more[1].b.size[3] = 2)
  REFUSED(low_rank, "out [5, 6] overlaps more[0].out [5, 3]: they must lie apart",
          a->more[0].out.offset = a->out.offset)
  REFUSED(low_rank_grad, "more[1].d_out is given but more[0].d_out is absent", a->more[0] = no_grad)
  REFUSED(low_rank_grad, "more[1].d_a is given but more[1].d_out is absent", a->more[1] = no_grad;
          a->more[1].d_a = a->d_a)
  REFUSED(low_rank_grad, "more[0].a is [4, 3] but x [5, 4] wants [s, 4]", a->more[0].a.size[3] = 3)
}
END_TEST

START_TEST(maps_may_be_transposed)
{
  REFUSED(map_weights, "a is [2, 3, 2, 4] but weight [2, 3, 5, 4] wants [2, 3, 2, 5]",
          a->transposed = true;
          a->theta_a = a->theta_b)
  TAKEN(map_weights, a->transposed = true; a->weight.size[2] = a->b.size[2] = 4;
        a->theta_a = a->theta_b)
  TAKEN(map_weights, a->theta_a.stride[0] = a->theta_b.stride[1] = 0)
  REFUSED(map_weights_grad, "d_theta_b is [2, 3, 2, 4]", a->d_theta_b = a->d_a)
  TAKEN(map_weights_grad, a->d_theta_a.buffer = NULL)
}
END_TEST

/* Changes a tensor of the sample into BF16, at the same place. */
static void narrow(cdl_tensor *t)
{
  t->dtype = CDL_DTYPE_BF16;
  t->offset *= 2;
}

START_TEST(activations_may_be_bf16_together)
{
  TAKEN(fill, narrow(&a->out))
  TAKEN(unary, narrow(&a->out); narrow(&a->x))
  TAKEN(axpby, narrow(&a->out); narrow(&a->x))
  TAKEN(dropout, narrow(&a->out); narrow(&a->x))
  TAKEN(layer_norm, narrow(&a->out); narrow(&a->x))
  TAKEN(add_layer_norm, narrow(&a->out); narrow(&a->sum); narrow(&a->x); narrow(&a->residual))
  TAKEN(attention, narrow(&a->out); narrow(&a->qkv))
  TAKEN(gather_rows, narrow(&a->out))
  TAKEN(gather_rows, narrow(&a->table))
  TAKEN(scatter_add_rows, narrow(&a->x))
  REFUSED(unary, "x is F32 but out is BF16; they must be the same", narrow(&a->out))
  REFUSED(layer_norm, "x is BF16 but out is F32; they must be the same", narrow(&a->x))
  REFUSED(layer_norm, "gain is BF16, expected F32", narrow(&a->gain))
  REFUSED(add_layer_norm, "residual is BF16 but out is F32", narrow(&a->residual))
  REFUSED(linear, "x is BF16 but out is F32", narrow(&a->x))
  TAKEN(linear, narrow(&a->out); narrow(&a->pre); narrow(&a->x); narrow(&a->bias))
  REFUSED(linear, "bias is BF16 but out is F32; they must be the same", narrow(&a->bias))
  REFUSED(linear_grad, "pre is BF16 but d_x is F32", narrow(&a->pre))
  REFUSED(low_rank, "hidden is BF16, expected F32", narrow(&a->hidden))
  REFUSED(low_rank_grad, "x is BF16 but d_out is F32", narrow(&a->x))
  REFUSED(attention, "qkv is BF16 but out is F32", narrow(&a->qkv))
  REFUSED(attention_grad, "out is BF16 but d_qkv is F32", narrow(&a->out))
  REFUSED(attention_grad, "out is absent; the gradient of BF16 needs it", narrow(&a->d_qkv);
          narrow(&a->d_out); narrow(&a->qkv); a->out.buffer = NULL)
}
END_TEST

START_TEST(bf16_is_never_composed)
{
  sample s;
  make(CDL_OP_low_rank, &s);
  seen->refuse_op = CDL_OP_low_rank;
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_low_rank, &s.args), CDL_PATH_COMPOSED);
  narrow(&s.args.low_rank.out);
  narrow(&s.args.low_rank.x);
  narrow(&s.args.low_rank.more[0].out);
  narrow(&s.args.low_rank.more[1].out);
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_low_rank, &s.args), CDL_PATH_NONE);
  ck_assert_int_eq(call(CDL_OP_low_rank, &s.args), CDL_STATUS_UNSUPPORTED);
  seen->refuse_op = -1;
  ck_assert_int_eq(cdl_op_path(backend, CDL_OP_low_rank, &s.args), CDL_PATH_NATIVE);
  ck_assert_int_eq(call(CDL_OP_low_rank, &s.args), CDL_STATUS_OK);
}
END_TEST

/* ---- Packings ---- */

START_TEST(packings_are_checked)
{
  static const int32_t falling[] = {0, 3, 2, 5}, late[] = {1, 2, 2, 5}, beyond[] = {0, 2, 2, 6},
                       short_of[] = {0, 2, 2, 4}, none[] = {0};
  REFUSED(attention, "packing is NULL", a->packing = NULL)
  REFUSED(attention, "host_offsets is NULL", s.packing.host_offsets = NULL)
  REFUSED(attention, "host_offsets[2] is 2 after 3; they must ascend",
          s.packing.host_offsets = falling)
  REFUSED(attention, "host_offsets[0] is 1, expected 0", s.packing.host_offsets = late)
  REFUSED(attention_grad, "host_offsets ends at 6 but packing->tokens is 5",
          s.packing.host_offsets = beyond)
  TAKEN(attention, s.packing.host_offsets = short_of)
  TAKEN(attention_grad, s.packing.host_offsets = short_of)
  TAKEN(dropout, s.packing.host_offsets = short_of)
  REFUSED(attention, "packing has 5 tokens and no sequence", s.packing.host_offsets = none;
          s.packing.sequences = 0)
  REFUSED(dropout, "packing->longest is 2 but a sequence has 3 tokens", s.packing.longest = 2)
  REFUSED(dropout, "packing has -1 sequences", s.packing.sequences = -1)
  REFUSED(dropout, "host_examples is NULL", s.packing.host_examples = NULL)
  REFUSED(dropout, "packing->offsets is [5] but packing->sequences wants [4]",
          s.packing.offsets.size[3] = 5)
  REFUSED(dropout, "packing->examples is [2] but packing->sequences wants [3]",
          s.packing.examples.size[3] = 2)
  REFUSED(dropout, "mask.probability is 1, expected at least 0 and below 1",
          a->mask.probability = 1)
  REFUSED(dropout, "mask.probability is -0.1", a->mask.probability = -0.1f)
  REFUSED(attention, "mask.probability is nan", a->mask.probability = NAN)
  REFUSED(attention_grad, "mask.layer 16777216, expected below 256 and 2^24",
          a->mask.layer = 1 << 24)
  REFUSED(attention, "mask.purpose is 256", a->mask.purpose = 256)
  REFUSED(attention, "mask.step is [8]", a->mask.step.size[3] = 8)
  /* Without dropout neither examples nor the step are looked at. */
  TAKEN(attention, a->mask.probability = 0; a->mask.step.buffer = NULL;
        s.packing.examples.buffer = NULL; s.packing.host_examples = NULL)
  TAKEN(dropout, a->mask.probability = 0; a->mask.step.buffer = NULL; a->mask.layer = 99999999)
  TAKEN(dropout, a->per_sequence = true; a->out.size[2] = 3; a->x.size[2] = 3)
  /* A bucket's longest may be more than any sequence's. */
  TAKEN(attention, s.packing.longest = 64)
}
END_TEST

/* ---- Aliases ---- */

START_TEST(in_place_where_the_op_says_so)
{
  TAKEN(unary, a->x = a->out)
  TAKEN(unary_grad, a->d_out = a->d_x)
  TAKEN(binary, a->x = a->out)
  TAKEN(softmax, a->x = a->out)
  TAKEN(softmax_grad, a->d_out = a->d_x)
  TAKEN(layer_norm, a->x = a->out)
  TAKEN(layer_norm_grad, a->d_out = a->d_x)
  TAKEN(dropout, a->x = a->out)
  TAKEN(add_layer_norm, a->x = a->sum)
  TAKEN(add_layer_norm, a->residual = a->sum)
  TAKEN(add_layer_norm, a->out = a->sum)
  TAKEN(add_layer_norm, a->out = a->sum; a->x = a->sum)
  TAKEN(add_layer_norm, a->x = a->residual)
  /* A stride along a size of 1 says nothing: still the same view. */
  TAKEN(unary, a->out.size[0] = 1; a->x = a->out; a->x.stride[0] = 12345)
}
END_TEST

START_TEST(nowhere_else)
{
  REFUSED(copy, "overlaps", a->x = a->out)
  REFUSED(permute, "overlaps", a->x = a->out; memcpy(a->order, (uint8_t[]){0, 1, 2, 3}, 4))
  REFUSED(unary_grad, "overlaps", a->x = a->d_x)
  REFUSED(binary, "overlaps", a->y = a->out)
  REFUSED(axpby, "overlaps", a->x = a->out)
  REFUSED(softmax_grad, "overlaps", a->out = a->d_x)
  REFUSED(layer_norm_grad, "overlaps", a->x = a->d_x)
  REFUSED(cross_entropy, "overlaps", a->logits = a->d_logits)
  REFUSED(squared_error, "overlaps", a->out = a->d_out)
  REFUSED(adamw, "overlaps", a->moment2 = a->moment1)
  REFUSED(linear, "overlaps", a->pre = a->out)
  REFUSED(linear_grad, "overlaps", a->pre = a->d_x)
  REFUSED(lu_solve, "overlaps", a->b = a->x)
  REFUSED(lu_inverse, "overlaps", a->a = a->out)
  REFUSED(clip_norm, "overlaps", a->factor = a->norm)
  REFUSED(add_layer_norm, "out is the same view as x, which is allowed only where sum is too",
          a->out = a->x)
  REFUSED(add_layer_norm, "out is the same view as residual", a->out = a->residual)
  REFUSED(linear, "out overlaps a source of weight", a->out.offset = 0; a->out.stride[2] = 6)
  REFUSED(linear_grad, "d_x overlaps a source of weight", a->d_x.offset = 10)
}
END_TEST

START_TEST(thirds_of_one_matrix_are_apart)
{
  const cdl_tensor qkv = cdl_tensor_2d(buffer, CDL_DTYPE_F32, 5000, 9, 12);
  TAKEN(copy, a->out = cdl_tensor_columns(qkv, 0, 4); a->x = cdl_tensor_columns(qkv, 4, 4))
  TAKEN(copy, a->out = cdl_tensor_columns(qkv, 8, 4); a->x = cdl_tensor_columns(qkv, 4, 4))
  REFUSED(copy, "overlaps", a->out = cdl_tensor_columns(qkv, 4, 4);
          a->x = cdl_tensor_columns(qkv, 7, 4))
  TAKEN(copy, a->out = cdl_tensor_rows(qkv, 0, 4); a->x = cdl_tensor_rows(qkv, 4, 4))
  REFUSED(copy, "overlaps", a->out = cdl_tensor_rows(qkv, 0, 4); a->x = cdl_tensor_rows(qkv, 3, 4))
  TAKEN(copy, a->out = cdl_tensor_columns(cdl_tensor_rows(qkv, 0, 5), 0, 6);
        a->x = cdl_tensor_columns(cdl_tensor_rows(qkv, 2, 5), 6, 6))
}
END_TEST

/* ---- Odd calls ---- */

START_TEST(odd_calls_are_taken)
{
  /* An input may repeat and may run into itself. */
  TAKEN(copy, a->x.stride[0] = 0; a->x.stride[2] = 1)
  TAKEN(gemm, a->a.stride[0] = 0; a->b.stride[1] = 0)
  TAKEN(gemm, a->transpose_a = true; a->a.size[2] = 6; a->a.size[3] = 4)
  TAKEN(gemm, a->a.dtype = a->b.dtype = CDL_DTYPE_BF16; a->a.offset *= 2; a->b.offset *= 2)
  TAKEN(gemm, a->out.dtype = CDL_DTYPE_F64; a->a.dtype = CDL_DTYPE_F64; a->b.dtype = CDL_DTYPE_F64;
        a->out.offset /= 2; a->a.offset /= 2; a->b.offset /= 2)
  /* Strides along sizes of 1 are not looked at. */
  TAKEN(fill, a->out.size[0] = a->out.size[3] = 1; a->out.stride[0] = -7; a->out.stride[3] = 0)
  /* Rows farther apart, heads side by side. */
  TAKEN(unary, a->out = (cdl_tensor){buffer, 5000, {1, 4, 5, 3}, {0, 3, 12, 1}, CDL_DTYPE_F32};
        a->x = a->out)
  TAKEN(binary, a->y = (cdl_tensor){buffer, 5000, {1, 3, 1, 1}, {0, 1, 0, 0}, CDL_DTYPE_F32})
  TAKEN(gemm, a->a.size[3] = 0; a->b.size[2] = 0)
  TAKEN(reduce, a->x.size[1] = 0)
  TAKEN(scatter_add_rows, a->x.size[2] = a->order.size[3] = a->target.size[3] = 0;
        a->segment.size[3] = 1)
  TAKEN(squared_error, a->d_out = cdl_tensor_1d(buffer, CDL_DTYPE_F32, 5000, 5))
  TAKEN(cast, a->out.dtype = CDL_DTYPE_F64; a->out.offset /= 2; a->x.dtype = CDL_DTYPE_BF16)
  TAKEN(any_non_finite, a->x.size[3] = 0)
  TAKEN(cross_entropy, a->step.size[3] = 64)
}
END_TEST

START_TEST(empty_outputs_make_calls_that_do_nothing)
{
  IDLE(copy, a->out.size[1] = a->x.size[1] = 0)
  IDLE(fill, a->out.size[3] = 0; a->out.offset = INT64_MAX; a->out.stride[2] = -1)
  IDLE(gemm, a->out.size[2] = a->a.size[2] = 0)
  IDLE(softmax, a->out.size[0] = a->x.size[0] = 0)
  IDLE(cross_entropy, a->loss.buffer = a->d_logits.buffer = NULL)
  IDLE(svd, a->a.size[2] = a->u.size[2] = a->u.size[3] = a->sigma.size[3] = a->vt.size[2] = 0)
  IDLE(qr, a->a.size[3] = a->q.size[3] = a->r.size[2] = a->r.size[3] = 0)
  /* An empty call is checked all the same. */
  REFUSED(copy, "wants", a->out.size[1] = 0)
  REFUSED(fill, "U8", a->out.size[1] = 0; a->out.dtype = CDL_DTYPE_U8)
  const int32_t none[] = {0};
  IDLE(attention, s.packing.host_offsets = none;
       s.packing.sequences = s.packing.tokens = s.packing.longest = 0;
       s.packing.offsets.size[3] = 1; s.packing.examples.size[3] = 0;
       a->out.size[2] = a->qkv.size[2] = a->log_sum.size[3] = 0)
}
END_TEST

/* ---- Views, against the set of their bytes ---- */

enum { SPACE = 4096 };

static uint64_t random_state = 88172645463325252u;

static int64_t below(int64_t bound)
{
  random_state ^= random_state << 13;
  random_state ^= random_state >> 7;
  random_state ^= random_state << 17;
  return (int64_t)(random_state % (uint64_t)bound);
}

/* Counts how often each byte belongs to an element. */
static void mark(const cdl_tensor *t, unsigned char bytes[SPACE])
{
  const int64_t width = (int64_t)cdl_dtype_bytes(t->dtype);
  memset(bytes, 0, SPACE);
  for (int64_t i = 0; i < t->size[0]; i++)
    for (int64_t j = 0; j < t->size[1]; j++)
      for (int64_t k = 0; k < t->size[2]; k++)
        for (int64_t l = 0; l < t->size[3]; l++) {
          const int64_t at =
              t->offset + i * t->stride[0] + j * t->stride[1] + k * t->stride[2] + l * t->stride[3];
          for (int64_t b = 0; b < width; b++) {
            if (at * width + b >= SPACE)
              abort();
            bytes[at * width + b] = (unsigned char)(bytes[at * width + b] + 1);
          }
        }
}

static bool truly_overlap(const cdl_tensor *a, const cdl_tensor *b)
{
  static unsigned char of_a[SPACE], of_b[SPACE];
  mark(a, of_a);
  mark(b, of_b);
  for (int i = 0; i < SPACE; i++)
    if (of_a[i] > 0 && of_b[i] > 0)
      return true;
  return false;
}

static cdl_tensor random_view(void)
{
  cdl_tensor t = {
      .buffer = buffer, .offset = below(60), .dtype = below(2) ? CDL_DTYPE_F32 : CDL_DTYPE_BF16};
  for (int d = 0; d < 4; d++) {
    t.size[d] = 1 + below(4);
    t.stride[d] = d == 3 ? 1 : below(24);
  }
  return t;
}

START_TEST(no_overlap_is_missed)
{
  int apart = 0;
  for (int round = 0; round < 30000; round++) {
    const cdl_tensor a = random_view(), b = random_view();
    const bool said = core_overlap(&a, &b);
    if (truly_overlap(&a, &b) && (!said || !core_overlap(&b, &a)))
      ck_abort_msg("round %d", round);
    apart += !said;
  }
  ck_assert_int_gt(apart, 500);
}
END_TEST

/* Rows, columns and heads of one matrix [batch, rows, columns] with gaps: the answer is exact. */
static cdl_tensor random_part(int64_t batch, int64_t rows, int64_t columns, int64_t row_stride,
                              int64_t batch_stride)
{
  const int64_t first_row = below(rows), first_column = below(columns), first_batch = below(batch);
  const int64_t width = 1 + below(columns - first_column);
  cdl_tensor t = {.buffer = buffer, .dtype = CDL_DTYPE_F32};
  t.offset = 3 + first_batch * batch_stride + first_row * row_stride + first_column;
  t.size[0] = 1 + below(batch - first_batch);
  t.stride[0] = batch_stride;
  t.size[2] = 1 + below(rows - first_row);
  t.stride[2] = row_stride;
  t.size[1] = 1;
  t.size[3] = width;
  t.stride[3] = 1;
  if (width % 2 == 0 && below(2)) { /* as two heads side by side */
    t.size[1] = 2;
    t.size[3] = t.stride[1] = width / 2;
  }
  t.stride[3] = 1;
  return t;
}

START_TEST(parts_of_one_matrix_are_told_apart_exactly)
{
  int overlapping = 0, apart = 0;
  for (int round = 0; round < 30000; round++) {
    const int64_t batch = 1 + below(3), rows = 1 + below(6), columns = 1 + below(12);
    const int64_t row_stride = columns + below(3),
                  batch_stride = rows * row_stride + (below(2) ? 5 : 0);
    const cdl_tensor a = random_part(batch, rows, columns, row_stride, batch_stride);
    const cdl_tensor b = random_part(batch, rows, columns, row_stride, batch_stride);
    const bool truth = truly_overlap(&a, &b);
    if (core_overlap(&a, &b) != truth || core_overlap(&b, &a) != truth)
      ck_abort_msg("round %d: in truth %d: [%d, %d, %d, %d] at %d by %d, %d, %d; [%d, %d, %d, %d] "
                   "at %d by %d, %d, %d",
                   round, truth, (int)a.size[0], (int)a.size[1], (int)a.size[2], (int)a.size[3],
                   (int)a.offset, (int)a.stride[0], (int)a.stride[1], (int)a.stride[2],
                   (int)b.size[0], (int)b.size[1], (int)b.size[2], (int)b.size[3], (int)b.offset,
                   (int)b.stride[0], (int)b.stride[1], (int)b.stride[2]);
    *(truth ? &overlapping : &apart) += 1;
  }
  ck_assert_int_gt(overlapping, 3000);
  ck_assert_int_gt(apart, 3000);
}
END_TEST

START_TEST(no_repetition_is_missed)
{
  int fine = 0;
  static unsigned char bytes[SPACE];
  for (int round = 0; round < 30000; round++) {
    const cdl_tensor t = random_view();
    bool repeats = false;
    mark(&t, bytes);
    for (int i = 0; i < SPACE; i++)
      repeats = repeats || bytes[i] > 1;
    const bool said = core_repeats(&t);
    if (repeats && !said)
      ck_abort_msg("round %d", round);
    fine += !said;
  }
  ck_assert_int_gt(fine, 500);
  const cdl_tensor heads = {buffer, 0, {1, 4, 5, 3}, {0, 3, 12, 1}, CDL_DTYPE_F32};
  ck_assert(!core_repeats(&heads));
}
END_TEST

START_TEST(density_is_what_it_says)
{
  const cdl_tensor dense = cdl_tensor_4d(buffer, CDL_DTYPE_F32, 7, 2, 3, 4, 5);
  cdl_tensor t = dense;
  ck_assert(core_is_dense(&dense));
  t.stride[1] = 21;
  ck_assert(!core_is_dense(&t));
  t = cdl_tensor_rows(dense, 0, 3);
  ck_assert(!core_is_dense(&t));
  t = cdl_tensor_columns(dense, 0, 4);
  ck_assert(!core_is_dense(&t));
  t = dense;
  t.size[0] = 1;
  t.stride[0] = 99;
  ck_assert(core_is_dense(&t));
  t = cdl_tensor_columns(dense, 0, 0);
  ck_assert(core_is_dense(&t));
}
END_TEST

int main(void)
{
  const TTest *const tests[] = {
      numbers_are_checked,
      choices_are_checked,
      messages_say_what_was_expected,
      terms_are_whole,
      maps_may_be_transposed,
      activations_may_be_bf16_together,
      bf16_is_never_composed,
      packings_are_checked,
      in_place_where_the_op_says_so,
      nowhere_else,
      thirds_of_one_matrix_are_apart,
      odd_calls_are_taken,
      empty_outputs_make_calls_that_do_nothing,
      no_overlap_is_missed,
      parts_of_one_matrix_are_told_apart_exactly,
      no_repetition_is_missed,
      density_is_what_it_says,
  };
  Suite *suite = suite_create("check_rules");
  TCase *all = tcase_create("check_rules");
  tcase_add_checked_fixture(all, set_up, tear_down);
  for (size_t i = 0; i < sizeof tests / sizeof tests[0]; i++)
    tcase_add_test(all, tests[i]);
  suite_add_tcase(suite, all);
  return run_suite(suite);
}
