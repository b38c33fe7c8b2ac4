/* All terms of a call on tensor cores: one launch forward; backward one for du and d_x, and two for
 * d_A and d_B, whose sums over rows are cut into parts. */
#include "backends/kernels/low_rank.h"

#include <limits.h>

#include "backends/kernels/tiling.h"

/* The rows of a part, unless there would be more than MOST_PARTS. */
enum { PART_ROWS = 2 * LOW_RANK_SUM_ROWS, MOST_PARTS = 16 };

static bool fits(int64_t rows, int64_t rank)
{
  return rank >= 1 && rank <= LOW_RANK_TENSOR_MOST && rows <= INT_MAX;
}

bool low_rank_fits_tensor(const cdl_low_rank_args *args)
{
  bool all = args->x.dtype == CDL_DTYPE_BF16 && args->x.size[2] > 0;
  for (int i = 0; i < cdl_low_rank_terms(args); i++)
    all = all && fits(args->x.size[2], cdl_low_rank_alone(args, i).a.size[2]);
  return all;
}

bool low_rank_grad_fits_tensor(const cdl_low_rank_grad_args *args)
{
  bool all = args->x.dtype == CDL_DTYPE_BF16 && args->x.size[2] > 0;
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++)
    all = all && fits(args->x.size[2], cdl_low_rank_grad_alone(args, i).a.size[2]);
  return all;
}

/* ---- Products of rows: low_rank, du and d_x ---- */

/* Where rows do not fill the device, several groups share their columns. */
static cdl_status launch_pass(kernel_queue *queue, kernel_launch *launch,
                              const low_rank_pass_parameters *p)
{
  int64_t columns = 0;
  for (int i = 0; i < p->terms; i++)
    columns = at_least(columns, p->term[i].columns);
  const int64_t groups = divide_up(p->rows, LOW_RANK_PASS_ROWS);
  const int64_t slices =
      at_most(queue->device->preferred_groups / groups, divide_up(columns, LOW_RANK_SUM_COLUMNS));
  launch->groups[0] = groups;
  launch->groups[1] = at_least(slices, 1);
  launch->groups[2] = 1;
  launch->parameters = p;
  return queue->device->driver->launch(queue, launch);
}

cdl_status low_rank_tensor(kernel_queue *queue, const cdl_low_rank_args *args)
{
  enum { OUT = 0, HIDDEN = 3, X = 6, A = 7, B = 10 };
  low_rank_pass_parameters p = {.rows = args->x.size[2], .terms = cdl_low_rank_terms(args)};
  kernel_launch launch = {.kernel = KERNEL_low_rank_forward_bf16};
  launch.buffers[X] = args->x.buffer;
  for (int i = 0; i < p.terms; i++) {
    const cdl_low_rank_args g = cdl_low_rank_alone(args, i);
    launch.buffers[OUT + i] = g.out.buffer;
    launch.buffers[HIDDEN + i] = g.hidden.buffer;
    launch.buffers[A + i] = g.a.buffer;
    launch.buffers[B + i] = g.b.buffer;
    p.term[i] = (low_rank_term_parameters){.left = g.x.offset,
                                           .left_stride = g.x.stride[2],
                                           .inner = g.x.size[3],
                                           .w = g.a.offset,
                                           .w_rank_step = g.a.stride[2],
                                           .w_step = 1,
                                           .middle = g.hidden.offset,
                                           .middle_stride = g.hidden.stride[2],
                                           .out = g.out.offset,
                                           .out_stride = g.out.stride[2],
                                           .columns = g.out.size[3],
                                           .u = g.b.offset,
                                           .u_rank_step = 1,
                                           .u_step = g.b.stride[2],
                                           .rank = (int)g.a.size[2],
                                           .before = 1.0f,
                                           .after = g.scale};
  }
  return launch_pass(queue, &launch, &p);
}

