#include "backends/core/check.h"

#include <stdio.h>
#include <string.h>

#include "backends/core/check_views.h"

static const core_op_spec *const specs[CDL_OP_COUNT] = {
#define CDL_OP(name, tier) &core_spec_##name,
#include "condlora/ops.def"
#undef CDL_OP
};

const core_op_spec *core_spec(cdl_op op)
{
  return specs[op];
}

/* ---- One tensor ---- */

/* Gives its bytes in the buffer, [*first, *end), without overflow for any numbers. Returns NULL, or
 * what is wrong. */
static const char *measure(const cdl_tensor *t, size_t *first, size_t *end)
{
  int64_t elements = 1, last = t->offset;
  *first = *end = 0;
  for (int d = 0; d < 4; d++) {
    if (t->size[d] < 0)
      return "has a negative size";
    if (t->size[d] == 0)
      return NULL;
  }
  if (t->offset < 0)
    return "has a negative offset";
  for (int d = 0; d < 4; d++) {
    int64_t reach;
    if (t->size[d] == 1)
      continue;
    if (t->stride[d] < 0)
      return "has a negative stride";
    if (__builtin_mul_overflow(elements, t->size[d], &elements) ||
        __builtin_mul_overflow(t->size[d] - 1, t->stride[d], &reach) ||
        __builtin_add_overflow(last, reach, &last))
      return "is too large for 64-bit arithmetic";
  }
  if (t->size[3] > 1 && t->stride[3] != 1)
    return "has a last stride other than 1";
  const size_t bytes = cdl_dtype_bytes(t->dtype);
  size_t after;
  if (__builtin_mul_overflow((size_t)last + 1, bytes, &after))
    return "is too large for 64-bit arithmetic";
  if (after > t->buffer->bytes)
    return "reaches past its buffer";
  *first = (size_t)t->offset * bytes;
  *end = after;
  return NULL;
}

/* Offset and strides show why an extent is wrong. */
static cdl_status refuse_tensor(const char *what, const char *name, const cdl_tensor *t,
                                const char *wrong)
{
  char shape[CORE_SHAPE_BYTES];
  return cdl_fail(
      CDL_STATUS_ARGUMENT,
      "%s: %s %s %s %s: offset %lld, strides [%lld, %lld, %lld, %lld] in a buffer of %zu bytes",
      what, name, cdl_dtype_name(t->dtype), core_shape(t, shape), wrong, (long long)t->offset,
      (long long)t->stride[0], (long long)t->stride[1], (long long)t->stride[2],
      (long long)t->stride[3], t->buffer->bytes);
}

static cdl_status check_view(const cdl_backend *backend, const char *what, const char *name,
                             const cdl_tensor *t, size_t *first, size_t *end)
{
  if (t->buffer == NULL)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: %s is absent", what, name);
  if ((unsigned)t->dtype >= CDL_DTYPE_COUNT)
    return cdl_fail(CDL_STATUS_ARGUMENT, "%s: %s has the unknown dtype %d", what, name,
                    (int)t->dtype);
  if (t->buffer->owner != backend)
    return cdl_fail(CDL_STATUS_ARGUMENT,
                    "%s: %s lies in a buffer of another backend (%s) than the queue's (%s)", what,
                    name, cdl_backend_name(t->buffer->owner), cdl_backend_name(backend));
  const char *wrong = measure(t, first, end);
  return wrong == NULL ? CDL_STATUS_OK : refuse_tensor(what, name, t, wrong);
}

cdl_status core_check_tensor(const cdl_backend *backend, const char *what, const char *name,
                             const cdl_tensor *tensor)
{
  size_t first, end;
  return check_view(backend, what, name, tensor, &first, &end);
}

static cdl_status refuse_dtype(const core_call *call, int at)
{
  char wanted[64] = "";
  for (unsigned dtype = 0; dtype < CDL_DTYPE_COUNT; dtype++)
    if (call->operands[at]->dtypes & (1u << dtype)) {
      if (wanted[0] != '\0')
        strcat(wanted, " or ");
      strcat(wanted, cdl_dtype_name((cdl_dtype)dtype));
    }
  return core_refuse(call, "%s is %s, expected %s", call->operands[at]->name,
                     cdl_dtype_name(call->tensors[at]->dtype), wanted);
}

static cdl_status check_operand(core_call *call, int at)
{
  const core_operand *operand = call->operands[at];
  const cdl_tensor *t = call->tensors[at];
  call->first_byte[at] = call->end_byte[at] = 0;
  if (t->buffer == NULL)
    return operand->role & OPTIONAL ? CDL_STATUS_OK
                                    : core_refuse(call, "%s is absent", operand->name);
  CDL_TRY(check_view(call->backend, call->spec->name, operand->name, t, &call->first_byte[at],
                     &call->end_byte[at]));
  if (!(operand->dtypes & (1u << t->dtype)))
    return refuse_dtype(call, at);
  if ((operand->role & OUT) && t->buffer->is_file)
    return refuse_tensor(call->spec->name, operand->name, t,
                         "is written and lies in a mapped file");
  if ((operand->role & OUT) && call->end_byte[at] > 0 && core_repeats(t))
    return refuse_tensor(call->spec->name, operand->name, t,
                         "is written and has elements that may share memory");
  return CDL_STATUS_OK;
}

