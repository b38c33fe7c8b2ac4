/* The forward pass, backward pass and merging of all terms of a delta. */
#include "model/encoder/delta.h"

#include <stdlib.h>

encoder_module_pass encoder_adapted_module(encoder_members members, size_t k, const projection *p,
                                           int i, encoder_rows rows)
{
  const model_encoder *member = members.encoder[k];
  const encoder_module *module = encoder_member_module(members.encoder[0], member, p, i);
  return (encoder_module_pass){.member = member,
                               .module = module,
                               .act = &member->own.module[module - member->modules],
                               .bias = p->bias[i]->value,
                               .single = p->packed->single[i],
                               .rows = rows};
}

static cdl_dropout_mask mask_of(const encoder_module_pass *m)
{
  return encoder_mask(m->member, m->module->delta.dropout, CDL_RANDOM_DROPOUT_ADAPTER,
                      (int)(m->module - m->member->modules));
}

/* Returns the input of all terms: x, in training with dropout. */
static cdl_tensor dropped_input(const encoder_module_pass *m, cdl_queue *q, cdl_tensor x)
{
  return encoder_drop_own(m->member, q, encoder_scratch_like(m->member->own.scratch.dropped, x), x,
                          mask_of(m), m->rows);
}

/* Whether the module's low-rank term may wait for others of the same input: the input is x, not
 * scratch memory, and the module adds nothing after it. */
static bool may_wait(const encoder_module_pass *m, cdl_tensor input, cdl_tensor x)
{
  return input.buffer == x.buffer && input.offset == x.offset &&
         !cdl_tensor_present(m->module->delta.pair.value);
}

void encoder_delta_forward(const encoder_module_pass *m, cdl_queue *q,
                           encoder_low_rank_terms *terms, cdl_tensor y, cdl_tensor x)
{
  const encoder_delta *d = &m->module->delta;
  const cdl_tensor input = dropped_input(m, q, x);
  if (m->member->training && drops_base(m->module))
    cdl_linear(q, CDL_ARGS(linear, .out = y, .x = input, .bias = m->bias, .weight = m->single));
  if (!m->member->merged && cdl_tensor_present(d->gain.value))
    encoder_gain_forward(m, q, y, input);
  else if (!m->member->merged)
    encoder_low_rank_add(terms, m, q, y, input);
  if (!may_wait(m, input, x))
    encoder_low_rank_flush(terms, q);
  if (cdl_tensor_present(d->pair.value))
    encoder_pair_forward(m, q, y, input);
}

/* The frozen path's part of the gradient of a dropped input. If a gain reads another input than
 * the frozen path (gain_is_parted), the path without dropout has the rest: d_v becomes (g − 1) ∘
 * d_y. */
static void dropped_base_backward(const encoder_module_pass *m, cdl_queue *q, cdl_tensor d_input,
                                  const encoder_delta_gradients *g)
{
  if (gain_is_parted(m->module))
    encoder_add(q, g->d_v, g->d_y, -1);
  else if (!drops_base(m->module))
    return;
  cdl_linear_grad(q, CDL_ARGS(linear_grad, .d_x = d_input, .d_out = g->d_v, .weight = m->single,
                              .accumulate = true));
}

/* If there is dropout, this part of d_x passes the mask before it is added. */
void encoder_delta_backward(const encoder_module_pass *m, cdl_queue *q,
                            encoder_low_rank_grad_terms *terms, const encoder_delta_gradients *g)
{
  const encoder_delta *d = &m->module->delta;
  const cdl_tensor input = dropped_input(m, q, g->x);
  const bool dropped = d->dropout > 0 && cdl_tensor_present(g->d_x);
  const cdl_tensor d_input =
      dropped ? encoder_scratch_like(m->member->own.scratch.d_dropped, g->x) : g->d_x;
  if (dropped)
    cdl_fill(q, CDL_ARGS(fill, .out = d_input));
  if (cdl_tensor_present(d->gain.value))
    encoder_gain_backward(m, q, g->d_y);
  encoder_low_rank_add_grad(terms, m, q, d_input, g->d_v, input);
  if (!may_wait(m, input, g->x))
    encoder_low_rank_flush_grad(terms, q);
  if (cdl_tensor_present(d->pair.value))
    encoder_pair_backward(m, q, d_input, g->d_y, input);
  if (!dropped)
    return;
  dropped_base_backward(m, q, d_input, g);
  encoder_drop_own(m->member, q, d_input, d_input, mask_of(m), m->rows);
  encoder_add(q, g->d_x, d_input, 1);
}

/* ---- Merging ---- */

/* Of the weights that are not in the checkpoint's file. */
static int64_t saved_elements(const model_encoder *e)
{
  int64_t elements = 0;
  for (size_t i = 0; i < e->module_count; i++)
    if (module_adapted(&e->modules[i]) && !cdl_tensor_present(e->modules[i].parameter->stored))
      elements += cdl_tensor_elements(e->modules[i].weight);
  return elements;
}

/* Returns where the original values are while the weights are merged. */
static cdl_tensor saved_weight(const model_encoder *e, const encoder_module *module,
                               int64_t *offset)
{
  if (cdl_tensor_present(module->parameter->stored))
    return module->parameter->stored;
  cdl_tensor saved = cdl_tensor_2d(e->memory->merge_buffer, CDL_DTYPE_F32, *offset,
                                   module->weight.size[2], module->weight.size[3]);
  *offset += cdl_tensor_elements(saved);
  return saved;
}

bool encoder_merges_whole(const model_encoder *e)
{
  return !encoder_paired(e);
}

/* Makes the adapted weights writable. */
static cdl_status own_adapted(model_encoder *e, cdl_queue *q)
{
  encoder_parameter **list = calloc(e->module_count + 1, sizeof *list);
  size_t count = 0;
  if (list == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: merged weights");
  for (size_t i = 0; i < e->module_count; i++)
    if (module_adapted(&e->modules[i]))
      list[count++] = e->modules[i].parameter;
  const cdl_status status = encoder_own(e, q, list, count, false);
  free(list);
  return status;
}

cdl_status encoder_merge(model_encoder *e, cdl_queue *q)
{
  CDL_TRY(own_adapted(e, q));
  CDL_TRY(encoder_reserve_merge(e->memory, e->backend, (size_t)saved_elements(e)));
  int64_t offset = 0;
  for (size_t i = 0; i < e->module_count; i++) {
    encoder_module *module = &e->modules[i];
    if (!module_adapted(module))
      continue;
    if (!cdl_tensor_present(module->parameter->stored))
      cdl_copy(q, CDL_ARGS(copy, .out = saved_weight(e, module, &offset), .x = module->weight));
    encoder_low_rank_merge(module, q);
    if (module_gained(module))
      encoder_gain_merge(module, q);
  }
  encoder_adapted_changed(e, q);
  e->merged = true;
  return CDL_STATUS_OK;
}

void encoder_unmerge(model_encoder *e, cdl_queue *q)
{
  int64_t offset = 0;
  for (size_t i = 0; i < e->module_count; i++) {
    encoder_module *module = &e->modules[i];
    if (!module_adapted(module))
      continue;
    cdl_copy(q, CDL_ARGS(copy, .out = module->weight, .x = saved_weight(e, module, &offset)));
    encoder_discard(e, module->parameter);
  }
  encoder_adapted_changed(e, q);
  e->merged = false;
}
