/* How alike the layers of a model are that was fine-tuned whole, beside how alike their conversion
 * matrices W⁺ ΔW are, ΔW = W' − W. */
#ifndef CONDLORA_TOOLS_ANALYSIS_LAYER_SIMILARITY_H
#define CONDLORA_TOOLS_ANALYSIS_LAYER_SIMILARITY_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

/* A row of a weight, one output of a linear layer, is what CKA takes for an example. */
typedef struct {
  const analysis_adapted_target *target; /* borrowed; of the base */
  analysis_grid base, tuned, update;     /* CKA of W, of W', of ΔW */
  analysis_grid conversion;              /* CKA of W⁺ ΔW [in, in] */
  analysis_grid conversion_phi;          /* φ of its leading left singular vectors */
} analysis_layer_similarity_target;

typedef struct {
  analysis_layer_similarity_target *targets;
  size_t count;
} analysis_layer_similarity;

/* `base` and `tuned` have the same layers; both outlive the result. DATA where W' is W; USAGE where
 * i or j is more than a matrix has singular vectors. */
CDL_MUST_USE cdl_status analysis_layer_similarity_compute(cdl_queue *queue,
                                                          const analysis_adapted *base,
                                                          const analysis_adapted *tuned, int64_t i,
                                                          int64_t j,
                                                          analysis_layer_similarity *result);
void analysis_layer_similarity_free(analysis_layer_similarity *result);

/* What the layers give rather than what they are: linear CKA of all pairs of `states` [layers, total,
 * hidden], of which rows `rows` [count] of each are examples. DATA for less than two. */
CDL_MUST_USE cdl_status analysis_state_similarity(cdl_queue *queue, const float *states, int layers,
                                                  size_t total, int64_t hidden,
                                                  const uint32_t *rows, size_t count,
                                                  analysis_grid *grid);

#endif
