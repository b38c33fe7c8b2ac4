/* Does an update lie where the frozen weight is large (Section 2)? φ of the leading singular vectors
 * of W and of ΔW, beside φ of W's and random ones. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CORRELATION_H
#define CONDLORA_TOOLS_ANALYSIS_CORRELATION_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef struct {
  double phi, random, expected; /* NaN where the side was not asked for */
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
  int64_t i, j; /* vectors of W, vectors of ΔW */
  bool sides[ANALYSIS_SIDE_COUNT];
  uint64_t seed;
} analysis_correlation_settings;

/* `adapted` outlives the result. USAGE where i or j is more than W has singular vectors. */
CDL_MUST_USE cdl_status analysis_correlation_compute(cdl_queue *queue,
                                                     const analysis_adapted *adapted,
                                                     const analysis_correlation_settings *settings,
                                                     analysis_correlation *result);
void analysis_correlation_free(analysis_correlation *result);

#endif
