#include "bench/shapes.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Appends `item`, of `bytes`, to an array. */
static bool append(void **array, size_t *count, const void *item, size_t bytes)
{
  char *larger = realloc(*array, (*count + 1) * bytes);
  if (larger == NULL)
    return false;
  memcpy(larger + *count * bytes, item, bytes);
  *array = larger;
  ++*count;
  return true;
}

#define APPEND(array, count, item)                                   \
  do {                                                               \
    void *all = (array);                                             \
    const bool done = append(&all, &(count), &(item), sizeof(item)); \
    (array) = all;                                                   \
    return done;                                                     \
  } while (0)

bool bench_shapes_add_gemm(bench_shapes *shapes, bench_gemm_shape shape)
{
  APPEND(shapes->gemm, shapes->gemm_count, shape);
}

bool bench_shapes_add_svd(bench_shapes *shapes, bench_svd_shape shape)
{
  APPEND(shapes->svd, shapes->svd_count, shape);
}

static bool add_lengths(bench_attention_shape **array, size_t *count, bench_attention_shape shape)
{
  const size_t bytes = (size_t)shape.sequences * sizeof *shape.lengths;
  int32_t *lengths = malloc(bytes + 1);
  if (lengths == NULL)
    return false;
  memcpy(lengths, shape.lengths, bytes);
  shape.lengths = lengths;
  void *all = *array;
  const bool done = append(&all, count, &shape, sizeof shape);
  *array = all;
  if (!done)
    free(lengths);
  return done;
}

bool bench_shapes_add_attention(bench_shapes *shapes, bench_attention_shape shape)
{
  return add_lengths(&shapes->attention, &shapes->attention_count, shape);
}

bool bench_shapes_add_batch(bench_shapes *shapes, bench_attention_shape shape)
{
  return add_lengths(&shapes->batches, &shapes->batch_count, shape);
}

void bench_shapes_release(bench_shapes *shapes)
{
  for (size_t i = 0; i < shapes->attention_count; i++)
    free(shapes->attention[i].lengths);
  for (size_t i = 0; i < shapes->batch_count; i++)
    free(shapes->batches[i].lengths);
  free(shapes->gemm);
  free(shapes->svd);
  free(shapes->attention);
  free(shapes->batches);
  *shapes = (bench_shapes){0};
}
