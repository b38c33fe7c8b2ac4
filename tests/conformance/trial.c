#include <inttypes.h>
#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "tests/conformance/bounds.h"
#include "tests/conformance/suite.h"

/* ---- Memory ---- */

typedef struct trial_block {
  struct trial_block *next;
  size_t pad; /* keeps what follows aligned */
} trial_block;

void *trial_memory(trial *t, size_t count, size_t bytes)
{
  if (bytes != 0 && count > (SIZE_MAX - sizeof(trial_block)) / bytes) {
    fprintf(stderr, "condlora-conformance: a case wants more memory than there can be\n");
    exit(2);
  }
  trial_block *block = calloc(1, sizeof *block + count * bytes);
  if (block == NULL) {
    fprintf(stderr, "condlora-conformance: out of memory: %zu bytes\n", count * bytes);
    exit(2);
  }
  block->next = t->blocks;
  t->blocks = block;
  return block + 1;
}

double *trial_doubles(trial *t, int64_t count)
{
  return trial_memory(t, (size_t)count, sizeof(double));
}

/* ---- Shapes and layouts ---- */

shape shape_4d(int64_t n0, int64_t n1, int64_t n2, int64_t n3)
{
  return (shape){{n0, n1, n2, n3}};
}

shape shape_3d(int64_t batch, int64_t rows, int64_t columns)
{
  return shape_4d(1, batch, rows, columns);
}

shape shape_2d(int64_t rows, int64_t columns)
{
  return shape_4d(1, 1, rows, columns);
}

shape shape_1d(int64_t n)
{
  return shape_4d(1, 1, 1, n);
}

const char *shape_class_name(shape_class c)
{
  static const char *const names[] = {"one element",  "an odd size",    "a prime size",
                                      "a large size", "a size of zero", "gaps between rows",
                                      "an offset"};
  return names[c];
}

const char *layout_name(layout l)
{
  static const char *const names[] = {"dense", "offset", "rows", "columns", "aligned columns"};
  return names[l];
}

/* Free elements on both sides of a view: before it as its layout says, behind it always. */
enum {
  LEAD_OFFSET = 5,
  LEAD_COLUMNS = 67,
  LEAD_ALIGNED = 64,
  PAD_ROWS = 7,
  PAD_COLUMNS = 13,
  PAD_ALIGNED = 48,
  PAD_BATCH = 19,
  TAIL = 96
};

static cdl_tensor view_of(cdl_dtype dtype, shape n, layout l, unsigned repeat)
{
  cdl_tensor view = {.dtype = dtype};
  static const int64_t pads[] = {
      [LAYOUT_ROWS] = PAD_ROWS, [LAYOUT_COLUMNS] = PAD_COLUMNS, [LAYOUT_ALIGNED] = PAD_ALIGNED};
  static const int64_t leads[] = {[LAYOUT_OFFSET] = LEAD_OFFSET,
                                  [LAYOUT_COLUMNS] = LEAD_COLUMNS,
                                  [LAYOUT_ALIGNED] = LEAD_ALIGNED};
  const int64_t pad = pads[l];
  const int64_t batch_pad = pad > 0 ? PAD_BATCH : 0;
  view.offset = leads[l];
  int64_t step = 1;
  for (int d = 3; d >= 0; d--) {
    view.size[d] = n.n[d];
    view.stride[d] = (repeat >> d & 1u) != 0 ? 0 : step;
    if (view.stride[d] != 0)
      step *= n.n[d] > 0 ? n.n[d] : 1;
    step += d == 3 ? pad : batch_pad;
  }
  return view;
}

/* Position in the buffer, in elements, of element `index` of the dense order. */
static int64_t place(const cdl_tensor *view, int64_t index)
{
  int64_t at = view->offset;
  for (int d = 3; d >= 0; d--) {
    at += index % view->size[d] * view->stride[d];
    index /= view->size[d];
  }
  return at;
}

/* ---- Bytes ---- */

static void encode(cdl_dtype dtype, double value, unsigned char *at)
{
  switch (dtype) {
  case CDL_DTYPE_F32: {
    const float v = (float)value;
    memcpy(at, &v, sizeof v);
    break;
  }
  case CDL_DTYPE_F64:
    memcpy(at, &value, sizeof value);
    break;
  case CDL_DTYPE_BF16: {
    const float v = (float)round_to(CDL_DTYPE_BF16, value);
    uint32_t bits;
    memcpy(&bits, &v, sizeof bits);
    const uint16_t half = (uint16_t)(bits >> 16);
    memcpy(at, &half, sizeof half);
    break;
  }
  case CDL_DTYPE_I32: {
    const int32_t v = (int32_t)value;
    memcpy(at, &v, sizeof v);
    break;
  }
  case CDL_DTYPE_U8:
    *at = (unsigned char)value;
    break;
  case CDL_DTYPE_COUNT:
    break;
  }
}

