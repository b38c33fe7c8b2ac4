/* Mode `perf`: median time of ordinary calls of every op, with a sync after each. A yardstick for
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
  operand *o =
      trial_operand(t, "in", ROLE_IN, CDL_DTYPE_F32, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, o, 0.5);
  return o->view;
}

static cdl_tensor in_as(trial *t, cdl_dtype dtype, int64_t rows, int64_t columns)
{
  operand *o = trial_operand(t, "in", ROLE_IN, dtype, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, o, 0.5);
  return o->view;
}

/* 0, step, 2 step, … modulo `most`. */
static cdl_tensor indices(trial *t, int64_t count, int64_t step, int64_t most)
{
  operand *o = trial_operand(t, "indices", ROLE_IN, CDL_DTYPE_I32, shape_1d(count), LAYOUT_DENSE);
  for (int64_t i = 0; i < count; i++)
    o->value[i] = (double)(i * step % most);
  operand_settle(o);
  return o->view;
}

static cdl_tensor flag(trial *t)
{
  operand *o = trial_operand(t, "flag", ROLE_INOUT, CDL_DTYPE_I32, shape_1d(1), LAYOUT_DENSE);
  fill_integers(t, o, 0, 0);
  return o->view;
}

static cdl_tensor step(trial *t)
{
  return trial_step(t, (cdl_step_record){1e-6F, 0.1F, 0.001F, 0.5F, 1, {2, 3}, 0})->view;
}

/* Diagonal 1: no factorization breaks down. */
static cdl_tensor regular(trial *t, int64_t n)
{
  operand *o = trial_operand(t, "in", ROLE_IN, CDL_DTYPE_F32, shape_2d(n, n), LAYOUT_DENSE);
  fill_normal(t, o, 0.01);
  for (int64_t i = 0; i < n; i++)
    o->value[i * n + i] = 1;
  operand_settle(o);
  return o->view;
}

static cdl_tensor out(trial *t, int64_t rows, int64_t columns)
{
  operand *o =
      trial_operand(t, "out", ROLE_INOUT, CDL_DTYPE_F32, shape_2d(rows, columns), LAYOUT_DENSE);
  fill_normal(t, o, 0.5);
  return o->view;
}

