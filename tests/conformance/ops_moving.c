/* copy, cast, permute, fill, gather_rows, scatter_add_rows. */
#include <math.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/suite.h"

typedef struct {
  shape n;
  layout out, x;
  unsigned repeat;
  cdl_dtype from;
  uint8_t order[4];
  double value;
  bool special;
} moving;

/* Ordinary values of a dtype, with NaN, infinities, -0 and subnormals among them on request. */
static void fill_any(trial *t, operand *o, bool special)
{
  static const double specials[] = {NAN,    INFINITY, -INFINITY, -0.0,  1e-40,
                                    -1e-45, 3.4e38,   1e-310,    1e300, 0x1.008p0};
  if (o->view.dtype == CDL_DTYPE_U8)
    fill_integers(t, o, 0, 255);
  else if (o->view.dtype == CDL_DTYPE_I32)
    fill_integers(t, o, INT32_MIN, INT32_MAX);
  else
    fill_scales(t, o);
  const bool floating = o->view.dtype != CDL_DTYPE_U8 && o->view.dtype != CDL_DTYPE_I32;
  for (int64_t i = 0; special && floating && i < o->count && i < 10; i++)
    o->value[i] = specials[i];
  operand_settle(o);
}

static void copy_case(trial *t, const void *parameters)
{
  const moving *m = parameters;
  operand *x = trial_repeated(t, "x", t->dtype, m->n, m->x, m->repeat);
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, m->n, m->out);
  fill_any(t, x, m->special);
  if (trial_run(t, CDL_ARGS(copy, .out = out->view, .x = x->view)))
    trial_exact(t, out, x->value);
}

static void cast_case(trial *t, const void *parameters)
{
  const moving *m = parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, m->from, m->n, m->x);
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, m->n, m->out);
  fill_any(t, x, m->special);
  if (m->special && x->count > 11 && m->from == CDL_DTYPE_F32)
    operand_poke(x, 11, 0x7f800001u); /* NaN whose payload BF16 has no room for */
  if (m->special && x->count > 11 && m->from == CDL_DTYPE_F64)
    operand_poke(x, 11, 0x7ff0000000000001u);
  double *want = trial_doubles(t, x->count);
  for (int64_t i = 0; i < x->count; i++)
    want[i] = round_to(t->dtype, x->value[i]);
  if (trial_run(t, CDL_ARGS(cast, .out = out->view, .x = x->view)))
    trial_exact(t, out, want);
}

/* Halfway between two BF16 numbers, and a hair to either side, which only F64 has. */
static void cast_ties_case(trial *t, const void *parameters)
{
  (void)parameters;
  operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F64, shape_1d(6), LAYOUT_DENSE);
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, shape_1d(6), LAYOUT_DENSE);
  const double half = t->dtype == CDL_DTYPE_BF16 ? 0x1p-8 : 0x1p-24;
  const double hair = t->dtype == CDL_DTYPE_BF16 ? 0x1p-40 : 0x1p-50;
  fill_values(x, (const double[]){1 + half, 1 + half + hair, 1 + half - hair, 1 + 3 * half,
                                  1 + 3 * half - hair, -1 - half - hair});
  const double want[] = {1, 1 + 2 * half, 1, 1 + 4 * half, 1 + 2 * half, -1 - 2 * half};
  if (trial_run(t, CDL_ARGS(cast, .out = out->view, .x = x->view)))
    trial_exact(t, out, want);
}

static void permute_case(trial *t, const void *parameters)
{
  const moving *m = parameters;
  shape moved;
  for (int d = 0; d < 4; d++)
    moved.n[d] = m->n.n[m->order[d]];
  operand *x = trial_repeated(t, "x", t->dtype, m->n, m->x, m->repeat);
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, moved, m->out);
  fill_any(t, x, m->special);
  double *want = trial_doubles(t, x->count);
  int64_t dense[4] = {m->n.n[1] * m->n.n[2] * m->n.n[3], m->n.n[2] * m->n.n[3], m->n.n[3], 1},
          to = 0;
  for (int64_t i = 0; i < moved.n[0]; i++)
    for (int64_t j = 0; j < moved.n[1]; j++)
      for (int64_t k = 0; k < moved.n[2]; k++)
        for (int64_t l = 0; l < moved.n[3]; l++)
          want[to++] = x->value[i * dense[m->order[0]] + j * dense[m->order[1]] +
                                k * dense[m->order[2]] + l * dense[m->order[3]]];
  const cdl_permute_args args = {
      sizeof args, out->view, x->view, {m->order[0], m->order[1], m->order[2], m->order[3]}};
  if (trial_run(t, &args))
    trial_exact(t, out, want);
}

