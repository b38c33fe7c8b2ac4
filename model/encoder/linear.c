/* Linear layers and what adapters add to them: forward, and below each part its backward pass, with
 * d_ names. encoder.h has the formula that a encoder_delta stands for. */
#include "model/encoder/linear.h"

cdl_dropout_mask encoder_mask(const model_encoder *lane, float probability,
                              cdl_random_purpose purpose, int layer)
{
  return (cdl_dropout_mask){.probability = lane->training ? probability : 0,
                            .purpose = (uint32_t)purpose,
                            .layer = (uint32_t)layer,
                            .step = lane->step};
}

/* One lane's rows; x itself where nothing is dropped. */
static cdl_tensor drop(const model_encoder *lane, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                       cdl_dropout_mask mask, row_kind rows)
{
  if (mask.probability <= 0)
    return x;
  cdl_dropout(q, CDL_ARGS(dropout, .out = out, .x = x, .mask = mask,
                          .packing = &lane->batch.packing, .per_sequence = rows == ROWS_SEQUENCES));
  return out;
}

cdl_tensor encoder_drop(lane_list lanes, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                        dropout_place *place, int number, row_kind rows)
{
  bool any = false;
  for (size_t l = 0; l < lanes.count; l++)
    any = any || place(lanes.encoder[l], number).probability > 0;
  if (!any)
    return x;
  const bool in_place = out.buffer == x.buffer && out.offset == x.offset;
  int64_t first = 0;
  for (size_t l = 0; l < lanes.count; l++) {
    const model_encoder *lane = lanes.encoder[l];
    const int64_t count = lane_row_count(lane, rows);
    const cdl_tensor to = cdl_tensor_rows(out, first, count),
                     from = cdl_tensor_rows(x, first, count);
    const cdl_dropout_mask mask = place(lane, number);
    if (mask.probability > 0)
      drop(lane, q, to, from, mask, rows);
    else if (!in_place)
      cdl_copy(q, CDL_ARGS(copy, .out = to, .x = from));
    first += count;
  }
  return out;
}

/* Columns of a stacked projection's output that belong to its i-th layer. */
static cdl_tensor own_columns(const projection *p, cdl_tensor stacked, int i)
{
  const int64_t out = p->bias[i]->value.size[3];
  return cdl_tensor_columns(stacked, i * out, out);
}

/* A module of one lane, and the rows of its layer's tensors that are the lane's. */
typedef struct {
  const model_encoder *lane;
  const encoder_module *module;
  const module_activations *act;
  cdl_tensor bias;
  const cdl_weight *single;
  row_kind rows;
} adapted_module;

static adapted_module adapted(lane_list lanes, const model_encoder *lane, const projection *p,
                              int i, row_kind rows)
{
  const encoder_module *module = lane_module(lanes.encoder[0], lane, p, i);
  return (adapted_module){.lane = lane,
                          .module = module,
                          .act = &lane->own.module[module - lane->modules],
                          .bias = p->bias[i]->value,
                          .single = p->packed->single[i],
                          .rows = rows};
}

static cdl_dropout_mask adapter_mask(const adapted_module *s)
{
  return encoder_mask(s->lane, s->module->delta.dropout, CDL_RANDOM_DROPOUT_ADAPTER,
                      (int)(s->module - s->lane->modules));
}

/* The input of a module's adapter: x, some of it dropped in training. */
static cdl_tensor adapter_input(const adapted_module *s, cdl_queue *q, cdl_tensor x)
{
  return drop(s->lane, q, scratch_like(s->lane->own.scratch.dropped, x), x, adapter_mask(s),
              s->rows);
}

static void binary(cdl_queue *q, cdl_tensor out, cdl_tensor x, cdl_tensor y,
                   cdl_binary_function function)
{
  cdl_binary(q, CDL_ARGS(binary, .out = out, .x = x, .y = y, .function = function));
}

static void add(cdl_queue *q, cdl_tensor out, cdl_tensor x, float alpha)
{
  cdl_axpby(q, CDL_ARGS(axpby, .out = out, .x = x, .alpha = alpha, .beta = 1));
}

static void add_low_rank(cdl_queue *q, const encoder_delta *d, cdl_tensor out, cdl_tensor hidden,
                         cdl_tensor x)
{
  cdl_low_rank(q, CDL_ARGS(low_rank, .out = out, .hidden = hidden, .x = x, .a = d->a, .b = d->b,
                           .scale = d->scale));
}

