#include "backends/cpu/walk.h"

#include <math.h>

typedef struct {
  const cpu_kernels *kernels;
  const void *args;
  bool repeats; /* y is one element for the whole run */
} map_context;

static const float *floats_at(char *const *pointers, int tensor)
{
  return (const float *)(const void *)pointers[tensor];
}

static float *output_at(char *const *pointers)
{
  return (float *)(void *)pointers[0];
}

/* ---- BF16 ---- */

/* A map of float32 on BF16: blocks of the runs are widened, computed in place of one another, and
 * rounded. */
typedef struct {
  const cpu_kernels *kernels;
  cpu_run *run;
  const void *context;
  int tensors;
  bool reads_output;
} narrow_context;

static void narrow_run(const void *context, char *const *pointers, int64_t n)
{
  enum { BLOCK = 512 };
  const narrow_context *narrow = context;
  float blocks[CPU_WALK_TENSORS][BLOCK];
  char *wide[CPU_WALK_TENSORS];
  for (int t = 0; t < narrow->tensors; t++)
    wide[t] = (char *)blocks[t];
  for (int64_t done = 0; done < n; done += BLOCK) {
    const int64_t count = cpu_min(BLOCK, n - done);
    for (int t = narrow->reads_output ? 0 : 1; t < narrow->tensors; t++)
      narrow->kernels->bf16_to_f32(blocks[t], (const cdl_bf16 *)(const void *)pointers[t] + done,
                                   count);
    narrow->run(narrow->context, wide, count);
    narrow->kernels->f32_to_bf16((cdl_bf16 *)(void *)pointers[0] + done, blocks[0], count);
  }
}

/* Runs a map over tensors of one type, float32 or BF16; the first one is the output. */
static cdl_status run_map(cpu_device *device, const cdl_tensor *tensors, int count, cpu_run *run,
                          const void *args, bool reads_output)
{
  const cpu_walk walk = cpu_walk_over(tensors, count, false);
  const map_context map = {device->kernels, args, false};
  if (tensors[0].dtype == CDL_DTYPE_F32)
    return cpu_walk_run(device, &walk, run, &map);
  const narrow_context narrow = {device->kernels, run, &map, count, reads_output};
  return cpu_walk_run(device, &walk, narrow_run, &narrow);
}

/* ---- Maps ---- */

static void unary_run(const void *context, char *const *pointers, int64_t n)
{
  const map_context *map = context;
  const cdl_unary_args *a = map->args;
  map->kernels->unary(a->function, a->activation, output_at(pointers), floats_at(pointers, 1), n);
}

cdl_status cpu_unary(void *queue, const cdl_unary_args *a)
{
  return run_map(cpu_device_of(queue), (cdl_tensor[]){a->out, a->x}, 2, unary_run, a, false);
}

static void unary_grad_run(const void *context, char *const *pointers, int64_t n)
{
  const map_context *map = context;
  const cdl_unary_grad_args *a = map->args;
  map->kernels->activation_grad(a->activation, output_at(pointers), floats_at(pointers, 1),
                                floats_at(pointers, 2), n);
}

cdl_status cpu_unary_grad(void *queue, const cdl_unary_grad_args *a)
{
  return run_map(cpu_device_of(queue), (cdl_tensor[]){a->d_x, a->d_out, a->x}, 3, unary_grad_run, a,
                 false);
}

static void binary_run(const void *context, char *const *pointers, int64_t n)
{
  const map_context *map = context;
  const cdl_binary_args *a = map->args;
  if (map->repeats)
    map->kernels->binary_scalar(a->function, output_at(pointers), floats_at(pointers, 1),
                                *floats_at(pointers, 2), n);
  else
    map->kernels->binary(a->function, output_at(pointers), floats_at(pointers, 1),
                         floats_at(pointers, 2), n);
}

cdl_status cpu_binary(void *queue, const cdl_binary_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const cpu_walk walk = cpu_walk_over((cdl_tensor[]){a->out, a->x, a->y}, 3, true);
  return cpu_walk_run(device, &walk, binary_run,
                      &(map_context){device->kernels, a, walk.inner[2] == 0});
}

static void axpby_run(const void *context, char *const *pointers, int64_t n)
{
  const map_context *map = context;
  const cdl_axpby_args *a = map->args;
  map->kernels->axpby(output_at(pointers), floats_at(pointers, 1), a->alpha, a->beta, n);
}

cdl_status cpu_axpby(void *queue, const cdl_axpby_args *a)
{
  return run_map(cpu_device_of(queue), (cdl_tensor[]){a->out, a->x}, 2, axpby_run, a,
                 a->beta != 0.0f);
}

typedef struct {
  const cpu_kernels *kernels;
  cdl_dtype dtype;
  int32_t *flag;
} finite_context;

static void finite_run(const void *context, char *const *pointers, int64_t n)
{
  const finite_context *check = context;
  bool finite = true;
  if (check->dtype == CDL_DTYPE_F32) {
    finite = check->kernels->all_finite(floats_at(pointers, 0), n);
  } else {
    const double *x = (const double *)(const void *)pointers[0];
    for (int64_t j = 0; j < n; j++)
      finite = finite && isfinite(x[j]);
  }
  if (!finite)
    __atomic_fetch_or(check->flag, 1, __ATOMIC_RELAXED);
}

cdl_status cpu_any_non_finite(void *queue, const cdl_any_non_finite_args *a)
{
  cpu_device *device = cpu_device_of(queue);
  const cpu_walk walk = cpu_walk_over(&a->x, 1, false);
  return cpu_walk_run(device, &walk, finite_run,
                      &(finite_context){device->kernels, a->x.dtype, cpu_ints(a->flag)});
}
