#include "backends/kernels/reduce.h"

#include "backends/kernels/tiling.h"

_Static_assert((int)REDUCE_MAXIMUM == (int)CDL_REDUCE_MAXIMUM &&
                   (int)REDUCE_SUM_SQUARES == (int)CDL_REDUCE_SUM_SQUARES,
               "the kernels' numbers of functions are those of ops.h");

/* The shortest piece of a reduced dimension: elements of a row for each lane, or rows of a
 * column. */
enum { LANE_ELEMENTS = 16, ALONE_ELEMENTS = 8192, COLUMN_ROWS = 32 };

typedef struct {
  bool columns;    /* whether the last dimension is kept; otherwise there is one result per row */
  int64_t size[4]; /* sizes of the kept dimensions; size[3] is the columns or 1 */
} kept;

static int64_t pieces_of(const kernel_device *device, const kept *k, int64_t length)
{
  const int64_t rows = k->size[0] * k->size[1] * k->size[2], group = device->group_size;
  const int64_t shortest = k->columns   ? COLUMN_ROWS
                           : group == 1 ? ALONE_ELEMENTS
                                        : LANE_ELEMENTS * group;
  const int64_t items = k->columns ? rows * k->size[3] : rows * at_most(length, group);
  const int64_t wanted = divide_up(2 * device->preferred_groups * group, at_least(items, 1));
  return at_least(at_most(length / shortest, wanted), 1);
}

static row_tiling tiling_for(const kernel_device *device, const kept *k, int64_t length,
                             int64_t pieces)
{
  const int64_t rows = k->size[0] * k->size[1] * k->size[2] * pieces;
  int64_t size[4] = {k->size[0], k->size[1], k->size[2], k->columns ? k->size[3] : length};
  const int64_t group = device->group_size;
  if (k->columns)
    return tiling_of(device, size, rows, group == 1 ? 1024 : group);
  size[3] = divide_up(length, pieces);
  row_tiling tiling = tiling_of(device, size, rows, at_least(size[3], 1));
  return tiling;
}

static cdl_status launch_reduce(kernel_queue *queue, bool columns, const reduce_parameters *p,
                                const cdl_buffer *out, const cdl_buffer *x)
{
  const int64_t groups = groups_for(queue->device, p->tiling.tiles);
  return columns ? LAUNCH(queue, reduce_columns, groups, p, out, x)
                 : LAUNCH(queue, reduce_rows, groups, p, out, x);
}

/* Uses one pass if one piece is enough; otherwise the pieces go to scratch, and a second pass
 * reduces them. `p` has the views, length, x_step, function and accumulate. */
static cdl_status reduce_in_pieces(kernel_queue *queue, const kept *k, reduce_parameters p,
                                   const cdl_buffer *out, const cdl_buffer *x)
{
  const kernel_device *device = queue->device;
  const int64_t pieces = pieces_of(device, k, p.length), columns = k->size[3];
  reduce_parameters first = p;
  first.pieces = pieces;
  first.piece_length = at_least(divide_up(p.length, pieces), 1);
  first.tiling = tiling_for(device, k, p.length, pieces);
  if (pieces == 1)
    return launch_reduce(queue, k->columns, &first, out, x);
  const cdl_buffer *partial;
  const int64_t results = k->size[0] * k->size[1] * k->size[2] * pieces * columns;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)results * sizeof(float), &partial));
  const int64_t row = pieces * columns;
  first.out = (view){.stride = {k->size[1] * k->size[2] * row, k->size[2] * row, row, 1}};
  first.out_piece = columns;
  first.accumulate = 0;
  CDL_TRY(launch_reduce(queue, k->columns, &first, partial, x));
  reduce_parameters second = p;
  second.x = first.out;
  second.length = second.piece_length = pieces;
  second.x_step = columns;
  second.pieces = 1;
  second.function = p.function == REDUCE_MAXIMUM ? REDUCE_MAXIMUM : REDUCE_SUM;
  second.tiling = tiling_for(device, k, pieces, 1);
  return launch_reduce(queue, k->columns, &second, out, partial);
}

