/* Checks of the ops that move and convert. */
#include "backends/core/check_call.h"
#include "backends/core/check_views.h"

enum { ANY = F32 | F64 | BF16 | I32 | U8 };

static const core_operand copy_operands[] = {
    CORE_OPERAND(copy, out, "abcd", ANY, OUT, 0),
    CORE_OPERAND(copy, x, "abcd", ANY, IN, 0),
};

CORE_SPEC(copy, NULL, core_want_same_dtypes);

static const core_operand cast_operands[] = {
    CORE_OPERAND(cast, out, "abcd", F32 | F64 | BF16, OUT, 0),
    CORE_OPERAND(cast, x, "abcd", F32 | F64 | BF16, IN, 0),
};

CORE_SPEC(cast, NULL, NULL);

static const core_operand permute_operands[] = {
    CORE_OPERAND(permute, out, "abcd", ANY, OUT, 0),
    CORE_OPERAND(permute, x, "*", ANY, IN, 0),
};

static cdl_status finish_permute(core_call *call)
{
  const cdl_permute_args *args = call->args;
  CDL_TRY(core_want_same_dtypes(call));
  unsigned seen = 0;
  for (int d = 0; d < 4; d++)
    if (args->order[d] < 4)
      seen |= 1u << args->order[d];
  if (seen != 0xf)
    return core_refuse(call, "order is {%d, %d, %d, %d}, expected 0 to 3 once each", args->order[0],
                       args->order[1], args->order[2], args->order[3]);
  for (int d = 0; d < 4; d++)
    if (args->out.size[d] != args->x.size[args->order[d]]) {
      char out[CORE_SHAPE_BYTES], x[CORE_SHAPE_BYTES];
      return core_refuse(
          call, "out is %s with size[%d] %lld but x %s in order {%d, %d, %d, %d} wants %lld",
          core_shape(&args->out, out), d, (long long)args->out.size[d], core_shape(&args->x, x),
          args->order[0], args->order[1], args->order[2], args->order[3],
          (long long)args->x.size[args->order[d]]);
    }
  return CDL_STATUS_OK;
}

CORE_SPEC(permute, NULL, finish_permute);

static const core_operand fill_operands[] = {
    CORE_OPERAND(fill, out, "abcd", F32 | F64 | I32 | BF16, OUT | ACTIVATION, 0),
};

static cdl_status finish_fill(core_call *call)
{
  const cdl_fill_args *args = call->args;
  if (args->out.dtype == CDL_DTYPE_I32 && !(args->value >= INT32_MIN && args->value <= INT32_MAX))
    return core_refuse(call, "value %g does not fit out's I32", args->value);
  return CDL_STATUS_OK;
}

CORE_SPEC(fill, NULL, finish_fill);

static const core_operand gather_rows_operands[] = {
    CORE_OPERAND(gather_rows, out, "rc", F32 | BF16, OUT | ACTIVATION | OWN_TYPE, 0),
    CORE_OPERAND(gather_rows, table, "ec", F32 | BF16, ACTIVATION | OWN_TYPE, 0),
    CORE_OPERAND(gather_rows, index, "r", I32, IN, 0),
};

static cdl_status finish_gather_rows(core_call *call)
{
  const cdl_gather_rows_args *args = call->args;
  if (args->table.size[2] == 0 && args->out.size[2] > 0)
    return core_refuse(call, "table has no entries for %lld rows", (long long)args->out.size[2]);
  return CDL_STATUS_OK;
}

CORE_SPEC(gather_rows, NULL, finish_gather_rows);

static const core_operand scatter_add_rows_operands[] = {
    CORE_OPERAND(scatter_add_rows, table, "ec", F32 | BF16, OUT | ACTIVATION | OWN_TYPE, 0),
    CORE_OPERAND(scatter_add_rows, x, "rc", F32 | BF16, ACTIVATION | OWN_TYPE, 0),
    CORE_OPERAND(scatter_add_rows, order, "r", I32, IN, 0),
    CORE_OPERAND(scatter_add_rows, target, "s", I32, IN, 0),
    CORE_OPERAND(scatter_add_rows, segment, "s+", I32, IN, 0),
};

CORE_SPEC(scatter_add_rows, NULL, NULL);