/* ---- Shapes ---- */

static int dimensions_of(const char *shape)
{
  int count = 0;
  for (; *shape != '\0'; shape++)
    count += *shape != '+';
  return count;
}

/* Writes "[2, 5, n]": what other operands imply for an operand's shape. */
static void write_expected(const core_call *call, int operand, char text[CORE_SHAPE_BYTES])
{
  const char *shape = call->operands[operand]->shape;
  size_t used = (size_t)snprintf(text, CORE_SHAPE_BYTES, "[");
  for (const char *at = shape; *at != '\0'; at++) {
    const char *between = at == shape ? "" : ", ";
    const bool one_more = at[1] == '+', letter = *at >= 'a' && *at <= 'z';
    char *end = text + used;
    const size_t left = CORE_SHAPE_BYTES - used;
    if (letter && (call->bound & (1u << (*at - 'a'))) &&
        call->source_tensor[*at - 'a'] != call->tensors[operand])
      used += (size_t)snprintf(end, left, "%s%lld", between,
                               (long long)call->value[*at - 'a'] + one_more);
    else
      used += (size_t)snprintf(end, left, "%s%c%s", between, *at, one_more ? " + 1" : "");
    at += one_more;
  }
  snprintf(text + used, CORE_SHAPE_BYTES - used, "]");
}

/* `letter`: the dimension whose size differs, 0 if it has no letter. */
static cdl_status refuse_shape(const core_call *call, int at, char letter)
{
  char got[CORE_SHAPE_BYTES], expected[CORE_SHAPE_BYTES], source[CORE_SHAPE_BYTES];
  const core_operand *operand = call->operands[at];
  core_shape(call->tensors[at], got);
  write_expected(call, at, expected);
  if (letter == '\0')
    return core_refuse(call, "%s is %s, expected %s", operand->name, got, expected);
  const cdl_tensor *tensor = call->source_tensor[letter - 'a'];
  return core_refuse(call, "%s is %s but %s%s%s wants %s", operand->name, got,
                     call->source[letter - 'a'], tensor != NULL ? " " : "",
                     tensor != NULL ? core_shape(tensor, source) : "", expected);
}

static cdl_status match_shape(core_call *call, int at)
{
  const cdl_tensor *t = call->tensors[at];
  const char *shape = call->operands[at]->shape;
  if (shape[0] == '*' || t->buffer == NULL)
    return CDL_STATUS_OK;
  int d = 4 - dimensions_of(shape);
  for (int leading = 0; leading < d; leading++)
    if (t->size[leading] != 1)
      return refuse_shape(call, at, '\0');
  for (; *shape != '\0'; shape++, d++) {
    const char letter = *shape;
    if (letter == '1') {
      if (t->size[d] != 1)
        return refuse_shape(call, at, '\0');
      continue;
    }
    const bool one_more = shape[1] == '+';
    shape += one_more;
    const unsigned index = (unsigned)(letter - 'a') % CORE_LETTERS;
    if (!(call->bound & (1u << index))) {
      core_bind(call, letter, t->size[d] - one_more, call->operands[at]->name);
      call->source_tensor[index] = t;
    } else if (call->value[index] + one_more != t->size[d]) {
      return refuse_shape(call, at, letter);
    }
  }
  return CDL_STATUS_OK;
}

/* ---- Aliases ---- */

static cdl_status check_alias(const core_call *call, int a, int b)
{
  if (call->first_byte[a] >= call->end_byte[b] || call->first_byte[b] >= call->end_byte[a])
    return CDL_STATUS_OK;
  const core_operand *first = call->operands[a], *second = call->operands[b];
  const bool in_place = (first->in_place & (1u << b)) || (second->in_place & (1u << a));
  if (in_place && core_same_view(call->tensors[a], call->tensors[b]))
    return CDL_STATUS_OK;
  if (!core_overlap(call->tensors[a], call->tensors[b]))
    return CDL_STATUS_OK;
  char shape_a[CORE_SHAPE_BYTES], shape_b[CORE_SHAPE_BYTES];
  return core_refuse(
      call, "%s %s overlaps %s %s%s", first->name, core_shape(call->tensors[a], shape_a),
      second->name, core_shape(call->tensors[b], shape_b),
      in_place ? ": they must be the very same view or apart" : ": they must lie apart");
}

static cdl_status check_aliases(const core_call *call)
{
  for (int a = 0; a < call->count; a++) {
    if (!(call->operands[a]->role & OUT) || call->end_byte[a] == 0)
      continue;
    for (int b = 0; b < call->count; b++)
      if (call->tensors[a]->buffer == call->tensors[b]->buffer && b != a && call->end_byte[b] > 0 &&
          (b > a || !(call->operands[b]->role & OUT)))
        CDL_TRY(check_alias(call, a, b));
  }
  return CDL_STATUS_OK;
}

