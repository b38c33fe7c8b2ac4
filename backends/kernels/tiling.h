/* How the grids of the shared kernels are laid out, and short names for their launches. */
#ifndef CONDLORA_BACKENDS_KERNELS_TILING_H
#define CONDLORA_BACKENDS_KERNELS_TILING_H

#include "backends/kernels/kernel.h"

enum { TILING_TENSORS = 4 };

static inline int64_t divide_up(int64_t x, int64_t by)
{
  return (x + by - 1) / by;
}

static inline int64_t at_most(int64_t x, int64_t bound)
{
  return x < bound ? x : bound;
}

static inline int64_t at_least(int64_t x, int64_t bound)
{
  return x > bound ? x : bound;
}

/* `rows` rows of size[3] columns in tiles of at most `span` columns. */
row_tiling tiling_of(const kernel_device *device, const int64_t size[4], int64_t rows,
                     int64_t span);
/* Whole rows, size[0]·size[1]·size[2] of them: each by the lanes of one group, fewer where rows
 * enough keep the device busy. */
row_tiling tiling_of_rows(const kernel_device *device, const int64_t size[4]);

/* Tensors of one size elementwise, dimensions joined where every tensor allows it. Columns lie side
 * by side in all of them, or repeat one element in the last with `last_repeats`. Sizes of 1 repeat
 * where the first tensor's is larger. */
row_tiling tiling_over(const kernel_device *device, const cdl_tensor *tensors, int count,
                       bool last_repeats, view *views);

/* The same for kernels that take eight columns at a time (source/eight.h): tiles start at multiples
 * of eight columns. */
row_tiling tiling_of_eights(const kernel_device *device, const int64_t size[4], int64_t rows);
/* Whole rows, by so few lanes that each has ROW_EIGHTS times eight columns, more where there are
 * too few rows to keep the device busy. */
row_tiling tiling_of_eight_rows(const kernel_device *device, const int64_t size[4]);
row_tiling tiling_over_eights(const kernel_device *device, const cdl_tensor *tensors, int count,
                              view *views);

/* Whether the rows of a BF16 matrix begin at multiples of 16 bytes, and so does what is `columns`
 * columns further. */
bool is_in_eights(const cdl_tensor *x, int64_t columns);

/* A tensor's view as it is. */
view view_of(const cdl_tensor *tensor);
/* 0 for an absent tensor. */
int64_t offset_of(const cdl_tensor *tensor);

/* Groups for as many tiles: enough to fill the device. */
int64_t groups_for(const kernel_device *device, int64_t tiles);

/* Launches kernel `name` over `groups` in one dimension; the rest are its buffers. */
#define LAUNCH(queue, name, group_count, with_parameters, ...)                                 \
  (queue)->device->driver->launch(queue, &(const kernel_launch){.kernel = KERNEL_##name,       \
                                                                .groups = {group_count, 1, 1}, \
                                                                .buffers = {__VA_ARGS__},      \
                                                                .parameters = with_parameters})

#endif
