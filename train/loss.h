/* The loss of a step, and the small tensors beside it: step record, gradient norm, clip factor. */
#ifndef CONDLORA_TRAIN_LOSS_H
#define CONDLORA_TRAIN_LOSS_H

#include "train/data/batch.h"
#include "train/session.h"
#include "train/settings.h"
#include "train/shards.h"

typedef struct {
  cdl_buffer *buffer;
  cdl_tensor step;               /* U8, a cdl_step_record */
  cdl_tensor loss, norm, factor; /* [1] */
  cdl_tensor labels;             /* [examples] I32 classes, or [examples, outputs] F32 targets */
  cdl_tensor class_weight;       /* [labels]; absent: all 1 */
  float *weights;                /* a copy on the host; NULL: all 1 */
  float label_smoothing;
  cdl_problem problem;
  int64_t outputs;
} train_loss;

/* Creates it for batches of at most `examples`. Errors: USAGE for class weights that do not fit the
 * labels. */
CDL_MUST_USE cdl_status train_loss_create(train_loss *loss, const train_session *session,
                                          const train_settings *settings, size_t examples);
void train_loss_release(train_loss *loss);

/* Returns the factor of the losses of these rows: 1 / their number, or 1 / the sum of their class
 * weights; of several labels or numbers, 1 / the number of all of them, as in Transformers. */
float train_loss_scale(const train_loss *loss, const cdl_dataset *dataset, const uint32_t *rows,
                       size_t count);
/* Uploads a batch's labels or targets. */
void train_loss_load_batch(train_loss *loss, cdl_queue *queue, const data_batch *batch);
/* Adds the loss of the loaded examples, by shard if there are several, and writes the gradient of
 * their logits. */
void train_loss_forward_backward(train_loss *loss, cdl_queue *queue, cdl_tensor logits,
                                 cdl_tensor d_logits, const train_shards *shards);

#endif
