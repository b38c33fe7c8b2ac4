/* attention and attention_grad. */
#include <math.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

enum { MAX_SEQUENCES = 8 };

typedef struct {
  int32_t lengths[MAX_SEQUENCES];
  int count, heads, d;
  layout qkv, out;
  float probability, scale;
  double spread;
  bool keep_log_sum;
  int rest;         /* rows past the last offset */
  int distances;    /* of a bias; 0: none */
  bool bias_frozen; /* without its gradient */
  cdl_dtype dtype;  /* of activations */
  int poisoned;     /* the sequence that has a NaN among its keys, from 1 on; 0: none */
} attention;

typedef struct {
  cdl_packing packing;
  cdl_dropout_mask mask;
  attention_shape shape;
  operand *bias; /* or NULL */
} setting;

static setting set_up(trial *t, const attention *a)
{
  setting s = {.packing = trial_packing(t, a->lengths, a->count)};
  s.packing.tokens += a->rest;
  s.packing.longest += a->rest; /* a bound may be loose */
  s.shape = (attention_shape){a->count,         a->heads, a->d,    s.packing.host_offsets,
                              (double)a->scale, NULL,     a->rest, NULL,
                              a->distances};
  if (a->distances > 0) {
    s.bias =
        trial_operand(t, "bias", ROLE_IN, CDL_DTYPE_F32, shape_2d(a->heads, a->distances), a->out);
    fill_normal(t, s.bias, 1);
    s.shape.bias = s.bias->value;
  }
  if (a->probability == 0)
    return s;
  cdl_step_record record = {.step = (uint32_t)random_bits(&t->random)};
  record.seed[0] = (uint32_t)random_bits(&t->random);
  record.seed[1] = (uint32_t)random_bits(&t->random);
  const operand *step = trial_step(t, record);
  s.mask = (cdl_dropout_mask){a->probability, 5, 7, step->view};
  double *keep = trial_doubles(t, attention_scores(&s.shape)), *at = keep;
  for (int i = 0; i < a->count; i++)
    for (int64_t e = 0; e < (int64_t)a->heads * a->lengths[i] * a->lengths[i]; e++)
      *at++ = dropout_keeps(&record, (double)a->probability, 5, 7,
                            (uint32_t)s.packing.host_examples[i], (uint64_t)e)
                  ? 1 / (1 - (double)a->probability)
                  : 0;
  s.shape.keep = keep;
  return s;
}

/* NaN past the last offset: nothing there may reach a result. */
static void fill_rows(trial *t, operand *x, double spread, int rest)
{
  fill_normal(t, x, spread);
  for (int64_t i = x->count - rest * x->view.size[3]; i < x->count; i++)
    x->value[i] = NAN;
  operand_settle(x);
}

/* One number that must not leave its sequence. */
static void poison(const attention *a, const setting *s, operand *qkv)
{
  if (a->poisoned == 0)
    return;
  const int64_t token = s->packing.host_offsets[a->poisoned - 1];
  qkv->value[(token * 3 + 1) * a->heads * a->d] = NAN;
  operand_settle(qkv);
}

/* bound = c · u(F32) · bound, and what BF16 adds, of the elements that belong to a sequence. */
static void finish_bound(const attention *a, cdl_op op, double *bound, const double *narrow,
                         int64_t count, int64_t real)
{
  const double c = bound_constant(op) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < count; i++)
    bound[i] = i >= real ? 0
                         : c * bound[i] + smallest_normal(CDL_DTYPE_F32) +
                               (a->dtype == CDL_DTYPE_BF16 ? narrow[i] : 0);
}

static cdl_tensor view_or_none(const operand *o)
{
  return o == NULL ? (cdl_tensor){0} : o->view;
}

