/* How alike the layers of a model are that was fine-tuned whole, beside how alike their conversion
 * matrices W⁺ ΔW are, ΔW = W' − W. */
#ifndef CONDLORA_ANALYSIS_LAYER_SIMILARITY_H
#define CONDLORA_ANALYSIS_LAYER_SIMILARITY_H

#include "analysis/adapted.h"
#include "analysis/subspace.h"

/* Linear CKA (Kornblith et al. 2019) of matrices whose rows are the examples:
 *   ‖X̃ᵀ Ỹ‖² / (‖X̃ᵀ X̃‖ ‖Ỹᵀ Ỹ‖), X̃ being X less the mean of its rows
 * Here a row is one output of a linear layer, and its columns are the inputs' weights. */
typedef struct {
  const cdl_adapted_target *target; /* borrowed; of the base */
  cdl_grid base, tuned, update;     /* CKA of W, of W', of ΔW */
  cdl_grid conversion;              /* CKA of W⁺ ΔW [in, in] */
  cdl_grid conversion_phi;          /* φ of its leading left singular vectors */
} cdl_layer_similarity_target;

typedef struct {
  cdl_layer_similarity_target *targets;
  size_t count;
} cdl_layer_similarity;

/* `base` and `tuned` have the same layers; both outlive the result. DATA where W' is W; USAGE where
 * i or j is more than a matrix has singular vectors. */
CDL_MUST_USE cdl_status cdl_layer_similarity_compute(cdl_queue *queue, const cdl_adapted *base,
                                                     const cdl_adapted *tuned, int64_t i, int64_t j,
                                                     cdl_layer_similarity *result);
void cdl_layer_similarity_free(cdl_layer_similarity *result);

#endif