static void fill_case(trial *t, const void *parameters)
{
  const moving *m = parameters;
  operand *out = trial_operand(t, "out", ROLE_OUT, t->dtype, m->n, m->out);
  double *want = trial_doubles(t, out->count);
  for (int64_t i = 0; i < out->count; i++)
    want[i] = round_to(t->dtype, m->value);
  if (trial_run(t, CDL_ARGS(fill, .out = out->view, .value = m->value)))
    trial_exact(t, out, want);
}

/* ---- Rows ---- */

typedef struct {
  int64_t rows, entries, columns;
  layout l;
  bool accumulate, one_entry;
  cdl_dtype from; /* of what is added to, or put in, a table or a row of the trial's dtype */
} by_rows;

static void gather_case(trial *t, const void *parameters)
{
  const by_rows *g = parameters;
  operand *table =
      trial_operand(t, "table", ROLE_IN, g->from, shape_2d(g->entries, g->columns), g->l);
  operand *index =
      trial_operand(t, "index", ROLE_IN, CDL_DTYPE_I32, shape_1d(g->rows), LAYOUT_OFFSET);
  operand *out = trial_operand(t, "out", g->accumulate ? ROLE_INOUT : ROLE_OUT, t->dtype,
                               shape_2d(g->rows, g->columns), g->l);
  fill_scales(t, table);
  fill_integers(t, index, g->one_entry ? g->entries - 1 : 0, g->entries - 1);
  if (g->accumulate)
    fill_scales(t, out);
  double *want = trial_doubles(t, out->count), *bound = trial_doubles(t, out->count);
  for (int64_t i = 0; i < g->rows; i++)
    for (int64_t c = 0; c < g->columns; c++) {
      const int64_t at = i * g->columns + c;
      want[at] = table->value[(int64_t)index->value[i] * g->columns + c] +
                 (g->accumulate ? out->value[at] : 0);
      bound[at] = g->accumulate ? bound_constant(CDL_OP_gather_rows) *
                                          unit_roundoff(CDL_DTYPE_F32) * fabs(want[at]) +
                                      storing_error(t->dtype, want[at])
                                : 0;
      if (!g->accumulate)
        want[at] = round_to(t->dtype, want[at]);
    }
  if (trial_run(t, CDL_ARGS(gather_rows, .out = out->view, .table = table->view,
                            .index = index->view, .accumulate = g->accumulate)))
    trial_compare(t, out, want, bound);
}

/* Segments for entries drawn at random: order, segment and target as a batch's preparation would
 * make them. */
typedef struct {
  operand *order, *segment, *target;
} segments;

static segments make_segments(trial *t, const by_rows *g)
{
  int64_t *entry = trial_memory(t, (size_t)g->rows, sizeof *entry),
          *order = trial_memory(t, (size_t)g->rows, sizeof *order);
  int64_t *first = trial_memory(t, (size_t)g->rows + 1, sizeof *first),
          *target = trial_memory(t, (size_t)g->rows, sizeof *target);
  for (int64_t i = 0; i < g->rows; i++)
    entry[i] = g->one_entry ? g->entries / 2 : random_integer(&t->random, 0, g->entries - 1);
  int64_t placed = 0, count = 0;
  for (int64_t e = g->entries - 1; e >= 0; e--) { /* targets need not ascend */
    const int64_t before = placed;
    for (int64_t i = 0; i < g->rows; i++)
      if (entry[i] == e)
        order[placed++] = i;
    if (placed > before) {
      first[count] = before;
      target[count++] = e;
    }
  }
  first[count] = placed;
  const segments s = {
      trial_operand(t, "order", ROLE_IN, CDL_DTYPE_I32, shape_1d(g->rows), LAYOUT_OFFSET),
      trial_operand(t, "segment", ROLE_IN, CDL_DTYPE_I32, shape_1d(count + 1), LAYOUT_OFFSET),
      trial_operand(t, "target", ROLE_IN, CDL_DTYPE_I32, shape_1d(count), LAYOUT_DENSE)};
  for (int64_t i = 0; i < g->rows; i++)
    s.order->value[i] = (double)order[i];
  for (int64_t i = 0; i <= count; i++)
    s.segment->value[i] = (double)first[i];
  for (int64_t i = 0; i < count; i++)
    s.target->value[i] = (double)target[i];
  operand_settle(s.order);
  operand_settle(s.segment);
  operand_settle(s.target);
  return s;
}

