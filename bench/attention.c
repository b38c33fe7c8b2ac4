/* Self-attention within packed sequences, forward and backward. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench/bench.h"

typedef struct {
  const char *what;
  int32_t sequences, length, heads, width; /* `width` of a head */
  bool quick;
} attention_shape;

static const attention_shape shapes[] = {
    {"MiniLM, 16 x 55 tokens", 16, 55, 12, 32, true},
    {"RoBERTa-base, 16 x 70 tokens", 16, 70, 12, 64, true},
    {"RoBERTa-base, 8 x 512 tokens", 8, 512, 12, 64, false},
    {"RoBERTa-large, 8 x 512 tokens", 8, 512, 16, 64, false},
};

typedef struct {
  const attention_shape *shape;
  cdl_queue *queue;
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
  const attention_shape *p = c->shape;
  const int32_t tokens = p->sequences * p->length, hidden = p->heads * p->width;
  const float scale = (float)(1 / sqrt((double)p->width));
  for (int32_t i = 0; i <= p->sequences; i++)
    offsets[i] = i * p->length;
  c->queue = s->queue;
  c->packing = (cdl_packing){.offsets = bench_sample_integers(s, offsets, p->sequences + 1),
                             .host_offsets = offsets,
                             .sequences = p->sequences,
                             .tokens = tokens,
                             .longest = p->length};
  c->forward = (cdl_attention_args){.size = sizeof c->forward,
                                    .out = bench_sample(s, tokens, hidden, 0),
                                    .qkv = bench_sample(s, tokens, 3 * hidden, 1),
                                    .log_sum = bench_sample(s, p->heads, tokens, 0),
                                    .packing = &c->packing,
                                    .heads = p->heads,
                                    .scale = scale};
  c->backward = (cdl_attention_grad_args){.size = sizeof c->backward,
                                          .d_qkv = bench_sample(s, tokens, 3 * hidden, 0),
                                          .d_out = bench_sample(s, tokens, hidden, 1),
                                          .qkv = c->forward.qkv,
                                          .log_sum = c->forward.log_sum,
                                          .packing = &c->packing,
                                          .heads = p->heads,
                                          .scale = scale};
  return s->status;
}

/* ---- Float64 --------------------------------------------------------------------------------- */

typedef struct {
  float *qkv, *d_out, *out, *d_qkv;
  double *p, *d_s; /* [length, length] of one sequence and head */
} attention_values;

static double at(const float *x, int64_t row, int64_t stride, int64_t column)
{
  return (double)x[row * stride + column];
}

