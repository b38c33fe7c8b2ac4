/* LoRA (Hu et al. 2022): A_l and B_l of each adapted layer are parameters. The file also has the
 * initial values of PiSSA and OLoRA, which are a part of the frozen weight and are subtracted from
 * it. Options add DoRA and DyLoRA. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "model/adapter/io.h"
#include "model/adapter/methods/factors.h"
#include "model/adapter/methods/low_rank.h"

/* Parameter 2 i is A of module i, and 2 i + 1 is its B. */
static cdl_status parameters(model_adapter *a)
{
  CDL_TRY(low_rank_check_options(a));
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_module *module = a->modules[i];
    const int64_t rank = a->per_module[i].rank;
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, rank, module->weight.size[3],
                                  "%s.lora_A.weight", module->path));
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, module->weight.size[2], rank,
                                  "%s.lora_B.weight", module->path));
  }
  return dora_parameters(a);
}

static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  for (size_t i = 0; i < a->module_count; i++) {
    const encoder_parameter *down = &a->own_parameters[2 * i], *up = &a->own_parameters[2 * i + 1];
    a->modules[i]->delta = (encoder_delta){.dropout = a->dropout,
                                           .low_rank = {.a = down->value,
                                                        .b = up->value,
                                                        .d_a = down->gradient,
                                                        .d_b = up->gradient,
                                                        .scale = a->per_module[i].scale}};
  }
  CDL_TRY(dora_attach(a, q));
  return dylora_attach(a);
}

static void pull_back(model_adapter *a, cdl_queue *q)
{
  dylora_pull_back(a, q);
  dora_pull_back(a, q);
}

/* ---- Initial values from the frozen weight ---- */

/* The method's state: A and B that were subtracted from the weights, end to end like the
 * parameters; NULL if nothing was subtracted. */
static int64_t own_offset(const model_adapter *a, size_t index)
{
  int64_t offset = 0;
  for (size_t i = 0; i < index; i++)
    offset += cdl_tensor_elements(a->own_parameters[i].value);
  return offset;
}

/* PiSSA: A = √(Σ_r / s) V_rᵀ, B = U_r √(Σ_r / s). OLoRA: A is the first r rows of R, B the first r
 * columns of Q. s · B A is then subtracted from W. */
static cdl_status take_off(model_adapter *a, cdl_queue *q, size_t module, float *down, float *up)
{
  const int64_t rank = a->per_module[module].rank;
  const double scale = (double)a->per_module[module].scale;
  const bool singular = a->init == ADAPTER_INIT_PISSA;
  const cdl_tensor weight = a->modules[module]->weight;
  adapter_factors f;
  if (rank > weight.size[2] || rank > weight.size[3])
    return cdl_fail(CDL_STATUS_USAGE,
                    "%s: initial values from a weight [%lld, %lld] have no rank %lld",
                    a->modules[module]->path, (long long)weight.size[2], (long long)weight.size[3],
                    (long long)rank);
  CDL_TRY(adapter_factorize(q, weight, singular, &f));
  for (int64_t r = 0; r < rank; r++) {
    const double part = singular ? sqrt((double)f.sigma[r] / scale) : 1;
    for (int64_t i = 0; i < f.columns; i++)
      down[r * f.columns + i] = (float)(part * (double)f.right[r * f.columns + i]);
    for (int64_t i = 0; i < f.rows; i++)
      up[i * rank + r] = (float)(part * (double)f.left[i * f.inner + r]);
  }
  free(f.memory);
  const cdl_tensor a0 = a->own_parameters[2 * module].value,
                   b0 = a->own_parameters[2 * module + 1].value;
  cdl_queue_upload(q, a0, down, (size_t)cdl_tensor_elements(a0) * sizeof *down);
  cdl_queue_upload(q, b0, up, (size_t)cdl_tensor_elements(b0) * sizeof *up);
  cdl_gemm(q, CDL_ARGS(gemm, .out = weight, .a = b0, .b = a0, .alpha = -a->per_module[module].scale,
                       .beta = 1));
  return cdl_queue_status(q);
}

