#include "backends/cpu/gemm.h"

#include "backends/cpu/product.h"
#include "backends/cpu/walk.h"

/* ---- The grid ---- */

/* Returns the expected time of a grid in multiply-adds. The constants were measured with AVX-512 on
 * one Sapphire Rapids core: packing costs a tile of m × n the PACKING (1/m + 1/n) part of its own
 * work; beginning a tile costs 60,000 multiply-adds (0.8 µs), and a parallel loop 300,000. Threads
 * never run at one speed: at the end they wait for the slowest, for 0.05 of a tile by assumption.
 */
static double expected_time(int64_t m, int64_t n, int64_t k, int threads, cpu_grid grid)
{
  const double packing = 10.0, begin = 6e4, loop = 3e5, lag = 0.05;
  const int64_t tile_m = cpu_divide_up(cpu_divide_up(m, CPU_GRID_ROWS), grid.rows) * CPU_GRID_ROWS;
  const int64_t tile_n =
      cpu_divide_up(cpu_divide_up(n, CPU_GRID_COLUMNS), grid.columns) * CPU_GRID_COLUMNS;
  const double work = (double)tile_m * (double)tile_n * (double)k;
  const double tile =
      work * (1.0 + packing * (1.0 / (double)tile_m + 1.0 / (double)tile_n)) + begin;
  const int64_t tiles = grid.rows * grid.columns;
  return tiles == 1 ? tile : ((double)cpu_divide_up(tiles, threads) + lag) * tile + loop;
}

cpu_grid cpu_gemm_grid(int64_t m, int64_t n, int64_t k, int threads)
{
  enum { MOST_ROWS = 512, MOST_COLUMNS = 512 }; /* of a tile: its panels stay in a 1 MiB L2 */
  const cpu_grid least = {cpu_divide_up(m, MOST_ROWS), cpu_divide_up(n, MOST_COLUMNS)};
  cpu_grid best = least;
  if (threads == 1 || (double)m * (double)n * (double)k < 4e5)
    return best;
  double best_time = expected_time(m, n, k, threads, best);
  /* Further tiles would add packing and no evenness. */
  const int64_t rows_end = cpu_min(least.rows + 2 * threads, cpu_divide_up(m, 4 * CPU_GRID_ROWS));
  const int64_t columns_end =
      cpu_min(least.columns + 2 * threads, cpu_divide_up(n, 2 * CPU_GRID_COLUMNS));
  for (int64_t rows = least.rows; rows <= rows_end; rows++)
    for (int64_t columns = least.columns; columns <= columns_end; columns++) {
      if (rows * columns > least.rows * least.columns + 2 * threads)
        break;
      const double time = expected_time(m, n, k, threads, (cpu_grid){rows, columns});
      if (time < best_time) {
        best_time = time;
        best = (cpu_grid){rows, columns};
      }
    }
  return best;
}

/* ---- Operands ---- */

/* A stored matrix; `packed` if a tile's part must first be copied to a dense matrix of floats. */
typedef struct {
  cdl_tensor tensor;
  bool transpose, packed;
  int64_t stride;
} operand;

static operand operand_of(cdl_tensor t, bool transpose)
{
  operand o = {.tensor = t, .transpose = transpose};
  const bool one_row = t.size[2] == 1;
  o.stride = one_row ? cpu_max(1, t.size[3]) : t.stride[2];
  o.packed = t.dtype == CDL_DTYPE_BF16;
  return o;
}

/* Returns the bytes of scratch for a part of `span` rows (columns, if transposed) over k. */
static size_t packed_bytes(const operand *o, int64_t span, int64_t k)
{
  return o->packed ? cpu_float_bytes(span * k) : 0;
}

/* Returns the part of `o` in matrix (i0, i1) that begins at (row, column), [rows, columns] as
 * stored, and its stride. */
static const void *operand_part(const operand *o, const cpu_kernels *kernels, int64_t offset,
                                int64_t row, int64_t column, int64_t rows, int64_t columns,
                                char *scratch, int64_t *stride)
{
  const size_t element = cdl_dtype_bytes(o->tensor.dtype);
  const char *start = cpu_bytes(o->tensor) + (size_t)(offset + row * o->stride + column) * element;
  *stride = o->stride;
  if (!o->packed)
    return start;
  *stride = columns;
  for (int64_t i = 0; i < rows; i++)
    kernels->bf16_to_f32((float *)(void *)scratch + i * columns,
                         (const cdl_bf16 *)(const void *)start + i * o->stride, columns);
  return scratch;
}

