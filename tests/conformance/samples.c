/* A small valid call of each op. Views are columns out of wider matrices, so that one column more
 * would still lie in the buffer and in no other row: what is then wrong is the size alone. */
#include "tests/conformance/suite.h"

static cdl_tensor in(trial *t, const char *name, cdl_dtype dtype, shape n)
{
  operand *o = trial_operand(t, name, ROLE_IN, dtype, n, LAYOUT_COLUMNS);
  if (dtype == CDL_DTYPE_I32 || dtype == CDL_DTYPE_U8)
    fill_integers(t, o, 0, 1);
  else
    fill_normal(t, o, 1);
  return o->view;
}

static cdl_tensor out(trial *t, const char *name, cdl_dtype dtype, shape n)
{
  operand *o = trial_operand(t, name, ROLE_INOUT, dtype, n, LAYOUT_COLUMNS);
  if (dtype == CDL_DTYPE_I32 || dtype == CDL_DTYPE_U8)
    fill_integers(t, o, 0, 1);
  else
    fill_normal(t, o, 1);
  return o->view;
}

static cdl_tensor integers(trial *t, const char *name, const double *values, int64_t count)
{
  operand *o = trial_operand(t, name, ROLE_IN, CDL_DTYPE_I32, shape_1d(count), LAYOUT_COLUMNS);
  fill_values(o, values);
  return o->view;
}

static cdl_tensor step(trial *t)
{
  return trial_step(t, (cdl_step_record){1e-3F, 0.1F, 0.001F, 0.5F, 1, {2, 3}, 0})->view;
}

static const cdl_packing *packing(trial *t)
{
  cdl_packing *p = trial_memory(t, 1, sizeof *p);
  *p = trial_packing(t, (const int32_t[]){4, 3}, 2);
  return p;
}

static const cdl_weight *weight(trial *t)
{
  operand *source =
      trial_operand(t, "source", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 6), LAYOUT_COLUMNS);
  fill_normal(t, source, 1);
  return trial_weight(t, &source, 1);
}

static cdl_tensor matrix(trial *t, const char *name, int64_t rows, int64_t columns)
{
  return in(t, name, t->dtype, shape_2d(rows, columns));
}

static cdl_tensor result(trial *t, const char *name, int64_t rows, int64_t columns)
{
  return out(t, name, t->dtype, shape_2d(rows, columns));
}

/* Beside activations, which have the trial's dtype. */
static cdl_tensor plain(trial *t, const char *name, int64_t rows, int64_t columns)
{
  return in(t, name, CDL_DTYPE_F32, shape_2d(rows, columns));
}

static cdl_tensor plain_result(trial *t, const char *name, int64_t rows, int64_t columns)
{
  return out(t, name, CDL_DTYPE_F32, shape_2d(rows, columns));
}

#define SAMPLE(op, ...)                                                                         \
  static void build_##op(trial *t, void *args)                                                  \
  {                                                                                             \
    *(cdl_##op##_args *)args = (cdl_##op##_args){.size = sizeof(cdl_##op##_args), __VA_ARGS__}; \
  }

SAMPLE(copy, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6))
SAMPLE(cast, .out = out(t, "out", t->dtype, shape_2d(5, 6)),
       .x = in(t, "x", t->dtype == CDL_DTYPE_F32 ? CDL_DTYPE_BF16 : CDL_DTYPE_F32, shape_2d(5, 6)))
SAMPLE(permute, .out = result(t, "out", 6, 5), .x = matrix(t, "x", 5, 6), .order = {0, 1, 3, 2})
SAMPLE(fill, .out = result(t, "out", 5, 6), .value = 2)
SAMPLE(gather_rows, .out = result(t, "out", 3, 6), .table = matrix(t, "table", 5, 6),
       .index = integers(t, "index", (const double[]){4, 0, 4}, 3))
SAMPLE(scatter_add_rows, .table = result(t, "table", 5, 6), .x = matrix(t, "x", 3, 6),
       .order = integers(t, "order", (const double[]){1, 0, 2}, 3),
       .segment = integers(t, "segment", (const double[]){0, 1, 3}, 3),
       .target = integers(t, "target", (const double[]){4, 1}, 2))
