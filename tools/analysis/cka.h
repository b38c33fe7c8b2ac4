/* Linear centered kernel alignment. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CKA_H
#define CONDLORA_TOOLS_ANALYSIS_CKA_H

#include "tools/analysis/subspace.h"

/* Linear CKA (Kornblith et al. 2019) of all pairs of `matrices` [count], whose rows are the examples,
 * as many in each:
 *   ‖X̃ᵀ Ỹ‖² / (‖X̃ᵀ X̃‖ ‖Ỹᵀ Ỹ‖), X̃ being X less the mean of its rows
 * NaN where all rows of a matrix are alike. The matrices are used up: what is in them afterwards is to
 * be freed and nothing else. */
CDL_MUST_USE cdl_status analysis_cka(cdl_queue *queue, analysis_matrix *matrices, int count,
                                     analysis_grid *grid);

#endif