static const cdl_weight *weight(trial *t, int64_t rows, int64_t columns)
{
  operand *source =
      trial_operand(t, "source", ROLE_IN, CDL_DTYPE_F32, shape_2d(rows, columns), LAYOUT_DENSE);
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
BUILD(biased, attention, .out = out(t, 512, 384), .qkv = in(t, 512, 1152),
      .log_sum = out(t, 12, 512), .packing = packing(t), .heads = 12, .scale = 0.18F,
      .bias = in(t, 12, 183))
BUILD(biased_grad, attention_grad, .d_qkv = out(t, 512, 1152), .d_out = in(t, 512, 384),
      .qkv = in(t, 512, 1152), .log_sum = in(t, 12, 512), .packing = packing(t), .heads = 12,
      .scale = 0.18F, .bias = in(t, 12, 183), .d_bias = out(t, 12, 183))
BUILD(to_bf16, cast, .out = in_as(t, CDL_DTYPE_BF16, 1024, 1024), .x = in(t, 1024, 1024))
BUILD(fill, fill, .out = out(t, 1024, 1024), .value = 1)
BUILD(gather, gather_rows, .out = out(t, 512, 768), .table = in(t, 1000, 768),
      .index = indices(t, 512, 7, 1000))
BUILD(scatter, scatter_add_rows, .table = out(t, 1000, 768), .x = in(t, 512, 768),
      .order = indices(t, 512, 1, 512), .segment = indices(t, 257, 2, 513),
      .target = indices(t, 256, 3, 1000))
BUILD(axpby, axpby, .out = out(t, 1024, 1024), .x = in(t, 1024, 1024), .alpha = 0.5F, .beta = 0.5F)
BUILD(softmax_grad, softmax_grad, .d_x = out(t, 3072, 128), .d_out = in(t, 3072, 128),
      .out = in(t, 3072, 128), .scale = 1)
BUILD(norm_grad, layer_norm_grad, .d_x = out(t, 512, 768), .d_gain = out(t, 1, 768),
      .d_bias = out(t, 1, 768), .d_out = in(t, 512, 768), .x = in(t, 512, 768),
      .gain = in(t, 1, 768), .mean = in(t, 1, 512), .rstd = in(t, 1, 512))
BUILD(add_norm, add_layer_norm, .out = out(t, 512, 768), .sum = out(t, 512, 768),
      .x = in(t, 512, 768), .residual = in(t, 512, 768), .gain = in(t, 1, 768),
      .bias = in(t, 1, 768), .epsilon = 1e-5F)
BUILD(add_norm_grad, add_layer_norm_grad, .d_x = out(t, 512, 768), .d_sum = out(t, 512, 768),
      .d_out = in(t, 512, 768), .sum = in(t, 512, 768), .gain = in(t, 1, 768),
      .mean = in(t, 1, 512), .rstd = in(t, 1, 512), .mask = {0.1F, 1, 2, step(t)},
      .packing = packing(t))
BUILD(drop, dropout, .out = out(t, 512, 768), .x = in(t, 512, 768), .mask = {0.1F, 1, 2, step(t)},
      .packing = packing(t))
BUILD(cross, cross_entropy, .loss = out(t, 1, 1), .d_logits = out(t, 512, 64),
      .logits = in(t, 512, 64), .labels = indices(t, 512, 5, 64), .step = step(t))
BUILD(several, binary_cross_entropy, .loss = out(t, 1, 1), .d_logits = out(t, 512, 64),
      .logits = in(t, 512, 64), .targets = in(t, 512, 64), .step = step(t))
BUILD(squared, squared_error, .loss = out(t, 1, 1), .d_out = out(t, 1, 65536),
      .out = in(t, 1, 65536), .target = in(t, 1, 65536), .step = step(t))
BUILD(adam, adamw, .parameter = out(t, 1024, 768), .moment1 = out(t, 1024, 768),
      .moment2 = out(t, 1024, 768), .gradient = in(t, 1024, 768), .step = step(t), .beta1 = 0.9,
      .beta2 = 0.999, .epsilon = 1e-8, .rate = 1)
BUILD(all_finite, any_non_finite, .flag = flag(t), .x = in(t, 1024, 1024))
BUILD(linear_grad, linear_grad, .d_x = out(t, 512, 384), .d_out = in(t, 512, 1536),
      .weight = weight(t, 1536, 384))
BUILD(low_rank_grad, low_rank_grad, .d_x = out(t, 512, 768), .d_a = out(t, 8, 768),
      .d_b = out(t, 768, 8), .d_out = in(t, 512, 768), .hidden = in(t, 512, 8),
      .x = in(t, 512, 768), .a = in(t, 8, 768), .b = in(t, 768, 8), .scale = 1e-3F)
BUILD(map_weights, map_weights, .a = out(t, 8, 768), .b = out(t, 768, 8), .theta_a = in(t, 8, 768),
      .theta_b = in(t, 8, 768), .weight = in(t, 768, 768))
BUILD(map_weights_grad, map_weights_grad, .d_theta_a = out(t, 8, 768), .d_theta_b = out(t, 8, 768),
      .d_a = in(t, 8, 768), .d_b = in(t, 768, 8), .weight = in(t, 768, 768))
BUILD(clip, clip_norm, .norm = out(t, 1, 1), .factor = out(t, 1, 1), .gradient = in(t, 1024, 768),
      .max_norm = 1)
BUILD(lu_solve, lu_solve, .x = out(t, 256, 64), .a = regular(t, 256), .b = in(t, 256, 64))
BUILD(lu_inverse, lu_inverse, .out = out(t, 256, 256), .a = regular(t, 256))
BUILD(qr, qr, .q = out(t, 256, 256), .r = out(t, 256, 256), .a = in(t, 256, 256))
BUILD(eigh, eigh, .values = out(t, 1, 256), .vectors = out(t, 256, 256), .a = regular(t, 256))
BUILD(svd, svd, .u = out(t, 256, 256), .sigma = out(t, 1, 256), .vt = out(t, 256, 256),
      .a = in(t, 256, 256))

static const workload workloads[] = {
    {CDL_OP_copy, "1024x1024", 0, 8.0 * 1024 * 1024, copy},
    {CDL_OP_cast, "1024x1024 to BF16", 0, 6.0 * 1024 * 1024, to_bf16},
    {CDL_OP_permute, "1024x1024 transposed", 0, 8.0 * 1024 * 1024, transpose},
    {CDL_OP_fill, "1024x1024", 0, 4.0 * 1024 * 1024, fill},
    {CDL_OP_gather_rows, "512 of 1000x768", 0, 8.0 * 512 * 768, gather},
    {CDL_OP_scatter_add_rows, "512 to 256 of 1000x768", 0, 4.0 * (512 + 2 * 256) * 768, scatter},
    {CDL_OP_gemm, "1024x1024x1024", 2.0 * 1024 * 1024 * 1024, 0, square},
    {CDL_OP_gemm, "512x1536x384 nt", 2.0 * 512 * 1536 * 384, 0, wide},
    {CDL_OP_gemm, "512x8x768 nt", 2.0 * 512 * 8 * 768, 0, thin},
    {CDL_OP_unary, "512x1536 gelu", 0, 8.0 * 512 * 1536, gelu},
    {CDL_OP_unary_grad, "512x1536 gelu", 0, 12.0 * 512 * 1536, gelu_grad},
    {CDL_OP_binary, "1024x1024 add", 0, 12.0 * 1024 * 1024, add},
    {CDL_OP_axpby, "1024x1024", 0, 12.0 * 1024 * 1024, axpby},
    {CDL_OP_reduce, "1024x1024 sum over rows", 0, 4.0 * 1024 * 1024, column_sum},
    {CDL_OP_softmax, "3072x128", 0, 8.0 * 3072 * 128, softmax},
    {CDL_OP_softmax_grad, "3072x128", 0, 12.0 * 3072 * 128, softmax_grad},
    {CDL_OP_layer_norm, "512x768", 0, 8.0 * 512 * 768, norm},
    {CDL_OP_layer_norm_grad, "512x768", 0, 12.0 * 512 * 768, norm_grad},
    {CDL_OP_dropout, "512x768", 0, 8.0 * 512 * 768, drop},
    {CDL_OP_cross_entropy, "512x64", 0, 8.0 * 512 * 64, cross},
    {CDL_OP_binary_cross_entropy, "512x64", 0, 12.0 * 512 * 64, several},
    {CDL_OP_squared_error, "65536", 0, 12.0 * 65536, squared},
    {CDL_OP_adamw, "1024x768", 0, 28.0 * 1024 * 768, adam},
    {CDL_OP_any_non_finite, "1024x1024", 0, 4.0 * 1024 * 1024, all_finite},
    {CDL_OP_linear, "512x384 to 1536, gelu", 2.0 * 512 * 1536 * 384, 0, linear},
    {CDL_OP_linear_grad, "512x1536 to 384", 2.0 * 512 * 1536 * 384, 0, linear_grad},
    {CDL_OP_low_rank, "512x768 by 8 to 768", 4.0 * 512 * 8 * 768, 0, low_rank},
    {CDL_OP_low_rank_grad, "512x768 by 8 to 768", 8.0 * 512 * 8 * 768, 0, low_rank_grad},
    {CDL_OP_map_weights, "768x768 by 8", 4.0 * 768 * 8 * 768, 0, map_weights},
    {CDL_OP_map_weights_grad, "768x768 by 8", 4.0 * 768 * 8 * 768, 0, map_weights_grad},
    {CDL_OP_add_layer_norm, "512x768", 0, 16.0 * 512 * 768, add_norm},
    {CDL_OP_add_layer_norm_grad, "512x768", 0, 16.0 * 512 * 768, add_norm_grad},
    {CDL_OP_attention, "8 sequences of 64, 12 heads of 32", 4.0 * 8 * 12 * 64 * 64 * 32, 0,
     attention},
    {CDL_OP_attention_grad, "8 sequences of 64, 12 heads of 32", 10.0 * 8 * 12 * 64 * 64 * 32, 0,
     attention_grad},
    {CDL_OP_attention, "the same with a bias", 4.0 * 8 * 12 * 64 * 64 * 32, 0, biased},
    {CDL_OP_attention_grad, "the same with a bias and its gradient", 10.0 * 8 * 12 * 64 * 64 * 32,
     0, biased_grad},
    {CDL_OP_clip_norm, "1024x768", 0, 4.0 * 1024 * 768, clip},
    {CDL_OP_svd, "256x256", 0, 0, svd},
    {CDL_OP_lu_solve, "256x256, 64 columns", 0, 0, lu_solve},
    {CDL_OP_lu_inverse, "256x256", 0, 0, lu_inverse},
    {CDL_OP_qr, "256x256", 0, 0, qr},
    {CDL_OP_eigh, "256x256", 0, 0, eigh},
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
    const cdl_status status = cdl_queue_sync(t->queue);
    if (status != CDL_STATUS_OK) {
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
        .group = op_find(w->op)->name, .op = (int)w->op, .dtype = CDL_DTYPE_F32, .name = "perf"};
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
