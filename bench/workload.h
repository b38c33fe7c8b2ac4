/* A model with an adapter, ready for training steps like those of `condlora train`. */
#ifndef CONDLORA_BENCH_WORKLOAD_H
#define CONDLORA_BENCH_WORKLOAD_H

#include "bench/batches.h"
#include "train/step.h"

/* The source of the weights: a folder, or random weights for a shape. */
typedef struct {
  const char *folder; /* NULL: random weights for `config` */
  model_config config;
  bool no_record; /* of training: steps are not recorded on the device */
} bench_workload_model;

typedef struct {
  train_session session; /* its backend, queue, encoder, adapter and labels are set */
  train_step step;
  int64_t done;           /* steps done */
  train_joint_pass joint; /* of the first of several runs: what is recorded of their passes */
} bench_workload;

/* Opens a workload with two labels and rank 8 on query and value, without dropout. `bound` bounds
 * its batches. Close with bench_workload_close. */
CDL_MUST_USE cdl_status bench_workload_open(bench_workload *s, cdl_queue *queue,
                                            const bench_workload_model *model, const char *method,
                                            encoder_batch_bound bound);
/* Opens a workload for inference. With `method` NULL the encoder has no adapter. Otherwise A and B
 * are drawn, none of them zero, and merged into the weights, after checking that the logits of
 * `batch` equal those of the unmerged adapter. Errors: NUMERIC if they differ. */
CDL_MUST_USE cdl_status bench_workload_open_inference(bench_workload *s, cdl_queue *queue,
                                                      const bench_workload_model *model,
                                                      const char *method, encoder_batch_bound bound,
                                                      const data_batch *batch, bool coarse);
void bench_workload_close(bench_workload *s);

/* Enqueues the forward pass of a batch without dropout; it does not wait. */
CDL_MUST_USE cdl_status bench_workload_infer(bench_workload *s, const data_batch *batch);

/* Runs one optimizer step and waits for it. Returns its loss and the norm of the gradient. */
CDL_MUST_USE cdl_status bench_workload_step(bench_workload *s, const data_batch *batch, float *loss,
                                            float *norm);

/* The same, piece by piece even on a backend that records steps, so that an observer sees every
 * op. */
CDL_MUST_USE cdl_status bench_workload_step_in_pieces(bench_workload *s, const data_batch *batch,
                                                      float *loss, float *norm);

/* Opens `base`, an encoder without an adapter, and `count` runs [count] over its body, whose
 * adapters differ in their initial values. Each run is as bench_workload_open makes it, but steps
 * are those of all runs together. Close with bench_workload_close_joint, also after a failure. */
CDL_MUST_USE cdl_status bench_workload_open_joint(bench_workload *base, bench_workload *runs,
                                                  size_t count, cdl_queue *queue,
                                                  const bench_workload_model *model,
                                                  const char *method, encoder_batch_bound bound);
void bench_workload_close_joint(bench_workload *base, bench_workload *runs, size_t count);

/* Opens `base`, an encoder without an adapter, and over its body the runs below: of LoRA in the
 * `top` highest blocks or of the head alone, each with passes through all blocks and with passes
 * from kept states on. Close with bench_workload_close_top, also after a failure. */
enum { BENCH_TOP_WHOLE, BENCH_TOP_KEPT, BENCH_TOP_HEAD_WHOLE, BENCH_TOP_HEAD_KEPT, BENCH_TOP_RUNS };
CDL_MUST_USE cdl_status bench_workload_open_top(bench_workload *base, bench_workload *runs,
                                                cdl_queue *queue, const bench_workload_model *model,
                                                int64_t top, encoder_batch_bound bound);
void bench_workload_close_top(bench_workload *base, bench_workload *runs);
/* As bench_workload_step, for a run that may begin its passes from kept states: those that are
 * there are put into the batch within the step. */
CDL_MUST_USE cdl_status bench_workload_step_from(bench_workload *s, data_batch *batch, float *loss,
                                                 float *norm);

/* Runs one optimizer step of all runs in one pass, with this batch for each, and waits for it. */
CDL_MUST_USE cdl_status bench_workload_step_joint(bench_workload *runs, size_t count,
                                                  const data_batch *batch);
/* Checks the loss of each run's last step by its logits, in float64. Errors: NUMERIC if they
 * differ. */
CDL_MUST_USE cdl_status bench_workload_check_joint(bench_workload *runs, size_t count,
                                                   const data_batch *batch);

/* Checks the step in float64: the loss by the logits, and the whole backward pass by the slope of
 * the loss along the gradient, (L(θ + ε g/‖g‖) − L(θ − ε g/‖g‖)) / 2ε = ‖g‖. With `coarse`,
 * products are not in float32. Errors: NUMERIC if they differ. */
CDL_MUST_USE cdl_status bench_workload_check(bench_workload *s, const data_batch *batch,
                                             const char *method, bool coarse);

#endif
