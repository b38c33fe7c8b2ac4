/* A table that does not begin as one. */
#include "tests/unit/plugins/table.h"

static const cdl_backend_table table = {
    .header = {0x12345678, CDL_ABI_MAJOR, CDL_ABI_MINOR, sizeof(cdl_backend_table)},
    .name = "wrong-magic",
    TABLE_FUNCTIONS,
#include "condlora/ops.def"
};

const cdl_backend_table *cdl_plugin(const cdl_host *given)
{
  KEEP_QUIET_ABOUT_UNUSED;
  host = given;
  return &table;
}
