#include "backends/kernels/tiling.h"

/* Columns per work-item of an elementwise op: enough to repay the work of finding them. */
enum { ITEM_COLUMNS = 4, ALONE_COLUMNS = 8192 };

enum { WARP = 32, GROUPS_A_SLOT = 4, EIGHT = 8 };

static int log2_up(int64_t x, int64_t bound)
{
  int log2 = 0;
  while ((int64_t)1 << log2 < x && (int64_t)2 << log2 <= bound)
    log2++;
  return log2;
}

static row_tiling tiling_with_lanes(const kernel_device *device, const int64_t size[4],
                                    int64_t rows, int64_t span, int lanes_log2)
{
  const int64_t held = device->group_size >> lanes_log2;
  row_tiling tiling = {.rows = rows, .span = span, .lanes_log2 = lanes_log2};
  for (int d = 0; d < 4; d++)
    tiling.size[d] = size[d];
  tiling.column_tiles = at_least(divide_up(size[3], at_least(span, 1)), 1);
  tiling.tiles = divide_up(rows, held) * tiling.column_tiles;
  return tiling;
}

row_tiling tiling_of(const kernel_device *device, const int64_t size[4], int64_t rows, int64_t span)
{
  return tiling_with_lanes(device, size, rows, at_least(at_most(span, size[3]), 1),
                           log2_up(size[3], device->group_size));
}

row_tiling tiling_of_eights(const kernel_device *device, const int64_t size[4], int64_t rows)
{
  const int64_t eights = divide_up(size[3], EIGHT);
  return tiling_with_lanes(device, size, rows, EIGHT * (int64_t)device->group_size,
                           log2_up(eights, device->group_size));
}

row_tiling tiling_of_eight_rows(const kernel_device *device, const int64_t size[4])
{
  const int64_t rows = size[0] * size[1] * size[2], eights = divide_up(size[3], EIGHT);
  int lanes_log2 = log2_up(eights, device->group_size);
  while (lanes_log2 > 0 && eights <= (int64_t)ROW_EIGHTS << (lanes_log2 - 1) &&
         (rows << lanes_log2) / device->group_size > device->preferred_groups)
    lanes_log2--;
  return tiling_with_lanes(device, size, rows, at_least(divide_up(size[3], EIGHT) * EIGHT, 1),
                           lanes_log2);
}

row_tiling tiling_of_rows(const kernel_device *device, const int64_t size[4])
{
  const int64_t rows = size[0] * size[1] * size[2];
  int lanes_log2 = log2_up(size[3], device->group_size);
  while (1 << lanes_log2 > WARP &&
         (rows << lanes_log2) / device->group_size > 2 * device->preferred_groups)
    lanes_log2--;
  return tiling_with_lanes(device, size, rows, at_least(size[3], 1), lanes_log2);
}

/* ---- Tensors elementwise ---- */

typedef struct {
  int64_t size, stride[TILING_TENSORS];
} dimension;

static bool continues(const dimension *outer, const dimension *inner, int count)
{
  for (int t = 0; t < count; t++)
    if (outer->stride[t] != inner->stride[t] * inner->size)
      return false;
  return true;
}

/* Lists dimensions larger than 1, innermost first. */
static int join_dimensions(const cdl_tensor *tensors, int count, dimension *joined)
{
  int used = 0;
  for (int d = 3; d >= 0; d--) {
    if (tensors[0].size[d] == 1)
      continue;
    dimension next = {.size = tensors[0].size[d]};
    for (int t = 0; t < count; t++)
      next.stride[t] = tensors[t].size[d] == 1 ? 0 : tensors[t].stride[d];
    if (used > 0 && continues(&next, &joined[used - 1], count))
      joined[used - 1].size *= next.size;
    else
      joined[used++] = next;
  }
  return used;
}

static bool side_by_side(const dimension *d, int count, bool last_repeats)
{
  for (int t = 0; t < count; t++)
    if (d->stride[t] != 1 && !(last_repeats && t == count - 1 && d->stride[t] == 0))
      return false;
  return true;
}

/* Gives sizes and views of the joined dimensions; size[3] is the columns. */
static void join(const cdl_tensor *tensors, int count, bool last_repeats, view *views,
                 int64_t size[4])
{
  dimension joined[4] = {0};
  const int used = join_dimensions(tensors, count, joined);
  for (int d = 0; d < 4; d++)
    size[d] = 1;
  for (int t = 0; t < count; t++)
    views[t] = (view){.offset = tensors[t].offset, .stride = {0, 0, 0, 1}};
  /* Without columns at most three dimensions remain, because their innermost had size 1. */
  const int first = used > 0 && side_by_side(&joined[0], count, last_repeats) ? 3 : 2;
  for (int d = 0; d < used; d++) {
    size[first - d] = joined[d].size;
    for (int t = 0; t < count; t++)
      views[t].stride[first - d] = joined[d].stride[t];
  }
}

row_tiling tiling_over(const kernel_device *device, const cdl_tensor *tensors, int count,
                       bool last_repeats, view *views)
{
  int64_t size[4];
  join(tensors, count, last_repeats, views, size);
  return tiling_of(device, size, size[0] * size[1] * size[2],
                   device->group_size == 1 ? ALONE_COLUMNS : ITEM_COLUMNS * device->group_size);
}

row_tiling tiling_over_eights(const kernel_device *device, const cdl_tensor *tensors, int count,
                              view *views)
{
  int64_t size[4];
  join(tensors, count, false, views, size);
  return tiling_of_eights(device, size, size[0] * size[1] * size[2]);
}

/* ---- */

bool is_in_eights(const cdl_tensor *x, int64_t columns)
{
  enum { ELEMENTS = 8 };
  return x->offset % ELEMENTS == 0 && x->stride[2] % ELEMENTS == 0 && columns % ELEMENTS == 0;
}

view view_of(const cdl_tensor *tensor)
{
  view result = {.offset = tensor->offset};
  for (int d = 0; d < 4; d++)
    result.stride[d] = tensor->size[d] == 1 ? 0 : tensor->stride[d];
  return result;
}

int64_t offset_of(const cdl_tensor *tensor)
{
  return cdl_tensor_present(*tensor) ? tensor->offset : 0;
}

int64_t groups_for(const kernel_device *device, int64_t tiles)
{
  return at_least(at_most(tiles, GROUPS_A_SLOT * device->preferred_groups), 1);
}