SAMPLE(gemm,
       .out = out(t, "out", t->dtype == CDL_DTYPE_F64 ? CDL_DTYPE_F64 : CDL_DTYPE_F32,
                  shape_2d(6, 6)),
       .a = matrix(t, "a", 6, 6), .b = matrix(t, "b", 6, 6), .alpha = 1, .beta = 1)
SAMPLE(unary, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6), .function = CDL_UNARY_EXP)
SAMPLE(unary_grad, .d_x = result(t, "d_x", 5, 6), .d_out = matrix(t, "d_out", 5, 6),
       .x = matrix(t, "x", 5, 6), .activation = CDL_ACTIVATION_GELU)
SAMPLE(binary, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6), .y = matrix(t, "y", 5, 6),
       .function = CDL_BINARY_ADD)
SAMPLE(axpby, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6), .alpha = 1, .beta = 1)
SAMPLE(reduce, .out = result(t, "out", 5, 1), .x = matrix(t, "x", 5, 6), .axis = 3)
SAMPLE(softmax, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6), .scale = 1)
SAMPLE(softmax_grad, .d_x = result(t, "d_x", 5, 6), .d_out = matrix(t, "d_out", 5, 6),
       .out = matrix(t, "out", 5, 6), .scale = 1)
SAMPLE(layer_norm, .out = result(t, "out", 5, 6), .x = matrix(t, "x", 5, 6),
       .gain = plain(t, "gain", 1, 6), .bias = plain(t, "bias", 1, 6),
       .mean = plain_result(t, "mean", 1, 5), .rstd = plain_result(t, "rstd", 1, 5),
       .epsilon = 1e-5F)
SAMPLE(layer_norm_grad, .d_x = result(t, "d_x", 5, 6), .d_gain = plain_result(t, "d_gain", 1, 6),
       .d_bias = plain_result(t, "d_bias", 1, 6), .d_out = matrix(t, "d_out", 5, 6),
       .x = matrix(t, "x", 5, 6), .gain = plain(t, "gain", 1, 6), .mean = plain(t, "mean", 1, 5),
       .rstd = plain(t, "rstd", 1, 5))
SAMPLE(dropout, .out = result(t, "out", 7, 6), .x = matrix(t, "x", 7, 6),
       .mask = {0.25F, 1, 2, step(t)}, .packing = packing(t))
SAMPLE(cross_entropy, .loss = result(t, "loss", 1, 1), .d_logits = result(t, "d_logits", 3, 6),
       .logits = matrix(t, "logits", 3, 6),
       .labels = integers(t, "labels", (const double[]){0, 5, 2}, 3),
       .class_weight = matrix(t, "class_weight", 1, 6), .step = step(t))
SAMPLE(binary_cross_entropy, .loss = result(t, "loss", 1, 1),
       .d_logits = result(t, "d_logits", 3, 6), .logits = matrix(t, "logits", 3, 6),
       .targets = matrix(t, "targets", 3, 6), .pos_weight = matrix(t, "pos_weight", 1, 6),
       .step = step(t))
SAMPLE(squared_error, .loss = result(t, "loss", 1, 1), .d_out = result(t, "d_out", 1, 6),
       .out = matrix(t, "out", 1, 6), .target = matrix(t, "target", 1, 6), .step = step(t))
SAMPLE(adamw, .parameter = result(t, "parameter", 5, 6), .moment1 = result(t, "moment1", 5, 6),
       .moment2 = result(t, "moment2", 5, 6), .gradient = matrix(t, "gradient", 5, 6),
       .grad_scale = matrix(t, "grad_scale", 1, 1), .step = step(t), .beta1 = 0.9, .beta2 = 0.999,
       .epsilon = 1e-8, .rate = 1)
SAMPLE(any_non_finite, .flag = out(t, "flag", CDL_DTYPE_I32, shape_1d(1)),
       .x = matrix(t, "x", 5, 6))
