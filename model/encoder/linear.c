#include "model/encoder/linear.h"

#include "model/encoder/shards.h"

/* ---- Forward ---- */

/* Returns whether a pass adds anything to the frozen layer. Merged weights contain all terms except
 * pairs. */
static bool adds_to(const model_encoder *member, const encoder_module *module)
{
  return module_adapted(module) &&
         (!member->merged || cdl_tensor_present(module->delta.pair.value));
}

/* Returns whether it does for any member. */
static bool adds(encoder_members members, const projection *p)
{
  for (size_t k = 0; k < members.count; k++)
    for (int i = 0; i < p->module_count; i++)
      if (adds_to(members.encoder[k],
                  encoder_member_module(members.encoder[0], members.encoder[k], p, i)))
        return true;
  return false;
}

/* The bias in the type that spares the backend a conversion. */
static cdl_tensor bias_for(const projection *p, cdl_dtype type)
{
  return type == CDL_DTYPE_BF16 && cdl_tensor_present(p->packed->bias) ? p->packed->bias
                                                                       : p->stacked_bias;
}

void encoder_linear_forward(cdl_queue *q, const encoder_linear_pass *f)
{
  const encoder_members members = f->members;
  const projection *p = f->p;
  const cdl_weight *stacked = p->packed->stacked;
  if (!adds(members, p)) {
    const bool kept = members.encoder[0]->training;
    cdl_linear(q, CDL_ARGS(linear, .out = f->out, .pre = kept ? f->pre : (cdl_tensor){0}, .x = f->x,
                           .bias = bias_for(p, f->x.dtype), .weight = stacked,
                           .activation = f->activation));
    return;
  }
  const cdl_tensor y = f->activation == CDL_ACTIVATION_NONE ? f->out : f->pre;
  cdl_linear(
      q, CDL_ARGS(linear, .out = y, .x = f->x, .bias = bias_for(p, f->x.dtype), .weight = stacked));
  int64_t first = 0;
  for (size_t k = 0; k < members.count; k++) {
    const model_encoder *member = members.encoder[k];
    const int64_t count = encoder_row_count(member, f->rows);
    encoder_low_rank_terms terms = {0};
    for (int i = 0; i < p->module_count; i++) {
      if (!adds_to(member, encoder_member_module(members.encoder[0], member, p, i)))
        continue;
      const encoder_module_pass m = encoder_adapted_module(members, k, p, i, f->rows);
      encoder_delta_forward(&m, q, &terms,
                            encoder_own_columns(p, cdl_tensor_rows(y, first, count), i),
                            cdl_tensor_rows(f->x, first, count));
    }
    encoder_low_rank_flush(&terms, q);
    first += count;
  }
  if (f->activation != CDL_ACTIVATION_NONE)
    cdl_unary(q, CDL_ARGS(unary, .out = f->out, .x = y, .function = CDL_UNARY_ACTIVATION,
                          .activation = f->activation));
}

/* ---- Backward ---- */

/* Gradients of W and b, if they are trained. Only the weights of one member can be. */
static void trained_base_backward(cdl_queue *q, const encoder_linear_gradients *g)
{
  const projection *p = g->p;
  encoder_shard shard = {.member = g->members.encoder[0]};
  if (!projection_trained(g->members, p))
    return;
  while (encoder_next_shard(&shard, g->rows, g->d_out.size[2]))
    for (int i = 0; i < p->module_count; i++) {
      const cdl_tensor d_y = encoder_shard_rows(&shard, encoder_own_columns(p, g->d_out, i));
      if (p->weight[i]->trained)
        cdl_gemm(q, CDL_ARGS(gemm, .out = encoder_shard_gradient(&shard, p->weight[i]->gradient),
                             .a = d_y, .b = encoder_shard_rows(&shard, g->x), .transpose_a = true,
                             .alpha = 1, .beta = 1));
      if (p->bias[i]->trained)
        cdl_reduce(q,
                   CDL_ARGS(reduce, .out = encoder_shard_gradient(&shard, p->bias[i]->gradient),
                            .x = d_y, .function = CDL_REDUCE_SUM, .axis = 2, .accumulate = true));
    }
}

/* How the gradient passes the frozen weights of one member.
 *   FROZEN_GAINED    one product for all modules, with d_v
 *   FROZEN_UNGAINED  one product with d_out; the delta adds the part of the gain
 *   FROZEN_SINGLY    a product per module; the delta handles modules with a dropped input */
typedef enum { FROZEN_GAINED, FROZEN_UNGAINED, FROZEN_SINGLY } frozen_path;

