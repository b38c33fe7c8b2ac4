#include "backends/core/op.h"

#include "condlora/backend.h"

const char *cdl_op_name(cdl_op op)
{
  static const char *const names[] = {
#define CDL_OP(name, tier) #name,
#include "condlora/ops.def"
#undef CDL_OP
  };
  return (unsigned)op < CDL_OP_COUNT ? names[op] : "?";
}

core_tier core_op_tier(cdl_op op)
{
  static const core_tier tiers[] = {
#define REQUIRED CORE_REQUIRED
#define COMPOSED CORE_COMPOSED
#define HOST CORE_HOST
#define CDL_OP(name, tier) tier,
#include "condlora/ops.def"
#undef CDL_OP
#undef REQUIRED
#undef COMPOSED
#undef HOST
  };
  return tiers[op];
}

bool core_has_op(const cdl_backend_table *table, cdl_op op)
{
  switch (op) {
#define CDL_OP(name, tier) \
  case CDL_OP_##name:      \
    return table->name != NULL;
#include "condlora/ops.def"
#undef CDL_OP
  case CDL_OP_COUNT:
    break;
  }
  return false;
}

cdl_status core_run_native(const cdl_backend_table *table, void *queue, cdl_op op, const void *args)
{
  switch (op) {
#define CDL_OP(name, tier) \
  case CDL_OP_##name:      \
    return table->name(queue, args);
#include "condlora/ops.def"
#undef CDL_OP
  case CDL_OP_COUNT:
    break;
  }
  return CDL_STATUS_ARGUMENT;
}
