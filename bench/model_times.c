#include "bench/model_times.h"

#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "base/number.h"

/* ---- Assumptions ---- */

const char *const bench_model_devices[BENCH_MODEL_DEVICES] = {"a100", "h100", "h200"};
const char *const bench_bound_names[BENCH_BOUNDS] = {"memory", "products", "issue", "launch",
                                                     "copy"};

const bench_assumption bench_assumption_list[BENCH_ASSUMPTIONS] = {
#define ASSUMPTION(name, a100, h100, h200, what) {#name, what, offsetof(bench_assumptions, name)},
#include "bench/model_assumptions.def"
#undef ASSUMPTION
};

bench_assumptions bench_assumptions_of(int device)
{
  static const bench_assumptions of[BENCH_MODEL_DEVICES] = {{
#define ASSUMPTION(name, a100, h100, h200, what) .name = a100,
#include "bench/model_assumptions.def"
#undef ASSUMPTION
                                                            },
                                                            {
#define ASSUMPTION(name, a100, h100, h200, what) .name = h100,
#include "bench/model_assumptions.def"
#undef ASSUMPTION
                                                            },
                                                            {
#define ASSUMPTION(name, a100, h100, h200, what) .name = h200,
#include "bench/model_assumptions.def"
#undef ASSUMPTION
                                                            }};
  return of[device];
}

static int device_of(const char *text, size_t length)
{
  for (int d = 0; d < BENCH_MODEL_DEVICES; d++)
    if (strlen(bench_model_devices[d]) == length &&
        strncmp(bench_model_devices[d], text, length) == 0)
      return d;
  return -1;
}

cdl_status bench_assume(const char *text, bench_assumptions of[BENCH_MODEL_DEVICES])
{
  const char *dot = strchr(text, '.'), *equals = strchr(text, '=');
  if (equals == NULL)
    return cdl_fail(CDL_STATUS_USAGE, "--assume: '%s' is not NAME=VALUE", text);
  const bool of_one = dot != NULL && dot < equals;
  const char *name = of_one ? dot + 1 : text;
  const int device = of_one ? device_of(text, (size_t)(dot - text)) : 0;
  if (device < 0)
    return cdl_fail(CDL_STATUS_USAGE, "--assume: '%s' does not begin with a100, h100 or h200",
                    text);
  double value;
  if (!base_number_parse(equals + 1, strlen(equals + 1), &value) || !(value > 0) ||
      !isfinite(value))
    return cdl_fail(CDL_STATUS_USAGE, "--assume: '%s' is not a number above 0", equals + 1);
  for (size_t i = 0; i < BENCH_ASSUMPTIONS; i++) {
    const bench_assumption *known = &bench_assumption_list[i];
    if (strlen(known->name) != (size_t)(equals - name) ||
        strncmp(known->name, name, (size_t)(equals - name)) != 0)
      continue;
    for (int d = 0; d < BENCH_MODEL_DEVICES; d++)
      if (!of_one || d == device)
        memcpy((char *)&of[d] + known->offset, &value, sizeof value);
    return CDL_STATUS_OK;
  }
  return cdl_fail(CDL_STATUS_USAGE, "--assume: nothing assumed is called '%.*s'",
                  (int)(equals - name), name);
}

/* ---- Work ---- */

static void bound_by(bench_work_time *time, double seconds, bench_bound bound)
{
  if (seconds > time->seconds)
    *time = (bench_work_time){seconds, bound};
}

/* The share of the device's multiprocessors that have a group. */
static double busy(double groups, const bench_assumptions *a)
{
  return groups < a->multiprocessors ? groups / a->multiprocessors : 1;
}

static cdl_status time_kernel(const bench_kernel_work *work, const bench_sequences *sequences,
                              const bench_assumptions *a, bench_work_time *time)
{
  enum { LANES = 128 }; /* instructions of one work-item that a multiprocessor issues a cycle */
  bench_kernel_cost cost;
  CDL_TRY(bench_cost_of_kernel(work, bench_driver_parameters(work), sequences, &cost));
  const double instructions = cost.instructions + cost.tiles * work->items * a->tile_instructions;
  const double issue = a->multiprocessors * LANES * a->clock_ghz * 1e9 *
                       (cost.low_occupancy ? a->low_occupancy_share : a->issue_share);
  const double used = busy((double)work->groups, a);
  bound_by(time, (cost.read_bytes + cost.written_bytes) / (a->memory_gbps * 1e9),
           BENCH_BOUND_MEMORY);
  bound_by(time, cost.tensor_flop / (a->bf16_tflops * 1e12 * a->mma_share * used),
           BENCH_BOUND_PRODUCTS);
  bound_by(time, instructions / (issue * used), BENCH_BOUND_ISSUE);
  return CDL_STATUS_OK;
}

static double product_rate(const bench_product_work *p, const bench_assumptions *a)
{
  const double tflops = p->compute == CUBLAS_COMPUTE_64F             ? a->fp64_tflops
                        : p->a == CUDA_R_16BF && p->b == CUDA_R_16BF ? a->bf16_tflops
                        : p->compute == CUBLAS_COMPUTE_32F_FAST_TF32 ? a->tf32_tflops
                                                                     : a->fp32_tflops;
  return tflops * 1e12 * a->product_share;
}

/* A tile's side is a power of two, at most the assumed one. */
static double tile_of(double size, const bench_assumptions *a)
{
  enum { LEAST_TILE = 16 };
  double tile = LEAST_TILE;
  while (tile < size && tile < a->product_tile)
    tile *= 2;
  return tile;
}

/* Multiprocessors take tiles in whole waves. If there are fewer tiles than multiprocessors, k is
 * split. */
static void time_product(const bench_product_work *p, const bench_assumptions *a,
                         bench_work_time *time)
{
  const double rows = tile_of((double)p->m, a), columns = tile_of((double)p->n, a);
  const double tiles = ceil((double)p->m / rows) * ceil((double)p->n / columns) * (double)p->batch;
  const double k = (double)p->k;
  const double most = fmax(1, floor(k / a->product_depth));
  const double parts = fmin(fmax(1, floor(a->multiprocessors / tiles)), most);
  const double waves = ceil(tiles * parts / a->multiprocessors);
  const double flop_of_a_tile = 2 * rows * columns * ceil(k / parts);
  bound_by(time, waves * flop_of_a_tile * a->multiprocessors / product_rate(p, a),
           BENCH_BOUND_PRODUCTS);
  bound_by(time, bench_product_bytes(p) / (a->memory_gbps * 1e9), BENCH_BOUND_MEMORY);
}

cdl_status bench_time_of_work(const bench_work *work, const bench_sequences *sequences,
                              const bench_assumptions *a, bench_work_time *time)
{
  *time = (bench_work_time){0, BENCH_BOUND_LAUNCH};
  if (work->kind == BENCH_WORK_COPY) {
    *time = (bench_work_time){a->copy_us * 1e-6 + (double)work->copied_bytes / (a->copy_gbps * 1e9),
                              BENCH_BOUND_COPY};
    return CDL_STATUS_OK;
  }
  if (work->kind == BENCH_WORK_KERNEL)
    CDL_TRY(time_kernel(&work->kernel, sequences, a, time));
  else
    time_product(&work->product, a, time);
  const double node = a->node_us * 1e-6;
  if (time->seconds < node)
    time->bound = BENCH_BOUND_LAUNCH;
  time->seconds += node;
  /* The host launches the next while the device works. */
  if (!work->recorded)
    bound_by(time, a->launch_us * 1e-6, BENCH_BOUND_LAUNCH);
  return CDL_STATUS_OK;
}
