/* Matrix products of encoders' shapes. The fastest is what everything else of the run is held against. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct {
  const char *what;
  int64_t m, n, k;
  bool transpose_a, transpose_b;
  bool quick; /* part of a quick run */
} product_shape;

/* n × k of a forward product is a weight's [out, in]; of a gradient's, in and out. */
static const product_shape shapes[] = {
    {"MiniLM qkv", 880, 1152, 384, false, true, true},
    {"MiniLM attention out", 880, 384, 384, false, true, false},
    {"MiniLM up", 880, 1536, 384, false, true, true},
    {"MiniLM down", 880, 384, 1536, false, true, false},
    {"MiniLM qkv gradient", 880, 384, 1152, false, false, false},
    {"MiniLM up gradient", 880, 384, 1536, false, false, true},
    {"MiniLM down gradient", 880, 1536, 384, false, false, false},
    {"RoBERTa-base qkv", 1100, 2304, 768, false, true, true},
    {"RoBERTa-base attention out", 1100, 768, 768, false, true, false},
    {"RoBERTa-base up", 1100, 3072, 768, false, true, true},
    {"RoBERTa-base down", 1100, 768, 3072, false, true, false},
    {"RoBERTa-base qkv gradient", 1100, 768, 2304, false, false, false},
    {"RoBERTa-base up gradient", 1100, 768, 3072, false, false, true},
    {"RoBERTa-base down gradient", 1100, 3072, 768, false, false, false},
    {"RoBERTa-base up, 4096 tokens", 4096, 3072, 768, false, true, false},
    {"RoBERTa-base down, 4096 tokens", 4096, 768, 3072, false, true, false},
    {"RoBERTa-large up", 1100, 4096, 1024, false, true, false},
    {"RoBERTa-large down", 1100, 1024, 4096, false, true, false},
    {"RoBERTa-large up gradient", 1100, 1024, 4096, false, false, false},
    {"RoBERTa-large up, 4096 tokens", 4096, 4096, 1024, false, true, false},
    {"rank 8: x Aᵀ", 1100, 8, 768, false, true, true},
    {"rank 8: u Bᵀ", 1100, 768, 8, false, true, true},
    {"rank 8: d_out B", 1100, 8, 768, false, false, false},
    {"rank 8: d_outᵀ u", 768, 8, 1100, true, false, true},
    {"rank 8: duᵀ x", 8, 768, 1100, true, false, false},
    {"CondLoRA: θA W", 8, 768, 768, false, false, false},
    {"square", 1024, 1024, 1024, false, false, true},
};

/* Measured again and again to know the peak of the moment. */
static const product_shape peaks[] = {
    {"peak", 2048, 3072, 768, false, true, true},
    {"peak", 1024, 1024, 1024, false, true, true},
    {"peak", 1100, 3072, 768, false, false, true},
};

typedef struct {
  cdl_queue *queue;
  cdl_gemm_args args;
} gemm_case;

static void run_case(void *context)
{
  const gemm_case *c = context;
  cdl_gemm(c->queue, &c->args);
}

static cdl_status make_case(bench_samples *s, const product_shape *p, gemm_case *c)
{
  c->queue = s->queue;
  c->args = (cdl_gemm_args){
      .size = sizeof c->args,
      .out = bench_sample(s, p->m, p->n, 0),
      .a = p->transpose_a ? bench_sample(s, p->k, p->m, 1) : bench_sample(s, p->m, p->k, 1),
      .b = p->transpose_b ? bench_sample(s, p->n, p->k, 1) : bench_sample(s, p->k, p->n, 1),
      .transpose_a = p->transpose_a,
      .transpose_b = p->transpose_b,
      .alpha = 1};
  return s->status;
}

/* A hundred elements of the product, in float64. */
static cdl_status check_values(const product_shape *p, const float *a, const float *b,
                               const float *out)
{
  enum { PLACES = 100 };
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 0, 0);
  for (int place = 0; place < PLACES; place++) {
    const int64_t i = (int64_t)cdl_random_below(&random, (uint64_t)p->m);
    const int64_t j = (int64_t)cdl_random_below(&random, (uint64_t)p->n);
    double sum = 0, size = 0;
    for (int64_t l = 0; l < p->k; l++) {
      const double x = (double)a[p->transpose_a ? l * p->m + i : i * p->k + l];
      const double y = (double)b[p->transpose_b ? j * p->k + l : l * p->n + j];
      sum += x * y;
      size += fabs(x * y);
    }
    char what[128];
    snprintf(what, sizeof what, "gemm %s", p->what);
    CDL_TRY(bench_compare(what, i * p->n + j, (double)out[i * p->n + j], sum,
                          0x1p-24 * sqrt((double)p->k) * size + 1e-6));
  }
  return CDL_OK;
}

