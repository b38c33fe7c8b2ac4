#include "model/encoder/distance.h"

#include "model/files/config.h"

enum {
  HALF = MODEL_DISTANCE_BUCKETS / 2,
  EXACT = HALF / 2, /* distances with a bucket of their own */
  TABLES = 2 * ENCODER_DISTANCES + 2 * MODEL_DISTANCE_BUCKETS + 1
};

int32_t encoder_distance_bucket(int64_t distance)
{
  const int64_t n = distance < 0 ? -distance : distance;
  int32_t bucket = n < EXACT ? (int32_t)n : EXACT;
  /* EXACT + ⌊2 log₂(n / EXACT)⌋, since the last range begins at 16 EXACT / √2 */
  for (int64_t square = 2 * EXACT * EXACT; n >= EXACT && bucket < HALF - 1 && n * n >= square;
       square *= 2)
    bucket++;
  return distance > 0 ? bucket + HALF : bucket;
}

cdl_status encoder_distances_create(cdl_queue *queue, cdl_buffer **buffer,
                                    encoder_distances *distances)
{
  int32_t host[TABLES];
  CDL_TRY(cdl_buffer_create(cdl_queue_backend(queue), sizeof host, buffer));
  int32_t *bucket = host, *order = bucket + ENCODER_DISTANCES, *segment = order + ENCODER_DISTANCES,
          *target = segment + MODEL_DISTANCE_BUCKETS + 1;
  int32_t segments = 0, ordered = 0;
  for (int32_t d = 0; d < ENCODER_DISTANCES; d++)
    bucket[d] = encoder_distance_bucket(d - ENCODER_DISTANCE_RADIUS);
  for (int32_t b = 0; b < MODEL_DISTANCE_BUCKETS; b++) {
    segment[segments] = ordered;
    for (int32_t d = 0; d < ENCODER_DISTANCES; d++)
      if (bucket[d] == b)
        order[ordered++] = d;
    if (ordered > segment[segments]) /* no distance has bucket HALF */
      target[segments++] = b;
  }
  segment[segments] = ordered;
  for (int32_t s = segments; s < MODEL_DISTANCE_BUCKETS; s++) { /* unread */
    segment[s + 1] = ordered;
    target[s] = 0;
  }
  const cdl_tensor all = cdl_tensor_1d(*buffer, CDL_DTYPE_I32, 0, TABLES);
  *distances = (encoder_distances){
      .bucket = cdl_tensor_columns(all, 0, ENCODER_DISTANCES),
      .order = cdl_tensor_columns(all, order - host, ENCODER_DISTANCES),
      .segment = cdl_tensor_columns(all, segment - host, segments + 1),
      .target = cdl_tensor_columns(all, target - host, segments),
  };
  cdl_queue_upload(queue, all, host, sizeof host);
  return cdl_queue_status(queue);
}

void encoder_distance_bias(cdl_queue *q, const encoder_distances *distances, cdl_tensor table,
                           cdl_tensor rows, cdl_tensor bias)
{
  cdl_gather_rows(q,
                  CDL_ARGS(gather_rows, .out = rows, .table = table, .index = distances->bucket));
  cdl_permute(q, CDL_ARGS(permute, .out = bias, .x = rows, .order = {0, 1, 3, 2}));
}

void encoder_distance_bias_grad(cdl_queue *q, const encoder_distances *distances,
                                cdl_tensor d_table, cdl_tensor rows, cdl_tensor d_bias)
{
  cdl_permute(q, CDL_ARGS(permute, .out = rows, .x = d_bias, .order = {0, 1, 3, 2}));
  cdl_scatter_add_rows(q, CDL_ARGS(scatter_add_rows, .table = d_table, .x = rows,
                                   .order = distances->order, .segment = distances->segment,
                                   .target = distances->target));
}
