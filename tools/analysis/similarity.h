/* How similar two adapters of one base are, layer by layer (Table 3): φ of A by right singular
 * vectors, of B and of ΔW = B A by left ones, beside φ of the first adapter's and random vectors. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SIMILARITY_H
#define CONDLORA_TOOLS_ANALYSIS_SIMILARITY_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef enum {
  CDL_SIMILARITY_A,
  CDL_SIMILARITY_B,
  CDL_SIMILARITY_DELTA,
  CDL_SIMILARITY_COUNT
} cdl_similarity_kind;

const char *cdl_similarity_name(cdl_similarity_kind kind); /* "A", "B", "BA" */

typedef struct {
  int number; /* of the block, from 0 */
  double phi[CDL_SIMILARITY_COUNT], random[CDL_SIMILARITY_COUNT];
} cdl_similarity_layer;

typedef struct {
  char name[CDL_NAME_BYTES]; /* of the target */
  cdl_similarity_layer *layers;
  int count;
  double phi[CDL_SIMILARITY_COUNT], random[CDL_SIMILARITY_COUNT]; /* means over the layers */
  double expected[CDL_SIMILARITY_COUNT];                          /* of random ones */
} cdl_similarity_target;

typedef struct {
  cdl_similarity_target *targets;
  size_t count;
  double phi[CDL_SIMILARITY_COUNT], random[CDL_SIMILARITY_COUNT]; /* means over all layers */
} cdl_similarity;

typedef struct {
  int64_t i, j;
  uint64_t seed;
} cdl_similarity_settings;

/* Of the layers that both have. DATA where there is none, or where shapes of W differ; USAGE where i
 * or j is more than a matrix has singular vectors. */
CDL_MUST_USE cdl_status cdl_similarity_compute(cdl_queue *queue, const cdl_adapted *first,
                                               const cdl_adapted *second,
                                               const cdl_similarity_settings *settings,
                                               cdl_similarity *result);
void cdl_similarity_free(cdl_similarity *result);

#endif
