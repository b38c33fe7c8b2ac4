/* Weights: in the backend's own layout, or as one plain matrix that the core keeps for it. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backends/core/buffer.h"
#include "backends/core/check.h"
#include "backends/core/check_views.h"
#include "backends/core/queue.h"
#include "backends/core/weight.h"

/* Gives the sources as one matrix, if they are one below the other with the same distance between
 * rows. */
static bool lie_stacked(const cdl_tensor *sources, size_t count, cdl_tensor *stacked)
{
  const int64_t stride = sources[0].size[2] > 1 ? sources[0].stride[2] : sources[0].size[3];
  *stacked = sources[0];
  stacked->stride[2] = stride;
  for (size_t i = 1; i < count; i++) {
    if (sources[i].buffer != stacked->buffer ||
        (sources[i].size[2] > 1 && sources[i].stride[2] != stride) ||
        sources[i].offset != stacked->offset + stacked->size[2] * stride)
      return false;
    stacked->size[2] += sources[i].size[2];
  }
  return true;
}

static cdl_status check_sources(const cdl_backend *backend, const cdl_tensor *sources, size_t count,
                                int64_t *rows)
{
  if (sources == NULL || count == 0)
    return cdl_fail(CDL_STATUS_ARGUMENT, "weight: no sources");
  *rows = 0;
  for (size_t i = 0; i < count; i++) {
    char name[48], shape[CORE_SHAPE_BYTES];
    snprintf(name, sizeof name, "source %zu", i);
    CDL_TRY(core_check_tensor(backend, "weight", name, &sources[i]));
    core_shape(&sources[i], shape);
    if (sources[i].dtype != CDL_DTYPE_F32)
      return cdl_fail(CDL_STATUS_ARGUMENT, "weight: %s is %s, expected F32", name,
                      cdl_dtype_name(sources[i].dtype));
    if (sources[i].size[0] != 1 || sources[i].size[1] != 1)
      return cdl_fail(CDL_STATUS_ARGUMENT, "weight: %s is %s, expected a matrix", name, shape);
    if (sources[i].size[3] != sources[0].size[3])
      return cdl_fail(CDL_STATUS_ARGUMENT, "weight: %s is %s, expected %lld columns as in source 0",
                      name, shape, (long long)sources[0].size[3]);
    if (__builtin_add_overflow(*rows, sources[i].size[2], rows))
      return cdl_fail(CDL_STATUS_ARGUMENT, "weight: the sources have too many rows together");
  }
  return CDL_STATUS_OK;
}

static cdl_status copy_sources(cdl_queue *queue, const core_weight *weight)
{
  int64_t row = 0;
  for (size_t i = 0; i < weight->source_count; i++) {
    const cdl_tensor source = weight->sources[i];
    if (cdl_tensor_elements(source) > 0)
      CDL_TRY(queue->backend->table->copy(
          queue->handle,
          CDL_ARGS(copy, .out = cdl_tensor_rows(weight->parts[0], row, source.size[2]),
                   .x = source)));
    row += source.size[2];
  }
  return CDL_STATUS_OK;
}

/* Keeps the plain matrix for a backend without weight functions. */
static cdl_status keep_plain(cdl_queue *queue, core_weight *weight)
{
  weight->part_count = 1;
  weight->weight.handle = weight->parts;
  if (lie_stacked(weight->sources, weight->source_count, &weight->parts[0]))
    return CDL_STATUS_OK;
  const int64_t rows = weight->weight.rows, columns = weight->weight.columns;
  size_t elements, bytes;
  if (__builtin_mul_overflow((size_t)rows, (size_t)columns, &elements) ||
      __builtin_mul_overflow(elements, sizeof(float), &bytes))
    return cdl_fail(CDL_STATUS_MEMORY, "weight: [%lld, %lld] is too large", (long long)rows,
                    (long long)columns);
  CDL_TRY(core_buffer_create(queue->backend, bytes, &weight->stacked));
  weight->parts[0] = cdl_tensor_2d(weight->stacked, CDL_DTYPE_F32, 0, rows, columns);
  base_clear_message();
  return core_enqueued(queue, CORE_WEIGHT, copy_sources(queue, weight));
}

