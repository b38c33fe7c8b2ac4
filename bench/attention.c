/* Measures self-attention within packed sequences, forward and backward. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct {
  const bench_attention_shape *shape;
  cdl_queue *queue;
  int32_t tokens, longest;
  cdl_packing packing;
  cdl_attention_args forward;
  cdl_attention_grad_args backward;
} attention_case;

static void run_forward(void *context)
{
  const attention_case *c = context;
  cdl_attention(c->queue, &c->forward);
}

static void run_backward(void *context)
{
  const attention_case *c = context;
  cdl_attention_grad(c->queue, &c->backward);
}

static cdl_status make_case(bench_samples *s, attention_case *c, int32_t *offsets)
{
  const bench_attention_shape *p = c->shape;
  const int32_t hidden = p->heads * p->width;
  const float scale = (float)(1 / sqrt((double)p->width));
  for (int32_t i = 0; i < p->sequences; i++) {
    offsets[i + 1] = offsets[i] + p->lengths[i];
    c->longest = p->lengths[i] > c->longest ? p->lengths[i] : c->longest;
  }
  const int32_t tokens = c->tokens = offsets[p->sequences];
  c->queue = s->queue;
  c->packing = (cdl_packing){.offsets = bench_sample_integers(s, offsets, p->sequences + 1),
                             .host_offsets = offsets,
                             .sequences = p->sequences,
                             .tokens = tokens,
                             .longest = c->longest};
  c->forward = (cdl_attention_args){.size = sizeof c->forward,
                                    .out = bench_sample(s, tokens, hidden, 0),
                                    .qkv = bench_sample(s, tokens, 3 * hidden, 1),
                                    .log_sum = bench_sample(s, p->heads, tokens, 0),
                                    .packing = &c->packing,
                                    .heads = p->heads,
                                    .scale = scale};
  if (p->distances > 0)
    c->forward.bias = bench_sample(s, p->heads, p->distances, 1);
  c->backward = (cdl_attention_grad_args){.size = sizeof c->backward,
                                          .d_qkv = bench_sample(s, tokens, 3 * hidden, 0),
                                          .d_out = bench_sample(s, tokens, hidden, 1),
                                          .qkv = c->forward.qkv,
                                          .log_sum = c->forward.log_sum,
                                          .packing = &c->packing,
                                          .heads = p->heads,
                                          .scale = scale,
                                          .bias = c->forward.bias};
  return s->status;
}

/* ---- Float64 ---- */

typedef struct {
  float *qkv, *d_out, *out, *d_qkv;
  float *bias;     /* NULL: there is none */
  double *p, *d_s; /* [length, length] for one sequence and head */
  double unit;     /* rounding unit of the products */
} attention_values;

/* One sequence and head: first row and length. */
typedef struct {
  int64_t first, length, head;
} attention_place;

static double at(const float *x, int64_t row, int64_t stride, int64_t column)
{
  return (double)x[row * stride + column];
}

/* Returns the bias of a key's distance from a query. */
static double bias_at(const bench_attention_shape *p, const attention_values *v, int64_t head,
                      int64_t distance)
{
  if (v->bias == NULL)
    return 0;
  const int64_t radius = p->distances / 2, clamped = distance < -radius  ? -radius
                                                     : distance > radius ? radius
                                                                         : distance;
  return at(v->bias, head, p->distances, radius + clamped);
}