static double decode(cdl_dtype dtype, const unsigned char *at)
{
  switch (dtype) {
  case CDL_DTYPE_F32: {
    float v;
    memcpy(&v, at, sizeof v);
    return (double)v;
  }
  case CDL_DTYPE_F64: {
    double v;
    memcpy(&v, at, sizeof v);
    return v;
  }
  case CDL_DTYPE_BF16: {
    uint16_t half;
    memcpy(&half, at, sizeof half);
    const uint32_t bits = (uint32_t)half << 16;
    float v;
    memcpy(&v, &bits, sizeof v);
    return (double)v;
  }
  case CDL_DTYPE_I32: {
    int32_t v;
    memcpy(&v, at, sizeof v);
    return v;
  }
  case CDL_DTYPE_U8:
    return *at;
  case CDL_DTYPE_COUNT:
    break;
  }
  return 0;
}

/* NaN with a payload of its own, so that one read by mistake poisons the result and one
 * overwritten is seen. */
static void guard(cdl_dtype dtype, unsigned char *at)
{
  static const uint64_t f64 = 0x7ffda5a5a5a5a5a5u;
  static const uint32_t f32 = 0x7fe5a5a5u;
  static const uint16_t bf16 = 0x7fe5u;
  switch (dtype) {
  case CDL_DTYPE_F64:
    memcpy(at, &f64, sizeof f64);
    break;
  case CDL_DTYPE_F32:
  case CDL_DTYPE_I32:
    memcpy(at, &f32, sizeof f32);
    break;
  case CDL_DTYPE_BF16:
    memcpy(at, &bf16, sizeof bf16);
    break;
  case CDL_DTYPE_U8:
  case CDL_DTYPE_COUNT:
    *at = 0xa5;
    break;
  }
}

/* ---- Operands ---- */

static operand *make_operand(trial *t, const char *name, operand_role role, cdl_dtype dtype,
                             shape n, layout l, unsigned repeat)
{
  if (t->operand_count == MAX_OPERANDS) {
    fprintf(stderr, "condlora-conformance: case '%s' has too many operands\n", t->self->name);
    exit(2);
  }
  operand *o = trial_memory(t, 1, sizeof *o);
  t->operands[t->operand_count++] = o;
  o->name = name;
  o->role = role;
  o->view = view_of(dtype, n, l, repeat);
  o->count = cdl_tensor_elements(o->view);
  int64_t end = o->view.offset;
  if (o->count > 0)
    end = place(&o->view, o->count - 1) + 1; /* the last element lies last: no stride is negative */
  const size_t bytes = cdl_dtype_bytes(dtype);
  o->bytes = (size_t)(end + TAIL) * bytes;
  o->image = trial_memory(t, o->bytes, 1);
  o->found = trial_memory(t, o->bytes, 1);
  o->again = trial_memory(t, o->bytes, 1);
  o->mine = trial_memory(t, o->bytes, 1);
  o->value = trial_doubles(t, o->count);
  o->result = trial_doubles(t, o->count);
  for (size_t at = 0; at < o->bytes; at += bytes)
    guard(dtype, o->image + at);
  for (int64_t i = 0; i < o->count; i++)
    memset(o->mine + (size_t)place(&o->view, i) * bytes, 1, bytes);
  if (role == ROLE_OUT) /* a pattern unlike the guards'; NaN in floating point */
    for (size_t at = 0; at < o->bytes; at++)
      o->image[at] = o->mine[at] ? 0xff : o->image[at];
  const cdl_status status = cdl_buffer_create(t->backend, o->bytes, &o->buffer);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "buffer of %zu bytes: %s: %s", o->bytes, cdl_status_name(status),
               cdl_error_message());
    o->buffer = NULL;
  }
  o->view.buffer = o->buffer;
  return o;
}

operand *trial_operand(trial *t, const char *name, operand_role role, cdl_dtype dtype, shape n,
                       layout l)
{
  return make_operand(t, name, role, dtype, n, l, 0);
}

operand *trial_repeated(trial *t, const char *name, cdl_dtype dtype, shape n, layout l,
                        unsigned dimensions)
{
  return make_operand(t, name, ROLE_IN, dtype, n, l, dimensions);
}

