/* The adapted layers of a model, grouped by target. */
#ifndef CONDLORA_TOOLS_ANALYSIS_ADAPTED_H
#define CONDLORA_TOOLS_ANALYSIS_ADAPTED_H

#include "model/adapter/adapter.h"
#include "tools/analysis/matrix.h"

/* The layers to analyze. */
typedef struct {
  const char *const *targets; /* ends of paths in a block; none: all adapted layers */
  size_t target_count;
  const int64_t *layers; /* numbers of blocks; none: all */
  size_t layer_count;
} analysis_selection;

/* One linear layer and what an adapter adds to it: W + s B A. */
typedef struct {
  int number;                   /* number of its block, from 0 */
  const encoder_module *module; /* borrowed from the encoder */
  analysis_matrix a, b;         /* [rank, in], [out, rank]; empty without an adapter */
} analysis_adapted_layer;

/* All chosen layers of one kind, in the order of their blocks. */
typedef struct {
  char name[MODEL_NAME_BYTES]; /* "attention.self.query" */
  int64_t rows, columns;       /* of W [out, in] */
  analysis_adapted_layer *layers;
  int count;
} analysis_adapted_target;

typedef struct {
  analysis_adapted_target *targets; /* in the encoder's order; each has at least one layer */
  size_t count;
} analysis_adapted;

/* Reads A_l and B_l of every chosen layer that is adapted. Free with analysis_adapted_free. Logs a
 * notice if DoRA's magnitudes are ignored, which are no part of B A. Errors: USAGE for a target or
 * layer that matches nothing; UNSUPPORTED if no layer has a low-rank update. */
CDL_MUST_USE cdl_status analysis_adapted_read(model_encoder *encoder, cdl_queue *queue,
                                              const analysis_selection *selection,
                                              analysis_adapted *adapted);
/* Lists the chosen layers without A and B, whether adapted or not; without targets, the family's
 * default ones. */
CDL_MUST_USE cdl_status analysis_adapted_modules(model_encoder *encoder,
                                                 const analysis_selection *selection,
                                                 analysis_adapted *adapted);
void analysis_adapted_free(analysis_adapted *adapted);

/* Computes the result of target `number` of an analysis. */
typedef cdl_status analysis_of_target(void *work, const analysis_adapted_target *target,
                                      size_t number, void *result);
/* Calls `compute` with `work` for each target and its element of `results`, [adapted->count] of
 * `result_bytes` each. NULL for `results` is reported as MEMORY. */
CDL_MUST_USE cdl_status analysis_each_target(const analysis_adapted *adapted, void *results,
                                             size_t result_bytes, analysis_of_target *compute,
                                             void *work);

/* Returns the block numbers of the layers, [count], which the caller frees; NULL when memory is
 * out. */
int *analysis_layer_numbers(const analysis_adapted_target *target);

/* Reads W of one layer, [out, in]; the caller frees it. */
CDL_MUST_USE cdl_status analysis_adapted_weight(cdl_queue *queue,
                                                const analysis_adapted_layer *layer,
                                                analysis_matrix *weight);

#endif