static void attention_case(trial *t, const void *parameters)
{
  const attention *a = parameters;
  const setting s = set_up(t, a);
  const int64_t width = (int64_t)a->heads * a->d, tokens = s.packing.tokens;
  operand *qkv = trial_operand(t, "qkv", ROLE_IN, a->dtype, shape_2d(tokens, 3 * width), a->qkv);
  operand *out = trial_operand(t, "out", ROLE_OUT, a->dtype, shape_2d(tokens, width), a->out);
  operand *log_sum = a->keep_log_sum ? trial_operand(t, "log_sum", ROLE_OUT, CDL_DTYPE_F32,
                                                     shape_2d(a->heads, tokens), LAYOUT_OFFSET)
                                     : NULL;
  fill_rows(t, qkv, a->spread, a->rest);
  poison(a, &s, qkv);
  if (!trial_run(t, CDL_ARGS(attention, .out = out->view, .qkv = qkv->view,
                             .log_sum = view_or_none(log_sum), .packing = &s.packing,
                             .heads = a->heads, .scale = a->scale, .mask = s.mask,
                             .bias = view_or_none(s.bias))))
    return;
  double *want = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  double *want_sum = trial_doubles(t, a->heads * tokens),
         *sum_bound = trial_doubles(t, a->heads * tokens);
  attention_reference(&s.shape, qkv->value, want, want_sum, bound, sum_bound);
  double *narrow = trial_doubles(t, out->count);
  if (a->dtype == CDL_DTYPE_BF16)
    attention_narrow_errors(&s.shape, qkv->value, NULL, &(narrow_errors){.out = narrow});
  finish_bound(a, CDL_OP_attention, bound, narrow, out->count, (tokens - a->rest) * width);
  const double c = bound_constant(CDL_OP_attention) * unit_roundoff(CDL_DTYPE_F32);
  for (int64_t i = 0; i < a->heads * tokens; i++)
    sum_bound[i] = c * sum_bound[i];
  trial_compare(t, out, want, bound);
  if (log_sum == NULL)
    return;
  for (int64_t i = 0; i < log_sum->count; i++)
    if (i % tokens >= tokens - a->rest)
      want_sum[i] = log_sum->result[i]; /* not defined there */
  trial_compare(t, log_sum, want_sum, sum_bound);
}

/* What d_bias begins with and what it becomes. */
static void compare_bias(trial *t, const attention *a, const setting *s, const operand *qkv,
                         const operand *d_out, const operand *d_bias, const double *narrow)
{
  double *want = trial_doubles(t, d_bias->count), *bound = trial_doubles(t, d_bias->count);
  memcpy(want, d_bias->value, (size_t)d_bias->count * sizeof *want);
  attention_bias_reference(&s->shape, qkv->value, d_out->value, want, bound);
  finish_bound(a, CDL_OP_attention_grad, bound, narrow, d_bias->count, d_bias->count);
  trial_compare(t, d_bias, want, bound);
}

/* The gradient against arithmetic in float64. */
static void compare_gradient(trial *t, const attention *a, const setting *s, const operand *qkv,
                             const operand *d_out, const operand *d_qkv, const operand *d_bias)
{
  double *want = trial_doubles(t, d_qkv->count), *bound = trial_doubles(t, d_qkv->count);
  const narrow_errors narrow = {.d_qkv = trial_doubles(t, d_qkv->count),
                                .d_bias = d_bias != NULL ? trial_doubles(t, d_bias->count) : NULL};
  if (a->dtype == CDL_DTYPE_BF16)
    attention_narrow_errors(&s->shape, qkv->value, d_out->value, &narrow);
  if (d_bias != NULL)
    compare_bias(t, a, s, qkv, d_out, d_bias, narrow.d_bias);
  attention_grad_reference(&s->shape, qkv->value, d_out->value, want, bound);
  finish_bound(a, CDL_OP_attention_grad, bound, narrow.d_qkv, d_qkv->count,
               (s->packing.tokens - a->rest) * d_qkv->view.size[3]);
  trial_compare(t, d_qkv, want, bound);
}

