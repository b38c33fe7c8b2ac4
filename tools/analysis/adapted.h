/* The adapted layers of a model, target by target. */
#ifndef CONDLORA_TOOLS_ANALYSIS_ADAPTED_H
#define CONDLORA_TOOLS_ANALYSIS_ADAPTED_H

#include "model/adapter/adapter.h"
#include "tools/analysis/matrix.h"

/* Which layers are looked at. */
typedef struct {
  const char *const *targets; /* ends of paths inside a block; none: all that are adapted */
  size_t target_count;
  const int64_t *layers; /* numbers of blocks; none: all */
  size_t layer_count;
} analysis_selection;

/* One linear layer and what an adapter adds to it: W + s B A. */
typedef struct {
  int number;                   /* of its block, from 0 */
  const encoder_module *module; /* borrowed from the encoder */
  analysis_matrix a, b;         /* [rank, in], [out, rank]; none for layers of a bare model */
} analysis_adapted_layer;

/* All chosen layers of one kind, in the order of their blocks. */
typedef struct {
  char name[MODEL_NAME_BYTES]; /* "attention.self.query" */
  int64_t rows, columns;       /* of W [out, in] */
  analysis_adapted_layer *layers;
  int count;
} analysis_adapted_target;

typedef struct {
  analysis_adapted_target *targets; /* in the encoder's order; none is empty */
  size_t count;
} analysis_adapted;

/* Reads A_l and B_l of every chosen layer that is adapted now. USAGE for a target or layer that
 * matches nothing; UNSUPPORTED where nothing is adapted by a low-rank update. A gain of DoRA is no
 * part of B A: a notice says so. */
CDL_MUST_USE cdl_status analysis_adapted_read(model_encoder *encoder, cdl_queue *queue,
                                              const analysis_selection *selection,
                                              analysis_adapted *adapted);
/* The chosen layers alone, adapted or not; without targets the family's usual ones. */
CDL_MUST_USE cdl_status analysis_adapted_modules(model_encoder *encoder,
                                                 const analysis_selection *selection,
                                                 analysis_adapted *adapted);
void analysis_adapted_free(analysis_adapted *adapted);

/* Fills in the result of the target `number` of an analysis. */
typedef cdl_status analysis_of_target(void *work, const analysis_adapted_target *target,
                                      size_t number, void *result);
/* Calls `compute` with `work` for each target and its place in `results`, [adapted->count] of
 * `result_bytes` each. NULL for `results` counts as memory that is out. */
CDL_MUST_USE cdl_status analysis_each_target(const analysis_adapted *adapted, void *results,
                                             size_t result_bytes, analysis_of_target *compute,
                                             void *work);

/* The layers' numbers [count], to be freed by the caller; NULL when memory is out. */
int *analysis_layer_numbers(const analysis_adapted_target *target);

/* W of one layer, [out, in], to be freed by the caller. */
CDL_MUST_USE cdl_status analysis_adapted_weight(cdl_queue *queue,
                                                const analysis_adapted_layer *layer,
                                                analysis_matrix *weight);

#endif
