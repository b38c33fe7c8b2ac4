#include "backends/cpu/walk.h"

#include <math.h>

/* A sum is cut into pieces by its length alone, and the pieces are added in order. */
enum {
  ROW_PIECE = 16384,  /* elements of a row */
  COLUMN_PIECE = 512, /* rows of a column sum */
  COLUMN_STRIP = 128, /* columns per tile of a column sum */
  TILE_ELEMENTS = 16384
};

static float nothing(cdl_reduce_function function)
{
  return function == CDL_REDUCE_MAXIMUM ? -INFINITY : 0.0f;
}

static float combine(cdl_reduce_function function, float x, float y)
{
  if (function != CDL_REDUCE_MAXIMUM)
    return x + y;
  return x > y || x != x ? x : y;
}

static float reduce_run(const cpu_kernels *kernels, cdl_reduce_function function, const float *x,
                        int64_t n)
{
  switch (function) {
  case CDL_REDUCE_SUM:
    return kernels->sum(x, n);
  case CDL_REDUCE_SUM_SQUARES:
    return kernels->sum_squares(x, n);
  case CDL_REDUCE_MAXIMUM:
    break;
  }
  return kernels->maximum(x, n);
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_reduce_args *args;
  int64_t rows, tiles, pieces, piece_rows, strips;
  cdl_tensor walked;    /* x without the reduced dimension */
  int64_t length, step; /* of the reduced dimension, in elements */
  float *partial;
} reduce_job;

static void put(const reduce_job *job, int64_t row, int64_t column, float value)
{
  const cdl_tensor *out = &job->args->out;
  float *to = cpu_floats(*out) + cpu_row_start(out, row) + column;
  *to = job->args->accumulate ? *to + value : value;
}

/* ---- over the last dimension: one number a row ---- */

static void row_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const reduce_job *job = context;
  const cdl_tensor *x = &job->args->x;
  const cpu_range rows = cpu_part(job->rows, job->tiles, tile, 1);
  for (int64_t row = rows.first; row < rows.first + rows.count; row++)
    put(job, row, 0,
        reduce_run(job->kernels, job->args->function, cpu_floats(*x) + cpu_row_start(x, row),
                   x->size[3]));
}

static void row_piece_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const reduce_job *job = context;
  const cdl_tensor *x = &job->args->x;
  const cpu_range piece = cpu_part(x->size[3], job->pieces, tile % job->pieces, 64);
  job->partial[tile] =
      reduce_run(job->kernels, job->args->function,
                 cpu_floats(*x) + cpu_row_start(x, tile / job->pieces) + piece.first, piece.count);
}

static cdl_status reduce_rows(cpu_device *device, reduce_job *job)
{
  const int64_t columns = job->args->x.size[3];
  job->pieces = cpu_parts(columns, ROW_PIECE);
  job->tiles = cpu_min(job->rows, cpu_parts(job->rows * cpu_max(columns, 1), TILE_ELEMENTS));
  if (job->pieces == 1)
    return cpu_pool_run(device->pool, job->tiles, 0, row_tile, job);
  void *shared;
  CDL_TRY(cpu_pool_enter(device->pool, 0, cpu_float_bytes(job->rows * job->pieces), &shared));
  job->partial = shared;
  cpu_pool_for(device->pool, job->rows * job->pieces, row_piece_tile, job);
  for (int64_t row = 0; row < job->rows; row++) {
    float value = job->partial[row * job->pieces];
    for (int64_t piece = 1; piece < job->pieces; piece++)
      value = combine(job->args->function, value, job->partial[row * job->pieces + piece]);
    put(job, row, 0, value);
  }
  cpu_pool_leave(device->pool);
  return CDL_STATUS_OK;
}

/* ---- over another dimension: a row of numbers for each of the others ---- */

