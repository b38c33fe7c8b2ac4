/* A bias of attention by the distance of two tokens, from a table [buckets, heads] that all blocks
 * share: T5's buckets (Raffel et al. 2020, section 2.1) as MPNet has them.
 *
 * A key before its query, or at the same place, has one of the first 16 buckets, a key behind it
 * has one of the last 16. In each half the first 8 buckets are single distances, and each of the
 * others is a range that begins √2 times as far away as the one before. The last has no end. */
#ifndef CONDLORA_MODEL_ENCODER_DISTANCE_H
#define CONDLORA_MODEL_ENCODER_DISTANCE_H

#include "condlora/backend.h"
#include "model/encoder/parameter.h"

/* From distance r on, on both sides, the bucket is the same. */
enum { ENCODER_DISTANCE_RADIUS = 91, ENCODER_DISTANCES = 2 * ENCODER_DISTANCE_RADIUS + 1 };

/* Returns the bucket of a key that is `distance` places behind its query. */
int32_t encoder_distance_bucket(int64_t distance);

/* Which row of the table each distance has, and the plan by which a gradient is added to the rows,
 * on the device. */
typedef struct {
  cdl_tensor bucket;                 /* [distances] */
  cdl_tensor order, segment, target; /* see scatter_add_rows */
} encoder_distances;

/* Makes the buffer and uploads it. The caller destroys it. */
CDL_MUST_USE cdl_status encoder_distances_create(cdl_queue *queue, cdl_buffer **buffer,
                                                 encoder_distances *distances);

/* What attention reads in a pass: [heads, distances], through rows [distances, heads]. */
void encoder_distance_bias(cdl_queue *queue, const encoder_distances *distances, cdl_tensor table,
                           cdl_tensor rows, cdl_tensor bias);
/* Adds the gradient of what attention read to the table's. */
void encoder_distance_bias_grad(cdl_queue *queue, const encoder_distances *distances,
                                cdl_tensor d_table, cdl_tensor rows, cdl_tensor d_bias);

#endif
