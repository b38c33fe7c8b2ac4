/* linear and linear_grad over frozen weights whose elements are bf16 or int8. */
#ifndef CONDLORA_BACKENDS_CPU_NARROW_H
#define CONDLORA_BACKENDS_CPU_NARROW_H

#include "backends/cpu/weight.h"

/* Returns the way to multiply in this precision, NULL for fp32. bf16: the processor's best, or
 * emulation if CDL_CPU_BF16 is "emulate". Errors: UNSUPPORTED for a precision that there is none
 * of, or a processor without bf16 products; ARGUMENT for another value of CDL_CPU_BF16. */
cdl_status cpu_narrow_find(cdl_precision precision, const cpu_narrow **found);

/* Describes the ways of this processor: "bf16 by AMX or AVX512-BF16, int8 by AMX". */
void cpu_narrow_describe(char *text, size_t bytes);

/* Packs of a weight. They are made when an op first needs them after cpu_narrow_changed. */
cdl_status cpu_narrow_create(const cpu_device *device, int64_t rows, int64_t columns,
                             cpu_narrow_weight **weight);
void cpu_narrow_changed(cpu_narrow_weight *weight);
void cpu_narrow_destroy(cpu_narrow_weight *weight);
/* Returns the bytes of all packs, which exist once every op has run. */
size_t cpu_narrow_bytes(const cpu_narrow_weight *weight);

cdl_status cpu_narrow_linear(cpu_device *device, const cdl_linear_args *args);
cdl_status cpu_narrow_linear_grad(cpu_device *device, const cdl_linear_grad_args *args);

#endif
