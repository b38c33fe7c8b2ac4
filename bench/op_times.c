#include "bench/op_times.h"

#include <stdlib.h>
#include <string.h>

#include "bench/products.h"

/* ---- Observing ---- */

/* Returns the tensor that identifies an op's shape: the first one, with which every op's arguments
 * begin, or d_out where the first may be absent. */
static cdl_tensor telling_tensor(const cdl_observation *seen)
{
  return seen->op == CDL_OP_low_rank_grad ? ((const cdl_low_rank_grad_args *)seen->args)->d_out
                                          : ((const cdl_copy_args *)seen->args)->out;
}

/* Returns how many terms of one input a call has. */
static int terms_of(const cdl_observation *seen)
{
  return seen->op == CDL_OP_low_rank        ? cdl_low_rank_terms(seen->args)
         : seen->op == CDL_OP_low_rank_grad ? cdl_low_rank_grad_terms(seen->args)
                                            : 1;
}

void bench_op_label(const cdl_observation *seen, int32_t sequences,
                    char label[BENCH_OP_LABEL_BYTES])
{
  const char *name = cdl_op_name(seen->op);
  const cdl_tensor t = telling_tensor(seen);
  const char *rows = t.size[2] == sequences ? ", first tokens" : "";
  const int terms = terms_of(seen);
  const cdl_weight *weight =
      seen->op == CDL_OP_linear        ? ((const cdl_linear_args *)seen->args)->weight
      : seen->op == CDL_OP_linear_grad ? ((const cdl_linear_grad_args *)seen->args)->weight
                                       : NULL;
  if (weight != NULL)
    snprintf(label, BENCH_OP_LABEL_BYTES, "%s %lldx%lld%s", name,
             (long long)cdl_weight_rows(weight), (long long)cdl_weight_columns(weight), rows);
  else if (seen->op == CDL_OP_gemm)
    snprintf(label, BENCH_OP_LABEL_BYTES, "%s %lldx%lld", name, (long long)t.size[2],
             (long long)t.size[3]);
  else if (terms > 1)
    snprintf(label, BENCH_OP_LABEL_BYTES, "%s %lld, %d terms%s", name, (long long)t.size[3], terms,
             rows);
  else
    snprintf(label, BENCH_OP_LABEL_BYTES, "%s %lld%s", name, (long long)t.size[3], rows);
}

static bench_op_time *find(bench_op_times *times, const cdl_observation *seen)
{
  char label[BENCH_OP_LABEL_BYTES];
  bench_op_label(seen, times->sequences, label);
  for (size_t i = 0; i < times->count; i++)
    if (times->item[i].op == seen->op && strcmp(times->item[i].label, label) == 0)
      return &times->item[i];
  if (times->count == times->capacity) {
    const size_t capacity = times->capacity > 0 ? 2 * times->capacity : 64;
    bench_op_time *item = realloc(times->item, capacity * sizeof *item);
    if (item == NULL)
      return NULL;
    times->item = item;
    times->capacity = capacity;
  }
  bench_op_time *added = &times->item[times->count++];
  *added = (bench_op_time){.op = seen->op, .path = seen->path};
  memcpy(added->label, label, sizeof added->label);
  return added;
}

static void observe(void *user, const cdl_observation *seen)
{
  bench_op_times *times = user;
  if (times->status == CDL_STATUS_OK)
    times->status = cdl_queue_sync(seen->queue);
  if (!seen->after) {
    times->started = bench_measure_now();
    return;
  }
  const double seconds = bench_measure_now() - times->started;
  bench_op_time *t = find(times, seen);
  if (t == NULL) {
    times->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: times of ops");
    return;
  }
  bench_product_list products = {0};
  bench_products_of_call(&products, seen->op, seen->args);
  t->seconds += seconds;
  t->calls++;
  t->operations += products.operations;
  bench_products_release(&products);
}

void bench_op_times_begin(bench_op_times *times, cdl_backend *backend, int32_t sequences)
{
  times->sequences = sequences;
  cdl_backend_observe(backend, observe, times);
}

cdl_status bench_op_times_end(bench_op_times *times, cdl_backend *backend)
{
  cdl_backend_observe(backend, NULL, NULL);
  return times->status;
}

void bench_op_times_release(bench_op_times *times)
{
  free(times->item);
  *times = (bench_op_times){0};
}

/* ---- Reporting ---- */

static int longer_first(const void *a, const void *b)
{
  const bench_op_time *x = a, *y = b;
  return (x->seconds < y->seconds) - (x->seconds > y->seconds);
}

void bench_op_times_report(bench_op_times *times, bench_report *r, const char *title, double steps,
                           double seconds)
{
  static const bench_report_column columns[] = {
      {"op", "op", BENCH_REPORT_TEXT},
      {"path", "path", BENCH_REPORT_TEXT},
      {"calls", "calls a step", BENCH_REPORT_NUMBER},
      {"seconds", "of a step", BENCH_REPORT_SECONDS},
      {"share", "share", BENCH_REPORT_SHARE},
      {"flop_per_s", "GFLOP/s", BENCH_REPORT_OPERATIONS_PER_S}};
  double inside = 0;
  bench_report_use_table(r, "train-ops", title, columns, sizeof columns / sizeof columns[0]);
  qsort(times->item, times->count, sizeof *times->item, longer_first);
  for (size_t i = 0; i < times->count; i++) {
    const bench_op_time *t = &times->item[i];
    bench_report_add_row(r);
    bench_report_text(r, "op", t->label);
    bench_report_text(r, "path", cdl_path_name(t->path));
    bench_report_number(r, "calls", t->calls / steps);
    bench_report_number(r, "seconds", t->seconds / steps);
    bench_report_number(r, "share", t->seconds / seconds);
    if (t->operations > 0)
      bench_report_number(r, "flop_per_s", t->operations / t->seconds);
    inside += t->seconds;
  }
  bench_report_add_row(r);
  bench_report_text(r, "op", "between ops");
  bench_report_number(r, "seconds", (seconds - inside) / steps);
  bench_report_number(r, "share", (seconds - inside) / seconds);
}