static void attention_grad_case(trial *t, const void *parameters)
{
  const attention *a = parameters;
  const setting s = set_up(t, a);
  const int64_t width = (int64_t)a->heads * a->d, tokens = s.packing.tokens;
  operand *qkv = trial_operand(t, "qkv", ROLE_IN, a->dtype, shape_2d(tokens, 3 * width), a->qkv);
  operand *d_out = trial_operand(t, "d_out", ROLE_IN, a->dtype, shape_2d(tokens, width), a->out);
  operand *out = a->dtype == CDL_DTYPE_BF16
                     ? trial_operand(t, "out", ROLE_IN, a->dtype, shape_2d(tokens, width), a->qkv)
                     : NULL;
  operand *log_sum = trial_operand(t, "log_sum", ROLE_IN, CDL_DTYPE_F32, shape_2d(a->heads, tokens),
                                   LAYOUT_OFFSET);
  operand *d_qkv =
      trial_operand(t, "d_qkv", ROLE_OUT, a->dtype, shape_2d(tokens, 3 * width), a->qkv);
  operand *d_bias = a->distances > 0 && !a->bias_frozen
                        ? trial_operand(t, "d_bias", ROLE_INOUT, CDL_DTYPE_F32,
                                        shape_2d(a->heads, a->distances), a->qkv)
                        : NULL;
  if (d_bias != NULL)
    fill_normal(t, d_bias, 1);
  fill_rows(t, qkv, a->spread, a->rest);
  fill_rows(t, d_out, 1, a->rest);
  poison(a, &s, qkv);
  double *forward = out != NULL ? out->value : trial_doubles(t, d_out->count);
  for (int64_t i = 0; i < log_sum->count; i++)
    log_sum->value[i] = NAN;
  attention_reference(&s.shape, qkv->value, forward, log_sum->value, NULL, NULL);
  operand_settle(log_sum);
  if (out != NULL)
    operand_settle(out);
  if (!trial_run(t, CDL_ARGS(attention_grad, .d_qkv = d_qkv->view, .d_out = d_out->view,
                             .qkv = qkv->view, .log_sum = log_sum->view, .packing = &s.packing,
                             .heads = a->heads, .scale = a->scale, .mask = s.mask,
                             .bias = view_or_none(s.bias), .d_bias = view_or_none(d_bias),
                             .out = view_or_none(out))))
    return;
  compare_gradient(t, a, &s, qkv, d_out, d_qkv, d_bias);
}

static void add(suite *s, unsigned flags, const attention *a)
{
  ADD(s, attention, a->dtype, flags, attention_case, a,
      "%d sequences of %d, %d, ..., %d heads of %d, scale %g, p %g, %s from %s%s%s%s", a->count,
      (int)a->lengths[0], (int)a->lengths[1], a->heads, a->d, (double)a->scale,
      (double)a->probability, layout_name(a->out), layout_name(a->qkv),
      a->keep_log_sum ? ", log_sum" : "", a->rest > 0 ? ", a rest" : "",
      a->distances > 0 ? ", a bias" : "");
  ADD(s, attention_grad, a->dtype, flags, attention_grad_case, a,
      "%d sequences of %d, %d, ..., %d heads of %d, scale %g, p %g, %s from %s%s%s", a->count,
      (int)a->lengths[0], (int)a->lengths[1], a->heads, a->d, (double)a->scale,
      (double)a->probability, layout_name(a->out), layout_name(a->qkv),
      a->rest > 0 ? ", a rest" : "",
      a->distances == 0 ? ""
      : a->bias_frozen  ? ", a frozen bias"
                        : ", a bias");
}

/* Of heads that tensor cores take, now and then in rows by sixteen bytes. */
static void draw_narrow(random_source *r, attention *a)
{
  a->dtype = CDL_DTYPE_BF16;
  a->d = a->d > 128 ? 128 : a->d;
  if (random_chance(r, 0.7)) {
    a->d = 8 * (int)random_integer(r, 1, 16);
    a->scale = (float)(1 / sqrt((double)a->d));
    a->qkv = random_chance(r, 0.5) ? LAYOUT_DENSE : LAYOUT_ALIGNED;
    a->out = random_chance(r, 0.5) ? LAYOUT_DENSE : LAYOUT_ALIGNED;
  }
  if (random_chance(r, 0.2))
    a->lengths[0] = (int32_t)random_integer(r, 51, 150);
}