static cdl_status check_case(const product_shape *p, gemm_case *c)
{
  run_case(c);
  float *a = NULL, *b = NULL, *out = NULL;
  cdl_status status = bench_download(c->queue, c->args.a, &a);
  if (status == CDL_OK)
    status = bench_download(c->queue, c->args.b, &b);
  if (status == CDL_OK)
    status = bench_download(c->queue, c->args.out, &out);
  if (status == CDL_OK)
    status = check_values(p, a, b, out);
  free(a);
  free(b);
  free(out);
  return status;
}

static double operations_of(const product_shape *p)
{
  return 2.0 * (double)p->m * (double)p->n * (double)p->k;
}

static double bytes_of(const product_shape *p)
{
  return 4.0 * ((double)(p->m * p->k) + (double)(p->k * p->n) + (double)(p->m * p->n));
}

static cdl_status measure_shape(bench *b, const product_shape *p, bool check, gemm_case *c,
                                measurement *m)
{
  bench_samples s = bench_samples_begin(b->queue, 1);
  cdl_status status = make_case(&s, p, c);
  if (status == CDL_OK && check)
    status = check_case(p, c);
  if (status == CDL_OK)
    status = measure_run(b->queue, &b->effort, run_case, c, m);
  bench_samples_release(&s);
  if (status == CDL_OK)
    b->best_gemm = fmax(b->best_gemm, operations_of(p) / m->minimum);
  return status;
}

cdl_status bench_find_peak(bench *b, bool again)
{
  const measure_effort effort = b->effort;
  const bool first = !(b->best_gemm > 0);
  if (!first && !again)
    return CDL_OK;
  b->effort =
      (measure_effort){.warm_seconds = first ? 0.1 : 0.01, .seconds = 0.03, .least = 3, .most = 10};
  cdl_status status = CDL_OK;
  for (size_t i = 0; status == CDL_OK && i < sizeof peaks / sizeof peaks[0]; i++) {
    gemm_case c;
    measurement m = {0};
    status = measure_shape(b, &peaks[i], first, &c, &m);
    measure_release(&m);
  }
  b->effort = effort;
  return status;
}

static void report_case(bench *b, const product_shape *p, const gemm_case *c, const measurement *m)
{
  report *r = &b->report;
  char shape[64];
  snprintf(shape, sizeof shape, "%lldx%lldx%lld %c%c", (long long)p->m, (long long)p->n,
           (long long)p->k, p->transpose_a ? 'T' : 'N', p->transpose_b ? 'T' : 'N');
  report_add_row(r);
  report_text(r, "name", p->what);
  report_text(r, "shape", shape);
  report_text(r, "path", cdl_path_name(cdl_op_path(b->backend, CDL_OP_gemm, &c->args)));
  report_timing(r, m);
  report_number(r, "flop_per_s", operations_of(p) / m->median);
  report_number(r, "bytes_per_s", bytes_of(p) / m->median);
  report_number(r, "flop_per_byte", operations_of(p) / bytes_of(p));
}

/* Known once all shapes are measured. */
static void report_shares(bench *b)
{
  report_table *t = &b->report.tables[b->report.table_count - 1];
  size_t rate = 0, share = 0;
  for (size_t c = 0; c < t->column_count; c++) {
    rate = strcmp(t->columns[c].key, "flop_per_s") == 0 ? c : rate;
    share = strcmp(t->columns[c].key, "of_best_gemm") == 0 ? c : share;
  }
  for (size_t i = 0; i < t->row_count; i++)
    t->rows[i].cell[share] =
        (report_cell){.number = t->rows[i].cell[rate].number / b->best_gemm, .present = true};
}

cdl_status bench_gemm(bench *b)
{
  static const report_column columns[] = {{"name", "product", REPORT_TEXT},
                                          {"shape", "m x n x k", REPORT_TEXT},
                                          {"path", "path", REPORT_TEXT},
                                          REPORT_TIMING_COLUMNS,
                                          {"flop_per_s", "GFLOP/s", REPORT_OPERATIONS_PER_S},
                                          {"bytes_per_s", "GB/s", REPORT_BYTES_PER_S},
                                          {"flop_per_byte", "flop/byte", REPORT_NUMBER},
                                          {"of_best_gemm", "of best", REPORT_SHARE}};
  report_add_table(&b->report, "gemm", "gemm: products of encoders, float32", columns,
                   sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_find_peak(b, false));
  for (size_t i = 0; i < sizeof shapes / sizeof shapes[0]; i++) {
    if (b->options.quick && !shapes[i].quick)
      continue;
    gemm_case c;
    measurement m = {0};
    bench_progress("gemm", shapes[i].what);
    CDL_TRY(measure_shape(b, &shapes[i], true, &c, &m));
    report_case(b, &shapes[i], &c, &m);
    measure_release(&m);
  }
  if (!b->report.out_of_memory)
    report_shares(b);
  return CDL_OK;
}
