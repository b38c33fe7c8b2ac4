/* Linear layers and what adapters add to them: forward, and below each part its backward pass, with
 * d_ names. encoder.h has the formula that a cdl_delta stands for. */
#include "model/encoder_linear.h"

cdl_dropout_mask encoder_mask(const cdl_encoder *e, float probability, cdl_random_purpose purpose,
                              int layer)
{
  return (cdl_dropout_mask){.probability = e->training ? probability : 0,
                            .purpose = (uint32_t)purpose,
                            .layer = (uint32_t)layer,
                            .step = e->step};
}

cdl_tensor encoder_drop(const cdl_encoder *e, cdl_queue *q, cdl_tensor out, cdl_tensor x,
                        cdl_dropout_mask mask, row_kind rows)
{
  if (mask.probability <= 0)
    return x;
  cdl_dropout(q, CDL_ARGS(dropout, .out = out, .x = x, .mask = mask, .packing = &e->batch.packing,
                          .per_sequence = rows == ROWS_SEQUENCES));
  return out;
}

/* Columns of a stacked projection's output that belong to its i-th layer. */
static cdl_tensor own_columns(const projection *p, cdl_tensor stacked, int i)
{
  const int64_t out = p->bias[i]->value.size[3];
  return cdl_columns(stacked, i * out, out);
}

static cdl_dropout_mask adapter_mask(const cdl_encoder *e, const cdl_site *site)
{
  return encoder_mask(e, site->delta.dropout, CDL_RANDOM_DROPOUT_ADAPTER, (int)(site - e->sites));
}