/* ---- A gain ---- */

/* y = x Wᵀ + b becomes y = g ∘ v + b, v = x Wᵀ + scale (x Aᵀ) Bᵀ. Where dropout is the adapter's
 * alone, x̃ the dropped input, v is of x̃ and y = x Wᵀ + b − x̃ Wᵀ + g ∘ v. */
static void gain_forward(const adapted_module *s, cdl_queue *q, cdl_tensor y, cdl_tensor input)
{
  const encoder_delta *d = &s->module->delta;
  const cdl_tensor v = s->act->ungained, bias = s->bias;
  if (s->lane->training && gain_is_parted(s->module)) {
    const cdl_tensor gained = scratch_like(s->lane->own.scratch.gained, y);
    cdl_linear(q, CDL_ARGS(linear, .out = v, .x = input, .weight = s->single));
    add(q, y, v, -1);
    add_low_rank(q, d, v, s->act->hidden, input);
    binary(q, gained, v, d->gain, CDL_BINARY_MULTIPLY);
    add(q, y, gained, 1);
    return;
  }
  binary(q, v, y, bias, CDL_BINARY_SUBTRACT);
  add_low_rank(q, d, v, s->act->hidden, input);
  binary(q, y, v, d->gain, CDL_BINARY_MULTIPLY);
  binary(q, y, y, bias, CDL_BINARY_ADD);
}

/* dg = Σ d_y ∘ v. v is overwritten: nothing reads it later. */
static void gain_backward(cdl_queue *q, const encoder_delta *d, cdl_tensor d_y, cdl_tensor v)
{
  binary(q, v, v, d_y, CDL_BINARY_MULTIPLY);
  cdl_reduce(q, CDL_ARGS(reduce, .out = d->d_gain, .x = v, .function = CDL_REDUCE_SUM, .axis = 2,
                         .accumulate = true));
}

/* dv of each layer: g ∘ d_out, or d_out itself where there is no gain. */
static cdl_tensor gained_gradient(lane_list lanes, cdl_queue *q, const projection *p,
                                  cdl_tensor d_out, row_kind rows)
{
  if (!any_module(lanes, p, module_gained))
    return d_out;
  const cdl_tensor d_v = scratch_like(lanes.encoder[0]->own.scratch.gained, d_out);
  int64_t first = 0;
  for (size_t l = 0; l < lanes.count; l++) {
    const model_encoder *lane = lanes.encoder[l];
    const int64_t count = lane_row_count(lane, rows);
    for (int i = 0; i < p->module_count; i++) {
      const encoder_module *module = lane_module(lanes.encoder[0], lane, p, i);
      const cdl_tensor d_y = own_columns(p, cdl_tensor_rows(d_out, first, count), i),
                       own = own_columns(p, cdl_tensor_rows(d_v, first, count), i);
      if (module_gained(module))
        binary(q, own, d_y, module->delta.gain, CDL_BINARY_MULTIPLY);
      else
        cdl_copy(q, CDL_ARGS(copy, .out = own, .x = d_y));
    }
    first += count;
  }
  return d_v;
}

/* ---- The term of a sequence's first token ---- */

/* [n] as the one row of a matrix. */
static cdl_tensor as_row(cdl_tensor t)
{
  return cdl_tensor_2d(t.buffer, CDL_DTYPE_F32, t.offset, 1, cdl_tensor_elements(t));
}

/* Row t: the input of the first token of t's sequence. */
static cdl_tensor first_inputs(const model_encoder *lane, cdl_queue *q, cdl_tensor input)
{
  const cdl_tensor out = scratch_like(lane->own.scratch.spread, input);
  cdl_gather_rows(
      q, CDL_ARGS(gather_rows, .out = out, .table = input, .index = lane->batch.own_first_rows));
  return out;
}