void operand_settle(operand *o)
{
  const size_t bytes = cdl_dtype_bytes(o->view.dtype);
  for (int64_t i = 0; i < o->count; i++)
    encode(o->view.dtype, o->value[i], o->image + (size_t)place(&o->view, i) * bytes);
  for (int64_t i = 0; i < o->count; i++)
    o->value[i] = decode(o->view.dtype, o->image + (size_t)place(&o->view, i) * bytes);
}

void operand_poke(operand *o, int64_t index, uint64_t bits)
{
  unsigned char *at = o->image + (size_t)place(&o->view, index) * cdl_dtype_bytes(o->view.dtype);
  if (o->view.dtype == CDL_DTYPE_F64) {
    memcpy(at, &bits, sizeof bits);
  } else if (o->view.dtype == CDL_DTYPE_BF16) {
    const uint16_t half = (uint16_t)bits;
    memcpy(at, &half, sizeof half);
  } else {
    const uint32_t word = (uint32_t)bits;
    memcpy(at, &word, sizeof word);
  }
  o->value[index] = decode(o->view.dtype, at);
}

operand *trial_step(trial *t, cdl_step_record record)
{
  operand *o = trial_operand(t, "step", ROLE_IN, CDL_DTYPE_U8, shape_1d((int64_t)sizeof record),
                             LAYOUT_DENSE);
  unsigned char bytes[sizeof record];
  memcpy(bytes, &record, sizeof record);
  for (int64_t i = 0; i < o->count; i++)
    o->value[i] = bytes[i];
  operand_settle(o);
  return o;
}

cdl_packing trial_packing(trial *t, const int32_t *lengths, int count)
{
  int32_t *offsets = trial_memory(t, (size_t)count + 1, sizeof *offsets);
  int32_t *examples = trial_memory(t, (size_t)count + 1, sizeof *examples);
  operand *device_offsets =
      trial_operand(t, "offsets", ROLE_IN, CDL_DTYPE_I32, shape_1d(count + 1), LAYOUT_OFFSET);
  operand *device_examples =
      trial_operand(t, "examples", ROLE_IN, CDL_DTYPE_I32, shape_1d(count), LAYOUT_OFFSET);
  cdl_packing packing = {.sequences = count, .host_offsets = offsets, .host_examples = examples};
  for (int i = 0; i < count; i++) {
    offsets[i + 1] = offsets[i] + lengths[i];
    examples[i] = (int32_t)random_integer(&t->random, 0, 1 << 30);
    packing.longest = lengths[i] > packing.longest ? lengths[i] : packing.longest;
    device_examples->value[i] = examples[i];
  }
  for (int i = 0; i <= count; i++)
    device_offsets->value[i] = offsets[i];
  operand_settle(device_offsets);
  operand_settle(device_examples);
  packing.tokens = offsets[count];
  packing.offsets = device_offsets->view;
  packing.examples = device_examples->view;
  return packing;
}

cdl_weight *trial_weight(trial *t, operand *const *sources, int count)
{
  if (t->outcome == OUTCOME_FAIL || !trial_upload(t))
    return NULL;
  cdl_tensor views[MAX_WEIGHTS];
  for (int i = 0; i < count; i++)
    views[i] = sources[i]->view;
  cdl_weight *weight = NULL;
  const cdl_status status = cdl_weight_create(t->queue, views, (size_t)count, &weight);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "cdl_weight_create: %s: %s", cdl_status_name(status), cdl_error_message());
    return NULL;
  }
  t->weights[t->weight_count++] = weight;
  return weight;
}

/* ---- Running ---- */

static uint64_t hash_text(uint64_t hash, const char *text)
{
  for (; *text != '\0'; text++) /* FNV-1a */
    hash = (hash ^ (unsigned char)*text) * 0x100000001b3u;
  return hash;
}

bool trial_begin(trial *t, suite *s, const test_case *c)
{
  memset(t, 0, sizeof *t);
  t->suite = s;
  t->backend = s->backend;
  t->self = c;
  t->dtype = c->dtype;
  t->path = CDL_PATH_NONE;
  t->random.state =
      hash_text(hash_text(0xcbf29ce484222325u ^ s->seed, c->group), c->name) + (uint64_t)c->dtype;
  const cdl_status status = cdl_queue_create(s->backend, &t->queue);
  if (status != CDL_STATUS_OK) {
    trial_fail(t, "cdl_queue_create: %s: %s", cdl_status_name(status), cdl_error_message());
    return false;
  }
  return true;
}

void trial_end(trial *t)
{
  for (int i = 0; i < t->weight_count; i++)
    cdl_weight_destroy(t->weights[i]);
  for (int i = 0; i < t->operand_count; i++)
    cdl_buffer_destroy(t->operands[i]->buffer);
  if (t->queue != NULL)
    cdl_queue_destroy(t->queue);
  while (t->blocks != NULL) {
    trial_block *next = t->blocks->next;
    free(t->blocks);
    t->blocks = next;
  }
}