/* The input of a site's adapter: x, some of it dropped in training. */
static cdl_tensor adapter_input(const cdl_encoder *e, cdl_queue *q, const cdl_site *site,
                                cdl_tensor x, row_kind rows)
{
  return encoder_drop(e, q, scratch_like(e->act.dropped, x), x, adapter_mask(e, site), rows);
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

static void add_low_rank(cdl_queue *q, const cdl_delta *d, cdl_tensor out, cdl_tensor hidden,
                         cdl_tensor x)
{
  cdl_low_rank(q, CDL_ARGS(low_rank, .out = out, .hidden = hidden, .x = x, .a = d->a, .b = d->b,
                           .scale = d->scale));
}

/* ---- A gain ---- */

/* y = x Wᵀ + b becomes y = g ∘ v + b, v = x Wᵀ + scale (x Aᵀ) Bᵀ. Where dropout is the adapter's
 * alone, x̃ the dropped input, v is of x̃ and y = x Wᵀ + b − x̃ Wᵀ + g ∘ v. */
static void gain_forward(const cdl_encoder *e, cdl_queue *q, const projection *p, int i,
                         cdl_tensor y, cdl_tensor input, const site_activations *a)
{
  const cdl_delta *d = &p->site[i]->delta;
  const cdl_tensor v = a->ungained, bias = p->bias[i]->value;
  if (e->training && gain_is_parted(p->site[i])) {
    const cdl_tensor gained = scratch_like(e->act.gained, y);
    cdl_linear(q, CDL_ARGS(linear, .out = v, .x = input, .weight = p->single[i]));
    add(q, y, v, -1);
    add_low_rank(q, d, v, a->hidden, input);
    binary(q, gained, v, d->gain, CDL_BINARY_MULTIPLY);
    add(q, y, gained, 1);
    return;
  }
  binary(q, v, y, bias, CDL_BINARY_SUBTRACT);
  add_low_rank(q, d, v, a->hidden, input);
  binary(q, y, v, d->gain, CDL_BINARY_MULTIPLY);
  binary(q, y, y, bias, CDL_BINARY_ADD);
}

/* dg = Σ d_y ∘ v. v is overwritten: nothing reads it later. */
static void gain_backward(cdl_queue *q, const cdl_delta *d, cdl_tensor d_y, cdl_tensor v)
{
  binary(q, v, v, d_y, CDL_BINARY_MULTIPLY);
  cdl_reduce(q, CDL_ARGS(reduce, .out = d->d_gain, .x = v, .function = CDL_REDUCE_SUM, .axis = 2,
                         .accumulate = true));
}

/* dv of each layer: g ∘ d_out, or d_out itself where there is no gain. */
static cdl_tensor gained_gradient(const cdl_encoder *e, cdl_queue *q, const projection *p,
                                  cdl_tensor d_out)
{
  if (!projection_gained(p))
    return d_out;
  const cdl_tensor d_v = scratch_like(e->act.gained, d_out);
  for (int i = 0; i < p->site_count; i++) {
    const cdl_tensor d_y = own_columns(p, d_out, i), own = own_columns(p, d_v, i);
    if (site_gained(p->site[i]))
      binary(q, own, d_y, p->site[i]->delta.gain, CDL_BINARY_MULTIPLY);
    else
      cdl_copy(q, CDL_ARGS(copy, .out = own, .x = d_y));
  }
  return d_v;
}

/* ---- The term of a sequence's first token ---- */

/* [n] as the one row of a matrix. */
static cdl_tensor as_row(cdl_tensor t)
{
  return cdl_tensor_2d(t.buffer, CDL_F32, t.offset, 1, cdl_elements(t));
}

/* Row t: the input of the first token of t's sequence. */
static cdl_tensor first_inputs(const cdl_encoder *e, cdl_queue *q, cdl_tensor input)
{
  const cdl_tensor out = scratch_like(e->act.spread, input);
  cdl_gather_rows(
      q, CDL_ARGS(gather_rows, .out = out, .table = input, .index = e->batch.own_first_rows));
  return out;
}

/* y_t += pair_scale ⟨x_t, x_0⟩ w, the products being kept. */
static void pair_forward(const cdl_encoder *e, cdl_queue *q, const cdl_delta *d, cdl_tensor y,
                         cdl_tensor input, cdl_tensor products, row_kind rows)
{
  if (rows == ROWS_SEQUENCES)
    cdl_reduce(q, CDL_ARGS(reduce, .out = products, .x = input, .function = CDL_REDUCE_SUM_SQUARES,
                           .axis = 3));
  else {
    const cdl_tensor firsts = first_inputs(e, q, input);
    binary(q, firsts, firsts, input, CDL_BINARY_MULTIPLY);
    cdl_reduce(
        q, CDL_ARGS(reduce, .out = products, .x = firsts, .function = CDL_REDUCE_SUM, .axis = 3));
  }
  cdl_gemm(q, CDL_ARGS(gemm, .out = y, .a = products, .b = as_row(d->pair), .alpha = d->pair_scale,
                       .beta = 1));
}

/* With g_t = pair_scale ⟨dy_t, w⟩:  dw += pair_scale Σ_t ⟨x_t, x_0⟩ dy_t,  dx_t += g_t x_0,
 * dx_0 += Σ_t g_t x_t. g overwrites the products. */
static void pair_backward(const cdl_encoder *e, cdl_queue *q, const cdl_delta *d, cdl_tensor d_x,
                          cdl_tensor d_y, cdl_tensor input, cdl_tensor products, row_kind rows)
{
  cdl_gemm(q, CDL_ARGS(gemm, .out = as_row(d->d_pair), .a = products, .b = d_y, .transpose_a = true,
                       .alpha = d->pair_scale, .beta = 1));
  if (!cdl_present(d_x))
    return;
  const cdl_tensor g = products;
  cdl_gemm(q, CDL_ARGS(gemm, .out = g, .a = d_y, .b = as_row(d->pair), .transpose_b = true,
                       .alpha = d->pair_scale));
  const cdl_tensor spread = scratch_like(e->act.spread, input);
  if (rows == ROWS_SEQUENCES) { /* x_t is x_0 */
    binary(q, spread, input, g, CDL_BINARY_MULTIPLY);
    add(q, d_x, spread, 2);
    return;
  }
  first_inputs(e, q, input);
  binary(q, spread, spread, g, CDL_BINARY_MULTIPLY);
  add(q, d_x, spread, 1);
  binary(q, spread, input, g, CDL_BINARY_MULTIPLY);
  const cdl_tensor order = e->batch.own_rows;
  cdl_scatter_add_rows(q, CDL_ARGS(scatter_add_rows, .table = d_x,
                                   .x = cdl_rows(spread, 0, order.size[3]), .order = order,
                                   .segment = e->batch.packing.offsets,
                                   .target = e->batch.first_rows));
}

/* ---- Forward ---- */

static void adapter_forward(const cdl_encoder *e, cdl_queue *q, const projection *p, int i,
                            cdl_tensor y, cdl_tensor x, const site_activations *a, row_kind rows)
{
  const cdl_site *site = p->site[i];
  const cdl_delta *d = &site->delta;
  const cdl_tensor input = adapter_input(e, q, site, x, rows);
  if (e->training && drops_base(site))
    cdl_linear(q, CDL_ARGS(linear, .out = y, .x = input, .bias = p->bias[i]->value,
                           .weight = p->single[i]));
  if (!e->merged && cdl_present(d->gain))
    gain_forward(e, q, p, i, y, input, a);
  else if (!e->merged)
    add_low_rank(q, d, y, a->hidden, input);
  if (cdl_present(d->pair))
    pair_forward(e, q, d, y, input, a->products, rows);
}

/* Whether a pass has to add anything to the frozen layers: merged weights hold all but pairs. */
static bool adds_to(const cdl_encoder *e, const cdl_site *site)
{
  return site_adapted(site) && (!e->merged || cdl_present(site->delta.pair));
}

void linear_forward(const cdl_encoder *e, cdl_queue *q, const projection *p, cdl_tensor out,
                    cdl_tensor pre, cdl_tensor x, cdl_activation activation,
                    const site_activations *sites, row_kind rows)
{
  bool adds = false;
  for (int i = 0; i < p->site_count; i++)
    adds = adds || adds_to(e, p->site[i]);
  if (!adds) {
    cdl_linear(q,
               CDL_ARGS(linear, .out = out, .pre = e->training ? pre : (cdl_tensor){0}, .x = x,
                        .bias = p->stacked_bias, .weight = p->stacked, .activation = activation));
    return;
  }
  const cdl_tensor y = activation == CDL_ACTIVATION_NONE ? out : pre;
  cdl_linear(q, CDL_ARGS(linear, .out = y, .x = x, .bias = p->stacked_bias, .weight = p->stacked));
  for (int i = 0; i < p->site_count; i++)
    if (adds_to(e, p->site[i]))
      adapter_forward(e, q, p, i, own_columns(p, y, i), x, &sites[i], rows);
  if (activation != CDL_ACTIVATION_NONE)
    cdl_unary(q, CDL_ARGS(unary, .out = out, .x = y, .function = CDL_UNARY_ACTIVATION,
                          .activation = activation));
}

/* ---- Backward ---- */

/* Gradients of W and b themselves, where they are trained. */
static void base_backward(cdl_queue *q, const projection *p, cdl_tensor d_out, cdl_tensor x)
{
  for (int i = 0; i < p->site_count; i++) {
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
static void dropped_base_backward(cdl_queue *q, const projection *p, int i, cdl_tensor d_input,
                                  cdl_tensor d_y, cdl_tensor d_v)
{
  if (gain_is_parted(p->site[i]))
    add(q, d_v, d_y, -1);
  else if (!drops_base(p->site[i]))
    return;
  cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_input, .d_out = d_v, .weight = p->single[i],
                              .accumulate = true));
}

/* One adapter's part. With dropout, d_x's share passes the mask before it is added. */
static void adapter_backward(const cdl_encoder *e, cdl_queue *q, const projection *p, int i,
                             cdl_tensor d_x, cdl_tensor d_y, cdl_tensor d_v, cdl_tensor x,
                             const site_activations *a, row_kind rows)
{
  const cdl_site *site = p->site[i];
  const cdl_delta *d = &site->delta;
  const cdl_tensor input = adapter_input(e, q, site, x, rows);
  const bool dropped = d->dropout > 0 && cdl_present(d_x);
  const cdl_tensor d_input = dropped ? scratch_like(e->act.d_dropped, x) : d_x;
  if (dropped)
    cdl_fill(q, CDL_ARGS(fill, .out = d_input));
  if (cdl_present(d->gain))
    gain_backward(q, d, d_y, a->ungained);
  cdl_low_rank_grad(q, CDL_ARGS(low_rank_grad, .d_x = d_input, .d_a = d->d_a, .d_b = d->d_b,
                                .d_out = d_v, .hidden = a->hidden, .x = input, .a = d->a, .b = d->b,
                                .scale = d->scale));
  if (cdl_present(d->pair))
    pair_backward(e, q, d, d_input, d_y, input, a->products, rows);
  if (!dropped)
    return;
  dropped_base_backward(q, p, i, d_input, d_y, d_v);
  encoder_drop(e, q, d_input, d_input, adapter_mask(e, site), rows);
  add(q, d_x, d_input, 1);
}

/* The frozen path where some of its layers read a dropped input: those are left to
 * adapter_backward. */
static void undropped_base_backward(cdl_queue *q, const projection *p, cdl_tensor d_x,
                                    cdl_tensor d_v, bool accumulate)
{
  if (!accumulate)
    cdl_fill(q, CDL_ARGS(fill, .out = d_x));
  for (int i = 0; i < p->site_count; i++)
    if (!drops_base(p->site[i]))
      cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_x, .d_out = own_columns(p, d_v, i),
                                  .weight = p->single[i], .accumulate = true));
}

