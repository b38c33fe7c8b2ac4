/* Linear centered kernel alignment. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CKA_H
#define CONDLORA_TOOLS_ANALYSIS_CKA_H

#include "tools/analysis/subspace.h"

/* Computes linear CKA (Kornblith et al. 2019) of all pairs of `matrices` [count]. Rows are
 * examples, and all matrices have the same number of them:
 *   ‖X̃ᵀ Ỹ‖² / (‖X̃ᵀ X̃‖ ‖Ỹᵀ Ỹ‖), where X̃ is X minus the mean of its rows
 * The value is NaN if all rows of a matrix are equal. The matrices are overwritten; the caller can
 * only free them afterwards. */
CDL_MUST_USE cdl_status analysis_cka(cdl_queue *queue, analysis_matrix *matrices, int count,
                                     analysis_grid *grid);

#endif
