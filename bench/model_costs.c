#include "bench/model_costs.h"

#include <stdint.h>

/* ---- Kernels ---- */

/* The type of each kernel's parameters. */
#define KERNEL_ENTRY(name, buffers, parameters, barriers, program) \
  typedef parameters parameters_of_##name;
#include "backends/kernels/kernels.def"
#undef KERNEL_ENTRY

static double cells(const row_tiling *tiling)
{
  return (double)tiling->rows * (double)tiling->size[3];
}

static double room_per_cell(const row_tiling *tiling)
{
  const double columns = (double)tiling->size[3];
  const double room = 8.0 * ROW_EIGHTS * (double)(1 << tiling->lanes_log2);
  return columns > 0 && room > columns ? room / columns : 1;
}

static double tiles(const row_tiling *tiling)
{
  return (double)tiling->tiles;
}

/* Counted in the machine code of `unary`, and of `unary_bf16` if fast. */
static double activation_instructions(int function, bool fast)
{
  switch (function) {
  case FUNCTION_NONE:
    return 0;
  case FUNCTION_GELU:
    return fast ? 27 : 62;
  case FUNCTION_RELU:
  case FUNCTION_ABSOLUTE:
  case FUNCTION_SQUARE:
    return 2;
  case FUNCTION_SQUARE_ROOT:
  case FUNCTION_RECIPROCAL:
    return 14;
  default:
    return 48;
  }
}

static double pairs(const bench_sequences *sequences, int64_t queries, int64_t keys)
{
  double sum = 0;
  for (size_t i = 0; i < sequences->count; i++) {
    const int64_t length = sequences->offsets[i + 1] - sequences->offsets[i];
    const int64_t rows = (length + queries - 1) / queries * queries;
    const int64_t columns = (length + keys - 1) / keys * keys;
    sum += (double)rows * (double)columns;
  }
  return sum;
}

static double tokens(const bench_sequences *sequences, double longest)
{
  double sum = 0;
  for (size_t i = 0; i < sequences->count; i++) {
    const double length = sequences->offsets[i + 1] - sequences->offsets[i];
    sum += length <= longest ? length : 0;
  }
  return sum;
}

cdl_status bench_cost_of_kernel(const bench_kernel_work *work, const void *parameters,
                                const bench_sequences *sequences, bench_kernel_cost *cost)
{
#define CELLS(tiling) cells(&(tiling))
#define ROOM_PER_CELL(tiling) room_per_cell(&(tiling))
#define HAS(buffer) ((work->present >> (buffer)&1u) != 0)
#define PAIRS(queries, keys) pairs(sequences, (int64_t)(queries), (int64_t)(keys))
#define TOKENS(longest) tokens(sequences, longest)
#define ACTIVATION(function) activation_instructions(function, false)
#define FAST_ACTIVATION(function) activation_instructions(function, true)
#define EACH(name, read, written, count)                                                        \
  case KERNEL_##name: {                                                                         \
    const parameters_of_##name *p = parameters;                                                 \
    const double n = cells(&p->tiling);                                                         \
    *cost = (bench_kernel_cost){(read)*n, (written)*n, (count)*n, tiles(&p->tiling), 0, false}; \
    return CDL_STATUS_OK;                                                                       \
  }
#define ROW(name, read, written, count, flop, low)                                      \
  case KERNEL_##name: {                                                                 \
    const parameters_of_##name *p = parameters;                                         \
    *cost = (bench_kernel_cost){read, written, count, (double)work->groups, flop, low}; \
    return CDL_STATUS_OK;                                                               \
  }
#define WHOLE(name, read, written, count, flop) ROW(name, read, written, count, flop, false)
#define LOW_OCCUPANCY(name, read, written, count, flop) ROW(name, read, written, count, flop, true)
  switch (work->id) {
#include "backends/kernels/costs.def"
  case KERNEL_COUNT:
    break;
  }
#undef EACH
#undef ROW
#undef WHOLE
#undef LOW_OCCUPANCY
  const unsigned id = (unsigned)work->id;
  return cdl_fail(CDL_STATUS_UNSUPPORTED, "backends/kernels/costs.def has no row for the kernel %s",
                  id < KERNEL_COUNT ? kernel_list[id].name : "without a number");
}

/* ---- Products ---- */

static double bytes_of(cudaDataType type)
{
  return type == CUDA_R_64F ? 8 : type == CUDA_R_16BF ? 2 : 4;
}

double bench_product_bytes(const bench_product_work *p)
{
  const double m = (double)p->m, n = (double)p->n, k = (double)p->k, batch = (double)p->batch;
  return m * k * bytes_of(p->a) * (p->repeats_a ? 1 : batch) +
         k * n * bytes_of(p->b) * (p->repeats_b ? 1 : batch) +
         m * n * bytes_of(p->out) * batch * (p->adds ? 2 : 1);
}

double bench_product_flop(const bench_product_work *p)
{
  return 2 * (double)p->m * (double)p->n * (double)p->k * (double)p->batch;
}
