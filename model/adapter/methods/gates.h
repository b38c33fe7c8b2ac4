/* CondLoRA's gates: one trained number for each layer and rank.
 *
 *   A_l = diag(g_l) θA W_l     g_l [r], one at the start
 *
 * They scale rows of A; scaling columns of B would be the same, B diag(g) A. If the option is off,
 * there are none. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_GATES_H
#define CONDLORA_MODEL_ADAPTER_METHODS_GATES_H

#include "model/adapter/state.h"

typedef struct {
  bool on;
  size_t first, count; /* their places among the adapter's parameters, run by run */
  cdl_buffer *buffer;
  cdl_tensor *thetas; /* [run_count]: diag(g_l) θA of every layer, [layers, r, columns] */
} gates;

/* Adds a vector for each adapted module. */
CDL_MUST_USE cdl_status gates_parameters(gates *g, model_adapter *adapter);
bool gates_own(const gates *g, size_t index);
/* Memory; `columns` of run r's θA come from `theta`, the parameters by group. */
CDL_MUST_USE cdl_status gates_create(gates *g, model_adapter *adapter, cdl_queue *queue,
                                     const encoder_parameter *(*theta)(const model_adapter *,
                                                                       const layer_batch *));
/* diag(g_l) θA for all layers of a run, or θA itself repeated. */
cdl_tensor gates_apply(const gates *g, const model_adapter *adapter, cdl_queue *queue, size_t run,
                       cdl_tensor theta);
/* dθA += Σ_l diag(g_l) D_l and dg_l += ⟨rows of D_l, rows of θA⟩; `products` [layers, r, columns]
 * are D_l = ∂L/∂(diag(g_l) θA). */
void gates_pull_back(const gates *g, const model_adapter *adapter, cdl_queue *queue, size_t run,
                     const encoder_parameter *theta, cdl_tensor products);
void gates_release(gates *g);

#endif