static void scatter_case(trial *t, const void *parameters)
{
  const by_rows *g = parameters;
  operand *table =
      trial_operand(t, "table", ROLE_INOUT, t->dtype, shape_2d(g->entries, g->columns), g->l);
  operand *x = trial_operand(t, "x", ROLE_IN, g->from, shape_2d(g->rows, g->columns), g->l);
  const segments s = make_segments(t, g);
  fill_scales(t, table);
  fill_scales(t, x);
  double *want = trial_doubles(t, table->count), *bound = trial_doubles(t, table->count);
  for (int64_t i = 0; i < table->count; i++) {
    want[i] = table->value[i];
    bound[i] = 0; /* an entry without rows keeps its bits */
  }
  for (int64_t k = 0; k < s.target->count; k++)
    for (int64_t c = 0; c < g->columns; c++) {
      const int64_t at = (int64_t)s.target->value[k] * g->columns + c;
      double squares = want[at] * want[at], n = 1;
      for (int64_t r = (int64_t)s.segment->value[k]; r < (int64_t)s.segment->value[k + 1];
           r++, n++) {
        const double term = x->value[(int64_t)s.order->value[r] * g->columns + c];
        want[at] += term;
        squares += term * term;
      }
      bound[at] = bound_constant(CDL_OP_scatter_add_rows) * unit_roundoff(CDL_DTYPE_F32) *
                      sum_growth(n, squares, want[at]) +
                  storing_error(t->dtype, want[at]);
    }
  if (trial_run(t, CDL_ARGS(scatter_add_rows, .table = table->view, .x = x->view,
                            .order = s.order->view, .segment = s.segment->view,
                            .target = s.target->view)))
    trial_compare(t, table, want, bound);
}

/* ---- Randomized ---- */

static void draw_moving(trial *t, void *parameters)
{
  moving *m = parameters;
  random_source *r = &t->random;
  *m = (moving){.n = random_shape(r, 30000), .out = random_layout(r), .x = random_layout(r)};
  m->special = random_chance(r, 0.3);
  m->value = (double)random_integer(r, -1000, 1000);
  for (uint8_t d = 0; d < 4; d++)
    m->order[d] = d;
  for (int d = 3; d > 0 && t->self->op == CDL_OP_permute; d--) {
    const int other = (int)random_integer(r, 0, d);
    const uint8_t kept = m->order[d];
    m->order[d] = m->order[other];
    m->order[other] = kept;
  }
  if ((t->self->op == CDL_OP_copy || t->self->op == CDL_OP_permute) && random_chance(r, 0.3))
    m->repeat = (unsigned)random_integer(r, 1, 7);
  if (t->self->op == CDL_OP_cast)
    m->from = t->dtype == CDL_DTYPE_F32 ? CDL_DTYPE_F64 : CDL_DTYPE_F32;
  trial_describe(t, "%dx%dx%dx%d %s from %s, order %d%d%d%d, repeated %u", (int)m->n.n[0],
                 (int)m->n.n[1], (int)m->n.n[2], (int)m->n.n[3], layout_name(m->out),
                 layout_name(m->x), m->order[0], m->order[1], m->order[2], m->order[3], m->repeat);
}

static void draw_rows(trial *t, void *parameters)
{
  by_rows *g = parameters;
  random_source *r = &t->random;
  *g = (by_rows){.entries = random_integer(r, 1, 300), .rows = random_size(r, 300)};
  g->columns = random_size(r, 500);
  g->l = random_layout(r);
  g->accumulate = random_chance(r, 0.5);
  g->one_entry = random_chance(r, 0.2);
  g->from = t->dtype == CDL_DTYPE_F32 || random_chance(r, 0.5) ? CDL_DTYPE_F32 : CDL_DTYPE_BF16;
  trial_describe(t, "%d rows, %d entries, %d columns, %s%s%s", (int)g->rows, (int)g->entries,
                 (int)g->columns, layout_name(g->l), g->accumulate ? ", accumulated" : "",
                 g->one_entry ? ", one entry" : "");
}