static cdl_tensor whole(const operand *o)
{
  return cdl_tensor_1d(o->buffer, CDL_DTYPE_U8, 0, (int64_t)o->bytes);
}

bool trial_upload(trial *t)
{
  for (int i = 0; i < t->operand_count; i++)
    if (t->operands[i]->buffer == NULL)
      return false;
  for (int i = 0; i < t->operand_count; i++)
    cdl_queue_upload(t->queue, whole(t->operands[i]), t->operands[i]->image, t->operands[i]->bytes);
  return true;
}

static bool synced(trial *t)
{
  const cdl_status status = cdl_queue_sync(t->queue);
  if (status == CDL_STATUS_OK)
    return true;
  trial_fail(t, "%s: %s", cdl_status_name(status), cdl_error_message());
  return false;
}

static bool one_run(trial *t, const void *args, bool second)
{
  if (!trial_upload(t))
    return false;
  op_find((cdl_op)t->self->op)->call(t->queue, args);
  for (int i = 0; i < t->operand_count; i++) {
    operand *o = t->operands[i];
    cdl_queue_download(t->queue, second ? o->again : o->found, whole(o), o->bytes);
  }
  return synced(t);
}

static void check_bytes(trial *t, const operand *o)
{
  for (size_t at = 0; at < o->bytes; at++) {
    const bool may_change = o->role != ROLE_IN && o->mine[at] != 0;
    if (may_change || o->found[at] == o->image[at])
      continue;
    const int64_t element = (int64_t)(at / cdl_dtype_bytes(o->view.dtype)) - o->view.offset;
    if (o->mine[at] != 0)
      trial_fail(t, "input %s was changed, %" PRId64 " elements from its start", o->name, element);
    else
      trial_fail(t, "written outside %s, %" PRId64 " elements from its start", o->name, element);
    return;
  }
}

static void check_repeat(trial *t, const operand *o)
{
  if (memcmp(o->found, o->again, o->bytes) == 0)
    return;
  size_t at = 0;
  while (o->found[at] == o->again[at])
    at++;
  trial_fail(t, "%s differs between two runs of the same call, %" PRId64 " elements from its start",
             o->name, (int64_t)(at / cdl_dtype_bytes(o->view.dtype)) - o->view.offset);
}

static bool is_prime(int64_t n)
{
  for (int64_t d = 2; d * d <= n; d++)
    if (n % d == 0)
      return false;
  return n > 1;
}

/* Notes which classes of shapes the op has met. */
static void note_classes(const trial *t)
{
  enum { LARGE = 16384 };
  unsigned seen = 0;
  int64_t most = 0;
  for (int i = 0; i < t->operand_count; i++) {
    const cdl_tensor v = t->operands[i]->view;
    const int64_t count = cdl_tensor_elements(v), columns = v.size[3];
    if ((v.dtype == CDL_DTYPE_U8 || v.dtype == CDL_DTYPE_I32) && v.dtype != t->dtype)
      continue; /* step records and lists of indices */
    most = count > most ? count : most;
    seen |= count == 0 ? 1u << CLASS_ZERO : 0u;
    seen |= columns > 1 && columns % 2 == 1 ? 1u << CLASS_ODD : 0u;
    seen |= columns > 2 && is_prime(columns) ? 1u << CLASS_PRIME : 0u;
    seen |= v.size[2] > 1 && v.stride[2] > columns ? 1u << CLASS_STRIDED : 0u;
    seen |= v.offset > 0 ? 1u << CLASS_OFFSET : 0u;
  }
  seen |= most > 0 && most <= 3 ? 1u << CLASS_ONE : 0u;
  seen |= most >= LARGE ? 1u << CLASS_LARGE : 0u;
  t->suite->seen[t->self->op] |= seen;
}

/* A dtype beside F32 that the call needs and a backend may lack; F32 where there is none. */
static cdl_dtype optional_dtype(const trial *t)
{
  for (int i = 0; i < t->operand_count; i++) {
    const cdl_dtype dtype = t->operands[i]->view.dtype;
    if (dtype == CDL_DTYPE_F64 || dtype == CDL_DTYPE_BF16)
      return dtype;
  }
  return t->dtype;
}