SAMPLE(linear, .out = result(t, "out", 3, 5), .pre = result(t, "pre", 3, 5),
       .x = matrix(t, "x", 3, 6), .bias = plain(t, "bias", 1, 5), .weight = weight(t),
       .activation = CDL_ACTIVATION_GELU)
SAMPLE(linear_grad, .d_x = result(t, "d_x", 3, 6), .d_out = matrix(t, "d_out", 3, 5),
       .pre = matrix(t, "pre", 3, 6), .weight = weight(t), .activation = CDL_ACTIVATION_GELU)
SAMPLE(low_rank, .out = result(t, "out", 3, 5), .hidden = plain_result(t, "hidden", 3, 2),
       .x = matrix(t, "x", 3, 6), .a = plain(t, "a", 2, 6), .b = plain(t, "b", 5, 2), .scale = 1,
       .more = {{result(t, "more[0].out", 3, 4), plain_result(t, "more[0].hidden", 3, 4),
                 plain(t, "more[0].a", 4, 6), plain(t, "more[0].b", 4, 4), 1},
                {result(t, "more[1].out", 3, 5), plain_result(t, "more[1].hidden", 3, 3),
                 plain(t, "more[1].a", 3, 6), plain(t, "more[1].b", 5, 3), 2}})
SAMPLE(low_rank_grad, .d_x = result(t, "d_x", 3, 6), .d_a = plain_result(t, "d_a", 2, 6),
       .d_b = plain_result(t, "d_b", 5, 2), .d_out = matrix(t, "d_out", 3, 5),
       .hidden = plain(t, "hidden", 3, 2), .x = matrix(t, "x", 3, 6), .a = plain(t, "a", 2, 6),
       .b = plain(t, "b", 5, 2), .scale = 1,
       .more = {{plain_result(t, "more[0].d_a", 4, 6), plain_result(t, "more[0].d_b", 4, 4),
                 matrix(t, "more[0].d_out", 3, 4), plain(t, "more[0].hidden", 3, 4),
                 plain(t, "more[0].a", 4, 6), plain(t, "more[0].b", 4, 4), 1},
                {plain_result(t, "more[1].d_a", 3, 6), plain_result(t, "more[1].d_b", 5, 3),
                 matrix(t, "more[1].d_out", 3, 5), plain(t, "more[1].hidden", 3, 3),
                 plain(t, "more[1].a", 3, 6), plain(t, "more[1].b", 5, 3), 2}})
SAMPLE(add_layer_norm, .out = result(t, "out", 5, 6), .sum = result(t, "sum", 5, 6),
       .x = matrix(t, "x", 5, 6), .residual = matrix(t, "residual", 5, 6),
       .gain = plain(t, "gain", 1, 6), .bias = plain(t, "bias", 1, 6),
       .mean = plain_result(t, "mean", 1, 5), .rstd = plain_result(t, "rstd", 1, 5),
       .epsilon = 1e-5F)
SAMPLE(attention, .out = result(t, "out", 7, 6), .qkv = matrix(t, "qkv", 7, 18),
       .log_sum = plain_result(t, "log_sum", 2, 7), .packing = packing(t), .heads = 2,
       .scale = 0.5F, .mask = {0.25F, 1, 2, step(t)}, .bias = plain(t, "bias", 2, 5))
SAMPLE(attention_grad, .d_qkv = result(t, "d_qkv", 7, 18), .d_out = matrix(t, "d_out", 7, 6),
       .qkv = matrix(t, "qkv", 7, 18), .log_sum = plain(t, "log_sum", 2, 7), .packing = packing(t),
       .heads = 2, .scale = 0.5F, .mask = {0.25F, 1, 2, step(t)}, .bias = plain(t, "bias", 2, 5),
       .d_bias = plain_result(t, "d_bias", 2, 5), .out = matrix(t, "out", 7, 6))
SAMPLE(clip_norm, .norm = result(t, "norm", 1, 1), .factor = result(t, "factor", 1, 1),
       .gradient = matrix(t, "gradient", 5, 6), .max_norm = 1)
