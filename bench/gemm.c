/* Measures matrix products of encoders' shapes. All other rates of a run are compared with the
 * fastest. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

/* These are measured repeatedly to know the current peak. An emulated device and a sanitizer's
 * build take long and have none: there only the last is measured. */
static const bench_gemm_shape peaks[] = {
    {"peak", 2048, 3072, 768, 1, false, true, true},
    {"peak", 1024, 1024, 1024, 1, false, true, true},
    {"peak", 1100, 3072, 768, 1, false, false, true},
    {"peak", 64, 64, 64, 1, false, false, true},
};

typedef struct {
  cdl_queue *queue;
  cdl_gemm_args args;
} gemm_case;

typedef struct {
  cdl_queue *queue;
  cdl_copy_args args;
} copy_case;

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
static const bool sanitized = true;
#else
static const bool sanitized = false;
#endif

static void run_copy(void *context)
{
  const copy_case *c = context;
  cdl_copy(c->queue, &c->args);
}

static void run_case(void *context)
{
  const gemm_case *c = context;
  cdl_gemm(c->queue, &c->args);
}

/* Makes matrices end to end. */
static cdl_tensor matrices(bench_samples *s, int64_t batch, int64_t rows, int64_t columns,
                           double deviation)
{
  const cdl_tensor flat = bench_sample(s, batch * rows, columns, deviation);
  return cdl_tensor_3d(flat.buffer, CDL_DTYPE_F32, 0, batch, rows, columns);
}

static cdl_status make_case(bench_samples *s, const bench_gemm_shape *p, gemm_case *c)
{
  c->queue = s->queue;
  c->args = (cdl_gemm_args){.size = sizeof c->args,
                            .out = matrices(s, p->batch, p->m, p->n, 0),
                            .a = p->transpose_a ? matrices(s, p->batch, p->k, p->m, 1)
                                                : matrices(s, p->batch, p->m, p->k, 1),
                            .b = p->transpose_b ? matrices(s, p->batch, p->n, p->k, 1)
                                                : matrices(s, p->batch, p->k, p->n, 1),
                            .transpose_a = p->transpose_a,
                            .transpose_b = p->transpose_b,
                            .alpha = 1};
  return s->status;
}

/* Checks a hundred elements of the product in float64. Factors with 10 bits of mantissa have an
 * error of at most 2⁻¹¹ each. */
static cdl_status check_values(const bench_gemm_shape *p, double unit, const float *a,
                               const float *b, const float *out)
{
  enum { PLACES = 100 };
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 0, 0);
  for (int place = 0; place < PLACES; place++) {
    const int64_t i = (int64_t)cdl_random_below(&random, (uint64_t)p->m);
    const int64_t j = (int64_t)cdl_random_below(&random, (uint64_t)p->n);
    const int64_t batch = (int64_t)cdl_random_below(&random, (uint64_t)p->batch);
    const float *left = a + batch * p->m * p->k, *right = b + batch * p->k * p->n;
    double sum = 0, size = 0;
    for (int64_t l = 0; l < p->k; l++) {
      const double x = (double)left[p->transpose_a ? l * p->m + i : i * p->k + l];
      const double y = (double)right[p->transpose_b ? j * p->k + l : l * p->n + j];
      sum += x * y;
      size += fabs(x * y);
    }
    char what[128];
    snprintf(what, sizeof what, "gemm %s", p->what);
    const int64_t at = (batch * p->m + i) * p->n + j;
    const double rounding = 0x1p-24 * sqrt((double)p->k) + (unit > 0x1p-24 ? 2 * unit : 0);
    CDL_TRY(bench_compare(what, at, (double)out[at], sum, rounding * size + 1e-6));
  }
  return CDL_STATUS_OK;
}

static cdl_status check_case(const bench_gemm_shape *p, double unit, gemm_case *c)
{
  run_case(c);
  float *a = NULL, *b = NULL, *out = NULL;
  cdl_status status = bench_download(c->queue, c->args.a, &a);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->args.b, &b);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->args.out, &out);
  if (status == CDL_STATUS_OK)
    status = check_values(p, unit, a, b, out);
  free(a);
  free(b);
  free(out);
  return status;
}

static double operations_of(const bench_gemm_shape *p)
{
  return 2.0 * (double)p->batch * (double)p->m * (double)p->n * (double)p->k;
}

static double bytes_of(const bench_gemm_shape *p)
{
  return 4.0 * (double)p->batch *
         ((double)(p->m * p->k) + (double)(p->k * p->n) + (double)(p->m * p->n));
}

static cdl_status measure_shape(bench *b, const bench_gemm_shape *p, bool check, gemm_case *c,
                                bench_measurement *m)
{
  bench_samples s = bench_samples_begin(b->queue, 1);
  cdl_status status = make_case(&s, p, c);
  if (status == CDL_STATUS_OK && check)
    status = check_case(p, bench_unit(b), c);
  if (status == CDL_STATUS_OK)
    status = bench_measure_run(b->queue, &b->effort, run_case, c, m);
  bench_samples_release(&s);
  if (status == CDL_STATUS_OK)
    b->best_gemm = fmax(b->best_gemm, operations_of(p) / m->minimum);
  return status;
}

