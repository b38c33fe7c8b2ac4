/* dropout. */
#include <math.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/reference.h"
#include "tests/conformance/suite.h"

enum { MAX_SEQUENCES = 8 };

typedef struct {
  int32_t lengths[MAX_SEQUENCES];
  int count;
  int64_t columns;
  float probability;
  layout out, x;
  bool per_sequence, in_place;
  uint32_t purpose, layer;
} dropping;

static cdl_step_record random_record(trial *t)
{
  cdl_step_record r = {
      .learning_rate = 1e-3F, .correction1 = 0.1F, .correction2 = 0.001F, .loss_scale = 0.25F};
  r.step = (uint32_t)random_bits(&t->random);
  r.seed[0] = (uint32_t)random_bits(&t->random);
  r.seed[1] = (uint32_t)random_bits(&t->random);
  return r;
}

static void dropout_case(trial *t, const void *parameters)
{
  const dropping *d = parameters;
  const cdl_packing packing = trial_packing(t, d->lengths, d->count);
  const cdl_step_record record = random_record(t);
  operand *step = trial_step(t, record);
  const int64_t rows = d->per_sequence ? d->count : packing.tokens;
  operand *x = trial_operand(t, "x", d->in_place ? ROLE_INOUT : ROLE_IN, t->dtype,
                             shape_2d(rows, d->columns), d->x);
  operand *out =
      d->in_place ? x
                  : trial_operand(t, "out", ROLE_OUT, t->dtype, shape_2d(rows, d->columns), d->out);
  fill_scales(t, x);
  double *want = trial_doubles(t, x->count), *bound = trial_doubles(t, x->count);
  const double p = (double)d->probability;
  int64_t at = 0;
  for (int s = 0; s < d->count; s++) {
    const int64_t own = d->per_sequence ? 1 : d->lengths[s];
    for (int64_t e = 0; e < own * d->columns; e++, at++) {
      const bool kept = p == 0 || dropout_keeps(&record, p, d->purpose, d->layer,
                                                (uint32_t)packing.host_examples[s], (uint64_t)e);
      want[at] = kept ? x->value[at] / (1 - p) : 0;
      bound[at] = kept && p > 0 ? bound_constant(CDL_OP_dropout) * unit_roundoff(CDL_DTYPE_F32) *
                                          fabs(want[at]) +
                                      storing_error(t->dtype, want[at])
                                : 0;
    }
  }
  const cdl_dropout_mask mask = {d->probability, d->purpose, d->layer, step->view};
  if (trial_run(t, CDL_ARGS(dropout, .out = out->view, .x = x->view, .mask = mask,
                            .packing = &packing, .per_sequence = d->per_sequence)))
    trial_compare(t, out, want, bound);
}

/* The share of kept elements, within six standard deviations of 1 − p; and neighbours
 * independent. */
static void share_case(trial *t, const void *parameters)
{
  const float *probability = parameters;
  const int32_t lengths[] = {257, 131};
  const cdl_packing packing = trial_packing(t, lengths, 2);
  operand *step = trial_step(t, random_record(t));
  operand *x =
      trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(packing.tokens, 256), LAYOUT_DENSE);
  operand *out =
      trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(packing.tokens, 256), LAYOUT_DENSE);
  for (int64_t i = 0; i < x->count; i++)
    x->value[i] = 1;
  operand_settle(x);
  const cdl_dropout_mask mask = {*probability, 3, 1, step->view};
  if (!trial_run(
          t, CDL_ARGS(dropout, .out = out->view, .x = x->view, .mask = mask, .packing = &packing)))
    return;
  const double p = (double)*probability, n = (double)x->count;
  double kept = 0, pairs = 0;
  for (int64_t i = 0; i < x->count; i++) {
    kept += out->result[i] != 0;
    pairs += i > 0 && out->result[i] != 0 && out->result[i - 1] != 0;
  }
  const double q = 1 - p, pair = q * q;
  trial_judge(t, "share of kept elements", kept / n - q, 6 * sqrt(p * q / n));
  trial_judge(t, "share of kept pairs", pairs / (n - 1) - pair,
              6 * sqrt(3 * pair * (1 - pair) / n));
}

/* The packing of other sequences does not matter to one: its rows alone get the bits they get in
 * company. */
static void packing_case(trial *t, const void *parameters)
{
  (void)parameters;
  const int32_t company[] = {5, 37, 2}, alone[] = {37};
  const cdl_step_record record = random_record(t);
  operand *step = trial_step(t, record);
  cdl_packing together = trial_packing(t, company, 3), single = trial_packing(t, alone, 1);
  operand *examples = t->operands[t->operand_count - 1];
  examples->value[0] = together.host_examples[1];
  operand_settle(examples);
  const int32_t example = together.host_examples[1];
  single.host_examples = &example;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(44, 33), LAYOUT_DENSE);
  operand *out = trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(44, 33), LAYOUT_DENSE);
  operand *second =
      trial_operand(t, "out alone", ROLE_OUT, CDL_DTYPE_F32, shape_2d(37, 33), LAYOUT_COLUMNS);
  fill_normal(t, x, 1);
  const cdl_dropout_mask mask = {0.3F, 1, 2, step->view};
  if (!trial_upload(t))
    return;
  cdl_dropout(t->queue, CDL_ARGS(dropout, .out = second->view, .x = cdl_tensor_rows(x->view, 5, 37),
                                 .mask = mask, .packing = &single));
  float *got = trial_memory(t, 44 * 33, sizeof *got),
        *by_itself = trial_memory(t, 37 * 33, sizeof *by_itself);
  cdl_dropout(t->queue, CDL_ARGS(dropout, .out = out->view, .x = x->view, .mask = mask,
                                 .packing = &together));
  cdl_queue_download(t->queue, got, out->view, 44 * 33 * sizeof *got);
  operand *dense =
      trial_operand(t, "dense", ROLE_OUT, CDL_DTYPE_F32, shape_2d(37, 33), LAYOUT_DENSE);
  cdl_copy(t->queue, CDL_ARGS(copy, .out = dense->view, .x = second->view));
  cdl_queue_download(t->queue, by_itself, dense->view, 37 * 33 * sizeof *by_itself);
  const cdl_status status = cdl_queue_sync(t->queue);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "%s: %s", cdl_status_name(status), cdl_error_message());
    return;
  }
  for (int i = 0; i < 37 * 33; i++)
    if (memcmp(&got[5 * 33 + i], &by_itself[i], sizeof *got) != 0) {
      trial_fail(t, "element %d of a sequence alone is not what it is in company", i);
      return;
    }
}