/* y_t += pair_scale ⟨x_t, x_0⟩ w, the products being kept. */
static void pair_forward(const adapted_module *s, cdl_queue *q, cdl_tensor y, cdl_tensor input)
{
  const encoder_delta *d = &s->module->delta;
  const cdl_tensor products = s->act->products;
  if (s->rows == ROWS_SEQUENCES)
    cdl_reduce(q, CDL_ARGS(reduce, .out = products, .x = input, .function = CDL_REDUCE_SUM_SQUARES,
                           .axis = 3));
  else {
    const cdl_tensor firsts = first_inputs(s->lane, q, input);
    binary(q, firsts, firsts, input, CDL_BINARY_MULTIPLY);
    cdl_reduce(
        q, CDL_ARGS(reduce, .out = products, .x = firsts, .function = CDL_REDUCE_SUM, .axis = 3));
  }
  cdl_gemm(q, CDL_ARGS(gemm, .out = y, .a = products, .b = as_row(d->pair), .alpha = d->pair_scale,
                       .beta = 1));
}

/* With g_t = pair_scale ⟨dy_t, w⟩:  dw += pair_scale Σ_t ⟨x_t, x_0⟩ dy_t,  dx_t += g_t x_0,
 * dx_0 += Σ_t g_t x_t. g overwrites the products. */
static void pair_backward(const adapted_module *s, cdl_queue *q, cdl_tensor d_x, cdl_tensor d_y,
                          cdl_tensor input)
{
  const model_encoder *lane = s->lane;
  const encoder_delta *d = &s->module->delta;
  const cdl_tensor products = s->act->products;
  cdl_gemm(q, CDL_ARGS(gemm, .out = as_row(d->d_pair), .a = products, .b = d_y, .transpose_a = true,
                       .alpha = d->pair_scale, .beta = 1));
  if (!cdl_tensor_present(d_x))
    return;
  const cdl_tensor g = products;
  cdl_gemm(q, CDL_ARGS(gemm, .out = g, .a = d_y, .b = as_row(d->pair), .transpose_b = true,
                       .alpha = d->pair_scale));
  const cdl_tensor spread = scratch_like(lane->own.scratch.spread, input);
  if (s->rows == ROWS_SEQUENCES) { /* x_t is x_0 */
    binary(q, spread, input, g, CDL_BINARY_MULTIPLY);
    add(q, d_x, spread, 2);
    return;
  }
  first_inputs(lane, q, input);
  binary(q, spread, spread, g, CDL_BINARY_MULTIPLY);
  add(q, d_x, spread, 1);
  binary(q, spread, input, g, CDL_BINARY_MULTIPLY);
  const cdl_tensor order = lane->batch.own_rows;
  cdl_scatter_add_rows(q, CDL_ARGS(scatter_add_rows, .table = d_x,
                                   .x = cdl_tensor_rows(spread, 0, order.size[3]), .order = order,
                                   .segment = lane->batch.packing.offsets,
                                   .target = lane->batch.first_rows));
}

/* ---- Forward ---- */

static void adapter_forward(const adapted_module *s, cdl_queue *q, cdl_tensor y, cdl_tensor x)
{
  const encoder_delta *d = &s->module->delta;
  const cdl_tensor input = adapter_input(s, q, x);
  if (s->lane->training && drops_base(s->module))
    cdl_linear(q, CDL_ARGS(linear, .out = y, .x = input, .bias = s->bias, .weight = s->single));
  if (!s->lane->merged && cdl_tensor_present(d->gain))
    gain_forward(s, q, y, input);
  else if (!s->lane->merged)
    add_low_rank(q, d, y, s->act->hidden, input);
  if (cdl_tensor_present(d->pair))
    pair_forward(s, q, y, input);
}

/* Whether a pass has to add anything to the frozen layers: merged weights hold all but pairs. */
static bool adds_to(const model_encoder *lane, const encoder_module *module)
{
  return module_adapted(module) && (!lane->merged || cdl_tensor_present(module->delta.pair));
}

/* Whether it has to for any lane. */
static bool adds(lane_list lanes, const projection *p)
{
  for (size_t l = 0; l < lanes.count; l++)
    for (int i = 0; i < p->module_count; i++)
      if (adds_to(lanes.encoder[l], lane_module(lanes.encoder[0], lanes.encoder[l], p, i)))
        return true;
  return false;
}

