#include "backends/core/check_call.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "backends/core/check_views.h"

cdl_status core_refuse(const core_call *call, const char *format, ...)
{
  char text[CORE_MESSAGE_BYTES];
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(text, sizeof text, format, arguments);
  va_end(arguments);
  return cdl_fail(CDL_STATUS_ARGUMENT, "%s: %s", call->spec->name, text);
}

void core_add_operand(core_call *call, const core_operand *operand, const cdl_tensor *tensor)
{
  call->operands[call->count] = operand;
  call->tensors[call->count] = tensor;
  call->count++;
}

void core_bind(core_call *call, char letter, int64_t value, const char *source)
{
  const unsigned index = (unsigned)(letter - 'a') % CORE_LETTERS;
  call->bound |= 1u << index;
  call->value[index] = value;
  call->source[index] = source;
  call->source_tensor[index] = NULL;
}

cdl_status core_want_finite(const core_call *call, const char *name, double value)
{
  return isfinite(value) ? CDL_STATUS_OK
                         : core_refuse(call, "%s is %g, expected a finite number", name, value);
}

cdl_status core_want_not_negative(const core_call *call, const char *name, double value)
{
  return isfinite(value) && value >= 0
             ? CDL_STATUS_OK
             : core_refuse(call, "%s is %g, expected a finite number of at least 0", name, value);
}

cdl_status core_want_activation(const core_call *call, cdl_activation activation)
{
  return (unsigned)activation <= CDL_ACTIVATION_MISH
             ? CDL_STATUS_OK
             : core_refuse(call, "activation is %d, expected one of cdl_activation",
                           (int)activation);
}

/* Of the operands whose role has these bits, among `bits`. */
static cdl_status want_same(const core_call *call, uint8_t bits, uint8_t role)
{
  int first = -1;
  for (int k = 0; k < call->spec->operand_count; k++) {
    if (call->tensors[k]->buffer == NULL || (call->operands[k]->role & bits) != role)
      continue;
    if (first < 0)
      first = k;
    if (call->tensors[k]->dtype != call->tensors[first]->dtype)
      return core_refuse(call, "%s is %s but %s is %s; they must be the same",
                         call->operands[k]->name, cdl_dtype_name(call->tensors[k]->dtype),
                         call->operands[first]->name, cdl_dtype_name(call->tensors[first]->dtype));
  }
  return CDL_STATUS_OK;
}

cdl_status core_want_same_dtypes(core_call *call)
{
  return want_same(call, 0, 0);
}

cdl_status core_want_same_activations(const core_call *call)
{
  return want_same(call, ACTIVATION | OWN_TYPE, ACTIVATION);
}

cdl_status core_want_step(const core_call *call, const char *name, const cdl_tensor *step)
{
  if (step->buffer == NULL)
    return core_refuse(call, "%s is absent", name);
  char shape[CORE_SHAPE_BYTES];
  if (step->size[0] != 1 || step->size[1] != 1 || step->size[2] != 1 ||
      step->size[3] < (int64_t)sizeof(cdl_step_record))
    return core_refuse(call, "%s is %s, expected at least [%zu]: a cdl_step_record", name,
                       core_shape(step, shape), sizeof(cdl_step_record));
  if (step->offset % (int64_t)sizeof(float) != 0)
    return core_refuse(call, "%s starts at byte %lld, expected a multiple of 4", name,
                       (long long)step->offset);
  return CDL_STATUS_OK;
}