/* ---- The op ---- */

typedef struct {
  cpu_device *device;
  const cdl_gemm_args *args;
  operand a, b;
  int64_t m, n, k, batches, c_stride;
  cpu_grid grid;
  int64_t pieces; /* of k; above 1 the grid is 1 × 1 and results go to `partial` */
  int64_t batches_a_tile;
  size_t scratch_a; /* bytes of the scratch that belong to a */
  float *partial;   /* [batches, pieces, m, n] */
} gemm_job;

typedef struct {
  cpu_range m, n, k;
} gemm_part;

/* The working memory of products comes first in a tile's scratch. */
static size_t panel_bytes(const gemm_job *job)
{
  return job->args->out.dtype == CDL_DTYPE_F64 ? 2 * CPU_PRODUCT_BYTES : CPU_PRODUCT_BYTES;
}

static void multiply_part(const gemm_job *job, int64_t batch, gemm_part part, float beta, void *c,
                          int64_t c_stride, char *panels)
{
  char *scratch = panels + panel_bytes(job);
  const cdl_gemm_args *g = job->args;
  const int64_t i0 = batch / g->out.size[1], i1 = batch % g->out.size[1];
  const operand *a = &job->a, *b = &job->b;
  const int64_t a_offset = i0 * a->tensor.stride[0] + i1 * a->tensor.stride[1];
  const int64_t b_offset = i0 * b->tensor.stride[0] + i1 * b->tensor.stride[1];
  int64_t a_stride, b_stride;
  const cpu_kernels *kernels = job->device->kernels;
  const void *a_part = a->transpose ? operand_part(a, kernels, a_offset, part.k.first, part.m.first,
                                                   part.k.count, part.m.count, scratch, &a_stride)
                                    : operand_part(a, kernels, a_offset, part.m.first, part.k.first,
                                                   part.m.count, part.k.count, scratch, &a_stride);
  scratch += job->scratch_a;
  const void *b_part = b->transpose ? operand_part(b, kernels, b_offset, part.n.first, part.k.first,
                                                   part.n.count, part.k.count, scratch, &b_stride)
                                    : operand_part(b, kernels, b_offset, part.k.first, part.n.first,
                                                   part.k.count, part.n.count, scratch, &b_stride);
  const cpu_range m = part.m, n = part.n, k = part.k;
  if (g->out.dtype == CDL_DTYPE_F64)
    cpu_dgemm(kernels, panels, g->transpose_a, g->transpose_b, m.count, n.count, k.count,
              (double)g->alpha, a_part, a_stride, b_part, b_stride, (double)beta, c, c_stride);
  else
    cpu_sgemm(kernels, panels, g->transpose_a, g->transpose_b, m.count, n.count, k.count, g->alpha,
              a_part, a_stride, b_part, b_stride, beta, c, c_stride);
}

static char *output_start(const gemm_job *job, int64_t batch, int64_t row, int64_t column)
{
  const cdl_tensor *out = &job->args->out;
  const int64_t at = batch / out->size[1] * out->stride[0] + batch % out->size[1] * out->stride[1] +
                     row * job->c_stride + column;
  return cpu_bytes(*out) + at * (int64_t)cdl_dtype_bytes(out->dtype);
}

static void gemm_tile(const void *context, int64_t tile, void *scratch)
{
  const gemm_job *job = context;
  const int64_t tiles = job->grid.rows * job->grid.columns;
  const int64_t row = tile % tiles / job->grid.columns, column = tile % job->grid.columns;
  const int64_t first = tile / tiles * job->batches_a_tile;
  const gemm_part part = {cpu_part(job->m, job->grid.rows, row, CPU_GRID_ROWS),
                          cpu_part(job->n, job->grid.columns, column, CPU_GRID_COLUMNS),
                          {0, job->k}};
  for (int64_t batch = first; batch < cpu_min(job->batches, first + job->batches_a_tile); batch++)
    if (part.m.count > 0 && part.n.count > 0)
      multiply_part(job, batch, part, job->args->beta,
                    output_start(job, batch, part.m.first, part.n.first), job->c_stride, scratch);
}

static void piece_tile(const void *context, int64_t tile, void *scratch)
{
  const gemm_job *job = context;
  const gemm_part part = {
      {0, job->m}, {0, job->n}, cpu_part(job->k, job->pieces, tile % job->pieces, 64)};
  multiply_part(job, tile / job->pieces, part, 0.0f, job->partial + tile * job->m * job->n, job->n,
                scratch);
}

