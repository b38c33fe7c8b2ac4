/* LoRA (Hu et al. 2022): A_l and B_l of each adapted layer are trained themselves. */
#include "model/adapter_state.h"

/* Parameter 2 i is A of site i, 2 i + 1 its B. */
static cdl_status parameters(cdl_adapter *a)
{
  for (size_t i = 0; i < a->site_count; i++) {
    const cdl_site *site = a->sites[i];
    CDL_TRY(adapter_add_parameter(a, CDL_ROLE_WEIGHT, a->rank, site->weight.size[3],
                                  "%s.lora_A.weight", site->path));
    CDL_TRY(adapter_add_parameter(a, CDL_ROLE_WEIGHT, site->weight.size[2], a->rank,
                                  "%s.lora_B.weight", site->path));
  }
  return CDL_OK;
}

static cdl_status attach(cdl_adapter *a, cdl_queue *q)
{
  (void)q;
  for (size_t i = 0; i < a->site_count; i++) {
    const cdl_parameter *down = &a->own[2 * i], *up = &a->own[2 * i + 1];
    a->sites[i]->delta = (cdl_delta){.a = down->value,
                                     .b = up->value,
                                     .d_a = down->gradient,
                                     .d_b = up->gradient,
                                     .scale = a->scale,
                                     .dropout = a->dropout};
  }
  return CDL_OK;
}

const cdl_adapter_method cdl_lora = {.name = "lora",
                                     .peft_type = "LORA",
                                     .parameters = parameters,
                                     .initialize = adapter_initialize_pair,
                                     .attach = attach};