void linear_forward(lane_list lanes, cdl_queue *q, const projection *p, cdl_tensor out,
                    cdl_tensor pre, cdl_tensor x, cdl_activation activation, row_kind rows)
{
  const cdl_weight *stacked = p->packed->stacked;
  if (!adds(lanes, p)) {
    const bool kept = lanes.encoder[0]->training;
    cdl_linear(q, CDL_ARGS(linear, .out = out, .pre = kept ? pre : (cdl_tensor){0}, .x = x,
                           .bias = p->stacked_bias, .weight = stacked, .activation = activation));
    return;
  }
  const cdl_tensor y = activation == CDL_ACTIVATION_NONE ? out : pre;
  cdl_linear(q, CDL_ARGS(linear, .out = y, .x = x, .bias = p->stacked_bias, .weight = stacked));
  int64_t first = 0;
  for (size_t l = 0; l < lanes.count; l++) {
    const model_encoder *lane = lanes.encoder[l];
    const int64_t count = lane_row_count(lane, rows);
    for (int i = 0; i < p->module_count; i++) {
      if (!adds_to(lane, lane_module(lanes.encoder[0], lane, p, i)))
        continue;
      const adapted_module s = adapted(lanes, lane, p, i, rows);
      adapter_forward(&s, q, own_columns(p, cdl_tensor_rows(y, first, count), i),
                      cdl_tensor_rows(x, first, count));
    }
    first += count;
  }
  if (activation != CDL_ACTIVATION_NONE)
    cdl_unary(q, CDL_ARGS(unary, .out = out, .x = y, .function = CDL_UNARY_ACTIVATION,
                          .activation = activation));
}

/* ---- Backward ---- */

/* Gradients of W and b themselves, where they are trained. */
static void base_backward(cdl_queue *q, const projection *p, cdl_tensor d_out, cdl_tensor x)
{
  for (int i = 0; i < p->module_count; i++) {
    const cdl_tensor d_y = own_columns(p, d_out, i);
    if (p->weight[i]->trained)
      cdl_gemm(q, CDL_ARGS(gemm, .out = p->weight[i]->gradient, .a = d_y, .b = x,
                           .transpose_a = true, .alpha = 1, .beta = 1));
    if (p->bias[i]->trained)
      cdl_reduce(q, CDL_ARGS(reduce, .out = p->bias[i]->gradient, .x = d_y,
                             .function = CDL_REDUCE_SUM, .axis = 2, .accumulate = true));
  }
}

/* The frozen path's share of a dropped input's gradient. Where a gain is parted from dropout, the
 * undropped path has the rest: d_v becomes (g − 1) ∘ d_y. */
static void dropped_base_backward(const adapted_module *s, cdl_queue *q, cdl_tensor d_input,
                                  cdl_tensor d_y, cdl_tensor d_v)
{
  if (gain_is_parted(s->module))
    add(q, d_v, d_y, -1);
  else if (!drops_base(s->module))
    return;
  cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_input, .d_out = d_v, .weight = s->single,
                              .accumulate = true));
}

/* One adapter's part. With dropout, d_x's share passes the mask before it is added. */
static void adapter_backward(const adapted_module *s, cdl_queue *q, cdl_tensor d_x, cdl_tensor d_y,
                             cdl_tensor d_v, cdl_tensor x)
{
  const encoder_delta *d = &s->module->delta;
  const cdl_tensor input = adapter_input(s, q, x);
  const bool dropped = d->dropout > 0 && cdl_tensor_present(d_x);
  const cdl_tensor d_input = dropped ? scratch_like(s->lane->own.scratch.d_dropped, x) : d_x;
  if (dropped)
    cdl_fill(q, CDL_ARGS(fill, .out = d_input));
  if (cdl_tensor_present(d->gain))
    gain_backward(q, d, d_y, s->act->ungained);
  cdl_low_rank_grad(q, CDL_ARGS(low_rank_grad, .d_x = d_input, .d_a = d->d_a, .d_b = d->d_b,
                                .d_out = d_v, .hidden = s->act->hidden, .x = input, .a = d->a,
                                .b = d->b, .scale = d->scale));
  if (cdl_tensor_present(d->pair))
    pair_backward(s, q, d_input, d_y, input);
  if (!dropped)
    return;
  dropped_base_backward(s, q, d_input, d_y, d_v);
  drop(s->lane, q, d_input, d_input, adapter_mask(s), s->rows);
  add(q, d_x, d_input, 1);
}

/* How the gradient passes one lane's frozen weights: as one, out of d_v; as one, out of d_out, where
 * a gain's part is left to adapter_backward; layer by layer, those that read a dropped input being
 * left to it. */
typedef enum { FROZEN_GAINED, FROZEN_UNGAINED, FROZEN_SINGLY } frozen_path;

