/* Low-rank updates, by tiles of rows that stay in cache between their products. */
#include "backends/cpu/activation.h"
#include "backends/cpu/gemm.h"
#include "backends/cpu/product.h"

enum { TILE_WORK = 1000000, LEAST_ROWS = 32, MOST_ROWS = 256 };

/* Sums over rows are taken by part, so this depends on shapes alone. */
static int64_t row_parts(int64_t rows, int64_t columns, int64_t rank)
{
  const int64_t fitting = TILE_WORK / cpu_max(1, columns * rank);
  return cpu_divide_up(rows, cpu_min(MOST_ROWS, cpu_max(LEAST_ROWS, fitting)));
}

/* Returns the most rows of a part. */
static int64_t rows_of_part(int64_t rows, int64_t parts)
{
  return cpu_divide_up(rows, parts) + CPU_GRID_ROWS;
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
  const cpu_block of_x = {rows.first, 0, rows.count, in},
                  of_out = {rows.first, 0, rows.count, g->out.size[3]};
  float *memory = (float *)(void *)((char *)scratch + CPU_PRODUCT_BYTES);
  const cpu_rows hidden = cpu_rows_at(g->hidden, rows.first, 0);
  const cpu_rows a = cpu_rows_at(g->a, 0, 0), b = cpu_rows_at(g->b, 0, 0);
  const cpu_rows x = cpu_widen(kernels, g->x, of_x, memory);
  cpu_sgemm(kernels, scratch, false, true, rows.count, rank, in, 1.0f, x.data, x.stride, a.data,
            a.stride, 0.0f, hidden.data, hidden.stride);
  const cpu_rows out = cpu_widen(kernels, g->out, of_out, memory); /* x is done with */
  cpu_sgemm(kernels, scratch, false, true, rows.count, of_out.columns, rank, g->scale, hidden.data,
            hidden.stride, b.data, b.stride, 1.0f, out.data, out.stride);
  cpu_store(kernels, g->out, of_out, out);
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
  const size_t memory =
      cpu_block_bytes(g->x, rows_of_part(rows, job.parts), cpu_max(g->x.size[3], g->out.size[3]));
  return cpu_pool_run(device->pool, job.parts, CPU_PRODUCT_BYTES + memory, low_rank_tile, &job);
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

/* Takes rows of a part; the first ones begin the part's sums. */
static void differentiate_rows(const low_rank_grad_job *job, int64_t row, int64_t rows, bool first,
                               float *d_a, char *scratch)
{
  const cdl_low_rank_grad_args *g = job->args;
  const cpu_kernels *kernels = job->device->kernels;
  const int64_t rank = g->a.size[2], in = g->x.size[3], out = g->d_out.size[3];
  const cpu_block of_x = {row, 0, rows, in}, of_out = {row, 0, rows, out};
  const cpu_rows hidden = cpu_rows_at(g->hidden, row, 0), a = cpu_rows_at(g->a, 0, 0),
                 b = cpu_rows_at(g->b, 0, 0);
  const float beta = first ? 0.0f : 1.0f;
  float *du = (float *)(void *)(scratch + CPU_PRODUCT_BYTES), *d_b = d_a + rank * in;
  float *memory = (float *)(void *)(scratch + CPU_PRODUCT_BYTES + cpu_float_bytes(rows * rank));
  const cpu_rows d_out = cpu_widen(kernels, g->d_out, of_out, memory);
  if (cdl_tensor_present(g->d_a) || cdl_tensor_present(g->d_x))
    cpu_sgemm(kernels, scratch, false, false, rows, rank, out, g->scale, d_out.data, d_out.stride,
              b.data, b.stride, 0.0f, du, rank);
  if (cdl_tensor_present(g->d_b))
    cpu_sgemm(kernels, scratch, true, false, out, rank, rows, g->scale, d_out.data, d_out.stride,
              hidden.data, hidden.stride, beta, d_b, rank);
  if (cdl_tensor_present(g->d_x)) {
    const cpu_rows d_x = cpu_widen(kernels, g->d_x, of_x, memory);
    cpu_sgemm(kernels, scratch, false, false, rows, in, rank, 1.0f, du, rank, a.data, a.stride,
              1.0f, d_x.data, d_x.stride);
    cpu_store(kernels, g->d_x, of_x, d_x);
  }
  if (cdl_tensor_present(g->d_a)) {
    const cpu_rows x = cpu_widen(kernels, g->x, of_x, memory);
    cpu_sgemm(kernels, scratch, true, false, rank, in, rows, 1.0f, du, rank, x.data, x.stride, beta,
              d_a, in);
  }
}

/* Returns how many rows of a part to take at a time: all of float32, as many of BF16 as may be
 * widened. */
static int64_t grad_rows(const cdl_low_rank_grad_args *g, int64_t rows)
{
  return cpu_is_narrow(g->x) ? cpu_min(rows, MOST_ROWS) : rows;
}

static void low_rank_grad_tile(const void *context, int64_t tile, void *scratch)
{
  const low_rank_grad_job *job = context;
  const cdl_low_rank_grad_args *g = job->args;
  const int64_t rank = g->a.size[2], in = g->x.size[3], out = g->d_out.size[3];
  const cpu_range rows = cpu_part(g->d_out.size[2], job->parts, tile, CPU_GRID_ROWS);
  const int64_t end = rows.first + rows.count;
  float *d_a = job->partial + tile * (rank * in + out * rank);
  int64_t row = rows.first;
  do {
    const int64_t count = grad_rows(g, end - row);
    differentiate_rows(job, row, count, row == rows.first, d_a, scratch);
    row += count;
  } while (row < end);
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
  const int64_t at_a_time = grad_rows(g, rows_of_part(rows, job.parts));
  const size_t scratch = CPU_PRODUCT_BYTES + cpu_float_bytes(at_a_time * rank) +
                         cpu_block_bytes(g->x, at_a_time, cpu_max(in, out));
  CDL_TRY(cpu_pool_enter(device->pool, scratch, cpu_float_bytes(job.parts * rank * (in + out)),
                         &shared));
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
