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
  CDL_CONVERSION_A,
  CDL_CONVERSION_B,
  CDL_CONVERSION_BA,
  CDL_CONVERSION_COUNT
} cdl_conversion_kind;

const char *cdl_conversion_name(cdl_conversion_kind kind); /* "A" */

/* ---- The matrices of one layer ---- */

typedef struct {
  cdl_matrix a, b;  /* C_A and C_B; C_BA is b times the adapter's A */
  double condition; /* σ_max / σ_min of W; infinite where W has no full rank */
} cdl_conversion_matrices;

/* W⁻¹ by LU; W⁺ by QR, or by SVD where W has no full rank. USAGE for form reference and a W that is not
 * square; NUMERIC where it is singular. */
CDL_MUST_USE cdl_status cdl_conversion_matrices_of(cdl_queue *queue, const cdl_matrix *weight,
                                                   const cdl_matrix *a, const cdl_matrix *b,
                                                   cdl_orientation form,
                                                   cdl_conversion_matrices *m);
void cdl_conversion_matrices_free(cdl_conversion_matrices *m);
/* Of an adapted layer, counted within its target; failures name both. */
CDL_MUST_USE cdl_status cdl_conversion_layer(cdl_queue *queue, const cdl_adapted_target *target,
                                             int layer, cdl_orientation form,
                                             cdl_conversion_matrices *m);
/* Of one of the three matrices; `a` is the layer's A. */
CDL_MUST_USE cdl_status cdl_conversion_spectrum(cdl_queue *queue, const cdl_conversion_matrices *m,
                                                const cdl_matrix *a, cdl_conversion_kind kind,
                                                cdl_spectrum *s);

/* ---- Figure 1 ---- */

typedef struct {
  cdl_orientation form;
  int64_t i, j;
  bool sides[CDL_SIDE_COUNT]; /* which singular vectors */
  uint64_t seed;              /* of the random matrices */
  int workers;                /* threads on the CPU; 0: one. The result does not depend on it */
} cdl_conversion_settings;

typedef struct {
  cdl_grid grid, random; /* random: of a matrix of normal numbers of its own for each layer */
  double expected;       /* of random ones: max(i, j) / n */
} cdl_conversion_figure;

typedef struct {
  const cdl_adapted_target *target;                                    /* borrowed */
  double *conditions;                                                  /* [target->count] */
  cdl_conversion_figure figures[CDL_CONVERSION_COUNT][CDL_SIDE_COUNT]; /* empty: not asked for */
} cdl_conversion_target;

typedef struct {
  cdl_conversion_target *targets; /* [count] */
  size_t count;
} cdl_conversion;

/* `adapted` outlives the result. USAGE where i or j is more than a matrix has singular vectors;
 * where they pass its rank, or split equal singular values, a warning. */
CDL_MUST_USE cdl_status cdl_conversion_compute(cdl_queue *queue, const cdl_adapted *adapted,
                                               const cdl_conversion_settings *settings,
                                               cdl_conversion *result);
void cdl_conversion_free(cdl_conversion *result);

#endif
