/* The spectra of the conversion matrices, and how much of them one matrix shared by all layers
 * explains. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SHARING_H
#define CONDLORA_TOOLS_ANALYSIS_SHARING_H

#include "tools/analysis/conversion.h"

typedef struct {
  analysis_matrix sigma; /* [1, k] descending */
  int64_t rank;          /* numerical */
  double
      effective_rank; /* exp(−Σ p log p), p = σ / Σ σ (Roy and Vetterli 2007); 0 if all σ are 0 */
  double norm;        /* Frobenius */
} analysis_sharing_layer;

typedef struct {
  analysis_sharing_layer *layers; /* [target->count] */
  analysis_grid cosines;          /* ⟨M_l, M_k⟩ / (‖M_l‖ ‖M_k‖) */
  /* How much one matrix explains. `same` is the share of Σ ‖M_l‖² that the best common matrix M
   * explains; `scaled` is the same for M_l / ‖M_l‖ and the best c_l M. For L large random matrices
   * both are 1/L. NaN if a matrix is zero or the layers have different ranks. */
  double same, scaled;
  double expected; /* 1/L */
} analysis_sharing_figure;

typedef struct {
  const analysis_adapted_target *target; /* borrowed */
  double *conditions;                    /* [target->count] condition of W */
  analysis_sharing_figure figures[ANALYSIS_CONVERSION_COUNT];
} analysis_sharing_target;

typedef struct {
  analysis_sharing_target *targets;
  size_t count;
} analysis_sharing;

/* `adapted` must outlive the result. Errors: those of analysis_conversion_matrices_of. */
CDL_MUST_USE cdl_status analysis_sharing_compute(cdl_queue *queue, const analysis_adapted *adapted,
                                                 adapter_orientation form,
                                                 analysis_sharing *result);
void analysis_sharing_free(analysis_sharing *result);

#endif
