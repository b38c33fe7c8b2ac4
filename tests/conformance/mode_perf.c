/* Mode `perf`: median time of a few ordinary calls, with a sync after each. A yardstick for
 * whoever writes a backend; the project's own benchmarks are bench-condlora's. */
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tests/conformance/suite.h"

enum { MOST_RUNS = 101 };

typedef struct {
  cdl_op op;
  const char *what;
  double flops, bytes; /* of one call; what is 0 is not told */
  void (*build)(trial *t, void *args);
} workload;

static cdl_tensor in(trial *t, int64_t rows, int64_t columns)
{
  operand *o = trial_operand(t, "in", ROLE_IN, CDL_F32, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, o, 0.5);
  return o->view;
}

static cdl_tensor out(trial *t, int64_t rows, int64_t columns)
{
  operand *o = trial_operand(t, "out", ROLE_INOUT, CDL_F32, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, o, 0.5);
  return o->view;
}

static const cdl_weight *weight(trial *t, int64_t rows, int64_t columns)
{
  operand *source =
      trial_operand(t, "source", ROLE_IN, CDL_F32, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, source, 0.1);
  return trial_weight(t, &source, 1);
}

static const cdl_packing *packing(trial *t)
{
  static const int32_t lengths[] = {64, 64, 64, 64, 64, 64, 64, 64};
  cdl_packing *p = trial_memory(t, 1, sizeof *p);
  *p = trial_packing(t, lengths, 8);
  return p;
}