/* Computes P = softmax(s Q Kᵀ + bias) and dS = s · P ∘ (dP − Σ dP ∘ P), where dP = dO Vᵀ. */
static void reference(const bench_attention_shape *p, const attention_values *v,
                      attention_place at_place)
{
  const int64_t n = at_place.length, first = at_place.first, d = p->width, hidden = p->heads * d,
                stride = 3 * hidden, q = at_place.head * d;
  const double scale = 1 / sqrt((double)d);
  for (int64_t i = 0; i < n; i++) {
    double *row = v->p + i * n, *d_row = v->d_s + i * n, largest = -INFINITY, sum = 0, dot = 0;
    for (int64_t j = 0; j < n; j++) {
      row[j] = bias_at(p, v, at_place.head, j - i);
      d_row[j] = 0;
      for (int64_t e = 0; e < d; e++) {
        row[j] += scale * at(v->qkv, first + i, stride, q + e) *
                  at(v->qkv, first + j, stride, hidden + q + e);
        d_row[j] += at(v->d_out, first + i, hidden, q + e) *
                    at(v->qkv, first + j, stride, 2 * hidden + q + e);
      }
      largest = fmax(largest, row[j]);
    }
    for (int64_t j = 0; j < n; j++)
      sum += row[j] = exp(row[j] - largest);
    for (int64_t j = 0; j < n; j++) {
      row[j] /= sum;
      dot += row[j] * d_row[j];
    }
    for (int64_t j = 0; j < n; j++)
      d_row[j] = scale * row[j] * (d_row[j] - dot);
  }
}

/* Adds a term to a sum, and its absolute value to `*size`. */
static void add_term(double *sum, double *size, double term)
{
  *sum += term;
  *size += fabs(term);
}

/* Checks row i and column e of the outputs of one sequence and head. */
static cdl_status check_place(const bench_attention_shape *p, const attention_values *v,
                              attention_place where, int64_t i, int64_t e)
{
  const int64_t n = where.length, first = where.first, hidden = p->heads * p->width,
                stride = 3 * hidden, column = where.head * p->width + e, row = first + i;
  /* The bound depends on the length in float32, and on the terms' size if products round to 10
   * bits. */
  const double fine = 0x1p-24 * 64 * sqrt((double)(n * p->width)),
               coarse = v->unit > 0x1p-24 ? 32 * v->unit : 0;
  double out = 0, d_q = 0, d_k = 0, d_v = 0, size[4] = {0};
  for (int64_t j = 0; j < n; j++) {
    add_term(&out, &size[0], v->p[i * n + j] * at(v->qkv, first + j, stride, 2 * hidden + column));
    add_term(&d_q, &size[1], v->d_s[i * n + j] * at(v->qkv, first + j, stride, hidden + column));
    add_term(&d_k, &size[2], v->d_s[j * n + i] * at(v->qkv, first + j, stride, column));
    add_term(&d_v, &size[3], v->p[j * n + i] * at(v->d_out, first + j, hidden, column));
  }
  CDL_TRY(bench_compare("out", row * hidden + column, at(v->out, row, hidden, column), out,
                        fine + coarse * size[0]));
  CDL_TRY(bench_compare("d_query", row * stride + column, at(v->d_qkv, row, stride, column), d_q,
                        fine + coarse * size[1]));
  CDL_TRY(bench_compare("d_key", row * stride + hidden + column,
                        at(v->d_qkv, row, stride, hidden + column), d_k, fine + coarse * size[2]));
  return bench_compare("d_value", row * stride + 2 * hidden + column,
                       at(v->d_qkv, row, stride, 2 * hidden + column), d_v,
                       fine + coarse * size[3]);
}

static cdl_status check_values(const attention_case *c, attention_values *v)
{
  enum { PAIRS = 3, PLACES = 40 };
  const bench_attention_shape *p = c->shape;
  const size_t square = (size_t)c->longest * (size_t)c->longest;
  v->p = malloc(2 * square * sizeof *v->p);
  if (v->p == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: a check of attention");
  v->d_s = v->p + square;
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 2, 0);
  for (int pair = 0; pair < PAIRS; pair++) {
    const uint64_t sequence = cdl_random_below(&random, (uint64_t)p->sequences);
    const attention_place where = {c->packing.host_offsets[sequence], p->lengths[sequence],
                                   (int64_t)cdl_random_below(&random, (uint64_t)p->heads)};
    reference(p, v, where);
    for (int place = 0; place < PLACES; place++)
      CDL_TRY(check_place(p, v, where, (int64_t)cdl_random_below(&random, (uint64_t)where.length),
                          (int64_t)cdl_random_below(&random, (uint64_t)p->width)));
  }
  return CDL_STATUS_OK;
}

