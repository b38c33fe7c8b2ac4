/* A and B of CondLoRA's layers, derived from their weights by the ops map_weights and
 * map_weights_grad. Targets whose tensors are equally spaced share a call. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_MAPS_H
#define CONDLORA_MODEL_ADAPTER_METHODS_MAPS_H

#include "model/adapter/state.h"

/* The parameters of one run of layers: θA [1, r, …] for all layers or [layers, r, …], with the
 * gradient [1, r, …], and θB [1, r, in] with its gradient. Without `gradient_a` that of θA is not
 * computed. */
typedef struct {
  cdl_tensor a, b, gradient_a, gradient_b;
} map_parameters;

typedef struct {
  map_parameters *parameters; /* [run_count], which the caller sets before each pass */
  cdl_buffer *buffer;
  cdl_tensor *weights; /* [run_count] BF16 copies of the runs' weights; NULL: there are none */
  bool made;
} maps;

/* Allocates the list and, if the encoder's activations are BF16, copies of the weights in BF16: the
 * ops then read half the bytes. For `attach`. */
CDL_MUST_USE cdl_status maps_create(maps *m, const model_adapter *adapter, cdl_queue *queue);
void maps_release(maps *m);

/* Computes A and B of all runs. `accumulate`: A is added to what is there. */
void maps_forward(maps *m, const model_adapter *adapter, cdl_queue *queue, bool accumulate);
/* Adds the gradients of all parameters. */
void maps_backward(const maps *m, const model_adapter *adapter, cdl_queue *queue);

#endif
