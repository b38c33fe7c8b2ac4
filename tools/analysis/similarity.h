/* The similarity of two adapters of one base, layer by layer (Table 3): φ of A by right singular
 * vectors and of B and ΔW = B A by left ones, compared with φ of the first adapter's and random
 * vectors. */
#ifndef CONDLORA_TOOLS_ANALYSIS_SIMILARITY_H
#define CONDLORA_TOOLS_ANALYSIS_SIMILARITY_H

#include "tools/analysis/adapted.h"
#include "tools/analysis/subspace.h"

typedef enum {
  ANALYSIS_SIMILARITY_A,
  ANALYSIS_SIMILARITY_B,
  ANALYSIS_SIMILARITY_DELTA,
  ANALYSIS_SIMILARITY_COUNT
} analysis_similarity_kind;

const char *analysis_similarity_name(analysis_similarity_kind kind); /* "A", "B", "BA" */

typedef struct {
  int number; /* of the block, from 0 */
  double phi[ANALYSIS_SIMILARITY_COUNT], random[ANALYSIS_SIMILARITY_COUNT];
} analysis_similarity_layer;

typedef struct {
  char name[MODEL_NAME_BYTES]; /* of the target */
  analysis_similarity_layer *layers;
  int count;
  double phi[ANALYSIS_SIMILARITY_COUNT],
      random[ANALYSIS_SIMILARITY_COUNT];      /* means over the layers */
  double expected[ANALYSIS_SIMILARITY_COUNT]; /* for random vectors */
} analysis_similarity_target;

typedef struct {
  analysis_similarity_target *targets;
  size_t count;
  double phi[ANALYSIS_SIMILARITY_COUNT],
      random[ANALYSIS_SIMILARITY_COUNT]; /* means over all layers */
} analysis_similarity;

typedef struct {
  int64_t i, j;
  uint64_t seed;
} analysis_similarity_settings;

/* Compares the layers that both adapters have. Errors: DATA if there is none or the shapes of W
 * differ; USAGE if i or j exceeds a matrix's number of singular vectors. */
CDL_MUST_USE cdl_status analysis_similarity_compute(cdl_queue *queue, const analysis_adapted *first,
                                                    const analysis_adapted *second,
                                                    const analysis_similarity_settings *settings,
                                                    analysis_similarity *result);
void analysis_similarity_free(analysis_similarity *result);

#endif
