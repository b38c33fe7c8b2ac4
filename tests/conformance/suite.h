/* The conformance suite: every op, on whatever backend is named, against float64 arithmetic
 * written here.
 *
 * A case is one call of one op. Its body lays out operands, fills them, runs the op and compares
 * what came back:
 *
 *   operand *x = trial_operand(t, "x", ROLE_IN, CDL_DTYPE_F32, shape_2d(5, 7), LAYOUT_COLUMNS);
 *   operand *out = trial_operand(t, "out", ROLE_OUT, CDL_DTYPE_F32, shape_2d(5, 7), LAYOUT_DENSE);
 *   fill_normal(t, x, 1);
 *   if (trial_run(t, CDL_ARGS(copy, .out = out->view, .x = x->view)))
 *     trial_exact(t, out, x->value);
 *
 * trial_run uploads everything, calls the op twice from the same state, and checks by itself that
 * inputs and guards kept their bytes and that both calls gave the same ones. */
#ifndef CONDLORA_TESTS_CONFORMANCE_SUITE_H
#define CONDLORA_TESTS_CONFORMANCE_SUITE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "condlora/backend.h"

/* ---- Ops ---- */

typedef enum { TIER_REQUIRED, TIER_COMPOSED, TIER_HOST } op_tier;

typedef struct {
  const char *name;
  op_tier tier;
  size_t args_bytes;
  void (*call)(cdl_queue *queue, const void *args);
} op_info;

/* The row of ops.def. */
const op_info *op_find(cdl_op op);

/* ---- Cases ---- */

typedef struct suite suite;
typedef struct trial trial;
typedef void case_body(trial *t, const void *parameters);

enum {
  CASE_NO_OP = -1, /* of the group named, not of an op */
  CASE_LARGE = 1,  /* left out by --quick */
  CASE_GRAD = 2,   /* of mode `grad`, not of `test` */
  CASE_DEFECT = 4, /* a wrong call: by itself it does not cover an op */
  CASE_RANDOM = 8
};

typedef struct {
  const char *group; /* the op's name where there is one */
  int op;
  cdl_dtype dtype;
  unsigned flags;
  char name[112];
  case_body *body;
  void *parameters;
} test_case;

typedef enum { OUTCOME_PASS, OUTCOME_MARGINAL, OUTCOME_FAIL, OUTCOME_SKIP } outcome;

typedef struct {
  const test_case *self;
  outcome outcome;
  cdl_path path;
  bool composed; /* run with composed paths preferred although the backend has its own */
  double ratio;  /* largest error / bound */
  char message[400];
  char drawn[160];
} case_result;

typedef enum { FORMAT_TEXT, FORMAT_JSON, FORMAT_JUNIT, FORMAT_CSV } output_format;

struct suite {
  cdl_backend *backend;
  const char *backend_name; /* as on the command line */
  uint64_t seed;
  int random; /* randomized cases of each op and dtype */
  int every;  /* of an op's cases, one in so many runs; 1: all */
  bool quick, strict, verbose;
  cdl_precision precision; /* that the backend was opened with */
  const char *only_op, *only_case;
  output_format format;
  test_case *cases;
  size_t case_count, case_capacity;
  case_result *results;
  size_t result_count, result_capacity;
  unsigned seen[CDL_OP_COUNT]; /* classes of shapes that ran, bits of shape_class */
};

/* What every op must be tried with. */
typedef enum {
  CLASS_ONE, /* attention's smallest has three elements, a query, a key and a value */
  CLASS_ODD,
  CLASS_PRIME,
  CLASS_LARGE,
  CLASS_ZERO,
  CLASS_STRIDED,
  CLASS_OFFSET,
  CLASS_COUNT
} shape_class;
const char *shape_class_name(shape_class c);

/* A group of CDL_OP_<name>, or of `group` when op is CASE_NO_OP. Parameters are copied. */
void suite_add(suite *s, int op, const char *group, cdl_dtype dtype, unsigned flags,
               case_body *body, const void *parameters, size_t parameter_bytes, const char *format,
               ...) CDL_PRINTF(9, 10);