/* A long sum for few results: computes pieces of k in parallel, then adds them in order. */
static cdl_status run_pieces(gemm_job *job)
{
  cpu_device *device = job->device;
  const int64_t longest = job->k / job->pieces + 128, area = job->m * job->n;
  job->scratch_a = packed_bytes(&job->a, job->m, longest);
  void *shared;
  CDL_TRY(cpu_pool_enter(device->pool,
                         panel_bytes(job) + job->scratch_a + packed_bytes(&job->b, job->n, longest),
                         cpu_float_bytes(job->batches * job->pieces * area), &shared));
  job->partial = shared;
  cpu_pool_for(device->pool, job->batches * job->pieces, piece_tile, job);
  for (int64_t batch = 0; batch < job->batches; batch++) {
    float *sum = job->partial + batch * job->pieces * area;
    for (int64_t piece = 1; piece < job->pieces; piece++)
      device->kernels->add_row(CDL_REDUCE_SUM, sum, sum + piece * area, area);
    for (int64_t i = 0; i < job->m; i++)
      device->kernels->axpby((float *)(void *)output_start(job, batch, i, 0), sum + i * job->n,
                             1.0f, job->args->beta, job->n);
  }
  cpu_pool_leave(device->pool);
  return CDL_STATUS_OK;
}

static cdl_status run_tiles(gemm_job *job)
{
  enum { TILE_WORK = 1 << 20 }; /* multiply-adds below which matrices of a batch share a tile */
  const double work = (double)job->m * (double)job->n * (double)cpu_max(1, job->k);
  job->grid = cpu_gemm_grid(job->m, job->n, job->k, cpu_pool_threads(job->device->pool));
  job->batches_a_tile = 1;
  if (job->batches > 1 && work < 64e6)
    job->grid = (cpu_grid){1, 1};
  if (job->batches > 1 && work < TILE_WORK)
    job->batches_a_tile = cpu_min(job->batches, (int64_t)(TILE_WORK / work));
  const int64_t tile_m = cpu_divide_up(job->m, job->grid.rows) + CPU_GRID_ROWS;
  const int64_t tile_n = cpu_divide_up(job->n, job->grid.columns) + CPU_GRID_COLUMNS;
  job->scratch_a = packed_bytes(&job->a, tile_m, job->k);
  const size_t scratch = panel_bytes(job) + job->scratch_a + packed_bytes(&job->b, tile_n, job->k);
  const int64_t groups = cpu_divide_up(job->batches, job->batches_a_tile);
  return cpu_pool_run(job->device->pool, groups * job->grid.rows * job->grid.columns, scratch,
                      gemm_tile, job);
}

/* out = β out: a sum over nothing. */
static cdl_status scale_output(void *queue, const cdl_gemm_args *g)
{
  if (g->beta == 0.0f)
    return cpu_fill(queue, CDL_ARGS(fill, .out = g->out, .value = 0.0));
  for (int64_t row = 0; row < g->out.size[0] * g->out.size[1] * g->out.size[2]; row++) {
    const int64_t start = cpu_row_start(&g->out, row);
    for (int64_t j = start; j < start + g->out.size[3]; j++)
      if (g->out.dtype == CDL_DTYPE_F64)
        ((double *)(void *)cpu_bytes(g->out))[j] *= (double)g->beta;
      else
        cpu_floats(g->out)[j] *= g->beta;
  }
  return CDL_STATUS_OK;
}

cdl_status cpu_gemm(void *queue, const cdl_gemm_args *g)
{
  if (cdl_tensor_elements(g->out) == 0)
    return CDL_STATUS_OK;
  gemm_job job = {.device = cpu_device_of(queue),
                  .args = g,
                  .a = operand_of(g->a, g->transpose_a),
                  .b = operand_of(g->b, g->transpose_b),
                  .m = g->out.size[2],
                  .n = g->out.size[3],
                  .k = g->transpose_a ? g->a.size[2] : g->a.size[3],
                  .batches = g->out.size[0] * g->out.size[1],
                  .pieces = 1};
  job.c_stride = job.m == 1 ? job.n : g->out.stride[2];
  if (job.k == 0)
    return scale_output(queue, g);
  const bool few_results = job.m * job.n <= 64 * 64 && job.k >= 4096 && job.batches < 16;
  if (few_results && g->out.dtype == CDL_DTYPE_F32) {
    job.pieces = cpu_min(16, job.k / 2048);
    return run_pieces(&job);
  }
  return run_tiles(&job);
}
