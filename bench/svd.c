/* Thin singular value decompositions of weights and of low-rank updates. */
#include <math.h>
#include <stdlib.h>

#include "bench/bench.h"

typedef struct {
  cdl_queue *queue;
  cdl_svd_args args;
} svd_case;

static void run_case(void *context)
{
  const svd_case *c = context;
  cdl_svd(c->queue, &c->args);
}

typedef struct {
  float *a, *u, *sigma, *vt;
} svd_values;

/* Checks in float64 a few elements of U diag(σ) Vᵀ against A, and of UᵀU against the identity. */
static cdl_status check_values(const bench_svd_shape *p, const svd_values *v)
{
  enum { PLACES = 50 };
  const int64_t k = p->m < p->n ? p->m : p->n;
  const double tolerance = 0x1p-24 * 32 * sqrt((double)(p->m + p->n)),
               largest = (double)v->sigma[0];
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 1, 0);
  for (int place = 0; place < PLACES; place++) {
    const int64_t i = (int64_t)cdl_random_below(&random, (uint64_t)p->m);
    const int64_t j = (int64_t)cdl_random_below(&random, (uint64_t)p->n);
    const int64_t x = (int64_t)cdl_random_below(&random, (uint64_t)k),
                  y = place % 2 == 0 ? x : (x + 1) % k;
    double bench_product = 0, dot = 0;
    for (int64_t l = 0; l < k; l++)
      bench_product += (double)v->u[i * k + l] * (double)v->sigma[l] * (double)v->vt[l * p->n + j];
    for (int64_t l = 0; l < p->m; l++)
      dot += (double)v->u[l * k + x] * (double)v->u[l * k + y];
    CDL_TRY(bench_compare("U diag(σ) Vᵀ", i * p->n + j, bench_product, (double)v->a[i * p->n + j],
                          tolerance * largest));
    CDL_TRY(bench_compare("UᵀU", x * k + y, dot, x == y ? 1 : 0, tolerance));
    if (x + 1 < k && !(v->sigma[x] >= v->sigma[x + 1]))
      return cdl_fail(CDL_STATUS_NUMERIC,
                      "singular values %lld and the next are not in descending order",
                      (long long)x);
  }
  return CDL_STATUS_OK;
}

static cdl_status check_case(const bench_svd_shape *p, svd_case *c)
{
  svd_values v = {0};
  run_case(c);
  cdl_status status = bench_download(c->queue, c->args.a, &v.a);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->args.u, &v.u);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->args.sigma, &v.sigma);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->args.vt, &v.vt);
  if (status == CDL_STATUS_OK)
    status = check_values(p, &v);
  free(v.a);
  free(v.u);
  free(v.sigma);
  free(v.vt);
  return cdl_context(status, "%s", p->what);
}

static cdl_status run_shape(bench *b, bench_samples *s, const bench_svd_shape *p)
{
  const int64_t k = p->m < p->n ? p->m : p->n;
  svd_case c = {.queue = b->queue,
                .args = {.size = sizeof c.args,
                         .u = bench_sample(s, p->m, k, 0),
                         .sigma = bench_sample_constant(s, k, 0),
                         .vt = bench_sample(s, k, p->n, 0),
                         .a = bench_sample(s, p->m, p->n, 0.02)}};
  bench_measurement m = {0};
  bench_measure_effort effort = b->effort;
  effort.most = effort.most < 20 ? effort.most : 20;
  CDL_TRY(s->status);
  CDL_TRY(check_case(p, &c));
  CDL_TRY(bench_measure_run(b->queue, &effort, run_case, &c, &m));
  bench_report *r = b->report;
  char shape[64];
  snprintf(shape, sizeof shape, "%lldx%lld", (long long)p->m, (long long)p->n);
  bench_report_add_row(r);
  bench_report_text(r, "name", p->what);
  bench_report_text(r, "shape", shape);
  bench_report_text(r, "path", cdl_path_name(cdl_op_path(b->backend, CDL_OP_svd, &c.args)));
  bench_report_timing(r, &m);
  bench_measure_release(&m);
  return CDL_STATUS_OK;
}

cdl_status bench_svd(bench *b)
{
  static const bench_report_column columns[] = {{"name", "matrix", BENCH_REPORT_TEXT},
                                                {"shape", "m x n", BENCH_REPORT_TEXT},
                                                {"path", "path", BENCH_REPORT_TEXT},
                                                BENCH_REPORT_TIMING_COLUMNS};
  bench_report_use_table(b->report, "svd", "svd: thin, with both sets of vectors, float32", columns,
                         sizeof columns / sizeof columns[0]);
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < b->shapes->svd_count; i++) {
    const bench_svd_shape *p = &b->shapes->svd[i];
    if (b->options.quick && !p->quick)
      continue;
    bench_progress("svd", p->what);
    bench_samples s = bench_samples_begin(b->queue, 2);
    status = run_shape(b, &s, p);
    bench_samples_release(&s);
  }
  return status;
}
