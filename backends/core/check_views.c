/* Properties of views: extent, density, whether two of them share memory. */
#include <stdio.h>

#include "backends/core/check_views.h"

bool core_is_dense(const cdl_tensor *tensor)
{
  int64_t dense = 1;
  for (int d = 3; d >= 0; d--) {
    if (tensor->size[d] == 0)
      return true;
    if (tensor->size[d] > 1 && tensor->stride[d] != dense)
      return false;
    dense *= tensor->size[d];
  }
  return true;
}

bool core_same_view(const cdl_tensor *a, const cdl_tensor *b)
{
  if (a->buffer != b->buffer || a->offset != b->offset || a->dtype != b->dtype)
    return false;
  for (int d = 0; d < 4; d++)
    if (a->size[d] != b->size[d] || (a->size[d] > 1 && a->stride[d] != b->stride[d]))
      return false;
  return true;
}

/* A view as bytes: pieces of `run` bytes at Σ i_k · stride_k, i_k < count_k, for k from `first` to
 * `end`, with descending strides. */
typedef struct {
  int64_t run;
  int first, end;
  int64_t count[3], stride[3];
} runs;

static runs runs_of(const cdl_tensor *tensor)
{
  const int64_t bytes = (int64_t)cdl_dtype_bytes(tensor->dtype);
  runs view = {.run = tensor->size[3] * bytes};
  for (int d = 0; d < 3; d++) {
    if (tensor->size[d] <= 1 || tensor->stride[d] == 0)
      continue;
    const int64_t stride = tensor->stride[d] * bytes;
    int at = view.end++;
    for (; at > 0 && view.stride[at - 1] < stride; at--) {
      view.stride[at] = view.stride[at - 1];
      view.count[at] = view.count[at - 1];
    }
    view.stride[at] = stride;
    view.count[at] = tensor->size[d];
  }
  while (view.end > 0 && view.stride[view.end - 1] == view.run) /* rows without gaps */
    view.run *= view.count[--view.end];
  for (int d = view.end - 2; d >= 0; d--) /* matrices whose rows continue evenly */
    if (view.stride[d] == view.count[d + 1] * view.stride[d + 1]) {
      view.count[d + 1] *= view.count[d];
      view.end--;
      for (int k = d; k < view.end; k++) {
        view.count[k] = view.count[k + 1];
        view.stride[k] = view.stride[k + 1];
      }
    }
  return view;
}

static int64_t span(const runs *view)
{
  int64_t bytes = view->run;
  for (int d = view->first; d < view->end; d++)
    bytes += (view->count[d] - 1) * view->stride[d];
  return bytes;
}

static int64_t outer_stride(const runs *view)
{
  return view->first < view->end ? view->stride[view->first] : 0;
}

static bool ranges_meet(int64_t first_a, int64_t count_a, int64_t first_b, int64_t count_b)
{
  return first_a < first_b + count_b && first_b < first_a + count_a;
}

/* Returns the number of rows left over when those of the outermost dimension are grouped into
 * periods; -1 if they cannot be grouped. */
static int64_t rows_beside_periods(const runs *view, int64_t period)
{
  const int64_t stride = outer_stride(view);
  if (stride == 0 || stride == period || span(view) <= period)
    return 0;
  const int64_t rows = period / stride;
  if (period % stride != 0 || view->count[view->first] < rows)
    return -1;
  return view->count[view->first] % rows;
}

/* Removes the dimension of stride `period` from a view and returns its count; 1 if the view fits
 * into one period. */
static int64_t take_periods(runs *view, int64_t period)
{
  const int64_t stride = outer_stride(view);
  if (stride == period)
    return view->count[view->first++];
  if (stride == 0 || span(view) <= period)
    return 1;
  const int64_t rows = period / stride, periods = view->count[view->first] / rows;
  view->count[view->first] = rows;
  return periods;
}

static bool meet(const runs *a, const runs *b, int64_t distance);

/* Cuts `a` in two: the rows that make whole periods, and the `rest`. */
static bool meet_in_two(const runs *a, const runs *b, int64_t distance, int64_t rest)
{
  runs whole = *a, left = *a;
  whole.count[a->first] -= rest;
  left.count[a->first] = rest;
  return meet(&whole, b, distance) ||
         meet(&left, b, distance - whole.count[a->first] * a->stride[a->first]);
}

/* Returns whether `a`, at byte 0, and `b`, at byte `distance`, share a byte. Both are cut at
 * multiples of the larger outermost stride, the period. Period i of one meets period i of the
 * other, or the next one, at the same distance for every i. */
static bool meet(const runs *a, const runs *b, int64_t distance)
{
  if (!ranges_meet(0, span(a), distance, span(b)))
    return false;
  const int64_t stride_a = outer_stride(a), stride_b = outer_stride(b);
  const int64_t period = stride_a > stride_b ? stride_a : stride_b;
  if (period == 0)
    return true;
  const int64_t rest_a = rows_beside_periods(a, period), rest_b = rows_beside_periods(b, period);
  if (rest_a < 0 || rest_b < 0)
    return true; /* not rows of one matrix: assume that they meet */
  if (rest_a > 0)
    return meet_in_two(a, b, distance, rest_a);
  if (rest_b > 0)
    return meet_in_two(b, a, -distance, rest_b);
  runs in_a = *a, in_b = *b;
  const int64_t count_a = take_periods(&in_a, period), count_b = take_periods(&in_b, period);
  if (span(&in_a) > period || span(&in_b) > period)
    return true;
  int64_t periods = distance / period, rest = distance % period;
  if (rest < 0) {
    rest += period;
    periods--;
  }
  return (ranges_meet(0, count_a, periods, count_b) && meet(&in_a, &in_b, rest)) ||
         (ranges_meet(0, count_a, periods + 1, count_b) && meet(&in_a, &in_b, rest - period));
}

bool core_overlap(const cdl_tensor *a, const cdl_tensor *b)
{
  if (a->buffer != b->buffer || cdl_tensor_elements(*a) == 0 || cdl_tensor_elements(*b) == 0)
    return false;
  const runs of_a = runs_of(a), of_b = runs_of(b);
  return meet(&of_a, &of_b,
              b->offset * (int64_t)cdl_dtype_bytes(b->dtype) -
                  a->offset * (int64_t)cdl_dtype_bytes(a->dtype));
}

bool core_repeats(const cdl_tensor *tensor)
{
  int64_t size[4], stride[4];
  int dimensions = 0;
  for (int d = 3; d >= 0; d--) {
    if (tensor->size[d] <= 1)
      continue;
    int at = dimensions++;
    for (; at > 0 && stride[at - 1] > tensor->stride[d]; at--) {
      size[at] = size[at - 1];
      stride[at] = stride[at - 1];
    }
    size[at] = tensor->size[d];
    stride[at] = tensor->stride[d];
  }
  int64_t extent = 1; /* of the dimensions so far */
  for (int d = 0; d < dimensions; d++) {
    if (stride[d] < extent)
      return true;
    extent += (size[d] - 1) * stride[d];
  }
  return false;
}

const char *core_shape(const cdl_tensor *tensor, char text[CORE_SHAPE_BYTES])
{
  int first = 0;
  while (first < 3 && tensor->size[first] == 1)
    first++;
  size_t used = 0;
  for (int d = first; d < 4; d++)
    used += (size_t)snprintf(text + used, CORE_SHAPE_BYTES - used, "%s%lld",
                             d == first ? "[" : ", ", (long long)tensor->size[d]);
  snprintf(text + used, CORE_SHAPE_BYTES - used, "]");
  return text;
}