static cdl_status take_off_all(model_adapter *a, cdl_queue *q)
{
  if (a->own_state != NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT,
                    "an adapter's initial values are taken off the weights once");
  float *taken = calloc((size_t)own_offset(a, a->own_count) + 1, sizeof(float));
  if (taken == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: initial values");
  a->own_state = taken;
  CDL_TRY(adapter_own_weights(a, q, true));
  for (size_t i = 0; i < a->module_count; i++)
    CDL_TRY(take_off(a, q, i, taken + own_offset(a, 2 * i), taken + own_offset(a, 2 * i + 1)));
  encoder_weights_changed(a->encoder, q, false);
  return CDL_STATUS_OK;
}

static cdl_status prepare_base(model_adapter *a, cdl_queue *q)
{
  if (a->init == ADAPTER_INIT_PISSA || a->init == ADAPTER_INIT_OLORA)
    CDL_TRY(take_off_all(a, q));
  dora_initialize(a, q);
  return CDL_STATUS_OK;
}

static void release(model_adapter *a)
{
  free(a->own_state);
  dora_release(a);
  dylora_release(a);
}

/* The folder is read with the original weights, so it is a LoRA of twice the rank: B A − B₀ A₀ =
 * [B, −B₀] [A; A₀]. */
static cdl_status store(const model_adapter *a, const adapter_snapshot *snapshot, size_t index,
                        stored_values *stored)
{
  const float *taken = a->own_state;
  if (taken == NULL || dora_owns(a, index))
    return CDL_STATUS_OK;
  const cdl_tensor value = a->own_parameters[index].value;
  const int64_t rows = value.size[2], columns = value.size[3], elements = rows * columns;
  const float *now = snapshot->values + own_offset(a, index),
              *before = taken + own_offset(a, index);
  const bool down = index % 2 == 0;
  *stored = (stored_values){.rows = down ? 2 * rows : rows,
                            .columns = down ? columns : 2 * columns,
                            .values = malloc(2 * (size_t)elements * sizeof(float))};
  if (stored->values == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: %s", a->own_parameters[index].name);
  if (down) {
    memcpy(stored->values, now, (size_t)elements * sizeof *now);
    memcpy(stored->values + elements, before, (size_t)elements * sizeof *before);
    return CDL_STATUS_OK;
  }
  for (int64_t i = 0; i < rows; i++)
    for (int64_t r = 0; r < columns; r++) {
      stored->values[i * 2 * columns + r] = now[i * columns + r];
      stored->values[i * 2 * columns + columns + r] = -before[i * columns + r];
    }
  return CDL_STATUS_OK;
}

const adapter_update_names low_rank_update_names = {.down = ".lora_A.weight",
                                                    .up = ".lora_B.weight",
                                                    .table_down = ".lora_embedding_A",
                                                    .table_up = ".lora_embedding_B",
                                                    .lengths = ".lora_magnitude_vector"};

static const base_option options[] = {LOW_RANK_OPTIONS, {0}};

const adapter_method adapter_method_lora = {.name = "lora",
                                            .peft_type = "LORA",
                                            .has = ADAPTER_HAS_ALL,
                                            .biases_of_up = true,
                                            .module_ending = ".lora_A.weight",
                                            .update_names = &low_rank_update_names,
                                            .has_lengths = dora_is_on,
                                            .takes_ratio = adapter_pair_takes_ratio,
                                            .options = options,
                                            .initial_values = 1u << ADAPTER_INIT_GAUSSIAN |
                                                              1u << ADAPTER_INIT_PISSA |
                                                              1u << ADAPTER_INIT_OLORA,
                                            .parameters = parameters,
                                            .initialize = adapter_initialize_pair,
                                            .attach = attach,
                                            .release = release,
                                            .materialize = dora_materialize,
                                            .pull_back = pull_back,
                                            .prepare_base = prepare_base,
                                            .begin_step = dylora_begin_step,
                                            .after_step = dylora_after_step,
                                            .varies = dylora_varies,
                                            .store = store};
