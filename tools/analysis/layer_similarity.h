/* The similarity of the layers of a fully fine-tuned model, compared with the similarity of their
 * conversion matrices W⁺ ΔW, where ΔW = W' − W. */
#ifndef CONDLORA_TOOLS_ANALYSIS_LAYER_SIMILARITY_H
#define CONDLORA_TOOLS_ANALYSIS_LAYER_SIMILARITY_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

/* CKA takes each row of a weight, one output of the linear layer, as an example. */
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

/* `base` and `tuned` must have the same layers and outlive the result. Errors: DATA if W' equals W;
 * USAGE if i or j exceeds a matrix's number of singular vectors. */
CDL_MUST_USE cdl_status analysis_layer_similarity_compute(cdl_queue *queue,
                                                          const analysis_adapted *base,
                                                          const analysis_adapted *tuned, int64_t i,
                                                          int64_t j,
                                                          analysis_layer_similarity *result);
void analysis_layer_similarity_free(analysis_layer_similarity *result);

/* Compares the layers' outputs: linear CKA of all pairs of `states` [layers, total, hidden], with
 * the rows `rows` [count] of each as examples. Errors: DATA for fewer than two. */
CDL_MUST_USE cdl_status analysis_state_similarity(cdl_queue *queue, const float *states, int layers,
                                                  size_t total, int64_t hidden,
                                                  const uint32_t *rows, size_t count,
                                                  analysis_grid *grid);

#endif