/* Sums one piece of the reduced dimension and one strip of columns into `partial`. */
static void column_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const reduce_job *job = context;
  const cdl_reduce_args *a = job->args;
  const int64_t columns = a->x.size[3];
  const cpu_range strip = cpu_part(columns, job->strips, tile % job->strips, 16);
  const int64_t piece_of_row = tile / job->strips;
  const cpu_range piece = cpu_part(job->length, job->pieces, piece_of_row % job->pieces, 1);
  float *partial = job->partial + piece_of_row * columns + strip.first;
  const float *x =
      cpu_floats(a->x) + cpu_row_start(&job->walked, piece_of_row / job->pieces) + strip.first;
  for (int64_t j = 0; j < strip.count; j++)
    partial[j] = nothing(a->function);
  for (int64_t i = piece.first; i < piece.first + piece.count; i++)
    job->kernels->add_row(a->function, partial, x + i * job->step, strip.count);
}

static cdl_status reduce_columns(cpu_device *device, reduce_job *job)
{
  const cdl_reduce_args *a = job->args;
  const int64_t columns = a->x.size[3];
  job->length = a->x.size[a->axis];
  job->step = a->x.stride[a->axis];
  job->walked = a->x;
  job->walked.size[a->axis] = 1;
  job->pieces = cpu_parts(job->length, cpu_max(COLUMN_PIECE, COLUMN_PIECE * 64 / columns));
  job->strips = cpu_parts(columns, COLUMN_STRIP);
  void *shared;
  CDL_TRY(
      cpu_pool_enter(device->pool, 0, cpu_float_bytes(job->rows * job->pieces * columns), &shared));
  job->partial = shared;
  cpu_pool_for(device->pool, job->rows * job->pieces * job->strips, column_tile, job);
  for (int64_t row = 0; row < job->rows; row++) {
    float *first = job->partial + row * job->pieces * columns;
    for (int64_t piece = 1; piece < job->pieces; piece++)
      for (int64_t j = 0; j < columns; j++)
        first[j] = combine(a->function, first[j], first[piece * columns + j]);
    for (int64_t j = 0; j < columns; j++)
      put(job, row, j, first[j]);
  }
  cpu_pool_leave(device->pool);
  return CDL_STATUS_OK;
}

cdl_status cpu_reduce(void *queue, const cdl_reduce_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  reduce_job job = {.kernels = device->kernels, .args = a};
  job.rows = a->out.size[0] * a->out.size[1] * a->out.size[2];
  return a->axis == 3 ? reduce_rows(device, &job) : reduce_columns(device, &job);
}

/* ---- clip_norm ---- */

typedef struct {
  const cpu_kernels *kernels;
  cdl_tensor x;
  int64_t rows, pieces;
  double *partial;
} norm_job;

static void norm_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const norm_job *job = context;
  const cpu_range piece = cpu_part(job->x.size[3], job->pieces, tile % job->pieces, 64);
  const float *row = cpu_floats(job->x) + cpu_row_start(&job->x, tile / job->pieces);
  job->partial[tile] = job->kernels->sum_squares_double(row + piece.first, piece.count);
}

/* Views dense tensors as one row. */
static cdl_tensor flattened(cdl_tensor t)
{
  int64_t expected = 1;
  for (int d = 3; d >= 0; d--) {
    if (t.size[d] > 1 && t.stride[d] != expected)
      return t;
    expected *= t.size[d];
  }
  return cdl_tensor_1d(t.buffer, t.dtype, t.offset, expected);
}

cdl_status cpu_clip_norm(void *queue, const cdl_clip_norm_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  norm_job job = {.kernels = device->kernels, .x = flattened(a->gradient)};
  job.rows = job.x.size[0] * job.x.size[1] * job.x.size[2];
  job.pieces = cpu_parts(job.x.size[3], ROW_PIECE);
  void *shared;
  CDL_TRY(
      cpu_pool_enter(device->pool, 0, (size_t)(job.rows * job.pieces) * sizeof(double), &shared));
  job.partial = shared;
  cpu_pool_for(device->pool, job.rows * job.pieces, norm_tile, &job);
  double sum = 0.0;
  for (int64_t i = 0; i < job.rows * job.pieces; i++)
    sum += job.partial[i];
  cpu_pool_leave(device->pool);
  const double norm = sqrt(sum), factor = (double)a->max_norm / (norm + 1e-6);
  *cpu_floats(a->norm) = (float)norm;
  *cpu_floats(a->factor) = a->max_norm == 0.0f || factor > 1.0 ? 1.0f : (float)factor;
  return CDL_STATUS_OK;
}
