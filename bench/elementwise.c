/* Measures maps, norms, softmax, dropout and the optimizer, which are bound by memory. The shapes
 * are an encoder's activations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

enum { FLAT = 1 << 22, FLAT_ROWS = 1024 };

typedef struct {
  cdl_queue *queue;
  cdl_op op;
  union {
    cdl_copy_args copy;
    cdl_permute_args permute;
    cdl_gather_rows_args gather_rows;
    cdl_axpby_args axpby;
    cdl_binary_args binary;
    cdl_unary_args unary;
    cdl_unary_grad_args unary_grad;
    cdl_reduce_args reduce;
    cdl_softmax_args softmax;
    cdl_softmax_grad_args softmax_grad;
    cdl_layer_norm_args layer_norm;
    cdl_layer_norm_grad_args layer_norm_grad;
    cdl_add_layer_norm_args add_layer_norm;
    cdl_dropout_args dropout;
    cdl_adamw_args adamw;
  } args;
  cdl_packing packing;
  int32_t *offsets, *examples; /* of the packing; owned */
  int32_t sequences;
  int64_t length, tokens, hidden, wide, score_rows;
  cdl_tensor out, in[3]; /* the tensors before the call, from which the truth is computed */
  float *y, *x[3];       /* the same on the host */
  int64_t columns;       /* columns of out and in[0] */
} element_case;

static void run_case(void *context)
{
  const element_case *c = context;
  switch (c->op) {
#define RUN(name)                        \
  case CDL_OP_##name:                    \
    cdl_##name(c->queue, &c->args.name); \
    break;
    RUN(copy)
    RUN(permute)
    RUN(gather_rows)
    RUN(axpby)
    RUN(binary)
    RUN(unary)
    RUN(unary_grad)
    RUN(reduce)
    RUN(softmax)
    RUN(softmax_grad)
    RUN(layer_norm)
    RUN(layer_norm_grad)
    RUN(add_layer_norm)
    RUN(dropout)
    RUN(adamw)
#undef RUN
  default:
    break;
  }
}