cdl_status bench_time_product(bench *b, const bench_gemm_shape *p, double *seconds)
{
  gemm_case c;
  bench_measurement m = {0};
  CDL_TRY(measure_shape(b, p, true, &c, &m));
  *seconds = m.median;
  bench_measure_release(&m);
  return CDL_STATUS_OK;
}

/* Measures the bytes per second, read and written, of a copy between buffers larger than the
 * caches: STREAM's copy (McCalpin 1995). */
static cdl_status find_copy_rate(bench *b)
{
  const int64_t bytes = b->emulated ? (int64_t)1 << 20 : bench_large_bytes();
  const int64_t columns = 1 << 14, rows = bytes / 4 / columns;
  bench_samples s = bench_samples_begin(b->queue, 5);
  copy_case c = {.queue = b->queue,
                 .args = {.size = sizeof c.args,
                          .x = bench_sample(&s, rows, columns, 0),
                          .out = bench_sample(&s, rows, columns, 0)}};
  const bench_measure_effort effort = {.warm_seconds = 0.1, .seconds = 0.1, .least = 3, .most = 20};
  bench_measurement m = {0};
  cdl_status status = s.status;
  if (status == CDL_STATUS_OK)
    status = bench_measure_run(b->queue, &effort, run_copy, &c, &m);
  if (status == CDL_STATUS_OK)
    b->copy_rate = 2 * 4.0 * (double)(rows * columns) / m.minimum;
  bench_measure_release(&m);
  bench_samples_release(&s);
  return cdl_context(status, "copying between large buffers");
}

cdl_status bench_find_peak(bench *b, bool again)
{
  const bench_measure_effort effort = b->effort;
  const bool first = !(b->copy_rate > 0);
  if (!first && !again)
    return CDL_STATUS_OK;
  b->effort = (bench_measure_effort){
      .warm_seconds = first ? 0.1 : 0.01, .seconds = 0.03, .least = 3, .most = 10};
  cdl_status status = CDL_STATUS_OK;
  enum { PEAKS = sizeof peaks / sizeof peaks[0] };
  const bool slow = b->emulated || sanitized;
  const size_t begin = slow ? PEAKS - 1 : 0, end = slow ? PEAKS : PEAKS - 1;
  for (size_t i = begin; status == CDL_STATUS_OK && i < end; i++) {
    gemm_case c;
    bench_measurement m = {0};
    status = measure_shape(b, &peaks[i], first, &c, &m);
    bench_measure_release(&m);
  }
  b->effort = effort;
  if (status == CDL_STATUS_OK && first)
    status = find_copy_rate(b);
  return status;
}

static void report_case(bench *b, const bench_gemm_shape *p, const gemm_case *c,
                        const bench_measurement *m)
{
  bench_report *r = b->report;
  char shape[96], batch[32] = "";
  if (p->batch > 1)
    snprintf(batch, sizeof batch, " %lld times", (long long)p->batch);
  snprintf(shape, sizeof shape, "%lldx%lldx%lld %c%c%s", (long long)p->m, (long long)p->n,
           (long long)p->k, p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N', batch);
  bench_report_add_row(r);
  bench_report_text(r, "name", p->what);
  bench_report_text(r, "shape", shape);
  bench_report_text(r, "path", cdl_path_name(cdl_op_path(b->backend, CDL_OP_gemm, &c->args)));
  bench_report_timing(r, m);
  bench_report_number(r, "flop_per_s", operations_of(p) / m->median);
  bench_report_number(r, "bytes_per_s", bytes_of(p) / m->median);
  bench_report_number(r, "flop_per_byte", operations_of(p) / bytes_of(p));
}

cdl_status bench_gemm(bench *b)
{
  static const bench_report_column columns[] = {{"name", "product", BENCH_REPORT_TEXT},
                                                {"shape", "m x n x k", BENCH_REPORT_TEXT},
                                                {"path", "path", BENCH_REPORT_TEXT},
                                                BENCH_REPORT_TIMING_COLUMNS,
                                                BENCH_REPORT_RATE_COLUMNS};
  bench_report_use_table(b->report, "gemm", "gemm: products of encoders, float32 matrices", columns,
                         sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_find_peak(b, false));
  for (size_t i = 0; i < b->shapes->gemm_count; i++) {
    const bench_gemm_shape *p = &b->shapes->gemm[i];
    if (b->options.quick && !p->quick)
      continue;
    gemm_case c;
    bench_measurement m = {0};
    bench_progress("gemm", p->what);
    CDL_TRY(measure_shape(b, p, true, &c, &m));
    report_case(b, p, &c, &m);
    bench_measure_release(&m);
  }
  return CDL_STATUS_OK;
}
