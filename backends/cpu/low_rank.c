/* Low-rank updates, by tiles of rows that stay in cache between their products. */
#include "backends/cpu/gemm.h"
#include "backends/cpu/product.h"

enum { TILE_WORK = 1000000, LEAST_ROWS = 32, MOST_ROWS = 256 };

/* Sums over rows are taken by part, so this depends on shapes alone. */
static int64_t row_parts(int64_t rows, int64_t columns, int64_t rank)
{
  const int64_t fitting = TILE_WORK / cpu_max(1, columns * rank);
  return cpu_divide_up(rows, cpu_min(MOST_ROWS, cpu_max(LEAST_ROWS, fitting)));
}

/* ---- low_rank ---- */

typedef struct {
  cpu_device *device;
  const cdl_low_rank_args *args;
  int64_t parts;
} low_rank_job;

static void low_rank_tile(const void *context, int64_t tile, void *scratch)
{
  const low_rank_job *job = context;
  const cdl_low_rank_args *g = job->args;
  const cpu_kernels *kernels = job->device->kernels;
  const int64_t rank = g->a.size[2], in = g->x.size[3];
  const cpu_range rows = cpu_part(g->out.size[2], job->parts, tile, CPU_GRID_ROWS);
  const cpu_rows out = cpu_rows_at(g->out, rows.first, 0), x = cpu_rows_at(g->x, rows.first, 0);
  const cpu_rows hidden = cpu_rows_at(g->hidden, rows.first, 0);
  const cpu_rows a = cpu_rows_at(g->a, 0, 0), b = cpu_rows_at(g->b, 0, 0);
  cpu_sgemm(kernels, scratch, false, true, rows.count, rank, in, 1.0f, x.data, x.stride, a.data,
            a.stride, 0.0f, hidden.data, hidden.stride);
  cpu_sgemm(kernels, scratch, false, true, rows.count, g->out.size[3], rank, g->scale, hidden.data,
            hidden.stride, b.data, b.stride, 1.0f, out.data, out.stride);
}

static cdl_status run_term(cpu_device *device, const cdl_low_rank_args *g)
{
  const int64_t rank = g->a.size[2], rows = g->out.size[2];
  if (rows == 0 || rank == 0)
    return CDL_STATUS_OK;
  /* Here rows do not depend on each other, so each thread may get a part. */
  const int64_t parts = row_parts(rows, cpu_max(g->x.size[3], g->out.size[3]), rank),
                each = cpu_min(cpu_pool_threads(device->pool), cpu_divide_up(rows, LEAST_ROWS));
  const low_rank_job job = {.device = device, .args = g, .parts = cpu_max(parts, each)};
  return cpu_pool_run(device->pool, job.parts, CPU_PRODUCT_BYTES, low_rank_tile, &job);
}

cdl_status cpu_low_rank(void *queue, const cdl_low_rank_args *args)
{
  for (int i = 0; i < cdl_low_rank_terms(args); i++) {
    const cdl_low_rank_args one = cdl_low_rank_alone(args, i);
    CDL_TRY(run_term(cpu_device_of(queue), &one));
  }
  return CDL_STATUS_OK;
}

/* ---- low_rank_grad ---- */

typedef struct {
  cpu_device *device;
  const cdl_low_rank_grad_args *args;
  int64_t parts;
  float *partial; /* [parts, rank · in + out · rank]: each part's d_a and d_b */
} low_rank_grad_job;

