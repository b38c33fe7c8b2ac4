/* The type of activations. */
#include "model/encoder/state.h"

/* ---- What the backend computes in BF16 ---- */

static bool takes(const model_encoder *e, cdl_op op, const void *args)
{
  return cdl_op_path(e->backend, op, args) == CDL_PATH_NATIVE;
}

#define TAKES(e, op, ...) takes(e, CDL_OP_##op, CDL_ARGS(op, __VA_ARGS__))

/* A tensor as a pass has it. Only types and sizes are asked about, so any buffer will do. */
static cdl_tensor example(const model_encoder *e, cdl_dtype dtype, int64_t rows, int64_t columns)
{
  return cdl_tensor_2d(e->weight_buffer, dtype, 0, rows, columns);
}

static bool takes_attention(const model_encoder *e)
{
  enum { ROWS = 16 };
  const int64_t hidden = e->config.hidden_size;
  const cdl_tensor qkv = example(e, CDL_DTYPE_BF16, ROWS, 3 * hidden),
                   out = example(e, CDL_DTYPE_BF16, ROWS, hidden),
                   sums = example(e, CDL_DTYPE_F32, e->config.heads, ROWS);
  const cdl_packing packing = {.sequences = 1, .tokens = ROWS, .longest = ROWS};
  const int32_t heads = (int32_t)e->config.heads;
  cdl_tensor bias = {0};
  if (e->distance_table != NULL)
    bias = example(e, CDL_DTYPE_F32, e->config.heads, ENCODER_DISTANCES);
  return TAKES(e, attention, .out = out, .qkv = qkv, .log_sum = sums, .packing = &packing,
               .heads = heads, .scale = 1, .bias = bias) &&
         TAKES(e, attention_grad, .d_qkv = qkv, .d_out = out, .qkv = qkv, .log_sum = sums,
               .packing = &packing, .heads = heads, .scale = 1, .bias = bias, .d_bias = bias,
               .out = out);
}

static bool takes_linear(const model_encoder *e, const projection *p, cdl_activation activation)
{
  enum { ROWS = 16, RANK = 8 };
  const cdl_tensor x = example(e, CDL_DTYPE_BF16, ROWS, p->weight[0]->value.size[3]),
                   out = example(e, CDL_DTYPE_BF16, ROWS, p->stacked_bias.size[3]),
                   y = example(e, CDL_DTYPE_BF16, ROWS, p->weight[0]->value.size[2]),
                   hidden = example(e, CDL_DTYPE_F32, ROWS, RANK),
                   a = example(e, CDL_DTYPE_F32, RANK, x.size[3]),
                   b = example(e, CDL_DTYPE_F32, y.size[3], RANK);
  return TAKES(e, linear, .out = out, .pre = out, .x = x, .bias = p->stacked_bias,
               .weight = p->packed->stacked, .activation = activation) &&
         TAKES(e, linear_grad, .d_x = x, .d_out = out, .pre = x, .weight = p->packed->stacked,
               .activation = activation) &&
         TAKES(e, low_rank, .out = y, .hidden = hidden, .x = x, .a = a, .b = b, .scale = 1) &&
         TAKES(e, low_rank_grad, .d_x = x, .d_a = a, .d_b = b, .d_out = y, .hidden = hidden, .x = x,
               .a = a, .b = b, .scale = 1);
}

static bool takes_rest(const model_encoder *e)
{
  enum { ROWS = 16 };
  const int64_t hidden = e->config.hidden_size;
  const cdl_tensor x = example(e, CDL_DTYPE_BF16, ROWS, hidden),
                   wide = example(e, CDL_DTYPE_BF16, ROWS, e->config.intermediate_size),
                   gain = example(e, CDL_DTYPE_F32, 1, hidden),
                   mean = example(e, CDL_DTYPE_F32, 1, ROWS),
                   table = example(e, CDL_DTYPE_F32, ROWS, hidden),
                   index = example(e, CDL_DTYPE_I32, 1, ROWS);
  const cdl_packing packing = {.sequences = 1, .tokens = ROWS, .longest = ROWS};
  return TAKES(e, add_layer_norm, .out = x, .sum = x, .x = x, .residual = x, .gain = gain,
               .bias = gain, .mean = mean, .rstd = mean, .mask = {.probability = 0.5f},
               .packing = &packing) &&
         TAKES(e, add_layer_norm_grad, .d_x = x, .d_sum = x, .d_out = x, .sum = x, .gain = gain,
               .mean = mean, .rstd = mean, .mask = {.probability = 0.5f}, .packing = &packing) &&
         TAKES(e, layer_norm, .out = x, .x = x, .gain = gain, .bias = gain, .mean = mean,
               .rstd = mean) &&
         TAKES(e, layer_norm_grad, .d_x = x, .d_gain = gain, .d_bias = gain, .d_out = x, .x = x,
               .gain = gain, .mean = mean, .rstd = mean) &&
         TAKES(e, dropout, .out = x, .x = x) && TAKES(e, axpby, .out = x, .x = x, .alpha = 1) &&
         TAKES(e, unary, .out = wide, .x = wide, .activation = e->config.activation) &&
         TAKES(e, unary_grad, .d_x = wide, .d_out = wide, .x = wide,
               .activation = e->config.activation) &&
         TAKES(e, fill, .out = x) && TAKES(e, gather_rows, .out = x, .table = x, .index = index) &&
         TAKES(e, gather_rows, .out = x, .table = table, .index = index) &&
         TAKES(e, scatter_add_rows, .table = x, .x = x, .order = index) &&
         TAKES(e, scatter_add_rows, .table = table, .x = x, .order = index);
}

bool encoder_takes_narrow(const model_encoder *e)
{
  const block_weights *w = &e->blocks[0];
  return e->config.layers > 0 && takes_rest(e) && takes_attention(e) &&
         takes_linear(e, &w->qkv, CDL_ACTIVATION_NONE) &&
         takes_linear(e, &w->attention_out, CDL_ACTIVATION_NONE) &&
         takes_linear(e, &w->intermediate, e->config.activation) &&
         takes_linear(e, &w->output, CDL_ACTIVATION_NONE) &&
         (e->project.module_count == 0 || takes_linear(e, &e->project, CDL_ACTIVATION_NONE));
}

/* ---- What the passes need ---- */

/* The weights of these layers are trained themselves, or have terms whose arithmetic is F32. */
static bool is_wide(encoder_members members, const projection *p)
{
  for (int i = 0; i < p->module_count; i++)
    if (p->weight[i]->trained || p->bias[i]->trained)
      return true;
  return any_module(members, p, module_gained) || any_module(members, p, module_paired);
}

cdl_dtype encoder_activation_type(encoder_members members)
{
  const model_encoder *e = members.encoder[0];
  if (!e->takes_narrow || is_wide(members, &e->project))
    return CDL_DTYPE_F32;
  for (int l = 0; l < e->config.layers; l++) {
    const block_weights *w = &e->blocks[l];
    if (is_wide(members, &w->qkv) || is_wide(members, &w->attention_out) ||
        is_wide(members, &w->intermediate) || is_wide(members, &w->output))
      return CDL_DTYPE_F32;
  }
  return CDL_DTYPE_BF16;
}
