#include "backends/cpu/activation.h"
#include "backends/cpu/walk.h"

#include <math.h>
#include <string.h>

/* ---- Rounding of doubles ---- */

/* Rounds to odd, so that a second rounding gives the same as rounding the double directly (Boldo
 * and Melquiond 2008). */
static float float_for_rounding(double x)
{
  float f = (float)x;
  if ((double)f == x || x != x || isinf(f))
    return f;
  if (fabs((double)f) > fabs(x))
    f = nextafterf(f, 0.0f);
  uint32_t bits;
  memcpy(&bits, &f, sizeof bits);
  bits |= 1;
  memcpy(&f, &bits, sizeof f);
  return f;
}

static void f64_to_bf16(const cpu_kernels *kernels, cdl_bf16 *out, const double *x, int64_t n)
{
  enum { BLOCK = 256 };
  float block[BLOCK];
  for (int64_t done = 0; done < n; done += BLOCK) {
    const int64_t count = cpu_min(BLOCK, n - done);
    for (int64_t j = 0; j < count; j++)
      block[j] = float_for_rounding(x[done + j]);
    kernels->f32_to_bf16(out + done, block, count);
  }
}

/* ---- copy, fill ---- */

static void copy_run(const void *context, char *const *pointers, int64_t n)
{
  const size_t *element = context;
  memcpy(pointers[0], pointers[1], (size_t)n * *element);
}

cdl_status cpu_copy(void *queue, const cdl_copy_args *a)
{
  const size_t element = cdl_dtype_bytes(a->out.dtype);
  const cpu_walk walk = cpu_walk_over((cdl_tensor[]){a->out, a->x}, 2, false);
  return cpu_walk_run(cpu_device_of(queue), &walk, copy_run, &element);
}

typedef struct {
  cdl_dtype dtype;
  float f32;
  double f64;
  int32_t i32;
  cdl_bf16 bf16;
} fill_value;

static void fill_run(const void *context, char *const *pointers, int64_t n)
{
  const fill_value *value = context;
  void *out = pointers[0];
  if (value->dtype == CDL_DTYPE_F64) {
    for (int64_t j = 0; j < n; j++)
      ((double *)out)[j] = value->f64;
  } else if (value->dtype == CDL_DTYPE_I32) {
    for (int64_t j = 0; j < n; j++)
      ((int32_t *)out)[j] = value->i32;
  } else if (value->dtype == CDL_DTYPE_BF16) {
    for (int64_t j = 0; j < n; j++)
      ((cdl_bf16 *)out)[j] = value->bf16;
  } else if (value->f32 == 0.0f && !signbit(value->f32)) {
    memset(out, 0, (size_t)n * sizeof(float));
  } else {
    for (int64_t j = 0; j < n; j++)
      ((float *)out)[j] = value->f32;
  }
}

cdl_status cpu_fill(void *queue, const cdl_fill_args *a)
{
  const bool fits = a->value >= INT32_MIN && a->value <= INT32_MAX;
  cdl_bf16 bf16;
  f64_to_bf16(cpu_device_of(queue)->kernels, &bf16, &a->value, 1);
  const fill_value value = {a->out.dtype, (float)a->value, a->value, fits ? (int32_t)a->value : 0,
                            bf16};
  if (value.dtype == CDL_DTYPE_I32 && !fits)
    return cdl_fail(CDL_STATUS_ARGUMENT, "fill: %g is not an I32", a->value);
  const cpu_walk walk = cpu_walk_over(&a->out, 1, false);
  return cpu_walk_run(cpu_device_of(queue), &walk, fill_run, &value);
}

/* ---- cast ---- */

static void bf16_to_f64(const cpu_kernels *kernels, double *out, const cdl_bf16 *x, int64_t n)
{
  enum { BLOCK = 256 };
  float block[BLOCK];
  for (int64_t done = 0; done < n; done += BLOCK) {
    const int64_t count = cpu_min(BLOCK, n - done);
    kernels->bf16_to_f32(block, x + done, count);
    kernels->f32_to_f64(out + done, block, count);
  }
}

typedef struct {
  const cpu_kernels *kernels;
  cdl_dtype to, from;
} cast_context;

