/* Methods that add nothing to the model and train parts of it: its head, its biases (BitFit, Ben
 * Zaken et al. 2022), all of it. */
#include <string.h>

#include "model/adapter_state.h"

static bool biases(const cdl_parameter *p)
{
  return p->role == CDL_ROLE_BIAS || strstr(p->name, "LayerNorm.bias") != NULL;
}

static bool everything(const cdl_parameter *p)
{
  (void)p;
  return true;
}

const cdl_adapter_method cdl_head_only = {.name = "none", .peft_type = "NONE"};
const cdl_adapter_method cdl_bitfit = {.name = "bitfit", .peft_type = "BITFIT", .trains = biases};
const cdl_adapter_method cdl_full = {.name = "full", .peft_type = "FULL", .trains = everything};
