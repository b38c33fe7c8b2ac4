/* One pair A, B for all layers of a group, without the frozen weights: CondLoRA's sharing without
 * its condition.
 *   y = x Wᵀ + b + s (x Aᵀ) Bᵀ,   A [r, in], B [out, r] of the group */
#include "model/adapter/state.h"
#include "model/files/family.h"

/* Parameter 2 g is A of group g, 2 g + 1 its B. A group is named by its path inside the block. */
static cdl_status parameters(model_adapter *a)
{
  int known = 0;
  for (size_t i = 0; i < a->run_count; i++) {
    const layer_batch *run = &a->runs[i];
    if (run->group < known)
      continue;
    known = run->group + 1;
    const char *path = model_family_of(encoder_config(a->encoder)->family)->block->paths[run->kind];
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->rank, run->weights.size[3],
                                  "%s.shared_A.weight", path));
    CDL_TRY(adapter_add_parameter(a, ENCODER_ROLE_WEIGHT, run->weights.size[2], run->rank,
                                  "%s.shared_B.weight", path));
  }
  return CDL_STATUS_OK;
}

/* The layers' gradients are added where they belong: nothing is left to pull back. */
static cdl_status attach(model_adapter *a, cdl_queue *q)
{
  (void)q;
  for (size_t r = 0; r < a->run_count; r++) {
    const layer_batch *run = &a->runs[r];
    const encoder_parameter *down = &a->own_parameters[2 * run->group],
                            *up = &a->own_parameters[2 * run->group + 1];
    for (int i = 0; i < run->count; i++)
      run->modules[i]->delta =
          (encoder_delta){.dropout = a->dropout,
                          .low_rank = {.a = down->value,
                                       .b = up->value,
                                       .d_a = down->gradient,
                                       .d_b = up->gradient,
                                       .scale = a->per_module[run->numbers[i]].scale}};
  }
  return CDL_STATUS_OK;
}

const adapter_method adapter_method_shared = {.name = "shared",
                                              .peft_type = "SHARED",
                                              .has = ADAPTER_HAS_ALL,
                                              .initial_values = 1u << ADAPTER_INIT_GAUSSIAN,
                                              .shares = true,
                                              .parameters = parameters,
                                              .initialize = adapter_initialize_pair,
                                              .attach = attach,
                                              .takes_ratio = adapter_pair_takes_ratio};
