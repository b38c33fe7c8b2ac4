#include "model/adapter/methods/gates.h"

#include <stdlib.h>

#include "model/encoder/layout.h"

cdl_status gates_parameters(gates *g, model_adapter *a)
{
  g->first = a->own_count;
  for (size_t r = 0; g->on && r < a->run_count; r++)
    for (int i = 0; i < a->runs[r].count; i++)
      CDL_TRY(adapter_add_vector(a, ENCODER_ROLE_WEIGHT, a->runs[r].rank, "%s.condlora_gate",
                                 a->runs[r].modules[i]->path));
  g->count = a->own_count - g->first;
  return CDL_STATUS_OK;
}

bool gates_own(const gates *g, size_t index)
{
  return index >= g->first && index - g->first < g->count;
}

static int64_t lay_out(gates *g, const model_adapter *a,
                       const encoder_parameter *(*theta)(const model_adapter *,
                                                         const layer_batch *))
{
  int64_t used = 0;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    g->thetas[r] = cdl_tensor_3d(g->buffer, CDL_DTYPE_F32, used, run->count, run->rank,
                                 theta(a, run)->value.size[3]);
    used += encoder_aligned(cdl_tensor_elements(g->thetas[r]));
  }
  return used;
}

cdl_status gates_create(gates *g, model_adapter *a, cdl_queue *q,
                        const encoder_parameter *(*theta)(const model_adapter *,
                                                          const layer_batch *))
{
  if (!g->on)
    return CDL_STATUS_OK;
  g->thetas = calloc(a->run_count + 1, sizeof *g->thetas);
  if (g->thetas == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: an adapter's gates");
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(q), (size_t)lay_out(g, a, theta) * sizeof(float),
                            &g->buffer));
  lay_out(g, a, theta);
  return CDL_STATUS_OK;
}

/* Returns the vectors of a run's layers, from `first` on, as columns [layers, r, 1]. Parameters lie
 * one after the other. */
static cdl_tensor as_columns(const layer_batch *run, cdl_tensor first)
{
  cdl_tensor t = cdl_tensor_3d(first.buffer, CDL_DTYPE_F32, first.offset, run->count, run->rank, 1);
  t.stride[1] = encoder_aligned(run->rank);
  return t;
}

static const encoder_parameter *first_of_run(const gates *g, const model_adapter *a, size_t run)
{
  size_t index = g->first;
  for (size_t r = 0; r < run; r++)
    index += (size_t)a->runs[r].count;
  return &a->own_parameters[index];
}

cdl_tensor gates_apply(const gates *g, const model_adapter *a, cdl_queue *q, size_t run,
                       cdl_tensor theta)
{
  const layer_batch *batch = &a->runs[run];
  if (!g->on)
    return adapter_repeated(theta, batch->count);
  cdl_binary(q, CDL_ARGS(binary, .out = g->thetas[run], .x = adapter_repeated(theta, batch->count),
                         .y = as_columns(batch, first_of_run(g, a, run)->value),
                         .function = CDL_BINARY_MULTIPLY));
  return g->thetas[run];
}

/* The gated thetas are made anew before they are read again: their memory takes the products. */
void gates_pull_back(const gates *g, const model_adapter *a, cdl_queue *q, size_t run,
                     const encoder_parameter *theta, cdl_tensor products)
{
  const layer_batch *batch = &a->runs[run];
  const encoder_parameter *gate = first_of_run(g, a, run);
  const cdl_tensor scratch = g->thetas[run];
  cdl_binary(q, CDL_ARGS(binary, .out = scratch, .x = products,
                         .y = adapter_repeated(theta->value, batch->count),
                         .function = CDL_BINARY_MULTIPLY));
  cdl_reduce(q, CDL_ARGS(reduce, .out = as_columns(batch, gate->gradient), .x = scratch,
                         .function = CDL_REDUCE_SUM, .axis = 3, .accumulate = true));
  cdl_binary(q, CDL_ARGS(binary, .out = scratch, .x = products, .y = as_columns(batch, gate->value),
                         .function = CDL_BINARY_MULTIPLY));
  cdl_reduce(q, CDL_ARGS(reduce, .out = theta->gradient, .x = scratch, .function = CDL_REDUCE_SUM,
                         .axis = 1, .accumulate = true));
}

void gates_release(gates *g)
{
  cdl_buffer_destroy(g->buffer);
  free(g->thetas);
}