/* Whether the backend may do without the call's types. */
static bool is_optional(const trial *t)
{
  const cdl_dtype dtype = optional_dtype(t);
  const cdl_op op = (cdl_op)t->self->op;
  if (dtype == CDL_DTYPE_F32 || !t->suite->strict)
    return dtype != CDL_DTYPE_F32;
  const bool activation = dtype == CDL_DTYPE_BF16 && op != CDL_OP_copy && op != CDL_OP_cast &&
                          op != CDL_OP_permute && op != CDL_OP_gemm;
  return activation && t->suite->precision != CDL_PRECISION_BF16;
}

bool trial_run(trial *t, const void *args)
{
  if (t->outcome == OUTCOME_FAIL || t->outcome == OUTCOME_SKIP)
    return false;
  if ((t->self->flags & CASE_RANDOM) == 0)
    note_classes(t);
  t->path = cdl_op_path(t->backend, (cdl_op)t->self->op, args);
  if (t->path == CDL_PATH_NONE && is_optional(t)) {
    trial_skip(t, "the backend has no path for %s", cdl_dtype_name(optional_dtype(t)));
    return false;
  }
  if (!one_run(t, args, false) || (!t->once && !one_run(t, args, true)))
    return false;
  t->ran = true;
  for (int i = 0; i < t->operand_count; i++) {
    operand *o = t->operands[i];
    const size_t bytes = cdl_dtype_bytes(o->view.dtype);
    check_bytes(t, o);
    if (!t->once)
      check_repeat(t, o);
    for (int64_t e = 0; e < o->count; e++)
      o->result[e] = decode(o->view.dtype, o->found + (size_t)place(&o->view, e) * bytes);
  }
  return t->outcome != OUTCOME_FAIL;
}

/* ---- Judging ---- */

void trial_describe(trial *t, const char *format, ...)
{
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->drawn, sizeof t->drawn, format, arguments);
  va_end(arguments);
}

void trial_fail(trial *t, const char *format, ...)
{
  if (t->outcome == OUTCOME_FAIL)
    return; /* the first says most */
  t->outcome = OUTCOME_FAIL;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->message, sizeof t->message, format, arguments);
  va_end(arguments);
}

void trial_skip(trial *t, const char *format, ...)
{
  if (t->outcome == OUTCOME_FAIL)
    return;
  t->outcome = OUTCOME_SKIP;
  va_list arguments;
  va_start(arguments, format);
  vsnprintf(t->message, sizeof t->message, format, arguments);
  va_end(arguments);
}

/* Error over bound; 0 over 0 is 0. */
static double ratio_of(double got, double want, double bound)
{
  if (isnan(want) || isnan(got))
    return isnan(want) && isnan(got) ? 0 : INFINITY;
  if (isinf(want) || isinf(got))
    return want == got ? 0 : INFINITY;
  const double error = fabs(got - want);
  return error == 0 ? 0 : bound > 0 ? error / bound : INFINITY;
}

static void name_element(const operand *o, int64_t index, char *text, size_t bytes)
{
  int64_t at[4];
  for (int d = 3; d >= 0; d--) {
    at[d] = index % o->view.size[d];
    index /= o->view.size[d];
  }
  snprintf(text, bytes, "%s[%" PRId64 ", %" PRId64 ", %" PRId64 ", %" PRId64 "]", o->name, at[0],
           at[1], at[2], at[3]);
}

void trial_compare(trial *t, const operand *o, const double *want, const double *bound)
{
  double worst = 0;
  int64_t worst_at = -1, wrong = 0;
  for (int64_t i = 0; i < o->count; i++) {
    if (o->result[i] == 0 && may_be_flushed((cdl_op)t->self->op, o->view.dtype, want[i]))
      continue;
    const double ratio = ratio_of(o->result[i], want[i], bound == NULL ? 0 : bound[i]);
    wrong += ratio > 1;
    if (ratio > worst) {
      worst = ratio;
      worst_at = i;
    }
  }
  t->ratio = worst > t->ratio ? worst : t->ratio;
  if (wrong > 0) {
    char where[128];
    name_element(o, worst_at, where, sizeof where);
    trial_fail(
        t, "%s is %.9g, not %.9g (bound %.3g, error/bound %.3g); %" PRId64 " of %" PRId64 " wrong",
        where, o->result[worst_at], want[worst_at], bound == NULL ? 0 : bound[worst_at], worst,
        wrong, o->count);
  }
}

void trial_exact(trial *t, const operand *o, const double *want)
{
  trial_compare(t, o, want, NULL);
}

void trial_judge(trial *t, const char *what, double error, double bound)
{
  const double ratio = ratio_of(error, 0, bound);
  t->ratio = ratio > t->ratio ? ratio : t->ratio;
  if (ratio > 1)
    trial_fail(t, "%s: error %.3g, bound %.3g", what, error, bound);
}