cdl_status kernel_op_reduce(void *queue, const cdl_reduce_args *a)
{
  kept k = {.columns = a->axis != 3 && a->x.size[3] > 1, .size = {1, 1, 1, 1}};
  reduce_parameters p = {.length = a->x.size[a->axis],
                         .x_step = a->x.stride[a->axis],
                         .function = (int)a->function,
                         .accumulate = a->accumulate};
  const view out = view_of(&a->out), x = view_of(&a->x);
  p.out.offset = out.offset;
  p.x.offset = x.offset;
  int place = 2;
  for (int d = 3; d >= 0; d--) {
    if (d == a->axis || a->x.size[d] == 1)
      continue;
    const int to = k.columns && d == 3 ? 3 : place--;
    k.size[to] = a->x.size[d];
    p.out.stride[to] = out.stride[d];
    p.x.stride[to] = x.stride[d];
  }
  return reduce_in_pieces(queue, &k, p, a->out.buffer, a->x.buffer);
}

cdl_status reduce_add_rows(kernel_queue *queue, const cdl_tensor *out, const cdl_buffer *x,
                           int64_t offset, int64_t rows)
{
  const kept k = {.columns = true, .size = {1, 1, 1, out->size[3]}};
  reduce_parameters p = {.out = view_of(out),
                         .x = {.offset = offset, .stride = {0, 0, 0, 1}},
                         .length = rows,
                         .x_step = out->size[3],
                         .piece_length = rows,
                         .pieces = 1,
                         .function = REDUCE_SUM,
                         .accumulate = 1};
  p.tiling = tiling_for(queue->device, &k, rows, 1);
  return launch_reduce(queue, true, &p, out->buffer, x);
}

/* ---- One number of a whole tensor ---- */

/* Runs a kernel that leaves one number per group in scratch; none for an empty tensor. */
static cdl_status launch_parts(kernel_queue *queue, kernel_id kernel, const cdl_tensor *x,
                               const cdl_buffer **parts, int64_t *count)
{
  const kernel_device *device = queue->device;
  whole_parameters p = {0};
  *count = 0;
  if (cdl_tensor_elements(*x) > 0) {
    p.tiling = tiling_over(device, x, 1, false, &p.x);
    *count = groups_for(device, p.tiling.tiles);
  }
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)at_least(*count, 1) * sizeof(float), parts));
  return *count == 0
             ? CDL_STATUS_OK
             : device->driver->launch(queue, &(const kernel_launch){.kernel = kernel,
                                                                    .groups = {*count, 1, 1},
                                                                    .buffers = {*parts, x->buffer},
                                                                    .parameters = &p});
}

cdl_status kernel_op_clip_norm(void *queue, const cdl_clip_norm_args *a)
{
  kernel_queue *q = queue;
  const cdl_buffer *parts;
  clip_norm_parameters p = {
      .norm = a->norm.offset, .factor = a->factor.offset, .max_norm = a->max_norm};
  CDL_TRY(launch_parts(q, KERNEL_sum_squares_parts, &a->gradient, &parts, &p.parts));
  return LAUNCH(q, clip_norm, 1, &p, a->norm.buffer, a->factor.buffer, parts);
}

cdl_status kernel_op_any_non_finite(void *queue, const cdl_any_non_finite_args *a)
{
  kernel_queue *q = queue;
  const cdl_buffer *parts;
  flag_parameters p = {.flag = a->flag.offset};
  if (cdl_tensor_elements(a->x) == 0)
    return CDL_STATUS_OK;
  CDL_TRY(launch_parts(
      q, a->x.dtype == CDL_DTYPE_F64 ? KERNEL_non_finite_parts_u64 : KERNEL_non_finite_parts_u32,
      &a->x, &parts, &p.parts));
  return LAUNCH(q, set_flag, 1, &p, a->flag.buffer, parts);
}
