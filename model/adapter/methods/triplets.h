/* What AdaLoRA and its conditional form share: layers whose update is P diag(Λ) Q, rank by rank a
 * triplet of a column, a number and a row; a penalty that keeps P and Q near orthonormal; the
 * importance of each triplet; and the choice of those that stay. */
#ifndef CONDLORA_MODEL_ADAPTER_METHODS_TRIPLETS_H
#define CONDLORA_MODEL_ADAPTER_METHODS_TRIPLETS_H

#include "model/adapter/io.h"
#include "model/adapter/methods/rank_budget.h"
#include "model/adapter/state.h"

/* In the order of triplet_options. */
enum {
  TRIPLET_INIT_R,
  TRIPLET_TARGET_R,
  TRIPLET_TINIT,
  TRIPLET_TFINAL,
  TRIPLET_DELTA_T,
  TRIPLET_BETA1,
  TRIPLET_BETA2,
  TRIPLET_ORTH_REG_WEIGHT
};
extern const base_option triplet_options[];
extern const char *const triplet_extra_keys[];
extern const char triplet_lack_reason[];

/* adapter_method's. */
float triplets_scale(const adapter_settings *settings, double alpha);
extern const adapter_keys triplet_keys;

typedef enum { TRIPLET_P, TRIPLET_LAMBDA, TRIPLET_Q, TRIPLET_PARTS } triplet_part;

/* Layers of equal shape and rank: P [count, out, rank], Λ [count, rank, 1], Q [count, rank, in]. */
typedef struct {
  const size_t *modules; /* [count] places among the adapter's modules */
  int count;
  int64_t rank;                       /* 0: nothing of these layers is left */
  cdl_tensor value[TRIPLET_PARTS];    /* the method's to set, Λ before the mask */
  cdl_tensor gradient[TRIPLET_PARTS]; /* likewise */
  cdl_tensor sensitivity[TRIPLET_PARTS], uncertainty[TRIPLET_PARTS];
  cdl_tensor mask;   /* [count, rank, 1]: 1, or 0 where the triplet was not chosen */
  size_t first_mask; /* its place among all masks */
  /* Where Λ [count, rank] lies in a snapshot's values, if it is a parameter; else -1. A snapshot
   * keeps what is not zero there: chosen or not, it was part of the model. */
  int64_t stored_lambda;
} triplet_batch;

/* An adapter's own_state, or the beginning of it. */
typedef struct {
  triplet_batch *batches; /* [batch_count] */
  size_t batch_count;
  size_t *batch_modules; /* what the batches' `modules` point into */
  size_t mask_count;     /* triplets of all layers */
  /* Of each module, which of init_r ranks its parameters are: a folder's pattern; [module_count, init_r].
   */
  bool *stored;
  const char *pattern_ending; /* of the names in rank_pattern, behind a layer's path */
  bool has_pattern;           /* read from a folder */
  int64_t total_steps;        /* 0: unknown */
  rank_budget budget;         /* of no steps: ranks stay */

  cdl_buffer *buffer;
  /* [n]: sensitivity and uncertainty of all batches, then all masks, then 1 where a choice was made.
   * What a resumed run must find. */
  cdl_tensor state;
  int64_t first_mask; /* where the masks begin in `state` */
  cdl_tensor work, work_rows, scores, gram, identity, norm, least_norm;
} triplets;

/* Ranks, scales and what a folder's rank_pattern says of them. */
CDL_MUST_USE cdl_status triplets_prepare(model_adapter *adapter, triplets *t);
/* With the batches' modules and ranks set: memory. Then values and gradients are the method's to
 * set. */
CDL_MUST_USE cdl_status triplets_allocate(model_adapter *adapter, cdl_queue *queue, triplets *t);
void triplets_release(triplets *t);

/* Rank-wise products, overwritten: out [count, rank, 1] = the row sums of x ∘ y, both [count, rank,
 * in]; by way of `work`. With `accumulate` added to out. */
void triplets_row_dots(const triplets *t, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                       cdl_tensor y, bool accumulate);
/* out = x ∘ scale or, with `accumulate`, out + x ∘ scale: x [count, rank, in], scale [count, rank,
 * 1]. */
void triplets_scale_rows(const triplets *t, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                         cdl_tensor scale, bool accumulate);
/* w / N Σ ‖X Xᵀ − I‖_F over the N matrices P and Q: its value added to `loss` [1] where that is
 * present, its gradients to the batches' with `gradients`. */
void triplets_penalty(const model_adapter *adapter, triplets *t, cdl_queue *queue, cdl_tensor loss,
                      bool gradients);

/* Functions for the method's table. */
cdl_status triplets_begin_run(model_adapter *adapter, cdl_queue *queue, int64_t steps);
cdl_tensor triplets_state(model_adapter *adapter, size_t index);
json_t *triplets_extra(const model_adapter *adapter, const adapter_snapshot *snapshot);
/* Importance, and at some steps a choice: `masked` says that the masks are to be applied to Λ. The
 * gradients count times `factor` [1]. */
CDL_MUST_USE cdl_status triplets_after_step(model_adapter *adapter, triplets *t, cdl_queue *queue,
                                            int64_t step, cdl_tensor factor, bool *masked);

/* Whether a snapshot was taken after a choice, and which triplets of a batch it kept. */
bool triplets_chosen(const triplets *t, const adapter_snapshot *snapshot);
bool triplets_kept(const triplets *t, const adapter_snapshot *snapshot, const triplet_batch *batch,
                   int layer, int64_t rank);

#endif