static frozen_path path_of(lane_list lanes, size_t l, const projection *p)
{
  frozen_path path = FROZEN_GAINED;
  for (int i = 0; i < p->module_count; i++) {
    const encoder_module *module = lane_module(lanes.encoder[0], lanes.encoder[l], p, i);
    if (drops_base(module))
      return FROZEN_SINGLY;
    if (gain_is_parted(module))
      path = FROZEN_UNGAINED;
  }
  return path;
}

static void undropped_base_backward(lane_list lanes, size_t l, cdl_queue *q, const projection *p,
                                    cdl_tensor d_x, cdl_tensor d_v, bool accumulate)
{
  if (!accumulate)
    cdl_fill(q, CDL_ARGS(fill, .out = d_x));
  for (int i = 0; i < p->module_count; i++)
    if (!drops_base(lane_module(lanes.encoder[0], lanes.encoder[l], p, i)))
      cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_x, .d_out = own_columns(p, d_v, i),
                                  .weight = p->packed->single[i], .accumulate = true));
}

/* d_x of the frozen weights: one product for neighbouring lanes whose path is the same. */
static void frozen_backward(lane_list lanes, cdl_queue *q, const projection *p, cdl_tensor d_x,
                            bool accumulate, cdl_tensor d_out, cdl_tensor d_v, cdl_tensor pre,
                            cdl_activation activation, row_kind rows)
{
  int64_t first = 0;
  for (size_t l = 0, next; l < lanes.count; l = next) {
    const frozen_path path = path_of(lanes, l, p);
    int64_t count = lane_row_count(lanes.encoder[l], rows);
    for (next = l + 1; path != FROZEN_SINGLY && next < lanes.count; next++) {
      if (path_of(lanes, next, p) != path)
        break;
      count += lane_row_count(lanes.encoder[next], rows);
    }
    const cdl_tensor own_d_x = cdl_tensor_rows(d_x, first, count);
    const cdl_tensor d_y = cdl_tensor_rows(path == FROZEN_UNGAINED ? d_out : d_v, first, count);
    if (path == FROZEN_SINGLY)
      undropped_base_backward(lanes, l, q, p, own_d_x, d_y, accumulate);
    else
      cdl_linear_grad(
          q, CDL_ARGS(linear_grad, .d_x = own_d_x, .d_out = d_y,
                      .pre = cdl_tensor_present(pre) ? cdl_tensor_rows(pre, first, count) : pre,
                      .weight = p->packed->stacked, .activation = activation,
                      .accumulate = accumulate));
    first += count;
  }
}

void linear_backward(lane_list lanes, cdl_queue *q, const projection *p, cdl_tensor d_x,
                     bool accumulate, cdl_tensor d_out, cdl_tensor x, cdl_tensor pre,
                     cdl_activation activation, row_kind rows)
{
  base_backward(q, p, d_out, x);
  const bool adapts = any_module(lanes, p, module_adapted);
  const bool plain = adapts || activation == CDL_ACTIVATION_NONE;
  const cdl_tensor none = {0}, d_v = gained_gradient(lanes, q, p, d_out, rows);
  if (cdl_tensor_present(d_x))
    frozen_backward(lanes, q, p, d_x, accumulate, d_out, d_v, plain ? none : pre,
                    plain ? CDL_ACTIVATION_NONE : activation, rows);
  int64_t first = 0;
  for (size_t l = 0; adapts && l < lanes.count; l++) {
    const model_encoder *lane = lanes.encoder[l];
    const int64_t count = lane_row_count(lane, rows);
    for (int i = 0; i < p->module_count; i++) {
      if (!module_adapted(lane_module(lanes.encoder[0], lane, p, i)))
        continue;
      const adapted_module s = adapted(lanes, lane, p, i, rows);
      adapter_backward(&s, q, cdl_tensor_present(d_x) ? cdl_tensor_rows(d_x, first, count) : none,
                       own_columns(p, cdl_tensor_rows(d_out, first, count), i),
                       own_columns(p, cdl_tensor_rows(d_v, first, count), i),
                       cdl_tensor_rows(x, first, count));
    }
    first += count;
  }
  if (adapts && cdl_tensor_present(d_x) && activation != CDL_ACTIVATION_NONE)
    cdl_unary_grad(
        q, CDL_ARGS(unary_grad, .d_x = d_x, .d_out = d_x, .x = pre, .activation = activation));
}