static void cast_run(const void *context, char *const *pointers, int64_t n)
{
  const cast_context *cast = context;
  const cpu_kernels *kernels = cast->kernels;
  void *out = pointers[0];
  const void *x = pointers[1];
  if (cast->to == cast->from)
    memcpy(out, x, (size_t)n * cdl_dtype_bytes(cast->to));
  else if (cast->to == CDL_DTYPE_F32 && cast->from == CDL_DTYPE_BF16)
    kernels->bf16_to_f32(out, x, n);
  else if (cast->to == CDL_DTYPE_F32)
    kernels->f64_to_f32(out, x, n);
  else if (cast->to == CDL_DTYPE_F64 && cast->from == CDL_DTYPE_F32)
    kernels->f32_to_f64(out, x, n);
  else if (cast->to == CDL_DTYPE_F64)
    bf16_to_f64(kernels, out, x, n);
  else if (cast->from == CDL_DTYPE_F32)
    kernels->f32_to_bf16(out, x, n);
  else
    f64_to_bf16(kernels, out, x, n);
}

cdl_status cpu_cast(void *queue, const cdl_cast_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const cpu_walk walk = cpu_walk_over((cdl_tensor[]){a->out, a->x}, 2, false);
  return cpu_walk_run(device, &walk, cast_run,
                      &(cast_context){device->kernels, a->out.dtype, a->x.dtype});
}

/* ---- permute ---- */

/* Blocks of PERMUTE_SIDE × PERMUTE_SIDE over the last two dimensions, so that both sides stay in
 * cache. */
enum { PERMUTE_SIDE = 32 };

typedef struct {
  cdl_tensor out, x; /* of the same sizes; x's innermost stride may be any */
  int64_t blocks;    /* of rows in each matrix */
} permute_job;

static void permute_block(const permute_job *job, char *out, const char *x, int64_t rows)
{
  const int64_t bytes = (int64_t)cdl_dtype_bytes(job->out.dtype);
  const int64_t out_row = job->out.stride[2] * bytes, x_row = job->x.stride[2] * bytes;
  const int64_t x_column = job->x.stride[3] * bytes, columns = job->out.size[3];
#define MOVE(type)                    \
  for (int64_t i = 0; i < rows; i++)  \
    for (int64_t j = j0; j < j1; j++) \
      memcpy(out + i * out_row + j * bytes, x + i * x_row + j * x_column, sizeof(type));
  for (int64_t j0 = 0; j0 < columns; j0 += PERMUTE_SIDE) {
    const int64_t j1 = cpu_min(columns, j0 + PERMUTE_SIDE);
    if (bytes == 8) {
      MOVE(uint64_t)
    } else if (bytes == 4) {
      MOVE(uint32_t)
    } else if (bytes == 2) {
      MOVE(uint16_t)
    } else {
      MOVE(uint8_t)
    }
  }
#undef MOVE
}

static void permute_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const permute_job *job = context;
  const int64_t bytes = (int64_t)cdl_dtype_bytes(job->out.dtype);
  const int64_t matrix = tile / job->blocks, first = tile % job->blocks * PERMUTE_SIDE;
  const int64_t i0 = matrix / job->out.size[1], i1 = matrix % job->out.size[1];
  const cdl_tensor *out = &job->out, *x = &job->x;
  permute_block(job,
                cpu_bytes(*out) +
                    (i0 * out->stride[0] + i1 * out->stride[1] + first * out->stride[2]) * bytes,
                cpu_bytes(*x) +
                    (i0 * x->stride[0] + i1 * x->stride[1] + first * x->stride[2]) * bytes,
                cpu_min(PERMUTE_SIDE, out->size[2] - first));
}

cdl_status cpu_permute(void *queue, const cdl_permute_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  permute_job job = {
      .out = a->out, .x = a->x, .blocks = cpu_divide_up(a->out.size[2], PERMUTE_SIDE)};
  for (int d = 0; d < 4; d++) {
    job.x.size[d] = a->x.size[a->order[d]];
    job.x.stride[d] = a->x.stride[a->order[d]];
  }
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  if (job.x.stride[3] == 1 || job.x.size[3] == 1)
    return cpu_copy(queue, CDL_ARGS(copy, .out = job.out, .x = job.x));
  return cpu_pool_run(device->pool, job.out.size[0] * job.out.size[1] * job.blocks, 0, permute_tile,
                      &job);
}

/* ---- gather, scatter ---- */