#define SET(c, name, ...)   \
  ((c)->op = CDL_OP_##name, \
   (c)->args.name = (cdl_##name##_args){.size = sizeof(cdl_##name##_args), __VA_ARGS__})

/* ---- Each case: its arguments, and the truth in float64 for one element ---- */

static cdl_tensor in(bench_samples *s, element_case *c, int i, int64_t rows, int64_t columns)
{
  return c->in[i] = bench_sample(s, rows, columns, 1);
}

static cdl_tensor out(bench_samples *s, element_case *c, int64_t rows, int64_t columns)
{
  c->columns = columns;
  return c->out = bench_sample(s, rows, columns, 0);
}

static double x_at(const element_case *c, int k, int64_t i, int64_t j)
{
  return (double)c->x[k][i * c->columns + j];
}

static void make_copy(bench_samples *s, element_case *c)
{
  SET(c, copy, .out = out(s, c, FLAT_ROWS, FLAT / FLAT_ROWS),
      .x = in(s, c, 0, FLAT_ROWS, FLAT / FLAT_ROWS));
}

static double true_copy(const element_case *c, int64_t i, int64_t j)
{
  return x_at(c, 0, i, j);
}

static void make_transpose(bench_samples *s, element_case *c)
{
  SET(c, permute, .out = out(s, c, c->hidden, c->wide), .x = in(s, c, 0, c->wide, c->hidden),
      .order = {0, 1, 3, 2});
}

static double true_transpose(const element_case *c, int64_t i, int64_t j)
{
  return (double)c->x[0][j * c->hidden + i];
}

/* Row r of the output is row 7 r mod tokens of the table. */
static void make_gather(bench_samples *s, element_case *c)
{
  int32_t *index = calloc((size_t)c->tokens + 1, sizeof *index);
  if (index == NULL) {
    s->status = cdl_fail(CDL_STATUS_MEMORY, "out of memory: %lld indices", (long long)c->tokens);
    return;
  }
  for (int64_t i = 0; i < c->tokens; i++)
    index[i] = (int32_t)(7 * i % c->tokens);
  SET(c, gather_rows, .out = out(s, c, c->tokens, c->hidden),
      .table = in(s, c, 0, c->tokens, c->hidden),
      .index = bench_sample_integers(s, index, c->tokens));
  free(index);
}

static double true_gather(const element_case *c, int64_t i, int64_t j)
{
  return x_at(c, 0, 7 * i % c->tokens, j);
}

static void make_axpby(bench_samples *s, element_case *c)
{
  const cdl_tensor y = out(s, c, FLAT_ROWS, FLAT / FLAT_ROWS);
  SET(c, axpby, .out = y, .x = in(s, c, 0, FLAT_ROWS, FLAT / FLAT_ROWS), .alpha = 0.5F,
      .beta = 0.25F);
}

static double true_axpby(const element_case *c, int64_t i, int64_t j)
{
  return 0.5 * x_at(c, 0, i, j); /* out was zero before */
}

static void make_bias(bench_samples *s, element_case *c)
{
  SET(c, binary, .out = out(s, c, c->tokens, c->wide), .x = in(s, c, 0, c->tokens, c->wide),
      .y = in(s, c, 1, 1, c->wide), .function = CDL_BINARY_ADD);
}

static double true_bias(const element_case *c, int64_t i, int64_t j)
{
  return x_at(c, 0, i, j) + x_at(c, 1, 0, j);
}

static void make_gelu(bench_samples *s, element_case *c)
{
  SET(c, unary, .out = out(s, c, c->tokens, c->wide), .x = in(s, c, 0, c->tokens, c->wide),
      .function = CDL_UNARY_ACTIVATION, .activation = CDL_ACTIVATION_GELU);
}

static double true_gelu(const element_case *c, int64_t i, int64_t j)
{
  const double x = x_at(c, 0, i, j);
  return 0.5 * x * (1 + erf(x / sqrt(2.0)));
}

static void make_gelu_grad(bench_samples *s, element_case *c)
{
  SET(c, unary_grad, .d_x = out(s, c, c->tokens, c->wide), .d_out = in(s, c, 0, c->tokens, c->wide),
      .x = in(s, c, 1, c->tokens, c->wide), .activation = CDL_ACTIVATION_GELU);
}

static double true_gelu_grad(const element_case *c, int64_t i, int64_t j)
{
  const double x = x_at(c, 1, i, j);
  return x_at(c, 0, i, j) *
         (0.5 * (1 + erf(x / sqrt(2.0))) + x * exp(-x * x / 2) / sqrt(2 * 3.14159265358979323846));
}

static void make_column_sum(bench_samples *s, element_case *c)
{
  SET(c, reduce, .out = out(s, c, 1, c->wide), .x = in(s, c, 0, c->tokens, c->wide),
      .function = CDL_REDUCE_SUM, .axis = 2);
}

static double true_column_sum(const element_case *c, int64_t i, int64_t j)
{
  double sum = 0;
  (void)i;
  for (int64_t k = 0; k < c->tokens; k++)
    sum += x_at(c, 0, k, j);
  return sum;
}

static void make_softmax(bench_samples *s, element_case *c)
{
  SET(c, softmax, .out = out(s, c, c->score_rows, c->length),
      .x = in(s, c, 0, c->score_rows, c->length), .scale = 2);
}

static double true_softmax(const element_case *c, int64_t i, int64_t j)
{
  double sum = 0;
  for (int64_t k = 0; k < c->length; k++)
    sum += exp(2 * (x_at(c, 0, i, k) - x_at(c, 0, i, j)));
  return 1 / sum;
}

static void make_softmax_grad(bench_samples *s, element_case *c)
{
  SET(c, softmax_grad, .d_x = out(s, c, c->score_rows, c->length),
      .d_out = in(s, c, 0, c->score_rows, c->length), .out = in(s, c, 1, c->score_rows, c->length),
      .scale = 2);
}

static double true_softmax_grad(const element_case *c, int64_t i, int64_t j)
{
  double dot = 0;
  for (int64_t k = 0; k < c->length; k++)
    dot += x_at(c, 0, i, k) * x_at(c, 1, i, k);
  return 2 * x_at(c, 1, i, j) * (x_at(c, 0, i, j) - dot);
}

static void make_norm(bench_samples *s, element_case *c)
{
  const cdl_tensor mean = bench_sample_constant(s, c->tokens, 0),
                   rstd = bench_sample_constant(s, c->tokens, 0);
  SET(c, layer_norm, .out = out(s, c, c->tokens, c->hidden), .x = in(s, c, 0, c->tokens, c->hidden),
      .gain = bench_sample_constant(s, c->hidden, 1.5),
      .bias = bench_sample_constant(s, c->hidden, 0.25), .mean = mean, .rstd = rstd,
      .epsilon = 1e-5F);
}

/* Computes mean and 1 / deviation of row i of the sum of the first `inputs` inputs. */
static void row_moments(const element_case *c, int inputs, int64_t i, double *mean, double *rstd)
{
  double sum = 0, squares = 0;
  for (int64_t k = 0; k < c->hidden; k++)
    sum += x_at(c, 0, i, k) + (inputs > 1 ? x_at(c, 1, i, k) : 0);
  *mean = sum / (double)c->hidden;
  for (int64_t k = 0; k < c->hidden; k++) {
    const double d = x_at(c, 0, i, k) + (inputs > 1 ? x_at(c, 1, i, k) : 0) - *mean;
    squares += d * d;
  }
  *rstd = 1 / sqrt(squares / (double)c->hidden + 1e-5);
}

static double true_norm(const element_case *c, int64_t i, int64_t j)
{
  double mean, rstd;
  row_moments(c, 1, i, &mean, &rstd);
  return (x_at(c, 0, i, j) - mean) * rstd * 1.5 + 0.25;
}

static void make_add_norm(bench_samples *s, element_case *c)
{
  const cdl_tensor mean = bench_sample_constant(s, c->tokens, 0),
                   rstd = bench_sample_constant(s, c->tokens, 0);
  SET(c, add_layer_norm, .out = out(s, c, c->tokens, c->hidden),
      .sum = bench_sample(s, c->tokens, c->hidden, 0), .x = in(s, c, 0, c->tokens, c->hidden),
      .residual = in(s, c, 1, c->tokens, c->hidden),
      .gain = bench_sample_constant(s, c->hidden, 1.5),
      .bias = bench_sample_constant(s, c->hidden, 0.25), .mean = mean, .rstd = rstd,
      .epsilon = 1e-5F);
}

static double true_add_norm(const element_case *c, int64_t i, int64_t j)
{
  double mean, rstd;
  row_moments(c, 2, i, &mean, &rstd);
  return (x_at(c, 0, i, j) + x_at(c, 1, i, j) - mean) * rstd * 1.5 + 0.25;
}

/* Sets mean 0.125 and rstd 0.75 for any x; the op does not recompute them. */
static void make_norm_grad(bench_samples *s, element_case *c)
{
  SET(c, layer_norm_grad, .d_x = out(s, c, c->tokens, c->hidden),
      .d_out = in(s, c, 0, c->tokens, c->hidden), .x = in(s, c, 1, c->tokens, c->hidden),
      .gain = bench_sample_constant(s, c->hidden, 1.5),
      .mean = bench_sample_constant(s, c->tokens, 0.125),
      .rstd = bench_sample_constant(s, c->tokens, 0.75));
}

static double true_norm_grad(const element_case *c, int64_t i, int64_t j)
{
  double sum = 0, dot = 0;
  for (int64_t k = 0; k < c->hidden; k++) {
    const double g = 1.5 * x_at(c, 0, i, k), normed = (x_at(c, 1, i, k) - 0.125) * 0.75;
    sum += g;
    dot += g * normed;
  }
  const double normed = (x_at(c, 1, i, j) - 0.125) * 0.75;
  return 0.75 *
         (1.5 * x_at(c, 0, i, j) - sum / (double)c->hidden - normed * dot / (double)c->hidden);
}

static void make_dropout(bench_samples *s, element_case *c)
{
  const cdl_step_record record = {.step = 3, .seed = {11, 12}};
  for (int32_t i = 0; i <= c->sequences; i++) {
    c->offsets[i] = i * (int32_t)c->length;
    c->examples[i] = 100 + i; /* one more than needed, unused */
  }
  c->packing = (cdl_packing){.offsets = bench_sample_integers(s, c->offsets, c->sequences + 1),
                             .examples = bench_sample_integers(s, c->examples, c->sequences),
                             .host_offsets = c->offsets,
                             .host_examples = c->examples,
                             .sequences = c->sequences,
                             .tokens = (int32_t)c->tokens,
                             .longest = (int32_t)c->length};
  SET(c, dropout, .out = out(s, c, c->tokens, c->hidden), .x = in(s, c, 0, c->tokens, c->hidden),
      .packing = &c->packing,
      .mask = {.probability = 0.125F,
               .purpose = CDL_RANDOM_TEST,
               .layer = 5,
               .step = bench_sample_bytes(s, &record, sizeof record)});
}

static double true_dropout(const element_case *c, int64_t i, int64_t j)
{
  const uint32_t e = (uint32_t)(i % c->length * c->hidden + j);
  const cdl_philox_words words = cdl_random_block(11 | (uint64_t)12 << 32, CDL_RANDOM_TEST, 5, 3,
                                                  (uint32_t)(100 + i / c->length), e / 4);
  return words.word[e % 4] >= cdl_random_threshold(0.125) ? x_at(c, 0, i, j) / (1 - 0.125) : 0;
}

static void make_adamw(bench_samples *s, element_case *c)
{
  const cdl_step_record record = {
      .learning_rate = 1e-3F, .correction1 = 0.5F, .correction2 = 0.25F};
  const cdl_tensor parameter = out(s, c, FLAT_ROWS, FLAT / FLAT_ROWS);
  SET(c, adamw, .parameter = parameter, .moment1 = bench_sample(s, FLAT_ROWS, FLAT / FLAT_ROWS, 0),
      .moment2 = bench_sample(s, FLAT_ROWS, FLAT / FLAT_ROWS, 0),
      .gradient = in(s, c, 0, FLAT_ROWS, FLAT / FLAT_ROWS),
      .step = bench_sample_bytes(s, &record, sizeof record), .beta1 = 0.9, .beta2 = 0.999,
      .epsilon = 1e-8, .rate = 1);
}

/* Starting from zeros, m = 0.1 g and v = 0.001 g². */
static double true_adamw(const element_case *c, int64_t i, int64_t j)
{
  const double g = x_at(c, 0, i, j);
  return -(double)1e-3F * (0.1 * g / 0.5) / (sqrt(0.001 * g * g) / sqrt(0.25) + 1e-8);
}

typedef struct {
  const char *what;
  void (*make)(bench_samples *s, element_case *c);
  double (*truth)(const element_case *c, int64_t i, int64_t j);
  double streams;    /* floats read and written for each element of the larger of in[0] and out */
  double operations; /* arithmetic on each; a root or a transcendental function counts as one */
  double bound;      /* relative to max(1, |truth|) */
  bool quick;
} element_kind;

static const element_kind kinds[] = {
    {"copy", make_copy, true_copy, 2, 0, 0, true},
    {"axpby", make_axpby, true_axpby, 3, 3, 1e-6, true},
    {"adamw", make_adamw, true_adamw, 7, 15, 1e-5, true},
    {"transpose", make_transpose, true_transpose, 2, 0, 0, false},
    {"gather rows", make_gather, true_gather, 2, 0, 0, false},
    {"add bias", make_bias, true_bias, 2, 1, 1e-6, true},
    {"GELU", make_gelu, true_gelu, 2, 5, 1e-6, true},
    {"GELU gradient", make_gelu_grad, true_gelu_grad, 3, 12, 2e-6, true},
    {"sum of columns", make_column_sum, true_column_sum, 1, 1, 1e-4, false},
    {"softmax", make_softmax, true_softmax, 2, 6, 2e-6, true},
    {"softmax gradient", make_softmax_grad, true_softmax_grad, 3, 5, 1e-5, false},
    {"layer norm", make_norm, true_norm, 2, 8, 1e-5, true},
    {"add, layer norm", make_add_norm, true_add_norm, 4, 9, 1e-5, true},
    {"layer norm gradient", make_norm_grad, true_norm_grad, 3, 12, 1e-5, true},
    {"dropout", make_dropout, true_dropout, 2, 1, 1e-6, true},
};

/* ---- The workload ---- */

static cdl_status check_places(const element_kind *k, const element_case *c)
{
  enum { PLACES = 200 };
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 3, 0);
  for (int place = 0; place < PLACES; place++) {
    const int64_t at = (int64_t)cdl_random_below(&random, (uint64_t)cdl_tensor_elements(c->out));
    const double truth = k->truth(c, at / c->columns, at % c->columns);
    CDL_TRY(bench_compare(k->what, at, (double)c->y[at], truth, k->bound * fmax(1, fabs(truth))));
  }
  return CDL_STATUS_OK;
}

static cdl_status check_case(const element_kind *k, element_case *c)
{
  cdl_status status = CDL_STATUS_OK;
  for (int i = 0; status == CDL_STATUS_OK && i < 3; i++)
    if (cdl_tensor_present(c->in[i]))
      status = bench_download(c->queue, c->in[i], &c->x[i]);
  if (status == CDL_STATUS_OK) {
    run_case(c);
    status = bench_download(c->queue, c->out, &c->y);
  }
  if (status == CDL_STATUS_OK)
    status = check_places(k, c);
  for (int i = 0; i < 3; i++)
    free(c->x[i]);
  free(c->y);
  return status;
}

static cdl_status prepare(const bench *b, element_case *c)
{
  const bench_activation_shape *a = &b->shapes->activations;
  *c = (element_case){.queue = b->queue,
                      .sequences = a->sequences,
                      .length = a->length,
                      .tokens = (int64_t)a->sequences * a->length,
                      .hidden = a->hidden,
                      .wide = a->wide,
                      .offsets = calloc(2 * (size_t)(a->sequences + 1), sizeof *c->offsets)};
  if (c->offsets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: offsets");
  c->score_rows = a->heads * c->tokens;
  c->examples = c->offsets + a->sequences + 1;
  return CDL_STATUS_OK;
}

static void report_kind(bench *b, const element_kind *k, const element_case *c,
                        const bench_measurement *m)
{
  const int64_t read = cdl_tensor_elements(c->in[0]), written = cdl_tensor_elements(c->out);
  const double elements = (double)(read > written ? read : written);
  const cdl_tensor shown = read > written ? c->in[0] : c->out;
  bench_report *r = b->report;
  char shape[64];
  snprintf(shape, sizeof shape, "%lldx%lld", (long long)shown.size[2], (long long)shown.size[3]);
  bench_report_add_row(r);
  bench_report_text(r, "name", k->what);
  bench_report_text(r, "shape", shape);
  bench_report_text(r, "path", cdl_path_name(cdl_op_path(b->backend, c->op, &c->args)));
  bench_report_timing(r, m);
  bench_report_number(r, "bytes_per_s", 4 * k->streams * elements / m->median);
  bench_report_number(r, "flop_per_byte", k->operations / (4 * k->streams));
  if (k->operations > 0)
    bench_report_number(r, "flop_per_s", k->operations * elements / m->median);
}

static cdl_status run_kind(bench *b, bench_samples *s, const element_kind *k, element_case *c)
{
  bench_measurement m = {0};
  k->make(s, c);
  CDL_TRY(s->status);
  CDL_TRY(check_case(k, c));
  CDL_TRY(bench_measure_run(b->queue, &b->effort, run_case, c, &m));
  report_kind(b, k, c, &m);
  bench_measure_release(&m);
  return CDL_STATUS_OK;
}

cdl_status bench_elementwise(bench *b)
{
  static const bench_report_column columns[] = {{"name", "op", BENCH_REPORT_TEXT},
                                                {"shape", "shape", BENCH_REPORT_TEXT},
                                                {"path", "path", BENCH_REPORT_TEXT},
                                                BENCH_REPORT_TIMING_COLUMNS,
                                                BENCH_REPORT_RATE_COLUMNS};
  bench_report_use_table(b->report, "elementwise", "elementwise: bound by memory, float32", columns,
                         sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_find_peak(b, false));
  for (size_t i = 0; i < sizeof kinds / sizeof kinds[0]; i++) {
    if (b->options.quick && !kinds[i].quick)
      continue;
    bench_progress("elementwise", kinds[i].what);
    bench_samples s = bench_samples_begin(b->queue, 4);
    element_case c;
    cdl_status status = prepare(b, &c);
    if (status == CDL_STATUS_OK)
      status = run_kind(b, &s, &kinds[i], &c);
    free(c.offsets);
    bench_samples_release(&s);
    CDL_TRY(status);
  }
  return CDL_STATUS_OK;
}
