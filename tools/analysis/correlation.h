/* Does an update lie where the frozen weight is large (Section 2)? φ of the leading singular vectors
 * of W and of ΔW, beside φ of W's and random ones. */
#ifndef CONDLORA_TOOLS_ANALYSIS_CORRELATION_H
#define CONDLORA_TOOLS_ANALYSIS_CORRELATION_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef struct {
  double phi, random, expected; /* NaN where the side was not asked for */
} cdl_correlation_value;

typedef struct {
  const cdl_adapted_target *target;                /* borrowed */
  cdl_correlation_value (*layers)[CDL_SIDE_COUNT]; /* [target->count] */
  cdl_correlation_value mean[CDL_SIDE_COUNT];      /* over the layers */
} cdl_correlation_target;

typedef struct {
  cdl_correlation_target *targets;
  size_t count;
} cdl_correlation;

typedef struct {
  int64_t i, j; /* vectors of W, vectors of ΔW */
  bool sides[CDL_SIDE_COUNT];
  uint64_t seed;
} cdl_correlation_settings;

/* `adapted` outlives the result. USAGE where i or j is more than W has singular vectors. */
CDL_MUST_USE cdl_status cdl_correlation_compute(cdl_queue *queue, const cdl_adapted *adapted,
                                                const cdl_correlation_settings *settings,
                                                cdl_correlation *result);
void cdl_correlation_free(cdl_correlation *result);

#endif