/* Memory for a row of either tensor, if one is BF16. */
static size_t two_rows(cdl_tensor a, cdl_tensor b)
{
  return cpu_is_narrow(a) || cpu_is_narrow(b) ? cpu_float_bytes(2 * a.size[3]) : 0;
}

static float *second_row(float *memory, int64_t columns)
{
  return memory != NULL ? memory + columns : NULL;
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_gather_rows_args *args;
  int64_t tiles;
} gather_job;

/* Rows of one type are copied as they are. */
static void move_row(const cpu_kernels *kernels, const cdl_gather_rows_args *a, cpu_block to,
                     cpu_block from, float *memory)
{
  const bool same = a->out.dtype == a->table.dtype;
  if (a->accumulate) {
    const cpu_rows out = cpu_widen(kernels, a->out, to, memory),
                   row = cpu_widen(kernels, a->table, from, second_row(memory, to.columns));
    kernels->add_row(CDL_REDUCE_SUM, out.data, row.data, to.columns);
    cpu_store(kernels, a->out, to, out);
  } else if (same) {
    const int64_t bytes = (int64_t)cdl_dtype_bytes(a->out.dtype);
    memcpy(cpu_bytes(a->out) + to.row * a->out.stride[2] * bytes,
           cpu_bytes(a->table) + from.row * a->table.stride[2] * bytes,
           (size_t)(to.columns * bytes));
  } else {
    cpu_store(kernels, a->out, to, cpu_widen(kernels, a->table, from, memory));
  }
}

static void gather_tile(const void *context, int64_t tile, void *scratch)
{
  const gather_job *job = context;
  const cdl_gather_rows_args *a = job->args;
  const int64_t columns = a->out.size[3];
  const int32_t *index = cpu_ints(a->index);
  const cpu_range rows = cpu_part(a->out.size[2], job->tiles, tile, 1);
  for (int64_t i = rows.first; i < rows.first + rows.count; i++)
    move_row(job->kernels, a, (cpu_block){i, 0, 1, columns}, (cpu_block){index[i], 0, 1, columns},
             scratch);
}

cdl_status cpu_gather_rows(void *queue, const cdl_gather_rows_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  if (cdl_tensor_elements(a->out) == 0)
    return CDL_STATUS_OK;
  const gather_job job = {device->kernels, a,
                          cpu_min(a->out.size[2], cpu_parts(cdl_tensor_elements(a->out), 32768))};
  return cpu_pool_run(device->pool, job.tiles, two_rows(a->out, a->table), gather_tile, &job);
}

typedef struct {
  const cpu_kernels *kernels;
  const cdl_scatter_add_rows_args *args;
  int64_t tiles;
} scatter_job;

/* A row of a BF16 table is rounded once, with all that is added to it. */
static void scatter_tile(const void *context, int64_t tile, void *scratch)
{
  const scatter_job *job = context;
  const cdl_scatter_add_rows_args *a = job->args;
  const cpu_kernels *kernels = job->kernels;
  const int64_t columns = a->x.size[3];
  const int32_t *order = cpu_ints(a->order), *segment = cpu_ints(a->segment),
                *target = cpu_ints(a->target);
  float *memory = scratch;
  const cpu_range segments = cpu_part(a->target.size[3], job->tiles, tile, 1);
  for (int64_t s = segments.first; s < segments.first + segments.count; s++) {
    const cpu_block place = {target[s], 0, 1, columns};
    const cpu_rows to = cpu_widen(kernels, a->table, place, memory);
    for (int32_t k = segment[s]; k < segment[s + 1]; k++) {
      const cpu_block from = {order[k], 0, 1, columns};
      const cpu_rows row = cpu_widen(kernels, a->x, from, second_row(memory, columns));
      kernels->add_row(CDL_REDUCE_SUM, to.data, row.data, columns);
    }
    cpu_store(kernels, a->table, place, to);
  }
}

cdl_status cpu_scatter_add_rows(void *queue, const cdl_scatter_add_rows_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const int64_t segments = cdl_tensor_elements(a->target);
  if (segments == 0 || cdl_tensor_elements(a->x) == 0)
    return CDL_STATUS_OK;
  const scatter_job job = {device->kernels, a,
                           cpu_min(segments, cpu_parts(cdl_tensor_elements(a->x), 16384))};
  return cpu_pool_run(device->pool, job.tiles, two_rows(a->x, a->table), scatter_tile, &job);
}