static frozen_path path_of(encoder_members members, size_t k, const projection *p)
{
  frozen_path path = FROZEN_GAINED;
  for (int i = 0; i < p->module_count; i++) {
    const encoder_module *module =
        encoder_member_module(members.encoder[0], members.encoder[k], p, i);
    if (drops_base(module))
      return FROZEN_SINGLY;
    if (gain_is_parted(module))
      path = FROZEN_UNGAINED;
  }
  return path;
}

/* The modules of member `k` that read x without dropout. d_x and d_v have only its rows. */
static void undropped_base_backward(cdl_queue *q, const encoder_linear_gradients *g, size_t k,
                                    cdl_tensor d_x, cdl_tensor d_v)
{
  const projection *p = g->p;
  const encoder_members members = g->members;
  if (!g->accumulate)
    cdl_fill(q, CDL_ARGS(fill, .out = d_x));
  for (int i = 0; i < p->module_count; i++)
    if (!drops_base(encoder_member_module(members.encoder[0], members.encoder[k], p, i)))
      cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_x, .d_out = encoder_own_columns(p, d_v, i),
                                  .weight = p->packed->single[i], .accumulate = true));
}

/* d_x of the frozen weights, with one product for neighbouring members on the same path. */
static void frozen_backward(cdl_queue *q, const encoder_linear_gradients *g, cdl_tensor d_v,
                            bool with_activation)
{
  const encoder_members members = g->members;
  int64_t first = 0;
  for (size_t k = 0, next; k < members.count; k = next) {
    const frozen_path path = path_of(members, k, g->p);
    int64_t count = encoder_row_count(members.encoder[k], g->rows);
    for (next = k + 1; path != FROZEN_SINGLY && next < members.count; next++) {
      if (path_of(members, next, g->p) != path)
        break;
      count += encoder_row_count(members.encoder[next], g->rows);
    }
    const cdl_tensor d_x = cdl_tensor_rows(g->d_x, first, count);
    const cdl_tensor d_y = cdl_tensor_rows(path == FROZEN_UNGAINED ? g->d_out : d_v, first, count);
    const bool cut = with_activation && cdl_tensor_present(g->pre);
    if (path == FROZEN_SINGLY)
      undropped_base_backward(q, g, k, d_x, d_y);
    else
      cdl_linear_grad(q,
                      CDL_ARGS(linear_grad, .d_x = d_x, .d_out = d_y,
                               .pre = cut ? cdl_tensor_rows(g->pre, first, count) : (cdl_tensor){0},
                               .weight = g->p->packed->stacked,
                               .activation = with_activation ? g->activation : CDL_ACTIVATION_NONE,
                               .accumulate = g->accumulate));
    first += count;
  }
}

static void deltas_backward(cdl_queue *q, const encoder_linear_gradients *g, cdl_tensor d_v)
{
  const encoder_members members = g->members;
  const projection *p = g->p;
  int64_t first = 0;
  for (size_t k = 0; k < members.count; k++) {
    const model_encoder *member = members.encoder[k];
    const int64_t count = encoder_row_count(member, g->rows);
    encoder_low_rank_grad_terms terms = {0};
    for (int i = 0; i < p->module_count; i++) {
      if (!module_adapted(encoder_member_module(members.encoder[0], member, p, i)))
        continue;
      const encoder_module_pass m = encoder_adapted_module(members, k, p, i, g->rows);
      const bool wanted = cdl_tensor_present(g->d_x);
      const encoder_delta_gradients own = {
          .d_x = wanted ? cdl_tensor_rows(g->d_x, first, count) : (cdl_tensor){0},
          .d_y = encoder_own_columns(p, cdl_tensor_rows(g->d_out, first, count), i),
          .d_v = encoder_own_columns(p, cdl_tensor_rows(d_v, first, count), i),
          .x = cdl_tensor_rows(g->x, first, count)};
      encoder_delta_backward(&m, q, &terms, &own);
    }
    encoder_low_rank_flush_grad(&terms, q);
    first += count;
  }
}

/* The product of the frozen weights applies f' if no delta adds to d_x after it. */
void encoder_linear_backward(cdl_queue *q, const encoder_linear_gradients *g)
{
  trained_base_backward(q, g);
  const bool adapts = any_module(g->members, g->p, module_adapted),
             activates = g->activation != CDL_ACTIVATION_NONE;
  const cdl_tensor d_v = encoder_gain_d_v(g->members, q, g->p, g->d_out, g->rows);
  if (cdl_tensor_present(g->d_x))
    frozen_backward(q, g, d_v, activates && !adapts);
  if (!adapts)
    return;
  deltas_backward(q, g, d_v);
  if (cdl_tensor_present(g->d_x) && activates)
    cdl_unary_grad(q, CDL_ARGS(unary_grad, .d_x = g->d_x, .d_out = g->d_x, .x = g->pre,
                               .activation = g->activation));
}
