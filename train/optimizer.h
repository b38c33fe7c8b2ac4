/* AdamW for all trained parameters of an adapter. */
#ifndef CONDLORA_TRAIN_OPTIMIZER_H
#define CONDLORA_TRAIN_OPTIMIZER_H

#include "model/adapter/adapter.h"

typedef struct {
  double beta1, beta2, epsilon, weight_decay;
  bool decay_all; /* applies also to biases and layer norms */
} train_optimizer_settings;

/* Moments are end to end in the order of the parameters: first all m, then all v. */
typedef struct {
  model_adapter *adapter;
  train_optimizer_settings settings;
  cdl_buffer *buffer;
  int64_t elements; /* of one moment */
} train_optimizer;

/* PyTorch's defaults: β 0.9 and 0.999, ε 1e-8, no decay. */
train_optimizer_settings train_optimizer_defaults(void);

/* Creates an optimizer whose moments are zero. The adapter must outlive it. */
CDL_MUST_USE cdl_status train_optimizer_create(train_optimizer *optimizer, cdl_queue *queue,
                                               model_adapter *adapter,
                                               train_optimizer_settings settings);
void train_optimizer_release(train_optimizer *optimizer);

/* Makes one update from the adapter's gradients times `factor` [1]. `step` has the learning rate
 * and the corrections. */
void train_optimizer_step(const train_optimizer *optimizer, cdl_queue *queue, cdl_tensor factor,
                          cdl_tensor step);
/* Sets learning rate and corrections of the optimizer's 1-based step t. */
void train_optimizer_record(const train_optimizer *optimizer, double learning_rate, int64_t t,
                            cdl_step_record *record);

/* Returns both moments, [2 · elements], for checkpoints. */
cdl_tensor train_optimizer_state(const train_optimizer *optimizer);

#endif
