/* A backend with every op of its own. */
#include "tests/unit/plugins/table.h"

#undef COMPOSED
#undef HOST
#define COMPOSED(name) .name = record_##name,
#define HOST(name) .name = record_##name,

static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "complete",
    TABLE_DEVICE,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  host = given;
  return &table;
}
