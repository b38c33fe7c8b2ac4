/* A model with an adapter, ready for training steps as `condlora train` makes them. */
#ifndef CONDLORA_BENCH_SESSION_H
#define CONDLORA_BENCH_SESSION_H

#include "bench/batches.h"
#include "train/step.h"

/* Where the weights come from: a folder, or drawn for a shape. */
typedef struct {
  const char *folder; /* NULL: random weights for `config` */
  cdl_model_config config;
} session_model;

typedef struct {
  cdl_job job; /* backend, queue, encoder, adapter and labels of it */
  cdl_step step;
  int64_t done; /* steps */
} session;

/* Two labels; rank 8 on query and value, no dropout. The largest batch is `bound`'s. */
CDL_MUST_USE cdl_status session_open(session *s, cdl_queue *queue, const session_model *model,
                                     const char *method, cdl_batch_bound bound);
/* For inference alone: bare with a `method` of NULL; else A and B are drawn, none of them zero, and merged into the weights,
 * once the logits of `batch` have been found to be those of the adapter beside them. NUMERIC where they are not. */
CDL_MUST_USE cdl_status session_open_inference(session *s, cdl_queue *queue,
                                               const session_model *model, const char *method,
                                               cdl_batch_bound bound, const cdl_batch *batch,
                                               bool coarse);
void session_close(session *s);

/* Logits of a batch, without dropout; nothing is waited for. */
CDL_MUST_USE cdl_status session_infer(session *s, const cdl_batch *batch);

/* One optimizer step, waited for; its loss and the gradient's norm. */
CDL_MUST_USE cdl_status session_step(session *s, const cdl_batch *batch, float *loss, float *norm);

/* Holds the step against float64: the loss against the logits, and the whole backward pass against the slope of the loss
 * along the gradient, (L(θ + ε g/‖g‖) − L(θ − ε g/‖g‖)) / 2ε = ‖g‖. NUMERIC where they differ.
 * `coarse`: products are not in float32. */
CDL_MUST_USE cdl_status session_check(session *s, const cdl_batch *batch, const char *method,
                                      bool coarse);

#endif
