/* Methods that train parts of the model and add nothing to it: the head, the biases (BitFit, Ben
 * Zaken et al. 2022), or everything. */
#include "model/adapter/state.h"

static bool everything(const encoder_parameter *p)
{
  (void)p;
  return true;
}

const adapter_method adapter_method_none = {.name = "none", .peft_type = "NONE"};
const adapter_method adapter_method_bitfit = {
    .name = "bitfit", .peft_type = "BITFIT", .trains = adapter_is_bias};
const adapter_method adapter_method_full = {
    .name = "full", .peft_type = "FULL", .whole_model = true, .trains = everything};
