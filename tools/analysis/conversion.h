/* The conversion matrices of a trained adapter (Figure 1) turn a frozen weight W into A, B and B A.
 *   form reference   C_A = W⁻¹ Aᵀ [d, r]      C_B = W⁻¹ B [d, r]    C_BA = W⁻¹ B A [d, d]; square W
 *   form paper       C_A = (Wᵀ)⁺ Aᵀ [out, r]  C_B = W⁺ B [in, r]    C_BA = W⁺ B A [in, in]; any W
 * A CondLoRA adapter of the same orientation gives C_A = θAᵀ and C_B = θBᵀ. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CONVERSION_H
#define CONDLORA_TOOLS_ANALYSIS_CONVERSION_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef enum {
  ANALYSIS_CONVERSION_A,
  ANALYSIS_CONVERSION_B,
  ANALYSIS_CONVERSION_BA,
  ANALYSIS_CONVERSION_COUNT
} analysis_conversion_kind;

const char *analysis_conversion_name(analysis_conversion_kind kind); /* "A" */

/* ---- The matrices of one layer ---- */

typedef struct {
  analysis_matrix a, b; /* C_A and C_B; C_BA is `b` times the adapter's A */
  double condition;     /* σ_max / σ_min of W; infinite if W has not full rank */
} analysis_conversion_matrices;

/* Computes the matrices: W⁻¹ by LU; W⁺ by QR, or by SVD if W has not full rank. Free with
 * analysis_conversion_matrices_free. Errors: USAGE for form reference and a W that is not square;
 * NUMERIC if W is singular. */
CDL_MUST_USE cdl_status analysis_conversion_matrices_of(
    cdl_queue *queue, const analysis_matrix *weight, const analysis_matrix *a,
    const analysis_matrix *b, adapter_orientation form, analysis_conversion_matrices *m);
void analysis_conversion_matrices_free(analysis_conversion_matrices *m);
/* Computes the matrices of an adapted layer, by its index in the target; messages name both. */
CDL_MUST_USE cdl_status analysis_conversion_layer(cdl_queue *queue,
                                                  const analysis_adapted_target *target, int layer,
                                                  adapter_orientation form,
                                                  analysis_conversion_matrices *m);
/* Computes the spectrum of one of the three matrices; `a` is the layer's A. */
CDL_MUST_USE cdl_status analysis_conversion_spectrum(cdl_queue *queue,
                                                     const analysis_conversion_matrices *m,
                                                     const analysis_matrix *a,
                                                     analysis_conversion_kind kind,
                                                     analysis_spectrum *s);

/* ---- Figure 1 ---- */

typedef struct {
  adapter_orientation form;
  int64_t i, j;
  bool sides[ANALYSIS_SIDE_COUNT]; /* which singular vectors */
  uint64_t seed;                   /* seed of the random matrices */
  int workers; /* threads on the CPU; 0 means 1. The result does not depend on it */
} analysis_conversion_settings;

typedef struct {
  analysis_grid grid, random; /* random: of a matrix of normal numbers for each layer */
  double expected;            /* for random matrices: max(i, j) / n */
} analysis_conversion_figure;

typedef struct {
  const analysis_adapted_target *target; /* borrowed */
  double *conditions;                    /* [target->count] */
  analysis_conversion_figure figures[ANALYSIS_CONVERSION_COUNT]
                                    [ANALYSIS_SIDE_COUNT]; /* empty if not selected */
} analysis_conversion_target;

typedef struct {
  analysis_conversion_target *targets; /* [count] */
  size_t count;
} analysis_conversion;

/* Computes Figure 1. `adapted` must outlive the result. Logs a warning if i or j exceeds a matrix's
 * rank or separates equal singular values. Errors: USAGE if i or j exceeds a matrix's number of
 * singular vectors. */
CDL_MUST_USE cdl_status analysis_conversion_compute(cdl_queue *queue,
                                                    const analysis_adapted *adapted,
                                                    const analysis_conversion_settings *settings,
                                                    analysis_conversion *result);
void analysis_conversion_free(analysis_conversion *result);

#endif