#define BUILD(name, op, ...)                                                                    \
  static void name(trial *t, void *args)                                                        \
  {                                                                                             \
    *(cdl_##op##_args *)args = (cdl_##op##_args){.size = sizeof(cdl_##op##_args), __VA_ARGS__}; \
  }

BUILD(copy, copy, .out = out(t, 1024, 1024), .x = in(t, 1024, 1024))
BUILD(transpose, permute, .out = out(t, 1024, 1024), .x = in(t, 1024, 1024), .order = {0, 1, 3, 2})
BUILD(square, gemm, .out = out(t, 1024, 1024), .a = in(t, 1024, 1024), .b = in(t, 1024, 1024),
      .alpha = 1)
BUILD(wide, gemm, .out = out(t, 512, 1536), .a = in(t, 512, 384), .b = in(t, 1536, 384),
      .transpose_b = true, .alpha = 1)
BUILD(thin, gemm, .out = out(t, 512, 8), .a = in(t, 512, 768), .b = in(t, 8, 768),
      .transpose_b = true, .alpha = 1)
BUILD(gelu, unary, .out = out(t, 512, 1536), .x = in(t, 512, 1536),
      .activation = CDL_ACTIVATION_GELU)
BUILD(gelu_grad, unary_grad, .d_x = out(t, 512, 1536), .d_out = in(t, 512, 1536),
      .x = in(t, 512, 1536), .activation = CDL_ACTIVATION_GELU)
BUILD(add, binary, .out = out(t, 1024, 1024), .x = in(t, 1024, 1024), .y = in(t, 1024, 1024))
BUILD(column_sum, reduce, .out = out(t, 1, 1024), .x = in(t, 1024, 1024), .axis = 2)
BUILD(softmax, softmax, .out = out(t, 3072, 128), .x = in(t, 3072, 128), .scale = 1)
BUILD(norm, layer_norm, .out = out(t, 512, 768), .x = in(t, 512, 768), .gain = in(t, 1, 768),
      .bias = in(t, 1, 768), .epsilon = 1e-5F)
BUILD(linear, linear, .out = out(t, 512, 1536), .x = in(t, 512, 384),
      .weight = weight(t, 1536, 384), .activation = CDL_ACTIVATION_GELU)
BUILD(low_rank, low_rank, .out = out(t, 512, 768), .hidden = out(t, 512, 8), .x = in(t, 512, 768),
      .a = in(t, 8, 768), .b = in(t, 768, 8), .scale = 1)
BUILD(attention, attention, .out = out(t, 512, 384), .qkv = in(t, 512, 1152),
      .log_sum = out(t, 12, 512), .packing = packing(t), .heads = 12, .scale = 0.18F)
BUILD(attention_grad, attention_grad, .d_qkv = out(t, 512, 1152), .d_out = in(t, 512, 384),
      .qkv = in(t, 512, 1152), .log_sum = in(t, 12, 512), .packing = packing(t), .heads = 12,
      .scale = 0.18F)
BUILD(svd, svd, .u = out(t, 256, 256), .sigma = out(t, 1, 256), .vt = out(t, 256, 256),
      .a = in(t, 256, 256))

static const workload workloads[] = {
    {CDL_OP_copy, "1024x1024", 0, 8.0 * 1024 * 1024, copy},
    {CDL_OP_permute, "1024x1024 transposed", 0, 8.0 * 1024 * 1024, transpose},
    {CDL_OP_gemm, "1024x1024x1024", 2.0 * 1024 * 1024 * 1024, 0, square},
    {CDL_OP_gemm, "512x1536x384 nt", 2.0 * 512 * 1536 * 384, 0, wide},
    {CDL_OP_gemm, "512x8x768 nt", 2.0 * 512 * 8 * 768, 0, thin},
    {CDL_OP_unary, "512x1536 gelu", 0, 8.0 * 512 * 1536, gelu},
    {CDL_OP_unary_grad, "512x1536 gelu", 0, 12.0 * 512 * 1536, gelu_grad},
    {CDL_OP_binary, "1024x1024 add", 0, 12.0 * 1024 * 1024, add},
    {CDL_OP_reduce, "1024x1024 sum over rows", 0, 4.0 * 1024 * 1024, column_sum},
    {CDL_OP_softmax, "3072x128", 0, 8.0 * 3072 * 128, softmax},
    {CDL_OP_layer_norm, "512x768", 0, 8.0 * 512 * 768, norm},
    {CDL_OP_linear, "512x384 to 1536, gelu", 2.0 * 512 * 1536 * 384, 0, linear},
    {CDL_OP_low_rank, "512x768 by 8 to 768", 4.0 * 512 * 8 * 768, 0, low_rank},
    {CDL_OP_attention, "8 sequences of 64, 12 heads of 32", 4.0 * 8 * 12 * 64 * 64 * 32, 0,
     attention},
    {CDL_OP_attention_grad, "8 sequences of 64, 12 heads of 32", 10.0 * 8 * 12 * 64 * 64 * 32, 0,
     attention_grad},
    {CDL_OP_svd, "256x256", 0, 0, svd},
};

static uint64_t now_ns(void)
{
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

static int by_time(const void *a, const void *b)
{
  const uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
  return x < y ? -1 : x > y;
}

/* Median of as many runs as fit into a quarter of a second, after two to warm up; 0 with the trial
 * failed. */
static uint64_t median_ns(trial *t, const workload *w, const void *args)
{
  uint64_t times[MOST_RUNS];
  int count = 0;
  const uint64_t end = now_ns() + 250000000u;
  for (int i = -2; i < MOST_RUNS && (i < 3 || now_ns() < end); i++) {
    const uint64_t start = now_ns();
    op_find(w->op)->call(t->queue, args);
    const cdl_status status = cdl_sync(t->queue);
    if (status != CDL_OK) {
      trial_fail(t, "%s: %s", cdl_status_name(status), cdl_error_message());
      return 0;
    }
    if (i >= 0)
      times[count++] = now_ns() - start;
  }
  qsort(times, (size_t)count, sizeof *times, by_time);
  return times[count / 2];
}

static void print_result(const suite *s, const workload *w, const trial *t, uint64_t ns, bool first)
{
  const double amount = w->flops > 0 ? w->flops : w->bytes,
               rate = ns == 0 ? 0 : amount / (double)ns;
  const char *unit = w->flops > 0 ? "GFLOP/s" : w->bytes > 0 ? "GB/s" : "";
  if (s->format == FORMAT_CSV)
    printf("%s,\"%s\",%s,%llu,%.4g,%s\n", op_find(w->op)->name, w->what, cdl_path_name(t->path),
           (unsigned long long)ns, rate, unit);
  else if (s->format != FORMAT_TEXT)
    printf("%s\n{\"op\": \"%s\", \"case\": \"%s\", \"path\": \"%s\", \"ns\": %llu, \"rate\": %.4g, "
           "\"unit\": \"%s\"}",
           first ? "" : ",", op_find(w->op)->name, w->what, cdl_path_name(t->path),
           (unsigned long long)ns, rate, unit);
  else if (t->outcome == OUTCOME_FAIL)
    printf("%-16s %-36s failed: %s\n", op_find(w->op)->name, w->what, t->message);
  else if (amount > 0)
    printf("%-16s %-36s %-9s %12llu ns %9.2f %s\n", op_find(w->op)->name, w->what,
           cdl_path_name(t->path), (unsigned long long)ns, rate, unit);
  else
    printf("%-16s %-36s %-9s %12llu ns\n", op_find(w->op)->name, w->what, cdl_path_name(t->path),
           (unsigned long long)ns);
}

int mode_perf(suite *s)
{
  bool failed = false, first = true;
  if (s->format == FORMAT_CSV)
    printf("op,case,path,ns,rate,unit\n");
  else if (s->format != FORMAT_TEXT)
    printf("[");
  for (size_t i = 0; i < sizeof workloads / sizeof *workloads; i++) {
    const workload *w = &workloads[i];
    if (s->only_op != NULL && strcmp(s->only_op, op_find(w->op)->name) != 0)
      continue;
    const test_case c = {
        .group = op_find(w->op)->name, .op = (int)w->op, .dtype = CDL_F32, .name = "perf"};
    trial t;
    uint64_t ns = 0;
    if (trial_begin(&t, s, &c)) {
      void *args = trial_memory(&t, 1, op_find(w->op)->args_bytes);
      w->build(&t, args);
      if (t.outcome != OUTCOME_FAIL && trial_upload(&t)) {
        t.path = cdl_op_path(s->backend, w->op, args);
        ns = median_ns(&t, w, args);
      }
    }
    print_result(s, w, &t, ns, first);
    failed = failed || t.outcome == OUTCOME_FAIL;
    first = false;
    trial_end(&t);
  }
  if (s->format != FORMAT_TEXT && s->format != FORMAT_CSV)
    printf("\n]\n");
  return failed ? 1 : 0;
}