/* P = softmax(s Q Kᵀ) and dS = s · P ∘ (dP − Σ dP ∘ P), dP = dO Vᵀ, of the sequence that begins at `first`. */
static void reference(const attention_shape *p, const attention_values *v, int64_t first,
                      int64_t head)
{
  const int64_t n = p->length, d = p->width, hidden = p->heads * d, stride = 3 * hidden,
                q = head * d;
  const double scale = 1 / sqrt((double)d);
  for (int64_t i = 0; i < n; i++) {
    double *row = v->p + i * n, *d_row = v->d_s + i * n, largest = -INFINITY, sum = 0, dot = 0;
    for (int64_t j = 0; j < n; j++) {
      row[j] = d_row[j] = 0;
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

/* Row i and column e of the outputs of one sequence and head. */
static cdl_status check_place(const attention_shape *p, const attention_values *v, int64_t first,
                              int64_t head, int64_t i, int64_t e)
{
  const int64_t n = p->length, hidden = p->heads * p->width, stride = 3 * hidden,
                column = head * p->width + e;
  const double bound = 0x1p-24 * 64 * sqrt((double)(n * p->width));
  double out = 0, d_q = 0, d_k = 0, d_v = 0;
  for (int64_t j = 0; j < n; j++) {
    out += v->p[i * n + j] * at(v->qkv, first + j, stride, 2 * hidden + column);
    d_q += v->d_s[i * n + j] * at(v->qkv, first + j, stride, hidden + column);
    d_k += v->d_s[j * n + i] * at(v->qkv, first + j, stride, column);
    d_v += v->p[j * n + i] * at(v->d_out, first + j, hidden, column);
  }
  const int64_t row = first + i;
  CDL_TRY(bench_compare("out", row * hidden + column, at(v->out, row, hidden, column), out, bound));
  CDL_TRY(bench_compare("d_query", row * stride + column, at(v->d_qkv, row, stride, column), d_q,
                        bound));
  CDL_TRY(bench_compare("d_key", row * stride + hidden + column,
                        at(v->d_qkv, row, stride, hidden + column), d_k, bound));
  return bench_compare("d_value", row * stride + 2 * hidden + column,
                       at(v->d_qkv, row, stride, 2 * hidden + column), d_v, bound);
}

static cdl_status check_values(const attention_shape *p, attention_values *v)
{
  enum { PAIRS = 3, PLACES = 40 };
  const size_t square = (size_t)p->length * (size_t)p->length;
  v->p = malloc(2 * square * sizeof *v->p);
  if (v->p == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: a check of attention");
  v->d_s = v->p + square;
  cdl_random random = cdl_random_start(2, CDL_RANDOM_TEST, 2, 0);
  for (int pair = 0; pair < PAIRS; pair++) {
    const int64_t first = (int64_t)cdl_random_below(&random, (uint64_t)p->sequences) * p->length;
    const int64_t head = (int64_t)cdl_random_below(&random, (uint64_t)p->heads);
    reference(p, v, first, head);
    for (int place = 0; place < PLACES; place++)
      CDL_TRY(check_place(p, v, first, head,
                          (int64_t)cdl_random_below(&random, (uint64_t)p->length),
                          (int64_t)cdl_random_below(&random, (uint64_t)p->width)));
  }
  return CDL_OK;
}

static cdl_status check_case(attention_case *c)
{
  attention_values v = {0};
  run_forward(c);
  run_backward(c);
  cdl_status status = bench_download(c->queue, c->forward.qkv, &v.qkv);
  if (status == CDL_OK)
    status = bench_download(c->queue, c->backward.d_out, &v.d_out);
  if (status == CDL_OK)
    status = bench_download(c->queue, c->forward.out, &v.out);
  if (status == CDL_OK)
    status = bench_download(c->queue, c->backward.d_qkv, &v.d_qkv);
  if (status == CDL_OK)
    status = check_values(c->shape, &v);
  free(v.qkv);
  free(v.d_out);
  free(v.out);
  free(v.d_qkv);
  free(v.p);
  return cdl_context(status, "%s", c->shape->what);
}

/* ---- The workload ---------------------------------------------------------------------------- */

static cdl_status time_direction(bench *b, attention_case *c, bool forward)
{
  const attention_shape *p = c->shape;
  measurement m = {0};
  CDL_TRY(measure_run(b->queue, &b->effort, forward ? run_forward : run_backward, c, &m));
  const double products = forward ? 2 : 5; /* Q Kᵀ and P V; Q Kᵀ again, dP, dV, dQ, dK */
  const double operations =
      products * 2 * p->sequences * p->heads * (double)p->length * p->length * p->width;
  report *r = &b->report;
  report_add_row(r);
  report_text(r, "name", p->what);
  report_text(r, "direction", forward ? "forward" : "backward");
  report_text(r, "path",
              cdl_path_name(forward
                                ? cdl_op_path(b->backend, CDL_OP_attention, &c->forward)
                                : cdl_op_path(b->backend, CDL_OP_attention_grad, &c->backward)));
  report_timing(r, &m);
  report_number(r, "flop_per_s", operations / m.median);
  report_number(r, "of_best_gemm", operations / m.median / b->best_gemm);
  measure_release(&m);
  return CDL_OK;
}

static cdl_status run_shape(bench *b, bench_samples *s, const attention_shape *p)
{
  attention_case c = {.shape = p};
  int32_t *offsets = calloc((size_t)p->sequences + 1, sizeof *offsets);
  if (offsets == NULL)
    return cdl_fail(CDL_MEMORY, "out of memory: offsets");
  cdl_status status = make_case(s, &c, offsets);
  if (status == CDL_OK)
    status = check_case(&c);
  if (status == CDL_OK)
    status = time_direction(b, &c, true);
  if (status == CDL_OK)
    status = time_direction(b, &c, false);
  free(offsets);
  return status;
}

cdl_status bench_attention(bench *b)
{
  static const report_column columns[] = {{"name", "sequences", REPORT_TEXT},
                                          {"direction", "direction", REPORT_TEXT},
                                          {"path", "path", REPORT_TEXT},
                                          REPORT_TIMING_COLUMNS,
                                          {"flop_per_s", "GFLOP/s", REPORT_OPERATIONS_PER_S},
                                          {"of_best_gemm", "of best GEMM", REPORT_SHARE}};
  report_add_table(&b->report, "attention", "attention: packed sequences, without dropout", columns,
                   sizeof columns / sizeof columns[0]);
  CDL_TRY(bench_find_peak(b, false));
  cdl_status status = CDL_OK;
  for (size_t i = 0; status == CDL_OK && i < sizeof shapes / sizeof shapes[0]; i++) {
    if (b->options.quick && !shapes[i].quick)
      continue;
    bench_progress("attention", shapes[i].what);
    bench_samples s = bench_samples_begin(b->queue, 3);
    status = run_shape(b, &s, &shapes[i]);
    bench_samples_release(&s);
  }
  return status;
}