static void draw_dropping(trial *t, void *parameters)
{
  dropping *d = parameters;
  random_source *r = &t->random;
  *d =
      (dropping){.count = (int)random_integer(r, 0, MAX_SEQUENCES), .columns = random_size(r, 500)};
  for (int i = 0; i < d->count; i++)
    d->lengths[i] = (int32_t)random_size(r, 60);
  d->probability = random_chance(r, 0.1) ? 0 : (float)random_uniform(r);
  d->out = random_layout(r);
  d->x = random_layout(r);
  d->per_sequence = random_chance(r, 0.3);
  d->in_place = random_chance(r, 0.3);
  d->purpose = (uint32_t)random_integer(r, 0, 255);
  d->layer = (uint32_t)random_integer(r, 0, (1 << 24) - 1);
  trial_describe(t, "%d sequences of %d, %d, ... x %d, p %g, %s from %s%s%s", d->count,
                 (int)d->lengths[0], (int)d->lengths[1], (int)d->columns, (double)d->probability,
                 layout_name(d->out), layout_name(d->x),
                 d->per_sequence ? ", a row a sequence" : "", d->in_place ? ", in place" : "");
}

void register_dropout(suite *s)
{
  suite_add_random(s, CDL_OP_dropout, CDL_DTYPE_F32, draw_dropping, dropout_case, sizeof(dropping));
  suite_add_random(s, CDL_OP_dropout, CDL_DTYPE_BF16, draw_dropping, dropout_case,
                   sizeof(dropping));
  static const dropping cases[] = {
      {.lengths = {1}, .count = 1, .columns = 1, .probability = 0.5F},
      {.lengths = {5, 1, 13},
       .count = 3,
       .columns = 7,
       .probability = 0.1F,
       .purpose = 1,
       .layer = 3,
       .x = LAYOUT_ROWS},
      {.lengths = {1, 2, 31, 130, 7},
       .count = 5,
       .columns = 67,
       .probability = 0.3F,
       .purpose = 2,
       .layer = 11,
       .out = LAYOUT_COLUMNS},
      {.lengths = {64, 128, 17},
       .count = 3,
       .columns = 384,
       .probability = 0.1F,
       .purpose = 7,
       .layer = (1u << 24) - 1,
       .in_place = true},
      {.lengths = {33, 2},
       .count = 2,
       .columns = 129,
       .probability = 0.999F,
       .out = LAYOUT_OFFSET,
       .in_place = true,
       .x = LAYOUT_COLUMNS},
      {.lengths = {33, 2}, .count = 2, .columns = 129, .probability = 1e-3F, .purpose = 255},
      {.lengths = {12, 9}, .count = 2, .columns = 16, .probability = 0, .x = LAYOUT_COLUMNS},
      {.lengths = {12, 9, 3, 1},
       .count = 4,
       .columns = 37,
       .probability = 0.25F,
       .per_sequence = true,
       .x = LAYOUT_ROWS,
       .layer = 1},
      {.lengths = {3, 8},
       .count = 2,
       .columns = 768,
       .probability = 0.1F,
       .per_sequence = true,
       .in_place = true},
      {.count = 0, .columns = 8, .probability = 0.1F},
      {.lengths = {4}, .count = 1, .columns = 0, .probability = 0.1F},
  };
  for (size_t k = 0; k < sizeof cases / sizeof *cases; k++) {
    const dropping *d = &cases[k];
    for (int narrow = 0; narrow < 2; narrow++)
      ADD(s, dropout, narrow ? CDL_DTYPE_BF16 : CDL_DTYPE_F32, 0, dropout_case, d,
          "%d sequences x %d, p %g, %s from %s%s%s", d->count, (int)d->columns,
          (double)d->probability, layout_name(d->out), layout_name(d->x),
          d->per_sequence ? ", a row a sequence" : "", d->in_place ? ", in place" : "");
  }
  static const float shares[] = {0.1F, 0.5F, 0.9F};
  for (size_t k = 0; k < 3; k++)
    ADD(s, dropout, CDL_DTYPE_F32, 0, share_case, &shares[k], "share of kept elements, p %g",
        (double)shares[k]);
  suite_add(s, CDL_OP_dropout, NULL, CDL_DTYPE_F32, 0, packing_case, NULL, 0,
            "the same mask alone and in company");
}