void linear_backward(const cdl_encoder *e, cdl_queue *q, const projection *p, cdl_tensor d_x,
                     bool accumulate, cdl_tensor d_out, cdl_tensor x, cdl_tensor pre,
                     cdl_activation activation, const site_activations *sites, row_kind rows)
{
  base_backward(q, p, d_out, x);
  const bool adapted = projection_adapted(p);
  const bool plain = adapted || activation == CDL_ACTIVATION_NONE;
  bool any_drops_base = false, any_parted = false;
  for (int i = 0; i < p->site_count; i++) {
    any_drops_base = any_drops_base || drops_base(p->site[i]);
    any_parted = any_parted || gain_is_parted(p->site[i]);
  }

  const cdl_tensor d_v = gained_gradient(e, q, p, d_out);
  if (cdl_present(d_x)) {
    if (any_drops_base)
      undropped_base_backward(q, p, d_x, d_v, accumulate);
    else
      cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_x, .d_out = any_parted ? d_out : d_v,
                                  .pre = plain ? (cdl_tensor){0} : pre, .weight = p->stacked,
                                  .activation = plain ? CDL_ACTIVATION_NONE : activation,
                                  .accumulate = accumulate));
  }
  for (int i = 0; i < p->site_count; i++)
    if (site_adapted(p->site[i]))
      adapter_backward(e, q, p, i, d_x, own_columns(p, d_out, i), own_columns(p, d_v, i), x,
                       &sites[i], rows);
  if (adapted && cdl_present(d_x) && activation != CDL_ACTIVATION_NONE)
    cdl_unary_grad(
        q, CDL_ARGS(unary_grad, .d_x = d_x, .d_out = d_x, .x = pre, .activation = activation));
}
