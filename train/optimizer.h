/* AdamW over every trained parameter of an adapter. */
#ifndef CONDLORA_TRAIN_OPTIMIZER_H
#define CONDLORA_TRAIN_OPTIMIZER_H

#include "model/adapter/adapter.h"

typedef struct {
  double beta1, beta2, epsilon, weight_decay;
  bool decay_all; /* biases and layer norms too */
} train_optimizer_settings;

/* Moments lie end to end in the order of the parameters, first all m, then all v. */
typedef struct {
  model_adapter *adapter;
  train_optimizer_settings settings;
  cdl_buffer *buffer;
  int64_t elements; /* of one of the two moments */
} train_optimizer;

/* PyTorch's defaults: β 0.9 and 0.999, ε 1e-8, no decay. */
train_optimizer_settings train_optimizer_defaults(void);

/* Moments start at zero. The adapter must outlive the optimizer. */
CDL_MUST_USE cdl_status train_optimizer_create(train_optimizer *optimizer, cdl_queue *queue,
                                               model_adapter *adapter,
                                               train_optimizer_settings settings);
void train_optimizer_release(train_optimizer *optimizer);

/* One update from the adapter's gradients, times `factor` [1]; rate and corrections come from
 * `step`. */
void train_optimizer_step(train_optimizer *optimizer, cdl_queue *queue, cdl_tensor factor,
                          cdl_tensor step);
/* Rate and corrections of the optimizer's 1-based step t. */
void train_optimizer_record(const train_optimizer *optimizer, double learning_rate, int64_t t,
                            cdl_step_record *record);

/* Both moments, [2 · elements], for checkpoints. */
cdl_tensor train_optimizer_state(const train_optimizer *optimizer);

#endif