static void register_random(suite *s)
{
  static const cdl_dtype dtypes[] = {CDL_DTYPE_F32, CDL_DTYPE_F64, CDL_DTYPE_BF16, CDL_DTYPE_I32,
                                     CDL_DTYPE_U8};
  for (size_t d = 0; d < 5; d++) {
    suite_add_random(s, CDL_OP_copy, dtypes[d], draw_moving, copy_case, sizeof(moving));
    suite_add_random(s, CDL_OP_permute, dtypes[d], draw_moving, permute_case, sizeof(moving));
    if (d < 3)
      suite_add_random(s, CDL_OP_cast, dtypes[d], draw_moving, cast_case, sizeof(moving));
    if (d < 3 || dtypes[d] == CDL_DTYPE_I32)
      suite_add_random(s, CDL_OP_fill, dtypes[d], draw_moving, fill_case, sizeof(moving));
  }
  for (size_t d = 0; d < 2; d++) {
    const cdl_dtype dtype = d == 0 ? CDL_DTYPE_F32 : CDL_DTYPE_BF16;
    suite_add_random(s, CDL_OP_gather_rows, dtype, draw_rows, gather_case, sizeof(by_rows));
    suite_add_random(s, CDL_OP_scatter_add_rows, dtype, draw_rows, scatter_case, sizeof(by_rows));
  }
}

/* ---- Registration ---- */

static const shape shapes[] = {
    {{1, 1, 1, 1}}, {{1, 1, 5, 7}}, {{1, 1, 1, 131}}, {{2, 3, 5, 17}},
    {{1, 1, 0, 8}}, {{1, 1, 8, 0}}, {{1, 1, 127, 1}}, {{3, 1, 131, 64}},
};

static void register_copies(suite *s)
{
  static const cdl_dtype dtypes[] = {CDL_DTYPE_F32, CDL_DTYPE_F64, CDL_DTYPE_BF16, CDL_DTYPE_I32,
                                     CDL_DTYPE_U8};
  for (size_t d = 0; d < 5; d++) {
    for (size_t k = 0; k < sizeof shapes / sizeof *shapes; k++) {
      const shape n = shapes[k];
      const moving m = {.n = n,
                        .out = (layout)(k % LAYOUT_COUNT),
                        .x = (layout)((k + 1 + d) % LAYOUT_COUNT),
                        .special = n.n[3] >= 17};
      ADD(s, copy, dtypes[d], 0, copy_case, &m, "%dx%dx%dx%d %s from %s", (int)n.n[0], (int)n.n[1],
          (int)n.n[2], (int)n.n[3], layout_name(m.out), layout_name(m.x));
    }
    for (unsigned repeat = 1; repeat < 16; repeat += 3) {
      const moving m = {
          .n = {{2, 3, 5, 17}}, .out = LAYOUT_COLUMNS, .x = LAYOUT_DENSE, .repeat = repeat & 7u};
      ADD(s, copy, dtypes[d], 0, copy_case, &m, "2x3x5x17 repeating dimensions %u", repeat & 7u);
    }
    static const uint8_t orders[][4] = {{0, 1, 3, 2}, {0, 2, 1, 3}, {3, 2, 1, 0}, {1, 0, 2, 3},
                                        {0, 1, 2, 3}, {2, 3, 0, 1}, {1, 2, 3, 0}};
    for (size_t k = 0; k < sizeof orders / sizeof *orders; k++) {
      moving m = {.n = {{2, 3, 5, 17}},
                  .out = (layout)(k % LAYOUT_COUNT),
                  .x = LAYOUT_COLUMNS,
                  .special = true};
      for (int i = 0; i < 4; i++)
        m.order[i] = orders[k][i];
      ADD(s, permute, dtypes[d], 0, permute_case, &m, "2x3x5x17 to order %d%d%d%d", m.order[0],
          m.order[1], m.order[2], m.order[3]);
    }
    moving m = {
        .n = {{1, 1, 131, 257}}, .out = LAYOUT_ROWS, .x = LAYOUT_OFFSET, .order = {0, 1, 3, 2}};
    ADD(s, permute, dtypes[d], 0, permute_case, &m, "131x257 transposed");
    m.n = shape_1d(1);
    ADD(s, permute, dtypes[d], 0, permute_case, &m, "1x1 transposed");
    m.n = (shape){{1, 4, 0, 3}};
    ADD(s, permute, dtypes[d], 0, permute_case, &m, "4x0x3 transposed");
    m = (moving){.n = {{2, 3, 5, 4}}, .out = LAYOUT_ROWS, .order = {0, 2, 1, 3}, .repeat = 2};
    ADD(s, permute, dtypes[d], 0, permute_case, &m, "2x3x5x4 repeating, to order 0213");
  }
}

