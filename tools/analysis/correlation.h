/* Tests whether an update lies where the frozen weight is large (Section 2): φ of the leading
 * singular vectors of W and of ΔW, compared with φ of W's and random vectors. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CORRELATION_H
#define CONDLORA_TOOLS_ANALYSIS_CORRELATION_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef struct {
  double phi, random, expected; /* NaN if the side was not selected */
} analysis_correlation_value;

typedef struct {
  const analysis_adapted_target *target;                     /* borrowed */
  analysis_correlation_value (*layers)[ANALYSIS_SIDE_COUNT]; /* [target->count] */
  analysis_correlation_value mean[ANALYSIS_SIDE_COUNT];      /* over the layers */
} analysis_correlation_target;

typedef struct {
  analysis_correlation_target *targets;
  size_t count;
} analysis_correlation;

typedef struct {
  int64_t i, j; /* numbers of vectors of W and of ΔW */
  bool sides[ANALYSIS_SIDE_COUNT];
  uint64_t seed;
} analysis_correlation_settings;

/* `adapted` must outlive the result. Errors: USAGE if i or j exceeds W's number of singular
 * vectors. */
CDL_MUST_USE cdl_status analysis_correlation_compute(cdl_queue *queue,
                                                     const analysis_adapted *adapted,
                                                     const analysis_correlation_settings *settings,
                                                     analysis_correlation *result);
void analysis_correlation_free(analysis_correlation *result);

#endif