/* The commonest form: a struct of parameters by pointer. */
#define ADD(s, op, dtype, flags, body, parameters, ...) \
  suite_add(s, CDL_OP_##op, NULL, dtype, flags, body, parameters, sizeof *(parameters), __VA_ARGS__)
/* s->random cases "random 0", "random 1", …: `draw` makes a case's parameters of this many bytes
 * from the trial's own random numbers, so that a seed and a name give the same case again, and
 * describes them by trial_describe; `body` runs them. */
typedef void case_draw(trial *t, void *parameters);
void suite_add_random(suite *s, cdl_op op, cdl_dtype dtype, case_draw *draw, case_body *body,
                      size_t parameter_bytes);
void suite_run(suite *s, unsigned mode_flag);
void suite_free(suite *s);
int suite_report(const suite *s); /* prints what its format wants; the exit status */

/* A small valid call of each op in the dtype of the trial: for wrong calls made from it, and for
 * mode `support`. */
typedef void sample_builder(trial *t, void *args);
sample_builder *sample_of(cdl_op op);
/* Whether the op is defined for F64, BF16, … beside F32. */
bool sample_takes(cdl_op op, cdl_dtype dtype);

void register_moving(suite *s);
void register_gemm(suite *s);
void register_elementwise(suite *s);
void register_reduce(suite *s);
void register_softmax(suite *s);
void register_norm(suite *s);
void register_dropout(suite *s);
void register_loss(suite *s);
void register_optimizer(suite *s);
void register_linear(suite *s);
void register_low_rank(suite *s);
void register_map_weights(suite *s);
void register_attention(suite *s);
void register_host(suite *s);
void register_arguments(suite *s);
void register_queue(suite *s);
void register_optional(suite *s);
void register_coverage(suite *s); /* after all others of mode `test` */
void register_grad(suite *s);

int mode_support(suite *s);
int mode_perf(suite *s);

/* ---- Randomness: the same values for the same seed and case, whatever else runs ---- */

typedef struct {
  uint64_t state;
  double spare;
  bool has_spare;
} random_source;

uint64_t random_bits(random_source *r);
double random_uniform(random_source *r); /* [0, 1) */
double random_normal(random_source *r);
int64_t random_integer(random_source *r, int64_t low, int64_t high); /* both included */
bool random_chance(random_source *r, double probability);
/* Of a dimension, below 2¹⁰ and such that this many elements are not passed: now and then 0 or 1,
 * else spread over all magnitudes, often beside a power of two. */
int64_t random_size(random_source *r, int64_t most);

/* `value` as `dtype` holds it: to nearest, ties to even; integers by truncation. */
double round_to(cdl_dtype dtype, double value);

/* ---- Trials: one run of a case ---- */

typedef enum { ROLE_IN, ROLE_OUT, ROLE_INOUT } operand_role;

/* Where a view lies in its buffer; guards fill what it leaves free. */
typedef enum {
  LAYOUT_DENSE,   /* at the start */
  LAYOUT_OFFSET,  /* dense, at an odd offset */
  LAYOUT_ROWS,    /* rows and batches further apart than they are long */
  LAYOUT_COLUMNS, /* columns out of the middle of a wider matrix, at an odd offset */
  LAYOUT_COUNT,
  LAYOUT_ALIGNED = LAYOUT_COUNT /* columns of a wider matrix, by sixteen; only if asked for */
} layout;

const char *layout_name(layout l);
layout random_layout(random_source *r);

typedef struct {
  int64_t n[4];
} shape;

shape shape_1d(int64_t n);
shape shape_2d(int64_t rows, int64_t columns);
shape shape_3d(int64_t batch, int64_t rows, int64_t columns);
shape shape_4d(int64_t n0, int64_t n1, int64_t n2, int64_t n3);
/* Of up to four dimensions and at most this many elements. */
shape random_shape(random_source *r, int64_t most);

typedef struct {
  const char *name;
  operand_role role;
  cdl_tensor view;
  cdl_buffer *buffer;
  size_t bytes;                 /* of the buffer */
  unsigned char *image, *found; /* the whole buffer before and after */
  unsigned char *again;         /* … and after the second run */
  unsigned char *mine;          /* 1 for each byte of the view, 0 for guards */
  int64_t count;                /* elements of the view */
  double *value;                /* dense, before */
  double *result;               /* dense, after trial_run */
} operand;

enum { MAX_OPERANDS = 40, MAX_WEIGHTS = 8 };

struct trial {
  suite *suite;
  cdl_backend *backend;
  cdl_queue *queue;
  const test_case *self;
  cdl_dtype dtype;
  random_source random;
  operand *operands[MAX_OPERANDS];
  int operand_count;
  cdl_weight *weights[MAX_WEIGHTS];
  int weight_count;
  struct trial_block *blocks;
  bool ran;
  bool once; /* do not repeat the call */
  cdl_path path;
  outcome outcome;
  double ratio;
  char message[400];
  char drawn[160]; /* what a randomized case has drawn; "" for others */
};

bool trial_begin(trial *t, suite *s, const test_case *c);
void trial_end(trial *t);

/* Memory that lives as long as the trial, zeroed. */
void *trial_memory(trial *t, size_t count, size_t bytes);
double *trial_doubles(trial *t, int64_t count);

operand *trial_operand(trial *t, const char *name, operand_role role, cdl_dtype dtype, shape n,
                       layout l);
/* An input that repeats (stride 0) along the dimensions whose bit is set. */
operand *trial_repeated(trial *t, const char *name, cdl_dtype dtype, shape n, layout l,
                        unsigned dimensions);

void fill_normal(trial *t, operand *o, double scale);
void fill_scales(trial *t, operand *o); /* either sign, magnitudes from 1e-3 to 1e3 */
void fill_uniform(trial *t, operand *o, double low, double high);
void fill_integers(trial *t, operand *o, int64_t low, int64_t high);
void fill_values(operand *o, const double *values);
/* After a change of o->value by hand: rounds to what the buffer will hold. */
void operand_settle(operand *o);
/* Element `index` of the dense order gets these very bits. */
void operand_poke(operand *o, int64_t index, uint64_t bits);

/* A step record in a U8 tensor. */
operand *trial_step(trial *t, cdl_step_record record);

/* One weight stacked from `count` operands. NULL, and the trial failed, when it cannot be made. */
cdl_weight *trial_weight(trial *t, operand *const *sources, int count);
/* Writes all images to the device: before a weight is made from them. */
bool trial_upload(trial *t);

/* Sequences of these lengths end to end, examples with large scattered indices. */
cdl_packing trial_packing(trial *t, const int32_t *lengths, int count);

/* Calls the case's op. False when there is nothing to compare. */
bool trial_run(trial *t, const void *args);

void trial_describe(trial *t, const char *format, ...) CDL_PRINTF(2, 3);
void trial_fail(trial *t, const char *format, ...) CDL_PRINTF(2, 3);
void trial_skip(trial *t, const char *format, ...) CDL_PRINTF(2, 3);

/* |result − want| ≤ bound, element by element; NaN where `want` is NaN, the same infinity where it
 * is infinite. */
void trial_compare(trial *t, const operand *o, const double *want, const double *bound);
void trial_exact(trial *t, const operand *o, const double *want);
/* One number against its bound. */
void trial_judge(trial *t, const char *what, double error, double bound);

#endif
