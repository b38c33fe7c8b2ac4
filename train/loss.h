/* The loss of a step, and the few numbers that travel with it: step record, gradient norm, clip
 * factor. */
#ifndef CONDLORA_TRAIN_LOSS_H
#define CONDLORA_TRAIN_LOSS_H

#include "train/batch.h"
#include "train/job.h"
#include "train/settings.h"

typedef struct {
  cdl_buffer *buffer;
  cdl_tensor step;               /* U8, a cdl_step_record */
  cdl_tensor loss, norm, factor; /* [1] */
  cdl_tensor labels;             /* [examples] I32, or F32 targets of a regression */
  cdl_tensor class_weight;       /* [labels], absent: all 1 */
  float *weights;                /* the same on the host; NULL */
  float label_smoothing;
  bool regression;
} cdl_loss;

/* For batches of at most `examples`. Errors: USAGE for class weights that do not fit the labels. */
CDL_MUST_USE cdl_status cdl_loss_create(cdl_loss *loss, const cdl_job *job,
                                        const cdl_settings *settings, size_t examples);
void cdl_loss_release(cdl_loss *loss);

/* Sets the loss to 0 and uploads `record` with the divisor of these rows' losses: their count, or
 * the sum of their classes' weights. */
void cdl_loss_begin_step(cdl_loss *loss, cdl_queue *queue, const cdl_dataset *dataset,
                         const uint32_t *rows, size_t count, cdl_step_record *record);
/* Adds a batch's share of the loss, and writes the gradient of its logits. */
void cdl_loss_forward_backward(cdl_loss *loss, cdl_queue *queue, const cdl_batch *batch,
                               cdl_tensor logits, cdl_tensor d_logits);
/* Waits for the step; its loss and the norm that clip_norm found. */
CDL_MUST_USE cdl_status cdl_loss_end_step(cdl_loss *loss, cdl_queue *queue, float *value,
                                          float *norm);

#endif