/* du of term i is at i · rows · LOW_RANK_TENSOR_MOST of scratch memory. */
static int64_t du_offset(int64_t rows, int i)
{
  return i * rows * LOW_RANK_TENSOR_MOST;
}

static cdl_status backward_pass(kernel_queue *queue, const cdl_low_rank_grad_args *args,
                                const cdl_buffer *scratch)
{
  enum { D_X = 0, DU = 1, D_OUT = 2, A = 5, B = 8 };
  low_rank_pass_parameters p = {.rows = args->x.size[2], .terms = cdl_low_rank_grad_terms(args)};
  kernel_launch launch = {.kernel = KERNEL_low_rank_backward_bf16};
  launch.buffers[D_X] = args->d_x.buffer;
  launch.buffers[DU] = scratch;
  for (int i = 0; i < p.terms; i++) {
    const cdl_low_rank_grad_args g = cdl_low_rank_grad_alone(args, i);
    launch.buffers[D_OUT + i] = g.d_out.buffer;
    launch.buffers[A + i] = g.a.buffer;
    launch.buffers[B + i] = g.b.buffer;
    p.term[i] = (low_rank_term_parameters){.left = g.d_out.offset,
                                           .left_stride = g.d_out.stride[2],
                                           .inner = g.d_out.size[3],
                                           .w = g.b.offset,
                                           .w_rank_step = 1,
                                           .w_step = g.b.stride[2],
                                           .middle = du_offset(p.rows, i),
                                           .middle_stride = LOW_RANK_TENSOR_MOST,
                                           .out = g.d_x.offset,
                                           .out_stride = g.d_x.stride[2],
                                           .columns = cdl_tensor_present(g.d_x) ? g.d_x.size[3] : 0,
                                           .u = g.a.offset,
                                           .u_rank_step = g.a.stride[2],
                                           .u_step = 1,
                                           .rank = (int)g.a.size[2],
                                           .before = g.scale,
                                           .after = 1.0f};
  }
  return launch_pass(queue, &launch, &p);
}

/* ---- Sums over rows: d_A and d_B ---- */

/* Returns a new job over the columns of x. */
static low_rank_sum_job *add_job(low_rank_sum_parameters *p, const cdl_tensor *x, int x_from)
{
  low_rank_sum_job *job = &p->job[p->jobs++];
  job->x = x->offset;
  job->x_stride = x->stride[2];
  job->columns = x->size[3];
  job->x_from = x_from;
  job->wide = is_in_eights(x, x->size[3]);
  p->column_tiles = at_least(p->column_tiles, divide_up(job->columns, LOW_RANK_SUM_COLUMNS));
  return job;
}

static int ranks_left(const cdl_tensor *a, int first)
{
  return (int)at_least(at_most(a->size[2] - first, 8), 0);
}

static void add_b_job(low_rank_sum_parameters *p, const cdl_low_rank_grad_args *g, int i)
{
  low_rank_sum_job *job = add_job(p, &g->d_out, 1 + i);
  for (int k = 0; k < 2; k++)
    job->block[k] = (low_rank_sum_block){.v = g->hidden.offset + 8 * k,
                                         .v_stride = g->hidden.stride[2],
                                         .out = g->d_b.offset + 8 * k,
                                         .out_rank_step = 1,
                                         .out_step = g->d_b.stride[2],
                                         .ranks = ranks_left(&g->a, 8 * k),
                                         .v_from = 1 + i,
                                         .out_to = LOW_RANK_TERMS + i,
                                         .factor = g->scale};
}