static cdl_status keep_native(cdl_queue *queue, core_weight *weight)
{
  size_t bytes = 0;
  weight->part_count = weight->source_count;
  memcpy(weight->parts, weight->sources, weight->source_count * sizeof *weight->parts);
  base_clear_message();
  CDL_TRY(core_enqueued(queue, CORE_WEIGHT,
                        queue->backend->table->weight_create(queue->handle, weight->sources,
                                                             weight->source_count,
                                                             &weight->weight.handle, &bytes)));
  weight->native_bytes = bytes;
  core_count_bytes(queue->backend, bytes);
  return CDL_STATUS_OK;
}

static void release(core_weight *weight)
{
  core_buffer_destroy(weight->stacked);
  free(weight->sources);
  free(weight);
}

cdl_status cdl_weight_create(cdl_queue *queue, const cdl_tensor *sources, size_t count,
                             cdl_weight **weight)
{
  if (queue == NULL || weight == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "cdl_weight_create: %s is NULL",
                    queue == NULL ? "queue" : "weight");
  *weight = NULL;
  CDL_TRY(cdl_queue_status(queue));
  cdl_backend *backend = queue->backend;
  int64_t rows = 0;
  CDL_TRY(check_sources(backend, sources, count, &rows));
  core_weight *created = calloc(1, sizeof *created);
  cdl_tensor *tensors = calloc(count, 2 * sizeof *tensors);
  if (created == NULL || tensors == NULL) {
    free(created);
    free(tensors);
    return cdl_fail(CDL_STATUS_MEMORY, "weight: out of memory for %zu sources", count);
  }
  created->weight = (cdl_weight){.rows = rows, .columns = sources[0].size[3], .owner = backend};
  created->source_count = count;
  created->sources = tensors;
  created->parts = tensors + count;
  memcpy(created->sources, sources, count * sizeof *sources);
  const cdl_status status = backend->table->weight_create != NULL ? keep_native(queue, created)
                                                                  : keep_plain(queue, created);
  if (status != CDL_STATUS_OK) {
    cdl_context(status, "weight [%lld, %lld]", (long long)rows, (long long)sources[0].size[3]);
    release(created);
    return status;
  }
  atomic_fetch_add(&backend->weights, 1);
  *weight = &created->weight;
  return CDL_STATUS_OK;
}

void cdl_weight_update(cdl_queue *queue, cdl_weight *weight)
{
  if (queue->status != CDL_STATUS_OK)
    return;
  const core_weight *kept = core_weight_of(weight);
  const cdl_backend_table *table = queue->backend->table;
  if (weight->owner != queue->backend) {
    core_queue_fail(queue, cdl_fail(CDL_STATUS_ARGUMENT,
                                    "weight update: the weight belongs to another backend"));
    return;
  }
  base_clear_message();
  cdl_status status = CDL_STATUS_OK;
  if (table->weight_create != NULL)
    status = table->weight_update(queue->handle, weight->handle, kept->sources, kept->source_count);
  else if (kept->stacked != NULL)
    status = copy_sources(queue, kept);
  status = core_enqueued(queue, CORE_WEIGHT, status);
  if (status != CDL_STATUS_OK)
    core_queue_fail(queue, cdl_context(status, "update of a weight [%lld, %lld]",
                                       (long long)weight->rows, (long long)weight->columns));
}

void cdl_weight_destroy(cdl_weight *weight)
{
  if (weight == NULL)
    return;
  cdl_backend *backend = weight->owner;
  core_weight *kept = (core_weight *)weight;
  if (backend->table->weight_create != NULL) {
    backend->table->weight_destroy(backend->device, weight->handle);
    core_uncount_bytes(backend, kept->native_bytes);
  }
  release(kept);
  atomic_fetch_sub(&backend->weights, 1);
}

int64_t cdl_weight_rows(const cdl_weight *weight)
{
  return weight->rows;
}

int64_t cdl_weight_columns(const cdl_weight *weight)
{
  return weight->columns;
}
