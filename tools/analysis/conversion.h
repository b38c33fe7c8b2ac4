/* The conversion matrices of a trained adapter (Figure 1): what turns a frozen weight W into what
 * was trained upon it.
 *   form reference   C_A = W⁻¹ Aᵀ [d, r]       C_B = W⁻¹ B [d, r]     C_BA = W⁻¹ B A [d, d]; square W
 *   form paper       C_A = (Wᵀ)⁺ Aᵀ [out, r]   C_B = W⁺ B [in, r]     C_BA = W⁺ B A [in, in]; any W
 * A CondLoRA adapter of the same orientation gives back C_A = θAᵀ and C_B = θBᵀ. */
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
  analysis_matrix a, b; /* C_A and C_B; C_BA is b times the adapter's A */
  double condition;     /* σ_max / σ_min of W; infinite where W has no full rank */
} analysis_conversion_matrices;

/* W⁻¹ by LU; W⁺ by QR, or by SVD where W has no full rank. USAGE for form reference and a W that is not
 * square; NUMERIC where it is singular. */
CDL_MUST_USE cdl_status analysis_conversion_matrices_of(
    cdl_queue *queue, const analysis_matrix *weight, const analysis_matrix *a,
    const analysis_matrix *b, adapter_orientation form, analysis_conversion_matrices *m);
void analysis_conversion_matrices_free(analysis_conversion_matrices *m);
/* Of an adapted layer, counted within its target; failures name both. */
CDL_MUST_USE cdl_status analysis_conversion_layer(cdl_queue *queue,
                                                  const analysis_adapted_target *target, int layer,
                                                  adapter_orientation form,
                                                  analysis_conversion_matrices *m);
/* Of one of the three matrices; `a` is the layer's A. */
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
  uint64_t seed;                   /* of the random matrices */
  int workers; /* threads on the CPU; 0: one. The result does not depend on it */
} analysis_conversion_settings;

typedef struct {
  analysis_grid grid, random; /* random: of a matrix of normal numbers of its own for each layer */
  double expected;            /* of random ones: max(i, j) / n */
} analysis_conversion_figure;

typedef struct {
  const analysis_adapted_target *target; /* borrowed */
  double *conditions;                    /* [target->count] */
  analysis_conversion_figure figures[ANALYSIS_CONVERSION_COUNT]
                                    [ANALYSIS_SIDE_COUNT]; /* empty: not asked for */
} analysis_conversion_target;

typedef struct {
  analysis_conversion_target *targets; /* [count] */
  size_t count;
} analysis_conversion;

/* `adapted` outlives the result. USAGE where i or j is more than a matrix has singular vectors;
 * where they pass its rank, or split equal singular values, a warning. */
CDL_MUST_USE cdl_status analysis_conversion_compute(cdl_queue *queue,
                                                    const analysis_adapted *adapted,
                                                    const analysis_conversion_settings *settings,
                                                    analysis_conversion *result);
void analysis_conversion_free(analysis_conversion *result);

#endif