static void low_rank_grad_tile(const void *context, int64_t tile, void *scratch)
{
  const low_rank_grad_job *job = context;
  const cdl_low_rank_grad_args *g = job->args;
  const cpu_kernels *kernels = job->device->kernels;
  const int64_t rank = g->a.size[2], in = g->x.size[3], out = g->d_out.size[3];
  const cpu_range rows = cpu_part(g->d_out.size[2], job->parts, tile, CPU_GRID_ROWS);
  const cpu_rows d_out = cpu_rows_at(g->d_out, rows.first, 0),
                 hidden = cpu_rows_at(g->hidden, rows.first, 0);
  const cpu_rows a = cpu_rows_at(g->a, 0, 0), b = cpu_rows_at(g->b, 0, 0);
  float *du = (float *)(void *)((char *)scratch + CPU_PRODUCT_BYTES);
  float *d_a = job->partial + tile * (rank * in + out * rank), *d_b = d_a + rank * in;
  if (cdl_tensor_present(g->d_a) || cdl_tensor_present(g->d_x))
    cpu_sgemm(kernels, scratch, false, false, rows.count, rank, out, g->scale, d_out.data,
              d_out.stride, b.data, b.stride, 0.0f, du, rank);
  if (cdl_tensor_present(g->d_b))
    cpu_sgemm(kernels, scratch, true, false, out, rank, rows.count, g->scale, d_out.data,
              d_out.stride, hidden.data, hidden.stride, 0.0f, d_b, rank);
  if (cdl_tensor_present(g->d_x)) {
    const cpu_rows d_x = cpu_rows_at(g->d_x, rows.first, 0);
    cpu_sgemm(kernels, scratch, false, false, rows.count, in, rank, 1.0f, du, rank, a.data,
              a.stride, 1.0f, d_x.data, d_x.stride);
  }
  if (cdl_tensor_present(g->d_a)) {
    const cpu_rows x = cpu_rows_at(g->x, rows.first, 0);
    cpu_sgemm(kernels, scratch, true, false, rank, in, rows.count, 1.0f, du, rank, x.data, x.stride,
              0.0f, d_a, in);
  }
}

/* Adds the parts' sums, in order, to one row of d_a or d_b. */
static void add_parts_tile(const void *context, int64_t tile, void *scratch)
{
  (void)scratch;
  const low_rank_grad_job *job = context;
  const cdl_low_rank_grad_args *g = job->args;
  const int64_t rank = g->a.size[2], in = g->x.size[3], out = g->d_out.size[3];
  const int64_t block = rank * in + out * rank;
  enum { ROWS_OF_B = 64 };
  const bool is_a = tile < rank;
  const cdl_tensor d = is_a ? g->d_a : g->d_b;
  if (!cdl_tensor_present(d))
    return;
  const int64_t first = is_a ? tile : (tile - rank) * ROWS_OF_B;
  const int64_t end = is_a ? first + 1 : cpu_min(out, first + ROWS_OF_B),
                columns = is_a ? in : rank;
  const float *sums = job->partial + (is_a ? 0 : rank * in);
  for (int64_t part = 0; part < job->parts; part++)
    for (int64_t i = first; i < end; i++)
      job->device->kernels->add_row(CDL_REDUCE_SUM, cpu_rows_at(d, i, 0).data,
                                    sums + part * block + i * columns, columns);
}

static cdl_status run_grad_term(cpu_device *device, const cdl_low_rank_grad_args *g)
{
  const int64_t rank = g->a.size[2], in = g->x.size[3], out = g->d_out.size[3],
                rows = g->d_out.size[2];
  if (rows == 0 || rank == 0)
    return CDL_STATUS_OK;
  enum { MOST_PARTS = 16 }; /* so that the sums of a high rank stay few */
  const int64_t wanted = row_parts(rows, cpu_max(in, out), rank);
  low_rank_grad_job job = {
      .device = device, .args = g, .parts = rank > 16 ? cpu_min(MOST_PARTS, wanted) : wanted};
  void *shared;
  const int64_t rows_a_part = cpu_divide_up(rows, job.parts) + CPU_GRID_ROWS;
  CDL_TRY(cpu_pool_enter(device->pool, CPU_PRODUCT_BYTES + cpu_float_bytes(rows_a_part * rank),
                         cpu_float_bytes(job.parts * rank * (in + out)), &shared));
  job.partial = shared;
  cpu_pool_for(device->pool, job.parts, low_rank_grad_tile, &job);
  cpu_pool_for(device->pool, rank + cpu_divide_up(out, 64), add_parts_tile, &job);
  cpu_pool_leave(device->pool);
  return CDL_STATUS_OK;
}

cdl_status cpu_low_rank_grad(void *queue, const cdl_low_rank_grad_args *args)
{
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++) {
    const cdl_low_rank_grad_args one = cdl_low_rank_grad_alone(args, i);
    CDL_TRY(run_grad_term(cpu_device_of(queue), &one));
  }
  return CDL_STATUS_OK;
}