static void register_casts(suite *s)
{
  static const cdl_dtype dtypes[] = {CDL_DTYPE_F32, CDL_DTYPE_F64, CDL_DTYPE_BF16};
  for (size_t from = 0; from < 3; from++)
    for (size_t to = 0; to < 3; to++)
      for (size_t k = 0; k < sizeof shapes / sizeof *shapes && from != to; k++) {
        const shape n = shapes[k];
        const moving m = {.n = n,
                          .out = (layout)(k % LAYOUT_COUNT),
                          .x = (layout)((k + 2) % LAYOUT_COUNT),
                          .from = dtypes[from],
                          .special =
                              cdl_tensor_elements(cdl_tensor_4d(NULL, CDL_DTYPE_U8, 0, n.n[0],
                                                                n.n[1], n.n[2], n.n[3])) >= 17};
        ADD(s, cast, dtypes[to], 0, cast_case, &m, "%dx%dx%dx%d from %s", (int)n.n[0], (int)n.n[1],
            (int)n.n[2], (int)n.n[3], cdl_dtype_name(dtypes[from]));
      }
  const moving none = {0};
  ADD(s, cast, CDL_DTYPE_BF16, 0, cast_ties_case, &none, "F64 a hair beside a tie");
  ADD(s, cast, CDL_DTYPE_F32, 0, cast_ties_case, &none, "F64 a hair beside a tie");
}

static void register_rows(suite *s)
{
  static const by_rows tables[] = {
      {1, 1, 1, LAYOUT_DENSE, false, false, CDL_DTYPE_F32},
      {7, 3, 5, LAYOUT_OFFSET, false, false, CDL_DTYPE_F32},
      {131, 50, 67, LAYOUT_COLUMNS, false, false, CDL_DTYPE_F32},
      {257, 1000, 384, LAYOUT_ROWS, false, false, CDL_DTYPE_F32},
      {0, 4, 8, LAYOUT_DENSE, false, false, CDL_DTYPE_F32},
      {5, 4, 0, LAYOUT_DENSE, false, false, CDL_DTYPE_F32},
      {13, 5, 9, LAYOUT_COLUMNS, true, false, CDL_DTYPE_F32},
      {300, 7, 33, LAYOUT_DENSE, true, true, CDL_DTYPE_F32},
      {1000, 3, 129, LAYOUT_ROWS, true, false, CDL_DTYPE_F32},
  };
  static const cdl_dtype types[][2] = {{CDL_DTYPE_F32, CDL_DTYPE_F32},
                                       {CDL_DTYPE_BF16, CDL_DTYPE_BF16},
                                       {CDL_DTYPE_BF16, CDL_DTYPE_F32},
                                       {CDL_DTYPE_F32, CDL_DTYPE_BF16}};
  for (size_t d = 0; d < 4; d++)
    for (size_t k = 0; k < sizeof tables / sizeof *tables; k++) {
      by_rows g = tables[k];
      g.from = types[d][1];
      const char *from = g.from == CDL_DTYPE_F32 ? "" : " from bf16";
      ADD(s, gather_rows, types[d][0], 0, gather_case, &g, "%d of %d x %d %s%s%s", (int)g.rows,
          (int)g.entries, (int)g.columns, layout_name(g.l), g.accumulate ? " accumulated" : "",
          from);
      ADD(s, scatter_add_rows, types[d][0], 0, scatter_case, &g, "%d to %d x %d %s%s%s",
          (int)g.rows, (int)g.entries, (int)g.columns, layout_name(g.l),
          g.one_entry ? ", all to one" : "", from);
    }
}

void register_moving(suite *s)
{
  register_copies(s);
  register_casts(s);
  register_random(s);
  static const double values[] = {0, -0.0, 1.1, -3, 1e-40, NAN, INFINITY, -INFINITY, 2147483647};
  static const cdl_dtype filled[] = {CDL_DTYPE_F32, CDL_DTYPE_F64, CDL_DTYPE_I32, CDL_DTYPE_BF16};
  for (size_t d = 0; d < 4; d++)
    for (size_t k = 0; k < sizeof values / sizeof *values; k++) {
      const cdl_dtype dtype = filled[d];
      if (dtype == CDL_DTYPE_I32 && (!isfinite(values[k]) || values[k] != trunc(values[k])))
        continue;
      const moving m = {.n = shapes[k % 8], .out = (layout)(k % LAYOUT_COUNT), .value = values[k]};
      ADD(s, fill, dtype, 0, fill_case, &m, "with %g, %dx%dx%dx%d %s", values[k], (int)m.n.n[0],
          (int)m.n.n[1], (int)m.n.n[2], (int)m.n.n[3], layout_name(m.out));
    }
  register_rows(s);
}