/* Adds the term's blocks to the last of the jobs over x, which takes two. */
static void add_a_blocks(low_rank_sum_parameters *p, const cdl_low_rank_grad_args *g, int i,
                         int *blocks)
{
  for (int first = 0; first < g->a.size[2]; first += 8) {
    low_rank_sum_job *job = *blocks % 2 == 0 ? add_job(p, &g->x, 0) : &p->job[p->jobs - 1];
    job->block[(*blocks)++ % 2] =
        (low_rank_sum_block){.v = du_offset(p->rows, i) + first,
                             .v_stride = LOW_RANK_TENSOR_MOST,
                             .out = g->d_a.offset + first * g->d_a.stride[2],
                             .out_rank_step = g->d_a.stride[2],
                             .out_step = 1,
                             .ranks = ranks_left(&g->a, first),
                             .v_from = 0,
                             .out_to = i,
                             .factor = 1.0f};
  }
}

static low_rank_sum_parameters sums_of(const cdl_low_rank_grad_args *args)
{
  low_rank_sum_parameters p = {.rows = args->x.size[2]};
  const int terms = cdl_low_rank_grad_terms(args);
  const int64_t tiles = divide_up(p.rows, LOW_RANK_SUM_ROWS);
  int blocks = 0;
  p.part_rows = at_least(divide_up(tiles, MOST_PARTS) * LOW_RANK_SUM_ROWS, PART_ROWS);
  p.parts = divide_up(p.rows, p.part_rows);
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_grad_args g = cdl_low_rank_grad_alone(args, i);
    if (cdl_tensor_present(g.d_a))
      add_a_blocks(&p, &g, i, &blocks);
  }
  for (int i = 0; i < terms; i++) {
    const cdl_low_rank_grad_args g = cdl_low_rank_grad_alone(args, i);
    if (cdl_tensor_present(g.d_b))
      add_b_job(&p, &g, i);
  }
  p.sums = du_offset(p.rows, terms);
  return p;
}

static cdl_status run_sums(kernel_queue *queue, const cdl_low_rank_grad_args *args,
                           const low_rank_sum_parameters *p, const cdl_buffer *scratch)
{
  enum { D_OUT = 2, HIDDEN = 5, D_A = 0, D_B = 3 };
  kernel_launch sums = {.kernel = KERNEL_low_rank_sums_bf16,
                        .groups = {p->column_tiles, p->parts, p->jobs},
                        .buffers = {scratch, args->x.buffer},
                        .parameters = p};
  const int64_t elements = p->jobs * p->column_tiles * LOW_RANK_SUM_ELEMENTS;
  kernel_launch finish = {
      .kernel = KERNEL_low_rank_finish,
      .groups = {groups_for(queue->device, divide_up(elements, queue->device->group_size)), 1, 1},
      .buffers = {[2 * LOW_RANK_TERMS] = scratch},
      .parameters = p};
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++) {
    const cdl_low_rank_grad_args g = cdl_low_rank_grad_alone(args, i);
    sums.buffers[D_OUT + i] = g.d_out.buffer;
    sums.buffers[HIDDEN + i] = g.hidden.buffer;
    finish.buffers[D_A + i] = g.d_a.buffer;
    finish.buffers[D_B + i] = g.d_b.buffer;
  }
  CDL_TRY(queue->device->driver->launch(queue, &sums));
  return queue->device->driver->launch(queue, &finish);
}

cdl_status low_rank_grad_tensor(kernel_queue *queue, const cdl_low_rank_grad_args *args)
{
  const low_rank_sum_parameters p = sums_of(args);
  bool with_du = cdl_tensor_present(args->d_x);
  for (int i = 0; i < cdl_low_rank_grad_terms(args); i++)
    with_du = with_du || cdl_tensor_present(cdl_low_rank_grad_alone(args, i).d_a);
  const int64_t floats = p.sums + p.jobs * p.parts * p.column_tiles * LOW_RANK_SUM_ELEMENTS;
  const cdl_buffer *scratch;
  CDL_TRY(kernel_scratch(queue, SCRATCH_OP, (size_t)floats * sizeof(float), &scratch));
  if (with_du)
    CDL_TRY(backward_pass(queue, args, scratch));
  return p.column_tiles == 0 ? CDL_STATUS_OK : run_sums(queue, args, &p, scratch);
}