static cdl_status check_case(attention_case *c, double unit)
{
  attention_values v = {.unit = unit};
  run_forward(c);
  run_backward(c);
  cdl_status status = bench_download(c->queue, c->forward.qkv, &v.qkv);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->backward.d_out, &v.d_out);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->forward.out, &v.out);
  if (status == CDL_STATUS_OK)
    status = bench_download(c->queue, c->backward.d_qkv, &v.d_qkv);
  if (status == CDL_STATUS_OK && c->shape->distances > 0)
    status = bench_download(c->queue, c->forward.bias, &v.bias);
  if (status == CDL_STATUS_OK)
    status = check_values(c, &v);
  free(v.qkv);
  free(v.d_out);
  free(v.out);
  free(v.d_qkv);
  free(v.bias);
  free(v.p);
  return cdl_context(status, "%s", c->shape->what);
}

/* ---- The workload ---- */

static cdl_status time_direction(bench *b, attention_case *c, bool forward)
{
  const bench_attention_shape *p = c->shape;
  bench_measurement m = {0};
  CDL_TRY(bench_measure_run(b->queue, &b->effort, forward ? run_forward : run_backward, c, &m));
  const double products = forward ? 2 : 5; /* Q Kᵀ and P V; Q Kᵀ again, dP, dV, dQ, dK */
  double pairs = 0;
  for (int32_t i = 0; i < p->sequences; i++)
    pairs += (double)p->lengths[i] * p->lengths[i];
  const double operations = products * 2 * p->heads * pairs * p->width;
  /* The least traffic: qkv, out and log_sum; backward also d_qkv. Other values may stay on the
   * chip. */
  const double bytes = 4.0 * c->tokens * p->heads * ((forward ? 4 : 7) * p->width + 1);
  bench_report *r = b->report;
  bench_report_add_row(r);
  bench_report_text(r, "name", p->what);
  bench_report_text(r, "direction", forward ? "forward" : "backward");
  bench_report_text(
      r, "path",
      cdl_path_name(forward ? cdl_op_path(b->backend, CDL_OP_attention, &c->forward)
                            : cdl_op_path(b->backend, CDL_OP_attention_grad, &c->backward)));
  bench_report_timing(r, &m);
  bench_report_number(r, "flop_per_s", operations / m.median);
  bench_report_number(r, "bytes_per_s", bytes / m.median);
  bench_report_number(r, "flop_per_byte", operations / bytes);
  bench_measure_release(&m);
  return CDL_STATUS_OK;
}

static cdl_status run_shape(bench *b, bench_samples *s, const bench_attention_shape *p)
{
  attention_case c = {.shape = p};
  int32_t *offsets = calloc((size_t)p->sequences + 1, sizeof *offsets);
  if (offsets == NULL)
    return cdl_fail(CDL_STATUS_MEMORY, "out of memory: offsets");
  cdl_status status = make_case(s, &c, offsets);
  if (status == CDL_STATUS_OK)
    status = check_case(&c, bench_unit(b));
  if (status == CDL_STATUS_OK)
    status = time_direction(b, &c, true);
  if (status == CDL_STATUS_OK)
    status = time_direction(b, &c, false);
  free(offsets);
  return status;
}

cdl_status bench_attention(bench *b)
{
  static const bench_report_column columns[] = {{"name", "sequences", BENCH_REPORT_TEXT},
                                                {"direction", "direction", BENCH_REPORT_TEXT},
                                                {"path", "path", BENCH_REPORT_TEXT},
                                                BENCH_REPORT_TIMING_COLUMNS,
                                                BENCH_REPORT_RATE_COLUMNS};
  bench_report_use_table(b->report, "attention", "attention: packed sequences, without dropout",
                         columns, sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_find_peak(b, false));
  cdl_status status = CDL_STATUS_OK;
  for (size_t i = 0; status == CDL_STATUS_OK && i < b->shapes->attention_count; i++) {
    const bench_attention_shape *p = &b->shapes->attention[i];
    if (b->options.quick && !p->quick)
      continue;
    bench_progress("attention", p->what);
    bench_samples s = bench_samples_begin(b->queue, 3);
    status = run_shape(b, &s, p);
    bench_samples_release(&s);
  }
  return status;
}
