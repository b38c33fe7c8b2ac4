/* LoRA-XS (Bałazy et al. 2024): each layer trains a square matrix R between its frozen weight's own
 * largest singular vectors. With W [out, in] = U Σ Vᵀ:
 *   y = x Wᵀ + b + s (x A_lᵀ) B_lᵀ,   A_l = R (Σ_r V_rᵀ),  B_l = U_r
 * The paper writes x W for x Wᵀ, and so has Σ_r, as here, on the side of the input. */
#include <math.h>
#include <stdlib.h>

#include "model/adapter/config.h"
#include "model/adapter/io.h"
#include "model/adapter/methods/factors.h"

#define DEVIATION 1e-5 /* of R's initial values: the paper's */

/* Parameter i is R of module i. */
static cdl_status parameters(model_adapter *a)
{
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    const int64_t rank = a->per_module[i].rank;
    if (rank > module->weight.size[2] || rank > module->weight.size[3])
      return cdl_fail(CDL_STATUS_USAGE, "%s: a weight [%lld, %lld] has no rank %lld", module->path,
                      (long long)module->weight.size[2], (long long)module->weight.size[3],
                      (long long)rank);
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, rank, rank, "%s.lora_xs_R.weight",
                                  module->path));
  }
  return CDL_STATUS_OK;
}

static void initialize(const model_adapter *a, size_t index, cdl_random *random, float *values,
                       int64_t count)
{
  (void)a;
  (void)index;
  for (int64_t i = 0; i < count; i++)
    values[i] = (float)(DEVIATION * cdl_random_normal(random));
}

/* ---- The frozen pairs: matrix 2 i is Σ_r V_rᵀ of module i, 2 i + 1 its U_r ---- */

static cdl_status frozen(model_adapter *a)
{
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    const int64_t rank = a->per_module[i].rank;
    CDL_TRY(adapter_add_frozen(a, rank, module->weight.size[3],
                               ADAPTER_PREFIX "%s.lora_xs_A.weight", module->path));
    CDL_TRY(adapter_add_frozen(a, module->weight.size[2], rank,
                               ADAPTER_PREFIX "%s.lora_xs_B.weight", module->path));
  }
  return CDL_STATUS_OK;
}

static cdl_tensor frozen_a(const model_adapter *a, size_t module)
{
  return a->frozen[2 * module].value;
}

static cdl_tensor frozen_b(const model_adapter *a, size_t module)
{
  return a->frozen[2 * module + 1].value;
}

/* A pair of singular vectors may change its sign: that of v's largest element is positive. */
static float sign_of(const float *v, int64_t count)
{
  int64_t largest = 0;
  for (int64_t i = 1; i < count; i++)
    if (fabsf(v[i]) > fabsf(v[largest]))
      largest = i;
  return v[largest] < 0 ? -1 : 1;
}

static cdl_status make_pair(const model_adapter *a, cdl_queue *q, size_t module)
{
  const cdl_tensor down = frozen_a(a, module), up = frozen_b(a, module);
  const int64_t rank = down.size[2];
  adapter_factors f;
  CDL_TRY(adapter_factorize(q, a->modules[module]->weight, true, &f));
  for (int64_t r = 0; r < rank; r++) {
    float *v = f.right + r * f.columns;
    const float sign = sign_of(v, f.columns);
    for (int64_t i = 0; i < f.columns; i++)
      v[i] *= sign * f.sigma[r];
    for (int64_t i = 0; i < f.rows; i++)
      f.left[i * f.inner + r] *= sign;
  }
  /* Downwards: U_r's rows move to the front of U. */
  for (int64_t i = 0; i < f.rows; i++)
    for (int64_t r = 0; r < rank; r++)
      f.left[i * rank + r] = f.left[i * f.inner + r];
  cdl_queue_upload(q, down, f.right, (size_t)cdl_tensor_elements(down) * sizeof(float));
  cdl_queue_upload(q, up, f.left, (size_t)cdl_tensor_elements(up) * sizeof(float));
  free(f.memory);
  return cdl_queue_status(q);
}

static cdl_status prepare_base(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++)
    CDL_TRY(make_pair(a, q, i));
  return CDL_STATUS_OK;
}

/* ---- A of each layer ---- */

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  (void)q;
  for (size_t i = 0; i < a->module_count; i++)
    a->modules[i]->delta = (encoder_delta){.dropout = a->dropout,
                                           .low_rank = {.a = a->derived[i].a,
                                                        .d_a = a->derived[i].d_a,
                                                        .b = frozen_b(a, i),
                                                        .scale = a->derived[i].scale}};
  return CDL_STATUS_OK;
}

static void materialize(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++)
    cdl_gemm(q, CDL_ARGS(gemm, .out = a->derived[i].a, .a = a->own_parameters[i].value,
                         .b = frozen_a(a, i), .alpha = 1));
}

/* dR += dA_l (Σ_r V_rᵀ)ᵀ */
static void pull_back(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++)
    cdl_gemm(q, CDL_ARGS(gemm, .out = a->own_parameters[i].gradient, .a = a->derived[i].d_a,
                         .b = frozen_a(a, i), .transpose_b = true, .alpha = 1, .beta = 1));
}

const adapter_method adapter_method_lora_xs = {.name = "lora-xs",
                                               .peft_type = "LORA_XS",
                                               .has = ADAPTER_HAS_ALL,
                                               .module_ending = ".lora_xs_R.weight",
                                               .derives = true,
                                               .parameters = parameters,
                                               .frozen = frozen,
                                               .initialize = initialize,
                                               .prepare_base = prepare_base,
                                               .attach = attach,
                                               .materialize = materialize,
                                               .pull_back = pull_back};
