/* A model with an adapter, ready for training steps as `condlora train` makes them. */
#ifndef CONDLORA_BENCH_WORKLOAD_H
#define CONDLORA_BENCH_WORKLOAD_H

#include "bench/batches.h"
#include "train/step.h"

/* Where the weights come from: a folder, or drawn for a shape. */
typedef struct {
  const char *folder; /* NULL: random weights for `config` */
  model_config config;
} workload_model;

typedef struct {
  train_session session; /* backend, queue, encoder, adapter and labels of it */
  train_step step;
  int64_t done; /* steps */
} workload;

/* Two labels; rank 8 on query and value, no dropout. The largest batch is `bound`'s. */
CDL_MUST_USE cdl_status workload_open(workload *s, cdl_queue *queue, const workload_model *model,
                                      const char *method, encoder_batch_bound bound);
/* For inference alone: bare with a `method` of NULL; else A and B are drawn, none of them zero, and merged into the weights,
 * once the logits of `batch` have been found to be those of the adapter beside them. NUMERIC where they are not. */
CDL_MUST_USE cdl_status workload_open_inference(workload *s, cdl_queue *queue,
                                                const workload_model *model, const char *method,
                                                encoder_batch_bound bound, const data_batch *batch,
                                                bool coarse);
void workload_close(workload *s);

/* Logits of a batch, without dropout; nothing is waited for. */
CDL_MUST_USE cdl_status workload_infer(workload *s, const data_batch *batch);

/* One optimizer step, waited for; its loss and the gradient's norm. */
CDL_MUST_USE cdl_status workload_step(workload *s, const data_batch *batch, float *loss,
                                      float *norm);

/* Holds the step against float64: the loss against the logits, and the whole backward pass against the slope of the loss
 * along the gradient, (L(θ + ε g/‖g‖) − L(θ − ε g/‖g‖)) / 2ε = ‖g‖. NUMERIC where they differ.
 * `coarse`: products are not in float32. */
CDL_MUST_USE cdl_status workload_check(workload *s, const data_batch *batch, const char *method,
                                       bool coarse);

#endif