static void draw_attention(trial *t, void *parameters)
{
  const cdl_dtype dtype = t->dtype;
  attention *a = parameters;
  random_source *r = &t->random;
  *a = (attention){.count = (int)random_integer(r, 1, MAX_SEQUENCES),
                   .heads = (int)random_integer(r, 1, 5),
                   .d = (int)random_integer(r, 1, random_chance(r, 0.1) ? 130 : 66)};
  for (int i = 0; i < a->count; i++)
    a->lengths[i] = (int32_t)random_size(r, 50);
  a->qkv = random_layout(r);
  a->out = random_layout(r);
  a->probability = random_chance(r, 0.5) ? 0 : (float)(0.9 * random_uniform(r));
  a->scale = (float)(1 / sqrt((double)a->d));
  a->spread = 1;
  a->keep_log_sum = random_chance(r, 0.5);
  a->rest = random_chance(r, 0.4) ? (int)random_integer(r, 1, 40) : 0;
  a->distances = random_chance(r, 0.5) ? 0 : 1 + 2 * (int)random_size(r, 70);
  a->bias_frozen = random_chance(r, 0.3);
  if (dtype == CDL_DTYPE_BF16)
    draw_narrow(r, a);
  trial_describe(t,
                 "%d sequences of %d, %d, ..., %d heads of %d, p %g, %s from %s%s, rest %d, %d "
                 "distances",
                 a->count, (int)a->lengths[0], (int)a->lengths[1], a->heads, a->d,
                 (double)a->probability, layout_name(a->out), layout_name(a->qkv),
                 a->keep_log_sum ? ", log_sum" : "", a->rest, a->distances);
}

/* ---- BF16 ---- */

/* Lengths on both sides of tiles of 16, 32 and 64 rows, one long sequence among short ones; rows by
 * sixteen bytes and others. */
static void add_narrow(suite *s)
{
  static const int sizes[] = {32, 64, 96, 128, 40, 8, 5};
  static const layout layouts[] = {LAYOUT_DENSE, LAYOUT_ALIGNED, LAYOUT_COLUMNS};
  for (size_t d = 0; d < sizeof sizes / sizeof *sizes; d++)
    for (size_t k = 0; k < 3; k++) {
      attention a = {.lengths = {1, 2, 15, 16, 17, 33},
                     .count = 6,
                     .heads = 1 + (int)((d + k) % 3),
                     .d = sizes[d],
                     .qkv = layouts[k],
                     .out = layouts[(d + k) % 3],
                     .scale = 1 / sqrtf((float)sizes[d]),
                     .spread = 1,
                     .keep_log_sum = k != 1,
                     .probability = k == 1 ? 0.1F : 0,
                     .dtype = CDL_DTYPE_BF16};
      add(s, 0, &a);
      const int32_t longer[] = {63, 0, 64, 65, 3};
      memcpy(a.lengths, longer, sizeof longer);
      a.count = 5;
      a.probability = k == 2 ? 0.1F : 0;
      a.rest = k == 0 ? 70 : 0;
      a.distances = k == 1 ? 21 : 0;
      add(s, d < 2 ? 0 : CASE_LARGE, &a);
      const int32_t longest[] = {127, 5, 128, 129, 200};
      memcpy(a.lengths, longest, sizeof longest);
      a.probability = k == 0 ? 0.1F : 0;
      a.distances = k == 2 ? 301 : 0;
      add(s, CASE_LARGE, &a);
    }
  static const attention others[] = {
      {.lengths = {2, 513, 7, 0, 11}, .count = 5, .heads = 1, .d = 64, .scale = 0.125F},
      {.lengths = {400}, .count = 1, .heads = 2, .d = 32, .scale = 0.2F, .probability = 0.1F},
  };
  for (size_t k = 0; k < sizeof others / sizeof *others; k++) {
    attention a = others[k];
    a.spread = 1;
    a.keep_log_sum = true;
    a.dtype = CDL_DTYPE_BF16;
    add(s, CASE_LARGE, &a);
  }
}

/* Sequences of several tiles of keys: so many that one group of the gradient adds up all tiles of a
 * sequence, and one so long that several groups have several tiles each. */
