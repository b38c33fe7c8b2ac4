/* Parts that AdaLoRA and CondAdaLoRA share. The update of a layer is P diag(Λ) Q; a triplet is one
 * column of P, one number of Λ and one row of Q. The parts are a penalty that keeps P and Q nearly
 * orthonormal, the importance of each triplet, and the choice of the triplets that are kept. */
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
  const size_t *modules; /* [count] indices among the adapter's modules */
  int count;
  int64_t rank;                       /* 0: no triplet of these layers is left */
  cdl_tensor value[TRIPLET_PARTS];    /* set by the method; Λ before the mask */
  cdl_tensor gradient[TRIPLET_PARTS]; /* set by the method */
  cdl_tensor sensitivity[TRIPLET_PARTS], uncertainty[TRIPLET_PARTS];
  cdl_tensor mask;   /* [count, rank, 1]: 1, or 0 if the triplet was not chosen */
  size_t first_mask; /* index of the first one among all masks */
  /* Offset of Λ [count, rank] in a snapshot's values if it is a parameter; else -1. A snapshot
   * keeps its nonzero values: they were part of the model, chosen or not. */
  int64_t stored_lambda;
} triplet_batch;

/* The own_state of an adapter, or its first member. */
typedef struct {
  triplet_batch *batches; /* [batch_count] */
  size_t batch_count;
  size_t *batch_modules; /* array for the batches' `modules` */
  size_t mask_count;     /* number of triplets in all layers */
  /* [module_count, init_r] which of the init_r ranks each module's parameters are, from a folder's
   * pattern. */
  bool *stored;
  const char *pattern_ending; /* suffix of the names in rank_pattern, after a layer's path */
  bool has_pattern;           /* whether a folder gave a pattern */
  int64_t total_steps;        /* 0: unknown */
  rank_budget budget;         /* without steps: ranks do not change */

  cdl_buffer *buffer;
  /* [n]: sensitivity and uncertainty of all batches, then all masks, then 1 if a choice was made. A
   * resumed run needs it. */
  cdl_tensor state;
  int64_t first_mask; /* offset of the masks in `state` */
  cdl_tensor work, work_rows, scores, gram, identity, norm, least_norm;
} triplets;

/* Sets ranks and scales, and reads the folder's rank_pattern. */
CDL_MUST_USE cdl_status triplets_prepare(model_adapter *adapter, triplets *t);
/* Allocates memory once the batches' modules and ranks are set. The method sets values and
 * gradients afterwards. */
CDL_MUST_USE cdl_status triplets_allocate(model_adapter *adapter, cdl_queue *queue, triplets *t);
void triplets_release(triplets *t);

/* out [count, rank, 1] = row sums of x ∘ y, both [count, rank, in], or added to out with
 * `accumulate`. Overwrites `work`. */
void triplets_row_dots(const triplets *t, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                       cdl_tensor y, bool accumulate);
/* out = x ∘ scale, or out + x ∘ scale with `accumulate`; x is [count, rank, in], scale [count,
 * rank, 1]. */
void triplets_scale_rows(const triplets *t, cdl_queue *queue, cdl_tensor out, cdl_tensor x,
                         cdl_tensor scale, bool accumulate);
/* The penalty w / N Σ ‖X Xᵀ − I‖_F over the N matrices P and Q. Adds its value to `loss` [1] if
 * that is present, and its gradients to those of the batches with `gradients`. */
void triplets_penalty(const model_adapter *adapter, triplets *t, cdl_queue *queue, cdl_tensor loss,
                      bool gradients);

/* Functions for the method's table. */
cdl_status triplets_begin_run(model_adapter *adapter, cdl_queue *queue, int64_t steps);
cdl_tensor triplets_state(model_adapter *adapter, size_t index);
json_t *triplets_extra(const model_adapter *adapter, const adapter_snapshot *snapshot);
/* Updates the importance and, at some steps, chooses. `masked` says that the masks must be applied
 * to Λ. The gradients are multiplied by `factor` [1]. */
CDL_MUST_USE cdl_status triplets_after_step(model_adapter *adapter, triplets *t, cdl_queue *queue,
                                            int64_t step, cdl_tensor factor, bool *masked);

/* Returns whether a snapshot was taken after a choice, and which triplets of a batch it kept. */
bool triplets_chosen(const triplets *t, const adapter_snapshot *snapshot);
bool triplets_kept(const triplets *t, const adapter_snapshot *snapshot, const triplet_batch *batch,
                   int layer, int64_t rank);

#endif