/* ---- One call ---- */

bool core_sets_additions(const cdl_backend *backend, cdl_op op, const void *args)
{
  const core_op_spec *spec = specs[op];
  uint32_t size;
  memcpy(&size, args, sizeof size);
  size = size < spec->args_bytes ? size : spec->args_bytes;
  for (int k = 0; k < spec->addition_count; k++) {
    if (spec->additions[k].is_hint ||
        spec->additions[k].abi_minor <= backend->table->header.abi_minor)
      continue;
    const uint32_t end =
        k + 1 < spec->addition_count ? spec->additions[k + 1].offset : spec->args_bytes;
    const unsigned char *bytes = args;
    for (uint32_t at = spec->additions[k].offset; at < end && at < size; at++)
      if (bytes[at] != 0)
        return true;
  }
  return false;
}

bool core_has_narrow_activations(cdl_op op, const void *args)
{
  const core_op_spec *spec = specs[op];
  for (int k = 0; k < spec->operand_count; k++) {
    const cdl_tensor *t = core_operand_of(spec, k, args);
    if ((spec->operands[k].role & ACTIVATION) && t->buffer != NULL && t->dtype == CDL_DTYPE_BF16)
      return true;
  }
  return false;
}

const void *core_complete_args(cdl_op op, const void *args, core_args *room)
{
  const core_op_spec *spec = specs[op];
  uint32_t size;
  if (args == NULL || spec->addition_count == 0)
    return args;
  memcpy(&size, args, sizeof size);
  int known = 0;
  while (known < spec->addition_count && spec->additions[known].offset != size)
    known++;
  if (known == spec->addition_count) /* this version's, a newer one's or none */
    return args;
  memset(room, 0, sizeof *room);
  memcpy(room, args, size);
  memcpy(room, &spec->args_bytes, sizeof spec->args_bytes);
  return room;
}

/* A newer version's struct is longer. Its tail asks for something unknown here, unless it is all
 * zeros. An older version's has been completed. */
static cdl_status check_size(const core_call *call)
{
  uint32_t size;
  memcpy(&size, call->args, sizeof size);
  if (size == call->spec->args_bytes)
    return CDL_STATUS_OK;
  if (size < call->spec->args_bytes)
    return core_refuse(call, "args->size is %u, expected %u: fill it in with CDL_ARGS", size,
                       call->spec->args_bytes);
  const unsigned char *bytes = call->args;
  for (uint32_t at = call->spec->args_bytes; at < size; at++)
    if (bytes[at] != 0)
      return cdl_fail(CDL_STATUS_UNSUPPORTED,
                      "%s: the arguments hold %u bytes of a newer version than this library's (%u "
                      "bytes) that are set",
                      call->spec->name, size, call->spec->args_bytes);
  return CDL_STATUS_OK;
}

cdl_status core_check(const cdl_backend *backend, cdl_op op, const void *args, bool *nothing)
{
  core_call call;
  call.backend = backend;
  call.spec = specs[op];
  call.args = args;
  call.count = 0;
  call.bound = 0;
  if (args == NULL)
    return core_refuse(&call, "args is NULL");
  CDL_TRY(check_size(&call));
  for (int k = 0; k < call.spec->operand_count; k++)
    core_add_operand(&call, &call.spec->operands[k], core_operand_of(call.spec, k, args));
  if (call.spec->prepare != NULL)
    CDL_TRY(call.spec->prepare(&call));
  *nothing = true;
  for (int k = 0; k < call.count; k++) {
    CDL_TRY(check_operand(&call, k));
    CDL_TRY(match_shape(&call, k));
    if ((call.operands[k]->role & OUT) && call.end_byte[k] > 0)
      *nothing = false;
  }
  CDL_TRY(core_want_same_activations(&call));
  if (call.spec->finish != NULL)
    CDL_TRY(call.spec->finish(&call));
  return *nothing ? CDL_STATUS_OK : check_aliases(&call);
}

void core_describe(cdl_op op, const void *args, char *text, size_t bytes)
{
  const core_op_spec *spec = specs[op];
  size_t used = (size_t)snprintf(text, bytes, "%s(", spec->name);
  const char *between = "";
  for (int k = 0; k < spec->operand_count && used < bytes; k++) {
    const cdl_tensor *t = core_operand_of(spec, k, args);
    if (t->buffer == NULL)
      continue;
    char shape[CORE_SHAPE_BYTES];
    used +=
        (size_t)snprintf(text + used, bytes - used, "%s%s %s %s", between, spec->operands[k].name,
                         cdl_dtype_name(t->dtype), core_shape(t, shape));
    between = ", ";
  }
  if (used < bytes)
    snprintf(text + used, bytes - used, ")");
}
