/* A sound backend. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = CDL_TABLE_HEADER,
    .name = "recording",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
