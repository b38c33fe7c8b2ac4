#include "backends/cpu/walk.h"

enum { TILE_ELEMENTS = 16384 };

typedef struct {
  int64_t size, stride[CPU_WALK_TENSORS];
} dimension;

static bool continues(const dimension *outer, const dimension *inner, int count)
{
  for (int t = 0; t < count; t++)
    if (outer->stride[t] != inner->stride[t] * inner->size)
      return false;
  return true;
}

/* Lists dimensions larger than 1, innermost first, and joins neighbours if every tensor allows
 * it. */
static int join_dimensions(const cdl_tensor *tensors, int count, dimension *joined)
{
  int used = 0;
  for (int d = 3; d >= 0; d--) {
    if (tensors[0].size[d] == 1)
      continue;
    dimension next = {.size = tensors[0].size[d]};
    for (int t = 0; t < count; t++)
      next.stride[t] = tensors[t].size[d] == 1
                           ? 0
                           : tensors[t].stride[d] * (int64_t)cdl_dtype_bytes(tensors[t].dtype);
    if (used > 0 && continues(&next, &joined[used - 1], count))
      joined[used - 1].size *= next.size;
    else
      joined[used++] = next;
  }
  return used;
}

static bool is_run(const dimension *d, const cdl_tensor *tensors, int count, bool last_repeats)
{
  for (int t = 0; t < count; t++) {
    const bool repeats = last_repeats && t == count - 1 && d->stride[t] == 0;
    if (!repeats && d->stride[t] != (int64_t)cdl_dtype_bytes(tensors[t].dtype))
      return false;
  }
  return true;
}

cpu_walk cpu_walk_over(const cdl_tensor *tensors, int count, bool last_repeats)
{
  cpu_walk walk = {.tensors = count, .columns = 1, .rows = 1, .size = {1, 1, 1}};
  for (int t = 0; t < count; t++)
    walk.start[t] = cpu_bytes(tensors[t]);
  if (cdl_tensor_elements(tensors[0]) == 0) {
    walk.rows = 0;
    return walk;
  }
  dimension joined[4];
  const int used = join_dimensions(tensors, count, joined);
  int first = 0;
  if (used > 0 && is_run(&joined[0], tensors, count, last_repeats)) {
    walk.columns = joined[0].size;
    for (int t = 0; t < count; t++)
      walk.inner[t] = joined[0].stride[t];
    first = 1;
  }
  for (int d = first; d < used; d++) {
    const int place = 2 - (d - first);
    walk.size[place] = joined[d].size;
    walk.rows *= joined[d].size;
    for (int t = 0; t < count; t++)
      walk.stride[t][place] = joined[d].stride[t];
  }
  return walk;
}

typedef struct {
  const cpu_walk *walk;
  cpu_run *run;
  const void *context;
  int64_t row_tiles, column_tiles;
} walk_job;

static void walk_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const walk_job *job = context;
  const cpu_walk *walk = job->walk;
  const cpu_range rows = cpu_part(walk->rows, job->row_tiles, tile / job->column_tiles, 1);
  const cpu_range columns =
      cpu_part(walk->columns, job->column_tiles, tile % job->column_tiles, 64);
  int64_t index[3] = {rows.first / (walk->size[1] * walk->size[2]),
                      rows.first / walk->size[2] % walk->size[1], rows.first % walk->size[2]};
  for (int64_t row = 0; row < rows.count; row++) {
    char *pointers[CPU_WALK_TENSORS];
    for (int t = 0; t < walk->tensors; t++)
      pointers[t] = walk->start[t] + index[0] * walk->stride[t][0] + index[1] * walk->stride[t][1] +
                    index[2] * walk->stride[t][2] + columns.first * walk->inner[t];
    job->run(job->context, pointers, columns.count);
    if (++index[2] == walk->size[2]) {
      index[2] = 0;
      if (++index[1] == walk->size[1]) {
        index[1] = 0;
        index[0]++;
      }
    }
  }
}

cdl_status cpu_walk_run(cpu_device *device, const cpu_walk *walk, cpu_run *run, const void *context)
{
  if (walk->rows == 0)
    return CDL_STATUS_OK;
  walk_job job = {walk, run, context, 1, cpu_parts(walk->columns, TILE_ELEMENTS)};
  if (job.column_tiles == 1)
    job.row_tiles = cpu_min(walk->rows, cpu_divide_up(walk->rows * walk->columns, TILE_ELEMENTS));
  else
    job.row_tiles = walk->rows;
  return cpu_pool_run(device->pool, job.row_tiles * job.column_tiles, 0, walk_tile, &job);
}

int64_t cpu_row_start(const cdl_tensor *t, int64_t row)
{
  return row / (t->size[1] * t->size[2]) * t->stride[0] +
         row / t->size[2] % t->size[1] * t->stride[1] + row % t->size[2] * t->stride[2];
}
