/* Cuts a matrix product into tiles for a number of threads. No element depends on the cut
 * (product.h). */
#ifndef CONDLORA_BACKENDS_CPU_GEMM_H
#define CONDLORA_BACKENDS_CPU_GEMM_H

#include "backends/cpu/device.h"

typedef struct {
  int64_t rows, columns; /* numbers of parts of m and of n */
} cpu_grid;

/* Returns the grid of an [m, n] product over k with the least expected time on so many threads. */
cpu_grid cpu_gemm_grid(int64_t m, int64_t n, int64_t k, int threads);

/* Parts of m and n are cut at multiples of these; a vector set's tile has 8 to 32 columns. */
enum { CPU_GRID_ROWS = 4, CPU_GRID_COLUMNS = 32 };

#endif