SAMPLE(svd, .u = result(t, "u", 5, 4), .sigma = result(t, "sigma", 1, 4),
       .vt = result(t, "vt", 4, 4), .a = matrix(t, "a", 5, 4))
SAMPLE(lu_solve, .x = result(t, "x", 4, 3), .a = matrix(t, "a", 4, 4), .b = matrix(t, "b", 4, 3))
SAMPLE(lu_inverse, .out = result(t, "out", 4, 4), .a = matrix(t, "a", 4, 4))
SAMPLE(qr, .q = result(t, "q", 5, 4), .r = result(t, "r", 4, 4), .a = matrix(t, "a", 5, 4))
SAMPLE(eigh, .values = result(t, "values", 1, 4), .vectors = result(t, "vectors", 4, 4),
       .a = matrix(t, "a", 4, 4))

SAMPLE(map_weights, .a = plain_result(t, "a", 2, 6), .b = plain_result(t, "b", 5, 2),
       .theta_a = plain(t, "theta_a", 2, 5), .theta_b = plain(t, "theta_b", 2, 6),
       .weight = matrix(t, "weight", 5, 6))
SAMPLE(map_weights_grad, .d_theta_a = plain_result(t, "d_theta_a", 2, 5),
       .d_theta_b = plain_result(t, "d_theta_b", 2, 6), .d_a = plain(t, "d_a", 2, 6),
       .d_b = plain(t, "d_b", 5, 2), .weight = matrix(t, "weight", 5, 6))

SAMPLE(add_layer_norm_grad, .d_x = result(t, "d_x", 7, 6), .d_sum = result(t, "d_sum", 7, 6),
       .d_gain = plain_result(t, "d_gain", 1, 6), .d_bias = plain_result(t, "d_bias", 1, 6),
       .d_out = matrix(t, "d_out", 7, 6), .sum = matrix(t, "sum", 7, 6),
       .gain = plain(t, "gain", 1, 6), .mean = plain(t, "mean", 1, 7),
       .rstd = plain(t, "rstd", 1, 7), .mask = {0.25F, 1, 2, step(t)}, .packing = packing(t))

sample_builder *sample_of(cdl_op op)
{
  static sample_builder *const builders[CDL_OP_COUNT] = {
#define CDL_OP(name, tier) [CDL_OP_##name] = build_##name,
#include "condlora/ops.def"
#undef CDL_OP
  };
  return builders[op];
}

/* Whether ops.h calls tensors of the op activations. */
static bool has_activations(cdl_op op)
{
  switch (op) {
  case CDL_OP_gather_rows:
  case CDL_OP_scatter_add_rows:
  case CDL_OP_unary:
  case CDL_OP_unary_grad:
  case CDL_OP_axpby:
  case CDL_OP_layer_norm:
  case CDL_OP_layer_norm_grad:
  case CDL_OP_dropout:
  case CDL_OP_linear:
  case CDL_OP_linear_grad:
  case CDL_OP_low_rank:
  case CDL_OP_low_rank_grad:
  case CDL_OP_add_layer_norm:
  case CDL_OP_attention:
  case CDL_OP_attention_grad:
  case CDL_OP_map_weights:
  case CDL_OP_map_weights_grad:
  case CDL_OP_add_layer_norm_grad:
    return true;
  default:
    return false;
  }
}

bool sample_takes(cdl_op op, cdl_dtype dtype)
{
  if (dtype == CDL_DTYPE_F32)
    return true;
  if (op == CDL_OP_copy || op == CDL_OP_permute)
    return dtype != CDL_DTYPE_COUNT;
  if (op == CDL_OP_fill)
    return dtype != CDL_DTYPE_U8 && dtype != CDL_DTYPE_COUNT;
  if (op == CDL_OP_cast || op == CDL_OP_gemm)
    return dtype == CDL_DTYPE_F64 || dtype == CDL_DTYPE_BF16;
  if (dtype == CDL_DTYPE_BF16)
    return has_activations(op);
  return dtype == CDL_DTYPE_F64 && (op == CDL_OP_any_non_finite || op_find(op)->tier == TIER_HOST);
}