static void add_narrow_tiles(suite *s)
{
  static const struct {
    int32_t first, rest;
    int count, heads, d;
    float probability;
    int distances;
    unsigned flags;
  } tiles[] = {
      {130, 130, MAX_SEQUENCES, 32, 8, 0, 0, 0},
      {150, 131, MAX_SEQUENCES, 40, 5, 0.1F, 21, CASE_LARGE},
      {131, 130, MAX_SEQUENCES, 32, 64, 0, 0, CASE_LARGE},
      {90, 70, MAX_SEQUENCES, 40, 96, 0.1F, 33, CASE_LARGE},
      {90, 65, MAX_SEQUENCES, 42, 128, 0, 0, CASE_LARGE},
      {1100, 3, 2, 1, 40, 0, 9, CASE_LARGE},
      {530, 60, 2, 1, 100, 0.1F, 0, CASE_LARGE},
  };
  for (size_t k = 0; k < sizeof tiles / sizeof *tiles; k++) {
    attention a = {.count = tiles[k].count,
                   .heads = tiles[k].heads,
                   .d = tiles[k].d,
                   .scale = 1 / sqrtf((float)tiles[k].d),
                   .probability = tiles[k].probability,
                   .distances = tiles[k].distances,
                   .spread = 1,
                   .keep_log_sum = true,
                   .dtype = CDL_DTYPE_BF16};
    for (int i = 0; i < a.count; i++)
      a.lengths[i] = i == 0 ? tiles[k].first : tiles[k].rest;
    add(s, tiles[k].flags, &a);
  }
}

/* Sequences that NaN or huge scores must not leave, scales of any sign, and none at all. */
static void add_narrow_edges(suite *s)
{
  static const attention edges[] = {
      {.lengths = {7, 40, 70, 9}, .count = 4, .heads = 2, .d = 64, .scale = 0.1F, .poisoned = 2},
      {.lengths = {7, 70, 33, 9}, .count = 4, .heads = 2, .d = 32, .scale = 0.1F, .poisoned = 2},
      {.lengths = {17, 64, 65}, .count = 3, .heads = 2, .d = 16, .scale = 1, .spread = 6},
      {.lengths = {19, 70}, .count = 2, .heads = 2, .d = 8, .scale = -0.5F},
      {.lengths = {7, 3}, .count = 2, .heads = 2, .d = 8, .scale = 0, .distances = 5},
      {.count = 0, .heads = 2, .d = 8, .scale = 1},
      {.lengths = {0, 0}, .count = 2, .heads = 2, .d = 8, .scale = 1, .distances = 3},
      {.lengths = {0}, .count = 1, .heads = 2, .d = 8, .scale = 1, .rest = 5},
      {.lengths = {1}, .count = 1, .heads = 1, .d = 1, .scale = 1},
      {.lengths = {3, 31}, .count = 2, .heads = 12, .d = 64, .scale = 0.125F, .distances = 257},
  };
  for (size_t k = 0; k < sizeof edges / sizeof *edges; k++) {
    attention a = edges[k];
    a.spread = a.spread > 0 ? a.spread : 1;
    a.keep_log_sum = true;
    a.dtype = CDL_DTYPE_BF16;
    add(s, 0, &a);
  }
}

/* A bias of one distance, of fewer and of more than the sequences have, and of MPNet's. */
static void add_biased(suite *s)
{
  static const int distances[] = {1, 3, 25, 101, 257};
  for (size_t k = 0; k < sizeof distances / sizeof *distances; k++)
    for (int half = 0; half < 2; half++) {
      const attention a = {.lengths = {1, 2, 13, 37, 0, 64},
                           .count = 6,
                           .heads = half == 0 ? 3 : 12,
                           .d = k % 2 == 0 ? 5 : 64,
                           .scale = 0.25F,
                           .spread = 1,
                           .keep_log_sum = half == 0,
                           .qkv = (layout)((k + 1) % LAYOUT_COUNT),
                           .out = (layout)(k % LAYOUT_COUNT),
                           .probability = half == 0 ? 0 : 0.3F,
                           .rest = half == 0 ? 0 : 9,
                           .distances = distances[k],
                           .bias_frozen = (k + (size_t)half) % 3 == 2};
      add(s, 0, &a);
    }
  static const attention others[] = {
      {.lengths = {7, 3}, .count = 2, .heads = 2, .d = 4, .scale = 0, .spread = 1, .distances = 5},
      {.lengths = {65, 131},
       .count = 2,
       .heads = 2,
       .d = 7,
       .scale = -0.5F,
       .spread = 1,
       .distances = 41,
       .keep_log_sum = true},
      {.lengths = {0, 0}, .count = 2, .heads = 2, .d = 4, .scale = 1, .spread = 1, .distances = 3},
  };
  for (size_t k = 0; k < sizeof others / sizeof *others; k++)
    add(s, 0, &others[k]);
  for (int half = 0; half < 2; half++) {
    const attention a = {.lengths = {1, 2, 131, 130, 300},
                         .count = 5,
                         .heads = 3,
                         .d = half == 0 ? 64 : 96,
                         .scale = 0.2F,
                         .spread = 1,
                         .keep_log_sum = true,
                         .probability = half == 0 ? 0 : 0.1F,
                         .distances = 183};
    add(s, CASE_LARGE, &a);
  }
}

