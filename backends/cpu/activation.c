#include "backends/cpu/activation.h"

#include <string.h>

static cdl_bf16 *narrow_row(cdl_tensor t, cpu_block block, int64_t row)
{
  return (cdl_bf16 *)(void *)cpu_bytes(t) + (block.row + row) * cpu_row_stride(t) + block.column;
}

cpu_rows cpu_place(cdl_tensor t, cpu_block block, float *memory)
{
  return cdl_tensor_present(t) && cpu_is_narrow(t) ? (cpu_rows){memory, block.columns}
                                                   : cpu_rows_at(t, block.row, block.column);
}

cpu_rows cpu_widen(const cpu_kernels *kernels, cdl_tensor t, cpu_block block, float *memory)
{
  const cpu_rows values = cpu_place(t, block, memory);
  if (cdl_tensor_present(t) && cpu_is_narrow(t))
    for (int64_t i = 0; i < block.rows; i++)
      kernels->bf16_to_f32(values.data + i * values.stride, narrow_row(t, block, i), block.columns);
  return values;
}

void cpu_store(const cpu_kernels *kernels, cdl_tensor t, cpu_block block, cpu_rows values)
{
  if (!cdl_tensor_present(t))
    return;
  const cpu_rows to = cpu_place(t, block, values.data);
  for (int64_t i = 0; i < block.rows; i++) {
    const float *row = values.data + i * values.stride;
    if (cpu_is_narrow(t))
      kernels->f32_to_bf16(narrow_row(t, block, i), row, block.columns);
    else if (to.data != values.data)
      memcpy(to.data + i * to.stride, row, (size_t)block.columns * sizeof *row);
  }
}