void register_attention(suite *s)
{
  add_biased(s);
  suite_add_random(s, CDL_OP_attention, CDL_DTYPE_F32, draw_attention, attention_case,
                   sizeof(attention));
  suite_add_random(s, CDL_OP_attention_grad, CDL_DTYPE_F32, draw_attention, attention_grad_case,
                   sizeof(attention));
  suite_add_random(s, CDL_OP_attention, CDL_DTYPE_BF16, draw_attention, attention_case,
                   sizeof(attention));
  suite_add_random(s, CDL_OP_attention_grad, CDL_DTYPE_BF16, draw_attention, attention_grad_case,
                   sizeof(attention));
  add_narrow(s);
  add_narrow_tiles(s);
  add_narrow_edges(s);
  static const int heads[] = {1, 3, 12}, sizes[] = {1, 5, 32, 64};
  for (size_t h = 0; h < 3; h++)
    for (size_t d = 0; d < 4; d++) {
      attention a = {.lengths = {1, 2, 13, 37},
                     .count = 4,
                     .heads = heads[h],
                     .d = sizes[d],
                     .qkv = (layout)((h + d) % LAYOUT_COUNT),
                     .out = (layout)((h + 2 * d + 1) % LAYOUT_COUNT),
                     .scale = 1 / sqrtf((float)sizes[d]),
                     .spread = 1,
                     .keep_log_sum = d % 2 == 0};
      add(s, 0, &a);
      a.probability = h == 0 ? 0.1F : h == 1 ? 0.5F : 0.9F;
      a.keep_log_sum = !a.keep_log_sum;
      add(s, 0, &a);
    }
  static const attention others[] = {
      {.lengths = {1}, .count = 1, .heads = 1, .d = 1, .scale = 1, .spread = 1},
      {.lengths = {17, 64, 65},
       .count = 3,
       .heads = 2,
       .d = 16,
       .scale = 1,
       .spread = 6,
       .keep_log_sum = true}, /* scores in the hundreds */
      {.lengths = {19, 4}, .count = 2, .heads = 2, .d = 8, .scale = -0.5F, .spread = 1},
      {.lengths = {129},
       .count = 1,
       .heads = 1,
       .d = 7,
       .scale = 0.3F,
       .spread = 1,
       .qkv = LAYOUT_COLUMNS},
      {.lengths = {7, 0, 5},
       .count = 3,
       .heads = 2,
       .d = 4,
       .scale = 0.5F,
       .spread = 1,
       .keep_log_sum = true},
      {.count = 0, .heads = 2, .d = 4, .scale = 1, .spread = 1},
      {.lengths = {5, 31, 2, 0, 0},
       .count = 5,
       .heads = 3,
       .d = 8,
       .scale = 0.5F,
       .spread = 1,
       .keep_log_sum = true,
       .rest = 67},
      {.lengths = {33, 7},
       .count = 2,
       .heads = 2,
       .d = 32,
       .scale = 0.2F,
       .spread = 1,
       .keep_log_sum = true,
       .probability = 0.25F,
       .qkv = LAYOUT_ROWS,
       .out = LAYOUT_COLUMNS,
       .rest = 1},
      {.lengths = {0}, .count = 1, .heads = 2, .d = 4, .scale = 1, .spread = 1, .rest = 5},
  };
  for (size_t k = 0; k < sizeof others / sizeof *others; k++)
    add(s, 0, &others[k]);
  for (size_t h = 0; h < 3; h++) {
    const attention a = {.lengths = {1, 2, 131, 130, 512},
                         .count = 5,
                         .heads = heads[h],
                         .d = h == 0   ? 64
                              : h == 1 ? 5
                                       : 32,
                         .scale = 0.2F,
                         .spread = 1,
                         .keep_log_sum = true,
                         .probability = h == 1 ? 0.1F : 0};
    add(s, CASE_LARGE, &a);
  }
}
